/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sysfs that behaves: drivers and their devices. Sources: Documentation/ABI/testing/sysfs-bus-pci, drivers/base/bus.c
 * (bind, unbind, drivers_probe), drivers/base/dd.c, drivers/pci/pci-driver.c (new_id, remove_id, pci_match_device),
 * drivers/base/driver.c (driver_set_override).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rehearse/model.h"

#define PRINT(...) MODEL_PRINT(rehearse, __VA_ARGS__)
#define DRIVERS "/sys/bus/pci/drivers"

struct kernel_device *kernel_device(struct rehearse *rehearse, const char *address)
{
	struct kernel_state *kernel = rehearse->kernel;
	for (size_t i = 0; i < kernel->n; i++)
		if (strcmp(kernel->devices[i].address, address) == 0)
			return &kernel->devices[i];
	return NULL;
}

static const char *link_of(struct rehearse *rehearse, const char *path)
{
	struct model_inode *inode;
	return model_look(rehearse, path, false, &inode) == 0 ? inode->link : NULL;
}

static const char *last_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static const char *driver_of(struct rehearse *rehearse, const struct kernel_device *device)
{
	const char *link = link_of(rehearse, PRINT("%s/driver", device->path));
	return link ? last_of(link) : NONE;
}

const char *kernel_driver(struct rehearse *rehearse, const char *address)
{
	const struct kernel_device *device = kernel_device(rehearse, address);
	return device ? driver_of(rehearse, device) : NULL;
}

/* Of a link in sysfs, the path it means: "../../../devices/pci0000:00/..." */
static const char *device_path(struct rehearse *rehearse, const char *link)
{
	const char *at = link ? strstr(link, "devices/") : NULL;
	return at ? PRINT("/sys/%s", at) : NULL;
}

struct words kernel_group_devices(struct rehearse *rehearse, const char *address)
{
	struct words ret = { 0 };
	const struct kernel_state *kernel = rehearse->kernel;
	const struct kernel_device *device = kernel_device(rehearse, address);
	for (size_t i = 0; device && kernel->iommu && *device->group && i < kernel->n; i++)
		if (!kernel->devices[i].bridge && strcmp(kernel->devices[i].group, device->group) == 0)
			*arena_push(rehearse->arena, ret.word, ret.n) = kernel->devices[i].address;
	return ret;
}

/* ---- who has what open ---- */

const char *kernel_holder(struct rehearse *rehearse, const char *path)
{
	struct model_inode *proc = model_find(rehearse, "/proc");
	for (size_t i = 0; proc && i < proc->names.n; i++) {
		struct model_inode *process = proc->names.name[i].inode;
		struct model_inode *open =
		        process && process->stat.type == NODE_DIR ? model_child(process, "fd") : NULL;
		for (size_t j = 0; open && j < open->names.n; j++) {
			struct model_inode *file = open->names.name[j].inode;
			if (file && file->link && text_starts(file->link, path))
				return proc->names.name[i].name;
		}
	}
	return NULL;
}

unsigned model_process(struct rehearse *rehearse, const char *name, const char *cgroup, const char *open)
{
	unsigned pid = rehearse->next_pid++;
	struct words files = text_split(rehearse->arena, open, " ");
	model_set_text(rehearse, PRINT("/proc/%u/comm", pid), 0444, "%s\n", name);
	model_set_text(rehearse, PRINT("/proc/%u/cgroup", pid), 0444, "0::%s\n", cgroup);
	model_set(rehearse, PRINT("/proc/%u/cmdline", pid), NODE_FILE, 0444,
	        (struct bytes){ arena_strdup(rehearse->arena, name), strlen(name) + 1 });
	model_set(rehearse, PRINT("/proc/%u/fd", pid), NODE_DIR, 0500, (struct bytes){ 0 });
	for (size_t i = 0; i < files.n; i++)
		model_set_link(rehearse, PRINT("/proc/%u/fd/%zu", pid, i + 3), files.word[i]);
	return pid;
}

/* ---- what a driver makes of a device ---- */

static bool is_driver_folder(const struct model_name *name)
{
	static const char *const own[] = { "power", "link", "msi_irqs", "iommu", "pci_bus", "wakeup", "????:??:??.?",
		"*:pcie*" };
	if (!name->inode || name->inode->stat.type != NODE_DIR)
		return false;
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (text_matches(own[i], name->name))
			return false;
	return true;
}

static void stash(struct rehearse *rehearse, struct kernel_stash *stash, const char *path)
{
	struct model_inode *inode = model_take(rehearse, path);
	if (inode)
		*arena_push(rehearse->arena, stash->kept, stash->n) = (struct kernel_kept){ path, inode };
}

/* Links below a folder (one level, or `deep` two) that lead into one of the stashed folders. */
static void stash_links(struct rehearse *rehearse, struct kernel_stash *into, const char *folder, unsigned depth,
        const struct words *gone)
{
	struct model_inode *inode = model_find(rehearse, folder);
	for (size_t i = 0; inode && i < inode->names.n; i++) {
		struct model_inode *child = inode->names.name[i].inode;
		const char *path = PRINT("%s/%s", folder, inode->names.name[i].name);
		if (child && depth && child->stat.type == NODE_DIR)
			stash_links(rehearse, into, path, depth - 1, gone);
		const char *target = child && child->link ? device_path(rehearse, child->link) : NULL;
		for (size_t j = 0; target && j < gone->n; j++) {
			size_t size = strlen(gone->word[j]);
			if (strncmp(target, gone->word[j], size) == 0 && (target[size] == '/' || !target[size])) {
				stash(rehearse, into, path);
				break;
			}
		}
	}
}

static void stash_node_links(struct rehearse *rehearse, struct kernel_stash *into, const char *folder, const char *name)
{
	struct model_inode *inode = model_find(rehearse, folder);
	for (size_t i = 0; inode && i < inode->names.n; i++) {
		struct model_inode *child = inode->names.name[i].inode;
		if (child && child->link && strcmp(last_of(child->link), name) == 0)
			stash(rehearse, into, PRINT("%s/%s", folder, inode->names.name[i].name));
	}
}

/* Device nodes of what was taken: by the DEVNAME of each uevent below, or by the folder's name. */
static void stash_nodes(struct rehearse *rehearse, struct kernel_stash *into, struct model_inode *folder,
        const char *name, const char *above)
{
	static const char *const link_folders[] = { "/dev/dri/by-path", "/dev/char", "/dev/block", "/dev/disk/by-uuid",
		"/dev/disk/by-id", "/dev/disk/by-path" };
	struct model_inode *uevent = model_child(folder, "uevent");
	const char *text = uevent && uevent->has_data ? strstr(uevent->data.data, "DEVNAME=") : NULL, *node = NULL;
	if (text)
		node = PRINT("/dev/%.*s", (int)strcspn(text + 8, "\n"), text + 8);
	else if (strcmp(above, "drm") == 0 && (text_starts(name, "card") || text_starts(name, "renderD")) &&
	         !strchr(name, '-'))
		node = PRINT("/dev/dri/%s", name);
	else if (strcmp(above, "graphics") == 0)
		node = PRINT("/dev/%s", name);
	if (node) {
		stash(rehearse, into, node);
		for (size_t i = 0; i < sizeof link_folders / sizeof *link_folders; i++)
			stash_node_links(rehearse, into, link_folders[i], last_of(node));
	}
	for (size_t i = 0; i < folder->names.n; i++) {
		struct model_inode *child = folder->names.name[i].inode;
		if (child && child->stat.type == NODE_DIR)
			stash_nodes(rehearse, into, child, folder->names.name[i].name, name);
	}
}

static struct kernel_stash *stash_for(struct rehearse *rehearse, struct kernel_device *device, const char *driver)
{
	for (size_t i = 0; i < device->n_stashes; i++)
		if (strcmp(device->stashes[i].driver, driver) == 0)
			return &device->stashes[i];
	struct kernel_stash *made = arena_push(rehearse->arena, device->stashes, device->n_stashes);
	made->driver = arena_strdup(rehearse->arena, driver);
	return made;
}

/* fbcon has nothing to draw on without a framebuffer, and something with one. */
static void refresh_console(struct rehearse *rehearse)
{
	struct model_inode *graphics = model_find(rehearse, "/sys/class/graphics");
	bool any = false;
	for (size_t i = 0; graphics && i < graphics->names.n; i++)
		any |= graphics->names.name[i].inode && text_matches("fb[0-9]*", graphics->names.name[i].name);
	for (size_t i = 0; graphics && i < graphics->names.n; i++)
		any |= graphics->names.name[i].inode && text_starts(graphics->names.name[i].name, "fb") &&
		       strcmp(graphics->names.name[i].name, "fbcon") != 0;
	if (model_find(rehearse, "/sys/class/vtconsole/vtcon1/bind"))
		model_set_text(rehearse, "/sys/class/vtconsole/vtcon1/bind", 0644, "%d\n", any);
	if (model_find(rehearse, "/sys/class/vtconsole/vtcon0/bind"))
		model_set_text(rehearse, "/sys/class/vtconsole/vtcon0/bind", 0644, "%d\n", !any);
}

static void take_functions(struct rehearse *rehearse, struct kernel_device *device, const char *driver)
{
	struct model_inode *folder = model_find(rehearse, device->path);
	struct kernel_stash *into = stash_for(rehearse, device, driver);
	struct words gone = { 0 };
	into->n = 0;
	for (size_t i = 0; folder && i < folder->names.n; i++)
		if (is_driver_folder(&folder->names.name[i]))
			*arena_push(rehearse->arena, gone.word, gone.n) =
			        PRINT("%s/%s", device->path, folder->names.name[i].name);
	if (!gone.n)
		return;
	stash_links(rehearse, into, "/sys/class", 1, &gone);
	stash_links(rehearse, into, "/sys/dev", 1, &gone);
	stash_links(rehearse, into, "/sys/block", 0, &gone);
	for (size_t i = 0; i < gone.n; i++) {
		struct model_inode *child = model_find(rehearse, gone.word[i]);
		stash_nodes(rehearse, into, child, last_of(gone.word[i]), "");
		stash(rehearse, into, gone.word[i]);
	}
	refresh_console(rehearse);
}

static bool give_back(struct rehearse *rehearse, const struct kernel_stash *from)
{
	struct model_inode *inode;
	for (size_t i = 0; i < from->n; i++)
		if (model_look(rehearse, from->kept[i].path, false, &inode) == 0)
			return false; /* another took its number since */
	for (size_t i = from->n; i--;)
		model_give(rehearse, from->kept[i].path, from->kept[i].inode);
	return from->n != 0;
}

static unsigned group_id(struct rehearse *rehearse, const char *group, unsigned otherwise)
{
	const char *text = model_text(rehearse, "/etc/group");
	size_t size = strlen(group);
	struct words lines = text_split(rehearse->arena, text ? text : "", "\n");
	for (size_t i = 0; i < lines.n; i++)
		if (strncmp(lines.word[i], group, size) == 0 && text_starts(lines.word[i] + size, ":x:"))
			return (unsigned)strtoul(lines.word[i] + size + 3, NULL, 10);
	return otherwise;
}

/* The lowest number that is free, as idr_alloc gives it (drivers/gpu/drm/drm_drv.c). */
static void make_drm(struct rehearse *rehearse, const struct kernel_device *device, bool render)
{
	unsigned minor = render ? 128 : 0;
	const char *kind = render ? "renderD" : "card", *name = NULL;
	do
		name = PRINT("%s%u", kind, minor++);
	while (link_of(rehearse, PRINT("/sys/class/drm/%s", name)) && minor < 255);
	minor--;
	const char *folder = PRINT("%s/drm/%s", device->path, name), *node = PRINT("/dev/dri/%s", name);
	model_set_text(rehearse, PRINT("%s/dev", folder), 0444, "226:%u\n", minor);
	model_set_text(rehearse, PRINT("%s/uevent", folder), 0644,
	        "MAJOR=226\nMINOR=%u\nDEVNAME=dri/%s\nDEVTYPE=drm_minor\n", minor, name);
	model_set_relative(rehearse, PRINT("%s/device", folder), device->path);
	model_set_relative(rehearse, PRINT("/sys/class/drm/%s", name), folder);
	model_set_relative(rehearse, PRINT("/sys/dev/char/226:%u", minor), folder);
	struct model_inode *inode = model_set(rehearse, node, NODE_CHAR, 0660, (struct bytes){ 0 });
	if (inode) {
		inode->stat.major = 226;
		inode->stat.minor = minor;
		inode->stat.gid = group_id(rehearse, render ? "render" : "video", render ? 104 : 44);
	}
	model_set_link(rehearse, PRINT("/dev/char/226:%u", minor), PRINT("../dri/%s", name));
	model_set_link(rehearse, PRINT("/dev/dri/by-path/pci-%s-%s", device->address, render ? "render" : "card"),
	        PRINT("../%s", name));
}

static void make_functions(struct rehearse *rehearse, struct kernel_device *device, const char *driver)
{
	const char *words[] = { [KEY_DRIVER] = driver, [DEVICE_KEYS] = NULL };
	struct machine_device like = { 0 };
	memcpy(like.value, words, sizeof like.value);
	if (give_back(rehearse, stash_for(rehearse, device, driver))) {
		refresh_console(rehearse);
		return;
	}
	if (device->class_code >> 16 != 3 || !machine_draws(&like))
		return;
	make_drm(rehearse, device, false);
	/* server chips and such have no engine to render with */
	if (!text_has_word("ast mgag200 bochs-drm cirrus", driver, " "))
		make_drm(rehearse, device, true);
}

/* ---- groups ---- */

static void refresh_group(struct rehearse *rehearse, const struct kernel_device *device)
{
	const struct kernel_state *kernel = rehearse->kernel;
	bool any = false;
	uint64_t number;
	if (!*device->group)
		return;
	for (size_t i = 0; i < kernel->n; i++)
		any |= strcmp(kernel->devices[i].group, device->group) == 0 &&
		       strcmp(driver_of(rehearse, &kernel->devices[i]), "vfio-pci") == 0;
	const char *node = PRINT("/dev/vfio/%s", device->group);
	if (!any || !kernel->iommu) {
		model_drop(rehearse, node);
		return;
	}
	if (model_find(rehearse, node) || !text_number(device->group, 10, UINT_MAX, &number))
		return;
	struct model_inode *inode = model_set(rehearse, node, NODE_CHAR, 0600, (struct bytes){ 0 });
	inode->stat.major = 241; /* dynamic; as machine_pci.c has it */
	inode->stat.minor = (unsigned)number;
}

void kernel_set_iommu(struct rehearse *rehearse, bool on)
{
	struct kernel_state *kernel = rehearse->kernel;
	if (kernel->iommu == on)
		return;
	kernel->iommu = on;
	model_set(rehearse, "/sys/class/iommu", NODE_DIR, 0755, (struct bytes){ 0 });
	model_set(rehearse, "/sys/kernel/iommu_groups", NODE_DIR, 0755, (struct bytes){ 0 });
	for (size_t i = 0; i < kernel->n; i++) {
		const struct kernel_device *device = &kernel->devices[i];
		const char *link = PRINT("%s/iommu_group", device->path);
		const char *folder = PRINT("/sys/kernel/iommu_groups/%s", device->group);
		if (!*device->group)
			continue;
		if (!on) {
			model_drop(rehearse, link);
			model_drop(rehearse, PRINT("%s/iommu", device->path));
			model_drop(rehearse, folder);
			continue;
		}
		model_set_relative(rehearse, link, folder);
		model_set_relative(rehearse, PRINT("%s/devices/%s", folder, device->address), device->path);
		model_set_text(rehearse, PRINT("%s/type", folder), 0644, "DMA-FQ\n");
		model_set_text(rehearse, PRINT("%s/reserved_regions", folder), 0444,
		        "0x00000000fee00000 0x00000000feefffff msi\n");
	}
	bool intel = model_find(rehearse, "/sys/firmware/acpi/tables/DMAR") != NULL;
	const char *unit = intel ? "dmar0" : "ivhd0", *folder = PRINT("/sys/devices/virtual/iommu/%s", unit);
	struct model_inode *units = model_find(rehearse, "/sys/class/iommu");
	for (size_t i = 0; !on && units && i < units->names.n; i++)
		units->names.name[i].inode = NULL;
	if (!on)
		return;
	model_set_relative(rehearse, PRINT("/sys/class/iommu/%s", unit), folder);
	if (intel)
		model_set_text(rehearse, PRINT("%s/intel-iommu/cap", folder), 0444, "d2008c40660462\n");
	else
		model_set_text(rehearse, PRINT("%s/amd-iommu/cap", folder), 0444, "490b640f\n");
}

/* ---- binding ---- */

static void set_uevent(struct rehearse *rehearse, const struct kernel_device *device, const char *driver)
{
	const char *path = PRINT("%s/uevent", device->path), *old = model_text(rehearse, path);
	if (!old)
		return;
	if (text_starts(old, "DRIVER="))
		old = strchr(old, '\n') ? strchr(old, '\n') + 1 : "";
	model_set_text(rehearse, path, 0644, "%s%s%s%s", *driver ? "DRIVER=" : "", driver, *driver ? "\n" : "", old);
	if (model_find(rehearse, PRINT("%s/enable", device->path)))
		model_set_text(rehearse, PRINT("%s/enable", device->path), 0644, "%d\n", *driver ? 1 : 0);
}

static void unbind(struct rehearse *rehearse, struct kernel_device *device)
{
	const char *driver = driver_of(rehearse, device);
	if (!*driver)
		return;
	take_functions(rehearse, device, driver);
	model_drop(rehearse, PRINT("%s/driver", device->path));
	model_drop(rehearse, PRINT(DRIVERS "/%s/%s", driver, device->address));
	set_uevent(rehearse, device, NONE);
}

void kernel_bind(struct rehearse *rehearse, const char *address, const char *driver)
{
	struct kernel_device *device = kernel_device(rehearse, address);
	if (!device || strcmp(driver_of(rehearse, device), driver) == 0)
		return;
	unbind(rehearse, device);
	if (*driver) {
		const char *folder = PRINT(DRIVERS "/%s", driver), *module = machine_module(driver, rehearse->arena);
		if (!model_find(rehearse, folder) && *module)
			model_set_relative(rehearse, PRINT("%s/module", folder), PRINT("/sys/module/%s", module));
		model_set_relative(rehearse, PRINT("%s/driver", device->path), folder);
		model_set_relative(rehearse, PRINT("%s/%s", folder, device->address), device->path);
		set_uevent(rehearse, device, driver);
		make_functions(rehearse, device, driver);
	}
	refresh_group(rehearse, device);
	kernel_refresh(rehearse);
	kernel_nvidia_settle(rehearse);
}

void kernel_move(struct rehearse *rehearse, const char *from, const char *to)
{
	struct kernel_device *device = kernel_device(rehearse, from);
	if (!device || kernel_device(rehearse, to))
		return;
	kernel_bind(rehearse, from, NONE);
	const char *group = PRINT("/sys/kernel/iommu_groups/%s/devices", device->group);
	const char *old = device->path, *text = model_text(rehearse, PRINT("%s/uevent", old));
	struct model_inode *folder = model_take(rehearse, old);
	device->address = arena_strdup(rehearse->arena, to);
	device->path = PRINT("%.*s%s", (int)(strrchr(old, '/') + 1 - old), old, to);
	device->n_stashes = 0; /* they name the old place */
	model_give(rehearse, device->path, folder);
	model_drop(rehearse, PRINT("/sys/bus/pci/devices/%s", from));
	model_set_relative(rehearse, PRINT("/sys/bus/pci/devices/%s", to), device->path);
	if (*device->group && rehearse->kernel->iommu) {
		model_drop(rehearse, PRINT("%s/%s", group, from));
		model_set_relative(rehearse, PRINT("%s/%s", group, to), device->path);
	}
	const char *at = text ? strstr(text, from) : NULL;
	if (at)
		model_set_text(rehearse, PRINT("%s/uevent", device->path), 0644, "%.*s%s%s", (int)(at - text), text, to,
		        at + strlen(from));
}

void kernel_override(struct rehearse *rehearse, const char *address, const char *driver)
{
	const struct kernel_device *device = kernel_device(rehearse, address);
	if (device)
		model_set_text(
		        rehearse, PRINT("%s/driver_override", device->path), 0644, "%s\n", *driver ? driver : "(null)");
}

static bool fits_id(const struct kernel_id *id, const struct kernel_device *device)
{
	return (id->vendor == UINT_MAX || id->vendor == device->vendor) &&
	       (id->device == UINT_MAX || id->device == device->device) &&
	       (id->subvendor == UINT_MAX || id->subvendor == device->subvendor) &&
	       (id->subdevice == UINT_MAX || id->subdevice == device->subdevice) &&
	       ((id->class_code ^ device->class_code) & id->mask) == 0;
}

/* A line of modules.alias for the driver's module that names the device. */
static bool fits_alias(struct rehearse *rehearse, const char *driver, const struct kernel_device *device)
{
	const char *release = model_text(rehearse, "/proc/sys/kernel/osrelease");
	const char *module = machine_module(driver, rehearse->arena);
	if (!release || !device->modalias)
		return false;
	const char *text = model_text(
	        rehearse, PRINT("/lib/modules/%s/modules.alias",
	                          text_attribute(rehearse->arena, (struct bytes){ release, strlen(release) })));
	struct words lines = text_split(rehearse->arena, text ? text : "", "\n");
	for (size_t i = 0; i < lines.n; i++) {
		struct words words = text_split(rehearse->arena, lines.word[i], " ");
		if (words.n == 3 && strcmp(words.word[2], module) == 0 && text_starts(words.word[1], "pci:") &&
		        text_matches(words.word[1], device->modalias))
			return true;
	}
	return false;
}

bool kernel_takes(struct rehearse *rehearse, const char *driver, const struct kernel_device *device)
{
	const struct kernel_state *kernel = rehearse->kernel;
	const char *override = model_text(rehearse, PRINT("%s/driver_override", device->path));
	override = override ? text_attribute(rehearse->arena, (struct bytes){ override, strlen(override) }) : "";
	if (*override && strcmp(override, "(null)") != 0)
		return strcmp(override, driver) == 0;
	for (size_t i = 0; i < kernel->n_ids; i++)
		if (strcmp(kernel->ids[i].driver, driver) == 0 && fits_id(&kernel->ids[i], device))
			return true;
	if (strcmp(driver, "vfio-pci") == 0) /* its own ids are for driver_override only */
		return false;
	return strcmp(device->recorded, driver) == 0 || fits_alias(rehearse, driver, device);
}

/* 0, or what the driver's probe says. */
static int probe(struct rehearse *rehearse, struct kernel_device *device, const char *driver)
{
	bool vfio = strcmp(driver, "vfio-pci") == 0;
	if (vfio && (!rehearse->kernel->iommu || !*device->group || device->bridge))
		return EINVAL; /* vfio needs a group; a bridge has a header it does not take */
	kernel_bind(rehearse, device->address, driver);
	return 0;
}

void kernel_attach(struct rehearse *rehearse, const char *driver)
{
	struct kernel_state *kernel = rehearse->kernel;
	for (size_t i = 0; i < kernel->n; i++)
		if (!*driver_of(rehearse, &kernel->devices[i]) && kernel_takes(rehearse, driver, &kernel->devices[i]))
			probe(rehearse, &kernel->devices[i], driver);
}

/* ---- /proc ---- */

static bool changed_hands(struct rehearse *rehearse, const char *address)
{
	const struct kernel_device *device = kernel_device(rehearse, address);
	return device && strcmp(driver_of(rehearse, device), device->recorded) != 0;
}

/* The lines below a device's own in /proc/iomem are its driver's, but for what the firmware's framebuffer holds. */
static const char *iomem_without(struct rehearse *rehearse, const char *text)
{
	struct words lines = text_split(rehearse->arena, text, "\n");
	char *kept = arena_alloc(rehearse->arena, strlen(text) + lines.n + 1), *out = kept;
	size_t under = SIZE_MAX;
	for (size_t i = 0; i < lines.n; i++) {
		const char *line = lines.word[i], *owner = strstr(line, " : ");
		size_t depth = strspn(line, " ");
		owner = owner ? owner + 3 : "";
		if (depth <= under)
			under = SIZE_MAX;
		if (under != SIZE_MAX && !text_has_word("BOOTFB simplefb efifb vesafb", owner, " "))
			continue;
		if (under == SIZE_MAX && changed_hands(rehearse, owner))
			under = depth;
		out = stpcpy(stpcpy(out, line), "\n");
	}
	return kept;
}

void kernel_refresh(struct rehearse *rehearse)
{
	struct kernel_state *kernel = rehearse->kernel;
	if (kernel->iomem.data)
		model_set_text(rehearse, "/proc/iomem", 0400, "%s", iomem_without(rehearse, kernel->iomem.data));
}

/* ---- writes ---- */

/* A device in a write: its address, perhaps with a newline. */
static struct kernel_device *named_device(struct rehearse *rehearse, const char *value)
{
	return kernel_device(rehearse, text_attribute(rehearse->arena, (struct bytes){ value, strlen(value) }));
}

/* Does the driver wait for someone who has the device open? */
static bool is_held(struct rehearse *rehearse, const struct kernel_device *device, const char *driver)
{
	if (strcmp(driver, "nvidia") == 0)
		return kernel_holder(rehearse, "/dev/nvidia") != NULL;
	if (strcmp(driver, "vfio-pci") == 0 && *device->group) {
		const char *holder = kernel_holder(rehearse, PRINT("/dev/vfio/%s", device->group));
		return holder != NULL;
	}
	return false;
}

static int write_unbind(struct rehearse *rehearse, const char *driver, const char *value)
{
	struct kernel_device *device = named_device(rehearse, value);
	if (!device || strcmp(driver_of(rehearse, device), driver) != 0)
		return ENODEV;
	if (is_held(rehearse, device, driver)) {
		rehearse->kernel->stuck = driver;
		return ETIMEDOUT;
	}
	kernel_bind(rehearse, device->address, NONE);
	return 0;
}

static int write_bind(struct rehearse *rehearse, const char *driver, const char *value)
{
	struct kernel_device *device = named_device(rehearse, value);
	if (!device || !kernel_takes(rehearse, driver, device))
		return ENODEV;
	if (*driver_of(rehearse, device))
		return EBUSY;
	return probe(rehearse, device, driver);
}

/* "vendor device [subvendor subdevice [class [mask [data]]]]", hex. */
static int read_id(const char *value, const char *driver, struct kernel_id *ret)
{
	struct kernel_id id = { driver, 0, 0, UINT_MAX, UINT_MAX, 0, 0 };
	unsigned *const field[] = { &id.vendor, &id.device, &id.subvendor, &id.subdevice, &id.class_code, &id.mask };
	struct arena scratch ARENA_SCOPED = { 0 };
	size_t fields = model_hex(&scratch, value, " \t\n", field, sizeof field / sizeof *field);
	if (fields < 2)
		return EINVAL;
	*ret = id;
	return 0;
}

static bool same_id(const struct kernel_id *left, const struct kernel_id *right)
{
	return strcmp(left->driver, right->driver) == 0 && left->vendor == right->vendor &&
	       left->device == right->device && left->subvendor == right->subvendor &&
	       left->subdevice == right->subdevice && ((left->class_code ^ right->class_code) & left->mask) == 0;
}

static int write_new_id(struct rehearse *rehearse, const char *driver, const char *value)
{
	struct kernel_state *kernel = rehearse->kernel;
	struct kernel_id id;
	int error = read_id(value, driver, &id);
	for (size_t i = 0; !error && i < kernel->n_ids; i++)
		if (same_id(&kernel->ids[i], &id))
			error = EEXIST;
	if (error)
		return error;
	*arena_push(rehearse->arena, kernel->ids, kernel->n_ids) = id;
	kernel_attach(rehearse, driver);
	return 0;
}

static int write_remove_id(struct rehearse *rehearse, const char *driver, const char *value)
{
	struct kernel_state *kernel = rehearse->kernel;
	struct kernel_id id;
	int error = read_id(value, driver, &id);
	for (size_t i = 0; !error && i < kernel->n_ids; i++)
		if (same_id(&kernel->ids[i], &id)) {
			memmove(kernel->ids + i, kernel->ids + i + 1, (kernel->n_ids - i - 1) * sizeof id);
			kernel->n_ids--;
			return 0;
		}
	return error ? error : ENODEV;
}

/* The drivers are asked in the order in which they registered; the one that had it first is the one that matters. */
static int write_probe(struct rehearse *rehearse, const char *value)
{
	struct kernel_device *device = named_device(rehearse, value);
	struct model_inode *drivers = model_find(rehearse, DRIVERS);
	if (!device)
		return ENODEV;
	if (*driver_of(rehearse, device))
		return 0;
	for (size_t i = 0; drivers && i < drivers->names.n; i++) {
		const char *driver = drivers->names.name[i].name;
		if (!drivers->names.name[i].inode || !kernel_takes(rehearse, driver, device))
			continue;
		if (probe(rehearse, device, driver) == 0)
			return 0;
	}
	return 0;
}

static int write_override(struct rehearse *rehearse, const struct kernel_device *device, const char *value)
{
	if (strlen(value) >= 4096 - 1)
		return EINVAL;
	kernel_override(
	        rehearse, device->address, text_attribute(rehearse->arena, (struct bytes){ value, strlen(value) }));
	return 0;
}

void kernel_add_ids(struct rehearse *rehearse, const char *driver, const char *ids)
{
	struct words words = text_split(rehearse->arena, ids, ",");
	for (size_t i = 0; i < words.n; i++) {
		struct kernel_id id = { driver, 0, 0, UINT_MAX, UINT_MAX, 0, 0 };
		unsigned *const field[] = { &id.vendor, &id.device, &id.subvendor, &id.subdevice, &id.class_code,
			&id.mask };
		if (model_hex(rehearse->arena, words.word[i], ":", field, sizeof field / sizeof *field) >= 2)
			*arena_push(rehearse->arena, rehearse->kernel->ids, rehearse->kernel->n_ids) = id;
	}
}

static const struct {
	const char *name;
	int (*write)(struct rehearse *rehearse, const char *driver, const char *value);
} driver_files[] = {
	{ "bind", write_bind },
	{ "unbind", write_unbind },
	{ "new_id", write_new_id },
	{ "remove_id", write_remove_id },
};

/* The name under which a folder stands in another; NULL: it does not. */
static const char *name_in(struct rehearse *rehearse, const char *folder, const struct model_inode *inode)
{
	struct model_inode *above = model_find(rehearse, folder);
	for (size_t i = 0; above && i < above->names.n; i++)
		if (above->names.name[i].inode == inode)
			return above->names.name[i].name;
	return NULL;
}

static int write_file(struct rehearse *rehearse, const char *path, const char *value)
{
	struct model_inode *inode;
	int error = model_look(rehearse, path, true, &inode);
	if (error)
		return error == ENODATA ? ENOENT : error;
	if (!(inode->stat.mode & 0200))
		return EACCES;
	if (inode->stat.type != NODE_FILE)
		return EISDIR;
	const char *text = PRINT("%s%s", value, text_ends(value, "\n") ? "" : "\n");
	inode->data = (struct bytes){ text, strlen(text) };
	inode->has_data = true;
	return 0;
}

static int dispatch(struct rehearse *rehearse, const char *path, const char *value)
{
	const char *name = last_of(path);
	const char *above = arena_strndup(rehearse->arena, path, (size_t)(name - path));
	struct model_inode *folder = model_find(rehearse, above);
	if (!folder)
		return ENOENT;
	if (strcmp(name, "drivers_probe") == 0 && folder == model_find(rehearse, "/sys/bus/pci"))
		return write_probe(rehearse, value);
	const char *driver = name_in(rehearse, DRIVERS, folder);
	for (size_t i = 0; driver && i < sizeof driver_files / sizeof *driver_files; i++)
		if (strcmp(driver_files[i].name, name) == 0)
			return driver_files[i].write(rehearse, driver, value);
	for (size_t i = 0; strcmp(name, "driver_override") == 0 && i < rehearse->kernel->n; i++)
		if (model_find(rehearse, rehearse->kernel->devices[i].path) == folder)
			return write_override(rehearse, &rehearse->kernel->devices[i], value);
	return write_file(rehearse, path, value);
}

int model_attribute(struct rehearse *rehearse, const char *path, const char *value)
{
	if (model_dead(rehearse))
		return EIO;
	if (rehearse->kernel->stuck && text_starts(path, DRIVERS))
		return ETIMEDOUT;
	int error = model_effect(
	        rehearse, "set %s %s", path, text_attribute(rehearse->arena, (struct bytes){ value, strlen(value) }));
	if (error == ETIMEDOUT)
		rehearse->kernel->stuck = "";
	return error ? error : dispatch(rehearse, path, value);
}

/* ---- from the recording ---- */

static unsigned number_of(struct rehearse *rehearse, const struct kernel_device *device, const char *name)
{
	const char *text = model_text(rehearse, PRINT("%s/%s", device->path, name));
	return text ? (unsigned)strtoul(text, NULL, 16) : UINT_MAX - 1;
}

/* What stands behind NAME= in a uevent; NULL: it has no such line. */
static const char *uevent_value(struct rehearse *rehearse, const char *uevent, const char *name)
{
	const char *at = strstr(uevent, name);
	return at ? arena_strndup(rehearse->arena, at + strlen(name), strcspn(at + strlen(name), "\n")) : NULL;
}

static void read_ids(struct rehearse *rehearse, const char *value, unsigned *const *ret, size_t n)
{
	if (value)
		model_hex(rehearse->arena, value, ":", ret, n);
}

static void read_uevent(struct rehearse *rehearse, struct kernel_device *device)
{
	const char *text = model_text(rehearse, PRINT("%s/uevent", device->path));
	if (!text)
		return;
	unsigned *const own[] = { &device->vendor, &device->device };
	unsigned *const board[] = { &device->subvendor, &device->subdevice };
	unsigned *const class_code[] = { &device->class_code };
	read_ids(rehearse, uevent_value(rehearse, text, "PCI_ID="), own, 2);
	read_ids(rehearse, uevent_value(rehearse, text, "PCI_SUBSYS_ID="), board, 2);
	read_ids(rehearse, uevent_value(rehearse, text, "PCI_CLASS="), class_code, 1);
	const char *modalias = uevent_value(rehearse, text, "MODALIAS=");
	device->modalias = modalias ? modalias : device->modalias;
}

static void read_device(struct rehearse *rehearse, struct kernel_device *device)
{
	device->vendor = number_of(rehearse, device, "vendor");
	device->device = number_of(rehearse, device, "device");
	device->subvendor = number_of(rehearse, device, "subsystem_vendor");
	device->subdevice = number_of(rehearse, device, "subsystem_device");
	device->class_code = number_of(rehearse, device, "class");
	const char *modalias = model_text(rehearse, PRINT("%s/modalias", device->path));
	device->modalias =
	        modalias ? text_attribute(rehearse->arena, (struct bytes){ modalias, strlen(modalias) }) : NULL;
	read_uevent(rehearse, device);
	device->bridge = device->class_code >> 16 == 6;
	device->recorded = driver_of(rehearse, device);
	const char *group = link_of(rehearse, PRINT("%s/iommu_group", device->path));
	device->group = group ? last_of(group) : NONE;
}

/* Groups that a kernel would make where the recording has none, because its IOMMU was off: one for each slot on the
 * root bus; behind a bridge that is on the root bus one for each slot too, as with ACS, because what a board shares
 * cannot be told from here. Numbered in the order of addresses, as the kernel walks the bus. */
static void guess_groups(struct rehearse *rehearse)
{
	struct kernel_state *kernel = rehearse->kernel;
	unsigned next = 0;
	for (size_t i = 0; i < kernel->n; i++) {
		struct kernel_device *device = &kernel->devices[i];
		const struct kernel_device *before = i ? device - 1 : NULL;
		bool same = before && strncmp(before->address, device->address, strlen("0000:00:00")) == 0 &&
		            !device->bridge && !before->bridge;
		device->group = same ? before->group : PRINT("%u", next++);
	}
}

static void note_ids(struct rehearse *rehearse)
{
	struct kernel_state *kernel = rehearse->kernel;
	for (size_t i = 0; i < kernel->n; i++) {
		const struct kernel_device *device = &kernel->devices[i];
		if (strcmp(device->recorded, "vfio-pci") != 0 || kernel_takes(rehearse, "vfio-pci", device))
			continue;
		*arena_push(rehearse->arena, kernel->ids, kernel->n_ids) =
		        (struct kernel_id){ "vfio-pci", device->vendor, device->device, UINT_MAX, UINT_MAX, 0, 0 };
	}
}

/* A recording shows a driver from its device's side; the driver's own folder perhaps nobody asked for. */
static void complete_driver(struct rehearse *rehearse, const struct kernel_device *device)
{
	const char *driver = driver_of(rehearse, device);
	const char *folder = driver && *driver ? PRINT(DRIVERS "/%s", driver) : NULL;
	if (folder && !model_find(rehearse, PRINT("%s/%s", folder, device->address)))
		model_set_relative(rehearse, PRINT("%s/%s", folder, device->address), device->path);
}

bool kernel_open(struct rehearse *rehearse, struct err *err)
{
	struct kernel_state *kernel = rehearse->kernel = arena_new(rehearse->arena, struct kernel_state);
	struct model_inode *devices = model_find(rehearse, "/sys/bus/pci/devices"), *file;
	bool any = false;
	if (!devices || !devices->listed)
		return err_set(err, ERR_INPUT, "this machine cannot be rehearsed: its PCI devices were not recorded");
	for (size_t i = 0; i < devices->names.n; i++) {
		const struct model_name *name = &devices->names.name[i];
		const char *path = name->inode ? device_path(rehearse, name->inode->link) : NULL;
		if (!path)
			continue;
		struct kernel_device *device = arena_push(rehearse->arena, kernel->devices, kernel->n);
		device->address = name->name;
		device->path = path;
		read_device(rehearse, device);
		complete_driver(rehearse, device);
		any |= *device->group != '\0';
	}
	kernel->iommu = any;
	if (!any)
		guess_groups(rehearse);
	note_ids(rehearse);
	const char *modules = model_text(rehearse, "/proc/modules");
	struct words lines = text_split(rehearse->arena, modules ? modules : "", "\n");
	for (size_t i = 0; i < lines.n; i++)
		*arena_push(rehearse->arena, kernel->modules_before.word, kernel->modules_before.n) =
		        arena_strndup(rehearse->arena, lines.word[i], strcspn(lines.word[i], " "));
	kernel->nvidia_recorded = model_text(rehearse, "/proc/driver/nvidia/version") != NULL;
	if ((file = model_find(rehearse, "/proc/iomem")) && file->has_data)
		kernel->iomem = file->data;
	return true;
}
