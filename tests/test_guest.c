/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the guides say to type, typed: it succeeds and fails as it does on a node. Then the steps that change guests, on
 * the same machines: reached, read, and taken back.
 */
#include <errno.h>

#include "base/digest.h"
#include "exec/journal.h"
#include "exec/steps.h"
#include "rehearse/machine.h"
#include "rehearse/pve.h"
#include "test.h"

struct stage {
	struct arena arena;
	struct rehearse *rehearse;
	struct world *node;
	struct exec exec;
	struct err err;
};

static void stage_open(struct stage *stage, const char *text)
{
	struct err err = { 0 };
	struct tape *tape = NULL;
	*stage = (struct stage){ 0 };
	if (!machine_parse(bytes_of(text), "test", machine_builtin_text, NULL, &stage->arena, &err, &tape))
		fail_msg("%s", err.text);
	stage->rehearse = rehearse_open(tape, &stage->arena, &err);
	if (!stage->rehearse)
		fail_msg("%s", err.text);
	stage->node = rehearse_world(stage->rehearse);
	stage->exec = (struct exec){ .node = stage->node, .arena = &stage->arena };
}

static int type_in(struct stage *stage, const char *line, const char **ret_said)
{
	struct words words = text_split(&stage->arena, line, " ");
	const char **argv = arena_alloc(&stage->arena, (words.n + 1) * sizeof *argv);
	struct outcome outcome = { .out = { "", 0 }, .err = { "", 0 } };
	memcpy(argv, words.word, words.n * sizeof *argv);
	int error = world_run(stage->node, &(struct command){ .argv = argv }, &stage->arena, &outcome);
	*ret_said = error ? strerror(error) : arena_printf(&stage->arena, "%s%s", outcome.err.data, outcome.out.data);
	return error ? -error : outcome.status;
}

static const char *driver_of(struct stage *stage, const char *address)
{
	const char *driver = NULL;
	int error = world_link_name(stage->node, &stage->arena, &driver, "/sys/bus/pci/devices/%s/driver", address);
	return error ? "none" : driver;
}

/* ---- typed by hand ------------------------------------------------------------------------------ */

/* A line: what is typed, then ok or fails, then words of what is said; "ADDRESS has DRIVER"; "PATH there|gone"; "PATH
 * holds WORDS"; "fault PATTERN"; "boot". */
static const struct {
	const char *name, *machine;
	const char *lines[16];
} typed[] = {
	{ "guide: the card and its sound, by slot, with a guest that runs",
	        "base amd-4060ti\n",
	        {
	                "qm set 100 -hostpci0 01:00,rombar=0 | ok | update VM 100: -hostpci0 01:00,rombar=0",
	                "qm config 100 --current 1 | ok | name: emby",
	                "qm pending 100 | ok | new hostpci0: 01:00,rombar=0",
	                "0000:01:00.0 has nouveau",
	                "qm shutdown 100 --timeout 180 | ok |",
	                "qm start 100 | ok |",
	                "0000:01:00.0 has vfio-pci",
	                "0000:01:00.1 has vfio-pci",
	                "/etc/pve/qemu-server/100.conf holds hostpci0: 01:00,rombar=0",
	                "/run/qemu-server/pci-id-reservations holds 0000:01:00.0 100 pid:",
	                "qm status 100 | ok | status: running",
	                "qm stop 100 | ok |",
	                "0000:01:00.0 has vfio-pci",
	        } },
	{ "guide: pcie=1,x-vga=1 on a pc machine is taken, and then does not start",
	        "base amd-4060ti\n",
	        {
	                "qm shutdown 100 --timeout 180 | ok |",
	                "qm set 100 --hostpci0 01:00,pcie=1,x-vga=1 | ok | update VM 100",
	                "qm showcmd 100 | fails | q35 machine model is not enabled",
	                "qm start 100 | fails | q35 machine model is not enabled",
	                "qm status 100 | ok | status: stopped",
	                "0000:01:00.0 has nouveau",
	                "qm set 100 -machine q35 | ok |",
	                "qm start 100 | ok |",
	                "0000:01:00.0 has vfio-pci",
	        } },
	{ "guide: legacy-igd on q35, with x-vga, and with a screen of its own",
	        "base intel-uhd770-ct\n",
	        {
	                "qm create 200 --machine q35 --memory 4096 | ok |",
	                "qm set 200 --hostpci0 0000:00:02.0,legacy-igd=1,x-vga=on,pcie=1 --vga none | ok |",
	                "qm start 200 | fails | legacy IGD assignment is not compatible with x-vga",
	                "qm set 200 --hostpci0 0000:00:02.0,legacy-igd=1 | ok |",
	                "qm start 200 | fails | legacy IGD assignment is not compatible with q35",
	                "qm set 200 --machine pc --vga virtio | ok |",
	                "qm start 200 | fails | requires VGA mode to be 'none'",
	                "qm set 200 --hostpci0 0000:02:00.0,legacy-igd=1 --vga none | ok |",
	                "qm start 200 | fails | only works for devices on host bus 00:02.0",
	                "0000:00:02.0 has i915",
	                "qm set 200 --hostpci0 0000:00:02.0,legacy-igd=1 | ok |",
	                "qm start 200 | ok |",
	                "0000:00:02.0 has vfio-pci",
	        } },
	{ "a device that is not there, and one that is written wrong",
	        "base amd-4060ti\n",
	        {
	                "qm shutdown 100 | ok |",
	                "qm set 100 --hostpci0 0000:7f:00 | ok |",
	                "qm start 100 | fails | no PCI device found for '0000:7f:00'",
	                "qm set 100 --hostpci0 0000:0D:00 | fails | value does not match the regex pattern",
	                "qm set 100 --hostpci16 01:00 | fails | Unknown option: hostpci16",
	                "qm set 100 --hostpci0 host=01:00,driver=keep | fails | not defined in schema",
	        } },
	{ "a shared group takes the network card from the node",
	        "base shared-slot\n",
	        {
	                "0000:05:00.0 has igc",
	                "/sys/class/net/enp5s0 there",
	                "qm set 100 --hostpci0 0000:06:00 | ok |",
	                "qm shutdown 100 | ok |",
	                "qm start 100 | ok |",
	                "0000:06:00.0 has vfio-pci",
	                "0000:05:00.0 has vfio-pci",
	                "0000:0b:00.0 has vfio-pci",
	                "/sys/class/net/enp5s0 gone",
	        } },
	{ "no IOMMU",
	        "base iommu-off\n",
	        {
	                "qm shutdown 100 | ok |",
	                "qm set 100 --hostpci0 0000:01:00 | ok |",
	                "qm showcmd 100 | ok | vfio-pci,host=0000:01:00.0",
	                "qm start 100 | fails | cannot prepare PCI pass-through, IOMMU not present",
	                "0000:01:00.0 has nouveau",
	        } },
	{ "two VMs want one card",
	        "base amd-4060ti\n",
	        {
	                "qm create 102 --memory 1024 --hostpci0 0000:01:00 | ok |",
	                "qm set 100 --hostpci0 0000:01:00 | ok |",
	                "qm start 102 | ok |",
	                "qm shutdown 100 | ok |",
	                "qm start 100 | fails | PCI device '0000:01:00.0' already in use by VMID '102'",
	                "qm status 100 | ok | status: stopped",
	                "qm shutdown 102 | ok |",
	                "qm start 100 | ok |",
	        } },
	{ "a guest that does not shut down goes on running",
	        "base amd-4060ti\n",
	        {
	                "fault vm/100: shuts down",
	                "qm shutdown 100 --timeout 180 | fails | VM quit/powerdown failed - got timeout",
	                "qm status 100 | ok | status: running",
	        } },
	{ "a backup holds the lock",
	        "base amd-4060ti\nappend /etc/pve/qemu-server/100.conf\n\tlock: backup\n",
	        {
	                "qm set 100 --hostpci0 0000:01:00 | fails | VM is locked (backup)",
	                "qm shutdown 100 | fails | VM is locked (backup)",
	                "qm config 100 | ok | lock: backup",
	        } },
	{ "a mapping: unknown, made, and after the hardware changed",
	        "base amd-4060ti\n",
	        {
	                "qm shutdown 100 | ok |",
	                "qm set 100 --hostpci0 mapping=gpu0 | ok |",
	                "qm start 100 | fails | PCI device mapping not found for 'gpu0'",
	                "pvesh create /cluster/mapping/pci --id gpu0 --map "
	                "node=pve,path=0000:01:00,id=10de:2803,subsystem-id=1043:88f5,iommugroup=13 | ok |",
	                "qm start 100 | fails | PCI device mapping invalid (hardware probably changed): 'iommugroup' "
	                "does not match for 'gpu0' (12 != 13)",
	                "pvesh set /cluster/mapping/pci/gpu0 --map "
	                "node=pve,path=0000:01:00,id=10de:2803,subsystem-id=1043:88f5,iommugroup=12 | ok |",
	                "qm start 100 | ok |",
	                "0000:01:00.0 has vfio-pci",
	                "pvesh delete /cluster/mapping/pci/gpu0 | ok |",
	                "pvesh get /cluster/mapping/pci --output-format json | ok | []",
	        } },
	{ "a new node of a container is there at once, a changed one waits",
	        "base intel-uhd770-ct\n",
	        {
	                "pct set 105 --dev0 /dev/dri/renderD128,gid=106 | ok |",
	                "pct pending 105 | ok | cur dev0: /dev/dri/renderD128,gid=106",
	                "pct set 105 --dev0 /dev/dri/renderD128,gid=44 | ok |",
	                "pct pending 105 | ok | new dev0: /dev/dri/renderD128,gid=44",
	                "/etc/pve/lxc/105.conf holds [pve:pending]",
	                "pct set 105 --dev1 /dev/dri/renderD129 | fails | Device /dev/dri/renderD129 does not exist",
	                "pct set 105 --dev1 /dev/dri/card0,mode=666 | fails | value does not match the regex pattern",
	                "pct shutdown 105 | ok |",
	                "pct exec 105 -- true | fails | container '105' not running!",
	                "pct start 105 | ok |",
	                "pct pending 105 | ok | cur dev0: /dev/dri/renderD128,gid=44",
	        } },
	{ "guests that start with the node start again, with what waited",
	        "base amd-4060ti\n",
	        {
	                "qm set 100 --hostpci0 0000:01:00 | ok |",
	                "0000:01:00.0 has nouveau",
	                "boot",
	                "qm status 100 | ok | status: running",
	                "0000:01:00.0 has vfio-pci",
	                "qm pending 100 | ok | cur hostpci0: 0000:01:00",
	        } },
	{ "lines that PVE cannot parse are lost at its next write, comments go to the top",
	        "base amd-4060ti\nappend /etc/pve/qemu-server/100.conf\n\tnonsense without a colon\n\t#a note\n",
	        {
	                "qm config 100 | ok | unable to parse config: nonsense without a colon",
	                "/etc/pve/qemu-server/100.conf holds nonsense",
	                "qm set 100 --name emby | ok |",
	                "/etc/pve/qemu-server/100.conf holds #a note\nagent: 1",
	                "/etc/pve/qemu-server/100.conf lacks nonsense",
	        } },
};

static void check_line(struct stage *stage, const char *name, const char *line)
{
	struct err err = { 0 };
	const char *bar = strstr(line, " | "), *has = strstr(line, " has "), *said = "";
	const char *holds = strstr(line, " holds "), *lacks = strstr(line, " lacks ");
	if (strcmp(line, "boot") == 0) {
		type_in(stage, "reboot", &said);
		assert_true(rehearse_boot(stage->rehearse, true, &err));
	} else if (text_starts(line, "fault ")) {
		rehearse_fault(stage->rehearse, FAULT_ERRNO, line + 6, ETIME, 1);
	} else if (bar) {
		bool ok = text_starts(bar + 3, "ok");
		const char *wanted = bar + (ok ? strlen(" | ok |") : strlen(" | fails |"));
		int status = type_in(stage, arena_strndup(&stage->arena, line, (size_t)(bar - line)), &said);
		if ((status == 0) != ok || !strstr(said, wanted + (*wanted == ' ')))
			fail_msg("%s: %s\nended with %d and said:\n%s", name, line, status, said);
	} else if (holds || lacks) {
		const char *at = holds ? holds : lacks;
		const char *text = model_text(stage->rehearse, arena_strndup(&stage->arena, line, (size_t)(at - line)));
		if (!text || (strstr(text, at + 7) != NULL) != (holds != NULL))
			fail_msg("%s: %s, but it is:\n%s", name, line, text ? text : "(not there)");
	} else if (has) {
		const char *driver = driver_of(stage, arena_strndup(&stage->arena, line, (size_t)(has - line)));
		if (strcmp(driver, has + 5) != 0)
			fail_msg("%s: %s, but it has %s", name, line, driver);
	} else {
		const char *path = arena_strndup(&stage->arena, line, strcspn(line, " "));
		assert_int_equal(model_find(stage->rehearse, path) != NULL, text_ends(line, " there"));
	}
}

static void typed_by_hand(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(typed); i++) {
		struct stage stage;
		stage_open(&stage, typed[i].machine);
		for (size_t j = 0; j < COUNT(typed[i].lines) && typed[i].lines[j]; j++)
			check_line(&stage, typed[i].name, typed[i].lines[j]);
		arena_release(&stage.arena);
	}
}

/* ---- steps -------------------------------------------------------------------------------------- */

#define FOLDER JOURNAL_RUNS "/t"

static struct step_run run_with(struct stage *stage, const struct step *step, const char *folder)
{
	return (struct step_run){ &stage->exec, step, folder, &stage->err };
}

static const char *state_of(struct step_run *run)
{
	const char *state = NULL;
	if (!exec_kind(run->step->kind)->state(run, run->exec->arena, &state))
		fail_msg("%s %s: %s", run->step->kind, run->step->key, run->err->text);
	return state;
}

/* kind, on, key, to; before: typed first (; between), what the state is then, what it must be behind, and what the
 * guest's file (or mapping) is like after undo: the same as before. */
static const struct {
	const char *machine, *kind, *on, *key, *to, *before, *was;
} steps[] = {
	{ "base amd-4060ti\n", "power", "vm/100", "state", "stopped", "", "running" },
	{ "base amd-4060ti\n", "power", "vm/100", "state", "running", "qm shutdown 100", "stopped" },
	{ "base intel-uhd770-ct\n", "power", "ct/105", "state", "stopped", "", "running" },
	{ "base amd-4060ti\n", "config", "vm/100", "hostpci0", "0000:01:00", "", "" },
	{ "base amd-4060ti\n", "config", "vm/100", "hostpci0", "0000:01:00", "qm set 100 --hostpci0 0000:0b:00",
	        "0000:0b:00" },
	{ "base amd-4060ti\n", "config", "vm/100", "hostpci0", "0000:01:00", "qm shutdown 100", "" },
	{ "base amd-4060ti\n", "config", "vm/100", "balloon", "0", "qm shutdown 100;qm set 100 --balloon 2048", "2048" },
	{ "base amd-4060ti\n", "config", "vm/100", "cores", "4", "", "8" },
	{ "base amd-4060ti\n", "config", "vm/100", "onboot", "", "", "1" },
	{ "base amd-4060ti-ready\n", "config", "vm/100", "hostpci0", "", "", "0000:01:00" },
	{ "base intel-uhd770-ct\n", "config", "ct/105", "dev0", "/dev/dri/renderD128,gid=106",
	        "pct shutdown 105", "" },
	{ "base amd-4060ti\n", "mapping", "node", "gpu0", "node=pve,path=0000:01:00,id=10de:2803,iommugroup=12", "", "" },
	{ "base amd-4060ti\n", "mapping", "node", "gpu0", "node=pve,path=0000:01:00,id=10de:2803,iommugroup=12",
	        "pvesh create /cluster/mapping/pci --id gpu0 --map node=other,path=0000:02:00,id=10de:2803,iommugroup=3",
	        "" },
	{ "base amd-4060ti\n", "snapshot", "vm/100", "before-gpu", "taken", "", "" },
	{ "base amd-4060ti\n", "reach", "vm/100", "inside", "yes", "", "yes" },
	{ "base intel-uhd770-ct\n", "reach", "ct/105", "inside", "yes", "", "yes" },
};

static const char *file_of(struct stage *stage, const char *on)
{
	const char *path = strcmp(on, "node") == 0 ? "/etc/pve/mapping/pci.cfg"
	                   : text_starts(on, "vm/")
	                           ? arena_printf(&stage->arena, "/etc/pve/qemu-server/%s.conf", on + 3)
	                           : arena_printf(&stage->arena, "/etc/pve/lxc/%s.conf", on + 3);
	const char *text = model_text(stage->rehearse, path);
	return text ? text : "";
}

static void type_all(struct stage *stage, const char *lines)
{
	struct words each = text_split(&stage->arena, lines, ";");
	const char *said;
	for (size_t i = 0; i < each.n; i++)
		if (type_in(stage, each.word[i], &said) != 0)
			fail_msg("%s: %s", each.word[i], said);
}

static void there_and_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(steps); i++) {
		struct stage stage;
		struct step step = { .kind = steps[i].kind, .on = steps[i].on, .key = steps[i].key, .to = steps[i].to };
		stage_open(&stage, steps[i].machine);
		type_all(&stage, steps[i].before);
		struct step_run run = run_with(&stage, &step, "/var/lib/gpuferry/runs/t");
		const struct step_ops *ops = exec_kind(step.kind);
		const char *before = file_of(&stage, step.on), *old = state_of(&run);
		assert_string_equal(old, steps[i].was);
		assert_true(world_mkdir(stage.node, "/var/lib/gpuferry", 0700) == 0);
		if (!ops->apply(&run))
			fail_msg("%s %s: %s", step.kind, step.key, stage.err.text);
		assert_true(exec_holds(&step, state_of(&run)));
		/* a run that was cut asks twice */
		if (!ops->apply(&run))
			fail_msg("again: %s %s: %s", step.kind, step.key, stage.err.text);
		if (ops->undo && !ops->undo(&run, old, "/var/lib/gpuferry/blob"))
			fail_msg("%s %s: %s", step.kind, step.key, stage.err.text);
		if (ops->undo)
			assert_string_equal(state_of(&run), old);
		/* vmgenid and the like are as they were; an empty mapping file and none are one */
		if (strcmp(before, file_of(&stage, step.on)) != 0)
			fail_msg("%s %s was\n%s\nand is after undo\n%s", step.on, step.key, before,
			        file_of(&stage, step.on));
		arena_release(&stage.arena);
	}
}

static void said_no(struct stage *stage, const struct step *step, const char *why)
{
	struct step_run run = run_with(stage, step, FOLDER);
	stage->err = (struct err){ 0 };
	assert_false(exec_kind(step->kind)->apply(&run));
	if (!strstr(stage->err.text, why))
		fail_msg("%s: %s", why, stage->err.text);
}

static void steps_that_fail(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, "base amd-4060ti\n");
	struct step step = { .kind = "config", .on = "vm/100", .key = "hostpci0", .to = "0000:7f:00" };
	said_no(&stage, &step, "no PCI device found for '0000:7f:00'");
	step.to = "0000:01:00,pcie=1";
	said_no(&stage, &step, "q35 machine model is not enabled");
	step.key = "--delete";
	said_no(&stage, &step, "no key of a guest");
	step.on = "vm/1;rm";
	step.key = "hostpci0";
	said_no(&stage, &step, "no guest");
	step = (struct step){ .kind = "power", .on = "vm/100", .key = "state", .to = "stopped" };
	rehearse_fault(stage.rehearse, FAULT_ERRNO, "vm/100: shuts down", ETIME, 1);
	said_no(&stage, &step, "got timeout");
	type_all(&stage, "qm set 100 --lock backup");
	said_no(&stage, &step, "VM is locked (backup)");
	step = (struct step){ .kind = "snapshot", .on = "vm/100", .key = "a;b", .to = "taken" };
	said_no(&stage, &step, "no name of a snapshot");
	step = (struct step){ .kind = "mapping", .on = "node", .key = "../x", .to = "node=pve" };
	said_no(&stage, &step, "no name of a mapping");
	arena_release(&stage.arena);
}

/* ---- a new VM ----------------------------------------------------------------------------------- */

static const char image[] = "no image at all";

static struct journal begin_create(struct stage *stage, struct plan *plan, const char *sum)
{
	struct journal journal;
	static struct step two[2];
	two[0] = (struct step){ .kind = "create", .on = "vm/101", .key = "vm", .from = NONE, .to = "created",
		.because = "goal.guest", .title = "make it", .interrupts = NONE, .undo = UNDO_EQUIVALENT };
	two[1] = (struct step){ .kind = "power", .on = "vm/101", .key = "state", .from = "stopped", .to = "running",
		.because = "goal.guest", .title = "start it", .interrupts = NONE, .undo = UNDO_EXACT };
	*plan = (struct plan){ .gpu = "0000:01:00.0", .guest = "vm/101", .facts_digest = sum, .digest = sum, .steps = two,
		.n = 2, .confirm_seconds = UNKNOWN_NUMBER };
	plan->goal = arena_printf(&stage->arena,
	        "gpu: nvidia\ninto: vm/new\nnew:\n  storage: local-lvm\n  disk: 8G\n  image: debian.qcow2\n"
	        "  sha256: %s\n  bridge: vmbr0\n  memory: 4096\n  cores: 4\n  ssh_key: /root/key.pub\n",
	        sum);
	if (!journal_begin(stage->node, plan, &stage->arena, &stage->err, &journal))
		fail_msg("%s", stage->err.text);
	return journal;
}

static void new_vm(void **state)
{
	struct stage stage;
	struct plan plan;
	const char *said;
	(void)state;
	stage_open(&stage, "base amd-4060ti\nfile /var/lib/vz/template/iso/debian.qcow2 nonewline\n\tno image at all\n"
	                   "file /root/key.pub\n\tssh-ed25519 AAAA me\n");
	struct journal journal = begin_create(&stage, &plan, digest_sha256(bytes_of(image), &stage.arena));
	struct step_run run = run_with(&stage, &plan.steps[0], journal.folder);
	struct step_run power = run_with(&stage, &plan.steps[1], journal.folder);
	const struct step_ops *create = exec_kind("create");
	assert_string_equal(state_of(&run), NONE);
	assert_string_equal(state_of(&power), "stopped");
	if (!create->apply(&run))
		fail_msg("%s", stage.err.text);
	assert_string_equal(state_of(&run), "created");
	assert_int_equal(type_in(&stage, "qm config 101", &said), 0);
	static const char *const lines[] = { "bios: ovmf\n", "machine: q35\n", "balloon: 0\n", "agent: enabled=1\n",
		"pre-enrolled-keys=0", "scsihw: virtio-scsi-single\n", "size=8G", "cloudinit,media=cdrom",
		"sshkeys: ssh-ed25519%20AAAA%20me%0A", "boot: order=scsi0\n" };
	for (size_t i = 0; i < COUNT(lines); i++)
		if (!strstr(said, lines[i]))
			fail_msg("%s is not in\n%s", lines[i], said);
	/* never started: gone again */
	assert_true(create->undo(&run, NONE, ""));
	assert_string_equal(state_of(&run), NONE);
	/* started once: left */
	assert_true(create->apply(&run));
	assert_true(journal_note(stage.node, &journal, JOURNAL_BEGUN, 1, NULL, &stage.arena, &stage.err));
	assert_true(exec_kind("power")->apply(&power));
	assert_true(exec_kind("power")->undo(&power, "stopped", ""));
	assert_true(create->undo(&run, NONE, ""));
	assert_string_equal(state_of(&run), "created");
	arena_release(&stage.arena);
}

/* Another image than the goal names, and power that goes in the middle of making it. */
static void half_a_vm(void **state)
{
	struct stage stage;
	struct plan plan;
	struct err err = { 0 };
	static const char machine[] = "base amd-4060ti\nfile /var/lib/vz/template/iso/debian.qcow2 nonewline\n"
	                              "\tno image at all\nfile /root/key.pub\n\tssh-ed25519 AAAA me\n";
	(void)state;
	stage_open(&stage, machine);
	struct journal journal = begin_create(&stage, &plan, digest_sha256(bytes_of("x"), &stage.arena));
	struct step_run run = run_with(&stage, &plan.steps[0], journal.folder);
	assert_false(exec_kind("create")->apply(&run));
	assert_non_null(strstr(stage.err.text, "is not the image"));
	assert_string_equal(state_of(&run), NONE);
	arena_release(&stage.arena);
	unsigned cuts = 0;
	for (unsigned long cut = 1;; cut++) {
		stage_open(&stage, machine);
		journal = begin_create(&stage, &plan, digest_sha256(bytes_of(image), &stage.arena));
		run = run_with(&stage, &plan.steps[0], journal.folder);
		unsigned long begun = rehearse_effects(stage.rehearse);
		rehearse_cut(stage.rehearse, begun + cut);
		bool done = exec_kind("create")->apply(&run);
		if (rehearse_power_state(stage.rehearse) == POWER_ON && done) {
			arena_release(&stage.arena);
			break;
		}
		rehearse_cut(stage.rehearse, 0);
		assert_true(rehearse_boot(stage.rehearse, cut % 2, &err));
		if (!exec_kind("create")->apply(&run))
			fail_msg("after effect %lu: %s", cut, stage.err.text);
		assert_string_equal(state_of(&run), "created");
		assert_true(exec_kind("create")->undo(&run, NONE, ""));
		assert_string_equal(state_of(&run), NONE);
		arena_release(&stage.arena);
		cuts++;
	}
	print_message("# a new VM, cut after each of %u effects: made all the same, and taken away again\n", cuts);
	assert_true(cuts > 4);
}

/* ---- the table of options, in docs/proxmox.md ---------------------------------------------------- */

static void documented(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *root = getenv("GPUFERRY_SOURCE"), *table = pve_options_table(&arena);
	(void)state;
	if (!root)
		skip();
	struct bytes text = test_read(&arena, arena_printf(&arena, "%s/docs/proxmox.md", root));
	if (!strstr(text.data, table))
		fail_msg("the table of docs/proxmox.md shall be:\n%s", table);
}

/* Every option of the table has a source; every key is found by its own name; no two rows are one. */
static void table_is_sound(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	size_t n = 0;
	(void)state;
	for (const struct pve_option *option = pve_options; option->name; option++, n++) {
		const char *name = option->numbers ? arena_printf(&arena, "%s0", option->name) : option->name;
		assert_true(strchr(option->source, ' ') && option->since);
		assert_ptr_equal(option->command ? pve_option_of(option->command, name)
		                                 : pve_option_key(name, option->use & (PVE_VM_KEY | PVE_CT_KEY)),
		        option);
		assert_true((option->format == PVE_PROPERTIES) == (option->fields != NULL));
		assert_true((option->format == PVE_ENUM) == (option->words != NULL));
	}
	print_message("# %zu options\n", n);
	assert_null(pve_option_key("hostpci16", PVE_VM_KEY));
	assert_null(pve_option_key("hostpci01", PVE_VM_KEY));
	assert_null(pve_option_key("dev0", PVE_VM_KEY));
	assert_null(pve_option_of("qm set", "meta"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(typed_by_hand),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(steps_that_fail),
		cmocka_unit_test(new_vm),
		cmocka_unit_test(half_a_vm),
		cmocka_unit_test(documented),
		cmocka_unit_test(table_is_sound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
