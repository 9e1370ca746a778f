/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What happens while it happens: a line for each step; on a terminal it stands there while the step works.
 */
#include <stdio.h>
#include <string.h>

#include "cli/change.h"

static const struct {
	const char *word; /* behind the step's title, or before the text of what is no step */
	enum colour colour;
	bool passing; /* only a terminal shows it, until the next */
	bool always;  /* also with --quiet */
} lines[] = {
	[EXEC_STEP_BEGINS] = { " ...", PLAIN, true, false },
	[EXEC_STEP_DONE] = { "", GREEN, false, false },
	[EXEC_STEP_ALREADY] = { " (already so)", DIM, false, false },
	[EXEC_STEP_FAILED] = { " failed", RED, false, true },
	[EXEC_UNDO_BEGINS] = { ": taking it back ...", PLAIN, true, false },
	[EXEC_UNDO_DONE] = { ": taken back", GREEN, false, false },
	[EXEC_UNDO_LEFT] = { ": left as it is", YELLOW, false, true },
	[EXEC_GATE_HOLDS] = { "holds", GREEN, false, false },
	[EXEC_GATE_BROKEN] = { "does not hold", RED, false, true },
	[EXEC_NOTE] = { "", PLAIN, false, false },
};

static const char *event_text(const struct exec_event *event, struct arena *arena)
{
	const char *word = lines[event->what].word, *text = event->text ? event->text : "";
	if (!event->step)
		return arena_printf(arena, "%s%s%s", word, *word && *text ? ": " : "", text);
	return arena_printf(arena, "%s%s%s%s", event->step->title ? event->step->title : event->step->key, word,
	        *text ? ": " : "", text);
}

void show_event(void *data, const struct exec_event *event)
{
	const struct app *app = data;
	struct arena arena ARENA_SCOPED = { 0 };
	if (app->json || (app->quiet && !lines[event->what].always) || (lines[event->what].passing && !app->terminal))
		return;
	const char *back = app->terminal ? "\r\033[K" : "", *text = text_shown(&arena, event_text(event, &arena));
	const char *count = event->step ? arena_printf(&arena, "[%zu/%zu] ", event->index + 1, event->total) : "";
	if (lines[event->what].passing) {
		/* a line that wraps could not be taken back */
		printf("%s%s%.*s", back, count, 66, text);
	} else {
		printf("%s%s%s%s%s\n", back, out_colour(app, lines[event->what].colour), count, out_plain(app), text);
	}
	fflush(stdout);
}
