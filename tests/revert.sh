#!/bin/sh
# The self-revert, by a real shell: machines of the crash matrix as their power was cut (crash --keep), stood up again
# without gpuferry, without PVE and without network. What is left in them for that, the unit's own command line, is run
# in a chroot that has a shell and its tools beside the machine's files: when the time is up, and on a second boot. The
# end is compared with the machine before. Where the unit is not there yet, a person runs rollback.sh.
#   revert.sh [JOURNEY...]; REVERT_STEP: every how manieth cut
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
source=${GPUFERRY_SOURCE:-$(dirname "$0")/..}
crash=${GPUFERRY_CRASH:-$source/build/tests/crash}
step=${REVERT_STEP:-80}
chroot=$(command -v chroot)
chroot_or_skip "$@"

# ---- what stands in for the node's tools --------------------------------------------------------------------------

tools=$work/tools
mkdir -p "$tools/rescue/lib"
cp "$busybox" "$tools/rescue/busybox"
cp "$(command -v dash || command -v sh)" "$tools/rescue/dash"
"$busybox" --list | while read -r tool; do ln -s busybox "$tools/rescue/$tool" 2>/dev/null; done
for library in $(ldd "$busybox" "$tools/rescue/dash" 2>/dev/null | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
	case $library in
	*/ld-*) loader=$library ;;
	*) cp "$library" "$tools/rescue/lib/" ;;
	esac
done
tool() { # NAME < SCRIPT
	rm -f "$tools/rescue/$1"
	{
		echo '#!/rescue/dash'
		cat
	} >"$tools/rescue/$1"
	chmod 755 "$tools/rescue/$1"
}
# an image, and a menu, are what they are made from
tool update-initramfs <<-'END'
	[ "$1 $2" = "-u -k" ] || exit 1
	for file in /etc/modprobe.d/* /etc/initramfs-tools/modules /etc/initramfs-tools/hooks/* /etc/initramfs-tools/scripts/init-top/*; do
		[ ! -f "$file" ] || { echo "$file"; cat "$file"; }
	done >"/boot/initrd.img-$3.new" && mv "/boot/initrd.img-$3.new" "/boot/initrd.img-$3"
END
tool update-grub <<-'END'
	cat /etc/default/grub /etc/default/grub.d/* >/boot/grub/grub.cfg.new 2>/dev/null
	mv /boot/grub/grub.cfg.new /boot/grub/grub.cfg
END
tool proxmox-boot-tool <<-'END'
	[ "$1" = refresh ] && cat /etc/kernel/cmdline >/rescue/esp
END
tool systemctl <<-'END'
	echo "$*" >>/rescue/reboots
END
tool sync </dev/null
tool mount </dev/null
tool sleep <<-'END'
	read -r up _ </rescue/proc/uptime
	echo "$((${up%%.*} + $1)).50 1.0" >/rescue/proc/uptime
	echo slept >>/rescue/sleeps
END

# ---- one machine -------------------------------------------------------------------------------------------------

kept() { # FOLDER CUT WORLD
	rm -rf "$1"
	"$crash" --machine "$journey" --case "$2,$3,go-on,0,0" --keep "$1" >"$work/kept" 2>&1 || return
	mkdir -p "$1/usr/lib64" "$1/rescue/proc/sys/kernel/random" "$1$(dirname "$loader")" "$1/dev"
	cp -a "$tools/rescue" "$1/"
	cp "$loader" "$1$loader"
	rm -f "$1/dev/null"
	: >"$1/dev/null"
	cp "$1/proc/sys/kernel/random/boot_id" "$1/rescue/proc/sys/kernel/random/boot_id"
	echo '5.25 1.00' >"$1/rescue/proc/uptime"
}
inside() { # FOLDER WORDS...
	folder=$1
	shift
	run env -i PATH=/rescue LD_LIBRARY_PATH=/rescue/lib PROC=/rescue/proc SYS=/none "$chroot" "$folder" "$@"
}
listed() { # FOLDER
	(cd "$1" && find . \( -path ./rescue -o -path ./etc/pve -o -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp -o \
		-path ./usr/lib64 -o -path ./lib64 -o -path ./var/lib/gpuferry -o -path ".${loader%/*}" \) -prune -o \
		-printf '%p %y %m %l\n' -type f -exec sha256sum {} + | LC_ALL=C sort)
}
# What is made from files is either as it was, or made again from what they were.
as_made() {
	for file in "$work/made/boot"/initrd.img-* "$work/made/boot/grub/grub.cfg"; do
		at=${file#"$work/made"}
		[ ! -f "$file" ] || ! cmp -s "$file" "$work/now$at" || cp -p "$work/old$at" "$work/now$at"
	done
}
# /etc/pve is not mounted then, so what a guest has keeps until somebody gives the commands that rollback.sh names by hand.
guests_named() {
	for file in "$work/old"/etc/pve/nodes/*/qemu-server/*.conf "$work/old"/etc/pve/nodes/*/lxc/*.conf; do
		at=${file#"$work/old"}
		id=$(basename "$at" .conf)
		[ ! -f "$file" ] || cmp -s "$file" "$work/now$at" && continue
		inside "$work/now" /rescue/dash "/$script"
		grep -Eq "(qm|pct) set $id " "$work/out" || return
	done
}
as_before() {
	as_made
	listed "$work/now" >"$work/now.list"
	diff "$work/old.list" "$work/now.list" >"$work/out" && guests_named
}
# The command line of the unit, where a target wants it; nothing: nobody would start it.
unit() {
	wants=$work/now/etc/systemd/system/sysinit.target.wants/gpuferry-revert.service
	[ -L "$wants" ] && [ -L "$work/now/var/lib/gpuferry/revert" ] || return
	sed -n 's/^ExecStart=//p' "$work/now/etc/systemd/system/gpuferry-revert.service" 2>/dev/null
}
reboots() { grep -c reboot "$work/now/rescue/reboots" 2>/dev/null || :; }

# What the machine does by itself. $1: first: its time runs out; second: it has been booted once more.
by_itself() {
	script=$(cd "$work/now" && ls -d var/lib/gpuferry/runs/*/rollback.sh 2>/dev/null)
	[ -n "$script" ] || { how=nothing; return 0; }
	folder=$work/now/${script%/*}
	if [ -e "$folder/confirmed" ] || [ -e "$folder/ended" ]; then how=over; return 0; fi
	command=$(unit)
	if [ -z "$command" ]; then
		how='by hand'
		inside "$work/now" /rescue/dash "/$script"
		[ "$code" = 0 ]
		return
	fi
	how="$1 boot"
	[ "$1" = first ] || echo 'another 3' >"$folder/boots"
	# shellcheck disable=SC2086 # words
	set -- ${command#*sh }
	inside "$work/now" /rescue/dash "$@"
	[ "$code" = 0 ] && [ "$(reboots)" = 1 ]
}

[ $# -gt 0 ] || set -- iommu-off single-gpu
for journey; do
	kept "$work/old" 1 1 || { told; ok "$journey: it can be kept"; continue; }
	listed "$work/old" >"$work/old.list"
	cp -a "$work/old" "$work/made"
	for image in "$work/made/boot"/initrd.img-*; do
		inside "$work/made" /rescue/update-initramfs -u -k "${image#*initrd.img-}"
	done
	[ ! -d "$work/made/boot/grub" ] || inside "$work/made" /rescue/update-grub
	effects=$("$crash" --machine "$journey" --case 1,1,go-on,0,0 | sed -n 's/.* of \([0-9]*\) effects.*/\1/p')
	bad='' first=0 second=0 hand=0 over=0
	cut=2
	while [ "$cut" -le "$effects" ]; do
		for world in 0 1; do
			for boot in first second; do
				if kept "$work/now" "$cut" "$world" && by_itself $boot && { [ "$how" = over ] || as_before; }; then :; else
					bad="$bad $cut,$world,$boot"
					told >&2
				fi
				case $how in
				'first boot') first=$((first + 1)) ;;
				'second boot') second=$((second + 1)) ;;
				'by hand') hand=$((hand + 1)) ;;
				over) over=$((over + 1)) ;;
				esac
			done
		done
		cut=$((cut + step))
	done
	[ -z "$bad" ] && [ $first -gt 0 ] && [ $second -gt 0 ]
	ok "$journey: cut off, it takes itself back: $first times when its time is up, $second on a second boot; $hand by hand, $over confirmed or over${bad:+; not at$bad}"
	rm -rf "$work/old" "$work/made" "$work/now"
done
done_testing
