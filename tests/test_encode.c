/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The choice: which of what was proven, and a reason for every other one.
 */
#include "test.h"

#include "media/encode.h"

#define ROW(name, codec, bits, way, works, rung, reason, why)                                                          \
	{                                                                                                              \
		PROOF_ENCODE, name, codec, bits, way, "", "", YES, works, rung, reason, why, "", "", 1, 400, NULL, 1,  \
		        false                                                                                          \
	}

/* Two cards that work, and software. */
static struct proof rich[] = {
	ROW("h264_nvenc", "h264", 8, "nvenc", YES, 4, "", ""),
	ROW("hevc_nvenc", "hevc", 8, "nvenc", YES, 5, "", ""),
	ROW("hevc_nvenc", "hevc", 10, "nvenc", YES, 5, "", ""),
	ROW("h264_qsv", "h264", 8, "qsv", YES, 5, "", ""),
	ROW("hevc_qsv", "hevc", 10, "qsv", YES, 5, "", ""),
	ROW("h264_vaapi", "h264", 8, "vaapi", YES, 5, "", ""),
	ROW("libx264", "h264", 8, "software", YES, 4, "", ""),
	ROW("libx265", "hevc", 8, "software", YES, 4, "", ""),
	ROW("libx265", "hevc", 10, "software", YES, 4, "", ""),
	ROW("libsvtav1", "av1", 8, "software", YES, 4, "", ""),
};
static struct proof poor[] = {
	ROW("h264_nvenc", "h264", 8, "nvenc", UNKNOWN, 3, "limit", "no session is free"),
	ROW("h264_vaapi", "h264", 8, "vaapi", NO, -1, "absent", "no render node"),
	ROW("hevc_vaapi", "hevc", 10, "vaapi", UNKNOWN, -2, "unknown", "not tried"),
	ROW("libx264", "h264", 8, "software", YES, 4, "", ""),
	ROW("libx265", "hevc", 8, "software", NO, -1, "broken", "it was killed"),
};
static const struct proofs riches = { .list = rich, .n = COUNT(rich) }, poverty = { .list = poor, .n = COUNT(poor) },
                           nothing = { 0 };

static const struct {
	const struct proofs *proofs;
	struct encode_job job;
	const char *prefer, *veto, *best; /* best "": none */
	const char *passed, *why;         /* of one that was passed over */
} row[] = {
	/* the rung before the list */
	{ &riches, { "h264", 8, 1920, 1080, false, -1, -1 }, "", "", "h264_qsv", "h264_nvenc",
	        "h264_qsv goes first: its engine" },
	{ &riches, { "h264", 8, 1920, 1080, false, -1, -1 }, "", "", "h264_qsv", "h264_vaapi", "stands first" },
	{ &riches, { "h264", 8, 1920, 1080, false, -1, -1 }, "", "", "h264_qsv", "libx264", "it is hardware" },
	{ &riches, { "hevc", 10, 3840, 2160, true, -1, -1 }, "", "", "hevc_nvenc", "hevc_qsv", "stands first" },
	/* wishes */
	{ &riches, { "h264", 8, 0, 0, false, -1, -1 }, "vaapi", "", "h264_vaapi", "h264_qsv", "it is preferred" },
	{ &riches, { "h264", 8, 0, 0, false, -1, -1 }, "av1 h264_nvenc", "", "h264_nvenc", "h264_qsv",
	        "it is preferred" },
	{ &riches, { "h264", 8, 0, 0, false, -1, -1 }, "software", "", "libx264", "h264_qsv", "it is preferred" },
	{ &riches, { "h264", 8, 0, 0, false, -1, -1 }, "", "qsv h264_nvenc", "h264_vaapi", "h264_qsv", "vetoed" },
	{ &riches, { "hevc", 10, 0, 0, false, -1, -1 }, "", "hevc10", "", "libx265", "vetoed" },
	{ &riches, { "hevc", 8, 0, 0, false, -1, -1 }, "", "hevc10", "hevc_nvenc", "libx265", "hardware" },
	{ &riches, { "hevc", 8, 0, 0, false, -1, -1 }, "", "nvenc qsv vaapi", "libx265", "hevc_nvenc", "vetoed" },
	/* jobs */
	{ &riches, { "h264", 8, 7680, 4320, false, -1, -1 }, "", "", "libx264", "h264_qsv", "7680x4320 is beyond" },
	{ &riches, { "hevc", 8, 7680, 4320, false, -1, -1 }, "", "", "hevc_nvenc", "libx265", "hardware" },
	{ &riches, { "h264", 8, 0, 0, true, -1, -1 }, "", "", "", "h264_qsv", "tone map" },
	{ &riches, { "hevc", 10, 0, 0, false, 8, 8 }, "", "", "hevc_qsv", "hevc_nvenc", "8 sessions run, and at 8 the driver gave no more" },
	{ &riches, { "hevc", 10, 0, 0, false, 7, 8 }, "", "", "hevc_nvenc", "hevc_qsv", "first" },
	{ &riches, { "hevc", 10, 0, 0, false, 99, -1 }, "", "", "hevc_nvenc", "hevc_qsv", "first" },
	{ &riches, { "h264", 10, 0, 0, false, -1, -1 }, "", "", "", NULL, NULL },
	/* what does not work */
	{ &poverty, { "h264", 8, 0, 0, false, -1, -1 }, "", "", "libx264", "h264_nvenc", "it is not broken" },
	{ &poverty, { "h264", 8, 0, 0, false, -1, -1 }, "nvenc", "", "libx264", "h264_vaapi", "no render node" },
	{ &poverty, { "hevc", 10, 0, 0, false, -1, -1 }, "", "", "", "hevc_vaapi", "not proven" },
	{ &poverty, { "hevc", 8, 0, 0, false, -1, -1 }, "", "", "", "libx265", "killed" },
	{ &nothing, { "h264", 8, 0, 0, false, -1, -1 }, "", "", "", NULL, NULL },
	/* any codec */
	{ &riches, { NULL, 8, 0, 0, false, -1, -1 }, "", "", "h264_qsv", NULL, NULL },
	{ &riches, { NULL, 8, 0, 0, false, -1, -1 }, "hevc h264", "", "hevc_nvenc", NULL, NULL },
	{ &riches, { NULL, 8, 0, 0, false, -1, -1 }, "av1 hevc", "", "hevc_nvenc", NULL, NULL }, /* hardware first */
	{ &riches, { NULL, 8, 0, 0, false, -1, -1 }, "av1", "nvenc qsv vaapi", "libsvtav1", NULL, NULL },
	{ &riches, { NULL, 10, 0, 0, true, -1, -1 }, "", "", "hevc_nvenc", NULL, NULL },
	{ &poverty, { NULL, 8, 0, 0, false, -1, -1 }, "hevc", "", "libx264", NULL, NULL },
	{ &nothing, { NULL, 8, 0, 0, false, -1, -1 }, "", "", "", NULL, NULL },
};

static void test_choice(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		const struct encode_wish wish = { text_split(&arena, row[i].prefer, " "),
			text_split(&arena, row[i].veto, " ") };
		struct encode_choice choice = encode_choose(row[i].proofs, &row[i].job, &wish, &arena);
		const char *best = choice.best ? choice.best->name : "";
		if (strcmp(best, row[i].best) != 0)
			fail_msg("row %zu: %s, not %s", i, best, row[i].best);
		bool found = !row[i].passed;
		size_t of = 0;
		for (size_t j = 0; j < choice.n_passed; j++) {
			assert_true(choice.passed[j].proof != choice.best && *choice.passed[j].why);
			found |= row[i].passed && strcmp(choice.passed[j].proof->name, row[i].passed) == 0 &&
			         strstr(choice.passed[j].why, row[i].why);
			if (row[i].passed && strcmp(choice.passed[j].proof->name, row[i].passed) == 0)
				of = j;
		}
		if (!found)
			fail_msg("row %zu: %s: %s", i, row[i].passed, choice.n_passed ? choice.passed[of].why : "-");
		assert_true(*choice.why || !row[i].job.codec);
		/* every one of the codec and depth is either taken or told */
		size_t all = 0;
		for (size_t j = 0; row[i].job.codec && j < row[i].proofs->n; j++)
			all += strcmp(row[i].proofs->list[j].codec, row[i].job.codec) == 0 &&
			       row[i].proofs->list[j].bits == row[i].job.bits;
		if (row[i].job.codec)
			assert_int_equal(all, choice.n_passed + (choice.best != NULL));
	}
}

static void test_words(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	static const char *const words[] = { "h264", "hevc", "hevc10", "av1", "av1_10", "nvenc", "qsv", "vaapi",
		"vulkan", "software", "h264_vaapi", "libx264" };
	for (size_t i = 0; i < COUNT(words); i++)
		assert_true(encode_is_word(words[i]));
	assert_false(encode_is_word("h265") || encode_is_word("") || encode_is_word("cuda") || encode_is_word("av110"));
	assert_string_equal(encode_codec_name("hevc", 10, &arena), "hevc10");
	assert_string_equal(encode_codec_name("av1", 10, &arena), "av1_10");
	assert_string_equal(encode_codec_name("av1", 8, &arena), "av1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
