/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From a machine to a tape: first all that its devices and guests imply, then the statements that name paths and
 * commands, so that what the text says always wins.
 */
#include <string.h>

#include "rehearse/machine_text.h"

unsigned machine_gid(const struct machine_target *target, const char *group, unsigned otherwise)
{
	struct bytes text = machine_said_file(target, "/etc/group"), one;
	size_t size = strlen(group);
	for (size_t cursor = 0; text_line(text, &cursor, &one);) {
		if (one.size < size + 4 || memcmp(one.data, group, size) != 0 || one.data[size] != ':')
			continue;
		const char *id = memchr(one.data + size + 1, ':', one.size - size - 1);
		unsigned gid = 0;
		for (const char *at = id ? id + 1 : "";
		        id && at < one.data + one.size && *at >= '0' && *at <= '9' && gid < 1000000; at++)
			gid = gid * 10 + (unsigned)(*at - '0');
		return id ? gid : otherwise;
	}
	return otherwise;
}

const char *machine_value(struct bytes text, const char *key, struct arena *arena)
{
	struct bytes one;
	size_t size = strlen(key);
	for (size_t cursor = 0; text_line(text, &cursor, &one);) {
		if (one.size && one.data[0] == '[')
			return NULL;
		if (one.size > size && memcmp(one.data, key, size) == 0 && one.data[size] == ':')
			return text_trimmed(arena, (struct bytes){ one.data + size + 1, one.size - size - 1 });
	}
	return NULL;
}

/* Below these, what a machine does not say is known to be absent. */
static const char *const complete[] = { "/sys", "/proc", "/etc", "/dev", "/boot", "/run", "/lib/modules",
	"/usr/lib/modules" };

static bool is_complete(const char *path)
{
	for (size_t i = 0; i < sizeof complete / sizeof *complete; i++) {
		size_t size = strlen(complete[i]);
		if (strncmp(path, complete[i], size) == 0 && (path[size] == '/' || path[size] == '\0'))
			return true;
	}
	return false;
}

/* A CT sees the node's kernel, a docker container that of the machine it runs on: where they name no devices of their
 * own, those of the outer one are theirs. Device nodes are not: what they have in /dev they must say. */
static const struct machine_target *outer_kernel(const struct machine *machine, const struct machine_target *target)
{
	const char *docker = strstr(target->label, "/docker/");
	if (target->n_devices)
		return NULL;
	if (docker)
		return machine_find_target(
		        machine, arena_strndup(machine->arena, target->label, (size_t)(docker - target->label)));
	return text_starts(target->label, "ct/") ? machine_find_target(machine, "node") : NULL;
}

static void share_kernel(struct machine_target *target, const struct machine_target *outer)
{
	target->devices = outer->devices;
	target->n_devices = outer->n_devices;
	target->device = outer->device;
	target->iommu = outer->iommu;
	target->framebuffers = outer->framebuffers;
	target->n_framebuffers = outer->n_framebuffers;
	if (!target->n_modules) {
		target->modules = outer->modules;
		target->n_modules = outer->n_modules;
	}
	if (!target->nvidia) {
		target->nvidia = outer->nvidia;
		target->nvidia_open = outer->nvidia_open;
	}
}

static void share_files(struct machine_growth *growth, const struct machine_target *outer)
{
	static const char *const shared[] = { "/proc/sys/kernel/osrelease", "/proc/version", "/proc/cmdline",
		"/proc/cpuinfo", "/proc/sys/kernel/random/boot_id" };
	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
		struct bytes said = machine_said_file(outer, shared[i]);
		if (said.size)
			tree_data(&growth->tree, shared[i], 0444, said);
	}
	tree_remove(&growth->tree, "/dev");
	tree_put(&growth->tree, "/dev", NODE_DIR, 0755);
}

static void emit(struct machine_growth *growth, struct tape_target *tape)
{
	struct arena *arena = growth->tree.arena;
	for (size_t i = 0; i < growth->tree.n; i++) {
		struct tree_node *node = growth->tree.all[i];
		if (!node->there && !node->entry.error)
			continue;
		struct tape_entry *entry = tape_entry(tape, arena, node->entry.path);
		const char *path = entry->path;
		*entry = node->entry;
		entry->path = path;
		if (entry->stat.type == NODE_DIR && !entry->error)
			entry->listed |= is_complete(path);
	}
	for (size_t i = 0; i < growth->n_answers; i++) {
		struct tape_run *run = growth->answer[i];
		if (!run->argv)
			continue;
		struct command command = { .argv = run->argv };
		struct tape_run *kept = tape_run(tape, arena, &command);
		kept->error = run->error;
		kept->outcome = run->outcome;
	}
	tape_sort(tape, arena);
}

bool machine_grow(const struct machine *machine, struct machine_target *target, struct tape *tape, struct err *err)
{
	struct machine_growth growth = {
		.machine = machine,
		.target = target,
		.err = err,
		.tree = { .arena = machine->arena, .time = machine->time },
	};
	const struct machine_target *outer = outer_kernel(machine, target);
	if (outer)
		share_kernel(target, outer);
	for (size_t i = 0; i < 6; i++)
		tree_put(&growth.tree, complete[i], NODE_DIR, 0755);
	if (!machine_make_pci(&growth))
		return false;
	machine_make_system(&growth);
	if (outer)
		share_files(&growth, outer);
	for (size_t i = 0; i < target->n_actions; i++)
		if (!target->actions[i]->statement->act(&growth, target->actions[i]))
			return false;
	machine_make_answers(&growth);
	if (!machine_make_images(&growth))
		return false;
	emit(&growth, tape_target(tape, machine->arena, target->label));
	return true;
}
