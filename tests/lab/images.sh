#!/bin/sh
# images.sh FOLDER: the kernel and the initramfs of the lab's fast machine, made once and kept by what goes into them.
# FOLDER/kernel and FOLDER/initrd are links to them. Packages come as files through apt-get download; none is installed.
set -eu
folder=$(realpath "$1")
lab=$(cd "$(dirname "$0")" && pwd)
build=$folder/build
modules='vfio-pci vfio_iommu_type1 e1000'
programs='bind group'
names=/usr/share/misc/pci.ids
applets='sh mount ls cat echo modprobe readlink basename sleep poweroff dmesg grep sed cut mkdir stty head tail ln wc printf'

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
	for library in $(ldd "$tree"/bin/* 2>/dev/null | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
		case $library in
		*/ld-*) cp -L "$library" "$tree/lib64/" ;;
		*) cp -L "$library" "$tree/lib/" ;;
		esac
	done
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
	(cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$work/image"
	mv "$work/image" "$image"
fi
ln -sfn "$root/boot/vmlinuz-$version" "$folder/kernel"
ln -sfn "$image" "$folder/initrd"
