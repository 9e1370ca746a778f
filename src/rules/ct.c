/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A CT that shares a GPU: the nodes it is given and who may use them inside.
 */
#include <stdlib.h>
#include <string.h>

#include "rules/check.h"

static enum verdict ct_version(const struct scene *scene, struct answer *answer)
{
	const struct pve *pve = &scene->facts->pve;
	const char *version = check_package(&pve->packages, "pve-container");
	enum tri older = check_pve_older(pve, "pve-container", "5.0.7");
	if (older == UNKNOWN)
		return answer_unknown(answer, "the version of pve-container could not be read");
	if (older == NO)
		return answer_ok(answer, "pve-container %s passes device nodes", version);
	answer_step(answer, "apt update && apt full-upgrade   (Proxmox VE 8.1 and newer have it)");
	if (scene->guest->n_devices)
		return answer_broken(answer, "pve-container %s does not know dev0: (5.0.7 and newer do)", version);
	return answer_warn(
	        answer, "pve-container %s cannot pass device nodes; only hand-written lxc lines work", version);
}

static enum verdict ct_dev_valid(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	for (size_t i = 0; i < guest->n_devices; i++) {
		const struct ct_device *device = &guest->devices[i];
		if (!device->wrong)
			continue;
		answer_step(answer, "pct set %lld --delete dev%u", check_id(guest), device->index);
		answer_step(answer,
		        "give it anew without what Proxmox does not know: pct set %lld --dev%u PATH,gid=GID",
		        check_id(guest), device->index);
		return answer_broken(answer, "Proxmox does not start the CT with dev%u (%s): %s", device->index,
		        device->raw, device->wrong);
	}
	return answer_ok(answer, "every dev line is well formed");
}

/* ---- raw lxc lines ---- */

static const char *raw_line(const struct guest *guest, const char *prefix, size_t *cursor)
{
	while (guest->n_sections && *cursor < guest->sections[0].n) {
		const struct pve_line *line = &guest->sections[0].lines[(*cursor)++];
		if (line->key && line->value && text_starts(line->key, prefix))
			return line->value;
	}
	return NULL;
}

static size_t raw_count(const struct guest *guest, const char *prefix)
{
	size_t cursor = 0, n = 0;
	while (raw_line(guest, prefix, &cursor))
		n++;
	return n;
}

/* The word by which the node runs with cgroup version 1; NULL: none. */
static const char *old_hierarchy(const struct facts *facts)
{
	static const char *const words[] = { "systemd.unified_cgroup_hierarchy=0",
		"systemd.unified_cgroup_hierarchy=false", "systemd.unified_cgroup_hierarchy=no", NULL };
	for (const char *const *word = words; facts->boot.cmdline && *word; word++)
		if (boot_cmdline_has(facts->boot.cmdline, *word))
			return *word;
	return NULL;
}

static enum verdict ct_cgroup_v1(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	const char *cmdline = scene->facts->boot.cmdline, *old = old_hierarchy(scene->facts);
	if (!raw_count(guest, "lxc.cgroup.devices."))
		return answer_ok(answer, "no line of the old cgroup version");
	if (!cmdline)
		return answer_unknown(answer,
		        "lxc.cgroup.devices lines are there, and which cgroup version the node runs with "
		        "is not known: /proc/cmdline could not be read");
	if (old) {
		answer_step(answer,
		        "give the node by devN, which works with both: pct set %lld --dev0 "
		        "/dev/dri/renderD128,gid=GID",
		        check_id(guest));
		return answer_warn(
		        answer, "%s keeps cgroup version 1, which these lines need; Proxmox VE 9 has it no more", old);
	}
	answer_step(answer,
	        "give the node with: pct set %lld --dev0 /dev/dri/renderD128,gid=GID   (GID: the render group's number "
	        "inside)",
	        check_id(guest));
	answer_step(answer, "take the lxc.cgroup.devices lines out of %s", guest->file ? guest->file : "the CT's file");
	if (guest->n_devices || raw_count(guest, "lxc.cgroup2.devices."))
		return answer_warn(answer, "lines lxc.cgroup.devices are left from cgroup version 1 and do nothing");
	return answer_broken(answer,
	        "the devices are allowed by lxc.cgroup.devices only, which Proxmox VE 7 and newer (cgroup "
	        "version 2) do not read: access is denied");
}

struct allow_list {
	struct pve_allow *allowed;
	size_t n;
};

static struct allow_list allow_lines(const struct guest *guest, const char *key, struct arena *arena)
{
	struct allow_list list = { 0 };
	struct pve_allow one;
	size_t cursor = 0;
	const char *value;
	while ((value = raw_line(guest, key, &cursor)))
		if (pve_raw_allow(value, arena, &one))
			*arena_push(arena, list.allowed, list.n) = one;
	return list;
}

static bool any_allows(const struct allow_list *list, const struct drm_node *node)
{
	for (size_t i = 0; i < list->n; i++)
		if ((list->allowed[i].major == -1 || list->allowed[i].major == node->major) &&
		        (list->allowed[i].minor == -1 || list->allowed[i].minor == node->minor))
			return true;
	return false;
}

static bool given_by_dev(const struct guest *guest, const char *path)
{
	for (size_t i = 0; i < guest->n_devices; i++)
		if (guest->devices[i].path && !strcmp(guest->devices[i].path, path))
			return true;
	return false;
}

static enum verdict ct_raw_allow(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	struct words paths = facts_ct_paths(guest, answer->arena);
	struct allow_list list = allow_lines(guest,
	        old_hierarchy(scene->facts) ? "lxc.cgroup.devices.allow" : "lxc.cgroup2.devices.allow", answer->arena);
	size_t raw = 0;
	for (size_t i = 0; i < paths.n; i++) {
		const struct drm_node *node = drm_node_at(&scene->facts->drm, paths.word[i]);
		if (given_by_dev(guest, paths.word[i]))
			continue;
		raw++;
		if (!node || node->exists != YES || node->major == UNKNOWN_NUMBER || any_allows(&list, node))
			continue;
		answer_step(answer,
		        "pct set %lld --dev0 %s   (the next free devN), and take the lxc.mount.entry of it out of %s",
		        check_id(guest), text_sh_quoted(answer->arena, paths.word[i]),
		        guest->file ? guest->file : "the CT's file");
		return answer_broken(answer,
		        "%s is mounted, but no line allows its number %lld:%lld; numbers of nvidia-uvm change from "
		        "boot to boot",
		        paths.word[i], (long long)node->major, (long long)node->minor);
	}
	if (!raw)
		return answer_ok(answer, "no node is mounted by hand");
	answer_step(answer,
	        "replace the lxc.mount.entry and lxc.cgroup2 lines by devN: pct set %lld --dev0 PATH,gid=GID",
	        check_id(guest));
	return answer_warn(answer,
	        "%zu node(s) come by hand-written lxc lines: fixed numbers break when they change, and a mounted "
	        "/dev/dri lets the CT change the node's own files",
	        raw);
}

struct id_range {
	uint64_t first, size;
};

static int by_first(const void *left, const void *right)
{
	const struct id_range *a = left, *b = right;
	return a->first < b->first ? -1 : a->first > b->first;
}

/* The first id of 0..65535 that no idmap line of this type covers; 65536: all are covered; -1: a line is garbled. */
static int64_t idmap_gap(const struct guest *guest, const char *type, struct arena *arena)
{
	struct id_range *ranges = NULL;
	size_t n = 0, cursor = 0;
	const char *value;
	while ((value = raw_line(guest, "lxc.idmap", &cursor))) {
		struct words words = text_split(arena, value, " \t");
		struct id_range range;
		if (words.n != 4 || !text_number(words.word[1], 10, UINT32_MAX, &range.first) ||
		        !text_number(words.word[3], 10, UINT32_MAX, &range.size))
			return -1;
		if (!strcmp(words.word[0], type) || !strcmp(words.word[0], "b"))
			*arena_push(arena, ranges, n) = range;
	}
	if (n)
		qsort(ranges, n, sizeof *ranges, by_first);
	uint64_t covered = 0;
	for (size_t i = 0; i < n && ranges[i].first <= covered; i++)
		if (ranges[i].first + ranges[i].size > covered)
			covered = ranges[i].first + ranges[i].size;
	return covered >= 65536 ? 65536 : (int64_t)covered;
}

static enum verdict ct_idmap(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	if (!raw_count(guest, "lxc.idmap"))
		return answer_ok(answer, "Proxmox's own mapping of users and groups is in effect");
	int64_t user = idmap_gap(guest, "u", answer->arena), group = idmap_gap(guest, "g", answer->arena);
	if (user == 65536 && group == 65536)
		return answer_ok(answer, "the hand-written mapping covers every user and group");
	answer_step(answer, "take every lxc.idmap line out of %s: devN needs none",
	        guest->file ? guest->file : "the CT's file");
	answer_step(answer, "pct set %lld --dev0 /dev/dri/renderD128,gid=GID   (GID: the render group's number inside)",
	        check_id(guest));
	if (user < 0 || group < 0)
		return answer_broken(answer, "an lxc.idmap line is malformed");
	return answer_broken(answer,
	        "the lxc.idmap lines leave out %s %lld: one such line drops Proxmox's mapping, and then all of "
	        "0-65535 must be covered",
	        user < 65536 ? "user" : "group", (long long)(user < 65536 ? user : group));
}

/* ---- nodes ---- */

/* "/dev/dri/by-path/pci-0000:00:02.0-render": is there such a node of that device? */
static enum tri by_path_there(const struct facts *facts, const char *path, struct arena *arena)
{
	const char *pci = facts_path_pci(facts, path, arena);
	const char *prefix = text_ends(path, "-render") ? "renderD" : text_ends(path, "-card") ? "card" : NULL;
	if (!pci || !prefix)
		return UNKNOWN;
	if (check_node(&facts->drm, pci, prefix))
		return YES;
	return facts->drm.known == YES ? NO : UNKNOWN;
}

static enum verdict ct_node_exists(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	const struct drm *drm = &scene->facts->drm;
	bool any = false;
	for (size_t i = 0; i < guest->n_devices; i++) {
		const char *path = guest->devices[i].path;
		if (!path || (!text_starts(path, "/dev/dri/") && !text_starts(path, "/dev/nvidia")))
			continue;
		any = true;
		const struct drm_node *node = drm_node_at(drm, path);
		bool by_path = text_starts(path, "/dev/dri/by-path/");
		if (by_path && by_path_there(scene->facts, path, answer->arena) != NO)
			continue;
		if (node && node->exists == YES)
			continue;
		if (!node && drm->known != YES)
			return answer_unknown(answer, "whether the node has %s could not be read", path);
		if (node && node->exists == UNKNOWN)
			return answer_unknown(answer, "whether the node has %s could not be read", path);
		if (text_starts(path, "/dev/nvidia"))
			answer_step(answer, "on the node: nvidia-modprobe -u -c0   (and let it run at every boot, "
			                    "before the CTs start)");
		else {
			answer_step(answer, "on the node look which card has which node: ls -l /dev/dri/by-path");
			answer_step(answer, "pct set %lld --dev%u PATH with the node that is there", check_id(guest),
			        guest->devices[i].index);
		}
		return answer_broken(answer,
		        "dev%u names %s, which the node does not have: \"Device %s does not exist\", the CT does "
		        "not start",
		        guest->devices[i].index, path, path);
	}
	return any ? answer_ok(answer, "every node it names is there") : answer_none();
}

static unsigned free_device(const struct guest *guest)
{
	for (unsigned index = 0; index < 256; index++) {
		bool taken = false;
		for (size_t i = 0; i < guest->n_devices; i++)
			taken |= guest->devices[i].index == index;
		if (!taken)
			return index;
	}
	return 0;
}

/* The number of a group inside; UNKNOWN_NUMBER. */
static int64_t group_inside(const struct inside *inside, const char *name)
{
	size_t size = strlen(name);
	uint64_t gid;
	for (size_t i = 0; inside && i < inside->groups.n; i++) {
		const char *word = inside->groups.word[i];
		if (!strncmp(word, name, size) && word[size] == ':' &&
		        text_number(word + size + 1, 10, UINT32_MAX, &gid))
			return (int64_t)gid;
	}
	return UNKNOWN_NUMBER;
}

static const char *group_name(const struct inside *inside, int64_t gid, struct arena *arena)
{
	uint64_t number;
	for (size_t i = 0; i < inside->groups.n; i++) {
		const char *colon = strrchr(inside->groups.word[i], ':');
		if (colon && text_number(colon + 1, 10, UINT32_MAX, &number) && (int64_t)number == gid)
			return arena_strndup(arena, inside->groups.word[i], (size_t)(colon - inside->groups.word[i]));
	}
	return NULL;
}

static const char *gid_wanted(const struct scene *scene, struct arena *arena)
{
	int64_t render = group_inside(scene->inside, "render");
	if (render == UNKNOWN_NUMBER)
		render = group_inside(scene->inside, "video");
	return render == UNKNOWN_NUMBER ? "GID" : arena_printf(arena, "%lld", (long long)render);
}

static void step_dev(const struct scene *scene, struct answer *answer, const char *path)
{
	const char *gid = gid_wanted(scene, answer->arena);
	if (!strcmp(gid, "GID"))
		answer_step(answer, "read the number of the render group inside: pct exec %lld -- getent group render",
		        check_id(scene->guest));
	answer_step(answer, "pct set %lld --dev%u %s,gid=%s", check_id(scene->guest), free_device(scene->guest),
	        text_sh_quoted(answer->arena, path), gid);
}

static bool is_dri_folder(const char *path)
{
	return strcmp(path, "/dev/dri") == 0 || strcmp(path, "/dev/dri/") == 0;
}

/* Is it one that encoders open? VA-API opens the render node, NVENC nvidiaN. */
static bool encodes(const struct gpu *gpu, const char *path)
{
	if (check_vendor(gpu, "nvidia"))
		return text_starts(path, "/dev/nvidia");
	return text_starts(path, "/dev/dri/renderD") || text_ends(path, "-render");
}

/* Its node that encodes is given: YES; only another one of it: NO, and *ret_other is that; none at all: UNKNOWN. */
static enum tri given_node(const struct scene *scene, struct arena *arena, const char **ret_other)
{
	const struct gpu *gpu = scene->gpu;
	struct words paths = facts_ct_paths(scene->guest, arena);
	enum tri given = UNKNOWN;
	for (size_t i = 0; i < paths.n; i++) {
		const char *pci = facts_path_pci(scene->facts, paths.word[i], arena);
		bool folder = is_dri_folder(paths.word[i]);
		if (!folder && (!pci || strcmp(pci, gpu->pci->address) != 0))
			continue;
		if (folder ? gpu->render && !check_vendor(gpu, "nvidia") : encodes(gpu, paths.word[i]))
			return YES;
		given = NO;
		*ret_other = paths.word[i];
	}
	return given;
}

static enum verdict ct_node(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	if (!gpu)
		return answer_none();
	const char *other = NULL;
	enum tri given = given_node(scene, answer->arena, &other);
	if (given == YES)
		return answer_ok(answer, "it is given a node of %s", gpu->pci->address);
	if (gpu->render_known != YES)
		return answer_unknown(answer, "which node belongs to %s could not be read", gpu->pci->address);
	struct words paths = facts_ct_paths(scene->guest, answer->arena);
	const char *wrong = NULL, *owner = NULL;
	for (size_t i = 0; i < paths.n && !wrong; i++) {
		owner = facts_path_pci(scene->facts, paths.word[i], answer->arena);
		if (owner && *owner && strcmp(owner, gpu->pci->address) != 0)
			wrong = paths.word[i];
	}
	bool nvidia = check_vendor(gpu, "nvidia");
	const struct drm_node *node =
	        nvidia ? check_node(&scene->facts->drm, gpu->pci->address, "nvidia") : gpu->render;
	if (node && node->path)
		step_dev(scene, answer, node->path);
	else
		answer_step(answer, "first the node's driver must take the card: only then it has a device node");
	if (wrong)
		return answer_broken(answer,
		        "%s belongs to %s, not to %s: numbers are given in the order the drivers load", wrong, owner,
		        gpu->pci->address);
	if (given == NO)
		return answer_broken(
		        answer, "it is given %s of %s, but not the node that encoders open", other, gpu->pci->address);
	return answer_broken(answer, "it is given no node of %s", gpu->pci->address);
}

static enum verdict ct_node_name(const struct scene *scene, struct answer *answer)
{
	const struct drm *drm = &scene->facts->drm;
	size_t nodes = 0;
	for (size_t i = 0; i < drm->n; i++)
		nodes += drm->nodes[i].name && text_starts(drm->nodes[i].name, "renderD");
	if (!scene->gpu || !scene->gpu->render)
		return answer_none();
	if (drm->known != YES)
		return answer_unknown(answer, "the render nodes could not be listed");
	if (nodes < 2)
		return answer_ok(answer, "there is only one render node, so names cannot be swapped");
	answer_step(answer, "after a change of hardware or kernel look again: ls -l /dev/dri/by-path on the node, or "
	                    "gpuferry verify");
	return answer_warn(answer,
	        "the node has %zu render nodes, and renderD128 and renderD129 may be swapped at a boot; now %s is %s",
	        nodes, scene->gpu->render->name, scene->gpu->pci->address);
}

static const char *missing_nvidia(const struct scene *scene, struct arena *arena)
{
	struct words paths = facts_ct_paths(scene->guest, arena);
	static const char *const wanted[] = { "/dev/nvidiactl", "/dev/nvidia-uvm", NULL };
	for (const char *const *path = wanted; *path; path++)
		if (!check_has(&paths, *path))
			return *path;
	return NULL;
}

static enum verdict ct_nvidia_nodes(const struct scene *scene, struct answer *answer)
{
	const char *missing = missing_nvidia(scene, answer->arena);
	if (!missing)
		return answer_ok(answer, "it is given nvidiactl and nvidia-uvm too");
	step_dev(scene, answer, missing);
	return answer_broken(
	        answer, "it is not given %s: CUDA and NVENC fail without it (\"cuInit(0) failed\")", missing);
}

static enum verdict ct_nvidia_uvm(const struct scene *scene, struct answer *answer)
{
	const struct drm *drm = &scene->facts->drm;
	const struct host *host = &scene->facts->host;
	const struct drm_node *node = drm_node_at(drm, "/dev/nvidia-uvm");
	/* nvidia-modprobe has made it: it stays when the module goes */
	bool dead = host->modules_known == YES && !check_has(&host->modules, "nvidia_uvm");
	if (node && node->exists == YES && !dead)
		return answer_ok(answer, "the node has /dev/nvidia-uvm");
	if ((node && node->exists == UNKNOWN) || (!node && drm->known != YES))
		return answer_unknown(answer, "whether the node has /dev/nvidia-uvm could not be read");
	answer_step(answer, "on the node: nvidia-modprobe -u -c0");
	answer_step(answer,
	        "let it run at every boot before the CTs start: a file /etc/systemd/system/nvidia-nodes.service with "
	        "[Unit] Before=pve-guests.service, [Service] Type=oneshot ExecStart=/usr/bin/nvidia-modprobe -u -c0, "
	        "[Install] WantedBy=multi-user.target; then: systemctl enable nvidia-nodes");
	if (node && node->exists == YES)
		return answer_broken(
		        answer, "the node has /dev/nvidia-uvm, but no module nvidia_uvm that answers there");
	return answer_broken(answer, "the node has no /dev/nvidia-uvm: nothing made it since the boot");
}

/* Units of NVIDIA's packages for other ends; whether the first makes uvm's node hangs on how it is started. */
static const char persistenced[] = "nvidia-persistenced.service";
static const char *const other_units[] = { "nvidia-suspend", "nvidia-resume", "nvidia-hibernate", "nvidia-powerd",
	"nvidia-fabricmanager", NULL };

static bool is_other_unit(const char *name)
{
	for (const char *const *unit = other_units; *unit; unit++)
		if (text_starts(name, *unit))
			return true;
	return false;
}

/* A rule of udev for NVIDIA's modules where nvidia_uvm is loaded by name, or a unit for it: judged by their names. NULL:
 * none; persistenced where there is only that. */
static const char *makes_uvm(const struct boot *boot)
{
	const char *only = NULL;
	bool loaded = false;
	for (size_t i = 0; i < boot->modprobe.n_loads; i++)
		loaded = loaded || strcmp(boot->modprobe.loads[i].module, "nvidia_uvm") == 0;
	for (size_t i = 0; i < boot->n_folders; i++) {
		const struct boot_folder *folder = &boot->folders[i];
		bool rules = strcmp(folder->path, "/etc/udev/rules.d") == 0;
		if (rules ? !loaded : !text_ends(folder->path, ".wants"))
			continue;
		for (size_t n = 0; n < folder->names.n; n++) {
			const char *name = folder->names.word[n];
			if (strcmp(name, persistenced) == 0)
				only = persistenced;
			else if ((strstr(name, "nvidia") || (rules && strstr(name, "gpuferry"))) && !is_other_unit(name))
				return name;
		}
	}
	return only;
}

static enum verdict ct_nvidia_boot(const struct scene *scene, struct answer *answer)
{
	const struct boot *boot = &scene->facts->boot;
	const char *name = makes_uvm(boot);
	if (name && name != persistenced)
		return answer_ok(answer, "%s is there for it, by its name", name);
	if (name)
		return answer_unknown(answer, "whether %s makes /dev/nvidia-uvm too is not known", name);
	if (boot->modprobe.known != YES || boot_there(boot, "/etc/udev/rules.d") == UNKNOWN)
		return answer_unknown(answer, "what is set up for a boot could not be read");
	answer_step(answer, "let gpuferry do it: gpuferry plan --gpu nvidia --into %s",
	        check_guest(scene->guest, answer->arena));
	answer_step(answer,
	        "or by hand: nvidia_uvm into a file of /etc/modules-load.d, and into /etc/udev/rules.d/70-nvidia.rules: "
	        "ACTION==\"add\", SUBSYSTEM==\"module\", KERNEL==\"nvidia_uvm\", RUN+=\"/usr/bin/nvidia-modprobe -c 0 "
	        "-u\"");
	return answer_warn(answer, "the node has /dev/nvidia-uvm now, but nothing that is set up for a boot makes it: after "
	                           "a reboot a CT that names it does not start");
}

/* ---- who may use them ---- */

static bool for_all(const char *mode)
{
	return mode && text_ends(mode, "6") && strlen(mode) >= 3;
}

static bool native_service(const struct inside *inside)
{
	return inside && (check_package_like(&inside->packages, "jellyfin") ||
	                         check_package_like(&inside->packages, "emby-server"));
}

/* May the group of that number use the node at `path`? "dev0 gives /dev/dri/renderD128" is what the sentences begin
 * with.
 */
static enum verdict group_verdict(
        const struct scene *scene, const char *gives, const char *path, int64_t gid, struct answer *answer)
{
	const struct inside *inside = scene->inside;
	if (!inside || inside->groups_known != YES)
		return answer_unknown(
		        answer, "%s to gid %lld; which group that is inside could not be read", gives, (long long)gid);
	const char *name = group_name(inside, gid, answer->arena);
	if (name && (!strcmp(name, "render") || !strcmp(name, "video") || text_starts(path, "/dev/nvidia")))
		return VERDICT_OK;
	if (!name && inside->docker == YES)
		return answer_warn(answer,
		        "%s to gid %lld, which is no group inside; docker containers must name the "
		        "number in group_add",
		        gives, (long long)gid);
	return answer_broken(answer, "%s to gid %lld, which inside is %s; the render group there is %s", gives,
	        (long long)gid, name ? name : "no group", gid_wanted(scene, answer->arena));
}

static enum verdict gid_verdict(const struct scene *scene, const struct ct_device *device, struct answer *answer)
{
	const char *gives = arena_printf(answer->arena, "dev%u gives %s", device->index, device->path);
	if (for_all(device->mode))
		return VERDICT_OK;
	answer_step(answer, "pct set %lld --dev%u %s,gid=%s", check_id(scene->guest), device->index,
	        text_sh_quoted(answer->arena, device->path), gid_wanted(scene, answer->arena));
	step_restart(answer, scene->guest);
	if (device->gid != UNKNOWN_NUMBER)
		return group_verdict(scene, gives, device->path, device->gid, answer);
	if (device->uid != UNKNOWN_NUMBER)
		return VERDICT_OK;
	if (native_service(scene->inside))
		return answer_broken(
		        answer, "%s to root alone, and the media server inside does not run as root", gives);
	return answer_warn(answer, "dev%u has no gid: only root inside may use %s", device->index, device->path);
}

/* What the node's group is inside: by the hand-written mapping, else by Proxmox's own (LXC.pm: 0 100000 65536), which a
 * privileged CT has not. UNKNOWN_NUMBER: nobody there. */
static int64_t gid_inside(const struct guest *guest, unsigned gid, struct arena *arena)
{
	const char *value, *unprivileged = pve_value(guest, "unprivileged");
	size_t cursor = 0;
	bool mapped = unprivileged && pve_boolean(unprivileged) != NO; /* what it cannot read Perl takes for true */
	uint64_t there = 0, here = mapped ? 100000 : 0, size = mapped ? 65536 : (uint64_t)UINT32_MAX + 1;
	for (bool any = false; (value = raw_line(guest, "lxc.idmap", &cursor)); any = true) {
		struct words words = text_split(arena, value, " \t");
		size = any ? size : 0;
		if (words.n != 4 || !strchr("gb", *words.word[0]) ||
		        !text_number(words.word[1], 10, UINT32_MAX, &there) ||
		        !text_number(words.word[2], 10, UINT32_MAX, &here) ||
		        !text_number(words.word[3], 10, UINT32_MAX, &size))
			size = 0;
		if (gid >= here && gid - here < size)
			break;
		size = 0;
	}
	return gid >= here && gid - here < size ? (int64_t)(there + (gid - here)) : UNKNOWN_NUMBER;
}

/* A node that a raw line mounts keeps the owner and mode that it has on the node. */
static enum verdict mounted_verdict(const struct scene *scene, const struct drm_node *node, struct answer *answer)
{
	int64_t gid = gid_inside(scene->guest, node->gid, answer->arena);
	if ((node->mode & 06) == 06)
		return VERDICT_OK;
	step_dev(scene, answer, node->path);
	answer_step(answer, "take the lxc lines that mount it out of %s",
	        scene->guest->file ? scene->guest->file : "the CT's file");
	answer_step(answer, "or let gpuferry do both: remove_raw_lxc: true, or --remove-raw-lxc true");
	if (gid == UNKNOWN_NUMBER)
		return answer_broken(answer,
		        "%s is mounted by hand, and its group (gid %u on the node) is nobody inside: an unprivileged "
		        "CT "
		        "may not use it",
		        node->path, node->gid);
	return group_verdict(
	        scene, arena_printf(answer->arena, "a raw lxc line gives %s", node->path), node->path, gid, answer);
}

static const struct drm_node *mounted_node(const struct scene *scene, const char *path)
{
	if (!scene->gpu)
		return NULL;
	if (is_dri_folder(path))
		return check_vendor(scene->gpu, "nvidia") ? NULL : scene->gpu->render;
	return encodes(scene->gpu, path) ? drm_node_at(&scene->facts->drm, path) : NULL;
}

static enum verdict ct_gid(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	bool any = false;
	enum verdict verdict = VERDICT_OK;
	for (size_t i = 0; i < guest->n_devices && verdict == VERDICT_OK; i++) {
		const char *path = guest->devices[i].path;
		if (!path || (!strstr(path, "render") && !text_starts(path, "/dev/nvidia")))
			continue;
		any = true;
		answer->cure = NULL;
		verdict = gid_verdict(scene, &guest->devices[i], answer);
	}
	struct words paths = facts_ct_paths(guest, answer->arena);
	for (size_t i = 0; i < paths.n && verdict == VERDICT_OK; i++) {
		const struct drm_node *node = mounted_node(scene, paths.word[i]);
		if (!node || node->exists != YES || given_by_dev(guest, node->path))
			continue;
		any = true;
		answer->cure = NULL;
		verdict = mounted_verdict(scene, node, answer);
	}
	if (verdict != VERDICT_OK)
		return verdict;
	answer->cure = NULL;
	return any ? answer_ok(answer, "the nodes belong to a group that may use them") : answer_none();
}

static enum verdict ct_mode(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	for (size_t i = 0; i < guest->n_devices; i++) {
		const struct ct_device *device = &guest->devices[i];
		uint64_t mode;
		if (!device->mode || !device->path || !text_number(device->mode, 8, 07777, &mode))
			continue;
		answer_step(answer, "pct set %lld --dev%u %s,gid=%s   (without mode: 0660 is the default)",
		        check_id(guest), device->index, text_sh_quoted(answer->arena, device->path),
		        gid_wanted(scene, answer->arena));
		if (device->gid != UNKNOWN_NUMBER && (mode & 060) != 060)
			return answer_broken(answer, "dev%u has mode=%s: its group may not read and write it",
			        device->index, device->mode);
		if (mode & 06)
			return answer_warn(answer, "dev%u has mode=%s: every program inside may use it", device->index,
			        device->mode);
		answer->cure = NULL;
	}
	return answer_ok(answer, "no node has an odd mode");
}

static enum verdict ct_privileged(const struct scene *scene, struct answer *answer)
{
	const char *value = pve_value(scene->guest, "unprivileged");
	if (value && pve_boolean(value) == YES)
		return answer_ok(answer, "it is unprivileged");
	if (value && pve_boolean(value) == UNKNOWN) {
		answer_step(answer, "write unprivileged: 1 into %s",
		        scene->guest->file ? scene->guest->file : "the CT's file");
		return answer_warn(answer, "unprivileged: %s is neither yes nor no; Proxmox takes it for yes", value);
	}
	answer_step(answer, "when there is time: make a backup and restore it as unprivileged: pct restore NEWID "
	                    "BACKUP --unprivileged 1");
	return answer_warn(answer, "it is privileged: root inside is root on the node; device nodes do not need that "
	                           "since Proxmox VE 8.1");
}

static enum verdict ct_one_route(const struct scene *scene, struct answer *answer)
{
	const struct pve *pve = &scene->facts->pve;
	if (!scene->gpu)
		return answer_none();
	for (size_t i = 0; i < pve->n_guests; i++) {
		const struct guest *other = &pve->guests[i];
		if (other->kind != GUEST_VM || !pve_guest_has(pve, other, scene->gpu->pci, answer->arena))
			continue;
		answer_step(
		        answer, "decide: qm set %lld --delete hostpciN, or let the VM have the card", check_id(other));
		return answer_warn(answer,
		        "VM %lld is configured for this card too: at its start it takes the card from this CT",
		        check_id(other));
	}
	if (pve->guests_known != YES)
		return answer_unknown(answer, "not every guest could be read");
	return answer_ok(answer, "no VM is configured for this card");
}

static enum verdict ct_nvidia_userspace(const struct scene *scene, struct answer *answer)
{
	const char *module = scene->facts->drm.nvidia_module_version;
	const struct inside *inside = scene->inside;
	if (!module || !inside || !inside->nvidia_userspace)
		return answer_unknown(answer, "the version of NVIDIA's %s could not be read",
		        !module ? "module on the node" : "libraries inside");
	if (*module && !strcmp(module, inside->nvidia_userspace))
		return answer_ok(answer, "module and libraries are both %s", module);
	answer_step(answer,
	        "inside the CT install exactly %s without the module: NVIDIA's installer NVIDIA-Linux-x86_64-%s.run "
	        "--no-kernel-module, or the same package version as on the node",
	        *module ? module : "the node's version", *module ? module : "VERSION");
	answer_step(answer, "hold the packages on both sides (apt-mark hold), and upgrade both together");
	if (!*inside->nvidia_userspace)
		return answer_broken(answer, "NVIDIA's libraries are not installed inside (the node has %s)", module);
	return answer_broken(answer,
	        "the node's module is %s, the libraries inside are %s: \"Driver/library version mismatch\"",
	        *module ? module : "not loaded", inside->nvidia_userspace);
}

#define GUEST_RULE(name) .about = ABOUT_GUEST, .route = ROUTE_CT, .check = name

const struct rule rules_ct[] = {
	{ .id = "ct.known",
	        GUEST_RULE(check_guest_known),
	        .asks = "Can the CT's configuration be read?",
	        .explains = "Everything else about the CT follows from its file.",
	        .source = "/etc/pve/lxc" },
	{ .id = "ct.lock",
	        GUEST_RULE(check_guest_lock),
	        .needs = { "ct.known" },
	        .pains = { 13 },
	        .asks = "Is the CT free of locks?",
	        .explains = "A task locks the CT; a task that died leaves its lock behind.",
	        .source = "pve-guest-common AbstractConfig.pm check_lock" },
	{ .id = "ct.version",
	        GUEST_RULE(ct_version),
	        .needs = { "ct.known" },
	        .pains = { 43 },
	        .asks = "Can this Proxmox VE pass device nodes?",
	        .explains = "dev0: exists since pve-container 5.0.7 (November 2023) and works in unprivileged CTs.",
	        .source = "pve-container changelog, commit ce1976b" },
	{ .id = "ct.dev-valid",
	        GUEST_RULE(ct_dev_valid),
	        .needs = { "ct.known", "ct.version" },
	        .pains = { 43 },
	        .asks = "Are the dev lines well formed?",
	        .explains =
	                "Proxmox warns of a line in the file that it cannot read, keeps it, and then does not start "
	                "the CT. It cannot be set again either, so a change of it could not be taken back.",
	        .source = "pve-container LXC/Config.pm parse_device, parse_pct_config" },
	{ .id = "ct.one-route",
	        GUEST_RULE(ct_one_route),
	        .needs = { "ct.known" },
	        .pains = { 43 },
	        .asks = "Is no VM configured for the same card?",
	        .explains = "A VM's start takes the card from the node's driver, and with it from every CT.",
	        .source = "pve-common PVE/SysFSTools.pm" },
	{ .id = "ct.cgroup-v1",
	        GUEST_RULE(ct_cgroup_v1),
	        .needs = { "ct.known" },
	        .pains = { 43 },
	        .asks = "Are its device rules those of today's cgroups?",
	        .explains = "Guides for Proxmox VE 6 allow devices with lxc.cgroup.devices; cgroup version 2 reads "
	                    "lxc.cgroup2.devices "
	                    "only, and devN needs neither.",
	        .source = "lxc.container.conf(5); Proxmox VE 7 release notes" },
	{ .id = "ct.idmap",
	        GUEST_RULE(ct_idmap),
	        .needs = { "ct.known" },
	        .pains = { 42 },
	        .asks = "Is the mapping of users and groups complete?",
	        .explains = "One lxc.idmap line replaces the default mapping altogether.",
	        .source = "pve-container LXC/Config.pm; lxc.container.conf(5)" },
	{ .id = "ct.nvidia-uvm",
	        .vendor = "nvidia",
	        GUEST_RULE(ct_nvidia_uvm),
	        .needs = { "ct.known", "gpu.driver" },
	        .pains = { 39 },
	        .asks = "Does the node have nvidia-uvm before the CT starts?",
	        .explains = "nvidia-uvm's node is made when something first asks for it; after a reboot nothing has.",
	        .source = "nvidia-modprobe(1); nvidia-container-toolkit#1934" },
	{ .id = "ct.nvidia-boot",
	        .vendor = "nvidia",
	        GUEST_RULE(ct_nvidia_boot),
	        .needs = { "ct.nvidia-uvm" },
	        .pains = { 39 },
	        .asks = "Will nvidia-uvm be there before CTs start at the next boot?",
	        .explains = "A CT whose devN names a missing node does not start.",
	        .source = "nvidia-modprobe(1); pve-container PVE/LXC/Tools.pm" },
	{ .id = "ct.node-exists",
	        GUEST_RULE(ct_node_exists),
	        .needs = { "ct.known", "ct.dev-valid", "gpu.not-vfio" },
	        .after = { "ct.nvidia-uvm" },
	        .pains = { 39, 44 },
	        .asks = "Do the nodes it names exist?",
	        .explains = "A CT whose devN names a missing node does not start.",
	        .source = "pve-container PVE/LXC/Tools.pm" },
	{ .id = "ct.node",
	        GUEST_RULE(ct_node),
	        .needs = { "ct.known", "gpu.not-vfio" },
	        .pains = { 44 },
	        .asks = "Is it given this card's node and not another's?",
	        .explains = "renderD128 is whichever card's driver loaded first; only the PCI path tells.",
	        .source = "/sys/class/drm/*/device; frigate#14091" },
	{ .id = "ct.node-name",
	        GUEST_RULE(ct_node_name),
	        .needs = { "ct.node" },
	        .pains = { 44 },
	        .asks = "Is the node's name sure to stay the card's?",
	        .explains = "With two render nodes the names may be swapped at any boot.",
	        .source = "nextcloud/all-in-one#8471" },
	{ .id = "ct.nvidia-nodes",
	        .vendor = "nvidia",
	        GUEST_RULE(ct_nvidia_nodes),
	        .needs = { "ct.known", "ct.node" },
	        .pains = { 39 },
	        .asks = "Is it given all nodes that NVENC needs?",
	        .explains = "NVENC needs the card's node, nvidiactl and nvidia-uvm.",
	        .source = "NVIDIA driver README" },
	{ .id = "ct.raw-allow",
	        GUEST_RULE(ct_raw_allow),
	        .needs = { "ct.known" },
	        .after = { "ct.cgroup-v1" },
	        .pains = { 39, 42 },
	        .asks = "Do hand-written lines still fit the nodes?",
	        .explains = "A mounted node works only while a line allows its number, and numbers such as "
	                    "nvidia-uvm's are given anew "
	                    "at each boot. devN looks them up when the CT starts.",
	        .source = "Linux Documentation/admin-guide/devices.txt; jammsen#7" },
	{ .id = "ct.gid",
	        GUEST_RULE(ct_gid),
	        .needs = { "ct.known", "ct.dev-valid" },
	        .pains = { 42 },
	        .asks = "Does the node belong to the CT's own render group?",
	        .explains = "Group numbers differ between distributions: the node's render group may be ssl-cert "
	                    "inside. The number must "
	                    "be read in the CT.",
	        .source = "pve-container LXC/Config.pm; jellyfin.org docs" },
	{ .id = "ct.mode",
	        GUEST_RULE(ct_mode),
	        .needs = { "ct.known", "ct.dev-valid" },
	        .pains = { 42 },
	        .asks = "May just the right ones use it?",
	        .explains = "0660 with the right gid is enough.",
	        .source = "pve-container LXC/Config.pm" },
	{ .id = "ct.privileged",
	        GUEST_RULE(ct_privileged),
	        .needs = { "ct.known" },
	        .pains = { 43 },
	        .asks = "Is it unprivileged?",
	        .explains = "Older guides ask for a privileged CT; devN made that needless.",
	        .source = "pve-docs pct.adoc" },
	{ .id = "ct.nvidia-userspace",
	        .vendor = "nvidia",
	        GUEST_RULE(ct_nvidia_userspace),
	        .needs = { "ct.known", "gpu.driver" },
	        .pains = { 33 },
	        .asks = "Are NVIDIA's libraries inside of the very version of the node's module?",
	        .explains =
	                "The module and the libraries must agree to the last digit; an upgrade on one side breaks it.",
	        .source = "/proc/driver/nvidia/version; nvidia-docker#365" },
	{ .id = "ct.pending",
	        GUEST_RULE(check_guest_pending),
	        .needs = { "ct.known" },
	        .pains = { 43 },
	        .asks = "Is every change in effect?",
	        .explains = "A changed devN line waits for a stop and a start; only a new one is taken at once.",
	        .source = "pct(1) pending" },
	{ .id = "ct.onboot",
	        GUEST_RULE(check_guest_onboot),
	        .needs = { "ct.known" },
	        .asks = "Does the CT start with the node?",
	        .explains = "A media server should come back after a power cut by itself.",
	        .source = "pct.conf(5) onboot" },
	{ .id = NULL },
};
