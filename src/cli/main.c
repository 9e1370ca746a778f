/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static const struct verb *verb_named(const char *name)
{
	for (const struct verb *verb = verbs; verb->name; verb++)
		if (strcmp(verb->name, name) == 0)
			return verb;
	return NULL;
}

static void unknown_verb(const struct app *app, const char *word, struct err *err)
{
	struct near near = { .word = word };
	for (const struct verb *verb = verbs; verb->name; verb++)
		near_try(&near, verb->name);
	err_set(err, ERR_USAGE, "%s: no such verb", text_shown(app->arena, word));
	const char *meant = near_found(&near);
	if (meant)
		err_hint(err, "did you mean: gpuferry %s", meant);
	else
		err_hint(err, "see: gpuferry --help");
}

/* The first word that is neither an option nor an option's value is the verb. */
static const struct verb *find_verb(struct app *app, int *argc, char **argv, struct err *err)
{
	for (int i = 1; i < *argc; i++) {
		if (argv[i][0] == '-' || (i > 1 && options_want_value(argv[i - 1])))
			continue;
		const struct verb *verb = verb_named(argv[i]);
		if (!verb) {
			unknown_verb(app, argv[i], err);
			return NULL;
		}
		memmove(argv + i, argv + i + 1, (size_t)(*argc - i) * sizeof *argv);
		--*argc;
		return verb;
	}
	return NULL;
}

static bool asked(int argc, char **argv, const char *name, const char *letter)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], name) == 0 || strcmp(argv[i], letter) == 0)
			return true;
	return false;
}

static void find_colours(struct app *app)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	app->terminal = isatty(STDOUT_FILENO);
	bool can = app->terminal && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
	app->colored = strcmp(app->color, "always") == 0 || (strcmp(app->color, "auto") == 0 && can);
}

static int run(struct app *app, int argc, char **argv)
{
	struct err err = { 0 };
	if (argc > 2 && strcmp(argv[1], "--print") == 0)
		return complete_print(argv[2]) ? EXIT_AS_WISHED : EXIT_USAGE;

	static char help[] = "--help", version[] = "--version"; /* asked for as a verb, as other programs take them */
	if (argc > 1 && strcmp(argv[1], help + 2) == 0)
		argv[1] = help;
	else if (argc > 1 && strcmp(argv[1], version + 2) == 0)
		argv[1] = version;
	app->verb = find_verb(app, &argc, argv, &err);
	if (err.kind)
		return out_error(app, &err);
	find_colours(app);
	if (asked(argc, argv, "--version", "-V")) {
		puts("gpuferry " GPUFERRY_VERSION);
		return EXIT_AS_WISHED;
	}
	if (asked(argc, argv, "--help", "-h") || (argc == 1 && !app->verb)) {
		app->verb ? out_verb_help(app, app->verb) : out_help(app);
		return EXIT_AS_WISHED;
	}
	int left = options_parse(app, argc, argv, &err);
	if (left >= 0 && !app->verb) {
		err_set(&err, ERR_USAGE, "no verb given");
		err_hint(&err, "see: gpuferry --help");
		left = -1;
	}
	if (left < 0)
		return out_error(app, &err);
	find_colours(app);
	return app->verb->run(app, left, argv);
}

/* Where standard input, output or error are closed, the next file opened would take their place, and messages would
 * go into it. What is put there instead fails like a closed one: input that cannot be read, outputs not written. */
static void keep_standard_places(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			return;
}

int main(int argc, char **argv)
{
	keep_standard_places();
	struct arena arena ARENA_SCOPED = { 0 };
	struct app app = { .arena = &arena, .color = "auto" };
	goal_init(&app.goal);
	setlocale(LC_CTYPE, ""); /* widths of characters in tables; nothing else follows the locale */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error to be told, as a full disk is */
	int code = run(&app, argc, argv);
	/* a full disk must not look like success; a reader that had enough (head) is no failure */
	errno = 0;
	if ((fflush(stdout) || ferror(stdout)) && errno != EPIPE) {
		fputs("gpuferry: standard output: cannot be written\n", stderr);
		code = code == EXIT_USAGE ? code : EXIT_FAILED;
	}
	return code;
}
