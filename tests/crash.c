/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The crash matrix: every journey (journeys.c), the power cut after every effect of it (apply with its reboots and the
 * confirmation), the machine booted in both worlds (what was not synced is kept, or lost), then gone on with or rolled
 * back; and the power cut a second time, in the middle of that. Whatever happens the machine must boot and end as it
 * was, or as wished.
 *
 *   crash [--step N] [--again N] [--workers N] [--stop 1] [--machine NAME] [--case TEXT] [--keep FOLDER]
 * --step: every Nth cut, and in the first step of each kind, made and noted (1: all); --again: second cuts per first cut; --stop: at the first that is lost; --machine: one
 * journey; --case: one case again, as a failure prints it; --keep: the machine as its power was cut, as a folder.
 * Prints TAP: one line per journey, the count in it; then whether every kind of step and every built-in machine is there.
 */
#include "journey.h"

struct crash { /* one case; 0: the power stays on. second: as many effects after the machine stands again */
	unsigned long first, second;
	bool keep, keep_again;
	enum way way;
};

struct options {
	unsigned long step, again, workers, stop;
	const char *journey, *one, *folder;
};

static void note_cut(const struct show *show, struct tally *tally)
{
	if (tally && show->in)
		(show->undoing ? tally->cut_back : tally->cut)[kind_row(show->in->kind)]++;
}

/* To the first cut. */
static void go_until_cut(struct show *show, const struct crash *crash)
{
	rehearse_cut(show->rehearse, crash->first);
	show_apply(show);
	for (unsigned i = 0; crash->first && i < 24 && rehearse_power_state(show->rehearse) != POWER_CUT; i++) {
		/* what goes on while it boots may be cut as well */
		bool ended = rehearse_power_state(show->rehearse) == POWER_REBOOTING
		                     ? !rehearse_boot(show->rehearse, true, &show->err)
		                     : show_push(show, GO_ON);
		if (ended)
			break;
	}
}

/* To its end, whatever that is; false: the machine is lost (err says how). */
static bool settle(struct show *show, const struct crash *crash, struct tally *tally, unsigned long *ret_took)
{
	if (!show_stand_up(show, crash->keep))
		return false;
	unsigned long before = rehearse_effects(show->rehearse);
	if (crash->second)
		rehearse_cut(show->rehearse, before + crash->second);
	for (unsigned i = 0; i < 24; i++) {
		bool ended = show_push(show, crash->way);
		if (rehearse_power_state(show->rehearse) == POWER_CUT)
			note_cut(show, tally);
		if (rehearse_power_state(show->rehearse) == POWER_ON && ended)
			break;
		if (!show_stand_up(show, crash->keep_again))
			return false;
	}
	*ret_took = rehearse_effects(show->rehearse) - before;
	rehearse_cut(show->rehearse, 0);
	return show_boot(show);
}

struct result {
	bool wished;        /* it ended as wished, not as it was */
	unsigned long took; /* effects from the first cut to the end */
};

/* NULL: well. */
static const char *run_case(const struct stage *stage, const struct crash *crash, struct arena *arena,
        struct tally *tally, struct result *ret)
{
	struct show show;
	if (!show_open(&show, stage, arena))
		return show.err.text[0] ? arena_strdup(arena, show.err.text) : "cannot be rehearsed";
	go_until_cut(&show, crash);
	note_cut(&show, tally);
	const char *where = arena_strdup(arena, rehearse_effect_name(show.rehearse));
	if (!settle(&show, crash, tally, &ret->took))
		return arena_printf(arena, "LOST after \"%s\": %s", where, show.err.text);
	const char *why = show_judge(&show, crash->way == GO_ON, &ret->wished);
	return why ? arena_printf(arena, "after \"%s\": %s", where, why) : NULL;
}

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

/* How many effects it took behind the first cut. */
static unsigned long one_case(const struct stage *stage, const struct crash *crash, struct tally *tally)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct result result = { 0 };
	const char *why = run_case(stage, crash, &arena, tally, &result);
	tally->cases++;
	tally->wished += result.wished && !why;
	if (!why)
		return result.took;
	if (tally->failed++ < 8)
		printf("# --machine %s --case %s: %s\n", stage->journey->name, case_text(crash, &arena), why);
	fflush(stdout);
	return result.took;
}

static bool is_cut(const struct stage *stage, const struct options *options, unsigned long effect)
{
	bool ends = false;
	for (size_t i = 0; i < stage->n_ends; i++)
		ends |= stage->ends[i] == effect || stage->ends[i] == effect + 2; /* made, and not noted yet */
	return ends || (effect - 1) % options->step == 0;
}

/* The cases of one worker: every cut, both worlds, both ways, alone and with a second cut. */
static void work(const struct stage *stage, const void *data, unsigned long worker, unsigned long workers,
        struct tally *tally)
{
	const struct options *options = data;
	uint64_t seed = 88172645463325252u + worker;
	unsigned long number = 0;
	for (unsigned long first = 1; first <= stage->effects; first++)
		for (unsigned keep = 0; is_cut(stage, options, first) && keep < 2 && !(options->stop && tally->failed); keep++)
			for (unsigned way = 0; way < WAYS; way++) {
				struct crash crash = { .first = first, .keep = keep, .way = way };
				if (number++ % workers != worker)
					continue;
				unsigned long took = one_case(stage, &crash, tally);
				for (unsigned long again = 0; took && again < options->again; again++) {
					seed ^= seed << 13;
					seed ^= seed >> 7;
					seed ^= seed << 17;
					/* behind the last effect it looks as if it had ended well */
					bool last = again == 1 || (options->again == 1 && seed >> 48 & 1);
					crash.second = last ? took : 1 + (unsigned long)(seed % took);
					crash.keep_again = seed >> 32 & 1;
					one_case(stage, &crash, tally);
				}
			}
}

/* "power 2, module 1" */
static const char *steps_text(const struct stage *stage, struct arena *arena)
{
	const char *text = "";
	for (size_t row = 0; plan_kinds[row].kind; row++)
		if (stage->done[row])
			text = arena_printf(arena, "%s%s%s %zu", text, *text ? ", " : "", plan_kinds[row].kind,
			        stage->done[row]);
	return *text ? text : "no step";
}

/* Nothing of gpuferry is there any more: only what it has left for the machine itself. */
static int run_nothing(void *data, struct world *node, const struct command *command)
{
	(void)data, (void)node, (void)command;
	return 127;
}

/* One case again; with a folder: the machine as it stands up from its first cut, without gpuferry. */
static const char *again(const struct stage *stage, const struct options *options, struct arena *arena)
{
	struct crash crash = { 0 };
	struct show show;
	struct err err = { 0 };
	struct result ignored;
	if (!case_parse(options->one, &crash))
		return "that is no case";
	if (!options->folder)
		return run_case(stage, &crash, arena, NULL, &ignored);
	if (!show_open(&show, stage, arena))
		return "cannot be rehearsed";
	go_until_cut(&show, &crash);
	rehearse_install(show.rehearse, "gpuferry", run_nothing, NULL);
	if (crash.first && !show_stand_up(&show, crash.keep))
		return arena_strdup(arena, show.err.text);
	return rehearse_keep(show.rehearse, options->folder, &err) ? NULL : arena_strdup(arena, err.text);
}

static bool one_journey(const struct journey *journey, const struct options *options, unsigned number,
        struct tally *all, size_t *seen)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct stage stage;
	const char *why = stage_open(&stage, journey, &arena);
	if (why) {
		printf("not ok %u - %s: %s\n", number, journey->name, why);
		return false;
	}
	if (options->one) {
		why = again(&stage, options, &arena);
		printf("%sok %u - %s %s of %lu effects%s%s\n", why ? "not " : "", number, journey->name, options->one,
		        stage.effects, why ? ": " : "", why ? why : "");
		return !why;
	}
	struct tally tally = tally_share_out(&stage, options, options->workers, work);
	tally_add(all, &tally);
	for (size_t row = 0; row < KINDS_MAX; row++)
		seen[row] += stage.done[row];
	printf("%sok %u - %s, %s: %lu effects, %s; %lu cases (%lu ended as wished, %lu as it was), %lu lost\n",
	        tally.failed ? "not " : "", number, journey->name, journey->goal, stage.effects,
	        steps_text(&stage, &arena), tally.cases, tally.wished, tally.cases - tally.wished - tally.failed,
	        tally.failed);
	fflush(stdout);
	return !tally.failed;
}

/* ---- is everything in it? ------------------------------------------------------------------------ */

/* A sample need not cut each of them. */
static bool all_kinds(unsigned number, bool sample, const struct tally *tally, const size_t *seen)
{
	bool all = true;
	for (size_t row = 0; plan_kinds[row].kind; row++) {
		/* a boot has no undo of its own, nor have what only waits */
		bool none = plan_kinds[row].undo == UNDO_NONE || plan_kinds[row].undo == UNDO_AFTER_REBOOT;
		bool well = seen[row] && (sample || (tally->cut[row] && (none || tally->cut_back[row])));
		printf("# %-10s %3zu steps, cut %5lu times, its undo %4lu%s\n", plan_kinds[row].kind, seen[row],
		        tally->cut[row], tally->cut_back[row], well ? "" : "  <- not in it");
		all &= well;
	}
	printf("%sok %u - every kind of step is in a journey, and cut in the middle, there and back\n",
	        all ? "" : "not ", number);
	return all;
}

static bool is_journey(const char *name)
{
	for (size_t i = 0; i < n_journeys; i++)
		if (strcmp(journeys[i].name, name) == 0)
			return true;
	return false;
}

static bool all_machines(unsigned number)
{
	bool all = true;
	for (const struct machine_builtin *machine = machine_builtins; machine->name; machine++)
		if (!is_journey(machine->name)) {
			printf("# %s is in no journey\n", machine->name);
			all = false;
		}
	printf("%sok %u - every built-in machine is in a journey\n", all ? "" : "not ", number);
	return all;
}

int main(int argc, char **argv)
{
	struct options options = { .step = 1, .again = 1, .workers = 2 };
	const struct {
		const char *name;
		unsigned long *number;
		const char **text;
	} known[] = {
		{ "--step", &options.step, NULL },
		{ "--again", &options.again, NULL },
		{ "--workers", &options.workers, NULL },
		{ "--stop", &options.stop, NULL },
		{ "--machine", NULL, &options.journey },
		{ "--case", NULL, &options.one },
		{ "--keep", NULL, &options.folder },
	};
	for (int i = 1; i < argc; i += 2) {
		size_t row = 0;
		while (row < COUNT(known) && strcmp(known[row].name, argv[i]) != 0)
			row++;
		if (row == COUNT(known) || i + 1 == argc) {
			fprintf(stderr, "crash: %s is not known, or lacks a word\n", argv[i]);
			return 2;
		}
		if (known[row].number)
			*known[row].number = option_number(argv[i + 1]);
		else
			*known[row].text = argv[i + 1];
	}
	options.step += !options.step;
	options.workers += !options.workers;
	struct tally all = { 0 };
	size_t seen[KINDS_MAX] = { 0 };
	unsigned number = 0;
	bool well = true;
	for (size_t i = 0; i < n_journeys; i++)
		if (!options.journey || strcmp(options.journey, journeys[i].name) == 0)
			well &= one_journey(&journeys[i], &options, ++number, &all, seen);
	if (!options.journey) {
		well &= all_kinds(++number, options.step > 1, &all, seen);
		well &= all_machines(++number);
	}
	printf("1..%u\n# %lu cases, %lu lost\n", number, all.cases, all.failed);
	return well && number ? 0 : 1;
}
