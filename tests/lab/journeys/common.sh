# common.sh: what the journeys of the full machine share. A job is run at every boot; $stage says which it is, the
# row's words are variables.
export NO_COLOR=1
. ./words
stage=$(cat /var/lib/lab/stage 2>/dev/null || echo start)
version=$(uname -r)
next() { # STAGE: the job goes on there at the next boot
	echo "$1" >/var/lib/lab/stage
	sync
}
run() { # NAME COMMAND...
	echo "== $1"
	shift
	began=$(date +%s)
	"$@" </dev/null
	status=$?
	echo "== ended with $status"
	echo "== took $(($(date +%s) - began)) s, at $(cut -d' ' -f1 /proc/uptime)"
	return $status
}
must() { run "$@" || end; } # or the journey is over
end() {
	echo '== end'
	sync
	echo o >/proc/sysrq-trigger
	sleep 60
}
settle() { # what gpuferry does by itself at a boot has come to its end, a second one's taking back and its reboot too
	for i in $(seq 120); do
		case $(systemctl is-active gpuferry-resume 2>/dev/null) in
		activating) sleep 1 ;;
		*) break ;;
		esac
	done
	if journalctl -q -b -u gpuferry-revert | grep -q 'another boot of a change'; then sleep 900; fi
}
hold() { # somebody has the card open, if it has its driver, so it can be taken only before that comes
	[ ! -e /dev/dri/renderD128 ] || sleep infinity </dev/dri/renderD128 &
}
rebooting() { # STATUS WISHED: waits to be ended by the reboot that was asked for; without one the journey is over
	[ "$1" = "$2" ] && sleep 90
	end
}
driver_of() { basename "$(readlink "/sys/bus/pci/devices/$1/driver" 2>/dev/null)" 2>/dev/null; }
drivers() { for device in /sys/bus/pci/devices/*; do echo "${device##*/} driver=$(driver_of "${device##*/}")"; done; }
# All that a rollback must bring back: /etc with modes, owners and links, what the boot menu boots, what the initramfs holds
# (its list of names, and its settings byte for byte), Proxmox's files; and, when it has booted, who drives what.
on_disk() {
	(cd / && find etc lib/modules/*/modules.dep usr/local -path etc/.pwd.lock -prune -o -printf '%p %y %m %U:%G %l\n' | sort)
	(cd / && find etc -type f -exec sha256sum {} + | sort -k2)
	[ -e /etc/kernel/proxmox-boot-uuids ] || grep -E '^\s*(linux|initrd)' /boot/grub/grub.cfg
	for image in /boot/initrd.img-*; do
		echo "image $image"
		rm -rf /var/tmp/image && mkdir /var/tmp/image
		unmkinitramfs "$image" /var/tmp/image
		(cd /var/tmp/image && find . -printf '%p %y %m %l\n' | sort && find . -path '*etc/*' -type f -exec sha256sum {} + | sort -k2)
		rm -rf /var/tmp/image
	done
	on_esp
}
state() { on_disk; drivers; }
on_esp() { # its entries byte for byte; its images, as they must be /boot's
	[ -e /etc/kernel/proxmox-boot-uuids ] || return
	mkdir -p /run/esp
	mount -o ro /dev/vda2 /run/esp
	(cd /run/esp && find . -printf '%p %y\n' | sort && find . -name '*.conf' -exec sha256sum {} + | sort -k2)
	for image in /run/esp/EFI/proxmox/*/*-*; do cmp "$image" "/boot/${image##*/}" && echo "$image as in /boot"; done
	umount /run/esp
}
begin() { # STAGE: the change is asked for; its reboot leads to that stage
	next "$1"
	run apply gpuferry apply $goal --yes --reboot
	rebooting $? 4
}
compare() { # how it stands now, against how it stood
	state >/var/lib/lab/after
	run differences diff /var/lib/lab/before /var/lib/lab/after
	run drivers-after drivers
}
compare_disk() { # the same where no reboot has brought the drivers back
	grep -v ' driver=' /var/lib/lab/before >/var/lib/lab/old
	on_disk >/var/lib/lab/after
	run differences diff /var/lib/lab/old /var/lib/lab/after
}
boots_with() { # WORDS: as somebody does at the boot menu
	if [ -e /etc/kernel/proxmox-boot-uuids ]; then
		mkdir -p /run/esp
		mount /dev/vda2 /run/esp
		sed -i "/^options/s|\$| $*|" /run/esp/loader/entries/*.conf
		umount /run/esp
	else
		sed -i "/^\s*linux/s|\$| $*|" /boot/grub/grub.cfg
	fi
	sync
}
