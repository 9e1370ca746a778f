/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The words behind a command of Proxmox VE, as its own programs read and refuse them (RESTHandler.pm, CLIHandler.pm).
 */
#include <string.h>

#include "rehearse/pve.h"

/* ---- a command's words ---- */

static int usage(struct model_call *call, const char *command)
{
	model_err(call, "%s <vmid> [OPTIONS]\n", command);
	return PVE_USAGE;
}

static bool add_argument(
        struct model_call *call, const char *command, struct pve_arguments *ret, const char *name, const char *value)
{
	const struct pve_option *option = pve_option_of(command, name);
	size_t at = ret->n;
	(void)arena_push(call->rehearse->arena, ret->argument, ret->n);
	for (; at && strcmp(ret->argument[at - 1].name, name) > 0; at--)
		ret->argument[at] = ret->argument[at - 1];
	ret->argument[at] = (struct pve_argument){ option, name, value };
	return option != NULL;
}

/* "--name value", "-name=value"; a boolean may stand alone. The words it takes; 0: unknown. */
static size_t take_option(struct model_call *call, const char *command, size_t at, struct pve_arguments *ret)
{
	struct arena *arena = call->rehearse->arena;
	const char *name = call->argv[at] + (text_starts(call->argv[at], "--") ? 2 : 1);
	const char *equals = strchr(name, '='), *next = at + 1 < call->n ? call->argv[at + 1] : NULL;
	if (equals)
		name = arena_strndup(arena, name, (size_t)(equals - name));
	const struct pve_option *option = pve_option_of(command, name);
	if (!option) {
		model_err(call, "Unknown option: %s\n", name);
		return 0;
	}
	bool alone = option->format == PVE_BOOLEAN && (!next || (*next == '-' && !equals));
	if (!equals && !next && !alone) {
		model_err(call, "Option %s requires an argument\n", name);
		return 0;
	}
	add_argument(call, command, ret, name, equals ? equals + 1 : alone ? "1" : next);
	return equals || alone ? 1 : 2;
}

static bool check_arguments(struct model_call *call, const char *command, const struct pve_arguments *arguments)
{
	struct arena *arena = call->rehearse->arena;
	bool any = false;
	for (size_t i = 0; i < arguments->n; i++) {
		const struct pve_argument *argument = &arguments->argument[i];
		const char *wrong = pve_option_check(
		        argument->option, argument->name, argument->value, pve_version(call->rehearse), arena);
		if (!wrong)
			continue;
		if (!any)
			model_err(call, "400 Parameter verification failed.\n");
		any = true;
		model_err(call, "%s: %s\n", argument->name, wrong);
	}
	if (any)
		usage(call, command);
	return !any;
}

bool pve_arguments(struct model_call *call, const char *command, size_t plain, struct pve_arguments *ret, int *status)
{
	struct pve_arguments found = { 0 };
	size_t at = text_split(call->rehearse->arena, command, " ").n;
	*status = PVE_USAGE;
	while (at < call->n) {
		const char *word = call->argv[at];
		if (strcmp(word, "--") == 0) {
			found.rest = call->argv + at + 1;
			break;
		}
		if (*word == '-' && word[1]) {
			size_t took = take_option(call, command, at, &found);
			if (!took) {
				model_err(call, "400 unable to parse option\n");
				return usage(call, command) == 0;
			}
			at += took;
		} else {
			*arena_push(call->rehearse->arena, found.plain.word, found.plain.n) = word;
			at++;
		}
	}
	if (found.plain.n < plain || (found.plain.n > plain && !found.rest)) {
		model_err(call, found.plain.n < plain ? "400 not enough arguments\n" : "400 too many arguments\n");
		return usage(call, command) == 0;
	}
	if (!check_arguments(call, command, &found))
		return false;
	*ret = found;
	return true;
}

const char *pve_argument(const struct pve_arguments *arguments, const char *name)
{
	for (size_t i = 0; i < arguments->n; i++)
		if (strcmp(arguments->argument[i].name, name) == 0)
			return arguments->argument[i].value;
	return NULL;
}
