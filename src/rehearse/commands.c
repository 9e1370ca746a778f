/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The node's programs, as far as a change of ours or of a guide uses them: modules, power, units, disks. Messages are
 * those of the programs themselves (kmod, systemd, util-linux, coreutils).
 */
#include <errno.h>
#include <string.h>

#include "rehearse/model.h"

#define PRINT(...) MODEL_PRINT(call->rehearse, __VA_ARGS__)

static const char *release(struct model_call *call)
{
	const char *text = model_text(call->rehearse, "/proc/sys/kernel/osrelease");
	return text ? text_attribute(call->rehearse->arena, (struct bytes){ text, strlen(text) }) : "";
}

/* ---- modules ---- */

static int modprobe_one(struct model_call *call, const char *module, bool remove, bool quiet)
{
	int error = remove ? kernel_unload(call->rehearse, module) : kernel_load(call->rehearse, module);
	if (!error || (remove && error == ENOENT))
		return 0; /* modprobe -r of what is not loaded is no failure */
	if (!quiet && error == ENOENT)
		model_err(call, "modprobe: FATAL: Module %s not found in directory /lib/modules/%s\n", module,
		        release(call));
	if (!quiet && error == EBUSY)
		model_err(
		        call, "modprobe: FATAL: Module %s is in use.\n", modprobe_name(call->rehearse->arena, module));
	return 1;
}

static int run_modprobe(struct model_call *call)
{
	bool remove = false, all = false, quiet = false, dry = false;
	struct words modules = { 0 };
	for (size_t i = 1; i < call->n; i++) {
		const char *word = call->argv[i];
		if (strcmp(word, "-r") == 0 || strcmp(word, "--remove") == 0)
			remove = true;
		else if (strcmp(word, "-a") == 0 || strcmp(word, "--all") == 0)
			all = true;
		else if (strcmp(word, "-q") == 0 || strcmp(word, "--quiet") == 0)
			quiet = true;
		else if (strcmp(word, "-n") == 0 || strcmp(word, "--dry-run") == 0)
			dry = true;
		else if (*word == '-' && strcmp(word, "--") != 0)
			return MODEL_AS_RECORDED;
		else if (*word != '-')
			*arena_push(call->rehearse->arena, modules.word, modules.n) = word;
	}
	if (!modules.n) {
		model_err(call, "modprobe: ERROR: missing parameters. See -h.\n");
		return 1;
	}
	/* without -a the words behind the first are its parameters */
	int status = 0;
	for (size_t i = 0; i < modules.n && (i == 0 || all || remove); i++) {
		if (dry)
			continue;
		if (model_failed(call,
		            model_effect(call->rehearse, "modprobe %s%s", remove ? "-r " : "", modules.word[i]),
		            "modprobe"))
			return 1;
		int one = modprobe_one(call, modules.word[i], remove, quiet);
		status = status ? status : one;
	}
	return status;
}

static int run_rmmod(struct model_call *call)
{
	int status = 0;
	for (size_t i = 1; i < call->n; i++) {
		if (*call->argv[i] == '-')
			continue;
		if (model_failed(call, model_effect(call->rehearse, "rmmod %s", call->argv[i]), "rmmod"))
			return 1;
		int error = kernel_unload(call->rehearse, call->argv[i]);
		const char *module = modprobe_name(call->rehearse->arena, call->argv[i]);
		if (error == ENOENT)
			model_err(call, "rmmod: ERROR: Module %s is not currently loaded\n", module);
		if (error == EBUSY)
			model_err(call, "rmmod: ERROR: Module %s is in use\n", module);
		status = error ? 1 : status;
	}
	return status;
}

static int run_depmod(struct model_call *call)
{
	return model_failed(call, model_effect(call->rehearse, "depmod"), "depmod") ? 1 : 0;
}

static int run_nothing(struct model_call *call)
{
	return model_dead(call->rehearse) ? 1 : 0;
}

static int run_uname(struct model_call *call)
{
	if (call->n != 2 || strcmp(call->argv[1], "-r") != 0)
		return MODEL_AS_RECORDED;
	model_out(call, "%s\n", release(call));
	return 0;
}

/* ---- power ---- */

static int run_reboot(struct model_call *call)
{
	struct rehearse *rehearse = call->rehearse;
	if (model_failed(call, model_effect(rehearse, "reboot"), "reboot"))
		return 1;
	if (model_dead(rehearse))
		return 1;
	model_guests_stop(rehearse);
	if (model_dead(rehearse))
		return 1;
	rehearse->power = POWER_REBOOTING;
	return 0;
}

static int run_sync(struct model_call *call)
{
	struct rehearse *rehearse = call->rehearse;
	bool system = false, any = false;
	for (size_t i = 1; i < call->n; i++) {
		const char *word = call->argv[i];
		system |= strcmp(word, "-f") == 0 || strcmp(word, "--file-system") == 0;
		if (*word == '-')
			continue;
		any = true;
		struct model_inode *inode = model_find(rehearse, word);
		if (!inode) {
			model_err(call, "sync: error opening '%s': No such file or directory\n", word);
			return 1;
		}
		int error = system ? model_effect(rehearse, "sync -f %s", word) : model_sync(rehearse, word);
		if (model_failed(call, error, "sync"))
			return 1;
		while (system && inode->parent && !inode->disk)
			inode = inode->parent;
		if (system)
			model_settle(rehearse, inode);
	}
	return !any && model_failed(call, model_sync_all(rehearse), "sync") ? 1 : 0;
}

/* ---- units ---- */

static const char *unit_name(struct model_call *call, const char *name)
{
	return strrchr(name, '.') ? name : PRINT("%s.service", name);
}

static const char *unit_file(struct model_call *call, const char *unit)
{
	static const char *const folders[] = { "/etc/systemd/system", "/run/systemd/system",
		"/usr/lib/systemd/system" };
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		const char *path = PRINT("%s/%s", folders[i], unit);
		if (model_text(call->rehearse, path))
			return path;
	}
	return NULL;
}

/* WantedBy= of the unit's [Install]. */
static struct words wanted_by(struct model_call *call, const char *path)
{
	const char *text = model_text(call->rehearse, path), *at = text ? strstr(text, "\nWantedBy=") : NULL;
	if (!at)
		return (struct words){ 0 };
	at += strlen("\nWantedBy=");
	return text_split(call->rehearse->arena, arena_strndup(call->rehearse->arena, at, strcspn(at, "\n")), " ");
}

static int enable_one(struct model_call *call, const char *unit, bool enable)
{
	struct rehearse *rehearse = call->rehearse;
	const char *path = unit_file(call, unit);
	struct model_inode *there;
	if (!path) {
		model_err(
		        call, "Failed to %s unit: Unit file %s does not exist.\n", enable ? "enable" : "disable", unit);
		return 1;
	}
	struct words targets = wanted_by(call, path);
	for (size_t i = 0; i < targets.n; i++) {
		const char *folder = PRINT("/etc/systemd/system/%s.wants", targets.word[i]);
		const char *link = PRINT("%s/%s", folder, unit);
		bool is = model_look(rehearse, link, false, &there) == 0;
		if (is == enable)
			continue;
		int error = 0;
		if (enable && model_look(rehearse, folder, true, &there) != 0)
			error = model_mkdir(rehearse, folder, 0755);
		error = error ? error : enable ? model_symlink(rehearse, path, link) : model_remove(rehearse, link);
		if (model_failed(call, error, link))
			return 1;
		if (enable)
			model_err(call, "Created symlink %s → %s.\n", link, path);
		else
			model_err(call, "Removed \"%s\".\n", link);
	}
	return 0;
}

static int run_enable(struct model_call *call)
{
	bool enable = strcmp(call->argv[1], "enable") == 0;
	int status = 0;
	for (size_t i = 2; i < call->n && !status; i++)
		if (*call->argv[i] != '-')
			status = enable_one(call, unit_name(call, call->argv[i]), enable);
	return status;
}

static int run_is_enabled(struct model_call *call)
{
	if (call->n != 3)
		return MODEL_AS_RECORDED;
	const char *unit = unit_name(call, call->argv[2]), *path = unit_file(call, unit);
	struct model_inode *there;
	struct words targets = { 0 };
	if (!path)
		return MODEL_AS_RECORDED;
	targets = wanted_by(call, path);
	for (size_t i = 0; i < targets.n; i++)
		if (model_look(call->rehearse, PRINT("/etc/systemd/system/%s.wants/%s", targets.word[i], unit), false,
		            &there) == 0) {
			model_out(call, "enabled\n");
			return 0;
		}
	model_out(call, "%s\n", targets.n ? "disabled" : "static");
	return targets.n ? 1 : 0;
}

static int run_reload(struct model_call *call)
{
	return model_failed(call, model_effect(call->rehearse, "systemctl daemon-reload"), "systemctl") ? 1 : 0;
}

/* start and stop of a unit of ours runs what was installed for it; others are the recording's. */
static int run_is_active(struct model_call *call)
{
	if (call->n < 3)
		return MODEL_AS_RECORDED;
	const char *unit = unit_name(call, call->argv[call->n - 1]);
	const char *name = arena_strndup(call->rehearse->arena, unit, strlen(unit) - strlen(strrchr(unit, '.')));
	struct model_inode *proc = model_find(call->rehearse, "/proc");
	for (size_t i = 0; proc && i < proc->names.n; i++) {
		const char *cgroup = model_text(call->rehearse, PRINT("/proc/%s/cgroup", proc->names.name[i].name));
		if (cgroup && strstr(cgroup, PRINT("/%s.service", name))) {
			model_out(call, "active\n");
			return 0;
		}
	}
	return MODEL_AS_RECORDED;
}

static int run_systemctl(struct model_call *call)
{
	static const char *const harmless[] = { "start", "stop", "restart", "reset-failed", "mask", "unmask" };
	for (size_t i = 0; call->n > 1 && i < sizeof harmless / sizeof *harmless; i++)
		if (strcmp(harmless[i], call->argv[1]) == 0)
			return model_failed(call, model_effect(call->rehearse, "%s", call->line), "systemctl") ? 1 : 0;
	return MODEL_AS_RECORDED;
}

/* ---- disks ---- */

static struct model_disk *disk_named(struct model_call *call, const char *name)
{
	struct rehearse *rehearse = call->rehearse;
	for (size_t i = 0; i < rehearse->n_disks; i++) {
		struct model_disk *disk = &rehearse->disks[i];
		if (strcmp(name, PRINT("UUID=%s", disk->uuid)) == 0 ||
		        strcmp(name, PRINT("/dev/disk/by-uuid/%s", disk->uuid)) == 0 ||
		        (disk->node && strcmp(name, disk->node) == 0) ||
		        (disk->where && strcmp(name, disk->where) == 0))
			return disk;
	}
	return NULL;
}

/* /proc/mounts of what is mounted now; the recording's other lines stay. */
static void note_mounts(struct model_call *call, const struct model_disk *disk, const char *where, bool on)
{
	static const char *const tables[] = { "/proc/self/mounts", "/proc/mounts" };
	for (size_t i = 0; i < 1; i++) {
		const char *text = model_text(call->rehearse, tables[i]), *kept = "";
		const char *line = PRINT("%s %s vfat", disk->node ? disk->node : disk->uuid, where);
		struct words lines = text_split(call->rehearse->arena, text ? text : "", "\n");
		for (size_t j = 0; j < lines.n; j++)
			if (!text_starts(lines.word[j], line))
				kept = PRINT("%s%s\n", kept, lines.word[j]);
		model_set_text(call->rehearse, tables[i], 0444, "%s%s%s", kept, on ? line : "",
		        on ? " rw,relatime,fmask=0022,dmask=0022 0 0\n" : "");
	}
}

static int run_mount(struct model_call *call)
{
	const char *words[2] = { NULL, NULL };
	size_t n = 0;
	for (size_t i = 1; i < call->n; i++) {
		if (strcmp(call->argv[i], "-t") == 0 || strcmp(call->argv[i], "-o") == 0)
			i++;
		else if (*call->argv[i] != '-' && n < 2)
			words[n++] = call->argv[i];
	}
	struct model_disk *disk = n ? disk_named(call, words[0]) : NULL;
	if (n != 2)
		return MODEL_AS_RECORDED;
	if (!disk) {
		model_err(call, "mount: %s: special device %s does not exist.\n", words[1], words[0]);
		return 32;
	}
	if (model_failed(call, model_effect(call->rehearse, "mount %s %s", words[0], words[1]), "mount"))
		return 32;
	int error = model_mount(call->rehearse, disk, words[1]);
	if (error)
		model_err(call,
		        error == EBUSY ? "mount: %s: %s already mounted or mount point busy.\n"
		                       : "mount: %s: mount point does not exist.\n",
		        words[1], words[0]);
	if (error)
		return 32;
	note_mounts(call, disk, words[1], true);
	return 0;
}

static int run_umount(struct model_call *call)
{
	const char *what = call->n > 1 ? call->argv[call->n - 1] : "";
	struct model_disk *disk = disk_named(call, what);
	if (!disk || !disk->at) {
		model_err(call, "umount: %s: not mounted.\n", what);
		return 32;
	}
	if (model_failed(call, model_effect(call->rehearse, "umount %s", what), "umount"))
		return 32;
	note_mounts(call, disk, disk->where, false);
	model_unmount(disk);
	model_settle(call->rehearse, disk->root);
	return 0;
}

/* env NAME=value ... COMMAND */
static int run_env(struct model_call *call)
{
	size_t i = 1;
	while (i < call->n && strchr(call->argv[i], '='))
		i++;
	return i < call->n ? model_call_program(call->rehearse, call, call->argv + i) : MODEL_AS_RECORDED;
}

const struct model_command model_node_commands[] = {
	{ "modprobe", run_modprobe },
	{ "rmmod", run_rmmod },
	{ "depmod", run_depmod },
	{ "udevadm settle", run_nothing },
	{ "udevadm trigger", run_nothing },
	{ "uname", run_uname },
	{ "reboot", run_reboot },
	{ "systemctl reboot", run_reboot },
	{ "systemctl enable", run_enable },
	{ "systemctl disable", run_enable },
	{ "systemctl is-enabled", run_is_enabled },
	{ "systemctl is-active", run_is_active },
	{ "systemctl daemon-reload", run_reload },
	{ "systemctl", run_systemctl },
	{ "sync", run_sync },
	{ "mount", run_mount },
	{ "umount", run_umount },
	{ "env", run_env },
	{ "update-initramfs", model_update_initramfs },
	{ "update-grub", model_update_grub },
	{ "update-grub2", model_update_grub },
	{ "proxmox-boot-tool", model_boot_tool },
	{ "apt-get", model_apt_get },
	{ "apt", model_apt_get },
	{ "apt-mark", model_apt_mark },
	{ "dpkg", model_dpkg },
	{ NULL },
};
