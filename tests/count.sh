#!/bin/sh
# Counts the TAP lines of meson's log and prints one closing line for whoever reads the run.
set -eu
awk '
	/^ok [0-9]+/ { if (/# SKIP/ || /# skip/) skipped++; else passed++ }
	/^not ok [0-9]+/ { failed++ }
	END {
		printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
		exit failed > 0 || passed == 0
	}' "$1"
