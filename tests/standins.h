/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Stands in for parts of the program that are not there yet; each is weak and gives way to the real one.
 */
#pragma once
#include <errno.h>

#include "sys/world.h"
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
