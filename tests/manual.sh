#!/bin/sh
# The manual and the documents against the tables: what a table has, the pages name, and the other way round.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
gpuferry=${GPUFERRY:-build/gpuferry}
source=${GPUFERRY_SOURCE:-.}

for verb in $("$gpuferry" --print verbs | sed -n 's/^\*\([a-z]*\)\*.*/\1/p'); do
	[ -e "$source/man/gpuferry-$verb.1.scd" ]; ok "$verb has a manual page"
	grep -qF "| \`$verb" "$source/README.md"; ok "$verb stands in the README"
done
for page in "$source"/man/*.scd; do
	# options named in a page must exist
	for option in $(grep -oE '\*--[a-z-]+\*' "$page" | tr -d '*' | sort -u); do
		{ "$gpuferry" --print options; "$gpuferry" --print goal; } | grep -qF -- "*$option*" || [ "$option" = --print ]
		ok "$(basename "$page") names $option, which exists"
	done
done
# the machine form stands in two places: a page and a document
statements() {
	sed -n '/^| `/s/\([^\\]\) |.*/\1/p' "$source/docs/machines.md" | grep -oE '`[a-z][a-z0-9_]*' | tr -d '`' | sort -u
}
sed 's/\\\(.\)/\1/g' "$source/man/gpuferry.machine.5.scd" >"$work/page"
statements | while IFS= read -r statement; do
	grep -qE "^(\*.*(, | to ))?\*$statement([ *].*)?" "$work/page" || echo "# $statement"
done >"$work/missing"
cat "$work/missing"
[ "$(statements | wc -l)" -gt 40 ] && [ ! -s "$work/missing" ]; ok "gpuferry.machine(5) has every statement of docs/machines.md"
"$gpuferry" --print rules >"$work/rules.md"
cmp "$work/rules.md" "$source/docs/rules.md" >"$work/out" 2>&1; ok "docs/rules.md is what the tables print (./do docs)"
"$gpuferry" --print metrics >"$work/metrics.md"
cmp "$work/metrics.md" "$source/docs/metrics.md" >"$work/out" 2>&1; ok "docs/metrics.md is what the table prints (./do docs)"
# every key of the JSON documents is described
for machine in amd-4060ti guide-wrong iommu-off shared-slot; do
	for verb in inspect verify "plan --gpu nvidia --into vm/100" rehearse "rollback --list"; do
		case $verb in rollback*) where= ;; *) where="--machine $machine" ;; esac
		# shellcheck disable=SC2086
		"$gpuferry" $verb --json $where | jq -r '[paths | map(select(type == "string")) | last] | unique | .[]' 2>/dev/null >"$work/keys"
		while IFS= read -r key; do
			grep -qF "\`$key\`" "$source/docs/json.md" || { echo "# $key"; false; }
			ok "docs/json.md describes $key ($verb)"
		done <"$work/keys"
	done
done
done_testing
