/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What boots next: the initramfs of a kernel, and what the boot loader says to it. Neither is the same twice byte for
 * byte, so both are read for what they hold.
 *
 * proxmox-boot-tool (proxmox-kernel-helper, zz-proxmox-boot): update-initramfs calls it through its own hook, and it
 * passes by an ESP that it cannot mount with status 0. So a status proves nothing here: every ESP is looked into.
 */
#include <errno.h>
#include <string.h>

#include "base/digest.h"
#include "exec/command.h"
#include "exec/esp.h"
#include "exec/steps.h"

enum { MAKE_MS = 10 * 60 * 1000, MENU_MAX = 4 * 1024 * 1024 };
static const size_t image_max = (size_t)512 * 1024 * 1024;

/* ---- initramfs: key is the kernel's version ----------------------------------------------- */

static const struct initramfs_file *file_in(const struct initramfs *image, const char *path)
{
	path += *path == '/';
	for (size_t i = 0; i < image->n_files; i++)
		if (strcmp(image->files[i].path, path) == 0)
			return image->files + i;
	return NULL;
}

/* What the image holds of the paths that the step names, in the step's order; "sound" where it names that. */
static const char *image_words(const char *to, const struct initramfs *image, struct arena *arena)
{
	const char *state = "";
	struct words words = text_split(arena, to, " ");
	for (size_t i = 0; i < words.n; i++) {
		const char *equals = strrchr(words.word[i], '='), *word = words.word[i];
		if (equals) {
			const char *path = arena_strndup(arena, word, (size_t)(equals - word));
			const struct initramfs_file *file = file_in(image, path);
			word = file ? arena_printf(arena, "%s=sha256:%s", path, digest_sha256(file->data, arena))
			            : arena_printf(arena, "%s=none", path);
		}
		state = arena_printf(arena, "%s%s%s", state, *state ? " " : "", word);
	}
	return state;
}

static bool initramfs_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct initramfs image = { 0 };
	struct bytes raw;
	struct err why = { 0 };
	const char *path = arena_printf(&scratch, "/boot/initrd.img-%s", run->step->key);
	int error = world_read(run->exec->node, path, image_max, &scratch, &raw);
	if (error && error != ENOENT)
		return err_set(run->err, ERR_SYSTEM, "reading %s: %s", path, world_why(error));
	if (error)
		*ret = NONE;
	else if (initramfs_parse(raw, &scratch, &why, &image))
		*ret = arena_strdup(arena, image_words(run->step->to, &image, &scratch));
	else /* cut off, or no image at all: never what is wished, whatever could be read of it */
		*ret = arena_printf(arena, "damaged: %s", why.text);
	return true;
}

/* ---- the image that boots may lie on an ESP ---- */

struct copies {
	struct bytes image;
	const char *version, *stale; /* the first ESP that holds another image */
	struct arena *arena;
};

/* An ESP may lack a kernel: then it does not boot it. */
static bool copy_is_same(struct step_run *run, const char *folder, const char *uuid, void *data)
{
	struct copies *copies = data;
	const char *const paths[] = {
		arena_printf(
		        copies->arena, "%s/EFI/proxmox/%s/initrd.img-%s", folder, copies->version, copies->version),
		arena_printf(copies->arena, "%s/initrd.img-%s", folder, copies->version),
	};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		struct arena scratch ARENA_SCOPED = { 0 };
		struct bytes copy;
		int error = world_read(run->exec->node, paths[i], image_max, &scratch, &copy);
		if (error == ENOENT)
			continue;
		if (error)
			return err_set(run->err, ERR_SYSTEM, "%s: %s", paths[i], world_why(error));
		if (copy.size != copies->image.size || memcmp(copy.data, copies->image.data, copy.size) != 0)
			copies->stale = arena_strdup(copies->arena, uuid);
	}
	return true;
}

/* The hook of update-initramfs has copied it, or has passed an ESP by: then it is done once more, and looked at. */
static bool on_every_esp(struct step_run *run, const char *image)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct copies copies = { .version = run->step->key, .arena = &scratch };
	enum tri esps = esp_configured(run);
	if (esps != YES)
		return esps == NO;
	int error = world_read(run->exec->node, image, image_max, &scratch, &copies.image);
	if (error)
		return err_set(run->err, ERR_SYSTEM, "reading %s: %s", image, world_why(error));
	if (!esp_look(run, copy_is_same, &copies))
		return false;
	if (!copies.stale)
		return true;
	copies.stale = NULL;
	if (!esp_refresh(run) || !esp_look(run, copy_is_same, &copies))
		return false;
	return !copies.stale || err_set(run->err, ERR_SYSTEM, "ESP %s holds another initramfs of %s than /boot",
	                                copies.stale, copies.version);
}

/* update-initramfs renames the new image over the old one, and leaves it to others when it is on disk. */
static bool initramfs_apply(struct step_run *run)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	const char *const argv[] = { "update-initramfs", "-u", "-k", run->step->key, NULL };
	if (!*run->step->key || strpbrk(run->step->key, "/ \t\n") || *run->step->key == '-')
		return err_set(run->err, ERR_INPUT, "this is no kernel's version: %s", run->step->key);
	const char *image = arena_printf(&scratch, "/boot/initrd.img-%s", run->step->key);
	/* before, so that GRUB finds the old one whole should the power go meanwhile */
	if (!exec_settle(run, "/boot"))
		return false;
	if (!exec_command(run, argv, MAKE_MS))
		return esp_failed(run);
	return exec_sync(run, image) && exec_sync(run, "/boot") && exec_settle(run, "/boot") && on_every_esp(run, image);
}

static bool initramfs_undo(struct step_run *run, const char *old, const char *blob)
{
	(void)old, (void)blob; /* its files are back already: made from them it is what it was */
	return initramfs_apply(run);
}

static void initramfs_script(
        struct step_run *run, const char *old, const char *blob, struct arena *arena, struct words *ret)
{
	(void)old, (void)blob;
	*arena_push(arena, ret->word, ret->n) =
	        arena_printf(arena, "back_initramfs %s", text_sh_quoted(arena, run->step->key));
}

const struct step_ops step_initrd = { .kind = "initramfs",
	.state = initramfs_state,
	.apply = initramfs_apply,
	.undo = initramfs_undo,
	.script = initramfs_script };

/* ---- boot: key is the loader, grub or systemd-boot ---------------------------------------- */

struct lines { /* the command lines found, each different one once */
	struct arena *arena;
	struct words words;
	const char *why; /* a place that could not be read */
};

static void found_line(struct lines *lines, const char *line)
{
	struct words words = text_split(lines->arena, line, " \t");
	const char *plain = "";
	for (size_t i = 0; i < words.n; i++)
		plain = arena_printf(lines->arena, "%s%s%s", plain, i ? " " : "", words.word[i]);
	for (size_t i = 0; i < lines->words.n; i++)
		if (strcmp(lines->words.word[i], plain) == 0)
			return;
	*arena_push(lines->arena, lines->words.word, lines->words.n) = plain;
}

static void menu_lines(struct world *node, const char *folder, struct lines *lines)
{
	struct bytes menu, environment = { "", 0 };
	struct grub_entry entry = { 0 };
	const char *path = arena_printf(lines->arena, "%s/grub/grub.cfg", folder);
	int error = world_read(node, path, MENU_MAX, lines->arena, &menu);
	if (!error) {
		int status = world_read(node, arena_printf(lines->arena, "%s/grub/grubenv", folder), MENU_MAX,
		        lines->arena, &environment);
		error = status == ENOENT ? 0 : status;
	}
	if (error)
		lines->why = arena_printf(lines->arena, "%s: %s", path, world_why(error));
	else if (!boot_parse_grub_menu(menu, environment, lines->arena, &entry) || !entry.cmdline)
		lines->why = arena_printf(lines->arena, "%s: which entry boots cannot be told", path);
	else
		found_line(lines, entry.cmdline);
}

/* zz-proxmox-boot gives every kernel's entry the same words: one that has others was not refreshed. */
static void entry_lines(struct world *node, const char *folder, struct lines *lines)
{
	struct words names = { 0 };
	struct bytes text, line;
	size_t seen = 0;
	const char *entries = arena_printf(lines->arena, "%s/loader/entries", folder);
	int error = world_list(node, entries, lines->arena, &names);
	for (size_t i = 0; !error && i < names.n; i++) {
		const char *path = arena_printf(lines->arena, "%s/%s", entries, names.word[i]);
		if (!text_matches("proxmox-*.conf", names.word[i]))
			continue;
		error = world_read(node, path, MENU_MAX, lines->arena, &text);
		for (size_t cursor = 0; !error && text_line(text, &cursor, &line);) {
			const char *plain = text_trimmed(lines->arena, line);
			if (text_starts(plain, "options") && strspn(plain + strlen("options"), " \t")) {
				found_line(lines, plain + strlen("options"));
				seen++;
			}
		}
	}
	if (error || !seen)
		lines->why = arena_printf(
		        lines->arena, "%s: %s", entries, error ? world_why(error) : "no entry of a kernel");
}

static bool folder_lines(struct step_run *run, const char *folder, const char *uuid, void *data)
{
	struct world *node = run->exec->node;
	struct lines *lines = data;
	if (strcmp(run->step->key, "grub") == 0)
		menu_lines(node, folder, lines);
	else
		entry_lines(node, folder, lines);
	return !lines->why || err_set(run->err, ERR_SYSTEM, "ESP %s: %s", uuid, lines->why);
}

/* Where entries or ESPs differ, all lines that were found with " | " between: equal to no wished one. */
static bool boot_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct lines lines = { .arena = arena };
	enum tri esps = esp_configured(run);
	if (esps == UNKNOWN || (esps == YES && !esp_look(run, folder_lines, &lines)))
		return false;
	if (esps == NO)
		menu_lines(run->exec->node, "/boot", &lines);
	if (lines.why)
		return err_set(run->err, ERR_SYSTEM, "%s", lines.why);
	const char *state = NONE;
	for (size_t i = 0; i < lines.words.n; i++)
		state = arena_printf(arena, "%s%s%s", state, i ? " | " : "", lines.words.word[i]);
	*ret = state;
	return true;
}

static bool boot_apply(struct step_run *run)
{
	static const char *const update[] = { "update-grub", NULL };
	enum tri esps = esp_configured(run);
	if (esps != NO)
		return esps == YES && esp_refresh(run);
	return exec_settle(run, "/boot") && exec_command(run, update, MAKE_MS) && exec_sync(run, "/boot/grub/grub.cfg") &&
	       exec_sync(run, "/boot/grub") && exec_settle(run, "/boot");
}

/* grub-mkconfig (10_linux) writes "root=... ro" in front of the words that are configured. */
static bool boot_holds(const struct step *step, const char *state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct words to = text_split(&arena, step->to, " \t"), now = text_split(&arena, state, " \t");
	size_t more = now.n - to.n;
	if (to.n > now.n || (more && strcmp(step->key, "grub") != 0))
		return false;
	for (size_t i = 0; i < more; i++)
		if (!text_starts(now.word[i], "root=") && strcmp(now.word[i], "ro") != 0 &&
		        strcmp(now.word[i], "rw") != 0)
			return false;
	for (size_t i = 0; i < to.n; i++)
		if (strcmp(now.word[more + i], to.word[i]) != 0)
			return false;
	return true;
}

static bool boot_undo(struct step_run *run, const char *old, const char *blob)
{
	(void)old, (void)blob;
	return boot_apply(run);
}

static void boot_script(struct step_run *run, const char *old, const char *blob, struct arena *arena, struct words *ret)
{
	(void)run, (void)old, (void)blob;
	*arena_push(arena, ret->word, ret->n) = "back_boot";
}

const struct step_ops step_boot = { .kind = "boot",
	.state = boot_state,
	.apply = boot_apply,
	.holds = boot_holds,
	.undo = boot_undo,
	.script = boot_script };
