/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Private to tape_*.c, tapes on disk: the flat list that a tar and a folder are read into, and lines of entries.jsonl.
 */
#pragma once
#include "base/json.h"
#include "sys/tape.h"

#define TAPE_SCHEMA "gpuferry.tape/1"

struct member {
	const char *path; /* relative, without "." parts and doubled slashes */
	struct world_stat stat;
	struct bytes data;
	const char *link;
	int error; /* of a file in a folder that could not be read */
};

struct members {
	const char *name; /* of the tar or folder, printable, for messages */
	struct member *member;
	size_t n;
	size_t bytes; /* of all data, the skipped too */
};

/* ---- tape_members.c ---- */

/* "NAME: what" and "NAME: PATH: what", ERR_INPUT; false. */
bool tape_bad(struct err *err, const char *name, const char *what);
bool tape_bad_path(struct err *err, const struct members *members, const char *path, const char *what);
/* What a tar, through its filters, or a folder at that path holds, in no order; links are not followed. Into a list
 * that is empty but for its name. */
bool tape_read_members(const char *path, struct members *members, struct arena *arena, struct err *err);
/* The same of a tar in memory. */
bool tape_read_tar(struct bytes tar, struct members *members, struct arena *arena, struct err *err);

/* ---- tape_line.c ---- */

/* "EACCES"; 0 is "OK", one without a name "EIO". */
const char *tape_errno_name(int error);
int tape_errno_number(const char *name); /* -1: no such name */
/* "key": text, or "key_base64" where the text is no UTF-8. */
void tape_put_text(json_t *object, const char *key, const char *text, struct arena *arena);
/* A line into an entry. What is wrong with it, or NULL. has_data: it says so itself, its bytes are in root/; those that
 * the line holds are in data. */
const char *tape_read_entry(struct bytes line, struct arena *arena, struct tape_entry *ret);
/* An entry as the object of its line; in_root: its bytes are kept in root/, not in the line. */
json_t *tape_entry_json(const struct tape_entry *entry, bool in_root, struct arena *arena);
