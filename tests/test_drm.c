/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Device nodes, framebuffers and holders: the pure parts as tables, the gathering over machines that are written here.
 */
#include "fake.h"

#include "facts/drm.h"

/* ---- pure parts ------------------------------------------------------- */

static void test_path_pci(void **state)
{
	static const struct {
		const char *link, *node, *framebuffer;
	} row[] = {
		{ "../../devices/pci0000:00/0000:00:02.0/drm/card0", "0000:00:02.0", "0000:00:02.0" },
		{ "../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/drm/renderD128", "0000:01:00.0", "0000:01:00.0" },
		{ "../../devices/pci0000:00/0000:00:01.0/virtio0/drm/card0", "0000:00:01.0", "0000:00:01.0" },
		{ "../../devices/pci0000:00/0000:00:02.0/graphics/fb0", "0000:00:02.0", "0000:00:02.0" },
		{ "../../devices/pci0000:00/0000:00:02.0/drm/card0/graphics/fb0", "0000:00:02.0", "0000:00:02.0" },
		{ "../../devices/pci0000:00/0000:00:02.0/simple-framebuffer.0/drm/card0", "", "0000:00:02.0" },
		{ "../../devices/pci0000:00/0000:00:02.0/efi-framebuffer.0/graphics/fb0", "", "0000:00:02.0" },
		{ "../../devices/platform/simple-framebuffer.0/drm/card0", "", "" },
		{ "../../devices/platform/vgem/drm/card1", "", "" },
		{ "../../devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/drm/card2", "", "" },
		{ "", "", "" },
	};
	struct arena arena ARENA_SCOPED = { 0 };
	for (size_t i = 0; i < COUNT(row); i++) {
		assert_string_equal(drm_path_pci(row[i].link, false, &arena), row[i].node);
		assert_string_equal(drm_path_pci(row[i].link, true, &arena), row[i].framebuffer);
	}
	(void)state;
}

static void test_iomem(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct drm drm = { 0 };
	drm_parse_iomem(bytes_of("00000000-00000fff : Reserved\n"
	                         "e0000000-fdffffff : PCI Bus 0000:00\n"
	                         "  e0000000-efffffff : 0000:01:00.0\n"
	                         "    e0000000-e07e8fff : BOOTFB\n"
	                         "4000000000-7fffffffff : PCI Bus 0000:00\n"
	                         "not a range\n"
	                         "10-f : backwards\n"
	                         "11112222333344445-f : too long\n"
	                         "10-20: no blank\n"),
	        &arena, &drm);
	assert_int_equal(drm.iomem_known, YES);
	assert_int_equal(drm.n_iomem, 5);
	assert_true(drm.iomem[3].start == 0xe0000000 && drm.iomem[3].end == 0xe07e8fff);
	assert_int_equal(drm.iomem[3].depth, 2);
	assert_string_equal(drm.iomem[3].owner, "BOOTFB");
	assert_true(drm.iomem[4].end == 0x7fffffffff && drm.iomem[4].depth == 0);

	static const char *const masked[] = { "00000000-00000000 : Reserved\n  00000000-00000000 : 0000:01:00.0\n", "",
		"\n" };
	for (size_t i = 0; i < COUNT(masked); i++) {
		struct drm other = { 0 };
		drm_parse_iomem(bytes_of(masked[i]), &arena, &other);
		assert_int_equal(other.iomem_known, NO);
		assert_int_equal(other.n_iomem, 0);
	}
	(void)state;
}

static void test_nvidia_version(void **state)
{
	static const struct {
		const char *text, *version;
		enum tri open;
	} row[] = {
		{ "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 12:41:17 UTC 2025\nGCC "
		  "version:  gcc 12.2.0\n",
		        "550.163.01", NO },
		{ "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (builder)\n",
		        "580.95.05", YES },
		{ "GCC version:  gcc version 12.2.0 Kernel Module 1.2\n", NULL },
		{ "NVRM version: NVIDIA UNIX x86_64 Kernel Module  soon\n", NULL },
		{ "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550\n", NULL },
		{ "NVRM version: NVIDIA 1.2.3\n", NULL },
		{ "", NULL },
	};
	struct arena arena ARENA_SCOPED = { 0 };
	for (size_t i = 0; i < COUNT(row); i++) {
		const char *version = "untouched";
		enum tri open = UNKNOWN;
		assert_int_equal(drm_parse_nvidia_version(bytes_of(row[i].text), &arena, &version, &open),
		        row[i].version != NULL);
		assert_string_equal(version, row[i].version ? row[i].version : "untouched");
		assert_int_equal(open, row[i].open);
	}
	(void)state;
}

#define ID "4f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a"

static void test_cgroup(void **state)
{
	static const struct {
		const char *text, *owner;
		enum holder_kind kind;
	} row[] = {
		{ "0::/system.slice/docker-" ID ".scope\n", ID, HOLDER_DOCKER },
		{ "0::/docker/" ID "\n", ID, HOLDER_DOCKER },
		{ "12:devices:/docker/" ID "\n11:cpu:/\n", ID, HOLDER_DOCKER },
		{ "0::/docker/buildkit/x\n", "", HOLDER_PROCESS },
		{ "0::/system.slice/docker.service\n", "", HOLDER_PROCESS },
		{ "0::/system.slice/docker-abc.scope\n", "", HOLDER_PROCESS },
		{ "0::/" ID "\n", "", HOLDER_PROCESS },
		{ "0::/lxc/105/ns/system.slice/jellyfin.service\n", "ct/105", HOLDER_CT },
		{ "0::/lxc.payload.105/init.scope\n", "ct/105", HOLDER_CT },
		{ "0::/lxc/105/ns/docker/" ID "\n", "ct/105", HOLDER_CT },
		{ "0::/lxc.monitor.105\n", "", HOLDER_PROCESS },
		{ "0::/lxc\n", "", HOLDER_PROCESS },
		{ "0::/qemu.slice/100.scope\n", "vm/100", HOLDER_VM },
		{ "0::/qemu.slice/100x.scope\n", "", HOLDER_PROCESS },
		{ "0::/user.slice/100.scope\n", "", HOLDER_PROCESS },
		{ "0::/init.scope\n", "", HOLDER_PROCESS },
		{ "garbage/lxc/105\n", "", HOLDER_PROCESS },
		{ "", "", HOLDER_PROCESS },
	};
	struct arena arena ARENA_SCOPED = { 0 };
	for (size_t i = 0; i < COUNT(row); i++) {
		enum holder_kind kind = HOLDER_DAEMON;
		assert_string_equal(drm_cgroup_owner(bytes_of(row[i].text), &arena, &kind), row[i].owner);
		assert_int_equal(kind, row[i].kind);
	}
	(void)state;
}

/* ---- whole machines --------------------------------------------------- */

#define NVIDIA_VERSION "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n"
#define FDINFO "pos:\t0\ndrm-driver:\ti915\ndrm-pdev:\t0000:00:02.0\n"

/* An iGPU that a docker container uses under another name, an NVIDIA card with a daemon and a CT, a VM on a third. */
static const struct fake_line busy[] = {
	{ "/sys/class/drm/card0", "-> ../../devices/pci0000:00/0000:00:02.0/drm/card0" },
	{ "/sys/class/drm/card0/device/driver", "-> ../../../bus/pci/drivers/i915" },
	{ "/sys/class/drm/card0-HDMI-A-1", "-> ../../devices/pci0000:00/0000:00:02.0/drm/card0/card0-HDMI-A-1" },
	{ "/sys/class/drm/renderD128", "-> ../../devices/pci0000:00/0000:00:02.0/drm/renderD128" },
	{ "/sys/class/drm/renderD128/device/driver", "-> ../../../bus/pci/drivers/i915" },
	{ "/sys/class/drm/version", "drm 1.1.0\n" },
	{ "/dev/dri/by-path/pci-0000:00:02.0-render", "-> ../renderD128" },
	{ "/dev/dri/renderD128", "=c 660 0 104 226 128" },
	{ "/dev/dri/renderD129", "=c 666 0 7 226 129" },
	{ "/dev/nvidia0", "=c 666 0 0 195 0" },
	{ "/dev/nvidiactl", "=c 666 0 0 195 255" },
	{ "/dev/nvidia-uvm", "left by docker" },
	{ "/dev/nvidia-caps/nvidia-cap1", "=c 400 0 0 236 1" },
	{ "/dev/nvidia-caps-imex-channels/x", "" },
	{ "/etc/group", "root:x:0:\nrender::104:emby\nvideo:x:44\nbad:x:\n:x:7:\nodd:x:99999999999:\n" },
	{ "/proc/driver/nvidia/version", NVIDIA_VERSION },
	{ "/proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t RTX\nDevice Minor: \t 0\n" },
	{ "/proc/1/comm", "systemd\n" },
	{ "/proc/1/fd", "" },
	{ "/proc/20/comm", "nvidia-persiste\n" },
	{ "/proc/20/cgroup", "0::/system.slice/nvidia-persistenced.service\n" },
	{ "/proc/20/fd/3", "-> /dev/nvidiactl" },
	{ "/proc/20/fd/4", "-> /dev/nvidia0" },
	{ "/proc/20/fd/5", "-> /dev/nvidia0" },
	{ "/proc/20/fd/6", "-> /dev/nvidia-caps/nvidia-cap1" },
	{ "/proc/300/comm", "ffmpeg\n" },
	{ "/proc/300/cgroup", "0::/system.slice/docker-" ID ".scope\n" },
	{ "/proc/300/fd/0", "-> /dev/null" },
	{ "/proc/300/fd/7", "-> /dev/dri/renderD200" },
	{ "/proc/300/fdinfo/7", FDINFO },
	{ "/proc/400/comm", "EmbyServer\n" },
	{ "/proc/400/cgroup", "0::/lxc/105/ns\n" },
	{ "/proc/400/fd/9", "-> /dev/nvidia0 (deleted)" },
	{ "/proc/400/fd/10", "-> socket:[123]" },
	{ "/proc/500/comm", "kvm\n" },
	{ "/proc/500/cgroup", "0::/qemu.slice/100.scope\n" },
	{ "/proc/500/fd/30", "-> /dev/vfio/vfio" },
	{ "/proc/500/fd/31", "-> /dev/vfio/14" },
	{ "/proc/500/fd/32", "-> /dev/vfio/devices/vfio3" },
	{ "/proc/600/comm", "Xorg\n" },
	{ "/proc/600/cgroup", "0::/user.slice\n" },
	{ "/proc/600/fd/12", "-> /dev/dri/card0" },
	{ "/proc/700/comm", "!3" },
	{ "/proc/700/fd", "!3" },
	{ "/proc/cpuinfo", "" },
	{ "/proc/iomem", "e0000000-efffffff : 0000:01:00.0\n" },
	{ "/sys/kernel/iommu_groups/14/devices/0000:02:00.0", "-> x" },
	{ "/sys/kernel/iommu_groups/14/devices/0000:02:00.1", "-> x" },
	{ "/sys/class/vfio-dev/vfio3", "-> ../../devices/pci0000:00/0000:00:01.1/0000:03:00.0/vfio-dev/vfio3" },
	{ "/sys/class/graphics/fb0", "-> ../../devices/pci0000:00/0000:00:02.0/graphics/fb0" },
	{ "/sys/class/graphics/fb0/name", "i915drmfb\n" },
	{ "/sys/class/graphics/fb1",
	        "-> ../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/efi-framebuffer.0/graphics/fb1" },
	{ "/sys/class/graphics/fb1/name", "EFI VGA\n" },
	{ "/sys/class/graphics/fbcon/rotate", "0\n" },
	{ "/sys/class/vtconsole/vtcon0/name", "(S) dummy device\n" },
	{ "/sys/class/vtconsole/vtcon0/bind", "1\n" },
	{ "/sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n" },
	{ "/sys/class/vtconsole/vtcon1/bind", "1\n" },
};

static void gather(struct fake *fake, bool holders, struct drm *ret)
{
	drm_gather(&fake->world, holders, &fake->arena, ret, fake_blind, fake);
}

static const struct drm_node *node(const struct drm *drm, const char *name)
{
	for (size_t i = 0; i < drm->n; i++)
		if (strcmp(drm->nodes[i].name, name) == 0)
			return &drm->nodes[i];
	fail_msg("no node %s", name);
	return NULL;
}

static void test_nodes(void **state)
{
	struct fake fake;
	struct drm drm;
	fake_open(&fake, busy, COUNT(busy), false, true);
	gather(&fake, false, &drm);
	assert_int_equal(drm.known, YES);
	assert_int_equal(drm.n, 7);
	assert_string_equal(node(&drm, "card0")->pci, "0000:00:02.0");
	assert_int_equal(node(&drm, "card0")->exists, NO);
	assert_int_equal(node(&drm, "card0")->major, UNKNOWN_NUMBER);
	const struct drm_node *render = node(&drm, "renderD128");
	assert_string_equal(render->path, "/dev/dri/renderD128");
	assert_string_equal(render->pci, "0000:00:02.0");
	assert_string_equal(render->driver, "i915");
	assert_int_equal(render->exists, YES);
	assert_int_equal(render->mode, 0660);
	assert_string_equal(render->group, "render");
	assert_true(render->major == 226 && render->minor == 128);
	/* in /dev and not in sysfs: whose it is cannot be told; its group id has no name */
	assert_null(node(&drm, "renderD129")->pci);
	assert_string_equal(node(&drm, "renderD129")->group, "");
	assert_string_equal(node(&drm, "nvidia0")->pci, "0000:01:00.0");
	assert_string_equal(node(&drm, "nvidiactl")->pci, "");
	assert_string_equal(node(&drm, "nvidiactl")->group, "root");
	/* what the module needs is listed though it is missing, or is a file */
	assert_int_equal(node(&drm, "nvidia-uvm")->exists, NO);
	assert_int_equal(node(&drm, "nvidia-uvm-tools")->exists, NO);
	assert_string_equal(drm.nvidia_module_version, "580.95.05");
	assert_int_equal(drm.nvidia_open, YES);
	/* not asked for */
	assert_int_equal(drm.n_holders, 0);
	assert_int_equal(drm.holders_known, UNKNOWN);
	assert_int_equal(drm.persistence_daemon, UNKNOWN);
	assert_int_equal(drm.n_framebuffers, 2);
	assert_string_equal(drm.framebuffers[1].driver, "EFI VGA");
	assert_string_equal(drm.framebuffers[1].pci, "0000:01:00.0");
	assert_string_equal(drm.framebuffers[0].driver, "i915drmfb");
	assert_string_equal(drm.framebuffers[0].pci, "0000:00:02.0");
	assert_int_equal(drm.fbcon, YES);
	assert_int_equal(drm.iomem_known, YES);
	assert_int_equal(fake.blind.n, 0);
	arena_release(&fake.arena);
	(void)state;
}

static void test_holders(void **state)
{
	static const struct holder want[] = {
		{ HOLDER_DAEMON, 20, "nvidia-persiste", "/dev/nvidiactl", "" },
		{ HOLDER_DAEMON, 20, "nvidia-persiste", "/dev/nvidia0", "0000:01:00.0" },
		{ HOLDER_DAEMON, 20, "nvidia-persiste", "/dev/nvidia-caps/nvidia-cap1", "" },
		{ HOLDER_DOCKER, 300, ID, "/dev/dri/renderD200", "0000:00:02.0" },
		{ HOLDER_CT, 400, "ct/105", "/dev/nvidia0", "0000:01:00.0" },
		{ HOLDER_VM, 500, "vm/100", "/dev/vfio/14", "0000:02:00.0" },
		{ HOLDER_VM, 500, "vm/100", "/dev/vfio/14", "0000:02:00.1" },
		{ HOLDER_VM, 500, "vm/100", "/dev/vfio/devices/vfio3", "0000:03:00.0" },
		{ HOLDER_PROCESS, 600, "Xorg", "/dev/dri/card0", "0000:00:02.0" },
	};
	struct fake fake;
	struct drm drm;
	fake_open(&fake, busy, COUNT(busy), false, true);
	gather(&fake, true, &drm);
	assert_int_equal(drm.n_holders, COUNT(want));
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_int_equal(drm.holders[i].kind, want[i].kind);
		assert_int_equal(drm.holders[i].pid, want[i].pid);
		assert_string_equal(drm.holders[i].name, want[i].name);
		assert_string_equal(drm.holders[i].node, want[i].node);
		assert_string_equal(drm.holders[i].pci, want[i].pci);
	}
	/* a process that ended while we looked takes nothing away */
	assert_int_equal(drm.holders_known, YES);
	assert_int_equal(drm.persistence_daemon, YES);
	assert_int_equal(fake.blind.n, 0);
	arena_release(&fake.arena);
	(void)state;
}

/* What could not be seen is never "nobody". */
static void test_unseen(void **state)
{
	static const struct {
		struct fake_line line[5];
		size_t n;
		bool partial;
		enum tri holders, daemon;
		int blind;
		const char *what;
	} row[] = {
		{ { { "/proc/1/comm", "init" }, { "/proc/1/fd", "" } }, 2, false, YES, NO, 0, "" },
		{ { { "/proc/1/comm", "init" }, { "/proc/1/fd", "!13" }, { "/proc/2/comm", "sh" },
		          { "/proc/2/fd", "!13" } },
		        4, false, NO, NO, EACCES, "open files of other processes (/proc/*/fd)" },
		{ { { "/proc/1/comm", "init" }, { "/proc/1/fd/3", "!13" }, { "/proc/1/fd/4", "!2" } }, 3, false, NO, NO,
		        EACCES, "open files of other processes (/proc/*/fd)" },
		{ { { "/proc/1/comm", "!13" }, { "/proc/1/fd", "" } }, 2, false, YES, UNKNOWN, 0, "" },
		{ { { "/proc/77/comm", "sh" }, { "/proc/77/fd", "" } }, 2, false, NO, UNKNOWN, EACCES,
		        "processes (/proc)" },
		{ { { "/sys/x", "" } }, 1, true, UNKNOWN, UNKNOWN, ENODATA, "processes (/proc)" },
		{ { { "/proc/cpuinfo", "" } }, 1, true, UNKNOWN, UNKNOWN, ENODATA, "processes (/proc)" },
		{ { { "/proc/1/comm", "init" }, { "/proc/1/fd/3", "-> /dev/dri/card9" } }, 2, false, NO, NO, ENODATA,
		        "which card /dev/dri/card9 is" },
		{ { { "/proc", "!13" } }, 1, false, NO, UNKNOWN, EACCES, "processes (/proc)" },
	};
	for (size_t i = 0; i < COUNT(row); i++) {
		struct fake fake;
		struct drm drm;
		fake_open(&fake, row[i].line, row[i].n, row[i].partial, true);
		gather(&fake, true, &drm);
		assert_int_equal(drm.holders_known, row[i].holders);
		assert_int_equal(drm.persistence_daemon, row[i].daemon);
		if (row[i].blind) {
			assert_true(fake_is_blind(&fake, row[i].blind, row[i].what));
			size_t times = 0;
			for (size_t j = 0; j < fake.blind.n; j++)
				times += strstr(fake.blind.word[j], row[i].what) != NULL;
			assert_int_equal(times, 1);
		}
		arena_release(&fake.arena);
	}
	(void)state;
}

static void test_nothing_there(void **state)
{
	static const struct fake_line headless[] = { { "/etc/group", "root:x:0:\n" } };
	struct fake fake;
	struct drm drm;
	fake_open(&fake, headless, COUNT(headless), false, true);
	gather(&fake, false, &drm);
	assert_int_equal(drm.known, YES);
	assert_int_equal(drm.n, 0);
	assert_string_equal(drm.nvidia_module_version, "");
	assert_int_equal(drm.nvidia_open, UNKNOWN);
	assert_int_equal(drm.framebuffers_known, YES);
	assert_int_equal(drm.fbcon, NO);
	assert_int_equal(drm.iomem_known, UNKNOWN);
	arena_release(&fake.arena);

	fake_open(&fake, headless, 0, true, false);
	gather(&fake, false, &drm);
	assert_int_equal(drm.known, UNKNOWN);
	assert_null(drm.nvidia_module_version);
	assert_int_equal(drm.framebuffers_known, UNKNOWN);
	assert_int_equal(drm.fbcon, UNKNOWN);
	assert_true(fake_is_blind(&fake, ENODATA, "/sys/class/drm"));
	assert_true(fake_is_blind(&fake, ENODATA, "/proc/driver/nvidia/version"));
	assert_true(fake_is_blind(&fake, ENODATA, "/sys/class/graphics"));
	assert_true(fake_is_blind(&fake, ENODATA, "/sys/class/vtconsole"));
	assert_true(fake_is_blind(&fake, ENODATA, "/proc/iomem"));
	arena_release(&fake.arena);
	(void)state;
}

static void test_console(void **state)
{
	static const struct {
		struct fake_line line[4];
		enum tri fbcon;
	} row[] = {
		{ { { "/sys/class/vtconsole/vtcon0/name", "(S) VGA+\n" },
		          { "/sys/class/vtconsole/vtcon0/bind", "1\n" } },
		        NO },
		{ { { "/sys/class/vtconsole/vtcon0/name", "(M) frame buffer device\n" },
		          { "/sys/class/vtconsole/vtcon0/bind", "0\n" } },
		        NO },
		{ { { "/sys/class/vtconsole/vtcon0/name", "!5" },
		          { "/sys/class/vtconsole/vtcon1/name", "(S) dummy device\n" } },
		        UNKNOWN },
		{ { { "/sys/class/vtconsole/vtcon0/name", "!5" },
		          { "/sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n" },
		          { "/sys/class/vtconsole/vtcon1/bind", "1\n" } },
		        YES },
	};
	for (size_t i = 0; i < COUNT(row); i++) {
		struct fake fake;
		struct drm drm;
		size_t n = 0;
		while (n < COUNT(row[i].line) && row[i].line[n].path)
			n++;
		fake_open(&fake, row[i].line, n, false, true);
		gather(&fake, false, &drm);
		assert_int_equal(drm.fbcon, row[i].fbcon);
		arena_release(&fake.arena);
	}
	(void)state;
}

/* A recording with more nodes than any machine has is cut short, not worked through quadratically. */
static void test_many(void **state)
{
	enum { MANY = 3000 };
	struct arena arena ARENA_SCOPED = { 0 };
	struct fake_line *line = arena_alloc(&arena, MANY * sizeof *line);
	struct fake fake;
	struct drm drm;
	for (int i = 0; i < MANY; i++)
		line[i] = (struct fake_line){ arena_printf(&arena, "/dev/nvidia%d", i), "=c 666 0 0 195 0" };
	fake_open(&fake, line, MANY, false, true);
	gather(&fake, false, &drm);
	assert_int_equal(drm.n, 1024);
	assert_true(fake_is_blind(&fake, EFBIG, "/dev"));
	arena_release(&fake.arena);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_pci),
		cmocka_unit_test(test_iomem),
		cmocka_unit_test(test_nvidia_version),
		cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_holders),
		cmocka_unit_test(test_unseen),
		cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
