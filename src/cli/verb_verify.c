/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Asks every link of the chain; the first broken one first.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "rules/rules.h"

static const struct {
	const char *word;
	enum colour colour;
} verdicts[] = {
	[VERDICT_UNKNOWN] = { "unknown", YELLOW }, [VERDICT_OK] = { "ok", GREEN },	     [VERDICT_WARN] = { "warn", YELLOW },
	[VERDICT_BROKEN] = { "broken", RED },	    [VERDICT_SKIPPED] = { "skipped", DIM },
};

static void show_finding(const struct app *app, const struct finding *finding, struct arena *arena)
{
	printf("%s%s%s  %s%s%s%s%s\n", out_colour(app, verdicts[finding->verdict].colour), verdicts[finding->verdict].word,
		out_plain(app), out_colour(app, BOLD), finding->rule->id, out_plain(app), finding->about ? "  " : "",
		finding->about ? text_shown(arena, finding->about) : "");
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

/* The whole chain as a tree: what a finding is about, then its rules in order. */
static void show_table(const struct app *app, const struct report *report)
{
	static const char *const columns[] = { "LINK/", "VERDICT", "ASKS_", NULL };
	putchar('\n');
	struct libscols_table *table = out_table(app, columns);
	struct libscols_line *parent = NULL;
	const char *about = NULL;
	for (size_t i = 0; i < report->n; i++) {
		const struct finding *finding = &report->findings[i];
		const char *now = finding->about ? finding->about : "node";
		if (!about || strcmp(about, now) != 0) {
			parent = out_row(table, NULL);
			out_cell(parent, 0, now, app, BOLD);
			about = now;
		}
		struct libscols_line *line = out_row(table, parent);
		out_cell(line, 0, finding->rule->id, app, PLAIN);
		out_cell(line, 1, verdicts[finding->verdict].word, app, verdicts[finding->verdict].colour);
		out_cell(line, 2, finding->rule->asks, app, finding->verdict == VERDICT_SKIPPED ? DIM : PLAIN);
	}
	out_table_end(table);
}

static void show_summary(const struct app *app, const struct report *report, const struct goal *goal)
{
	size_t count[5] = {0};
	for (size_t i = 0; i < report->n; i++)
		count[report->findings[i].verdict]++;
	printf("%s%s%s: %zu ok, %zu warn, %zu broken, %zu unknown, %zu skipped\n",
		out_colour(app, verdicts[report->verdict].colour), verdicts[report->verdict].word, out_plain(app),
		count[VERDICT_OK], count[VERDICT_WARN], count[VERDICT_BROKEN], count[VERDICT_UNKNOWN], count[VERDICT_SKIPPED]);
	if (goal_empty(goal))
		puts("(no goal given: the node's own rules and those of guests that have a GPU; see gpuferry verify --help)");
}

/* The order for a person: what is broken, in the chain's order; then what is unknown; then warnings. */
static void show(const struct app *app, const struct report *report, const struct goal *goal, struct arena *arena)
{
	static const enum verdict order[] = { VERDICT_BROKEN, VERDICT_UNKNOWN, VERDICT_WARN };
	for (size_t v = 0; v < sizeof order / sizeof *order; v++)
		for (size_t i = 0; i < report->n; i++)
			if (report->findings[i].verdict == order[v])
				show_finding(app, &report->findings[i], arena);
	if (!app->quiet)
		show_table(app, report);
	if (!app->quiet)
		putchar('\n');
	show_summary(app, report, goal);
}

static int verify(struct app *app, struct world *world, const char *label, void *data, struct arena *arena)
{
	const struct goal *goal = data;
	static const int codes[] = {
		[VERDICT_OK] = EXIT_AS_WISHED, [VERDICT_WARN] = EXIT_AS_WISHED, [VERDICT_SKIPPED] = EXIT_AS_WISHED,
		[VERDICT_BROKEN] = EXIT_NOT_AS_WISHED, [VERDICT_UNKNOWN] = EXIT_UNMEASURED,
	};
	struct err err = {0};
	struct target target;
	bool inside = place_goal_target(goal, arena, &err, &target);
	if (err.kind)
		return out_error(app, &err);
	const struct facts_want want = { .depth = FACTS_ALL, .also = inside ? &target : NULL };
	const struct facts *facts = facts_gather(world, &want, arena);
	struct report report;
	rules_run(facts, goal, arena, &report);
	if (app->json)
		out_json(app, rules_json(&report, facts), label);
	else
		show(app, &report, goal, arena);
	return codes[report.verdict];
}

int verb_verify(struct app *app, int argc, char **argv)
{
	struct err err = {0};
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
