/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the node cannot live without, and the PCI devices it hangs on: the disks below the root file system, the
 * network card below the default route, the display and the keyboard of the console.
 *
 * A block device's or interface's place is told by its link in sysfs: the last PCI address in
 * /sys/class/block/sda -> ../../devices/pci0000:00/0000:00:17.0/ata1/.../block/sda is its controller.
 */
#include <errno.h>
#include <string.h>

#include "facts/facts.h"

enum { STACK_DEPTH = 8 }; /* bond over VLAN over bridge, LVM over LUKS over RAID: far more than anyone has */

struct gathering {
	struct world *world;
	struct arena *arena;
	struct facts *facts;
	blind_fn *blind;
	void *data;
};

static void add_need(struct gathering *gathering, enum need_kind kind, const char *pci, const char *what)
{
	struct facts *facts = gathering->facts;
	for (size_t i = 0; i < facts->n_needs; i++)
		if (facts->needs[i].kind == kind && strcmp(facts->needs[i].pci, pci) == 0)
			return;
	*arena_push(gathering->arena, facts->needs, facts->n_needs) = (struct need){ kind, pci, what };
}

/* The last PCI address among the parts of a sysfs path; NULL: none (a virtual device). */
static const char *last_pci_address(const char *path, struct arena *arena)
{
	struct words parts = text_split(arena, path, "/");
	const char *address = NULL;
	for (size_t i = 0; i < parts.n; i++) {
		unsigned domain, bus, slot, function;
		if (pci_parse_address(parts.word[i], &domain, &bus, &slot, &function))
			address = parts.word[i];
	}
	return address;
}

/* ---- disks ---------------------------------------------------------------- */

/* Notes the controllers below a block device, through LVM, LUKS and RAID. False: could not be followed. */
static bool disk_needs(struct gathering *gathering, const char *name, const char *what, unsigned depth)
{
	struct arena *arena = gathering->arena;
	const char *link;
	if (depth > STACK_DEPTH ||
	        world_link(gathering->world, arena_printf(arena, "/sys/class/block/%s", name), arena, &link))
		return false;
	const char *pci = last_pci_address(link, arena);
	if (pci) {
		add_need(gathering, NEED_ROOT_DISK, pci, arena_printf(arena, "%s (%s)", what, name));
		return true;
	}
	struct words below;
	if (world_list(gathering->world, arena_printf(arena, "/sys/class/block/%s/slaves", name), arena, &below) ||
	        !below.n)
		return false;
	bool all = true;
	for (size_t i = 0; i < below.n; i++)
		all &= disk_needs(gathering, below.word[i], what, depth + 1);
	return all;
}

/* The block device's kernel name behind "/dev/mapper/pve-root", "/dev/sda3", "/dev/disk/by-id/...". */
static const char *block_name(struct gathering *gathering, const char *device)
{
	struct arena *arena = gathering->arena;
	const char *link;
	if (world_link(gathering->world, device, arena, &link) == 0)
		return strrchr(link, '/') ? strrchr(link, '/') + 1 : link;
	const char *name = strrchr(device, '/');
	return name ? name + 1 : device;
}

/* "pool  size ..." then "\t/dev/disk/by-id/x-part3  size ..." as `zpool list -vHP` prints them: paths are devices. */
static bool zfs_needs(struct gathering *gathering, const char *dataset)
{
	struct arena *arena = gathering->arena;
	const char *pool = arena_strndup(arena, dataset, strcspn(dataset, "/"));
	const char *const argv[] = { "zpool", "list", "-vHP", pool, NULL };
	const struct command command = { .argv = argv };
	struct outcome outcome;
	int error = world_run(gathering->world, &command, arena, &outcome);
	if (error || outcome.status) {
		gathering->blind(gathering->data, error ? error : EIO, arena_printf(arena, "zpool list -vHP %s", pool));
		return false;
	}
	bool any = false, all = true;
	size_t cursor = 0;
	struct bytes line;
	while (text_line(outcome.out, &cursor, &line)) {
		struct words words = text_split(arena, text_trimmed(arena, line), " \t");
		if (!words.n || words.word[0][0] != '/')
			continue;
		any = true;
		all &= disk_needs(gathering, block_name(gathering, words.word[0]),
		        arena_printf(arena, "root file system on %s", pool), 0);
	}
	return any && all;
}

/* The root line of /proc/self/mountinfo: "... / / rw - ext4 /dev/mapper/pve-root rw"; the last one counts. */
static bool root_mount(
        struct gathering *gathering, const char **ret_type, const char **ret_source, const char **ret_number)
{
	struct bytes text;
	int error = world_read(gathering->world, "/proc/self/mountinfo", 0, gathering->arena, &text);
	if (error) {
		gathering->blind(gathering->data, error, "/proc/self/mountinfo");
		return false;
	}
	bool found = false;
	size_t cursor = 0;
	struct bytes line;
	while (text_line(text, &cursor, &line)) {
		struct words words = text_split(gathering->arena, text_trimmed(gathering->arena, line), " ");
		size_t dash = 6; /* optional fields end with a lone "-" (proc(5)) */
		while (dash < words.n && strcmp(words.word[dash], "-") != 0)
			dash++;
		if (dash + 2 >= words.n || strcmp(words.word[4], "/") != 0)
			continue;
		*ret_number = words.word[2];
		*ret_type = words.word[dash + 1];
		*ret_source = words.word[dash + 2];
		found = true;
	}
	return found;
}

static void root_disk_needs(struct gathering *gathering)
{
	const char *type, *source, *number;
	if (!root_mount(gathering, &type, &source, &number))
		return;
	bool followed;
	const char *name = NULL;
	if (strcmp(type, "zfs") == 0) {
		followed = zfs_needs(gathering, source);
	} else {
		/* the device number is surer than a name; btrfs has an anonymous one */
		if (world_link_name(gathering->world, gathering->arena, &name, "/sys/dev/block/%s", number) || !*name)
			name = block_name(gathering, source);
		followed = disk_needs(
		        gathering, name, arena_printf(gathering->arena, "root file system on %s", source), 0);
	}
	gathering->facts->root_disk_known = tri_of(followed);
}

/* ---- network ---------------------------------------------------------------- */

/* Notes the cards below an interface, through bridges, bonds and VLANs. */
static bool nic_needs(struct gathering *gathering, const char *name, const char *what, unsigned depth)
{
	struct arena *arena = gathering->arena;
	const char *link;
	if (depth > STACK_DEPTH ||
	        world_link(gathering->world, arena_printf(arena, "/sys/class/net/%s", name), arena, &link))
		return false;
	const char *pci = last_pci_address(link, arena);
	if (pci) {
		add_need(gathering, NEED_MANAGEMENT_NIC, pci,
		        depth ? arena_printf(arena, "%s over %s", what, name) : what);
		return true;
	}
	/* a guest's tap or veth in the bridge is no way to the outside: only what leads to a card counts */
	struct words names;
	if (world_list(gathering->world, arena_printf(arena, "/sys/class/net/%s", name), arena, &names))
		return false;
	bool any = false;
	for (size_t i = 0; i < names.n; i++)
		if (text_starts(names.word[i], "lower_"))
			any |= nic_needs(gathering, names.word[i] + strlen("lower_"), what, depth + 1);
	return any;
}

/* /proc/net/route: "Iface Destination Gateway Flags ..."; destination and mask 0 is a default route. */
static void management_needs(struct gathering *gathering)
{
	struct bytes routes;
	int error = world_read(gathering->world, "/proc/net/route", 0, gathering->arena, &routes);
	if (error) {
		gathering->blind(gathering->data, error, "/proc/net/route");
		return;
	}
	bool any = false, all = true;
	size_t cursor = 0;
	struct bytes line;
	while (text_line(routes, &cursor, &line)) {
		struct words words = text_split(gathering->arena, text_trimmed(gathering->arena, line), " \t");
		if (words.n < 8 || strcmp(words.word[1], "00000000") != 0 || strcmp(words.word[7], "00000000") != 0)
			continue;
		any = true;
		all &= nic_needs(gathering, words.word[0],
		        arena_printf(gathering->arena, "default route by %s", words.word[0]), 0);
	}
	gathering->facts->management_known = tri_of(any && all);
}

/* ---- console ------------------------------------------------------------------ */

/* The display whose framebuffer or boot text carries the console, and the USB controller of the keyboard. */
static void console_needs(struct gathering *gathering)
{
	struct facts *facts = gathering->facts;
	if (!facts->host.console)
		return;
	facts->console_known = YES;
	if (!text_has_word(facts->host.console, "tty0", " "))
		return;
	for (size_t i = 0; i < facts->pci.n; i++) {
		const struct pci_device *device = &facts->pci.devices[i];
		if (device->class_code >> 16 == 0x03 && device->boot_vga == YES)
			add_need(gathering, NEED_CONSOLE, device->address, "the console's display (tty0)");
	}
}

/* /proc/bus/input/devices: blocks of "S: Sysfs=/devices/..." and "H: Handlers=... kbd ...". */
static void keyboard_needs(struct gathering *gathering)
{
	struct bytes text;
	if (world_read(gathering->world, "/proc/bus/input/devices", 0, gathering->arena, &text))
		return;
	const char *place = NULL;
	size_t cursor = 0;
	struct bytes line;
	while (text_line(text, &cursor, &line)) {
		char *words = text_trimmed(gathering->arena, line);
		if (text_starts(words, "S: Sysfs="))
			place = words + strlen("S: Sysfs=");
		/* "sysrq" is set for real keyboards only, "kbd" for every button */
		if (!text_starts(words, "H: Handlers=") ||
		        !text_has_word(words + strlen("H: Handlers="), "sysrq", " ") || !place)
			continue;
		const char *pci = strstr(place, "/usb") ? last_pci_address(place, gathering->arena) : NULL;
		if (pci)
			add_need(gathering, NEED_USB, pci, "the keyboard's USB controller");
	}
}

void needs_gather(struct world *world, struct arena *arena, struct facts *facts, blind_fn *blind, void *data)
{
	struct gathering gathering = { world, arena, facts, blind, data };
	root_disk_needs(&gathering);
	management_needs(&gathering);
	console_needs(&gathering);
	keyboard_needs(&gathering);
}
