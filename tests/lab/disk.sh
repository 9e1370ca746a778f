#!/bin/sh
# disk.sh FOLDER: the disk of the lab's full machine, made once and kept by what goes into it; FOLDER/disk links to it. A
# Debian with systemd, GRUB (BIOS) and initramfs-tools, laid out without loop mounts, with gpuferry from its own package,
# Proxmox VE's commands from lab_pve, and the service that runs what a run brings along. Its modules are those the lab
# needs: that alone keeps update-initramfs under a minute in emulation.
set -eu
folder=$(realpath "$1")
lab=$(cd "$(dirname "$0")" && pwd)
uuid=11111111-2222-3333-4444-555555555555
modules='vfio-pci vfio_iommu_type1 pci-stub ext4 virtio_pci virtio_blk virtio_console snd-hda-intel nvme e1000 autofs4 efivarfs dm_mod qemu_fw_cfg button configfs crc32c_generic crc32c-intel fuse loop'

sum() { sha256sum | cut -c1-16; }

base=$(sh "$lab/base.sh" "$folder")
image=$folder/disk-$({ echo "$base"; cat "$lab/disk.sh" "$lab/modules.sh" "$folder/gpuferry.deb" "$folder/build/tests/lab_pve" "$lab/full"/* "$lab/module/full"/*; } | sum).qcow2
if [ ! -e "$image" ]; then
	echo "making the full machine's disk" >&2
	work=$(mktemp -d "$folder/work.XXXXXX")
	trap 'rm -rf --one-file-system "$work"' EXIT
	root=$work/root
	mkdir "$root"
	tar -C "$root" --numeric-owner -xf "$base"
	version=$(ls "$root/usr/lib/modules")
	sh "$lab/modules.sh" "$root" "$version" $modules
	cp -r "$lab/module/full" "$work/module"
	make -s -C "/usr/src/linux-headers-$version" M="$work/module" modules >"$folder/disk.log" 2>&1 ||
		{ tail -n 5 "$folder/disk.log" >&2; exit 1; }
	install -D -m 644 "$work/module/nouveau.ko" -t "$root/usr/lib/modules/$version/kernel/drivers/gpu/drm/nouveau"
	depmod -b "$root" "$version"
	cp "$folder/gpuferry.deb" "$root/tmp/"
	cp "$folder/build/tests/lab_pve" "$root/usr/bin/qm"
	ln "$root/usr/bin/qm" "$root/usr/bin/pct"
	ln "$root/usr/bin/qm" "$root/usr/bin/pvesh"
	cp -r "$lab/full" "$root/lab"
	cat >"$root/tmp/early.cfg" <<-END
		search.fs_uuid $uuid root
		set prefix=(\$root)/boot/grub
	END
	# its own mounts, gone with it
	# shellcheck disable=SC2016
	unshare --mount sh -euc '
		mount -t proc proc "$1/proc"
		chroot "$1" sh -eu /lab/make "$2"
	' sh "$root" "$uuid" >"$folder/disk.log" 2>&1 || { tail -n 5 "$folder/disk.log" >&2; exit 1; }
	truncate -s 1536M "$work/part"
	mkfs.ext4 -q -F -L lab -U "$uuid" -d "$root" "$work/part"
	truncate -s 1537M "$work/disk"
	echo '2048,,L,*' | sfdisk -q "$work/disk"
	dd if="$root/usr/lib/grub/i386-pc/boot.img" of="$work/disk" bs=440 count=1 conv=notrunc status=none
	dd if="$root/tmp/core.img" of="$work/disk" bs=512 seek=1 conv=notrunc status=none
	dd if="$work/part" of="$work/disk" bs=1M seek=1 conv=notrunc,sparse status=none
	qemu-img convert -q -f raw -O qcow2 "$work/disk" "$work/disk.qcow2"
	# its first boot makes initramfs and boot menu, which ask the running machine
	mkdir "$work/job"
	echo 'update-initramfs -u; update-grub; echo "== end"; sync; echo o >/proc/sysrq-trigger' >"$work/job/job"
	sh "$lab/pack.sh" "$work/job" "$work/job.tar"
	"$folder/build/tests/lab_board" "$lab/machines/intel-4060ti.machine" "$folder/disk.result" "$folder/disk.log" 600 \
		disk "$work/disk.qcow2" "$work/job.tar"
	grep -q '^== end' "$folder/disk.result" || { tail -n 5 "$folder/disk.result" "$folder/disk.log" >&2; exit 1; }
	mv "$work/disk.qcow2" "$image"
fi
ln -sfn "$image" "$folder/disk"
