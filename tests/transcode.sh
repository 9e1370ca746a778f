#!/bin/sh
# transcode as a user meets it: names and files that want something else, a stop, a full disk, and what is printed. What
# hardware does in the middle of a film is in test_transcode.c.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
gpuferry=${GPUFERRY:-build/gpuferry}
case $gpuferry in /*) ;; *) gpuferry=$PWD/$gpuferry ;; esac
export CACHE_DIRECTORY="$work/cache"
cd "$work" || exit 1

make() { ffmpeg -v error -nostdin -y "$@"; }
clean() { [ -z "$(ffmpeg -v error -nostdin -i "$1" -f null - 2>&1)" ]; }
frames() { ffprobe -v error -count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 "$1" | head -n 1 | tr -d ,; }
stamps() { ffprobe -v error -show_entries packet=stream_index,pts_time -of csv=p=0 "$1" | sort; }
make -f lavfi -i testsrc2=s=1920x1080:r=30000/1001 -f lavfi -i sine=r=48000 -t 4 -c:v libx264 -preset ultrafast -c:a aac hd.mp4
make -f lavfi -i testsrc2=s=1280x720:r=25 -f lavfi -i sine=r=48000 -t 40 -c:v libx264 -preset ultrafast -c:a aac long.mkv

# ---- usage

usage() { # NAME WORDS...
	name=$1
	shift
	run "$gpuferry" transcode "$@"
	[ $code = 2 ] && one_line; ok "$name"
}
usage "no output" hd.mp4
usage "an output that says nothing" hd.mp4 out
usage "an output of another kind" hd.mp4 out.avi
usage "a rate that is none" --bitrate fast hd.mp4 out.mp4
usage "a size that is none" --size 0x0 hd.mp4 out.mp4
usage "rate and quality" --bitrate 4M --quality 20 hd.mp4 out.mp4
usage "a codec that is none" --codec divx hd.mp4 out.mp4
usage "AV1 in HLS" --codec av1 hd.mp4 out.m3u8
usage "the output is the input" hd.mp4 ./hd.mp4
usage "a subtitle by name" --burn english hd.mp4 out.mp4
usage "an ffmpeg by name" --ffmpeg ffmpeg hd.mp4 out.mp4

# ---- what it does here

run "$gpuferry" transcode --json --prefer software hd.mp4 hd.mkv
[ $code = 0 ] && [ "$(jq -r '[.end, .attempts[0].encoder, .written, (.attempts | length)] | @csv' out)" = '"whole","libx264",true,1' ] &&
	clean hd.mkv; ok "1080p, by libx264, and it plays without a word"
run "$gpuferry" transcode --print --prefer software hd.mp4 direct.mp4
sh out && "$gpuferry" transcode --quiet --prefer software hd.mp4 hd2.mp4 && stamps direct.mp4 >a && stamps hd2.mp4 >b && cmp -s a b &&
	[ "$(frames hd2.mp4)" = "$(frames hd.mp4)" ]
ok "frames and times are those of the command line that --print prints"
run "$gpuferry" transcode --print --json --prefer software --size 480 --bitrate 1M hd.mp4 x.m3u8
[ $code = 0 ] && jq -e '.argv | index("-b:v") as $at | .[$at + 1] == "1000000"' out >/dev/null && [ ! -e x.m3u8 ]; ok "--print --json has it as a list"
run "$gpuferry" transcode hd.mp4 hd.mkv
[ $code = 1 ] && one_line && complains "is there already"; ok "what is there is not replaced"
if command -v strace >/dev/null && strace -o trace true 2>/dev/null; then
	# what NFS and many a FUSE answer
	plainly() { run env ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o trace -e trace=renameat2 -e inject=renameat2:error=EINVAL "$@"; }
	plainly "$gpuferry" transcode --quiet --prefer software hd.mp4 plainly.mp4
	[ $code = 0 ] && grep -q INJECTED trace && [ "$(frames plainly.mp4)" = "$(frames hd.mp4)" ] && [ "$(stat -c %h plainly.mp4)" = 1 ] && ! ls -d .gpuferry-* >/dev/null 2>&1
	ok "also where a file system cannot rename without replacing"
else
	skip "also where a file system cannot rename without replacing" "strace does not run here"
fi
run "$gpuferry" transcode --quiet --overwrite --prefer software --size 100x100 --audio none hd.mp4 hd.mkv
[ $code = 0 ] && [ "$(ffprobe -v error -show_entries stream=width,height -of csv=p=0 hd.mkv | tr -d '\n')" = 100,56 ] && [ ! -s out ]
ok "--overwrite, --size and --audio none, and nothing is said"
make -i hd.mp4 -frames:v 1 -an -c copy one.mkv
run "$gpuferry" transcode --quiet --prefer software one.mkv one.mp4
[ $code = 0 ] && clean one.mp4 && [ "$(frames one.mp4)" = 1 ]; ok "a film of one frame"
run "$gpuferry" transcode --quiet --prefer software --audio copy hd.mp4 copy.m3u8
[ $code = 0 ] && clean copy.m3u8 && [ "$(frames copy.m3u8)" = "$(frames hd.mp4)" ]; ok "HLS with copied audio"

mkdir parts
cp hd.mp4 parts/x.v00001.ts
ln parts/x.v00001.ts parts/y.ts
ln -s y.ts parts/z.a00000.ts
cp hd.mp4 parts/l.mp4
ln -s l.mp4 parts/w.v00000.ts
refused=yes
for name in x.v00001.ts:x y.ts:x y.ts:z; do
	run "$gpuferry" transcode --prefer software "parts/${name%:*}" "parts/${name#*:}.m3u8"
	[ $code = 2 ] && one_line && complains "would replace the input" && cmp -s hd.mp4 "parts/${name%:*}" || refused=no
done
[ $refused = yes ]; ok "an input is never a segment of its own HLS, by whatever name"
run "$gpuferry" transcode --quiet --prefer software hd.mp4 parts/w.m3u8
[ $code = 0 ] && cmp -s hd.mp4 parts/l.mp4 && [ ! -L parts/w.v00000.ts ] && clean parts/w.m3u8 && [ -z "$(find parts -name "*gpuferry*")" ]
ok "a segment is written into no link"
"$gpuferry" transcode --quiet --prefer software long.mkv parts/two.m3u8 &
pid=$!
for _ in $(seq 600); do [ ! -e parts/.two.gpuferry ] || break; sleep 0.1; done
run "$gpuferry" transcode --prefer software hd.mp4 parts/two.m3u8
first=$code
wait $pid
[ $? = 0 ] && [ "$(frames parts/two.m3u8)" = 1000 ] && clean parts/two.m3u8 && { [ $first = 5 ] && complains "is writing it" || complains "is there already"; }
ok "two runs never make one HLS"

# ---- HDR and subtitles

make -f lavfi -i testsrc2=s=640x360:r=25,setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc \
	-t 1 -pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc \
	-c:v libx265 -preset ultrafast -x265-params log-level=error hdr.mkv
run "$gpuferry" transcode --quiet --prefer software --size 180 hdr.mkv sdr.mp4
[ $code = 0 ] && clean sdr.mp4 && [ "$(ffprobe -v error -show_entries stream=width,pix_fmt,color_transfer -of csv=p=0 sdr.mp4)" = 320,yuv420p,bt709 ]
ok "HDR10 becomes SDR"
run "$gpuferry" transcode --quiet --prefer software --keep-hdr --codec hevc hdr.mkv kept.mp4
[ $code = 0 ] && clean kept.mp4 && [ "$(ffprobe -v error -show_entries stream=codec_tag_string,pix_fmt,color_transfer -of csv=p=0 kept.mp4)" = hvc1,yuv420p10le,smpte2084 ]
ok "or stays HDR"
printf '1\n00:00:00,000 --> 00:00:09,000\nHHHHHHHH\n' >text.srt
make -f lavfi -i color=black:s=640x360:r=25 -i text.srt -map 0 -map 1 -t 1 -c:v libx264 -c:s srt "it's [a], b;c:%d.mkv"
run "$gpuferry" transcode --quiet --prefer software --burn 1 "it's [a], b;c:%d.mkv" burnt.mp4
bright() { ffmpeg -v error -nostdin -i "$1" -frames:v 1 -pix_fmt gray -f rawvideo - | tr -d '\000-\177' | wc -c; }
[ $code = 0 ] && [ "$(bright burnt.mp4)" -gt 100 ]; ok "a subtitle is drawn, whatever the file is called"
run "$gpuferry" transcode --quiet --prefer software "it's [a], b;c:%d.mkv" plain.mp4
[ $code = 0 ] && [ "$(bright plain.mp4)" = 0 ] && [ "$(ffprobe -v error -show_entries stream=codec_type -of csv=p=0 plain.mp4)" = video ]
ok "or dropped"
run "$gpuferry" transcode --burn 2 "it's [a], b;c:%d.mkv" none.mp4
[ $code = 1 ] && one_line && complains "no number 2"; ok "one that is not there is refused"

# ---- names and files that want something else

refused() { # NAME FILE TEXT
	run "$gpuferry" transcode --prefer software -- "$2" refused.mp4
	[ $code = 1 ] && one_line && complains "$3" && [ ! -e refused.mp4 ]; ok "$1 is refused"
}
: >empty.mp4
head -c 100000 /dev/zero >zero.mkv
head -c 20000 hd.mp4 >cut.mp4
printf '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://%s/hd.mp4\n#EXT-X-ENDLIST\n' "$work" >list.m3u8
printf '\000\000\000\001moov\177\377\377\377\377\377\377\377' >huge.mp4
refused "an empty file" empty.mp4 empty.mp4
refused "zeros" zero.mkv zero.mkv
refused "a cut file" cut.mp4 cut
refused "a header that claims too much" huge.mp4 huge.mp4
refused "a playlist" list.m3u8 "would read others"
refused "a folder" / "is a folder"
refused "http:" http://127.0.0.1:9/a.mp4 "No such file"
refused "concat:" "concat:hd.mp4|hd.mp4" "No such file"
refused "a pipe" - "No such file"
make -f lavfi -i testsrc=s=64x48:r=25 -t 1 ./-y.mkv
run "$gpuferry" transcode --quiet --prefer software -- -y.mkv "-n 'a'.mkv"
[ $code = 0 ] && clean "./-n 'a'.mkv"; ok "names like options"
make -i hd.mp4 -c copy -movflags faststart fast.mp4
head -c "$(($(wc -c <fast.mp4) / 2))" fast.mp4 >half.mp4
run "$gpuferry" transcode --quiet --prefer software half.mp4 half.mkv
[ $code = 3 ] && complains "cut or damaged" && clean half.mkv; ok "half a file becomes half a film, and is told as that"

make -i hd.mp4 -an -c copy -bsf:v 'setts=pts=PTS/2:dts=DTS/2' lies.mkv # twice as many as its header claims
run "$gpuferry" transcode --quiet --prefer software --size 180 lies.mkv lies.mp4
[ $code = 0 ] && clean lies.mp4 && [ "$(frames lies.mp4)" = "$(frames hd.mp4)" ]; ok "a header that lies about the rate loses no frame"

# ---- a stop

await() { for _ in $(seq 600); do [ ! -e "$1" ] || return 0; sleep 0.1; done; return 1; }
signals="TERM INT HUP"
# where nohup started all this, that one cannot be taught again
[ $((0x$(sed -n 's/^SigIgn:[[:space:]]*//p' /proc/self/status) & 1)) = 0 ] || signals="TERM INT"
for signal in $signals; do
	"$gpuferry" transcode --quiet --prefer software long.mkv "$signal.m3u8" 2>err &
	pid=$!
	await "$signal.m3u8"
	kill -$signal $pid
	wait $pid; code=$?
	[ $code = 1 ] && one_line && complains "can be played" && clean "$signal.m3u8" && tail -n 1 "$signal.video.m3u8" | grep -q ENDLIST &&
		[ "$(ls "$signal".v*.ts | wc -l)" = "$(grep -c '\.ts' "$signal.video.m3u8")" ] &&
		[ "$(ls "$signal".a*.ts | wc -l)" = "$(grep -c '\.ts' "$signal.audio.m3u8")" ]
	ok "SIG$signal leaves HLS that can be played, and nothing else"
done

# ---- ffmpeg is loaded before it is known what it shall do

loaded() { pgrep -f "^$work/own/ffmpeg $1" >found; }
await_loaded() { for _ in $(seq 600); do loaded "$1" && return; sleep 0.1; done; return 1; }
await_none() { for _ in $(seq 100); do loaded "" || return 0; sleep 0.1; done; return 1; }
# where nobody else may put a library, whatever the folder is that it was built in
mkdir -m 755 bin own
install -m 755 "$gpuferry" "${GPUFERRY_AHEAD:-$(dirname "$gpuferry")/ahead.so}" bin
ln -s "$(command -v ffmpeg)" own/ffmpeg
ln -s "$(command -v ffprobe)" own/ffprobe
begin() { # FILM: $pid, and $video as soon as it gives segments
	rm -f own.*
	bin/gpuferry transcode --quiet --prefer software --ffmpeg "$work/own/ffmpeg" "$1" own.m3u8 2>err &
	pid=$!
	await own.m3u8
	video=$(pgrep -P $pid -f ' -an ')
}
end() { kill -TERM $pid; wait $pid; }
preloaded() { tr '\0' '\n' <"/proc/$video/environ" | grep -qx 'LD_PRELOAD=/.*/ahead.so'; }
cp long.mkv unread.mkv
begin unread.mkv
preloaded && tr '\0' '\n' <"/proc/$video/cmdline" | grep -qx file:unread.mkv && [ "$(pgrep -cf "^$work/own/ffmpeg ")" = 2 ]
ok "the video's program is the one that was loaded, and looks as any other"
end
begin unread.mkv
! preloaded; ok "of a film that was read before nothing is loaded"
end
for of in bin bin/ahead.so; do
	chmod g+w $of
	cp long.mkv unread.mkv
	begin unread.mkv
	! preloaded && [ -n "$video" ]; ok "nor where others may write: $of"
	end
	chmod g-w $of
done
rm own/ffprobe
# shellcheck disable=SC2016
printf '#!/bin/sh\necho $$ >"%s/probes"\nwhile [ ! -e "%s/goes on" ]; do sleep 0.1; done\nexec ffprobe "$@"\n' "$work" "$work" >own/ffprobe
chmod +x own/ffprobe
for how in text TERM KILL; do
	rm -f probes "goes on" own.*
	cp hd.mp4 unread.mp4
	[ $how != text ] || echo this is no film >unread.mp4
	bin/gpuferry transcode --quiet --prefer software --ffmpeg "$work/own/ffmpeg" unread.mp4 own.m3u8 2>err &
	pid=$!
	await_loaded -version && await probes && if [ $how = text ]; then touch "goes on"; else kill -$how $pid; fi && ! wait $pid 2>/dev/null && await_none
	ok "what was loaded and is not needed ends: $how"
	touch "goes on"
done

(trap '' HUP; exec "$gpuferry" transcode --quiet --prefer software long.mkv nohup.m3u8 2>err) &
pid=$!
await nohup.m3u8
kill -HUP $pid
wait $pid
[ $? = 0 ] && [ "$(frames nohup.m3u8)" = 1000 ]; ok "SIGHUP is nothing where nohup says so"
"$gpuferry" transcode --quiet --prefer software long.mkv stop.mp4 2>err &
pid=$!
for _ in $(seq 600); do ls .gpuferry-*/v* >/dev/null 2>&1 && break; sleep 0.1; done
kill -TERM $pid
wait $pid; code=$?
[ $code = 1 ] && one_line && complains "nothing is left" && [ ! -e stop.mp4 ] && ! ls -d .gpuferry-* >/dev/null 2>&1
ok "of a file it leaves nothing"
"$gpuferry" transcode --quiet --prefer software long.mkv killed.mp4 2>err &
pid=$!
for _ in $(seq 600); do ls .gpuferry-*/v* >/dev/null 2>&1 && break; sleep 0.1; done
kill -KILL $pid
wait $pid 2>/dev/null
left=$(ls -d .gpuferry-*)
"$gpuferry" transcode --quiet --prefer software long.mkv beside.mp4 2>err &
pid=$!
for _ in $(seq 600); do ls .gpuferry-*/v* >/dev/null 2>&1 && [ ! -e "$left" ] && break; sleep 0.1; done
held=$(ls -d .gpuferry-*)
mkdir .gpuferry-others
touch .gpuferry-others/kept
[ -n "$left" ] && [ ! -e "$left" ] && [ ! -e killed.mp4 ]; ok "killed, what it leaves is cleared away by the next"
run "$gpuferry" transcode --quiet --prefer software hd.mp4 third.mp4
[ $code = 0 ] && [ -e "$held" ] && [ -e .gpuferry-others/kept ]; ok "but not what another one works in, nor another folder"
run "$gpuferry" transcode --quiet --overwrite --prefer software hd.mp4 beside.mp4
[ $code = 5 ] && one_line && complains "beside.mp4: another one is writing it"; ok "nor is the same output written by two"
kill -TERM $pid
wait $pid
rm -r .gpuferry-others
printf '#!/bin/sh\nexec sleep 1234.5\n' >sleeps
chmod +x sleeps
"$gpuferry" inspect --encoders --fresh --ffmpeg "$PWD/sleeps" >out 2>&1 &
pid=$!
for _ in $(seq 100); do pgrep -f 'sleep 1234.5' >/dev/null && break; sleep 0.1; done
kill -TERM $pid
wait $pid 2>/dev/null
for _ in $(seq 100); do pgrep -f 'sleep 1234.5' >/dev/null || break; sleep 0.1; done
! pgrep -f 'sleep 1234.5' >/dev/null; ok "a proof that is interrupted leaves no program behind"

# ---- a full disk

if unshare --mount --map-root-user sh -c 'mount -t tmpfs -o size=64k none /mnt' 2>/dev/null; then
	small() { # SIZE WORDS...: /mnt has that much room; what it then has is copied to here
		size=$1
		shift
		rm -rf mnt
		run unshare --mount --map-root-user sh -c "mount -t tmpfs -o size=$size none /mnt && \"\$@\"; code=\$?; cp -r /mnt '$work/mnt'; exit \$code" sh "$@"
	}
	small 1m "$gpuferry" transcode --quiet --prefer software --bitrate 1M long.mkv /mnt/a.m3u8
	[ $code = 1 ] && one_line && complains "in this memory" && [ -z "$(ls mnt)" ]; ok "memory that is too small is refused"
	small 16m "$gpuferry" transcode --quiet --prefer software --quality 1 --size 720 --audio none long.mkv /mnt/a.m3u8
	[ $code = 1 ] && complains "make room" && { [ ! -e mnt/a.m3u8 ] || clean mnt/a.m3u8; }; ok "a disk that fills leaves HLS that can be played, and the cure is said"
	ls mnt | sed 's/^/# /'
	small 32m "$gpuferry" transcode --quiet --prefer software --quality 1 long.mkv /mnt/a.mp4
	[ $code = 1 ] && complains "make room" && [ -z "$(ls -A mnt)" ]; ok "and no file"
else
	skip "a full disk" "no mount namespaces here"
fi
done_testing
