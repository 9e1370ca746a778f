/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * /proc/iomem, NVIDIA's version file, /proc/PID/cgroup and device paths; the first byte chooses the parser.
 */
#include "facts/drm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct drm drm = { 0 };
	const char *version;
	enum tri open;
	enum holder_kind kind;
	if (!size)
		return 0;
	struct bytes bytes = arena_bytes(&arena, data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
		drm_parse_iomem(bytes, &arena, &drm);
		for (size_t i = 0; i < drm.n_iomem; i++)
			if (!drm.iomem[i].owner || drm.iomem[i].end < drm.iomem[i].start)
				__builtin_trap();
		break;
	case 1:
		drm_parse_nvidia_version(bytes, &arena, &version, &open);
		break;
	case 2:
		drm_cgroup_owner(bytes, &arena, &kind);
		break;
	default:
		drm_path_pci(bytes.data, data[0] & 4, &arena);
	}
	return 0;
}
