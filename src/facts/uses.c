/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which guest uses which GPU: a VM by hostpci, a CT by the nodes it is given. Pure.
 */
#include <string.h>

#include "facts/facts.h"

/* "/dev/dri/renderD128 dev/dri/renderD128 none bind,optional,create=file 0 0" */
static const char *mounted_path(const struct pve_line *line, struct arena *arena)
{
	if (!line->key || !line->value || strcmp(line->key, "lxc.mount.entry") != 0)
		return NULL;
	struct words words = text_split(arena, line->value, " \t");
	return words.n && text_starts(words.word[0], "/dev/") ? words.word[0] : NULL;
}

struct words facts_ct_paths(const struct guest *guest, struct arena *arena)
{
	struct words paths = { 0 };
	for (size_t i = 0; i < guest->n_devices; i++)
		if (guest->devices[i].path)
			*arena_push(arena, paths.word, paths.n) = guest->devices[i].path;
	for (size_t i = 0; guest->n_sections && i < guest->sections[0].n; i++) {
		const char *path = mounted_path(&guest->sections[0].lines[i], arena);
		if (path)
			*arena_push(arena, paths.word, paths.n) = path;
	}
	return paths;
}

const char *facts_path_pci(const struct facts *facts, const char *path, struct arena *arena)
{
	const struct drm_node *node = drm_node_at(&facts->drm, path);
	const char *by_path = "/dev/dri/by-path/pci-";
	if (node)
		return node->pci;
	if (!text_starts(path, by_path))
		return NULL;
	struct words part = text_split(arena, path + strlen(by_path), "-");
	bool all = false;
	return part.n ? pci_full_address(part.word[0], arena, &all) : NULL;
}

static bool ct_has(const struct facts *facts, const struct guest *guest, const struct gpu *gpu, struct arena *arena)
{
	struct words paths = facts_ct_paths(guest, arena);
	for (size_t i = 0; i < paths.n; i++) {
		const char *pci = facts_path_pci(facts, paths.word[i], arena);
		if (pci && !strcmp(pci, gpu->pci->address))
			return true;
		if ((!strcmp(paths.word[i], "/dev/dri") || !strcmp(paths.word[i], "/dev/dri/")) && gpu->render)
			return true; /* the whole directory */
	}
	return false;
}

bool facts_guest_has_gpu(
        const struct facts *facts, const struct guest *guest, const struct gpu *gpu, struct arena *arena)
{
	if (guest->kind == GUEST_VM)
		return pve_guest_has(&facts->pve, guest, gpu->pci, arena);
	return guest->kind == GUEST_CT && ct_has(facts, guest, gpu, arena);
}
