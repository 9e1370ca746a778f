/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The tables of what is tried, and the command lines that come from them, word for word.
 */
#include "test.h"

#include "media/encoders.h"
#include "media/ffmpeg.h"

#define START "ffmpeg -hide_banner -nostdin -v error "
#define WARNS "ffmpeg -hide_banner -nostdin -v warning "
#define KEPT_NOTHING "env MESA_SHADER_CACHE_DISABLE=true CUDA_CACHE_DISABLE=1 __GL_SHADER_DISK_CACHE=0 "
#define SOURCE "-f lavfi -i testsrc2=s=640x384:r=30 -frames:v 1 "

static const struct media_device card = { WAY_NVENC, "/dev/nvidia0", "0000:01:00.0", 0, false };
static const struct media_device second = { WAY_NVENC, "/dev/nvidia1", "0000:02:00.0", 1, true };
static const struct media_device none_known = { WAY_NVENC, NULL, NULL, 0, false };
static const struct media_device intel = { WAY_QSV, "/dev/dri/renderD128", "0000:00:02.0", 0, false };
static const struct media_device render = { WAY_VAAPI, "/dev/dri/renderD129", "0000:03:00.0", 0, false };
static const struct media_device vulkan = { WAY_VULKAN, NULL, NULL, 0, false };

static const struct media_encoder *encoder(const char *name, unsigned bits)
{
	for (const struct media_encoder *row = media_encoders; row->name; row++)
		if (strcmp(row->name, name) == 0 && row->bits == bits)
			return row;
	fail_msg("%s of %u bits is in no row", name, bits);
	return NULL;
}

static void says(enum probe probe, struct probe_for what, const char *wanted)
{
	struct arena arena ARENA_SCOPED = { 0 };
	if (!what.ffmpeg)
		what.ffmpeg = "ffmpeg";
	const char *line = "";
	for (const char *const *word = probe_argv(probe, &what, &arena); *word; word++)
		line = arena_printf(&arena, "%s%s%s", line, *line ? " " : "", *word);
	assert_string_equal(line, wanted);
}

static void test_lines(void **state)
{
	(void)state;
	says(PROBE_REFERENCE, (struct probe_for){ 0 },
	        START SOURCE "-vf format=yuv420p,scale=320:192,format=yuv420p -f rawvideo pipe:1");
	says(PROBE_INIT, (struct probe_for){ .device = &card },
	        KEPT_NOTHING START
	        "-init_hw_device cuda=cu:0 -filter_hw_device cu -f lavfi -i nullsrc=s=64x64 -frames:v 1 -f null -");
	says(PROBE_INIT, (struct probe_for){ .device = &none_known },
	        KEPT_NOTHING START
	        "-init_hw_device cuda=cu:0 -filter_hw_device cu -f lavfi -i nullsrc=s=64x64 -frames:v 1 -f null -");
	says(PROBE_INIT, (struct probe_for){ .device = &second },
	        KEPT_NOTHING "CUDA_DEVICE_ORDER=PCI_BUS_ID " START "-init_hw_device cuda=cu:1 -filter_hw_device cu "
	                     "-f lavfi -i nullsrc=s=64x64 -frames:v 1 -f null -");
	says(PROBE_INIT, (struct probe_for){ .device = &vulkan },
	        KEPT_NOTHING "ffmpeg -hide_banner -nostdin -v verbose -init_hw_device vulkan=vk -filter_hw_device vk "
	                     "-f lavfi -i nullsrc=s=64x64 -frames:v 1 -f null -");
	says(PROBE_FILTER, (struct probe_for){ .device = &render, .bits = 10 },
	        KEPT_NOTHING START
	        "-init_hw_device vaapi=va:/dev/dri/renderD129 -filter_hw_device va " SOURCE
	        "-vf format=p010le,hwupload,scale_vaapi=w=320:h=192,hwdownload,format=p010le,format=yuv420p10le "
	        "-f rawvideo pipe:1");
	says(PROBE_ENCODE, (struct probe_for){ .device = &card, .encoder = encoder("h264_nvenc", 8) },
	        KEPT_NOTHING WARNS "-init_hw_device cuda=cu:0 -filter_hw_device cu " SOURCE
	                           "-vf format=nv12,hwupload,scale_cuda=w=320:h=192 -c:v h264_nvenc -f h264 pipe:1");
	says(PROBE_ENCODE,
	        (struct probe_for){
	                .device = &intel, .encoder = encoder("hevc_qsv", 10), .again = true, .plain = true },
	        KEPT_NOTHING START "-init_hw_device vaapi=va:/dev/dri/renderD128,driver=iHD -init_hw_device qsv=qs@va "
	                           "-filter_hw_device qs " SOURCE
	                           "-vf scale=320:192,format=p010le,hwupload=extra_hw_frames=64 "
	                           "-c:v hevc_qsv -profile:v main10 -low_power 1 -f hevc pipe:1");
	says(PROBE_ENCODE, (struct probe_for){ .encoder = encoder("libsvtav1", 10) },
	        START SOURCE "-vf scale=320:192,format=yuv420p10le -c:v libsvtav1 -preset 10 -f ivf pipe:1");
	says(PROBE_CHECK, (struct probe_for){ .codec = media_codec("av1"), .decoder = "libdav1d" },
	        START "-c:v libdav1d -f ivf -i pipe:0 -frames:v 1 -f rawvideo pipe:1");
	says(PROBE_CHECK, (struct probe_for){ .codec = media_codec("mpeg2") },
	        START "-f mpegts -i pipe:0 -frames:v 1 -f rawvideo pipe:1");
	says(PROBE_DECODE, (struct probe_for){ .device = &card, .codec = media_codec("hevc"), .bits = 10 },
	        KEPT_NOTHING START "-init_hw_device cuda=cu:0 -filter_hw_device cu -hwaccel cuda -hwaccel_device cu "
	                           "-hwaccel_output_format cuda -c:v hevc -f hevc -i pipe:0 -frames:v 1 "
	                           "-vf hwdownload,format=p010le,format=yuv420p10le -f rawvideo pipe:1");
	says(PROBE_DECODE, (struct probe_for){ .device = &intel, .codec = media_codec("av1"), .bits = 8 },
	        KEPT_NOTHING START
	        "-init_hw_device vaapi=va:/dev/dri/renderD128,driver=iHD -init_hw_device qsv=qs@va "
	        "-filter_hw_device qs -hwaccel qsv -hwaccel_device qs -hwaccel_output_format qsv -c:v av1_qsv -f ivf "
	        "-i pipe:0 -frames:v 1 -vf hwdownload,format=nv12,format=yuv420p -f rawvideo pipe:1");
	says(PROBE_CLIP, (struct probe_for){ .device = &render, .encoder = encoder("hevc_vaapi", 8) },
	        KEPT_NOTHING START "-init_hw_device vaapi=va:/dev/dri/renderD129 -filter_hw_device va -f lavfi "
	                           "-i testsrc2=s=1280x720:r=30 -frames:v 120 -vf format=nv12,hwupload -c:v hevc_vaapi "
	                           "-rc_mode VBR -b:v 4M -maxrate 4M -bufsize 8M -f null -");
	says(PROBE_CLIP, (struct probe_for){ .device = &card, .encoder = encoder("hevc_nvenc", 10) },
	        KEPT_NOTHING WARNS
	        "-init_hw_device cuda=cu:0 -filter_hw_device cu -f lavfi "
	        "-i testsrc2=s=1280x720:r=30 -frames:v 300 -vf format=p010le,hwupload -c:v hevc_nvenc "
	        "-profile:v main10 -b:v 4M -maxrate 4M -bufsize 8M -f null -");
	says(PROBE_CLIP, (struct probe_for){ .device = &render, .encoder = encoder("mjpeg_vaapi", 8) },
	        KEPT_NOTHING START
	        "-init_hw_device vaapi=va:/dev/dri/renderD129 -filter_hw_device va -f lavfi "
	        "-i testsrc2=s=1280x720:r=30 -frames:v 120 -vf format=nv12,hwupload -c:v mjpeg_vaapi -f null -");
}

/* A path is one word, whatever stands in it; and what stands in a value is no placeholder. */
static void test_words(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct media_device odd = { WAY_VAAPI, "/dev/dri/a b {index}", NULL, 7, false };
	struct probe_for what = { .ffmpeg = "/opt/my {node} ffmpeg/ff", .device = &odd, .bits = 8 };
	const char *const *argv = probe_argv(PROBE_FILTER, &what, &arena);
	assert_string_equal(argv[4], "/opt/my {node} ffmpeg/ff");
	assert_string_equal(argv[9], "-init_hw_device");
	assert_string_equal(argv[10], "vaapi=va:/dev/dri/a b {index}");
}

static void test_tables(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	for (const struct media_encoder *row = media_encoders; row->name; row++) {
		assert_non_null(media_codec(row->codec));
		assert_true(row->bits == 8 || row->bits == 10);
		assert_true(row->way < WAYS && media_ways[row->way].name);
		for (const struct media_encoder *other = media_encoders; other < row; other++)
			assert_false(strcmp(other->name, row->name) == 0 && other->bits == row->bits);
		for (int probe = PROBE_ENCODE; probe <= PROBE_CLIP; probe++) {
			struct media_device device = { .way = row->way, .node = "/dev/dri/renderD128" };
			struct probe_for what = { "ffmpeg", row->way == WAY_SOFTWARE ? NULL : &device, row };
			for (const char *const *word = probe_argv((enum probe)probe, &what, &arena); *word; word++)
				assert_false(strpbrk(*word, "{}") || !**word);
		}
	}
	assert_ptr_equal(media_way("vaapi"), &media_ways[WAY_VAAPI]);
	assert_null(media_way("cuda"));
	assert_null(media_codec("h265"));
}

/* Every hardware encoder that Debian's ffmpeg lists is tried. */
static void test_captures(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	const char *data = test_data("GPUFERRY_DATA");
	if (!data)
		skip();
	struct words list = ffmpeg_parse_coders(
	        test_read(&arena, arena_printf(&arena, "%s/ffmpeg-caps/debian12-5.1.9-encoders.txt", data)), &arena);
	size_t hardware = 0;
	for (size_t i = 0; i < list.n; i++) {
		const char *name = list.word[i];
		if (!text_ends(name, "_nvenc") && !text_ends(name, "_qsv") && !text_ends(name, "_vaapi"))
			continue;
		hardware++;
		assert_string_equal(encoder(name, 8)->name, name);
	}
	assert_int_equal(hardware, 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_captures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
