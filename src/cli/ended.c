/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How a run ended: as a word, as an exit code, as a document; and whether it was for the better.
 */
#include <string.h>

#include "cli/change.h"

static const struct {
	const char *word;
	int code;
} ends[] = {
	[EXEC_UNKNOWN] = { NULL, EXIT_FAILED },
	[EXEC_DONE] = { "done", EXIT_AS_WISHED },
	[EXEC_NOTHING] = { "nothing", EXIT_AS_WISHED },
	[EXEC_REBOOT] = { "reboot", EXIT_REBOOT },
	[EXEC_CONFIRM] = { "confirm", EXIT_AS_WISHED },
	[EXEC_REVERTED] = { "reverted", EXIT_FAILED },
	[EXEC_GATE] = { "gate", EXIT_NOT_AS_WISHED },
	[EXEC_LEFT] = { "left", EXIT_FAILED },
	[EXEC_STUCK] = { "stuck", EXIT_REBOOT },
	[EXEC_REFUSED] = { "refused", EXIT_FAILED },
	[EXEC_FAILED] = { "failed", EXIT_FAILED },
};

const char *ended_word(enum exec_end end)
{
	return ends[end].word;
}

int ended_code(const struct ended *ended)
{
	return ended->err && ended->err->kind == ERR_LOCKED ? EXIT_LOCKED : ends[ended->end].code;
}

void ended_count(struct world *node, struct arena *arena, struct ended *ended)
{
	struct err ignored = { 0 };
	struct runs runs = { 0 };
	if (!ended->run || !*ended->run || !exec_runs(node, arena, &ignored, &runs))
		return;
	for (size_t i = 0; i < runs.n; i++)
		if (strcmp(runs.run[i].id, ended->run) == 0) {
			ended->steps = runs.run[i].steps;
			ended->steps_done = runs.run[i].done;
		}
}

static json_t *end_document(const char *verb, const struct ended *ended)
{
	json_t *document = json_document(verb);
	bool told = ended->err && ended->err->kind;
	json_put(document, "end", json_text(ended_word(ended->end)));
	json_put(document, "run", json_text(ended->run ? ended->run : NONE));
	json_put(document, "why", json_raw_text(told ? ended->err->text : NULL));
	json_put(document, "cure", json_raw_text(told && ended->err->hint[0] ? ended->err->hint : NULL));
	return document;
}

json_t *apply_json(const struct ended *ended)
{
	json_t *document = end_document("apply", ended);
	json_put(document, "steps", json_integer((json_int_t)ended->steps));
	json_put(document, "steps_done", json_integer((json_int_t)ended->steps_done));
	json_put(document, "reboots", json_integer(ended->reboots));
	json_put(document, "plan", ended->plan ? plan_json(ended->plan) : json_null());
	json_put(document, "after", ended->report ? rules_json(ended->report, ended->facts) : json_null());
	return document;
}

json_t *rollback_json(const struct ended *ended)
{
	json_t *document = end_document("rollback", ended), *left = json_array();
	for (size_t i = 0; i < ended->left.n; i++)
		json_add(left, json_raw_text(ended->left.word[i]));
	json_put(document, "left", left);
	return document;
}

/* ---- was it for the better ---------------------------------------------------------------- */

static bool was_broken(const struct report *report, const struct finding *finding)
{
	const char *about = finding->about ? finding->about : "";
	for (size_t i = 0; i < report->n; i++) {
		const struct finding *before = &report->findings[i];
		if (before->rule == finding->rule && before->verdict == VERDICT_BROKEN &&
		        strcmp(before->about ? before->about : "", about) == 0)
			return true;
	}
	return false;
}

static bool was_meant(const struct plan *plan, const struct finding *finding)
{
	for (size_t i = 0; i < plan->n; i++)
		if (plan->steps[i].because && strcmp(plan->steps[i].because, finding->rule->id) == 0)
			return true;
	return false;
}

const struct finding *change_missed(const struct plan *plan, const struct report *before, const struct report *after)
{
	for (size_t i = 0; i < after->n; i++) {
		const struct finding *finding = &after->findings[i];
		if (finding->verdict != VERDICT_BROKEN || finding->rule->about == ABOUT_INSIDE)
			continue;
		if (was_meant(plan, finding) || (before && !was_broken(before, finding)))
			return finding;
	}
	return NULL;
}
