/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sys/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "sys/file.h"

static int write_all(int fd, struct bytes content)
{
	while (content.size) {
		ssize_t wrote = write(fd, content.data, content.size);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return errno;
		content.data += wrote;
		content.size -= (size_t)wrote;
	}
	return 0;
}

static bool failed(struct err *err, int error, const char *path)
{
	struct arena arena ARENA_SCOPED = { 0 };
	return err_errno(err, error, "writing %s", text_shown(&arena, path));
}

static int sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	int fd FD_SCOPED = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) ? errno : 0;
}

/* A new file beside the path. Its name is nobody else's: O_EXCL. */
static int open_beside(const char *path, unsigned mode, char beside[PATH_MAX])
{
	for (unsigned try = 0; try < 1000; try++) {
		if (snprintf(beside, PATH_MAX, "%s.%d-%u.new", path, (int)getpid(), try) >= PATH_MAX)
			return -ENAMETOOLONG;
		int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
		if (fd >= 0 || errno != EEXIST)
			return fd >= 0 ? fd : -errno;
	}
	return -EEXIST;
}

static int replace(const char *path, struct bytes content, unsigned mode, bool synced)
{
	char beside[PATH_MAX];
	int fd = open_beside(path, mode, beside);
	if (fd < 0)
		return -fd;
	int error = write_all(fd, content);
	if (!error && synced && fsync(fd))
		error = errno;
	if (close(fd) && !error)
		error = errno;
	if (!error && rename(beside, path))
		error = errno;
	if (error)
		unlink(beside);
	return error || !synced ? error : sync_folder(path);
}

/* A device or FIFO (/dev/null, /dev/stdout) is written into, never replaced by a file. */
static int write_into(const char *path, struct bytes content)
{
	int fd FD_SCOPED = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? errno : write_all(fd, content);
}

bool store_write(const char *path, struct bytes content, unsigned mode, struct err *err)
{
	struct stat stat_there;
	char real[PATH_MAX];
	int error;
	if (strcmp(path, "-") == 0)
		error = write_all(STDOUT_FILENO, content);
	else if (stat(path, &stat_there))
		error = errno == ENOENT ? replace(path, content, mode, true) : errno;
	else if (S_ISDIR(stat_there.st_mode))
		error = EISDIR;
	else if (!S_ISREG(stat_there.st_mode))
		error = write_into(path, content);
	else
		error = realpath(path, real) ? replace(real, content, mode, true) : errno;
	return error ? failed(err, error, path) : true;
}

bool store_read(const char *path, size_t max, struct arena *arena, struct err *err, struct bytes *ret)
{
	bool input = strcmp(path, "-") == 0;
	int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int error = fd < 0 ? errno : file_read_fd(fd, 0, max, arena, ret);
	if (fd >= 0 && !input)
		close(fd);
	if (!error)
		return true;
	const char *shown = input ? "standard input" : text_shown(arena, path);
	return err_set(err, ERR_INPUT, "reading %s: %s", shown, strerror(error));
}

bool store_folder(const char *path, unsigned mode, struct err *err)
{
	char part[PATH_MAX];
	struct stat stat_there;
	size_t size = strlen(path);
	if (size >= sizeof part)
		return failed(err, ENAMETOOLONG, path);
	for (size_t i = 1; i <= size; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, mode) && errno != EEXIST)
			return failed(err, errno, part);
	}
	if (stat(path, &stat_there))
		return failed(err, errno, path);
	return S_ISDIR(stat_there.st_mode) ? true : failed(err, ENOTDIR, path);
}

bool store_put(const char *path, struct bytes content, unsigned mode, struct err *err)
{
	int error = replace(path, content, mode, false);
	return error ? failed(err, error, path) : true;
}

/* ---- what a program writes for us --------------------------------------------- */

#define WORK_NAME "gpuferry-XXXXXX"
#define WORK_MARK "gpuferry-works-here" /* a folder without it may be anybody's */

static void clear(int folder, const char *path)
{
	int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list FOLDER_SCOPED = again < 0 ? NULL : fdopendir(again);
	for (struct dirent *entry; list && (entry = readdir(list));)
		if (strcmp(entry->d_name, WORK_MARK) != 0)
			unlinkat(folder, entry->d_name, 0);
	unlinkat(folder, WORK_MARK, 0);
	rmdir(path);
}

/* Does the name still lead to what was opened by it? */
static bool is_still(int fd, const char *path)
{
	struct stat opened, there;
	return fstat(fd, &opened) == 0 && lstat(path, &there) == 0 && there.st_ino == opened.st_ino &&
	       there.st_dev == opened.st_dev;
}

/* A descriptor of a work folder of this user's, locked; -1: it is another's, or somebody works there. Where the file system
 * knows no locks only who has made it (own) can have it. */
static int take(const char *path, bool own)
{
	struct stat taken;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int error = file_hold(fd);
	/* who held it before may have removed it */
	if ((!error || (own && error != EWOULDBLOCK)) && fstat(fd, &taken) == 0 && taken.st_uid == geteuid() && is_still(fd, path))
		return fd;
	close(fd);
	return -1;
}

static void clear_left_over(const char *folder)
{
	DIR *list FOLDER_SCOPED = opendir(folder);
	for (struct dirent *entry; list && (entry = readdir(list));) {
		const char *name = entry->d_name + (*entry->d_name == '.');
		struct arena arena ARENA_SCOPED = { 0 };
		if (strlen(name) != strlen(WORK_NAME) || strncmp(name, WORK_NAME, strlen(WORK_NAME) - 6) != 0)
			continue;
		const char *path = arena_printf(&arena, "%s/%s", folder, entry->d_name);
		int fd FD_SCOPED = take(path, false);
		if (fd >= 0 && faccessat(fd, WORK_MARK, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			clear(fd, path);
	}
}

bool store_work(const char *folder, bool hidden, struct arena *arena, struct err *err, struct store_work *ret)
{
	clear_left_over(folder);
	for (int tries = 0; tries < 10; tries++) {
		char *made = arena_printf(arena, "%s/%s%s", folder, hidden ? "." : "", WORK_NAME);
		if (!mkdtemp(made))
			return err_errno(err, errno, "%s", text_shown(arena, folder));
		/* another one may take it for left over before it is locked */
		*ret = (struct store_work){ made, take(made, true) };
		int mark FD_SCOPED = ret->lock < 0 ? -1 : openat(ret->lock, WORK_MARK, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		int error = errno;
		if (mark >= 0)
			return true;
		bool had = ret->lock >= 0;
		store_work_end(ret);
		rmdir(made);
		if (had)
			return err_errno(err, error, "%s", text_shown(arena, folder));
	}
	*ret = (struct store_work){ NULL, -1 };
	return err_set(err, ERR_SYSTEM, "%s: no folder can be locked there", text_shown(arena, folder));
}

void store_work_end(struct store_work *work)
{
	if (!work->path || work->lock < 0)
		return;
	clear(work->lock, work->path);
	close(work->lock);
	*work = (struct store_work){ NULL, -1 };
}

bool store_claim(const char *path, struct arena *arena, struct err *err, struct store_claim *ret)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	const char *beside = arena_printf(arena, "%.*s.%s.gpuferry", (int)(name - path), path, name);
	for (int tries = 0; tries < 10; tries++) {
		int fd = open(beside, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
		if (fd < 0)
			return failed(err, errno, beside);
		int error = file_hold(fd);
		if (error != EWOULDBLOCK && is_still(fd, beside)) {
			*ret = (struct store_claim){ beside, fd };
			return true;
		}
		close(fd);
		if (error == EWOULDBLOCK)
			break;
	}
	return err_set(err, ERR_LOCKED, "%s: another one is writing it", text_shown(arena, path));
}

void store_claim_end(struct store_claim *claim)
{
	if (!claim->path)
		return;
	unlink(claim->path);
	close(claim->lock);
	*claim = (struct store_claim){ NULL, -1 };
}

struct words store_list(const char *folder, struct arena *arena)
{
	struct words names = { 0 };
	DIR *list FOLDER_SCOPED = opendir(folder);
	for (struct dirent *entry; list && (entry = readdir(list));)
		*arena_push(arena, names.word, names.n) = arena_strdup(arena, entry->d_name);
	return names;
}

static int join(int to, int from, struct bytes mark)
{
	enum { CHUNK = 1 << 18, MARK_WITHIN = 65536 };
	char *data = malloc(CHUNK);
	if (!data)
		abort();
	int error = 0;
	for (bool looked = !mark.size; !error;) {
		ssize_t got = read(from, data, looked ? CHUNK : MARK_WITHIN);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			error = errno;
		if (got <= 0 && looked)
			break;
		const char *begin = looked || got < 0 ? data : memmem(data, (size_t)got, mark.data, mark.size);
		if (!error && !begin)
			error = EINVAL;
		if (!error)
			error = write_all(to, (struct bytes){ begin, (size_t)(data + got - begin) });
		looked = true;
	}
	free(data);
	return error;
}

bool store_join(const char *to, const char *from, struct bytes mark, struct err *err)
{
	int in FD_SCOPED = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (in < 0)
		return failed(err, errno, from);
	int out FD_SCOPED = open(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	int error = out < 0 ? errno : join(out, in, mark);
	return error ? failed(err, error, to) : true;
}

/* NFS, many a FUSE, and ZFS before 2.2 do not know how to rename and replace nothing: a second name does not either. Where
 * there are none it is looked for before. */
static int rename_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return errno;
	if (link(from, to) == 0) {
		unlink(from);
		return 0;
	}
	if (errno == EEXIST || store_there(to))
		return EEXIST;
	return rename(from, to) ? errno : 0;
}

bool store_take(const char *from, const char *to, bool replace_it, struct err *err)
{
	int fd FD_SCOPED = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	mode_t mask = umask(0);
	umask(mask);
	if (fd < 0 || fchmod(fd, 0666 & ~mask) || fsync(fd))
		return failed(err, errno, from);
	int error = !replace_it ? rename_new(from, to) : rename(from, to) ? errno : 0;
	if (!error)
		error = sync_folder(to);
	return error ? failed(err, error, to) : true;
}

void store_remove(const char *path)
{
	unlink(path);
}

enum store_kind store_kind(const char *path, struct err *err)
{
	struct stat found;
	struct arena arena ARENA_SCOPED = { 0 };
	if (stat(path, &found)) {
		err_errno(err, errno, "%s", text_shown(&arena, path));
		return STORE_UNKNOWN;
	}
	return S_ISREG(found.st_mode) ? STORE_FILE : S_ISDIR(found.st_mode) ? STORE_FOLDER : STORE_OTHER;
}

bool store_there(const char *path)
{
	struct stat stat_there;
	return lstat(path, &stat_there) == 0;
}

bool store_same(const char *left, const char *right)
{
	struct stat left_stat, right_stat;
	return stat(left, &left_stat) == 0 && stat(right, &right_stat) == 0 && left_stat.st_dev == right_stat.st_dev &&
	       left_stat.st_ino == right_stat.st_ino;
}

static bool others_write(const struct stat *found)
{
	return found->st_mode & (S_IWGRP | S_IWOTH);
}

bool store_is_safe(const char *path)
{
	struct stat found;
	return stat(path, &found) == 0 && (found.st_uid == geteuid() || found.st_uid == 0) && !others_write(&found);
}

bool store_is_own(const char *folder)
{
	struct stat found;
	return stat(folder, &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == geteuid() && !others_write(&found);
}

const char *store_identity(const char *path, struct arena *arena)
{
	struct stat found;
	if (store_kind(path, NULL) != STORE_FILE)
		return NULL;
	/* opened, as NFS tells the truth then and not before (nfs(5), close-to-open) */
	int fd FD_SCOPED = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &found))
		return NULL;
	return arena_printf(arena, "%ju:%ju %ju %jd.%09ld %jd.%09ld", (uintmax_t)found.st_dev, (uintmax_t)found.st_ino,
	        (uintmax_t)found.st_size, (intmax_t)found.st_mtim.tv_sec, found.st_mtim.tv_nsec,
	        (intmax_t)found.st_ctim.tv_sec, found.st_ctim.tv_nsec);
}

bool store_room(const char *folder, struct err *err, uint64_t *ret_bytes, bool *ret_memory)
{
	struct statfs room;
	struct arena arena ARENA_SCOPED = { 0 };
	if (statfs(folder, &room))
		return err_errno(err, errno, "%s", text_shown(&arena, folder));
	*ret_bytes = (uint64_t)room.f_bavail * (uint64_t)room.f_bsize;
	*ret_memory = room.f_type == TMPFS_MAGIC || room.f_type == RAMFS_MAGIC;
	return true;
}
