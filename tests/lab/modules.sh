#!/bin/sh
# modules.sh ROOT VERSION MODULE...: keeps of a root's kernel modules only these and what they need: that alone keeps
# update-initramfs short in emulation.
set -eu
root=$1 version=$2
shift 2
keep=$(mktemp)
trap 'rm -f "$keep"' EXIT
for module in "$@"; do
	modprobe -d "$root" -S "$version" --show-depends "$module" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | sed "s#^.*/lib/modules/#$root/usr/lib/modules/#" | sort -u >"$keep"
find "$root/usr/lib/modules/$version/kernel" -name '*.ko' | sort | comm -23 - "$keep" | xargs rm -f
