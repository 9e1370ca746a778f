/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "cli/change.h"

static struct goal within(int64_t from, int64_t to)
{
	struct goal goal;
	goal_init(&goal);
	goal.window_from = from;
	goal.window_to = to;
	return goal;
}

static const struct {
	const char *name;
	int64_t from, to, now; /* minutes, minutes, seconds of the day */
	bool open;
	int64_t opens_in, left;
} windows[] = {
	{ "none", UNKNOWN_NUMBER, UNKNOWN_NUMBER, 0, true, 0, UNKNOWN_NUMBER },
	{ "at its first second", 180, 360, 10800, true, 0, 10800 },
	{ "a second before", 180, 360, 10799, false, 1, 0 },
	{ "at its last second", 180, 360, 21599, true, 0, 1 },
	{ "when it has closed", 180, 360, 21600, false, 75600, 0 },
	{ "before midnight of one over midnight", 1380, 390, 86399, true, 0, 23401 },
	{ "behind midnight", 1380, 390, 0, true, 0, 23400 },
	{ "in the day between", 1380, 390, 43200, false, 39600, 0 },
	{ "the whole day", 60, 60, 43200, true, 0, UNKNOWN_NUMBER },
};

static void opens_and_closes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
		struct goal goal = within(windows[i].from, windows[i].to);
		struct plan_window left;
		plan_window_at(&goal, windows[i].now, &left);
		if (left.open != windows[i].open || left.opens_in != windows[i].opens_in ||
		        left.left != windows[i].left)
			fail_msg("%s: open %d, in %lld, left %lld", windows[i].name, left.open,
			        (long long)left.opens_in, (long long)left.left);
	}
}

static void reckons_with_the_way_back(void **state)
{
	(void)state;
	struct step hot[] = { { .kind = "power" }, { .kind = "config" }, { .kind = "power" } };
	struct plan plan = { .steps = hot, .n = 3, .confirm_seconds = UNKNOWN_NUMBER };
	int64_t without = plan_window_needed(&plan);
	assert_true(without >= 180 && without < 900);
	struct step cold[] = { { .kind = "file" }, { .kind = "initramfs" }, { .kind = "reboot" },
		{ .kind = "config" } };
	struct guest_stop stops[] = { { "vm/100", "" }, { "vm/101", "" } };
	plan = (struct plan){ .steps = cold, .n = 4, .reboots = 1, .confirm_seconds = 600 };
	int64_t alone = plan_window_needed(&plan);
	/* two boots, the time to confirm, and two images at the least */
	assert_true(alone >= 2 * 300 + 600 + 2 * 60);
	plan.guest_stops = stops;
	plan.n_guest_stops = 2;
	assert_true(plan_window_needed(&plan) > alone);
	plan.confirm_seconds = 1200;
	assert_true(plan_window_needed(&plan) >= alone + 600);
}

static void says_it_to_people(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	(void)state;
	struct goal goal = within(180, 1439);
	assert_string_equal(plan_window_text(&goal, &arena), "03:00-23:59");
	assert_string_equal(plan_window_span(1, &arena), "1 min");
	assert_string_equal(plan_window_span(3600, &arena), "60 min");
	assert_string_equal(plan_window_span(10000, &arena), "2 h 47 min");
}

/* ---- how a run ends ------------------------------------------------------------------------ */

static void ends_with_the_codes_of_the_manual(void **state)
{
	static const struct {
		enum exec_end end;
		enum err_kind kind;
		const char *word;
		int code;
	} rows[] = {
		{ EXEC_DONE, ERR_NONE, "done", 0 },
		{ EXEC_NOTHING, ERR_NONE, "nothing", 0 },
		{ EXEC_CONFIRM, ERR_NONE, "confirm", 0 },
		{ EXEC_REBOOT, ERR_NONE, "reboot", 4 },
		{ EXEC_STUCK, ERR_TIMEOUT, "stuck", 4 },
		{ EXEC_GATE, ERR_INPUT, "gate", 3 },
		{ EXEC_REVERTED, ERR_SYSTEM, "reverted", 1 },
		{ EXEC_LEFT, ERR_NONE, "left", 1 },
		{ EXEC_REFUSED, ERR_INPUT, "refused", 1 },
		{ EXEC_REFUSED, ERR_LOCKED, "refused", 5 },
		{ EXEC_FAILED, ERR_SYSTEM, "failed", 1 },
		{ EXEC_UNKNOWN, ERR_NONE, NULL, 1 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err err = { .kind = rows[i].kind };
		struct ended ended = { .end = rows[i].end, .err = &err };
		assert_int_equal(ended_code(&ended), rows[i].code);
		const char *word = ended_word(rows[i].end);
		assert_true(word ? rows[i].word && strcmp(word, rows[i].word) == 0 : !rows[i].word);
	}
}

/* ---- what takes a change back afterwards ------------------------------------------------------ */

static void takes_back_only_what_it_broke_or_missed(void **state)
{
	static const struct rule mended = { .id = "vm.given", .about = ABOUT_GUEST },
	                         other = { .id = "node.other", .about = ABOUT_NODE },
	                         driver = { .id = "inside.driver", .about = ABOUT_INSIDE };
	struct step step = { .kind = "config", .because = "vm.given" };
	struct plan plan = { .steps = &step, .n = 1 };
	struct finding was[] = { { .rule = &mended, .verdict = VERDICT_BROKEN, .about = "vm/100" },
		{ .rule = &other, .verdict = VERDICT_BROKEN },
		{ .rule = &driver, .verdict = VERDICT_OK, .about = "vm/100" } };
	struct finding is[] = { { .rule = &mended, .verdict = VERDICT_OK, .about = "vm/100" },
		{ .rule = &other, .verdict = VERDICT_BROKEN },
		{ .rule = &driver, .verdict = VERDICT_BROKEN, .about = "vm/100" } };
	struct report before = { .findings = was, .n = 3 }, after = { .findings = is, .n = 3 };
	(void)state;
	/* what was broken before and is none of the plan's, and what is missing inside, stay */
	assert_null(change_missed(&plan, &before, &after));
	/* what it meant to mend and did not */
	is[0].verdict = VERDICT_BROKEN;
	assert_ptr_equal(change_missed(&plan, &before, &after), &is[0]);
	assert_ptr_equal(change_missed(&plan, NULL, &after), &is[0]);
	/* unknown is not broken: a guest that still starts cannot be looked into */
	is[0].verdict = VERDICT_UNKNOWN;
	assert_null(change_missed(&plan, &before, &after));
	/* what was whole before */
	was[1].verdict = VERDICT_OK;
	assert_ptr_equal(change_missed(&plan, &before, &after), &is[1]);
	assert_null(change_missed(&plan, NULL, &after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_and_closes),
		cmocka_unit_test(reckons_with_the_way_back),
		cmocka_unit_test(says_it_to_people),
		cmocka_unit_test(ends_with_the_codes_of_the_manual),
		cmocka_unit_test(takes_back_only_what_it_broke_or_missed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
