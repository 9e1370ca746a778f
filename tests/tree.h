/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A machine for a test, as a tape in memory: what is not put there is known to be absent.
 */
#pragma once
#include <errno.h>

#include "sys/tape.h"
#include "test.h"

struct tree {
	struct arena *arena;
	struct tape *tape;
	struct tape_target *node;
};

static inline struct tape_entry *tree_entry(struct tree *tree, const char *path, enum node_type type)
{
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		struct tape_entry *above = tape_entry(tree->node, tree->arena,
			arena_strndup(tree->arena, path, (size_t)(slash - path)));
		if (above->stat.type == NODE_UNKNOWN)
			above->stat.type = NODE_DIR;
		above->listed = above->stat.type == NODE_DIR;
	}
	struct tape_entry *entry = tape_entry(tree->node, tree->arena, arena_strdup(tree->arena, path));
	entry->stat.type = type;
	entry->stat.mtime = UNKNOWN_NUMBER;
	return entry;
}

static inline struct tape_entry *tree_bytes(struct tree *tree, const char *path, struct bytes data)
{
	struct tape_entry *entry = tree_entry(tree, path, NODE_FILE);
	entry->has_data = true;
	entry->data = data;
	entry->stat.size = data.size;
	return entry;
}

static inline struct tape_entry *tree_file(struct tree *tree, const char *path, const char *text)
{
	return tree_bytes(tree, path, bytes_of(text));
}

static inline void tree_link(struct tree *tree, const char *path, const char *target)
{
	tree_entry(tree, path, NODE_LINK)->link = target;
}

static inline void tree_directory(struct tree *tree, const char *path)
{
	tree_entry(tree, path, NODE_DIR)->listed = true;
}

static inline void tree_error(struct tree *tree, const char *path, int error)
{
	tree_entry(tree, path, NODE_FILE)->error = error;
}

static inline void tree_run(struct tree *tree, const char *const *argv, int status, const char *output)
{
	struct command command = { .argv = argv };
	struct tape_run *run = tape_run(tree->node, tree->arena, &command);
	run->outcome.status = status;
	run->outcome.out = bytes_of(output);
}

static inline struct tree tree_new(struct arena *arena)
{
	struct tree tree = { .arena = arena, .tape = tape_new(arena, 1700000000) };
	tree.node = tape_target(tree.tape, arena, "node");
	tree_directory(&tree, "/");
	return tree;
}

static inline struct world *tree_world(struct tree *tree)
{
	struct err err = {0};
	tape_sort(tree->node, tree->arena);
	struct world *world = tape_world(tree->tape, "node", tree->arena, &err);
	if (!world)
		fail_msg("%s", err.text);
	return world;
}

/* A blind_fn that notes everything as "path: why; ". */
struct blinds {
	struct arena *arena;
	const char *text;
	size_t n;
};

static inline void tree_blind(void *data, int error, const char *what)
{
	struct blinds *blinds = data;
	blinds->text = arena_printf(blinds->arena, "%s%s: %s; ", blinds->text ? blinds->text : "", what, world_why(error));
	blinds->n++;
}
