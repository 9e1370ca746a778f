/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The command lines follow those of Jellyfin (EncodingHelper.cs) where it has one; sizes are multiples of 64 and above
 * every encoder's least one (NVENC: 145x49 for H.264, 192x128 for AV1; VCN: 320x128 for AV1).
 */
#include "media/encoders.h"

#include <string.h>

#include "base/text.h"

const struct media_codec media_codecs[] = {
	{ "h264", "h264", "h264", "h264", "h264" },
	{ "hevc", "hevc", "hevc", "hevc", "hevc" },
	{ "av1", "ivf", "ivf", "av1", "libdav1d libaom-av1" }, /* ffmpeg's own decodes on hardware alone */
	{ "vp9", "ivf", "ivf", "vp9", "vp9 libvpx-vp9" },
	{ "vp8", "ivf", "ivf", "vp8", "vp8 libvpx" },
	{ "mpeg2", "mpegts", "mpegts", "mpeg2video", "mpeg2video" },
	{ "mjpeg", "mjpeg", "mjpeg", "mjpeg", "mjpeg" },
	{ 0 },
};

#define RATE "-b:v 4M -maxrate 4M -bufsize 8M"

#define UPLOADED .format = { "nv12", "p010le" }

/* Deinterlacers give a frame for a frame, and leave those that are whole as they are. VA-API's own keeps the first ones for
 * itself where the driver looks back (vf_deinterlace_vaapi.c), and QSV's makes two of one (vf_deinterlace_qsv.c). */
const struct media_way_row media_ways[WAYS] = {
	[WAY_NVENC] = { .name = "nvenc",
	        .node = NODE_NEEDS_NVIDIA,
	        .init = "-init_hw_device cuda=cu:{index} -filter_hw_device cu",
	        .bare = "-init_hw_device cuda=cu:0 -filter_hw_device cu",
	        .device = "cu",
	        .level = { "error", "warning" }, /* of what an encoder lacks it only warns */
	        .upload = "hwupload",
	        .scale = "scale_cuda",
	        .tone_map = "tonemap_cuda=format=nv12:p=bt709:t=bt709:m=bt709:tonemap=bt2390:peak=100:desat=0",
	        .deinterlace = "yadif_cuda=mode=send_frame:deint=interlaced",
	        .hwaccel = "cuda",
	        .rate = RATE,
	        .frames = 300, /* NVML looks a few times a second */
	        UPLOADED },
	[WAY_QSV] = { .name = "qsv",
	        .node = NODE_NEEDS_INTEL,
	        /* through VA-API, where a node can be named; left to itself it takes the first one */
	        .init = "-init_hw_device vaapi=va:{node},driver=iHD -init_hw_device qsv=qs@va -filter_hw_device qs",
	        .device = "qs",
	        .level = { "error", "error" },
	        .upload = "hwupload=extra_hw_frames=64",
	        .scale = "vpp_qsv",
	        .deinterlace = "vpp_qsv=deinterlace=advanced",
	        .hwaccel = "qsv",
	        .suffix = "_qsv",
	        .rate = RATE,
	        .frames = 120,
	        UPLOADED },
	[WAY_VAAPI] = { .name = "vaapi",
	        .node = NODE_NEEDS_RENDER,
	        .init = "-init_hw_device vaapi=va:{node} -filter_hw_device va",
	        .device = "va",
	        .level = { "error", "error" },
	        .upload = "hwupload",
	        .scale = "scale_vaapi",
	        .tone_map = "tonemap_vaapi=format=nv12:p=bt709:t=bt709:m=bt709",
	        .mastered = true,
	        .hwaccel = "vaapi",
	        .rate = "-rc_mode VBR " RATE,
	        .frames = 120,
	        UPLOADED },
	[WAY_VULKAN] = { .name = "vulkan",
	        .node = NODE_NEEDS_RENDER,
	        .init = "-init_hw_device drm=dr:{node} -init_hw_device vulkan=vk@dr -filter_hw_device vk",
	        .bare = "-init_hw_device vulkan=vk -filter_hw_device vk",
	        .device = "vk",
	        .level = { "verbose", "error" }, /* only there it tells which device it took */
	        .upload = "hwupload",
	        .scale = "scale_vulkan",
	        .tone_map = "libplacebo=format=nv12:tonemapping=bt.2390:color_primaries=bt709:color_trc=bt709:"
	                    "colorspace=bt709",
	        .deinterlace = "bwdif_vulkan=mode=send_frame:deint=interlaced",
	        .hwaccel = "vulkan",
	        .rate = RATE,
	        .frames = 120,
	        UPLOADED },
	[WAY_SOFTWARE] = { .name = "software",
	        .deinterlace = "bwdif=mode=send_frame:deint=interlaced",
	        .node = NODE_NEEDS_NONE,
	        .level = { "error", "error" },
	        .format = { "yuv420p", "yuv420p10le" } },
};

#define LOW "-low_power 1"
#define MAIN10 "-profile:v main10"

const struct media_encoder media_encoders[] = {
	{ "h264_nvenc", "h264", WAY_NVENC, 8, "", NULL },
	{ "hevc_nvenc", "hevc", WAY_NVENC, 8, "", NULL },
	{ "hevc_nvenc", "hevc", WAY_NVENC, 10, MAIN10, NULL },
	{ "av1_nvenc", "av1", WAY_NVENC, 8, "", NULL },
	{ "av1_nvenc", "av1", WAY_NVENC, 10, "", NULL },

	{ "h264_qsv", "h264", WAY_QSV, 8, "", LOW },
	{ "hevc_qsv", "hevc", WAY_QSV, 8, "", LOW },
	{ "hevc_qsv", "hevc", WAY_QSV, 10, MAIN10, LOW },
	{ "av1_qsv", "av1", WAY_QSV, 8, "", NULL },
	{ "av1_qsv", "av1", WAY_QSV, 10, "", NULL },
	{ "vp9_qsv", "vp9", WAY_QSV, 8, "", LOW },
	{ "mpeg2_qsv", "mpeg2", WAY_QSV, 8, "", NULL },
	{ "mjpeg_qsv", "mjpeg", WAY_QSV, 8, "", NULL, .constant = true },

	{ "h264_vaapi", "h264", WAY_VAAPI, 8, "", LOW },
	{ "hevc_vaapi", "hevc", WAY_VAAPI, 8, "", LOW },
	{ "hevc_vaapi", "hevc", WAY_VAAPI, 10, MAIN10, LOW },
	{ "av1_vaapi", "av1", WAY_VAAPI, 8, "", LOW },
	{ "av1_vaapi", "av1", WAY_VAAPI, 10, "", LOW },
	{ "vp9_vaapi", "vp9", WAY_VAAPI, 8, "", LOW },
	{ "vp8_vaapi", "vp8", WAY_VAAPI, 8, "", LOW },
	{ "mpeg2_vaapi", "mpeg2", WAY_VAAPI, 8, "", NULL },
	{ "mjpeg_vaapi", "mjpeg", WAY_VAAPI, 8, "", NULL, .constant = true },

	{ "h264_vulkan", "h264", WAY_VULKAN, 8, "", NULL },
	{ "hevc_vulkan", "hevc", WAY_VULKAN, 8, "", NULL },
	{ "hevc_vulkan", "hevc", WAY_VULKAN, 10, "", NULL },
	{ "av1_vulkan", "av1", WAY_VULKAN, 8, "", NULL },
	{ "av1_vulkan", "av1", WAY_VULKAN, 10, "", NULL },

	{ "libx264", "h264", WAY_SOFTWARE, 8, "-preset veryfast", NULL },
	{ "libx265", "hevc", WAY_SOFTWARE, 8, "-preset veryfast -x265-params log-level=error", NULL },
	{ "libx265", "hevc", WAY_SOFTWARE, 10, "-preset veryfast -x265-params log-level=error", NULL },
	{ "libsvtav1", "av1", WAY_SOFTWARE, 8, "-preset 10", NULL },
	{ "libsvtav1", "av1", WAY_SOFTWARE, 10, "-preset 10", NULL },
	{ 0 },
};

const struct media_codec *media_codec(const char *name)
{
	for (const struct media_codec *codec = media_codecs; codec->name; codec++)
		if (strcmp(codec->name, name) == 0)
			return codec;
	return NULL;
}

const struct media_way_row *media_way(const char *name)
{
	for (size_t i = 0; i < WAYS; i++)
		if (strcmp(media_ways[i].name, name) == 0)
			return &media_ways[i];
	return NULL;
}

const char *media_decoder(const struct media_way_row *way, const struct media_codec *codec, struct arena *arena)
{
	return way->suffix ? arena_printf(arena, "%s%s", codec->name, way->suffix) : codec->decoder;
}

/* ---- command lines ------------------------------------------------------------ */

/* a driver that compiles shaders keeps them in the home of whoever asks; a probe leaves nothing behind */
#define NOTHING_KEPT "env MESA_SHADER_CACHE_DISABLE=true CUDA_CACHE_DISABLE=1 __GL_SHADER_DISK_CACHE=0"
#define PROGRAM "{first} {ffmpeg} -hide_banner -nostdin "
#define QUIET PROGRAM "-v error "
/* detailed everywhere, and moving: a frame of black, of green or from another moment is none of it */
#define SOURCE "-f lavfi -i testsrc2=s=640x384:r=30 -frames:v 1 "
#define SMALL "320:192"
#define MASTERED "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"

static const char *const templates[] = {
	[PROBE_REFERENCE] = QUIET SOURCE "-vf format=yuv420p,scale=" SMALL ",format=yuv420p -f rawvideo pipe:1",
	[PROBE_INIT] = PROGRAM "-v {opening} {init} -f lavfi -i nullsrc=s=64x64 -frames:v 1 -f null -",
	[PROBE_HDR] = QUIET SOURCE "-vf scale=" SMALL ",format=yuv420p10le," MEDIA_HDR10 " -c:v libx265 -preset ultrafast "
	              "-x265-params log-level=error:max-cll=1000,400:" MASTERED " -f hevc pipe:1",
	[PROBE_FILTER] = QUIET "{init} " SOURCE "-vf {graph},hwdownload,format={format},format={planar} "
	                       "-f rawvideo pipe:1",
	[PROBE_MASTERED] = QUIET "{init} -f hevc -i pipe:0 -frames:v 1 "
	                         "-vf {graph},hwdownload,format={format},format={planar} -f rawvideo pipe:1",
	[PROBE_ENCODE] =
	        PROGRAM "-v {encoding} {init} " SOURCE "-vf {graph} -c:v {encoder} {options} {again} -f {muxer} pipe:1",
	[PROBE_CHECK] = QUIET "{choice} -f {demuxer} -i pipe:0 -frames:v 1 -f rawvideo pipe:1",
	/* without the download a decoder that goes on in software would pass */
	[PROBE_DECODE] = QUIET "{init} -hwaccel {hwaccel} -hwaccel_device {device} -hwaccel_output_format {hwaccel} "
	                       "-c:v {decoder} -f {demuxer} -i pipe:0 -frames:v 1 "
	                       "-vf hwdownload,format={format},format={planar} -f rawvideo pipe:1",
	[PROBE_CLIP] =
	        PROGRAM "-v {encoding} {init} -f lavfi -i testsrc2=s=1280x720:r=30 -frames:v {frames} -vf {upload} "
	                "-c:v {encoder} {options} {again} {rate} -f null -",
};
_Static_assert(PICTURE_WIDTH == 320 && PICTURE_HEIGHT == 192, "as the command lines have it");

struct value {
	const char *name, *text;
};
enum { VALUES_MAX = 24 };

static const char *found(const struct value *values, const char *name, size_t size)
{
	for (const struct value *value = values; value->name; value++)
		if (strlen(value->name) == size && memcmp(value->name, name, size) == 0)
			return value->text ? value->text : "";
	return "";
}

/* Values inside a word: "format={format}". A value is put in as it is, and not looked at again. */
static const char *filled(const char *word, const struct value *values, struct arena *arena)
{
	const char *done = "", *open, *close;
	while ((open = strchr(word, '{')) && (close = strchr(open, '}'))) {
		done = arena_printf(arena, "%s%.*s%s", done, (int)(open - word), word,
		        found(values, open + 1, (size_t)(close - open - 1)));
		word = close + 1;
	}
	return arena_printf(arena, "%s%s", done, word);
}

/* "{a b}" alone is as many words as it has, and none where it is empty; but {ffmpeg} is a path, and one word. */
static void put_word(struct words *argv, const char *word, const struct value *values, bool whole, struct arena *arena)
{
	size_t size = strlen(word);
	bool alone = word[0] == '{' && strchr(word, '}') == word + size - 1 && strcmp(word, "{ffmpeg}") != 0;
	if (!alone || !whole) {
		*arena_push(arena, argv->word, argv->n) = filled(word, values, arena);
		return;
	}
	struct words more = text_split(arena, found(values, word + 1, size - 2), " ");
	for (size_t i = 0; i < more.n; i++)
		put_word(argv, more.word[i], values, false, arena);
}

const char *const media_uses[USES] = { "scale", "tonemap", "deinterlace" };

const char *media_filter(const struct media_way_row *way, enum media_use use)
{
	return use == USE_TONE_MAP ? way->tone_map : use == USE_DEINTERLACE ? way->deinterlace : way->scale;
}

/* What is done to the picture before it is encoded or downloaded. */
static const char *graph(
        const struct media_way_row *way, enum media_use use, const char *format, bool plain, struct arena *arena)
{
	if (!way->upload)
		return arena_printf(arena, "scale=" SMALL ",format=%s", format);
	if (use == USE_TONE_MAP)
		return arena_printf(arena, "scale=" SMALL ",format=%s," MEDIA_HDR10 ",%s,%s", way->format[1], way->upload,
		        way->tone_map);
	if (use == USE_DEINTERLACE)
		return arena_printf(arena, "scale=" SMALL ",format=%s,setfield=tff,%s,%s", format, way->upload,
		        way->deinterlace);
	if (plain)
		return arena_printf(arena, "scale=" SMALL ",format=%s,%s", format, way->upload);
	return arena_printf(arena, "format=%s,%s,%s=w=320:h=192", format, way->upload, way->scale);
}

const char *const *probe_argv(enum probe probe, const struct probe_for *what, struct arena *arena)
{
	const struct media_encoder *encoder = what->encoder;
	const struct media_device *device = what->device;
	const struct media_codec *codec = encoder ? media_codec(encoder->codec) : what->codec;
	const struct media_way_row *way = &media_ways[device ? device->way : encoder ? encoder->way : WAY_SOFTWARE];
	bool deep = (encoder ? encoder->bits : what->bits) == 10 && what->use != USE_TONE_MAP;
	const char *format = way->format[deep];
	const struct value values[VALUES_MAX] = {
		{ "ffmpeg", what->ffmpeg },
		{ "first", !device           ? NULL
		           : device->several ? NOTHING_KEPT " CUDA_DEVICE_ORDER=PCI_BUS_ID"
		                             : NOTHING_KEPT },
		{ "opening", way->level[0] },
		{ "encoding", way->level[1] },
		{ "init", device && device->node ? way->init : way->bare },
		{ "node", device ? device->node : NULL },
		{ "index", arena_printf(arena, "%u", device ? device->index : 0) },
		{ "device", way->device },
		{ "hwaccel", way->hwaccel },
		{ "format", format },
		{ "planar", deep ? "yuv420p10le" : "yuv420p" },
		{ "graph", graph(way, what->use, format, what->plain, arena) },
		{ "upload", way->upload ? arena_printf(arena, "format=%s,%s", format, way->upload)
		                        : arena_printf(arena, "format=%s", format) },
		{ "encoder", encoder ? encoder->name : NULL },
		{ "options", encoder ? encoder->options : NULL },
		{ "again", encoder && what->again ? encoder->again : NULL },
		{ "frames", arena_printf(arena, "%u", way->frames) },
		{ "rate", encoder && !encoder->constant ? way->rate : NULL },
		{ "muxer", codec ? codec->muxer : NULL },
		{ "demuxer", codec ? codec->demuxer : NULL },
		{ "decoder", codec ? media_decoder(way, codec, arena) : NULL },
		{ "choice", what->decoder ? arena_printf(arena, "-c:v %s", what->decoder) : NULL },
	};
	struct words argv = { 0 }, words = text_split(arena, templates[probe], " ");
	for (size_t i = 0; i < words.n; i++)
		put_word(&argv, words.word[i], values, true, arena);
	*arena_push(arena, argv.word, argv.n) = NULL;
	return argv.word;
}
