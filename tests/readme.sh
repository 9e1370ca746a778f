#!/bin/sh
# What the README shows is what the program prints. The names in inspect come from the pci.ids of the machine the tests
# run on, so of inspect only the lines without a name are held.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
gpuferry=${GPUFERRY:-build/gpuferry}
source=${GPUFERRY_SOURCE:-.}
export LC_ALL=C.UTF-8

awk -v work="$work" '/^```/ { block = !block; if (block) n++; next } block { print >(work "/block" n) }' "$source/README.md"
for block in "$work"/block*; do
	command=$(sed -n '1s/^\$ gpuferry //p' "$block")
	[ -n "$command" ] || continue
	sed 1d "$block" >"$work/shown"
	# shellcheck disable=SC2086
	run "$gpuferry" $command
	case $command in
	inspect*)
		grep -v '\[[0-9a-f:]*\]' "$work/shown" >"$work/shown.held"
		grep -v '\[[0-9a-f:]*\]' "$work/out" >"$work/out.held"
		diff "$work/shown.held" "$work/out.held" >"$work/diff"
		;;
	*) diff "$work/shown" "$work/out" >"$work/diff" ;;
	esac
	[ ! -s "$work/diff" ] || { sed 's/^/# /' "$work/diff"; false; }
	ok "gpuferry $command"
done
done_testing
