#!/bin/sh
# A folder includes itself and what its arrows reach (docs/design.md); anything else is a mistake in the structure.
# Prints TAP: one line per folder.
set -eu
cd "$(dirname "$0")/../src"

may() {
	case $1 in
	base) echo base ;;
	sys) echo base sys ;;
	facts) echo base sys facts ;;
	rules) echo base facts rules ;;
	plan) echo base facts rules plan ;;
	exec) echo base sys facts rules plan exec ;;
	media) echo base sys facts media ;;
	serve) echo base sys facts rules media serve ;;
	rehearse) echo base sys facts rehearse ;;
	cli) echo base sys facts rules plan exec media serve rehearse cli ;;
	esac
}

failed=0 n=0
echo "1..10"
for folder in base sys facts rules plan exec media serve rehearse cli; do
	n=$((n + 1))
	wrong=
	for included in $(cat "$folder"/*.[ch] 2>/dev/null | sed -n 's/^#include "\([a-z]*\)\/.*/\1/p' | sort -u); do
		case " $(may "$folder") " in *" $included "*) ;; *) wrong="$wrong $included" ;; esac
	done
	# rules and plan are pure: they see facts, never a world
	case $folder in rules | plan)
		if grep -nE 'world_[a-z]+ *\(|"sys/' "$folder"/*.[ch] 2>/dev/null; then wrong="$wrong world"; fi ;;
	esac
	if [ -z "$wrong" ]; then
		echo "ok $n - $folder"
	else
		echo "not ok $n - $folder may not know:$wrong"
		failed=1
	fi
done
exit $failed
