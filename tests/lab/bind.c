/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inside the lab's machine: bind DRIVER ADDRESS... [-- COMMAND...] gives devices to a driver by exec's own step, one
 * after another; when all are there it runs the command; then it gives them back by the step's undo, the last first.
 * Says each time what the kernel has made of it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/steps.h"

struct given {
	struct step step;
	const char *old, *blob;
};

static void say(const char *what, const struct step *step, bool well, const char *state, const struct err *err)
{
	printf("%s %s %s %s%s%s\n", what, step->key,
	        well                       ? "ok"
	        : err->kind == ERR_TIMEOUT ? "stuck"
	                                   : "failed",
	        *state ? state : "none", well ? "" : ": ", well ? "" : err->text);
	fflush(stdout);
}

/* A task that hangs in the kernel would keep us from reading on. */
static const char *state_of(struct exec *exec, const struct step *step, const struct err *err)
{
	const char *state = "unread";
	struct err ignored = { 0 };
	struct step_run quiet = { exec, step, "/tmp", &ignored };
	if (err->kind != ERR_TIMEOUT)
		step_bind.state(&quiet, exec->arena, &state);
	return state;
}

static bool give(struct exec *exec, struct given *given, struct err *err)
{
	struct step_run run = { exec, &given->step, "/tmp", err };
	given->old = state_of(exec, &given->step, err);
	say("before", &given->step, true, given->old, err);
	bool well = step_bind.save(&run, given->blob) && step_bind.apply(&run);
	say("apply", &given->step, well, state_of(exec, &given->step, err), err);
	return well;
}

static bool take_back(struct exec *exec, struct given *given, struct err *err)
{
	struct step_run run = { exec, &given->step, "/tmp", err };
	bool well = step_bind.undo(&run, given->old, given->blob);
	say("undo", &given->step, well, state_of(exec, &given->step, err), err);
	return well;
}

static bool run_command(char **argv)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(int argc, char **argv)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct given given[16];
	int n = 0, held = 0;
	while (n + 2 < argc && n < 16 && strcmp(argv[n + 2], "--") != 0) {
		char *address = argv[n + 2];
		given[n++] = (struct given){ .step = { .kind = "bind", .on = "node", .key = address, .to = argv[1] },
			.blob = arena_printf(&arena, "/tmp/%d-%s", (int)getpid(), address) };
	}
	if (!n)
		return 2;
	struct exec exec = { .node = world_open_writable(NULL, &arena, &err), .arena = &arena };
	bool well = exec.node;
	while (well && held < n && (well = give(&exec, &given[held], &err)))
		held++;
	if (well && n + 3 < argc)
		well = run_command(argv + n + 3);
	/* after a hang nothing more is written; one that failed has put itself back */
	while (held && err.kind != ERR_TIMEOUT) {
		struct err undo = { 0 };
		well &= take_back(&exec, &given[--held], &undo);
		err = undo;
	}
	return well ? 0 : 1;
}
