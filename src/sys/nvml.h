/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What NVIDIA's encoders do, by process: NVML, which is loaded at run time, and in a child, because a driver that hangs
 * must hang nobody else. The child only looks.
 */
#pragma once
#include "base/arena.h"
#include "base/text.h"

#define NVML_LIBRARY "libnvidia-ml.so.1"

struct nvml;

/* Starts looking, some fifty times a second, until nvml_close or two minutes are over. NULL: no child can be made. */
struct nvml *nvml_open(const char *library, struct arena *arena);
/* Takes what was seen since the last call; never waits. */
void nvml_look(struct nvml *nvml);
/* YES: an encoder worked for that process. UNKNOWN: that was not seen. A short look cannot say no; in a container the
 * driver names processes by the numbers that the host gives them. */
enum tri nvml_busy(const struct nvml *nvml, int64_t pid);
/* Why nothing can be seen, as a sentence; NULL: it answers, or has not yet. */
const char *nvml_why(const struct nvml *nvml);
/* Ends the child, and waits no longer than a second for it. */
void nvml_close(struct nvml *nvml);

struct nvml_cards;
/* Of all cards: the driver counts them together, whichever card has them. */
int64_t nvml_sessions(const struct nvml_cards *cards);
/* What it tells of its cards now. False: it gave no answer within that time. */
bool nvml_ask(const char *library, unsigned ms, struct nvml_cards *ret);

/* ---- for a process of one's own: each of these hangs where the driver does ---- */

/* Functions of the library by their names, into as many pointers at `ret`. False: it, or one of them, is not here. */
bool nvml_symbols(const char *library, const char *const *names, size_t n, void *ret);

enum { NVML_CARDS_MAX = 32 };

/* UNKNOWN_NUMBER: the driver does not tell. */
struct nvml_card {
	char pci[32];                    /* "0000:01:00.0" */
	int64_t busy, encoder, decoder;  /* percent */
	int64_t sessions;                /* of its encoders */
	int64_t memory_used, memory;     /* bytes */
	int64_t temperature;             /* degrees Celsius */
	int64_t milliwatts, millijoules; /* now, and since the driver was loaded */
};

struct nvml_cards {
	struct nvml_card card[NVML_CARDS_MAX];
	unsigned n;
};

struct nvml_api;
/* NULL with the reason, a sentence: the library is not here (*ret_absent), or the driver does not answer it. */
struct nvml_api *nvml_load(const char *library, struct arena *arena, const char **ret_why, bool *ret_absent);
/* False with the reason: it answers no more. */
bool nvml_read(struct nvml_api *api, struct nvml_cards *ret, const char **ret_why);
