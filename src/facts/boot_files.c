/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The files that steer a boot, byte for byte, and the room on the file systems they lie on: what a plan leans on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "facts/boot.h"

enum {
	FILES_MAX = 512,
	FILE_MAX = 1024 * 1024,
	DF_FIELDS = 5,
	DF_MS = 10000,
	FSCK_MS = 10000,
	FAT_CLUSTER_MAX = 1024 * 1024
};

struct collecting {
	struct world *world;
	struct arena *arena;
	struct boot *boot;
	blind_fn *blind;
	void *data;
};

static void add_file(struct collecting *collecting, const char *path)
{
	struct boot *boot = collecting->boot;
	struct boot_file file = { .path = path };
	struct world_stat stat = { 0 };
	int error = world_stat(collecting->world, path, &stat);
	if (error == ENOENT || error == ENODATA || boot->n_files == FILES_MAX ||
	        (!error && stat.type != NODE_FILE && stat.type != NODE_UNKNOWN))
		return;
	file.mode = stat.mode;
	file.uid = stat.uid;
	file.gid = stat.gid;
	file.error = error ? error : world_read(collecting->world, path, FILE_MAX, collecting->arena, &file.data);
	if (file.error && collecting->blind)
		collecting->blind(collecting->data, file.error, path);
	*arena_push(collecting->arena, boot->files, boot->n_files) = file;
}

static struct words add_folder(struct collecting *collecting, const char *path)
{
	struct boot *boot = collecting->boot;
	struct boot_folder folder = { .path = path };
	int error = world_list(collecting->world, path, collecting->arena, &folder.names);
	if (error && error != ENOENT && error != ENODATA && error != ENOTDIR && collecting->blind)
		collecting->blind(collecting->data, error, path);
	folder.there = !error ? YES : error == ENOENT ? NO : UNKNOWN;
	if (error)
		folder.names = (struct words){ 0 };
	*arena_push(collecting->arena, boot->folders, boot->n_folders) = folder;
	return folder.names;
}

static void add_folder_files(struct collecting *collecting, const char *path)
{
	struct words names = add_folder(collecting, path);
	for (size_t i = 0; i < names.n; i++)
		add_file(collecting, arena_printf(collecting->arena, "%s/%s", path, names.word[i]));
}

/* Names alone: what other units say, secrets perhaps, is nothing to us. */
static void add_units(struct collecting *collecting)
{
	static const char system[] = "/etc/systemd/system";
	struct words names = add_folder(collecting, system);
	for (size_t i = 0; i < names.n; i++)
		if (text_ends(names.word[i], ".wants") || text_ends(names.word[i], ".requires"))
			add_folder(collecting, arena_printf(collecting->arena, "%s/%s", system, names.word[i]));
}

static bool take_number(const char *text, int64_t *ret)
{
	uint64_t number;
	if (!text_number(text, 10, INT64_MAX, &number))
		return false;
	*ret = (int64_t)number;
	return true;
}

/* "/dev/sda1 102400 2048 100352 2% /boot/efi": the mount point is all behind the fifth field, blanks in it too. */
void boot_parse_df(struct bytes text, struct arena *arena, struct boot *ret)
{
	size_t cursor = 0;
	struct bytes line;
	while (text_line(text, &cursor, &line)) {
		const char *whole = text_trimmed(arena, line), *on = whole;
		struct words fields = text_split(arena, whole, " \t");
		struct file_system system = { 0 };
		if (fields.n <= DF_FIELDS || !take_number(fields.word[1], &system.size_kib) ||
		        !take_number(fields.word[3], &system.free_kib))
			continue;
		for (size_t i = 0; i < DF_FIELDS; i++) {
			on += strcspn(on, " \t");
			on += strspn(on, " \t");
		}
		system.on = on;
		if (*on == '/')
			*arena_push(arena, ret->file_systems, ret->n_file_systems) = system;
	}
}

/* The last number in front of where `at` points; -1: none. */
static int64_t number_before(const char *begin, const char *at)
{
	const char *from = at;
	uint64_t number;
	while (from > begin && from[-1] >= '0' && from[-1] <= '9')
		from--;
	char digits[24] = "";
	if (from < at && (size_t)(at - from) < sizeof digits)
		memcpy(digits, from, (size_t)(at - from));
	return text_number(digits, 10, INT64_MAX, &number) ? (int64_t)number : UNKNOWN_NUMBER;
}

int64_t boot_parse_fat(struct bytes text)
{
	static const char size_ends[] = " bytes per cluster", sum_ends[] = " clusters";
	struct arena scratch ARENA_SCOPED = { 0 };
	int64_t size = UNKNOWN_NUMBER, used = UNKNOWN_NUMBER, all = UNKNOWN_NUMBER;
	struct bytes line;
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		const char *plain = text_trimmed(&scratch, line), *slash = strrchr(plain, '/');
		if (text_ends(plain, size_ends)) {
			size = number_before(plain, plain + strlen(plain) - strlen(size_ends));
		} else if (text_ends(plain, sum_ends) && strstr(plain, " files, ") && slash) {
			used = number_before(plain, slash);
			all = number_before(slash, plain + strlen(plain) - strlen(sum_ends));
		}
	}
	if (size <= 0 || size > FAT_CLUSTER_MAX || used < 0 || all < used || all > UINT32_MAX)
		return UNKNOWN_NUMBER;
	return (all - used) * size / 1024;
}

/* Not mounted for it: what is not mounted is counted by dosfstools (which proxmox-boot-tool needs), reading only. Its
 * exit status is that of the file system's health. */
static int64_t esp_space(struct collecting *collecting, const struct esp *esp)
{
	const char *device = arena_printf(collecting->arena, "/dev/disk/by-uuid/%s", esp->uuid);
	const char *const argv[] = { "fsck.fat", "-n", "-v", device, NULL };
	const struct command command = { .argv = argv, .deadline_ms = FSCK_MS };
	struct outcome outcome = { 0 };
	if (esp->mounted == YES)
		return boot_free_kib(collecting->boot, esp->mountpoint);
	int error = world_run(collecting->world, &command, collecting->arena, &outcome);
	if (error && collecting->blind)
		collecting->blind(
		        collecting->data, error, arena_printf(collecting->arena, "fsck.fat -n -v %s", device));
	return error ? UNKNOWN_NUMBER : boot_parse_fat(outcome.out);
}

static void gather_space(struct collecting *collecting)
{
	static const char *const argv[] = { "df", "-Pk", NULL };
	struct outcome outcome;
	int error = world_run(collecting->world, &(struct command){ .argv = argv, .deadline_ms = DF_MS },
	        collecting->arena, &outcome);
	/* df ends with 1 where one file system of many did not answer: the others count */
	if (!error)
		boot_parse_df(outcome.out, collecting->arena, collecting->boot);
	else if (collecting->blind)
		collecting->blind(collecting->data, error, "df -Pk");
	for (size_t i = 0; i < collecting->boot->n_esps; i++)
		collecting->boot->esps[i].free_kib = esp_space(collecting, &collecting->boot->esps[i]);
}

void boot_gather_files(struct world *world, struct arena *arena, struct boot *ret, blind_fn *blind, void *data)
{
	static const char *const files[] = { "/etc/default/grub", "/etc/initramfs-tools/modules", "/etc/kernel/cmdline",
		"/etc/modules", NULL };
	static const char *const folders[] = { "/etc/default/grub.d", "/etc/initramfs-tools/conf.d",
		"/etc/initramfs-tools/hooks", "/etc/initramfs-tools/scripts/init-top", "/etc/modprobe.d",
		"/etc/modules-load.d", "/etc/udev/rules.d", NULL };
	struct collecting collecting = { world, arena, ret, blind, data };
	for (size_t i = 0; files[i]; i++)
		add_file(&collecting, files[i]);
	for (size_t i = 0; folders[i]; i++)
		add_folder_files(&collecting, folders[i]);
	add_units(&collecting);
	gather_space(&collecting);
	if (world_attribute(world, arena, &ret->boot_id, "/proc/sys/kernel/random/boot_id"))
		ret->boot_id = NULL;
}

const struct boot_file *boot_file_at(const struct boot *boot, const char *path)
{
	for (size_t i = 0; i < boot->n_files; i++)
		if (strcmp(boot->files[i].path, path) == 0)
			return &boot->files[i];
	return NULL;
}

static const struct boot_folder *folder_at(const struct boot *boot, const char *path, size_t size)
{
	for (size_t i = 0; i < boot->n_folders; i++)
		if (strncmp(boot->folders[i].path, path, size) == 0 && !boot->folders[i].path[size])
			return &boot->folders[i];
	return NULL;
}

/* What is below a folder that is not there is not there either. */
enum tri boot_there(const struct boot *boot, const char *path)
{
	const struct boot_folder *folder = folder_at(boot, path, strlen(path));
	const char *slash = path + strlen(path);
	if (folder)
		return folder->there;
	while ((slash = memrchr(path, '/', (size_t)(slash - path)))) {
		folder = folder_at(boot, path, (size_t)(slash - path));
		if (!folder)
			continue;
		size_t size = strcspn(slash + 1, "/");
		for (size_t i = 0; i < folder->names.n; i++)
			if (strncmp(folder->names.word[i], slash + 1, size) == 0 && !folder->names.word[i][size])
				return slash[1 + size] ? UNKNOWN : YES;
		return folder->there == UNKNOWN ? UNKNOWN : NO;
	}
	return UNKNOWN;
}

/* The longest mount point that the path begins with; of two alike the later, which lies above. */
int64_t boot_free_kib(const struct boot *boot, const char *path)
{
	int64_t free = UNKNOWN_NUMBER;
	size_t best = 0;
	for (size_t i = 0; i < boot->n_file_systems; i++) {
		const char *on = boot->file_systems[i].on;
		size_t size = strcmp(on, "/") == 0 ? 0 : strlen(on);
		if (strncmp(path, on, size) == 0 && (path[size] == '/' || !path[size]) && size >= best) {
			best = size;
			free = boot->file_systems[i].free_kib;
		}
	}
	return free;
}
