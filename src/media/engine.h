/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How long the engines of a GPU worked for one process: /proc/PID/fdinfo, as i915, xe and amdgpu fill it (kernel
 * Documentation/gpu/drm-usage-stats.rst). What other processes do on the same card is never counted. NVIDIA's driver
 * tells nothing there: see nvml.h.
 */
#pragma once
#include "sys/world.h"

enum { ENGINES_MAX = 64 };

struct engine_seen {
	char driver[16], pci[32], name[32]; /* "i915", "0000:00:02.0", "video" */
	uint64_t client;                    /* two descriptors of one client count once */
	uint64_t busy;                      /* nanoseconds, or cycles */
	bool cycles;
};

struct engine_meter {
	struct engine_seen seen[ENGINES_MAX];
	unsigned n;
};

struct engine_use {
	enum tri busy;    /* of the engines that encode; UNKNOWN: none of them was seen for this process and card */
	const char *name; /* the busiest: "video", "vcs", "enc"; NULL where busy is UNKNOWN */
	int64_t ms;       /* all of them together; UNKNOWN_NUMBER where the driver counts cycles */
};

/* One fdinfo file; adds what stands in it. Counters may jump back: the larger value is kept. False: no DRM client. */
bool engine_read(struct bytes fdinfo, struct engine_meter *meter);
/* All files of a process and of what it started, as they are now; what cannot be read is left out. */
void engine_watch(struct world *world, int64_t pid, struct engine_meter *meter);
/* pci: the card's address; NULL or "": any. The result lives as long as the meter. */
struct engine_use engine_use(const struct engine_meter *meter, const char *pci);
