/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Starting and stopping guests, what runs, and what a boot starts. Sources: qemu-server PVE/QemuServer.pm
 * (vm_start_nolock, _do_vm_stop), pve-container PVE/LXC.pm (vm_start, vm_stop, device_passthrough_hotplug),
 * src/lxc-pve-prestart-hook, pve-manager PVE/API2/Nodes.pm (startall).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rehearse/pve.h"

#define SOCKETS "/proc/net/unix"

/* ---- what runs ---- */

static const char *socket_of(struct rehearse *rehearse, unsigned id)
{
	return MODEL_PRINT(rehearse, " @/var/lib/lxc/%u/command\n", id);
}

/* The first process below its cgroup, as lxc-info finds it. */
static unsigned ct_pid(struct rehearse *rehearse, unsigned id)
{
	const char *sockets = model_text(rehearse, SOCKETS);
	const char *group = MODEL_PRINT(rehearse, "/lxc/%u/", id);
	struct model_inode *proc = model_find(rehearse, "/proc");
	if (!sockets || !strstr(sockets, socket_of(rehearse, id)))
		return 0;
	unsigned found = 0;
	for (size_t i = 0; proc && i < proc->names.n; i++) {
		const char *name = proc->names.name[i].name;
		const char *text = *name >= '1' && *name <= '9'
		                           ? model_text(rehearse, MODEL_PRINT(rehearse, "/proc/%s/cgroup", name))
		                           : NULL;
		unsigned pid = text && strstr(text, group) ? model_number(name) : 0;
		found = pid && (!found || pid < found) ? pid : found;
	}
	return found ? found : 1;
}

unsigned pve_pid(struct rehearse *rehearse, enum guest_kind kind, unsigned id)
{
	if (kind == GUEST_CT)
		return ct_pid(rehearse, id);
	const char *text = model_text(rehearse, MODEL_PRINT(rehearse, "/run/qemu-server/%u.pid", id));
	unsigned pid = text ? model_number(text) : 0;
	return pid && model_find(rehearse, MODEL_PRINT(rehearse, "/proc/%u", pid)) ? pid : 0;
}

/* ---- a VM's process ---- */

static void put_line(struct rehearse *rehearse, unsigned pid, const char *words)
{
	size_t size = strlen(words);
	char *line = arena_strndup(rehearse->arena, words, size);
	for (size_t i = 0; i < size; i++)
		line[i] = line[i] == '\n' ? '\0' : line[i];
	model_set(rehearse, MODEL_PRINT(rehearse, "/proc/%u/cmdline", pid), NODE_FILE, 0444,
	        (struct bytes){ line, size });
}

static void vm_runs(struct model_call *call, unsigned id, const struct pve_pcis *pcis)
{
	struct rehearse *rehearse = call->rehearse;
	const char *open = "/dev/kvm";
	for (size_t i = 0; i < pcis->n; i++)
		for (size_t j = 0; j < pcis->pci[i].addresses.n; j++) {
			struct model_inode *inode;
			const char *link = MODEL_PRINT(
			        rehearse, "/sys/bus/pci/devices/%s/iommu_group", pcis->pci[i].addresses.word[j]);
			const char *slash = model_look(rehearse, link, false, &inode) == 0 && inode->link
			                            ? strrchr(inode->link, '/')
			                            : NULL;
			const char *node = slash ? MODEL_PRINT(rehearse, "/dev/vfio/%s", slash + 1) : NULL;
			if (node && !text_has_word(open, "/dev/vfio/vfio", " "))
				open = MODEL_PRINT(rehearse, "%s /dev/vfio/vfio", open);
			if (node && !text_has_word(open, node, " "))
				open = MODEL_PRINT(rehearse, "%s %s", open, node);
		}
	unsigned pid = model_process(rehearse, "kvm", MODEL_PRINT(rehearse, "/qemu.slice/%u.scope", id), open);
	put_line(rehearse, pid,
	        MODEL_PRINT(rehearse,
	                "/usr/bin/kvm\n-id\n%u\n-no-shutdown\n-pidfile\n/var/run/qemu-server/%u.pid\n-daemonize\n", id,
	                id));
	model_set_text(rehearse, MODEL_PRINT(rehearse, "/run/qemu-server/%u.pid", id), 0640, "%u\n", pid);
	pve_pci_reserve(call, id, pcis, pid);
}

static int vm_start(struct model_call *call, unsigned id)
{
	struct rehearse *rehearse = call->rehearse;
	struct pve_file file;
	struct pve_pcis pcis = { 0 };
	struct words line = { 0 };
	if (!pve_load(call, GUEST_VM, id, &file))
		return PVE_NO_FILE;
	if (pve_locked(call, &file))
		return PVE_DIED;
	if (pve_pid(rehearse, GUEST_VM, id))
		return pve_die(call, "VM %u already running", id);
	if (pve_get(&file.active, "template"))
		return pve_die(call, "you can't start a vm if it's a template");
	if (file.pending.n) {
		pve_apply_pending(rehearse->arena, &file);
		if (!pve_store(call, &file))
			return PVE_DIED;
	}
	int status = pve_show(call, &file, &line);
	status = status ? status : pve_pci_parse(call, &file.active, &pcis);
	status = status ? status : pve_pci_prepare(call, id, &pcis);
	if (status)
		return status;
	int error = model_effect(rehearse, "vm/%u: runs", id);
	if (model_failed(call, error, "start failed: QEMU exited with code 1"))
		return PVE_DIED;
	vm_runs(call, id, &pcis);
	return 0;
}

/* ---- a CT's processes ---- */

static void sockets_without(struct rehearse *rehearse, unsigned id, bool add)
{
	const char *text = model_text(rehearse, SOCKETS), *mine = socket_of(rehearse, id), *kept = "";
	struct bytes line;
	struct bytes all = { text ? text : "", text ? strlen(text) : 0 };
	for (size_t cursor = 0; text_line(all, &cursor, &line);) {
		const char *one = MODEL_PRINT(rehearse, "%.*s\n", (int)line.size, line.data);
		if (!strstr(one, mine))
			kept = MODEL_PRINT(rehearse, "%s%s", kept, one);
	}
	if (add)
		kept = MODEL_PRINT(rehearse, "%s0000000000000000: 00000002 00000000 00010000 0001 01 %u%s", kept,
		        40000 + id % 10000, mine);
	model_set_text(rehearse, SOCKETS, 0444, "%s", kept);
}

/* The recording of its inside, NULL: nobody looked into it. */
static struct tape_target *inside_of(struct rehearse *rehearse, unsigned id)
{
	const char *label = MODEL_PRINT(rehearse, "ct/%u", id);
	for (size_t i = 0; i < rehearse->tape->n; i++)
		if (strcmp(rehearse->tape->targets[i]->label, label) == 0)
			return rehearse->tape->targets[i];
	return NULL;
}

void pve_ct_device(struct rehearse *rehearse, unsigned id, const char *value, bool there)
{
	struct pve_properties set = pve_parse_properties(value, "path", rehearse->arena);
	const char *path = pve_property(&set, "path"), *mode = pve_property(&set, "mode");
	const char *uid = pve_property(&set, "uid"), *gid = pve_property(&set, "gid");
	struct tape_target *inside = inside_of(rehearse, id);
	struct model_inode *node = path ? model_find(rehearse, path) : NULL;
	if (!inside || !path || (there && !node))
		return;
	struct tape_entry *entry = tape_entry(inside, rehearse->arena, path);
	*entry = (struct tape_entry){ .path = entry->path, .error = there ? 0 : ENOENT, .open_error = -1 };
	if (!there)
		return;
	entry->stat = node->stat;
	entry->stat.mode = mode ? (unsigned)strtoul(mode, NULL, 8) : 0660;
	entry->stat.uid = uid ? model_number(uid) : 0;
	entry->stat.gid = gid ? model_number(gid) : 0;
	entry->open_error = 0;
}

static int ct_devices(struct model_call *call, const struct pve_file *file, bool there)
{
	for (size_t i = 0; i < file->active.n; i++) {
		const struct pve_key *key = &file->active.key[i];
		if (!text_starts(key->name, "dev") || !pve_option_key(key->name, PVE_CT_KEY))
			continue;
		struct pve_properties set = pve_parse_properties(key->value, "path", call->rehearse->arena);
		const char *path = pve_property(&set, "path");
		if (there && (!path || !model_find(call->rehearse, path))) {
			model_err(call, "Device %s does not exist\n", path ? path : "");
			return 2;
		}
		pve_ct_device(call->rehearse, file->id, key->value, there);
	}
	return 0;
}

static int ct_start(struct model_call *call, unsigned id)
{
	struct rehearse *rehearse = call->rehearse;
	struct pve_file file;
	if (!pve_load(call, GUEST_CT, id, &file))
		return PVE_NO_FILE;
	if (pve_locked(call, &file))
		return PVE_DIED;
	if (pve_pid(rehearse, GUEST_CT, id))
		return pve_die(call, "CT %u already running", id);
	if (file.pending.n) {
		pve_apply_pending(rehearse->arena, &file);
		if (!pve_store(call, &file))
			return PVE_DIED;
	}
	if (ct_devices(call, &file, true)) {
		model_err(call,
		        "run_buffer: 571 Script exited with status 2\n"
		        "lxc_init: 845 Failed to run lxc.hook.pre-start for container \"%u\"\n"
		        "__lxc_start: 2034 Failed to initialize container \"%u\"\n",
		        id, id);
		return pve_die(call, "startup for container '%u' failed", id);
	}
	int error = model_effect(rehearse, "ct/%u: runs", id);
	if (model_failed(call, error, MODEL_PRINT(rehearse, "startup for container '%u' failed", id)))
		return PVE_DIED;
	unsigned above = model_process(rehearse, "lxc-start", MODEL_PRINT(rehearse, "/lxc.monitor/%u", id), "");
	put_line(rehearse, above, MODEL_PRINT(rehearse, "/usr/bin/lxc-start\n-F\n-n\n%u\n", id));
	unsigned pid = model_process(rehearse, "systemd", MODEL_PRINT(rehearse, "/lxc/%u/ns/init.scope", id), "");
	put_line(rehearse, pid, "/sbin/init\n");
	model_set_text(rehearse, MODEL_PRINT(rehearse, "/sys/fs/cgroup/lxc/%u/cgroup.procs", id), 0644, "%s", "");
	model_set_text(rehearse, MODEL_PRINT(rehearse, "/sys/fs/cgroup/lxc/%u/ns/init.scope/cgroup.procs", id), 0644,
	        "%u\n", pid);
	model_set_text(
	        rehearse, MODEL_PRINT(rehearse, "/sys/fs/cgroup/lxc.monitor/%u/cgroup.procs", id), 0644, "%u\n", above);
	sockets_without(rehearse, id, true);
	return 0;
}

int pve_start(struct model_call *call, enum guest_kind kind, unsigned id)
{
	return kind == GUEST_CT ? ct_start(call, id) : vm_start(call, id);
}

/* ---- stopping ---- */

/* Every process of that cgroup and below. */
static void end_group(struct rehearse *rehearse, const char *group)
{
	struct model_inode *proc = model_find(rehearse, "/proc");
	struct words pids = { 0 };
	size_t size = strlen(group);
	for (size_t i = 0; proc && i < proc->names.n; i++) {
		const char *name = proc->names.name[i].name;
		const char *text = *name >= '1' && *name <= '9'
		                           ? model_text(rehearse, MODEL_PRINT(rehearse, "/proc/%s/cgroup", name))
		                           : NULL;
		const char *at = text ? strstr(text, group) : NULL;
		if (at && (at[size] == '/' || at[size] == '\n' || !at[size]))
			*arena_push(rehearse->arena, pids.word, pids.n) = name;
	}
	for (size_t i = 0; i < pids.n; i++)
		model_drop(rehearse, MODEL_PRINT(rehearse, "/proc/%s", pids.word[i]));
}

static void gone(struct model_call *call, enum guest_kind kind, unsigned id)
{
	struct rehearse *rehearse = call->rehearse;
	struct pve_file file;
	if (kind == GUEST_VM) {
		unsigned pid = pve_pid(rehearse, kind, id);
		if (pid)
			model_drop(rehearse, MODEL_PRINT(rehearse, "/proc/%u", pid));
		model_drop(rehearse, MODEL_PRINT(rehearse, "/run/qemu-server/%u.pid", id));
		pve_pci_reserve(call, id, &(struct pve_pcis){ 0 }, 0);
		return;
	}
	struct model_call quiet = *call;
	if (pve_load(&quiet, kind, id, &file))
		ct_devices(&quiet, &file, false);
	end_group(rehearse, MODEL_PRINT(rehearse, "/lxc/%u", id));
	end_group(rehearse, MODEL_PRINT(rehearse, "/lxc.monitor/%u", id));
	model_drop(rehearse, MODEL_PRINT(rehearse, "/sys/fs/cgroup/lxc/%u", id));
	model_drop(rehearse, MODEL_PRINT(rehearse, "/sys/fs/cgroup/lxc.monitor/%u", id));
	sockets_without(rehearse, id, false);
}

int pve_stop(struct model_call *call, enum guest_kind kind, unsigned id, bool asked)
{
	struct rehearse *rehearse = call->rehearse;
	struct pve_file file;
	const char *what = kind == GUEST_CT ? "ct" : "vm";
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	if (pve_locked(call, &file))
		return PVE_DIED;
	if (!pve_pid(rehearse, kind, id))
		return kind == GUEST_CT && asked ? pve_die(call, "CT %u not running", id)
		       : kind == GUEST_CT        ? pve_die(call, "CT %u not running", id)
		       : asked                   ? pve_die(call, "VM %u not running", id)
		                                 : 0;
	int error = model_effect(rehearse, asked ? "%s/%u: shuts down" : "%s/%u: is stopped", what, id);
	if (error && (model_dead(rehearse) || !asked)) {
		model_failed(call, error, "stop");
		return PVE_DIED;
	}
	/* the guest does not do as it is asked: this is no failure of ours, and it goes on running */
	if (error)
		return kind == GUEST_CT
		               ? pve_die(call, "command 'lxc-stop -n %u --timeout 60 --nokill' failed: exit code 1", id)
		               : pve_die(call, "VM quit/powerdown failed - got timeout");
	gone(call, kind, id);
	return 0;
}

/* ---- boots ---- */

bool pve_open(struct rehearse *rehearse, struct err *err)
{
	(void)err;
	rehearse->pve = arena_new(rehearse->arena, struct pve_state);
	/* what a running VM holds was reserved when it started */
	unsigned *ids;
	size_t n = pve_ids(rehearse, GUEST_VM, &ids);
	for (size_t i = 0; i < n; i++) {
		struct model_call call = { .rehearse = rehearse, .out = "", .err = "" };
		struct pve_pcis pcis = { 0 };
		struct pve_file file;
		unsigned pid = pve_pid(rehearse, GUEST_VM, ids[i]);
		if (pid && pve_load(&call, GUEST_VM, ids[i], &file) && pve_pci_parse(&call, &file.active, &pcis) == 0)
			pve_pci_reserve(&call, ids[i], &pcis, pid);
	}
	return true;
}

struct onboot {
	enum guest_kind kind;
	unsigned id;
	long order;
};

/* pve-manager API2/Nodes.pm: by startup's order, those without one behind; then by id. */
static int by_order(const void *left, const void *right)
{
	const struct onboot *a = left, *b = right;
	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static size_t find_onboot(struct rehearse *rehearse, struct onboot **ret)
{
	size_t n = 0;
	*ret = NULL;
	for (enum guest_kind kind = GUEST_VM; kind <= GUEST_CT; kind++) {
		unsigned *ids;
		size_t found = pve_ids(rehearse, kind, &ids);
		for (size_t i = 0; i < found; i++) {
			struct model_call call = { .rehearse = rehearse, .out = "", .err = "" };
			struct pve_file file;
			if (!pve_load(&call, kind, ids[i], &file))
				continue;
			const char *onboot = pve_get(&file.active, "onboot");
			const char *startup = pve_get(&file.active, "startup");
			const char *order = startup ? strstr(startup, "order=") : NULL;
			if (onboot && pve_boolean(onboot) == YES && !pve_get(&file.active, "template"))
				*arena_push(rehearse->arena, *ret, n) = (struct onboot){ kind, ids[i],
					order ? strtol(order + 6, NULL, 10) : 4294967295L };
		}
	}
	if (n)
		qsort(*ret, n, sizeof **ret, by_order);
	return n;
}

void model_guests_boot(struct rehearse *rehearse)
{
	struct onboot *all;
	size_t n = find_onboot(rehearse, &all);
	for (size_t i = 0; i < n && !model_dead(rehearse); i++) {
		const char *program = all[i].kind == GUEST_CT ? "pct" : "qm";
		const char *const argv[] = { program, "start", MODEL_PRINT(rehearse, "%u", all[i].id), NULL };
		model_call_program(rehearse, NULL, argv);
	}
}

void model_guests_stop(struct rehearse *rehearse)
{
	struct model_call call = { .rehearse = rehearse, .out = "", .err = "" };
	for (enum guest_kind kind = GUEST_VM; kind <= GUEST_CT; kind++) {
		unsigned *ids;
		size_t n = pve_ids(rehearse, kind, &ids);
		for (size_t i = 0; i < n; i++)
			if (pve_pid(rehearse, kind, ids[i]))
				gone(&call, kind, ids[i]);
	}
}
