/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rooted file access: openat2(RESOLVE_IN_ROOT), so that a link in a foreign tree cannot lead out of it.
 */
#pragma once
#include "sys/world.h"

/* All relative to an open directory that counts as "/". Errors are errnos. */
int file_open_root(const char *path); /* fd, or -errno */
int file_read(int root, const char *path, size_t max, struct arena *arena, struct bytes *ret);
int file_list(int root, const char *path, struct arena *arena, struct words *ret);
int file_link(int root, const char *path, struct arena *arena, const char **ret);
int file_stat(int root, const char *path, struct world_stat *ret);
int file_probe_open(int root, const char *path);
