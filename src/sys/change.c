/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Changes that last, made of a world's single effects. One order for the real root and for the rehearsed one, so that
 * what a power cut does to the one was seen on the other.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sys/world.h"

enum { PATH_ROOM = 4096 };

/* EROFS: only read; EPERM: /etc/pve is a database that qm, pct and pvesh alone may write. */
static int may_change(const struct world *world, const char *path)
{
	if (!world->changes)
		return EROFS;
	return strcmp(path, "/etc/pve") == 0 || text_starts(path, "/etc/pve/") ? EPERM : 0;
}

/* The directory that holds the name: "/" of "/file". */
static int above(const char *path, char ret[PATH_ROOM])
{
	const char *slash = strrchr(path, '/');
	if (path[0] != '/' || !slash[1])
		return EINVAL;
	size_t size = slash == path ? 1 : (size_t)(slash - path);
	if (size >= PATH_ROOM)
		return ENAMETOOLONG;
	memcpy(ret, path, size);
	ret[size] = '\0';
	return 0;
}

static int beside(const char *path, char ret[PATH_ROOM])
{
	int size = snprintf(ret, PATH_ROOM, "%s" WORLD_BESIDE, path);
	return size < 0 || size >= PATH_ROOM ? ENAMETOOLONG : 0;
}

static int sync_above(struct world *world, const char *path)
{
	char folder[PATH_ROOM];
	int error = above(path, folder);
	return error ? error : world->changes->sync(world, folder);
}

/* rename replaces whatever has the name; only a file or a link is ours to replace. */
static int replaceable(struct world *world, const char *path)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct world_stat stat;
	const char *target;
	int error = world_link(world, path, &arena, &target);
	if (error == 0 || error == ENOENT)
		return 0;
	if (error != EINVAL)
		return error;
	error = world_stat(world, path, &stat);
	if (error)
		return error == ENOENT ? 0 : error;
	return stat.type == NODE_FILE ? 0 : stat.type == NODE_DIR ? EISDIR : EINVAL;
}

/* What is put beside has the name; if that fails it is taken away again, and the first error counts. */
static int move_here(struct world *world, const char *new, const char *path)
{
	int error = world->changes->rename(world, new, path);
	if (error) {
		world->changes->remove(world, new);
		return error;
	}
	return sync_above(world, path);
}

/* May something take the place of this path, and under which name is it made first? */
static int may_replace(struct world *world, const char *path, char new[PATH_ROOM])
{
	int error = may_change(world, path);
	if (!error)
		error = beside(path, new);
	return error ? error : replaceable(world, path);
}

int world_write(struct world *world, const char *path, struct bytes content, const struct world_owner *owner)
{
	char new[PATH_ROOM];
	int error = may_replace(world, path, new);
	if (error)
		return error;
	error = world->changes->put(world, new, content, owner);
	/* world_symlink was cut short here once, and left its link */
	if (error == ELOOP && !(error = world->changes->remove(world, new)))
		error = world->changes->put(world, new, content, owner);
	if (!error)
		error = world->changes->sync(world, new);
	if (error) {
		world->changes->remove(world, new);
		return error;
	}
	return move_here(world, new, path);
}

int world_append(struct world *world, const char *path, struct bytes content)
{
	int error = may_change(world, path);
	if (!error)
		error = world->changes->append(world, path, content);
	return error ? error : world->changes->sync(world, path);
}

/* Synced even where it was gone: who removed it was perhaps cut off before it did. */
int world_remove(struct world *world, const char *path)
{
	int error = may_change(world, path);
	if (!error)
		error = world->changes->remove(world, path);
	if (error && error != ENOENT)
		return error;
	error = sync_above(world, path);
	return error == ENOENT ? 0 : error;
}

static int make_one(struct world *world, const char *path, unsigned mode)
{
	struct world_stat stat;
	int error = world->changes->mkdir(world, path, mode);
	if (error == EEXIST) {
		error = world_stat(world, path, &stat);
		if (!error && stat.type != NODE_DIR)
			error = ENOTDIR;
	}
	return error ? error : sync_above(world, path);
}

int world_mkdir(struct world *world, const char *path, unsigned mode)
{
	char folder[PATH_ROOM];
	int error = may_change(world, path);
	if (!error)
		error = above(path, folder);
	if (error)
		return error;
	if (folder[1] && world_exists(world, folder) == NO)
		error = world_mkdir(world, folder, mode);
	return error ? error : make_one(world, path, mode);
}

int world_symlink(struct world *world, const char *target, const char *path)
{
	char new[PATH_ROOM];
	int error = may_replace(world, path, new);
	if (error)
		return error;
	error = world->changes->symlink(world, target, new);
	if (error == EEXIST && !(error = world->changes->remove(world, new)))
		error = world->changes->symlink(world, target, new);
	return error ? error : move_here(world, new, path);
}

int world_set(struct world *world, const char *path, const char *value, unsigned deadline_ms)
{
	return world->changes ? world->changes->attribute(world, path, value, deadline_ms) : EROFS;
}

int world_lock(struct world *world, const char *path)
{
	return world->changes ? world->changes->lock(world, path) : EROFS;
}
