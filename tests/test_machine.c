/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The machine form: grammar, what devices and guests imply, what a text changes of its base, hostile texts, and the
 * built-in machines.
 */
#include "rehearse/machine.h"

#include <errno.h>
#include <unistd.h>

#include "facts/facts.h"
#include "facts/goal.h"
#include "sys/world.h"
#include "test.h"

/* ---- helpers ---- */

static const char small_base[] =
        "device 0000:00:00.0 8086:4660 class=060000 group=0 driver=\n"
        "device 0000:00:01.0 8086:460d class=060400 group=1 driver=pcieport\n"
        "device 0000:01:00.0 10de:2803 class=030000 revision=a1 subsystem=1043:88f5 group=1 "
        "parent=0000:00:01.0 driver=nouveau reset=flr,bus rebar=1 drm=card0,renderD128 fb=fb0:nouveaudrmfb "
        "bar0=f5000000-f5ffffff bar1=6000000000-600fffffff:pref bar5=f000-f07f:io boot_vga=1\n"
        "device 0000:01:00.1 10de:22bd class=040300 group=1 parent=0000:00:01.0 driver=snd_hda_intel\n"
        "iommu intel\n"
        "file /etc/a\n\tone\n\n\ttwo\n"
        "file /etc/group\n\tvideo:x:45:\n\trender:x:993:\n"
        "run qm list\n\tnothing\n"
        "target vm/100\nfile /etc/os-release\n\tID=ubuntu\n";

static const char *test_base(void *data, const char *name)
{
	(void)data;
	if (strcmp(name, "small") == 0)
		return small_base;
	if (strcmp(name, "loop-a") == 0)
		return "base loop-b\n";
	if (strcmp(name, "loop-b") == 0)
		return "base loop-a\n";
	return machine_builtin_text(NULL, name);
}

static struct tape *parse_bytes(struct arena *arena, struct bytes text, struct err *err)
{
	struct tape *tape = NULL;
	bool good = machine_parse(text, "test", test_base, NULL, arena, err, &tape);
	assert_int_equal(good, tape != NULL);
	return tape;
}

static struct tape *parse(struct arena *arena, const char *text)
{
	struct err err = { 0 };
	struct tape *tape = parse_bytes(arena, bytes_of(text), &err);
	if (!tape)
		fail_msg("%s", err.text);
	return tape;
}

static struct world *world_of(struct arena *arena, const char *text)
{
	struct err err = { 0 };
	struct world *world = tape_world(parse(arena, text), "node", arena, &err);
	assert_non_null(world);
	return world;
}

/* A file's content; "ENOENT", "ENODATA", "error" for what is none. */
static const char *content(struct world *world, struct arena *arena, const char *path)
{
	struct bytes bytes = { 0 };
	int error = world_read(world, path, 0, arena, &bytes);
	if (error)
		return error == ENOENT ? "ENOENT" : error == ENODATA ? "ENODATA" : error == EACCES ? "EACCES" : "error";
	return arena_strndup(arena, bytes.data, bytes.size);
}

static const char *listing(struct world *world, struct arena *arena, const char *path)
{
	struct words names = { 0 };
	int error = world_list(world, path, arena, &names);
	if (error)
		return error == ENOENT ? "ENOENT" : error == ENODATA ? "ENODATA" : "error";
	const char *line = "";
	for (size_t i = 0; i < names.n; i++)
		line = arena_printf(arena, "%s%s%s", line, i ? " " : "", names.word[i]);
	return line;
}

static const char *link_of(struct world *world, struct arena *arena, const char *path)
{
	const char *link = NULL;
	int error = world_link(world, path, arena, &link);
	return error ? error == ENOENT ? "ENOENT" : "error" : link;
}

/* ---- what a text says ---- */

static void test_files(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct world *world = world_of(&arena,
	        "file /etc/a mode=0600 uid=7 gid=8 mtime=42 # a comment\n\tone\n\n\t\ttwo\n"
	        "file /etc/b nonewline\n\tx\nfile /etc/c hex\n\t00 ff\n\t41\nfile /etc/empty\n"
	        "file /etc/stat stat size=123\nfile \"/etc/with blank\"\n\ty\n"
	        "link /usr/l /etc/a\ndir /etc/d\nabsent /usr/none\nunknown /etc/u\nunreadable /etc/r EACCES\n"
	        "node /dev/x c 226 128 mode=0660 gid=44 open=EACCES\n"
	        "run \"a b\" c status=3 error\n\toops\nrun nothere missing\nrun quoted \"error\"\n\tout\n");
	struct world_stat stat;
	assert_string_equal(content(world, &arena, "/etc/a"), "one\n\n\ttwo\n");
	assert_int_equal(world_stat(world, "/etc/a", &stat), 0);
	assert_int_equal(stat.mode, 0600);
	assert_int_equal(stat.uid, 7);
	assert_int_equal(stat.gid, 8);
	assert_int_equal(stat.mtime, 42);
	assert_string_equal(content(world, &arena, "/etc/b"), "x");
	struct bytes bytes;
	assert_int_equal(world_read(world, "/etc/c", 0, &arena, &bytes), 0);
	assert_int_equal(bytes.size, 3);
	assert_memory_equal(bytes.data, "\0\xff\x41", 3);
	assert_string_equal(content(world, &arena, "/etc/empty"), "");
	assert_string_equal(content(world, &arena, "/etc/stat"), "ENODATA");
	assert_int_equal(world_stat(world, "/etc/stat", &stat), 0);
	assert_int_equal(stat.size, 123);
	assert_string_equal(content(world, &arena, "/etc/with blank"), "y\n");
	assert_string_equal(content(world, &arena, "/usr/l"), "one\n\n\ttwo\n");
	assert_string_equal(listing(world, &arena, "/etc/d"), "");
	/* complete where the form promises it, silent elsewhere */
	assert_string_equal(content(world, &arena, "/etc/nothing"), "ENOENT");
	assert_string_equal(content(world, &arena, "/etc/d/deep/er"), "ENOENT");
	assert_string_equal(content(world, &arena, "/boot/x"), "ENOENT");
	assert_string_equal(content(world, &arena, "/usr/none"), "ENOENT");
	assert_string_equal(content(world, &arena, "/usr/other"), "ENODATA");
	assert_string_equal(content(world, &arena, "/var/lib/x"), "ENODATA");
	assert_string_equal(content(world, &arena, "/etc/u"), "ENODATA");
	assert_string_equal(content(world, &arena, "/etc/r"), "EACCES");
	assert_int_equal(world_stat(world, "/dev/x", &stat), 0);
	assert_int_equal(stat.type, NODE_CHAR);
	assert_int_equal(stat.minor, 128);
	assert_int_equal(world_probe_open(world, "/dev/x"), EACCES);
	struct outcome outcome;
	const char *spoken[] = { "a b", "c", NULL }, *gone[] = { "nothere", NULL },
	           *quoted[] = { "quoted", "error", NULL };
	assert_int_equal(world_run(world, &(struct command){ .argv = spoken }, &arena, &outcome), 0);
	assert_int_equal(outcome.status, 3);
	assert_string_equal(outcome.err.data, "oops\n");
	assert_int_equal(outcome.out.size, 0);
	assert_int_equal(world_run(world, &(struct command){ .argv = gone }, &arena, &outcome), ENOENT);
	assert_int_equal(world_run(world, &(struct command){ .argv = quoted }, &arena, &outcome), 0);
	assert_string_equal(outcome.out.data, "out\n");
	world_close(world);
}

static void test_sysfs(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct world *world = world_of(&arena, "base small\n");
	const char *gpu = "/sys/bus/pci/devices/0000:01:00.0";
	static const struct {
		const char *name, *value;
	} attributes[] = {
		{ "vendor", "0x10de\n" },
		{ "device", "0x2803\n" },
		{ "class", "0x030000\n" },
		{ "revision", "0xa1\n" },
		{ "subsystem_vendor", "0x1043\n" },
		{ "subsystem_device", "0x88f5\n" },
		{ "boot_vga", "1\n" },
		{ "driver_override", "(null)\n" },
		{ "reset_method", "flr bus\n" },
		{ "power_state", "D0\n" },
		{ "numa_node", "-1\n" },
		{ "modalias", "pci:v000010DEd00002803sv00001043sd000088F5bc03sc00i00\n" },
		{ "uevent", "DRIVER=nouveau\nPCI_CLASS=30000\nPCI_ID=10DE:2803\nPCI_SUBSYS_ID=1043:88F5\n"
		            "PCI_SLOT_NAME=0000:01:00.0\nMODALIAS=pci:"
		            "v000010DEd00002803sv00001043sd000088F5bc03sc00i00\n" },
		{ "nosuch", "ENOENT" },
	};
	for (size_t i = 0; i < COUNT(attributes); i++)
		assert_string_equal(content(world, &arena, arena_printf(&arena, "%s/%s", gpu, attributes[i].name)),
		        attributes[i].value);
	assert_string_equal(link_of(world, &arena, gpu), "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0");
	assert_string_equal(link_of(world, &arena, "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/driver"),
	        "../../../../bus/pci/drivers/nouveau");
	assert_string_equal(link_of(world, &arena, arena_printf(&arena, "%s/iommu_group", gpu)),
	        "../../../../kernel/iommu_groups/1");
	assert_string_equal(link_of(world, &arena, "/sys/class/drm/renderD128"),
	        "../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/drm/renderD128");
	assert_string_equal(link_of(world, &arena, "/sys/class/drm/renderD128/device"), "../../../0000:01:00.0");
	assert_string_equal(
	        listing(world, &arena, "/sys/kernel/iommu_groups/1/devices"), "0000:00:01.0 0000:01:00.0 0000:01:00.1");
	assert_string_equal(listing(world, &arena, "/sys/class/iommu"), "dmar0");
	assert_string_equal(listing(world, &arena, "/sys/firmware/acpi/tables"), "DMAR");
	assert_string_equal(listing(world, &arena, "/sys/bus/pci/drivers/nouveau"), "0000:01:00.0 module");
	assert_string_equal(content(world, &arena, "/sys/bus/pci/devices/0000:00:00.0/boot_vga"), "ENOENT");
	assert_string_equal(link_of(world, &arena, "/sys/bus/pci/devices/0000:00:00.0/driver"), "ENOENT");
	assert_string_equal(content(world, &arena, "/sys/bus/pci/devices/0000:00:01.0/secondary_bus_number"), "1\n");
	/* groups of nodes come from the machine's own /etc/group */
	struct world_stat stat;
	assert_int_equal(world_stat(world, "/dev/dri/renderD128", &stat), 0);
	assert_int_equal(stat.gid, 993);
	assert_int_equal(stat.mode, 0660);
	assert_int_equal(world_stat(world, "/dev/dri/card0", &stat), 0);
	assert_int_equal(stat.gid, 45);
	assert_string_equal(link_of(world, &arena, "/dev/dri/by-path/pci-0000:01:00.0-render"), "../renderD128");
	assert_string_equal(content(world, &arena, "/sys/class/vtconsole/vtcon1/name"), "(M) frame buffer device\n");
	assert_string_equal(content(world, &arena, "/sys/class/graphics/fb0/name"), "nouveaudrmfb\n");
	assert_non_null(strstr(content(world, &arena, "/proc/modules"), "nouveau "));
	assert_non_null(strstr(content(world, &arena, "/proc/interrupts"), "IR-PCI-MSI-0000:01:00.0"));
	const char *iomem = content(world, &arena, "/proc/iomem");
	assert_non_null(strstr(iomem, "    f5000000-f5ffffff : 0000:01:00.0\n"));
	assert_non_null(strstr(iomem, "    6000000000-600fffffff : 0000:01:00.0\n"));
	assert_non_null(strstr(iomem, "  6000000000-600fffffff : PCI Bus 0000:01\n"));
	assert_null(strstr(iomem, "f000-"));
	world_close(world);
}

/* The chain of capabilities in configuration space, as a reader walks it. */
static unsigned find_capability(const unsigned char *config, unsigned id)
{
	for (unsigned at = config[0x34], steps = 0; at && steps < 48; at = config[at + 1], steps++)
		if (config[at] == id)
			return at;
	return 0;
}

static void test_config(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct world *world = world_of(&arena, "base small\ndevice 0000:01:00.1 config=64\n");
	struct bytes raw;
	assert_int_equal(world_read(world, "/sys/bus/pci/devices/0000:01:00.0/config", 0, &arena, &raw), 0);
	const unsigned char *config = (const unsigned char *)raw.data;
	assert_int_equal(raw.size, 4096);
	assert_memory_equal(config, "\xde\x10\x03\x28", 4);
	assert_memory_equal(config + 8, "\xa1\0\0\x03", 4);
	assert_int_equal(config[0x0e], 0x80);
	assert_memory_equal(config + 0x10, "\0\0\0\xf5", 4);
	assert_memory_equal(config + 0x14, "\x0c\0\0\0\x60\0\0\0", 8);
	assert_memory_equal(config + 0x2c, "\x43\x10\xf5\x88", 4);
	unsigned express = find_capability(config, 0x10);
	assert_int_not_equal(express, 0);
	assert_int_not_equal(config[express + 7] & 0x10, 0); /* FLR */
	assert_int_not_equal(find_capability(config, 0x01), 0);
	assert_int_equal(config[0x100] | config[0x101] << 8, 0x0001);
	unsigned next = (unsigned)config[0x103] << 4 | config[0x102] >> 4;
	assert_int_equal(config[next] | config[next + 1] << 8, 0x0015);
	assert_int_equal(config[next + 8] & 7, 1);    /* the BAR */
	assert_int_equal(config[next + 9] & 0x3f, 8); /* 256 MiB */
	assert_int_equal(world_read(world, "/sys/bus/pci/devices/0000:01:00.1/config", 0, &arena, &raw), 0);
	assert_int_equal(raw.size, 64);
	assert_int_equal(world_read(world, "/sys/bus/pci/devices/0000:00:01.0/config", 0, &arena, &raw), 0);
	config = (const unsigned char *)raw.data;
	assert_int_equal(config[0x0e], 1);
	assert_int_equal(config[0x19], 1);
	assert_string_equal(content(world, &arena, "/sys/bus/pci/devices/0000:01:00.0/resource"),
	        "0x00000000f5000000 0x00000000f5ffffff 0x0000000000040200\n"
	        "0x0000006000000000 0x000000600fffffff 0x000000000014220c\n"
	        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
	        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
	        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
	        "0x000000000000f000 0x000000000000f07f 0x0000000000040101\n"
	        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
	        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
	        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
	        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
	        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
	        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
	        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
	world_close(world);
}

/* ---- what a text changes of its base ---- */

static void test_overrides(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	static const struct {
		const char *text, *path, *content;
	} cases[] = {
		{ "device 0000:01:00.0 driver=vfio-pci\n", "/sys/class/drm/card0/dev", "ENOENT" },
		{ "device 0000:01:00.0 driver=vfio-pci\n", "/dev/dri/card0", "ENOENT" },
		{ "device 0000:01:00.0 driver=vfio-pci\n", "/sys/module/vfio_iommu_type1/initstate", "live\n" },
		{ "device 0000:01:00.0 driver=vfio-pci\n", "/sys/module/nouveau/initstate", "ENOENT" },
		{ "device 0000:01:00.0 driver=vfio-pci\n", "/sys/bus/pci/devices/0000:01:00.0/device", "0x2803\n" },
		{ "device 0000:01:00.0 10de:2882\n", "/sys/bus/pci/devices/0000:01:00.0/device", "0x2882\n" },
		{ "device 0000:01:00.0 reset=\n", "/sys/bus/pci/devices/0000:01:00.0/reset_method", "ENOENT" },
		{ "iommu off\n", "/sys/bus/pci/devices/0000:01:00.0/iommu_group/type", "ENOENT" },
		{ "iommu off\n", "/sys/kernel/iommu_groups/1/type", "ENOENT" },
		{ "remove 0000:01:00.0\n", "/sys/bus/pci/devices/0000:01:00.0/vendor", "ENOENT" },
		{ "loaded nvidia-drm\nunload nouveau\n", "/sys/module/nvidia_drm/initstate", "live\n" },
		{ "file /etc/a\n\tthree\n", "/etc/a", "three\n" },
		{ "append /etc/a\n\tthree\n", "/etc/a", "one\n\ntwo\nthree\n" },
		{ "drop /etc/a \"t?o\"\n", "/etc/a", "one\n\n" },
		{ "replace /etc/a one \"1 1\"\n", "/etc/a", "1 1\n\ntwo\n" },
		{ "remove /etc/a\n", "/etc/a", "ENOENT" },
		{ "remove /etc\n", "/etc/a", "ENOENT" },
		{ "absent /etc/a\nfile /etc/a\n\tback\n", "/etc/a", "back\n" },
		{ "unknown /etc/a\n", "/etc/a", "ENODATA" },
		{ "unknown /etc\n", "/etc/a", "ENODATA" },
		{ "unreadable /etc/a EACCES\n", "/etc/a", "EACCES" },
		{ "remove /sys/class/iommu/dmar0\n", "/sys/class/iommu/dmar0/intel-iommu/cap", "ENOENT" },
		/* statements reach through links */
		{ "file /sys/bus/pci/devices/0000:01:00.0/reset_method\n\tbus\n",
		        "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/reset_method", "bus\n" },
		{ "link /lib usr/lib\nfile /lib/modules/1/x\n\ty\n", "/usr/lib/modules/1/x", "y\n" },
		{ "framebuffer fb0 simpledrmdrmfb 6000000000-60002fffff BOOTFB\n", "/sys/class/graphics/fb0/name",
		        "simpledrmdrmfb\n" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world *world = world_of(&arena, arena_printf(&arena, "base small\n%s", cases[i].text));
		const char *found = content(world, &arena, cases[i].path);
		if (strcmp(found, cases[i].content) != 0)
			fail_msg("%s gives %s: %s", cases[i].text, cases[i].path, found);
		world_close(world);
	}
	struct tape *tape = parse(&arena, "base small\nremove vm/100\nnorun qm list\n");
	assert_null(tape_find_target(tape, "vm/100"));
	assert_int_equal(tape_find_target(tape, "node")->n_runs, 0);
	tape = parse(&arena, "base small\ntarget vm/100\nappend /etc/os-release\n\tX=1\n");
	struct err err = { 0 };
	struct world *world = tape_world(tape, "vm/100", &arena, &err);
	assert_string_equal(content(world, &arena, "/etc/os-release"), "ID=ubuntu\nX=1\n");
	world_close(world);
}

static void test_guests(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct world *world =
	        world_of(&arena, "base small\nnorun qm list\n"
	                         "dir /etc/pve/nodes/pve/qemu-server\nlink /etc/pve/qemu-server nodes/pve/qemu-server\n"
	                         "file /etc/pve/qemu-server/100.conf\n\tname: emby\n\tmemory: 4096\n\tscsi0: "
	                         "local:1,size=1G\n\tboot: order=scsi0;net0\n"
	                         "file /etc/pve/lxc/105.conf\n\thostname: jellyfin\n"
	                         "guest vm/100 running pid=1810 open=/dev/vfio/1\nguest ct/105 running pid=2000 "
	                         "open=/dev/dri/renderD128\n"
	                         "guest ct/106 stopped\nprocess 77 ffmpeg open=/dev/dri/renderD128 "
	                         "cgroup=/system.slice/docker-abc.scope\n\tffmpeg\n\t-i\n\tx\n"
	                         "package a 1.0 b 2.0\npackage b -\n");
	assert_string_equal(content(world, &arena, "/etc/pve/nodes/pve/qemu-server/100.conf"),
	        "name: emby\nmemory: 4096\nscsi0: local:1,size=1G\nboot: order=scsi0;net0\n");
	struct world_stat stat;
	assert_int_equal(world_stat(world, "/etc/pve/qemu-server/100.conf", &stat), 0);
	assert_int_equal(stat.mode, 0640);
	assert_int_equal(stat.gid, 33);
	assert_string_equal(content(world, &arena, "/run/qemu-server/100.pid"), "1810\n");
	assert_string_equal(link_of(world, &arena, "/proc/1810/fd/10"), "/dev/vfio/1");
	assert_string_equal(content(world, &arena, "/proc/2000/cgroup"), "0::/lxc/105/ns/init.scope\n");
	assert_non_null(strstr(content(world, &arena, "/proc/2000/fdinfo/10"), "drm-pdev:\t0000:01:00.0\n"));
	struct bytes raw;
	assert_int_equal(world_read(world, "/proc/77/cmdline", 0, &arena, &raw), 0);
	assert_int_equal(raw.size, 12);
	assert_memory_equal(raw.data, "ffmpeg\0-i\0x", 12);
	assert_non_null(strstr(content(world, &arena, "/proc/net/unix"), " @/var/lib/lxc/105/command\n"));
	assert_null(strstr(content(world, &arena, "/proc/net/unix"), "106"));
	assert_non_null(
	        strstr(content(world, &arena, "/var/lib/dpkg/status"), "Package: a\nStatus: install ok installed\n"));
	assert_null(strstr(content(world, &arena, "/var/lib/dpkg/status"), "Package: b\n"));
	struct outcome outcome;
	const char *pct[] = { "pct", "list", NULL }, *qm[] = { "qm", "list", NULL };
	assert_int_equal(world_run(world, &(struct command){ .argv = pct }, &arena, &outcome), 0);
	assert_string_equal(outcome.out.data, "VMID       Status     Lock         Name                \n"
	                                      "105        running                 jellyfin            \n"
	                                      "106        stopped                 CT106               \n");
	assert_int_equal(world_run(world, &(struct command){ .argv = qm }, &arena, &outcome), ENODATA); /* norun */
	world_close(world);
	world = world_of(&arena,
	        "file /etc/pve/qemu-server/100.conf\n\tname: emby\n\tmemory: 4096\n\tscsi0: local:1,size=1G\n"
	        "guest vm/100 stopped\n");
	assert_int_equal(world_run(world, &(struct command){ .argv = qm }, &arena, &outcome), 0);
	/* the very lines of the real tool */
	assert_string_equal(outcome.out.data,
	        "      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID       \n"
	        "       100 emby                 stopped    4096               1.00 0         \n");
	world_close(world);
}

static void test_nvidia(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct world *world =
	        world_of(&arena, "base small\ndevice 0000:01:00.0 driver=nvidia\nnvidia 580.95.05 open\n");
	assert_non_null(strstr(content(world, &arena, "/proc/driver/nvidia/version"),
	        "NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  "));
	assert_non_null(strstr(
	        content(world, &arena, "/proc/driver/nvidia/gpus/0000:01:00.0/information"), "Device Minor: \t 0\n"));
	struct world_stat stat;
	assert_int_equal(world_stat(world, "/dev/nvidia0", &stat), 0);
	assert_int_equal(stat.major, 195);
	assert_int_equal(world_stat(world, "/dev/nvidia-uvm", &stat), 0);
	world_close(world);
	world = world_of(&arena, "base small\ndevice 0000:01:00.0 driver=nvidia\nnvidia 550.163.01 nouvm\n");
	assert_int_equal(world_stat(world, "/dev/nvidia-uvm", &stat), ENOENT);
	world_close(world);
}

/* ---- images ---- */

static void test_image(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct world *world = world_of(&arena,
	        "time 1000\nfile /etc/modprobe.d/vfio.conf mtime=2000\n\toptions vfio-pci ids=10de:2803\n"
	        "file /etc/initramfs-tools/modules\n\tvfio_pci ids=1\n\t# x\n"
	        "initramfs /boot/initrd.img-6.8.12-10-pve fresh\n\tmodule nvme\n\tscript init-top/udev\n"
	        "initramfs /boot/initrd.img-6.8.12-9-pve mtime=500\n\tmodule nouveau\n\tfile etc/modprobe.d/old.conf\n"
	        "\t\tblacklist nouveau\n\n\t\tblacklist x\n");
	struct bytes raw;
	assert_int_equal(world_read(world, "/boot/initrd.img-6.8.12-10-pve", 0, &arena, &raw), 0);
	assert_int_equal(raw.size % 512, 0);
	assert_memory_equal(raw.data, "070701", 6);
	static const char *const held[] = { "usr/lib/modules/6.8.12-10-pve/kernel/drivers/nvme/host/nvme.ko",
		"usr/lib/modules/6.8.12-10-pve/kernel/drivers/vfio/pci/vfio-pci.ko", "etc/modprobe.d/vfio.conf",
		"options vfio-pci ids=10de:2803\n", "conf/modules", "vfio_pci ids=1\n",
		"/scripts/init-top/udev \"$@\"\n" };
	for (size_t i = 0; i < COUNT(held); i++)
		assert_non_null(memmem(raw.data, raw.size, held[i], strlen(held[i])));
	struct world_stat stat;
	assert_int_equal(world_stat(world, "/boot/initrd.img-6.8.12-10-pve", &stat), 0);
	assert_int_equal(stat.mtime, 2060); /* made after what it froze */
	assert_int_equal(world_read(world, "/boot/initrd.img-6.8.12-9-pve", 0, &arena, &raw), 0);
	assert_non_null(memmem(raw.data, raw.size, "blacklist nouveau\n\nblacklist x\n", 31));
	assert_null(memmem(raw.data, raw.size, "vfio", 4));
	assert_int_equal(world_stat(world, "/boot/initrd.img-6.8.12-9-pve", &stat), 0);
	assert_int_equal(stat.mtime, 500);
	world_close(world);
}

/* ---- what is wrong ---- */

static void test_errors(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "nonsense\n", "test:1: there is no statement \"nonsense\"" },
		{ "\n\n\tindented\n", "test:3: an indented line without a statement above it" },
		{ "file /etc/a\nfile /etc/a\n", "test:2: path node /etc/a was already said in line 1" },
		{ "file etc\n", "test:1: a path begins with /" },
		{ "file /etc/../x\n", "test:1: the path has an empty part, . or .." },
		{ "file /etc//x\n", "test:1: the path has an empty part" },
		{ "file /\n", "test:1: the path is empty" },
		{ "file /etc/a mod=1\n", "test:1: \"mod=1\" is none of: mode=" },
		{ "file /etc/a mode=9\n", "test:1: mode= takes a number in octal" },
		{ "file /etc/a hex\n\t0\n", "test:1: the body holds something else" },
		{ "file \"/etc/a\n", "test:1: a quote is not closed" },
		{ "file \"/etc/\\a\"\n", "test:1: a backslash stands before" },
		{ "file /etc/\001\n", "test:1: a control character" },
		{ "file /etc/a\nfile /etc/a/b\n", "test:2: /etc/a is no folder" },
		{ "link /etc/a /etc/b\nlink /etc/b /etc/a\nfile /etc/a/c\n", "test:3: links lead nowhere" },
		{ "base nosuch\n", "test:1: there is no machine nosuch" },
		{ "base loop-a\n", "loop-b:1: loop-a is its own base" },
		{ "time 5\nbase small\n", "test:2: base must be the first statement" },
		{ "device 0000:01:00.0 class=030000\n",
		        "test:1: 0000:01:00.0 is new: it needs VENDOR:DEVICE and class=" },
		{ "device 01:00.0 10de:2803 class=030000\n", "test:1: \"01:00.0\" is no address" },
		{ "device 0000:01:20.0 10de:2803 class=030000\n", "is no address" },
		{ "device 0000:01:00.0 10de:2803 class=3\n", "test:1: class= takes six hex digits" },
		{ "device 0000:01:00.0 10de:2803 class=030000 colour=red\n", "test:1: a device has no colour=" },
		{ "device 0000:01:00.0 10de:2803 class=030000 bar0=2-1\n", "test:1: bar0= takes START-END" },
		{ "device 0000:01:00.0 10de:2803 class=030000 parent=0000:00:01.0\n", "its parent is not there" },
		{ "device 0000:00:01.0 8086:1 class=030000\n", "needs VENDOR:DEVICE" },
		{ "base small\ndevice 0000:00:00.0 parent=0000:01:00.0\n", "its parent is no bridge" },
		{ "base small\ndevice 0000:00:01.0 parent=0000:00:01.0\n", "its parents form a loop" },
		{ "base small\nremove 0000:09:00.0\n",
		        "test:2: there is no device, target or path 0000:09:00.0 to remove" },
		{ "base small\nremove /etc/nosuch\n", "test:2: there is no /etc/nosuch to remove" },
		{ "base small\nreplace /etc/a three four\n", "test:2: /etc/a does not hold \"three\"" },
		{ "base small\ndrop /etc/a three\n", "test:2: /etc/a has no line like three" },
		{ "append /etc/nosuch\n\tx\n", "test:1: there is no file /etc/nosuch to change" },
		{ "run a\nrun a\n", "was already said in line 1" },
		{ "iommu maybe\n", "test:1: iommu takes intel, amd or off" },
		{ "guest vm/x running\n", "test:1: guest takes" },
		{ "node /dev/x c 1\n", "test:1: node has too few words" },
		{ "time\n", "test:1: time has too few words" },
		{ "dir /etc\n\tx\n", "test:1: dir has no indented lines below it" },
		{ "initramfs /boot/i\n\tnonsense x\n", "test:1: an initramfs is described by" },
		{ "unreadable /etc/a EWHAT\n", "test:1: unreadable takes a name" },
		{ "target ../x\n", "test:1: \"../x\" names no target" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = { 0 };
		if (parse_bytes(&arena, bytes_of(cases[i].text), &err))
			fail_msg("taken: %s", cases[i].text);
		assert_int_equal(err.kind, ERR_INPUT);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s says: %s", cases[i].text, err.text);
		assert_null(strchr(err.text, '\n'));
	}
}

/* A text made of `n` times `piece`, with something before it. */
static struct bytes many(struct arena *arena, const char *before, const char *piece, size_t n)
{
	size_t head = strlen(before), size = strlen(piece);
	char *text = arena_alloc(arena, head + n * size + 1), *out = mempcpy(text, before, head);
	for (size_t i = 0; i < n; i++)
		out = mempcpy(out, piece, size);
	return (struct bytes){ text, (size_t)(out - text) };
}

static void test_hostile(void **state)
{
	(void)state;
	static const struct {
		const char *before, *piece;
		size_t n;
		bool good;
	} cases[] = {
		{ "file /etc/a\n\t", "x", 1 << 20, true },  /* a line of 1 MiB */
		{ "file ", "/a", 1 << 20, false },          /* a path of 1 MiB, deep */
		{ "about ", "x ", 1 << 20, true },          /* half a million words */
		{ "file /etc/a ", "\xff", 1 << 20, false }, /* no UTF-8 */
		{ "\"", "x", 1 << 20, false },              /* an open quote */
		{ "", "\n", 1 << 20, true },
		{ "file /etc/a\n", "\n", 1 << 20, true },
		{ "file /etc/a\n", "\n\t\n", 1 << 20, true },
		{ "", "x", 5 << 20, false }, /* over the limit */
		{ "unload ", "a ", 1 << 20, true },
		{ "package ", "a 1 ", 1 << 19, true },
		{ "file /etc/a\n\tx\nlink /etc/l /etc\n", "append /etc/l/l/l/l/l/l/a\n", 1 << 16, true },
		{ "link /e/l /e/l/l/l/l/l/l/l/l\n", "absent /e/l/x\n", 1 << 16, false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct err err = { 0 };
		struct tape *tape =
		        parse_bytes(&arena, many(&arena, cases[i].before, cases[i].piece, cases[i].n), &err);
		if ((tape != NULL) != cases[i].good)
			fail_msg("case %zu: %s", i, err.text);
		assert_int_equal(err.kind, cases[i].good ? ERR_NONE : ERR_INPUT);
	}
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	assert_null(parse_bytes(&arena, (struct bytes){ "file /a\0b\n", 10 }, &err));
}

/* ---- the built-in ones ---- */

static void test_builtin(void **state)
{
	(void)state;
	size_t n = 0;
	for (size_t list = 0; list < 2; list++)
		for (const struct machine_builtin *one = list ? machine_bases : machine_builtins; one->name;
		        one++, n++) {
			struct arena arena ARENA_SCOPED = { 0 };
			struct err err = { 0 };
			struct tape *tape = NULL;
			if (!machine_parse(
			            bytes_of(one->text), one->name, machine_builtin_text, NULL, &arena, &err, &tape))
				fail_msg("%s", err.text);
			assert_non_null(tape_find_target(tape, "node"));
			assert_int_equal(strlen(one->about) > 10, list == 0);
			assert_ptr_equal(machine_builtin_text(NULL, one->name), one->text);
		}
	assert_true(n >= 3);
	assert_null(machine_builtin_text(NULL, "nosuch"));
}

/* Every link in /sys leads to something that is there. */
static void test_links_hold(void **state)
{
	(void)state;
	size_t checked = 0;
	for (const struct machine_builtin *one = machine_builtins; one->name; one++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct err err = { 0 };
		struct tape *tape = NULL;
		assert_true(
		        machine_parse(bytes_of(one->text), one->name, machine_builtin_text, NULL, &arena, &err, &tape));
		struct world *world = tape_world(tape, "node", &arena, &err);
		const struct tape_target *target = tape_find_target(tape, "node");
		for (size_t i = 0; i < target->n; i++) {
			const struct tape_entry *entry = &target->entries[i];
			struct world_stat stat;
			if (entry->stat.type != NODE_LINK || !text_starts(entry->path, "/sys/"))
				continue;
			checked++;
			if (world_stat(world, entry->path, &stat))
				fail_msg("%s: %s -> %s leads nowhere", one->name, entry->path, entry->link);
		}
		world_close(world);
	}
	assert_true(checked > 100);
}

static struct tape *builtin(struct arena *arena, const char *name)
{
	struct err err = { 0 };
	struct tape *tape = NULL;
	const char *text = machine_builtin_text(NULL, name);
	assert_non_null(text);
	if (!machine_parse(bytes_of(text), name, machine_builtin_text, NULL, arena, &err, &tape))
		fail_msg("%s", err.text);
	return tape;
}

/* ---- on disk and back ---- */

static void same_entry(const struct tape_entry *left, const struct tape_entry *right)
{
	assert_string_equal(left->path, right->path);
	assert_int_equal(left->error, right->error);
	assert_int_equal(left->stat.type, right->stat.type);
	assert_int_equal(left->stat.mode, right->stat.mode);
	assert_int_equal(left->stat.uid, right->stat.uid);
	assert_int_equal(left->stat.gid, right->stat.gid);
	assert_int_equal(left->stat.major, right->stat.major);
	assert_int_equal(left->stat.minor, right->stat.minor);
	assert_int_equal(left->stat.size, right->stat.size);
	assert_int_equal(left->stat.mtime, right->stat.mtime);
	assert_int_equal(left->has_data, right->has_data);
	assert_int_equal(left->listed, right->listed);
	assert_int_equal(left->open_error, right->open_error);
	assert_int_equal(left->data.size, right->data.size);
	assert_memory_equal(
	        left->data.data ? left->data.data : "", right->data.data ? right->data.data : "", left->data.size);
	assert_string_equal(left->link ? left->link : "", right->link ? right->link : "");
}

static void same_run(const struct tape_run *left, const struct tape_run *right)
{
	for (size_t i = 0; left->argv[i] || right->argv[i]; i++)
		assert_string_equal(left->argv[i], right->argv[i]);
	assert_int_equal(left->error, right->error);
	assert_int_equal(left->outcome.status, right->outcome.status);
	assert_int_equal(left->outcome.out.size, right->outcome.out.size);
	assert_memory_equal(left->outcome.out.data, right->outcome.out.data, left->outcome.out.size);
	assert_int_equal(left->outcome.err.size, right->outcome.err.size);
}

static void test_saved(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	char folder[] = "/tmp/gpuferry-machine-XXXXXX";
	assert_non_null(mkdtemp(folder));
	const char *path = arena_printf(&arena, "%s/machine.tar", folder);
	struct tape *tape = builtin(&arena, "amd-4060ti-ready"), *loaded = NULL;
	struct err err = { 0 };
	bool saved = tape_save(tape, path, &err) && tape_load(path, &arena, &err, &loaded);
	unlink(path);
	rmdir(folder);
	if (!saved)
		fail_msg("%s", err.text);
	assert_int_equal(loaded->n, tape->n);
	assert_int_equal(loaded->time, tape->time);
	for (size_t t = 0; t < tape->n; t++) {
		struct tape_target *target = tape->targets[t], *back = NULL;
		for (size_t i = 0; i < loaded->n; i++)
			if (strcmp(loaded->targets[i]->label, target->label) == 0)
				back = loaded->targets[i];
		assert_non_null(back);
		tape_sort(back, &arena);
		assert_int_equal(back->n, target->n);
		for (size_t i = 0; i < target->n; i++)
			same_entry(&target->entries[i], &back->entries[i]);
		assert_int_equal(back->n_runs, target->n_runs);
		for (size_t i = 0; i < target->n_runs; i++)
			same_run(&target->runs[i], &back->runs[i]);
	}
}

/* ---- what the readers make of the built-in machines ---- */

static struct facts *facts_to_depth(struct arena *arena, const char *name, unsigned depth)
{
	struct err err = { 0 };
	struct world *world = tape_world(builtin(arena, name), "node", arena, &err);
	assert_non_null(world);
	struct facts *facts = facts_gather(world, &(struct facts_want){ .depth = depth }, arena);
	world_close(world);
	return facts;
}

static struct facts *facts_of(struct arena *arena, const char *name)
{
	return facts_to_depth(arena, name, FACTS_ALL);
}

/* The image of a kernel that neither runs nor boots next is read only where it is asked for. */
static void test_older_kernels(void **state)
{
	(void)state;
	for (unsigned old = 0; old < 2; old++) {
		struct arena arena ARENA_SCOPED = { 0 };
		const struct facts *facts = facts_to_depth(&arena, "pve8-base", FACTS_ALL | (old ? FACTS_OLD_KERNELS : 0));
		const struct kernel *kernel = boot_kernel(&facts->boot, "6.8.12-9-pve");
		assert_non_null(kernel);
		assert_int_equal(kernel->n_initramfs, 1);
		assert_int_equal(kernel->initramfs[0]->known, old ? YES : UNKNOWN);
		assert_int_equal(kernel->initramfs[0]->modules.n > 0, old);
	}
}

/* One line a machine: what it was made for. The card is the one that a guest shall have. */
static const struct machine_facts {
	const char *name, *card, *driver, *group;
	enum group_state state;
	size_t others;
	enum tri iommu, hot, boot_display;
	enum loader loader;
	const char *render, *kernel, *disk, *nic, *console;
	size_t gpus, guests, passed; /* passed: guests that have the card in their configuration */
} machine_facts[] = {
	{ "pve8-base", "0000:00:02.0", "i915", "0", GROUP_ISOLATED, 0, YES, NO, YES, LOADER_GRUB, "renderD128",
	        "6.8.12-10-pve", "0000:02:00.0", "0000:05:00.0", "0000:00:02.0", 1, 0, 0 },
	{ "pve8-amd", "0000:0c:00.0", "amdgpu", "19", GROUP_ISOLATED, 0, YES, NO, YES, LOADER_GRUB, "renderD128",
	        "6.8.12-10-pve", "0000:02:00.0", "0000:05:00.0", "0000:0c:00.0", 1, 0, 0 },
	{ "pve8-zfs", "0000:00:02.0", "i915", "0", GROUP_ISOLATED, 0, YES, NO, YES, LOADER_SYSTEMD_BOOT, "renderD128",
	        "6.8.12-10-pve", "0000:06:00.0", "0000:07:00.0", "0000:00:02.0", 1, 0, 0 },
	{ "pve9-base", "0000:00:02.0", "i915", "0", GROUP_ISOLATED, 0, YES, NO, YES, LOADER_GRUB, "renderD128",
	        "6.14.11-4-pve", "0000:02:00.0", "0000:05:00.0", "0000:00:02.0", 1, 0, 0 },
	{ "amd-4060ti", "0000:01:00.0", "nouveau", "12", GROUP_ISOLATED, 0, YES, YES, NO, LOADER_GRUB, "renderD129",
	        "6.8.12-10-pve", "0000:02:00.0", "0000:05:00.0", "0000:0c:00.0", 2, 1, 0 },
	{ "amd-4060ti-ready", "0000:01:00.0", "vfio-pci", "12", GROUP_ISOLATED, 0, YES, NO, NO, LOADER_GRUB, "",
	        "6.8.12-10-pve", "0000:02:00.0", "0000:05:00.0", "0000:0c:00.0", 2, 1, 1 },
	{ "intel-uhd770-ct", "0000:00:02.0", "i915", "0", GROUP_ISOLATED, 0, YES, NO, YES, LOADER_GRUB, "renderD128",
	        "6.8.12-10-pve", "0000:02:00.0", "0000:05:00.0", "0000:00:02.0", 1, 1, 0 },
	{ "intel-zfs-a380", "0000:03:00.0", "i915", "19", GROUP_ISOLATED, 0, YES, YES, NO, LOADER_SYSTEMD_BOOT,
	        "renderD129", "6.8.12-10-pve", "0000:05:00.0", "0000:07:00.0", "0000:00:02.0", 2, 1, 0 },
	{ "shared-slot", "0000:06:00.0", "nouveau", "14", GROUP_SHARED, 3, YES, YES, NO, LOADER_GRUB, "renderD129",
	        "6.8.12-10-pve", "0000:02:00.0", "0000:05:00.0", "0000:0c:00.0", 2, 1, 0 },
	{ "twins", "0000:0e:00.0", "nouveau", "27", GROUP_ISOLATED, 0, YES, YES, NO, LOADER_GRUB, "renderD130",
	        "6.8.12-10-pve", "0000:02:00.0", "0000:05:00.0", "0000:0c:00.0", 3, 2, 0 },
	{ "single-gpu", "0000:01:00.0", "nouveau", "12", GROUP_ISOLATED, 0, YES, NO, YES, LOADER_GRUB, "renderD128",
	        "6.8.12-10-pve", "0000:02:00.0", "0000:05:00.0", "0000:01:00.0", 1, 1, 0 },
	{ "pve9-mapping", "0000:01:00.0", "vfio-pci", "16", GROUP_ISOLATED, 0, YES, NO, NO, LOADER_GRUB, "",
	        "6.14.11-4-pve", "0000:02:00.0", "0000:05:00.0", "0000:00:02.0", 2, 1, 1 },
	{ "guide-wrong", "0000:00:02.0", "i915", "0", GROUP_ISOLATED, 0, YES, NO, YES, LOADER_SYSTEMD_BOOT,
	        "renderD128", "6.8.12-10-pve", "0000:05:00.0", "0000:07:00.0", "0000:00:02.0", 1, 2, 1 },
	{ "iommu-off", "0000:01:00.0", "nouveau", "", GROUP_UNKNOWN, 0, NO, YES, NO, LOADER_GRUB, "renderD129",
	        "6.8.12-10-pve", "0000:02:00.0", "0000:05:00.0", "0000:00:02.0", 2, 1, 0 },
};

static bool needed(const struct facts *facts, enum need_kind kind, const char *pci)
{
	for (size_t i = 0; i < facts->n_needs; i++)
		if (facts->needs[i].kind == kind && strcmp(facts->needs[i].pci, pci) == 0)
			return true;
	return false;
}

static void check_machine(const struct machine_facts *want, struct facts *facts, struct arena *arena)
{
	const struct gpu *gpu = facts_gpu(facts, want->card);
	assert_non_null(gpu);
	assert_string_equal(gpu->pci->driver, want->driver);
	assert_string_equal(gpu->pci->iommu_group, want->group);
	assert_int_equal(gpu->group_state, want->state);
	assert_int_equal(gpu->n_group_others, want->others);
	assert_int_equal(gpu->hot_release, want->hot);
	assert_int_equal(gpu->boot_display, want->boot_display);
	assert_int_equal(gpu->render_known, YES);
	assert_string_equal(gpu->render ? gpu->render->name : "", want->render);
	assert_int_equal(gpu->pci->bars_known, YES);
	assert_int_not_equal(gpu->pci->flr, UNKNOWN);
	assert_int_not_equal(gpu->pci->resizable_bar, UNKNOWN);
	assert_int_equal(facts->pci.iommu, want->iommu);
	assert_int_equal(facts->pci.remapping, YES);
	assert_int_equal(facts->boot.loader, want->loader);
	assert_string_equal(facts->boot.kernel, want->kernel);
	assert_string_equal(facts->boot.kernel_next, want->kernel);
	assert_int_equal(facts->host.cpu.virtualisation, YES);
	assert_int_equal(facts->host.cpu.hypervisor, NO);
	assert_int_equal(facts->root_disk_known, YES);
	assert_int_equal(facts->management_known, YES);
	assert_int_equal(facts->console_known, YES);
	assert_true(needed(facts, NEED_ROOT_DISK, want->disk));
	assert_true(needed(facts, NEED_MANAGEMENT_NIC, want->nic));
	assert_true(needed(facts, NEED_CONSOLE, want->console));
	assert_int_equal(facts->n_gpus, want->gpus);
	assert_int_equal(facts->pve.guests_known, YES);
	assert_int_equal(facts->pve.n_guests, want->guests);
	size_t passed = 0;
	for (size_t i = 0; i < facts->pve.n_guests; i++) {
		assert_int_equal(facts->pve.guests[i].known, YES);
		assert_non_null(facts->pve.guests[i].status);
		passed += pve_guest_has(&facts->pve, &facts->pve.guests[i], gpu->pci, arena);
	}
	assert_int_equal(passed, want->passed);
}

/* A built-in machine is a whole one: all that the readers ask is answered. CTs and docker containers may not read the
 * kernel's messages. */
static void check_blind(const char *name, const struct facts *facts)
{
	for (size_t i = 0; i < facts->n_blind; i++)
		if (strcmp(facts->blind[i].what, "dmesg") != 0 || (!text_starts(facts->blind[i].target, "ct/") && !strstr(facts->blind[i].target, "/docker/")))
			fail_msg("%s: %s: %s: %s", name, facts->blind[i].target, facts->blind[i].what,
			        facts->blind[i].why);
}

static void test_facts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(machine_facts); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct facts *facts = facts_of(&arena, machine_facts[i].name);
		check_machine(&machine_facts[i], facts, &arena);
		check_blind(machine_facts[i].name, facts);
	}
}

static void test_facts_details(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	/* the guides' host, done: the docker container with the GPU is looked into as well */
	const struct facts *ready = facts_of(&arena, "amd-4060ti-ready");
	const struct inside *emby = facts_inside(ready, "vm/100/docker/emby");
	assert_non_null(emby);
	assert_int_equal(emby->reached, YES);
	assert_string_equal(emby->nvidia_userspace, "580.95.05");
	const struct inside *inside = facts_inside(ready, "vm/100");
	assert_non_null(inside);
	assert_string_equal(inside->nvidia_module, "580.95.05");
	assert_string_equal(inside->nvidia_userspace, "580.95.05");
	assert_int_equal(inside->nvidia_open, YES);
	assert_string_equal(inside->nvidia_smi, NONE);
	assert_string_equal(inside->nvidia_smi_driver, "580.95.05");
	assert_int_equal(inside->docker_known, YES);
	assert_string_equal(inside->docker_runtimes, "runc nvidia");
	assert_int_equal(inside->n_containers, 1);
	assert_string_equal(inside->containers[0].name, "emby");
	assert_string_equal(inside->containers[0].gpu_request, "gpu video");
	assert_string_equal(inside->containers[0].driver_capabilities, "compute,video,utility");
	/* a CT sees the node's card, and its own node of it */
	inside = facts_inside(facts_of(&arena, "intel-uhd770-ct-ready"), "ct/105");
	assert_non_null(inside);
	assert_string_equal(inside->kernel, "6.8.12-10-pve");
	assert_int_equal(inside->pci.known, YES);
	assert_true(inside->pci.n > 10);
	const struct drm_node *node = NULL;
	for (size_t i = 0; i < inside->drm.n; i++)
		if (strcmp(inside->drm.nodes[i].name, "renderD128") == 0)
			node = &inside->drm.nodes[i];
	assert_non_null(node);
	assert_string_equal(node->pci, "0000:00:02.0");
	assert_string_equal(node->driver, "i915");
	assert_int_equal(node->gid, 106);
	assert_string_equal(node->group, "render");
	assert_string_equal(inside->vainfo.error, NONE);
	assert_int_equal(inside->docker, NO);
	/* the wrongly followed guide: edited what nobody reads, and the image does not know of it */
	struct facts *facts = facts_of(&arena, "guide-wrong");
	assert_string_equal(facts->boot.other_file, "/etc/default/grub");
	assert_non_null(strstr(facts->boot.other_cmdline, "amd_iommu=on"));
	assert_null(strstr(facts->boot.cmdline_next, "iommu"));
	assert_string_equal(facts->boot.config_newest, "/etc/modprobe.d/blacklist-gpu.conf");
	const struct kernel *kernel = boot_kernel(&facts->boot, facts->boot.kernel_next);
	assert_non_null(kernel);
	assert_true(kernel->initramfs[0]->mtime < facts->boot.config_mtime);
	assert_int_equal(kernel->initramfs[0]->known, YES);
	assert_false(modprobe_blacklisted(&kernel->initramfs[0]->modprobe, "i915"));
	assert_true(modprobe_blacklisted(&facts->boot.modprobe, "i915"));
	assert_int_equal(facts->pve.guests[0].n_sections, 2);
	/* the bases are newer than what they froze */
	facts = facts_of(&arena, "pve8-base");
	kernel = boot_kernel(&facts->boot, "6.8.12-10-pve");
	assert_true(kernel->initramfs[0]->mtime >= facts->boot.config_mtime);
	assert_true(modprobe_blacklisted(&kernel->initramfs[0]->modprobe, "nvidiafb"));
	facts = facts_of(&arena, "pve8-zfs");
	assert_int_equal(facts->boot.n_esps, 2);
	assert_int_equal(facts->boot.esps[0].mounted, NO);
	facts = facts_of(&arena, "iommu-off");
	assert_int_equal(facts->pci.firmware_dmar, YES);
	assert_int_equal(facts_of(&arena, "single-gpu")->host.cpu.f_suffix, YES);
	assert_int_equal(facts_of(&arena, "single-gpu")->host.serial_console, NO);
}

/* A guest that is broken is the good one and a line or two. */
static void test_broken_inside(void **state)
{
	(void)state;
	static const struct {
		const char *change, *smi, *module;
		enum tri docker;
		const char *runtimes, *request;
	} cases[] = {
		{ "", NONE, "580.95.05", YES, "runc nvidia", "gpu video" },
		{ "nvidia none\n",
		        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that "
		        "the "
		        "latest NVIDIA driver is installed and running.",
		        NONE, YES, "runc nvidia", "gpu video" },
		{ "nvidia 570.172.08 open\n", "Failed to initialize NVML: Driver/library version mismatch",
		        "570.172.08", YES, "runc nvidia", "gpu video" },
		{ "remove /dev/nvidia0\n", "No devices were found", "580.95.05", YES, "runc nvidia", "gpu video" },
		{ "docker 28.5.1 runtimes=runc\ncontainer emby emby/embyserver:4.9.1.80\n", NONE, "580.95.05", YES,
		        "runc", NONE },
		{ "docker down\n", NONE, "580.95.05", NO, NULL, NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct world *world = world_of(
		        &arena, arena_printf(&arena, "base amd-4060ti-ready\ntarget vm/100\n%s", cases[i].change));
		struct facts *facts = facts_gather(world, &(struct facts_want){ .depth = FACTS_ALL }, &arena);
		const struct inside *inside = facts_inside(facts, "vm/100");
		assert_non_null(inside);
		assert_string_equal(inside->nvidia_smi, cases[i].smi);
		assert_string_equal(inside->nvidia_module, cases[i].module);
		assert_int_equal(inside->docker_known, cases[i].docker);
		if (cases[i].docker == YES) {
			assert_string_equal(inside->docker_runtimes, cases[i].runtimes);
			assert_int_equal(inside->n_containers, 1);
			assert_string_equal(inside->containers[0].gpu_request, cases[i].request);
		}
		world_close(world);
	}
}

/* ---- docs/machines.md ---- */

/* Its example is a machine. */
static void test_document(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	const char *source = getenv("GPUFERRY_SOURCE");
	if (!source) {
		print_message("# GPUFERRY_SOURCE is not set\n");
		skip();
	}
	struct bytes text = test_read(&arena, arena_printf(&arena, "%s/docs/machines.md", source));
	const char *begin = strstr(text.data, "```\n") + 4, *end = strstr(begin, "```\n");
	struct err err = { 0 };
	if (!parse_bytes(&arena, (struct bytes){ begin, (size_t)(end - begin) }, &err))
		fail_msg("%s", err.text);
	/* every statement it lists is one, and needs something */
	size_t n = 0;
	for (const char *at = text.data; (at = strstr(at, "\n| `")); n++) {
		at += 4;
		const char *word = arena_strndup(&arena, at, strcspn(at, " `"));
		struct err said = { 0 };
		if (strstr(end, "| key | meaning |") < at && at < strstr(end, "### The rest"))
			word = arena_printf(&arena, "device 0000:01:00.0 10de:2803 class=030000 %s=!", word);
		if (!parse_bytes(&arena, bytes_of(word), &said) && strstr(said.text, "there is no statement"))
			fail_msg("docs/machines.md lists %s", word);
		if (strstr(said.text, "a device has no"))
			fail_msg("docs/machines.md lists %s", word);
	}
	assert_true(n > 35);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_sysfs),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_overrides),
		cmocka_unit_test(test_guests),
		cmocka_unit_test(test_nvidia),
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_builtin),
		cmocka_unit_test(test_links_hold),
		cmocka_unit_test(test_saved),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_older_kernels), cmocka_unit_test(test_facts_details),
		cmocka_unit_test(test_broken_inside),
		cmocka_unit_test(test_document),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
