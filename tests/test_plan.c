/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Plans on whole machines, as text; and what must hold of every plan on every machine.
 */
#include "plan/route.h"
#include "planned.h"

struct made {
	struct arena *arena;
	struct facts *facts;
	struct goal goal;
	struct plan plan;
};

static struct facts *facts_of(struct arena *arena, const char *machine)
{
	static const struct facts_want want = { .depth = FACTS_ALL | FACTS_OLD_KERNELS };
	return planned_facts(arena, machine, &want);
}

static struct made made(struct arena *arena, const char *machine, const char *goal)
{
	struct made made = { .arena = arena, .facts = facts_of(arena, machine), .goal = planned_goal(arena, goal) };
	plan_build(made.facts, &made.goal, arena, &made.plan);
	return made;
}

static const char *brief(struct arena *arena, const char *value)
{
	if (!value)
		return "?";
	if (!*value)
		return "none";
	const char *end = strchr(value, '\n');
	if (end)
		return arena_printf(arena, "%.*s...", (int)(end - value), value);
	const char *sum = strstr(value, "sha256:");
	if (sum && strlen(sum) > 20 && sum == value)
		return arena_printf(arena, "%.12s", value);
	return value;
}

/* One line per step, as the goldens have it. */
static const char *shown(struct arena *arena, const struct plan *plan)
{
	const char *text = arena_printf(arena, "reboots %u\n", plan->reboots);
	for (size_t i = 0; i < plan->n_warnings; i++)
		text = arena_printf(arena, "%swarns %s: %s\n", text, plan->warnings[i].rule, plan->warnings[i].why);
	for (size_t i = 0; i < plan->n_guest_stops; i++)
		text = arena_printf(arena, "%sstops %s\n", text, plan->guest_stops[i].id);
	for (size_t i = 0; i < plan->n; i++) {
		const struct step *step = &plan->steps[i];
		text = arena_printf(arena, "%s%s %s %s: %s -> %s (%s)%s\n", text, step->kind, step->on, step->key,
		        brief(arena, step->from), brief(arena, step->to), step->because,
		        step->temporary ? " temporary" : "");
	}
	for (size_t i = 0; i < plan->n_gates; i++)
		text = arena_printf(arena, "%sgate %s\n", text, plan->gates[i].rule);
	for (size_t i = 0; i < plan->n_refused; i++)
		text = arena_printf(arena, "%srefused %s: %s\n", text, plan->refused[i].rule, plan->refused[i].why);
	return text;
}

/* ---- whole plans ---- */

#define UNITS(rule)                                                                                                    \
	"file node /etc/systemd/system/gpuferry-revert.service: none -> # Made by gpuferry for one change; goes away "    \
	"when that is confirmed (gpuferry apply --confirm).... (" rule ") temporary\n"                     \
	"link node /etc/systemd/system/sysinit.target.wants/gpuferry-revert.service: none -> "                            \
	"/etc/systemd/system/gpuferry-revert.service (" rule ") temporary\n"                                           \
	"directory node /etc/systemd/system/emergency.target.wants: none -> there (" rule ") temporary\n"                 \
	"link node /etc/systemd/system/emergency.target.wants/gpuferry-revert.service: none -> "                          \
	"/etc/systemd/system/gpuferry-revert.service (" rule ") temporary\n"                                           \
	"directory node /etc/systemd/system/rescue.target.wants: none -> there (" rule ") temporary\n"                    \
	"link node /etc/systemd/system/rescue.target.wants/gpuferry-revert.service: none -> "                             \
	"/etc/systemd/system/gpuferry-revert.service (" rule ") temporary\n"                                           \
	"file node /etc/systemd/system/gpuferry-resume.service: none -> # Made by gpuferry for one change; goes away "    \
	"when that is confirmed (gpuferry apply --confirm).... (" rule ") temporary\n"                     \
	"link node /etc/systemd/system/multi-user.target.wants/gpuferry-resume.service: none -> "                         \
	"/etc/systemd/system/gpuferry-resume.service (" rule ") temporary\n"
#define BIND(address, driver) "bind node " address ": " driver " -> vfio-pci (vm.hostpci)\n"
#define HANDOVER(vm, value, binds)                                                                                     \
	"reboots 0\n"                                                                                                  \
	"stops " vm "\n"                                                                                               \
	"power " vm " state: running -> stopped (vm.hostpci)\n"                                                        \
	"module node vfio_pci: none -> loaded (vm.hostpci)\n" binds                                                    \
	"config " vm " hostpci0: none -> " value " (vm.hostpci)\n"                                                     \
	"config " vm " balloon: none -> 0 (vm.balloon)\n"                                                              \
	"power " vm " state: stopped -> running (vm.hostpci)\n"

static const struct golden {
	const char *machine, *goal, *plan;
} goldens[] = {
	{ "base amd-4060ti\n", "gpu=nvidia into=vm/100", HANDOVER("vm/100", "0000:01:00", BIND("0000:01:00.0", "nouveau") BIND("0000:01:00.1", "snd_hda_intel")) },
	{ "base amd-4060ti-ready\n", "gpu=nvidia into=vm/100", "reboots 0\n" },
	{ "base pve9-mapping\n", "gpu=nvidia into=vm/100", "reboots 0\n" },
	{ "base intel-zfs-a380\n", "gpu=0000:03:00.0 into=vm/101", HANDOVER("vm/101", "0000:03:00.0", BIND("0000:03:00.0", "i915")) },
	{ "base twins\n", "gpu=0000:01:00.0 into=vm/100", HANDOVER("vm/100", "0000:01:00", BIND("0000:01:00.0", "nouveau") BIND("0000:01:00.1", "snd_hda_intel")) },
	{ "base shared-slot\n", "gpu=nvidia into=vm/100",
	        HANDOVER("vm/100", "0000:06:00", BIND("0000:06:00.0", "nouveau") BIND("0000:06:00.1", "snd_hda_intel")) "refused gpu.group-needs: with the card the node would lose default "
	                                         "route by vmbr0 over enp5s0 (0000:05:00.0), because they share a "
	                                         "group\n" },
	{ "base iommu-off\n", "gpu=nvidia into=vm/100",
	        "reboots 1\n"
	        "stops vm/100\n" UNITS("node.iommu")
	                "file node /etc/default/grub.d/gpuferry.cfg: none -> # gpuferry: words that a GPU needs on its "
	                "way into a guest. gpuferry rollback takes them away.... (node.iommu)\n"
	                "boot node grub: root=/dev/mapper/pve-root ro quiet intel_iommu=off -> quiet intel_iommu=off "
	                "intel_iommu=on (node.iommu)\n"
	                "reboot node boot: old -> new (node.iommu)\n"
	                "config vm/100 hostpci0: none -> 0000:01:00 (vm.hostpci)\n"
	                "config vm/100 balloon: none -> 0 (vm.balloon)\n"
	                "power vm/100 state: stopped -> running (vm.hostpci)\n"
	                "confirm node change: open -> confirmed (node.iommu)\n"
	                "gate node.iommu\n"
	                "gate node.interrupt-remapping\n"
	                "gate gpu.group-needs\n"
	                "gate gpu.group\n"
	                "gate gpu.acs\n"
	                "gate vm.address-width\n" },
};

static void whole_plans(void **state)
{
	size_t failed = 0;
	(void)state;
	for (size_t i = 0; i < COUNT(goldens); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct made one = made(&arena, goldens[i].machine, goldens[i].goal);
		const char *text = shown(&arena, &one.plan);
		if (strcmp(text, goldens[i].plan) != 0)
			print_error("%s%s: the plan is\n%s\nand not\n%s", goldens[i].machine, goldens[i].goal, text,
			        goldens[i].plan);
		failed += strcmp(text, goldens[i].plan) != 0;
	}
	assert_int_equal(failed, 0);
}

/* ---- what single plans must hold ---- */

#define GUIDES "base amd-4060ti\n"
#define FILE_100 "/etc/pve/qemu-server/100.conf"
#define RADEON                                                                                                         \
	GUIDES "device 0000:01:00.0 1002:73ff class=030000 revision=c7 subsystem=1849:5222 parent=0000:00:01.1 group=12 " \
	       "driver=amdgpu boot_vga=0 reset=bus drm=card1,renderD129\n"                                             \
	       "device 0000:01:00.1 1002:ab28 class=040300 subsystem=1002:ab28 parent=0000:00:01.1 group=12 "           \
	       "driver=snd_hda_intel\n"
#define HELD "process 4000 ffmpeg open=/dev/dri/renderD129\n"

static const struct case_of {
	const char *name, *machine, *goal;
	unsigned reboots;
	const char *holds[8]; /* lines' parts that are there, in this order */
	const char *not;      /* a part that is not */
} cases[] = {
	{ "a stopped VM stays stopped", GUIDES "guest vm/100 stopped\n", "gpu=nvidia into=vm/100", 0,
	        { "reboots 0\nconfig vm/100 hostpci0: none -> 0000:01:00" }, "power" },
	{ "balloon that is off is not touched", GUIDES "append " FILE_100 "\n\tballoon: 0\n", "gpu=nvidia into=vm/100",
	        0, { "hostpci0" }, "balloon" },
	{ "pcie only on q35", GUIDES "append " FILE_100 "\n\tmachine: q35\n", "gpu=nvidia into=vm/100", 0,
	        { "hostpci0: none -> 0000:01:00,pcie=1 " }, NULL },
	{ "the lowest free line", GUIDES "append " FILE_100 "\n\thostpci0: 0000:0b:00.0\n", "gpu=nvidia into=vm/100", 0,
	        { "hostpci1: none -> 0000:01:00 " }, NULL },
	{ "pcie on a pc machine is taken back", "base amd-4060ti-ready\nreplace " FILE_100 " 0000:01:00 0000:01:00,pcie=1\n",
	        "gpu=nvidia into=vm/100", 0, { "power", "hostpci0: 0000:01:00,pcie=1 -> 0000:01:00 (vm.pcie)", "power" },
	        "refused" },
	{ "legacy-igd on q35 is taken back", "base guide-wrong\nguest ct/105 stopped\nremove /etc/pve/lxc/105.conf\n",
	        "gpu=intel into=vm/101", 1,
	        { "hostpci0: 0000:00:02,legacy-igd=1,pcie=1,rombar=0,x-vga=1 -> 0000:00:02,pcie=1 (vm.legacy-igd)" },
	        "x-vga=1 (" },
	{ "affinity and huge pages", GUIDES, "gpu=nvidia into=vm/100 affinity=0-3 hugepages=1024", 0,
	        { "hostpci0", "affinity: none -> 0-3", "hugepages: none -> 1024", "numa: 0 -> 1" }, "refused" },
	{ "affinity alone restarts", "base amd-4060ti-ready\n", "gpu=nvidia into=vm/100 affinity=0-3", 0,
	        { "power", "affinity: none -> 0-3", "power" }, "refused" },
	{ "a mapping where there are some", GUIDES "file /etc/pve/mapping/pci.cfg\n\tnic\n\t\tmap "
	                                            "id=10ec:8125,iommugroup=15,node=pve,path=0000:05:00.0\n",
	        "gpu=nvidia into=vm/100", 0,
	        { "mapping node gpu-10de-2803: none -> "
	          "node=pve,path=0000:01:00,id=10de:2803,subsystem-id=1043:88f5,iommugroup=12",
	                "hostpci0: none -> mapping=gpu-10de-2803" },
	        "refused" },
	{ "its mapping where there is one", GUIDES "file /etc/pve/mapping/pci.cfg\n\tcard\n\t\tmap "
	                                           "id=10de:2803,iommugroup=12,node=pve,path=0000:01:00,subsystem-id="
	                                           "1043:88f5\n",
	        "gpu=nvidia into=vm/100", 0, { "hostpci0: none -> mapping=card" }, "mapping node" },
	{ "a mapping of changed hardware is put right",
	        "base pve9-mapping\nreplace /etc/pve/mapping/pci.cfg iommugroup=16 iommugroup=15\n",
	        "gpu=nvidia into=vm/100", 0,
	        { "mapping node gpu0: ? -> node=pve,path=0000:01:00,id=10de:2803,subsystem-id=1043:88f5,iommugroup=16" },
	        "refused" },
	{ "a lock", GUIDES "append " FILE_100 "\n\tlock: backup\n", "gpu=nvidia into=vm/100", 0, { "refused vm.lock" }, NULL },
	{ "what others left pending", GUIDES "append " FILE_100 "\n\t\n\t[PENDING]\n\tcores: 4\n",
	        "gpu=nvidia into=vm/100", 0, { "refused vm.pending: cores waits" }, NULL },
	{ "the same, pending", GUIDES "append " FILE_100 "\n\t\n\t[PENDING]\n\thostpci0: 0000:01:00\n",
	        "gpu=nvidia into=vm/100", 0, { "power", "balloon", "power" }, "refused" },
	{ "lines that PVE would drop", GUIDES "append " FILE_100 "\n\tthis is no setting\n", "gpu=nvidia into=vm/100", 0,
	        { "refused vm.known: Proxmox would drop line 18 of " FILE_100 " at its next write, because it is no setting: this is no setting" }, NULL },
	{ "a key that PVE does not know", GUIDES "append " FILE_100 "\n\tsuspended: 1\n", "gpu=nvidia into=vm/100", 0,
	        { "refused vm.known: Proxmox would drop line 18", "unknown setting 'suspended': suspended: 1" }, NULL },
	{ "a key that stands twice", GUIDES "append " FILE_100 "\n\tcores: 2\n", "gpu=nvidia into=vm/100", 0,
	        { "refused vm.known: Proxmox would drop line", "because a later line sets it again: cores: 8" }, NULL },
	{ "a card's line that PVE does not take", GUIDES "append " FILE_100 "\n\thostpci0: 0000:01:00,foo=1\n",
	        "gpu=nvidia into=vm/100", 0, { "refused vm.known: Proxmox would drop line 18", "hostpci0.foo" }, NULL },
	{ "a dev line with which the CT does not start",
	        "base intel-uhd770-ct-ready\nreplace /etc/pve/lxc/105.conf gid=106 gid=104,foo=1\n", "gpu=intel into=ct/105",
	        0, { "refused ct.dev-valid: Proxmox does not start the CT with dev0 (/dev/dri/renderD128,gid=104,foo=1): "
	             "dev0.foo: property is not defined in schema" }, "config" },
	{ "a template", GUIDES "append " FILE_100 "\n\ttemplate: 1\n", "gpu=nvidia into=vm/100", 0,
	        { "refused goal.guest: vm/100 is a template" }, NULL },
	{ "another VM runs with it", GUIDES "file /etc/pve/qemu-server/102.conf\n\thostpci0: 01:00\n\tmemory: 2048\n"
	                                    "guest vm/102 running pid=1900 open=/dev/kvm\n",
	        "gpu=nvidia into=vm/100", 0, { "refused vm.one-holder: vm/102 would lose the card" }, NULL },
	{ "no firmware IOMMU", "base iommu-off\niommu off tables=none\n", "gpu=nvidia into=vm/100", 0,
	        { "refused node.firmware-iommu" }, "gpuferry.cfg" },
	{ "a word that no later one outdoes", GUIDES "iommu off tables=IVRS\nreplace /proc/cmdline quiet \"quiet amd_iommu=off\"\n"
	                                             "replace /etc/default/grub quiet \"quiet amd_iommu=off\"\n",
	        "gpu=nvidia into=vm/100", 0, { "refused node.iommu: amd_iommu=off stands on the command line" },
	        "gpuferry.cfg" },
	{ "a word that was taken away, but not from the menu",
	        "base iommu-off\nreplace /etc/default/grub \" intel_iommu=off\" \"\"\n", "gpu=nvidia into=vm/100", 1,
	        { "boot node grub: root=/dev/mapper/pve-root ro quiet intel_iommu=off -> quiet (" }, "gpuferry.cfg" },
	{ "words that nobody brought into the menu, and a card that is used",
	        "base iommu-off\nreplace /etc/default/grub intel_iommu=off intel_iommu=on\n"
	        "process 4000 ffmpeg open=/dev/dri/renderD129\n",
	        "gpu=nvidia into=vm/100", 1,
	        { "file node /etc/modprobe.d/gpuferry.conf", "boot node grub: ", "-> quiet intel_iommu=on", "reboot" },
	        "gpuferry.cfg" },
	{ "systemd-boot keeps its root=", "base intel-zfs-a380\niommu off tables=DMAR\n"
	                                  "replace /proc/cmdline boot=zfs \"boot=zfs intel_iommu=off\"\n"
	                                  "replace /etc/kernel/cmdline boot=zfs \"boot=zfs intel_iommu=off\"\n",
	        "gpu=0000:03:00.0 into=vm/101", 1,
	        { "file node /etc/kernel/cmdline: sha256:",
	                " -> root=ZFS=rpool/ROOT/pve-1 boot=zfs intel_iommu=off intel_iommu=on",
	                "boot node systemd-boot: ? -> root=ZFS=rpool/ROOT/pve-1 boot=zfs intel_iommu=off intel_iommu=on",
	                "reboot", "gate node.iommu" },
	        "grub" },
	{ "a card that is used is bound early", GUIDES HELD, "gpu=nvidia into=vm/100", 1,
	        { "file node /etc/modprobe.d/gpuferry.conf", "file node /etc/initramfs-tools/hooks/gpuferry",
	                "initramfs node 6.8.12-10-pve", "reboot", "hostpci0", "power", "confirm",
	                "initramfs node 6.8.12-9-pve" },
	        "running -> stopped" },
	{ "a Radeon goes with its sound", RADEON, "gpu=0000:01:00.0 into=vm/100", 0,
	        { "bind node 0000:01:00.0: amdgpu -> vfio-pci", "bind node 0000:01:00.1: snd_hda_intel -> vfio-pci",
	                "hostpci0: none -> 0000:01:00" },
	        "refused" },
	{ "a Radeon that is used is bound early", RADEON HELD, "gpu=0000:01:00.0 into=vm/100", 1,
	        { "file node /etc/modprobe.d/gpuferry.conf", "reboot", "hostpci0" }, "refused" },
	{ "a twin is bound by its address", "base twins\nprocess 4000 ffmpeg open=/dev/dri/renderD129\n",
	        "gpu=0000:01:00.0 into=vm/100", 1,
	        { "file node /etc/initramfs-tools/scripts/init-top/gpuferry", "/scripts/init-top/gpuferry=sha256:" },
	        "modprobe.d" },
	{ "an integrated GPU goes alone", GUIDES, "gpu=0000:0c:00.0 into=vm/100", 1, { "hostpci0: none -> 0000:0c:00.0 " },
	        NULL },
	{ "two cards fit", "base twins\n", "gpu=nvidia into=vm/100", 0, { "refused goal.gpu: 2 GPUs fit" }, "config" },
	{ "no goal for a guest", GUIDES, "gpu=nvidia", 0, { "refused goal.guest: the goal names no guest" }, "config" },
	{ "an absent guest", GUIDES, "gpu=nvidia into=vm/999", 0, { "refused goal.guest: there is no VM 999" }, "config" },
	{ "what may not be accepted", GUIDES, "gpu=nvidia into=vm/100 accept=gpu.group-needs", 0, { "refused goal.accept" },
	        NULL },
	{ "an ACS override is refused", GUIDES "replace /proc/cmdline quiet \"quiet pcie_acs_override=downstream\"\n",
	        "gpu=nvidia into=vm/100", 0, { "refused gpu.acs" }, NULL },
	{ "unless accepted", GUIDES "replace /proc/cmdline quiet \"quiet pcie_acs_override=downstream\"\n",
	        "gpu=nvidia into=vm/100 accept=gpu.acs", 0, { "hostpci0" }, "refused" },
	{ "folders of systemd's that are there are not made", "base iommu-off\n", "gpu=nvidia into=vm/100", 1,
	        { "directory node /etc/systemd/system/emergency.target.wants: none",
	                "directory node /etc/systemd/system/rescue.target.wants: none" },
	        "multi-user.target.wants:" },
	{ "those that nobody could list are", "base iommu-off\nremove /etc/systemd/system\nunknown /etc/systemd/system\n",
	        "gpu=nvidia into=vm/100", 1,
	        { "gpuferry-revert.service: ?", "directory node /etc/systemd/system/sysinit.target.wants: ?",
	                "directory node /etc/systemd/system/multi-user.target.wants: ?" },
	        "refused" },
	{ "a unit that stands there already", "base iommu-off\nfile /etc/systemd/system/gpuferry-resume.service\n\tx\n",
	        "gpu=nvidia into=vm/100", 1, { "gpuferry-revert.service: none", "gpuferry-resume.service: ?" }, "refused" },
	{ "a screen that goes dark is told first", "base single-gpu\n", "gpu=nvidia into=vm/100", 1,
	        { "reboots 1\nwarns gpu.only-console: this is the node's only display device", "stops" }, "refused" },
	{ "so is that of a node with a second way in",
	        "base single-gpu\nfile /sys/class/tty/console/active\n\ttty0 ttyS0\n", "gpu=nvidia into=vm/100", 1,
	        { "reboots 1\nwarns gpu.only-console: the node boots on 0000:01:00.0", "a serial console is active", "stops" },
	        "refused" },
	{ "a card without the node's screen", GUIDES, "gpu=nvidia into=vm/100", 0, { "hostpci0" }, "warns" },
	{ "no quorum", GUIDES "file /etc/pve/.members\n\t{\n\t\"nodename\": \"pve\",\n\t\"version\": 3,\n"
	                      "\t\"cluster\": { \"name\": \"c\", \"version\": 2, \"nodes\": 2, \"quorate\": 0 }\n\t}\n",
	        "gpu=nvidia into=vm/100", 0, { "refused node.quorum" }, NULL },
};

/* What is wrong with the plan; NULL: nothing. */
static const char *wrong(struct arena *arena, const struct case_of *one, const struct plan *plan, const char *text)
{
	const char *at = text;
	for (size_t h = 0; h < COUNT(one->holds) && one->holds[h]; h++) {
		const char *found = strstr(at, one->holds[h]);
		if (!found)
			return arena_printf(arena, "no \"%s\" behind what stands before it", one->holds[h]);
		at = found + strlen(one->holds[h]);
	}
	if (one->not &&strstr(text, one->not))
		return arena_printf(arena, "\"%s\" is there", one->not);
	return plan->reboots == one->reboots ? NULL : arena_printf(arena, "%u reboots", plan->reboots);
}

static void single_plans(void **state)
{
	size_t failed = 0;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct made one = made(&arena, cases[i].machine, cases[i].goal);
		const char *text = shown(&arena, &one.plan), *what = wrong(&arena, &cases[i], &one.plan, text);
		if (what)
			print_error("%s: %s in\n%s", cases[i].name, what, text);
		failed += what != NULL;
	}
	assert_int_equal(failed, 0);
}

/* ---- what every plan must hold ---- */

static const char *const every_goal[] = { "gpu=nvidia into=vm/100", "gpu=nvidia into=vm/101", "gpu=intel into=vm/100",
	"gpu=intel into=vm/101", "gpu=amd into=vm/100", "gpu=0000:01:00.0 into=vm/100", "gpu=0000:0e:00.0 into=vm/100",
	"gpu=auto into=ct/105", "gpu=intel into=ct/105", "gpu=nvidia into=ct/105",
	"gpu=nvidia into=vm/100 affinity=0-3 hugepages=any accept=gpu.acs,gpu.group",
	"gpu=nvidia into=vm/new new-storage=local-lvm new-disk=32G new-image=debian-12.qcow2 "
	"new-sha256=0123456789012345678901234567890123456789012345678901234567890123 new-bridge=vmbr0 new-memory=4096 "
	"new-cores=4 new-ssh-key=~/.ssh/id_ed25519.pub" };

/* What the guides say and no plan of ours ever may (knowledge of what went wrong). */
static const char *const never[] = { "x-vga", "legacy-igd", "pre-enrolled-keys=1", "pcie_acs_override", "qm stop",
	"romfile", "rombar", "hidden=1", "kvm=off", "vfio_virqfd", "efifb", "amd_iommu", "blacklist " };

static void check_step(const struct made *made, const struct step *step)
{
	const struct plan_kind *kind = plan_kind(step->kind);
	assert_non_null(kind);
	assert_int_equal(step->undo, kind->undo);
	assert_non_null(step->to);
	if (!rules_find(step->because))
		fail_msg("%s is no rule", step->because);
	if (strcmp(step->kind, "file") == 0 || strcmp(step->kind, "link") == 0 || strcmp(step->kind, "directory") == 0)
		assert_false(text_starts(step->key, "/etc/pve"));
	if (strcmp(step->kind, "file") == 0)
		assert_int_not_equal(step->mode, 0);
	for (size_t i = 0; i < COUNT(never); i++)
		if (strstr(step->to, never[i]))
			fail_msg("%s %s becomes %s", step->kind, step->key, step->to);
	bool installed = !made->goal.into_new;
	if (strcmp(step->kind, "config") == 0 && installed) {
		static const char *const kept[] = { "machine", "bios", "efidisk0", "vga", "args", "cpu", "scsihw" };
		for (size_t i = 0; i < COUNT(kept); i++)
			assert_string_not_equal(step->key, kept[i]);
	}
}

static void check_order(const struct plan *plan)
{
	size_t reboots = 0, confirms = 0;
	for (size_t i = 0; i < plan->n; i++) {
		const struct step *step = &plan->steps[i];
		bool node = strcmp(step->on, "node") == 0;
		reboots += strcmp(step->kind, "reboot") == 0;
		confirms += strcmp(step->kind, "confirm") == 0;
		if (plan->reboots && !node && !reboots)
			fail_msg("%s %s stands before the reboot", step->on, step->key);
		if (step->temporary && reboots)
			fail_msg("%s stands behind the reboot", step->key);
		for (size_t j = 0; j < i; j++)
			if (strcmp(step->kind, "power") != 0 && strcmp(plan->steps[j].kind, step->kind) == 0 &&
			        strcmp(plan->steps[j].key, step->key) == 0 && strcmp(plan->steps[j].on, step->on) == 0)
				fail_msg("%s %s twice", step->kind, step->key);
	}
	assert_int_equal(reboots, plan->reboots);
	assert_int_equal(confirms, plan->reboots);
	assert_int_equal(plan->confirm_seconds, plan->reboots ? 600 : UNKNOWN_NUMBER);
	if (!plan->n)
		assert_int_equal(plan->n_gates + plan->n_guest_stops + plan->n_warnings, 0);
}

static const char *printed(struct arena *arena, const struct plan *plan)
{
	json_t *document JSON_SCOPED = plan_json(plan);
	return json_print(arena, document, true);
}

static void check_round_trip(const struct made *made)
{
	struct plan back = { 0 };
	struct err err = { 0 };
	const char *text = printed(made->arena, &made->plan);
	if (!plan_parse(bytes_of(text), "plan.json", made->arena, &err, &back))
		fail_msg("%s", err.text);
	assert_string_equal(printed(made->arena, &back), text);
	assert_string_equal(plan_own_digest(&back, made->arena), made->plan.digest);
	for (size_t i = 0; i < back.n; i++) {
		const struct step *left = &back.steps[i], *right = &made->plan.steps[i];
		assert_true(!left->from == !right->from);
		if (left->from)
			assert_string_equal(left->from, right->from);
		assert_string_equal(left->to, right->to);
		assert_string_equal(left->interrupts, right->interrupts);
		assert_int_equal(left->mode, right->mode);
	}
}

static void every_plan(void **state)
{
	(void)state;
	size_t plans = 0, steps = 0;
	for (const struct machine_builtin *machine = machine_builtins; machine->name; machine++) {
		for (size_t g = 0; g < COUNT(every_goal) && machine->about && *machine->about; g++) {
			struct arena arena ARENA_SCOPED = { 0 };
			struct made one =
			        made(&arena, arena_printf(&arena, "base %s\n", machine->name), every_goal[g]);
			struct plan again;
			plan_build(one.facts, &one.goal, &arena, &again);
			assert_string_equal(printed(&arena, &again), printed(&arena, &one.plan));
			for (size_t i = 0; i < one.plan.n; i++)
				check_step(&one, &one.plan.steps[i]);
			for (size_t i = 0; i < one.plan.n_gates; i++)
				assert_non_null(rules_find(one.plan.gates[i].rule));
			for (size_t i = 0; i < one.plan.n_refused; i++)
				assert_non_null(rules_find(one.plan.refused[i].rule));
			check_order(&one.plan);
			check_round_trip(&one);
			plans++;
			steps += one.plan.n;
		}
	}
	print_message("# %zu plans, %zu steps\n", plans, steps);
	assert_true(plans > 100 && steps > 200);
}

/* Each rule is answered on purpose, and the table names none that is not there. */
static void every_rule(void **state)
{
	(void)state;
	for (const struct rule *const *table = rules_tables; *table; table++)
		for (const struct rule *rule = *table; rule->id; rule++) {
			const struct repair *row = repair_of(rule->id);
			if (!row)
				fail_msg("%s has no row", rule->id);
			assert_true(row->broken && row->warn && row->unknown && row->skipped);
			bool steps = row->broken == REPAIR_STEP || row->warn == REPAIR_STEP ||
			             row->unknown == REPAIR_STEP || row->skipped == REPAIR_STEP;
			if (steps && !row->vm && !row->ct)
				fail_msg("%s is mended by nobody", rule->id);
			if (!rule->waivable && rule->about != ABOUT_INSIDE && row->broken == REPAIR_LEFT)
				assert_true(rule->about != ABOUT_GOAL);
		}
	for (const struct repair *row = repairs; row->rule; row++)
		if (!rules_find(row->rule))
			fail_msg("there is no rule %s", row->rule);
}

/* ---- with the files that steer the boot ---- */

static struct facts *used_card(struct arena *arena, const char *machine, int64_t free_mib)
{
	struct facts *facts = facts_of(arena, machine);
	struct boot *boot = &facts->boot;
	*arena_push(arena, boot->file_systems, boot->n_file_systems) =
	        (struct file_system){ "/", 100 << 20, free_mib << 10 };
	return facts;
}

static void put_file(struct arena *arena, struct facts *facts, const char *path, const char *content)
{
	*arena_push(arena, facts->boot.files, facts->boot.n_files) =
	        (struct boot_file){ .path = path, .data = bytes_of(content), .mode = 0644 };
}

static const char *plan_of(struct arena *arena, const struct facts *facts, const char *goal, struct plan *ret)
{
	struct goal wish = planned_goal(arena, goal);
	plan_build(facts, &wish, arena, ret);
	return shown(arena, ret);
}

static const struct step *step_at(const struct plan *plan, const char *key)
{
	for (size_t i = 0; i < plan->n; i++)
		if (strcmp(plan->steps[i].key, key) == 0)
			return &plan->steps[i];
	fail_msg("no step for %s", key);
	return NULL;
}

#define TWINS "base twins\nprocess 4000 ffmpeg open=/dev/dri/renderD129\n"
#define SCRIPT "/etc/initramfs-tools/scripts/init-top/gpuferry"

static void space(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct plan plan;
	plan_of(&arena, used_card(&arena, GUIDES HELD, 4096), "gpu=nvidia into=vm/100", &plan);
	assert_int_equal(plan.n_refused, 0);
	assert_int_equal(plan.reboots, 1);
	const char *text = plan_of(&arena, used_card(&arena, GUIDES HELD, 100), "gpu=nvidia into=vm/100", &plan);
	assert_non_null(strstr(text, "refused node.initramfs: /boot has 100 MiB free"));
	plan_of(&arena, used_card(&arena, RADEON HELD, 4096), "gpu=0000:01:00.0 into=vm/100", &plan);
	const char *own = step_at(&plan, "/etc/modprobe.d/gpuferry.conf")->to;
	assert_non_null(strstr(own, "options vfio-pci ids=1002:73ff,1002:ab28\n"));
	assert_non_null(strstr(own, "softdep amdgpu pre: vfio-pci\n"));
	struct facts *unknown = facts_of(&arena, GUIDES HELD);
	unknown->boot.n_file_systems = 0;
	text = plan_of(&arena, unknown, "gpu=nvidia into=vm/100", &plan);
	assert_non_null(strstr(text, "refused node.initramfs: how much space"));
}

/* What stands there already counts: bytes that are so make no step, those of others are not written over. */
static void own_files(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct plan first, plan;
	struct facts *facts = used_card(&arena, GUIDES HELD, 4096);
	plan_of(&arena, facts, "gpu=nvidia into=vm/100", &first);
	const struct step *file = step_at(&first, "/etc/modprobe.d/gpuferry.conf");
	put_file(&arena, facts, "/etc/modprobe.d/gpuferry.conf", file->to);
	const char *text = plan_of(&arena, facts, "gpu=nvidia into=vm/100", &plan);
	assert_null(strstr(text, "file node /etc/modprobe.d/gpuferry.conf"));
	assert_non_null(strstr(text, "hooks/gpuferry: none -> "));
	assert_string_not_equal(plan.facts_digest, first.facts_digest);
	facts = used_card(&arena, GUIDES HELD, 4096);
	put_file(&arena, facts, "/etc/modprobe.d/gpuferry.conf", "options something else\n");
	text = plan_of(&arena, facts, "gpu=nvidia into=vm/100", &plan);
	assert_non_null(strstr(text, "refused gpu.release: /etc/modprobe.d/gpuferry.conf is there, and not as"));
}

/* A file behind ours that sets the variable anew would drop our words. */
static void grub_order(void **state)
{
	static const struct {
		const char *path, *text;
		bool refused;
	} others[] = {
		{ "/etc/default/grub.d/aa.cfg", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n", false },
		{ "/etc/default/grub.d/zz.cfg", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n", true },
		{ "/etc/default/grub.d/zz.cfg", "GRUB_CMDLINE_LINUX=\"audit=0\"\n", false },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(others); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct plan plan;
		struct facts *facts = facts_of(&arena, "base iommu-off\n");
		put_file(&arena, facts, "/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet intel_iommu=off\"\n");
		put_file(&arena, facts, others[i].path, others[i].text);
		const char *text = plan_of(&arena, facts, "gpu=nvidia into=vm/100", &plan);
		assert_int_equal(plan.n_refused, others[i].refused);
		if (!others[i].refused)
			assert_true(text_ends(step_at(&plan, "grub")->to, "intel_iommu=on"));
		if (strstr(others[i].text, "audit"))
			assert_string_equal(step_at(&plan, "grub")->to, "audit=0 quiet intel_iommu=off intel_iommu=on");
		(void)text;
	}
}

/* By address where ids would lose, or would not obey gpuferry=off: somebody's softdep or install line of the same module
 * comes first, and only the first counts; a builtin vfio-pci takes its ids from the command line alone. */
static void foreseen(void **state)
{
	static const char *const machines[] = {
		GUIDES HELD "file /etc/modprobe.d/a.conf\n\tinstall vfio_pci /sbin/modprobe -i vfio_pci; /bin/true\n",
		GUIDES HELD "append /usr/lib/modules/6.8.12-10-pve/modules.builtin\n\tkernel/drivers/vfio/pci/vfio-pci.ko\n",
		GUIDES HELD "file /etc/modprobe.d/a.conf\n\tsoftdep nouveau pre: drm\n",
		GUIDES HELD "file /etc/modprobe.d/vfio.conf\n\toptions vfio-pci ids=8086:1533\n",
	};
	(void)state;
	for (size_t i = 0; i < COUNT(machines); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct plan plan;
		const char *text = plan_of(&arena, used_card(&arena, machines[i], 4096), "gpu=nvidia into=vm/100", &plan);
		if (!strstr(text, "file node " SCRIPT) || strstr(text, "modprobe.d"))
			fail_msg("%s", text);
	}
}

/* ---- the script of the initramfs, run ---- */

static const char *replaced(struct arena *arena, const char *text, const char *old, const char *with)
{
	const char *result = "";
	for (const char *at; (at = strstr(text, old)); text = at + strlen(old))
		result = arena_printf(arena, "%s%.*s%s", result, (int)(at - text), text, with);
	return arena_printf(arena, "%s%s", result, text);
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	if (!file || fputs(text, file) < 0 || fclose(file))
		fail_msg("%s cannot be written", path);
}

static void make_device(struct arena *arena, const char *sys, const char *address, const char *device, const char *class)
{
	const char *path = arena_printf(arena, "%s/bus/pci/devices/%s", sys, address);
	const struct {
		const char *name, *value;
	} attributes[] = { { "vendor", "0x10de\n" }, { "device", device }, { "subsystem_vendor", "0x1462\n" },
		{ "subsystem_device", "0x397d\n" }, { "class", class }, { "driver_override", "" } };
	assert_int_equal(system(arena_printf(arena, "mkdir -p %s", path)), 0);
	for (size_t i = 0; i < COUNT(attributes); i++)
		write_text(arena_printf(arena, "%s/%s", path, attributes[i].name), attributes[i].value);
}

static const char *override_of(struct arena *arena, const char *sys, const char *address)
{
	return test_read(arena, arena_printf(arena, "%s/bus/pci/devices/%s/driver_override", sys, address)).data;
}

static void script_runs(void **state)
{
	static const struct {
		const char *shell, *cmdline, *device;
		bool taken;
	} runs[] = {
		{ "dash", "quiet", "0x2504\n", true },
		{ "dash", "quiet gpuferry=off", "0x2504\n", false },
		{ "dash", "quiet gpuferry=offline", "0x2504\n", true },
		{ "dash", "quiet", "0x2503\n", false },
		{ "busybox sh", "quiet", "0x2504\n", true },
		{ "busybox sh", "gpuferry=off quiet", "0x2504\n", false },
	};
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct plan plan;
	plan_of(&arena, used_card(&arena, TWINS, 4096), "gpu=0000:01:00.0 into=vm/100", &plan);
	const struct step *step = step_at(&plan, SCRIPT);
	assert_int_equal(step->mode, 0755);
	for (size_t i = 0; i < COUNT(runs); i++) {
		char folder[] = "/tmp/gpuferry-script-XXXXXX";
		assert_non_null(mkdtemp(folder));
		const char *script = arena_printf(&arena, "%s/gpuferry", folder);
		make_device(&arena, folder, "0000:01:00.0", runs[i].device, "0x030000\n");
		make_device(&arena, folder, "0000:01:00.1", "0x228e\n", "0x010802\n");
		make_device(&arena, folder, "0000:0e:00.0", "0x2504\n", "0x030000\n");
		write_text(arena_printf(&arena, "%s/cmdline", folder), arena_printf(&arena, "%s\n", runs[i].cmdline));
		const char *text = replaced(&arena, step->to, "/sys/", arena_printf(&arena, "%s/", folder));
		write_text(script, replaced(&arena, text, "/proc/", arena_printf(&arena, "%s/", folder)));
		write_text(arena_printf(&arena, "%s/modprobe", folder), "#!/bin/sh\nexit 0\n");
		const char *run = arena_printf(&arena, "chmod 755 %s/modprobe && PATH=%s:$PATH %s %s && test -z \"$(%s %s prereqs)\"",
		        folder, folder, runs[i].shell, script, runs[i].shell, script);
		assert_int_equal(system(run), 0);
		assert_string_equal(override_of(&arena, folder, "0000:01:00.0"), runs[i].taken ? "vfio-pci\n" : "");
		/* another class at the recorded address: an NVMe that moved there; and the twin */
		assert_string_equal(override_of(&arena, folder, "0000:01:00.1"), "");
		assert_string_equal(override_of(&arena, folder, "0000:0e:00.0"), "");
		assert_int_equal(system(arena_printf(&arena, "rm -r %s", folder)), 0);
	}
}

/* The install line of our modprobe.d file: an empty ids= comes last with the kernel word, and only with it. */
static void install_runs(void **state)
{
	static const struct {
		const char *shell, *cmdline, *loads;
	} runs[] = {
		{ "dash", "ro quiet", "-i vfio_pci\n" },
		{ "dash", "ro gpuferry=off quiet", "-i vfio_pci ids=\n" },
		{ "dash", "ro quiet gpuferry=off", "-i vfio_pci ids=\n" },
		{ "dash", "ro gpuferry=offline", "-i vfio_pci\n" },
		{ "busybox sh", "gpuferry=off", "-i vfio_pci ids=\n" },
		{ "busybox sh", "ro", "-i vfio_pci\n" },
	};
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct plan plan;
	plan_of(&arena, used_card(&arena, GUIDES HELD, 4096), "gpu=nvidia into=vm/100", &plan);
	const char *line = strstr(step_at(&plan, "/etc/modprobe.d/gpuferry.conf")->to, "\ninstall vfio_pci ");
	assert_non_null(line);
	line += strlen("\ninstall vfio_pci ");
	const char *body = arena_strndup(&arena, line, strcspn(line, "\n"));
	for (size_t i = 0; i < COUNT(runs); i++) {
		char folder[] = "/tmp/gpuferry-install-XXXXXX";
		assert_non_null(mkdtemp(folder));
		write_text(arena_printf(&arena, "%s/cmdline", folder), arena_printf(&arena, "%s\n", runs[i].cmdline));
		const char *text = replaced(&arena, body, "/proc/", arena_printf(&arena, "%s/", folder));
		text = replaced(&arena, text, "/sbin/modprobe", "echo");
		text = replaced(&arena, text, "exec echo", arena_printf(&arena, "exec > %s/out; exec echo", folder));
		write_text(arena_printf(&arena, "%s/line", folder), text);
		assert_int_equal(system(arena_printf(&arena, "%s %s/line", runs[i].shell, folder)), 0);
		assert_string_equal(test_read(&arena, arena_printf(&arena, "%s/out", folder)).data, runs[i].loads);
		assert_int_equal(system(arena_printf(&arena, "rm -r %s", folder)), 0);
	}
}

/* ---- JSON and goals ---- */

static void damaged_json(void **state)
{
	static const struct {
		const char *old, *with, *says;
	} damages[] = {
		{ "\"kind\": \"power\"", "\"kind\": \"brew\"", "steps[0].kind is not a kind of step" },
		{ "\"stops_guest\": true", "\"stops_guest\": 1", "steps[0].stops_guest is not true or false" },
		{ "\"reboots\": 0", "\"reboots\": 7", "plan.reboots is not 0 or 1" },
		{ "\"undo\": \"exact\"", "\"undo\": \"perhaps\"", "steps[0].undo is not" },
		{ "gpuferry.plan/1", "gpuferry.plan/2", "is no plan" },
		{ "\"steps\": [", "\"stairs\": [", "plan.steps is not a list" },
		{ "\"to\": \"stopped\"", "\"to\": null", "steps[0].to is not an end state" },
	};
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct made one = made(&arena, GUIDES, "gpu=nvidia into=vm/100");
	const char *text = printed(&arena, &one.plan);
	for (size_t i = 0; i < COUNT(damages); i++) {
		struct err err = { 0 };
		struct plan plan = { .reboots = 77 };
		const char *damaged = replaced(&arena, text, damages[i].old, damages[i].with);
		assert_string_not_equal(damaged, text);
		assert_false(plan_parse(bytes_of(damaged), "plan.json", &arena, &err, &plan));
		if (!strstr(err.text, damages[i].says))
			fail_msg("%s: %s", damages[i].with, err.text);
		assert_int_equal(plan.reboots, 77);
	}
}

static void goal_texts(void **state)
{
	static const char *const texts[] = {
		"gpu: nvidia\ninto: vm/100\n",
		"gpu: \"0000:01:00.0\"\ninto: ct/105\nremove_raw_lxc: true\naccept: [gpu.acs, gpu.group]\n",
		"gpu: auto\ninto: vm/100\nreach: ssh://admin@media.lan\nservice:\n  kind: emby\n  compose: /srv/it's \\\"here\\\".yml\n"
		"  name: emby\n  url: http://media.lan:8096\n  token_file: ~/emby.token\nencoder: {prefer: [hevc, h264], veto: "
		"[av1]}\nwindow: 23:05-06:00\nconfirm: 90s\naffinity: 0-3,8\nhugepages: any\n",
		"gpu: intel\ninto: vm/new\nhugepages: 1024\nnew: {storage: local-lvm, disk: 1T, image: debian-12.qcow2, sha256: "
		"0123456789012345678901234567890123456789012345678901234567890123, bridge: vmbr0, memory: 4096, cores: 4, "
		"ssh_key: ~/.ssh/id_ed25519.pub}\n",
	};
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct err err = { 0 };
		struct goal goal, back;
		if (!goal_parse(bytes_of(texts[i]), "goal", &arena, &err, &goal))
			fail_msg("%s", err.text);
		const char *text = plan_goal_text(&goal, &arena);
		if (!goal_parse(bytes_of(text), "again", &arena, &err, &back))
			fail_msg("%s in\n%s", err.text, text);
		assert_string_equal(plan_goal_text(&back, &arena), text);
		assert_int_equal(back.confirm_seconds, goal.confirm_seconds);
		assert_int_equal(back.window_from, goal.window_from);
		assert_int_equal(back.window_to, goal.window_to);
		assert_int_equal(back.hugepages, goal.hugepages);
		assert_int_equal(back.create.disk_gib, goal.create.disk_gib);
		assert_int_equal(back.accept.n, goal.accept.n);
		assert_int_equal(back.prefer.n, goal.prefer.n);
		assert_int_equal(back.into_new, goal.into_new);
		if (goal.service.compose)
			assert_string_equal(back.service.compose, goal.service.compose);
	}
}

static void new_guest(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct made one = made(&arena, GUIDES, every_goal[COUNT(every_goal) - 1]);
	assert_string_equal(shown(&arena, &one.plan),
	        "reboots 0\n"
	        "create vm/101 vm: none -> created (goal.guest)\n"
	        "config vm/101 hostpci0: none -> 0000:01:00,pcie=1 (vm.hostpci)\n"
	        "power vm/101 state: stopped -> running (goal.guest)\n"
	        "reach vm/101 inside: no -> yes (goal.guest)\n");
	one = made(&arena, GUIDES, replaced(&arena, every_goal[COUNT(every_goal) - 1], "local-lvm", "elsewhere"));
	assert_non_null(strstr(shown(&arena, &one.plan), "refused goal.guest: there is no storage elsewhere"));
	one = made(&arena, GUIDES, "gpu=nvidia into=vm/new new-storage=local-lvm");
	assert_non_null(strstr(shown(&arena, &one.plan), "the goal does not say its image"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_plans),
		cmocka_unit_test(single_plans),
		cmocka_unit_test(every_plan),
		cmocka_unit_test(every_rule),
		cmocka_unit_test(space),
		cmocka_unit_test(own_files),
		cmocka_unit_test(grub_order),
		cmocka_unit_test(foreseen),
		cmocka_unit_test(script_runs),
		cmocka_unit_test(install_runs),
		cmocka_unit_test(damaged_json),
		cmocka_unit_test(goal_texts),
		cmocka_unit_test(new_guest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
