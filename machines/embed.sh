#!/bin/sh
# Turns machines into C strings: output file first, then the *.machine files. A machine that says no "about" is a base:
# others build on it, lists do not show it.
set -eu
out=$1
shift

table() { # name of the table, then the files
	table=$1
	shift
	echo "const struct machine_builtin ${table}[] = {"
	for file; do
		name=$(basename "$file" .machine)
		about=$(sed -n 's/^about //p' "$file" | head -n 1 | sed 's/\\/\\\\/g; s/"/\\"/g')
		printf '{ "%s", "%s",\n' "$name" "$about"
		sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g; s/^/"/; s/$/\\n"/' "$file"
		echo '},'
	done
	echo '{ 0 } };'
}

shown='' bases=''
for file; do
	if grep -q '^about ' "$file"; then shown="$shown $file"; else bases="$bases $file"; fi
done
{
	echo '/* made from machines/NAME.machine */'
	echo '#include "rehearse/machine.h"'
	echo '#pragma GCC diagnostic ignored "-Woverlength-strings"'
	# shellcheck disable=SC2086 # the names hold no blanks
	table machine_builtins $shown
	# shellcheck disable=SC2086
	table machine_bases $bases
} >"$out"
