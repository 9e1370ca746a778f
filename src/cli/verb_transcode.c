/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "media/kept.h"
#include "media/transcode.h"
#include "sys/nvml.h"
#include "sys/spawn.h"
#include "sys/stop.h"

struct asked {
	struct app *app;
	struct world *world;
	struct job job;
	struct encode_choice choice;
	struct job_engine engine, undecoded, software;
	const struct job_engine *engines[TRANSCODE_ATTEMPTS + 1]; /* of these, those that there are; NULL behind them */
	struct job_tools tools;
	struct spawned *loaded; /* ffmpeg; NULL */
};

/* ---- what was typed ------------------------------------------------------------------- */

static bool wrong(struct err *err, const char *option, const char *value, const char *form)
{
	struct arena arena ARENA_SCOPED = { 0 };
	err_set(err, ERR_USAGE, "--%s %s: no such value", option, text_shown(&arena, value));
	return err_hint(err, "%s", form);
}

static bool take_number(const char *option, const char *value, uint64_t least, uint64_t most, const char *form,
        struct err *err, int64_t *ret)
{
	uint64_t number;
	if (!value)
		return true;
	if (!text_number(value, 10, most, &number) || number < least)
		return wrong(err, option, value, form);
	*ret = (int64_t)number;
	return true;
}

/* "4M", "2500k", "4000000" */
static bool take_rate(const char *value, struct arena *arena, struct err *err, int64_t *ret)
{
	static const char form[] = "bits a second, 10k to 1000M: 4M, 2500k";
	if (!value)
		return true;
	size_t size = strlen(value);
	char unit = size ? value[size - 1] : ' ';
	int64_t times = unit == 'k' || unit == 'K' ? 1000 : unit == 'm' || unit == 'M' ? 1000000 : 1, number = 0;
	const char *digits = arena_strndup(arena, value, times > 1 ? size - 1 : size);
	if (!take_number("bitrate", digits, 1, 1000000000, form, err, &number))
		return false;
	if (number * times < 10000 || number * times > 1000000000)
		return wrong(err, "bitrate", value, form);
	*ret = number * times;
	return true;
}

/* "720", "1280x720" */
static bool take_size(const char *value, struct arena *arena, struct err *err, struct job_wish *wish)
{
	static const char form[] = "a height or a box, 16 to 16384: 720, 1280x720";
	int64_t width = 0, height = 0;
	const char *cross = value ? strchr(value, 'x') : NULL;
	if (!value)
		return true;
	const char *left = arena_strndup(arena, value, cross ? (size_t)(cross - value) : 0);
	if ((cross && !take_number("size", left, 16, 16384, form, err, &width)) ||
	        !take_number("size", cross ? cross + 1 : value, 16, 16384, form, err, &height))
		return false;
	wish->width = (unsigned)width;
	wish->height = (unsigned)height;
	return true;
}

static bool take_word(const char *option, const char *value, const char *words, struct err *err, const char **ret)
{
	if (!value)
		return true;
	if (!*value || !text_has_word(words, value, " "))
		return wrong(err, option, value, words);
	*ret = value;
	return true;
}

static bool take_wish(const struct app *app, struct arena *arena, struct err *err, struct job_wish *ret)
{
	struct job_wish wish = { .bit_rate = UNKNOWN_NUMBER,
		.quality = UNKNOWN_NUMBER,
		.audio = "aac",
		.subtitle = UNKNOWN_NUMBER,
		.keep_hdr = app->keep_hdr };
	if (!take_word("codec", app->codec, "h264 hevc av1", err, &wish.codec) ||
	        !take_size(app->size, arena, err, &wish) || !take_rate(app->bitrate, arena, err, &wish.bit_rate) ||
	        !take_number("quality", app->quality, 1, 63, "1 to 63, less is better", err, &wish.quality) ||
	        !take_word("audio", app->audio, "aac copy none", err, &wish.audio) ||
	        !take_number("burn", app->burn, 1, 1000, "the number of a subtitle, from 1", err, &wish.subtitle))
		return false;
	if (app->bitrate && app->quality)
		return err_set(err, ERR_USAGE, "--bitrate and --quality at once: one follows from the other");
	if (app->burn)
		wish.subtitle--;
	*ret = wish;
	return true;
}

/* ---- the choice ---------------------------------------------------------------------------- */

static void unseen(void *data, int error, const char *what)
{
	(void)data;
	(void)error;
	(void)what;
}

static bool no_encoder(const struct encode_choice *choice, struct arena *arena, struct err *err)
{
	err_set(err, ERR_INPUT, "no encoder works for this: %s",
	        choice->n_passed ? arena_printf(arena, "%s: %s", choice->passed[0].proof->name, choice->passed[0].why)
	                         : choice->why);
	return err_hint(err, "gpuferry inspect --encoders --all tells of each one");
}

/* Where the driver has refused a session of late: does it still have as many? */
static void count_sessions(const struct asked *asked, struct encode_job *job, struct arena *arena)
{
	enum { NVML_MS = 300 };
	const char *folder = place_kept(arena);
	struct nvml_cards cards;
	job->session_limit = folder ? kept_limit(folder, world_now(asked->world), arena) : UNKNOWN_NUMBER;
	if (job->session_limit != UNKNOWN_NUMBER && nvml_ask(NVML_LIBRARY, NVML_MS, &cards))
		job->sessions = nvml_sessions(&cards);
}

static bool choose(struct asked *asked, const struct kept_options *kept, struct arena *arena, struct err *err)
{
	struct world *world = asked->world;
	const struct app *app = asked->app;
	struct drm drm = { 0 };
	drm_gather(world, false, arena, &drm, unseen, NULL);
	const struct proofs *proofs = kept_proofs(world, &drm, kept, arena, err);
	if (!proofs)
		return false;
	asked->tools = (struct job_tools){ proofs->ffmpeg, proofs->version, &proofs->filters };
	struct encode_job wanted = job_encode(&asked->job);
	count_sessions(asked, &wanted, arena);
	const struct encode_wish wish = { app->goal.prefer, app->goal.veto };
	asked->choice = encode_choose(proofs, &wanted, &wish, arena);
	const struct proof *best = asked->choice.best, *software = best ? job_software(proofs, best) : NULL;
	if (!best)
		return no_encoder(&asked->choice, arena, err);
	asked->job.codec = best->codec;
	if (!job_engine(&asked->job, proofs, best, &drm, arena, err, &asked->engine) ||
	        (software && !job_engine(&asked->job, proofs, software, &drm, arena, err, &asked->software)))
		return false;
	asked->undecoded = job_engine_undecoded(&asked->job, proofs, &asked->engine);
	size_t n = 0;
	asked->engines[n++] = &asked->engine;
	if (asked->engine.decodes)
		asked->engines[n++] = &asked->undecoded;
	if (software)
		asked->engines[n++] = &asked->software;
	return true;
}

/* While ffprobe reads a film, ffmpeg is loaded. Where that cannot be it is begun later. */
static void load(void *data, const char *ffmpeg)
{
	struct asked *asked = data;
	const char *library = asked->app->print ? NULL : place_ahead(asked->app->arena);
	if (library)
		spawn_load(ffmpeg, library, asked->app->arena, &asked->loaded);
}

/* Everything that can refuse does so before an encoder is proven or begun. */
static bool prepare(struct asked *asked, char **argv, struct arena *arena, struct err *err)
{
	const struct app *app = asked->app;
	struct job_wish wish;
	struct input *input = arena_new(arena, struct input);
	const struct kept_options kept = { .ffmpeg = app->ffmpeg,
		.folder = place_kept(arena),
		.fresh = app->fresh,
		.proof.nvml = NVML_LIBRARY,
		.asks = load,
		.data = asked };
	return take_wish(app, arena, err, &wish) && kept_input(asked->world, &kept, argv[0], arena, err, input) &&
	       job_make(input, argv[1], &wish, arena, err, &asked->job) &&
	       (app->print || transcode_may(&asked->job, app->overwrite, arena, err)) &&
	       choose(asked, &kept, arena, err);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *engine_json(const struct job_engine *engine)
{
	json_t *object = json_object();
	json_put(object, "encoder", json_text(engine->encoder->name));
	json_put(object, "way", json_text(media_ways[engine->device.way].name));
	json_put(object, "device", json_text(engine->proof->device));
	json_put(object, "rung", json_number(engine->proof->rung));
	return object;
}

static json_t *attempt_json(const struct transcode_attempt *attempt)
{
	struct arena arena ARENA_SCOPED = { 0 };
	json_t *object = engine_json(attempt->engine);
	json_put(object, "decodes", json_tri(tri_of(attempt->engine->decodes)));
	json_put(object, "first_segment", json_number(attempt->first));
	json_put(object, "segments", json_number(attempt->segments));
	json_put(object, "frames", json_number(attempt->frames));
	json_put(object, "ms", json_number(attempt->ms));
	json_put(object, "failed", json_tri(tri_of(attempt->failed)));
	json_put(object, "reason", json_text(attempt->failed ? failure_kind_name(attempt->failure.kind) : NONE));
	json_put(object, "why", json_raw_text(attempt->failed ? failure_why(&attempt->failure, &arena) : ""));
	json_put(object, "cure", json_text(attempt->failed && attempt->failure.cure ? attempt->failure.cure : NONE));
	json_put(object, "silent_ms", json_number(attempt->silent_ms));
	return object;
}

static json_t *document_of(const struct asked *asked)
{
	static const char *const ranges[] = { "sdr", "hdr10", "hlg" };
	const struct input *input = asked->job.input;
	json_t *document = json_document("transcode"), *in = json_object(), *choice = engine_json(&asked->engine);
	json_put(in, "path", json_raw_text(input->path));
	json_put(in, "codec", json_text(input->codec));
	json_put(in, "width", json_number(input->width));
	json_put(in, "height", json_number(input->height));
	json_put(in, "bits", json_number(input->bits));
	json_put(in, "range", json_text(ranges[input->range]));
	json_put(in, "interlaced", json_tri(tri_of(input->interlaced)));
	json_put(in, "duration_us", json_number(input->duration_us));
	json_put(document, "input", in);
	json_put(document, "output", json_raw_text(asked->job.output));
	json_put(document, "width", json_number(asked->job.width));
	json_put(document, "height", json_number(asked->job.height));
	json_put(choice, "codec", json_text(asked->job.codec));
	json_put(choice, "bits", json_number(asked->job.bits));
	json_put(choice, "decodes", json_tri(tri_of(asked->engine.decodes)));
	json_put(choice, "why", json_raw_text(asked->choice.why));
	json_put(choice, "passed_over", show_passed_json(&asked->choice));
	json_put(document, "choice", choice);
	return document;
}

static void print_json(const struct asked *asked, const struct transcode_result *result, const struct err *err)
{
	static const char *const ends[] = { "whole", "short", "stopped" };
	json_t *document = document_of(asked), *attempts = json_array();
	for (unsigned i = 0; i < result->n_attempts; i++)
		json_add(attempts, attempt_json(&result->attempt[i]));
	json_put(document, "end", json_text(err->kind ? "failed" : ends[result->end]));
	json_put(document, "error", json_text(err->kind ? err->text : NONE));
	json_put(document, "written", json_tri(tri_of(result->output)));
	json_put(document, "attempts", attempts);
	json_put(document, "segments", json_number(result->segments));
	json_put(document, "video_us", json_number(result->video_us));
	json_put(document, "ms", json_number(result->ms));
	json_put(document, "first_ms", json_number(result->first_ms));
	out_json(asked->app, document, NULL);
}

/* ---- people ------------------------------------------------------------------------------------ */

static const char *clock_text(int64_t seconds, struct arena *arena)
{
	return seconds < 0 ? "?"
	                   : arena_printf(arena, "%lld:%02lld:%02lld", (long long)seconds / 3600,
	                             (long long)seconds / 60 % 60, (long long)seconds % 60);
}

static const char *engine_text(const struct job_engine *engine, struct arena *arena)
{
	return engine->software ? arena_printf(arena, "%s (software)", engine->encoder->name)
	                        : arena_printf(arena, "%s (%s%s%s, rung %d)", engine->encoder->name,
	                                  media_ways[engine->device.way].name, engine->device.node ? " " : "",
	                                  engine->device.node ? engine->device.node : "", engine->proof->rung);
}

static void show_progress(const struct app *app, const struct transcode_event *event, struct arena *arena)
{
	enum { WIDTH = 20 };
	char bar[WIDTH + 1];
	int64_t done = event->of_us > 0 ? event->at_us * WIDTH / event->of_us : 0;
	memset(bar, '-', WIDTH);
	memset(bar, '#', done < 0 ? 0 : done > WIDTH ? WIDTH : (size_t)done);
	bar[WIDTH] = '\0';
	const struct job_engine *engine = event->attempt->engine;
	const char *percent = event->of_us > 0
	                              ? arena_printf(arena, "%3lld%%", (long long)(event->at_us * 100 / event->of_us))
	                              : clock_text(event->at_us / 1000000, arena);
	const char *speed = event->speed > 0 ? arena_printf(arena, "%.2fx", (double)event->speed / 1000) : "?x";
	/* a line that wraps could not be taken back */
	printf("\r\033[K[%s] %s %s, %s left, %s rung %d", bar, percent, speed, clock_text(event->left_s, arena),
	        engine->encoder->name, engine->proof->rung);
	fflush(stdout);
	(void)app;
}

/* Whoever tells of health is to know that hardware failed in earnest; and the next job, how many sessions were too many. */
static void tell_failure(const struct asked *asked, const struct transcode_attempt *attempt)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *folder = place_kept(&arena);
	int64_t now = world_now(asked->world);
	enum failure_kind kind = attempt->failure.kind;
	if (!folder || attempt->engine->software || !attempt->failed || kind == FAILURE_INPUT || kind == FAILURE_OUTPUT)
		return;
	if (attempt->failure.sessions)
		kept_tell_limit(folder, attempt->failure.sessions, now);
	kept_tell_failure(folder, &(struct kept_failure){ now,
	                          arena_printf(&arena, "%s%s failed in a transcode: %s", attempt->lost ? "decoding for " : "",
	                                  attempt->engine->encoder->name, failure_why(&attempt->failure, &arena)) });
}

/* What could not be told while it ran: of one that ended early only who went on can tell whether there was more. Or that
 * hardware has done a whole film since. */
static void tell_end(const struct asked *asked, const struct transcode_result *result, bool whole)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *folder = place_kept(&arena);
	for (unsigned i = 0; i < result->n_attempts; i++) {
		const struct transcode_attempt *attempt = &result->attempt[i];
		bool last = i + 1 == result->n_attempts;
		if (attempt->early ? whole : last)
			tell_failure(asked, attempt);
	}
	if (folder && whole && result->n_attempts == 1 && !result->attempt[0].engine->software)
		kept_tell_failure(folder, NULL);
}

static void show(void *data, const struct transcode_event *event)
{
	const struct asked *asked = data;
	const struct app *app = asked->app;
	if (event->what == TRANSCODE_FALLS_BACK && !event->attempt->early)
		tell_failure(asked, event->attempt); /* at once: who goes on may do so for hours */
	struct arena arena ARENA_SCOPED = { 0 };
	const char *back = app->terminal ? "\r\033[K" : "";
	if (app->json)
		return;
	switch (event->what) {
	case TRANSCODE_BEGINS:
		if (app->terminal && !app->quiet)
			printf("%swith %s\n", back, engine_text(event->attempt->engine, &arena));
		break;
	case TRANSCODE_PROGRESS:
		if (app->terminal && !app->quiet)
			show_progress(app, event, &arena);
		return;
	case TRANSCODE_FALLS_BACK:
		printf("%s%s%s%s failed at %s: %s\n  %s\n", back, out_colour(app, YELLOW),
		        event->attempt->engine->encoder->name, out_plain(app),
		        clock_text(event->at_us / 1000000, &arena),
		        text_shown(&arena, failure_why(&event->attempt->failure, &arena)),
		        event->next->software ? "software goes on" : "it goes on with what the processor decodes");
		break;
	case TRANSCODE_JOINS:
		if (app->terminal && !app->quiet)
			printf("%sjoining video and audio", back);
		break;
	}
	fflush(stdout);
}

static void show_end(const struct asked *asked, const struct transcode_result *result)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const struct app *app = asked->app;
	const struct transcode_attempt *last = &result->attempt[result->n_attempts - 1];
	double seconds = (double)result->ms / 1000;
	if (app->terminal)
		printf("\r\033[K");
	if (app->quiet)
		return;
	printf("%s: %s of video in %.1f s (%.2fx), %s\n", text_shown(&arena, asked->job.output),
	        clock_text(result->video_us / 1000000, &arena), seconds,
	        seconds > 0 ? (double)result->video_us / 1e6 / seconds : 0, engine_text(last->engine, &arena));
}

/* ---- the verb ------------------------------------------------------------------------------------ */

static int print_line(const struct asked *asked, struct arena *arena)
{
	const char *const *argv = job_direct(&asked->job, &asked->engine, &asked->tools, arena);
	if (!asked->app->json) {
		puts(text_sh_line(arena, argv));
		return EXIT_AS_WISHED;
	}
	json_t *document = document_of(asked), *words = json_array();
	for (; *argv; argv++)
		json_add(words, json_raw_text(*argv));
	json_put(document, "argv", words);
	out_json(asked->app, document, NULL);
	return EXIT_AS_WISHED;
}

static int run(struct asked *asked, int64_t stall, struct arena *arena)
{
	struct err err = { 0 };
	struct transcode_result result;
	const struct transcode_options options = { .tools = asked->tools,
		.loaded = &asked->loaded,
		.engines = asked->engines,
		.work = asked->app->work,
		.replace = asked->app->overwrite,
		.stall_ms = (unsigned)stall * 1000,
		.nvml = NVML_LIBRARY,
		.tell = show,
		.data = asked };
	stop_watch();
	bool done = transcode_run(asked->world, &asked->job, &options, arena, &err, &result);
	tell_end(asked, &result, done && result.end == TRANSCODE_WHOLE);
	if (asked->app->json)
		print_json(asked, &result, &err);
	if (!done) {
		if (asked->app->terminal)
			printf("\r\033[K");
		return out_error(asked->app, &err);
	}
	if (result.end == TRANSCODE_STOPPED) {
		err_set(&err, ERR_SYSTEM, "stopped: %s",
		        result.output ? "what was there is closed, and can be played" : "nothing is left of it");
		return out_error(asked->app, &err);
	}
	if (!asked->app->json)
		show_end(asked, &result);
	if (result.end != TRANSCODE_SHORT)
		return EXIT_AS_WISHED;
	err_set(&err, ERR_INPUT, "%s: it ends after %.1f s, and claims %.1f s: it is cut or damaged",
	        text_shown(arena, asked->job.input->path), (double)result.video_us / 1e6,
	        (double)asked->job.input->video_us / 1e6);
	out_error(asked->app, &err);
	return EXIT_NOT_AS_WISHED;
}

int verb_transcode(struct app *app, int argc, char **argv)
{
	struct err err = { 0 };
	struct asked asked = { .app = app };
	int64_t stall = 0;
	if (argc != 2) {
		err_set(&err, ERR_USAGE, "transcode: takes an input and an output");
		err_hint(&err, "gpuferry transcode film.mkv film.mp4; a name that begins with - stands behind --");
		return out_error(app, &err);
	}
	if (!take_number("stall", app->stall, 1, 600, "1 to 600 seconds", &err, &stall))
		return out_error(app, &err);
	asked.world = place_open(app, NULL, app->arena, &err);
	if (!asked.world)
		return out_error(app, &err);
	int code;
	if (!prepare(&asked, argv, app->arena, &err))
		code = out_error(app, &err);
	else if (app->print)
		code = print_line(&asked, app->arena);
	else
		code = run(&asked, stall, app->arena);
	spawn_end(&asked.loaded, app->arena, NULL);
	world_close(asked.world);
	return code;
}
