/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The ffmpeg that is there: any from 4.4 on, run as a program and never linked. What it lists says how it was built,
 * and nothing about what works.
 */
#pragma once
#include "sys/world.h"

struct ffmpeg {
	const char *path;    /* as it is run */
	const char *origin;  /* "named", "distribution", "local", "jellyfin", "emby" */
	const char *version; /* "5.1.9-0+deb12u1", "7.0.2-Jellyfin", "N-118456-g..." */
	int64_t codec_major; /* of libavcodec: 58 is 4.4, 59 is 5, 60 is 6, 61 is 7, 62 is 8; UNKNOWN_NUMBER */
	struct words encoders, decoders, filters, hwaccels; /* video encoders and decoders; all filters */
	const char *identity; /* 64 hex digits: another file, time, size or build is another one */
};

/* path NULL: the first of the known places. Refused with err: none is there, it does not run, it is older than 4.4, or
 * what answers is no ffmpeg. */
bool ffmpeg_open(struct world *world, const char *path, struct arena *arena, struct err *err, struct ffmpeg *ret);
/* Where it is: fills path and origin alone, and runs nothing. Refused with err: none is there. */
bool ffmpeg_find(struct world *world, const char *path, struct arena *arena, struct err *err, struct ffmpeg *ret,
        struct world_stat *ret_stat);
bool ffmpeg_lists(const struct words *list, const char *name);

/* Pure parts. */
/* The first line and libavcodec's; *ret_version NULL: what spoke is no ffmpeg. */
void ffmpeg_parse_version(struct bytes text, struct arena *arena, const char **ret_version, int64_t *ret_codec_major);
/* `-encoders` and `-decoders`: the video ones. */
struct words ffmpeg_parse_coders(struct bytes text, struct arena *arena);
struct words ffmpeg_parse_filters(struct bytes text, struct arena *arena);
struct words ffmpeg_parse_hwaccels(struct bytes text, struct arena *arena);
