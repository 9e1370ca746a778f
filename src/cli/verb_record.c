/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Records a machine: everything that a verb could ask is asked once, and what came back is kept, redacted.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "sys/redact.h"
#include "sys/tape.h"

static int record(struct app *app, const char *file)
{
	struct err err = { 0 };
	struct world *world = place_open(app, app->machines.n ? app->machines.path[0] : NULL, app->arena, &err);
	if (!world)
		return out_error(app, &err);
	struct tape *tape = tape_new(app->arena, world_now(world));
	struct redactor *redactor = redact_new(app->arena);
	struct world *recorder = tape_recorder(world, tape, redactor, facts_reduce, NULL, app->arena);
	const struct facts_want want = { .depth = FACTS_ALL | FACTS_OLD_KERNELS };
	const struct facts *facts = facts_gather(recorder, &want, app->arena);
	world_close(recorder);
	if (!tape_save(tape, file, &err))
		return out_error(app, &err);
	if (!app->quiet && strcmp(file, "-") != 0) {
		size_t entries = 0, runs = 0;
		for (size_t i = 0; i < tape->n; i++) {
			entries += tape->targets[i]->n;
			runs += tape->targets[i]->n_runs;
		}
		const char *quoted = text_sh_quoted(app->arena, text_shown(app->arena, file));
		printf("%s: %zu target%s, %zu paths, %zu commands; %zu not seen\n\n", text_shown(app->arena, file),
		        tape->n, tape->n == 1 ? "" : "s", entries, runs, facts->n_blind);
		out_folded(app,
		        "Passwords, keys, serial numbers, MAC and public addresses were replaced; names and private "
		        "addresses "
		        "stay. Look through it before you hand it on, it is a plain tar:",
		        0);
		printf("  tar -xOf %s | less\nWho helps reads it with:\n  gpuferry verify --machine %s\n", quoted,
		        quoted);
	}
	return EXIT_AS_WISHED;
}

int verb_record(struct app *app, int argc, char **argv)
{
	struct err err = { 0 };
	if (argc != 1) {
		err_set(&err, ERR_USAGE, argc ? "record: one file at a time" : "record: where to? give a file");
		err_hint(&err, "gpuferry record machine.tape   (- is standard output)");
		return out_error(app, &err);
	}
	if (app->machines.n > 1) {
		err_set(&err, ERR_USAGE, "record: one machine at a time");
		return out_error(app, &err);
	}
	if (strcmp(argv[0], "-") == 0 && isatty(STDOUT_FILENO)) {
		err_set(&err, ERR_USAGE, "record: a tape is no text for a terminal");
		err_hint(&err, "gpuferry record machine.tape, or pipe it on");
		return out_error(app, &err);
	}
	return record(app, argv[0]);
}
