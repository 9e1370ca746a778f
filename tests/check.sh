#!/bin/sh
# Static checks, fuzzing for a fixed count, and what takes too long for ./do test. Stops at nothing: every part runs,
# and the exit code tells whether one failed. Arguments pick parts: tests/check.sh fuzz tidy
set -u
cd "$(dirname "$0")/.." || exit 1
failed=

part() { # NAME COMMAND...: runs one part and says how it went
	name=$1
	shift
	case " ${wanted-} " in "  " | *" $name "*) ;; *) return 0 ;; esac
	started=$(date +%s)
	mkdir -p build-check
	code=0
	"$@" >"build-check/$name.log" 2>&1 || code=$?
	if [ $code = 0 ]; then
		echo "ok      $name ($(($(date +%s) - started)) s)"
	elif [ $code = 77 ]; then
		echo "skipped $name: $(tail -n 1 "build-check/$name.log")"
	else
		echo "FAILED  $name: the end of build-check/$name.log:"
		tail -n 40 "build-check/$name.log"
		failed="$failed $name"
	fi
}

layers() { sh tests/layers.sh; }

strict() { # no warning in a release build, with gcc and with clang
	[ -f build-check/gcc/build.ninja ] || meson setup build-check/gcc --buildtype=release --werror -Dtests=false
	ninja -C build-check/gcc && {
		[ -f build-check/clang/build.ninja ] ||
			CC=clang meson setup build-check/clang --buildtype=release --werror
	} && ninja -C build-check/clang
}

scripts() { shellcheck -x -s sh -S warning ./do .ci/run tests/*.sh tests/lab/*.sh tests/lab/containers/pct machines/*.sh man/*.sh src/exec/embed.sh; }

tidy() {
	git ls-files 'src/*.c' | xargs -P "$(nproc)" -n 5 clang-tidy -p build-check/clang --quiet --warnings-as-errors='*'
}

cpp() {
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --include=tests/cppcheck.h -D_GNU_SOURCE -DGPUFERRY_VERSION='"0"' \
		-Isrc -j "$(nproc)" src
}

manual() { # every page is free of mandoc's warnings, but for the empty paragraphs that scdoc puts between blocks
	mandoc -Tlint -W warning build-check/gcc/man/*.[158] 2>&1 | grep -v 'skipping paragraph macro: PP ' && return 1
	return 0
}

# fuzz_one TARGET: its inputs start from tests/fuzz/TARGET/ where that is there, a machine's from the built-in ones
fuzz_one() {
	samples=tests/fuzz/$1
	[ "$1" != fuzz_machine ] || samples=machines
	[ -d "$samples" ] || samples=
	corpus=build-check/fuzz/$1.corpus
	rm -rf "$corpus"
	mkdir -p "$corpus"
	ASAN_OPTIONS=detect_leaks=1 "build-check/fuzz/tests/fuzz/$1" -runs="${FUZZ_RUNS:-20000}" -seed="${FUZZ_SEED:-1}" \
		-max_len=65536 -timeout=20 -rss_limit_mb=3000 -artifact_prefix="build-check/fuzz/$1-" -print_final_stats=1 \
		"$corpus" $samples >"build-check/fuzz/$1.log" 2>&1
	code=$?
	rm -rf "$corpus"
	[ $code = 0 ] || { echo "== $1"; tail -n 40 "build-check/fuzz/$1.log"; return 1; }
	echo "$1: $(sed -n 's/^Done \(.*\)/\1/p' "build-check/fuzz/$1.log")"
}

# Each target FUZZ_RUNS inputs, the same ones every time; FUZZ_SEED=0 takes others.
fuzz() {
	[ -f build-check/fuzz/build.ninja ] ||
		CC=clang meson setup build-check/fuzz --optimization=1 --debug -Dtests=false -Dfuzz=true -Db_lundef=false \
			-Db_sanitize=address,undefined -Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize-recover=all' || return 1
	ninja -C build-check/fuzz || return 1
	find tests/fuzz -name 'fuzz_*.c' -exec basename {} .c \; | sort | xargs -P "$(nproc)" -n 1 sh tests/check.sh fuzz-one
}

other_debian() { sh tests/other-debian.sh; }

# Every cut of every journey, each with a second cut; every fault at every place; and what takes itself back by a real
# shell. Then the same must turn red where a sync is missing.
matrices() {
	[ -f build-check/crash/build.ninja ] || meson setup build-check/crash --buildtype=release || return 1
	ninja -C build-check/crash tests/crash tests/faults
}
crash() { matrices && build-check/crash/tests/crash; }
faults() { matrices && build-check/crash/tests/faults; }
revert() {
	matrices && GPUFERRY_CRASH=$PWD/build-check/crash/tests/crash REVERT_STEP=20 \
		sh tests/revert.sh iommu-off single-gpu twins-early zfs-words zfs-early ct-huc
}

# Hardware that fails at a byte that comes from a seed, TRANSCODE_RUNS times (500 take half an hour); TRANSCODE_SEED takes others.
transcode() {
	[ -f build-check/crash/build.ninja ] || meson setup build-check/crash --buildtype=release || return 1
	ninja -C build-check/crash ahead.so tests/test_transcode tests/dies.so tests/fake_nvml.so tests/second_decoder &&
		GPUFERRY_SOURCE=$PWD GPUFERRY_AHEAD=$PWD/build-check/crash/ahead.so GPUFERRY_DIES=$PWD/build-check/crash/tests/dies.so \
			GPUFERRY_SECOND_DECODER=$PWD/build-check/crash/tests/second_decoder \
			GPUFERRY_FAKE_NVML=$PWD/build-check/crash/tests/fake_nvml.so GPUFERRY_RUNS=${TRANSCODE_RUNS:-40} \
			GPUFERRY_SEED=${TRANSCODE_SEED:-1} build-check/crash/tests/test_transcode
}

mutate() { MUTATE_BUILD=build-check/crash sh tests/mutate.sh; }

if [ "${1-}" = fuzz-one ]; then
	fuzz_one "$2"
	exit
fi
wanted=$*
part layers layers
part strict strict
part scripts scripts
part manual manual
part cppcheck cpp
part tidy tidy
part fuzz fuzz
part crash crash
part faults faults
part revert revert
part transcode transcode
part mutate mutate
part other-debian other_debian
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
