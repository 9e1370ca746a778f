#!/bin/sh
# mutate.sh [NAME...]: shows that the crash matrix can fail. Each mutation takes one sync of src/exec or src/sys/change.c
# away, found by itself, or swaps two steps of the journal's order, in a copy of one source file; the matrix with that
# copy must turn red. Prints TAP. A mutation that changes nothing is a failure too, and so is a reason that holds no more.
# MUTATE_STEP: every how manieth cut; MUTATE_BUILD: where it is built; MUTATE_JOURNEYS: tried in turn until one is red.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${MUTATE_BUILD:-build-check/mutate} step=${MUTATE_STEP:-3}
journeys=${MUTATE_JOURNEYS:-iommu-off zfs-words single-gpu by-hand new-vm}

# By hand: NAME, FILE and SED-SCRIPT with tabs between.
#: done-before-made	src/exec/apply.c	s|return make\(running, step\) && run_journal\(running, JOURNAL_DONE, step, NULL\);|return run_journal(running, JOURNAL_DONE, step, NULL) \&\& make(running, step);|
#: made-before-begun	src/exec/apply.c	s|if \(!run_journal\(running, JOURNAL_BEGUN, step, NULL\)\)|if (!make(running, step) \|\| !run_journal(running, JOURNAL_BEGUN, step, NULL))|
#: undone-before-undo	src/exec/rollback.c	s|if \(!run_journal\(running, JOURNAL_UNDOING, step, NULL\)\)|if (!run_journal(running, JOURNAL_UNDOING, step, NULL) \|\| !run_journal(running, JOURNAL_UNDONE, step, NULL))|
#: ended-before-undone	src/exec/rollback.c	s|if \(!back_all\(running\)\)|if (!run_journal(running, JOURNAL_STATE, 0, state) \|\| !back_all(running))|
#: old-saved-again	src/exec/apply.c	/^static bool try_step/,/^}/ s|if \(!noted->begun\) \{|if (noted->begun \&\& exec_kind(running->journal.plan.steps[step].kind)->save \&\& !run_save(running, step)) return false; if (!noted->begun) {|
# Those that nothing can turn red: NAME and the reason.
#- journal.journal_settle.1	what the power has left is on disk: only a program that was ended leaves a line that can still be lost (the killed world of tests/test_exec.c)
#- journal.journal_settle.2	likewise, for the name of the journal
#- step_boot.initramfs_apply.1	update-initramfs ends with sync -f itself (initramfs-tools 0.142); ours is for one that does not
#- step_boot.initramfs_apply.2	likewise, for the image's name
#- step_boot.boot_apply.2	grub-mkconfig fills grub.cfg in place, so no name of /boot/grub changes; the folder's sync is for a GRUB that renames

table() { sed -n 's/^#: //p' "tests/mutate.sh"; }
reason() { sed -n "s/^#- $1	//p" "tests/mutate.sh"; }

# Every call that syncs something, by the file and the function it stands in: 0, or true, in its place.
syncs() {
	for file in src/exec/*.c src/sys/change.c; do
		awk -v file="$file" -v OFS='\t' '
			function each(pattern, instead, rest, count) {
				rest = $0
				for (count = 1; match(rest, pattern); count++) {
					print base "." place "." ++seen[place], file, FNR "s#" pattern "#" instead "#" count
					rest = substr(rest, RSTART + RLENGTH)
				}
			}
			BEGIN { base = file; sub(/.*\//, "", base); sub(/\.c$/, "", base) }
			/^[a-z].*\(/ && !/;$/ { place = $0; sub(/\(.*/, "", place); sub(/.*[ *]/, "", place); next }
			{
				each("(world|node)->changes->sync\\((world|node), [a-z]+\\)", "0")
				each("sync_above\\(world, path\\)", "0")
				each("exec_sync\\(run, [^)]*\\)", "true")
			}' "$file"
	done
}

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

# red: in which journey; nothing: in none
matrix() {
	for journey in $journeys; do
		"$work/crash" --machine "$journey" --step "$step" --again 2 --stop 1 >"$work/log" 2>&1 && continue
		echo "$journey: $(sed -n 's/^# --machine [^ ]* --case //p' "$work/log" | head -n 1 | cut -c 1-150)"
		return
	done
}

root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0 failed=0
{ syncs; table; } >"$work/table"
while IFS="$(printf '\t')" read -r name file script; do
	case " $* " in "  " | *" $name "*) ;; *) continue ;; esac
	number=$((number + 1))
	sed -E "$script" "$file" >"$work/mutant.c"
	why=$(reason "$name")
	if cmp -s "$file" "$work/mutant.c"; then
		echo "not ok $number - $name: changes nothing in $file"
		failed=1
	elif ! compile "$file" "$work/mutant.c" "$work/mutant.o" >"$work/log" 2>&1 || ! link "$work/mutant.o" "$work/crash" >>"$work/log" 2>&1; then
		echo "not ok $number - $name: does not build"
		sed 's/^/# /' "$work/log" | tail -n 5
		failed=1
	else
		red=$(matrix)
		case "$red:$why" in
		:) echo "not ok $number - $name: nothing was lost"; failed=1 ;;
		:*) echo "ok $number - $name: nothing is lost: $why" ;;
		*:) echo "ok $number - $name: $red" ;;
		*) echo "not ok $number - $name: $red; and yet it is said that nothing can be lost: $why"; failed=1 ;;
		esac
	fi
done <"$work/table"
echo "1..$number"
exit $failed
