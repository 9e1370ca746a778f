/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is different between two machines, as far as a change and its way back are answerable for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "facts/initramfs.h"
#include "facts/pve.h"
#include "rehearse/model.h"

struct comparison {
	struct arena *arena;
	struct words found;
};

#define SAY(...) say(comparison, arena_printf(comparison->arena, __VA_ARGS__))

static void say(struct comparison *comparison, const char *sentence)
{
	*arena_push(comparison->arena, comparison->found.word, comparison->found.n) = sentence;
}

/* Times, what a boot makes anew, logs, and gpuferry's own. */
static bool is_compared(const char *path)
{
	static const char *const not_compared[] = { "/proc", "/sys", "/dev", "/run", "/tmp", "/var/lib/gpuferry",
		"/var/log", "/var/lib/dpkg/status-new" };
	for (size_t i = 0; i < sizeof not_compared / sizeof *not_compared; i++) {
		size_t size = strlen(not_compared[i]);
		if (strncmp(path, not_compared[i], size) == 0 && (path[size] == '/' || !path[size]))
			return false;
	}
	return true;
}

static bool is_there(const struct tape_entry *entry)
{
	return entry && !entry->error && entry->stat.type != NODE_UNKNOWN && !entry->implied &&
	       !(entry->stat.type == NODE_DIR && model_is_usual(entry->path));
}

/* ---- an initramfs by what it holds ---- */

static void compare_lists(struct comparison *comparison, const char *path, const char *what, const struct words *left,
        const struct words *right, bool gone)
{
	for (size_t i = 0; i < left->n; i++) {
		bool both = false;
		for (size_t j = 0; j < right->n && !both; j++)
			both = strcmp(left->word[i], right->word[j]) == 0;
		if (!both)
			SAY("%s %s %s %s", path, gone ? "no longer holds" : "holds now", what, left->word[i]);
	}
}

static const struct initramfs_file *file_in(const struct initramfs *image, const char *path)
{
	for (size_t i = 0; i < image->n_files; i++)
		if (strcmp(image->files[i].path, path) == 0)
			return &image->files[i];
	return NULL;
}

static bool same_bytes(struct bytes left, struct bytes right)
{
	return left.size == right.size && (!left.size || memcmp(left.data, right.data, left.size) == 0);
}

static bool compare_images(struct comparison *comparison, const struct tape_entry *left, const struct tape_entry *right)
{
	struct initramfs old = { 0 }, new = { 0 };
	struct err err = { 0 };
	if (!initramfs_parse(left->data, comparison->arena, &err, &old) ||
	        !initramfs_parse(right->data, comparison->arena, &err, &new))
		return false;
	compare_lists(comparison, left->path, "module", &old.modules, &new.modules, true);
	compare_lists(comparison, left->path, "module", &new.modules, &old.modules, false);
	compare_lists(comparison, left->path, "script", &old.early_scripts, &new.early_scripts, true);
	compare_lists(comparison, left->path, "script", &new.early_scripts, &old.early_scripts, false);
	for (size_t i = 0; i < old.n_files; i++) {
		const struct initramfs_file *other = file_in(&new, old.files[i].path);
		bool config = !text_starts(old.files[i].path, "scripts/") && strcmp(old.files[i].path, "init") != 0;
		if (config && (!other || !same_bytes(old.files[i].data, other->data)))
			SAY("%s holds another %s", left->path, old.files[i].path);
	}
	for (size_t i = 0; i < new.n_files; i++)
		if (!file_in(&old, new.files[i].path))
			SAY("%s holds %s now", left->path, new.files[i].path);
	return true;
}

/* ---- a guest by its values ---- */

static bool is_guest(const char *path)
{
	return text_matches("/etc/pve/*qemu-server/*.conf", path) || text_matches("/etc/pve/*lxc/*.conf", path);
}

static const struct pve_section *pending_of(const struct guest *guest)
{
	for (size_t i = 0; i < guest->n_sections; i++)
		if (guest->sections[i].kind == SECTION_PENDING)
			return &guest->sections[i];
	return NULL;
}

/* A device node cannot be taken from a running CT: the way back waits there for the next start, as declared (plan.h,
 * config). So the active lines and those that wait are compared as that start has them. */
static bool goes_away(const struct guest *guest, const struct pve_line *line)
{
	const char *next = pve_value_next(guest, line->key);
	return pending_of(guest) && (!next || strcmp(next, line->value) != 0);
}

/* When a guest or a snapshot was made. */
static bool is_time(const char *line)
{
	return text_starts(line, "snaptime:") || text_matches("meta:*ctime=*", line);
}

/* Each line with its section in front. */
static struct words values_of(struct arena *arena, const char *path, struct bytes text)
{
	struct words ret = { 0 };
	struct guest guest = { 0 };
	pve_parse_guest(text, strstr(path, "lxc/") ? GUEST_CT : GUEST_VM, arena, &guest);
	for (size_t s = 0; s < guest.n_sections; s++) {
		const struct pve_section *section = &guest.sections[s];
		bool pending = section->kind == SECTION_PENDING;
		for (size_t i = 0; i < section->n; i++) {
			const struct pve_line *line = &section->lines[i];
			const char *plain = text_trimmed(arena, (struct bytes){ line->raw, strlen(line->raw) });
			bool setting = line->key && line->value && *line->key != '#' && !text_starts(line->key, "lxc.");
			if (!*plain || *plain == '[' || is_time(plain) || (pending && setting && strcmp(line->key, "delete") == 0) ||
			        (s == 0 && setting && goes_away(&guest, line)))
				continue;
			*arena_push(arena, ret.word, ret.n) =
			        arena_printf(arena, "%s%s%s%s", *section->name && !pending ? "[" : "",
			                pending ? "" : section->name, *section->name && !pending ? "]" : "", plain);
		}
	}
	return ret;
}

static void compare_guests(struct comparison *comparison, const struct tape_entry *left, const struct tape_entry *right)
{
	struct words old = values_of(comparison->arena, left->path, left->data);
	struct words new = values_of(comparison->arena, right->path, right->data);
	compare_lists(comparison, left->path, "the line", &old, &new, true);
	compare_lists(comparison, left->path, "the line", &new, &old, false);
}

/* ---- mappings by their properties, whose order is PVE's own ---- */

static int by_bytes(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static struct words mappings_of(struct arena *arena, struct bytes text)
{
	struct words ret = { 0 };
	struct bytes line;
	const char *id = "";
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		const char *plain = text_trimmed(arena, line);
		struct words words = text_split(arena, plain, ",");
		if (!words.n)
			continue;
		if (!strchr(" \t", *line.data)) {
			id = plain;
			continue;
		}
		if (text_starts(words.word[0], "map "))
			words.word[0] += strlen("map ");
		qsort(words.word, words.n, sizeof *words.word, by_bytes);
		const char *sorted = id;
		for (size_t i = 0; i < words.n; i++)
			sorted = arena_printf(arena, "%s %s", sorted, words.word[i]);
		*arena_push(arena, ret.word, ret.n) = sorted;
	}
	return ret;
}

static void compare_mappings(
        struct comparison *comparison, const struct tape_entry *left, const struct tape_entry *right)
{
	struct words old = mappings_of(comparison->arena, left->data), new = mappings_of(comparison->arena, right->data);
	compare_lists(comparison, left->path, "the mapping", &old, &new, true);
	compare_lists(comparison, left->path, "the mapping", &new, &old, false);
}

/* ---- files ---- */

static void compare_content(
        struct comparison *comparison, const struct tape_entry *left, const struct tape_entry *right)
{
	if (!left->has_data || !right->has_data) {
		if (left->stat.size != right->stat.size)
			SAY("%s has another size", left->path);
		return;
	}
	if (same_bytes(left->data, right->data))
		return;
	if (is_guest(left->path))
		compare_guests(comparison, left, right);
	else if (strcmp(left->path, "/etc/pve/mapping/pci.cfg") == 0)
		compare_mappings(comparison, left, right);
	else if (!text_matches("*/initrd.img-*", left->path) || !compare_images(comparison, left, right))
		SAY("%s has another content", left->path);
}

static void compare_entries(
        struct comparison *comparison, const struct tape_entry *left, const struct tape_entry *right)
{
	const char *path = left->path;
	if (left->stat.type != right->stat.type) {
		SAY("%s is another kind of file", path);
		return;
	}
	if (left->stat.type == NODE_LINK) {
		if (left->link && right->link && strcmp(left->link, right->link) != 0)
			SAY("%s points to %s, not to %s", path, right->link, left->link);
		return;
	}
	if (left->stat.mode != right->stat.mode)
		SAY("%s has mode %04o, not %04o", path, right->stat.mode, left->stat.mode);
	if (left->stat.uid != right->stat.uid || left->stat.gid != right->stat.gid)
		SAY("%s belongs to %u:%u, not to %u:%u", path, right->stat.uid, right->stat.gid, left->stat.uid,
		        left->stat.gid);
	if (left->stat.type == NODE_FILE)
		compare_content(comparison, left, right);
}

static void compare_files(struct comparison *comparison, struct tape_target *left, struct tape_target *right)
{
	for (size_t i = 0; i < left->n; i++) {
		const struct tape_entry *entry = &left->entries[i];
		const struct tape_entry *other = is_compared(entry->path) ? tape_find(right, entry->path) : NULL;
		if (!is_there(entry) || !is_compared(entry->path))
			continue;
		if (is_there(other))
			compare_entries(comparison, entry, other);
		else if (!other || !other->implied)
			SAY("%s is gone", entry->path);
	}
	for (size_t i = 0; i < right->n; i++) {
		const struct tape_entry *entry = &right->entries[i];
		if (!is_there(entry) || !is_compared(entry->path))
			continue;
		const struct tape_entry *other = tape_find(left, entry->path);
		if (!is_there(other) && !(other && other->implied))
			SAY("%s is new", entry->path);
	}
}

/* ---- bindings ---- */

static const char *last_of_link(struct tape_target *target, struct arena *arena, const char *path, const char *name)
{
	const struct tape_entry *entry = tape_find(target, arena_printf(arena, "%s/%s", path, name));
	if (!entry || entry->error || !entry->link)
		return NONE;
	const char *slash = strrchr(entry->link, '/');
	return slash ? slash + 1 : entry->link;
}

static const char *override_of(struct tape_target *target, struct arena *arena, const char *path)
{
	const struct tape_entry *entry = tape_find(target, arena_printf(arena, "%s/driver_override", path));
	return entry && entry->has_data ? text_attribute(arena, entry->data) : "(null)";
}

static void compare_bindings(struct comparison *comparison, struct tape_target *left, struct tape_target *right)
{
	static const char start[] = "/sys/bus/pci/devices/";
	struct arena *arena = comparison->arena;
	for (size_t i = 0; i < left->n; i++) {
		const struct tape_entry *entry = &left->entries[i];
		const char *at =
		        text_starts(entry->path, start) && entry->link ? strstr(entry->link, "devices/") : NULL;
		if (!at)
			continue;
		const char *address = entry->path + strlen(start), *path = arena_printf(arena, "/sys/%s", at);
		const char *old = last_of_link(left, arena, path, "driver"),
		           *new = last_of_link(right, arena, path, "driver");
		if (strcmp(old, new) != 0)
			SAY("%s has driver %s, not %s", address, *new ? new : "none", *old ? old : "none");
		old = override_of(left, arena, path);
		new = override_of(right, arena, path);
		if (strcmp(old, new) != 0)
			SAY("%s has driver_override %s, not %s", address, new, old);
	}
}

static struct tape_target *node_of(const struct tape *tape)
{
	for (size_t i = 0; i < tape->n; i++)
		if (strcmp(tape->targets[i]->label, "node") == 0)
			return tape->targets[i];
	return NULL;
}

struct words rehearse_differences(const struct tape *left, const struct tape *right, struct arena *arena)
{
	struct comparison comparison = { .arena = arena };
	struct tape_target *old = node_of(left), *new = node_of(right);
	if (!old || !new) {
		if (old != new)
			say(&comparison, "one of them has no node");
		return comparison.found;
	}
	compare_files(&comparison, old, new);
	compare_bindings(&comparison, old, new);
	return comparison.found;
}
