/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * HLS playlists (RFC 8216), and the lines in which ffmpeg tells of a segment and of its progress. Pure.
 */
#pragma once
#include "base/text.h"

struct segment {
	const char *name; /* without its folder */
	int64_t start_us, end_us;
	unsigned breaks; /* how often the encoder has changed since the one before */
};

struct segments {
	struct segment *list;
	size_t n;
};

/* One that grows until it has ended. n: how many of them are shown. */
const char *playlist_media(const struct segments *segments, size_t n, bool has_ended, struct arena *arena);
/* One that leads to the video's and the audio's. */
const char *playlist_master(
        const char *video, const char *audio, int64_t rate, unsigned width, unsigned height, struct arena *arena);
/* As a URI in them: nothing in the name means anything. */
const char *playlist_uri(const char *name, struct arena *arena);

/* "NAME,START,END": its end; the name may have commas. */
bool playlist_segment_line(struct bytes line, int64_t *ret_end_us);
/* "progress=end": all is written. What ends with success and has not said so was cut off. */
bool playlist_last_line(struct bytes line);
/* "frame=120" */
bool playlist_frame_line(struct bytes line, int64_t *ret_frame);
