#!/bin/sh
# base.sh FOLDER [PACKAGE...]: the Debian that the lab's disks begin with, made once and kept by what goes into it: systemd, GRUB (BIOS),
# initramfs-tools, and the packages. Prints its path: a tar.
set -eu
folder=$(realpath "$1")
suite=bookworm
packages=systemd-sysv,udev,dbus,kmod,linux-image-amd64,initramfs-tools,grub2-common,grub-pc-bin,grub-pc,pciutils
packages=$packages,busybox,iproute2,zstd,dosfstools
shift
for package; do packages=$packages,$package; done

base=$folder/disk-base-$(echo "$suite $packages" | sha256sum | cut -c1-16).tar
if [ ! -e "$base" ]; then
	echo "making a Debian for the lab's disks" >&2
	# shellcheck disable=SC2016
	mmdebstrap --quiet --variant=minbase --mode=root --aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--essential-hook='echo "grub-pc grub-pc/install_devices_empty boolean true" | chroot "$1" debconf-set-selections
			mkdir -p "$1/etc/initramfs-tools/conf.d"
			printf "MODULES=most\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n" >"$1/etc/initramfs-tools/conf.d/lab"' \
		--include="$packages" "$suite" "$base.new.tar" >"$folder/disk.log" 2>&1 || { tail -n 5 "$folder/disk.log" >&2; exit 1; }
	mv "$base.new.tar" "$base"
fi
echo "$base"
