/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What update-initramfs would freeze now. Of the recorded image stays what its packages put there; what comes from
 * /etc is taken from /etc anew. Sources: initramfs-tools(7), mkinitramfs, hook-functions, scripts/functions (the order
 * of scripts).
 */
#include <stdlib.h>
#include <string.h>

#include "facts/initramfs.h"
#include "rehearse/model.h"

#define PRINT(...) MODEL_PRINT(rehearse, __VA_ARGS__)
#define INIT_TOP "/etc/initramfs-tools/scripts/init-top"

static bool has_word(const struct words *words, const char *word)
{
	for (size_t i = 0; i < words->n; i++)
		if (strcmp(words->word[i], word) == 0)
			return true;
	return false;
}

static void add_word(struct rehearse *rehearse, struct words *words, const char *word)
{
	if (!has_word(words, word))
		*arena_push(rehearse->arena, words->word, words->n) = word;
}

static void add_file(struct rehearse *rehearse, struct machine_frozen *frozen, const char *path, struct bytes data)
{
	*arena_push(rehearse->arena, frozen->files, frozen->n_files) = (struct machine_frozen_file){ path, data };
}

/* The image of this kernel as it was recorded; of a kernel that came since, another's. */
static bool recorded_image(struct rehearse *rehearse, const char *version, struct initramfs *ret)
{
	struct tape_target *target = rehearse->recorded;
	struct err err = { 0 };
	const struct tape_entry *found = tape_find(target, PRINT("/boot/initrd.img-%s", version));
	for (size_t i = 0; i < target->n && (!found || !found->has_data); i++)
		if (text_starts(target->entries[i].path, "/boot/initrd.img-") && target->entries[i].has_data)
			found = &target->entries[i];
	return found && found->has_data && initramfs_parse(found->data, rehearse->arena, &err, ret);
}

static bool is_of_etc(struct rehearse *rehearse, const char *path)
{
	static const char *const folders[] = { "etc/modprobe.d/", "usr/lib/modprobe.d/", "lib/modprobe.d/" };
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (text_starts(path, folders[i]))
			return true;
	if (strcmp(path, "conf/modules") == 0 || strcmp(path, "scripts/init-top/ORDER") == 0 ||
	        strcmp(path, "init") == 0)
		return true;
	const char *own = PRINT("/etc/initramfs-tools/%s", path);
	const struct tape_entry *entry = tape_find(rehearse->recorded, own);
	return text_starts(path, "scripts/") && entry && !entry->error;
}

static void take_stock(
        struct rehearse *rehearse, const struct initramfs *image, struct machine_frozen *frozen, struct words *scripts)
{
	for (size_t i = 0; i < image->n_files; i++) {
		if (is_of_etc(rehearse, image->files[i].path))
			continue;
		add_file(rehearse, frozen, image->files[i].path, image->files[i].data);
		if (text_starts(image->files[i].path, "scripts/init-top/"))
			add_word(rehearse, scripts, image->files[i].path + strlen("scripts/init-top/"));
	}
	for (size_t i = 0; i < image->modules.n; i++) {
		bool loaded = false;
		for (size_t j = 0; j < image->modprobe.n_loads; j++)
			loaded |= strcmp(image->modprobe.loads[j].module, image->modules.word[i]) == 0;
		if (!loaded)
			add_word(rehearse, &frozen->modules, image->modules.word[i]);
	}
}

static void take_folder(struct rehearse *rehearse, struct machine_frozen *frozen, const char *folder, const char *to,
        const char *pattern, struct words *names)
{
	struct model_inode *inode = model_find(rehearse, folder);
	for (size_t i = 0; inode && i < inode->names.n; i++) {
		const char *name = inode->names.name[i].name;
		struct model_inode *file = model_find(rehearse, PRINT("%s/%s", folder, name));
		if (!file || !file->has_data || !text_matches(pattern, name) || *name == '.')
			continue;
		/* scripts that may not be run are left out */
		if (names && !(file->stat.mode & 0100))
			continue;
		add_file(rehearse, frozen, PRINT("%s%s", to, name), file->data);
		if (names)
			add_word(rehearse, names, name);
	}
}

static const char *prerequisites(struct rehearse *rehearse, const char *script)
{
	const char *text = model_text(rehearse, PRINT(INIT_TOP "/%s", script));
	const char *at = text ? strstr(text, "PREREQ=") : NULL;
	if (!at)
		return "";
	at += strlen("PREREQ=");
	at += strspn(at, "\"'");
	return arena_strndup(rehearse->arena, at, strcspn(at, "\"'\n;"));
}

static int by_bytes(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Those that wait for none of the others by name first, then what they were waited for by: as tsort does it. */
static const char *script_order(struct rehearse *rehearse, struct words scripts)
{
	struct words done = { 0 };
	const char *order = "";
	if (scripts.n)
		qsort(scripts.word, scripts.n, sizeof *scripts.word, by_bytes);
	for (size_t before = SIZE_MAX; before != done.n && done.n < scripts.n;) {
		struct words ready = { 0 };
		before = done.n;
		for (size_t i = 0; i < scripts.n; i++) {
			struct words needs = text_split(rehearse->arena, prerequisites(rehearse, scripts.word[i]), " ");
			bool waits = has_word(&done, scripts.word[i]);
			for (size_t j = 0; j < needs.n; j++)
				waits |= has_word(&scripts, needs.word[j]) && !has_word(&done, needs.word[j]);
			if (!waits)
				add_word(rehearse, &ready, scripts.word[i]);
		}
		for (size_t i = 0; i < ready.n; i++) {
			add_word(rehearse, &done, ready.word[i]);
			order = PRINT("%s/scripts/init-top/%s \"$@\"\n[ -e /conf/param.conf ] && . /conf/param.conf\n",
			        order, ready.word[i]);
		}
	}
	return order;
}

static void add_module(struct rehearse *rehearse, struct machine_frozen *frozen, const char *name)
{
	static const char *const vfio[] = { "vfio_pci_core", "vfio_iommu_type1", "vfio", "irqbypass" };
	const char *module = modprobe_name(rehearse->arena, name);
	if (!kernel_has_module(rehearse, module))
		return; /* mkinitramfs passes it by */
	add_word(rehearse, &frozen->modules, module);
	for (size_t i = 0; strcmp(module, "vfio_pci") == 0 && i < sizeof vfio / sizeof *vfio; i++)
		add_word(rehearse, &frozen->modules, vfio[i]);
}

/* Lines of hooks that name modules: manual_add_modules and force_load, hook-functions. */
static void take_hooks(struct rehearse *rehearse, struct machine_frozen *frozen, const char **loads)
{
	const char *folder = "/etc/initramfs-tools/hooks";
	struct model_inode *hooks = model_find(rehearse, folder);
	for (size_t i = 0; hooks && i < hooks->names.n; i++) {
		const char *text = model_text(rehearse, PRINT("%s/%s", folder, hooks->names.name[i].name));
		struct model_inode *hook = hooks->names.name[i].inode;
		struct words lines = text_split(rehearse->arena, text ? text : "", "\n");
		for (size_t j = 0; hook && hook->stat.mode & 0100 && j < lines.n; j++) {
			struct words words = text_split(rehearse->arena, lines.word[j], " \t");
			bool forced = words.n && strcmp(words.word[0], "force_load") == 0;
			if (!words.n || (!forced && strcmp(words.word[0], "manual_add_modules") != 0))
				continue;
			for (size_t k = 1; k < words.n; k++)
				add_module(rehearse, frozen, words.word[k]);
			if (forced && words.n > 1)
				*loads = PRINT("%s%s\n", *loads, words.word[1]);
		}
	}
}

static void nobody(void *data, int error, const char *what)
{
	(void)data, (void)error, (void)what;
}

/* modprobe --show-depends, which mkinitramfs asks, brings in what a softdep names. */
static void take_softdeps(struct rehearse *rehearse, struct machine_frozen *frozen)
{
	struct modprobe modprobe = { 0 };
	modprobe_gather(&rehearse->world, rehearse->arena, &modprobe, nobody, NULL);
	for (size_t i = 0; i < modprobe.n; i++) {
		const struct modprobe_line *line = &modprobe.lines[i];
		if (line->kind != MODPROBE_SOFTDEP || !has_word(&frozen->modules, line->module))
			continue;
		struct words words = text_split(rehearse->arena, line->rest, " \t");
		for (size_t j = 0; j < words.n; j++)
			if (!text_ends(words.word[j], ":"))
				add_module(rehearse, frozen, words.word[j]);
	}
}

struct bytes model_fresh_image(struct rehearse *rehearse, const char *version)
{
	struct machine_frozen frozen = { .kernel = version };
	struct initramfs image = { 0 };
	struct words scripts = { 0 };
	const char *modules = model_text(rehearse, "/etc/initramfs-tools/modules"), *loads = modules ? modules : "";
	if (recorded_image(rehearse, version, &image))
		take_stock(rehearse, &image, &frozen, &scripts);
	take_folder(rehearse, &frozen, "/etc/modprobe.d", "etc/modprobe.d/", "*.conf", NULL);
	take_folder(rehearse, &frozen, "/usr/lib/modprobe.d", "usr/lib/modprobe.d/", "*.conf", NULL);
	take_folder(rehearse, &frozen, INIT_TOP, "scripts/init-top/", "*", &scripts);
	struct words lines = text_split(rehearse->arena, loads, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		struct words words = text_split(rehearse->arena, lines.word[i], " \t");
		if (words.n && *words.word[0] != '#')
			add_module(rehearse, &frozen, words.word[0]);
	}
	take_hooks(rehearse, &frozen, &loads);
	take_softdeps(rehearse, &frozen);
	if (modules || *loads)
		add_file(rehearse, &frozen, "conf/modules", (struct bytes){ loads, strlen(loads) });
	if (scripts.n) {
		const char *order = script_order(rehearse, scripts);
		add_file(rehearse, &frozen, "scripts/init-top/ORDER", (struct bytes){ order, strlen(order) });
	}
	return machine_pack_image(&frozen, rehearse->arena);
}
