/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "media/encode.h"

#include <stdio.h>
#include <string.h>

const char *encode_codec_name(const char *codec, unsigned bits, struct arena *arena)
{
	size_t size = strlen(codec);
	bool digit = size && codec[size - 1] >= '0' && codec[size - 1] <= '9';
	return bits == 8 ? codec : arena_printf(arena, "%s%s%u", codec, digit ? "_" : "", bits);
}

/* Is it what the word means? */
static bool means(const char *word, const char *name, const char *way, const char *codec, unsigned bits)
{
	struct arena arena ARENA_SCOPED = { 0 };
	return strcmp(word, name) == 0 || strcmp(word, way) == 0 || strcmp(word, codec) == 0 ||
	       strcmp(word, encode_codec_name(codec, bits, &arena)) == 0;
}

bool encode_is_word(const char *word)
{
	for (const struct media_encoder *row = media_encoders; row->name; row++)
		if (means(word, row->name, media_ways[row->way].name, row->codec, row->bits))
			return true;
	return false;
}

/* Where among the words one means it; their number: nowhere. */
static size_t place(const struct words *words, const struct proof *proof, bool by_codec)
{
	for (size_t i = 0; i < words->n; i++)
		if (by_codec ? means(words->word[i], proof->name, proof->way, proof->codec, proof->bits)
		             : means(words->word[i], proof->name, proof->way, "", 8))
			return i;
	return words->n;
}

/* The largest picture, of the newest cards: NVIDIA's "NVENC application note", Intel's media-driver README, Mesa's
 * radeon_vcn. Older ones may end earlier, and say so when asked. */
static const struct {
	const char *codec;
	unsigned side;
} largest[] = {
	{ "h264", 4096 },
	{ "hevc", 8192 },
	{ "av1", 8192 },
	{ "vp9", 8192 },
	{ "vp8", 4096 },
	{ "mpeg2", 2048 },
	{ "mjpeg", 16384 },
};

static bool is_software(const struct proof *proof)
{
	return strcmp(proof->way, media_ways[WAY_SOFTWARE].name) == 0;
}

static const char *size_why(const struct proof *proof, const struct encode_job *job, struct arena *arena)
{
	unsigned side = job->width > job->height ? job->width : job->height;
	for (size_t i = 0; !is_software(proof) && i < sizeof largest / sizeof *largest; i++)
		if (strcmp(largest[i].codec, proof->codec) == 0 && side > largest[i].side)
			return arena_printf(arena, "%ux%u is beyond hardware for %s: at most %u on a side", job->width,
			        job->height, proof->codec, largest[i].side);
	return NULL;
}

/* Why it cannot be taken; NULL: it can. */
static const char *obstacle(
        const struct proof *proof, const struct encode_job *job, const struct encode_wish *wish, struct arena *arena)
{
	bool nvenc = strcmp(proof->way, media_ways[WAY_NVENC].name) == 0;
	if (place(&wish->veto, proof, true) < wish->veto.n)
		return "vetoed";
	if (job->hdr && proof->bits < 10)
		return "HDR needs 10 bits: tone map it first";
	if (job->hdr && strcmp(proof->codec, "hevc") != 0 && strcmp(proof->codec, "av1") != 0 &&
	        strcmp(proof->codec, "vp9") != 0)
		return arena_printf(arena, "players take no HDR in %s: tone map it first", proof->codec);
	if (proof->works == UNKNOWN && strcmp(proof->reason, failure_kind_name(FAILURE_LIMIT)) == 0)
		return arena_printf(arena, "a limit is reached, it is not broken: %s", proof->why);
	if (proof->works == UNKNOWN)
		return arena_printf(arena, "not proven: %s", proof->why);
	if (proof->works == NO)
		return proof->why;
	if (nvenc && job->sessions != UNKNOWN_NUMBER && job->session_limit != UNKNOWN_NUMBER &&
	        job->sessions >= job->session_limit)
		return arena_printf(arena,
		        "a limit is reached, it is not broken: %lld sessions run, and at %lld the driver gave no more",
		        (long long)job->sessions, (long long)job->session_limit);
	return size_why(proof, job, arena);
}

/* Negative: left goes first. *ret_why: for what reason. */
static int compare(
        const struct proof *left, const struct proof *right, const struct encode_wish *wish, const char **ret_why)
{
	size_t left_place = place(&wish->prefer, left, false), right_place = place(&wish->prefer, right, false);
	*ret_why = "it is preferred";
	if (left_place != right_place)
		return left_place < right_place ? -1 : 1;
	*ret_why = "it is hardware";
	if (is_software(left) != is_software(right))
		return is_software(left) ? 1 : -1;
	*ret_why = "its engine was seen at work";
	if (left->rung != right->rung)
		return left->rung > right->rung ? -1 : 1;
	*ret_why = "it stands first in the list";
	const struct media_way_row *left_way = media_way(left->way), *right_way = media_way(right->way);
	return left_way < right_way ? -1 : left_way > right_way;
}

static const char *chosen_why(const struct encode_choice *choice, const struct encode_job *job, struct arena *arena)
{
	const struct proof *best = choice->best;
	if (!best)
		return arena_printf(arena, "nothing here encodes %s", encode_codec_name(job->codec, job->bits, arena));
	if (!is_software(best))
		return best->rung >= RUNG_ENGINE ? "hardware, and its engine was seen at work"
		                                 : "hardware, and its frame is right";
	bool hardware = false, listed = false;
	for (size_t i = 0; i < choice->n_passed; i++) {
		hardware |= !is_software(choice->passed[i].proof) && choice->passed[i].proof->works == YES;
		listed |= !is_software(choice->passed[i].proof) && choice->passed[i].proof->listed == YES;
	}
	return hardware ? "software: what hardware works is not wanted, or not for this job"
	       : listed ? "software: no hardware encoder works for it here"
	                : "software: this ffmpeg lists no hardware encoder for it";
}

static struct encode_choice choose_of(
        const struct proofs *proofs, const struct encode_job *job, const struct encode_wish *wish, struct arena *arena)
{
	struct encode_choice choice = { 0 };
	const char *why;
	for (size_t i = 0; i < proofs->n; i++) {
		const struct proof *proof = &proofs->list[i];
		if (proof->kind != PROOF_ENCODE || strcmp(proof->codec, job->codec) != 0 || proof->bits != job->bits)
			continue;
		const char *against = obstacle(proof, job, wish, arena);
		bool better = !against && (!choice.best || compare(proof, choice.best, wish, &why) < 0);
		if (better)
			choice.best = proof;
		*arena_push(arena, choice.passed, choice.n_passed) = (struct encode_passed){ proof, against };
	}
	size_t kept = 0;
	for (size_t i = 0; i < choice.n_passed; i++) {
		struct encode_passed *passed = &choice.passed[i];
		if (passed->proof == choice.best)
			continue;
		if (!passed->why && choice.best) { /* without an obstacle there is a best one */
			compare(choice.best, passed->proof, wish, &why);
			passed->why = arena_printf(arena, "it works too; %s goes first: %s", choice.best->name, why);
		}
		choice.passed[kept++] = *passed;
	}
	choice.n_passed = kept;
	choice.why = chosen_why(&choice, job, arena);
	return choice;
}

/* The codecs in the order of the wish, then as most players take them. */
static struct words codecs_in_order(const struct encode_wish *wish, const struct encode_job *job, struct arena *arena)
{
	static const char *const usual[] = { "h264", "hevc", "av1" };
	struct words order = { 0 };
	for (size_t i = 0; i < wish->prefer.n; i++)
		for (const struct media_codec *codec = media_codecs; codec->name; codec++)
			if (means(wish->prefer.word[i], "", "", codec->name, job->bits))
				*arena_push(arena, order.word, order.n) = codec->name;
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
		*arena_push(arena, order.word, order.n) = usual[i];
	return order;
}

struct encode_choice encode_choose(
        const struct proofs *proofs, const struct encode_job *job, const struct encode_wish *wish, struct arena *arena)
{
	if (job->codec)
		return choose_of(proofs, job, wish, arena);
	struct words order = codecs_in_order(wish, job, arena);
	struct encode_choice first = { 0 };
	for (size_t i = 0; i < order.n; i++) {
		struct encode_job of = *job;
		of.codec = order.word[i];
		struct encode_choice choice = choose_of(proofs, &of, wish, arena);
		if (choice.best && !is_software(choice.best))
			return choice;
		if (!first.best)
			first = choice;
	}
	return first;
}
