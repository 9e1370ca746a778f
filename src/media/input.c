/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "media/input.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "media/failure.h"
#include "sys/store.h"

enum { PROBE_MS = 30000 };

/* No playlist, no list of files, no device, and none of pictures, which are many files to ffmpeg. */
#define FORMATS                                                                                                        \
	"mov,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,asf,nut,ogg,mxf,h264,hevc,av1,obu,ivf,m4v,vc1,rm,wtv,dv,gif," \
	"yuv4mpegpipe,live_flv,mjpeg"
const char input_formats[] = FORMATS;
const char input_guards[] = "-protocol_whitelist file,pipe -format_whitelist " FORMATS;

const char *input_url(const char *path, struct arena *arena)
{
	return arena_printf(arena, "file:%s", path);
}

/* ---- numbers -------------------------------------------------------------------- */

bool input_seconds(const char *text, int64_t *ret_us)
{
	bool negative = *text == '-';
	const char *digits = text + negative, *dot = strchr(digits, '.');
	char whole[24], part[8] = "000000";
	uint64_t seconds, micros;
	size_t size = dot ? (size_t)(dot - digits) : strlen(digits), behind = dot ? strlen(dot + 1) : 0;
	if (size >= sizeof whole)
		return false;
	snprintf(whole, sizeof whole, "%.*s", (int)size, digits);
	memcpy(part, dot ? dot + 1 : "", behind > 6 ? 6 : behind);
	if (!text_number(whole, 10, INT32_MAX, &seconds) || !text_number(part, 10, 999999, &micros))
		return false;
	int64_t us = (int64_t)(seconds * 1000000 + micros);
	*ret_us = negative ? -us : us;
	return true;
}

bool input_ratio(const char *text, unsigned *ret_num, unsigned *ret_den)
{
	const char *slash = strchr(text, '/');
	char num[16];
	uint64_t n, d;
	if (!slash || snprintf(num, sizeof num, "%.*s", (int)(slash - text), text) >= (int)sizeof num)
		return false;
	if (!text_number(num, 10, 1000000000, &n) || !text_number(slash + 1, 10, 1000000000, &d) || !n || !d)
		return false;
	*ret_num = (unsigned)n;
	*ret_den = (unsigned)d;
	return true;
}

static int64_t seconds_at(const json_t *object, const char *key, int64_t otherwise)
{
	const char *text = json_string_at(object, key);
	int64_t us;
	return text && input_seconds(text, &us) ? us : otherwise;
}

/* ffprobe writes small numbers as numbers, large ones as text. */
static int64_t number_at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	uint64_t number;
	if (json_is_integer(value))
		return json_integer_value(value);
	return json_is_string(value) && text_number(json_string_value(value), 10, INT64_MAX, &number) ? (int64_t)number
	                                                                                              : UNKNOWN_NUMBER;
}

/* ---- what ffprobe says -------------------------------------------------------------- */

/* "yuv420p10le" */
static unsigned bits_of(const char *format)
{
	static const struct {
		const char *sign;
		unsigned bits;
	} signs[] = { { "p10", 10 }, { "p010", 10 }, { "p12", 12 }, { "p9", 9 }, { "p14", 14 }, { "p16", 16 } };
	for (size_t i = 0; format && i < sizeof signs / sizeof *signs; i++)
		if (strstr(format, signs[i].sign))
			return signs[i].bits;
	return 8;
}

/* ffmpeg turns by a quarter what is no more than a degree from it, and keeps the size at any other angle. */
static void take_turn(const json_t *stream, struct input *input)
{
	const json_t *side, *list = json_object_get(stream, "side_data_list");
	size_t i;
	json_array_foreach(list, i, side)
	{
		const json_t *angle = json_object_get(side, "rotation");
		double degrees = json_is_number(angle) ? json_number_value(angle) : 0;
		input->turned |= degrees != 0;
		input->sideways |= (degrees > 89 && degrees < 91) || (degrees < -89 && degrees > -91);
	}
}

/* "tt", "bb", "tb", "bt": which field comes first, as coded and as shown */
static bool is_interlaced(const json_t *stream)
{
	const char *order = json_string_at(stream, "field_order");
	return order && text_has_word("tt bb tb bt", order, " ");
}

static enum input_range range_of(const json_t *stream)
{
	const char *transfer = json_string_at(stream, "color_transfer");
	return !transfer                               ? RANGE_SDR
	       : strcmp(transfer, "smpte2084") == 0    ? RANGE_HDR10
	       : strcmp(transfer, "arib-std-b67") == 0 ? RANGE_HLG
	                                               : RANGE_SDR;
}

static bool is_picture(const json_t *stream)
{
	const json_t *disposition = json_object_get(stream, "disposition");
	return json_integer_value(json_object_get(disposition, "attached_pic")) ||
	       json_integer_value(json_object_get(disposition, "timed_thumbnails"));
}

/* Matroska has it in a tag: "00:01:12.075000000". */
static int64_t tagged_duration(const json_t *stream)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *text = json_string_at(json_object_get(stream, "tags"), "DURATION");
	struct words parts = text_split(&arena, text ? text : "", ":");
	uint64_t hours, minutes;
	int64_t us;
	if (parts.n != 3 || !text_number(parts.word[0], 10, 9999, &hours) ||
	        !text_number(parts.word[1], 10, 59, &minutes) || !input_seconds(parts.word[2], &us))
		return UNKNOWN_NUMBER;
	return (int64_t)(hours * 60 + minutes) * 60000000 + us;
}

/* A rate that no film has is a container's unit of time. */
static bool take_rate(const char *text, struct input *input)
{
	return text && input_ratio(text, &input->rate_num, &input->rate_den) &&
	       input->rate_num / input->rate_den <= 1000;
}

static bool take_video(const json_t *stream, struct arena *arena, struct input *input)
{
	const char *codec = json_string_at(stream, "codec_name"), *format = json_string_at(stream, "pix_fmt");
	const char *rate = json_string_at(stream, "r_frame_rate"), *average = json_string_at(stream, "avg_frame_rate");
	int64_t width = number_at(stream, "width"), height = number_at(stream, "height");
	if (!codec || !format || width < 2 || height < 2 || width > 32768 || height > 32768)
		return false;
	input->codec = arena_strdup(arena, strcmp(codec, "mpeg2video") == 0 ? "mpeg2" : codec);
	input->width = (unsigned)width;
	input->height = (unsigned)height;
	input->bits = bits_of(format);
	input->planar_420 = strstr(format, "420") || text_starts(format, "nv12") || text_starts(format, "p010");
	take_turn(stream, input);
	input->interlaced = is_interlaced(stream);
	input->range = range_of(stream);
	if (!take_rate(rate, input) && !take_rate(average, input)) {
		input->rate_num = 25;
		input->rate_den = 1;
	}
	unsigned num, den;
	if (average && input_ratio(average, &num, &den)) {
		double apart = (double)num / den / ((double)input->rate_num / input->rate_den) - 1;
		input->steady = apart > -0.01 && apart < 0.01;
	}
	input->video_us = seconds_at(stream, "duration", tagged_duration(stream));
	return true;
}

static int by_time(const void *left, const void *right)
{
	int64_t apart = *(const int64_t *)left - *(const int64_t *)right;
	return apart < 0 ? -1 : apart > 0;
}

/* Do its first frames come at the rate? A header may claim one that its frames do not keep. */
static bool keeps_rate(const json_t *packets, const struct input *input, struct arena *arena)
{
	enum { REORDERED = 16 }; /* behind the last ones others may still be missing */
	int64_t *times = arena_alloc(arena, (json_array_size(packets) + 1) * sizeof *times);
	const json_t *packet;
	size_t i, n = 0;
	json_array_foreach(packets, i, packet)
	{
		int64_t us = seconds_at(packet, "pts_time", UNKNOWN_NUMBER);
		if (us != UNKNOWN_NUMBER && number_at(packet, "stream_index") == (int64_t)input->video)
			times[n++] = us;
	}
	qsort(times, n, sizeof *times, by_time);
	for (i = 1; i + REORDERED < n; i++) {
		double frames = (double)(times[i] - times[i - 1]) * input->rate_num / input->rate_den / 1e6;
		if (frames < 0.7 || frames > 1.3)
			return false;
	}
	return true;
}

/* Do all of some pictures say it? What the container alone says reaches the first one only, in some ffmpegs. */
static bool is_mastered(const json_t *frames)
{
	const json_t *frame, *side;
	size_t i, j, n = 0;
	json_array_foreach(frames, i, frame)
	{
		bool says = false;
		json_array_foreach(json_object_get(frame, "side_data_list"), j, side)
			says |= json_object_get(side, "max_luminance") != NULL;
		n += says;
	}
	return n > 1 && n == json_array_size(frames);
}

static void take_subtitle(const json_t *stream, struct arena *arena, struct input *input)
{
	static const char drawn[] = "hdmv_pgs_subtitle dvd_subtitle dvb_subtitle xsub";
	const char *codec = json_string_at(stream, "codec_name");
	struct input_subtitle *subtitle = arena_push(arena, input->subtitles, input->n_subtitles);
	subtitle->index = (unsigned)number_at(stream, "index");
	subtitle->picture = codec && text_has_word(drawn, codec, " ");
}

static bool no_video(struct err *err, const char *path, struct arena *arena, const char *why)
{
	return err_set(err, ERR_INPUT, "%s: %s", text_shown(arena, path), why);
}

bool input_parse(struct bytes text, const char *path, struct arena *arena, struct err *err, struct input *ret)
{
	JSON_SCOPED json_t *document = NULL;
	struct input input = { .path = path, .audio = -1, .video_us = UNKNOWN_NUMBER };
	bool video = false;
	if (!json_parse(text, "ffprobe", err, &document))
		return false;
	const json_t *stream, *format = json_object_get(document, "format");
	const char *name = json_string_at(format, "format_name");
	size_t i;
	json_array_foreach(json_object_get(document, "streams"), i, stream)
	{
		const char *type = json_string_at(stream, "codec_type");
		int64_t index = number_at(stream, "index");
		if (!type || index < 0 || index > 10000)
			continue;
		if (strcmp(type, "video") == 0 && !video && !is_picture(stream)) {
			video = take_video(stream, arena, &input);
			input.video = (unsigned)index;
		} else if (strcmp(type, "audio") == 0 && input.audio < 0 && number_at(stream, "channels") > 0) {
			input.audio = (int)index;
		} else if (strcmp(type, "subtitle") == 0) {
			take_subtitle(stream, arena, &input);
		}
	}
	if (!video)
		return no_video(err, path, arena, "no video is in it that could be decoded");
	input.mastered = is_mastered(json_object_get(document, "frames"));
	input.steady = input.steady && keeps_rate(json_object_get(document, "packets"), &input, arena);
	input.indexed = name && (text_starts(name, "mov,") || text_starts(name, "matroska"));
	input.start_us = seconds_at(format, "start_time", 0);
	input.duration_us = seconds_at(format, "duration", UNKNOWN_NUMBER);
	input.bit_rate = number_at(format, "bit_rate");
	*ret = input;
	return true;
}

/* ---- asking it ------------------------------------------------------------------------ */

const char *input_ffprobe(struct world *world, const char *ffmpeg, struct arena *arena)
{
	const char *slash = strrchr(ffmpeg, '/');
	const char *beside = arena_printf(arena, "%.*s/ffprobe", slash ? (int)(slash - ffmpeg) : 0, ffmpeg);
	const char *const places[] = { beside, "/usr/bin/ffprobe", "/usr/lib/jellyfin-ffmpeg/ffprobe" };
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (world_exists(world, places[i]) == YES)
			return places[i];
	return NULL;
}

static bool is_file(const char *path, struct arena *arena, struct err *err)
{
	struct err own = { 0 };
	enum store_kind kind = store_kind(path, &own);
	if (kind == STORE_FILE)
		return true;
	if (kind == STORE_UNKNOWN)
		return err_set(err, ERR_INPUT, "%s", own.text);
	return no_video(err, path, arena, kind == STORE_FOLDER ? "is a folder" : "is no file");
}

/* HDR10: on which display it was mastered stands in its pictures. The first few are asked. */
static struct bytes with_pictures(
        struct world *world, const char *ffprobe, const char *path, struct bytes said, struct arena *arena)
{
	JSON_SCOPED json_t *document = NULL, *more = NULL;
	struct input input;
	if (!input_parse(said, path, arena, NULL, &input) || input.range != RANGE_HDR10)
		return said;
	const char *const argv[] = { ffprobe, "-v", "error", "-protocol_whitelist", "file,pipe", "-format_whitelist",
		input_formats, "-select_streams", arena_printf(arena, "%u", input.video), "-read_intervals", "%+#8", "-show_entries",
		"frame_side_data=max_luminance", "-of", "json=compact=1", "-i", input_url(path, arena), NULL };
	struct outcome outcome = { 0 };
	if (world_run(world, &(struct command){ .argv = argv, .deadline_ms = PROBE_MS }, arena, &outcome) ||
	        outcome.status || !json_parse(said, "ffprobe", NULL, &document) ||
	        !json_parse(outcome.out, "ffprobe", NULL, &more) || !json_object_get(more, "frames"))
		return said;
	json_put(document, "frames", json_incref(json_object_get(more, "frames")));
	const char *text = json_print(arena, document, false);
	return (struct bytes){ text, strlen(text) };
}

bool input_ask(struct world *world, const char *ffmpeg, const char *path, struct arena *arena, struct err *err,
        struct bytes *ret)
{
	const char *ffprobe = input_ffprobe(world, ffmpeg, arena);
	if (!is_file(path, arena, err))
		return false;
	if (!ffprobe) {
		err_set(err, ERR_INPUT, "no ffprobe is here");
		return err_hint(err, "it comes with ffmpeg: apt install ffmpeg");
	}
	static const char entries[] =
	        "format=format_name,start_time,duration,bit_rate:stream=index,codec_name,codec_type,width,height,"
	        "pix_fmt,field_order,r_frame_rate,avg_frame_rate,duration,color_transfer,channels:stream_disposition=attached_pic,"
	        "timed_thumbnails:stream_side_data=rotation:stream_tags=DURATION:packet=stream_index,pts_time";
	const char *const argv[] = { ffprobe, "-v", "error", "-protocol_whitelist", "file,pipe", "-format_whitelist",
		input_formats, "-read_intervals", "%+#300", "-show_entries", entries, "-of", "json=compact=1", "-i", input_url(path, arena), NULL };
	struct outcome outcome;
	int error = world_run(world, &(struct command){ .argv = argv, .deadline_ms = PROBE_MS }, arena, &outcome);
	if (error)
		return err_set(err, ERR_SYSTEM, "%s: %s", text_shown(arena, ffprobe), world_why(error));
	if (outcome.status || outcome.timed_out || outcome.cut) {
		struct failure failure = failure_of(outcome.status, outcome.timed_out, outcome.err, arena);
		bool listed = memmem(outcome.err.data, outcome.err.size, "ot on whitelist", 15);
		no_video(err, path, arena,
		        listed ? "is no video file, but something that would read others"
		               : failure_why(&failure, arena));
		return failure.cure ? err_hint(err, "%s", failure.cure) : false;
	}
	*ret = with_pictures(world, ffprobe, path, outcome.out, arena);
	return true;
}
