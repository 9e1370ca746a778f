# shellcheck shell=sh disable=SC2154
# judge_containers.sh: what the journeys with containers must have said.

# The plan's dev line, as what must be seen inside: path, number (the kernel's, of the card's node), owner, mode.
as_planned() {
	part plan | jq -r '.steps[] | select(.kind == "config" and (.key | test("^dev[0-9]+$"))) | .to' >"$result.to"
	sed "s#^\([^,]*\),gid=\([0-9]*\),mode=0\([0-7]*\)\$#\1 $(part kernel | cut -d' ' -f2) 0:\2 \3#" "$result.to"
}
node_given() { # NAME: the node is inside as planned and no other one; the right one may use it, the wrong one not
	[ "$(part "$1-node")" = "$(as_planned)" ] || wrong "$1: the node is $(part "$1-node") inside, planned is $(as_planned)"
	[ "$(part "$1-list")" = "$(part kernel | sed 's#/dev/dri/\([^ ]*\) .*#\1#')" ] || wrong "$1: inside are $(part "$1-list" | tr '\n' ' ')"
	part "$1-right" | grep -q '^opened .*: virtio_gpu$' || wrong "$1: the right user: $(part "$1-right")"
	part "$1-wrong" | grep -q 'Permission denied' || wrong "$1: the wrong user: $(part "$1-wrong")"
}
node_absent() { part "$1-list" | grep -q 'No such file or directory' || wrong "$1: inside are $(part "$1-list" | tr '\n' ' ')"; }
as_wished() {
	[ "$(ended apply)" = 0 ] || wrong "apply ended with $(ended apply)"
	[ "$(part plan | jq '.refused | length')" = 0 ] || wrong "the plan is refused"
	part plan-again | grep -q '^nothing to do' || wrong "not as wished: $(part plan-again | head -n 1)"
}
judge_ct() {
	as_wished
	node_absent before
	node_given plugged
	node_given started
	# of a privileged one the device rules alone keep what was not given from its root; the others' root cannot make a node
	if [ "$way" = privileged ]; then
		part own | grep -q '^opened .*: virtio_gpu$' || wrong "its root cannot use the node that was given: $(part own | tail -n 1)"
		part foreign | grep -q '^made$' || wrong "nothing was tried on a node that was not given"
		part foreign | grep -q '^open.*Operation not permitted' || wrong "its root has a node that was not given: $(part foreign | tail -n 1)"
	else
		part own | grep -q '^mknod.*Operation not permitted' || wrong "its root can make a node: $(part own | tail -n 1)"
	fi
	node_absent after
	as_before
}
judge_raw_lines() {
	as_wished
	for when in before after; do
		part $when-right | grep -q 'Permission denied' || wrong "$when: by the raw lines the right user: $(part $when-right)"
		part $when-node | grep -q "^$(part kernel) " || wrong "$when: by the raw lines the node is $(part $when-node)"
	done
	part raw-root | grep -q '^opened .*: virtio_gpu$' || wrong "the raw lines are not in effect: $(part raw-root)"
	node_given started
	as_before
}
judge_docker() {
	[ "$(ended apply)" = 0 ] || wrong "apply ended with $(ended apply)"
	node_given plugged
	part docker-without | grep -q 'No such file or directory' || wrong "docker without a word: inside are $(part docker-without)"
	for step in docker-request docker-group; do
		[ "$(part $step-node)" = "$(as_planned)" ] || wrong "$step: the node is $(part $step-node) inside, planned is $(as_planned)"
	done
	part docker-request-opens | grep -q 'Permission denied' || wrong "without the group: $(part docker-request-opens)"
	part docker-group-opens | grep -q '^opened .*: virtio_gpu$' || wrong "with the group: $(part docker-group-opens)"
	part verify | jq -e '[.findings[] | select(.rule | startswith("inside.docker-")) | .verdict] == ["ok", "ok"]' >/dev/null ||
		wrong "verify: $(part verify | jq -r '.findings[] | select(.rule | startswith("inside.docker-")) | .rule + " " + .verdict' | tr '\n' ' ')"
	node_absent after
	as_before
}
