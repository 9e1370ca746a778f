/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Runs of files, links and directories on a disk that loses power: whatever happens, the machine ends as it was or as
 * it was wished to be.
 */
#include "changing.h"
#include "base/digest.h"
#include "exec/exec.h"
#include "exec/journal.h"

/* ---- plans ----------------------------------------------------------------------------------- */

#define FILE_STEP(path, before, after) { .kind = "file", .on = "node", .key = path, .from = before, .to = after, .mode = 0644, .undo = UNDO_EXACT }
#define LINK_STEP(path, before, after) { .kind = "link", .on = "node", .key = path, .from = before, .to = after, .undo = UNDO_EXACT }

/* from: the content, replaced by its digest */
static const struct step hot_steps[] = {
	FILE_STEP("/etc/modprobe.d/new.conf", NONE, "options vfio-pci ids=10de:2803\n"),
	FILE_STEP("/etc/modprobe.d/edited.conf", "before\n", "after\n"),
	FILE_STEP("/etc/modprobe.d/removed.conf", "was here\n", NONE),
	{ .kind = "directory", .on = "node", .key = "/etc/new.d", .from = NONE, .to = "there", .undo = UNDO_EXACT },
	FILE_STEP("/etc/new.d/inside.conf", NONE, "inside\n"),
	LINK_STEP("/etc/new.d/link", NONE, "../modprobe.d/new.conf"),
	LINK_STEP("/etc/moved", "/etc/modprobe.d/edited.conf", "/etc/modprobe.d/new.conf"),
	LINK_STEP("/etc/gone", "/nowhere", NONE),
};

static const struct step boot_steps[] = {
	{ .kind = "file", .on = "node", .key = "/etc/revert.service", .from = NONE, .to = "[Unit]\n", .mode = 0644, .temporary = true, .undo = UNDO_EXACT },
	{ .kind = "directory", .on = "node", .key = "/etc/target.wants", .from = NONE, .to = "there", .temporary = true, .undo = UNDO_EXACT },
	{ .kind = "link", .on = "node", .key = "/etc/target.wants/revert.service", .from = NONE, .to = "/etc/revert.service", .temporary = true, .undo = UNDO_EXACT },
	FILE_STEP("/etc/modprobe.d/new.conf", NONE, "new\n"),
	FILE_STEP("/etc/modprobe.d/edited.conf", "before\n", "after\n"),
	{ .kind = "reboot", .on = "node", .key = "boot", .from = "old", .to = "new", .undo = UNDO_AFTER_REBOOT },
	FILE_STEP("/etc/modprobe.d/removed.conf", "was here\n", NONE),
	{ .kind = "confirm", .on = "node", .key = "change", .from = "open", .to = "confirmed", .undo = UNDO_NONE },
	LINK_STEP("/etc/moved", "/etc/modprobe.d/edited.conf", "/etc/modprobe.d/new.conf"),
};

/* A driver is a thing of the running kernel: see attribute() below. */
#define CARD "/sys/bus/pci/devices/0000:01:00.0"
static const struct step bind_steps[] = {
	FILE_STEP("/etc/modprobe.d/new.conf", NONE, "new\n"),
	{ .kind = "bind", .on = "node", .key = "0000:01:00.0", .from = NONE, .to = "vfio-pci", .undo = UNDO_EXACT },
	FILE_STEP("/etc/modprobe.d/edited.conf", "before\n", "after\n"),
};

struct bench {
	struct changing disk;
	struct arena arena;
	struct exec exec;
	struct err err;
	struct plan plan, built;
	struct goal goal;
	const char *run, *told;
	unsigned reboots;
	bool hangs; /* the kernel, in the next probe */
	unsigned boot_of_last; /* in which boot the last step before the reboot barrier was done */
};

static struct bench *bench_now; /* of the one test that runs */

static void build(const struct facts *facts, const struct goal *goal, struct arena *arena, struct plan *ret)
{
	(void)facts, (void)goal, (void)arena;
	*ret = bench_now->built;
}

static void told(void *data, const struct exec_event *event)
{
	static const char *const names[] = { "begins", "done", "already", "failed", "undo", "undone", "left", "holds", "broken", "note" };
	struct bench *bench = data;
	size_t barrier = 0;
	while (barrier < bench->plan.n && strcmp(bench->plan.steps[barrier].kind, "reboot") != 0)
		barrier++;
	if ((event->what == EXEC_STEP_DONE || event->what == EXEC_STEP_ALREADY) && event->index < barrier)
		bench->boot_of_last = bench->disk.boots;
	if (event->what == EXEC_STEP_BEGINS && event->index > barrier && bench->disk.boots == bench->boot_of_last)
		fail_msg("%s begins before the node has booted\n%s", event->step->key, bench->told);
	bench->told = arena_printf(&bench->arena, "%s%s %s\n", bench->told, names[event->what],
	        event->step ? event->step->key : event->text ? event->text : "");
}

static int command(struct changing *disk, const struct command *command, struct outcome *ret)
{
	(void)ret;
	if (strcmp(command->argv[0], "systemctl") != 0 || strcmp(command->argv[1], "reboot") != 0)
		return ENOENT;
	((struct bench *)disk->data)->reboots++;
	return 0;
}

static void no_driver(struct changing *disk)
{
	struct changing_name *name = changing_name(disk, CARD "/driver");
	if (name)
		name->now = name->disk = -1;
}

static int attribute(struct changing *disk, const char *path, const char *value)
{
	struct bench *bench = disk->data;
	if (strcmp(path, CARD "/driver_override") == 0) {
		changing_edit(disk, path, *value == '\n' ? "(null)" : value, 0644);
	} else if (strcmp(path, "/sys/bus/pci/drivers/vfio-pci/unbind") == 0) {
		no_driver(disk);
	} else if (strcmp(path, "/sys/bus/pci/drivers_probe") == 0 && bench->hangs) {
		return ETIMEDOUT;
	} else if (strcmp(path, "/sys/bus/pci/drivers_probe") == 0) {
		const char *driver = changing_file(disk, CARD "/driver_override")->data.data;
		no_driver(disk);
		changing_add(disk, CARD "/driver", (struct changing_file){ .type = NODE_LINK, .data = arena_bytes(&disk->arena, driver, strlen(driver)) });
	}
	return 0;
}

/* sysfs starts anew with the kernel. */
static void reset_card(struct changing *disk)
{
	no_driver(disk);
	changing_edit(disk, CARD "/driver_override", "(null)", 0644);
	changing_edit(disk, CARD "/vendor", "0x10de\n", 0444);
	changing_edit(disk, CARD "/device", "0x2803\n", 0444);
	changing_edit(disk, "/sys/bus/pci/drivers/vfio-pci", NULL, 0755);
}

static void boot(struct changing *disk, bool keep)
{
	changing_boot(disk, keep);
	((struct bench *)disk->data)->hangs = false;
	if (changing_file(disk, CARD))
		reset_card(disk);
}

static const char *from_of(struct arena *arena, const struct step *step)
{
	if (strcmp(step->kind, "file") != 0 || !*step->from)
		return step->from;
	return arena_printf(arena, "sha256:%s", digest_sha256(bytes_of(step->from), arena));
}

static void bench_open(struct bench *bench, const struct step *steps, size_t n)
{
	memset(bench, 0, sizeof *bench);
	bench_now = bench;
	struct world *node = changing_open(&bench->disk);
	bench->disk.data = bench;
	bench->disk.command = command;
	bench->disk.attribute = attribute;
	if (steps == bind_steps)
		reset_card(&bench->disk);
	changing_edit(&bench->disk, "/etc/modprobe.d/edited.conf", "before\n", 0640);
	changing_edit(&bench->disk, "/etc/modprobe.d/removed.conf", "was here\n", 0600);
	struct changing_name *name = changing_name(&bench->disk, "/etc/modprobe.d/removed.conf");
	bench->disk.inode[name->now].now.uid = bench->disk.inode[name->now].disk.uid = 33;
	static const char *const links[][2] = { { "/etc/moved", "/etc/modprobe.d/edited.conf" }, { "/etc/gone", "/nowhere" } };
	for (size_t i = 0; i < COUNT(links); i++) {
		changing_symlink(node, links[i][1], links[i][0]);
		changing_sync(node, "/etc");
	}
	bench->disk.effects = 0;
	bench->plan = (struct plan){ .digest = "d1", .n = n, .confirm_seconds = UNKNOWN_NUMBER };
	bench->plan.steps = arena_alloc(&bench->arena, n * sizeof *steps);
	for (size_t i = 0; i < n; i++) {
		bench->plan.steps[i] = steps[i];
		bench->plan.steps[i].title = steps[i].key;
		bench->plan.steps[i].because = "test.rule";
		bench->plan.steps[i].interrupts = NONE;
		bench->plan.steps[i].from = from_of(&bench->arena, &steps[i]);
	}
	bench->built = bench->plan;
	goal_init(&bench->goal);
	bench->told = "";
	bench->exec = (struct exec){ .node = node, .arena = &bench->arena, .event = told, .data = bench, .build = build, .in_window = true };
}

static void bench_close(struct bench *bench)
{
	arena_release(&bench->disk.arena);
	arena_release(&bench->arena);
}

static enum exec_end apply(struct bench *bench)
{
	bench->err = (struct err){ 0 };
	return exec_apply(&bench->exec, &bench->plan, &bench->goal, &bench->err, &bench->run);
}

static enum exec_end resume(struct bench *bench)
{
	bench->err = (struct err){ 0 };
	return exec_resume(&bench->exec, &bench->err, &bench->run);
}

static enum exec_end confirm(struct bench *bench)
{
	bench->err = (struct err){ 0 };
	return exec_confirm(&bench->exec, &bench->err, &bench->run);
}

static enum exec_end rollback(struct bench *bench, const char *run, bool later, struct words *ret)
{
	struct words left;
	bench->err = (struct err){ 0 };
	return exec_rollback(&bench->exec, run, later, &bench->err, ret ? ret : &left);
}

/* On to the end that a patient person reaches: reboots when told, confirms. Stops where the power goes. */
static enum exec_end to_the_end(struct bench *bench, enum exec_end end)
{
	for (int i = 0; i < 10 && !bench->disk.off; i++) {
		if (end == EXEC_REBOOT)
			boot(&bench->disk, true), end = resume(bench);
		else if (end == EXEC_CONFIRM)
			end = confirm(bench);
		else
			break;
	}
	return end;
}

static const char *picture(struct bench *bench)
{
	return changing_text(&bench->disk, PLAN_FOLDER, &bench->arena);
}

static const char *state_of(struct bench *bench)
{
	struct runs runs;
	assert_true(exec_runs(bench->exec.node, &bench->arena, &bench->err, &runs));
	return runs.n ? runs.run[0].state : "none";
}

/* The two pictures a machine may end in. */
static void pictures(const struct step *steps, size_t n, struct arena *arena, const char **old, const char **wished)
{
	struct bench bench;
	bench_open(&bench, steps, n);
	*old = arena_strdup(arena, picture(&bench));
	assert_int_equal(to_the_end(&bench, apply(&bench)), EXEC_DONE);
	*wished = arena_strdup(arena, picture(&bench));
	assert_string_not_equal(*old, *wished);
	bench_close(&bench);
}

/* ---- there and back -------------------------------------------------------------------------- */

static void test_there_and_back(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, hot_steps, COUNT(hot_steps));
	const char *before = picture(&bench);
	assert_int_equal(apply(&bench), EXEC_DONE);
	assert_string_equal(changing_file(&bench.disk, "/etc/modprobe.d/edited.conf")->data.data, "after\n");
	assert_int_equal(changing_file(&bench.disk, "/etc/modprobe.d/edited.conf")->mode, 0644);
	assert_null(changing_file(&bench.disk, "/etc/modprobe.d/removed.conf"));
	assert_null(changing_file(&bench.disk, "/etc/gone"));
	assert_string_equal(changing_file(&bench.disk, "/etc/new.d/link")->data.data, "../modprobe.d/new.conf");
	assert_null(changing_file(&bench.disk, PLAN_REVERT));
	assert_string_equal(state_of(&bench), "done");
	assert_int_equal(resume(&bench), EXEC_NOTHING);
	boot(&bench.disk, false);
	assert_int_equal(rollback(&bench, NULL, false, NULL), EXEC_DONE);
	assert_string_equal(picture(&bench), before);
	assert_string_equal(state_of(&bench), "rolled-back");
	boot(&bench.disk, false);
	assert_string_equal(picture(&bench), before);
	assert_int_equal(rollback(&bench, NULL, false, NULL), EXEC_NOTHING);
	bench_close(&bench);
}

static void test_with_reboot(void **state)
{
	(void)state;
	struct bench bench;
	const char *revert;
	bench_open(&bench, boot_steps, COUNT(boot_steps));
	const char *before = picture(&bench);
	bench.exec.reboot = true;
	assert_int_equal(apply(&bench), EXEC_REBOOT);
	assert_int_equal(bench.reboots, 1);
	assert_string_equal(state_of(&bench), "reboot");
	assert_int_equal(world_link(bench.exec.node, PLAN_REVERT, &bench.arena, &revert), 0);
	assert_string_equal(revert, arena_printf(&bench.arena, "%s/%s/rollback.sh", JOURNAL_RUNS, bench.run));
	assert_int_equal(resume(&bench), EXEC_REBOOT); /* the same boot */
	assert_int_equal(bench.reboots, 2);
	assert_non_null(changing_file(&bench.disk, "/etc/modprobe.d/removed.conf"));
	assert_int_equal(apply(&bench), EXEC_REFUSED);
	assert_non_null(strstr(bench.err.text, "has not ended yet"));
	assert_int_equal(confirm(&bench), EXEC_REFUSED);
	boot(&bench.disk, false);
	assert_int_equal(resume(&bench), EXEC_CONFIRM);
	assert_null(changing_file(&bench.disk, "/etc/modprobe.d/removed.conf"));
	assert_non_null(changing_file(&bench.disk, "/etc/revert.service"));
	assert_string_equal(changing_file(&bench.disk, "/etc/moved")->data.data, "/etc/modprobe.d/edited.conf");
	assert_int_equal(resume(&bench), EXEC_CONFIRM);
	assert_int_equal(confirm(&bench), EXEC_DONE);
	assert_null(changing_file(&bench.disk, "/etc/revert.service"));
	assert_null(changing_file(&bench.disk, PLAN_REVERT));
	assert_string_equal(changing_file(&bench.disk, "/etc/moved")->data.data, "/etc/modprobe.d/new.conf");
	assert_string_equal(state_of(&bench), "done");
	assert_int_equal(rollback(&bench, NULL, false, NULL), EXEC_DONE);
	assert_non_null(strstr(bench.told, "note the files are as before; reboot this node"));
	assert_string_equal(picture(&bench), before);
	bench_close(&bench);
}

static void test_back_from_everywhere(void **state)
{
	(void)state;
	struct bench bench;
	for (int point = 0; point < 3; point++) {
		bench_open(&bench, boot_steps, COUNT(boot_steps));
		const char *before = picture(&bench);
		assert_int_equal(apply(&bench), EXEC_REBOOT);
		boot(&bench.disk, false);
		if (point > 0)
			assert_int_equal(resume(&bench), EXEC_CONFIRM);
		if (point > 1)
			assert_int_equal(confirm(&bench), EXEC_DONE);
		assert_int_equal(rollback(&bench, bench.run, false, NULL), EXEC_DONE);
		assert_string_equal(picture(&bench), before);
		assert_null(changing_file(&bench.disk, PLAN_REVERT));
		bench_close(&bench);
	}
}

/* ---- the machine has changed ----------------------------------------------------------------- */

static void test_refusals(void **state)
{
	(void)state;
	struct bench bench;
	static struct refusal refused = { .rule = "gpu.group", .why = "the group holds the network card", .cure = "another slot" };
	static const struct step stopping[] = { { .kind = "file", .on = "vm/100", .key = "/etc/x", .from = NONE, .to = "x", .stops_guest = true } };
	for (int i = 0; i < 7; i++) {
		bool stops = i >= 5;
		bench_open(&bench, stops ? stopping : hot_steps, stops ? 1 : COUNT(hot_steps));
		if (i == 0)
			bench.built.digest = "d2";
		else if (i == 1)
			bench.built.refused = &refused, bench.built.n_refused = 1;
		else if (i == 2)
			changing_edit(&bench.disk, "/etc/modprobe.d/edited.conf", "someone\n", 0640);
		else if (i == 3)
			changing_edit(&bench.disk, "/etc/modprobe.d/new.conf", "someone\n", 0644);
		else if (i == 4)
			bench.disk.locked = true;
		else if (i == 6)
			bench.exec.stop_guests = true, bench.exec.in_window = false;
		static const char *const wanted[] = { "the machine changed", "the group holds", "edited.conf", "new.conf", "another gpuferry", "nobody has agreed", "window" };
		const char *before = picture(&bench);
		assert_int_equal(apply(&bench), EXEC_REFUSED);
		assert_non_null(strstr(bench.err.text, wanted[i]));
		assert_true(*bench.err.hint);
		assert_int_equal(bench.err.kind, i == 4 ? ERR_LOCKED : ERR_INPUT);
		assert_string_equal(bench.run, "");
		assert_string_equal(picture(&bench), before);
		assert_null(changing_file(&bench.disk, JOURNAL_RUNS));
		bench_close(&bench);
	}
}

static enum tri plays(void *data, const char *guest)
{
	(void)data;
	assert_string_equal(guest, "vm/100");
	return YES;
}

static void test_nothing_and_playing(void **state)
{
	(void)state;
	struct bench bench;
	static const struct step stopping[] = { { .kind = "file", .on = "vm/100", .key = "/etc/x", .from = NONE, .to = "x", .stops_guest = true } };
	bench_open(&bench, hot_steps, 0);
	assert_int_equal(apply(&bench), EXEC_NOTHING);
	assert_null(changing_file(&bench.disk, JOURNAL_RUNS));
	bench_close(&bench);
	bench_open(&bench, stopping, 1);
	bench.exec.stop_guests = true;
	bench.exec.playing = plays;
	assert_int_equal(apply(&bench), EXEC_REFUSED);
	assert_non_null(strstr(bench.err.text, "plays for someone"));
	bench.exec.playing = NULL;
	assert_int_equal(apply(&bench), EXEC_DONE);
	bench_close(&bench);
}

/* Someone writes between two steps: that step fails, and what we did goes back; theirs stays. */
static int edit_at(struct changing *disk, const struct command *what, struct outcome *ret)
{
	return command(disk, what, ret);
}

static void tell_and_edit(void *data, const struct exec_event *event)
{
	struct bench *bench = data;
	told(data, event);
	if (event->what == EXEC_STEP_DONE && strcmp(event->step->key, "/etc/modprobe.d/new.conf") == 0)
		changing_edit(&bench->disk, "/etc/modprobe.d/edited.conf", "someone\n", 0600);
}

static void test_edit_in_between(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, hot_steps, COUNT(hot_steps));
	bench.disk.command = edit_at;
	bench.exec.event = tell_and_edit;
	assert_int_equal(apply(&bench), EXEC_REVERTED);
	assert_non_null(strstr(bench.err.text, "/etc/modprobe.d/edited.conf was changed by someone else"));
	assert_null(changing_file(&bench.disk, "/etc/modprobe.d/new.conf"));
	assert_string_equal(changing_file(&bench.disk, "/etc/modprobe.d/edited.conf")->data.data, "someone\n");
	assert_string_equal(state_of(&bench), "reverted");
	assert_non_null(strstr(bench.told, "failed /etc/modprobe.d/edited.conf\nundo /etc/modprobe.d/new.conf\nundone /etc/modprobe.d/new.conf\n"));
	bench_close(&bench);
}

static void test_drift_is_left(void **state)
{
	(void)state;
	struct bench bench;
	struct words left;
	bench_open(&bench, hot_steps, COUNT(hot_steps));
	assert_int_equal(apply(&bench), EXEC_DONE);
	changing_edit(&bench.disk, "/etc/modprobe.d/edited.conf", "someone\n", 0640);
	changing_edit(&bench.disk, "/etc/new.d/theirs.conf", "theirs\n", 0640);
	assert_int_equal(rollback(&bench, NULL, false, &left), EXEC_LEFT);
	assert_int_equal(left.n, 2);
	assert_string_equal(left.word[0], "/etc/modprobe.d/edited.conf");
	assert_string_equal(left.word[1], "/etc/new.d");
	assert_string_equal(changing_file(&bench.disk, "/etc/modprobe.d/edited.conf")->data.data, "someone\n");
	assert_non_null(changing_file(&bench.disk, "/etc/new.d/theirs.conf"));
	assert_null(changing_file(&bench.disk, "/etc/new.d/inside.conf"));
	assert_null(changing_file(&bench.disk, "/etc/modprobe.d/new.conf"));
	assert_string_equal(changing_file(&bench.disk, "/etc/modprobe.d/removed.conf")->data.data, "was here\n");
	assert_int_equal(changing_file(&bench.disk, "/etc/modprobe.d/removed.conf")->uid, 33);
	assert_string_equal(state_of(&bench), "left");
	/* asked for by name, once what was in the way is gone */
	changing_remove(bench.exec.node, "/etc/new.d/theirs.conf");
	changing_edit(&bench.disk, "/etc/modprobe.d/edited.conf", "after\n", 0644);
	assert_int_equal(rollback(&bench, NULL, false, &left), EXEC_NOTHING);
	assert_int_equal(rollback(&bench, bench.run, false, &left), EXEC_DONE);
	assert_null(changing_file(&bench.disk, "/etc/new.d"));
	assert_int_equal(changing_file(&bench.disk, "/etc/modprobe.d/edited.conf")->mode, 0640);
	bench_close(&bench);
}

/* ---- several runs ---------------------------------------------------------------------------- */

static void test_later_runs(void **state)
{
	(void)state;
	static const struct step again[] = { FILE_STEP("/etc/modprobe.d/edited.conf", "after\n", "later\n") };
	static const struct step elsewhere[] = { FILE_STEP("/etc/elsewhere", NONE, "x\n") };
	struct bench bench;
	bench_open(&bench, hot_steps, COUNT(hot_steps));
	const char *before = picture(&bench);
	assert_int_equal(apply(&bench), EXEC_DONE);
	const char *first = bench.run;
	static const struct step *const more[] = { again, elsewhere };
	const char *ids[2];
	for (size_t i = 0; i < 2; i++) {
		bench.plan.steps = arena_alloc(&bench.arena, sizeof *again);
		*bench.plan.steps = *more[i];
		bench.plan.steps->title = bench.plan.steps->because = "test.rule";
		bench.plan.steps->interrupts = NONE;
		bench.plan.steps->from = from_of(&bench.arena, more[i]);
		bench.plan.n = 1;
		bench.built = bench.plan;
		assert_int_equal(apply(&bench), EXEC_DONE);
		ids[i] = bench.run;
	}
	assert_int_equal(rollback(&bench, first, false, NULL), EXEC_REFUSED);
	assert_non_null(strstr(bench.err.text, ids[0]));
	assert_null(strstr(bench.err.text, ids[1]));
	assert_int_equal(rollback(&bench, first, true, NULL), EXEC_DONE);
	assert_non_null(changing_file(&bench.disk, "/etc/elsewhere"));
	assert_int_equal(rollback(&bench, NULL, false, NULL), EXEC_DONE);
	assert_string_equal(picture(&bench), before);
	assert_int_equal(rollback(&bench, "20200101-000000", false, NULL), EXEC_REFUSED);
	assert_non_null(strstr(bench.err.text, "there is no run 20200101-000000"));
	bench_close(&bench);
}

static void test_took_itself_back(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, boot_steps, COUNT(boot_steps));
	const char *before = picture(&bench);
	assert_int_equal(apply(&bench), EXEC_REBOOT);
	boot(&bench.disk, false);
	assert_int_equal(resume(&bench), EXEC_CONFIRM);
	/* rollback.sh begins: too late to confirm */
	changing_edit(&bench.disk, arena_printf(&bench.arena, "%s/%s/taken-back", JOURNAL_RUNS, bench.run), "begun\n", 0600);
	assert_int_equal(confirm(&bench), EXEC_REFUSED);
	assert_string_equal(state_of(&bench), "reverting");
	assert_int_equal(resume(&bench), EXEC_REVERTED);
	assert_non_null(strstr(bench.err.text, "not confirmed in time"));
	assert_string_equal(picture(&bench), before);
	assert_string_equal(state_of(&bench), "reverted");
	bench_close(&bench);
}

/* What fails behind the confirmation is said, and done again; the change stays. */
static void test_fails_behind_confirmation(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, boot_steps, COUNT(boot_steps));
	assert_int_equal(apply(&bench), EXEC_REBOOT);
	boot(&bench.disk, false);
	assert_int_equal(resume(&bench), EXEC_CONFIRM);
	bench.disk.fault = "* /etc/moved*";
	bench.disk.fault_errno = ENOSPC;
	assert_int_equal(confirm(&bench), EXEC_FAILED);
	assert_non_null(strstr(bench.err.text, "/etc/moved"));
	assert_null(changing_file(&bench.disk, "/etc/revert.service"));
	assert_string_equal(changing_file(&bench.disk, "/etc/modprobe.d/edited.conf")->data.data, "after\n");
	assert_string_equal(state_of(&bench), "confirm");
	boot(&bench.disk, false);
	assert_int_equal(resume(&bench), EXEC_DONE);
	assert_string_equal(changing_file(&bench.disk, "/etc/moved")->data.data, "/etc/modprobe.d/new.conf");
	bench_close(&bench);
}

/* The kernel hangs in a bind: nothing more is written but the note; after the reboot all goes back. */
static void test_stuck(void **state)
{
	(void)state;
	for (int way = 0; way < 2; way++) {
		struct bench bench;
		bench_open(&bench, bind_steps, COUNT(bind_steps));
		bench.hangs = true;
		const char *before = picture(&bench);
		assert_int_equal(apply(&bench), EXEC_STUCK);
		assert_int_equal(bench.err.kind, ERR_TIMEOUT);
		assert_true(text_starts(bench.err.hint, "reboot this node"));
		assert_string_equal(state_of(&bench), "stuck");
		assert_true(text_starts(bench.disk.last, "sync " JOURNAL_RUNS));
		const char *now = picture(&bench);
		assert_int_equal(rollback(&bench, NULL, false, NULL), EXEC_STUCK);
		assert_int_equal(resume(&bench), EXEC_STUCK);
		assert_int_equal(apply(&bench), EXEC_REFUSED);
		assert_string_equal(picture(&bench), now);
		boot(&bench.disk, false);
		assert_int_equal(way ? rollback(&bench, NULL, false, NULL) : resume(&bench), way ? EXEC_DONE : EXEC_REVERTED);
		assert_string_equal(picture(&bench), before);
		bench_close(&bench);
	}
}

static void test_gate(void **state)
{
	(void)state;
	struct bench bench;
	static struct gate gate = { .rule = "node.iommu", .asks = "is it on?", .why = "it is off" };
	bench_open(&bench, boot_steps, COUNT(boot_steps));
	bench.plan.gates = &gate;
	bench.plan.n_gates = 1;
	bench.plan.goal = "gpu: nvidia\n";
	bench.built = bench.plan;
	const char *before = picture(&bench);
	assert_int_equal(apply(&bench), EXEC_REBOOT);
	boot(&bench.disk, false);
	assert_int_equal(resume(&bench), EXEC_GATE); /* this disk has no IOMMU to show */
	assert_non_null(strstr(bench.err.text, "node.iommu"));
	assert_non_null(strstr(bench.told, "broken node.iommu"));
	assert_string_equal(picture(&bench), before);
	assert_string_equal(state_of(&bench), "reverted");
	bench_close(&bench);
}

/* ---- power cuts ------------------------------------------------------------------------------ */

struct matrix {
	const struct step *steps;
	size_t n;
	const char *old, *wished;
	unsigned cuts, old_ends, wished_ends;
};

enum { LOST, KEPT, KILLED, WORLDS };
static const char *const worlds[] = { "unsynced lost", "unsynced kept", "the program ended" };

static void after_cut(struct bench *bench, int world)
{
	if (world == KILLED)
		changing_go_on(&bench->disk);
	else
		boot(&bench->disk, world == KEPT);
}

static void ends_well(struct matrix *matrix, struct bench *bench, bool only_old, const char *how)
{
	const char *now = picture(bench);
	bool old = strcmp(now, matrix->old) == 0, wished = !only_old && strcmp(now, matrix->wished) == 0;
	matrix->cuts++;
	matrix->old_ends += old;
	matrix->wished_ends += wished;
	if (!old && !wished)
		fail_msg("%s: %s\n%s\nis neither the old nor the wished state (%s)", how, bench->told, now, bench->err.text);
	const char *state = state_of(bench);
	if (strcmp(state, "open") == 0 || strcmp(state, "reverting") == 0 || strcmp(state, "damaged") == 0)
		fail_msg("%s: the run is still %s", how, state);
}

struct cut {
	unsigned long after; /* 0: not */
	int world;
};

/* A run that had ended before the cut is nobody's to go on with: what the boot took of it is put back by hand. */
static void cut_and_on(const struct matrix *matrix, struct bench *bench, int world, bool back)
{
	after_cut(bench, world);
	if (matrix->steps == bind_steps && !back && strcmp(state_of(bench), "done") == 0) {
		attribute(&bench->disk, CARD "/driver_override", "vfio-pci");
		attribute(&bench->disk, "/sys/bus/pci/drivers_probe", "0000:01:00.0");
	}
}

/* Cut, then cut again on the way on or back, then to the end, then the power goes once more. False: the second cut came
 * too late to hit anything. */
static bool one_cut(struct matrix *matrix, struct cut first, struct cut second, bool back, bool *ret_hit)
{
	struct bench bench;
	bench_open(&bench, matrix->steps, matrix->n);
	bench.disk.cut = first.after;
	to_the_end(&bench, apply(&bench));
	*ret_hit = bench.disk.off;
	bool hit = true;
	cut_and_on(matrix, &bench, first.world, back);
	for (int i = 0; i < 2; i++) {
		bench.disk.cut = i == 0 ? second.after : 0;
		if (back)
			rollback(&bench, NULL, false, NULL);
		else
			to_the_end(&bench, resume(&bench));
		if (second.after && i == 0)
			hit = bench.disk.off;
		if (bench.disk.off || matrix->steps != bind_steps) /* a driver is gone with every boot */
			cut_and_on(matrix, &bench, i == 0 ? second.world : LOST, back);
	}
	ends_well(matrix, &bench, back, arena_printf(&bench.arena, "cut after %lu (%s) and %lu (%s), then %s", first.after,
	        worlds[first.world], second.after, worlds[second.world], back ? "back" : "on"));
	bench_close(&bench);
	return hit;
}

static void run_matrix(const struct step *steps, size_t n, unsigned long stride)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct matrix matrix = { .steps = steps, .n = n };
	pictures(steps, n, &arena, &matrix.old, &matrix.wished);
	for (int way = 0; way < WORLDS * WORLDS * 2; way++) {
		struct cut first = { 0, way % WORLDS }, second = { 0, way / WORLDS % WORLDS };
		bool hit = true, back = way >= WORLDS * WORLDS, ignored;
		/* to unbind in the same boot takes a whole GPU that is known to be free: left to the rehearsal */
		if (steps == bind_steps && back && (first.world == KILLED || second.world == KILLED))
			continue;
		for (first.after = 1; hit; first.after++) {
			second.after = 0;
			one_cut(&matrix, first, second, back, &hit);
			for (second.after = 1 + (first.after + (unsigned)way) % stride; hit; second.after += stride)
				if (!one_cut(&matrix, first, second, back, &ignored))
					break;
		}
	}
	print_message("%u cuts: %u ended in the old state, %u in the wished one, none between\n", matrix.cuts, matrix.old_ends, matrix.wished_ends);
	assert_true(matrix.old_ends > 50 && matrix.wished_ends > 50);
}

static void test_cut_hot(void **state)
{
	(void)state;
	run_matrix(hot_steps, COUNT(hot_steps), 37);
}

static void test_cut_boot(void **state)
{
	(void)state;
	run_matrix(boot_steps, COUNT(boot_steps), 37);
}

static void test_cut_bind(void **state)
{
	(void)state;
	run_matrix(bind_steps, COUNT(bind_steps), 7);
}

/* ---- full disks, bad disks ------------------------------------------------------------------- */

/* Every effect of that name fails once, or from then on until someone repairs it. */
static void run_faults(const char *pattern, int error, bool lasting)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct matrix matrix = { .steps = hot_steps, .n = COUNT(hot_steps) };
	pictures(hot_steps, COUNT(hot_steps), &arena, &matrix.old, &matrix.wished);
	bool hit = true;
	unsigned reverted = 0, failed = 0;
	for (unsigned long at = 1; hit; at++) {
		struct bench bench;
		bench_open(&bench, hot_steps, COUNT(hot_steps));
		bench.disk.fault = pattern;
		bench.disk.fault_errno = error;
		bench.disk.fault_from = at;
		bench.disk.fault_times = lasting ? 0 : 1;
		enum exec_end end = apply(&bench);
		hit = bench.disk.faults > 0;
		bench.disk.fault = NULL;
		reverted += end == EXEC_REVERTED;
		failed += end == EXEC_FAILED;
		if (hit && end != EXEC_DONE)
			assert_true(bench.err.text[0]);
		if (end == EXEC_REFUSED || end == EXEC_REVERTED)
			assert_string_equal(picture(&bench), matrix.old);
		if (end == EXEC_DONE)
			assert_string_equal(picture(&bench), matrix.wished);
		if (end == EXEC_FAILED)
			assert_int_equal(rollback(&bench, NULL, false, NULL), EXEC_DONE);
		boot(&bench.disk, false);
		ends_well(&matrix, &bench, false, "a fault");
		bench_close(&bench);
	}
	print_message("%s: %u times %s: %u reverted, %u had to be taken back later\n", pattern, matrix.cuts - 1, strerror(error), reverted, failed);
	assert_true(reverted + failed > 2);
}

static void test_faults(void **state)
{
	(void)state;
	static const struct {
		const char *pattern;
		int error;
	} faults[] = { { "put *", ENOSPC }, { "append *", ENOSPC }, { "*", ENOSPC }, { "sync *", EIO }, { "* /etc/*", EROFS } };
	for (size_t i = 0; i < COUNT(faults); i++)
		for (int lasting = 0; lasting < 2; lasting++)
			run_faults(faults[i].pattern, faults[i].error, lasting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_with_reboot),
		cmocka_unit_test(test_back_from_everywhere),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_nothing_and_playing),
		cmocka_unit_test(test_edit_in_between),
		cmocka_unit_test(test_drift_is_left),
		cmocka_unit_test(test_later_runs),
		cmocka_unit_test(test_took_itself_back),
		cmocka_unit_test(test_fails_behind_confirmation),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_cut_hot),
		cmocka_unit_test(test_cut_boot),
		cmocka_unit_test(test_cut_bind),
		cmocka_unit_test(test_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
