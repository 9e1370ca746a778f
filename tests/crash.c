/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The crash matrix: every built-in machine with its goal, the power cut after every effect of the journey (apply with
 * its reboots and the confirmation), the machine booted in both worlds (what was not synced is kept, or lost), then
 * gone on with or rolled back; and the power cut a second time, in the middle of that. Whatever happens the machine
 * must boot and end as it was, or as wished.
 *
 *   crash [--step N] [--again N] [--workers N] [--machine NAME] [--case TEXT]
 * --step: every Nth cut (1: all); --again: second cuts per first cut; --case: one case again, as a failure prints it.
 * Prints TAP: one line per machine, the count in it.
 */
#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/exec.h"
#include "rehearse/machine.h"
#include "rehearse/rehearse.h"
#include "test.h"

static const struct journey {
	const char *machine, *gpu, *into;
} journeys[] = {
	{ "amd-4060ti", "nvidia", "vm/100" },
	{ "iommu-off", "nvidia", "vm/100" },
	{ "intel-uhd770-ct", "intel", "ct/105" },
	{ "intel-zfs-a380", "0000:03:00.0", "vm/101" },
	{ "twins", "0000:01:00.0", "vm/100" },
	{ "single-gpu", "nvidia", "vm/100" },
	{ "shared-slot", "nvidia", "vm/100" },
	{ "pve9-mapping", "nvidia", "vm/100" },
	{ "guide-wrong", "intel", "vm/101" },
};

enum way { GO_ON, ROLL_BACK, WAYS };
static const char *const way_names[] = { "go-on", "roll-back" };

struct crash { /* one case; first 0: the power stays on */
	unsigned long first, second;
	bool keep, keep_again;
	enum way way;
};

struct stage {
	struct target inside; /* of the guest: a CT's groups are asked there */
	struct arena *arena;
	const struct journey *journey;
	struct goal goal;
	const struct tape *start;
	struct tape *old, *old_booted, *wished, *wished_booted;
	unsigned long effects;      /* of the whole journey */
	unsigned long effects_back; /* of its rollback */
};

struct show { /* one machine on its way */
	const struct stage *stage;
	struct arena *arena;
	struct rehearse *rehearse;
	struct err err;
	enum exec_end end;
};

static bool set_goal(const struct journey *journey, struct arena *arena, struct goal *ret)
{
	struct err err = { 0 };
	const char *accept[] = { "gpu.only-console", "gpu.release" };
	goal_init(ret);
	bool set = goal_set(ret, "gpu", journey->gpu, arena, &err) && goal_set(ret, "into", journey->into, arena, &err);
	for (size_t i = 0; set && i < COUNT(accept); i++)
		if (rules_find(accept[i]) && rules_find(accept[i])->waivable)
			set = goal_set(ret, "accept", accept[i], arena, &err);
	if (!set)
		(printf("# %s\n", err.text), exit(2));
	return set;
}

static struct exec exec_of(struct show *show)
{
	return (struct exec){ .node = rehearse_world(show->rehearse),
		.arena = show->arena,
		.also = &show->stage->inside,
		.stop_guests = true,
		.in_window = true,
		.reboot = true };
}

/* What the resume unit runs at boot. */
static int run_gpuferry(void *data, struct world *node, const struct command *command)
{
	struct show *show = data;
	(void)node, (void)command;
	struct exec exec = exec_of(show);
	struct err err = { 0 };
	const char *run;
	show->end = exec_resume(&exec, &err, &run);
	return show->end == EXEC_DONE || show->end == EXEC_CONFIRM ? 0 : 1;
}

/* The self-revert is not what is asked here: somebody sits before the machine and goes on, or rolls back. */
static int run_shell(void *data, struct world *node, const struct command *command)
{
	(void)data, (void)node, (void)command;
	return 0;
}

static bool show_open(struct show *show)
{
	show->rehearse = rehearse_open(show->stage->start, show->arena, &show->err);
	if (!show->rehearse)
		return false;
	rehearse_install(show->rehearse, "gpuferry", run_gpuferry, show);
	rehearse_install(show->rehearse, "sh", run_shell, show);
	return true;
}

static void apply(struct show *show)
{
	struct exec exec = exec_of(show);
	const struct facts *facts = facts_gather(
	        exec.node, &(struct facts_want){ .depth = FACTS_ALL, .also = &show->stage->inside }, show->arena);
	struct plan plan;
	const char *run;
	if (rehearse_power_state(show->rehearse) != POWER_ON)
		return;
	plan_build(facts, &show->stage->goal, show->arena, &plan);
	show->end = exec_apply(&exec, &plan, &show->stage->goal, &show->err, &run);
}

static void reboot(struct show *show)
{
	static const char *const argv[] = { "systemctl", "reboot", NULL };
	struct outcome outcome;
	world_run(rehearse_world(show->rehearse), &(struct command){ .argv = argv }, show->arena, &outcome);
}

static const struct run *open_run(struct show *show, struct runs *runs)
{
	struct err err = { 0 };
	if (!exec_runs(rehearse_world(show->rehearse), show->arena, &err, runs))
		return NULL;
	return exec_open_run(runs);
}

/* Power back on until the machine stands; false: it does not come up. */
static bool stand_up(struct show *show, bool keep)
{
	for (unsigned i = 0; i < 6 && rehearse_power_state(show->rehearse) != POWER_ON; i++)
		if (!rehearse_boot(show->rehearse, rehearse_power_state(show->rehearse) == POWER_REBOOTING || keep,
		            &show->err))
			return false;
	return rehearse_power_state(show->rehearse) == POWER_ON;
}

/* One more push on the way: true when there is nothing left to do. */
static bool push(struct show *show, enum way way)
{
	struct exec exec = exec_of(show);
	struct runs runs = { 0 };
	const struct run *run = open_run(show, &runs);
	const char *id;
	struct words left = { 0 };
	show->err = (struct err){ 0 };
	if (way == ROLL_BACK) {
		if (!runs.n)
			return true;
		show->end = exec_rollback(&exec, NULL, false, &show->err, &left);
		return show->end != EXEC_REBOOT && rehearse_power_state(show->rehearse) == POWER_ON;
	}
	if (!run) {
		apply(show);
		return show->end == EXEC_NOTHING || show->end == EXEC_REFUSED || show->end == EXEC_REVERTED ||
		       show->end == EXEC_FAILED || show->end == EXEC_STUCK;
	}
	show->end = strcmp(run->state, "confirm") == 0 ? exec_confirm(&exec, &show->err, &id)
	                                               : exec_resume(&exec, &show->err, &id);
	return false;
}

/* To its end, whatever that is; false: the machine is lost (err says how). */
static bool settle(struct show *show, const struct crash *crash)
{
	bool again = crash->second;
	if (!stand_up(show, crash->keep))
		return false;
	if (again)
		rehearse_cut(show->rehearse, crash->second);
	for (unsigned i = 0; i < 24; i++) {
		bool ended = push(show, crash->way);
		if (rehearse_power_state(show->rehearse) == POWER_ON && ended)
			break;
		if (!stand_up(show, crash->keep_again))
			return false;
	}
	rehearse_cut(show->rehearse, 0);
	reboot(show); /* what a boot restores is restored by a boot */
	return stand_up(show, true);
}

static const char *first_difference(const struct tape *left, const struct tape *right, struct arena *arena)
{
	struct words words = rehearse_differences(left, right, arena);
	return words.n ? words.word[0] : NULL;
}

/* NULL: well; ret_wished: it ended as wished, not as it was. */
static const char *run_case(const struct stage *stage, const struct crash *crash, struct arena *arena, bool *ret_wished)
{
	struct show show = { .stage = stage, .arena = arena };
	if (!show_open(&show))
		return show.err.text[0] ? arena_strdup(arena, show.err.text) : "cannot be rehearsed";
	rehearse_cut(show.rehearse, crash->first);
	apply(&show);
	for (unsigned i = 0; crash->first && i < 24 && rehearse_power_state(show.rehearse) != POWER_CUT; i++) {
		if (rehearse_power_state(show.rehearse) == POWER_REBOOTING)
			stand_up(&show, crash->keep);
		else if (push(&show, GO_ON))
			break;
	}
	const char *where = arena_strdup(arena, rehearse_effect_name(show.rehearse));
	if (!settle(&show, crash))
		return arena_printf(arena, "LOST after \"%s\": %s", where, show.err.text);
	const struct tape *now = rehearse_tape(show.rehearse, arena);
	const char *from_old = first_difference(stage->old_booted, now, arena);
	*ret_wished = from_old != NULL;
	if (show.err.kind == ERR_LOCKED)
		return "a lock that nobody holds any more";
	if (!from_old)
		return NULL;
	const char *from_wished = crash->way == GO_ON ? first_difference(stage->wished_booted, now, arena) : from_old;
	if (!from_wished)
		return NULL;
	return arena_printf(arena, "BETWEEN after \"%s\" (end %d, %s): not old: %s; not wished: %s", where,
	        (int)show.end, show.err.text, from_old, from_wished);
}

/* The journey without a cut: how long it is, and what the machine is before and after. */
static const char *measure(struct stage *stage)
{
	struct show plain = { .stage = stage, .arena = stage->arena }, show = plain;
	const struct crash whole = { .way = GO_ON }, back = { .way = ROLL_BACK };
	if (!show_open(&plain) || !show_open(&show))
		return arena_strdup(stage->arena, plain.err.text[0] ? plain.err.text : show.err.text);
	stage->old = rehearse_tape(plain.rehearse, stage->arena);
	reboot(&plain);
	if (!stand_up(&plain, true))
		return arena_printf(stage->arena, "it does not boot as it is: %s", plain.err.text);
	stage->old_booted = rehearse_tape(plain.rehearse, stage->arena);

	apply(&show);
	for (unsigned i = 0; i < 24; i++) {
		if (!stand_up(&show, true))
			return arena_printf(stage->arena, "the journey's boot: %s", show.err.text);
		if (push(&show, GO_ON))
			break;
	}
	stage->effects = rehearse_effects(show.rehearse);
	stage->wished = rehearse_tape(show.rehearse, stage->arena);
	if (show.end != EXEC_NOTHING && show.end != EXEC_REFUSED)
		return arena_printf(stage->arena, "the journey ends with %d: %s", (int)show.end, show.err.text);
	if (!settle(&show, &whole))
		return arena_printf(stage->arena, "it does not boot as wished: %s", show.err.text);
	stage->wished_booted = rehearse_tape(show.rehearse, stage->arena);
	unsigned long before = rehearse_effects(show.rehearse);
	if (!settle(&show, &back))
		return arena_printf(stage->arena, "it does not boot after rollback: %s", show.err.text);
	stage->effects_back = rehearse_effects(show.rehearse) - before;
	const char *left =
	        first_difference(stage->old_booted, rehearse_tape(show.rehearse, stage->arena), stage->arena);
	return left ? arena_printf(stage->arena, "after rollback: %s", left) : NULL;
}

static bool stage_open(struct stage *stage, const struct journey *journey, struct arena *arena)
{
	struct err err = { 0 };
	struct tape *tape;
	const char *text = machine_builtin_text(NULL, journey->machine);
	*stage = (struct stage){ .arena = arena, .journey = journey };
	set_goal(journey, arena, &stage->goal);
	stage->inside = (struct target){ .label = journey->into, .n = 1 };
	stage->inside.hop[0] = (struct hop){ text_starts(journey->into, "ct/") ? HOP_PCT : HOP_QM, journey->into + 3 };
	if (!text || !machine_parse(bytes_of(text), journey->machine, machine_builtin_text, NULL, arena, &err, &tape)) {
		printf("# %s\n", err.text);
		return false;
	}
	stage->start = tape;
	return true;
}

struct options {
	unsigned long step, again, workers;
	const char *machine, *one;
};

static const char *case_text(const struct crash *crash, struct arena *arena)
{
	return arena_printf(arena, "%lu,%d,%s,%lu,%d", crash->first, crash->keep, way_names[crash->way], crash->second,
	        crash->keep_again);
}

static bool case_parse(const char *text, struct crash *ret)
{
	char way[16];
	int keep, keep_again;
	if (sscanf(text, "%lu,%d,%15[a-z-],%lu,%d", &ret->first, &keep, way, &ret->second, &keep_again) != 5)
		return false;
	ret->keep = keep;
	ret->keep_again = keep_again;
	ret->way = strcmp(way, way_names[ROLL_BACK]) == 0 ? ROLL_BACK : GO_ON;
	return true;
}

struct tally {
	unsigned long cases, failed, wished;
};

static void one_case(const struct stage *stage, const struct crash *crash, struct tally *tally)
{
	struct arena arena ARENA_SCOPED = { 0 };
	bool wished = false;
	const char *why = run_case(stage, crash, &arena, &wished);
	tally->cases++;
	tally->wished += wished && !why;
	if (!why)
		return;
	if (tally->failed++ < 8)
		printf("# --machine %s --case %s: %s\n", stage->journey->machine, case_text(crash, &arena), why);
	fflush(stdout);
}

/* The cases of one worker: every cut, both worlds, both ways, alone and with a second cut. */
static void work(const struct stage *stage, const struct options *options, unsigned long worker, struct tally *tally)
{
	uint64_t seed = 88172645463325252u + worker;
	unsigned long number = 0;
	for (unsigned long first = 1; first <= stage->effects; first += options->step)
		for (unsigned keep = 0; keep < 2; keep++)
			for (unsigned way = 0; way < WAYS; way++)
				for (unsigned long again = 0; again <= options->again; again++) {
					struct crash crash = { .first = first, .keep = keep, .way = way };
					if (number++ % options->workers != worker)
						continue;
					seed ^= seed << 13;
					seed ^= seed >> 7;
					seed ^= seed << 17;
					unsigned long span = way == GO_ON ? stage->effects : stage->effects_back;
					crash.second = again ? 1 + (unsigned long)(seed % (span ? span : 1)) : 0;
					crash.keep_again = again && (seed >> 32 & 1);
					one_case(stage, &crash, tally);
				}
}

static struct tally share_out(const struct stage *stage, const struct options *options)
{
	struct tally sum = { 0 };
	int channel[2];
	fflush(stdout);
	if (pipe(channel))
		exit(2);
	for (unsigned long worker = 0; worker < options->workers; worker++)
		if (fork() == 0) {
			struct tally tally = { 0 };
			work(stage, options, worker, &tally);
			fflush(stdout);
			if (write(channel[1], &tally, sizeof tally) != sizeof tally)
				_exit(1);
			_exit(0);
		}
	close(channel[1]);
	struct tally tally;
	unsigned long heard = 0;
	while (read(channel[0], &tally, sizeof tally) == sizeof tally) {
		sum.cases += tally.cases;
		sum.failed += tally.failed;
		sum.wished += tally.wished;
		heard++;
	}
	close(channel[0]);
	while (wait(NULL) > 0)
		;
	sum.failed += options->workers - heard; /* a worker that died told nothing */
	return sum;
}

static bool one_machine(
        const struct journey *journey, const struct options *options, unsigned number, struct tally *all)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct stage stage;
	const char *why = stage_open(&stage, journey, &arena) ? measure(&stage) : "no such machine";
	if (why) {
		printf("not ok %u - %s: %s\n", number, journey->machine, why);
		return false;
	}
	if (options->one) {
		struct crash crash = { 0 };
		bool wished;
		why = case_parse(options->one, &crash) ? run_case(&stage, &crash, &arena, &wished) : "that is no case";
		printf("%sok %u - %s %s%s%s\n", why ? "not " : "", number, journey->machine, options->one,
		        why ? ": " : "", why ? why : "");
		return !why;
	}
	struct tally tally = share_out(&stage, options);
	all->cases += tally.cases;
	all->failed += tally.failed;
	printf("%sok %u - %s %s %s: %lu effects, %lu cases (%lu ended as wished, %lu as it was), %lu lost\n",
	        tally.failed ? "not " : "", number, journey->machine, journey->gpu, journey->into, stage.effects,
	        tally.cases, tally.wished, tally.cases - tally.wished - tally.failed, tally.failed);
	fflush(stdout);
	return !tally.failed;
}

static unsigned long number_of(const char *text)
{
	uint64_t number = 0;
	if (!text || !text_number(text, 10, 1000000, &number)) {
		fprintf(stderr, "crash: a number is wanted, not %s\n", text ? text : "nothing");
		exit(2);
	}
	return (unsigned long)number;
}

int main(int argc, char **argv)
{
	struct options options = { .step = 1, .again = 1, .workers = 2 };
	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--step") == 0)
			options.step = number_of(value);
		else if (strcmp(argv[i], "--again") == 0)
			options.again = number_of(value);
		else if (strcmp(argv[i], "--workers") == 0)
			options.workers = number_of(value);
		else if (strcmp(argv[i], "--machine") == 0)
			options.machine = value;
		else if (strcmp(argv[i], "--case") == 0)
			options.one = value;
		else {
			fprintf(stderr, "crash: %s is not known\n", argv[i]);
			return 2;
		}
	}
	options.step += !options.step;
	options.workers += !options.workers;
	struct tally all = { 0 };
	unsigned number = 0;
	bool well = true;
	for (size_t i = 0; i < COUNT(journeys); i++)
		if (!options.machine || strcmp(options.machine, journeys[i].machine) == 0)
			well &= one_machine(&journeys[i], &options, ++number, &all);
	printf("1..%u\n# %lu cases, %lu lost\n", number, all.cases, all.failed);
	return well ? 0 : 1;
}
