/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The journeys: each built-in machine under its own name, then machines that need other kinds of steps.
 */
#include "journey.h"

#include "plan/route.h"

/* ---- machines ------------------------------------------------------------------------------------ */

/* Somebody has the card's node open, so its driver cannot let go of it: an early bind, and a reboot. */
#define HELD(node) "process 2345 ffmpeg cgroup=/system.slice/ffmpeg.service open=" node "\n\tffmpeg\n"

/* ESPs whose free space can be seen, as proxmox-boot-tool has filled them. */
#define ESP_KERNEL(at, version)                                                                                        \
	"file " at "/loader/entries/proxmox-" version ".conf mode=0755\n"                                              \
	"\ttitle    Proxmox Virtual Environment\n\tversion  " version "\n"                                             \
	"\toptions  root=ZFS=rpool/ROOT/pve-1 boot=zfs\n"                                                              \
	"\tlinux    /EFI/proxmox/" version "/vmlinuz-" version "\n"                                                    \
	"\tinitrd   /EFI/proxmox/" version "/initrd.img-" version "\n"                                                 \
	"dir " at "/EFI/proxmox/" version "\nfile " at "/EFI/proxmox/" version "/vmlinuz-" version " mode=0755 size=14000000 stat\n"                       \
	"initramfs " at "/EFI/proxmox/" version "/initrd.img-" version " fresh\n"                                      \
	"\tmodule zfs spl nvme nvme_core ahci libahci xhci_pci xhci_hcd igc\n"
#define ESP(at)                                                                                                        \
	"dir " at "\ndir " at "/loader\ndir " at "/loader/entries\ndir " at "/EFI\ndir " at "/EFI/proxmox\n"               \
	"file " at "/loader/loader.conf\n\ttimeout 3\n\tdefault proxmox-*\n" ESP_KERNEL(at, "6.8.12-10-pve")           \
	        ESP_KERNEL(at, "6.8.12-9-pve")
#define ESPS_MOUNTED                                                                                                   \
	"append /proc/self/mounts\n"                                                                                   \
	"\t/dev/nvme0n1p2 /mnt/esp0 vfat rw,relatime,fmask=0022,dmask=0022 0 0\n"                                      \
	"\t/dev/nvme1n1p2 /mnt/esp1 vfat rw,relatime,fmask=0022,dmask=0022 0 0\n"                                      \
	"append /proc/self/mountinfo\n"                                                                                \
	"\t60 28 259:2 / /mnt/esp0 rw,relatime shared:90 - vfat /dev/nvme0n1p2 rw,fmask=0022,dmask=0022\n"             \
	"\t61 28 259:6 / /mnt/esp1 rw,relatime shared:91 - vfat /dev/nvme1n1p2 rw,fmask=0022,dmask=0022\n"             \
	ESP("/mnt/esp0") ESP("/mnt/esp1")                                                                              \
	"run df -Pk\n"                                                                                                 \
	"\tFilesystem       1024-blocks    Used Available Capacity Mounted on\n"                                       \
	"\trpool/ROOT/pve-1   461733120 9871232 451861888       3% /\n"                                                \
	"\t/dev/nvme0n1p2       1046512  214016    832496      21% /mnt/esp0\n"                                        \
	"\t/dev/nvme1n1p2       1046512  214016    832496      21% /mnt/esp1\n"

#define ON_VFIO                                                                                                        \
	"device 0000:00:02.0 8086:4690 class=030000 revision=0c subsystem=1043:8882 group=0 driver=vfio-pci "          \
	"boot_vga=0 reset=flr\nloaded vfio_pci\n"
#define VFIO_LINES(mark, id, driver)                                                                                   \
	"\t" mark "\n\toptions vfio-pci ids=" id "\n\tsoftdep " driver " pre: vfio-pci\n"                              \
	"initramfs /boot/initrd.img-6.8.12-10-pve fresh\n"                                                             \
	"\tmodule vfio_pci vfio_pci_core vfio_iommu_type1 vfio irqbypass i915 nouveau nvme nvme_core\n"
#define BOUND_EARLY "file /etc/modprobe.d/gpuferry.conf\n" VFIO_LINES("# gpuferry", "8086:4690", "i915")
#define NVIDIA_BOUND_EARLY "file /etc/modprobe.d/gpuferry.conf\n" VFIO_LINES("# gpuferry", "10de:2803", "nouveau")
#define FOREIGN_EARLY                                                                                                  \
	"file /etc/modprobe.d/blacklist-i915.conf\n\tblacklist i915\n"                                                 \
	"file /etc/modprobe.d/vfio.conf\n" VFIO_LINES("# by hand", "8086:4690,1234:5678", "i915")

/* As the guides for CTs have it: the nodes are made at every boot. */
#define UVM_BOOT                                                                                                       \
	"file /etc/modules-load.d/nvidia.conf\n\tnvidia-drm\n\tnvidia-uvm\nfile /etc/udev/rules.d/70-nvidia.rules\n"     \
	"\tACTION==\"add\", SUBSYSTEM==\"module\", KERNEL==\"nvidia_uvm\", RUN+=\"/usr/bin/nvidia-modprobe -c0 -u\"\n"
#define NVIDIA(version)                                                                                                \
	"device 0000:01:00.0 10de:2803 class=030000 revision=a1 subsystem=1043:88f5 parent=0000:00:01.0 group=20 "     \
	"boot_vga=0 driver=nvidia drm=card1,renderD129\nnvidia " version "\npackage nvidia-kernel-dkms 550.163.01-2\n"

#define APT_HEADERS                                                                                                    \
	"run apt-cache policy proxmox-headers-6.8.12-10-pve\n\tproxmox-headers-6.8.12-10-pve:\n"                       \
	"\t  Installed: (none)\n\t  Candidate: 6.8.12-10\n"
#define APT_DRIVER                                                                                                     \
	"run apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy nvidia-kernel-dkms "                \
	"nvidia-open-kernel-dkms\n\tnvidia-kernel-dkms:\n\t  Installed: (none)\n\t  Candidate: 535.247.01-1~deb12u1\n"
#define JASPER                                                                                                         \
	"device 0000:00:02.0 8086:4e55 class=030000 revision=01 subsystem=1043:8882 group=0 driver=i915 boot_vga=1 "   \
	"reset=flr drm=card0,renderD128\n"

/* ---- plans by hand ------------------------------------------------------------------------------- */

/* Kinds that no plan makes; exec and the rehearsal know them all the same. */
static void by_hand(const struct facts *facts, const struct goal *goal, struct arena *arena, struct plan *ret)
{
	static const struct step steps[] = {
		{ .kind = "package", .on = "node", .key = "nvidia-driver", .to = "installed" },
		{ .kind = "hold", .on = "node", .key = "nvidia-driver", .from = NONE, .to = "held" },
		{ .kind = "snapshot", .on = "vm/100", .key = "before-gpu", .from = NONE, .to = "taken" },
	};
	struct plan plan = { .gpu = "0000:01:00.0", .guest = "vm/100", .confirm_seconds = UNKNOWN_NUMBER };
	(void)facts;
	for (size_t i = 0; i < COUNT(steps); i++) {
		struct step *step = arena_push(arena, plan.steps, plan.n);
		*step = steps[i];
		step->because = "vm.hostpci";
		step->title = step->kind;
		step->interrupts = NONE;
		step->undo = plan_kind(step->kind)->undo;
	}
	plan.goal = plan_goal_text(goal, arena);
	plan.facts_digest = "";
	plan.digest = plan_own_digest(&plan, arena);
	*ret = plan;
}

/* ---- the table ----------------------------------------------------------------------------------- */

#define NEW_VM                                                                                                         \
	"gpu=nvidia into=vm/new new-storage=local-lvm new-disk=32G new-image=debian-12.qcow2 new-bridge=vmbr0 "        \
	"new-memory=4096 new-cores=4 new-ssh-key=/root/key.pub "                                                       \
	"new-sha256=ca2a89d796056d25cf2229dec7161ffd5144355d385f021e2b065fffe2563cbc"

const struct journey journeys[] = {
	{ "amd-4060ti", "base amd-4060ti\n", "gpu=nvidia into=vm/100" },
	{ "amd-4060ti-ready", "base amd-4060ti-ready\n", "gpu=nvidia into=vm/100", .still = true },
	{ "guide-wrong", "base guide-wrong\n", "gpu=intel into=vm/101", .still = true },
	{ "intel-uhd770-ct", "base intel-uhd770-ct\n", "gpu=intel into=ct/105" },
	{ "intel-ct-raw", "base intel-ct-raw\n", "gpu=intel into=ct/105 remove-raw-lxc=true" },
	{ "intel-uhd770-ct-ready", "base intel-uhd770-ct-ready\n", "gpu=intel into=ct/105", .still = true },
	{ "intel-zfs-a380", "base intel-zfs-a380\n", "gpu=0000:03:00.0 into=vm/101" },
	{ "iommu-off", "base iommu-off\n", "gpu=nvidia into=vm/100" },
	{ "pve9-mapping", "base pve9-mapping\n", "gpu=nvidia into=vm/100", .still = true },
	{ "shared-slot", "base shared-slot\n", "gpu=nvidia into=vm/100", .still = true },
	{ "single-gpu", "base single-gpu\n", "gpu=nvidia into=vm/100" },
	{ "twins", "base twins\n", "gpu=0000:01:00.0 into=vm/100" },

	{ "twins-early", "base twins\n" HELD("/dev/dri/renderD129"), "gpu=0000:01:00.0 into=vm/100" },
	{ "zfs-early", "base intel-zfs-a380\n" HELD("/dev/dri/renderD129") ESPS_MOUNTED,
	        "gpu=0000:03:00.0 into=vm/101" },
	{ "zfs-words",
	        "base intel-zfs-a380\niommu off remapping=1\nreplace /proc/cmdline boot=zfs \"boot=zfs intel_iommu=off\"\n"
	        "replace /etc/kernel/cmdline boot=zfs \"boot=zfs intel_iommu=off\"\n",
	        "gpu=0000:03:00.0 into=vm/101" },
	{ "ct-vfio", "base intel-uhd770-ct\n" ON_VFIO, "gpu=intel into=ct/105" },
	{ "ct-vfio-early", "base intel-uhd770-ct\n" ON_VFIO BOUND_EARLY, "gpu=intel into=ct/105" },
	{ "ct-group", "base intel-uhd770-ct-ready\nreplace /etc/pve/lxc/105.conf gid=106 gid=104\n",
	        "gpu=intel into=ct/105" },
	{ "ct-huc", "base intel-uhd770-ct\n" JASPER, "gpu=intel into=ct/105" },
	{ "ct-nvidia", "base intel-uhd770-ct\n" NVIDIA("550.163.01 nouvm"), "gpu=nvidia into=ct/105" },
	{ "ct-nvidia-headers",
	        "base intel-uhd770-ct\n" NVIDIA("550.163.01") UVM_BOOT "file /proc/sys/kernel/osrelease\n\t6.8.12-9-pve\n"
	        /* built for both kernels, as long as nobody upgrades */
	        "append /usr/lib/modules/6.8.12-10-pve/modules.alias\n"
	        "\talias pci:v000010DEd*sv*sd*bc03sc00i* nvidia\n"
	        APT_HEADERS,
	        "gpu=nvidia into=ct/105" },
	{ "ct-nouveau",
	        "base intel-uhd770-ct\n"
	        "device 0000:01:00.0 10de:2803 class=030000 revision=a1 subsystem=1043:88f5 parent=0000:00:01.0 group=20 "
	        "boot_vga=0 driver=nouveau drm=card1,renderD129\n"
	        APT_DRIVER APT_HEADERS,
	        "gpu=nvidia into=ct/105" },
	{ "ct-nvidia-vfio",
	        "base intel-uhd770-ct\n"
	        "device 0000:01:00.0 10de:2803 class=030000 revision=a1 subsystem=1043:88f5 parent=0000:00:01.0 group=20 "
	        "boot_vga=0 driver=vfio-pci\nloaded vfio_pci\n" NVIDIA_BOUND_EARLY
	        APT_DRIVER APT_HEADERS,
	        "gpu=nvidia into=ct/105" },
	{ "ct-foreign", "base intel-uhd770-ct\n" ON_VFIO FOREIGN_EARLY, "gpu=intel into=ct/105 accept=gpu.blacklist" },
	{ "mapping-new",
	        "base pve9-mapping\ndrop /etc/pve/qemu-server/100.conf hostpci0*\n"
	        "replace /etc/pve/mapping/pci.cfg node=pve node=other\nguest vm/100 stopped\n",
	        "gpu=nvidia into=vm/100" },
	{ "mapping-moved", "base pve9-mapping\nreplace /etc/pve/mapping/pci.cfg iommugroup=16 iommugroup=15\n"
	                   "guest vm/100 stopped\n",
	        "gpu=nvidia into=vm/100" },
	{ "affinity", "base amd-4060ti\n", "gpu=nvidia into=vm/100 affinity=0-3" },
	{ "new-vm",
	        "base amd-4060ti\nfile /var/lib/vz/template/iso/debian-12.qcow2 nonewline\n\tno image at all\n"
	        "file /root/key.pub\n\tssh-ed25519 AAAA me\n",
	        NEW_VM },
	{ "by-hand",
	        "base amd-4060ti\nrun apt-cache policy nvidia-driver\n\tnvidia-driver:\n\t  Installed: (none)\n"
	        "\t  Candidate: 550.163.01-2\n",
	        "gpu=nvidia into=vm/100", by_hand },
};
const size_t n_journeys = COUNT(journeys);
