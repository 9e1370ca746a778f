#!/bin/sh
# mutate.sh [NAME...]: shows that the crash matrix can fail. Each mutation takes one sync away or swaps two steps of the
# journal's order in a copy of one source file; the matrix with that copy must turn red. Prints TAP.
# A mutation is a line of the table below: NAME, FILE and SED-SCRIPT with tabs between; a script that changes nothing is
# a failure too. MUTATE_MACHINE, MUTATE_STEP: which machine, and every how manieth cut.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${MUTATE_BUILD:-build-check/mutate}
step=${MUTATE_STEP:-4} machine=${MUTATE_MACHINE:-iommu-off}

table() { sed -n 's/^#: //p' "tests/mutate.sh"; }
# BEGIN TABLE
#: write-content	src/sys/change.c	s|error = world->changes->sync\(world, new\);|error = 0;|
#: write-name	src/sys/change.c	/^static int move_here/,/^}/ s|return sync_above\(world, path\);|return 0;|
#: append	src/sys/change.c	/^int world_append/,/^}/ s|world->changes->sync\(world, path\)|0|
#: remove	src/sys/change.c	/^int world_remove/,/^}/ s|error = sync_above\(world, path\);|error = 0;|
#: folder	src/sys/change.c	/^static int make_one/,/^}/ s|return error \? error : sync_above\(world, path\);|return error;|
#: done-before-made	src/exec/apply.c	s|return make\(running, step\) && run_journal\(running, JOURNAL_DONE, step, NULL\);|return run_journal(running, JOURNAL_DONE, step, NULL) \&\& make(running, step);|
#: made-before-begun	src/exec/apply.c	s|if \(!run_journal\(running, JOURNAL_BEGUN, step, NULL\)\)|if (!make(running, step) \|\| !run_journal(running, JOURNAL_BEGUN, step, NULL))|
#: menu-content	src/exec/step_boot.c	s|exec_sync\(run, "/boot/grub/grub.cfg"\)|true|
# END TABLE

[ -f "$build/build.ninja" ] || meson setup "$build" --optimization=1 -Db_lundef=false >/dev/null || exit 1
ninja -C "$build" --quiet tests/crash >&2 || exit 1

# compile FILE COPY OBJECT: as the build compiles FILE
compile() {
	jq -r --arg file "../../$1" --arg short "$1" \
		'.[] | select(.file | endswith($short)) | [.directory, .command] | @tsv' "$build/compile_commands.json" |
		head -n 1 >"$work/command"
	directory=$(cut -f 1 "$work/command")
	command=$(cut -f 2 "$work/command" | sed -e "s| -o [^ ]*| -o $3|" -e "s| -MF [^ ]*| -MF $work/d|" -e "s| -c [^ ]*$| -c $2|")
	(cd "$directory" && sh -c "$command -I$root/$(dirname "$1")")
}

# The mutated object stands before the library, so the library's own is not taken.
link() { # OBJECT PROGRAM
	command=$(ninja -C "$build" -t commands tests/crash | tail -n 1 | sed -e "s| -o tests/crash | -o $2 $1 |")
	(cd "$build" && sh -c "$command")
}

root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0 failed=0
table >"$work/table"
while IFS="$(printf '\t')" read -r name file script; do
	case " $* " in "  " | *" $name "*) ;; *) continue ;; esac
	number=$((number + 1))
	sed -E "$script" "$file" >"$work/mutant.c"
	if cmp -s "$file" "$work/mutant.c"; then
		echo "not ok $number - $name: changes nothing in $file"
		failed=1
	elif ! compile "$file" "$work/mutant.c" "$work/mutant.o" >"$work/log" 2>&1 || ! link "$work/mutant.o" "$work/crash" >>"$work/log" 2>&1; then
		echo "not ok $number - $name: does not build"
		sed 's/^/# /' "$work/log" | tail -n 5
		failed=1
	elif "$work/crash" --machine "$machine" --step "$step" --again 1 >"$work/log" 2>&1; then
		echo "not ok $number - $name: nothing was lost"
		failed=1
	else
		echo "ok $number - $name: $(sed -n 's/^# \([0-9]* cases, .*\)/\1/p' "$work/log" | tail -n 1)"
	fi
done <"$work/table"
echo "1..$number"
exit $failed
