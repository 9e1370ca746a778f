/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The plan as JSON and back, exactly; and its digest. Texts of a plan are UTF-8 (route.c shows what is not), so nothing
 * is lost on the way. A "none" stands for what is absent: no kind of step has that word as a value.
 */
#include <string.h>

#include "base/digest.h"
#include "plan/route.h"

/* ---- words ---- */

static const char *const undo_names[] = { [UNDO_UNKNOWN] = "unknown",
	[UNDO_EXACT] = "exact",
	[UNDO_AFTER_REBOOT] = "after-reboot",
	[UNDO_EQUIVALENT] = "equivalent",
	[UNDO_NONE] = "none" };

const char *plan_undo(enum undo undo)
{
	return undo_names[undo];
}

/* Sorted keys, no blanks: one text for one value. */
static const char *canonical(const json_t *document, struct arena *arena)
{
	char *text = json_dumps(document, JSON_SORT_KEYS | JSON_COMPACT);
	const char *copy = arena_strdup(arena, text ? text : "");
	free(text);
	return copy;
}

const char *plan_document_digest(const json_t *document, struct arena *arena)
{
	const char *text = canonical(document, arena);
	return digest_sha256((struct bytes){ text, strlen(text) }, arena);
}

/* ---- to JSON ---- */

static json_t *step_json(const struct step *step)
{
	json_t *object = json_object();
	json_put(object, "kind", json_raw_text(step->kind));
	json_put(object, "on", json_raw_text(step->on));
	json_put(object, "key", json_raw_text(step->key));
	json_put(object, "from", json_text(step->from));
	json_put(object, "to", json_text(step->to));
	json_put(object, "because", json_raw_text(step->because));
	json_put(object, "title", json_raw_text(step->title));
	json_put(object, "interrupts", json_text(step->interrupts));
	json_put(object, "mode", step->mode ? json_sprintf("%04o", step->mode) : json_null());
	json_put(object, "undo", json_raw_text(plan_undo(step->undo)));
	json_put(object, "needs_reboot", json_boolean(step->needs_reboot));
	json_put(object, "stops_guest", json_boolean(step->stops_guest));
	json_put(object, "temporary", json_boolean(step->temporary));
	return object;
}

static json_t *gate_json(const struct gate *gate)
{
	json_t *object = json_object();
	json_put(object, "rule", json_raw_text(gate->rule));
	json_put(object, "asks", json_raw_text(gate->asks));
	json_put(object, "why", json_raw_text(gate->why));
	return object;
}

static json_t *refusal_json(const struct refusal *refusal)
{
	json_t *object = json_object();
	json_put(object, "rule", json_raw_text(refusal->rule));
	json_put(object, "why", json_raw_text(refusal->why));
	json_put(object, "cure", json_raw_text(refusal->cure));
	json_put(object, "waivable", json_boolean(refusal->waivable));
	return object;
}

static json_t *warning_json(const struct warning *warning)
{
	json_t *object = json_object();
	json_put(object, "rule", json_raw_text(warning->rule));
	json_put(object, "why", json_raw_text(warning->why));
	return object;
}

static json_t *stop_json(const struct guest_stop *stop)
{
	json_t *object = json_object();
	json_put(object, "id", json_raw_text(stop->id));
	json_put(object, "why", json_raw_text(stop->why));
	return object;
}

static json_t *arrays_into(json_t *document, const struct plan *plan)
{
	json_t *steps = json_array(), *gates = json_array(), *refused = json_array(), *stops = json_array(),
	       *warnings = json_array(), *notes = json_array();
	for (size_t i = 0; i < plan->n_guest_stops; i++)
		json_add(stops, stop_json(&plan->guest_stops[i]));
	for (size_t i = 0; i < plan->n; i++)
		json_add(steps, step_json(&plan->steps[i]));
	for (size_t i = 0; i < plan->n_gates; i++)
		json_add(gates, gate_json(&plan->gates[i]));
	for (size_t i = 0; i < plan->n_refused; i++)
		json_add(refused, refusal_json(&plan->refused[i]));
	for (size_t i = 0; i < plan->n_warnings; i++)
		json_add(warnings, warning_json(&plan->warnings[i]));
	for (size_t i = 0; i < plan->notes.n; i++)
		json_add(notes, json_raw_text(plan->notes.word[i]));
	json_put(document, "guest_stops", stops);
	json_put(document, "steps", steps);
	json_put(document, "gates", gates);
	json_put(document, "refused", refused);
	json_put(document, "warnings", warnings);
	json_put(document, "notes", notes);
	return document;
}

json_t *plan_json(const struct plan *plan)
{
	json_t *document = json_document("plan");
	json_put(document, "gpu", json_raw_text(plan->gpu));
	json_put(document, "guest", json_raw_text(plan->guest));
	json_put(document, "facts_digest", json_raw_text(plan->facts_digest));
	json_put(document, "digest", json_raw_text(plan->digest));
	json_put(document, "reboots", json_integer(plan->reboots));
	json_put(document, "confirm_seconds", json_number(plan->confirm_seconds));
	json_put(document, "goal", json_raw_text(plan->goal));
	return arrays_into(document, plan);
}

/* Over what is done and said, but for the notes, which may tell what changes by the minute. */
const char *plan_own_digest(const struct plan *plan, struct arena *arena)
{
	struct plan bare = *plan;
	bare.digest = NULL;
	bare.notes.n = 0;
	json_t *document JSON_SCOPED = plan_json(&bare);
	return plan_document_digest(document, arena);
}

/* ---- from JSON ---- */

struct reader {
	const char *name, *where;
	struct arena *arena;
	struct err *err;
	bool failed;
};

static void fail(struct reader *reader, const char *key, const char *wanted)
{
	if (!reader->failed)
		err_set(reader->err, ERR_INPUT, "%s: %s.%s is not %s", reader->name, reader->where, key, wanted);
	reader->failed = true;
}

/* json_raw_text's: null is NULL. */
static const char *raw_at(struct reader *reader, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	if (!value || (!json_is_string(value) && !json_is_null(value)))
		fail(reader, key, "a text");
	return json_is_string(value) ? arena_strdup(reader->arena, json_string_value(value)) : NULL;
}

/* One that must be there. */
static const char *word_at(struct reader *reader, const json_t *object, const char *key)
{
	const char *text = raw_at(reader, object, key);
	if (!text)
		fail(reader, key, "a text");
	return text ? text : "";
}

/* json_text's: "none" is NONE. */
static const char *text_at(struct reader *reader, const json_t *object, const char *key)
{
	const char *text = raw_at(reader, object, key);
	return text && strcmp(text, "none") == 0 ? NONE : text;
}

static bool truth_at(struct reader *reader, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_boolean(value))
		fail(reader, key, "true or false");
	return json_is_true(value);
}

static int64_t number_at(struct reader *reader, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_integer(value) && !json_is_null(value))
		fail(reader, key, "a number");
	if (json_is_integer(value) && json_integer_value(value) < 0)
		fail(reader, key, "a number from 0 on");
	return json_is_integer(value) ? json_integer_value(value) : UNKNOWN_NUMBER;
}

static unsigned mode_at(struct reader *reader, const json_t *object)
{
	uint64_t mode = 0;
	const char *text = raw_at(reader, object, "mode");
	if (text && !text_number(text, 8, 07777, &mode))
		fail(reader, "mode", "an octal number");
	return (unsigned)mode;
}

static enum undo undo_at(struct reader *reader, const json_t *object)
{
	const char *text = word_at(reader, object, "undo");
	for (enum undo undo = UNDO_UNKNOWN; undo <= UNDO_NONE; undo++)
		if (strcmp(text, undo_names[undo]) == 0)
			return undo;
	fail(reader, "undo", "a way of undoing");
	return UNDO_UNKNOWN;
}

static void read_step(struct reader *reader, const json_t *object, struct plan *plan)
{
	struct step step = { .kind = word_at(reader, object, "kind"),
		.on = word_at(reader, object, "on"),
		.key = word_at(reader, object, "key"),
		.from = text_at(reader, object, "from"),
		.to = text_at(reader, object, "to"),
		.because = word_at(reader, object, "because"),
		.title = word_at(reader, object, "title"),
		.interrupts = text_at(reader, object, "interrupts"),
		.mode = mode_at(reader, object),
		.undo = undo_at(reader, object),
		.needs_reboot = truth_at(reader, object, "needs_reboot"),
		.stops_guest = truth_at(reader, object, "stops_guest"),
		.temporary = truth_at(reader, object, "temporary") };
	if (!plan_kind(step.kind))
		fail(reader, "kind", "a kind of step");
	if (!step.to)
		fail(reader, "to", "an end state");
	*arena_push(reader->arena, plan->steps, plan->n) = step;
}

static void read_gate(struct reader *reader, const json_t *object, struct plan *plan)
{
	*arena_push(reader->arena, plan->gates, plan->n_gates) = (struct gate){ word_at(reader, object, "rule"),
		word_at(reader, object, "asks"), word_at(reader, object, "why") };
}

static void read_refusal(struct reader *reader, const json_t *object, struct plan *plan)
{
	*arena_push(reader->arena, plan->refused, plan->n_refused) = (struct refusal){ word_at(reader, object, "rule"),
		word_at(reader, object, "why"), raw_at(reader, object, "cure"), truth_at(reader, object, "waivable") };
}

static void read_warning(struct reader *reader, const json_t *object, struct plan *plan)
{
	*arena_push(reader->arena, plan->warnings, plan->n_warnings) =
	        (struct warning){ word_at(reader, object, "rule"), word_at(reader, object, "why") };
}

static void read_stop(struct reader *reader, const json_t *object, struct plan *plan)
{
	*arena_push(reader->arena, plan->guest_stops, plan->n_guest_stops) =
	        (struct guest_stop){ word_at(reader, object, "id"), word_at(reader, object, "why") };
}

static const struct {
	const char *key;
	void (*read)(struct reader *reader, const json_t *object, struct plan *plan);
} arrays[] = { { "steps", read_step }, { "gates", read_gate }, { "refused", read_refusal },
	{ "guest_stops", read_stop }, { "warnings", read_warning } };

enum { ITEMS_MAX = 10000 };

static void read_arrays(struct reader *reader, const json_t *document, struct plan *plan)
{
	for (size_t a = 0; a < sizeof arrays / sizeof *arrays; a++) {
		const json_t *array = json_object_get(document, arrays[a].key);
		size_t n = json_array_size(array);
		if (!json_is_array(array) || n > ITEMS_MAX)
			fail(reader, arrays[a].key, "a list");
		for (size_t i = 0; i < n && !reader->failed; i++) {
			reader->where = arena_printf(reader->arena, "%s[%zu]", arrays[a].key, i);
			arrays[a].read(reader, json_array_get(array, i), plan);
		}
		reader->where = "plan";
	}
	const json_t *notes = json_object_get(document, "notes");
	if (!json_is_array(notes))
		fail(reader, "notes", "a list");
	for (size_t i = 0; i < json_array_size(notes) && !reader->failed; i++) {
		const char *note = json_string_value(json_array_get(notes, i));
		if (note)
			*arena_push(reader->arena, plan->notes.word, plan->notes.n) = arena_strdup(reader->arena, note);
		else
			fail(reader, "notes", "a list of texts");
	}
}

bool plan_parse(struct bytes text, const char *name, struct arena *arena, struct err *err, struct plan *ret)
{
	json_t *document JSON_SCOPED = NULL;
	struct reader reader = { .name = name, .where = "plan", .arena = arena, .err = err };
	struct plan plan = { 0 };
	if (!json_parse(text, name, err, &document))
		return false;
	const char *schema = json_string_at(document, "schema");
	if (!schema || strcmp(schema, "gpuferry.plan/1") != 0)
		return err_set(err, ERR_INPUT, "%s is no plan", name);
	plan.gpu = raw_at(&reader, document, "gpu");
	plan.guest = raw_at(&reader, document, "guest");
	plan.facts_digest = raw_at(&reader, document, "facts_digest");
	plan.digest = raw_at(&reader, document, "digest");
	plan.goal = raw_at(&reader, document, "goal");
	plan.confirm_seconds = number_at(&reader, document, "confirm_seconds");
	int64_t reboots = number_at(&reader, document, "reboots");
	if (reboots < 0 || reboots > 1)
		fail(&reader, "reboots", "0 or 1");
	plan.reboots = reboots > 0;
	read_arrays(&reader, document, &plan);
	if (reader.failed)
		return err_false(false);
	*ret = plan;
	return true;
}
