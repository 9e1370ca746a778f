/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tapes on disk. Both forms, a tar and a folder, are first read into one flat list of members; what the list is (a tape
 * or a bare tree) is decided on the list. So a tar and what was unpacked from it cannot be read differently.
 */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/json.h"
#include "sys/file.h"
#include "sys/store.h"
#include "sys/tape.h"

#define SCHEMA "gpuferry.tape/1"

enum { DEPTH_MAX = 100, BUFFER = 256 * 1024 };

struct member {
	const char *path; /* relative, without "." parts and doubled slashes */
	struct world_stat stat;
	struct bytes data;
	const char *link;
	int error; /* of a file in a folder that could not be read */
};

struct members {
	const char *name; /* of the tar or folder, printable, for messages */
	struct member *member;
	size_t n;
	size_t bytes; /* of all data, the skipped too */
};

static bool bad(struct err *err, const char *name, const char *what)
{
	return err_set(err, ERR_INPUT, "%s: %s", name, what);
}

static bool bad_path(struct err *err, const struct members *members, const char *path, const char *what)
{
	struct arena arena ARENA_SCOPED = { 0 };
	return err_set(err, ERR_INPUT, "%s: %.200s: %s", members->name, text_shown(&arena, path), what);
}

/* ---- members ---------------------------------------------------------- */

/* Without "." parts and doubled slashes; "" is the top itself. */
static bool tidy(
        const struct members *members, const char *path, struct arena *arena, struct err *err, const char **ret)
{
	if (*path == '/')
		return bad_path(err, members, path, "an absolute path");
	if (strlen(path) >= TAPE_PATH_MAX - 1)
		return bad_path(err, members, path, "a path that is too long");
	char *kept = arena_alloc(arena, strlen(path) + 1);
	size_t size = 0;
	for (const char *part = path; *part;) {
		size_t n = strcspn(part, "/");
		if (n == 2 && part[0] == '.' && part[1] == '.')
			return bad_path(err, members, path, "a path that leads upwards");
		if (n && !(n == 1 && part[0] == '.')) {
			if (size)
				kept[size++] = '/';
			memcpy(kept + size, part, n);
			size += n;
		}
		part += n + (part[n] == '/');
	}
	*ret = kept;
	return true;
}

static bool add_member(struct members *members, const struct member *member, struct arena *arena, struct err *err)
{
	if (members->n >= TAPE_ENTRIES_MAX)
		return bad(err, members->name, "more entries than a tape may have");
	*arena_push(arena, members->member, members->n) = *member;
	return true;
}

static bool count_bytes(struct members *members, uint64_t size, struct err *err)
{
	if (size > TAPE_BYTES_MAX - members->bytes)
		return bad(err, members->name, "larger than a tape may be (256 MiB unpacked)");
	members->bytes += size;
	return true;
}

static void free_scoped(char **data)
{
	free(*data);
}

/* ---- a tar ------------------------------------------------------------ */

static void release_reader(struct archive **archive)
{
	archive_read_free(*archive);
}

static bool archive_failed(struct archive *archive, const struct members *members, struct err *err)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *why = archive_error_string(archive);
	if (members->n == 0)
		return err_set(err, ERR_INPUT, "%s: neither a tape nor a tree: no tar that can be read (%.120s)",
		        members->name, text_shown(&arena, why ? why : "unknown form"));
	return err_set(err, ERR_INPUT, "%s: cut or damaged: %.200s", members->name,
	        text_shown(&arena, why ? why : "it ends early"));
}

/* The bytes of the member, read as they come: a header that claims much costs nothing before the bytes are there. */
static bool read_data(struct archive *archive, struct members *members, uint64_t size, struct arena *arena,
        struct err *err, struct bytes *ret)
{
	if (!count_bytes(members, size, err))
		return false;
	char *data __attribute__((cleanup(free_scoped))) = NULL;
	char *into = size <= BUFFER ? arena_alloc(arena, size + 1) : NULL;
	size_t used = 0, room = into ? size : 0;
	while (used < size) {
		if (used == room) {
			room = room ? room * 2 : BUFFER;
			if (room > size)
				room = size;
			if (!(data = into = realloc(data, room)))
				abort();
		}
		la_ssize_t got = archive_read_data(archive, into + used, room - used);
		if (got <= 0)
			return archive_failed(archive, members, err);
		used += (size_t)got;
	}
	*ret = data ? arena_bytes(arena, data, size) : (struct bytes){ into, size };
	return true;
}

static const struct member *earlier(const struct members *members, const char *path)
{
	for (size_t i = members->n; i-- > 0;)
		if (strcmp(members->member[i].path, path) == 0)
			return &members->member[i];
	return NULL;
}

/* A hard link is the file it names, which came before. Rare: so no index. */
static bool take_hard_link(
        struct members *members, const char *target, struct member *member, struct arena *arena, struct err *err)
{
	const char *path;
	if (!tidy(members, target, arena, err, &path))
		return false;
	const struct member *first = earlier(members, path);
	if (!first || first->stat.type != NODE_FILE || first->link)
		return bad_path(err, members, member->path, "a hard link to nothing that came before");
	if (!count_bytes(members, 512, err))
		return false;
	member->stat.type = NODE_FILE;
	member->data = first->data;
	member->link = path;
	return true;
}

static bool take_member(struct archive *archive, struct archive_entry *entry, struct members *members,
        struct arena *arena, struct err *err)
{
	const char *path = archive_entry_pathname(entry);
	if (!path)
		path = archive_entry_pathname_utf8(entry);
	if (!path)
		return bad(err, members->name, "a path that cannot be read");
	struct member member = {
		.stat = { .type = world_node_type(archive_entry_filetype(entry)),
		        .mode = archive_entry_perm(entry) & 07777,
		        .uid = (unsigned)archive_entry_uid(entry),
		        .gid = (unsigned)archive_entry_gid(entry),
		        .size = (uint64_t)archive_entry_size(entry),
		        .mtime = archive_entry_mtime(entry) },
	};
	if (!tidy(members, path, arena, err, &member.path))
		return false;
	if (!*member.path)
		return true;
	if (archive_entry_hardlink(entry)) {
		if (!take_hard_link(members, archive_entry_hardlink(entry), &member, arena, err))
			return false;
	} else if (member.stat.type == NODE_LINK) {
		const char *link = archive_entry_symlink(entry);
		member.link = arena_strdup(arena, link ? link : archive_entry_symlink_utf8(entry));
		if (!member.link || strlen(member.link) >= TAPE_PATH_MAX)
			return bad_path(err, members, path, "a link that cannot be read");
	} else if (member.stat.type == NODE_CHAR || member.stat.type == NODE_BLOCK) {
		member.stat.major = (unsigned)archive_entry_rdevmajor(entry);
		member.stat.minor = (unsigned)archive_entry_rdevminor(entry);
	} else if (member.stat.type == NODE_FILE &&
	           !read_data(archive, members, member.stat.size, arena, err, &member.data)) {
		return false;
	}
	return add_member(members, &member, arena, err);
}

/* From the fd, or from memory where it is -1. */
static bool read_tar(int fd, struct bytes memory, struct members *members, struct arena *arena, struct err *err)
{
	struct archive *archive __attribute__((cleanup(release_reader))) = archive_read_new();
	if (!archive)
		abort();
	archive_read_support_filter_gzip(archive);
	archive_read_support_filter_xz(archive);
	archive_read_support_filter_zstd(archive);
	archive_read_support_format_tar(archive);
	int result = fd < 0 ? archive_read_open_memory(archive, memory.data, memory.size)
	                    : archive_read_open_fd(archive, fd, BUFFER);
	if (result)
		return archive_failed(archive, members, err);
	struct archive_entry *entry;
	for (;;) {
		result = archive_read_next_header(archive, &entry);
		if (result == ARCHIVE_EOF)
			break;
		if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
			return archive_failed(archive, members, err);
		/* headers count too: a tar of nothing but headers is large as well */
		if (archive_filter_bytes(archive, 0) > (la_int64_t)TAPE_BYTES_MAX * 2)
			return count_bytes(members, TAPE_BYTES_MAX + 1, err);
		if (!take_member(archive, entry, members, arena, err))
			return false;
	}
	return true;
}

/* ---- a folder --------------------------------------------------------- */

static void close_scoped(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define FD_SCOPED __attribute__((cleanup(close_scoped)))

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

/* 0 or errno; over the limit is EFBIG */
static int read_file(int folder, const char *name, size_t max, struct arena *arena, struct bytes *ret)
{
	int fd FD_SCOPED = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat stat;
	if (fd < 0 || fstat(fd, &stat))
		return errno;
	if (!S_ISREG(stat.st_mode))
		return EINVAL;
	return file_read_fd(fd, (size_t)stat.st_size, max, arena, ret);
}

static bool take_node(int folder, const char *name, struct members *members, struct member *member, struct arena *arena,
        struct err *err)
{
	struct stat stat;
	if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW))
		return bad_path(err, members, member->path, strerror(errno));
	member->stat = (struct world_stat){ .type = world_node_type(stat.st_mode),
		.mode = stat.st_mode & 07777,
		.uid = stat.st_uid,
		.gid = stat.st_gid,
		.major = major(stat.st_rdev),
		.minor = minor(stat.st_rdev),
		.size = (uint64_t)stat.st_size,
		.mtime = stat.st_mtime };
	if (member->stat.type == NODE_LINK) {
		char link[TAPE_PATH_MAX];
		ssize_t size = readlinkat(folder, name, link, sizeof link);
		if (size < 0 || size == sizeof link)
			return bad_path(err, members, member->path, "a link that cannot be read");
		member->link = arena_strndup(arena, link, (size_t)size);
	} else if (member->stat.type == NODE_FILE) {
		member->error = read_file(folder, name, TAPE_BYTES_MAX - members->bytes, arena, &member->data);
		uint64_t size = member->error == EFBIG ? TAPE_BYTES_MAX + 1 : member->data.size;
		if (!count_bytes(members, size, err))
			return false;
	}
	return add_member(members, member, arena, err);
}

/* Takes over the fd. */
static bool read_folder(
        int fd, const char *above, unsigned depth, struct members *members, struct arena *arena, struct err *err)
{
	DIR *folder __attribute__((cleanup(close_folder))) = fdopendir(fd);
	if (!folder) {
		close(fd);
		return bad_path(err, members, above, strerror(errno));
	}
	if (depth > DEPTH_MAX)
		return bad_path(err, members, above, "folders too deep");
	struct dirent *entry;
	while ((errno = 0, entry = readdir(folder))) {
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		struct member member = { .path = arena_printf(arena, "%s%s%s", above, *above ? "/" : "", name) };
		if (strlen(member.path) >= TAPE_PATH_MAX - 1)
			return bad_path(err, members, member.path, "a path that is too long");
		if (!take_node(fd, name, members, &member, arena, err))
			return false;
		if (member.stat.type != NODE_DIR)
			continue;
		int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			members->member[members->n - 1].error = errno;
		else if (!read_folder(below, member.path, depth + 1, members, arena, err))
			return false;
	}
	return errno == 0 || bad_path(err, members, above, strerror(errno));
}

/* ---- what it is ------------------------------------------------------- */

static const char *const root_folders[] = { "sys", "proc", "etc" };

static bool is_root_folder(const char *name, size_t size)
{
	for (size_t i = 0; i < sizeof root_folders / sizeof *root_folders; i++)
		if (strlen(root_folders[i]) == size && memcmp(root_folders[i], name, size) == 0)
			return true;
	return false;
}

struct shape {
	bool tape;       /* else a bare tree */
	const char *top; /* the folder above it with its slash, or "" */
};

/* What a path, seen from a possible top, says about the list. */
static bool tells_tape(const char *path)
{
	return strcmp(path, "manifest.json") == 0;
}

static bool tells_tree(const char *path)
{
	return is_root_folder(path, strcspn(path, "/"));
}

static bool find_shape(const struct members *members, struct arena *arena, struct err *err, struct shape *ret)
{
	struct shape shape = { 0 };
	bool tree_here = false;
	for (size_t i = 0; i < members->n; i++) {
		const char *path = members->member[i].path, *slash = strchr(path, '/');
		if (tells_tape(path)) {
			*ret = (struct shape){ .tape = true, .top = "" };
			return true;
		}
		tree_here = tree_here || tells_tree(path);
		if (!slash || !(tells_tape(slash + 1) || tells_tree(slash + 1)))
			continue;
		size_t size = (size_t)(slash - path) + 1;
		bool same = shape.top && strlen(shape.top) == size && memcmp(shape.top, path, size) == 0;
		if (shape.top && !same && !tree_here)
			return bad(err, members->name, "more than one machine in it");
		if (!same)
			shape = (struct shape){ .top = arena_strndup(arena, path, size) };
		shape.tape = shape.tape || tells_tape(slash + 1);
	}
	if (tree_here)
		shape = (struct shape){ .top = "" };
	if (!shape.top)
		return bad(err, members->name, "neither a tape nor a tree: no manifest.json and no sys/ in it");
	*ret = shape;
	return true;
}

/* The path seen from the top; NULL: beside it. */
static const char *below_top(const char *path, const char *top)
{
	return text_starts(path, top) && path[strlen(top)] ? path + strlen(top) : NULL;
}

/* ---- a bare tree ------------------------------------------------------ */

static bool load_tree(
        const struct members *members, const char *top, struct arena *arena, struct err *err, struct tape **ret)
{
	struct tape *tape = tape_new(arena, UNKNOWN_NUMBER);
	tape->version = NULL;
	struct tape_target *node = tape_target(tape, arena, "node");
	node->partial = true;
	for (size_t i = 0; i < members->n; i++) {
		const struct member *member = &members->member[i];
		const char *path = below_top(member->path, top);
		if (!path)
			continue;
		path = arena_printf(arena, "/%s", path);
		size_t before = node->n;
		struct tape_entry *entry = tape_entry(node, arena, path);
		bool again = node->n == before;
		if (again && !(entry->stat.type == NODE_DIR && member->stat.type == NODE_DIR))
			return bad_path(err, members, member->path, "there twice");
		entry->stat = member->stat;
		entry->error = member->error;
		entry->has_data = member->stat.type == NODE_FILE && !member->error;
		entry->data = member->data;
		entry->link = member->stat.type == NODE_LINK ? member->link : NULL;
		entry->listed = member->stat.type == NODE_DIR && !member->error;
	}
	tape_sort(node, arena);
	/* a tar may leave directories out: their names are those that lie below */
	for (size_t i = 0; i < node->n; i++)
		if (node->entries[i].implied)
			node->entries[i].listed = true;
	*ret = tape;
	return true;
}

/* ---- a tape: words of its lines --------------------------------------- */

static const char *const type_names[] = {
	[NODE_UNKNOWN] = "unknown",
	[NODE_FILE] = "file",
	[NODE_DIR] = "dir",
	[NODE_LINK] = "link",
	[NODE_CHAR] = "char",
	[NODE_BLOCK] = "block",
	[NODE_OTHER] = "other",
};

static const char *errno_name(int error)
{
	const char *name = error ? strerrorname_np(error) : "OK";
	return name ? name : "EIO";
}

/* -1: no such name */
static int errno_of(const char *name)
{
	if (strcmp(name, "OK") == 0)
		return 0;
	for (int error = 1; error < 134; error++) {
		const char *known = strerrorname_np(error);
		if (known && strcmp(known, name) == 0)
			return error;
	}
	return -1;
}

/* "key": text, or "key_base64" where the text is no UTF-8. */
static void put_text(json_t *object, const char *key, const char *text, struct arena *arena)
{
	struct bytes raw = { text, strlen(text) };
	if (text_is_utf8(raw))
		json_put(object, key, json_raw_text(text));
	else
		json_put(object, arena_printf(arena, "%s_base64", key), json_raw_text(text_base64(arena, raw)));
}

/* A string of the document, copied; false: there, but of another kind, or no base64, or with a zero byte. */
static bool get_text(const json_t *object, const char *key, struct arena *arena, const char **ret)
{
	char coded[64];
	const json_t *value = json_object_get(object, key);
	if (value) {
		*ret = arena_strdup(arena, json_string_value(value));
		return *ret != NULL;
	}
	stpcpy(stpcpy(coded, key), "_base64");
	value = json_object_get(object, coded);
	if (!value)
		return true;
	struct bytes raw, text = { json_string_value(value), json_string_length(value) };
	if (!text.data || !text_unbase64(arena, text, &raw) || memchr(raw.data, 0, raw.size))
		return false;
	*ret = raw.data;
	return true;
}

static bool get_number(const json_t *object, const char *key, int64_t least, int64_t most, int64_t *ret)
{
	const json_t *value = json_object_get(object, key);
	if (!value)
		return true;
	if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most)
		return false;
	*ret = json_integer_value(value);
	return true;
}

static bool get_flag(const json_t *object, const char *key, bool *ret)
{
	const json_t *value = json_object_get(object, key);
	*ret = json_is_true(value);
	return !value || json_is_boolean(value);
}

static bool get_errno(const json_t *object, const char *key, int *ret)
{
	const json_t *value = json_object_get(object, key);
	if (!value)
		return true;
	int error = json_is_string(value) ? errno_of(json_string_value(value)) : -1;
	if (error >= 0)
		*ret = error;
	return error >= 0;
}

/* ---- a tape: reading -------------------------------------------------- */

struct loader {
	const struct members *members;
	const char *top;
	struct arena *arena;
	struct tape_target *target;
	const char *folder; /* "targets/node" */
	bool *filled;       /* per entry: its bytes were in root/ */
	size_t n_bytes;     /* entries whose bytes are in root/ */
};

static bool absolute_and_tidy(const char *path)
{
	if (*path != '/' || strlen(path) >= TAPE_PATH_MAX)
		return false;
	if (!path[1])
		return true;
	for (const char *part = path; *part; part += strcspn(part, "/")) {
		size_t size = strcspn(++part, "/");
		if (size == 0 || (size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.'))
			return false;
	}
	return true;
}

/* A line is one flat object. Lines as we write them (no escapes, no fractions) are cut up here: a tape has thousands of
 * them, and jansson took half of the time. All others go through jansson; both give the same fields. */
enum field_kind { FIELD_OTHER, FIELD_TEXT, FIELD_NUMBER, FIELD_FLAG };

struct field {
	enum field_kind kind;
	struct bytes key, text;
	int64_t number; /* of a flag 0 or 1 */
};

enum { FIELDS_MAX = 32 };

struct fields {
	struct field field[FIELDS_MAX];
	size_t n;
};

static bool scan_text(struct bytes line, size_t *at, struct bytes *ret)
{
	size_t start = *at + 1, end = start;
	if (*at >= line.size || line.data[*at] != '"')
		return false;
	while (end < line.size && line.data[end] != '"') {
		unsigned char sign = (unsigned char)line.data[end++];
		if (sign < ' ' || sign == '\\')
			return false;
	}
	*ret = (struct bytes){ line.data + start, end - start };
	*at = end + 1;
	return end < line.size;
}

static bool scan_number(struct bytes line, size_t *at, int64_t *ret)
{
	bool minus = line.data[*at] == '-';
	size_t start = *at + minus, end = start;
	int64_t number = 0;
	/* 18 digits fit; a leading zero is no JSON */
	for (; end < line.size && end - start < 19 && line.data[end] >= '0' && line.data[end] <= '9'; end++)
		number = end - start < 18 ? number * 10 + (line.data[end] - '0') : number;
	if (end == start || end - start > 18 || (line.data[start] == '0' && end - start > 1))
		return false;
	*ret = minus ? -number : number;
	*at = end;
	return true;
}

static bool scan_value(struct bytes line, size_t *at, struct field *field)
{
	static const struct {
		const char *word;
		size_t size;
		int64_t number;
	} flags[] = { { "true", 4, 1 }, { "false", 5, 0 } };
	if (*at >= line.size)
		return false;
	field->kind = FIELD_TEXT;
	if (line.data[*at] == '"')
		return scan_text(line, at, &field->text);
	field->kind = FIELD_FLAG;
	for (size_t i = 0; i < 2; i++)
		if (line.size - *at >= flags[i].size && memcmp(line.data + *at, flags[i].word, flags[i].size) == 0) {
			field->number = flags[i].number;
			*at += flags[i].size;
			return true;
		}
	field->kind = FIELD_NUMBER;
	return scan_number(line, at, &field->number);
}

static bool same(struct bytes left, struct bytes right)
{
	return left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
}

/* False: not of the simple form, or wrong; jansson says which. */
static bool scan_line(struct bytes line, struct fields *ret)
{
	size_t at = 1;
	ret->n = 0;
	if (line.size < 2 || line.data[0] != '{' || !text_is_utf8(line))
		return false;
	for (;;) {
		struct field *field = &ret->field[ret->n];
		*field = (struct field){ 0 };
		if (ret->n == FIELDS_MAX || !scan_text(line, &at, &field->key) || at >= line.size ||
		        line.data[at++] != ':' || !scan_value(line, &at, field) || at >= line.size)
			return false;
		for (size_t i = 0; i < ret->n; i++)
			if (same(ret->field[i].key, field->key))
				return false;
		ret->n++;
		char sign = line.data[at++];
		if (sign == '}')
			return at == line.size;
		if (sign != ',')
			return false;
	}
}

/* The same through jansson; the texts live as long as the document. False: no object, or too many keys. */
static bool fields_of(json_t *document, struct fields *ret)
{
	const char *key;
	json_t *value;
	ret->n = 0;
	if (!json_is_object(document) || json_object_size(document) > FIELDS_MAX)
		return false;
	json_object_foreach(document, key, value)
	{
		struct field *field = &ret->field[ret->n++];
		*field = (struct field){ .key = { key, strlen(key) } };
		field->kind = json_is_string(value)    ? FIELD_TEXT
		              : json_is_integer(value) ? FIELD_NUMBER
		              : json_is_boolean(value) ? FIELD_FLAG
		                                       : FIELD_OTHER;
		field->text = (struct bytes){ json_string_value(value), json_string_length(value) };
		field->number = json_is_true(value) ? 1 : json_integer_value(value);
	}
	return true;
}

struct reading {
	struct tape_entry entry;
	const char *path;
	int64_t size;
};

typedef bool set_fn(const struct field *field, void *ret, struct arena *arena);

static bool set_text(const struct field *field, void *ret, struct arena *arena)
{
	if (field->kind == FIELD_TEXT)
		*(const char **)ret = arena_strndup(arena, field->text.data, field->text.size);
	return field->kind == FIELD_TEXT && field->text.size < TAPE_PATH_MAX;
}

static bool set_coded(const struct field *field, void *ret, struct arena *arena)
{
	struct bytes raw;
	if (field->kind != FIELD_TEXT || !text_unbase64(arena, field->text, &raw) || memchr(raw.data, 0, raw.size))
		return false;
	*(const char **)ret = raw.data;
	return raw.size < TAPE_PATH_MAX;
}

static bool set_bytes(const struct field *field, void *ret, struct arena *arena)
{
	return field->kind == FIELD_TEXT && text_unbase64(arena, field->text, ret);
}

static bool set_number(const struct field *field, void *ret, struct arena *arena)
{
	(void)arena;
	*(int64_t *)ret = field->number;
	return field->kind == FIELD_NUMBER;
}

static bool set_unsigned(const struct field *field, void *ret, struct arena *arena)
{
	(void)arena;
	*(unsigned *)ret = (unsigned)field->number;
	return field->kind == FIELD_NUMBER && field->number >= 0 && field->number <= UINT32_MAX;
}

static bool set_flag(const struct field *field, void *ret, struct arena *arena)
{
	(void)arena;
	*(bool *)ret = field->number != 0;
	return field->kind == FIELD_FLAG;
}

/* Short words only: of an errno, a type, a mode. "" else, which is none of them. */
static const char *short_word(const struct field *field, char room[32])
{
	size_t size = field->kind == FIELD_TEXT && field->text.size < 32 ? field->text.size : 0;
	memcpy(room, size ? field->text.data : "", size);
	room[size] = '\0';
	return room;
}

static bool set_errno(const struct field *field, void *ret, struct arena *arena)
{
	(void)arena;
	char room[32];
	return (*(int *)ret = errno_of(short_word(field, room))) >= 0;
}

static bool set_type(const struct field *field, void *ret, struct arena *arena)
{
	(void)arena;
	char room[32];
	for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
		if (strcmp(short_word(field, room), type_names[i]) == 0) {
			*(enum node_type *)ret = (enum node_type)i;
			return true;
		}
	return false;
}

static bool set_mode(const struct field *field, void *ret, struct arena *arena)
{
	(void)arena;
	char room[32];
	uint64_t mode = 0;
	bool fine = text_number(short_word(field, room), 8, 07777, &mode);
	*(unsigned *)ret = (unsigned)mode;
	return fine;
}

static const struct {
	const char *key;
	set_fn *set;
	size_t where;
} entry_keys[] = {
	{ "path", set_text, offsetof(struct reading, path) },
	{ "path_base64", set_coded, offsetof(struct reading, path) },
	{ "type", set_type, offsetof(struct reading, entry.stat.type) },
	{ "mode", set_mode, offsetof(struct reading, entry.stat.mode) },
	{ "uid", set_unsigned, offsetof(struct reading, entry.stat.uid) },
	{ "gid", set_unsigned, offsetof(struct reading, entry.stat.gid) },
	{ "major", set_unsigned, offsetof(struct reading, entry.stat.major) },
	{ "minor", set_unsigned, offsetof(struct reading, entry.stat.minor) },
	{ "size", set_number, offsetof(struct reading, size) },
	{ "mtime", set_number, offsetof(struct reading, entry.stat.mtime) },
	{ "link", set_text, offsetof(struct reading, entry.link) },
	{ "link_base64", set_coded, offsetof(struct reading, entry.link) },
	{ "errno", set_errno, offsetof(struct reading, entry.error) },
	{ "open", set_errno, offsetof(struct reading, entry.open_error) },
	{ "data", set_flag, offsetof(struct reading, entry.has_data) },
	{ "data_base64", set_bytes, offsetof(struct reading, entry.data) },
	{ "listed", set_flag, offsetof(struct reading, entry.listed) },
	{ "named", set_flag, offsetof(struct reading, entry.named) },
};

/* Keys it does not know are of a later form and passed over. */
static bool read_fields(const struct fields *fields, struct arena *arena, struct reading *reading)
{
	for (size_t i = 0; i < fields->n; i++) {
		const struct field *field = &fields->field[i];
		for (size_t j = 0; j < sizeof entry_keys / sizeof *entry_keys; j++)
			if (same(field->key, (struct bytes){ entry_keys[j].key, strlen(entry_keys[j].key) }) &&
			        !entry_keys[j].set(field, (char *)reading + entry_keys[j].where, arena))
				return false;
	}
	return true;
}

/* What is wrong with the line, or NULL. */
static const char *take_entry(struct loader *loader, const struct fields *fields)
{
	struct reading read = { .entry = { .open_error = -1, .stat.mtime = UNKNOWN_NUMBER } };
	bool fine = read_fields(fields, loader->arena, &read);
	if (!read.path || !absolute_and_tidy(read.path))
		return "a path that is not absolute and tidy";
	if (!fine || read.size < 0)
		return "a key with a value it cannot have";
	if ((read.entry.stat.type == NODE_LINK) != (read.entry.link != NULL))
		return "a link that does not say where to, or no link that does";
	read.entry.stat.size = (uint64_t)read.size;
	loader->n_bytes += read.entry.has_data && !read.entry.data.data;
	read.entry.has_data = read.entry.has_data || read.entry.data.data;
	size_t before = loader->target->n;
	struct tape_entry *entry = tape_entry(loader->target, loader->arena, read.path);
	if (loader->target->n == before)
		return "a path that is there twice";
	read.entry.path = entry->path;
	*entry = read.entry;
	return NULL;
}

static const char *take_line(struct loader *loader, struct bytes line)
{
	struct fields fields;
	if (scan_line(line, &fields))
		return take_entry(loader, &fields);
	json_t *document JSON_SCOPED = NULL;
	struct err inner = { 0 };
	if (!json_parse(line, "line", &inner, &document))
		return "not JSON";
	return fields_of(document, &fields) ? take_entry(loader, &fields) : "no object of a few keys";
}

static bool load_entries(struct loader *loader, struct bytes text, struct err *err)
{
	struct bytes line;
	size_t cursor = 0, number = 0;
	while (text_line(text, &cursor, &line)) {
		number++;
		if (line.size == 0)
			continue;
		if (loader->target->n >= TAPE_ENTRIES_MAX)
			return bad(err, loader->members->name, "more entries than a tape may have");
		const char *what = take_line(loader, line);
		if (what)
			return err_set(err, ERR_INPUT, "%s: %.200s/entries.jsonl line %zu: %s", loader->members->name,
			        text_shown(loader->arena, loader->folder), number, what);
	}
	return true;
}

static bool is_file(const struct loader *loader, const struct member *member, struct err *err)
{
	if (member->error)
		return bad_path(err, loader->members, member->path, strerror(member->error));
	if (member->stat.type != NODE_FILE || member->link)
		return bad_path(err, loader->members, member->path, "not a plain file");
	return true;
}

static const struct member *find_member(const struct loader *loader, const char *path)
{
	for (size_t i = 0; i < loader->members->n; i++) {
		const char *below = below_top(loader->members->member[i].path, loader->top);
		if (below && strcmp(below, path) == 0)
			return &loader->members->member[i];
	}
	return NULL;
}

static bool take_bytes(struct loader *loader, const struct member *member, const char *path, struct err *err)
{
	if (member->stat.type == NODE_DIR)
		return true;
	if (!is_file(loader, member, err))
		return false;
	const struct tape_entry *found = tape_find(loader->target, path);
	size_t i = found ? (size_t)(found - loader->target->entries) : 0;
	if (!found || !found->has_data || found->data.data)
		return bad_path(err, loader->members, member->path,
		        found && loader->filled[i] ? "there twice" : "bytes that no entry speaks of");
	loader->target->entries[i].data = member->data;
	loader->filled[i] = true;
	loader->n_bytes--;
	return true;
}

static bool get_words(const json_t *array, struct arena *arena, const char ***ret)
{
	size_t n = json_array_size(array);
	if (n == 0 || n > 10000)
		return false;
	const char **words = arena_alloc(arena, (n + 1) * sizeof *words);
	for (size_t i = 0; i < n; i++) {
		const json_t *value = json_array_get(array, i), *coded = json_object_get(value, "base64");
		struct bytes raw = { 0 }, text = { json_string_value(coded), json_string_length(coded) };
		if (json_is_string(value))
			words[i] = arena_strdup(arena, json_string_value(value));
		else if (text.data && text_unbase64(arena, text, &raw) && !memchr(raw.data, 0, raw.size))
			words[i] = raw.data;
		else
			return false;
	}
	*ret = words;
	return true;
}

/* What is wrong with N.json, or NULL. The run goes to its place by number, so the order of a tar does not matter. */
static const char *take_run(struct loader *loader, const json_t *document, struct tape_run *run)
{
	int64_t status = 0;
	bool fine = get_words(json_object_get(document, "argv"), loader->arena, &run->argv) &&
	            get_text(document, "input_hash", loader->arena, &run->input_hash) &&
	            get_errno(document, "errno", &run->error) && get_number(document, "status", 0, 255, &status) &&
	            get_flag(document, "timed_out", &run->outcome.timed_out) &&
	            get_flag(document, "cut", &run->outcome.cut);
	run->outcome.status = (int)status;
	if (!run->input_hash)
		run->input_hash = "";
	return fine ? NULL : "a key with a value it cannot have";
}

static bool load_run(struct loader *loader, const struct member *member, const char *name, struct err *err)
{
	struct tape_target *target = loader->target;
	const char *dot = strchr(name, '.');
	uint64_t number = 0;
	if (!dot ||
	        !text_number(arena_strndup(loader->arena, name, (size_t)(dot - name)), 10, target->n_runs, &number) ||
	        number == 0 || !is_file(loader, member, err))
		return err && err->kind ? false
		                        : bad_path(err, loader->members, member->path, "not of a run in the manifest");
	struct tape_run *run = &target->runs[number - 1];
	json_t *document JSON_SCOPED = NULL;
	struct err inner = { 0 };
	const char *what = NULL;
	if (strcmp(dot, ".out") == 0)
		run->outcome.out = member->data;
	else if (strcmp(dot, ".err") == 0)
		run->outcome.err = member->data;
	else if (strcmp(dot, ".json") != 0)
		what = "not of a run in the manifest";
	else if (run->argv)
		what = "there twice";
	else if (!json_parse(member->data, "run", &inner, &document) || !json_is_object(document))
		what = "not JSON";
	else
		what = take_run(loader, document, run);
	return what ? bad_path(err, loader->members, member->path, what) : true;
}

/* All that lies below the target's folder, each by what part of it it is in. */
static bool load_parts(struct loader *loader, struct err *err)
{
	const char *root = arena_printf(loader->arena, "%s%s/root", loader->top, loader->folder);
	const char *run = arena_printf(loader->arena, "%s%s/run/", loader->top, loader->folder);
	size_t root_size = strlen(root), run_size = strlen(run);
	for (size_t i = 0; i < loader->members->n; i++) {
		const struct member *member = &loader->members->member[i];
		bool fine = true;
		if (strncmp(member->path, root, root_size) == 0 && member->path[root_size] == '/')
			fine = take_bytes(loader, member, member->path + root_size, err);
		else if (strncmp(member->path, run, run_size) == 0)
			fine = load_run(loader, member, member->path + run_size, err);
		if (!fine)
			return false;
	}
	return true;
}

static bool complete(const struct loader *loader, int64_t entries)
{
	if ((int64_t)loader->target->n != entries || loader->n_bytes)
		return false;
	for (size_t i = 0; i < loader->target->n_runs; i++)
		if (!loader->target->runs[i].argv)
			return false;
	return true;
}

static bool load_target(struct loader *loader, struct tape *tape, const json_t *described, struct err *err)
{
	const char *label = NULL, *folder = NULL;
	int64_t entries = -1, runs = -1;
	if (!get_text(described, "label", loader->arena, &label) ||
	        !get_text(described, "folder", loader->arena, &folder) ||
	        !get_number(described, "entries", 0, TAPE_ENTRIES_MAX, &entries) ||
	        !get_number(described, "runs", 0, TAPE_ENTRIES_MAX, &runs) || !label || !folder || entries < 0 ||
	        runs < 0 || strlen(folder) > 255 || strchr(folder, '/') || strcmp(folder, "..") == 0 || !*folder ||
	        tape_find_target(tape, label))
		return bad(err, loader->members->name, "manifest.json: a target that is not described as it should be");
	loader->target = tape_target(tape, loader->arena, label);
	loader->target->partial = json_is_true(json_object_get(described, "partial"));
	loader->folder = arena_printf(loader->arena, "targets/%s", text_shown(loader->arena, folder));
	loader->n_bytes = 0;
	const struct member *lines =
	        find_member(loader, arena_printf(loader->arena, "targets/%s/entries.jsonl", folder));
	if (!lines)
		return err_set(err, ERR_INPUT, "%s: cut: %.200s/entries.jsonl is missing", loader->members->name,
		        loader->folder);
	loader->folder = arena_printf(loader->arena, "targets/%s", folder);
	if (!is_file(loader, lines, err) || !load_entries(loader, lines->data, err))
		return false;
	loader->filled = arena_alloc(loader->arena, loader->target->n * sizeof *loader->filled);
	loader->target->n_runs = (size_t)runs;
	loader->target->runs = arena_alloc(loader->arena, (size_t)runs * sizeof *loader->target->runs);
	if (!load_parts(loader, err))
		return false;
	if (!complete(loader, entries))
		return bad(err, loader->members->name, "cut: it does not hold all that its manifest counts");
	tape_sort(loader->target, loader->arena);
	return true;
}

static bool load_tape(
        const struct members *members, const char *top, struct arena *arena, struct err *err, struct tape **ret)
{
	struct loader loader = { .members = members, .top = top, .arena = arena };
	const struct member *manifest = find_member(&loader, "manifest.json");
	json_t *document JSON_SCOPED = NULL;
	if (!is_file(&loader, manifest, err))
		return false;
	struct err inner = { 0 };
	if (!json_parse(manifest->data, "manifest.json", &inner, &document))
		return bad(err, members->name, inner.text);
	const char *schema = json_string_at(document, "schema");
	if (!schema || strcmp(schema, SCHEMA) != 0)
		return bad(err, members->name, "manifest.json is not of a tape of this form (" SCHEMA ")");
	struct tape *tape = tape_new(arena, UNKNOWN_NUMBER);
	tape->version = NULL;
	const json_t *targets = json_object_get(document, "targets");
	if (!get_number(document, "time", INT64_MIN, INT64_MAX, &tape->time) ||
	        !get_text(document, "version", arena, &tape->version) || !json_is_array(targets) ||
	        json_array_size(targets) > 1000)
		return bad(err, members->name, "manifest.json: a key with a value it cannot have");
	for (size_t i = 0; i < json_array_size(targets); i++)
		if (!load_target(&loader, tape, json_array_get(targets, i), err))
			return false;
	*ret = tape;
	return true;
}

static bool load_members(const struct members *members, struct arena *arena, struct err *err, struct tape **ret)
{
	struct shape shape = { 0 };
	if (members->n == 0)
		return bad(err, members->name, "neither a tape nor a tree: nothing is in it");
	if (!find_shape(members, arena, err, &shape))
		return false;
	return shape.tape ? load_tape(members, shape.top, arena, err, ret)
	                  : load_tree(members, shape.top, arena, err, ret);
}

bool tape_load(const char *path, struct arena *arena, struct err *err, struct tape **ret)
{
	struct members members = { .name = arena_printf(arena, "%.200s", text_shown(arena, path)) };
	struct stat stat;
	int fd FD_SCOPED = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &stat))
		return bad(err, members.name, strerror(errno));
	bool fine;
	if (S_ISDIR(stat.st_mode))
		fine = read_folder(fcntl(fd, F_DUPFD_CLOEXEC, 3), "", 0, &members, arena, err);
	else if (S_ISREG(stat.st_mode) || S_ISFIFO(stat.st_mode))
		fine = read_tar(fd, (struct bytes){ 0 }, &members, arena, err);
	else
		fine = bad(err, members.name, "neither a file nor a folder");
	return fine && load_members(&members, arena, err, ret);
}

bool tape_load_bytes(struct bytes tar, const char *name, struct arena *arena, struct err *err, struct tape **ret)
{
	struct members members = { .name = arena_printf(arena, "%.200s", text_shown(arena, name)) };
	return read_tar(-1, tar, &members, arena, err) && load_members(&members, arena, err, ret);
}

bool tape_parse_entries(
        struct bytes lines, const char *name, struct tape_target *target, struct arena *arena, struct err *err)
{
	struct members members = { .name = arena_printf(arena, "%.200s", text_shown(arena, name)) };
	struct loader loader = { .members = &members, .top = "", .arena = arena, .target = target, .folder = "-" };
	if (!load_entries(&loader, lines, err))
		return false;
	for (size_t i = 0; i < target->n; i++)
		target->entries[i].has_data = target->entries[i].data.data != NULL;
	tape_sort(target, arena);
	return true;
}

/* ---- opening ---------------------------------------------------------- */

static bool has_folder(int folder, const char *name)
{
	struct stat stat;
	return fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(stat.st_mode);
}

static bool has_any(int folder, const char *name)
{
	return faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_bare_tree(int folder)
{
	if (has_any(folder, "manifest.json"))
		return false;
	for (size_t i = 0; i < sizeof root_folders / sizeof *root_folders; i++)
		if (has_folder(folder, root_folders[i]))
			return true;
	return false;
}

/* Where the bare tree lies: the folder itself or the only one in it that is a tree; NULL: neither. */
static const char *bare_tree(const char *path, struct arena *arena)
{
	DIR *folder __attribute__((cleanup(close_folder))) = opendir(path);
	if (!folder || has_any(dirfd(folder), "manifest.json"))
		return NULL;
	if (is_bare_tree(dirfd(folder)))
		return path;
	const char *found = NULL;
	for (struct dirent *entry; (entry = readdir(folder));) {
		if (entry->d_name[0] == '.')
			continue;
		int below FD_SCOPED =
		        openat(dirfd(folder), entry->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			continue;
		if (found || has_any(below, "manifest.json"))
			return NULL;
		if (is_bare_tree(below))
			found = arena_printf(arena, "%s/%s", path, entry->d_name);
	}
	return found;
}

struct world *tape_open(const char *path, struct arena *arena, struct err *err)
{
	const char *root = bare_tree(path, arena);
	struct tape *tape;
	if (root)
		return world_open_root(root, true, arena, err);
	return tape_load(path, arena, err, &tape) ? tape_world(tape, "node", arena, err) : NULL;
}

/* ---- saving ----------------------------------------------------------- */

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

static json_t *entry_json(const struct tape_entry *entry, bool in_root, struct arena *arena)
{
	json_t *line = json_object();
	const struct world_stat *stat = &entry->stat;
	char mode[8];
	put_text(line, "path", entry->path, arena);
	if (stat->type != NODE_UNKNOWN)
		json_put(line, "type", json_raw_text(type_names[stat->type]));
	if (entry->error)
		json_put(line, "errno", json_raw_text(errno_name(entry->error)));
	if (entry->link && stat->type == NODE_LINK)
		put_text(line, "link", entry->link, arena);
	if (stat->mode) {
		snprintf(mode, sizeof mode, "%04o", stat->mode & 07777);
		json_put(line, "mode", json_raw_text(mode));
	}
	const struct {
		const char *key;
		int64_t number, left_out;
	} numbers[] = {
		{ "uid", stat->uid, 0 },
		{ "gid", stat->gid, 0 },
		{ "major", stat->major, 0 },
		{ "minor", stat->minor, 0 },
		{ "size", (int64_t)stat->size, 0 },
	};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (numbers[i].number != numbers[i].left_out)
			json_put(line, numbers[i].key, json_integer(numbers[i].number));
	if (stat->mtime != UNKNOWN_NUMBER)
		json_put(line, "mtime", json_integer(stat->mtime));
	if (entry->open_error >= 0)
		json_put(line, "open", json_raw_text(errno_name(entry->open_error)));
	if (entry->listed)
		json_put(line, "listed", json_true());
	if (entry->named)
		json_put(line, "named", json_true());
	if (entry->has_data && in_root)
		json_put(line, "data", json_true());
	else if (entry->has_data)
		json_put(line, "data_base64", json_raw_text(text_base64(arena, entry->data)));
	return line;
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
		json_t *line JSON_SCOPED = entry_json(entries[i], fits_root(entries, n, i), &arena);
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
		json_put(document, "errno", json_raw_text(errno_name(run->error)));
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
	json_put(manifest, "schema", json_raw_text(SCHEMA));
	if (tape->time != UNKNOWN_NUMBER)
		json_put(manifest, "time", json_integer(tape->time));
	if (tape->version)
		put_text(manifest, "version", tape->version, arena);
	json_put(manifest, "targets", targets);
	const char **folders = arena_alloc(arena, tape->n * sizeof *folders);
	const struct tape_entry ***entries = arena_alloc(arena, tape->n * sizeof *entries);
	size_t *n = arena_alloc(arena, tape->n * sizeof *n);
	for (size_t i = 0; i < tape->n; i++) {
		entries[i] = ordered(tape->targets[i], arena, &n[i]);
		json_t *target = json_object();
		put_text(target, "label", tape->targets[i]->label, arena);
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
