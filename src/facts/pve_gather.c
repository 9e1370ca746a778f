/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Proxmox VE of a running or recorded node. Files first; qm, pct and pveversion only where a file does not tell.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "facts/package.h"
#include "facts/pve.h"

struct gather {
	struct world *world;
	struct arena *arena;
	struct pve *pve;
	blind_fn *blind;
	void *data;
};

/* What the rules ask the version of. */
static const char *const packages_asked[] = {
	"proxmox-ve",
	"pve-manager",
	"qemu-server",
	"pve-container",
	"pve-qemu-kvm",
	"lxc-pve",
	"libpve-common-perl",
	"pve-firmware",
	"proxmox-kernel-helper",
	"proxmox-kernel-*",
	"pve-kernel-*",
	"proxmox-headers-*",
	"pve-headers*",
	"proxmox-default-headers",
	"dkms",
	"initramfs-tools",
	"dracut",
	"driverctl",
	"nvidia-*",
	"libnvidia-*",
	"firmware-*",
	"intel-microcode",
	"amd64-microcode",
	NULL,
};

static const char dpkg_status[] = "/var/lib/dpkg/status";

static bool gather_run(struct gather *gather, const char *const *argv, struct outcome *ret)
{
	struct command command = { .argv = argv, .deadline_ms = 20000 };
	int error = world_run(gather->world, &command, gather->arena, ret);
	if (error && error != ENOENT)
		gather->blind(gather->data, error, text_sh_line(gather->arena, argv));
	return error == 0 && !ret->timed_out;
}

/* A file of /etc/pve: 0 or an errno, which is told unless the file is known to be absent. */
static int gather_read(struct gather *gather, const char *path, struct bytes *ret)
{
	int error = world_read(gather->world, path, 0, gather->arena, ret);
	if (error && error != ENOENT)
		gather->blind(gather->data, error, path);
	return error;
}

/* ---- is it here, and which -------------------------------------------- */

/* "pve-manager/8.4.21/2606ac850d46da29 (running kernel: 6.8.12-4-pve)" */
static const char *version_parse(struct arena *arena, struct bytes out)
{
	struct words words = text_split(arena, text_attribute(arena, out), "/ ");
	return words.n >= 2 && strcmp(words.word[0], "pve-manager") == 0 ? words.word[1] : NULL;
}

static void gather_version(struct gather *gather)
{
	static const char *const argv[] = { "pveversion", NULL };
	struct pve *pve = gather->pve;
	struct bytes status;
	struct outcome outcome;
	int error = gather_read(gather, dpkg_status, &status);
	if (!error) {
		pve->packages = package_parse(status, packages_asked, gather->arena);
		pve->version = package_version(&pve->packages, "pve-manager");
		pve->here = tri_of(pve->version != NULL);
		return;
	}
	pve->here = world_exists(gather->world, "/usr/bin/pveversion");
	if (pve->here != NO && gather_run(gather, argv, &outcome) && outcome.status == 0) {
		pve->version = version_parse(gather->arena, outcome.out);
		pve->here = pve->version ? YES : pve->here;
	}
}

/* pmxcfs writes .members: the node's name, and "cluster" where there is more than one node (pve-cluster status.c).
 * A single node needs nobody's votes. */
static void gather_members(struct gather *gather)
{
	struct bytes text;
	json_t *members JSON_SCOPED = NULL;
	if (gather_read(gather, "/etc/pve/.members", &text))
		return;
	if (!json_parse(text, ".members", NULL, &members)) {
		gather->blind(gather->data, EINVAL, "/etc/pve/.members");
		return;
	}
	const char *name = json_string_at(members, "nodename");
	const json_t *cluster = json_object_get(members, "cluster"), *quorate = json_object_get(cluster, "quorate");
	if (name && !gather->pve->node)
		gather->pve->node = arena_strdup(gather->arena, name);
	if (json_is_integer(quorate))
		gather->pve->quorate = tri_of(json_integer_value(quorate) != 0);
	else if (name && !cluster)
		gather->pve->quorate = YES;
}

static void gather_node(struct gather *gather)
{
	static const char *const files[] = { "/proc/sys/kernel/hostname", "/etc/hostname" };
	const char *name;
	if (world_link_name(gather->world, gather->arena, &name, "/etc/pve/local") == 0 && *name)
		gather->pve->node = name;
	gather_members(gather);
	for (size_t i = 0; !gather->pve->node && i < sizeof files / sizeof *files; i++)
		if (world_attribute(gather->world, gather->arena, &name, "%s", files[i]) == 0 && *name)
			gather->pve->node = arena_strndup(gather->arena, name, strcspn(name, "."));
}

/* ---- guests ------------------------------------------------------------- */

struct kind {
	enum guest_kind kind;
	const char *folder, *resource;
	const char *list[3]; /* the command that lists them with their status */
};

static const struct kind kinds[] = {
	{ GUEST_VM, "qemu-server", "vm:", { "qm", "list", NULL } },
	{ GUEST_CT, "lxc", "ct:", { "pct", "list", NULL } },
};

static int by_id(const void *left, const void *right)
{
	const struct guest *a = left, *b = right;
	return a->id < b->id ? -1 : a->id > b->id;
}

/* "100.conf" */
static bool file_id(const char *name, int64_t *ret)
{
	size_t digits = strspn(name, "0123456789");
	*ret = 0;
	for (size_t i = 0; i < digits && i < 10; i++)
		*ret = *ret * 10 + (name[i] - '0');
	return digits && digits < 10 && name[0] != '0' && strcmp(name + digits, ".conf") == 0;
}

static struct guest guest_new(struct gather *gather, const struct kind *kind, int64_t id, const char *file)
{
	return (struct guest){ .kind = kind->kind,
		.id = id,
		.node = gather->pve->node,
		.file = file,
		.known = NO,
		.pid = UNKNOWN_NUMBER };
}

/* The guests of this node: /etc/pve/qemu-server and lxc are links of pmxcfs into nodes/NAME. */
static void gather_folder(struct gather *gather, const struct kind *kind)
{
	const char *folder = arena_printf(gather->arena, "/etc/pve/%s", kind->folder);
	struct words names = { 0 };
	int error = world_list(gather->world, folder, gather->arena, &names), told = 0;
	if (error && error != ENOENT) {
		gather->blind(gather->data, error, folder);
		gather->pve->guests_known = NO;
	}
	for (size_t i = 0; i < names.n; i++) {
		int64_t id;
		struct bytes text;
		if (!file_id(names.word[i], &id))
			continue;
		const char *file = arena_printf(gather->arena, "%s/%s", folder, names.word[i]);
		struct guest guest = guest_new(gather, kind, id, file);
		error = world_read(gather->world, file, 0, gather->arena, &text);
		if (!error)
			pve_parse_guest(text, kind->kind, gather->arena, &guest);
		else if (error == ENOENT)
			continue; /* gone since the listing */
		else if (error != told)
			gather->blind(gather->data, told = error, arena_printf(gather->arena, "%s/*.conf", folder));
		if (error == EACCES || error == EPERM)
			gather->pve->readable = NO;
		*arena_push(gather->arena, gather->pve->guests, gather->pve->n_guests) = guest;
	}
}

/* ---- which of them run -------------------------------------------------- */

/* Is that command line the QEMU of this VM? PVE starts it as /usr/bin/kvm -id ID (QemuServer/Helpers.pm,
 * parse_cmdline). */
static bool cmdline_is_vm(struct bytes cmdline, int64_t id, struct arena *arena)
{
	struct words words = { 0 };
	for (size_t at = 0; at < cmdline.size && words.n < 8;) {
		size_t size = strnlen(cmdline.data + at, cmdline.size - at);
		*arena_push(arena, words.word, words.n) = arena_strndup(arena, cmdline.data + at, size);
		at += size + 1;
	}
	bool qemu = words.n && (text_ends(words.word[0], "kvm") || strstr(words.word[0], "qemu-"));
	for (size_t i = 1; qemu && i + 1 < words.n; i++)
		if (strcmp(words.word[i], "-id") == 0 &&
		        strcmp(words.word[i + 1], arena_printf(arena, "%ld", (long)id)) == 0)
			return true;
	return false;
}

static enum tri vm_running(struct gather *gather, struct guest *guest)
{
	const char *text;
	struct bytes cmdline;
	uint64_t pid;
	int error = world_attribute(gather->world, gather->arena, &text, "/run/qemu-server/%ld.pid", (long)guest->id);
	if (error)
		return error == ENOENT ? NO : UNKNOWN;
	if (!text_number(text, 10, 4194304, &pid) || pid == 0)
		return UNKNOWN;
	/* a VM with many disks has a command line of some ten kilobytes */
	error = world_read(gather->world, arena_printf(gather->arena, "/proc/%u/cmdline", (unsigned)pid), 0,
	        gather->arena, &cmdline);
	if (error)
		return error == ENOENT ? NO : UNKNOWN;
	if (!cmdline_is_vm(cmdline, guest->id, gather->arena))
		return NO; /* the number went to another process */
	guest->pid = (int64_t)pid;
	return YES;
}

/* The guests are sorted by id, which a VM and a CT of one cluster never share. */
static struct guest *guest_of(struct pve *pve, enum guest_kind kind, const char *id)
{
	struct guest key = { 0 };
	uint64_t number;
	if (!pve->n_guests || !text_number(id, 10, INT64_MAX, &number))
		return NULL;
	key.id = (int64_t)number;
	struct guest *found = bsearch(&key, pve->guests, pve->n_guests, sizeof key, by_id);
	return found && found->kind == kind ? found : NULL;
}

/* The CTs whose lxc-start listens: "... @/var/lib/lxc/105/command" in /proc/net/unix. */
static void running_containers(struct gather *gather, struct bytes sockets)
{
	static const char prefix[] = "@/var/lib/lxc/";
	struct bytes line;
	for (size_t cursor = 0; text_line(sockets, &cursor, &line);) {
		const char *at = memmem(line.data, line.size, prefix, sizeof prefix - 1);
		if (!at)
			continue;
		at += sizeof prefix - 1;
		char *id = arena_strndup(gather->arena, at, line.size - (size_t)(at - line.data));
		char *rest = id + strspn(id, "0123456789");
		if (strcmp(rest, "/command") != 0)
			continue;
		*rest = '\0';
		struct guest *guest = guest_of(gather->pve, GUEST_CT, id);
		if (guest)
			guest->status = "running";
	}
}

/* `qm list`: VMID NAME STATUS MEM BOOTDISK PID, where a name may be two words ("VM 100"); `pct list`: VMID Status Lock
 * Name. */
static void listed_statuses(struct gather *gather, enum guest_kind kind, struct bytes out)
{
	struct bytes line;
	for (size_t cursor = 0; text_line(out, &cursor, &line);) {
		struct words words = text_split(gather->arena, text_trimmed(gather->arena, line), " \t");
		struct guest *guest = words.n >= 2 ? guest_of(gather->pve, kind, words.word[0]) : NULL;
		if (!guest || guest->status)
			continue;
		if (kind == GUEST_CT)
			guest->status = words.word[1];
		else if (words.n >= 6)
			guest->status = words.word[words.n - 4];
	}
}

static void gather_status(struct gather *gather)
{
	static const char *const said[] = { [NO] = "stopped", [YES] = "running" };
	struct pve *pve = gather->pve;
	bool lacking[3] = { 0 }, containers = false;
	struct bytes sockets;
	struct outcome outcome;
	for (size_t i = 0; i < pve->n_guests; i++)
		containers = containers || pve->guests[i].kind == GUEST_CT;
	containers = containers && world_read(gather->world, "/proc/net/unix", 0, gather->arena, &sockets) == 0;
	for (size_t i = 0; i < pve->n_guests; i++) {
		struct guest *guest = &pve->guests[i];
		guest->status = said[guest->kind == GUEST_VM ? vm_running(gather, guest) : containers ? NO : UNKNOWN];
		lacking[guest->kind] = lacking[guest->kind] || !guest->status;
	}
	if (containers)
		running_containers(gather, sockets);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!lacking[kinds[i].kind] || !gather_run(gather, kinds[i].list, &outcome))
			continue;
		else if (outcome.status == 0)
			listed_statuses(gather, kinds[i].kind, outcome.out);
		else /* they want to be root */
			gather->blind(gather->data, EPERM, text_sh_line(gather->arena, kinds[i].list));
}

/* ---- the cluster's files ------------------------------------------------ */

/* Headers of sections: "vm: 100", "ct: 105". */
static void gather_resources(struct gather *gather)
{
	struct bytes text = { "", 0 }, line;
	int error = gather->pve->n_guests ? gather_read(gather, "/etc/pve/ha/resources.cfg", &text) : ENOENT;
	for (size_t i = 0; (!error || error == ENOENT) && i < gather->pve->n_guests; i++)
		gather->pve->guests[i].ha = NO;
	for (size_t cursor = 0; !error && text_line(text, &cursor, &line);) {
		for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
			if (line.size < 4 || line.size > 64 || memcmp(line.data, kinds[i].resource, 3) != 0)
				continue;
			const char *id = text_trimmed(gather->arena, (struct bytes){ line.data + 3, line.size - 3 });
			struct guest *guest = guest_of(gather->pve, kinds[i].kind, id);
			if (guest)
				guest->ha = YES;
		}
	}
}

static void gather_section_files(struct gather *gather)
{
	static const struct {
		const char *path;
		void (*parse)(struct bytes, struct arena *, struct pve *);
	} files[] = {
		{ "/etc/pve/mapping/pci.cfg", pve_parse_mappings },
		{ "/etc/pve/storage.cfg", pve_parse_storages },
	};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct bytes text;
		int error = gather_read(gather, files[i].path, &text);
		if (!error || error == ENOENT)
			files[i].parse(error ? (struct bytes){ "", 0 } : text, gather->arena, gather->pve);
	}
}

/* ---- */

void pve_gather(struct world *world, struct arena *arena, struct pve *ret, blind_fn *blind, void *data)
{
	struct gather gather = { world, arena, ret, blind, data };
	struct words names = { 0 };
	gather_version(&gather);
	int error = world_list(world, "/etc/pve", arena, &names);
	if (ret->here == NO && (error || !names.n)) {
		/* none of it is here, and that is known */
		ret->readable = NO;
		ret->guests_known = ret->mappings_known = ret->storages_known = YES;
		return;
	}
	/* an empty folder is the mount point without pmxcfs on it: pve-cluster is not running */
	if (!error && !names.n)
		error = ENOTCONN;
	ret->readable = error == 0 ? YES : error == ENODATA ? UNKNOWN : NO;
	if (error) {
		blind(data, error, "/etc/pve");
		ret->guests_known = NO;
		gather_node(&gather);
		return;
	}
	if (ret->here == UNKNOWN)
		ret->here = YES;
	gather_node(&gather);
	ret->guests_known = YES;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		gather_folder(&gather, &kinds[i]);
	if (ret->n_guests)
		qsort(ret->guests, ret->n_guests, sizeof *ret->guests, by_id);
	gather_status(&gather);
	gather_resources(&gather);
	gather_section_files(&gather);
}
