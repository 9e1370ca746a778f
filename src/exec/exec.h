/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The one folder that changes a machine: apply a plan, go on after a reboot, confirm, roll back. Everything goes
 * through the node's world and is journalled in PLAN_FOLDER/runs/ID/ (journal.h says in which order, and why
 * nothing is lost by a power cut). Prints nothing: events tell what happens.
 */
#pragma once
#include "plan/plan.h"
#include "sys/world.h"

enum exec_end {
	EXEC_UNKNOWN,
	EXEC_DONE,     /* all steps done (apply), all taken back (rollback) */
	EXEC_NOTHING,  /* there was nothing to do */
	EXEC_REBOOT,   /* up to the reboot; the node must boot now */
	EXEC_CONFIRM,  /* done but for the confirmation: it reverts itself unless confirmed in time */
	EXEC_REVERTED, /* a step failed; what was done has been taken back */
	EXEC_GATE,     /* a gate did not hold; what was done has been taken back */
	EXEC_LEFT,     /* rollback: done, but what others changed since was left */
	EXEC_STUCK,    /* the kernel hangs in a bind: nothing more was written, a reboot is needed */
	EXEC_REFUSED,  /* before the first write: nothing was changed */
	EXEC_FAILED,   /* it could neither go on nor back: err says why; the journal stands */
};

enum exec_what {
	EXEC_STEP_BEGINS,
	EXEC_STEP_DONE,
	EXEC_STEP_ALREADY,
	EXEC_STEP_FAILED,
	EXEC_UNDO_BEGINS,
	EXEC_UNDO_DONE,
	EXEC_UNDO_LEFT, /* drifted: left as it is */
	EXEC_GATE_HOLDS,
	EXEC_GATE_BROKEN,
	EXEC_NOTE,
};
struct exec_event {
	enum exec_what what;
	const struct step *step; /* NULL for gates and notes */
	size_t index, total;
	const char *text; /* why, or what is noted; may be NULL */
};

struct exec {
	struct world *node; /* with changes */
	struct arena *arena;
	void (*event)(void *data, const struct exec_event *event); /* may be NULL */
	/* Does the service in that guest play for someone? UNKNOWN: nobody can tell. NULL: running guests count as
	 * playing. The service issue fills it. */
	enum tri (*playing)(void *data, const char *guest);
	void *data;
	bool stop_guests; /* the person, or --yes, has agreed to what the plan interrupts */
	bool in_window;   /* now lies in the goal's window, or there is none */
	bool reboot;      /* reboot by ourselves where the plan needs it; else end with EXEC_REBOOT */
	/* What facts_gather looks into besides, as it was when the plan was built; may be NULL. */
	const struct target *also;
	/* How a plan is built again, to see whether the machine still is the one it was made for. NULL: plan_build. */
	void (*build)(const struct facts *, const struct goal *, struct arena *, struct plan *ret);
};

struct run {
	const char *id; /* "20261124-151600": the clock at its begin; a number behind it if that was taken */
	/* "open", "reboot", "confirm", "reverting", "stuck": not ended; "done", "reverted", "rolled-back", "left":
	 * ended */
	const char *state;
	const char *gpu, *guest;
	int64_t began;
	size_t steps, done, undone;
	struct words left; /* keys that rollback left */
	const char *why;   /* of a failed or reverted run; NULL */
};
struct runs {
	struct run *run; /* the newest first */
	size_t n;
};

/* All runs. A damaged one is listed with state "damaged". */
bool exec_runs(struct world *node, struct arena *arena, struct err *err, struct runs *ret);
/* A run that is not ended; NULL: none. */
const struct run *exec_open_run(const struct runs *runs);

/* Applies a plan that was shown: takes the lock, gathers facts again, builds the plan again and compares digests,
 * reads every step's present state, shuts guests down first, then writes. ret_run: its id ("" if refused). */
enum exec_end exec_apply(
        struct exec *exec, const struct plan *plan, const struct goal *goal, struct err *err, const char **ret_run);
/* Goes on with the open run: after the reboot (a changed boot_id is needed), or after it was cut. */
enum exec_end exec_resume(struct exec *exec, struct err *err, const char **ret_run);
/* The change stays: what was temporary is taken back, steps behind the confirm barrier are done. */
enum exec_end exec_confirm(struct exec *exec, struct err *err, const char **ret_run);
/* Takes back a run (NULL: the last that is not taken back), with later runs on the same keys only if `later`; else such
 * a run is refused and err names them. Never refuses for reasons of policy. ret: what was left. */
enum exec_end exec_rollback(struct exec *exec, const char *run, bool later, struct err *err, struct words *ret_left);

/* How each kind is read, reached and taken back. Rules for those who write one:
 * - state is asked before and after every change; its words are compared with `from`, with what was noted, and by
 * holds.
 * - apply may be asked twice, also when its state already holds: a run that was cut does its last step again.
 * - undo may be asked twice as well, and from any state between the wished and the old one.
 * - ETIMEDOUT of a write into the kernel is an err of kind ERR_TIMEOUT; nothing else is. */
struct step_run {          /* what a kind works with */
	struct exec *exec; /* NULL in script() */
	const struct step *step;
	const char *folder; /* of the run: blobs lie there */
	struct err *err;
};
struct step_ops {
	const char *kind;
	/* Old and wished state follow each other in one effect: a third one is never ours, but another's. */
	bool atomic;
	/* A timeout (ERR_TIMEOUT) means that the kernel hangs: nothing more may be written before a reboot. */
	bool hangs;
	/* The present state in the words of plan.h ("sha256:..."); NONE: absent. False: cannot be read (err). */
	bool (*state)(struct step_run *, struct arena *, const char **ret);
	/* Saves what undo will need beyond the state's words (a file's bytes, owner), synced. blob is a path below the
	 * run's folder that is this step's own, as are those that begin with it and a dot. NULL: nothing. */
	bool (*save)(struct step_run *, const char *blob);
	/* Makes it so; may be asked twice. */
	bool (*apply)(struct step_run *);
	/* Is this state the wished one? Pure. NULL: equal words. */
	bool (*holds)(const struct step *, const char *state);
	/* Back to the old state. NULL: nothing to be done. */
	bool (*undo)(struct step_run *, const char *old, const char *blob);
	/* Lines of rollback.sh that do the same with sh alone, on the node (steps.h has its words); NULL: only PVE can
	 * (then guest part). */
	void (*script)(struct step_run *, const char *old, const char *blob, struct arena *, struct words *ret);
};
extern const struct step_ops *const exec_kinds[];   /* one for each of plan_kinds; NULL at the end */
const struct step_ops *exec_kind(const char *kind); /* NULL: there is none */
