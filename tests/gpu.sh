#!/bin/sh
# gpu.sh: what only a GPU can show. Where there is none, every check is skipped with one word. GPUFERRY_FFMPEG names
# another ffmpeg than the distribution's. Figures stand behind a #; they are for people, none is asserted.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
gpuferry=${GPUFERRY:-build/gpuferry}
case $gpuferry in /*) ;; *) gpuferry=$PWD/$gpuferry ;; esac
ffmpeg=${GPUFERRY_FFMPEG:-/usr/bin/ffmpeg}
seconds=${GPUFERRY_SECONDS:-120} # of the film
export CACHE_DIRECTORY="$work/cache" # root has no other place of its own
cd "$work" || exit 1

# A render node with a driver of a GPU behind it, or a card of NVIDIA's.
has_gpu() {
	for node in /dev/nvidia[0-9]*; do
		[ ! -c "$node" ] || return 0
	done
	for node in /dev/dri/renderD*; do
		[ -c "$node" ] || continue
		case $(basename "$(readlink "/sys/class/drm/${node##*/}/device/driver")") in
		i915 | xe | amdgpu | radeon | nouveau | nvidia) return 0 ;;
		esac
	done
	return 1
}

proven="every hardware encoder is proven, or says why not"
engines="what is proven was seen at work by the card's engines, or it says why that cannot be seen"
decodes="a film is encoded in hardware, and decodes without a word, frame for frame"
falls_back="killed in the middle, software goes on: no frame is lost or doubled"

skip_rest() { # WHY NAME...
	why=$1
	shift
	for name; do skip "$name" "$why"; done
	done_testing
	exit 0
}
has_gpu || skip_rest "no GPU" "$proven" "$engines" "$decodes" "$falls_back"

run "$gpuferry" inspect --encoders --fresh --json --ffmpeg "$ffmpeg"
cp out proofs.json
jq -r '.encoders[] | select(.way != "software" and .listed) |
	"# \(.name) \(.bits): \(if .works then "rung \(.rung), \(.ms) ms, \(.engine // "no engine seen")\(if .engine_ms then " \(.engine_ms) ms" else "" end)" else .why end)"' proofs.json
[ $code = 0 ] && jq -e '[.encoders[] | select(.way != "software" and .listed)] | length > 0 and all(.works == true or (.why | . != null and . != "none"))' proofs.json >/dev/null
ok "$proven"

found=$(jq -r 'first(.encoders[] | select(.way != "software" and .works == true and .bits == 8 and .codec == "h264")) | "\(.name) \(.way)"' proofs.json)
encoder=${found% *} way=${found#* }
[ -n "$encoder" ] || skip_rest "no H.264 encoder of this GPU works" "$engines" "$decodes" "$falls_back"
jq -e '[.encoders[] | select(.way != "software" and .works == true)] | all(.rung == 5 or (.rung == 4 and .why != "none"))' proofs.json >/dev/null
ok "$engines"

# ---- a film through it

make() { "$ffmpeg" -v error -nostdin -y "$@"; }
frames() { "${ffmpeg%ffmpeg}ffprobe" -v error -count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 "$1" | head -n 1 | tr -d ,; }
clean() { [ -z "$("$ffmpeg" -v error -nostdin -i "$1" -f null - 2>&1)" ]; }
make -f lavfi -i testsrc2=s=1920x1080:r=30 -f lavfi -i sine=r=48000 -t 10 -c:v libx264 -preset ultrafast -b:v 20M -c:a aac part.mkv
make -stream_loop $((seconds / 10 - 1)) -i part.mkv -c copy film.mkv
transcode() { # OUTPUT OPTION...
	output=$1
	shift
	run "$gpuferry" transcode --json --ffmpeg "$ffmpeg" --codec h264 --bitrate 6M "$@" film.mkv "$output"
}

transcode hardware.mkv --prefer "$way"
hardware=$(jq .ms out)
[ $code = 0 ] && jq -e --arg name "$encoder" '.end == "whole" and (.attempts | length) == 1 and .attempts[0].encoder == $name' out >/dev/null &&
	clean hardware.mkv && [ "$(frames hardware.mkv)" = "$(frames film.mkv)" ]
ok "$decodes"
decoded=$(jq .choice.decodes out)
transcode software.mkv --prefer software
jq -r --arg encoder "$encoder" --arg decoded "$decoded" --argjson hardware "$hardware" --argjson seconds "$seconds" '
	def tenths: . * 10 | round / 10;
	"# 1080p: \($encoder) \($seconds * 1000 / $hardware | tenths) times as fast as it plays (decoded by the card: \($decoded)), \(.attempts[0].encoder) \($seconds * 1000 / .ms | tenths) times: ratio \(.ms / $hardware | tenths)"' out

# ---- kill -9

# its process for the video
child() {
	for pid in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
		if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- ' -c:v '; then echo "$pid"; fi
	done
}
"$gpuferry" transcode --json --ffmpeg "$ffmpeg" --codec h264 --bitrate 6M --prefer "$way" --stall 30 film.mkv killed.m3u8 >out 2>err &
parent=$!
tries=0
while [ ! -s killed.m3u8 ] && [ $tries -lt 600 ] && kill -0 $parent 2>/dev/null; do # a segment is there
	tries=$((tries + 1))
	sleep 0.05
done
pid=$(child $parent)
[ -z "$pid" ] || kill -KILL "$pid"
code=0
wait $parent || code=$?
[ -n "$pid" ] && [ $code = 0 ] && jq -e '.end == "whole" and (.attempts | length) == 2 and .attempts[0].failed and .attempts[1].way == "software"' out >/dev/null &&
	clean killed.m3u8 && [ "$(frames killed.m3u8)" = "$(frames film.mkv)" ]
ok "$falls_back"
echo "# from the last sign of the one to the first frame of the other: $(jq '.attempts[0].silent_ms' out) ms"
done_testing
