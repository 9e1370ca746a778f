/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A machine as a table, for tests of readers: path and content, "-> target" for a link, "!13" for an errno, "=c 660 0
 * 44 226 128" for a device node (octal mode, uid, gid, major, minor). Folders follow from what is below them; a
 * folder's own line may give the errno of listing it. Links are not followed: write what a reader asks for. What no
 * line names is ENOENT, or ENODATA in a partial machine. Blind spots are kept as "errno what".
 */
#pragma once
#include <errno.h>
#include <stdio.h>

#include "sys/world.h"
#include "test.h"

struct fake_line {
	const char *path, *content;
};

struct fake {
	struct world world;
	const struct fake_line *line;
	size_t n;
	struct arena arena;
	struct words blind;
	size_t asked;
};

static const char *fake_content(struct world *world, const char *path)
{
	struct fake *fake = world->state;
	fake->asked++;
	for (size_t i = 0; i < fake->n; i++)
		if (strcmp(fake->line[i].path, path) == 0)
			return fake->line[i].content;
	return NULL;
}

static int fake_absent(struct world *world)
{
	return world->partial ? ENODATA : ENOENT;
}

static int fake_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	const char *content = fake_content(world, path);
	if (!content)
		return fake_absent(world);
	if (content[0] == '!')
		return atoi(content + 1);
	if (strlen(content) > max)
		return EFBIG;
	*ret = arena_bytes(arena, content, strlen(content));
	return 0;
}

static int fake_compare(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static int fake_list(struct world *world, const char *path, struct arena *arena, struct words *ret)
{
	struct fake *fake = world->state;
	const char *content = fake_content(world, path);
	struct words all = { 0 }, words = { 0 };
	if (content && content[0] == '!')
		return atoi(content + 1);
	size_t size = strlen(path);
	for (size_t i = 0; i < fake->n; i++) {
		const char *below = fake->line[i].path;
		if (strncmp(below, path, size) == 0 && below[size] == '/')
			*arena_push(arena, all.word, all.n) =
			        arena_strndup(arena, below + size + 1, strcspn(below + size + 1, "/"));
	}
	if (!all.n && !content)
		return fake_absent(world);
	if (all.n)
		qsort(all.word, all.n, sizeof *all.word, fake_compare);
	for (size_t i = 0; i < all.n; i++)
		if (!i || strcmp(all.word[i], all.word[i - 1]) != 0)
			*arena_push(arena, words.word, words.n) = all.word[i];
	*ret = words;
	return 0;
}

static int fake_link(struct world *world, const char *path, struct arena *arena, const char **ret)
{
	const char *content = fake_content(world, path);
	if (!content)
		return fake_absent(world);
	if (content[0] == '!')
		return atoi(content + 1);
	if (strncmp(content, "-> ", 3) != 0)
		return EINVAL;
	*ret = arena_strdup(arena, content + 3);
	return 0;
}

static int fake_stat(struct world *world, const char *path, struct world_stat *ret)
{
	struct words below;
	const char *content = fake_content(world, path);
	*ret = (struct world_stat){ .type = NODE_FILE, .mode = 0644, .mtime = UNKNOWN_NUMBER };
	if (content && content[0] == '!')
		return atoi(content + 1);
	if (content && content[0] == '=') {
		ret->type = NODE_CHAR;
		return sscanf(content, "=c %o %u %u %u %u", &ret->mode, &ret->uid, &ret->gid, &ret->major,
		               &ret->minor) == 5
		               ? 0
		               : EINVAL;
	}
	if (content)
		return 0;
	ret->type = NODE_DIR;
	return fake_list(world, path, &((struct fake *)world->state)->arena, &below);
}

static const struct world_ops fake_ops = { .read = fake_read, .list = fake_list, .link = fake_link, .stat = fake_stat };

static inline void fake_blind(void *data, int error, const char *what)
{
	struct fake *fake = data;
	*arena_push(&fake->arena, fake->blind.word, fake->blind.n) = arena_printf(&fake->arena, "%d %s", error, what);
}

static struct world *fake_open(struct fake *fake, const struct fake_line *line, size_t n, bool partial, bool live)
{
	*fake = (struct fake){ .line = line, .n = n };
	fake->world =
	        (struct world){ .ops = &fake_ops, .label = "node", .state = fake, .partial = partial, .live = live };
	return &fake->world;
}

static inline bool fake_is_blind(const struct fake *fake, int error, const char *what)
{
	char wanted[512];
	snprintf(wanted, sizeof wanted, "%d %s", error, what);
	for (size_t i = 0; i < fake->blind.n; i++)
		if (strcmp(fake->blind.word[i], wanted) == 0)
			return true;
	return false;
}
