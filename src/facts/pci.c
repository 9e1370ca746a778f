/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Few questions per device: a node has hundreds, and inspect shall not be slower than lspci. uevent holds the ids in
 * one file (pci_uevent in drivers/pci/pci-driver.c); captures often lack it, then the single attributes are read.
 */
#include "facts/pci.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES "/sys/bus/pci/devices"
#define GROUPS "/sys/kernel/iommu_groups"

enum { CLASS_DISPLAY = 0x03, CLASS_BRIDGE = 0x06, CLASS_PCI_BRIDGE = 0x0604 };

/* ---- addresses -------------------------------------------------------- */

/* `least` to `most` hex digits. */
static bool hex_part(const char **text, size_t least, size_t most, unsigned max, unsigned *ret)
{
	size_t size = strspn(*text, "0123456789abcdefABCDEF");
	if (size < least || size > most)
		return false;
	unsigned long number = strtoul(*text, NULL, 16);
	if (number > max)
		return false;
	*text += size;
	*ret = (unsigned)number;
	return true;
}

static bool sign_part(const char **text, char sign)
{
	if (**text != sign)
		return false;
	++*text;
	return true;
}

bool pci_parse_address(const char *text, unsigned *domain, unsigned *bus, unsigned *slot, unsigned *function)
{
	unsigned part[4];
	if (!text || !hex_part(&text, 4, 8, UINT32_MAX, &part[0]) || !sign_part(&text, ':') ||
	        !hex_part(&text, 2, 2, 0xff, &part[1]) || !sign_part(&text, ':') ||
	        !hex_part(&text, 2, 2, 0x1f, &part[2]) || !sign_part(&text, '.') ||
	        !hex_part(&text, 1, 1, 7, &part[3]) || *text)
		return false;
	*domain = part[0];
	*bus = part[1];
	*slot = part[2];
	*function = part[3];
	return true;
}

const char *pci_full_address(const char *text, struct arena *arena, bool *ret_all)
{
	unsigned domain = 0, bus, slot, function = 0;
	if (!text)
		return NULL;
	const char *rest = text;
	/* a domain is there if a second colon is */
	const char *colon = strchr(text, ':');
	if (colon && strchr(colon + 1, ':') && (!hex_part(&rest, 4, 8, UINT32_MAX, &domain) || !sign_part(&rest, ':')))
		return NULL;
	if (!hex_part(&rest, 2, 2, 0xff, &bus) || !sign_part(&rest, ':') || !hex_part(&rest, 2, 2, 0x1f, &slot))
		return NULL;
	bool all = *rest == '\0';
	if (!all && (!sign_part(&rest, '.') || !hex_part(&rest, 1, 1, 7, &function) || *rest))
		return NULL;
	if (ret_all)
		*ret_all = all;
	return arena_printf(arena, "%04x:%02x:%02x.%x", domain, bus, slot, function);
}

bool pci_same_slot(const struct pci_device *left, const struct pci_device *right)
{
	return left->domain == right->domain && left->bus == right->bus && left->slot == right->slot;
}

static int compare_devices(const void *left, const void *right)
{
	const struct pci_device *l = left, *r = right;
	if (l->domain != r->domain)
		return l->domain < r->domain ? -1 : 1;
	unsigned l_rest = l->bus << 8 | l->slot << 3 | l->function, r_rest = r->bus << 8 | r->slot << 3 | r->function;
	return (l_rest > r_rest) - (l_rest < r_rest);
}

const struct pci_device *pci_find(const struct pci *pci, const char *address)
{
	struct pci_device key = { 0 };
	if (!pci->n || !pci_parse_address(address, &key.domain, &key.bus, &key.slot, &key.function))
		return NULL;
	return bsearch(&key, pci->devices, pci->n, sizeof *pci->devices, compare_devices);
}

/* The parts of a path, last first: *end is where the part before ends. */
static bool part_before(const char *path, size_t *end, struct bytes *ret)
{
	while (*end && path[*end - 1] == '/')
		--*end;
	size_t start = *end;
	while (start && path[start - 1] != '/')
		start--;
	*ret = (struct bytes){ path + start, *end - start };
	bool some = start < *end;
	*end = start;
	return some;
}

static const char *part_address(struct bytes part, struct arena *arena)
{
	char text[24];
	unsigned domain, bus, slot, function;
	if (part.size >= sizeof text)
		return NULL;
	memcpy(text, part.data, part.size);
	text[part.size] = '\0';
	return pci_parse_address(text, &domain, &bus, &slot, &function) ? arena_strdup(arena, text) : NULL;
}

static bool part_starts(struct bytes part, const char *prefix)
{
	size_t size = strlen(prefix);
	return part.size >= size && memcmp(part.data, prefix, size) == 0;
}

const char *pci_parse_parent(const char *link, struct arena *arena)
{
	struct bytes part;
	size_t end = strlen(link);
	if (!part_before(link, &end, &part) || !part_address(part, arena) || !part_before(link, &end, &part))
		return NULL;
	/* "pci0000:00" is a root bus; a device above it (Intel VMD) makes that bus its own */
	bool root = part_starts(part, "pci");
	if (root && !part_before(link, &end, &part))
		return NULL;
	const char *above = part_address(part, arena);
	if (above)
		return above;
	return root ? NONE : NULL;
}

/* ---- the contents of attributes --------------------------------------- */

/* Hex digits at the cursor, at most 16, "0x" before them or not. */
static bool hex_field(struct bytes text, size_t *cursor, uint64_t *ret)
{
	size_t at = *cursor, digits = 0;
	uint64_t number = 0;
	while (at < text.size && (text.data[at] == ' ' || text.data[at] == '\t'))
		at++;
	if (at + 2 < text.size && text.data[at] == '0' && (text.data[at + 1] | 0x20) == 'x')
		at += 2;
	for (; at < text.size && isxdigit((unsigned char)text.data[at]); at++, digits++) {
		char sign = (char)(text.data[at] | 0x20);
		if (digits < 16)
			number = number << 4 | (uint64_t)(sign <= '9' ? sign - '0' : sign - 'a' + 10);
	}
	if (!digits || digits > 16)
		return false;
	*cursor = at;
	*ret = number;
	return true;
}

static bool line_value(struct bytes line, const char *key, struct bytes *ret)
{
	if (!part_starts(line, key))
		return false;
	*ret = (struct bytes){ line.data + strlen(key), line.size - strlen(key) };
	return true;
}

static void uevent_number(struct bytes value, uint64_t max, int64_t *ret)
{
	size_t cursor = 0;
	uint64_t number;
	if (hex_field(value, &cursor, &number) && cursor == value.size && number <= max)
		*ret = (int64_t)number;
}

/* "10DE:2803" */
static void uevent_pair(struct bytes value, int64_t *ret_left, int64_t *ret_right)
{
	const char *colon = value.size ? memchr(value.data, ':', value.size) : NULL;
	if (!colon)
		return;
	size_t left = (size_t)(colon - value.data);
	uevent_number((struct bytes){ value.data, left }, 0xffff, ret_left);
	uevent_number((struct bytes){ colon + 1, value.size - left - 1 }, 0xffff, ret_right);
}

void pci_parse_uevent(struct bytes uevent, struct pci_device *device)
{
	size_t cursor = 0;
	struct bytes line, value;
	while (text_line(uevent, &cursor, &line)) {
		if (line_value(line, "PCI_CLASS=", &value))
			uevent_number(value, 0xffffff, &device->class_code);
		else if (line_value(line, "PCI_ID=", &value))
			uevent_pair(value, &device->vendor, &device->device);
		else if (line_value(line, "PCI_SUBSYS_ID=", &value))
			uevent_pair(value, &device->subsystem_vendor, &device->subsystem_device);
	}
}

void pci_parse_resource(struct bytes resource, struct pci_device *device)
{
	struct pci_bar bar[PCI_BARS] = { 0 };
	size_t cursor = 0;
	struct bytes line;
	for (size_t i = 0; i < PCI_BARS; i++) {
		size_t at = 0;
		if (!text_line(resource, &cursor, &line) || !hex_field(line, &at, &bar[i].start) ||
		        !hex_field(line, &at, &bar[i].end) || !hex_field(line, &at, &bar[i].flags) || at != line.size ||
		        bar[i].end < bar[i].start)
			return;
	}
	memcpy(device->bar, bar, sizeof bar);
	device->bars_known = YES;
}

static unsigned config_byte(struct bytes config, size_t at)
{
	return (unsigned char)config.data[at];
}

static uint32_t config_long(struct bytes config, size_t at)
{
	return config_byte(config, at) | config_byte(config, at + 1) << 8 | config_byte(config, at + 2) << 16 |
	       (uint32_t)config_byte(config, at + 3) << 24;
}

/* Capabilities are a linked list that a broken device can tie into a loop: as many steps as fit, no more.
 * PCIe (0x10): device capabilities bit 28; advanced features (0x13): bit 1 of byte 3 (PCI local bus 3.0, PCIe base). */
static enum tri config_flr(struct bytes config)
{
	enum { STATUS = 0x06, STATUS_LIST = 0x10, FIRST = 0x34, STEPS = 48 };
	if (config.size < 256 || config_long(config, 0) == UINT32_MAX)
		return UNKNOWN;
	unsigned at = config_byte(config, STATUS) & STATUS_LIST ? config_byte(config, FIRST) & 0xfc : 0;
	for (int step = 0; step < STEPS && at >= 0x40 && at <= 0xf8; step++) {
		unsigned id = config_byte(config, at);
		if (id == 0x10 && config_long(config, at + 4) & 1u << 28)
			return YES;
		if (id == 0x13 && config_byte(config, at + 3) & 2)
			return YES;
		at = config_byte(config, at + 1) & 0xfc;
	}
	return NO;
}

static enum tri config_resizable(struct bytes config)
{
	enum { FIRST = 0x100, STEPS = (4096 - 256) / 8, REBAR = 0x15 };
	if (config.size < 4096 || config_long(config, 0) == UINT32_MAX || config_long(config, FIRST) == UINT32_MAX)
		return UNKNOWN;
	unsigned at = FIRST;
	for (int step = 0; step < STEPS && at >= FIRST && at <= 4092; step++) {
		uint32_t header = config_long(config, at);
		if (!header)
			break;
		if ((header & 0xffff) == REBAR)
			return YES;
		at = header >> 20 & 0xffc;
	}
	return NO;
}

void pci_parse_config(struct bytes config, struct pci_device *device)
{
	device->flr = config_flr(config);
	device->resizable_bar = config_resizable(config);
}

/* The first word behind the counts of "27:  0  1  IR-PCI-MSI 327680-edge  xhci_hcd"; false for NMI: and the like. */
static bool interrupt_chip(struct bytes line, struct bytes *ret)
{
	size_t at = 0;
	while (at < line.size && line.data[at] == ' ')
		at++;
	size_t number = at;
	while (at < line.size && isdigit((unsigned char)line.data[at]))
		at++;
	if (at == number || at == line.size || line.data[at] != ':')
		return false;
	at++;
	while (at < line.size && (line.data[at] == ' ' || isdigit((unsigned char)line.data[at])))
		at++;
	*ret = (struct bytes){ line.data + at, line.size - at };
	return true;
}

/* The kernel names a remapped chip with IR- in front: arch/x86/kernel/apic/io_apic.c (IR-IO-APIC), msi.c up to 6.1
 * (IR-PCI-MSI), and the prefix of the parent domain in drivers/iommu/{intel,amd} since 6.2 (IR-PCI-MSIX-0000:...).
 * An IOMMU's own interrupts stay plain, so one remapped chip proves it; only plain ones prove the contrary. Chips of
 * other machines (GICv3, ITS-PCI-MSI, xen-pirq) tell nothing. */
enum tri pci_parse_interrupts(struct bytes interrupts)
{
	enum tri remapping = UNKNOWN;
	size_t cursor = 0;
	struct bytes line, chip;
	while (text_line(interrupts, &cursor, &line)) {
		if (!interrupt_chip(line, &chip))
			continue;
		if (part_starts(chip, "IR-"))
			return YES;
		if (part_starts(chip, "IO-APIC") || part_starts(chip, "PCI-MSI"))
			remapping = NO;
	}
	return remapping;
}

int64_t pci_parse_intel_cap(const char *cap)
{
	uint64_t value;
	if (!text_number(cap, 16, UINT64_MAX, &value) || !value)
		return UNKNOWN_NUMBER;
	return (int64_t)(value >> 16 & 0x3f) + 1;
}

/* ---- reading ---------------------------------------------------------- */

struct reader {
	struct world *world;
	struct arena *arena;
	blind_fn *blind;
	void *data;
	unsigned noted; /* one bit per kind: what a tree lacks, it mostly lacks for all devices */
};

enum noted {
	NOTED_NAME = 1 << 0,
	NOTED_LINK = 1 << 1,
	NOTED_IDS = 1 << 2,
	NOTED_SUBSYSTEM = 1 << 3,
	NOTED_DRIVER = 1 << 4,
	NOTED_GROUP = 1 << 5,
	NOTED_TYPE = 1 << 6,
	NOTED_CAP = 1 << 7,
	NOTED_CONFIG = 1 << 8,
	NOTED_RESOURCE = 1 << 9,
	NOTED_BOOT_VGA = 1 << 10,
	NOTED_D3COLD = 1 << 11,
	NOTED_OVERRIDE = 1 << 12,
	NOTED_POWER = 1 << 13,
	NOTED_RESET = 1 << 14,
	NOTED_MODALIAS = 1 << 15,
	NOTED_UNITS = 1 << 16,
	NOTED_INTERRUPTS = 1 << 17,
	NOTED_TABLES = 1 << 18,
};

static void reader_note(struct reader *reader, enum noted kind, int error, const char *what)
{
	if (reader->noted & (unsigned)kind)
		return;
	reader->noted |= (unsigned)kind;
	if (reader->blind)
		reader->blind(reader->data, error, what);
}

static int read_number(
        struct reader *reader, const struct pci_device *device, const char *name, int base, uint64_t max, int64_t *ret)
{
	const char *text;
	uint64_t number;
	int error = world_attribute(reader->world, reader->arena, &text, DEVICES "/%s/%s", device->address, name);
	if (error)
		return error;
	if (!text_number(text, base, max, &number))
		return EINVAL;
	*ret = (int64_t)number;
	return 0;
}

static void read_ids(struct reader *reader, struct pci_device *device)
{
	static const struct {
		const char *name;
		size_t member;
		uint64_t max;
		bool always; /* every kernel and every capture has it */
	} id[] = {
		{ "vendor", offsetof(struct pci_device, vendor), 0xffff, true },
		{ "device", offsetof(struct pci_device, device), 0xffff, true },
		{ "class", offsetof(struct pci_device, class_code), 0xffffff, true },
		{ "subsystem_vendor", offsetof(struct pci_device, subsystem_vendor), 0xffff, false },
		{ "subsystem_device", offsetof(struct pci_device, subsystem_device), 0xffff, false },
	};
	struct bytes uevent;
	const char *path = arena_printf(reader->arena, DEVICES "/%s/uevent", device->address);
	if (!world_read(reader->world, path, 0, reader->arena, &uevent))
		pci_parse_uevent(uevent, device);
	for (size_t i = 0; i < sizeof id / sizeof *id; i++) {
		int64_t *member = (int64_t *)(void *)((char *)device + id[i].member);
		if (*member != UNKNOWN_NUMBER)
			continue;
		int error = read_number(reader, device, id[i].name, 16, id[i].max, member);
		if (error && id[i].always)
			reader_note(reader, NOTED_IDS, error,
			        arena_printf(reader->arena, DEVICES "/%s/%s", device->address, id[i].name));
		else if (error && error != ENOENT)
			reader_note(reader, NOTED_SUBSYSTEM, error, DEVICES "/*/subsystem_*");
	}
	if (device->class_code != UNKNOWN_NUMBER)
		device->bridge = tri_of(device->class_code >> 16 == CLASS_BRIDGE);
}

/* A link that a device without it does not have: its name, NONE, or NULL. */
static const char *read_link_name(
        struct reader *reader, const struct pci_device *device, const char *name, enum noted kind, const char *what)
{
	const char *found = NULL;
	int error = world_link_name(reader->world, reader->arena, &found, DEVICES "/%s/%s", device->address, name);
	if (!error)
		return found;
	if (error == ENOENT)
		return NONE;
	reader_note(reader, kind, error, what);
	return NULL;
}

/* Partial trees lack the link where a device has no driver; its uevent, where captured, tells the two apart. */
static const char *read_driver(struct reader *reader, const struct pci_device *device)
{
	const char *driver = NULL;
	struct bytes uevent, line, value;
	int error = world_link_name(reader->world, reader->arena, &driver, DEVICES "/%s/driver", device->address);
	if (!error || error == ENOENT)
		return error ? NONE : driver;
	const char *path = arena_printf(reader->arena, DEVICES "/%s/uevent", device->address);
	if (error != ENODATA || world_read(reader->world, path, 0, reader->arena, &uevent) || !uevent.size) {
		reader_note(reader, NOTED_DRIVER, error, DEVICES "/*/driver");
		return NULL;
	}
	for (size_t cursor = 0; text_line(uevent, &cursor, &line);)
		if (line_value(line, "DRIVER=", &value))
			return text_trimmed(reader->arena, value);
	return NONE;
}

static void read_device(struct reader *reader, struct pci_device *device)
{
	const char *link;
	read_ids(reader, device);
	device->driver = read_driver(reader, device);
	device->iommu_group = read_link_name(reader, device, "iommu_group", NOTED_GROUP, DEVICES "/*/iommu_group");
	int error = world_link(
	        reader->world, arena_printf(reader->arena, DEVICES "/%s", device->address), reader->arena, &link);
	if (error)
		reader_note(reader, NOTED_LINK, error, DEVICES "/*");
	else
		device->parent = pci_parse_parent(link, reader->arena);
}

/* ---- details, of GPUs and what vfio holds ----------------------------- */

static int detail_text(
        struct reader *reader, const struct pci_device *device, const char *name, enum noted kind, const char **ret)
{
	int error = world_attribute(reader->world, reader->arena, ret, DEVICES "/%s/%s", device->address, name);
	if (error && error != ENOENT)
		reader_note(reader, kind, error, arena_printf(reader->arena, DEVICES "/*/%s", name));
	return error;
}

static enum tri detail_tri(
        struct reader *reader, const struct pci_device *device, const char *name, enum noted kind, enum tri absent)
{
	const char *text;
	int error = detail_text(reader, device, name, kind, &text);
	if (error)
		return error == ENOENT ? absent : UNKNOWN;
	if (strcmp(text, "1") == 0)
		return YES;
	return strcmp(text, "0") == 0 ? NO : UNKNOWN;
}

/* The attribute is hidden where nothing can reset the device (pci_dev_reset_method_attr_is_visible), and on kernels
 * before 5.15. `reset` is older and is hidden alike, but names no method. */
static void read_reset(struct reader *reader, struct pci_device *device)
{
	const char *methods;
	int error = detail_text(reader, device, "reset_method", NOTED_RESET, &methods);
	/* nothing in it: someone switched resets off (reset_method_show); a capture that marks what can be reset by an
	 * empty file says no such thing */
	if (!error && !*methods && reader->world->partial)
		reader_note(reader, NOTED_RESET, ENODATA, DEVICES "/*/reset_method");
	else if (!error)
		device->reset_methods = methods;
	else if (error == ENOENT &&
	         world_exists(reader->world, arena_printf(reader->arena, DEVICES "/%s/reset", device->address)) == NO)
		device->reset_methods = NONE;
}

static void read_config(struct reader *reader, struct pci_device *device)
{
	struct bytes content;
	int error = world_read(reader->world, arena_printf(reader->arena, DEVICES "/%s/config", device->address), 4096,
	        reader->arena, &content);
	if (!error)
		pci_parse_config(content, device);
	/* the kernel shows others than root the first 64 bytes (pci_read_config) */
	if (!error && device->flr == UNKNOWN)
		error = content.size <= 64 && reader->world->live ? EACCES : ENODATA;
	if (error)
		reader_note(reader, NOTED_CONFIG, error, DEVICES "/*/config");
}

static void read_resource(struct reader *reader, struct pci_device *device)
{
	struct bytes content;
	int error = world_read(reader->world, arena_printf(reader->arena, DEVICES "/%s/resource", device->address), 0,
	        reader->arena, &content);
	if (!error)
		pci_parse_resource(content, device);
	bool some = device->class_code >> 16 != CLASS_DISPLAY;
	for (size_t i = 0; i < PCI_BARS; i++)
		some |= device->bar[i].end != 0;
	if (!some)
		device->bars_known = UNKNOWN;
	if (device->bars_known != YES)
		reader_note(reader, NOTED_RESOURCE, error ? error : ENODATA, DEVICES "/*/resource");
}

/* pve-common SysFSTools.pm, lspci: the older way, and that of NVIDIA's driver on kernels from 6.8 on. */
static enum tri read_mdev(struct reader *reader, const struct pci_device *device)
{
	static const char *const folders[] = { "mdev_supported_types", "nvidia" };
	enum tri found = NO;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		enum tri there = world_exists(
		        reader->world, arena_printf(reader->arena, DEVICES "/%s/%s", device->address, folders[i]));
		if (there == YES)
			return YES;
		found = there == UNKNOWN ? UNKNOWN : found;
	}
	return found;
}

static void read_details(struct reader *reader, struct pci_device *device)
{
	const char *text;
	device->boot_vga = detail_tri(reader, device, "boot_vga", NOTED_BOOT_VGA, NO);
	device->d3cold_allowed = detail_tri(reader, device, "d3cold_allowed", NOTED_D3COLD, UNKNOWN);
	device->mdev = read_mdev(reader, device);
	if (!detail_text(reader, device, "driver_override", NOTED_OVERRIDE, &text))
		device->driver_override = strcmp(text, "(null)") == 0 ? NONE : text;
	if (!detail_text(reader, device, "power_state", NOTED_POWER, &text))
		device->power_state = strcmp(text, "unknown") == 0 || strcmp(text, "error") == 0 ? NULL : text;
	if (!detail_text(reader, device, "modalias", NOTED_MODALIAS, &text))
		device->modalias = text;
	read_number(reader, device, "revision", 16, 0xff, &device->revision);
	read_number(reader, device, "numa_node", 10, 1 << 20, &device->numa_node);
	read_reset(reader, device);
	read_config(reader, device);
	read_resource(reader, device);
}

/* ---- all devices ------------------------------------------------------ */

static void list_devices(struct reader *reader, struct pci *pci)
{
	struct words names;
	int error = world_list(reader->world, DEVICES, reader->arena, &names);
	/* without a PCI bus the folder is missing, but so it is where sysfs is not mounted */
	if (error == ENOENT && world_exists(reader->world, "/sys/bus") == YES)
		names = (struct words){ 0 };
	else if (error) {
		pci->known = error == ENODATA ? UNKNOWN : NO;
		reader_note(reader, NOTED_LINK, error, DEVICES);
		return;
	}
	pci->known = YES;
	pci->devices = arena_alloc(reader->arena, names.n * sizeof *pci->devices);
	for (size_t i = 0; i < names.n; i++) {
		struct pci_device *device = &pci->devices[pci->n];
		*device = (struct pci_device){ .address = names.word[i],
			.vendor = UNKNOWN_NUMBER,
			.device = UNKNOWN_NUMBER,
			.subsystem_vendor = UNKNOWN_NUMBER,
			.subsystem_device = UNKNOWN_NUMBER,
			.revision = UNKNOWN_NUMBER,
			.class_code = UNKNOWN_NUMBER,
			.numa_node = UNKNOWN_NUMBER };
		if (pci_parse_address(names.word[i], &device->domain, &device->bus, &device->slot, &device->function))
			pci->n++;
		else
			reader_note(
			        reader, NOTED_NAME, EINVAL, arena_printf(reader->arena, DEVICES "/%s", names.word[i]));
	}
	qsort(pci->devices, pci->n, sizeof *pci->devices, compare_devices);
}

/* Some captures put every device flat under a "pci0000:BB" of its own bus. Then only bus 00 is surely a root bus (a
 * bridge never has it below), and of a tree with bridges but no nesting at all nothing else is believed. */
static void doubt_flat_parents(const struct reader *reader, struct pci *pci)
{
	bool bridges = false, nested = false;
	for (size_t i = 0; i < pci->n; i++) {
		bridges |= pci->devices[i].class_code >> 8 == CLASS_PCI_BRIDGE;
		nested |= pci->devices[i].parent && *pci->devices[i].parent;
	}
	if (reader->world->live || nested || !bridges)
		return;
	for (size_t i = 0; i < pci->n; i++)
		if (pci->devices[i].bus)
			pci->devices[i].parent = NULL;
}

static bool same_text(const char *left, const char *right)
{
	return left && right && strcmp(left, right) == 0;
}

/* The folder may be missing from a capture whose links are there, or the other way round. */
static void read_groups(struct reader *reader, struct pci *pci)
{
	struct words groups;
	int error = world_list(reader->world, GROUPS, reader->arena, &groups);
	pci->groups_known = !error || error == ENOENT ? YES : UNKNOWN;
	for (size_t i = 0; i < pci->n; i++)
		if (pci->devices[i].iommu_group && *pci->devices[i].iommu_group)
			pci->groups_known = YES;
	if (pci->groups_known == UNKNOWN)
		reader_note(reader, NOTED_GROUP, error, "IOMMU groups");
}

/* A type is asked only for what gets details: hundreds of groups hold nothing that anyone would pass through. */
static void read_group_type(struct reader *reader, struct pci_device *device)
{
	if (!device->iommu_group || !*device->iommu_group)
		return;
	int error = world_attribute(
	        reader->world, reader->arena, &device->iommu_group_type, GROUPS "/%s/type", device->iommu_group);
	if (error && error != ENOENT)
		reader_note(reader, NOTED_TYPE, error, GROUPS "/*/type");
}

static void read_wanted_details(struct reader *reader, struct pci *pci)
{
	for (size_t first = 0, next; first < pci->n; first = next) {
		bool wanted = false;
		for (next = first; next < pci->n && pci_same_slot(&pci->devices[first], &pci->devices[next]); next++)
			wanted |= pci->devices[next].class_code >> 16 == CLASS_DISPLAY ||
			          same_text(pci->devices[next].driver, "vfio-pci");
		for (size_t i = first; wanted && i < next; i++) {
			read_details(reader, &pci->devices[i]);
			read_group_type(reader, &pci->devices[i]);
		}
	}
}

/* ---- IOMMU ------------------------------------------------------------ */

static void read_iommu_units(struct reader *reader, struct pci *pci)
{
	int error = world_list(reader->world, "/sys/class/iommu", reader->arena, &pci->iommu_units);
	if (!error || error == ENOENT)
		pci->iommu = tri_of(!error && pci->iommu_units.n);
	else if (error != ENODATA)
		reader_note(reader, NOTED_UNITS, error, "/sys/class/iommu");
	for (size_t i = 0; i < pci->n && pci->iommu == UNKNOWN; i++)
		if (pci->devices[i].bridge == YES && pci->devices[i].iommu_group && *pci->devices[i].iommu_group)
			pci->iommu = YES;
	if (pci->iommu == UNKNOWN)
		reader_note(reader, NOTED_UNITS, error, "/sys/class/iommu");
}

/* Documentation/ABI/testing/sysfs-class-iommu-intel-iommu; a GPU can sit behind any unit, so the smallest counts. */
static void read_address_bits(struct reader *reader, struct pci *pci)
{
	int64_t least = UNKNOWN_NUMBER;
	for (size_t i = 0; i < pci->iommu_units.n; i++) {
		const char *cap;
		if (!text_starts(pci->iommu_units.word[i], "dmar"))
			continue;
		int error = world_attribute(reader->world, reader->arena, &cap, "/sys/class/iommu/%s/intel-iommu/cap",
		        pci->iommu_units.word[i]);
		int64_t bits = error ? UNKNOWN_NUMBER : pci_parse_intel_cap(cap);
		if (bits == UNKNOWN_NUMBER) {
			reader_note(reader, NOTED_CAP, error ? error : EINVAL, "/sys/class/iommu/*/intel-iommu/cap");
			return;
		}
		if (least == UNKNOWN_NUMBER || bits < least)
			least = bits;
	}
	pci->iommu_address_bits = least;
}

static void read_remapping(struct reader *reader, struct pci *pci)
{
	struct bytes interrupts;
	int error = world_read(reader->world, "/proc/interrupts", 0, reader->arena, &interrupts);
	if (!error)
		pci->remapping = pci_parse_interrupts(interrupts);
	else
		reader_note(reader, NOTED_INTERRUPTS, error, "/proc/interrupts");
}

static bool has_name(struct words names, const char *name)
{
	for (size_t i = 0; i < names.n; i++)
		if (strcmp(names.word[i], name) == 0)
			return true;
	return false;
}

/* Their contents are for root alone; that they are there is enough. */
static void read_firmware_tables(struct reader *reader, struct pci *pci)
{
	struct words tables = { 0 };
	int error = world_list(reader->world, "/sys/firmware/acpi/tables", reader->arena, &tables);
	if (error && error != ENOENT) {
		reader_note(reader, NOTED_TABLES, error, "/sys/firmware/acpi/tables");
		return;
	}
	pci->firmware_dmar = tri_of(has_name(tables, "DMAR"));
	pci->firmware_ivrs = tri_of(has_name(tables, "IVRS"));
}

void pci_gather(struct world *world, struct arena *arena, struct pci *ret, blind_fn *blind, void *data)
{
	struct reader reader = { .world = world, .arena = arena, .blind = blind, .data = data };
	*ret = (struct pci){ .iommu_address_bits = UNKNOWN_NUMBER };
	list_devices(&reader, ret);
	for (size_t i = 0; i < ret->n; i++)
		read_device(&reader, &ret->devices[i]);
	doubt_flat_parents(&reader, ret);
	read_groups(&reader, ret);
	read_wanted_details(&reader, ret);
	read_iommu_units(&reader, ret);
	read_address_bits(&reader, ret);
	read_remapping(&reader, ret);
	read_firmware_tables(&reader, ret);
}
