/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "exec/esp.h"

#include <string.h>

#include "exec/command.h"

#define UUIDS "/etc/kernel/proxmox-boot-uuids"
#define MOUNT "/run/gpuferry/esp"

enum { REFRESH_MS = 10 * 60 * 1000, MOUNT_MS = 30 * 1000 };

enum tri esp_configured(struct step_run *run)
{
	enum tri there = world_exists(run->exec->node, UUIDS);
	if (there == UNKNOWN)
		err_set(run->err, ERR_UNKNOWN, "whether there is %s cannot be told", UUIDS);
	return there;
}

static bool unmount(struct step_run *run)
{
	static const char *const argv[] = { "umount", MOUNT, NULL };
	return exec_command(run, argv, MOUNT_MS);
}

static bool look_mounted(struct step_run *run, const char *uuid, esp_fn *look, void *data)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct err ignored = { 0 };
	struct step_run quiet = { run->exec, run->step, run->folder, &ignored };
	const char *device = arena_printf(&scratch, "/dev/disk/by-uuid/%s", uuid);
	const char *const argv[] = { "mount", "-t", "vfat", "-o", "ro,nodev,nosuid,noexec", device, MOUNT, NULL };
	int error = world_mkdir(run->exec->node, MOUNT, 0700);
	if (error)
		return err_errno(run->err, error, "making %s", MOUNT);
	if (!exec_command(run, argv, MOUNT_MS))
		return err_wrap(run->err, "looking into ESP %s", uuid);
	if (look(run, MOUNT, uuid, data))
		return unmount(run);
	unmount(&quiet);
	return false;
}

/* One that a run that was killed left mounted there would hide the next. */
static void unmount_left(struct step_run *run, struct arena *arena)
{
	struct err ignored = { 0 };
	struct step_run quiet = { run->exec, run->step, run->folder, &ignored };
	struct bytes mounts;
	if (world_read(run->exec->node, "/proc/mounts", 0, arena, &mounts) == 0 && strstr(mounts.data, " " MOUNT " "))
		unmount(&quiet);
}

bool esp_look(struct step_run *run, esp_fn *look, void *data)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct boot boot = { 0 };
	unmount_left(run, &scratch);
	boot_gather_loader(run->exec->node, &scratch, &boot, NULL, NULL);
	if (!boot.n_esps)
		return err_set(run->err, ERR_INPUT, "%s names no ESP", UUIDS);
	for (size_t i = 0; i < boot.n_esps; i++) {
		const struct esp *esp = boot.esps + i;
		if (esp->mounted == YES ? !look(run, esp->mountpoint, esp->uuid, data)
		                        : !look_mounted(run, esp->uuid, look, data))
			return false;
	}
	return true;
}

bool esp_failed(struct step_run *run)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct boot boot = { 0 };
	boot_gather_loader(run->exec->node, &scratch, &boot, NULL, NULL);
	for (size_t i = 0; i < boot.n_esps; i++)
		if (boot.esps[i].mounted != YES)
			return err_hint(run->err, "if dmesg tells of a damaged FAT: fsck.fat -a /dev/disk/by-uuid/%s, then again",
			        boot.esps[i].uuid);
	return false;
}

/* One that was mounted for this alone is on disk once it is unmounted; one that is mounted elsewhere is not. */
bool esp_refresh(struct step_run *run)
{
	static const char *const refresh[] = { "proxmox-boot-tool", "refresh", NULL };
	struct arena scratch ARENA_SCOPED = { 0 };
	struct boot boot = { 0 };
	if (!exec_command(run, refresh, REFRESH_MS))
		return esp_failed(run);
	boot_gather_loader(run->exec->node, &scratch, &boot, NULL, NULL);
	for (size_t i = 0; i < boot.n_esps; i++) {
		const char *const sync[] = { "sync", "-f", boot.esps[i].mountpoint, NULL };
		if (boot.esps[i].mounted == YES && !exec_command(run, sync, REFRESH_MS))
			return false;
	}
	return true;
}
