/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One run's memory on disk: /var/lib/gpuferry/runs/ID/
 *   plan.json      what was to be done, written whole before anything else
 *   old/N          what step N will need to be taken back
 *   rollback.sh    the way back without gpuferry, complete before the first write
 *   journal        one JSON object a line, appended and synced: old N, done N, undone N, left N, boot, end
 * The last line may be torn by a power cut: then it was never written. The invariants stand in journal.c.
 */
#pragma once
#include "plan/plan.h"
#include "sys/world.h"

enum journal_note {
	JOURNAL_UNKNOWN,
	JOURNAL_OLD,
	JOURNAL_DONE,
	JOURNAL_UNDOING,
	JOURNAL_UNDONE,
	JOURNAL_LEFT,
	JOURNAL_BOOT /* value: boot_id */,
	JOURNAL_ARMED /* all is written down: the first change may come */,
	JOURNAL_CONFIRMED,
	JOURNAL_STATE /* value: run's state */
};

struct journal_step {    /* what is known of step N */
	const char *old; /* NULL: not noted yet */
	bool done, undoing, undone, left;
};
struct journal {
	const char *id, *folder;
	struct plan plan;
	struct journal_step *steps; /* plan.n of them */
	const char *boot_id;        /* of the boot the run began in, or before its reboot */
	bool armed, confirmed;
	const char *state, *why;
};

bool journal_begin(
        struct world *node, const struct plan *plan, struct arena *arena, struct err *err, struct journal *ret);
bool journal_open(struct world *node, const char *id, struct arena *arena, struct err *err, struct journal *ret);
/* Notes and syncs; step is ignored by notes that have none. The first noted old state is never overwritten. */
bool journal_note(struct world *node, struct journal *journal, enum journal_note note, size_t step, const char *value,
        struct arena *arena, struct err *err);
