/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Journeys for the crash and the fault matrix: a machine, a goal, and the way from the one to the other and back in the
 * rehearsal, with whatever goes wrong on it. Every built-in machine is in one, and every kind of step.
 */
#pragma once
#include "exec/exec.h"
#include "rehearse/machine.h"
#include "rehearse/rehearse.h"
#include "test.h"

enum { KINDS_MAX = 32 };

struct journey {
	const char *name;
	const char *machine; /* its text: of a built-in one "base NAME" */
	const char *goal;    /* "gpu=nvidia into=vm/100" */
	/* The kinds that no plan makes: a plan by hand. NULL: plan_build. */
	void (*build)(const struct facts *, const struct goal *, struct arena *, struct plan *ret);
	bool still; /* already as wished, or refused: nothing is changed */
};
extern const struct journey journeys[];
extern const size_t n_journeys;

enum way { GO_ON, ROLL_BACK, WAYS };
extern const char *const way_names[];

struct stage { /* one journey: what its machine is before and after */
	struct arena *arena;
	const struct journey *journey;
	struct goal goal;
	struct target inside; /* of the guest: a CT's groups are asked there */
	const struct tape *start;
	struct tape *old_booted, *wished_booted, *back_booted;
	struct plan plan; /* of the first apply */
	size_t done[KINDS_MAX]; /* steps of each kind (row of plan_kinds) that the journey has done */
	unsigned long *ends; /* the last effect of the first step of each kind */
	size_t n_ends;
	bool ended[KINDS_MAX];
	unsigned long effects;      /* of the whole journey */
	unsigned long effects_back; /* of its rollback */
	bool creates;               /* a guest is made: what was started once stays (plan.h, create) */
};

struct show { /* one machine on its way */
	const struct stage *stage;
	struct arena *arena;
	struct rehearse *rehearse;
	struct err err;
	enum exec_end end;
	const struct step *in; /* the step in hand; NULL: between two */
	bool undoing;
	/* asked before each event of exec; may be NULL */
	void (*event)(struct show *, const struct exec_event *);
	void *data;
	struct stage *measured; /* while the stage is measured */
};

/* Why not, or NULL. */
const char *stage_open(struct stage *stage, const struct journey *journey, struct arena *arena);
/* The row of a step's kind in plan_kinds. */
size_t kind_row(const char *kind);

bool show_open(struct show *show, const struct stage *stage, struct arena *arena);
struct exec show_exec(struct show *show);
void show_apply(struct show *show);
void show_reboot(struct show *show);
/* Power back on until the machine stands; false: it does not come up (err). */
bool show_stand_up(struct show *show, bool keep);
/* One more push on the way: true when there is nothing left to do. */
bool show_push(struct show *show, enum way way);
/* Pushed on to an end, its reboots and the confirmation included; false: the machine is lost (err). */
bool show_walk(struct show *show, enum way way, bool keep);
/* What a boot restores is restored by a boot. */
bool show_boot(struct show *show);

/* How the machine ended: NULL, or what it is between. ret_wished: as wished, not as it was. */
const char *show_judge(struct show *show, bool may_be_wished, bool *ret_wished);
/* Of the differences the first that says none of these words (NULL at their end). */
const char *first_difference(
        const struct tape *left, const struct tape *right, const char *const *but, struct arena *arena);

/* ---- a program over all journeys: cases shared out to processes, counts added up ---- */

struct tally {
	unsigned long cases, failed, wished;
	unsigned long cut[KINDS_MAX], cut_back[KINDS_MAX]; /* in the middle of a step's making, of its undo */
	unsigned long by_fault[24];
};
typedef void tally_work(const struct stage *stage, const void *options, unsigned long worker, unsigned long workers,
        struct tally *tally);
struct tally tally_share_out(
        const struct stage *stage, const void *options, unsigned long workers, tally_work *work);
void tally_add(struct tally *sum, const struct tally *one);
/* A number of an option; ends the program where it is none. */
unsigned long option_number(const char *text);
