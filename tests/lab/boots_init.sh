#!/bin/sh
# The first program of the root file system: puts the run's own settings in the places of the disk's, then does what systemd
# does with drivers, by its own programs: systemd-modules-load, systemd-udevd with its coldplug, and the drm that systemd-logind
# asks for, side by side. Who drives what then goes to the second serial port. (systemd itself takes a minute to start in
# emulation, and gives no driver to a device.)
mount -o remount,rw /
rm -rf /etc/modprobe.d /etc/modules-load.d /etc/modules /etc/initramfs-tools /etc/udev
tar -C / -xf /dev/vdb
/lib/systemd/systemd-udevd --daemon
/lib/systemd/systemd-modules-load &
modprobe -abq drm &
udevadm trigger --type=subsystems --action=add
udevadm trigger --type=devices --action=add
wait
udevadm settle --timeout=60
stty -F /dev/ttyS1 raw
exec >/dev/ttyS1 2>&1
echo "== boot $(cut -d' ' -f1 /proc/uptime) $(cat /proc/cmdline)"
echo '== devices'
for device in /sys/bus/pci/devices/*; do
	driver=$(readlink "$device/driver")
	driver=${driver##*/}
	read -r override <"$device/driver_override"
	echo "${device##*/} ${driver:-none} override=$override"
done
echo '== modules'
cut -d' ' -f1 /proc/modules
echo '== end'
stty -F /dev/ttyS1 raw # waits until all has gone out
# at once: QEMU ends instead of booting again
echo b >/proc/sysrq-trigger
