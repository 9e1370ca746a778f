/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is in a file that someone wants encoded. The name and the content are anyone's: only files are opened, none that
 * point at others (playlists), and nothing is fetched.
 */
#pragma once
#include "sys/world.h"

enum input_range { RANGE_SDR, RANGE_HDR10, RANGE_HLG };

struct input_subtitle {
	unsigned index; /* among all streams */
	bool picture;   /* it is drawn (PGS, DVD), not written */
};

struct input {
	const char *path;
	bool indexed;        /* the container knows where its keyframes are */
	int64_t start_us;    /* of the earliest stream */
	int64_t duration_us; /* of the container; UNKNOWN_NUMBER */
	int64_t bit_rate;    /* of all of it, a second; UNKNOWN_NUMBER */
	unsigned video;      /* the stream's index */
	const char *codec;   /* "h264", as media_codecs has it, or ffmpeg's own name of another one */
	unsigned width, height, bits;
	bool planar_420; /* chroma as all hardware has it */
	bool turned;     /* it is to be rotated when it is shown */
	bool sideways;   /* so that its width is its height then */
	bool interlaced; /* two fields a frame, as television has them */
	enum input_range range;
	unsigned rate_num, rate_den; /* frames a second: the finest that all timestamps fit */
	bool steady;                 /* and they all come at that rate */
	int64_t video_us;            /* how long the video is; UNKNOWN_NUMBER */
	int audio;                   /* index of the first audio stream; -1: none */
	struct input_subtitle *subtitles;
	size_t n_subtitles;
	bool mastered; /* HDR10: its pictures tell of the display they were mastered on */
};

/* Demuxers that read the one file they are given, as ffmpeg's -format_whitelist takes them. */
extern const char input_formats[];
/* Options before every -i: no protocol but files, no demuxer but those. */
extern const char input_guards[];
/* "file:PATH", so that no name is an option, a protocol or a pattern. */
const char *input_url(const char *path, struct arena *arena);

/* Runs ffprobe, the one beside this ffmpeg or the distribution's: its JSON. False with err: it is no file, it is no
 * video, it is cut so that it cannot be read, or there is no ffprobe. */
bool input_ask(struct world *world, const char *ffmpeg, const char *path, struct arena *arena, struct err *err,
        struct bytes *ret);
/* The pure part: ffprobe's JSON. */
bool input_parse(struct bytes text, const char *path, struct arena *arena, struct err *err, struct input *ret);
/* Seconds as ffprobe and the segment list write them ("12.053708"), in microseconds. False: it is none. */
bool input_seconds(const char *text, int64_t *ret_us);
/* "24000/1001"; false: it is none, or zero. */
bool input_ratio(const char *text, unsigned *ret_num, unsigned *ret_den);
/* Where ffprobe is; NULL: nowhere. */
const char *input_ffprobe(struct world *world, const char *ffmpeg, struct arena *arena);
