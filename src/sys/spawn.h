/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once
#include "sys/hop.h"

/* Runs a command here, in its own process group, without a shell, with a clean environment (PATH, LC_ALL=C, HOME,
 * and SSH_AUTH_SOCK for ssh). 0: it ran (see status); ENOENT: no such program; else errno.
 * Past the deadline or the output cap the whole group is ended. */
int spawn_run(const struct command *command, struct arena *arena, struct outcome *ret);
/* Several beside each other, at most at_once of them (1 to SPAWN_AT_ONCE_MAX), begun in their order; each with its own
 * deadline, counted from its own begin. Fills error and outcome of each. */
enum { SPAWN_AT_ONCE_MAX = 16 };
void spawn_run_each(struct run_job *jobs, size_t n, unsigned at_once, struct arena *arena);
