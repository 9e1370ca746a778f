/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Files of the machine that behaves, and what of them is on disk. What a cut leaves of what was not synced is the
 * strictest that POSIX allows: a file's content comes with its own sync, a name with its directory's, and nothing else
 * brings them along.
 */
#include "rehearse/model.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINKS_MAX = 40, PATH_ROOM = 3 * TAPE_PATH_MAX };

/* ---- names in a directory ---- */

/* Where a name stands, or would. */
static size_t name_at(const struct model_names *names, const char *name, bool *found)
{
	size_t low = 0, high = names->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(names->name[middle].name, name);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = false;
	return low;
}

/* inode NULL: known to be absent from now on. */
static void name_put(struct rehearse *rehearse, struct model_inode *folder, const char *name, struct model_inode *inode)
{
	struct model_names *names = &folder->names;
	bool found;
	size_t at = name_at(names, name, &found);
	if (!found) {
		if (names->n == names->room) {
			size_t room = names->room ? names->room * 2 : 8;
			struct model_name *wider = arena_alloc(rehearse->arena, room * sizeof *wider);
			if (names->n)
				memcpy(wider, names->name, names->n * sizeof *wider);
			names->name = wider;
			names->room = room;
		}
		assert(names->name);
		memmove(names->name + at + 1, names->name + at, (names->n - at) * sizeof *names->name);
		names->n++;
		names->name[at].name = arena_strdup(rehearse->arena, name);
	}
	names->name[at].inode = inode;
	if (inode)
		inode->parent = folder;
}

static const struct model_name *name_find(const struct model_inode *folder, const char *name)
{
	bool found;
	size_t at = name_at(&folder->names, name, &found);
	return found ? &folder->names.name[at] : NULL;
}

struct model_inode *model_child(const struct model_inode *folder, const char *name)
{
	const struct model_name *found = name_find(folder, name);
	return found ? found->inode : NULL;
}

/* ---- finding ---- */

struct place {
	struct model_inode *folder, *inode; /* folder NULL: the directory above is missing itself */
	char name[NAME_MAX + 1];
};

static struct model_inode *entered(struct model_inode *inode)
{
	return inode->mounted ? inode->mounted : inode;
}

/* The next part of the path, its rest behind it. */
static bool next_part(char *rest, char *name, int *ret_error)
{
	char *start = rest + strspn(rest, "/");
	size_t size = strcspn(start, "/");
	*ret_error = size > NAME_MAX ? ENAMETOOLONG : 0;
	if (!size || *ret_error)
		return false;
	memcpy(name, start, size);
	name[size] = '\0';
	size_t skip = size + strspn(start + size, "/");
	memmove(rest, start + skip, strlen(start + skip) + 1);
	return true;
}

static int follow(char *rest, const char *link, struct model_inode **at, struct model_inode *root)
{
	size_t size = strlen(link), left = strlen(rest);
	if (size + left + 2 > PATH_ROOM)
		return ENAMETOOLONG;
	memmove(rest + size + 1, rest, left + 1);
	memcpy(rest, link, size);
	rest[size] = '/';
	if (*link == '/')
		*at = root;
	return 0;
}

static int walk(struct rehearse *rehearse, const char *path, bool last, struct place *ret)
{
	char rest[PATH_ROOM];
	struct model_inode *at = rehearse->root;
	unsigned links = 0;
	int error = 0;
	*ret = (struct place){ .inode = at };
	if (strlen(path) >= TAPE_PATH_MAX)
		return ENAMETOOLONG;
	memcpy(rest, path, strlen(path) + 1);
	while (next_part(rest, ret->name, &error)) {
		ret->folder = NULL;
		ret->inode = NULL;
		if (at->stat.type != NODE_DIR)
			return at->error ? at->error : ENOENT;
		if (strcmp(ret->name, ".") == 0 || strcmp(ret->name, "..") == 0) {
			if (ret->name[1] && at->parent)
				at = at->parent;
			ret->inode = at;
			continue;
		}
		const struct model_name *name = name_find(at, ret->name);
		struct model_inode *inode = name ? name->inode : NULL;
		if (!inode) {
			ret->folder = *rest ? NULL : at;
			return name || at->listed ? ENOENT : ENODATA;
		}
		if (inode->stat.type == NODE_LINK && (*rest || last)) {
			if (++links > LINKS_MAX)
				return ELOOP;
			error = inode->link ? follow(rest, inode->link, &at, rehearse->root) : ENODATA;
			if (error)
				return error;
			ret->inode = at;
			continue;
		}
		ret->folder = at;
		ret->inode = at = entered(inode);
	}
	return error;
}

int model_look(struct rehearse *rehearse, const char *path, bool last, struct model_inode **ret)
{
	struct place place;
	int error = walk(rehearse, path, last, &place);
	if (!error)
		*ret = place.inode;
	return error;
}

struct model_inode *model_find(struct rehearse *rehearse, const char *path)
{
	struct model_inode *inode = NULL;
	return model_look(rehearse, path, true, &inode) ? NULL : inode;
}

const char *model_text(struct rehearse *rehearse, const char *path)
{
	struct model_inode *inode = model_find(rehearse, path);
	return inode && inode->has_data && !inode->error
	               ? arena_strndup(rehearse->arena, inode->data.data, inode->data.size)
	               : NULL;
}

/* ---- on disk ---- */

static void settle_one(struct model_inode *inode)
{
	inode->on_disk = true;
	inode->disk_has_data = inode->has_data;
	inode->disk_data = inode->data;
	inode->disk_stat = inode->stat;
}

static void settle_names(struct rehearse *rehearse, struct model_inode *inode)
{
	struct model_names *names = &inode->names, *disk = &inode->disk_names;
	if (disk->room < names->n) {
		disk->room = names->n + 8;
		disk->name = arena_alloc(rehearse->arena, disk->room * sizeof *disk->name);
	}
	if (names->n)
		memcpy(disk->name, names->name, names->n * sizeof *disk->name);
	disk->n = names->n;
}

/* A sync of this one: a file's content, a directory's names. */
static void sync_one(struct rehearse *rehearse, struct model_inode *inode)
{
	settle_one(inode);
	if (inode->stat.type == NODE_DIR)
		settle_names(rehearse, inode);
}

void model_settle(struct rehearse *rehearse, struct model_inode *inode)
{
	if (inode->keep == KEEP_NOT)
		return;
	sync_one(rehearse, inode);
	for (size_t i = 0; i < inode->names.n; i++)
		if (inode->names.name[i].inode)
			model_settle(rehearse, inode->names.name[i].inode);
}

/* pmxcfs has it on disk when the call returns. */
static void settle_at_once(struct rehearse *rehearse, struct model_inode *inode)
{
	if (inode && inode->keep == KEEP_AT_ONCE)
		sync_one(rehearse, inode);
}

void model_lose(struct rehearse *rehearse, struct model_inode *inode)
{
	if (inode->keep == KEEP_NOT)
		return;
	if (inode->on_disk) {
		inode->has_data = inode->disk_has_data;
		inode->data = inode->disk_data;
		inode->stat = inode->disk_stat;
	} else {
		inode->has_data = inode->stat.type == NODE_FILE;
		inode->data = (struct bytes){ "", 0 };
		inode->stat.size = 0;
	}
	struct model_names names = inode->disk_names;
	inode->names = (struct model_names){ 0 };
	for (size_t i = 0; i < names.n; i++)
		name_put(rehearse, inode, names.name[i].name, names.name[i].inode);
	settle_one(inode);
	for (size_t i = 0; i < names.n; i++)
		if (names.name[i].inode)
			model_lose(rehearse, names.name[i].inode);
}

/* ---- without an effect ---- */

static enum model_keep keep_of(const struct rehearse *rehearse, const struct model_inode *folder, const char *name)
{
	static const char *const not_kept[] = { "proc", "sys", "dev", "run", "tmp" };
	if (folder->keep != KEEP_DISK)
		return folder->keep;
	for (size_t i = 0; folder == rehearse->root && i < sizeof not_kept / sizeof *not_kept; i++)
		if (strcmp(name, not_kept[i]) == 0)
			return KEEP_NOT;
	bool pve = folder->parent == rehearse->root && model_child(rehearse->root, "etc") == folder;
	return pve && strcmp(name, "pve") == 0 ? KEEP_AT_ONCE : KEEP_DISK;
}

static struct model_inode *make(
        struct rehearse *rehearse, struct model_inode *folder, const char *name, enum node_type type, unsigned mode)
{
	struct model_inode *inode = arena_new(rehearse->arena, struct model_inode);
	inode->stat = (struct world_stat){ .type = type, .mode = mode, .mtime = rehearse->clock };
	inode->keep = keep_of(rehearse, folder, name);
	inode->open_error = -1;
	inode->listed = type == NODE_DIR && !rehearse->loading;
	name_put(rehearse, folder, name, inode);
	return inode;
}

static struct model_inode *make_settled(
        struct rehearse *rehearse, struct model_inode *folder, const char *name, enum node_type type, unsigned mode)
{
	struct model_inode *inode = make(rehearse, folder, name, type, mode);
	if (inode->keep == KEEP_NOT)
		return inode;
	sync_one(rehearse, inode);
	/* only this name becomes durable, not what else waits in the folder */
	struct model_names now = folder->names;
	folder->names = folder->disk_names;
	name_put(rehearse, folder, name, inode);
	folder->disk_names = folder->names;
	folder->names = now;
	return inode;
}

/* Makes the directories above, following links. NULL: something on the way is no directory. */
static struct model_inode *folder_of(struct rehearse *rehearse, const char *path, unsigned depth)
{
	const char *cut = strrchr(path, '/');
	if (!cut || depth > MACHINE_DEPTH_MAX * 2)
		return NULL;
	if (cut == path)
		return rehearse->root;
	const char *above = arena_strndup(rehearse->arena, path, (size_t)(cut - path));
	struct place place;
	int error = walk(rehearse, above, true, &place);
	if (!error)
		return place.inode->stat.type == NODE_DIR ? place.inode : NULL;
	if (error != ENOENT && error != ENODATA)
		return NULL;
	if (!place.folder) { /* a link into nothing, or more is missing: above it first */
		struct model_inode *folder = folder_of(rehearse, above, depth + 1);
		if (!folder || walk(rehearse, above, true, &place) == 0)
			return folder ? place.inode : NULL;
		if (!place.folder)
			return NULL;
	}
	return make_settled(rehearse, place.folder, place.name, NODE_DIR, 0755);
}

struct model_inode *model_set(
        struct rehearse *rehearse, const char *path, enum node_type type, unsigned mode, struct bytes data)
{
	struct model_inode *folder = folder_of(rehearse, path, 0);
	if (!folder)
		return NULL;
	const char *name = strrchr(path, '/') + 1;
	struct model_inode *old = model_child(folder, name);
	if (old && old->stat.type == type && type == NODE_DIR)
		return old;
	struct model_inode *inode = make_settled(rehearse, folder, name, type, mode);
	inode->has_data = type == NODE_FILE;
	inode->data = data.data ? data : (struct bytes){ "", 0 };
	inode->stat.size = inode->data.size;
	settle_one(inode);
	return inode;
}

struct model_inode *model_set_text(struct rehearse *rehearse, const char *path, unsigned mode, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_vprintf(rehearse->arena, format, args);
	va_end(args);
	struct model_inode *inode = model_set(rehearse, path, NODE_FILE, mode, (struct bytes){ text, strlen(text) });
	/* attributes of the kernel say a page or nothing */
	if (inode && inode->keep == KEEP_NOT && !text_starts(path, "/run"))
		inode->stat.size = text_starts(path, "/sys") ? 4096 : 0;
	return inode;
}

struct model_inode *model_set_link(struct rehearse *rehearse, const char *path, const char *target)
{
	struct model_inode *inode = model_set(rehearse, path, NODE_LINK, 0777, (struct bytes){ 0 });
	if (inode)
		inode->link = arena_strdup(rehearse->arena, target);
	return inode;
}

struct model_inode *model_set_relative(struct rehearse *rehearse, const char *path, const char *target)
{
	size_t same = 0;
	for (size_t i = 0; path[i] && path[i] == target[i]; i++)
		if (path[i] == '/')
			same = i + 1;
	const char *up = "";
	for (const char *at = path + same; (at = strchr(at, '/')); at++)
		up = MODEL_PRINT(rehearse, "%s../", up);
	return model_set_link(rehearse, path, MODEL_PRINT(rehearse, "%s%s", up, target + same));
}

void model_drop(struct rehearse *rehearse, const char *path)
{
	struct place place;
	int error = walk(rehearse, path, false, &place);
	if ((error && error != ENODATA) || !place.folder)
		return;
	name_put(rehearse, place.folder, place.name, NULL);
	if (place.folder->keep == KEEP_NOT)
		return;
	struct model_names now = place.folder->names;
	place.folder->names = place.folder->disk_names;
	place.folder->disk_names = (struct model_names){ 0 };
	name_put(rehearse, place.folder, place.name, NULL);
	place.folder->disk_names = place.folder->names;
	place.folder->names = now;
}

struct model_inode *model_take(struct rehearse *rehearse, const char *path)
{
	struct place place;
	if (walk(rehearse, path, false, &place) || !place.folder)
		return NULL;
	struct model_inode *inode = model_child(place.folder, place.name);
	name_put(rehearse, place.folder, place.name, NULL);
	return inode;
}

bool model_give(struct rehearse *rehearse, const char *path, struct model_inode *inode)
{
	struct model_inode *folder = folder_of(rehearse, path, 0);
	if (!folder)
		return false;
	name_put(rehearse, folder, strrchr(path, '/') + 1, inode);
	return true;
}

/* ---- effects ---- */

bool model_dead(struct rehearse *rehearse)
{
	if (rehearse->power == POWER_ON && rehearse->cut && rehearse->effects >= rehearse->cut)
		rehearse->power = POWER_CUT;
	return rehearse->power != POWER_ON;
}

bool model_comes(struct model_fault *fault, const char *name)
{
	if ((!fault->for_ever && !fault->times) || !text_matches(fault->pattern, name) ||
	        ++fault->matched < fault->first)
		return false;
	fault->came = true;
	fault->times -= fault->times ? 1 : 0;
	return true;
}

void model_meanwhile(struct rehearse *rehearse, const char *name)
{
	for (size_t i = 0; i < rehearse->n_faults; i++)
		if (rehearse->faults[i].fault == FAULT_OTHER && model_comes(&rehearse->faults[i], name))
			rehearse->faults[i].other(rehearse->faults[i].data, rehearse);
}

static int fault_of(struct rehearse *rehearse, const char *name)
{
	for (size_t i = 0; i < rehearse->n_faults; i++) {
		struct model_fault *fault = &rehearse->faults[i];
		bool ours = fault->fault == FAULT_ERRNO || fault->fault == FAULT_HANG;
		if (ours && model_comes(fault, name))
			return fault->fault == FAULT_HANG ? ETIMEDOUT : fault->error;
	}
	return 0;
}

int model_effect(struct rehearse *rehearse, const char *format, ...)
{
	if (model_dead(rehearse))
		return EIO;
	va_list args;
	va_start(args, format);
	const char *name = arena_vprintf(rehearse->arena, format, args);
	va_end(args);
	model_meanwhile(rehearse, name);
	int error = fault_of(rehearse, name);
	if (error)
		return error;
	rehearse->effects++;
	rehearse->clock++;
	rehearse->effect = name;
	return 0;
}

/* The place of a change: what stands there may be missing, the directory above may not. */
static int change_place(struct rehearse *rehearse, const char *path, struct place *ret)
{
	if (model_dead(rehearse))
		return EIO;
	int error = walk(rehearse, path, false, ret);
	if (error == ENODATA)
		error = ENOENT;
	if (error && error != ENOENT)
		return error;
	return ret->folder ? 0 : ret->inode ? EBUSY : ENOENT;
}

static struct bytes copied(struct rehearse *rehearse, struct bytes content)
{
	return arena_bytes(rehearse->arena, content.data ? content.data : "", content.size);
}

static void fill(struct rehearse *rehearse, struct model_inode *inode, struct bytes content)
{
	inode->has_data = true;
	inode->error = 0;
	inode->data = content;
	inode->stat.size = content.size;
	inode->stat.mtime = rehearse->clock;
	settle_at_once(rehearse, inode);
}

static int writable(const struct model_inode *inode)
{
	static const struct {
		enum node_type type;
		int error;
	} refused[] = { { NODE_DIR, EISDIR }, { NODE_LINK, ELOOP }, { NODE_CHAR, EINVAL }, { NODE_BLOCK, EINVAL } };
	for (size_t i = 0; inode && i < sizeof refused / sizeof *refused; i++)
		if (inode->stat.type == refused[i].type)
			return refused[i].error;
	return 0;
}

int model_put(struct rehearse *rehearse, const char *path, struct bytes content, const struct world_owner *owner)
{
	struct place place;
	int error = change_place(rehearse, path, &place);
	error = error ? error : writable(place.inode);
	error = error ? error : model_effect(rehearse, "put %s", path);
	if (error)
		return error;
	struct model_inode *inode =
	        place.inode ? place.inode : make(rehearse, place.folder, place.name, NODE_FILE, 0644);
	if (owner) {
		inode->stat.mode = owner->mode & 07777;
		inode->stat.uid = owner->uid;
		inode->stat.gid = owner->gid;
	}
	fill(rehearse, inode, copied(rehearse, content));
	settle_at_once(rehearse, place.folder);
	return 0;
}

int model_append(struct rehearse *rehearse, const char *path, struct bytes content)
{
	struct place place;
	int error = change_place(rehearse, path, &place);
	error = error ? error : !place.inode ? ENOENT : writable(place.inode);
	error = error ? error : place.inode->has_data ? 0 : place.inode->error ? place.inode->error : ENODATA;
	error = error ? error : model_effect(rehearse, "append %s", path);
	if (error)
		return error;
	struct bytes old = place.inode->data;
	char *longer = arena_alloc(rehearse->arena, old.size + content.size + 1);
	memcpy(longer, old.data, old.size);
	if (content.size)
		memcpy(longer + old.size, content.data, content.size);
	fill(rehearse, place.inode, (struct bytes){ longer, old.size + content.size });
	return 0;
}

int model_sync(struct rehearse *rehearse, const char *path)
{
	struct place place;
	if (model_dead(rehearse))
		return EIO;
	int error = walk(rehearse, path, true, &place);
	error = error == ENODATA ? ENOENT : error;
	error = error ? error : model_effect(rehearse, "sync %s", path);
	if (!error && place.inode->keep != KEEP_NOT)
		sync_one(rehearse, place.inode);
	return error;
}

static bool has_names(const struct model_inode *folder)
{
	for (size_t i = 0; i < folder->names.n; i++)
		if (folder->names.name[i].inode)
			return true;
	return false;
}

int model_rename(struct rehearse *rehearse, const char *from, const char *to)
{
	struct place old, new;
	int error = change_place(rehearse, from, &old);
	error = error ? error : !old.inode ? ENOENT : change_place(rehearse, to, &new);
	if (error)
		return error;
	bool folder = old.inode->stat.type == NODE_DIR;
	if (new.inode &&new.inode->stat.type == NODE_DIR)
		error = !folder ? EISDIR : has_names(new.inode) ? ENOTEMPTY : 0;
	else if (new.inode && folder)
		error = ENOTDIR;
	if (!error && old.folder->keep != new.folder->keep)
		error = EXDEV;
	error = error ? error : model_effect(rehearse, "rename %s %s", from, to);
	if (error || old.inode == new.inode)
		return error;
	name_put(rehearse, old.folder, old.name, NULL);
	name_put(rehearse, new.folder, new.name, old.inode);
	settle_at_once(rehearse, old.folder);
	settle_at_once(rehearse, new.folder);
	return 0;
}

int model_remove(struct rehearse *rehearse, const char *path)
{
	struct place place;
	int error = change_place(rehearse, path, &place);
	error = error ? error : !place.inode ? ENOENT : 0;
	if (!error && place.inode->stat.type == NODE_DIR)
		error = place.inode->parent != place.folder ? EBUSY : has_names(place.inode) ? ENOTEMPTY : 0;
	error = error ? error : model_effect(rehearse, "remove %s", path);
	if (error)
		return error;
	name_put(rehearse, place.folder, place.name, NULL);
	settle_at_once(rehearse, place.folder);
	return 0;
}

static int make_new(struct rehearse *rehearse, const char *path, const char *what, enum node_type type, unsigned mode,
        const char *link)
{
	struct place place;
	int error = change_place(rehearse, path, &place);
	error = error == EBUSY || (!error && place.inode) ? EEXIST : error;
	error = error ? error : model_effect(rehearse, "%s %s", what, path);
	if (error)
		return error;
	struct model_inode *inode = make(rehearse, place.folder, place.name, type, mode & 07777);
	inode->link = link ? arena_strdup(rehearse->arena, link) : NULL;
	/* a link is its own content; it has no sync of its own */
	if (type == NODE_LINK)
		settle_one(inode);
	settle_at_once(rehearse, inode);
	settle_at_once(rehearse, place.folder);
	return 0;
}

int model_mkdir(struct rehearse *rehearse, const char *path, unsigned mode)
{
	return make_new(rehearse, path, "mkdir", NODE_DIR, mode, NULL);
}

int model_symlink(struct rehearse *rehearse, const char *target, const char *path)
{
	return make_new(rehearse, path, "symlink", NODE_LINK, 0777, target);
}

int model_sync_all(struct rehearse *rehearse)
{
	int error = model_effect(rehearse, "sync");
	if (error)
		return error;
	model_settle(rehearse, rehearse->root);
	for (size_t i = 0; i < rehearse->n_disks; i++)
		model_settle(rehearse, rehearse->disks[i].root);
	return 0;
}

int model_commit(struct rehearse *rehearse, const char *path, struct bytes content, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const char *name = arena_vprintf(rehearse->arena, format, args);
	va_end(args);
	int error = model_effect(rehearse, "%s", name);
	if (error)
		return error;
	if (!content.data) {
		model_drop(rehearse, path);
		return 0;
	}
	struct model_inode *old = model_find(rehearse, path), *inode;
	struct world_stat stat = old ? old->stat : (struct world_stat){ .mode = 0640, .gid = 33 };
	inode = model_set(rehearse, path, NODE_FILE, stat.mode, copied(rehearse, content));
	if (!inode)
		return ENOENT;
	inode->stat.uid = stat.uid;
	inode->stat.gid = stat.gid;
	settle_one(inode);
	return 0;
}

/* ---- mounts ---- */

int model_mount(struct rehearse *rehearse, struct model_disk *disk, const char *path)
{
	struct place place;
	int error = walk(rehearse, path, true, &place);
	if (error || place.inode->stat.type != NODE_DIR)
		return error ? ENOENT : ENOTDIR;
	if (disk->at || place.inode == rehearse->root || !place.folder)
		return EBUSY;
	disk->at = model_child(place.folder, place.name);
	disk->where = arena_strdup(rehearse->arena, path);
	disk->root->parent = place.folder;
	disk->root->disk = disk;
	disk->at->mounted = disk->root;
	return 0;
}

void model_unmount(struct model_disk *disk)
{
	if (disk->at)
		disk->at->mounted = NULL;
	disk->at = NULL;
	disk->where = NULL;
}

/* ---- from the recording ---- */

static void take_entry(struct rehearse *rehearse, const struct tape_entry *entry)
{
	struct model_inode *folder = folder_of(rehearse, entry->path, 0);
	const char *name = strrchr(entry->path, '/') + 1;
	if (!folder || !*name)
		return;
	if (entry->error == ENOENT) {
		if (!model_child(folder, name))
			name_put(rehearse, folder, name, NULL);
		return;
	}
	enum node_type type = entry->stat.type == NODE_UNKNOWN && entry->implied ? NODE_DIR : entry->stat.type;
	struct model_inode *inode = model_child(folder, name);
	if (inode && (entry->implied || inode->stat.type == NODE_LINK))
		return;
	if (!inode)
		inode = make(rehearse, folder, name, type, entry->stat.mode);
	inode->stat = entry->stat;
	inode->stat.type = type;
	inode->error = entry->error;
	inode->has_data = entry->has_data;
	inode->data = entry->data;
	inode->link = entry->link;
	inode->open_error = entry->open_error;
	inode->listed = entry->listed && !rehearse->recorded->partial;
}

/* Directories that every node has; what lies in them is not known by that. */
static const char *const usual_folders[] = { "/etc/systemd/system", "/var/lib", "/var/log", "/run/lock", "/tmp",
	"/usr/sbin", "/usr/bin", "/mnt", "/root", "/var/lib/dpkg", "/etc/apt/preferences.d", "/etc/udev" };
/* Nobody asks it of a machine that never saw gpuferry. */
static const char *const absent_folders[] = { "/var/lib/gpuferry" };

bool model_is_usual(const char *path)
{
	size_t size = strlen(path);
	for (size_t i = 0; i < sizeof usual_folders / sizeof *usual_folders; i++)
		if (strncmp(usual_folders[i], path, size) == 0 &&
		        (!usual_folders[i][size] || usual_folders[i][size] == '/'))
			return true;
	return false;
}

static void usual(struct rehearse *rehearse)
{
	struct model_inode *inode;
	for (size_t i = 0; i < sizeof usual_folders / sizeof *usual_folders; i++) {
		int error = model_look(rehearse, usual_folders[i], true, &inode);
		struct model_inode *folder =
		        error ? model_set(rehearse, usual_folders[i], NODE_DIR, 0755, (struct bytes){ 0 }) : NULL;
		if (folder)
			folder->listed = error == ENOENT;
	}
	for (size_t i = 0; i < sizeof absent_folders / sizeof *absent_folders; i++)
		if (model_look(rehearse, absent_folders[i], true, &inode) == ENODATA)
			model_drop(rehearse, absent_folders[i]);
}

bool model_load(struct rehearse *rehearse, struct err *err)
{
	struct tape_target *target = rehearse->recorded;
	rehearse->root = arena_new(rehearse->arena, struct model_inode);
	rehearse->root->stat = (struct world_stat){ .type = NODE_DIR, .mode = 0755, .mtime = rehearse->clock };
	rehearse->loading = true;
	for (unsigned links = 2; links--;)
		for (size_t i = 0; i < target->n; i++) {
			const struct tape_entry *entry = &target->entries[i];
			bool link = entry->stat.type == NODE_LINK && !entry->error;
			if (link == (links == 1) && entry->path[1])
				take_entry(rehearse, entry);
		}
	rehearse->loading = false;
	usual(rehearse);
	struct model_inode *inode;
	if (model_look(rehearse, "/sys/bus/pci/devices", true, &inode) || !inode->listed)
		return err_set(err, ERR_INPUT, "this machine cannot be rehearsed: its PCI devices were not recorded");
	model_settle(rehearse, rehearse->root);
	return true;
}

/* ---- numbers ---- */

unsigned model_number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

size_t model_hex(struct arena *arena, const char *text, const char *separators, unsigned *const *ret, size_t n)
{
	struct words words = text_split(arena, text, separators);
	uint64_t number;
	size_t i = 0;
	for (; i < n && i < words.n && text_number(words.word[i], 16, UINT32_MAX, &number); i++)
		*ret[i] = (unsigned)number;
	return i;
}
