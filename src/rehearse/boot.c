/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Power: what the disk holds afterwards, what the loader finds there, which driver gets which device, what starts.
 * Sources: pve-docs system-booting.adoc; the boot loader specification's type 1 entries; systemd.unit(5).
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "facts/predict.h"
#include "rehearse/model.h"

#define PRINT(...) MODEL_PRINT(rehearse, __VA_ARGS__)

/* What the loader found. */
struct booting {
	struct rehearse *rehearse;
	struct arena *arena; /* of this boot alone */
	enum loader loader;
	const char *version, *cmdline; /* NULL: as it was recorded */
	const char *image;             /* path of the initrd; NULL: the entry names none */
	struct model_disk *disk;       /* on which it lies; NULL: the root file system */
	struct bytes initrd;           /* its bytes; data NULL: nobody knows them */
};

/* ---- ESPs ---- */

static struct model_inode *new_folder(struct rehearse *rehearse)
{
	struct model_inode *inode = arena_new(rehearse->arena, struct model_inode);
	inode->stat = (struct world_stat){ .type = NODE_DIR, .mode = 0755, .mtime = rehearse->clock };
	inode->open_error = -1;
	inode->listed = true;
	return inode;
}

static void no_blind(void *data, int error, const char *what)
{
	(void)data, (void)error, (void)what;
}

static const char *without_initrd(struct rehearse *rehearse, const char *cmdline)
{
	struct words words = boot_cmdline_words(cmdline, rehearse->arena);
	const char *line = "";
	for (size_t i = 0; i < words.n; i++)
		if (!text_starts(words.word[i], "initrd=") && !text_starts(words.word[i], "BOOT_IMAGE="))
			line = PRINT("%s%s%s", line, *line ? " " : "", words.word[i]);
	return line;
}

/* An ESP that nobody saw mounted holds what proxmox-boot-tool last put there: each kernel's files as /boot has them,
 * and entries that say what the machine was booted with. */
static void fill_esp(struct rehearse *rehearse, const struct boot *boot, const struct esp *esp, const char *at)
{
	const char *line = without_initrd(rehearse, boot->cmdline ? boot->cmdline : "");
	model_set_text(rehearse, PRINT("%s/loader/loader.conf", at), 0644, "timeout 3\ndefault proxmox-*\n");
	for (size_t i = 0; i < boot->n_kernels; i++) {
		const char *version = boot->kernels[i].version;
		bool held = !esp->kernels.n;
		for (size_t j = 0; j < esp->kernels.n; j++)
			held |= strcmp(esp->kernels.word[j], version) == 0;
		struct model_inode *image = model_find(rehearse, PRINT("/boot/initrd.img-%s", version));
		struct model_inode *kernel = model_find(rehearse, PRINT("/boot/vmlinuz-%s", version));
		if (!held)
			continue;
		const char *folder = PRINT("%s/EFI/proxmox/%s", at, version);
		struct model_inode *copy = model_set(
		        rehearse, PRINT("%s/vmlinuz-%s", folder, version), NODE_FILE, 0755, (struct bytes){ 0 });
		copy->has_data = kernel && kernel->has_data;
		copy->stat.size = kernel ? kernel->stat.size : 0;
		copy = model_set(rehearse, PRINT("%s/initrd.img-%s", folder, version), NODE_FILE, 0755,
		        image ? image->data : (struct bytes){ 0 });
		copy->has_data = image && image->has_data;
		copy->stat.mtime = image ? image->stat.mtime : copy->stat.mtime;
		model_set_text(rehearse, PRINT("%s/loader/entries/proxmox-%s.conf", at, version), 0755,
		        "title    Proxmox Virtual Environment\nversion  %s\noptions  %s\n"
		        "linux    /EFI/proxmox/%s/vmlinuz-%s\ninitrd   /EFI/proxmox/%s/initrd.img-%s\n",
		        version, line, version, version, version, version);
	}
}

static void open_esp(struct rehearse *rehearse, const struct boot *boot, const struct esp *esp)
{
	struct model_disk *disk = arena_push(rehearse->arena, rehearse->disks, rehearse->n_disks);
	struct model_inode *link;
	*disk = (struct model_disk){ .uuid = arena_strdup(rehearse->arena, esp->uuid),
		.mode = esp->mode ? arena_strdup(rehearse->arena, esp->mode) : NULL };
	if (model_look(rehearse, PRINT("/dev/disk/by-uuid/%s", esp->uuid), false, &link) == 0 && link->link)
		disk->node = PRINT("/dev/%s", strrchr(link->link, '/') ? strrchr(link->link, '/') + 1 : link->link);
	if (esp->mounted == YES && esp->mountpoint && *esp->mountpoint) {
		const char *where = arena_strdup(rehearse->arena, esp->mountpoint);
		disk->root = model_take(rehearse, where);
		model_set(rehearse, where, NODE_DIR, 0755, (struct bytes){ 0 });
		if (disk->root)
			model_mount(rehearse, disk, where);
	} else {
		const char *at = "/run/gpuferry-esp";
		disk->root = new_folder(rehearse);
		model_set(rehearse, at, NODE_DIR, 0755, (struct bytes){ 0 });
		if (model_mount(rehearse, disk, at) == 0)
			fill_esp(rehearse, boot, esp, at);
		model_unmount(disk);
		model_drop(rehearse, at);
	}
	if (!disk->root)
		disk->root = new_folder(rehearse);
	model_settle(rehearse, disk->root);
}

bool boot_open(struct rehearse *rehearse, struct err *err)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct boot boot = { 0 };
	struct model_inode *uuids;
	(void)err;
	if (model_look(rehearse, "/etc/kernel/proxmox-boot-uuids", true, &uuids) != 0)
		return true;
	boot_gather(rehearse->replay, false, &scratch, &boot, no_blind, NULL);
	for (size_t i = 0; i < boot.n_esps; i++)
		open_esp(rehearse, &boot, &boot.esps[i]);
	return true;
}

/* ---- what the loader finds ---- */

static struct model_inode *below(struct model_inode *root, const char *path)
{
	char name[NAME_MAX + 1];
	while (root && *(path += strspn(path, "/"))) {
		size_t size = strcspn(path, "/");
		if (size > NAME_MAX)
			return NULL;
		memcpy(name, path, size);
		name[size] = '\0';
		root = model_child(root, name);
		path += size;
	}
	return root;
}

static const char *text_below(struct booting *booting, struct model_inode *root, const char *path)
{
	struct model_inode *inode = below(root, path);
	return inode && inode->has_data ? arena_strndup(booting->arena, inode->data.data, inode->data.size) : NULL;
}

/* The initrd line of the entry whose linux line is this one. */
static const char *grub_initrd(struct booting *booting, const char *menu, const struct grub_entry *entry)
{
	struct words lines = text_split(booting->arena, menu, "\n");
	bool found = false;
	for (size_t i = 0; i < lines.n; i++) {
		const char *line = lines.word[i] + strspn(lines.word[i], " \t");
		struct words words = text_split(booting->arena, line, " \t");
		if (!words.n)
			continue;
		if (text_matches("linux*", words.word[0]) && words.n > 1)
			found = strcmp(words.word[1], entry->kernel) == 0;
		if (found && text_starts(words.word[0], "initrd") && words.n > 1)
			return words.word[1];
		if (*line == '}')
			found = false;
	}
	return NULL;
}

static bool take_image(struct booting *booting, struct model_inode *root, struct err *err)
{
	struct model_inode *inode = booting->image ? below(root, booting->image) : NULL;
	struct err why = { 0 };
	struct initramfs parsed = { 0 };
	if (!inode)
		return err_set(err, ERR_INPUT, "the kernel finds no root file system: %s",
		        booting->image ? booting->image : "its entry names no initrd");
	if (inode->has_data && !initramfs_parse(inode->data, booting->arena, &why, &parsed))
		return err_set(
		        err, ERR_INPUT, "the kernel finds no root file system: %s: %s", booting->image, why.text);
	if (inode->has_data)
		booting->initrd = inode->data;
	return true;
}

static bool load_grub(struct booting *booting, struct err *err)
{
	struct rehearse *rehearse = booting->rehearse;
	struct model_disk *disk = NULL;
	for (size_t i = 0; i < rehearse->n_disks && !disk; i++)
		if (below(rehearse->disks[i].root, "/grub/grub.cfg"))
			disk = &rehearse->disks[i];
	struct model_inode *root = disk ? disk->root : rehearse->root;
	const char *folder = disk ? "" : "/boot", *menu = text_below(booting, root, PRINT("%s/grub/grub.cfg", folder));
	const char *environment = text_below(booting, root, PRINT("%s/grub/grubenv", folder));
	struct grub_entry entry = { 0 };
	if (!menu && !below(root, PRINT("%s/grub/grub.cfg", folder)))
		return err_set(err, ERR_INPUT, "GRUB finds no grub.cfg and stops at its prompt");
	if (!menu)
		return true;
	if (!environment)
		environment = "";
	if (!boot_parse_grub_menu((struct bytes){ menu, strlen(menu) },
	            (struct bytes){ environment, strlen(environment) }, booting->arena, &entry))
		return err_set(err, ERR_INPUT, "GRUB's grub.cfg has no entry that boots: it stops at its prompt");
	booting->disk = disk;
	booting->version = entry.version;
	booting->cmdline = arena_printf(booting->arena, "BOOT_IMAGE=%s %s", entry.kernel, entry.cmdline);
	booting->image = grub_initrd(booting, menu, &entry);
	if (!below(root, entry.kernel))
		return err_set(err, ERR_INPUT, "GRUB does not find %s", entry.kernel);
	return take_image(booting, root, err);
}

static const char *entry_value(struct booting *booting, const char *text, const char *key)
{
	struct words lines = text_split(booting->arena, text, "\n");
	size_t size = strlen(key);
	for (size_t i = 0; i < lines.n; i++)
		if (strncmp(lines.word[i], key, size) == 0 && strchr(" \t", lines.word[i][size]) && lines.word[i][size])
			return text_trimmed(
			        booting->arena, (struct bytes){ lines.word[i] + size, strlen(lines.word[i] + size) });
	return NULL;
}

/* loader.conf's default if it names one, else the newest of the entries that are whole. */
static const char *choose_entry(struct booting *booting, struct model_inode *root, const char *wanted)
{
	struct model_inode *entries = below(root, "/loader/entries");
	const char *conf = text_below(booting, root, "/loader/loader.conf"), *best = NULL;
	const char *pattern = conf ? entry_value(booting, conf, "default") : NULL;
	for (size_t i = 0; entries && i < entries->names.n; i++) {
		const char *name = entries->names.name[i].name;
		if (!entries->names.name[i].inode || !text_matches("proxmox-*.conf", name))
			continue;
		if (wanted && strcmp(name, arena_printf(booting->arena, "proxmox-%s.conf", wanted)) == 0)
			return name;
		bool fits = !pattern || text_matches(pattern, name) ||
		            text_matches(arena_printf(booting->arena, "%s.conf", pattern), name);
		if (fits && (!best || text_version_compare(name, best) > 0))
			best = name;
	}
	return best;
}

static bool load_systemd(struct booting *booting, const char *wanted, struct err *err)
{
	struct rehearse *rehearse = booting->rehearse;
	for (size_t i = 0; i < rehearse->n_disks; i++) {
		struct model_disk *disk = &rehearse->disks[i];
		const char *name = choose_entry(booting, disk->root, wanted);
		if (!name)
			continue; /* the firmware tries the next disk */
		const char *text =
		        text_below(booting, disk->root, arena_printf(booting->arena, "/loader/entries/%s", name));
		const char *linux_path = text ? entry_value(booting, text, "linux") : NULL;
		if (!linux_path || !below(disk->root, linux_path))
			return err_set(err, ERR_INPUT, "systemd-boot: %s names no kernel that is there", name);
		const char *image = entry_value(booting, text, "initrd"),
		           *options = entry_value(booting, text, "options");
		char *windows = arena_strdup(booting->arena, image ? image : "");
		for (char *at = windows; *at; at++)
			*at = (char)(*at == '/' ? '\\' : *at);
		booting->disk = disk;
		booting->version = arena_strndup(booting->arena, name + 8, strlen(name) - 8 - 5);
		booting->cmdline = arena_printf(booting->arena, "initrd=%s %s", windows, options ? options : "");
		booting->image = image;
		return take_image(booting, disk->root, err);
	}
	return err_set(err, ERR_INPUT, "systemd-boot finds no entry on any ESP");
}

/* ---- devices ---- */

static bool has_word(const struct words *words, const char *word)
{
	for (size_t i = 0; i < words->n; i++)
		if (strcmp(words->word[i], word) == 0)
			return true;
	return false;
}

/* Drivers and such as the firmware leaves them to the kernel: nothing that was written into sysfs is left. */
static void cold_devices(struct rehearse *rehearse)
{
	struct kernel_state *kernel = rehearse->kernel;
	kernel->n_ids = 0;
	kernel->stuck = NULL;
	for (size_t i = 0; i < rehearse->n_moves; i++)
		kernel_move(rehearse, rehearse->moves[i].from, rehearse->moves[i].to);
	rehearse->n_moves = 0;
	for (size_t i = 0; i < kernel->n; i++) {
		kernel_override(rehearse, kernel->devices[i].address, NONE);
		kernel_bind(rehearse, kernel->devices[i].address, kernel->devices[i].recorded);
	}
}

/* What the reader could not see from a running system, because the loader's disk is not mounted: put into the facts. */
static void set_boot(struct booting *booting, struct facts *facts)
{
	struct arena *arena = booting->arena;
	struct boot *boot = &facts->boot;
	if (!booting->version)
		return;
	boot->kernel_next = booting->version;
	boot->cmdline_generated = booting->cmdline;
	struct kernel *kernel = NULL;
	for (size_t i = 0; i < boot->n_kernels; i++)
		if (strcmp(boot->kernels[i].version, booting->version) == 0)
			kernel = &boot->kernels[i];
	if (!kernel || !booting->initrd.data)
		return;
	struct initramfs *image = arena_new(arena, struct initramfs);
	struct err err = { 0 };
	if (!initramfs_parse(booting->initrd, arena, &err, image))
		return;
	image->path = booting->image;
	image->place = booting->disk ? arena_printf(arena, "ESP %s", booting->disk->uuid) : "/boot";
	image->kernel = booting->version;
	const struct initramfs **one = arena_alloc(arena, sizeof(const struct initramfs *));
	one[0] = image;
	kernel->initramfs = one;
	kernel->n_initramfs = 1;
}

static bool moves_with_devices(const char *module)
{
	static const char *const modules[] = { "nouveau", "nvidia*", "i915", "xe", "amdgpu", "radeon", "snd_hda_intel",
		"vfio*", "pci_stub", "ast", "mgag200" };
	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
		if (text_matches(modules[i], module))
			return true;
	return false;
}

static void boot_modules(struct rehearse *rehearse, const struct prediction *prediction)
{
	const struct kernel_state *kernel = rehearse->kernel;
	struct words modules = { 0 }, bound = { 0 };
	for (size_t i = 0; i < kernel->n; i++) {
		const char *driver = kernel_driver(rehearse, kernel->devices[i].address);
		if (driver && *driver)
			*arena_push(rehearse->arena, bound.word, bound.n) = machine_module(driver, rehearse->arena);
	}
	for (size_t i = 0; i < kernel->modules_before.n; i++) {
		const char *module = kernel->modules_before.word[i];
		if (!moves_with_devices(module) || has_word(&bound, module) || has_word(&prediction->modules, module))
			*arena_push(rehearse->arena, modules.word, modules.n) = module;
	}
	for (size_t i = 0; i < bound.n; i++)
		if (*bound.word[i] && moves_with_devices(bound.word[i]) && !has_word(&modules, bound.word[i]))
			*arena_push(rehearse->arena, modules.word, modules.n) = bound.word[i];
	for (size_t i = 0; i < prediction->modules.n; i++)
		if (!has_word(&modules, prediction->modules.word[i]) &&
		        kernel_has_module(rehearse, prediction->modules.word[i]))
			*arena_push(rehearse->arena, modules.word, modules.n) =
			        arena_strdup(rehearse->arena, prediction->modules.word[i]);
	static const char *const vfio[] = { "vfio_pci_core", "vfio_iommu_type1", "vfio", "irqbypass" };
	for (size_t i = 0; has_word(&modules, "vfio_pci") && i < sizeof vfio / sizeof *vfio; i++)
		if (!has_word(&modules, vfio[i]))
			*arena_push(rehearse->arena, modules.word, modules.n) = vfio[i];
	kernel_set_modules(rehearse, &modules);
}

/* A module of the initramfs takes the options that were frozen there. */
static void boot_parameters(struct booting *booting, const struct facts *facts, const struct prediction *prediction)
{
	const struct kernel *kernel = boot_kernel(&facts->boot, facts->boot.kernel_next);
	const struct initramfs *image = kernel && kernel->n_initramfs ? kernel->initramfs[0] : NULL;
	for (size_t i = 0; i < prediction->n; i++) {
		const struct predicted *one = &prediction->devices[i];
		bool frozen = one->stage && strcmp(one->stage, "initramfs") == 0 && image;
		if (one->driver && *one->driver && one->stage)
			kernel_set_parameters(booting->rehearse,
			        machine_module(one->driver, booting->rehearse->arena), prediction->cmdline,
			        frozen ? &image->modprobe : &facts->boot.modprobe);
	}
}

static void boot_devices(struct booting *booting, struct facts *facts)
{
	struct rehearse *rehearse = booting->rehearse;
	struct prediction prediction = { 0 };
	predict_boot(facts, true, booting->arena, &prediction);
	if (prediction.iommu != UNKNOWN)
		kernel_set_iommu(rehearse, prediction.iommu == YES);
	for (size_t pass = 0; pass < 2; pass++) /* first what leaves, so that numbers are free */
		for (size_t i = 0; i < prediction.n; i++) {
			const struct predicted *one = &prediction.devices[i];
			const char *driver = one->driver, *now = kernel_driver(rehearse, one->device->address);
			if (!driver || !now || strcmp(driver, now) == 0)
				continue;
			if (strcmp(driver, "vfio-pci") == 0 && !rehearse->kernel->iommu)
				driver = NONE;
			kernel_bind(rehearse, one->device->address, pass ? driver : NONE);
		}
	for (size_t i = 0; i < prediction.n; i++)
		if (prediction.devices[i].override && *prediction.devices[i].override)
			kernel_override(
			        rehearse, prediction.devices[i].device->address, prediction.devices[i].override);
	if (prediction.vfio_ids && *prediction.vfio_ids)
		kernel_add_ids(rehearse, "vfio-pci", arena_strdup(rehearse->arena, prediction.vfio_ids));
	boot_modules(rehearse, &prediction);
	boot_parameters(booting, facts, &prediction);
	kernel_refresh(rehearse);
}

/* ---- /proc and /run ---- */

static void empty(struct rehearse *rehearse, const char *path)
{
	struct model_inode *folder = model_find(rehearse, path);
	if (!folder || folder->keep != KEEP_NOT)
		return;
	folder->names.n = 0;
	folder->listed = true;
}

/* Guests, and what people started, are gone; the system's own daemons are there again. */
static void end_processes(struct rehearse *rehearse)
{
	struct model_inode *proc = model_find(rehearse, "/proc");
	struct words gone = { 0 };
	for (size_t i = 0; proc && i < proc->names.n; i++) {
		const char *name = proc->names.name[i].name;
		if (!proc->names.name[i].inode || strspn(name, "0123456789") != strlen(name))
			continue;
		const char *cgroup = model_text(rehearse, PRINT("/proc/%s/cgroup", name));
		if (!cgroup || !(strstr(cgroup, "/system.slice/") || strstr(cgroup, "init.scope")) ||
		        strstr(cgroup, "docker"))
			*arena_push(rehearse->arena, gone.word, gone.n) = PRINT("/proc/%s", name);
	}
	for (size_t i = 0; i < gone.n; i++)
		model_drop(rehearse, gone.word[i]);
}

static void new_proc(struct booting *booting)
{
	struct rehearse *rehearse = booting->rehearse;
	const char *old = model_text(rehearse, "/proc/sys/kernel/osrelease");
	const char *version = model_text(rehearse, "/proc/version");
	model_set_text(rehearse, "/proc/sys/kernel/random/boot_id", 0444, "5e1f0f5a-7d0c-4a49-9a5e-%012lx\n",
	        0x100000ul + rehearse->boots);
	end_processes(rehearse);
	const char *sockets = model_text(rehearse, "/proc/net/unix"); /* by which PVE knows running CTs */
	if (sockets)
		model_set_text(rehearse, "/proc/net/unix", 0444, "%.*s\n", (int)strcspn(sockets, "\n"), sockets);
	if (booting->cmdline)
		model_set_text(rehearse, "/proc/cmdline", 0444, "%s\n", booting->cmdline);
	if (!booting->version)
		return;
	old = old ? text_attribute(rehearse->arena, (struct bytes){ old, strlen(old) }) : "";
	const char *at = version && *old ? strstr(version, old) : NULL;
	if (at)
		model_set_text(rehearse, "/proc/version", 0444, "%.*s%s%s", (int)(at - version), version,
		        booting->version, at + strlen(old));
	model_set_text(rehearse, "/proc/sys/kernel/osrelease", 0444, "%s\n", booting->version);
}

/* ---- units ---- */

static bool condition(struct rehearse *rehearse, const char *key, const char *value)
{
	bool negated = *value == '!';
	struct model_inode *inode;
	value += negated;
	if (strcmp(key, "ConditionPathExists") == 0)
		return (model_look(rehearse, value, true, &inode) == 0) != negated;
	if (strcmp(key, "ConditionKernelCommandLine") == 0) {
		const char *cmdline = model_text(rehearse, "/proc/cmdline");
		bool has =
		        cmdline &&
		        (boot_cmdline_has(cmdline, value) ||
		                (!strchr(value, '=') && boot_cmdline_value(cmdline, value, rehearse->arena) != NULL));
		return has != negated;
	}
	return true;
}

/* ExecStart= into words; double and single quotes keep blanks together. */
static struct words exec_words(struct rehearse *rehearse, const char *line)
{
	struct words words = { 0 };
	line += strspn(line, "-@:+!");
	while (*(line += strspn(line, " \t"))) {
		char quote = *line == '"' || *line == '\'' ? *line : '\0';
		size_t size = quote ? strcspn(line + 1, (char[]){ quote, '\0' }) : strcspn(line, " \t");
		*arena_push(rehearse->arena, words.word, words.n) =
		        arena_strndup(rehearse->arena, line + (quote != 0), size);
		line += size + (quote ? 1 : 0);
		line += quote && *line == quote;
	}
	return words;
}

static void run_unit(struct rehearse *rehearse, const char *path)
{
	const char *text = model_text(rehearse, path);
	struct words lines = text_split(rehearse->arena, text ? text : "", "\n"), start = { 0 };
	for (size_t i = 0; i < lines.n; i++) {
		const char *equals = strchr(lines.word[i], '=');
		if (!equals || *lines.word[i] == '#')
			continue;
		const char *key = arena_strndup(rehearse->arena, lines.word[i], (size_t)(equals - lines.word[i]));
		if (text_starts(key, "Condition") && !condition(rehearse, key, equals + 1))
			return;
		if (strcmp(key, "ExecStart") == 0)
			*arena_push(rehearse->arena, start.word, start.n) = equals + 1;
	}
	for (size_t i = 0; i < start.n && rehearse_power_state(rehearse) == POWER_ON; i++) {
		struct words words = exec_words(rehearse, start.word[i]);
		const char **argv = arena_alloc(rehearse->arena, (words.n + 1) * sizeof *argv);
		if (!words.n)
			continue;
		memcpy(argv, words.word, words.n * sizeof *argv);
		const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
		bool ours = false;
		for (size_t j = 0; j < rehearse->n_programs; j++)
			ours |= strcmp(rehearse->programs[j].name, name) == 0;
		if (ours) /* what the node's own daemons do is in the recording */
			model_call_program(rehearse, NULL, argv);
	}
}

static void run_units(struct rehearse *rehearse)
{
	static const char *const targets[] = { "sysinit.target", "basic.target", "local-fs.target",
		"network-online.target", "multi-user.target", "graphical.target" };
	struct words seen = { 0 };
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		const char *folder = PRINT("/etc/systemd/system/%s.wants", targets[i]);
		struct model_inode *wants = model_find(rehearse, folder);
		for (size_t j = 0; wants && j < wants->names.n; j++) {
			const char *name = wants->names.name[j].name;
			if (!wants->names.name[j].inode || has_word(&seen, name) || !text_ends(name, ".service"))
				continue;
			*arena_push(rehearse->arena, seen.word, seen.n) = name;
			if (rehearse_power_state(rehearse) == POWER_ON)
				run_unit(rehearse, PRINT("%s/%s", folder, name));
		}
	}
}

/* ---- the boot ---- */

static bool no_boot(struct rehearse *rehearse)
{
	for (size_t i = 0; i < rehearse->n_faults; i++) {
		struct model_fault *fault = &rehearse->faults[i];
		if (fault->fault == FAULT_NO_BOOT && rehearse->power == POWER_REBOOTING && model_comes(fault, "boot"))
			return true;
	}
	return false;
}

/* What the tables of mounts say of that place is over. */
static void forget_mount(struct rehearse *rehearse, const char *where)
{
	static const char *const tables[] = { "/proc/self/mounts", "/proc/self/mountinfo" };
	const char *named = PRINT("* %s *", where);
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		const char *text = model_text(rehearse, tables[i]), *kept = "";
		struct words lines = text_split(rehearse->arena, text ? text : "", "\n");
		for (size_t j = 0; j < lines.n; j++)
			if (!text_matches(named, lines.word[j]))
				kept = PRINT("%s%s\n", kept, lines.word[j]);
		if (text)
			model_set_text(rehearse, tables[i], 0444, "%s", kept);
	}
}

/* An ESP that somebody has mounted is mounted no more after a boot, unless fstab says so. */
static void settle_mount(struct rehearse *rehearse, struct model_disk *disk)
{
	const char *where = disk->where, *fstab = model_text(rehearse, "/etc/fstab");
	struct words lines = text_split(rehearse->arena, fstab ? fstab : "", "\n");
	bool again = false;
	for (size_t i = 0; where && i < lines.n; i++) {
		struct words words = text_split(rehearse->arena, lines.word[i], " \t");
		again |= words.n > 1 && strcmp(words.word[1], where) == 0;
	}
	model_unmount(disk);
	if (again)
		model_mount(rehearse, disk, where);
	else if (where)
		forget_mount(rehearse, where);
}

static void settle_disks(struct rehearse *rehearse, bool lose)
{
	for (size_t i = 0; i < rehearse->n_disks; i++) {
		settle_mount(rehearse, &rehearse->disks[i]);
		if (lose)
			model_lose(rehearse, rehearse->disks[i].root);
		model_settle(rehearse, rehearse->disks[i].root);
	}
	if (lose)
		model_lose(rehearse, rehearse->root);
	model_settle(rehearse, rehearse->root);
}

static bool find_kernel(struct booting *booting, const struct facts *facts, struct err *err)
{
	booting->loader = facts->boot.loader;
	if (booting->loader == LOADER_GRUB)
		return load_grub(booting, err);
	if (booting->loader == LOADER_SYSTEMD_BOOT && booting->rehearse->n_disks)
		return load_systemd(booting, facts->boot.kernel_next, err);
	return true;
}

bool rehearse_boot(struct rehearse *rehearse, bool keep, struct err *err)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct booting booting = { .rehearse = rehearse, .arena = &scratch };
	struct facts_want want = { .depth = FACTS_DEVICES | FACTS_LOADER | FACTS_BOOT | FACTS_GUESTS };
	enum rehearse_power before = rehearse_power_state(rehearse);
	if (no_boot(rehearse)) {
		rehearse->power = POWER_CUT;
		settle_disks(rehearse, false);
		return err_set(err, ERR_TIMEOUT, "the machine does not come up by itself");
	}
	settle_disks(rehearse, before != POWER_REBOOTING && !keep);
	if (before == POWER_CUT)
		rehearse->cut = 0;
	rehearse->locks.n = 0;
	rehearse->boots++;
	rehearse->clock += 60;
	rehearse->power = POWER_ON;
	unsigned long cut = rehearse->cut;
	rehearse->cut = 0;
	empty(rehearse, "/run");
	empty(rehearse, "/tmp");
	cold_devices(rehearse);
	struct facts *facts = facts_gather(&rehearse->world, &want, &scratch);
	if (!find_kernel(&booting, facts, err)) {
		rehearse->power = POWER_CUT;
		return false;
	}
	set_boot(&booting, facts);
	boot_devices(&booting, facts);
	new_proc(&booting);
	rehearse->booted = rehearse->clock;
	rehearse->cut = cut;
	run_units(rehearse);
	if (rehearse_power_state(rehearse) == POWER_ON)
		model_guests_boot(rehearse);
	return true;
}
