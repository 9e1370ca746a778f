/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the verbs that change have in common: a plan and its progress for people, the window, the documents.
 */
#pragma once
#include "cli/cli.h"
#include "exec/exec.h"
#include "plan/plan.h"
#include "rules/rules.h"

/* What is true, what the rules say to it, and what would change it. */
struct survey {
	const struct facts *facts;
	struct report report;
	struct plan plan;
};
/* False: how to get into the goal's guest makes no sense (err). */
bool change_survey(
        struct world *world, const struct goal *goal, struct arena *arena, struct err *err, struct survey *ret);
/* The goal of a verb that cannot do without: the file that stands in argv, the flags, or this machine's own. */
bool change_goal(struct app *app, int argc, char **argv, struct err *err, struct goal *ret);
/* The exit code of a plan that is only shown: nothing to do, steps, refused, or nothing could be measured. */
int change_code(const struct survey *survey);

/* ---- for people ---- */
void show_plan(const struct app *app, const struct plan *plan, struct arena *arena);
/* "0000:01:00.0 -> vm/100: 5 steps, no reboot" */
const char *plan_headline(const struct plan *plan, struct arena *arena);
void show_report(const struct app *app, const struct report *report, const struct goal *goal, struct arena *arena);
/* The verdict with its counts in one line, and the broken links. */
void show_verdict(const struct app *app, const struct report *report, struct arena *arena);

/* An exec event as a line; data is a struct app. */
void show_event(void *app, const struct exec_event *event);

/* ---- how it ended ---- */
struct ended {
	enum exec_end end;
	const struct err *err; /* kind ERR_NONE: nothing to say */
	const char *run;       /* NULL or "": none */
	size_t steps, steps_done;
	unsigned reboots;
	struct words left;           /* rollback */
	const struct plan *plan;     /* may be NULL */
	const struct report *report; /* of the rules afterwards; may be NULL */
	const struct facts *facts;   /* of that report */
};
const char *ended_word(enum exec_end end); /* "done"; NULL: unknown */
int ended_code(const struct ended *ended);
/* The apply and the rollback document. */
json_t *apply_json(const struct ended *ended);
json_t *rollback_json(const struct ended *ended);
/* Fills steps and steps_done from the journal. */
void ended_count(struct world *node, struct arena *arena, struct ended *ended);

/* The first link of the node's side that is broken though the plan meant to mend it, or that was not broken before
 * (before NULL: only the former). NULL: none. */
const struct finding *change_missed(const struct plan *plan, const struct report *before, const struct report *after);
/* The verbs on a node that is open; the goal is ignored with --confirm and --continue. */
int apply_on(struct app *app, struct world *node, const struct goal *goal);
int rollback_on(struct app *app, struct world *node);
/* Asks on the terminal; false too where there is none (err says so). */
bool change_ask(const struct app *app, const char *question, struct err *err);
/* Runs this verb on the node that --host names, with the terminal where there is one. goal: the bytes of a goal file,
 * data NULL: none. The exit code there, or that of an error here. */
int change_there(struct app *app, struct bytes goal);
