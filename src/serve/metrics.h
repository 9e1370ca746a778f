/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Readings as Prometheus' text, by one table. Pure.
 */
#pragma once
#include "media/sample.h"

struct metric_row {
	const char *name;                  /* with its unit: "gpuferry_gpu_power_watts" */
	const char *type;                  /* "gauge", "counter" */
	const char *label[READING_LABELS]; /* names; NULL: no more */
	const char *help;
	const char *from; /* how it is read */
};

extern const struct metric_row metric_rows[METRICS];

/* Text format 0.0.4. Of two readings of one series the first one is told. */
struct bytes metrics_text(const struct readings *readings, struct arena *arena);
/* docs/metrics.md. */
const char *metrics_document(struct arena *arena);
