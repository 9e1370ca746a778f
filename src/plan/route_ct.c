/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A CT that shares a GPU through device nodes: devN lines, each with the number that the render group has inside this
 * CT. Whether the node's driver has the card at all is node_driver.c's matter.
 *
 * A devN that is new is plugged into the running CT; an index that is there already waits for a stop and a start
 * (pve-container PVE/LXC/Config.pm, vmconfig_hotplug_pending).
 */
#include <string.h>

#include "plan/route.h"
#include "rules/check.h"

enum { DEVICES_MAX = 256 }; /* pve-container LXC/Config.pm, MAX_DEVICES */

/* ---- who may use it inside ---- */

static int64_t group_number(const struct inside *inside, const char *name)
{
	uint64_t number;
	for (size_t i = 0; i < inside->groups.n; i++) {
		const char *word = inside->groups.word[i], *colon = strrchr(word, ':');
		if (colon && (size_t)(colon - word) == strlen(name) && text_starts(word, name) &&
		        text_number(colon + 1, 10, UINT32_MAX, &number))
			return (int64_t)number;
	}
	return UNKNOWN_NUMBER;
}

static const char *group_called(const struct route *route, int64_t gid)
{
	const struct inside *inside = facts_inside(route->facts, route->on);
	for (size_t i = 0; inside && i < inside->groups.n; i++) {
		const char *word = inside->groups.word[i], *colon = strrchr(word, ':');
		const char *name = colon ? arena_strndup(route->arena, word, (size_t)(colon - word)) : NULL;
		if (name && group_number(inside, name) == gid)
			return name;
	}
	return NULL;
}

static void refuse_unread_groups(struct route *route, const char *because)
{
	const char *again = "then plan again: the number is read in the CT, because it differs from one to another";
	const char *cure = plan_running(route->guest)
	                           ? arena_printf(route->arena, "run gpuferry as root on the node, %s", again)
	                           : arena_printf(route->arena, "start it: pct start %lld\n%s",
	                                     (long long)route->guest->id, again);
	route_refuse(route, because, cure, "the number of the render group inside %s is not known", route->on);
}

/* UNKNOWN_NUMBER: refused. */
static int64_t group_wanted(struct route *route, const char *because)
{
	const struct inside *inside = facts_inside(route->facts, route->on);
	if (!inside || inside->groups_known != YES) {
		refuse_unread_groups(route, because);
		return UNKNOWN_NUMBER;
	}
	int64_t gid = group_number(inside, "render");
	if (gid == UNKNOWN_NUMBER)
		gid = group_number(inside, "video");
	if (gid == UNKNOWN_NUMBER)
		route_refuse(route, because,
		        "make one inside and put the media server into it: groupadd --system render; then plan again",
		        "%s has neither a render nor a video group inside", route->on);
	return gid;
}

/* ---- lines ---- */

/* By the lines themselves: what waits to be deleted is no free place yet either. */
static bool index_taken(const struct route *route, unsigned index)
{
	const struct guest *guest = route->guest;
	const char *key = arena_printf(route->arena, "dev%u", index);
	for (size_t i = 0; i < guest->n_devices; i++)
		if (guest->devices[i].index == index)
			return true;
	for (size_t i = 0; i < route->n_steps; i++)
		if (strcmp(route->steps[i]->step.kind, "config") == 0 && strcmp(route->steps[i]->step.key, key) == 0)
			return true;
	return pve_value(guest, key) != NULL;
}

static const char *free_key(struct route *route)
{
	for (unsigned index = 0; index < DEVICES_MAX; index++)
		if (!index_taken(route, index))
			return arena_printf(route->arena, "dev%u", index);
	return NULL;
}

static bool is_card_node(const char *path)
{
	return path && (strstr(path, "render") || text_starts(path, "/dev/nvidia"));
}

/* Already, or by this plan; not by a raw line that it takes away. */
static bool is_given(const struct route *route, const char *path)
{
	struct words paths = facts_ct_paths(route->guest, route->arena);
	const char *value = arena_printf(route->arena, "%s,", path);
	for (size_t i = 0; i < route->n_steps; i++)
		if (strcmp(route->steps[i]->step.kind, "config") == 0 && text_starts(route->steps[i]->step.to, value))
			return true;
	for (size_t i = 0; i < route->guest->n_devices; i++)
		if (route->guest->devices[i].path && strcmp(route->guest->devices[i].path, path) == 0)
			return true;
	return check_has(&paths, path) && !raw_lines_give(route, path);
}

/* As print_property_string writes it: the path, then the keys by name. What others set and we do not mean stays. */
static const char *line_value(struct route *route, const struct ct_device *old, const char *path, int64_t gid)
{
	const char *deny = old && old->deny_write == YES ? ",deny-write=1" : "";
	const char *uid =
	        old && old->uid != UNKNOWN_NUMBER ? arena_printf(route->arena, ",uid=%lld", (long long)old->uid) : "";
	return arena_printf(route->arena, "%s%s,gid=%lld,mode=0660%s", path, deny, (long long)gid, uid);
}

/* old NULL: a new line. */
static void give(struct route *route, const char *because, const struct ct_device *old, const char *path, int64_t gid)
{
	const char *key = old ? arena_printf(route->arena, "dev%u", old->index) : free_key(route);
	if (old && old->index >= DEVICES_MAX) {
		route_refuse(route, because, "take the line out of the CT's file",
		        "%s has a dev line that Proxmox does not know: %s", route->on, old->raw);
		return;
	}
	if (!key) {
		route_refuse(route, because, NULL, "%s has no dev line free: Proxmox knows %d", route->on, DEVICES_MAX);
		return;
	}
	route_config(route, because, key, line_value(route, old, path, gid), "%s %s to %s, for its group %lld",
	        old ? "give anew" : "give", path, route->on, (long long)gid);
	if (old)
		route_restart(route, because, "a changed line comes into effect when it starts");
}

/* ---- which nodes ---- */

/* A line that names a render node which is not there any more: the CT does not even start with it. */
static const struct ct_device *dead_line(const struct route *route)
{
	const struct drm *drm = &route->facts->drm;
	for (size_t i = 0; i < route->guest->n_devices && drm->known == YES; i++) {
		const struct ct_device *device = &route->guest->devices[i];
		const struct drm_node *node = device->path ? drm_node_at(drm, device->path) : NULL;
		if (device->path && text_starts(device->path, "/dev/dri/renderD") && (!node || node->exists == NO))
			return device;
	}
	return NULL;
}

static void give_render(struct route *route, const struct finding *finding)
{
	const char *because = finding->rule->id;
	const char *path = route->gpu->render ? route->gpu->render->path : node_driver_render(route);
	int64_t gid;
	if (!path)
		route_refuse(route, because, finding->cure, "%s", finding->why);
	else if (!is_given(route, path) && (gid = group_wanted(route, because)) != UNKNOWN_NUMBER)
		give(route, because, dead_line(route), path, gid);
}

/* The card's own first; false: refused, because a CT with the name of a node that is not there does not start. */
static bool nvidia_paths(struct route *route, const struct finding *finding, struct words *ret)
{
	static const char *const shared[] = { "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools" };
	const struct drm *drm = &route->facts->drm;
	const struct drm_node *card = check_node(drm, route->gpu->pci->address, "nvidia");
	const char *path = card && card->exists == YES ? card->path : node_nvidia_path(route);
	if (!path) {
		route_refuse(route, finding->rule->id,
		        "on the node: nvidia-modprobe -c 0, or nvidia-smi; then plan again", "%s has no node in /dev%s",
		        route->gpu->pci->address, card ? " yet" : " that is known");
		return false;
	}
	*arena_push(route->arena, ret->word, ret->n) = path;
	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
		const struct drm_node *node = drm_node_at(drm, shared[i]);
		bool made = i > 0 ? node_nvidia_makes_uvm(route) : node_nvidia_installs(route);
		if ((node && node->exists == YES) || made)
			*arena_push(route->arena, ret->word, ret->n) = shared[i];
		else if (i < 2) {
			route_refuse(route, finding->rule->id, finding->cure, "the node has no %s", shared[i]);
			return false;
		}
	}
	return true;
}

static void give_nvidia(struct route *route, const struct finding *finding)
{
	const struct finding *driver = route_finding(route, "gpu.driver");
	struct words paths = { 0 };
	if (driver && driver->verdict == VERDICT_BROKEN && !node_nvidia_installs(route))
		return; /* that is refused already, and explains why there is no node */
	if (!nvidia_paths(route, finding, &paths))
		return;
	int64_t gid = group_wanted(route, finding->rule->id);
	for (size_t i = 0; i < paths.n && gid != UNKNOWN_NUMBER; i++)
		if (!is_given(route, paths.word[i]))
			give(route, finding->rule->id, NULL, paths.word[i], gid);
}

/* ---- the repairs ---- */

/* ct.node, ct.nvidia-nodes */
void ct_node(struct route *route, const struct finding *finding)
{
	if (check_vendor(route->gpu, "nvidia"))
		give_nvidia(route, finding);
	else
		give_render(route, finding);
}

/* Where it is the line that ct.node gives anew, that mends it; another card's dead line is not ours to decide. */
void ct_node_exists(struct route *route, const struct finding *finding)
{
	const struct finding *given = route_finding(route, "ct.node");
	if (given && given->verdict == VERDICT_BROKEN && dead_line(route) && route->gpu->render &&
	        !check_vendor(route->gpu, "nvidia"))
		give_render(route, finding);
	else
		route_refuse(route, finding->rule->id, finding->cure, "%s", finding->why);
}

static bool group_fits(const struct route *route, const struct ct_device *device)
{
	if (device->gid == UNKNOWN_NUMBER)
		return device->uid != UNKNOWN_NUMBER;
	const char *name = group_called(route, device->gid);
	return name &&
	       (strcmp(name, "render") == 0 || strcmp(name, "video") == 0 || text_starts(device->path, "/dev/nvidia"));
}

/* For the group, to read and to write; for all is more than is needed, but it works. */
static bool mode_fits(const struct ct_device *device)
{
	uint64_t mode;
	return !device->mode || device->gid == UNKNOWN_NUMBER || !text_number(device->mode, 8, 07777, &mode) ||
	       (mode & 060) == 060;
}

static bool is_for_all(const struct ct_device *device)
{
	return device->mode && strlen(device->mode) >= 3 && text_ends(device->mode, "6");
}

/* The line as the next start has it: what waits may be right already. raw NULL: it waits to be deleted. */
static struct ct_device next_line(const struct route *route, const struct ct_device *device)
{
	const char *value = pve_value_next(route->guest, arena_printf(route->arena, "dev%u", device->index));
	struct guest guest = { 0 };
	if (!value)
		return (struct ct_device){ .index = device->index, .uid = UNKNOWN_NUMBER, .gid = UNKNOWN_NUMBER };
	const char *text = arena_printf(route->arena, "dev%u: %s\n", device->index, value);
	pve_parse_guest((struct bytes){ text, strlen(text) }, GUEST_CT, route->arena, &guest);
	return guest.n_devices == 1 ? guest.devices[0] : *device;
}

/* ct.gid, ct.mode: every line that the rule means, in its place. */
void ct_access(struct route *route, const struct finding *finding)
{
	const char *because = finding->rule->id;
	bool by_group = strcmp(because, "ct.gid") == 0, mended = false;
	int64_t gid = group_wanted(route, because);
	for (size_t i = 0; i < route->guest->n_devices && gid != UNKNOWN_NUMBER; i++) {
		struct ct_device device = next_line(route, &route->guest->devices[i]);
		bool fits = !is_card_node(device.path) ||
		            (by_group ? is_for_all(&device) || group_fits(route, &device) : mode_fits(&device));
		const char *raw = route->guest->devices[i].raw;
		mended = mended || !fits || strcmp(device.raw ? device.raw : "", raw ? raw : "") != 0;
		if (!fits)
			give(route, because, &device, device.path, gid);
	}
	bool goes = by_group && route->goal->remove_raw_lxc == YES; /* what a raw line gives, a dev line gives anew */
	if (gid != UNKNOWN_NUMBER && !mended && !goes)
		route_refuse(route, because, finding->cure, "%s", finding->why);
}

/* ---- what waits ---- */

static bool is_device_key(const char *key)
{
	return text_starts(key, "dev") && key[3] >= '0' && key[3] <= '9';
}

static const char *path_of(const struct route *route, const char *value)
{
	struct pve_properties properties = pve_parse_properties(value, "path", route->arena);
	return pve_property(&properties, "path");
}

static void lean_on_pending(struct route *route, const struct finding *finding, const char *key)
{
	const char *cure = arena_printf(route->arena, "%s\nor take it back: pct set %lld --revert %s", finding->cure,
	        (long long)route->guest->id, text_sh_quoted(route->arena, key));
	route_lean(
	        route, finding->rule->id, cure, "%s waits for the next start of %s, and others set it", key, route->on);
}

/* Setting what is in effect takes the deletion back (AbstractConfig.pm, cleanup_pending). */
static void keep(struct route *route, const struct finding *finding, const char *keys)
{
	struct words each = text_split(route->arena, keys, ", ;");
	for (size_t i = 0; i < each.n; i++) {
		const char *key = *each.word[i] == '!' ? each.word[i] + 1 : each.word[i];
		const char *now = is_device_key(key) ? pve_value(route->guest, key) : NULL;
		const char *path = now ? path_of(route, now) : NULL;
		const char *pci = path ? facts_path_pci(route->facts, path, route->arena) : NULL;
		bool shared = path && check_vendor(route->gpu, "nvidia") && text_starts(path, "/dev/nvidia");
		if (shared || (pci && strcmp(pci, route->gpu->pci->address) == 0))
			route_config(route, finding->rule->id, key, now, "keep %s in %s: it waits to be deleted", path,
			        route->on);
		else
			lean_on_pending(route, finding, key);
	}
}

/* A line of a card that waits is in effect after a restart. What else waits would come along with it. */
void ct_pending(struct route *route, const struct finding *finding)
{
	const struct guest *guest = route->guest;
	for (size_t s = 0; s < guest->n_sections; s++) {
		const struct pve_section *section = &guest->sections[s];
		for (size_t i = 0; section->kind == SECTION_PENDING && i < section->n; i++) {
			const struct pve_line *line = &section->lines[i];
			if (!line->key || *line->key == '#' || !line->value)
				continue;
			if (strcmp(line->key, "delete") == 0)
				keep(route, finding, line->value);
			else if (is_device_key(line->key) && is_card_node(path_of(route, line->value)))
				route_restart(
				        route, finding->rule->id, "a changed line comes into effect when it starts");
			else
				lean_on_pending(route, finding, line->key);
		}
	}
}

/* ---- raw lxc lines ---- */

/* ct.raw-allow, ct.cgroup-v1: where they shall go, dev lines take their place (route_ct). */
void ct_raw(struct route *route, const struct finding *finding)
{
	if (route->goal->remove_raw_lxc == YES)
		return;
	if (finding->verdict == VERDICT_BROKEN)
		route_refuse(route, finding->rule->id,
		        arena_printf(route->arena,
		                "%s\nor let gpuferry do it: remove_raw_lxc: true, or --remove-raw-lxc true", finding->cure),
		        "%s", finding->why);
	else
		route_note(route, "%s: %s.", finding->rule->id, finding->why);
}

static void replace_raw_lines(struct route *route)
{
	const struct finding *finding = route_finding(route, "ct.raw-allow");
	if (route->gpu && route->facts->drm.known != YES)
		route_lean(route, "ct.raw-allow", "run gpuferry as root on the node",
		        "which raw lxc lines are this card's is not known: the node's devices could not be read");
	else if (finding && raw_lines_remove(route))
		ct_node(route, finding);
}

void route_ct(struct route *route)
{
	if (!route->guest) {
		route_refuse(
		        route, "goal.guest", "make the CT, then name it: into: ct/ID", "only a VM can be made anew");
		return;
	}
	route_guest_fits(route, "ct.known");
	if (route->goal->remove_raw_lxc == YES)
		replace_raw_lines(route);
	if (route->reboot_because && plan_running(route->guest))
		route_restart(route, route->reboot_because, "the node reboots");
	if (plan_running(route->guest) && route_has(route, "config") && !route->restart_because)
		route_note(route,
		        "It is plugged into the running %s. Taken back later it waits for a stop and a start there: "
		        "Proxmox cannot unplug a device node.",
		        route->on);
	if (!plan_running(route->guest) && route_has(route, "config"))
		route_note(
		        route, "%s is not running, and is not started: it gets the card at its next start.", route->on);
}
