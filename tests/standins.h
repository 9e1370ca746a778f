/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Stands in for parts of the program that are not there yet; each is weak and gives way to the real one.
 */
#pragma once
#include <errno.h>

#include "base/json.h"
#include "exec/exec.h"
#include "exec/rescue.h"
#include "test.h"

#define STANDIN __attribute__((weak))

static inline char *standin_above(struct arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');
	return arena_strndup(arena, path, slash == path ? 1 : (size_t)(slash - path));
}

STANDIN int world_write(struct world *world, const char *path, struct bytes content, const struct world_owner *owner)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *beside = arena_printf(&arena, "%s" WORLD_BESIDE, path);
	int error = world->changes->put(world, beside, content, owner);
	if (!error)
		error = world->changes->sync(world, beside);
	if (!error)
		error = world->changes->rename(world, beside, path);
	if (error)
		world->changes->remove(world, beside);
	return error ? error : world->changes->sync(world, standin_above(&arena, path));
}

STANDIN int world_append(struct world *world, const char *path, struct bytes content)
{
	int error = world->changes->append(world, path, content);
	return error ? error : world->changes->sync(world, path);
}

STANDIN int world_remove(struct world *world, const char *path)
{
	struct arena arena ARENA_SCOPED = { 0 };
	int error = world->changes->remove(world, path);
	if (error && error != ENOENT)
		return error;
	error = world->changes->sync(world, standin_above(&arena, path));
	return error == ENOENT ? 0 : error;
}

STANDIN int world_mkdir(struct world *world, const char *path, unsigned mode)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct world_stat stat;
	char *above = standin_above(&arena, path);
	int error = above[1] && world_stat(world, above, &stat) == ENOENT ? world_mkdir(world, above, mode) : 0;
	if (!error)
		error = world->changes->mkdir(world, path, mode);
	return error && error != EEXIST ? error : world->changes->sync(world, above);
}

STANDIN int world_symlink(struct world *world, const char *target, const char *path)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *beside = arena_printf(&arena, "%s" WORLD_BESIDE, path);
	int error = world->changes->symlink(world, target, beside);
	if (error == EEXIST && !(error = world->changes->remove(world, beside)))
		error = world->changes->symlink(world, target, beside);
	if (!error)
		error = world->changes->rename(world, beside, path);
	return error ? error : world->changes->sync(world, standin_above(&arena, path));
}

STANDIN int world_set(struct world *world, const char *path, const char *value, unsigned deadline_ms)
{
	return world->changes->attribute(world, path, value, deadline_ms);
}

STANDIN int world_lock(struct world *world, const char *path) { return world->changes->lock(world, path); }

STANDIN json_t *plan_json(const struct plan *plan)
{
	json_t *document = json_object(), *steps = json_array();
	for (size_t i = 0; i < plan->n; i++) {
		const struct step *step = &plan->steps[i];
		json_add(steps, json_pack("{s:s,s:s,s:s,s:s?,s:s?,s:s?,s:i,s:i,s:b,s:b,s:b}", "kind", step->kind, "on",
		                        step->on, "key", step->key, "from", step->from, "to", step->to, "title",
		                        step->title, "mode", (int)step->mode, "undo", (int)step->undo, "needs_reboot",
		                        step->needs_reboot, "stops_guest", step->stops_guest, "temporary",
		                        step->temporary));
	}
	json_put(document, "steps", steps);
	json_put(document, "goal", json_raw_text(plan->goal));
	json_t *gates = json_array();
	for (size_t i = 0; i < plan->n_gates; i++)
		json_add(gates, json_raw_text(plan->gates[i].rule));
	json_put(document, "gates", gates);
	return document;
}

STANDIN bool plan_parse(struct bytes text, const char *name, struct arena *arena, struct err *err, struct plan *ret)
{
	json_t *document JSON_SCOPED = NULL;
	if (!json_parse(text, name, err, &document))
		return false;
	struct plan plan = { .confirm_seconds = UNKNOWN_NUMBER };
	plan.goal = arena_strdup(arena, json_string_at(document, "goal"));
	size_t i;
	json_t *one;
	json_array_foreach (json_object_get(document, "steps"), i, one) {
		struct step *step = arena_push(arena, plan.steps, plan.n);
		step->kind = arena_strdup(arena, json_string_at(one, "kind"));
		step->on = arena_strdup(arena, json_string_at(one, "on"));
		step->key = arena_strdup(arena, json_string_at(one, "key"));
		step->from = arena_strdup(arena, json_string_at(one, "from"));
		step->to = arena_strdup(arena, json_string_at(one, "to"));
		step->title = arena_strdup(arena, json_string_at(one, "title"));
		step->mode = (unsigned)json_integer_value(json_object_get(one, "mode"));
		step->undo = (enum undo)json_integer_value(json_object_get(one, "undo"));
		step->needs_reboot = json_is_true(json_object_get(one, "needs_reboot"));
		step->stops_guest = json_is_true(json_object_get(one, "stops_guest"));
		step->temporary = json_is_true(json_object_get(one, "temporary"));
	}
	json_array_foreach (json_object_get(document, "gates"), i, one)
		arena_push(arena, plan.gates, plan.n_gates)->rule = arena_strdup(arena, json_string_value(one));
	*ret = plan;
	return true;
}

STANDIN bool rescue_write(struct world *node, const struct journal *journal, struct arena *arena, struct err *err)
{
	const char *path = arena_printf(arena, "%s/rollback.sh", journal->folder);
	int error = world_write(node, path, bytes_of("#!/bin/sh\n"), &(struct world_owner){ 0700, 0, 0 });
	return !error || err_errno(err, error, "writing %s", path);
}

STANDIN void plan_build(const struct facts *facts, const struct goal *goal, struct arena *arena, struct plan *ret)
{
	(void)facts, (void)goal, (void)arena;
	*ret = (struct plan){ .confirm_seconds = UNKNOWN_NUMBER };
}
