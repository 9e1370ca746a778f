#!/bin/sh
# gpuferry serve as who watches it meets it: what it answers, to whom, and that nothing stops it from answering.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
gpuferry=${GPUFERRY:-build/gpuferry}
client=${GPUFERRY_CLIENT:-build/tests/serve_client}
source=${GPUFERRY_SOURCE:-.}
export CACHE_DIRECTORY="$work/cache"
pids=
trap 'for pid in $pids; do kill -9 "$pid" 2>/dev/null; done; rm -rf "$work"' EXIT

# program NAME ENCODERS: an ffmpeg of its own, which has no CUDA while NAME.broken is there
program() {
	cat >"$work/$1" <<-END
		#!/bin/sh
		encoders="$2" decoders=h264 filters=scale hwaccels=
		act() {
			case "\$*" in *cuda* | *nvenc*) [ ! -e "\$0.broken" ] || say "Cannot load libcuda.so.1" ;; esac
		}
		. "$source/tests/fake_ffmpeg.sh"
	END
	chmod +x "$work/$1"
}

# begin NAME OPTION...: starts one; $pid, $port
begin() {
	name=$1
	shift
	rm -f "$work/$name.out" # of one before
	"$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
	pid=$!
	pids="$pids $pid"
	tries=0
	until [ -s "$work/$name.out" ] || [ $tries = 200 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	port=$(sed -n 's/^http:.*:\([0-9]*\): .*/\1/p' "$work/$name.out")
}

# ends PID: SIGTERM ends it, and nobody else has to; the exit code
ends() {
	kill -TERM "$1"
	(sleep 20; kill -9 "$1" 2>/dev/null) &
	watch=$!
	before=$(date +%s%N)
	code=0
	wait "$1" || code=$?
	took=$((($(date +%s%N) - before) / 1000000))
	kill $watch 2>/dev/null
	[ $took -lt 2000 ] || echo "# it took $took ms"
	[ $code = 0 ]
}

ask() { # WHERE TEXT: sends the text as it is (printf's escapes); $work/out
	code=0
	# shellcheck disable=SC2059
	printf "$2" | "$client" raw "$1" >"$work/out" 2>"$work/err" || code=$?
}
get() { ask "$1" "GET $2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"; }
status() { head -n 1 "$work/out" | cut -d' ' -f2; }
body() { sed '1,/^\r*$/d' "$work/out"; }
health() { get "$1" /health; body >"$work/health"; jq -r "$2" "$work/health" 2>/dev/null; }

slower() { # the slowest answer of all
	took=$(sed -n 's/^ms //p' "$work/err")
	[ "${took:=99999}" -le "$worst" ] || worst=$took
}

wait_for() { # SECONDS PORT FILTER VALUE: until /health says so
	tries=$1
	while :; do
		[ "$(health "$2" "$3")" != "$4" ] || return 0
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { sed 's/^/# /' "$work/health"; return 1; }
		sleep 1
	done
}

# ---- usage ----------------------------------------------------------------------------------------------------------

usage() {
	name=$1
	shift
	run "$gpuferry" serve "$@"
	[ $code = 2 ] && one_line; ok "$name"
}
usage "a place that is none" --listen nowhere
usage "a port that is none" --listen 127.0.0.1:70000
usage "a name that may mean anything" --listen example.org:80
usage "a time that is none" --every soon
usage "a time that is too short" --every 1s
usage "two goals" one.yaml two.yaml
usage "a goal that is not there" "$work/none.yaml"
usage "what a goal has and this verb has no use for" --into vm/100

# ---- the service ----------------------------------------------------------------------------------------------------

if command -v systemd-analyze >/dev/null; then
	sed "s,@bindir@,$(dirname "$(realpath "$gpuferry")")," "$source/systemd/gpuferry-serve.service.in" >"$work/gpuferry-serve.service"
	run systemd-analyze verify --man=no "$work/gpuferry-serve.service"
	[ $code = 0 ] && [ ! -s "$work/err" ]; ok "systemd finds nothing wrong with the unit"
	run systemd-analyze security --offline=true --threshold=25 "$work/gpuferry-serve.service"
	[ $code = 0 ]; ok "and little that it is exposed to"
else
	skip "systemd finds nothing wrong with the unit" "systemd-analyze is not installed"
fi

# ---- what it answers, on a machine without a GPU ---------------------------------------------------------------------

program plain libx264
begin plain "$gpuferry" serve --listen 127.0.0.1:0 --ffmpeg "$work/plain"
plain=$pid
web=$port
[ -n "$web" ]; ok "it says where it answers"
get "$web" /health
case $(status) in 200 | 503) body | jq -e '.hardware_acceleration | has("active")' >"$work/jq" ;; *) false ;; esac
ok "/health answers at once, whatever is not proven yet"
wait_for 60 "$web" .hardware_acceleration.engine software; ok "software encodes here, once it is proven"
[ "$(health "$web" '[.status, .hardware_acceleration.wanted, .hardware_acceleration.active, .hardware_acceleration.rung] | tostring')" = '["pass",null,false,4]' ]
ok "nobody wants hardware and none is here: pass"
[ "$(health "$web" '.hardware_acceleration.reason')" = "this ffmpeg has no hardware encoder" ]; ok "and the reason is told"
[ "$(status)" = 200 ] && grep -qi '^content-type: application/health+json' "$work/out"; ok "with 200, as health+json"
for key in $(jq -r '[paths | map(select(type == "string")) | .[]] | unique | .[]' "$work/health"); do
	grep -qF "\`$key\`" "$source/docs/json.md" || { echo "# $key"; false; }
	ok "docs/json.md describes $key"
done
get "$web" /metrics
[ "$(status)" = 200 ] && body >"$work/metrics" && grep -q '^gpuferry_cpu_seconds_total{mode="idle"} ' "$work/metrics" &&
	grep -q '^gpuferry_health{status="pass"} 1' "$work/metrics" && grep -q '^gpuferry_hardware_active 0' "$work/metrics" &&
	grep -q '^gpuferry_proof_works{encoder="libx264",bits="8",device=""} 1' "$work/metrics"
ok "/metrics tells of the machine, the health and the proof"
! grep -q gpuferry_hardware_wanted "$work/metrics"; ok "what nobody said is not told as 0"
if command -v promtool >/dev/null; then
	promtool check metrics <"$work/metrics" >"$work/out" 2>&1; ok "promtool finds nothing"
else
	skip "promtool finds nothing" "promtool is not installed"
fi
ask "$web" "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
[ "$(status)" = 200 ] && [ -z "$(body)" ] && grep -qi '^content-length: [1-9]' "$work/out"; ok "HEAD answers without a body"

# ---- hostile -----------------------------------------------------------------------------------------------------------

mark='<script>zzq'
refused() { # NAME CODES TEXT: one of the codes, or the connection is cut, and nothing of what was sent comes back
	ask "$web" "$3"
	got=$(status)
	case " $2 " in *" ${got:-cut} "*) ! grep -qa zzq "$work/out" ;; *) echo "# $got"; false ;; esac
	ok "$1: ${got:-cut}"
}
refused "a path that is none" 404 "GET /$mark HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
refused "a zero byte in a path" 404 "GET /health%%00$mark HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
refused "a raw zero byte, which ends the path" "200 400 404 cut" "GET /health\000$mark HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
refused "a way out" 404 "GET /../../etc/passwd?$mark HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
refused "another site as path" "400 404" "GET http://evil/metrics$mark HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
refused "a Host of another site" 421 "GET /metrics HTTP/1.1\r\nHost: zzq.example.org\r\nConnection: close\r\n\r\n"
refused "a Host that is none" 400 "GET /metrics HTTP/1.1\r\nHost: $mark\r\nConnection: close\r\n\r\n"
refused "a Host with a port that is none" 400 "GET /metrics HTTP/1.1\r\nHost: localhost:zzq\r\nConnection: close\r\n\r\n"
refused "a Host in open brackets" 400 "GET /metrics HTTP/1.1\r\nHost: [::1zzq\r\nConnection: close\r\n\r\n"
refused "two Hosts" 400 "GET /metrics HTTP/1.1\r\nHost: localhost\r\nhost: zzq\r\nConnection: close\r\n\r\n"
refused "no Host" 400 "GET /metrics HTTP/1.1\r\nX: zzq\r\nConnection: close\r\n\r\n"
refused "POST" 405 "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nConnection: close\r\n\r\nzzq"
refused "a body that is promised and never comes" 405 "PUT /zzq HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
refused "a method that is none" "405 400 501" "ZZQzzq /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
refused "no HTTP at all" "400 405 505 cut" "zzq\r\n\r\n"
refused "HTTP of the far future" "400 505 cut" "GET /zzq HTTP/9.9\r\nHost: localhost\r\n\r\n"
long=$(head -c 20000 /dev/zero | tr '\0' z)
refused "a huge header" "400 413 431" "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-zzq: $long\r\n\r\n"
refused "a huge path" "400 404 413 414 431" "GET /zzq$long HTTP/1.1\r\nHost: localhost\r\n\r\n"
refused "a thousand headers" "400 413 431" "GET /zzq HTTP/1.1\r\nHost: localhost\r\n$(yes 'X-zzq: zzq\r\n' | head -n 1000 | tr -d '\n')\r\n"
refused "a header that folds" "400 404" "GET /zzq HTTP/1.1\r\nHost: localhost\r\n zzq: zzq\r\nConnection: close\r\n\r\n"
head -c 200000 /dev/urandom | "$client" raw "$web" >"$work/out" 2>/dev/null
[ "$(health "$web" .status)" = pass ]; ok "after all that it answers as before"
ask "$web" "GET /health HTTP/1.1\r\nHost: 127.0.0.1:$web\r\n\r\nGET /health HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n"
[ "$(grep -ac '^HTTP/1.1 200' "$work/out")" = 2 ]; ok "addresses are answered, two requests in one go too"
grep -q . "$work/plain.err" && sed 's/^/# /' "$work/plain.err"
[ ! -s "$work/plain.err" ]; ok "and nothing of it stands in the log"

# ---- many and slow -------------------------------------------------------------------------------------------------------

"$client" slow "$web" 1000 12 >"$work/slow" 2>/dev/null &
slow=$!
sleep 3
worst=0
failed=0
for _ in 1 2 3 4 5 6 7 8; do
	[ "$(health "$web" .status)" = pass ] || failed=1
	slower
	sleep 0.5
done
echo "# the slowest answer took $worst ms"
[ $failed = 0 ] && [ "$worst" -lt 10000 ]; ok "a thousand slow connections do not stop /health"
wait $slow
sed 's/^/# /' "$work/slow"
get "$web" /metrics
body | grep -q '^gpuferry_http_evicted_total [1-9]'; ok "they were cut"

# ---- two in one place, and the end ------------------------------------------------------------------------------------------

run "$gpuferry" serve --listen "127.0.0.1:$web" --ffmpeg "$work/plain"
[ $code = 1 ] && one_line && complains "another program listens there"; ok "a second one on that port says so"
ends "$plain"; ok "SIGTERM ends it, with 0"
begin again "$gpuferry" serve --listen "127.0.0.1:$web" --ffmpeg "$work/plain"
[ "$port" = "$web" ]; ok "and the port is free at once"
ends "$pid"; ok "SIGTERM in the middle of a proof ends it too"

begin path "$gpuferry" serve --listen "$work/socket" --ffmpeg "$work/plain"
[ -S "$work/socket" ] && get "$work/socket" /health && body | jq -e .status >"$work/jq"; ok "a path is served"
run "$gpuferry" serve --listen "$work/socket"
[ $code = 1 ] && one_line; ok "a second one there says so too"
ends "$pid" && [ ! -e "$work/socket" ]; ok "and it is gone at the end"
begin path "$gpuferry" serve --listen "$work/socket" --ffmpeg "$work/plain"
kill -9 "$pid"
wait "$pid" 2>/dev/null
begin path "$gpuferry" serve --listen "$work/socket" --ffmpeg "$work/plain"
get "$work/socket" /health && body | jq -e .status >"$work/jq"; ok "one that was left over is taken"
ends "$pid"
echo kept >"$work/file"
run "$gpuferry" serve --listen "$work/file"
[ $code = 1 ] && one_line && complains "is no socket" && [ "$(cat "$work/file")" = kept ]; ok "a file is never taken for one"
begin path "$gpuferry" serve --listen "$work/socket" --ffmpeg "$work/plain"
older=$pid
rm "$work/socket"
begin taken "$gpuferry" serve --listen "$work/socket" --ffmpeg "$work/plain"
ends "$older" && get "$work/socket" /health && body | jq -e .status >"$work/jq"; ok "nor is another one's removed at the end"
ends "$pid"

begin open "$gpuferry" serve --listen 0.0.0.0:0 --ffmpeg "$work/plain"
ask "$port" "GET /health HTTP/1.1\r\nHost: media.lan\r\nConnection: close\r\n\r\n"
body | jq -e .status >"$work/jq"; ok "where others are meant, every name is answered"
ends "$pid"
begin six "$gpuferry" serve --listen "[::1]:0" --ffmpeg "$work/plain"
if grep -q "cannot assign\|Cannot assign\|not supported" "$work/six.err"; then
	skip "an address of IPv6 is served" "this machine has none"
else
	grep -q '^http://\[::1\]:[0-9]' "$work/six.out"; ok "an address of IPv6 is served"
	ends "$pid"
fi

begin given "$client" activate "$gpuferry" serve --ffmpeg "$work/plain"
[ -n "$port" ] && get "$port" /health && body | jq -e .status >"$work/jq"; ok "a socket that systemd hands over is served"
ends "$pid"; ok "and that ends well"

# ---- hardware that comes, goes and hangs ----------------------------------------------------------------------------------------

program none libx264
rm "$work/none"
begin none "$gpuferry" serve --listen 127.0.0.1:0 --ffmpeg "$work/none"
wait_for 20 "$port" '.hardware_acceleration.reason | contains("no proof can be made")' true && [ "$(status)" = 503 ]; ok "without an ffmpeg it fails, and says so"
ends "$pid"

printf 'gpu: intel\n' >"$work/intel.yaml"
begin intel "$gpuferry" serve --listen 127.0.0.1:0 --ffmpeg "$work/plain" "$work/intel.yaml"
wait_for 60 "$port" .hardware_acceleration.active false; ok "a goal that is not reached is noticed"
[ "$(health "$port" '[.status, .hardware_acceleration.wanted, .hardware_acceleration.engine] | tostring')" = '["fail",true,"software"]' ] &&
	[ "$(status)" = 503 ] && [ "$(health "$port" .hardware_acceleration.wanted_by)" = "$work/intel.yaml: gpu: intel" ]
ok "503, what encodes instead, and who wants it"
ends "$pid"

mkdir "$work/nvidia"
ln -s "${GPUFERRY_FAKE_NVML:-none}" "$work/nvidia/libnvidia-ml.so.1"
echo "temperature 61" >"$work/nvml"
program nvenc "h264_nvenc libx264"
begin nvenc env LD_LIBRARY_PATH="$work/nvidia" FAKE_NVML="$work/nvml" "$gpuferry" serve --listen 127.0.0.1:0 \
	--gpu nvidia --every 10s --ffmpeg "$work/nvenc"
wait_for 60 "$port" .hardware_acceleration.active true; ok "hardware that was shown is active"
[ "$(health "$port" '[.status, .hardware_acceleration.wanted, .hardware_acceleration.engine, .hardware_acceleration.rung, .hardware_acceleration.reason] | tostring')" = '["pass",true,"nvenc",4,"none"]' ]
ok "pass, with engine and rung"
since=$(health "$port" .hardware_acceleration.since)
# the proof, which only looks at one frame, goes well, and a film does not
ffmpeg -v error -nostdin -f lavfi -i testsrc=s=320x240:r=25 -t 8 -c:v libx264 -preset ultrafast "$work/film.mkv"
sed -i 's/^act() {/&\n\tcase "$*" in *nvenc*stream_segment*) [ ! -e "$0.film" ] || say "CUDA_ERROR_UNKNOWN: unknown error" ;; esac/' "$work/nvenc"
touch "$work/nvenc.film"
run env LD_LIBRARY_PATH="$work/nvidia" FAKE_NVML="$work/nvml" "$gpuferry" transcode --ffmpeg "$work/nvenc" "$work/film.mkv" "$work/film.mp4"
[ $code = 0 ] && says "h264_nvenc failed at"; ok "a film that hardware does not encode is encoded"
wait_for 20 "$port" .status warn && [ "$(health "$port" '.checks["transcode:fallback"][0].output')" = "$(health "$port" .output)" ] &&
	[ "$(health "$port" '.output | startswith("h264_nvenc failed in a transcode: ")')" = true ] && [ "$(status)" = 200 ]
ok "and it is told: a warning, with the reason"
rm "$work/nvenc.film"
# no session is free: known by the driver's refusal, and then by counting, until some have ended
sed -i 's/^act() {/&\n\tcase "$*" in *nvenc*stream_segment*) [ ! -e "$0.many" ] || say "OpenEncodeSessionEx failed: out of memory (10)" ;; esac/' "$work/nvenc"
touch "$work/nvenc.many"
film() { run env LD_LIBRARY_PATH="$work/nvidia" FAKE_NVML="$work/nvml" "$gpuferry" transcode --json --ffmpeg "$work/nvenc" --overwrite "$work/film.mkv" "$work/film.mp4"; }
printf 'temperature 61\nsession 1 60\nsession 2 60\nsession 3 60\nmemory 900\n' >"$work/nvml"
film
[ $code = 0 ] && [ "$(jq -c '[.choice.encoder, .attempts[0].reason, (.attempts | length)]' "$work/out")" = '["h264_nvenc","limit",2]' ]
ok "a job beyond the driver's sessions goes on in software"
film
[ $code = 0 ] && [ "$(jq -c '[.choice.encoder, (.attempts | length)]' "$work/out")" = '["libx264",1]' ] &&
	jq -r '.choice.passed_over[].why' "$work/out" | grep -q '3 sessions run, and at 3 the driver gave no more'
ok "the next one begins there, while as many run, and says why"
rm "$work/nvenc.many"
echo "temperature 61" >"$work/nvml"
film
[ $code = 0 ] && [ "$(jq -r .choice.encoder "$work/out")" = h264_nvenc ]; ok "and once some have ended, hardware is taken again"
run env LD_LIBRARY_PATH="$work/nvidia" FAKE_NVML="$work/nvml" "$gpuferry" transcode --ffmpeg "$work/nvenc" --overwrite "$work/film.mkv" "$work/film.mp4"
[ $code = 0 ] && wait_for 20 "$port" .status pass; ok "until hardware has encoded one to its end"
get "$port" /metrics
body >"$work/metrics"
grep -q '^gpuferry_gpu_temperature_celsius{gpu="0000:01:00.0",sensor="gpu"} 61' "$work/metrics" &&
	grep -q '^gpuferry_hardware_active 1' "$work/metrics" && grep -q '^gpuferry_source_up{source="nvml"} 1' "$work/metrics"
ok "what NVML tells is told"
touch "$work/nvenc.broken"
echo lost >"$work/nvml"
wait_for 60 "$port" .hardware_acceleration.active false; ok "hardware that is gone is noticed"
[ "$(health "$port" '[.status, .hardware_acceleration.engine] | tostring')" = '["fail","software"]' ] && [ "$(status)" = 503 ] &&
	[ "$(health "$port" '.hardware_acceleration.reason | contains("libcuda")')" = true ] &&
	[ "$(health "$port" .hardware_acceleration.since)" != "$since" ]
ok "it is wanted: 503, and the reason is the proof's"
rm "$work/nvenc.broken"
echo "temperature 55" >"$work/nvml"
wait_for 60 "$port" .hardware_acceleration.active true; ok "and when it is back, that too"
wait_for 60 "$port" '.checks["nvml:age"][0].status' pass; ok "NVML is asked again"
echo hang >"$work/nvml"
worst=0
hung=no
tries=0
while [ $tries -lt 45 ] && [ $hung = no ]; do
	[ "$(health "$port" '.checks["nvml:age"][0].output | tostring | contains("hangs")')" != true ] || hung=yes
	slower
	tries=$((tries + 1))
	sleep 1
done
echo "# the slowest answer took $worst ms"
[ $hung = yes ] && [ "$worst" -lt 10000 ]; ok "an NVML that hangs is told, and stops nobody"
[ "$(health "$port" .hardware_acceleration.active)" = true ] && [ "$(health "$port" .status)" = warn ]; ok "what encodes all the same stays active: a warning"
ends "$pid"; ok "and it ends at once all the same"
[ ! -s "$work/nvenc.err" ] || { sed 's/^/# /' "$work/nvenc.err"; false; }
ok "nothing was said on the way"

# ---- a real Prometheus ----------------------------------------------------------------------------------------------------------

if command -v prometheus >/dev/null; then
	begin scraped "$gpuferry" serve --listen 127.0.0.1:0 --ffmpeg "$work/plain"
	served=$pid
	free=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport')
	cat >"$work/prometheus.yml" <<-END
		global: {scrape_interval: 1s}
		scrape_configs: [{job_name: gpuferry, static_configs: [{targets: ["127.0.0.1:$port"]}]}]
	END
	prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" --web.listen-address="127.0.0.1:$free" \
		>"$work/prometheus.log" 2>&1 &
	pids="$pids $!"
	prometheus=$!
	found=
	tries=0
	while [ -z "$found" ] && [ $tries -lt 18 ]; do
		sleep 1
		tries=$((tries + 1))
		get "$free" '/api/v1/query?query=up%%7Bjob=%%22gpuferry%%22%%7D+and+on()+gpuferry_build_info'
		found=$(body | grep -o '"1"\]')
	done
	[ -n "$found" ] || tail -n 5 "$work/prometheus.log" | sed 's/^/# /'
	[ -n "$found" ]; ok "a real Prometheus scrapes it"
	kill "$prometheus"
	wait "$prometheus" 2>/dev/null
	ends "$served"
else
	skip "a real Prometheus scrapes it" "prometheus is not installed"
fi
done_testing
