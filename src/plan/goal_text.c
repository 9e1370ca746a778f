/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The goal as the YAML of a goal file, so that a run can go on after the reboot with what was wished. What goal_parse
 * makes of it is the same goal.
 */
#include <string.h>

#include "plan/route.h"
#include "rules/check.h"

struct text {
	struct arena *arena;
	const char *text;
	const char *block; /* "service": its heading is still to be written */
	bool in_block;
};

/* Quoted so that nothing in it means anything to YAML: goal values hold no control characters. */
static const char *quoted(struct arena *arena, const char *value)
{
	char *text = arena_alloc(arena, strlen(value) * 2 + 3), *end = text;
	*end++ = '"';
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			*end++ = '\\';
		*end++ = *value;
	}
	*end = '"';
	return text;
}

static void raw(struct text *text, const char *key, const char *value)
{
	if (!value)
		return;
	if (text->block) {
		text->text = arena_printf(text->arena, "%s%s:\n", text->text, text->block);
		text->block = NULL;
	}
	text->text = arena_printf(text->arena, "%s%s%s: %s\n", text->text, text->in_block ? "  " : "", key, value);
}

static void say(struct text *text, const char *key, const char *value)
{
	raw(text, key, value ? quoted(text->arena, value) : NULL);
}

static void number(struct text *text, const char *key, int64_t value)
{
	if (value != UNKNOWN_NUMBER)
		raw(text, key, arena_printf(text->arena, "%lld", (long long)value));
}

static void list(struct text *text, const char *key, const struct words *words)
{
	struct words quotes = { 0 };
	for (size_t i = 0; i < words->n; i++)
		*arena_push(text->arena, quotes.word, quotes.n) = quoted(text->arena, words->word[i]);
	if (words->n)
		raw(text, key, arena_printf(text->arena, "[%s]", text_join(&quotes, ", ", text->arena)));
}

static void block(struct text *text, const char *name)
{
	text->block = name;
	text->in_block = name;
}

static const char *into(const struct goal *goal, struct arena *arena)
{
	if (goal->into == GUEST_UNKNOWN)
		return NULL;
	if (goal->into_new)
		return "vm/new";
	return arena_printf(arena, "%s/%lld", goal->into == GUEST_CT ? "ct" : "vm", (long long)goal->into_id);
}

static const char *window(const struct goal *goal, struct arena *arena)
{
	if (goal->window_from == UNKNOWN_NUMBER)
		return NULL;
	return arena_printf(arena, "%02d:%02d-%02d:%02d", (int)(goal->window_from / 60), (int)(goal->window_from % 60),
	        (int)(goal->window_to / 60), (int)(goal->window_to % 60));
}

const char *plan_goal_text(const struct goal *goal, struct arena *arena)
{
	static const char *const kinds[] = { NULL, "emby", "jellyfin", "ffmpeg" };
	struct text text = { .arena = arena, .text = "" };
	say(&text, "gpu", goal->gpu);
	say(&text, "into", into(goal, arena));
	say(&text, "reach", goal->reach);
	say(&text, "window", window(goal, arena));
	if (goal->confirm_seconds != UNKNOWN_NUMBER)
		say(&text, "confirm", arena_printf(arena, "%llds", (long long)goal->confirm_seconds));
	say(&text, "affinity", goal->affinity);
	if (goal->hugepages == HUGEPAGES_ANY)
		raw(&text, "hugepages", "any");
	else
		number(&text, "hugepages", goal->hugepages);
	if (goal->remove_raw_lxc != UNKNOWN)
		raw(&text, "remove_raw_lxc", goal->remove_raw_lxc == YES ? "true" : "false");
	list(&text, "accept", &goal->accept);
	block(&text, "service");
	say(&text, "kind", kinds[goal->service.kind]);
	say(&text, "compose", goal->service.compose);
	say(&text, "name", goal->service.name);
	say(&text, "url", goal->service.url);
	say(&text, "token_file", goal->service.token_file);
	block(&text, "encoder");
	list(&text, "prefer", &goal->prefer);
	list(&text, "veto", &goal->veto);
	block(&text, "new");
	say(&text, "storage", goal->create.storage);
	if (goal->create.disk_gib != UNKNOWN_NUMBER)
		say(&text, "disk", arena_printf(arena, "%lldG", (long long)goal->create.disk_gib));
	say(&text, "image", goal->create.image);
	say(&text, "sha256", goal->create.sha256);
	say(&text, "bridge", goal->create.bridge);
	number(&text, "memory", goal->create.memory_mib);
	number(&text, "cores", goal->create.cores);
	say(&text, "ssh_key", goal->create.ssh_key);
	return text.text;
}
