/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- command line ------------------------------------------------------ */

#define SPACES " \t\n\v\f\r"

/* One argument as the kernel's next_arg (lib/cmdline.c) cuts it: blanks inside double quotes belong to it; a quote
 * before the word or before the value is taken off, and so is its partner at the end. */
struct argument {
	struct bytes name, value;
	bool has_value;
};

static bool next_argument(const char **cmdline, struct argument *ret)
{
	const char *text = *cmdline + strspn(*cmdline, SPACES);
	if (!*text)
		return false;
	bool word_quoted = *text == '"', quoted = word_quoted;
	text += word_quoted;
	const char *end = text, *equals = NULL;
	for (; *end && (quoted || !strchr(SPACES, *end)); end++) {
		if (*end == '=' && !equals && end > text)
			equals = end;
		if (*end == '"')
			quoted = !quoted;
	}
	*cmdline = end;
	const char *value = equals ? equals + 1 : end;
	bool value_quoted = equals && *value == '"';
	value += value_quoted;
	if ((word_quoted || value_quoted) && end > value && end[-1] == '"')
		end--;
	else if (word_quoted && !equals && end > text && end[-1] == '"')
		end--;
	*ret = (struct argument){
		.name = { text, equals ? (size_t)(equals - text) : (size_t)(end - text) },
		.value = { value, equals ? (size_t)(end - value) : 0 },
		.has_value = equals != NULL,
	};
	return true;
}

/* The kernel and modprobe both take - for _ in a parameter's name. */
static bool same_parameter(struct bytes name, const char *wanted, size_t size)
{
	if (name.size != size)
		return false;
	for (size_t i = 0; i < size; i++)
		if (name.data[i] != wanted[i] && !(strchr("-_", name.data[i]) && strchr("-_", wanted[i])))
			return false;
	return true;
}

struct words boot_cmdline_words(const char *cmdline, struct arena *arena)
{
	struct words words = {0};
	struct argument argument;
	while (cmdline && next_argument(&cmdline, &argument)) {
		size_t size = argument.name.size;
		char *word = arena_alloc(arena, size + argument.value.size + 2);
		memcpy(word, argument.name.data, size);
		if (argument.has_value) {
			word[size] = '=';
			memcpy(word + size + 1, argument.value.data, argument.value.size);
		}
		*arena_push(arena, words.word, words.n) = word;
	}
	return words;
}

const char *boot_cmdline_value(const char *cmdline, const char *name, struct arena *arena)
{
	const char *found = NULL;
	struct argument argument;
	while (cmdline && next_argument(&cmdline, &argument))
		if (same_parameter(argument.name, name, strlen(name)))
			found = arena_strndup(arena, argument.value.data, argument.value.size);
	return found;
}

bool boot_cmdline_has(const char *cmdline, const char *word)
{
	size_t size = strcspn(word, "=");
	const char *value = word[size] ? word + size + 1 : NULL;
	struct argument argument;
	while (cmdline && next_argument(&cmdline, &argument))
		if (same_parameter(argument.name, word, size) && argument.has_value == (value != NULL) &&
			(!value || (strlen(value) == argument.value.size &&
					   memcmp(value, argument.value.data, argument.value.size) == 0)))
			return true;
	return false;
}
