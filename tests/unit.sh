#!/bin/sh
# unit.sh PROGRAM: runs a cmocka program and puts its output into strict TAP: cmocka writes "not ok N # SKIP" for a test
# that was skipped, and what a test says for people must stand behind a #.
set -u
out=$(mktemp)
trap 'rm -f "$out"' EXIT
code=0
"$@" >"$out" || code=$?
sed -E -e 's/^not ok ([0-9]+) # SKIP (.*)/ok \1 - \2 # SKIP/' -e '/^(ok |not ok |1\.\.|#|TAP version|Bail out!)/!s/^/# /' "$out"
exit $code
