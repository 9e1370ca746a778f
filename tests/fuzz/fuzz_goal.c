/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/goal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ARENA_SCOPED struct arena arena = { 0 };
	struct err err = { 0 };
	struct goal goal;
	struct bytes text = arena_bytes(&arena, data, size);
	if (!goal_parse(text, "fuzz", &arena, &err, &goal) && (err.kind != ERR_USAGE || !text_starts(err.text, "fuzz:")))
		abort();
	for (const struct goal_key *key = goal_keys; key->name; key++) {
		goal_init(&goal);
		goal_set(&goal, key->name, text.data, &arena, &err);
	}
	return 0;
}
