/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Does what a plan shows: asks first, keeps to the window, then exec does it; afterwards the rules are asked again, and
 * what they find broken takes the change back.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/change.h"

struct applying {
	struct app *app;
	struct world *node;
	struct exec exec;
	struct goal goal;
	struct survey before;
	struct survey after;
	struct ended ended;
	struct err err;
};

/* ---- telling ------------------------------------------------------------------------------- */

static const char *const closing[] = {
	[EXEC_UNKNOWN] = "it is not known how it ended",
	[EXEC_DONE] = "done",
	[EXEC_NOTHING] = "nothing to do",
	[EXEC_REBOOT] = "the node must reboot now; the rest is done by itself while it boots",
	[EXEC_CONFIRM] = "done, and it takes itself back unless it is confirmed",
	[EXEC_REVERTED] = "a step failed; what was done has been taken back",
	[EXEC_GATE] = "not possible on this machine, as the reboot showed; what was done has been taken back",
	[EXEC_LEFT] = "taken back, except for what others changed since",
	[EXEC_STUCK] =
	        "the kernel hangs while it lets go of the card; nothing more was written: reboot, then run this again",
	[EXEC_REFUSED] = "refused; nothing was changed",
	[EXEC_FAILED] = "it could go neither on nor back; the journal stands. Run it again, or gpuferry rollback",
};

/* "by 04:17 at the latest": the self-revert counts from the boot. NULL: not known. */
static const char *confirm_until(const struct applying *applying)
{
	struct arena *arena = applying->app->arena;
	const struct plan *plan = applying->ended.plan;
	const char *uptime;
	uint64_t up;
	if (!plan || plan->confirm_seconds == UNKNOWN_NUMBER ||
	        world_attribute(applying->node, arena, &uptime, "/proc/uptime") != 0 ||
	        !text_number(arena_strndup(arena, uptime, strcspn(uptime, ". ")), 10, UINT32_MAX, &up))
		return NULL;
	time_t end = (time_t)(world_now(applying->node) - (int64_t)up + plan->confirm_seconds);
	struct tm local;
	char clock[16];
	if (!localtime_r(&end, &local) || !strftime(clock, sizeof clock, "%H:%M", &local))
		return NULL;
	return arena_printf(arena, "by %s at the latest", clock);
}

static void tell_confirm(const struct applying *applying)
{
	const char *until = confirm_until(applying);
	out_folded(applying->app,
	        arena_printf(applying->app->arena, "Look whether all works, then, %s:", until ? until : "in time"), 0);
	puts("  gpuferry apply --confirm");
}

static int finish(struct applying *applying)
{
	struct app *app = applying->app;
	struct ended *ended = &applying->ended;
	ended->err = &applying->err;
	ended_count(applying->node, app->arena, ended);
	if (app->json) {
		out_json(app, apply_json(ended), "node");
		return ended_code(ended);
	}
	if (applying->err.kind)
		out_error(app, &applying->err);
	if (!app->quiet || ended_code(ended) != EXIT_AS_WISHED || ended->end == EXEC_CONFIRM)
		out_folded(app,
		        ended->end == EXEC_REBOOT && applying->exec.reboot
		                ? "the node reboots now; the rest is done by itself while it boots"
		                : closing[ended->end],
		        0);
	if (ended->run && *ended->run && (ended->end == EXEC_DONE || ended->end == EXEC_CONFIRM) && !app->quiet)
		printf("to take it back: gpuferry rollback --run %s\n", ended->run);
	if (ended->end == EXEC_CONFIRM)
		tell_confirm(applying);
	return ended_code(ended);
}

static int refuse(struct applying *applying)
{
	applying->ended.end = EXEC_REFUSED;
	if (applying->app->json)
		return finish(applying);
	return out_error(applying->app, &applying->err);
}

/* ---- the window ------------------------------------------------------------------------------ */

static int64_t second_of_day(struct world *node)
{
	time_t now = (time_t)world_now(node);
	struct tm local;
	return localtime_r(&now, &local) ? local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec : 0;
}

static bool window_fits(struct applying *applying, const struct plan_window *left)
{
	struct arena *arena = applying->app->arena;
	int64_t needed = plan_window_needed(&applying->before.plan);
	if (!applying->before.plan.reboots || left->left == UNKNOWN_NUMBER || needed <= left->left)
		return true;
	err_set(&applying->err, ERR_INPUT,
	        "apply: of the window %s %s are left, but with the reboot, the time to confirm and a revert it may "
	        "take %s",
	        plan_window_text(&applying->goal, arena), plan_window_span(left->left, arena),
	        plan_window_span(needed, arena));
	return err_hint(&applying->err, "begin earlier, widen the window, or give less time to confirm");
}

/* Waits for the window where --wait says so; false: it is closed (err). What stops nothing needs no window. */
static bool window_reached(struct applying *applying)
{
	const struct plan *plan = &applying->before.plan;
	struct app *app = applying->app;
	struct plan_window left;
	plan_window_at(&applying->goal, second_of_day(applying->node), &left);
	bool interrupts = plan->reboots || plan->n_guest_stops;
	if (interrupts && !left.open && !app->wait) {
		err_set(&applying->err, ERR_INPUT, "apply: guests may stop only from %s; that is in %s",
		        plan_window_text(&applying->goal, app->arena), plan_window_span(left.opens_in, app->arena));
		return err_hint(&applying->err, "--wait waits for it");
	}
	struct plan_window whole;
	plan_window_at(&applying->goal, applying->goal.window_from * 60, &whole);
	if (interrupts && !left.open && !window_fits(applying, &whole)) /* not even then: no use to wait */
		return false;
	while (interrupts && !left.open) {
		if (!app->json && !app->quiet)
			printf("waiting for %s, %s\n", plan_window_text(&applying->goal, app->arena),
			        plan_window_span(left.opens_in, app->arena));
		fflush(stdout);
		sleep((unsigned)left.opens_in);
		plan_window_at(&applying->goal, second_of_day(applying->node), &left);
	}
	applying->exec.in_window = left.open;
	return !interrupts || window_fits(applying, &left);
}

/* ---- agreeing --------------------------------------------------------------------------------- */

static bool agreed(struct applying *applying)
{
	struct app *app = applying->app;
	const struct plan *plan = &applying->before.plan;
	applying->exec.stop_guests = true; /* whoever agrees, agrees to what the plan says it stops */
	applying->exec.reboot = app->reboot;
	if (app->yes)
		return true;
	const char *stops = "";
	for (size_t i = 0; i < plan->n_guest_stops; i++)
		stops = arena_printf(app->arena, "%s%s%s", stops, i ? ", " : " and stop ", plan->guest_stops[i].id);
	if (!change_ask(app,
	            arena_printf(app->arena, "Apply %s %zu step%s%s?", plan->n == 1 ? "this" : "these", plan->n,
	                    plan->n == 1 ? "" : "s", stops),
	            &applying->err))
		return false;
	struct err no = { 0 };
	if (plan->reboots && !app->reboot)
		applying->exec.reboot =
		        change_ask(app, "Reboot the node by itself when it is time? (no: you do it)", &no);
	return true;
}

/* ---- afterwards ------------------------------------------------------------------------------ */

/* The rules over fresh facts; what is broken on the node's side takes the change back. */
static void judge(struct applying *applying)
{
	struct app *app = applying->app;
	struct ended *ended = &applying->ended;
	if (!place_facts(applying->node, &applying->goal, app->arena, &applying->err, &applying->after.facts))
		return;
	rules_run(applying->after.facts, &applying->goal, app->arena, &applying->after.report);
	ended->report = &applying->after.report;
	ended->facts = applying->after.facts;
	if (!app->json && !app->quiet) {
		putchar('\n');
		show_verdict(app, ended->report, app->arena);
	}
	const struct report *before = applying->before.facts ? &applying->before.report : NULL;
	const struct finding *missed = ended->plan ? change_missed(ended->plan, before, ended->report) : NULL;
	if (!missed || ended->end != EXEC_DONE)
		return;
	err_set(&applying->err, ERR_SYSTEM, "%s is still broken afterwards: %s; the change is taken back",
	        missed->rule->id, missed->why ? missed->why : missed->rule->asks);
	struct err failed = { 0 };
	enum exec_end back = exec_rollback(&applying->exec, ended->run, false, &failed, &ended->left);
	ended->end = back == EXEC_DONE ? EXEC_REVERTED : back;
	if (failed.kind)
		applying->err = failed;
}

static int run_plan(struct applying *applying)
{
	struct ended *ended = &applying->ended;
	if (!place_goal_also(&applying->goal, applying->app->arena, &applying->err, &applying->exec.also))
		return refuse(applying);
	ended->end = exec_apply(&applying->exec, &applying->before.plan, &applying->goal, &applying->err, &ended->run);
	ended->reboots = applying->before.plan.reboots;
	if (ended->end == EXEC_DONE || ended->end == EXEC_CONFIRM)
		judge(applying);
	return finish(applying);
}

/* ---- a run that is not ended --------------------------------------------------------------------- */

/* The plan and goal that a run was made of. */
static void read_run(struct applying *applying, const char *run)
{
	struct arena *arena = applying->app->arena;
	struct err ignored = { 0 };
	struct bytes text;
	const char *path = arena_printf(arena, PLAN_FOLDER "/runs/%s/plan.json", run);
	struct plan *plan = arena_new(arena, struct plan);
	if (world_read(applying->node, path, 0, arena, &text) != 0 || !plan_parse(text, path, arena, &ignored, plan))
		return;
	applying->ended.plan = plan;
	applying->ended.reboots = plan->reboots;
	if (plan->goal)
		goal_parse((struct bytes){ plan->goal, strlen(plan->goal) }, "the run's goal", arena, &ignored,
		        &applying->goal);
	place_goal_also(&applying->goal, arena, &ignored, &applying->exec.also);
}

static int go_on(struct applying *applying, const struct run *run)
{
	read_run(applying, run->id);
	applying->exec.stop_guests = true; /* agreed to when the run began */
	applying->exec.in_window = true;   /* what is half done is finished: a node between two states is worse */
	applying->exec.reboot = applying->app->reboot;
	applying->ended.end = exec_resume(&applying->exec, &applying->err, &applying->ended.run);
	if (applying->ended.end == EXEC_DONE || applying->ended.end == EXEC_CONFIRM)
		judge(applying);
	return finish(applying);
}

static int confirm(struct applying *applying)
{
	applying->exec.stop_guests = applying->exec.in_window = true;
	applying->ended.end = exec_confirm(&applying->exec, &applying->err, &applying->ended.run);
	if (applying->ended.end == EXEC_NOTHING && !applying->err.kind) {
		err_set(&applying->err, ERR_INPUT, "apply: nothing waits for a confirmation");
		err_hint(&applying->err, "gpuferry rollback --list shows the runs");
		return refuse(applying);
	}
	return finish(applying);
}

/* A run that waits for its confirmation or was cut, met by a new apply. */
static int met(struct applying *applying, const struct run *run)
{
	struct app *app = applying->app;
	applying->ended.run = run->id;
	if (strcmp(run->state, "confirm") == 0) {
		read_run(applying, run->id);
		const char *until = confirm_until(applying);
		err_set(&applying->err, ERR_INPUT, "apply: the run %s waits for its confirmation%s%s", run->id,
		        until ? ", " : "", until ? until : "");
		err_hint(&applying->err, "gpuferry apply --confirm keeps it, gpuferry rollback takes it back");
		return refuse(applying);
	}
	if (!app->json)
		out_folded(app,
		        arena_printf(app->arena, "The run %s was not ended (%zu of %zu steps are done).", run->id,
		                run->done, run->steps),
		        0);
	if (app->dry_run)
		return EXIT_NOT_AS_WISHED;
	if (!app->yes && !change_ask(app, "Go on with it? (no: gpuferry rollback takes it back)", &applying->err)) {
		err_hint(&applying->err, "gpuferry apply --continue goes on, gpuferry rollback takes it back");
		return refuse(applying);
	}
	return go_on(applying, run);
}

/* ---- the verb ---------------------------------------------------------------------------------------- */

/* Whatever a plan says: what is no Proxmox VE node is not changed. */
static bool is_node(struct applying *applying)
{
	const char *version = applying->before.facts->host.pve_version;
	if (version && *version)
		return true;
	return err_set(&applying->err, ERR_INPUT, "apply: %s",
	        version ? "this is no Proxmox VE node" : "it is not known whether this is a Proxmox VE node");
}

static int apply_goal(struct applying *applying)
{
	struct app *app = applying->app;
	if (!change_survey(applying->node, &applying->goal, app->arena, &applying->err, &applying->before))
		return out_error(app, &applying->err);
	const struct plan *plan = &applying->before.plan;
	applying->ended.plan = plan;
	applying->ended.steps = plan->n;
	if (!app->json)
		show_plan(app, plan, app->arena);
	int code = change_code(&applying->before);
	if (plan->n && !app->dry_run && !is_node(applying))
		return refuse(applying);
	if (plan->n_refused || !plan->n || app->dry_run) {
		applying->ended.end = plan->n_refused ? EXEC_REFUSED : plan->n ? EXEC_UNKNOWN : EXEC_NOTHING;
		if (app->json)
			out_json(app, apply_json(&applying->ended), "node");
		return code;
	}
	if (!app->wait && !window_reached(applying))
		return refuse(applying);
	if (!agreed(applying) || (app->wait && !window_reached(applying)))
		return refuse(applying);
	if (!app->json && !app->quiet)
		putchar('\n');
	return run_plan(applying);
}

int apply_on(struct app *app, struct world *node, const struct goal *goal)
{
	struct applying *applying = arena_new(app->arena, struct applying);
	*applying = (struct applying){ .app = app, .node = node, .goal = *goal };
	applying->exec = (struct exec){ .node = node, .arena = app->arena, .event = show_event, .data = app };
	if (app->confirm)
		return confirm(applying);
	struct runs runs = { 0 };
	struct err unread = { 0 };
	const struct run *open = NULL;
	if (exec_runs(node, app->arena, &unread, &runs))
		open = exec_open_run(&runs);
	else if (!app->dry_run)
		return out_error(app, &unread);
	if (app->resume && !open) {
		err_set(&applying->err, ERR_INPUT, "apply: there is no run to go on with");
		err_hint(&applying->err, "gpuferry rollback --list shows the runs");
		return refuse(applying);
	}
	if (app->resume)
		return go_on(applying, open);
	return open ? met(applying, open) : apply_goal(applying);
}

static int apply_there(struct app *app, const char *file)
{
	struct err err = { 0 };
	struct goal goal;
	struct bytes text = { 0 };
	if (file && !place_goal_text(app, file, &err, &text, &goal))
		return out_error(app, &err);
	return change_there(app, text);
}

static bool words_fit(const struct app *app, int argc, struct err *err)
{
	bool goal = argc || !goal_empty(&app->goal);
	if (app->confirm && app->resume)
		return err_set(err, ERR_USAGE, "apply: --confirm and --continue at once");
	if ((app->confirm || app->resume) && goal)
		return err_set(err, ERR_USAGE, "apply: --%s takes no goal: the run has its own",
		        app->confirm ? "confirm" : "continue");
	if ((app->confirm || app->resume) && app->dry_run)
		return err_set(err, ERR_USAGE, "apply: --dry-run shows a plan; --%s has none to show",
		        app->confirm ? "confirm" : "continue");
	return true;
}

int verb_apply(struct app *app, int argc, char **argv)
{
	struct err err = { 0 };
	struct goal goal;
	goal_init(&goal);
	if (!words_fit(app, argc, &err))
		return out_error(app, &err);
	if (app->host && argc <= 1)
		return apply_there(app, argc ? argv[0] : NULL);
	if (!app->confirm && !app->resume && !change_goal(app, argc, argv, &err, &goal))
		return out_error(app, &err);
	if (!app->dry_run && geteuid() != 0) {
		err_set(&err, ERR_SYSTEM, "apply: only root may change a node");
		err_hint(&err, "run it as root; --dry-run or gpuferry plan only looks");
		return out_error(app, &err);
	}
	struct world *node = app->dry_run ? world_open_root(NULL, false, app->arena, &err)
	                                  : world_open_writable(NULL, app->arena, &err);
	if (!node)
		return out_error(app, &err);
	int code = apply_on(app, node, &goal);
	world_close(node);
	pci_names_release();
	return code;
}
