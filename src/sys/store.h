/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gpuferry's own files (tapes, what was proven, what was encoded, later history): whole or not at all.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"

/* Writes beside the path, syncs, renames, syncs the directory. mode as for open. Nothing is left on failure.
 * "-" is standard output; a link is followed; a device or FIFO is written into and never replaced. */
bool store_write(const char *path, struct bytes content, unsigned mode, struct err *err);
/* Reads a file named by the user on this machine; over max is an error, "-" is standard input. */
bool store_read(const char *path, size_t max, struct arena *arena, struct err *err, struct bytes *ret);
/* Makes a folder and those above it, as far as they are not there. */
bool store_folder(const char *path, unsigned mode, struct err *err);

/* The same as store_write for a file that is made anew every few seconds: whole at any moment, but not synced. */
bool store_put(const char *path, struct bytes content, unsigned mode, struct err *err);

/* ---- what a program writes for us ---- */
/* A new folder of its own in a folder, for this user alone; hidden: its name begins with a dot. It is locked, and those
 * of this user that nobody holds any more (who made them was killed) are cleared away before. */
struct store_work {
	const char *path; /* NULL: none */
	int lock;
};
bool store_work(const char *folder, bool hidden, struct arena *arena, struct err *err, struct store_work *ret);
void store_work_end(struct store_work *work); /* the files in it, and it, as far as it goes */
/* Puts what `from` holds behind what `to` holds (made where it is not there), from where `mark` stands in its first
 * 64 KiB on; a mark of size 0: all of it. */
bool store_join(const char *to, const char *from, struct bytes mark, struct err *err);
/* Syncs a file and gives it its last name, in one moment. Without `replace` nothing that has it is replaced. */
bool store_take(const char *from, const char *to, bool replace, struct err *err);
void store_remove(const char *path); /* as far as it goes */
/* Holds the name of what is going to be written, by a locked file beside it (".NAME.gpuferry"). ERR_LOCKED: another one does.
 * Where the file system knows no locks it is always had. */
struct store_claim {
	const char *path; /* NULL: none */
	int lock;
};
bool store_claim(const char *path, struct arena *arena, struct err *err, struct store_claim *ret);
void store_claim_end(struct store_claim *claim);
/* The names in a folder; none where it cannot be read. */
struct words store_list(const char *folder, struct arena *arena);
/* What a name leads to. STORE_UNKNOWN with err: nothing, or it cannot be told. */
enum store_kind { STORE_UNKNOWN, STORE_FILE, STORE_FOLDER, STORE_OTHER };
enum store_kind store_kind(const char *path, struct err *err);
/* Is something there, be it a link to nowhere? */
bool store_there(const char *path);
/* A folder of this user's that nobody else may put anything into: what lies there can be believed. */
bool store_is_own(const char *folder);
/* A file or folder that only this user and root can have put there. */
bool store_is_safe(const char *path);
/* A file as it is, against all others and against what it was before it changed; NULL: it is none that can be read. */
const char *store_identity(const char *path, struct arena *arena);
/* The same file by two names? */
bool store_same(const char *left, const char *right);
/* How much room is left where the folder is; *ret_memory: that room is the machine's memory. */
bool store_room(const char *folder, struct err *err, uint64_t *ret_bytes, bool *ret_memory);
