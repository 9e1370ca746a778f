/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Asks every link of the chain; the first broken one first.
 */
#include <stdio.h>
#include <string.h>

#include "cli/change.h"

static const struct {
	const char *word;
	enum colour colour;
} verdicts[] = {
	[VERDICT_UNKNOWN] = { "unknown", YELLOW },
	[VERDICT_OK] = { "ok", GREEN },
	[VERDICT_WARN] = { "warn", YELLOW },
	[VERDICT_BROKEN] = { "broken", RED },
	[VERDICT_SKIPPED] = { "skipped", DIM },
};

static void show_finding(const struct app *app, const struct finding *finding, struct arena *arena)
{
	printf("%s%s%s  %s%s%s%s%s\n", out_colour(app, verdicts[finding->verdict].colour),
	        verdicts[finding->verdict].word, out_plain(app), out_colour(app, BOLD), finding->rule->id,
	        out_plain(app), finding->about ? "  " : "", finding->about ? text_shown(arena, finding->about) : "");
	out_folded(app, text_shown(arena, finding->why ? finding->why : finding->rule->asks), 4);
	if (finding->cure) {
		printf("    %scure:%s\n", out_colour(app, CYAN), out_plain(app));
		/* a cure is steps, one a line */
		size_t cursor = 0;
		struct bytes line, cure = { finding->cure, strlen(finding->cure) };
		while (text_line(cure, &cursor, &line))
			out_folded(app, text_printable(arena, line), 6);
	}
}

/* The worst comes first here. */
static const enum verdict order[] = { VERDICT_BROKEN, VERDICT_UNKNOWN, VERDICT_WARN, VERDICT_OK, VERDICT_SKIPPED };
enum { N_ORDER = sizeof order / sizeof *order };

static const char *about(const struct finding *finding)
{
	return finding->about ? finding->about : "node";
}

/* How many findings from `first` on are about the same. */
static size_t run_of(const struct report *report, size_t first)
{
	size_t n = 1;
	while (first + n < report->n &&
	        strcmp(about(&report->findings[first]), about(&report->findings[first + n])) == 0)
		n++;
	return n;
}

/* "2 broken, 14 ok", the worst first; what is not there is left out. */
static const char *counts(const struct finding *findings, size_t n, struct arena *arena, enum verdict *ret)
{
	size_t count[N_ORDER] = { 0 };
	const char *text = "";
	for (size_t i = 0; i < n; i++)
		count[findings[i].verdict]++;
	for (size_t i = N_ORDER; i-- > 0;)
		*ret = count[order[i]] ? order[i] : *ret;
	for (size_t i = 0; i < N_ORDER; i++)
		if (count[order[i]])
			text = arena_printf(
			        arena, "%s%s%zu %s", text, *text ? ", " : "", count[order[i]], verdicts[order[i]].word);
	return text;
}

/* The chain as a tree: a line for each thing asked about, and under it what is not as wished; with --all every link. */
static void show_chain(const struct app *app, const struct report *report, struct arena *arena)
{
	static const char *const columns[] = { "CHAIN/", "VERDICT", "ASKS_", NULL };
	struct libscols_table *table = out_table(app, columns);
	for (size_t first = 0, n; first < report->n; first += n) {
		n = run_of(report, first);
		enum verdict worst = VERDICT_SKIPPED;
		struct libscols_line *parent = out_row(table, NULL);
		out_cell(parent, 0, about(&report->findings[first]), app, BOLD);
		out_cell(parent, 2, counts(report->findings + first, n, arena, &worst), app, DIM);
		out_cell(parent, 1, verdicts[worst].word, app, verdicts[worst].colour);
		for (size_t i = first; i < first + n; i++) {
			const struct finding *finding = &report->findings[i];
			if (!app->all && (finding->verdict == VERDICT_OK || finding->verdict == VERDICT_SKIPPED))
				continue;
			struct libscols_line *line = out_row(table, parent);
			out_cell(line, 0, finding->rule->id, app, PLAIN);
			out_cell(line, 1, verdicts[finding->verdict].word, app, verdicts[finding->verdict].colour);
			out_cell(line, 2, finding->rule->asks, app, finding->verdict == VERDICT_SKIPPED ? DIM : PLAIN);
		}
	}
	out_table_end(table);
	putchar('\n');
}

static void show_summary(const struct app *app, const struct report *report, const struct goal *goal)
{
	size_t count[N_ORDER] = { 0 };
	for (size_t i = 0; i < report->n; i++)
		count[report->findings[i].verdict]++;
	printf("%s%s%s: %zu ok, %zu warn, %zu broken, %zu unknown, %zu skipped\n",
	        out_colour(app, verdicts[report->verdict].colour), verdicts[report->verdict].word, out_plain(app),
	        count[VERDICT_OK], count[VERDICT_WARN], count[VERDICT_BROKEN], count[VERDICT_UNKNOWN],
	        count[VERDICT_SKIPPED]);
	if (goal_empty(goal))
		out_folded(app,
		        "(no goal given: the node was asked, and the guests that have a GPU; to ask for one guest: "
		        "--gpu nvidia "
		        "--into vm/100)",
		        0);
	else if (goal->into == GUEST_UNKNOWN && !goal->into_new)
		out_folded(app, "(the goal names no guest: no guest was asked; add --into vm/ID or --into ct/ID)", 0);
}

/* The order for a person: what is broken, in the chain's order; then what is unknown; then warnings. */
void show_report(const struct app *app, const struct report *report, const struct goal *goal, struct arena *arena)
{
	for (size_t v = 0; order[v] != VERDICT_OK; v++)
		for (size_t i = 0; i < report->n; i++)
			if (report->findings[i].verdict == order[v])
				show_finding(app, &report->findings[i], arena);
	bool told = false;
	for (size_t i = 0; i < report->n; i++)
		told |= report->findings[i].verdict != VERDICT_OK && report->findings[i].verdict != VERDICT_SKIPPED;
	bool chain = !app->quiet || app->all;
	if (chain && told)
		putchar('\n');
	if (chain)
		show_chain(app, report, arena);
	show_summary(app, report, goal);
}

void show_verdict(const struct app *app, const struct report *report, struct arena *arena)
{
	size_t count[N_ORDER] = { 0 };
	for (size_t i = 0; i < report->n; i++)
		count[report->findings[i].verdict]++;
	printf("%s%s%s: %zu ok, %zu warn, %zu broken, %zu unknown, %zu skipped\n",
	        out_colour(app, verdicts[report->verdict].colour), verdicts[report->verdict].word, out_plain(app),
	        count[VERDICT_OK], count[VERDICT_WARN], count[VERDICT_BROKEN], count[VERDICT_UNKNOWN],
	        count[VERDICT_SKIPPED]);
	for (size_t i = 0; i < report->n; i++)
		if (report->findings[i].verdict == VERDICT_BROKEN || report->findings[i].verdict == VERDICT_UNKNOWN)
			out_folded(app,
			        arena_printf(arena, "%s %s: %s", verdicts[report->findings[i].verdict].word,
			                report->findings[i].rule->id,
			                text_shown(arena, report->findings[i].why ? report->findings[i].why
			                                                          : report->findings[i].rule->asks)),
			        2);
}

static int verify(struct app *app, struct world *world, const char *label, void *data, struct arena *arena)
{
	const struct goal *goal = data;
	static const int codes[] = {
		[VERDICT_OK] = EXIT_AS_WISHED,
		[VERDICT_WARN] = EXIT_AS_WISHED,
		[VERDICT_SKIPPED] = EXIT_AS_WISHED,
		[VERDICT_BROKEN] = EXIT_NOT_AS_WISHED,
		[VERDICT_UNKNOWN] = EXIT_UNMEASURED,
	};
	struct err err = { 0 };
	const struct facts *facts;
	struct report report;
	if (!place_facts(world, goal, arena, &err, &facts))
		return out_error(app, &err);
	rules_run(facts, goal, arena, &report);
	if (app->json)
		out_json(app, rules_json(&report, facts), label);
	else
		show_report(app, &report, goal, arena);
	return codes[report.verdict];
}

int verb_verify(struct app *app, int argc, char **argv)
{
	struct err err = { 0 };
	struct goal goal;
	if (argc > 1) {
		err_set(&err, ERR_USAGE, "verify: %s: one goal at a time", text_shown(app->arena, argv[1]));
		return out_error(app, &err);
	}
	if (!place_goal(app, argc ? argv[0] : NULL, &err, &goal))
		return out_error(app, &err);
	int code = place_each(app, verify, &goal);
	pci_names_release();
	return code;
}
