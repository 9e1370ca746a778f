/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Snapshots of guests. Source: pve-guest-common PVE/AbstractConfig.pm (snapshot_create, snapshot_rollback,
 * snapshot_delete), PVE/GuestHelpers.pm (print_snapshot_tree), pve-storage volume_has_feature; sessions s1, s3, s5.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rehearse/pve.h"

/* ---- can its volumes? ---- */

static enum tri storage_can(struct rehearse *rehearse, const char *volume)
{
	const char *text = model_text(rehearse, "/etc/pve/storage.cfg"), *colon = strchr(volume, ':');
	struct pve pve = { 0 };
	if (text)
		pve_parse_storages((struct bytes){ text, strlen(text) }, rehearse->arena, &pve);
	for (size_t i = 0; colon && i < pve.n_storages; i++)
		if (strncmp(pve.storages[i].id, volume, (size_t)(colon - volume)) == 0 &&
		        !pve.storages[i].id[colon - volume])
			return pve.storages[i].snapshots;
	return UNKNOWN;
}

static bool is_volume(const struct pve_file *file, const struct pve_key *key)
{
	static const char *const vm[] = { "efidisk", "scsi", "virtio", "sata", "ide", "tpmstate" };
	static const char *const ct[] = { "rootfs", "mp" };
	const char *const *stems = file->kind == GUEST_CT ? ct : vm;
	size_t n = file->kind == GUEST_CT ? 2 : 6;
	if (strstr(key->value, "media=cdrom") || !strchr(key->value, ':'))
		return false;
	for (size_t i = 0; i < n; i++)
		if (text_starts(key->name, stems[i]) && strcmp(key->name, "scsihw") != 0)
			return true;
	return false;
}

static bool can_snapshot(struct rehearse *rehearse, const struct pve_file *file)
{
	for (size_t i = 0; i < file->active.n; i++) {
		const struct pve_key *key = &file->active.key[i];
		const char *name = MODEL_PRINT(rehearse, "%.*s", (int)strcspn(key->value, ","), key->value);
		if (is_volume(file, key) && !text_ends(name, ".qcow2") && storage_can(rehearse, name) != YES)
			return false;
	}
	return true;
}

/* ---- the verbs ---- */

static void say_volumes(struct model_call *call, const struct pve_file *file)
{
	/* disks by their kind, the EFI disk behind them, as foreach_volume goes */
	for (int efi = 0; efi < 2; efi++)
		for (size_t i = 0; file->kind == GUEST_VM && i < file->active.n; i++) {
			const struct pve_key *key = &file->active.key[i];
			if (!is_volume(file, key) || text_starts(key->name, "efidisk") != (efi == 1))
				continue;
			model_out(call, "snapshotting 'drive-%s' (%.*s)\n", key->name, (int)strcspn(key->value, ","),
			        key->value);
			if (pve_version(call->rehearse) >= 9 && pve_pid(call->rehearse, GUEST_VM, file->id))
				model_out(call, "internal qemu snapshot\n");
		}
}

int pve_take_snapshot(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct arena *arena = call->rehearse->arena;
	struct pve_file file;
	const char *name = arguments->plain.word[1], *text = pve_argument(arguments, "description");
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	if (pve_locked(call, &file))
		return PVE_DIED;
	if (pve_snapshot(&file, name))
		return pve_die(call, "snapshot name '%s' already used", name);
	if (strcmp(name, "current") == 0 || strlen(name) > 40)
		return pve_die(call, "unable to use snapshot name '%s' (reserved or too long)", name);
	if (!can_snapshot(call->rehearse, &file))
		return pve_die(call, "snapshot feature is not available");
	/* prepared under a lock, then committed: two effects, and what a cut between them leaves are both marks */
	struct pve_part taken = pve_copy(arena, &file.active);
	taken.name = name;
	taken.text = text;
	pve_put(arena, &taken, "snapstate", "prepare");
	pve_put(arena, &taken, "snaptime", MODEL_PRINT(call->rehearse, "%lld", (long long)call->rehearse->clock));
	pve_put(arena, &file.active, "lock", "snapshot");
	size_t at = 0;
	(void)arena_push(arena, file.snapshot, file.n_snapshots);
	for (at = file.n_snapshots - 1; at && strcmp(file.snapshot[at - 1].name, name) > 0; at--)
		file.snapshot[at] = file.snapshot[at - 1];
	file.snapshot[at] = taken;
	if (!pve_store(call, &file))
		return PVE_DIED;
	say_volumes(call, &file);
	pve_put(arena, &file.snapshot[at], "snapstate", NULL);
	pve_put(arena, &file.active, "lock", NULL);
	pve_put(arena, &file.active, "parent", name);
	return pve_store(call, &file) ? 0 : PVE_DIED;
}

int pve_drop_snapshot(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct arena *arena = call->rehearse->arena;
	struct pve_file file;
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	struct pve_part *part = pve_snapshot(&file, arguments->plain.word[1]);
	const char *parent = pve_get(&file.active, "parent");
	if (pve_locked(call, &file))
		return PVE_DIED;
	if (!part)
		return pve_die(call, "snapshot '%s' does not exist", arguments->plain.word[1]);
	const char *above = pve_get(part, "parent");
	pve_put(arena, part, "snapstate", "delete");
	pve_put(arena, &file.active, "lock", "snapshot-delete");
	if (!pve_store(call, &file))
		return PVE_DIED;
	pve_put(arena, &file.active, "lock", NULL);
	if (parent && strcmp(parent, part->name) == 0)
		pve_put(arena, &file.active, "parent", above);
	for (size_t i = 0; i < file.n_snapshots; i++) {
		const char *mine = pve_get(&file.snapshot[i], "parent");
		if (mine && strcmp(mine, part->name) == 0)
			pve_put(arena, &file.snapshot[i], "parent", above);
	}
	memmove(part, part + 1, (size_t)(file.snapshot + --file.n_snapshots - part) * sizeof *part);
	return pve_store(call, &file) ? 0 : PVE_DIED;
}

int pve_back_to_snapshot(
        struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct rehearse *rehearse = call->rehearse;
	struct pve_file file;
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	struct pve_part *part = pve_snapshot(&file, arguments->plain.word[1]);
	if (!part)
		return pve_die(call, "snapshot '%s' does not exist", arguments->plain.word[1]);
	if (pve_locked(call, &file))
		return PVE_DIED;
	/* stopped first, and the disks go back as well: what was written since is gone */
	int status = pve_pid(rehearse, kind, id) ? pve_stop(call, kind, id, false) : 0;
	if (status)
		return status;
	pve_put(rehearse->arena, &file.active, "lock", "rollback");
	if (!pve_store(call, &file))
		return PVE_DIED;
	int error = model_effect(rehearse, "volumes of %u go back to %s", id, part->name);
	if (model_failed(call, error, "qemu-img"))
		return PVE_DIED;
	const char *text = file.active.text;
	file.active = pve_copy(rehearse->arena, part);
	file.active.text = text;
	pve_put(rehearse->arena, &file.active, "snaptime", NULL);
	pve_put(rehearse->arena, &file.active, "parent", part->name);
	if (kind == GUEST_VM)
		pve_put(rehearse->arena, &file.active, "vmgenid", pve_uuid(rehearse));
	file.pending = (struct pve_part){ 0 };
	if (!pve_store(call, &file))
		return PVE_DIED;
	const char *start = pve_argument(arguments, "start");
	return start && pve_boolean(start) == YES ? pve_start(call, kind, id) : 0;
}

/* ---- the tree ---- */

static void tree_line(struct model_call *call, size_t depth, const char *name, const char *when, const char *what)
{
	const char *left = MODEL_PRINT(call->rehearse, "%*s`-> %s", (int)depth, "", name);
	model_out(call, "%-31s %-23s %s\n", left, when, what);
}

static void tree_below(struct model_call *call, struct pve_file *file, const char *parent, size_t depth)
{
	for (size_t i = 0; i < file->n_snapshots && depth < 64; i++) {
		const struct pve_part *part = &file->snapshot[i];
		const char *mine = pve_get(part, "parent"), *taken = pve_get(part, "snaptime");
		time_t when = taken ? (time_t)strtoll(taken, NULL, 10) : 0;
		struct tm parts;
		char shown[32] = "";
		if (strcmp(mine ? mine : "", parent) != 0)
			continue;
		if (gmtime_r(&when, &parts))
			strftime(shown, sizeof shown, "%F %T", &parts);
		tree_line(call, depth, part->name, shown, part->text ? part->text : "no-description");
		tree_below(call, file, part->name, depth + 1);
	}
	const char *now = pve_get(&file->active, "parent");
	if (strcmp(now ? now : "", parent) == 0)
		tree_line(call, depth, "current", "", "You are here!");
}

int pve_list_snapshots(
        struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct pve_file file;
	(void)arguments;
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	tree_below(call, &file, "", 0);
	return 0;
}
