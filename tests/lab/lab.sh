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
# The same of the full machine. Its words: power=STEP:MS ends QEMU that long after gpuferry began that step, or, of
# boot:MS, after the machine began its second boot; then=MACHINE is what the journey goes on with when it has ended the first;
# disk=KIND is the disk's (disk.sh); others go to the journey.
full='
whole             intel-4060ti  whole       1500
whole-uefi        uefi          whole       1500 disk=uefi
unconfirmed       intel-4060ti  revert      1500 how=time
second-boot       intel-4060ti  revert      1500 how=second-boot
emergency         intel-4060ti  revert      1500 how=emergency
no-cluster        intel-4060ti  revert      1500 how=no-cluster
script-emergency  intel-4060ti  script      1500 how=emergency
script-chroot     intel-4060ti  script      1500 how=chroot
script-root       intel-4060ti  script      1500 how=root
twins             twins         twins       1500
twins-moved       twins         twins       1500 then=twins-moved
wrong-file        intel-4060ti  inherited   1500 how=wrong-file
never-made        intel-4060ti  inherited   1500 how=never-made
stale             intel-4060ti  inherited   1500 how=stale
emergency-uefi    uefi          revert      1500 disk=uefi how=emergency
script-chroot-uefi uefi         script      1500 disk=uefi how=chroot
cut-file          intel-4060ti  killed      1500 power=9:150
cut-initramfs     intel-4060ti  killed      1500 power=12:20000
cut-boot          intel-4060ti  killed      1500 power=13:4000
cut-going-on      intel-4060ti  killed      1500 power=boot:30000
'
# Parts of the run that is recorded for the cuts, in their order: each begins where its pattern stands for the N-th time in
# what the journey says (result) or on the console (log).
parts='
revert     result 1 \[[0-9/]*\] take the change back
early      result 1 \[[0-9/]*\] let vfio-pci take
initramfs  result 1 \[[0-9/]*\] make the initramfs
menu       result 1 \[[0-9/]*\] put the words into the boot menu
down       result 1 the node reboots now
boot       log    2 Booting\|BdsDxe: starting
up         result 1 == up
'
# N rows, one in three by UEFI: in which part the power goes and how far in it (of what is written there), whether the disk has a cache that loses
# what was not flushed, and what is asked for then.
cuts() { # SEED N
	awk -v seed="$1" -v n="$2" 'BEGIN {
		n_parts = split("revert early initramfs initramfs menu menu down boot", parts, " ")
		srand(seed)
		for (i = 1; i <= n; i++)
			printf "cut-%s-%02d %s cut 1500 at=%s:%.3f cache=%s way=%s%s\n", seed, i, i % 3 ? "intel-4060ti" : "uefi",
				parts[int(rand() * n_parts) + 1], rand(), rand() < 0.5 ? "kept" : "lost",
				rand() < 0.6 ? "back" : "on", i % 3 ? "" : " disk=uefi"
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
# Each display controller of lspci -vmm, with the others of its slot and its group: as inspect tells them.
lspci_displays() {
	awk -v RS= -F '\n' '
	function ids(text) { return substr(text, length(text) - 4, 4) }
	function name(text) { return substr(text, 1, length(text) - 7) }
	function joined(list, more) { return list (list == "" ? "" : ",") more }
	{
		split("", tag)
		for (i = 1; i <= NF; i++) tag[substr($i, 1, index($i, ":") - 1)] = substr($i, index($i, ":") + 2)
		at[NR] = tag["Slot"]; slot[NR] = substr(tag["Slot"], 1, 10); class[NR] = ids(tag["Class"]); group[NR] = tag["IOMMUGroup"]
		line[NR] = ids(tag["Vendor"]) ":" ids(tag["Device"]) " " class[NR] tag["ProgIf"] " " \
			(tag["SVendor"] == "" ? "null" : ids(tag["SVendor"]) ":" ids(tag["SDevice"])) " " \
			(tag["Driver"] == "" ? "none" : tag["Driver"]) " " \
			(group[NR] == "" ? "none" : group[NR]) " " name(tag["Vendor"]) " " name(tag["Device"])
	}
	END {
		for (i = 1; i <= NR; i++) {
			functions = others = ""
			for (j = 1; class[i] ~ /^03/ && j <= NR; j++)
				if (slot[j] == slot[i]) functions = joined(functions, at[j])
				else if (group[i] != "" && group[j] == group[i] && class[j] !~ /^06/) others = joined(others, at[j])
			if (class[i] ~ /^03/) print at[i], line[i], "functions=" functions, "others=" others
		}
	}'
}
as_lspci_says() {
	part lspci | lspci_displays >"$result.lspci"
	jq -r '.gpus[] | "\(.address) \(.vendor):\(.device) \(.class) \(.subsystem) \(.driver) \(.iommu_group) \(.name)" +
		" functions=\(.functions | join(",")) others=\(.group_others // [] | join(","))"' "$result.json" >"$result.ours"
	cmp -s "$result.lspci" "$result.ours" || wrong "inspect: $(diff "$result.lspci" "$result.ours" | tr '\n' ' '), the first as lspci has it"
	part displays >"$result.kernel"
	jq -r '.gpus[] | "\(.address) boot=\(if .boot_display then 1 else 0 end) reset=\(.reset_methods | join(" "))"' "$result.json" \
		>"$result.ours"
	cmp -s "$result.kernel" "$result.ours" || wrong "inspect: $(diff "$result.kernel" "$result.ours" | sed -n 4p), and not as the kernel has it"
	part capabilities | awk '/^[0-9a-f]/ { at = $1 } /FLReset\+/ { print at }' >"$result.lspci"
	jq -r '.gpus[] | select(.reset_methods | index("flr")) | .address' "$result.json" | cmp -s - "$result.lspci" ||
		wrong "which displays can reset one function: lspci says $(tr '\n' ' ' <"$result.lspci")"
}
judge_inspect() {
	as_the_text_says
	part inspect >"$result.json"
	grep -q '^== inspect ended with 0' "$result" || wrong "inspect did not end with 0"
	jq -e . "$result.json" >/dev/null 2>&1 || wrong "what inspect says is no JSON"
	as_lspci_says
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
# What gpuferry's plan refuses, the kernel refuses, and nothing else: a group that others with drivers are in is not viable,
# without interrupt remapping there is no IOMMU for a VM.
as_the_plan_says() {
	sed -n "s/^$card .* group=\([0-9]*\) .*/ group=\1 /p" "$result.before" | grep -F -f - "$result.before" |
		grep -v -e "^${card%.*}" -e ' 06[0-9a-f]* ' >"$result.others"
	remapping=$(grep -q '^iommu .*remapping=0' "$lab/machines/$machine.machine" && echo no || echo yes)
	viable=$(grep -q 'driver=[^ ]' "$result.others" && echo no || echo yes)
	part plan >"$result.json"
	refuses() { jq -e --arg rule "$1" '[.refused[].rule] | index($rule)' "$result.json" >/dev/null && echo yes || echo no; }
	part bind | grep -q "^viable $viable" || wrong "whether the group is viable: $(part bind | grep ^viable), wished: $viable"
	[ "$(refuses gpu.group)" != "$viable" ] || wrong "the group is viable: $viable, and the plan does not say so"
	cut -d' ' -f1 "$result.others" | while read -r other; do
		grep -q "also holds .*$other" "$result.json" || echo "$other"
	done >"$result.unnamed"
	[ ! -s "$result.unnamed" ] || wrong "the plan does not name $(head -n 1 "$result.unnamed")"
	[ "$(refuses node.interrupt-remapping)" != "$remapping" ] || wrong "remapping is there: $remapping, and the plan does not say so"
	case $viable$remapping in
	no*) part bind | grep -q '^container failed: Operation not permitted' || wrong "a group that is not viable was taken" ;;
	yesno) part bind | grep -q '^iommu failed: Operation not permitted' || wrong "without remapping an IOMMU was given" ;;
	esac
	[ "$(part kernel | grep -q 'No interrupt remapping support' && echo no || echo yes)" = "$remapping" ] ||
		wrong "remapping is there: $remapping, and the kernel says otherwise"
}
given() { part bind | sed -n "s/^$1 \([^ ]*\) ok .*/\1/p"; } # before, apply or undo: those with which that went well
judge_group() {
	part card | tr ' ' '\n' >"$result.card"
	card=$(head -n 1 "$result.card")
	part before >"$result.before"
	[ "$(wc -l <"$result.card")" = 2 ] || wrong "the card has not two functions"
	[ "$(sed -n "s/^$card.* driver=\([^ ]*\) .*/\1/p" "$result.before")" = lab_gpu ] || wrong "the card's driver is not there"
	part after | cmp -s - "$result.before" || wrong "not as before: $(part after | diff "$result.before" - | sed -n 2p)"
	if grep -q "^$card .* group= " "$result.before"; then
		grep -q "^apply $card failed" "$result" || wrong "$card went to vfio-pci without an IOMMU"
		return
	fi
	given apply | cmp -s - "$result.card" || wrong "not all went to vfio-pci: $(part bind | grep ^apply | tail -n 1)"
	given undo | tac | cmp -s - "$result.card" || wrong "not all came back in reverse: $(part bind | tail -n 1)"
	as_the_plan_says
	if [ "$viable$remapping" = yesyes ]; then
		# what a VM would have of each function is what sysfs showed of it
		sed -n 's/^device \([^ ]* ok [^ ]* [^ ]*\) regions=9 bar=1048576 .*/\1/p' "$result" >"$result.theirs"
		grep -F -f "$result.card" "$result.before" | sed 's/ \([^ ]* [^ ]*\) .*/ ok \1/' | cmp -s - "$result.theirs" ||
			wrong "a VM gets other devices than sysfs shows: $(part bind | grep ^device | tail -n 1)"
		grep -q '^== bind ended with 0' "$result" || wrong "it did not end well"
	fi
	# where the neighbours made it so, gpuferry leaves them alone, and without them it is viable
	[ "$viable" = no ] || return
	part neighbours | grep -q '^apply .* cannot change its driver now: it belongs to no GPU' || wrong "a neighbour was taken"
	part neighbours | grep -q '^viable yes' || wrong "without the neighbours' drivers the group is not viable"
}
# A guest gets the card, or QEMU says why not, in the words that gpuferry's rule quotes.
judge_nested() {
	judge_group
	part guest >"$result.guest"
	number=$(sed -n "s/^$card .* group=\([0-9]*\) .*/\1/p" "$result.before")
	case $viable$remapping in
	no*)
		grep -q "group $number is not viable" "$result.guest" && grep -q 'Please ensure all devices within the iommu_group' "$result.guest" ||
			wrong "of a group that is not viable QEMU says: $(head -n 1 "$result.guest")"
		;;
	yesno)
		said=$(jq -r '.refused[] | select(.rule == "node.interrupt-remapping") | .why | capture("\"(?<words>.*)\"").words' "$result.json")
		grep -iqF "${said:-nothing}" "$result.guest" || wrong "QEMU says: $(head -n 1 "$result.guest"), and not: $said"
		;;
	yesyes)
		sed -n 's/^\([^ ]*\) \([^ ]*\) .*/\1 \2/p' "$result.before" | grep -F -f "$result.card" |
			sed 's/.*\(.\) \(.*\)/01:00.\1 id=\2/' >"$result.wished"
		sed -n 's/^PCI: init bdf=\(01:.*\)/\1/p' "$result.guest" | cmp -s - "$result.wished" ||
			wrong "the guest sees $(grep -c 'bdf=01:' "$result.guest") functions, not those of the card"
		[ "$(grep -c 'map device bdf=01:00.* size 00100000 ' "$result.guest")" = 2 ] || wrong "the guest does not map the card's memory"
		part held | grep -q "release now *no: qemu-system-x86.* has /dev/vfio/$number open" || wrong "inspect does not see who has the card"
		part held | grep -q "^apply $card failed .* has /dev/vfio/$number open" || wrong "the card could be taken from a guest that runs"
		grep -q '^== guest ended with 0' "$result" || wrong "the guest did not end well"
		;;
	esac
}
judge_stuck() {
	part before | grep -q '^0000:01:00.0 .*driver=lab_gpu ' || wrong "the card's driver is not there"
	part bind | grep -q '^apply [^ ]* stuck' || wrong "it does not say that the kernel is stuck: $(part bind | tail -n 1)"
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
taken_and_back() {
	# in emergency mode nobody has loaded a driver yet
	[ "$how" = emergency ] && part words | grep -q intel_iommu=on || [ "$(drives drivers 0000:01:00.0)" = vfio-pci ] || wrong "after the reboot the card is with $(drives drivers 0000:01:00.0)"
	[ "$(drives drivers-after 0000:01:00.0)" = nouveau ] || wrong "taken back the card is with $(drives drivers-after 0000:01:00.0)"
	as_before
}
judge_revert() {
	taken_and_back
	[ "$how" != emergency ] || [ "$(part mode | head -n 1)" = active ] || wrong "it was not in emergency mode"
	[ "$how" != no-cluster ] || [ "$(part cluster | head -n 1)" = 0 ] || wrong "/etc/pve was there"
}
judge_script() {
	taken_and_back
	[ "$(ended script)" = 0 ] || wrong "rollback.sh ended with $(ended script)"
}
judge_inherited() { taken_and_back; }
judge_twins() {
	if [ -n "$then" ]; then
		[ "$(drives drivers 0000:01:00.0)" = nvme ] || wrong "what is in the card's place now is with $(drives drivers 0000:01:00.0)"
		part drivers | grep -q vfio-pci && wrong "vfio-pci has $(part drivers | grep vfio-pci | head -n 1)"
	else
		for function in 0 1; do
			[ "$(drives drivers "0000:01:00.$function")" = vfio-pci ] ||
				wrong "the chosen 01:00.$function is with $(drives drivers "0000:01:00.$function")"
		done
		[ "$(drives drivers 0000:02:00.0)" = nouveau ] || wrong "its twin is with $(drives drivers 0000:02:00.0)"
	fi
	part kernel | grep -q 'nouveau .*: probed' || wrong "nouveau has not come at all"
	part kernel | grep -q 'nouveau 0000:01:00.0: probed' && wrong "nouveau had the chosen card before vfio-pci"
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
fast_run() {
	initrd=$folder/initrd
	[ "$job" != nested ] || initrd=$folder/initrd-nested
	board kernel "$folder/kernel" "$initrd" quiet "lab=$job" "$@"
}

# What a run brings along: its job, its words, and FILE... beside it.
pack() {
	mkdir -p "$logs/$name.job"
	cp "$lab/journeys/common.sh" "$@" "$logs/$name.job/"
	cp "$lab/journeys/$job" "$logs/$name.job/job"
	echo "${words:-:}" >"$logs/$name.job/words"
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
	boot:*) pattern='Booting\|BdsDxe: starting' times=2 place=$logs/$name.log ;;
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
# Its first machine, which is ended (power) or ends itself (then); what it says is kept beside what the second says.
first_run() {
	qemu-img create -q -f qcow2 -b "$disk" -F qcow2 "$logs/$name.first"
	# the program itself in the background, so that the signal is its own
	"$folder/build/tests/lab_board" "$lab/machines/$machine.machine" "$result" "$logs/$name.log" "$seconds" \
		disk "$logs/$name.first" "$logs/$name.tar" 2>>"$logs/$name.err" &
	[ -z "$power" ] || { power_goes "$power" $! && kill $! && cut=yes; }
	wait $!
	mv "$result" "$result.first"
}
full_run() {
	pack
	cut=''
	if [ -n "$power$then" ]; then
		first_run
		machine=${then:-$machine}
		disk_run "$logs/$name.first" qcow2
	else
		disk_run "$disk" qcow2
	fi
	code=$?
	[ -z "$cut" ] || echo '== cut' >>"$result"
	rm -rf "$logs/$name".qcow2* "$logs/$name".first* "$logs/$name.tar"
	return $code
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
	# the log is right if it makes of the start what the disk is now
	cp --sparse=always "$record.new/start" "$record.new/end"
	all=$("$folder/build/tests/lab_replay" count "$record.new/log" 999999999999)
	"$folder/build/tests/lab_replay" onto "$record.new/end" "$record.new/log" "$all" >>"$logs/$name.err" 2>&1
	qemu-img compare -q "$record.new/end" "$logs/$name.qcow2" || why="the recorded writes do not make the disk that was written"
	grep -qv ' [0-9][0-9]*$' "$record.new/parts" && why="of the parts of the run: $(grep -v ' [0-9][0-9]*$' "$record.new/parts" | head -n 1)"
	rm -f "$logs/$name".qcow2* "$logs/$name.tar" "$record.new/end"
	[ -n "$why" ] || mv -T "$record.new" "$record"
	return $code
}
# The power goes at a moment of the recorded run.
cuts_run() {
	begin=$(sed -n "s/^${at%:*} //p" "$record/parts") end=$(sed -n "/^${at%:*} /{n;s/.* //p}" "$record/parts")
	entries=$(awk -v begin="$begin" -v end="$end" -v far="${at#*:}" 'BEGIN { print begin + int(far * (end - begin)) }')
	pack "$record/wished"
	cp --sparse=always "$record/start" "$logs/$name.raw"
	seed=''
	[ "$cache" = kept ] || seed=$entries
	"$folder/build/tests/lab_replay" onto "$logs/$name.raw" "$record/log" "$entries" ${seed:+"$seed"} >"$logs/$name.err" 2>&1 ||
		why="the disk as it was then cannot be made"
	[ -n "$why" ] || disk_run "$logs/$name.raw" raw
	code=$?
	rm -rf "$logs/$name".qcow2* "$logs/$name.raw" "$logs/$name.tar"
	return $code
}

one() { # KIND NAME MACHINE JOB SECONDS WORDS...
	kind=$1 name=$2 machine=$3 job=$4 seconds=$5 why=''
	shift 5
	words=$* power='' then='' at='' cache='' how='' disk=''
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
	if [ -z "$why" ]; then say "ok $name ($took s)"; else say "not ok $name ($took s): $why; $logs/$name.log"; fi
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
