/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <getopt.h>
#include <stddef.h>
#include <string.h>

#include "cli/cli.h"

#define MEMBER(name) offsetof(struct app, name)

const struct option_row option_rows[] = {
	{ "json", 'j', NULL, "print JSON: stable keys, null is unknown", NULL, OPTION_FLAG, MEMBER(json),
	        "inspect verify plan apply rollback rehearse transcode" },
	{ "quiet", 'q', NULL, "print less: the findings without the chain, the machine without what was not seen", NULL,
	        OPTION_FLAG, MEMBER(quiet), NULL },
	{ "all", 'a', NULL, "print all: every question of the chain, everything that was not seen, whole files", NULL,
	        OPTION_FLAG, MEMBER(all), "inspect verify plan apply rollback rehearse" },
	{ "color", 0, "WHEN", "colours: auto, always or never", "auto always never", OPTION_VALUE, MEMBER(color),
	        NULL },
	{ "host", 'H', "URL",
	        "another node over ssh, as ssh://root@pve. What only reads, reads there from here; what changes runs "
	        "the gpuferry that is installed there",
	        NULL, OPTION_VALUE, MEMBER(host), "inspect verify plan apply rollback record" },
	{ "machine", 'm', "PATH",
	        "read a tape, a folder laid out as a root, a bare sys/ tree, a .machine text, or a built-in "
	        "machine by name; may be given more than once",
	        "file", OPTION_MANY, MEMBER(machines), "inspect verify plan rehearse record" },
	{ "yes", 'y', NULL,
	        "ask nothing: agree to the steps and to what they interrupt, running guests that must stop included",
	        NULL, OPTION_FLAG, MEMBER(yes), "apply rollback" },
	{ "dry-run", 'n', NULL, "show what would be done, and change nothing", NULL, OPTION_FLAG, MEMBER(dry_run),
	        "apply rollback" },
	{ "wait", 'w', NULL, "outside the goal's window: wait until it opens", NULL, OPTION_FLAG, MEMBER(wait),
	        "apply" },
	{ "reboot", 0, NULL, "reboot the node where the plan needs it; without it, --yes ends with exit 4 instead",
	        NULL, OPTION_FLAG, MEMBER(reboot), "apply" },
	{ "confirm", 0, NULL, "the change after the reboot is good: keep it", NULL, OPTION_FLAG, MEMBER(confirm),
	        "apply" },
	{ "continue", 0, NULL, "go on with a run that was interrupted, or after its reboot", NULL, OPTION_FLAG,
	        MEMBER(resume), "apply" },
	{ "run", 0, "ID", "take back this run, not the last one", NULL, OPTION_VALUE, MEMBER(run), "rollback" },
	{ "later", 0, NULL, "and the later runs that changed the same things", NULL, OPTION_FLAG, MEMBER(later),
	        "rollback" },
	{ "list", 'l', NULL, "list the runs of apply", NULL, OPTION_FLAG, MEMBER(list), "rollback" },
	{ "fail", 0, "STEP", "make a step fail: its number in the plan, or its kind", "", OPTION_VALUE, MEMBER(fail),
	        "rehearse" },
	{ "cut", 0, "N", "cut the power after N effects on the machine, then boot it and go on", "", OPTION_VALUE,
	        MEMBER(cut), "rehearse" },
	{ "keep", 0, "DIR", "leave the machine as it is after apply in a new folder", "folder", OPTION_VALUE,
	        MEMBER(keep), "rehearse" },
	{ "encoders", 'e', NULL,
	        "prove what encodes, decodes and scales here, by doing it with the ffmpeg of this machine; what was proven "
	        "is kept for a day, as long as the machine stays the same",
	        NULL, OPTION_FLAG, MEMBER(encoders), "inspect" },
	{ "ffmpeg", 0, "PATH", "prove and encode with this ffmpeg, such as /usr/lib/jellyfin-ffmpeg/ffmpeg", "program",
	        OPTION_VALUE, MEMBER(ffmpeg), "inspect serve transcode" },
	{ "fresh", 0, NULL, "take nothing from what is kept of earlier proofs and films", NULL, OPTION_FLAG, MEMBER(fresh),
	        "inspect transcode" },
	{ "print", 0, NULL, "print the command line that would be run, for any service to use, and run nothing else", NULL,
	        OPTION_FLAG, MEMBER(print), "transcode" },
	{ "codec", 0, "CODEC", "h264, hevc or av1; else the first of them that hardware encodes, h264 for HLS",
	        "h264 hevc av1", OPTION_VALUE, MEMBER(codec), "transcode" },
	{ "size", 0, "SIZE", "at most so large: a height (720), or a box (1280x720). The shape stays, nothing is enlarged",
	        "", OPTION_VALUE, MEMBER(size), "transcode" },
	{ "bitrate", 0, "RATE", "of the video, in bits a second: 4M, 2500k; else a quality", "", OPTION_VALUE,
	        MEMBER(bitrate), "transcode" },
	{ "quality", 0, "N", "as the encoders count it, 1 to 63, less is better; else what is usual for the codec", "",
	        OPTION_VALUE, MEMBER(quality), "transcode" },
	{ "audio", 0, "HOW", "aac (stereo), copy, or none", "aac copy none", OPTION_VALUE, MEMBER(audio), "transcode" },
	{ "burn", 0, "N", "draw the N-th subtitle into the picture, from 1; the others, and all without it, are dropped", "",
	        OPTION_VALUE, MEMBER(burn), "transcode" },
	{ "keep-hdr", 0, NULL, "HDR stays HDR (HEVC or AV1 of 10 bits); else it is tone mapped to SDR", NULL, OPTION_FLAG,
	        MEMBER(keep_hdr), "transcode" },
	{ "work", 0, "DIR", "where a file is in the making, such as a tmpfs with room for it; else beside the output",
	        "folder", OPTION_VALUE, MEMBER(work), "transcode" },
	{ "stall", 0, "SECONDS", "how long hardware may give no frame before software goes on; 2", "", OPTION_VALUE,
	        MEMBER(stall), "transcode" },
	{ "overwrite", 0, NULL, "replace an output that is there already", NULL, OPTION_FLAG, MEMBER(overwrite),
	        "transcode" },
	{ "listen", 0, "ADDRESS", "where to answer: 127.0.0.1:9786 (the usual one), [::1]:0 (any free port), or a path for a socket",
	        "", OPTION_VALUE, MEMBER(listen), "serve" },
	{ "every", 0, "TIME", "prove again after that time, as 90s, 10m (the usual one) or 1h", "", OPTION_VALUE, MEMBER(every),
	        "serve" },
	{ "help", 'h', NULL, "print help", NULL, OPTION_FLAG, 0, NULL },
	{ "version", 'V', NULL, "print the version", NULL, OPTION_FLAG, 0, NULL },
	{ 0 },
};

/* Whether the word is an option whose value is the next word: the first letters of a long one are enough. */
bool options_want_value(const char *word)
{
	size_t size = strlen(word);
	if (word[0] != '-' || size < 2 || strchr(word, '='))
		return false;
	bool longs = word[1] == '-';
	for (const struct option_row *row = option_rows; row->name; row++)
		if (longs ? size > 3 && strncmp(row->name, word + 2, size - 2) == 0 : row->letter == word[size - 1])
			return row->argument;
	for (const struct goal_key *key = goal_keys; longs && size > 3 && key->name; key++)
		if (key->flag && strncmp(key->flag, word + 2, size - 2) == 0)
			return true;
	return false;
}

bool options_fit(const struct verb *verb, const struct option_row *row)
{
	return !row->verbs || (verb && text_has_word(row->verbs, verb->name, " "));
}

bool options_fit_goal(const struct verb *verb, const struct goal_key *key)
{
	return key->flag && (verb->goal || (verb->wishes && text_has_word(verb->wishes, key->flag, " ")));
}

static bool take(struct app *app, const struct option_row *row, const char *value)
{
	void *member = (char *)app + row->offset;
	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)member = true;
		return true;
	case OPTION_VALUE:
		*(const char **)member = value;
		return true;
	case OPTION_MANY: {
		struct machines_asked *many = member;
		*arena_push(app->arena, many->path, many->n) = value;
		return true;
	}
	}
	return false;
}

static bool check(const struct app *app, struct err *err)
{
	static const char whens[] = "auto always never";
	if (!text_has_word(whens, app->color, " ")) {
		err_set(err, ERR_USAGE, "--color %s: no such value", text_shown(app->arena, app->color));
		return err_hint(err, "use one of: %s", whens);
	}
	if (!goal_empty(&app->goal) && !goal_check(&app->goal, err))
		return false;
	if (app->host && app->machines.n)
		return err_set(err, ERR_USAGE, "--host and --machine name two different machines: give one of them");
	return true;
}

enum { ROWS_MAX = 128, GOAL_FIRST = 1024 }; /* what getopt_long answers: 256 + row, GOAL_FIRST + goal key */

/* The tables in getopt's form: the options, then the goal's keys as flags. */
static void getopt_rows(struct option *longs, char *shorts)
{
	size_t n = 0;
	*shorts++ = ':'; /* a missing value is told from an unknown option */
	for (size_t i = 0; option_rows[i].name; i++) {
		const struct option_row *row = &option_rows[i];
		longs[n++] = (struct option){ row->name, row->argument ? required_argument : no_argument, NULL,
			(int)(256 + i) };
		if (row->letter)
			*shorts++ = row->letter;
		if (row->letter && row->argument)
			*shorts++ = ':';
	}
	for (size_t i = 0; goal_keys[i].name && n < ROWS_MAX - 1; i++)
		if (goal_keys[i].flag)
			longs[n++] =
			        (struct option){ goal_keys[i].flag, required_argument, NULL, (int)(GOAL_FIRST + i) };
	*shorts = '\0';
}

static bool misplaced(const struct app *app, const char *option, struct err *err)
{
	err_set(err, ERR_USAGE, "%s: --%s has no meaning here", app->verb->name, option);
	if (app->verb->changes && strcmp(option, "machine") == 0)
		return err_hint(err, "on a copy of that machine: gpuferry rehearse");
	return err_hint(err, "see: gpuferry %s --help", app->verb->name);
}

static void unknown_option(const struct app *app, const char *word, struct err *err)
{
	struct near near = { .word = word + strspn(word, "-") };
	for (const struct option_row *row = option_rows; row->name; row++)
		if (!app->verb || options_fit(app->verb, row))
			near_try(&near, row->name);
	for (const struct goal_key *key = goal_keys; key->name; key++)
		if (key->flag && (!app->verb || options_fit_goal(app->verb, key)))
			near_try(&near, key->flag);
	err_set(err, ERR_USAGE, "%s: no such option", text_shown(app->arena, word));
	const char *meant = word[0] == '-' && word[1] == '-' ? near_found(&near) : NULL;
	if (meant)
		err_hint(err, "did you mean --%s?", meant);
	else
		err_hint(err, "see: gpuferry%s%s --help", app->verb ? " " : "", app->verb ? app->verb->name : "");
}

static void missing_value(const struct app *app, const char *word, struct err *err)
{
	err_set(err, ERR_USAGE, "%s: a value is missing", text_shown(app->arena, word));
	err_hint(err, "see: gpuferry%s%s --help", app->verb ? " " : "", app->verb ? app->verb->name : "");
}

/* What a run on another node is called with. */
static void note_typed(struct app *app, const char *name, const char *value)
{
	if (strcmp(name, "host") != 0)
		*arena_push(app->arena, app->typed.word, app->typed.n) =
		        arena_printf(app->arena, "--%s%s%s", name, value ? "=" : "", value ? value : "");
}

static bool take_one(struct app *app, int got, struct err *err)
{
	if (got >= GOAL_FIRST) {
		const struct goal_key *key = &goal_keys[got - GOAL_FIRST];
		if (app->verb && !options_fit_goal(app->verb, key))
			return misplaced(app, key->flag, err);
		note_typed(app, key->flag, optarg);
		return goal_set(&app->goal, key->name, optarg, app->arena, err);
	}
	size_t i = 0;
	while (got < 256 ? option_rows[i].letter != got : got - 256 != (int)i)
		i++;
	if (app->verb && !options_fit(app->verb, &option_rows[i]))
		return misplaced(app, option_rows[i].name, err);
	note_typed(app, option_rows[i].name, option_rows[i].argument ? optarg : NULL);
	return take(app, &option_rows[i], optarg);
}

int options_parse(struct app *app, int argc, char **argv, struct err *err)
{
	struct option longs[ROWS_MAX] = { 0 };
	char shorts[2 * ROWS_MAX];
	getopt_rows(longs, shorts);
	opterr = 0;
	optind = 1;
	for (int got; (got = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
		if (got == ':' || got == '?') {
			(got == ':' ? missing_value : unknown_option)(app, argv[optind > 1 ? optind - 1 : 1], err);
			return -1;
		}
		if (!take_one(app, got, err))
			return -1;
	}
	if (!check(app, err))
		return -1;
	int left = argc - optind;
	memmove(argv, argv + optind, (size_t)left * sizeof *argv);
	argv[left] = NULL;
	return left;
}
