#!/bin/sh
# The first program of the lab's fast machine: brings up what a job needs, runs the one that the kernel's words name, and
# ends the machine. What a job says goes to the second serial port, as it is; the console keeps the kernel's own words.
export NO_COLOR=1 PATH=/bin:/usr/bin LD_LIBRARY_PATH=/lib
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mkdir -p /run /var/lib
stty -F /dev/ttyS1 raw
job=$(sed -n 's/.*lab=\([a-z-]*\).*/\1/p' /proc/cmdline)
settle() { # what a driver of the machine's own can have, it has; NVMe waits a minute for interrupts under AMD's IOMMU here
	modprobe e1000
	sleep 1
}
proxmox() { # as much of it as makes gpuferry ask the whole chain, and a VM
	mkdir -p /var/lib/dpkg /etc/pve/nodes/pve/qemu-server /etc/pve/nodes/pve/lxc
	printf 'Package: pve-manager\nStatus: install ok installed\nVersion: 8.4.1\n' >/var/lib/dpkg/status
	printf '{\n"nodename": "pve",\n"version": 3\n}\n' >/etc/pve/.members
	printf 'name: emby\nmachine: q35\nballoon: 0\nmemory: 256\n' >/etc/pve/nodes/pve/qemu-server/100.conf
	for folder in qemu-server lxc; do ln -s "nodes/pve/$folder" "/etc/pve/$folder"; done
	ln -s nodes/pve /etc/pve/local
}
# All of this without a process of its own, for each takes 70 ms here and a machine has hundreds of attributes.
leads_to() { # LINK: the name of where it leads, in $name
	name=
	! cd -P "$1" 2>/dev/null || name=${PWD##*/}
	cd /
}
devices() {
	for device in /sys/bus/pci/devices/*; do
		read -r vendor <"$device/vendor"
		read -r model <"$device/device"
		read -r class <"$device/class"
		read -r override <"$device/driver_override"
		leads_to "$device/iommu_group"
		in_group=$name
		leads_to "$device/driver"
		echo "${device##*/} ${vendor#0x}:${model#0x} ${class#0x} group=$in_group driver=$name override=$override"
	done
}
# shellcheck source=/dev/null
. "/jobs/$job" >/dev/ttyS1 2>&1
echo '== end' >/dev/ttyS1
stty -F /dev/ttyS1 raw # waits until all has gone out
# at once: an orderly end would wait for a driver that is stuck; QEMU ends instead of booting again
echo b >/proc/sysrq-trigger
