/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Words, numbers, lines, quoting. Pure; foreign bytes welcome.
 *
 * In facts, a string that is NULL is unknown and one that is empty is known to
 * be absent; numbers use UNKNOWN_NUMBER; yes-no questions use enum tri.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

enum tri { UNKNOWN, NO, YES }; /* zero is "not measured" */

#define UNKNOWN_NUMBER ((int64_t)-1)
#define NONE "" /* known to be absent; in JSON "none" */

static inline enum tri tri_of(bool yes)
{
	return yes ? YES : NO;
}

struct words {
	const char **word;
	size_t n;
};

/* Cuts at any of the separator characters; empty pieces are left out. */
struct words text_split(struct arena *arena, const char *text, const char *separators);
/* The words with a separator between; "" for none. */
const char *text_join(const struct words *words, const char *separator, struct arena *arena);
/* The next line of a text (without \n and a \r before it); false at the end. The line may hold zero bytes;
 * *cursor starts at 0. */
bool text_line(struct bytes text, size_t *cursor, struct bytes *ret);
/* One line as a string: cut at the first zero byte, blanks at both ends removed. */
char *text_trimmed(struct arena *arena, struct bytes line);
/* The whole of a one-line attribute ("0x10de\n" -> "0x10de"). */
char *text_attribute(struct arena *arena, struct bytes content);
bool text_has_word(const char *text, const char *word, const char *separators);
bool text_starts(const char *text, const char *prefix);
bool text_ends(const char *text, const char *suffix);
/* Does the word match the pattern with * and ? (no other sign is special)? */
bool text_matches(const char *pattern, const char *word);

/* Strict numbers: the whole text must be the number, nothing before or behind; base 0 accepts 0x. */
bool text_number(const char *text, int base, uint64_t max, uint64_t *ret);

/* Quoted for a POSIX shell: bare where harmless, else in single quotes. */
char *text_sh_quoted(struct arena *arena, const char *word);
/* A whole argv as one shell line. */
char *text_sh_line(struct arena *arena, const char *const *argv);

/* Valid UTF-8 without control characters: what is not becomes \xNN (and \n, \t as such). For terminals and messages. */
char *text_printable(struct arena *arena, struct bytes raw);
char *text_shown(struct arena *arena, const char *text); /* the same for a string */
/* Does the text begin with a sign that moves, hides or reverses what a terminal shows? Its bytes, else 0. */
size_t text_misleading(const char *text, size_t size);
/* Valid UTF-8: every byte that is not part of it becomes U+FFFD. For JSON. */
char *text_utf8(struct arena *arena, struct bytes raw);
bool text_is_utf8(struct bytes raw);

char *text_base64(struct arena *arena, struct bytes raw);
bool text_unbase64(struct arena *arena, struct bytes coded, struct bytes *ret); /* blanks and newlines are skipped */

/* Versions as the kernel and Debian write them: numbers compare as numbers ("6.8.12-4" < "6.8.12-10"). <0, 0, >0. */
int text_version_compare(const char *left, const char *right);
