/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once
#include "exec/exec.h"

/* Runs a command of the node for a step. False with err: it could not be run, did not end in time, or its status is not
 * 0; err then says what it said last. A command that does not end in time is ended, so this is no ERR_TIMEOUT. */
bool exec_command(struct step_run *run, const char *const *argv, unsigned deadline_ms);
/* The same, called so in an error: its words are a whole program. */
bool exec_program(struct step_run *run, const char *name, const char *const *argv, unsigned deadline_ms);
/* The same, and what it wrote. */
bool exec_output(
        struct step_run *run, const char *const *argv, unsigned deadline_ms, struct arena *arena, struct bytes *ret);
/* What a command has made at this path is on disk. */
bool exec_sync(struct step_run *run, const char *path);
/* And GRUB finds it, which reads a file system without its journal. */
bool exec_settle(struct step_run *run, const char *path);
