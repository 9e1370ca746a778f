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
