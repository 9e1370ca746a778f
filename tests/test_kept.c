/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What was proven: as JSON and back, kept for the same machine and for no other.
 */
#include "media.h"

#include <stdarg.h>
#include <time.h>
#include <utime.h>

#include "media/kept.h"

static const struct proof some[] = {
	{ PROOF_ENCODE, "h264_vaapi", "h264", 8, "vaapi", "/dev/dri/renderD128", "0000:00:02.0", YES, YES, RUNG_ENGINE,
	        "", "", "", "-low_power 1", 180, 394, "video", 12, false, "" },
	{ PROOF_ENCODE, "av1_nvenc", "av1", 10, "nvenc", "", "", NO, NO, RUNG_NONE, "build",
	        "this ffmpeg was built without the \"encoder\" \xc3\xa9", "another", "", UNKNOWN_NUMBER, UNKNOWN_NUMBER,
	        NULL, UNKNOWN_NUMBER, false, "" },
	{ PROOF_DECODE, "hevc", "hevc", 10, "nvenc", "/dev/nvidia0", "0000:01:00.0", YES, UNKNOWN, RUNG_UNKNOWN,
	        "unknown", "not tried", "", "", UNKNOWN_NUMBER, UNKNOWN_NUMBER, NULL, UNKNOWN_NUMBER, false, "" },
	{ PROOF_FILTER, "scale_cuda", "", 8, "nvenc", "/dev/nvidia0", "0000:01:00.0", YES, YES, RUNG_FRAME, "", "", "",
	        "", 90, 999, NULL, UNKNOWN_NUMBER, false, "scale" },
};

static const char key[] = "0123456789abcdef";

static char *text_of(const struct proofs *proofs, struct arena *arena)
{
	JSON_SCOPED json_t *document = json_document("proofs");
	json_put(document, "key", json_raw_text(key));
	proofs_put(document, proofs);
	json_put(document, "ffmpeg_filters", json_raw_text(text_join(&proofs->filters, " ", arena)));
	return json_print(arena, document, false);
}

static struct proofs made(struct proof *list)
{
	static const char *filters[] = { "bwdif", "scale" };
	memcpy(list, some, sizeof some);
	return (struct proofs){ "/usr/bin/ffmpeg", "5.1.9", "distribution", "abc", { filters, COUNT(filters) }, list,
		COUNT(some), 2900, 1000, 900, false };
}

static void same(const char *left, const char *right)
{
	if (!left != !right || (left && strcmp(left, right) != 0))
		fail_msg("%s is not %s", left ? left : "NULL", right ? right : "NULL");
}

static void test_round(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct proof list[COUNT(some)];
	struct proofs proofs = made(list), back;
	assert_true(kept_read(bytes_of(text_of(&proofs, &arena)), key, 1001, &arena, &back));
	assert_true(back.kept && back.n == COUNT(some) && back.made == 1000 && back.software_made == 900 && back.ms == 2900);
	same(back.ffmpeg, proofs.ffmpeg);
	same(back.identity, proofs.identity);
	same(text_join(&back.filters, " ", &arena), "bwdif scale");
	for (size_t i = 0; i < COUNT(some); i++) {
		const struct proof *a = &some[i], *b = &back.list[i];
		assert_true(a->kind == b->kind && a->bits == b->bits && a->listed == b->listed &&
		            a->works == b->works && a->rung == b->rung && a->ms == b->ms && a->psnr == b->psnr &&
		            a->engine_ms == b->engine_ms);
		same(b->name, a->name);
		same(b->codec, a->codec);
		same(b->way, a->way);
		same(b->device, a->device);
		same(b->pci, a->pci);
		same(b->reason, a->reason);
		same(b->why, a->why);
		same(b->cure, a->cure);
		same(b->options, a->options);
		same(b->engine, a->engine);
		same(b->use, a->use);
	}
	(void)state;
}

/* Another key, another time, or not quite such a text: it is proven anew. */
static void test_refused(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct proof list[COUNT(some)];
	struct proofs proofs = made(list), back;
	const char *text = text_of(&proofs, &arena);
	assert_false(kept_read(bytes_of(text), "0123456789abcdee", 1001, &arena, &back));
	assert_true(kept_read(bytes_of(text), key, 1000 + 86400, &arena, &back));
	assert_false(kept_read(bytes_of(text), key, 1000 + 86401, &arena, &back));
	assert_false(kept_read(bytes_of(text), key, 999, &arena, &back)); /* the clock was put back */
	for (size_t size = 0; size < strlen(text) - 2; size += 7)
		assert_false(
		        kept_read((struct bytes){ arena_strndup(&arena, text, size), size }, key, 1001, &arena, &back));
	static const struct {
		const char *from, *to;
	} edit[] = {
		{ "gpuferry.proofs/1", "gpuferry.proofs/2" },
		{ "\"rung\":5", "\"rung\":6" },
		{ "\"rung\":5", "\"rung\":\"five\"" },
		{ "\"bits\":8", "\"bits\":9" },
		{ "\"works\":true", "\"works\":1" },
		{ "\"name\":\"h264_vaapi\"", "\"name\":null" },
		{ "\"name\":\"h264_vaapi\"", "\"nam\":\"h264_vaapi\"" },
		{ "\"way\":\"vaapi\"", "\"way\":\"magic\"" },
		{ "\"use\":\"scale\"", "\"use\":null" },
		{ "\"codec\":\"h264\"", "\"codec\":\"h265\"" },
		{ "\"psnr\":39.4", "\"psnr\":1e300" },
		{ "\"decoders\":[", "\"decoder\":[" },
		{ "\"ffmpeg_filters\"", "\"ffmpeg_filter\"" },
		{ "\"proven\":1000", "\"proven\":null" },
		{ "\"proven\":1000", "\"proven\":-1000" },
	};
	for (size_t i = 0; i < COUNT(edit); i++) {
		const char *at = strstr(text, edit[i].from);
		assert_non_null(at);
		const char *other =
		        arena_printf(&arena, "%.*s%s%s", (int)(at - text), text, edit[i].to, at + strlen(edit[i].from));
		if (kept_read(bytes_of(other), key, 1001, &arena, &back))
			fail_msg("%s was taken", edit[i].to);
	}
	(void)state;
}

static const struct proofs *ask_how(
        struct stage *stage, const struct drm *drm, const char *folder, bool fresh, bool renew)
{
	struct err err = { 0 };
	struct kept_options options = {
		.ffmpeg = stage->path, .folder = folder, .fresh = fresh, .renew = renew, .proof.deadline_ms = 60000
	};
	const struct proofs *proofs = kept_proofs(&stage->world, drm, &options, &stage->arena, &err);
	if (!proofs)
		fail_msg("%s", err.text);
	return proofs;
}

static const struct proofs *ask(struct stage *stage, const struct drm *drm, const char *folder, bool fresh)
{
	return ask_how(stage, drm, folder, fresh, false);
}

/* How often the program encoded with libx264. */
static unsigned encoded(struct stage *stage)
{
	unsigned n = 0;
	for (const char *at = stage_log(stage); (at = strstr(at, "-c:v libx264 ")); at++)
		n++;
	return n;
}

/* Asked twice it runs once; what a proof depends on makes it run again. */
static void test_kept(void **state)
{
	static struct drm_node node = { .name = "renderD128",
		.path = "/dev/dri/renderD128",
		.pci = "0000:00:02.0",
		.driver = "i915",
		.exists = YES,
		.mode = 0660 };
	static const struct stage_node opens[] = { { "/dev/dri/renderD128", 0 }, { NULL, 0 } };
	static const struct stage_node denied[] = { { "/dev/dri/renderD128", EACCES }, { NULL, 0 } };
	static const struct drm drm = { .nodes = &node, .n = 1, .known = YES };
	(void)state;
	if (access("/usr/bin/ffmpeg", X_OK) != 0)
		skip();
	struct stage stage;
	stage_open(&stage, "encoders='libx264' filters=none hwaccels=none\nact() { note \"$@\"; }");
	stage.nodes = opens;
	const char *folder = arena_printf(&stage.arena, "%s/a/b", stage.folder);
	assert_false(ask(&stage, &drm, folder, false)->kept);
	size_t log = strlen(stage_log(&stage));
	const struct proofs *kept = ask(&stage, &drm, folder, false);
	assert_true(kept->kept);
	assert_int_equal(stage_proof(kept, PROOF_ENCODE, NULL, "libx264", 8)->works, YES);
	same(text_join(&kept->filters, " ", &stage.arena), "none");
	same(kept->ffmpeg, stage.path);
	assert_int_equal(strlen(stage_log(&stage)), log); /* not even asked for its version */
	assert_false(ask(&stage, &drm, folder, true)->kept);
	assert_true(ask(&stage, &drm, folder, false)->kept);
	assert_int_equal(chmod(folder, 0777), 0); /* anybody may have put it there */
	assert_false(ask(&stage, &drm, folder, false)->kept);
	assert_int_equal(chmod(folder, 0755), 0);
	assert_true(ask(&stage, &drm, folder, false)->kept);
	stage.nodes = denied;
	assert_false(ask(&stage, &drm, folder, false)->kept);
	assert_true(ask(&stage, &drm, folder, false)->kept);
	node.gid = 104;
	assert_false(ask(&stage, &drm, folder, false)->kept);
	node.driver = "xe";
	assert_false(ask(&stage, &drm, folder, false)->kept);
	assert_true(ask(&stage, &drm, folder, false)->kept);
	struct utimbuf old = { 1000, 1000 };
	assert_int_equal(utime(stage.path, &old), 0);
	assert_false(ask(&stage, &drm, folder, false)->kept);
	/* nowhere to keep it */
	assert_false(ask(&stage, &drm, "/proc/none/such", false)->kept);
	assert_false(ask(&stage, &drm, NULL, false)->kept);

	/* proven anew, software's proof stands while the machine is the same, and no device has its stream to decode */
	assert_false(ask(&stage, &drm, folder, true)->kept);
	unsigned before = encoded(&stage);
	assert_true(before > 0);
	const struct proofs *renewed = ask_how(&stage, &drm, folder, false, true);
	assert_false(renewed->kept);
	assert_int_equal(stage_proof(renewed, PROOF_ENCODE, NULL, "libx264", 8)->works, YES);
	assert_int_equal(stage_proof(renewed, PROOF_ENCODE, NULL, "libx264", 8)->rung, RUNG_FRAME);
	assert_int_equal(encoded(&stage), before);
	assert_true(renewed->software_made == renewed->made); /* this clock stands */
	struct words kept_names = { 0 };
	assert_int_equal(world_list(stage.real, folder, &stage.arena, &kept_names), 0);
	const char *path = arena_printf(&stage.arena, "%s/%s", folder, kept_names.word[0]);
	char *text = arena_strdup(&stage.arena, test_read(&stage.arena, path).data), *at = strstr(text, "\"software_proven\":1700000000");
	assert_non_null(at);
	memcpy(at + strlen("\"software_proven\":"), "1699996399", 10); /* an hour and a second before */
	FILE *out = fopen(path, "w");
	fputs(text, out);
	fclose(out);
	renewed = ask_how(&stage, &drm, folder, false, true);
	assert_int_equal(encoded(&stage), ++before);
	assert_int_equal(renewed->software_made, 1700000000);
	node.gid = 105;
	assert_false(ask_how(&stage, &drm, folder, false, true)->kept);
	assert_int_equal(encoded(&stage), ++before);
	stage_script(&stage, "encoders='libx264' filters=none hwaccels=vaapi\nact() { note \"$@\"; }");
	stage.nodes = opens;
	for (int i = 0; i < 2; i++) {
		renewed = ask_how(&stage, &drm, folder, false, true);
		assert_int_equal(encoded(&stage), ++before);
		assert_int_equal(stage_proof(renewed, PROOF_ENCODE, NULL, "libx264", 8)->works, YES);
		if (stage_proof(renewed, PROOF_DECODE, "vaapi", "h264", 8)->works != YES)
			fail_msg("%s", stage_proof(renewed, PROOF_DECODE, "vaapi", "h264", 8)->why);
	}

	/* a limit or a deadline is not for keeps */
	stage_script(&stage, "encoders='libx264 h264_vaapi' filters=none hwaccels=none\nact() { case \"$*\" in *h264_vaapi*) "
	                     "say 'OpenEncodeSessionEx failed: out of memory (10)' ;; esac; }");
	stage.nodes = opens;
	for (int i = 0; i < 2; i++) {
		const struct proofs *limited = ask(&stage, &drm, folder, false);
		assert_false(limited->kept);
		assert_string_equal(stage_proof(limited, PROOF_ENCODE, NULL, "h264_vaapi", 8)->reason, "limit");
	}
	struct words names = { 0 };
	assert_int_equal(world_list(stage.real, folder, &stage.arena, &names), 0);
	assert_int_equal(names.n, 1);
	unlink(arena_printf(&stage.arena, "%s/%s", folder, names.word[0]));
	rmdir(folder);
	rmdir(arena_printf(&stage.arena, "%s/a", stage.folder));
	stage_close(&stage);
}

/* What came up meanwhile, and what somebody else wrote in its place. */
static void test_notes(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	char base[] = "/tmp/gpuferry-kept-XXXXXX";
	struct kept_failure failure;
	assert_non_null(mkdtemp(base));
	const char *folder = arena_printf(&arena, "%s/new", base), *limit = arena_printf(&arena, "%s/limit.json", folder),
	           *failed = arena_printf(&arena, "%s/failure.json", folder);
	assert_int_equal(kept_limit(folder, 1000, &arena), UNKNOWN_NUMBER);
	assert_false(kept_last_failure(folder, &arena, &failure));
	kept_tell_failure(folder, NULL);
	kept_tell_limit(folder, 8, 1000);
	kept_tell_failure(folder, &(struct kept_failure){ 1000, "why" });
	assert_int_equal(kept_limit(folder, 1000, &arena), 8);
	assert_int_equal(kept_limit(folder, 1000 + 3600, &arena), 8);
	assert_int_equal(kept_limit(folder, 1000 + 3601, &arena), UNKNOWN_NUMBER);
	assert_int_equal(kept_limit(folder, 999, &arena), UNKNOWN_NUMBER); /* a clock that was put back */
	assert_true(kept_last_failure(folder, &arena, &failure) && failure.when == 1000);
	assert_string_equal(failure.what, "why");
	kept_tell_limit(folder, 3, 2000);
	assert_int_equal(kept_limit(folder, 2000, &arena), 3);
	kept_tell_failure(folder, NULL);
	assert_false(kept_last_failure(folder, &arena, &failure));
	static const char *const others[] = { "", "{}", "[]", "{\"when\":1000}", "{\"when\":1000,\"sessions\":0}",
		"{\"when\":1000,\"sessions\":\"8\"}", "{\"when\":-1,\"sessions\":8}", "{\"when\":1e9,\"sessions\":8}" };
	for (size_t i = 0; i < COUNT(others); i++) {
		FILE *file = fopen(limit, "w");
		fputs(others[i], file);
		fclose(file);
		assert_int_equal(kept_limit(folder, 1000, &arena), UNKNOWN_NUMBER);
		assert_int_equal(rename(limit, failed), 0);
		assert_false(kept_last_failure(folder, &arena, &failure));
	}
	unlink(failed);
	rmdir(folder);
	rmdir(base);
}

/* ---- films ----------------------------------------------------------------------- */

static void put(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

struct films {
	struct arena arena;
	struct world *world;
	char base[32];
	const char *ffmpeg, *ffprobe, *folder, *log, *film, *other;
};

/* before: what an ffprobe of ours does when it is asked, and then asks the real one. */
static void put_ffprobe(struct films *films, const char *before)
{
	put(films->ffprobe,
	        arena_printf(&films->arena, "#!/bin/sh\n: >%s\n%s\nexec /usr/bin/ffprobe \"$@\"\n", films->log, before), 0755);
}

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
	struct arena arena ARENA_SCOPED = { 0 };
	va_list args;
	va_start(args, format);
	assert_int_equal(system(arena_vprintf(&arena, format, args)), 0);
	va_end(args);
}

static void encode(const char *path, unsigned width)
{
	run("ffmpeg -v error -nostdin -y -f lavfi -i testsrc2=s=%ux48:r=25 -t 1 -c:v libx264 -f mp4 %s", width, path);
}

static void films_open(struct films *films)
{
	*films = (struct films){ .base = "/tmp/gpuferry-films-XXXXXX" };
	struct arena *arena = &films->arena;
	assert_non_null(mkdtemp(films->base));
	films->world = world_open_root(NULL, false, arena, NULL);
	films->ffmpeg = arena_printf(arena, "%s/ffmpeg", films->base);
	films->ffprobe = arena_printf(arena, "%s/ffprobe", films->base);
	films->log = arena_printf(arena, "%s/log", films->base);
	films->folder = arena_printf(arena, "%s/kept", films->base);
	films->film = arena_printf(arena, "%s/film.mp4", films->base);
	films->other = arena_printf(arena, "%s/other.mp4", films->base);
	put_ffprobe(films, "");
	run("ln -s /usr/bin/ffmpeg %s", films->ffmpeg);
	encode(films->film, 64);
}

static void films_close(struct films *films)
{
	world_close(films->world);
	run("rm -r %s", films->base);
	arena_release(&films->arena);
}

static bool lacks_ffprobe(void)
{
	return access("/usr/bin/ffprobe", X_OK) != 0 || access("/usr/bin/ffmpeg", X_OK) != 0;
}

/* Told before ffprobe is run, of the ffmpeg beside it. */
static void count_asked(void *data, const char *ffmpeg)
{
	assert_true(text_ends(ffmpeg, "/ffmpeg"));
	++*(unsigned *)data;
}

/* Was ffprobe run for it? width: what the answer has to be. */
static bool asked_how(struct films *films, const char *path, bool fresh, unsigned width)
{
	struct err err = { 0 };
	struct input input = { 0 };
	unsigned told = 0;
	const struct kept_options options = {
		.ffmpeg = films->ffmpeg, .folder = films->folder, .fresh = fresh, .asks = count_asked, .data = &told
	};
	unlink(films->log);
	if (!kept_input(films->world, &options, path, &films->arena, &err, &input))
		fail_msg("%s: %s", path, err.text);
	assert_string_equal(input.path, path);
	assert_string_equal(input.codec, "h264");
	if (input.width != width)
		fail_msg("%s is %u wide, not %u", path, input.width, width);
	assert_true(input.height == 48 && input.rate_num == 25 && input.steady && input.indexed);
	assert_int_equal(told, access(films->log, F_OK) == 0);
	return told;
}

static bool asked(struct films *films, const char *path, unsigned width)
{
	return asked_how(films, path, false, width);
}

/* The notes of films, as paths. */
static struct words notes(struct films *films)
{
	struct words names = { 0 }, paths = { 0 };
	world_list(films->world, films->folder, &films->arena, &names);
	for (size_t i = 0; i < names.n; i++)
		if (text_starts(names.word[i], "film-"))
			*arena_push(&films->arena, paths.word, paths.n) =
			        arena_printf(&films->arena, "%s/%s", films->folder, names.word[i]);
	return paths;
}

/* ffprobe is run once for each film as it is, by each of its names. */
static void test_films(void **state)
{
	(void)state;
	if (lacks_ffprobe())
		skip();
	struct films films;
	struct stat there, is;
	films_open(&films);
	const char *film = films.film, *other = films.other;
	assert_true(asked(&films, film, 64));
	assert_false(asked(&films, film, 64));
	assert_true(asked_how(&films, film, true, 64));
	assert_false(asked(&films, film, 64));
	/* what is in a film is its reader's business alone */
	assert_int_equal(notes(&films).n, 1);
	assert_int_equal(stat(notes(&films).word[0], &there), 0);
	assert_int_equal(there.st_mode & 0777, 0600);
	/* another name of the same file, and of the same contents: ffprobe looks at names too */
	assert_int_equal(link(film, other), 0);
	assert_true(asked(&films, film, 64)); /* as a link is a change */
	assert_true(asked(&films, other, 64));
	assert_false(asked(&films, film, 64));
	assert_false(asked(&films, other, 64));
	/* written over by a film of the same size, and its time put back: the time of the change nobody can put back */
	assert_int_equal(unlink(other), 0);
	encode(other, 80);
	assert_int_equal(stat(film, &there), 0);
	assert_int_equal(stat(other, &is), 0);
	int64_t most = there.st_size > is.st_size ? there.st_size : is.st_size;
	run("truncate -s %lld %s %s && touch -d @1000 %s", (long long)most, film, other, film);
	assert_true(asked(&films, film, 64));
	assert_false(asked(&films, film, 64));
	run("cat %s >%s && touch -d @1000 %s", other, film, film);
	assert_int_equal(stat(film, &is), 0);
	assert_true(is.st_size == most && is.st_mtim.tv_sec == 1000 && is.st_mtim.tv_nsec == 0);
	assert_true(asked(&films, film, 80));
	assert_false(asked(&films, film, 80));
	/* another ffprobe */
	put_ffprobe(&films, "# another");
	assert_true(asked(&films, film, 80));
	assert_false(asked(&films, film, 80));
	films_close(&films);
}

/* The name leads elsewhere while ffprobe looks, or the file is written: that answer is given, and not kept. */
static void test_films_moving(void **state)
{
	(void)state;
	if (lacks_ffprobe())
		skip();
	struct films films;
	films_open(&films);
	const char *name = arena_printf(&films.arena, "%s/name.mp4", films.base);
	encode(films.other, 80);
	assert_int_equal(symlink(films.film, name), 0);
	put_ffprobe(&films, arena_printf(&films.arena, "ln -sf %s %s", films.other, name));
	assert_true(asked(&films, name, 80));
	assert_int_equal(notes(&films).n, 0);
	put_ffprobe(&films, arena_printf(&films.arena, "echo >>%s", films.film));
	assert_true(asked(&films, films.film, 64));
	assert_int_equal(notes(&films).n, 0);
	put_ffprobe(&films, "");
	assert_true(asked(&films, films.film, 64));
	assert_int_equal(notes(&films).n, 1);
	films_close(&films);
}

/* What lies in the place of a note, and is none of this film's. */
static void test_films_spoilt(void **state)
{
	(void)state;
	if (lacks_ffprobe())
		skip();
	struct films films;
	films_open(&films);
	struct arena *arena = &films.arena;
	encode(films.other, 80);
	assert_true(asked(&films, films.other, 80));
	const char *others = arena_strdup(arena, test_read(arena, notes(&films).word[0]).data);
	unlink(notes(&films).word[0]);
	assert_true(asked(&films, films.film, 64));
	const char *note = notes(&films).word[0], *good = arena_strdup(arena, test_read(arena, note).data);
	int64_t now = world_now(films.world);
	static const struct {
		const char *from, *to;
	} edit[] = { { "\\\"codec_type\\\"", "\\\"codec_tape\\\"" }, { "\"when\":", "\"then\":" }, { "\"said\":", "\"sad\":" },
		{ "\"key\":", "\"kay\":" }, { "\"when\":", "\"when\":9" }, { "\"when\":", "\"when\":0.0,\"was\":" } };
	for (size_t i = 0; i < COUNT(edit); i++) {
		const char *at = strstr(good, edit[i].from);
		assert_non_null(at);
		put(note, arena_printf(arena, "%.*s%s%s", (int)(at - good), good, edit[i].to, at + strlen(edit[i].from)), 0600);
		if (!asked(&films, films.film, 64))
			fail_msg("%s was taken", edit[i].to);
		assert_false(asked(&films, films.film, 64));
	}
	const char *const instead[] = { "", "{}", "[]", "{\"when\":1,\"key\":\"0\",\"said\":\"{}\"}", others };
	for (size_t i = 0; i < COUNT(instead); i++) {
		put(note, instead[i], 0600);
		assert_true(asked(&films, films.film, 64));
	}
	/* a day, and a clock that was put back */
	const char *at = strstr(good, "\"when\":");
	at = good + (at - good) + strlen("\"when\":");
	for (int i = 0; i < 3; i++) {
		static const int64_t age[] = { 86000, 86401, -60 };
		put(note,
		        arena_printf(arena, "%.*s%lld%s", (int)(at - good), good, (long long)(now - age[i]), at + strspn(at, "0123456789")),
		        0600);
		assert_int_equal(asked(&films, films.film, 64), i > 0);
	}
	/* a folder that somebody else may write into is not believed */
	assert_false(asked(&films, films.film, 64));
	assert_int_equal(chmod(films.folder, 0775), 0);
	assert_true(asked(&films, films.film, 64));
	assert_int_equal(chmod(films.folder, 0757), 0);
	assert_true(asked(&films, films.film, 64));
	assert_int_equal(chmod(films.folder, 0755), 0);
	assert_false(asked(&films, films.film, 64));
	if (geteuid() == 0) {
		assert_int_equal(chown(films.folder, 65534, 65534), 0);
		assert_true(asked(&films, films.film, 64));
		assert_int_equal(chown(films.folder, 0, 0), 0);
	}
	/* what is no film is not kept, nor what has no picture; and nothing where there is no place */
	run("rm %s/film-*", films.folder);
	struct err err = { 0 };
	const struct kept_options options = { .ffmpeg = films.ffmpeg, .folder = films.folder };
	put(films.other, "this is no film\n", 0644);
	assert_false(kept_input(films.world, &options, films.other, arena, &err, &(struct input){ 0 }));
	assert_non_null(strstr(err.text, "other.mp4: "));
	run("ffmpeg -v error -nostdin -y -f lavfi -i sine -t 1 -c:a aac %s", films.other);
	assert_false(kept_input(films.world, &options, films.other, arena, &err, &(struct input){ 0 }));
	assert_non_null(strstr(err.text, "no video"));
	assert_int_equal(notes(&films).n, 0);
	films.folder = "/proc/none/such";
	assert_true(asked(&films, films.film, 64));
	assert_true(asked(&films, films.film, 64));
	films_close(&films);
}

/* Sixty-four of them, whatever they are called; and one of many streams. */
static void test_films_many(void **state)
{
	(void)state;
	if (lacks_ffprobe())
		skip();
	struct films films;
	unsigned again = 0;
	films_open(&films);
	struct arena *arena = &films.arena;
	/* the true one takes long */
	const char *answer = arena_printf(arena, "%s/answer", films.base);
	put_ffprobe(&films, arena_printf(arena, "[ -s %s ] || /usr/bin/ffprobe \"$@\" >%s; cat %s; exit", answer, answer, answer));
	for (int round = 0; round < 2; round++)
		for (unsigned i = 0; i < 64; i++) {
			const char *path = arena_printf(arena, "%s/%u.mp4", films.base, i);
			if (round == 0)
				run("cp %s %s", films.film, path);
			again += asked(&films, path, 64);
		}
	assert_int_equal(again, 64);
	assert_int_equal(notes(&films).n, 64);
	for (unsigned i = 0; i < 5; i++) {
		run("touch -d @%u %s", i, films.film);
		assert_true(asked(&films, films.film, 64));
		assert_false(asked(&films, films.film, 64));
		assert_int_equal(notes(&films).n, 64);
	}
	const char *many = arena_printf(arena, "%s/many.mp4", films.base);
	put_ffprobe(&films, "");
	run("set -- ffmpeg -v error -nostdin -y -i %s -f lavfi -i sine -t 1 -map 0:v; i=0; while [ $i -lt 90 ]; do set -- \"$@\" -map 1:a; "
	    "i=$((i+1)); done; \"$@\" -c:v copy -c:a aac -b:a 8k -f mp4 %s",
	        films.film, many);
	assert_true(asked(&films, many, 64));
	assert_false(asked(&films, many, 64));
	films_close(&films);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_films),
		cmocka_unit_test(test_films_moving),
		cmocka_unit_test(test_films_spoilt),
		cmocka_unit_test(test_films_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
