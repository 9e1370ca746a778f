#!/bin/sh
# Puts what the program prints now into the README's blocks: readme-update.sh GPUFERRY
set -eu
cd "$(dirname "$0")/.."
gpuferry=$1
export LC_ALL=C.UTF-8
new=$(mktemp)
trap 'rm -f "$new"' EXIT
skip=
while IFS= read -r line; do
	case $line in
	'```') skip= ;;
	'$ gpuferry '*)
		printf '%s\n' "$line" >>"$new"
		# shellcheck disable=SC2086
		"$gpuferry" ${line#\$ gpuferry } >>"$new" || [ $? -le 6 ]
		skip=yes
		continue
		;;
	esac
	[ -n "$skip" ] || printf '%s\n' "$line" >>"$new"
done <README.md
cat "$new" >README.md
