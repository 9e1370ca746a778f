/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/boot.h"
#include "tree.h"

#define EFIVARS "/sys/firmware/efi/efivars/"
#define GUID_EFI "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define GUID_LOADER "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

/* ---- pure parts ------------------------------------------------------------ */

static void test_space(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct boot boot = {0};
	assert_int_equal(boot_free_kib(&boot, "/boot"), UNKNOWN_NUMBER);
	boot_parse_df(bytes_of("Filesystem 1024-blocks Used Available Capacity Mounted on\n"
	                       "/dev/sda2 1000 200 800 20% /\n/dev/sda1 500 100 400 20% /boot\nx 1 2\n"
	                       "/dev/sdb1 90 10 80 12% /mnt/a b\nbad - - - - /x\n"),
	        &arena, &boot);
	assert_int_equal(boot.n_file_systems, 3);
	assert_int_equal(boot_free_kib(&boot, "/boot/initrd.img"), 400);
	assert_int_equal(boot_free_kib(&boot, "/boot"), 400);
	assert_int_equal(boot_free_kib(&boot, "/bootx"), 800);
	assert_int_equal(boot_free_kib(&boot, "/mnt/a b/c"), 80);
	assert_int_equal(boot_free_kib(&boot, "/mnt/a"), 800);
}

static void test_cmdline(void **state)
{
	(void)state;
	static const struct {
		const char *cmdline, *name, *value;
	} rows[] = {
		{ "a=1 b a=2", "a", "2" }, { "a=1 b a=2", "b", "" }, { "a=1", "c", NULL }, { NULL, "a", NULL },
		{ "intel-iommu=on\n", "intel_iommu", "on" }, { "x=\"a b\" y=1", "x", "a b" },
		{ "x=\"a b\" y=1", "y", "1" }, { "\"x=a b\" y", "x", "a b" }, { "\"quoted\"", "quoted", "" },
		{ "x=a\"b c\"d y", "x", "a\"b c\"d" }, { "x=\"open y=1", "y", NULL }, { "vfio-pci.ids=1:2", "vfio_pci.ids", "1:2" },
		{ "ab=1", "a", NULL }, { "root=ZFS=rpool/ROOT", "root", "ZFS=rpool/ROOT" },
	};
	struct arena arena ARENA_SCOPED = {0};
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *value = boot_cmdline_value(rows[i].cmdline, rows[i].name, &arena);
		if (!value != !rows[i].value || (value && strcmp(value, rows[i].value) != 0))
			fail_msg("row %zu: %s", i, value ? value : "(none)");
	}
	assert_true(boot_cmdline_has("quiet iommu=pt", "iommu=pt"));
	assert_true(boot_cmdline_has("quiet iommu=pt", "quiet"));
	assert_true(boot_cmdline_has("intel-iommu=on", "intel_iommu=on"));
	assert_false(boot_cmdline_has("iommu=pt", "iommu"));
	assert_false(boot_cmdline_has("iommu=pt", "iommu=p"));
	assert_false(boot_cmdline_has("xiommu=pt", "iommu=pt"));
	assert_false(boot_cmdline_has(NULL, "a"));
	struct words words = boot_cmdline_words(" a  \"b c\" d=\"e f\"\n", &arena);
	assert_int_equal(words.n, 3);
	assert_string_equal(words.word[1], "b c");
	assert_string_equal(words.word[2], "d=e f");
}

static void test_grub_defaults(void **state)
{
	(void)state;
	static const struct {
		const char *text, *value; /* of V */
		bool unknown, certain;
	} rows[] = {
		{ "V=quiet\n", "quiet", false, true },
		{ "V=\"quiet intel_iommu=on\" # comment", "quiet intel_iommu=on", false, true },
		{ "V='a $X \"b\"'", "a $X \"b\"", false, true },
		{ "#V=a\n# V=b\n", NULL, false, true },
		{ "V=a\nV=b", "b", false, true },
		{ "V=a#b", "a#b", false, true },
		{ "V=\"a\\\"b\\$c\\d\"", "a\"b$c\\d", false, true },
		{ "V=\"a \\\nb\"", "a b", false, true },
		{ "V=\"a\nb\"", "a\nb", false, true },
		{ "GRUB_A=x\nV=\"$GRUB_A ${GRUB_A}y $GRUB_NONE.\"", "x xy .", false, true },
		{ "V=\"$sysconfdir\"", NULL, true, true },
		{ "V=`lsb_release -i -s 2> /dev/null || echo Debian`", NULL, true, true },
		{ "W=$(x \"(\" )\nV=a", "a", false, true },
		{ "V=${GRUB_A:-b}", NULL, true, true },
		{ "export V=a", "a", false, true },
		{ "V=a; W=b", "a", false, true },
		{ "V=a true", NULL, false, true },
		{ "V=a\nif [ -e /x ]; then V=b; fi", NULL, true, true },
		{ "if [ -e /x ]; then W=b; fi\nV=a", "a", false, true },
		{ "[ -e /x ] && V=a", NULL, true, true },
		{ "[ -e /x ] &&\n V=a", NULL, true, true },
		{ "V=a\n[ -e /x ] && W=b", "a", false, true },
		{ "for V in a b; do true; done", NULL, true, true },
		{ "V=a\nfor f in x; do if [ -e \"$f\" ]; then source \"$f\"; fi; done", "a", false, false },
		{ "V=a\n. /etc/other", "a", false, false },
		{ "V=a\nf() { V=b; }", NULL, true, false },
		{ "V=\"a", "a", false, false },
		{ "V=a\nV+=\" b\"", "a b", false, false },
		{ "V=a\nunset V", "", false, true },
		{ "V=\"a\"'b'c", "abc", false, true },
		{ "\"V=a\"", NULL, false, true },
		{ "V =a", NULL, false, true },
	};
	struct arena arena ARENA_SCOPED = {0};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct grub_defaults got = { .certain = true };
		boot_parse_grub(bytes_of(rows[i].text), "/etc/default/grub", &arena, &got);
		const char *value = boot_grub_value(&got, "V");
		if (!value != !rows[i].value || (value && strcmp(value, rows[i].value) != 0) ||
			boot_grub_unknown(&got, "V") != rows[i].unknown || got.certain != rows[i].certain)
			fail_msg("%s: \"%s\"%s%s", rows[i].text, value ? value : "(none)",
				boot_grub_unknown(&got, "V") ? " unknown" : "", got.certain ? "" : " uncertain");
	}
}

/* A value that doubles with every line ends at the limit. */
static void test_grub_bomb(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	char *text = arena_alloc(&arena, 64 * 5000), *out = stpcpy(text, "GRUB_A=xxxxxxxxxxxxxxxx\n");
	for (size_t i = 0; i < 5000; i++)
		out = stpcpy(out, "GRUB_A=$GRUB_A$GRUB_A\n");
	struct grub_defaults got = { .certain = true };
	boot_parse_grub(bytes_of(text), "x", &arena, &got);
	assert_true(boot_grub_unknown(&got, "GRUB_A"));
	assert_false(got.certain);
}

#define LINUX(version, words) "\tlinux\t/boot/vmlinuz-" version " root=/dev/mapper/pve-root ro  " words "\n"
static const char menu_start[] = "if [ -s $prefix/grubenv ]; then\n  load_env\nfi\nif [ \"${next_entry}\" ] ; then\n"
				 "   set default=\"${next_entry}\"\n   set next_entry=\n   save_env next_entry\n"
				 "   set boot_once=true\nelse\n   set default=\"%s\"\nfi\n"
				 "if [ x\"${feature_menuentry_id}\" = xy ]; then\n  menuentry_id_option=\"--id\"\nfi\n"
				 "function savedefault {\n  if [ -z \"${boot_once}\" ]; then\n    save_env saved_entry\n  fi\n}\n";
static const char menu_rest[] =
	"menuentry 'Proxmox VE GNU/Linux' --class proxmox --class gnu $menuentry_id_option 'gnulinux-simple-1' {\n"
	"\tload_video\n" LINUX("6.8.12-4-pve", "quiet") "\techo 'Loading initial ramdisk ...'\n}\n"
	"submenu 'Advanced options for Proxmox VE GNU/Linux' $menuentry_id_option 'gnulinux-advanced-1' {\n"
	"\tmenuentry 'Proxmox VE GNU/Linux, with Linux 6.8.12-4-pve' --class x $menuentry_id_option "
	"'gnulinux-6.8.12-4-pve-advanced-1' {\n" LINUX("6.8.12-4-pve", "quiet") "\t}\n"
	"\tmenuentry 'Proxmox VE GNU/Linux, with Linux 6.5.13-6-pve' --class x $menuentry_id_option "
	"'gnulinux-6.5.13-6-pve-advanced-1' {\n" LINUX("6.5.13-6-pve", "old \"x=a b\"") "\t}\n}\n"
	"menuentry 'Memory test' {\n\tlinux16 /boot/memtest\n}\n";

static void test_grub_menu(void **state)
{
	(void)state;
	static const struct {
		const char *chosen, *environment, *version, *end;
	} rows[] = {
		{ "0", "", "6.8.12-4-pve", "ro quiet" },
		{ "1>1", "", "6.5.13-6-pve", "old \"x=a b\"" },
		{ "gnulinux-advanced-1>gnulinux-6.5.13-6-pve-advanced-1", "", "6.5.13-6-pve", "old \"x=a b\"" },
		{ "Advanced options for Proxmox VE GNU/Linux>1", "", "6.5.13-6-pve", "old \"x=a b\"" },
		{ "gnulinux-advanced-1>gnulinux-5.0-pve-advanced-1", "", "6.8.12-4-pve", "quiet" }, /* gone: the first one */
		{ "no such entry", "", "6.8.12-4-pve", "quiet" },
		{ "2", "", NULL, NULL },
		{ "1", "", NULL, NULL },
		{ "${saved_entry}", "# GRUB Environment Block\nsaved_entry=1>1\n######", "6.5.13-6-pve", "old \"x=a b\"" },
		{ "${saved_entry}", "", NULL, NULL },
		{ "0", "next_entry=1>1\n", "6.5.13-6-pve", "old \"x=a b\"" },
		{ "0", "next_entry=\n", "6.8.12-4-pve", "quiet" },
		{ "${else}", "", NULL, NULL },
	};
	struct arena arena ARENA_SCOPED = {0};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char start[2048];
		snprintf(start, sizeof start, menu_start, rows[i].chosen);
		char *text = arena_printf(&arena, "%s%s", start, menu_rest);
		struct grub_entry got = {0};
		bool found = boot_parse_grub_menu(bytes_of(text), bytes_of(rows[i].environment), &arena, &got);
		if (found != (rows[i].version != NULL))
			fail_msg("row %zu: %s", i, found ? got.version : "not found");
		if (!found)
			continue;
		assert_string_equal(got.version, rows[i].version);
		assert_true(text_ends(got.cmdline, rows[i].end));
		assert_true(text_starts(got.cmdline, "root=/dev/mapper/pve-root ro "));
	}
	struct grub_entry got = {0};
	assert_false(boot_parse_grub_menu(bytes_of(""), bytes_of(""), &arena, &got));
	assert_false(boot_parse_grub_menu(bytes_of("menuentry 'x {"), bytes_of(""), &arena, &got));
}

static struct bytes efi_text(struct arena *arena, const char *text)
{
	char *data = arena_alloc(arena, strlen(text) * 2 + 6), *out = data + 4;
	data[0] = 6;
	for (; *text; text++, out += 2)
		*out = *text;
	return (struct bytes){ data, (size_t)(out - data) + 2 };
}

static struct bytes efi_entry(struct arena *arena, const char *title, const char *path)
{
	struct bytes name = efi_text(arena, title), file = efi_text(arena, path);
	size_t size = name.size - 4, node = file.size; /* header of 4 bytes for the 4 of attributes */
	char *data = arena_alloc(arena, 10 + size + 8 + node + 4), *out = data;
	data[0] = 7;
	data[4] = 1;
	data[8] = (char)(8 + node + 4);
	out = mempcpy(data + 10, name.data + 4, size);
	out = mempcpy(out, "\x04\x01\x08\0...", 8); /* some node before */
	out = mempcpy(out, "\x04\x04", 2);
	*out++ = (char)node;
	*out++ = 0;
	out = mempcpy(out, file.data + 4, file.size - 4);
	out = mempcpy(out, "\x7f\xff\x04\0", 4);
	return (struct bytes){ data, (size_t)(out - data) };
}

static void test_efivars(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	assert_string_equal(boot_efivar_text(efi_text(&arena, "systemd-boot 252.5-2"), &arena), "systemd-boot 252.5-2");
	assert_string_equal(boot_efivar_text((struct bytes){ "\6\0\0\0\xe4\0\x3a\x26\0\xd8", 10 }, &arena),
		"\xc3\xa4\xe2\x98\xba\xef\xbf\xbd");
	assert_null(boot_efivar_text((struct bytes){ "\6\0\0\0", 4 }, &arena));
	struct bytes entry = efi_entry(&arena, "proxmox", "\\EFI\\proxmox\\shimx64.efi");
	assert_string_equal(boot_efivar_entry(entry, &arena), "proxmox \\EFI\\proxmox\\shimx64.efi");
	for (size_t size = 0; size < entry.size - 8; size++)
		assert_null(boot_efivar_entry((struct bytes){ entry.data, size }, &arena));
}

static void test_pbt_status(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct boot boot = {0};
	boot_parse_pbt_status(bytes_of("Re-executing '/usr/sbin/proxmox-boot-tool' in new private mount namespace..\n"
				       "System currently booted with uefi\n"
				       "8C0E-1D4E is configured with: uefi (versions: 6.5.13-6-pve, 6.8.12-4-pve)\n"
				       "8C0F-5D3B is configured with: uefi (versions: 6.8.12-4-pve, grubx64.efi), "
				       "grub (versions: )\n"
				       "8C0F-5D3C is configured with: grub (versions: 6.8.12-4-pve)\n"
				       "8C0F-5D3D is configured with: \n"),
		&arena, &boot);
	assert_int_equal(boot.efi, YES);
	assert_int_equal(boot.n_esps, 4);
	assert_string_equal(boot.esps[0].uuid, "8C0E-1D4E");
	assert_string_equal(boot.esps[0].mode, "uefi");
	assert_int_equal(boot.esps[0].kernels.n, 2);
	assert_string_equal(boot.esps[1].mode, "uefi+grub");
	assert_int_equal(boot.esps[1].kernels.n, 1);
	assert_string_equal(boot.esps[2].mode, "grub");
	assert_null(boot.esps[3].mode);
}

/* ---- whole machines ---------------------------------------------------------- */

static struct bytes image_with(struct arena *arena, const char *config)
{
	char *data = arena_alloc(arena, 4096), *out = data;
	const struct {
		const char *path, *text;
	} files[] = { { "etc/modprobe.d/vfio.conf", config }, { "TRAILER!!!", "" } };
	for (size_t i = 0; i < COUNT(files); i++) {
		size_t name = strlen(files[i].path) + 1, size = strlen(files[i].text);
		out += sprintf(out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1u, 0100644u, 0u, 0u, 1u, 0u,
			(unsigned)size, 0u, 0u, 0u, 0u, (unsigned)name, 0u);
		out = mempcpy(out, files[i].path, name);
		out += (4 - (110 + name) % 4) % 4;
		out = mempcpy(out, files[i].text, size);
		out += (4 - size % 4) % 4;
	}
	return (struct bytes){ data, (size_t)(out - data) };
}

/* What every Proxmox host here has: two kernels, their images, /etc. */
static struct tree host(struct arena *arena, const char *cmdline)
{
	struct tree tree = tree_new(arena);
	tree_file(&tree, "/proc/sys/kernel/osrelease", "6.5.13-6-pve\n");
	tree_file(&tree, "/proc/cmdline", cmdline);
	tree_file(&tree, "/proc/mounts", "rpool/ROOT/pve-1 / zfs rw 0 0\n");
	static const char *const df[] = { "df", "-Pk", NULL };
	tree_run(&tree, df, 0,
	        "Filesystem       1024-blocks    Used Available Capacity Mounted on\n"
	        "rpool/ROOT/pve-1   461733120 9871232 451861888       3% /\n"
	        "/dev/sdb1             102400    2400    100000       3% /mnt/with a blank\n"
	        "- broken line -\n");
	tree_directory(&tree, "/etc/pve");
	tree_directory(&tree, "/sys/firmware");
	tree_file(&tree, "/boot/vmlinuz-6.5.13-6-pve", "");
	tree_file(&tree, "/boot/vmlinuz-6.8.12-10-pve", "");
	tree_file(&tree, "/boot/vmlinuz-6.8.12-4-pve", "");
	tree_file(&tree, "/boot/vmlinuz-6.8.12-4-pve.dpkg-tmp", "");
	tree_bytes(&tree, "/boot/initrd.img-6.5.13-6-pve", image_with(arena, "blacklist old\n"))->stat.mtime = 100;
	tree_bytes(&tree, "/boot/initrd.img-6.8.12-10-pve", image_with(arena, "blacklist next\n"))->stat.mtime = 200;
	tree_bytes(&tree, "/boot/initrd.img-6.8.12-4-pve", image_with(arena, "blacklist between\n"))->stat.mtime = 150;
	tree_file(&tree, "/etc/modprobe.d/vfio.conf", "blacklist now\n")->stat.mtime = 300;
	tree_file(&tree, "/etc/modprobe.d/old.conf", "")->stat.mtime = 30;
	tree_file(&tree, "/etc/initramfs-tools/modules", "vfio\n")->stat.mtime = 20;
	tree_file(&tree, "/lib/modules/6.8.12-10-pve/modules.builtin",
		"kernel/drivers/vfio/vfio.ko\nkernel/drivers/vfio/pci/vfio-pci.ko\n");
	tree_file(&tree, "/lib/modules/6.8.12-10-pve/modules.alias",
		"# comment\nalias pci:v000010DEd*sv*sd*bc03sc*i* nouveau\nalias usb:v1 bc03\n"
		"alias pci:v00001002d000067DFsv*sd*bc*sc*i* amdgpu\nalias pci:v00008086d00001533sv*sd*bc*sc*i* igb\n");
	tree_link(&tree, "/lib/modules/6.8.12-10-pve/build", "/usr/src/linux-headers-6.8.12-10-pve");
	tree_directory(&tree, "/usr/src/linux-headers-6.5.13-6-pve");
	return tree;
}

static void put_efi(struct tree *tree, const char *loader_info, const char *entry, bool secure)
{
	struct arena *arena = tree->arena;
	tree_bytes(tree, EFIVARS "SecureBoot" GUID_EFI, (struct bytes){ secure ? "\6\0\0\0\1" : "\6\0\0\0\0", 5 });
	tree_bytes(tree, EFIVARS "BootCurrent" GUID_EFI, (struct bytes){ "\6\0\0\0\x1a\0", 6 });
	tree_bytes(tree, EFIVARS "Boot001A" GUID_EFI, efi_entry(arena, "x", entry));
	if (loader_info)
		tree_bytes(tree, EFIVARS "LoaderInfo" GUID_LOADER, efi_text(arena, loader_info));
}

static struct boot gather(struct tree *tree, struct blinds *blinds)
{
	struct boot boot = {0};
	*blinds = (struct blinds){ tree->arena, "", 0 };
	boot_gather(tree_world(tree), false, tree->arena, &boot, tree_blind, blinds);
	return boot;
}

static const char systemd_cmdline[] = "initrd=\\EFI\\proxmox\\6.5.13-6-pve\\initrd.img-6.5.13-6-pve root=ZFS=rpool/ROOT/pve-1 "
				      "boot=zfs";

static void put_systemd(struct tree *tree)
{
	put_efi(tree, "systemd-boot 252.5-2", "\\EFI\\systemd\\systemd-bootx64.efi", false);
	tree_file(tree, "/etc/kernel/cmdline", "root=ZFS=rpool/ROOT/pve-1 boot=zfs\n");
	tree_file(tree, "/etc/kernel/proxmox-boot-uuids", "8C0E-1D4E\n\nrubbish\n8C0F-5D3B\n");
	tree_link(tree, "/dev/disk/by-uuid/8C0E-1D4E", "../../sda2");
	tree_link(tree, "/dev/disk/by-uuid/8C0F-5D3B", "../../sdb2");
	tree_file(tree, "/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet intel_iommu=on iommu=pt\"\n");
	static const char *const fsck[][5] = { { "fsck.fat", "-n", "-v", "/dev/disk/by-uuid/8C0E-1D4E" },
		{ "fsck.fat", "-n", "-v", "/dev/disk/by-uuid/8C0F-5D3B" } };
	tree_run(tree, fsck[0], 0, "      4096 bytes per cluster\n/dev/sda2: 22 files, 40114/130812 clusters\n");
	tree_run(tree, fsck[1], 1, "Got 0 bytes instead of 512 at 0\n");
}

/* What fsck.fat says of a real FAT file system equals what was made; and what it does not say is unknown. */
static void test_fat_space(void **state)
{
	static const struct {
		const char *text;
		int64_t free;
	} texts[] = {
		{ "      4096 bytes per cluster\n/dev/x: 22 files, 40114/130812 clusters\n", 362792 },
		{ "       512 bytes per cluster\na/b 7 files, 1/2 clusters: 0 files, 0/3 clusters\n", 1 },
		{ "/dev/x: 22 files, 40114/130812 clusters\n", -1 },
		{ "      4096 bytes per cluster\n", -1 },
		{ "      4096 bytes per cluster\nx: 1 files, 5/4 clusters\n", -1 },
		{ "      4096 bytes per cluster\nx: 1 files, /4 clusters\n", -1 },
		{ "      4096 bytes per cluster\nx: 1 files, 1/ clusters\n", -1 },
		{ "  99999999 bytes per cluster\nx: 1 files, 1/4 clusters\n", -1 },
		{ "      4096 bytes per cluster\nx: 1 files, 1/99999999999999999999999999 clusters\n", -1 },
		{ "", -1 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		if (boot_parse_fat(bytes_of(texts[i].text)) != texts[i].free)
			fail_msg("%zu: %lld", i, (long long)boot_parse_fat(bytes_of(texts[i].text)));
	if (system("command -v mkfs.fat fsck.fat >/dev/null") != 0)
		skip();
	struct arena arena ARENA_SCOPED = { 0 };
	char folder[] = "/tmp/gpuferry-fat-XXXXXX";
	assert_non_null(mkdtemp(folder));
	const char *make = arena_printf(&arena,
	        "cd %s && truncate -s 64M esp && mkfs.fat -F 32 -s 2 esp >/dev/null && fsck.fat -n -v esp >said", folder);
	assert_int_equal(system(make), 0);
	int64_t free = boot_parse_fat(test_read(&arena, arena_printf(&arena, "%s/said", folder)));
	assert_in_range(free, 64 * 1024 - 1024, 64 * 1024); /* but for its two tables */
	assert_int_equal(system(arena_printf(&arena, "rm -r %s", folder)), 0);
}

/* pains.md 1: a ZFS host with systemd-boot, and the words in GRUB's file. */
static void test_systemd_boot(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct tree tree = host(&arena, systemd_cmdline);
	struct blinds blinds;
	put_systemd(&tree);
	struct boot boot = gather(&tree, &blinds);
	assert_string_equal(blinds.text, "");
	assert_int_equal(boot.loader, LOADER_SYSTEMD_BOOT);
	assert_non_null(strstr(boot.loader_why, "systemd-boot 252.5-2"));
	assert_int_equal(boot.efi, YES);
	assert_int_equal(boot.secure_boot, NO);
	assert_int_equal(boot.proxmox_boot_tool, YES);
	assert_string_equal(boot.boot_current, "x \\EFI\\systemd\\systemd-bootx64.efi");
	assert_string_equal(boot.cmdline_file, "/etc/kernel/cmdline");
	assert_string_equal(boot.cmdline_next, "root=ZFS=rpool/ROOT/pve-1 boot=zfs");
	assert_int_equal(boot.n_next_words, 2);
	assert_string_equal(boot.other_file, "/etc/default/grub");
	assert_string_equal(boot.other_cmdline, "intel_iommu=on iommu=pt");
	assert_string_equal(boot.kernel, "6.5.13-6-pve");
	assert_string_equal(boot.kernel_next, "6.8.12-10-pve");
	assert_string_equal(boot.kernel_pinned, NONE);
	assert_null(boot.cmdline_generated); /* on an ESP that is not mounted */
	assert_int_equal(boot.n_esps, 2);
	assert_int_equal(boot.esps[0].mounted, NO);
	assert_string_equal(boot.esps[0].mountpoint, NONE);
	assert_int_equal(boot.esps[0].free_kib, 362792);
	assert_int_equal(boot.esps[1].free_kib, UNKNOWN_NUMBER);
}

static void test_kernels(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct tree tree = host(&arena, systemd_cmdline);
	struct blinds blinds;
	put_systemd(&tree);
	struct boot boot = gather(&tree, &blinds);
	assert_int_equal(boot.kernels_known, YES);
	assert_int_equal(boot.n_kernels, 3);
	assert_string_equal(boot.kernels[0].version, "6.8.12-10-pve");
	assert_string_equal(boot.kernels[1].version, "6.8.12-4-pve");
	assert_null(boot_kernel(&boot, "6.8.12"));
	const struct kernel *next = boot_kernel(&boot, boot.kernel_next);
	assert_int_equal(next->headers, NO); /* the build link leads nowhere */
	assert_int_equal(boot.kernels[2].headers, YES);
	assert_int_equal(next->builtin_known, YES);
	assert_int_equal(next->builtin.n, 2);
	assert_string_equal(next->builtin.word[1], "vfio_pci");
	assert_int_equal(boot.kernels[1].builtin_known, UNKNOWN);
	assert_string_equal(next->aliases.data, "alias pci:v000010DEd*sv*sd*bc03sc*i* nouveau\n"
						"alias pci:v00001002d000067DFsv*sd*bc*sc*i* amdgpu\n");
	/* /boot's was read, the two on ESPs cannot be seen */
	assert_int_equal(next->n_initramfs, 3);
	assert_int_equal(next->initramfs[0]->known, YES);
	assert_string_equal(next->initramfs[0]->place, "/boot");
	assert_true(modprobe_blacklisted(&next->initramfs[0]->modprobe, "next"));
	assert_int_equal(next->initramfs[0]->mtime, 200);
	assert_int_equal(next->initramfs[1]->known, NO);
	assert_string_equal(next->initramfs[1]->place, "ESP 8C0E-1D4E");
	assert_string_equal(next->initramfs[1]->why, "its ESP is not mounted");
	const struct initramfs *between = boot.kernels[1].initramfs[0];
	assert_int_equal(between->known, UNKNOWN);
	assert_int_equal(between->mtime, 150);
	assert_int_equal(boot.kernels[2].initramfs[0]->known, YES); /* the running one */
	assert_int_equal(boot.config_mtime, 300);
	assert_string_equal(boot.config_newest, "/etc/modprobe.d/vfio.conf");
	assert_true(modprobe_blacklisted(&boot.modprobe, "now"));
	assert_string_equal(boot.initramfs_modules.loads[0].module, "vfio");
}

static void test_mounted_esp(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct tree tree = host(&arena, systemd_cmdline);
	struct blinds blinds;
	put_systemd(&tree);
	tree_file(&tree, "/proc/mounts", "/dev/sda20 /wrong vfat rw 0 0\n/dev/sda2 /mnt/e\\040sp vfat rw 0 0\n");
	tree_file(&tree, "/mnt/e sp/loader/loader.conf", "timeout 3\ndefault proxmox-*\n");
	tree_file(&tree, "/mnt/e sp/loader/entries/proxmox-6.8.12-10-pve.conf",
		"title Proxmox\nversion 6.8.12-10-pve\noptions  root=ZFS=rpool/ROOT/pve-1 boot=zfs iommu=pt\n");
	tree_bytes(&tree, "/mnt/e sp/EFI/proxmox/6.8.12-10-pve/initrd.img-6.8.12-10-pve", image_with(&arena, "blacklist esp\n"));
	struct boot boot = gather(&tree, &blinds);
	assert_int_equal(boot.esps[0].mounted, YES);
	assert_string_equal(boot.esps[0].mountpoint, "/mnt/e sp");
	assert_int_equal(boot.esps[0].free_kib, 451861888); /* df's, of the file system it is on */
	assert_string_equal(boot.esps[0].mode, "uefi");
	assert_int_equal(boot.esps[0].kernels.n, 1);
	assert_int_equal(boot.esps[1].mounted, NO);
	assert_string_equal(boot.cmdline_generated, "root=ZFS=rpool/ROOT/pve-1 boot=zfs iommu=pt");
	const struct kernel *next = boot_kernel(&boot, boot.kernel_next);
	assert_int_equal(next->n_initramfs, 3);
	assert_int_equal(next->initramfs[1]->known, YES);
	assert_true(modprobe_blacklisted(&next->initramfs[1]->modprobe, "esp"));
}

static void test_pins(void **state)
{
	(void)state;
	static const struct {
		const char *pin, *once, *efivar, *next;
	} rows[] = {
		{ "6.8.12-4-pve\n", NULL, NULL, "6.8.12-4-pve" },
		{ "6.8.12-4-pve\n", "6.5.13-6-pve\n", NULL, "6.5.13-6-pve" },
		{ "6.0-gone\n", NULL, NULL, NULL },
		{ "6.8.12-4-pve\n", NULL, "proxmox-6.5.13-6-pve.conf", "6.5.13-6-pve" },
		{ NULL, NULL, "windows.conf", NULL },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena arena ARENA_SCOPED = {0};
		struct tree tree = host(&arena, systemd_cmdline);
		struct blinds blinds;
		put_systemd(&tree);
		if (rows[i].pin)
			tree_file(&tree, "/etc/kernel/proxmox-boot-pin", rows[i].pin);
		if (rows[i].once)
			tree_file(&tree, "/etc/kernel/next-boot-pin", rows[i].once);
		if (rows[i].efivar)
			tree_bytes(&tree, EFIVARS "LoaderEntryOneShot" GUID_LOADER, efi_text(&arena, rows[i].efivar));
		struct boot boot = gather(&tree, &blinds);
		if (!rows[i].next)
			assert_null(boot.kernel_next);
		else
			assert_string_equal(boot.kernel_next, rows[i].next);
	}
}

static const char grub_cmdline[] = "BOOT_IMAGE=/boot/vmlinuz-6.5.13-6-pve root=/dev/mapper/pve-root ro quiet";

static void put_grub(struct tree *tree)
{
	struct arena *arena = tree->arena;
	char start[2048];
	snprintf(start, sizeof start, menu_start, "0");
	tree_file(tree, "/etc/default/grub",
		"GRUB_DEFAULT=0\nGRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`\n"
		"GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"consoleblank=0\"\n");
	tree_file(tree, "/etc/default/grub.d/a.cfg", "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT iommu=pt\"\n");
	tree_file(tree, "/etc/default/grub.d/b.cfg.bak", "GRUB_CMDLINE_LINUX_DEFAULT=wrong\n");
	tree_file(tree, "/boot/grub/grub.cfg", arena_printf(arena, "%s%s", start, menu_rest));
	tree_file(tree, "/etc/kernel/cmdline", "root=x intel_iommu=on quiet vfio-pci.ids=1:2\n");
}

static void test_grub(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct tree tree = host(&arena, grub_cmdline);
	struct blinds blinds;
	put_grub(&tree);
	struct boot boot = gather(&tree, &blinds);
	assert_string_equal(blinds.text, "");
	assert_int_equal(boot.efi, NO);
	assert_int_equal(boot.secure_boot, NO);
	assert_string_equal(boot.loader_info, NONE);
	assert_int_equal(boot.loader, LOADER_GRUB);
	assert_int_equal(boot.proxmox_boot_tool, NO);
	assert_string_equal(boot.cmdline_next, "consoleblank=0 quiet iommu=pt");
	assert_string_equal(boot.cmdline_generated, "root=/dev/mapper/pve-root ro quiet");
	assert_string_equal(boot.kernel_next, "6.8.12-4-pve"); /* grub.cfg does not know the newest yet */
	assert_int_equal(boot.n_next_words, 3);
	assert_string_equal(boot.next_words[1].word, "quiet");
	assert_string_equal(boot.next_words[1].file, "/etc/default/grub");
	assert_int_equal(boot.next_words[1].line, 3);
	assert_string_equal(boot.next_words[2].file, "/etc/default/grub.d/a.cfg");
	assert_string_equal(boot.other_file, "/etc/kernel/cmdline");
	assert_string_equal(boot.other_cmdline, "intel_iommu=on vfio-pci.ids=1:2");
}

static void test_grub_on_esp(void **state)
{
	(void)state;
	static const struct {
		const char *grub_default, *next;
	} rows[] = {
		{ "0", "6.8.12-10-pve" },
		{ "\"gnulinux-advanced-1>gnulinux-6.8.12-4-pve-advanced-1\"", "6.8.12-4-pve" },
		{ "saved", NULL },
		{ "`x`", NULL },
		{ "2", NULL },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena arena ARENA_SCOPED = {0};
		struct tree tree = host(&arena, grub_cmdline);
		struct blinds blinds;
		put_grub(&tree);
		tree_file(&tree, "/etc/kernel/proxmox-boot-uuids", "8C0E-1D4E\n");
		tree_link(&tree, "/dev/disk/by-uuid/8C0E-1D4E", "../../sda2");
		tree_file(&tree, "/etc/default/grub.d/proxmox-kernel-pin.cfg",
			arena_printf(&arena, "GRUB_DEFAULT=%s\n", rows[i].grub_default));
		struct boot boot = gather(&tree, &blinds);
		assert_null(boot.cmdline_generated); /* /boot's grub.cfg is not the one that boots */
		if (rows[i].next)
			assert_string_equal(boot.kernel_next, rows[i].next);
		else
			assert_null(boot.kernel_next);
	}
}

static void test_grub_uncertain(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct tree tree = host(&arena, grub_cmdline);
	struct blinds blinds;
	put_grub(&tree);
	tree_file(&tree, "/etc/default/grub.d/z.cfg", ". /etc/default/other\n");
	struct boot boot = gather(&tree, &blinds);
	assert_null(boot.cmdline_next);
	assert_int_equal(boot.n_next_words, 3);
	assert_non_null(strstr(blinds.text, "/etc/default/grub"));
}

static void test_loader(void **state)
{
	(void)state;
	static const struct {
		const char *cmdline, *info, *entry;
		bool secure, status;
		enum loader loader;
	} rows[] = {
		{ "root=x", "systemd-boot 257", "\\EFI\\BOOT\\BOOTX64.EFI", false, false, LOADER_SYSTEMD_BOOT },
		{ "root=x", "GRUB 2.12", "\\EFI\\BOOT\\BOOTX64.EFI", false, false, LOADER_GRUB },
		{ "root=x", "rEFInd 0.13", "\\EFI\\refind\\refind_x64.efi", false, false, LOADER_UNKNOWN },
		{ "root=x", NULL, "\\EFI\\proxmox\\shimx64.efi", true, false, LOADER_GRUB },
		{ "root=x", NULL, "\\EFI\\PROXMOX\\GRUBX64.EFI", false, false, LOADER_GRUB },
		{ "root=x", NULL, "\\EFI\\systemd\\systemd-bootx64.efi", false, false, LOADER_SYSTEMD_BOOT },
		{ "root=x", NULL, "\\EFI\\BOOT\\BOOTX64.EFI", false, false, LOADER_UNKNOWN },
		{ "root=x", NULL, "\\EFI\\BOOT\\BOOTX64.EFI", true, false, LOADER_GRUB },
		{ "root=x", NULL, "\\EFI\\BOOT\\BOOTX64.EFI", false, true, LOADER_SYSTEMD_BOOT },
		{ "initrd=\\EFI\\x root=x BOOT_IMAGE=y", NULL, "\\EFI\\BOOT\\BOOTX64.EFI", false, false, LOADER_SYSTEMD_BOOT },
		{ "root=x BOOT_IMAGE=/y", NULL, "\\EFI\\BOOT\\BOOTX64.EFI", false, false, LOADER_UNKNOWN },
		{ "BOOT_IMAGE=/boot/vmlinuz root=x", NULL, "\\EFI\\BOOT\\BOOTX64.EFI", false, true, LOADER_GRUB },
		{ "BOOT_IMAGE=/boot/vmlinuz root=x", "systemd-boot 252", "\\EFI\\BOOT\\BOOTX64.EFI", false, false, LOADER_UNKNOWN },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena arena ARENA_SCOPED = {0};
		struct tree tree = host(&arena, rows[i].cmdline);
		struct blinds blinds;
		put_efi(&tree, rows[i].info, rows[i].entry, rows[i].secure);
		if (rows[i].status) {
			tree_file(&tree, "/etc/kernel/proxmox-boot-uuids", "8C0E-1D4E\n");
			tree_run(&tree, (const char *[]){ "proxmox-boot-tool", "status", NULL }, 0,
				"System currently booted with uefi\n8C0E-1D4E is configured with: uefi (versions: 6.8)\n");
		}
		struct boot boot = gather(&tree, &blinds);
		if (boot.loader != rows[i].loader)
			fail_msg("row %zu: %d, %s", i, boot.loader, boot.loader_why);
		assert_non_null(boot.loader_why);
	}
}

/* efivarfs that is not mounted is an empty folder: nothing is known from it. */
static void test_efivars_unmounted(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct tree tree = host(&arena, "root=x");
	struct blinds blinds;
	tree_directory(&tree, "/sys/firmware/efi/efivars");
	struct boot boot = gather(&tree, &blinds);
	assert_int_equal(boot.efi, YES);
	assert_int_equal(boot.secure_boot, UNKNOWN);
	assert_null(boot.loader_info);
	assert_null(boot.boot_current);
	assert_non_null(strstr(blinds.text, "LoaderInfo"));
}

/* A tree that nobody asked about booting: all of it unknown, nothing guessed. */
static void test_nothing_known(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct tree tree = { .arena = &arena, .tape = tape_new(&arena, 0) };
	tree.node = tape_target(tree.tape, &arena, "node");
	tree.node->partial = true;
	tree_file(&tree, "/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
	struct blinds blinds;
	struct boot boot = gather(&tree, &blinds);
	assert_null(boot.kernel);
	assert_null(boot.cmdline);
	assert_int_equal(boot.loader, LOADER_UNKNOWN);
	assert_int_equal(boot.efi, UNKNOWN);
	assert_int_equal(boot.secure_boot, UNKNOWN);
	assert_int_equal(boot.proxmox_boot_tool, UNKNOWN);
	assert_null(boot.loader_info);
	assert_null(boot.boot_current);
	assert_null(boot.cmdline_next);
	assert_null(boot.other_cmdline);
	assert_null(boot.kernel_next);
	assert_null(boot.kernel_pinned);
	assert_int_equal(boot.kernels_known, UNKNOWN);
	assert_int_equal(boot.modprobe.known, UNKNOWN);
	assert_int_equal(boot.initramfs_modules.known, UNKNOWN);
	assert_int_equal(boot.config_mtime, UNKNOWN_NUMBER);
	assert_true(blinds.n > 5);
}

static void test_this_machine(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct err err = {0};
	struct world *world = world_open_root(NULL, false, &arena, &err);
	assert_non_null(world);
	struct boot boot = {0};
	struct blinds blinds = { &arena, "", 0 };
	boot_gather(world, false, &arena, &boot, tree_blind, &blinds);
	world_close(world);
	print_message("# kernel %s, loader %d (%s), %zu kernels; blind: %s\n", boot.kernel, boot.loader, boot.loader_why,
		boot.n_kernels, blinds.text);
	assert_non_null(boot.kernel);
	assert_non_null(boot.cmdline);
}

/* ---- captures -------------------------------------------------------------------- */

static void test_captures(void **state)
{
	(void)state;
	const char *data = test_data("GPUFERRY_DATA");
	char from[4096];
	snprintf(from, sizeof from, "%s/boot", data ? data : "/nonexistent");
	DIR *captures = opendir(from);
	if (!captures) {
		print_message("# no captures here\n");
		skip();
	}
	struct arena arena ARENA_SCOPED = {0};
	size_t grubs = 0, words = 0, uncertain = 0;
	for (struct dirent *entry; (entry = readdir(captures));) {
		if (!text_ends(entry->d_name, "grub.txt"))
			continue;
		struct grub_defaults got = { .certain = true };
		struct bytes text = test_read(&arena, arena_printf(&arena, "%s/%s", from, entry->d_name));
		boot_parse_grub(text, entry->d_name, &arena, &got);
		const char *value = boot_grub_value(&got, "GRUB_CMDLINE_LINUX_DEFAULT");
		if (strstr(text.data, "\nGRUB_CMDLINE_LINUX_DEFAULT=") && !value)
			fail_msg("%s: GRUB_CMDLINE_LINUX_DEFAULT is lost", entry->d_name);
		words += boot_cmdline_words(value, &arena).n;
		uncertain += !got.certain;
		grubs++;
	}
	closedir(captures);
	print_message("# %zu grub files, %zu words, %zu uncertain\n", grubs, words, uncertain);
	assert_true(grubs > 0 && words > grubs);
	assert_true(uncertain < grubs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_space), cmocka_unit_test(test_cmdline),
		cmocka_unit_test(test_grub_defaults),
		cmocka_unit_test(test_grub_bomb),
		cmocka_unit_test(test_grub_menu),
		cmocka_unit_test(test_efivars),
		cmocka_unit_test(test_pbt_status),
		cmocka_unit_test(test_systemd_boot),
		cmocka_unit_test(test_fat_space),
		cmocka_unit_test(test_kernels),
		cmocka_unit_test(test_mounted_esp),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_grub),
		cmocka_unit_test(test_grub_on_esp),
		cmocka_unit_test(test_grub_uncertain),
		cmocka_unit_test(test_loader),
		cmocka_unit_test(test_efivars_unmounted),
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_this_machine),
		cmocka_unit_test(test_captures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
