/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A machine's text and a goal's words, made into what a plan is built from.
 */
#pragma once
#include "plan/plan.h"
#include "rehearse/machine.h"
#include "sys/tape.h"
#include "test.h"

static inline struct facts *planned_facts(struct arena *arena, const char *machine, const struct facts_want *want)
{
	struct err err = { 0 };
	struct tape *tape = NULL;
	if (!machine_parse(bytes_of(machine), "machine", machine_builtin_text, NULL, arena, &err, &tape))
		fail_msg("%s (%s)", err.text, err.hint);
	struct world *world = tape_world(tape, "node", arena, &err);
	if (!world)
		fail_msg("%s", err.text);
	return facts_gather(world, want, arena);
}

/* "gpu=nvidia into=vm/100" */
static inline struct goal planned_goal(struct arena *arena, const char *text)
{
	struct goal goal;
	struct err err = { 0 };
	goal_init(&goal);
	struct words words = text_split(arena, text, " ");
	for (size_t i = 0; i < words.n; i++) {
		char *key = arena_strdup(arena, words.word[i]), *value = strchr(key, '=');
		*value++ = '\0';
		if (!goal_set(&goal, key, value, arena, &err))
			fail_msg("%s", err.text);
	}
	return goal;
}
