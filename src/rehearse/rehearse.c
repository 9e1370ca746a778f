/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rehearse/rehearse.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rehearse/model.h"

enum { UP_BEFORE = 86400 }; /* how long a machine ran, where its recording does not say */

/* ---- opening ---- */

static int64_t uptime(struct rehearse *rehearse)
{
	const char *text = model_text(rehearse, "/proc/uptime");
	uint64_t seconds = 0;
	if (text && text_number(arena_strndup(rehearse->arena, text, strcspn(text, ".")), 10, INT32_MAX, &seconds))
		return (int64_t)seconds;
	return UP_BEFORE;
}

struct rehearse *rehearse_open(const struct tape *tape, struct arena *arena, struct err *err)
{
	struct rehearse *rehearse = arena_new(arena, struct rehearse);
	rehearse->arena = arena;
	rehearse->tape = arena_new(arena, struct tape);
	*rehearse->tape = *tape; /* its targets are only read: their index hangs on where they lie */
	rehearse->clock = tape->time > 0 ? tape->time : 0;
	rehearse->next_pid = 40000;
	rehearse->effect = "";
	for (size_t i = 0; i < tape->n; i++)
		if (strcmp(tape->targets[i]->label, "node") == 0)
			rehearse->recorded = rehearse->tape->targets[i];
	if (!rehearse->recorded) {
		err_set(err, ERR_INPUT, "this recording has no node, so there is nothing to rehearse on");
		return NULL;
	}
	rehearse->replay = tape_world(rehearse->tape, "node", arena, err);
	rehearse->world = (struct world){
		.ops = &model_ops,
		.changes = &model_changes,
		.label = "node",
		.state = rehearse,
		.partial = rehearse->recorded->partial,
	};
	if (!rehearse->replay || !model_load(rehearse, err) || !kernel_open(rehearse, err) ||
	        !boot_open(rehearse, err) || !pve_open(rehearse, err))
		return NULL;
	rehearse->booted = rehearse->clock - uptime(rehearse);
	return rehearse;
}

struct world *rehearse_world(struct rehearse *rehearse)
{
	return &rehearse->world;
}

/* ---- what goes wrong ---- */

unsigned long rehearse_effects(const struct rehearse *rehearse)
{
	return rehearse->effects;
}

const char *rehearse_effect_name(const struct rehearse *rehearse)
{
	return rehearse->effect;
}

void rehearse_cut(struct rehearse *rehearse, unsigned long after)
{
	rehearse->cut = after;
}

void rehearse_fault_from(struct rehearse *rehearse, enum rehearse_fault fault, const char *pattern, int error,
        unsigned first, unsigned times)
{
	*arena_push(rehearse->arena, rehearse->faults, rehearse->n_faults) = (struct model_fault){
		.fault = fault,
		.pattern = arena_strdup(rehearse->arena, pattern ? pattern : "*"),
		.error = error,
		.first = first,
		.times = times,
		.for_ever = times == 0,
	};
}

void rehearse_fault(
        struct rehearse *rehearse, enum rehearse_fault fault, const char *pattern, int error, unsigned times)
{
	rehearse_fault_from(rehearse, fault, pattern, error, 1, times);
}

void rehearse_meanwhile(
        struct rehearse *rehearse, const char *pattern, unsigned first, rehearse_other *other, void *data)
{
	rehearse_fault_from(rehearse, FAULT_OTHER, pattern, 0, first, 1);
	rehearse->faults[rehearse->n_faults - 1].other = other;
	rehearse->faults[rehearse->n_faults - 1].data = data;
}

size_t rehearse_mend(struct rehearse *rehearse)
{
	size_t missed = 0;
	for (size_t i = 0; i < rehearse->n_faults; i++)
		missed += !rehearse->faults[i].came;
	rehearse->n_faults = 0;
	rehearse->faults = NULL;
	return missed;
}

bool rehearse_edit(struct rehearse *rehearse, const char *path, struct bytes content)
{
	struct model_inode *old = model_find(rehearse, path);
	struct world_stat stat = old ? old->stat : (struct world_stat){ .mode = 0644 };
	struct bytes copy = arena_bytes(rehearse->arena, content.data ? content.data : "", content.size);
	struct model_inode *inode =
	        old && old->stat.type != NODE_FILE ? NULL : model_set(rehearse, path, NODE_FILE, stat.mode, copy);
	if (!inode)
		return false;
	inode->stat.uid = inode->disk_stat.uid = stat.uid;
	inode->stat.gid = inode->disk_stat.gid = stat.gid;
	return true;
}

enum rehearse_power rehearse_power_state(const struct rehearse *rehearse)
{
	if (rehearse->power == POWER_ON && rehearse->cut && rehearse->effects >= rehearse->cut)
		return POWER_CUT;
	return rehearse->power;
}

void rehearse_install(struct rehearse *rehearse, const char *name, rehearse_program *program, void *data)
{
	for (size_t i = 0; i < rehearse->n_programs; i++)
		if (strcmp(rehearse->programs[i].name, name) == 0) {
			rehearse->programs[i].run = program;
			rehearse->programs[i].data = data;
			return;
		}
	*arena_push(rehearse->arena, rehearse->programs, rehearse->n_programs) =
	        (struct model_program){ arena_strdup(rehearse->arena, name), program, data };
}

void rehearse_move_device(struct rehearse *rehearse, const char *from, const char *to)
{
	*arena_push(rehearse->arena, rehearse->moves, rehearse->n_moves) =
	        (struct model_move){ arena_strdup(rehearse->arena, from), arena_strdup(rehearse->arena, to) };
}

/* ---- looking at it ---- */

static void put_entry(
        struct tape_target *target, struct arena *arena, const char *path, const struct model_inode *inode)
{
	struct tape_entry *entry = tape_entry(target, arena, path);
	entry->stat = inode->stat;
	entry->error = inode->error;
	entry->has_data = inode->has_data;
	entry->data = inode->data;
	entry->link = inode->link;
	entry->listed = inode->listed;
	entry->implied = inode->stat.type == NODE_DIR && !inode->listed;
	entry->open_error = inode->open_error;
	entry->named = true;
}

static void put_tree(struct tape_target *target, struct arena *arena, const char *path, const struct model_inode *inode)
{
	const struct model_inode *at = inode->mounted ? inode->mounted : inode;
	put_entry(target, arena, *path ? path : "/", at);
	for (size_t i = 0; i < at->names.n; i++) {
		const char *below = arena_printf(arena, "%s/%s", path, at->names.name[i].name);
		if (at->names.name[i].inode)
			put_tree(target, arena, below, at->names.name[i].inode);
		else if (!at->listed)
			tape_entry(target, arena, below)->error = ENOENT;
	}
}

/* What each recorded command says now. */
static void put_runs(struct rehearse *rehearse, struct tape_target *target, struct arena *arena)
{
	for (size_t i = 0; i < rehearse->recorded->n_runs; i++) {
		const struct tape_run *run = &rehearse->recorded->runs[i];
		struct command command = { .argv = run->argv };
		struct outcome outcome;
		bool plain = !run->input_hash || !*run->input_hash;
		struct tape_run *kept = tape_run(target, arena, &command);
		kept->input_hash = run->input_hash;
		kept->error = run->error;
		kept->outcome = run->outcome;
		if (plain && !run->error && rehearse_power_state(rehearse) == POWER_ON &&
		        model_run(rehearse, &command, arena, &outcome) == 0)
			kept->outcome = outcome;
	}
}

struct tape *rehearse_tape(struct rehearse *rehearse, struct arena *arena)
{
	struct tape *tape = tape_new(arena, rehearse->clock);
	tape->version = rehearse->tape->version;
	for (size_t i = 0; i < rehearse->tape->n; i++) {
		struct tape_target *from = rehearse->tape->targets[i];
		if (from != rehearse->recorded) {
			*arena_push(arena, tape->targets, tape->n) = from;
			continue;
		}
		struct tape_target *target = tape_target(tape, arena, from->label);
		target->partial = from->partial;
		put_tree(target, arena, "", rehearse->root);
		put_runs(rehearse, target, arena);
		tape_sort(target, arena);
	}
	return tape;
}

/* Below the folder, never out of it: parts are made one by one and no link of the machine is followed. */
static int keep_tree(int at, const struct model_inode *inode)
{
	int error = 0;
	const struct model_inode *from = inode->mounted ? inode->mounted : inode;
	for (size_t i = 0; i < from->names.n && !error; i++) {
		const char *name = from->names.name[i].name;
		const struct model_inode *child = from->names.name[i].inode;
		if (!child)
			continue;
		if (child->stat.type == NODE_DIR) {
			if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
				return errno;
			int below = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (below < 0)
				return errno;
			error = keep_tree(below, child);
			close(below);
		} else if (child->stat.type == NODE_LINK && child->link) {
			if (symlinkat(child->link, at, name) < 0)
				error = errno;
		} else if (child->has_data) {
			int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			        (mode_t)((child->stat.mode & 0777) | 0600));
			if (fd < 0)
				return errno;
			for (size_t done = 0; done < child->data.size && !error;) {
				ssize_t size = write(fd, child->data.data + done, child->data.size - done);
				error = size < 0 && errno != EINTR ? errno : 0;
				done += size > 0 ? (size_t)size : 0;
			}
			error = close(fd) < 0 && !error ? errno : error;
		}
	}
	return error;
}

bool rehearse_keep(struct rehearse *rehearse, const char *folder, struct err *err)
{
	if (mkdir(folder, 0755) < 0)
		return err_errno(err, errno, "%s", folder);
	int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return err_errno(err, errno, "%s", folder);
	int error = keep_tree(at, rehearse->root);
	close(at);
	return error ? err_errno(err, error, "%s", folder) : true;
}
