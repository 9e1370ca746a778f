#!/bin/sh
# bench.sh WHAT: ratios measured in one run on this machine. Never asserted: a figure is for people.
set -eu
cd "$(dirname "$0")/.."
build="build-bench"
work=$(mktemp -d)
gpuferry=$work/gpuferry
serving=
trap '[ -z "$serving" ] || kill $serving; rm -rf "$work"' EXIT
[ -f $build/build.ninja ] || meson setup $build --buildtype=release -Db_lto=false >"$work/log"
ninja -C $build --quiet gpuferry ahead.so tests/bench_exec tests/serve_client >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
install -m 755 $build/gpuferry $build/ahead.so "$work" # what others may write into is believed by nobody

# Median wall time of each COMMAND (a plan with steps ends with 3), runs interleaved by hyperfine's own warm-up and 30 runs.
median() { hyperfine --shell=none --ignore-failure --warmup 3 --runs "${RUNS:-30}" --export-json "$work/time.json" "$@" >/dev/null 2>&1; }
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

# The journal's cost is what 40 more steps take, less what their files take without one; on the disk that holds $work.
bench_plan() {
	for machine in amd-4060ti iommu-off intel-uhd770-ct; do
		"$gpuferry" record --quiet --machine $machine "$work/$machine.tape"
	done
	median "$gpuferry plan --json --machine $work/amd-4060ti.tape --gpu nvidia --into vm/100" \
		"$gpuferry plan --json --machine $work/iommu-off.tape --gpu nvidia --into vm/100" \
		"$gpuferry plan --json --machine $work/intel-uhd770-ct.tape --gpu intel --into ct/105" \
		"$gpuferry inspect --json --machine $work/amd-4060ti.tape"
	listed | awk '{ at[NR] = $1 * 1000 }
		END { printf "plan --json of a tape: %.1f ms (hot), %.1f ms (with a reboot), %.1f ms (a CT); inspect --json %.1f ms\n",
			at[1], at[2], at[3], at[4] }'

	exec=$build/tests/bench_exec
	for round in 1 2 3 4 5; do
		for steps in 1 41; do
			mkdir -p "$work/root-$steps-$round/etc"
			"$exec" "$work/root-$steps-$round" $steps
		done
	done | awk '$1 == 1 { one = $2; back = $3; plain = $4 }
		$1 == 41 { apply[++n] = ($2 - one) / 40; undo[n] = ($3 - back) / 40; files[n] = ($4 - plain) / 40; whole[n] = $3 }
		function median(list, i, j, t) {
			for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (list[j] < list[i]) { t = list[i]; list[i] = list[j]; list[j] = t }
			return list[int((n + 1) / 2)]
		}
		END { printf "a journalled file: %.2f ms; the same without: %.2f ms; the journal: %.2f ms a step; taken back: %.2f ms, 41 of them %.0f ms\n",
			a = median(apply), f = median(files), a - f, median(undo), median(whole) }'

	mkdir -p "$work/kept/etc"
	"$exec" "$work/kept" 41 keep >"$work/ignored"
	/usr/bin/time -f 'rollback.sh of 41 files: %e s (dash)' env ROOT="$work/kept" dash "$work"/kept/var/lib/gpuferry/runs/*/rollback.sh 2>&1 |
		tail -n 1
}

# What it costs to be watched, on this machine as it is: nanoseconds on a processor, of the loop and of who looks for it.
bench_serve() {
	CACHE_DIRECTORY="$work" "$gpuferry" serve --listen 127.0.0.1:0 >"$work/serve" 2>&1 &
	serving=$!
	client=$build/tests/serve_client
	until [ -s "$work/serve" ]; do sleep 0.1; done
	port=$(sed -n 's/^http:.*:\([0-9]*\): .*/\1/p' "$work/serve")
	until printf 'GET /metrics HTTP/1.0\r\n\r\n' | "$client" raw "$port" 2>"$work/log" | grep -q '^gpuferry_proofs_total{result="[a-z]*"} 1'; do
		sleep 1
	done
	sleep 2
	ticks=$(cut -d')' -f2 /proc/$serving/stat | awk '{ print $14 + $15 }') # of children that ended: the proof
	# shellcheck disable=SC2046
	spent() { cat /proc/$serving/schedstat $(sed 's,[0-9][0-9]*,/proc/&/schedstat,g' /proc/$serving/task/$serving/children) | awk '{ s += $1 } END { printf "%.0f", s }'; }
	before=$(spent)
	sleep "${IDLE:-30}"
	after=$(spent)
	for page in /metrics /health; do
		"$client" load "$port" $page 64 5 | sed "s,\$, requests a second of $page; 64 connections,"
	done
	sed -n 's/VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' /proc/$serving/status |
		awk -v idle="${IDLE:-30}" -v spent=$((after - before)) -v ticks="$ticks" '{ printf "%.1f MiB resident at most; idle %.3f %% of a processor; the first proof took %.1f s of one\n", $1 / 1024, spent / idle / 1e7, ticks / 100 }'
	kill $serving
	wait $serving || :
	serving=
}

# Beside the same ffmpeg by hand (--print), in turns; medians of ROUNDS. The first segment: when a player can have it, of a
# film that was read before ("ours") and of one that never was ("new").
bench_transcode() {
	seconds=${SECONDS_OF_FILM:-30}
	ffmpeg -v error -nostdin -f lavfi -i testsrc2=s=1920x1080:r=30000/1001 -f lavfi -i sine=r=48000 -t "$seconds" \
		-vf noise=c0s=8:c0f=t -c:v libx264 -preset ultrafast -b:v 10M -c:a aac "$work/film.mp4"
	"$gpuferry" transcode --print --prefer software "$work/film.mp4" "$work/proven.mp4" >"$work/ignored" # proofs are kept from here on
	for form in mp4 m3u8; do
		"$gpuferry" transcode --print --prefer software "$work/film.mp4" "$work/hand.$form" >"$work/hand"
		for _ in $(seq "${ROUNDS:-5}"); do
			rm -f "$work"/hand.* "$work"/ours.* "$work"/new-*
			# %e %U %S, with a watch on the first segment
			for who in hand ours new; do
				film=$work/film.mp4
				case $who$form in
				newmp4) continue ;;
				newm3u8)
					film=$work/new.mp4
					rm -f "$film" "$work"/new.m3u8
					cp "$work/film.mp4" "$film"
					sync "$film" # else it is written out while it is timed
					;;
				esac
				case $who in
				hand) set -- sh "$work/hand" ;;
				*) set -- "$gpuferry" transcode --quiet --prefer software "$film" "$work/$who.$form" ;;
				esac
				began=$(date +%s%N)
				/usr/bin/time -o "$work/time.$who" -f '%e %U %S' "$@" &
				if [ $form = m3u8 ]; then
					while [ ! -s "$work/$who.m3u8" ]; do sleep 0.002; done
					first=$((($(date +%s%N) - began) / 1000000))
				else
					first=0
				fi
				wait $!
				echo "$who $(cat "$work/time.$who") $first"
			done
		done | awk -v form=$form '{ wall[$1, ++n[$1]] = $2; cpu[$1, n[$1]] = $3 + $4; first[$1, n[$1]] = $5 }
			function median(list, who, i, j, t, copy) {
				for (i = 1; i <= n[who]; i++) copy[i] = list[who, i]
				for (i = 1; i <= n[who]; i++) for (j = i + 1; j <= n[who]; j++) if (copy[j] < copy[i]) { t = copy[i]; copy[i] = copy[j]; copy[j] = t }
				return copy[int((n[who] + 1) / 2)]
			}
			END {
				printf "transcode to %s: %.2f s, by hand %.2f s (%+.1f %%); processor %.2f s, by hand %.2f s (%+.1f %%)", form,
					w = median(wall, "ours"), h = median(wall, "hand"), (w / h - 1) * 100,
					c = median(cpu, "ours"), d = median(cpu, "hand"), (c / d - 1) * 100
				if (form == "m3u8") printf "; first segment %d ms, of a film never read before %d ms, by hand %d ms", median(first, "ours"), median(first, "new"), median(first, "hand")
				print ""
			}'
	done
}

# Tone mapping by software of 4K HDR10 to 1080p: the line as transcode has it, which scales first, against one that scales last.
bench_tone() {
	scale=scale=w=1920:h=1080,
	colours=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc
	ffmpeg -v error -nostdin -f lavfi -i "testsrc2=s=3840x2160:r=24,setparams=$colours" -t 3 -pix_fmt yuv420p10le \
		-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -c:v libx265 -preset ultrafast \
		-x265-params log-level=error "$work/hdr.mkv"
	"$gpuferry" transcode --print --prefer software --size 1080 "$work/hdr.mkv" "$work/sdr.mp4" >"$work/first"
	sed "s/$scale//; s/format=yuv420p /${scale}format=yuv420p /" "$work/first" >"$work/last"
	! cmp -s "$work/first" "$work/last" || { echo "bench: the line does not scale as it is thought to" >&2; return 1; }
	for _ in $(seq "${ROUNDS:-3}"); do
		for order in first last; do
			/usr/bin/time -o "$work/time" -f '%e' sh "$work/$order"
			echo "$order $(cat "$work/time")"
		done
	done | awk '{ if (!($1 in best) || $2 < best[$1]) best[$1] = $2 }
		END { printf "tone mapping of 4K: %.2f s, scaled last %.2f s: %.2f times as fast\n", best["first"], best["last"], best["last"] / best["first"] }'
}

case ${1-all} in
inspect | plan | serve | transcode | tone) "bench_$1" ;;
all) bench_inspect && bench_plan && bench_serve && bench_transcode && bench_tone ;;
*) echo "bench: inspect, plan, serve, transcode and tone are what can be measured" >&2; exit 2 ;;
esac
