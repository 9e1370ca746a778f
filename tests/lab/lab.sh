#!/bin/sh
# lab.sh FOLDER fast: boots the lab's machines in QEMU (TCG is enough) and judges gpuferry by what a real kernel with a
# real IOMMU does. FOLDER holds the images and a log for each run. Each row of the table below is one run; they go in
# parallel up to the cores. Nothing is tried twice. Ends like a test: N passed, N failed, N skipped.
set -u
folder=$(realpath "$1")
lab=$(cd "$(dirname "$0")" && pwd)
board=$folder/build/tests/lab_board
logs=$folder/logs

# NAME MACHINE JOB SECONDS WORDS...
runs='
see-amd           amd-4060ti    inspect 90 amd_iommu=on
see-intel         intel-igpu    inspect 90 intel_iommu=on
see-twins         twins         inspect 90 intel_iommu=on
see-shared-slot   shared-slot   inspect 90 intel_iommu=on
see-off           iommu-off     inspect 90
see-off-by-word   twins         inspect 90 intel_iommu=off
see-no-remapping  no-remapping  inspect 90 intel_iommu=on
rebind-amd        amd-4060ti    rebind  120 amd_iommu=on
rebind-intel      twins         rebind  120 intel_iommu=on
rebind-off        iommu-off     rebind  120
stuck             amd-4060ti    stuck   180 amd_iommu=on
'

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

# ---- one run -----------------------------------------------------------------------------------------------------------

one() { # NAME MACHINE JOB SECONDS WORDS...
	name=$1 machine=$2 job=$3 seconds=$4 why=
	shift 4
	result=$logs/$name.result
	rm -f "$logs/$name".*
	started=$(date +%s)
	"$board" "$lab/machines/$machine.machine" "$result" "$logs/$name.log" "$seconds" kernel "$folder/kernel" "$folder/initrd" \
		quiet "lab=$job" "$@" 2>"$logs/$name.err"
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
[ "${2-}" = fast ] || { echo "usage: lab.sh FOLDER fast" >&2; exit 2; }
mkdir -p "$logs"
if ! command -v qemu-system-x86_64 >/dev/null || ! qemu-system-x86_64 -device help 2>/dev/null | grep -q x-pci-proxy-dev; then
	say "QEMU with x-pci-proxy-dev is not here: nothing was run"
	say "0 passed, 0 failed, $(printf '%s' "$runs" | grep -c .) skipped"
	exit 0
fi
printf '%s' "$runs" | grep . | xargs -P "$(nproc)" -L 1 sh "$0" "$folder" one >"$logs/table" 2>&1
sort "$logs/table"
passed=$(grep -c '^ok' "$logs/table") failed=$(grep -c '^not ok' "$logs/table") skipped=$(grep -c '^skip' "$logs/table")
total=$(printf '%s' "$runs" | grep -c .)
[ $((passed + failed + skipped)) = "$total" ] || { say "of $total runs $((passed + failed + skipped)) said something"; failed=$((failed + 1)); }
say "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
