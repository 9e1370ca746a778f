/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "rehearse/machine_model.h"

/* ---- names to anything: open addressing, at most half full ---- */

static size_t map_hash(const char *key)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */
	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 1099511628211u;
	return (size_t)(hash ^ hash >> 29);
}

static struct map_slot *map_slot(struct map_slot *slot, size_t room, const char *key)
{
	size_t at = map_hash(key) & (room - 1);
	while (slot[at].key && strcmp(slot[at].key, key) != 0)
		at = (at + 1) & (room - 1);
	return &slot[at];
}

void *map_find(const struct map *map, const char *key)
{
	return map->room ? map_slot(map->slot, map->room, key)->value : NULL;
}

void map_put(struct map *map, struct arena *arena, const char *key, void *value)
{
	if ((map->n + 1) * 2 > map->room) {
		size_t room = map->room ? map->room * 2 : 64;
		struct map_slot *wider = arena_alloc(arena, room * sizeof *wider);
		for (size_t i = 0; i < map->room; i++)
			if (map->slot[i].key)
				*map_slot(wider, room, map->slot[i].key) = map->slot[i];
		map->slot = wider;
		map->room = room;
	}
	struct map_slot *slot = map_slot(map->slot, map->room, key);
	if (!slot->key)
		map->n++;
	*slot = (struct map_slot){ key, value };
}

/* ---- the tree ---- */

struct tree_node *tree_find(const struct tree *tree, const char *path)
{
	struct tree_node *node = map_find(&tree->nodes, path);
	return node && node->there ? node : NULL;
}

/* The node of a path, there or not, with those above it. */
static struct tree_node *tree_make(struct tree *tree, const char *path)
{
	struct tree_node *node = map_find(&tree->nodes, path);
	if (node)
		return node;
	if (tree->n >= MACHINE_NODES_MAX)
		return NULL;
	const char *cut = strrchr(path, '/');
	struct tree_node *parent = NULL;
	if (cut != path) {
		parent = tree_make(tree, arena_strndup(tree->arena, path, (size_t)(cut - path)));
		if (!parent)
			return NULL;
	}
	node = arena_new(tree->arena, struct tree_node);
	node->entry.path = arena_strdup(tree->arena, path);
	node->parent = parent;
	if (parent) {
		node->next = parent->first;
		parent->first = node;
	}
	map_put(&tree->nodes, tree->arena, node->entry.path, node);
	*arena_push(tree->arena, tree->all, tree->n) = node;
	return node;
}

enum { MONTH = 30 * 86400 };

/* What the kernel makes is as old as the question; a file on disk that says nothing of it lay there for a month. */
static int64_t usual_mtime(const struct tree *tree, const char *path)
{
	static const char *const young[] = { "/sys", "/proc", "/dev", "/run" };
	for (size_t i = 0; i < sizeof young / sizeof *young; i++)
		if (text_starts(path, young[i]))
			return tree->time;
	return tree->time > MONTH ? tree->time - MONTH : tree->time;
}

static void tree_set(struct tree *tree, struct tree_node *node, enum node_type type, unsigned mode)
{
	node->there = true;
	node->image = NULL;
	node->entry = (struct tape_entry){
		.path = node->entry.path,
		.open_error = -1,
		.stat = { .type = type, .mode = mode, .mtime = usual_mtime(tree, node->entry.path) },
	};
}

static void tree_forget_below(struct tree_node *node)
{
	for (struct tree_node *child = node->first; child; child = child->next) {
		if (child->there || child->entry.error)
			tree_forget_below(child);
		child->there = false;
		child->entry.error = 0;
	}
}

struct tree_node *tree_put(struct tree *tree, const char *path, enum node_type type, unsigned mode)
{
	struct tree_node *node = tree_make(tree, path);
	if (!node)
		return NULL;
	for (struct tree_node *above = node->parent; above && !above->there; above = above->parent)
		tree_set(tree, above, NODE_DIR, 0755);
	if (type != NODE_DIR)
		tree_forget_below(node);
	if (type != NODE_DIR || !node->there || node->entry.error || node->entry.stat.type != NODE_DIR)
		tree_set(tree, node, type, mode);
	else
		node->entry.stat.mode = mode;
	return node;
}

struct tree_node *tree_data(struct tree *tree, const char *path, unsigned mode, struct bytes data)
{
	struct tree_node *node = tree_put(tree, path, NODE_FILE, mode);
	if (!node)
		return NULL;
	node->entry.has_data = true;
	node->entry.data = data;
	node->entry.stat.size = data.size;
	if (text_starts(path, "/proc/"))
		node->entry.stat.size = 0;
	else if (text_starts(path, "/sys/") && data.size < 4096)
		node->entry.stat.size = 4096;
	return node;
}

struct tree_node *tree_text(struct tree *tree, const char *path, unsigned mode, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_vprintf(tree->arena, format, args);
	va_end(args);
	return tree_data(tree, path, mode, (struct bytes){ text, strlen(text) });
}

struct tree_node *tree_attribute(struct tree *tree, const char *folder, const char *name, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_vprintf(tree->arena, format, args);
	va_end(args);
	return tree_text(tree, arena_printf(tree->arena, "%s/%s", folder, name), 0444, "%s\n", text);
}

struct tree_node *tree_link(struct tree *tree, const char *path, const char *target)
{
	struct tree_node *node = tree_put(tree, path, NODE_LINK, 0777);
	if (node)
		node->entry.link = arena_strdup(tree->arena, target);
	return node;
}

struct tree_node *tree_device(struct tree *tree, const char *path, enum node_type type, unsigned major, unsigned minor,
        unsigned mode, unsigned gid)
{
	struct tree_node *node = tree_put(tree, path, type, mode);
	if (node) {
		node->entry.stat.major = major;
		node->entry.stat.minor = minor;
		node->entry.stat.gid = gid;
		node->entry.open_error = 0;
	}
	return node;
}

/* How many bytes of both are the same whole folders. */
static size_t same_folders(const char *left, const char *right, size_t right_size)
{
	size_t same = 0, at = 0;
	for (; at < right_size && left[at] && left[at] == right[at]; at++)
		if (left[at] == '/')
			same = at;
	bool left_ends = !left[at] || left[at] == '/', right_ends = at == right_size || right[at] == '/';
	return left_ends && right_ends ? at : same;
}

struct tree_node *tree_relative_link(struct tree *tree, const char *path, const char *target)
{
	/* as kernfs does: up to the first folder that holds both, never past the target's own parent */
	const char *folder = arena_strndup(tree->arena, path, (size_t)(strrchr(path, '/') - path));
	size_t same = same_folders(folder, target, (size_t)(strrchr(target, '/') - target));
	const char *relative = "";
	for (const char *at = folder + same; *at; at++)
		if (*at == '/')
			relative = arena_printf(tree->arena, "%s../", relative);
	return tree_link(tree, path, arena_printf(tree->arena, "%s%s", relative, target + same + 1));
}

bool tree_remove(struct tree *tree, const char *path)
{
	struct tree_node *node = tree_make(tree, path);
	if (!node)
		return false;
	tree_forget_below(node);
	node->there = false;
	node->image = NULL;
	node->entry = (struct tape_entry){ .path = node->entry.path, .error = 2 /* ENOENT */, .open_error = -1 };
	return true;
}

/* ---- links ---- */

/* One part more: "." and empty parts change nothing, ".." goes up and stays at the root. False: too long. */
static bool path_step(char *path, size_t room, const char *part, size_t size)
{
	size_t have = strlen(path);
	if (size == 0 || (size == 1 && part[0] == '.'))
		return true;
	if (size == 2 && part[0] == '.' && part[1] == '.') {
		char *cut = strrchr(path, '/');
		if (cut)
			*cut = '\0';
		return true;
	}
	if (have + size + 2 > room)
		return false;
	path[have] = '/';
	memcpy(path + have + 1, part, size);
	path[have + size + 1] = '\0';
	return true;
}

const char *tree_resolve(struct tree *tree, const char *path, bool last)
{
	char done[MACHINE_PATH_MAX + 2] = "", left[2][3 * MACHINE_PATH_MAX];
	unsigned links = 0;
	const char *rest = path;
	while (*(rest += strspn(rest, "/"))) {
		size_t size = strcspn(rest, "/"), before = strlen(done);
		bool at_end = rest[size + strspn(rest + size, "/")] == '\0';
		if (!path_step(done, sizeof done, rest, size) || (tree->work += before + size) > MACHINE_WORK_MAX)
			return NULL;
		struct tree_node *node = *done ? tree_find(tree, done) : NULL;
		if (!node || node->entry.stat.type != NODE_LINK || (at_end && !last)) {
			rest += size;
			continue;
		}
		char *longer = left[links % 2];
		if (++links > MACHINE_LINKS_MAX || strlen(node->entry.link) + strlen(rest + size) + 2 > sizeof *left)
			return NULL;
		stpcpy(stpcpy(stpcpy(longer, node->entry.link), "/"), rest + size);
		done[node->entry.link[0] == '/' ? 0 : before] = '\0';
		rest = longer;
	}
	return arena_strdup(tree->arena, *done ? done : "/");
}
