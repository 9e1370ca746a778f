/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One file to be encoded: what is wished made definite, and every command line that the way there needs. Pure.
 *
 * Video and audio are two programs: when the one that works on hardware fails, software goes on with the video at a
 * frame that is known, and the audio was never touched. Video is cut into segments that begin with a keyframe and carry
 * their parameter sets, so that those of two encoders can follow each other. Times are the input's own, from zero, in
 * all of them; a second video program therefore goes on exactly where the first one ended.
 */
#pragma once
#include "media/encode.h"
#include "media/input.h"

enum job_form { JOB_MP4, JOB_MATROSKA, JOB_HLS };

struct job_wish {
	const char *codec;      /* NULL: any */
	unsigned width, height; /* at most; 0: as it is. Never enlarged, the shape stays */
	int64_t bit_rate;       /* a second; UNKNOWN_NUMBER */
	int64_t quality;        /* as the encoders count it, less is better; UNKNOWN_NUMBER */
	const char *audio;      /* "aac", "copy", "none" */
	int64_t subtitle;       /* which is drawn into the picture, from 0; UNKNOWN_NUMBER: none */
	bool keep_hdr;          /* else HDR becomes SDR */
};

struct job {
	const struct input *input;
	const char *output;
	enum job_form form;
	struct job_wish wish;
	unsigned width, height, bits; /* of the output's video */
	bool tone_map, deinterlace, with_audio;
	const char *codec; /* NULL: any, until an engine is found */
};

/* What encodes, and how much of the way there it does. */
struct job_engine {
	const struct media_encoder *encoder;
	const struct proof *proof;
	struct media_device device;
	bool software;
	bool decodes;         /* the frames never leave the card */
	bool scales;          /* its scaler works at the depth that it is given */
	const char *tone_map, *deinterlace; /* its filters; NULL: the processor does it */
};

enum { JOB_SEGMENT_SECONDS = 3 };

/* Decides what the wish leaves open. False with err: no such output, or the wishes cannot go together. */
bool job_make(const struct input *input, const char *output, const struct job_wish *wish, struct arena *arena,
        struct err *err, struct job *ret);
/* For encode_choose. */
struct encode_job job_encode(const struct job *job);
/* How `best` is put to use. False with err: it cannot be used for this job. */
bool job_engine(const struct job *job, const struct proofs *proofs, const struct proof *best, const struct drm *drm,
        struct arena *arena, struct err *err, struct job_engine *ret);
/* The same, of frames that the processor decodes. */
struct job_engine job_engine_undecoded(
        const struct job *job, const struct proofs *proofs, const struct job_engine *engine);
/* The software that can go on for it; NULL: none was proven. */
const struct proof *job_software(const struct proofs *proofs, const struct proof *best);

/* Command lines, NULL at the end. */
struct job_tools {
	const char *ffmpeg, *version;
	const struct words *filters; /* that it lists */
};
/* One program for all of it, as one would type it: what `transcode --print` shows. It cannot go on in software. */
const char *const *job_direct(
        const struct job *job, const struct job_engine *engine, const struct job_tools *tools, struct arena *arena);
/* The video from a frame on, as segments; says each one and its progress on standard output. */
struct job_from {
	unsigned segment; /* the first one's number */
	int64_t after_us; /* frames before it are there already; 0: none is */
};
const char *const *job_video(const struct job *job, const struct job_engine *engine, const struct job_tools *tools,
        const struct job_from *from, const char *pattern, struct arena *arena);
/* The audio: into one file, or as segments for HLS. */
const char *const *job_audio(const struct job *job, const struct job_tools *tools, const char *to, struct arena *arena);
/* A stream of segments as it is gathered. NUT keeps when a frame is shown and not when it is decoded: that is told
 * anew, from the order of the frames and how many of them an encoder holds back. */
struct job_stream {
	const char *path;
	int64_t start_us; /* when its first frame is shown */
	unsigned delay;   /* in frames */
};
/* Whether job_join can tell decoding times of all streams at once; else each has to be moved before. */
bool job_joins_several(const struct job *job);
/* Moves one of several streams to time zero, with its decoding times. */
const char *const *job_rebase(const struct job *job, const struct job_tools *tools, const struct job_stream *stream,
        const char *to, struct arena *arena);
/* Video and audio become the output. list: the video is a list (job_list), and starts then; audio NULL: none. */
const char *const *job_join(const struct job *job, const struct job_tools *tools, const struct job_stream *video,
        bool list, const char *audio, const char *to, struct arena *arena);
/* For ffmpeg's concat demuxer: streams that follow each other, by the names of their files. */
const char *job_list(const struct job_stream *streams, size_t n, struct arena *arena);

/* Before the names of an HLS output's parts: its folder and name, with nothing in it that a URI would have to spell
 * otherwise. ffmpeg itself takes such a spelling for the name. */
const char *job_stem(const char *output, struct arena *arena);
/* A path as ffmpeg's segment muxer takes it as a part of its pattern. */
const char *job_pattern(const char *path, struct arena *arena);
/* A value inside a filter graph: no sign in it means anything there. */
const char *job_filter_value(const char *value, struct arena *arena);
/* Bytes that the output will about have, to ask for room. */
uint64_t job_size(const struct job *job);
/* What is said of the stream in a playlist, bits a second. */
int64_t job_rate(const struct job *job);
