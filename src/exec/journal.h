/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One run's memory on disk: /var/lib/gpuferry/runs/ID/
 *   plan.json      what was to be done, written whole before anything else
 *   old/N, old/N.* what step N will need to be taken back
 *   rollback.sh    the way back without gpuferry, complete before the first write
 *   journal        one JSON object a line, appended and synced
 *   confirmed      empty: the change stays. rollback.sh --boot looks for it
 *   ended          empty: nothing is left to do. rollback.sh --boot looks for it
 *   boots          how often rollback.sh --boot has run; removed when the run asks for its reboot
 *   taken-back     rollback.sh writes it: "begun" before it takes back by itself, "done" behind it
 * rollback.sh writes taken-back and then looks for confirmed; exec_confirm writes confirmed and then looks for
 * taken-back: whoever finds the other's takes its own away again, so never do both go through. Where a cut leaves both,
 * taken-back counts.
 *
 * The last line may be torn by a power cut: then it was never written. The invariants stand in journal.c.
 */
#pragma once
#include "plan/plan.h"
#include "sys/world.h"

#define JOURNAL_RUNS PLAN_FOLDER "/runs"
#define JOURNAL_BOOT_ID "/proc/sys/kernel/random/boot_id"

enum journal_note {
	JOURNAL_UNKNOWN,
	JOURNAL_OLD,     /* value: the state before anything was changed */
	JOURNAL_BEGUN,   /* the step may have changed something from here on */
	JOURNAL_DONE,    /* applied and read back */
	JOURNAL_UNDOING, /* its undo may have changed something from here on */
	JOURNAL_UNDONE,  /* taken back and read back */
	JOURNAL_LEFT,    /* neither old nor wished: left as it is; value: what it is */
	JOURNAL_BOOT,    /* value: boot_id */
	JOURNAL_ARMED,   /* all is written down: the first change may come */
	JOURNAL_CONFIRMED,
	JOURNAL_STATE, /* value: run's state */
	JOURNAL_WHY,   /* value: why the run is taken back */
};

struct journal_step {    /* what is known of step N */
	const char *old; /* NULL: not noted yet */
	bool begun, done, undoing, undone, left;
};
struct journal {
	const char *id, *folder;
	struct plan plan;
	struct journal_step *steps; /* plan.n of them */
	const char *boot_id;        /* of the boot the run began in, or before its reboot */
	bool armed, confirmed;
	const char *state, *why;
	int64_t began;        /* seconds since 1970 */
	const char *reverted; /* by rollback.sh itself: "begun", "done"; NULL: not */
	/* journal.c's own: all whole lines, how much of them is in the file, and whether the file holds anything else
	 */
	struct bytes lines;
	size_t written;
	bool torn;
};

bool journal_begin(
        struct world *node, const struct plan *plan, struct arena *arena, struct err *err, struct journal *ret);
/* A run that is not there, or that is damaged: ERR_INPUT. A damaged line that is not the last is an error that names
 * it; what was cut off before its first change comes as "reverted". */
bool journal_open(struct world *node, const char *id, struct arena *arena, struct err *err, struct journal *ret);
/* Syncs the journals of all runs. Who writes asks for it before reading them: what a program that was ended has written
 * can be read, and still be lost with the power. */
bool journal_settle(struct world *node, struct arena *arena, struct err *err);
/* Notes and syncs; step is ignored by notes that have none. The first noted old state is never overwritten. Old states
 * noted before the run is armed are written together, with what comes next. */
bool journal_note(struct world *node, struct journal *journal, enum journal_note note, size_t step, const char *value,
        struct arena *arena, struct err *err);
/* Where step N saves what its undo needs. */
const char *journal_blob(const struct journal *journal, size_t step, struct arena *arena);
/* Has the run ended, one way or the other? */
bool journal_ended(const struct journal *journal);
bool journal_is_id(const char *id);
/* The empty files beside the journal: "confirmed", "ended", "boots". Removing one that is not there is no error. */
bool journal_mark(
        struct world *node, const struct journal *journal, const char *mark, struct arena *arena, struct err *err);
bool journal_unmark(
        struct world *node, const struct journal *journal, const char *mark, struct arena *arena, struct err *err);
