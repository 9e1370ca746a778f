/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Devices as the kernel shows them. Sources: Documentation/ABI/testing/sysfs-bus-pci, sysfs-kernel-iommu_groups,
 * sysfs-class-iommu*; drivers/pci/pci-sysfs.c (which attributes are visible, the lines of `resource`); the layout of
 * configuration space: include/uapi/linux/pci_regs.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rehearse/machine_model.h"

#define PRINT(...) arena_printf(growth->tree.arena, __VA_ARGS__)

static const char *value(const struct machine_device *device, enum device_key key, const char *otherwise)
{
	return device->value[key] ? device->value[key] : otherwise;
}

static unsigned class_of(const struct machine_device *device)
{
	return (unsigned)strtoul(value(device, KEY_CLASS, "0"), NULL, 16);
}

static bool is_bridge(const struct machine_device *device)
{
	return class_of(device) >> 8 == 0x0604;
}

bool machine_draws(const struct machine_device *device)
{
	static const char drivers[] =
	        "nouveau nvidia i915 xe amdgpu radeon ast mgag200 bochs-drm virtio-pci virtio_gpu qxl cirrus";
	return text_has_word(drivers, value(device, KEY_DRIVER, ""), " ");
}

/* Drivers whose module has another name, or none (built into every kernel that matters here). */
static const struct {
	const char *driver, *module;
} driver_modules[] = {
	{ "pcieport", "" },
	{ "i801_smbus", "i2c_i801" },
	{ "piix4_smbus", "i2c_piix4" },
	{ "xhci_hcd", "xhci_pci" },
	{ "ehci-pci", "ehci_pci" },
	{ "bochs-drm", "bochs" },
	{ "skl_uncore", "" },
	{ "serial", "" },
	{ "virtio-pci", "" },
	{ "sof-audio-pci-intel-tgl", "snd_sof_pci_intel_tgl" },
	{ "piix4_ide", "ata_piix" },
	{ "uhci_hcd", "uhci_hcd" },
};

const char *machine_module(const char *driver, struct arena *arena)
{
	for (size_t i = 0; i < sizeof driver_modules / sizeof *driver_modules; i++)
		if (strcmp(driver_modules[i].driver, driver) == 0)
			return driver_modules[i].module;
	char *name = arena_strdup(arena, driver);
	for (char *at = name; *at; at++)
		if (*at == '-')
			*at = '_';
	return name;
}

/* ---- where a device lies ---- */

static bool device_fail(const struct machine_growth *growth, const struct machine_device *device, const char *what)
{
	return err_set(growth->err, ERR_INPUT, "device %s (line %u): %s", device->address, device->line, what);
}

static bool place_device(struct machine_growth *growth, struct machine_device *device, unsigned depth)
{
	if (device->path)
		return true;
	const char *parent = value(device, KEY_PARENT, "");
	if (!*parent) {
		device->path = PRINT("/sys/devices/pci%04x:%02x/%s", device->domain, device->bus, device->address);
		return true;
	}
	struct machine_device *above = map_find(&growth->target->device, parent);
	if (!above || above->removed)
		return device_fail(growth, device, "its parent is not there");
	if (!is_bridge(above))
		return device_fail(growth, device, "its parent is no bridge (class=0604xx)");
	if (depth >= MACHINE_DEPTH_MAX / 3)
		return device_fail(growth, device, "its parents form a loop, or are too many");
	if (!place_device(growth, above, depth + 1))
		return false;
	device->path = PRINT("%s/%s", above->path, device->address);
	return true;
}

/* The bus behind a bridge: that of its children; a bridge without any gets the number that its place suggests. */
static void bridge_buses(const struct machine_growth *growth, const struct machine_device *bridge, unsigned *ret_first,
        unsigned *ret_last)
{
	unsigned first = 256, last = 0;
	size_t size = strlen(bridge->path);
	for (size_t i = 0; i < growth->target->n_devices; i++) {
		const struct machine_device *device = growth->target->devices[i];
		if (strncmp(device->path, bridge->path, size) != 0 || device->path[size] != '/')
			continue;
		first = device->bus < first ? device->bus : first;
		last = device->bus > last ? device->bus : last;
	}
	*ret_first = first == 256 ? 0 : first;
	*ret_last = last;
}

static int by_address(const void *left, const void *right)
{
	const struct machine_device *const *l = left, *const *r = right;
	return strcmp((*l)->address, (*r)->address);
}

static bool place_devices(struct machine_growth *growth)
{
	struct machine_target *target = growth->target;
	size_t kept = 0;
	for (size_t i = 0; i < target->n_devices; i++)
		if (!target->devices[i]->removed)
			target->devices[kept++] = target->devices[i];
	target->n_devices = kept;
	if (kept)
		qsort(target->devices, kept, sizeof *target->devices, by_address);
	for (size_t i = 0; i < kept; i++)
		if (!place_device(growth, target->devices[i], 0))
			return false;
	return true;
}

/* ---- configuration space ---- */

static void put16(unsigned char *config, unsigned at, unsigned number)
{
	config[at] = (unsigned char)number;
	config[at + 1] = (unsigned char)(number >> 8);
}

static void put32(unsigned char *config, unsigned at, uint32_t number)
{
	put16(config, at, number & 0xffff);
	put16(config, at + 2, number >> 16);
}

static void put_bars(unsigned char *config, const struct machine_device *device)
{
	for (unsigned i = 0; i < (is_bridge(device) ? 2u : 6u); i++) {
		const struct machine_bar *bar = &device->bar[i];
		if (!bar->flags)
			continue;
		unsigned low = bar->flags & 0x100 ? 1 : (unsigned)(bar->flags & 0xe);
		put32(config, 0x10 + 4 * i, (uint32_t)bar->start | low);
		if (bar->flags & 0x100000 && i < 5)
			put32(config, 0x14 + 4 * i, (uint32_t)(bar->start >> 32));
	}
}

static bool has_flr(const struct machine_device *device)
{
	const char *said = device->value[KEY_FLR];
	return said && *said ? *said == '1' : text_has_word(value(device, KEY_RESET, ""), "flr", ",");
}

/* Kind of port in the PCIe capability: endpoint 0, root port 4, downstream port 6, root complex integrated 9. */
static unsigned port_type(const struct machine_device *device)
{
	bool behind = *value(device, KEY_PARENT, "") != '\0';
	return is_bridge(device) ? (behind ? 6 : 4) : (behind ? 0 : 9);
}

static bool is_express(const struct machine_device *device)
{
	unsigned base = class_of(device) >> 16;
	return is_bridge(device) || (base != 0x06 && base != 0x08 && base != 0x0c) || *value(device, KEY_PARENT, "");
}

/* Power management, MSI, PCIe; the chain as Linux walks it. */
static void put_capabilities(unsigned char *config, const struct machine_device *device)
{
	bool express = is_express(device);
	put16(config, 0x06, 0x0010); /* status: a list of capabilities */
	config[0x34] = 0x60;
	put16(config, 0x60, 0x6801); /* power management, next 0x68 */
	put16(config, 0x62, 0x0003);
	put16(config, 0x68, express ? 0x7805 : 0x0005); /* MSI, 64 bit */
	put16(config, 0x6a, 0x0080);
	if (!express)
		return;
	put16(config, 0x78, 0x0010);
	put16(config, 0x7a, 0x0002 | port_type(device) << 4);
	put32(config, 0x7c, has_flr(device) ? 0x10008000 : 0x00008000);
}

static unsigned log2_of(uint64_t number)
{
	unsigned bits = 0;
	while (number >>= 1)
		bits++;
	return bits;
}

/* Advanced error reporting, and the resizable BAR: index of the largest prefetchable one, its size now. */
static void put_extended(unsigned char *config, const struct machine_device *device)
{
	bool resizable = strcmp(value(device, KEY_REBAR, "0"), "1") == 0;
	put32(config, 0x100, resizable ? 0x20010001 : 0x00010001);
	if (!resizable)
		return;
	unsigned index = 0;
	uint64_t largest = 0;
	for (unsigned i = 0; i < 6; i++) {
		const struct machine_bar *bar = &device->bar[i];
		if (bar->flags & 0x2000 && bar->end - bar->start >= largest) {
			largest = bar->end - bar->start;
			index = i;
		}
	}
	unsigned size = largest >= 0xfffff ? log2_of(largest + 1) - 20 : 0;
	put32(config, 0x200, 0x00010015);
	put32(config, 0x204, 0x7fffu << 4); /* 1 MiB to 16 GiB */
	put32(config, 0x208, index | 1u << 5 | size << 8);
}

static bool many_functions(const struct machine_growth *growth, const struct machine_device *device)
{
	for (size_t i = 0; i < growth->target->n_devices; i++)
		if (strncmp(growth->target->devices[i]->address, device->address, 11) == 0 &&
		        growth->target->devices[i]->function != 0)
			return true;
	return false;
}

static struct bytes config_space(struct machine_growth *growth, const struct machine_device *device)
{
	unsigned char *config = arena_alloc(growth->tree.arena, 4097);
	unsigned class = class_of(device), vendor = 0, id = 0;
	put16(config, 0x00, device->vendor);
	put16(config, 0x02, device->device);
	put16(config, 0x04, *value(device, KEY_DRIVER, "") ? 0x0406 : 0x0400);
	config[0x08] = (unsigned char)strtoul(value(device, KEY_REVISION, "0"), NULL, 16);
	config[0x09] = (unsigned char)class;
	put16(config, 0x0a, class >> 8);
	config[0x0e] = (unsigned char)((is_bridge(device) ? 1 : 0) | (many_functions(growth, device) ? 0x80 : 0));
	put_bars(config, device);
	if (is_bridge(device)) {
		unsigned first, last;
		bridge_buses(growth, device, &first, &last);
		config[0x18] = (unsigned char)device->bus;
		config[0x19] = (unsigned char)first;
		config[0x1a] = (unsigned char)last;
	} else if (device->value[KEY_SUBSYSTEM] && *device->value[KEY_SUBSYSTEM]) {
		vendor = (unsigned)strtoul(device->value[KEY_SUBSYSTEM], NULL, 16);
		id = (unsigned)strtoul(device->value[KEY_SUBSYSTEM] + 5, NULL, 16);
		put16(config, 0x2c, vendor);
		put16(config, 0x2e, id);
	}
	config[0x3c] = 0xff;
	config[0x3d] = 1;
	put_capabilities(config, device);
	size_t size = strtoul(value(device, KEY_CONFIG, is_express(device) ? "4096" : "256"), NULL, 10);
	if (size == 4096)
		put_extended(config, device);
	return (struct bytes){ (const char *)config, size };
}

/* ---- attributes ---- */

static const char *subsystem(const struct machine_device *device)
{
	const char *said = value(device, KEY_SUBSYSTEM, "");
	return *said ? said : "0000:0000";
}

static const char *modalias(struct machine_growth *growth, const struct machine_device *device)
{
	const char *said = value(device, KEY_MODALIAS, ""), *under = subsystem(device);
	unsigned class = class_of(device);
	if (*said)
		return said;
	return PRINT("pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", device->vendor, device->device,
	        (unsigned)strtoul(under, NULL, 16), (unsigned)strtoul(under + 5, NULL, 16), class >> 16,
	        class >> 8 & 0xff, class & 0xff);
}

static void put_resource(struct machine_growth *growth, const struct machine_device *device)
{
	const char *text = "";
	/* six BARs, the ROM, six for virtual functions; a bridge has four windows more */
	for (unsigned i = 0; i < (is_bridge(device) ? 17u : 13u); i++) {
		struct machine_bar bar = i < 7 ? device->bar[i] : (struct machine_bar){ 0 };
		text = PRINT("%s0x%016llx 0x%016llx 0x%016llx\n", text, (unsigned long long)bar.start,
		        (unsigned long long)bar.end, (unsigned long long)(i == 6 && bar.flags ? 0x46200 : bar.flags));
	}
	tree_text(&growth->tree, PRINT("%s/resource", device->path), 0444, "%s", text);
}

static const char *upper(struct machine_growth *growth, const char *text)
{
	char *copy = arena_strdup(growth->tree.arena, text);
	for (char *at = copy; *at; at++)
		if (*at >= 'a' && *at <= 'f')
			*at = (char)(*at - 'a' + 'A');
	return copy;
}

static void put_uevent(struct machine_growth *growth, const struct machine_device *device)
{
	const char *driver = value(device, KEY_DRIVER, "");
	tree_text(&growth->tree, PRINT("%s/uevent", device->path), 0644,
	        "%s%s%sPCI_CLASS=%04X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%s\nPCI_SLOT_NAME=%s\nMODALIAS=%s\n",
	        *driver ? "DRIVER=" : "", driver, *driver ? "\n" : "", class_of(device), device->vendor, device->device,
	        upper(growth, subsystem(device)), device->address, modalias(growth, device));
}

static void put_bridge(struct machine_growth *growth, const struct machine_device *device)
{
	unsigned first, last;
	bridge_buses(growth, device, &first, &last);
	tree_attribute(&growth->tree, device->path, "secondary_bus_number", "%u", first);
	tree_attribute(&growth->tree, device->path, "subordinate_bus_number", "%u", last);
}

static void put_attributes(struct machine_growth *growth, const struct machine_device *device)
{
	struct tree *tree = &growth->tree;
	const char *path = device->path, *under = subsystem(device), *reset = value(device, KEY_RESET, "");
	tree_attribute(tree, path, "vendor", "0x%04x", device->vendor);
	tree_attribute(tree, path, "device", "0x%04x", device->device);
	tree_attribute(tree, path, "class", "0x%06x", class_of(device));
	tree_attribute(tree, path, "revision", "0x%s", value(device, KEY_REVISION, "00"));
	tree_attribute(tree, path, "subsystem_vendor", "0x%.4s", under);
	tree_attribute(tree, path, "subsystem_device", "0x%s", under + 5);
	tree_attribute(tree, path, "modalias", "%s", modalias(growth, device));
	tree_attribute(tree, path, "irq", "%s", value(device, KEY_IRQ, "0"));
	tree_attribute(tree, path, "enable", "%u", *value(device, KEY_DRIVER, "") ? 1 : 0);
	tree_attribute(tree, path, "power_state", "%s", value(device, KEY_POWER, "D0"));
	tree_attribute(tree, path, "d3cold_allowed", "%s", value(device, KEY_D3COLD, "1"));
	tree_attribute(tree, path, "numa_node", "%s", value(device, KEY_NUMA, "-1"));
	tree_attribute(tree, PRINT("%s/power", path), "control", "%s", is_bridge(device) ? "auto" : "on");
	tree_attribute(tree, PRINT("%s/power", path), "runtime_status", "%s", value(device, KEY_RUNTIME, "active"));
	const char *override = value(device, KEY_DRIVER_OVERRIDE, "");
	tree_attribute(tree, path, "driver_override", "%s", *override ? override : "(null)")->entry.stat.mode = 0644;
	if (class_of(device) >> 8 == 0x0300)
		tree_attribute(tree, path, "boot_vga", "%s", value(device, KEY_BOOT_VGA, "0"));
	if (*reset) { /* both are shown only where a way to reset exists */
		char *words = arena_strdup(tree->arena, reset);
		for (char *at = words; (at = strchr(at, ','));)
			*at = ' ';
		tree_attribute(tree, path, "reset_method", "%s", words)->entry.stat.mode = 0644;
		tree_put(tree, PRINT("%s/reset", path), NODE_FILE, 0200)->entry.error = EACCES;
	}
	if (is_bridge(device))
		put_bridge(growth, device);
	put_resource(growth, device);
	put_uevent(growth, device);
	tree_data(tree, PRINT("%s/config", path), 0644, config_space(growth, device))->entry.stat.size =
	        is_express(device) ? 4096 : 256;
}

/* ---- links: bus, driver, group ---- */

static void put_driver(struct machine_growth *growth, const struct machine_device *device)
{
	const char *driver = value(device, KEY_DRIVER, "");
	if (!*driver)
		return;
	const char *folder = PRINT("/sys/bus/pci/drivers/%s", driver),
	           *module = machine_module(driver, growth->tree.arena);
	tree_relative_link(&growth->tree, PRINT("%s/driver", device->path), folder);
	tree_relative_link(&growth->tree, PRINT("%s/%s", folder, device->address), device->path);
	if (*module)
		tree_relative_link(&growth->tree, PRINT("%s/module", folder), PRINT("/sys/module/%s", module));
}

static bool iommu_on(const struct machine_growth *growth)
{
	return strcmp(growth->target->iommu.kind, "off") != 0;
}

static void put_group(struct machine_growth *growth, const struct machine_device *device)
{
	const char *group = value(device, KEY_GROUP, "");
	if (!*group || !iommu_on(growth))
		return;
	const char *folder = PRINT("/sys/kernel/iommu_groups/%s", group);
	tree_relative_link(&growth->tree, PRINT("%s/iommu_group", device->path), folder);
	tree_relative_link(&growth->tree, PRINT("%s/devices/%s", folder, device->address), device->path);
	if (!tree_find(&growth->tree, PRINT("%s/type", folder)) || device->value[KEY_GROUP_TYPE])
		tree_attribute(&growth->tree, folder, "type", "%s", value(device, KEY_GROUP_TYPE, "DMA-FQ"));
	tree_attribute(&growth->tree, folder, "reserved_regions", "0x00000000fee00000 0x00000000feefffff msi");
	uint64_t minor = 0;
	if (strcmp(value(device, KEY_DRIVER, ""), "vfio-pci") == 0 &&
	        text_number(group, 10, UINT32_MAX, &minor)) /* dynamic major; 0600 root */
		tree_device(&growth->tree, PRINT("/dev/vfio/%s", group), NODE_CHAR, 241, (unsigned)minor, 0600, 0);
}

/* ---- the IOMMU itself ---- */

static struct machine_device *find_class(const struct machine_target *target, unsigned class)
{
	for (size_t i = 0; i < target->n_devices; i++)
		if (class_of(target->devices[i]) >> 8 == class)
			return target->devices[i];
	return NULL;
}

/* An ACPI table's head (ACPI specification 5.2.6): signature, length, revision, checksum, names. */
static void put_table(struct machine_growth *growth, const char *signature)
{
	unsigned char *table = arena_alloc(growth->tree.arena, 49), sum = 0;
	memcpy(table, signature, 4);
	put32(table, 4, 48);
	table[8] = 2;
	memcpy(table + 10, "EXMPL MACHINE ", 14);
	memcpy(table + 28, "GPFY", 4);
	for (unsigned i = 0; i < 48; i++)
		sum = (unsigned char)(sum + table[i]);
	table[9] = (unsigned char)-sum;
	tree_data(&growth->tree, PRINT("/sys/firmware/acpi/tables/%s", signature), 0400,
	        (struct bytes){ (const char *)table, 48 })
	        ->entry.stat.size = 48;
}

static void put_unit_devices(struct machine_growth *growth, const char *folder, unsigned unit, unsigned units)
{
	for (size_t i = 0; i < growth->target->n_devices; i++) {
		const struct machine_device *device = growth->target->devices[i];
		/* the first of two Intel units serves the processor's own graphics alone */
		bool graphics = strcmp(device->address, "0000:00:02.0") == 0;
		if (!*value(device, KEY_GROUP, "") || (units > 1 && graphics != (unit == 0)))
			continue;
		tree_relative_link(&growth->tree, PRINT("%s/devices/%s", folder, device->address), device->path);
		tree_relative_link(&growth->tree, PRINT("%s/iommu", device->path), folder);
	}
}

static void put_intel(struct machine_growth *growth, unsigned unit)
{
	const struct machine_iommu *iommu = &growth->target->iommu;
	/* bits 21:16 of cap are the address width less one (VT-d specification): 39 bits here */
	const char *cap = iommu->cap ? iommu->cap : unit + 1 < iommu->units ? "1c0000c40660462" : "d2008c40660462";
	const char *folder = PRINT("/sys/devices/virtual/iommu/dmar%u", unit), *own = PRINT("%s/intel-iommu", folder);
	tree_relative_link(&growth->tree, PRINT("/sys/class/iommu/dmar%u", unit), folder);
	tree_attribute(&growth->tree, own, "cap", "%s", cap);
	tree_attribute(&growth->tree, own, "ecap", "%s", unit + 1 < iommu->units ? "29a00f0505e" : "f050da");
	tree_attribute(&growth->tree, own, "version", "1:0");
	tree_attribute(&growth->tree, own, "address", "fed9%u000", unit);
	tree_attribute(&growth->tree, own, "domains_supported", "65536");
	put_unit_devices(growth, folder, unit, iommu->units);
}

static void put_amd(struct machine_growth *growth)
{
	const struct machine_device *unit = find_class(growth->target, 0x0806);
	const char *folder = unit ? PRINT("%s/iommu/ivhd0", unit->path) : "/sys/devices/virtual/iommu/ivhd0";
	tree_relative_link(&growth->tree, "/sys/class/iommu/ivhd0", folder);
	tree_attribute(&growth->tree, PRINT("%s/amd-iommu", folder), "cap", "%s",
	        growth->target->iommu.cap ? growth->target->iommu.cap : "490b640f");
	tree_attribute(&growth->tree, PRINT("%s/amd-iommu", folder), "features", "246577efa2254afa:0");
	put_unit_devices(growth, folder, 0, 1);
}

static void put_iommu(struct machine_growth *growth)
{
	const struct machine_iommu *iommu = &growth->target->iommu;
	tree_put(&growth->tree, "/sys/class/iommu", NODE_DIR, 0755);
	tree_put(&growth->tree, "/sys/kernel/iommu_groups", NODE_DIR, 0755);
	if (*iommu->tables)
		put_table(growth, iommu->tables);
	if (strcmp(iommu->kind, "amd") == 0)
		put_amd(growth);
	for (unsigned i = 0; i < iommu->units && strcmp(iommu->kind, "intel") == 0; i++)
		put_intel(growth, i);
}

/* ---- what drivers make of devices ---- */

static void put_device_numbers(struct machine_growth *growth, const char *folder, const char *node, const char *kind,
        unsigned major, unsigned minor)
{
	bool block = strcmp(kind, "block") == 0;
	tree_attribute(&growth->tree, folder, "dev", "%u:%u", major, minor);
	tree_text(&growth->tree, PRINT("%s/uevent", folder), 0644, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\n%s", major, minor,
	        node, block ? "DEVTYPE=disk\n" : "DEVTYPE=drm_minor\n");
	tree_relative_link(&growth->tree, PRINT("/sys/dev/%s/%u:%u", kind, major, minor), folder);
	tree_link(&growth->tree, PRINT("/dev/%s/%u:%u", kind, major, minor), PRINT("../%s", node));
}

static void put_drm(struct machine_growth *growth, const struct machine_device *device, const char *name)
{
	bool render = text_starts(name, "renderD");
	const char *digits = name + strcspn(name, "0123456789");
	unsigned minor = (unsigned)strtoul(digits, NULL, 10) & 0xff;
	const char *folder = PRINT("%s/drm/%s", device->path, name), *node = PRINT("dri/%s", name);
	unsigned gid = machine_gid(growth->target, render ? "render" : "video", render ? 104 : 44);
	tree_relative_link(&growth->tree, PRINT("/sys/class/drm/%s", name), folder);
	tree_relative_link(&growth->tree, PRINT("%s/device", folder), device->path);
	put_device_numbers(growth, folder, node, "char", 226, minor);
	tree_device(&growth->tree, PRINT("/dev/%s", node), NODE_CHAR, 226, minor, 0660, gid);
	tree_link(&growth->tree, PRINT("/dev/dri/by-path/pci-%s-%s", device->address, render ? "render" : "card"),
	        PRINT("../%s", name));
}

static void put_framebuffer(
        struct machine_growth *growth, const char *folder, const char *device, const char *name, const char *driver)
{
	tree_relative_link(&growth->tree, PRINT("/sys/class/graphics/%s", name), folder);
	tree_attribute(&growth->tree, folder, "name", "%s", driver);
	tree_relative_link(&growth->tree, PRINT("%s/device", folder), device);
	unsigned minor = (unsigned)strtoul(name + strcspn(name, "0123456789"), NULL, 10) & 31;
	tree_device(&growth->tree, PRINT("/dev/%s", name), NODE_CHAR, 29, minor, 0660,
	        machine_gid(growth->target, "video", 44));
}

static void put_interface(struct machine_growth *growth, const struct machine_device *device, const char *name)
{
	const char *folder = PRINT("%s/net/%s", device->path, name);
	tree_relative_link(&growth->tree, PRINT("/sys/class/net/%s", name), folder);
	tree_relative_link(&growth->tree, PRINT("%s/device", folder), device->path);
	tree_attribute(&growth->tree, folder, "operstate", "up");
	tree_attribute(&growth->tree, folder, "type", "1");
	tree_attribute(&growth->tree, folder, "address", "02:00:00:%02x:%02x:%02x", device->bus, device->slot,
	        device->function);
}

/* sda is 0, sdb 1; what is no such name counts as the first. */
static unsigned disk_letter(const char *name)
{
	return strlen(name) > 2 && name[2] >= 'a' && name[2] <= 'z' ? (unsigned)(name[2] - 'a') : 0;
}

/* Where a driver hangs its disks: below nvme/, ata1/host0/..., virtio0/. */
static const char *disk_folder(struct machine_growth *growth, const struct machine_device *device, const char *name)
{
	if (text_starts(name, "nvme")) {
		size_t size = 4 + strspn(name + 4, "0123456789");
		return PRINT("%s/nvme/%.*s/%s", device->path, (int)size, name, name);
	}
	if (text_starts(name, "vd"))
		return PRINT("%s/virtio%u/block/%s", device->path, device->slot, name);
	unsigned host = disk_letter(name);
	return PRINT("%s/ata%u/host%u/target%u:0:0/%u:0:0:0/block/%s", device->path, host + 1, host, host, host, name);
}

/* A disk and its partitions; sd: major 8, 16 minors each; NVMe: 259, in the order of discovery. */
static void put_disk(struct machine_growth *growth, const struct machine_device *device, const char *said)
{
	const char *name = arena_strndup(growth->tree.arena, said, strcspn(said, ":"));
	unsigned parts = strchr(said, ':') ? (unsigned)strtoul(strchr(said, ':') + 1, NULL, 10) & 31 : 0;
	bool nvme = text_starts(name, "nvme");
	unsigned index = nvme ? (unsigned)strtoul(name + 4, NULL, 10) & 15 : disk_letter(name);
	unsigned major = nvme ? 259 : text_starts(name, "vd") ? 254 : 8, minor = nvme ? index * 32 : index * 16;
	const char *folder = disk_folder(growth, device, name);
	tree_relative_link(&growth->tree, PRINT("/sys/block/%s", name), folder);
	tree_relative_link(&growth->tree, PRINT("/sys/class/block/%s", name), folder);
	for (unsigned i = 0; i <= parts; i++) {
		const char *part = i ? PRINT("%s%s%u", name, nvme ? "p" : "", i) : name;
		const char *place = i ? PRINT("%s/%s", folder, part) : folder;
		put_device_numbers(growth, place, part, "block", major, minor + i);
		tree_device(&growth->tree, PRINT("/dev/%s", part), NODE_BLOCK, major, minor + i, 0660, 6);
		if (!i)
			continue;
		tree_attribute(&growth->tree, place, "partition", "%u", i);
		tree_relative_link(&growth->tree, PRINT("/sys/class/block/%s", part), place);
	}
}

static void put_functions(struct machine_growth *growth, const struct machine_device *device)
{
	struct arena *arena = growth->tree.arena;
	bool bound = *value(device, KEY_DRIVER, "") &&
	             !text_has_word("vfio-pci pci-stub", value(device, KEY_DRIVER, ""), " ");
	if (machine_draws(device)) {
		struct words nodes = text_split(arena, value(device, KEY_DRM, ""), ",");
		for (size_t i = 0; i < nodes.n; i++)
			put_drm(growth, device, nodes.word[i]);
		struct words fb = text_split(arena, value(device, KEY_FB, ""), ":");
		if (fb.n == 2)
			put_framebuffer(growth, PRINT("%s/graphics/%s", device->path, fb.word[0]), device->path,
			        fb.word[0], fb.word[1]);
	}
	struct words net = text_split(arena, bound ? value(device, KEY_NET, "") : "", ",");
	for (size_t i = 0; i < net.n; i++)
		put_interface(growth, device, net.word[i]);
	struct words disks = text_split(arena, bound ? value(device, KEY_BLOCK, "") : "", ",");
	for (size_t i = 0; i < disks.n; i++)
		put_disk(growth, device, disks.word[i]);
}

static void put_consoles(struct machine_growth *growth)
{
	bool any = tree_find(&growth->tree, "/sys/class/graphics") != NULL;
	const char *folder = "/sys/devices/virtual/vtconsole";
	tree_put(&growth->tree, "/sys/class/graphics", NODE_DIR, 0755);
	tree_relative_link(&growth->tree, "/sys/class/vtconsole/vtcon0", PRINT("%s/vtcon0", folder));
	tree_attribute(&growth->tree, PRINT("%s/vtcon0", folder), "name", "(S) dummy device");
	tree_attribute(&growth->tree, PRINT("%s/vtcon0", folder), "bind", "%u", any ? 0 : 1);
	if (!any)
		return;
	tree_relative_link(&growth->tree, "/sys/class/graphics/fbcon", "/sys/devices/virtual/graphics/fbcon");
	tree_put(&growth->tree, "/sys/devices/virtual/graphics/fbcon", NODE_DIR, 0755);
	tree_relative_link(&growth->tree, "/sys/class/vtconsole/vtcon1", PRINT("%s/vtcon1", folder));
	tree_attribute(&growth->tree, PRINT("%s/vtcon1", folder), "name", "(M) frame buffer device");
	tree_attribute(&growth->tree, PRINT("%s/vtcon1", folder), "bind", "1");
}

/* Framebuffers of the firmware, taken over by simpledrm, simplefb or efifb: platform devices. */
static void put_boot_framebuffers(struct machine_growth *growth)
{
	for (size_t i = 0; i < growth->target->n_framebuffers; i++) {
		const struct machine_framebuffer *one = growth->target->framebuffers[i];
		const char *device = "/sys/devices/platform/simple-framebuffer.0";
		if (one->gone)
			continue;
		put_framebuffer(growth, PRINT("%s/graphics/%s", device, one->name), device, one->name, one->driver);
		tree_relative_link(&growth->tree, "/sys/bus/platform/devices/simple-framebuffer.0", device);
	}
}

/* ---- /proc/iomem ---- */

struct range {
	uint64_t start, end;
	unsigned rank; /* of two that are the same, which is the outer */
	const char *owner;
};

struct ranges {
	struct range *range;
	size_t n;
};

static void add_range(struct machine_growth *growth, struct ranges *ranges, struct range range)
{
	*arena_push(growth->tree.arena, ranges->range, ranges->n) = range;
}

/* Windows of a bus: all that its devices and those behind them have, below and above 4 GiB. */
static void add_windows(
        struct machine_growth *growth, struct ranges *ranges, const char *folder, unsigned rank, const char *owner)
{
	struct range half[2] = { { UINT64_MAX, 0, rank, owner }, { UINT64_MAX, 0, rank, owner } };
	size_t size = strlen(folder);
	for (size_t i = 0; i < growth->target->n_devices; i++) {
		const struct machine_device *device = growth->target->devices[i];
		if (strncmp(device->path, folder, size) != 0 || device->path[size] != '/')
			continue;
		for (unsigned b = 0; b < 7; b++) {
			const struct machine_bar *bar = &device->bar[b];
			if (!(bar->flags & 0x200))
				continue;
			struct range *window = &half[bar->start > UINT32_MAX];
			uint64_t start = bar->start & ~(uint64_t)0xfffff, end = bar->end | 0xfffff;
			window->start = start < window->start ? start : window->start;
			window->end = end > window->end ? end : window->end;
		}
	}
	for (unsigned i = 0; i < 2; i++)
		if (half[i].end)
			add_range(growth, ranges, half[i]);
}

/* What a driver calls the regions it has taken. */
static const struct {
	const char *driver, *owner;
} claims[] = {
	{ "nvidia", "nvidia" },
	{ "nvme", "nvme" },
	{ "xhci_hcd", "xhci-hcd" },
	{ "ahci", "ahci" },
	{ "igc", "igc" },
	{ "snd_hda_intel", "ICH HD audio" },
	{ "r8169", "r8169" },
};

static void add_device(struct machine_growth *growth, struct ranges *ranges, const struct machine_device *device)
{
	const char *driver = value(device, KEY_DRIVER, "");
	for (unsigned b = 0; b < 7; b++) {
		const struct machine_bar *bar = &device->bar[b];
		if (!(bar->flags & 0x200))
			continue;
		add_range(growth, ranges, (struct range){ bar->start, bar->end, 40, device->address });
		for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
			if (strcmp(claims[i].driver, driver) == 0 && b < 6)
				add_range(growth, ranges, (struct range){ bar->start, bar->end, 41, claims[i].owner });
	}
}

static int outer_first(const void *left, const void *right)
{
	const struct range *l = left, *r = right;
	if (l->start != r->start)
		return l->start < r->start ? -1 : 1;
	if (l->end != r->end)
		return l->end > r->end ? -1 : 1;
	return l->rank < r->rank ? -1 : l->rank > r->rank;
}

static void put_iomem(struct machine_growth *growth)
{
	static const struct range memory[] = {
		{ 0x1000, 0x9ffff, 0, "System RAM" },
		{ 0xa0000, 0xbffff, 0, "PCI Bus 0000:00" },
		{ 0x100000, 0x7fffffff, 0, "System RAM" },
		{ 0x100000000, 0x87fffffff, 0, "System RAM" },
		{ 0xfec00000, 0xfec003ff, 0, "IOAPIC 0" },
		{ 0xfee00000, 0xfee00fff, 0, "Local APIC" },
	};
	struct ranges ranges = { 0 };
	for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
		add_range(growth, &ranges, memory[i]);
	struct map roots = { 0 };
	for (size_t i = 0; i < growth->target->n_devices; i++) {
		struct machine_device *device = growth->target->devices[i];
		const char *root = arena_strndup(growth->tree.arena, device->path, strlen("/sys/devices/pci0000:00"));
		if (!map_find(&roots, root)) {
			map_put(&roots, growth->tree.arena, root, device);
			add_windows(growth, &ranges, root, 1, PRINT("PCI Bus %s", root + strlen("/sys/devices/pci")));
		}
		unsigned first, last, depth = 2;
		for (const char *at = device->path; *at; at++)
			depth += *at == '/';
		if (is_bridge(device)) {
			bridge_buses(growth, device, &first, &last);
			add_windows(growth, &ranges, device->path, depth,
			        PRINT("PCI Bus %04x:%02x", device->domain, first));
		}
		add_device(growth, &ranges, device);
	}
	for (size_t i = 0; i < growth->target->n_framebuffers; i++) {
		const struct machine_framebuffer *one = growth->target->framebuffers[i];
		if (!one->gone && *one->owner)
			add_range(growth, &ranges, (struct range){ one->start, one->end, 42, one->owner });
	}
	qsort(ranges.range, ranges.n, sizeof *ranges.range, outer_first);
	size_t room = 0;
	for (size_t i = 0; i < ranges.n; i++)
		room += strlen(ranges.range[i].owner) + 2 * MACHINE_DEPTH_MAX + 48;
	char *text = arena_alloc(growth->tree.arena, room + 1), *out = text;
	const struct range *open[MACHINE_DEPTH_MAX];
	unsigned depth = 0;
	for (size_t i = 0; i < ranges.n; i++) {
		const struct range *range = &ranges.range[i];
		while (depth && open[depth - 1]->end < range->end)
			depth--;
		out += sprintf(out, "%*s%08llx-%08llx : %s\n", (int)(2 * depth), "", (unsigned long long)range->start,
		        (unsigned long long)range->end, range->owner);
		if (depth < MACHINE_DEPTH_MAX)
			open[depth++] = range;
	}
	tree_text(&growth->tree, "/proc/iomem", 0400, "%s", text);
}

/* ---- /proc/interrupts ---- */

static void put_interrupts(struct machine_growth *growth)
{
	bool remapped = growth->target->iommu.remapping, amd = strcmp(growth->target->iommu.kind, "amd") == 0;
	const char *ir = remapped ? "IR-" : "";
	const char *text = PRINT("            CPU0       CPU1       \n"
	                         "   0:         36          0  %sIO-APIC    2-edge      timer\n"
	                         "   8:          0          1  %sIO-APIC    8-edge      rtc0\n"
	                         "   9:          0         12  %sIO-APIC    9-fasteoi   acpi\n",
	        ir, ir, ir);
	unsigned number = 26;
	/* the IOMMU's own interrupt is never remapped */
	const struct machine_device *unit = find_class(growth->target, 0x0806);
	if (amd && unit)
		text = PRINT("%s  %u:          0          0  PCI-MSI-%s    0-edge      AMD-Vi\n", text, number++,
		        unit->address);
	if (strcmp(growth->target->iommu.kind, "intel") == 0)
		text = PRINT("%s 120:          0          0  DMAR-MSI    0-edge      dmar0\n", text);
	size_t room = strlen(text) + 1, size = room - 1;
	for (size_t i = 0; i < growth->target->n_devices; i++)
		room += 160;
	char *all = arena_alloc(growth->tree.arena, room);
	memcpy(all, text, size);
	for (size_t i = 0; i < growth->target->n_devices; i++) {
		const struct machine_device *device = growth->target->devices[i];
		const char *driver = value(device, KEY_DRIVER, "");
		if (!*driver || is_bridge(device) || text_has_word("vfio-pci pci-stub", driver, " "))
			continue;
		size += (size_t)sprintf(all + size, "%4u:       1000          0  %sPCI-MSI-%s    0-edge      %.64s\n",
		        number++, ir, device->address, driver);
	}
	tree_text(&growth->tree, "/proc/interrupts", 0444, "%s NMI:          1          1   Non-maskable interrupts\n",
	        all);
}

bool machine_make_pci(struct machine_growth *growth)
{
	if (!place_devices(growth))
		return false;
	tree_put(&growth->tree, "/sys/bus/pci/devices", NODE_DIR, 0755);
	tree_put(&growth->tree, "/sys/bus/pci/drivers", NODE_DIR, 0755);
	tree_put(&growth->tree, "/sys/class/drm", NODE_DIR, 0755);
	tree_put(&growth->tree, "/sys/firmware/acpi/tables", NODE_DIR, 0755);
	for (size_t i = 0; i < growth->target->n_devices; i++) {
		const struct machine_device *device = growth->target->devices[i];
		if (growth->tree.n > MACHINE_NODES_MAX - 30000)
			return device_fail(growth, device, "the machine has too many devices");
		tree_relative_link(&growth->tree, PRINT("/sys/bus/pci/devices/%s", device->address), device->path);
		tree_relative_link(&growth->tree, PRINT("%s/subsystem", device->path), "/sys/bus/pci");
		put_attributes(growth, device);
		put_driver(growth, device);
		put_group(growth, device);
		put_functions(growth, device);
	}
	put_iommu(growth);
	put_boot_framebuffers(growth);
	put_consoles(growth);
	put_iomem(growth);
	put_interrupts(growth);
	return true;
}
