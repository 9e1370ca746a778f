/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A line of entries.jsonl: into an entry, and an entry into its object.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "sys/tape_file.h"

/* ---- its words ---------------------------------------------------------- */

static const char *const type_names[] = {
	[NODE_UNKNOWN] = "unknown",
	[NODE_FILE] = "file",
	[NODE_DIR] = "dir",
	[NODE_LINK] = "link",
	[NODE_CHAR] = "char",
	[NODE_BLOCK] = "block",
	[NODE_OTHER] = "other",
};

const char *tape_errno_name(int error)
{
	const char *name = error ? strerrorname_np(error) : "OK";
	return name ? name : "EIO";
}

int tape_errno_number(const char *name)
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

/* ---- reading ------------------------------------------------------------ */

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
	return (*(int *)ret = tape_errno_number(short_word(field, room))) >= 0;
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
	{ "path", set_text, offsetof(struct reading, entry.path) },
	{ "path_base64", set_coded, offsetof(struct reading, entry.path) },
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

/* Copies what it keeps of the fields. */
static const char *entry_of(const struct fields *fields, struct arena *arena, struct tape_entry *ret)
{
	struct reading read = { .entry = { .open_error = -1, .stat.mtime = UNKNOWN_NUMBER } };
	bool fine = read_fields(fields, arena, &read);
	if (!read.entry.path || !absolute_and_tidy(read.entry.path))
		return "a path that is not absolute and tidy";
	if (!fine || read.size < 0)
		return "a key with a value it cannot have";
	if ((read.entry.stat.type == NODE_LINK) != (read.entry.link != NULL))
		return "a link that does not say where to, or no link that does";
	read.entry.stat.size = (uint64_t)read.size;
	*ret = read.entry;
	return NULL;
}

const char *tape_read_entry(struct bytes line, struct arena *arena, struct tape_entry *ret)
{
	struct fields fields;
	if (scan_line(line, &fields))
		return entry_of(&fields, arena, ret);
	json_t *document JSON_SCOPED = NULL;
	struct err inner = { 0 };
	if (!json_parse(line, "line", &inner, &document))
		return "not JSON";
	return fields_of(document, &fields) ? entry_of(&fields, arena, ret) : "no object of a few keys";
}

/* ---- writing ------------------------------------------------------------ */

void tape_put_text(json_t *object, const char *key, const char *text, struct arena *arena)
{
	struct bytes raw = { text, strlen(text) };
	if (text_is_utf8(raw))
		json_put(object, key, json_raw_text(text));
	else
		json_put(object, arena_printf(arena, "%s_base64", key), json_raw_text(text_base64(arena, raw)));
}

json_t *tape_entry_json(const struct tape_entry *entry, bool in_root, struct arena *arena)
{
	json_t *line = json_object();
	const struct world_stat *stat = &entry->stat;
	char mode[8];
	tape_put_text(line, "path", entry->path, arena);
	if (stat->type != NODE_UNKNOWN)
		json_put(line, "type", json_raw_text(type_names[stat->type]));
	if (entry->error)
		json_put(line, "errno", json_raw_text(tape_errno_name(entry->error)));
	if (entry->link && stat->type == NODE_LINK)
		tape_put_text(line, "link", entry->link, arena);
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
		json_put(line, "open", json_raw_text(tape_errno_name(entry->open_error)));
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
