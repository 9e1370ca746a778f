# shellcheck shell=sh disable=SC2154
# judge_fast.sh: what each job of the fast machine must have said; part and wrong are lab.sh's.

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
