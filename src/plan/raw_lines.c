/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Raw lxc lines by which an older guide gave a CT the card, taken away because the goal says so (remove_raw_lxc): dev
 * lines take their place. A line goes only if all that it names is this card's; what names more, or something else, or
 * is not understood stays and is named. Hooks, idmap and whatever gives no device are never ours.
 */
#include <string.h>

#include "plan/route.h"
#include "rules/check.h"

#define BECAUSE "ct.raw-allow"

enum serves { NOT_THIS, THIS_CARD, MORE_THAN_THIS }; /* what a line is for */

static bool is_this_cards(const struct route *route, const struct drm_node *node)
{
	if (node->pci && strcmp(node->pci, route->gpu->pci->address) == 0)
		return true;
	/* nvidiactl and nvidia-uvm serve every card: dev lines give them anew */
	return check_vendor(route->gpu, "nvidia") && text_starts(node->path, "/dev/nvidia") && node->pci && !*node->pci;
}

/* Of all nodes in a folder, or with such a number. */
struct wanted {
	const char *folder;   /* "/dev/dri/"; NULL: by number */
	int64_t major, minor; /* -1: any */
};

static bool is_wanted(const struct wanted *wanted, const struct drm_node *node)
{
	if (wanted->folder)
		return text_starts(node->path, wanted->folder);
	return node->exists == YES && (wanted->major == node->major) &&
	       (wanted->minor == -1 || wanted->minor == node->minor);
}

static enum serves serves_all(const struct route *route, const struct wanted *wanted)
{
	const struct drm *drm = &route->facts->drm;
	bool ours = false, others = false;
	for (size_t i = 0; i < drm->n; i++)
		if (is_wanted(wanted, &drm->nodes[i])) {
			bool this_cards = is_this_cards(route, &drm->nodes[i]);
			ours |= this_cards;
			others |= !this_cards;
		}
	return !ours ? NOT_THIS : others ? MORE_THAN_THIS : THIS_CARD;
}

/* "/dev/dri dev/dri none bind,optional,create=dir": only what appears inside under its own name is given by a dev line
 * too. */
static enum serves serves_mount(const struct route *route, const char *value)
{
	struct words words = text_split(route->arena, value, " \t");
	if (words.n < 2 || !text_starts(words.word[0], "/dev/"))
		return NOT_THIS;
	const char *path = words.word[0], *inside = words.word[1];
	size_t size = strlen(path);
	bool folder = strcmp(path, "/dev/dri") == 0 || strcmp(path, "/dev/dri/") == 0, same;
	size -= path[size - 1] == '/';
	same = strncmp(path + 1, inside, size - 1) == 0 && (!inside[size - 1] || strcmp(inside + size - 1, "/") == 0);
	enum serves serves = NOT_THIS;
	if (folder)
		serves = serves_all(route, &(struct wanted){ .folder = "/dev/dri/" });
	else {
		const struct drm_node *node = drm_node_at(&route->facts->drm, path);
		serves = node && is_this_cards(route, node) ? THIS_CARD : NOT_THIS;
	}
	return serves == THIS_CARD && !same ? MORE_THAN_THIS : serves;
}

static enum serves serves_allow(const struct route *route, const char *value)
{
	struct pve_allow allow;
	if (!pve_raw_allow(value, route->arena, &allow) || allow.major == -1)
		return NOT_THIS; /* every number there is, or none */
	return serves_all(route, &(struct wanted){ .major = allow.major, .minor = allow.minor });
}

static const struct {
	const char *key;
	enum serves (*serves)(const struct route *route, const char *value);
} kinds[] = {
	{ "lxc.mount.entry", serves_mount },
	{ "lxc.cgroup2.devices.allow", serves_allow },
	{ "lxc.cgroup.devices.allow", serves_allow },
};

static enum serves serves(const struct route *route, const struct pve_line *line)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && line->key && line->value; i++)
		if (strcmp(line->key, kinds[i].key) == 0)
			return kinds[i].serves(route, line->value);
	return NOT_THIS;
}

/* A line that gives a device, whichever. */
static bool gives_device(const struct pve_line *line)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && line->key && line->value; i++)
		if (strcmp(line->key, kinds[i].key) == 0)
			return true;
	return false;
}

static const struct pve_section *active(const struct route *route)
{
	return route->guest && route->guest->n_sections ? &route->guest->sections[0] : NULL;
}

bool raw_lines_give(const struct route *route, const char *path)
{
	const struct pve_section *lines = active(route);
	bool gives = false;
	for (size_t i = 0; lines && i < lines->n && route->goal->remove_raw_lxc == YES; i++) {
		const struct pve_line *line = &lines->lines[i];
		struct words words = text_split(route->arena, line->value ? line->value : "", " \t");
		gives |= line->key && strcmp(line->key, "lxc.mount.entry") == 0 && words.n > 1 &&
		         (strcmp(words.word[0], path) == 0 || text_starts(path, arena_printf(route->arena, "%s/", words.word[0]))) &&
		         serves(route, line) == THIS_CARD;
	}
	return gives;
}

static void say_left(struct route *route, const struct pve_line *line)
{
	route_note(route, "%s: line %u of %s stays: it is not for %s alone, under its own name (%s).", BECAUSE, line->line,
	        route->guest->file, route->gpu->pci->address, text_shown(route->arena, line->raw));
}

bool raw_lines_remove(struct route *route)
{
	const struct pve_section *lines = active(route);
	const char *left = NONE;
	size_t gone = 0;
	for (size_t i = 0; lines && i < lines->n && route->gpu; i++) {
		enum serves what = serves(route, &lines->lines[i]);
		const char *raw = pve_raw_line(&lines->lines[i], route->arena);
		if (what != THIS_CARD && gives_device(&lines->lines[i]))
			say_left(route, &lines->lines[i]);
		if (what == THIS_CARD)
			gone++;
		else if (raw)
			left = arena_printf(route->arena, "%s%s%s", left, *left ? "\n" : "", raw);
	}
	if (!gone)
		return false;
	route_step(route, PHASE_CONFIG, "raw", route->on, "lxc", pve_raw_lines(route->guest, route->arena), left,
	        BECAUSE, "take an older guide's lines out of %s: a dev line takes their place", route->on);
	route_restart(route, BECAUSE, "a raw line that went is out of effect when it starts");
	return true;
}
