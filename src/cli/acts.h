/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The whole journey on a copy of a machine: look, plan, apply with its reboots, look again, take back, compare. Prints
 * nothing; what goes wrong on purpose is asked for here.
 */
#pragma once
#include "exec/exec.h"
#include "facts/facts.h"
#include "facts/goal.h"
#include "plan/plan.h"
#include "rehearse/rehearse.h"
#include "rules/rules.h"

enum act { ACT_BEFORE, ACT_PLAN, ACT_APPLY, ACT_AFTER, ACT_ROLLBACK, ACT_RESTORED };

/* What happens beside the steps, in the order of happening. */
enum act_news {
	NEWS_BEGINS, /* an act; text: NULL */
	NEWS_ENDS,
	NEWS_CUT,  /* the power went; text: behind which effect */
	NEWS_BOOT, /* the machine boots; text: why */
	NEWS_GOES_ON,
	NEWS_REVERTS, /* by itself */
	NEWS_CONFIRM,
};

struct acts {
	/* asked */
	const struct tape *machine; /* stays as it is */
	const struct goal *goal;
	const struct target *also; /* what is looked into besides; NULL: nothing */
	const char *fail;          /* a step's number or kind; NULL: none */
	unsigned long cut;         /* power goes after that many effects of apply; 0: never */
	bool keep_unsynced;        /* a cut leaves on disk what was not synced, too; else all of it is lost */
	const char *keep;          /* a folder for the machine as it is after apply; NULL: none */
	void (*news)(void *data, const struct acts *acts, enum act act, enum act_news news, const char *text);
	void (*event)(void *data, const struct exec_event *event);
	void *data;
	/* what came of it */
	const struct facts *before, *after;
	struct report was, is;
	struct plan plan;
	enum exec_end applied, rolled_back;
	const char *run; /* id of the run; "" where there is none */
	size_t steps_done;
	unsigned boots;        /* of apply, those after a cut included */
	unsigned long effects; /* of apply */
	struct err why;        /* of apply, where it did not end well */
	struct err back_why;   /* of rollback */
	struct words left;     /* by rollback */
	bool restored;
	struct words differences;
};

/* False: the machine cannot be rehearsed, or there is no such step (err). */
bool acts_run(struct acts *acts, struct arena *arena, struct err *err);
