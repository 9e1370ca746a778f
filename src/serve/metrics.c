/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct metric_row metric_rows[METRICS] = {
	[METRIC_BUILD] = { "gpuferry_build_info", "gauge", { "version" }, "The version that serves.", "always 1" },
	[METRIC_HEALTH] = { "gpuferry_health", "gauge", { "status" }, "Whether /health answers with this status.",
	        "1 for one of pass, warn and fail" },
	[METRIC_WANTED] = { "gpuferry_hardware_wanted", "gauge", { NULL }, "Whether hardware shall encode here.",
	        "the goal; missing where nobody said" },
	[METRIC_ACTIVE] = { "gpuferry_hardware_active", "gauge", { NULL }, "Whether hardware was shown to encode here.",
	        "the last proof; missing where that is unknown" },
	[METRIC_PROOF_WORKS] = { "gpuferry_proof_works", "gauge", { "encoder", "bits", "device" },
	        "Whether the encoder was shown at work.", "the last proof; missing where that is unknown" },
	[METRIC_PROOF_RUNG] = { "gpuferry_proof_rung", "gauge", { "encoder", "bits", "device" },
	        "The highest rung of proof that the encoder reached, -1 for none.", "the last proof" },
	[METRIC_PROOF_TIME] = { "gpuferry_proof_timestamp_seconds", "gauge", { NULL },
	        "When the last proof was made, since 1970.", "the clock" },
	[METRIC_PROOF_SECONDS] = { "gpuferry_proof_duration_seconds", "gauge", { NULL },
	        "How long the last proof took.", "the clock" },
	[METRIC_PROOFS] = { "gpuferry_proofs_total", "counter", { "result" }, "Proofs that were begun, by their end.",
	        "counted: made, failed" },
	[METRIC_SOURCE_UP] = { "gpuferry_source_up", "gauge", { "source" },
	        "Whether the source answers; what it does not tell is missing here.",
	        "machine (sysfs and /proc), nvml; nvml is missing where its library is" },
	[METRIC_SOURCE_TIME] = { "gpuferry_source_timestamp_seconds", "gauge", { "source" },
	        "When the source last answered, since 1970.", "the clock" },
	[METRIC_SOURCE_STARTS] = { "gpuferry_source_starts_total", "counter", { "source" },
	        "How often the process that asks the source was started.",
	        "counted; it is started anew when it hangs" },
	[METRIC_REQUESTS] = { "gpuferry_http_requests_total", "counter", { "code" }, "Requests that were answered.",
	        "counted" },
	[METRIC_CONNECTIONS] = { "gpuferry_http_connections", "gauge", { NULL }, "Connections that are open.",
	        "counted" },
	[METRIC_EVICTED] = { "gpuferry_http_evicted_total", "counter", { NULL },
	        "Connections that were closed because they took too long, or to make room.", "counted" },
	[METRIC_CPU] = { "gpuferry_cpu_seconds_total", "counter", { "mode" },
	        "Time of all processors, by what they did.", "/proc/stat" },
	[METRIC_CPU_ENERGY] = { "gpuferry_cpu_energy_joules_total", "counter", { "zone", "name" },
	        "Energy of a zone of the processor, since gpuferry began to look.",
	        "/sys/class/powercap, RAPL; root alone may read it" },
	[METRIC_GPU_INFO] = { "gpuferry_gpu_info", "gauge", { "gpu", "driver", "id" },
	        "A display controller, with its kernel driver and its ids.", "/sys/bus/pci/devices; always 1" },
	[METRIC_GPU_ASLEEP] = { "gpuferry_gpu_asleep", "gauge", { "gpu" },
	        "Whether the kernel suspended the card; then it is not asked, which would wake it.",
	        "power/runtime_status" },
	[METRIC_NODE_UP] = { "gpuferry_gpu_node_up", "gauge", { "gpu", "node" },
	        "Whether the device node is there and opened when last tried.",
	        "its being there at every look, open once a minute" },
	[METRIC_GPU_BUSY] = { "gpuferry_gpu_busy_ratio", "gauge", { "gpu" }, "How busy the card is, 0 to 1.",
	        "amdgpu: gpu_busy_percent; NVML: utilization" },
	[METRIC_GPU_IDLE] = { "gpuferry_gpu_idle_seconds_total", "counter", { "gpu", "part" },
	        "Time that a part of the card spent switched off.", "i915: rc6_residency_ms; xe: idle_residency_ms" },
	[METRIC_ENGINE_BUSY] = { "gpuferry_gpu_engine_busy_seconds_total", "counter", { "gpu", "engine" },
	        "Time that an engine worked for the processes that gpuferry may look at.",
	        "DRM fdinfo of i915 and amdgpu; of other users' processes only with CAP_SYS_PTRACE" },
	[METRIC_ENCODER_BUSY] = { "gpuferry_gpu_encoder_busy_ratio", "gauge", { "gpu" },
	        "How busy the card's encoders are, 0 to 1.", "NVML" },
	[METRIC_DECODER_BUSY] = { "gpuferry_gpu_decoder_busy_ratio", "gauge", { "gpu" },
	        "How busy the card's decoders are, 0 to 1.", "NVML" },
	[METRIC_ENCODER_SESSIONS] = { "gpuferry_gpu_encoder_sessions", "gauge", { "gpu" },
	        "Encodes that run on the card, whoever runs them.", "NVML" },
	[METRIC_GPU_FREQUENCY] = { "gpuferry_gpu_frequency_hertz", "gauge", { "gpu", "part" },
	        "The clock of a part of the card.", "i915: rps_act_freq_mhz; xe: act_freq; amdgpu: hwmon" },
	[METRIC_GPU_MEMORY_USED] = { "gpuferry_gpu_memory_used_bytes", "gauge", { "gpu" },
	        "The card's own memory that is in use.", "amdgpu: mem_info_vram_used; NVML" },
	[METRIC_GPU_MEMORY] = { "gpuferry_gpu_memory_bytes", "gauge", { "gpu" }, "The card's own memory.",
	        "amdgpu: mem_info_vram_total; NVML" },
	[METRIC_GPU_TEMPERATURE] = { "gpuferry_gpu_temperature_celsius", "gauge", { "gpu", "sensor" },
	        "A temperature of the card.", "hwmon; NVML" },
	[METRIC_GPU_POWER] = { "gpuferry_gpu_power_watts", "gauge", { "gpu" }, "What the card takes.",
	        "hwmon: power1_average or power1_input; NVML" },
	[METRIC_GPU_ENERGY] = { "gpuferry_gpu_energy_joules_total", "counter", { "gpu", "sensor" },
	        "What the card has taken.", "hwmon: energy*_input of i915 and xe; NVML" },
};

/* ---- the text ----------------------------------------------------------------------------- */

struct text {
	char *data;
	size_t size, room;
	struct arena *arena;
};

static void put(struct text *text, const char *piece, size_t size)
{
	if (!text->data || text->room - text->size < size) {
		size_t room = 2 * (text->room + size) + 4096;
		char *data = arena_alloc(text->arena, room);
		if (text->data)
			memcpy(data, text->data, text->size);
		text->data = data;
		text->room = room;
	}
	memcpy(text->data + text->size, piece, size);
	text->size += size;
}

static void puts_to(struct text *text, const char *piece)
{
	put(text, piece, strlen(piece));
}

/* Label values may hold any UTF-8; backslash, quote and line feed are escaped. */
static void put_value(struct text *text, const char *value)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct bytes raw = { value, strlen(value) };
	if (!text_is_utf8(raw))
		value = text_utf8(&arena, raw);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			put(text, "\\", 1);
		put(text, *value == '\n' ? "\\n" : value, *value == '\n' ? 2 : 1);
	}
}

static void put_reading(struct text *text, const struct metric_row *row, const struct reading *reading)
{
	char number[40];
	puts_to(text, row->name);
	for (size_t i = 0; i < READING_LABELS && row->label[i]; i++) {
		puts_to(text, i ? "," : "{");
		puts_to(text, row->label[i]);
		puts_to(text, "=\"");
		put_value(text, reading->label[i]);
		puts_to(text, "\"");
	}
	snprintf(number, sizeof number, "%s %.15g\n", row->label[0] ? "}" : "", reading->value);
	puts_to(text, number);
}

/* By the labels that the metric has. */
static bool same_series(const struct metric_row *row, const struct reading *left, const struct reading *right)
{
	for (size_t i = 0; i < READING_LABELS && row->label[i]; i++)
		if (strcmp(left->label[i], right->label[i]) != 0)
			return false;
	return true;
}

static bool was_told(
        const struct metric_row *row, const struct reading *const *told, size_t n, const struct reading *reading)
{
	for (size_t i = 0; i < n; i++)
		if (same_series(row, told[i], reading))
			return true;
	return false;
}

struct bytes metrics_text(const struct readings *readings, struct arena *arena)
{
	struct text text = { .arena = arena };
	const struct reading **told = arena_alloc(arena, readings->n * sizeof *told);
	for (int metric = 0; metric < METRICS; metric++) {
		const struct metric_row *row = &metric_rows[metric];
		size_t n = 0;
		for (size_t i = 0; i < readings->n; i++) {
			const struct reading *reading = &readings->list[i];
			if (reading->metric != (enum metric)metric || was_told(row, told, n, reading))
				continue;
			if (!n)
				puts_to(&text, arena_printf(arena, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help,
				                       row->name, row->type));
			told[n++] = reading;
			put_reading(&text, row, reading);
		}
	}
	return (struct bytes){ text.data, text.size };
}

const char *metrics_document(struct arena *arena)
{
	const char *all =
	        "# Metrics\n\n"
	        "What `gpuferry serve` tells on `/metrics`, printed from its table. Units are base units; what "
	        "cannot be read is missing,\nand never 0. `gpu` is a PCI address.\n\n"
	        "| metric | type | labels | is | read from |\n|---|---|---|---|---|\n";
	for (int metric = 0; metric < METRICS; metric++) {
		const struct metric_row *row = &metric_rows[metric];
		const char *labels = "";
		for (size_t i = 0; i < READING_LABELS && row->label[i]; i++)
			labels = arena_printf(arena, "%s%s`%s`", labels, i ? ", " : "", row->label[i]);
		all = arena_printf(arena, "%s| `%s` | %s | %s | %s | %s |\n", all, row->name, row->type, labels,
		        row->help, row->from);
	}
	return all;
}
