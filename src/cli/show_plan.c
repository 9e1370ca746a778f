/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A plan for people: what is refused first, then the steps, what they interrupt, and the way back.
 */
#include <stdio.h>
#include <string.h>

#include "cli/change.h"

enum { LINES_SHOWN = 8, DIGEST_SHOWN = 12 };

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

const char *plan_headline(const struct plan *plan, struct arena *arena)
{
	const char *reboots = plan->reboots == 0   ? "no reboot"
	                      : plan->reboots == 1 ? "one reboot"
	                                           : arena_printf(arena, "%u reboots", plan->reboots);
	const char *stops = "";
	for (size_t i = 0; i < plan->n_guest_stops; i++)
		stops = arena_printf(arena, "%s%s %s", stops, i ? "," : "", plan->guest_stops[i].id);
	return arena_printf(arena, "%s -> %s: %zu step%s, %s, %s%s", plan->gpu ? plan->gpu : "GPU unknown",
	        plan->guest ? plan->guest : "guest unknown", plan->n, plural(plan->n), reboots,
	        *stops ? "stops" : "no guest stops", stops);
}

static void label(const struct app *app, const char *word, enum colour colour)
{
	printf("     %s%s:%s", out_colour(app, colour), word, out_plain(app));
}

/* ---- from and to, by kind ---------------------------------------------------------------- */

static const char *or_none(const char *text)
{
	return !text ? "unknown" : *text ? text : "none";
}

static void show_from_to(const struct app *app, const struct step *step, struct arena *arena)
{
	out_folded(app,
	        text_shown(arena, arena_printf(arena, "%s %s: %s -> %s", step->on, step->key, or_none(step->from),
	                                  or_none(step->to))),
	        5);
}

static void show_content(const struct app *app, struct bytes content, struct arena *arena)
{
	size_t cursor = 0, lines = 0, hidden = 0;
	struct bytes line;
	while (text_line(content, &cursor, &line)) {
		if (!line.size && (app->all || lines < LINES_SHOWN))
			putchar('\n');
		else if (app->all || lines < LINES_SHOWN)
			printf("       %s%s%s\n", out_colour(app, DIM), text_printable(arena, line), out_plain(app));
		else
			hidden++;
		lines++;
	}
	if (hidden)
		printf("       and %zu more line%s (--all shows them)\n", hidden, plural(hidden));
}

static void show_file(const struct app *app, const struct step *step, struct arena *arena)
{
	bool gone = step->to && !*step->to;
	const char *from = !step->from    ? "written; what stands there is not known"
	                   : !*step->from ? "new"
	                                  : "in place of what stands there";
	out_folded(app,
	        text_shown(arena, arena_printf(arena, "%s %s: %s", step->on, step->key, gone ? "removed" : from)), 5);
	if (!gone && step->to && (!step->temporary || app->all))
		show_content(app, (struct bytes){ step->to, strlen(step->to) }, arena);
}

/* The words of one line that the other lacks. */
static const char *words_only_in(const char *line, const char *other, struct arena *arena)
{
	const char *only = "";
	struct words words = text_split(arena, line, " ");
	for (size_t i = 0; i < words.n; i++)
		if (!text_has_word(other, words.word[i], " "))
			only = arena_printf(arena, "%s%s%s", only, *only ? " " : "", words.word[i]);
	return only;
}

static void show_words(const struct app *app, const struct step *step, struct arena *arena)
{
	const char *from = step->from ? step->from : "", *to = step->to ? step->to : "";
	const char *gained = words_only_in(to, from, arena), *lost = "";
	struct words gone = text_split(arena, words_only_in(from, to, arena), " ");
	for (size_t i = 0; i < gone.n; i++) /* what GRUB puts in front by itself is not written down */
		if (!text_starts(gone.word[i], "root=") && strcmp(gone.word[i], "ro") != 0)
			lost = arena_printf(arena, "%s%s%s", lost, *lost ? " " : "", gone.word[i]);
	const char *text = !step->from ? arena_printf(arena, "is written: %s", to)
	                               : arena_printf(arena, "%s%s%s%s%s", *gained ? "gains " : "", gained,
	                                         *gained && *lost ? "; " : "", *lost ? "loses " : "", lost);
	out_folded(app,
	        text_shown(arena, arena_printf(arena, "%s %s: the kernel command line %s", step->on, step->key,
	                                  *text ? text : "is written again")),
	        5);
}

/* "PATH=sha256:HEX ... sound": only the paths matter to a person. */
static void show_image(const struct app *app, const struct step *step, struct arena *arena)
{
	const char *paths = "";
	struct words words = text_split(arena, step->to ? step->to : "", " ");
	for (size_t i = 0; i < words.n; i++) {
		size_t size = strcspn(words.word[i], "=");
		if (words.word[i][size])
			paths = arena_printf(arena, "%s%s%.*s%s", paths, *paths ? ", " : "", (int)size, words.word[i],
			        strcmp(words.word[i] + size, "=none") == 0 ? " (gone)" : "");
	}
	out_folded(app,
	        text_shown(arena, arena_printf(arena, "%s kernel %s: made again%s%s", step->on, step->key,
	                                  *paths ? ", with " : "", paths)),
	        5);
}

/* The lines that the other has not: of those that stay nothing is said. */
static void show_lines(const struct app *app, const struct step *step, const char *verb, const char *lines,
        const char *other, struct arena *arena)
{
	struct words each = text_split(arena, lines, "\n"), others = text_split(arena, other, "\n");
	for (size_t i = 0; i < each.n; i++) {
		bool stays = false;
		for (size_t j = 0; j < others.n; j++)
			stays |= strcmp(each.word[i], others.word[j]) == 0;
		if (!stays)
			out_folded(app,
			        text_shown(arena, arena_printf(arena, "%s %s \"%s\"", step->on, verb, each.word[i])),
			        5);
	}
}

static void show_raw(const struct app *app, const struct step *step, struct arena *arena)
{
	const char *from = step->from ? step->from : NONE, *to = step->to ? step->to : NONE;
	show_lines(app, step, "loses", from, to, arena);
	show_lines(app, step, "gets", to, from, arena);
}

static void show_nothing(const struct app *app, const struct step *step, struct arena *arena)
{
	(void)app;
	(void)step;
	(void)arena;
}

static const struct {
	const char *kind;
	void (*show)(const struct app *app, const struct step *step, struct arena *arena);
} shows[] = {
	{ "file", show_file },
	{ "boot", show_words },
	{ "initramfs", show_image },
	{ "raw", show_raw },
	{ "reboot", show_nothing },
	{ "confirm", show_nothing },
	{ NULL, show_from_to },
};

static void show_step(const struct app *app, const struct step *step, size_t number, struct arena *arena)
{
	static const char *const undos[] = {
		[UNDO_UNKNOWN] = "unknown",
		[UNDO_EXACT] = "exact",
		[UNDO_AFTER_REBOOT] = "after a reboot",
		[UNDO_EQUIVALENT] = "equivalent",
		[UNDO_NONE] = "none",
	};
	printf("%s%3zu%s  %s%s%s%s%s%s\n", out_colour(app, CYAN), number, out_plain(app), out_colour(app, BOLD),
	        text_shown(arena, step->title), out_plain(app), step->temporary ? out_colour(app, DIM) : "",
	        step->temporary ? " (until confirmed)" : "", step->temporary ? out_plain(app) : "");
	if (app->quiet)
		return;
	size_t i = 0;
	while (shows[i].kind && strcmp(shows[i].kind, step->kind) != 0)
		i++;
	shows[i].show(app, step, arena);
	out_folded(app,
	        text_shown(arena, arena_printf(arena, "because %s; undo: %s%s", or_none(step->because),
	                                  undos[step->undo], step->needs_reboot ? "; in effect after the reboot" : "")),
	        5);
	if (step->interrupts && *step->interrupts)
		out_folded(app, text_shown(arena, arena_printf(arena, "interrupts %s", step->interrupts)), 5);
}

/* The folders and links that only make a temporary file count are one line. */
static bool is_folded(const struct app *app, const struct step *step)
{
	return step->temporary && !app->all &&
	       (strcmp(step->kind, "link") == 0 || strcmp(step->kind, "directory") == 0);
}

static void show_steps(const struct app *app, const struct plan *plan, struct arena *arena)
{
	for (size_t i = 0, end; i < plan->n; i = end) {
		for (end = i; end < plan->n && is_folded(app, &plan->steps[end]); end++)
			;
		if (end - i > 1) {
			printf("     %swith %zu to %zu: folders and links for it (--all shows them)%s\n",
			        out_colour(app, DIM), i + 1, end, out_plain(app));
		} else {
			show_step(app, &plan->steps[i], i + 1, arena);
			end = i + 1;
		}
	}
}

/* ---- the rest --------------------------------------------------------------------------------- */

static void show_refusal(const struct app *app, const struct refusal *refusal, struct arena *arena)
{
	printf("%srefused%s  %s%s%s\n", out_colour(app, RED), out_plain(app), out_colour(app, BOLD), refusal->rule,
	        out_plain(app));
	out_folded(app, text_shown(arena, refusal->why ? refusal->why : "it does not hold"), 5);
	if (refusal->cure) {
		size_t cursor = 0;
		struct bytes line, cure = { refusal->cure, strlen(refusal->cure) };
		label(app, "cure", CYAN);
		putchar('\n');
		while (text_line(cure, &cursor, &line))
			out_folded(app, text_printable(arena, line), 7);
	}
	if (refusal->waivable)
		out_folded(app,
		        arena_printf(arena, "or accept it knowingly: --accept %s (in a goal file: accept: [%s])",
		                refusal->rule, refusal->rule),
		        5);
}

static void show_notes(const struct app *app, const struct plan *plan, struct arena *arena)
{
	for (size_t i = 0; i < plan->notes.n && !app->quiet; i++) {
		if (!i)
			putchar('\n');
		out_folded(app, text_shown(arena, plan->notes.word[i]), 0);
	}
}

static void show_behind(const struct app *app, const struct plan *plan, struct arena *arena)
{
	if (plan->n_gates)
		puts("\nAsked after the reboot, before any guest is touched; one that does not hold\n"
		     "takes everything back:");
	for (size_t i = 0; i < plan->n_gates; i++)
		out_folded(app,
		        text_shown(arena, arena_printf(arena, "%s: %s", plan->gates[i].rule,
		                                  plan->gates[i].asks ? plan->gates[i].asks : plan->gates[i].why)),
		        5);
	if (plan->n_guest_stops) {
		puts("\nStops:");
		for (size_t i = 0; i < plan->n_guest_stops; i++)
			out_folded(app,
			        text_shown(arena, arena_printf(arena, "%s: %s", plan->guest_stops[i].id,
			                                  or_none(plan->guest_stops[i].why))),
			        5);
	}
}

/* However little is asked for: nobody shall agree without having seen it. */
static void show_warnings(const struct app *app, const struct plan *plan, struct arena *arena)
{
	for (size_t i = 0; i < plan->n_warnings; i++) {
		printf("%swarning%s  %s%s%s\n", out_colour(app, YELLOW), out_plain(app), out_colour(app, BOLD),
		        plan->warnings[i].rule, out_plain(app));
		out_folded(app, text_shown(arena, plan->warnings[i].why), 5);
	}
	if (plan->n_warnings)
		putchar('\n');
}

void show_plan(const struct app *app, const struct plan *plan, struct arena *arena)
{
	for (size_t i = 0; i < plan->n_refused; i++)
		show_refusal(app, &plan->refused[i], arena);
	if (plan->n_refused) {
		printf("%s%srefused%s: nothing is changed before %s\n", app->quiet ? "" : "\n", out_colour(app, RED),
		        out_plain(app), plan->n_refused == 1 ? "that is settled" : "all of that is settled");
		return;
	}
	if (!plan->n) {
		printf("%snothing to do%s: %s has %s as wished\n", out_colour(app, GREEN), out_plain(app),
		        plan->guest ? plan->guest : "the guest", plan->gpu ? plan->gpu : "the GPU");
		show_notes(app, plan, arena);
		return;
	}
	show_warnings(app, plan, arena);
	printf("%s%s%s\n\n", out_colour(app, BOLD), text_shown(arena, plan_headline(plan, arena)), out_plain(app));
	show_steps(app, plan, arena);
	if (!app->quiet)
		show_behind(app, plan, arena);
	show_notes(app, plan, arena);
}
