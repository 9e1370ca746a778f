/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The rest of a running system: modules, network, disks, processes, packages, NVIDIA's own files, guests. Sources:
 * proc(5); Documentation/ABI/testing/sysfs-class-net, sysfs-module; deb-status; qemu-server CLI/qm.pm and
 * pve-container CLI/pct.pm for the lists; pve-container LXC.pm, which finds running containers in /proc/net/unix.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rehearse/machine_model.h"
#include "sys/wants.h"

#define PRINT(...) arena_printf(growth->tree.arena, __VA_ARGS__)

/* A text that grows: no quadratic copying. */
struct pen {
	struct arena *arena;
	char *text;
	size_t size, room;
};

static void pen_write(struct pen *pen, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void pen_write(struct pen *pen, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *piece = arena_vprintf(pen->arena, format, args);
	va_end(args);
	size_t size = strlen(piece);
	if (pen->size + size + 1 > pen->room) {
		pen->room = (pen->size + size + 1) * 2;
		char *wider = arena_alloc(pen->arena, pen->room);
		if (pen->size)
			memcpy(wider, pen->text, pen->size);
		pen->text = wider;
	}
	memcpy(pen->text + pen->size, piece, size + 1);
	pen->size += size;
}

static const char *pen_text(const struct pen *pen)
{
	return pen->text ? pen->text : "";
}

/* ---- modules ---- */

struct module_list {
	struct map seen;
	struct pen proc;
};

static void put_module(struct machine_growth *growth, struct module_list *list, const char *name, bool builtin)
{
	if (!*name || map_find(&list->seen, name))
		return;
	const char *folder = PRINT("/sys/module/%s", name);
	map_put(&list->seen, growth->tree.arena, name, growth);
	tree_put(&growth->tree, folder, NODE_DIR, 0755);
	if (builtin)
		return;
	tree_attribute(&growth->tree, folder, "initstate", "live");
	tree_attribute(&growth->tree, folder, "refcnt", "0");
	pen_write(&list->proc, "%s 16384 0 - Live 0xffffffffc0800000\n", name);
}

static bool is_gone(const struct machine_target *target, const char *name)
{
	for (size_t i = 0; i < target->n_modules; i++)
		if (target->modules[i]->state == MODULE_GONE && strcmp(target->modules[i]->name, name) == 0)
			return true;
	return false;
}

static void put_modules(struct machine_growth *growth)
{
	struct machine_target *target = growth->target;
	struct module_list list = { .proc = { .arena = growth->tree.arena } };
	for (size_t i = 0; i < target->n_modules; i++)
		if (target->modules[i]->state == MODULE_BUILTIN)
			put_module(growth, &list, target->modules[i]->name, true);
	for (size_t i = 0; i < target->n_modules; i++)
		if (target->modules[i]->state == MODULE_LOADED)
			put_module(growth, &list, target->modules[i]->name, false);
	/* a driver that holds a device is there, and vfio-pci brings its own */
	for (size_t i = 0; i < target->n_devices; i++) {
		const char *driver = target->devices[i]->value[KEY_DRIVER];
		if (!driver || !*driver)
			continue;
		put_module(growth, &list, machine_module(driver, growth->tree.arena), false);
		static const char *const vfio[] = { "vfio_pci_core", "vfio_iommu_type1", "vfio", "irqbypass" };
		for (size_t j = 0; strcmp(driver, "vfio-pci") == 0 && j < sizeof vfio / sizeof *vfio; j++)
			put_module(growth, &list, vfio[j], false);
	}
	static const char uvm[] = "nvidia_uvm";
	if (target->nvidia)
		put_module(growth, &list, "nvidia", false);
	/* unloaded, it leaves its nodes */
	if (target->nvidia && target->nvidia_uvm && !is_gone(target, uvm))
		put_module(growth, &list, uvm, false);
	if (map_find(&list.seen, "vfio"))
		tree_device(&growth->tree, "/dev/vfio/vfio", NODE_CHAR, 10, 196, 0666, 0);
	if (map_find(&list.seen, "vfio_pci"))
		tree_put(&growth->tree, "/sys/bus/pci/drivers/vfio-pci", NODE_DIR, 0755);
	tree_text(&growth->tree, "/proc/modules", 0444, "%s", pen_text(&list.proc));
}

/* ---- network and disks that are no device's ---- */

static void put_bridge(struct machine_growth *growth, const char *folder, const char *bridge, const char *ports)
{
	struct words names = text_split(growth->tree.arena, ports, ",");
	tree_attribute(&growth->tree, PRINT("%s/bridge", folder), "stp_state", "0");
	tree_put(&growth->tree, PRINT("%s/brif", folder), NODE_DIR, 0755);
	for (size_t i = 0; i < names.n; i++) {
		const char *port = tree_resolve(&growth->tree, PRINT("/sys/class/net/%s", names.word[i]), true);
		if (!port || !tree_find(&growth->tree, port) || strcmp(names.word[i], bridge) == 0)
			continue;
		tree_put(&growth->tree, PRINT("%s/brport", port), NODE_DIR, 0755);
		tree_relative_link(&growth->tree, PRINT("%s/brif/%s", folder, names.word[i]), PRINT("%s/brport", port));
		tree_relative_link(&growth->tree, PRINT("%s/lower_%s", folder, names.word[i]), port);
		tree_relative_link(&growth->tree, PRINT("%s/master", port), folder);
	}
}

static void put_interfaces(struct machine_growth *growth)
{
	struct machine_target *target = growth->target;
	tree_put(&growth->tree, "/sys/class/net", NODE_DIR, 0755);
	for (size_t i = 0; i < target->n_interfaces; i++) {
		if (target->interfaces[i]->gone)
			continue;
		const char *name = target->interfaces[i]->name, *folder = PRINT("/sys/devices/virtual/net/%s", name);
		bool loopback = strcmp(name, "lo") == 0;
		tree_relative_link(&growth->tree, PRINT("/sys/class/net/%s", name), folder);
		tree_attribute(&growth->tree, folder, "operstate", "%s", loopback ? "unknown" : "up");
		tree_attribute(&growth->tree, folder, "type", "%u", loopback ? 772 : 1);
		tree_attribute(
		        &growth->tree, folder, "address", "%s", loopback ? "00:00:00:00:00:00" : "02:00:00:00:ff:01");
	}
	for (size_t i = 0; i < target->n_interfaces; i++)
		if (target->interfaces[i]->on && !target->interfaces[i]->gone)
			put_bridge(growth, PRINT("/sys/devices/virtual/net/%s", target->interfaces[i]->name),
			        target->interfaces[i]->name, target->interfaces[i]->on);
}

/* Device mapper: major 252 on PVE's kernels (dynamic), named below /dev/mapper; LVM also as /dev/VG/LV. */
static void put_disk(struct machine_growth *growth, const struct machine_virtual *disk)
{
	const char *folder = PRINT("/sys/devices/virtual/block/%s", disk->name);
	const char *digits = disk->name + strcspn(disk->name, "0123456789");
	unsigned minor = (unsigned)strtoul(digits, NULL, 10) & 0xff;
	tree_relative_link(&growth->tree, PRINT("/sys/block/%s", disk->name), folder);
	tree_relative_link(&growth->tree, PRINT("/sys/class/block/%s", disk->name), folder);
	tree_attribute(&growth->tree, folder, "dev", "252:%u", minor);
	tree_relative_link(&growth->tree, PRINT("/sys/dev/block/252:%u", minor), folder);
	tree_device(&growth->tree, PRINT("/dev/%s", disk->name), NODE_BLOCK, 252, minor, 0660, 6);
	tree_put(&growth->tree, PRINT("%s/slaves", folder), NODE_DIR, 0755);
	struct words below = text_split(growth->tree.arena, disk->on ? disk->on : "", ",");
	for (size_t i = 0; i < below.n; i++) {
		const char *at = tree_resolve(&growth->tree, PRINT("/sys/class/block/%s", below.word[i]), true);
		if (!at || !tree_find(&growth->tree, at))
			continue;
		tree_relative_link(&growth->tree, PRINT("%s/slaves/%s", folder, below.word[i]), at);
		tree_relative_link(&growth->tree, PRINT("%s/holders/%s", at, disk->name), folder);
	}
	if (!disk->mapper || !*disk->mapper)
		return;
	tree_attribute(&growth->tree, PRINT("%s/dm", folder), "name", "%s", disk->mapper);
	tree_link(&growth->tree, PRINT("/dev/mapper/%s", disk->mapper), PRINT("../%s", disk->name));
	const char *cut = strchr(disk->mapper, '-');
	if (cut && cut[1] && cut[1] != '-') /* "pve-root"; a dash within a name is written twice */
		tree_link(&growth->tree, PRINT("/dev/%.*s/%s", (int)(cut - disk->mapper), disk->mapper, cut + 1),
		        PRINT("../%s", disk->name));
}

/* ---- processes ---- */

/* What the kernel says of an open DRM node (Documentation/gpu/drm-usage-stats.rst): whose card it is. */
static void put_fdinfo(struct machine_growth *growth, const char *path, const char *node)
{
	const char *drm = "";
	const char *lies =
	        text_starts(node, "/dev/dri/")
	                ? tree_resolve(&growth->tree, PRINT("/sys/class/drm/%.64s", node + strlen("/dev/dri/")), true)
	                : NULL;
	const char *cut = lies ? strstr(lies, "/drm/") : NULL;
	if (cut && cut - lies > 12)
		drm = PRINT("drm-pdev:\t%.12s\n", cut - 12);
	tree_text(&growth->tree, path, 0444, "pos:\t0\nflags:\t0100002\nmnt_id:\t26\nino:\t300\n%s", drm);
}

static void put_process(struct machine_growth *growth, const struct machine_process *process)
{
	const char *folder = PRINT("/proc/%u", process->pid);
	tree_attribute(&growth->tree, folder, "comm", "%s", process->command);
	tree_attribute(&growth->tree, folder, "cgroup", "0::%s",
	        process->cgroup ? process->cgroup : "/system.slice/init.scope");
	struct bytes arguments = process->arguments;
	if (!arguments.size)
		arguments = (struct bytes){ process->command, strlen(process->command) + 1 };
	char *copy = arena_strndup(growth->tree.arena, arguments.data, arguments.size);
	for (size_t i = 0; i < arguments.size; i++)
		if (copy[i] == '\n')
			copy[i] = '\0';
	tree_data(&growth->tree, PRINT("%s/cmdline", folder), 0444, (struct bytes){ copy, arguments.size });
	tree_put(&growth->tree, PRINT("%s/fd", folder), NODE_DIR, 0500);
	struct words open = text_split(growth->tree.arena, process->open ? process->open : "", ",");
	tree_link(&growth->tree, PRINT("%s/fd/0", folder), "/dev/null");
	for (size_t i = 0; i < open.n; i++) {
		tree_link(&growth->tree, PRINT("%s/fd/%zu", folder, i + 10), open.word[i]);
		put_fdinfo(growth, PRINT("%s/fdinfo/%zu", folder, i + 10), open.word[i]);
	}
}

static void put_vm(struct machine_growth *growth, const struct machine_guest *guest)
{
	const char *arguments =
	        PRINT("/usr/bin/kvm\n-id\n%u\n-no-shutdown\n-pidfile\n/var/run/qemu-server/%u.pid\n-daemonize\n",
	                guest->id, guest->id);
	struct machine_process process = { .pid = guest->pid,
		.command = "kvm",
		.open = guest->open,
		.cgroup = PRINT("/qemu.slice/%u.scope", guest->id),
		.arguments = { arguments, strlen(arguments) } };
	put_process(growth, &process);
	tree_text(&growth->tree, PRINT("/run/qemu-server/%u.pid", guest->id), 0640, "%u\n", guest->pid);
}

static void put_ct(struct machine_growth *growth, const struct machine_guest *guest)
{
	const char *monitor = PRINT("/usr/bin/lxc-start\n-F\n-n\n%u\n", guest->id);
	struct machine_process first = { .pid = guest->pid,
		.command = "systemd",
		.open = guest->open,
		.cgroup = PRINT("/lxc/%u/ns/init.scope", guest->id),
		.arguments = { "/sbin/init\n", 11 } };
	struct machine_process above = { .pid = guest->pid - 1,
		.command = "lxc-start",
		.cgroup = PRINT("/lxc.monitor/%u", guest->id),
		.arguments = { monitor, strlen(monitor) } };
	put_process(growth, &first);
	put_process(growth, &above);
	const char *group = PRINT("/sys/fs/cgroup/lxc/%u", guest->id);
	tree_attribute(&growth->tree, group, "cgroup.procs", "%s", "");
	tree_attribute(&growth->tree, PRINT("%s/ns/init.scope", group), "cgroup.procs", "%u", guest->pid);
	tree_attribute(
	        &growth->tree, PRINT("/sys/fs/cgroup/lxc.monitor/%u", guest->id), "cgroup.procs", "%u", guest->pid - 1);
}

static void put_running(struct machine_growth *growth)
{
	struct pen unix_sockets = { .arena = growth->tree.arena };
	pen_write(&unix_sockets, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	for (size_t i = 0; i < growth->target->n_guests; i++) {
		const struct machine_guest *guest = growth->target->guests[i];
		if (!guest->running)
			continue;
		if (guest->vm) {
			put_vm(growth, guest);
			continue;
		}
		put_ct(growth, guest);
		pen_write(&unix_sockets,
		        "0000000000000000: 00000002 00000000 00010000 0001 01 %u @/var/lib/lxc/%u/command\n",
		        40000 + guest->id % 10000, guest->id);
	}
	tree_text(&growth->tree, "/proc/net/unix", 0444, "%s", pen_text(&unix_sockets));
	for (size_t i = 0; i < growth->target->n_processes; i++)
		put_process(growth, growth->target->processes[i]);
}

/* ---- packages ---- */

static void put_packages(struct machine_growth *growth)
{
	struct machine_target *target = growth->target;
	struct pen status = { .arena = growth->tree.arena };
	for (size_t i = 0; i < target->n_packages; i++)
		if (target->packages[i]->version)
			pen_write(&status,
			        "Package: %s\nStatus: install ok installed\nPriority: optional\nSection: admin\n"
			        "Installed-Size: 100\nMaintainer: Example <root@example.com>\nArchitecture: "
			        "amd64\nVersion: %s\n"
			        "Description: %s\n on this machine\n\n",
			        target->packages[i]->name, target->packages[i]->version, target->packages[i]->name);
	if (target->n_packages)
		tree_text(&growth->tree, "/var/lib/dpkg/status", 0644, "%s", pen_text(&status));
}

/* ---- NVIDIA's own files: /proc/driver/nvidia and its nodes ---- */

static void put_nvidia_card(struct machine_growth *growth, const struct machine_device *device, unsigned minor)
{
	const char *folder = PRINT("/proc/driver/nvidia/gpus/%s", device->address);
	tree_text(&growth->tree, PRINT("%s/information", folder), 0444,
	        "Model: \t\t NVIDIA %04x\nIRQ:   \t\t 60\nGPU UUID: \t GPU-00000000-0000-0000-0000-%012u\n"
	        "Video BIOS: \t 95.06.2b.00.01\nBus Type: \t PCIe\nDMA Size: \t 47 bits\nDMA Mask: \t 0x7fffffffffff\n"
	        "Bus Location: \t %s\nDevice Minor: \t %u\nGPU Firmware: \t %s\nGPU Excluded:\t No\n",
	        device->device, minor + 1, device->address, minor, growth->target->nvidia);
	tree_device(&growth->tree, PRINT("/dev/nvidia%u", minor), NODE_CHAR, 195, minor, 0666, 0);
}

/* The libraries that encoding needs, as the driver's packages lay them on Debian and Ubuntu. */
static void put_nvidia_libraries(struct machine_growth *growth, const char *version)
{
	static const char folder[] = "/usr/lib/x86_64-linux-gnu";
	static const char *const names[] = { "libnvidia-ml", "libcuda", "libnvidia-encode", "libnvcuvid",
		"libnvidia-ptxjitcompiler" };
	tree_put(&growth->tree, folder, NODE_DIR, 0755)->entry.listed = true;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct tree_node *node =
		        tree_put(&growth->tree, PRINT("%s/%s.so.%s", folder, names[i], version), NODE_FILE, 0644);
		node->entry.stat.size = 200000;
		tree_link(&growth->tree, PRINT("%s/%s.so.1", folder, names[i]), PRINT("%s.so.%s", names[i], version));
	}
	tree_put(&growth->tree, "/usr/bin/nvidia-smi", NODE_FILE, 0755)->entry.stat.size = 1100000;
}

static void put_nvidia(struct machine_growth *growth)
{
	struct machine_target *target = growth->target;
	unsigned minor = 0;
	if (target->nvidia_user)
		put_nvidia_libraries(growth, target->nvidia_user);
	if (!target->nvidia)
		return;
	tree_text(&growth->tree, "/proc/driver/nvidia/version", 0444,
	        target->nvidia_open ? "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  %s  Release Build  "
	                              "(builder@example)  Tue Sep 23 12:00:00 UTC 2025\nGCC version:  gcc version "
	                              "12.2.0 (Debian 12.2.0-14+deb12u1)\n"
	                            : "NVRM version: NVIDIA UNIX x86_64 Kernel Module  %s  Tue Apr  8 12:41:17 UTC "
	                              "2025\nGCC version:  gcc version 12.2.0 (Debian 12.2.0-14+deb12u1)\n",
	        target->nvidia);
	for (size_t i = 0; i < target->n_devices; i++)
		if (target->devices[i]->value[KEY_DRIVER] &&
		        strcmp(target->devices[i]->value[KEY_DRIVER], "nvidia") == 0 && minor < 32)
			put_nvidia_card(growth, target->devices[i], minor++);
	tree_attribute(&growth->tree, "/sys/module/nvidia", "version", "%s", target->nvidia);
	tree_device(&growth->tree, "/dev/nvidiactl", NODE_CHAR, 195, 255, 0666, 0);
	tree_device(&growth->tree, "/dev/nvidia-modeset", NODE_CHAR, 195, 254, 0666, 0);
	if (!target->nvidia_uvm)
		return;
	tree_device(&growth->tree, "/dev/nvidia-uvm", NODE_CHAR, 508, 0, 0666, 0);
	tree_device(&growth->tree, "/dev/nvidia-uvm-tools", NODE_CHAR, 508, 1, 0666, 0);
}

void machine_make_system(struct machine_growth *growth)
{
	put_modules(growth);
	put_interfaces(growth);
	tree_put(&growth->tree, "/sys/block", NODE_DIR, 0755);
	for (size_t i = 0; i < growth->target->n_disks; i++)
		if (!growth->target->disks[i]->gone)
			put_disk(growth, growth->target->disks[i]);
	put_running(growth);
	put_packages(growth);
	put_nvidia(growth);
}

/* ---- what qm and pct say ---- */

static struct bytes guest_file(struct machine_growth *growth, const struct machine_guest *guest)
{
	const char *path = tree_resolve(
	        &growth->tree, PRINT("/etc/pve/%s/%u.conf", guest->vm ? "qemu-server" : "lxc", guest->id), true);
	struct tree_node *node = path ? tree_find(&growth->tree, path) : NULL;
	return node && node->entry.has_data ? node->entry.data : (struct bytes){ "", 0 };
}

/* Size of the disk that boots, in GiB: the first of boot's order that names a disk, as qm list shows it. */
static double boot_disk(struct machine_growth *growth, struct bytes file)
{
	const char *boot = machine_value(file, "boot", growth->tree.arena);
	struct words names =
	        text_split(growth->tree.arena, boot && text_starts(boot, "order=") ? boot + 6 : "scsi0", ";");
	for (size_t i = 0; i < names.n && i < 16; i++) {
		const char *disk = machine_value(file, names.word[i], growth->tree.arena);
		const char *size = disk ? strstr(disk, "size=") : NULL;
		if (!size || strstr(disk, "media=cdrom"))
			continue;
		char *unit = NULL;
		double number = strtod(size + 5, &unit);
		return *unit == 'T'   ? number * 1024
		       : *unit == 'M' ? number / 1024
		       : *unit == 'K' ? number / 1048576
		                      : number;
	}
	return 0;
}

static const char *or_else(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

static void list_guest(struct machine_growth *growth, const struct machine_guest *guest, struct pen *list)
{
	struct bytes file = guest_file(growth, guest);
	struct arena *arena = growth->tree.arena;
	const char *state = guest->running ? "running" : "stopped";
	if (guest->vm)
		pen_write(list, "%10u %-20s %-10s %-10s %12.2f %-10u\n", guest->id,
		        or_else(machine_value(file, "name", arena), PRINT("VM%u", guest->id)), state,
		        or_else(machine_value(file, "memory", arena), "512"), boot_disk(growth, file),
		        guest->running ? guest->pid : 0);
	else
		pen_write(list, "%-10u %-10s %-12s %-20s\n", guest->id, state,
		        or_else(machine_value(file, "lock", arena), ""),
		        or_else(machine_value(file, "hostname", arena), PRINT("CT%u", guest->id)));
	machine_answer(
	        growth, PRINT("%s status %u", guest->vm ? "qm" : "pct", guest->id), 0, PRINT("status: %s\n", state));
}

static void list_guests(struct machine_growth *growth)
{
	struct pen vms = { .arena = growth->tree.arena }, cts = { .arena = growth->tree.arena };
	if (!tree_find(&growth->tree, "/etc/pve"))
		return; /* no Proxmox VE: no qm, no pct */
	for (size_t i = 0; i < growth->target->n_guests; i++) {
		const struct machine_guest *guest = growth->target->guests[i];
		struct pen *list = guest->vm ? &vms : &cts;
		if (guest->gone)
			continue;
		if (!list->size)
			pen_write(list, guest->vm ? "%10s %-20s %-10s %-10s %12s %-10s\n" : "%-10s %-10s %-12s %-20s\n",
			        "VMID", guest->vm ? "NAME" : "Status", guest->vm ? "STATUS" : "Lock",
			        guest->vm ? "MEM(MB)" : "Name", "BOOTDISK(GB)", "PID");
		list_guest(growth, guest, list);
	}
	machine_answer(growth, "qm list", 0, pen_text(&vms));
	machine_answer(growth, "pct list", 0, pen_text(&cts));
}

/* ---- what nvidia-smi says ---- */

static unsigned nvidia_nodes(struct machine_growth *growth)
{
	unsigned n = 0;
	while (n < 32 && tree_find(&growth->tree, PRINT("/dev/nvidia%u", n)))
		n++;
	return n;
}

static const char *upper_address(struct machine_growth *growth, const char *address)
{
	char *upper = arena_strdup(growth->tree.arena, address);
	for (char *at = upper; *at; at++)
		if (*at >= 'a' && *at <= 'f')
			*at = (char)(*at - 'a' + 'A');
	return upper;
}

static const char *smi_table(struct machine_growth *growth, unsigned cards)
{
	struct pen table = { .arena = growth->tree.arena };
	unsigned n = 0;
	pen_write(&table,
	        "Fri Nov 21 00:00:00 2025       \n"
	        "+-----------------------------------------------------------------------------------------+\n"
	        "| NVIDIA-SMI %-22s Driver Version: %-14s CUDA Version: 13.0     |\n"
	        "|-----------------------------------------+------------------------+----------------------+\n"
	        "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |\n"
	        "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |\n"
	        "|=========================================+========================+======================|\n",
	        growth->target->nvidia_user, growth->target->nvidia);
	for (size_t i = 0; i < growth->target->n_devices && n < cards; i++) {
		const struct machine_device *device = growth->target->devices[i];
		if (!device->value[KEY_DRIVER] || strcmp(device->value[KEY_DRIVER], "nvidia") != 0)
			continue;
		pen_write(&table,
		        "|   %u  NVIDIA %04x                    Off |   0000%.12s Off |                  N/A |\n"
		        "|  0%%   36C    P8              6W /  165W |       2MiB /   8188MiB |      0%%      Default "
		        "|\n",
		        n++, device->device, upper_address(growth, device->address));
	}
	pen_write(&table,
	        "+-----------------------------------------+------------------------+----------------------+\n");
	return pen_text(&table);
}

/* As the tool ends without a module, with another module than its library, without nodes, and well. */
static void answer_nvidia_smi(struct machine_growth *growth)
{
	const struct machine_target *target = growth->target;
	unsigned cards = nvidia_nodes(growth);
	if (!target->nvidia_user)
		return;
	if (!target->nvidia)
		machine_answer(growth, "nvidia-smi", 9,
		        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that "
		        "the latest "
		        "NVIDIA driver is installed and running.\n\n");
	else if (strcmp(target->nvidia, target->nvidia_user) != 0)
		machine_answer(growth, "nvidia-smi", 18,
		        PRINT("Failed to initialize NVML: Driver/library version mismatch\n"
		              "NVML library version: %.*s\n",
		                (int)strcspn(target->nvidia_user, ".") + 4, target->nvidia_user));
	else if (!cards)
		machine_answer(growth, "nvidia-smi", 6, "No devices were found\n");
	else
		machine_answer(growth, "nvidia-smi", 0, smi_table(growth, cards));
}

/* ---- what docker says ---- */

static const char *or_else_none(const char *text)
{
	return text ? text : "";
}

/* "a,b" as the JSON strings "a","b", each with what stands around it. */
static const char *json_list(struct machine_growth *growth, const char *words, const char *before, const char *behind)
{
	struct words list = text_split(growth->tree.arena, or_else_none(words), ",");
	const char *text = "";
	for (size_t i = 0; i < list.n; i++)
		text = PRINT("%s%s%s%s%s", text, i ? "," : "", before, list.word[i], behind);
	return text;
}

static const char *container_json(struct machine_growth *growth, const struct machine_container *one, const char *id)
{
	const char *env = "", *request = "";
	if (one->visible)
		env = PRINT("\"NVIDIA_VISIBLE_DEVICES=%s\",", one->visible);
	if (one->capabilities)
		env = PRINT("%s\"NVIDIA_DRIVER_CAPABILITIES=%s\",", env, one->capabilities);
	if (one->gpus)
		request = PRINT("{\"Driver\":\"nvidia\",\"Count\":-1,\"DeviceIDs\":null,\"Capabilities\":[[%s]],"
		                "\"Options\":{}}",
		        json_list(growth, one->gpus, "\"", "\""));
	const char *devices = "";
	struct words paths = text_split(growth->tree.arena, or_else_none(one->devices), ",");
	for (size_t i = 0; i < paths.n; i++)
		devices = PRINT("%s%s{\"PathOnHost\":\"%s\",\"PathInContainer\":\"%s\",\"CgroupPermissions\":\"rwm\"}",
		        devices, i ? "," : "", paths.word[i], paths.word[i]);
	return PRINT("{\"Id\":\"%s\",\"Name\":\"/"
	             "%s\",\"State\":{\"Status\":\"%s\"},\"Config\":{\"Image\":\"%s\",\"Env\":[%s\"\"]},"
	             "\"HostConfig\":{\"Runtime\":\"%s\",\"Privileged\":%s,\"Devices\":[%s],\"DeviceRequests\":[%s],"
	             "\"GroupAdd\":[%s]}}\n",
	        id, one->name, or_else(one->state, "running"), one->image, env, or_else(one->runtime, "runc"),
	        one->privileged ? "true" : "false", devices, request, json_list(growth, one->groups, "\"", "\""));
}

/* docker without a daemon prints what the client knows, and why it knows no more. */
static void docker_fails(struct machine_growth *growth)
{
	static const char socket[] = "unix:///var/run/docker.sock";
	const char *command = "docker info --format " WANTS_DOCKER_INFO;
	if (strcmp(growth->target->docker, "none") == 0)
		machine_answer_error(growth, command, 0, NULL);
	else if (strcmp(growth->target->docker, "denied") == 0)
		machine_answer_error(growth, command, 1,
		        PRINT("permission denied while trying to connect to the Docker daemon socket at %s\n", socket));
	else
		machine_answer_error(growth, command, 1,
		        PRINT("Cannot connect to the Docker daemon at %s. Is the docker daemon running?\n", socket));
}

static void answer_docker(struct machine_growth *growth)
{
	const struct machine_target *target = growth->target;
	if (!target->docker)
		return;
	if (text_has_word("none down denied", target->docker, " ")) {
		docker_fails(growth);
		return;
	}
	const char *path = "\":{\"path\":\"runc\"}";
	machine_answer(growth, "docker info --format " WANTS_DOCKER_INFO, 0,
	        PRINT("{\"ServerVersion\":\"%s\",\"CgroupDriver\":\"%s\",\"DockerRootDir\":\"%s\",\"Runtimes\":{%s}}\n",
	                target->docker, or_else(target->docker_cgroup, "systemd"),
	                or_else(target->docker_root, "/var/lib/docker"),
	                json_list(growth, or_else(target->docker_runtimes, "runc"), "\"", path)));
	struct pen ids = { .arena = growth->tree.arena }, all = ids, every = ids;
	for (size_t i = 0; i < target->n_containers; i++) {
		if (target->containers[i]->gone)
			continue;
		const char *id = PRINT("%064zx", i + 0xe0), *json = container_json(growth, target->containers[i], id);
		pen_write(&ids, "%s\n", id);
		pen_write(&every, " %s", id);
		pen_write(&all, "%s", json);
		machine_answer(growth, PRINT("docker inspect --format " WANTS_DOCKER_INSPECT " %s", id), 0, json);
	}
	machine_answer(growth, "docker ps --all --quiet --no-trunc", 0, pen_text(&ids));
	if (every.size)
		machine_answer(growth, PRINT("docker inspect --format " WANTS_DOCKER_INSPECT "%s", pen_text(&every)), 0,
		        pen_text(&all));
}

void machine_make_answers(struct machine_growth *growth)
{
	list_guests(growth);
	answer_nvidia_smi(growth);
	answer_docker(growth);
}
