/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * /health and /metrics: one loop that waits for a socket, three children that may hang, and SIGTERM.
 */
#pragma once
#include "media/kept.h"
#include "serve/health.h"

struct serve_options {
	const char *listen;     /* listen_open's; NULL: systemd's or the usual one */
	enum tri wanted;        /* hardware shall encode here */
	const char *wanted_why; /* NONE: nobody said */
	const char *gpu;        /* whose: an address, "nvidia", "intel", "amd"; NULL or "auto": any */
	struct encode_wish wish;
	unsigned every_s;                   /* between two proofs */
	const char *ffmpeg, *folder, *nvml; /* of kept_options */
	const char *told;                   /* where else a transcode may keep that it fell back; NULL */
};

/* Serves until SIGTERM or SIGINT; ready is told where, once it answers. False with err: it could not begin. */
bool serve_run(const struct serve_options *options, void (*ready)(void *data, const char *where), void *data,
        struct arena *arena, struct err *err);
/* Is the proof about such a GPU, by its way and the driver of its card? Software is of all. Pure. */
bool serve_is_of(const struct proof *proof, const char *gpu, const struct drm *drm);
