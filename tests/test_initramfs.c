/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <unistd.h>

#include "facts/initramfs.h"

/* ---- images, made by libarchive's own writer --------------------------- */

struct member {
	const char *path, *text, *link;
};

static struct bytes make_part(struct arena *arena, const struct member *members, size_t n, int filter)
{
	enum { ROOM = 4 * 1024 * 1024 };
	char *buffer = arena_alloc(arena, ROOM);
	size_t used = 0;
	struct archive *archive = archive_write_new();
	assert_int_equal(archive_write_set_format_cpio_newc(archive), ARCHIVE_OK);
	assert_int_equal(archive_write_add_filter(archive, filter), ARCHIVE_OK);
	archive_write_set_bytes_per_block(archive, 1);
	assert_int_equal(archive_write_open_memory(archive, buffer, ROOM, &used), ARCHIVE_OK);
	for (size_t i = 0; i < n; i++) {
		struct archive_entry *entry = archive_entry_new();
		archive_entry_set_pathname(entry, members[i].path);
		archive_entry_set_ino(entry, (la_int64_t)i + 1);
		archive_entry_set_perm(entry, 0644);
		if (members[i].link) {
			archive_entry_set_filetype(entry, AE_IFLNK);
			archive_entry_set_symlink(entry, members[i].link);
			archive_entry_set_size(entry, 0);
		} else {
			archive_entry_set_filetype(entry, AE_IFREG);
			archive_entry_set_size(entry, (la_int64_t)strlen(members[i].text));
		}
		assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
		if (!members[i].link)
			archive_write_data(archive, members[i].text, strlen(members[i].text));
		archive_entry_free(entry);
	}
	assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
	archive_write_free(archive);
	return (struct bytes){ buffer, used };
}

static struct bytes joined(struct arena *arena, struct bytes one, size_t zeros, struct bytes two)
{
	char *data = arena_alloc(arena, one.size + zeros + two.size + 1);
	memcpy(data, one.data, one.size);
	memcpy(data + one.size + zeros, two.data, two.size);
	return (struct bytes){ data, one.size + zeros + two.size };
}

static const struct member early[] = { { "kernel/x86/microcode/GenuineIntel.bin", "microcode", NULL } };

#define FOLDER "usr/lib/modules/6.8.12-4-pve/kernel/drivers/"
static const struct member tree[] = {
	{ "conf/initramfs.conf", "MODULES=most\n", NULL },
	{ "conf/modules", "# none\nvfio-pci ids=10de:2803\n", NULL },
	{ "etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:2803\n", NULL },
	{ "etc/modprobe.d/b.conf", "blacklist nouveau\n", NULL },
	{ "etc/modprobe.d/masked.conf", NULL, "/dev/null" },
	{ "etc/modprobe.d/linked.conf", NULL, "../../lib/modprobe.d/target.conf" },
	{ "etc/modprobe.d/README", "blacklist readme\n", NULL },
	{ "etc/passwd", "root:x:0:0\n", NULL },
	{ "init", "#!/bin/sh\n", NULL },
	{ "scripts/init-top/ORDER", "/scripts/init-top/gpuferry \"$@\"\n[ -e /conf/param.conf ] && . /conf/param.conf\n"
				    "/scripts/init-top/udev \"$@\"\n",
		NULL },
	{ "scripts/init-top/udev", "#!/bin/sh\n", NULL },
	{ "scripts/init-top/gpuferry", "#!/bin/sh\n# bind\n", NULL },
	{ FOLDER "vfio/pci/vfio-pci.ko.zst", "zst", NULL },
	{ FOLDER "gpu/drm/i915/i915.ko", "elf", NULL },
	{ FOLDER "gpu/drm/xe.ko.xz", "xz", NULL },
	{ FOLDER "x.ko.txt", "no module", NULL },
	{ "usr/lib/modprobe.d/b.conf", "blacklist hidden\n", NULL },
	{ "usr/lib/modprobe.d/masked.conf", "blacklist masked\n", NULL },
	{ "usr/lib/modprobe.d/target.conf", "blacklist linked\n", NULL },
	{ "usr/lib/modprobe.d/a.conf", "softdep i915 pre: vfio-pci\n", NULL },
};

static struct bytes make_image(struct arena *arena, int filter)
{
	return joined(arena, make_part(arena, early, COUNT(early), ARCHIVE_FILTER_NONE), 37 * 4,
		make_part(arena, tree, COUNT(tree), filter));
}

static struct initramfs parse(struct arena *arena, struct bytes image)
{
	struct initramfs got = {0};
	struct err err = {0};
	if (!initramfs_parse(image, arena, &err, &got))
		fail_msg("%s", err.text);
	return got;
}

static void assert_tree(const struct initramfs *got)
{
	static const char *const modules[] = { "i915", "vfio_pci", "xe" };
	static const struct { const char *module, *file; } lines[] = {
		{ "i915", "/usr/lib/modprobe.d/a.conf" }, { "nouveau", "/etc/modprobe.d/b.conf" },
		{ "linked", "/etc/modprobe.d/linked.conf" }, { "linked", "/usr/lib/modprobe.d/target.conf" },
		{ "vfio_pci", "/etc/modprobe.d/vfio.conf" } };
	assert_int_equal(got->known, YES);
	assert_int_equal(got->modules.n, COUNT(modules));
	for (size_t i = 0; i < COUNT(modules); i++)
		assert_string_equal(got->modules.word[i], modules[i]);
	assert_true(initramfs_holds(got, "vfio-pci"));
	assert_false(initramfs_holds(got, "nouveau"));
	assert_int_equal(got->modprobe.n, COUNT(lines));
	for (size_t i = 0; i < COUNT(lines); i++) {
		assert_string_equal(got->modprobe.lines[i].module, lines[i].module);
		assert_string_equal(got->modprobe.lines[i].file, lines[i].file);
	}
	assert_int_equal(got->modprobe.n_loads, 1);
	assert_string_equal(got->modprobe.loads[0].rest, "ids=10de:2803");
	assert_int_equal(got->early_scripts.n, 2);
	assert_string_equal(got->early_scripts.word[0], "gpuferry");
	assert_string_equal(got->early_scripts.word[1], "udev");
	for (size_t i = 0; i < got->n_files; i++)
		assert_string_not_equal(got->files[i].path, "etc/passwd");
}

static const struct { const char *name; int filter; } filters[] = {
	{ "none", ARCHIVE_FILTER_NONE }, { "gzip", ARCHIVE_FILTER_GZIP }, { "zstd", ARCHIVE_FILTER_ZSTD },
	{ "xz", ARCHIVE_FILTER_XZ }, { "lz4", ARCHIVE_FILTER_LZ4 }, { "bzip2", ARCHIVE_FILTER_BZIP2 },
	{ "lzma", ARCHIVE_FILTER_LZMA } };

static void test_compressions(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(filters); i++) {
		struct arena arena ARENA_SCOPED = {0};
		print_message("# %s\n", filters[i].name);
		struct initramfs got = parse(&arena, make_image(&arena, filters[i].filter));
		assert_tree(&got);
	}
}

/* A cut image is never taken for a whole one. */
static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(filters); i++) {
		struct arena arena ARENA_SCOPED = {0};
		struct bytes image = make_image(&arena, filters[i].filter);
		size_t border = make_part(&arena, early, COUNT(early), ARCHIVE_FILTER_NONE).size + 37 * 4;
		/* the plain archive ends in zero bytes that may be missing */
		size_t slack = filters[i].filter == ARCHIVE_FILTER_NONE ? 4 : 0;
		for (size_t size = image.size - 1 - slack; size > border; size -= 1 + size / 97) {
			struct initramfs got = {0};
			struct err err = {0};
			if (initramfs_parse((struct bytes){ image.data, size }, &arena, &err, &got))
				fail_msg("%s: %zu of %zu bytes were enough", filters[i].name, size, image.size);
			assert_int_equal(err.kind, ERR_INPUT);
			assert_true(err.text[0] != '\0');
			assert_null(got.files);
		}
	}
}

static void assert_same(const struct initramfs *one, const struct initramfs *two)
{
	assert_int_equal(one->n_files, two->n_files);
	for (size_t i = 0; i < one->n_files; i++) {
		assert_string_equal(one->files[i].path, two->files[i].path);
		assert_int_equal(one->files[i].data.size, two->files[i].data.size);
		assert_memory_equal(one->files[i].data.data, two->files[i].data.data, one->files[i].data.size);
	}
	assert_int_equal(one->modules.n, two->modules.n);
	for (size_t i = 0; i < one->modules.n; i++)
		assert_string_equal(one->modules.word[i], two->modules.word[i]);
	assert_int_equal(one->modprobe.n, two->modprobe.n);
	assert_int_equal(one->early_scripts.n, two->early_scripts.n);
}

static void assert_reduces(struct arena *arena, struct bytes image)
{
	struct err err = {0};
	struct bytes small = {0}, again = {0};
	struct initramfs whole = parse(arena, image);
	assert_true(initramfs_reduce(image, arena, &err, &small));
	struct initramfs reduced = parse(arena, small);
	assert_same(&whole, &reduced);
	assert_true(initramfs_reduce(small, arena, &err, &again));
	assert_int_equal(small.size, again.size);
	assert_memory_equal(small.data, again.data, small.size);
}

static void test_reduce(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	assert_reduces(&arena, make_image(&arena, ARCHIVE_FILTER_ZSTD));
	struct err err = {0};
	struct bytes small = {0};
	assert_false(initramfs_reduce(bytes_of("nothing"), &arena, &err, &small));
	/* libarchive reads what we wrote */
	assert_true(initramfs_reduce(make_image(&arena, ARCHIVE_FILTER_GZIP), &arena, &err, &small));
	struct archive *archive = archive_read_new();
	archive_read_support_format_cpio(archive);
	archive_read_open_memory(archive, small.data, small.size);
	struct archive_entry *entry = NULL;
	size_t n = 0;
	while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
		assert_non_null(archive_entry_pathname(entry));
		n += strcmp(archive_entry_pathname(entry), "etc/modprobe.d/vfio.conf") == 0 &&
		     archive_entry_size(entry) == 31;
	}
	archive_read_free(archive);
	assert_int_equal(n, 1);
}

static void test_later_wins(void **state)
{
	(void)state;
	static const struct member old[] = { { "./etc/modprobe.d/x.conf", "blacklist old\n", NULL } };
	static const struct member new[] = { { "/etc/modprobe.d/x.conf", "blacklist new\n", NULL } };
	struct arena arena ARENA_SCOPED = {0};
	struct bytes image = joined(&arena, make_part(&arena, old, 1, ARCHIVE_FILTER_NONE), 0,
		make_part(&arena, new, 1, ARCHIVE_FILTER_XZ));
	struct initramfs got = parse(&arena, image);
	assert_int_equal(got.modprobe.n, 1);
	assert_string_equal(got.modprobe.lines[0].module, "new");
}

/* ---- images by hand, for what no tool writes --------------------------- */

static char *put(char *out, const char *path, unsigned links, unsigned inode, unsigned size, const char *text)
{
	unsigned name = (unsigned)strlen(path) + 1;
	out += sprintf(out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode, 0100644u, 0u, 0u, links,
		0u, size, 0u, 0u, 0u, 0u, name, 0u);
	out = mempcpy(out, path, name);
	out += (4 - (110 + name) % 4) % 4;
	if (text) {
		out = mempcpy(out, text, size);
		out += (4 - size % 4) % 4;
	}
	return out;
}

static void test_hard_links(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	char *data = arena_alloc(&arena, 4096), *out = data;
	out = put(out, "etc/modprobe.d/a.conf", 2, 7, 0, "");
	out = put(out, "etc/modprobe.d/b.conf", 2, 7, 12, "blacklist x\n");
	out = put(out, "TRAILER!!!", 1, 0, 0, "");
	struct initramfs got = parse(&arena, (struct bytes){ data, (size_t)(out - data) });
	assert_int_equal(got.modprobe.n, 2);
	assert_string_equal(got.modprobe.lines[0].file, "/etc/modprobe.d/a.conf");
}

static void assert_refused(struct bytes image, const char *why)
{
	struct arena arena ARENA_SCOPED = {0};
	struct initramfs got = {0};
	struct err err = {0};
	if (initramfs_parse(image, &arena, &err, &got))
		fail_msg("taken, and should be refused: %s", why);
	if (!strstr(err.text, why))
		fail_msg("refused with \"%s\" and not with \"%s\"", err.text, why);
}

static void test_refused(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	char *data = arena_alloc(&arena, 100 * 1024 * 1024), *out;
	assert_refused(bytes_of(""), "empty");
	assert_refused((struct bytes){ data, 100 * 1024 * 1024 }, "empty");
	assert_refused(bytes_of("not an image"), "not an initramfs");
	assert_refused(bytes_of("0707"), "cut");
	assert_refused(bytes_of("\x1f\x8b"), "gzip");
	assert_refused((struct bytes){ "\x5d\0\0\0\xff\xff\xff\xff", 8 }, "memory");
	memset(data, '0', 4096);
	assert_refused((struct bytes){ data, 4096 }, "no cpio");
	memset(data, 0, 8192);
	out = put(data, "TRAILER!!!", 1, 0, 0, "");
	assert_refused((struct bytes){ data, (size_t)(out - data) + 0 * sprintf(out, "junk") + 4 }, "something unknown");
	out = put(data, "a", 1, 1, 0xffffffff, NULL);
	assert_refused((struct bytes){ data, (size_t)(out - data) + 100 }, "1 GiB");
	out = put(data, "etc/modprobe.d/x.conf", 1, 1, 64 * 1024 * 1024, NULL);
	assert_refused((struct bytes){ data, 70 * 1024 * 1024 }, "too large");
	put(data, "a", 1, 1, 0, "");
	memcpy(data + 6 + 11 * 8, "ffffffff", 8);
	assert_refused((struct bytes){ data, 70 * 1024 * 1024 }, "a name of");
	memcpy(data + 6 + 11 * 8, "00000000", 8);
	assert_refused((struct bytes){ data, 70 * 1024 * 1024 }, "a name of");
	out = data;
	for (unsigned i = 0; i < 200001; i++)
		out = put(out, "a", 1, i, 0, "");
	assert_refused((struct bytes){ data, (size_t)(out - data) }, "200,000");
}

/* A few KiB that unpack to more than the limit: one frame of zeros, again and again. */
static void test_bomb(void **state)
{
	(void)state;
	enum { PIECE = 16 * 1024 * 1024, FRAMES = 66, ROOM = 65536 };
	struct arena arena ARENA_SCOPED = {0};
	char *zeros = arena_alloc(&arena, PIECE), *buffer = arena_alloc(&arena, (size_t)FRAMES * ROOM);
	size_t used = 0;
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	archive_write_set_format_raw(archive);
	archive_write_add_filter_zstd(archive);
	archive_write_set_filter_option(archive, "zstd", "compression-level", "1");
	archive_write_set_bytes_per_block(archive, 1);
	assert_int_equal(archive_write_open_memory(archive, buffer, ROOM, &used), ARCHIVE_OK);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_write_header(archive, entry);
	assert_int_equal(archive_write_data(archive, zeros, PIECE), PIECE);
	assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
	archive_write_free(archive);
	archive_entry_free(entry);
	for (size_t i = 1; i < FRAMES; i++)
		memcpy(buffer + i * used, buffer, used);
	assert_refused((struct bytes){ buffer, FRAMES * used }, "1 GiB");
}

/* ---- other tools' images ----------------------------------------------- */

static const char *const tools[] = { "gzip -9nc", "bzip2 -c", "xz -c --check=crc32", "lzma -c", "lz4 -lc", "lz4 -c",
	"zstd -qc19T0" };

static void test_tools(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	char folder[] = "/tmp/gpuferry-initramfs-XXXXXX";
	assert_non_null(mkdtemp(folder));
	char *plain = arena_printf(&arena, "%s/plain", folder), *packed = arena_printf(&arena, "%s/packed", folder);
	struct bytes image = make_part(&arena, tree, COUNT(tree), ARCHIVE_FILTER_NONE);
	FILE *file = fopen(plain, "wb");
	fwrite(image.data, 1, image.size, file);
	fclose(file);
	size_t tried = 0;
	for (size_t i = 0; i < COUNT(tools); i++) {
		char *command = arena_printf(&arena, "%s <%s >%s 2>/dev/null", tools[i], plain, packed);
		if (system(command) != 0) {
			print_message("# %s: not on this machine\n", tools[i]);
			continue;
		}
		struct initramfs got = parse(&arena, test_read(&arena, packed));
		assert_tree(&got);
		tried++;
	}
	unlink(plain);
	unlink(packed);
	rmdir(folder);
	if (!tried)
		skip();
}

static void test_real(void **state)
{
	(void)state;
	DIR *boot = opendir("/boot");
	size_t n = 0;
	for (struct dirent *entry; boot && (entry = readdir(boot));) {
		if (!text_starts(entry->d_name, "initrd.img-"))
			continue;
		struct arena arena ARENA_SCOPED = {0};
		char *path = arena_printf(&arena, "/boot/%s", entry->d_name);
		if (access(path, R_OK) != 0)
			continue;
		struct bytes image = test_read(&arena, path);
		struct initramfs got = parse(&arena, image);
		print_message("# %s: %zu modules, %zu files\n", path, got.modules.n, got.n_files);
		assert_true(got.n_files > 0);
		assert_reduces(&arena, image);
		n++;
	}
	if (boot)
		closedir(boot);
	if (!n) {
		print_message("# no initramfs on this machine\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compressions),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_reduce),
		cmocka_unit_test(test_later_wins),
		cmocka_unit_test(test_hard_links),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_tools),
		cmocka_unit_test(test_real),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
