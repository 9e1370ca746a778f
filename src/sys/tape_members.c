/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A tar or a folder as one flat list of members. What the list is, a tape or a bare tree, is decided on the list
 * (tape_load.c), so a tar and what was unpacked from it cannot be read differently.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/file.h"
#include "sys/tape_file.h"

enum { DEPTH_MAX = 100, BUFFER = 256 * 1024 };

bool tape_bad(struct err *err, const char *name, const char *what)
{
	return err_set(err, ERR_INPUT, "%s: %s", name, what);
}

bool tape_bad_path(struct err *err, const struct members *members, const char *path, const char *what)
{
	struct arena arena ARENA_SCOPED = { 0 };
	return err_set(err, ERR_INPUT, "%s: %.200s: %s", members->name, text_shown(&arena, path), what);
}

/* ---- members ---------------------------------------------------------- */

/* Without "." parts and doubled slashes; "" is the top itself. */
static bool tidy(
        const struct members *members, const char *path, struct arena *arena, struct err *err, const char **ret)
{
	if (*path == '/')
		return tape_bad_path(err, members, path, "an absolute path");
	if (strlen(path) >= TAPE_PATH_MAX - 1)
		return tape_bad_path(err, members, path, "a path that is too long");
	char *kept = arena_alloc(arena, strlen(path) + 1);
	size_t size = 0;
	for (const char *part = path; *part;) {
		size_t n = strcspn(part, "/");
		if (n == 2 && part[0] == '.' && part[1] == '.')
			return tape_bad_path(err, members, path, "a path that leads upwards");
		if (n && !(n == 1 && part[0] == '.')) {
			if (size)
				kept[size++] = '/';
			memcpy(kept + size, part, n);
			size += n;
		}
		part += n + (part[n] == '/');
	}
	*ret = kept;
	return true;
}

static bool add_member(struct members *members, const struct member *member, struct arena *arena, struct err *err)
{
	if (members->n >= TAPE_ENTRIES_MAX)
		return tape_bad(err, members->name, "more entries than a tape may have");
	*arena_push(arena, members->member, members->n) = *member;
	return true;
}

static bool count_bytes(struct members *members, uint64_t size, struct err *err)
{
	if (size > TAPE_BYTES_MAX - members->bytes)
		return tape_bad(err, members->name, "larger than a tape may be (256 MiB unpacked)");
	members->bytes += size;
	return true;
}

static void free_scoped(char **data)
{
	free(*data);
}

/* ---- a tar ------------------------------------------------------------ */

static void release_reader(struct archive **archive)
{
	archive_read_free(*archive);
}

static bool archive_failed(struct archive *archive, const struct members *members, struct err *err)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *why = archive_error_string(archive);
	if (members->n == 0)
		return err_set(err, ERR_INPUT, "%s: neither a tape nor a tree: no tar that can be read (%.120s)",
		        members->name, text_shown(&arena, why ? why : "unknown form"));
	return err_set(err, ERR_INPUT, "%s: cut or damaged: %.200s", members->name,
	        text_shown(&arena, why ? why : "it ends early"));
}

/* The bytes of the member, read as they come: a header that claims much costs nothing before the bytes are there. */
static bool read_data(struct archive *archive, struct members *members, uint64_t size, struct arena *arena,
        struct err *err, struct bytes *ret)
{
	if (!count_bytes(members, size, err))
		return false;
	char *data __attribute__((cleanup(free_scoped))) = NULL;
	char *into = size <= BUFFER ? arena_alloc(arena, size + 1) : NULL;
	size_t used = 0, room = into ? size : 0;
	while (used < size) {
		if (used == room) {
			room = room ? room * 2 : BUFFER;
			if (room > size)
				room = size;
			if (!(data = into = realloc(data, room)))
				abort();
		}
		la_ssize_t got = archive_read_data(archive, into + used, room - used);
		if (got <= 0)
			return archive_failed(archive, members, err);
		used += (size_t)got;
	}
	*ret = data ? arena_bytes(arena, data, size) : (struct bytes){ into, size };
	return true;
}

static const struct member *earlier(const struct members *members, const char *path)
{
	for (size_t i = members->n; i-- > 0;)
		if (strcmp(members->member[i].path, path) == 0)
			return &members->member[i];
	return NULL;
}

/* A hard link is the file it names, which came before. Rare: so no index. */
static bool take_hard_link(
        struct members *members, const char *target, struct member *member, struct arena *arena, struct err *err)
{
	const char *path;
	if (!tidy(members, target, arena, err, &path))
		return false;
	const struct member *first = earlier(members, path);
	if (!first || first->stat.type != NODE_FILE || first->link)
		return tape_bad_path(err, members, member->path, "a hard link to nothing that came before");
	if (!count_bytes(members, 512, err))
		return false;
	member->stat.type = NODE_FILE;
	member->data = first->data;
	member->link = path;
	return true;
}

static bool take_member(struct archive *archive, struct archive_entry *entry, struct members *members,
        struct arena *arena, struct err *err)
{
	const char *path = archive_entry_pathname(entry);
	if (!path)
		path = archive_entry_pathname_utf8(entry);
	if (!path)
		return tape_bad(err, members->name, "a path that cannot be read");
	struct member member = {
		.stat = { .type = world_node_type(archive_entry_filetype(entry)),
		        .mode = archive_entry_perm(entry) & 07777,
		        .uid = (unsigned)archive_entry_uid(entry),
		        .gid = (unsigned)archive_entry_gid(entry),
		        .size = (uint64_t)archive_entry_size(entry),
		        .mtime = archive_entry_mtime(entry) },
	};
	if (!tidy(members, path, arena, err, &member.path))
		return false;
	if (!*member.path)
		return true;
	if (archive_entry_hardlink(entry)) {
		if (!take_hard_link(members, archive_entry_hardlink(entry), &member, arena, err))
			return false;
	} else if (member.stat.type == NODE_LINK) {
		const char *link = archive_entry_symlink(entry);
		member.link = arena_strdup(arena, link ? link : archive_entry_symlink_utf8(entry));
		if (!member.link || strlen(member.link) >= TAPE_PATH_MAX)
			return tape_bad_path(err, members, path, "a link that cannot be read");
	} else if (member.stat.type == NODE_CHAR || member.stat.type == NODE_BLOCK) {
		member.stat.major = (unsigned)archive_entry_rdevmajor(entry);
		member.stat.minor = (unsigned)archive_entry_rdevminor(entry);
	} else if (member.stat.type == NODE_FILE &&
	           !read_data(archive, members, member.stat.size, arena, err, &member.data)) {
		return false;
	}
	return add_member(members, &member, arena, err);
}

/* From the fd, or from memory where it is -1. */
static bool read_tar(int fd, struct bytes memory, struct members *members, struct arena *arena, struct err *err)
{
	struct archive *archive __attribute__((cleanup(release_reader))) = archive_read_new();
	if (!archive)
		abort();
	archive_read_support_filter_gzip(archive);
	archive_read_support_filter_xz(archive);
	archive_read_support_filter_zstd(archive);
	archive_read_support_format_tar(archive);
	int result = fd < 0 ? archive_read_open_memory(archive, memory.data, memory.size)
	                    : archive_read_open_fd(archive, fd, BUFFER);
	if (result)
		return archive_failed(archive, members, err);
	struct archive_entry *entry;
	for (;;) {
		result = archive_read_next_header(archive, &entry);
		if (result == ARCHIVE_EOF)
			break;
		if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
			return archive_failed(archive, members, err);
		/* headers count too: a tar of nothing but headers is large as well */
		if (archive_filter_bytes(archive, 0) > (la_int64_t)TAPE_BYTES_MAX * 2)
			return count_bytes(members, TAPE_BYTES_MAX + 1, err);
		if (!take_member(archive, entry, members, arena, err))
			return false;
	}
	return true;
}

/* ---- a folder --------------------------------------------------------- */

/* 0 or errno; over the limit is EFBIG */
static int read_file(int folder, const char *name, size_t max, struct arena *arena, struct bytes *ret)
{
	int fd FD_SCOPED = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat stat;
	if (fd < 0 || fstat(fd, &stat))
		return errno;
	if (!S_ISREG(stat.st_mode))
		return EINVAL;
	return file_read_fd(fd, (size_t)stat.st_size, max, arena, ret);
}

static bool take_node(int folder, const char *name, struct members *members, struct member *member, struct arena *arena,
        struct err *err)
{
	struct stat stat;
	if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW))
		return tape_bad_path(err, members, member->path, strerror(errno));
	member->stat = (struct world_stat){ .type = world_node_type(stat.st_mode),
		.mode = stat.st_mode & 07777,
		.uid = stat.st_uid,
		.gid = stat.st_gid,
		.major = major(stat.st_rdev),
		.minor = minor(stat.st_rdev),
		.size = (uint64_t)stat.st_size,
		.mtime = stat.st_mtime };
	if (member->stat.type == NODE_LINK) {
		char link[TAPE_PATH_MAX];
		ssize_t size = readlinkat(folder, name, link, sizeof link);
		if (size < 0 || size == sizeof link)
			return tape_bad_path(err, members, member->path, "a link that cannot be read");
		member->link = arena_strndup(arena, link, (size_t)size);
	} else if (member->stat.type == NODE_FILE) {
		member->error = read_file(folder, name, TAPE_BYTES_MAX - members->bytes, arena, &member->data);
		uint64_t size = member->error == EFBIG ? TAPE_BYTES_MAX + 1 : member->data.size;
		if (!count_bytes(members, size, err))
			return false;
	}
	return add_member(members, member, arena, err);
}

/* Takes over the fd. */
static bool read_folder(
        int fd, const char *above, unsigned depth, struct members *members, struct arena *arena, struct err *err)
{
	DIR *folder FOLDER_SCOPED = fdopendir(fd);
	if (!folder) {
		close(fd);
		return tape_bad_path(err, members, above, strerror(errno));
	}
	if (depth > DEPTH_MAX)
		return tape_bad_path(err, members, above, "folders too deep");
	struct dirent *entry;
	while ((errno = 0, entry = readdir(folder))) {
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		struct member member = { .path = arena_printf(arena, "%s%s%s", above, *above ? "/" : "", name) };
		if (strlen(member.path) >= TAPE_PATH_MAX - 1)
			return tape_bad_path(err, members, member.path, "a path that is too long");
		if (!take_node(fd, name, members, &member, arena, err))
			return false;
		if (member.stat.type != NODE_DIR)
			continue;
		int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			members->member[members->n - 1].error = errno;
		else if (!read_folder(below, member.path, depth + 1, members, arena, err))
			return false;
	}
	return errno == 0 || tape_bad_path(err, members, above, strerror(errno));
}

/* ---- either ------------------------------------------------------------ */

bool tape_read_members(const char *path, struct members *members, struct arena *arena, struct err *err)
{
	struct stat stat;
	int fd FD_SCOPED = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &stat))
		return tape_bad(err, members->name, strerror(errno));
	if (S_ISDIR(stat.st_mode))
		return read_folder(fcntl(fd, F_DUPFD_CLOEXEC, 3), "", 0, members, arena, err);
	if (S_ISREG(stat.st_mode) || S_ISFIFO(stat.st_mode))
		return read_tar(fd, (struct bytes){ 0 }, members, arena, err);
	return tape_bad(err, members->name, "neither a file nor a folder");
}

bool tape_read_tar(struct bytes tar, struct members *members, struct arena *arena, struct err *err)
{
	return read_tar(-1, tar, members, arena, err);
}
