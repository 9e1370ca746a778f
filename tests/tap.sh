# shellcheck shell=sh
# What the shell tests share: TAP lines, a temporary folder that goes away, and a run that keeps what came back.

n=0
code=0
work=$(mktemp -d)
trap 'chmod -R u+rwX "$work" 2>/dev/null; rm -rf "$work"' EXIT

ok() { # NAME: the last command decided
	if [ $? = 0 ]; then n=$((n + 1)); echo "ok $n - $1"; else n=$((n + 1)); echo "not ok $n - $1"; told; fi
}

skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

done_testing() { echo "1..$n"; }

# run COMMAND...: $code, $work/out, $work/err
run() {
	code=0
	"$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
}

told() {
	echo "# exit $code"
	sed 's/^/# out: /' "$work/out" 2>/dev/null | head -n 15
	sed 's/^/# err: /' "$work/err" 2>/dev/null | head -n 15
}

# One clear line on standard error (and at most one line of advice, indented), nothing of a sanitizer or a crash.
one_line() {
	[ "$(grep -c '^gpuferry: ' "$work/err")" = 1 ] && [ "$(wc -l <"$work/err")" -le 2 ] &&
		! grep -qE 'ERROR: |runtime error|Sanitizer' "$work/err"
}

# chroot_or_skip "$@": for scripts that chroot with busybox's tools: $busybox, as root or in a namespace of its own.
chroot_or_skip() {
	busybox=$(command -v busybox || :)
	if [ -z "$busybox" ]; then
		echo "1..0 # SKIP there is no busybox"
		exit 0
	fi
	[ "$(id -u)" != 0 ] || return 0
	if ! unshare -Ur true 2>/dev/null; then
		echo "1..0 # SKIP not root, and no user namespace can be had"
		exit 0
	fi
	rm -rf "$work"
	exec unshare -Ur sh "$0" "$@"
}

says() { grep -qF -- "$1" "$work/out"; }
complains() { grep -qF -- "$1" "$work/err"; }
