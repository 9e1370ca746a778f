/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A disk in memory that can lose power: files, links and directories that can be changed, where nothing lasts until it
 * is synced, a file for its bytes and its directory for its name. Every change is an effect, counted; after the effect
 * `cut` everything answers EIO until changing_boot. The next `fault_times` effects whose name matches `fault` answer
 * `fault_errno` and do nothing. Commands and sysfs writes go to `command` and `attribute`.
 */
#pragma once
#include <errno.h>

#include "sys/world.h"
#include "test.h"

struct changing_file {
	enum node_type type;
	struct bytes data; /* of a link: where it points */
	unsigned mode, uid, gid;
};
struct changing_inode {
	struct changing_file now, disk;
};
struct changing_name {
	const char *path;
	int now, disk; /* inode; -1: none */
};
struct changing {
	struct world world;
	struct arena arena;
	struct changing_inode *inode;
	size_t n_inodes;
	struct changing_name *name;
	size_t n_names;
	unsigned long effects, cut;
	bool off, locked, held;
	const char *fault;
	int fault_errno;
	unsigned fault_times; /* 0: always */
	unsigned long fault_from, matched, faults; /* from which matching effect on; how many matched, and failed */
	const char *last;     /* the last effect's name */
	int64_t now;
	unsigned boots;
	int (*command)(struct changing *, const struct command *, struct outcome *ret);
	void (*settled)(struct changing *, const char *path); /* NULL: nobody asks */
	int (*attribute)(struct changing *, const char *path, const char *value);
	void *data;
};

static inline struct changing *changing_of(struct world *world) { return world->state; }

static inline struct changing_name *changing_name(struct changing *disk, const char *path)
{
	for (size_t i = 0; i < disk->n_names; i++)
		if (strcmp(disk->name[i].path, path) == 0)
			return &disk->name[i];
	return NULL;
}

static inline struct changing_file *changing_file(struct changing *disk, const char *path)
{
	struct changing_name *name = changing_name(disk, path);
	return name && name->now >= 0 ? &disk->inode[name->now].now : NULL;
}

/* What is there, through the links at the end. */
static inline struct changing_file *changing_followed(struct changing *disk, const char *path)
{
	struct changing_file *file = changing_file(disk, path);
	for (int i = 0; file && file->type == NODE_LINK && i < 8; i++)
		file = changing_file(disk, file->data.data);
	return file;
}

static inline struct changing_file *changing_add(struct changing *disk, const char *path, struct changing_file file)
{
	struct changing_name *name = changing_name(disk, path);
	if (!name) {
		name = arena_push(&disk->arena, disk->name, disk->n_names);
		*name = (struct changing_name){ arena_strdup(&disk->arena, path), -1, -1 };
	}
	name->now = (int)disk->n_inodes;
	struct changing_inode *inode = arena_push(&disk->arena, disk->inode, disk->n_inodes);
	*inode = (struct changing_inode){ .now = file, .disk = { .type = file.type } };
	if (file.type != NODE_FILE)
		inode->disk = file; /* what a link or a directory is comes with its name */
	return &inode->now;
}

static inline bool changing_has_parent(struct changing *disk, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent = arena_strndup(&disk->arena, path, slash == path ? 1 : (size_t)(slash - path));
	struct changing_file *file = changing_file(disk, parent);
	return file && file->type == NODE_DIR;
}

static inline int changing_effect(struct changing *disk, const char *verb, const char *path)
{
	if (disk->cut && disk->effects >= disk->cut)
		disk->off = true;
	if (disk->off)
		return EIO;
	disk->last = arena_printf(&disk->arena, "%s %s", verb, path);
	disk->effects++;
	if (!disk->fault || !text_matches(disk->fault, disk->last))
		return 0;
	if (++disk->matched < disk->fault_from)
		return 0;
	if (disk->fault_times && !--disk->fault_times)
		disk->fault = NULL;
	disk->faults++;
	return disk->fault_errno;
}

/* ---- reading ---- */

static inline int changing_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	struct changing *disk = changing_of(world);
	struct changing_file *file = disk->off ? NULL : changing_followed(disk, path);
	if (!file)
		return disk->off ? EIO : ENOENT;
	if (file->type == NODE_DIR)
		return EISDIR;
	if (file->data.size > max)
		return EFBIG;
	*ret = arena_bytes(arena, file->data.data, file->data.size);
	return 0;
}

static inline int changing_compare(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static inline bool changing_is_below(const char *path, const char *folder)
{
	size_t size = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
	return strncmp(path, folder, size) == 0 && path[size] == '/' && path[size + 1] && !strchr(path + size + 1, '/');
}

static inline int changing_list(struct world *world, const char *path, struct arena *arena, struct words *ret)
{
	struct changing *disk = changing_of(world);
	struct changing_file *file = disk->off ? NULL : changing_followed(disk, path);
	struct words words = { 0 };
	if (!file)
		return disk->off ? EIO : ENOENT;
	if (file->type != NODE_DIR)
		return ENOTDIR;
	for (size_t i = 0; i < disk->n_names; i++)
		if (disk->name[i].now >= 0 && changing_is_below(disk->name[i].path, path))
			*arena_push(arena, words.word, words.n) = strrchr(disk->name[i].path, '/') + 1;
	if (words.n)
		qsort(words.word, words.n, sizeof *words.word, changing_compare);
	*ret = words;
	return 0;
}

static inline int changing_link(struct world *world, const char *path, struct arena *arena, const char **ret)
{
	struct changing *disk = changing_of(world);
	struct changing_file *file = disk->off ? NULL : changing_file(disk, path);
	if (!file)
		return disk->off ? EIO : ENOENT;
	if (file->type != NODE_LINK)
		return EINVAL;
	*ret = arena_strndup(arena, file->data.data, file->data.size);
	return 0;
}

static inline int changing_stat(struct world *world, const char *path, struct world_stat *ret)
{
	struct changing *disk = changing_of(world);
	struct changing_file *file = disk->off ? NULL : changing_followed(disk, path);
	if (!file)
		return disk->off ? EIO : ENOENT;
	*ret = (struct world_stat){ .type = file->type, .mode = file->mode, .uid = file->uid, .gid = file->gid,
		.size = file->data.size, .mtime = UNKNOWN_NUMBER };
	return 0;
}

static inline int changing_run(
        struct world *world, const struct command *command, struct arena *arena, struct outcome *ret)
{
	struct changing *disk = changing_of(world);
	*ret = (struct outcome){ .out = arena_bytes(arena, "", 0), .err = arena_bytes(arena, "", 0) };
	if (disk->off)
		return EIO;
	return disk->command ? disk->command(disk, command, ret) : ENOENT;
}

static inline int64_t changing_now(struct world *world) { return changing_of(world)->now; }

/* ---- changing ---- */

static inline int changing_put(
        struct world *world, const char *path, struct bytes content, const struct world_owner *owner)
{
	struct changing *disk = changing_of(world);
	int error = changing_effect(disk, "put", path);
	if (error || !changing_has_parent(disk, path))
		return error ? error : ENOENT;
	struct changing_file *file = changing_file(disk, path);
	if (file && file->type != NODE_FILE)
		return file->type == NODE_DIR ? EISDIR : ELOOP;
	if (!file)
		file = changing_add(disk, path, (struct changing_file){ .type = NODE_FILE });
	file->data = arena_bytes(&disk->arena, content.data, content.size);
	file->mode = owner->mode, file->uid = owner->uid, file->gid = owner->gid;
	return 0;
}

static inline int changing_append(struct world *world, const char *path, struct bytes content)
{
	struct changing *disk = changing_of(world);
	int error = changing_effect(disk, "append", path);
	struct changing_file *file = changing_file(disk, path);
	if (error || !file)
		return error ? error : ENOENT;
	char *data = arena_alloc(&disk->arena, file->data.size + content.size + 1);
	memcpy(data, file->data.data, file->data.size);
	memcpy(data + file->data.size, content.data, content.size);
	file->data = (struct bytes){ data, file->data.size + content.size };
	return 0;
}

static inline int changing_sync(struct world *world, const char *path)
{
	struct changing *disk = changing_of(world);
	int error = changing_effect(disk, "sync", path);
	struct changing_name *name = changing_name(disk, path);
	if (error || !name || name->now < 0)
		return error ? error : ENOENT;
	struct changing_inode *inode = &disk->inode[name->now];
	inode->disk = inode->now;
	for (size_t i = 0; inode->now.type == NODE_DIR && i < disk->n_names; i++)
		if (changing_is_below(disk->name[i].path, path))
			disk->name[i].disk = disk->name[i].now;
	return 0;
}

/* This disk has no journal of its own. */
static inline int changing_settle(struct world *world, const char *path)
{
	struct changing *disk = changing_of(world);
	if (disk->settled)
		disk->settled(disk, path);
	return 0;
}

static inline int changing_rename(struct world *world, const char *from, const char *to)
{
	struct changing *disk = changing_of(world);
	int error = changing_effect(disk, "rename", to);
	if (error || !changing_file(disk, from) || !changing_has_parent(disk, to))
		return error ? error : ENOENT;
	int inode = changing_name(disk, from)->now;
	changing_name(disk, from)->now = -1;
	if (!changing_name(disk, to))
		*arena_push(&disk->arena, disk->name, disk->n_names) =
		        (struct changing_name){ arena_strdup(&disk->arena, to), -1, -1 };
	changing_name(disk, to)->now = inode;
	return 0;
}

static inline int changing_remove(struct world *world, const char *path)
{
	struct changing *disk = changing_of(world);
	int error = changing_effect(disk, "remove", path);
	struct changing_file *file = changing_file(disk, path);
	if (error || !file)
		return error ? error : ENOENT;
	for (size_t i = 0; file->type == NODE_DIR && i < disk->n_names; i++)
		if (disk->name[i].now >= 0 && changing_is_below(disk->name[i].path, path))
			return ENOTEMPTY;
	changing_name(disk, path)->now = -1;
	return 0;
}

static inline int changing_mkdir(struct world *world, const char *path, unsigned mode)
{
	struct changing *disk = changing_of(world);
	int error = changing_effect(disk, "mkdir", path);
	if (error || changing_file(disk, path) || !changing_has_parent(disk, path))
		return error ? error : changing_file(disk, path) ? EEXIST : ENOENT;
	changing_add(disk, path, (struct changing_file){ .type = NODE_DIR, .mode = mode });
	return 0;
}

static inline int changing_symlink(struct world *world, const char *target, const char *path)
{
	struct changing *disk = changing_of(world);
	int error = changing_effect(disk, "symlink", path);
	if (error || changing_file(disk, path) || !changing_has_parent(disk, path))
		return error ? error : changing_file(disk, path) ? EEXIST : ENOENT;
	changing_add(disk, path,
	        (struct changing_file){ .type = NODE_LINK, .mode = 0777, .data = arena_bytes(&disk->arena, target, strlen(target)) });
	return 0;
}

static inline int changing_attribute(struct world *world, const char *path, const char *value, unsigned deadline_ms)
{
	struct changing *disk = changing_of(world);
	(void)deadline_ms;
	int error = changing_effect(disk, "attribute", path);
	if (error)
		return error;
	return disk->attribute ? disk->attribute(disk, path, value) : ENOENT;
}

static inline int changing_lock(struct world *world, const char *path)
{
	struct changing *disk = changing_of(world);
	if (disk->off)
		return EIO;
	if (!changing_has_parent(disk, path))
		return ENOENT;
	if (disk->locked)
		return EWOULDBLOCK;
	disk->held = true;
	return 0;
}

/* ---- from outside ---- */

/* Someone else's: at once on disk. The directories above come with it. content NULL: a directory. */
static inline void changing_edit(struct changing *disk, const char *path, const char *content, unsigned mode)
{
	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		char *parent = arena_strndup(&disk->arena, path, (size_t)(slash - path));
		if (!changing_file(disk, parent))
			changing_edit(disk, parent, NULL, 0755);
	}
	struct changing_file file = { .type = content ? NODE_FILE : NODE_DIR, .mode = mode };
	if (content)
		file.data = arena_bytes(&disk->arena, content, strlen(content));
	changing_add(disk, path, file);
	struct changing_name *name = changing_name(disk, path);
	name->disk = name->now;
	disk->inode[name->now].disk = file;
}

/* The program was ended, the machine runs on. */
static inline void changing_go_on(struct changing *disk)
{
	disk->effects = disk->cut = 0;
	disk->matched = disk->faults = disk->fault_from = 0;
	disk->off = disk->held = false;
	disk->fault = NULL;
}

static inline void changing_start(struct changing *disk)
{
	changing_edit(disk, "/proc/sys/kernel/random/boot_id",
	        arena_printf(&disk->arena, "00000000-0000-0000-0000-%012u\n", ++disk->boots), 0444);
	changing_go_on(disk);
}

/* Power again. keep: what was not synced is there all the same; else it is lost. */
static inline void changing_boot(struct changing *disk, bool keep)
{
	for (size_t i = 0; i < disk->n_inodes; i++)
		*(keep ? &disk->inode[i].disk : &disk->inode[i].now) = keep ? disk->inode[i].now : disk->inode[i].disk;
	for (size_t i = 0; i < disk->n_names; i++)
		*(keep ? &disk->name[i].disk : &disk->name[i].now) = keep ? disk->name[i].now : disk->name[i].disk;
	for (bool again = !keep; again;) { /* a name whose directory was lost is lost */
		again = false;
		for (size_t i = 0; i < disk->n_names; i++)
			if (disk->name[i].now >= 0 && disk->name[i].path[1] &&
			        !changing_has_parent(disk, disk->name[i].path))
				disk->name[i].now = disk->name[i].disk = -1, again = true;
	}
	changing_start(disk);
}

static const struct world_ops changing_ops = { .read = changing_read,
	.list = changing_list,
	.link = changing_link,
	.stat = changing_stat,
	.run = changing_run,
	.now = changing_now };
static const struct world_changes changing_changes = { .put = changing_put,
	.append = changing_append,
	.sync = changing_sync,
	.settle = changing_settle,
	.rename = changing_rename,
	.remove = changing_remove,
	.mkdir = changing_mkdir,
	.symlink = changing_symlink,
	.attribute = changing_attribute,
	.lock = changing_lock };

static inline struct world *changing_open(struct changing *disk)
{
	*disk = (struct changing){ .now = 1764000000 };
	disk->world = (struct world){ .ops = &changing_ops, .changes = &changing_changes, .label = "node", .state = disk, .live = true };
	changing_add(disk, "/", (struct changing_file){ .type = NODE_DIR, .mode = 0755 });
	disk->name[0].disk = 0;
	static const char *const folders[] = { "/etc/modprobe.d", "/var/lib", "/usr/local", "/run" };
	for (size_t i = 0; i < COUNT(folders); i++)
		changing_edit(disk, folders[i], NULL, 0755);
	changing_start(disk);
	return &disk->world;
}

/* All that is there below the folders that are compared, as one text. */
static inline const char *changing_text(struct changing *disk, const char *without, struct arena *arena)
{
	struct words lines = { 0 };
	size_t size = strlen(without);
	for (size_t i = 0; i < disk->n_names; i++) {
		const struct changing_file *file = changing_file(disk, disk->name[i].path);
		const char *path = disk->name[i].path;
		if (!file || (strncmp(path, without, size) == 0 && (!path[size] || path[size] == '/')) ||
		        text_starts(path, "/proc"))
			continue;
		*arena_push(arena, lines.word, lines.n) = arena_printf(arena, "%s %d %o %u:%u %.*s\n", path, file->type,
		        file->mode, file->uid, file->gid, (int)file->data.size, file->data.data ? file->data.data : "");
	}
	qsort(lines.word, lines.n, sizeof *lines.word, changing_compare);
	const char *text = "";
	for (size_t i = 0; i < lines.n; i++)
		text = arena_printf(arena, "%s%s", text, lines.word[i]);
	return text;
}
