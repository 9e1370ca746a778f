/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The answer of a machine that is not ours: anything may come.
 */
#include <stdint.h>
#include <string.h>

#include "sys/wants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char start[] = "@gpuferry-frames 1 base64\n";
	struct arena arena ARENA_SCOPED = {0};
	struct err err = {0};
	char *stream = arena_alloc(&arena, size + sizeof start);
	memcpy(stream, start, sizeof start - 1);
	memcpy(stream + sizeof start - 1, data, size);
	struct tape_target *target = tape_target(tape_new(&arena, 0), &arena, "there");
	wants_parse((struct bytes){ stream, size + sizeof start - 1 }, NULL, target, &arena, &err);
	tape_sort(target, &arena);
	return 0;
}
