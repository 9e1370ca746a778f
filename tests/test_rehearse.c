/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The machine that behaves: what of a change survives a power cut, what sysfs does, what boots.
 */
#include <errno.h>

#include "facts/predict.h"
#include "rehearsed.h"

static const char *text_at(struct stage *host, const char *path)
{
	struct bytes bytes;
	return world_read(host->node, path, 0, &host->arena, &bytes) ? NULL
	                                                             : arena_strndup(&host->arena, bytes.data, bytes.size);
}

static const char *driver_at(struct stage *host, const char *address)
{
	const char *driver = NULL;
	int error = world_link_name(host->node, &host->arena, &driver, "/sys/bus/pci/devices/%s/driver", address);
	return error ? "" : driver;
}

/* Blank-separated words; returns the status. */
static int type_in(struct stage *host, const char *line, struct outcome *ret)
{
	struct words words = text_split(&host->arena, line, " ");
	const char **argv = arena_alloc(&host->arena, (words.n + 1) * sizeof *argv);
	memcpy(argv, words.word, words.n * sizeof *argv);
	struct outcome outcome = {0};
	struct command command = {.argv = argv};
	int error = world_run(host->node, &command, &host->arena, &outcome);
	if (ret)
		*ret = outcome;
	return error ? -error : outcome.status;
}

static void edit(struct stage *host, const char *path, const char *text)
{
	static const struct world_owner owner = {.mode = 0644};
	assert_int_equal(host->node->changes->put(host->node, path, bytes_of(text), &owner), 0);
}

static void boot(struct stage *host, bool keep)
{
	struct err err = {0};
	if (!rehearse_boot(host->rehearse, keep, &err))
		fail_msg("%s", err.text);
}

/* ---- what is on disk ---- */

/* p A=put a "new", s sync, r rename a to b, d remove, m mkdir; each letter one effect, on /etc/d/a unless said. */
static const struct {
	const char *does; /* "put old; ..." by words */
	const char *a_lost, *b_lost, *a_kept, *b_kept; /* content; NULL: not there */
} durable[] = {
	{ "put", "old", NULL, "new", NULL },
	{ "put sync", "new", NULL, "new", NULL },
	{ "append", "old", NULL, "oldnew", NULL },
	{ "append sync", "oldnew", NULL, "oldnew", NULL },
	{ "putb", "old", NULL, "old", "new" },
	{ "putb syncdir", "old", "", "old", "new" }, /* the name lasts, its content does not */
	{ "putb syncb", "old", NULL, "old", "new" }, /* the content lasts, its name does not */
	{ "putb syncb syncdir", "old", "new", "old", "new" },
	{ "rename", "old", NULL, NULL, "old" },
	{ "rename syncdir", NULL, "old", NULL, "old" },
	{ "remove", "old", NULL, NULL, NULL },
	{ "remove syncdir", NULL, NULL, NULL, NULL },
	{ "putb syncb renameb", "old", NULL, "new", NULL },
	{ "putb syncb renameb syncdir", "new", NULL, "new", NULL },
	{ "putb renameb syncdir", "", NULL, "new", NULL }, /* a forgotten fsync */
};

#define A "/etc/d/a"
#define B "/etc/d/b"

static void do_words(struct stage *host, const char *line)
{
	const struct world_changes *changes = host->node->changes;
	struct words words = text_split(&host->arena, line, " ");
	for (size_t i = 0; i < words.n; i++) {
		const char *word = words.word[i];
		int error = -1;
		if (strcmp(word, "put") == 0)
			error = changes->put(host->node, A, bytes_of("new"), NULL);
		else if (strcmp(word, "putb") == 0)
			error = changes->put(host->node, B, bytes_of("new"), NULL);
		else if (strcmp(word, "append") == 0)
			error = changes->append(host->node, A, bytes_of("new"));
		else if (strcmp(word, "sync") == 0)
			error = changes->sync(host->node, A);
		else if (strcmp(word, "syncb") == 0)
			error = changes->sync(host->node, B);
		else if (strcmp(word, "syncdir") == 0)
			error = changes->sync(host->node, "/etc/d");
		else if (strcmp(word, "rename") == 0)
			error = changes->rename(host->node, A, B);
		else if (strcmp(word, "renameb") == 0)
			error = changes->rename(host->node, B, A);
		else if (strcmp(word, "remove") == 0)
			error = changes->remove(host->node, A);
		assert_int_equal(error, 0);
	}
}

static void check_content(struct stage *host, const char *path, const char *wanted, const char *case_name)
{
	const char *now = text_at(host, path);
	if ((now == NULL) != (wanted == NULL) || (now && strcmp(now, wanted) != 0))
		fail_msg("%s: %s holds %s, not %s", case_name, path, now ? now : "(none)", wanted ? wanted : "(none)");
}

static void what_survives_a_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(durable); i++)
		for (int keep = 0; keep < 2; keep++) {
			struct stage host;
			stage_open(&host, "base amd-4060ti\nfile /etc/d/a\n\told\n");
			rehearse_edit(host.rehearse, A, bytes_of("old"));
			do_words(&host, durable[i].does);
			rehearse_cut(host.rehearse, rehearse_effects(host.rehearse));
			struct bytes bytes;
			assert_int_equal(rehearse_power_state(host.rehearse), POWER_CUT);
			assert_int_equal(world_read(host.node, A, 0, &host.arena, &bytes), EIO);
			assert_int_equal(host.node->changes->put(host.node, A, bytes_of("x"), NULL), EIO);
			boot(&host, keep);
			check_content(&host, A, keep ? durable[i].a_kept : durable[i].a_lost, durable[i].does);
			check_content(&host, B, keep ? durable[i].b_kept : durable[i].b_lost, durable[i].does);
			stage_close(&host);
		}
}

static void a_file_written_by_world_write_is_whole(void **state)
{
	static const struct world_owner owner = {.mode = 0640, .gid = 33};
	(void)state;
	unsigned long all = 1, n = 0;
	for (unsigned long cut = 1; cut <= all; cut++)
		for (int keep = 0; keep < 2; keep++) {
			struct stage host;
			stage_open(&host, "base amd-4060ti\n");
			rehearse_edit(host.rehearse, "/etc/modprobe.d/x.conf", bytes_of("old"));
			rehearse_cut(host.rehearse, cut);
			int error = world_write(host.node, "/etc/modprobe.d/x.conf", bytes_of("new"), &owner);
			if (!error)
				all = cut;
			else
				all = cut + 1;
			rehearse_cut(host.rehearse, rehearse_effects(host.rehearse));
			boot(&host, keep);
			const char *now = text_at(&host, "/etc/modprobe.d/x.conf");
			assert_non_null(now);
			assert_true(strcmp(now, "old") == 0 || strcmp(now, "new") == 0);
			if (!error)
				assert_string_equal(now, "new");
			n++;
			stage_close(&host);
		}
	assert_true(n >= 6);
}

static void faults_are_what_the_effects_say(void **state)
{
	(void)state;
	struct stage host;
	stage_open(&host, "base amd-4060ti\n");
	rehearse_fault(host.rehearse, FAULT_ERRNO, "put /etc/modules*", ENOSPC, 1);
	assert_int_equal(host.node->changes->put(host.node, "/etc/modules", bytes_of("x"), NULL), ENOSPC);
	assert_int_equal(host.node->changes->put(host.node, "/etc/modules", bytes_of("x"), NULL), 0);
	assert_string_equal(rehearse_effect_name(host.rehearse), "put /etc/modules");
	rehearse_fault(host.rehearse, FAULT_COMMAND, "update-grub*", 0, 1);
	assert_int_equal(type_in(&host, "update-grub", NULL), 255);
	assert_int_equal(type_in(&host, "update-grub", NULL), 0);
	rehearse_fault(host.rehearse, FAULT_HANG, "set *unbind*", 0, 1);
	assert_int_equal(host.node->changes->attribute(
	                         host.node, "/sys/bus/pci/drivers/nouveau/unbind", "0000:01:00.0", 1000), ETIMEDOUT);
	rehearse_fault(host.rehearse, FAULT_ERRNO, "lock *", EWOULDBLOCK, 1);
	assert_int_equal(host.node->changes->lock(host.node, "/run/lock/x"), EWOULDBLOCK);
	assert_int_equal(host.node->changes->lock(host.node, "/run/lock/x"), 0);
	assert_int_equal(host.node->changes->lock(host.node, "/run/lock/x"), 0);
	assert_int_equal(host.node->changes->put(host.node, "/etc/no/such", bytes_of("x"), NULL), ENOENT);
	assert_int_equal(type_in(&host, "frobnicate now", NULL), 127);
	stage_close(&host);
}

/* ---- sysfs ---- */

#define NV "0000:01:00.0"
#define DEVICES "/sys/bus/pci/devices/"
#define VFIO "/sys/bus/pci/drivers/vfio-pci/"

static int set(struct stage *host, const char *path, const char *value)
{
	return host->node->changes->attribute(host->node, path, value, 1000);
}

static void a_card_goes_to_vfio_and_back(void **state)
{
	(void)state;
	struct stage host;
	stage_open(&host, "base amd-4060ti\n");
	assert_string_equal(driver_at(&host, NV), "nouveau");
	assert_int_equal(world_exists(host.node, "/dev/dri/renderD129"), YES);
	assert_int_equal(type_in(&host, "modprobe vfio-pci", NULL), 0);
	assert_int_equal(set(&host, VFIO "bind", NV), ENODEV); /* it takes nothing by itself */
	assert_int_equal(set(&host, DEVICES NV "/driver_override", "vfio-pci"), 0);
	assert_int_equal(set(&host, VFIO "bind", NV), EBUSY);
	assert_int_equal(set(&host, DEVICES NV "/driver/unbind", "0000:02:00.0"), ENODEV);
	assert_int_equal(set(&host, DEVICES NV "/driver/unbind", NV), 0);
	assert_string_equal(driver_at(&host, NV), "");
	assert_int_equal(world_exists(host.node, "/dev/dri/renderD129"), NO);
	assert_int_equal(world_exists(host.node, "/sys/class/drm/card1"), NO);
	assert_int_equal(set(&host, "/sys/bus/pci/drivers_probe", NV), 0);
	assert_string_equal(driver_at(&host, NV), "vfio-pci");
	assert_int_equal(world_exists(host.node, "/dev/vfio/12"), YES);
	assert_int_equal(set(&host, DEVICES NV "/driver_override", "nouveau"), 0);
	assert_int_equal(set(&host, DEVICES NV "/driver/unbind", NV), 0);
	assert_int_equal(set(&host, "/sys/bus/pci/drivers_probe", NV), 0);
	assert_string_equal(driver_at(&host, NV), "nouveau");
	assert_int_equal(set(&host, DEVICES NV "/driver_override", "\n"), 0);
	assert_string_equal(text_at(&host, DEVICES NV "/driver_override"), "(null)\n");
	assert_int_equal(world_exists(host.node, "/dev/dri/renderD129"), YES);
	assert_int_equal(world_exists(host.node, "/dev/vfio/12"), NO);
	assert_int_equal(set(&host, "/sys/bus/pci/drivers_probe", "0000:ff:00.0"), ENODEV);
	stage_close(&host);
}

static void new_id_persists_and_takes_the_twin(void **state)
{
	(void)state;
	struct stage host;
	stage_open(&host, "base twins\n");
	assert_int_equal(type_in(&host, "modprobe vfio-pci", NULL), 0);
	assert_int_equal(set(&host, VFIO "new_id", "10de"), EINVAL);
	assert_int_equal(set(&host, VFIO "new_id", "10de 2504"), 0);
	assert_int_equal(set(&host, VFIO "new_id", "10de 2504"), EEXIST);
	assert_string_equal(driver_at(&host, NV), "nouveau"); /* it has a driver */
	assert_int_equal(set(&host, DEVICES "0000:0e:00.0/driver/unbind", "0000:0e:00.0"), 0);
	assert_int_equal(set(&host, DEVICES NV "/driver/unbind", NV), 0);
	assert_int_equal(set(&host, VFIO "bind", NV), 0);
	assert_int_equal(set(&host, VFIO "remove_id", "10de 2504"), 0);
	assert_int_equal(set(&host, VFIO "remove_id", "10de 2504"), ENODEV);
	assert_int_equal(set(&host, VFIO "new_id", "10de 2504"), 0);
	assert_string_equal(driver_at(&host, "0000:0e:00.0"), "vfio-pci"); /* the twin was without driver */
	stage_close(&host);
}

/* ---- boots ---- */

#define IMAGE "/boot/initrd.img-6.8.12-10-pve"

static void a_boot_gives_back_what_was_only_bound(void **state)
{
	(void)state;
	struct stage host;
	stage_open(&host, "base amd-4060ti\n");
	const char *id = text_at(&host, "/proc/sys/kernel/random/boot_id");
	assert_int_equal(type_in(&host, "modprobe vfio-pci", NULL), 0);
	set(&host, DEVICES NV "/driver_override", "vfio-pci");
	set(&host, DEVICES NV "/driver/unbind", NV);
	set(&host, VFIO "bind", NV);
	assert_string_equal(driver_at(&host, NV), "vfio-pci");
	assert_int_equal(type_in(&host, "systemctl reboot", NULL), 0);
	assert_int_equal(rehearse_power_state(host.rehearse), POWER_REBOOTING);
	boot(&host, true);
	assert_string_equal(driver_at(&host, NV), "nouveau");
	assert_string_not_equal(text_at(&host, "/proc/sys/kernel/random/boot_id"), id);
	stage_close(&host);
}

static void modprobe_d_counts_when_the_initramfs_has_it(void **state)
{
	(void)state;
	for (int fresh = 0; fresh < 2; fresh++) {
		struct stage host;
		stage_open(&host, "base amd-4060ti\n");
		edit(&host, "/etc/modprobe.d/vfio.conf",
		        "options vfio-pci ids=10de:2803,10de:22bd\nsoftdep nouveau pre: vfio-pci\n"
		        "softdep snd_hda_intel pre: vfio-pci\nblacklist nouveau\n");
		edit(&host, "/etc/initramfs-tools/modules", "vfio_pci\n");
		if (fresh)
			assert_int_equal(type_in(&host, "update-initramfs -u", NULL), 0);
		assert_int_equal(type_in(&host, "reboot", NULL), 0);
		boot(&host, true);
		struct bytes image;
		assert_int_equal(world_read(host.node, IMAGE, 0, &host.arena, &image), 0);
		struct initramfs parsed = {0};
		struct err err = {0};
		assert_true(initramfs_parse(image, &host.arena, &err, &parsed));
		assert_int_equal(initramfs_holds(&parsed, "vfio_pci"), fresh);
		if (fresh)
			assert_string_equal(driver_at(&host, NV), "vfio-pci");
		stage_close(&host);
	}
}

/* i915 takes its options when it is loaded: of the initramfs those that were frozen there, and words before all. */
static void i915_takes_its_options_at_boot(void **state)
{
	static const struct {
		bool in_initramfs, fresh, word;
		const char *takes;
	} boots[] = {
		{ false, false, false, "2\n" },
		{ true, false, false, "-1\n" },
		{ true, true, false, "2\n" },
		{ true, false, true, "3\n" },
		{ false, false, true, "3\n" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(boots); i++) {
		struct stage host;
		stage_open(&host, boots[i].in_initramfs
		                          ? "base intel-uhd770-ct\ninitramfs /boot/initrd.img-6.8.12-10-pve fresh\n"
		                            "\tmodule i915\n\tscript init-top/udev\n"
		                          : "base intel-uhd770-ct\n");
		edit(&host, "/etc/modprobe.d/i915.conf", "options i915 enable_guc=2\n");
		if (boots[i].fresh)
			assert_int_equal(type_in(&host, "update-initramfs -u", NULL), 0);
		if (boots[i].word) {
			edit(&host, "/etc/default/grub", "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet i915.enable_guc=3\"\n");
			assert_int_equal(type_in(&host, "update-grub", NULL), 0);
		}
		assert_int_equal(type_in(&host, "reboot", NULL), 0);
		boot(&host, true);
		const char *takes = text_at(&host, "/sys/module/i915/parameters/enable_guc");
		if (strcmp(takes, boots[i].takes) != 0)
			fail_msg("%zu: %s", i, takes);
		stage_close(&host);
	}
}

static void only_the_newest_kernel_gets_a_new_image(void **state)
{
	(void)state;
	struct stage host;
	struct world_stat before, after;
	struct outcome said;
	stage_open(&host, "base amd-4060ti\n");
	world_stat(host.node, "/boot/initrd.img-6.8.12-9-pve", &before);
	assert_int_equal(type_in(&host, "update-initramfs -u", &said), 0);
	assert_non_null(strstr(said.out.data, "update-initramfs: Generating " IMAGE));
	world_stat(host.node, "/boot/initrd.img-6.8.12-9-pve", &after);
	assert_int_equal(before.mtime, after.mtime);
	assert_int_equal(type_in(&host, "update-initramfs -u -k all", NULL), 0);
	world_stat(host.node, "/boot/initrd.img-6.8.12-9-pve", &after);
	assert_int_not_equal(before.mtime, after.mtime);
	stage_close(&host);
}

static void words_of_grub_count_after_update_grub(void **state)
{
	(void)state;
	for (int update = 0; update < 2; update++) {
		struct stage host;
		stage_open(&host, "base iommu-off\n");
		assert_int_equal(world_exists(host.node, DEVICES NV "/iommu_group"), NO);
		edit(&host, "/etc/default/grub", "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet intel_iommu=on\"\n");
		if (update)
			assert_int_equal(type_in(&host, "update-grub", NULL), 0);
		assert_int_equal(type_in(&host, "reboot", NULL), 0);
		boot(&host, true);
		const char *cmdline = text_at(&host, "/proc/cmdline");
		assert_int_equal(strstr(cmdline, "intel_iommu=on") != NULL, update);
		assert_int_equal(world_exists(host.node, DEVICES NV "/iommu_group"), update ? YES : NO);
		stage_close(&host);
	}
}

static void update_grub_cut_anywhere_leaves_a_menu(void **state)
{
	(void)state;
	for (unsigned long cut = 1; cut < 4; cut++)
		for (int keep = 0; keep < 2; keep++) {
			struct stage host;
			stage_open(&host, "base amd-4060ti\n");
			rehearse_edit(host.rehearse, "/etc/default/grub",
			        bytes_of("GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet iommu=pt\"\n"));
			rehearse_cut(host.rehearse, cut);
			type_in(&host, "update-grub", NULL);
			rehearse_cut(host.rehearse, rehearse_effects(host.rehearse));
			boot(&host, keep);
			bool new = strstr(text_at(&host, "/proc/cmdline"), "iommu=pt") != NULL;
			assert_int_equal(new, keep && cut >= 2);
			stage_close(&host);
		}
}

static void what_does_not_boot_is_said(void **state)
{
	static const struct {
		const char *path, *content, *says;
	} broken[] = {
		{ "/boot/grub/grub.cfg", "", "GRUB" },
		{ IMAGE, "", "the kernel finds no root file system" },
		{ IMAGE, "070701torn", "the kernel finds no root file system" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(broken); i++) {
		struct stage host;
		struct err err = {0};
		stage_open(&host, "base amd-4060ti\n");
		assert_true(rehearse_edit(host.rehearse, broken[i].path, bytes_of(broken[i].content)));
		assert_int_equal(type_in(&host, "reboot", NULL), 0);
		assert_false(rehearse_boot(host.rehearse, true, &err));
		assert_non_null(strstr(err.text, broken[i].says));
		assert_int_equal(rehearse_power_state(host.rehearse), POWER_CUT);
		stage_close(&host);
	}
}

static void systemd_boot_reads_its_own_file(void **state)
{
	(void)state;
	struct stage host;
	stage_open(&host, "base intel-zfs-a380\n");
	edit(&host, "/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet from-grub\"\n");
	type_in(&host, "update-grub", NULL);
	assert_int_equal(type_in(&host, "reboot", NULL), 0);
	boot(&host, true);
	assert_null(strstr(text_at(&host, "/proc/cmdline"), "from-grub"));
	edit(&host, "/etc/kernel/cmdline", "root=ZFS=rpool/ROOT/pve-1 boot=zfs from-kernel\n");
	assert_int_equal(type_in(&host, "reboot", NULL), 0);
	boot(&host, true);
	assert_null(strstr(text_at(&host, "/proc/cmdline"), "from-kernel"));
	assert_int_equal(type_in(&host, "proxmox-boot-tool refresh", NULL), 0);
	assert_int_equal(type_in(&host, "reboot", NULL), 0);
	boot(&host, true);
	assert_non_null(strstr(text_at(&host, "/proc/cmdline"), "from-kernel"));
	edit(&host, "/etc/kernel/cmdline", "quiet\n");
	assert_int_equal(type_in(&host, "proxmox-boot-tool refresh", NULL), 1);
	stage_close(&host);
}

static void a_reboot_may_never_come(void **state)
{
	(void)state;
	struct stage host;
	struct err err = {0};
	stage_open(&host, "base amd-4060ti\n");
	rehearse_fault(host.rehearse, FAULT_NO_BOOT, "*", 0, 1);
	edit(&host, "/etc/modprobe.d/x.conf", "# x\n");
	assert_int_equal(type_in(&host, "reboot", NULL), 0);
	assert_int_equal(host.node->changes->put(host.node, "/etc/x", bytes_of("x"), NULL), EIO);
	assert_false(rehearse_boot(host.rehearse, true, &err));
	boot(&host, false);
	assert_string_equal(text_at(&host, "/etc/modprobe.d/x.conf"), "# x\n"); /* it was shut down in order */
	stage_close(&host);
}

static void nvidia_in_use_hangs_its_unbind(void **state)
{
	(void)state;
	struct stage host;
	stage_open(&host, "base amd-4060ti\ndevice 0000:01:00.0 driver=nvidia\nnvidia 550.163.01\n"
	                  "process 4242 ffmpeg cgroup=/user.slice open=/dev/nvidia0\n");
	assert_string_equal(driver_at(&host, NV), "nvidia");
	assert_int_equal(set(&host, DEVICES NV "/driver/unbind", NV), ETIMEDOUT);
	assert_int_equal(set(&host, VFIO "new_id", "10de 2803"), ETIMEDOUT); /* all behind it wait too */
	stage_close(&host);
}

static void vfio_virqfd_is_gone(void **state)
{
	(void)state;
	struct stage host;
	struct outcome said;
	stage_open(&host, "base amd-4060ti\n");
	assert_int_equal(type_in(&host, "modprobe vfio_virqfd", &said), 1);
	assert_string_equal(said.err.data,
	        "modprobe: FATAL: Module vfio_virqfd not found in directory /lib/modules/6.8.12-10-pve\n");
	stage_close(&host);
}

/* ---- units ---- */

static int count_run(void *data, struct world *node, const struct command *command)
{
	(void)node, (void)command;
	++*(int *)data;
	return 0;
}

static void enabled_units_run(void **state)
{
	(void)state;
	struct stage host;
	int runs = 0;
	stage_open(&host, "base amd-4060ti\n");
	rehearse_install(host.rehearse, "sh", count_run, &runs);
	edit(&host, "/etc/systemd/system/x.service",
	        "[Unit]\nConditionKernelCommandLine=!gpuferry=off\n[Service]\nExecStart=/bin/sh /var/lib/x --boot\n"
	        "[Install]\nWantedBy=sysinit.target\n");
	assert_int_equal(type_in(&host, "reboot", NULL), 0);
	boot(&host, true);
	assert_int_equal(runs, 0);
	assert_int_equal(type_in(&host, "systemctl enable x.service", NULL), 0);
	assert_int_equal(type_in(&host, "reboot", NULL), 0);
	boot(&host, true);
	assert_int_equal(runs, 1);
	edit(&host, "/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet gpuferry=off\"\n");
	assert_int_equal(type_in(&host, "update-grub", NULL), 0);
	assert_int_equal(type_in(&host, "reboot", NULL), 0);
	boot(&host, true);
	assert_int_equal(runs, 1);
	stage_close(&host);
}

/* What is read from the machine that behaves is what is read from its recording. */
static void facts_are_the_recordings(void **state)
{
	(void)state;
	static const struct facts_want want = {.depth = FACTS_ALL};
	for (const struct machine_builtin *machine = machine_builtins; machine->name; machine++) {
		struct stage host;
		struct err err = {0};
		struct tape *tape = NULL;
		char text[128];
		snprintf(text, sizeof text, "base %s\n", machine->name);
		stage_open(&host, text);
		assert_true(machine_parse(bytes_of(text), "t", machine_builtin_text, NULL, &host.arena, &err, &tape));
		struct world *world = tape_world(tape, "node", &host.arena, &err);
		json_t *left = facts_json(facts_gather(world, &want, &host.arena));
		json_t *right = facts_json(facts_gather(host.node, &want, &host.arena));
		if (!json_equal(left, right))
			fail_msg("%s is read otherwise", machine->name);
		json_decref(left);
		json_decref(right);
		stage_close(&host);
	}
}

static void every_machine_boots_as_it_is(void **state)
{
	(void)state;
	for (const struct machine_builtin *machine = machine_builtins; machine->name; machine++) {
		struct stage host;
		struct err err = {0};
		char text[128];
		snprintf(text, sizeof text, "base %s\n", machine->name);
		stage_open(&host, text);
		struct world *world = host.node;
		struct words names = {0}, before = {0};
		assert_int_equal(world_list(world, "/sys/bus/pci/devices", &host.arena, &names), 0);
		for (size_t i = 0; i < names.n; i++)
			*arena_push(&host.arena, before.word, before.n) = driver_at(&host, names.word[i]);
		type_in(&host, "reboot", NULL);
		if (!rehearse_boot(host.rehearse, true, &err))
			fail_msg("%s: %s", machine->name, err.text);
		for (size_t i = 0; i < names.n; i++)
			if (strcmp(before.word[i], driver_at(&host, names.word[i])) != 0)
				print_message("# %s: %s goes from %s to %s\n", machine->name, names.word[i],
				        before.word[i], driver_at(&host, names.word[i]));
		stage_close(&host);
	}
}

/* ---- looking at it ---- */

static struct words changed(struct stage *host, struct tape *before)
{
	return rehearse_differences(before, rehearse_tape(host->rehearse, &host->arena), &host->arena);
}

static bool says(struct words words, const char *text)
{
	for (size_t i = 0; i < words.n; i++)
		if (strstr(words.word[i], text))
			return true;
	return false;
}

static void differences_are_those_that_were_made(void **state)
{
	(void)state;
	struct stage host;
	stage_open(&host, "base amd-4060ti\n");
	struct tape *before = rehearse_tape(host.rehearse, &host.arena);
	struct words none = changed(&host, before);
	if (none.n)
		fail_msg("%s", none.word[0]);
	edit(&host, "/etc/modprobe.d/x.conf", "blacklist nouveau\n");
	assert_int_equal(host.node->changes->symlink(host.node, "/dev/null", "/etc/modprobe.d/y.conf"), 0);
	assert_int_equal(type_in(&host, "update-initramfs -u", NULL), 0);
	set(&host, DEVICES NV "/driver_override", "vfio-pci");
	set(&host, DEVICES NV "/driver/unbind", NV);
	struct words words = changed(&host, before);
	assert_true(says(words, "/etc/modprobe.d/x.conf is new"));
	assert_true(says(words, "/etc/modprobe.d/y.conf is new"));
	assert_true(says(words, IMAGE " holds etc/modprobe.d/x.conf now"));
	assert_true(says(words, NV " has driver none, not nouveau"));
	assert_true(says(words, NV " has driver_override vfio-pci, not (null)"));
	assert_int_equal(words.n, 5);
	set(&host, DEVICES NV "/driver_override", "");
	set(&host, "/sys/bus/pci/drivers_probe", NV);
	assert_int_equal(host.node->changes->remove(host.node, "/etc/modprobe.d/x.conf"), 0);
	assert_int_equal(host.node->changes->remove(host.node, "/etc/modprobe.d/y.conf"), 0);
	assert_int_equal(type_in(&host, "update-initramfs -u", NULL), 0);
	none = changed(&host, before);
	if (none.n)
		fail_msg("%s", none.word[0]);
	stage_close(&host);
}

/* What waits for a guest's next start counts as that start has it; another value that waits is a difference. */
static void what_waits_counts_as_the_next_start_has_it(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "memory: 4096\ndev0: /dev/null\n[pve:pending]\ndelete: dev0\n", NULL },
		{ "memory: 512\n[pve:pending]\nmemory: 4096\n", NULL },
		{ "memory: 4096\ndev0: /dev/null\n", "holds now the line dev0: /dev/null" },
		{ "memory: 4096\n[pve:pending]\nmemory: 512\n", "holds now the line memory: 512" },
		{ "memory: 4096\n[pve:pending]\ndelete: memory\n", "no longer holds the line memory: 4096" },
		{ "memory: 4096\n[before]\nmemory: 4096\n", "holds now the line [before]memory: 4096" },
		{ "memory: 4096\nlxc.apparmor.profile: x\n", "holds now the line lxc.apparmor.profile: x" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct stage host;
		stage_open(&host, "base pve8-base\nfile /etc/pve/lxc/105.conf\n\tmemory: 4096\n");
		struct tape *before = rehearse_tape(host.rehearse, &host.arena);
		rehearse_edit(host.rehearse, "/etc/pve/nodes/pve/lxc/105.conf", bytes_of(cases[i].text));
		struct words words = changed(&host, before);
		if (cases[i].says ? !says(words, cases[i].says) : words.n != 0)
			fail_msg("%s: %s", cases[i].text, words.n ? words.word[0] : "no difference");
		stage_close(&host);
	}
}

static void a_moved_device_is_elsewhere(void **state)
{
	(void)state;
	struct stage host;
	stage_open(&host, "base amd-4060ti\n");
	rehearse_move_device(host.rehearse, NV, "0000:06:00.0");
	type_in(&host, "reboot", NULL);
	boot(&host, true);
	assert_int_equal(world_exists(host.node, DEVICES NV), NO);
	assert_string_equal(driver_at(&host, "0000:06:00.0"), "nouveau");
	assert_string_equal(text_at(&host, DEVICES "0000:06:00.0/device"), "0x2803\n");
	stage_close(&host);
}

/* Each ESP is written in parts: wherever that is cut, the machine boots with the old words or the new ones. */
static void a_refresh_cut_anywhere_boots(void **state)
{
	(void)state;
	unsigned old = 0, new = 0;
	bool whole = false;
	for (unsigned long cut = 1; !whole && cut < 100; cut++)
		for (int keep = 0; keep < 2; keep++) {
			struct stage host;
			stage_open(&host, "base intel-zfs-a380\n");
			rehearse_edit(host.rehearse, "/etc/kernel/cmdline",
			        bytes_of("root=ZFS=rpool/ROOT/pve-1 boot=zfs from-kernel\n"));
			rehearse_cut(host.rehearse, cut);
			whole = type_in(&host, "proxmox-boot-tool refresh", NULL) == 0;
			rehearse_cut(host.rehearse, rehearse_effects(host.rehearse));
			boot(&host, keep);
			if (strstr(text_at(&host, "/proc/cmdline"), "from-kernel"))
				new++;
			else
				old++;
			stage_close(&host);
		}
	assert_true(whole);
	assert_true(old >= 2 && new >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_survives_a_cut),
		cmocka_unit_test(a_file_written_by_world_write_is_whole),
		cmocka_unit_test(faults_are_what_the_effects_say),
		cmocka_unit_test(a_card_goes_to_vfio_and_back),
		cmocka_unit_test(new_id_persists_and_takes_the_twin),
		cmocka_unit_test(a_boot_gives_back_what_was_only_bound),
		cmocka_unit_test(modprobe_d_counts_when_the_initramfs_has_it),
		cmocka_unit_test(i915_takes_its_options_at_boot),
		cmocka_unit_test(only_the_newest_kernel_gets_a_new_image),
		cmocka_unit_test(words_of_grub_count_after_update_grub),
		cmocka_unit_test(update_grub_cut_anywhere_leaves_a_menu),
		cmocka_unit_test(what_does_not_boot_is_said),
		cmocka_unit_test(systemd_boot_reads_its_own_file),
		cmocka_unit_test(a_reboot_may_never_come),
		cmocka_unit_test(nvidia_in_use_hangs_its_unbind),
		cmocka_unit_test(vfio_virqfd_is_gone),
		cmocka_unit_test(enabled_units_run),
		cmocka_unit_test(facts_are_the_recordings),
		cmocka_unit_test(every_machine_boots_as_it_is),
		cmocka_unit_test(differences_are_those_that_were_made),
		cmocka_unit_test(what_waits_counts_as_the_next_start_has_it),
		cmocka_unit_test(a_moved_device_is_elsewhere),
		cmocka_unit_test(a_refresh_cut_anywhere_boots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
