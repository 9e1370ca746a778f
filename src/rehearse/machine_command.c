/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What commands answer: "run" and "norun" of the text, and what is implied where the text says nothing.
 */
#include <errno.h>
#include <string.h>

#include "rehearse/machine_text.h"

/* The words of a command, without the options at the end. */
static size_t run_words(const struct machine_line *line)
{
	size_t n = line->n;
	while (n > 1 && !line->quoted[n - 1] &&
	        (text_has_word("error missing late cut", line->word[n - 1], " ") ||
	                text_starts(line->word[n - 1], "status=")))
		n--;
	return n;
}

static const char *run_key(const struct machine_line *line, size_t n, struct arena *arena)
{
	size_t size = 1;
	for (size_t i = 0; i < n; i++)
		size += strlen(line->word[i]) + 1;
	char *key = arena_alloc(arena, size), *out = key;
	for (size_t i = 0; i < n; i++) {
		out = stpcpy(out, line->word[i]);
		*out++ = '\n'; /* no two commands give the same key: words with newlines are refused */
	}
	return key;
}

static bool read_run(struct machine_reader *reader, struct machine_line *line)
{
	for (size_t i = 0; i < line->n; i++)
		if (strchr(line->word[i], '\n'))
			return FAIL("a command's word has a newline");
	const char *name = arena_printf(
	        reader->arena, "%s %s", reader->target->label, run_key(line, run_words(line), reader->arena));
	if (!machine_once(reader, line, "run", name))
		return false;
	machine_keep(reader, line);
	return true;
}

static struct tape_run *answer_for(struct machine_growth *growth, const char *key, const char **argv)
{
	struct tape_run *run = map_find(&growth->answers, key);
	if (!run) {
		run = arena_new(growth->tree.arena, struct tape_run);
		map_put(&growth->answers, growth->tree.arena, key, run);
		*arena_push(growth->tree.arena, growth->answer, growth->n_answers) = run;
	}
	*run = (struct tape_run){ .argv = argv, .input_hash = "" };
	return run;
}

static struct tape_run *implied_answer(struct machine_growth *growth, const char *command)
{
	struct words words = text_split(growth->tree.arena, command, " ");
	struct machine_line line = { .word = words.word, .n = words.n };
	const char *key = run_key(&line, words.n, growth->tree.arena);
	if (map_find(&growth->answers, key))
		return NULL;
	*arena_push(growth->tree.arena, words.word, words.n) = NULL;
	struct tape_run *run = answer_for(growth, key, words.word);
	run->outcome.out = run->outcome.err = (struct bytes){ "", 0 };
	return run;
}

void machine_answer(struct machine_growth *growth, const char *command, int status, const char *out)
{
	struct tape_run *run = implied_answer(growth, command);
	if (!run)
		return;
	run->outcome.status = status;
	run->outcome.out = (struct bytes){ out, strlen(out) };
}

void machine_answer_error(struct machine_growth *growth, const char *command, int status, const char *error)
{
	struct tape_run *run = implied_answer(growth, command);
	if (!run)
		return;
	run->error = error ? 0 : ENOENT;
	run->outcome.status = status;
	if (error)
		run->outcome.err = (struct bytes){ error, strlen(error) };
}

static bool act_run(struct machine_growth *growth, const struct machine_line *line)
{
	size_t n = run_words(line);
	uint64_t status = 0;
	if (!machine_number_option(line, n, "status", 10, 255, growth->err, &status))
		return false;
	const char **argv = arena_alloc(growth->tree.arena, (n + 1) * sizeof *argv);
	memcpy(argv, line->word, n * sizeof *argv);
	if (growth->n_answers >= MACHINE_THINGS_MAX)
		return GROWN("more than %d commands", MACHINE_THINGS_MAX);
	struct tape_run *run = answer_for(growth, run_key(line, n, growth->tree.arena), argv);
	run->error = machine_has_word(line, n, "missing") ? ENOENT : 0;
	run->outcome.status = (int)status;
	run->outcome.timed_out = machine_has_word(line, n, "late");
	run->outcome.cut = machine_has_word(line, n, "cut");
	bool error = machine_has_word(line, n, "error");
	struct bytes body = arena_bytes(growth->tree.arena, line->body.data ? line->body.data : "", line->body.size);
	run->outcome.err = error ? body : (struct bytes){ "", 0 };
	run->outcome.out = error ? (struct bytes){ "", 0 } : body;
	return true;
}

static bool act_norun(struct machine_growth *growth, const struct machine_line *line)
{
	struct tape_run *run = map_find(&growth->answers, run_key(line, line->n, growth->tree.arena));
	if (growth->n_answers >= MACHINE_THINGS_MAX)
		return GROWN("more than %d commands", MACHINE_THINGS_MAX);
	if (run)
		run->argv = NULL; /* left out of the tape; one that is implied does not come back */
	else
		answer_for(growth, run_key(line, line->n, growth->tree.arena), NULL);
	return true;
}

const struct machine_statement machine_command_statements[] = {
	{ "run", 1, 0, true, read_run, act_run },
	{ "norun", 1, 0, false, read_run, act_norun },
	{ NULL },
};
