/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Whatever hardware does in the middle of a film, every frame is there once, at its time, and the audio is that of a
 * direct run. Each frame of the clip shows its number; the hardware is libx264 with other keyframes, B-frames and
 * parameter sets (tests/fake_ffmpeg.sh), which fails at a byte (tests/dies.c).
 *
 * GPUFERRY_RUNS=500 GPUFERRY_SEED=7: so many runs that fail at a byte that a seed gives.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "media.h"
#include "media/kept.h"
#include "media/playlist.h"
#include "media/transcode.h"
#include "sys/spawn.h"

enum { BITS = 16, ROW = 16 * BITS, CLIP_SECONDS = 8 };

#define ROW(name, codec, way)                                                                                                 \
	{                                                                                                              \
		PROOF_ENCODE, name, codec, 8, way, "", "", YES, YES, 4, "", "", "", "", 1, 400, "", 1, false          \
	}
static struct proof list[] = { ROW("h264_nvenc", "h264", "nvenc"), ROW("libx264", "h264", "software"),
	ROW("hevc_nvenc", "hevc", "nvenc"), ROW("libx265", "hevc", "software") };
static const struct proofs proofs = { .list = list, .n = COUNT(list) };
static const struct kept_options distribution = { .ffmpeg = "/usr/bin/ffmpeg" };
static const struct drm drm = { 0 };

static char base[] = "/tmp/gpuferry-film-XXXXXX";
static struct arena shared;
static const char *clip, *steady, *codec = "h264";

static struct outcome run_program(struct arena *arena, const char *const *argv)
{
	struct outcome outcome = { 0 };
	const struct command command = { .argv = argv, .deadline_ms = 120000, .output_max = 64 << 20 };
	assert_int_equal(spawn_run(&command, arena, &outcome), 0);
	if (outcome.status)
		fail_msg("%s: %s", text_sh_line(arena, argv), outcome.err.data);
	return outcome;
}

static void run_line(const char *line)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct words words = text_split(&arena, line, " ");
	*arena_push(&arena, words.word, words.n) = NULL;
	run_program(&arena, words.word);
}

/* ---- what comes out ------------------------------------------------------------------------ */

struct seen {
	unsigned frames;
	bool in_order; /* each number once, from 0 */
	bool second;   /* another decoder sees the same, or there is none */
	const char *times, *audio;
	const char *said; /* by the decoder */
};

/* Of one row of each frame's luma: how many there are, and whether they count from 0. */
static unsigned count_rows(struct bytes rows, bool *ret_in_order)
{
	unsigned frames = (unsigned)(rows.size / ROW);
	*ret_in_order = true;
	for (unsigned i = 0; i < frames; i++) {
		unsigned number = 0;
		for (unsigned bit = 0; bit < BITS; bit++)
			number |= ((unsigned char)rows.data[i * ROW + bit * 16 + 8] > 128 ? 1U : 0U) << bit;
		*ret_in_order &= number == i;
	}
	return frames;
}

static bool second_is_blind; /* it shows the hardware's own stream wrongly, without us */

/* By OpenH264, which knows nothing of ffmpeg's. False: it is not here, or not asked: it is no HEVC decoder, and shows
 * pictures around a long gap wrongly. */
static bool decode_again(const char *path, struct arena *arena, struct bytes *ret_rows)
{
	const char *decoder = getenv("GPUFERRY_SECOND_DECODER");
	const char *const argv[] = { "sh", "-c",
		"ffmpeg -v fatal -i \"$1\" -map 0:v -c copy -bsf:v h264_mp4toannexb,h264_metadata=aud=insert,setts=ts=N -f h264 - | \"$2\" 30",
		"sh", path, decoder, NULL };
	if (!decoder || strcmp(codec, "h264") != 0 || clip != steady || second_is_blind)
		return false;
	*ret_rows = run_program(arena, argv).out;
	return true;
}

static struct seen look(const char *path, struct arena *arena)
{
	struct seen seen = { .second = true };
	struct bytes again;
	const char *const numbers[] = { "ffmpeg", "-v", "error", "-i", path, "-map", "0:v", "-vsync", "drop", "-vf",
		"format=gray,crop=256:2:0:30,scale=256:1:flags=neighbor", "-f", "rawvideo", "-", NULL };
	const char *const times[] = { "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
		"frame=best_effort_timestamp_time", "-of", "csv=p=0", path, NULL };
	const char *const audio[] = { "ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-f", "md5", "-", NULL };
	struct outcome decoded = run_program(arena, numbers);
	seen.said = decoded.err.data;
	seen.frames = count_rows(decoded.out, &seen.in_order);
	if (decode_again(path, arena, &again)) {
		bool in_order;
		seen.second = count_rows(again, &in_order) == seen.frames && in_order == seen.in_order;
	}
	/* a keyframe's line ends in a comma where side data would stand */
	struct words list_of_times = text_split(arena, run_program(arena, times).out.data, ",\n");
	seen.times = "";
	char *text = arena_alloc(arena, 16 * list_of_times.n + 1), *end = text;
	for (size_t i = 0; i < list_of_times.n; i++)
		end += sprintf(end, "%.15s ", list_of_times.word[i]);
	seen.times = text;
	seen.audio = run_program(arena, audio).out.data;
	return seen;
}

static const char *const endings[] = { "mp4", "mkv", "m3u8" };
static struct seen direct[COUNT(endings)];

/* ---- a run ------------------------------------------------------------------------------------ */

struct film {
	struct stage stage;
	struct input input;
	struct job job;
	struct job_engine hardware, undecoded, software;
	const struct job_engine *engines[TRANSCODE_ATTEMPTS + 1];
	struct transcode_options options;
	struct transcode_result result;
	struct err err;
	bool done;
	bool kill; /* whoever encodes on hardware, from outside */
};

static struct film *film_open(struct film *film, const char *script, const char *ending)
{
	size_t first = strcmp(codec, "h264") == 0 ? 0 : 2;
	const struct job_wish wish = { codec, 0, 0, UNKNOWN_NUMBER, UNKNOWN_NUMBER, "aac", UNKNOWN_NUMBER, false };
	struct err err = { 0 };
	*film = (struct film){ 0 };
	struct arena *arena = &stage_open(&film->stage, script)->arena;
	const char *output = arena_printf(arena, "%s/it's 100%% out.%s", film->stage.folder, ending);
	if (!kept_input(film->stage.real, &distribution, clip, arena, &err, &film->input) ||
	        !job_make(&film->input, output, &wish, arena, &err, &film->job) ||
	        !job_engine(&film->job, &proofs, &list[first], &drm, arena, &err, &film->hardware) ||
	        !job_engine(&film->job, &proofs, &list[first + 1], &drm, arena, &err, &film->software))
		fail_msg("%s", err.text);
	film->engines[0] = &film->hardware;
	film->engines[1] = &film->software;
	film->options = (struct transcode_options){ .tools = { film->stage.path, "5.1", &proofs.filters },
		.engines = film->engines,
		.stall_ms = 20000, /* where nothing hangs, a machine under load is not taken for one that does */
		.start_ms = 60000 };
	return film;
}

/* Another process kills whoever encodes, when that one has had some time. */
static pid_t kill_from_outside(void)
{
	pid_t parent = getpid(), killer = fork();
	if (killer)
		return killer;
	struct arena arena = { 0 };
	for (int met = 0;;) {
		usleep(50000);
		struct words pids = text_split(
		        &arena, test_read(&arena, arena_printf(&arena, "/proc/%d/task/%d/children", parent, parent)).data, " ");
		for (size_t i = 0; i < pids.n; i++) {
			const char *path = arena_printf(&arena, "/proc/%s/cmdline", pids.word[i]);
			struct bytes line = access(path, R_OK) == 0 ? test_read(&arena, path) : (struct bytes){ "", 0 };
			if (memmem(line.data, line.size, "\0-an", 5) && ++met > 8) {
				kill(atoi(pids.word[i]), SIGKILL);
				_exit(0);
			}
		}
	}
}

static void film_run(struct film *film)
{
	struct spawned *loaded = NULL; /* as the verb does */
	pid_t killer = film->kill ? kill_from_outside() : 0;
	spawn_load(film->options.tools.ffmpeg, getenv("GPUFERRY_AHEAD"), &film->stage.arena, &loaded);
	film->options.loaded = &loaded;
	film->done = transcode_run(
	        film->stage.real, &film->job, &film->options, &film->stage.arena, &film->err, &film->result);
	spawn_end(&loaded, &film->stage.arena, NULL);
	if (killer > 0) {
		kill(killer, SIGKILL);
		waitpid(killer, NULL, 0);
	}
}

/* How many things are in the folder beside the program. */
static unsigned left_over(struct film *film)
{
	struct words names;
	unsigned n = 0;
	assert_int_equal(world_list(film->stage.real, film->stage.folder, &film->stage.arena, &names), 0);
	for (size_t i = 0; i < names.n; i++)
		n += !text_starts(names.word[i], "ffmpeg");
	return n;
}

static void film_close(struct film *film)
{
	struct words names;
	assert_int_equal(world_list(film->stage.real, film->stage.folder, &film->stage.arena, &names), 0);
	for (size_t i = 0; i < names.n; i++)
		unlink(arena_printf(&film->stage.arena, "%s/%s", film->stage.folder, names.word[i]));
	stage_close(&film->stage);
}

static size_t form_of(const char *ending)
{
	size_t i = 0;
	while (strcmp(endings[i], ending) != 0)
		i++;
	return i;
}

/* Of uneven times MP4 keeps what its unit allows, and ours is a finer one: by half a unit of the coarser one, which is
 * 1/10000 s at most. */
static bool same_times(const char *left, const char *right)
{
	if (strcmp(clip, steady) == 0)
		return strcmp(left, right) == 0;
	while (*left && *right) {
		char *left_end, *right_end;
		double apart = strtod(left, &left_end) - strtod(right, &right_end);
		if (apart > 0.00005 || apart < -0.00005)
			return false;
		left = left_end + 1;
		right = right_end + 1;
	}
	return *left == *right;
}

/* Where a playlist of this HLS says that another encoder's segments follow, in segments: "1 2 ". */
static const char *breaks_in(struct film *film, const char *ending)
{
	struct words names;
	struct arena *arena = &film->stage.arena;
	const char *breaks = "";
	assert_int_equal(world_list(film->stage.real, film->stage.folder, arena, &names), 0);
	for (size_t i = 0; i < names.n; i++) {
		struct bytes text, line;
		double seconds = 0;
		if (!text_ends(names.word[i], ending))
			continue;
		text = test_read(arena, arena_printf(arena, "%s/%s", film->stage.folder, names.word[i]));
		for (size_t cursor = 0; text_line(text, &cursor, &line);) {
			const char *said = arena_strndup(arena, line.data, line.size);
			if (text_starts(said, "#EXTINF:"))
				seconds += strtod(said + strlen("#EXTINF:"), NULL);
			if (strcmp(said, "#EXT-X-DISCONTINUITY") == 0)
				breaks = arena_printf(arena, "%s%.0f ", breaks, seconds / JOB_SEGMENT_SECONDS);
		}
	}
	return breaks;
}

static void check_film(struct film *film, const char *ending, const char *name)
{
	if (!film->done)
		fail_msg("%s, %s: %s", name, ending, film->err.text);
	const struct seen seen = look(film->job.output, &film->stage.arena), *as = &direct[form_of(ending)];
	if (seen.frames != as->frames || !seen.in_order)
		fail_msg("%s, %s: %u frames, not %u, or not in order", name, ending, seen.frames, as->frames);
	if (!seen.second)
		fail_msg("%s, %s: another decoder does not see the same", name, ending);
	if (*seen.said)
		fail_msg("%s, %s: the decoder says: %s", name, ending, seen.said);
	if (!same_times(seen.times, as->times))
		fail_msg("%s, %s: other times:\n%.99s\n%.99s", name, ending, seen.times, as->times);
	if (strcmp(seen.audio, as->audio) != 0)
		fail_msg("%s, %s: other audio", name, ending);
	assert_int_equal(film->result.end, TRANSCODE_WHOLE);
	assert_true(film->result.output);
	const char *video = breaks_in(film, ".video.m3u8"), *audio = breaks_in(film, ".audio.m3u8");
	unsigned encoders = 0;
	for (unsigned i = 0; i < film->result.n_attempts; i++)
		encoders += film->result.attempt[i].segments > 0;
	if (film->job.form == JOB_HLS && (strcmp(video, audio) != 0 || strlen(video) != 2 * (encoders - 1)))
		fail_msg("%s: %u encoders, and the playlists break at %sand %s", name, encoders, video, audio);
}

/* ---- the cases --------------------------------------------------------------------------------- */

/* What the script does with the program that encodes on hardware. Without a pyramid of B-frames: OpenH264 2.3 shows the last
 * one before a keyframe wrongly. */
#define HARDWARE "act() { case \"$*\" in *stream_segment*nvenc* | *nvenc*stream_segment*) on_hardware ;; esac; }\n"
#define DIES "export LD_PRELOAD=\"$GPUFERRY_DIES\" "
#define OTHER "hardware='-x264-params keyint=37:min-keyint=5:bframes=3:b-pyramid=none:ref=5:open-gop=0'\n"

static const struct {
	const char *name, *script;
	enum failure_kind kind;
	unsigned least, most; /* segments of it */
	unsigned stall_ms;
	bool kill;
} row[] = {
	{ "well", "on_hardware() { :; }", FAILURE_UNKNOWN, 3, 3, 0, false },
	{ "the limit", "on_hardware() { say '[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: out of memory (10): (no details)'; }",
	        FAILURE_LIMIT, 0, 0, 0, false },
	{ "no driver", "on_hardware() { say '[AVHWDeviceContext @ 0x1] Cannot load libcuda.so.1'; }", FAILURE_ABSENT, 0, 0, 0,
	        false },
	{ "hangs at the start", "on_hardware() { hang; }", FAILURE_BROKEN, 0, 0, 700, false },
	{ "the first frame", "on_hardware() { " DIES "DIES_AT=1 DIES_HOW=segv; }", FAILURE_BROKEN, 0, 0, 0, false },
	{ "in a segment", "on_hardware() { " DIES "DIES_AT=250000 DIES_HOW=kill; }", FAILURE_BROKEN, 1, 2, 0, false },
	{ "with a text", "on_hardware() { " DIES "DIES_AT=250000 DIES_HOW=exit DIES_SAYS='CUDA_ERROR_OUT_OF_MEMORY: x'; }",
	        FAILURE_LIMIT, 1, 2, 0, false },
	{ "between segments", "on_hardware() { " DIES "DIES_LINE=1 DIES_HOW=kill; }", FAILURE_BROKEN, 1, 1, 0, false },
	{ "hangs", "on_hardware() { " DIES "DIES_AT=250000 DIES_HOW=hang; }", FAILURE_BROKEN, 1, 2, 700, false },
	{ "leaves early", "on_hardware() { " DIES "DIES_LINE=1 DIES_HOW=leave; }", FAILURE_BROKEN, 1, 1, 0, false },
	/* it waits to be killed from outside */
	{ "kill -9", "on_hardware() { " DIES "DIES_AT=250000 DIES_HOW=hang; }", FAILURE_BROKEN, 0, 2, 0, true },
};

static void one_case(size_t i, const char *ending)
{
	struct film film;
	struct arena arena ARENA_SCOPED = { 0 };
	film_open(&film,
	        arena_printf(&arena, "GPUFERRY_DIES=%s\n" OTHER HARDWARE "%s", getenv("GPUFERRY_DIES"), row[i].script),
	        ending);
	if (row[i].stall_ms) {
		film.options.stall_ms = row[i].stall_ms;
		film.options.start_ms = 1500;
	}
	film.kill = row[i].kill;
	film_run(&film);
	check_film(&film, ending, row[i].name);
	const struct transcode_attempt *first = &film.result.attempt[0];
	bool fails = i > 0;
	assert_int_equal(film.result.n_attempts, fails ? 2 : 1);
	assert_int_equal(first->failed, fails);
	if (fails && (first->failure.kind != row[i].kind || !*failure_why(&first->failure, &arena)))
		fail_msg("%s: %s", row[i].name, failure_why(&first->failure, &arena));
	if (first->segments < row[i].least || first->segments > row[i].most)
		fail_msg("%s, %s: %u segments", row[i].name, ending, first->segments);
	if (fails)
		printf("# %s, %s: %u segments, silent for %lld ms\n", row[i].name, ending, first->segments,
		        (long long)first->silent_ms);
	assert_true(!fails || (first->silent_ms >= 0 && first->silent_ms < 20000));
	if (film.job.form != JOB_HLS)
		assert_int_equal(left_over(&film), 1);
	film_close(&film);
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		for (size_t form = 0; form < COUNT(endings); form++)
			if (form != 1 || i == 0 || i == 5) /* two files of one kind differ in the muxer alone */
				one_case(i, endings[form]);
}

/* Which limit it was, the driver tells; one that hangs costs little more than its deadline. */
static void test_limit(void **state)
{
	static const struct {
		const char *said, *why;
	} answer[] = {
		{ "session 1 60\nsession 2 60\nmemory 900\n", "2 are open" },
		{ "memory 16200\n", "184 of 16384 MiB are left" },
		{ "hang\n", "or the GPU's memory is full" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(answer); i++) {
		struct film film;
		struct arena arena ARENA_SCOPED = { 0 };
		film_open(&film, arena_printf(&arena, OTHER HARDWARE "%s", row[1].script), "m3u8");
		stage_nvml(&film.stage, answer[i].said);
		film.options.nvml = film.stage.nvml;
		film_run(&film);
		check_film(&film, "m3u8", answer[i].why);
		assert_int_equal(film.result.n_attempts, 2);
		if (!strstr(film.result.attempt[0].failure.cause, answer[i].why))
			fail_msg("%s", film.result.attempt[0].failure.cause);
		film_close(&film);
	}
}

/* ---- by seed --------------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);
	uint64_t number;
	return text && text_number(text, 10, UINT32_MAX, &number) ? number : otherwise;
}

/* OpenH264 2.3 shows the last B-frames before some keyframes wrongly, of a stream straight from libx264 too. */
static bool shows_plain(const char *parameters)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct bytes rows;
	bool in_order = true;
	const char *plain = arena_printf(&arena, "%s/plain.mp4", base);
	run_line(arena_printf(&arena,
	        "ffmpeg -v error -y -i %s -an -x264-params %s -preset ultrafast -c:v libx264 "
	        "-force_key_frames expr:gte(t,n_forced*3) %s",
	        steady, parameters, plain));
	second_is_blind = false;
	if (decode_again(plain, &arena, &rows))
		count_rows(rows, &in_order);
	unlink(plain);
	return in_order;
}

static void test_seeds(void **state)
{
	(void)state;
	static const char *const how[] = { "kill", "segv", "hang", "exit", "leave" };
	uint64_t runs = number_of("GPUFERRY_RUNS", 4), first = number_of("GPUFERRY_SEED", 1), fallen = 0, twice = 0;
	int64_t silent = 0;
	for (uint64_t i = 0; i < runs; i++) {
		struct film film;
		struct arena arena ARENA_SCOPED = { 0 };
		uint64_t seed = (first + i) * 0x9e3779b97f4a7c15U;
		unsigned at = (unsigned)(next_random(&seed) % 450000), frames = (unsigned)(next_random(&seed) % 4),
		         keys = 12 + (unsigned)(next_random(&seed) % 90), refs = 1 + (unsigned)(next_random(&seed) % 6);
		const char *dies = how[next_random(&seed) % COUNT(how)], *ending = endings[next_random(&seed) % COUNT(endings)];
		const char *name = arena_printf(&arena, "seed %llu: %s at %u, -bf %u -g %u", (unsigned long long)(first + i), dies,
		        at, frames, keys);
		const char *parameters = arena_printf(&arena, "keyint=%u:min-keyint=1:bframes=%u:b-pyramid=none:ref=%u:cabac=%u", keys,
		        frames, refs, at % 2);
		second_is_blind = !shows_plain(parameters);
		twice += !second_is_blind;
		film_open(&film,
		        arena_printf(&arena,
		                "hardware='-x264-params %s'\n" HARDWARE
		                "on_hardware() { export LD_PRELOAD=%s DIES_AT=%u DIES_HOW=%s; }",
		                parameters, getenv("GPUFERRY_DIES"), at, dies),
		        ending);
		if (strcmp(dies, "hang") == 0)
			film.options.stall_ms = film.options.start_ms = 1500;
		film_run(&film);
		check_film(&film, ending, name);
		fallen += film.result.n_attempts > 1;
		if (film.result.attempt[0].silent_ms > silent)
			silent = film.result.attempt[0].silent_ms;
		film_close(&film);
	}
	second_is_blind = false;
	printf("# %llu runs, %llu fell back, silent for at most %lld ms; %llu of them by two decoders\n", (unsigned long long)runs,
	        (unsigned long long)fallen, (long long)silent, getenv("GPUFERRY_SECOND_DECODER") ? (unsigned long long)twice : 0);
}

/* ---- when nothing goes on ------------------------------------------------------------------------------ */

static void test_failures(void **state)
{
	(void)state;
	static const struct {
		const char *name, *script, *ending, *says;
		bool output;
	} fail[] = {
		{ "the audio fails", "act() { case \"$*\" in *' -vn '*) say 'no aac here' ;; esac; }", "mp4", "no aac here", false },
		{ "software fails too", "act() { case \"$*\" in *' -an '*) say 'nothing works' ;; esac; }", "mp4", "nothing works",
		        false },
		{ "software fails too", "act() { case \"$*\" in *' -an '*) say 'nothing works' ;; esac; }", "m3u8",
		        "nothing works", false },
		{ "software fails later", "act() { case \"$*\" in *stream_segment*-an* | *-an*stream_segment*) " DIES
		        "DIES_LINE=1 DIES_HOW=kill ;; esac; }", "m3u8", "signal 9", true },
		{ "the disk is full",
		        "act() { case \"$*\" in *-an*) " DIES "DIES_AT=14000 DIES_HOW=exit "
		        "DIES_SAYS='av_interleaved_write_frame(): No space left on device' ;; esac; }",
		        "m3u8", "disk", false },
		{ "the disk is full later",
		        "act() { case \"$*\" in *-an*) " DIES "DIES_AT=250000 DIES_HOW=exit "
		        "DIES_SAYS='av_interleaved_write_frame(): No space left on device' ;; esac; }",
		        "m3u8", "disk", true },
		{ "joining fails", "act() { case \"$*\" in *' -c copy '*) say 'cannot join' ;; esac; }", "mp4", "cannot join",
		        false },
	};
	for (size_t i = 0; i < COUNT(fail); i++) {
		struct film film;
		struct arena arena ARENA_SCOPED = { 0 };
		film_open(&film, arena_printf(&arena, "GPUFERRY_DIES=%s\n%s", getenv("GPUFERRY_DIES"), fail[i].script),
		        fail[i].ending);
		film_run(&film);
		if (film.done || !strstr(film.err.text, fail[i].says))
			fail_msg("%s: %d %s", fail[i].name, film.done, film.err.text);
		assert_true(!film.result.output || fail[i].output); /* the audio may not have come that far */
		if (film.result.output) {
			struct seen seen = look(film.job.output, &film.stage.arena);
			assert_true(seen.frames >= 70 && seen.in_order && !*seen.said);
		} else if (left_over(&film)) {
			fail_msg("%s: something is left", fail[i].name);
		}
		film_close(&film);
	}
}

static void test_places(void **state)
{
	(void)state;
	struct film film;
	film_open(&film, "act() { :; }", "mp4");
	struct arena *arena = &film.stage.arena;
	FILE *there = fopen(film.job.output, "w");
	fputs("older", there);
	fclose(there);
	film_run(&film);
	assert_false(film.done);
	assert_non_null(strstr(film.err.text, "is there already"));
	assert_string_equal(test_read(arena, film.job.output).data, "older");
	film.options.replace = true;
	film.options.work = "/dev/shm";
	film_run(&film);
	check_film(&film, "mp4", "replaced");
	assert_int_equal(left_over(&film), 1);
	/* memory that it does not fit into */
	film.job.wish.bit_rate = 1000000000;
	film.input.duration_us = (int64_t)100000 * 3600 * 1000;
	film_run(&film);
	assert_false(film.done);
	assert_non_null(strstr(film.err.text, "MiB are free"));
	film.job.output = clip;
	film_run(&film);
	assert_false(film.done);
	assert_non_null(strstr(film.err.text, "the output is the input"));
	film_close(&film);
}

/* ---- playlists ---------------------------------------------------------------------------------------------- */

static void test_playlists(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct segment segment[] = { { "it's #1,%.ts", 0, 3003000, 0 }, { "b.ts", 3003000, 9000000, 1 }, { "c.ts", 9000000, 12000000, 2 } };
	const struct segments segments = { segment, 3 };
	assert_string_equal(playlist_media(&segments, 2, true, &arena),
	        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n"
	        "#EXT-X-INDEPENDENT-SEGMENTS\n#EXTINF:3.003000,\nit%27s%20%231%2C%25.ts\n#EXT-X-DISCONTINUITY\n"
	        "#EXTINF:5.997000,\nb.ts\n#EXT-X-ENDLIST\n");
	assert_non_null(strstr(playlist_media(&segments, 3, false, &arena),
	        "b.ts\n#EXT-X-DISCONTINUITY\n#EXT-X-DISCONTINUITY\n#EXTINF:3.000000,\nc.ts\n"));
	assert_null(strstr(playlist_media(&segments, 1, false, &arena), "b.ts"));
	static const struct {
		const char *line;
		int64_t end;
	} line[] = { { "v00000.nut,0.000000,3.044708", 3044708 }, { "\"a,b.ts\",3.0,6.5", 6500000 }, { "frame=3", -1 },
		{ "a,b,c", -1 }, { "a,1.0", -1 }, { ",,", -1 }, { "", -1 } };
	for (size_t i = 0; i < COUNT(line); i++) {
		int64_t end = -1;
		assert_int_equal(playlist_segment_line(bytes_of(line[i].line), &end), line[i].end >= 0);
		assert_int_equal(end, line[i].end);
	}
	assert_true(playlist_last_line(bytes_of("progress=end")) && !playlist_last_line(bytes_of("progress=continue")));
	int64_t frame = 0;
	assert_true(playlist_frame_line(bytes_of("frame=  120"), &frame) && frame == 120);
	assert_false(playlist_frame_line(bytes_of("frame=x"), &frame) || playlist_frame_line(bytes_of("fps=12"), &frame));
}

static void make_direct(size_t i)
{
	struct film film;
	film_open(&film, "act() { :; }", endings[i]);
	film.job.output = arena_printf(&shared, "%s/direct.%s", base, endings[i]);
	const struct job_tools tools = { "/usr/bin/ffmpeg", "5.1", NULL };
	run_program(&shared, job_direct(&film.job, &film.software, &tools, &shared));
	direct[i] = look(film.job.output, &shared);
	film_close(&film);
	assert_true(direct[i].in_order && direct[i].frames > 150);
}

/* Of the clip as it is now: between segments hardware fails. */
static void case_of_each_form(void)
{
	for (size_t form = 0; form < COUNT(endings); form++) {
		make_direct(form);
		one_case(7, endings[form]);
	}
}

static void back_to_steady(void)
{
	clip = steady;
	for (size_t form = 0; form < COUNT(endings); form++)
		make_direct(form);
}

/* Another codec, and frames that come when they like. */
static void test_others(void **state)
{
	(void)state;
	codec = "hevc";
	for (size_t form = 0; form < 2; form++) { /* 0: nothing fails, and times are told anew all the same */
		make_direct(form);
		one_case(0, endings[form]);
		one_case(7, endings[form]);
	}
	codec = "h264";
	/* a Matroska that claims a steady rate and has gaps, and an MP4 whose frames come when they like */
	static const struct {
		const char *name, *times;
	} uneven[] = { { "gaps.mkv", "N+floor(N/7)+20*floor(N/50))/24" },
		{ "uneven.mp4", "3*N+mod(N\\,3)+30*floor(N/50))/72" } };
	for (size_t i = 0; i < COUNT(uneven); i++) {
		clip = arena_printf(&shared, "%s/%s", base, uneven[i].name);
		run_line(arena_printf(&shared,
		        "ffmpeg -v error -y -i %s -vf setpts=(%s/TB -c:a copy -c:v libx264 -preset ultrafast -vsync vfr "
		        "-enc_time_base 1:72 %s",
		        steady, uneven[i].times, clip));
		case_of_each_form();
	}
	back_to_steady();
}

/* How many frames ffmpeg's own eye sees as two fields, and how many as one picture. */
static void count_fields(const char *path, unsigned *ret_fields, unsigned *ret_whole)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *const argv[] = { "ffmpeg", "-hide_banner", "-i", path, "-vf", "idet", "-f", "null", "-", NULL };
	struct outcome outcome = run_program(&arena, argv);
	const char *line = NULL; /* the last one: newer ffmpegs have a filter beside it that saw nothing */
	for (const char *at = outcome.err.data; (at = strstr(at, "Multi frame detection: ")); at++)
		line = at;
	unsigned top = 0, bottom = 0;
	if (!line || sscanf(line, "Multi frame detection: TFF: %u BFF: %u Progressive: %u", &top, &bottom, ret_whole) != 3)
		fail_msg("%s: %s", path, outcome.err.data);
	*ret_fields = top + bottom;
}

/* Two fields a frame, as television has them: no frame is lost, and none has lines of two moments. */
static void test_fields(void **state)
{
	(void)state;
	struct film film;
	unsigned fields, whole;
	clip = arena_printf(&shared, "%s/fields.mp4", base);
	run_line(arena_printf(&shared,
	        "ffmpeg -v error -y -i %s -vf setfield=tff -c:a copy -c:v libx264 -preset ultrafast -flags +ilme+ildct %s",
	        steady, clip));
	case_of_each_form();
	run_line(arena_printf(&shared,
	        "ffmpeg -v error -y -f lavfi -i testsrc2=s=320x240:r=50 -t 7 -vf tinterlace=interleave_top -r 25 -c:v libx264 "
	        "-preset ultrafast -flags +ilme+ildct %s",
	        clip));
	count_fields(clip, &fields, &whole);
	assert_true(fields == 175 && whole == 0);
	film_open(&film, "", "mp4");
	assert_true(film.input.interlaced);
	film_run(&film);
	if (!film.done)
		fail_msg("%s", film.err.text);
	count_fields(film.job.output, &fields, &whole);
	if (fields + whole != 175 || fields > 10)
		fail_msg("%u frames of two fields, %u of one", fields, whole);
	film_close(&film);
	back_to_steady();
}

/* HLS: the audio, which is quick, does not take the processors from a video that is not. */
static void test_pace(void **state)
{
	(void)state;
	struct film film;
	unsigned there = 0;
	clip = arena_printf(&shared, "%s/long.mp4", base);
	run_line(arena_printf(&shared,
	        "ffmpeg -v error -y -f lavfi -i color=s=64x64:r=5 -f lavfi -i sine=r=48000 -t 120 -c:v libx264 -preset ultrafast "
	        "-c:a aac %s",
	        clip));
	film_open(&film, HARDWARE "on_hardware() { sleep 3; for part in \"${0%/*}\"/*.a0*.ts; do note part; done; }", "m3u8");
	film_run(&film);
	if (!film.done)
		fail_msg("%s", film.err.text);
	assert_true(film.result.end == TRANSCODE_WHOLE && film.result.segments == 40);
	for (const char *at = stage_log(&film.stage); (at = strstr(at, "part\n")); at++)
		there++;
	printf("# %u segments of audio were there before the video's first\n", there);
	assert_in_range(there, 1, 8); /* of 40; two, where nothing else runs */
	film_close(&film);
	clip = steady;
}

#define CARD(kind, name, codec)                                                                                        \
	{                                                                                                              \
		kind, name, codec, 8, "vaapi", "/dev/dri/renderD128", "0000:00:02.0", YES, YES, 5, "", "", "", "", 1,  \
		        400, "video", 1, false                                                                         \
	}

/* How it ends, and how when it is begun again. */
static const char *card_script(const char *card, const char *ends, const char *again, struct arena *arena)
{
	const char *beds = getenv("GPUFERRY_BEDS");
	return arena_printf(arena,
	        "ends=%s\n"
	        "case \" $* \" in *' -an '*) [ ! -e \"$0.begun\" ] || ends=%s; : >\"$0.begun\" ;; esac\n"
	        "exec env BED_VA=%s BED_VA_ENDS=$ends LD_PRELOAD=%s/node.so LIBVA_DRIVERS_PATH=%s /usr/bin/ffmpeg \"$@\"",
	        ends, again, card, beds, beds);
}

/* A film for a card that decodes, scales and encodes. */
static void film_open_on_card(struct film *film, const char *ends, const char *again, const char *ending)
{
	static struct proof card[] = { CARD(PROOF_ENCODE, "h264_vaapi", "h264"),
		CARD(PROOF_DECODE, "h264", "h264"), CARD(PROOF_FILTER, "scale_vaapi", "") };
	static const struct proofs of_card = { .list = card, .n = COUNT(card) };
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	card[2].use = "scale";
	film_open(film, card_script("card", ends, again, &arena), ending);
	assert_true(job_engine(&film->job, &of_card, &card[0], stage_intel(), &film->stage.arena, &err, &film->hardware));
	assert_true(film->hardware.decodes);
	film->undecoded = job_engine_undecoded(&film->job, &of_card, &film->hardware);
	film->engines[1] = &film->undecoded;
	film->engines[2] = &film->software;
}

static bool lacks_card(struct arena *arena)
{
	const char *beds = getenv("GPUFERRY_BEDS");
	bool lacks = !beds || access(arena_printf(arena, "%s/iHD_drv_video.so", beds), R_OK) != 0;
	if (lacks)
		print_message("skipped: there is no libva-dev\n");
	return lacks;
}

/* A card that decodes, scales and encodes, and its driver (tests/beds): the frames never leave it. What it fails to decode
 * ffmpeg leaves out, and says that all went well: the processor decodes from there on, and the card encodes, until that
 * fails too. */
static void test_card(void **state)
{
	(void)state;
	static const char decoder[] = "the GPU's decoder failed", encoder[] = "failed on a picture";
	static const struct {
		const char *ends, *again;
		const char *why[TRANSCODE_ATTEMPTS];
		unsigned least, most; /* segments of the first one */
		bool file;            /* into a file too */
	} case_of[] = {
		{ "nothing:", "nothing:", { NULL }, 3, 3, true },
		{ "decode:0", "nothing:", { decoder }, 0, 0, false },
		{ "decode:120", "nothing:", { decoder }, 0, 1, false },
		{ "decode:120-120", "decode:0", { decoder }, 0, 1, true }, /* which is not asked again */
		{ "buffer:120-120", "nothing:", { decoder }, 0, 1, false },
		{ "decode:190", "nothing:", { decoder }, 0, 2, false },
		{ "encode:120", "nothing:", { encoder }, 0, 2, true }, /* newer ones close the segment that they were in */
		{ "decode:100", "encode:80", { decoder, encoder }, 0, 1, true },
		{ "decode:100", "encode:0", { decoder, encoder }, 0, 1, true }, /* the second one gives no segment */
		{ "decode:0", "encode:0", { decoder, encoder }, 0, 0, true },
	};
	struct arena arena ARENA_SCOPED = { 0 };
	if (lacks_card(&arena))
		skip();
	clip = arena_printf(&shared, "%s/card.mp4", base);
	run_line(arena_printf(&shared, "ffmpeg -v error -y -i %s -c:a copy -c:v libx264 -preset veryfast -refs 1 -bf 0 %s", steady,
	        clip));
	for (size_t form = 0; form < COUNT(endings); form++) {
		make_direct(form);
		for (size_t i = 0; i < COUNT(case_of); i++) {
			struct film film;
			if (strcmp(endings[form], "m3u8") != 0 && !case_of[i].file)
				continue;
			const char *name = arena_printf(&arena, "%s, %s, %s", case_of[i].ends, case_of[i].again, endings[form]);
			film_open_on_card(&film, case_of[i].ends, case_of[i].again, endings[form]);
			film_run(&film);
			check_film(&film, endings[form], name);
			const struct transcode_attempt *attempt = film.result.attempt;
			unsigned failed = 0;
			for (; failed < TRANSCODE_ATTEMPTS && case_of[i].why[failed]; failed++) {
				const struct failure *failure = &attempt[failed].failure;
				bool lost = case_of[i].why[failed] == decoder;
				if (!attempt[failed].failed || attempt[failed].lost != lost || failure->kind != FAILURE_BROKEN ||
				        !failure->cure || !strstr(failure_why(failure, &arena), case_of[i].why[failed]))
					fail_msg("%s: %u: %s", name, failed, failure_why(failure, &arena));
				if (attempt[failed + 1].engine != (lost ? &film.undecoded : &film.software))
					fail_msg("%s: %u: %s goes on", name, failed, attempt[failed + 1].engine->encoder->name);
				if ((attempt[failed].silent_ms >= 0) != (failed == 0 || attempt[failed].frames > 0))
					fail_msg("%s: %u: silent for %lld ms", name, failed, (long long)attempt[failed].silent_ms);
			}
			assert_int_equal(film.result.n_attempts, failed + 1);
			if (attempt[0].segments < case_of[i].least || attempt[0].segments > case_of[i].most)
				fail_msg("%s: %u segments", name, attempt[0].segments);
			printf("# %s: %u, %u, %u segments\n", name, attempt[0].segments, attempt[1].segments, attempt[2].segments);
			if (film.job.form != JOB_HLS)
				assert_int_equal(left_over(&film), 1);
			film_close(&film);
		}
	}
	back_to_steady();
}

/* HDR10 from software's decoder over the card's scaler and tone map into its encoder. */
static void test_card_maps(void **state)
{
	(void)state;
	static struct proof card[] = { CARD(PROOF_ENCODE, "h264_vaapi", "h264"), CARD(PROOF_FILTER, "tonemap_vaapi", "") };
	static const struct proofs of_card = { .list = card, .n = COUNT(card) };
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct film film;
	if (lacks_card(&arena))
		skip();
	card[1].use = "tonemap";
	card[1].bits = 10;
	clip = arena_printf(&shared, "%s/hdr.mp4", base);
	run_line(arena_printf(&shared,
	        "ffmpeg -v error -y -f lavfi -i testsrc2=s=320x180:r=24 -t 4 -pix_fmt yuv420p10le -c:v libx265 -preset ultrafast "
	        "-x265-params log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:max-cll=1000,400:"
	        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1) -tag:v hvc1 %s",
	        clip));
	for (size_t form = 0; form < COUNT(endings); form += 2) {
		film_open(&film, card_script("mapper", "nothing:", "nothing:", &arena), endings[form]);
		assert_true(film.input.range == RANGE_HDR10 && film.input.mastered);
		assert_true(job_engine(&film.job, &of_card, &card[0], stage_intel(), &film.stage.arena, &err, &film.hardware));
		assert_non_null(film.hardware.tone_map);
		film_run(&film);
		if (!film.done || film.result.n_attempts != 1)
			fail_msg("%s %s", film.err.text, failure_why(&film.result.attempt[0].failure, &arena));
		const char *const argv[] = { "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries",
			"stream=nb_read_frames,width,height,pix_fmt", "-of", "csv=p=0", film.job.output, NULL };
		if (!text_starts(run_program(&arena, argv).out.data, "320,180,yuv420p,96"))
			fail_msg("%s", run_program(&arena, argv).out.data);
		film_close(&film);
	}
	back_to_steady();
}

/* Of a film that ends before it claims to nobody can find more: what is there is kept, and is told as short. */
static void test_cut(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	const char *whole = arena_printf(&arena, "%s/whole.mkv", base), *cut = arena_printf(&shared, "%s/cut.mkv", base);
	run_line(arena_printf(&arena, "ffmpeg -v error -y -i %s -c:a copy -c:v libx264 -preset veryfast -refs 1 -bf 0 %s", steady,
	        whole));
	struct bytes text = test_read(&arena, whole);
	FILE *file = fopen(cut, "w");
	assert_non_null(file);
	fwrite(text.data, 1, text.size * 6 / 10, file);
	fclose(file);
	clip = cut;
	const struct seen as = look(cut, &arena);
	for (size_t form = 0; form < COUNT(endings); form++) {
		struct film film;
		film_open(&film, OTHER HARDWARE "on_hardware() { :; }", endings[form]);
		film_run(&film);
		if (!film.done)
			fail_msg("%s: %s", endings[form], film.err.text);
		const struct transcode_attempt *attempt = film.result.attempt;
		assert_int_equal(film.result.end, TRANSCODE_SHORT);
		assert_true(film.result.n_attempts == 2 && attempt[0].failed && attempt[1].segments == 0);
		assert_true(attempt[0].silent_ms == UNKNOWN_NUMBER);
		const struct seen seen = look(film.job.output, &film.stage.arena);
		if (seen.frames != as.frames || !seen.in_order || *seen.said)
			fail_msg("%s: %u frames, not %u %s", endings[form], seen.frames, as.frames, seen.said);
		assert_string_equal(breaks_in(&film, ".video.m3u8"), "");
		assert_string_equal(breaks_in(&film, ".audio.m3u8"), "");
		film_close(&film);
	}
	clip = steady;
}

/* Killed when all was there. */
static void test_late(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	for (size_t form = 0; form < COUNT(endings); form++) {
		struct film film;
		film_open(&film,
		        arena_printf(&arena, "GPUFERRY_DIES=%s\n" OTHER HARDWARE "on_hardware() { " DIES "DIES_LINE=3 DIES_HOW=kill; }",
		                getenv("GPUFERRY_DIES")),
		        endings[form]);
		film_run(&film);
		check_film(&film, endings[form], "killed behind the last segment");
		assert_true(film.result.n_attempts == 2 && film.result.attempt[0].segments == 3 && film.result.attempt[1].segments == 0);
		film_close(&film);
	}
}

/* A rate that no frame keeps to, and of three encoders the second gives nothing: where the first one ended is still known. */
static void test_uneven_card(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	if (lacks_card(&arena))
		skip();
	clip = arena_printf(&shared, "%s/pairs.mkv", base);
	run_line(arena_printf(&shared,
	        "ffmpeg -v error -y -i %s -f lavfi -i sine=r=48000:d=57 -map 0:v -map 1:a "
	        "-vf setpts=(43*floor(N/2)+mod(N\\,2))/72/TB -c:a aac -c:v libx264 -preset veryfast -refs 1 -bf 0 -vsync vfr "
	        "-enc_time_base 1:72 %s",
	        steady, clip));
	for (size_t form = 0; form < COUNT(endings); form++) {
		struct film film;
		make_direct(form);
		film_open_on_card(&film, "decode:60", "encode:0", endings[form]);
		assert_false(film.input.steady);
		film_run(&film);
		check_film(&film, endings[form], "decode:60, encode:0, in pairs");
		assert_true(film.result.n_attempts == 3 && film.result.attempt[0].segments && !film.result.attempt[1].segments);
		film_close(&film);
	}
	back_to_steady();
}

/* Video that is shorter than a segment does not wait for all of its audio. */
static void test_short_video(void **state)
{
	(void)state;
	struct film film;
	clip = arena_printf(&shared, "%s/short.mp4", base);
	run_line(arena_printf(&shared,
	        "ffmpeg -v error -y -f lavfi -i color=s=64x64:r=24:d=1 -f lavfi -i sine=r=48000:d=20 -c:v libx264 -preset ultrafast "
	        "-c:a aac %s",
	        clip));
	film_open(&film,
	        "act() { case \"$*\" in *' -vn '*) \"$real\" \"$@\" || exit; for _ in $(seq 200); do "
	        "[ ! -e \"${0%/*}/it's 100% out.m3u8\" ] || exit 0; sleep 0.1; done; exit 1 ;; esac; }",
	        "m3u8");
	film.engines[0] = &film.software;
	film.engines[1] = NULL;
	film_run(&film);
	if (!film.done)
		fail_msg("%s", film.err.text);
	assert_int_equal(film.result.end, TRANSCODE_WHOLE);
	film_close(&film);
	clip = steady;
}

static int make_films(void **state)
{
	(void)state;
	if (!mkdtemp(base))
		return -1;
	clip = steady = arena_printf(&shared, "%s/clip.mp4", base);
	run_line(arena_printf(&shared,
	        "ffmpeg -v error -y -f lavfi -i "
	        "color=black:s=256x64:r=24000/1001,format=gray,geq=lum='if(bitand(N\\,pow(2\\,floor(X/16)))\\,235\\,16)',"
	        "noise=c0s=6:c0f=t,format=yuv420p -f lavfi -i sine=f=440:r=48000:b=2 -t %d -c:v libx264 -preset ultrafast "
	        "-g 60 -bf 2 -c:a aac %s",
	        CLIP_SECONDS, clip));
	for (size_t i = 0; i < COUNT(endings); i++)
		make_direct(i);
	return 0;
}

static int drop_films(void **state)
{
	(void)state;
	DIR *folder = opendir(base);
	for (struct dirent *entry; folder && (entry = readdir(folder));)
		unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
	rmdir(base);
	arena_release(&shared);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_playlists),
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_card),
		cmocka_unit_test(test_card_maps),
		cmocka_unit_test(test_uneven_card),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_short_video),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_seeds),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_places),
	};
	return cmocka_run_group_tests(tests, make_films, drop_films);
}
