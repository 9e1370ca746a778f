/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is in a file, and the command lines that a wish for it becomes.
 */
#include <sys/stat.h>

#include "test.h"

#include "media/job.h"
#include "media/kept.h"
#include "sys/spawn.h"

#define ROW(kind, name, codec, bits, way, device)                                                                      \
	{                                                                                                              \
		kind, name, codec, bits, way, device, "", YES, YES, 5, "", "", "", "", 1, 400, "video", 1, false       \
	}

static struct proof list[] = {
	ROW(PROOF_ENCODE, "h264_nvenc", "h264", 8, "nvenc", "/dev/nvidia1"),
	ROW(PROOF_ENCODE, "hevc_qsv", "hevc", 10, "qsv", "/dev/dri/renderD128"),
	ROW(PROOF_ENCODE, "h264_vaapi", "h264", 8, "vaapi", "/dev/dri/renderD128"),
	ROW(PROOF_ENCODE, "libx264", "h264", 8, "software", ""),
	ROW(PROOF_ENCODE, "libx265", "hevc", 10, "software", ""),
	ROW(PROOF_ENCODE, "libsvtav1", "av1", 8, "software", ""),
	ROW(PROOF_DECODE, "h264", "h264", 8, "vaapi", "/dev/dri/renderD128"),
	ROW(PROOF_DECODE, "hevc_qsv", "hevc", 10, "qsv", "/dev/dri/renderD128"),
	ROW(PROOF_DECODE, "hevc", "hevc", 10, "nvenc", "/dev/nvidia1"),
};
static const struct proofs proofs = { .list = list, .n = COUNT(list) };
static const struct kept_options distribution = { .ffmpeg = "/usr/bin/ffmpeg" };
static struct drm_node nodes[] = {
	{ .name = "nvidia0", .path = "/dev/nvidia0", .pci = "0000:01:00.0", .driver = "nvidia", .exists = YES },
	{ .name = "nvidia1", .path = "/dev/nvidia1", .pci = "0000:02:00.0", .driver = "nvidia", .exists = YES },
	{ .name = "renderD128", .path = "/dev/dri/renderD128", .pci = "0000:00:02.0", .driver = "i915", .exists = YES },
};
static const struct drm drm = { .nodes = nodes, .n = COUNT(nodes) };

static struct input_subtitle subtitles[] = { { 2, false }, { 3, true } };
static const struct input film = { "/films/a.mkv", true, 0, 600000000, 10000000, 0, "h264", 1920, 1080, 8, true, false, false, false,
	RANGE_SDR, 24000, 1001, true, 600000000, 1, subtitles, 2 },
                          hdr = { "b.mkv", true, 0, 600000000, 10000000, 0, "hevc", 3840, 2160, 10, true, false, false, false,
	                          RANGE_HDR10, 50, 1, true, 600000000, -1, NULL, 0 },
                          cast = { "c.ts", false, 1400000, -1, -1, 1, "mpeg2", 1440, 1080, 8, true, true, true, false,
	                          RANGE_SDR, 25, 1, false, -1, 0, subtitles, 1 },
                          fields = { "d.ts", false, 0, 600000000, -1, 0, "h264", 1920, 1080, 8, true, false, false, true,
	                          RANGE_SDR, 25, 1, true, 600000000, -1, subtitles, 2 },
                          deep = { "e.ts", false, 0, 600000000, -1, 0, "hevc", 1920, 1080, 10, true, false, false, true,
	                          RANGE_HDR10, 25, 1, true, 600000000, -1, NULL, 0 },
                          told = { "b.mkv", true, 0, 600000000, 10000000, 0, "hevc", 3840, 2160, 10, true, false, false, false,
	                          RANGE_HDR10, 50, 1, true, 600000000, -1, NULL, 0, .mastered = true },
                          hlg = { "b.mkv", true, 0, 600000000, 10000000, 0, "hevc", 3840, 2160, 10, true, false, false, false,
	                          RANGE_HLG, 50, 1, true, 600000000, -1, NULL, 0, .mastered = true };

#define PLAIN                                                                                                          \
	{                                                                                                              \
		NULL, 0, 0, -1, -1, "aac", -1, false                                                                   \
	}

enum line { DIRECT, VIDEO, AUDIO };
static const struct {
	const struct input *input;
	const char *output;
	struct job_wish wish;
	const char *encoder;
	unsigned bits;
	const char *filters;
	struct job_from from;
	enum line line;
	const char *text; /* {guards} stands for them */
} row[] = {
	{ &film, "out.mp4", PLAIN, "libx264", 8, "", { 0, 0 }, DIRECT,
	        "/f -hide_banner -nostdin -v error -y {guards} -i file:/films/a.mkv -map 0:0 -vf format=yuv420p "
	        "-fps_mode vfr -c:v libx264 -preset veryfast -crf 23 -g 144 -sc_threshold 0 "
	        "-force_key_frames 'expr:gte(t,n_forced*3)' -map 0:1 -c:a aac -ac 2 -b:a 192k "
	        "-sn -dn -map_metadata -1 -map_chapters -1 -f mp4 file:out.mp4" },
	{ &film, "-o %.m3u8", { "h264", 1280, 720, 4000000, -1, "copy", -1, false }, "h264_nvenc", 8, "", { 0, 0 }, DIRECT,
	        "env CUDA_DEVICE_ORDER=PCI_BUS_ID /f -hide_banner -nostdin -v error -y -copyts -start_at_zero "
	        "-init_hw_device cuda=cu:1 -filter_hw_device cu {guards} -i file:/films/a.mkv -map 0:0 "
	        "-vf format=nv12,hwupload,scale_cuda=w=1280:h=720:format=nv12 -fps_mode vfr -c:v h264_nvenc "
	        "-b:v 4000000 -maxrate 4000000 -bufsize 8000000 -g 72 -force_key_frames 'expr:gte(t,n_forced*3)' "
	        "-forced-idr 1 -no-scenecut 1 -map 0:1 -c:a copy -sn -dn -map_metadata -1 -map_chapters -1 "
	        "-avoid_negative_ts disabled -f hls -hls_time 3 -hls_playlist_type event -hls_segment_type mpegts -hls_segment_options avoid_negative_ts=disabled "
	        "-hls_segment_filename file:-o__-31be1d1b%05d.ts 'file:-o %.m3u8'" },
	/* decoded, scaled and encoded on the card; software goes on at a frame */
	{ &film, "out.mkv", { "h264", 0, 720, -1, 20, "none", -1, false }, "h264_vaapi", 8, "", { 0, 0 }, VIDEO,
	        "/f -hide_banner -nostdin -v error -y -copyts -start_at_zero "
	        "-init_hw_device vaapi=va:/dev/dri/renderD128 -filter_hw_device va -hwaccel vaapi -hwaccel_device va "
	        "-hwaccel_output_format vaapi -c:v h264 {guards} -i file:/films/a.mkv -map 0:0 "
	        "-vf scale_vaapi=w=1280:h=720:format=nv12 -fps_mode vfr -c:v h264_vaapi -rc_mode CQP -qp 20 -g 72 "
	        "-force_key_frames 'expr:gte(t,n_forced*3)' -an -sn -dn -map_metadata -1 -map_chapters -1 "
	        "-progress pipe:1 -stats_period 0.25 -avoid_negative_ts disabled -f stream_segment -segment_format nut "
	        "-segment_format_options avoid_negative_ts=disabled:write_index=0 -segment_time 3 -segment_list pipe:1 "
	        "-segment_list_type csv -segment_list_size 0 file:w/v%05d" },
	{ &film, "out.m3u8", { "h264", 0, 720, -1, 20, "none", -1, false }, "libx264", 8, "", { 7, 21062625 }, VIDEO,
	        "/f -hide_banner -nostdin -v error -y -copyts -start_at_zero -ss 20 {guards} -i file:/films/a.mkv "
	        "-map 0:0 -vf trim=start=21.062625,scale=w=1280:h=720,format=yuv420p -fps_mode vfr -c:v libx264 "
	        "-preset veryfast -crf 20 -g 144 -sc_threshold 0 -force_key_frames 'expr:gte(t,n_forced*3)' -an -sn -dn "
	        "-map_metadata -1 -map_chapters -1 -progress pipe:1 -stats_period 0.25 -avoid_negative_ts disabled "
	        "-f stream_segment -segment_format mpegts -segment_format_options avoid_negative_ts=disabled "
	        "-segment_time 3 -segment_list pipe:1 -segment_list_type csv -segment_list_size 0 "
	        "-segment_start_number 7 file:w/v%05d" },
	{ &film, "out.m3u8", PLAIN, "libx264", 8, "", { 0, 0 }, AUDIO,
	        "/f -hide_banner -nostdin -v error -y -copyts -start_at_zero {guards} -i file:/films/a.mkv -map 0:1 "
	        "-c:a aac -ac 2 -b:a 192k -vn -sn -dn -map_metadata -1 -map_chapters -1 "
	        "-progress pipe:1 -stats_period 1 -avoid_negative_ts disabled "
	        "-f stream_segment -segment_format mpegts -segment_format_options avoid_negative_ts=disabled "
	        "-segment_time 3 -segment_list pipe:1 -segment_list_type csv -segment_list_size 0 file:w/v%05d" },
	/* tone mapping: scaled before it in software, on the card where its filter is there */
	{ &hdr, "o.mp4", { "h264", 0, 1080, -1, -1, "aac", -1, false }, "libx264", 8, "zscale tonemap", { 0, 0 }, VIDEO,
	        "-vf setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc,scale=w=1920:h=1080,"
	        "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,"
	        "zscale=t=bt709:m=bt709:r=tv,format=yuv420p " },
	{ &hdr, "o.mp4", { "h264", 0, 1080, -1, -1, "aac", -1, false }, "h264_nvenc", 8, "zscale tonemapx", { 0, 0 }, VIDEO,
	        "-vf setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc,scale=w=1920:h=1080,"
	        "tonemapx=tonemap=bt2390:desat=0:peak=100:t=bt709:m=bt709:p=bt709:format=yuv420p,format=nv12,hwupload "
	        "-fps_mode vfr -c:v h264_nvenc " },
	{ &hdr, "o.mp4", { "h264", 0, 1080, -1, -1, "aac", -1, false }, "h264_nvenc", 8, "tonemap_cuda", { 0, 0 }, VIDEO,
	        "-hwaccel cuda -hwaccel_device cu -hwaccel_output_format cuda -c:v hevc {guards} -i file:b.mkv -map 0:0 "
	        "-vf setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc,"
	        "scale_cuda=w=1920:h=1080:format=p010le,tonemap_cuda=format=nv12:p=bt709:t=bt709:m=bt709:"
	        "tonemap=bt2390:peak=100:desat=0 " },
	{ &hdr, "o.mp4", { "hevc", 0, 0, -1, -1, "aac", -1, true }, "hevc_qsv", 10, "", { 0, 0 }, VIDEO,
	        "-c:v hevc_qsv {guards} -i file:b.mkv -map 0:0 "
	        "-vf setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc,"
	        "vpp_qsv=w=3840:h=2160:format=p010le " },
	/* VA-API maps what says on which display it was mastered, and no HLG */
	{ &told, "o.mp4", { "h264", 0, 1080, -1, -1, "aac", -1, false }, "h264_vaapi", 8, "tonemap_vaapi zscale", { 0, 0 }, VIDEO,
	        "-vf setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc,format=p010le,hwupload,"
	        "scale_vaapi=w=1920:h=1080:format=p010le,tonemap_vaapi=format=nv12:p=bt709:t=bt709:m=bt709 " },
	{ &hdr, "o.mp4", { "h264", 0, 1080, -1, -1, "aac", -1, false }, "h264_vaapi", 8, "tonemap_vaapi zscale", { 0, 0 }, VIDEO,
	        "zscale=t=bt709:m=bt709:r=tv,format=nv12,hwupload -fps_mode vfr -c:v h264_vaapi " },
	{ &hlg, "o.mp4", { "h264", 0, 1080, -1, -1, "aac", -1, false }, "h264_vaapi", 8, "tonemap_vaapi zscale", { 0, 0 }, VIDEO,
	        "zscale=t=bt709:m=bt709:r=tv,format=nv12,hwupload -fps_mode vfr -c:v h264_vaapi " },
	/* a scaler that does not work is not used, nor a decoder whose frames would meet it */
	{ &film, "o.mp4", { "h264", 0, 720, -1, -1, "aac", -1, false }, "h264_vaapi", 8, "no-scale_vaapi-8", { 0, 0 }, VIDEO,
	        "-filter_hw_device va {guards} -i file:/films/a.mkv -map 0:0 -vf scale=w=1280:h=720,format=nv12,hwupload "
	        "-fps_mode vfr -c:v h264_vaapi " },
	{ &hdr, "o.mp4", { "h264", 0, 1080, -1, -1, "aac", -1, false }, "h264_nvenc", 8, "tonemap_cuda no-scale_cuda-10", { 0, 0 },
	        VIDEO,
	        "-vf setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc,scale=w=1920:h=1080,"
	        "format=p010le,hwupload,tonemap_cuda=" },
	/* subtitles: written ones by a filter that reads the file, drawn ones over the picture */
	{ &film, "o.mp4", { "h264", 0, 720, -1, -1, "aac", 0, false }, "h264_vaapi", 8, "", { 0, 0 }, VIDEO,
	        "-vf 'subtitles=filename=file\\\\:/films/a.mkv:si=0,format=nv12,hwupload,"
	        "scale_vaapi=w=1280:h=720:format=nv12' " },
	{ &film, "o.mp4", { "h264", 0, 0, -1, -1, "aac", 1, false }, "libx264", 8, "", { 1, 3000000 }, VIDEO,
	        "-filter_complex '[0:0][0:3]overlay,trim=start=3.000000,format=yuv420p[v]' -map '[v]' " },
	/* two fields a frame: before all else, on the card where its filter is there */
	{ &fields, "o.mp4", { "h264", 0, 720, -1, -1, "aac", -1, false }, "libx264", 8, "", { 2, 6000000 }, VIDEO,
	        "-vf bwdif=mode=send_frame:deint=interlaced,trim=start=6.000000,scale=w=1280:h=720,format=yuv420p " },
	{ &deep, "o.mp4", { "h264", 0, 720, -1, -1, "aac", -1, false }, "h264_nvenc", 8, "yadif_cuda tonemap_cuda", { 0, 0 }, VIDEO,
	        "-c:v hevc {guards} -i file:e.ts -map 0:0 -vf yadif_cuda=mode=send_frame:deint=interlaced,"
	        "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc,"
	        "scale_cuda=w=1280:h=720:format=p010le,tonemap_cuda=" },
	{ &deep, "o.mp4", { "h264", 0, 720, -1, -1, "aac", -1, false }, "h264_nvenc", 8, "tonemap_cuda zscale", { 0, 0 }, VIDEO,
	        "-vf bwdif=mode=send_frame:deint=interlaced,setparams=color_primaries=bt2020:color_trc=smpte2084:"
	        "colorspace=bt2020nc,format=p010le,hwupload,scale_cuda=w=1280:h=720:format=p010le,tonemap_cuda=" },
	{ &deep, "o.mp4", { "hevc", 0, 0, -1, -1, "aac", -1, true }, "hevc_qsv", 10, "vpp_qsv", { 0, 0 }, VIDEO,
	        "-c:v hevc_qsv {guards} -i file:e.ts -map 0:0 -vf vpp_qsv=deinterlace=advanced,"
	        "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc,"
	        "vpp_qsv=w=1920:h=1080:format=p010le " },
	{ &fields, "o.mp4", { "h264", 0, 0, -1, -1, "aac", 0, false }, "libx264", 8, "", { 0, 0 }, VIDEO,
	        "-vf 'bwdif=mode=send_frame:deint=interlaced,subtitles=filename=file\\\\:d.ts:si=0,format=yuv420p' " },
	{ &fields, "o.mp4", { "h264", 0, 720, -1, -1, "aac", -1, false }, "h264_vaapi", 8, "deinterlace_vaapi", { 0, 0 }, VIDEO,
	        "-filter_hw_device va {guards} -i file:d.ts -map 0:0 -vf bwdif=mode=send_frame:deint=interlaced,"
	        "format=nv12,hwupload,scale_vaapi=w=1280:h=720:format=nv12 " },
	{ &fields, "o.mp4", { "h264", 0, 720, -1, -1, "aac", 1, false }, "h264_vaapi", 8, "deinterlace_vaapi", { 0, 0 }, VIDEO,
	        "-filter_complex '[0:0]bwdif=mode=send_frame:deint=interlaced[d];[d][0:3]overlay,format=nv12,hwupload," },
	/* turned, without an index, not beginning at zero, of an older program */
	{ &cast, "o.mp4", { NULL, 720, 0, -1, -1, "aac", 0, false }, "libx264", 8, "", { 9, 30100000 }, VIDEO,
	        "-ss 10 {guards} -i file:c.ts -map 0:1 -vf 'trim=start=30.100000,scale=w=720:h=960,"
	        "setpts=PTS+(1.400000)/TB,subtitles=filename=file\\\\:c.ts:si=0,setpts=PTS-(1.400000)/TB,format=yuv420p' "
	        "-fps_mode vfr -enc_time_base -1 -c:v libx264 " },
	{ &film, "o.mkv", { "av1", 0, 0, -1, -1, "copy", -1, false }, "libsvtav1", 8, "", { 0, 0 }, DIRECT,
	        "-c:v libsvtav1 -preset 10 -crf 32 -g 72 -map 0:1 -c:a copy " },
};

/* What is listed of a card's own works on it. */
static void add_filters(struct proofs *listed, struct arena *arena)
{
	static const struct {
		const char *name, *way, *device, *use;
		unsigned bits; /* 0: of either */
	} filter[] = { { "tonemap_cuda", "nvenc", "/dev/nvidia1", "tonemap", 10 },
		{ "yadif_cuda", "nvenc", "/dev/nvidia1", "deinterlace", 0 },
		{ "tonemap_vaapi", "vaapi", "/dev/dri/renderD128", "tonemap", 10 },
		{ "vpp_qsv", "qsv", "/dev/dri/renderD128", "deinterlace", 0 },
		{ "scale_cuda", "nvenc", "/dev/nvidia1", "scale", 0 },
		{ "scale_vaapi", "vaapi", "/dev/dri/renderD128", "scale", 0 },
		{ "scale_qsv", "qsv", "/dev/dri/renderD128", "scale", 0 } };
	for (size_t i = 0; i < COUNT(filter); i++)
		for (unsigned bits = 8; bits <= 10; bits += 2) {
			bool scaler = strcmp(filter[i].use, "scale") == 0, works = ffmpeg_lists(&listed->filters, filter[i].name);
			if (scaler) /* usual, where nothing else is said */
				works = !ffmpeg_lists(&listed->filters, arena_printf(arena, "no-%s-%u", filter[i].name, bits));
			if (works && (!filter[i].bits || filter[i].bits == bits))
				*arena_push(arena, listed->list, listed->n) = (struct proof){ .kind = PROOF_FILTER, .bits = bits,
					.name = filter[i].name, .codec = "", .way = filter[i].way, .device = filter[i].device,
					.pci = "", .works = YES, .use = filter[i].use };
		}
}

/* Whoever goes on without decoding has the line of a card that never decoded. */
static void check_undecoded(const struct job *job, const struct proofs *listed, const struct job_engine *engine,
        const struct job_tools *tools, struct arena *arena)
{
	struct err err = { 0 };
	struct proofs lacks = *listed;
	struct job_engine other = job_engine_undecoded(job, listed, engine), never;
	lacks.list = NULL;
	lacks.n = 0;
	for (size_t i = 0; i < listed->n; i++)
		if (listed->list[i].kind != PROOF_DECODE)
			*arena_push(arena, lacks.list, lacks.n) = listed->list[i];
	assert_true(job_engine(job, &lacks, engine->proof, &drm, arena, &err, &never));
	assert_false(other.decodes || never.decodes);
	assert_string_equal(text_sh_line(arena, job_direct(job, &other, tools, arena)),
	        text_sh_line(arena, job_direct(job, &never, tools, arena)));
}

static const char *line_of(size_t i, struct arena *arena)
{
	struct err err = { 0 };
	struct job job;
	struct job_engine engine;
	struct words filters = text_split(arena, row[i].filters, " ");
	struct proofs listed = { .filters = filters };
	for (size_t j = 0; j < proofs.n; j++)
		*arena_push(arena, listed.list, listed.n) = list[j];
	add_filters(&listed, arena);
	const struct job_tools tools = { "/f", "5.1.9-0+deb12u1", &listed.filters };
	const struct proof *best = NULL;
	for (size_t j = 0; j < proofs.n; j++)
		if (list[j].kind == PROOF_ENCODE && strcmp(list[j].name, row[i].encoder) == 0 && list[j].bits == row[i].bits)
			best = &list[j];
	assert_non_null(best);
	if (!job_make(row[i].input, row[i].output, &row[i].wish, arena, &err, &job) ||
	        !job_engine(&job, &listed, best, &drm, arena, &err, &engine))
		fail_msg("row %zu: %s", i, err.text);
	check_undecoded(&job, &listed, &engine, &tools, arena);
	return text_sh_line(arena, row[i].line == DIRECT  ? job_direct(&job, &engine, &tools, arena)
	                           : row[i].line == VIDEO ? job_video(&job, &engine, &tools, &row[i].from, "w/v%05d", arena)
	                                                  : job_audio(&job, &tools, "w/v%05d", arena));
}

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		const char *line = line_of(i, &arena), *at = strstr(line, input_guards);
		assert_non_null(at);
		line = arena_printf(&arena, "%.*s{guards}%s", (int)(at - line), line, at + strlen(input_guards));
		if (!strstr(line, row[i].text))
			fail_msg("row %zu:\n%s\n%s", i, line, row[i].text);
	}
}

static void test_wishes(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	static const struct {
		const struct input *input;
		const char *output;
		struct job_wish wish;
		enum err_kind kind;
		unsigned width, height;
	} wish[] = {
		{ &film, "a.mp4", { NULL, 0, 0, -1, -1, "aac", -1, false }, ERR_NONE, 1920, 1080 },
		{ &film, "a.MKV", { NULL, 4000, 3000, -1, -1, "aac", -1, false }, ERR_NONE, 1920, 1080 },
		{ &film, "a.mp4", { NULL, 1000, 0, -1, -1, "aac", -1, false }, ERR_NONE, 1000, 562 },
		{ &film, "a.mp4", { NULL, 1000, 100, -1, -1, "aac", -1, false }, ERR_NONE, 178, 100 },
		{ &film, "a.mp4", { NULL, 1, 1, -1, -1, "aac", -1, false }, ERR_NONE, 2, 2 },
		{ &cast, "a.mp4", { NULL, 0, 720, -1, -1, "aac", -1, false }, ERR_NONE, 540, 720 },
		{ &film, "a.avi", { NULL, 0, 0, -1, -1, "aac", -1, false }, ERR_USAGE, 0, 0 },
		{ &film, ".mp4", { NULL, 0, 0, -1, -1, "aac", -1, false }, ERR_USAGE, 0, 0 },
		{ &film, "x/.m3u8", { NULL, 0, 0, -1, -1, "aac", -1, false }, ERR_USAGE, 0, 0 },
		{ &film, "a\nb.mp4", { NULL, 0, 0, -1, -1, "aac", -1, false }, ERR_USAGE, 0, 0 },
		{ &film, "a.m3u8", { "av1", 0, 0, -1, -1, "aac", -1, false }, ERR_USAGE, 0, 0 },
		{ &film, "a.mp4", { NULL, 0, 0, -1, -1, "aac", 2, false }, ERR_INPUT, 0, 0 },
	};
	for (size_t i = 0; i < COUNT(wish); i++) {
		struct err err = { 0 };
		struct job job = { 0 };
		bool made = job_make(wish[i].input, wish[i].output, &wish[i].wish, &arena, &err, &job);
		if (made != !wish[i].kind || err.kind != wish[i].kind || job.width != wish[i].width ||
		        job.height != wish[i].height)
			fail_msg("row %zu: %ux%u %s", i, job.width, job.height, err.text);
	}
}

static void test_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t us;
	} time[] = { { "12.053708", 12053708 }, { "0.000000", 0 }, { "-0.021000", -21000 }, { "7", 7000000 },
		{ "1.5", 1500000 }, { "1.1234567", 1123456 } };
	static const char *const wrong[] = { "", "N/A", "1.x", "-", "1,5", "99999999999", " 1", "1.-5" };
	int64_t us;
	unsigned num, den;
	for (size_t i = 0; i < COUNT(time); i++) {
		assert_true(input_seconds(time[i].text, &us));
		assert_int_equal(us, time[i].us);
	}
	for (size_t i = 0; i < COUNT(wrong); i++)
		if (input_seconds(wrong[i], &us))
			fail_msg("%s", wrong[i]);
	assert_true(input_ratio("24000/1001", &num, &den) && num == 24000 && den == 1001);
	assert_false(input_ratio("0/0", &num, &den) || input_ratio("25", &num, &den) || input_ratio("25/x", &num, &den));
}

/* Decoding times are told anew: by the rate, or where there is none just before the first frame. */
static void test_joining(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	const struct job_tools tools = { "/f", "5.1", &(struct words){ 0 } };
	const struct job_wish plain = { NULL, 0, 0, -1, -1, "aac", -1, false };
	const struct job_stream stream = { "w/v.nut", 41708, 2 }, list_of_two = { "w/list", 41708, 4 };
	struct job job, other;
	assert_true(job_make(&film, "o.mp4", &plain, &arena, NULL, &job));
	assert_true(job_make(&cast, "o.mkv", &plain, &arena, NULL, &other));
	job.codec = "hevc";
	assert_string_equal(text_sh_line(&arena, job_join(&job, &tools, &stream, false, "w/audio", "w/whole", &arena)),
	        "/f -hide_banner -nostdin -v error -y -copyts -protocol_whitelist file -f nut -i file:w/v.nut "
	        "-protocol_whitelist file -i file:w/audio -map 0:v -map 1:a -c copy "
	        "-bsf:v 'setts=pts=PTS:dts=STARTPTS+(N-2)*1001/24000/TB' -sn -dn -map_metadata -1 -map_chapters -1 -tag:v hvc1 "
	        "-f mp4 file:w/whole");
	assert_string_equal(text_sh_line(&arena, job_join(&job, &tools, &list_of_two, true, NULL, "w/whole", &arena)),
	        "/f -hide_banner -nostdin -v error -y -copyts -protocol_whitelist file -itsoffset 0.041708 -f concat "
	        "-i file:w/list -map 0:v -c copy -bsf:v 'setts=pts=PTS:dts=STARTPTS+(N-4)*1001/24000/TB' -sn -dn "
	        "-map_metadata -1 -map_chapters -1 -tag:v hev1 -f mp4 file:w/whole");
	assert_string_equal(text_sh_line(&arena, job_rebase(&other, &tools, &stream, "w/s.mov", &arena)),
	        "/f -hide_banner -nostdin -v error -y -copyts -itsoffset -0.041708 -protocol_whitelist file -f nut "
	        "-i file:w/v.nut -map 0:v -c copy -bsf:v 'setts=pts=PTS:dts=if(lt(N\\,16)\\,STARTPTS-16+N\\,DTS)' -f mov "
	        "file:w/s.mov");
	const struct job_stream streams[] = { { "w/v.nut", 41708, 0 }, { "w/x/s.mov", 6047708, 2 }, { "t.mov", 9000000, 2 } };
	assert_string_equal(job_list(streams, 2, &arena), "ffconcat version 1.0\nfile v.nut\nduration 6.006000\nfile s.mov\n");
	assert_string_equal(job_list(streams, 3, &arena),
	        "ffconcat version 1.0\nfile v.nut\nduration 6.006000\nfile s.mov\nduration 2.952292\nfile t.mov\n");
}

/* What ffmpeg's own parser makes of a value: a name in a graph that is whole again. */
static void test_filter_values(void **state)
{
	(void)state;
	static const char *const names[] = { "a", "a b", "it's", "a:b", "a,b;c[d]", "\\", "a\\'b", "%d", "='x'" };
	for (size_t i = 0; i < COUNT(names); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		char folder[] = "/tmp/gpuferry-job-XXXXXX";
		assert_non_null(mkdtemp(folder));
		const char *path = arena_printf(&arena, "%s/%s.srt", folder, names[i]);
		FILE *file = fopen(path, "w");
		fputs("1\n00:00:00,000 --> 00:00:01,000\nx\n", file);
		fclose(file);
		const char *graph = arena_printf(
		        &arena, "subtitles=filename=%s:si=0", job_filter_value(input_url(path, &arena), &arena));
		const char *const argv[] = { "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "nullsrc=s=64x64", "-frames:v",
			"1", "-vf", graph, "-f", "null", "-", NULL };
		struct outcome outcome;
		assert_int_equal(spawn_run(&(struct command){ .argv = argv, .deadline_ms = 60000 }, &arena, &outcome), 0);
		if (outcome.status)
			fail_msg("%s: %s", graph, outcome.err.data);
		unlink(path);
		rmdir(folder);
	}
}

/* Files that are none, and names that mean something to ffmpeg. */
static void test_inputs(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	char folder[] = "/tmp/gpuferry-job-XXXXXX", was[4096];
	assert_non_null(getcwd(was, sizeof was));
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	struct world *world = world_open_root(NULL, false, &arena, NULL);
	const char *const make[] = { "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x48:r=25", "-f", "lavfi", "-i",
		"sine=r=48000", "-t", "1", "-c:v", "libx264", "-c:a", "aac", "good.mp4", NULL };
	struct outcome outcome;
	assert_int_equal(spawn_run(&(struct command){ .argv = make, .deadline_ms = 60000 }, &arena, &outcome), 0);
	assert_int_equal(outcome.status, 0);
	struct bytes good = test_read(&arena, "good.mp4");
	static const char playlist[] = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ngood.mp4\n#EXT-X-ENDLIST\n",
	                  concat[] = "ffconcat version 1.0\nfile good.mp4\n", huge[] = "\0\0\0\1moov\x7f\xff\xff\xff\xff\xff\xff\xf0",
	                  fetch[] = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n";
	const struct {
		const char *name;
		struct bytes content;
		const char *says; /* NULL: it is a film */
	} file[] = {
		{ "it's \"good\"\n.mp4", good, NULL },
		{ "-i", good, NULL },
		{ "concat:good.mp4|good.mp4", good, NULL },
		{ "http:", good, NULL },
		{ "%05d.mp4", good, NULL },
		{ "empty.mp4", { "", 0 }, "empty.mp4: " },
		{ "text.mkv", bytes_of("this is no film, and never was one\n"), "text.mkv: " },
		{ "cut.mp4", { good.data, good.size / 2 }, "its index is missing" },
		{ "huge.mp4", { huge, sizeof huge - 1 }, "huge.mp4: " },
		{ "list.m3u8", bytes_of(playlist), "would read others" },
		{ "list.mp4", bytes_of(playlist), "list.mp4: " },
		{ "fetch.m3u8", bytes_of(fetch), "would read others" },
		{ "concat.mp4", bytes_of(concat), "would read others" },
	};
	for (size_t i = 0; i < COUNT(file); i++) {
		struct err err = { 0 };
		struct input input = { 0 };
		FILE *out = fopen(file[i].name, "w");
		assert_non_null(out);
		fwrite(file[i].content.data, 1, file[i].content.size, out);
		fclose(out);
		bool is = kept_input(world, &distribution, file[i].name, &arena, &err, &input);
		if (is != !file[i].says || (file[i].says && (!strstr(err.text, file[i].says) || err.kind != ERR_INPUT)))
			fail_msg("%s: %d %s", file[i].name, is, err.text);
		if (is) {
			assert_string_equal(input.codec, "h264");
			assert_true(input.width == 64 && input.height == 48 && input.audio == 1 && input.bits == 8);
			assert_true(input.rate_num == 25 && input.rate_den == 1 && input.indexed);
		}
		unlink(file[i].name);
	}
	static const char *const none[] = { "http://127.0.0.1:9/x.mp4", "concat:good.mp4|good.mp4", "-", "pipe:0" };
	for (size_t i = 0; i < COUNT(none); i++) {
		struct err err = { 0 };
		struct input input;
		assert_false(kept_input(world, &distribution, none[i], &arena, &err, &input));
		assert_non_null(strstr(err.text, "No such file"));
	}
	struct err err = { 0 };
	assert_false(kept_input(world, &distribution, folder, &arena, &err, &(struct input){ 0 }));
	assert_non_null(strstr(err.text, "is a folder"));
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_false(kept_input(world, &distribution, "pipe", &arena, &err, &(struct input){ 0 }));
	assert_non_null(strstr(err.text, "is no file"));
	unlink("pipe");
	unlink("good.mp4");
	assert_int_equal(chdir(was), 0);
	rmdir(folder);
	world_close(world);
}

/* What is shown sideways is fitted as it is shown; upside down it keeps its shape. */
static void test_turns(void **state)
{
	(void)state;
	static const struct {
		const char *degrees;
		bool turned;
		unsigned width, height;
	} turn[] = { { "0", false, 160, 120 }, { "90", true, 90, 120 }, { "-90", true, 90, 120 }, { "180", true, 160, 120 },
		{ "-180", true, 160, 120 }, { "30", true, 160, 120 } };
	const struct job_wish wish = { NULL, 0, 120, -1, -1, "aac", -1, false };
	for (size_t i = 0; i < COUNT(turn); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct input input;
		struct job job;
		const char *text = arena_printf(&arena,
		        "{\"streams\":[{\"index\":0,\"codec_type\":\"video\",\"codec_name\":\"h264\",\"pix_fmt\":\"yuv420p\","
		        "\"width\":320,\"height\":240,\"r_frame_rate\":\"25/1\",\"side_data_list\":[{},{\"rotation\":%s}]}]}",
		        turn[i].degrees);
		assert_true(input_parse(bytes_of(text), "f", &arena, NULL, &input));
		assert_true(job_make(&input, "o.mp4", &wish, &arena, NULL, &job));
		assert_int_equal(input.turned, turn[i].turned);
		assert_int_equal(job.width, turn[i].width);
		assert_int_equal(job.height, turn[i].height);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_wishes),
		cmocka_unit_test(test_joining),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_filter_values),
		cmocka_unit_test(test_inputs),
		cmocka_unit_test(test_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
