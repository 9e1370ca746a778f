/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A recorded machine that behaves: a world whose changes and commands have the effects they have on a Proxmox VE node.
 * It models the node and knows nothing of plans: what is typed into it succeeds and fails as on the real one (messages
 * from recorded transcripts).
 *
 * Every change and every part of a command is an effect, counted. A cut after effect N is a power cut: everything
 * answers EIO from then on, until rehearse_power. The disk keeps what was synced; of the rest either all or nothing.
 */
#pragma once
#include "sys/tape.h"

struct rehearse;

/* Takes over a copy of the tape; the tape itself stays as it is. err: what it lacks to behave (no /sys/bus/pci ...). */
struct rehearse *rehearse_open(const struct tape *tape, struct arena *arena, struct err *err);
/* The node. One world; its `changes` are those of this machine. Other targets through world_inside. */
struct world *rehearse_world(struct rehearse *rehearse);

/* ---- what goes wrong ---- */
unsigned long rehearse_effects(const struct rehearse *rehearse);   /* so far */
const char *rehearse_effect_name(const struct rehearse *rehearse); /* the last one: "sync /var/lib/...", "qm set 100" */
void rehearse_cut(struct rehearse *rehearse, unsigned long after); /* power goes after that many effects; 0: never */
enum rehearse_fault {
	FAULT_NONE,
	FAULT_ERRNO,   /* effects whose name matches answer this errno (ENOSPC, EIO, EROFS) */
	FAULT_COMMAND, /* a command that matches ends with status 255 and does nothing */
	FAULT_HANG,    /* a write or command that matches never ends: ETIMEDOUT */
	FAULT_NO_BOOT, /* the next reboot never comes up by itself */
	FAULT_OTHER,   /* none: someone else acts (rehearse_meanwhile) */
};
/* pattern: with * and ?, against effect names; times: how often (0: always). */
void rehearse_fault(
        struct rehearse *rehearse, enum rehearse_fault fault, const char *pattern, int error, unsigned times);
/* The same from the first'th match on (1: at once). */
void rehearse_fault_from(struct rehearse *rehearse, enum rehearse_fault fault, const char *pattern, int error,
        unsigned first, unsigned times);
/* Someone else acts, once, just before the first'th effect or command that matches. */
typedef void rehearse_other(void *data, struct rehearse *rehearse);
void rehearse_meanwhile(
        struct rehearse *rehearse, const char *pattern, unsigned first, rehearse_other *other, void *data);
/* Nothing goes wrong any more. How much of what was to come has not come even once. */
size_t rehearse_mend(struct rehearse *rehearse);
/* Someone else writes: not an effect of ours, at once on disk. */
bool rehearse_edit(struct rehearse *rehearse, const char *path, struct bytes content);

/* ---- power ---- */
enum rehearse_power { POWER_ON, POWER_CUT, POWER_REBOOTING };
enum rehearse_power rehearse_power_state(const struct rehearse *rehearse);
/* Boots: after a cut (keep: what was not synced is on disk all the same) or a reboot (all is). sysfs, /run and /proc
 * start anew, drivers as facts/predict computes them, guests with onboot start, enabled units run. */
bool rehearse_boot(struct rehearse *rehearse, bool keep, struct err *err);
/* What an enabled unit or a command named so does, besides what the machine knows itself: gpuferry's own programs,
 * without a process. The status is the command's. */
typedef int rehearse_program(void *data, struct world *node, const struct command *command);
void rehearse_install(struct rehearse *rehearse, const char *name, rehearse_program *program, void *data);
/* Moves a device to another address at the next boot (a card was added). */
void rehearse_move_device(struct rehearse *rehearse, const char *from, const char *to);

/* ---- looking at it ---- */
/* The machine as it is now. */
struct tape *rehearse_tape(struct rehearse *rehearse, struct arena *arena);
/* What is different, one sentence each: files by bytes, mode and owner, links, bindings, guests by values. Not
 * compared: times, /var/lib/gpuferry, /run, /proc, logs; of an initramfs only what it holds; boot_id. */
struct words rehearse_differences(const struct tape *left, const struct tape *right, struct arena *arena);
/* Writes it as a folder laid out as a root. */
bool rehearse_keep(struct rehearse *rehearse, const char *folder, struct err *err);
