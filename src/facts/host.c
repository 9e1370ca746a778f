/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The machine itself: CPU, memory, loaded modules, consoles.
 */
#include <errno.h>
#include <string.h>

#include "facts/facts.h"

/* ---- /proc/cpuinfo ------------------------------------------------------ */

/* Splits "key<blanks>: value" in place of a copy; false for a line without a colon. */
static bool key_and_value(struct arena *arena, struct bytes line, const char **ret_key, const char **ret_value)
{
	const char *colon = memchr(line.data, ':', line.size);
	if (!colon)
		return false;
	size_t left = (size_t)(colon - line.data);
	*ret_key = text_trimmed(arena, (struct bytes){ line.data, left });
	*ret_value = text_trimmed(arena, (struct bytes){ colon + 1, line.size - left - 1 });
	return true;
}

/* Intel names CPUs without a working iGPU with F or KF behind the number: "i5-13400F", "i9-9900KF".
 * A name without such a number says nothing. */
static enum tri intel_f_suffix(struct arena *arena, const char *model)
{
	struct words words = text_split(arena, model, " ");
	for (size_t i = 0; i < words.n; i++) {
		const char *word = words.word[i], *dash = strchr(word, '-');
		if (word[0] != 'i' || !dash || strspn(dash + 1, "0123456789") < 3)
			continue;
		const char *suffix = dash + 1 + strspn(dash + 1, "0123456789");
		return tri_of(strchr(suffix, 'F') != NULL);
	}
	return UNKNOWN;
}

static int64_t leading_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 15)
		return UNKNOWN_NUMBER;
	int64_t number = 0;
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (text[i] - '0');
	return number;
}

/* "address sizes : 39 bits physical, 48 bits virtual" */
static void parse_address_sizes(const char *value, struct cpu *cpu)
{
	cpu->physical_bits = leading_number(value);
	const char *comma = strchr(value, ',');
	cpu->virtual_bits = comma ? leading_number(comma + 1 + strspn(comma + 1, " ")) : UNKNOWN_NUMBER;
}

void host_parse_cpu(struct bytes cpuinfo, struct arena *arena, struct cpu *ret)
{
	*ret = (struct cpu){ .physical_bits = UNKNOWN_NUMBER, .virtual_bits = UNKNOWN_NUMBER };
	size_t cursor = 0;
	struct bytes line;
	bool any = false;
	/* the first processor speaks for all; an empty line ends it */
	while (text_line(cpuinfo, &cursor, &line) && (line.size || !any)) {
		const char *key, *value;
		if (!key_and_value(arena, line, &key, &value))
			continue;
		any = true;
		if (strcmp(key, "vendor_id") == 0)
			ret->vendor = value;
		else if (strcmp(key, "model name") == 0)
			ret->model = value;
		else if (strcmp(key, "address sizes") == 0)
			parse_address_sizes(value, ret);
		else if (strcmp(key, "flags") == 0) {
			ret->virtualisation =
			        tri_of(text_has_word(value, "vmx", " ") || text_has_word(value, "svm", " "));
			ret->hypervisor = tri_of(text_has_word(value, "hypervisor", " "));
		}
	}
	if (any && !ret->vendor)
		ret->vendor = NONE; /* ARM names no vendor */
	if (ret->model && ret->vendor && strcmp(ret->vendor, "GenuineIntel") == 0)
		ret->f_suffix = intel_f_suffix(arena, ret->model);
}

/* ---- the rest ------------------------------------------------------------ */

static int64_t memory_kib(struct bytes meminfo, struct arena *arena)
{
	size_t cursor = 0;
	struct bytes line;
	while (text_line(meminfo, &cursor, &line)) {
		const char *key, *value;
		if (key_and_value(arena, line, &key, &value) && strcmp(key, "MemTotal") == 0)
			return leading_number(value);
	}
	return UNKNOWN_NUMBER;
}

/* /proc/modules: "nouveau 2543616 1 - Live 0x..."; the first word of each line. */
static struct words module_names(struct bytes modules, struct arena *arena)
{
	struct words names = { 0 };
	size_t cursor = 0;
	struct bytes line;
	while (text_line(modules, &cursor, &line)) {
		const char *end = memchr(line.data, ' ', line.size);
		if (end && end > line.data)
			*arena_push(arena, names.word, names.n) =
			        arena_strndup(arena, line.data, (size_t)(end - line.data));
	}
	return names;
}

static void gather_modules(struct world *world, struct arena *arena, struct host *host, blind_fn *blind, void *data)
{
	struct bytes modules;
	int error = world_read(world, "/proc/modules", 0, arena, &modules);
	if (error && error != ENOENT) {
		blind(data, error, "/proc/modules");
		return;
	}
	if (!error) /* a kernel that takes no modules has no such file */
		host->modules = module_names(modules, arena);
	host->modules_known = YES;
}

/* A console that needs no GPU: a serial line that is active as one (/sys/class/tty/console/active). */
static enum tri serial_console(const char *active, struct arena *arena)
{
	if (!active)
		return UNKNOWN;
	struct words consoles = text_split(arena, active, " ");
	for (size_t i = 0; i < consoles.n; i++)
		if (text_matches("ttyS*", consoles.word[i]) || text_matches("ttyAMA*", consoles.word[i]) ||
		        text_matches("hvc*", consoles.word[i]) || text_matches("ttyUSB*", consoles.word[i]))
			return YES;
	return NO;
}

void host_gather(struct world *world, struct arena *arena, struct host *ret, blind_fn *blind, void *data)
{
	*ret = (struct host){ .memory_kib = UNKNOWN_NUMBER,
		.cpu = { .physical_bits = UNKNOWN_NUMBER, .virtual_bits = UNKNOWN_NUMBER } };
	struct bytes content;

	if (world_attribute(world, arena, &ret->name, "/proc/sys/kernel/hostname") &&
	        world_attribute(world, arena, &ret->name, "/etc/hostname"))
		ret->name = NULL;

	int error = world_read(world, "/proc/cpuinfo", 0, arena, &content);
	if (error)
		blind(data, error, "/proc/cpuinfo");
	else
		host_parse_cpu(content, arena, &ret->cpu);

	if (world_read(world, "/proc/meminfo", 0, arena, &content) == 0)
		ret->memory_kib = memory_kib(content, arena);

	gather_modules(world, arena, ret, blind, data);
	if (world_attribute(world, arena, &ret->console, "/sys/class/tty/console/active"))
		ret->console = NULL;
	ret->serial_console = serial_console(ret->console, arena);
}
