/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What was proven and what was read, kept for the next who asks.
 */
#pragma once
#include "media/input.h"
#include "media/proof.h"

struct kept_options {
	const char *ffmpeg; /* its path; NULL: the first of the known places */
	const char *folder; /* where it is kept, made where it is not there; NULL: nowhere */
	bool fresh;         /* nothing is taken from what is kept */
	bool renew;         /* the same, but what software was shown to do stands for an hour, if the machine is the same */
	struct proof_options proof;
	/* Called before ffprobe is asked what is in a film, with the ffmpeg that was found; NULL */
	void (*asks)(void *data, const char *ffmpeg);
	void *data;
};

/* From what is kept, if that is about this very machine and not older than a day; else run, and kept unless something
 * in it was passing (a limit, a deadline). A cache that cannot be read or written costs time and nothing else. NULL
 * with err: there is no ffmpeg, or it is refused (ffmpeg_open). */
const struct proofs *kept_proofs(struct world *world, const struct drm *drm, const struct kept_options *options,
        struct arena *arena, struct err *err);

/* What is in a film. ffprobe is asked once a day for each file as it is, up to 64 of them: a film is begun again at every
 * seek, and loading ffprobe alone takes longer than all else before its first frame. False with err: as ffmpeg_find, input_ask
 * and input_parse say. */
bool kept_input(struct world *world, const struct kept_options *options, const char *path, struct arena *arena,
        struct err *err, struct input *ret);

/* Hardware that failed while it encoded: who transcodes keeps it, beside what was proven, for who tells of health. */
struct kept_failure {
	int64_t when;     /* seconds since 1970 */
	const char *what; /* which encoder, where in the video, and why */
};
/* NULL: hardware has encoded to the end, and what was kept is over. */
void kept_tell_failure(const char *folder, const struct kept_failure *failure);
/* False: none is kept there, or none that can be read. */
bool kept_last_failure(const char *folder, struct arena *arena, struct kept_failure *ret);

/* How many of NVENC's sessions the driver allows is known by its having refused one more. Kept for an hour: a driver that
 * was mended meanwhile is tried again. */
void kept_tell_limit(const char *folder, int64_t sessions, int64_t now);
/* How many ran then; UNKNOWN_NUMBER: none was refused of late. */
int64_t kept_limit(const char *folder, int64_t now, struct arena *arena);

/* The parts. */
/* All that a proof depends on, as 64 hex digits. Runs nothing, and opens no node that would wake a card. */
const char *kept_key(struct world *world, const struct drm *drm, const char *ffmpeg, struct arena *arena);
/* A kept text, if it is one, of this key, and not older than a day at `now`. Pure. */
bool kept_read(struct bytes text, const char *key, int64_t now, struct arena *arena, struct proofs *ret);
