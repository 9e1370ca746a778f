/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The rules on whole machines: a text becomes a recording, is read by every reader, and is asked. What each rule says
 * to facts made by hand stands in test_rules.c; here it must come out of files, commands and sysfs.
 */
#include "plan/plan.h"
#include "rehearse/machine.h"
#include "rules/rules.h"
#include "test.h"

#define OK VERDICT_OK
#define WARN VERDICT_WARN
#define BROKEN VERDICT_BROKEN
#define NOT_KNOWN VERDICT_UNKNOWN

#define READY "base amd-4060ti-ready\n"
#define BARE_NODE "base amd-4060ti\n"
#define CT "base intel-uhd770-ct-ready\n"
#define VM_FILE "/etc/pve/qemu-server/100.conf"
#define CT_FILE "/etc/pve/lxc/105.conf"
#define VIRTIO "device 0000:05:00.0 1af4:1050 class=038000 group=40 driver=virtio-pci drm=card1,renderD129\n"
#define TO_VM "gpu=nvidia into=vm/100"
#define TO_CT "gpu=intel into=ct/105"

static const struct chain_case {
	const char *rule;
	const char *goal; /* "gpu=nvidia into=vm/100"; "": the machine's own guests */
	enum verdict verdict;
	const char *says; /* in why or cure */
	const char *machine;
} cases[] = {
	{ "node.firmware-iommu", "", OK, "IVRS", READY },
	{ "node.firmware-iommu", "", BROKEN, "CBS", READY "iommu off tables=none\n" },
	{ "node.iommu", "", OK, "ivhd0", READY },
	{ "node.iommu", "gpu=nvidia into=vm/100", BROKEN, "intel_iommu=off", "base iommu-off\n" },
	{ "node.interrupt-remapping", "", OK, NULL, READY },
	{ "node.interrupt-remapping", "", BROKEN, "Failed to set iommu", READY "iommu amd remapping=0\n" },
	{ "node.boot-file", "", OK, "GRUB", READY },
	{ "node.boot-file", "", WARN, "/etc/default/grub, which systemd-boot does not read", "base guide-wrong\n" },
	{ "node.boot-file", "gpu=intel into=vm/101", BROKEN, "/etc/kernel/cmdline",
	        "base guide-wrong\niommu off tables=DMAR\n" },
	{ "node.boot-pending", "", OK, NULL, READY },
	{ "node.boot-pending", "", WARN, "update-grub", READY "replace /etc/default/grub quiet \"quiet iommu=pt\"\n" },
	{ "node.dead-words", "", WARN, "amd_iommu=on",
	        READY "replace /proc/cmdline quiet \"quiet amd_iommu=on video=efifb:off\"\n" },
	{ "node.virqfd", "", OK, NULL, READY },
	{ "node.virqfd", "", WARN, "/etc/modules line 5", "base guide-wrong\n" },
	{ "node.next-kernel", "", OK, "6.8.12-10-pve", READY },
	{ "node.next-kernel", "", WARN, "6.8.12-9-pve boots next",
	        READY "replace /boot/grub/grub.cfg 6.8.12-10-pve 6.8.12-9-pve all\n" },
	{ "node.initramfs", "", OK, NULL, READY },
	{ "node.initramfs", "", WARN, "blacklist i915", "base guide-wrong\n" },
	{ "node.esp-copy", "", NOT_KNOWN, "not mounted", "base guide-wrong\n" },
	{ "gpu.encoder", "", OK, "Ada Lovelace", READY },
	{ "gpu.encoder", "", BROKEN, "no video encoder", READY "device 0000:01:00.0 10de:1d01\n" },
	{ "gpu.acs", "", OK, NULL, READY },
	{ "gpu.acs", "", BROKEN, "pcie_acs_override=downstream",
	        READY "replace /proc/cmdline quiet \"quiet pcie_acs_override=downstream\"\n" },
	{ "gpu.group-needs", "", OK, NULL, READY },
	{ "gpu.group-needs", "gpu=nvidia into=vm/100", BROKEN, "vmbr0 over enp5s0", "base shared-slot\n" },
	{ "gpu.group", "", OK, "12", READY },
	{ "gpu.group", "", BROKEN, "0000:0b:00.0", READY "device 0000:0b:00.0 group=12\n" },
	{ "gpu.only-console", "", OK, NULL, READY },
	{ "gpu.only-console", "gpu=auto into=vm/100", WARN, "over the network", "base single-gpu\n" },
	{ "gpu.twins", "", OK, NULL, READY },
	{ "gpu.twins", "gpu=0000:01:00.0 into=vm/100", WARN, "0000:0e:00.0",
	        "base twins\nfile /etc/modprobe.d/vfio.conf\n\toptions vfio-pci ids=10de:2504\n" },
	{ "gpu.early-bind", "", OK, "binds it when the VM starts", READY },
	{ "gpu.early-bind", "", WARN, "softdep nouveau pre: vfio-pci",
	        READY "file /etc/modprobe.d/vfio.conf\n\toptions vfio-pci ids=10de:2803,10de:22bd\n" },
	{ "gpu.builtin-vfio", "", WARN, "vfio-pci.ids=10de:2803",
	        READY
	        "file /etc/modprobe.d/vfio.conf\n\toptions vfio-pci ids=10de:2803\n"
	        "append /usr/lib/modules/6.8.12-10-pve/modules.builtin\n\tkernel/drivers/vfio/pci/vfio-pci.ko\n" },
	{ "gpu.audio", "", OK, NULL, READY },
	{ "gpu.audio", "", WARN, "snd_hda_intel", READY "device 0000:01:00.1 driver=snd_hda_intel\n" },
	{ "gpu.boot-framebuffer", "", OK, NULL, READY },
	{ "gpu.boot-framebuffer", "", BROKEN, "BOOTFB",
	        READY "device 0000:01:00.0 bar1=d0000000-dfffffff:pref\n"
	              "framebuffer fb1 \"EFI VGA\" d0000000-d02fffff BOOTFB\n" },
	{ "gpu.reset", "", OK, "flr bus", READY },
	{ "gpu.reset", "", WARN, "no way to reset", READY "device 0000:01:00.0 reset=\n" },
	{ "gpu.reset-bug", "", WARN, "Blackwell", READY "device 0000:01:00.0 10de:2d04\n" },
	{ "gpu.power", "", WARN, "D3cold", READY "device 0000:01:00.0 power=D3cold\nguest vm/100 stopped\n" },
	{ "gpu.not-vfio", "", OK, NULL, CT },
	{ "gpu.not-vfio", "", BROKEN, "no /dev/dri", CT "device 0000:00:02.0 driver=vfio-pci\n" },
	{ "gpu.nomodeset", "", BROKEN, "nomodeset", CT "replace /proc/cmdline quiet \"quiet nomodeset\"\n" },
	{ "gpu.blacklist", "", WARN, "i915 and xe",
	        CT "unknown /boot/initrd.img-6.8.12-10-pve\n"
	           "file /etc/modprobe.d/gpu.conf\n\tblacklist i915\n\tblacklist xe\n" },
	{ "gpu.next-boot", "", OK, "Proxmox takes it", READY },
	{ "gpu.next-boot", "", OK, "vfio-pci",
	        READY "file /etc/modprobe.d/vfio.conf\n\toptions vfio-pci ids=10de:2803,10de:22bd\n"
	              "\tsoftdep nouveau pre: vfio-pci\n" },
	{ "gpu.next-boot", "gpu=nvidia into=vm/100", BROKEN, "the initramfs is older than /etc/modprobe.d/vfio.conf",
	        "base amd-4060ti\ndevice 0000:01:00.0 boot_vga=1 fb=fb1:nouveaudrmfb\ndevice 0000:0c:00.0 boot_vga=0\n"
	        "file /etc/modprobe.d/vfio.conf\n\toptions vfio-pci ids=10de:2803,10de:22bd\n"
	        "\tsoftdep nouveau pre: vfio-pci\n"
	        "initramfs /boot/initrd.img-6.8.12-10-pve mtime=1600000000\n\tscript init-top/udev\n"
	        "\tmodule nouveau vfio_pci snd_hda_intel\n" },
	{ "gpu.next-boot", "", NOT_KNOWN, "initrd.img", READY "unknown /boot/initrd.img-6.8.12-10-pve\n" },
	{ "gpu.next-boot", "", OK, "i915", CT },
	{ "gpu.next-boot", "", BROKEN, "i915 is blacklisted in /etc/modprobe.d/gpu.conf",
	        CT "file /etc/modprobe.d/gpu.conf\n\tblacklist i915\n" },
	{ "node.next-iommu", "", OK, NULL, READY },
	{ "node.next-iommu", "", BROKEN, "amd_iommu=off",
	        READY "replace /boot/grub/grub.cfg \"ro  quiet\" \"ro  quiet amd_iommu=off\" all\n" },
	{ "gpu.driver", "", OK, "i915", CT },
	/* a card that no table knows: its render node tells that a driver has taken it */
	{ "gpu.driver", "gpu=0000:05:00.0 into=ct/105", OK, "virtio-pci has the card, and /dev/dri/renderD129", CT VIRTIO },
	{ "gpu.driver", "gpu=0000:05:00.0 into=ct/105", NOT_KNOWN, "not in the table",
		CT "device 0000:05:00.0 1af4:1050 class=038000 group=40 driver=\n" },
	{ "vm.known", "", OK, "emby", READY },
	{ "vm.lock", "", WARN, "backup", READY "replace " VM_FILE " \"memory:\" \"lock: backup\\nmemory:\"\n" },
	{ "vm.address", "", OK, NULL, READY },
	{ "vm.address", "", BROKEN, "no such device", READY "replace " VM_FILE " 0000:01:00 0000:0f:00\n" },
	{ "vm.address", "gpu=nvidia into=vm/100", BROKEN, "which the node lives on",
	        READY "replace " VM_FILE " 0000:01:00 0000:02:00\n" },
	{ "vm.mapping", "", OK, NULL, "base pve9-mapping\n" },
	{ "vm.hostpci", "gpu=nvidia into=vm/100", OK, NULL, READY },
	{ "vm.hostpci", "gpu=nvidia into=vm/100", BROKEN, "qm set 100 --hostpci0 0000:01:00.0", "base amd-4060ti\n" },
	{ "vm.by-address", "", WARN, "hostpci0", READY },
	{ "vm.by-address", "", OK, NULL, "base pve9-mapping\n" },
	{ "vm.one-holder", "", OK, NULL, READY },
	{ "vm.one-holder", "", WARN, "vm/102",
	        READY "file /etc/pve/qemu-server/102.conf\n\thostpci0: 01:00\n\tmemory: 2048\nguest vm/102 stopped\n" },
	{ "vm.pcie", "", BROKEN, "pcie=1", READY "replace " VM_FILE " 0000:01:00 0000:01:00,pcie=1\n" },
	{ "vm.legacy-igd", "", BROKEN, "not with machine q35", "base guide-wrong\n" },
	{ "vm.igpu", "", WARN, "Alder Lake", "base guide-wrong\n" },
	{ "vm.x-vga", "", WARN, NULL, "base guide-wrong\n" },
	{ "vm.rom", "", WARN, "vbios.rom", READY "replace " VM_FILE " 0000:01:00 0000:01:00,romfile=vbios.rom\n" },
	{ "vm.args", "", WARN, "second -cpu", "base guide-wrong\n" },
	{ "vm.hidden", "", WARN, "kvm=off", "base guide-wrong\n" },
	{ "vm.display", "", WARN, "vga: none", "base guide-wrong\n" },
	{ "vm.address-width", "", WARN, "39", "base pve9-mapping\n" },
	{ "vm.hugepages", "", BROKEN, "--numa 1", "base guide-wrong\n" },
	{ "vm.balloon", "", OK, NULL, READY },
	{ "vm.balloon", "", WARN, NULL, READY "drop " VM_FILE " balloon*\n" },
	{ "vm.memory", "", OK, NULL, READY },
	{ "vm.memory", "", BROKEN, "65536 MiB", READY "replace " VM_FILE " \"memory: 16384\" \"memory: 65536\"\n" },
	{ "vm.machine-switched", "", WARN, "before-gpu", "base guide-wrong\n" },
	{ "vm.snapshot-storage", "", OK, NULL, READY },
	{ "vm.snapshot-storage", "", WARN, "scsi0 lies on local",
	        READY "replace " VM_FILE " local-lvm:vm-100-disk-0 local:100/vm-100-disk-0.raw\n" },
	{ "vm.pending", "", WARN, "cores", READY "append " VM_FILE "\n\t\n\t[PENDING]\n\tcores: 4\n" },
	{ "vm.ha", "", WARN, "ha-manager", READY "file /etc/pve/ha/resources.cfg\n\tvm: 100\n\t\tstate started\n" },
	{ "vm.onboot", "", WARN, "--onboot 1", READY "drop " VM_FILE " onboot*\n" },
	{ "vm.agent", "", WARN, "--agent 1", READY "drop " VM_FILE " agent*\n" },
	{ "ct.node", "", OK, NULL, CT },
	{ "ct.node", "gpu=intel into=ct/105", BROKEN, "pct exec 105 -- getent group render", "base intel-uhd770-ct\n" },
	{ "ct.node-exists", "gpu=intel into=ct/105", BROKEN, "renderD129",
	        CT "replace " CT_FILE " renderD128 renderD129\n" },
	/* a plan said "as wished" to each of these */
	{ "ct.node", TO_CT, BROKEN, "not the node that encoders open", CT "replace " CT_FILE " renderD128 card0\n" },
	{ "ct.gid", TO_CT, BROKEN, "is nobody inside", CT "replace " CT_FILE " \"dev0: /dev/dri/renderD128,gid=106\" "
	        "\"lxc.cgroup2.devices.allow: c 226:128 rwm\\n"
	        "lxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD128 none bind,optional,create=file\"\n" },
	{ "vm.given-once", TO_VM, BROKEN, "hostpci1 (0000:01:00) gives 0000:01:00 once more",
	        READY "append " VM_FILE "\n\thostpci1: 0000:01:00\n" },
	{ "vm.mdev", TO_VM, BROKEN, "offers none", READY "replace " VM_FILE " 0000:01:00 0000:01:00,mdev=nvidia-63\n" },
	{ "vm.mdev", TO_VM, OK, "offers some", READY "replace " VM_FILE " 0000:01:00 0000:01:00,mdev=nvidia-63\n"
	        "device 0000:01:00.0 driver=nvidia\ndir /sys/bus/pci/devices/0000:01:00.0/mdev_supported_types\n" },
	{ "vm.args", TO_VM, BROKEN, "cannot open it twice", READY "append " VM_FILE "\n\targs: -device vfio-pci,host=01:00.0\n" },
	{ "vm.args", TO_VM, BROKEN, "which nouveau has", BARE_NODE "append " VM_FILE "\n\targs: -device vfio-pci,host=01:00.0\n" },
	{ "vm.hostpci", TO_VM, WARN, "started without", READY "guest vm/100 running pid=1810 open=/dev/kvm\n" },
	{ "ct.privileged", TO_CT, WARN, "takes it for yes", CT "replace " CT_FILE " \"unprivileged: 1\" \"unprivileged: maybe\"\n" },
	{ "ct.dev-valid", "", OK, NULL, CT },
	{ "ct.dev-valid", "", BROKEN, "dev0.foo: property is not defined",
	        CT "replace " CT_FILE " gid=106 gid=106,foo=1\n" },
	{ "ct.gid", "", OK, NULL, CT },
	{ "ct.gid", "", BROKEN, "which inside is kvm; the render group there is 106",
	        CT "replace " CT_FILE " gid=106 gid=104\n" },
	{ "ct.mode", "", WARN, "0666", CT "replace " CT_FILE " gid=106 gid=106,mode=0666\n" },
	{ "ct.privileged", "", WARN, NULL, CT "drop " CT_FILE " unprivileged*\n" },
	{ "ct.version", "", BROKEN, "5.0.7", CT "package pve-container 5.0.6\n" },
	{ "ct.cgroup-v1", "", BROKEN, NULL, "base guide-wrong\n" },
	{ "ct.idmap", "", BROKEN, "group 44",
	        CT "append " CT_FILE "\n\tlxc.idmap: u 0 100000 65536\n\tlxc.idmap: g 0 100000 44\n" },
	{ "ct.raw-allow", "", BROKEN, "226:128",
	        CT "replace " CT_FILE " \"dev0: /dev/dri/renderD128,gid=106\" "
	           "\"lxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD128 none bind,optional,create=file\"\n" },
	{ "ct.one-route", "", WARN, "VM 102",
	        CT "file /etc/pve/qemu-server/102.conf\n\thostpci0: 00:02.0\n\tmemory: 2048\nguest vm/102 stopped\n" },
	{ "inside.reached", "", OK, "Ubuntu", READY },
	{ "inside.reached", "", NOT_KNOWN, "not in the recording", READY "remove vm/100\n" },
	{ "inside.device", "", OK, "0000:00:10.0", READY },
	{ "inside.device", "", BROKEN, "10de:2803", READY "target vm/100\nremove 0000:00:10.0\n" },
	{ "inside.driver", "", OK, "nvidia", READY },
	{ "inside.driver", "", BROKEN, "nouveau",
	        READY "target vm/100\ndevice 0000:00:10.0 driver=nouveau\nnvidia none\n" },
	{ "inside.nvidia-userspace", "", OK, "580.95.05", READY },
	{ "inside.nvidia-userspace", "", BROKEN, "mismatch",
	        READY "target vm/100\nnvidia 580.95.05 open user=580.105.08\n" },
	{ "inside.nvidia-smi", "", OK, "580.95.05", READY },
	{ "inside.nvidia-libraries", "", OK, NULL, READY },
	{ "inside.nvidia-messages", "", OK, NULL, READY },
	{ "inside.nvidia-messages", "", BROKEN, "GSP",
	        READY "target vm/100\nrun dmesg\n"
	              "\t[    4.9] NVRM: The NVIDIA GPU 0000:00:10.0 (PCI ID: 10de:1c03)\n"
	              "\t[    4.9] NVRM: installed in this system is not supported by open\n"
	              "\t[    4.9] NVRM: nvidia.ko because it does not include the required GPU\n"
	              "\t[    4.9] NVRM: System Processor (GSP).\n" },
	{ "inside.secure-boot", "", BROKEN, "Key was rejected",
	        READY "target vm/100\nnvidia none\nrun dmesg\n"
	              "\t[    4.9] Loading of module failed: Key was rejected by service\n" },
	{ "inside.render", "", OK, NULL, READY },
	{ "inside.render", "", BROKEN, "/dev/nvidia-uvm",
	        READY "target vm/100\nnvidia 580.95.05 open nouvm user=580.95.05\n" },
	{ "inside.sessions", "", OK, "8", READY },
	{ "inside.sessions", "", WARN, "only 5", READY "target vm/100\nnvidia 535.183.01 user=535.183.01\n" },
	{ "inside.toolkit", "", OK, NULL, READY },
	{ "inside.docker-runtime", "", OK, NULL, READY },
	{ "inside.docker-runtime", "", BROKEN, "nvidia-ctk",
	        READY "target vm/100\ndocker 28.5.1 cgroup=cgroupfs runtimes=runc\n" },
	{ "inside.docker-request", "", OK, "emby", READY },
	{ "inside.docker-request", "", BROKEN, "not given the GPU",
	        READY "target vm/100\ncontainer emby emby/embyserver:4.9.1.80\n" },
	{ "inside.docker-video", "", OK, NULL, READY },
	{ "inside.docker-video", "", BROKEN, "video",
	        READY "target vm/100\ncontainer emby emby/embyserver:4.9.1.80 gpus=gpu\n" },
	{ "inside.docker-cgroup", "", OK, NULL, READY },
	{ "inside.no-cgroups", "", OK, NULL, READY },
	{ "inside.cloud-kernel", "", OK, NULL, READY },
	{ "inside.render", "", OK, "/dev/dri/renderD128", CT },
	{ "inside.render-group", "", OK, "render", CT },
	{ "inside.render-group", "", BROKEN, "nobody",
	        CT "target ct/105\nnode /dev/dri/renderD128 c 226 128 gid=65534 uid=65534\n" },
	{ "inside.vainfo", "", OK, "EncSlice", CT },
	{ "gpu.only-console", "gpu=0000:01:00.0 into=vm/100", WARN, "over the network",
		"base twins\nremove 0000:0c:00.0\ndevice 0000:0e:00.0 driver=vfio-pci\ndevice 0000:0e:00.1 driver=vfio-pci\n" },
	{ "gpu.builtin-vfio", "", NOT_KNOWN, "not known",
		READY "unknown /etc/default/grub\nfile /etc/modprobe.d/vfio.conf\n\toptions vfio-pci ids=10de:2803\n"
		      "append /usr/lib/modules/6.8.12-10-pve/modules.builtin\n\tkernel/drivers/vfio/pci/vfio-pci.ko\n" },
	{ "gpu.blacklist", "", WARN, "i915 is blacklisted", CT "unknown /boot/initrd.img-6.8.12-10-pve\n"
		"file /etc/modprobe.d/gpu.conf\n\tblacklist i915\n" },
	{ "gpu.blacklist", "", OK, NULL, CT "file /etc/modprobe.d/gpu.conf\n\tblacklist xe\n" },
	{ "gpu.blacklist", "", WARN, "i915 is blacklisted",
		CT "replace /etc/default/grub quiet \"quiet modprobe.blacklist=i915\"\n" },
	{ "node.boot-pending", "", WARN, "the next boot switches the IOMMU off",
		READY "replace /etc/default/grub quiet \"quiet iommu=off\"\n" },
	{ "vm.hidden", "", WARN, "Linux has no", READY "replace " VM_FILE " \"cpu: host\" \"cpu: host,hidden=1\"\n" },
	{ "vm.memory", "", WARN, "little for the node", READY "replace " VM_FILE " \"memory: 16384\" \"memory: 31000\"\n" },
	{ "vm.lock", "", WARN, "hibernated", READY "guest vm/100 stopped\nreplace " VM_FILE " \"memory:\" \"lock: suspended\\nmemory:\"\n" },
	{ "gpu.driver", "gpu=nvidia into=ct/105", BROKEN, "nvidia-open", "base twins\ndevice 0000:01:00.0 10de:2d04\nremove 0000:0e:00.0\n" },
	{ "gpu.driver", "gpu=nvidia into=ct/105", BROKEN, "580 is the last branch", "base twins\ndevice 0000:01:00.0 10de:1b80\nremove 0000:0e:00.0\n" },
	{ "vm.address", "", OK, NULL, READY "replace " VM_FILE " \"hostpci0: 0000:01:00\" "
		"\"hostpci0: 0000:01:00.0\\nhostpci1: 0000:01:00.1,romfile=gop.rom\"\n" },
	{ "vm.address", "", NOT_KNOWN, "root disk hangs on",
		READY "replace " VM_FILE " \"hostpci0: 0000:01:00\" \"hostpci0: 0000:01:00\\nhostpci1: 0000:0b:00\"\n"
		      "unknown /proc/self/mountinfo\nunknown /proc/self/mounts\n" },
	{ "gpu.group", "gpu=nvidia into=vm/100", BROKEN, "0000:0b:00.0",
		BARE_NODE "device 0000:0b:00.0 group=12\nunknown /proc/self/mountinfo\nunknown /proc/self/mounts\n" },
	{ "gpu.huc", "", BROKEN, "i915 runs with -1", CT "device 0000:00:02.0 8086:4e61\n"
		"file /etc/modprobe.d/i915.conf\n\toptions i915 enable_guc=2\nfile /sys/module/i915/parameters/enable_guc\n\t-1\n" },
	{ "gpu.huc", "", OK, "enable_guc=2", CT "device 0000:00:02.0 8086:4e61\n"
		"file /etc/modprobe.d/i915.conf\n\toptions i915 enable_guc=2\nfile /sys/module/i915/parameters/enable_guc\n\t2\n" },
	{ "inside.media-driver", "", OK, "brings its own", CT },
	{ "node.proxmox", "gpu=nvidia into=vm/100", BROKEN, NULL,
		"base amd-4060ti\n"
		"package pve-manager - qemu-server -\n" },
	{ "node.quorum", "gpu=nvidia into=vm/100", WARN, NULL,
		"base amd-4060ti\n"
		"file /etc/pve/.members\n"
		"\t{\"nodename\":\"pve\",\"version\":4,\"cluster\":{\"name\":\"home\",\"version\":2,\"nodes\":2,\"quorate\":0},\"nodelist\":{\"pve\":{\"id\":1,\"online\":1,\"ip\":\"192.168.1.10\"}}}\n" },
	{ "node.virtualisation", "gpu=nvidia into=vm/100", BROKEN, NULL,
		"base amd-4060ti\n"
		"replace /proc/cpuinfo \" svm\" \"\" all\n" },
	{ "vm.known", "gpu=nvidia into=vm/100", NOT_KNOWN, NULL,
		"base amd-4060ti\n"
		"unreadable /etc/pve/qemu-server/100.conf EACCES\n" },
	{ "ct.known", "gpu=intel into=ct/105", NOT_KNOWN, NULL,
		"base intel-uhd770-ct-ready\n"
		"unreadable /etc/pve/lxc/105.conf EACCES\n" },
	{ "vm.hostpci-valid", "gpu=nvidia into=vm/100", BROKEN, NULL,
		"base amd-4060ti-ready\n"
		"replace /etc/pve/qemu-server/100.conf \"hostpci0: 0000:01:00\" \"hostpci0: 0000:01:00,pci=1\"\n" },
	{ "vm.mapping", "gpu=nvidia into=vm/100", BROKEN, NULL,
		"base pve9-mapping\n"
		"replace /etc/pve/mapping/pci.cfg 10de:2803 10de:2504 all\n" },
	{ "vm.vmstate", "gpu=nvidia into=vm/100", WARN, NULL,
		"base amd-4060ti-ready\n"
		"append /etc/pve/qemu-server/100.conf\n"
		"\t[before]\n"
		"\tmemory: 8192\n"
		"\tsnaptime: 1700000000\n"
		"\tvmstate: local-lvm:vm-100-state-before\n" },
	{ "ct.lock", "gpu=intel into=ct/105", WARN, NULL,
		"base intel-uhd770-ct-ready\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tlock: backup\n" },
	{ "ct.pending", "gpu=intel into=ct/105", WARN, NULL,
		"base intel-uhd770-ct-ready\n"
		"append /etc/pve/lxc/105.conf\n"
		"\t[pve:pending]\n"
		"\tdev0: /dev/dri/renderD128,gid=44\n" },
	{ "ct.node-name", "gpu=intel into=ct/105", WARN, NULL,
		"base intel-uhd770-ct-ready\n"
		"device 0000:07:00.0 10de:2803 class=030000 parent=0000:00:1c.0 driver=nouveau group=40 drm=card1,renderD129\n" },
	{ "gpu.kernel-floor", "gpu=intel into=ct/105", BROKEN, NULL,
		"base intel-uhd770-ct-ready\n"
		"device 0000:00:02.0 8086:64a0\n" },
	{ "gpu.rebar", "gpu=intel into=ct/105", BROKEN, NULL,
		"base intel-uhd770-ct-ready\n"
		"device 0000:00:02.0 8086:e20b rebar=0\n" },
	{ "inside.cloud-kernel", "gpu=nvidia into=vm/100", WARN, NULL,
		"base amd-4060ti-ready\n"
		"target vm/100\n"
		"file /proc/sys/kernel/osrelease\n"
		"\t6.1.0-18-cloud-amd64\n" },
	{ "inside.nvidia-libraries", "gpu=nvidia into=vm/100", BROKEN, NULL,
		"base amd-4060ti-ready\n"
		"target vm/100\n"
		"remove /usr/lib/x86_64-linux-gnu/libnvidia-encode.so.1\n" },
	{ "inside.nvidia-smi", "gpu=nvidia into=vm/100", BROKEN, NULL,
		"base amd-4060ti-ready\n"
		"target vm/100\n"
		"run nvidia-smi status=9\n"
		"\tNVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n" },
	{ "inside.branch", "gpu=nvidia into=vm/100", BROKEN, NULL,
		"base amd-4060ti-ready\n"
		"target vm/100\n"
		"nvidia 470.256.02 user=470.256.02\n" },
	{ "inside.docker-snap", "gpu=nvidia into=vm/100", BROKEN, NULL,
		"base amd-4060ti-ready\n"
		"target vm/100\n"
		"docker 28.5.1 root=/var/snap/docker/common/var-lib-docker\n" },
	{ "inside.toolkit", "gpu=nvidia into=vm/100", BROKEN, NULL,
		"base amd-4060ti-ready\n"
		"target vm/100\n"
		"package nvidia-container-toolkit -\n"
		"run nvidia-ctk --version missing\n" },
	{ "inside.docker-cgroup", "gpu=nvidia into=vm/100", WARN, NULL,
		"base amd-4060ti-ready\n"
		"target vm/100\n"
		"docker 28.5.1 cgroup=systemd\n"
		"remove /dev/char\n" },
	{ "inside.no-cgroups", "gpu=nvidia into=vm/100", WARN, NULL,
		"base amd-4060ti-ready\n"
		"target vm/100\n"
		"append /etc/nvidia-container-runtime/config.toml\n"
		"\tno-cgroups = true\n" },
	{ "vm.secure-boot", "gpu=nvidia into=vm/100", WARN, NULL,
		"base amd-4060ti\n"
		"append /etc/pve/qemu-server/100.conf\n"
		"\tbios: ovmf\n"
		"\tefidisk0: local-lvm:vm-100-disk-1,efitype=4m,pre-enrolled-keys=1,size=4M\n"
		"\thostpci0: 0000:01:00\n" },
	{ "gpu.kernel-bug", "gpu=0000:03:00.0 into=ct/105", WARN, NULL,
		"base intel-zfs-a380\n"
		"file /etc/pve/lxc/105.conf\n"
		"\tarch: amd64\n"
		"\thostname: j\n"
		"\tunprivileged: 1\n"
		"guest ct/105 running pid=2105\n" },
	{ "gpu.rebar", "gpu=0000:03:00.0 into=vm/101", OK, NULL,
		"base intel-zfs-a380\n"
		"device 0000:03:00.0 8086:e20b rebar=1 bar2=4000000000-43ffffffff:pref\n" },
	{ "inside.flavour", "gpu=nvidia into=vm/100", BROKEN, NULL,
		"base amd-4060ti-ready\n"
		"device 0000:01:00.0 10de:2d04\n"
		"target vm/100\n"
		"device 0000:00:10.0 10de:2d04\n"
		"nvidia 580.95.05 user=580.95.05\n" },
	{ "gpu.secure-boot", "gpu=0000:01:00.0 into=ct/105", OK, NULL,
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"device 0000:0e:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open user=580.95.05\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n"
		"\tdev2: /dev/nvidia-uvm\n" },
	{ "gpu.nvidia-flavour", "gpu=0000:01:00.0 into=ct/105", OK, NULL,
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"device 0000:0e:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open user=580.95.05\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n"
		"\tdev2: /dev/nvidia-uvm\n" },
	{ "ct.nvidia-boot", "gpu=0000:01:00.0 into=ct/105", OK, "70-nvidia.rules",
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open\n"
		"file /etc/modules-load.d/nvidia.conf\n"
		"\tnvidia-uvm\n"
		"file /etc/udev/rules.d/70-nvidia.rules\n"
		"\tACTION==\"add\", SUBSYSTEM==\"module\", KERNEL==\"nvidia_uvm\", RUN+=\"/usr/bin/nvidia-modprobe -c0 -u\"\n" },
	{ "ct.nvidia-boot", "gpu=0000:01:00.0 into=ct/105", WARN, "does not start",
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open\n" },
	{ "ct.nvidia-uvm", "gpu=0000:01:00.0 into=ct/105", OK, NULL,
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"device 0000:0e:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open user=580.95.05\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n"
		"\tdev2: /dev/nvidia-uvm\n" },
	{ "ct.nvidia-nodes", "gpu=0000:01:00.0 into=ct/105", OK, NULL,
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"device 0000:0e:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open user=580.95.05\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n"
		"\tdev2: /dev/nvidia-uvm\n" },
	{ "ct.nvidia-userspace", "gpu=0000:01:00.0 into=ct/105", OK, NULL,
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"device 0000:0e:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open user=580.95.05\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n"
		"\tdev2: /dev/nvidia-uvm\n"
		"target ct/105\n"
		"file /etc/group\n"
		"\trender:x:106:\n"
		"nvidia none user=580.95.05\n" },
	{ "ct.nvidia-userspace", "gpu=0000:01:00.0 into=ct/105", BROKEN, NULL,
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"device 0000:0e:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open user=580.95.05\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n"
		"\tdev2: /dev/nvidia-uvm\n"
		"target ct/105\n"
		"nvidia none user=580.82.07\n" },
	{ "goal.accept", "gpu=nvidia into=vm/100 accept=node.iommu", BROKEN, NULL,
		"base amd-4060ti-ready\n" },
	{ "goal.accept", "gpu=nvidia into=vm/100 accept=gpu.acs", OK, NULL,
		"base amd-4060ti-ready\n" },
	{ "vm.hugepages", "gpu=nvidia into=vm/100", OK, NULL,
		"base amd-4060ti-ready\n"
		"append /etc/pve/qemu-server/100.conf\n"
		"\thugepages: 1024\n"
		"\tnuma: 1\n" },
	{ "vm.igpu", "gpu=intel into=vm/101", OK, NULL,
		"base guide-wrong\n"
		"device 0000:00:02.0 8086:3e92\n" },
	{ "inside.kernel-floor", "gpu=0000:03:00.0 into=vm/101", BROKEN, NULL,
		"base intel-zfs-a380\n"
		"append /etc/pve/qemu-server/101.conf\n"
		"\thostpci0: 0000:03:00\n"
		"guest vm/101 running pid=1811 open=/dev/kvm\n"
		"target vm/101\n"
		"file /proc/sys/kernel/osrelease\n"
		"\t5.15.0-100-generic\n" },
	{ "inside.containerd", "gpu=intel into=ct/105", BROKEN, NULL,
		"base intel-uhd770-ct-ready\n"
		"target ct/105\n"
		"docker 28.5.1\n"
		"package containerd.io 1.7.28-2~debian.12\n" },
	{ "inside.containerd", "gpu=intel into=ct/105", OK, NULL,
		"base intel-uhd770-ct-ready\n"
		"target ct/105\n"
		"docker 28.5.1\n"
		"package containerd.io 1.7.29-1~debian.12\n" },
	{ "inside.docker-request", TO_CT, BROKEN,
		"devices: [/dev/dri/renderD128:/dev/dri/renderD128], and group_add: [\"106\"]",
		CT "target ct/105\ndocker 28.5.1\ncontainer jellyfin jellyfin/jellyfin:10\n" },
	/* the second card's node has the second number, and the advice names it */
	{ "inside.docker-request", "gpu=0000:05:00.0 into=ct/105", BROKEN,
		"devices: [/dev/dri/renderD129:/dev/dri/renderD129], and group_add: [\"106\"]",
		CT VIRTIO "append " CT_FILE "\n\tdev1: /dev/dri/renderD129,gid=106,mode=0660\n"
		"target ct/105\nremove /dev/dri/renderD128\nnode /dev/dri/renderD129 c 226 129 gid=106\n"
		"docker 28.5.1\ncontainer jellyfin jellyfin/jellyfin:10\n" },
	{ "inside.docker-group", "gpu=intel into=ct/105", WARN, NULL,
		"base intel-uhd770-ct-ready\n"
		"target ct/105\n"
		"docker 28.5.1\n"
		"container jellyfin jellyfin/jellyfin:10 devices=/dev/dri\n" },
	{ "inside.docker-group", "gpu=intel into=ct/105", OK, NULL,
		"base intel-uhd770-ct-ready\n"
		"target ct/105\n"
		"docker 28.5.1\n"
		"container jellyfin jellyfin/jellyfin:10 devices=/dev/dri groups=106\n" },
	{ "inside.firmware", "gpu=intel into=ct/105", WARN, NULL,
		"base intel-uhd770-ct-ready\n"
		"target ct/105\n"
		"run dmesg\n"
		"\t[   10.1] i915 0000:00:02.0: [drm] *ERROR* GT0: HuC firmware i915/tgl_huc.bin: fetch failed -ENOENT\n" },
	{ "inside.firmware", "gpu=intel into=ct/105", OK, NULL,
		"base intel-uhd770-ct-ready\n"
		"target ct/105\n"
		"run dmesg\n"
		"\t[    0.0] Linux version 6.8.12\n" },
	{ "gpu.headers", "gpu=0000:01:00.0 into=ct/105", OK, NULL,
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n"
		"dir /usr/src/linux-headers-6.8.12-10-pve\n" },
	{ "gpu.nvidia-flavour", "gpu=0000:01:00.0 into=ct/105", BROKEN, NULL,
		"base twins\n"
		"device 0000:01:00.0 10de:2d04 driver=nvidia\n"
		"nvidia 580.95.05\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n" },
	{ "gpu.nvidia-branch", "gpu=0000:01:00.0 into=ct/105", BROKEN, NULL,
		"base twins\n"
		"device 0000:01:00.0 10de:1b81 driver=nvidia\n"
		"nvidia 590.48.01\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n" },
	{ "gpu.nvidia-branch", "gpu=0000:01:00.0 into=ct/105", OK, NULL,
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n" },
	{ "ct.nvidia-uvm", "gpu=0000:01:00.0 into=ct/105", BROKEN, NULL,
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open nouvm\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n" },
	/* nvidia-modprobe's nodes outlive their module */
	{ "ct.nvidia-uvm", "gpu=0000:01:00.0 into=ct/105", BROKEN, "no module nvidia_uvm",
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open\n"
		"unload nvidia_uvm\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n" },
	{ "ct.nvidia-nodes", "gpu=0000:01:00.0 into=ct/105", BROKEN, NULL,
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n"
		"\tdev1: /dev/nvidiactl\n" },
	{ "gpu.secure-boot", "gpu=0000:01:00.0 into=ct/105", WARN, NULL,
		"base twins\n"
		"dir /sys/firmware/efi\n"
		"file /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c hex\n"
		"\t06 00 00 00 01\n" },
	{ "vm.address-width", "gpu=nvidia into=vm/100", OK, NULL,
		"base pve9-mapping\n"
		"append /etc/pve/qemu-server/100.conf\n"
		"\tcpu: host,phys-bits=39\n" },
	{ "inside.kernel-bug", "gpu=0000:03:00.0 into=vm/101", WARN, NULL,
		"base intel-zfs-a380\n"
		"append /etc/pve/qemu-server/101.conf\n"
		"\thostpci0: 0000:03:00\n"
		"guest vm/101 running pid=1811 open=/dev/kvm\n"
		"target vm/101\n"
		"file /proc/sys/kernel/osrelease\n"
		"\t6.8.7-1-generic\n" },
	{ "inside.kernel-bug", "gpu=0000:03:00.0 into=vm/101", OK, NULL,
		"base intel-zfs-a380\n"
		"append /etc/pve/qemu-server/101.conf\n"
		"\thostpci0: 0000:03:00\n"
		"guest vm/101 running pid=1811 open=/dev/kvm\n"
		"target vm/101\n"
		"file /proc/sys/kernel/osrelease\n"
		"\t6.12.5\n" },
	{ "inside.kernel-floor", "gpu=0000:03:00.0 into=vm/101", OK, NULL,
		"base intel-zfs-a380\n"
		"append /etc/pve/qemu-server/101.conf\n"
		"\thostpci0: 0000:03:00\n"
		"guest vm/101 running pid=1811 open=/dev/kvm\n"
		"target vm/101\n"
		"file /proc/sys/kernel/osrelease\n"
		"\t6.12.5\n" },
	{ "inside.media-driver", "gpu=intel into=ct/105", WARN, NULL,
		"base intel-uhd770-ct-ready\n"
		"device 0000:00:02.0 8086:1912\n"
		"target ct/105\n"
		"package jellyfin-ffmpeg7 - jellyfin-ffmpeg6 - jellyfin - jellyfin-server - intel-media-va-driver 23.1.1 intel-media-va-driver-non-free -\n" },
	{ "node.esp-copy", "gpu=0000:03:00.0 into=vm/101", OK, NULL,
		"base intel-zfs-a380\n"
		"append /proc/self/mounts\n"
		"\t/dev/nvme0n1p2 /boot/efi vfat rw 0 0\n"
		"\t/dev/nvme1n1p2 /boot/efi2 vfat rw 0 0\n"
		"file /etc/modprobe.d/vfio.conf\n"
		"\toptions vfio-pci ids=8086:56a5\n"
		"initramfs /boot/initrd.img-6.8.12-10-pve fresh\n"
		"initramfs /boot/efi/EFI/proxmox/6.8.12-10-pve/initrd.img-6.8.12-10-pve fresh\n"
		"initramfs /boot/efi2/EFI/proxmox/6.8.12-10-pve/initrd.img-6.8.12-10-pve fresh\n" },
	{ "node.esp-copy", "gpu=0000:03:00.0 into=vm/101", WARN, NULL,
		"base intel-zfs-a380\n"
		"append /proc/self/mounts\n"
		"\t/dev/nvme0n1p2 /boot/efi vfat rw 0 0\n"
		"\t/dev/nvme1n1p2 /boot/efi2 vfat rw 0 0\n"
		"file /etc/modprobe.d/vfio.conf\n"
		"\toptions vfio-pci ids=8086:56a5\n"
		"initramfs /boot/initrd.img-6.8.12-10-pve fresh\n"
		"initramfs /boot/efi/EFI/proxmox/6.8.12-10-pve/initrd.img-6.8.12-10-pve fresh\n"
		"initramfs /boot/efi2/EFI/proxmox/6.8.12-10-pve/initrd.img-6.8.12-10-pve\n"
		"\tmodule nvme\n" },
	{ "gpu.headers", "gpu=0000:01:00.0 into=ct/105", WARN, "dkms status",
		"base twins\n"
		"device 0000:01:00.0 driver=nvidia\n"
		"nvidia 580.95.05 open\n"
		"append /etc/pve/lxc/105.conf\n"
		"\tdev0: /dev/nvidia0\n" },
};

struct chain {
	struct arena arena;
	struct goal goal;
	struct report report;
	struct facts *facts;
	struct world *world;
};

static void chain_open(struct chain *chain, const char *machine, const char *goal)
{
	struct err err = { 0 };
	struct tape *tape = NULL;
	memset(chain, 0, sizeof *chain);
	goal_init(&chain->goal);
	struct words settings = text_split(&chain->arena, goal, " ");
	for (size_t i = 0; i < settings.n; i++) {
		const char *equals = strchr(settings.word[i], '=');
		const char *key = arena_strndup(&chain->arena, settings.word[i], (size_t)(equals - settings.word[i]));
		if (!goal_set(&chain->goal, key, equals + 1, &chain->arena, &err))
			fail_msg("%s", err.text);
	}
	if (!machine_parse(bytes_of(machine), "case", machine_builtin_text, NULL, &chain->arena, &err, &tape))
		fail_msg("%s\n%s", err.text, machine);
	chain->world = tape_world(tape, "node", &chain->arena, &err);
	if (!chain->world)
		fail_msg("%s", err.text);
	const struct facts_want want = { .depth = FACTS_ALL };
	chain->facts = facts_gather(chain->world, &want, &chain->arena);
	rules_run(chain->facts, &chain->goal, &chain->arena, &chain->report);
}

static void chain_close(struct chain *chain)
{
	world_close(chain->world);
	arena_release(&chain->arena);
}

static const struct finding *chain_find(const struct chain *chain, const char *rule, enum verdict verdict)
{
	const struct finding *any = NULL;
	for (size_t i = 0; i < chain->report.n; i++) {
		if (strcmp(chain->report.findings[i].rule->id, rule) != 0)
			continue;
		any = &chain->report.findings[i];
		if (any->verdict == verdict)
			break;
	}
	return any;
}

static void test_chain(void **state)
{
	(void)state;
	static const char *const names[] = { "unknown", "ok", "warn", "broken", "skipped" };
	unsigned failed = 0;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct chain chain;
		chain_open(&chain, cases[i].machine, cases[i].goal);
		const struct finding *finding = chain_find(&chain, cases[i].rule, cases[i].verdict);
		const char *says = cases[i].says, *cure = finding && finding->cure ? finding->cure : "";
		if (!finding || finding->verdict != cases[i].verdict ||
		        (says && !strstr(finding->why, says) && !strstr(cure, says))) {
			print_error("%s is %s instead of %s (%s): %s\n%s\n", cases[i].rule,
			        finding ? names[finding->verdict] : "not asked", names[cases[i].verdict],
			        says ? says : "", finding ? finding->why : "", cases[i].machine);
			failed++;
		}
		chain_close(&chain);
	}
	assert_int_equal(failed, 0);
}

/* What works is not called broken, nor unknown; and the first broken link is the cause. */
static void test_verdicts(void **state)
{
	(void)state;
	static const struct {
		const char *machine, *goal;
		enum verdict verdict;
		const char *first_broken;
	} machines[] = {
		{ READY, "", VERDICT_OK, NULL },
		{ READY, "gpu=nvidia into=vm/100", VERDICT_OK, NULL },
		{ CT, "", VERDICT_OK, NULL },
		{ CT, "gpu=intel into=ct/105", VERDICT_OK, NULL },
		{ "base pve8-base\n", "", VERDICT_OK, NULL },
		{ "base amd-4060ti\n", "", VERDICT_OK, NULL },
		{ "base shared-slot\n", "", VERDICT_OK, NULL },
		{ "base amd-4060ti\n", "gpu=nvidia into=vm/100", VERDICT_BROKEN, "vm.hostpci" },
		{ "base intel-uhd770-ct\n", "gpu=intel into=ct/105", VERDICT_BROKEN, "ct.node" },
		{ "base iommu-off\n", "gpu=nvidia into=vm/100", VERDICT_BROKEN, "node.iommu" },
		{ "base shared-slot\n", "gpu=nvidia into=vm/100", VERDICT_BROKEN, "gpu.group-needs" },
		{ "base twins\n", "gpu=nvidia into=vm/100", VERDICT_BROKEN, "goal.gpu" },
		{ "base amd-4060ti\n", "gpu=nvidia into=vm/777", VERDICT_BROKEN, "goal.guest" },
		{ CT "device 0000:00:02.0 driver=vfio-pci\n", "", VERDICT_BROKEN, "gpu.not-vfio" },
	};
	for (size_t i = 0; i < COUNT(machines); i++) {
		struct chain chain;
		chain_open(&chain, machines[i].machine, machines[i].goal);
		const struct finding *first = chain.report.first_broken;
		if (chain.report.verdict != machines[i].verdict || !first != !machines[i].first_broken ||
		        (first && strcmp(first->rule->id, machines[i].first_broken) != 0)) {
			for (size_t f = 0; f < chain.report.n; f++)
				if (chain.report.findings[f].verdict != VERDICT_OK)
					print_error("%u %s: %s\n", chain.report.findings[f].verdict,
					        chain.report.findings[f].rule->id, chain.report.findings[f].why);
			fail_msg("%s%s: %d, %s", machines[i].machine, machines[i].goal, (int)chain.report.verdict,
			        first ? first->rule->id : "none");
		}
		chain_close(&chain);
	}
}

/* Whole troubles, each with what an admin must mend first; what only follows from it is not broken too. */
#define BARE BARE_NODE
#define NVIDIA_HELD "device 0000:01:00.0 driver=nvidia\nnvidia 550.163.01\n" \
	"process 900 nvidia-persiste cgroup=/system.slice/nvidia-persistenced.service open=/dev/nvidiactl,/dev/nvidia0\n"
#define GIVEN "replace " VM_FILE " \"boot: order\" \"hostpci0: 0000:01:00\\nballoon: 0\\nboot: order\"\n"
#define NO_OFF "replace /etc/default/grub \" intel_iommu=off\" \"\"\nreplace /boot/grub/grub.cfg \" intel_iommu=off\" \"\" all\n"
#define OLD_KERNEL "file /proc/sys/kernel/osrelease\n\t6.5.13-6-pve\n"
#define RAW_V1 "replace " CT_FILE " \"dev0: /dev/dri/renderD128,gid=106\" \"lxc.cgroup.devices.allow: c 226:128 rwm\\n" \
	"lxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD128 none bind,optional,create=file\"\n"
#define ZFS_GPU "gpu=0000:00:02.0 into=vm/101"

static const struct trouble {
	const char *first;  /* the first broken rule; "": none */
	const char *goal;
	const char *not_broken; /* a rule that must not be broken as well: it only follows */
	const char *cure;   /* in the first one's cure; with ! in front: not in it */
	const char *machine;
} troubles[] = {
	{ "vm.hostpci", TO_VM, "gpu.release", "do not start the VM with it before gpu.release is ok", BARE NVIDIA_HELD },
	{ "gpu.release", TO_VM, NULL, "ids=10de:2803,10de:22bd", BARE NVIDIA_HELD GIVEN "guest vm/100 stopped\n" },
	{ "", TO_VM, "gpu.release", NULL, BARE NVIDIA_HELD GIVEN "guest vm/100 stopped\n"
		"file /etc/modprobe.d/vfio.conf\n\toptions vfio-pci ids=10de:2803,10de:22bd\n\tsoftdep nvidia pre: vfio-pci\n"
		"\tsoftdep nouveau pre: vfio-pci\n" },
	{ "gpu.release", "gpu=0000:01:00.0 into=vm/100", NULL, "driverctl --noprobe set-override 0000:01:00.0 vfio-pci",
		"base twins\n" NVIDIA_HELD GIVEN "guest vm/100 stopped\n" },
	{ "node.iommu", TO_VM, "node.boot-file", "!amd_iommu=on", READY "iommu off tables=IVRS\n"
		"file /etc/kernel/cmdline\n\troot=ZFS=rpool/ROOT/pve-1 boot=zfs amd_iommu=on iommu=pt\n" },
	{ "node.firmware-iommu", TO_VM, "vm.hostpci", "CBS", BARE "iommu off tables=none\n" },
	{ "vm.hostpci", TO_VM, "node.boot-pending", "qm shutdown 100",
		BARE "replace /etc/default/grub \"\\\"quiet\\\"\" \"\\\"quiet iommu=pt\\\"\"\n" },
	{ "node.boot-pending", TO_VM, "node.iommu", "!put it back", "base iommu-off\n" NO_OFF },
	{ "node.boot-pending", TO_VM, "node.iommu", "update-grub", "base iommu-off\n" OLD_KERNEL
		"replace /proc/cmdline \" intel_iommu=off\" \"\"\nreplace /etc/default/grub intel_iommu=off intel_iommu=on\n"
		"replace /boot/grub/grub.cfg \" intel_iommu=off\" \"\" all\n" },
	{ "node.iommu", TO_VM, NULL, "DMAR", "base iommu-off\nreplace /proc/cmdline intel_iommu=off intel_iommu=on\n"
		"replace /etc/default/grub intel_iommu=off intel_iommu=on\n"
		"replace /boot/grub/grub.cfg intel_iommu=off intel_iommu=on all\n" },
	{ "node.iommu", TO_VM, "node.boot-pending", NULL, "base iommu-off\nreplace /proc/cmdline \" intel_iommu=off\" \"\"\n"
		"unknown /sys/firmware/acpi/tables\n" },
	{ "node.iommu", TO_VM, "gpu.next-boot", NULL, "base iommu-off\n"
		"file /etc/modprobe.d/vfio.conf\n\toptions vfio-pci ids=10de:2803,10de:22bd\n\tsoftdep nouveau pre: vfio-pci\n" },
	{ "node.next-iommu", TO_VM, "gpu.next-boot", "amd_iommu=off", READY
		"replace /boot/grub/grub.cfg \"ro  quiet\" \"ro  quiet amd_iommu=off\" all\n"
		"file /etc/modprobe.d/vfio.conf\n\toptions vfio-pci ids=10de:2803,10de:22bd\n\tsoftdep nouveau pre: vfio-pci\n" },
	{ "node.boot-file", ZFS_GPU, "node.iommu", "!pcie_acs_override", "base guide-wrong\niommu off tables=DMAR\n" OLD_KERNEL },
	{ "node.boot-pending", ZFS_GPU, "node.boot-file", "proxmox-boot-tool refresh", "base guide-wrong\niommu off tables=DMAR\n"
		"file /etc/kernel/cmdline\n\troot=ZFS=rpool/ROOT/pve-1 boot=zfs intel_iommu=on iommu=pt\n" },
	{ "gpu.acs", TO_VM, NULL, "accept: [gpu.acs]", READY "replace /proc/cmdline quiet \"quiet pcie_acs_override=downstream\"\n" },
	{ "", TO_VM " accept=gpu.acs", NULL, NULL, READY "replace /proc/cmdline quiet \"quiet pcie_acs_override=downstream\"\n" },
	{ "gpu.group", TO_VM, "vm.hostpci", "accept: [gpu.group]", BARE "device 0000:0b:00.0 group=12\n" },
	{ "gpu.group-needs", TO_VM, "vm.hostpci", NULL, "base shared-slot\n" },
	{ "node.iommu", TO_VM, "vm.hostpci", NULL, "base iommu-off\n" },
	{ "vm.address", TO_VM, NULL, "--delete hostpci0", READY "replace " VM_FILE " 0000:01:00 0000:02:00\n" },
	{ "vm.hostpci", TO_VM, NULL, "hostpci0 (0000:0b:00) names no GPU",
		READY "replace " VM_FILE " 0000:01:00 0000:0b:00\nguest vm/100 stopped\n" },
	{ "vm.address", TO_VM, NULL, NULL, READY "replace " VM_FILE " 0000:01:00 0000:0f:00\n" },
	{ "vm.one-holder", TO_VM, NULL, "qm shutdown 102", READY "guest vm/100 stopped\n"
		"file /etc/pve/qemu-server/102.conf\n\thostpci0: 01:00\n\tmemory: 2048\nguest vm/102 running pid=3000\n" },
	{ "gpu.boot-framebuffer", TO_VM, NULL, NULL, READY "device 0000:01:00.0 boot_vga=1 bar1=d0000000-dfffffff:pref\n"
		"framebuffer fb1 \"EFI VGA\" d0000000-d02fffff BOOTFB\n" },
	{ "vm.pcie", TO_VM, NULL, NULL, READY "replace " VM_FILE " 0000:01:00 0000:01:00,pcie=1\nguest vm/100 stopped\n" },
	{ "vm.hugepages", TO_VM, NULL, NULL, READY "replace " VM_FILE " \"cores: 8\" \"cores: 8\\nhugepages: 1024\"\n" },
	{ "", TO_VM, "vm.lock", NULL, READY "guest vm/100 stopped\nreplace " VM_FILE " \"memory:\" \"lock: suspended\\nmemory:\"\n" },
	{ "gpu.not-vfio", TO_CT, "ct.node", NULL, CT "device 0000:00:02.0 driver=vfio-pci\n" },
	{ "gpu.nomodeset", TO_CT, "gpu.driver", NULL, CT "replace /proc/cmdline quiet \"quiet nomodeset\"\ndevice 0000:00:02.0 driver=\n" },
	{ "ct.node-exists", TO_CT, NULL, NULL, CT "replace " CT_FILE " renderD128 by-path/pci-0000:03:00.0-render\n" },
	{ "ct.gid", TO_CT, NULL, "gid=106", CT "replace " CT_FILE " gid=106 gid=104\n" },
	{ "ct.cgroup-v1", TO_CT, "ct.raw-allow", NULL, CT RAW_V1 },
	{ "", TO_CT, "ct.cgroup-v1", NULL, CT RAW_V1 "replace /proc/cmdline quiet \"quiet systemd.unified_cgroup_hierarchy=0\"\n"
		"drop " CT_FILE " unprivileged*\nnode /dev/dri/renderD128 c 226 128 gid=106\n" },
	{ "ct.nvidia-uvm", "gpu=0000:0e:00.0 into=ct/105", "ct.node-exists", "pve-guests.service", "base twins\n"
		"device 0000:0e:00.0 driver=nvidia\ndevice 0000:01:00.0 driver=nvidia\nnvidia 550.163.01 nouvm\nreplace " CT_FILE
		" \"features:\" \"dev0: /dev/nvidia1\\ndev1: /dev/nvidiactl\\ndev2: /dev/nvidia-uvm\\nfeatures:\"\n"
		"guest ct/105 stopped\n" },
	{ "vm.mapping", TO_VM, "vm.hostpci", "Resource Mappings",
		"base pve9-mapping\nreplace /etc/pve/mapping/pci.cfg node=pve node=pve2\nguest vm/100 stopped\n" },
	{ "vm.mapping", TO_VM, NULL, NULL,
		"base pve9-mapping\nreplace /etc/pve/mapping/pci.cfg iommugroup=16 iommugroup=14\nguest vm/100 stopped\n" },
	{ "inside.driver", TO_VM, "inside.secure-boot", NULL, READY "target vm/100\ndevice 0000:00:10.0 driver=nouveau\nnvidia none\n" },
	{ "inside.secure-boot", TO_VM, "inside.driver", NULL, READY "target vm/100\ndevice 0000:00:10.0 driver=\nnvidia none\n"
		"run dmesg\n\t[    4.9] Loading of module failed: Key was rejected by service\n" },
	{ "inside.branch", TO_VM, "inside.driver", "580", READY "device 0000:01:00.0 10de:1b80\ntarget vm/100\n"
		"device 0000:00:10.0 10de:1b80 driver=\nnvidia 590.48.01 user=590.48.01\n" },
	{ "inside.flavour", TO_VM, "inside.nvidia-messages", "-open", READY "device 0000:01:00.0 10de:2d04\ntarget vm/100\n"
		"device 0000:00:10.0 10de:2d04\nnvidia 580.95.05 user=580.95.05\n" },
	{ "inside.nvidia-userspace", TO_VM, "inside.nvidia-smi", NULL, READY "target vm/100\nnvidia 580.95.05 open user=580.105.08\n" },
	{ "inside.toolkit", TO_VM, "inside.docker-runtime", NULL, READY "target vm/100\npackage nvidia-container-toolkit -\n"
		"run nvidia-ctk --version missing\ndocker 28.5.1 cgroup=cgroupfs runtimes=runc\n" },
};

static bool cure_fits(const char *cure, const char *wanted)
{
	if (!wanted)
		return true;
	return *wanted == '!' ? !strstr(cure, wanted + 1) : strstr(cure, wanted) != NULL;
}

static void test_troubles(void **state)
{
	(void)state;
	unsigned failed = 0;
	for (size_t i = 0; i < COUNT(troubles); i++) {
		const struct trouble *trouble = &troubles[i];
		struct chain chain;
		chain_open(&chain, trouble->machine, trouble->goal);
		const struct finding *first = chain.report.first_broken;
		const struct finding *follows =
			trouble->not_broken ? chain_find(&chain, trouble->not_broken, VERDICT_BROKEN) : NULL;
		if (strcmp(first ? first->rule->id : "", trouble->first) != 0) {
			print_error("trouble %zu: first is %s (%s) instead of %s\n%s\n", i, first ? first->rule->id : "none",
				first ? first->why : "", trouble->first, trouble->machine);
			failed++;
		} else if (follows && follows->verdict == VERDICT_BROKEN) {
			print_error("trouble %zu: %s only follows: %s\n", i, trouble->not_broken, follows->why);
			failed++;
		} else if (first && !cure_fits(first->cure, trouble->cure)) {
			print_error("trouble %zu: the cure is not \"%s\":\n%s\n", i, trouble->cure, first->cure);
			failed++;
		}
		chain_close(&chain);
	}
	assert_int_equal(failed, 0);
}

/* ---- every rule has a machine that breaks it, and one that holds it ------------------------------------------- */

enum { RULES_MAX = 256 };

struct seen {
	const struct rule *rule[RULES_MAX];
	bool holds[RULES_MAX], breaks[RULES_MAX];
	size_t n;
};

static void note(struct seen *seen, const struct rule *rule, enum verdict verdict)
{
	size_t i = 0;
	while (i < seen->n && seen->rule[i] != rule)
		i++;
	if (i == seen->n) {
		assert_true(seen->n < RULES_MAX);
		seen->rule[seen->n++] = rule;
	}
	seen->holds[i] |= verdict == VERDICT_OK;
	seen->breaks[i] |= verdict == VERDICT_WARN || verdict == VERDICT_BROKEN;
	/* a configuration that cannot be read, an inside that cannot be reached: the only way these are not as wished */
	seen->breaks[i] |= verdict == VERDICT_UNKNOWN && (strstr(rule->id, ".known") || strcmp(rule->id, "inside.reached") == 0);
}

static void test_every_rule_has_both_machines(void **state)
{
	(void)state;
	/* where legacy-igd is not used nothing is asked, and where it is used rightly it is still a risk */
	static const char never_holds[] = "vm.legacy-igd";
	static const char *const goals[] = { "", "gpu=nvidia into=vm/100", "gpu=intel into=ct/105", "gpu=0000:03:00.0 into=vm/101",
		"gpu=0000:00:02.0 into=vm/101" };
	struct seen seen = { 0 };
	for (size_t t = 0; rules_tables[t]; t++)
		for (const struct rule *rule = rules_tables[t]; rule->id; rule++)
			note(&seen, rule, VERDICT_SKIPPED);
	for (size_t i = 0; i < COUNT(cases); i++) /* test_chain has seen these */
		note(&seen, rules_find(cases[i].rule), cases[i].verdict);
	for (size_t i = 0; i < COUNT(troubles); i++)
		if (*troubles[i].first)
			note(&seen, rules_find(troubles[i].first), VERDICT_BROKEN);
	for (const struct machine_builtin *machine = machine_builtins; machine->name; machine++)
		for (size_t g = 0; g < COUNT(goals); g++) {
			struct chain chain;
			chain_open(&chain, machine->text, goals[g]);
			for (size_t f = 0; f < chain.report.n; f++)
				note(&seen, chain.report.findings[f].rule, chain.report.findings[f].verdict);
			chain_close(&chain);
		}
	unsigned missing = 0;
	for (size_t i = 0; i < seen.n; i++) {
		const struct rule *rule = seen.rule[i];
		if (seen.holds[i] == text_has_word(never_holds, rule->id, " ") || !seen.breaks[i]) {
			print_error("%s: %s, %s\n", rule->id, seen.holds[i] ? "holds" : "no machine holds it",
				seen.breaks[i] ? "breaks" : "no machine breaks it");
			missing++;
		}
	}
	assert_int_equal(missing, 0);
	assert_true(seen.n > 100);
}

/* ---- a plan that says "as wished" and a chain that is broken do not go together ---------------------------------- */

static bool broken_before_the_guest(const struct report *report)
{
	for (size_t i = 0; i < report->n; i++)
		if (report->findings[i].verdict == VERDICT_BROKEN && report->findings[i].rule->about != ABOUT_INSIDE)
			return true;
	return false;
}

/* Refused, or something is done about it. */
static unsigned contradicts(const char *machine, const char *goal)
{
	struct chain chain;
	struct plan plan;
	chain_open(&chain, machine, goal);
	plan_build(chain.facts, &chain.goal, &chain.arena, &plan);
	bool broken = broken_before_the_guest(&chain.report), as_wished = !plan.n && !plan.n_refused;
	if (broken && as_wished)
		print_error("%s%s: nothing to do, and %s is broken: %s\n", machine, goal,
			chain.report.first_broken->rule->id, chain.report.first_broken->why);
	chain_close(&chain);
	return broken && as_wished;
}

static void test_as_wished_is_not_broken(void **state)
{
	static const char *const goals[] = { TO_VM, TO_CT, "gpu=auto into=vm/101", TO_CT " remove-raw-lxc=true" };
	unsigned failed = 0;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		failed += contradicts(cases[i].machine,
			*cases[i].goal ? cases[i].goal : strstr(cases[i].machine, "ct-ready") ? TO_CT : TO_VM);
	for (size_t i = 0; i < COUNT(troubles); i++)
		failed += contradicts(troubles[i].machine, troubles[i].goal);
	for (const struct machine_builtin *machine = machine_builtins; machine->name; machine++)
		for (size_t g = 0; g < COUNT(goals); g++)
			failed += contradicts(machine->text, goals[g]);
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_chain), cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_troubles), cmocka_unit_test(test_every_rule_has_both_machines),
		cmocka_unit_test(test_as_wished_is_not_broken) };
	return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
