# shellcheck shell=sh disable=SC2154
# boots.sh, read by lab.sh: the computed boot held against real ones. Each boot of boots.txt is made on a copy of the root's
# settings, its initramfs by mkinitramfs itself; the prediction reads that disk, then a kernel boots it.

# boot NAME / machine NAME / words WORDS / file PATH [MODE] with its body / remove PATH / later / expect ADDRESS DRIVER
# -> FOLDER/NAME/{machine,words,expect,now/...,later/...,*.remove}
boots_split() { # FILE FOLDER
	awk -v folder="$2" '
		function made(path) { if (!(path in there)) { system("mkdir -p " path); there[path] = 1 } }
		function stop() { if (out != "") close(out); out = "" }
		/^#/ || /^[ \t]*$/ { if (out == "" || !/^\t/) next }
		/^\t/ { if (out == "") { print FILENAME ":" FNR ": a body of nothing" > "/dev/stderr"; exit 1 }
			print substr($0, 2) > out; next }
		{ stop() }
		$1 == "boot" { at = folder "/" $2; stage = "now"; made(at "/now"); made(at "/later"); next }
		$1 == "later" { stage = "later"; next }
		$1 == "machine" { print $2 > (at "/machine"); close(at "/machine"); next }
		$1 == "words" { sub(/^words */, ""); print > (at "/words"); close(at "/words"); next }
		$1 == "expect" { print $2, $3 >> (at "/expect"); close(at "/expect"); next }
		$1 == "remove" { print $2 >> (at "/" stage ".remove"); close(at "/" stage ".remove"); next }
		$1 == "file" && $2 ~ /^\/etc\/[A-Za-z0-9._\/@-]+$/ {
			out = at "/" stage $2; dir = out; sub(/\/[^\/]*$/, "", dir); made(dir)
			printf "" > out; close(out); system("chmod " ($3 == "" ? "644" : $3) " " out); next }
		{ print FILENAME ":" FNR ": not understood: " $0 > "/dev/stderr"; exit 1 }' "$1"
}
boots_rows() { # FOLDER: a row for lab.sh from each
	for boot in "$1"/*/; do
		boot=${boot%/}
		echo "${boot##*/} $(cat "$boot/machine") boot 180"
	done
}

# The settings of that moment, in the root at $1.
boots_settle() { # ROOT now|later
	for path in $(cat "$boots/$name/$2.remove" 2>/dev/null); do rm -rf "${1:?}$path"; done
	cp -a "$boots/$name/$2/." "$1/"
}
boots_run() {
	boots=$folder/boots
	words=$(cat "$boots/$name/words" 2>/dev/null)
	version=$(cat "$folder/root/version")
	root=$logs/$name.root
	cp -al "$folder/root/root" "$root"
	rm -rf "${root:?}/etc"
	cp -a "$folder/root/root/etc" "$root/etc"
	boots_settle "$root" now
	# its own mounts, gone with it
	# shellcheck disable=SC2016
	unshare --mount sh -euc 'mount -t proc proc "$1/proc"; chroot "$1" mkinitramfs -o "/boot/initrd.img-$2" "$2"' sh "$root" "$version" \
		>"$logs/$name.image" 2>&1 || wrong "mkinitramfs: $(tail -n 1 "$logs/$name.image")"
	boots_settle "$root" later
	mkdir -p "$root/boot/grub"
	printf 'menuentry "Debian" {\n\tlinux /boot/vmlinuz-%s root=/dev/vda ro %s\n\tinitrd /boot/initrd.img-%s\n}\n' \
		"$version" "$words" "$version" >"$root/boot/grub/grub.cfg"
	"$folder/build/tests/lab_predict" "$lab/machines/$machine.machine" "$root" "$version" >"$result.said" 2>"$logs/$name.err" ||
		wrong "no prediction: $(tail -n 1 "$logs/$name.err")"
	(
		cd "$root" || exit
		set -- etc/initramfs-tools
		for path in etc/modprobe.d etc/modules-load.d etc/modules etc/udev; do [ ! -e $path ] || set -- "$@" $path; done
		tar -cf "$logs/$name.tar" "$@"
	)
	truncate -s %512 "$logs/$name.tar"
	# shellcheck disable=SC2086
	board root "$(realpath "$folder/root/disk")" "$logs/$name.tar" "$folder/root/kernel" "$root/boot/initrd.img-$version" \
		init=/lab/init $words
	code=$?
	rm -rf --one-file-system "$root" "$logs/$name.tar"
	return $code
}

driven_by() { sed -n "s/^$1 \([^ ]*\) .*/\1/p" "$result.devices"; }
# Device by device: as predicted; one of those that race; untold, where the prediction says that it does not know; wrong.
judge_boot() {
	part devices >"$result.devices"
	sed -n 's/^\(0000:[0-9a-f:.]*\) \([^ ]*\).*/\1 \2/p' "$result.said" | while read -r address said; do
		real=$(driven_by "$address")
		case $said in
		"$real") verdict=agreed ;;
		race:*) case ",${said#race:}," in *",$real,"*) verdict=race ;; *) verdict=wrong ;; esac ;;
		unknown) verdict=untold ;;
		*) verdict=wrong ;;
		esac
		echo "$verdict $name $address ${real:-missing} $said"
	done >"$result.verdicts"
	[ -s "$result.verdicts" ] || wrong "nothing was predicted"
	while read -r _ _ address real said; do
		[ -z "$address" ] || wrong "$address is with $real, predicted was $said"
	done <<-END
		$(grep '^wrong' "$result.verdicts")
	END
	[ ! -e "$folder/boots/$name/expect" ] || while read -r address expected; do
		real=$(driven_by "$address")
		[ "$expected" = "$real" ] || [ "$expected" = race ] || echo "$name $address $real $expected" >>"$result.writer"
	done <"$folder/boots/$name/expect"
}

# Over all boots of this run: what became of the predictions, and of what the boots' writers expected.
boots_sum() { # NAME...
	for name in "$@"; do cat "$logs/$name.result.verdicts"; done 2>/dev/null |
		awk '{ n[$1]++ } END { printf "devices: %d as predicted, %d of those that were said to race, %d untold, %d otherwise\n",
			n["agreed"], n["race"], n["untold"], n["wrong"] }'
	for name in "$@"; do cat "$logs/$name.result.writer"; done 2>/dev/null |
		while read -r name address real expected; do echo "$name: $address is with $real, its writer expected $expected"; done
}
