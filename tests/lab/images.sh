#!/bin/sh
# images.sh FOLDER: the kernel and the initramfs of the lab's fast machine, made once and kept by what goes into them.
# FOLDER/kernel and FOLDER/initrd are links to them; FOLDER/initrd-nested has a QEMU besides, for a guest of the machine's
# own. Packages come as files through apt-get download; none is installed.
set -eu
folder=$(realpath "$1")
lab=$(cd "$(dirname "$0")" && pwd)
build=$folder/build
modules='vfio-pci vfio_iommu_type1 e1000'
programs='bind group'
names=/usr/share/misc/pci.ids
applets='sh mount ls cat echo modprobe readlink basename sleep poweroff dmesg grep sed cut mkdir stty head tail ln wc printf'

# copy_libraries TREE PROGRAM...: what these need, where the first program looks for it.
copy_libraries() {
	to=$1
	shift
	for library in $(ldd "$@" 2>/dev/null | grep -o '/[^ ]*\.so[^ :]* (' | cut -d' ' -f1 | sort -u); do
		case $library in
		*/ld-*) cp -L "$library" "$to/lib64/" ;;
		*) cp -L "$library" "$to/lib/" ;;
		esac
	done
}
pack() { (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet | gzip -1); }

package=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
version=${package#linux-image-}
[ -d "/usr/src/linux-headers-$version" ] || { echo "the headers of $version are not installed" >&2; exit 1; }
if [ ! -e "$folder/$package/done" ]; then
	echo "unpacking $package" >&2
	rm -rf "${folder:?}/$package"
	mkdir -p "$folder/$package/root"
	(cd "$folder/$package" && apt-get -qq -o APT::Sandbox::User=root download "$package" && dpkg-deb -x ./*.deb root && rm ./*.deb)
	depmod -b "$folder/$package/root" "$version"
	: >"$folder/$package/done"
fi
root=$folder/$package/root

sum=$({ cat "$lab"/init.in.sh "$lab"/jobs/* "$lab"/module/fast/* "$lab/images.sh" "$build/gpuferry" /usr/bin/lspci $names
	for program in $programs; do cat "$build/tests/lab_$program"; done
	echo "$package"; } | sha256sum | cut -c1-16)
image=$folder/initrd-$sum
if [ ! -e "$image" ]; then
	echo "making the initramfs" >&2
	work=$(mktemp -d "$folder/work.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work/module"
	cp "$lab"/module/fast/* "$work/module/"
	make -s -C "/usr/src/linux-headers-$version" M="$work/module" modules >"$folder/module.log" 2>&1 ||
		{ tail -n 5 "$folder/module.log" >&2; exit 1; }
	tree=$work/tree
	mkdir -p "$tree/bin" "$tree/lib/modules/$version/extra" "$tree/proc" "$tree/sys" "$tree/dev" "$tree/tmp" "$tree/jobs" \
		"$tree/etc" "$tree/lib64"
	cp /bin/busybox "$tree/bin/"
	for applet in $applets; do ln -s busybox "$tree/bin/$applet"; done
	cp "$build/gpuferry" /usr/bin/lspci "$tree/bin/"
	mkdir -p "$tree${names%/*}"
	cp "$names" "$tree$names"
	for program in $programs; do cp "$build/tests/lab_$program" "$tree/bin/$program"; done
	cp "$lab"/jobs/* "$tree/jobs/"
	cp "$lab/init.in.sh" "$tree/init"
	chmod 755 "$tree/init"
	copy_libraries "$tree" "$tree"/bin/*
	for module in $modules; do
		modprobe -d "$root" -S "$version" --show-depends "$module" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p'
	done | sort -u | while read -r file; do
		to=$tree/${file#"$root/"}
		mkdir -p "${to%/*}"
		cp "$file" "$to"
	done
	cp "$work/module/lab_gpu.ko" "$tree/lib/modules/$version/extra/"
	cp "$root/lib/modules/$version"/modules.order "$root/lib/modules/$version"/modules.builtin* "$tree/lib/modules/$version/"
	depmod -b "$tree" "$version"
	pack "$tree" >"$work/image"
	mv "$work/image" "$image"
fi
ln -sfn "$root/boot/vmlinuz-$version" "$folder/kernel"
ln -sfn "$image" "$folder/initrd"

# the kernel reads one archive behind the other
emulator=/usr/bin/qemu-system-x86_64 accelerator=/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so
firmware='/usr/share/seabios/bios-256k.bin /usr/share/qemu/kvmvapic.bin'
# shellcheck disable=SC2086
sum=$({ cat "$lab/nested.sh" "$image" $emulator $accelerator $firmware; } | sha256sum | cut -c1-16)
nested=$folder/initrd-nested-$sum
if [ ! -e "$nested" ]; then
	echo "making the initramfs with a QEMU" >&2
	work=$(mktemp -d "$folder/work.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work/lib" "$work/lib64" "$work/bin"
	for file in $emulator $accelerator $firmware; do
		mkdir -p "$work${file%/*}"
		cp -L "$file" "$work$file"
	done
	cp "$lab/nested.sh" "$work/bin/nested"
	chmod 755 "$work/bin/nested"
	copy_libraries "$work" $emulator $accelerator
	{ cat "$image"; pack "$work"; } >"$nested.new"
	mv "$nested.new" "$nested"
fi
ln -sfn "$nested" "$folder/initrd-nested"
