/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "media/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FDINFO_MAX = 16384, DEPTH_MAX = 3, CHILDREN_MAX = 8 };

/* The engines that encode, by driver. From VCN 4 on one ring of AMD's does both, and which of the two names it has
 * differs; a process that decodes nothing there is busy on it by encoding. */
static const struct {
	const char *driver, *engine;
} encoding[] = {
	{ "i915", "video" },
	{ "xe", "vcs" },
	{ "amdgpu", "enc" },
	{ "amdgpu", "dec" },
};

static bool encodes(const struct engine_seen *seen)
{
	for (size_t i = 0; i < sizeof encoding / sizeof *encoding; i++) {
		size_t size = strlen(encoding[i].engine);
		/* "enc_1" is one too, "video-enhance" is another */
		if (strcmp(seen->driver, encoding[i].driver) == 0 &&
		        strncmp(seen->name, encoding[i].engine, size) == 0 && strchr("_", seen->name[size]))
			return true;
	}
	return false;
}

static struct engine_seen *find(struct engine_meter *meter, const struct engine_seen *like)
{
	for (unsigned i = 0; i < meter->n; i++) {
		struct engine_seen *seen = &meter->seen[i];
		if (seen->client == like->client && strcmp(seen->pci, like->pci) == 0 &&
		        strcmp(seen->driver, like->driver) == 0 && strcmp(seen->name, like->name) == 0)
			return seen;
	}
	if (meter->n == ENGINES_MAX)
		return NULL;
	meter->seen[meter->n] = *like;
	meter->seen[meter->n].busy = 0;
	return &meter->seen[meter->n++];
}

static void copy(char *to, size_t room, const char *text)
{
	snprintf(to, room, "%s", text);
}

/* "drm-engine-video:  123 ns" or "drm-cycles-vcs:  123" */
static void note(struct engine_meter *meter, struct engine_seen *of, const char *key, const char *value)
{
	static const char *const times = "drm-engine-", *const cycles = "drm-cycles-";
	struct arena arena ARENA_SCOPED = { 0 };
	of->cycles = text_starts(key, cycles);
	const char *name = of->cycles ? key + strlen(cycles) : text_starts(key, times) ? key + strlen(times) : NULL;
	struct words words = text_split(&arena, value, " \t");
	uint64_t busy;
	if (!name || text_starts(name, "capacity-") || words.n != (of->cycles ? 1 : 2) ||
	        (!of->cycles && strcmp(words.word[1], "ns") != 0) || !text_number(words.word[0], 10, UINT64_MAX, &busy))
		return;
	copy(of->name, sizeof of->name, name);
	struct engine_seen *seen = find(meter, of);
	if (seen && busy > seen->busy)
		seen->busy = busy;
}

bool engine_read(struct bytes fdinfo, struct engine_meter *meter)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct engine_seen of = { 0 };
	bool client = false;
	struct bytes line;
	/* whose it is first: nothing says that those lines come first */
	for (int pass = 0; pass < 2; pass++) {
		for (size_t cursor = 0; text_line(fdinfo, &cursor, &line);) {
			char *key = text_trimmed(&arena, line), *colon = strchr(key, ':');
			if (!colon || !text_starts(key, "drm-"))
				continue;
			*colon = '\0';
			const char *value = colon + 1 + strspn(colon + 1, " \t");
			if (pass)
				note(meter, &of, key, value);
			else if (strcmp(key, "drm-driver") == 0)
				copy(of.driver, sizeof of.driver, value);
			else if (strcmp(key, "drm-pdev") == 0)
				copy(of.pci, sizeof of.pci, value);
			else if (strcmp(key, "drm-client-id") == 0)
				client = text_number(value, 10, UINT64_MAX, &of.client);
		}
		if (!client || !of.driver[0])
			return false;
	}
	return true;
}

static void watch(struct world *world, int64_t pid, struct engine_meter *meter, unsigned depth)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct words names, children;
	struct bytes text;
	const char *folder = arena_printf(&arena, "/proc/%" PRId64, pid);
	if (world_list(world, arena_printf(&arena, "%s/fdinfo", folder), &arena, &names) == 0)
		for (size_t i = 0; i < names.n; i++)
			if (world_read(world, arena_printf(&arena, "%s/fdinfo/%s", folder, names.word[i]), FDINFO_MAX,
			            &arena, &text) == 0)
				engine_read(text, meter);
	/* a wrapper that does not become the program it runs */
	if (depth == DEPTH_MAX || world_read(world, arena_printf(&arena, "%s/task/%" PRId64 "/children", folder, pid),
	                                  FDINFO_MAX, &arena, &text) != 0)
		return;
	children = text_split(&arena, text_trimmed(&arena, text), " ");
	for (size_t i = 0; i < children.n && i < CHILDREN_MAX; i++) {
		uint64_t child;
		if (text_number(children.word[i], 10, INT32_MAX, &child))
			watch(world, (int64_t)child, meter, depth + 1);
	}
}

void engine_watch(struct world *world, int64_t pid, struct engine_meter *meter)
{
	watch(world, pid, meter, 0);
}

struct engine_use engine_use(const struct engine_meter *meter, const char *pci)
{
	struct engine_use use = { .ms = UNKNOWN_NUMBER };
	uint64_t most = 0, ns = 0;
	bool cycles = false;
	for (unsigned i = 0; i < meter->n; i++) {
		const struct engine_seen *seen = &meter->seen[i];
		if (!encodes(seen) || (pci && *pci && strcmp(seen->pci, pci) != 0))
			continue;
		if (!use.name || seen->busy > most)
			use.name = seen->name;
		most = seen->busy > most ? seen->busy : most;
		cycles |= seen->cycles;
		ns += seen->busy;
	}
	if (!use.name)
		return use;
	use.busy = tri_of(most > 0);
	if (!cycles)
		use.ms = (int64_t)(ns / 1000000);
	return use;
}
