#!/bin/sh
# Turns rollback.sh into a C string: output file, input file.
set -eu
{
	echo '/* made from src/exec/rollback.sh */'
	echo '#include "exec/rescue.h"'
	echo '#pragma GCC diagnostic ignored "-Woverlength-strings"'
	echo 'const char rescue_text[] ='
	sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g; s/^/"/; s/$/\\n"/' "$2"
	echo ';'
} >"$1"
