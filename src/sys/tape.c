/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sys/tape.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sys/redact.h"

enum { LINKS_MAX = 40 }; /* as the kernel's MAXSYMLINKS */

/* ---- the table -------------------------------------------------------- */

struct tape *tape_new(struct arena *arena, int64_t time)
{
	struct tape *tape = arena_new(arena, struct tape);
	tape->time = time;
	tape->version = GPUFERRY_VERSION;
	return tape;
}

const struct tape_target *tape_find_target(const struct tape *tape, const char *label)
{
	for (size_t i = 0; i < tape->n; i++)
		if (strcmp(tape->targets[i]->label, label) == 0)
			return tape->targets[i];
	return NULL;
}

struct tape_target *tape_target(struct tape *tape, struct arena *arena, const char *label)
{
	for (size_t i = 0; i < tape->n; i++)
		if (strcmp(tape->targets[i]->label, label) == 0)
			return tape->targets[i];
	struct tape_target *target = arena_new(arena, struct tape_target);
	target->label = arena_strdup(arena, label);
	*arena_push(arena, tape->targets, tape->n) = target;
	return target;
}

/* FNV-1a. The index of a target starts from its address, so that nobody can write paths that all collide. */
static uint64_t hash_of(const char *data, size_t size, uint64_t seed)
{
	uint64_t hash = 0xcbf29ce484222325 ^ seed;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)data[i]) * 0x100000001b3;
	return hash ^ hash >> 32;
}

/* The slot where the path is or belongs. */
static uint32_t *slot_of(const struct tape_target *target, const char *path, size_t size)
{
	size_t mask = target->index_room - 1;
	for (size_t i = hash_of(path, size, (uintptr_t)target) & mask;; i = (i + 1) & mask) {
		uint32_t *slot = &target->index[i];
		if (!*slot)
			return slot;
		const char *there = target->entries[*slot - 1].path;
		if (strncmp(there, path, size) == 0 && there[size] == '\0')
			return slot;
	}
}

static struct tape_entry *find(const struct tape_target *target, const char *path, size_t size)
{
	if (!target->index_room)
		return NULL;
	uint32_t *slot = slot_of(target, path, size);
	return *slot ? &target->entries[*slot - 1] : NULL;
}

static void index_all(struct tape_target *target, struct arena *arena)
{
	size_t room = target->index_room ? target->index_room : 64;
	while (room < target->room * 2)
		room *= 2;
	if (room == target->index_room)
		memset(target->index, 0, room * sizeof *target->index);
	else
		target->index = arena_alloc(arena, room * sizeof *target->index);
	target->index_room = room;
	for (size_t i = 0; i < target->n; i++)
		*slot_of(target, target->entries[i].path, strlen(target->entries[i].path)) = (uint32_t)i + 1;
}

static void grow(struct tape_target *target, struct arena *arena)
{
	if (target->entries && target->n < target->room)
		return;
	size_t room = target->room ? target->room * 2 : 32;
	struct tape_entry *grown = arena_alloc(arena, room * sizeof *grown);
	if (target->entries)
		memcpy(grown, target->entries, target->n * sizeof *grown);
	target->entries = grown;
	target->room = room;
	index_all(target, arena);
}

/* path is tidy and not there yet */
static struct tape_entry *add(struct tape_target *target, struct arena *arena, const char *path, size_t size)
{
	grow(target, arena);
	struct tape_entry *entry = &target->entries[target->n];
	*entry = (struct tape_entry){ .path = arena_strndup(arena, path, size), .open_error = -1 };
	entry->stat.mtime = UNKNOWN_NUMBER;
	*slot_of(target, path, size) = (uint32_t)++target->n;
	target->sorted = false;
	return entry;
}

/* Is it absolute, without empty, "." and ".." parts, without a slash at its end? */
static bool tidy(const char *path)
{
	if (*path != '/')
		return false;
	if (!path[1])
		return true;
	while (*path == '/') {
		size_t size = strcspn(++path, "/");
		if (size == 0 || (size == 1 && path[0] == '.') || (size == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += size;
	}
	return true;
}

static size_t parent_size(const char *path, size_t size)
{
	while (size && path[size - 1] != '/')
		size--;
	return size > 1 ? size - 1 : size;
}

/* The part is put behind the path of that size ("/" has size 1); "." and empty parts change nothing. */
static size_t append(char *path, size_t size, const char *part, size_t part_size)
{
	if (part_size == 0 || (part_size == 1 && part[0] == '.'))
		return size;
	if (part_size == 2 && part[0] == '.' && part[1] == '.')
		return parent_size(path, size);
	if (path[size - 1] != '/')
		path[size++] = '/';
	memmove(path + size, part, part_size); /* part may be the rest of the same path */
	return size + part_size;
}

static const char *tidied(struct arena *arena, const char *path)
{
	if (tidy(path))
		return path;
	char *kept = arena_alloc(arena, strlen(path) + 2);
	size_t size = 1;
	kept[0] = '/';
	while (*path) {
		size_t part = strcspn(path, "/");
		size = append(kept, size, path, part);
		path += part + (path[part] == '/');
	}
	kept[size] = '\0';
	return kept;
}

struct tape_entry *tape_entry(struct tape_target *target, struct arena *arena, const char *path)
{
	path = tidied(arena, path);
	struct tape_entry *entry = find(target, path, strlen(path));
	return entry ? entry : add(target, arena, path, strlen(path));
}

const struct tape_entry *tape_find(struct tape_target *target, const char *path)
{
	struct arena arena ARENA_SCOPED = { 0 };
	path = tidied(&arena, path);
	return find(target, path, strlen(path));
}

/* "/" sorts before every other byte: what is below a directory follows it at once. */
int tape_compare_paths(const char *left, const char *right)
{
	while (*left && *left == *right) {
		left++;
		right++;
	}
	unsigned char l = (unsigned char)*left, r = (unsigned char)*right;
	int a = l == '/' ? 1 : l ? l + 1 : 0, b = r == '/' ? 1 : r ? r + 1 : 0;
	return a - b;
}

static int by_path(const void *left, const void *right)
{
	return tape_compare_paths(((const struct tape_entry *)left)->path, ((const struct tape_entry *)right)->path);
}

/* What exists has directories above it. What is absent or out of reach proves nothing about them. */
static void imply_directories(struct tape_target *target, struct arena *arena)
{
	const char *last = NULL; /* the parent that was found last: most entries have it too */
	size_t last_size = 0;
	for (size_t i = 0; i < target->n; i++) {
		const char *path = target->entries[i].path;
		if (target->entries[i].error)
			continue;
		size_t size = parent_size(path, strlen(path));
		if (last && size == last_size && memcmp(path, last, size) == 0)
			continue;
		last = path;
		last_size = size;
		while (!find(target, path, size)) {
			struct tape_entry *above = add(target, arena, path, size);
			above->stat.type = NODE_DIR;
			above->implied = true;
			size = parent_size(path, size);
		}
	}
}

void tape_sort(struct tape_target *target, struct arena *arena)
{
	if (target->sorted)
		return;
	imply_directories(target, arena);
	bool ordered = true;
	for (size_t i = 1; i < target->n && ordered; i++)
		ordered = by_path(&target->entries[i - 1], &target->entries[i]) < 0;
	if (!ordered) {
		qsort(target->entries, target->n, sizeof *target->entries, by_path);
		index_all(target, arena);
	}
	target->sorted = true;
}

/* ---- commands --------------------------------------------------------- */

static bool same_argv(const char *const *left, const char *const *right)
{
	for (; *left && *right; left++, right++)
		if (strcmp(*left, *right) != 0)
			return false;
	return *left == *right;
}

/* The hash of a command's input as 16 hex digits; "" without input. */
static const char *input_hash(const struct command *command, char room[17])
{
	static const char digits[] = "0123456789abcdef";
	uint64_t hash = hash_of(command->input.data, command->input.size, 0);
	for (int i = 15; i >= 0; i--, hash >>= 4)
		room[i] = digits[hash & 15];
	room[command->input.size ? 16 : 0] = '\0';
	return room;
}

static struct tape_run *find_run(const struct tape_target *target, const struct command *command)
{
	char room[17];
	const char *hash = input_hash(command, room);
	for (size_t i = 0; i < target->n_runs; i++) {
		struct tape_run *run = &target->runs[i];
		if (strcmp(run->input_hash, hash) == 0 && same_argv((const char *const *)run->argv, command->argv))
			return run;
	}
	return NULL;
}

struct tape_run *tape_run(struct tape_target *target, struct arena *arena, const struct command *command)
{
	struct tape_run *run = find_run(target, command);
	if (run)
		return run;
	size_t n = 0;
	while (command->argv[n])
		n++;
	const char **argv = arena_alloc(arena, (n + 1) * sizeof *argv);
	for (size_t i = 0; i < n; i++)
		argv[i] = arena_strdup(arena, command->argv[i]);
	char room[17];
	const char *hash = arena_strdup(arena, input_hash(command, room));
	run = arena_push(arena, target->runs, target->n_runs);
	*run = (struct tape_run){ .argv = argv, .input_hash = hash };
	return run;
}

/* ---- links inside a tape ---------------------------------------------- */

struct walk {
	const struct tape_target *target;
	char path[TAPE_PATH_MAX];
	unsigned links; /* followed so far */
};

/* path = before + "/" + link + "/" + rest, with `before` dropped for an absolute link. */
static int substitute(struct walk *walk, size_t before, const char *link, const char *rest)
{
	char joined[TAPE_PATH_MAX];
	size_t link_size = strlen(link), rest_size = strlen(rest);
	if (*link == '/')
		before = 0;
	if (before + link_size + rest_size + 3 > sizeof joined)
		return ENAMETOOLONG;
	memcpy(joined, walk->path, before);
	joined[before++] = '/';
	memcpy(joined + before, link, link_size);
	joined[before + link_size] = '/';
	memcpy(joined + before + link_size + 1, rest, rest_size + 1);
	memcpy(walk->path, joined, before + link_size + rest_size + 2);
	return 0;
}

static const struct tape_entry *link_at(const struct walk *walk, const char *path, size_t size)
{
	const struct tape_entry *entry = find(walk->target, path, size);
	return entry && !entry->error && entry->stat.type == NODE_LINK && entry->link ? entry : NULL;
}

/* Makes the path tidy from its left, ".." taken where it stands, and stops behind the first link that a part of it is
 * (size of its path in *at, the rest in *rest), because ".." behind a link means where the link leads. */
static void tidy_to_link(struct walk *walk, size_t *at, const char **rest)
{
	char *reached = walk->path; /* never longer than what was read */
	const char *left = walk->path;
	size_t size = 1;
	*at = 0;
	while (*left && !*at) {
		size_t part = strcspn(left, "/"), before = size;
		const char *after = left + part + strspn(left + part, "/");
		size = append(reached, size, left, part);
		if (size > before && *after && link_at(walk, reached, size))
			*at = size;
		left = after;
	}
	*rest = left;
	if (!*at)
		reached[size] = '\0';
}

/* The longest beginning of a tidy path that is a link; 0: none. The whole path counts only with `last`. */
static size_t longest_link(const struct walk *walk, bool last)
{
	size_t size = strlen(walk->path);
	if (!last)
		size = parent_size(walk->path, size);
	for (; size > 1; size = parent_size(walk->path, size))
		if (link_at(walk, walk->path, size))
			return size;
	return 0;
}

/* Goes where the link of that size leads. It may have been recorded under a path that itself leads through links:
 * those are still in the path then, and are followed before a ".." of this one is taken. */
static int follow_link(struct walk *walk, size_t at, const char *rest)
{
	size_t before = parent_size(walk->path, at);
	if (++walk->links > LINKS_MAX)
		return ELOOP;
	return substitute(walk, before == 1 ? 0 : before, link_at(walk, walk->path, at)->link, rest);
}

/* Follows one link on the way (with `last` also one at the end) and says so in *moved; without one the path is left
 * tidy. */
static int step(struct walk *walk, bool last, bool *moved)
{
	size_t at = 0;
	const char *rest = "";
	if (!tidy(walk->path))
		tidy_to_link(walk, &at, &rest);
	if (!at) {
		at = longest_link(walk, last);
		rest = walk->path + at;
		rest += strspn(rest, "/");
	}
	*moved = at != 0;
	return at ? follow_link(walk, at, rest) : 0;
}

/* No entry: is that known to be absent, or was it not asked? */
static int missing(const struct tape_target *target, const char *path)
{
	if (target->partial)
		return ENODATA;
	for (size_t size = strlen(path); size > 1;) {
		size = parent_size(path, size);
		const struct tape_entry *above = find(target, path, size);
		if (!above)
			continue;
		if (above->error == ENOENT || above->listed)
			return ENOENT;
		bool other = above->stat.type != NODE_UNKNOWN && above->stat.type != NODE_DIR;
		return other && !above->error ? ENOENT : ENODATA;
	}
	return ENODATA;
}

typedef int answer_fn(const struct tape_entry *entry, void *data);

/* Asks the entry at the path as written, then what its links lead to. */
static int ask(const struct tape_target *target, const char *path, bool follow, answer_fn *answer, void *data)
{
	struct walk walk = { .target = target };
	size_t size = strlen(path);
	if (size == 0)
		return ENOENT;
	if (size + 1 >= sizeof walk.path)
		return ENAMETOOLONG;
	walk.path[0] = '/';
	memcpy(walk.path + (*path != '/'), path, size + 1);
	for (bool moved = true;;) {
		size = strlen(walk.path);
		const struct tape_entry *entry = find(target, walk.path, size);
		bool link = follow && entry && link_at(&walk, walk.path, size);
		int error = entry && !link ? answer(entry, data) : ENODATA;
		if (error != ENODATA)
			return error;
		if (!moved)
			return entry ? ENODATA : missing(target, walk.path);
		error = step(&walk, follow, &moved);
		if (error)
			return error;
	}
}

/* ---- answers ---------------------------------------------------------- */

struct read_data {
	size_t max;
	struct bytes bytes;
};

static int answer_read(const struct tape_entry *entry, void *data)
{
	struct read_data *wish = data;
	if (entry->error == ENOENT)
		return ENOENT;
	if (entry->stat.type == NODE_DIR)
		return EISDIR;
	if (entry->has_data && !entry->error) {
		if (entry->data.size > wish->max)
			return EFBIG;
		wish->bytes = entry->data;
		return 0;
	}
	if (entry->error)
		return entry->error;
	return entry->stat.type == NODE_FILE || entry->stat.type == NODE_UNKNOWN ? ENODATA : EINVAL;
}

struct list_data {
	const struct tape_entry *directory;
};

static int answer_list(const struct tape_entry *entry, void *data)
{
	if (entry->error == ENOENT)
		return ENOENT;
	if (entry->stat.type != NODE_UNKNOWN && entry->stat.type != NODE_DIR)
		return ENOTDIR;
	if (!entry->listed)
		return entry->error ? entry->error : ENODATA;
	((struct list_data *)data)->directory = entry;
	return 0;
}

static int answer_link(const struct tape_entry *entry, void *data)
{
	if (entry->error == ENOENT)
		return ENOENT;
	if (entry->stat.type == NODE_LINK && entry->link) {
		*(const char **)data = entry->link;
		return 0;
	}
	if (entry->stat.type != NODE_UNKNOWN && !entry->implied)
		return EINVAL;
	return entry->error ? entry->error : ENODATA;
}

static int answer_stat(const struct tape_entry *entry, void *data)
{
	if (entry->error && (entry->error == ENOENT || entry->stat.type == NODE_UNKNOWN))
		return entry->error;
	*(struct world_stat *)data = entry->stat;
	return 0;
}

static int answer_open(const struct tape_entry *entry, void *data)
{
	(void)data;
	if (entry->error == ENOENT)
		return ENOENT;
	if (entry->open_error >= 0)
		return entry->open_error;
	return entry->stat.type == NODE_FILE || entry->stat.type == NODE_DIR ? EINVAL : ENODATA;
}

/* ---- replay ----------------------------------------------------------- */

struct replay {
	struct tape *tape;
	struct tape_target *target;
	struct arena *arena;
};

static struct replay *replay_of(struct world *world)
{
	return world->state;
}

static int replay_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	(void)arena;
	struct read_data wish = { .max = max };
	int error = ask(replay_of(world)->target, path, true, answer_read, &wish);
	if (!error)
		*ret = wish.bytes;
	return error;
}

static bool is_below(const char *path, const char *directory, size_t size)
{
	return strncmp(path, directory, size) == 0 && (size == 1 || path[size] == '/');
}

/* The first entry from `start` on that does not lie in the directory: found in ever longer steps, so that a deep
 * subtree costs little. */
static size_t end_of(const struct tape_target *target, size_t start, const char *directory, size_t size)
{
	size_t stride = 1, low = start, high = start;
	while (high < target->n && is_below(target->entries[high].path, directory, size)) {
		low = high + 1;
		high += stride;
		stride *= 2;
	}
	if (high > target->n)
		high = target->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (is_below(target->entries[middle].path, directory, size))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Known to be there, as far as a listing goes. */
static bool present(const struct tape_entry *entry)
{
	return entry->error != ENOENT && (entry->named || !entry->error || entry->stat.type != NODE_UNKNOWN);
}

static int by_bytes(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static struct words names_below(
        const struct tape_target *target, const struct tape_entry *directory, struct arena *arena)
{
	struct words names = { 0 };
	size_t size = strlen(directory->path), skip = size == 1 ? 1 : size + 1;
	for (size_t i = (size_t)(directory - target->entries) + 1; i < target->n;) {
		const struct tape_entry *entry = &target->entries[i];
		if (!is_below(entry->path, directory->path, size))
			break;
		if (present(entry))
			*arena_push(arena, names.word, names.n) = entry->path + skip;
		i = end_of(target, i + 1, entry->path, strlen(entry->path));
	}
	/* "a-b" comes before "a" with all that is below it only in plain byte order */
	if (names.n)
		qsort(names.word, names.n, sizeof *names.word, by_bytes);
	return names;
}

static int replay_list(struct world *world, const char *path, struct arena *arena, struct words *ret)
{
	struct replay *replay = replay_of(world);
	tape_sort(replay->target, replay->arena);
	struct list_data wish = { 0 };
	int error = ask(replay->target, path, true, answer_list, &wish);
	if (!error && wish.directory)
		*ret = names_below(replay->target, wish.directory, arena);
	return error;
}

static int replay_link(struct world *world, const char *path, struct arena *arena, const char **ret)
{
	(void)arena;
	const char *link = NULL;
	int error = ask(replay_of(world)->target, path, false, answer_link, &link);
	if (!error)
		*ret = link;
	return error;
}

static int replay_stat(struct world *world, const char *path, struct world_stat *ret)
{
	return ask(replay_of(world)->target, path, true, answer_stat, ret);
}

static int replay_probe_open(struct world *world, const char *path)
{
	return ask(replay_of(world)->target, path, true, answer_open, NULL);
}

static int replay_run(struct world *world, const struct command *command, struct arena *arena, struct outcome *ret)
{
	(void)arena;
	const struct tape_run *run = find_run(replay_of(world)->target, command);
	if (!run)
		return ENODATA;
	if (!run->error)
		*ret = run->outcome;
	return run->error;
}

static struct world *replay_inside(
        struct world *world, const struct target *target, struct arena *arena, struct err *err)
{
	return tape_world(replay_of(world)->tape, target->label, arena, err);
}

static int64_t replay_now(struct world *world)
{
	return replay_of(world)->tape->time;
}

static const struct world_ops replay_ops = {
	.read = replay_read,
	.list = replay_list,
	.link = replay_link,
	.stat = replay_stat,
	.probe_open = replay_probe_open,
	.run = replay_run,
	.inside = replay_inside,
	.now = replay_now,
};

struct world *tape_world(struct tape *tape, const char *label, struct arena *arena, struct err *err)
{
	struct tape_target *target = NULL;
	for (size_t i = 0; i < tape->n && !target; i++)
		if (strcmp(tape->targets[i]->label, label) == 0)
			target = tape->targets[i];
	if (!target) {
		err_set(err, ERR_UNKNOWN, "%s is not in the recording", text_shown(arena, label));
		return NULL;
	}
	tape_sort(target, arena);
	struct replay *replay = arena_new(arena, struct replay);
	*replay = (struct replay){ .tape = tape, .target = target, .arena = arena };
	struct world *world = arena_new(arena, struct world);
	*world = (struct world){
		.ops = &replay_ops,
		.label = target->label,
		.state = replay,
		.partial = target->partial,
	};
	return world;
}

/* ---- recording -------------------------------------------------------- */

struct recorder {
	struct world *inner;
	struct tape *tape;
	struct tape_target *target;
	struct redactor *redactor;
	tape_reduce_fn *reduce;
	void *data;
	struct arena *arena;
};

static struct recorder *recorder_of(struct world *world)
{
	return world->state;
}

/* The entry of a real path; on the tape it stands under the path without secrets. */
static struct tape_entry *kept_entry(struct recorder *recorder, const char *path)
{
	return tape_entry(recorder->target, recorder->arena, redact_text(recorder->redactor, path, recorder->arena));
}

static void keep_error(struct tape_entry *entry, int error)
{
	if (!entry->has_data && !entry->listed)
		entry->error = error;
}

/* What has a stat is there, even if an earlier question was not answered. */
static void set_stat(struct tape_entry *entry, const struct world_stat *stat)
{
	entry->stat = *stat;
	if (entry->error == ENODATA)
		entry->error = 0;
}

static void keep_stat(struct recorder *recorder, const char *path)
{
	struct tape_entry *entry = kept_entry(recorder, path);
	if (entry->stat.type != NODE_UNKNOWN || entry->error == ENOENT)
		return;
	struct world_stat stat;
	int error = recorder->inner->ops->stat(recorder->inner, path, &stat);
	if (error)
		keep_error(entry, error);
	else
		set_stat(entry, &stat);
}

/* Notes what stands at the path itself: true if it is a link, and where to. */
static bool keep_link(struct recorder *recorder, const char *path, const char **ret)
{
	struct tape_entry *entry = kept_entry(recorder, path);
	if (entry->error == ENOENT || (entry->stat.type != NODE_UNKNOWN && entry->stat.type != NODE_LINK))
		return false;
	const char *link;
	int error = recorder->inner->ops->link(recorder->inner, path, recorder->arena, &link);
	if (error == EINVAL)
		keep_stat(recorder, path);
	else if (error)
		keep_error(entry, error);
	if (error)
		return false;
	*ret = link;
	entry->stat.type = NODE_LINK;
	entry->link = redact_text(recorder->redactor, link, recorder->arena);
	return true;
}

/* Notes the links on the way and gives the path behind them, so that a tape holds each thing once, where it is.
 * NULL: more links than are followed. */
static const char *keep_way(struct recorder *recorder, const char *path, bool follow)
{
	struct arena *arena = recorder->arena;
	const char *way = path;
	for (unsigned links = 0; links <= LINKS_MAX; links++) {
		char *reached = arena_alloc(arena, strlen(way) + 2);
		const char *rest = way, *link = NULL;
		size_t size = 1, before = 1;
		reached[0] = '/';
		while (*rest && !link) {
			size_t part = strcspn(rest, "/");
			const char *after = rest + part + strspn(rest + part, "/");
			before = size;
			size = append(reached, size, rest, part);
			reached[size] = '\0';
			if (size > before && (*after || follow))
				keep_link(recorder, reached, &link);
			rest = after;
		}
		if (!link)
			return reached;
		way = *link == '/' ? arena_printf(arena, "%s/%s", link, rest)
		                   : arena_printf(arena, "%.*s/%s/%s", (int)before, reached, link, rest);
	}
	return NULL;
}

/* The path under which an answer is kept. A loop, or an inner recording that knows the answer only under the path as
 * it was asked: that path. */
static const char *real_path(struct recorder *recorder, const char *path, bool follow, int error)
{
	const char *real = keep_way(recorder, path, follow), *link;
	struct world *inner = recorder->inner;
	struct world_stat stat;
	if (!real)
		return path;
	if (inner->live || error == ENOENT || error == ENODATA || strcmp(real, path) == 0)
		return real;
	error = follow ? inner->ops->stat(inner, real, &stat) : inner->ops->link(inner, real, recorder->arena, &link);
	return error ? path : real;
}

static int record_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	struct recorder *recorder = recorder_of(world);
	struct bytes raw;
	int error = recorder->inner->ops->read(recorder->inner, path, max, arena, &raw);
	const char *real = real_path(recorder, path, true, error);
	keep_stat(recorder, real);
	struct tape_entry *entry = kept_entry(recorder, real);
	if (error) {
		if (error != EISDIR)
			keep_error(entry, error);
		return error;
	}
	*ret = raw;
	if (entry->has_data)
		return 0;
	entry->error = 0;
	entry->has_data = true;
	struct bytes kept = raw;
	if (!recorder->reduce || !recorder->reduce(recorder->data, real, raw, recorder->arena, &kept))
		kept = raw;
	kept = redact_bytes(recorder->redactor, real, kept, recorder->arena);
	entry->data = kept.data == raw.data ? arena_bytes(recorder->arena, raw.data, raw.size) : kept;
	return 0;
}

static int record_list(struct world *world, const char *path, struct arena *arena, struct words *ret)
{
	struct recorder *recorder = recorder_of(world);
	struct words names;
	int error = recorder->inner->ops->list(recorder->inner, path, arena, &names);
	const char *real = real_path(recorder, path, true, error);
	keep_stat(recorder, real);
	struct tape_entry *entry = kept_entry(recorder, real);
	if (error) {
		if (error != ENOTDIR)
			keep_error(entry, error);
		return error;
	}
	entry->error = 0;
	entry->listed = true;
	for (size_t i = 0; i < names.n; i++) {
		const char *below =
		        arena_printf(recorder->arena, "%s/%s", strcmp(real, "/") ? real : "", names.word[i]);
		kept_entry(recorder, below)->named = true;
	}
	*ret = names;
	return 0;
}

static int record_link(struct world *world, const char *path, struct arena *arena, const char **ret)
{
	struct recorder *recorder = recorder_of(world);
	const char *link;
	int error = recorder->inner->ops->link(recorder->inner, path, arena, &link);
	const char *real = real_path(recorder, path, false, error), *again;
	keep_link(recorder, real, &again);
	if (!error)
		*ret = link;
	return error;
}

static int record_stat(struct world *world, const char *path, struct world_stat *ret)
{
	struct recorder *recorder = recorder_of(world);
	struct world_stat stat;
	int error = recorder->inner->ops->stat(recorder->inner, path, &stat);
	const char *real = real_path(recorder, path, true, error);
	struct tape_entry *entry = kept_entry(recorder, real);
	if (error) {
		if (entry->stat.type == NODE_UNKNOWN)
			keep_error(entry, error);
		return error;
	}
	set_stat(entry, &stat);
	*ret = stat;
	return 0;
}

static int record_probe_open(struct world *world, const char *path)
{
	struct recorder *recorder = recorder_of(world);
	int error = recorder->inner->ops->probe_open(recorder->inner, path);
	const char *real = real_path(recorder, path, true, error);
	keep_stat(recorder, real);
	struct tape_entry *entry = kept_entry(recorder, real);
	if (error != ENODATA && entry->error != ENOENT)
		entry->open_error = error;
	return error;
}

static struct bytes kept_output(struct recorder *recorder, const char *line, struct bytes raw)
{
	struct bytes kept = redact_bytes(recorder->redactor, line, raw, recorder->arena);
	return kept.data == raw.data ? arena_bytes(recorder->arena, raw.data ? raw.data : "", raw.size) : kept;
}

static int record_run(struct world *world, const struct command *command, struct arena *arena, struct outcome *ret)
{
	struct recorder *recorder = recorder_of(world);
	struct outcome outcome = { 0 };
	int error = recorder->inner->ops->run(recorder->inner, command, arena, &outcome);
	if (error == ENODATA)
		return error;
	struct command kept = { .input = command->input };
	const char **argv = NULL;
	size_t n = 0;
	for (const char *const *word = command->argv; *word; word++)
		*arena_push(recorder->arena, argv, n) = redact_text(recorder->redactor, *word, recorder->arena);
	*arena_push(recorder->arena, argv, n) = NULL;
	kept.argv = argv;
	const char *line = text_sh_line(recorder->arena, command->argv);
	struct tape_run *run = tape_run(recorder->target, recorder->arena, &kept);
	run->error = error;
	if (error)
		return error;
	run->outcome = outcome;
	run->outcome.out = kept_output(recorder, line, outcome.out);
	run->outcome.err = kept_output(recorder, line, outcome.err);
	*ret = outcome;
	return 0;
}

static struct world *record_inside(
        struct world *world, const struct target *target, struct arena *arena, struct err *err)
{
	struct recorder *recorder = recorder_of(world);
	struct world *inner = recorder->inner->ops->inside(recorder->inner, target, arena, err);
	if (!inner)
		return NULL;
	return tape_recorder(
	        inner, recorder->tape, recorder->redactor, recorder->reduce, recorder->data, recorder->arena);
}

static int64_t record_now(struct world *world)
{
	struct recorder *recorder = recorder_of(world);
	return recorder->inner->ops->now(recorder->inner);
}

static void record_close(struct world *world)
{
	world_close(recorder_of(world)->inner);
}

static const struct world_ops record_ops = {
	.read = record_read,
	.list = record_list,
	.link = record_link,
	.stat = record_stat,
	.probe_open = record_probe_open,
	.run = record_run,
	.inside = record_inside,
	.now = record_now,
	.close = record_close,
};

struct world *tape_recorder(struct world *inner, struct tape *tape, struct redactor *redactor, tape_reduce_fn *reduce,
        void *data, struct arena *arena)
{
	struct recorder *recorder = arena_new(arena, struct recorder);
	*recorder = (struct recorder){
		.inner = inner,
		.tape = tape,
		.redactor = redactor,
		.reduce = reduce,
		.data = data,
		.arena = arena,
	};
	recorder->target = tape_target(tape, arena, inner->label);
	recorder->target->partial = inner->partial;
	struct world *world = arena_new(arena, struct world);
	*world = (struct world){
		.ops = &record_ops,
		.label = inner->label,
		.state = recorder,
		.partial = inner->partial,
		.live = inner->live,
	};
	return world;
}
