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
	if "$@" >"build-check/$name.log" 2>&1; then
		echo "ok      $name ($(($(date +%s) - started)) s)"
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

scripts() { shellcheck -x -s sh -S warning ./do .ci/run tests/*.sh machines/*.sh man/*.sh; }

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

fuzz() { # each target FUZZ_RUNS inputs, from the samples in tests/fuzz/NAME/ where there are some
	mkdir -p build-check/fuzz
	flags="-std=gnu17 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -Isrc"
	libraries=$(pkg-config --cflags --libs jansson libarchive yaml-0.1 libpci)
	sources=$(find src/base src/sys src/facts src/rules src/rehearse -name '*.c')
	[ -f build-check/gcc/machines/machines_builtin.c ] && sources="$sources build-check/gcc/machines/machines_builtin.c"
	objects=
	for source in $sources; do
		object=build-check/fuzz/$(echo "$source" | tr / _).o
		# shellcheck disable=SC2086
		if [ ! -e "$object" ] || [ -n "$(find src "$source" -newer "$object" -name '*.[ch]' | head -n 1)" ]; then
			clang $flags -c "$source" -o "$object" || return 1
		fi
		objects="$objects $object"
	done
	for target in tests/fuzz/fuzz_*.c; do
		name=$(basename "$target" .c)
		# shellcheck disable=SC2086
		clang $flags -fsanitize=fuzzer "$target" $objects $libraries -o "build-check/fuzz/$name" || return 1
		mkdir -p "build-check/fuzz/$name.corpus"
		echo "== $name"
		ASAN_OPTIONS=detect_leaks=1 "build-check/fuzz/$name" -runs="${FUZZ_RUNS:-20000}" -max_len=65536 -timeout=20 \
			-rss_limit_mb=3000 -artifact_prefix=build-check/fuzz/ -print_final_stats=1 "build-check/fuzz/$name.corpus" || return 1
	done
}

other_debian() { sh tests/other-debian.sh; }

wanted=$*
part layers layers
part strict strict
part scripts scripts
part manual manual
part cppcheck cpp
part tidy tidy
part fuzz fuzz
part other-debian other_debian
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
