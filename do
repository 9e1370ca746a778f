#!/bin/sh
# gpuferry's own tasks; `./do` alone lists them. Installs what a task needs through apt and builds in build*/.
set -eu
cd "$(dirname "$0")"

build_packages="gcc meson ninja-build pkg-config libjansson-dev libarchive-dev libmd-dev libyaml-dev libpci-dev libsmartcols-dev libmicrohttpd-dev scdoc pci.ids"
test_packages="ffmpeg vainfo libva-dev mesa-vulkan-drivers jq perl libjson-xs-perl qemu-guest-agent libcmocka-dev libkmod-dev pciutils busybox dash openssh-server openssh-client prometheus strace cpio gzip zstd xz-utils util-linux dosfstools libopenh264-dev"
check_packages="clang libclang-rt-dev clang-tidy cppcheck shellcheck mandoc git mmdebstrap util-linux"
deb_packages="build-essential debhelper lintian"
lab_packages="qemu-system-x86 qemu-utils pciutils pci.ids busybox cpio kmod make linux-headers-amd64 jq mmdebstrap fdisk e2fsprogs dosfstools ovmf"

say() { printf '%s\n' "$*" >&2; }

# Installs the packages that are missing, and only then asks the package server. Daemons that come along (sshd,
# Prometheus) are not started by it.
need() {
	missing=
	for package in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
		installed) ;;
		*) missing="$missing $package" ;;
		esac
	done
	[ -n "$missing" ] || return 0
	root=
	[ "$(id -u)" = 0 ] || root=sudo
	say "installing:$missing"
	log=$(mktemp)
	# shellcheck disable=SC2086
	if $root apt-get update -qq >"$log" 2>&1 &&
		$root env DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1; then
		rm -f "$log"
	else
		tail -n 15 "$log" >&2
		say "apt-get failed; its whole output is in $log"
		return 1
	fi
}

# configure FOLDER OPTION...: once; what meson says is only of use when it fails.
configure() {
	folder=$1
	shift
	[ -f "$folder/build.ninja" ] || output=$(meson setup "$folder" "$@" 2>&1) || { printf '%s\n' "$output" >&2; return 1; }
}

# build FOLDER OPTION...: configures once, then builds.
build() {
	# shellcheck disable=SC2086
	need $build_packages
	configure "$@" || return 1
	[ -e "$folder/gpuferry" ] || say "building in $folder/"
	output=$(ninja -C "$folder" --quiet 2>&1) || { printf '%s\n' "$output" >&2; return 1; }
}

release() { build build-release --buildtype=release -Db_lto=false -Dtests=false; }

show() { # what it is about; then a command as a person would type it, and what it prints
	printf '\n# %s\n' "$1"
	shift
	printf '$ gpuferry %s\n\n' "$*"
	./build-release/gpuferry "$@" || printf '(exit %s)\n' "$?"
}

task_demo() { # the whole journey, rehearsed on a copy of a built-in machine
	release
	show "From the host into the VM and back, on a copy of a machine: no real one is touched" rehearse amd-4060ti
	show "The IOMMU is off: one reboot, and a change that must be confirmed" \
		rehearse --quiet iommu-off
	show "A step fails: everything is taken back" rehearse --quiet --fail config amd-4060ti
	show "The power goes in the middle: it goes on" rehearse --quiet --cut 30 amd-4060ti
	show "A container needs far less" plan --machine intel-uhd770-ct --gpu intel --into ct/105
	show "A board on which the card would take the network card along: refused" \
		plan --machine shared-slot --gpu nvidia --into vm/100
	show "This machine" inspect
	printf '\nMore machines: ./build-release/gpuferry --print machines\nTo install it: ./do install, or ./do deb\n'
}

task_test() { # all tests, with sanitizers
	# shellcheck disable=SC2086
	need $build_packages $test_packages
	build build -Db_sanitize=address,undefined -Db_lundef=false
	code=0
	meson test -C build --no-rebuild --print-errorlogs "$@" >build/test-output.txt 2>&1 || code=$?
	cat build/test-output.txt
	sh tests/count.sh build/meson-logs/testlog.txt || code=1
	return $code
}

task_check() { # static checks, fuzzing for a fixed count, the slow tests, Debian 13
	# shellcheck disable=SC2086
	need $build_packages $test_packages $check_packages
	sh tests/check.sh "$@"
}

task_gpu() { # what only a GPU can show; skipped where there is none. GPUFERRY_FFMPEG names another ffmpeg
	need ffmpeg jq
	release
	GPUFERRY=build-release/gpuferry sh tests/gpu.sh >build-release/gpu.txt 2>&1
	cat build-release/gpu.txt
	sh tests/count.sh build-release/gpu.txt || ! grep -q '^not ok' build-release/gpu.txt
}

task_bench() { # ratios in one run: ./do bench inspect, plan, serve, transcode, tone
	# shellcheck disable=SC2086
	need $build_packages libcmocka-dev pciutils hyperfine time dash ffmpeg jq
	sh tests/bench.sh "$@"
}

task_docs() { # rewrites what is printed: docs/rules.md and docs/metrics.md from the tables, the README's examples
	release
	./build-release/gpuferry --print rules >docs/rules.md
	./build-release/gpuferry --print metrics >docs/metrics.md
	sh tests/readme-update.sh ./build-release/gpuferry
}

lab_build() {
	# shellcheck disable=SC2086
	need $build_packages $lab_packages libcmocka-dev libkmod-dev
	mkdir -p build-lab
	configure build-lab/build --buildtype=release
	ninja -C build-lab/build --quiet gpuferry tests/lab_board tests/lab_quarantine.so tests/lab_bind tests/lab_group tests/lab_pve tests/lab_predict \
		tests/lab_replay
	case ${1-} in fast | boots | some) return ;; esac
	task_deb # what the full machine installs
	cp build-deb/gpuferry_*.deb build-lab/gpuferry.deb
}

lab_run() { sh tests/lab/lab.sh build-lab "$@" || lab_failed=1; }

task_lab() { # a real kernel in QEMU: ./do lab [fast | long [SEED] | full, boots [PATTERN] | cuts, some SEED [N]]
	lab_failed=0
	case ${1-} in
	'' | fast | long | full | boots | cuts | some) lab_build "${1-}" ;;
	*) say "./do lab, or with: fast, long [SEED], full|boots [PATTERN], cuts|some SEED [N]: docs/lab.md says what each runs"; return 2 ;;
	esac
	case ${1-} in
	'')
		lab_run fast
		lab_run full '^whole '
		lab_run cuts 1 4
		lab_run some 1 12
		;;
	long)
		lab_run cuts "${2:-1}" 30
		lab_run some "${2:-1}" 60
		;;
	*) lab_run "$@" ;;
	esac
	return $lab_failed
}

task_deb() { # the Debian package, in build-deb/
	# shellcheck disable=SC2086
	need $build_packages $deb_packages
	rm -rf build-deb
	mkdir -p build-deb/gpuferry
	if [ -e .git ] && command -v git >/dev/null; then
		git archive HEAD # what is committed
	else
		tar -c --exclude='./build*' --exclude=./.git .
	fi | tar -x -C build-deb/gpuferry
	(cd build-deb/gpuferry && dpkg-buildpackage -us -uc -b >../build.log 2>&1) || { tail -n 30 build-deb/build.log; return 1; }
	lintian --allow-root --fail-on warning build-deb/*.deb
	say "to install: apt install ./$(ls build-deb/gpuferry_*.deb)"
}

task_install() { # builds and installs on this machine, under /usr/local
	release
	root=
	[ "$(id -u)" = 0 ] || root=sudo
	$root meson install -C build-release --no-rebuild
}

task=${1-}
case $task in
demo | test | check | gpu | bench | docs | lab | deb | install)
	shift
	"task_$task" "$@"
	;;
*)
	sed -n 's/^task_\([a-z]*\)() { # \(.*\)/\1	\2/p' "$0" | sort | awk -F'\t' '{ printf "./do %-9s %s\n", $1, $2 }'
	[ -z "$task" ] || { say "$task: no such task"; exit 2; }
	;;
esac
