/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tables, trees, colour, folding. Every word a machine said goes through text_shown before it gets here or in out_cell.
 */
#include <libsmartcols.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/cli.h"

/* ---- colour ---------------------------------------------------------------- */

static const char *const sequences[] = { "", "\033[1m", "\033[2m", "\033[32m", "\033[33m", "\033[31m", "\033[36m" };

const char *out_colour(const struct app *app, enum colour colour)
{
	return app->colored ? sequences[colour] : "";
}

const char *out_plain(const struct app *app)
{
	return app->colored ? "\033[0m" : "";
}

/* ---- errors ------------------------------------------------------------------ */

int out_error(const struct app *app, const struct err *err)
{
	static const int codes[] = {
		[ERR_NONE] = EXIT_FAILED,
		[ERR_USAGE] = EXIT_USAGE,
		[ERR_INPUT] = EXIT_FAILED,
		[ERR_SYSTEM] = EXIT_FAILED,
		[ERR_TIMEOUT] = EXIT_FAILED,
		[ERR_LOCKED] = EXIT_LOCKED,
		[ERR_UNKNOWN] = EXIT_UNMEASURED,
	};
	fflush(stdout);
	struct arena arena ARENA_SCOPED = { 0 };
	bool colored = app->colored && isatty(STDERR_FILENO);
	fprintf(stderr, "gpuferry: %s%s%s\n", colored ? sequences[RED] : "", text_shown(&arena, err->text),
	        colored ? "\033[0m" : "");
	if (err->hint[0])
		fprintf(stderr, "  %s\n", text_shown(&arena, err->hint));
	return codes[err->kind];
}

/* ---- documents ----------------------------------------------------------------- */

void out_json(struct app *app, json_t *document, const char *label)
{
	struct arena arena ARENA_SCOPED = { 0 };
	if (app->machines.n > 1)
		json_put(document, "machine", json_raw_text(label));
	fputs(json_print(&arena, document, app->machines.n <= 1), stdout);
	json_decref(document);
}

/* ---- text ------------------------------------------------------------------------ */

static unsigned width(const struct app *app)
{
	struct winsize size;
	if (!app->terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40)
		return 80;
	return size.ws_col;
}

/* Columns a word takes; a character whose width the locale does not know counts as one. */
static unsigned columns_of(const char *word, size_t size)
{
	unsigned columns = 0;
	mbstate_t state = { 0 };
	for (size_t i = 0; i < size;) {
		wchar_t sign;
		size_t bytes = mbrtowc(&sign, word + i, size - i, &state);
		if (bytes == 0 || bytes > size - i) {
			memset(&state, 0, sizeof state);
			bytes = 1;
			columns++;
		} else {
			int wide = wcwidth(sign);
			columns += wide < 0 ? 1 : (unsigned)wide;
		}
		i += bytes;
	}
	return columns;
}

void out_folded(const struct app *app, const char *text, unsigned indent)
{
	unsigned limit = width(app), at = indent;
	bool first = true;
	printf("%*s", (int)indent, "");
	while (*(text += strspn(text, " "))) {
		size_t size = strcspn(text, " ");
		unsigned columns = columns_of(text, size);
		if (!first && at + 1 + columns > limit) {
			printf("\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		printf("%s%.*s", first ? "" : " ", (int)size, text);
		at += columns + !first;
		first = false;
		text += size;
	}
	putchar('\n');
}

/* ---- tables ------------------------------------------------------------------------ */

static bool utf8_terminal(void)
{
	mbstate_t state = { 0 };
	wchar_t sign;
	return mbrtowc(&sign, "\xe2\x94\x80", 3, &state) == 3;
}

struct libscols_table *out_table(const struct app *app, const char *const *columns)
{
	scols_init_debug(0);
	struct libscols_table *table = scols_new_table();
	for (; *columns; columns++) {
		size_t size = strlen(*columns);
		char sign = (*columns)[size - 1];
		int flags = sign == '>'   ? SCOLS_FL_RIGHT
		            : sign == '/' ? SCOLS_FL_TREE
		            : sign == '_' ? SCOLS_FL_WRAP
		                          : 0;
		char name[32];
		snprintf(name, sizeof name, "%.*s", (int)(flags ? size - 1 : size), *columns);
		scols_table_new_column(table, name, 0, flags);
	}
	scols_table_enable_minout(table, 1); /* no blanks behind the last cell */
	scols_table_enable_colors(table, app->colored);
	scols_table_enable_ascii(table, !utf8_terminal());
	scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
	scols_table_set_termwidth(table, width(app));
	return table;
}

struct libscols_line *out_row(struct libscols_table *table, struct libscols_line *parent)
{
	return scols_table_new_line(table, parent);
}

/* A name longer than this is nobody's: the table would be as wide as it in every line. */
enum { CELL_MAX = 400, CELL_SHOWN = 100 };

static char *shortened(struct arena *arena, char *text)
{
	if (strlen(text) <= CELL_MAX)
		return text;
	size_t end = CELL_SHOWN;
	while (end && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	return arena_printf(arena, "%.*s...", (int)end, text);
}

void out_cell(struct libscols_line *line, unsigned column, const char *text, const struct app *app, enum colour colour)
{
	struct arena arena ARENA_SCOPED = { 0 };
	scols_line_set_data(line, column, shortened(&arena, text_shown(&arena, text)));
	if (app->colored && colour != PLAIN)
		scols_cell_set_color(scols_line_get_cell(line, column), sequences[colour]);
}

/* Columns that a line's cell takes, with the tree's branches before it. */
static unsigned cell_columns(struct libscols_line *line, size_t column)
{
	const char *text = scols_cell_get_data(scols_line_get_cell(line, column));
	unsigned columns = text ? columns_of(text, strlen(text)) : 0;
	for (struct libscols_line *above = line; column == 0 && (above = scols_line_get_parent(above));)
		columns += 2;
	return columns;
}

/* libsmartcols wraps in the middle of words, so the words are put on lines before: text with \n where it breaks. */
static char *wrapped(struct arena *arena, const char *text, unsigned limit)
{
	char *copy = arena_alloc(arena, strlen(text) + 2), *out = copy;
	unsigned at = 0;
	while (*(text += strspn(text, " "))) {
		size_t size = strcspn(text, " ");
		unsigned columns = columns_of(text, size);
		if (at)
			*out++ = at + 1 + columns > limit ? '\n' : ' ';
		at = at && at + 1 + columns <= limit ? at + 1 + columns : columns;
		out = mempcpy(out, text, size);
		text += size;
	}
	*out = '\0';
	return copy;
}

static void wrap_column(struct libscols_table *table, size_t wrap)
{
	struct arena arena ARENA_SCOPED = { 0 };
	size_t columns = scols_table_get_ncols(table), used = 0;
	struct libscols_iter *iter = scols_new_iter(SCOLS_ITER_FORWARD);
	struct libscols_line *line;
	for (size_t column = 0; column < columns; column++) {
		struct libscols_cell *head = scols_column_get_header(scols_table_get_column(table, column));
		unsigned widest = scols_cell_get_data(head) ? (unsigned)strlen(scols_cell_get_data(head)) : 0;
		scols_reset_iter(iter, SCOLS_ITER_FORWARD);
		while (column != wrap && scols_table_next_line(table, iter, &line) == 0) {
			unsigned width = cell_columns(line, column);
			widest = width > widest ? width : widest;
		}
		used += column == wrap ? 1 : widest + 1;
	}
	size_t width = scols_table_get_termwidth(table);
	unsigned limit = width > used + 20 ? (unsigned)(width - used) : 20;
	scols_reset_iter(iter, SCOLS_ITER_FORWARD);
	while (scols_table_next_line(table, iter, &line) == 0) {
		struct libscols_cell *cell = scols_line_get_cell(line, wrap);
		if (scols_cell_get_data(cell))
			scols_cell_set_data(cell, wrapped(&arena, scols_cell_get_data(cell), limit));
	}
	scols_free_iter(iter);
}

void out_table_end(struct libscols_table *table)
{
	for (size_t column = 0; column < scols_table_get_ncols(table); column++) {
		struct libscols_column *head = scols_table_get_column(table, column);
		if (!scols_column_is_wrap(head))
			continue;
		scols_column_set_wrapfunc(head, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
		scols_column_set_safechars(head, "\n");
		wrap_column(table, column);
	}
	if (scols_table_get_nlines(table))
		scols_print_table(table);
	scols_unref_table(table);
}

/* ---- help ---------------------------------------------------------------------------- */

static void option_line(const struct app *app, char letter, const char *name, const char *argument, const char *help)
{
	printf("  %s%c%c%c --%s%s%s%s\n", out_colour(app, CYAN), letter ? '-' : ' ', letter ? letter : ' ',
	        letter ? ',' : ' ', name, argument ? " " : "", argument ? argument : "", out_plain(app));
	out_folded(app, help, 8);
}

static void option_help(const struct app *app, const struct verb *verb)
{
	for (const struct option_row *row = option_rows; row->name; row++)
		if (options_fit(verb, row))
			option_line(app, row->letter, row->name, row->argument, row->help);
	if (verb->goal)
		puts("\n  The goal, where no file is given:");
	for (const struct goal_key *key = goal_keys; key->name; key++)
		if (options_fit_goal(verb, key))
			option_line(app, 0, key->flag, key->form, key->help);
}

void out_verb_help(const struct app *app, const struct verb *verb)
{
	printf("%sgpuferry %s%s%s%s [OPTION...]\n", out_colour(app, BOLD), verb->name, *verb->args ? " " : "",
	        verb->args, out_plain(app));
	out_folded(app, verb->help, 2);
	puts(verb->changes ? "" : "  Changes nothing.\n");
	size_t cursor = 0;
	struct bytes line, examples = { verb->examples, strlen(verb->examples) };
	while (text_line(examples, &cursor, &line))
		printf("  gpuferry %.*s\n", (int)line.size, (const char *)line.data);
	putchar('\n');
	option_help(app, verb);
	printf("\nExit: 0 as wished, 1 failed%s, 2 wrong usage, 3 not as wished,\n"
	       "      %s6 could not be measured\n"
	       "Manual: man gpuferry-%s\n",
	        verb->changes ? " or refused" : "", verb->changes ? "4 reboot needed, 5 another run, " : "",
	        verb->name);
}

void out_help(const struct app *app)
{
	printf("%sgpuferry%s ferries a GPU from a Proxmox VE host into the VM or CT that\ntranscodes on it.\n\n"
	       "Begin with\n"
	       "  gpuferry inspect                            what is here\n"
	       "  gpuferry plan --gpu nvidia --into vm/100    what would change, and why\n"
	       "  gpuferry apply --gpu nvidia --into vm/100   does it; rollback takes it back\n\n"
	       "Verbs\n",
	        out_colour(app, BOLD), out_plain(app));
	struct arena arena ARENA_SCOPED = { 0 };
	for (const struct verb *verb = verbs; verb->name; verb++) {
		const char *left = arena_printf(&arena, "%s%s%s", verb->name, *verb->args ? " " : "", verb->args);
		printf("  %s%s%s\n", out_colour(app, CYAN), left, out_plain(app));
		out_folded(app, verb->help, 6);
	}
	puts("\nWithout a Proxmox host at hand: gpuferry rehearse shows the whole journey,\n"
	     "gpuferry --print machines lists built-in machines, --machine NAME reads one.\n"
	     "gpuferry VERB --help tells the options, man gpuferry everything.");
}
