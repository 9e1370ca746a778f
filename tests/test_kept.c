/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What was proven: as JSON and back, kept for the same machine and for no other.
 */
#include "media.h"

#include <fcntl.h>
#include <time.h>
#include <utime.h>

#include "media/kept.h"

static const struct proof some[] = {
	{ PROOF_ENCODE, "h264_vaapi", "h264", 8, "vaapi", "/dev/dri/renderD128", "0000:00:02.0", YES, YES, RUNG_ENGINE,
	        "", "", "", "-low_power 1", 180, 394, "video", 12, false },
	{ PROOF_ENCODE, "av1_nvenc", "av1", 10, "nvenc", "", "", NO, NO, RUNG_NONE, "build",
	        "this ffmpeg was built without the \"encoder\" \xc3\xa9", "another", "", UNKNOWN_NUMBER, UNKNOWN_NUMBER,
	        NULL, UNKNOWN_NUMBER, false },
	{ PROOF_DECODE, "hevc", "hevc", 10, "nvenc", "/dev/nvidia0", "0000:01:00.0", YES, UNKNOWN, RUNG_UNKNOWN,
	        "unknown", "not tried", "", "", UNKNOWN_NUMBER, UNKNOWN_NUMBER, NULL, UNKNOWN_NUMBER, false },
	{ PROOF_FILTER, "scale_cuda", "", 8, "nvenc", "/dev/nvidia0", "0000:01:00.0", YES, YES, RUNG_FRAME, "", "", "",
	        "", 90, 999, NULL, UNKNOWN_NUMBER, false },
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
	assert_int_equal(strlen(stage_log(&stage)), log); /* not even asked for its version */
	assert_false(ask(&stage, &drm, folder, true)->kept);
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
	const char *ffmpeg, *ffprobe, *folder, *log;
};

/* Was ffprobe run for it, and is the answer the film's? */
static bool asked(struct films *films, const char *path, bool fresh, unsigned width)
{
	struct err err = { 0 };
	struct input input = { 0 };
	unlink(films->log);
	if (!kept_input(films->world, films->ffmpeg, path, films->folder, fresh, &films->arena, &err, &input))
		fail_msg("%s: %s", path, err.text);
	assert_string_equal(input.path, path);
	assert_string_equal(input.codec, "h264");
	assert_true(input.width == width && input.height == 48 && input.rate_num == 25 && input.steady && input.indexed);
	return access(films->log, F_OK) == 0;
}

static void encode(const char *path, unsigned width)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *line = arena_printf(&arena, "ffmpeg -v error -nostdin -y -f lavfi -i testsrc2=s=%ux48:r=25 -t 1 -c:v libx264 "
	                                        "-f mp4 %s", width, path);
	assert_int_equal(system(line), 0);
}

static unsigned notes(struct films *films)
{
	struct words names = { 0 };
	unsigned n = 0;
	assert_int_equal(world_list(films->world, films->folder, &films->arena, &names), 0);
	for (size_t i = 0; i < names.n; i++)
		n += text_starts(names.word[i], "film-");
	return n;
}

/* ffprobe is run once for each film as it is. */
static void test_films(void **state)
{
	(void)state;
	if (access("/usr/bin/ffprobe", X_OK) != 0)
		skip();
	struct films films = { .base = "/tmp/gpuferry-films-XXXXXX" };
	struct err err = { 0 };
	struct arena *arena = &films.arena;
	assert_non_null(mkdtemp(films.base));
	films.world = world_open_root(NULL, false, arena, NULL);
	assert_non_null(films.world);
	films.ffmpeg = arena_printf(arena, "%s/ffmpeg", films.base);
	films.ffprobe = arena_printf(arena, "%s/ffprobe", films.base);
	films.log = arena_printf(arena, "%s/log", films.base);
	films.folder = arena_printf(arena, "%s/kept", films.base);
	const char *script = arena_printf(arena, "#!/bin/sh\n: >%s\nexec /usr/bin/ffprobe \"$@\"\n", films.log);
	const char *film = arena_printf(arena, "%s/film.mp4", films.base), *other = arena_printf(arena, "%s/other.mp4", films.base);
	put(films.ffprobe, script, 0755);
	encode(film, 64);

	assert_true(asked(&films, film, false, 64));
	assert_false(asked(&films, film, false, 64));
	assert_true(asked(&films, film, true, 64));
	assert_false(asked(&films, film, false, 64));
	/* another name of it: ffprobe looks at those too */
	assert_int_equal(link(film, other), 0);
	assert_true(asked(&films, other, false, 64));
	/* another film of that name, of the same size and time */
	struct stat was, is;
	assert_int_equal(stat(film, &was), 0);
	assert_int_equal(unlink(other), 0);
	encode(other, 80);
	assert_int_equal(stat(other, &is), 0);
	int64_t most = was.st_size > is.st_size ? was.st_size : is.st_size;
	assert_int_equal(truncate(film, most), 0);
	assert_int_equal(truncate(other, most), 0);
	assert_true(asked(&films, film, false, 64)); /* it was changed */
	const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	assert_int_equal(utimensat(AT_FDCWD, film, times, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, other, times, 0), 0);
	assert_true(asked(&films, film, false, 64));
	assert_false(asked(&films, film, false, 64));
	assert_int_equal(rename(other, film), 0);
	assert_true(asked(&films, film, false, 80));
	/* written over in place, and its time put back: the time of the change itself nobody can set */
	encode(other, 64);
	assert_int_equal(system(arena_printf(arena, "cat %s >%s; truncate -s %lld %s", other, film, (long long)most, film)), 0);
	assert_int_equal(utimensat(AT_FDCWD, film, times, 0), 0);
	assert_int_equal(stat(film, &is), 0);
	assert_true(is.st_size == most && is.st_mtim.tv_sec == 1000);
	assert_true(asked(&films, film, false, 64));
	assert_false(asked(&films, film, false, 64));
	/* another ffprobe */
	put(films.ffprobe, arena_printf(arena, "%s# another\n", script), 0755);
	assert_true(asked(&films, film, false, 64));
	assert_false(asked(&films, film, false, 64));

	/* what is kept was spoilt */
	static const char *const spoilt[] = { "", "{}", "{\"when\":1,\"key\":\"0\",\"said\":\"{}\"}" };
	for (size_t i = 0; i < COUNT(spoilt); i++) {
		for (unsigned place = 0; place < 64; place++)
			put(arena_printf(arena, "%s/film-%02u.json", films.folder, place), spoilt[i], 0644);
		assert_true(asked(&films, film, false, 64));
	}
	assert_false(asked(&films, film, false, 64));
	/* a kept answer that is none, under the right key */
	for (unsigned place = 0; place < 64; place++) {
		const char *note = arena_printf(arena, "%s/film-%02u.json", films.folder, place);
		char *text = arena_strdup(arena, test_read(arena, note).data), *said = strstr(text, "\"codec_type");
		if (said) {
			memcpy(said, "\"codec_tape", 11);
			put(note, text, 0644);
		}
	}
	assert_true(asked(&films, film, false, 64));
	/* what is no film is not kept, and nothing where there is no place */
	for (unsigned place = 0; place < 64; place++)
		unlink(arena_printf(arena, "%s/film-%02u.json", films.folder, place));
	put(other, "this is no film\n", 0644);
	for (int i = 0; i < 2; i++) {
		assert_false(kept_input(films.world, films.ffmpeg, other, films.folder, false, arena, &err, &(struct input){ 0 }));
		assert_non_null(strstr(err.text, "other.mp4: "));
	}
	assert_int_equal(notes(&films), 0);
	const char *folder = films.folder;
	films.folder = "/proc/none/such";
	assert_true(asked(&films, film, false, 64));
	assert_true(asked(&films, film, false, 64));
	films.folder = folder;
	/* never more than so many */
	put(films.ffprobe, arena_printf(arena, "#!/bin/sh\n[ -s %s/said ] || /usr/bin/ffprobe \"$@\" >%s/said\n: >%s\ncat %s/said\n",
	        films.base, films.base, films.log, films.base), 0755); /* eighty times the true one take long */
	for (unsigned i = 0; i < 80; i++) {
		assert_int_equal(utimensat(AT_FDCWD, film, (struct timespec[2]){ { .tv_sec = i }, { .tv_sec = i } }, 0), 0);
		assert_true(asked(&films, film, false, 64));
	}
	unsigned n = notes(&films);
	assert_true(n > 16 && n <= 64);
	world_close(films.world);
	assert_int_equal(system(arena_printf(arena, "rm -r %s", films.base)), 0);
	arena_release(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_films),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
