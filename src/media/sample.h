/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the machine and its GPUs do, as a flat list of readings: processor time, each card's files in sysfs, its
 * engines' time by fdinfo, its nodes, and the processor's energy. Cheap enough for every few seconds. What cannot be
 * read is not in the list; unknown is never zero.
 */
#pragma once
#include "sys/nvml.h"
#include "sys/world.h"

/* All that is told, in the order in which it is told; the table of names stands in serve/metrics.c. */
enum metric {
	/* of the service itself */
	METRIC_BUILD,
	METRIC_HEALTH,
	METRIC_WANTED,
	METRIC_ACTIVE,
	METRIC_PROOF_WORKS,
	METRIC_PROOF_RUNG,
	METRIC_PROOF_TIME,
	METRIC_PROOF_SECONDS,
	METRIC_PROOFS,
	METRIC_SOURCE_UP,
	METRIC_SOURCE_TIME,
	METRIC_SOURCE_STARTS,
	METRIC_REQUESTS,
	METRIC_CONNECTIONS,
	METRIC_EVICTED,
	/* of the machine */
	METRIC_CPU,
	METRIC_CPU_ENERGY,
	METRIC_GPU_INFO,
	METRIC_GPU_ASLEEP,
	METRIC_NODE_UP,
	METRIC_GPU_BUSY,
	METRIC_GPU_IDLE,
	METRIC_ENGINE_BUSY,
	METRIC_ENCODER_BUSY,
	METRIC_DECODER_BUSY,
	METRIC_ENCODER_SESSIONS,
	METRIC_GPU_FREQUENCY,
	METRIC_GPU_MEMORY_USED,
	METRIC_GPU_MEMORY,
	METRIC_GPU_TEMPERATURE,
	METRIC_GPU_POWER,
	METRIC_GPU_ENERGY,
	METRICS
};

enum { READING_LABELS = 3, READING_LABEL_ROOM = 48 };

/* Without pointers: a child hands it over as it is. */
struct reading {
	enum metric metric;
	double value;
	char label[READING_LABELS][READING_LABEL_ROOM]; /* values of the metric's labels, in their order */
};

struct readings {
	struct reading *list;
	size_t n;
	struct arena *arena;
};

/* Adds one; what is not given stays empty. */
struct reading *reading_add(struct readings *readings, enum metric metric, double value, const char *first,
        const char *second, const char *third);

/* What counters need between two looks. */
struct sampler;
struct sampler *sampler_open(struct world *world, struct arena *arena);
/* Which cards, files and nodes there are: once a minute or so. Opens each node once, but those that would wake a card.
 * A node that was there stays in the list. */
void sampler_find(struct sampler *sampler);
/* One look at what was found; now_ms: of a clock that never jumps. */
void sampler_take(struct sampler *sampler, int64_t now_ms, struct readings *ret);
void sampler_close(struct sampler *sampler);

/* NVIDIA's cards, as NVML tells of them. Pure. */
void sample_nvml(const struct nvml_cards *cards, struct readings *ret);
/* /proc/stat, in seconds. Pure. */
void sample_parse_cpu(struct bytes stat, struct readings *ret);
