/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The one door to a machine: a root directory, a command runner and a clock for one
 * target. Real, recorded while read, replayed from a tape, or rehearsed; who reads or
 * changes does not know which.
 *
 * Every question is answered by 0 or by an errno:
 *   ENOENT   known to be absent
 *   ENODATA  unknown: a recording lacks it, nobody asked then
 *   other    there, but could not be read (EACCES, EIO, ELOOP, EFBIG, ...)
 * Paths are absolute in the target ("/proc/cmdline"); links are followed inside the
 * target's root and never out of it.
 */
#pragma once
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"
#include "sys/hop.h"

enum node_type { NODE_UNKNOWN, NODE_FILE, NODE_DIR, NODE_LINK, NODE_CHAR, NODE_BLOCK, NODE_OTHER };

struct world_stat {
	enum node_type type;
	unsigned mode; /* permission bits, 07777 */
	unsigned uid, gid;
	unsigned major, minor; /* of a device node */
	uint64_t size;         /* as the file system says: 0 for /proc files */
	int64_t mtime;         /* seconds since 1970; UNKNOWN_NUMBER where a recording lacks it */
};

struct world {
	const struct world_ops *ops;
	const struct world_changes *changes; /* NULL: this world is only read */
	const char *label;                   /* of the target: "node", "vm/100" */
	void *state;
	/* A bare sys/ tree or folder: what is missing there was perhaps never captured, so absence proves
	 * nothing; such a world answers ENODATA instead of ENOENT. Kept here for messages only. */
	bool partial;
	bool live; /* a running machine, not a recording */
};

enum { READ_MAX = 16 * 1024 * 1024 }; /* of an ordinary file; images pass their own limit */

struct world_ops {
	int (*read)(struct world *, const char *path, size_t max, struct arena *, struct bytes *ret);
	int (*list)(struct world *, const char *path, struct arena *, struct words *ret);
	int (*link)(struct world *, const char *path, struct arena *, const char **ret);
	int (*stat)(struct world *, const char *path, struct world_stat *ret);
	int (*probe_open)(struct world *, const char *path);
	int (*run)(struct world *, const struct command *, struct arena *, struct outcome *ret);
	/* NULL: one after the other */
	void (*run_each)(struct world *, struct run_job *jobs, size_t n, unsigned at_once, struct arena *);
	struct world *(*inside)(struct world *, const struct target *, struct arena *, struct err *);
	int64_t (*now)(struct world *);
	void (*close)(struct world *);
};

/* Whose a file is and who may use it. */
struct world_owner {
	unsigned mode, uid, gid;
};

/* The changes, for exec alone. Each is one effect, and none of them is safe from a power cut until what it changed is
 * synced: a file for its content, its directory for its name. Paths as above; a link at the end is never followed.
 * 0 or errno. */
struct world_changes {
	/* Creates a file, or empties the one there and fills it. */
	int (*put)(struct world *, const char *path, struct bytes content, const struct world_owner *owner);
	int (*append)(struct world *, const char *path, struct bytes content); /* ENOENT: it must be there */
	int (*sync)(struct world *, const char *path);                         /* a file or a directory */
	/* What was synced is also where a boot loader finds it that reads no journal, as GRUB. Does nothing where the
	 * file system of that directory cannot be asked for it. */
	int (*settle)(struct world *, const char *path);
	int (*rename)(struct world *, const char *from, const char *to);       /* replaces what is there */
	int (*remove)(struct world *, const char *path);                       /* a file, a link, an empty directory */
	int (*mkdir)(struct world *, const char *path, unsigned mode);
	int (*symlink)(struct world *, const char *target, const char *path);
	/* One write(2) to a sysfs attribute, in a child with a deadline: ETIMEDOUT: the kernel is still in it, and the
	 * child cannot be ended. */
	int (*attribute)(struct world *, const char *path, const char *value, unsigned deadline_ms);
	/* An exclusive lock on a file, made if there is none, held until the world is closed. EWOULDBLOCK: another has
	 * it.
	 */
	int (*lock)(struct world *, const char *path);
};

/* The whole file; more than max bytes (0: READ_MAX) is EFBIG; a directory is EISDIR. Never blocks on a FIFO or device:
 * EINVAL. */
int world_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret);
/* The names in a directory, sorted by bytes, without . and .. */
int world_list(struct world *world, const char *path, struct arena *arena, struct words *ret);
/* Where a symbolic link points, as written; EINVAL: it is no link. */
int world_link(struct world *world, const char *path, struct arena *arena, const char **ret);
/* Follows links. */
int world_stat(struct world *world, const char *path, struct world_stat *ret);
/* Opens a device node for reading and writing and closes it at once: 0, or open's errno. */
int world_probe_open(struct world *world, const char *path);
/* Runs a reading command on the target. 0: it ran, whatever its status; ENOENT: no such program. */
int world_run(struct world *world, const struct command *command, struct arena *arena, struct outcome *ret);
/* Several reading commands, at most at_once beside each other where the world can do that; error and outcome of each job
 * are filled. */
void world_run_each(struct world *world, struct run_job *jobs, size_t n, unsigned at_once, struct arena *arena);
/* Another target seen from this one (a guest, a docker container), ready to be read; NULL with err if it cannot be
 * reached. Live: one round trip takes all its wants; a recording: what was recorded of it. Closed by world_close. */
struct world *world_inside(struct world *world, const struct target *target, struct arena *arena, struct err *err);
/* Seconds since 1970: the machine's clock, or when the recording was made. UNKNOWN_NUMBER if unknown. */
int64_t world_now(struct world *world);
void world_close(struct world *world);

/* Helpers over the above. */
/* A one-line file, blanks removed: 0 or errno as above. */
int world_attribute(struct world *world, struct arena *arena, const char **ret, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* The last part of a link's target ("../../bus/pci/drivers/nouveau" -> "nouveau"). */
int world_link_name(struct world *world, struct arena *arena, const char **ret, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* Of st_mode; NODE_UNKNOWN where it says no type that Linux has. */
enum node_type world_node_type(unsigned mode);
/* YES here, NO known absent, UNKNOWN otherwise. */
enum tri world_exists(struct world *world, const char *path);
/* What an errno of a world means, for blind[]: "permission denied", "not in the recording". */
const char *world_why(int error);

/* A reader tells here what it could not read: an errno of a world, and a path or a thing. */
typedef void blind_fn(void *data, int error, const char *what);

/* Changes that last: each is there whole after a power cut, or the old state is. EROFS where the world is only read. */
/* A new file beside it (PATH WORLD_BESIDE), synced, renamed over it, the directory synced. A power cut may leave the one
 * beside; the next write replaces it. */
#define WORLD_BESIDE ".gpuferry-new"
int world_write(struct world *world, const char *path, struct bytes content, const struct world_owner *owner);
int world_append(struct world *world, const char *path, struct bytes content); /* and the file synced */
int world_remove(struct world *world, const char *path);                       /* ENOENT is 0 */
int world_mkdir(struct world *world, const char *path, unsigned mode);         /* with those above; EEXIST is 0 */
int world_symlink(struct world *world, const char *target, const char *path);  /* replaces a link or file */
/* Not lasting: sysfs, locks. */
int world_set(struct world *world, const char *path, const char *value, unsigned deadline_ms);
int world_lock(struct world *world, const char *path);

/* This machine, or a folder used as its root (openat2 with RESOLVE_IN_ROOT; commands do not run there: ENODATA).
 * root NULL: this machine. partial: see struct world. */
struct world *world_open_root(const char *root, bool partial, struct arena *arena, struct err *err);
/* The same with changes. Commands and sysfs writes belong to the real root (root NULL) alone: ENODATA in a folder. */
struct world *world_open_writable(const char *root, struct arena *arena, struct err *err);
/* A node reached over ssh: one round trip takes all its wants. */
struct world *world_open_ssh(const struct target *target, struct arena *arena, struct err *err);
