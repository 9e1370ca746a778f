/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *must(json_t *value)
{
	if (!value)
		abort(); /* jansson fails here only without memory */
	return value;
}

json_t *json_tri(enum tri value)
{
	return must(value == UNKNOWN ? json_null() : json_boolean(value == YES));
}

json_t *json_raw_text(const char *text)
{
	if (!text)
		return must(json_null());
	json_t *value = json_string(text); /* refuses bytes that are no UTF-8 */
	if (value)
		return value;
	struct arena arena ARENA_SCOPED = { 0 };
	return must(json_string(text_utf8(&arena, (struct bytes){ text, strlen(text) })));
}

json_t *json_text(const char *text)
{
	return json_raw_text(text && !*text ? "none" : text);
}

json_t *json_number(int64_t number)
{
	return must(number == UNKNOWN_NUMBER ? json_null() : json_integer(number));
}

json_t *json_words(const char *text)
{
	if (!text)
		return must(json_null());
	struct arena arena ARENA_SCOPED = { 0 };
	struct words words = text_split(&arena, text, " \t\n");
	json_t *array = must(json_array());
	for (size_t i = 0; i < words.n; i++)
		json_add(array, json_raw_text(words.word[i]));
	return array;
}

json_t *json_hex4(int64_t id)
{
	if (id < 0)
		return must(json_null());
	char digits[5];
	snprintf(digits, sizeof digits, "%04x", (unsigned)id & 0xffff);
	return must(json_string(digits));
}

void json_put(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, must(value)))
		abort();
}

void json_add(json_t *array, json_t *value)
{
	if (json_array_append_new(array, must(value)))
		abort();
}

json_t *json_document(const char *verb)
{
	struct arena arena ARENA_SCOPED = { 0 };
	json_t *document = must(json_object());
	json_put(document, "schema", json_raw_text(arena_printf(&arena, "gpuferry.%s/1", verb)));
	return document;
}

/* Signs that mislead a terminal become \uXXXX: the same JSON, harmless to look at. They stand only in strings. */
static char *escaped(struct arena *arena, const char *text)
{
	size_t size = strlen(text), more = 0;
	for (size_t i = 0; i < size; i++)
		more += (unsigned char)text[i] >= 0x7f && text_misleading(text + i, size - i) ? 12 : 0;
	if (!more)
		return arena_strndup(arena, text, size);
	char *kept = arena_alloc(arena, size + more + 1), *out = kept;
	for (size_t i = 0; i < size;) {
		size_t n = (unsigned char)text[i] >= 0x7f ? text_misleading(text + i, size - i) : 0;
		if (!n) {
			*out++ = text[i++];
			continue;
		}
		unsigned code = (unsigned char)text[i] & (n == 1 ? 0x7f : 0xff >> (n + 1));
		for (size_t j = 1; j < n; j++)
			code = code << 6 | ((unsigned char)text[i + j] & 0x3f);
		out += n == 4 ? sprintf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
		                        0xdc00 + (code & 0x3ff))
		              : sprintf(out, "\\u%04x", code);
		i += n;
	}
	return kept;
}

static char *dumped(struct arena *arena, const json_t *document, size_t flags)
{
	char *text = json_dumps(document, flags);
	if (!text)
		abort();
	char *kept = arena_printf(arena, "%s\n", text);
	free(text);
	return kept;
}

char *json_print(struct arena *arena, const json_t *document, bool indent)
{
	return escaped(
	        arena, dumped(arena, document, (indent ? JSON_INDENT(2) : JSON_COMPACT) | JSON_REAL_PRECISION(6)));
}

enum { DEPTH_MAX = 64 };

/* jansson's own depth limit is 2048 and fixed; ours keeps later recursion shallow. */
static bool too_deep(struct bytes text)
{
	unsigned depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < text.size; i++) {
		char sign = text.data[i];
		if (quoted) {
			if (sign == '\\')
				i++;
			else if (sign == '"')
				quoted = false;
		} else if (sign == '"') {
			quoted = true;
		} else if (sign == '[' || sign == '{') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if ((sign == ']' || sign == '}') && depth) {
			depth--;
		}
	}
	return false;
}

bool json_parse(struct bytes text, const char *what, struct err *err, json_t **ret)
{
	if (too_deep(text))
		return err_set(err, ERR_INPUT, "%s: JSON nested deeper than %d levels", what, DEPTH_MAX);
	json_error_t error;
	json_t *document = json_loadb(text.data ? text.data : "", text.size, JSON_REJECT_DUPLICATES, &error);
	if (!document) {
		struct arena arena ARENA_SCOPED = { 0 };
		return err_set(
		        err, ERR_INPUT, "%s: line %d: not JSON: %s", what, error.line, text_shown(&arena, error.text));
	}
	*ret = document;
	return true;
}

const char *json_string_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}
