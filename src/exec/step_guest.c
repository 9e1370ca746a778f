/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Guests, through qm, pct and pvesh alone: power, one key of a configuration, a PCI mapping. Nothing below /etc/pve is
 * written by file, nobody's power is cut, and a configuration is set only as it was read (--digest: the SHA-1 of the
 * file, pve-guest-common AbstractConfig.pm).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sha1.h>

#include "base/json.h"
#include "exec/command.h"
#include "exec/guest.h"
#include "exec/steps.h"

enum {
	READ_MS = 60 * 1000,
	SET_MS = 120 * 1000,
	SHUTDOWN_MS = 200 * 1000, /* a little more than qm itself waits */
	START_MS = 10 * 60 * 1000,
};
#define SHUTDOWN_SECONDS "180"

struct who {
	const char *tool, *id; /* "qm", "100" */
	const char *file;
	bool absent; /* not made yet */
};

/* "vm/100"; the id is a number and nothing else, so it is safe in an argv and a path. */
static bool who_is(struct step_run *run, struct arena *arena, struct who *ret)
{
	const char *on = run->step->on;
	bool vm = text_starts(on, "vm/");
	uint64_t id;
	if ((!vm && !text_starts(on, "ct/")) || !text_number(on + 3, 10, 999999999, &id))
		return err_set(run->err, ERR_INPUT, "this is no guest: %s", text_shown(arena, on));
	ret->tool = vm ? "qm" : "pct";
	ret->id = arena_printf(arena, "%llu", (unsigned long long)id);
	ret->file = arena_printf(arena, "/etc/pve/%s/%s.conf", vm ? "qemu-server" : "lxc", ret->id);
	ret->absent = world_exists(run->exec->node, ret->file) == NO;
	return true;
}

/* ---- power: key state, to running or stopped ---------------------------------- */

static bool power_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct who who;
	struct bytes output, line;
	if (!who_is(run, &scratch, &who))
		return false;
	if (who.absent) {
		*ret = "stopped";
		return true;
	}
	const char *const argv[] = { who.tool, "status", who.id, NULL };
	if (!exec_output(run, argv, READ_MS, &scratch, &output))
		return false;
	for (size_t cursor = 0; text_line(output, &cursor, &line);) {
		const char *text = text_trimmed(&scratch, line);
		if (!text_starts(text, "status: "))
			continue;
		*ret = arena_strdup(arena, text + strlen("status: "));
		return true;
	}
	return err_set(run->err, ERR_SYSTEM, "%s status %s: it does not say", who.tool, who.id);
}

static bool power_to(struct step_run *run, const char *wished)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct who who;
	if (!who_is(run, &scratch, &who))
		return false;
	const char *const start[] = { who.tool, "start", who.id, NULL };
	const char *const shutdown[] = { who.tool, "shutdown", who.id, "--timeout", SHUTDOWN_SECONDS, NULL };
	if (strcmp(wished, "running") == 0)
		return exec_command(run, start, START_MS);
	if (exec_command(run, shutdown, SHUTDOWN_MS))
		return true;
	return err_hint(run->err, "shut it down from inside, or see why it does not stop; its power is not cut");
}

/* A run that goes on after a boot may find that the guest has started with the node. */
static bool power_apply(struct step_run *run)
{
	const char *now;
	return power_state(run, run->exec->arena, &now) &&
	       (strcmp(now, run->step->to) == 0 || power_to(run, run->step->to));
}

static bool power_undo(struct step_run *run, const char *old, const char *blob)
{
	const char *now;
	(void)blob;
	return power_state(run, run->exec->arena, &now) && (strcmp(now, old) == 0 || power_to(run, old));
}

const struct step_ops step_power = {
	.kind = "power", .atomic = true, .state = power_state, .apply = power_apply, .undo = power_undo
};

/* ---- config: key hostpci0, dev0, ...; the value that the next start has ---------------------------------- */

/* Letters, digits, - and _: what PVE has for keys, and what cannot be an option of another kind. */
static bool key_is_sound(struct step_run *run)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	const char *key = run->step->key;
	if (*key && *key != '-' && key[strspn(key, letters)] == '\0')
		return true;
	return err_set(run->err, ERR_INPUT, "this is no key of a guest: %s", key);
}

/* The value behind "KEY: " (qm config) or "cur KEY: " (qm pending); NONE: there is no such line. */
static const char *value_in(struct bytes output, const char *before, const char *key, struct arena *arena)
{
	struct bytes line;
	const char *wanted = arena_printf(arena, "%s%s: ", before, key);
	for (size_t cursor = 0; text_line(output, &cursor, &line);) {
		const char *text = text_trimmed(arena, line);
		if (text_starts(text, wanted))
			return text + strlen(wanted);
	}
	return NONE;
}

static bool config_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct who who;
	struct bytes output;
	if (!key_is_sound(run) || !who_is(run, arena, &who))
		return false;
	if (who.absent) {
		*ret = NONE;
		return true;
	}
	const char *const argv[] = { who.tool, "config", who.id, NULL };
	if (!exec_output(run, argv, READ_MS, arena, &output))
		return false;
	*ret = value_in(output, "", run->step->key, arena);
	return true;
}

bool exec_guest_digest(struct step_run *run, const char *file, struct arena *arena, const char **ret)
{
	struct bytes text;
	int error = world_read(run->exec->node, file, 0, arena, &text);
	if (error)
		return err_set(run->err, ERR_SYSTEM, "reading %s: %s", file, world_why(error));
	char *digest = arena_alloc(arena, SHA1_DIGEST_STRING_LENGTH);
	*ret = SHA1Data((const uint8_t *)text.data, text.size, digest);
	return true;
}

/* PVE takes much that will not start: only the command line that it would run says so. */
static bool would_start(struct step_run *run, const struct who *who)
{
	const char *const argv[] = { "qm", "showcmd", who->id, NULL };
	return strcmp(who->tool, "qm") != 0 || !text_starts(run->step->key, "hostpci") ||
	       exec_command(run, argv, READ_MS);
}

static bool config_to(struct step_run *run, const char *value)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct who who;
	const char *digest, *option;
	if (!key_is_sound(run) || !who_is(run, &scratch, &who) || !exec_guest_digest(run, who.file, &scratch, &digest))
		return false;
	option = arena_printf(&scratch, "--%s", run->step->key);
	const char *const set[] = { who.tool, "set", who.id, option, value, "--digest", digest, NULL };
	const char *const drop[] = { who.tool, "set", who.id, "--delete", run->step->key, "--digest", digest, NULL };
	return exec_command(run, *value ? set : drop, SET_MS);
}

static bool config_apply(struct step_run *run)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct who who;
	return who_is(run, &scratch, &who) && config_to(run, run->step->to) && would_start(run, &who);
}

/* Where the guest runs with the old value still, the change only waits for its next start: then that is withdrawn, and
 * nothing is set anew. */
static bool only_waits(struct step_run *run, const struct who *who, const char *old, struct arena *arena)
{
	const char *const argv[] = { who->tool, "pending", who->id, NULL };
	struct bytes output;
	struct err ignored = { 0 };
	struct step_run quiet = *run;
	quiet.err = &ignored;
	if (!exec_output(&quiet, argv, READ_MS, arena, &output))
		return false;
	const char *key = run->step->key, *active = value_in(output, "cur ", key, arena);
	const char *leaving = value_in(output, "del ", key, arena), *coming = value_in(output, "new ", key, arena);
	return (*coming || *leaving) && strcmp(*leaving ? leaving : active, old) == 0;
}

static bool config_undo(struct step_run *run, const char *old, const char *blob)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct who who;
	const char *digest;
	(void)blob;
	if (!key_is_sound(run) || !who_is(run, &scratch, &who))
		return false;
	if (who.absent) /* made by this run, and gone again */
		return true;
	if (!only_waits(run, &who, old, &scratch))
		return config_to(run, old);
	const char *revert[] = { who.tool, "set", who.id, "--revert", run->step->key, "--digest", NULL, NULL };
	if (!exec_guest_digest(run, who.file, &scratch, &digest))
		return false;
	revert[6] = digest;
	return exec_command(run, revert, SET_MS);
}

const struct step_ops step_config = {
	.kind = "config", .atomic = true, .state = config_state, .apply = config_apply, .undo = config_undo
};

/* ---- mapping: key is its id; the entry of this node, its properties sorted ---------------------------------- */

static int by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* PVE prints properties in an order of its own. */
static const char *sorted(const char *entry, struct arena *arena)
{
	struct words words = text_split(arena, entry, ",");
	const char *text = NONE;
	if (words.n)
		qsort(words.word, words.n, sizeof *words.word, by_text);
	for (size_t i = 0; i < words.n; i++)
		text = arena_printf(arena, "%s%s%s", text, i ? "," : "", words.word[i]);
	return text;
}

static const char *node_of(const char *entry, struct arena *arena)
{
	struct words words = text_split(arena, entry, ",");
	for (size_t i = 0; i < words.n; i++)
		if (text_starts(words.word[i], "node="))
			return words.word[i];
	return NONE;
}

/* pve-configid: capitals too. */
static bool id_is_sound(struct step_run *run)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	const char *id = run->step->key;
	if (*id && *id != '-' && id[strspn(id, letters)] == '\0')
		return true;
	return err_set(run->err, ERR_INPUT, "this is no name of a mapping: %s", text_shown(run->exec->arena, id));
}

struct mapped {
	bool there;          /* the mapping, on whatever node */
	struct words others; /* entries of other nodes, as they stand */
	const char *ours;
};

static bool mapping_read(struct step_run *run, struct arena *arena, struct mapped *ret)
{
	static const char *const argv[] = { "pvesh", "get", "/cluster/mapping/pci", "--output-format", "json", NULL };
	struct bytes output;
	json_t *list JSON_SCOPED = NULL, *one, *entry;
	size_t i, e;
	if (!exec_output(run, argv, READ_MS, arena, &output) ||
	        !json_parse(output, "pvesh get /cluster/mapping/pci", run->err, &list))
		return false;
	*ret = (struct mapped){ .ours = NONE };
	const char *node = node_of(run->step->to, arena);
	json_array_foreach(list, i, one)
	{
		const char *id = json_string_at(one, "id");
		if (!id || strcmp(id, run->step->key) != 0)
			continue;
		ret->there = true;
		json_array_foreach(json_object_get(one, "map"), e, entry)
		{
			const char *text = arena_strdup(arena, json_string_value(entry));
			if (text && strcmp(node_of(text, arena), node) == 0)
				ret->ours = sorted(text, arena);
			else if (text)
				*arena_push(arena, ret->others.word, ret->others.n) = text;
		}
	}
	return true;
}

static bool mapping_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct mapped mapped;
	if (!mapping_read(run, arena, &mapped))
		return false;
	*ret = mapped.ours;
	return true;
}

static bool mapping_holds(const struct step *step, const char *state)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	return strcmp(sorted(step->to, &scratch), sorted(state, &scratch)) == 0;
}

/* All entries at once: pvesh has no way to change one of them. */
static bool mapping_to(struct step_run *run, const char *entry)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct mapped mapped;
	const char **argv = NULL;
	size_t n = 0;
	if (!id_is_sound(run) || !mapping_read(run, &scratch, &mapped))
		return false;
	const char *path = arena_printf(&scratch, "/cluster/mapping/pci/%s", run->step->key);
	bool drop = !*entry && !mapped.others.n;
	if (drop && !mapped.there)
		return true;
	*arena_push(&scratch, argv, n) = "pvesh";
	*arena_push(&scratch, argv, n) = drop ? "delete" : mapped.there ? "set" : "create";
	*arena_push(&scratch, argv, n) = mapped.there ? path : "/cluster/mapping/pci";
	if (!mapped.there) {
		*arena_push(&scratch, argv, n) = "--id";
		*arena_push(&scratch, argv, n) = run->step->key;
	}
	for (size_t i = 0; i < mapped.others.n; i++) {
		*arena_push(&scratch, argv, n) = "--map";
		*arena_push(&scratch, argv, n) = mapped.others.word[i];
	}
	if (*entry) {
		*arena_push(&scratch, argv, n) = "--map";
		*arena_push(&scratch, argv, n) = entry;
	}
	*arena_push(&scratch, argv, n) = NULL;
	return exec_command(run, argv, SET_MS);
}

static bool mapping_apply(struct step_run *run)
{
	return mapping_to(run, run->step->to);
}

static bool mapping_undo(struct step_run *run, const char *old, const char *blob)
{
	(void)blob;
	return mapping_to(run, old);
}

const struct step_ops step_mapping = { .kind = "mapping",
	.atomic = true,
	.state = mapping_state,
	.apply = mapping_apply,
	.holds = mapping_holds,
	.undo = mapping_undo };
