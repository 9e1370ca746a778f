/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/package.h"

#include <string.h>

struct stanza {
	struct bytes name, version, status;
};

/* The value of "Field: value" if the line is that field; continuation lines begin with a blank and never match. */
static bool field_is(struct bytes line, const char *field, struct bytes *ret)
{
	size_t size = strlen(field);
	if (line.size < size || memcmp(line.data, field, size) != 0)
		return false;
	const char *value = line.data + size;
	size_t left = line.size - size;
	for (; left && (*value == ' ' || *value == '\t'); left--)
		value++;
	while (left && (value[left - 1] == ' ' || value[left - 1] == '\t'))
		left--;
	*ret = (struct bytes){ value, left };
	return true;
}

static bool ends(struct bytes text, const char *end)
{
	size_t size = strlen(end);
	return text.size >= size && memcmp(text.data + text.size - size, end, size) == 0;
}

/* "install ok installed": only the third word tells whether the files are there. */
static bool is_wanted(struct bytes status, bool present)
{
	if (present)
		return status.size && !ends(status, " not-installed") && !ends(status, " config-files");
	return ends(status, " installed");
}

static void stanza_end(
        struct arena *arena, struct stanza *stanza, const char *const *patterns, bool present, struct words *ret)
{
	if (is_wanted(stanza->status, present) && stanza->name.size && stanza->name.size < 256 && stanza->version.size < 256) {
		char name[256];
		memcpy(name, stanza->name.data, stanza->name.size);
		name[stanza->name.size] = '\0';
		for (; *patterns; patterns++) {
			if (!text_matches(*patterns, name))
				continue;
			*arena_push(arena, ret->word, ret->n) =
			        arena_printf(arena, "%s %.*s", name, (int)stanza->version.size, stanza->version.data);
			break;
		}
	}
	*stanza = (struct stanza){ .version = { "", 0 } };
}

static struct words parse(struct bytes status, const char *const *patterns, bool present, struct arena *arena)
{
	struct words packages = { 0 };
	struct stanza stanza = { .version = { "", 0 } };
	struct bytes line, value;
	for (size_t cursor = 0; text_line(status, &cursor, &line);) {
		if (line.size == 0)
			stanza_end(arena, &stanza, patterns, present, &packages);
		else if (field_is(line, "Package:", &value))
			stanza.name = value;
		else if (field_is(line, "Version:", &value))
			stanza.version = value;
		else if (field_is(line, "Status:", &value))
			stanza.status = value;
	}
	stanza_end(arena, &stanza, patterns, present, &packages);
	return packages;
}

struct words package_parse(struct bytes status, const char *const *patterns, struct arena *arena)
{
	return parse(status, patterns, false, arena);
}

struct words package_parse_present(struct bytes status, const char *const *patterns, struct arena *arena)
{
	return parse(status, patterns, true, arena);
}

const char *const package_policy[] = { "apt-cache", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
	"policy", "nvidia-kernel-dkms", "nvidia-open-kernel-dkms", NULL };

struct words package_parse_policy(struct bytes output, const char *field, struct arena *arena)
{
	const char *begin = arena_printf(arena, "%s: ", field);
	struct words ret = { 0 };
	struct bytes line;
	const char *name = NULL;
	for (size_t cursor = 0; text_line(output, &cursor, &line);) {
		const char *plain = text_trimmed(arena, line);
		size_t size = strlen(plain);
		if (line.size && *line.data != ' ' && size && plain[size - 1] == ':')
			name = arena_strndup(arena, plain, size - 1);
		else if (name && text_starts(plain, begin) && strcmp(plain + strlen(begin), "(none)") != 0)
			*arena_push(arena, ret.word, ret.n) = arena_printf(arena, "%s %s", name, plain + strlen(begin));
	}
	return ret;
}

const char *package_version(const struct words *packages, const char *name)
{
	size_t size = strlen(name);
	for (size_t i = 0; i < packages->n; i++)
		if (strncmp(packages->word[i], name, size) == 0 && packages->word[i][size] == ' ')
			return packages->word[i] + size + 1;
	return NULL;
}
