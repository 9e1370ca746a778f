/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gpuferry's own files (tapes, what was proven, later history): whole or not at all.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

/* Writes beside the path, syncs, renames, syncs the directory. mode as for open. Nothing is left on failure.
 * "-" is standard output; a link is followed; a device or FIFO is written into and never replaced. */
bool store_write(const char *path, struct bytes content, unsigned mode, struct err *err);
/* Reads a file named by the user on this machine; over max is an error, "-" is standard input. */
bool store_read(const char *path, size_t max, struct arena *arena, struct err *err, struct bytes *ret);
/* Makes a folder and those above it, as far as they are not there. */
bool store_folder(const char *path, unsigned mode, struct err *err);
