/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "exec/run.h"

const char *run_step_name(const struct step *step, struct arena *arena)
{
	if (strcmp(step->on, "node") != 0)
		return arena_printf(arena, "%s %s", step->on, step->key);
	return strchr(step->key, '/') ? step->key : arena_printf(arena, "%s %s", step->kind, step->key);
}

bool run_is(const struct step *step, const char *kind)
{
	return strcmp(step->kind, kind) == 0;
}

bool run_is_barrier(const struct step *step)
{
	return run_is(step, "reboot") || run_is(step, "confirm");
}

void run_event(const struct running *running, enum exec_what what, size_t step, const char *text)
{
	const struct plan *plan = &running->journal.plan;
	const struct exec_event event = { what, step < plan->n ? &plan->steps[step] : NULL, step, plan->n, text };
	if (running->exec->event)
		running->exec->event(running->exec->data, &event);
}

void run_note(const struct running *running, const char *text)
{
	run_event(running, EXEC_NOTE, running->journal.plan.n, text);
}

bool run_journal(struct running *running, enum journal_note note, size_t step, const char *value)
{
	struct exec *exec = running->exec;
	return journal_note(exec->node, &running->journal, note, step, value, exec->arena, running->err);
}

struct step_run run_of(const struct running *running, size_t step)
{
	return (struct step_run){ running->exec, &running->journal.plan.steps[step], running->journal.folder,
		running->err };
}

bool run_state(const struct running *running, size_t step, const char **ret)
{
	struct step_run run = run_of(running, step);
	const struct step_ops *ops = exec_kind(run.step->kind);
	if (!ops)
		return err_set(running->err, ERR_INPUT, "%s: no such kind of step", run.step->kind);
	return ops->state(&run, running->exec->arena, ret);
}

bool run_lock(struct exec *exec, struct err *err)
{
	const char *path = PLAN_FOLDER "/lock";
	int error = world_mkdir(exec->node, PLAN_FOLDER, 0700);
	if (!error)
		error = world_lock(exec->node, path);
	if (error == EWOULDBLOCK) {
		err_set(err, ERR_LOCKED, "another gpuferry changes this node now");
		return err_hint(err, "wait until it has ended");
	}
	if (error)
		return err_errno(err, error, "%s", path);
	return journal_settle(exec->node, exec->arena, err);
}

bool run_boot_id(struct exec *exec, struct err *err, const char **ret)
{
	int error = world_attribute(exec->node, exec->arena, ret, "%s", JOURNAL_BOOT_ID);
	if (!error && **ret)
		return true;
	return err_set(err, ERR_UNKNOWN, "%s: %s: whether the node has booted anew cannot be told", JOURNAL_BOOT_ID,
	        world_why(error ? error : ENODATA));
}

/* Behind the state that ends it nothing can go wrong any more: both are only there to be tidy. */
bool run_end(struct running *running, const char *state)
{
	struct exec *exec = running->exec;
	const char *target, *script = arena_printf(exec->arena, "%s/rollback.sh", running->journal.folder);
	if (!run_journal(running, JOURNAL_STATE, 0, state))
		return false;
	journal_mark(exec->node, &running->journal, "ended", exec->arena, NULL);
	if (world_link(exec->node, PLAN_REVERT, exec->arena, &target) == 0 && strcmp(target, script) == 0)
		world_remove(exec->node, PLAN_REVERT);
	return true;
}
