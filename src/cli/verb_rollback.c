/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Undoes a run of apply, or lists the runs.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/change.h"

/* ---- the runs --------------------------------------------------------------------------------- */

static const struct {
	const char *state, *says;
	enum colour colour;
	bool undoable;
} states[] = {
	{ "open", "was interrupted", YELLOW, true },
	{ "reboot", "waits for its reboot", YELLOW, true },
	{ "confirm", "waits for its confirmation", YELLOW, true },
	{ "reverting", "was being taken back", YELLOW, true },
	{ "stuck", "the kernel hung: reboot the node", RED, true },
	{ "done", "done", GREEN, true },
	{ "reverted", "failed, taken back", DIM, false },
	{ "rolled-back", "taken back", DIM, false },
	{ "left", "taken back, some left", YELLOW, false },
	{ "damaged", "its journal is damaged", RED, true }, /* exec refuses it, and says what remains */
};
enum { N_STATES = sizeof states / sizeof *states };

static size_t state_of(const struct run *run)
{
	size_t i = 0;
	while (i < N_STATES && strcmp(states[i].state, run->state) != 0)
		i++;
	return i;
}

static const char *began(const struct run *run, struct arena *arena)
{
	time_t at = (time_t)run->began;
	struct tm local;
	char text[32] = "unknown";
	if (run->began != UNKNOWN_NUMBER && localtime_r(&at, &local))
		strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local);
	return arena_strdup(arena, text);
}

static void show_runs(const struct app *app, const struct runs *runs, struct arena *arena)
{
	static const char *const columns[] = { "RUN", "BEGAN", "GPU", "GUEST", "STEPS>", "STATE_", NULL };
	if (!runs->n) {
		puts("no run: gpuferry has changed nothing here");
		return;
	}
	struct libscols_table *table = out_table(app, columns);
	for (size_t i = 0; i < runs->n; i++) {
		const struct run *run = &runs->run[i];
		size_t state = state_of(run);
		struct libscols_line *line = out_row(table, NULL);
		out_cell(line, 0, run->id, app, BOLD);
		out_cell(line, 1, began(run, arena), app, PLAIN);
		out_cell(line, 2, run->gpu ? run->gpu : "unknown", app, PLAIN);
		out_cell(line, 3, run->guest ? run->guest : "unknown", app, PLAIN);
		out_cell(line, 4, arena_printf(arena, "%zu/%zu", run->done - run->undone, run->steps), app, PLAIN);
		const char *says = state < N_STATES ? states[state].says : run->state;
		out_cell(line, 5, run->why ? arena_printf(arena, "%s: %s", says, run->why) : says, app,
		        state < N_STATES ? states[state].colour : PLAIN);
	}
	out_table_end(table);
}

static json_t *words_json(const struct words *words)
{
	json_t *list = json_array();
	for (size_t i = 0; i < words->n; i++)
		json_add(list, json_raw_text(words->word[i]));
	return list;
}

static json_t *runs_json(const struct runs *runs)
{
	json_t *document = json_document("rollback"), *list = json_array();
	for (size_t i = 0; i < runs->n; i++) {
		const struct run *run = &runs->run[i];
		json_t *one = json_object();
		json_put(one, "run", json_text(run->id));
		json_put(one, "state", json_text(run->state));
		json_put(one, "gpu", json_text(run->gpu));
		json_put(one, "guest", json_text(run->guest));
		json_put(one, "began", json_number(run->began));
		json_put(one, "steps", json_integer((json_int_t)run->steps));
		json_put(one, "steps_done", json_integer((json_int_t)run->done));
		json_put(one, "steps_undone", json_integer((json_int_t)run->undone));
		json_put(one, "left", words_json(&run->left));
		json_put(one, "why", json_raw_text(run->why));
		json_add(list, one);
	}
	json_put(document, "runs", list);
	return document;
}

/* ---- taking back ------------------------------------------------------------------------------ */

/* The run that would be taken back; NULL: none. */
static const struct run *find_run(const struct app *app, const struct runs *runs)
{
	for (size_t i = 0; i < runs->n; i++) {
		size_t state = state_of(&runs->run[i]);
		if (app->run ? strcmp(runs->run[i].id, app->run) == 0 : state < N_STATES && states[state].undoable)
			return &runs->run[i];
	}
	return NULL;
}

static void tell(const struct app *app, const struct ended *ended)
{
	struct arena arena ARENA_SCOPED = { 0 };
	if (ended->err->kind)
		out_error(app, ended->err);
	for (size_t i = 0; i < ended->left.n; i++)
		out_folded(app, text_shown(&arena, arena_printf(&arena, "left: %s", ended->left.word[i])), 0);
	static const char *const closing[] = {
		[EXEC_DONE] = "taken back",
		[EXEC_NOTHING] = "nothing to take back",
		[EXEC_LEFT] = "taken back, except for what others changed since: look at it and decide",
		[EXEC_REBOOT] = "taken back; what only a boot restores is so after the next reboot",
		[EXEC_STUCK] = "the kernel hangs while it lets go of the card: reboot the node, then run this again",
		[EXEC_REFUSED] = "refused; nothing was changed",
		[EXEC_FAILED] = "it could not be taken back whole; the journal stands, run it again",
	};
	size_t n = sizeof closing / sizeof *closing;
	if ((size_t)ended->end < n && closing[ended->end] && (!app->quiet || ended_code(ended) != EXIT_AS_WISHED))
		out_folded(app, closing[ended->end], 0);
}

static int end(struct app *app, struct world *node, struct ended *ended)
{
	ended_count(node, app->arena, ended);
	if (app->json)
		out_json(app, rollback_json(ended), "node");
	else
		tell(app, ended);
	return ended_code(ended);
}

static int take_back(struct app *app, struct world *node, const struct runs *runs)
{
	struct err err = { 0 };
	struct ended ended = { .err = &err, .end = EXEC_NOTHING };
	const struct run *run = find_run(app, runs);
	if (!run && app->run) {
		err_set(&err, ERR_INPUT, "rollback: %s: no such run", text_shown(app->arena, app->run));
		err_hint(&err, "gpuferry rollback --list shows the runs");
		ended.end = EXEC_REFUSED;
	}
	if (!run)
		return end(app, node, &ended);
	ended.run = run->id;
	bool damaged = strcmp(run->state, "damaged") == 0;
	if (!damaged && !app->json && !app->quiet)
		out_folded(app,
		        arena_printf(app->arena, "%s, %s: %s -> %s, %zu of %zu steps done", run->id,
		                began(run, app->arena), run->gpu ? run->gpu : "unknown",
		                run->guest ? run->guest : "unknown", run->done, run->steps),
		        0);
	ended.end = EXEC_REFUSED;
	if (damaged) {
		err_set(&err, ERR_INPUT, "run %s cannot be read, so what it changed is not known: %.300s", run->id, run->why);
		err_hint(&err, "its own script takes the node back: sh " PLAN_FOLDER "/runs/%s/rollback.sh", run->id);
		return end(app, node, &ended);
	}
	if (app->dry_run)
		return EXIT_NOT_AS_WISHED;
	if (!app->yes && !change_ask(app, "Take it back? A running guest that has the card is shut down.", &err))
		return end(app, node, &ended);
	struct exec exec = { .node = node,
		.arena = app->arena,
		.event = show_event,
		.data = app,
		.stop_guests = true,
		.in_window = true };
	ended.end = exec_rollback(&exec, run->id, app->later, &err, &ended.left);
	return end(app, node, &ended);
}

/* ---- the verb ------------------------------------------------------------------------------------- */

int rollback_on(struct app *app, struct world *node)
{
	struct err err = { 0 };
	struct runs runs = { 0 };
	if (!exec_runs(node, app->arena, &err, &runs))
		return out_error(app, &err);
	if (!app->list)
		return take_back(app, node, &runs);
	if (app->json)
		out_json(app, runs_json(&runs), "node");
	else
		show_runs(app, &runs, app->arena);
	return EXIT_AS_WISHED;
}

int verb_rollback(struct app *app, int argc, char **argv)
{
	struct err err = { 0 };
	if (argc) {
		err_set(&err, ERR_USAGE, "rollback: %s: takes no words", text_shown(app->arena, argv[0]));
		err_hint(&err, "gpuferry rollback --run ID takes back one run; --list shows them");
		return out_error(app, &err);
	}
	if (app->list && (app->run || app->later || app->yes || app->dry_run)) {
		err_set(&err, ERR_USAGE, "rollback: --list only shows the runs: nothing else goes with it");
		return out_error(app, &err);
	}
	if (app->host)
		return change_there(app, (struct bytes){ 0 });
	bool looks = app->list || app->dry_run;
	if (!looks && geteuid() != 0) {
		err_set(&err, ERR_SYSTEM, "rollback: only root may change a node");
		err_hint(&err, "run it as root; --list shows the runs");
		return out_error(app, &err);
	}
	struct world *node =
	        looks ? world_open_root(NULL, false, app->arena, &err) : world_open_writable(NULL, app->arena, &err);
	if (!node)
		return out_error(app, &err);
	int code = rollback_on(app, node);
	world_close(node);
	return code;
}
