/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journey.h"

#include <sys/wait.h>
#include <unistd.h>

#include "exec/journal.h"

const char *const way_names[] = { "go-on", "roll-back" };

/* ---- events ------------------------------------------------------------------------------------ */

size_t kind_row(const char *kind)
{
	size_t row = 0;
	while (plan_kinds[row].kind && strcmp(plan_kinds[row].kind, kind) != 0)
		row++;
	return row;
}

static bool is_barrier(const struct step *step)
{
	return strcmp(step->kind, "reboot") == 0 || strcmp(step->kind, "confirm") == 0;
}

/* What comes between the step before a barrier and the one behind it is the barrier's. */
static void on_event(void *data, const struct exec_event *event)
{
	struct show *show = data;
	bool begins = event->what == EXEC_STEP_BEGINS, undoes = event->what == EXEC_UNDO_BEGINS;
	bool last = !event->step || event->index + 1 >= event->total;
	if (rehearse_power_state(show->rehearse) == POWER_CUT)
		return; /* that the step in hand fails then is no news */
	bool *first = show->measured ? &show->measured->ended[event->step ? kind_row(event->step->kind) : 0] : NULL;
	if (first && event->what == EXEC_STEP_DONE && !*first)
		*arena_push(show->arena, show->measured->ends, show->measured->n_ends) =
		        rehearse_effects(show->rehearse);
	if (first && event->what == EXEC_STEP_DONE)
		*first = true;
	if (event->step && event->what != EXEC_NOTE)
		show->in = begins || undoes                       ? event->step
		           : !last && is_barrier(event->step + 1) ? event->step + 1
		                                                  : NULL;
	show->undoing = undoes;
	if (show->event)
		show->event(show, event);
}

/* ---- one machine on its way --------------------------------------------------------------------- */

struct exec show_exec(struct show *show)
{
	return (struct exec){ .node = rehearse_world(show->rehearse),
		.arena = show->arena,
		.event = on_event,
		.data = show,
		.also = show->stage->inside.n ? &show->stage->inside : NULL,
		.stop_guests = true,
		.in_window = true,
		.reboot = true,
		.build = show->stage->journey->build };
}

/* What the resume unit runs at boot. */
static int run_gpuferry(void *data, struct world *node, const struct command *command)
{
	struct show *show = data;
	(void)node, (void)command;
	struct exec exec = show_exec(show);
	struct err err = { 0 };
	const char *run;
	show->end = exec_resume(&exec, &err, &run);
	return show->end == EXEC_DONE || show->end == EXEC_CONFIRM ? 0 : 1;
}

/* rollback.sh is a shell's: tests/revert.sh has real ones take back what the matrix leaves. Here somebody sits before
 * the machine, and goes on or rolls back. */
static int run_shell(void *data, struct world *node, const struct command *command)
{
	(void)data, (void)node, (void)command;
	return 0;
}

bool show_open(struct show *show, const struct stage *stage, struct arena *arena)
{
	*show = (struct show){ .stage = stage, .arena = arena };
	show->rehearse = rehearse_open(stage->start, arena, &show->err);
	if (!show->rehearse)
		return false;
	rehearse_install(show->rehearse, "gpuferry", run_gpuferry, show);
	rehearse_install(show->rehearse, "sh", run_shell, show);
	return true;
}

static const struct facts *facts_now(struct show *show)
{
	const struct facts_want want = { .depth = FACTS_ALL, .also = show_exec(show).also };
	return facts_gather(rehearse_world(show->rehearse), &want, show->arena);
}

void show_apply(struct show *show)
{
	struct exec exec = show_exec(show);
	const struct facts *facts = facts_now(show);
	struct plan plan;
	const char *run;
	if (rehearse_power_state(show->rehearse) != POWER_ON)
		return;
	(exec.build ? exec.build : plan_build)(facts, &show->stage->goal, show->arena, &plan);
	if (show->measured && !show->measured->plan.digest)
		show->measured->plan = plan;
	show->end = exec_apply(&exec, &plan, &show->stage->goal, &show->err, &run);
}

void show_reboot(struct show *show)
{
	static const char *const argv[] = { "systemctl", "reboot", NULL };
	struct outcome outcome;
	world_run(rehearse_world(show->rehearse), &(struct command){ .argv = argv }, show->arena, &outcome);
}

bool show_stand_up(struct show *show, bool keep)
{
	for (unsigned i = 0; i < 6 && rehearse_power_state(show->rehearse) != POWER_ON; i++) {
		bool off = rehearse_power_state(show->rehearse) == POWER_CUT;
		show->err = (struct err){ 0 };
		show->in = NULL;
		if (!rehearse_boot(show->rehearse, !off || keep, &show->err) && show->err.kind != ERR_TIMEOUT)
			return false;
	}
	return rehearse_power_state(show->rehearse) == POWER_ON;
}

/* A plan by hand, and a guest to be made new, begin again each time they are asked. */
static bool begins_again(const struct show *show, const struct runs *runs)
{
	bool again = show->stage->journey->build || show->stage->goal.into_new;
	return again && runs->n && strcmp(runs->run[0].state, "done") == 0;
}

bool show_push(struct show *show, enum way way)
{
	struct exec exec = show_exec(show);
	struct runs runs = { 0 };
	struct err unread = { 0 };
	const char *id;
	struct words left = { 0 };
	show->in = NULL;
	const struct run *run =
	        exec_runs(exec.node, show->arena, &unread, &runs) ? exec_open_run(&runs) : NULL;
	show->err = (struct err){ 0 };
	if (way == ROLL_BACK) {
		if (!runs.n)
			return true;
		show->end = exec_rollback(&exec, NULL, false, &show->err, &left);
		return show->end != EXEC_REBOOT && rehearse_power_state(show->rehearse) == POWER_ON;
	}
	if (!run && begins_again(show, &runs)) {
		show->end = EXEC_NOTHING;
		return true;
	}
	if (!run) {
		show_apply(show);
		return show->end == EXEC_NOTHING || show->end == EXEC_REFUSED || show->end == EXEC_REVERTED ||
		       show->end == EXEC_FAILED || show->end == EXEC_STUCK;
	}
	show->end = strcmp(run->state, "confirm") == 0 ? exec_confirm(&exec, &show->err, &id)
	                                               : exec_resume(&exec, &show->err, &id);
	return false;
}

bool show_walk(struct show *show, enum way way, bool keep)
{
	for (unsigned i = 0; i < 24; i++) {
		bool ended = show_push(show, way);
		if (rehearse_power_state(show->rehearse) == POWER_ON && ended)
			break;
		if (!show_stand_up(show, keep))
			return false;
	}
	return true;
}

bool show_boot(struct show *show)
{
	show_reboot(show);
	return show_stand_up(show, true);
}

/* ---- how it ended -------------------------------------------------------------------------------- */

static bool says_any(const char *sentence, const char *const *words)
{
	for (size_t i = 0; words && words[i]; i++)
		if (strstr(sentence, words[i]))
			return true;
	return false;
}

const char *first_difference(
        const struct tape *left, const struct tape *right, const char *const *but, struct arena *arena)
{
	struct words words = rehearse_differences(left, right, arena);
	for (size_t i = 0; i < words.n; i++)
		if (!says_any(words.word[i], but))
			return words.word[i];
	return NULL;
}

/* What PVE rolls dice for when it makes a guest. */
static const char *const chance[] = { " net0: ", " smbios1: ", " vmgenid: ", NULL };

const char *show_judge(struct show *show, bool may_be_wished, bool *ret_wished)
{
	const struct stage *stage = show->stage;
	struct arena *arena = show->arena;
	const struct tape *now = rehearse_tape(show->rehearse, arena);
	const char *from_old = first_difference(stage->old_booted, now, NULL, arena);
	*ret_wished = from_old != NULL;
	if (show->err.kind == ERR_LOCKED)
		return "a lock that nobody holds any more";
	if (!from_old)
		return NULL;
	const char *const *but = stage->creates ? chance : NULL;
	const char *from_wished =
	        may_be_wished ? first_difference(stage->wished_booted, now, but, arena) : from_old;
	if (from_wished && stage->creates && !first_difference(stage->back_booted, now, but, arena))
		from_wished = NULL;
	if (!from_wished)
		return NULL;
	return arena_printf(arena, "BETWEEN (end %d, %s): not old: %s; not wished: %s", (int)show->end,
	        show->err.text, from_old, from_wished);
}

/* ---- the journey without anything that goes wrong ------------------------------------------------ */

/* The steps that the run on disk has done. */
static void count_steps(struct stage *stage, struct show *show)
{
	struct world *node = rehearse_world(show->rehearse);
	struct runs runs = { 0 };
	struct journal journal;
	struct err err = { 0 };
	if (!exec_runs(node, stage->arena, &err, &runs) || !runs.n ||
	        !journal_open(node, runs.run[0].id, stage->arena, &err, &journal))
		return;
	for (size_t i = 0; i < journal.plan.n; i++) {
		const char *kind = journal.plan.steps[i].kind;
		if (journal.steps[i].done)
			stage->done[kind_row(kind)]++;
		stage->creates |= strcmp(kind, "create") == 0;
	}
}

static const char *said(const struct stage *stage, const char *what, const struct show *show)
{
	return arena_printf(stage->arena, "%s (end %d): %s", what, (int)show->end, show->err.text);
}

static const char *measure(struct stage *stage)
{
	struct arena *arena = stage->arena;
	struct show plain, show;
	if (!show_open(&plain, stage, arena) || !show_open(&show, stage, arena))
		return said(stage, "it cannot be rehearsed", &plain);
	if (!show_boot(&plain))
		return said(stage, "it does not boot as it is", &plain);
	stage->old_booted = rehearse_tape(plain.rehearse, arena);

	show.measured = stage;
	show_apply(&show);
	const char *refused = arena_strdup(arena, show.err.text);
	if (!show_stand_up(&show, true) || !show_walk(&show, GO_ON, true))
		return said(stage, "the journey's boot", &show);
	show.measured = NULL;
	stage->effects = rehearse_effects(show.rehearse);
	count_steps(stage, &show);
	if (show.end != EXEC_NOTHING && show.end != EXEC_REFUSED)
		return said(stage, "the journey ends otherwise", &show);
	if (!show_boot(&show))
		return said(stage, "it does not boot as wished", &show);
	stage->wished_booted = rehearse_tape(show.rehearse, arena);
	bool changed = first_difference(stage->old_booted, stage->wished_booted, NULL, arena) != NULL;
	if (changed == stage->journey->still)
		return changed ? "it changes something" : arena_printf(arena, "it changes nothing: %s", refused);

	unsigned long before = rehearse_effects(show.rehearse);
	if (!show_walk(&show, ROLL_BACK, true))
		return said(stage, "the rollback's boot", &show);
	stage->effects_back = rehearse_effects(show.rehearse) - before;
	if (!show_boot(&show))
		return said(stage, "it does not boot after rollback", &show);
	stage->back_booted = rehearse_tape(show.rehearse, arena);
	const char *const made[] = { stage->creates ? arena_printf(arena, "/%s.conf", stage->plan.guest + 3) : NULL,
		NULL };
	const char *left = first_difference(stage->old_booted, stage->back_booted, made, arena);
	return left ? arena_printf(arena, "after rollback: %s", left) : NULL;
}

static const char *set_goal(struct stage *stage, const char *text)
{
	struct words words = text_split(stage->arena, text, " ");
	struct err err = { 0 };
	goal_init(&stage->goal);
	for (size_t i = 0; i < words.n; i++) {
		const char *equals = strchr(words.word[i], '=');
		const char *key = arena_strndup(stage->arena, words.word[i], (size_t)(equals - words.word[i]));
		if (!goal_set(&stage->goal, key, equals + 1, stage->arena, &err))
			return arena_strdup(stage->arena, err.text);
		if (strcmp(key, "into") == 0 && !stage->goal.into_new)
			stage->inside = (struct target){ .label = equals + 1,
				.n = 1,
				.hop = { { text_starts(equals + 1, "ct/") ? HOP_PCT : HOP_QM, equals + 4 } } };
	}
	return NULL;
}

const char *stage_open(struct stage *stage, const struct journey *journey, struct arena *arena)
{
	struct err err = { 0 };
	struct tape *tape;
	*stage = (struct stage){ .arena = arena, .journey = journey };
	const char *why = set_goal(stage, journey->goal);
	if (why)
		return why;
	if (!machine_parse(bytes_of(journey->machine), "machine", machine_builtin_text, NULL, arena, &err, &tape))
		return arena_strdup(arena, err.text);
	stage->start = tape;
	return measure(stage);
}

/* ---- programs over all journeys ------------------------------------------------------------------ */

void tally_add(struct tally *sum, const struct tally *one)
{
	sum->cases += one->cases;
	sum->failed += one->failed;
	sum->wished += one->wished;
	for (size_t i = 0; i < KINDS_MAX; i++) {
		sum->cut[i] += one->cut[i];
		sum->cut_back[i] += one->cut_back[i];
	}
	for (size_t i = 0; i < COUNT(sum->by_fault); i++)
		sum->by_fault[i] += one->by_fault[i];
}

struct tally tally_share_out(
        const struct stage *stage, const void *options, unsigned long workers, tally_work *work)
{
	struct tally sum = { 0 }, tally;
	int channel[2];
	fflush(stdout);
	if (pipe(channel))
		exit(2);
	for (unsigned long worker = 0; worker < workers; worker++)
		if (fork() == 0) {
			struct tally own = { 0 };
			work(stage, options, worker, workers, &own);
			fflush(stdout);
			_exit(write(channel[1], &own, sizeof own) == sizeof own ? 0 : 1);
		}
	close(channel[1]);
	unsigned long heard = 0;
	while (read(channel[0], &tally, sizeof tally) == sizeof tally) {
		tally_add(&sum, &tally);
		heard++;
	}
	close(channel[0]);
	while (wait(NULL) > 0)
		;
	sum.failed += workers - heard; /* a worker that died told nothing */
	return sum;
}

unsigned long option_number(const char *text)
{
	uint64_t number = 0;
	if (!text || !text_number(text, 10, 1000000, &number)) {
		fprintf(stderr, "a number is wanted, not %s\n", text ? text : "nothing");
		exit(2);
	}
	return (unsigned long)number;
}
