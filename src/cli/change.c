/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the changing verbs share: looking, asking, and being run on another node.
 */
#include "cli/change.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool change_goal(struct app *app, int argc, char **argv, struct err *err, struct goal *ret)
{
	const char *verb = app->verb->name;
	if (argc > 1)
		return err_set(err, ERR_USAGE, "%s: %s: one goal at a time", verb, text_shown(app->arena, argv[1]));
	if (!place_goal(app, argc ? argv[0] : NULL, err, ret))
		return false;
	if (!goal_empty(ret))
		return true;
	err_set(err, ERR_USAGE, "%s: which GPU shall go where? no goal is given", verb);
	return err_hint(err, "gpuferry %s --gpu nvidia --into vm/100   (or a goal file: man gpuferry)", verb);
}

bool change_survey(
        struct world *world, const struct goal *goal, struct arena *arena, struct err *err, struct survey *ret)
{
	if (!place_facts(world, goal, arena, err, &ret->facts))
		return false;
	rules_run(ret->facts, goal, arena, &ret->report);
	plan_build(ret->facts, goal, arena, &ret->plan);
	return true;
}

/* Is it refused only because nothing is known? */
static bool only_unknown(const struct survey *survey)
{
	for (size_t i = 0; i < survey->plan.n_refused; i++) {
		bool unknown = false;
		for (size_t f = 0; f < survey->report.n; f++) {
			const struct finding *finding = &survey->report.findings[f];
			if (strcmp(finding->rule->id, survey->plan.refused[i].rule) == 0)
				unknown |= finding->verdict == VERDICT_UNKNOWN;
		}
		if (!unknown)
			return false;
	}
	return survey->plan.n_refused;
}

int change_code(const struct survey *survey)
{
	if (survey->plan.n_refused)
		return only_unknown(survey) ? EXIT_UNMEASURED : EXIT_FAILED;
	return survey->plan.n ? EXIT_NOT_AS_WISHED : EXIT_AS_WISHED;
}

/* ---- asking ------------------------------------------------------------------------------- */

/* Where a person answers: standard input; where that was the goal, the terminal itself. NULL: nobody is there. */
static FILE *person(const struct app *app)
{
	if (!app->terminal || app->json)
		return NULL;
	if (isatty(STDIN_FILENO))
		return stdin;
	return app->input_used ? fopen("/dev/tty", "re") : NULL;
}

bool change_ask(const struct app *app, const char *question, struct err *err)
{
	FILE *from = person(app);
	if (!from) {
		err_set(err, ERR_INPUT, "%s: nobody is there to be asked, so nothing is changed", app->verb->name);
		return err_hint(err, "--yes agrees to the steps and to what they interrupt");
	}
	char answer[16] = "";
	printf("\n%s%s%s [y/N] ", out_colour(app, BOLD), question, out_plain(app));
	fflush(stdout);
	bool yes = fgets(answer, sizeof answer, from) &&
	           (strcasecmp(answer, "y\n") == 0 || strcasecmp(answer, "yes\n") == 0);
	if (from != stdin)
		fclose(from);
	return yes || err_set(err, ERR_INPUT, "%s: not agreed, so nothing is changed", app->verb->name);
}

/* ---- on another node -------------------------------------------------------------------------- */

/* gpuferry as it was called here, without --host. */
static const char *const *words_there(struct app *app, bool goal)
{
	const char **argv = NULL;
	size_t n = 0;
	*arena_push(app->arena, argv, n) = "gpuferry";
	*arena_push(app->arena, argv, n) = app->verb->name;
	for (size_t i = 0; i < app->typed.n; i++)
		*arena_push(app->arena, argv, n) = app->typed.word[i];
	if (goal)
		*arena_push(app->arena, argv, n) = "-";
	*arena_push(app->arena, argv, n) = NULL;
	return argv;
}

/* The command that ssh runs here: with a terminal it is handed on. The goal goes in by standard input; where that is
 * the terminal, through a pipe on the other side, and gpuferry there asks /dev/tty. */
static const char *const *words_here(struct app *app, const struct hop *hop, bool terminal, const struct bytes *goal)
{
	static char hand_on[] = "-t";
	const char *const *inner = words_there(app, goal->data);
	const char *piped[] = { "sh", "-c", NULL, NULL };
	if (goal->data && terminal) {
		piped[2] = arena_printf(app->arena, "printf %%s %s | %s", text_sh_quoted(app->arena, goal->data),
		        text_sh_line(app->arena, inner));
		inner = piped;
	}
	const struct command command = { .argv = inner };
	const char **argv = NULL;
	size_t n = 0;
	bool options = true;
	for (const char *const *word = hop_wrap(hop, &command, app->arena).argv; *word; word++) {
		options = options && strcmp(*word, "--") != 0;
		*arena_push(app->arena, argv, n) = options && terminal && strcmp(*word, "-T") == 0 ? hand_on : *word;
	}
	*arena_push(app->arena, argv, n) = NULL;
	return argv;
}

static void feed(int fd, struct bytes input)
{
	for (size_t at = 0; at < input.size;) {
		ssize_t wrote = write(fd, input.data + at, input.size - at);
		if (wrote <= 0)
			return; /* it ended; its exit code says why */
		at += (size_t)wrote;
	}
}

/* Runs with our own standard places; -1: it could not be started. */
static int run_here(const char *const *argv, struct bytes input, struct err *err)
{
	int ends[2] = { -1, -1 };
	assert(argv[0]);
	if (input.data && pipe2(ends, O_CLOEXEC) != 0)
		return err_errno(err, errno, "a pipe") ? 0 : -1;
	pid_t child = fork();
	if (child == 0) {
		if (input.data)
			dup2(ends[0], STDIN_FILENO);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(errno == ENOENT ? 254 : 255);
	}
	if (input.data) {
		close(ends[0]);
		if (child > 0)
			feed(ends[1], input);
		close(ends[1]);
	}
	if (child < 0)
		return err_errno(err, errno, "%s", argv[0]) ? 0 : -1;
	int status;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int change_there(struct app *app, struct bytes goal)
{
	struct err err = { 0 };
	struct hop hop;
	if (!hop_parse_ssh(app->host, app->arena, &err, &hop)) {
		err_wrap(&err, "--host");
		return out_error(app, &err);
	}
	bool terminal = app->terminal && isatty(STDIN_FILENO);
	const char *const *argv = words_here(app, &hop, terminal, &goal);
	fflush(stdout);
	if (terminal)
		goal = (struct bytes){ 0 };
	int code = run_here(argv, goal, &err);
	if (code >= 0 && code <= EXIT_UNMEASURED)
		return code;
	if (code == 127) {
		err_set(&err, ERR_SYSTEM, "%s: gpuferry is not installed there", app->host);
		err_hint(&err, "what changes a node runs on it: install the package there");
	} else if (code == 254) {
		err_set(&err, ERR_SYSTEM, "ssh: no such program here");
	} else if (code >= 0) {
		err_set(&err, ERR_SYSTEM, "%s: ssh ended with %d", app->host, code);
	}
	return out_error(app, &err);
}
