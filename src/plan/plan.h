/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What would change: the steps that repair the findings which do not hold, ordered, minimal, merged. Pure: the same
 * facts and goal give the same plan, byte for byte.
 *
 * A step is an end state ("this file has this content"), never a command; exec knows how to read it, reach it and take
 * it back. The order of `steps` is the order of the run. Two kinds are barriers: "reboot" (what follows needs a new
 * boot_id; the gates are asked first) and "confirm" (what follows waits for `apply --confirm`).
 */
#pragma once
#include "facts/facts.h"
#include "facts/goal.h"
#include "rules/rules.h"

enum undo { UNDO_UNKNOWN, UNDO_EXACT, UNDO_AFTER_REBOOT, UNDO_EQUIVALENT, UNDO_NONE };

/* The kinds, what their words are, and how they are taken back. exec has one row of step_ops for each.
 *
 * kind       on      key                from, to
 * file       node    path               from: none | sha256:HEX; to: the content, or none; mode, 0:0
 * link       node    path               where it points | none
 * directory  node    path               there | none
 * module     node    name               loaded | none
 * package    node    name               none | version; to: "installed" or a version
 * hold       node    package            held | none
 * initramfs  node    kernel version     "PATH=sha256:HEX PATH=none ...": those configuration files in the image,
 *                                       and "sound" behind them: it can be read whole
 * boot       node    grub|systemd-boot  the command line of the entry that boots next; of systemd-boot, of every ESP
 * reboot     node    boot               old | new
 * confirm    node    change             open | confirmed
 * bind       node    address            driver | none
 * mapping    node    mapping id         none | the entry for this node as pvesh takes it
 * power      vm/100  state              running | stopped
 * config     vm/100  hostpci0, dev0 ... none | value, as qm and pct take it. A running guest has it at its next start
 * raw        ct/105  lxc                none | all raw lxc lines, each "lxc.KEY: VALUE"
 * create     vm/101  vm                 none | created (the details are the goal's new: block)
 * reach      vm/101  inside             no | yes (waited for: the agent or ssh answers)
 * snapshot   vm/100  name               none | taken
 */
struct plan_kind {
	const char *kind;
	enum undo undo;
	const char *title; /* for people: "file", "IOMMU words in the boot loader" */
	bool derived;      /* made from files: taken back after all files are, by making it again (initramfs, boot) */
};
extern const struct plan_kind plan_kinds[]; /* kind NULL at the end */
const struct plan_kind *plan_kind(const char *kind);

struct step {
	const char *kind, *on, *key;
	const char *from, *to;  /* as above; NONE: absent */
	const char *because;    /* id of the rule it repairs */
	const char *title;      /* one line for people: "let Proxmox give 0000:01:00.0 to VM 100" */
	const char *interrupts; /* one line: what it interrupts; NONE: nothing */
	unsigned mode;          /* of a file */
	enum undo undo;
	bool needs_reboot; /* in effect only after the next boot */
	bool stops_guest;
	bool temporary; /* there until the change is confirmed, then taken back (the self-revert's own files) */
};

struct gate { /* a rule that can only be asked after the reboot */
	const char *rule, *asks, *why;
};
struct refusal {
	const char *rule, *why, *cure; /* cure NULL: none is known */
	bool waivable;
};
struct warning { /* what nobody may overlook before agreeing: a screen that goes dark */
	const char *rule, *why;
};
struct guest_stop {
	const char *id, *why; /* "vm/100" */
};

struct plan {
	const char *gpu, *guest;  /* "0000:01:00.0", "vm/100"; NULL: not resolved */
	const char *facts_digest; /* sha256 over the facts that the plan leans on */
	const char *digest;       /* sha256 over the plan itself */
	unsigned reboots;
	struct step *steps;
	size_t n;
	struct gate *gates;
	size_t n_gates;
	struct refusal *refused; /* not empty: nothing may be applied */
	size_t n_refused;
	struct guest_stop *guest_stops; /* each once; with a reboot every running guest */
	size_t n_guest_stops;
	struct warning *warnings; /* said first, even where little is said */
	size_t n_warnings;
	struct words notes;      /* sentences: the way back, what the self-revert does, what nobody asked */
	const char *goal;        /* as the YAML of a goal file, for going on after a reboot */
	int64_t confirm_seconds; /* UNKNOWN_NUMBER: nothing to confirm */
};

void plan_build(const struct facts *facts, const struct goal *goal, struct arena *arena, struct plan *ret);

/* The window in which guests may stop or the node may reboot, seen from a moment: window.c. */
struct plan_window {
	bool open;
	int64_t opens_in; /* seconds; 0 when open */
	int64_t left;     /* seconds until it closes; UNKNOWN_NUMBER: there is no window, it is always open */
};
/* The goal's window seen from a second of the day (local to the node). */
void plan_window_at(const struct goal *goal, int64_t second_of_day, struct plan_window *ret);
/* Seconds that the plan may take at the longest in the window: its steps, and with a reboot both boots, the time to
 * confirm and the revert. */
int64_t plan_window_needed(const struct plan *plan);
const char *plan_window_text(const struct goal *goal, struct arena *arena); /* "03:00-06:00" */
const char *plan_window_span(int64_t seconds, struct arena *arena);         /* "about 25 min" */

/* The plan document of product.md, and what the journal keeps. */
json_t *plan_json(const struct plan *plan);
/* The way back from JSON; err says where it is damaged. */
bool plan_parse(struct bytes text, const char *name, struct arena *arena, struct err *err, struct plan *ret);
const char *plan_undo(enum undo undo); /* "exact" */

/* Where exec keeps its own; the self-revert's unit runs PLAN_REVERT, a link to the rollback.sh of the armed run. */
#define PLAN_FOLDER "/var/lib/gpuferry"
#define PLAN_REVERT PLAN_FOLDER "/revert"
#define PLAN_RESUME "gpuferry-resume" /* the unit that goes on */
/* The unit that takes an unconfirmed change back, and the one that goes on after the reboot. */
const char *plan_revert_unit(int64_t confirm_seconds, struct arena *arena);
const char *plan_resume_unit(struct arena *arena);
