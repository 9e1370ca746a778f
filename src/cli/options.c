/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <getopt.h>
#include <stddef.h>
#include <string.h>

#include "cli/cli.h"

const struct option_row option_rows[] = {
	{ "json", 'j', NULL, "print JSON: stable keys, null is unknown", NULL, OPTION_FLAG, offsetof(struct app, json) },
	{ "quiet", 'q', NULL, "print less: verify only what is not as wished", NULL, OPTION_FLAG, offsetof(struct app, quiet) },
	{ "color", 0, "WHEN", "colours: auto, always or never", "auto always never", OPTION_VALUE, offsetof(struct app, color) },
	{ "host", 'H', "URL", "read another node over ssh, as ssh://root@pve", NULL, OPTION_VALUE, offsetof(struct app, host) },
	{ "machine", 'm', "PATH", "read a tape, a folder laid out as a root, a bare sys/ tree, a .machine text, or a built-in "
		"machine by name; may be given more than once", "file", OPTION_MANY, offsetof(struct app, machines) },
	{ "gpu", 0, "GPU", "goal: a PCI address, nvidia, intel, amd, or auto", "auto nvidia intel amd", OPTION_GOAL, 0 },
	{ "into", 0, "GUEST", "goal: the guest, as vm/100 or ct/105", NULL, OPTION_GOAL, 0 },
	{ "reach", 0, "URL", "goal: how to get inside, as ssh://admin@media.lan", NULL, OPTION_GOAL, 0 },
	{ "accept", 0, "RULE", "goal: a risk knowingly taken, by its rule id", NULL, OPTION_GOAL, 0 },
	{ "help", 'h', NULL, "print help", NULL, OPTION_FLAG, 0 },
	{ "version", 'V', NULL, "print the version", NULL, OPTION_FLAG, 0 },
	{ 0 },
};

bool options_fit(const struct verb *verb, const struct option_row *row)
{
	if (row->kind == OPTION_GOAL)
		return verb && verb->goal;
	if (strcmp(row->name, "machine") == 0 || strcmp(row->name, "host") == 0)
		return verb && verb->machine;
	return true;
}

static bool take(struct app *app, const struct option_row *row, const char *value, struct err *err)
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
	case OPTION_GOAL:
		return goal_set(&app->goal, row->name, value, app->arena, err);
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
	if (app->host && app->machines.n)
		return err_set(err, ERR_USAGE, "--host and --machine name two different machines: give one of them");
	return true;
}

int options_parse(struct app *app, int argc, char **argv, struct err *err)
{
	enum { ROWS = sizeof option_rows / sizeof *option_rows };
	struct option longs[ROWS] = {0};
	char shorts[2 * ROWS + 2] = ":", *end = shorts + 1;
	for (size_t i = 0; option_rows[i].name; i++) {
		longs[i] = (struct option){ option_rows[i].name, option_rows[i].argument ? required_argument : no_argument,
			NULL, (int)(256 + i) };
		if (option_rows[i].letter) {
			*end++ = option_rows[i].letter;
			if (option_rows[i].argument)
				*end++ = ':';
		}
	}
	opterr = 0;
	optind = 1;
	for (int got; (got = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
		if (got == ':' || got == '?') {
			const char *word = text_shown(app->arena, argv[optind > 1 ? optind - 1 : 1]);
			err_set(err, ERR_USAGE, got == ':' ? "%s: a value is missing" : "%s: no such option", word);
			err_hint(err, "see: gpuferry%s%s --help", app->verb ? " " : "", app->verb ? app->verb->name : "");
			return -1;
		}
		size_t i = 0;
		while (got < 256 ? option_rows[i].letter != got : got - 256 != (int)i)
			i++;
		const struct option_row *row = &option_rows[i];
		if (app->verb && !options_fit(app->verb, row)) {
			err_set(err, ERR_USAGE, "%s: --%s has no meaning here", app->verb->name, row->name);
			err_hint(err, "see: gpuferry %s --help", app->verb->name);
			return -1;
		}
		if (!take(app, row, optarg, err))
			return -1;
	}
	if (!check(app, err))
		return -1;
	int left = argc - optind;
	memmove(argv, argv + optind, (size_t)left * sizeof *argv);
	argv[left] = NULL;
	return left;
}
