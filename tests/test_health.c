/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The health document: what proofs come to, the status of each state, and the document by the letter.
 */
#include "test.h"

#include "serve/serve.h"

#define ROW(name, codec, way, device, works, rung, reason, why)                                                        \
	{                                                                                                              \
		PROOF_ENCODE, name, codec, 8, way, device, "", YES, works, rung, reason, why, "", "", 1, 400, NULL, 1, \
		        false                                                                                          \
	}
#define SOFTWARE ROW("libx264", "h264", "software", "", YES, 4, "", "")
#define NO_NVENC ROW("h264_nvenc", "h264", "nvenc", "", NO, -1, "absent", "no driver (Cannot load libcuda.so.1)")

static struct proof hard[] = { ROW("h264_vaapi", "h264", "vaapi", "/dev/dri/renderD128", YES, 5, "", ""), SOFTWARE };
static struct proof soft[] = { NO_NVENC, SOFTWARE };
static struct proof broken[] = { NO_NVENC,
	ROW("h264_vaapi", "h264", "vaapi", "/dev/dri/renderD128", NO, 0, "broken", "it does not start"), SOFTWARE };
static struct proof limited[] = { NO_NVENC,
	ROW("h264_nvenc", "h264", "nvenc", "/dev/nvidia0", UNKNOWN, 3, "limit", "no session is free"), SOFTWARE };
static struct proof untried[] = {
	ROW("h264_vaapi", "h264", "vaapi", "/dev/dri/renderD128", UNKNOWN, -2, "unknown", "not tried"), SOFTWARE
};
static struct proof dead[] = { NO_NVENC, ROW("libx264", "h264", "software", "", NO, -1, "broken", "it was killed") };
static struct proof listed[] = { SOFTWARE };

#define OF(rows)                                                                                                       \
	{                                                                                                              \
		.list = rows, .n = COUNT(rows)                                                                         \
	}
static const struct proofs of_hard = OF(hard), of_soft = OF(soft), of_broken = OF(broken), of_limited = OF(limited),
                           of_untried = OF(untried), of_dead = OF(dead), of_listed = OF(listed);

static void test_hardware(void **state)
{
	static const struct {
		const struct proofs *proofs;
		const char *veto;
		enum tri active;
		const char *engine;
		int rung;
		const char *reason;
		enum tri here;
	} row[] = {
		{ &of_hard, "", YES, "vaapi", 5, "", YES },
		{ &of_hard, "vaapi", NO, "software", 4, "hardware encodes here, and the goal wishes otherwise", YES },
		{ &of_soft, "", NO, "software", 4, "h264_nvenc: no driver (Cannot load libcuda.so.1)", NO },
		{ &of_soft, "software", NO, "", -1, "h264_nvenc: no driver (Cannot load libcuda.so.1)", NO },
		/* what is here and broken says more than what is not here */
		{ &of_broken, "", NO, "software", 4, "h264_vaapi: it does not start", YES },
		{ &of_limited, "", UNKNOWN, "software", 4, "h264_nvenc: no session is free", YES },
		{ &of_untried, "", UNKNOWN, "software", 4, "h264_vaapi: not tried", YES },
		{ &of_dead, "", NO, "", -1, "h264_nvenc: no driver (Cannot load libcuda.so.1)", NO },
		{ &of_listed, "", NO, "software", 4, "this ffmpeg has no hardware encoder", NO },
	};
	for (size_t i = 0; i < COUNT(row); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		const struct encode_wish wish = { .veto = text_split(&arena, row[i].veto, " ") };
		struct health_hardware is = health_of(row[i].proofs, &wish, &arena);
		if (is.active != row[i].active || strcmp(is.engine, row[i].engine) != 0 || is.rung != row[i].rung ||
		        strcmp(is.reason, row[i].reason) != 0 || is.here != row[i].here)
			fail_msg("row %zu: %d %s %d %s %d", i, is.active, is.engine, is.rung, is.reason, is.here);
	}
	(void)state;
}

enum { NOW = 1700001000, AFTER = 1500 };

static struct health_state state_of(const struct proofs *proofs, struct arena *arena)
{
	static const struct health_source fresh[] = { { "machine", NOW - 3, 20, true, NULL, false },
		{ "nvml", UNKNOWN_NUMBER, 20, false, NULL, true } };
	struct health_state state = { .now = NOW,
		.wanted_why = NONE,
		.since = proofs ? 1700000000 : UNKNOWN_NUMBER,
		.proven = proofs ? NOW - 60 : UNKNOWN_NUMBER,
		.stale_after = AFTER,
		.sources = fresh,
		.n_sources = COUNT(fresh) };
	if (proofs)
		state.hardware = health_of(proofs, &(struct encode_wish){ 0 }, arena);
	return state;
}

static enum health_status status_of(const struct health_state *state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	enum health_status status;
	JSON_SCOPED json_t *document = health_document(state, &arena, &status);
	assert_string_equal(json_string_at(document, "status"), health_status_name(status));
	/* a reason is never missing where there is something to say */
	assert_true((status == HEALTH_PASS) == (strcmp(json_string_at(document, "output"), "none") == 0));
	return status;
}

static void test_wanted(void **unused)
{
	static const struct {
		const struct proofs *proofs;
		enum health_status wanted, unsaid, unwanted;
	} row[] = {
		{ &of_hard, HEALTH_PASS, HEALTH_PASS, HEALTH_PASS },
		{ &of_soft, HEALTH_FAIL, HEALTH_PASS, HEALTH_PASS },
		{ &of_listed, HEALTH_FAIL, HEALTH_PASS, HEALTH_PASS },
		{ &of_broken, HEALTH_FAIL, HEALTH_WARN, HEALTH_PASS },
		{ &of_limited, HEALTH_WARN, HEALTH_WARN, HEALTH_PASS },
		{ &of_untried, HEALTH_WARN, HEALTH_WARN, HEALTH_PASS },
		{ &of_dead, HEALTH_FAIL, HEALTH_FAIL, HEALTH_FAIL },
		{ NULL, HEALTH_FAIL, HEALTH_FAIL, HEALTH_FAIL },
	};
	for (size_t i = 0; i < COUNT(row); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct health_state state = state_of(row[i].proofs, &arena);
		const enum health_status expected[] = {
			[YES] = row[i].wanted, [UNKNOWN] = row[i].unsaid, [NO] = row[i].unwanted
		};
		for (int wanted = UNKNOWN; wanted <= YES; wanted++) {
			state.wanted = (enum tri)wanted;
			if (status_of(&state) != expected[wanted])
				fail_msg("row %zu, wanted %d: %s", i, wanted, health_status_name(status_of(&state)));
		}
	}
	(void)unused;
}

static void test_stale(void **unused)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct health_source sources[] = { { "machine", NOW - 3, 20, true, NULL, false },
		{ "nvml", NOW - 3, 20, false, NULL, false } };
	struct health_state state = state_of(&of_hard, &arena);
	(void)unused;
	state.sources = sources;
	assert_int_equal(status_of(&state), HEALTH_PASS);
	state.now = state.proven + AFTER;
	sources[0].seen = sources[1].seen = state.now;
	assert_int_equal(status_of(&state), HEALTH_PASS);
	state.now++;
	assert_int_equal(status_of(&state), HEALTH_FAIL);
	state.now = state.proven - 5; /* the clock was put back */
	sources[0].seen = sources[1].seen = state.now;
	assert_int_equal(status_of(&state), HEALTH_FAIL);
	state.now = NOW;
	sources[0].seen = sources[1].seen = NOW;
	state.proof_failed = "there is no ffmpeg"; /* the last one still holds for a while */
	assert_int_equal(status_of(&state), HEALTH_WARN);
	state.proof_failed = NULL;
	sources[1].seen = NOW - 21;
	assert_int_equal(status_of(&state), HEALTH_WARN);
	sources[1].absent = true;
	assert_int_equal(status_of(&state), HEALTH_PASS);
	sources[0].seen = NOW - 20;
	assert_int_equal(status_of(&state), HEALTH_PASS);
	sources[0].seen = NOW - 21;
	assert_int_equal(status_of(&state), HEALTH_FAIL);
	sources[0].seen = UNKNOWN_NUMBER;
	assert_int_equal(status_of(&state), HEALTH_FAIL);
}

static void test_nodes(void **unused)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct readings readings = { .arena = &arena };
	struct health_state state = state_of(&of_hard, &arena);
	(void)unused;
	state.readings = &readings;
	reading_add(&readings, METRIC_CPU, 0, "user", NULL, NULL);
	reading_add(&readings, METRIC_NODE_UP, 1, "0000:00:02.0", "/dev/dri/renderD128", NULL);
	assert_int_equal(status_of(&state), HEALTH_PASS);
	reading_add(&readings, METRIC_NODE_UP, 0, "0000:01:00.0", "/dev/dri/renderD129", NULL);
	assert_int_equal(status_of(&state), HEALTH_WARN);
	state.wanted = NO;
	assert_int_equal(status_of(&state), HEALTH_PASS);
}

static void is_document(const struct health_state *state, const char *expected)
{
	struct arena arena ARENA_SCOPED = { 0 };
	enum health_status status;
	JSON_SCOPED json_t *document = health_document(state, &arena, &status);
	const char *text = json_print(&arena, document, false);
	if (strcmp(text, expected) != 0)
		fail_msg("%s", text);
}

static void test_document(void **unused)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct health_state state = state_of(NULL, &arena);
	(void)unused;
	state.now = NOW;
	is_document(&state,
	        "{\"schema\":\"gpuferry.health/1\",\"status\":\"fail\",\"version\":\"" GPUFERRY_VERSION
	        "\",\"output\":\"nothing is "
	        "proven yet: the first proof runs\","
	        "\"hardware_acceleration\":{\"wanted\":null,"
	        "\"active\":null,\"engine\":null,\"rung\":null,\"since\":null,\"reason\":\"nothing is proven yet: the "
	        "first proof runs\",\"wanted_by\":\"none\"},"
	        "\"checks\":{\"proof:age\":[{\"status\":\"fail\",\"output\":\"nothing is proven yet: the first proof "
	        "runs\"}],"
	        "\"machine:age\":[{\"status\":\"pass\",\"observedValue\":3,\"observedUnit\":\"s\",\"time\":\"2023-11-"
	        "14T22:29:57Z\"}]}}\n");
	state = state_of(&of_broken, &arena);
	state.wanted = YES;
	state.wanted_why = "--gpu intel";
	is_document(&state,
	        "{\"schema\":\"gpuferry.health/1\",\"status\":\"fail\",\"version\":\"" GPUFERRY_VERSION
	        "\",\"output\":\"h264_vaapi: "
	        "it does not start\","
	        "\"hardware_acceleration\":{\"wanted\":true,"
	        "\"active\":false,\"engine\":\"software\",\"rung\":4,\"since\":\"2023-11-14T22:13:20Z\",\"reason\":"
	        "\"h264_vaapi: it does not start\",\"wanted_by\":\"--gpu intel\"},"
	        "\"checks\":{\"proof:age\":[{\"status\":\"pass\",\"observedValue\":60,\"observedUnit\":\"s\",\"time\":"
	        "\"2023-11-14T22:29:00Z\"}],"
	        "\"hardware:active\":[{\"componentId\":\"libx264\",\"status\":\"fail\",\"observedValue\":false,"
	        "\"time\":\"2023-11-14T22:29:00Z\",\"output\":\"h264_vaapi: it does not start\"}],"
	        "\"machine:age\":[{\"status\":\"pass\",\"observedValue\":3,\"observedUnit\":\"s\",\"time\":\"2023-11-"
	        "14T22:29:57Z\"}]}}\n");
	assert_null(health_time(UNKNOWN_NUMBER, &arena));
	assert_string_equal(health_time(0, &arena), "1970-01-01T00:00:00Z");
}

/* Which proofs are about the GPU that is wanted. */
static void test_gpu(void **unused)
{
	static struct drm_node node[] = { { .name = "renderD128", .pci = "0000:00:02.0", .driver = "i915" },
		{ .name = "renderD129", .pci = "0000:0a:00.0", .driver = "amdgpu" },
		{ .name = "card2", .pci = NULL, .driver = NULL } };
	static const struct drm drm = { .nodes = node, .n = COUNT(node) };
	static const struct {
		const char *way, *pci;
		enum tri works;
		const char *of; /* those that it is about */
	} row[] = {
		{ "software", "", YES, "auto nvidia intel amd 0000:00:02.0" },
		{ "nvenc", "0000:01:00.0", YES, "auto nvidia 0000:01:00.0" },
		{ "nvenc", "", NO, "auto nvidia" },
		{ "qsv", "0000:00:02.0", YES, "auto intel 0000:00:02.0" },
		{ "vaapi", "0000:00:02.0", NO, "auto intel 0000:00:02.0" },
		{ "vaapi", "0000:0a:00.0", YES, "auto amd 0000:0a:00.0" },
		{ "vaapi", "", NO, "auto nvidia intel amd 0000:00:02.0 0000:01:00.0 0000:0a:00.0" },
		{ "vulkan", "", YES, "auto" },
	};
	static const char *const all[] = { "auto", "nvidia", "intel", "amd", "0000:00:02.0", "0000:01:00.0",
		"0000:0a:00.0" };
	(void)unused;
	for (size_t i = 0; i < COUNT(row); i++) {
		const struct proof proof = { .way = row[i].way, .pci = row[i].pci, .works = row[i].works };
		assert_true(serve_is_of(&proof, NULL, &drm));
		for (size_t j = 0; j < COUNT(all); j++)
			if (i && serve_is_of(&proof, all[j], &drm) != text_has_word(row[i].of, all[j], " "))
				fail_msg("row %zu of %s", i, all[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hardware),
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_gpu),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
