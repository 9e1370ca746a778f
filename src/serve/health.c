/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Each check is one function from the state to a status and a sentence; the worst of them is the status of all. The
 * document's form: draft-inadarei-api-health-check.
 */
#include "serve/health.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

const char *health_status_name(enum health_status status)
{
	static const char *const names[] = { [HEALTH_FAIL] = "fail", [HEALTH_WARN] = "warn", [HEALTH_PASS] = "pass" };
	return names[status];
}

const char *health_time(int64_t seconds, struct arena *arena)
{
	struct tm parts;
	time_t time = (time_t)seconds;
	char text[32];
	if (seconds == UNKNOWN_NUMBER || !gmtime_r(&time, &parts) ||
	        !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts))
		return NULL;
	return arena_strdup(arena, text);
}

/* ---- what a proof says -------------------------------------------------------------------- */

static bool is_software(const char *way)
{
	return strcmp(way, media_ways[WAY_SOFTWARE].name) == 0;
}

static bool is_reason(const struct proof *proof, enum failure_kind kind)
{
	return strcmp(proof->reason, failure_kind_name(kind)) == 0;
}

/* An encoder of hardware that this ffmpeg has. */
static bool is_candidate(const struct proof *proof)
{
	return proof->kind == PROOF_ENCODE && proof->listed == YES && !is_software(proof->way);
}

/* Of the hardware that does not work, the one that says most: a limit; else what got furthest; something broken rather
 * than something that is not there. */
static const struct proof *nearest(const struct proofs *proofs)
{
	const struct proof *best = NULL;
	int best_score = 0;
	for (size_t i = 0; i < proofs->n; i++) {
		const struct proof *proof = &proofs->list[i];
		if (!is_candidate(proof) || proof->works == YES || !*proof->why)
			continue;
		int score = 4 * (proof->rung - RUNG_UNKNOWN) + (is_reason(proof, FAILURE_LIMIT) ? 100 : 0) +
		            (is_reason(proof, FAILURE_ABSENT) ? 0 : 2) + (*proof->device ? 1 : 0);
		if (!best || score > best_score) {
			best = proof;
			best_score = score;
		}
	}
	return best;
}

/* Hardware that is not taken: a limit may be over in a minute, and what was not measured is not known to be broken. */
static enum tri not_taken(const struct proofs *proofs)
{
	bool measured = false;
	for (size_t i = 0; i < proofs->n; i++) {
		const struct proof *proof = &proofs->list[i];
		if (is_candidate(proof) && is_reason(proof, FAILURE_LIMIT) && proof->works == UNKNOWN)
			return UNKNOWN;
		measured |= is_candidate(proof) && proof->works == NO;
	}
	return measured || !nearest(proofs) ? NO : UNKNOWN;
}

static bool encodes_unasked(const struct proofs *proofs, const struct encode_wish *wish)
{
	for (size_t i = 0; i < proofs->n && (wish->prefer.n || wish->veto.n); i++)
		if (is_candidate(&proofs->list[i]) && proofs->list[i].works == YES)
			return true;
	return false;
}

struct health_hardware health_of(const struct proofs *proofs, const struct encode_wish *wish, struct arena *arena)
{
	const struct encode_job job = { .bits = 8, .sessions = UNKNOWN_NUMBER, .session_limit = UNKNOWN_NUMBER };
	const struct encode_choice choice = encode_choose(proofs, &job, wish, arena);
	const struct proof *near = nearest(proofs);
	struct health_hardware hardware = {
		.active = YES, .engine = NONE, .encoder = NONE, .rung = RUNG_NONE, .reason = NONE, .here = NO
	};
	for (size_t i = 0; i < proofs->n; i++)
		if (!is_software(proofs->list[i].way) && *proofs->list[i].device)
			hardware.here = YES;
	if (choice.best) {
		hardware.engine = choice.best->way;
		hardware.encoder = choice.best->name;
		hardware.rung = choice.best->rung;
	}
	if (choice.best && !is_software(choice.best->way))
		return hardware;
	hardware.active = not_taken(proofs);
	hardware.reason = encodes_unasked(proofs, wish) ? "hardware encodes here, and the goal wishes otherwise"
	                  : near                        ? arena_printf(arena, "%s: %s", near->name, near->why)
	                                                : "this ffmpeg has no hardware encoder";
	return hardware;
}

/* ---- checks ----------------------------------------------------------------------------------- */

struct check {
	const char *key, *component;
	enum health_status status;
	json_t *value;    /* taken over; NULL: none */
	const char *unit; /* NULL: none */
	int64_t time;
	const char *output; /* NULL: all is well */
};

struct checks {
	json_t *object;
	enum health_status worst;
	const char *output; /* of the first of the worst */
	struct arena *arena;
};

static void add(struct checks *checks, struct check check)
{
	json_t *one = json_object(), *list = json_object_get(checks->object, check.key);
	if (!list)
		json_put(checks->object, check.key, list = json_array());
	if (check.component)
		json_put(one, "componentId", json_raw_text(check.component));
	json_put(one, "status", json_raw_text(health_status_name(check.status)));
	if (check.value)
		json_put(one, "observedValue", check.value);
	if (check.unit)
		json_put(one, "observedUnit", json_raw_text(check.unit));
	if (check.time != UNKNOWN_NUMBER)
		json_put(one, "time", json_raw_text(health_time(check.time, checks->arena)));
	if (check.output)
		json_put(one, "output", json_raw_text(check.output));
	json_add(list, one);
	if (check.status < checks->worst) {
		checks->worst = check.status;
		checks->output = check.output;
	}
}

/* A time that lies ahead is of a clock that was put back: it says nothing about now. */
static bool is_stale(int64_t now, int64_t then, int64_t after)
{
	return then == UNKNOWN_NUMBER || then > now + 1 || now - then > after;
}

static void check_proof(const struct health_state *state, struct checks *checks)
{
	struct check check = { .key = "proof:age", .status = HEALTH_PASS, .time = state->proven };
	if (state->proven == UNKNOWN_NUMBER) {
		check.status = HEALTH_FAIL;
		check.output =
		        state->proof_failed ? state->proof_failed : "nothing is proven yet: the first proof runs";
	} else {
		check.value = json_number(state->now < state->proven ? 0 : state->now - state->proven);
		check.unit = "s";
		if (is_stale(state->now, state->proven, state->stale_after)) {
			check.status = HEALTH_FAIL;
			check.output = arena_printf(checks->arena, "the last proof is stale%s%s",
			        state->proof_failed ? ": " : "", state->proof_failed ? state->proof_failed : "");
		} else if (state->proof_failed) {
			check.status = HEALTH_WARN;
			check.output = state->proof_failed;
		}
	}
	add(checks, check);
}

static void check_hardware(const struct health_state *state, struct checks *checks)
{
	const struct health_hardware *hardware = &state->hardware;
	struct check check = { .key = "hardware:active", .status = HEALTH_PASS, .time = state->proven };
	if (state->proven == UNKNOWN_NUMBER)
		return;
	check.component = hardware->encoder && *hardware->encoder ? hardware->encoder : NULL;
	check.value = json_tri(hardware->active);
	if (hardware->active != YES) {
		check.output = hardware->reason;
		/* nobody asked for hardware, and there is none: software is as wished */
		if (state->wanted == YES)
			check.status = hardware->active == NO ? HEALTH_FAIL : HEALTH_WARN;
		else if (state->wanted == UNKNOWN && hardware->here == YES)
			check.status = HEALTH_WARN;
		if (!hardware->engine || !*hardware->engine) {
			check.status = HEALTH_FAIL;
			check.output = arena_printf(checks->arena, "nothing encodes here, not even software: %s",
			        hardware->reason ? hardware->reason : "not known why");
		}
	}
	add(checks, check);
}

/* It worked when it was proven, and failed in earnest: for a day, or until a transcode has hardware to its end. */
static void check_transcodes(const struct health_state *state, struct checks *checks)
{
	enum { DAY_S = 24 * 3600 };
	const struct kept_failure *failure = state->fell_back;
	if (!failure || is_stale(state->now, failure->when, DAY_S))
		return;
	add(checks, (struct check){ .key = "transcode:fallback",
	                    .status = HEALTH_WARN,
	                    .time = failure->when,
	                    .output = failure->what });
}

static void check_sources(const struct health_state *state, struct checks *checks)
{
	for (size_t i = 0; i < state->n_sources; i++) {
		const struct health_source *source = &state->sources[i];
		if (source->absent)
			continue;
		struct check check = { .key = arena_printf(checks->arena, "%s:age", source->name),
			.status = HEALTH_PASS,
			.time = source->seen };
		if (source->seen != UNKNOWN_NUMBER) {
			check.value = json_number(state->now < source->seen ? 0 : state->now - source->seen);
			check.unit = "s";
		}
		if (is_stale(state->now, source->seen, source->stale_after)) {
			check.status = source->needed ? HEALTH_FAIL : HEALTH_WARN;
			check.output = source->why                      ? source->why
			               : source->seen == UNKNOWN_NUMBER ? "it has not answered yet"
			                                                : "it answers no more";
		}
		add(checks, check);
	}
}

/* A node that was there and does not open: whether anything that is wanted needs it, the next proof says. */
static void check_nodes(const struct health_state *state, struct checks *checks)
{
	for (size_t i = 0; state->readings && i < state->readings->n; i++) {
		const struct reading *reading = &state->readings->list[i];
		if (reading->metric != METRIC_NODE_UP)
			continue;
		bool opens = reading->value > 0;
		add(checks, (struct check){ .key = "node:opens",
		                    .component = reading->label[1],
		                    .status = opens || state->wanted == NO ? HEALTH_PASS : HEALTH_WARN,
		                    .value = json_tri(tri_of(opens)),
		                    .time = UNKNOWN_NUMBER,
		                    .output = opens ? NULL : "it is gone, or does not open" });
	}
}

json_t *health_document(const struct health_state *state, struct arena *arena, enum health_status *ret)
{
	const struct health_hardware *hardware = &state->hardware;
	struct checks checks = { .object = json_object(), .worst = HEALTH_PASS, .arena = arena };
	bool known = state->proven != UNKNOWN_NUMBER;
	check_proof(state, &checks);
	check_hardware(state, &checks);
	check_transcodes(state, &checks);
	check_sources(state, &checks);
	check_nodes(state, &checks);

	json_t *document = json_document("health"), *acceleration = json_object();
	json_put(document, "status", json_raw_text(health_status_name(checks.worst)));
	json_put(document, "version", json_raw_text(GPUFERRY_VERSION));
	json_put(document, "output", json_text(checks.output ? checks.output : NONE));
	json_put(acceleration, "wanted", json_tri(state->wanted));
	json_put(acceleration, "active", json_tri(known ? hardware->active : UNKNOWN));
	json_put(acceleration, "engine", json_text(known ? hardware->engine : NULL));
	json_put(acceleration, "rung",
	        !known || hardware->rung == RUNG_UNKNOWN ? json_null()
	        : hardware->rung == RUNG_NONE            ? json_text(NONE)
	                                                 : json_number(hardware->rung));
	json_put(acceleration, "since", json_text(known ? health_time(state->since, arena) : NULL));
	json_put(acceleration, "reason",
	        json_text(known                 ? hardware->reason
	                  : state->proof_failed ? state->proof_failed
	                                        : "nothing is proven yet: the first proof runs"));
	json_put(acceleration, "wanted_by", json_text(state->wanted_why));
	json_put(document, "hardware_acceleration", acceleration);
	json_put(document, "checks", checks.object);
	*ret = checks.worst;
	return document;
}
