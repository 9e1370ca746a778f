/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The verbs apply and rollback as a person meets them, on a machine that behaves: what they say, with which exit code,
 * and that agreeing, the window and the confirmation count.
 */
#include <time.h>
#include "test.h"

#include <unistd.h>

#include "cli/change.h"
#include "rehearse/machine.h"
#include "rehearse/rehearse.h"

struct place {
	struct arena arena;
	struct rehearse *rehearse;
	struct world *node;
	struct app app;
	struct goal goal;
	char said[65536];
};

static void open_place(struct place *place, const char *machine, const char *into)
{
	struct err err = { 0 };
	struct tape *tape;
	const char *text = machine_builtin_text(NULL, machine);
	*place = (struct place){ 0 };
	if (!machine_parse(bytes_of(text), machine, machine_builtin_text, NULL, &place->arena, &err, &tape))
		fail_msg("%s", err.text);
	place->rehearse = rehearse_open(tape, &place->arena, &err);
	if (!place->rehearse)
		fail_msg("%s", err.text);
	place->node = rehearse_world(place->rehearse);
	goal_init(&place->goal);
	assert_true(goal_set(&place->goal, "gpu", text_starts(into, "ct/") ? "intel" : "nvidia", &place->arena, &err));
	assert_true(goal_set(&place->goal, "into", into, &place->arena, &err));
}

/* Runs one of the two verbs, and keeps what it said on both standard places. */
static int run_verb(struct place *place, const char *verb, bool json)
{
	struct app *app = &place->app;
	FILE *kept = tmpfile();
	assert_non_null(kept);
	fflush(stdout);
	fflush(stderr);
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	dup2(fileno(kept), STDOUT_FILENO);
	dup2(fileno(kept), STDERR_FILENO);
	app->arena = &place->arena;
	app->color = "never";
	app->json = json;
	for (app->verb = verbs; strcmp(app->verb->name, verb) != 0;)
		app->verb++;
	bool apply = strcmp(verb, "apply") == 0;
	int code = apply ? apply_on(app, place->node, &place->goal) : rollback_on(app, place->node);
	fflush(stdout);
	fflush(stderr);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	rewind(kept);
	size_t size = fread(place->said, 1, sizeof place->said - 1, kept);
	place->said[size] = '\0';
	fclose(kept);
	return code;
}

static void expect(struct place *place, const char *verb, int code, const char *said)
{
	int got = run_verb(place, verb, false);
	if (got != code || !strstr(place->said, said))
		fail_msg("%s: exit %d, not %d with \"%s\":\n%s", verb, got, code, said, place->said);
}

static void boots(struct place *place)
{
	struct err err = { 0 };
	assert_int_equal(rehearse_power_state(place->rehearse), POWER_REBOOTING);
	if (!rehearse_boot(place->rehearse, true, &err))
		fail_msg("%s", err.text);
}

static void asks_where_nobody_is(void **state)
{
	struct place place;
	(void)state;
	open_place(&place, "amd-4060ti", "vm/100");
	unsigned long before = rehearse_effects(place.rehearse);
	expect(&place, "apply", 1, "nobody is there to be asked");
	assert_int_equal(rehearse_effects(place.rehearse), before);
	place.app.dry_run = true;
	expect(&place, "apply", 3, "because");
	assert_int_equal(rehearse_effects(place.rehearse), before);
	arena_release(&place.arena);
}

static void does_it_and_takes_it_back(void **state)
{
	struct place place;
	(void)state;
	open_place(&place, "amd-4060ti", "vm/100");
	place.app.yes = true;
	expect(&place, "apply", 0, "to take it back: gpuferry rollback --run");
	expect(&place, "apply", 0, "nothing to do");
	place.app.list = true;
	expect(&place, "rollback", 0, "0000:01:00.0");
	place.app.list = false;
	expect(&place, "rollback", 0, "taken back");
	expect(&place, "rollback", 0, "nothing to take back");
	expect(&place, "apply", 0, "done");
	arena_release(&place.arena);
}

static void keeps_to_the_window(void **state)
{
	struct place place;
	(void)state;
	open_place(&place, "amd-4060ti", "vm/100");
	place.app.yes = true;
	/* the window begins an hour after the machine's clock, and is an hour long */
	time_t now = (time_t)world_now(place.node);
	struct tm local;
	assert_non_null(localtime_r(&now, &local));
	place.goal.window_from = (local.tm_hour * 60 + local.tm_min + 60) % 1440;
	place.goal.window_to = (place.goal.window_from + 60) % 1440;
	unsigned long before = rehearse_effects(place.rehearse);
	expect(&place, "apply", 1, "guests may stop only from");
	assert_int_equal(rehearse_effects(place.rehearse), before);
	place.goal.window_from = (place.goal.window_from + 1440 - 90) % 1440;
	expect(&place, "apply", 0, "done");
	arena_release(&place.arena);
}

static void fits_a_reboot_into_the_window(void **state)
{
	struct place place;
	(void)state;
	open_place(&place, "iommu-off", "vm/100");
	place.app.yes = true;
	time_t now = (time_t)world_now(place.node);
	struct tm local;
	assert_non_null(localtime_r(&now, &local));
	place.goal.window_from = (local.tm_hour * 60 + local.tm_min) % 1440;
	place.goal.window_to = (place.goal.window_from + 10) % 1440;
	unsigned long before = rehearse_effects(place.rehearse);
	expect(&place, "apply", 1, "are left");
	assert_int_equal(rehearse_effects(place.rehearse), before);
	arena_release(&place.arena);
}

static void reboots_only_when_told(void **state)
{
	struct place place;
	(void)state;
	open_place(&place, "iommu-off", "vm/100");
	place.app.yes = true;
	expect(&place, "apply", 4, "must reboot now");
	assert_int_equal(rehearse_power_state(place.rehearse), POWER_ON);
	place.app.confirm = true;
	expect(&place, "apply", 1, "");
	place.app.confirm = false;
	place.app.reboot = true;
	expect(&place, "apply", 4, "the node reboots now");
	boots(&place);
	expect(&place, "apply", 0, "gpuferry apply --confirm");
	expect(&place, "apply", 1, "waits for its confirmation");
	place.app.confirm = true;
	expect(&place, "apply", 0, "done");
	expect(&place, "apply", 1, "nothing waits for a confirmation");
	arena_release(&place.arena);
}

static void says_it_in_json(void **state)
{
	struct place place;
	struct err err = { 0 };
	json_t *document;
	(void)state;
	open_place(&place, "intel-uhd770-ct", "ct/105");
	place.app.yes = true;
	assert_int_equal(run_verb(&place, "apply", true), 0);
	if (!json_parse(bytes_of(place.said), "apply", &err, &document))
		fail_msg("%s: %s", err.text, place.said);
	assert_string_equal(json_string_at(document, "schema"), "gpuferry.apply/1");
	assert_string_equal(json_string_at(document, "end"), "done");
	assert_int_equal(json_integer_value(json_object_get(document, "steps_done")),
	        json_integer_value(json_object_get(document, "steps")));
	assert_true(json_is_object(json_object_get(document, "after")));
	json_decref(document);
	assert_int_equal(run_verb(&place, "rollback", true), 0);
	assert_true(json_parse(bytes_of(place.said), "rollback", &err, &document));
	assert_string_equal(json_string_at(document, "end"), "done");
	json_decref(document);
	arena_release(&place.arena);
}

static void goes_on_after_a_cut(void **state)
{
	struct place place;
	struct err err = { 0 };
	(void)state;
	open_place(&place, "amd-4060ti", "vm/100");
	place.app.yes = true;
	unsigned long before = rehearse_effects(place.rehearse);
	run_verb(&place, "apply", false);
	unsigned long all = rehearse_effects(place.rehearse) - before;
	arena_release(&place.arena);
	open_place(&place, "amd-4060ti", "vm/100");
	place.app.yes = true;
	rehearse_cut(place.rehearse, rehearse_effects(place.rehearse) + all * 3 / 4);
	assert_int_equal(run_verb(&place, "apply", false), 1);
	assert_int_equal(rehearse_power_state(place.rehearse), POWER_CUT);
	assert_true(rehearse_boot(place.rehearse, false, &err));
	place.app.yes = false;
	expect(&place, "apply", 1, "was not ended");
	place.app.yes = true;
	expect(&place, "apply", 0, "done");
	arena_release(&place.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_where_nobody_is),
		cmocka_unit_test(does_it_and_takes_it_back),
		cmocka_unit_test(keeps_to_the_window),
		cmocka_unit_test(fits_a_reboot_into_the_window),
		cmocka_unit_test(reboots_only_when_told),
		cmocka_unit_test(says_it_in_json),
		cmocka_unit_test(goes_on_after_a_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
