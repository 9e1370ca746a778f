/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What was proven, for people and as JSON: a branch for each way and device, what has the same answer on one line.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "media/encode.h"

static const char *kind_of(const struct proof *proof)
{
	return proof->kind == PROOF_ENCODE ? "encode" : proof->kind == PROOF_DECODE ? "decode" : proof->use;
}

/* What a household asks for: a picture of Full HD, in each codec that software can make too. */
static const struct encode_job jobs[] = {
	{ "h264", 8, 1920, 1080, false, UNKNOWN_NUMBER, UNKNOWN_NUMBER },
	{ "hevc", 8, 1920, 1080, false, UNKNOWN_NUMBER, UNKNOWN_NUMBER },
	{ "hevc", 10, 1920, 1080, false, UNKNOWN_NUMBER, UNKNOWN_NUMBER },
	{ "av1", 8, 1920, 1080, false, UNKNOWN_NUMBER, UNKNOWN_NUMBER },
	{ "av1", 10, 1920, 1080, false, UNKNOWN_NUMBER, UNKNOWN_NUMBER },
};

static struct encode_wish wish_of(const struct app *app)
{
	return (struct encode_wish){ app->goal.prefer, app->goal.veto };
}

/* ---- people ------------------------------------------------------------------------- */

static enum colour colour_of(const struct proof *proof)
{
	return proof->works == YES                                             ? GREEN
	       : strcmp(proof->reason, failure_kind_name(FAILURE_BROKEN)) == 0 ? RED
	       : proof->works == UNKNOWN                                       ? YELLOW
	                                                                       : PLAIN;
}

static const char *rung_text(int rung, struct arena *arena)
{
	return rung == RUNG_UNKNOWN ? "?" : rung == RUNG_NONE ? "none" : arena_printf(arena, "%d", rung);
}

static const char *why_text(const struct proof *proof, bool all, struct arena *arena)
{
	const char *text = proof->why ? proof->why : "";
	if (proof->works == YES && proof->rung == RUNG_ENGINE)
		text = arena_printf(arena, "works, its engine %s was busy", proof->engine ? proof->engine : "");
	else if (proof->works == YES)
		text = *text ? arena_printf(arena, "works: %s", text) : "works";
	if (proof->options && *proof->options)
		text = arena_printf(arena, "%s (with %s)", text, proof->options);
	if (all && proof->ms != UNKNOWN_NUMBER)
		text = arena_printf(arena, "%s; %lld ms", text, (long long)proof->ms);
	if (all && proof->psnr != UNKNOWN_NUMBER)
		text = arena_printf(arena, "%s, PSNR %.1f dB", text, (double)proof->psnr / 10);
	return text;
}

static bool same_text(const char *left, const char *right)
{
	return left == right || (left && right && strcmp(left, right) == 0);
}

static bool same_place(const struct proof *left, const struct proof *right)
{
	return same_text(left->way, right->way) && same_text(left->device, right->device);
}

static bool same_answer(const struct proof *left, const struct proof *right)
{
	return same_text(left->use, right->use) && left->works == right->works && left->rung == right->rung &&
	       same_text(left->why, right->why) && same_text(left->engine, right->engine) &&
	       same_text(left->options, right->options);
}

/* about: what the answer is for, put before it; "": for all. */
static struct libscols_line *row(const struct app *app, struct libscols_table *table, struct libscols_line *parent,
        const char *name, const char *about, const struct proof *answer, struct arena *arena)
{
	struct libscols_line *line = out_row(table, parent);
	out_cell(line, 0, name, app, parent ? PLAIN : BOLD);
	if (!answer)
		return line;
	out_cell(line, 1, rung_text(answer->rung, arena), app, PLAIN);
	out_cell(line, 2, arena_printf(arena, "%s%s%s", about, *about ? ": " : "", why_text(answer, app->all, arena)),
	        app, colour_of(answer));
	if (answer->cure && *answer->cure) {
		struct libscols_line *cure = out_row(table, line);
		out_cell(cure, 0, "cure", app, PLAIN);
		out_cell(cure, 2, answer->cure, app, PLAIN);
	}
	return line;
}

struct group {
	const struct proof **proof; /* listed ones of one way and device */
	size_t n;
};

static struct group group_of(const struct proofs *proofs, const struct proof *first, struct arena *arena)
{
	struct group group = { 0 };
	for (size_t i = 0; i < proofs->n; i++)
		if (proofs->list[i].listed == YES && same_place(&proofs->list[i], first))
			*arena_push(arena, group.proof, group.n) = &proofs->list[i];
	return group;
}

/* "h264 hevc10": those of one kind with the answer of `first`. */
static const char *joined(const struct group *group, const struct proof *first, struct arena *arena)
{
	const char *text = "";
	for (size_t i = 0; i < group->n; i++) {
		const struct proof *proof = group->proof[i];
		if (proof->kind == first->kind && same_answer(proof, first))
			text = arena_printf(arena, "%s%s%s", text, *text ? " " : "",
			        *proof->codec ? encode_codec_name(proof->codec, proof->bits, arena)
			                      : arena_printf(arena, "%u", proof->bits));
	}
	return first->kind == PROOF_FILTER ? arena_printf(arena, "%s bits", text) : text;
}

static void show_group(
        const struct app *app, const struct group *group, struct libscols_table *table, struct arena *arena)
{
	const struct proof *head = group->proof[0];
	const char *name = *head->device ? arena_printf(arena, "%s %s", head->way, head->device) : head->way;
	bool one = head->works != YES && !app->all;
	for (size_t i = 0; i < group->n; i++)
		one &= same_answer(head, group->proof[i]);
	struct libscols_line *parent = row(app, table, NULL, name, "", one ? head : NULL, arena);
	for (size_t i = 0; i < group->n && !one; i++) {
		const struct proof *proof = group->proof[i];
		bool told = false;
		for (size_t j = 0; j < i; j++)
			told |= group->proof[j]->kind == proof->kind && same_answer(group->proof[j], proof);
		if (app->all)
			row(app, table, parent, kind_of(proof),
			        arena_printf(arena, "%s, %u bits", proof->name, proof->bits), proof, arena);
		else if (!told)
			row(app, table, parent, kind_of(proof), joined(group, proof, arena), proof, arena);
	}
}

static void show_unlisted(const struct app *app, const struct proofs *proofs, struct arena *arena)
{
	const char *names = "";
	for (size_t i = 0; i < proofs->n; i++) {
		const struct proof *proof = &proofs->list[i];
		if (proof->kind == PROOF_ENCODE && proof->listed == NO && !text_has_word(names, proof->name, " "))
			names = arena_printf(arena, "%s%s%s", names, *names ? " " : "", proof->name);
	}
	if (*names) {
		printf("\nnot in this ffmpeg:\n");
		out_folded(app, text_shown(arena, names), 2);
	}
}

static void show_choice(const struct app *app, const struct proofs *proofs, struct arena *arena)
{
	static const char *const columns[] = { "FOR/", "ENCODER", "WHY_", NULL };
	struct libscols_table *table = out_table(app, columns);
	const struct encode_wish wish = wish_of(app);
	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
		struct encode_choice choice = encode_choose(proofs, &jobs[i], &wish, arena);
		struct libscols_line *line = out_row(table, NULL);
		out_cell(line, 0, encode_codec_name(jobs[i].codec, jobs[i].bits, arena), app, BOLD);
		out_cell(line, 1, choice.best ? choice.best->name : "none", app, choice.best ? GREEN : RED);
		out_cell(line, 2, choice.why, app, PLAIN);
		for (size_t j = 0; app->all && j < choice.n_passed; j++) {
			const struct encode_passed *passed = &choice.passed[j];
			struct libscols_line *other = out_row(table, line);
			out_cell(other, 0, "not", app, PLAIN);
			out_cell(other, 1, passed->proof->name, app, PLAIN);
			out_cell(other, 2, passed->why, app, PLAIN);
		}
	}
	putchar('\n');
	out_table_end(table);
}

void show_proofs(const struct app *app, const struct proofs *proofs, struct arena *arena)
{
	static const char *const columns[] = { "PROVEN/", "RUNG>", "WHY_", NULL };
	printf("\n%sffmpeg%s %s, %s (%s)\n\n", out_colour(app, BOLD), out_plain(app),
	        text_shown(arena, proofs->version ? proofs->version : "?"), text_shown(arena, proofs->ffmpeg),
	        proofs->kept ? "kept from before: --fresh proves anew"
	                     : arena_printf(arena, "proven in %lld.%lld s", (long long)proofs->ms / 1000,
	                               (long long)proofs->ms / 100 % 10));
	struct libscols_table *table = out_table(app, columns);
	for (size_t i = 0; i < proofs->n; i++) {
		bool told = false;
		for (size_t j = 0; j < i; j++)
			told |= same_place(&proofs->list[j], &proofs->list[i]);
		struct group group = { 0 };
		if (!told)
			group = group_of(proofs, &proofs->list[i], arena);
		if (group.n)
			show_group(app, &group, table, arena);
	}
	out_table_end(table);
	if (!app->quiet)
		show_unlisted(app, proofs, arena);
	show_choice(app, proofs, arena);
}

/* ---- JSON ---------------------------------------------------------------------------- */

json_t *show_passed_json(const struct encode_choice *choice)
{
	json_t *passed = json_array();
	for (size_t i = 0; i < choice->n_passed; i++) {
		json_t *other = json_object();
		json_put(other, "encoder", json_text(choice->passed[i].proof->name));
		json_put(other, "way", json_text(choice->passed[i].proof->way));
		json_put(other, "device", json_text(choice->passed[i].proof->device));
		json_put(other, "why", json_raw_text(choice->passed[i].why));
		json_add(passed, other);
	}
	return passed;
}

static json_t *choice_json(const struct encode_job *job, const struct encode_choice *choice)
{
	json_t *object = json_object();
	json_put(object, "codec", json_text(job->codec));
	json_put(object, "bits", json_number(job->bits));
	json_put(object, "encoder", json_text(choice->best ? choice->best->name : NONE));
	json_put(object, "way", json_text(choice->best ? choice->best->way : NONE));
	json_put(object, "device", json_text(choice->best ? choice->best->device : NONE));
	json_put(object, "why", json_raw_text(choice->why));
	json_put(object, "passed_over", show_passed_json(choice));
	return object;
}

void show_proofs_json(const struct app *app, const struct proofs *proofs, json_t *document, struct arena *arena)
{
	json_t *choices = json_array();
	const struct encode_wish wish = wish_of(app);
	proofs_put(document, proofs);
	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
		struct encode_choice choice = encode_choose(proofs, &jobs[i], &wish, arena);
		json_add(choices, choice_json(&jobs[i], &choice));
	}
	json_put(document, "choice", choices);
}
