/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The encoder for a job, among those that were proven, and why not each of the others. Pure.
 */
#pragma once
#include "media/proof.h"

struct encode_job {
	const char *codec;      /* "h264"; NULL: any, see encode_choose */
	unsigned bits;          /* 8 or 10 */
	unsigned width, height; /* 0: not known yet */
	bool hdr;               /* shall stay HDR, without tone mapping */
	/* On NVIDIA's cards the driver counts encodes per machine, whoever runs them. */
	int64_t sessions, session_limit; /* that run now, and at which it refused one more; UNKNOWN_NUMBER */
};

/* Words of encode_is_word. A preferred way or encoder goes before all others, also before hardware. */
struct encode_wish {
	struct words prefer, veto;
};

struct encode_passed {
	const struct proof *proof;
	const char *why;
};

struct encode_choice {
	const struct proof *best; /* NULL: there is none */
	const char *why;
	struct encode_passed *passed; /* the others of that codec and depth, in the order of the proofs */
	size_t n_passed;
};

/* Hardware before software, the higher rung before the lower, then the ways in their order. Without a codec: the first
 * one (the preferred, then H.264, HEVC, AV1) that hardware encodes, else the first that anything encodes. */
struct encode_choice encode_choose(
        const struct proofs *proofs, const struct encode_job *job, const struct encode_wish *wish, struct arena *arena);
/* Does the word name a codec ("hevc", "hevc10"), a way ("nvenc", "software") or an encoder ("h264_vaapi")? */
bool encode_is_word(const char *word);
/* "h264", "hevc10", "av1_10": a codec with its depth, as goals and facts write it. */
const char *encode_codec_name(const char *codec, unsigned bits, struct arena *arena);
