/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Readings from told machines: each kind of card, what is not there, counters that wrap and clients that come and go.
 */
#include "fake.h"

#include <math.h>

#include "media/sample.h"

#define IGPU "/sys/bus/pci/devices/0000:00:02.0"
#define AMD "/sys/bus/pci/devices/0000:0a:00.0"
#define CLIENT(id, video)                                                                                              \
	"drm-driver:\ti915\ndrm-client-id:\t" id "\ndrm-pdev:\t0000:00:02.0\ndrm-engine-video:\t" video " ns\n"

/* NULL: there is no such reading */
static const struct reading *find(
        const struct readings *readings, enum metric metric, const char *first, const char *second)
{
	for (size_t i = 0; i < readings->n; i++) {
		const struct reading *reading = &readings->list[i];
		if (reading->metric == metric && (!first || strcmp(reading->label[0], first) == 0) &&
		        (!second || strcmp(reading->label[1], second) == 0))
			return reading;
	}
	return NULL;
}

static void is(const struct readings *readings, enum metric metric, const char *first, const char *second, double value)
{
	const struct reading *reading = find(readings, metric, first, second);
	if (!reading || fabs(reading->value - value) > 1e-6)
		fail_msg("metric %d of %s %s is %f, not %f", metric, first ? first : "-", second ? second : "-",
		        reading ? reading->value : NAN, value);
}

static int node_error;

static int probe_open(struct world *world, const char *path)
{
	(void)world;
	return strcmp(path, "/dev/dri/renderD128") == 0 ? node_error : ENOENT;
}

struct scene {
	struct fake fake;
	struct world_ops ops;
	struct arena arena;
	struct sampler *sampler;
	struct readings last;
};

static void scene_open(struct scene *scene, struct fake_line *line, size_t n)
{
	*scene = (struct scene){ 0 };
	fake_open(&scene->fake, line, n, false, true);
	scene->ops = fake_ops;
	scene->ops.probe_open = probe_open;
	scene->fake.world.ops = &scene->ops;
	scene->sampler = sampler_open(&scene->fake.world, &scene->arena);
	sampler_find(scene->sampler);
}

static const struct readings *take(struct scene *scene, int64_t ms)
{
	scene->last = (struct readings){ .arena = &scene->arena };
	sampler_take(scene->sampler, ms, &scene->last);
	return &scene->last;
}

static void scene_close(struct scene *scene)
{
	sampler_close(scene->sampler);
	arena_release(&scene->arena);
	arena_release(&scene->fake.arena);
}

static struct fake_line *line_at(struct fake_line *line, const char *path)
{
	while (strcmp(line->path, path) != 0)
		line++;
	return line;
}

static void test_cpu(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct readings readings = { .arena = &arena };
	sample_parse_cpu(bytes_of("cpu  100 1 50 99999999999 7 0 3 x 0 0\ncpu0 1 2 3\n"), &readings);
	is(&readings, METRIC_CPU, "user", NULL, 1);
	is(&readings, METRIC_CPU, "nice", NULL, 0.01);
	is(&readings, METRIC_CPU, "idle", NULL, 999999999.99);
	assert_null(find(&readings, METRIC_CPU, "steal", NULL));
	readings.n = 0;
	sample_parse_cpu(bytes_of("intr 5\ncpu0 1 2 3\n"), &readings);
	sample_parse_cpu(bytes_of("cpu"), &readings);
	sample_parse_cpu(bytes_of(""), &readings);
	assert_int_equal(readings.n, 0);
	(void)state;
}

/* Each driver's files, by what they mean; a file that lies is left out. */
static void test_cards(void **state)
{
	static struct fake_line line[] = {
		{ IGPU "/class", "0x030000" },
		{ IGPU "/vendor", "0x8086" },
		{ IGPU "/device", "0x4690" },
		{ IGPU "/driver", "-> ../../bus/pci/drivers/i915" },
		{ IGPU "/power/runtime_status", "active" },
		{ IGPU "/drm/card0/gt/gt0/rc6_residency_ms", "12500" },
		{ IGPU "/drm/card0/gt/gt0/rps_act_freq_mhz", "1450" },
		{ IGPU "/drm/card0/gt/gt1/rc6_residency_ms", "much" },
		{ AMD "/class", "0x030000" },
		{ AMD "/driver", "-> ../../bus/pci/drivers/amdgpu" },
		{ AMD "/power/runtime_status", "active" },
		{ AMD "/gpu_busy_percent", "37" },
		{ AMD "/mem_info_vram_used", "1073741824" },
		{ AMD "/hwmon/hwmon3/temp1_input", "48000" },
		{ AMD "/hwmon/hwmon3/temp1_label", "edge" },
		{ AMD "/hwmon/hwmon3/temp2_input", "-5500" },
		{ AMD "/hwmon/hwmon3/temp3_input", "!5" },
		{ AMD "/hwmon/hwmon3/power1_average", "23000000" },
		{ "/sys/bus/pci/devices/0000:03:00.0/class", "0x020000" },
		{ "/sys/bus/pci/devices/0000:03:00.0/hwmon/hwmon1/temp1_input", "99000" }, /* a network card's */
		{ "/sys/class/powercap/intel-rapl:0/name", "package-0" },
		{ "/sys/class/powercap/intel-rapl:0/energy_uj", "5000000" },
		{ "/sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850" },
		{ "/sys/class/powercap/intel-rapl:1/name", "psys" },
		{ "/sys/class/powercap/intel-rapl:1/energy_uj", "!13" },
		{ "/sys/class/powercap/intel-rapl:1/max_energy_range_uj", "262143328850" },
		{ "/sys/class/powercap/intel-rapl-mmio:0/name", "package-0" },
		{ "/sys/class/powercap/intel-rapl-mmio:0/energy_uj", "5" },
	};
	struct scene scene;
	scene_open(&scene, line, COUNT(line));
	const struct readings *readings = take(&scene, 0);
	is(readings, METRIC_GPU_INFO, "0000:00:02.0", "i915", 1);
	assert_string_equal(find(readings, METRIC_GPU_INFO, "0000:00:02.0", NULL)->label[2], "8086:4690");
	is(readings, METRIC_GPU_IDLE, "0000:00:02.0", "gt0", 12.5);
	assert_null(find(readings, METRIC_GPU_IDLE, "0000:00:02.0", "gt1"));
	is(readings, METRIC_GPU_FREQUENCY, "0000:00:02.0", "gt0", 1.45e9);
	is(readings, METRIC_GPU_BUSY, "0000:0a:00.0", "", 0.37);
	is(readings, METRIC_GPU_MEMORY_USED, "0000:0a:00.0", "", 1073741824);
	is(readings, METRIC_GPU_TEMPERATURE, "0000:0a:00.0", "edge", 48);
	is(readings, METRIC_GPU_TEMPERATURE, "0000:0a:00.0", "temp2", -5.5);
	assert_null(find(readings, METRIC_GPU_TEMPERATURE, "0000:0a:00.0", "temp3"));
	is(readings, METRIC_GPU_POWER, "0000:0a:00.0", NULL, 23);
	assert_null(find(readings, METRIC_GPU_INFO, "0000:03:00.0", NULL));
	is(readings, METRIC_CPU_ENERGY, "intel-rapl:0", "package-0", 5);
	assert_null(find(readings, METRIC_CPU_ENERGY, "intel-rapl:1", NULL));
	assert_null(find(readings, METRIC_CPU_ENERGY, "intel-rapl-mmio:0", NULL));

	/* the counter began again */
	line_at(line, "/sys/class/powercap/intel-rapl:0/energy_uj")->content = "1000000";
	is(take(&scene, 5000), METRIC_CPU_ENERGY, "intel-rapl:0", NULL, 262143.32885 + 1);
	/* what sleeps is not woken to be asked, and comes back */
	line_at(line, AMD "/power/runtime_status")->content = "suspended";
	readings = take(&scene, 10000);
	is(readings, METRIC_GPU_ASLEEP, "0000:0a:00.0", NULL, 1);
	is(readings, METRIC_GPU_ASLEEP, "0000:00:02.0", NULL, 0);
	assert_null(find(readings, METRIC_GPU_BUSY, "0000:0a:00.0", NULL));
	line_at(line, AMD "/power/runtime_status")->content = "active";
	is(take(&scene, 15000), METRIC_GPU_BUSY, "0000:0a:00.0", NULL, 0.37);
	/* a card that is gone says nothing more */
	line_at(line, AMD "/class")->content = "!5";
	sampler_find(scene.sampler);
	assert_null(find(take(&scene, 20000), METRIC_GPU_INFO, "0000:0a:00.0", NULL));
	scene_close(&scene);
	(void)state;
}

/* The time of clients, as one counter that never falls. */
static void test_engines(void **state)
{
	static struct fake_line line[] = {
		{ IGPU "/class", "0x030000" },
		{ IGPU "/driver", "-> ../../bus/pci/drivers/i915" },
		{ "/proc/100/fd/4", "-> /dev/dri/renderD128" },
		{ "/proc/100/fd/5", "-> /dev/dri/renderD128" },
		{ "/proc/100/fdinfo/4", CLIENT("7", "90000000000") },
		{ "/proc/100/fdinfo/5", CLIENT("7", "90000000000") },
		{ "/proc/200/fd/4", "-> /dev/null" },
		{ "/proc/200/fdinfo/4", CLIENT("9", "90000000000") },
		{ "/proc/300/fd/4", "!13" },
		{ "/proc/late", "" },
		{ "/proc/late/fd", "" },
		{ "/proc/late/fdinfo", "" },
	};
	struct scene scene;
	scene_open(&scene, line, COUNT(line));
	/* what was done before anybody looked is not this hour's */
	is(take(&scene, 1000), METRIC_ENGINE_BUSY, "0000:00:02.0", "video", 0);
	struct fake_line *first = line_at(line, "/proc/100/fdinfo/4"), *second = line_at(line, "/proc/100/fdinfo/5");
	first->content = second->content = CLIENT("7", "92000000000");
	is(take(&scene, 6000), METRIC_ENGINE_BUSY, "0000:00:02.0", "video", 2);
	first->content = second->content = CLIENT("7", "91000000000"); /* they may jump back */
	is(take(&scene, 11000), METRIC_ENGINE_BUSY, "0000:00:02.0", "video", 2);
	/* a process that is new counts from its beginning, but for no longer than it can have been there */
	line_at(line, "/proc/late")->path = "/proc/400";
	line_at(line, "/proc/late/fd")->path = "/proc/400/fd/3";
	line_at(line, "/proc/400/fd/3")->content = "-> /dev/dri/renderD128";
	struct fake_line *late = line_at(line, "/proc/late/fdinfo");
	late->path = "/proc/400/fdinfo/3";
	late->content = CLIENT("12", "3000000000");
	is(take(&scene, 16000), METRIC_ENGINE_BUSY, "0000:00:02.0", "video", 5);
	late->content = CLIENT("13", "999000000000");
	is(take(&scene, 21000), METRIC_ENGINE_BUSY, "0000:00:02.0", "video", 10);
	/* it ends; what it did stays */
	late->content = "!3";
	is(take(&scene, 26000), METRIC_ENGINE_BUSY, "0000:00:02.0", "video", 10);
	/* one that opens its card late is found with the next search */
	line_at(line, "/proc/200/fd/4")->content = "-> /dev/dri/renderD128";
	for (int i = 0; i < 3; i++)
		take(&scene, 27000 + i);
	sampler_find(scene.sampler);
	line_at(line, "/proc/200/fdinfo/4")->content = CLIENT("9", "1000000000");
	is(take(&scene, 31000), METRIC_ENGINE_BUSY, "0000:00:02.0", "video", 11);
	scene_close(&scene);
	(void)state;
}

static void test_nodes(void **state)
{
	static struct fake_line line[] = {
		{ IGPU "/class", "0x030000" },
		{ IGPU "/driver", "-> ../../bus/pci/drivers/i915" },
		{ "/sys/class/drm/renderD128", "-> ../../devices/pci0000:00/0000:00:02.0/drm/renderD128" },
		{ "/sys/class/drm/card0", "-> ../../devices/pci0000:00/0000:00:02.0/drm/card0" },
		{ "/dev/dri/renderD128", "=c 660 0 44 226 128" },
		{ "/dev/dri/card0", "=c 660 0 44 226 0" },
	};
	struct scene scene;
	node_error = 0;
	scene_open(&scene, line, COUNT(line));
	const struct readings *readings = take(&scene, 0);
	is(readings, METRIC_NODE_UP, "0000:00:02.0", "/dev/dri/renderD128", 1);
	assert_null(find(readings, METRIC_NODE_UP, "0000:00:02.0", "/dev/dri/card0"));
	node_error = EPERM; /* the container's device rules were made anew */
	sampler_find(scene.sampler);
	is(take(&scene, 5000), METRIC_NODE_UP, NULL, "/dev/dri/renderD128", 0);
	node_error = 0;
	sampler_find(scene.sampler);
	is(take(&scene, 6000), METRIC_NODE_UP, NULL, "/dev/dri/renderD128", 1);
	/* gone: told at once, and not forgotten */
	line_at(line, "/dev/dri/renderD128")->content = "!2";
	is(take(&scene, 7000), METRIC_NODE_UP, NULL, "/dev/dri/renderD128", 0);
	line_at(line, "/sys/class/drm/renderD128")->content = "!2";
	sampler_find(scene.sampler);
	is(take(&scene, 8000), METRIC_NODE_UP, NULL, "/dev/dri/renderD128", 0);
	scene_close(&scene);
	(void)state;
}

/* A machine without any of it has its processor's time and nothing else; one that hides everything, nothing. */
static void test_bare(void **state)
{
	static struct fake_line bare[] = { { "/proc/stat", "cpu 1 1 1 1 1 1 1 1\n" } },
	                        hidden[] = { { "/proc/stat", "!13" } };
	struct scene scene;
	scene_open(&scene, bare, COUNT(bare));
	assert_int_equal(take(&scene, 0)->n, 8);
	scene_close(&scene);
	scene_open(&scene, hidden, COUNT(hidden));
	assert_int_equal(take(&scene, 0)->n, 0);
	scene_close(&scene);
	(void)state;
}

static void nvml_says(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(setenv("FAKE_NVML", path, 1), 0);
}

static void test_nvml(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct readings readings = { .arena = &arena };
	struct nvml_cards cards;
	const char *why = NULL, *library = getenv("GPUFERRY_FAKE_NVML");
	bool absent;
	char path[] = "/tmp/gpuferry-nvml-XXXXXX";
	(void)state;
	assert_null(nvml_load("libgpuferry-none.so.1", &arena, &why, &absent));
	assert_true(absent);
	assert_non_null(library);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	nvml_says(path, "init\n");
	assert_null(nvml_load(library, &arena, &why, &absent));
	assert_false(absent);
	nvml_says(path, "temperature 61\npower 23500\nencoder 40\nsession 5 30\n");
	struct nvml_api *api = nvml_load(library, &arena, &why, &absent);
	assert_non_null(api);
	assert_true(nvml_read(api, &cards, &why));
	sample_nvml(&cards, &readings);
	is(&readings, METRIC_GPU_TEMPERATURE, "0000:01:00.0", "gpu", 61);
	is(&readings, METRIC_GPU_POWER, "0000:01:00.0", NULL, 23.5);
	is(&readings, METRIC_ENCODER_BUSY, "0000:01:00.0", NULL, 0.4);
	is(&readings, METRIC_ENCODER_SESSIONS, "0000:01:00.0", NULL, 1);
	assert_null(find(&readings, METRIC_GPU_BUSY, NULL, NULL)); /* not supported is not 0 */
	assert_null(find(&readings, METRIC_GPU_MEMORY, NULL, NULL));
	nvml_says(path, "lost\n");
	assert_false(nvml_read(api, &cards, &why));
	nvml_says(path, "count\n");
	assert_false(nvml_read(api, &cards, &why));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_cards),
		cmocka_unit_test(test_engines),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_nvml),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
