/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Making and changing guests: what waits for the next start, what is in effect at once. Sources: qemu-server
 * PVE/API2/Qemu.pm (update_vm_api, create_vm), PVE/QemuServer.pm (vmconfig_hotplug_pending), pve-container
 * PVE/API2/LXC/Config.pm, PVE/LXC/Config.pm (update_pct_config, vmconfig_hotplug_pending); sessions s1, s2, s3, s5.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "rehearse/pve.h"

static bool is_vm(enum guest_kind kind)
{
	return kind == GUEST_VM;
}

static unsigned use_of(enum guest_kind kind)
{
	return is_vm(kind) ? PVE_VM_KEY : PVE_CT_KEY;
}

static int wrong_parameter(struct model_call *call, const char *name, const char *why)
{
	model_err(call, "400 Parameter verification failed.\n%s: %s\n%s %s <vmid> [OPTIONS]\n", name, why,
	        call->argv[0], call->argv[1]);
	return PVE_DIED;
}

/* ---- what the arguments say ---- */

struct change {
	struct words gone, back; /* --delete, --revert */
	const struct pve_arguments *arguments;
};

static bool is_key(const struct pve_argument *argument)
{
	return !argument->option->command;
}

static int check_names(struct model_call *call, enum guest_kind kind, const struct words *names, const char *what)
{
	for (size_t i = 0; i < names->n; i++)
		if (!pve_option_key(names->word[i], use_of(kind)))
			return wrong_parameter(
			        call, what, MODEL_PRINT(call->rehearse, "unknown option '%s'", names->word[i]));
	return 0;
}

static int read_change(
        struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, struct change *ret)
{
	struct arena *arena = call->rehearse->arena;
	const char *gone = pve_argument(arguments, "delete"), *back = pve_argument(arguments, "revert");
	size_t said = arguments->n - (pve_argument(arguments, "digest") ? 1 : 0);
	*ret = (struct change){ .arguments = arguments };
	ret->gone = gone ? text_split(arena, gone, ",; ") : (struct words){ 0 };
	ret->back = back ? text_split(arena, back, ",; ") : (struct words){ 0 };
	if (!said)
		return pve_die(call, "no options specified");
	int status = check_names(call, kind, &ret->gone, "delete");
	status = status ? status : check_names(call, kind, &ret->back, "revert");
	for (size_t i = 0; !status && i < ret->gone.n; i++)
		if (pve_argument(arguments, ret->gone.word[i]))
			return wrong_parameter(call, "delete",
			        MODEL_PRINT(call->rehearse, "you can't use '-%s' and -delete %s' at the same time",
			                ret->gone.word[i], ret->gone.word[i]));
	return status;
}

/* Made once, when the CT is. */
static int check_read_only(struct model_call *call, const struct change *change, enum guest_kind kind)
{
	for (size_t i = 0; !is_vm(kind) && i < change->gone.n; i++)
		if (strcmp(change->gone.word[i], "unprivileged") == 0)
			return pve_die(call, "unable to delete read-only option: 'unprivileged'");
	return !is_vm(kind) && pve_argument(change->arguments, "unprivileged")
	               ? pve_die(call, "unable to modify read-only option: 'unprivileged'")
	               : 0;
}

/* What can only be told on the node: a CT's device, a hook's file. */
static int check_there(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind)
{
	for (size_t i = 0; i < arguments->n; i++) {
		const struct pve_argument *argument = &arguments->argument[i];
		if (is_vm(kind) && strcmp(argument->name, "hookscript") == 0) {
			model_err(call,
			        "400 Parameter verification failed.\n"
			        "hookscript: script '%s' does not exist\n\nqm set <vmid> [OPTIONS]\n",
			        argument->value);
			return PVE_USAGE;
		}
		if (is_vm(kind) || strcmp(argument->option->name, "dev") != 0)
			continue;
		struct pve_properties set = pve_parse_properties(argument->value, "path", call->rehearse->arena);
		const char *path = pve_property(&set, "path");
		if (path && model_find(call->rehearse, path))
			continue;
		model_err(call, "Device %s does not exist\n", path ? path : "");
		return 2;
	}
	return 0;
}

/* ---- doing it ---- */

/* --sshkeys names a file; its text is kept url-encoded (PVE/CLI/qm.pm, PVE/API2/Qemu.pm). NULL: said why. */
static const char *key_file(struct model_call *call, const char *path)
{
	const char *text = model_text(call->rehearse, path), *coded = "";
	if (!text) {
		pve_die(call, "can't open '%s' - No such file or directory", path);
		return NULL;
	}
	for (; *text; text++)
		coded = strchr("-_.~", *text) || isalnum((unsigned char)*text)
		                ? MODEL_PRINT(call->rehearse, "%s%c", coded, *text)
		                : MODEL_PRINT(call->rehearse, "%s%%%02X", coded, (unsigned char)*text);
	return coded;
}

/* As PVE writes what it parsed and prints again. */
static const char *plain_value(struct model_call *call, const struct pve_argument *argument, enum guest_kind kind)
{
	struct rehearse *rehearse = call->rehearse;
	if (argument->option->format == PVE_BOOLEAN)
		return pve_boolean(argument->value) == YES ? "1" : "0";
	if (strcmp(argument->name, "sshkeys") == 0)
		return key_file(call, argument->value);
	if (strcmp(argument->option->name, "net") != 0)
		return argument->value;
	if (!is_vm(kind)) { /* sorted as print_lxc_network has it: name first, an address made where there is none */
		if (strstr(argument->value, "hwaddr="))
			return argument->value;
		struct pve_properties set = pve_parse_properties(argument->value, NULL, rehearse->arena);
		const char *text = MODEL_PRINT(rehearse, "name=%s", pve_property(&set, "name"));
		static const char *const order[] = { "bridge", "firewall", "gw", "hwaddr", "ip", "ip6", "tag" };
		for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
			const char *value =
			        strcmp(order[i], "hwaddr") == 0 ? pve_mac(rehearse) : pve_property(&set, order[i]);
			text = value ? MODEL_PRINT(rehearse, "%s,%s=%s", text, order[i], value) : text;
		}
		return MODEL_PRINT(rehearse, "%s,type=veth", text);
	}
	size_t model = strcspn(argument->value, ",=");
	if (argument->value[model] == '=')
		return argument->value;
	return MODEL_PRINT(
	        rehearse, "%.*s=%s%s", (int)model, argument->value, pve_mac(rehearse), argument->value + model);
}

/* Without a place to put it: all that is new waits first. */
static bool put_pending(struct model_call *call, struct pve_file *file, const struct change *change)
{
	struct arena *arena = call->rehearse->arena;
	for (size_t i = 0; i < change->back.n; i++) {
		pve_put(arena, &file->pending, change->back.word[i], NULL);
		pve_delete_later(arena, file, change->back.word[i], false);
	}
	for (size_t i = 0; i < change->gone.n; i++) {
		const char *name = change->gone.word[i];
		pve_put(arena, &file->pending, name, NULL);
		if (strcmp(name, "description") == 0)
			file->active.text = NULL;
		else if (pve_get(&file->active, name))
			pve_delete_later(arena, file, name, true);
		if (!pve_store(call, file))
			return false;
	}
	for (size_t i = 0; i < change->arguments->n; i++) {
		const struct pve_argument *argument = &change->arguments->argument[i];
		if (!is_key(argument))
			continue;
		const char *value = plain_value(call, argument, file->kind);
		value = value ? pve_disk(call, file, argument->name, value) : NULL;
		if (!value)
			return false;
		pve_delete_later(arena, file, argument->name, false);
		if (strcmp(argument->name, "description") == 0)
			file->active.text = value;
		else
			pve_put(arena, &file->pending, argument->name, value);
		if (!pve_store(call, file))
			return false;
	}
	return change->back.n == 0 || pve_store(call, file);
}

/* May a running guest have it at once? A device that is new in a CT, and what `live` says. */
static bool hot(const struct pve_file *file, const char *name, bool gone)
{
	const struct pve_option *option = pve_option_key(name, use_of(file->kind));
	if (option && !is_vm(file->kind) && strcmp(option->name, "dev") == 0)
		return !gone && !pve_get(&file->active, name);
	return option && option->live;
}

static void hotplug(struct model_call *call, struct pve_file *file)
{
	struct rehearse *rehearse = call->rehearse;
	struct words deleted = pve_deleted(file, rehearse->arena);
	for (size_t i = 0; i < deleted.n; i++) {
		if (!hot(file, deleted.word[i], true))
			continue;
		pve_put(rehearse->arena, &file->active, deleted.word[i], NULL);
		pve_delete_later(rehearse->arena, file, deleted.word[i], false);
	}
	struct pve_part waiting = pve_copy(rehearse->arena, &file->pending);
	for (size_t i = 0; i < waiting.n; i++) {
		const struct pve_key *key = &waiting.key[i];
		if (strcmp(key->name, "delete") == 0 || !hot(file, key->name, false))
			continue;
		if (!is_vm(file->kind) && text_starts(key->name, "dev"))
			pve_ct_device(rehearse, file->id, key->value, true);
		pve_put(rehearse->arena, &file->active, key->name, key->value);
		pve_put(rehearse->arena, &file->pending, key->name, NULL);
	}
}

/* cleanup_pending: what waits and is already so does not wait. */
static void clean(struct arena *arena, struct pve_file *file)
{
	struct pve_part waiting = pve_copy(arena, &file->pending);
	for (size_t i = 0; i < waiting.n; i++) {
		const char *now = pve_get(&file->active, waiting.key[i].name);
		if (now && strcmp(now, waiting.key[i].value) == 0)
			pve_put(arena, &file->pending, waiting.key[i].name, NULL);
	}
}

static void say_update(struct model_call *call, const struct pve_arguments *arguments)
{
	model_out(call, "update VM %s:", arguments->plain.word[0]);
	for (size_t i = 0; i < arguments->n; i++)
		if (strcmp(arguments->argument[i].name, "digest") != 0)
			model_out(call, " -%s %s", arguments->argument[i].name, arguments->argument[i].value);
	model_out(call, "\n");
}

int pve_update(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct arena *arena = call->rehearse->arena;
	struct change change;
	struct pve_file file;
	int status = read_change(call, arguments, kind, &change);
	status = status ? status : check_there(call, arguments, kind);
	if (status)
		return status;
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	const char *digest = pve_argument(arguments, "digest");
	if (digest && strcmp(digest, file.digest) != 0)
		return pve_die(call, "checksum mismatch (file change by other user?)");
	if (!pve_argument(arguments, "skiplock") && pve_locked(call, &file))
		return PVE_DIED;
	status = check_read_only(call, &change, kind);
	if (status)
		return status;
	for (size_t i = 0; i < change.gone.n; i++)
		if (!pve_get(&file.active, change.gone.word[i]) && !pve_get(&file.pending, change.gone.word[i]) &&
		        strcmp(change.gone.word[i], "description") != 0)
			model_err(
			        call, "cannot delete '%s' - not set in current configuration!\n", change.gone.word[i]);
	if (is_vm(kind))
		say_update(call, arguments);
	/* written, then read again: what is warned about is warned about twice */
	if (!put_pending(call, &file, &change) || !pve_load(call, kind, id, &file))
		return PVE_DIED;
	clean(arena, &file);
	if (pve_pid(call->rehearse, kind, id))
		hotplug(call, &file);
	else
		pve_apply_pending(arena, &file);
	return pve_store(call, &file) ? 0 : PVE_DIED;
}

/* ---- making ---- */

/* The first disk, the first CD, the first network card. */
static void default_boot(struct arena *arena, struct pve_file *file)
{
	static const char *const disks[] = { "ide", "sata", "scsi", "virtio" };
	const char *disk = NULL, *order = "";
	for (size_t i = 0; i < 4 && !disk; i++)
		for (unsigned j = 0; j < 31 && !disk; j++) {
			const char *name = arena_printf(arena, "%s%u", disks[i], j),
			           *value = pve_get(&file->active, name);
			disk = value && !strstr(value, "media=cdrom") ? name : NULL;
		}
	if (pve_get(&file->active, "boot"))
		return;
	if (disk)
		order = disk;
	if (pve_get(&file->active, "net0"))
		order = arena_printf(arena, "%s%snet0", order, *order ? ";" : "");
	pve_put(arena, &file->active, "boot", arena_printf(arena, "order=%s", order));
}

static void finish_vm(struct rehearse *rehearse, struct pve_file *file)
{
	struct arena *arena = rehearse->arena;
	const char *qemu = pve_package(rehearse, "pve-qemu-kvm");
	default_boot(arena, file);
	if (!pve_get(&file->active, "smbios1"))
		pve_put(arena, &file->active, "smbios1", MODEL_PRINT(rehearse, "uuid=%s", pve_uuid(rehearse)));
	pve_put(arena, &file->active, "vmgenid", pve_uuid(rehearse));
	pve_put(arena, &file->active, "meta",
	        MODEL_PRINT(rehearse, "creation-qemu=%.*s,ctime=%lld", qemu ? (int)strcspn(qemu, "-") : 5,
	                qemu ? qemu : "9.0.2", (long long)rehearse->clock));
}

int pve_create(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct rehearse *rehearse = call->rehearse;
	struct pve_file file = { .kind = kind, .id = id, .kept = "" };
	unsigned *ids;
	size_t n = pve_ids(rehearse, GUEST_UNKNOWN, &ids);
	const char *what = is_vm(kind) ? "VM" : "CT";
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return pve_die(call, "unable to create %s %u - VM %u already exists on node '%s'", what, id, id,
			        pve_node(rehearse));
	file.path = MODEL_PRINT(
	        rehearse, "/etc/pve/nodes/%s/%s/%u.conf", pve_node(rehearse), is_vm(kind) ? "qemu-server" : "lxc", id);
	/* the id is taken before the volumes are made */
	pve_put(rehearse->arena, &file.active, "lock", "create");
	if (!pve_store(call, &file))
		return PVE_DIED;
	for (size_t i = 0; i < arguments->n; i++) {
		const struct pve_argument *argument = &arguments->argument[i];
		if (!is_key(argument))
			continue;
		const char *value = plain_value(call, argument, kind);
		value = value ? pve_disk(call, &file, argument->name, value) : NULL;
		if (!value) {
			model_commit(rehearse, file.path, (struct bytes){ 0 }, "%s create %u: gone", call->argv[0], id);
			return pve_die(call, "unable to create %s %u", what, id);
		}
		if (strcmp(argument->name, "description") == 0)
			file.active.text = value;
		else
			pve_put(rehearse->arena, &file.active, argument->name, value);
	}
	pve_put(rehearse->arena, &file.active, "lock", NULL);
	if (is_vm(kind))
		finish_vm(rehearse, &file);
	if (!pve_store(call, &file))
		return PVE_DIED;
	const char *start = pve_argument(arguments, "start");
	return start && pve_boolean(start) == YES ? pve_start(call, kind, id) : 0;
}
