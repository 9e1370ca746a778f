/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a tape keeps of files that are too big for it.
 */
#include <string.h>

#include "facts/facts.h"

/* Modules that may claim a GPU, its audio function or its place: whatever else an alias names is of no interest here.
 */
static bool interesting(const char *module)
{
	static const char *const modules[] = { "nouveau", "nvidia*", "nova*", "i915", "xe", "amdgpu", "radeon", "ast",
		"mgag200", "snd_hda_intel", "snd_sof*", "snd_soc_avs", "vfio*", "xhci_pci*", "ucsi_*",
		"i2c_nvidia_gpu" };
	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
		if (text_matches(modules[i], module))
			return true;
	return false;
}

/* "alias pci:v000010DEd*sv*sd*bc03sc00i00* nouveau": the lines of PCI aliases whose module is interesting. */
static struct bytes reduced_aliases(struct bytes raw, struct arena *arena)
{
	char *kept = arena_alloc(arena, raw.size + 1), *end = kept;
	size_t cursor = 0;
	struct bytes line;
	while (text_line(raw, &cursor, &line)) {
		const char *text = arena_strndup(arena, line.data, line.size), *module = strrchr(text, ' ');
		if (module && (text_starts(text, "alias pci:") || text_starts(text, "alias vfio_pci:")) &&
		        interesting(module + 1)) {
			end = mempcpy(end, text, strlen(text));
			*end++ = '\n';
		}
	}
	return (struct bytes){ kept, (size_t)(end - kept) };
}

bool facts_reduce(void *data, const char *path, struct bytes raw, struct arena *arena, struct bytes *ret)
{
	(void)data;
	const char *name = strrchr(path, '/');
	name = name ? name + 1 : path;
	if (strcmp(name, "modules.alias") == 0) {
		*ret = reduced_aliases(raw, arena);
		return true;
	}
	struct err err;
	return text_starts(name, "initrd.img") && initramfs_reduce(raw, arena, &err, ret);
}
