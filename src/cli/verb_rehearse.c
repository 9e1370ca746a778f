/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The whole journey on a copy of a recorded or built-in machine: nothing of it touches this one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/acts.h"
#include "cli/change.h"

/* What the built-in machines are there for; the first one is rehearsed where none is named. */
static const struct {
	const char *machine, *gpu, *into;
} natural[] = {
	{ "amd-4060ti", "nvidia", "vm/100" },
	{ "amd-4060ti-ready", "nvidia", "vm/100" },
	{ "intel-uhd770-ct", "intel", "ct/105" },
	{ "intel-uhd770-ct-ready", "intel", "ct/105" },
	{ "intel-zfs-a380", "0000:03:00.0", "vm/101" },
	{ "iommu-off", "nvidia", "vm/100" },
	{ "pve9-mapping", "nvidia", "vm/100" },
	{ "shared-slot", "nvidia", "vm/100" },
	{ "single-gpu", "nvidia", "vm/100" },
	{ "twins", "0000:01:00.0", "vm/100" },
	{ "guide-wrong", "nvidia", "vm/100" },
};

static bool natural_goal(const char *machine, struct arena *arena, struct err *err, struct goal *ret)
{
	for (size_t i = 0; i < sizeof natural / sizeof *natural; i++)
		if (strcmp(natural[i].machine, machine) == 0)
			return goal_set(ret, "gpu", natural[i].gpu, arena, err) &&
			       goal_set(ret, "into", natural[i].into, arena, err);
	err_set(err, ERR_USAGE, "rehearse: which GPU of %s shall go where? no goal is given",
	        text_shown(arena, machine));
	return err_hint(err, "add --gpu nvidia --into vm/100, say");
}

static const char *goal_words(const struct goal *goal, struct arena *arena)
{
	static const char *const kinds[] = { "", "vm", "ct" };
	const char *into = goal->into_new ? "vm/new"
	                   : goal->into == GUEST_UNKNOWN
	                           ? ""
	                           : arena_printf(arena, "%s/%lld", kinds[goal->into], (long long)goal->into_id);
	return arena_printf(arena, "%s%s%s%s", goal->gpu ? "--gpu " : "", goal->gpu ? goal->gpu : "",
	        *into ? " --into " : "", into);
}

/* ---- telling ------------------------------------------------------------------------------------ */

struct telling {
	const struct app *app;
	struct arena *arena;
};

static void event(void *data, const struct exec_event *event)
{
	const struct telling *telling = data;
	struct app app = *telling->app;
	show_event(&app, event);
}

static void show_before(const struct telling *telling, const struct acts *acts)
{
	const struct app *app = telling->app;
	const struct facts *facts = acts->before;
	for (size_t i = 0; i < facts->n_gpus; i++) {
		const struct gpu *gpu = &facts->gpus[i];
		const char *driver = gpu->pci->driver;
		out_folded(app,
		        text_shown(telling->arena,
		                arena_printf(telling->arena, "%s %s %04x:%04x, driver %s", gpu->pci->address,
		                        gpu->vendor, (unsigned)gpu->pci->vendor & 0xffff,
		                        (unsigned)gpu->pci->device & 0xffff,
		                        !driver   ? "unknown"
		                        : *driver ? driver
		                                  : "none")),
		        0);
	}
	show_verdict(app, &acts->was, telling->arena);
}

static void show_ended(const struct telling *telling, const struct acts *acts)
{
	const char *word = ended_word(acts->applied);
	printf("%s: %zu step%s done, %u boot%s, %lu effects on the machine\n", word ? word : "unknown",
	        acts->steps_done, acts->steps_done == 1 ? "" : "s", acts->boots, acts->boots == 1 ? "" : "s",
	        acts->effects);
	if (acts->why.kind)
		out_folded(telling->app, text_shown(telling->arena, acts->why.text), 2);
	if (acts->cut > acts->effects)
		puts("the power was not cut: it did not come to so many effects");
	if (acts->keep)
		printf("the machine as it is now lies in %s\n", text_shown(telling->arena, acts->keep));
}

static void show_back(const struct telling *telling, const struct acts *acts)
{
	const char *word = acts->rolled_back == EXEC_NOTHING ? "nothing to take back" : ended_word(acts->rolled_back);
	puts(word ? word : "unknown");
	if (acts->back_why.kind)
		out_folded(telling->app, text_shown(telling->arena, acts->back_why.text), 2);
	for (size_t i = 0; i < acts->left.n; i++)
		out_folded(telling->app,
		        text_shown(telling->arena, arena_printf(telling->arena, "left: %s", acts->left.word[i])), 2);
}

static void show_restored(const struct telling *telling, const struct acts *acts)
{
	const struct app *app = telling->app;
	printf("%s%s%s\n", out_colour(app, acts->restored ? GREEN : RED),
	        acts->restored ? "yes: the machine is as it was" : "no", out_plain(app));
	for (size_t i = 0; i < acts->differences.n; i++)
		out_folded(app, text_shown(telling->arena, acts->differences.word[i]), 2);
}

static void show_plan_act(const struct telling *telling, const struct acts *acts)
{
	show_plan(telling->app, &acts->plan, telling->arena);
}

static void show_after(const struct telling *telling, const struct acts *acts)
{
	show_verdict(telling->app, &acts->is, telling->arena);
}

static const struct {
	const char *title;
	void (*show)(const struct telling *telling, const struct acts *acts); /* at its end */
} tellings[] = {
	[ACT_BEFORE] = { "before", show_before },
	[ACT_PLAN] = { "plan", show_plan_act },
	[ACT_APPLY] = { "apply", show_ended },
	[ACT_AFTER] = { "after", show_after },
	[ACT_ROLLBACK] = { "rollback", show_back },
	[ACT_RESTORED] = { "restored", show_restored },
};

static void news(void *data, const struct acts *acts, enum act act, enum act_news news, const char *text)
{
	static const char *const says[] = {
		[NEWS_CUT] = "the power is cut behind effect: ",
		[NEWS_BOOT] = "the machine boots: ",
		[NEWS_GOES_ON] = "it goes on",
		[NEWS_REVERTS] = "a second boot without confirmation: the change takes itself back",
		[NEWS_CONFIRM] = "all works, so: gpuferry apply --confirm",
	};
	const struct telling *telling = data;
	const struct app *app = telling->app;
	if (app->json)
		return;
	if (news == NEWS_BEGINS)
		printf("%s%s== %s%s\n", act == ACT_BEFORE ? "" : "\n", out_colour(app, BOLD), tellings[act].title,
		        out_plain(app));
	else if (news == NEWS_ENDS)
		tellings[act].show(telling, acts);
	else
		printf("%s-- %s%s%s\n", out_colour(app, CYAN), says[news], text ? text_shown(telling->arena, text) : "",
		        out_plain(app));
	fflush(stdout);
}

static json_t *document(const struct acts *acts, const char *machine, const char *goal)
{
	json_t *document = json_document("rehearse"), *differences = json_array();
	struct ended applied = { .end = acts->applied,
		.err = &acts->why,
		.run = acts->run,
		.steps = acts->plan.n,
		.steps_done = acts->steps_done,
		.reboots = acts->boots };
	struct ended back = { .end = acts->rolled_back, .err = &acts->back_why, .run = acts->run, .left = acts->left };
	for (size_t i = 0; i < acts->differences.n; i++)
		json_add(differences, json_raw_text(acts->differences.word[i]));
	json_put(document, "machine", json_raw_text(machine));
	json_put(document, "goal", json_raw_text(goal));
	json_put(document, "before", facts_json(acts->before));
	json_put(document, "plan", plan_json(&acts->plan));
	json_put(document, "apply", apply_json(&applied));
	json_put(document, "after", rules_json(&acts->is, acts->after));
	json_put(document, "rollback", rollback_json(&back));
	json_put(document, "restored", json_boolean(acts->restored));
	json_put(document, "differences", differences);
	return document;
}

/* ---- the verb --------------------------------------------------------------------------------------- */

/* Asked before the journey, not at its end. */
static bool can_keep(const struct app *app, struct err *err)
{
	const char *keep = app->keep, *slash = strrchr(keep, '/');
	const char *folder = !slash          ? "."
	                     : slash == keep ? "/"
	                                     : arena_strndup(app->arena, keep, (size_t)(slash - keep));
	if (access(keep, F_OK) == 0)
		err_set(err, ERR_USAGE, "--keep %s: is there already", text_shown(app->arena, keep));
	else if (!*keep || access(folder, W_OK | X_OK) != 0)
		err_set(err, ERR_USAGE, "--keep %s: %s", text_shown(app->arena, keep),
		        *keep ? strerror(errno) : "this is no name");
	else
		return true;
	return err_hint(err, "name a folder that is not there yet, in one that is");
}

static bool check(struct app *app, int argc, char **argv, struct err *err, uint64_t *ret_cut)
{
	if ((size_t)argc + app->machines.n > 1)
		return err_set(err, ERR_USAGE, "rehearse: %s: one machine at a time",
		        text_shown(app->arena, argc ? argv[argc - 1] : app->machines.path[1]));
	if (app->cut && (!text_number(app->cut, 10, 1000000000, ret_cut) || !*ret_cut))
		return err_set(err, ERR_USAGE, "--cut %s: how many effects? a number from 1 on",
		        text_shown(app->arena, app->cut));
	return !app->keep || can_keep(app, err);
}

static int rehearse(struct app *app, struct acts *acts, const char *machine)
{
	struct err err = { 0 };
	struct telling telling = { app, app->arena };
	const char *goal = goal_words(acts->goal, app->arena);
	acts->news = news;
	acts->event = event;
	acts->data = &telling; // cppcheck-suppress autoVariables
	if (!app->json)
		printf("a rehearsal on a copy of %s, %s: nothing of it touches this machine\n\n",
		        text_shown(app->arena, machine), goal);
	if (!acts_run(acts, app->arena, &err))
		return out_error(app, &err);
	if (app->json)
		out_json(app, document(acts, machine, goal), machine);
	return acts->restored && acts->applied != EXEC_REFUSED ? EXIT_AS_WISHED : EXIT_FAILED;
}

int verb_rehearse(struct app *app, int argc, char **argv)
{
	const char *machine = argc ? argv[0] : app->machines.n ? app->machines.path[0] : natural[0].machine;
	struct err err = { 0 };
	struct goal goal = app->goal;
	struct tape *tape;
	const struct target *also;
	uint64_t cut = 0;
	if (!check(app, argc, argv, &err, &cut) || !place_tape(machine, app->arena, &err, &tape) ||
	        (goal_empty(&goal) && !natural_goal(machine, app->arena, &err, &goal)) ||
	        !place_goal_also(&goal, app->arena, &err, &also))
		return out_error(app, &err);
	struct acts acts = {
		.machine = tape, .goal = &goal, .also = also, .fail = app->fail, .cut = cut, .keep = app->keep
	};
	return rehearse(app, &acts, machine);
}
