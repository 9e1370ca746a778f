/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The words of a line of a machine's text: quotes, options, numbers, names, paths; and what is said about bad ones.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rehearse/machine_text.h"

/* ---- messages ---- */

bool machine_fail(const struct machine_line *line, struct err *err, const char *format, ...)
{
	char text[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return err_set(err, ERR_INPUT, "%s:%u: %s", line->text, line->line, text);
}

const char *machine_shown(struct arena *arena, const char *word)
{
	size_t size = strnlen(word, 80);
	return text_printable(arena, (struct bytes){ word, size });
}

/* ---- words of a line ---- */

bool machine_blank(char sign)
{
	return sign == ' ' || sign == '\t';
}

static const char escapes[][2] = { { '"', '"' }, { '\\', '\\' }, { 'n', '\n' }, { 't', '\t' } };

static bool unescape(char sign, char *ret)
{
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
		if (escapes[i][0] == sign) {
			*ret = escapes[i][1];
			return true;
		}
	return false;
}

/* One word from *at; double quotes may stand anywhere in it. Returns what is wrong, or NULL. */
static const char *read_word(struct bytes text, size_t *at, char *out, size_t *ret_size, bool *ret_quoted)
{
	size_t size = 0;
	bool inside = false;
	for (; *at < text.size && (inside || !machine_blank(text.data[*at])); (*at)++) {
		char sign = text.data[*at];
		if ((unsigned char)sign < ' ' && sign != '\t')
			return "a control character in a statement";
		if (sign == '"') {
			inside = !inside;
			*ret_quoted = true;
		} else if (sign == '\\' && inside) {
			if (++*at >= text.size || !unescape(text.data[*at], &out[size++]))
				return "a backslash stands before \", \\, n or t";
		} else {
			out[size++] = sign;
		}
	}
	*ret_size = size;
	return inside ? "a quote is not closed" : NULL;
}

bool machine_words(struct machine_reader *reader, struct machine_line *line, struct bytes text)
{
	char *room = arena_alloc(reader->arena, text.size + 1);
	size_t at = 0, n_quoted = 0;
	for (;;) {
		while (at < text.size && machine_blank(text.data[at]))
			at++;
		if (at >= text.size || text.data[at] == '#')
			return true;
		size_t size = 0;
		bool quoted = false;
		const char *wrong = read_word(text, &at, room, &size, &quoted);
		if (wrong)
			return FAIL("%s", wrong);
		*arena_push(reader->arena, line->word, line->n) = arena_strndup(reader->arena, room, size);
		*arena_push(reader->arena, line->quoted, n_quoted) = quoted;
	}
}

const char *machine_option(const struct machine_line *line, size_t from, const char *name)
{
	size_t size = strlen(name);
	for (size_t i = from; i < line->n; i++)
		if (strncmp(line->word[i], name, size) == 0 && line->word[i][size] == '=')
			return line->word[i] + size + 1;
	return NULL;
}

bool machine_has_word(const struct machine_line *line, size_t from, const char *word)
{
	for (size_t i = from; i < line->n; i++)
		if (strcmp(line->word[i], word) == 0)
			return true;
	return false;
}

bool machine_only_options(
        const struct machine_line *line, size_t from, const char *known, struct arena *arena, struct err *err)
{
	for (size_t i = from; i < line->n; i++) {
		size_t size = strcspn(line->word[i], "=");
		bool value = line->word[i][size] == '=';
		const char *name =
		        arena_printf(arena, "%.*s%s", (int)(size < 40 ? size : 40), line->word[i], value ? "=" : "");
		if (!text_has_word(known, name, " "))
			return machine_fail(
			        line, err, "\"%s\" is none of: %s", machine_shown(arena, line->word[i]), known);
	}
	return true;
}

bool machine_number_option(const struct machine_line *line, size_t from, const char *name, int base, uint64_t max,
        struct err *err, uint64_t *ret)
{
	const char *text = machine_option(line, from, name);
	if (text && !text_number(text, base, max, ret))
		return machine_fail(line, err, "%s= takes a number%s", name, base == 8 ? " in octal" : "");
	return true;
}

static const struct {
	const char *name;
	int number;
} errnos[] = {
	{ "EACCES", EACCES },
	{ "EPERM", EPERM },
	{ "EIO", EIO },
	{ "ELOOP", ELOOP },
	{ "EISDIR", EISDIR },
	{ "EINVAL", EINVAL },
	{ "EFBIG", EFBIG },
	{ "ENXIO", ENXIO },
	{ "ENODEV", ENODEV },
	{ "EBUSY", EBUSY },
	{ "ENOTDIR", ENOTDIR },
	{ "ENOENT", ENOENT },
	{ "ETIMEDOUT", ETIMEDOUT },
	{ "0", 0 },
};

bool machine_errno(const char *text, int *ret)
{
	for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++)
		if (strcmp(errnos[i].name, text) == 0) {
			*ret = errnos[i].number;
			return true;
		}
	return false;
}

/* ---- duplicates, paths ---- */

bool machine_once(struct machine_reader *reader, const struct machine_line *line, const char *kind, const char *name)
{
	const char *key = arena_printf(reader->arena, "%s %s", kind, name);
	const struct machine_line *before = map_find(&reader->seen, key);
	if (before)
		return FAIL("%s %s was already said in line %u", kind, SHOWN(name), before->line);
	map_put(&reader->seen, reader->arena, key, arena_new(reader->arena, struct machine_line));
	*(struct machine_line *)map_find(&reader->seen, key) = *line;
	return true;
}

bool machine_path_fits(const char *path)
{
	size_t depth = 0;
	for (const char *at = path; *at; at++)
		depth += *at == '/' && at[1] != '/' && at[1];
	return depth && depth <= MACHINE_DEPTH_MAX && strlen(path) <= MACHINE_PATH_MAX;
}

bool machine_check_path(struct machine_reader *reader, const struct machine_line *line, const char *path)
{
	if (path[0] != '/')
		return FAIL("a path begins with /, not as \"%s\" does", SHOWN(path));
	if (!machine_path_fits(path))
		return FAIL("the path is empty, longer than %d or deeper than %d: %s", MACHINE_PATH_MAX,
		        MACHINE_DEPTH_MAX, SHOWN(path));
	for (const char *at = path; (at = strchr(at, '/')); at++) {
		size_t size = strcspn(at + 1, "/");
		if (size == 0 || (size <= 2 && strspn(at + 1, ".") == size))
			return FAIL("the path has an empty part, . or ..: %s", SHOWN(path));
	}
	return true;
}

/* ---- forms of a word ---- */

bool machine_hex(const char *text, size_t n, unsigned *ret)
{
	char digits[9] = { 0 };
	uint64_t number;
	if (n >= sizeof digits || strnlen(text, n) < n)
		return false;
	memcpy(digits, text, n);
	if (strspn(digits, "0123456789abcdef") != n || !text_number(digits, 16, UINT32_MAX, &number))
		return false;
	*ret = (unsigned)number;
	return true;
}

bool machine_is_name(const char *text)
{
	static const char signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	return strlen(text) <= 64 && text[strspn(text, signs)] == '\0' && text[0] != '.';
}

bool machine_is_names(const char *text)
{
	static const char signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_,:";
	return strlen(text) <= 200 && text[strspn(text, signs)] == '\0';
}

bool machine_is_text(const char *text)
{
	return strlen(text) <= 300 && !strpbrk(text, "\n");
}

bool machine_is_plain(const char *text)
{
	return machine_is_text(text) && !strpbrk(text, "\"\\\t") && text_is_utf8((struct bytes){ text, strlen(text) });
}

bool machine_range(const char *text, uint64_t *ret_start, uint64_t *ret_end, const char **ret_rest)
{
	char number[2][20] = { { 0 } };
	size_t size[2];
	for (int i = 0; i < 2; i++) {
		size[i] = strspn(text, "0123456789abcdef");
		if (size[i] == 0 || size[i] > 16)
			return false;
		memcpy(number[i], text, size[i]);
		text += size[i];
		if (i == 0 && *text++ != '-')
			return false;
	}
	uint64_t start, end;
	if (!text_number(number[0], 16, UINT64_MAX, &start) || !text_number(number[1], 16, UINT64_MAX, &end) ||
	        end < start)
		return false;
	*ret_start = start;
	*ret_end = end;
	*ret_rest = text;
	return true;
}
