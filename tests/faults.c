/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The fault matrix: every journey (journeys.c), and on each everything that can go wrong without the power going: a call
 * of PVE or of the node's tools that fails, a full disk, a disk that cannot sync, a read-only /etc, a kernel that hangs,
 * somebody else's edit of the guest or of a file, a backup's lock, a reboot that never comes, a card that has moved
 * during the reboot. Each at every place in turn. When the journey has ended the fault is over, and what is open is gone
 * on with or rolled back. It must end as it was, or as wished; where somebody else's edit stands, that is left, and the
 * rest is not between; and it must say so: a run that says "taken back" or "refused" has changed nothing.
 *
 *   faults [--step N] [--workers N] [--machine NAME] [--case TEXT]
 * --step: every Nth place; --machine: one journey; --case: one case again, as a failure prints it.
 */
#include <errno.h>

#include "journey.h"

/* ---- what goes wrong ------------------------------------------------------------------------------ */

struct mishap;
struct trouble { /* one case on its way */
	const struct mishap *mishap;
	unsigned long nth;
	bool came;
	const char *path, *theirs; /* a file, and what somebody else has made of it */
	const struct tape *moved;
	unsigned long seen; /* of the steps that count */
};

struct mishap {
	const char *name;
	enum rehearse_fault fault;
	const char *pattern;
	int error;
	unsigned times; /* 0: until the journey has ended */
	void (*arm)(struct show *, struct trouble *); /* instead of a fault */
	bool others; /* something may be left: somebody else's edit stands, or keeps the guest from starting */
	bool once;                                    /* there is but one place */
};

static const char *guest_file(const struct show *show)
{
	const char *guest = show->stage->plan.guest;
	if (!guest)
		return NULL;
	return arena_printf(show->arena, "/etc/pve/%s/%s.conf", text_starts(guest, "ct/") ? "lxc" : "qemu-server",
	        guest + 3);
}

static const char *content_of(struct show *show, const char *path)
{
	struct bytes text = { "", 0 };
	if (!path || world_read(rehearse_world(show->rehearse), path, 0, show->arena, &text))
		return NULL;
	return arena_strndup(show->arena, text.data, text.size);
}

static void put_line(struct show *show, struct trouble *trouble, const char *line)
{
	const char *path = guest_file(show), *text = content_of(show, path);
	trouble->came = text && rehearse_edit(show->rehearse, path,
	                                bytes_of(arena_printf(show->arena, "%s%s", line, text)));
}

static void take_line(struct show *show, const char *line)
{
	const char *path = guest_file(show), *text = content_of(show, path), *at = text ? strstr(text, line) : NULL;
	if (at)
		rehearse_edit(show->rehearse, path,
		        bytes_of(arena_printf(show->arena, "%.*s%s", (int)(at - text), text, at + strlen(line))));
}

static const char theirs[] = "description: theirs\n", lock[] = "lock: backup\n";

static void edit_guest(void *data, struct rehearse *rehearse)
{
	struct show *show = data;
	(void)rehearse;
	put_line(show, show->data, theirs);
}

static void lock_guest(void *data, struct rehearse *rehearse)
{
	struct show *show = data;
	(void)rehearse;
	put_line(show, show->data, lock);
}

/* Between what qm config said and qm set: the digest is another. */
static void arm_edit(struct show *show, struct trouble *trouble)
{
	bool ct = show->stage->plan.guest && text_starts(show->stage->plan.guest, "ct/");
	rehearse_meanwhile(show->rehearse, ct ? "pct set * --*" : "qm set * --*", (unsigned)trouble->nth, edit_guest, show);
}

static void arm_lock(struct show *show, struct trouble *trouble)
{
	bool ct = show->stage->plan.guest && text_starts(show->stage->plan.guest, "ct/");
	rehearse_meanwhile(show->rehearse, ct ? "pct *" : "qm *", (unsigned)trouble->nth, lock_guest, show);
}

static void edit_file(struct show *show, struct trouble *trouble, const char *path)
{
	const char *text = content_of(show, path);
	trouble->path = path;
	trouble->theirs = arena_printf(show->arena, "%s# theirs\n", text ? text : "");
	trouble->came = rehearse_edit(show->rehearse, path, bytes_of(trouble->theirs));
}

static void file_begins(struct show *show, const struct exec_event *event)
{
	struct trouble *trouble = show->data;
	bool file = event->what == EXEC_STEP_BEGINS && strcmp(event->step->kind, "file") == 0;
	if (file && ++trouble->seen == trouble->nth)
		edit_file(show, trouble, event->step->key);
}

static void file_done(struct show *show, const struct exec_event *event)
{
	struct trouble *trouble = show->data;
	bool file = event->what == EXEC_STEP_DONE && strcmp(event->step->kind, "file") == 0;
	if (file && !event->step->temporary && ++trouble->seen == trouble->nth)
		edit_file(show, trouble, event->step->key);
}

static void arm_file_before(struct show *show, struct trouble *trouble)
{
	(void)trouble;
	show->event = file_begins;
}

static void arm_file_behind(struct show *show, struct trouble *trouble)
{
	(void)trouble;
	show->event = file_done;
}

static bool reboots(const struct show *show)
{
	return show->stage->plan.reboots && !show->stage->plan.n_refused;
}

/* Every function of the card to another bus; 2: and an NVMe to where it was. */
static void move(struct show *show, unsigned long how)
{
	const char *card = show->stage->plan.gpu;
	struct arena *arena = show->arena;
	struct words names = { 0 };
	const char *slot = arena_strndup(arena, card, strlen(card) - 1), *class = NULL;
	world_list(rehearse_world(show->rehearse), "/sys/bus/pci/devices", arena, &names);
	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.word[i];
		bool ours = text_starts(name, slot);
		if (world_attribute(rehearse_world(show->rehearse), arena, &class, "/sys/bus/pci/devices/%s/class",
		            name))
			continue;
		if (ours)
			rehearse_move_device(show->rehearse, name, arena_printf(arena, "0000:41:00.%s", strrchr(name, '.') + 1));
	}
	for (size_t i = 0; how == 2 && i < names.n; i++)
		if (world_attribute(rehearse_world(show->rehearse), arena, &class, "/sys/bus/pci/devices/%s/class",
		            names.word[i]) == 0 &&
		        strcmp(class, "0x010802") == 0) {
			rehearse_move_device(show->rehearse, names.word[i], card);
			return;
		}
}

static void arm_move(struct show *show, struct trouble *trouble)
{
	struct show plain;
	if (!reboots(show) || trouble->nth > 2 || !show_open(&plain, show->stage, show->arena))
		return;
	move(&plain, trouble->nth);
	if (!show_boot(&plain))
		return;
	trouble->moved = rehearse_tape(plain.rehearse, show->arena);
	trouble->came = true;
	move(show, trouble->nth);
}

static void arm_no_boot(struct show *show, struct trouble *trouble)
{
	trouble->came = reboots(show) && trouble->nth == 1;
	rehearse_fault(show->rehearse, FAULT_NO_BOOT, "*", 0, 1);
}

static const struct mishap mishaps[] = {
	{ "a qm call fails", FAULT_COMMAND, "qm *", 0, 1 },
	{ "a pct call fails", FAULT_COMMAND, "pct *", 0, 1 },
	{ "a pvesh call fails", FAULT_COMMAND, "pvesh *", 0, 1 },
	{ "making an initramfs or a menu fails", FAULT_COMMAND, "update-*", 0, 1 },
	{ "proxmox-boot-tool fails", FAULT_COMMAND, "proxmox-boot-tool *", 0, 1 },
	{ "apt or dpkg fails", FAULT_COMMAND, "env *", 0, 1 },
	{ "modprobe fails", FAULT_COMMAND, "modprobe *", 0, 1 },
	{ "an effect: no space", FAULT_ERRNO, "*", ENOSPC, 1 },
	{ "an effect: input/output error", FAULT_ERRNO, "*", EIO, 1 },
	{ "no sync from here on", FAULT_ERRNO, "sync *", EIO, 0 },
	{ "the disk is full from here on", FAULT_ERRNO, "put *", ENOSPC, 0 },
	{ "/etc is read-only from here on", FAULT_ERRNO, "* /etc/*", EROFS, 0 },
	{ "the kernel hangs", FAULT_HANG, "set /sys/*", ETIMEDOUT, 1 },
	{ "somebody edits the guest", .arm = arm_edit, .others = true },
	{ "a backup locks the guest", .arm = arm_lock, .others = true },
	{ "somebody edits a file before", .arm = arm_file_before, .others = true },
	{ "somebody edits a file behind", .arm = arm_file_behind, .others = true },
	{ "the reboot never comes", .arm = arm_no_boot },
	{ "the card has moved", .arm = arm_move },
};
_Static_assert(COUNT(mishaps) <= COUNT(((struct tally *)0)->by_fault), "a count for each");

/* ---- one case -------------------------------------------------------------------------------------- */

static bool is_open(struct show *show)
{
	struct runs runs = { 0 };
	struct err ignored = { 0 };
	return exec_runs(rehearse_world(show->rehearse), show->arena, &ignored, &runs) && exec_open_run(&runs);
}

/* As the journey goes on by itself, and with the person who confirms, to where it ends. */
static bool journey_ends(struct show *show)
{
	show_apply(show);
	for (unsigned i = 0; i < 12; i++) {
		bool on = rehearse_power_state(show->rehearse) == POWER_ON;
		if (!on && !show_stand_up(show, true))
			return false;
		if (!on)
			continue;
		if ((show->end != EXEC_REBOOT && show->end != EXEC_CONFIRM) || !is_open(show))
			return true;
		show_push(show, GO_ON);
	}
	return true;
}

/* What somebody does who finds it so. */
static bool recover(struct show *show, enum way way)
{
	bool failed = show->end == EXEC_FAILED || show->end == EXEC_STUCK;
	if (show->end == EXEC_STUCK && !show_boot(show))
		return false;
	/* where only the last line's sync has failed, it is done all the same */
	if (way == ROLL_BACK)
		return (!is_open(show) && !failed) || show_walk(show, way, true);
	for (unsigned i = 0; i < 12 && is_open(show); i++) {
		show_push(show, way);
		if (!show_stand_up(show, true))
			return false;
	}
	return true;
}

static const struct {
	enum exec_end end;
	bool open, old, wished; /* is a run still open; may it be as it was, as wished? */
} promises[] = {
	{ EXEC_DONE, false, false, true },
	{ EXEC_NOTHING, false, true, false },
	{ EXEC_REVERTED, false, true, false },
	{ EXEC_GATE, false, true, false },
	{ EXEC_REFUSED, false, true, false },
	{ EXEC_STUCK, true, true, true },
	{ EXEC_FAILED, true, true, true },
	{ EXEC_LEFT, false, true, false },
};

static const char *judge_end(struct show *show, const struct trouble *trouble, bool *ret_open)
{
	for (size_t i = 0; i < COUNT(promises); i++)
		if (promises[i].end == show->end) {
			*ret_open = is_open(show);
			/* who goes on is refused as well: then the run stays as it is, and says so */
			if (*ret_open && !promises[i].open && show->end != EXEC_REFUSED)
				return "it says that it has ended, and a run is open";
			if (show->end == EXEC_LEFT && !trouble->mishap->others && !show->stage->creates)
				return "something was left, and nobody else has touched it";
			return NULL;
		}
	return arena_printf(show->arena, "it ends with %d: %s", (int)show->end, show->err.text);
}

static const char *judge(struct show *show, const struct trouble *trouble, enum exec_end end, enum way way, bool *wished)
{
	struct arena *arena = show->arena;
	bool may_be_wished = false, may_be_old = true;
	for (size_t i = 0; i < COUNT(promises); i++)
		if (promises[i].end == end) {
			may_be_wished = promises[i].wished && (end == EXEC_DONE || way == GO_ON);
			may_be_old = promises[i].old;
		}
	if (trouble->moved) {
		const char *from = first_difference(trouble->moved, rehearse_tape(show->rehearse, arena), NULL, arena);
		return from ? arena_printf(arena, "the card has moved, and it is not as it was: %s", from) : NULL;
	}
	if (trouble->path) {
		const char *text = content_of(show, trouble->path);
		/* that, its folder, and what a boot makes of it */
		const char *const but[] = { arena_strndup(arena, trouble->path,
			                            (size_t)(strrchr(trouble->path, '/') - trouble->path)),
			"/boot/", " has driver ", " has driver_override ", NULL };
		if (!text || strcmp(text, trouble->theirs) != 0)
			return arena_printf(arena, "%s was somebody else's, and is not as they left it", trouble->path);
		const struct tape *now = rehearse_tape(show->rehearse, arena);
		const char *from = first_difference(show->stage->old_booted, now, but, arena);
		*wished = from != NULL;
		if (from && first_difference(show->stage->wished_booted, now, but, arena))
			return from;
		return NULL;
	}
	const char *why = show_judge(show, may_be_wished, wished);
	return why || may_be_old || *wished || show->stage->journey->still ? why : "it says done, and is as it was";
}

/* NULL: well. trouble->came: the fault has come. */
static const char *run_case(const struct stage *stage, struct trouble *trouble, enum way way, struct arena *arena,
        bool *ret_wished)
{
	const struct mishap *mishap = trouble->mishap;
	struct show show;
	bool open = false;
	if (!show_open(&show, stage, arena))
		return "cannot be rehearsed";
	show.data = trouble;
	if (mishap->arm)
		mishap->arm(&show, trouble);
	else
		rehearse_fault_from(show.rehearse, mishap->fault, mishap->pattern, mishap->error,
		        (unsigned)trouble->nth, mishap->times);
	if (!journey_ends(&show))
		return arena_printf(arena, "LOST: %s", show.err.text);
	size_t missed = rehearse_mend(show.rehearse);
	trouble->came |= !mishap->arm && !missed;
	if (!trouble->came)
		return NULL;
	show.event = NULL;
	enum exec_end end = show.end;
	const char *where = arena_printf(arena, "ended %d (%s)", (int)end, show.err.text);
	const char *why = judge_end(&show, trouble, &open);
	end = end == EXEC_REFUSED && open ? EXEC_FAILED : end;
	take_line(&show, lock);
	if (!why && !recover(&show, way))
		return arena_printf(arena, "%s, then LOST: %s", where, show.err.text);
	if (mishap->arm == arm_file_behind && end == EXEC_DONE && !show_walk(&show, ROLL_BACK, true))
		return arena_printf(arena, "%s, then LOST: %s", where, show.err.text);
	const char *guest = content_of(&show, guest_file(&show)); /* NULL: made by the run, and gone again */
	if (mishap->arm == arm_edit && guest && !strstr(guest, theirs))
		why = "somebody's line is gone";
	take_line(&show, theirs);
	if (!why && is_open(&show))
		why = arena_printf(arena, "then a run is still open (%d, %s)", (int)show.end, show.err.text);
	if (!why && !show_boot(&show))
		why = "it does not boot";
	why = why ? why : judge(&show, trouble, end, way, ret_wished);
	return why ? arena_printf(arena, "%s: %s", where, why) : NULL;
}

/* ---- all of them ------------------------------------------------------------------------------------ */

struct options {
	unsigned long step, workers;
	const char *journey, *one;
};

static bool one_case(const struct stage *stage, size_t row, unsigned long nth, enum way way, struct tally *tally)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct trouble trouble = { .mishap = &mishaps[row], .nth = nth };
	bool wished = false;
	const char *why = run_case(stage, &trouble, way, &arena, &wished);
	if (!trouble.came && !why)
		return false;
	tally->cases++;
	tally->by_fault[row]++;
	tally->wished += wished && !why;
	if (why && tally->failed++ < 8)
		printf("# --machine %s --case %zu,%lu,%s: %s: %s\n", stage->journey->name, row, nth, way_names[way],
		        mishaps[row].name, why);
	fflush(stdout);
	return true;
}

static void work(const struct stage *stage, const void *data, unsigned long worker, unsigned long workers,
        struct tally *tally)
{
	const struct options *options = data;
	for (size_t row = 0; row < COUNT(mishaps); row++)
		for (unsigned long nth = 1 + worker * options->step;; nth += workers * options->step) {
			if (!one_case(stage, row, nth, GO_ON, tally))
				break;
			one_case(stage, row, nth, ROLL_BACK, tally);
		}
}

static const char *again(const struct stage *stage, const char *text, struct arena *arena)
{
	char way[16];
	size_t row;
	struct trouble trouble = { 0 };
	bool wished;
	if (sscanf(text, "%zu,%lu,%15[a-z-]", &row, &trouble.nth, way) != 3 || row >= COUNT(mishaps))
		return "that is no case";
	trouble.mishap = &mishaps[row];
	const char *why = run_case(
	        stage, &trouble, strcmp(way, way_names[ROLL_BACK]) == 0 ? ROLL_BACK : GO_ON, arena, &wished);
	return why || trouble.came ? why : "that does not come";
}

static bool one_journey(
        const struct journey *journey, const struct options *options, unsigned number, struct tally *all)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct stage stage;
	const char *why = stage_open(&stage, journey, &arena);
	if (!why && options->one)
		why = again(&stage, options->one, &arena);
	if (why || options->one) {
		printf("%sok %u - %s%s%s\n", why ? "not " : "", number, journey->name, why ? ": " : "", why ? why : "");
		return !why;
	}
	struct tally tally = tally_share_out(&stage, options, options->workers, work);
	tally_add(all, &tally);
	printf("%sok %u - %s: %lu cases (%lu ended as wished, %lu as it was), %lu lost\n", tally.failed ? "not " : "",
	        number, journey->name, tally.cases, tally.wished, tally.cases - tally.wished - tally.failed,
	        tally.failed);
	fflush(stdout);
	return !tally.failed;
}

static bool all_mishaps(unsigned number, const struct tally *tally)
{
	bool all = true;
	for (size_t row = 0; row < COUNT(mishaps); row++) {
		printf("# %5lu times: %s\n", tally->by_fault[row], mishaps[row].name);
		all &= tally->by_fault[row] > 0;
	}
	printf("%sok %u - each of them has come\n", all ? "" : "not ", number);
	return all;
}

int main(int argc, char **argv)
{
	struct options options = { .step = 1, .workers = 2 };
	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--step") == 0)
			options.step = option_number(value);
		else if (strcmp(argv[i], "--workers") == 0)
			options.workers = option_number(value);
		else if (strcmp(argv[i], "--machine") == 0)
			options.journey = value;
		else if (strcmp(argv[i], "--case") == 0)
			options.one = value;
		else {
			fprintf(stderr, "faults: %s is not known\n", argv[i]);
			return 2;
		}
	}
	options.step += !options.step;
	options.workers += !options.workers;
	struct tally all = { 0 };
	unsigned number = 0;
	bool well = true;
	for (size_t i = 0; i < n_journeys; i++)
		if (!options.journey || strcmp(options.journey, journeys[i].name) == 0)
			well &= one_journey(&journeys[i], &options, ++number, &all);
	if (!options.journey)
		well &= all_mishaps(++number, &all);
	printf("1..%u\n# %lu cases, %lu lost\n", number, all.cases, all.failed);
	return well && number ? 0 : 1;
}
