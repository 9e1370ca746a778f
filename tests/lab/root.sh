#!/bin/sh
# root.sh FOLDER: the root file system that the lab's boots share, made once and kept by what goes into it: FOLDER/root is the
# tree, FOLDER/root.disk the disk of it. A Debian with real kmod, udev, systemd and initramfs-tools; graphics, sound and USB
# drivers are stand-ins that take what they match (module/boots). init=/lab/init lets a run bring its own settings along.
set -eu
folder=$(realpath "$1")
lab=$(cd "$(dirname "$0")" && pwd)
# the real ones are looked at before the stand-ins take their places
modules='vfio-pci vfio_iommu_type1 pci-stub ext4 virtio_pci virtio_blk nvme e1000 autofs4 efivarfs dm_mod qemu_fw_cfg button configfs
crc32c_generic crc32c-intel fuse loop nouveau i915 amdgpu radeon snd-hda-intel xhci-pci'

base=$(sh "$lab/base.sh" "$folder")
sum=$({ echo "$base"; cat "$lab/root.sh" "$lab/modules.sh" "$lab/boots_init.sh" "$lab/module/boots"/*; } | sha256sum | cut -c1-16)
tree=$folder/root-$sum
if [ ! -e "$tree/done" ]; then
	echo "making the root of the boots" >&2
	work=$(mktemp -d "$folder/work.XXXXXX")
	trap 'rm -rf --one-file-system "$work"' EXIT
	root=$work/tree/root
	mkdir -p "$root"
	tar -C "$root" --numeric-owner -xf "$base"
	version=$(ls "$root/usr/lib/modules")
	# shellcheck disable=SC2086
	sh "$lab/modules.sh" "$root" "$version" $modules
	mkdir "$work/module"
	sh "$lab/module/boots/make" "$root" "$version" "$work/module" >"$folder/module.log" 2>&1 || { tail -n 5 "$folder/module.log" >&2; exit 1; }
	depmod -b "$root" "$version"
	install -D "$lab/boots_init.sh" "$root/lab/init"
	echo "/dev/vda / ext4 rw,relatime 0 0" >"$root/etc/fstab"
	rm -f "$root"/boot/initrd.img-*
	echo "$version" >"$work/tree/version"
	cp "$root/boot/vmlinuz-$version" "$work/tree/kernel"
	truncate -s 1536M "$work/disk"
	mkfs.ext4 -q -F -L lab -d "$root" "$work/disk"
	qemu-img convert -q -f raw -O qcow2 "$work/disk" "$work/tree/disk"
	rm -rf "$tree"
	: >"$work/tree/done"
	mv "$work/tree" "$tree"
fi
ln -sfn "$tree" "$folder/root"
