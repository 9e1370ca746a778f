/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sys/world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "sys/file.h"
#include "sys/remote.h"
#include "sys/spawn.h"

/* ---- the door --------------------------------------------------------- */

int world_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	return world->ops->read(world, path, max ? max : READ_MAX, arena, ret);
}

int world_list(struct world *world, const char *path, struct arena *arena, struct words *ret)
{
	return world->ops->list(world, path, arena, ret);
}

int world_link(struct world *world, const char *path, struct arena *arena, const char **ret)
{
	return world->ops->link(world, path, arena, ret);
}

int world_stat(struct world *world, const char *path, struct world_stat *ret)
{
	return world->ops->stat(world, path, ret);
}

int world_probe_open(struct world *world, const char *path)
{
	return world->ops->probe_open(world, path);
}

int world_run(struct world *world, const struct command *command, struct arena *arena, struct outcome *ret)
{
	return world->ops->run(world, command, arena, ret);
}

void world_run_each(struct world *world, struct run_job *jobs, size_t n, unsigned at_once, struct arena *arena)
{
	if (world->ops->run_each) {
		world->ops->run_each(world, jobs, n, at_once, arena);
		return;
	}
	for (size_t i = 0; i < n; i++)
		jobs[i].error = world_run(world, &jobs[i].command, arena, &jobs[i].outcome);
}

struct world *world_inside(struct world *world, const struct target *target, struct arena *arena, struct err *err)
{
	return world->ops->inside(world, target, arena, err);
}

int64_t world_now(struct world *world)
{
	return world->ops->now(world);
}

void world_close(struct world *world)
{
	if (world && world->ops->close)
		world->ops->close(world);
}

/* ---- helpers ---------------------------------------------------------- */

enum { PATH_ROOM = 4096 };

int world_attribute(struct world *world, struct arena *arena, const char **ret, const char *format, ...)
{
	char path[PATH_ROOM];
	va_list args;
	va_start(args, format);
	int size = vsnprintf(path, sizeof path, format, args);
	va_end(args);
	if (size < 0 || (size_t)size >= sizeof path)
		return ENAMETOOLONG;
	struct bytes content;
	int error = world_read(world, path, 0, arena, &content);
	if (!error)
		*ret = text_attribute(arena, content);
	return error;
}

static const char *last_part(struct arena *arena, const char *link)
{
	size_t end = strlen(link);
	while (end > 1 && link[end - 1] == '/')
		end--;
	size_t start = end;
	while (start && link[start - 1] != '/')
		start--;
	return arena_strndup(arena, link + start, end - start);
}

int world_link_name(struct world *world, struct arena *arena, const char **ret, const char *format, ...)
{
	char path[PATH_ROOM];
	va_list args;
	va_start(args, format);
	int size = vsnprintf(path, sizeof path, format, args);
	va_end(args);
	if (size < 0 || (size_t)size >= sizeof path)
		return ENAMETOOLONG;
	const char *link;
	int error = world_link(world, path, arena, &link);
	if (!error)
		*ret = last_part(arena, link);
	return error;
}

enum node_type world_node_type(unsigned mode)
{
	static const enum node_type types[] = { [S_IFREG >> 12] = NODE_FILE,
		[S_IFDIR >> 12] = NODE_DIR,
		[S_IFLNK >> 12] = NODE_LINK,
		[S_IFCHR >> 12] = NODE_CHAR,
		[S_IFBLK >> 12] = NODE_BLOCK,
		[S_IFIFO >> 12] = NODE_OTHER,
		[S_IFSOCK >> 12] = NODE_OTHER };
	size_t kind = mode >> 12 & 15;
	return kind < sizeof types / sizeof *types ? types[kind] : NODE_UNKNOWN;
}

enum tri world_exists(struct world *world, const char *path)
{
	struct world_stat stat;
	switch (world_stat(world, path, &stat)) {
	case 0:
		return YES;
	case ENOENT:
		return NO;
	default:
		return UNKNOWN;
	}
}

const char *world_why(int error)
{
	static const struct {
		int error;
		const char *why;
	} table[] = {
		{ ENOENT, "not there" },
		{ ENODATA, "not in the recording" },
		{ EACCES, "permission denied" },
		{ EPERM, "not permitted" },
		{ EFBIG, "larger than is read" },
		{ EINVAL, "not a thing that can be read" },
		{ ELOOP, "a loop of links" },
		{ ENOSYS, "this kernel is too old to read it safely (5.6 is needed)" },
		{ ETIMEDOUT, "no answer in time" },
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (table[i].error == error)
			return table[i].why;
	return strerror(error);
}

/* ---- this machine, or a folder used as a root ------------------------- */

struct root_state {
	int root, lock; /* -1: none */
};

static int root_of(struct world *world)
{
	return ((struct root_state *)world->state)->root;
}

/* In a partial tree absence proves nothing. */
static int seen(struct world *world, int error)
{
	return error == ENOENT && world->partial ? ENODATA : error;
}

static int root_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	return seen(world, file_read(root_of(world), path, max, arena, ret));
}

static int root_list(struct world *world, const char *path, struct arena *arena, struct words *ret)
{
	return seen(world, file_list(root_of(world), path, arena, ret));
}

static int root_link(struct world *world, const char *path, struct arena *arena, const char **ret)
{
	return seen(world, file_link(root_of(world), path, arena, ret));
}

static int root_stat(struct world *world, const char *path, struct world_stat *ret)
{
	return seen(world, file_stat(root_of(world), path, ret));
}

/* A device node in a folder names a device of this machine, not of the one it shows: it is never opened. */
static int root_probe_open(struct world *world, const char *path)
{
	return world->live ? file_probe_open(root_of(world), path) : ENODATA;
}

static int root_run(struct world *world, const struct command *command, struct arena *arena, struct outcome *ret)
{
	return world->live ? spawn_run(command, arena, ret) : ENODATA;
}

static void root_run_each(struct world *world, struct run_job *jobs, size_t n, unsigned at_once, struct arena *arena)
{
	if (world->live)
		spawn_run_each(jobs, n, at_once, arena);
	for (size_t i = 0; !world->live && i < n; i++)
		jobs[i].error = ENODATA;
}

static struct world *root_inside(struct world *world, const struct target *target, struct arena *arena, struct err *err)
{
	if (world->live)
		return remote_inside(target, arena, err);
	err_set(err, ERR_UNKNOWN, "%s is not in the recording", target->label);
	return NULL;
}

static int64_t root_now(struct world *world)
{
	return world->live ? (int64_t)time(NULL) : UNKNOWN_NUMBER;
}

static void root_close(struct world *world)
{
	struct root_state *state = world->state;
	file_close_scoped(&state->root);
	file_close_scoped(&state->lock);
	state->root = state->lock = -1;
}

static const struct world_ops root_ops = {
	.read = root_read,
	.list = root_list,
	.link = root_link,
	.stat = root_stat,
	.probe_open = root_probe_open,
	.run = root_run,
	.run_each = root_run_each,
	.inside = root_inside,
	.now = root_now,
	.close = root_close,
};

static int root_put(struct world *world, const char *path, struct bytes content, const struct world_owner *owner)
{
	return file_put(root_of(world), path, content, owner);
}

static int root_append(struct world *world, const char *path, struct bytes content)
{
	return file_append(root_of(world), path, content);
}

static int root_sync(struct world *world, const char *path)
{
	return file_sync(root_of(world), path);
}

static int root_settle(struct world *world, const char *path)
{
	return file_settle(root_of(world), path);
}

static int root_rename(struct world *world, const char *from, const char *to)
{
	return file_rename(root_of(world), from, to);
}

static int root_remove(struct world *world, const char *path)
{
	return file_remove(root_of(world), path);
}

static int root_mkdir(struct world *world, const char *path, unsigned mode)
{
	return file_mkdir(root_of(world), path, mode);
}

static int root_symlink(struct world *world, const char *target, const char *path)
{
	return file_symlink(root_of(world), target, path);
}

/* What a folder calls sysfs steers nothing. */
static int root_attribute(struct world *world, const char *path, const char *value, unsigned deadline_ms)
{
	return world->live ? file_attribute(root_of(world), path, value, deadline_ms) : ENODATA;
}

/* One lock a world; who has it may ask for it again (a run that fails rolls itself back). */
static int root_lock(struct world *world, const char *path)
{
	struct root_state *state = world->state;
	return state->lock >= 0 ? 0 : file_lock(state->root, path, &state->lock);
}

static const struct world_changes root_changes = {
	.put = root_put,
	.append = root_append,
	.sync = root_sync,
	.settle = root_settle,
	.rename = root_rename,
	.remove = root_remove,
	.mkdir = root_mkdir,
	.symlink = root_symlink,
	.attribute = root_attribute,
	.lock = root_lock,
};

struct world *world_open_root(const char *root, bool partial, struct arena *arena, struct err *err)
{
	int fd = file_open_root(root ? root : "/");
	if (fd < 0) {
		err_set(err, ERR_INPUT, "%s: %s", text_shown(arena, root ? root : "/"), strerror(-fd));
		return NULL;
	}
	struct root_state *state = arena_new(arena, struct root_state);
	*state = (struct root_state){ .root = fd, .lock = -1 };
	struct world *world = arena_new(arena, struct world);
	*world = (struct world){
		.ops = &root_ops,
		.label = "node",
		.state = state,
		.partial = root && partial,
		.live = !root,
	};
	return world;
}

struct world *world_open_writable(const char *root, struct arena *arena, struct err *err)
{
	struct world *world = world_open_root(root, false, arena, err);
	if (world)
		world->changes = &root_changes;
	return world;
}
