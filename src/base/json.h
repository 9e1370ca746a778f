/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The one place that knows how facts become JSON: null is unknown, "none" is
 * known to be absent, false is no. Built on jansson; documents own their values.
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"

json_t *json_tri(enum tri value);        /* null, false, true */
json_t *json_text(const char *text);     /* NULL: null; "": "none"; bytes that are no UTF-8 become U+FFFD */
json_t *json_raw_text(const char *text); /* the same, but "" stays "": for what is never "absent" (a why, a name) */
json_t *json_number(int64_t number);     /* UNKNOWN_NUMBER: null */
json_t *json_words(const char *text);    /* NULL: null; else the blank-separated words as an array */
json_t *json_hex4(int64_t id);           /* four lower-case hex digits, as lspci writes ids; UNKNOWN_NUMBER: null */

/* Puts and takes over the value; never fails (out of memory ends the program). */
void json_put(json_t *object, const char *key, json_t *value);
void json_add(json_t *array, json_t *value);

/* {"schema": "gpuferry.VERB/1"} */
json_t *json_document(const char *verb);
/* indent: pretty for a person, else one line. The text ends in a newline. */
/* Signs that mislead a terminal stand as \uXXXX. */
char *json_print(struct arena *arena, const json_t *document, bool indent);
/* Foreign JSON: duplicate keys, more than 64 levels, trailing text are errors. The caller owns the result. */
bool json_parse(struct bytes text, const char *what, struct err *err, json_t **ret);
const char *json_string_at(const json_t *object, const char *key); /* NULL where there is no such string */

static inline void json_release_(json_t **document)
{
	json_decref(*document);
}
#define JSON_SCOPED __attribute__((cleanup(json_release_)))
