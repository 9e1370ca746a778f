# ---- what follows is the same in every rollback.sh ----

umask 077
LC_ALL=C
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
ROOT=${ROOT:-}
while [ "$ROOT" != "${ROOT%/}" ]; do ROOT=${ROOT%/}; done
PROC=${PROC:-/proc}
SYS=${SYS:-/sys}
HOME_FOLDER=/var/lib/gpuferry
RUN=$ROOT$HOME_FOLDER/runs/$id
live=no # this machine runs, and goes on running: drivers and modules are changed now
hand=yes # a person runs this, who is told what remains
lefts=0 fails=0
now=

# Foreign words reach a terminal without what could steer it.
say() { printf '%s\n' "$*" | tr '\001-\011\013-\037\177' '?'; }
leave() { lefts=$((lefts + 1)); say "left as it is: $*"; }
fail() { fails=$((fails + 1)); say "NOT taken back: $*" >&2; }

# On disk before anything else happens. An older sync knows no names: then everything is written out.
flush() { sync "$1" 2>/dev/null || sync; }

# GRUB reads a file system without its journal: ext4 is asked to put what it holds in its place (EXT4_IOC_CHECKPOINT, since
# Linux 5.15). Where that cannot be asked it is as after any other update.
settle() {
	case $(stat -f -c %T "$ROOT/boot" 2>/dev/null) in ext*) ;; *) return 0 ;; esac
	perl -e 'open(my $boot, "<", $ARGV[0]) and ioctl($boot, 0x4004662b, pack("L", 0))' "$ROOT/boot" 2>/dev/null
	return 0
}

# A command of the machine that is taken back; what it makes is made as ever.
inside() {
	# without our ROOT: mkinitramfs takes one for what the machine's root file system is
	(umask 022 && at=$ROOT && unset ROOT && if [ -n "$at" ]; then chroot "$at" "$@"; else "$@"; fi)
}
inside_has() {
	[ -n "$ROOT" ] || { command -v "$1" >/dev/null 2>&1; return; }
	[ -x "$ROOT/usr/sbin/$1" ] || [ -x "$ROOT/usr/bin/$1" ] || [ -x "$ROOT/sbin/$1" ] || [ -x "$ROOT/bin/$1" ]
}

digest() {
	sum=$(sha256sum <"$1") || return 1
	printf '%s' "${sum%% *}"
}

# What stands at a path, into $now.
look() {
	if [ -L "$1" ]; then now='link'
	elif [ ! -e "$1" ]; then now=none
	elif [ -f "$1" ]; then now=$(digest "$1" 2>/dev/null) || now=unreadable
	else now=other; fi
}

# On another root a link above a path may lead out of it, into the system that this runs on.
reachable() {
	[ -n "$ROOT" ] || return 0
	above=${1%/*}
	while [ -n "$above" ]; do
		if [ -L "$ROOT$above" ]; then
			case $(readlink "$ROOT$above") in /* | *..*) return 1 ;; esac
		fi
		above=${above%/*}
	done
	return 0
}

# Each of these may be cut off anywhere and run again: the new thing lies beside the old one, on disk, until a rename
# puts it in the other's place.

same_owner() { # FILE SAVED
	[ "$(stat -c '%a %u %g' "$1" 2>/dev/null)" = "$(cat "$2.owner" 2>/dev/null)" ]
}

# NAME.gpuferry-new beside it is what gpuferry leaves where it was cut off (WORLD_BESIDE of src/sys/world.h).

back_file() { # PATH OLD NEW N
	target=$ROOT$1 temporary=$ROOT${1%/*}/.gpuferry-back-$4 saved=$RUN/old/$4
	reachable "$1" || { leave "$1: a folder above it is a link that leads out of $ROOT"; return; }
	rm -f "$temporary" "$target.gpuferry-new"
	look "$target"
	case $now in
	"$3") [ "$2" != "$3" ] || ! same_owner "$target" "$saved" || return 0 ;;
	"$2") return ;;
	*) leave "$1: someone has changed it since"; return ;;
	esac
	if [ "$2" = none ]; then
		if rm -f "$target" && flush "${target%/*}"; then say "removed: $1"; else fail "$1: it could not be removed"; fi
		return
	fi
	if [ ! -f "$saved" ] || [ ! -f "$saved.owner" ] || [ "$(digest "$saved")" != "$2" ]; then
		fail "$1: what it was is not whole in $saved"
		return
	fi
	read -r mode uid gid <"$saved.owner" || :
	if cp "$saved" "$temporary" && chown "$uid:$gid" "$temporary" && chmod "$mode" "$temporary" &&
		flush "$temporary" && mv -f "$temporary" "$target" && flush "${target%/*}" &&
		[ "$(digest "$target")" = "$2" ]; then
		say "restored: $1"
	else
		fail "$1: it could not be restored"
		rm -f "$temporary"
	fi
}

# mv would put a link into the folder that the other link leads to; so the other one goes first, and what lies beside it
# tells that it was us.
back_link() { # PATH OLD NEW
	target=$ROOT$1 temporary=$ROOT${1%/*}/.gpuferry-back-${1##*/}
	reachable "$1" || { leave "$1: a folder above it is a link that leads out of $ROOT"; return; }
	rm -f "$target.gpuferry-new"
	kind=other to=''
	if [ -L "$target" ]; then
		kind=link to=$(readlink "$target")
		[ "$to" != none ] || to='none, as a name'
	elif [ ! -e "$target" ]; then
		kind=none
	fi
	case $kind:$2 in
	none:none) to=none ;;
	none:*) [ ! -L "$temporary" ] || [ "$(readlink "$temporary")" != "$2" ] || to=$3 ;;
	esac
	[ $kind != none ] || [ "$3" != none ] || to=none
	if [ "$to" = "$2" ]; then
		rm -f "$temporary"
	elif [ "$to" != "$3" ] || [ $kind = other ]; then
		leave "$1: someone has changed it since"
	elif [ "$2" = none ]; then
		if rm -f "$target" && flush "${target%/*}"; then say "removed: $1"; else fail "$1: it could not be removed"; fi
	elif rm -f "$temporary" && ln -s "$2" "$temporary" && flush "${target%/*}" && rm -f "$target" &&
		mv -f "$temporary" "$target" && flush "${target%/*}"; then
		say "restored: $1"
	else
		fail "$1: the link could not be restored"
	fi
}

back_folder() { # PATH: it was made; what others have put into it stays
	target=$ROOT$1
	reachable "$1" || { leave "$1: a folder above it is a link that leads out of $ROOT"; return; }
	if [ -L "$target" ] || { [ -e "$target" ] && [ ! -d "$target" ]; }; then
		leave "$1: it is no folder any more"
	elif [ -d "$target" ]; then
		if rmdir "$target" 2>/dev/null; then
			flush "${target%/*}"
			say "removed: $1"
		else
			leave "$1: it is not empty"
		fi
	fi
}

# ---- made from files: again, when the files are back ----

ready_for_tools() { # TOOL
	if ! inside_has "$1"; then
		fail "$1 is not here"
	elif [ -n "$ROOT" ] && [ ! -e "$ROOT/proc/self" ]; then
		fail "$1: mount /dev, /proc and /sys below $ROOT (mount --rbind) and run this again"
	else
		return 0
	fi
	return 1
}

# What a power cut left of a FAT no tool repairs by itself.
esp_hint() {
	[ -e "$ROOT/etc/kernel/proxmox-boot-uuids" ] || return 0
	while read -r uuid _; do
		say "if dmesg tells of a damaged FAT: fsck.fat -a /dev/disk/by-uuid/$uuid, then again" >&2
	done <"$ROOT/etc/kernel/proxmox-boot-uuids"
}

back_initramfs() { # VERSION
	# emergency mode has mounted nothing but the root
	[ -n "$ROOT" ] || [ -e "/boot/vmlinuz-$1" ] || mount /boot 2>/dev/null
	ready_for_tools update-initramfs || return 0
	settle # the old one can be found, should the power go meanwhile
	if [ ! -e "$ROOT/boot/vmlinuz-$1" ]; then
		fail "initramfs: kernel $1 is not in /boot; is that mounted?"
	elif inside update-initramfs -u -k "$1" && flush "$ROOT/boot/initrd.img-$1" && flush "$ROOT/boot" && settle; then
		say "made again: initramfs of $1"
	else
		fail "initramfs of $1: update-initramfs -u -k $1 failed"
		esp_hint
	fi
}

back_boot() {
	tool=update-grub
	if [ -e "$ROOT/etc/kernel/proxmox-boot-uuids" ]; then tool=proxmox-boot-tool; fi
	ready_for_tools $tool || return 0
	settle
	if [ $tool = update-grub ]; then inside update-grub; else inside proxmox-boot-tool refresh; fi || {
		fail "boot loader: $tool failed"
		esp_hint
		return
	}
	sync
	settle
	say "made again: boot loader"
}

# ---- packages: dpkg refuses where another needs them ----

back_package() { # NAME N
	before=$RUN/old/$2 after=$RUN/old/after-$1
	inside_has dpkg || { fail "package $1: there is no dpkg"; return; }
	if [ ! -e "$after" ]; then
		if inside dpkg -s "$1" >/dev/null 2>&1; then leave "package $1: which others came with it is not known"; fi
		return
	fi
	came=$(awk 'NR == FNR { old[$1]; next } !($1 in old) { print $1 }' "$before" "$after") ||
		{ fail "package $1: what came with it cannot be read"; return; }
	[ -n "$came" ] || return 0
	# shellcheck disable=SC2086 # names of packages: letters, digits, + - .
	if DEBIAN_FRONTEND=noninteractive inside dpkg --purge --force-remove-reinstreq $came; then
		say "removed: package $1, with what came with it"
	else
		fail "package $1: dpkg --purge failed"
	fi
}

back_hold() { # NAME held|none
	inside_has apt-mark || { fail "hold of $1: there is no apt-mark"; return; }
	if [ "$2" = held ]; then what=hold; else what=unhold; fi
	inside apt-mark $what "$1" >/dev/null || fail "hold of $1: apt-mark $what failed"
}

# ---- drivers and modules: only while this machine runs on; a reboot does it as well ----

write_to() { # VALUE FILE: in a child, because a kernel can hang in it
	rm -f "$RUN/written"
	(if printf '%s' "$1" >"$2"; then echo yes; else echo no; fi >"$RUN/written") 2>/dev/null &
	tries=0 answer=''
	while [ -z "$answer" ] && [ $tries -lt 60 ]; do
		[ $tries = 0 ] || sleep 1
		[ ! -e "$RUN/written" ] || read -r answer <"$RUN/written" || :
		tries=$((tries + 1))
	done
	rm -f "$RUN/written"
	[ "$answer" = yes ]
}

driver_of() { # DEVICE, into $now
	now=none
	[ ! -L "$1/driver" ] || now=$(readlink "$1/driver")
	now=${now##*/}
}

# Is a guest at it? /dev/vfio/GROUP is open then.
guest_has() { # DEVICE
	group=$(readlink "$1/iommu_group") || return 1
	for held in "$PROC"/[0-9]*/fd; do
		# shellcheck disable=SC2010 # the names are numbers, what they point to matters
		ls -l "$held" 2>/dev/null | grep -Eq -- "-> /dev/vfio/(${group##*/}|devices/.*)\$" && return 0
	done
	return 1
}

twin_has_vfio() { # DEVICE
	for other in "$SYS"/bus/pci/drivers/vfio-pci/*:*; do
		[ -e "$other/vendor" ] && [ "${other##*/}" != "${1##*/}" ] || continue
		[ "$(cat "$other/vendor" "$other/device")" != "$(cat "$1/vendor" "$1/device")" ] || return 0
	done
	return 1
}

back_driver() { # ADDRESS OLD NEW N
	[ $live = yes ] || return 0
	device=$SYS/bus/pci/devices/$1 override='' ids=''
	[ -d "$device" ] || { leave "driver of $1: the device is not there"; return; }
	while read -r word value; do
		case $word in override) override=$value ;; ids) ids=$value ;; esac
	done <"$RUN/old/$4" 2>/dev/null
	driver_of "$device"
	if [ "$now" != "$2" ]; then
		[ "$now" = "$3" ] || [ "$now" = none ] || { leave "driver of $1: it is $now now"; return; }
		case $now in vfio-pci | none) ;; *) leave "driver of $1: a reboot gives it back to $2"; return ;; esac
		! guest_has "$device" || { leave "driver of $1: a guest uses it; stop that and run this again"; return; }
		[ "$2" = none ] || write_to "$2" "$device/driver_override"
		[ "$now" = none ] || write_to "$1" "$SYS/bus/pci/drivers/$now/unbind" ||
			{ fail "driver of $1: it could not be unbound; reboot"; return; }
		[ "$2" = none ] || [ -d "$SYS/bus/pci/drivers/$2" ] || modprobe "$2" 2>/dev/null
		[ "$2" = none ] || write_to "$1" "$SYS/bus/pci/drivers_probe"
		driver_of "$device"
		[ "$now" = "$2" ] || { fail "driver of $1: it is $now, not $2; a reboot gives it back"; return; }
		say "driver of $1: $2 again"
	fi
	if [ "$ids" = absent ] && [ -e "$SYS/bus/pci/drivers/vfio-pci/remove_id" ] && ! twin_has_vfio "$device"; then
		# Proxmox VE may have left them there; where it has not, the kernel says so
		write_to "$(sed 's/^0x//' "$device/vendor" "$device/device" | tr '\n' ' ')" \
			"$SYS/bus/pci/drivers/vfio-pci/remove_id" || :
	fi
	write_to "${override:-
}" "$device/driver_override" || fail "driver of $1: its override could not be taken away"
}

back_module() { # NAME OLD
	[ $live = yes ] || return 0
	module=$SYS/module/$(printf '%s' "$1" | tr - _)
	if [ "$2" = loaded ]; then
		[ -d "$module" ] || modprobe "$1" || fail "module $1: it could not be loaded"
	elif [ -d "$module" ]; then
		for user in "$module"/drivers/*/*:*; do
			[ ! -e "$user" ] || { leave "module $1: ${user##*/} uses it"; return; }
		done
		modprobe -r "$1" 2>/dev/null || leave "module $1: it is in use"
	fi
}

# ---- the whole ----

# A folder that cannot be written to: emergency mode has the root read-only.
writable() {
	touch "$RUN/writable" 2>/dev/null || mount -o remount,rw "${ROOT:-/}" 2>/dev/null
	touch "$RUN/writable" && rm -f "$RUN/writable"
}

mark() { # NAME TEXT
	printf '%s\n' "$2" >"$RUN/$1.new" && flush "$RUN/$1.new" && mv -f "$RUN/$1.new" "$RUN/$1" && flush "$RUN"
}

# The guests are Proxmox's, which is not there yet: where gpuferry is, the unit that goes on stays, and at the next boot, before
# guests start, it takes them back too and itself away.
goes_on() { [ $guests = yes ] && [ $hand = no ] && inside_has gpuferry; }

# What stands for the service that runs this goes last: cut off before, it is started again.
take_back() {
	mark taken-back begun || say "$RUN/taken-back cannot be written; going on" # a full disk: it gets emptier
	node_steps
	derived_steps
	if [ $fails = 0 ]; then
		goes_on || resume_steps
		temporary_steps
		goes_on || case $(readlink "$ROOT$HOME_FOLDER/revert") in
		"runs/$id/rollback.sh" | */"runs/$id/rollback.sh") rm -f "$ROOT$HOME_FOLDER/revert" ;;
		esac
	fi
	sync
	[ $fails != 0 ] || mark taken-back 'done' || fail "$RUN/taken-back cannot be written"
}

uptime_seconds() {
	up=
	[ ! -r "$PROC/uptime" ] || read -r up _ <"$PROC/uptime"
	up=${up%%.*}
	case $up in '' | *[!0-9]*) up=$waited ;; esac
}

over() { [ -e "$RUN/confirmed" ] || [ -e "$RUN/ended" ] || grep -qs 'done' "$RUN/taken-back"; }

# Returns when the change must be taken back; ends where it need not.
wait_for_confirmation() {
	this=unknown others=no start='' waited=0
	[ ! -r "$PROC/sys/kernel/random/boot_id" ] || read -r this <"$PROC/sys/kernel/random/boot_id"
	[ "$this" != "$began" ] || exit 0 # its reboot has not been yet
	uptime_seconds
	while read -r boot at; do
		if [ "$boot" = "$this" ]; then start=$at; else others=yes; fi
	done 2>/dev/null <"$RUN/boots"
	if [ -z "$start" ]; then
		start=$up
		mark boots "$(cat "$RUN/boots" 2>/dev/null; printf '%s %s' "$this" "$start")"
	fi
	! grep -qs begun "$RUN/taken-back" || { say "taking back was cut off"; return; }
	[ $others = no ] || { say "this is another boot of a change that nobody has confirmed"; return; }
	while uptime_seconds && [ "$up" -lt $((start + confirm)) ]; do
		! over || exit 0
		sleep 2
		waited=$((waited + 2))
	done
	say "not confirmed in $confirm seconds"
}

# Once: a machine that reboots again and again is worse than one with a change.
reboot_once() {
	[ ! -e "$RUN/rebooted" ] && mark rebooted "$this" || return 0
	say "rebooting into the old state"
	systemctl --no-block reboot 2>/dev/null || reboot || reboot -f
}

# The lock of all that change this node: gpuferry goes on after a reboot while this waits, and two at once would tear
# what both make (two update-initramfs write the same initrd.new). Held until this ends. A gpuferry that does not end
# is no reason to stay: its service is ended after 30 minutes (src/plan/units.c).
LOCK_SECONDS=2000
wait_for_turn() {
	command -v flock >/dev/null 2>&1 || return 0
	exec 9>>"$HOME_FOLDER/lock"
	! flock -n 9 || return 0
	say "gpuferry is at work: waiting for its end"
	uptime_seconds
	till=$((up + LOCK_SECONDS))
	while uptime_seconds && [ "$up" -lt $till ]; do
		sleep 2
		waited=$((waited + 2))
		! flock -n 9 || return 0
	done
	say "it does not end; going on"
}

by_service() {
	hand=no
	! over || exit 0
	writable || { say "$RUN cannot be written to: nothing is taken back" >&2; exit 1; }
	wait_for_confirmation
	wait_for_turn
	! over || exit 0
	mark taken-back begun
	# who confirms writes first and looks then, as we do: one of us sees the other
	if [ -e "$RUN/confirmed" ]; then rm -f "$RUN/taken-back"; exit 0; fi
	take_back
	reboot_once
}

by_hand() {
	[ -n "$ROOT" ] || live=yes
	[ -d "$RUN" ] || { say "$RUN is not there; ROOT=/mnt sh $0, if the system lies below /mnt" >&2; exit 1; }
	writable || { say "$RUN cannot be written to" >&2; exit 1; }
	if [ $live = yes ] && command -v flock >/dev/null 2>&1; then
		exec 9>>"$HOME_FOLDER/lock"
		flock -n 9 || { say "gpuferry is at work" >&2; exit 5; }
	fi
	take_back
	guest_steps
	if [ $live = yes ] && [ "$reboots" -gt 0 ]; then say "A reboot is needed for the old state to be in effect."; fi
}

main() {
	command -v sha256sum >/dev/null 2>&1 || { say "sha256sum is needed (coreutils, busybox)" >&2; exit 1; }
	case ${1:-} in
	--boot)
		[ -z "$ROOT" ] || { say "--boot is for the machine itself" >&2; exit 2; }
		by_service
		;;
	'') by_hand ;;
	*) say "usage: [ROOT=/mnt] sh rollback.sh" >&2; exit 2 ;;
	esac
	say "$lefts left as they are, $fails not taken back"
	[ $lefts = 0 ] && [ $fails = 0 ]
	exit
}
main "$@"
