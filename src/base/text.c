/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- words and lines -------------------------------------------------- */

struct words text_split(struct arena *arena, const char *text, const char *separators)
{
	struct words words = { 0 };
	if (!text)
		return words;
	while (*(text += strspn(text, separators))) {
		size_t size = strcspn(text, separators);
		*arena_push(arena, words.word, words.n) = arena_strndup(arena, text, size);
		text += size;
	}
	return words;
}

const char *text_join(const struct words *words, const char *separator, struct arena *arena)
{
	size_t size = 1;
	for (size_t i = 0; i < words->n; i++)
		size += strlen(words->word[i]) + strlen(separator);
	char *text = arena_alloc(arena, size), *end = text;
	for (size_t i = 0; i < words->n; i++) {
		if (i)
			end = stpcpy(end, separator);
		end = stpcpy(end, words->word[i]);
	}
	return text;
}

bool text_line(struct bytes text, size_t *cursor, struct bytes *ret)
{
	if (*cursor >= text.size)
		return false;
	const char *start = text.data + *cursor;
	size_t left = text.size - *cursor;
	const char *end = memchr(start, '\n', left);
	size_t size = end ? (size_t)(end - start) : left;
	*cursor += size + (end ? 1 : 0);
	if (size && start[size - 1] == '\r')
		size--;
	*ret = (struct bytes){ start, size };
	return true;
}

static bool blank(char sign)
{
	return sign == ' ' || (sign >= '\t' && sign <= '\r');
}

char *text_trimmed(struct arena *arena, struct bytes line)
{
	size_t size = line.size ? strnlen(line.data, line.size) : 0;
	const char *start = line.data;
	while (size && blank(*start)) {
		start++;
		size--;
	}
	while (size && blank(start[size - 1]))
		size--;
	return arena_strndup(arena, size ? start : "", size);
}

char *text_attribute(struct arena *arena, struct bytes content)
{
	size_t cursor = 0;
	struct bytes line = { 0 };
	return text_line(content, &cursor, &line) ? text_trimmed(arena, line) : arena_strdup(arena, "");
}

bool text_has_word(const char *text, const char *word, const char *separators)
{
	size_t want = strlen(word);
	if (!text)
		return false;
	while (*(text += strspn(text, separators))) {
		size_t size = strcspn(text, separators);
		if (size == want && memcmp(text, word, size) == 0)
			return true;
		text += size;
	}
	return false;
}

bool text_starts(const char *text, const char *prefix)
{
	return text && strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *text, const char *suffix)
{
	if (!text)
		return false;
	size_t size = strlen(text), tail = strlen(suffix);
	return size >= tail && memcmp(text + size - tail, suffix, tail) == 0;
}

bool text_matches(const char *pattern, const char *word)
{
	/* the last * seen is the only place to go back to, so this never takes more than pattern times word */
	const char *star = NULL, *retry = NULL;
	while (*word) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = word;
		} else if (*pattern == '?' || *pattern == *word) {
			pattern++;
			word++;
		} else if (star) {
			pattern = star;
			word = ++retry;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

/* ---- numbers ---------------------------------------------------------- */

bool text_number(const char *text, int base, uint64_t max, uint64_t *ret)
{
	if (!text || !isalnum((unsigned char)*text))
		return false;
	char *end = NULL;
	errno = 0;
	unsigned long long number = strtoull(text, &end, base);
	if (errno || *end || number > max)
		return false;
	*ret = number;
	return true;
}

static bool digit(char sign)
{
	return sign >= '0' && sign <= '9';
}

int text_version_compare(const char *left, const char *right)
{
	while (*left || *right) {
		if (digit(*left) && digit(*right)) {
			left += strspn(left, "0");
			right += strspn(right, "0");
			size_t l = strspn(left, "0123456789"), r = strspn(right, "0123456789");
			if (l != r)
				return l < r ? -1 : 1;
			int order = memcmp(left, right, l);
			if (order)
				return order;
			left += l;
			right += r;
		} else if (*left != *right) {
			/* "~" sorts before the end, as in Debian: 6.8~rc1 is older than 6.8 */
			int l = *left == '~' ? -1 : (unsigned char)*left;
			int r = *right == '~' ? -1 : (unsigned char)*right;
			return l - r;
		} else {
			left++;
			right++;
		}
	}
	return 0;
}

/* ---- quoting ---------------------------------------------------------- */

char *text_sh_quoted(struct arena *arena, const char *word)
{
	static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,+@%=";
	if (*word && word[strspn(word, harmless)] == '\0')
		return arena_strdup(arena, word);
	size_t quotes = 0;
	for (const char *sign = word; *sign; sign++)
		quotes += *sign == '\'';
	char *quoted = arena_alloc(arena, strlen(word) + 3 * quotes + 3), *out = quoted;
	*out++ = '\'';
	for (; *word; word++) {
		if (*word == '\'')
			out = stpcpy(out, "'\\''");
		else
			*out++ = *word;
	}
	*out = '\'';
	return quoted;
}

char *text_sh_line(struct arena *arena, const char *const *argv)
{
	size_t size = 1;
	for (const char *const *word = argv; *word; word++)
		size += 4 * strlen(*word) + 3; /* each sign a quote at worst, quotes around, a blank */
	char *line = arena_alloc(arena, size), *out = line;
	for (; *argv; argv++) {
		if (out != line)
			*out++ = ' ';
		out = stpcpy(out, text_sh_quoted(arena, *argv));
	}
	return line;
}

/* ---- UTF-8 ------------------------------------------------------------ */

/* The number of bytes of the valid UTF-8 character at the start, 0 if there is none. */
static size_t utf8_size(const unsigned char *at, size_t left)
{
	if (at[0] < 0x80)
		return 1;
	size_t size = at[0] >= 0xf0 && at[0] < 0xf5 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc2 ? 2 : 0;
	if (at[0] >= 0xf5 || size == 0 || size > left)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
	        (at[0] == 0xf4 && at[1] > 0x8f))
		return 0; /* overlong, a surrogate, or beyond U+10FFFF */
	return size;
}

bool text_is_utf8(struct bytes raw)
{
	for (size_t i = 0; i < raw.size;) {
		size_t size = utf8_size((const unsigned char *)raw.data + i, raw.size - i);
		if (!size)
			return false;
		i += size;
	}
	return true;
}

/* Signs that move, hide or reverse what a terminal shows: C1 controls, bidi marks, tags and the like. */
static bool misleading(const unsigned char *at, size_t size)
{
	if (size == 1)
		return at[0] < 0x20 || at[0] == 0x7f;
	if (size == 2)
		return (at[0] == 0xc2 && at[1] < 0xa0) || (at[0] == 0xd8 && at[1] == 0x9c);
	if (size == 4)
		return at[0] == 0xf3 && at[1] == 0xa0;
	if (size == 3 && at[0] == 0xe2 && at[1] == 0x80)
		return (at[2] >= 0x8b && at[2] <= 0x8f) || (at[2] >= 0xa8 && at[2] <= 0xae);
	if (size == 3 && at[0] == 0xe2 && at[1] == 0x81)
		return at[2] >= 0xa0 && at[2] <= 0xaf;
	return size == 3 && at[0] == 0xef &&
	       ((at[1] == 0xbb && at[2] == 0xbf) || (at[1] == 0xbf && at[2] >= 0xb9 && at[2] <= 0xbb));
}

size_t text_misleading(const char *text, size_t size)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t one = size ? utf8_size(at, size) : 0;
	return one && misleading(at, one) ? one : 0;
}

char *text_printable(struct arena *arena, struct bytes raw)
{
	static const char hex[] = "0123456789abcdef";
	char *shown = arena_alloc(arena, raw.size * 4 + 1), *out = shown;
	for (size_t i = 0; i < raw.size;) {
		const unsigned char *at = (const unsigned char *)raw.data + i;
		size_t size = utf8_size(at, raw.size - i);
		if (size && !misleading(at, size)) {
			out = mempcpy(out, at, size);
			i += size;
			continue;
		}
		for (size_t end = i + (size ? size : 1); i < end; i++) {
			unsigned char byte = (unsigned char)raw.data[i];
			if (byte == '\n' || byte == '\t') {
				*out++ = '\\';
				*out++ = byte == '\n' ? 'n' : 't';
			} else {
				*out++ = '\\';
				*out++ = 'x';
				*out++ = hex[byte >> 4];
				*out++ = hex[byte & 15];
			}
		}
	}
	*out = '\0';
	return shown;
}

char *text_shown(struct arena *arena, const char *text)
{
	return text_printable(arena, (struct bytes){ text, strlen(text) });
}

char *text_utf8(struct arena *arena, struct bytes raw)
{
	if (text_is_utf8(raw))
		return arena_strndup(arena, raw.size ? raw.data : "", raw.size);
	char *valid = arena_alloc(arena, raw.size * 3 + 1), *out = valid;
	for (size_t i = 0; i < raw.size;) {
		size_t size = utf8_size((const unsigned char *)raw.data + i, raw.size - i);
		if (size) {
			out = mempcpy(out, raw.data + i, size);
			i += size;
		} else {
			out = mempcpy(out, "\xef\xbf\xbd", 3);
			i++;
		}
	}
	*out = '\0';
	return valid;
}

/* ---- base64 (RFC 4648) ------------------------------------------------- */

static const char base64_signs[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *text_base64(struct arena *arena, struct bytes raw)
{
	char *coded = arena_alloc(arena, (raw.size + 2) / 3 * 4 + 1), *out = coded;
	for (size_t i = 0; i < raw.size; i += 3) {
		uint32_t three = 0;
		for (size_t j = 0; j < 3; j++)
			three = three << 8 | (i + j < raw.size ? (unsigned char)raw.data[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			*out++ = i + j > raw.size ? '=' : base64_signs[three >> (18 - 6 * j) & 63];
	}
	*out = '\0';
	return coded;
}

bool text_unbase64(struct arena *arena, struct bytes coded, struct bytes *ret)
{
	char *raw = arena_alloc(arena, coded.size / 4 * 3 + 4), *out = raw;
	uint32_t bits = 0;
	unsigned have = 0, padding = 0;
	for (size_t i = 0; i < coded.size; i++) {
		char sign = coded.data[i];
		if (blank(sign))
			continue;
		if (sign == '=') {
			padding++;
			continue;
		}
		const char *at = sign ? strchr(base64_signs, sign) : NULL;
		if (!at || padding)
			return false;
		bits = bits << 6 | (uint32_t)(at - base64_signs);
		if (++have == 4) {
			*out++ = (char)(bits >> 16);
			*out++ = (char)(bits >> 8);
			*out++ = (char)bits;
			have = 0;
		}
	}
	if (have == 1 || (have ? have + padding != 4 : padding != 0))
		return false;
	if (have >= 2)
		*out++ = (char)(bits >> (have == 2 ? 4 : 10));
	if (have == 3)
		*out++ = (char)(bits >> 2);
	*ret = (struct bytes){ raw, (size_t)(out - raw) };
	return true;
}
