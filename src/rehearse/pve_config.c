/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Guest files as Proxmox VE reads and writes them. Sources: qemu-server QemuServer.pm (parse_vm_config,
 * write_vm_config), pve-container LXC/Config.pm (parse_pct_config, write_pct_config), pve-guest-common
 * AbstractConfig.pm; recorded sessions s1, s3, s5.
 */
#include <ctype.h>
#include <errno.h>
#include <sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facts/package.h"
#include "rehearse/pve.h"

const char *pve_sha1(const char *text, struct arena *arena)
{
	SHA1_CTX context;
	unsigned char digest[SHA1_DIGEST_LENGTH];
	char *hex = arena_alloc(arena, 2 * sizeof digest + 1);
	SHA1Init(&context);
	SHA1Update(&context, (const uint8_t *)text, strlen(text));
	SHA1Final(digest, &context);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return hex;
}

int pve_die(struct model_call *call, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	model_err(call, "%s\n", arena_vprintf(call->rehearse->arena, format, args));
	va_end(args);
	return PVE_DIED;
}

/* ---- the node ---- */

const char *pve_node(struct rehearse *rehearse)
{
	const char *local = NULL, *name;
	struct model_inode *inode;
	if (model_look(rehearse, "/etc/pve/local", false, &inode) == 0)
		local = inode->link;
	if (local && (name = strrchr(local, '/')))
		return name + 1;
	const char *text = model_text(rehearse, "/etc/hostname");
	return text ? text_trimmed(rehearse->arena, (struct bytes){ text, strcspn(text, "\n") }) : "localhost";
}

const char *pve_package(struct rehearse *rehearse, const char *name)
{
	const char *const names[] = { name, NULL };
	const char *text = model_text(rehearse, "/var/lib/dpkg/status");
	if (!text)
		return NULL;
	struct words found = package_parse((struct bytes){ text, strlen(text) }, names, rehearse->arena);
	return package_version(&found, name);
}

int pve_version(struct rehearse *rehearse)
{
	if (rehearse->pve->version)
		return rehearse->pve->version;
	const char *version = pve_package(rehearse, "pve-manager");
	rehearse->pve->version = version && isdigit((unsigned char)*version) ? (int)model_number(version) : 8;
	return rehearse->pve->version;
}

static const char *folder_of(struct rehearse *rehearse, enum guest_kind kind)
{
	return MODEL_PRINT(
	        rehearse, "/etc/pve/nodes/%s/%s", pve_node(rehearse), kind == GUEST_CT ? "lxc" : "qemu-server");
}

unsigned pve_id(const char *text)
{
	uint64_t number;
	return text && text_number(text, 10, 999999999, &number) && number >= 100 ? (unsigned)number : 0;
}

static int by_number(const void *left, const void *right)
{
	unsigned a = *(const unsigned *)left, b = *(const unsigned *)right;
	return a < b ? -1 : a > b;
}

size_t pve_ids(struct rehearse *rehearse, enum guest_kind kind, unsigned **ret)
{
	size_t n = 0;
	*ret = NULL;
	for (enum guest_kind one = GUEST_VM; one <= GUEST_CT; one++) {
		struct model_inode *folder = model_find(rehearse, folder_of(rehearse, one));
		for (size_t i = 0; folder && (kind == GUEST_UNKNOWN || kind == one) && i < folder->names.n; i++) {
			const char *name = folder->names.name[i].name;
			unsigned id = text_ends(name, ".conf")
			                      ? pve_id(arena_strndup(rehearse->arena, name, strlen(name) - 5))
			                      : 0;
			if (id && folder->names.name[i].inode)
				*arena_push(rehearse->arena, *ret, n) = id;
		}
	}
	if (n)
		qsort(*ret, n, sizeof **ret, by_number);
	return n;
}

/* Not random: the same machine and the same commands give the same. */
static const char *made(struct rehearse *rehearse)
{
	return pve_sha1(MODEL_PRINT(rehearse, "gpuferry %u", ++rehearse->pve->made), rehearse->arena);
}

const char *pve_uuid(struct rehearse *rehearse)
{
	const char *hex = made(rehearse);
	return MODEL_PRINT(rehearse, "%.8s-%.4s-4%.3s-a%.3s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

const char *pve_mac(struct rehearse *rehearse)
{
	const char *hex = made(rehearse);
	char *mac =
	        arena_strdup(rehearse->arena, MODEL_PRINT(rehearse, "BC:24:11:%.2s:%.2s:%.2s", hex, hex + 2, hex + 4));
	for (char *sign = mac; *sign; sign++)
		*sign = (char)toupper((unsigned char)*sign);
	return mac;
}

/* ---- keys ---- */

const char *pve_get(const struct pve_part *part, const char *name)
{
	for (size_t i = 0; i < part->n; i++)
		if (strcmp(part->key[i].name, name) == 0)
			return part->key[i].value;
	return NULL;
}

static int by_name(const void *left, const void *right)
{
	return strcmp(((const struct pve_key *)left)->name, ((const struct pve_key *)right)->name);
}

void pve_put(struct arena *arena, struct pve_part *part, const char *name, const char *value)
{
	for (size_t i = 0; i < part->n; i++) {
		if (strcmp(part->key[i].name, name) != 0)
			continue;
		if (value)
			part->key[i].value = value;
		else
			memmove(part->key + i, part->key + i + 1, (--part->n - i) * sizeof *part->key);
		return;
	}
	if (!value)
		return;
	*arena_push(arena, part->key, part->n) = (struct pve_key){ name, value };
	qsort(part->key, part->n, sizeof *part->key, by_name);
}

struct pve_part pve_copy(struct arena *arena, const struct pve_part *part)
{
	struct pve_part copy = { .name = part->name, .text = part->text };
	for (size_t i = 0; i < part->n; i++)
		*arena_push(arena, copy.key, copy.n) = part->key[i];
	for (size_t i = 0; i < part->lxc.n; i++)
		*arena_push(arena, copy.lxc.word, copy.lxc.n) = part->lxc.word[i];
	return copy;
}

struct words pve_deleted(const struct pve_file *file, struct arena *arena)
{
	const char *list = pve_get(&file->pending, "delete");
	struct words names = list ? text_split(arena, list, " ,;\t") : (struct words){ 0 };
	for (size_t i = 0; i < names.n; i++)
		names.word[i] += *names.word[i] == '!';
	return names;
}

void pve_delete_later(struct arena *arena, struct pve_file *file, const char *name, bool really)
{
	struct words names = pve_deleted(file, arena);
	const char *list = NULL;
	for (size_t i = 0; i < names.n; i++)
		if (strcmp(names.word[i], name) != 0)
			list = list ? arena_printf(arena, "%s,%s", list, names.word[i]) : names.word[i];
	if (really)
		list = list ? arena_printf(arena, "%s,%s", list, name) : arena_strdup(arena, name);
	pve_put(arena, &file->pending, "delete", list);
}

void pve_apply_pending(struct arena *arena, struct pve_file *file)
{
	struct words deleted = pve_deleted(file, arena);
	for (size_t i = 0; i < deleted.n; i++)
		pve_put(arena, &file->active, deleted.word[i], NULL);
	for (size_t i = 0; i < file->pending.n; i++)
		if (strcmp(file->pending.key[i].name, "delete") != 0)
			pve_put(arena, &file->active, file->pending.key[i].name, file->pending.key[i].value);
	file->active.text = file->pending.text ? file->pending.text : file->active.text;
	file->pending = (struct pve_part){ 0 };
}

struct pve_part pve_merged(struct arena *arena, const struct pve_file *file)
{
	struct pve_file next = *file;
	next.active = pve_copy(arena, &file->active);
	next.pending = pve_copy(arena, &file->pending);
	pve_apply_pending(arena, &next);
	return next.active;
}

struct pve_part *pve_snapshot(struct pve_file *file, const char *name)
{
	for (size_t i = 0; i < file->n_snapshots; i++)
		if (strcmp(file->snapshot[i].name, name) == 0)
			return &file->snapshot[i];
	return NULL;
}

/* ---- reading ---- */

static void warn_lost(struct model_call *call, unsigned id, const char *raw)
{
	static const char *const made_itself[] = { "lxc.rootfs.path", "lxc.rootfs.options", NULL };
	for (size_t i = 0; made_itself[i]; i++)
		if (text_starts(raw, made_itself[i])) {
			model_err(call, "vm %u - %s: %s is auto generated from rootfs\n", id, made_itself[i],
			        made_itself[i]);
			return;
		}
	model_err(call, "vm %u - unable to parse config: %s\n", id, raw);
}

/* A line of a known shape; false: PVE drops it. */
static bool take_line(
        struct model_call *call, struct pve_file *file, struct pve_part *part, const struct pve_line *line)
{
	struct arena *arena = call->rehearse->arena;
	unsigned use = file->kind == GUEST_CT ? PVE_CT_KEY : PVE_VM_KEY;
	if (strcmp(line->key, "#") == 0) {
		part->text = part->text ? arena_printf(arena, "%s%%0A%s", part->text, line->value) : line->value;
		return true;
	}
	if (text_starts(line->key, "lxc.")) {
		if (pve_version(call->rehearse) >= 9 && text_starts(line->key, "lxc.cgroup."))
			model_err(call, "vm %u - %s is deprecated, this will be a hard error in the future!\n",
			        file->id, line->key);
		*arena_push(arena, part->lxc.word, part->lxc.n) = arena_printf(arena, "%s: %s", line->key, line->value);
		return true;
	}
	if (strcmp(line->key, "snapstate") == 0) { /* no setting: the parser's own mark, and of a snapshot alone */
		if (part != &file->active && text_has_word("prepare delete", line->value, " "))
			pve_put(arena, part, line->key, line->value);
		return true;
	}
	const struct pve_option *option = pve_option_key(line->key, use);
	bool list = strcmp(line->key, "delete") == 0;
	const char *wrong =
	        list ? NULL : pve_option_parse(option, line->key, line->value, pve_version(call->rehearse), arena);
	if (wrong) {
		model_err(call, "vm %u - unable to parse value of '%s' - %s%s", file->id, line->key, wrong,
		        text_ends(wrong, "\n") ? "" : "\n");
		if (file->kind != GUEST_CT) /* a CT's parser warns and keeps it */
			return false;
	}
	const char *value = line->value;
	if (option && option->format == PVE_BOOLEAN && !wrong)
		value = pve_boolean(value) == YES ? "1" : "0";
	pve_put(arena, part, line->key, value);
	return true;
}

static struct pve_part *part_of(struct model_call *call, struct pve_file *file, const struct pve_section *section)
{
	if (section->kind == SECTION_ACTIVE)
		return &file->active;
	if (section->kind == SECTION_PENDING) {
		file->pending = (struct pve_part){ 0 };
		return &file->pending;
	}
	struct pve_part *part = pve_snapshot(file, section->name);
	part = part ? part : arena_push(call->rehearse->arena, file->snapshot, file->n_snapshots);
	*part = (struct pve_part){ .name = section->name };
	return part;
}

static void take_section(struct model_call *call, struct pve_file *file, const struct pve_section *section)
{
	if (section->kind == SECTION_SPECIAL) {
		for (size_t i = 0; i < section->n; i++)
			file->kept = MODEL_PRINT(call->rehearse, "%s%s\n", file->kept, section->lines[i].raw);
		return;
	}
	struct pve_part *part = part_of(call, file, section);
	for (size_t i = 0; i < section->n; i++) {
		const struct pve_line *line = &section->lines[i];
		if (line->lost && !line->key)
			warn_lost(call, file->id, line->raw);
		else if (line->key)
			take_line(call, file, part, line);
	}
}

static int by_snapshot(const void *left, const void *right)
{
	return strcmp(((const struct pve_part *)left)->name, ((const struct pve_part *)right)->name);
}

bool pve_load(struct model_call *call, enum guest_kind kind, unsigned id, struct pve_file *ret)
{
	struct rehearse *rehearse = call->rehearse;
	struct pve_file file = { .kind = kind, .id = id, .kept = "" };
	file.path = MODEL_PRINT(rehearse, "%s/%u.conf", folder_of(rehearse, kind), id);
	const char *text = model_text(rehearse, file.path);
	if (!text) {
		model_err(call, "Configuration file '%s' does not exist\n", file.path + strlen("/etc/pve/"));
		return false;
	}
	struct guest guest = { .id = id };
	pve_parse_guest((struct bytes){ text, strlen(text) }, kind, rehearse->arena, &guest);
	file.digest = pve_sha1(text, rehearse->arena);
	for (size_t i = 0; i < guest.n_sections; i++)
		take_section(call, &file, &guest.sections[i]);
	if (file.n_snapshots)
		qsort(file.snapshot, file.n_snapshots, sizeof *file.snapshot, by_snapshot);
	*ret = file;
	return true;
}

/* ---- writing ---- */

static const char *part_text(const struct pve_part *part, struct arena *arena)
{
	const char *text = "", *line = part->text, *end;
	for (; line; line = end ? end + 3 : NULL) {
		end = strstr(line, "%0A");
		text = arena_printf(arena, "%s#%.*s\n", text, end ? (int)(end - line) : (int)strlen(line), line);
	}
	for (size_t i = 0; i < part->n; i++)
		text = arena_printf(arena, "%s%s: %s\n", text, part->key[i].name, part->key[i].value);
	for (size_t i = 0; i < part->lxc.n; i++)
		text = arena_printf(arena, "%s%s\n", text, part->lxc.word[i]);
	return text;
}

const char *pve_text(const struct pve_file *file, struct arena *arena)
{
	const char *text = part_text(&file->active, arena);
	if (file->pending.n || file->pending.text)
		text = arena_printf(arena, "%s\n[%s]\n%s", text, file->kind == GUEST_CT ? "pve:pending" : "PENDING",
		        part_text(&file->pending, arena));
	if (*file->kept)
		text = arena_printf(arena, "%s\n%s", text, file->kept);
	for (size_t i = 0; i < file->n_snapshots; i++)
		text = arena_printf(
		        arena, "%s\n[%s]\n%s", text, file->snapshot[i].name, part_text(&file->snapshot[i], arena));
	return text;
}

bool pve_store(struct model_call *call, const struct pve_file *file)
{
	const char *text = pve_text(file, call->rehearse->arena);
	int error = model_commit(call->rehearse, file->path, (struct bytes){ text, strlen(text) }, "%s %s %u",
	        call->argv[0], call->argv[1], file->id);
	if (error && !model_dead(call->rehearse) && error != ETIMEDOUT)
		pve_die(call, "unable to write '%s' - %s", file->path, strerror(error));
	else
		call->error = error ? error : call->error;
	return !error;
}

/* ---- showing ---- */

void pve_print(struct model_call *call, const struct pve_part *part)
{
	bool told = !part->text;
	for (size_t i = 0; i < part->n; i++) {
		if (!told && strcmp(part->key[i].name, "description") > 0) {
			model_out(call, "description: %s\n", part->text);
			told = true;
		}
		model_out(call, "%s: %s\n", part->key[i].name, part->key[i].value);
	}
	if (!told)
		model_out(call, "description: %s\n", part->text);
	for (size_t i = 0; i < part->lxc.n; i++)
		model_out(call, "%s\n", part->lxc.word[i]);
}

void pve_print_pending(struct model_call *call, const struct pve_file *file)
{
	struct arena *arena = call->rehearse->arena;
	struct words deleted = pve_deleted(file, arena);
	struct pve_part all = pve_copy(arena, &file->active);
	for (size_t i = 0; i < file->pending.n; i++)
		if (strcmp(file->pending.key[i].name, "delete") != 0)
			pve_put(arena, &all, file->pending.key[i].name, file->pending.key[i].value);
	for (size_t i = 0; i < all.n; i++) {
		const char *name = all.key[i].name, *now = pve_get(&file->active, name);
		const char *next = pve_get(&file->pending, name);
		bool gone = false;
		for (size_t j = 0; j < deleted.n; j++)
			gone = gone || strcmp(deleted.word[j], name) == 0;
		if (now)
			model_out(call, "%s %s: %s\n", gone ? "del" : "cur", name, now);
		if (next)
			model_out(call, "new %s: %s\n", name, next);
	}
}

bool pve_locked(struct model_call *call, const struct pve_file *file)
{
	const char *lock = pve_get(&file->active, "lock");
	if (lock)
		model_err(call, "%s is locked (%s)\n", file->kind == GUEST_CT ? "CT" : "VM", lock);
	return lock != NULL;
}
