/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The frames that the script (wants_script.c) prints, into a tape. A frame is a line that begins with @ and, for some,
 * the lines below it up to the next one. Bytes travel as base64 (or hex where the target has no base64), so neither a
 * terminal nor JSON can harm them.
 *
 *   @gpuferry-frames 1 base64    what came before is somebody's greeting
 *   @s MODE UID GID MAJOR MINOR SIZE MTIME NAME   as stat has it, the first and the device numbers in hex; where stat
 *                                quotes, "NAME" or "NAME" -> "TARGET" as C writes strings; else @l tells a link's
 * target
 *   @a NAME                      known to be absent
 *   @n NAME  or  @~ + bytes      what the following is about; the second for names with odd characters
 *   @S ...                       as @s without the name          @A  absent
 *   @l + bytes                   where the link points           @x TEXT  cannot be read: strerror's words
 *   @F MAX + bytes, @e STATUS    a file's bytes, one more than MAX if there are more
 *   @d + /NAME lines             the names in a directory        @C  it exists, nothing more is known
 *   @g PATTERN                   all that matches has been told: a name listed before that was not is gone
 *   @o TEXT                      opening it said that, 0: it opened
 *   @f MAX + names, @b + bytes, @e STATUS   several files in one go, as head(1) prints them
 *   @r MAX + argv, @c + out, @q STATUS + err    a command; @z instead of @c: there is no such program
 *   @end                         complete
 */
#include "sys/wants.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "sys/redact.h"

/* ---- the frames --------------------------------------------------------- */

struct reader {
	struct bytes stream;
	size_t cursor, line_at; /* behind and at the line last read */
	bool hex, ended;
	struct redactor *redactor;
	struct tape_target *target;
	struct arena *arena;
	const char *path; /* what the following frames are about; NULL: nothing usable */
	struct words batch;
	size_t batch_max;
	struct err *err;
	bool good;
};

/* Notes the first thing that is wrong and goes on: what came whole is kept. */
static bool garbled(struct reader *reader, const char *what)
{
	if (reader->good)
		err_set(reader->err, ERR_INPUT, "the answer is garbled at byte %zu: %s", reader->line_at, what);
	reader->good = false;
	return false;
}

static bool next_line(struct reader *reader, struct bytes *ret)
{
	reader->line_at = reader->cursor;
	return text_line(reader->stream, &reader->cursor, ret);
}

/* The lines below a frame up to the next. whole: there is a next one, so nothing is missing. */
static struct bytes payload(struct reader *reader, bool *ret_whole)
{
	size_t start = reader->cursor, end = start;
	struct bytes line;
	*ret_whole = false;
	for (;;) {
		size_t at = reader->cursor;
		if (!text_line(reader->stream, &reader->cursor, &line))
			break;
		if (line.size && line.data[0] == '@') {
			reader->cursor = at;
			*ret_whole = true;
			break;
		}
		end = reader->cursor;
	}
	return (struct bytes){ reader->stream.data + start, end - start };
}

static int hex_digit(char sign)
{
	return sign >= '0' && sign <= '9' ? sign - '0' : sign >= 'a' && sign <= 'f' ? sign - 'a' + 10 : -1;
}

static bool unhex(struct arena *arena, struct bytes coded, struct bytes *ret)
{
	char *raw = arena_alloc(arena, coded.size / 2 + 1);
	size_t n = 0;
	int half = -1;
	for (size_t i = 0; i < coded.size; i++) {
		int digit = hex_digit(coded.data[i]);
		if (digit < 0 && !isspace((unsigned char)coded.data[i]))
			return false;
		if (digit >= 0 && half < 0) {
			half = digit;
		} else if (digit >= 0) {
			raw[n++] = (char)(half << 4 | digit);
			half = -1;
		}
	}
	*ret = (struct bytes){ raw, n };
	return half < 0;
}

/* The bytes below a frame. Of one that was cut, the lines that came whole. */
static bool decode(struct reader *reader, struct bytes *ret, bool *ret_whole)
{
	struct bytes coded = payload(reader, ret_whole);
	if (!*ret_whole) {
		const char *end = coded.size ? memrchr(coded.data, '\n', coded.size) : NULL;
		coded.size = end ? (size_t)(end - coded.data) : 0;
	}
	if (reader->hex ? unhex(reader->arena, coded, ret) : text_unbase64(reader->arena, coded, ret))
		return true;
	return garbled(reader, "bytes that are not encoded as announced");
}

static bool decode_whole(struct reader *reader, struct bytes *ret)
{
	bool whole;
	return decode(reader, ret, &whole) && whole;
}

static struct bytes bytes_in(const char *text)
{
	return (struct bytes){ text, strlen(text) };
}

/* Without empty, "." and ".." parts and without a slash at its end. */
static const char *tidy_path(struct arena *arena, const char *path)
{
	char *tidy = arena_alloc(arena, strlen(path) + 2);
	size_t size = 0;
	while (*path) {
		path += strspn(path, "/");
		size_t part = strcspn(path, "/");
		if (part == 2 && path[0] == '.' && path[1] == '.') {
			while (size && tidy[--size] != '/')
				;
		} else if (part && !(part == 1 && path[0] == '.')) {
			tidy[size++] = '/';
			memcpy(tidy + size, path, part);
			size += part;
		}
		path += part;
	}
	if (!size)
		tidy[size++] = '/';
	tidy[size] = '\0';
	return tidy;
}

/* Where a path really is: links among the directories above it, as far as they are known, are followed. The tape finds
 * it there by either name. */
static const char *resolved(struct reader *reader, const char *path)
{
	for (unsigned links = 0; links < 40; links++) {
		char *reached = arena_strdup(reader->arena, path);
		const struct tape_entry *link = NULL;
		size_t at = 0;
		for (size_t i = 1; path[i] && !link; i++) {
			if (path[i] != '/')
				continue;
			reached[i] = '\0';
			const struct tape_entry *entry = tape_find(reader->target, reached);
			/* /proc/self is whoever asks: another process in each line */
			if (entry && !entry->error && entry->stat.type == NODE_LINK && entry->link && *entry->link &&
			        strcmp(reached, "/proc/self") != 0)
				link = entry, at = i;
			reached[i] = '/';
		}
		if (!link)
			return path;
		size_t folder = at;
		while (folder && path[folder - 1] != '/')
			folder--;
		path = *link->link == '/'
		               ? arena_printf(reader->arena, "%s%s", link->link, path + at)
		               : arena_printf(reader->arena, "%.*s%s%s", (int)folder, path, link->link, path + at);
		if (strlen(path) >= TAPE_PATH_MAX)
			return NULL;
		path = tidy_path(reader->arena, path);
	}
	return NULL;
}

static const char *path_of(struct reader *reader, struct bytes name)
{
	if (!name.size || name.data[0] != '/' || name.size >= TAPE_PATH_MAX || memchr(name.data, '\0', name.size)) {
		garbled(reader, "a bad path");
		return NULL;
	}
	const char *path = tidy_path(reader->arena, arena_strndup(reader->arena, name.data, name.size));
	if (reader->redactor)
		path = redact_text(reader->redactor, path, reader->arena);
	return resolved(reader, path);
}

static struct tape_entry *entry_of(struct reader *reader, const char *path)
{
	if (!path)
		return NULL;
	if (reader->target->n >= TAPE_ENTRIES_MAX) {
		garbled(reader, "too many files");
		return NULL;
	}
	return tape_entry(reader->target, reader->arena, path);
}

static struct tape_entry *current(struct reader *reader)
{
	return entry_of(reader, reader->path);
}

/* The seven numbers of stat; *ret_rest is what stands behind them. */
static bool read_stat(struct reader *reader, struct bytes line, struct world_stat *ret, struct bytes *ret_rest)
{
	static const struct {
		int base;
		uint64_t max;
	} forms[] = { { 16, 0xffff }, { 10, UINT32_MAX }, { 10, UINT32_MAX }, { 16, UINT32_MAX }, { 16, UINT32_MAX },
		{ 10, INT64_MAX }, { 10, INT64_MAX } };
	enum { FORMS = sizeof forms / sizeof *forms };
	uint64_t number[FORMS];
	size_t at = 0;
	for (size_t i = 0; i < FORMS; i++) {
		size_t end = at;
		while (end < line.size && line.data[end] != ' ')
			end++;
		const char *word = arena_strndup(reader->arena, line.data + at, end - at < 24 ? end - at : 24);
		/* a time before 1970 is no time that we know */
		bool before = forms[i].max == INT64_MAX && *word == '-';
		number[i] = 0;
		if (!before && !text_number(word, forms[i].base, forms[i].max, &number[i]))
			return garbled(reader, "bad numbers of a file");
		at = end < line.size ? end + 1 : end;
	}
	*ret = (struct world_stat){ .type = world_node_type((unsigned)number[0]),
		.mode = number[0] & 07777,
		.uid = (unsigned)number[1],
		.gid = (unsigned)number[2],
		.major = (unsigned)number[3],
		.minor = (unsigned)number[4],
		.size = number[5],
		.mtime = (int64_t)number[6] };
	if (ret->type != NODE_CHAR && ret->type != NODE_BLOCK)
		ret->major = ret->minor = 0;
	*ret_rest = (struct bytes){ line.data + at, line.size - at };
	return true;
}

static void keep_stat(struct reader *reader, const char *path, const struct world_stat *stat, const char *link)
{
	struct tape_entry *entry = entry_of(reader, path);
	if (!entry)
		return;
	entry->stat = *stat;
	if (stat->type == NODE_LINK && link)
		entry->link = reader->redactor ? redact_text(reader->redactor, link, reader->arena) : link;
}

/* A string as C writes it, with \n and octal escapes, from its opening quote; *at goes behind the closing one. */
static bool c_string(struct arena *arena, struct bytes text, size_t *at, struct bytes *ret)
{
	static const char plain[] = "abfnrtv\\\"' ", meant[] = "\a\b\f\n\r\t\v\\\"' ";
	char *out = arena_alloc(arena, text.size + 1);
	size_t n = 0, i = *at;
	if (i >= text.size || text.data[i++] != '"')
		return false;
	for (; i < text.size && text.data[i] != '"'; i++) {
		if (text.data[i] != '\\') {
			out[n++] = text.data[i];
			continue;
		}
		if (++i >= text.size)
			return false;
		const char *known = text.data[i] ? strchr(plain, text.data[i]) : NULL;
		if (known) {
			out[n++] = meant[known - plain];
			continue;
		}
		unsigned octal = 0, digits = 0;
		for (; digits < 3 && i < text.size && text.data[i] >= '0' && text.data[i] <= '7'; digits++)
			octal = octal * 8 + (unsigned)(text.data[i++] - '0');
		if (!digits || octal > 255)
			return false;
		out[n++] = (char)octal;
		i--;
	}
	if (i >= text.size)
		return false;
	*at = i + 1;
	*ret = (struct bytes){ out, n };
	return true;
}

/* NAME, "NAME", "NAME" -> "TARGET". */
static bool split_link(struct arena *arena, struct bytes rest, struct bytes *ret_name, struct bytes *ret_link)
{
	static const char arrow[] = " -> ";
	size_t at = 0;
	*ret_link = (struct bytes){ 0 };
	*ret_name = rest;
	if (!rest.size || rest.data[0] != '"')
		return true;
	if (!c_string(arena, rest, &at, ret_name))
		return false;
	if (at == rest.size)
		return true;
	if (rest.size - at < sizeof arrow - 1 || memcmp(rest.data + at, arrow, sizeof arrow - 1) != 0)
		return false;
	at += sizeof arrow - 1;
	return c_string(arena, rest, &at, ret_link) && at == rest.size && !memchr(ret_link->data, '\0', ret_link->size);
}

typedef void frame_fn(struct reader *, struct bytes rest);

static void frame_stat(struct reader *reader, struct bytes rest)
{
	struct world_stat stat;
	struct bytes name, link;
	if (!read_stat(reader, rest, &stat, &rest))
		return;
	if (!split_link(reader->arena, rest, &name, &link)) {
		garbled(reader, "a bad name");
		return;
	}
	const char *to = link.size ? arena_strndup(reader->arena, link.data, link.size) : NULL;
	keep_stat(reader, path_of(reader, name), &stat, to);
}

static void frame_stat_current(struct reader *reader, struct bytes rest)
{
	struct world_stat stat;
	if (read_stat(reader, rest, &stat, &rest))
		keep_stat(reader, reader->path, &stat, NULL);
}

static void keep_error(struct tape_entry *entry, int error)
{
	if (!entry)
		return;
	/* of a link that cannot be read only the error is known to who asks */
	if (entry->stat.type == NODE_LINK && !entry->link)
		entry->stat.type = NODE_UNKNOWN;
	entry->error = error;
	entry->has_data = false;
	entry->data = (struct bytes){ 0 };
}

static void frame_link(struct reader *reader, struct bytes rest)
{
	(void)rest;
	struct bytes link;
	if (!decode_whole(reader, &link))
		return;
	struct tape_entry *entry = current(reader);
	if (link.size && link.data[link.size - 1] == '\n') /* readlink's own */
		link.size--;
	if (entry && !link.size)
		keep_error(entry, EIO); /* readlink said why, but not to us */
	if (!entry || !link.size || memchr(link.data, '\0', link.size))
		return;
	entry->stat.type = NODE_LINK;
	const char *to = arena_strndup(reader->arena, link.data, link.size);
	entry->link = reader->redactor ? redact_text(reader->redactor, to, reader->arena) : to;
}

static void frame_name(struct reader *reader, struct bytes rest)
{
	reader->path = path_of(reader, rest);
}

static void frame_odd_name(struct reader *reader, struct bytes rest)
{
	(void)rest;
	struct bytes name;
	reader->path = NULL;
	if (decode_whole(reader, &name))
		reader->path = path_of(reader, name);
}

static void frame_absent(struct reader *reader, struct bytes rest)
{
	keep_error(entry_of(reader, path_of(reader, rest)), ENOENT);
}

static void frame_absent_current(struct reader *reader, struct bytes rest)
{
	(void)rest;
	keep_error(current(reader), ENOENT);
}

/* strerror's words in the C locale (glibc, musl), and dash's own for files it opens. */
static const struct {
	const char *says;
	int error;
} errors[] = {
	{ "Permission denied", EACCES },
	{ "Operation not permitted", EPERM },
	{ "No such file or directory", ENOENT },
	{ "No such file", ENOENT },
	{ "Directory nonexistent", ENOENT },
	{ "nonexistent directory", ENOENT },
	{ "Input/output error", EIO },
	{ "I/O error", EIO },
	{ "Is a directory", EISDIR },
	{ "Not a directory", ENOTDIR },
	{ "No such device or address", ENXIO },
	{ "No such device", ENODEV },
	{ "Invalid argument", EINVAL },
	{ "Device or resource busy", EBUSY },
	{ "Resource busy", EBUSY },
	{ "Too many levels of symbolic links", ELOOP },
	{ "Symbolic link loop", ELOOP },
	{ "File name too long", ENAMETOOLONG },
	{ "Filename too long", ENAMETOOLONG },
	{ "Stale file handle", ESTALE },
	{ "Transport endpoint is not connected", ENOTCONN },
	{ "Socket not connected", ENOTCONN },
	{ "No data available", ENODATA },
	{ "Operation not supported", EOPNOTSUPP },
	{ "Not supported", EOPNOTSUPP },
	{ "Interrupted system call", EINTR },
	{ "Resource temporarily unavailable", EAGAIN },
	{ "Connection timed out", ETIMEDOUT },
	{ "Operation timed out", ETIMEDOUT },
	{ "No such process", ESRCH },
	{ "Cannot allocate memory", ENOMEM },
	{ "Out of memory", ENOMEM },
	{ "Read-only file system", EROFS },
	{ "Text file busy", ETXTBSY },
};

static int error_of(struct bytes text)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (strlen(errors[i].says) == text.size && memcmp(errors[i].says, text.data, text.size) == 0)
			return errors[i].error;
	return EIO;
}

static void frame_unreadable(struct reader *reader, struct bytes rest)
{
	keep_error(current(reader), error_of(rest));
}

static void frame_open(struct reader *reader, struct bytes rest)
{
	struct tape_entry *entry = current(reader);
	if (entry)
		entry->open_error = rest.size == 1 && rest.data[0] == '0' ? 0 : error_of(rest);
}

static void frame_exists(struct reader *reader, struct bytes rest)
{
	(void)rest;
	struct tape_entry *named = current(reader);
	if (named)
		named->named = true;
}

/* Between a listing and the look at what it names processes end and files go. */
static void frame_gone(struct reader *reader, struct bytes rest)
{
	const char *pattern = arena_strndup(reader->arena, rest.data, rest.size);
	size_t fixed = strcspn(pattern, "*?[\\");
	for (size_t i = 0; i < reader->target->n; i++) {
		struct tape_entry *entry = &reader->target->entries[i];
		if (entry->stat.type == NODE_UNKNOWN && !entry->error && strncmp(entry->path, pattern, fixed) == 0 &&
		        fnmatch(pattern, entry->path, FNM_PATHNAME | FNM_PERIOD) == 0)
			entry->error = ENOENT;
	}
}

static void frame_list(struct reader *reader, struct bytes rest)
{
	(void)rest;
	bool whole;
	const char *folder = reader->path;
	struct bytes names = payload(reader, &whole), line;
	if (!folder)
		return;
	/* the folder's own name may be a link, its names are where it leads */
	const char *inside = resolved(reader, arena_printf(reader->arena, "%s/.", folder));
	if (!inside)
		return;
	inside = tidy_path(reader->arena, inside);
	for (size_t cursor = 0; text_line(names, &cursor, &line);) {
		if (line.size < 2 || line.data[0] != '/' || memchr(line.data, '\0', line.size) ||
		        memchr(line.data + 1, '/', line.size - 1)) {
			garbled(reader, "a bad name in a directory");
			continue;
		}
		if (!whole && cursor >= names.size)
			break; /* the last name may be half a name */
		const char *name = arena_strndup(reader->arena, line.data, line.size);
		const char *path = arena_printf(reader->arena, "%s%s", inside[1] ? inside : "", name);
		if (strlen(path) >= TAPE_PATH_MAX)
			continue;
		struct tape_entry *named =
		        entry_of(reader, reader->redactor ? redact_text(reader->redactor, path, reader->arena) : path);
		if (named)
			named->named = true;
	}
	struct tape_entry *entry = entry_of(reader, inside);
	if (entry && whole) {
		entry->listed = true;
		if (entry->stat.type == NODE_UNKNOWN)
			entry->stat.type = NODE_DIR;
	}
}

static void keep_content(struct reader *reader, const char *path, struct bytes content, size_t max)
{
	struct tape_entry *entry = entry_of(reader, path);
	if (!entry)
		return;
	if (entry->stat.type == NODE_UNKNOWN)
		entry->stat.type = NODE_FILE;
	if (content.size > max) {
		keep_error(entry, EFBIG);
		return;
	}
	entry->has_data = true;
	entry->data = arena_bytes(reader->arena, content.data, content.size);
	if (reader->redactor)
		entry->data = redact_bytes(reader->redactor, entry->path, entry->data, reader->arena);
}

static size_t number_of(struct reader *reader, struct bytes text)
{
	uint64_t number = 0;
	const char *word = arena_strndup(reader->arena, text.data, text.size < 24 ? text.size : 24);
	if (!text_number(word, 10, TAPE_BYTES_MAX, &number))
		garbled(reader, "a bad number");
	return (size_t)number;
}

/* Did what a frame announced end well? The line behind it says so; only a good end is taken. */
static bool ended_well(struct reader *reader)
{
	struct bytes line;
	size_t cursor = reader->cursor;
	return text_line(reader->stream, &cursor, &line) && line.size == 4 && memcmp(line.data, "@e 0", 4) == 0;
}

static void frame_content(struct reader *reader, struct bytes rest)
{
	struct bytes content;
	size_t max = number_of(reader, rest);
	if (!decode_whole(reader, &content))
		return;
	if (ended_well(reader))
		keep_content(reader, reader->path, content, max);
	else
		keep_error(current(reader), EIO); /* an @x behind it tells more */
}

static void frame_batch(struct reader *reader, struct bytes rest)
{
	bool whole;
	reader->batch_max = number_of(reader, rest);
	struct bytes names = payload(reader, &whole), line;
	reader->batch = (struct words){ 0 };
	for (size_t cursor = 0; whole && text_line(names, &cursor, &line);)
		if (line.size)
			*arena_push(reader->arena, reader->batch.word, reader->batch.n) =
			        arena_strndup(reader->arena, line.data, line.size);
}

/* The names of a batch by what they are, so that a file full of headers costs no more than its length. */
struct name_index {
	const struct words *names;
	uint32_t *slots; /* place in names + 1 */
	size_t room;
};

static uint32_t *name_slot(const struct name_index *index, const char *name, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3;
	for (size_t i = (hash ^ hash >> 32) & (index->room - 1);; i = (i + 1) & (index->room - 1)) {
		uint32_t *slot = &index->slots[i];
		if (!*slot)
			return slot;
		const char *there = index->names->word[*slot - 1];
		if (strncmp(there, name, size) == 0 && there[size] == '\0')
			return slot;
	}
}

static struct name_index index_names(const struct words *names, struct arena *arena)
{
	struct name_index index = { .names = names, .room = 4 };
	while (index.room < names->n * 2)
		index.room *= 2;
	index.slots = arena_alloc(arena, index.room * sizeof *index.slots);
	for (size_t i = 0; i < names->n; i++) {
		uint32_t *slot = name_slot(&index, names->word[i], strlen(names->word[i]));
		if (!*slot)
			*slot = (uint32_t)i + 1;
	}
	return index;
}

/* The next header of head(1), "==> NAME <==\n", of a file of the batch: where it begins, how long it is, whose it is.
 * *ret_at goes in as the place to begin at. */
static bool next_header(
        const struct name_index *index, struct bytes text, size_t *ret_at, size_t *ret_size, size_t *ret_file)
{
	static const char open[] = "==> ", close[] = " <==\n";
	enum { OPEN = sizeof open - 1, CLOSE = sizeof close - 1 };
	for (size_t at = *ret_at; at < text.size;) {
		const char *line = text.data + at;
		const char *end = memchr(line, '\n', text.size - at);
		if (!end)
			return false;
		size_t size = (size_t)(end - line) + 1;
		if (size > OPEN + CLOSE && memcmp(line, open, OPEN) == 0 &&
		        memcmp(end + 1 - CLOSE, close, CLOSE) == 0) {
			uint32_t file = *name_slot(index, line + OPEN, size - OPEN - CLOSE);
			if (file) {
				*ret_at = at;
				*ret_size = size;
				*ret_file = file - 1;
				return true;
			}
		}
		at += size;
	}
	return false;
}

struct piece {
	size_t file;
	struct bytes content;
};

/* Takes the bytes of a batch apart. A file could hold what looks like the header of another: then a header comes twice
 * or out of turn, and nothing of the batch is believed (false). */
static bool split_batch(
        const struct name_index *index, struct bytes text, struct arena *arena, struct piece **ret, size_t *ret_n)
{
	size_t at = 0, size = 0, file = 0, last = index->names->n - 1;
	struct piece *pieces = NULL;
	size_t n = 0;
	bool open = false;
	size_t before = 0, start = 0;
	*ret_n = 0;
	while (next_header(index, text, &at, &size, &file)) {
		/* between two files head prints an empty line */
		if (open ? file <= before || at == start : at != 0)
			return false;
		if (open)
			*arena_push(arena, pieces, n) = (struct piece){ before, { text.data + start, at - 1 - start } };
		open = true;
		before = file;
		start = at += size;
	}
	if (open ? before == last && start != text.size : text.size > 0)
		return false;
	*ret = pieces;
	*ret_n = n;
	return true;
}

static void frame_batch_content(struct reader *reader, struct bytes rest)
{
	(void)rest;
	bool whole;
	struct bytes text;
	struct words names = reader->batch;
	reader->batch = (struct words){ 0 };
	if (!decode(reader, &text, &whole) || !names.n)
		return;
	*arena_push(reader->arena, names.word, names.n) = "/dev/null";
	struct name_index index = index_names(&names, reader->arena);
	struct piece *pieces = NULL;
	size_t n = 0;
	if (!split_batch(&index, text, reader->arena, &pieces, &n)) {
		garbled(reader, "contents that cannot be told apart");
		for (size_t i = 0; i + 1 < names.n; i++)
			keep_error(entry_of(reader, path_of(reader, bytes_in(names.word[i]))), EBADMSG);
		return;
	}
	for (size_t i = 0; i < n; i++)
		keep_content(reader, path_of(reader, bytes_in(names.word[pieces[i].file])), pieces[i].content,
		        reader->batch_max);
}

static void frame_ignored(struct reader *reader, struct bytes rest)
{
	(void)reader;
	(void)rest;
}

/* ---- commands ----------------------------------------------------------- */

static struct bytes redacted(struct reader *reader, const char *about, struct bytes raw)
{
	return reader->redactor ? redact_bytes(reader->redactor, about, raw, reader->arena) : raw;
}

/* A command as one line, for the redactor's rules. */
static const char *words_line(struct arena *arena, const struct words *words)
{
	const char **argv = arena_alloc(arena, (words->n + 1) * sizeof *argv);
	memcpy(argv, words->word, words->n * sizeof *argv);
	return text_sh_line(arena, argv);
}

/* The frame with this tag that must come now; ret_rest is what stands behind the tag. */
static bool expect(struct reader *reader, const char *tag, struct bytes *ret_rest)
{
	struct bytes line;
	size_t cursor = reader->cursor, size = strlen(tag);
	if (!text_line(reader->stream, &cursor, &line) || line.size < size || memcmp(line.data, tag, size) != 0 ||
	        (line.size > size && line.data[size] != ' '))
		return false;
	reader->cursor = cursor;
	size_t skip = line.size > size ? size + 1 : size;
	*ret_rest = (struct bytes){ line.data + skip, line.size - skip };
	return true;
}

static void keep_run(struct reader *reader, const struct words *words, int error, const struct outcome *outcome)
{
	const char **argv = arena_alloc(reader->arena, (words->n + 1) * sizeof *argv);
	for (size_t i = 0; i < words->n; i++)
		argv[i] = reader->redactor ? redact_text(reader->redactor, words->word[i], reader->arena)
		                           : words->word[i];
	struct command command = { .argv = argv };
	struct tape_run *run = tape_run(reader->target, reader->arena, &command);
	run->error = error;
	run->outcome = *outcome;
}

static void frame_run(struct reader *reader, struct bytes max)
{
	struct bytes words, out, errors_said, rest, status;
	size_t limit = number_of(reader, max);
	if (!decode_whole(reader, &words))
		return;
	struct words argv = { 0 };
	struct bytes line;
	for (size_t cursor = 0; text_line(words, &cursor, &line);)
		*arena_push(reader->arena, argv.word, argv.n) = arena_strndup(reader->arena, line.data, line.size);
	if (!argv.n)
		return;
	if (expect(reader, "@z", &rest)) {
		keep_run(reader, &argv, ENOENT, &(struct outcome){ 0 });
		return;
	}
	bool whole;
	if (!expect(reader, "@c", &rest) || !decode_whole(reader, &out) || !expect(reader, "@q", &status) ||
	        !decode(reader, &errors_said, &whole) || !whole)
		return; /* cut: not known */
	const char *about = words_line(reader->arena, &argv);
	struct outcome outcome = { .status = (int)(number_of(reader, status) & 255), .cut = out.size > limit };
	if (outcome.cut)
		out.size = limit;
	outcome.out = redacted(reader, about, arena_bytes(reader->arena, out.data, out.size));
	outcome.err = redacted(reader, about, arena_bytes(reader->arena, errors_said.data, errors_said.size));
	/* timeout(1): 124, or 137 where the command had to be killed */
	outcome.timed_out = outcome.status == 124;
	keep_run(reader, &argv, 0, &outcome);
}

/* ---- all of it ---------------------------------------------------------- */

static const struct {
	char tag;
	frame_fn *take;
} frames[] = {
	{ 's', frame_stat },
	{ 'S', frame_stat_current },
	{ 'a', frame_absent },
	{ 'A', frame_absent_current },
	{ 'n', frame_name },
	{ '~', frame_odd_name },
	{ 'l', frame_link },
	{ 'x', frame_unreadable },
	{ 'F', frame_content },
	{ 'd', frame_list },
	{ 'C', frame_exists },
	{ 'o', frame_open },
	{ 'f', frame_batch },
	{ 'b', frame_batch_content },
	{ 'r', frame_run },
	{ 'e', frame_ignored },
	{ 'g', frame_gone },
};

static void take_frame(struct reader *reader, struct bytes line)
{
	if (line.size == 4 && memcmp(line.data, "@end", 4) == 0) {
		reader->ended = true;
		return;
	}
	for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
		if (line.size < 2 || line.data[1] != frames[i].tag || (line.size > 2 && line.data[2] != ' '))
			continue;
		size_t skip = line.size > 2 ? 3 : 2;
		frames[i].take(reader, (struct bytes){ line.data + skip, line.size - skip });
		return;
	}
	garbled(reader, "a line that is no frame");
}

/* Behind whatever a login prints. */
static bool find_start(struct reader *reader)
{
	static const char marker[] = "@gpuferry-frames 1 ";
	struct bytes line;
	while (next_line(reader, &line)) {
		if (line.size <= sizeof marker - 1 || memcmp(line.data, marker, sizeof marker - 1) != 0)
			continue;
		struct bytes form = { line.data + sizeof marker - 1, line.size - (sizeof marker - 1) };
		reader->hex = form.size == 3 && memcmp(form.data, "hex", 3) == 0;
		return reader->hex || (form.size == 6 && memcmp(form.data, "base64", 6) == 0);
	}
	return false;
}

/* The end of "/proc/PID" in a path of a process; 0: another path. */
static size_t process_size(const char *path)
{
	if (!text_starts(path, "/proc/"))
		return 0;
	size_t digits = strspn(path + 6, "0123456789");
	return digits && (path[6 + digits] == '/' || !path[6 + digits]) ? 6 + digits : 0;
}

static const struct tape_entry *of_process(struct tape_target *target, const char *process, const char *name)
{
	char path[64];
	snprintf(path, sizeof path, "%.*s/%s", (int)process_size(process), process, name);
	return tape_find(target, path);
}

static bool whole_process(struct tape_target *target, const char *process)
{
	const struct tape_entry *comm = of_process(target, process, "comm"), *files = of_process(target, process, "fd");
	return comm && comm->has_data && files && (files->listed || files->error == EACCES);
}

/* Processes come and go while they are read. One of which not both name and open files came is as good as one that
 * was never listed; reading a live machine answers the same. Where processes were not asked for, nothing changes. */
static void drop_partial_processes(struct tape_target *target)
{
	bool asked = false;
	for (size_t i = 0; i < target->n && !asked; i++) {
		size_t size = process_size(target->entries[i].path);
		asked = size && size < 40 && whole_process(target, target->entries[i].path);
	}
	for (size_t i = 0; asked && i < target->n; i++) {
		struct tape_entry *entry = &target->entries[i];
		size_t size = process_size(entry->path);
		if (size && size < 40 && !whole_process(target, entry->path))
			keep_error(entry, ENOENT);
	}
}

bool wants_parse(struct bytes stream, struct redactor *redactor, struct tape_target *target, struct arena *arena,
        struct err *err)
{
	struct reader reader = {
		.stream = stream, .redactor = redactor, .target = target, .arena = arena, .err = err, .good = true
	};
	if (!stream.size || !find_start(&reader)) {
		err_set(err, ERR_INPUT, "no answer came: the script did not run there");
		return err_hint(err, "a POSIX shell is needed there: sh");
	}
	struct bytes line;
	while (!reader.ended && next_line(&reader, &line)) {
		bool whole = stream.data[reader.cursor - 1] == '\n';
		/* half a line could name another file */
		if (whole || (line.size == 4 && memcmp(line.data, "@end", 4) == 0))
			take_frame(&reader, line);
	}
	if (reader.ended)
		drop_partial_processes(target);
	if (!reader.ended && reader.good)
		return err_set(err, ERR_INPUT, "the answer ends at byte %zu, before its end: the rest is unknown",
		        stream.size);
	return reader.good && reader.ended;
}
