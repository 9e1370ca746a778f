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

/* A long one, read while it runs. */
struct spawned;
/* Loads a program before it is known what it shall do: it waits in front of its first step, and ends with us. library:
 * ahead.so (ahead.h), in a path without blanks, colons and dollars. 0 or errno. Both have to last. */
int spawn_load(const char *program, const char *library, struct arena *arena, struct spawned **ret);
/* Begins it, as above but without an input and a deadline. Should this program be killed, it ends too. 0 or errno.
 * loaded: one that may be told these arguments where its program is argv[0]; NULL, or of NULL: none. It is NULL afterwards:
 * one that is another program, or does not wait within two seconds (as it is linked statically, or has capabilities of its
 * own), is ended. */
int spawn_begin(const char *const *argv, struct spawned **loaded, struct arena *arena, struct spawned **ret);
/* Others go before it where the processors do not do for all. */
void spawn_yield(const struct spawned *spawned);
/* It and what it started rest, and go on. */
void spawn_rest(const struct spawned *spawned, bool rests);
/* Waits until one of them says something or has ended, `wake` can be read (-1: none), or the time is over. A NULL in
 * the list is nobody. */
void spawn_wait(struct spawned *const *list, size_t n, int wake, unsigned ms);
/* The next whole line of its standard output, without its end; valid until the next call. False: none is there yet. */
bool spawn_line(struct spawned *spawned, struct bytes *ret);
/* What it said on standard error until then, of much the beginning and the end; valid until the next wait. Whoever looks
 * after each wait misses nothing, and has seen what was said before a line when the line can be taken. */
struct bytes spawn_said(const struct spawned *spawned);
/* It has ended, and all its lines were taken. */
bool spawn_ended(const struct spawned *spawned);
/* Ends its whole group where it still runs; what it said on standard error comes back, of much the beginning and the
 * end. *spawned is NULL afterwards; NULL before: nothing happens. */
void spawn_end(struct spawned **spawned, struct arena *arena, struct outcome *ret);
