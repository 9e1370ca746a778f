/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Snapshots of a guest, and whether its inside answers. Sources: pve-guest-common PVE/AbstractConfig.pm, qemu-server
 * PVE/CLI/qm.pm.
 */
#include <errno.h>
#include <string.h>

#include "exec/command.h"
#include "exec/guest.h"
#include "exec/steps.h"
#include "sys/hop.h"

enum { SNAPSHOT_MS = 10 * 60 * 1000 };
enum { REACH_TRIES = 60, REACH_MS = 20 * 1000 }; /* with 5 seconds between them: about 5 minutes for a boot */

bool exec_guest(struct step_run *run, struct arena *arena, struct step_guest *ret)
{
	const char *on = run->step->on;
	bool vm = text_starts(on, "vm/"), ct = text_starts(on, "ct/");
	uint64_t id;
	struct bytes text;
	if ((!vm && !ct) || !text_number(on + 3, 10, 999999999, &id))
		return err_set(run->err, ERR_INPUT, "%s is no guest", on);
	struct step_guest guest = { .kind = vm ? GUEST_VM : GUEST_CT, .tool = vm ? "qm" : "pct" };
	guest.id = arena_printf(arena, "%llu", (unsigned long long)id);
	guest.file = arena_printf(arena, "/etc/pve/%s/%s.conf", vm ? "qemu-server" : "lxc", guest.id);
	int error = world_read(run->exec->node, guest.file, 0, arena, &text);
	if (error && error != ENOENT)
		return err_set(run->err, ERR_SYSTEM, "reading %s: %s", guest.file, world_why(error));
	guest.there = !error;
	if (guest.there)
		pve_parse_guest(text, guest.kind, arena, &guest.parsed);
	*ret = guest;
	return true;
}

static bool must_be_there(struct step_run *run, const struct step_guest *guest)
{
	return guest->there || err_set(run->err, ERR_SYSTEM, "there is no %s", guest->file);
}

/* ---- snapshot ------------------------------------------------------------------------------------ */

/* A configid, as PVE names snapshots. */
static bool name_is_sound(struct step_run *run)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	const char *key = run->step->key;
	if (*key && !strchr("0123456789_-", *key) && !key[strspn(key, letters)])
		return true;
	return err_set(run->err, ERR_INPUT, "this is no name of a snapshot: %s", key);
}

/* snapstate: qm was cut off while it made or dropped it, and has left its lock too. */
static bool is_half(const struct pve_section *section)
{
	for (size_t i = 0; i < section->n; i++)
		if (section->lines[i].key && strcmp(section->lines[i].key, "snapstate") == 0)
			return true;
	return false;
}

/* NONE; "partial"; "taken". */
static bool snapshot_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct step_guest guest;
	if (!name_is_sound(run) || !exec_guest(run, arena, &guest))
		return false;
	*ret = NONE;
	for (size_t i = 0; guest.there && i < guest.parsed.n_sections; i++) {
		const struct pve_section *section = &guest.parsed.sections[i];
		if (section->kind == SECTION_SNAPSHOT && strcmp(section->name, run->step->key) == 0)
			*ret = is_half(section) ? "partial" : "taken";
	}
	return true;
}

/* Half a snapshot is dropped by force, and only its own lock is taken away before. */
static bool drop(struct step_run *run, const struct step_guest *guest, bool half)
{
	const char *key = run->step->key, *lock = guest->parsed.lock ? guest->parsed.lock : NONE;
	const char *const unlock[] = { guest->tool, "unlock", guest->id, NULL };
	const char *const whole[] = { guest->tool, "delsnapshot", guest->id, key, NULL };
	const char *const force[] = { guest->tool, "delsnapshot", guest->id, key, "--force", "1", NULL };
	bool ours = strcmp(lock, "snapshot") == 0 || strcmp(lock, "snapshot-delete") == 0;
	if (half && ours && !exec_command(run, unlock, SNAPSHOT_MS))
		return false;
	return exec_command(run, half ? force : whole, SNAPSHOT_MS);
}

static bool snapshot_apply(struct step_run *run)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct step_guest guest;
	const char *now;
	if (!snapshot_state(run, &scratch, &now) || !exec_guest(run, &scratch, &guest) || !must_be_there(run, &guest))
		return false;
	bool half = strcmp(now, "partial") == 0;
	if (*now && !half)
		return true;
	if (half && !drop(run, &guest, true))
		return false;
	const char *const argv[] = { guest.tool, "snapshot", guest.id, run->step->key, "--description",
		"before gpuferry", NULL };
	return exec_command(run, argv, SNAPSHOT_MS);
}

static bool snapshot_undo(struct step_run *run, const char *old, const char *blob)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct step_guest guest;
	const char *now;
	(void)blob;
	if (!snapshot_state(run, &scratch, &now) || !exec_guest(run, &scratch, &guest))
		return false;
	return *old || !*now || drop(run, &guest, strcmp(now, "partial") == 0);
}

const struct step_ops step_snapshot = {
	.kind = "snapshot",
	.state = snapshot_state,
	.apply = snapshot_apply,
	.undo = snapshot_undo,
};

/* ---- reach: does its inside answer? -------------------------------------------------------------- */

/* The way that the goal names, else the guest agent or pct. */
static bool hop_to(struct step_run *run, const struct step_guest *guest, struct arena *arena, struct hop *ret)
{
	struct goal goal;
	struct err ignored = { 0 };
	if (exec_goal(run, arena, &ignored, &goal) && goal.reach && text_starts(goal.reach, "ssh:"))
		return hop_parse_ssh(goal.reach, arena, run->err, ret);
	*ret = (struct hop){ guest->kind == GUEST_VM ? HOP_QM : HOP_PCT, guest->id };
	return true;
}

static bool answers(struct step_run *run, const struct hop *hop, struct arena *arena)
{
	static const char *const argv[] = { "true", NULL };
	const struct command inner = { .argv = argv, .deadline_ms = REACH_MS };
	struct command outer = hop_wrap(hop, &inner, arena);
	struct outcome outcome = { 0 }, ret = { 0 };
	struct err ignored = { 0 };
	return world_run(run->exec->node, &outer, arena, &outcome) == 0 && !outcome.timed_out &&
	       hop_unwrap(hop, &outcome, arena, &ignored, &ret) && ret.status == 0;
}

static bool reach_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct step_guest guest;
	struct hop hop;
	if (!exec_guest(run, arena, &guest) || !hop_to(run, &guest, arena, &hop))
		return false;
	*ret = guest.there && answers(run, &hop, arena) ? "yes" : "no";
	return true;
}

static bool reach_apply(struct step_run *run)
{
	static const char *const nap[] = { "sleep", "5", NULL };
	for (unsigned i = 0; i < REACH_TRIES; i++) {
		struct arena scratch ARENA_SCOPED = { 0 };
		struct outcome ignored = { 0 };
		const char *state;
		if (!reach_state(run, &scratch, &state))
			return false;
		if (strcmp(state, "yes") == 0)
			return true;
		world_run(run->exec->node, &(struct command){ .argv = nap }, &scratch, &ignored);
	}
	err_set(run->err, ERR_SYSTEM, "%s does not answer inside after five minutes", run->step->on);
	return err_hint(run->err, "a VM needs qemu-guest-agent inside, or reach: ssh://... in the goal");
}

const struct step_ops step_reach = { .kind = "reach", .state = reach_state, .apply = reach_apply };
