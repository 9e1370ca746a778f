/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the journal costs, on a real disk: bench_exec FOLDER STEPS [keep] applies a plan of that many small files below
 * FOLDER (taken as a machine's root), takes it back unless it shall be kept, and writes as many files without a journal.
 * Prints one line of numbers: steps, then milliseconds of apply, of rollback, of the files alone. For tests/bench.sh.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "exec/exec.h"

static struct plan the_plan;

static void build(const struct facts *facts, const struct goal *goal, struct arena *arena, struct plan *ret)
{
	(void)facts, (void)goal, (void)arena;
	*ret = the_plan;
}

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int fail(const char *what, const struct err *err)
{
	fprintf(stderr, "bench_exec: %s: %s\n", what, err->text);
	return 1;
}

int main(int argc, char **argv)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	uint64_t n;
	bool keep = argc == 4 && strcmp(argv[3], "keep") == 0;
	if ((argc != 3 && !keep) || !text_number(argv[2], 10, 10000, &n)) {
		fputs("usage: bench_exec FOLDER STEPS [keep]\n", stderr);
		return 2;
	}
	struct world *node = world_open_writable(argv[1], &arena, &err);
	if (!node)
		return fail("opening", &err);
	struct goal goal;
	goal_init(&goal);
	the_plan = (struct plan){ .gpu = "0000:01:00.0", .guest = "vm/100", .digest = "d", .facts_digest = "f",
		.goal = "gpu: auto\ninto: vm/100\n", .confirm_seconds = UNKNOWN_NUMBER };
	for (uint64_t i = 0; i < n; i++)
		*arena_push(&arena, the_plan.steps, the_plan.n) = (struct step){ .kind = "file", .on = "node",
			.key = arena_printf(&arena, "/etc/journalled-%llu", (unsigned long long)i), .from = NONE,
			.to = "options vfio-pci ids=10de:2803\n", .because = "vm.hostpci", .title = "a file",
			.mode = 0644, .undo = UNDO_EXACT };
	struct exec exec = { .node = node, .arena = &arena, .build = build, .in_window = true };
	const char *run;
	struct words left = { 0 };

	double began = now_ms();
	if (exec_apply(&exec, &the_plan, &goal, &err, &run) != EXEC_DONE)
		return fail("apply", &err);
	double applied = now_ms();
	if (!keep && exec_rollback(&exec, NULL, false, &err, &left) != EXEC_DONE)
		return fail("rollback", &err);
	double taken_back = now_ms();
	static const struct world_owner owner = { 0644, 0, 0 };
	for (uint64_t i = 0; i < n; i++) {
		const char *path = arena_printf(&arena, "/etc/plain-%llu", (unsigned long long)i), *to = the_plan.steps[i].to;
		int error = world_write(node, path, (struct bytes){ to, strlen(to) }, &owner);
		if (error)
			return fail("writing", (err_errno(&err, error, "%s", path), &err));
	}
	double written = now_ms();
	printf("%llu %.3f %.3f %.3f\n", (unsigned long long)n, applied - began, taken_back - applied, written - taken_back);
	world_close(node);
	return 0;
}
