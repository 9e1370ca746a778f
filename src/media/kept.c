/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What was proven is kept while the machine is the same in all that could change it: ffmpeg, kernel and boot, the GPUs
 * with their drivers and nodes, who may open them, and the libraries between. What is in a film is kept while its file
 * is the same. Knowing that it is the same runs nothing. All that is kept and believed lies in a folder that is this
 * user's alone; but what failed is another one's to say (serve).
 */
#include "media/kept.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "sys/store.h"

enum { KEPT_SECONDS = 24 * 3600, SOFTWARE_SECONDS = 3600, LIMIT_SECONDS = 3600 };
enum { KEPT_MAX = 4 * 1024 * 1024, NOTE_MAX = 65536, FILM_MAX = 512 * 1024 }; /* bytes */
enum { FILMS = 64 };                                                          /* are kept at most */

/* Where a library, a driver or an ffmpeg comes by: packages, the loader's list, and the folders of plugins. */
static const char *const changing[] = { "/var/lib/dpkg/status", "/etc/ld.so.cache", "/usr/lib/x86_64-linux-gnu/dri",
	"/usr/lib/jellyfin-ffmpeg/lib", "/usr/lib/jellyfin-ffmpeg/lib/dri", "/usr/share/vulkan/icd.d",
	"/etc/vulkan/icd.d", NULL };

static const char *file_line(struct world *world, const char *path, struct arena *arena)
{
	struct world_stat stat = { 0 };
	int error = world_stat(world, path, &stat);
	return arena_printf(
	        arena, "%s %d %" PRIu64 " %" PRId64 "\n", path, error, error ? 0 : stat.size, error ? 0 : stat.mtime);
}

/* A program, and what may change below it. */
static const char *program_lines(struct world *world, const char *path, struct arena *arena)
{
	const char *all = arena_printf(arena, "%s\n%s", GPUFERRY_VERSION, file_line(world, path, arena));
	for (size_t i = 0; changing[i]; i++)
		all = arena_printf(arena, "%s%s", all, file_line(world, changing[i], arena));
	return all;
}

/* Of a text with "Key:\tvalue" lines. */
static const char *line_of(struct bytes text, const char *key, struct arena *arena)
{
	struct bytes line;
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		const char *said = text_trimmed(arena, line);
		if (text_starts(said, key))
			return said;
	}
	return "";
}

static const char *this_boot(struct world *world, struct arena *arena)
{
	const char *boot = "", *kernel = "", *nvidia = "";
	struct bytes status = { 0 }, first = { 0 };
	world_attribute(world, arena, &boot, "/proc/sys/kernel/random/boot_id");
	world_attribute(world, arena, &kernel, "/proc/sys/kernel/osrelease");
	world_attribute(world, arena, &nvidia, "/sys/module/nvidia/version");
	world_read(world, "/proc/self/status", 0, arena, &status);
	world_read(world, "/proc/1/stat", 0, arena, &first);
	/* when its first process began: a docker container starts more often than its kernel */
	const char *behind = first.size ? strrchr(first.data, ')') : NULL;
	struct words words = behind ? text_split(arena, behind + 1, " \n") : (struct words){ 0 };
	return arena_printf(arena, "%s %s %s %s\n%s\n%s\n%s\n", boot, kernel, nvidia,
	        words.n > 19 ? words.word[19] : "", line_of(status, "Uid:", arena), line_of(status, "Gid:", arena),
	        line_of(status, "Groups:", arena));
}

static const char *node_line(struct world *world, const struct drm_node *node, struct arena *arena)
{
	/* NVIDIA's nvidiaN is left closed: opening it may wake a card for a second */
	bool opened = text_starts(node->name, "renderD") || strcmp(node->name, "nvidiactl") == 0 ||
	              strcmp(node->name, "nvidia-uvm") == 0;
	return arena_printf(arena, "%s %s %s %d %o %u %u %" PRId64 " %" PRId64 " %d\n", node->path,
	        node->pci ? node->pci : "?", node->driver ? node->driver : "?", node->exists, node->mode, node->uid,
	        node->gid, node->major, node->minor, opened ? world_probe_open(world, node->path) : 0);
}

const char *kept_key(struct world *world, const struct drm *drm, const char *ffmpeg, struct arena *arena)
{
	const char *all =
	        arena_printf(arena, "%s%s", program_lines(world, ffmpeg, arena), this_boot(world, arena));
	for (size_t i = 0; i < drm->n; i++)
		all = arena_printf(arena, "%s%s", all, node_line(world, &drm->nodes[i], arena));
	return digest_sha256((struct bytes){ all, strlen(all) }, arena);
}

bool kept_read(struct bytes text, const char *key, int64_t now, struct arena *arena, struct proofs *ret)
{
	JSON_SCOPED json_t *document = NULL;
	struct proofs proofs;
	if (!json_parse(text, "cache", NULL, &document))
		return false;
	const char *schema = json_string_at(document, "schema"), *of = json_string_at(document, "key"),
	           *filters = json_string_at(document, "ffmpeg_filters");
	if (!schema || strcmp(schema, "gpuferry.proofs/1") != 0 || !of || strcmp(of, key) != 0 ||
	        !proofs_take(document, arena, &proofs) || !filters)
		return false;
	proofs.filters = text_split(arena, filters, " ");
	/* a clock that was put back keeps nothing for ever */
	if (proofs.made == UNKNOWN_NUMBER || proofs.made > now || now - proofs.made > KEPT_SECONDS)
		return false;
	proofs.kept = true;
	*ret = proofs;
	return true;
}

static bool is_lasting(const struct proofs *proofs)
{
	for (size_t i = 0; i < proofs->n; i++)
		if (proofs->list[i].passing)
			return false;
	return true;
}

/* Makes it where it is not there; false: not to be written into. */
static bool is_place(const char *folder)
{
	return store_folder(folder, 0755, NULL) && store_is_own(folder);
}

static void keep(const struct proofs *proofs, const char *key, const char *folder, const char *file)
{
	struct arena arena ARENA_SCOPED = { 0 };
	JSON_SCOPED json_t *document = json_document("proofs");
	json_put(document, "key", json_raw_text(key));
	proofs_put(document, proofs);
	json_put(document, "ffmpeg_filters", json_raw_text(text_join(&proofs->filters, " ", &arena)));
	const char *text = json_print(&arena, document, false);
	if (is_place(folder))
		store_write(file, (struct bytes){ text, strlen(text) }, 0600, NULL);
}

/* ---- what came up meanwhile ------------------------------------------------------ */

static const char *note_file(const char *folder, const char *name, struct arena *arena)
{
	return arena_printf(arena, "%s/%s.json", folder, name);
}

/* Not synced: a film waits, and what a power cut takes is only asked for again. */
static void put_note(const char *folder, const char *name, const json_t *document, unsigned mode)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *text = json_print(&arena, document, false);
	if (is_place(folder))
		store_put(note_file(folder, name, &arena), (struct bytes){ text, strlen(text) }, mode, NULL);
}

/* False: there is none, none that can be read, or one that does not say when. */
static bool take_note(
        const char *folder, const char *name, size_t max, struct arena *arena, json_t **ret, int64_t *ret_when)
{
	const char *file = note_file(folder, name, arena);
	struct bytes text;
	if (store_kind(file, NULL) != STORE_FILE || !store_read(file, max, arena, NULL, &text) ||
	        !json_parse(text, name, NULL, ret))
		return false;
	const json_t *when = json_object_get(*ret, "when");
	*ret_when = json_is_integer(when) ? json_integer_value(when) : -1;
	return *ret_when >= 0;
}

void kept_tell_failure(const char *folder, const struct kept_failure *failure)
{
	struct arena arena ARENA_SCOPED = { 0 };
	if (!failure) {
		store_remove(note_file(folder, "failure", &arena));
		return;
	}
	JSON_SCOPED json_t *document = json_document("failure");
	json_put(document, "when", json_number(failure->when));
	json_put(document, "what", json_text(failure->what));
	put_note(folder, "failure", document, 0644); /* serve reads it, which may be another user's */
}

bool kept_last_failure(const char *folder, struct arena *arena, struct kept_failure *ret)
{
	JSON_SCOPED json_t *document = NULL;
	int64_t when;
	const char *what = take_note(folder, "failure", NOTE_MAX, arena, &document, &when)
	                           ? json_string_at(document, "what")
	                           : NULL;
	if (what)
		*ret = (struct kept_failure){ when, arena_strdup(arena, what) };
	return what;
}

void kept_tell_limit(const char *folder, int64_t sessions, int64_t now)
{
	JSON_SCOPED json_t *document = json_document("limit");
	json_put(document, "when", json_number(now));
	json_put(document, "sessions", json_number(sessions));
	put_note(folder, "limit", document, 0644);
}

int64_t kept_limit(const char *folder, int64_t now, struct arena *arena)
{
	JSON_SCOPED json_t *document = NULL;
	int64_t when;
	if (!store_is_own(folder) || !take_note(folder, "limit", NOTE_MAX, arena, &document, &when) || when > now ||
	        now - when > LIMIT_SECONDS)
		return UNKNOWN_NUMBER;
	int64_t sessions = json_integer_value(json_object_get(document, "sessions"));
	return sessions > 0 ? sessions : UNKNOWN_NUMBER;
}

/* ---- what is in a film ------------------------------------------------------------ */

static const char film[] = "film-"; /* the beginning of a note's name; behind it a part of the key */

static const char *input_key(struct world *world, const char *ffmpeg, const char *path, struct arena *arena)
{
	const char *ffprobe = input_ffprobe(world, ffmpeg, arena), *file = store_identity(path, arena);
	if (!ffprobe || !file)
		return NULL;
	const char *all = arena_printf(arena, "%s%s\n%s", program_lines(world, ffprobe, arena), path, file);
	return digest_sha256((struct bytes){ all, strlen(all) }, arena);
}

static const char *film_name(const char *key, struct arena *arena)
{
	return arena_printf(arena, "%s%.16s", film, key);
}

static bool take_film(struct world *world, const char *folder, const char *key, const char *path, struct arena *arena,
        struct input *ret)
{
	JSON_SCOPED json_t *document = NULL;
	int64_t when, now = world_now(world);
	if (!store_is_own(folder) || !take_note(folder, film_name(key, arena), FILM_MAX, arena, &document, &when) ||
	        when > now || now - when > KEPT_SECONDS)
		return false;
	const char *of = json_string_at(document, "key"), *said = json_string_at(document, "said");
	if (!of || strcmp(of, key) != 0 || !said)
		return false;
	said = arena_strdup(arena, said);
	return input_parse((struct bytes){ said, strlen(said) }, path, arena, NULL, ret);
}

/* Others make room where there are too many: any, as their names are by chance. */
static void put_film(struct world *world, const char *folder, const char *key, struct bytes said)
{
	struct arena arena ARENA_SCOPED = { 0 };
	JSON_SCOPED json_t *document = json_document("film");
	const char *name = film_name(key, &arena);
	unsigned n = 1;
	if (said.size > FILM_MAX / 2 || !is_place(folder)) /* as JSON in JSON it would be too long to be read */
		return;
	struct words names = store_list(folder, &arena);
	for (size_t i = 0; i < names.n; i++)
		if (text_starts(names.word[i], film) && !text_starts(names.word[i], name) && ++n > FILMS)
			store_remove(arena_printf(&arena, "%s/%s", folder, names.word[i]));
	json_put(document, "when", json_number(world_now(world)));
	json_put(document, "key", json_raw_text(key));
	json_put(document, "said", json_raw_text(text_utf8(&arena, said)));
	put_note(folder, name, document, 0600);
}

bool kept_input(struct world *world, const struct kept_options *options, const char *path, struct arena *arena,
        struct err *err, struct input *ret)
{
	struct ffmpeg ffmpeg = { 0 };
	struct bytes said;
	if (!ffmpeg_find(world, options->ffmpeg, arena, err, &ffmpeg, &(struct world_stat){ 0 }))
		return false;
	const char *key = options->folder ? input_key(world, ffmpeg.path, path, arena) : NULL;
	if (key && !options->fresh && take_film(world, options->folder, key, path, arena, ret))
		return true;
	if (options->asks)
		options->asks(options->data, ffmpeg.path);
	if (!input_ask(world, ffmpeg.path, path, arena, err, &said) || !input_parse(said, path, arena, err, ret))
		return false;
	/* the name may have led elsewhere meanwhile, or the file have grown */
	const char *after = key ? input_key(world, ffmpeg.path, path, arena) : NULL;
	if (after && strcmp(after, key) == 0)
		put_film(world, options->folder, key, said);
	return true;
}

/* ---- what was proven ---------------------------------------------------------------- */

const struct proofs *kept_proofs(struct world *world, const struct drm *drm, const struct kept_options *options,
        struct arena *arena, struct err *err)
{
	struct ffmpeg ffmpeg = { 0 };
	if (!ffmpeg_find(world, options->ffmpeg, arena, err, &ffmpeg, &(struct world_stat){ 0 }))
		return NULL;
	const char *key = kept_key(world, drm, ffmpeg.path, arena), *file = NULL;
	struct proofs *proofs = arena_new(arena, struct proofs);
	struct bytes text;
	if (options->folder)
		file = arena_printf(arena, "%s/proofs-%.16s.json", options->folder,
		        digest_sha256((struct bytes){ ffmpeg.path, strlen(ffmpeg.path) }, arena));
	struct proof_options how = options->proof;
	if (file && !options->fresh && store_is_own(options->folder) && store_kind(file, NULL) == STORE_FILE &&
	        store_read(file, KEPT_MAX, arena, NULL, &text) && kept_read(text, key, world_now(world), arena, proofs)) {
		proofs->ffmpeg = ffmpeg.path; /* what is run is what was asked for, whatever is kept */
		if (!options->renew)
			return proofs;
		int64_t age = world_now(world) - proofs->software_made;
		how.earlier = proofs->software_made != UNKNOWN_NUMBER && age >= 0 && age <= SOFTWARE_SECONDS ? proofs : NULL;
	}
	if (!ffmpeg_open(world, options->ffmpeg, arena, err, &ffmpeg))
		return NULL;
	proofs = proofs_run(world, drm, &ffmpeg, &how, arena);
	if (file && is_lasting(proofs))
		keep(proofs, key, options->folder, file);
	return proofs;
}
