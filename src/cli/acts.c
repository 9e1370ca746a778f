/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/acts.h"

#include <errno.h>
#include <string.h>

enum { BOOTS_MAX = 8 }; /* a run that asks for more boots than that would ask for ever */

struct stage {
	struct acts *acts;
	struct rehearse *rehearse;
	struct world *node;
	struct exec exec;
	struct arena *arena;
	size_t fail;   /* index of the step that fails; SIZE_MAX: none */
	bool reverted; /* by itself, at a second boot that nobody confirmed */
	unsigned revert_boots;
	bool resumed;         /* the unit has gone on by itself while booting */
	enum exec_end end;    /* how */
	unsigned long before; /* effects before apply */
};

static void tell(const struct stage *stage, enum act act, enum act_news news, const char *text)
{
	if (stage->acts->news)
		stage->acts->news(stage->acts->data, stage->acts, act, news, text);
}

/* ---- a step that fails ------------------------------------------------------------------------- */

/* The effect by which a kind of step shows itself; %s is its key. */
static const struct {
	const char *kind;
	enum rehearse_fault fault;
	const char *pattern;
} faults[] = {
	{ "file", FAULT_ERRNO, "*%s*" },
	{ "link", FAULT_ERRNO, "*%s*" },
	{ "directory", FAULT_ERRNO, "*%s*" },
	{ "module", FAULT_COMMAND, "modprobe*" },
	{ "package", FAULT_COMMAND, "apt-get*" },
	{ "hold", FAULT_COMMAND, "apt-mark*" },
	{ "initramfs", FAULT_COMMAND, "update-initramfs*" },
	{ "boot", FAULT_COMMAND, "*" },
	{ "bind", FAULT_ERRNO, "*/sys/*" },
	{ "mapping", FAULT_COMMAND, "pvesh*" },
	{ "power", FAULT_COMMAND, "qm*" },
	{ "config", FAULT_COMMAND, "qm*" },
	{ "raw", FAULT_COMMAND, "perl *" },
	{ "create", FAULT_COMMAND, "qm*" },
	{ "snapshot", FAULT_COMMAND, "qm*" },
};

/* SIZE_MAX: a place where the run waits has none. */
static size_t fault_of(const struct step *step)
{
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		if (strcmp(faults[i].kind, step->kind) == 0)
			return i;
	return SIZE_MAX;
}

/* Breaks it once: what takes the run back afterwards works again. */
static void arm(struct stage *stage, const struct step *step)
{
	size_t fault = fault_of(step);
	const char *pattern = faults[fault].pattern;
	if (strstr(pattern, "%s"))
		pattern = arena_printf(stage->arena, "*%s*", step->key);
	else if (text_starts(step->on, "ct/") && text_starts(pattern, "qm"))
		pattern = "pct*";
	rehearse_fault(stage->rehearse, faults[fault].fault, pattern, EIO, 1);
}

/* Each kind of the plan's steps that can be made to fail, once. */
static const char *fallible_kinds(const struct plan *plan, struct arena *arena)
{
	const char *kinds = "";
	for (size_t i = 0; i < plan->n; i++)
		if (fault_of(&plan->steps[i]) != SIZE_MAX && !text_has_word(kinds, plan->steps[i].kind, " "))
			kinds = arena_printf(arena, "%s%s%s", kinds, *kinds ? " " : "", plan->steps[i].kind);
	return kinds;
}

static bool find_step(struct stage *stage, struct err *err)
{
	const char *fail = stage->acts->fail;
	const struct plan *plan = &stage->acts->plan;
	uint64_t number;
	stage->fail = SIZE_MAX;
	if (!fail)
		return true;
	if (text_number(fail, 10, plan->n, &number) && number)
		stage->fail = number - 1;
	for (size_t i = plan->n; i-- > 0;)
		if (strcmp(plan->steps[i].kind, fail) == 0)
			stage->fail = i;
	if (stage->fail < plan->n && fault_of(&plan->steps[stage->fail]) != SIZE_MAX)
		return true;
	err_set(err, ERR_USAGE, "--fail %s: %s", text_shown(stage->arena, fail),
	        stage->fail < plan->n ? "there the run only waits: nothing can fail" : "the plan has no such step");
	return err_hint(err, "a number from 1 to %zu, or one of: %.100s", plan->n, fallible_kinds(plan, stage->arena));
}

static void on_event(void *data, const struct exec_event *event)
{
	struct stage *stage = data;
	if (event->step && event->what == EXEC_STEP_BEGINS && event->index == stage->fail) {
		arm(stage, event->step);
		stage->fail = SIZE_MAX;
	}
	if (stage->acts->event)
		stage->acts->event(stage->acts->data, event);
}

/* ---- power --------------------------------------------------------------------------------------- */

/* gpuferry as the node's units call it. */
static int on_unit(void *data, struct world *node, const struct command *command)
{
	struct stage *stage = data;
	const char *const *argv = command->argv;
	stage->exec.node = node;
	if (!argv[0] || !argv[1] || strcmp(argv[1], "apply") != 0 || !argv[2] || strcmp(argv[2], "--continue") != 0)
		return 2;
	stage->resumed = true;
	tell(stage, ACT_APPLY, NEWS_GOES_ON, NULL);
	stage->acts->why = (struct err){ 0 };
	stage->end = exec_resume(&stage->exec, &stage->acts->why, &stage->acts->run);
	return 0;
}

/* rollback.sh as the self-revert's unit calls it: the first boot after the change waits for the confirmation, a second
 * one takes back at once and reboots. What the script itself does is tested with real shells (tests/rescue.sh). */
static int on_revert(void *data, struct world *node, const struct command *command)
{
	static const char *const reboot[] = { "systemctl", "reboot", NULL };
	struct stage *stage = data;
	struct runs runs = { 0 };
	struct err ignored = { 0 };
	struct outcome outcome;
	if (!command->argv[0] || !command->argv[1] || strcmp(command->argv[1], PLAN_REVERT) != 0)
		return 127;
	if (!exec_runs(node, stage->arena, &ignored, &runs) || !exec_open_run(&runs) || stage->revert_boots++ == 0)
		return 0;
	tell(stage, ACT_APPLY, NEWS_REVERTS, NULL);
	stage->reverted = true;
	exec_rollback(&stage->exec, NULL, false, &ignored, &stage->acts->left);
	return world_run(node, &(struct command){ .argv = reboot }, stage->arena, &outcome);
}

static bool boot(struct stage *stage, bool cut, struct err *err)
{
	stage->resumed = false;
	stage->revert_boots = cut ? stage->revert_boots : 0; /* a reboot that the run asked for begins the count */
	stage->acts->boots++;
	tell(stage, ACT_APPLY, NEWS_BOOT, cut ? "the power is back" : "the plan needs a reboot");
	return rehearse_boot(stage->rehearse, cut ? stage->acts->keep_unsynced : true, err);
}

/* What the next `gpuferry apply` does: goes on with an open run, else begins anew. */
static enum exec_end go_on(struct stage *stage)
{
	struct acts *acts = stage->acts;
	struct runs runs = { 0 };
	if (stage->resumed)
		return stage->end;
	acts->why = (struct err){ 0 };
	if (!exec_runs(stage->node, stage->arena, &acts->why, &runs))
		return EXEC_FAILED;
	tell(stage, ACT_APPLY, NEWS_GOES_ON, NULL);
	if (exec_open_run(&runs))
		return exec_resume(&stage->exec, &acts->why, &acts->run);
	if (stage->reverted)
		return EXEC_REVERTED;
	if (runs.n && strcmp(runs.run[0].state, "done") == 0)
		return EXEC_DONE;
	struct plan again;
	const struct facts_want want = { .depth = FACTS_ALL, .also = stage->acts->also };
	plan_build(facts_gather(stage->node, &want, stage->arena), acts->goal, stage->arena, &again);
	return exec_apply(&stage->exec, &again, acts->goal, &acts->why, &acts->run);
}

/* ---- the acts -------------------------------------------------------------------------------------- */

static void look(struct stage *stage, const struct facts **ret_facts, struct report *ret)
{
	const struct facts_want want = { .depth = FACTS_ALL, .also = stage->acts->also };
	*ret_facts = facts_gather(stage->node, &want, stage->arena);
	rules_run(*ret_facts, stage->acts->goal, stage->arena, ret);
}

static enum exec_end apply_through(struct stage *stage, struct err *err)
{
	struct acts *acts = stage->acts;
	enum exec_end end = exec_apply(&stage->exec, &acts->plan, acts->goal, &acts->why, &acts->run);
	while (acts->boots < BOOTS_MAX) {
		bool cut = rehearse_power_state(stage->rehearse) == POWER_CUT;
		if (cut)
			tell(stage, ACT_APPLY, NEWS_CUT, rehearse_effect_name(stage->rehearse));
		if (cut || end == EXEC_REBOOT || rehearse_power_state(stage->rehearse) == POWER_REBOOTING) {
			if (!boot(stage, cut, err))
				return EXEC_UNKNOWN;
			end = go_on(stage);
		} else if (end == EXEC_CONFIRM) {
			tell(stage, ACT_APPLY, NEWS_CONFIRM, NULL);
			acts->why = (struct err){ 0 };
			end = exec_confirm(&stage->exec, &acts->why, &acts->run);
		} else {
			break;
		}
	}
	return end;
}

static bool act_apply(struct stage *stage, struct err *err)
{
	struct acts *acts = stage->acts;
	tell(stage, ACT_APPLY, NEWS_BEGINS, NULL);
	stage->before = rehearse_effects(stage->rehearse);
	rehearse_cut(stage->rehearse, acts->cut ? stage->before + acts->cut : 0);
	acts->applied = apply_through(stage, err);
	rehearse_cut(stage->rehearse, 0);
	if (err->kind)
		return false;
	acts->effects = rehearse_effects(stage->rehearse) - stage->before;
	struct err ignored = { 0 };
	struct runs runs = { 0 };
	if (acts->run && *acts->run && exec_runs(stage->node, stage->arena, &ignored, &runs))
		for (size_t i = 0; i < runs.n; i++)
			if (strcmp(runs.run[i].id, acts->run) == 0)
				acts->steps_done = runs.run[i].done > runs.run[i].undone
				                           ? runs.run[i].done - runs.run[i].undone
				                           : 0;
	if (acts->keep && !rehearse_keep(stage->rehearse, acts->keep, err))
		return false;
	tell(stage, ACT_APPLY, NEWS_ENDS, NULL);
	return true;
}

/* A boot on the way is one on the way back too; and what a running guest keeps waits for its next start. */
static bool waits_for_boot(struct stage *stage, const struct tape *first)
{
	return stage->acts->boots ||
	       rehearse_differences(first, rehearse_tape(stage->rehearse, stage->arena), stage->arena).n;
}

static bool act_rollback(struct stage *stage, const struct tape *first, struct err *err)
{
	struct acts *acts = stage->acts;
	tell(stage, ACT_ROLLBACK, NEWS_BEGINS, NULL);
	bool begun = acts->run && *acts->run; /* where a step failed, that may have taken back everything by itself */
	acts->rolled_back = EXEC_NOTHING;
	if (begun)
		acts->rolled_back = exec_rollback(&stage->exec, NULL, false, &acts->back_why, &acts->left);
	if (begun && waits_for_boot(stage, first)) {
		tell(stage, ACT_ROLLBACK, NEWS_BOOT, "what only a boot, or a guest's next start, restores");
		if (!rehearse_boot(stage->rehearse, true, err))
			return false;
	}
	tell(stage, ACT_ROLLBACK, NEWS_ENDS, NULL);
	return true;
}

static bool walk(struct stage *stage, struct err *err)
{
	struct acts *acts = stage->acts;
	const struct tape *first = rehearse_tape(stage->rehearse, stage->arena);
	tell(stage, ACT_BEFORE, NEWS_BEGINS, NULL);
	look(stage, &acts->before, &acts->was);
	tell(stage, ACT_BEFORE, NEWS_ENDS, NULL);
	tell(stage, ACT_PLAN, NEWS_BEGINS, NULL);
	plan_build(acts->before, acts->goal, stage->arena, &acts->plan);
	if (!find_step(stage, err))
		return false;
	tell(stage, ACT_PLAN, NEWS_ENDS, NULL);
	if (!act_apply(stage, err))
		return false;
	tell(stage, ACT_AFTER, NEWS_BEGINS, NULL);
	look(stage, &acts->after, &acts->is);
	tell(stage, ACT_AFTER, NEWS_ENDS, NULL);
	if (!act_rollback(stage, first, err))
		return false;
	tell(stage, ACT_RESTORED, NEWS_BEGINS, NULL);
	acts->differences = rehearse_differences(first, rehearse_tape(stage->rehearse, stage->arena), stage->arena);
	acts->restored = !acts->differences.n;
	tell(stage, ACT_RESTORED, NEWS_ENDS, NULL);
	return true;
}

bool acts_run(struct acts *acts, struct arena *arena, struct err *err)
{
	struct stage stage = { .acts = acts, .arena = arena };
	stage.rehearse = rehearse_open(acts->machine, arena, err);
	if (!stage.rehearse)
		return false;
	stage.node = rehearse_world(stage.rehearse);
	stage.exec = (struct exec){ .node = stage.node,
		.arena = arena,
		.also = acts->also,
		.event = on_event,
		.data = &stage,
		.stop_guests = true,
		.in_window = true,
		.reboot = true };
	acts->run = "";
	rehearse_install(stage.rehearse, "gpuferry", on_unit, &stage);
	rehearse_install(stage.rehearse, "sh", on_revert, &stage);
	return walk(&stage, err);
}
