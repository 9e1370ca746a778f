/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What works here, shown and not listed: a ladder of proof for each encoder, decoder and filter on each device.
 *
 *   0 the node exists and opens         4 one frame through a hardware-only graph came back as the picture it was
 *   1 its library loads                 5 a clip was encoded while an engine of the card worked for that process
 *   2 the device initialises            (6 several at once, 7 the media server itself: not shown here)
 *   3 profile and entrypoint are there
 *
 * Where the encoder is the processor's, 4 is the top.
 */
#pragma once
#include "base/json.h"
#include "facts/drm.h"
#include "media/encoders.h"
#include "media/failure.h"
#include "media/ffmpeg.h"

enum { RUNG_UNKNOWN = -2, RUNG_NONE = -1, RUNG_OPENS, RUNG_LOADS, RUNG_STARTS, RUNG_LISTED, RUNG_FRAME, RUNG_ENGINE };

enum proof_kind { PROOF_ENCODE, PROOF_DECODE, PROOF_FILTER, PROOF_KINDS };

struct proof {
	enum proof_kind kind;
	const char *name;   /* of the encoder, decoder or filter: "h264_nvenc", "hevc", "scale_cuda" */
	const char *codec;  /* "h264"; a filter: NONE */
	unsigned bits;      /* 8 or 10 */
	const char *way;    /* "nvenc", "qsv", "vaapi", "vulkan", "software" */
	const char *device; /* the node's path; NONE: no node is known, or software */
	const char *pci;    /* the card's address; NONE: none */
	enum tri listed;    /* this ffmpeg has it */
	enum tri works;     /* UNKNOWN too where a limit was reached: that is no defect */
	int rung;           /* the highest that was shown, RUNG_... */
	const char *reason; /* why no more was shown, one word: "absent", "limit", ... of failure_kind_name; NONE: all
	                       was */
	const char *why, *cure; /* the same as sentences; NONE: there is nothing to say */
	const char *options;    /* with which it works beside the usual ones: "-low_power 1"; NONE */
	int64_t ms;             /* of the frame, start of the program included; UNKNOWN_NUMBER: not run */
	int64_t psnr;           /* of the frame, in tenths of a decibel; UNKNOWN_NUMBER */
	const char *engine;     /* that worked during the clip: "video"; NULL: not seen */
	int64_t engine_ms;      /* how long; UNKNOWN_NUMBER */
	bool passing;           /* it may be otherwise in a minute: a limit, a deadline */
	const char *use;        /* of a filter, media_uses: "scale"; NONE: no filter */
};

struct proofs {
	const char *ffmpeg, *version, *origin, *identity; /* of struct ffmpeg */
	struct words filters; /* all that this ffmpeg lists, proven or not */
	struct proof *list; /* encoders, then decoders, then filters; of each the ways in their order */
	size_t n;
	int64_t ms;   /* how long it all took */
	int64_t made; /* seconds since 1970 */
	int64_t software_made; /* the same of software: with `earlier`, when that was */
	bool kept;    /* read from the cache */
};

struct proof_options {
	unsigned deadline_ms; /* of one probe; 0: 15 seconds */
	unsigned at_once;     /* 0: 4 */
	const char *nvml;     /* NVIDIA's library that tells what its encoders do (nvml.h); NULL: it is not asked */
	/* Of this very machine, with this very ffmpeg: software that worked then is not run again, unless a device is to
	 * decode its stream. NULL: all is run. */
	const struct proofs *earlier;
};

/* Runs what the devices of `drm` and this ffmpeg allow: some dozen short ones, beside each other. Never fails: what
 * could not be run is in the result. Writes nothing: streams and pictures go through pipes. */
struct proofs *proofs_run(struct world *world, const struct drm *drm, const struct ffmpeg *ffmpeg,
        const struct proof_options *options, struct arena *arena);

/* As members of a document: "ffmpeg", "encoders", "decoders", "filters". */
void proofs_put(json_t *document, const struct proofs *proofs);
/* The same back. False: it is none, or a part of one. */
bool proofs_take(const json_t *document, struct arena *arena, struct proofs *ret);

/* Pure parts. */
/* The devices of every way, NVIDIA's counted by address; a way without one has one without a node. */
struct media_device *proof_devices(const struct drm *drm, struct arena *arena, size_t *ret_n);
/* Why a node does not open, by errno. */
struct failure proof_node_failure(const char *node, int error, struct arena *arena);
/* How near a picture is to another, in tenths of a decibel; bits: of the second one's samples (10: two bytes each, the
 * smaller first). UNKNOWN_NUMBER: it has another size. */
int64_t proof_psnr(struct bytes reference, struct bytes picture, unsigned bits);
/* How alike two pictures of 8 bits are, whatever was done to their range: the correlation of a plane (0: luma, 1 and 2:
 * chroma), -1000 to 1000. UNKNOWN_NUMBER: they have other sizes, or one is all of one grey. */
int64_t proof_likeness(struct bytes reference, struct bytes picture, unsigned plane);
/* Did Vulkan open a device that the processor plays ("llvmpipe ... (software)")? Of ffmpeg's words at level verbose. */
bool proof_is_played(struct bytes said);
