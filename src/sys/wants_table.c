/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is asked of a machine that is not this one. A reader that asks for something else meets an unknown; a test holds
 * the readers against these tables. Directories of a pattern and the way to a path need no line of their own.
 */
#include "sys/wants.h"

/* What tells devices, drivers and modules; a node and a guest have it alike. */
#define WANTS_DEVICES                                                                                                  \
	{ WANT_FILE, "/sys/bus/pci/devices/*/vendor", NULL, 4096 },                                                    \
	        { WANT_FILE, "/sys/bus/pci/devices/*/device", NULL, 4096 },                                            \
	        { WANT_FILE, "/sys/bus/pci/devices/*/subsystem_vendor", NULL, 4096 },                                  \
	        { WANT_FILE, "/sys/bus/pci/devices/*/subsystem_device", NULL, 4096 },                                  \
	        { WANT_FILE, "/sys/bus/pci/devices/*/revision", NULL, 4096 },                                          \
	        { WANT_FILE, "/sys/bus/pci/devices/*/class", NULL, 4096 },                                             \
	        { WANT_FILE, "/sys/bus/pci/devices/*/config", NULL, 4096 },                                            \
	        { WANT_FILE, "/sys/bus/pci/devices/*/resource", NULL, 4096 },                                          \
	        { WANT_FILE, "/sys/bus/pci/devices/*/uevent", NULL, 4096 },                                            \
	        { WANT_FILE, "/sys/bus/pci/devices/*/modalias", NULL, 4096 },                                          \
	        { WANT_FILE, "/sys/bus/pci/devices/*/reset_method", NULL, 4096 },                                      \
	        { WANT_FILE, "/sys/bus/pci/devices/*/boot_vga", NULL, 4096 },                                          \
	        { WANT_FILE, "/sys/bus/pci/devices/*/power_state", NULL, 4096 },                                       \
	        { WANT_FILE, "/sys/bus/pci/devices/*/power/runtime_status", NULL, 4096 },                              \
	        { WANT_FILE, "/sys/bus/pci/devices/*/power/control", NULL, 4096 },                                     \
	        { WANT_FILE, "/sys/bus/pci/devices/*/d3cold_allowed", NULL, 4096 },                                    \
	        { WANT_STAT, "/sys/bus/pci/devices/*/mdev_supported_types" },                                          \
	        { WANT_STAT, "/sys/bus/pci/devices/*/nvidia" },                                                        \
	        { WANT_FILE, "/sys/bus/pci/devices/*/numa_node", NULL, 4096 },                                         \
	        { WANT_FILE, "/sys/bus/pci/devices/*/driver_override", NULL, 4096 },                                   \
	        { WANT_FILE, "/sys/bus/pci/devices/*/enable", NULL, 4096 },                                            \
	        { WANT_FILE, "/sys/bus/pci/devices/*/current_link_speed", NULL, 4096 },                                \
	        { WANT_FILE, "/sys/bus/pci/devices/*/current_link_width", NULL, 4096 },                                \
	        { WANT_FILE, "/sys/bus/pci/devices/*/max_link_speed", NULL, 4096 },                                    \
	        { WANT_FILE, "/sys/bus/pci/devices/*/max_link_width", NULL, 4096 },                                    \
	        { WANT_STAT, "/sys/bus/pci/devices/*/reset" }, { WANT_STAT, "/sys/bus/pci/devices/*/rom" },            \
	        { WANT_LINK, "/sys/bus/pci/devices/*/driver" }, { WANT_LINK, "/sys/bus/pci/devices/*/iommu_group" },   \
	        { WANT_LINK, "/sys/bus/pci/devices/*/physfn" }, { WANT_LINK, "/sys/bus/pci/drivers/*" },               \
	        { WANT_LINK, "/sys/bus/pci/drivers/vfio-pci/*" }, { WANT_LINK, "/sys/bus/*" },                         \
	        { WANT_FILE, "/sys/kernel/iommu_groups/*/type", NULL, 4096 },                                          \
	        { WANT_LINK, "/sys/kernel/iommu_groups/*/devices/*" }, { WANT_LINK, "/sys/class/iommu/*" },            \
	        { WANT_FILE, "/sys/class/iommu/*/intel-iommu/cap", NULL, 4096 },                                       \
	        { WANT_FILE, "/sys/class/iommu/*/intel-iommu/ecap", NULL, 4096 },                                      \
	        { WANT_FILE, "/sys/class/iommu/*/intel-iommu/version", NULL, 4096 },                                   \
	        { WANT_FILE, "/sys/class/iommu/*/amd-iommu/cap", NULL, 4096 },                                         \
	        { WANT_FILE, "/sys/class/iommu/*/amd-iommu/features", NULL, 4096 }, { WANT_LINK, "/sys/class/drm/*" }, \
	        { WANT_LINK, "/sys/class/drm/card*/device" }, { WANT_LINK, "/sys/class/drm/card*/device/driver" },     \
	        { WANT_LINK, "/sys/class/drm/renderD*/device" },                                                       \
	        { WANT_LINK, "/sys/class/drm/renderD*/device/driver" },                                                \
	        { WANT_FILE, "/sys/class/drm/card*/dev", NULL, 4096 },                                                 \
	        { WANT_FILE, "/sys/class/drm/renderD*/dev", NULL, 4096 },                                              \
	        { WANT_FILE, "/sys/class/drm/card*-*/status", NULL, 4096 }, { WANT_LINK, "/sys/class/graphics/*" },    \
	        { WANT_FILE, "/sys/class/graphics/fb*/name", NULL, 4096 },                                             \
	        { WANT_LINK, "/sys/class/graphics/fb*/device" },                                                       \
	        { WANT_FILE, "/sys/class/vtconsole/*/name", NULL, 4096 },                                              \
	        { WANT_FILE, "/sys/class/vtconsole/*/bind", NULL, 4096 },                                              \
	        { WANT_FILE, "/sys/class/tty/console/active", NULL, 4096 }, { WANT_LINK, "/sys/class/vfio-dev/*" },    \
	        { WANT_LINK, "/sys/class/vfio-dev/*/device" }, { WANT_STAT, "/dev/dri/*" },                            \
	        { WANT_LINK, "/dev/dri/by-path/*" }, { WANT_STAT, "/dev/nvidia*" },                                    \
	        { WANT_STAT, "/dev/nvidia-caps/*" }, { WANT_STAT, "/dev/vfio/*" },                                     \
	        { WANT_STAT, "/dev/vfio/devices/*" }, { WANT_STAT, "/dev/kfd" }, { WANT_STAT, "/dev/kvm" },            \
	        { WANT_FILE, "/proc/driver/nvidia/version", NULL, 4096 }, { WANT_FILE, "/proc/driver/nvidia/params" }, \
	        { WANT_FILE, "/proc/driver/nvidia/gpus/*/information", NULL, 65536 },                                  \
	        { WANT_FILE, "/proc/driver/nvidia/gpus/*/power", NULL, 65536 }, { WANT_FILE, "/proc/cmdline" },        \
	        { WANT_FILE, "/proc/version" }, { WANT_FILE, "/proc/cpuinfo", NULL, 2097152 },                         \
	        { WANT_FILE, "/proc/meminfo" }, { WANT_FILE, "/proc/modules" }, { WANT_FILE, "/proc/filesystems" },    \
	        { WANT_FILE, "/proc/sys/kernel/hostname" }, { WANT_FILE, "/proc/sys/kernel/osrelease" },               \
	        { WANT_LIST, "/sys/module" }, { WANT_FILE, "/sys/module/nvidia/version", NULL, 4096 },                 \
	        { WANT_FILE, "/sys/module/*/parameters/enable_guc", NULL, 4096 }, { WANT_FILE, "/etc/os-release" },    \
	        { WANT_FILE, "/etc/hostname" }, { WANT_FILE, "/etc/group" }, { WANT_LIST, "/sys/firmware" },           \
	        { WANT_LIST, "/sys/firmware/efi" },                                                                    \
	        { WANT_FILE, "/sys/firmware/efi/efivars/SecureBoot-*", NULL, 4096 },                                   \
	        { WANT_FILE, "/etc/modprobe.d/*" }, { WANT_FILE, "/run/modprobe.d/*" },                                \
	        { WANT_FILE, "/usr/local/lib/modprobe.d/*" }, { WANT_FILE, "/usr/lib/modprobe.d/*" },                  \
	{                                                                                                              \
		WANT_FILE, "/lib/modprobe.d/*"                                                                         \
	}

const struct want wants_node[] = {
	WANTS_DEVICES,
	/* how it boots */
	{ WANT_FILE, "/sys/firmware/efi/fw_platform_size", NULL, 4096 },
	{ WANT_FILE, "/sys/firmware/efi/efivars/Loader*", NULL, 4096 },
	{ WANT_FILE, "/sys/firmware/efi/efivars/Boot*", NULL, 4096 },
	{ WANT_FILE, "/sys/firmware/efi/efivars/SetupMode-*", NULL, 4096 },
	{ WANT_FILE, "/sys/firmware/efi/efivars/MokListRT-*" },
	{ WANT_FILE, "/sys/firmware/efi/mok-variables/MokListRT", NULL, 1048576 },
	{ WANT_FILE, "/var/lib/dkms/mok.pub", NULL, 16384 },
	{ WANT_LIST, "/sys/firmware/acpi/tables" },
	{ WANT_FILE, "/etc/default/grub" },
	{ WANT_FILE, "/etc/default/grub.d/*" },
	{ WANT_FILE, "/etc/kernel/*" },
	{ WANT_FILE, "/boot/grub/grub.cfg", NULL, 2097152 },
	{ WANT_FILE, "/boot/grub/grubenv" },
	{ WANT_STAT, "/boot/*" },
	{ WANT_FILE, "/etc/modules" },
	{ WANT_FILE, "/etc/modules-load.d/*" },
	{ WANT_FILE, "/run/modules-load.d/*" },
	{ WANT_FILE, "/usr/local/lib/modules-load.d/*" },
	{ WANT_FILE, "/usr/lib/modules-load.d/*" },
	{ WANT_FILE, "/lib/modules-load.d/*" },
	{ WANT_FILE, "/etc/initramfs-tools/*" },
	{ WANT_FILE, "/etc/initramfs-tools/conf.d/*" },
	{ WANT_FILE, "/etc/initramfs-tools/hooks/*" },
	{ WANT_FILE, "/etc/initramfs-tools/scripts/init-top/*" },
	{ WANT_FILE, "/etc/udev/rules.d/*" },
	{ WANT_LIST, "/etc/systemd/system" },
	{ WANT_LIST, "/etc/systemd/system/*.wants" },
	{ WANT_LIST, "/etc/systemd/system/*.requires" },
	{ WANT_FILE, "/proc/sys/kernel/random/boot_id", NULL, 4096 },
	{ WANT_RUN, "df -Pk" },
	{ WANT_EACH, "fsck.fat -n -v /dev/disk/by-uuid/{}", "!cat /etc/kernel/proxmox-boot-uuids" },
	{ WANT_FILE, "/lib/modules/*/modules.builtin" },
	{ WANT_LINK, "/lib/modules/*/build" },
	{ WANT_LINK, "/usr/src/*" },
	{ WANT_LINK, "/dev/disk/by-uuid/*" },
	{ WANT_FILE, "/etc/fstab" },
	{ WANT_FILE, "/proc/mounts" },
	{ WANT_FILE, "/proc/self/mountinfo" },
	/* what it cannot live without */
	{ WANT_LINK, "/sys/class/block/*" },
	{ WANT_LINK, "/sys/class/block/*/slaves/*" },
	{ WANT_FILE, "/sys/class/block/*/dm/name", NULL, 4096 },
	{ WANT_LINK, "/sys/dev/block/*" },
	{ WANT_LINK, "/dev/mapper/*" },
	{ WANT_LINK, "/dev/disk/by-id/*" },
	{ WANT_LINK, "/sys/class/net/*" },
	{ WANT_LIST, "/sys/class/net/*" },
	{ WANT_LIST, "/sys/class/net/*/brif" },
	{ WANT_LINK, "/sys/class/net/*/device" },
	{ WANT_LINK, "/sys/class/net/*/lower_*" },
	{ WANT_FILE, "/proc/net/route" },
	{ WANT_FILE, "/proc/net/ipv6_route" },
	{ WANT_FILE, "/proc/bus/input/devices" },
	{ WANT_FILE, "/proc/interrupts", NULL, 2097152 },
	{ WANT_FILE, "/proc/iomem" },
	{ WANT_FILE, "/etc/network/interfaces" },
	{ WANT_FILE, "/etc/network/interfaces.d/*" },
	/* who holds the devices */
	{ WANT_FILE, "/proc/[0-9]*/comm", NULL, 256 },
	{ WANT_FILE, "/proc/[0-9]*/cgroup", NULL, 4096 },
	{ WANT_LINK, "/proc/[0-9]*/fd/*" },
	{ WANT_FILE, "/sys/module/*/parameters/ids", NULL, 4096 },
	{ WANT_FILE, "/sys/module/*/parameters/disable_idle_d3", NULL, 4096 },
	{ WANT_FILE, "/sys/module/*/parameters/modeset", NULL, 4096 },
	/* Proxmox VE */
	{ WANT_LIST, "/etc/pve" },
	{ WANT_LINK, "/etc/pve/local" },
	{ WANT_FILE, "/etc/pve/.members" },
	{ WANT_FILE, "/etc/pve/storage.cfg", NULL, 1048576 },
	{ WANT_FILE, "/etc/pve/datacenter.cfg", NULL, 1048576 },
	{ WANT_FILE, "/etc/pve/mapping/*", NULL, 1048576 },
	{ WANT_FILE, "/etc/pve/ha/resources.cfg", NULL, 1048576 },
	{ WANT_FILE, "/etc/pve/qemu-server/*", NULL, 1048576 },
	{ WANT_FILE, "/etc/pve/lxc/*", NULL, 1048576 },
	{ WANT_FILE, "/etc/pve/nodes/*/qemu-server/*", NULL, 1048576 },
	{ WANT_FILE, "/etc/pve/nodes/*/lxc/*", NULL, 1048576 },
	{ WANT_STAT, "/usr/bin/pveversion" },
	{ WANT_FILE, "/run/qemu-server/*.pid", NULL, 4096 },
	{ WANT_FILE, "/proc/[0-9]*/cmdline", NULL, 65536 },
	{ WANT_FILE, "/proc/net/unix", NULL, 4194304 },
	{ WANT_FILE, "/var/lib/dpkg/status", NULL, 16777216 },
	{ WANT_RUN, "pveversion" },
	{ WANT_RUN, "qm list" },
	{ WANT_RUN, "pct list" },
	{ WANT_RUN, "proxmox-boot-tool kernel list" },
	{ WANT_EACH, "zpool list -vHP {}", "!zpool list -H -o name" },
	{ WANT_RUN, "dmesg", NULL, 4194304 },
	{ WANT_END },
};

const struct want wants_inside[] = {
	{ WANT_LIST, "/sys/firmware/acpi/tables" },
	WANTS_DEVICES,
	{ WANT_OPEN, "/dev/dri/renderD*" },
	{ WANT_FILE, "/proc/self/mountinfo" },
	{ WANT_FILE, "/proc/self/cgroup" },
	{ WANT_FILE, "/proc/self/status" },
	{ WANT_FILE, "/proc/interrupts", NULL, 2097152 },
	{ WANT_FILE, "/proc/iomem" },
	{ WANT_FILE, "/usr/lib/os-release" },
	{ WANT_LIST, "/lib/modules/*/kernel/drivers/gpu/drm" },
	/* NVIDIA's libraries, where distributions, its installer and its container toolkit put them: all names there */
	{ WANT_LINK, "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so*" },
	{ WANT_LINK, "/usr/lib/x86_64-linux-gnu/nvidia/current/libnvidia-ml.so*" },
	{ WANT_LINK, "/usr/lib/aarch64-linux-gnu/libnvidia-ml.so*" },
	{ WANT_LINK, "/usr/lib64/libnvidia-ml.so*" },
	{ WANT_LINK, "/usr/lib64/nvidia/libnvidia-ml.so*" },
	{ WANT_LINK, "/usr/lib/libnvidia-ml.so*" },
	{ WANT_LINK, "/usr/lib/nvidia/libnvidia-ml.so*" },
	{ WANT_LINK, "/usr/lib/nvidia/current/libnvidia-ml.so*" },
	{ WANT_LINK, "/usr/local/nvidia/lib64/libnvidia-ml.so*" },
	{ WANT_STAT, "/usr/lib/x86_64-linux-gnu/dri/*" },
	{ WANT_FILE, "/etc/docker/daemon.json" },
	{ WANT_FILE, "/etc/cdi/*" },
	{ WANT_FILE, "/var/run/cdi/*" },
	{ WANT_FILE, "/etc/nvidia-container-runtime/config.toml" },
	{ WANT_LINK, "/dev/char/*" },
	{ WANT_LIST, "/snap/bin" },
	{ WANT_LIST, "/snap/docker" },
	{ WANT_STAT, "/usr/bin/docker" },
	{ WANT_STAT, "/snap/bin/docker" },
	{ WANT_STAT, "/usr/bin/nvidia-smi" },
	{ WANT_STAT, "/usr/bin/nvidia-ctk" },
	{ WANT_STAT, "/usr/bin/nvidia-container-runtime" },
	{ WANT_FILE, "/var/lib/dpkg/status", NULL, 16777216 },
	{ WANT_RUN, "nvidia-smi", NULL, 1048576 },
	{ WANT_RUN, "nvidia-ctk --version" },
	{ WANT_RUN, "dmesg", NULL, 4194304 },
	{ WANT_RUN, "docker info --format " WANTS_DOCKER_INFO, NULL, 1048576 },
	{ WANT_RUN, "docker ps --all --quiet --no-trunc" },
	{ WANT_EACH, "docker inspect --format " WANTS_DOCKER_INSPECT " {*}", "!docker ps --all --quiet --no-trunc",
	        4194304 },
	{ WANT_EACH, "vainfo --display drm --device /dev/dri/{}", "/dev/dri/renderD*" },
	{ WANT_EACH, "/usr/lib/jellyfin-ffmpeg/vainfo --display drm --device /dev/dri/{}", "/dev/dri/renderD*" },
	{ WANT_END },
};
