/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inside the lab's machine: bind ADDRESS DRIVER gives a device to a driver by exec's own step, then back by its undo, and
 * says what the kernel has made of it each time.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exec/steps.h"

static void say(const char *what, bool well, const char *state, const struct err *err)
{
	printf("%s %s %s%s%s\n", what, well ? "ok" : err->kind == ERR_TIMEOUT ? "stuck" : "failed", *state ? state : "none",
	        well ? "" : ": ", well ? "" : err->text);
	fflush(stdout);
}

static const char *state_of(struct step_run *run, struct arena *arena)
{
	const char *state = "unread";
	struct err ignored = { 0 };
	struct step_run quiet = { run->exec, run->step, run->folder, &ignored };
	step_bind.state(&quiet, arena, &state);
	return state;
}

int main(int argc, char **argv)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	if (argc != 3)
		return 2;
	struct exec exec = { .node = world_open_writable(NULL, &arena, &err), .arena = &arena };
	struct step step = { .kind = "bind", .on = "node", .key = argv[1], .to = argv[2] };
	struct step_run run = { &exec, &step, "/tmp", &err };
	if (!exec.node) {
		say("open", false, "", &err);
		return 1;
	}
	const char *old = state_of(&run, &arena), *blob = "/tmp/old";
	say("before", true, old, &err);
	bool well = (!step_bind.save || step_bind.save(&run, blob)) && step_bind.apply(&run);
	/* a task that hangs in the kernel would keep us from reading on */
	say("apply", well, err.kind == ERR_TIMEOUT ? "unread" : state_of(&run, &arena), &err);
	if (!well)
		return 1;
	well = step_bind.undo(&run, old, blob);
	say("undo", well, state_of(&run, &arena), &err);
	return well ? 0 : 1;
}
