/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "exec/command.h"

#include <errno.h>
#include <string.h>

/* The last line that is not empty: where programs say what went wrong. */
static const char *last_line(struct bytes text, struct arena *arena)
{
	const char *last = "";
	struct bytes line;
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		const char *plain = text_trimmed(arena, line);
		last = *plain ? plain : last;
	}
	return text_shown(arena, last);
}

/* shown: what an error calls it. */
static bool output_of(struct step_run *run, const char *shown, const char *const *argv, unsigned deadline_ms,
        struct arena *arena, struct bytes *ret)
{
	struct command command = { .argv = argv, .deadline_ms = deadline_ms };
	struct outcome outcome = { 0 };
	int error = world_run(run->exec->node, &command, arena, &outcome);
	if (error == ENOENT)
		return err_set(run->err, ERR_SYSTEM, "%s: there is no such program here", argv[0]);
	if (error)
		return err_errno(run->err, error, "%s", shown);
	if (outcome.timed_out)
		return err_set(run->err, ERR_SYSTEM, "%s: not done after %u seconds", shown, deadline_ms / 1000);
	const char *said = last_line(outcome.err, arena);
	if (outcome.status)
		return err_set(
		        run->err, ERR_SYSTEM, "%s: status %d%s%s", shown, outcome.status, *said ? ": " : "", said);
	*ret = outcome.out;
	return true;
}

bool exec_output(
        struct step_run *run, const char *const *argv, unsigned deadline_ms, struct arena *arena, struct bytes *ret)
{
	return output_of(run, text_sh_line(arena, argv), argv, deadline_ms, arena, ret);
}

bool exec_command(struct step_run *run, const char *const *argv, unsigned deadline_ms)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct bytes output;
	return exec_output(run, argv, deadline_ms, &scratch, &output);
}

bool exec_program(struct step_run *run, const char *name, const char *const *argv, unsigned deadline_ms)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct bytes output;
	return output_of(run, name, argv, deadline_ms, &scratch, &output);
}

bool exec_sync(struct step_run *run, const char *path)
{
	struct world *node = run->exec->node;
	int error = node->changes ? node->changes->sync(node, path) : EROFS;
	return !error || err_errno(run->err, error, "writing %s out to disk", path);
}

bool exec_settle(struct step_run *run, const char *path)
{
	struct world *node = run->exec->node;
	int error = node->changes ? node->changes->settle(node, path) : EROFS;
	return !error || err_errno(run->err, error, "settling %s on disk", path);
}
