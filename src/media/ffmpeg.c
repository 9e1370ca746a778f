/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "media/ffmpeg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"

enum { CODEC_MAJOR_4_4 = 58, CODEC_MINOR_4_4 = 134, ANSWER_MS = 20000 };

static const struct {
	const char *path, *origin;
} places[] = {
	{ "/usr/bin/ffmpeg", "distribution" },
	{ "/usr/local/bin/ffmpeg", "local" },
	{ "/usr/lib/jellyfin-ffmpeg/ffmpeg", "jellyfin" },
	{ "/opt/emby-server/bin/emby-ffmpeg", "emby" },
};

/* ---- pure parts ------------------------------------------------------- */

/* "libavcodec     59. 37.100 / 59. 37.100" -> 59 and 37, of the library that runs */
static void library_version(const char *line, struct arena *arena, int64_t *ret_major, int64_t *ret_minor)
{
	const char *slash = strchr(line, '/');
	struct words numbers = slash ? text_split(arena, slash + 1, ". ") : (struct words){ 0 };
	uint64_t major, minor;
	if (numbers.n < 2 || !text_number(numbers.word[0], 10, INT32_MAX, &major) ||
	        !text_number(numbers.word[1], 10, INT32_MAX, &minor))
		return;
	*ret_major = (int64_t)major;
	*ret_minor = (int64_t)minor;
}

static void parse_version(
        struct bytes text, struct arena *arena, const char **ret_version, int64_t *ret_major, int64_t *ret_minor)
{
	struct bytes line;
	*ret_version = NULL;
	*ret_major = *ret_minor = UNKNOWN_NUMBER;
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		const char *said = text_trimmed(arena, line);
		if (!*ret_version && text_starts(said, "ffmpeg version ")) {
			const char *version = said + strlen("ffmpeg version ");
			*ret_version = text_shown(arena, arena_strndup(arena, version, strcspn(version, " ")));
		}
		if (*ret_version && text_starts(said, "libavcodec "))
			library_version(said, arena, ret_major, ret_minor);
	}
}

void ffmpeg_parse_version(struct bytes text, struct arena *arena, const char **ret_version, int64_t *ret_codec_major)
{
	int64_t minor;
	parse_version(text, arena, ret_version, ret_codec_major, &minor);
}

/* A row is flags, a name, and for people a text; a legend ends in a line of dashes in some of the lists. */
static struct words names_where(struct bytes text, struct arena *arena, bool (*wanted)(const struct words *row))
{
	struct words names = { 0 };
	struct bytes line;
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		struct words row = text_split(arena, text_trimmed(arena, line), " \t");
		if (row.n >= 2 && strcmp(row.word[1], "=") != 0 && wanted(&row))
			*arena_push(arena, names.word, names.n) = row.word[1];
	}
	return names;
}

/* "V....D h264_nvenc", "VFS..D" in decoders: six signs */
static bool is_video_coder(const struct words *row)
{
	const char *flags = row->word[0];
	return strlen(flags) == 6 && flags[0] == 'V' && strspn(flags + 1, ".FSXBD") == 5;
}

/* "T.C scale  V->V  ..."; since 8 two signs */
static bool is_filter(const struct words *row)
{
	const char *flags = row->word[0];
	return row->n >= 3 && strlen(flags) <= 3 && strspn(flags, ".TSC") == strlen(flags) &&
	       strstr(row->word[2], "->");
}

struct words ffmpeg_parse_coders(struct bytes text, struct arena *arena)
{
	return names_where(text, arena, is_video_coder);
}

struct words ffmpeg_parse_filters(struct bytes text, struct arena *arena)
{
	return names_where(text, arena, is_filter);
}

struct words ffmpeg_parse_hwaccels(struct bytes text, struct arena *arena)
{
	struct words names = { 0 };
	struct bytes line;
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		const char *name = text_trimmed(arena, line);
		if (*name && !strpbrk(name, " :"))
			*arena_push(arena, names.word, names.n) = name;
	}
	return names;
}

bool ffmpeg_lists(const struct words *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->word[i], name) == 0)
			return true;
	return false;
}

/* ---- the one that is there ----------------------------------------------- */

bool ffmpeg_find(struct world *world, const char *path, struct arena *arena, struct err *err, struct ffmpeg *ret,
        struct world_stat *ret_stat)
{
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		if ((path && strcmp(path, places[i].path) != 0) || world_stat(world, places[i].path, ret_stat))
			continue;
		ret->path = places[i].path;
		ret->origin = places[i].origin;
		return true;
	}
	if (!path) {
		err_set(err, ERR_INPUT, "no ffmpeg is here");
		return err_hint(err, "apt install ffmpeg, or name the one to use");
	}
	if (*path != '/')
		return err_set(err, ERR_USAGE, "%s: the path of an ffmpeg begins with /", text_shown(arena, path));
	int error = world_stat(world, path, ret_stat);
	if (error)
		return err_set(err, ERR_INPUT, "%s: %s", text_shown(arena, path), world_why(error));
	if (ret_stat->type == NODE_DIR) {
		err_set(err, ERR_INPUT, "%s: is a folder", text_shown(arena, path));
		return err_hint(err, "name the program in it: %s/ffmpeg", text_shown(arena, path));
	}
	ret->path = path;
	ret->origin = "named";
	return true;
}

static bool refuse(struct err *err, const struct ffmpeg *ffmpeg, struct arena *arena, const char *why)
{
	return err_set(err, ERR_INPUT, "%s: %s", text_shown(arena, ffmpeg->path), why);
}

enum asked { VERSION, ENCODERS, DECODERS, FILTERS, HWACCELS, ASKED };

bool ffmpeg_open(struct world *world, const char *path, struct arena *arena, struct err *err, struct ffmpeg *ret)
{
	static const char *const options[ASKED] = { "-version", "-encoders", "-decoders", "-filters", "-hwaccels" };
	struct ffmpeg found = { 0 };
	struct world_stat stat;
	struct run_job jobs[ASKED] = { 0 };
	const char *argv[ASKED][4];
	int64_t minor;
	if (!ffmpeg_find(world, path, arena, err, &found, &stat))
		return false;
	for (size_t i = 0; i < ASKED; i++) {
		const char *const words[4] = { found.path, options[i], i ? "-hide_banner" : NULL };
		memcpy(argv[i], words, sizeof words);
		jobs[i].command = (struct command){ .argv = argv[i], .deadline_ms = ANSWER_MS, .ends_with_us = true };
	}
	world_run_each(world, jobs, ASKED, ASKED, arena);
	for (size_t i = 0; i < ASKED; i++) {
		const struct outcome *outcome = &jobs[i].outcome;
		if (jobs[i].error)
			return refuse(err, &found, arena, world_why(jobs[i].error));
		if (outcome->timed_out)
			return refuse(err, &found, arena, world_why(ETIMEDOUT));
		if (outcome->status)
			return refuse(err, &found, arena, "it does not answer as an ffmpeg does");
	}
	parse_version(jobs[VERSION].outcome.out, arena, &found.version, &found.codec_major, &minor);
	if (!found.version)
		return refuse(err, &found, arena, "it does not answer as an ffmpeg does");
	bool old = found.codec_major != UNKNOWN_NUMBER &&
	           (found.codec_major < CODEC_MAJOR_4_4 ||
	                   (found.codec_major == CODEC_MAJOR_4_4 && minor < CODEC_MINOR_4_4));
	if (old) {
		refuse(err, &found, arena, arena_printf(arena, "ffmpeg %s is too old", found.version));
		return err_hint(err, "4.4 or newer is needed");
	}
	found.encoders = ffmpeg_parse_coders(jobs[ENCODERS].outcome.out, arena);
	found.decoders = ffmpeg_parse_coders(jobs[DECODERS].outcome.out, arena);
	found.filters = ffmpeg_parse_filters(jobs[FILTERS].outcome.out, arena);
	found.hwaccels = ffmpeg_parse_hwaccels(jobs[HWACCELS].outcome.out, arena);
	/* what it says of itself holds its libraries' versions: they may change below the same program */
	const char *all = arena_printf(arena, "%s\n%llu\n%lld\n%s", found.path, (unsigned long long)stat.size,
	        (long long)stat.mtime, text_utf8(arena, jobs[VERSION].outcome.out));
	found.identity = digest_sha256((struct bytes){ all, strlen(all) }, arena);
	*ret = found;
	return true;
}
