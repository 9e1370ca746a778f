#!/bin/sh
# Builds and tests in a root of the other Debian (13 on 12, 12 on 13), made with mmdebstrap in build-check/. Exits with 77
# and says why where that cannot be done: it takes root, mmdebstrap, and a mount namespace, with which the mounts go.
# The packages are those that ./do names, so that what it installs is enough.
set -eu
cd "$(dirname "$0")/.."
cannot() { echo "skipped: $*"; exit 77; }

suite=$(. /etc/os-release; case ${VERSION_CODENAME-} in bookworm) echo trixie ;; *) echo bookworm ;; esac)
[ "$(id -u)" = 0 ] || cannot "needs root"
command -v mmdebstrap >/dev/null || cannot "there is no mmdebstrap"
unshare --mount --pid --fork mount -t tmpfs none /mnt 2>/dev/null || cannot "no mount namespace may be made here"
mkdir -p build-check
root=build-check/$suite
# Removes a folder of ours, never what is mounted in it: a run that was killed may have left mounts behind.
remove() {
	if grep -qF " $(realpath -m "$1")/" /proc/self/mountinfo; then
		cannot "something is still mounted in $1: umount it first"
	fi
	rm -rf --one-file-system "$1"
}
list() { sed -n "s/^$1_packages=\"\(.*\)\"/\1/p" ./do; }
packages="$(list build) $(list test)"

if [ ! -e "$root/complete" ] || [ "$(cat "$root/complete")" != "$packages" ]; then
	remove "$root"
	# in a mount namespace of its own, so that its mounts end with it, however it ends
	unshare --mount mmdebstrap --mode=root --variant=minbase --include="$(echo "$packages" | tr -s ' ' ',')" "$suite" "$root"
	echo "$packages" >"$root/complete"
fi
# the tree as it is checked out, with what is not committed
remove "$root/gpuferry"
mkdir -p "$root/gpuferry" "$root/shared" "$root/proc" "$root/dev" "$root/sys"
git ls-files -co --exclude-standard | while read -r file; do [ ! -e "$file" ] || echo "$file"; done |
	tar -c -T - | tar -x -C "$root/gpuferry"
# shellcheck disable=SC2016
unshare --mount --pid --fork sh -ec '
	mount --bind "$1" "$1" # a root that is no mount has no namespaces
	[ ! -d ../shared ] || mount --bind -o ro ../shared "$1/shared"
	mount -t proc proc "$1/proc"
	mount --rbind /dev "$1/dev"
	mount --rbind /sys "$1/sys"
	exec chroot "$1" /bin/sh -ec "cd /gpuferry
		meson setup build-release --buildtype=release --werror -Dtests=false && ninja -C build-release && ./do test"' sh "$root"
