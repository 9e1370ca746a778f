#!/bin/sh
# lab.sh FOLDER fast|full|boots [PATTERN], or cuts|some SEED N: boots the lab's machines in QEMU (TCG is enough) and judges
# gpuferry by what a real kernel with a real IOMMU does. FOLDER holds the images and a log for each run. Each row of the
# tables below is one run; they go in parallel up to the cores. Nothing is tried twice. Ends like a test: N passed, N failed,
# N skipped. cuts: the power goes at N moments of SEED's; some: N of the boots, as SEED picks them. Asked again for the same
# seed, those that passed before are not run again.
set -u
folder=$(realpath "$1")
lab=$(cd "$(dirname "$0")" && pwd)
logs=$folder/logs

# NAME MACHINE JOB SECONDS WORDS...; the words are the kernel's; the longest first
fast='
stuck             amd-4060ti    stuck   300 amd_iommu=on
see-amd           amd-4060ti    inspect 180 amd_iommu=on
see-intel         intel-igpu    inspect 180 intel_iommu=on
see-twins         twins         inspect 180 intel_iommu=on
see-shared-slot   shared-slot   inspect 180 intel_iommu=on
see-off           iommu-off     inspect 180
see-off-by-word   twins         inspect 180 intel_iommu=off
see-no-remapping  no-remapping  inspect 180 intel_iommu=on
rebind-amd        amd-4060ti    rebind  240 amd_iommu=on
rebind-intel      twins         rebind  240 intel_iommu=on
rebind-off        iommu-off     rebind  240
'
# The same of the full machine. cut=STEP:MS ends QEMU that long after gpuferry began that step; boot:MS, after the machine
# began its second boot
full='
whole             intel-4060ti  whole       1500
unconfirmed       intel-4060ti  unconfirmed 1500
cut-file          intel-4060ti  killed      1500 9:150
cut-initramfs     intel-4060ti  killed      1500 12:20000
cut-boot          intel-4060ti  killed      1500 13:4000
cut-going-on      intel-4060ti  killed      1500 boot:30000
'

# Parts of the run that is recorded for the cuts, in their order: each begins where its pattern stands for the N-th time in
# what the journey says (result) or on the console (log).
parts='
revert     result 1 \[[0-9/]*\] take the change back
early      result 1 \[[0-9/]*\] let vfio-pci take
initramfs  result 1 \[[0-9/]*\] make the initramfs
menu       result 1 \[[0-9/]*\] put the words into the boot menu
down       result 1 the node reboots now
boot       log    2 Booting
up         result 1 == up
'
# N rows: in which part the power goes and how far in it (of what is written there), whether the disk has a cache that loses
# what was not flushed, and what is asked for then.
cuts() { # SEED N
	awk -v seed="$1" -v n="$2" 'BEGIN {
		n_parts = split("revert early initramfs initramfs menu menu down boot", parts, " ")
		srand(seed)
		for (i = 1; i <= n; i++)
			printf "cut-%s-%02d intel-4060ti cut 1500 %s:%.3f %s %s\n", seed, i, parts[int(rand() * n_parts) + 1], rand(),
				rand() < 0.5 ? "kept" : "lost", rand() < 0.6 ? "back" : "on"
	}'
}
some() { # SEED N
	boots_rows "$folder/boots" | awk -v seed="$1" 'BEGIN { srand(seed) } { print rand(), $0 }' | sort -n | head -n "$2" | cut -d' ' -f2-
}

# shellcheck source=tests/lab/boots.sh
. "$lab/boots.sh"

say() { printf '%s\n' "$*"; }
part() { sed -n "/^== $1\$/,/^== /p" "$result" | grep -v '^== '; }
wrong() { why="$why${why:+; }$*"; }

# ---- what each job must have said; why it did not --------------------------------------------------------------------

# The devices that the machine's text names are there, with their ids and classes, and behind an IOMMU in groups as apart
# as the text says.
as_the_text_says() {
	part devices >"$result.devices"
	sed -n 's/^device \([0-9a-f:.]*\) \([0-9a-f:]*\) class=\([0-9a-f]*\).*/\1 \2 \3/p' "$lab/machines/$machine.machine" |
		while read -r address ids class; do
			grep -q "^$address $ids $class " "$result.devices" || echo "$address is not $ids of class $class"
		done >"$result.missing"
	[ ! -s "$result.missing" ] || wrong "$(head -n 1 "$result.missing")"
}
judge_inspect() {
	as_the_text_says
	part inspect >"$result.json"
	grep -q '^== inspect ended with 0' "$result" || wrong "inspect did not end with 0"
	# every display controller the kernel lists, its group, its driver, and who shares the group
	awk '{ split($4, g, "="); split($5, d, "="); group[$1] = g[2]; print $1, $2, $3, g[2], d[2] }' "$result.devices" |
		awk '$3 ~ /^03/ { print $1, $2, ($4 == "" ? "none" : $4), ($5 == "" ? "none" : $5) }' >"$result.kernel"
	jq -r '.gpus[] | "\(.address) \(.vendor):\(.device) \(.iommu_group // "unknown") \(.driver // "unknown")"' "$result.json" \
		>"$result.ours" 2>/dev/null || wrong "what inspect says is no JSON"
	cmp -s "$result.kernel" "$result.ours" || wrong "inspect: $(diff "$result.kernel" "$result.ours" | sed -n 2p), and not as the kernel has it"
	iommu=$(grep -q 'group=[0-9]' "$result.devices" && echo on || echo off)
	[ "$(jq -r .host.iommu "$result.json")" = "$iommu" ] || wrong "inspect says the IOMMU is $(jq -r .host.iommu "$result.json"), it is $iommu"
	# group_state: shared exactly where something that is no bridge and outside the slot is in the group
	jq -r '.gpus[] | "\(.address) \(.group_state // "none") \(.group_others | length)"' "$result.json" |
		while read -r address state others; do
			group=$(sed -n "s/^$address .*group=\([0-9]*\) .*/\1/p" "$result.devices")
			[ -n "$group" ] || continue
			real=$(grep " group=$group " "$result.devices" | grep -v "^${address%.*}" | grep -vc ' 06[0-9a-f]* ')
			[ "$others" = "$real" ] || echo "$address: $others others in its group, the kernel has $real"
			[ "$state" = "$([ "$real" = 0 ] && echo isolated || echo shared)" ] || echo "$address: its group is not $state"
		done >"$result.groups"
	[ ! -s "$result.groups" ] || wrong "$(head -n 1 "$result.groups")"
}
judge_rebind() {
	for address in 0000:01:00.0 0000:01:00.1; do
		before=$(part before | sed -n "s/^$address .*driver=//p")
		said=$(part "bind $address")
		if part before | grep -q 'group=[0-9]'; then
			echo "$said" | grep -q '^apply ok vfio-pci' || wrong "$address: $(echo "$said" | tail -n 1)"
			echo "$said" | grep -q "^undo ok ${before:-none}\$" || wrong "$address did not come back to ${before:-none}"
			[ "$(part after | sed -n "s/^$address .*driver=//p")" = "$before" ] || wrong "$address has another driver in the end"
			grep -q "^== bind $address ended with 0, override (null)" "$result" || wrong "$address: its override stayed"
		else
			echo "$said" | grep -q '^apply failed' || wrong "$address went to vfio-pci without an IOMMU"
		fi
	done
}
judge_stuck() {
	part before | grep -q '^0000:01:00.0 .*driver=lab_gpu' || wrong "the card's driver is not there"
	part bind | grep -q '^apply stuck' || wrong "it does not say that the kernel is stuck: $(part bind | tail -n 1)"
	grep -q '^== bind ended with 1' "$result" || wrong "the step did not end"
}

# ---- the full machine ----
ended() { sed -n "/^== $1\$/,/^== ended/s/^== ended with //p" "$result" | head -n 1; }
drives() { part "$1" | sed -n "s/^$2 driver=//p"; }
as_before() { [ "$(ended differences)" = 0 ] || wrong "not as before: $(part differences | sed -n 2p)"; }
judge_whole() {
	[ "$(ended apply)" = 4 ] || wrong "apply did not ask for the reboot"
	for function in 0 1; do
		[ "$(drives drivers "0000:01:00.$function")" = vfio-pci ] || wrong "after the reboot 01:00.$function is with $(drives drivers "0000:01:00.$function")"
	done
	[ "$(ended confirm)" = 0 ] || wrong "it could not be confirmed"
	part plan-again | grep -q '^nothing to do' || wrong "not as wished: $(part plan-again | head -n 1)"
	part held | grep -q 'it is stopped' && wrong "gpuferry does not see that the guest runs"
	[ "$(drives drivers-off 0000:01:00.0)" = nouveau ] || wrong "with gpuferry=off the card is with $(drives drivers-off 0000:01:00.0)"
	[ "$(drives drivers-after 0000:01:00.0)" = nouveau ] || wrong "taken back the card is with $(drives drivers-after 0000:01:00.0)"
	as_before
}
judge_unconfirmed() {
	[ "$(drives drivers 0000:01:00.0)" = vfio-pci ] || wrong "after the reboot the card is with $(drives drivers 0000:01:00.0)"
	[ "$(drives drivers-after 0000:01:00.0)" = nouveau ] || wrong "taken back the card is with $(drives drivers-after 0000:01:00.0)"
	as_before
}
judge_killed() {
	grep -q '^== cut' "$result" || wrong "the power did not go"
	as_before
}
judge_record() {
	[ "$(ended apply)" = 4 ] || wrong "apply did not ask for the reboot"
	[ "$(drives drivers 0000:01:00.0)" = vfio-pci ] || wrong "after the reboot the card is with $(drives drivers 0000:01:00.0)"
	[ "$(ended wished)" = 0 ] || wrong "how it stands then was not told"
}
judge_cut() { as_before; }

# ---- one run -----------------------------------------------------------------------------------------------------------

board() { # the table's machine, once: WORDS...
	"$folder/build/tests/lab_board" "$lab/machines/$machine.machine" "$result" "$logs/$name.log" "$seconds" "$@" \
		2>>"$logs/$name.err"
}
fast_run() { board kernel "$folder/kernel" "$folder/initrd" quiet "lab=$job" "$@"; }

# What a run brings along: its job, and FILE... beside it.
pack() {
	mkdir -p "$logs/$name.job"
	cp "$lab/journeys/common.sh" "$@" "$logs/$name.job/"
	cp "$lab/journeys/$job" "$logs/$name.job/job"
	sh "$lab/pack.sh" "$logs/$name.job" "$logs/$name.tar"
	rm -rf "$logs/$name.job"
}
disk_run() { # DISK FORMAT [RECORD]: DISK stays as it is
	qemu-img create -q -f qcow2 -b "$1" -F "$2" "$logs/$name.qcow2"
	board disk "$logs/$name.qcow2" "$logs/$name.tar" ${3+"$3"}
}

# Waits until the machine is where the power shall go: STEP:MS. False: it ended before that.
power_goes() {
	case $1 in
	boot:*) pattern='Booting' times=2 place=$logs/$name.log ;;
	*) pattern="\\[${1%:*}/" times=1 place=$result ;;
	esac
	while kill -0 "$2" 2>/dev/null; do
		if [ -e "$place" ] && [ "$(tr '\r' '\n' <"$place" | grep -ac "$pattern")" -ge "$times" ]; then
			sleep "$(echo "${1#*:}" | awk '{ print $1 / 1000 }')"
			kill -0 "$2" 2>/dev/null
			return
		fi
		sleep 0.1
	done
	return 1
}
full_run() { # [STEP:MS]
	pack
	cut=
	if [ $# = 1 ]; then
		# the program itself in the background, so that the signal is its own
		qemu-img create -q -f qcow2 -b "$disk" -F qcow2 "$logs/$name.first"
		"$folder/build/tests/lab_board" "$lab/machines/$machine.machine" "$result" "$logs/$name.log" "$seconds" \
			disk "$logs/$name.first" "$logs/$name.tar" 2>>"$logs/$name.err" &
		power_goes "$1" $! && kill $! && cut=yes
		wait $!
		disk_run "$logs/$name.first" qcow2
	else
		disk_run "$disk" qcow2
	fi
	code=$?
	[ -z "$cut" ] || echo '== cut' >>"$result"
	rm -rf "$logs/$name.qcow2" "$logs/$name.first" "$logs/$name.tar"
	return $code
}

# All that the journey writes to the disk, once; and how many writes there were where each part begins.
record_run() {
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
	# the log is right if it makes of the start what the disk is now
	cp --sparse=always "$record.new/start" "$record.new/end"
	all=$("$folder/build/tests/lab_replay" count "$record.new/log" 999999999999)
	"$folder/build/tests/lab_replay" onto "$record.new/end" "$record.new/log" "$all" >>"$logs/$name.err" 2>&1
	qemu-img compare -q "$record.new/end" "$logs/$name.qcow2" || why="the recorded writes do not make the disk that was written"
	grep -qv ' [0-9][0-9]*$' "$record.new/parts" && why="of the parts of the run: $(grep -v ' [0-9][0-9]*$' "$record.new/parts" | head -n 1)"
	rm -f "$logs/$name.qcow2" "$logs/$name.tar" "$record.new/end"
	[ -n "$why" ] || mv -T "$record.new" "$record"
	return $code
}
# The power goes at a moment of the recorded run: PART:FRACTION kept|lost back|on.
cuts_run() {
	begin=$(sed -n "s/^${1%:*} //p" "$record/parts") end=$(sed -n "/^${1%:*} /{n;s/.* //p}" "$record/parts")
	entries=$(awk -v begin="$begin" -v end="$end" -v far="${1#*:}" 'BEGIN { print begin + int(far * (end - begin)) }')
	mkdir -p "$logs/$name.along"
	echo "$3" >"$logs/$name.along/way"
	pack "$logs/$name.along/way" "$record/wished"
	cp --sparse=always "$record/start" "$logs/$name.raw"
	[ "$2" = kept ] && seed= || seed=$entries
	"$folder/build/tests/lab_replay" onto "$logs/$name.raw" "$record/log" "$entries" ${seed:+"$seed"} >"$logs/$name.err" 2>&1 ||
		why="the disk as it was then cannot be made"
	[ -n "$why" ] || disk_run "$logs/$name.raw" raw
	code=$?
	rm -rf "$logs/$name.qcow2" "$logs/$name.raw" "$logs/$name.tar" "$logs/$name.along"
	return $code
}

one() { # KIND NAME MACHINE JOB SECONDS WORDS...
	kind=$1 name=$2 machine=$3 job=$4 seconds=$5 why='' words=''
	shift 5
	[ "$kind" != cuts ] || words=" $*"
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
	if [ -z "$why" ]; then say "ok $name$words ($took s)"; else say "not ok $name$words ($took s): $why; $logs/$name.log"; fi
}

disk=$(realpath "$folder/disk" 2>/dev/null)
record=$folder/record-$({ echo "$disk"; cat "$lab/journeys/common.sh" "$lab/journeys/record"; } | sha256sum | cut -c1-16)
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
if [ "$kind" = cuts ] && [ ! -e "$record" ]; then
	(one record record intel-4060ti record 1500)
	[ -e "$record" ] || exit 1
fi
[ "$table" != "$logs/table" ] || : >"$table"
touch "$table"
grep '^ok ' "$table" >"$table.ok"
mv "$table.ok" "$table"
left=$(printf '%s\n' "$runs" | grep . | while read -r name rest; do grep -q "^ok $name " "$table" || echo "$name $rest"; done)
printf '%s\n' "$left" | grep . | xargs -r -P "$(nproc)" -L 1 sh "$0" "$folder" one "$kind" >>"$table" 2>&1
sort -o "$table" "$table"
cat "$table"
passed=$(grep -c '^ok' "$table") failed=$(grep -c '^not ok' "$table") skipped=$(grep -c '^skip' "$table")
total=$(printf '%s\n' "$runs" | grep -c .)
[ $((passed + failed + skipped)) = "$total" ] || { say "of $total runs $((passed + failed + skipped)) said something"; failed=$((failed + 1)); }
# shellcheck disable=SC2046
[ "$kind" != boots ] || boots_sum $(printf '%s\n' "$runs" | cut -d' ' -f1)
say "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
