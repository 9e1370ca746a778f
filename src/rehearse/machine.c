/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The grammar of docs/machines.md: lines into statements, a base's before those of the text that names it. What
 * statements mean stands in the file of their table.
 */
#include "rehearse/machine.h"

#include <string.h>

#include "rehearse/machine_text.h"

/* Beyond these nobody means a machine. */
enum { TEXT_MAX = 4 * 1024 * 1024, BASES_MAX = 16, TARGETS_MAX = 64 };

static bool machine_read(struct machine_reader *reader, struct bytes text);

/* ---- statements about the machine ---- */

static bool read_about(struct machine_reader *reader, struct machine_line *line)
{
	return machine_once(reader, line, "about", "");
}

static bool read_base(struct machine_reader *reader, struct machine_line *line)
{
	if (reader->begun)
		return FAIL("base must be the first statement");
	for (const struct machine_reader *outer = reader; outer; outer = outer->outer)
		if (strcmp(outer->name, line->word[0]) == 0)
			return FAIL("%s is its own base", SHOWN(line->word[0]));
	if (reader->depth >= BASES_MAX)
		return FAIL("more than %d bases on top of each other", BASES_MAX);
	const char *text = reader->base ? reader->base(reader->data, line->word[0]) : NULL;
	if (!text)
		return FAIL("there is no machine %s", SHOWN(line->word[0]));
	struct machine_reader inner = *reader;
	inner.name = line->word[0];
	inner.outer = reader;
	inner.depth = reader->depth + 1;
	inner.seen = (struct map){ 0 };
	return machine_read(&inner, (struct bytes){ text, strlen(text) });
}

static bool read_time(struct machine_reader *reader, struct machine_line *line)
{
	uint64_t seconds;
	if (!text_number(line->word[0], 10, INT64_MAX / 2, &seconds))
		return FAIL("time takes seconds since 1970");
	reader->machine->time = (int64_t)seconds;
	return machine_once(reader, line, "time", "");
}

struct machine_target *machine_find_target(const struct machine *machine, const char *label)
{
	for (size_t i = 0; i < machine->n; i++)
		if (strcmp(machine->targets[i]->label, label) == 0 && !machine->targets[i]->removed)
			return machine->targets[i];
	return NULL;
}

static struct machine_target *make_target(struct machine *machine, const char *label)
{
	struct machine_target *target = arena_new(machine->arena, struct machine_target);
	target->label = label;
	target->iommu = (struct machine_iommu){ .kind = "off", .tables = "", .units = 1 };
	*arena_push(machine->arena, machine->targets, machine->n) = target;
	return target;
}

static bool label_fits(const char *label)
{
	static const char signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
	return *label && strlen(label) <= 80 && label[strspn(label, signs)] == '\0' && label[0] != '/' &&
	       !strstr(label, "..");
}

static bool read_target(struct machine_reader *reader, struct machine_line *line)
{
	const char *label = line->word[0];
	if (!label_fits(label))
		return FAIL("\"%s\" names no target: node, vm/100, ct/105, vm/100/docker/emby", SHOWN(label));
	struct machine_target *target = machine_find_target(reader->machine, label);
	if (!target && reader->machine->n >= TARGETS_MAX)
		return FAIL("more than %d targets", TARGETS_MAX);
	reader->target = target ? target : make_target(reader->machine, label);
	return true;
}

static const struct machine_statement text_statements[] = {
	{ "about", 0, 0, false, read_about, NULL },
	{ "base", 1, 1, false, read_base, NULL },
	{ "time", 1, 1, false, read_time, NULL },
	{ "target", 1, 1, false, read_target, NULL },
	{ NULL },
};

static const struct machine_statement *const statements[] = { text_statements, machine_device_statements,
	machine_part_statements, machine_path_statements, machine_command_statements };

/* ---- the text ---- */

void machine_keep(struct machine_reader *reader, struct machine_line *line)
{
	*arena_push(reader->arena, reader->target->actions, reader->target->n_actions) = line;
}

static const struct machine_statement *find_statement(const char *name)
{
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
		for (const struct machine_statement *one = statements[i]; one->name; one++)
			if (strcmp(one->name, name) == 0)
				return one;
	return NULL;
}

static bool read_statement(struct machine_reader *reader, struct machine_line *line)
{
	const char *name = line->word[0];
	line->statement = find_statement(name);
	line->word++;
	line->quoted++;
	line->n--;
	if (!line->statement)
		return FAIL("there is no statement \"%s\"", SHOWN(name));
	if (line->n < line->statement->min || (line->statement->max && line->n > line->statement->max))
		return FAIL("%s has too %s words", name, line->n < line->statement->min ? "few" : "many");
	if (line->has_body && !line->statement->body)
		return FAIL("%s has no indented lines below it", name);
	if (!line->statement->read(reader, line))
		return false;
	reader->begun |= line->statement->read != read_about;
	return true;
}

/* Indented lines from *cursor on; blank ones between them belong to them. */
static void read_body(
        struct machine_reader *reader, struct bytes text, size_t *cursor, unsigned *number, struct machine_line *line)
{
	size_t begin = *cursor, end = *cursor, at = *cursor;
	unsigned passed = 0;
	struct bytes one;
	while (text_line(text, &at, &one) && (one.size == 0 || one.data[0] == '\t')) {
		passed++;
		if (one.size == 0)
			continue;
		end = *cursor = at;
		*number += passed;
		passed = 0;
	}
	if (end == begin)
		return;
	char *body = arena_alloc(reader->arena, end - begin + 2), *out = body;
	for (at = begin; at < end && text_line(text, &at, &one);) {
		if (one.size)
			out = mempcpy(out, one.data + 1, one.size - 1);
		*out++ = '\n';
	}
	line->has_body = true;
	line->body = (struct bytes){ body, (size_t)(out - body) };
}

static bool machine_read(struct machine_reader *reader, struct bytes text)
{
	struct bytes one;
	unsigned number = 0;
	for (size_t cursor = 0; text_line(text, &cursor, &one);) {
		struct machine_line *line = arena_new(reader->arena, struct machine_line);
		line->text = reader->name;
		line->line = ++number;
		if (one.size && one.data[0] == '\t' && text_trimmed(reader->arena, one)[0])
			return FAIL("an indented line without a statement above it");
		if (!machine_words(reader, line, one))
			return false;
		if (!line->n)
			continue;
		read_body(reader, text, &cursor, &number, line);
		if (!read_statement(reader, line))
			return false;
	}
	return true;
}

bool machine_parse(struct bytes text, const char *name, machine_base_fn *base, void *data, struct arena *arena,
        struct err *err, struct tape **ret)
{
	if (text.size > TEXT_MAX)
		return err_set(err, ERR_INPUT, "%s: a machine's text has at most %d bytes", machine_shown(arena, name),
		        TEXT_MAX);
	struct machine machine = { .arena = arena, .time = 1763683200 };
	struct machine_reader reader = { .machine = &machine,
		.name = machine_shown(arena, name),
		.base = base,
		.data = data,
		.arena = arena,
		.err = err };
	reader.target = make_target(&machine, "node");
	if (!machine_read(&reader, text))
		return false;
	struct tape *tape = tape_new(arena, machine.time);
	tape->version = GPUFERRY_VERSION;
	for (size_t i = 0; i < machine.n; i++)
		if (!machine.targets[i]->removed && !machine_grow(&machine, machine.targets[i], tape, err))
			return false;
	*ret = tape;
	return true;
}

/* ---- the built-in ones ---- */

const char *machine_builtin_text(void *data, const char *name)
{
	(void)data;
	const struct machine_builtin *const lists[] = { machine_builtins, machine_bases };
	for (size_t i = 0; i < 2; i++)
		for (const struct machine_builtin *one = lists[i]; one->name; one++)
			if (strcmp(one->name, name) == 0)
				return one->text;
	return NULL;
}
