#!/bin/sh
# The way back without gpuferry: rollback.sh run by dash and by busybox, on another root and in a root of its own that
# has nothing but a shell and its tools: no gpuferry, no /etc/pve. The end is compared with the beginning: bytes, mode,
# owner, links, absence.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
source=${GPUFERRY_SOURCE:-$(dirname "$0")/..}
make=${GPUFERRY_RESCUE:-$source/build/tests/rescue_make}
chroot_or_skip "$@"
owner=7:9
chown $owner "$work" 2>/dev/null || owner=0:0 # a namespace of one user
chown 0:0 "$work"
id=20261124-151600
run=var/lib/gpuferry/runs/$id
kernel=6.8.12-4-pve

# ---- a machine ------------------------------------------------------------------------------------------------

# Everything that gpuferry did not make: the tools, and a configuration.
odd="odd name's \"\$(touch hit)\` -n *.conf"
lines="two
lines.conf"
base() { # ROOT
	mkdir -p "$1/bin" "$1/usr/sbin" "$1/proc/self" "$1/dev" "$1/boot" "$1/tmp" "$1/etc/modprobe.d" "$1/etc/default/grub.d" \
		"$1/etc/systemd/system/sysinit.target.wants" "$1/etc/systemd/system/multi-user.target.wants" "$1/etc/one" "$1/etc/two" "$1/$run/old"
	mknod -m 666 "$1/dev/null" c 1 3 2>/dev/null || : >"$1/dev/null"
	cp "$busybox" "$1/bin/busybox"
	cp "$(command -v dash || command -v sh)" "$1/bin/dash"
	cp "$(command -v flock)" "$1/bin/flock" # busybox has none on every system
	for library in $(ldd "$busybox" "$1/bin/dash" "$1/bin/flock" 2>/dev/null | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
		mkdir -p "$1${library%/*}"
		cp "$library" "$1$library"
	done
	"$busybox" --list | while read -r tool; do ln -s busybox "$1/bin/$tool" 2>/dev/null; done
	rm -f "$1/bin/sync" "$1/bin/reboot" "$1/bin/mount"
	printf '#!/bin/sh\nexit 0\n' >"$1/bin/sync"
	: >"$1/boot/vmlinuz-$kernel"
	# an image is what it is made from
	printf '#!/bin/sh\n[ "$1 $2" = "-u -k" ] && [ -z "${ROOT-}" ] || exit 1\ncat /etc/modprobe.d/* >/boot/new && mv /boot/new "/boot/initrd.img-$3"\n' \
		>"$1/usr/sbin/update-initramfs"
	printf '#!/bin/sh\ncat /etc/default/grub.d/* >/boot/grub.new 2>/dev/null\nmv /boot/grub.new /boot/grub.cfg\n' \
		>"$1/usr/sbin/update-grub"
	chmod 755 "$1/bin/sync" "$1"/usr/sbin/*
	echo 'options vfio ids=none' >"$1/etc/modprobe.d/vfio.conf"
	chmod 640 "$1/etc/modprobe.d/vfio.conf"
	chown $owner "$1/etc/modprobe.d/vfio.conf"
	echo odd >"$1/etc/modprobe.d/$odd"
	echo lines >"$1/etc/modprobe.d/$lines"
	echo moded >"$1/etc/moded"
	chmod 600 "$1/etc/moded"
	ln -s one "$1/etc/leads"
	ln -s /nowhere "$1/etc/lost"
	cat "$1/etc/modprobe.d"/* >"$1/boot/initrd.img-$kernel"
	: >"$1/boot/grub.cfg"
}

sum() { printf 'sha256:%s' "$(printf "$1" | sha256sum | cut -d ' ' -f 1)"; }
# A file's old bytes and owner, as exec keeps them for step N.
save() { # N PATH
	cp "$root$2" "$root/$run/old/$1"
	stat -c '%a %u %g' "$root$2" >"$root/$run/old/$1.owner"
}

# What a run of gpuferry does to it, and its rollback.sh. The steps' numbers count from 0.
change() { # ROOT
	root=$1
	new='words of ours
'
	unit=/etc/systemd/system/gpuferry-revert.service resume=/etc/systemd/system/gpuferry-resume.service
	resume_link=/etc/systemd/system/multi-user.target.wants/gpuferry-resume.service
	set -- link+ node /etc/systemd/system/sysinit.target.wants/gpuferry-revert.service '' ../gpuferry-revert.service
	ln -s ../gpuferry-revert.service "$root$3"
	set -- "$@" file+ node $unit '' "$new" file+ node $resume '' "$new"
	set -- "$@" link+ node $resume_link '' ../gpuferry-resume.service
	ln -s ../gpuferry-resume.service "$root$resume_link"
	set -- "$@" file node /etc/default/grub.d/gpuferry.cfg '' "$new"
	for file in $unit $resume /etc/default/grub.d/gpuferry.cfg; do printf '%s' "$new" >"$root$file"; done
	set -- "$@" file node /etc/modprobe.d/vfio.conf "$(sum 'options vfio ids=none\n')" "$new"
	save 5 /etc/modprobe.d/vfio.conf
	printf '%s' "$new" >"$root/etc/modprobe.d/vfio.conf"
	chown 0:0 "$root/etc/modprobe.d/vfio.conf"
	chmod 644 "$root/etc/modprobe.d/vfio.conf"
	set -- "$@" file node "/etc/modprobe.d/$odd" "$(sum 'odd\n')" "$new"
	save 6 "/etc/modprobe.d/$odd"
	printf '%s' "$new" >"$root/etc/modprobe.d/$odd"
	set -- "$@" file node "/etc/modprobe.d/$lines" "$(sum 'lines\n')" ''
	save 7 "/etc/modprobe.d/$lines"
	rm "$root/etc/modprobe.d/$lines"
	set -- "$@" file node /etc/moded "$(sum 'moded\n')" 'moded
'
	save 8 /etc/moded
	chmod 644 "$root/etc/moded"
	set -- "$@" link node /etc/leads one two link node /etc/lost /nowhere ''
	rm "$root/etc/leads" "$root/etc/lost"
	ln -s two "$root/etc/leads"
	set -- "$@" directory node /etc/made '' there file node /etc/made/inside '' "$new"
	mkdir "$root/etc/made"
	printf '%s' "$new" >"$root/etc/made/inside"
	set -- "$@" initramfs node $kernel "$(sum x)" x boot node grub quiet 'quiet words' reboot node boot old new
	set -- "$@" power vm/100 state running stopped config vm/100 hostpci0 '' 0000:01:00,pcie=1
	set -- "$@" config vm/100 args "it's" '' config ct/105 dev0 '/dev/dri/renderD128,gid=104' '' power vm/100 state stopped running
	set -- "$@" raw ct/105 lxc "$(printf 'lxc.mount.entry: /dev/dri dev/dri none bind\nlxc.environment: A=it'"'"'s')" ''
	# a VM that the reboot has stopped: it ran before
	set -- "$@" config vm/101 hostpci0 '' 0000:02:00 power vm/101 state running running
	set -- "$@" confirm node change open confirmed initramfs node 6.5.0-1-pve x y
	cat "$root/etc/modprobe.d"/* >"$root/boot/initrd.img-$kernel"
	cat "$root/etc/default/grub.d"/* >"$root/boot/grub.cfg"
	ln -s runs/$id/rollback.sh "$root/var/lib/gpuferry/revert"
	"$make" $id "$@" >"$root/$run/rollback.sh"
}

# Everything but the run's own folder and times.
listed() { # ROOT
	(cd "$1" && find . -path ./var -prune -o -path ./dev -prune -o -path ./proc -prune -o -path ./tmp -prune -o -printf '%p %y %m %U:%G %l\n' -type f \
		-exec sha256sum {} + | LC_ALL=C sort)
}

base "$work/base"
cp -a "$work/base" "$work/changed"
change "$work/changed"
listed "$work/base" >"$work/base.list"
listed "$work/changed" >"$work/changed.list"
! cmp -s "$work/base.list" "$work/changed.list"; ok "there is something to take back"

fresh() {
	rm -rf "$work/now"
	cp -a "$work/changed" "$work/now"
}
# The same, where nobody touched the tools.
again() {
	rm -rf "$work/now/etc" "$work/now/boot" "$work/now/var"
	cp -a "$work/changed/etc" "$work/changed/boot" "$work/changed/var" "$work/now/"
}
as_before() { listed "$work/now" >"$work/now.list"; diff "$work/base.list" "$work/now.list" >"$work/out"; }
as_changed() { listed "$work/now" >"$work/now.list"; diff "$work/changed.list" "$work/now.list" >"$work/out"; }

if command -v shellcheck >/dev/null; then
	run shellcheck -s sh -S warning "$work/changed/$run/rollback.sh"
	[ $code = 0 ]; ok "shellcheck finds nothing"
else
	skip "shellcheck finds nothing" "it is not installed"
fi

# ---- taken back -------------------------------------------------------------------------------------------------

other_root() { # SHELL...: from outside, with this machine's tools
	run env ROOT="$work/now/" "$@" "$work/now/$run/rollback.sh"
}
own_root() { # SHELL: inside, with busybox's tools and nothing else
	run env -i PATH=/bin:/usr/sbin "SYS=/none" chroot "$work/now" "/bin/$1" "/$run/rollback.sh"
}
for how in 'other_root dash' "other_root $busybox sh" 'own_root dash' 'own_root ash'; do
	fresh
	$how
	cp "$work/out" "$work/out.first"
	[ $code = 0 ] && says 'restored: /etc/modprobe.d/vfio.conf' && as_before
	ok "$how: as it was before"
	sed -n '/^The guests/,/^[0-9A]/s/^  //p' "$work/out.first" | sed "s/'use PVE.*});'/'PROGRAM'/" >"$work/out"
	cmp -s - "$work/out" <<-'END'
		qm shutdown 101
		qm set 101 --delete hostpci0
		perl -e 'PROGRAM' 105 '' 'lxc.mount.entry: /dev/dri dev/dri none bind' 'lxc.environment: A=it'\''s'   # only if nobody has changed its lxc lines since
		qm shutdown 100
		pct set 105 --dev0 /dev/dri/renderD128,gid=104
		qm set 100 --args 'it'\''s'
		qm set 100 --delete hostpci0
		qm start 101
		qm start 100
	END
	ok "$how: what a person does to the guests is told, in the order of the way back"
	[ "$(cat "$work/now/$run/taken-back")" = 'done' ] && [ ! -L "$work/now/var/lib/gpuferry/revert" ]
	ok "$how: it is noted, and nothing will run it again"
	$how
	[ $code = 0 ] && ! says restored && as_before; ok "$how: twice does nothing more"
	[ ! -e "$work/now/hit" ] && [ ! -e hit ]; ok "$how: a name is never a command"
done

fresh
echo 'someone else' >>"$work/now/etc/modprobe.d/vfio.conf"
rm "$work/now/etc/leads"
ln -s elsewhere "$work/now/etc/leads"
echo theirs >"$work/now/etc/made/theirs"
own_root dash
[ $code = 1 ] && says 'left as it is: /etc/modprobe.d/vfio.conf' && says 'left as it is: /etc/leads' &&
	says 'left as it is: /etc/made: it is not empty' && says '3 left as they are, 0 not taken back'
ok "what others have changed since is left, listed, and ends in 1"
grep -q 'someone else' "$work/now/etc/modprobe.d/vfio.conf" && [ "$(readlink "$work/now/etc/leads")" = elsewhere ] &&
	[ -e "$work/now/etc/made/theirs" ] && [ ! -e "$work/now/etc/default/grub.d/gpuferry.cfg" ] &&
	[ -e "$work/now/etc/modprobe.d/$lines" ]; ok "the rest is taken back"

grep -q "WORLD_BESIDE \"$(grep -o '\.gpuferry-new' "$source/src/exec/rollback.sh" | head -n 1)\"" "$source/src/sys/world.h"
ok "it knows what gpuferry leaves beside a file"
fresh
echo half >"$work/now/etc/modprobe.d/vfio.conf.gpuferry-new"
ln -s half "$work/now/etc/leads.gpuferry-new"
own_root dash
[ $code = 0 ] && as_before; ok "what a cut has left beside a file and a link goes"

fresh
rm "$work/now/$run/old/5"
own_root ash
[ $code = 1 ] && complains 'what it was is not whole' && grep -q ours "$work/now/etc/modprobe.d/vfio.conf" &&
	[ -e "$work/now/etc/systemd/system/gpuferry-revert.service" ] && [ -L "$work/now/var/lib/gpuferry/revert" ]
ok "old bytes that are gone: the file stays as it is, and so does the service that tries again"

fresh
mv "$work/now/etc/default" "$work/elsewhere"
ln -s "$work/elsewhere" "$work/now/etc/default"
other_root dash
[ $code = 1 ] && says 'leads out of' && [ -e "$work/elsewhere/grub.d/gpuferry.cfg" ]
ok "on another root, a link out of it is not followed"

fresh
rm "$work/now/usr/sbin/update-initramfs"
own_root dash
[ $code = 1 ] && complains 'update-initramfs is not here' && [ -e "$work/now/etc/modprobe.d/$lines" ]
ok "without update-initramfs the files are back, and it is said"

fresh
run env ROOT="$work/none" dash "$work/now/$run/rollback.sh"
[ $code = 1 ] && complains 'is not there' && as_changed; ok "a wrong root changes nothing"

# ---- cut off anywhere --------------------------------------------------------------------------------------------

# Commands that change something, each killing the whole script before its turn comes.
mkdir "$work/killers"
for tool in cp mv rm ln chmod chown sync rmdir touch sha256sum update-initramfs update-grub cat; do
	real=/bin/$tool
	[ -e "$work/base/bin/$tool" ] || real=/usr/sbin/$tool
	printf '#!/bin/dash\nread -r n </tmp/count\necho $((n + 1)) >/tmp/count\n[ "$n" != "$CUT" ] || kill -9 0\nexec %s "$@"\n' \
		$real >"$work/killers/$tool"
done
chmod 755 "$work/killers"/*
cut() { # SHELL AT
	echo 0 >"$work/now/tmp/count"
	env -i PATH=/killers:/bin:/usr/sbin CUT="$2" SYS=/none setsid chroot "$work/now" "/bin/$1" "/$run/rollback.sh" \
		>"$work/out" 2>"$work/err"
	# who was killed with it may hold the lock for a moment longer
	flock -w 20 "$work/now/var/lib/gpuferry/lock" true
}
for shell in dash ash; do
	fresh
	cp -a "$work/killers" "$work/now/killers"
	cut $shell -1
	read -r total <"$work/now/tmp/count"
	at=0 cuts=0 bad=''
	[ $shell = dash ] && step=1 || step=7
	while [ $at -lt "$total" ]; do
		again
		cp -a "$work/killers" "$work/now/killers"
		cut $shell $at
		cut $shell $((at * 7919 % total)) # and once more on the way back
		rm -rf "$work/now/killers"
		own_root $shell
		if [ $code != 0 ] || ! as_before; then
			bad="$bad $at"
			told >&2
		fi
		at=$((at + step)) cuts=$((cuts + 2))
	done
	[ -z "$bad" ] && [ "$total" -gt 60 ]; ok "$shell: cut off $cuts times at $total commands, and run again: as it was before${bad:+; not at$bad}"
done

# ---- the service ---------------------------------------------------------------------------------------------------

# A clock that only sleeping moves, and a reboot that is only written down.
serviced() {
	fresh
	mkdir -p "$work/now/fake/sys/kernel/random"
	printf '#!/bin/sh\nread -r up _ </fake/uptime\necho "$((${up%%%%.*} + $1)).50 1.0" >/fake/uptime\necho slept >>/fake/sleeps\n[ ! -e /fake/at-sleep ] || . /fake/at-sleep\n' \
		>"$work/now/bin/sleep.new"
	printf '#!/bin/sh\necho "$*" >>/fake/reboots\n' >"$work/now/bin/systemctl"
	rm "$work/now/bin/sleep"
	mv "$work/now/bin/sleep.new" "$work/now/bin/sleep"
	chmod 755 "$work/now/bin/sleep" "$work/now/bin/systemctl"
}
boot() { # BOOT_ID UPTIME
	echo "$1" >"$work/now/fake/sys/kernel/random/boot_id"
	echo "$2.25 1.00" >"$work/now/fake/uptime"
	rm -f "$work/now/fake/sleeps"
	run env -i PATH=/bin:/usr/sbin PROC=/fake SYS=/none chroot "$work/now" "/bin/$shell" "/$run/rollback.sh" --boot
}
# Another holds the lock; it ends when killed.
at_work() {
	flock -F "$work/now/var/lib/gpuferry/lock" "$(command -v sleep)" 600 >/dev/null 2>&1 &
	holder=$!
	until [ -e "$work/now/var/lib/gpuferry/lock" ] && ! flock -n "$work/now/var/lib/gpuferry/lock" true; do :; done
}
rebooted() { [ "$(cat "$work/now/fake/reboots" 2>/dev/null | wc -l)" = "$1" ]; }
slept() { [ "$(cat "$work/now/fake/sleeps" 2>/dev/null | wc -l)" -ge "$1" ]; }
clean() { rm -rf "$work/now/fake" "$work/now/bin/sleep" "$work/now/bin/systemctl"; ln -s busybox "$work/now/bin/sleep"; }
restored() { clean; as_before; }
untouched() { clean; as_changed; }

for shell in dash ash; do
	serviced
	boot first 5000
	[ $code = 0 ] && ! slept 1 && rebooted 0 && untouched; ok "$shell: before the reboot the service does nothing"

	serviced
	boot second 8
	[ $code = 0 ] && slept 30 && rebooted 1 && says 'not confirmed in 60 seconds' && restored
	ok "$shell: not confirmed in time: taken back, one reboot"
	[ "$(cat "$work/now/$run/taken-back")" = 'done' ] && [ ! -L "$work/now/var/lib/gpuferry/revert" ]
	ok "$shell: and the service is gone"

	serviced
	printf '#!/bin/sh\n' >"$work/now/bin/gpuferry"
	chmod 755 "$work/now/bin/gpuferry"
	boot second 8
	[ $code = 0 ] && rebooted 1 && [ ! -e "$work/now$unit" ] && [ -L "$work/now/var/lib/gpuferry/revert" ] &&
		[ -f "$work/now$resume" ] && [ -L "$work/now$resume_link" ]
	ok "$shell: where gpuferry is, it goes on at the next boot, for the guests"
	rm -f "$work/now$resume" "$work/now$resume_link" "$work/now/bin/gpuferry"
	restored; ok "$shell: and all else is as before"

	serviced
	echo "[ \$(wc -l </fake/sleeps) -lt 10 ] || : >/$run/confirmed" >"$work/now/fake/at-sleep"
	boot second 8
	[ $code = 0 ] && slept 10 && ! slept 12 && rebooted 0 && untouched; ok "$shell: confirmed while it waits: it stays"
	serviced
	: >"$work/now/$run/confirmed"
	boot third 8
	[ $code = 0 ] && ! slept 1 && rebooted 0 && untouched; ok "$shell: confirmed: nothing at later boots"
	serviced
	: >"$work/now/$run/ended"
	boot third 8
	[ $code = 0 ] && rebooted 0 && untouched; ok "$shell: an ended run: nothing"

	serviced
	echo 'kill -9 $PPID' >"$work/now/fake/at-sleep"
	boot second 8
	rm "$work/now/fake/at-sleep"
	boot second 40
	[ $code = 0 ] && slept 14 && ! slept 16 && rebooted 1 && restored
	ok "$shell: started again in the same boot, its time goes on"

	serviced
	echo 'kill -9 $PPID' >"$work/now/fake/at-sleep"
	boot second 8
	rm "$work/now/fake/at-sleep"
	boot third 3
	[ $code = 0 ] && ! slept 1 && rebooted 1 && restored; ok "$shell: a second boot: taken back at once"

	serviced
	printf '#!/bin/sh\n[ ! -e /%s/taken-back ] || : >/%s/confirmed\n' $run $run >"$work/now/bin/sync"
	boot second 8
	cp -p "$work/base/bin/sync" "$work/now/bin/sync"
	[ $code = 0 ] && rebooted 0 && [ ! -e "$work/now/$run/taken-back" ] && untouched
	ok "$shell: confirmed in the last moment: it stays"

	# gpuferry goes on after the reboot, with the lock: what both make must not be made by both at once
	serviced
	at_work
	cp "$work/now/etc/modprobe.d/vfio.conf" "$work/now/fake/ours"
	echo "before 1" >"$work/now/$run/boots"
	printf 'cmp -s /etc/modprobe.d/vfio.conf /fake/ours || : >/fake/early\n[ $(wc -l </fake/sleeps) -lt 5 ] || kill %s 2>/dev/null\n' \
		$holder >"$work/now/fake/at-sleep"
	boot third 3
	[ $code = 0 ] && slept 5 && ! slept 9 && [ ! -e "$work/now/fake/early" ] && says 'gpuferry is at work' && rebooted 1 && restored
	ok "$shell: another that is at work is waited for"
	serviced
	at_work
	echo "before 1" >"$work/now/$run/boots"
	echo "[ \$(wc -l </fake/sleeps) -lt 5 ] || { : >/$run/ended; kill $holder 2>/dev/null; }" >"$work/now/fake/at-sleep"
	boot third 3
	[ $code = 0 ] && slept 5 && rebooted 0 && untouched; ok "$shell: where that has ended the run, nothing is left to do"
	if [ $shell = dash ]; then
		serviced
		at_work
		echo "before 1" >"$work/now/$run/boots"
		boot third 3
		kill $holder
		[ $code = 0 ] && slept 900 && says 'it does not end' && rebooted 1 && restored
		ok "$shell: one that never ends does not keep the change"
	fi

	serviced
	printf '#!/bin/sh\nexit 1\n' >"$work/now/usr/sbin/update-initramfs"
	boot second 8
	[ $code = 1 ] && rebooted 1 && [ -e "$work/now/etc/modprobe.d/$lines" ] && [ -e "$work/now/etc/systemd/system/gpuferry-revert.service" ]
	ok "$shell: what fails does not keep the rest from being taken back"
	boot third 3
	[ $code = 1 ] && ! slept 1 && rebooted 1; ok "$shell: it tries again at the next boot, and never reboots twice"
	cp -p "$work/base/usr/sbin/update-initramfs" "$work/now/usr/sbin/update-initramfs"
	boot fourth 3
	[ $code = 0 ] && rebooted 1 && restored; ok "$shell: until it is done"
done

run env ROOT=/ dash "$work/now/$run/rollback.sh" --frobnicate
[ $code = 2 ]; ok "an unknown word is wrong usage"

# Emergency mode has the root read-only. A file system of its own is one; mount is busybox's here.
serviced
clean
mkdir "$work/ro"
rm -f "$work/now/bin/mount"
ln -s busybox "$work/now/bin/mount"
echo 'none / tmpfs ro 0 0' >"$work/now/proc/mounts"
# shellcheck disable=SC2016 # its own words
run unshare -m sh -c 'cd "$1" && mount -t tmpfs -o mode=755 none ro && cp -a now/. ro/ && mount -o remount,ro ro || exit 90
	! touch ro/x 2>/dev/null || exit 91
	env -i PATH=/bin:/usr/sbin SYS=/none chroot ro /bin/dash "/$2/rollback.sh" || exit
	rm -rf now && cp -a ro now' sh "$work" $run
if [ $code = 90 ] || complains 'unshare: '; then
	skip "a read-only root is made writable first" "nothing can be mounted here"
else
	rm -f "$work/now/bin/mount"
	[ $code = 0 ] && as_before; ok "a read-only root is made writable first"
fi

done_testing
