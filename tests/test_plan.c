/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Plans on whole machines, as text; and what must hold of every plan on every machine.
 */
#include "plan/plan.h"
#include "plan/route.h"
#include "rehearse/machine.h"
#include "test.h"

struct made {
	struct arena *arena;
	struct facts *facts;
	struct goal goal;
	struct plan plan;
};

static struct facts *facts_of(struct arena *arena, const char *machine)
{
	struct err err = { 0 };
	struct tape *tape = NULL;
	static const struct facts_want want = { .depth = FACTS_ALL | FACTS_OLD_KERNELS };
	if (!machine_parse(bytes_of(machine), "machine", machine_builtin_text, NULL, arena, &err, &tape))
		fail_msg("%s (%s)", err.text, err.hint);
	struct world *world = tape_world(tape, "node", arena, &err);
	if (!world)
		fail_msg("%s", err.text);
	return facts_gather(world, &want, arena);
}

/* "gpu=nvidia into=vm/100" */
static struct goal goal_of(struct arena *arena, const char *text)
{
	struct goal goal;
	struct err err = { 0 };
	goal_init(&goal);
	struct words words = text_split(arena, text, " ");
	for (size_t i = 0; i < words.n; i++) {
		char *key = arena_strdup(arena, words.word[i]), *value = strchr(key, '=');
		*value++ = '\0';
		if (!goal_set(&goal, key, value, arena, &err))
			fail_msg("%s", err.text);
	}
	return goal;
}

static struct made made(struct arena *arena, const char *machine, const char *goal)
{
	struct made made = { .arena = arena, .facts = facts_of(arena, machine), .goal = goal_of(arena, goal) };
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
		return arena_printf(arena, "%.*s... (%zu bytes)", (int)(end - value), value, strlen(value));
	const char *sum = strstr(value, "sha256:");
	if (sum && strlen(sum) > 20 && sum == value)
		return arena_printf(arena, "%.12s", value);
	return value;
}

/* One line per step, as the goldens have it. */
static const char *shown(struct arena *arena, const struct plan *plan)
{
	const char *text = arena_printf(arena, "reboots %u\n", plan->reboots);
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
	"file node /etc/systemd/system/gpuferry-revert.service: ? -> # Made by gpuferry for one change; goes away "    \
	"when that is confirmed (gpuferry apply --confirm).... (566 bytes) (" rule ") temporary\n"                     \
	"directory node /etc/systemd/system/sysinit.target.wants: ? -> there (" rule ") temporary\n"                   \
	"link node /etc/systemd/system/sysinit.target.wants/gpuferry-revert.service: ? -> "                            \
	"/etc/systemd/system/gpuferry-revert.service (" rule ") temporary\n"                                           \
	"directory node /etc/systemd/system/emergency.target.wants: ? -> there (" rule ") temporary\n"                 \
	"link node /etc/systemd/system/emergency.target.wants/gpuferry-revert.service: ? -> "                          \
	"/etc/systemd/system/gpuferry-revert.service (" rule ") temporary\n"                                           \
	"directory node /etc/systemd/system/rescue.target.wants: ? -> there (" rule ") temporary\n"                    \
	"link node /etc/systemd/system/rescue.target.wants/gpuferry-revert.service: ? -> "                             \
	"/etc/systemd/system/gpuferry-revert.service (" rule ") temporary\n"                                           \
	"file node /etc/systemd/system/gpuferry-resume.service: ? -> # Made by gpuferry for one change; goes away "    \
	"when that is confirmed (gpuferry apply --confirm).... (525 bytes) (" rule ") temporary\n"                     \
	"directory node /etc/systemd/system/multi-user.target.wants: ? -> there (" rule ") temporary\n"                \
	"link node /etc/systemd/system/multi-user.target.wants/gpuferry-resume.service: ? -> "                         \
	"/etc/systemd/system/gpuferry-resume.service (" rule ") temporary\n"
#define HANDOVER(vm, value)                                                                                            \
	"reboots 0\n"                                                                                                  \
	"stops " vm "\n"                                                                                               \
	"power " vm " state: running -> stopped (vm.hostpci)\n"                                                        \
	"config " vm " hostpci0: none -> " value " (vm.hostpci)\n"                                                     \
	"config " vm " balloon: none -> 0 (vm.balloon)\n"                                                              \
	"power " vm " state: stopped -> running (vm.hostpci)\n"

static const struct golden {
	const char *machine, *goal, *plan;
} goldens[] = {
	{ "base amd-4060ti\n", "gpu=nvidia into=vm/100", HANDOVER("vm/100", "0000:01:00") },
	{ "base amd-4060ti-ready\n", "gpu=nvidia into=vm/100", "reboots 0\n" },
	{ "base pve9-mapping\n", "gpu=nvidia into=vm/100", "reboots 0\n" },
	{ "base intel-zfs-a380\n", "gpu=0000:03:00.0 into=vm/101", HANDOVER("vm/101", "0000:03:00.0") },
	{ "base twins\n", "gpu=0000:01:00.0 into=vm/100", HANDOVER("vm/100", "0000:01:00") },
	{ "base shared-slot\n", "gpu=nvidia into=vm/100",
	        HANDOVER("vm/100", "0000:06:00") "refused gpu.group-needs: with the card the node would lose default "
	                                         "route by vmbr0 over enp5s0 (0000:05:00.0), because they share a "
	                                         "group\n" },
	{ "base iommu-off\n", "gpu=nvidia into=vm/100",
	        "reboots 1\n"
	        "stops vm/100\n" UNITS("node.iommu")
	                "directory node /etc/default/grub.d: ? -> there (node.iommu)\n"
	                "file node /etc/default/grub.d/gpuferry.cfg: ? -> # gpuferry: words that a GPU needs on its "
	                "way into a guest. gpuferry rollback takes them away.... (167 bytes) (node.iommu)\n"
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
	        { "refused vm.known: Proxmox would drop line 18 of " FILE_100 " at its next write: this is no setting" }, NULL },
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
	{ "systemd-boot keeps its root=", "base intel-zfs-a380\niommu off tables=DMAR\n"
	                                  "replace /proc/cmdline boot=zfs \"boot=zfs intel_iommu=off\"\n"
	                                  "replace /etc/kernel/cmdline boot=zfs \"boot=zfs intel_iommu=off\"\n",
	        "gpu=0000:03:00.0 into=vm/101", 1,
	        { "file node /etc/kernel/cmdline: ? -> root=ZFS=rpool/ROOT/pve-1 boot=zfs intel_iommu=off intel_iommu=on",
	                "boot node systemd-boot: ? -> root=ZFS=rpool/ROOT/pve-1 boot=zfs intel_iommu=off intel_iommu=on",
	                "reboot", "gate node.iommu" },
	        "grub" },
	{ "a card that is used is bound early", GUIDES HELD, "gpu=nvidia into=vm/100", 1,
	        { "file node /etc/modprobe.d/gpuferry.conf", "file node /etc/initramfs-tools/hooks/gpuferry",
	                "initramfs node 6.8.12-10-pve", "reboot", "hostpci0", "power", "confirm",
	                "initramfs node 6.8.12-9-pve" },
	        "running -> stopped" },
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
		assert_int_equal(plan->n_gates + plan->n_guest_stops, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_plans),
		cmocka_unit_test(single_plans),
		cmocka_unit_test(every_plan),
		cmocka_unit_test(every_rule),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
