/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The tables behind gpu.h: from PCI device ids to rows. The first range that holds an id wins, so single
 * ids that differ stand before the block of their chip. A block goes from the lowest to the highest id that its
 * source names, not to a round number: what nobody has named yet beyond it stays unknown.
 */
#pragma once
#include "facts/gpu.h"

struct gpu_ids {
	uint16_t first, last; /* both included; both 0: the end */
};

struct gpu_range {
	uint16_t first, last;
	const struct gpu_model *model; /* NULL: the end */
};

extern const struct gpu_range gpu_nvidia[], gpu_intel[], gpu_amd[];

/* NVIDIA cards whose NVENC sessions the driver counts, and those where it does not. */
extern const struct gpu_ids gpu_nvidia_limited[], gpu_nvidia_unlimited[];

extern const struct gpu_kernel_bug gpu_kernel_bugs[]; /* generation NULL at the end */
