/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What boots next, and packages: read for what they hold, made by the system's own tools, on disk when the tool is
 * through.
 */
#include <archive.h>
#include <archive_entry.h>

#include "base/digest.h"
#include "changing.h"
#include "exec/steps.h"
#include "test.h"

#define VERSION "6.8.12-4-pve"
#define IMAGE "/boot/initrd.img-" VERSION
#define ESP "/run/gpuferry/esp"

struct bench {
	struct changing disk;
	struct arena arena;
	struct exec exec;
	struct err err;
	struct step step;
	struct step_run run;
	const char *log;
	const char *fails;          /* a command's line that ends with 1 */
	const char *content, *line; /* what update-initramfs and the loaders' tools make */
	const char *second;         /* the second ESP's line, where it is not the first's */
	const char *status;         /* dpkg's list after apt-get */
	const char *image_copy;     /* an ESP's, that a refresh writes */
	int mounted;
};

static void put_bytes(struct changing *disk, const char *path, struct bytes data)
{
	struct changing_file *file = changing_file(disk, path);
	if (!file) {
		changing_edit(disk, path, "", 0644);
		file = changing_file(disk, path);
	}
	file->data = data; /* not synced */
}

static struct bytes image_of(struct arena *arena, const char *content)
{
	enum { ROOM = 1024 * 1024 };
	char *buffer = arena_alloc(arena, ROOM);
	size_t used = 0;
	struct archive *archive = archive_write_new();
	archive_write_set_format_cpio_newc(archive);
	archive_write_add_filter_gzip(archive);
	archive_write_set_bytes_per_block(archive, 1);
	archive_write_open_memory(archive, buffer, ROOM, &used);
	static const char *const paths[] = { "etc/modprobe.d/vfio.conf", "conf/modules", "scripts/init-top/gpuferry" };
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct archive_entry *entry = archive_entry_new();
		archive_entry_set_pathname(entry, paths[i]);
		archive_entry_set_perm(entry, 0644);
		archive_entry_set_filetype(entry, AE_IFREG);
		archive_entry_set_size(entry, (la_int64_t)strlen(content));
		assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
		archive_write_data(archive, content, strlen(content));
		archive_entry_free(entry);
	}
	archive_write_close(archive);
	archive_write_free(archive);
	return (struct bytes){ buffer, used };
}

static const char *menu_of(struct arena *arena, const char *line)
{
	return arena_printf(arena,
	        "set default=\"0\"\nmenuentry 'Proxmox VE' --class proxmox $menuentry_id_option 'gnulinux-simple-1' {\n"
	        "\tlinux\t/boot/vmlinuz-" VERSION " %s\n}\n",
	        line);
}

static void put_text(struct changing *disk, const char *path, const char *text)
{
	put_bytes(disk, path, bytes_of(text));
}

/* Two entries on an ESP, as proxmox-boot-tool writes them. */
static void put_entries(struct bench *bench, const char *folder, const char *line)
{
	static const char *const versions[] = { VERSION, "6.5.13-6-pve" };
	for (size_t i = 0; i < COUNT(versions); i++)
		put_text(&bench->disk,
		        arena_printf(&bench->arena, "%s/loader/entries/proxmox-%s.conf", folder, versions[i]),
		        arena_printf(
		                &bench->arena, "title    Proxmox\nversion  %s\noptions   %s\n", versions[i], line));
}

static void take_entries(struct changing *disk)
{
	for (size_t i = 0; i < disk->n_names; i++)
		if (text_starts(disk->name[i].path, ESP "/"))
			disk->name[i].now = disk->name[i].disk = -1;
}

static int command(struct changing *disk, const struct command *command, struct outcome *ret)
{
	struct bench *bench = disk->data;
	const char *line = text_sh_line(&bench->arena, command->argv);
	bench->log = arena_printf(&bench->arena, "%s%s\n", bench->log, line);
	if (bench->fails && text_matches(bench->fails, line)) {
		ret->status = 1;
		ret->err = bytes_of("W: a warning\nE: it failed\n\n");
		return 0;
	}
	if (strcmp(line, "update-initramfs -u -k " VERSION) == 0)
		put_bytes(disk, IMAGE, image_of(&bench->arena, bench->content));
	else if (strcmp(line, "update-grub") == 0)
		put_text(disk, "/boot/grub/grub.cfg", menu_of(&bench->arena, bench->line));
	else if (strcmp(line, "proxmox-boot-tool refresh") == 0) {
		put_entries(bench, "/boot/efi", bench->line);
		if (bench->image_copy)
			put_bytes(disk, bench->image_copy, changing_file(disk, IMAGE)->data);
	} else if (strcmp(line, "umount " ESP) == 0)
		take_entries(disk), bench->mounted--;
	else if (text_starts(line, "mount -t vfat -o ro,nodev,nosuid,noexec /dev/disk/by-uuid/"))
		put_entries(bench, ESP, bench->second ? bench->second : bench->line), bench->mounted++;
	else if (text_starts(line, "env DEBIAN_FRONTEND=noninteractive "))
		put_text(disk, "/var/lib/dpkg/status", bench->status);
	else if (!text_starts(line, "apt-mark ") && !text_starts(line, "sync -f "))
		return ENOENT;
	return 0;
}

static void settled(struct changing *disk, const char *path)
{
	struct bench *bench = disk->data;
	bench->log = arena_printf(&bench->arena, "%ssettle %s\n", bench->log, path);
}

static void bench_open(struct bench *bench, const char *kind, const char *key, const char *to)
{
	memset(bench, 0, sizeof *bench);
	struct world *node = changing_open(&bench->disk);
	bench->disk.data = bench;
	bench->disk.command = command;
	bench->disk.settled = settled;
	bench->log = "";
	bench->line = "root=/dev/mapper/pve-root ro quiet iommu=pt";
	bench->content = "new\n";
	changing_edit(&bench->disk, "/var/lib/gpuferry/runs/x/old", NULL, 0700);
	bench->exec = (struct exec){ .node = node, .arena = &bench->arena };
	bench->step = (struct step){ .kind = kind, .on = "node", .key = key, .to = to };
	bench->run = (struct step_run){ &bench->exec, &bench->step, "/var/lib/gpuferry/runs/x", &bench->err };
}

static void bench_close(struct bench *bench)
{
	assert_int_equal(bench->mounted, 0);
	arena_release(&bench->disk.arena);
	arena_release(&bench->arena);
}

static const char *state_of(struct bench *bench)
{
	const char *state = NULL;
	if (!exec_kind(bench->step.kind)->state(&bench->run, &bench->arena, &state))
		fail_msg("%s", bench->err.text);
	return state;
}

/* What a power cut leaves, if nothing but what was synced is there. */
static const char *state_after_cut(struct bench *bench)
{
	changing_boot(&bench->disk, false);
	return state_of(bench);
}

/* ---- initramfs -------------------------------------------------------------------------------- */

static const char *words(struct arena *arena, const char *content)
{
	const char *sum = digest_sha256(bytes_of(content), arena);
	return arena_printf(arena,
	        "/etc/modprobe.d/vfio.conf=sha256:%s scripts/init-top/gpuferry=sha256:%s etc/absent.conf=none sound",
	        sum, sum);
}

static void test_initramfs(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, "initramfs", VERSION, NULL);
	bench.step.to = words(&bench.arena, "new\n");
	assert_string_equal(state_of(&bench), NONE);
	struct bytes old = image_of(&bench.arena, "old\n");
	changing_edit(&bench.disk, IMAGE, "", 0644);
	put_bytes(&bench.disk, IMAGE, old);
	assert_string_equal(state_of(&bench), words(&bench.arena, "old\n"));
	assert_false(exec_holds(&bench.step, state_of(&bench)));
	assert_true(step_initrd.apply(&bench.run));
	assert_string_equal(bench.log, "settle /boot\nupdate-initramfs -u -k " VERSION "\nsettle /boot\n");
	assert_true(exec_holds(&bench.step, state_of(&bench)));
	assert_string_equal(state_after_cut(&bench), bench.step.to); /* on disk before it counts as done */
	bench.content = "old\n";
	assert_true(step_initrd.undo(&bench.run, words(&bench.arena, "old\n"), "/blob"));
	assert_string_equal(state_of(&bench), words(&bench.arena, "old\n"));
	bench_close(&bench);
}

static void test_torn_initramfs(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, "initramfs", VERSION, NULL);
	bench.step.to = words(&bench.arena, "new\n");
	struct bytes whole = image_of(&bench.arena, "new\n");
	changing_edit(&bench.disk, IMAGE, "", 0644);
	for (size_t size = 0; size < whole.size; size += 1 + whole.size / 97) {
		put_bytes(&bench.disk, IMAGE, (struct bytes){ whole.data, size });
		if (exec_holds(&bench.step, state_of(&bench)))
			fail_msg("cut at %zu of %zu counts as whole", size, whole.size);
	}
	bench_close(&bench);
}

static void test_initramfs_fails(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, "initramfs", VERSION, "sound");
	bench.fails = "update-initramfs*";
	assert_false(step_initrd.apply(&bench.run));
	assert_string_equal(bench.err.text, "update-initramfs -u -k " VERSION ": status 1: E: it failed");
	static const char *const wrong[] = { "", "../x", "-k", "a b" };
	for (size_t i = 0; i < COUNT(wrong); i++) {
		bench.log = "";
		bench.step.key = wrong[i];
		assert_false(step_initrd.apply(&bench.run));
		assert_string_equal(bench.log, "");
	}
	bench_close(&bench);
}

/* ---- boot loader --------------------------------------------------------------------------------- */

static void test_grub(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, "boot", "grub", "quiet iommu=pt");
	changing_edit(
	        &bench.disk, "/boot/grub/grub.cfg", menu_of(&bench.arena, "root=/dev/mapper/pve-root ro  quiet"), 0644);
	assert_string_equal(state_of(&bench), "root=/dev/mapper/pve-root ro quiet");
	assert_false(exec_holds(&bench.step, state_of(&bench)));
	assert_true(step_boot.apply(&bench.run));
	assert_string_equal(bench.log, "settle /boot\nupdate-grub\nsettle /boot\n");
	assert_true(exec_holds(&bench.step, state_of(&bench)));
	assert_true(exec_holds(&bench.step, state_after_cut(&bench)));
	bench_close(&bench);

	static const struct {
		const char *to, *now;
		bool holds;
	} rows[] = {
		{ "quiet", "root=UUID=1 ro quiet", true },
		{ "quiet", "quiet", true },
		{ "", "root=UUID=1 ro", true },
		{ "quiet", "root=UUID=1 ro quiet splash", false },
		{ "quiet", "root=UUID=1 ro intel_iommu=off quiet", false },
		{ "quiet iommu=pt", "iommu=pt quiet", false },
		{ "quiet iommu=pt", "iommu=pt", false },
		{ "quiet", "root=1 ro quiet | root=1 ro", false },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct step step = { .kind = "boot", .key = "grub", .to = rows[i].to };
		if (exec_holds(&step, rows[i].now) != rows[i].holds)
			fail_msg("%s: %s", rows[i].to, rows[i].now);
		step.key = "systemd-boot"; /* its file holds root= itself */
		assert_int_equal(exec_holds(&step, rows[i].now), strcmp(rows[i].to, rows[i].now) == 0);
	}
}

static void open_esps(struct bench *bench)
{
	bench_open(bench, "boot", "systemd-boot", "root=ZFS=rpool/ROOT/pve-1 boot=zfs iommu=pt");
	bench->line = "root=ZFS=rpool/ROOT/pve-1 boot=zfs";
	changing_edit(&bench->disk, "/etc/kernel/proxmox-boot-uuids", "AAAA-0001\nBBBB-0002\n", 0644);
	static const char *const links[][2] = { { "/dev/disk/by-uuid/AAAA-0001", "../../sda2" },
		{ "/dev/disk/by-uuid/BBBB-0002", "../../sdb2" } };
	changing_edit(&bench->disk, "/dev/disk/by-uuid", NULL, 0755);
	for (size_t i = 0; i < COUNT(links); i++)
		changing_symlink(&bench->disk.world, links[i][1], links[i][0]);
	changing_edit(&bench->disk, "/proc/mounts", "/dev/sda2 /boot/efi vfat rw 0 0\n", 0444);
	put_entries(bench, "/boot/efi", bench->line);
}

#define MOUNT_B "mount -t vfat -o ro,nodev,nosuid,noexec /dev/disk/by-uuid/BBBB-0002 " ESP "\numount " ESP "\n"

static void test_every_esp(void **state)
{
	(void)state;
	struct bench bench;
	open_esps(&bench);
	assert_string_equal(state_of(&bench), bench.line);
	assert_string_equal(bench.log, MOUNT_B); /* the other one is mounted already */
	bench.log = "";
	bench.line = bench.step.to;
	assert_true(step_boot.apply(&bench.run));
	assert_string_equal(bench.log, "proxmox-boot-tool refresh\nsync -f /boot/efi\n");
	assert_true(exec_holds(&bench.step, state_of(&bench)));
	bench.second = "root=ZFS=rpool/ROOT/pve-1 boot=zfs"; /* one ESP was passed by, with status 0 */
	assert_true(step_boot.apply(&bench.run));
	assert_false(exec_holds(&bench.step, state_of(&bench)));
	assert_string_equal(state_of(&bench), "root=ZFS=rpool/ROOT/pve-1 boot=zfs iommu=pt | root=ZFS=rpool/ROOT/pve-1 "
	                                      "boot=zfs");
	bench_close(&bench);
}

/* The hook has passed an ESP by, with status 0: refreshed again, and looked at. */
static void test_image_on_every_esp(void **state)
{
	(void)state;
	struct bench bench;
	const char *copy = "/boot/efi/EFI/proxmox/" VERSION "/initrd.img-" VERSION;
	open_esps(&bench);
	bench.step = (struct step){ .kind = "initramfs", .on = "node", .key = VERSION, .to = "sound" };
	changing_edit(&bench.disk, copy, "an older one", 0644);
	bench.image_copy = copy;
	assert_true(step_initrd.apply(&bench.run));
	assert_non_null(strstr(bench.log, "proxmox-boot-tool refresh\n"));
	bench.log = "";
	assert_true(step_initrd.apply(&bench.run)); /* the same again: no need */
	assert_null(strstr(bench.log, "proxmox-boot-tool refresh\n"));
	bench.image_copy = NULL;
	bench.content = "another\n";
	assert_false(step_initrd.apply(&bench.run));
	assert_string_equal(bench.err.text, "ESP AAAA-0001 holds another initramfs of " VERSION " than /boot");
	bench_close(&bench);
}

static void test_esp_that_cannot_be_seen(void **state)
{
	(void)state;
	struct bench bench;
	const char *now = NULL;
	open_esps(&bench);
	bench.fails = "mount *";
	assert_false(step_boot.state(&bench.run, &bench.arena, &now));
	assert_non_null(strstr(bench.err.text, "looking into ESP BBBB-0002: mount"));
	bench.fails = NULL;
	bench.err = (struct err){ 0 };
	bench.log = "";
	/* a run that was killed has left it mounted */
	changing_edit(
	        &bench.disk, "/proc/mounts", "/dev/sda2 /boot/efi vfat rw 0 0\n/dev/sda9 " ESP " vfat ro 0 0\n", 0444);
	bench.mounted = 1;
	assert_string_equal(state_of(&bench), bench.line);
	assert_string_equal(bench.log, "umount " ESP "\n" MOUNT_B);
	take_entries(&bench.disk);
	bench_close(&bench);

	open_esps(&bench);
	bench.second = "";
	bench.disk.command = command;
	changing_edit(&bench.disk, "/boot/efi/loader/entries/proxmox-6.5.13-6-pve.conf", "title no options\n", 0644);
	changing_edit(&bench.disk, "/boot/efi/loader/entries/proxmox-" VERSION ".conf", "title no options\n", 0644);
	assert_false(step_boot.state(&bench.run, &bench.arena, &now));
	assert_non_null(strstr(bench.err.text, "no entry of a kernel"));
	bench_close(&bench);
}

/* ---- packages -------------------------------------------------------------------------------------- */

#define PACKAGE(name, want) "Package: " name "\nStatus: " want " ok installed\nVersion: 1.0\n\n"
#define BEFORE PACKAGE("bash", "install") PACKAGE("firmware-misc", "install")
#define AFTER BEFORE PACKAGE("nvidia-driver", "install") PACKAGE("dkms", "install")

static void test_package(void **state)
{
	(void)state;
	struct bench bench;
	const char *blob = "/var/lib/gpuferry/runs/x/old/3";
	bench_open(&bench, "package", "nvidia-driver", "installed");
	changing_edit(&bench.disk, "/var/lib/dpkg/status", BEFORE, 0644);
	bench.status = AFTER;
	assert_string_equal(state_of(&bench), NONE);
	assert_true(step_package.save(&bench.run, blob));
	assert_true(step_package.apply(&bench.run));
	assert_string_equal(bench.log, "settle /boot\nenv DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "
	                               "--no-remove -o "
	                               "Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "
	                               "nvidia-driver\nsettle /boot\n");
	assert_string_equal(state_of(&bench), "1.0");
	assert_true(exec_holds(&bench.step, "1.0") && !exec_holds(&bench.step, NONE));
	/* what someone installs later is not ours */
	changing_edit(&bench.disk, "/var/lib/dpkg/status", AFTER PACKAGE("htop", "install"), 0644);
	bench.log = "";
	bench.status = BEFORE PACKAGE("htop", "install");
	assert_true(step_package.undo(&bench.run, NONE, blob));
	assert_string_equal(bench.log, "env DEBIAN_FRONTEND=noninteractive dpkg --purge --force-remove-reinstreq "
	                               "--simulate nvidia-driver dkms\n"
	                               "env DEBIAN_FRONTEND=noninteractive dpkg --purge --force-remove-reinstreq "
	                               "nvidia-driver dkms\n");
	assert_string_equal(state_of(&bench), NONE);
	bench.log = "";
	assert_true(step_package.undo(&bench.run, NONE, blob));
	assert_string_equal(bench.log, "");
	bench_close(&bench);
}

static void test_package_that_fails(void **state)
{
	(void)state;
	struct bench bench;
	const char *blob = "/var/lib/gpuferry/runs/x/old/3";
	bench_open(&bench, "package", "nvidia-driver", "535.1");
	changing_edit(&bench.disk, "/var/lib/dpkg/status", BEFORE, 0644);
	bench.fails = "*apt-get*";
	assert_true(step_package.save(&bench.run, blob));
	assert_false(step_package.apply(&bench.run));
	assert_non_null(strstr(bench.log, " nvidia-driver=535.1\n"));
	assert_non_null(strstr(bench.err.text, "E: it failed"));
	/* half of it is there, and half of that is only unpacked: both go */
	changing_edit(&bench.disk, "/var/lib/dpkg/status",
	        BEFORE "Package: nvidia-driver\nStatus: install reinstreq half-installed\nVersion: 535.1\n\n"
	               "Package: old\nStatus: deinstall ok config-files\nVersion: 1\n\n",
	        0644);
	bench.status = BEFORE;
	bench.log = "";
	assert_string_equal(state_of(&bench), NONE);
	assert_true(step_package.undo(&bench.run, NONE, blob));
	assert_non_null(strstr(bench.log, "--purge --force-remove-reinstreq nvidia-driver\n"));
	changing_edit(&bench.disk, "/var/lib/dpkg/status", BEFORE PACKAGE("dkms", "install"), 0644);
	bench.status = BEFORE;
	bench.log = "";
	assert_true(step_package.undo(&bench.run, NONE, blob));
	assert_non_null(strstr(bench.log, "--purge --force-remove-reinstreq dkms\n"));
	changing_edit(&bench.disk, "/var/lib/dpkg/status", BEFORE PACKAGE("dkms", "install"), 0644);
	bench.fails = "*--simulate*"; /* another package needs it now: it is left */
	bench.log = "";
	assert_true(step_package.undo(&bench.run, NONE, blob));
	assert_null(strstr(bench.log, "--force-remove-reinstreq dkms"));
	assert_false(exec_holds(&bench.step, "1.0"));
	static const char *const wrong[] = { "", "-y", "a b", "a/b", "A" };
	for (size_t i = 0; i < COUNT(wrong); i++) {
		bench.log = "";
		bench.step.key = wrong[i];
		assert_false(step_package.apply(&bench.run));
		assert_string_equal(bench.log, "");
	}
	bench_close(&bench);
}

static void test_hold(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, "hold", "dkms", "held");
	changing_edit(&bench.disk, "/var/lib/dpkg/status", AFTER, 0644);
	assert_string_equal(state_of(&bench), NONE);
	assert_true(step_hold.apply(&bench.run));
	assert_string_equal(bench.log, "apt-mark hold dkms\n");
	changing_edit(&bench.disk, "/var/lib/dpkg/status", BEFORE PACKAGE("dkms", "hold"), 0644);
	assert_string_equal(state_of(&bench), "held");
	assert_true(step_hold.apply(&bench.run));
	assert_true(step_hold.undo(&bench.run, "held", NULL));
	assert_string_equal(bench.log, "apt-mark hold dkms\n");
	assert_true(step_hold.undo(&bench.run, NONE, NULL));
	assert_string_equal(bench.log, "apt-mark hold dkms\napt-mark unhold dkms\n");
	bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_initramfs),
		cmocka_unit_test(test_torn_initramfs),
		cmocka_unit_test(test_initramfs_fails),
		cmocka_unit_test(test_grub),
		cmocka_unit_test(test_every_esp),
		cmocka_unit_test(test_image_on_every_esp),
		cmocka_unit_test(test_esp_that_cannot_be_seen),
		cmocka_unit_test(test_package),
		cmocka_unit_test(test_package_that_fails),
		cmocka_unit_test(test_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
