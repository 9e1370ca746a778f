/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Two programs run beside each other, video and audio (job.h), and tell of their segments. A segment that was told is
 * complete. Where hardware fails, another one begins at the first frame that is in none; its segments have other names, so
 * that a program which cannot be killed writes into nothing of ours.
 *
 * HLS: the playlists are made here, and name what is complete. A file: segments are gathered in a stream for each
 * encoder, and joined with the audio at the end.
 */
#include "media/transcode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "media/playlist.h"
#include "sys/clock.h"
#include "sys/spawn.h"
#include "sys/stop.h"
#include "sys/store.h"

enum {
	START_MS = 15000,
	STALL_MS = 2000,
	SOFTWARE_STALL_MS = 120000,
	LOOK_MS = 100,
	TELL_MS = 200,
	NEAR_US = 500,
	HALF_US = JOB_SEGMENT_SECONDS * 500000, /* of a segment: two are never quite of one length */
	MPEGTS_DELAY_US = 1400000, /* by which its muxer moves all times: twice -muxdelay's 0.7 s */
	NVML_MS = 300,
};

/* Where NUT's frames begin, behind the headers: those of the first segment serve all of one encoder. */
static const char nut_syncpoint[] = "NK\xe4\xad\xee\xca\x45\x69";

enum { VIDEO, AUDIO, PROGRAMS };

struct run {
	struct world *world;
	const struct job *job;
	const struct transcode_options *options;
	struct arena *arena;
	struct err *err;
	struct transcode_result *result;
	bool hls;
	const char *stem;        /* HLS: the output without its ending */
	const char *work;        /* a file: the folder for what is in the making */
	struct store_work beside, apart; /* the output; and elsewhere, if that was asked for */
	struct store_claim claim;        /* of the output */
	const struct job_engine *next; /* goes on for the one that failed; NULL: none has */
	struct spawned *program[PROGRAMS];
	struct segments segments[PROGRAMS];
	size_t shown[PROGRAMS]; /* in a playlist */
	int64_t breaks_us[TRANSCODE_ATTEMPTS]; /* where another encoder's segments begin */
	size_t n_breaks;
	bool master, stopped, audio_done, audio_rests, disk_full;
	bool finished[PROGRAMS]; /* as they say themselves */
	bool unjoined;           /* a file: the video's last segment is still one of its own */
	int64_t last_us;         /* of the last frame in it, where the input's frames come when they like; UNKNOWN_NUMBER */
	int64_t began, tried; /* in ms: all of it, and the attempt that runs */
	int64_t sign, told;   /* when the video last gave something, and when that was last told */
	struct transcode_attempt *silent; /* the failed one that nobody has given anything since; NULL: somebody has */
	int64_t silent_since;             /* its last sign */
};

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static int64_t end_of(const struct segments *segments)
{
	return segments->n ? segments->list[segments->n - 1].end_us : 0;
}

/* ---- names ---------------------------------------------------------------------------- */

/* The video of each attempt, and the audio. */
static const char video_kinds[] = "vst", audio_kind = 'a';
_Static_assert(sizeof video_kinds == TRANSCODE_ATTEMPTS + 1, "one for each");

static const char *segment_path(const struct run *run, char kind, size_t number, struct arena *arena)
{
	return run->hls ? arena_printf(arena, "%s.%c%05zu.ts", run->stem, kind, number)
	                : arena_printf(arena, "%s/%c%05zu.nut", run->work, kind, number);
}

static const char *segment_pattern(const struct run *run, char kind, struct arena *arena)
{
	const char *stem = job_pattern(run->hls ? run->stem : run->work, arena);
	return run->hls ? arena_printf(arena, "%s.%c%%05d.ts", stem, kind)
	                : arena_printf(arena, "%s/%c%%05d.nut", stem, kind);
}

static char kind_of(const struct run *run)
{
	return video_kinds[run->result->n_attempts - 1];
}

static const char *in_work(const struct run *run, const char *name, struct arena *arena)
{
	return arena_printf(arena, "%s/%s", run->work, name);
}

/* A file: the segments of one encoder. */
static const char *stream_path(const struct run *run, char kind, const char *ending, struct arena *arena)
{
	return arena_printf(arena, "%s/%c.%s", run->work, kind, ending);
}

static const char *playlist_path(const struct run *run, int of, struct arena *arena)
{
	if (!run->job->with_audio)
		return run->job->output;
	return arena_printf(arena, "%s.%s.m3u8", run->stem, of == VIDEO ? "video" : "audio");
}

/* ---- HLS -------------------------------------------------------------------------------- */

static bool put_playlist(struct run *run, int of, const char *path, size_t n, bool has_ended)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *text = playlist_media(&run->segments[of], n, has_ended, &arena);
	run->shown[of] = n;
	return store_put(path, (struct bytes){ text, strlen(text) }, 0644, run->err);
}

static void note_first(struct run *run)
{
	if (run->result->first_ms == UNKNOWN_NUMBER)
		run->result->first_ms = clock_ms() - run->began;
	run->result->output = true;
}

/* The audio's segments that go with video that ends then: the first one in any case. */
static size_t audio_until(const struct run *run, int64_t end_us)
{
	const struct segments *audio = &run->segments[AUDIO];
	size_t n = audio->n > 0;
	while (n < audio->n && audio->list[n].start_us < end_us - HALF_US)
		n++;
	return n;
}

/* Of the audio as much as of the video, so that the two end together at any moment. */
static size_t audio_to_show(const struct run *run, bool has_ended)
{
	return has_ended ? run->segments[AUDIO].n : audio_until(run, end_of(&run->segments[VIDEO]));
}

/* Where the video's encoder is another one, the audio says so too: players number both by it (RFC 8216, 4.3.3.3). What is
 * shown already ends before any of these. */
static void break_audio(struct run *run)
{
	struct segments *audio = &run->segments[AUDIO];
	for (size_t i = 0; i < audio->n; i++)
		audio->list[i].breaks = 0;
	for (size_t i = 0; i < run->n_breaks; i++) {
		size_t at = audio_until(run, run->breaks_us[i]);
		if (at < audio->n)
			audio->list[at].breaks++;
	}
}

static bool publish(struct run *run, bool has_ended)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const struct job *job = run->job;
	size_t n_video = run->segments[VIDEO].n, n_audio = job->with_audio ? audio_to_show(run, has_ended) : 0;
	bool alone = !job->with_audio || (has_ended && !run->segments[AUDIO].n);
	if (!run->hls || !n_video)
		return true;
	if (alone && job->with_audio)
		store_remove(playlist_path(run, VIDEO, &arena));
	if ((n_video > run->shown[VIDEO] || has_ended) &&
	        !put_playlist(run, VIDEO, alone ? job->output : playlist_path(run, VIDEO, &arena), n_video, has_ended))
		return false;
	if (n_audio && (n_audio > run->shown[AUDIO] || has_ended)) {
		break_audio(run);
		if (!put_playlist(run, AUDIO, playlist_path(run, AUDIO, &arena), n_audio, has_ended))
			return false;
	}
	if (!alone && n_audio && !run->master) {
		const char *text = playlist_master(file_name(playlist_path(run, VIDEO, &arena)),
		        file_name(playlist_path(run, AUDIO, &arena)), job_rate(job), job->width, job->height, &arena);
		run->master = true;
		if (!store_put(job->output, (struct bytes){ text, strlen(text) }, 0644, run->err))
			return false;
	}
	if (alone || run->master)
		note_first(run);
	return true;
}

/* ---- what the programs say ----------------------------------------------------------------- */

/* Puts the video's last segment to those before it. */
static bool join_last(struct run *run)
{
	struct arena arena ARENA_SCOPED = { 0 };
	char kind = kind_of(run);
	bool first = run->result->attempt[run->result->n_attempts - 1].segments == 1;
	const char *path = segment_path(run, kind, run->segments[VIDEO].n - 1, &arena);
	const char *stream = stream_path(run, kind, "nut", &arena);
	const struct bytes mark = { nut_syncpoint, first ? 0 : sizeof nut_syncpoint - 1 };
	if (!run->unjoined)
		return true;
	run->unjoined = false;
	bool joined = store_join(stream, path, mark, run->err);
	store_remove(path);
	return joined;
}

static void gives_sign(struct run *run)
{
	run->sign = clock_ms();
	if (run->silent)
		run->silent->silent_ms = run->sign - run->silent_since;
	run->silent = NULL;
}

/* Takes a complete segment. */
static bool take_segment(struct run *run, int of, int64_t end_us)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct segments *segments = &run->segments[of];
	char kind = of == AUDIO ? audio_kind : kind_of(run);
	size_t number = segments->n;
	int64_t start_us = end_of(segments);
	const char *path = segment_path(run, kind, number, &arena);
	struct transcode_attempt *attempt = &run->result->attempt[run->result->n_attempts - 1];
	bool first = of == VIDEO && attempt->segments == 0;
	/* where no frame is left ffmpeg tells of a segment all the same */
	if (of == VIDEO && end_us <= start_us)
		return true;
	if (of == VIDEO)
		gives_sign(run);
	if (first && number)
		run->breaks_us[run->n_breaks++] = start_us;
	if (!run->hls && !join_last(run)) /* the one before */
		return false;
	if (of == VIDEO)
		attempt->segments++;
	*arena_push(run->arena, segments->list, segments->n) = (struct segment){
		.name = run->hls ? arena_strdup(run->arena, file_name(path)) : NULL,
		.start_us = start_us,
		.end_us = end_us,
		.breaks = first && number,
	};
	if (run->hls) {
		run->disk_full |= !publish(run, false);
		return !run->disk_full;
	}
	if (run->result->first_ms == UNKNOWN_NUMBER)
		run->result->first_ms = clock_ms() - run->began;
	run->unjoined = true;
	return true;
}

static void tell(struct run *run, enum transcode_what what, const struct transcode_attempt *attempt, int64_t frame)
{
	const struct input *input = run->job->input;
	int64_t now = clock_ms(), of_us = input->video_us > 0 ? input->video_us : input->duration_us;
	if (!run->options->tell || (what == TRANSCODE_PROGRESS && now - run->told < TELL_MS))
		return;
	run->told = now;
	int64_t done_us = (int64_t)((double)frame * input->rate_den / input->rate_num * 1e6);
	int64_t from_us = attempt && attempt->first ? run->segments[VIDEO].list[attempt->first - 1].end_us : 0;
	int64_t ran = attempt ? now - run->tried : 0;
	struct transcode_event event = { what, attempt, run->next, from_us + done_us, of_us, UNKNOWN_NUMBER, UNKNOWN_NUMBER };
	if (of_us > 0 && event.at_us > of_us)
		event.at_us = of_us;
	if (ran > 0 && done_us > 0)
		event.speed = done_us / ran;
	if (event.speed > 0 && of_us > 0)
		event.left_s = (of_us - event.at_us) / 1000 / event.speed;
	run->options->tell(run->options->data, &event);
}

static bool take_line(struct run *run, int of, struct bytes line)
{
	struct transcode_attempt *attempt = &run->result->attempt[run->result->n_attempts - 1];
	int64_t end_us, frame;
	if (playlist_segment_line(line, &end_us))
		return take_segment(run, of, end_us);
	run->finished[of] |= playlist_last_line(line);
	if (of == VIDEO && playlist_frame_line(line, &frame) && frame > attempt->frames) {
		attempt->frames = frame;
		gives_sign(run);
		tell(run, TRANSCODE_PROGRESS, attempt, frame);
	}
	return true;
}

static bool take_lines(struct run *run)
{
	struct bytes line;
	for (int of = 0; of < PROGRAMS; of++)
		while (run->program[of] && spawn_line(run->program[of], &line))
			if (!take_line(run, of, line))
				return false;
	return true;
}

static bool fail_with(struct run *run, const char *what, const struct failure *failure)
{
	run->disk_full |= failure->kind == FAILURE_OUTPUT;
	err_set(run->err, failure->kind == FAILURE_INPUT ? ERR_INPUT : ERR_SYSTEM, "%s: %s", what,
	        failure_why(failure, run->arena));
	return failure->cure ? err_hint(run->err, "%s", failure->cure) : false;
}

static const struct failure cut_off = { "short", FAILURE_BROKEN, 0, "it ended before the input does, and claimed success", NULL,
	"" };

/* Has the audio ended, and well? */
static bool look_at_audio(struct run *run)
{
	struct outcome outcome;
	if (!run->program[AUDIO] || !spawn_ended(run->program[AUDIO]))
		return true;
	if (!take_lines(run)) /* its last ones */
		return false;
	spawn_end(&run->program[AUDIO], run->arena, &outcome);
	if (outcome.status || !run->finished[AUDIO]) {
		struct failure failure = outcome.status ? failure_of(outcome.status, false, outcome.err, run->arena) : cut_off;
		return fail_with(run, "the audio", &failure);
	}
	run->audio_done = true;
	return publish(run, false);
}

/* What a program had begun, or did not tell of any more, is nobody's. */
static void remove_untold(const struct run *run, int of)
{
	struct arena arena ARENA_SCOPED = { 0 };
	char kind = of == AUDIO ? audio_kind : kind_of(run);
	const char *path;
	for (size_t i = run->segments[of].n; store_there(path = segment_path(run, kind, i, &arena)); i++)
		store_remove(path);
}

/* ---- one attempt ------------------------------------------------------------------------------ */

static bool begin(struct run *run, int of, const char *const *argv)
{
	struct spawned **loaded = of == VIDEO ? run->options->loaded : NULL;
	int error = spawn_begin(argv, loaded, run->arena, &run->program[of]);
	return error ? err_errno(run->err, error, "%s", text_shown(run->arena, run->options->tools.ffmpeg)) : true;
}

static bool begin_audio(struct run *run)
{
	struct arena *arena = run->arena;
	const char *to = run->hls ? segment_pattern(run, audio_kind, arena) : in_work(run, "audio", arena);
	if (!run->job->with_audio || run->program[AUDIO] || run->audio_done)
		return true;
	if (!begin(run, AUDIO, job_audio(run->job, &run->options->tools, to, arena)))
		return false;
	spawn_yield(run->program[AUDIO]); /* it is quick, and the first picture is waited for */
	return true;
}

/* ffmpeg tells a segment's end by how long its last frame would be shown at a steady rate. Where there is none, that frame
 * itself is looked for. */
static void find_last_frame(struct run *run)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *ffprobe = input_ffprobe(run->world, run->options->tools.ffmpeg, &arena);
	const char *path = segment_path(run, kind_of(run), run->segments[VIDEO].n - 1, &arena);
	const char *const argv[] = { ffprobe, "-v", "error", "-protocol_whitelist", "file", "-f", run->hls ? "mpegts" : "nut",
		"-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of", "csv=p=0", "-i", input_url(path, &arena),
		NULL };
	struct outcome outcome = { 0 };
	run->last_us = UNKNOWN_NUMBER;
	if (run->job->input->steady || !run->segments[VIDEO].n || !ffprobe)
		return;
	world_run(run->world, &(struct command){ .argv = argv, .deadline_ms = 5000 }, &arena, &outcome);
	struct words times = text_split(&arena, outcome.out.data ? outcome.out.data : "", ",\n");
	for (size_t i = 0; i < times.n; i++) {
		int64_t us;
		if (!input_seconds(times.word[i], &us))
			continue;
		us -= run->hls ? MPEGTS_DELAY_US : 0;
		run->last_us = us > run->last_us ? us : run->last_us;
	}
}

/* The first frame that is in no complete segment: behind the last one that is, or half a frame before its segment's end. */
static struct job_from next_from(const struct run *run)
{
	const struct segments *video = &run->segments[VIDEO];
	const struct input *input = run->job->input;
	int64_t half = (int64_t)(5e5 * input->rate_den / input->rate_num);
	int64_t after = run->last_us != UNKNOWN_NUMBER ? run->last_us + NEAR_US : end_of(video) - half;
	return (struct job_from){ (unsigned)video->n, video->n ? after : 0 };
}

static int64_t limit_of(const struct run *run, const struct transcode_attempt *attempt)
{
	const struct transcode_options *options = run->options;
	if (attempt->engine->software)
		return SOFTWARE_STALL_MS;
	if (attempt->frames == 0)
		return options->start_ms ? options->start_ms : START_MS;
	return options->stall_ms ? options->stall_ms : STALL_MS;
}

/* HLS: the audio is far quicker, and what it takes of the processors the next segment of video waits for. So it rests
 * where it is ahead. */
static void pace_audio(struct run *run, bool may_rest)
{
	bool rests = may_rest && end_of(&run->segments[AUDIO]) > end_of(&run->segments[VIDEO]) + HALF_US;
	if (run->hls && run->program[AUDIO] && rests != run->audio_rests)
		spawn_rest(run->program[AUDIO], run->audio_rests = rests);
}

/* Asked before a segment is taken: one that lacks a picture is none. */
static bool loses_pictures(const struct run *run, struct transcode_attempt *attempt)
{
	attempt->lost = attempt->engine->decodes &&
	                failure_lost_picture(spawn_said(run->program[VIDEO]), run->arena, &attempt->failure);
	attempt->failed = attempt->lost;
	return attempt->lost;
}

/* Until the video's program ends, loses pictures, is silent for too long, or all shall stop. False with err: the job has
 * failed. */
static bool watch(struct run *run, struct transcode_attempt *attempt, bool *ret_stalled)
{
	while (!spawn_ended(run->program[VIDEO])) {
		spawn_wait(run->program, PROGRAMS, stop_fd(), LOOK_MS);
		run->stopped = stop_asked();
		if (run->stopped || loses_pictures(run, attempt))
			return true;
		if (!take_lines(run) || !look_at_audio(run))
			return false;
		pace_audio(run, true);
		*ret_stalled = clock_ms() - run->sign > limit_of(run, attempt);
		if (*ret_stalled)
			return true;
	}
	return loses_pictures(run, attempt) || take_lines(run);
}

/* An encoder that drops the end and claims success; what is missing is asked of software, which may find the same. */
static bool is_short(const struct run *run)
{
	int64_t whole = run->job->input->video_us;
	return whole > 0 && end_of(&run->segments[VIDEO]) + 1000000 + whole / 100 < whole;
}

static void ended_how(struct run *run, struct transcode_attempt *attempt, const struct outcome *outcome, bool stalled)
{
	struct nvml_cards cards;
	const char *nvml = run->options->nvml;
	if (attempt->failed) /* and told why */
		return;
	attempt->failed = true;
	if (outcome->status || stalled) {
		attempt->failure = failure_of(outcome->status, stalled, outcome->err, run->arena);
		if (attempt->failure.kind == FAILURE_LIMIT && nvml && nvml_ask(nvml, NVML_MS, &cards))
			attempt->failure =
			        failure_limit(&attempt->failure, &cards, attempt->engine->device.pci, run->arena);
		return;
	}
	attempt->early = !run->finished[VIDEO] || (!attempt->engine->software && is_short(run));
	attempt->failed = attempt->early;
	if (attempt->early)
		attempt->failure = cut_off;
}

static bool try_once(struct run *run, const struct job_engine *engine)
{
	struct transcode_result *result = run->result;
	struct transcode_attempt *attempt = &result->attempt[result->n_attempts++];
	struct job_from from = next_from(run);
	struct outcome outcome = { 0 };
	bool stalled = false;
	*attempt = (struct transcode_attempt){ .engine = engine, .first = from.segment, .silent_ms = UNKNOWN_NUMBER };
	run->tried = clock_ms();
	run->finished[VIDEO] = false;
	tell(run, TRANSCODE_BEGINS, attempt, 0);
	const char *pattern = segment_pattern(run, kind_of(run), run->arena);
	if (!begin(run, VIDEO, job_video(run->job, engine, &run->options->tools, &from, pattern, run->arena)))
		return false;
	run->sign = clock_ms();
	if (!begin_audio(run) || !watch(run, attempt, &stalled))
		return false;
	spawn_end(&run->program[VIDEO], run->arena, &outcome);
	attempt->ms = clock_ms() - run->tried;
	if (!run->stopped)
		ended_how(run, attempt, &outcome, stalled);
	remove_untold(run, VIDEO);
	if (attempt->failed && attempt->segments)
		find_last_frame(run);
	return join_last(run);
}

/* Who goes on for the last attempt: one that does not do what failed. NULL: nobody. */
static const struct job_engine *next_engine(const struct run *run)
{
	const struct transcode_attempt *failed = &run->result->attempt[run->result->n_attempts - 1];
	const struct job_engine *const *engine = run->options->engines;
	if (failed->engine->software || failed->failure.kind == FAILURE_OUTPUT)
		return NULL;
	while (*engine != failed->engine)
		engine++;
	while (*++engine)
		if (failed->lost ? !(*engine)->decodes : (*engine)->software)
			return *engine;
	return NULL;
}

static bool encode(struct run *run)
{
	for (const struct job_engine *engine = run->options->engines[0];; engine = run->next) {
		if (!try_once(run, engine))
			return false;
		struct transcode_attempt *attempt = &run->result->attempt[run->result->n_attempts - 1];
		if (run->stopped || !attempt->failed)
			return true;
		run->next = next_engine(run);
		if (!run->next)
			return fail_with(run, engine->encoder->name, &attempt->failure);
		if (!run->silent) {
			run->silent = attempt;
			run->silent_since = run->sign;
		}
		tell(run, TRANSCODE_FALLS_BACK, attempt, attempt->frames);
	}
}

static bool await_audio(struct run *run)
{
	int64_t since = clock_ms();
	struct bytes line;
	pace_audio(run, false);
	while (run->program[AUDIO] && !run->stopped) {
		spawn_wait(run->program, PROGRAMS, stop_fd(), LOOK_MS);
		run->stopped = stop_asked();
		while (spawn_line(run->program[AUDIO], &line)) {
			since = clock_ms();
			if (!take_line(run, AUDIO, line))
				return false;
		}
		if (!look_at_audio(run))
			return false;
		if (clock_ms() - since > SOFTWARE_STALL_MS)
			return err_set(run->err, ERR_TIMEOUT, "the audio: it gives nothing any more");
	}
	return true;
}

/* ---- a file's end -------------------------------------------------------------------------------- */

/* Runs one of the short ones, stopped as the long ones are. */
static bool finish_with(struct run *run, const char *what, const char *const *argv)
{
	struct spawned *program = NULL;
	struct outcome outcome;
	int error = spawn_begin(argv, NULL, run->arena, &program);
	if (error)
		return err_errno(run->err, error, "%s", argv[0]);
	while (!spawn_ended(program) && !(run->stopped = stop_asked()))
		spawn_wait(&program, 1, stop_fd(), LOOK_MS);
	spawn_end(&program, run->arena, &outcome);
	if (run->stopped || !outcome.status)
		return true;
	struct failure failure = failure_of(outcome.status, false, outcome.err, run->arena);
	return fail_with(run, what, &failure);
}

/* Hardware does not always tell how far it puts frames out of order: two more do no harm. */
static bool read_stream(struct run *run, const struct job_engine *engine, const char *path, struct job_stream *ret)
{
	struct arena *arena = run->arena;
	const char *ffprobe = input_ffprobe(run->world, run->options->tools.ffmpeg, arena);
	/* its first frame is its first packet; of a single one ffprobe tells no start of the stream */
	const char *const argv[] = { ffprobe, "-v", "error", "-protocol_whitelist", "file", "-f", "nut",
		"-read_intervals", "%+#1", "-show_entries", "packet=pts_time:stream=has_b_frames", "-of", "csv=p=0", "-i",
		input_url(path, arena), NULL };
	struct outcome outcome = { 0 };
	uint64_t delay;
	*ret = (struct job_stream){ .path = path };
	if (ffprobe)
		world_run(run->world, &(struct command){ .argv = argv, .deadline_ms = 60000 }, arena, &outcome);
	struct words said = text_split(arena, outcome.out.data ? outcome.out.data : "", ",\n");
	if (said.n < 2 || !input_seconds(said.word[0], &ret->start_us) || !text_number(said.word[1], 10, 64, &delay))
		return err_set(run->err, ERR_SYSTEM, "%s: its times cannot be read", text_shown(arena, path));
	ret->delay = (unsigned)delay + (engine->software ? 0 : 2);
	return true;
}

/* The streams of several encoders become one for the muxer: a list of them, in one form. */
static bool put_list(struct run *run, struct job_stream *streams, size_t n, const char *list)
{
	struct arena *arena = run->arena;
	for (size_t i = 0; i < n && !job_joins_several(run->job); i++) {
		const char *moved = stream_path(run, video_kinds[i], "mov", arena);
		if (!finish_with(run, "moving", job_rebase(run->job, &run->options->tools, &streams[i], moved, arena)))
			return false;
		store_remove(streams[i].path);
		streams[i].path = moved;
	}
	const char *text = job_list(streams, n, arena);
	return store_put(list, (struct bytes){ text, strlen(text) }, 0644, run->err);
}

/* The video as one stream, or as a list. */
static bool gather(struct run *run, struct job_stream *ret, bool *ret_list)
{
	struct job_stream streams[TRANSCODE_ATTEMPTS] = { 0 };
	size_t n = 0;
	for (unsigned i = 0; i < run->result->n_attempts; i++) {
		const struct transcode_attempt *attempt = &run->result->attempt[i];
		const char *path = stream_path(run, video_kinds[i], "nut", run->arena);
		if (attempt->segments && !read_stream(run, attempt->engine, path, &streams[n++]))
			return false;
	}
	*ret_list = n > 1;
	*ret = streams[0];
	if (n < 2)
		return true;
	ret->path = in_work(run, "list", run->arena);
	for (size_t i = 1; i < n; i++)
		ret->delay = streams[i].delay > ret->delay ? streams[i].delay : ret->delay;
	return put_list(run, streams, n, ret->path);
}

static bool join_file(struct run *run)
{
	struct arena *arena = run->arena;
	const char *audio = run->job->with_audio ? in_work(run, "audio", arena) : NULL;
	const char *whole = arena_printf(arena, "%s/whole", run->beside.path);
	struct job_stream video = { 0 };
	bool list = false;
	tell(run, TRANSCODE_JOINS, NULL, 0);
	if (!gather(run, &video, &list))
		return false;
	if (run->stopped)
		return true;
	if (!finish_with(run, "joining video and audio",
	            job_join(run->job, &run->options->tools, &video, list, audio, whole, arena)))
		return false;
	if (run->stopped || !store_take(whole, run->job->output, run->options->replace, run->err))
		return run->stopped;
	run->result->output = true;
	return true;
}

/* ---- all of it --------------------------------------------------------------------------------------- */

static const char *folder_of(const char *path, struct arena *arena)
{
	const char *slash = strrchr(path, '/');
	return slash ? arena_strndup(arena, path, slash == path ? 1 : (size_t)(slash - path)) : ".";
}

/* Of this HLS, or of one that has its name? */
static bool is_part(const char *name, const char *stem)
{
	size_t size = strlen(stem);
	if (strncmp(name, stem, size) != 0 || name[size] != '.')
		return false;
	const char *rest = name + size + 1;
	size_t digits = *rest ? strspn(rest + 1, "0123456789") : 0;
	return strcmp(rest, "video.m3u8") == 0 || strcmp(rest, "audio.m3u8") == 0 ||
	       (digits >= 5 && (*rest == audio_kind || strchr(video_kinds, *rest)) && strcmp(rest + 1 + digits, ".ts") == 0);
}

/* Parts that are there, whatever they are: those of an older HLS, or what another program put there. */
static struct words parts_there(const struct job *job, struct arena *arena)
{
	struct words parts = { 0 };
	const char *folder = folder_of(job->output, arena), *stem = file_name(job_stem(job->output, arena));
	struct words names = job->form == JOB_HLS ? store_list(folder, arena) : parts;
	for (size_t i = 0; i < names.n; i++)
		if (is_part(names.word[i], stem))
			*arena_push(arena, parts.word, parts.n) = arena_printf(arena, "%s/%s", folder, names.word[i]);
	return parts;
}

bool transcode_may(const struct job *job, bool replace, struct arena *arena, struct err *err)
{
	const char *folder = folder_of(job->output, arena), *shown = text_shown(arena, job->output);
	struct words parts = parts_there(job, arena);
	enum store_kind kind = store_kind(folder, err);
	if (kind == STORE_UNKNOWN)
		return false;
	if (kind != STORE_FOLDER)
		return err_set(err, ERR_INPUT, "%s: is no folder", text_shown(arena, folder));
	if (store_same(job->input->path, job->output))
		return err_set(err, ERR_USAGE, "%s: the output is the input", shown);
	for (size_t i = 0; i < parts.n; i++)
		if (store_same(job->input->path, parts.word[i]))
			return err_set(err, ERR_USAGE, "%s: a part of the output would replace the input: %s", shown,
			        text_shown(arena, parts.word[i]));
	if (!store_there(job->output))
		return true;
	if (store_kind(job->output, NULL) == STORE_FOLDER)
		return err_set(err, ERR_INPUT, "%s: is a folder", shown);
	if (replace)
		return true;
	err_set(err, ERR_INPUT, "%s: is there already", shown);
	return err_hint(err, "--overwrite replaces it, once the new one is whole");
}

/* Memory that is full takes the whole machine along; of a disk it is only asked where the size was given. */
static bool has_room(const struct run *run, const char *folder, unsigned times)
{
	uint64_t room, needed = job_size(run->job) * times;
	bool memory;
	if (!store_room(folder, run->err, &room, &memory))
		return false;
	if (room >= needed || (!memory && run->job->wish.bit_rate == UNKNOWN_NUMBER))
		return true;
	err_set(run->err, ERR_INPUT, "%s: %" PRIu64 " MiB are free%s, about %" PRIu64 " MiB are needed",
	        text_shown(run->arena, folder), room >> 20, memory ? " in this memory" : "", (needed >> 20) + 1);
	return err_hint(run->err, "%s", memory ? "work on a disk, or ask for a lower bit rate" : "make room");
}

static bool prepare(struct run *run)
{
	const struct job *job = run->job;
	struct arena *arena = run->arena;
	const char *folder = folder_of(job->output, arena), *work = run->options->work;
	if (!transcode_may(job, run->options->replace, arena, run->err) || !has_room(run, folder, run->hls || work ? 1 : 2) ||
	        !store_claim(job->output, arena, run->err, &run->claim) ||
	        !transcode_may(job, run->options->replace, arena, run->err)) /* another one may have ended meanwhile */
		return false;
	if (run->hls) {
		run->stem = job_stem(job->output, arena);
		/* an older one of that name is over; and what is written goes into no link */
		store_remove(job->output);
		struct words parts = parts_there(job, arena);
		for (size_t i = 0; i < parts.n; i++)
			store_remove(parts.word[i]);
		return true;
	}
	if (work && !has_room(run, work, 1))
		return false;
	if (!store_work(folder, true, arena, run->err, &run->beside) ||
	        (work && !store_work(work, false, arena, run->err, &run->apart)))
		return false;
	run->work = work ? run->apart.path : run->beside.path;
	return true;
}

/* On a full disk the last segment may have been told of and not be there whole. */
static void drop_last(struct run *run)
{
	for (int of = 0; of < PROGRAMS; of++)
		if (run->segments[of].n)
			run->segments[of].n--;
}

/* What can be played is closed; if there is nothing, nothing is left. whole: nothing went wrong. */
static bool close_hls(struct run *run, bool whole)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *folder = folder_of(run->stem, &arena);
	if (run->disk_full)
		drop_last(run);
	bool some = run->segments[VIDEO].n && (!run->job->with_audio || run->segments[AUDIO].n || run->audio_done);
	for (int of = 0; of < PROGRAMS; of++) {
		/* what no list names */
		struct segments *segments = &run->segments[of];
		size_t kept = !some ? 0 : of == AUDIO ? audio_to_show(run, whole) : segments->n;
		for (size_t i = kept; i < segments->n; i++)
			store_remove(arena_printf(&arena, "%s/%s", folder, segments->list[i].name));
		remove_untold(run, of);
		segments->n = kept;
	}
	if (some)
		return publish(run, true);
	store_remove(run->job->output);
	for (int of = 0; of < PROGRAMS; of++)
		store_remove(playlist_path(run, of, &arena));
	run->result->output = false;
	return true;
}

static bool go(struct run *run)
{
	if (!encode(run) || !await_audio(run))
		return false;
	run->result->video_us = end_of(&run->segments[VIDEO]);
	run->result->segments = (unsigned)run->segments[VIDEO].n;
	if (run->stopped)
		return true;
	if (!run->segments[VIDEO].n)
		return err_set(run->err, ERR_INPUT, "%s: no frame of it could be decoded",
		        text_shown(run->arena, run->job->input->path));
	if (is_short(run))
		run->result->end = TRANSCODE_SHORT;
	return run->hls || join_file(run);
}

bool transcode_run(struct world *world, const struct job *job, const struct transcode_options *options,
        struct arena *arena, struct err *err, struct transcode_result *ret)
{
	struct transcode_result result = { .first_ms = UNKNOWN_NUMBER };
	struct err own = { 0 };
	struct run run = { .world = world,
		.job = job,
		.options = options,
		.arena = arena,
		.err = &own,
		.result = &result,
		.hls = job->form == JOB_HLS,
		.began = clock_ms(),
		.last_us = UNKNOWN_NUMBER };
	bool done = prepare(&run);
	bool prepared = done;
	done = done && go(&run);
	for (int of = 0; of < PROGRAMS; of++)
		spawn_end(&run.program[of], arena, NULL);
	if (run.stopped)
		result.end = TRANSCODE_STOPPED;
	result.video_us = end_of(&run.segments[VIDEO]);
	result.segments = (unsigned)run.segments[VIDEO].n;
	if (!done && err)
		*err = own; /* the first failure is the one that is told */
	if (prepared && run.hls && !close_hls(&run, done && !run.stopped) && done)
		done = err_wrap(&own, "closing the playlist");
	store_claim_end(&run.claim);
	store_work_end(&run.apart);
	store_work_end(&run.beside);
	result.ms = clock_ms() - run.began;
	if (err && !done && !err->kind)
		*err = own;
	*ret = result;
	return done;
}
