/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Engine time from fdinfo: the texts of three drivers, and whose time it is.
 */
#include "fake.h"

#include "media/engine.h"

/* Documentation/gpu/i915.rst and drm-usage-stats.rst, with counters that move */
#define I915(client, video)                                                                                            \
	"pos:\t0\nflags:\t02100002\nmnt_id:\t26\nino:\t452\ndrm-driver:\ti915\ndrm-client-id:\t" client                \
	"\ndrm-pdev:\t0000:00:02.0\ndrm-total-system0:\t125 MiB\ndrm-engine-render:\t25662044495 ns\n"                 \
	"drm-engine-copy:\t0 ns\ndrm-engine-video:\t" video " ns\ndrm-engine-capacity-video:\t2\n"                     \
	"drm-engine-video-enhance:\t777777777 ns\n"
#define XE(cycles)                                                                                                     \
	"drm-driver:\txe\ndrm-client-id:\t42\ndrm-pdev:\t0000:03:00.0\ndrm-cycles-rcs:\t28257900\n"                    \
	"drm-total-cycles-rcs:\t7655183225\ndrm-cycles-vcs:\t" cycles                                                  \
	"\ndrm-total-cycles-vcs:\t7655183225\ndrm-engine-capacity-vcs:\t2\n"
#define AMD(enc, dec)                                                                                                  \
	"drm-driver:\tamdgpu\ndrm-client-id:\t9\ndrm-pdev:\t0000:0a:00.0\npasid:\t32771\ndrm-memory-vram:\t4200 KiB\n" \
	"drm-engine-gfx:\t6000000 ns\ndrm-engine-" enc "\ndrm-engine-" dec "\n"

static void test_texts(void **state)
{
	static const struct {
		const char *text, *pci;
		enum tri busy;
		const char *name;
		int64_t ms;
	} row[] = {
		{ I915("7", "1500000"), "0000:00:02.0", YES, "video", 1 },
		{ I915("7", "0"), "0000:00:02.0", NO, "video", 0 }, /* a busy scaler is no encoder */
		{ I915("7", "1500000"), "0000:03:00.0", UNKNOWN, NULL, UNKNOWN_NUMBER }, /* another card */
		{ I915("7", "1500000"), NULL, YES, "video", 1 },
		{ I915("7", "much"), NULL, UNKNOWN, NULL, UNKNOWN_NUMBER },
		{ I915("x", "1500000"), NULL, UNKNOWN, NULL, UNKNOWN_NUMBER },
		{ I915("7", "99999999999999999999999"), NULL, UNKNOWN, NULL, UNKNOWN_NUMBER },
		{ XE("1"), "0000:03:00.0", YES, "vcs", UNKNOWN_NUMBER },
		{ XE("0"), "0000:03:00.0", NO, "vcs", UNKNOWN_NUMBER },
		{ AMD("enc:\t2000000 ns", "dec:\t0 ns"), "0000:0a:00.0", YES, "enc", 2 },
		{ AMD("enc:\t0 ns", "dec:\t3000000 ns"), "0000:0a:00.0", YES, "dec", 3 }, /* one ring for both */
		{ AMD("enc_1:\t2000000 ns", "jpeg:\t9000000 ns"), NULL, YES, "enc_1", 2 },
		{ AMD("compute:\t2000000 ns", "jpeg:\t9 ns"), NULL, UNKNOWN, NULL, UNKNOWN_NUMBER },
		{ "pos:\t0\nflags:\t02\n", NULL, UNKNOWN, NULL, UNKNOWN_NUMBER },
		/* before 5.19 a driver tells who, and no engine */
		{ "drm-driver:\ti915\ndrm-client-id:\t1\n", NULL, UNKNOWN, NULL, UNKNOWN_NUMBER },
		{ "drm-engine-video:\t5 ns\ndrm-client-id:\t3\ndrm-driver:\ti915\n", NULL, YES, "video", 0 },
		{ "drm-engine-video:\t5 ns\n", NULL, UNKNOWN, NULL, UNKNOWN_NUMBER },
		{ "", NULL, UNKNOWN, NULL, UNKNOWN_NUMBER },
	};
	for (size_t i = 0; i < COUNT(row); i++) {
		struct engine_meter meter = { 0 };
		engine_read(bytes_of(row[i].text), &meter);
		struct engine_use use = engine_use(&meter, row[i].pci);
		if (use.busy != row[i].busy || use.ms != row[i].ms || !use.name != !row[i].name ||
		        (use.name && strcmp(use.name, row[i].name) != 0))
			fail_msg("row %zu: %d %s %lld", i, use.busy, use.name ? use.name : "-", (long long)use.ms);
	}
	(void)state;
}

/* The larger value is kept; two descriptors of one client count once, two clients both. */
static void test_meter(void **state)
{
	struct engine_meter meter = { 0 };
	engine_read(bytes_of(I915("7", "5000000")), &meter);
	engine_read(bytes_of(I915("7", "5000000")), &meter);
	engine_read(bytes_of(I915("7", "3000000")), &meter);
	assert_int_equal(engine_use(&meter, NULL).ms, 5);
	engine_read(bytes_of(I915("8", "4000000")), &meter);
	assert_int_equal(engine_use(&meter, NULL).ms, 9);
	/* far more than anybody has, with names longer than any */
	struct arena arena ARENA_SCOPED = { 0 };
	for (int i = 0; i < 1000; i++)
		engine_read(bytes_of(arena_printf(&arena,
		                    "drm-driver:\t%0100d\ndrm-client-id:\t%d\ndrm-engine-%0100d:\t1 ns\n", i, i, i)),
		        &meter);
	assert_int_equal(meter.n, ENGINES_MAX);
	assert_int_equal(engine_use(&meter, "0000:00:02.0").ms, 9);
	(void)state;
}

/* A busy engine of another process is not ours; that of a program behind a wrapper is. */
static void test_watch(void **state)
{
	static const struct fake_line line[] = {
		{ "/proc/100/fdinfo/0", "pos:\t0\n" },
		{ "/proc/100/fdinfo/4", I915("1", "0") },
		{ "/proc/100/fdinfo/5", "!13" },
		{ "/proc/100/task/100/children", "101 999999999999 x " },
		{ "/proc/101/fdinfo/4", I915("2", "8000000") },
		{ "/proc/101/task/101/children", "100 " }, /* a loop that cannot be: it ends */
		{ "/proc/200/fdinfo/4", I915("3", "9000000000") },
		{ "/proc/300/fdinfo/4", I915("4", "0") },
	};
	struct fake fake;
	struct world *world = fake_open(&fake, line, COUNT(line), false, true);
	struct engine_meter meter = { 0 };
	engine_watch(world, 300, &meter);
	assert_int_equal(engine_use(&meter, "0000:00:02.0").busy, NO);
	engine_watch(world, 999, &meter);
	assert_int_equal(engine_use(&meter, "0000:00:02.0").busy, NO);
	meter = (struct engine_meter){ 0 };
	engine_watch(world, 100, &meter);
	assert_int_equal(engine_use(&meter, "0000:00:02.0").busy, YES);
	assert_int_equal(engine_use(&meter, "0000:00:02.0").ms, 8);
	arena_release(&fake.arena);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_meter),
		cmocka_unit_test(test_watch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
