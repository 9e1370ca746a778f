/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "media/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"

/* ---- tables ----------------------------------------------------------------------- */

static const struct {
	const char *ending;
	enum job_form form;
	const char *muxer;
} forms[] = {
	{ ".mp4", JOB_MP4, "mp4" },
	{ ".m4v", JOB_MP4, "mp4" },
	{ ".mkv", JOB_MATROSKA, "matroska" },
	{ ".m3u8", JOB_HLS, "hls" },
};

/* How each way is asked for a bit rate, a quality, and keyframes. {gop}: frames of a segment. */
#define RATE "-b:v {rate} -maxrate {rate} -bufsize {buffer}"
#define KEYS "-g {gop} -force_key_frames expr:gte(t,n_forced*3)"
_Static_assert(JOB_SEGMENT_SECONDS == 3, "as KEYS has it");

static const struct {
	const char *rate, *quality, *keys;
} ways[WAYS] = {
	[WAY_NVENC] = { RATE, "-rc vbr -cq {quality} -b:v 0", KEYS " -forced-idr 1 -no-scenecut 1" },
	[WAY_QSV] = { RATE, "-global_quality {quality}", KEYS " -forced_idr 1" },
	[WAY_VAAPI] = { "-rc_mode VBR " RATE, "-rc_mode CQP -qp {quality}", KEYS },
	[WAY_VULKAN] = { RATE, "-qp {quality}", KEYS },
	[WAY_SOFTWARE] = { RATE, "-crf {quality}", KEYS },
};

/* In software no other keyframe may begin a segment, and none may look over its edge. */
static const struct {
	const char *encoder, *keys, *quality;
} software[] = {
	{ "libx264", "-g {long} -sc_threshold 0 -force_key_frames expr:gte(t,n_forced*3)", "23" },
	{ "libx265",
	        "-g {long} -force_key_frames expr:gte(t,n_forced*3) "
	        "-x265-params log-level=error:scenecut=0:open-gop=0",
	        "26" },
	{ "libsvtav1", "-g {gop}", "32" },
};

/* The processor's, best first. Each one wants its input scaled before: half the time, measured. */
static const struct {
	const char *filter, *text;
} software_tone_maps[] = {
	{ "tonemapx", "tonemapx=tonemap=bt2390:desat=0:peak=100:t=bt709:m=bt709:p=bt709:format=yuv420p" },
	{ "zscale", "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,"
	            "zscale=t=bt709:m=bt709:r=tv" },
};

static const char *const ranges[] = {
	[RANGE_SDR] = "",
	[RANGE_HDR10] = MEDIA_HDR10,
	[RANGE_HLG] = "setparams=color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc",
};

static unsigned frames_of(const struct input *input, unsigned seconds)
{
	return (unsigned)(((uint64_t)input->rate_num * seconds + input->rate_den - 1) / input->rate_den);
}

/* ---- what is wished, made definite ---------------------------------------------------- */

static bool form_of(const char *output, struct arena *arena, struct err *err, enum job_form *ret)
{
	const char *slash = strrchr(output, '/'), *name = slash ? slash + 1 : output;
	for (const unsigned char *sign = (const unsigned char *)name; *sign; sign++)
		if (*sign < ' ' || *sign == 0x7f)
			return err_set(err, ERR_USAGE, "%s: a control sign in the name of an output",
			        text_shown(arena, output));
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		size_t size = strlen(name), end = strlen(forms[i].ending);
		if (size > end && strcasecmp(name + size - end, forms[i].ending) == 0) {
			*ret = forms[i].form;
			return true;
		}
	}
	err_set(err, ERR_USAGE, "%s: its name does not say what it shall be", text_shown(arena, output));
	return err_hint(err, "a file: NAME.mp4 or NAME.mkv; HLS: NAME.m3u8");
}

/* Into the box, in even numbers. */
static void fit(struct job *job)
{
	uint64_t width = job->input->width, height = job->input->height;
	if (job->input->sideways) {
		uint64_t swapped = width;
		width = height;
		height = swapped;
	}
	uint64_t box_width = job->wish.width ? job->wish.width : width,
	         box_height = job->wish.height ? job->wish.height : height, was_width = width, was_height = height;
	if (width > box_width) {
		height = (was_height * box_width + was_width / 2) / was_width;
		width = box_width;
	}
	if (height > box_height) {
		width = (was_width * box_height + was_height / 2) / was_height;
		height = box_height;
	}
	job->width = width < 4 ? 2 : (unsigned)width & ~1U;
	job->height = height < 4 ? 2 : (unsigned)height & ~1U;
}

bool job_make(const struct input *input, const char *output, const struct job_wish *wish, struct arena *arena,
        struct err *err, struct job *ret)
{
	struct job job = { .input = input, .output = output, .wish = *wish, .codec = wish->codec };
	if (!form_of(output, arena, err, &job.form))
		return false;
	if (wish->codec && strcmp(wish->codec, "av1") == 0 && job.form == JOB_HLS) {
		err_set(err, ERR_USAGE, "AV1 is not put into HLS's transport streams");
		return err_hint(err, "take h264 or hevc, or an output that ends with .mp4");
	}
	if (wish->subtitle != UNKNOWN_NUMBER && (uint64_t)wish->subtitle >= input->n_subtitles)
		return err_set(err, ERR_INPUT, "%s: has %zu subtitles, and no number %lld",
		        text_shown(arena, input->path), input->n_subtitles, (long long)wish->subtitle + 1);
	bool hdr = input->range != RANGE_SDR;
	job.tone_map = hdr && !wish->keep_hdr;
	job.deinterlace = input->interlaced; /* encoders would take the lines of both fields for one picture */
	job.bits = hdr && wish->keep_hdr ? 10 : 8;
	job.with_audio = input->audio >= 0 && strcmp(wish->audio, "none") != 0;
	/* what every player of HLS takes */
	if (!job.codec && job.form == JOB_HLS && job.bits == 8)
		job.codec = "h264";
	fit(&job);
	*ret = job;
	return true;
}

struct encode_job job_encode(const struct job *job)
{
	return (struct encode_job){ .codec = job->codec,
		.bits = job->bits,
		.width = job->width,
		.height = job->height,
		.hdr = job->bits == 10,
		.sessions = UNKNOWN_NUMBER,
		.session_limit = UNKNOWN_NUMBER };
}

static const struct media_encoder *encoder_of(const struct proof *proof)
{
	for (const struct media_encoder *row = media_encoders; row->name; row++)
		if (strcmp(row->name, proof->name) == 0 && row->bits == proof->bits)
			return row;
	return NULL;
}

static bool is_drawn(const struct job *job)
{
	return job->wish.subtitle != UNKNOWN_NUMBER;
}

/* Was that shown of this very device? */
static bool is_shown(const struct proof *proof, enum proof_kind kind, const struct proof *best)
{
	return proof->kind == kind && proof->works == YES && strcmp(proof->way, best->way) == 0 &&
	       strcmp(proof->device, best->device) == 0;
}

static bool decodes(const struct job *job, const struct proofs *proofs, const struct proof *best)
{
	if (job->input->turned || !job->input->planar_420 || is_drawn(job))
		return false;
	for (size_t i = 0; i < proofs->n; i++) {
		const struct proof *proof = &proofs->list[i];
		if (is_shown(proof, PROOF_DECODE, best) && proof->bits == job->input->bits &&
		        strcmp(proof->codec, job->input->codec) == 0)
			return true;
	}
	return false;
}

/* The device's own filter for it, of frames with so many bits; NULL: none that was shown to work. */
static const char *filter_of(const struct proofs *proofs, const struct proof *best, enum media_use use, unsigned bits)
{
	for (size_t i = 0; i < proofs->n; i++) {
		const struct proof *proof = &proofs->list[i];
		if (is_shown(proof, PROOF_FILTER, best) && proof->bits == bits && strcmp(proof->use, media_uses[use]) == 0)
			return media_filter(media_way(proof->way), use);
	}
	return NULL;
}

static bool lists_filter(const struct words *filters, const char *text)
{
	struct arena arena ARENA_SCOPED = { 0 };
	return ffmpeg_lists(filters, arena_strndup(&arena, text, strcspn(text, "=")));
}

static bool scales(const struct job *job, const struct proofs *proofs, const struct job_engine *engine)
{
	return engine->decodes || filter_of(proofs, engine->proof, USE_SCALE, engine->tone_map ? 10 : job->bits);
}

bool job_engine(const struct job *job, const struct proofs *proofs, const struct proof *best, const struct drm *drm,
        struct arena *arena, struct err *err, struct job_engine *ret)
{
	struct job_engine engine = { .encoder = encoder_of(best), .proof = best };
	if (!engine.encoder)
		return err_set(err, ERR_INPUT, "%s: no such encoder", text_shown(arena, best->name));
	if (strcmp(best->codec, "h264") != 0 && strcmp(best->codec, "hevc") != 0 && strcmp(best->codec, "av1") != 0)
		return err_set(err, ERR_USAGE, "%s is no codec for a film", text_shown(arena, best->codec));
	enum media_way way = engine.encoder->way;
	engine.device.way = way;
	engine.software = way == WAY_SOFTWARE;
	size_t n;
	const struct media_device *devices = proof_devices(drm, arena, &n);
	for (size_t i = 0; i < n && !engine.software; i++)
		if (devices[i].way == way && strcmp(devices[i].node ? devices[i].node : "", best->device) == 0)
			engine.device = devices[i];
	bool told = job->input->range == RANGE_HDR10 && job->input->mastered;
	if (job->tone_map && (told || !media_ways[way].mastered))
		engine.tone_map = filter_of(proofs, best, USE_TONE_MAP, 10);
	if (job->deinterlace)
		engine.deinterlace = filter_of(proofs, best, USE_DEINTERLACE, job->input->bits);
	engine.decodes = !engine.software && (!job->tone_map || engine.tone_map) &&
	                 (!job->deinterlace || engine.deinterlace) && decodes(job, proofs, best) &&
	                 filter_of(proofs, best, USE_SCALE, job->input->bits);
	engine.scales = scales(job, proofs, &engine);
	*ret = engine;
	return true;
}

struct job_engine job_engine_undecoded(
        const struct job *job, const struct proofs *proofs, const struct job_engine *engine)
{
	struct job_engine other = *engine;
	other.decodes = false;
	other.scales = scales(job, proofs, &other);
	return other;
}

const struct proof *job_software(const struct proofs *proofs, const struct proof *best)
{
	for (size_t i = 0; i < proofs->n; i++) {
		const struct proof *proof = &proofs->list[i];
		if (proof->kind == PROOF_ENCODE && proof->works == YES && proof->bits == best->bits &&
		        strcmp(proof->codec, best->codec) == 0 &&
		        strcmp(proof->way, media_ways[WAY_SOFTWARE].name) == 0)
			return proof;
	}
	return NULL;
}

/* ---- command lines ---------------------------------------------------------------------- */

struct line {
	struct arena *arena;
	struct words words;
};

/* As it is, whatever stands in it. */
static void put_word(struct line *line, const char *word)
{
	*arena_push(line->arena, line->words.word, line->words.n) = word;
}

/* Our own text: words with blanks between. */
__attribute__((format(printf, 2, 3))) static void put(struct line *line, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct words words = text_split(line->arena, arena_vprintf(line->arena, format, args), " ");
	va_end(args);
	for (size_t i = 0; i < words.n; i++)
		put_word(line, words.word[i]);
}

static const char *const *ended(struct line *line)
{
	put_word(line, NULL);
	return line->words.word;
}

static const char *replaced(const char *text, const char *name, const char *value, struct arena *arena)
{
	const char *at;
	while ((at = strstr(text, name)))
		text = arena_printf(arena, "%.*s%s%s", (int)(at - text), text, value, at + strlen(name));
	return text;
}

static const char *seconds(int64_t us, struct arena *arena)
{
	uint64_t size = us < 0 ? (uint64_t)-us : (uint64_t)us;
	return arena_printf(arena, "%s%" PRIu64 ".%06" PRIu64, us < 0 ? "-" : "", size / 1000000, size % 1000000);
}

static void put_program(struct line *line, const struct job_engine *engine, const struct job_tools *tools)
{
	if (engine && engine->device.several)
		put(line, "env CUDA_DEVICE_ORDER=PCI_BUS_ID");
	put_word(line, tools->ffmpeg);
	put(line, "-hide_banner -nostdin -v error -y");
}

/* ---- filters */

const char *job_filter_value(const char *value, struct arena *arena)
{
	static const char *const levels[] = { "\\':", "\\'[],;" };
	for (size_t level = 0; level < 2; level++) {
		char *out = arena_alloc(arena, 2 * strlen(value) + 1), *end = out;
		for (; *value; value++) {
			if (strchr(levels[level], *value))
				*end++ = '\\';
			*end++ = *value;
		}
		*end = '\0';
		value = out;
	}
	return value;
}

struct chain {
	struct arena *arena;
	const char *text;
};

static void link_in(struct chain *chain, const char *filter)
{
	if (filter && *filter)
		chain->text = arena_printf(chain->arena, "%s%s%s", chain->text, *chain->text ? "," : "", filter);
}

static const struct input_subtitle *subtitle_of(const struct job *job)
{
	return is_drawn(job) ? &job->input->subtitles[job->wish.subtitle] : NULL;
}

/* The filter reads the file itself, by its own times. */
static const char *written_subtitle(const struct job *job, struct arena *arena)
{
	const char *text = arena_printf(arena, "subtitles=filename=%s:si=%lld",
	        job_filter_value(input_url(job->input->path, arena), arena), (long long)job->wish.subtitle);
	if (!job->input->start_us)
		return text;
	const char *start = seconds(job->input->start_us, arena);
	return arena_printf(arena, "setpts=PTS+(%s)/TB,%s,setpts=PTS-(%s)/TB", start, text, start);
}

static bool is_scaled(const struct job *job)
{
	bool sideways = job->input->sideways;
	return job->width != (sideways ? job->input->height : job->input->width) ||
	       job->height != (sideways ? job->input->width : job->input->height);
}

static const char *software_tone_map(const struct words *filters)
{
	for (size_t i = 0; i < sizeof software_tone_maps / sizeof *software_tone_maps; i++)
		if (lists_filter(filters, software_tone_maps[i].filter))
			return software_tone_maps[i].text;
	return software_tone_maps[1].text;
}

/* Before all others, which would mix the lines of two moments; "": there is nothing to do. */
static const char *deinterlacer(const struct job *job, const struct job_engine *engine)
{
	return !job->deinterlace ? "" : engine->decodes ? engine->deinterlace : media_ways[WAY_SOFTWARE].deinterlace;
}

/* From the decoded frame to what the encoder takes. */
static const char *graph(const struct job *job, const struct job_engine *engine, const struct job_tools *tools,
        const struct job_from *from, struct arena *arena)
{
	struct chain chain = { arena, "" };
	const struct media_way_row *way = &media_ways[engine->device.way];
	const struct input_subtitle *subtitle = subtitle_of(job);
	const char *format = way->format[job->bits == 10],
	           *box = arena_printf(arena, "w=%u:h=%u", job->width, job->height);
	bool mapped_here = job->tone_map && !engine->tone_map, scaled = !is_scaled(job);
	if (!subtitle || !subtitle->picture)
		link_in(&chain, deinterlacer(job, engine));
	if (from->after_us)
		link_in(&chain, arena_printf(arena, "trim=start=%s", seconds(from->after_us, arena)));
	if (job->input->range != RANGE_SDR)
		link_in(&chain, ranges[job->input->range]);
	if (!engine->decodes) {
		if (!scaled && (engine->software || mapped_here || !engine->scales)) {
			link_in(&chain, arena_printf(arena, "scale=%s", box));
			scaled = true;
		}
		if (mapped_here)
			link_in(&chain, software_tone_map(tools->filters));
		if (subtitle && !subtitle->picture)
			link_in(&chain, written_subtitle(job, arena));
		/* what is tone mapped on the card goes there with all its bits */
		link_in(&chain, arena_printf(arena, "format=%s", engine->tone_map ? way->format[1] : format));
		link_in(&chain, way->upload);
	}
	if (!engine->software && (!scaled || engine->decodes))
		link_in(&chain, arena_printf(arena, "%s=%s:format=%s", way->scale, box,
		                        engine->tone_map ? way->format[1] : format));
	link_in(&chain, engine->tone_map);
	return chain.text;
}

/* ---- parts of a command line */

static void put_input(struct line *line, const struct job *job)
{
	put(line, "%s -i", input_guards);
	put_word(line, input_url(job->input->path, line->arena));
}

static void put_device(struct line *line, const struct job *job, const struct job_engine *engine)
{
	const struct media_way_row *way = &media_ways[engine->device.way];
	if (engine->software)
		return;
	const char *init = engine->device.node ? way->init : way->bare ? way->bare : way->init;
	init = replaced(init, "{index}", arena_printf(line->arena, "%u", engine->device.index), line->arena);
	put(line, "%s", replaced(init, "{node}", engine->device.node ? engine->device.node : "", line->arena));
	const struct media_codec *codec = engine->decodes ? media_codec(job->input->codec) : NULL;
	if (codec)
		put(line, "-hwaccel %s -hwaccel_device %s -hwaccel_output_format %s -c:v %s", way->hwaccel, way->device,
		        way->hwaccel, media_decoder(way, codec, line->arena));
}

/* Which streams, and through which filters. */
static void put_video_map(struct line *line, const struct job *job, const struct job_engine *engine,
        const struct job_tools *tools, const struct job_from *from)
{
	const struct input_subtitle *subtitle = subtitle_of(job);
	const char *filters = graph(job, engine, tools, from, line->arena);
	if (subtitle && subtitle->picture) {
		put_word(line, "-filter_complex");
		const char *under = deinterlacer(job, engine);
		if (*under)
			under = arena_printf(line->arena, "[0:%u]%s[d];[d]", job->input->video, under);
		else
			under = arena_printf(line->arena, "[0:%u]", job->input->video);
		put_word(line, arena_printf(line->arena, "%s[0:%u]overlay,%s[v]", under, subtitle->index, filters));
		put(line, "-map [v]");
		return;
	}
	put(line, "-map 0:%u", job->input->video);
	if (*filters) {
		put_word(line, "-vf");
		put_word(line, filters);
	}
}

/* Since 5.1 the option has another name, and the old one will go. */
static const char *frame_times(const char *version)
{
	return version && (text_starts(version, "4.") || text_starts(version, "5.0")) ? "-vsync vfr" : "-fps_mode vfr";
}

static void put_encoder(
        struct line *line, const struct job *job, const struct job_engine *engine, const struct job_tools *tools)
{
	const struct media_encoder *encoder = engine->encoder;
	enum media_way way = engine->device.way;
	const char *keys = ways[way].keys, *quality = strcmp(encoder->codec, "h264") == 0 ? "23" : "26";
	for (size_t i = 0; i < sizeof software / sizeof *software; i++)
		if (strcmp(software[i].encoder, encoder->name) == 0) {
			keys = software[i].keys;
			quality = software[i].quality;
		}
	put(line, "%s", frame_times(tools->version));
	/* frames that come when they like would be put to the places of a steady rate */
	if (!job->input->steady)
		put(line, "-enc_time_base -1");
	put(line, "-c:v %s %s", encoder->name, encoder->options);
	if (engine->proof->options && *engine->proof->options)
		put(line, "%s", engine->proof->options);
	const char *rate = job->wish.bit_rate == UNKNOWN_NUMBER ? ways[way].quality : ways[way].rate;
	if (job->wish.quality != UNKNOWN_NUMBER)
		quality = arena_printf(line->arena, "%" PRId64, job->wish.quality);
	rate = replaced(rate, "{quality}", quality, line->arena);
	rate = replaced(rate, "{rate}", arena_printf(line->arena, "%" PRId64, job->wish.bit_rate), line->arena);
	rate = replaced(rate, "{buffer}", arena_printf(line->arena, "%" PRId64, 2 * job->wish.bit_rate), line->arena);
	unsigned gop = frames_of(job->input, JOB_SEGMENT_SECONDS);
	keys = replaced(keys, "{gop}", arena_printf(line->arena, "%u", gop), line->arena);
	keys = replaced(keys, "{long}", arena_printf(line->arena, "%u", 2 * gop), line->arena);
	put(line, "%s %s", rate, keys);
}

static void put_audio(struct line *line, const struct job *job)
{
	put(line, "-map 0:%d", job->input->audio);
	put(line, "%s", strcmp(job->wish.audio, "copy") == 0 ? "-c:a copy" : "-c:a aac -ac 2 -b:a 192k");
}

static const char bare[] = "-sn -dn -map_metadata -1 -map_chapters -1";
static const char own_times[] = "-copyts -start_at_zero";

static const char *muxer_of(const struct job *job)
{
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		if (forms[i].form == job->form)
			return forms[i].muxer;
	return NULL;
}

/* Apple's players want the one name for HEVC; with two encoders in one file only the other one is true. */
static void put_tag(struct line *line, const struct job *job, const char *codec, bool two)
{
	if (job->form == JOB_MP4 && codec && strcmp(codec, "hevc") == 0)
		put(line, "-tag:v %s", two ? "hev1" : "hvc1");
}

const char *job_stem(const char *output, struct arena *arena)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	const char *slash = strrchr(output, '/'), *name = slash ? slash + 1 : output;
	char *stem = arena_strndup(arena, name, (size_t)(strrchr(name, '.') - name));
	const char *mark = "";
	for (char *sign = stem; *sign; sign++)
		if (!strchr(plain, *sign)) {
			*sign = '_';
			mark = arena_printf(arena, "-%.8s", digest_sha256((struct bytes){ name, strlen(name) }, arena));
		}
	return arena_printf(arena, "%.*s%s%s", (int)(name - output), output, stem, mark);
}

const char *job_pattern(const char *path, struct arena *arena)
{
	char *out = arena_alloc(arena, 2 * strlen(path) + 1), *end = out;
	for (; *path; path++) {
		*end++ = *path;
		if (*path == '%')
			*end++ = '%';
	}
	*end = '\0';
	return out;
}

/* ---- the lines themselves */

const char *const *job_direct(
        const struct job *job, const struct job_engine *engine, const struct job_tools *tools, struct arena *arena)
{
	struct line line = { .arena = arena };
	const struct job_from whole = { 0 };
	put_program(&line, engine, tools);
	if (job->form == JOB_HLS)
		put(&line, "%s", own_times);
	put_device(&line, job, engine);
	put_input(&line, job);
	put_video_map(&line, job, engine, tools, &whole);
	put_encoder(&line, job, engine, tools);
	if (job->with_audio)
		put_audio(&line, job);
	put(&line, "%s", bare);
	put_tag(&line, job, engine->encoder->codec, false);
	if (job->form == JOB_HLS) {
		put(&line,
		        "-avoid_negative_ts disabled -f hls -hls_time %d -hls_playlist_type event "
		        "-hls_segment_type mpegts -hls_segment_options avoid_negative_ts=disabled "
		        "-hls_segment_filename",
		        JOB_SEGMENT_SECONDS);
		put_word(&line,
		        arena_printf(arena, "file:%s%%05d.ts", job_pattern(job_stem(job->output, arena), arena)));
	} else {
		put(&line, "-f %s", muxer_of(job));
	}
	put_word(&line, input_url(job->output, arena));
	return ended(&line);
}

/* Segments by name, number and time on standard output. Each is a file of its own, whose times must not be moved to
 * where they are not negative: those of another encoder would not be. */
static void put_segments(
        struct line *line, const char *format, const char *options, unsigned first, const char *pattern)
{
	put(line,
	        "-avoid_negative_ts disabled -f stream_segment -segment_format %s "
	        "-segment_format_options avoid_negative_ts=disabled%s -segment_time %d "
	        "-segment_list pipe:1 -segment_list_type csv -segment_list_size 0",
	        format, options, JOB_SEGMENT_SECONDS);
	if (first)
		put(line, "-segment_start_number %u", first);
	put_word(line, arena_printf(line->arena, "file:%s", pattern));
}

/* Where to begin to read, so that the keyframe before is met: a container with an index finds it, another one guesses.
 */
static int64_t seek_second(const struct job *job, int64_t after_us)
{
	int64_t second = after_us / 1000000 - (job->input->indexed ? 1 : 20);
	return second > 0 ? second : 0;
}

const char *const *job_video(const struct job *job, const struct job_engine *engine, const struct job_tools *tools,
        const struct job_from *from, const char *pattern, struct arena *arena)
{
	struct line line = { .arena = arena };
	bool hls = job->form == JOB_HLS;
	put_program(&line, engine, tools);
	put(&line, "%s", own_times);
	put_device(&line, job, engine);
	if (seek_second(job, from->after_us))
		put(&line, "-ss %" PRId64, seek_second(job, from->after_us));
	put_input(&line, job);
	put_video_map(&line, job, engine, tools, from);
	put_encoder(&line, job, engine, tools);
	put(&line, "-an %s", bare);
	put(&line, "-progress pipe:1 -stats_period 0.25");
	put_segments(&line, hls ? "mpegts" : "nut", hls ? "" : ":write_index=0", from->segment, pattern);
	return ended(&line);
}

const char *const *job_audio(const struct job *job, const struct job_tools *tools, const char *to, struct arena *arena)
{
	struct line line = { .arena = arena };
	put_program(&line, NULL, tools);
	put(&line, "%s", own_times);
	put_input(&line, job);
	put_audio(&line, job);
	put(&line, "-vn %s -progress pipe:1 -stats_period 1", bare);
	if (job->form == JOB_HLS) {
		put_segments(&line, "mpegts", "", 0, to);
		return ended(&line);
	}
	/* of its own kind, which knows what comes before the first sample as the output does: ffmpeg's Matroska has
	 * it as a time below zero, and from some version on as the encoder's delay besides */
	put(&line, job->form == JOB_MATROSKA ? "-avoid_negative_ts disabled -f matroska" : "-f mp4");
	put_word(&line, arena_printf(arena, "file:%s", to));
	return ended(&line);
}

/* By the rate, which takes frames of a steady one, and the muxer's own unit of time: for Matroska ffmpeg 5 counts in
 * another one than it says. */
bool job_joins_several(const struct job *job)
{
	return job->input->steady && job->form == JOB_MP4;
}

/* Without it ffmpeg's own guess is right but for the first frames of a stream; those get times just before.
 */
static void put_decoding_times(struct line *line, const struct job *job, const struct job_stream *stream)
{
	put(line, "-bsf:v");
	put_word(line, job_joins_several(job) ? arena_printf(line->arena, "setts=pts=PTS:dts=STARTPTS+(N-%u)*%u/%u/TB",
	                                            stream->delay, job->input->rate_den, job->input->rate_num)
	                                  : "setts=pts=PTS:dts=if(lt(N\\,16)\\,STARTPTS-16+N\\,DTS)");
}

const char *const *job_rebase(const struct job *job, const struct job_tools *tools, const struct job_stream *stream,
        const char *to, struct arena *arena)
{
	struct line line = { .arena = arena };
	put_program(&line, NULL, tools);
	put(&line, "-copyts -itsoffset %s -protocol_whitelist file -f nut -i", seconds(-stream->start_us, arena));
	put_word(&line, input_url(stream->path, arena));
	put(&line, "-map 0:v -c copy");
	put_decoding_times(&line, job, stream);
	put(&line, "-f mov");
	put_word(&line, input_url(to, arena));
	return ended(&line);
}

const char *job_list(const struct job_stream *streams, size_t n, struct arena *arena)
{
	const char *text = "ffconcat version 1.0\n";
	for (size_t i = 0; i < n; i++) {
		const char *slash = strrchr(streams[i].path, '/');
		text = arena_printf(arena, "%sfile %s\n", text, slash ? slash + 1 : streams[i].path);
		if (i + 1 < n)
			text = arena_printf(arena, "%sduration %s\n", text,
			        seconds(streams[i + 1].start_us - streams[i].start_us, arena));
	}
	return text;
}

const char *const *job_join(const struct job *job, const struct job_tools *tools, const struct job_stream *video,
        bool list, const char *audio, const char *to, struct arena *arena)
{
	struct line line = { .arena = arena };
	put_program(&line, NULL, tools);
	put(&line, "-copyts -protocol_whitelist file");
	if (list)
		put(&line, "-itsoffset %s", seconds(video->start_us, arena));
	put(&line, "-f %s -i", list ? "concat" : "nut");
	put_word(&line, input_url(video->path, arena));
	if (audio) {
		put(&line, "-protocol_whitelist file -i");
		put_word(&line, input_url(audio, arena));
	}
	put(&line, "-map 0:v %s -c copy", audio ? "-map 1:a" : "");
	put_decoding_times(&line, job, video);
	put(&line, "%s", bare);
	put_tag(&line, job, job->codec, list);
	put(&line, "-f %s", muxer_of(job));
	put_word(&line, input_url(to, arena));
	return ended(&line);
}

/* ---- how much ------------------------------------------------------------------------------ */

int64_t job_rate(const struct job *job)
{
	int64_t audio = job->with_audio ? 192000 : 0;
	if (job->wish.bit_rate != UNKNOWN_NUMBER)
		return job->wish.bit_rate + audio;
	/* by quality: a tenth of a bit for each pixel is what film takes */
	return (int64_t)job->width * job->height * job->input->rate_num / job->input->rate_den / 10 + audio;
}

uint64_t job_size(const struct job *job)
{
	int64_t us = job->input->duration_us;
	return us > 0 ? (uint64_t)((double)us / 8e6 * (double)job_rate(job) * 1.1) : 0;
}
