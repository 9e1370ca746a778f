/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A new VM, as the goal's block new: has it. Half a VM is made anew; one that was never started is removed again, any
 * other one is left.
 * Sources: qemu-server PVE/API2/Qemu.pm (create_vm, destroy_vm, resize_vm); pve-docs qm.adoc (cloud-init, EFI disk).
 */
#include <errno.h>
#include <string.h>

#include "exec/command.h"
#include "exec/guest.h"
#include "exec/journal.h"
#include "exec/steps.h"

enum { SUM_MS = 10 * 60 * 1000, CREATE_MS = 30 * 60 * 1000, DESTROY_MS = 5 * 60 * 1000 };

bool exec_goal(struct step_run *run, struct arena *arena, struct err *err, struct goal *ret)
{
	struct bytes text;
	struct plan plan;
	const char *path = arena_printf(arena, "%s/plan.json", run->folder ? run->folder : "");
	int error = run->folder ? world_read(run->exec->node, path, 0, arena, &text) : ENOENT;
	if (error)
		return err_errno(err, error, "%s", path);
	if (!plan_parse(text, path, arena, err, &plan))
		return false;
	const char *goal = plan.goal ? plan.goal : "";
	return goal_parse((struct bytes){ goal, strlen(goal) }, "the run's goal", arena, err, ret);
}

/* ---- paths that the goal may shorten ----------------------------------------------------------- */

static const char *image_path(struct step_run *run, const char *image, struct arena *arena)
{
	/* pve-storage: where a storage "local" keeps images to import (8.4 and later), and ISOs */
	static const char *const folders[] = { "/var/lib/vz/import", "/var/lib/vz/template/iso", NULL };
	for (size_t i = 0; *image != '/' && folders[i]; i++) {
		const char *path = arena_printf(arena, "%s/%s", folders[i], image);
		if (world_exists(run->exec->node, path) == YES)
			return path;
	}
	return image;
}

static const char *key_path(const char *path, struct arena *arena)
{
	return text_starts(path, "~/") ? arena_printf(arena, "/root/%s", path + 2) : path;
}

/* ---- is it there, and whole? ------------------------------------------------------------------- */

static bool disk_is_grown(const struct step_guest *guest, const struct goal *goal, struct arena *arena)
{
	const char *disk = pve_value_next(&guest->parsed, "scsi0");
	if (goal->create.disk_gib == UNKNOWN_NUMBER || !disk)
		return disk != NULL;
	struct pve_properties set = pve_parse_properties(disk, "file", arena);
	const char *size = pve_property(&set, "size");
	return size && strcmp(size, arena_printf(arena, "%lldG", (long long)goal->create.disk_gib)) == 0;
}

/* NONE; "partial"; "created". */
static bool create_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct step_guest guest;
	struct goal goal;
	struct err ignored = { 0 };
	if (!exec_guest(run, arena, &guest))
		return false;
	bool whole = guest.there && strcmp(guest.parsed.lock ? guest.parsed.lock : NONE, "create") != 0;
	if (whole && exec_goal(run, arena, &ignored, &goal))
		whole = disk_is_grown(&guest, &goal, arena);
	*ret = !guest.there ? NONE : whole ? "created" : "partial";
	return true;
}

/* ---- taking it away: only what nobody has ever started ------------------------------------------ */

/* The run's own notes say so; where they cannot be read it may have been. */
static bool was_started(struct step_run *run, struct arena *arena)
{
	struct journal journal;
	struct err ignored = { 0 };
	const char *slash = run->folder ? strrchr(run->folder, '/') : NULL;
	if (!slash || !journal_open(run->exec->node, slash + 1, arena, &ignored, &journal))
		return true;
	for (size_t i = 0; i < journal.plan.n; i++) {
		const struct step *step = &journal.plan.steps[i];
		if (strcmp(step->kind, "power") == 0 && strcmp(step->on, run->step->on) == 0 && journal.steps[i].begun)
			return true;
	}
	return false;
}

static bool take_away(struct step_run *run, const struct step_guest *guest)
{
	/* a create that was cut leaves its lock, and that is ours */
	bool locked = guest->parsed.lock && strcmp(guest->parsed.lock, "create") == 0;
	const char *const plain[] = { "qm", "destroy", guest->id, "--purge", "1", NULL };
	const char *const cut[] = { "qm", "destroy", guest->id, "--purge", "1", "--skiplock", "1", NULL };
	return exec_command(run, locked ? cut : plain, DESTROY_MS);
}

static bool create_undo(struct step_run *run, const char *old, const char *blob)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct step_guest guest;
	(void)blob;
	if (!exec_guest(run, &scratch, &guest))
		return false;
	/* left: it may hold what someone has put into it since */
	return *old || !guest.there || was_started(run, &scratch) || take_away(run, &guest);
}

/* ---- making it --------------------------------------------------------------------------------- */

static bool image_is_known(struct step_run *run, const char *path, const char *wanted, struct arena *arena)
{
	const char *const argv[] = { "sha256sum", "--", path, NULL };
	struct bytes said;
	if (!exec_output(run, argv, SUM_MS, arena, &said))
		return false;
	if (said.size >= 64 && strncmp(said.data, wanted, 64) == 0)
		return true;
	err_set(run->err, ERR_INPUT, "%s is not the image that the goal names: its SHA-256 is %.64s", path, said.data);
	return err_hint(run->err, "get the image again, or correct sha256: in the goal");
}

static const char *number_or(int64_t number, const char *otherwise, struct arena *arena)
{
	return number == UNKNOWN_NUMBER ? otherwise : arena_printf(arena, "%lld", (long long)number);
}

static bool make(struct step_run *run, const struct step_guest *guest, const struct goal *goal, struct arena *arena)
{
	const char *image = image_path(run, goal->create.image, arena), *storage = goal->create.storage;
	const char *memory = number_or(goal->create.memory_mib, "4096", arena);
	const char *cores = number_or(goal->create.cores, "4", arena);
	if (!image_is_known(run, image, goal->create.sha256, arena))
		return false;
	const char *const argv[] = { "qm", "create", guest->id, "--name", arena_printf(arena, "gpu-%s", guest->id),
		"--ostype", "l26", "--machine", "q35", "--bios", "ovmf", "--efidisk0",
		arena_printf(arena, "%s:1,efitype=4m,pre-enrolled-keys=0", storage), "--scsihw", "virtio-scsi-single",
		"--scsi0", arena_printf(arena, "%s:0,import-from=%s,discard=on,iothread=1", storage, image), "--ide2",
		arena_printf(arena, "%s:cloudinit", storage), "--boot", "order=scsi0", "--net0",
		arena_printf(arena, "virtio,bridge=%s", goal->create.bridge), "--memory", memory, "--balloon", "0",
		"--cores", cores, "--cpu", "host", "--agent", "enabled=1", "--serial0", "socket", "--ipconfig0",
		"ip=dhcp", "--sshkeys", key_path(goal->create.ssh_key, arena), NULL };
	return exec_command(run, argv, CREATE_MS);
}

static bool grow(struct step_run *run, const struct step_guest *guest, const struct goal *goal, struct arena *arena)
{
	if (goal->create.disk_gib == UNKNOWN_NUMBER)
		return true;
	const char *size = arena_printf(arena, "%lldG", (long long)goal->create.disk_gib);
	const char *const argv[] = { "qm", "disk", "resize", guest->id, "scsi0", size, NULL };
	return exec_command(run, argv, DESTROY_MS);
}

static bool create_apply(struct step_run *run)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct step_guest guest;
	struct goal goal;
	const char *state;
	if (!exec_guest(run, &scratch, &guest) || !create_state(run, &scratch, &state) ||
	        !exec_goal(run, &scratch, run->err, &goal))
		return false;
	if (strcmp(state, "created") == 0)
		return true;
	if (guest.kind != GUEST_VM || !goal.create.image || !goal.create.sha256 || !goal.create.storage ||
	        !goal.create.bridge || !goal.create.ssh_key)
		return err_set(run->err, ERR_INPUT, "the goal's block new: does not say how %s is made", run->step->on);
	if (*state && !take_away(run, &guest))
		return false;
	return make(run, &guest, &goal, &scratch) && grow(run, &guest, &goal, &scratch);
}

const struct step_ops step_create = {
	.kind = "create",
	.state = create_state,
	.apply = create_apply,
	.undo = create_undo,
};
