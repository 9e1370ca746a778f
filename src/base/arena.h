/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One arena per verb run: what is allocated in it lives until the run ends, so
 * nothing else is freed by hand. Running out of memory ends the program.
 */
#pragma once
#include <stdarg.h>
#include <stddef.h>

struct arena {
	struct arena_block *last;
};

/* A piece of memory that is not a C string: it may hold zero bytes. There is
 * always one more zero byte behind it, so text can be used as a string. */
struct bytes {
	const char *data;
	size_t size;
};

/* Zeroed memory, aligned for anything. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);
char *arena_strdup(struct arena *arena, const char *text); /* NULL gives NULL */
char *arena_strndup(struct arena *arena, const char *text, size_t size);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
struct bytes arena_bytes(struct arena *arena, const void *data, size_t size);

/* Frees everything; the arena is empty and may be used again. */
void arena_release(struct arena *arena);

#define arena_new(arena, type) ((type *)arena_alloc((arena), sizeof(type)))

/* Makes room for one more element in a counted array { type *items; size_t n; } and
 * yields a pointer to the new, zeroed element. Growing copies; old copies stay in the arena. */
#define arena_push(arena, array, count)                                                                                \
	((array) = arena_grow_((arena), (array), (count), sizeof *(array)), &(array)[(count)++])
void *arena_grow_(struct arena *arena, void *array, size_t count, size_t size);

/* scoped: struct arena a __attribute__((cleanup(arena_release))) = {0}; */
#define ARENA_SCOPED __attribute__((cleanup(arena_release)))
