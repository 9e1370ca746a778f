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
	const struct inside *inside; /* of that guest; NULL: not looked into */
	bool vm, ct;                 /* the route */
};

struct finding {
	const struct rule *rule;
	enum verdict verdict;
	const char *why;  /* one sentence: what was seen */
	const char *cure; /* what to do, in words a household admin can follow; NULL when nothing is to be done */
	const char *about; /* the GPU or guest it is about: "0000:01:00.0", "vm/100"; NULL: the node */
};

enum { RULE_NEEDS_MAX = 4, RULE_PAINS_MAX = 6 };

struct rule {
	const char *id;                    /* "node.iommu", "vm.one-holder" */
	const char *asks;                  /* the question, as shown */
	const char *needs[RULE_NEEDS_MAX]; /* ids that must hold (ok or warn), else this one is skipped */
	bool waivable;                     /* may stand in the goal's accept: */
	unsigned char pains[RULE_PAINS_MAX]; /* entries of docs/pains this rule answers */
	enum verdict (*check)(const struct scene *scene, struct arena *arena, const char **ret_why, const char **ret_cure);
	const char *explains;              /* for docs/rules.md: why it matters, 1-3 sentences */
	const char *source;                /* kernel document, PVE file, issue */
	const char *repair;                /* id of the step kind that cures it; NULL: by hand */
};

/* The tables, in the order of the chain from the firmware to the encoded frame; each ends with id NULL. */
extern const struct rule rules_node[], rules_vm[], rules_ct[], rules_inside[];

/* A pain (pains.md's number) that no fact of this machine can show, and why. */
struct unshowable { unsigned pain; const char *why; };
extern const struct unshowable rules_unshowable[];

struct report {
	struct finding *findings;
	size_t n;
	enum verdict verdict;       /* broken, else unknown, else ok */
	const struct finding *first_broken; /* NULL: none */
};

/* Runs the tables that fit the goal: the node's always; those of the guest and route the goal names; without a goal,
 * those of every guest that has a GPU. Resolves the goal's gpu and guest first; a goal that fits nothing is a finding. */
void rules_run(const struct facts *facts, const struct goal *goal, struct arena *arena, struct report *ret);
const struct rule *rules_find(const char *id);
json_t *rules_json(const struct report *report, const struct facts *facts);
/* docs/rules.md, from the tables. */
const char *rules_document(struct arena *arena);
