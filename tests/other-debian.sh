#!/bin/sh
# Builds and tests in a root of the other Debian (13 on 12, 12 on 13), made with mmdebstrap in build-check/. Needs root.
# The packages are those that ./do names, so that what it installs is enough.
set -eu
cd "$(dirname "$0")/.."
. /etc/os-release
case ${VERSION_CODENAME-} in bookworm) suite=trixie ;; *) suite=bookworm ;; esac
[ "$(id -u)" = 0 ] || { echo "other-debian: needs root"; exit 1; }
root=build-check/$suite
list() { sed -n "s/^$1_packages=\"\(.*\)\"/\1/p" ./do; }
packages="$(list build) $(list test)"

if [ ! -e "$root/complete" ] || [ "$(cat "$root/complete")" != "$packages" ]; then
	rm -rf "$root"
	mmdebstrap --variant=minbase --include="$(echo "$packages" | tr -s ' ' ',')" "$suite" "$root"
	echo "$packages" >"$root/complete"
fi
# the tree as it is checked out, with what is not committed
rm -rf "$root/gpuferry"
mkdir -p "$root/gpuferry"
git ls-files -co --exclude-standard | tar -c -T - | tar -x -C "$root/gpuferry"
[ -d ../shared ] && { mkdir -p "$root/shared"; mount --bind ../shared "$root/shared"; trap 'umount "$root/shared"' EXIT; }
mkdir -p "$root/proc" "$root/dev"
unshare --mount --pid --fork sh -c "
	mount -t proc proc '$root/proc' && mount --rbind /dev '$root/dev' && mount --rbind /sys '$root/sys' &&
	exec chroot '$root' /bin/sh -c 'cd /gpuferry && ./do test'"
