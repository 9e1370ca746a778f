#!/bin/sh
# page.sh GPUFERRY SCDOC PAGE.scd OUT: puts the program's tables where the page says @verbs@ or @options@.
set -eu
gpuferry=$1 scdoc=$2 page=$3 out=$4
while IFS= read -r line; do
	case $line in
	@verbs@ | @options@ | @goal@)
		word=${line#@}
		"$gpuferry" --print "${word%@}"
		;;
	*) printf '%s\n' "$line" ;;
	esac
done <"$page" | "$scdoc" >"$out"
