/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * /health and /metrics of this machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "serve/serve.h"
#include "sys/nvml.h"

enum { EVERY_S = 600, EVERY_LEAST = 10, EVERY_MOST = 86400 };

static bool every(const struct app *app, struct err *err, unsigned *ret)
{
	static const struct {
		char unit;
		unsigned seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 } };
	const char *text = app->every;
	size_t size = text ? strlen(text) : 0;
	uint64_t number;
	*ret = EVERY_S;
	if (!text)
		return true;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (!size || text[size - 1] != units[i].unit ||
		        !text_number(arena_strndup(app->arena, text, size - 1), 10, EVERY_MOST, &number) ||
		        number * units[i].seconds < EVERY_LEAST || number * units[i].seconds > EVERY_MOST)
			continue;
		*ret = (unsigned)number * units[i].seconds;
		return true;
	}
	err_set(err, ERR_USAGE, "--every %s: no time between 10s and 24h", text_shown(app->arena, text));
	return err_hint(err, "use one as 90s, 10m or 1h");
}

/* What the goal says of this very machine: a card that goes into a guest is to encode there, and not on the node. */
static void take_goal(struct app *app, const struct goal *goal, struct serve_options *ret)
{
	struct err err = { 0 };
	struct world *world = world_open_root(NULL, false, app->arena, &err);
	bool node = world && world_exists(world, "/etc/pve/local") == YES;
	world_close(world);
	ret->wanted_why = NONE;
	ret->wish = (struct encode_wish){ goal->prefer, goal->veto };
	if (goal->into != GUEST_UNKNOWN && node) {
		ret->wanted = NO;
		ret->wanted_why = "the goal brings the GPU into a guest: it is to encode there";
	} else if (goal->gpu) {
		ret->wanted = YES;
		ret->gpu = goal->gpu;
		ret->wanted_why = goal->source && strcmp(goal->source, "command line") != 0
		                          ? arena_printf(app->arena, "%s: gpu: %s", goal->source, goal->gpu)
		                          : arena_printf(app->arena, "--gpu %s", goal->gpu);
	}
}

static void ready(void *data, const char *where)
{
	const struct app *app = data;
	if (app->quiet)
		return;
	printf("%s: /health and /metrics\n", where);
	fflush(stdout);
}

int verb_serve(struct app *app, int argc, char **argv)
{
	struct err err = { 0 };
	struct goal goal;
	struct serve_options options = {
		.listen = app->listen,
		.ffmpeg = app->ffmpeg,
		.folder = place_kept(app->arena),
		.nvml = NVML_LIBRARY,
		.told = getenv("GPUFERRY_TRANSCODES"),
	};
	if (argc > 1) {
		err_set(&err, ERR_USAGE, "serve: %s: takes one goal file at most", text_shown(app->arena, argv[1]));
		return out_error(app, &err);
	}
	if (!every(app, &err, &options.every_s) || !place_goal(app, argc ? argv[0] : NULL, &err, &goal))
		return out_error(app, &err);
	take_goal(app, &goal, &options);
	if (!serve_run(&options, ready, app, app->arena, &err))
		return out_error(app, &err);
	return EXIT_AS_WISHED;
}
