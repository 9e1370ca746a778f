/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A recorded machine made line by line, for tests of readers: files, links and the answers of commands.
 */
#pragma once
#include <errno.h>

#include "sys/tape.h"
#include "test.h"

struct taped {
	struct arena arena;
	struct tape *tape;
	struct tape_target *target;
	struct words blind; /* "errno what" */
};

static inline void taped_open(struct taped *taped)
{
	*taped = (struct taped){0};
	taped->tape = tape_new(&taped->arena, 1700000000);
	taped->target = tape_target(taped->tape, &taped->arena, "node");
}

static inline void taped_file(struct taped *taped, const char *path, const char *content)
{
	struct tape_entry *entry = tape_entry(taped->target, &taped->arena, path);
	entry->stat.type = NODE_FILE;
	entry->has_data = true;
	entry->data = arena_bytes(&taped->arena, content, strlen(content));
}

static inline void taped_bytes(struct taped *taped, const char *path, const void *data, size_t size)
{
	taped_file(taped, path, "");
	tape_entry(taped->target, &taped->arena, path)->data = arena_bytes(&taped->arena, data, size);
}

static inline void taped_link(struct taped *taped, const char *path, const char *to)
{
	struct tape_entry *entry = tape_entry(taped->target, &taped->arena, path);
	entry->stat.type = NODE_LINK;
	entry->link = to;
}

static inline void taped_error(struct taped *taped, const char *path, int error)
{
	tape_entry(taped->target, &taped->arena, path)->error = error;
}

static inline void taped_folder(struct taped *taped, const char *path)
{
	struct tape_entry *entry = tape_entry(taped->target, &taped->arena, path);
	entry->stat.type = NODE_DIR;
	entry->listed = true;
}

/* The command's words are blank-separated here. */
static inline void taped_run(struct taped *taped, const char *command, int status, const char *out, const char *err)
{
	struct words words = text_split(&taped->arena, command, " ");
	const char **argv = arena_alloc(&taped->arena, (words.n + 1) * sizeof *argv);
	memcpy(argv, words.word, words.n * sizeof *argv);
	struct command asked = { .argv = argv };
	struct tape_run *run = tape_run(taped->target, &taped->arena, &asked);
	run->error = status == 127 ? ENOENT : 0;
	run->outcome = (struct outcome){ .status = status, .out = bytes_of(out), .err = bytes_of(err) };
}

static inline void taped_blind(void *data, int error, const char *what)
{
	struct taped *taped = data;
	*arena_push(&taped->arena, taped->blind.word, taped->blind.n) = arena_printf(&taped->arena, "%d %s", error, what);
}

static inline bool taped_is_blind(const struct taped *taped, int error, const char *what)
{
	char wanted[512];
	snprintf(wanted, sizeof wanted, "%d %s", error, what);
	for (size_t i = 0; i < taped->blind.n; i++)
		if (strcmp(taped->blind.word[i], wanted) == 0)
			return true;
	return false;
}

/* complete: every folder is known as a whole, so that what has no line is absent. */
static inline struct world *taped_world(struct taped *taped, bool complete)
{
	struct err err = {0};
	if (complete)
		taped_folder(taped, "/");
	tape_sort(taped->target, &taped->arena);
	for (size_t i = 0; complete && i < taped->target->n; i++)
		if (taped->target->entries[i].stat.type == NODE_DIR || taped->target->entries[i].implied)
			taped->target->entries[i].listed = true;
	struct world *world = tape_world(taped->tape, "node", &taped->arena, &err);
	if (!world)
		fail_msg("%s", err.text);
	return world;
}
