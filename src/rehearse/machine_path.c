/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Statements about paths. They are kept while the text is read and done on the tree of the machine, in their order,
 * once all that is implied stands there.
 */
#include <errno.h>
#include <string.h>

#include "rehearse/machine_text.h"

static bool read_change(
        struct machine_reader *reader, struct machine_line *line) /* append, replace, drop, unreadable */
{
	if (!machine_check_path(reader, line, line->word[0]))
		return false;
	machine_keep(reader, line);
	return true;
}

static bool read_path(struct machine_reader *reader, struct machine_line *line)
{
	const char *name = arena_printf(reader->arena, "%s %s", reader->target->label, line->word[0]);
	return machine_check_path(reader, line, line->word[0]) && machine_once(reader, line, "path", name) &&
	       read_change(reader, line);
}

static bool read_remove(struct machine_reader *reader, struct machine_line *line)
{
	const char *what = line->word[0];
	if (what[0] == '/')
		return read_change(reader, line);
	struct machine_device *device = map_find(&reader->target->device, what);
	struct machine_target *target = machine_find_target(reader->machine, what);
	if (device && !device->removed) {
		device->removed = true;
	} else if (target && strcmp(what, "node") != 0) {
		target->removed = true;
		if (reader->target == target)
			reader->target = machine_find_target(reader->machine, "node");
	} else {
		return FAIL("there is no device, target or path %s to remove", SHOWN(what));
	}
	return true;
}

/* Where a statement's path really lies, links followed. NULL with err. */
static const char *place(struct machine_growth *growth, const struct machine_line *line, bool last)
{
	const char *path = tree_resolve(&growth->tree, line->word[0], last);
	if (path && machine_path_fits(path))
		return path;
	GROWN("links lead nowhere: %s", machine_shown(growth->tree.arena, line->word[0]));
	return NULL;
}

/* A node in the tree where only folders are above; NULL with err. */
static struct tree_node *put(struct machine_growth *growth, const struct machine_line *line, const char *path,
        enum node_type type, unsigned mode)
{
	for (const char *cut = strchr(path + 1, '/'); cut; cut = strchr(cut + 1, '/')) {
		const char *above = arena_strndup(growth->tree.arena, path, (size_t)(cut - path));
		struct tree_node *node = tree_find(&growth->tree, above);
		if (node && node->entry.stat.type != NODE_DIR) {
			GROWN("%s is no folder", machine_shown(growth->tree.arena, above));
			return NULL;
		}
	}
	struct tree_node *node = tree_put(&growth->tree, path, type, mode);
	if (!node)
		GROWN("the machine has more than %d paths", MACHINE_NODES_MAX);
	return node;
}

static bool set_stat(
        struct machine_growth *growth, const struct machine_line *line, size_t from, struct world_stat *stat)
{
	uint64_t mode = stat->mode, uid = stat->uid, gid = stat->gid, size = stat->size, mtime = (uint64_t)stat->mtime;
	if (!machine_number_option(line, from, "mode", 8, 07777, growth->err, &mode) ||
	        !machine_number_option(line, from, "uid", 10, UINT32_MAX, growth->err, &uid) ||
	        !machine_number_option(line, from, "gid", 10, UINT32_MAX, growth->err, &gid) ||
	        !machine_number_option(line, from, "size", 10, INT64_MAX, growth->err, &size) ||
	        !machine_number_option(line, from, "mtime", 10, INT64_MAX / 2, growth->err, &mtime))
		return false;
	stat->mode = (unsigned)mode;
	stat->uid = (unsigned)uid;
	stat->gid = (unsigned)gid;
	stat->size = size;
	stat->mtime = (int64_t)mtime;
	return true;
}

static bool unhex(struct bytes text, struct arena *arena, struct bytes *ret)
{
	char *raw = arena_alloc(arena, text.size / 2 + 1);
	size_t digits = 0;
	for (size_t i = 0; i < text.size; i++) {
		char sign = text.data[i];
		if (machine_blank(sign) || sign == '\n')
			continue;
		const char *at = sign ? strchr("0123456789abcdef", sign) : NULL;
		if (!at)
			return false;
		unsigned digit = (unsigned)(at - "0123456789abcdef");
		raw[digits / 2] = (char)(digits % 2 ? (unsigned char)raw[digits / 2] | digit : digit << 4);
		digits++;
	}
	*ret = (struct bytes){ raw, digits / 2 };
	return digits % 2 == 0;
}

/* A body as the statement wants it. */
static bool body_bytes(struct machine_growth *growth, const struct machine_line *line, size_t from, struct bytes *ret)
{
	struct bytes body = line->body;
	if (machine_has_word(line, from, "hex"))
		return unhex(body, growth->tree.arena, ret) ||
		       GROWN("the body holds something else than lower-case hex digits");
	if (machine_has_word(line, from, "nonewline") && body.size)
		body.size--;
	*ret = arena_bytes(growth->tree.arena, body.data ? body.data : "", body.size);
	return true;
}

static unsigned usual_mode(const char *path, struct world_stat *stat)
{
	if (text_starts(path, "/etc/pve/")) { /* pmxcfs: 0640 root:www-data, 0600 below priv */
		stat->gid = 33;
		return text_starts(path, "/etc/pve/priv/") ? 0600 : 0640;
	}
	return text_starts(path, "/sys/") || text_starts(path, "/proc/") ? 0444 : 0644;
}

static bool act_file(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false);
	if (!path || !machine_only_options(line, 1, "mode= uid= gid= mtime= size= nonewline hex stat",
	                     growth->tree.arena, growth->err))
		return false;
	struct bytes data = { 0 };
	struct tree_node *node = put(growth, line, path, NODE_FILE, 0644);
	if (!node || !body_bytes(growth, line, 1, &data))
		return false;
	if (machine_has_word(line, 1, "stat") && line->has_body)
		return GROWN("a file of which only stat is known has no body");
	tree_data(&growth->tree, path, 0644, data);
	node->entry.stat.mode = usual_mode(path, &node->entry.stat);
	node->entry.has_data = !machine_has_word(line, 1, "stat");
	return set_stat(growth, line, 1, &node->entry.stat);
}

static bool act_dir(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, true);
	if (!path || !machine_only_options(line, 1, "mode= uid= gid= mtime=", growth->tree.arena, growth->err))
		return false;
	struct tree_node *node = put(growth, line, path, NODE_DIR, 0755);
	if (!node)
		return false;
	node->entry.listed = true;
	return set_stat(growth, line, 1, &node->entry.stat);
}

static bool act_link(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false), *to = line->word[1];
	if (!path)
		return false;
	if (!*to || strlen(to) > MACHINE_PATH_MAX)
		return GROWN("a link points somewhere, in at most %d signs", MACHINE_PATH_MAX);
	struct tree_node *node = put(growth, line, path, NODE_LINK, 0777);
	if (node)
		node->entry.link = to;
	return node != NULL;
}

static bool act_node(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false), *opens = machine_option(line, 4, "open");
	uint64_t major, minor;
	if (!path || !machine_only_options(line, 4, "mode= uid= gid= open= mtime=", growth->tree.arena, growth->err))
		return false;
	if (!text_has_word("c b", line->word[1], " ") || !text_number(line->word[2], 10, 4095, &major) ||
	        !text_number(line->word[3], 10, 1048575, &minor))
		return GROWN("node takes: PATH c or b MAJOR MINOR");
	int error = 0;
	if (opens && !machine_errno(opens, &error))
		return GROWN("open= takes 0 or a name as EACCES");
	struct tree_node *node = put(growth, line, path, line->word[1][0] == 'c' ? NODE_CHAR : NODE_BLOCK, 0660);
	if (!node)
		return false;
	node->entry.stat.major = (unsigned)major;
	node->entry.stat.minor = (unsigned)minor;
	node->entry.open_error = error;
	return set_stat(growth, line, 4, &node->entry.stat);
}

static bool act_remove(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false);
	if (!path)
		return false;
	if (!tree_find(&growth->tree, path))
		return GROWN("there is no %s to remove (absent says that without asking)",
		        machine_shown(growth->tree.arena, line->word[0]));
	return tree_remove(&growth->tree, path);
}

static bool act_absent(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false);
	if (!path)
		return false;
	return tree_remove(&growth->tree, path) || GROWN("the machine has more than %d paths", MACHINE_NODES_MAX);
}

static bool act_unknown(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false);
	struct tree_node *node = path ? put(growth, line, path, NODE_FILE, 0) : NULL;
	if (!node)
		return false;
	node->entry.error = ENODATA;
	node->entry.stat = (struct world_stat){ .mtime = UNKNOWN_NUMBER };
	return true;
}

static bool act_unreadable(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, true);
	int error;
	if (!path)
		return false;
	if (!machine_errno(line->word[1], &error) || error == 0 || error == ENOENT)
		return GROWN("unreadable takes a name as EACCES or EIO");
	struct tree_node *node = tree_find(&growth->tree, path);
	struct world_stat stat = node ? node->entry.stat : (struct world_stat){ .type = NODE_FILE, .mode = 0600 };
	node = put(growth, line, path, stat.type == NODE_DIR ? NODE_FILE : stat.type, stat.mode);
	if (!node)
		return false;
	node->entry.stat = stat;
	node->entry.has_data = node->entry.listed = false;
	node->entry.error = error;
	return true;
}

/* ---- changing a file that is there ---- */

static struct tree_node *existing_file(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, true);
	struct tree_node *node = path ? tree_find(&growth->tree, path) : NULL;
	if (path && (!node || !node->entry.has_data)) {
		GROWN("there is no file %s to change", machine_shown(growth->tree.arena, line->word[0]));
		return NULL;
	}
	return node;
}

static void new_data(struct machine_growth *growth, struct tree_node *node, struct bytes data)
{
	struct world_stat stat = node->entry.stat;
	tree_data(&growth->tree, node->entry.path, stat.mode, data);
	stat.size = node->entry.stat.size;
	node->entry.stat = stat;
}

enum { CHANGED_MAX = 1024 * 1024, PATTERN_MAX = 200 };

/* A file that append and the like may change. */
static bool changeable(struct machine_growth *growth, const struct machine_line *line, size_t size)
{
	if (size > CHANGED_MAX || (growth->tree.work += size * 4) > MACHINE_WORK_MAX)
		return GROWN("the file is too large, or is changed too often");
	return true;
}

static bool act_append(struct machine_growth *growth, const struct machine_line *line)
{
	struct tree_node *node = existing_file(growth, line);
	if (!node)
		return false;
	struct bytes old = node->entry.data;
	if (!changeable(growth, line, old.size + line->body.size))
		return false;
	char *all = arena_alloc(growth->tree.arena, old.size + line->body.size + 1);
	memcpy(all, old.data, old.size);
	if (line->body.size)
		memcpy(all + old.size, line->body.data, line->body.size);
	new_data(growth, node, (struct bytes){ all, old.size + line->body.size });
	return true;
}

static bool act_drop(struct machine_growth *growth, const struct machine_line *line)
{
	struct tree_node *node = existing_file(growth, line);
	if (!node)
		return false;
	struct bytes old = node->entry.data, one;
	if (!changeable(growth, line, old.size))
		return false;
	if (strlen(line->word[1]) > PATTERN_MAX)
		return GROWN("a pattern has at most %d signs", PATTERN_MAX);
	growth->tree.work += old.size * strlen(line->word[1]);
	char *all = arena_alloc(growth->tree.arena, old.size + 2), *out = all;
	bool any = false;
	for (size_t cursor = 0; text_line(old, &cursor, &one);) {
		if (text_matches(line->word[1], arena_strndup(growth->tree.arena, one.data, one.size))) {
			any = true;
			continue;
		}
		out = mempcpy(out, one.data, one.size);
		*out++ = '\n';
	}
	if (!any)
		return GROWN("%s has no line like %s", machine_shown(growth->tree.arena, line->word[0]),
		        machine_shown(growth->tree.arena, line->word[1]));
	new_data(growth, node, (struct bytes){ all, (size_t)(out - all) });
	return true;
}

/* Every place where OLD stands, or the first one; `n` of them were counted before. */
static struct bytes replaced(struct arena *arena, struct bytes text, const char *old, const char *new, size_t n)
{
	char *all = arena_alloc(arena, text.size + n * strlen(new) + 1), *out = all;
	const char *at = text.data, *end = text.data + text.size;
	for (; n; n--) {
		const char *next = memmem(at, (size_t)(end - at), old, strlen(old));
		out = mempcpy(out, at, (size_t)(next - at));
		out = mempcpy(out, new, strlen(new));
		at = next + strlen(old);
	}
	out = mempcpy(out, at, (size_t)(end - at));
	return (struct bytes){ all, (size_t)(out - all) };
}

static bool act_replace(struct machine_growth *growth, const struct machine_line *line)
{
	struct tree_node *node = existing_file(growth, line);
	const char *old = line->word[1], *new = line->word[2];
	bool all = line->n == 4 && strcmp(line->word[3], "all") == 0;
	if (!node)
		return false;
	if (line->n == 4 && !all)
		return GROWN("replace takes: PATH OLD NEW [all]");
	struct bytes text = node->entry.data;
	size_t n = 0;
	const char *at = text.data, *end = text.data + text.size;
	while (*old && (n == 0 || all) && (at = memmem(at, (size_t)(end - at), old, strlen(old)))) {
		at += strlen(old);
		n++;
	}
	if (!n)
		return GROWN("%s does not hold \"%s\"", machine_shown(growth->tree.arena, line->word[0]),
		        machine_shown(growth->tree.arena, old));
	if (!changeable(growth, line, text.size + n * strlen(new)))
		return false;
	new_data(growth, node, replaced(growth->tree.arena, text, old, new, n));
	return true;
}

/* ---- images ---- */

static bool act_initramfs(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false);
	if (!path || !machine_only_options(line, 1, "mtime= fresh", growth->tree.arena, growth->err))
		return false;
	struct tree_node *node = put(growth, line, path, NODE_FILE, 0644);
	if (!node)
		return false;
	/* its bytes are made when every other statement is done: `fresh` looks at them */
	node->image = line;
	return true;
}

bool machine_make_images(struct machine_growth *growth)
{
	for (size_t i = 0; i < growth->tree.n; i++) {
		struct tree_node *node = growth->tree.all[i];
		const struct machine_line *line = node->image;
		if (!node->there || !line)
			continue;
		if (!machine_make_image(line, node->entry.path, growth))
			return false;
		uint64_t mtime = (uint64_t)node->entry.stat.mtime;
		if (!machine_number_option(line, 1, "mtime", 10, INT64_MAX / 2, growth->err, &mtime))
			return false;
		node->entry.stat.mtime = (int64_t)mtime;
	}
	return true;
}

const struct machine_statement machine_path_statements[] = {
	{ "remove", 1, 1, false, read_remove, act_remove },
	{ "file", 1, 0, true, read_path, act_file },
	{ "dir", 1, 0, false, read_path, act_dir },
	{ "link", 2, 2, false, read_path, act_link },
	{ "node", 4, 0, false, read_path, act_node },
	{ "absent", 1, 1, false, read_change, act_absent },
	{ "unknown", 1, 1, false, read_change, act_unknown },
	{ "unreadable", 2, 2, false, read_change, act_unreadable },
	{ "append", 1, 1, true, read_change, act_append },
	{ "drop", 2, 2, false, read_change, act_drop },
	{ "replace", 3, 4, false, read_change, act_replace },
	{ "initramfs", 1, 0, true, read_path, act_initramfs },
	{ NULL },
};

struct bytes machine_said_file(const struct machine_target *target, const char *path)
{
	for (size_t i = target->n_actions; i-- > 0;) {
		const struct machine_line *line = target->actions[i];
		if (line->statement->act == act_file && strcmp(line->word[0], path) == 0)
			return line->body;
	}
	return (struct bytes){ "", 0 };
}
