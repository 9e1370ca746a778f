/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The ffmpeg that is there: its lists as text, and programs that are written here and answer like one.
 */
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "media/ffmpeg.h"

static void test_version(void **state)
{
	static const struct {
		const char *text, *version;
		int64_t major;
	} row[] = {
		{ "ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026\nlibavutil 57. 28.100 / 57. 28.100\n"
		  "libavcodec     59. 37.100 / 59. 37.100\n",
		        "5.1.9-0+deb12u1", 59 },
		{ "ffmpeg version N-118456-gabcdef Copyright\nlibavcodec     61. 31.101 / 62. 31.101\n",
		        "N-118456-gabcdef", 62 },
		{ "ffmpeg version 7.0.2-Jellyfin Copyright\n", "7.0.2-Jellyfin", UNKNOWN_NUMBER },
		{ "libavcodec     59. 37.100 / 59. 37.100\n", NULL, UNKNOWN_NUMBER },
		{ "ffprobe version 5.1\n", NULL, UNKNOWN_NUMBER },
		{ "", NULL, UNKNOWN_NUMBER },
		{ "ffmpeg version \nlibavcodec / x\n", NULL, UNKNOWN_NUMBER },
	};
	struct arena arena ARENA_SCOPED = { 0 };
	for (size_t i = 0; i < COUNT(row); i++) {
		const char *version;
		int64_t major;
		ffmpeg_parse_version(bytes_of(row[i].text), &arena, &version, &major);
		if (row[i].version)
			assert_string_equal(version, row[i].version);
		else
			assert_null(version);
		assert_int_equal(major, row[i].major);
	}
	(void)state;
}

static const char encoders[] = "Encoders:\n V..... = Video\n A..... = Audio\n .....D = Supports direct rendering\n ------\n"
			       " V....D libx264              libx264 H.264 (codec h264)\n"
			       " V..... h264_qsv             H.264 (codec h264)\n"
			       " A....D aac                  AAC\n"
			       " VFS..D ffv1                 FFmpeg video codec #1\n";
static const char filters[] = "Filters:\n  T.. = Timeline support\n  A = Audio input/output\n"
			      "  | = Source or sink filter\n"
			      " TSC scale             V->V       Scale.\n ... scale_cuda        V->V       On the GPU.\n"
			      " .. new_form           V->V       As since 8.\n ... concat  N->N Join.\n";

static void test_lists(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct words list = ffmpeg_parse_coders(bytes_of(encoders), &arena);
	assert_int_equal(list.n, 3);
	assert_true(ffmpeg_lists(&list, "libx264") && ffmpeg_lists(&list, "h264_qsv") && ffmpeg_lists(&list, "ffv1"));
	assert_false(ffmpeg_lists(&list, "aac"));
	list = ffmpeg_parse_filters(bytes_of(filters), &arena);
	assert_int_equal(list.n, 4);
	assert_true(ffmpeg_lists(&list, "scale") && ffmpeg_lists(&list, "new_form"));
	list = ffmpeg_parse_hwaccels(bytes_of("Hardware acceleration methods:\nvdpau\ncuda\n\n"), &arena);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.word[1], "cuda");
	(void)state;
}

static void write_program(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, 0755), 0);
}

/* A program of its own is identified, and refused where it is none or too old. */
static void test_open(void **state)
{
	static const struct {
		const char *script, *error; /* NULL: taken */
	} row[] = {
		{ "#!/bin/sh\n[ $1 = -version ] && printf 'ffmpeg version 6.1 C\\nlibavcodec 60. 3.100 / 60. 3.100\\n'\nexit "
		  "0\n",
		        NULL },
		{ "#!/bin/sh\necho 'ffmpeg version N-1-g C'\n", NULL },
		{ "#!/bin/sh\nprintf 'ffmpeg version 4.4.4 C\\nlibavcodec 58.134.100 / 58.134.100\\n'\n", NULL },
		{ "#!/bin/sh\nprintf 'ffmpeg version 4.3.6 C\\nlibavcodec 58. 91.100 / 58. 91.100\\n'\n", "too old" },
		{ "#!/bin/sh\nprintf 'ffmpeg version 3.4 C\\nlibavcodec 57.107.100 / 57.107.100\\n'\n", "too old" },
		{ "#!/bin/sh\necho hello\n", "does not answer as" },
		{ "#!/bin/sh\nexit 1\n", "does not answer as" },
	};
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	char folder[] = "/tmp/gpuferry-ffmpeg-XXXXXX";
	assert_non_null(mkdtemp(folder));
	const char *path = arena_printf(&arena, "%s/ffmpeg", folder);
	struct world *world = world_open_root(NULL, false, &arena, &err);
	struct ffmpeg ffmpeg = { 0 };
	for (size_t i = 0; i < COUNT(row); i++) {
		write_program(path, row[i].script);
		err = (struct err){ 0 };
		bool taken = ffmpeg_open(world, path, &arena, &err, &ffmpeg);
		if (taken != !row[i].error || (row[i].error && !strstr(err.text, row[i].error)))
			fail_msg("%s: %s", row[i].script, err.text);
	}
	/* identity: the same file is the same; another time, size or build is another */
	struct ffmpeg again;
	write_program(path, row[0].script);
	assert_true(ffmpeg_open(world, path, &arena, &err, &ffmpeg) && ffmpeg_open(world, path, &arena, &err, &again));
	assert_string_equal(ffmpeg.origin, "named");
	assert_string_equal(ffmpeg.identity, again.identity);
	struct utimbuf old = { 1000, 1000 };
	assert_int_equal(utime(path, &old), 0);
	assert_true(ffmpeg_open(world, path, &arena, &err, &again));
	assert_string_not_equal(ffmpeg.identity, again.identity);

	unlink(path);
	assert_false(ffmpeg_open(world, path, &arena, &err, &again));
	assert_non_null(strstr(err.text, "not there"));
	assert_false(ffmpeg_open(world, "ffmpeg", &arena, &err, &again));
	assert_int_equal(err.kind, ERR_USAGE);
	rmdir(folder);
	world_close(world);
	(void)state;
}

/* Debian's, as it is on this machine. */
static void test_real(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct world *world = world_open_root(NULL, false, &arena, &err);
	struct ffmpeg ffmpeg;
	if (!ffmpeg_open(world, NULL, &arena, &err, &ffmpeg)) {
		print_message("no ffmpeg here: %s\n", err.text);
		world_close(world);
		arena_release(&arena); /* skip() does not come back */
		skip();
	}
	assert_true(ffmpeg_lists(&ffmpeg.encoders, "libx264") && ffmpeg_lists(&ffmpeg.decoders, "h264"));
	assert_true(ffmpeg_lists(&ffmpeg.filters, "hwupload") && ffmpeg_lists(&ffmpeg.filters, "scale"));
	assert_true(ffmpeg_lists(&ffmpeg.hwaccels, "vaapi"));
	assert_true(ffmpeg.codec_major >= 58 && ffmpeg.encoders.n > 50 && ffmpeg.filters.n > 200);
	world_close(world);
	(void)state;
}

/* The captured lists hold what was counted by hand. */
static void test_captures(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *data = test_data("GPUFERRY_DATA");
	if (!data)
		skip();
	const char *stem = arena_printf(&arena, "%s/ffmpeg-caps/debian12-5.1.9", data);
	struct words list =
	        ffmpeg_parse_coders(test_read(&arena, arena_printf(&arena, "%s-encoders.txt", stem)), &arena);
	size_t hardware = 0;
	for (size_t i = 0; i < list.n; i++)
		hardware += text_ends(list.word[i], "_nvenc") || text_ends(list.word[i], "_qsv") ||
		            text_ends(list.word[i], "_vaapi");
	assert_int_equal(hardware, 13);
	list = ffmpeg_parse_hwaccels(test_read(&arena, arena_printf(&arena, "%s-hwaccels.txt", stem)), &arena);
	assert_int_equal(list.n, 7);
	const char *version;
	int64_t major;
	ffmpeg_parse_version(
	        test_read(&arena, arena_printf(&arena, "%s-version.txt", stem)), &arena, &version, &major);
	assert_string_equal(version, "5.1.9-0+deb12u1");
	assert_int_equal(major, 59);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_captures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
