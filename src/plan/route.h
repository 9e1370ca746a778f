/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inside plan: how a route (a VM, a CT) says what is to be done. It pushes steps into phases in any order; route_finish
 * sorts them, merges what several repairs asked for (one initramfs, one boot loader, one reboot), and adds what a
 * reboot brings along. Pure, like all of plan.
 *
 * How a plan comes about: rules_run; each finding that is not ok is looked up in `repairs` (repairs.c): it is repaired
 * by a function of the route, refused, noted, or left. Then the route itself (route_vm, route_ct) does what no rule
 * asks.
 */
#pragma once
#include "plan/plan.h"

/* The order of a run. What stands in one phase keeps the order in which it was pushed. */
enum phase {
	PHASE_STOP,      /* hot runs: the guest goes down before anything is written */
	PHASE_TEMPORARY, /* what takes an unconfirmed change back (only with a reboot) */
	PHASE_FILES,
	PHASE_PACKAGES,
	PHASE_INITRAMFS, /* pushed by route_finish */
	PHASE_BOOT,      /* likewise */
	PHASE_REBOOT,    /* likewise: the barrier */
	PHASE_DRIVERS,   /* modules, bind */
	PHASE_CREATE,
	PHASE_MAPPING,
	PHASE_CONFIG,
	PHASE_START,
	PHASE_REACH,
	PHASE_CONFIRM, /* pushed by route_finish: the barrier */
	PHASE_AFTER,   /* behind the confirmation */
	PHASES,
};

struct phased {
	enum phase phase;
	struct step step;
};
struct image_file {
	const char *path, *sha256; /* "/etc/modprobe.d/gpuferry.conf"; NONE: not in it */
	const char *because;
};

struct route {
	/* ---- what is asked; never NULL, but for guest ---- */
	const struct facts *facts;
	const struct goal *goal;
	const struct report *report;
	const struct gpu *gpu;
	const struct guest *guest; /* NULL: to be made (vm/new) */
	const char *on;            /* "vm/100"; of a guest to be made: with the id it will get */
	bool vm, ct;
	struct arena *arena;
	/* ---- what is answered: through the functions below ---- */
	struct plan *plan;
	struct phased **steps; /* unordered */
	size_t n_steps;
	struct words words, words_because; /* for the kernel's command line, each with the rule that wants it */
	const char *menu_because;          /* the boot menu is to be written again, without new words; NULL: not */
	struct image_file *image;          /* what the next initramfs shall hold */
	size_t n_image;
	const char *reboot_because;                /* NULL: no reboot */
	const char *restart_because, *restart_why; /* NULL: no restart of the guest */
	struct refusal *leaning; /* refused only if there is anything to do: unknowns, warnings that hinder a change */
	size_t n_leaning;
};

/* ---- steps: what already is so makes no step; the same kind, on and key twice is one (two different ends are a
 *      refusal). What is returned may be given flags (interrupts, stops_guest, needs_reboot, temporary, mode), and is
 *      never NULL. `from` NULL: unknown. undo comes from plan_kinds. ---- */
struct step *route_step(struct route *route, enum phase phase, const char *kind, const char *on, const char *key,
        const char *from, const char *to, const char *because, const char *title, ...)
        __attribute__((format(printf, 9, 10)));

/* An own file on the node, in PHASE_FILES; content NONE: away with it. Its present state comes from boot.files, which
 * know those places that steer the boot; elsewhere `from` is unknown. */
struct step *route_file(struct route *route, const char *because, const char *path, const char *content, unsigned mode,
        const char *title, ...) __attribute__((format(printf, 6, 7)));
/* A file as it shall be; content NONE: not there. */
struct edit {
	const char *path, *content;
	const char *what; /* of a file that others wrote: "line 2, blacklist i915" */
};
struct edits {
	struct edit *edit;
	size_t n;
};
/* A file's bytes as it stands, if it is known and text; size 0 and data NULL: not there, or not known. */
struct bytes route_read(const struct route *route, const char *path);
/* The present state of a file as a step has it: its sum, NONE, or NULL where that is not known. */
const char *route_file_now(struct route *route, const char *path);
/* A folder, in any phase. */
struct step *route_folder(struct route *route, enum phase phase, const char *because, const char *path);
/* A link, in any phase. */
struct step *route_link(struct route *route, enum phase phase, const char *because, const char *path, const char *to);

/* A key of the guest's configuration, as qm and pct take it; NONE: not set. What is pending counts as there.
 * PHASE_CONFIG. A running guest has it only after a stop and a start: route_restart. */
struct step *route_config(struct route *route, const char *because, const char *key, const char *to, const char *title,
        ...) __attribute__((format(printf, 5, 6)));
/* The running guest is stopped before and started behind; once is enough. With a reboot it is only started again. A
 * guest that is not running stays so. */
void route_restart(struct route *route, const char *because, const char *why);

/* The device to that driver, now, by ourselves: only where hot_release is yes. Its module is loaded before.
 * PHASE_DRIVERS. */
void route_bind(struct route *route, const char *because, const struct pci_device *device, const char *driver,
        const char *title);
/* What of the slot is the card; an integrated GPU's neighbours are not (early.c). */
struct functions {
	const struct pci_device **device;
	size_t n;
};
struct functions route_functions(struct route *route);

/* ---- what is merged into one ---- */
/* The next kernel's initramfs (after the confirmation: all others') holds this file of /etc; content NONE: does not.
 * For modprobe.d the path is the same in the image; scripts/... of initramfs-tools lie there without
 * "/etc/initramfs-tools". Asks for the reboot too. */
void route_image(struct route *route, const char *because, const char *path, const char *content);
/* Words of the kernel's command line, in the file that this machine's loader reads. Asks for the reboot too. */
void route_words(struct route *route, const char *because, const char *words);
void route_reboot(struct route *route, const char *because);

/* ---- what is said ---- */
void route_refuse(struct route *route, const char *rule, const char *cure, const char *why, ...)
        __attribute__((format(printf, 4, 5)));
/* Refused only if the plan has steps; else it becomes a note. For what a change leans on. */
void route_lean(struct route *route, const char *rule, const char *cure, const char *why, ...)
        __attribute__((format(printf, 4, 5)));
void route_gate(struct route *route, const char *rule, const char *why);
void route_stop(struct route *route, const char *guest, const char *why); /* each guest once; the first why counts */
void route_warn(struct route *route, const char *rule, const char *why, ...) __attribute__((format(printf, 3, 4)));
void route_note(struct route *route, const char *note, ...) __attribute__((format(printf, 2, 3)));

/* Notes of who has the card and will not have it any more: processes, and CTs other than the plan's. */
void route_note_losers(struct route *route);

/* ---- what is asked of the report ---- */
const struct finding *route_finding(const struct route *route, const char *rule); /* NULL: was not asked */
bool route_accepts(const struct route *route, const char *rule);                  /* waivable, and in accept: */
bool route_has(const struct route *route, const char *kind); /* is there a step of that kind yet? */

/* ---- repairs ---- */
enum repair_way {
	REPAIR_UNSAID,
	REPAIR_REFUSE, /* broken: refused, unless accepted. warn, unknown: refused if there is anything to do */
	REPAIR_NOTE,   /* said in the plan's notes */
	REPAIR_WARN,   /* said above the steps, for whoever agrees to them */
	REPAIR_LEFT,   /* nothing: not ours to mend, and no step leans on it */
	REPAIR_STEP,   /* the route's function mends it; where the route has none: as REPAIR_REFUSE */
};
/* Called for each finding of the rule that is not ok, where its row says REPAIR_STEP for that verdict. */
typedef void repair_fn(struct route *route, const struct finding *finding);
struct repair {
	const char *rule;
	enum repair_way broken, warn, unknown, skipped; /* skipped: a prerequisite does not hold (yet) */
	repair_fn *vm, *ct;
};
extern const struct repair repairs[]; /* one row for each rule; rule NULL at the end */
const struct repair *repair_of(const char *rule);

/* ---- the routes: after the repairs, what no rule asks ---- */
void route_vm(struct route *route);
void route_ct(struct route *route);
/* Sorts, merges, adds the reboot with all that belongs to it; then the plan's counts are right. */
void route_finish(struct route *route);

/* The repairs, by the file they stand in. */
repair_fn loader_iommu;                                                                          /* loader.c */
repair_fn early_release;                                                                         /* early.c */
repair_fn vm_hostpci, vm_given_once, vm_mapping, vm_balloon, vm_numa, vm_one_holder, vm_pending; /* route_vm.c */
repair_fn ct_node, ct_node_exists, ct_access, ct_pending, ct_raw;                                /* route_ct.c */
repair_fn node_driver_release, node_driver_keep, node_driver_huc;                                /* node_driver.c */
repair_fn foreign_blacklist;                                                                     /* foreign.c */
repair_fn node_nvidia_driver, node_nvidia_headers, node_nvidia_uvm, node_nvidia_boot;            /* node_nvidia.c */
/* The path of the render node that the card will have when the planned steps gave it to the node's driver; NULL: it
 * cannot be told beforehand. */
const char *node_driver_render(struct route *route);
/* A file of ours as it stands: "" where there is none; NULL: something else stands there, which is refused. */
const char *node_driver_own_text(struct route *route, const char *because, const char *path);
/* NVIDIA's own driver gets the card at the next boot, and the CT its nodes; what else has the card is away by then.
 * False: refused. */
bool node_nvidia_takes(struct route *route, const struct finding *finding);
/* Is it planned: the driver's packages; nvidia-uvm with its nodes? */
bool node_nvidia_installs(const struct route *route);
bool node_nvidia_makes_uvm(const struct route *route);
/* The node that the card will have by these steps; NULL: it cannot be told beforehand, or is not planned. */
const char *node_nvidia_path(const struct route *route);
/* For the running kernel NVIDIA's module is built already; into the next one the boot would come without it. */
bool node_nvidia_lacks_headers(const struct route *route);
/* raw_lines.c: steps that take the raw lxc lines away which give this card and nothing else; what stays of those that
 * give it is noted. False: there is none. */
bool raw_lines_remove(struct route *route);
/* Is that node given by a raw line which the goal takes away? */
bool raw_lines_give(const struct route *route, const char *path);
/* Neither a template, nor of unknown state, nor with lines that PVE would drop; else it says so under that rule. */
void route_guest_fits(struct route *route, const char *rule); /* route_vm.c */
void create_vm(struct route *route);                          /* create.c: vm/new */
/* foresee.c: the driver that the next boot will give the device to, with these files in their places (and their
 * initramfs), with vfio-pci in the initramfs and with the words asked for so far; NONE: none; NULL: it cannot be told.
 * edits NULL: as the machine is set up now. */
const char *route_foresees(struct route *route, const struct edits *edits, const struct pci_device *device);
/* Is it vfio-pci? */
enum tri route_foresees_vfio(struct route *route, const struct edits *edits, const struct pci_device *device);
/* foreign.c: the files of /etc/modprobe.d without the lines of others that keep the card from its own driver; those in
 * which that cannot be told line by line are not among them. */
struct edits foreign_edits(struct route *route);
/* Refused, with the lines, where the goal does not accept gpu.blacklist. */
void foreign_comment_out(struct route *route, const struct edits *edits);
/* loader.c: the words that were asked for become a file and a step of the boot loader; `copy`: the loader has copies of
 * the initramfs that must be made again. */
void loader_finish(struct route *route, bool copy);

/* ---- small things ---- */
#define PLAN_SYSTEMD "/etc/systemd/system/"
/* Over canonical JSON (sorted keys, no blanks). */
const char *plan_document_digest(const json_t *document, struct arena *arena); /* plan_json.c */
const char *plan_own_digest(const struct plan *plan, struct arena *arena);
const char *plan_facts_digest(const struct facts *facts, const struct gpu *gpu, const struct guest *guest,
        struct arena *arena);                                             /* plan_digest.c */
const char *plan_goal_text(const struct goal *goal, struct arena *arena); /* goal_text.c */
bool plan_running(const struct guest *guest);
/* "sha256:HEX" */
const char *plan_sum(struct bytes bytes, struct arena *arena);
