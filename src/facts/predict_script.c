/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a script of the initramfs, and a rule of udev's, does to drivers. Ours carries its data in lines that say so (predict.h); of others the
 * one common form is understood: "echo vfio-pci > .../driver_override" for addresses that stand in the script.
 */
#include <string.h>

#include "facts/predict_run.h"

static bool hex_pair(const char *text, int64_t *ret_left, int64_t *ret_right, struct arena *arena)
{
	struct words part = text_split(arena, text, ":");
	uint64_t left, right;
	if (part.n != 2 || !text_number(part.word[0], 16, 0xffff, &left) ||
	        !text_number(part.word[1], 16, 0xffff, &right))
		return false;
	*ret_left = (int64_t)left;
	*ret_right = (int64_t)right;
	return true;
}

/* "#gpuferry bind 0000:01:00.0 10de:2803 1043:88f5 030000 vfio-pci" */
static bool parse_bind(const char *line, struct arena *arena, struct script_bind *ret)
{
	struct words word = text_split(arena, line, " \t");
	struct script_bind bind = { 0 };
	unsigned domain, bus, slot, function;
	uint64_t class_code;
	if (word.n != 7 || strcmp(word.word[0], "#gpuferry") != 0 || strcmp(word.word[1], "bind") != 0)
		return false;
	if (!pci_parse_address(word.word[2], &domain, &bus, &slot, &function) ||
	        !hex_pair(word.word[3], &bind.vendor, &bind.device, arena) ||
	        !hex_pair(word.word[4], &bind.subsystem_vendor, &bind.subsystem_device, arena) ||
	        !text_number(word.word[5], 16, 0xffffff, &class_code))
		return false;
	bind.address = word.word[2];
	bind.class_code = (int64_t)class_code;
	bind.driver = word.word[6];
	*ret = bind;
	return true;
}

static void push_bind(struct script *ret, struct script_bind bind, struct arena *arena)
{
	for (size_t i = 0; i < ret->n; i++)
		if (strcmp(ret->binds[i].address, bind.address) == 0)
			return;
	*arena_push(arena, ret->binds, ret->n) = bind;
}

/* The addresses that stand in a line of a foreign script, in any quoting. */
static void take_addresses(const char *line, struct arena *arena, struct script *ret)
{
	struct words word = text_split(arena, line, " \t\"'/=;()");
	unsigned domain, bus, slot, function;
	for (size_t i = 0; i < word.n; i++)
		if (pci_parse_address(word.word[i], &domain, &bus, &slot, &function))
			push_bind(ret,
			        (struct script_bind){ .address = word.word[i],
			                .driver = "vfio-pci",
			                .vendor = UNKNOWN_NUMBER,
			                .device = UNKNOWN_NUMBER,
			                .subsystem_vendor = UNKNOWN_NUMBER,
			                .subsystem_device = UNKNOWN_NUMBER,
			                .class_code = UNKNOWN_NUMBER },
			        arena);
}

static void take_modprobe(const char *line, struct arena *arena, struct script *ret)
{
	struct words word = text_split(arena, line, " \t\"';");
	for (size_t i = 0; i < word.n; i++) {
		if (!text_ends(word.word[i], "modprobe"))
			continue;
		for (i++; i < word.n && word.word[i][0] == '-'; i++)
			if (strcmp(word.word[i], "-r") == 0)
				return;
		if (i < word.n && !strchr(word.word[i], '$'))
			predict_push_once(&ret->modules, modprobe_name(arena, word.word[i]), arena);
	}
}

/* What makes it hang on something that is not known beforehand; the usual "case $1 in prereqs)" does not. */
static bool conditional(const char *line)
{
	static const char *const signs[] = { "&&", "||", "$(", "`", "if [", "if test", "elif ", "while ", "[ " };
	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
		if (strstr(line, signs[i]))
			return true;
	return text_starts(line, "if ") || (text_starts(line, "case ") && !strstr(line, "$1"));
}

static bool touches_drivers(const char *line)
{
	return strstr(line, "driver_override") || strstr(line, "drivers_probe") || strstr(line, "new_id") ||
	       strstr(line, "/bind") || strstr(line, "/unbind");
}

struct seen {
	bool override, other, condition, vfio;
};

static void look(const char *line, struct arena *arena, struct script *ret, struct seen *seen)
{
	bool override = strstr(line, "driver_override") && strstr(line, "vfio-pci");
	seen->override |= override;
	seen->other |= touches_drivers(line) && !override && !strstr(line, "drivers_probe");
	seen->condition |= conditional(line);
	seen->vfio |= strstr(line, "vfio") != NULL;
	take_addresses(line, arena, ret);
	take_modprobe(line, arena, ret);
}

void predict_script(const char *name, struct bytes text, struct arena *arena, struct script *ret)
{
	struct bytes raw;
	struct seen seen = { 0 };
	bool touches = false;
	*ret = (struct script){ .ours = strcmp(name, "gpuferry") == 0 };
	for (size_t cursor = 0; text_line(text, &cursor, &raw);) {
		const char *line = text_trimmed(arena, raw);
		struct script_bind bind;
		if (ret->ours && text_starts(line, "#gpuferry ")) {
			if (!parse_bind(line, arena, &bind)) {
				ret->foreign = true;
				continue;
			}
			push_bind(ret, bind, arena);
			predict_push_once(&ret->modules, modprobe_name(arena, bind.driver), arena);
		}
		if (ret->ours || !*line || *line == '#')
			continue;
		touches |= touches_drivers(line);
		look(line, arena, ret, &seen);
	}
	if (ret->ours)
		return;
	ret->foreign = (touches && (seen.other || seen.condition || !seen.override || !ret->n)) ||
	               (seen.condition && seen.vfio && ret->modules.n);
	if (!touches)
		ret->n = 0;
}

/* ---- udev's rules ---- */

/* Is a rule about this device? By its address or ids, where the rule asks for such; else it may be about any. */
static bool rule_names(const char *line, const struct pci_device *pci, struct arena *arena)
{
	if (strstr(line, pci->address))
		return true;
	if (strstr(line, "KERNEL==\""))
		return strpbrk(strstr(line, "KERNEL==\""), "*?[") != NULL;
	const char *vendor = arena_printf(arena, "0x%04x", (unsigned)pci->vendor);
	const char *device = arena_printf(arena, "0x%04x", (unsigned)pci->device);
	return (!strstr(line, "{vendor}") || strstr(line, vendor)) && (!strstr(line, "{device}") || strstr(line, device));
}

bool predict_rule_concerns(const char *line, const struct pci_device *pci, const char *ids, struct arena *arena)
{
	bool vfio = strstr(line, "vfio") != NULL;
	return (vfio || touches_drivers(line)) &&
	       (rule_names(line, pci, arena) || (vfio && predict_ids_name(ids, pci, arena)));
}
