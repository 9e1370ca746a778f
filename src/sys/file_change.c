/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/clock.h"
#include "sys/file.h"

enum { PATH_ROOM = 4096 };

#define EXT4_CHECKPOINT _IOW('f', 43, uint32_t) /* EXT4_IOC_CHECKPOINT; Debian 12's headers do not have it */

/* A name in an open directory. The directory is found as every path is; the name itself is never followed. */
struct place {
	int folder; /* -1: none */
	const char *name;
};

static void place_close(struct place *place)
{
	file_close_scoped(&place->folder);
}
static const struct place nowhere = { .folder = -1, .name = "" };
#define PLACE_SCOPED __attribute__((cleanup(place_close)))

static int find_place(int root, const char *path, struct place *ret)
{
	char folder[PATH_ROOM];
	const char *slash = strrchr(path, '/');
	if (path[0] != '/' || !slash[1] || strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0)
		return EINVAL;
	size_t size = slash == path ? 1 : (size_t)(slash - path);
	if (size >= sizeof folder)
		return ENAMETOOLONG;
	memcpy(folder, path, size);
	folder[size] = '\0';
	int fd = file_open_in(root, folder, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return -fd;
	*ret = (struct place){ fd, slash + 1 };
	return 0;
}

/* 0: it is of a type that is wanted there; ENOENT; ELOOP: a link; EISDIR; EINVAL: a device, FIFO or socket. */
static int type_at(const struct place *place)
{
	struct stat stat;
	if (fstatat(place->folder, place->name, &stat, AT_SYMLINK_NOFOLLOW))
		return errno;
	return S_ISREG(stat.st_mode) ? 0 : S_ISLNK(stat.st_mode) ? ELOOP : S_ISDIR(stat.st_mode) ? EISDIR : EINVAL;
}

/* An ordinary file, opened for writing; what else has the name is not opened. O_NONBLOCK: should it have become a FIFO
 * since. */
static int open_file(const struct place *place, int flags, unsigned mode, int *ret)
{
	struct stat stat;
	int error = type_at(place);
	if (error && !(error == ENOENT && (flags & O_CREAT)))
		return error;
	int fd = openat(place->folder, place->name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
	if (fd < 0)
		return errno;
	if (fstat(fd, &stat) || !S_ISREG(stat.st_mode)) {
		close(fd);
		return EINVAL;
	}
	*ret = fd;
	return 0;
}

static int write_all(int fd, struct bytes content)
{
	while (content.size) {
		ssize_t wrote = write(fd, content.data, content.size);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return wrote ? errno : EIO;
		content.data += wrote;
		content.size -= (size_t)wrote;
	}
	return 0;
}

int file_put(int root, const char *path, struct bytes content, const struct world_owner *owner)
{
	struct place place PLACE_SCOPED = nowhere;
	int fd FD_SCOPED = -1;
	int error = find_place(root, path, &place);
	if (!error)
		error = open_file(&place, O_WRONLY | O_CREAT, 0600, &fd);
	if (error)
		return error;
	/* fchown takes away set-user-id, so it comes first; nobody may read before the owner is right */
	if (ftruncate(fd, 0) || fchown(fd, owner->uid, owner->gid) || fchmod(fd, owner->mode & 07777))
		return errno;
	return write_all(fd, content);
}

int file_append(int root, const char *path, struct bytes content)
{
	struct place place PLACE_SCOPED = nowhere;
	struct stat stat;
	int fd FD_SCOPED = -1;
	int error = find_place(root, path, &place);
	if (!error)
		error = open_file(&place, O_WRONLY | O_APPEND, 0, &fd);
	if (error)
		return error;
	if (fstat(fd, &stat))
		return errno;
	error = write_all(fd, content);
	/* half a line would be taken for one that was cut; if even this fails, the reader has to bear it */
	if (error && ftruncate(fd, stat.st_size))
		return error;
	return error;
}

int file_sync(int root, const char *path)
{
	struct place place PLACE_SCOPED = nowhere;
	if (strcmp(path, "/") == 0) {
		int top FD_SCOPED = file_open_in(root, "/", O_RDONLY | O_DIRECTORY);
		return top < 0 ? -top : fsync(top) ? errno : 0;
	}
	int error = find_place(root, path, &place);
	if (error)
		return error;
	error = type_at(&place);
	/* a directory may be a link (/lib): it is the directory that a name was put into */
	if (error && error != EISDIR && error != ELOOP)
		return error;
	int fd FD_SCOPED =
	        file_open_in(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | (error ? O_DIRECTORY : O_NOFOLLOW));
	if (fd < 0)
		return -fd;
	return fsync(fd) ? errno : 0;
}

/* ext4 keeps names and places of files in its journal first, for half a minute and more; since Linux 5.15 it can be
 * asked to put them where they belong (Documentation/filesystems/ext4/journal.rst). */
int file_settle(int root, const char *path)
{
	struct statfs about;
	uint32_t flags = 0;
	int fd FD_SCOPED = file_open_in(root, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return -fd;
	if (fstatfs(fd, &about) || about.f_type != EXT4_SUPER_MAGIC || ioctl(fd, EXT4_CHECKPOINT, &flags) == 0)
		return 0;
	return errno == EIO ? errno : 0;
}

int file_rename(int root, const char *from, const char *to)
{
	struct place old PLACE_SCOPED = nowhere, new PLACE_SCOPED = nowhere;
	int error = find_place(root, from, &old);
	if (!error)
		error = find_place(root, to, &new);
	if (error)
		return error;
	return renameat(old.folder, old.name, new.folder, new.name) ? errno : 0;
}

int file_remove(int root, const char *path)
{
	struct place place PLACE_SCOPED = nowhere;
	int error = find_place(root, path, &place);
	if (error)
		return error;
	error = type_at(&place);
	if (error && error != ELOOP && error != EISDIR)
		return error;
	return unlinkat(place.folder, place.name, error == EISDIR ? AT_REMOVEDIR : 0) ? errno : 0;
}

int file_mkdir(int root, const char *path, unsigned mode)
{
	struct place place PLACE_SCOPED = nowhere;
	int error = find_place(root, path, &place);
	if (error)
		return error;
	mode_t mask = umask(0);
	error = mkdirat(place.folder, place.name, mode & 07777) ? errno : 0;
	umask(mask);
	return error;
}

int file_symlink(int root, const char *target, const char *path)
{
	struct place place PLACE_SCOPED = nowhere;
	int error = find_place(root, path, &place);
	if (error)
		return error;
	return symlinkat(target, place.folder, place.name) ? errno : 0;
}

int file_hold(int fd)
{
	/* flock(2): its header has the name of ours */
	return syscall(SYS_flock, fd, LOCK_EX | LOCK_NB) ? errno : 0;
}

int file_lock(int root, const char *path, int *ret)
{
	struct place place PLACE_SCOPED = nowhere;
	int fd = -1, error = find_place(root, path, &place);
	if (!error)
		error = open_file(&place, O_RDWR | O_CREAT, 0600, &fd);
	if (error)
		return error;
	error = file_hold(fd);
	if (error) {
		close(fd);
		return error;
	}
	*ret = fd;
	return 0;
}

/* ---- one write that the kernel may never come back from ---------------- */

/* In the child. It keeps nothing of ours open, above all no lock and no terminal: it may outlive us. */
static int write_once(int root, const char *path, const char *value)
{
	setpgid(0, 0);
	if (dup2(root, 0) < 0 || close_range(1, ~0U, 0))
		return errno;
	struct stat stat;
	int fd = file_open_in(0, path, O_WRONLY | O_NOFOLLOW | O_NOCTTY);
	if (fd < 0)
		return -fd;
	if (fstat(fd, &stat) || !S_ISREG(stat.st_mode))
		return EINVAL;
	size_t size = strlen(value);
	ssize_t wrote = write(fd, value, size);
	return wrote < 0 ? errno : (size_t)wrote == size ? 0 : EIO;
}

static bool ends_in_time(int pidfd, unsigned deadline_ms)
{
	struct pollfd ended = { pidfd, POLLIN, 0 };
	int64_t end = clock_ms() + deadline_ms;
	for (int64_t left = deadline_ms; left >= 0; left = end - clock_ms()) {
		int n = poll(&ended, 1, left > INT_MAX ? INT_MAX : (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
	return false;
}

int file_attribute(int root, const char *path, const char *value, unsigned deadline_ms)
{
	pid_t pid = fork();
	if (pid < 0)
		return errno;
	if (pid == 0)
		_exit(write_once(root, path, value));
	siginfo_t info = { 0 };
	int pidfd FD_SCOPED = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd >= 0 && !ends_in_time(pidfd, deadline_ms)) {
		/* no use against the kernel; but what has not got as far as its write shall not come to it later */
		kill(pid, SIGKILL);
		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG);
		return ETIMEDOUT;
	}
	while (waitid(P_PID, (id_t)pid, &info, WEXITED) && errno == EINTR)
		;
	return info.si_code == CLD_EXITED ? info.si_status : EIO;
}
