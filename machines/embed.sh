#!/bin/sh
# Turns machines/*.machine into C strings. Output file first, then the folder.
set -eu
out=$1 folder=$2
{
	echo '/* made from machines/*.machine */'
	echo '#include "rehearse/machine.h"'
	echo 'const struct machine_builtin machine_builtins[] = {'
	for file in "$folder"/*.machine; do
		[ -e "$file" ] || continue
		name=$(basename "$file" .machine)
		about=$(sed -n 's/^about //p' "$file" | head -n 1 | sed 's/\\/\\\\/g; s/"/\\"/g')
		printf '{ "%s", "%s",\n' "$name" "$about"
		sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g; s/^/"/; s/$/\\n"/' "$file"
		echo '},'
	done
	echo '{ 0 } };'
} >"$out"
