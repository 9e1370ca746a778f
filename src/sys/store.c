/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sys/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
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

static int replace(const char *path, struct bytes content, unsigned mode)
{
	char beside[PATH_MAX];
	int fd = open_beside(path, mode, beside);
	if (fd < 0)
		return -fd;
	int error = write_all(fd, content);
	if (!error && fsync(fd))
		error = errno;
	if (close(fd) && !error)
		error = errno;
	if (!error && rename(beside, path))
		error = errno;
	if (error)
		unlink(beside);
	return error ? error : sync_folder(path);
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
		error = errno == ENOENT ? replace(path, content, mode) : errno;
	else if (S_ISDIR(stat_there.st_mode))
		error = EISDIR;
	else if (!S_ISREG(stat_there.st_mode))
		error = write_into(path, content);
	else
		error = realpath(path, real) ? replace(real, content, mode) : errno;
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
