/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * update-initramfs, update-grub, proxmox-boot-tool: each in the effects in which it really happens. Sources:
 * initramfs-tools update-initramfs(8); GRUB's util/grub-mkconfig.in and grub.d/10_linux.in; pve-kernel-helper
 * (proxmox-boot-tool, zz-proxmox-boot, functions, 000_proxmox_boot_header).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rehearse/model.h"

#define PRINT(...) MODEL_PRINT(call->rehearse, __VA_ARGS__)

static const struct world_owner plain = { .mode = 0644 };

static struct bytes bytes_of(const char *text)
{
	return (struct bytes){ text, strlen(text) };
}

/* ---- kernels ---- */

static int newest_first(const void *left, const void *right)
{
	return text_version_compare(*(const char *const *)right, *(const char *const *)left);
}

static struct words kernels_with(struct model_call *call, const char *prefix)
{
	struct model_inode *boot = model_find(call->rehearse, "/boot");
	struct words ret = { 0 };
	for (size_t i = 0; boot && i < boot->names.n; i++)
		if (boot->names.name[i].inode && text_starts(boot->names.name[i].name, prefix) &&
		        !text_ends(boot->names.name[i].name, ".new"))
			*arena_push(call->rehearse->arena, ret.word, ret.n) = boot->names.name[i].name + strlen(prefix);
	if (ret.n)
		qsort(ret.word, ret.n, sizeof *ret.word, newest_first);
	return ret;
}

/* ---- update-initramfs ---- */

static int write_image(struct model_call *call, const char *version)
{
	struct rehearse *rehearse = call->rehearse;
	const char *path = PRINT("/boot/initrd.img-%s", version), *new = PRINT("%s.new", path);
	struct bytes image = model_fresh_image(rehearse, version);
	size_t half = image.size / 2;
	model_out(call, "update-initramfs: Generating %s\n", path);
	int error = model_put(rehearse, new, (struct bytes){ image.data, half }, &plain);
	error = error ? error : model_append(rehearse, new, (struct bytes){ image.data + half, image.size - half });
	error = error ? error : model_rename(rehearse, new, path);
	error = error ? error : model_sync_all(rehearse);
	if (!model_failed(call, error, "mkinitramfs"))
		return 0;
	if (!call->error) {
		model_remove(rehearse, new);
		model_err(call, "update-initramfs: failed for %s with 1.\n", path);
	}
	return 1;
}

static int refresh_esps(struct model_call *call);

static int run_post_update(struct model_call *call)
{
	if (!model_find(call->rehearse, "/etc/pve"))
		return 0;
	model_out(call,
	        "Running hook script 'zz-proxmox-boot'..\nRe-executing '/etc/kernel/postinst.d/zz-proxmox-boot' "
	        "in new private mount namespace..\n");
	return refresh_esps(call);
}

int model_update_initramfs(struct model_call *call)
{
	const char *version = NULL, *mode = NULL;
	for (size_t i = 1; i < call->n; i++) {
		const char *word = call->argv[i];
		if (strcmp(word, "-k") == 0 && i + 1 < call->n)
			version = call->argv[++i];
		else if (text_starts(word, "-k") && word[2])
			version = word + 2;
		else if (strcmp(word, "-u") == 0 || strcmp(word, "-c") == 0 || strcmp(word, "-d") == 0)
			mode = word;
		else if (strcmp(word, "-v") != 0)
			return MODEL_AS_RECORDED;
	}
	if (!mode || mode[1] == 'd') {
		model_err(call, "You must specify at least one of -c, -u, or -d.\n");
		return 1;
	}
	struct words versions = kernels_with(call, mode[1] == 'c' ? "vmlinuz-" : "initrd.img-");
	if (!version && versions.n)
		versions.n = 1; /* the newest alone */
	else if (version && strcmp(version, "all") != 0) {
		versions.n = 0;
		*arena_push(call->rehearse->arena, versions.word, versions.n) = version;
	}
	for (size_t i = 0; i < versions.n; i++) {
		if (!model_find(call->rehearse, PRINT("/lib/modules/%s", versions.word[i]))) {
			model_err(call,
			        "W: missing /lib/modules/%s\nW: Ensure all necessary drivers are built into the linux "
			        "image!\n",
			        versions.word[i]);
		}
		if (mode[1] == 'u' && !model_find(call->rehearse, PRINT("/boot/initrd.img-%s", versions.word[i]))) {
			model_err(call, "/boot/initrd.img-%s does not exist. Cannot update.\n", versions.word[i]);
			return 1;
		}
		if (write_image(call, versions.word[i]) || run_post_update(call))
			return 1;
	}
	return 0;
}

/* ---- grub-mkconfig ---- */

static bool read_defaults(struct model_call *call, struct grub_defaults *ret)
{
	struct rehearse *rehearse = call->rehearse;
	const char *file = "/etc/default/grub", *folder = "/etc/default/grub.d";
	const char *text = model_text(rehearse, file);
	struct model_inode *more = model_find(rehearse, folder);
	*ret = (struct grub_defaults){ .certain = true };
	if (text)
		boot_parse_grub(bytes_of(text), file, rehearse->arena, ret);
	for (size_t i = 0; more && i < more->names.n; i++) {
		const char *path = PRINT("%s/%s", folder, more->names.name[i].name);
		if (text_ends(path, ".cfg") && (text = model_text(rehearse, path)))
			boot_parse_grub(bytes_of(text), path, rehearse->arena, ret);
	}
	static const char *const names[] = { "GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (boot_grub_unknown(ret, names[i]))
			return false;
	return ret->certain;
}

/* "root=/dev/mapper/pve-root ro" as the machine boots now. */
static const char *root_words(struct model_call *call)
{
	const char *cmdline = model_text(call->rehearse, "/proc/cmdline");
	struct words words = boot_cmdline_words(cmdline ? cmdline : "", call->rehearse->arena);
	for (size_t i = 0; i < words.n; i++)
		if (text_starts(words.word[i], "root="))
			return text_starts(words.word[i], "root=ZFS") ? PRINT("%s boot=zfs", words.word[i])
			                                              : PRINT("%s ro", words.word[i]);
	return "root=/dev/mapper/pve-root ro";
}

static const char *menu_entry(
        struct model_call *call, const char *folder, const char *version, const char *id, const char *words)
{
	return PRINT("menuentry 'Proxmox VE GNU/Linux%s%s' --class proxmox --class gnu-linux --class gnu --class os "
	             "$menuentry_id_option '%s' {\n\techo\t'Loading Linux %s ...'\n\tlinux\t%s/vmlinuz-%s %s\n"
	             "\techo\t'Loading initial ramdisk ...'\n\tinitrd\t%s/initrd.img-%s\n}\n",
	        text_matches("*simple*", id) ? "" : ", with Linux ", text_matches("*simple*", id) ? "" : version, id,
	        version, folder, version, words, folder, version);
}

/* The same lines as grub-mkconfig's as far as a boot depends on them. */
static const char *make_menu(struct model_call *call, const struct grub_defaults *defaults, const char *folder)
{
	const char *linux_words = boot_grub_value(defaults, "GRUB_CMDLINE_LINUX");
	const char *more = boot_grub_value(defaults, "GRUB_CMDLINE_LINUX_DEFAULT");
	const char *chosen = boot_grub_value(defaults, "GRUB_DEFAULT"), *root = root_words(call);
	struct words versions = kernels_with(call, "vmlinuz-");
	struct words first = text_split(call->rehearse->arena, root, " ");
	const char *id = first.n ? first.word[0] + strlen("root=") : "";
	const char *words = PRINT("%s %s %s", root, linux_words ? linux_words : "", more ? more : "");
	const char *menu = PRINT("set default=\"%s\"\nset timeout=5\n", chosen && *chosen ? chosen : "0");
	for (size_t i = 0; i < versions.n && i < 1; i++)
		menu = PRINT("%s%s", menu,
		        menu_entry(call, folder, versions.word[i], PRINT("gnulinux-simple-%s", id), words));
	menu = PRINT("%ssubmenu 'Advanced options for Proxmox VE GNU/Linux' $menuentry_id_option "
	             "'gnulinux-advanced-%s' {\n",
	        menu, id);
	for (size_t i = 0; i < versions.n; i++)
		menu = PRINT("%s%s", menu,
		        menu_entry(call, folder, versions.word[i],
		                PRINT("gnulinux-%s-advanced-%s", versions.word[i], id), words));
	return PRINT("%s}\n", menu);
}

/* The lines of a menu that is there, with other words behind "ro": what else grub-mkconfig wrote stays. */
static const char *edit_menu(struct model_call *call, const struct grub_defaults *defaults, const char *old)
{
	const char *linux_words = boot_grub_value(defaults, "GRUB_CMDLINE_LINUX");
	const char *more = boot_grub_value(defaults, "GRUB_CMDLINE_LINUX_DEFAULT"), *menu = "";
	const char *chosen = boot_grub_value(defaults, "GRUB_DEFAULT");
	struct bytes line;
	for (size_t cursor = 0; text_line(bytes_of(old), &cursor, &line);) {
		const char *text = arena_strndup(call->rehearse->arena, line.data, line.size);
		const char *plain_text = text + strspn(text, " \t"), *ro = strstr(text, " ro ");
		bool recovery = text_has_word(text, "single", " ");
		if (!ro && text_ends(text, " ro"))
			ro = text + strlen(text) - 3;
		if (text_starts(plain_text, "linux") && ro && recovery)
			text = PRINT("%.*s ro single %s", (int)(ro - text), text, linux_words ? linux_words : "");
		else if (text_starts(plain_text, "linux") && ro)
			text = PRINT("%.*s ro %s %s", (int)(ro - text), text, linux_words ? linux_words : "",
			        more ? more : "");
		else if (text_starts(plain_text, "set default=\"") && !strchr(plain_text, '$') && chosen && *chosen)
			text = PRINT("set default=\"%s\"", chosen);
		menu = PRINT("%s%s\n", menu, text);
	}
	return menu;
}

static bool names_kernels(struct model_call *call, const char *menu)
{
	struct words versions = kernels_with(call, "vmlinuz-");
	for (size_t i = 0; i < versions.n; i++)
		if (!strstr(menu, PRINT("vmlinuz-%s ", versions.word[i])))
			return false;
	return true;
}

static int write_menu(struct model_call *call, const char *path, const char *folder)
{
	struct rehearse *rehearse = call->rehearse;
	struct grub_defaults defaults;
	const char *old = model_text(rehearse, path), *new = PRINT("%s.new", path);
	if (!read_defaults(call, &defaults)) {
		model_err(call, "/usr/sbin/grub-mkconfig: /etc/default/grub: what it does cannot be rehearsed\n");
		return 2;
	}
	const char *menu = old && *old && names_kernels(call, old) ? edit_menu(call, &defaults, old)
	                                                           : make_menu(call, &defaults, folder);
	struct world_owner owner = { .mode = 0600 };
	/* grub-mkconfig: cat grub.cfg.new > grub.cfg, so the file that is there is filled anew */
	int error = model_put(rehearse, new, bytes_of(menu), &owner);
	error = error ? error : model_put(rehearse, path, bytes_of(menu), old ? NULL : &owner);
	error = error ? error : model_remove(rehearse, new);
	return model_failed(call, error, "/usr/sbin/grub-mkconfig") ? 1 : 0;
}

int model_update_grub(struct model_call *call)
{
	struct rehearse *rehearse = call->rehearse;
	struct words versions = kernels_with(call, "vmlinuz-");
	struct model_inode *folder;
	model_err(call, "Generating grub configuration file ...\n");
	if (rehearse->n_disks) {
		model_err(call,
		        "W: This system is booted via proxmox-boot-tool:\nW: Executing 'update-grub' directly does "
		        "not update the correct configs!\nW: Running: 'proxmox-boot-tool refresh'\n");
		int status = refresh_esps(call);
		if (status)
			return status;
	}
	if (model_look(rehearse, "/boot/grub", true, &folder) != 0) {
		if (!rehearse->n_disks)
			model_err(call, "/usr/sbin/grub-mkconfig: 1: cannot create /boot/grub/grub.cfg.new: Directory "
			                "nonexistent\n");
		return rehearse->n_disks ? 0 : 2;
	}
	for (size_t i = 0; i < versions.n; i++)
		model_err(call, "Found linux image: /boot/vmlinuz-%s\nFound initrd image: /boot/initrd.img-%s\n",
		        versions.word[i], versions.word[i]);
	int status = write_menu(call, "/boot/grub/grub.cfg", "/boot");
	if (!status && !call->error)
		model_err(call, "done\n");
	return status;
}

/* ---- proxmox-boot-tool ---- */

/* cp -u: nothing where it is the same. */
static int copy_file(struct model_call *call, const char *from, const char *to)
{
	struct rehearse *rehearse = call->rehearse;
	struct model_inode *source = model_find(rehearse, from), *there = model_find(rehearse, to);
	if (!source)
		return ENOENT;
	if (there && there->data.size == source->data.size && there->stat.size == source->stat.size &&
	        (!source->data.size || memcmp(there->data.data, source->data.data, source->data.size) == 0))
		return 0;
	struct world_owner owner = { .mode = 0755 };
	int error = model_put(rehearse, to, source->data, &owner);
	if (error)
		return error;
	there = model_find(rehearse, to);
	there->has_data = source->has_data;
	there->stat.size = source->stat.size;
	there->stat.mtime = source->stat.mtime;
	return 0;
}

static int make_folders(struct model_call *call, const char *path, size_t from)
{
	struct model_inode *inode;
	for (size_t size = from + 1; size <= strlen(path); size++) {
		if (path[size] != '/' && path[size])
			continue;
		const char *part = arena_strndup(call->rehearse->arena, path, size);
		int error = model_look(call->rehearse, part, true, &inode) == 0
		                    ? 0
		                    : model_mkdir(call->rehearse, part, 0755);
		if (error)
			return error;
	}
	return 0;
}

static int put_text(struct model_call *call, const char *path, const char *text)
{
	struct world_owner owner = { .mode = 0755 };
	const char *old = model_text(call->rehearse, path);
	return old && strcmp(old, text) == 0 ? 0 : model_put(call->rehearse, path, bytes_of(text), &owner);
}

static int fill_uefi(struct model_call *call, const char *at, const char *version, const char *cmdline)
{
	const char *folder = PRINT("%s/EFI/proxmox/%s", at, version), *entries = PRINT("%s/loader/entries", at);
	int error = make_folders(call, folder, strlen(at));
	error = error ? error : make_folders(call, entries, strlen(at));
	error = error ? error
	              : copy_file(call, PRINT("/boot/vmlinuz-%s", version), PRINT("%s/vmlinuz-%s", folder, version));
	error = error ? error
	              : copy_file(call, PRINT("/boot/initrd.img-%s", version),
	                        PRINT("%s/initrd.img-%s", folder, version));
	return error ? error
	             : put_text(call, PRINT("%s/proxmox-%s.conf", entries, version),
	                       PRINT("title    Proxmox Virtual Environment\nversion  %s\noptions  %s\n"
	                             "linux    /EFI/proxmox/%s/vmlinuz-%s\ninitrd   /EFI/proxmox/%s/initrd.img-%s\n",
	                               version, cmdline, version, version, version, version));
}

static int fill_grub(struct model_call *call, const char *at, const char *version)
{
	int error = copy_file(call, PRINT("/boot/vmlinuz-%s", version), PRINT("%s/vmlinuz-%s", at, version));
	return error ? error
	             : copy_file(call, PRINT("/boot/initrd.img-%s", version), PRINT("%s/initrd.img-%s", at, version));
}

/* False: it dies (status 1). */
static bool next_cmdline(struct model_call *call, const char **ret)
{
	const char *text = model_text(call->rehearse, "/etc/kernel/cmdline"), *line = "";
	if (text) {
		line = arena_strndup(call->rehearse->arena, text, strcspn(text, "\n"));
	} else {
		const char *now = model_text(call->rehearse, "/proc/cmdline");
		struct words words = boot_cmdline_words(now ? now : "", call->rehearse->arena);
		model_err(call, "No /etc/kernel/cmdline found - falling back to /proc/cmdline\n");
		for (size_t i = 0; i < words.n; i++)
			if (!text_starts(words.word[i], "initrd="))
				line = PRINT("%s%s%s", line, *line ? " " : "", words.word[i]);
	}
	if (!boot_cmdline_value(line, "root", call->rehearse->arena)) {
		model_err(call, "No root= parameter in /etc/kernel/cmdline found!\n");
		return false;
	}
	*ret = line;
	return true;
}

static int fill_disk(struct model_call *call, struct model_disk *disk, const char *at, const char *cmdline)
{
	struct words versions = kernels_with(call, "vmlinuz-");
	bool grub = disk->mode && text_starts(disk->mode, "grub");
	model_out(call, "Copying and configuring kernels on /dev/disk/by-uuid/%s\n", disk->uuid);
	for (size_t i = 0; i < versions.n; i++) {
		model_out(
		        call, "\tCopying kernel %s%s\n", grub ? "" : "and creating boot-entry for ", versions.word[i]);
		int error =
		        grub ? fill_grub(call, at, versions.word[i]) : fill_uefi(call, at, versions.word[i], cmdline);
		if (model_failed(call, error, "cp"))
			return 1;
	}
	if (!grub)
		return 0;
	return model_failed(call, make_folders(call, PRINT("%s/grub", at), strlen(at)), "mkdir")
	               ? 1
	               : write_menu(call, PRINT("%s/grub/grub.cfg", at), "");
}

static int refresh_disk(struct model_call *call, struct model_disk *disk, const char *cmdline)
{
	struct rehearse *rehearse = call->rehearse;
	if (disk->at)
		return fill_disk(call, disk, disk->where, cmdline);
	const char *at = PRINT("/run/espmounts/%s", disk->uuid);
	model_set(rehearse, at, NODE_DIR, 0755, (struct bytes){ 0 });
	if (model_failed(call, model_mount(rehearse, disk, at), "mount"))
		return 1;
	int status = fill_disk(call, disk, at, cmdline);
	if (!call->error && model_failed(call, model_effect(rehearse, "umount %s", at), "umount"))
		status = 1;
	model_unmount(disk);
	if (!call->error)
		model_settle(rehearse, disk->root);
	model_drop(rehearse, "/run/espmounts");
	return call->error ? 1 : status;
}

static int refresh_esps(struct model_call *call)
{
	const char *list = model_text(call->rehearse, "/etc/kernel/proxmox-boot-uuids"), *cmdline;
	if (!list) {
		model_out(call, "No /etc/kernel/proxmox-boot-uuids found, skipping ESP sync.\n");
		return 0;
	}
	if (!next_cmdline(call, &cmdline))
		return 1;
	struct words uuids = text_split(call->rehearse->arena, list, "\n");
	for (size_t i = 0; i < uuids.n; i++) {
		struct model_disk *disk = NULL;
		for (size_t j = 0; j < call->rehearse->n_disks; j++)
			if (strcmp(call->rehearse->disks[j].uuid, uuids.word[i]) == 0)
				disk = &call->rehearse->disks[j];
		if (!disk) {
			model_err(call,
			        "WARN: /dev/disk/by-uuid/%s does not exist - clean '/etc/kernel/proxmox-boot-uuids'! "
			        "- skipping\n",
			        uuids.word[i]);
			continue;
		}
		if (refresh_disk(call, disk, cmdline))
			return 1;
	}
	return 0;
}

static int show_status(struct model_call *call)
{
	struct rehearse *rehearse = call->rehearse;
	if (!rehearse->n_disks)
		return MODEL_AS_RECORDED;
	model_out(call, "System currently booted with uefi\n");
	for (size_t i = 0; i < rehearse->n_disks; i++) {
		const struct model_disk *disk = &rehearse->disks[i];
		struct model_inode *folder = model_child(disk->root, "EFI");
		folder = folder ? model_child(folder, "proxmox") : NULL;
		const char *versions = "";
		for (size_t j = folder ? folder->names.n : 0; j--;)
			if (folder->names.name[j].inode && folder->names.name[j].name[0] >= '0' &&
			        folder->names.name[j].name[0] <= '9')
				versions = PRINT("%s%s%s", versions, *versions ? ", " : "", folder->names.name[j].name);
		model_out(call, "%s is configured with: %s (versions: %s)\n", disk->uuid,
		        disk->mode ? disk->mode : "uefi", versions);
	}
	return 0;
}

static int list_kernels(struct model_call *call)
{
	struct words versions = kernels_with(call, "vmlinuz-");
	model_out(call, "Manually selected kernels:\nNone.\n\nAutomatically selected kernels:\n");
	for (size_t i = versions.n; i--;)
		model_out(call, "%s\n", versions.word[i]);
	const char *pin = model_text(call->rehearse, "/etc/kernel/proxmox-boot-pin");
	if (pin)
		model_out(call, "\nPinned kernel:\n%s", pin);
	return 0;
}

int model_boot_tool(struct model_call *call)
{
	const char *verb = call->n > 1 ? call->argv[1] : "";
	if (strcmp(verb, "status") == 0)
		return show_status(call);
	if (strcmp(verb, "kernel") == 0 && call->n > 2 && strcmp(call->argv[2], "list") == 0)
		return list_kernels(call);
	if (strcmp(verb, "refresh") != 0)
		return MODEL_AS_RECORDED;
	model_out(call, "Running hook script 'proxmox-auto-removal'..\nRunning hook script 'zz-proxmox-boot'..\n"
	                "Re-executing '/etc/kernel/postinst.d/zz-proxmox-boot' in new private mount namespace..\n");
	return refresh_esps(call);
}
