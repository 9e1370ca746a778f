/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A CT that shares a GPU: whole plans on machines of text.
 */
#include "plan/route.h"
#include "planned.h"

static struct facts *facts_of(struct arena *arena, const char *machine)
{
	const struct target inside = { .label = "ct/105", .hop = { { HOP_PCT, "105" } }, .n = 1 };
	const struct facts_want want = { .depth = FACTS_ALL, .also = &inside };
	return planned_facts(arena, machine, &want);
}

/* A file by its last line, a sum without its digits. */
static const char *brief(struct arena *arena, const char *value)
{
	if (!value || !*value)
		return value ? "none" : "?";
	if (strstr(value, "sha256:"))
		return arena_printf(arena, "%.*ssha256", (int)(strstr(value, "sha256:") - value), value);
	size_t size = strlen(value);
	if (value[size - 1] != '\n')
		return value;
	const char *last = value + size - 1;
	while (last > value && last[-1] != '\n')
		last--;
	return arena_strndup(arena, last, strlen(last) - 1);
}

/* One line per step, without the temporary ones. */
static const char *shown(struct arena *arena, const struct plan *plan)
{
	const char *text = arena_printf(arena, "reboots %u\n", plan->reboots);
	for (size_t i = 0; i < plan->n_guest_stops; i++)
		text = arena_printf(arena, "%sstops %s\n", text, plan->guest_stops[i].id);
	for (size_t i = 0; i < plan->n; i++) {
		const struct step *step = &plan->steps[i];
		if (step->temporary)
			continue;
		text = arena_printf(arena, "%s%s %s %s: %s -> %s (%s)\n", text, step->kind, step->on, step->key,
		        brief(arena, step->from), brief(arena, step->to), step->because);
	}
	for (size_t i = 0; i < plan->n_gates; i++)
		text = arena_printf(arena, "%sgate %s\n", text, plan->gates[i].rule);
	for (size_t i = 0; i < plan->n_refused; i++)
		text = arena_printf(arena, "%srefused %s: %s\n", text, plan->refused[i].rule, plan->refused[i].why);
	return text;
}

#define FILE_105 "/etc/pve/lxc/105.conf"
#define CT "base intel-uhd770-ct\n"
#define READY "base intel-uhd770-ct-ready\n"
#define STOP "stops ct/105\npower ct/105 state: running -> stopped "
#define START "power ct/105 state: stopped -> running "
#define ON_VFIO                                                                                                        \
	"device 0000:00:02.0 8086:4690 class=030000 revision=0c subsystem=1043:8882 group=0 driver=vfio-pci "          \
	"boot_vga=0 reset=flr\nloaded vfio_pci\n"
#define ON_VFIO_BOOT                                                                                                   \
	"device 0000:00:02.0 8086:4690 class=030000 revision=0c subsystem=1043:8882 group=0 driver=vfio-pci "          \
	"boot_vga=1 reset=flr\nloaded vfio_pci\n"
#define A380                                                                                                           \
	"device 0000:03:00.0 8086:56a5 class=030000 revision=05 subsystem=1849:6004 parent=0000:00:01.0 group=20 "     \
	"driver=i915 boot_vga=0 drm=card1,renderD129\n"
#define VFIO_LINES(indent, mark)                                                                                       \
	indent mark "\n" indent "options vfio-pci ids=8086:4690\n" indent "softdep i915 pre: vfio-pci\n"
#define VFIO_CONF(name, mark)                                                                                          \
	"file /etc/modprobe.d/" name "\n" VFIO_LINES("\t", mark) "initramfs /boot/initrd.img-6.8.12-10-pve\n\tmodule " \
	                                                         "vfio_pci vfio_pci_core vfio i915 nvme nvme_core\n"   \
	                                                         "\tfile etc/modprobe.d/" name                         \
	                                                         "\n" VFIO_LINES("\t\t", mark)
#define CARD                                                                                                           \
	"device 0000:01:00.0 10de:2803 class=030000 revision=a1 subsystem=1043:88f5 parent=0000:00:01.0 group=20 "     \
	"boot_vga=0 "
/* As the guides for CTs have it: the nodes are made at every boot. */
#define UVM_BOOT                                                                                                       \
	"file /etc/modules-load.d/nvidia.conf\n\tnvidia-drm\n\tnvidia-uvm\nfile /etc/udev/rules.d/70-nvidia.rules\n"     \
	"\tACTION==\"add\", SUBSYSTEM==\"module\", KERNEL==\"nvidia_uvm\", RUN+=\"/usr/bin/nvidia-modprobe -c0 -u\"\n"
#define NVIDIA(version) CARD "driver=nvidia drm=card1,renderD129\nnvidia " version "\n"
#define NOUVEAU CARD "driver=nouveau drm=card1,renderD129\n"
#define RADEON                                                                                                         \
	"device 0000:01:00.0 1002:73ff class=030000 revision=c7 subsystem=1849:5222 parent=0000:00:01.0 group=20 "     \
	"boot_vga=0 reset=bus driver="
#define JASPER                                                                                                         \
	"device 0000:00:02.0 8086:4e55 class=030000 revision=01 subsystem=1043:8882 group=0 driver=i915 boot_vga=1 "   \
	"reset=flr drm=card0,renderD128\n"

#define NVIDIA_NODES                                                                                                   \
	"config ct/105 dev0: none -> /dev/nvidia0,gid=106,mode=0660 (ct.node)\n"                                       \
	"config ct/105 dev1: none -> /dev/nvidiactl,gid=106,mode=0660 (ct.node)\n"                                     \
	"config ct/105 dev2: none -> /dev/nvidia-uvm,gid=106,mode=0660 (ct.node)\n"                                    \
	"config ct/105 dev3: none -> /dev/nvidia-uvm-tools,gid=106,mode=0660 (ct.node)\n"

#define ON_NOUVEAU "nouveau has the card; encoding in a CT needs NVIDIA's own driver on the node; "
#define BLACKWELL                                                                                                      \
	"device 0000:01:00.0 10de:2d04 class=030000 revision=a1 subsystem=1043:8a11 parent=0000:00:01.0 group=20 "     \
	"boot_vga=0 driver=nouveau drm=card1,renderD129\n"
#define CANDIDATE(name, version) "\t" name ":\n\t  Installed: (none)\n\t  Candidate: " version "\n\t  Version table:\n"
#define APT(answer)                                                                                                    \
	"run apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy nvidia-kernel-dkms "                \
	"nvidia-open-kernel-dkms\n" answer
#define SECURE_BOOT                                                                                                    \
	"file /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c hex mode=0644\n\t06 00 00 00 01\n"
#define DKMS_KEY "30820122300d06092a864886f70d01010105000382010f003082010a0282010100c4" KEY_BYTES KEY_BYTES KEY_BYTES
#define KEY_BYTES "a1b2c3d4e5f60718293a4b5c6d7e8f900112233445566778899aabbccddeeff0a1b2c3d4e5f60718293a4b5c6d7e8f90"
#define MOK(list)                                                                                                      \
	"file /var/lib/dkms/mok.pub hex mode=0644\n\t" DKMS_KEY "\nfile /sys/firmware/efi/mok-variables/MokListRT hex "  \
	"mode=0444\n\ta159c0a5e494a74a87b5ab155c2bf072" list "\n"
#define NVIDIA_VFIO_LINES(indent, mark)                                                                                \
	indent mark "\n" indent "options vfio-pci ids=10de:2803\n" indent "softdep nouveau pre: vfio-pci\n"
#define NVIDIA_VFIO(mark)                                                                                              \
	"file /etc/modprobe.d/gpuferry.conf\n" NVIDIA_VFIO_LINES("\t", mark)                                          \
	"initramfs /boot/initrd.img-6.8.12-10-pve\n\tmodule vfio_pci vfio_pci_core vfio i915 nouveau nvme nvme_core\n"  \
	"\tfile etc/modprobe.d/gpuferry.conf\n" NVIDIA_VFIO_LINES("\t\t", mark)
#define HAVE(version) "\tnvidia-kernel-dkms:\n\t  Installed: " version "\n\t  Candidate: 550.163.01-2\n"
/* by: the rule; also, away, gates: what else is done to the files, said of the images, asked */
#define TAKES(by, also, packages, now, away, gates)                                                                    \
	"reboots 1\nstops ct/105\n" also                                                                              \
	"file node /etc/modprobe.d/gpuferry-nvidia.conf: none -> blacklist nouveau (" by ")\n"                         \
	"file node /etc/udev/rules.d/60-gpuferry.rules: none -> ACTION==\"add\", SUBSYSTEM==\"module\", "               \
	"KERNEL==\"nvidia_uvm\", RUN+=\"/usr/bin/nvidia-modprobe -c 0 -u\" (" by ")\n"                                 \
	"file node /etc/modules-load.d/gpuferry.conf: none -> nvidia_uvm (" by ")\n" packages                          \
	"initramfs node 6.8.12-10-pve: " now " -> " away                                                               \
	"/etc/modprobe.d/gpuferry-nvidia.conf=sha256 (" by ")\n"                                                       \
	"reboot node boot: old -> new (" by ")\n"                                                                      \
	"module node nvidia_uvm: none -> loaded (" by ")\n"                                                            \
	"config ct/105 dev0: none -> /dev/nvidia0,gid=106,mode=0660 (" by ")\n"                                        \
	"config ct/105 dev1: none -> /dev/nvidiactl,gid=106,mode=0660 (" by ")\n"                                      \
	"config ct/105 dev2: none -> /dev/nvidia-uvm,gid=106,mode=0660 (" by ")\n"                                     \
	"config ct/105 dev3: none -> /dev/nvidia-uvm-tools,gid=106,mode=0660 (" by ")\n" START "(" by ")\n"            \
	"confirm node change: open -> confirmed (" by ")\n"                                                            \
	"initramfs node 6.8.12-9-pve: ? -> " away "/etc/modprobe.d/gpuferry-nvidia.conf=sha256 (" by ")\n" gates       \
	"gate gpu.driver\n"
#define PACKAGES(by, package, version)                                                                                 \
	"package node proxmox-headers-6.8.12-10-pve: ? -> installed (" by ")\n"                                        \
	"package node " package ": none -> " version " (" by ")\n"                                                     \
	"hold node " package ": none -> held (" by ")\n"
#define NO_IMAGE "/etc/modprobe.d/gpuferry-nvidia.conf=none sound"
#define INSTALLED(package, version) TAKES("gpu.driver", "", PACKAGES("gpu.driver", package, version), NO_IMAGE, "", "")

/* What older guides have a CT's file say; one line twice, as it happens. */
#define RAW                                                                                                            \
	"\n\tlxc.apparmor.profile: unconfined\n\tlxc.cgroup2.devices.allow: c 226:* rwm\n"                            \
	"\tlxc.cgroup2.devices.allow: a\n\tlxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir\n"          \
	"\tlxc.mount.entry: /dev/fb0 dev/fb0 none bind,optional,create=file\n\tlxc.cgroup2.devices.allow: c 226:* rwm\n"

/* A privileged CT sees the numbers of the node, where the render group is 106 too. */
#define OWN_GROUPS CT "drop " FILE_105 " unprivileged*\nnode /dev/dri/renderD128 c 226 128 gid=106\n"
#define NOBODY                                                                                                         \
	"refused ct.gid: /dev/dri/renderD128 is mounted by hand, and its group (gid 104 on the node) is nobody "       \
	"inside: an unprivileged CT may not use it\n"

static const struct case_of {
	const char *name, *machine, *goal, *plan;
} cases[] = {
	{ "the built-in machine", CT, "gpu=intel into=ct/105",
	        "reboots 0\nconfig ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.node)\n" },
	{ "the same without naming the card", CT, "gpu=auto into=ct/105",
	        "reboots 0\nconfig ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.node)\n" },
	{ "already as wished", READY, "gpu=intel into=ct/105", "reboots 0\n" },
	{ "a stopped CT that is as wished", READY "guest ct/105 stopped\n", "gpu=intel into=ct/105", "reboots 0\n" },
	{ "a wrong group is put right in its place", READY "replace " FILE_105 " gid=106 gid=104\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\n" STOP "(ct.gid)\nconfig ct/105 dev0: /dev/dri/renderD128,gid=104 -> "
	        "/dev/dri/renderD128,gid=106,mode=0660 (ct.gid)\n" START "(ct.gid)\n" },
	{ "what others set beside it stays", READY "replace " FILE_105 " gid=106 gid=104,deny-write=1\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\n" STOP "(ct.gid)\nconfig ct/105 dev0: /dev/dri/renderD128,gid=104,deny-write=1 -> "
	        "/dev/dri/renderD128,deny-write=1,gid=106,mode=0660 (ct.gid)\n" START "(ct.gid)\n" },
	{ "root alone, and the media server is not root", READY "replace " FILE_105 " ,gid=106 \"\"\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\n" STOP "(ct.gid)\nconfig ct/105 dev0: /dev/dri/renderD128 -> "
	        "/dev/dri/renderD128,gid=106,mode=0660 (ct.gid)\n" START "(ct.gid)\n" },
	{ "a mode that keeps the group out", READY "replace " FILE_105 " gid=106 gid=106,mode=0600\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\n" STOP "(ct.mode)\nconfig ct/105 dev0: /dev/dri/renderD128,gid=106,mode=0600 -> "
	        "/dev/dri/renderD128,gid=106,mode=0660 (ct.mode)\n" START "(ct.mode)\n" },
	{ "the lowest free line", CT "append " FILE_105 "\n\tdev0: /dev/ttyUSB0,gid=20\n\tdev2: /dev/ttyUSB1\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\nconfig ct/105 dev1: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.node)\n" },
	{ "a line whose node is gone is given anew", CT "append " FILE_105 "\n\tdev0: /dev/dri/renderD129,gid=106\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\n" STOP "(ct.node-exists)\nconfig ct/105 dev0: /dev/dri/renderD129,gid=106 -> "
	        "/dev/dri/renderD128,gid=106,mode=0660 (ct.node-exists)\n" START "(ct.node-exists)\n" },
	{ "no group known", CT "target ct/105\nunreadable /etc/group EACCES\n", "gpu=intel into=ct/105",
	        "reboots 0\nrefused ct.node: the number of the render group inside ct/105 is not known\n" },
	{ "no such group", CT "target ct/105\nfile /etc/group\n\troot:x:0:\n", "gpu=intel into=ct/105",
	        "reboots 0\nrefused ct.node: ct/105 has neither a render nor a video group inside\n" },
	{ "only video", CT "target ct/105\nfile /etc/group\n\troot:x:0:\n\tvideo:x:39:\n", "gpu=intel into=ct/105",
	        "reboots 0\nconfig ct/105 dev0: none -> /dev/dri/renderD128,gid=39,mode=0660 (ct.node)\n" },
	{ "the right line waits for the next start",
	        CT "append " FILE_105 "\n\t\n\t[pve:pending]\n\tdev0: /dev/dri/renderD128,gid=106\n",
	        "gpu=intel into=ct/105", "reboots 0\n" STOP "(ct.pending)\n" START "(ct.pending)\n" },
	{ "what others left pending", CT "append " FILE_105 "\n\t\n\t[pve:pending]\n\tmemory: 8192\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\nconfig ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.node)\n"
	        "refused ct.pending: memory waits for the next start of ct/105, and others set it\n" },
	{ "what others left pending hinders nothing where nothing is to be done",
	        READY "append " FILE_105 "\n\t\n\t[pve:pending]\n\tmemory: 8192\n", "gpu=intel into=ct/105",
	        "reboots 0\n" },
	{ "a raw line that a dev line has taken the place of",
	        READY "append " FILE_105 "\n\tlxc.cgroup2.devices.allow: c 226:128 rwm\n",
	        "gpu=intel into=ct/105 remove-raw-lxc=true",
	        "reboots 0\n" STOP "(ct.raw-allow)\nraw ct/105 lxc: lxc.cgroup2.devices.allow: c 226:128 rwm -> none "
	        "(ct.raw-allow)\n" START "(ct.raw-allow)\n" },
	{ "not asked for, raw lines stay", OWN_GROUPS "append " FILE_105 RAW, "gpu=intel into=ct/105", "reboots 0\n" },
	{ "unless nobody inside may use what they give", CT "append " FILE_105 RAW, "gpu=intel into=ct/105",
	        "reboots 0\n" NOBODY },
	{ "a mapping by hand lets the node's group in", CT "append " FILE_105 RAW "\tlxc.idmap: u 0 100000 65536\n"
	        "\tlxc.idmap: g 0 100000 106\n\tlxc.idmap: g 106 104 1\n\tlxc.idmap: g 107 100107 65429\n",
	        "gpu=intel into=ct/105", "reboots 0\n" },
	{ "and another group than the media server's does not", CT "append " FILE_105 RAW "\tlxc.idmap: u 0 100000 65536\n"
	        "\tlxc.idmap: g 0 100000 104\n\tlxc.idmap: g 104 104 1\n\tlxc.idmap: g 105 100105 65431\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\nrefused ct.gid: a raw lxc line gives /dev/dri/renderD128 to gid 104, which inside is kvm; the "
	        "render group there is 106\n" },
	{ "another card node is not the one that encodes", READY "replace " FILE_105 " renderD128 card0\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\nconfig ct/105 dev1: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.node)\n" },
	{ "raw lines give the card, and others something else", CT "append " FILE_105 RAW,
	        "gpu=intel into=ct/105 remove-raw-lxc=true",
	        "reboots 0\n" STOP "(ct.raw-allow)\n"
	        "raw ct/105 lxc: lxc.apparmor.profile: unconfined\nlxc.cgroup2.devices.allow: c 226:* rwm\n"
	        "lxc.cgroup2.devices.allow: a\nlxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir\n"
	        "lxc.mount.entry: /dev/fb0 dev/fb0 none bind,optional,create=file\nlxc.cgroup2.devices.allow: c 226:* rwm"
	        " -> lxc.apparmor.profile: unconfined\nlxc.cgroup2.devices.allow: a\n"
	        "lxc.mount.entry: /dev/fb0 dev/fb0 none bind,optional,create=file (ct.raw-allow)\n"
	        "config ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.raw-allow)\n" START
	        "(ct.raw-allow)\n" },
	{ "of a second card's nodes the folder and its number stay", CT A380 "append " FILE_105 RAW,
	        "gpu=0000:00:02.0 into=ct/105 remove-raw-lxc=true", "reboots 0\n" NOBODY },
	{ "under another name inside it stays",
	        CT "append " FILE_105 "\n\tlxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD129 none bind\n",
	        "gpu=intel into=ct/105 remove-raw-lxc=true",
	        "reboots 0\nrefused ct.raw-allow: /dev/dri/renderD128 is mounted, but no line allows its number 226:128; "
	        "numbers of nvidia-uvm change from boot to boot\n" NOBODY },
	{ "a mount whose number nobody allows is mended by a dev line",
	        CT "append " FILE_105
	           "\n\tlxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD128 none bind,optional,create=file\n",
	        "gpu=intel into=ct/105 remove-raw-lxc=true",
	        "reboots 0\n" STOP "(ct.raw-allow)\nraw ct/105 lxc: lxc.mount.entry: /dev/dri/renderD128 "
	        "dev/dri/renderD128 none bind,optional,create=file -> none (ct.raw-allow)\n"
	        "config ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.raw-allow)\n" START
	        "(ct.raw-allow)\n" },
	{ "the same, and it shall stay",
	        CT "append " FILE_105
	           "\n\tlxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD128 none bind,optional,create=file\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\nrefused ct.raw-allow: /dev/dri/renderD128 is mounted, but no line allows its number 226:128; "
	        "numbers of nvidia-uvm change from boot to boot\n" NOBODY },
	{ "lines of the old cgroup version", CT "append " FILE_105
	        "\n\tlxc.cgroup.devices.allow: c 226:128 rwm\n"
	        "\tlxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD128 none bind,optional,create=file\n",
	        "gpu=intel into=ct/105 remove-raw-lxc=true",
	        "reboots 0\n" STOP "(ct.raw-allow)\nraw ct/105 lxc: lxc.cgroup.devices.allow: c 226:128 rwm\n"
	        "lxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD128 none bind,optional,create=file -> none "
	        "(ct.raw-allow)\n"
	        "config ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.raw-allow)\n" START
	        "(ct.raw-allow)\n" },
	{ "NVIDIA's raw lines",
	        CT NVIDIA("550.163.01") UVM_BOOT "append " FILE_105
	           "\n\tlxc.cgroup2.devices.allow: c 195:* rwm\n\tlxc.cgroup2.devices.allow: c 508:* rwm\n"
	           "\tlxc.cgroup2.devices.allow: c 234:* rwm\n"
	           "\tlxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind,optional,create=file\n"
	           "\tlxc.mount.entry: /dev/nvidiactl dev/nvidiactl none bind,optional,create=file\n"
	           "\tlxc.mount.entry: /dev/nvidia-uvm dev/nvidia-uvm none bind,optional,create=file\n",
	        "gpu=nvidia into=ct/105 remove-raw-lxc=true",
	        "reboots 0\n" STOP "(ct.raw-allow)\nraw ct/105 lxc: lxc.cgroup2.devices.allow: c 195:* rwm\n"
	        "lxc.cgroup2.devices.allow: c 508:* rwm\nlxc.cgroup2.devices.allow: c 234:* rwm\n"
	        "lxc.mount.entry: /dev/nvidia0 dev/nvidia0 none bind,optional,create=file\n"
	        "lxc.mount.entry: /dev/nvidiactl dev/nvidiactl none bind,optional,create=file\n"
	        "lxc.mount.entry: /dev/nvidia-uvm dev/nvidia-uvm none bind,optional,create=file"
	        " -> lxc.cgroup2.devices.allow: c 234:* rwm (ct.raw-allow)\n"
	        "config ct/105 dev0: none -> /dev/nvidia0,gid=106,mode=0660 (ct.raw-allow)\n"
	        "config ct/105 dev1: none -> /dev/nvidiactl,gid=106,mode=0660 (ct.raw-allow)\n"
	        "config ct/105 dev2: none -> /dev/nvidia-uvm,gid=106,mode=0660 (ct.raw-allow)\n"
	        "config ct/105 dev3: none -> /dev/nvidia-uvm-tools,gid=106,mode=0660 (ct.raw-allow)\n" START
	        "(ct.raw-allow)\n" },
	{ "none are there", READY, "gpu=intel into=ct/105 remove-raw-lxc=true", "reboots 0\n" },
	{ "what was read of a stopped CT counts too", CT "guest ct/105 stopped\n", "gpu=intel into=ct/105",
	        "reboots 0\nconfig ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.node)\n" },
	{ "a change of a stopped CT stops nothing",
	        READY "guest ct/105 stopped\nreplace " FILE_105 " gid=106 gid=104\n", "gpu=intel into=ct/105",
	        "reboots 0\nconfig ct/105 dev0: /dev/dri/renderD128,gid=104 -> "
	        "/dev/dri/renderD128,gid=106,mode=0660 (ct.gid)\n" },
	{ "vfio-pci has the card", CT ON_VFIO, "gpu=intel into=ct/105",
	        "reboots 0\nmodule node i915: none -> loaded (gpu.not-vfio)\n"
	        "bind node 0000:00:02.0: vfio-pci -> i915 (gpu.not-vfio)\n"
	        "config ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (gpu.not-vfio)\n" },
	{ "a VM is to have it", CT ON_VFIO "file /etc/pve/qemu-server/100.conf\n\thostpci0: 00:02.0\n\tmemory: 2048\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\nrefused gpu.not-vfio: vfio-pci has the card, for a VM: vm/100: so there is no /dev/dri or "
	        "/dev/nvidia node for a CT\n" },
	{ "others bind it early", CT ON_VFIO VFIO_CONF("vfio.conf", ""), "gpu=intel into=ct/105",
	        "reboots 0\nrefused gpu.blacklist: what others wrote keeps the card from its own driver: "
	        "/etc/modprobe.d/vfio.conf, line 2, options vfio-pci ids=8086:4690\n" },
	{ "others bind it early, and that is accepted", CT ON_VFIO VFIO_CONF("vfio.conf", ""),
	        "gpu=intel into=ct/105 accept=gpu.blacklist",
	        "reboots 1\nstops ct/105\n"
	        "file node /etc/modprobe.d/vfio.conf: sha256 -> softdep i915 pre: vfio-pci (gpu.blacklist)\n"
	        "initramfs node 6.8.12-10-pve: /etc/modprobe.d/vfio.conf=sha256 -> /etc/modprobe.d/vfio.conf=sha256 "
	        "(gpu.blacklist)\n"
	        "reboot node boot: old -> new (gpu.blacklist)\n"
	        "config ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (gpu.not-vfio)\n" START
	        "(gpu.blacklist)\n"
	        "confirm node change: open -> confirmed (gpu.blacklist)\n"
	        "initramfs node 6.8.12-9-pve: ? -> /etc/modprobe.d/vfio.conf=sha256 (gpu.blacklist)\n"
	        "gate gpu.not-vfio\ngate gpu.driver\n" },
	{ "an id that another device has too stays", CT ON_VFIO VFIO_CONF("vfio.conf", "")
	        "device 0000:03:00.0 8086:4690 class=030000 revision=0c subsystem=1043:8882 parent=0000:00:01.0 group=20 "
	        "driver=vfio-pci boot_vga=0\n",
	        "gpu=0000:00:02.0 into=ct/105 accept=gpu.blacklist",
	        "reboots 0\nrefused gpu.not-vfio: vfio-pci has the card, for a VM: so there is no /dev/dri or "
	        "/dev/nvidia node for a CT; others set it up so for every boot\n" },
	{ "lines of a guide for VMs, accepted, and the raw lines", "base guide-wrong\n",
	        "gpu=intel into=ct/105 accept=gpu.blacklist remove-raw-lxc=true",
	        "reboots 1\nstops ct/105\n"
	        "file node /etc/modprobe.d/blacklist-gpu.conf: sha256 -> blacklist nvidiafb (gpu.blacklist)\n"
	        "file node /etc/modprobe.d/vfio.conf: sha256 -> options vfio-pci ids=8086:7ad0 disable_vga=1 "
	        "(gpu.blacklist)\n"
	        "initramfs node 6.8.12-10-pve: /etc/modprobe.d/blacklist-gpu.conf=none /etc/modprobe.d/vfio.conf=none sound -> "
	        "/etc/modprobe.d/blacklist-gpu.conf=sha256 (gpu.blacklist)\n"
	        "boot node systemd-boot: ? -> root=ZFS=rpool/ROOT/pve-1 boot=zfs (gpu.blacklist)\n"
	        "reboot node boot: old -> new (gpu.blacklist)\n"
	        "raw ct/105 lxc: lxc.cgroup.devices.allow: c 226:0 rwm\nlxc.cgroup.devices.allow: c 226:128 rwm\n"
	        "lxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir -> none (ct.raw-allow)\n"
	        "config ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.raw-allow)\n" START
	        "(ct.raw-allow)\nconfirm node change: open -> confirmed (gpu.blacklist)\n"
	        "initramfs node 6.8.12-9-pve: ? -> /etc/modprobe.d/blacklist-gpu.conf=sha256 (gpu.blacklist)\n"
	        "gate gpu.not-vfio\ngate gpu.driver\n" },
	{ "we bound it early", CT ON_VFIO VFIO_CONF("gpuferry.conf", "# gpuferry"), "gpu=intel into=ct/105",
	        "reboots 1\nstops ct/105\nfile node /etc/modprobe.d/gpuferry.conf: sha256 -> none (gpu.not-vfio)\n"
	        "initramfs node 6.8.12-10-pve: /etc/modprobe.d/gpuferry.conf=sha256 -> "
	        "/etc/modprobe.d/gpuferry.conf=none sound (gpu.not-vfio)\n"
	        "reboot node boot: old -> new (gpu.not-vfio)\n"
	        "config ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (gpu.not-vfio)\n" START
	        "(gpu.not-vfio)\n"
	        "confirm node change: open -> confirmed (gpu.not-vfio)\n"
	        "initramfs node 6.8.12-9-pve: ? -> /etc/modprobe.d/gpuferry.conf=none sound (gpu.not-vfio)\n"
	        "gate gpu.not-vfio\ngate gpu.driver\n" },
	{ "NVIDIA", CT NVIDIA("550.163.01") UVM_BOOT, "gpu=nvidia into=ct/105", "reboots 0\n" NVIDIA_NODES },
	{ "NVIDIA with uvm until the next boot", CT NVIDIA("550.163.01"), "gpu=nvidia into=ct/105",
	        "reboots 0\n"
	        "file node /etc/udev/rules.d/60-gpuferry.rules: none -> ACTION==\"add\", SUBSYSTEM==\"module\", "
	        "KERNEL==\"nvidia_uvm\", RUN+=\"/usr/bin/nvidia-modprobe -c 0 -u\" (ct.nvidia-boot)\n"
	        "file node /etc/modules-load.d/gpuferry.conf: none -> nvidia_uvm (ct.nvidia-boot)\n" NVIDIA_NODES },
	{ "NVIDIA without uvm", CT NVIDIA("550.163.01 nouvm"), "gpu=nvidia into=ct/105",
	        "reboots 0\n"
	        "file node /etc/udev/rules.d/60-gpuferry.rules: none -> ACTION==\"add\", SUBSYSTEM==\"module\", "
	        "KERNEL==\"nvidia_uvm\", RUN+=\"/usr/bin/nvidia-modprobe -c 0 -u\" (ct.nvidia-uvm)\n"
	        "file node /etc/modules-load.d/gpuferry.conf: none -> nvidia_uvm (ct.nvidia-uvm)\n"
	        "module node nvidia_uvm: none -> loaded (ct.nvidia-uvm)\n" NVIDIA_NODES },
	{ "NVIDIA on nouveau, and nobody could ask apt", CT NOUVEAU, "gpu=nvidia into=ct/105",
	        "reboots 0\nrefused gpu.driver: " ON_NOUVEAU "which driver apt would install could not be asked\n" },
	{ "apt knows no such package", CT NOUVEAU APT(""), "gpu=nvidia into=ct/105",
	        "reboots 0\nrefused gpu.driver: " ON_NOUVEAU "apt knows no package nvidia-kernel-dkms\n" },
	{ "a driver from before the card", CT NOUVEAU APT(CANDIDATE("nvidia-kernel-dkms", "470.256.02-2")),
	        "gpu=nvidia into=ct/105",
	        "reboots 0\nrefused gpu.driver: " ON_NOUVEAU "apt has nvidia-kernel-dkms 470.256.02-2, which does not, or not "
	        "surely, serve this card\n" },
	{ "Secure Boot refuses what DKMS builds",
	        CT NOUVEAU APT(CANDIDATE("nvidia-kernel-dkms", "535.247.01-1")) SECURE_BOOT, "gpu=nvidia into=ct/105",
	        "reboots 0\nrefused gpu.driver: " ON_NOUVEAU "Secure Boot is on, and refuses a module that DKMS builds until "
	        "its key is enrolled\n" },
	{ "Secure Boot trusts other keys than DKMS's",
	        CT NOUVEAU APT(CANDIDATE("nvidia-kernel-dkms", "535.247.01-1")) SECURE_BOOT MOK("00"), "gpu=nvidia into=ct/105",
	        "reboots 0\nrefused gpu.driver: " ON_NOUVEAU "Secure Boot is on, and refuses a module that DKMS builds until "
	        "its key is enrolled\n" },
	{ "Secure Boot trusts DKMS's key",
	        CT NOUVEAU APT(CANDIDATE("nvidia-kernel-dkms", "535.247.01-1")) SECURE_BOOT MOK("00" DKMS_KEY "00"),
	        "gpu=nvidia into=ct/105", INSTALLED("nvidia-kernel-dkms", "535.247.01-1") },
	{ "installed, but not built", CT NOUVEAU APT(HAVE("535.247.01-1")) "file /usr/src/linux-headers-6.8.12-10-pve/.config\n\tx\n",
	        "gpu=nvidia into=ct/105",
	        "reboots 0\nrefused gpu.driver: " ON_NOUVEAU "nvidia-kernel-dkms 535.247.01-1 is installed, but there is no "
	        "module of it for kernel 6.8.12-10-pve: dkms status says why\n" },
	{ "installed and held back by nouveau",
	        CT NOUVEAU APT(HAVE("535.247.01-1")) "append /usr/lib/modules/6.8.12-10-pve/modules.alias\n"
	        "\talias pci:v000010DEd*sv*sd*bc03sc00i* nvidia\n",
	        "gpu=nvidia into=ct/105",
	        TAKES("gpu.driver", "", "hold node nvidia-kernel-dkms: ? -> held (gpu.driver)\n", NO_IMAGE, "", "") },
	{ "vfio-pci has it by what we wrote, and no driver is there",
	        CT CARD "driver=vfio-pci\nloaded vfio_pci\n" NVIDIA_VFIO("# gpuferry") APT(CANDIDATE("nvidia-kernel-dkms", "535.247.01-1")),
	        "gpu=nvidia into=ct/105",
	        TAKES("gpu.not-vfio", "file node /etc/modprobe.d/gpuferry.conf: sha256 -> none (gpu.not-vfio)\n",
	                PACKAGES("gpu.not-vfio", "nvidia-kernel-dkms", "535.247.01-1"),
	                "/etc/modprobe.d/gpuferry.conf=sha256", "/etc/modprobe.d/gpuferry.conf=none ", "gate gpu.not-vfio\n") },
	{ "vfio-pci has it by what others wrote, and no driver is there",
	        CT CARD "driver=vfio-pci\nloaded vfio_pci\n" NVIDIA_VFIO("# a guide's") APT(CANDIDATE("nvidia-kernel-dkms", "535.247.01-1")),
	        "gpu=nvidia into=ct/105",
	        "reboots 0\nrefused gpu.not-vfio: vfio-pci has the card, for a VM: so there is no /dev/dri or /dev/nvidia "
	        "node for a CT; others set it up so for every boot\n" },
	{ "vfio-pci has it until the reboot, and no driver is there",
	        CT CARD "driver=vfio-pci\nloaded vfio_pci\n" APT(CANDIDATE("nvidia-kernel-dkms", "535.247.01-1")),
	        "gpu=nvidia into=ct/105",
	        TAKES("gpu.not-vfio", "", PACKAGES("gpu.not-vfio", "nvidia-kernel-dkms", "535.247.01-1"), NO_IMAGE, "", "") },
	{ "a card that only the open module drives",
	        CT BLACKWELL APT(CANDIDATE("nvidia-kernel-dkms", "580.95.05-1")), "gpu=nvidia into=ct/105",
	        "reboots 0\nrefused gpu.driver: " ON_NOUVEAU "apt knows no package nvidia-open-kernel-dkms\n" },
	{ "the driver is installed", CT NOUVEAU APT(CANDIDATE("nvidia-kernel-dkms", "535.247.01-1")),
	        "gpu=nvidia into=ct/105", INSTALLED("nvidia-kernel-dkms", "535.247.01-1") },
	{ "the open one, where no other will do", CT BLACKWELL APT(CANDIDATE("nvidia-open-kernel-dkms", "580.95.05-1")),
	        "gpu=nvidia into=ct/105", INSTALLED("nvidia-open-kernel-dkms", "580.95.05-1") },
	{ "HuC", CT JASPER, "gpu=intel into=ct/105",
	        "reboots 1\nstops ct/105\nfile node /etc/modprobe.d/gpuferry.conf: none -> options i915 enable_guc=2 "
	        "(gpu.huc)\n"
	        "initramfs node 6.8.12-10-pve: /etc/modprobe.d/gpuferry.conf=none sound -> "
	        "/etc/modprobe.d/gpuferry.conf=sha256 (gpu.huc)\n"
	        "reboot node boot: old -> new (gpu.huc)\n"
	        "config ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.node)\n" START "(gpu.huc)\n"
	        "confirm node change: open -> confirmed (gpu.huc)\n"
	        "initramfs node 6.8.12-9-pve: ? -> /etc/modprobe.d/gpuferry.conf=sha256 (gpu.huc)\n"
	        "gate gpu.huc\n" },
	{ "the right line waits behind a wrong one",
	        READY "replace " FILE_105 " gid=106 gid=104\nappend " FILE_105
	              "\n\t\n\t[pve:pending]\n\tdev0: /dev/dri/renderD128,gid=106\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\n"
	        "stops ct/105\n"
	        "power ct/105 state: running -> stopped (ct.pending)\n"
	        "power ct/105 state: stopped -> running (ct.pending)\n" },
	{ "the line waits to be deleted", READY "append " FILE_105 "\n\t\n\t[pve:pending]\n\tdelete: dev0\n",
	        "gpu=intel into=ct/105",
	        "reboots 0\n"
	        "config ct/105 dev0: none -> /dev/dri/renderD128,gid=106 (ct.pending)\n" },
	{ "AMD", CT RADEON "amdgpu drm=card1,renderD129\n", "gpu=amd into=ct/105",
	        "reboots 0\nconfig ct/105 dev0: none -> /dev/dri/renderD129,gid=106,mode=0660 (ct.node)\n" },
	{ "AMD on vfio-pci", CT RADEON "vfio-pci\nloaded vfio_pci\n", "gpu=amd into=ct/105",
	        "reboots 0\nmodule node amdgpu: none -> loaded (gpu.not-vfio)\n"
	        "bind node 0000:01:00.0: vfio-pci -> amdgpu (gpu.not-vfio)\n"
	        "config ct/105 dev0: none -> /dev/dri/renderD129,gid=106,mode=0660 (gpu.not-vfio)\n" },
	{ "another card is given too", READY A380, "gpu=0000:03:00.0 into=ct/105",
	        "reboots 0\n"
	        "config ct/105 dev1: none -> /dev/dri/renderD129,gid=106,mode=0660 (ct.node)\n" },
	{ "the card that shows the screen cannot be given back now",
	        CT "replace /proc/cmdline quiet quiet\n" ON_VFIO_BOOT, "gpu=intel into=ct/105",
	        "reboots 0\n"
	        "refused gpu.not-vfio: vfio-pci cannot give 0000:00:02.0 back now: it is the display the node boots "
	        "on\n" },
	{ "what we wrote would take the card at the next boot", READY VFIO_CONF("gpuferry.conf", "# gpuferry"),
	        "gpu=intel into=ct/105",
	        "reboots 1\n"
	        "stops ct/105\n"
	        "file node /etc/modprobe.d/gpuferry.conf: sha256 -> none (gpu.next-boot)\n"
	        "initramfs node 6.8.12-10-pve: /etc/modprobe.d/gpuferry.conf=sha256 -> "
	        "/etc/modprobe.d/gpuferry.conf=none sound (gpu.next-boot)\n"
	        "reboot node boot: old -> new (gpu.next-boot)\n"
	        "power ct/105 state: stopped -> running (gpu.next-boot)\n"
	        "confirm node change: open -> confirmed (gpu.next-boot)\n"
	        "initramfs node 6.8.12-9-pve: ? -> /etc/modprobe.d/gpuferry.conf=none sound (gpu.next-boot)\n"
	        "gate gpu.not-vfio\n"
	        "gate gpu.driver\n" },
	{ "whole folders by raw lines", "base guide-wrong\n", "gpu=intel into=ct/105",
	        "reboots 0\n"
	        "refused gpu.blacklist: what others wrote keeps the card from its own driver: "
	        "/etc/modprobe.d/blacklist-gpu.conf, line 1, blacklist i915; /etc/modprobe.d/vfio.conf, line 1, options vfio-pci ids=8086:4690,8086:7ad0 disable_vga=1\n"
	        "refused ct.cgroup-v1: the devices are allowed by lxc.cgroup.devices only, which Proxmox VE 7 and "
	        "newer (cgroup version 2) do not read: access is denied\n"
	        "refused ct.gid: a raw lxc line gives /dev/dri/renderD128 to gid 104, which inside is ssl-cert; the render "
	        "group there is 106\n" },
	{ "another kernel boots next, without headers for NVIDIA's module",
	        CT NVIDIA("550.163.01") UVM_BOOT "file /proc/sys/kernel/osrelease\n\t6.8.12-9-pve\n", "gpu=nvidia into=ct/105",
	        "reboots 0\npackage node proxmox-headers-6.8.12-10-pve: ? -> installed (gpu.headers)\n" NVIDIA_NODES },
	{ "the word on the command line outdoes the file",
	        CT JASPER "replace /etc/default/grub quiet \"quiet i915.enable_guc=0\"\n", "gpu=intel into=ct/105",
	        "reboots 1\n"
	        "stops ct/105\n"
	        "file node /etc/default/grub.d/gpuferry.cfg: none -> "
	        "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT i915.enable_guc=2\" (gpu.huc)\n"
	        "boot node grub: root=/dev/mapper/pve-root ro quiet -> quiet i915.enable_guc=0 i915.enable_guc=2 "
	        "(gpu.huc)\n"
	        "reboot node boot: old -> new (gpu.huc)\n"
	        "config ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.node)\n"
	        "power ct/105 state: stopped -> running (gpu.huc)\n"
	        "confirm node change: open -> confirmed (gpu.huc)\n"
	        "gate gpu.huc\n" },
	{ "another VM is configured for it",
	        CT "file /etc/pve/qemu-server/100.conf\n\thostpci0: 00:02.0\n\tmemory: 2048\n", "gpu=intel into=ct/105",
	        "reboots 0\n"
	        "config ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.node)\n" },
	{ "a template", CT "append " FILE_105 "\n\ttemplate: 1\n", "gpu=intel into=ct/105",
	        "reboots 0\nconfig ct/105 dev0: none -> /dev/dri/renderD128,gid=106,mode=0660 (ct.node)\n"
	        "refused goal.guest: ct/105 is a template\n" },
};

static void plans(void **state)
{
	size_t failed = 0;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct facts *facts = facts_of(&arena, cases[i].machine);
		struct goal goal = planned_goal(&arena, cases[i].goal);
		struct plan plan;
		plan_build(facts, &goal, &arena, &plan);
		for (size_t r = 0; r < plan.n_refused; r++)
			assert_non_null(plan.refused[r].cure);
		const char *text = shown(&arena, &plan), *want = cases[i].plan;
		if (strcmp(text, want) != 0) {
			print_error("%s: the plan is\n%s\nand not\n%s", cases[i].name, text, want);
			failed++;
		}
	}
	assert_int_equal(failed, 0);
}

/* By process and by CT; the CT that gets the card is not among them. */
static void losers(void **state)
{
	static const char *const wanted[] = { "ffmpeg (pid 4000) has /dev/dri/renderD129 open: it loses the card.",
		"ct/106 is given the card too: it loses it." };
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct facts *facts = facts_of(&arena,
	        CT NOUVEAU APT(CANDIDATE("nvidia-kernel-dkms", "535.247.01-1")) "process 4000 ffmpeg open=/dev/dri/renderD129\n"
	        "file /etc/pve/lxc/106.conf\n\tarch: amd64\n\tdev0: /dev/dri/renderD129,gid=44\n\thostname: other\n");
	struct goal goal = planned_goal(&arena, "gpu=nvidia into=ct/105");
	struct plan plan;
	plan_build(facts, &goal, &arena, &plan);
	assert_int_equal(plan.n_refused, 0);
	for (size_t w = 0; w < COUNT(wanted); w++) {
		size_t at = 0;
		while (at < plan.notes.n && strcmp(plan.notes.word[at], wanted[w]) != 0)
			at++;
		if (at == plan.notes.n)
			fail_msg("not told: %s", wanted[w]);
	}
	for (size_t i = 0; i < plan.notes.n; i++)
		assert_null(strstr(plan.notes.word[i], "ct/105 is given"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans),
		cmocka_unit_test(losers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
