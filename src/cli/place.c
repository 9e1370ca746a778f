/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where to read: this machine, a node over ssh, or machines from tapes, folders and texts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "rehearse/machine.h"
#include "sys/store.h"
#include "sys/tape.h"

static bool no_machine(const char *name, struct arena *arena, struct err *err)
{
	struct near near = { .word = name };
	for (const struct machine_builtin *machine = machine_builtins; machine->name; machine++)
		if (machine->about && *machine->about)
			near_try(&near, machine->name);
	err_set(err, ERR_INPUT, "%s: no such file, folder or built-in machine", text_shown(arena, name));
	if (near_found(&near))
		return err_hint(
		        err, "did you mean %s? gpuferry --print machines lists the built-in ones", near_found(&near));
	return err_hint(err, "gpuferry --print machines lists the built-in ones");
}

bool place_tape(const char *name, struct arena *arena, struct err *err, struct tape **ret)
{
	struct bytes text;
	if (access(name, F_OK) != 0 && !strchr(name, '/')) {
		const char *builtin = machine_builtin_text(NULL, name);
		if (!builtin)
			return no_machine(name, arena, err);
		text = (struct bytes){ builtin, strlen(builtin) };
		return machine_parse(text, name, machine_builtin_text, NULL, arena, err, ret);
	}
	if (!text_ends(name, ".machine"))
		return tape_load(name, arena, err, ret);
	return store_read(name, READ_MAX, arena, err, &text) &&
	       machine_parse(text, name, machine_builtin_text, NULL, arena, err, ret);
}

static struct world *named_machine(const char *name, struct arena *arena, struct err *err)
{
	struct tape *tape = NULL;
	bool there = access(name, F_OK) == 0 || strchr(name, '/');
	if (there && !text_ends(name, ".machine"))
		return tape_open(name, arena, err);
	return place_tape(name, arena, err, &tape) ? tape_world(tape, "node", arena, err) : NULL;
}

struct world *place_open(struct app *app, const char *machine, struct arena *arena, struct err *err)
{
	if (machine)
		return named_machine(machine, arena, err);
	if (!app->host)
		return world_open_root(NULL, false, arena, err);
	struct target target = { .label = "node", .n = 1 };
	if (!hop_parse_ssh(app->host, arena, err, &target.hop[0])) {
		err_wrap(err, "--host");
		return NULL;
	}
	return world_open_ssh(&target, arena, err);
}

const char *place_kept(struct arena *arena)
{
	const char *given = getenv("CACHE_DIRECTORY"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	if (given && *given == '/')
		return given;
	if (geteuid() == 0)
		return PLACE_KEPT; /* whatever HOME a caller left */
	if (cache && *cache == '/')
		return arena_printf(arena, "%s/gpuferry", cache);
	return home && *home == '/' ? arena_printf(arena, "%s/.cache/gpuferry", home) : NULL;
}

/* It becomes a part of other programs. */
static bool is_library(const char *path, struct arena *arena)
{
	const char *folder = arena_strndup(arena, path, (size_t)(strrchr(path, '/') - path));
	return store_is_safe(path) && store_is_safe(folder);
}

const char *place_ahead(struct arena *arena)
{
	char own[4096];
	ssize_t size = readlink("/proc/self/exe", own, sizeof own);
	const char *slash = size > 0 ? memrchr(own, '/', (size_t)size) : NULL, *beside = NULL;
	if (slash)
		beside = arena_printf(arena, "%.*s/ahead.so", (int)(slash - own), own);
	return beside && is_library(beside, arena) ? beside : is_library(PLACE_AHEAD, arena) ? PLACE_AHEAD : NULL;
}

/* Failed outweighs broken, broken outweighs unmeasured: the worst of many. */
static int worse(int left, int right)
{
	static const int order[] = { EXIT_AS_WISHED, EXIT_UNMEASURED, EXIT_NOT_AS_WISHED, EXIT_FAILED, EXIT_USAGE };
	size_t l = 0, r = 0;
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		l = order[i] == left ? i : l;
		r = order[i] == right ? i : r;
	}
	return l > r ? left : right;
}

/* A machine that cannot be read still gets its line in a list of documents. */
static void failed_document(struct app *app, const char *label, const struct err *err)
{
	json_t *document = json_document(app->verb->name);
	json_put(document, "error", json_raw_text(err->text));
	out_json(app, document, label);
}

int place_each(struct app *app, place_verb *one, void *data)
{
	int code = EXIT_AS_WISHED;
	size_t n = app->machines.n ? app->machines.n : 1;
	for (size_t i = 0; i < n; i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct err err = { 0 };
		const char *machine = app->machines.n ? app->machines.path[i] : NULL;
		const char *label = machine ? machine : app->host;
		struct world *world = place_open(app, machine, &arena, &err);
		if (!world) {
			if (app->json && n > 1)
				failed_document(app, label, &err);
			code = worse(code, out_error(app, &err));
			continue;
		}
		if (n > 1 && !app->json && !app->quiet)
			printf("%s%s%s%s\n", i ? "\n" : "", out_colour(app, BOLD), text_shown(&arena, label),
			        out_plain(app));
		code = worse(code, one(app, world, label, data, &arena));
		world_close(world);
	}
	return code;
}

/* ---- the goal ------------------------------------------------------------------ */

static const char default_goal[] = "/etc/gpuferry/goal.yaml";
enum { GOAL_MAX = 1024 * 1024 };

/* A machine given where a goal stands is an easy mistake. */
static bool is_machine(const char *name)
{
	static const char *const endings[] = { ".tape", ".tape.gz", ".tape.zst", ".tape.xz", ".tar", ".machine" };
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
		if (text_ends(name, endings[i]))
			return true;
	return machine_builtin_text(NULL, name);
}

bool place_goal_text(struct app *app, const char *name, struct err *err, struct bytes *ret_text, struct goal *ret)
{
	if (!goal_empty(&app->goal)) {
		err_set(err, ERR_USAGE, "%s: a goal file and goal flags at once", text_shown(app->arena, name));
		return err_hint(err, "put it all into the file, or leave the file out");
	}
	app->input_used = strcmp(name, "-") == 0;
	bool read = store_read(name, GOAL_MAX, app->arena, err, ret_text);
	if (read && goal_parse(*ret_text, name, app->arena, err, ret))
		return true;
	err->kind = ERR_USAGE;
	if (is_machine(name))
		err_hint(err, "that is a machine, not a goal: gpuferry %s %s%s",
		        strcmp(app->verb->name, "apply") == 0 ? "rehearse" : app->verb->name,
		        strcmp(app->verb->name, "apply") == 0 ? "" : "--machine ", text_shown(app->arena, name));
	else if (!read)
		err_hint(err, "a goal is a YAML file (man gpuferry shows one); or say --gpu nvidia --into vm/100");
	return false;
}

bool place_goal(struct app *app, const char *file, struct err *err, struct goal *ret)
{
	struct bytes text;
	*ret = app->goal;
	if (file)
		return place_goal_text(app, file, err, &text, ret);
	if (!goal_empty(&app->goal) || app->machines.n || app->host || access(default_goal, F_OK) != 0)
		return true;
	return place_goal_text(app, default_goal, err, &text, ret);
}

bool place_goal_also(const struct goal *goal, struct arena *arena, struct err *err, const struct target **ret)
{
	*ret = NULL;
	if (goal->into == GUEST_UNKNOWN || goal->into_new)
		return true;
	bool vm = goal->into == GUEST_VM;
	const char *id = arena_printf(arena, "%lld", (long long)goal->into_id);
	struct target *target = arena_new(arena, struct target);
	*target = (struct target){ .label = arena_printf(arena, "%s/%s", vm ? "vm" : "ct", id), .n = 1 };
	target->hop[0] = (struct hop){ vm ? HOP_QM : HOP_PCT, id };
	if (goal->reach && !hop_parse_ssh(goal->reach, arena, err, &target->hop[0]))
		return false;
	*ret = target;
	return true;
}

bool place_facts(
        struct world *world, const struct goal *goal, struct arena *arena, struct err *err, const struct facts **ret)
{
	const struct target *also;
	if (!place_goal_also(goal, arena, err, &also))
		return false;
	const struct facts_want want = { .depth = FACTS_ALL, .also = also };
	*ret = facts_gather(world, &want, arena);
	return true;
}
