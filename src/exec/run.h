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
bool run_is_barrier(const struct step *step);

/* The lock of all changing verbs, held until the world is closed. ERR_LOCKED: another has it. */
bool run_lock(struct exec *exec, struct err *err);
/* This boot's id; ERR_UNKNOWN. */
bool run_boot_id(struct exec *exec, struct err *err, const char **ret);

/* Does what is still to be done interrupt nobody, or may it? */
bool run_policy(const struct exec *exec, const struct journal *journal, struct err *err);
/* Notes the old state of a step and saves what its undo needs. */
bool run_save(struct running *running, size_t step);
/* From the first step that is not done to a barrier or the end; the gates have been asked. A step that fails turns the
 * run back. */
enum exec_end run_steps(struct running *running);
/* What that does; err says what failed. */
enum exec_end run_turn_back(struct running *running);
/* Steps that were done and are not any more, because a boot resets them or a power cut took them: to be done again. */
bool run_find_lost(struct running *running);
/* Reboots, where that is ours to do. */
void run_reboot(struct running *running);
/* Takes back every step that was begun. state: how the run is called behind it ("reverted", "rolled-back"); with
 * something left it is "left". EXEC_DONE, EXEC_LEFT, EXEC_STUCK, EXEC_FAILED. */
enum exec_end run_back(struct running *running, const char *state, const char *why);
/* One step of it. False: it could not be taken back (err). */
bool run_back_step(struct running *running, size_t step);
/* May anything be written? Not while the kernel hangs (err). */
bool run_is_free(struct running *running);
/* The run is over: its state, the mark, the link that would revert it. */
bool run_end(struct running *running, const char *state);
