/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The journal's file alone: what is read again is what was noted, whatever a power cut, a full disk or a damaged
 * sector did to it.
 */
#include "changing.h"
#include "exec/exec.h"
#include "exec/journal.h"

static struct step steps[] = {
	{ .kind = "file", .on = "node", .key = "/etc/modprobe.d/a.conf", .from = NONE, .to = "a\n", .mode = 0644, .because = "r", .title = "a" },
	{ .kind = "file", .on = "node", .key = "/etc/modprobe.d/b.conf", .from = NONE, .to = "b\n", .mode = 0644, .because = "r", .title = "b" },
};
static const struct plan two = { .steps = steps, .n = 2, .confirm_seconds = UNKNOWN_NUMBER };

struct bench {
	struct changing disk;
	struct world *node;
	struct arena arena;
	struct err err;
	struct journal journal;
};

static void bench_open(struct bench *bench)
{
	memset(bench, 0, sizeof *bench);
	bench->node = changing_open(&bench->disk);
}

static void bench_close(struct bench *bench)
{
	arena_release(&bench->disk.arena);
	arena_release(&bench->arena);
}

static bool note(struct bench *bench, enum journal_note what, size_t step, const char *value)
{
	return journal_note(bench->node, &bench->journal, what, step, value, &bench->arena, &bench->err);
}

static bool begin(struct bench *bench)
{
	return journal_begin(bench->node, &two, &bench->arena, &bench->err, &bench->journal);
}

static bool again(struct bench *bench, struct journal *ret)
{
	bench->err = (struct err){ 0 };
	return journal_open(bench->node, bench->journal.id, &bench->arena, &bench->err, ret);
}

/* Everything a run may note, in order. */
static const struct {
	enum journal_note note;
	size_t step;
	const char *value;
} story[] = {
	{ JOURNAL_OLD, 0, "" },
	{ JOURNAL_OLD, 1, "sha256:0123" },
	{ JOURNAL_ARMED, 0, NULL },
	{ JOURNAL_BEGUN, 0, NULL },
	{ JOURNAL_DONE, 0, NULL },
	{ JOURNAL_BEGUN, 1, NULL },
	{ JOURNAL_WHY, 0, "it \"broke\"\n" },
	{ JOURNAL_STATE, 0, "reverting" },
	{ JOURNAL_UNDOING, 0, NULL },
	{ JOURNAL_UNDONE, 0, NULL },
	{ JOURNAL_LEFT, 1, "sha256:4567" },
	{ JOURNAL_STATE, 0, "left" },
};

static bool tell(struct bench *bench)
{
	for (size_t i = 0; i < COUNT(story); i++)
		if (!note(bench, story[i].note, story[i].step, story[i].value))
			return false;
	return true;
}

static void test_told_and_read(void **state)
{
	(void)state;
	struct bench bench;
	struct journal read;
	bench_open(&bench);
	assert_true(begin(&bench));
	assert_string_equal(bench.journal.id, "20251124-160000");
	assert_true(tell(&bench));
	assert_true(again(&bench, &read));
	assert_string_equal(read.state, "left");
	assert_string_equal(read.why, "it \"broke\"\n");
	assert_string_equal(read.boot_id, "00000000-0000-0000-0000-000000000001");
	assert_int_equal(read.began, 1764000000);
	assert_true(read.armed && !read.confirmed && journal_ended(&read));
	assert_int_equal(read.plan.n, 2);
	assert_string_equal(read.plan.steps[1].to, "b\n");
	assert_string_equal(read.steps[0].old, "");
	assert_string_equal(read.steps[1].old, "sha256:0123");
	assert_true(read.steps[0].begun && read.steps[0].done && read.steps[0].undoing && read.steps[0].undone);
	assert_true(read.steps[1].begun && !read.steps[1].done && !read.steps[1].undone && read.steps[1].left);
	bench_close(&bench);
}

static void test_first_old_stays(void **state)
{
	(void)state;
	struct bench bench;
	struct journal read;
	bench_open(&bench);
	assert_true(begin(&bench) && note(&bench, JOURNAL_OLD, 0, "first") && note(&bench, JOURNAL_OLD, 0, "second"));
	assert_true(note(&bench, JOURNAL_ARMED, 0, NULL) && note(&bench, JOURNAL_OLD, 0, "third"));
	assert_string_equal(bench.journal.steps[0].old, "first");
	assert_true(again(&bench, &read));
	assert_string_equal(read.steps[0].old, "first");
	bench_close(&bench);
}

static void test_ids_only_grow(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench);
	const char *const wanted[] = { "20251124-160000", "20251124-160000-2", "20251124-160000-3" };
	for (size_t i = 0; i < COUNT(wanted); i++) {
		assert_true(begin(&bench));
		assert_string_equal(bench.journal.id, wanted[i]);
	}
	bench.disk.now -= 86400; /* the clock was set back */
	for (int i = 4; i < 12; i++)
		assert_true(begin(&bench));
	assert_string_equal(bench.journal.id, "20251124-160000-11");
	bench.disk.now += 86401;
	assert_true(begin(&bench));
	assert_string_equal(bench.journal.id, "20251124-160001");
	bench_close(&bench);
}

static void test_only_ids(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "..", "../../etc", "20251124-160000/..", "20251124160000--",
		"20251124-1600001", "20251124-160000-123456789012" };
	struct bench bench;
	struct journal read;
	bench_open(&bench);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_false(journal_open(bench.node, wrong[i], &bench.arena, &bench.err, &read));
		assert_non_null(strstr(bench.err.text, "is no run's id"));
	}
	assert_false(journal_open(bench.node, "20251124-160000", &bench.arena, &bench.err, &read));
	assert_string_equal(bench.err.text, "there is no run 20251124-160000");
	bench_close(&bench);
}

/* Whatever of the last append a power cut left: what was noted before stands, and more can be noted. */
static void test_torn_at_every_byte(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench);
	assert_true(begin(&bench) && tell(&bench));
	const char *path = arena_printf(&bench.arena, "%s/journal", bench.journal.folder);
	struct bytes whole;
	assert_int_equal(world_read(bench.node, path, 0, &bench.arena, &whole), 0);
	struct journal full = bench.journal;
	unsigned read_again = 0;
	for (size_t size = 0; size < whole.size; size++) {
		struct journal read, grown;
		changing_edit(&bench.disk, path, arena_strndup(&bench.arena, whole.data, size), 0600);
		bench.journal = full;
		size_t lines = 0;
		for (size_t i = 0; i < size; i++)
			lines += whole.data[i] == '\n';
		if (!lines) { /* the first note was written in one piece: no power cut does that */
			assert_false(again(&bench, &read));
			assert_non_null(strstr(bench.err.text, "line 1 is damaged"));
			continue;
		}
		assert_true(again(&bench, &read));
		/* boot, state, then the story */
		const char *wanted = lines < 5 ? "reverted" : lines < 10 ? "open" : "reverting";
		assert_string_equal(read.state, wanted);
		assert_int_equal(read.steps[0].begun, lines >= 6);
		assert_int_equal(read.steps[0].undone, lines >= 12);
		bench.journal = read;
		assert_true(note(&bench, JOURNAL_DONE, 1, NULL));
		assert_true(again(&bench, &grown));
		assert_true(grown.steps[1].done);
		assert_int_equal(grown.steps[0].undone, read.steps[0].undone);
		read_again++;
	}
	print_message("%u tears, none lost what was noted before it\n", read_again);
	bench_close(&bench);
}

/* Zeros or rubbish in place of a line that was never synced are torn too, also with its end of line. */
static void test_torn_to_zeros(void **state)
{
	(void)state;
	struct bench bench;
	struct journal read;
	bench_open(&bench);
	assert_true(begin(&bench) && tell(&bench));
	struct changing_file *file =
	        changing_file(&bench.disk, arena_printf(&bench.arena, "%s/journal", bench.journal.folder));
	char *data = arena_strndup(&bench.arena, file->data.data, file->data.size);
	size_t last = file->data.size - 1;
	while (data[last - 1] != '\n')
		last--;
	memset(data + last, 0, file->data.size - last - 1);
	file->data.data = data;
	assert_true(again(&bench, &read));
	assert_string_equal(read.state, "reverting");
	assert_true(read.torn);
	bench_close(&bench);
}

static void test_damaged_middle(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench);
	assert_true(begin(&bench) && tell(&bench));
	struct changing_file *file =
	        changing_file(&bench.disk, arena_printf(&bench.arena, "%s/journal", bench.journal.folder));
	struct bytes whole = file->data;
	unsigned line = 1;
	for (size_t i = 0; i < whole.size; i++) {
		struct journal read;
		if (whole.data[i] != '{')
			continue;
		char *data = arena_strndup(&bench.arena, whole.data, whole.size);
		data[i] = 'x';
		file->data.data = data;
		bool last = line == COUNT(story) + 2;
		assert_int_equal(again(&bench, &read), last);
		if (!last)
			assert_non_null(strstr(bench.err.text, arena_printf(&bench.arena, "line %u is damaged", line)));
		line++;
	}
	assert_int_equal(line, COUNT(story) + 3);
	struct runs runs;
	char *data = arena_strndup(&bench.arena, whole.data, whole.size);
	data[0] = 'x';
	file->data.data = data;
	assert_true(exec_runs(bench.node, &bench.arena, &bench.err, &runs));
	assert_int_equal(runs.n, 1);
	assert_string_equal(runs.run[0].state, "damaged");
	assert_non_null(strstr(runs.run[0].why, "line 1 is damaged"));
	assert_null(exec_open_run(&runs));
	bench_close(&bench);
}

/* "Nothing was changed" is only said of a journal that can be believed: not of one that is empty, is rubbish, or lacks
 * what the mark of its end proves. */
static void test_not_taken_for_unchanged(void **state)
{
	static const struct {
		const char *text; /* NULL: the first two lines alone */
		bool mark;
		const char *says; /* NULL: it was cut off before its first change */
	} cases[] = {
		{ "", false, "line 1 is damaged" },
		{ "rubbish\n\x01\x02\n", false, "line 1 is damaged" },
		{ "no end of line", true, "line 1 is damaged" },
		{ NULL, true, "its end is missing" },
		{ NULL, false, NULL },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct bench bench;
		struct journal read;
		bench_open(&bench);
		assert_true(begin(&bench) && tell(&bench));
		const char *path = arena_printf(&bench.arena, "%s/journal", bench.journal.folder);
		struct bytes whole;
		assert_int_equal(world_read(bench.node, path, 0, &bench.arena, &whole), 0);
		const char *second = strchr(strchr(whole.data, '\n') + 1, '\n') + 1;
		const char *begun = arena_strndup(&bench.arena, whole.data, (size_t)(second - whole.data));
		changing_edit(&bench.disk, path, cases[i].text ? cases[i].text : begun, 0600);
		if (cases[i].mark)
			assert_true(journal_mark(bench.node, &bench.journal, "ended", &bench.arena, &bench.err));
		assert_int_equal(again(&bench, &read), !cases[i].says);
		if (cases[i].says)
			assert_non_null(strstr(bench.err.text, cases[i].says));
		else
			assert_string_equal(read.state, "reverted");
		bench_close(&bench);
	}
}

/* A step that the plan has not, a note nobody knows, an old state without its words. */
static void test_wrong_lines(void **state)
{
	(void)state;
	static const char *const wrong[] = { "{\"note\":\"done\",\"step\":2}", "{\"note\":\"done\",\"step\":-1}",
		"{\"note\":\"done\"}", "{\"note\":\"old\",\"step\":1}", "{\"note\":\"dreamt\"}", "[]", "{}",
		"{\"note\":\"state\"}" };
	struct bench bench;
	bench_open(&bench);
	assert_true(begin(&bench) && tell(&bench));
	const char *path = arena_printf(&bench.arena, "%s/journal", bench.journal.folder);
	struct bytes whole;
	assert_int_equal(world_read(bench.node, path, 0, &bench.arena, &whole), 0);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct journal read;
		changing_edit(&bench.disk, path,
		        arena_printf(&bench.arena, "%s%s\n{\"note\":\"why\"}\n", whole.data, wrong[i]), 0600);
		assert_false(again(&bench, &read));
		assert_non_null(strstr(bench.err.text, "line 15 is damaged"));
	}
	bench_close(&bench);
}

/* Power goes after every effect, and what was not synced is kept or lost: whatever journal_note has answered with true
 * is there afterwards. */
static void test_cut_everywhere(void **state)
{
	(void)state;
	unsigned cuts = 0;
	for (int keep = 0; keep < 2; keep++)
		for (unsigned long after = 1;; after++) {
			struct bench bench;
			struct journal read;
			bench_open(&bench);
			bench.disk.cut = after;
			size_t noted = 0;
			bool begun = begin(&bench);
			while (begun && noted < COUNT(story) &&
			        note(&bench, story[noted].note, story[noted].step, story[noted].value))
				noted++;
			bool through = !bench.disk.off;
			changing_boot(&bench.disk, keep);
			struct runs runs;
			assert_true(exec_runs(bench.node, &bench.arena, &bench.err, &runs));
			assert_true(runs.n == 1 || !begun);
			if (begun) {
				assert_true(again(&bench, &read));
				assert_true(!(noted > 2) || read.armed);
				assert_true(!(noted > 2) || strcmp(read.steps[1].old, "sha256:0123") == 0);
				assert_true(!(noted > 4) || read.steps[0].done);
				assert_true(!(noted > 9) || read.steps[0].undone);
				assert_true(!(noted > 11) || journal_ended(&read));
			}
			bench_close(&bench);
			cuts++;
			if (through)
				break;
		}
	print_message("%u power cuts, nothing that was noted is lost\n", cuts);
}

/* A write or sync that fails: the note fails, and the next one puts everything right again. */
static void test_faults(void **state)
{
	(void)state;
	static const struct {
		const char *effect;
		int error;
	} faults[] = { { "append *", ENOSPC }, { "sync */journal", EIO } };
	for (size_t i = 0; i < COUNT(faults); i++) {
		struct bench bench;
		struct journal read;
		bench_open(&bench);
		assert_true(begin(&bench) && note(&bench, JOURNAL_OLD, 0, "") && note(&bench, JOURNAL_ARMED, 0, NULL));
		bench.disk.fault = faults[i].effect;
		bench.disk.fault_errno = faults[i].error;
		bench.disk.fault_times = 1;
		assert_false(note(&bench, JOURNAL_BEGUN, 0, NULL));
		assert_false(bench.journal.steps[0].begun);
		assert_true(note(&bench, JOURNAL_WHY, 0, "full"));
		changing_boot(&bench.disk, false);
		assert_true(again(&bench, &read));
		assert_false(read.steps[0].begun);
		assert_string_equal(read.why, "full");
		bench_close(&bench);
	}
}

static void test_marks(void **state)
{
	(void)state;
	struct bench bench;
	struct journal read;
	bench_open(&bench);
	assert_true(begin(&bench) && note(&bench, JOURNAL_ARMED, 0, NULL) && note(&bench, JOURNAL_STATE, 0, "confirm"));
	assert_true(journal_mark(bench.node, &bench.journal, "confirmed", &bench.arena, &bench.err));
	changing_boot(&bench.disk, false);
	assert_true(again(&bench, &read));
	assert_true(read.confirmed);
	assert_string_equal(read.state, "confirm");
	assert_true(journal_unmark(bench.node, &bench.journal, "confirmed", &bench.arena, &bench.err));
	changing_edit(&bench.disk, arena_printf(&bench.arena, "%s/taken-back", bench.journal.folder), "begun\n", 0600);
	assert_true(again(&bench, &read));
	assert_false(read.confirmed);
	assert_string_equal(read.state, "reverting");
	assert_string_equal(read.reverted, "begun");
	bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told_and_read),
		cmocka_unit_test(test_first_old_stays),
		cmocka_unit_test(test_ids_only_grow),
		cmocka_unit_test(test_only_ids),
		cmocka_unit_test(test_torn_at_every_byte),
		cmocka_unit_test(test_torn_to_zeros),
		cmocka_unit_test(test_damaged_middle),
		cmocka_unit_test(test_not_taken_for_unchanged),
		cmocka_unit_test(test_wrong_lines),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_marks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
