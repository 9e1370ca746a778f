/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every wished state is a rule: a question to the facts with a verdict, a reason and a cure. Pure: no world here.
 */
#pragma once
#include "facts/facts.h"
#include "facts/goal.h"

enum verdict { VERDICT_UNKNOWN, VERDICT_OK, VERDICT_WARN, VERDICT_BROKEN, VERDICT_SKIPPED };

/* What the rules are asked about: one GPU, one guest, or only the node. */
struct scene {
	const struct facts *facts;
	const struct goal *goal;     /* never NULL; may be empty */
	const struct gpu *gpu;       /* the goal's or the guest's; NULL: none, or none resolved */
	const struct guest *guest;   /* NULL: only the node's own rules run */
	const struct inside *inside; /* of that guest or of a docker container in it; NULL: not looked into */
	bool docker;                 /* `inside` is a docker container */
	bool vm, ct;                 /* the route; neither: nothing is asked of this GPU, rules only inform */
};

struct finding {
	const struct rule *rule;
	enum verdict verdict;
	const char *why;   /* one sentence: what was seen */
	const char *cure;  /* what to do, in words a household admin can follow; NULL when nothing is to be done */
	const char *about; /* the GPU, guest or docker container: "0000:01:00.0", "vm/100"; NULL: the node */
	bool holds; /* what needs this rule may be asked: ok, or a warning that was not "broken" before it was softened
	             */
	bool fails; /* broken, also where that was softened; or skipped because of such a one */
};

/* What a check says besides its verdict. Sentences go through text_shown and are cut to a readable length, so a
 * hostile value cannot break a terminal or add a step to a cure. */
struct answer {
	struct arena *arena;
	const char *why;
	const char *cure; /* one step per line */
};

/* What one asking of a rule is about. With a GPU it is asked once per GPU, with a guest once per guest and GPU. */
enum rule_about {
	ABOUT_UNKNOWN,
	ABOUT_GOAL, /* the goal itself */
	ABOUT_NODE,
	ABOUT_GPU,
	ABOUT_GUEST,
	ABOUT_INSIDE, /* a guest's inside, and each docker container in it that was looked into */
};

/* Which route it belongs to. A rule of a route that no goal and no guest takes informs only: it is asked, but
 * "broken" is said as "warn". */
enum rule_route { ROUTE_ANY, ROUTE_VM, ROUTE_CT };

enum { RULE_NEEDS_MAX = 6, RULE_PAINS_MAX = 6 };

struct rule {
	const char *id; /* "node.iommu", "vm.one-holder" */
	enum rule_about about;
	enum rule_route route;
	const char *vendor;                  /* asked of this vendor's GPUs only: "nvidia"; NULL: of all */
	const char *asks;                    /* the question, as shown */
	const char *needs[RULE_NEEDS_MAX];   /* ids that must hold (ok, warn or accepted), else this one is skipped; one
	                                      that was not asked here (another route, another vendor) does not hinder */
	const char *after[RULE_NEEDS_MAX];   /* ids that, where they are known not to hold, explain whatever this one
	                                      would say: then it is skipped too; where they are unknown it is asked */
	bool waivable;                       /* may stand in the goal's accept: */
	unsigned char pains[RULE_PAINS_MAX]; /* numbers of rules_pains that this rule answers */
	/* VERDICT_SKIPPED from a check: the question does not arise here (another vendor's card); no finding is made.
	 */
	enum verdict (*check)(const struct scene *scene, struct answer *ret);
	const char *explains; /* for docs/rules.md: why it matters, 1-3 sentences */
	const char *source;   /* kernel document, PVE file, issue */
};

/* The tables, in the order of the chain from the firmware to the encoded frame; each ends with id NULL. */
extern const struct rule rules_goal[], rules_node[], rules_gpu[], rules_vm[], rules_ct[], rules_inside[];
extern const struct rule *const rules_tables[]; /* all of them, in that order; ends with NULL */

/* What goes wrong in the field, in a few words each; numbered from 1. Every one is answered by a rule or listed in
 * rules_unshowable. */
extern const char *const rules_pains[]; /* [0] is unused; ends with NULL */

/* A pain that no fact of this machine can show, and why. */
struct unshowable {
	unsigned pain;
	const char *why;
};
extern const struct unshowable rules_unshowable[];

/* The verdict: broken where any finding is, else unknown where any is, else ok. */
struct report {
	struct finding *findings;
	size_t n;
	enum verdict verdict;               /* broken, else unknown, else ok */
	const struct finding *first_broken; /* NULL: none */
	bool asked; /* a goal or a guest asks something of a GPU; false: the findings only inform */
};

/* Which GPU the goal means, seen with the guest it goes into (may be NULL). OK: *ret is it. Else why not. */
enum verdict rules_goal_gpu(const struct facts *facts, const struct goal *goal, const struct guest *guest,
        struct answer *answer, const struct gpu **ret);
/* Which guest the goal means. OK with *ret NULL: the goal names none, or one that is to be made. */
enum verdict rules_goal_guest(
        const struct facts *facts, const struct goal *goal, struct answer *answer, const struct guest **ret);

/* Runs the tables that fit the goal: the node's always; those of the guest and route the goal names; without a goal,
 * those of every guest that has a GPU. With neither, the node's rules and those of its GPUs inform. Resolves the goal's
 * gpu and guest first; a goal that fits nothing is a finding. */
void rules_run(const struct facts *facts, const struct goal *goal, struct arena *arena, struct report *ret);
const struct rule *rules_find(const char *id);
json_t *rules_json(const struct report *report, const struct facts *facts);
/* docs/rules.md, from the tables. */
const char *rules_document(struct arena *arena);
