#!/bin/sh
# disk.sh FOLDER [KIND]: the disk of the lab's full machine, made once and kept by what goes into it; FOLDER/disk, or disk-KIND,
# links to it. A Debian with systemd, GRUB (BIOS) and initramfs-tools, laid out without loop mounts, with gpuferry from its
# own package, Proxmox VE's commands from lab_pve, and the service that runs what a run brings along. Its modules are those
# the lab needs: that alone keeps update-initramfs under a minute in emulation. A KIND is a folder here with what it has
# besides: packages, modules, make (in the root, after full/make), first (at the first boot, instead of full/first).
set -eu
folder=$(realpath "$1")
kind=${2-}
lab=$(cd "$(dirname "$0")" && pwd)
own=$lab/${kind:-full}
uuid=11111111-2222-3333-4444-555555555555
modules='vfio-pci vfio_iommu_type1 pci-stub ext4 virtio_pci virtio_blk virtio_console snd-hda-intel nvme e1000 autofs4 efivarfs dm_mod qemu_fw_cfg button configfs crc32c_generic crc32c-intel fuse loop'

sum() { sha256sum | cut -c1-16; }

listed() { cat "$own/$1" 2>/dev/null || :; }
needed=$(dpkg-deb -f "$folder/gpuferry.deb" Depends | sed 's/([^)]*)//g; s/[ ,][ ,]*/ /g')
# shellcheck disable=SC2046,SC2086
base=$(sh "$lab/base.sh" "$folder" $needed $(listed packages))
image=$folder/disk-made-$({ echo "$base"; cat "$lab/disk.sh" "$lab/modules.sh" "$folder/gpuferry.deb" "$folder/build/tests/lab_pve" "$lab/full"/* "$own"/* "$lab/module/full"/* "$lab"/../perl/PVE/*.pm "$lab"/../perl/PVE/*/*.pm; } | sum).qcow2
if [ ! -e "$image" ]; then
	echo "making the full machine's disk" >&2
	work=$(mktemp -d "$folder/work.XXXXXX")
	trap 'rm -rf --one-file-system "$work"' EXIT
	root=$work/root
	mkdir "$root"
	tar -C "$root" --numeric-owner -xf "$base"
	version=$(ls "$root/usr/lib/modules")
	# shellcheck disable=SC2046,SC2086
	sh "$lab/modules.sh" "$root" "$version" $modules $(listed modules)
	cp -r "$lab/module/full" "$work/module"
	make -s -C "/usr/src/linux-headers-$version" M="$work/module" modules >"$folder/disk.log" 2>&1 ||
		{ tail -n 5 "$folder/disk.log" >&2; exit 1; }
	install -D -m 644 "$work/module/nouveau.ko" -t "$root/usr/lib/modules/$version/kernel/drivers/gpu/drm/nouveau"
	depmod -b "$root" "$version"
	cp "$folder/gpuferry.deb" "$root/tmp/"
	cp "$folder/build/tests/lab_pve" "$root/usr/bin/qm"
	ln "$root/usr/bin/qm" "$root/usr/bin/pct"
	ln "$root/usr/bin/qm" "$root/usr/bin/pvesh"
	mkdir "$root/lab"
	cp "$lab/full"/* "$root/lab/"
	mv "$root/lab/make" "$root/lab/make-full"
	cp -r "$own"/* "$lab/../perl" "$root/lab/"
	cat >"$root/tmp/early.cfg" <<-END
		search.fs_uuid $uuid root
		set prefix=(\$root)/boot/grub
	END
	# its own mounts, gone with it
	# shellcheck disable=SC2016
	unshare --mount sh -euc '
		mount -t proc proc "$1/proc"
		chroot "$1" sh -eu /lab/make-full "$2"
		[ "$3" = full ] || chroot "$1" sh -eu /lab/make "$2"
	' sh "$root" "$uuid" "${kind:-full}" >"$folder/disk.log" 2>&1 || { tail -n 5 "$folder/disk.log" >&2; exit 1; }
	size=$(($(du -sm "$root" | cut -f1) + 800)) # MiB
	truncate -s "${size}M" "$work/part"
	mkfs.ext4 -q -F -L lab -U "$uuid" -d "$root" "$work/part"
	truncate -s 384M "$work/esp"
	mkfs.vfat -F 32 -i 1A2B3C4D "$work/esp" >>"$folder/disk.log"
	truncate -s "$((size + 385))M" "$work/disk"
	printf '1MiB,%dMiB,L,*\n%dMiB,384MiB,ef\n' "$size" $((size + 1)) | sfdisk -q "$work/disk"
	dd if="$root/usr/lib/grub/i386-pc/boot.img" of="$work/disk" bs=440 count=1 conv=notrunc status=none
	dd if="$root/tmp/core.img" of="$work/disk" bs=512 seek=1 conv=notrunc status=none
	dd if="$work/part" of="$work/disk" bs=1M seek=1 conv=notrunc,sparse status=none
	dd if="$work/esp" of="$work/disk" bs=1M seek=$((size + 1)) conv=notrunc,sparse status=none
	qemu-img convert -q -f raw -O qcow2 "$work/disk" "$work/disk.qcow2"
	mkdir "$work/job"
	echo '. /lab/first; echo "== end"; sync; echo o >/proc/sysrq-trigger' >"$work/job/job"
	sh "$lab/pack.sh" "$work/job" "$work/job.tar"
	"$folder/build/tests/lab_board" "$lab/machines/intel-4060ti.machine" "$folder/disk.result" "$folder/disk.log" 1800 \
		disk "$work/disk.qcow2" "$work/job.tar"
	grep -q '^== end' "$folder/disk.result" || { tail -n 5 "$folder/disk.result" "$folder/disk.log" >&2; exit 1; }
	mv "$work/disk.qcow2" "$image"
fi
ln -sfn "$image" "$folder/disk${kind:+-$kind}"
