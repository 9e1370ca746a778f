/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The steps of a run, one after the other, to a barrier or the end.
 */
#include <string.h>

#include "exec/run.h"

static bool fail(struct running *running, size_t step)
{
	const struct step_ops *ops = exec_kind(running->journal.plan.steps[step].kind);
	running->stuck = ops && ops->hangs && running->err->kind == ERR_TIMEOUT;
	run_event(running, EXEC_STEP_FAILED, step, running->err->text);
	return false;
}

/* A boot gives these their own state: what they were before it says nothing afterwards. */
static bool boot_resets(const struct step *step)
{
	return run_is(step, "bind") || run_is(step, "module") || run_is(step, "power");
}

static bool behind_reboot(const struct plan *plan, size_t step)
{
	for (size_t i = 0; i < step; i++)
		if (run_is(&plan->steps[i], "reboot"))
			return true;
	return false;
}

bool run_save(struct running *running, size_t step)
{
	struct arena *arena = running->exec->arena;
	struct step_run run = run_of(running, step);
	const struct step_ops *ops = exec_kind(run.step->kind);
	const char *before, *after;
	if (!run_state(running, step, &before))
		return false;
	if (ops->save && !ops->save(&run, journal_blob(&running->journal, step, arena)))
		return false;
	if (!run_state(running, step, &after))
		return false;
	if (strcmp(before, after) != 0)
		return err_set(
		        running->err, ERR_SYSTEM, "%s changes while it is saved", run_step_name(run.step, arena));
	return run_journal(running, JOURNAL_OLD, step, after);
}

/* What another wrote since the plan was made is not overwritten. */
static bool still_old(struct running *running, size_t step, const char *state)
{
	const struct plan *plan = &running->journal.plan;
	const struct step *what = &plan->steps[step];
	struct arena *arena = running->exec->arena;
	if (strcmp(state, running->journal.steps[step].old) == 0 || exec_holds(what, state))
		return true;
	if (boot_resets(what) && behind_reboot(plan, step))
		return true;
	/* made from files, and perhaps by a step before it: update-initramfs refreshes the boot loader too */
	if (plan_kind(what->kind) && plan_kind(what->kind)->derived)
		return true;
	err_set(running->err, ERR_INPUT, "%s was changed by someone else in between", run_step_name(what, arena));
	return err_hint(running->err, "look at the new plan: gpuferry plan");
}

static bool make(struct running *running, size_t step)
{
	struct step_run run = run_of(running, step);
	const char *state;
	if (!exec_kind(run.step->kind)->apply(&run) || !run_state(running, step, &state))
		return false;
	if (exec_holds(run.step, state))
		return true;
	struct arena *arena = running->exec->arena;
	return err_set(running->err, ERR_SYSTEM, "%s was changed, but reads back as %.100s",
	        run_step_name(run.step, arena), *state ? text_shown(arena, state) : "absent");
}

static bool try_step(struct running *running, size_t step, bool *ret_already)
{
	const struct journal_step *noted = &running->journal.steps[step];
	const char *state;
	if (!noted->begun) {
		if (!noted->old && !run_save(running, step))
			return false;
		if (!run_state(running, step, &state) || !still_old(running, step, state))
			return false;
		*ret_already = exec_holds(&running->journal.plan.steps[step], state);
		if (*ret_already)
			return run_journal(running, JOURNAL_DONE, step, NULL);
		if (!run_journal(running, JOURNAL_BEGUN, step, NULL))
			return false;
	}
	/* begun and not done: perhaps made, perhaps not on disk yet. Made again it is both. */
	return make(running, step) && run_journal(running, JOURNAL_DONE, step, NULL);
}

static bool run_step(struct running *running, size_t step)
{
	bool already = false;
	run_event(running, EXEC_STEP_BEGINS, step, NULL);
	if (!try_step(running, step, &already))
		return fail(running, step);
	run_event(running, already ? EXEC_STEP_ALREADY : EXEC_STEP_DONE, step, NULL);
	return true;
}

/* ---- barriers -------------------------------------------------------------------------------- */

void run_reboot(struct running *running)
{
	struct exec *exec = running->exec;
	static const char *const argv[] = { "systemctl", "reboot", NULL };
	struct outcome outcome;
	if (!exec->reboot)
		return;
	int error = world_run(exec->node, &(struct command){ .argv = argv }, exec->arena, &outcome);
	if (error || outcome.status)
		run_note(running, "systemctl reboot failed; please reboot this node yourself");
}

static enum exec_end reboot_barrier(struct running *running)
{
	struct exec *exec = running->exec;
	const char *boot_id;
	if (!run_boot_id(exec, running->err, &boot_id) ||
	        !journal_unmark(exec->node, &running->journal, "boots", exec->arena, running->err) ||
	        !run_journal(running, JOURNAL_BOOT, 0, boot_id) || !run_journal(running, JOURNAL_STATE, 0, "reboot"))
		return EXEC_FAILED;
	run_reboot(running);
	return EXEC_REBOOT;
}

static enum exec_end confirm_barrier(struct running *running)
{
	return run_journal(running, JOURNAL_STATE, 0, "confirm") ? EXEC_CONFIRM : EXEC_FAILED;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* A step has failed, err says why: back, unless the change has been confirmed. */
enum exec_end run_turn_back(struct running *running)
{
	struct err *why = running->err, err = { 0 };
	if (running->stuck) {
		err_hint(why, "reboot this node, then take the rest back: gpuferry rollback");
		running->err = &err;
		run_journal(running, JOURNAL_WHY, 0, why->text);
		run_journal(running, JOURNAL_STATE, 0, "stuck");
		running->err = why;
		return EXEC_STUCK;
	}
	if (running->journal.confirmed) {
		err_hint(why, "the change stays; do the rest with: gpuferry apply --confirm");
		return EXEC_FAILED;
	}
	running->err = &err;
	enum exec_end end = run_back(running, "reverted", arena_strdup(running->exec->arena, why->text));
	running->err = why;
	if (end == EXEC_FAILED)
		err_wrap(why, "taking it back failed too (%.150s); first", err.text);
	if (!*why->hint && end == EXEC_FAILED)
		err_hint(why, "when that is repaired: gpuferry rollback");
	return end == EXEC_DONE ? EXEC_REVERTED : end;
}

enum exec_end run_steps(struct running *running)
{
	const struct plan *plan = &running->journal.plan;
	for (size_t i = 0; i < plan->n; i++) {
		if (running->journal.steps[i].done)
			continue;
		if (run_is(&plan->steps[i], "reboot"))
			return reboot_barrier(running);
		if (run_is(&plan->steps[i], "confirm"))
			return confirm_barrier(running);
		if (!run_step(running, i))
			return run_turn_back(running);
	}
	return run_end(running, "done") ? EXEC_DONE : EXEC_FAILED;
}

/* The newest of the steps on one key says what it should be; those before it have passed. */
static bool passed(const struct journal *journal, size_t step)
{
	const struct step *one = &journal->plan.steps[step];
	for (size_t i = step + 1; i < journal->plan.n; i++) {
		const struct step *other = &journal->plan.steps[i];
		if (journal->steps[i].begun && run_is(other, one->kind) && strcmp(other->on, one->on) == 0 &&
		        strcmp(other->key, one->key) == 0)
			return true;
	}
	return false;
}

bool run_find_lost(struct running *running)
{
	struct journal *journal = &running->journal;
	for (size_t i = 0; i < journal->plan.n; i++) {
		const struct step *step = &journal->plan.steps[i];
		struct journal_step *noted = &journal->steps[i];
		const char *state;
		if (!noted->done || !noted->old || passed(journal, i) || run_is_barrier(step))
			continue;
		if (!run_state(running, i, &state))
			return false;
		if (!exec_holds(step, state) && (boot_resets(step) || strcmp(state, noted->old) == 0))
			noted->done = false;
	}
	return true;
}
