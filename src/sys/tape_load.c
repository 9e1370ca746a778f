/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a list of members to a tape: what the list is, a bare tree, or what a tape's manifest, lines and runs say. And
 * what is no tape but a folder laid out as a root, which is used where it lies.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.h"
#include "sys/tape_file.h"

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
			return tape_bad(err, members->name, "more than one machine in it");
		if (!same)
			shape = (struct shape){ .top = arena_strndup(arena, path, size) };
		shape.tape = shape.tape || tells_tape(slash + 1);
	}
	if (tree_here)
		shape = (struct shape){ .top = "" };
	if (!shape.top)
		return tape_bad(err, members->name, "neither a tape nor a tree: no manifest.json and no sys/ in it");
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
			return tape_bad_path(err, members, member->path, "there twice");
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

/* ---- a tape: keys of its documents ---------------------------------------- */

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
	int error = json_is_string(value) ? tape_errno_number(json_string_value(value)) : -1;
	if (error >= 0)
		*ret = error;
	return error >= 0;
}

/* ---- a tape ------------------------------------------------------------- */

struct loader {
	const struct members *members;
	const char *top;
	struct arena *arena;
	struct tape_target *target;
	const char *folder; /* "targets/node" */
	bool *filled;       /* per entry: its bytes were in root/ */
	size_t n_bytes;     /* entries whose bytes are in root/ */
};

/* What is wrong with the line, or NULL. */
static const char *take_line(struct loader *loader, struct bytes line)
{
	struct tape_entry read = { 0 };
	const char *wrong = tape_read_entry(line, loader->arena, &read);
	if (wrong)
		return wrong;
	loader->n_bytes += read.has_data && !read.data.data;
	read.has_data = read.has_data || read.data.data;
	size_t before = loader->target->n;
	struct tape_entry *entry = tape_entry(loader->target, loader->arena, read.path);
	if (loader->target->n == before)
		return "a path that is there twice";
	read.path = entry->path;
	*entry = read;
	return NULL;
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
			return tape_bad(err, loader->members->name, "more entries than a tape may have");
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
		return tape_bad_path(err, loader->members, member->path, strerror(member->error));
	if (member->stat.type != NODE_FILE || member->link)
		return tape_bad_path(err, loader->members, member->path, "not a plain file");
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
		return tape_bad_path(err, loader->members, member->path,
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
		return err && err->kind
		               ? false
		               : tape_bad_path(err, loader->members, member->path, "not of a run in the manifest");
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
	return what ? tape_bad_path(err, loader->members, member->path, what) : true;
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
		return tape_bad(
		        err, loader->members->name, "manifest.json: a target that is not described as it should be");
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
		return tape_bad(err, loader->members->name, "cut: it does not hold all that its manifest counts");
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
		return tape_bad(err, members->name, inner.text);
	const char *schema = json_string_at(document, "schema");
	if (!schema || strcmp(schema, TAPE_SCHEMA) != 0)
		return tape_bad(err, members->name, "manifest.json is not of a tape of this form (" TAPE_SCHEMA ")");
	struct tape *tape = tape_new(arena, UNKNOWN_NUMBER);
	tape->version = NULL;
	const json_t *targets = json_object_get(document, "targets");
	if (!get_number(document, "time", INT64_MIN, INT64_MAX, &tape->time) ||
	        !get_text(document, "version", arena, &tape->version) || !json_is_array(targets) ||
	        json_array_size(targets) > 1000)
		return tape_bad(err, members->name, "manifest.json: a key with a value it cannot have");
	for (size_t i = 0; i < json_array_size(targets); i++)
		if (!load_target(&loader, tape, json_array_get(targets, i), err))
			return false;
	*ret = tape;
	return true;
}

static bool load_members(const struct members *members, struct arena *arena, struct err *err, struct tape **ret)
{
	struct shape shape = { .top = "" };
	if (members->n == 0)
		return tape_bad(err, members->name, "neither a tape nor a tree: nothing is in it");
	if (!find_shape(members, arena, err, &shape))
		return false;
	return shape.tape ? load_tape(members, shape.top, arena, err, ret)
	                  : load_tree(members, shape.top, arena, err, ret);
}

bool tape_load(const char *path, struct arena *arena, struct err *err, struct tape **ret)
{
	struct members members = { .name = arena_printf(arena, "%.200s", text_shown(arena, path)) };
	return tape_read_members(path, &members, arena, err) && load_members(&members, arena, err, ret);
}

bool tape_load_bytes(struct bytes tar, const char *name, struct arena *arena, struct err *err, struct tape **ret)
{
	struct members members = { .name = arena_printf(arena, "%.200s", text_shown(arena, name)) };
	return tape_read_tar(tar, &members, arena, err) && load_members(&members, arena, err, ret);
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
	DIR *folder FOLDER_SCOPED = opendir(path);
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
	struct tape *tape = NULL;
	if (root)
		return world_open_root(root, true, arena, err);
	return tape_load(path, arena, err, &tape) ? tape_world(tape, "node", arena, err) : NULL;
}
