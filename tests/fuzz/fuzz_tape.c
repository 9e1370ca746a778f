/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A tape that someone sent. The first byte chooses: the whole tar, or only the lines of its entries, which would
 * seldom be reached behind a tar's checksums. What loads is asked for everything in it.
 */
#include <stdint.h>
#include <unistd.h>

#include "sys/tape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct world *world, const char *path, unsigned depth, struct arena *arena)
{
	struct words names = { 0 };
	struct bytes bytes;
	struct world_stat stat;
	const char *link;
	world_read(world, path, 0, arena, &bytes);
	world_stat(world, path, &stat);
	world_link(world, path, arena, &link);
	world_read(world, arena_printf(arena, "%s/../x/./..//y", path), 0, arena, &bytes);
	if (depth == 0 || world_list(world, path, arena, &names))
		return;
	for (size_t i = 0; i < names.n && i < 8; i++)
		walk(world, arena_printf(arena, "%s/%s", path, names.word[i]), depth - 1, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct tape *tape = NULL;
	if (size == 0)
		return 0;
	struct bytes input = arena_bytes(&arena, data + 1, size - 1);
	bool loaded;
	if (data[0] & 1) {
		tape = tape_new(&arena, 0);
		loaded = tape_parse_entries(input, "input", tape_target(tape, &arena, "node"), &arena, &err);
	} else {
		loaded = tape_load_bytes(input, "input", &arena, &err, &tape);
	}
	struct world *world = loaded ? tape_world(tape, "node", &arena, &err) : NULL;
	if (!world)
		return 0;
	walk(world, "/", 4, &arena);
	struct tape_target *node = tape_target(tape, &arena, "node");
	for (size_t i = 0; i < node->n && i < 100; i++)
		walk(world, node->entries[i].path, 1, &arena);
	return 0;
}
