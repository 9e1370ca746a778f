/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which runs there are, and how far each came.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exec/run.h"

static void count(const struct journal *journal, struct arena *arena, struct run *ret)
{
	for (size_t i = 0; i < journal->plan.n; i++) {
		const struct journal_step *step = &journal->steps[i];
		ret->done += step->done;
		ret->undone += step->undone;
		if (step->left)
			*arena_push(arena, ret->left.word, ret->left.n) = run_step_name(&journal->plan.steps[i], arena);
	}
}

static struct run summary(struct world *node, const char *id, struct arena *arena)
{
	struct run run = { .id = id, .state = "damaged", .began = UNKNOWN_NUMBER };
	struct journal journal;
	struct err err = { 0 };
	if (!journal_open(node, id, arena, &err, &journal)) {
		run.why = arena_strdup(arena, err.text);
		return run;
	}
	run.state = journal.state;
	run.why = journal.why;
	run.gpu = journal.plan.gpu;
	run.guest = journal.plan.guest;
	run.began = journal.began;
	run.steps = journal.plan.n;
	count(&journal, arena, &run);
	return run;
}

static int later_first(const void *left, const void *right)
{
	return text_version_compare(*(const char *const *)right, *(const char *const *)left);
}

bool exec_runs(struct world *node, struct arena *arena, struct err *err, struct runs *ret)
{
	struct words there = { 0 };
	struct runs runs = { 0 };
	int error = world_list(node, JOURNAL_RUNS, arena, &there);
	if (error && error != ENOENT)
		return err_errno(err, error, "listing %s", JOURNAL_RUNS);
	if (there.n)
		qsort(there.word, there.n, sizeof *there.word, later_first);
	for (size_t i = 0; i < there.n; i++) {
		/* a folder without a journal was cut off while it was made */
		const char *journal = arena_printf(arena, "%s/%s/journal", JOURNAL_RUNS, there.word[i]);
		if (journal_is_id(there.word[i]) && world_exists(node, journal) != NO)
			*arena_push(arena, runs.run, runs.n) = summary(node, there.word[i], arena);
	}
	*ret = runs;
	return true;
}

static bool is_ended(const struct run *run)
{
	return journal_ended(&(struct journal){ .state = run->state });
}

const struct run *exec_open_run(const struct runs *runs)
{
	for (size_t i = 0; i < runs->n; i++)
		if (!is_ended(&runs->run[i]) && strcmp(runs->run[i].state, "damaged") != 0)
			return &runs->run[i];
	return NULL;
}
