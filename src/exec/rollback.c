/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The way back: plain kinds in reverse order; then what is made from files, in the order of the plan, by making it
 * again; then what was temporary; last the guests that ran start again. It can be cut anywhere and asked again.
 */
#include <string.h>

#include "exec/run.h"

/* ---- one step -------------------------------------------------------------------------------- */

static bool is_derived(const struct step *step)
{
	const struct plan_kind *kind = plan_kind(step->kind);
	return kind && kind->derived;
}

/* A guest that ran before: whoever has stopped it since, it runs again. */
static bool is_start(const struct step *step, const struct journal_step *noted)
{
	return run_is(step, "power") && noted->old && strcmp(noted->old, "running") == 0;
}

/* The kernel that runs was booted with what is taken back. */
static bool boot_is_new(const struct journal *journal)
{
	for (size_t i = 0; i < journal->plan.n; i++)
		if (run_is(&journal->plan.steps[i], "reboot") && journal->steps[i].done)
			return true;
	return false;
}

static bool leave(struct running *running, size_t step, const char *state)
{
	if (!run_journal(running, JOURNAL_LEFT, step, state))
		return false;
	run_event(running, EXEC_UNDO_LEFT, step, state);
	return true;
}

static bool undone(struct running *running, size_t step)
{
	if (!run_journal(running, JOURNAL_UNDONE, step, NULL))
		return false;
	run_event(running, EXEC_UNDO_DONE, step, NULL);
	return true;
}

static bool undo(struct running *running, size_t step)
{
	struct step_run run = run_of(running, step);
	const struct step_ops *ops = exec_kind(run.step->kind);
	const char *old = running->journal.steps[step].old, *state;
	run_event(running, EXEC_UNDO_BEGINS, step, NULL);
	if (!run_journal(running, JOURNAL_UNDOING, step, NULL))
		return false;
	if (ops->undo && !ops->undo(&run, old, journal_blob(&running->journal, step, running->exec->arena))) {
		running->stuck = ops->hangs && running->err->kind == ERR_TIMEOUT;
		/* everything else is back, and waits for nothing */
		return is_start(run.step, &running->journal.steps[step]) && leave(running, step, running->err->text);
	}
	if (!ops->undo)
		return undone(running, step);
	if (!run_state(running, step, &state))
		return false;
	return strcmp(state, old) == 0 ? undone(running, step) : leave(running, step, state);
}

bool run_back_step(struct running *running, size_t step)
{
	const struct step *what = &running->journal.plan.steps[step];
	const struct journal_step *noted = &running->journal.steps[step];
	const struct step_ops *ops = exec_kind(what->kind);
	const char *state;
	bool stopped = is_start(what, noted) && boot_is_new(&running->journal); /* by the reboot */
	if ((!noted->begun && !stopped) || !noted->old || !ops || run_is_barrier(what) || what->undo == UNDO_NONE)
		return true;
	if (!run_state(running, step, &state))
		return false;
	bool old = strcmp(state, noted->old) == 0, wished = exec_holds(what, state);
	if (!noted->begun && old)
		return true;
	if (noted->undone && (old || !wished))
		return true;
	if (old && noted->done && !noted->undoing)
		return undone(running, step);
	/* old, but perhaps not on disk yet or not tidy; wished; in the middle; or made from files that are old again */
	bool middle = !ops->atomic && (noted->undoing || !noted->done);
	if (old || wished || middle || is_derived(what) || is_start(what, noted))
		return undo(running, step);
	return leave(running, step, state);
}

/* ---- one run --------------------------------------------------------------------------------- */

static bool note_way_back(struct running *running, const char *why)
{
	if (strcmp(running->journal.state, "reverting") == 0 && !running->journal.reverted)
		return true;
	return (!why || run_journal(running, JOURNAL_WHY, 0, why)) &&
	       run_journal(running, JOURNAL_STATE, 0, "reverting");
}

/* What such a guest has of us it has only until it stops: while it runs, Proxmox keeps every change back as pending.
 * One that will not shut down runs on, and has the old configuration at its next start. */
static void rest(struct running *running, size_t step)
{
	const struct journal_step *noted = &running->journal.steps[step];
	const struct step *what = &running->journal.plan.steps[step];
	const struct step_ops *ops = exec_kind(what->kind);
	struct err refused = { 0 };
	struct step_run run = run_of(running, step);
	run.err = &refused;
	if (is_start(what, noted) && noted->begun && !noted->undone && strcmp(what->to, "running") == 0 &&
	        !ops->undo(&run, "stopped", NULL))
		run_note(running, refused.text);
}

enum part { PART_PLAIN, PART_DERIVED, PART_TEMPORARY, PART_START, PARTS };

/* What takes the change back by itself goes late: where this is cut off, that goes on. A guest starts when all that it
 * starts with is as before. */
static enum part part_of(const struct journal *journal, size_t i)
{
	const struct step *step = &journal->plan.steps[i];
	if (is_start(step, &journal->steps[i]))
		return PART_START;
	return step->temporary ? PART_TEMPORARY : is_derived(step) ? PART_DERIVED : PART_PLAIN;
}

static bool back_all(struct running *running)
{
	const struct journal *journal = &running->journal;
	size_t n = journal->plan.n;
	for (size_t i = n; i-- > 0;)
		rest(running, i);
	for (enum part part = PART_PLAIN; part < PARTS; part++)
		for (size_t i = 0; i < n; i++) {
			size_t step = part == PART_DERIVED ? i : n - 1 - i;
			if (part_of(journal, step) == part && !run_back_step(running, step))
				return false;
		}
	return true;
}

static bool any_left(const struct journal *journal)
{
	for (size_t i = 0; i < journal->plan.n; i++)
		if (journal->steps[i].left)
			return true;
	return false;
}

enum exec_end run_back(struct running *running, const char *state, const char *why)
{
	if (!note_way_back(running, why))
		return EXEC_FAILED;
	if (!back_all(running)) {
		struct err *err = running->err, ignored = { 0 };
		if (!running->stuck)
			return EXEC_FAILED;
		err_hint(err, "reboot this node, then again: gpuferry rollback");
		running->err = &ignored;
		run_journal(running, JOURNAL_STATE, 0, "stuck");
		running->err = err;
		return EXEC_STUCK;
	}
	bool left = any_left(&running->journal);
	if (!run_end(running, left ? "left" : state))
		return EXEC_FAILED;
	if (boot_is_new(&running->journal))
		run_note(running, "the files are as before; reboot this node when its guests may stop: then so is the rest");
	return left ? EXEC_LEFT : EXEC_DONE;
}

/* ---- which runs ------------------------------------------------------------------------------ */

static bool taken_back(const struct run *run)
{
	return strcmp(run->state, "reverted") == 0 || strcmp(run->state, "rolled-back") == 0;
}

static const struct run *find(const struct runs *runs, const char *id)
{
	for (size_t i = 0; i < runs->n; i++) {
		const struct run *run = &runs->run[i];
		if (id ? strcmp(run->id, id) == 0 : !taken_back(run) && strcmp(run->state, "left") != 0)
			return run;
	}
	return NULL;
}

/* Does it still hold this key? What is made from files, and whether a guest runs, is nobody's own. */
static bool holds_key(const struct journal *journal, const struct step *wanted)
{
	for (size_t i = 0; i < journal->plan.n; i++) {
		const struct step *step = &journal->plan.steps[i];
		const struct journal_step *noted = &journal->steps[i];
		if (noted->begun && !noted->undone && run_is(step, wanted->kind) && strcmp(step->on, wanted->on) == 0 &&
		        strcmp(step->key, wanted->key) == 0)
			return true;
	}
	return false;
}

static bool share_keys(const struct journal *earlier, const struct journal *later)
{
	for (size_t i = 0; i < earlier->plan.n; i++) {
		const struct step *step = &earlier->plan.steps[i];
		if (!is_derived(step) && !run_is(step, "power") && !run_is_barrier(step) && earlier->steps[i].begun &&
		        !earlier->steps[i].undone && holds_key(later, step))
			return true;
	}
	return false;
}

struct chosen {
	struct journal *journal; /* the newest first; the one asked for is the last */
	size_t n;
};

static bool shares_with_any(const struct chosen *chosen, const struct journal *journal)
{
	for (size_t i = 0; i < chosen->n; i++)
		if (share_keys(&chosen->journal[i], journal))
			return true;
	return false;
}

/* Those behind it that changed the same. */
static bool choose(
        struct exec *exec, const struct runs *runs, const struct run *run, struct err *err, struct chosen *ret)
{
	struct chosen found = { 0 };
	if (!journal_open(exec->node, run->id, exec->arena, err, arena_push(exec->arena, found.journal, found.n)))
		return false;
	for (const struct run *later = run; later-- > runs->run;) { /* from the next newer one on */
		struct journal journal;
		if (taken_back(later))
			continue;
		if (!journal_open(exec->node, later->id, exec->arena, err, &journal))
			return false;
		if (shares_with_any(&found, &journal))
			*arena_push(exec->arena, found.journal, found.n) = journal;
	}
	ret->n = found.n;
	ret->journal = arena_alloc(exec->arena, found.n * sizeof *found.journal);
	for (size_t i = 0; i < found.n; i++)
		ret->journal[i] = found.journal[found.n - 1 - i];
	return true;
}

static bool refuse_later(const struct exec *exec, const struct chosen *chosen, struct err *err)
{
	const char *names = chosen->journal[0].id;
	for (size_t i = 1; i + 1 < chosen->n; i++)
		names = arena_printf(exec->arena, "%s, %s", names, chosen->journal[i].id);
	err_set(err, ERR_INPUT, "run %s: later runs changed the same: %.300s", chosen->journal[chosen->n - 1].id,
	        names);
	return err_hint(err, "take those back first, or all of them together");
}

static bool is_chosen(const struct chosen *chosen, const char *id)
{
	for (size_t i = 0; i < chosen->n; i++)
		if (strcmp(chosen->journal[i].id, id) == 0)
			return true;
	return false;
}

static bool may_go_back(
        struct exec *exec, const struct runs *runs, const struct chosen *chosen, bool later, struct err *err)
{
	const struct run *open = exec_open_run(runs);
	if (chosen->n > 1 && !later)
		return refuse_later(exec, chosen, err);
	if (open && !is_chosen(chosen, open->id)) {
		err_set(err, ERR_INPUT, "run %s has not ended yet", open->id);
		return err_hint(err, "take it back first: gpuferry rollback");
	}
	return true;
}

static enum exec_end back_one(struct exec *exec, const struct journal *journal, struct err *err, struct words *left)
{
	struct running running = { .exec = exec, .journal = *journal, .err = err };
	if (!run_is_free(&running))
		return EXEC_STUCK;
	run_note(&running, arena_printf(exec->arena, "taking back run %s", journal->id));
	enum exec_end end = run_back(&running, "rolled-back", NULL);
	for (size_t i = 0; i < journal->plan.n; i++)
		if (running.journal.steps[i].left)
			*arena_push(exec->arena, left->word, left->n) =
			        run_step_name(&journal->plan.steps[i], exec->arena);
	return end;
}

enum exec_end exec_rollback(struct exec *exec, const char *run, bool later, struct err *err, struct words *ret_left)
{
	struct runs runs;
	struct chosen chosen;
	struct words left = { 0 };
	*ret_left = left;
	if (!run_lock(exec, err) || !exec_runs(exec->node, exec->arena, err, &runs))
		return EXEC_REFUSED;
	const struct run *found = find(&runs, run);
	if (!found && run) {
		err_set(err, ERR_INPUT, "there is no run %s", text_shown(exec->arena, run));
		err_hint(err, "see the runs: gpuferry rollback --list");
		return EXEC_REFUSED;
	}
	if (!found || taken_back(found))
		return EXEC_NOTHING;
	if (!choose(exec, &runs, found, err, &chosen) || !may_go_back(exec, &runs, &chosen, later, err))
		return EXEC_REFUSED;
	enum exec_end end = EXEC_DONE;
	for (size_t i = 0; i < chosen.n && (end == EXEC_DONE || end == EXEC_LEFT); i++) {
		enum exec_end one = back_one(exec, &chosen.journal[i], err, &left);
		end = one == EXEC_DONE ? end : one;
	}
	*ret_left = left;
	return end;
}
