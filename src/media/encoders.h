/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is tried: codecs, the ways to a GPU, and encoders as tables, and the command line of every probe from them.
 * Nothing here runs anything. Pure.
 */
#pragma once
#include <stdbool.h>

#include "base/arena.h"

/* The ways to an encoder, best first where nothing else is asked for. */
enum media_way { WAY_NVENC, WAY_QSV, WAY_VAAPI, WAY_VULKAN, WAY_SOFTWARE, WAYS };
enum media_node { NODE_NEEDS_NONE, NODE_NEEDS_NVIDIA, NODE_NEEDS_RENDER, NODE_NEEDS_INTEL };

struct media_codec {
	const char *name;            /* "h264" */
	const char *muxer, *demuxer; /* of a stream without seeking */
	const char *decoder;         /* the one that hardware is put behind */
	const char *software;        /* those that decode in software, best first, with blanks between */
};

struct media_way_row {
	const char *name; /* "nvenc" */
	enum media_node node;
	const char *init;           /* opens the device: {node} or {index} is put in */
	const char *bare;           /* the same where no node is known; NULL: then there is nothing to try */
	const char *device;         /* its name in init; NULL: software */
	const char *level[2];       /* of ffmpeg's log: while it opens, while it encodes */
	const char *upload, *scale; /* filters; NULL: software */
	/* Filters with their options. NULL: this way has none that is used. */
	const char *tone_map, *deinterlace;
	bool mastered;              /* the tone map wants HDR10 that says which display it was mastered on */
	const char *hwaccel;        /* also the pixel format of its frames */
	const char *suffix;         /* of its decoders behind a codec's name: "_qsv"; NULL: a codec's usual ones */
	const char *format[2];      /* frames before upload, of 8 and of 10 bits */
	const char *rate;           /* a bit rate, as the media servers ask for one */
	unsigned frames;            /* of the clip: long enough for what looks at the engines */
};

/* What filters are for. */
enum media_use { USE_SCALE, USE_TONE_MAP, USE_DEINTERLACE, USES };
extern const char *const media_uses[USES]; /* "scale", "tonemap", "deinterlace" */
/* With its options; NULL: the way has none. */
const char *media_filter(const struct media_way_row *way, enum media_use use);
/* What some HDR films leave out; without it tone maps do not begin. */
#define MEDIA_HDR10 "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"

struct media_encoder {
	const char *name, *codec;
	enum media_way way;
	unsigned bits;       /* 8 or 10 */
	const char *options; /* always */
	const char *again;   /* where it fails without; NULL: nothing */
	bool constant;       /* knows no bit rate */
};

extern const struct media_codec media_codecs[];     /* name NULL at the end */
extern const struct media_way_row media_ways[WAYS]; /* by enum */
extern const struct media_encoder media_encoders[]; /* name NULL at the end; a name has a row for each depth */

const struct media_codec *media_codec(const char *name); /* NULL: none */
/* The row of that name; NULL: none. */
const struct media_way_row *media_way(const char *name);
/* The decoder that a way's hardware stands behind: "hevc", "hevc_qsv". */
const char *media_decoder(const struct media_way_row *way, const struct media_codec *codec, struct arena *arena);

struct media_device {
	enum media_way way;
	const char *node; /* "/dev/dri/renderD128", "/dev/nvidia0"; NULL: none is known */
	const char *pci;  /* its address; NULL or "": none */
	unsigned index;   /* among NVIDIA's cards, by address */
	bool several;     /* NVIDIA: there is more than one, and CUDA must count them by address */
};

/* One frame each but CLIP; streams and pictures come from and go to the standard places, so no file is needed. */
enum probe {
	PROBE_REFERENCE, /* the picture that every other one is held against: PICTURE bytes of yuv420p */
	PROBE_INIT,      /* opens the device */
	PROBE_HDR,       /* makes a film of one picture in HDR10, with all that can be told of its mastering */
	PROBE_FILTER,    /* upload, filter, download: the picture; tone mapped and deinterlaced with 8 bits */
	PROBE_MASTERED,  /* the same with such a film */
	PROBE_ENCODE,    /* upload, scale, encode: a stream */
	PROBE_CHECK,     /* a stream, decoded in software: the picture at the stream's own depth */
	PROBE_DECODE,    /* a stream, decoded by the device and downloaded: the picture */
	PROBE_CLIP,      /* upload, encode a clip of 1280x720 at a bit rate: nothing */
};
enum { PICTURE_WIDTH = 320, PICTURE_HEIGHT = 192 };
/* In samples: luma, then two planes of a quarter each. */
enum { PICTURE_SAMPLES = PICTURE_WIDTH * PICTURE_HEIGHT * 3 / 2 };

struct probe_for {
	const char *ffmpeg;                  /* the program */
	const struct media_device *device;   /* INIT, FILTER, DECODE; ENCODE and CLIP but for software */
	const struct media_encoder *encoder; /* ENCODE, CLIP */
	const struct media_codec *codec;     /* CHECK, DECODE; of the encoder where one is given */
	const char *decoder;                 /* CHECK: which; NULL: the program's own choice */
	unsigned bits;                       /* FILTER, DECODE; of the encoder where one is given */
	bool again;                          /* with the encoder's `again` */
	bool plain;                          /* ENCODE: scaled in software, before the upload */
	enum media_use use;                  /* FILTER, MASTERED */
};

/* NULL at the end; every word is its own, for a program without a shell. */
const char *const *probe_argv(enum probe probe, const struct probe_for *what, struct arena *arena);
