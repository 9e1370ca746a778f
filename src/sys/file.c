/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
	FIRST_READ = 8192, /* a sysfs attribute is at most one page */
	RACES_MAX = 64,    /* openat2 says EAGAIN when a rename elsewhere raced with ".." (openat2(2)) */
};

void file_close_scoped(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

void file_close_folder_scoped(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

int file_open_root(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

/* Magic links (/proc/PID/root, /proc/PID/fd/N) lead out of any root, so they are never followed. */
int file_open_in(int root, const char *path, unsigned flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	for (int race = 0;; race++) {
		long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
		if (fd >= 0)
			return (int)fd;
		if ((errno != EAGAIN || race == RACES_MAX) && errno != EINTR)
			return -errno;
	}
}

/* A part of the path that is no directory: what is asked for is known not to be there. */
static int absent(int error)
{
	return error == ENOTDIR ? ENOENT : error;
}

static int regular(int fd, struct stat *ret)
{
	if (fstat(fd, ret))
		return errno;
	if (S_ISDIR(ret->st_mode))
		return EISDIR;
	return S_ISREG(ret->st_mode) ? 0 : EINVAL;
}

/* Opening a device can already do something (a watchdog starts), so the type is asked before, except in /sys and
 * /proc, which hold no devices and are read most. */
static int open_regular(int root, const char *path, struct stat *stat, int *ret)
{
	if (strncmp(path, "/sys/", 5) != 0 && strncmp(path, "/proc/", 6) != 0) {
		int look FD_SCOPED = file_open_in(root, path, O_PATH);
		int error = look < 0 ? absent(-look) : regular(look, stat);
		if (error)
			return error;
	}
	int fd = file_open_in(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return absent(-fd);
	int error = regular(fd, stat);
	if (error)
		close(fd);
	else
		*ret = fd;
	return error;
}

/* Reads until `room` bytes are there or the file ends. */
static int fill(int fd, char *data, size_t room, size_t *used, bool *ended)
{
	while (*used < room) {
		ssize_t got = read(fd, data + *used, room - *used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (got == 0) {
			*ended = true;
			return 0;
		}
		*used += (size_t)got;
	}
	return 0;
}

static void free_scoped(char **data)
{
	free(*data);
}

/* What did not fit the first read: a buffer that doubles. st_size is only a hint (0 in /proc, a page in sysfs). */
static int read_long(
        int fd, const char *first, size_t used, size_t hint, size_t max, struct arena *arena, struct bytes *ret)
{
	char *data __attribute__((cleanup(free_scoped))) = NULL;
	size_t room = hint >= used && hint <= max ? hint + 1 : used * 4;
	bool ended = false;
	for (size_t copied = 0; !ended; copied = 1) {
		if (copied)
			room *= 2;
		if (room - 1 > max)
			room = max + 1;
		char *grown = realloc(data, room);
		if (!grown)
			return ENOMEM;
		data = grown;
		if (!copied)
			memcpy(data, first, used);
		int error = fill(fd, data, room, &used, &ended);
		if (error)
			return error;
		if (used > max)
			return EFBIG;
	}
	*ret = arena_bytes(arena, data, used);
	return 0;
}

int file_read_fd(int fd, size_t hint, size_t max, struct arena *arena, struct bytes *ret)
{
	if (hint > max)
		return EFBIG;
	char first[FIRST_READ];
	size_t used = 0;
	bool ended = false;
	int error = fill(fd, first, sizeof first, &used, &ended);
	if (error)
		return error;
	if (used > max)
		return EFBIG;
	if (!ended)
		return read_long(fd, first, used, hint, max, arena, ret);
	*ret = arena_bytes(arena, first, used);
	return 0;
}

int file_read(int root, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	struct stat stat = { 0 };
	int fd FD_SCOPED = -1;
	int error = open_regular(root, path, &stat, &fd);
	if (error)
		return error;
	/* sysfs calls every attribute a page long: only what is over a page is believed */
	return file_read_fd(fd, stat.st_size > 4096 ? (size_t)stat.st_size : 0, max, arena, ret);
}

static int by_bytes(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

int file_list(int root, const char *path, struct arena *arena, struct words *ret)
{
	int fd = file_open_in(root, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	if (fd < 0)
		return -fd;
	DIR *folder FOLDER_SCOPED = fdopendir(fd);
	if (!folder) {
		int error = errno;
		close(fd);
		return error;
	}
	struct words names = { 0 };
	for (;;) {
		errno = 0;
		struct dirent *entry = readdir(folder);
		if (!entry && errno)
			return errno;
		if (!entry)
			break;
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			*arena_push(arena, names.word, names.n) = arena_strdup(arena, entry->d_name);
	}
	if (names.n)
		qsort(names.word, names.n, sizeof *names.word, by_bytes);
	*ret = names;
	return 0;
}

int file_link(int root, const char *path, struct arena *arena, const char **ret)
{
	/* O_PATH and O_NOFOLLOW open the link itself, a magic link too */
	int fd FD_SCOPED = file_open_in(root, path, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return absent(-fd);
	struct stat stat = { 0 };
	if (fstat(fd, &stat))
		return errno;
	if (!S_ISLNK(stat.st_mode))
		return EINVAL;
	char text[4097];
	ssize_t size = readlinkat(fd, "", text, sizeof text);
	if (size < 0)
		return errno;
	if ((size_t)size == sizeof text)
		return ENAMETOOLONG;
	*ret = arena_strndup(arena, text, (size_t)size);
	return 0;
}

int file_stat(int root, const char *path, struct world_stat *ret)
{
	int fd FD_SCOPED = file_open_in(root, path, O_PATH);
	if (fd < 0)
		return absent(-fd);
	struct stat stat = { 0 };
	if (fstat(fd, &stat))
		return errno;
	*ret = (struct world_stat){
		.type = world_node_type(stat.st_mode),
		.mode = stat.st_mode & 07777,
		.uid = stat.st_uid,
		.gid = stat.st_gid,
		.major = major(stat.st_rdev),
		.minor = minor(stat.st_rdev),
		.size = (uint64_t)stat.st_size,
		.mtime = stat.st_mtime,
	};
	return 0;
}

int file_probe_open(int root, const char *path)
{
	struct world_stat stat = { 0 };
	int error = file_stat(root, path, &stat);
	if (error)
		return error;
	if (stat.type != NODE_CHAR)
		return EINVAL;
	int fd FD_SCOPED = file_open_in(root, path, O_RDWR | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -fd : 0;
}
