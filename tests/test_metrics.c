/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The text that Prometheus reads: by the letter, hostile labels, every metric, and what its own promtool says.
 */
#include "test.h"

#include "serve/metrics.h"

static void test_text(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct readings readings = { .arena = &arena };
	reading_add(&readings, METRIC_GPU_TEMPERATURE, 48.5, "0000:0a:00.0", "edge", NULL);
	reading_add(&readings, METRIC_BUILD, 1, "0.3.0", NULL, NULL);
	reading_add(&readings, METRIC_GPU_POWER, 0.1, "0000:0a:00.0", NULL, NULL);
	reading_add(&readings, METRIC_GPU_TEMPERATURE, -5, "0000:0a:00.0", "a\\b\"c\nd\xff", NULL);
	reading_add(&readings, METRIC_GPU_TEMPERATURE, 99, "0000:0a:00.0", "edge", NULL); /* told already */
	reading_add(&readings, METRIC_GPU_MEMORY, 17179869184, "0000:0a:00.0", NULL, NULL);
	struct bytes text = metrics_text(&readings, &arena);
	static const char expected[] =
	        "# HELP gpuferry_build_info The version that serves.\n"
	        "# TYPE gpuferry_build_info gauge\n"
	        "gpuferry_build_info{version=\"0.3.0\"} 1\n"
	        "# HELP gpuferry_gpu_memory_bytes The card's own memory.\n"
	        "# TYPE gpuferry_gpu_memory_bytes gauge\n"
	        "gpuferry_gpu_memory_bytes{gpu=\"0000:0a:00.0\"} 17179869184\n"
	        "# HELP gpuferry_gpu_temperature_celsius A temperature of the card.\n"
	        "# TYPE gpuferry_gpu_temperature_celsius gauge\n"
	        "gpuferry_gpu_temperature_celsius{gpu=\"0000:0a:00.0\",sensor=\"edge\"} 48.5\n"
	        "gpuferry_gpu_temperature_celsius{gpu=\"0000:0a:00.0\",sensor=\"a\\\\b\\\"c\\nd\xef\xbf\xbd\"} -5\n"
	        "# HELP gpuferry_gpu_power_watts What the card takes.\n"
	        "# TYPE gpuferry_gpu_power_watts gauge\n"
	        "gpuferry_gpu_power_watts{gpu=\"0000:0a:00.0\"} 0.1\n";
	if (text.size != strlen(expected) || memcmp(text.data, expected, text.size) != 0)
		fail_msg("%.*s", (int)text.size, text.data);
	readings.n = 0;
	assert_int_equal(metrics_text(&readings, &arena).size, 0);
	(void)state;
}

static void all_of(struct readings *readings)
{
	for (int metric = 0; metric < METRICS; metric++)
		for (int i = 0; i < 3; i++)
			reading_add(readings, (enum metric)metric, i + 0.25, i == 1 ? "one" : "two",
			        i == 2 ? "a\"b" : "", "c");
}

/* Every metric has a name of ours, a type, a help and a place; a counter ends in _total, and nothing else does. */
static void test_table(void **state)
{
	(void)state;
	for (int metric = 0; metric < METRICS; metric++) {
		const struct metric_row *row = &metric_rows[metric];
		if (!row->name || !row->help || !row->from || !text_starts(row->name, "gpuferry_") ||
		        text_ends(row->name, "_total") != (strcmp(row->type, "counter") == 0) ||
		        !text_ends(row->help, "."))
			fail_msg("row %d: %s", metric, row->name ? row->name : "empty");
		for (int other = 0; other < metric; other++)
			assert_string_not_equal(metric_rows[other].name, row->name);
	}
}

static void test_promtool(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct readings readings = { .arena = &arena };
	(void)state;
	if (access("/usr/bin/promtool", X_OK) != 0) {
		print_message("# promtool is not installed\n");
		skip();
	}
	all_of(&readings);
	FILE *pipe = popen("/usr/bin/promtool check metrics 2>&1 | sed 's/^/# /'", "w");
	assert_non_null(pipe);
	struct bytes text = metrics_text(&readings, &arena);
	fwrite(text.data, 1, text.size, pipe);
	pclose(pipe);
	pipe = popen("/usr/bin/promtool check metrics >/dev/null 2>&1", "w");
	fwrite(text.data, 1, text.size, pipe);
	assert_int_equal(pclose(pipe), 0);
	/* and it does say no */
	pipe = popen("/usr/bin/promtool check metrics >/dev/null 2>&1", "w");
	fputs("# TYPE gpuferry_x counter\ngpuferry_x 1\n", pipe);
	assert_int_not_equal(pclose(pipe), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_promtool),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
