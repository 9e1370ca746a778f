/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Plans on whole machines, as text; and what must hold of every plan on every machine.
 */
#include "plan/plan.h"
#include "plan/route.h"
#include "rehearse/machine.h"
#include "test.h"

struct made {
	struct arena *arena;
	struct facts *facts;
	struct goal goal;
	struct plan plan;
};

static struct facts *facts_of(struct arena *arena, const char *machine)
{
	struct err err = { 0 };
	struct tape *tape = NULL;
	static const struct facts_want want = { .depth = FACTS_ALL | FACTS_OLD_KERNELS };
	if (!machine_parse(bytes_of(machine), "machine", machine_builtin_text, NULL, arena, &err, &tape))
		fail_msg("%s (%s)", err.text, err.hint);
	struct world *world = tape_world(tape, "node", arena, &err);
	if (!world)
		fail_msg("%s", err.text);
	return facts_gather(world, &want, arena);
}

/* "gpu=nvidia into=vm/100" */
static struct goal goal_of(struct arena *arena, const char *text)
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

static struct made made(struct arena *arena, const char *machine, const char *goal)
{
	struct made made = { .arena = arena, .facts = facts_of(arena, machine), .goal = goal_of(arena, goal) };
	plan_build(made.facts, &made.goal, arena, &made.plan);
	return made;
}

static const char *brief(struct arena *arena, const char *value)
{
	if (!value)
		return "?";
	if (!*value)
		return "none";
	const char *end = strchr(value, '\n');
	if (end)
		return arena_printf(arena, "%.*s... (%zu bytes)", (int)(end - value), value, strlen(value));
	const char *sum = strstr(value, "sha256:");
	if (sum && strlen(sum) > 20 && sum == value)
		return arena_printf(arena, "%.12s", value);
	return value;
}

/* One line per step, as the goldens have it. */
static const char *shown(struct arena *arena, const struct plan *plan)
{
	const char *text = arena_printf(arena, "reboots %u\n", plan->reboots);
	for (size_t i = 0; i < plan->n_guest_stops; i++)
		text = arena_printf(arena, "%sstops %s\n", text, plan->guest_stops[i].id);
	for (size_t i = 0; i < plan->n; i++) {
		const struct step *step = &plan->steps[i];
		text = arena_printf(arena, "%s%s %s %s: %s -> %s (%s)%s\n", text, step->kind, step->on, step->key,
		        brief(arena, step->from), brief(arena, step->to), step->because,
		        step->temporary ? " temporary" : "");
	}
	for (size_t i = 0; i < plan->n_gates; i++)
		text = arena_printf(arena, "%sgate %s\n", text, plan->gates[i].rule);
	for (size_t i = 0; i < plan->n_refused; i++)
		text = arena_printf(arena, "%srefused %s: %s\n", text, plan->refused[i].rule, plan->refused[i].why);
	return text;
}

/* ---- whole plans ---- */

static const struct golden {
	const char *machine, *goal, *plan;
} goldens[] = {
	{ "base amd-4060ti\n", "gpu=nvidia into=vm/100",
	        "reboots 0\n"
	        "stops vm/100\n"
	        "power vm/100 state: running -> stopped (vm.hostpci)\n"
	        "config vm/100 hostpci0: none -> 0000:01:00 (vm.hostpci)\n"
	        "config vm/100 balloon: none -> 0 (vm.balloon)\n"
	        "power vm/100 state: stopped -> running (vm.hostpci)\n" },
	{ "base amd-4060ti-ready\n", "gpu=nvidia into=vm/100", "reboots 0\n" },
	{ "base pve9-mapping\n", "gpu=nvidia into=vm/100", "reboots 0\n" },
};

static void whole_plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(goldens); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct made one = made(&arena, goldens[i].machine, goldens[i].goal);
		const char *text = shown(&arena, &one.plan);
		if (strcmp(text, goldens[i].plan) != 0)
			fail_msg("%s%s: the plan is\n%s\nand not\n%s", goldens[i].machine, goldens[i].goal, text,
			        goldens[i].plan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(whole_plans) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
