/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The truth on /health: from what was proven, what was seen since, and how old all that is. Pure.
 */
#pragma once
#include "base/json.h"
#include "media/encode.h"
#include "media/kept.h"
#include "media/sample.h"

enum health_status { HEALTH_FAIL, HEALTH_WARN, HEALTH_PASS };

/* Who tells readings. */
struct health_source {
	const char *name;    /* "machine", "nvml" */
	int64_t seen;        /* when it last answered; UNKNOWN_NUMBER: never */
	int64_t stale_after; /* seconds */
	bool needed;         /* without it nobody knows whether the rest is still true */
	const char *why;     /* why it does not answer; NULL: it does, or nothing is known */
	bool absent;         /* there is no such thing here: no defect */
};

/* What is known of hardware, from one proof. */
struct health_hardware {
	enum tri active;    /* hardware was shown to encode here; UNKNOWN: not proven, or a limit is reached */
	const char *engine; /* the way that would be taken: "nvenc", "software"; NONE: nothing encodes; NULL: unknown */
	const char *encoder;
	int rung;           /* of it; RUNG_UNKNOWN */
	const char *reason; /* why hardware is not active; NONE: it is */
	enum tri here;      /* there is hardware that should work: a node of it */
};

struct health_state {
	int64_t now;            /* seconds since 1970, as all times here */
	enum tri wanted;        /* hardware shall encode here; UNKNOWN: nobody said */
	const char *wanted_why; /* where that stands, or why not */
	struct health_hardware hardware;
	int64_t since;            /* active and engine are as they are since then; UNKNOWN_NUMBER */
	int64_t proven;           /* when the last proof was made; UNKNOWN_NUMBER: none was */
	int64_t stale_after;      /* seconds after which a proof says nothing about now */
	const char *proof_failed; /* why the last try made none; NULL: it did, or none was tried */
	const struct kept_failure *fell_back; /* hardware that failed in a transcode, and none has gone well since; NULL */
	const struct health_source *sources;
	size_t n_sources;
	const struct readings *readings; /* for the nodes; NULL: none */
};

/* What a proof says, if the wish is followed. */
struct health_hardware health_of(const struct proofs *proofs, const struct encode_wish *wish, struct arena *arena);
/* The document; its status is also put to *ret. */
json_t *health_document(const struct health_state *state, struct arena *arena, enum health_status *ret);
const char *health_status_name(enum health_status status); /* "pass" */
/* "2026-11-24T15:16:00Z"; NULL for UNKNOWN_NUMBER. */
const char *health_time(int64_t seconds, struct arena *arena);
