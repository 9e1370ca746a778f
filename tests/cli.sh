#!/bin/sh
# The program as a user meets it: usage, exit codes, hostile input, and that reading changes nothing.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
gpuferry=${GPUFERRY:-build/gpuferry}
unset GPUFERRY_UPDATE

# ---- usage ----------------------------------------------------------------------------------------------------

run "$gpuferry"
[ $code = 0 ] && says "gpuferry inspect" && says "gpuferry plan" && says "gpuferry apply"; ok "alone it names the three commands a newcomer needs"

for verb in inspect verify plan apply rollback rehearse serve record transcode; do
	run "$gpuferry" $verb --help
	[ $code = 0 ] && says "gpuferry $verb" && says --quiet; ok "$verb --help"
done

run "$gpuferry" --version
[ $code = 0 ] && says "gpuferry 0."; ok "--version"

usage() { # NAME WORDS...: wrong usage is exit 2 and one line
	name=$1
	shift
	run "$gpuferry" "$@"
	[ $code = 2 ] && one_line; ok "$name"
}
usage "an unknown verb" frobnicate
usage "an unknown option" inspect --frobnicate
usage "a value that is missing" inspect --machine
usage "a colour that is none" inspect --color pink
usage "a word too many" inspect here
usage "an option of another verb" inspect --gpu nvidia
usage "--ffmpeg without --encoders" inspect --ffmpeg /usr/bin/ffmpeg
usage "--veto without --encoders" inspect --veto nvenc
usage "--prefer of nothing that encodes" inspect --encoders --prefer cuda
usage "preferred and vetoed" inspect --encoders --prefer nvenc --veto nvenc
usage "an ffmpeg by name" inspect --encoders --ffmpeg ffmpeg
usage "a host and a machine at once" inspect --host ssh://root@pve --machine amd-4060ti
usage "a host that is an option" inspect --host -oProxyCommand=x
usage "record without a file" record
usage "a goal file that is not there" verify "$work/none.yaml" --machine amd-4060ti
usage "a goal for no guest that can be" verify --into vm/seven --machine amd-4060ti
usage "a plan without a goal" plan --machine amd-4060ti
usage "an apply without a goal" apply
usage "a plan for two goals" plan one.yaml two.yaml
usage "apply on a recording" apply --machine amd-4060ti --gpu nvidia --into vm/100
complains "gpuferry rehearse"; ok "and what can be done with one is told"
usage "--yes where nothing is asked" plan --yes --gpu nvidia --into vm/100
usage "--confirm and --continue at once" apply --confirm --continue
usage "--confirm with a goal" apply --confirm --gpu nvidia --into vm/100
usage "--continue with a goal" apply --continue emby.goal.yaml
usage "--dry-run of a confirmation" apply --confirm --dry-run
usage "apply on a host that is an option" apply --host -oProxyCommand=x --gpu nvidia --into vm/100
usage "apply with a goal file that is not there" apply "$work/none.yaml"
usage "rollback with a word" rollback 20261124-151600
usage "rollback --list with --yes" rollback --list --yes
usage "rollback with a goal" rollback --gpu nvidia
usage "--run without an id" rollback --run
usage "rehearse of two machines" rehearse amd-4060ti iommu-off
usage "rehearse of a text without a goal" rehearse --keep /tmp amd-4060ti
usage "--cut that is no number" rehearse --cut soon
usage "--cut of nothing" rehearse --cut 0
usage "--keep in a folder that is not there" rehearse --keep "$work/none/kept"
[ ! -s "$work/out" ]; ok "and that is told before the journey"
usage "--fail of no step" rehearse --fail 999
usage "--list of another verb" apply --list
usage "an unknown verb with a control character" "$(printf 'a\033[2Jb')"
! grep -q "$(printf '\033')" "$work/err"; ok "what a user typed is shown without control characters"

usage "--json of a verb that prints no document" record --json "$work/x.tape"

meant() { # TEXT WORDS...: a slip of the finger is answered with what was likely meant
	text=$1
	shift
	run "$gpuferry" "$@"
	[ $code != 0 ] && one_line && complains "did you mean$text"; ok "did you mean$text"
}
meant ": gpuferry inspect" insepct
meant ": gpuferry verify" verfy
meant ": gpuferry rollback" rolback
meant " --dry-run" apply --dyr-run
meant " --json" inspect --jsno
meant " --gpu" verify --gup nvidia
meant " amd-4060ti" inspect --machine amd4060ti
run "$gpuferry" xyz
! complains "did you mean"; ok "nothing is guessed where nothing is near"
run "$gpuferry" "$(head -c 100000 /dev/zero | tr '\0' i)"
[ $code = 2 ] && one_line; ok "a verb of 100,000 letters"

run "$gpuferry" help verify
[ $code = 0 ] && says "gpuferry verify [GOAL]"; ok "help is a verb too"
run "$gpuferry" --machine amd-4060ti -q inspect
[ $code = 0 ] && says 0000:01:00.0; ok "options may stand before the verb"
run "$gpuferry" verify amd-4060ti
[ $code = 2 ] && one_line && complains "--machine amd-4060ti"; ok "a machine in the goal's place is told"
for verb in "" inspect verify plan apply rollback rehearse record; do
	# shellcheck disable=SC2086
	run env LC_ALL=C.UTF-8 "$gpuferry" $verb --help
	[ "$(wc -L <"$work/out")" -le 80 ]; ok "the help of ${verb:-all} fits 80 columns"
done

printf 'gpu: nvidia\ninto: vm/100\nservcie: {kind: emby}\n' >"$work/typo.yaml"
run "$gpuferry" verify "$work/typo.yaml" --machine amd-4060ti
[ $code = 2 ] && one_line && complains "typo.yaml:3:1"; ok "a typo in a goal file is told with line and column"

# ---- built-in machines -------------------------------------------------------------------------------------------

for machine in $("$gpuferry" --print machines | awk '{ print $1 }'); do
	run "$gpuferry" inspect --json --machine "$machine"
	[ $code = 0 ] && jq -e '.schema == "gpuferry.inspect/1" and (.gpus | type) == "array"' "$work/out" >/dev/null
	ok "inspect --json of $machine"
	run "$gpuferry" verify --json --machine "$machine"
	case $code in 0 | 3 | 6) jq -e '.schema == "gpuferry.verify/1" and (.findings | length) > 0' "$work/out" >/dev/null ;; *) false ;; esac
	ok "verify --json of $machine"
	run "$gpuferry" inspect --machine "$machine"
	[ $code = 0 ] && [ ! -s "$work/err" ]; ok "inspect of $machine for people"
done

run "$gpuferry" inspect --json --machine amd-4060ti
jq -e '.gpus[] | select(.address == "0000:01:00.0") | .vendor == "10de" and .device == "2803" and .iommu_group == "12"
	and .group_state == "isolated" and .functions == ["0000:01:00.0", "0000:01:00.1"] and .group_others == []' \
	"$work/out" >/dev/null
ok "the guides' card is what it is"
jq -e '(.host | has("name") and has("pve_version") and has("kernel") and has("cmdline") and has("bootloader") and has("iommu")
	and has("secure_boot")) and has("guests") and has("encoders") and has("blind")
	and (.gpus[0] | has("subsystem") and has("name") and has("class") and has("driver") and has("boot_display")
	and has("hot_release") and has("render_node") and has("reset_methods") and (.encode | has("engine") and has("generation")
	and has("codecs")))' "$work/out" >/dev/null
ok "every key of the inspect document is there"

run "$gpuferry" verify --json --machine amd-4060ti --gpu nvidia --into vm/100
jq -e '.verdict as $v | ["ok", "broken", "unknown"] | index($v) != null' "$work/out" >/dev/null &&
	jq -e 'has("first_broken") and (.findings[0] | has("rule") and has("asks") and has("verdict") and has("why") and has("cure"))' \
		"$work/out" >/dev/null
ok "every key of the verify document is there"

run "$gpuferry" verify --json --machine guide-wrong
[ $code = 3 ] && jq -e '.verdict == "broken" and .first_broken != "none"' "$work/out" >/dev/null
ok "a host on which a guide was followed wrongly is broken, exit 3"

run "$gpuferry" inspect --json --machine amd-4060ti --machine intel-uhd770-ct
[ $code = 0 ] && [ "$(wc -l <"$work/out")" = 2 ] && [ "$(jq -r .machine "$work/out" | tr '\n' ' ')" = "amd-4060ti intel-uhd770-ct " ]
ok "many machines: one document a line"

run "$gpuferry" inspect --json --machine amd-4060ti --machine "$work/none"
[ $code = 1 ] && [ "$(wc -l <"$work/out")" = 2 ] && one_line; ok "many machines: the worst code, and a line for each"

# ---- encoders --------------------------------------------------------------------------------------------------------

# what is kept must not touch the machine's own: a user with a folder of its own
prove() { run env XDG_CACHE_HOME="$work/cache" ${user-} "$gpuferry" inspect --encoders "$@"; }
user=
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	user="setpriv --reuid=65534 --regid=65534 --clear-groups"
	chmod 755 "$work"
fi
mkdir -m 777 "$work/cache"
if [ "$(id -u)" = 0 ] && [ -z "$user" ]; then
	skip "inspect --encoders" "root, and no setpriv"
elif [ ! -x /usr/bin/ffmpeg ]; then
	skip "inspect --encoders" "no ffmpeg"
else
	prove --json
	[ $code = 0 ] && jq -e '.ffmpeg.path == "/usr/bin/ffmpeg" and .ffmpeg.kept == false
		and (.encoders | length) > 30 and (.encoders | all(has("name") and has("listed") and has("works") and has("rung")
			and has("why") and (.works == true or .why != "none")))
		and (.encoders[] | select(.name == "libx264") | .works and .rung == 4)' "$work/out" >/dev/null
	ok "inspect --encoders --json: each one works, or says why not"
	if [ -e /dev/dri ] || [ -e /dev/nvidia0 ]; then
		skip "no hardware, and the truth of it" "this machine may have some"
	else
		jq -e '([.encoders[] | select(.way != "software" and .works != false)] == [])
			and (.choice[] | select(.codec == "h264") | .encoder == "libx264" and (.passed_over | length) > 2)' "$work/out" >/dev/null
		ok "no hardware, and the truth of it"
	fi
	mode=$(stat -c %a "$work"/cache/gpuferry "$work"/cache/gpuferry/proofs-* | tr '\n' ' ')
	[ "$mode" = "755 600 " ]; ok "what was proven is kept, for its user alone"
	cp "$work/out" "$work/first.json"
	prove --json
	jq -e '.ffmpeg.kept' "$work/out" >/dev/null && [ "$(jq -cS .encoders "$work/out")" = "$(jq -cS .encoders "$work/first.json")" ]
	ok "asked again it is the same, and was kept"
	prove
	[ $code = 0 ] && says libx264 && says "kept from before" && [ "$(LC_ALL=C.UTF-8 wc -L <"$work/out")" -le 80 ] && ! grep -q ' $' "$work/out"
	ok "inspect --encoders for people"
	prove --all --prefer av1 --veto software
	[ $code = 0 ] && says vetoed; ok "a veto is told"
	printf '{"schema": "gpuferry.proofs/1"' >"$work/broken"
	for file in "$work"/cache/gpuferry/proofs-*; do cat "$work/broken" >"$file"; done
	prove --json
	jq -e '.ffmpeg.kept == false' "$work/out" >/dev/null; ok "what is kept and broken is proven anew"
	# neither it nor what it runs: a driver that compiles shaders would keep them in somebody's home
	if command -v strace >/dev/null && strace -o "$work/trace" true 2>/dev/null; then
		run env ASAN_OPTIONS=detect_leaks=0 XDG_CACHE_HOME="$work/cache" strace -f -qq -s 300 -o "$work/trace" \
			${user-} "$gpuferry" inspect --encoders --fresh --json
		# ftruncate takes what was opened for writing, or memory (lavapipe's)
		grep -E 'O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)|^[0-9]+ +(mkdir|rmdir|unlink|rename|link|symlink|chmod|fchmod|chown|fchown|truncate|mknod|mount|utime|setxattr)' \
			"$work/trace" | grep -vE '"/dev/|ENOENT|EEXIST|EACCES|/proc/self/(oom|coredump|timerslack)' | grep -vF "\"$work/cache/gpuferry" >"$work/writes"
		[ $code = 0 ] && [ ! -s "$work/writes" ] || { sed 's/^/# /' "$work/writes" | head -n 5; false; }
		ok "only what is kept is written (strace)"
	else
		skip "only what is kept is written (strace)" "strace does not run here"
	fi
	prove --json --ffmpeg "$work/none"
	[ $code = 1 ] && one_line; ok "an ffmpeg that is not there"
	prove --json --ffmpeg /usr/bin
	[ $code = 1 ] && one_line && grep -q 'is a folder' "$work/err"; ok "an ffmpeg that is a folder"
	prove --json --ffmpeg /bin/true
	[ $code = 1 ] && one_line; ok "a program that is no ffmpeg"
fi
run "$gpuferry" inspect --json --encoders --machine amd-4060ti
[ $code = 0 ] && jq -e '.encoders == null and (.blind | any(.what == "encoders"))' "$work/out" >/dev/null
ok "of another machine nothing is proven, and that is said"

# ---- colour and width -----------------------------------------------------------------------------------------------

run "$gpuferry" verify --machine guide-wrong
! grep -q "$(printf '\033')" "$work/out"; ok "no colour when piped"
run "$gpuferry" verify --color always --machine guide-wrong
grep -q "$(printf '\033')" "$work/out"; ok "colour when asked for"
run env LC_ALL=C "$gpuferry" inspect --machine amd-4060ti
[ $code = 0 ] && ! LC_ALL=C grep -q '[^ -~	]' "$work/out"; ok "plain ASCII in a plain locale"

for machine in $("$gpuferry" --print machines | awk '{ print $1 }'); do
	for verb in inspect verify "verify --all"; do
		# shellcheck disable=SC2086
		run env LC_ALL=C.UTF-8 "$gpuferry" $verb --machine "$machine"
		[ "$(LC_ALL=C.UTF-8 wc -L <"$work/out")" -le 80 ] && ! grep -q ' $' "$work/out"
		ok "$verb of $machine fits 80 columns, without blanks at the end"
	done
done

# ---- plan -----------------------------------------------------------------------------------------------------

# MACHINE GPU INTO CODE: what plan says to the machine that is there for it
while read -r machine gpu into want; do
	run "$gpuferry" plan --json --machine "$machine" --gpu "$gpu" --into "$into"
	cp "$work/out" "$work/plan.json"
	[ $code = "$want" ]; ok "plan of $machine is $want"
	jq -e '.schema == "gpuferry.plan/1" and ([.facts_digest, .digest] | map(test("^[0-9a-f]{64}$")) | all)
		and (.reboots | type) == "number" and (.guest_stops | all(has("id") and has("why")))
		and (.steps | all(has("kind") and has("on") and has("key") and has("from") and has("to") and has("because")
			and has("undo") and has("needs_reboot") and has("stops_guest")))
		and (.steps | all(.undo as $u | ["exact", "after-reboot", "equivalent", "none"] | index($u) != null))
		and (.gates | type) == "array" and (.refused | all(has("rule") and has("why") and has("waivable")))' \
		"$work/plan.json" >/dev/null
	ok "plan --json of $machine has every key"
	run "$gpuferry" plan --json --machine "$machine" --gpu "$gpu" --into "$into"
	cmp -s "$work/out" "$work/plan.json"; ok "plan of $machine is the same again"
	run env LC_ALL=C.UTF-8 "$gpuferry" plan --machine "$machine" --gpu "$gpu" --into "$into"
	[ $code = "$want" ] && [ ! -s "$work/err" ] && ! grep -q ' $' "$work/out"; ok "plan of $machine for people"
	case $want in
	0) says "nothing to do" && jq -e '.steps == [] and .refused == []' "$work/plan.json" >/dev/null ;;
	1) head -n 1 "$work/out" | grep -q '^refused' && jq -e '.refused != []' "$work/plan.json" >/dev/null ;;
	*) says "because" && jq -e '.steps != [] and .refused == []' "$work/plan.json" >/dev/null ;;
	esac
	ok "and says so ($machine)"
done <<EOF
amd-4060ti nvidia vm/100 3
amd-4060ti-ready nvidia vm/100 0
intel-uhd770-ct intel ct/105 3
intel-uhd770-ct-ready intel ct/105 0
iommu-off nvidia vm/100 3
shared-slot nvidia vm/100 1
EOF
run "$gpuferry" plan --json --machine amd-4060ti --gpu nvidia --into vm/100
jq -e '.reboots == 0 and (.guest_stops | map(.id)) == ["vm/100"] and .gates == []' "$work/out" >/dev/null
ok "the guides' machine: no reboot, one guest stop"
run "$gpuferry" plan --json --machine iommu-off --gpu nvidia --into vm/100
jq -e '.reboots == 1 and .gates != [] and .confirm_seconds > 0 and (.steps | map(.kind) | index("reboot") != null)' "$work/out" >/dev/null
ok "with the IOMMU off: one reboot, gates, a confirmation"
run "$gpuferry" plan --json --machine intel-uhd770-ct --gpu intel --into ct/105
jq -e '.reboots == 0 and (.steps | all(.kind != "file" and .kind != "link"))' "$work/out" >/dev/null
ok "a container whose node works: no reboot, no file on the node"
run "$gpuferry" plan --json --machine amd-4060ti --machine iommu-off --gpu nvidia --into vm/100
[ $code = 3 ] && [ "$(wc -l <"$work/out")" = 2 ] && jq -se 'map(.machine) == ["amd-4060ti", "iommu-off"]' "$work/out" >/dev/null
ok "a plan for each of two machines is a line each"
run "$gpuferry" plan --quiet --machine amd-4060ti --gpu nvidia --into vm/100
[ $code = 3 ] && ! says because; ok "a quiet plan is titles"
run "$gpuferry" plan --quiet --machine single-gpu --gpu nvidia --into vm/100
[ $code = 3 ] && [ "$(sed -n 1p "$work/out")" = "warning  gpu.only-console" ] && says "screen is dark"
ok "and yet it says first which screen goes dark"
printf 'gpu: nvidia\ninto: vm/100\n' >"$work/goal.yaml"
run "$gpuferry" plan --json --machine amd-4060ti --gpu nvidia --into vm/100
jq .steps "$work/out" >"$work/by-flags"
run "$gpuferry" plan --json --machine amd-4060ti "$work/goal.yaml"
jq .steps "$work/out" | cmp -s - "$work/by-flags"; ok "a goal file and flags give the same steps"
mkdir -p "$work/nothing/sys/bus/pci/devices"
run "$gpuferry" plan --json --machine "$work/nothing" --gpu nvidia --into vm/100
[ $code != 0 ] && [ $code != 3 ]; ok "nothing known is neither as wished nor a plan"

# ---- apply and rollback, here: this is no Proxmox VE node --------------------------------------------------------------

if [ -e /etc/pve ] || [ -e /usr/bin/pvesh ]; then
	skip "apply refuses here" "this may be a Proxmox VE node"
else
	run "$gpuferry" apply --yes --reboot --gpu nvidia --into vm/100
	[ $code = 1 ] && [ ! -e /var/lib/gpuferry ]; ok "apply refuses what is no Proxmox VE node, and writes nothing"
	run "$gpuferry" apply --gpu nvidia --into vm/100
	[ $code = 1 ]; ok "and without --yes"
	run "$gpuferry" apply --json --dry-run --gpu nvidia --into vm/100
	[ $code != 0 ] && jq -e '.schema == "gpuferry.apply/1" and has("end") and has("steps_done") and has("reboots")' "$work/out" >/dev/null
	ok "apply --dry-run --json is a document"
	run "$gpuferry" rollback --list
	[ $code = 0 ] && says "no run"; ok "rollback --list where nothing was changed"
	run "$gpuferry" rollback --list --json
	[ $code = 0 ] && jq -e '.schema == "gpuferry.rollback/1" and .runs == []' "$work/out" >/dev/null; ok "and as JSON"
	run "$gpuferry" rollback --dry-run
	[ $code = 0 ] && says "nothing to take back"; ok "rollback where nothing was changed"
	run "$gpuferry" rollback --dry-run --run 20200101-000000
	[ $code = 1 ] && one_line; ok "rollback of a run that never was"
fi
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	for verb in "apply --yes --gpu nvidia --into vm/100" "rollback --yes"; do
		chmod 755 "$work"
		# shellcheck disable=SC2086
		run setpriv --reuid=65534 --regid=65534 --clear-groups "$gpuferry" $verb
		[ $code = 1 ] && one_line && complains "only root"; ok "${verb%% *} asks for root"
	done
fi
# another node: what ssh is called with
mkdir "$work/bin"
printf '#!/bin/sh\nfor word; do printf "<%%s>" "$word"; done\ncat\nexit 3\n' >"$work/bin/ssh"
chmod +x "$work/bin/ssh"
run env PATH="$work/bin:$PATH" "$gpuferry" apply --host ssh://root@pve:2222 --yes --reboot --gpu nvidia --into 'vm/100'
[ $code = 3 ] && says "<-p><2222><--><root@pve><gpuferry apply --yes --reboot --gpu=nvidia --into=vm/100>"; ok "apply --host runs gpuferry there, with its exit code"
run env PATH="$work/bin:$PATH" "$gpuferry" apply --host root@pve --url "http://a'b;c" --gpu nvidia --into vm/100
[ $code = 3 ] || [ $code = 2 ]; ! grep -q "<http" "$work/out"; ok "what stands in options is quoted for the shell there"
run env PATH="$work/bin:$PATH" "$gpuferry" apply --host root@pve --dry-run "$work/goal.yaml"
[ $code = 3 ] && says "<gpuferry apply --dry-run ->" && says "into: vm/100"; ok "a goal file goes there by standard input"
run env PATH="$work/bin:$PATH" "$gpuferry" rollback --host root@pve --list
[ $code = 3 ] && says "<gpuferry rollback --list>"; ok "rollback --host too"

# ---- rehearse --------------------------------------------------------------------------------------------------

rehearsal='.schema == "gpuferry.rehearse/1" and .before.schema == "gpuferry.inspect/1" and .plan.schema == "gpuferry.plan/1"
	and (.apply | has("end") and has("steps_done") and has("reboots")) and .after.schema == "gpuferry.verify/1"
	and (.rollback | has("end")) and .restored == true and .differences == []'
for machine in amd-4060ti iommu-off intel-uhd770-ct; do
	run "$gpuferry" rehearse --json "$machine"
	[ $code = 0 ] && jq -e "$rehearsal and .apply.end == \"done\" and .rollback.end == \"done\"" "$work/out" >/dev/null
	ok "rehearse $machine: done and restored"
	run "$gpuferry" rehearse "$machine"
	[ $code = 0 ] && says "yes: the machine is as it was" && [ ! -s "$work/err" ]; ok "rehearse $machine for people"
done
run "$gpuferry" rehearse --json iommu-off
jq -e '.apply.reboots == 1 and .plan.reboots == 1' "$work/out" >/dev/null; ok "with one reboot"
run "$gpuferry" rehearse --json shared-slot
[ $code = 1 ] && jq -e '.apply.end == "refused" and .restored == true' "$work/out" >/dev/null; ok "a plan that is refused is not rehearsed further"
run "$gpuferry" rehearse --json amd-4060ti-ready
[ $code = 0 ] && jq -e '.apply.end == "nothing" and .restored' "$work/out" >/dev/null; ok "nothing to do is nothing to take back"
n_steps=$("$gpuferry" plan --json --machine amd-4060ti --gpu nvidia --into vm/100 | jq '.steps | length')
step=1
while [ "$step" -le "$n_steps" ]; do
	run "$gpuferry" rehearse --json --fail "$step"
	[ $code = 0 ] && jq -e '.apply.end != "done" and .restored' "$work/out" >/dev/null; ok "step $step fails: all is taken back"
	step=$((step + 1))
done
for cut in 1 5 20 40; do
	run "$gpuferry" rehearse --json --cut $cut
	[ $code = 0 ] && jq -e '(.apply.end == "done" or .apply.end == "reverted") and .restored' "$work/out" >/dev/null; ok "the power goes after effect $cut"
done
run "$gpuferry" rehearse --quiet --cut 1000000
[ $code = 0 ] && says "the power was not cut"; ok "a cut that never came is told"
run "$gpuferry" rehearse --quiet --keep "$work/kept"
[ $code = 0 ] && grep -q hostpci "$work/kept/etc/pve/qemu-server/100.conf"; ok "--keep leaves the machine as it is after apply"
run "$gpuferry" record --machine amd-4060ti "$work/rehearse.tape"
run "$gpuferry" rehearse --json "$work/rehearse.tape" --gpu nvidia --into vm/100
[ $code = 0 ] && jq -e "$rehearsal" "$work/out" >/dev/null; ok "rehearse a tape"
run "$gpuferry" rehearse "$work/rehearse.tape"
[ $code = 2 ] && one_line && complains "no goal"; ok "a tape needs a goal"
run "$gpuferry" rehearse "$work/nothing"
[ $code != 0 ] && one_line; ok "what cannot behave is no machine to rehearse"

# ---- how much is told -------------------------------------------------------------------------------------------------

run "$gpuferry" verify --machine intel-uhd770-ct-ready --gpu intel --into ct/105
[ $code = 0 ] && says "ct/105" && ! says "ct.node" && [ "$(wc -l <"$work/out")" -le 8 ]; ok "what is as wished is a line for each thing asked about"
run "$gpuferry" verify --all --machine intel-uhd770-ct-ready --gpu intel --into ct/105
says ct.node && says node.proxmox; ok "--all tells every link"
run "$gpuferry" verify --machine intel-uhd770-ct --gpu intel --into ct/105
[ "$(head -n 1 "$work/out")" = "broken  ct.node  ct/105" ]; ok "the first broken link is the first line"
run "$gpuferry" verify --machine intel-uhd770-ct-ready --gpu intel
says "names no guest"; ok "a goal without a guest is told to ask little"
mkdir -p "$work/little/sys/bus/pci/devices"
run "$gpuferry" inspect --machine "$work/little"
[ $code = 0 ] && says "not in the recording" && says "--all" && [ "$(wc -l <"$work/out")" -lt 20 ]; ok "much that was not seen is told in a few lines"
run "$gpuferry" inspect --all --machine "$work/little"
says /proc/cmdline && ! says "more (--all"; ok "--all names everything that was not seen"

# ---- record and replay ---------------------------------------------------------------------------------------------

run "$gpuferry" inspect --json --machine amd-4060ti
cp "$work/out" "$work/direct.json"
for name in m.tape m.tape.gz m.tape.zst; do
	run "$gpuferry" record --machine amd-4060ti "$work/$name"
	[ $code = 0 ] && [ -s "$work/$name" ]; ok "record $name"
	run "$gpuferry" inspect --json --machine "$work/$name"
	cmp -s "$work/out" "$work/direct.json"; ok "inspect of $name equals that of the machine"
done
run "$gpuferry" verify --json --machine amd-4060ti
cp "$work/out" "$work/direct.json"
run "$gpuferry" verify --json --machine "$work/m.tape"
cmp -s "$work/out" "$work/direct.json"; ok "verify of a tape equals that of the machine"
mkdir "$work/unpacked" && tar -xf "$work/m.tape" -C "$work/unpacked"
run "$gpuferry" verify --json --machine "$work/unpacked"
cmp -s "$work/out" "$work/direct.json"; ok "verify of an unpacked tape too"
run sh -c "'$gpuferry' record --machine amd-4060ti - | tar -t"
[ $code = 0 ] && says manifest.json; ok "record to standard output"
run "$gpuferry" record --machine amd-4060ti "$work/none/m.tape"
[ $code = 1 ] && one_line; ok "record into a folder that is not there"
mkfifo "$work/fifo"
run sh -c "cat '$work/m.tape' >'$work/fifo' & exec '$gpuferry' verify --json --machine '$work/fifo'"
cmp -s "$work/out" "$work/direct.json"; ok "a tape through a pipe"
run sh -c "'$gpuferry' record --machine amd-4060ti - >/dev/full"
[ $code = 1 ]; ok "record to a full disk"
run sh -c "'$gpuferry' inspect --machine amd-4060ti >/dev/full"
[ $code = 1 ]; ok "inspect to a full disk"
run sh -c "'$gpuferry' verify --json --machine guide-wrong >/dev/full"
[ $code = 1 ]; ok "a verdict that could not be written is a failure"
run sh -c "'$gpuferry' inspect --machine amd-4060ti >&-"
[ $code = 1 ] && one_line; ok "no standard output"
run sh -c "'$gpuferry' record --quiet --machine amd-4060ti '$work/closed.tape' <&- >&- 2>&-"
tar -tf "$work/closed.tape" >/dev/null; ok "record with every standard place closed"
mkdir "$work/limit"
run sh -c "ulimit -f 8; exec '$gpuferry' record --machine amd-4060ti '$work/limit/m.tape'"
[ $code = 1 ] && one_line && [ -z "$(ls "$work/limit")" ]; ok "record over a limit on file sizes leaves nothing behind"
run sh -c "'$gpuferry' inspect --machine amd-4060ti | head -n 1"
[ ! -s "$work/err" ]; ok "a reader that had enough is no failure"

# ---- hostile input ---------------------------------------------------------------------------------------------------

unreadable() { # NAME PATH: exit 1 and one line
	run timeout 20 "$gpuferry" inspect --json --machine "$2"
	[ $code = 1 ] && one_line && [ ! -s "$work/out" ]; ok "$1"
}
unreadable "no such file" "$work/no such file"
: >"$work/empty"; unreadable "an empty file" "$work/empty"
head -c 3000 "$work/m.tape" >"$work/cut.tape"; unreadable "a cut tape" "$work/cut.tape"
size=$(wc -c <"$work/m.tape.gz"); head -c $((size / 2)) "$work/m.tape.gz" >"$work/cut.gz"; unreadable "a cut compressed tape" "$work/cut.gz"
truncate -s 100M "$work/zeros"; unreadable "100 MB of zeros" "$work/zeros"
head -c 100000 /dev/urandom >"$work/noise"; unreadable "noise" "$work/noise"
echo 'hello' >"$work/text"; unreadable "a text" "$work/text"
mkdir "$work/bare"; unreadable "an empty folder" "$work/bare"
unreadable "a device" /dev/null
if [ "$(id -u)" != 0 ]; then
	cp "$work/m.tape" "$work/denied"; chmod 0 "$work/denied"; unreadable "permission denied" "$work/denied"
elif command -v setpriv >/dev/null; then
	cp "$work/m.tape" "$work/denied"; chmod 0 "$work/denied"; chmod 755 "$work"
	run setpriv --reuid=65534 --regid=65534 --clear-groups "$gpuferry" inspect --machine "$work/denied"
	[ $code = 1 ] && complains denied; ok "permission denied"
else
	skip "permission denied" "root, and no setpriv"
fi
head -c 5000 /dev/zero | tr '\0' x >"$work/long"
# shellcheck disable=SC1112 # the quotes are bytes: a right-to-left override and C1's control sequence introducer
printf 'base amd-4060ti\nfile /etc/pve/qemu-server/101.conf\n\tname: \342\200\256live\302\2332J\033[2J%s\n' "$(cat "$work/long")" >"$work/names.machine"
run "$gpuferry" inspect --json --machine "$work/names.machine"
[ $code = 0 ] && ! LC_ALL=C grep -q "$(printf '\033\\|\302\233\\|\342\200\256')" "$work/out" &&
	jq -e '.guests[] | select(.id == 101) | .name | length > 5000' "$work/out" >/dev/null
ok "names in JSON do not move a terminal"
run "$gpuferry" inspect --machine "$work/names.machine"
[ $code = 0 ] && ! LC_ALL=C grep -q "$(printf '\033\\|\302\233\\|\342\200\256')" "$work/out" && [ "$(wc -c <"$work/out")" -lt 20000 ]
ok "nor does a very long name fill it"
printf 'base amd-4060ti\nfrobnicate 1\n' >"$work/bad.machine"
run "$gpuferry" inspect --machine "$work/bad.machine"
[ $code = 1 ] && one_line && complains "bad.machine:2"; ok "a mistake in a machine text is told with its line"

# a folder and a tape that want to lead outside
mkdir -p "$work/trap/sys/bus/pci" "$work/trap/proc" "$work/trap/etc"
ln -s /etc/hostname "$work/trap/etc/hostname"
ln -s "$work/secret" "$work/trap/proc/cpuinfo"
ln -s ../../../../../../../../../../proc/cmdline "$work/trap/proc/cmdline"
ln -s / "$work/trap/sys/bus/pci/devices"
printf 'model name : leaked\nvendor_id : leaked\n' >"$work/secret"
run "$gpuferry" inspect --json --machine "$work/trap"
! grep -q leaked "$work/out" && [ "$(jq -r .host.cmdline "$work/out")" = null ] && [ "$(jq -r .host.name "$work/out")" = null ]
ok "links in a folder do not lead out of it"
(cd "$work" && tar -cf trap.tar trap)
run "$gpuferry" inspect --json --machine "$work/trap.tar"
! grep -q leaked "$work/out" && ! grep -qF "$(head -c 40 /proc/cmdline)" "$work/out"; ok "links in a tar do not lead out of it"

if command -v strace >/dev/null && strace -o "$work/trace" true 2>/dev/null; then
	run env ASAN_OPTIONS=detect_leaks=0 strace -f -qq -e trace=open,openat,openat2 -o "$work/trace" "$gpuferry" verify --json --machine "$work/trap"
	! grep -v ENOENT "$work/trace" | grep -q "$work/secret"; ok "no library opens a link's target either"
	for verb in "inspect --json" "verify --json" "plan --json --gpu nvidia --into vm/100" \
		"apply --json --dry-run --gpu nvidia --into vm/100" "apply --yes --reboot --gpu nvidia --into vm/100" \
		"rollback --list --json" "rehearse --json"; do
		# shellcheck disable=SC2086
		run env ASAN_OPTIONS=detect_leaks=0 strace -f -qq -s 200 -o "$work/trace" "$gpuferry" $verb
		# opened for writing, created, renamed, removed, changed: nothing but /dev/null and what strace's own shell needs
		grep -E 'O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)|^[0-9]+ +(mkdir|rmdir|unlink|rename|link|symlink|chmod|fchmod|chown|fchown|truncate|ftruncate|mknod|mount|utime|setxattr)' \
			"$work/trace" | grep -vE '"/dev/(null|tty|dri/renderD[0-9]+)"|ENOENT|/proc/self/(oom|coredump)|"/proc/self/timerslack' >"$work/writes"
		[ $code -le 6 ] && [ ! -s "$work/writes" ] || { sed 's/^/# /' "$work/writes" | head -n 5; false; }
		ok "$verb writes nothing on this machine (strace)"
	done
else
	skip "reading writes nothing (strace)" "strace does not run here"
fi

if unshare --mount --map-root-user sh -c 'mount --make-rprivate / && mount -o remount,bind,ro /' 2>/dev/null; then
	run unshare --mount --map-root-user sh -c "mount --make-rprivate / && mount -o remount,bind,ro / && exec '$gpuferry' inspect --json"
	[ $code = 0 ] && jq -e .schema "$work/out" >/dev/null; ok "inspect on a read-only root"
	run unshare --mount --map-root-user sh -c "mount --make-rprivate / && mount -o remount,bind,ro / && mount -t tmpfs -o ro none /tmp; '$gpuferry' verify --json --machine amd-4060ti"
	jq -e .schema "$work/out" >/dev/null; ok "verify on a read-only root"
else
	skip "inspect on a read-only root" "no mount namespaces here"
fi

# ---- completion --------------------------------------------------------------------------------------------------------

if command -v bash >/dev/null; then
	"$gpuferry" --print bash >"$work/completion"
	# shellcheck disable=SC2016
	run bash -c '. "$1"; COMP_WORDS=(gpuferry insp); COMP_CWORD=1; _gpuferry; echo "${COMPREPLY[@]}"
		COMP_WORDS=(gpuferry verify --into); COMP_CWORD=2; _gpuferry; echo "${COMPREPLY[@]}"
		COMP_WORDS=(gpuferry inspect --color a); COMP_CWORD=3; _gpuferry; echo "${COMPREPLY[@]}"
		COMP_WORDS=(gpuferry inspect --machine amd-); COMP_CWORD=3; _gpuferry; echo "${COMPREPLY[@]}"
		COMP_WORDS=(gpuferry verify --gpu ""); COMP_CWORD=3; _gpuferry; echo "${COMPREPLY[@]}"
		COMP_WORDS=(gpuferry verify --service em); COMP_CWORD=3; _gpuferry; echo "${COMPREPLY[@]}"
		COMP_WORDS=(gpuferry rehearse iommu); COMP_CWORD=2; _gpuferry; echo "${COMPREPLY[@]}"
		COMP_WORDS=(gpuferry apply --dr); COMP_CWORD=2; _gpuferry; echo "${COMPREPLY[@]}"
		COMP_WORDS=(gpuferry plan --ye); COMP_CWORD=2; _gpuferry; echo "${COMPREPLY[@]}"' sh "$work/completion"
	[ "$(sed -n 1p "$work/out")" = inspect ] && [ "$(sed -n 2p "$work/out")" = --into ] &&
		[ "$(sed -n 3p "$work/out")" = "auto always" ] && [ "$(sed -n 4p "$work/out")" = "amd-4060ti amd-4060ti-ready" ] &&
		[ "$(sed -n 5p "$work/out")" = "auto nvidia intel amd" ] && [ "$(sed -n 6p "$work/out")" = emby ] &&
		[ "$(sed -n 7p "$work/out")" = iommu-off ] && [ "$(sed -n 8p "$work/out")" = --dry-run ] && [ -z "$(sed -n 9p "$work/out")" ]
	ok "bash completes verbs, options, values and machines"
fi
"$gpuferry" --print zsh >"$work/_gpuferry"
if command -v zsh >/dev/null; then
	run zsh -n "$work/_gpuferry"
	[ $code = 0 ]; ok "zsh completion parses"
else
	grep -q '^#compdef gpuferry' "$work/_gpuferry"; ok "zsh completion is one"
fi

done_testing
