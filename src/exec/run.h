/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inside exec: one run in hand, and what apply, going on and rolling back share.
 */
#pragma once
#include "exec/exec.h"
#include "exec/journal.h"
#include "exec/steps.h"

struct running {
	struct exec *exec;
	struct journal journal;
	struct err *err;
	bool stuck; /* the kernel hangs: nothing more is written */
};

/* "/etc/modprobe.d/vfio.conf", "vm/100 hostpci0" */
const char *run_step_name(const struct step *step, struct arena *arena);
void run_event(const struct running *running, enum exec_what what, size_t step, const char *text);
void run_note(const struct running *running, const char *text); /* EXEC_NOTE */
bool run_journal(struct running *running, enum journal_note note, size_t step, const char *value);
struct step_run run_of(const struct running *running, size_t step);
bool run_state(const struct running *running, size_t step, const char **ret);
bool run_is(const struct step *step, const char *kind);

/* The lock of all changing verbs, held until the world is closed. ERR_LOCKED: another has it. */
bool run_lock(struct exec *exec, struct err *err);
/* This boot's id; ERR_UNKNOWN. */
bool run_boot_id(struct exec *exec, struct err *err, const char **ret);

/* From the first step that is not done to a barrier or the end; past the gates already. */
enum exec_end run_steps(struct running *running);
/* One step: noted, made, read again, noted. */
bool run_step(struct running *running, size_t step);
/* Takes back every step that was begun. state: how the run is called behind it ("reverted", "rolled-back"); with
 * something left it is "left". EXEC_DONE, EXEC_LEFT, EXEC_STUCK, EXEC_FAILED. */
enum exec_end run_back(struct running *running, const char *state, const char *why);
/* One step of it. False: it could not be taken back (err). */
bool run_back_step(struct running *running, size_t step);
/* The run is over: its state, the mark, the link that would revert it. */
bool run_end(struct running *running, const char *state);
