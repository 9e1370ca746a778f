/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Proofs as JSON and back: one table of members for both ways. docs/json.md names the keys.
 */
#include <stddef.h>
#include <string.h>

#include "media/proof.h"

enum form { FORM_TEXT, FORM_TRI, FORM_NUMBER, FORM_BITS, FORM_RUNG, FORM_TENTHS };

struct member {
	const char *key;
	enum form form;
	size_t offset;
};

#define OF(type, member) offsetof(struct type, member)

static const struct member proof_members[] = {
	{ "name", FORM_TEXT, OF(proof, name) },
	{ "codec", FORM_TEXT, OF(proof, codec) },
	{ "bits", FORM_BITS, OF(proof, bits) },
	{ "use", FORM_TEXT, OF(proof, use) },
	{ "way", FORM_TEXT, OF(proof, way) },
	{ "device", FORM_TEXT, OF(proof, device) },
	{ "address", FORM_TEXT, OF(proof, pci) },
	{ "listed", FORM_TRI, OF(proof, listed) },
	{ "works", FORM_TRI, OF(proof, works) },
	{ "rung", FORM_RUNG, OF(proof, rung) },
	{ "reason", FORM_TEXT, OF(proof, reason) },
	{ "why", FORM_TEXT, OF(proof, why) },
	{ "cure", FORM_TEXT, OF(proof, cure) },
	{ "options", FORM_TEXT, OF(proof, options) },
	{ "ms", FORM_NUMBER, OF(proof, ms) },
	{ "psnr", FORM_TENTHS, OF(proof, psnr) },
	{ "engine", FORM_TEXT, OF(proof, engine) },
	{ "engine_ms", FORM_NUMBER, OF(proof, engine_ms) },
	{ 0 },
};

static const struct member ffmpeg_members[] = {
	{ "path", FORM_TEXT, OF(proofs, ffmpeg) },
	{ "version", FORM_TEXT, OF(proofs, version) },
	{ "origin", FORM_TEXT, OF(proofs, origin) },
	{ "identity", FORM_TEXT, OF(proofs, identity) },
	{ "proven", FORM_NUMBER, OF(proofs, made) },
	{ "software_proven", FORM_NUMBER, OF(proofs, software_made) },
	{ "proving_ms", FORM_NUMBER, OF(proofs, ms) },
	{ 0 },
};

static const char *const arrays[PROOF_KINDS] = { "encoders", "decoders", "filters" };

/* ---- out ----------------------------------------------------------------------- */

static json_t *member_json(const struct member *member, const void *of)
{
	const void *field = (const char *)of + member->offset;
	switch (member->form) {
	case FORM_TEXT:
		return json_text(*(const char *const *)field);
	case FORM_TRI:
		return json_tri(*(const enum tri *)field);
	case FORM_NUMBER:
		return json_number(*(const int64_t *)field);
	case FORM_BITS:
		return json_number(*(const unsigned *)field);
	case FORM_RUNG: {
		int rung = *(const int *)field;
		return rung == RUNG_UNKNOWN ? json_null() : rung == RUNG_NONE ? json_text(NONE) : json_number(rung);
	}
	case FORM_TENTHS: {
		int64_t tenths = *(const int64_t *)field;
		return tenths == UNKNOWN_NUMBER ? json_null() : json_real((double)tenths / 10);
	}
	}
	return json_null();
}

static json_t *members_json(const struct member *members, const void *of)
{
	json_t *object = json_object();
	for (const struct member *member = members; member->key; member++)
		json_put(object, member->key, member_json(member, of));
	return object;
}

void proofs_put(json_t *document, const struct proofs *proofs)
{
	json_t *ffmpeg = members_json(ffmpeg_members, proofs);
	json_put(ffmpeg, "kept", json_boolean(proofs->kept));
	json_put(document, "ffmpeg", ffmpeg);
	for (int kind = 0; kind < PROOF_KINDS; kind++) {
		json_t *array = json_array();
		for (size_t i = 0; i < proofs->n; i++)
			if ((int)proofs->list[i].kind == kind)
				json_add(array, members_json(proof_members, &proofs->list[i]));
		json_put(document, arrays[kind], array);
	}
}

/* ---- and back ------------------------------------------------------------------- */

static bool take_text(const json_t *value, struct arena *arena, const char **ret)
{
	if (json_is_null(value)) {
		*ret = NULL;
		return true;
	}
	const char *text = json_string_value(value);
	if (!text)
		return false;
	*ret = strcmp(text, "none") == 0 ? NONE : arena_strdup(arena, text);
	return true;
}

static bool take_number(const json_t *value, int64_t max, int64_t *ret)
{
	if (json_is_null(value))
		*ret = UNKNOWN_NUMBER;
	else if (json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= max)
		*ret = json_integer_value(value);
	else
		return false;
	return true;
}

static bool take_member(const struct member *member, const json_t *value, struct arena *arena, void *of)
{
	void *field = (char *)of + member->offset;
	int64_t number;
	switch (member->form) {
	case FORM_TEXT:
		return take_text(value, arena, field);
	case FORM_TRI:
		*(enum tri *)field = json_is_true(value) ? YES : json_is_false(value) ? NO : UNKNOWN;
		return json_is_boolean(value) || json_is_null(value);
	case FORM_NUMBER:
		return take_number(value, INT64_MAX, field);
	case FORM_BITS:
		if (!take_number(value, 10, &number) || (number != 8 && number != 10))
			return false;
		*(unsigned *)field = (unsigned)number;
		return true;
	case FORM_RUNG:
		if (json_is_string(value)) {
			*(int *)field = RUNG_NONE;
			return strcmp(json_string_value(value), "none") == 0;
		}
		if (!take_number(value, RUNG_ENGINE, &number))
			return false;
		*(int *)field = number == UNKNOWN_NUMBER ? RUNG_UNKNOWN : (int)number;
		return true;
	case FORM_TENTHS:
		*(int64_t *)field = UNKNOWN_NUMBER;
		if (json_is_null(value))
			return true;
		if (!json_is_number(value) || !(json_number_value(value) >= 0 && json_number_value(value) < 100))
			return false;
		*(int64_t *)field = (int64_t)(json_number_value(value) * 10 + 0.5);
		return true;
	}
	return false;
}

static bool take_members(const struct member *members, const json_t *object, struct arena *arena, void *ret)
{
	for (const struct member *member = members; member->key; member++) {
		const json_t *value = json_object_get(object, member->key);
		if (!value || !take_member(member, value, arena, ret))
			return false;
	}
	return true;
}

static bool is_whole(const struct proof *proof)
{
	return proof->name && proof->codec && proof->way && media_way(proof->way) && proof->device && proof->pci && proof->use &&
	       (!*proof->codec || media_codec(proof->codec));
}

bool proofs_take(const json_t *document, struct arena *arena, struct proofs *ret)
{
	struct proofs proofs = { 0 };
	const json_t *value;
	size_t i;
	if (!take_members(ffmpeg_members, json_object_get(document, "ffmpeg"), arena, &proofs) || !proofs.ffmpeg)
		return false;
	for (int kind = 0; kind < PROOF_KINDS; kind++) {
		const json_t *array = json_object_get(document, arrays[kind]);
		if (!json_is_array(array))
			return false;
		json_array_foreach(array, i, value)
		{
			struct proof *proof = arena_push(arena, proofs.list, proofs.n);
			proof->kind = (enum proof_kind)kind;
			if (!take_members(proof_members, value, arena, proof) || !is_whole(proof))
				return false;
		}
	}
	*ret = proofs;
	return true;
}
