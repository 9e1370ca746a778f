/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rooted file access: openat2(RESOLVE_IN_ROOT), so that a link in a foreign tree cannot lead out of it.
 */
#pragma once
#include <dirent.h>

#include "sys/world.h"

/* Closed where the scope ends; -1 and NULL are left alone. */
void file_close_scoped(int *fd);
void file_close_folder_scoped(DIR **folder);
#define FD_SCOPED __attribute__((cleanup(file_close_scoped)))
#define FOLDER_SCOPED __attribute__((cleanup(file_close_folder_scoped)))

/* All relative to an open directory that counts as "/". Errors are errnos: ENOENT also where a part of the path is no
 * directory (except list: ENOTDIR); ENOSYS on a kernel before 5.6, which has no openat2; ELOOP for a path through a
 * magic link (/proc/PID/root, /proc/PID/fd/N). file_link reads a magic link as it does any other. */
int file_open_root(const char *path); /* fd, or -errno */
/* A file of size 0 is read until its end, as /proc needs. Over max: EFBIG. */
int file_read(int root, const char *path, size_t max, struct arena *arena, struct bytes *ret);
/* What an open file still holds; hint is how much that should be (0: not known). Over max: EFBIG. */
int file_read_fd(int fd, size_t hint, size_t max, struct arena *arena, struct bytes *ret);
int file_list(int root, const char *path, struct arena *arena, struct words *ret);
int file_link(int root, const char *path, struct arena *arena, const char **ret);
int file_stat(int root, const char *path, struct world_stat *ret);
/* Of character devices only (EINVAL else): closing a block device that was open for writing makes udev act. */
int file_probe_open(int root, const char *path);
/* An fd, or -errno; flags of open(2), without O_CREAT. */
int file_open_in(int root, const char *path, unsigned flags);

/* The effects of struct world_changes. The directory is found as above; the name in it is never followed: ELOOP for a
 * link, EINVAL for a device, FIFO or socket, and for a path that ends in "/", "." or "..". */
int file_put(int root, const char *path, struct bytes content, const struct world_owner *owner);
/* All of it, or (where the file system still lets us) nothing. */
int file_append(int root, const char *path, struct bytes content);
int file_sync(int root, const char *path);
int file_settle(int root, const char *path);
int file_rename(int root, const char *from, const char *to);
int file_remove(int root, const char *path);
int file_mkdir(int root, const char *path, unsigned mode); /* the mode as it is, whatever the umask */
int file_symlink(int root, const char *target, const char *path);
/* One write of the whole value: a short one is EIO. ETIMEDOUT: the child is left to the kernel, with SIGKILL pending.
 */
int file_attribute(int root, const char *path, const char *value, unsigned deadline_ms);
/* Locks what is open, until it is closed: 0; EWOULDBLOCK: another has it; errno where the file system knows no locks. */
int file_hold(int fd);
/* An fd that holds the lock until it is closed; EWOULDBLOCK: another has it. */
int file_lock(int root, const char *path, int *ret);
