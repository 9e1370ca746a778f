/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Apply a plan, go on with it, confirm it: what must be true before the first write, and after a boot.
 */
#include <string.h>

#include "exec/rescue.h"
#include "exec/run.h"

/* ---- before the first write ------------------------------------------------------------------ */

static bool none_open(struct exec *exec, struct err *err)
{
	struct runs runs;
	if (!exec_runs(exec->node, exec->arena, err, &runs))
		return false;
	const struct run *open = exec_open_run(&runs);
	if (open) {
		err_set(err, ERR_INPUT, "run %s has not ended yet (%.200s)", open->id,
		        open->why ? open->why : open->state);
		return err_hint(
		        err, "go on: gpuferry apply --continue; keep it: apply --confirm; or take it back: rollback");
	}
	for (size_t i = 0; i < runs.n; i++)
		if (strcmp(runs.run[i].state, "damaged") == 0) {
			err_set(err, ERR_INPUT, "run %s cannot be read: %.300s", runs.run[i].id, runs.run[i].why);
			return err_hint(err, "take it back with its rollback.sh, then move %s/%s away", JOURNAL_RUNS,
			        runs.run[i].id);
		}
	return true;
}

static const struct facts *facts_again(struct exec *exec)
{
	const struct facts_want want = { .depth = FACTS_ALL, .also = exec->also };
	return facts_gather(exec->node, &want, exec->arena);
}

static bool still_the_plan(struct exec *exec, const struct plan *plan, const struct goal *goal, struct err *err)
{
	struct plan now = { .confirm_seconds = UNKNOWN_NUMBER };
	(exec->build ? exec->build : plan_build)(facts_again(exec), goal, exec->arena, &now);
	if (now.n_refused) {
		err_set(err, ERR_INPUT, "%.400s", now.refused[0].why);
		return now.refused[0].cure ? err_hint(err, "%.150s", now.refused[0].cure) : false;
	}
	if (plan->digest && now.digest && strcmp(plan->digest, now.digest) == 0)
		return true;
	err_set(err, ERR_INPUT, "the machine changed since the plan was shown");
	return err_hint(err, "look at the new plan: gpuferry plan");
}

/* Can its state be asked before the run, and will it be the one the step begins with? */
static bool known_now(const struct plan *plan, size_t step)
{
	const struct step *what = &plan->steps[step];
	if (run_is_barrier(what) || what->undo == UNDO_NONE)
		return false;
	for (size_t i = 0; i < step; i++) {
		const struct step *before = &plan->steps[i];
		bool same = strcmp(before->on, what->on) == 0;
		if (same && run_is(before, "create"))
			return false;
		if (same && run_is(before, what->kind) && strcmp(before->key, what->key) == 0)
			return false;
	}
	return true;
}

static bool states_are_from(struct running *running, const struct plan *plan)
{
	struct arena *arena = running->exec->arena;
	for (size_t i = 0; i < plan->n; i++) {
		const struct step *step = &plan->steps[i];
		const char *state;
		if (!known_now(plan, i))
			continue;
		if (!run_state(running, i, &state))
			return false;
		if (!step->from || strcmp(state, step->from) == 0 || exec_holds(step, state))
			continue;
		err_set(running->err, ERR_INPUT, "the machine changed since the plan was shown: %s",
		        text_shown(arena, run_step_name(step, arena)));
		return err_hint(running->err, "look at the new plan: gpuferry plan");
	}
	return true;
}

/* ---- whom it interrupts ---------------------------------------------------------------------- */

static bool agreed(const struct exec *exec, const char *what, struct err *err)
{
	if (!exec->stop_guests) {
		err_set(err, ERR_INPUT, "%.200s: nobody has agreed to that", what);
		return err_hint(err, "agree at the prompt, or with --yes");
	}
	if (!exec->in_window) {
		err_set(err, ERR_INPUT, "%.200s: not outside the goal's window", what);
		return err_hint(err, "wait for the window: --wait");
	}
	return true;
}

/* Where nobody can tell whether it plays, that the person has agreed must do. */
static bool silent(const struct exec *exec, const char *guest, struct err *err)
{
	if (!exec->playing || exec->playing(exec->data, guest) != YES)
		return true;
	err_set(err, ERR_INPUT, "%s plays for someone now", guest);
	return err_hint(err, "wait until it has ended");
}

bool run_policy(const struct exec *exec, const struct journal *journal, struct err *err)
{
	const struct plan *plan = &journal->plan;
	bool stops = false;
	for (size_t i = 0; i < plan->n; i++) {
		const struct step *step = &plan->steps[i];
		if (!step->stops_guest || journal->steps[i].done)
			continue;
		stops = true;
		const char *what = step->interrupts && *step->interrupts ? step->interrupts : step->title;
		if (!agreed(exec, what ? what : step->on, err))
			return false;
		if (!run_is(step, "reboot") && !silent(exec, step->on, err))
			return false;
	}
	for (size_t i = 0; stops && i < plan->n_guest_stops; i++)
		if (!silent(exec, plan->guest_stops[i].id, err))
			return false;
	return true;
}

/* ---- apply ----------------------------------------------------------------------------------- */

static bool has_kind(const struct plan *plan, const char *kind)
{
	for (size_t i = 0; i < plan->n; i++)
		if (run_is(&plan->steps[i], kind))
			return true;
	return false;
}

/* Everything that the way back needs, on disk. */
static bool arm(struct running *running)
{
	struct exec *exec = running->exec;
	const struct plan *plan = &running->journal.plan;
	for (size_t i = 0; i < plan->n; i++)
		if (known_now(plan, i) && !run_save(running, i))
			return false;
	return rescue_write(exec->node, &running->journal, exec->arena, running->err) &&
	       run_journal(running, JOURNAL_ARMED, 0, NULL);
}

static bool link_revert(struct running *running)
{
	struct exec *exec = running->exec;
	const struct plan *plan = &running->journal.plan;
	if (!has_kind(plan, "reboot") && !has_kind(plan, "confirm"))
		return true;
	int error = world_symlink(
	        exec->node, arena_printf(exec->arena, "%s/rollback.sh", running->journal.folder), PLAN_REVERT);
	return !error || err_errno(running->err, error, "writing %s", PLAN_REVERT);
}

/* Before "armed" nothing was changed, so there is nothing to be taken back. */
static enum exec_end give_up(struct running *running)
{
	struct err *why = running->err, ignored = { 0 };
	running->err = &ignored;
	run_journal(running, JOURNAL_STATE, 0, "reverted");
	running->err = why;
	return EXEC_REFUSED;
}

static bool may_begin(struct running *running, const struct plan *plan, const struct goal *goal)
{
	struct exec *exec = running->exec;
	running->journal = (struct journal){ .plan = *plan };
	running->journal.steps = arena_alloc(exec->arena, plan->n * sizeof *running->journal.steps);
	return run_lock(exec, running->err) && none_open(exec, running->err) &&
	       still_the_plan(exec, plan, goal, running->err) && states_are_from(running, plan) &&
	       run_policy(exec, &running->journal, running->err);
}

enum exec_end exec_apply(
        struct exec *exec, const struct plan *plan, const struct goal *goal, struct err *err, const char **ret_run)
{
	struct err unread = { 0 };
	struct running running = { .exec = exec, .err = err ? err : &unread };
	*ret_run = NONE;
	if (!may_begin(&running, plan, goal))
		return EXEC_REFUSED;
	if (!plan->n)
		return EXEC_NOTHING;
	if (!journal_begin(exec->node, plan, exec->arena, running.err, &running.journal))
		return EXEC_REFUSED;
	if (!arm(&running))
		return give_up(&running);
	*ret_run = running.journal.id;
	return link_revert(&running) ? run_steps(&running) : run_turn_back(&running);
}

/* ---- after a boot, or a cut ------------------------------------------------------------------- */

static bool gate_holds(const struct report *report, const struct plan *plan, const char *rule, const char **ret_why)
{
	bool asked = false;
	*ret_why = "it could not be asked";
	for (size_t i = 0; i < report->n; i++) {
		const struct finding *finding = &report->findings[i];
		bool other = plan->gpu && finding->about && strchr(finding->about, ':') &&
		             strcmp(finding->about, plan->gpu) != 0;
		if (strcmp(finding->rule->id, rule) != 0 || other)
			continue;
		asked = true;
		*ret_why = finding->why;
		if (finding->verdict != VERDICT_OK && finding->verdict != VERDICT_WARN)
			return false;
	}
	return asked;
}

static bool gates_hold(struct running *running, const char **ret_why)
{
	const struct plan *plan = &running->journal.plan;
	struct arena *arena = running->exec->arena;
	struct bytes text = { plan->goal ? plan->goal : "", plan->goal ? strlen(plan->goal) : 0 };
	struct goal goal;
	struct report report;
	if (!plan->n_gates)
		return true;
	*ret_why = "the goal that the run began with cannot be read";
	if (!goal_parse(text, "goal", arena, running->err, &goal))
		return false;
	rules_run(facts_again(running->exec), &goal, arena, &report);
	for (size_t i = 0; i < plan->n_gates; i++) {
		const char *why;
		bool holds = gate_holds(&report, plan, plan->gates[i].rule, &why);
		const char *said = arena_printf(arena, "%s: %s", plan->gates[i].rule, why ? why : "");
		run_event(running, holds ? EXEC_GATE_HOLDS : EXEC_GATE_BROKEN, plan->n, said);
		*ret_why = said;
		if (!holds)
			return false;
	}
	return true;
}

static enum exec_end close_gate(struct running *running, const char *why)
{
	struct err *err = running->err, back = { 0 };
	running->err = &back;
	enum exec_end end = run_back(running, "reverted", why);
	running->err = err;
	err_set(err, ERR_INPUT, "%s", why);
	if (end == EXEC_FAILED)
		err_wrap(err, "taking it back failed too (%.150s); first", back.text);
	return end == EXEC_DONE ? EXEC_GATE : end;
}

static bool booted_anew(struct running *running, bool *ret)
{
	const char *now, *then = running->journal.boot_id;
	if (!run_boot_id(running->exec, running->err, &now))
		return false;
	*ret = !then || strcmp(now, then) != 0;
	return true;
}

bool run_is_free(struct running *running)
{
	bool anew;
	if (strcmp(running->journal.state, "stuck") != 0)
		return true;
	if (!booted_anew(running, &anew))
		return false;
	if (anew)
		return true;
	err_set(running->err, ERR_TIMEOUT, "the kernel still hangs in a driver: this node must be rebooted first");
	return err_hint(running->err, "reboot this node, then again: gpuferry rollback");
}

static bool note_reboot_done(struct running *running)
{
	const struct plan *plan = &running->journal.plan;
	for (size_t i = 0; i < plan->n; i++)
		if (run_is(&plan->steps[i], "reboot") && !running->journal.steps[i].done)
			return run_journal(running, JOURNAL_DONE, i, NULL) &&
			       run_journal(running, JOURNAL_STATE, 0, "open");
	return true;
}

static bool is_past_reboot(const struct journal *journal)
{
	for (size_t i = 0; i < journal->plan.n; i++)
		if (run_is(&journal->plan.steps[i], "reboot") && journal->steps[i].done)
			return true;
	return false;
}

static enum exec_end go_on(struct running *running)
{
	const char *why;
	if ((is_past_reboot(&running->journal) || strcmp(running->journal.state, "reboot") == 0) &&
	        !gates_hold(running, &why))
		return close_gate(running, why);
	if (!run_find_lost(running))
		return EXEC_FAILED;
	if (strcmp(running->journal.state, "reboot") == 0 && !note_reboot_done(running))
		return EXEC_FAILED;
	if (!run_policy(running->exec, &running->journal, running->err))
		return EXEC_REFUSED;
	return run_steps(running);
}

static enum exec_end resume_reboot(struct running *running)
{
	bool anew;
	if (!booted_anew(running, &anew))
		return EXEC_FAILED;
	if (anew)
		return go_on(running);
	run_reboot(running);
	return EXEC_REBOOT;
}

static enum exec_end resume_back(struct running *running)
{
	if (!run_is_free(running))
		return EXEC_STUCK;
	enum exec_end end = run_back(running, "reverted", running->journal.why);
	if (end == EXEC_DONE)
		err_set(running->err, ERR_INPUT, "%.400s", running->journal.why ? running->journal.why : "taken back");
	return end == EXEC_DONE ? EXEC_REVERTED : end;
}

static enum exec_end finish(struct running *running);

static enum exec_end resume_confirm(struct running *running)
{
	return running->journal.confirmed ? finish(running) : EXEC_CONFIRM;
}

static const struct {
	const char *state;
	enum exec_end (*resume)(struct running *);
} resumes[] = {
	{ "open", go_on },
	{ "reboot", resume_reboot },
	{ "confirm", resume_confirm },
	{ "reverting", resume_back },
	{ "stuck", resume_back },
};

/* The run that is not ended, in hand. ret_end: where there is none, or it cannot be read. */
static bool open_run(struct running *running, enum exec_end *ret_end)
{
	struct exec *exec = running->exec;
	struct runs runs;
	*ret_end = EXEC_REFUSED;
	if (!run_lock(exec, running->err) || !exec_runs(exec->node, exec->arena, running->err, &runs))
		return false;
	const struct run *open = exec_open_run(&runs);
	*ret_end = open ? EXEC_REFUSED : EXEC_NOTHING;
	return open && journal_open(exec->node, open->id, exec->arena, running->err, &running->journal);
}

enum exec_end exec_resume(struct exec *exec, struct err *err, const char **ret_run)
{
	struct err unread = { 0 };
	struct running running = { .exec = exec, .err = err ? err : &unread };
	enum exec_end end;
	*ret_run = NONE;
	if (!open_run(&running, &end))
		return end;
	*ret_run = running.journal.id;
	for (size_t i = 0; i < sizeof resumes / sizeof *resumes; i++)
		if (strcmp(resumes[i].state, running.journal.state) == 0)
			return resumes[i].resume(&running);
	err_set(running.err, ERR_INPUT, "run %s: %s: no such state", running.journal.id,
	        text_shown(exec->arena, running.journal.state));
	return EXEC_REFUSED;
}

/* ---- confirm --------------------------------------------------------------------------------- */

/* Behind the confirmation: what was temporary goes, the steps behind the barrier come. */
static enum exec_end finish(struct running *running)
{
	const struct plan *plan = &running->journal.plan;
	for (size_t i = plan->n; i--;)
		if (plan->steps[i].temporary && !run_back_step(running, i))
			return EXEC_FAILED;
	for (size_t i = 0; i < plan->n; i++)
		if (run_is(&plan->steps[i], "confirm") && !running->journal.steps[i].done &&
		        !run_journal(running, JOURNAL_DONE, i, NULL))
			return EXEC_FAILED;
	return run_steps(running);
}

/* The mark first: rollback.sh looks for it. Whoever of the two finds the other's mark gives way (journal.h). */
static bool confirm(struct running *running)
{
	struct exec *exec = running->exec;
	struct journal *journal = &running->journal;
	if (!journal_mark(exec->node, journal, "confirmed", exec->arena, running->err))
		return false;
	if (world_exists(exec->node, arena_printf(exec->arena, "%s/taken-back", journal->folder)) != NO) {
		journal_unmark(exec->node, journal, "confirmed", exec->arena, NULL);
		return err_set(running->err, ERR_INPUT, "run %s is just taking itself back", journal->id);
	}
	return run_journal(running, JOURNAL_CONFIRMED, 0, NULL);
}

enum exec_end exec_confirm(struct exec *exec, struct err *err, const char **ret_run)
{
	struct err unread = { 0 };
	struct running running = { .exec = exec, .err = err ? err : &unread };
	enum exec_end end;
	*ret_run = NONE;
	if (!open_run(&running, &end))
		return end;
	*ret_run = running.journal.id;
	if (strcmp(running.journal.state, "confirm") != 0) {
		err_set(running.err, ERR_INPUT, "run %s does not wait for a confirmation (%s)", running.journal.id,
		        text_shown(exec->arena, running.journal.why ? running.journal.why : running.journal.state));
		return EXEC_REFUSED;
	}
	if (!running.journal.confirmed && !confirm(&running))
		return EXEC_FAILED;
	return finish(&running);
}
