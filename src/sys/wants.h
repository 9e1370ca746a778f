/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is wanted of another target, as a table; the table becomes one POSIX sh script (dash and
 * busybox are enough) that writes nothing anywhere and streams frames to its standard output;
 * the frames become a tape target. One round trip.
 */
#pragma once
#include "sys/tape.h"

enum want_kind {
	WANT_END,
	WANT_FILE,  /* glob: bytes and stat */
	WANT_LINK,  /* glob: readlink */
	WANT_LIST,  /* glob of directories: names */
	WANT_STAT,  /* glob: type, mode, owner only */
	WANT_OPEN,  /* glob of device nodes: can it be opened for reading and writing? */
	WANT_RUN,   /* a command; words are blank-separated, no quoting */
	WANT_EACH,  /* a command template: {} is each basename that `glob` matches */
};

struct want {
	enum want_kind kind;
	const char *what; /* an absolute path pattern (*, ?, [..]) or a command */
	const char *each; /* WANT_EACH: the path pattern whose basenames are put in; a suffix behind | is cut off */
	size_t max;       /* bytes of a file or output; 0: 256 KiB */
};

extern const struct want wants_node[];   /* of a Proxmox host */
extern const struct want wants_inside[]; /* of a guest or docker container */

/* The script. Deterministic. */
struct bytes wants_script(const struct want *wants, struct arena *arena);
/* Its answer into a tape target (redacted). Cut or garbled frames: what came whole is kept, err says where it ended. */
bool wants_parse(struct bytes stream, struct redactor *redactor, struct tape_target *target, struct arena *arena,
		 struct err *err);
