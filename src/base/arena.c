/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16, BLOCK_SIZE = 64 * 1024 };

struct arena_block {
	struct arena_block *before;
	size_t used, size;
	_Alignas(ALIGNMENT) char data[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
	if (size > SIZE_MAX / 2)
		abort();
	size_t need = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (need == 0)
		need = ALIGNMENT;
	struct arena_block *block = arena->last;
	if (!block || block->size - block->used < need) {
		size_t room = need > BLOCK_SIZE ? need : BLOCK_SIZE;
		/* malloc, not calloc: zeroed piece by piece below, so that a page nobody uses costs nothing */
		block = malloc(sizeof *block + room);
		if (!block) {
			fputs("gpuferry: out of memory\n", stderr);
			abort();
		}
		block->used = 0;
		block->size = room;
		/* a piece that fills its own block goes behind the open one, whose rest stays usable */
		if (arena->last && need > BLOCK_SIZE / 2) {
			block->before = arena->last->before;
			arena->last->before = block;
		} else {
			block->before = arena->last;
			arena->last = block;
		}
	}
	void *piece = block->data + block->used;
	block->used += need;
	return memset(piece, 0, need);
}

char *arena_strndup(struct arena *arena, const char *text, size_t size)
{
	char *copy = arena_alloc(arena, size + 1);
	memcpy(copy, text, size);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return text ? arena_strndup(arena, text, strlen(text)) : NULL;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int size = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (size < 0)
		abort();
	char *text = arena_alloc(arena, (size_t)size + 1);
	vsnprintf(text, (size_t)size + 1, format, args);
	return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_vprintf(arena, format, args);
	va_end(args);
	return text;
}

struct bytes arena_bytes(struct arena *arena, const void *data, size_t size)
{
	return (struct bytes){ arena_strndup(arena, data, size), size };
}

void *arena_grow_(struct arena *arena, void *array, size_t count, size_t size)
{
	/* the room is the next power of two: full exactly when the count is one */
	if (array && (count & (count - 1)) != 0)
		return array;
	size_t room = count ? count * 2 : 1;
	void *grown = arena_alloc(arena, room * size);
	if (array && count)
		memcpy(grown, array, count * size);
	return grown;
}

void arena_release(struct arena *arena)
{
	for (struct arena_block *block = arena->last, *before; block; block = before) {
		before = block->before;
		free(block);
	}
	arena->last = NULL;
}
