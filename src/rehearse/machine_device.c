/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * "device": addresses, ids, BARs and the table of a device's options.
 */
#include <string.h>

#include "rehearse/machine_text.h"

/* "0000:01:00.0" */
static bool read_address(const char *text, struct machine_device *ret)
{
	unsigned domain, bus, slot, function;
	if (strnlen(text, 13) != 12 || text[4] != ':' || text[7] != ':' || text[10] != '.' ||
	        !machine_hex(text, 4, &domain) || !machine_hex(text + 5, 2, &bus) || !machine_hex(text + 8, 2, &slot) ||
	        !machine_hex(text + 11, 1, &function) || slot > 31 || function > 7)
		return false;
	ret->domain = domain;
	ret->bus = bus;
	ret->slot = slot;
	ret->function = function;
	return true;
}

static bool is_hex6(const char *text)
{
	unsigned number;
	return strlen(text) == 6 && machine_hex(text, 6, &number);
}

static bool is_hex2(const char *text)
{
	unsigned number;
	return strlen(text) == 2 && machine_hex(text, 2, &number);
}

static bool is_pair(const char *text)
{
	unsigned number;
	return strlen(text) == 9 && text[4] == ':' && machine_hex(text, 4, &number) &&
	       machine_hex(text + 5, 4, &number);
}

static bool is_address(const char *text)
{
	struct machine_device device;
	return !*text || read_address(text, &device);
}

static bool is_number(const char *text)
{
	uint64_t number;
	return text_number(*text == '-' ? text + 1 : text, 10, 1000000, &number);
}

static bool is_bool(const char *text)
{
	return strcmp(text, "0") == 0 || strcmp(text, "1") == 0;
}

static bool is_config(const char *text)
{
	return text_has_word("64 256 4096", text, " ");
}

/* Kinds of a BAR and the flags that /sys/.../resource shows for them (include/linux/ioport.h, and the BAR's own bits).
 */
static const struct {
	const char *kind;
	uint64_t flags;
} bar_kinds[] = {
	{ "", 0x40200 },
	{ ":pref", 0x14220c },
	{ ":64", 0x140204 },
	{ ":pref32", 0x42208 },
	{ ":io", 0x40101 },
	{ ":rom", 0x46200 },
};

static bool read_bar(const char *text, struct machine_bar *ret)
{
	const char *rest;
	struct machine_bar bar = { 0 };
	if (!*text) {
		*ret = bar;
		return true;
	}
	if (!machine_range(text, &bar.start, &bar.end, &rest))
		return false;
	for (size_t i = 0; i < sizeof bar_kinds / sizeof *bar_kinds; i++)
		if (strcmp(bar_kinds[i].kind, rest) == 0) {
			bar.flags = bar_kinds[i].flags;
			*ret = bar;
			return true;
		}
	return false;
}

static bool is_bar(const char *text)
{
	struct machine_bar bar;
	return read_bar(text, &bar);
}

static const struct device_option {
	const char *name;
	bool (*fits)(const char *value);
	const char *takes;
} device_options[DEVICE_KEYS] = {
	[KEY_CLASS] = { "class", is_hex6, "six hex digits" },
	[KEY_SUBSYSTEM] = { "subsystem", is_pair, "vendor:device in lower-case hex" },
	[KEY_REVISION] = { "revision", is_hex2, "two hex digits" },
	[KEY_DRIVER] = { "driver", machine_is_name, "a driver's name" },
	[KEY_DRIVER_OVERRIDE] = { "driver_override", machine_is_name, "a driver's name" },
	[KEY_GROUP] = { "group", machine_is_name, "a group's number" },
	[KEY_GROUP_TYPE] = { "group_type", machine_is_name, "DMA, DMA-FQ, identity" },
	[KEY_PARENT] = { "parent", is_address, "an address as 0000:00:01.1" },
	[KEY_BOOT_VGA] = { "boot_vga", is_bool, "0 or 1" },
	[KEY_RESET] = { "reset", machine_is_names, "words as flr,bus" },
	[KEY_POWER] = { "power", machine_is_name, "D0, D3hot, D3cold" },
	[KEY_RUNTIME] = { "runtime", machine_is_name, "active, suspended" },
	[KEY_D3COLD] = { "d3cold", is_bool, "0 or 1" },
	[KEY_NUMA] = { "numa", is_number, "a number" },
	[KEY_IRQ] = { "irq", is_number, "a number" },
	[KEY_BAR0] = { "bar0", is_bar, "START-END in hex, :pref, :64, :pref32 or :io behind it" },
	[KEY_BAR1] = { "bar1", is_bar, "START-END in hex, :pref, :64, :pref32 or :io behind it" },
	[KEY_BAR2] = { "bar2", is_bar, "START-END in hex, :pref, :64, :pref32 or :io behind it" },
	[KEY_BAR3] = { "bar3", is_bar, "START-END in hex, :pref, :64, :pref32 or :io behind it" },
	[KEY_BAR4] = { "bar4", is_bar, "START-END in hex, :pref, :64, :pref32 or :io behind it" },
	[KEY_BAR5] = { "bar5", is_bar, "START-END in hex, :pref, :64, :pref32 or :io behind it" },
	[KEY_ROM] = { "rom", is_bar, "START-END in hex" },
	[KEY_REBAR] = { "rebar", is_bool, "0 or 1" },
	[KEY_FLR] = { "flr", is_bool, "0 or 1" },
	[KEY_CONFIG] = { "config", is_config, "64, 256 or 4096" },
	[KEY_MODALIAS] = { "modalias", machine_is_text, "one line" },
	[KEY_DRM] = { "drm", machine_is_names, "nodes as card0,renderD128" },
	[KEY_FB] = { "fb", machine_is_names, "a framebuffer as fb0:nouveaudrmfb" },
	[KEY_NET] = { "net", machine_is_names, "interfaces as enp5s0,enp5s0d1" },
	[KEY_BLOCK] = { "block", machine_is_names, "disks with their number of partitions as nvme0n1:3" },
};

static bool device_set(
        struct machine_reader *reader, struct machine_line *line, struct machine_device *device, const char *word)
{
	size_t size = strcspn(word, "=");
	if (!word[size])
		return FAIL("\"%s\" is no key=value", SHOWN(word));
	for (size_t key = 0; key < DEVICE_KEYS; key++) {
		if (strlen(device_options[key].name) != size || strncmp(device_options[key].name, word, size) != 0)
			continue;
		const char *value = word + size + 1;
		/* empty takes a value away, for all keys */
		if (*value && !device_options[key].fits(value))
			return FAIL("%s= takes %s", device_options[key].name, device_options[key].takes);
		device->value[key] = value;
		if (key >= KEY_BAR0 && key <= KEY_ROM)
			read_bar(value, &device->bar[key - KEY_BAR0]);
		return true;
	}
	return FAIL("a device has no %s=", SHOWN(arena_strndup(reader->arena, word, size)));
}

static bool read_device(struct machine_reader *reader, struct machine_line *line)
{
	struct machine_device named = { 0 };
	const char *address = line->word[0];
	if (!read_address(address, &named))
		return FAIL("\"%s\" is no address as 0000:01:00.0", SHOWN(address));
	if (!machine_once(reader, line, "device", arena_printf(reader->arena, "%s %s", reader->target->label, address)))
		return false;
	struct machine_device *device = map_find(&reader->target->device, address);
	bool ids = line->n > 1 && is_pair(line->word[1]);
	if ((!device || device->removed) && (!ids || !machine_option(line, 2, "class")))
		return FAIL("%s is new: it needs VENDOR:DEVICE and class=", address);
	if (!device || device->removed) {
		if (reader->target->n_devices >= MACHINE_THINGS_MAX)
			return FAIL("more than %d devices", MACHINE_THINGS_MAX);
		device = arena_new(reader->arena, struct machine_device);
		*device = named;
		device->address = address;
		device->line = line->line;
		map_put(&reader->target->device, reader->arena, address, device);
		*arena_push(reader->arena, reader->target->devices, reader->target->n_devices) = device;
	}
	if (ids) {
		machine_hex(line->word[1], 4, &device->vendor);
		machine_hex(line->word[1] + 5, 4, &device->device);
	}
	for (size_t i = ids ? 2 : 1; i < line->n; i++)
		if (!device_set(reader, line, device, line->word[i]))
			return false;
	return true;
}

const struct machine_statement machine_device_statements[] = {
	{ "device", 1, 0, false, read_device, NULL },
	{ NULL },
};
