/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A tape is a recorded machine: per target the files that were asked for (the absent and
 * the unreadable too) and the commands that were run. In memory a sorted table; on disk a tar of
 *   manifest.json                       {schema "gpuferry.tape/1", time, version, targets[]}
 *   targets/LABEL/entries.jsonl         one line per path: path, type, mode, uid, gid, size, mtime, link, errno, ...
 *   targets/LABEL/root/...              the bytes of files that have any
 *   targets/LABEL/run/N.{json,out,err}  commands, keyed by exact argv and a hash of stdin
 * ("/" in LABEL is written as "_": vm/100 -> vm_100; the true label is in the manifest.)
 * Paths, links and words that are no UTF-8 stand in base64 ("path_base64": ..., {"base64": ...}); the bytes of a file
 * whose path is not plain ASCII stand in its line ("data_base64"). Errors are named ("errno": "EACCES"). The manifest
 * counts entries and runs, so a tape that was cut anywhere is noticed.
 * What is not listed was not asked and is unknown.
 * entries.jsonl is the truth: root/ holds only bytes, never links or device nodes, so a tar can be
 * unpacked by anyone without harm.
 *
 * Big things are kept reduced: an initramfs as a cpio of its configuration and module names
 * (see facts/initramfs.h), /lib/modules/.../modules.alias as its display, audio and vfio lines.
 */
#pragma once
#include "sys/world.h"

struct tape_entry {
	const char *path; /* absolute in the target, no "." or ".." parts, no double slashes */
	int error;        /* 0, ENOENT: known absent, else: there but unreadable */
	struct world_stat stat;
	bool has_data; /* a file: data are its bytes; else only its stat was asked */
	bool listed;   /* a directory: its listing was asked, so what is not an entry below it is absent */
	struct bytes data;
	const char *link; /* a link: where it points, as written */
	int open_error;   /* of a device node that was probed; -1: not probed */
	bool implied; /* a directory known only because something below it is; perhaps it is reached through a link */
	bool named;   /* the listing of its directory has it, even if nothing else could be asked */
};

struct tape_run {
	const char **argv;      /* NULL at the end */
	const char *input_hash; /* of stdin; "" without */
	int error;              /* errno of the start (ENOENT: no such program), else 0 */
	struct outcome outcome;
};

struct tape_target {
	const char *label;
	struct tape_entry *entries; /* sorted by path after tape_sort */
	size_t n, room;
	struct tape_run *runs;
	size_t n_runs;
	bool sorted;
	bool partial;    /* a bare tree, not a recording: absence proves nothing */
	uint32_t *index; /* tape.c's own: a hash of the paths */
	size_t index_room;
};

struct tape {
	int64_t time;
	const char *version; /* of gpuferry that made it */
	struct tape_target **targets;
	size_t n;
};

/* Limits against hostile tapes; beyond them tape_load refuses with one line. */
enum { TAPE_ENTRIES_MAX = 400000, TAPE_PATH_MAX = 4096 };
#define TAPE_BYTES_MAX ((size_t)256 * 1024 * 1024)

/* Reads a tar (plain, gzip, zstd, xz), a folder of that shape, a bare sys/ tree or a tar of one, or a folder laid out
 * as a root, each also with one folder above it. All in memory. Refused: absolute or ".." paths, links in a tape's
 * root/, entries twice, over the limits, a cut tar. */
bool tape_load(const char *path, struct arena *arena, struct err *err, struct tape **ret);
/* The same of a tar in memory; name is for messages. */
bool tape_load_bytes(struct bytes tar, const char *name, struct arena *arena, struct err *err, struct tape **ret);
/* The lines of an entries.jsonl into an empty target; bytes that would stand in root/ are left out. */
bool tape_parse_entries(
        struct bytes lines, const char *name, struct tape_target *target, struct arena *arena, struct err *err);
/* A machine at that path as a world: a folder laid out as a bare tree is used as a root where it lies (as
 * world_open_root does, partial), all else is loaded and its node replayed. Closed by world_close. */
struct world *tape_open(const char *path, struct arena *arena, struct err *err);
/* Writes a tar, compressed by its suffix (.gz, .tgz, .zst, .xz), whole or not at all (temporary file beside it, fsync,
 * rename); "-" is standard output. */
bool tape_save(const struct tape *tape, const char *path, struct err *err);

struct tape *tape_new(struct arena *arena, int64_t time);
/* The target with that label, made if there is none. */
struct tape_target *tape_target(struct tape *tape, struct arena *arena, const char *label);
const struct tape_target *tape_find_target(const struct tape *tape, const char *label);
/* The entry of a path, made (zeroed, open_error -1, mtime unknown) if there is none; replaces nothing. The path is
 * tidied (slashes, ".", ".." as text). Entries move when more are made: the pointer is good until the next call. */
struct tape_entry *tape_entry(struct tape_target *target, struct arena *arena, const char *path);
const struct tape_entry *tape_find(struct tape_target *target, const char *path); /* NULL; follows no links */
/* The run of a command (by argv and the hash of its input), made (zeroed, with copies of argv) if there is none. The
 * pointer is good until the next call. */
struct tape_run *tape_run(struct tape_target *target, struct arena *arena, const struct command *command);
/* Sorts the entries ("/" before every other byte, so that a directory's contents follow it); adds the directories
 * above what exists as implied ones (their listing is known only if asked). */
void tape_sort(struct tape_target *target, struct arena *arena);
int tape_compare_paths(const char *left, const char *right); /* <0, 0, >0 in that order */

/* A world that answers from the tape. Links are followed inside it (".." ends at its root); more than 40 are ELOOP. A
 * path that was recorded as written is answered as recorded, though it leads through links. What is not an entry is
 * ENOENT below a directory that was listed without it, below what is absent and below a file; else ENODATA. A name of
 * which only the listing is known has stat 0 with NODE_UNKNOWN. Bytes read are the tape's own and live with it.
 * A label the tape lacks is ERR_UNKNOWN. */
struct world *tape_world(struct tape *tape, const char *label, struct arena *arena, struct err *err);

struct redactor;
/* Makes of a file the form in which a tape keeps it (an initramfs without its modules' code). False: keep it as it is.
 * Reduced bytes must read like the raw ones, because the reader gets the raw ones while recording. */
typedef bool tape_reduce_fn(void *data, const char *path, struct bytes raw, struct arena *arena, struct bytes *ret);

/* A world that passes on to `inner` (and closes it) and keeps what was asked, redacted, in the tape: the links on the
 * way, the stat of what was read, the kind of error. Targets seen from it are recorded too. reduce may be NULL. */
struct world *tape_recorder(struct world *inner, struct tape *tape, struct redactor *redactor, tape_reduce_fn *reduce,
        void *data, struct arena *arena);
