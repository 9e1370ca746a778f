#!/bin/sh
# A machine with a card: in a mount namespace of its own /sys and /dev show one of Intel's, whose VA-API driver is the stand-in
# of tests/beds. Above it all is real: gpuferry as it is typed, ffmpeg, libva. H.264 that the card encodes is not compressed,
# so what went through it comes back to the last sample.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
gpuferry=${GPUFERRY:-build/gpuferry}
client=${GPUFERRY_CLIENT:-build/tests/serve_client}
beds=${GPUFERRY_BEDS:-build/tests/beds}
for tool in ffmpeg ffprobe jq unshare; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP there is no $tool"; exit 0; }
done
[ -e "$beds/iHD_drv_video.so" ] || { echo "1..0 # SKIP there is no libva-dev"; exit 0; }
if [ -z "${CARD_HERE:-}" ]; then
	as_root=
	[ "$(id -u)" = 0 ] || as_root=-Ur
	# shellcheck disable=SC2086
	unshare $as_root -m true 2>/dev/null || { echo "1..0 # SKIP no mount namespace can be had"; exit 0; }
	rm -rf "$work"
	# shellcheck disable=SC2086
	CARD_HERE=1 exec unshare $as_root -m sh "$0"
fi
cd "$(dirname "$gpuferry")" && gpuferry=$PWD/${gpuferry##*/} && cd - >"$work/ignored" || exit 1
case $client in /*) ;; *) client=$PWD/$client ;; esac
case $beds in /*) ;; *) beds=$PWD/$beds ;; esac
serving=
trap '[ -z "$serving" ] || kill $serving; cd /; rm -rf "$work"' EXIT

# ---- films

make() { ffmpeg -v error -nostdin -y "$@"; }
# one reference picture and none out of order, as the driver wants it
make -f lavfi -i testsrc2=s=426x240:r=30000/1001 -f lavfi -i sine=r=48000 -t 7 -c:v libx264 -preset veryfast -refs 1 -bf 0 -c:a aac "$work/film.mp4"
make -f lavfi -i testsrc2=s=320x180:r=24 -t 3 -pix_fmt yuv420p10le -c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params \
	"log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)" \
	"$work/hdr.mp4"

# ---- the card

address=0000:00:02.0
mount -t tmpfs none /sys || { echo "1..0 # SKIP nothing can be mounted"; exit 0; }
device=/sys/devices/pci0000:00/$address
mkdir -p $device/drm/renderD128 /sys/class/drm /sys/bus/pci/devices /sys/bus/pci/drivers/i915
for fact in vendor=0x8086 device=0x4680 class=0x030000 subsystem_vendor=0x8086 subsystem_device=0x7270; do
	echo "${fact#*=}" >$device/"${fact%=*}"
done
ln -s /sys/bus/pci $device/subsystem
ln -s /sys/bus/pci/drivers/i915 $device/driver
ln -s ../../../$address $device/drm/renderD128/device
ln -s ../../devices/pci0000:00/$address/drm/renderD128 /sys/class/drm/renderD128
ln -s ../../../devices/pci0000:00/$address /sys/bus/pci/devices/$address
mkdir "$work/dev" && mount -t tmpfs -o mode=755 none "$work/dev" && mkdir "$work/dev/dri" "$work/dev/shm" || exit 1
for node in null zero full random urandom dri/renderD128; do
	: >"$work/dev/$node"
	from=/dev/$node
	[ -e $from ] || from=/dev/null # what stands before ffmpeg answers for it (tests/beds/node.c)
	mount --bind $from "$work/dev/$node" || exit 1
done
ln -s /proc/self/fd "$work/dev/fd"
for i in 0=stdin 1=stdout 2=stderr; do ln -s /proc/self/fd/${i%=*} "$work/dev/${i#*=}"; done
mount --rbind "$work/dev" /dev && umount -l "$work/dev" || exit 1

# ffmpeg with the card's driver; it asks two files what the card is like (tests/beds/va_driver.c)
export CACHE_DIRECTORY="$work/cache"
cat >"$work/ffmpeg" <<END
#!/bin/sh
exec env BED_VA="\$(cat '$work/card')" BED_VA_ENDS="\$(cat '$work/ends')" LD_PRELOAD='$beds/node.so' \\
	LIBVA_DRIVERS_PATH='$beds' /usr/bin/ffmpeg "\$@"
END
chmod +x "$work/ffmpeg"
card() { # KIND: another card is another program, so that nothing kept is taken for it
	echo "$1" >"$work/card"
	touch -d @"$(($(wc -c <"$work/card") * 1000))" "$work/ffmpeg"
}
ends() { echo "$1" >"$work/ends"; } # WORK:PICTURE
card card
ends nothing:
cd "$work" || exit 1

clean() { [ -z "$(ffmpeg -v error -nostdin -i "$1" -f null - 2>&1)" ]; }
frames() { ffprobe -v error -count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 "$1" | head -n 1 | tr -d ,; }
pictures() { ffmpeg -v error -nostdin -i "$1" -map 0:v -vf format=yuv420p -f framemd5 - | sed -n 's/^0,.* //p'; }
transcode() { run "$gpuferry" transcode --json --overwrite --ffmpeg "$work/ffmpeg" "$@"; }
ended() { # ENCODER ATTEMPTS
	[ $code = 0 ] && jq -e --arg name "$1" --argjson n "$2" '.end == "whole" and .attempts[-1].encoder == $name and (.attempts | length) == $n' out >"$work/ignored"
}
# ---- what is proven and chosen

run "$gpuferry" inspect --encoders --json --ffmpeg "$work/ffmpeg"
[ $code = 0 ] && jq -e '
	def of(list; name; bits): first(list[] | select(.way == "vaapi" and .name == name and .bits == bits));
	.gpus[0].address == "0000:00:02.0" and .gpus[0].render_node == "/dev/dri/renderD128" and
	of(.encoders; "h264_vaapi"; 8).works == true and of(.encoders; "hevc_vaapi"; 8).works == false and
	of(.decoders; "h264"; 8).rung == 4 and of(.decoders; "hevc"; 8).works == false and
	of(.filters; "scale_vaapi"; 10).use == "scale" and of(.filters; "scale_vaapi"; 10).works == true and
	of(.filters; "tonemap_vaapi"; 10).works == false and
	(.choice[] | select(.codec == "h264")).encoder == "h264_vaapi" and (.choice[] | select(.codec == "hevc" and .bits == 8)).encoder == "libx265"' \
	out >"$work/ignored"
ok "what works is proven, what is only listed is not, and the card is chosen where it works"

transcode film.mp4 same.mkv
ended h264_vaapi 1 && [ "$(jq .choice.decodes out)" = true ] && clean same.mkv && [ "$(pictures film.mp4)" = "$(pictures same.mkv)" ]
ok "a film through the card comes back to the last sample"
transcode --size 120 film.mp4 small.m3u8
ended h264_vaapi 1 && clean small.m3u8 && [ "$(frames small.m3u8)" = "$(frames film.mp4)" ] &&
	[ "$(ffprobe -v error -select_streams v -show_entries stream=width,height -of csv=p=0 small.v00000.ts | head -n 1)" = 212,120 ]
ok "and scaled by it"

# ---- what fails

for work_of in decode encode scale; do
	ends $work_of:120
	case $work_of in scale) set -- --size 120 ;; *) set -- ;; esac # since 7 what is to stay as it is meets no scaler
	transcode "$@" film.mp4 fails.m3u8
	case $work_of in decode) ended h264_vaapi 2 ;; *) ended libx264 2 ;; esac && clean fails.m3u8 && [ "$(frames fails.m3u8)" = "$(frames film.mp4)" ] &&
		jq -e '.attempts[0] | .failed and .reason == "broken" and (.why | contains("HW busy"))' out >"$work/ignored"
	ok "it fails to $work_of the 120th picture: no frame is lost"
done
ends decode:100-100
transcode film.mp4 once.mp4
ended h264_vaapi 2 && [ "$(jq -c "[.attempts[].decodes]" out)" = "[true,false]" ] && clean once.mp4 && [ "$(frames once.mp4)" = "$(frames film.mp4)" ]; ok "one picture that it does not decode is not left out"
ends nothing:

# ---- HDR

line() { run "$gpuferry" transcode --print --ffmpeg "$work/ffmpeg" hdr.mp4 out.mp4; }
line
says 'zscale=t=bt709:m=bt709:r=tv,format=nv12,hwupload ' && says h264_vaapi; ok "what it cannot map the processor maps, and the card encodes"
transcode hdr.mp4 mapped.mp4
ended h264_vaapi 1 && clean mapped.mp4 && [ "$(frames mapped.mp4)" = "$(frames hdr.mp4)" ]; ok "and so it is done"
card mapper
line
says 'format=p010le,hwupload,' && says tonemap_vaapi=format=nv12; ok "a card that maps tones is used for it"
transcode hdr.mp4 mapped.mp4
ended h264_vaapi 1 && clean mapped.mp4 && [ "$(frames mapped.mp4)" = "$(frames hdr.mp4)" ]; ok "and so it is done there"

# ---- health

"$gpuferry" serve --listen 127.0.0.1:0 --ffmpeg "$work/ffmpeg" >serve.out 2>serve.err </dev/null &
serving=$!
until [ -s serve.out ] || ! kill -0 $serving 2>/dev/null; do sleep 0.1; done
port=$(sed -n 's/^http:.*:\([0-9]*\): .*/\1/p' serve.out)
health() { printf 'GET /health HTTP/1.0\r\n\r\n' | "$client" raw "$port" 2>"$work/err" | sed '1,/^.$/d' >out; jq -e "$1" out >"$work/ignored" 2>&1; }
await() { for _ in $(seq 300); do ! health "$1" || return 0; sleep 0.1; done; return 1; }
await '.status == "pass" and (.hardware_acceleration | .active and .engine == "vaapi" and .rung == 4)'
ok "health says that the card works"
ends decode:100
transcode film.mp4 fails.mp4
[ -e "$CACHE_DIRECTORY/failure.json" ] && ended h264_vaapi 2 && await '.status == "warn" and (.output | contains("decoding for h264_vaapi failed") and contains("decoder failed on a picture"))'
ok "and that it failed in a film, and how"
ends nothing:
transcode film.mp4 well.mp4
ended h264_vaapi 1 && await '.status == "pass"'; ok "until it has done one to the end"
make -i film.mp4 -c copy whole.mkv
head -c "$(($(wc -c <whole.mkv) * 6 / 10))" whole.mkv >cut.mkv
transcode cut.mkv cut.mp4
[ $code = 3 ] && jq -e '.end == "short" and (.attempts | map(.encoder)) == ["h264_vaapi", "libx264"]' out >"$work/ignored" && clean cut.mp4 &&
	[ ! -e "$CACHE_DIRECTORY/failure.json" ]
ok "a film that is cut is no fault of the card"
kill $serving
wait $serving
serving=
done_testing
