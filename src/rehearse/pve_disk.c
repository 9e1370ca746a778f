/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Volumes that qm makes and removes. Sources: qemu-server PVE/API2/Qemu.pm (create_disks), PVE/QemuServer/Drive.pm,
 * PVE/QemuServer/OVMF.pm (528 KiB of variables), pve-storage PVE/Storage/Plugin.pm (names, formats); sessions s1, s2.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rehearse/pve.h"

enum { EFI_VARIABLES = 528 * 1024 };

static struct storage *storage_of(struct rehearse *rehearse, const char *id)
{
	const char *text = model_text(rehearse, "/etc/pve/storage.cfg");
	struct pve pve = { 0 };
	if (text)
		pve_parse_storages((struct bytes){ text, strlen(text) }, rehearse->arena, &pve);
	for (size_t i = 0; i < pve.n_storages; i++)
		if (strcmp(pve.storages[i].id, id) == 0)
			return &pve.storages[i]; // cppcheck-suppress returnDanglingLifetime
	return NULL;
}

static bool is_disk(const char *name)
{
	static const char *const stems[] = { "efidisk", "scsi", "virtio", "sata", "ide", "unused", "tpmstate", "rootfs",
		"mp" };
	for (size_t i = 0; i < sizeof stems / sizeof *stems; i++)
		if (text_starts(name, stems[i]) && (name[strlen(stems[i])] - '0' < 10 || !name[strlen(stems[i])]) &&
		        strcmp(name, "scsihw") != 0)
			return true;
	return false;
}

/* The next vm-ID-disk-N that no key names. */
static unsigned next_number(const struct pve_file *file, struct arena *arena)
{
	for (unsigned number = 0;; number++) {
		const char *name = arena_printf(arena, "-%u-disk-%u", file->id, number);
		bool used = false;
		const struct pve_part *parts[] = { &file->active, &file->pending };
		for (size_t i = 0; i < 2; i++)
			for (size_t j = 0; j < parts[i]->n; j++) {
				const char *at = strstr(parts[i]->key[j].value, name);
				used = used || (at && (at[strlen(name)] < '0' || at[strlen(name)] > '9'));
			}
		if (!used)
			return number;
	}
}

static const char *shown_size(struct arena *arena, uint64_t size)
{
	if (size % (1024u * 1024 * 1024) == 0)
		return arena_printf(arena, "%lluG", (unsigned long long)(size >> 30));
	if (size % (1024u * 1024) == 0)
		return arena_printf(arena, "%lluM", (unsigned long long)(size >> 20));
	return arena_printf(arena, "%lluK", (unsigned long long)((size + 1023) >> 10));
}

/* The size that a qcow2 says it has, else the file's (docs/interop/qcow2.txt: big endian at 24). */
static uint64_t image_size(struct rehearse *rehearse, const char *path)
{
	struct model_inode *inode = model_find(rehearse, path);
	uint64_t size = 0;
	if (!inode || !inode->has_data || inode->data.size < 32 || memcmp(inode->data.data, "QFI\xfb", 4) != 0)
		return inode ? inode->stat.size : 0;
	for (size_t i = 24; i < 32; i++)
		size = size << 8 | (unsigned char)inode->data.data[i];
	return size;
}

struct volume {
	const struct storage *storage;
	const char *name, *format, *path; /* path NULL: no file */
	uint64_t size;
};

static bool make_volume(struct model_call *call, const struct volume *volume)
{
	struct rehearse *rehearse = call->rehearse;
	int error = model_effect(rehearse, "volume %s:%s", volume->storage->id, volume->name);
	if (error) {
		if (!model_failed(call, error, "unable to create image"))
			return false;
		return false;
	}
	if (!volume->path) {
		model_out(call, "  Logical volume \"%s\" created.\n", volume->name);
		return true;
	}
	struct model_inode *inode = model_set(rehearse, volume->path, NODE_FILE, 0640, (struct bytes){ "", 0 });
	if (inode)
		inode->stat.size = volume->size;
	if (strcmp(volume->format, "qcow2") == 0)
		model_out(call,
		        "Formatting '%s', fmt=qcow2 cluster_size=65536 extended_l2=off preallocation=metadata "
		        "compression_type=zlib size=%llu lazy_refcounts=off refcount_bits=16\n",
		        volume->path, (unsigned long long)volume->size);
	else
		model_out(call, "Formatting '%s', fmt=raw size=%llu preallocation=off\n", volume->path,
		        (unsigned long long)volume->size);
	return true;
}

/* The rest of the value without what was only an order: format=, import-from=. */
static const char *rest_of(const struct pve_properties *set, struct arena *arena)
{
	const char *rest = "";
	for (size_t i = 0; i < set->n; i++) {
		const char *key = set->property[i].key;
		if (strcmp(key, "file") != 0 && strcmp(key, "format") != 0 && strcmp(key, "import-from") != 0 &&
		        strcmp(key, "size") != 0)
			rest = arena_printf(arena, "%s,%s=%s", rest, key, set->property[i].value);
	}
	return rest;
}

static void transferred(struct model_call *call, const char *size)
{
	model_out(call, "transferred 0.0 B of %s (0.00%%)\ntransferred %s of %s (100.00%%)\n", size, size, size);
}

static const char *human(struct arena *arena, uint64_t size)
{
	return size < 1024u * 1024          ? arena_printf(arena, "%.1f KiB", (double)size / 1024)
	       : size < 1024u * 1024 * 1024 ? arena_printf(arena, "%.1f MiB", (double)size / 1048576)
	                                    : arena_printf(arena, "%.1f GiB", (double)size / 1073741824);
}

static const char *new_volume(struct model_call *call, struct pve_file *file, const char *key,
        const struct pve_properties *set, const char *storage_name, const char *amount)
{
	struct rehearse *rehearse = call->rehearse;
	struct volume volume = { .storage = storage_of(rehearse, storage_name) };
	const char *import = pve_property(set, "import-from"), *format = pve_property(set, "format");
	bool efi = text_starts(key, "efidisk"), cloud = strcmp(amount, "cloudinit") == 0;
	if (!volume.storage) {
		pve_die(call, "storage '%s' does not exist", storage_name);
		return NULL;
	}
	if (import && !model_find(rehearse, import)) {
		pve_die(call, "cannot import from '%s' - file does not exist", import);
		return NULL;
	}
	bool folder = *volume.storage->path || strcmp(volume.storage->type, "dir") == 0;
	volume.format = folder ? format ? format : cloud ? "qcow2" : "raw" : "raw";
	volume.size = cloud    ? 4u << 20
	              : import ? image_size(rehearse, import)
	              : efi    ? folder ? EFI_VARIABLES : 4u << 20
	                       : (uint64_t)(strtod(amount, NULL) * 1073741824);
	const char *stem = cloud ? MODEL_PRINT(rehearse, "vm-%u-cloudinit", file->id)
	                         : MODEL_PRINT(rehearse, "%s-%u-disk-%u", file->kind == GUEST_CT ? "subvol" : "vm",
	                                   file->id, next_number(file, rehearse->arena));
	volume.name = folder ? MODEL_PRINT(rehearse, "%u/%s.%s", file->id, stem, volume.format) : stem;
	volume.path = folder ? MODEL_PRINT(rehearse, "%s/images/%s", volume.storage->path, volume.name) : NULL;
	if (!make_volume(call, &volume))
		return NULL;
	const char *name = MODEL_PRINT(rehearse, "%s:%s", volume.storage->id, volume.name);
	if (cloud)
		return MODEL_PRINT(rehearse, "%s,media=cdrom", name);
	if (efi)
		transferred(call, human(rehearse->arena, EFI_VARIABLES));
	if (efi)
		model_out(call, "transferred %s of %s (100.00%%)\n", human(rehearse->arena, EFI_VARIABLES),
		        human(rehearse->arena, EFI_VARIABLES));
	if (import)
		transferred(call, human(rehearse->arena, volume.size));
	const char *value = MODEL_PRINT(rehearse, "%s%s,size=%s", name, rest_of(set, rehearse->arena),
	        shown_size(rehearse->arena, volume.size));
	model_out(call, "%s: successfully created disk '%s'\n", key, value);
	return value;
}

const char *pve_disk(struct model_call *call, struct pve_file *file, const char *key, const char *value)
{
	struct arena *arena = call->rehearse->arena;
	if (!is_disk(key) || file->kind == GUEST_CT)
		return value;
	struct pve_properties set = pve_parse_properties(value, "file", arena);
	const char *volume = pve_property(&set, "file"), *colon = volume ? strchr(volume, ':') : NULL;
	if (!colon ||
	        !(strcmp(colon + 1, "cloudinit") == 0 || (colon[1] && !colon[1 + strspn(colon + 1, "0123456789.")])))
		return value;
	return new_volume(call, file, key, &set, arena_strndup(arena, volume, (size_t)(colon - volume)), colon + 1);
}

void pve_disk_free(struct model_call *call, const struct pve_file *file)
{
	struct rehearse *rehearse = call->rehearse;
	const char *mine = MODEL_PRINT(rehearse, "-%u-", file->id);
	for (size_t i = 0; i < file->active.n; i++) {
		const struct pve_key *key = &file->active.key[i];
		const char *colon = strchr(key->value, ':');
		if (!is_disk(key->name) || !colon || !strstr(key->value, mine))
			continue;
		const char *name = arena_strndup(rehearse->arena, key->value, (size_t)(colon - key->value));
		const struct storage *storage = storage_of(rehearse, name);
		if (!storage || model_effect(rehearse, "remove volume %.*s", (int)strcspn(key->value, ","), key->value))
			continue;
		const char *rest = MODEL_PRINT(rehearse, "%.*s", (int)strcspn(colon + 1, ","), colon + 1);
		if (*storage->path)
			model_drop(rehearse, MODEL_PRINT(rehearse, "%s/images/%s", storage->path, rest));
		else
			model_out(call, "  Logical volume \"%s\" successfully removed.\n", rest);
	}
	model_drop(rehearse, MODEL_PRINT(rehearse, "/var/lib/vz/images/%u", file->id));
}

double pve_disk_gib(const struct pve_part *part)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	const char *boot = pve_get(part, "boot");
	struct words names = text_split(&scratch, boot && text_starts(boot, "order=") ? boot + 6 : "scsi0", ";");
	for (size_t i = 0; i < names.n; i++) {
		const char *disk = pve_get(part, names.word[i]), *size = disk ? strstr(disk, "size=") : NULL;
		if (!size || strstr(disk, "media=cdrom"))
			continue;
		char *unit;
		double number = strtod(size + 5, &unit);
		return *unit == 'T'   ? number * 1024
		       : *unit == 'M' ? number / 1024
		       : *unit == 'K' ? number / 1048576
		                      : number;
	}
	return 0;
}
