/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A CT uses the node's own driver: here that driver gets the card back from vfio-pci, and what it lacks. Only what is
 * ours is taken away; what others set stays theirs to undo. NVIDIA's own driver is node_nvidia.c.
 *
 * Sources: drivers/gpu/drm/drm_drv.c (a render node gets the lowest number free from 128 on); i915_params.c
 * (enable_guc).
 */
#include <string.h>

#include "plan/route.h"
#include "rules/check.h"

#define MODPROBE_FILE "/etc/modprobe.d/gpuferry.conf"
#define SCRIPT_FILE "/etc/initramfs-tools/scripts/init-top/gpuferry"
#define HOOK_FILE "/etc/initramfs-tools/hooks/gpuferry"

enum { RENDER_FIRST = 128, RENDER_LAST = 191 };

/* ---- files of ours ---- */

const char *node_driver_own_text(struct route *route, const char *because, const char *path)
{
	const struct boot_file *file = boot_file_at(&route->facts->boot, path);
	struct bytes bytes = route_read(route, path);
	if (!file || (!file->error && !file->data.size))
		return "";
	const char *text = bytes.size ? arena_strndup(route->arena, bytes.data, bytes.size) : NULL;
	if (text && strstr(text, "gpuferry"))
		return text;
	route_refuse(
	        route, because, "move it away, then plan again", "%s is there, and not as gpuferry writes it", path);
	return NULL;
}

/* ---- a card that vfio-pci has ---- */

static const char *driver_of(const struct route *route)
{
	const char *nvidia = route->facts->drm.nvidia_module_version;
	if (check_vendor(route->gpu, "nvidia"))
		return nvidia && *nvidia ? "nvidia" : NULL; /* nouveau cannot encode */
	struct words drivers = check_drivers(route->gpu, route->arena);
	return drivers.n ? drivers.word[0] : NULL;
}

static bool holder_is_vm(const struct route *route)
{
	const struct pve *pve = &route->facts->pve;
	for (size_t i = 0; i < pve->n_guests; i++)
		if (pve->guests[i].kind == GUEST_VM &&
		        pve_guest_has(pve, &pve->guests[i], route->gpu->pci, route->arena))
			return true;
	return pve->guests_known != YES;
}

static bool is_ours(const struct route *route, const char *path)
{
	struct bytes bytes = route_read(route, path);
	return bytes.size && strstr(arena_strndup(route->arena, bytes.data, bytes.size), "gpuferry");
}

/* The script without this slot's records; NONE: none is left. */
static const char *script_without(struct route *route)
{
	struct bytes text = route_read(route, SCRIPT_FILE), line;
	const char *address = route->gpu->pci->address, *rest = "";
	const char *slot =
	        arena_printf(route->arena, "#gpuferry bind %.*s.", (int)(strrchr(address, '.') - address), address);
	size_t records = 0;
	for (size_t cursor = 0; text.data && text_line(text, &cursor, &line);) {
		const char *plain = arena_strndup(route->arena, line.data, line.size);
		if (text_starts(plain, slot))
			continue;
		records += text_starts(plain, "#gpuferry bind ");
		rest = arena_printf(route->arena, "%s%s\n", rest, plain);
	}
	return records ? rest : NONE;
}

/* Does the card's driver get it, without these? NVIDIA's, which is to be installed, gets it where vfio-pci does not. */
static bool suffice(struct route *route, const struct edits *edits)
{
	struct words drivers = check_drivers(route->gpu, route->arena);
	const char *next = route_foresees(route, edits, route->gpu->pci);
	if (check_vendor(route->gpu, "nvidia"))
		return next && (driver_of(route) ? strcmp(next, "nvidia") == 0 : strcmp(next, "vfio-pci") != 0);
	return next && check_has(&drivers, next);
}

enum { IDS, SCRIPT, FOREIGN, SOURCES };

static struct edits joined(struct arena *arena, const struct edits *of, unsigned which)
{
	struct edits ret = { 0 };
	for (size_t i = 0; i < SOURCES; i++)
		for (size_t e = 0; (which >> i & 1) && e < of[i].n; e++)
			*arena_push(arena, ret.edit, ret.n) = of[i].edit[e];
	return ret;
}

static void take_away(struct route *route, const char *because, const char *path, const char *content, unsigned mode)
{
	struct step *step = route_file(
	        route, because, path, content, mode, "no longer give %s to vfio-pci early", route->gpu->pci->address);
	step->needs_reboot = true;
	if (strcmp(path, HOOK_FILE) != 0)
		route_image(route, because, path, content);
}

static struct edits own_edit(struct route *route, const char *path, const char *content)
{
	struct edits ret = { 0 };
	if (is_ours(route, path))
		*arena_push(route->arena, ret.edit, ret.n) = (struct edit){ .path = path, .content = content };
	return ret;
}

/* The least of what is ours, and then of what is others', without which the card's driver gets it; 0: not even so. */
static unsigned least(struct route *route, const struct edits *of)
{
	for (unsigned choice = 1; choice < 1u << SOURCES; choice++) { /* what is others' is the highest bit */
		struct edits edits = joined(route->arena, of, choice);
		bool all = true;
		for (size_t i = 0; i < SOURCES; i++)
			all = all && (!(choice >> i & 1) || of[i].n);
		if (all && suffice(route, &edits))
			return choice;
	}
	return 0;
}

/* Our hook puts vfio-pci into the initramfs for either of our files. */
static void take_hook_away(struct route *route, const char *because, unsigned taken, const char *script)
{
	bool ids = boot_file_at(&route->facts->boot, MODPROBE_FILE) && !(taken >> IDS & 1);
	bool by_script = taken >> SCRIPT & 1 ? *script : boot_file_at(&route->facts->boot, SCRIPT_FILE) != NULL;
	if (!ids && !by_script && is_ours(route, HOOK_FILE))
		take_away(route, because, HOOK_FILE, NONE, 0755);
}

/* False: the early binding is not, or not only, what can be taken away. */
static bool unbind_early(struct route *route, const char *because)
{
	static const char *const rules[] = { "gpu.not-vfio", "gpu.driver", NULL };
	const char *script = script_without(route);
	const struct edits of[SOURCES] = { [IDS] = own_edit(route, MODPROBE_FILE, NONE),
		[SCRIPT] = own_edit(route, SCRIPT_FILE, script), [FOREIGN] = foreign_edits(route) };
	unsigned taken = least(route, of);
	if (!taken)
		return false;
	if (taken >> IDS & 1)
		take_away(route, because, MODPROBE_FILE, NONE, 0644);
	if (taken >> SCRIPT & 1)
		take_away(route, because, SCRIPT_FILE, script, 0755);
	if (taken >> FOREIGN & 1)
		foreign_comment_out(route, &of[FOREIGN]);
	if (taken & (1u << IDS | 1u << SCRIPT))
		take_hook_away(route, because, taken, script);
	for (const char *const *rule = rules; *rule; rule++)
		route_gate(route, *rule, "only the reboot gives the card back to the node's driver");
	return true;
}

static void bind_now(struct route *route, const char *because, const char *driver)
{
	route_bind(route, because, route->gpu->pci, driver,
	        arena_printf(route->arena, "give %s back to %s", route->gpu->pci->address, driver));
}

/* NULL: not sure. Of a reboot only where the card is the only one that could have a number. */
const char *node_driver_render(struct route *route)
{
	const struct drm *drm = &route->facts->drm;
	bool hot = route_has(route, "bind"), taken[RENDER_LAST + 1] = { 0 };
	size_t others = 0;
	for (size_t i = 0; i < drm->n; i++) {
		uint64_t number;
		if (!text_starts(drm->nodes[i].name, "renderD") ||
		        !text_number(drm->nodes[i].name + strlen("renderD"), 10, RENDER_LAST, &number))
			continue;
		taken[number] = true;
		others++;
	}
	if (drm->known != YES || (!hot && (!route->reboot_because || others || route->facts->n_gpus != 1)))
		return NULL;
	unsigned first = RENDER_FIRST;
	while (first < RENDER_LAST && taken[first])
		first++;
	return arena_printf(route->arena, "/dev/dri/renderD%u", first);
}

/* Its node comes with the driver, and ct.node is asked of what is there: so the line is given here. */
static void give_foreseen(struct route *route, const struct finding *finding)
{
	if (!check_vendor(route->gpu, "nvidia") && node_driver_render(route))
		ct_node(route, finding);
	else
		route_note(route,
		        "Which device node the card gets is known only when the node's driver has it: plan again then, "
		        "and "
		        "%s gets it.",
		        route->on);
}

/* From vfio-pci at once; false: refused. */
static bool release_now(struct route *route, const struct finding *finding, const char *driver)
{
	const char *because = finding->rule->id;
	if (route->gpu->hot_release == YES)
		bind_now(route, because, driver);
	else
		route_refuse(route, because, "reboot the node when its guests may stop: its driver then takes the card",
		        "vfio-pci cannot give %s back now: %s", route->gpu->pci->address,
		        route->gpu->hot_why ? route->gpu->hot_why : "who uses it is not known");
	return route->gpu->hot_release == YES;
}

/* gpu.not-vfio. NVIDIA's own driver, where it is not loaded yet, gets the card by the reboot that it needs anyway. */
void node_driver_release(struct route *route, const struct finding *finding)
{
	const char *because = finding->rule->id, *driver = driver_of(route);
	enum tri early = route_foresees_vfio(route, NULL, route->gpu->pci);
	bool nvidia = check_vendor(route->gpu, "nvidia"), lasts = suffice(route, NULL);
	if (holder_is_vm(route) || (!driver && !nvidia))
		route_refuse(route, because, finding->cure, "%s", finding->why);
	else if (!lasts && !unbind_early(route, because))
		route_refuse(route, because, finding->cure, "%s%s", finding->why,
		        early == YES ? "; others set it up so for every boot"
		        : early == NO ? "; and at the next boot its own driver would not get it"
		                      : "; whether the next boot does so again is not known");
	else if (!driver)
		node_nvidia_takes(route, finding);
	else if (!lasts || release_now(route, finding, driver))
		give_foreseen(route, finding);
}

/* ---- the next boot ---- */

/* gpu.next-boot: the driver has the card now, and a file of ours from another day would take it away; or its module is
 * not built for the next kernel, and then the headers mend it. */
void node_driver_keep(struct route *route, const struct finding *finding)
{
	bool mended = node_nvidia_lacks_headers(route) && route_foresees_vfio(route, NULL, route->gpu->pci) == NO;
	if (!mended && !unbind_early(route, finding->rule->id))
		route_refuse(route, finding->rule->id, finding->cure, "%s", finding->why);
}

/* ---- Intel's HuC ---- */

static bool loads_huc(const char *value)
{
	return value && (strcmp(value, "2") == 0 || strcmp(value, "3") == 0);
}

/* gpu.huc: a word on the command line outdoes modprobe.d, so there a word is needed. */
void node_driver_huc(struct route *route, const struct finding *finding)
{
	const char *because = finding->rule->id;
	const struct boot *boot = &route->facts->boot;
	const char *word =
	        boot->cmdline_next ? boot_cmdline_value(boot->cmdline_next, "i915.enable_guc", route->arena) : NULL;
	if (!boot->cmdline_next || boot->modprobe.known != YES) {
		route_refuse(route, because, finding->cure, "%s", finding->why);
		return;
	}
	route_gate(route, because, "i915 takes the option only when it is loaded");
	if (word && loads_huc(word)) {
		route_reboot(route, because);
		return;
	}
	if (word) {
		route_words(route, because, "i915.enable_guc=2");
		return;
	}
	const char *old = node_driver_own_text(route, because, MODPROBE_FILE), *option = "options i915 enable_guc=2\n";
	if (!old)
		return;
	const char *text = strstr(old, option) ? old
	                                       : arena_printf(route->arena, "%s%s%s",
	                                                 *old ? old
	                                                      : "# gpuferry: the HuC firmware, which encoding needs. "
	                                                        "gpuferry rollback takes this away.\n",
	                                                 *old && !text_ends(old, "\n") ? "\n" : "", option);
	struct step *step = route_file(
	        route, because, MODPROBE_FILE, text, 0644, "let i915 load the HuC firmware, which encoding needs");
	step->needs_reboot = true;
	route_image(route, because, MODPROBE_FILE, text);
}
