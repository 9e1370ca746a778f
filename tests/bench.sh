#!/bin/sh
# bench.sh WHAT: ratios measured in one run on this machine. Never asserted: a figure is for people.
set -eu
cd "$(dirname "$0")/.."
gpuferry=build-release/gpuferry
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Median wall time in milliseconds of COMMAND, runs interleaved by hyperfine's own warm-up and 30 runs.
median() { hyperfine --shell=none --warmup 3 --runs "${RUNS:-30}" --export-json "$work/time.json" "$@" >/dev/null 2>&1; }
listed() { tr -d ' \n' <"$work/time.json" | grep -o '"median":[0-9.e-]*' | cut -d: -f2; }

bench_inspect() {
	sh tests/tree.sh "$work/tree" 500
	median "$gpuferry inspect --json --machine $work/tree" "lspci -Dnnk -A linux-sysfs -O sysfs.path=$work/tree/sys/bus/pci" \
		"lspci -Dnk -A linux-sysfs -O sysfs.path=$work/tree/sys/bus/pci"
	listed | awk 'NR == 1 { ours = $1 } NR == 2 { names = $1 } NR == 3 { plain = $1 }
		END { printf "inspect --json, 500 devices: %.1f ms; lspci -Dnnk: %.1f ms; ratio %.2f (to lspci -Dnk %.1f ms: %.2f)\n",
			ours * 1000, names * 1000, ours / names, plain * 1000, ours / plain }'

	"$gpuferry" record --quiet --machine amd-4060ti "$work/m.tape"
	median "$gpuferry verify --json --machine $work/m.tape"
	time=$(listed)
	memory=$(/usr/bin/time -f %M "$gpuferry" verify --json --machine "$work/m.tape" 2>&1 >/dev/null | tail -n 1)
	echo "$time $memory" | awk '{ printf "verify of a tape: %.1f ms, %.1f MiB resident at most\n", $1 * 1000, $2 / 1024 }'

	for count in 250 500 1000; do
		i=0
		set --
		while [ $i -lt $count ]; do
			set -- "$@" --machine "$work/m.tape"
			i=$((i + 1))
		done
		/usr/bin/time -f '%e %M' "$gpuferry" inspect --json "$@" 2>"$work/many" >/dev/null
		awk -v count=$count '{ printf "%d tapes in one call: %.2f s, %.2f ms each, %.1f MiB\n", count, $1, $1 / count * 1000, $2 / 1024 }' "$work/many"
	done
}

case ${1-inspect} in
inspect) bench_inspect ;;
*) echo "bench: inspect is what can be measured" >&2; exit 2 ;;
esac
