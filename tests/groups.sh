#!/bin/sh
# group_state against an independent reading of raw listings that people published: the listing is read here by awk, the
# tree made from it by gpuferry, and both must say the same of every GPU. Needs the captures beside the checkout.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
gpuferry=${GPUFERRY:-build/gpuferry}
data=${GPUFERRY_DATA:-../shared/data}

# A listing -> one line per GPU: "ADDRESS GROUP STATE OTHERS...". Two forms are in use:
#   IOMMU Group 12 01:00.0 VGA compatible controller [0300]: ... [10de:2803]    (the group may stand on a line above)
#   Group 12: [10de:2803] [R] 01:00.0  VGA compatible controller   ...
read_listing() {
	awk '
	function full(address) { return address ~ /^[0-9a-f]+:[0-9a-f]+:/ ? address : "0000:" address }
	{ sub(/\r$/, "") }
	/Group [0-9]+/ { group = $0; sub(/^.*Group /, "", group); sub(/[^0-9].*$/, "", group); grouped = 1 }
	match($0, /[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]\.[0-7] /) {
		address = full(substr($0, RSTART, RLENGTH - 1))
		what = substr($0, RSTART + RLENGTH)
		sub(/^ +/, "", what)
		if (what !~ /\[[0-9a-f][0-9a-f][0-9a-f][0-9a-f]\]:/ && $0 !~ /^Group/) next
		if (address in of) next
		of[address] = grouped ? group : "none"
		bridge[address] = what ~ /^(Host|PCI|ISA|Semi-transparent PCI-to-PCI|[A-Za-z-]+) bridge/ || what ~ /^Bridge/
		gpu[address] = what ~ /^(VGA compatible controller|3D controller|Display controller|XGA compatible controller)/
		order[++count] = address
	}
	END {
		for (i = 1; i <= count; i++) {
			a = order[i]
			if (!gpu[a]) continue
			slot = a; sub(/\.[0-7]$/, "", slot)
			others = ""
			for (j = 1; j <= count; j++) {
				b = order[j]
				if (index(b, slot ".") != 1 && of[b] == of[a] && of[b] != "none" && !bridge[b]) others = others " " b
			}
			print a, of[a], (of[a] == "none" ? "null" : others == "" ? "isolated" : "shared") others
		}
	}' "$1" | sort
}

ours() {
	jq -r '.gpus[] | "\(.address) \(.iommu_group // "none") \(.group_state)\((.group_others // []) | sort | map(" " + .) | add // "")"' | sort
}

[ -d "$data/iommu/tree" ] || { skip "group_state of published listings" "no captures beside the checkout"; done_testing; exit 0; }
for tree in "$data"/iommu/tree/*.tar.gz; do
	name=$(basename "$tree" .tar.gz)
	read_listing "$data/iommu/$name.txt" >"$work/expected"
	run "$gpuferry" inspect --json --machine "$tree"
	ours <"$work/out" >"$work/got"
	[ $code = 0 ] && [ -s "$work/expected" ] && cmp -s "$work/expected" "$work/got" || { diff "$work/expected" "$work/got" | sed 's/^/# /'; false; }
	ok "$name ($(wc -l <"$work/expected") GPUs)"
	jq -e '.host.cmdline == null and any(.blind[]; .what | test("pcie_acs_override"))' "$work/out" >/dev/null
	ok "$name: that ACS is unknown is said"
done
done_testing
