/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pvesh: the paths of the API that a GPU's way leads past. Sources: pve-manager PVE/CLI/pvesh.pm,
 * PVE/API2/Hardware/PCI.pm, PVE/API2/Cluster/Mapping/PCI.pm, PVE/API2/Cluster.pm (nextid), qemu-server
 * PVE/API2/Qemu.pm, pve-container PVE/API2/LXC/Config.pm, pve-common PVE/SectionConfig.pm (write_config); session s2.
 * Names of vendors and devices come from the node's pci.ids, which no recording has: they are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rehearse/pve.h"

#define MAPPINGS "/etc/pve/mapping/pci.cfg"

struct request {
	struct model_call *call;
	const char *verb, *path; /* path without a slash at the end */
	struct words part;       /* its parts */
	struct pve_arguments arguments;
	struct words maps; /* --map may be given several times */
};

static int no_handler(struct request *request)
{
	model_err(request->call, "No '%s' handler defined for '%s'\n", request->verb, request->path);
	return 1;
}

/* Takes over the value. */
static int answer(struct request *request, json_t *value)
{
	const char *format = pve_argument(&request->arguments, "output-format");
	bool json = format && text_starts(format, "json");
	char *text = json_is_string(value) && !json
	                     ? strdup(json_string_value(value))
	                     : json_dumps(value,
	                               JSON_ENCODE_ANY | JSON_SORT_KEYS |
	                                       (format && strcmp(format, "json") == 0 ? JSON_COMPACT : JSON_INDENT(3)));
	model_out(request->call, "%s\n", text ? text : "null");
	free(text);
	json_decref(value);
	return 0;
}

/* ---- hardware ---- */

static const char *hex_of(struct request *request, const char *address, const char *name)
{
	struct rehearse *rehearse = request->call->rehearse;
	const char *text = model_text(rehearse, MODEL_PRINT(rehearse, "/sys/bus/pci/devices/%s/%s", address, name));
	return text ? text_trimmed(rehearse->arena, (struct bytes){ text, strcspn(text, "\n") }) : NULL;
}

/* Memory controllers, bridges and processors are left out unless another list is given. */
static bool hidden_class(const char *class, const char *hidden)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct words list = text_split(&scratch, hidden, ",; ");
	for (size_t i = 0; i < list.n; i++)
		if (text_starts(class + (text_starts(class, "0x") ? 2 : 0), list.word[i]))
			return true;
	return false;
}

static json_t *device_json(struct request *request, const char *address)
{
	static const char *const names[] = { "vendor", "device", "class", "subsystem_vendor", "subsystem_device" };
	struct rehearse *rehearse = request->call->rehearse;
	struct model_inode *inode;
	json_t *device = json_object();
	const char *link = MODEL_PRINT(rehearse, "/sys/bus/pci/devices/%s/iommu_group", address);
	long group = -1;
	if (model_look(rehearse, link, false, &inode) == 0 && inode->link && strrchr(inode->link, '/'))
		group = strtol(strrchr(inode->link, '/') + 1, NULL, 10);
	json_put(device, "id", json_string(address));
	json_put(device, "iommugroup", json_integer(group));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = hex_of(request, address, names[i]);
		if (value)
			json_put(device, names[i], json_string(value));
	}
	if (model_find(rehearse, MODEL_PRINT(rehearse, "/sys/bus/pci/devices/%s/mdev_supported_types", address)))
		json_put(device, "mdev", json_integer(1));
	return device;
}

static int hardware(struct request *request)
{
	struct rehearse *rehearse = request->call->rehearse;
	struct model_inode *folder = model_find(rehearse, "/sys/bus/pci/devices");
	const char *hidden = pve_argument(&request->arguments, "pci-class-blacklist");
	json_t *all = json_array();
	for (size_t i = 0; folder && i < folder->names.n; i++) {
		const char *address = folder->names.name[i].name, *class = hex_of(request, address, "class");
		if (!folder->names.name[i].inode || hidden_class(class ? class : "", hidden ? hidden : "05,06,0b"))
			continue;
		json_add(all, device_json(request, address));
	}
	return answer(request, all);
}

/* ---- guests ---- */

static enum guest_kind kind_of(const struct request *request)
{
	return strcmp(request->part.word[2], "lxc") == 0 ? GUEST_CT : GUEST_VM;
}

static json_t *typed(const struct pve_key *key, enum guest_kind kind)
{
	const struct pve_option *option = pve_option_key(key->name, kind == GUEST_CT ? PVE_CT_KEY : PVE_VM_KEY);
	bool number = option && (option->format == PVE_INTEGER || option->format == PVE_BOOLEAN);
	char *end;
	long long value = strtoll(key->value, &end, 10);
	return number && *key->value && !*end ? json_integer(value) : json_string(key->value);
}

static int guest_config(struct request *request)
{
	struct pve_file file;
	enum guest_kind kind = kind_of(request);
	struct arena *arena = request->call->rehearse->arena;
	const char *current = pve_argument(&request->arguments, "current");
	if (!pve_load(request->call, kind, pve_id(request->part.word[3]), &file))
		return PVE_NO_FILE;
	struct pve_part part = current && pve_boolean(current) == YES ? file.active : pve_merged(arena, &file);
	json_t *config = json_object();
	for (size_t i = 0; i < part.n; i++)
		json_put(config, part.key[i].name, typed(&part.key[i], kind));
	if (part.text)
		json_put(config, "description", json_string(part.text));
	if (part.lxc.n)
		json_put(config, "lxc", json_array());
	for (size_t i = 0; i < part.lxc.n; i++) {
		const char *colon = strstr(part.lxc.word[i], ": ");
		json_t *pair = json_array();
		json_add(pair, json_stringn(part.lxc.word[i], (size_t)(colon - part.lxc.word[i])));
		json_add(pair, json_string(colon + 2));
		json_add(json_object_get(config, "lxc"), pair);
	}
	json_put(config, "digest", json_string(file.digest));
	return answer(request, config);
}

static int guest_pending(struct request *request)
{
	struct pve_file file;
	enum guest_kind kind = kind_of(request);
	struct arena *arena = request->call->rehearse->arena;
	if (!pve_load(request->call, kind, pve_id(request->part.word[3]), &file))
		return PVE_NO_FILE;
	struct words deleted = pve_deleted(&file, arena);
	json_t *all = json_array();
	struct pve_part names = pve_copy(arena, &file.active);
	for (size_t i = 0; i < file.pending.n; i++)
		if (strcmp(file.pending.key[i].name, "delete") != 0)
			pve_put(arena, &names, file.pending.key[i].name, file.pending.key[i].value);
	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.key[i].name, *now = pve_get(&file.active, name);
		const char *next = pve_get(&file.pending, name);
		json_t *one = json_object();
		json_put(one, "key", json_string(name));
		if (now)
			json_put(one, "value", typed(&(struct pve_key){ name, now }, kind));
		if (next)
			json_put(one, "pending", typed(&(struct pve_key){ name, next }, kind));
		for (size_t j = 0; j < deleted.n; j++)
			if (strcmp(deleted.word[j], name) == 0)
				json_put(one, "delete", json_integer(1));
		json_add(all, one);
	}
	json_t *digest = json_object();
	json_put(digest, "key", json_string("digest"));
	json_put(digest, "value", json_string(file.digest));
	json_add(all, digest);
	return answer(request, all);
}

static int guest_list(struct request *request)
{
	struct rehearse *rehearse = request->call->rehearse;
	enum guest_kind kind = kind_of(request);
	unsigned *ids;
	size_t n = pve_ids(rehearse, kind, &ids);
	json_t *all = json_array();
	for (size_t i = 0; i < n; i++) {
		struct pve_file file;
		if (!pve_load(request->call, kind, ids[i], &file))
			continue;
		const char *name = pve_get(&file.active, kind == GUEST_VM ? "name" : "hostname");
		json_t *one = json_object();
		json_put(one, "vmid", json_integer(ids[i]));
		json_put(one, "name", json_string(name ? name : ""));
		json_put(one, "status", json_string(pve_pid(rehearse, kind, ids[i]) ? "running" : "stopped"));
		json_add(all, one);
	}
	return answer(request, all);
}

static int next_id(struct request *request)
{
	unsigned *ids, next = 100;
	size_t n = pve_ids(request->call->rehearse, GUEST_UNKNOWN, &ids);
	for (size_t i = 0; i < n; i++)
		next += ids[i] == next;
	return answer(request, json_string(MODEL_PRINT(request->call->rehearse, "%u", next)));
}

/* ---- mappings ---- */

struct entry {
	const char *id;
	struct words lines; /* "map node=...", "description ..." */
};
struct entries {
	struct entry *entry;
	size_t n;
	const char *digest;
};

static struct entries load_mappings(struct request *request)
{
	struct arena *arena = request->call->rehearse->arena;
	const char *text = model_text(request->call->rehearse, MAPPINGS);
	struct entries all = { .digest = pve_sha1(text ? text : "", arena) };
	struct words lines = text_split(arena, text ? text : "", "\n");
	for (size_t i = 0; i < lines.n; i++) {
		if (strchr(" \t", *lines.word[i]) == NULL)
			*arena_push(arena, all.entry, all.n) = (struct entry){ .id = lines.word[i] };
		else if (all.n) {
			struct words *own = &all.entry[all.n - 1].lines;
			*arena_push(arena, own->word, own->n) = lines.word[i] + strspn(lines.word[i], " \t");
		}
	}
	return all;
}

static int store_mappings(struct request *request, const struct entries *all, const char *id)
{
	struct rehearse *rehearse = request->call->rehearse;
	const char *text = "";
	for (size_t i = 0; i < all->n; i++) {
		text = MODEL_PRINT(rehearse, "%s%s\n", text, all->entry[i].id);
		for (size_t j = 0; j < all->entry[i].lines.n; j++)
			text = MODEL_PRINT(rehearse, "%s\t%s\n", text, all->entry[i].lines.word[j]);
		text = MODEL_PRINT(rehearse, "%s\n", text);
	}
	int error = model_commit(
	        rehearse, MAPPINGS, (struct bytes){ text, strlen(text) }, "pvesh %s mapping %s", request->verb, id);
	return model_failed(request->call, error, MAPPINGS) ? PVE_DIED : 0;
}

static struct entry *find_entry(const struct entries *all, const char *id)
{
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->entry[i].id, id) == 0)
			return &all->entry[i];
	return NULL;
}

static json_t *mapping_json(const struct entry *entry, const char *digest, bool checks)
{
	json_t *one = json_object(), *maps = json_array();
	json_put(one, "id", json_string(entry->id));
	json_put(one, "type", json_string("pci"));
	json_put(one, "digest", json_string(digest));
	json_put(one, "map", maps);
	if (checks)
		json_put(one, "checks", json_array());
	for (size_t i = 0; i < entry->lines.n; i++) {
		const char *line = entry->lines.word[i], *space = strchr(line, ' ');
		if (text_starts(line, "map "))
			json_add(maps, json_string(line + 4));
		else if (space)
			json_object_set_new(one, strndupa(line, (size_t)(space - line)), json_string(space + 1));
	}
	return one;
}

static int mapping_list(struct request *request)
{
	struct entries all = load_mappings(request);
	json_t *list = json_array();
	for (size_t i = 0; i < all.n; i++)
		json_add(list, mapping_json(&all.entry[i], all.digest,
		                       pve_argument(&request->arguments, "check-node") != NULL));
	return answer(request, list);
}

static int mapping_get(struct request *request)
{
	struct entries all = load_mappings(request);
	const struct entry *entry = find_entry(&all, request->part.word[3]);
	if (!entry)
		return pve_die(request->call, "pci mapping '%s' not found", request->part.word[3]);
	return answer(request, mapping_json(entry, all.digest, false));
}

/* Each map names its node, the path and the ids (PVE/Mapping/PCI.pm). */
static int check_maps(struct request *request)
{
	static const char *const known[] = { "node", "path", "id", "subsystem-id", "iommugroup", "description",
		"mdev" };
	for (size_t i = 0; i < request->maps.n; i++) {
		struct pve_properties set =
		        pve_parse_properties(request->maps.word[i], NULL, request->call->rehearse->arena);
		const char *wrong = set.invalid ? "map" : NULL;
		for (size_t j = 0; j < 3 && !wrong; j++)
			wrong = pve_property(&set, known[j]) ? NULL : known[j];
		for (size_t j = 0; j < set.n && !wrong; j++) {
			bool is_known = false;
			for (size_t k = 0; k < sizeof known / sizeof *known; k++)
				is_known = is_known || strcmp(known[k], set.property[j].key) == 0;
			wrong = is_known ? NULL : set.property[j].key;
		}
		if (!wrong)
			continue;
		model_err(request->call,
		        "400 Parameter verification failed.\nmap: invalid format - format error\nmap.%s: property is "
		        "missing, or not defined in schema\n\npvesh %s <api_path> [OPTIONS]\n",
		        wrong, request->verb);
		return PVE_USAGE;
	}
	return 0;
}

static void fill_entry(struct request *request, struct entry *entry)
{
	static const char *const plain[] = { "description", "mdev" };
	struct arena *arena = request->call->rehearse->arena;
	struct words lines = { 0 };
	for (size_t i = 0; i < 2; i++) {
		const char *value = pve_argument(&request->arguments, plain[i]),
		           *gone = pve_argument(&request->arguments, "delete");
		if (value)
			*arena_push(arena, lines.word, lines.n) = arena_printf(arena, "%s %s", plain[i], value);
		for (size_t j = 0; !value && j < entry->lines.n; j++)
			if (text_starts(entry->lines.word[j], plain[i]) &&
			        !(gone && text_has_word(gone, plain[i], ",; ")))
				*arena_push(arena, lines.word, lines.n) = entry->lines.word[j];
	}
	for (size_t i = 0; i < request->maps.n; i++)
		*arena_push(arena, lines.word, lines.n) = arena_printf(arena, "map %s", request->maps.word[i]);
	for (size_t i = 0; !request->maps.n && i < entry->lines.n; i++)
		if (text_starts(entry->lines.word[i], "map "))
			*arena_push(arena, lines.word, lines.n) = entry->lines.word[i];
	entry->lines = lines;
}

static int mapping_create(struct request *request)
{
	struct entries all = load_mappings(request);
	const char *id = pve_argument(&request->arguments, "id");
	int status = check_maps(request);
	if (status)
		return status;
	if (!id || !request->maps.n) {
		model_err(request->call,
		        "400 Parameter verification failed.\n%s: property is missing and it is not optional\n"
		        "pvesh create <api_path> [OPTIONS]\n",
		        id ? "map" : "id");
		return PVE_USAGE;
	}
	if (find_entry(&all, id))
		return pve_die(request->call, "pci ID '%s' already defined", id);
	struct entry entry = { .id = id };
	fill_entry(request, &entry);
	size_t at = all.n;
	(void)arena_push(request->call->rehearse->arena, all.entry, all.n);
	for (; at && strcmp(all.entry[at - 1].id, id) > 0; at--)
		all.entry[at] = all.entry[at - 1];
	all.entry[at] = entry;
	return store_mappings(request, &all, id);
}

static int mapping_set(struct request *request)
{
	struct entries all = load_mappings(request);
	const char *id = request->part.word[3], *digest = pve_argument(&request->arguments, "digest");
	struct entry *entry = find_entry(&all, id);
	int status = check_maps(request);
	if (status)
		return status;
	if (digest && strcmp(digest, all.digest) != 0)
		return pve_die(
		        request->call, "detected modified configuration - file changed by other user? Try again.");
	if (!entry)
		return pve_die(request->call, "no such resource '%s'", id);
	fill_entry(request, entry);
	return store_mappings(request, &all, id);
}

static int mapping_delete(struct request *request)
{
	struct entries all = load_mappings(request);
	const char *id = request->part.word[3];
	struct entry *entry = find_entry(&all, id);
	if (!entry)
		return 0; /* as the API has it: gone is gone */
	memmove(entry, entry + 1, (size_t)(all.entry + --all.n - entry) * sizeof *entry);
	return store_mappings(request, &all, id);
}

/* ---- the rest ---- */

/* pve-manager 8.4.21/2606ac850d46da29 as pveversion has it. */
static int version(struct request *request)
{
	struct rehearse *rehearse = request->call->rehearse;
	const char *package = pve_package(rehearse, "pve-manager");
	const char *dot = package ? strchr(package, '.') : NULL, *second = dot ? strchr(dot + 1, '.') : NULL;
	json_t *one = json_object();
	if (!package)
		return no_handler(request);
	json_put(one, "version", json_string(package));
	json_put(one, "release", json_stringn(package, second ? (size_t)(second - package) : strlen(package)));
	return answer(request, one);
}

static const struct {
	const char *verb, *path; /* * stands for one part, N for this node's name */
	int (*run)(struct request *request);
} routes[] = {
	{ "get", "version", version },
	{ "get", "nodes/N/hardware/pci", hardware },
	{ "get", "nodes/N/qemu", guest_list },
	{ "get", "nodes/N/lxc", guest_list },
	{ "get", "nodes/N/qemu/*/config", guest_config },
	{ "get", "nodes/N/lxc/*/config", guest_config },
	{ "get", "nodes/N/qemu/*/pending", guest_pending },
	{ "get", "nodes/N/lxc/*/pending", guest_pending },
	{ "get", "cluster/nextid", next_id },
	{ "get", "cluster/mapping/pci", mapping_list },
	{ "get", "cluster/mapping/pci/*", mapping_get },
	{ "create", "cluster/mapping/pci", mapping_create },
	{ "set", "cluster/mapping/pci/*", mapping_set },
	{ "delete", "cluster/mapping/pci/*", mapping_delete },
};

static bool route_matches(const char *route, const struct words *part, struct arena *arena)
{
	struct words wanted = text_split(arena, route, "/");
	if (wanted.n != part->n)
		return false;
	for (size_t i = 0; i < wanted.n; i++)
		if (strcmp(wanted.word[i], "*") != 0 && strcmp(wanted.word[i], "N") != 0 &&
		        strcmp(wanted.word[i], part->word[i]) != 0)
			return false;
	return true;
}

int pve_pvesh(struct model_call *call)
{
	struct arena *arena = call->rehearse->arena;
	struct request request = { .call = call };
	int status;
	if (call->n < 3 || !model_find(call->rehearse, "/etc/pve"))
		return MODEL_AS_RECORDED;
	request.verb = call->argv[1];
	request.part = text_split(arena, call->argv[2], "/");
	request.path = call->argv[2];
	/* the words behind the path, as any command's */
	const char **argv = arena_alloc(arena, (call->n + 1) * sizeof *argv);
	size_t n = 0;
	argv[n++] = "pvesh";
	for (size_t i = 3; i < call->n; i++)
		argv[n++] = call->argv[i];
	struct model_call inner = *call;
	inner.argv = argv;
	inner.n = n;
	bool read = pve_arguments(&inner, "pvesh", 0, &request.arguments, &status);
	call->err = inner.err;
	if (!read)
		return status;
	for (size_t i = 0; i < request.arguments.n; i++)
		if (strcmp(request.arguments.argument[i].name, "map") == 0)
			*arena_push(arena, request.maps.word, request.maps.n) = request.arguments.argument[i].value;
	if (request.part.n > 1 && strcmp(request.part.word[0], "nodes") == 0 &&
	        strcmp(request.part.word[1], pve_node(call->rehearse)) != 0) {
		model_err(call,
		        "hostname lookup '%s' failed - failed to get address info for: %s: Temporary failure in name "
		        "resolution\n",
		        request.part.word[1], request.part.word[1]);
		return 11;
	}
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
		if (strcmp(routes[i].verb, request.verb) == 0 && route_matches(routes[i].path, &request.part, arena))
			return routes[i].run(&request);
	return no_handler(&request);
}
