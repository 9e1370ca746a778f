/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ARENA_SCOPED struct arena arena = { 0 };
	struct readings readings = { .arena = &arena };
	struct bytes text = arena_bytes(&arena, data, size);
	sample_parse_cpu(text, &readings);
	reading_add(&readings, METRIC_GPU_TEMPERATURE, 1, text.data, text.data + size / 2, NULL);
	metrics_text(&readings, &arena);
	return 0;
}
