/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A tape as a tar: manifest, lines, bytes, runs; whole or not at all.
 */
#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "sys/store.h"
#include "sys/tape_file.h"

struct buffer {
	char *data;
	size_t size, room;
};

struct saver {
	struct archive *archive;
	struct archive_entry *entry;
	int64_t time;
	struct buffer out;
};

static void buffer_add(struct buffer *buffer, const void *data, size_t size)
{
	if (size == 0)
		return;
	if (buffer->room - buffer->size < size) {
		buffer->room = (buffer->size + size) * 2;
		if (!(buffer->data = realloc(buffer->data, buffer->room)))
			abort();
	}
	memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
}

static la_ssize_t saver_write(struct archive *archive, void *data, const void *bytes, size_t size)
{
	(void)archive;
	buffer_add(&((struct saver *)data)->out, bytes, size);
	return (la_ssize_t)size;
}

static void saver_release(struct saver *saver)
{
	archive_entry_free(saver->entry);
	archive_write_free(saver->archive);
	free(saver->out.data);
}

/* Every member is a plain file of nobody: a tape is unpacked by anyone without harm. */
static bool put_member(struct saver *saver, const char *path, struct bytes data)
{
	archive_entry_clear(saver->entry);
	archive_entry_set_pathname(saver->entry, path);
	archive_entry_set_filetype(saver->entry, AE_IFREG);
	archive_entry_set_perm(saver->entry, 0644);
	archive_entry_set_size(saver->entry, (la_int64_t)data.size);
	archive_entry_set_mtime(saver->entry, saver->time > 0 ? saver->time : 0, 0);
	return archive_write_header(saver->archive, saver->entry) == ARCHIVE_OK &&
	       archive_write_data(saver->archive, data.data, data.size) == (la_ssize_t)data.size;
}

/* Paths that every tar program and file system takes as they are. */
static bool plain(const char *path)
{
	size_t part = 0;
	for (const char *sign = path; *sign; sign++) {
		part = *sign == '/' ? 0 : part + 1;
		if (*sign < ' ' || *sign > '~' || *sign == '\\' || part > 250)
			return false;
	}
	return strlen(path) < 1000;
}

/* root/ is a folder to be, so a file there has nothing below it; "/" itself is none. */
static bool fits_root(const struct tape_entry *const *entries, size_t n, size_t i)
{
	const char *path = entries[i]->path;
	size_t size = strlen(path);
	bool below = i + 1 < n && strncmp(entries[i + 1]->path, path, size) == 0 && entries[i + 1]->path[size] == '/';
	return size > 1 && !below && plain(path);
}

static int by_path(const void *left, const void *right)
{
	return tape_compare_paths(
	        (*(const struct tape_entry *const *)left)->path, (*(const struct tape_entry *const *)right)->path);
}

/* The entries to be kept, in order: implied directories are implied again by what lies below them. */
static const struct tape_entry **ordered(const struct tape_target *target, struct arena *arena, size_t *ret_n)
{
	const struct tape_entry **entries = arena_alloc(arena, target->n * sizeof *entries);
	size_t n = 0;
	for (size_t i = 0; i < target->n; i++)
		if (!target->entries[i].implied || target->entries[i].listed)
			entries[n++] = &target->entries[i];
	if (n)
		qsort(entries, n, sizeof *entries, by_path);
	*ret_n = n;
	return entries;
}

static void free_buffer(struct buffer *buffer)
{
	free(buffer->data);
}

static bool save_entries(struct saver *saver, const char *folder, const struct tape_entry **entries, size_t n)
{
	struct buffer lines __attribute__((cleanup(free_buffer))) = { 0 };
	for (size_t i = 0; i < n; i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		json_t *line JSON_SCOPED = tape_entry_json(entries[i], fits_root(entries, n, i), &arena);
		const char *text = json_print(&arena, line, false);
		buffer_add(&lines, text, strlen(text));
	}
	struct arena arena ARENA_SCOPED = { 0 };
	if (!put_member(saver, arena_printf(&arena, "targets/%s/entries.jsonl", folder),
	            (struct bytes){ lines.data ? lines.data : "", lines.size }))
		return false;
	for (size_t i = 0; i < n; i++)
		if (entries[i]->has_data && fits_root(entries, n, i) &&
		        !put_member(saver, arena_printf(&arena, "targets/%s/root%s", folder, entries[i]->path),
		                entries[i]->data))
			return false;
	return true;
}

static json_t *word_json(const char *word, struct arena *arena)
{
	if (text_is_utf8((struct bytes){ word, strlen(word) }))
		return json_raw_text(word);
	json_t *coded = json_object();
	json_put(coded, "base64", json_raw_text(text_base64(arena, (struct bytes){ word, strlen(word) })));
	return coded;
}

static bool save_run(struct saver *saver, const char *folder, size_t number, const struct tape_run *run)
{
	struct arena arena ARENA_SCOPED = { 0 };
	json_t *document JSON_SCOPED = json_object(), *argv = json_array();
	for (const char **word = run->argv; *word; word++)
		json_add(argv, word_json(*word, &arena));
	json_put(document, "argv", argv);
	if (*run->input_hash)
		json_put(document, "input_hash", json_raw_text(run->input_hash));
	if (run->error)
		json_put(document, "errno", json_raw_text(tape_errno_name(run->error)));
	else
		json_put(document, "status", json_integer(run->outcome.status & 255));
	if (run->outcome.timed_out)
		json_put(document, "timed_out", json_true());
	if (run->outcome.cut)
		json_put(document, "cut", json_true());
	const char *text = json_print(&arena, document, false);
	const struct {
		const char *suffix;
		struct bytes data;
	} parts[] = {
		{ "json", { text, strlen(text) } },
		{ "out", run->outcome.out },
		{ "err", run->outcome.err },
	};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (parts[i].data.size &&
		        !put_member(saver,
		                arena_printf(&arena, "targets/%s/run/%zu.%s", folder, number, parts[i].suffix),
		                parts[i].data))
			return false;
	return true;
}

/* A folder's name for a label: only letters, digits, "." and "-"; the number keeps two labels apart that would be
 * alike. */
static const char *folder_name(const char *label, size_t number, const char *const *taken, struct arena *arena)
{
	char *folder = arena_printf(arena, "%.100s", label);
	for (char *sign = folder; *sign; sign++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", *sign))
			*sign = '_';
	if (*folder == '.' || !*folder)
		folder = arena_printf(arena, "_%s", folder);
	for (size_t i = 0; i < number; i++)
		if (strcmp(taken[i], folder) == 0)
			return arena_printf(arena, "%s_%zu", folder, number);
	return folder;
}

static bool save_all(struct saver *saver, const struct tape *tape, struct arena *arena)
{
	json_t *manifest JSON_SCOPED = json_object(), *targets = json_array();
	json_put(manifest, "schema", json_raw_text(TAPE_SCHEMA));
	if (tape->time != UNKNOWN_NUMBER)
		json_put(manifest, "time", json_integer(tape->time));
	if (tape->version)
		tape_put_text(manifest, "version", tape->version, arena);
	json_put(manifest, "targets", targets);
	const char **folders = arena_alloc(arena, tape->n * sizeof *folders);
	const struct tape_entry ***entries = arena_alloc(arena, tape->n * sizeof *entries);
	size_t *n = arena_alloc(arena, tape->n * sizeof *n);
	for (size_t i = 0; i < tape->n; i++) {
		entries[i] = ordered(tape->targets[i], arena, &n[i]);
		json_t *target = json_object();
		tape_put_text(target, "label", tape->targets[i]->label, arena);
		folders[i] = folder_name(tape->targets[i]->label, i, folders, arena);
		json_put(target, "folder", json_raw_text(folders[i]));
		json_put(target, "entries", json_integer((json_int_t)n[i]));
		json_put(target, "runs", json_integer((json_int_t)tape->targets[i]->n_runs));
		if (tape->targets[i]->partial)
			json_put(target, "partial", json_true());
		json_add(targets, target);
	}
	const char *text = json_print(arena, manifest, true);
	if (!put_member(saver, "manifest.json", (struct bytes){ text, strlen(text) }))
		return false;
	for (size_t i = 0; i < tape->n; i++) {
		if (!save_entries(saver, folders[i], entries[i], n[i]))
			return false;
		for (size_t j = 0; j < tape->targets[i]->n_runs; j++)
			if (!save_run(saver, folders[i], j + 1, &tape->targets[i]->runs[j]))
				return false;
	}
	return true;
}

/* The filter of a name's suffix. A gzip header without time: the same tape gives the same bytes. */
static bool add_filter(struct archive *archive, const char *path)
{
	static const struct {
		const char *suffix;
		int (*add)(struct archive *);
	} table[] = {
		{ ".gz", archive_write_add_filter_gzip },
		{ ".tgz", archive_write_add_filter_gzip },
		{ ".zst", archive_write_add_filter_zstd },
		{ ".xz", archive_write_add_filter_xz },
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (text_ends(path, table[i].suffix) && table[i].add(archive) != ARCHIVE_OK)
			return false;
	archive_write_set_filter_option(archive, "gzip", "timestamp", NULL);
	return true;
}

bool tape_save(const struct tape *tape, const char *path, struct err *err)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct saver saver __attribute__((cleanup(saver_release))) = {
		.archive = archive_write_new(),
		.entry = archive_entry_new(),
		.time = tape->time,
	};
	if (!saver.archive || !saver.entry)
		abort();
	/* no zeros behind the end: zstd and xz readers take them for damage */
	archive_write_set_bytes_in_last_block(saver.archive, 1);
	bool fine = add_filter(saver.archive, path) &&
	            archive_write_set_format_pax_restricted(saver.archive) == ARCHIVE_OK &&
	            archive_write_open(saver.archive, &saver, NULL, saver_write, NULL) == ARCHIVE_OK &&
	            save_all(&saver, tape, &arena) && archive_write_close(saver.archive) == ARCHIVE_OK;
	if (!fine)
		return err_set(err, ERR_SYSTEM, "writing %.200s: %s", text_shown(&arena, path),
		        archive_error_string(saver.archive) ? archive_error_string(saver.archive) : "not possible");
	return store_write(path, (struct bytes){ saver.out.data, saver.out.size }, 0600, err);
}
