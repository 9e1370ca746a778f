/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What shall be true: the goal file of product.md (YAML), or the same as flags.
 */
#pragma once
#include "facts/pve.h"

enum service_kind { SERVICE_UNKNOWN, SERVICE_EMBY, SERVICE_JELLYFIN, SERVICE_FFMPEG };

struct goal {
	const char *source;     /* the file, or "command line" */
	const char *gpu;        /* full address, "nvidia", "intel", "amd", "auto"; NULL: not stated */
	enum guest_kind into;   /* with into_id; GUEST_UNKNOWN: not stated */
	int64_t into_id;        /* UNKNOWN_NUMBER with into_new */
	bool into_new;
	const char *reach;      /* ssh://...; NULL: guest agent or pct */
	struct { enum service_kind kind; const char *compose, *name, *url, *token_file; } service;
	struct words prefer, veto; /* encoder */
	int64_t window_from, window_to; /* minutes of the day; UNKNOWN_NUMBER */
	int64_t confirm_seconds; /* UNKNOWN_NUMBER: default */
	const char *affinity;
	int64_t hugepages;
	enum tri remove_raw_lxc;
	struct { const char *storage, *image, *sha256, *bridge, *ssh_key; int64_t disk_gib, memory_mib, cores; bool set; } create;
	struct words accept;
};

/* Parses; unknown keys, duplicates, wrong types and values are errors with file, line and column (characters, 1 first). */
bool goal_parse(struct bytes text, const char *name, struct arena *arena, struct err *err, struct goal *ret);
/* One flag: --gpu, --into, --reach, --service, --compose, ... the same keys, dots for nesting ("service.kind"). */
bool goal_set(struct goal *goal, const char *key, const char *value, struct arena *arena, struct err *err);
void goal_init(struct goal *goal);
/* Does anything stand in it? */
bool goal_empty(const struct goal *goal);
