#!/bin/sh
# tree.sh FOLDER N: a sys/ tree of N PCI devices as the kernel lays it out, for benchmarks. Every eighth is a GPU.
set -eu
folder=$1 count=$2
devices=$folder/sys/devices/pci0000:00
mkdir -p "$folder/sys/bus/pci/devices" "$folder/sys/bus/pci/drivers/nouveau" "$folder/sys/kernel/iommu_groups" "$folder/proc"
echo 'BOOT_IMAGE=/boot/vmlinuz-6.8.12-4-pve root=/dev/mapper/pve-root ro quiet' >"$folder/proc/cmdline"
config=$(mktemp)
trap 'rm -f "$config"' EXIT
i=0
while [ $i -lt "$count" ]; do
	address=$(printf '0000:%02x:%02x.0' $((i / 32)) $((i % 32)))
	device=$devices/$address
	mkdir -p "$device" "$folder/sys/kernel/iommu_groups/$i/devices"
	if [ $((i % 8)) = 0 ]; then vendor=10de id=2803 class=030000; else vendor=8086 id=15b8 class=020000; fi
	echo 0x$vendor >"$device/vendor"
	echo 0x$id >"$device/device"
	echo 0x$class >"$device/class"
	echo 0xa1 >"$device/revision"
	echo 0x1043 >"$device/subsystem_vendor"
	echo 0x8800 >"$device/subsystem_device"
	echo 16 >"$device/irq"
	echo D0 >"$device/power_state"
	printf 'PCI_CLASS=%s\nPCI_ID=%s:%s\nPCI_SUBSYS_ID=1043:8800\nPCI_SLOT_NAME=%s\n' "${class#0}" "$vendor" "$id" "$address" >"$device/uevent"
	echo "pci:v0000${vendor}d0000${id}sv00001043sd00008800bc${class%????}sc00i00" >"$device/modalias"
	printf '0x%016x 0x%016x 0x0000000000040200\n' $((0x80000000 + i * 65536)) $((0x80000000 + i * 65536 + 65535)) >"$device/resource"
	printf "\\$(printf %o 0x${vendor#??})\\$(printf %o 0x${vendor%??})\\$(printf %o 0x${id#??})\\$(printf %o 0x${id%??})" >"$config"
	head -c 252 /dev/zero >>"$config"
	cp "$config" "$device/config"
	ln -s "../../../bus/pci/drivers/nouveau" "$device/driver"
	ln -s "../../../kernel/iommu_groups/$i" "$device/iommu_group"
	ln -s "../../../devices/pci0000:00/$address" "$folder/sys/bus/pci/devices/$address"
	ln -s "../../../../devices/pci0000:00/$address" "$folder/sys/kernel/iommu_groups/$i/devices/$address"
	i=$((i + 1))
done
