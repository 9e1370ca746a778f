#!/bin/sh
# lab.sh FOLDER fast|full|boots [PATTERN], or cuts|some SEED N: boots the lab's machines in QEMU (TCG is enough) and judges
# gpuferry by what a real kernel with a real IOMMU does. FOLDER holds the images and a log for each run. Each row of the
# tables below is one run; they go in parallel up to the cores. Nothing is tried twice. Ends like a test: N passed, N failed,
# N skipped. cuts: the power goes at N moments of SEED's; some: N of the boots, as SEED picks them. Asked again for the same
# seed, those that passed before are not run again. The table is the same for the same seed; what is not, as times, stands
# below it.
set -u
folder=$(realpath "$1")
lab=$(cd "$(dirname "$0")" && pwd)
logs=$folder/logs

# NAME MACHINE JOB SECONDS WORDS...; the words are the kernel's; the longest first
fast='
stuck             amd-4060ti    stuck   300 amd_iommu=on
nested-amd        amd-4060ti    nested  300 amd_iommu=on
nested-intel      twins         nested  300 intel_iommu=on
nested-shared     shared-slot   nested  300 intel_iommu=on
nested-unmapped   no-remapping  nested  300 intel_iommu=on
see-amd           amd-4060ti    inspect 180 amd_iommu=on
see-intel         intel-igpu    inspect 180 intel_iommu=on
see-twins         twins         inspect 180 intel_iommu=on
see-shared-slot   shared-slot   inspect 180 intel_iommu=on
see-off           iommu-off     inspect 180
see-off-by-word   twins         inspect 180 intel_iommu=off
see-no-remapping  no-remapping  inspect 180 intel_iommu=on
group-off         iommu-off     group   240
'
# The same of the full machine. Its words: power=PART:MS ends QEMU that long after that part of the run began; then=MACHINE is what the journey goes on with when it has ended the first;
# disk=KIND is the disk's (disk.sh); others go to the journey.
full='
whole             intel-4060ti  whole       2400
whole-uefi        uefi          whole       2400 disk=uefi
whole-uefi-grub   uefi          whole       2400 disk=uefigrub
unconfirmed       intel-4060ti  revert      2400 how=time
second-boot       intel-4060ti  revert      2400 how=second-boot
emergency         intel-4060ti  revert      2400 how=emergency
no-cluster        intel-4060ti  revert      2400 how=no-cluster
no-gpuferry       intel-4060ti  revert      2400 how=no-gpuferry
script-emergency  intel-4060ti  script      2400 how=emergency
script-chroot     intel-4060ti  script      2400 how=chroot
script-root       intel-4060ti  script      2400 how=root
twins             twins         twins       2400
twins-moved       twins         twins       2400 then=twins-moved
wrong-file        intel-4060ti  inherited   2400 how=wrong-file
never-made        intel-4060ti  inherited   2400 how=never-made
stale             intel-4060ti  inherited   2400 how=stale
emergency-uefi    uefi          revert      2400 disk=uefi how=emergency
script-chroot-uefi uefi         script      2400 disk=uefi how=chroot
ct-docker         two-virtio    docker      2400 disk=containers
ct-unprivileged   two-virtio    ct          2400 disk=containers way=unprivileged
ct-privileged     two-virtio    ct          2400 disk=containers way=privileged
ct-raw            two-virtio    raw_lines   2400 disk=containers
cut-file          intel-4060ti  killed      2400 power=early:150
cut-initramfs     intel-4060ti  killed      2400 power=initramfs:7000
cut-menu          intel-4060ti  killed      2400 power=menu:1000
cut-going-on      intel-4060ti  killed      2400 power=boot:22000
'
# Parts of a run, in their order: each begins where its pattern stands for the N-th time in what the journey says (result) or
# on the console (log).
parts='
revert     result 1 \[[0-9/]*\] take the change back
early      result 1 \[[0-9/]*\] let vfio-pci take
initramfs  result 1 \[[0-9/]*\] make the initramfs
menu       result 1 \[[0-9/]*\] put the words into the boot menu
down       result 1 the node reboots now
boot       log    2 Booting\|BdsDxe: starting
up         result 1 == up
'
part_of() { # PART pattern|times|place
	printf '%s\n' "$parts" | while read -r part place times pattern; do
		[ "$part" != "$1" ] || eval "printf '%s\n' \"\$$2\""
	done
}
# N rows, one in three by UEFI: in which part the power goes and how far in it (of what is written there), whether the disk
# has a cache that loses what was not flushed, and what is asked for then.
cuts() { # SEED N
	awk -v seed="$1" -v n="$2" 'BEGIN {
		n_bios = split("revert early initramfs initramfs menu menu down boot", bios, " ")
		n_uefi = split("revert early initramfs esp esp esp menu down boot", uefi, " ")
		srand(seed)
		for (i = 1; i <= n; i++)
			printf "cut-%s-%02d %s cut 2400 at=%s:%.3f cache=%s way=%s%s\n", seed, i, i % 3 ? "intel-4060ti" : "uefi",
				i % 3 ? bios[int(rand() * n_bios) + 1] : uefi[int(rand() * n_uefi) + 1], rand(), rand() < 0.5 ? "kept" : "lost",
				rand() < 0.6 ? "back" : "on", i % 3 ? "" : " disk=uefi"
	}'
}
some() { # SEED N
	boots_rows "$folder/boots" | awk -v seed="$1" 'BEGIN { srand(seed) } { print rand(), $0 }' | sort -n | head -n "$2" | cut -d' ' -f2-
}

# shellcheck source=tests/lab/boots.sh
. "$lab/boots.sh"
# shellcheck source=tests/lab/judge_fast.sh
. "$lab/judge_fast.sh"
# shellcheck source=tests/lab/judge_full.sh
. "$lab/judge_full.sh"
# shellcheck source=tests/lab/judge_containers.sh
. "$lab/judge_containers.sh"

say() { printf '%s\n' "$*"; }
part() { sed -n "/^== $1\$/,/^== /p" "$result" | grep -v '^== '; }
wrong() { why="$why${why:+; }$*"; }

# ---- one run -----------------------------------------------------------------------------------------------------------

board() { # the table's machine, once: WORDS...
	"$folder/build/tests/lab_board" "$lab/machines/$machine.machine" "$result" "$logs/$name.log" "$seconds" "$@" \
		2>>"$logs/$name.err"
}
fast_run() {
	initrd=$folder/initrd
	[ "$job" != nested ] || initrd=$folder/initrd-nested
	board kernel "$folder/kernel" "$initrd" quiet "lab=$job" "$@"
}

# What a run brings along: its job, its words, and FILE... beside it.
pack() {
	mkdir -p "$logs/$name.job"
	cp "$lab"/journeys/*.sh "$@" "$logs/$name.job/"
	cp "$lab/journeys/$job" "$logs/$name.job/job"
	echo "${words:-:}" >"$logs/$name.job/words"
	sh "$lab/pack.sh" "$logs/$name.job" "$logs/$name.tar"
	rm -rf "$logs/$name.job"
}
disk_run() { # DISK FORMAT [RECORD]: DISK stays as it is
	qemu-img create -q -f qcow2 -b "$1" -F "$2" "$logs/$name.qcow2"
	board disk "$logs/$name.qcow2" "$logs/$name.tar" ${3+"$3"}
}

# A machine that ends itself, or is ended SECONDS after PATTERN has come for the N-th time in FILE: cut=yes. Its disk is kept.
first_run() { # DISK FORMAT [PATTERN N FILE SECONDS]
	qemu-img create -q -f qcow2 -b "$1" -F "$2" "$logs/$name.first"
	cut=''
	# the program itself in the background, so that the signal is its own
	"$folder/build/tests/lab_board" "$lab/machines/$machine.machine" "$result" "$logs/$name.log" "$seconds" \
		disk "$logs/$name.first" "$logs/$name.tar" 2>>"$logs/$name.err" &
	while [ -n "${3-}" ] && kill -0 $! 2>/dev/null; do
		if [ -e "$5" ] && [ "$(tr '\r' '\n' <"$5" | grep -ac "$3")" -ge "$4" ]; then
			sleep "$6"
			kill $! 2>/dev/null && cut=yes
			break
		fi
		sleep 0.1
	done
	wait $!
}
# The machine, or another one, with the disk that the first one has left; what that one said is kept beside.
second_run() { # MACHINE
	machine=$1
	mv "$result" "$result.first"
	mv "$logs/$name.log" "$logs/$name.first.log"
	disk_run "$logs/$name.first" qcow2
}
power_run() {
	set --
	[ -z "$power" ] || set -- "$(part_of "${power%:*}" pattern)" "$(part_of "${power%:*}" times)" \
		"$logs/$name.$(part_of "${power%:*}" place)" "$(echo "${power#*:}" | awk '{ print $1 / 1000 }')"
	first_run "$disk" qcow2 "$@"
	second_run "${then:-$machine}"
	code=$?
	[ -z "$cut" ] || echo '== cut' >>"$result"
	return $code
}
full_run() {
	pack
	if [ -n "$power$then" ]; then power_run; else disk_run "$disk" qcow2; fi
	code=$?
	rm -rf "$logs/$name".qcow2* "$logs/$name".first "$logs/$name.first.variables" "$logs/$name.tar"
	return $code
}

# Where the first of the copies onto the ESP is made, which is the last partition.
esp_part() {
	sector=$(sfdisk -d "$record.new/start" | sed -n 's/.*start= *\([0-9]*\),.*type=ef.*/\1/p')
	# shellcheck disable=SC2046
	set -- $("$folder/build/tests/lab_replay" behind "$record.new/log" "$sector" \
		$(sed -n 's/^\(initramfs\|menu\) //p' "$record.new/parts") 2>/dev/null)
	[ $# != 2 ] || printf 'esp %s\nesp-end %s\n' "$1" "$2"
}
# The root file system of DISK (raw) as FILE, and back.
root_place() { sfdisk -d "$1" | sed -n 's/.*start= *\([0-9]*\), size= *\([0-9]*\), type=83.*/\1 \2/p' | awk '{ print $1 * 512, $2 * 512 }'; }
take_root() { # DISK FILE
	# shellcheck disable=SC2046
	set -- "$@" $(root_place "$1")
	dd if="$1" of="$2" bs=1M iflag=skip_bytes,count_bytes skip="$3" count="$4" conv=sparse status=none
}
put_root() { # DISK FILE
	# shellcheck disable=SC2046
	set -- "$@" $(root_place "$1")
	dd if="$2" of="$1" bs=1M oflag=seek_bytes seek="$3" conv=notrunc status=none
}
play_journal() { e2fsck -E journal_only -y "$1" >>"$logs/$name.err" 2>&1 || [ $? = 1 ]; }
image_in() { # FILE: a sum of the initramfs in it, by who reads no journal
	image=$(debugfs -R 'ls -p /boot' "$1" 2>/dev/null | sed -n 's,.*/\(initrd.img-[^/]*-amd64\)/.*,\1,p')
	debugfs -R "cat /boot/${image:-none}" "$1" 2>/dev/null | sha256sum | grep -v '^e3b0c44298fc' # of nothing
}
# GRUB reads no journal. Does it find the initramfs that the kernel finds, if the power goes where a part of the run begins,
# and with it, as the seed has it, what was not flushed?
grub_sees() { # PART SEED
	cp --sparse=always "$record.new/start" "$record.new/then" &&
		"$folder/build/tests/lab_replay" onto "$record.new/then" "$record.new/log" "$(sed -n "s/^$1 //p" "$record.new/parts")" "$2" \
			>>"$logs/$name.err" 2>&1 && take_root "$record.new/then" "$record.new/root" && seen=$(image_in "$record.new/root") &&
		play_journal "$record.new/root" && [ "$seen" = "$(image_in "$record.new/root")" ]
	set -- $?
	rm -f "$record.new/then" "$record.new/root"
	return "$1"
}

# All that the journey writes to the disk, once; and how many writes there were where each part begins.
record_run() {
	[ ! -e "$record" ] || exit 0
	pack
	rm -rf "$record.new"
	mkdir "$record.new"
	qemu-img convert -q -O raw "$disk" "$record.new/start"
	disk_run "$disk" qcow2 "$record.new/log"
	code=$?
	part wished >"$record.new/wished"
	printf '%s\n' "$parts" | grep . | while read -r begins place times pattern; do
		at=$(grep -abo "$pattern" "$logs/$name.$place" | sed -n "${times}s/:.*//p")
		bytes=$(awk -v at="$at" -v column="$([ "$place" = log ] && echo 3 || echo 2)" 'at != "" && $column > at { print $1; exit }' \
			"$record.new/log.sizes")
		echo "$begins $("$folder/build/tests/lab_replay" count "$record.new/log" "${bytes:-none}" 2>&1)"
	done >"$record.new/parts"
	esp_part >>"$record.new/parts"
	# the log is right if it makes of the start what the disk is now
	cp --sparse=always "$record.new/start" "$record.new/end"
	all=$("$folder/build/tests/lab_replay" count "$record.new/log" 999999999999)
	"$folder/build/tests/lab_replay" onto "$record.new/end" "$record.new/log" "$all" >>"$logs/$name.err" 2>&1
	differs=$(qemu-img compare "$record.new/end" "$logs/$name.qcow2") ||
		why="the recorded writes do not make the disk that was written: $differs"
	grep -qv ' [0-9][0-9]*$' "$record.new/parts" && why="of the parts of the run: $(grep -v ' [0-9][0-9]*$' "$record.new/parts" | head -n 1)"
	for at in 'menu 1' 'menu 2' 'down 1' 'down 2' 'down 3'; do
		# shellcheck disable=SC2086
		[ -n "$why" ] || grub_sees $at || why="at $at GRUB finds another initramfs than the kernel"
	done
	rm -f "$logs/$name".qcow2* "$logs/$name.tar" "$record.new/end"
	[ -n "$why" ] || mv -T "$record.new" "$record"
	return $code
}
# The power goes at a moment of the recorded run. What is half copied onto an ESP does not boot, nor what GRUB, which reads no
# journal, finds half in its place: then somebody comes with a system of his own, which mounts the disk (that plays the
# journal), and boots it by the disk's GRUB, by BIOS.
rescue() {
	qemu-img convert -q -O raw "$logs/$name.first" "$logs/$name.rescued" &&
		take_root "$logs/$name.rescued" "$logs/$name.root" && play_journal "$logs/$name.root" &&
		put_root "$logs/$name.rescued" "$logs/$name.root" &&
		qemu-img convert -q -O qcow2 "$logs/$name.rescued" "$logs/$name.first" || why="the disk cannot be mounted"
	rm -f "$logs/$name.rescued" "$logs/$name.root"
	echo "$name needed another system to boot" >"$logs/$name.note"
}
no_boot='Kernel panic\|BdsDxe: [Ff]ailed to\|BdsDxe: No bootable\|BdsDxe: starting .*"\(UiApp\|EFI Internal Shell\)"'
cuts_run() {
	[ -d "$record" ] || { why="there is no record of the run" && return; }
	begin=$(sed -n "s/^${at%:*} //p" "$record/parts") end=$(sed -n "/^${at%:*} /{n;s/.* //p}" "$record/parts")
	entries=$(awk -v begin="$begin" -v end="$end" -v far="${at#*:}" 'BEGIN { print begin + int(far * (end - begin)) }')
	pack "$record/wished"
	cp --sparse=always "$record/start" "$logs/$name.raw"
	seed=''
	[ "$cache" = kept ] || seed=$entries
	"$folder/build/tests/lab_replay" onto "$logs/$name.raw" "$record/log" "$entries" ${seed:+"$seed"} >"$logs/$name.err" 2>&1 ||
		why="the disk as it was then cannot be made"
	[ -n "$why" ] || first_run "$logs/$name.raw" raw "$no_boot" 1 "$logs/$name.log" 0
	code=$?
	if [ -n "$cut" ]; then
		# from here to there names and places of a new initramfs are under way; elsewhere it must boot by itself
		case $machine:${at%:*} in uefi:* | *:initramfs | *:menu) ;; *) why="it does not boot by itself" ;; esac
		rescue
		second_run intel-4060ti
		code=$?
	fi
	rm -rf "$logs/$name".qcow2* "$logs/$name".first "$logs/$name.first.variables" "$logs/$name.raw" "$logs/$name.tar"
	return $code
}

one() { # KIND NAME MACHINE JOB SECONDS WORDS...
	kind=$1 name=$2 machine=$3 job=$4 seconds=$5 why='' cut=''
	shift 5
	words=$* power='' then='' at='' cache='' how='' way='' disk=''
	[ "$kind" = fast ] || [ "$kind" = boots ] || eval "$words"
	disk=$(realpath "$folder/disk${disk:+-$disk}" 2>/dev/null)
	record=$folder/record-$({ echo "$machine $disk"; cat "$lab/journeys/common.sh" "$lab/journeys/record"; } | sha256sum | cut -c1-16)
	result=$logs/$name.result
	rm -rf "$logs/$name".*
	started=$(date +%s)
	"${kind}_run" "$@"
	code=$?
	took=$(($(date +%s) - started))
	if [ $code = 77 ]; then
		say "skip $name: QEMU cannot run"
		return
	fi
	[ $code = 0 ] || wrong "the machine did not power off in $seconds s (code $code)"
	grep -q '^== end' "$result" 2>/dev/null || wrong "the job did not come to its end"
	[ -n "$why" ] || "judge_$job"
	echo "$took $name" >"$logs/$name.took"
	if [ -z "$why" ]; then say "ok $name"; else say "not ok $name: $why; $logs/$name.log"; fi
}

if [ "${2-}" = one ]; then
	shift 2
	one "$@"
	exit
fi
case ${2-} in boots | some)
	rm -rf "$folder/boots"
	for list in "$lab"/boots*.txt; do boots_split "$list" "$folder/boots" || exit 2; done
	;;
esac
kind=${2-} table=$logs/table
case $kind in
fast) runs=$(printf '%s\n' "$fast" | grep -E "${3-}") ;;
full) runs=$(printf '%s\n' "$full" | grep -E "${3-}") ;;
boots) runs=$(boots_rows "$folder/boots" | grep -E "${3-}") ;;
cuts) runs=$(cuts "${3:-1}" "${4:-30}") table=$logs/cuts-${3:-1} ;;
some) runs=$(some "${3:-1}" "${4:-60}") kind=boots table=$logs/boots-${3:-1} ;;
*) echo "usage: lab.sh FOLDER fast|full|boots [PATTERN], or cuts|some SEED N" >&2; exit 2 ;;
esac
mkdir -p "$logs"
if ! command -v qemu-system-x86_64 >/dev/null || ! qemu-system-x86_64 -device help 2>/dev/null | grep -q x-pci-proxy-dev; then
	say "QEMU with x-pci-proxy-dev is not here: nothing was run"
	say "0 passed, 0 failed, $(printf '%s\n' "$runs" | grep -c .) skipped"
	exit 0
fi
case $kind in
fast) sh "$lab/images.sh" "$folder" || exit ;;
boots) sh "$lab/root.sh" "$folder" || exit ;;
full | cuts)
	printf '%s\n' "$runs" | sed -n 's/.*disk=\([a-z]*\).*/\1/p; t; s/.*//p' | sort -u | while read -r of; do
		sh "$lab/disk.sh" "$folder" "$of" </dev/null || exit
		[ "$kind" = full ] || (one record "record${of:+-$of}" "${of:-intel-4060ti}" record 1500 ${of:+"disk=$of"}) </dev/null || exit
	done || exit
	;;
esac
[ "$table" != "$logs/table" ] || : >"$table"
touch "$table"
grep '^ok [^ ]*$' "$table" >"$table.ok"
mv "$table.ok" "$table"
left=$(printf '%s\n' "$runs" | grep . | while read -r name rest; do grep -qx "ok $name" "$table" || echo "$name $rest"; done)
printf '%s\n' "$left" | grep . | xargs -r -P "$(nproc)" -L 1 sh "$0" "$folder" one "$kind" >>"$table" 2>&1
sort -o "$table" "$table"
cat "$table"
passed=$(grep -c '^ok' "$table") failed=$(grep -c '^not ok' "$table") skipped=$(grep -c '^skip' "$table")
total=$(printf '%s\n' "$runs" | grep -c .)
[ $((passed + failed + skipped)) = "$total" ] || { say "of $total runs $((passed + failed + skipped)) said something"; failed=$((failed + 1)); }
# shellcheck disable=SC2046
[ "$kind" != boots ] || boots_sum $(printf '%s\n' "$runs" | cut -d' ' -f1)
each_run() { printf '%s\n' "$runs" | while read -r run rest; do cat "$logs/$run.$1"; done 2>/dev/null; }
each_run note
say "the longest of them, in seconds: $(each_run took | sort -rn | head -n 5 | paste -sd, - | sed 's/,/, /g')"
say "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
