/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What shall be true: the goal file of product.md (YAML), or the same as flags. One table of keys (goal_keys) drives
 * the file, the flags and the help.
 */
#pragma once
#include "facts/pve.h"

enum service_kind { SERVICE_UNKNOWN, SERVICE_EMBY, SERVICE_JELLYFIN, SERVICE_FFMPEG };

enum { HUGEPAGES_ANY = 0 }; /* hugepages: any, as PVE has it */

struct goal {
	const char *source;   /* the file, or "command line" */
	const char *gpu;      /* full address, "nvidia", "intel", "amd", "auto"; NULL: not stated */
	enum guest_kind into; /* with into_id; GUEST_UNKNOWN: not stated */
	int64_t into_id;      /* UNKNOWN_NUMBER with into_new */
	bool into_new;
	const char *reach; /* ssh://...; NULL: guest agent or pct */
	struct {
		enum service_kind kind;
		const char *compose, *name, *url, *token_file;
	} service;
	struct words prefer, veto;      /* encoder: codecs ("hevc10") and ways ("nvenc") */
	int64_t window_from, window_to; /* minutes of the day; UNKNOWN_NUMBER; from > to: over midnight */
	int64_t confirm_seconds;        /* UNKNOWN_NUMBER: default */
	const char *affinity;           /* a CPU list as PVE has it: "0-3,8" */
	int64_t hugepages;              /* MiB: 2 or 1024, or HUGEPAGES_ANY; UNKNOWN_NUMBER: not stated */
	enum tri remove_raw_lxc;
	struct {
		const char *storage, *image, *sha256, *bridge, *ssh_key;
		int64_t disk_gib, memory_mib, cores;
		bool set;
	} create;
	struct words accept;
};

struct goal_key {
	const char *name; /* in the file, with dots for nesting: "service.kind" */
	const char *flag; /* on the command line, without --: "service", "token-file" */
	const char *form; /* what a value looks like: "vm/100 | ct/105 | vm/new" */
	const char *help;
	size_t field; /* offset in struct goal */
	bool list;    /* takes several: a YAML list, on the command line with commas */
	bool bare;    /* a number or a truth: quotes would make it text */
	bool (*set)(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err);
};
extern const struct goal_key goal_keys[]; /* name NULL at the end */

/* The key of that name or flag; NULL: there is none. */
const struct goal_key *goal_key(const char *name);

/* Parses; unknown keys, duplicates, wrong types and values are errors with file, line and column (characters, 1 first)
 * of kind ERR_USAGE. Refused too: more than 1 MiB, bytes that are no UTF-8, characters that do not show, anchors,
 * aliases, tags, a second document, a file that states nothing, and what goal_check refuses. */
bool goal_parse(struct bytes text, const char *name, struct arena *arena, struct err *err, struct goal *ret);
/* One flag: --gpu, --into, --reach, --service, --compose, ... or the same keys, dots for nesting ("service.kind").
 * A list takes several with commas, and adds to what stands there. */
bool goal_set(struct goal *goal, const char *key, const char *value, struct arena *arena, struct err *err);
/* Do the values go together? For a goal put together from a file and flags. */
bool goal_check(const struct goal *goal, struct err *err);
void goal_init(struct goal *goal);
/* Does nothing stand in it? */
bool goal_empty(const struct goal *goal);
