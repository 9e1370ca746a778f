/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <libkmod.h>
#include <sys/stat.h>
#include <unistd.h>

#include "facts/modprobe.h"
#include "tree.h"

static struct modprobe parse(struct arena *arena, const char *text)
{
	struct modprobe modprobe = {0};
	modprobe_parse(bytes_of(text), "/etc/modprobe.d/x.conf", arena, &modprobe);
	return modprobe;
}

static void test_lines(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum modprobe_kind kind;
		const char *module, *rest;
		unsigned line;
	} rows[] = {
		{ "blacklist nouveau\n", MODPROBE_BLACKLIST, "nouveau", "", 1 },
		{ "# a comment\n\n  \t\nblacklist snd-hda-intel", MODPROBE_BLACKLIST, "snd_hda_intel", "", 4 },
		{ "blacklist nouveau # why", MODPROBE_BLACKLIST, "nouveau", "# why", 1 },
		{ " # blacklist nouveau", MODPROBE_UNKNOWN, "#", "blacklist nouveau", 1 },
		{ "blacklist nouveau\r\n", MODPROBE_BLACKLIST, "nouveau\r", "", 1 },
		{ "options\tvfio-pci   ids=10de:2803,10de:22bd  disable_vga=1 ", MODPROBE_OPTIONS, "vfio_pci",
			"ids=10de:2803,10de:22bd disable_vga=1", 1 },
		{ "options a b=\"x  y\"  c", MODPROBE_OPTIONS, "a", "b=\"x  y\" c", 1 },
		{ "\noptions vfio-pci \\\n  ids=1:2\nx", MODPROBE_OPTIONS, "vfio_pci", "ids=1:2", 2 },
		{ "options vfio-pci", MODPROBE_UNKNOWN, "options", "vfio-pci", 1 },
		{ "softdep nvidia pre:  vfio-pci post: x", MODPROBE_SOFTDEP, "nvidia", "pre: vfio-pci post: x", 1 },
		{ "alias pci:v*[0-9]-x my-module rest", MODPROBE_ALIAS, "pci:v*[0-9]-x", "my_module", 1 },
		{ "alias pci:v*[0-9 my", MODPROBE_UNKNOWN, "alias", "pci:v*[0-9 my", 1 },
		{ "install nouveau /bin/false", MODPROBE_INSTALL, "nouveau", "/bin/false", 1 },
		{ "remove a b c", MODPROBE_REMOVE, "a", "b c", 1 },
		{ "blacklisted nouveau", MODPROBE_UNKNOWN, "blacklisted", "nouveau", 1 },
		{ "blacklist", MODPROBE_UNKNOWN, "blacklist", "", 1 },
		{ "bl\\acklist a", MODPROBE_BLACKLIST, "a", "", 1 },
	};
	struct arena arena ARENA_SCOPED = {0};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct modprobe got = parse(&arena, rows[i].text);
		if (got.n == 0)
			fail_msg("row %zu: nothing found", i);
		assert_int_equal(got.lines[0].kind, rows[i].kind);
		assert_string_equal(got.lines[0].module, rows[i].module);
		assert_string_equal(got.lines[0].rest, rows[i].rest);
		assert_int_equal(got.lines[0].line, rows[i].line);
		assert_string_equal(got.lines[0].file, "/etc/modprobe.d/x.conf");
	}
}

static void test_zero_bytes(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	static const char text[] = "blacklist a\0b\nblacklist c\n";
	struct modprobe got = {0};
	modprobe_parse((struct bytes){ text, sizeof text - 1 }, "x", &arena, &got);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.lines[0].module, "a");
	assert_string_equal(got.lines[1].module, "c");
}

static void test_questions(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct modprobe got = parse(&arena, "blacklist snd-hda-intel\n"
					    "softdep nvidia post: nouveau pre: a vfio-pci\n"
					    "softdep drm pre:vfio-pci\n"
					    "softdep i915  pre: vfio-pci\n"
					    "softdep xe   pre: vfio-pci\n"
					    "options vfio-pci ids=1:2 disable_vga=1\n"
					    "options vfio_pci disable-vga=0 flag\n"
					    "alias nouveau off\n");
	assert_true(modprobe_blacklisted(&got, "snd_hda_intel"));
	assert_true(modprobe_blacklisted(&got, "snd-hda_intel"));
	assert_false(modprobe_blacklisted(&got, "snd_hda"));
	assert_false(modprobe_blacklisted(&got, "nouveau"));
	assert_true(modprobe_softdep(&got, "nvidia", "vfio_pci"));
	assert_false(modprobe_softdep(&got, "nvidia", "nouveau"));
	assert_false(modprobe_softdep(&got, "drm", "vfio-pci"));  /* no blank behind pre: is no list */
	assert_false(modprobe_softdep(&got, "i915", "vfio-pci")); /* nor is it with two blanks in front */
	assert_true(modprobe_softdep(&got, "xe", "vfio-pci"));
	modprobe_parse(bytes_of("softdep xe pre: later\n"), "y", &arena, &got);
	assert_false(modprobe_softdep(&got, "xe", "later")); /* a second line does nothing */
	assert_string_equal(modprobe_option(&got, "vfio-pci", "ids"), "1:2");
	assert_string_equal(modprobe_option(&got, "vfio-pci", "disable_vga"), "0");
	assert_string_equal(modprobe_option(&got, "vfio-pci", "flag"), "");
	assert_null(modprobe_option(&got, "vfio-pci", "id"));
	assert_null(modprobe_option(&got, "vfio", "ids"));
}

static void test_cmdline(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct modprobe got = {0};
	modprobe_parse_cmdline("root=/dev/sda1 vfio-pci.ids=10de:2803,10de:22bd modprobe.blacklist=nouveau,snd-hda-intel "
			       "module-blacklist=xe quiet a.b.c=1 .x=1 \"par-port.dyn=file a b\" i915.enable_guc "
			       "rd.driver.blacklist=amdgpu modules-load=vfio,kvm initcall_blacklist=sysfb_init",
		&arena, &got);
	assert_int_equal(got.n, 7);
	assert_string_equal(modprobe_option(&got, "vfio_pci", "ids"), "10de:2803,10de:22bd");
	assert_true(modprobe_blacklisted(&got, "nouveau"));
	assert_false(modprobe_blacklisted(&got, "snd_hda_intel")); /* no module's name has a - */
	assert_true(modprobe_blacklisted(&got, "xe"));
	assert_false(modprobe_blacklisted(&got, "amdgpu"));
	assert_false(modprobe_blacklisted(&got, "sysfb_init"));
	assert_string_equal(modprobe_option(&got, "par_port", "dyn"), "file a b");
	assert_string_equal(modprobe_option(&got, "i915", "enable_guc"), "");
	assert_int_equal(got.n_loads, 2);
	assert_string_equal(got.loads[1].module, "kvm");
}

static void test_loads(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct modprobe got = {0};
	modprobe_parse_loads(bytes_of("# x\n; y\n\n vfio-pci  ids=1:2  \r\nvfio_virqfd"), "/etc/modules", &arena, &got);
	assert_int_equal(got.n_loads, 2);
	assert_string_equal(got.loads[0].module, "vfio_pci");
	assert_string_equal(got.loads[0].rest, "ids=1:2");
	assert_int_equal(got.loads[0].line, 4);
	assert_string_equal(got.loads[1].module, "vfio_virqfd");
	assert_int_equal(got.loads[1].line, 5);
}

static void test_long_line(void **state)
{
	(void)state;
	enum { SIZE = 4 * 1024 * 1024 };
	struct arena arena ARENA_SCOPED = {0};
	char *text = arena_alloc(&arena, SIZE + 1);
	memset(text, ' ', SIZE);
	memcpy(text, "options a", 9);
	for (size_t i = 10; i < SIZE; i += 2)
		text[i] = 'x';
	struct modprobe got = parse(&arena, text);
	assert_int_equal(got.n, 1);
	assert_null(modprobe_option(&got, "a", "y"));
	memset(text, '[', SIZE);
	got = parse(&arena, text);
	assert_int_equal(got.lines[0].kind, MODPROBE_UNKNOWN);
}

/* ---- a whole machine ---------------------------------------------------- */

static void test_gather(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct tree tree = tree_new(&arena);
	tree_link(&tree, "/lib", "usr/lib");
	tree_file(&tree, "/etc/modprobe.d/z.conf", "blacklist z\n");
	tree_file(&tree, "/etc/modprobe.d/a.conf.bak", "blacklist no\n");
	tree_file(&tree, "/etc/modprobe.d/.hidden.conf", "blacklist no\n");
	tree_link(&tree, "/etc/modprobe.d/masked.conf", "/dev/null");
	tree_entry(&tree, "/dev/null", NODE_CHAR);
	tree_link(&tree, "/etc/modprobe.d/dangling.conf", "/nowhere");
	tree_file(&tree, "/run/modprobe.d/b.conf", "blacklist run\n");
	tree_file(&tree, "/usr/lib/modprobe.d/masked.conf", "blacklist no\n");
	tree_file(&tree, "/usr/lib/modprobe.d/b.conf", "blacklist no\n");
	tree_file(&tree, "/usr/lib/modprobe.d/a.conf", "blacklist a\n");
	tree_link(&tree, "/etc/modules-load.d/modules.conf", "../modules");
	tree_file(&tree, "/etc/modules", "vfio\n");
	tree_file(&tree, "/usr/lib/modules-load.d/x.conf", "kvm\n");
	struct modprobe got = {0};
	struct blinds blinds = { &arena, NULL, 0 };
	modprobe_gather(tree_world(&tree), &arena, &got, tree_blind, &blinds);
	assert_int_equal(got.known, YES);
	assert_null(blinds.text);
	static const char *const files[] = { "/usr/lib/modprobe.d/a.conf", "/run/modprobe.d/b.conf",
		"/etc/modprobe.d/z.conf" };
	assert_int_equal(got.n, COUNT(files));
	for (size_t i = 0; i < COUNT(files); i++)
		assert_string_equal(got.lines[i].file, files[i]);
	assert_false(modprobe_blacklisted(&got, "no"));
	assert_int_equal(got.n_loads, 2);
	assert_string_equal(got.loads[0].module, "kvm");
	assert_string_equal(got.loads[1].file, "/etc/modules");
}

static void test_gather_unknown(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct tree tree = tree_new(&arena);
	tree_error(&tree, "/etc/modprobe.d/secret.conf", EACCES);
	tree_directory(&tree, "/etc/modprobe.d/folder.conf");
	struct modprobe got = {0};
	struct blinds blinds = { &arena, "", 0 };
	modprobe_gather(tree_world(&tree), &arena, &got, tree_blind, &blinds);
	assert_int_equal(got.known, UNKNOWN);
	assert_non_null(strstr(blinds.text, "/etc/modprobe.d/secret.conf: "));
	assert_null(strstr(blinds.text, "folder"));
}

/* ---- against libkmod --------------------------------------------------- */

struct pairs {
	const char **word;
	size_t n;
};

static void put(struct arena *arena, struct pairs *pairs, const char *key, const char *value)
{
	struct words words = text_split(arena, value, " \t");
	char *pair = arena_printf(arena, "%s:", key);
	for (size_t i = 0; i < words.n; i++)
		pair = arena_printf(arena, "%s %s", pair, words.word[i]);
	*arena_push(arena, pairs->word, pairs->n) = pair;
}

typedef struct kmod_config_iter *iterator_fn(const struct kmod_ctx *);

static const struct {
	const char *what;
	enum modprobe_kind kind;
	iterator_fn *iterate;
} oracle[] = {
	{ "blacklist", MODPROBE_BLACKLIST, kmod_config_get_blacklists },
	{ "options", MODPROBE_OPTIONS, kmod_config_get_options },
	{ "softdep", MODPROBE_SOFTDEP, kmod_config_get_softdeps },
	{ "alias", MODPROBE_ALIAS, kmod_config_get_aliases },
	{ "install", MODPROBE_INSTALL, kmod_config_get_install_commands },
	{ "remove", MODPROBE_REMOVE, kmod_config_get_remove_commands },
};

/* The lists of a softdep as libkmod prints them: what stands before the first pre: or post: is gone. */
static const char *softdep_lists(struct arena *arena, const char *rest)
{
	struct words words = text_split(arena, rest, " \t\n\v\f\r");
	const char *lists[2] = { "", "" };
	int mode = -1;
	for (size_t i = *rest == ' '; i < words.n; i++) {
		if (strcmp(words.word[i], "pre:") == 0)
			mode = 0;
		else if (strcmp(words.word[i], "post:") == 0)
			mode = 1;
		else if (mode >= 0)
			lists[mode] = arena_printf(arena, "%s %s", lists[mode], words.word[i]);
	}
	return arena_printf(arena, "%s%s%s%s", *lists[0] ? "pre:" : "", lists[0], *lists[1] ? " post:" : "", lists[1]);
}

static void ours(struct arena *arena, const struct modprobe *modprobe, enum modprobe_kind kind, struct pairs *ret)
{
	for (size_t i = 0; i < modprobe->n; i++) {
		const struct modprobe_line *line = modprobe->lines + i;
		if (line->kind != kind)
			continue;
		const char *key = line->module, *value = line->rest;
		if (kind == MODPROBE_ALIAS)
			key = modprobe_name(arena, key);
		else if (kind == MODPROBE_SOFTDEP)
			value = softdep_lists(arena, value);
		else if (kind == MODPROBE_BLACKLIST)
			value = "";
		put(arena, ret, key, value);
	}
}

static void libkmods(struct arena *arena, const char *folder, iterator_fn *iterate, struct pairs *ret)
{
	const char *paths[] = { folder, NULL };
	struct kmod_ctx *context = kmod_new("/nonexistent", paths);
	assert_non_null(context);
	struct kmod_config_iter *iter = iterate(context);
	while (iter && kmod_config_iter_next(iter)) {
		const char *value = kmod_config_iter_get_value(iter), *post = value ? strstr(value, "post:") : NULL;
		/* libkmod prints no blank between its two lists of a softdep */
		if (post && post > value && post[-1] != ' ')
			value = arena_printf(arena, "%.*s %s", (int)(post - value), value, post);
		put(arena, ret, kmod_config_iter_get_key(iter), value ? value : "");
	}
	kmod_config_iter_free_iter(iter);
	kmod_unref(context);
}

/* One file alone in a folder, and both readers. libkmod adds this machine's command line: so do we. */
static size_t compare(struct arena *arena, const char *folder, struct bytes text, const char *what)
{
	char *path = arena_printf(arena, "%s/x.conf", folder);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(text.data, 1, text.size, file), text.size);
	fclose(file);
	struct modprobe modprobe = {0};
	modprobe_parse(text, path, arena, &modprobe);
	modprobe_parse_cmdline(test_read(arena, "/proc/cmdline").data, arena, &modprobe);
	size_t compared = 0;
	for (size_t i = 0; i < COUNT(oracle); i++) {
		struct pairs want = {0}, got = {0};
		libkmods(arena, folder, oracle[i].iterate, &want);
		ours(arena, &modprobe, oracle[i].kind, &got);
		if (want.n != got.n)
			fail_msg("%s: %zu %s lines, libkmod has %zu", what, got.n, oracle[i].what, want.n);
		for (size_t j = 0; j < want.n; j++)
			if (strcmp(want.word[j], got.word[j]) != 0)
				fail_msg("%s: %s \"%s\", libkmod has \"%s\"", what, oracle[i].what, got.word[j],
					want.word[j]);
		compared += want.n;
	}
	unlink(path);
	return compared;
}

static char *make_folder(struct arena *arena)
{
	char *folder = arena_strdup(arena, "/tmp/gpuferry-modprobe-XXXXXX");
	assert_non_null(mkdtemp(folder));
	return folder;
}

static const char *const samples[] = {
	"blacklist nouveau\nblacklist snd-hda-intel # no\n#blacklist a\n # blacklist b\nblacklist\n",
	"options vfio-pci ids=10de:2803,10de:22bd disable_vga=1\noptions a\noptions b \noptions c  \noptions d\t x\ty\n",
	"softdep drm pre:vfio-pci\nsoftdep nvidia pre: vfio-pci post: a b\nsoftdep a b c\nsoftdep x post: a pre: b\n"
	"softdep v  pre: a\nsoftdep u   pre: a\nsoftdep t\t\tpost: a pre: b\nsoftdep s pre:  a  b\n"
	"softdep y pre: a pre: b\nsoftdep z pre:\nsoftdep w \\\n pre: \\\n m\n",
	"alias char-major-10-* tun-tap\nalias pci:v[0-9]d-x a-b\nalias pci:v[0 a\nalias x]y a\nalias one\n",
	"install nouveau /bin/false\ninstall a  b  c\nremove x /sbin/y -z\ninstall q\n",
	"blacklist a\r\noptions b c=1\r\nblacklist\td\n\tblacklist e\nblacklist f\\\ng\nbl\\acklist h\n",
	"include /etc/x\nconfig y\nweakdep a b\nBLACKLIST a\nblacklist a-b[c-d]-e\n\n\n",
	"blacklist last",
};

static void test_libkmod_samples(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	char *folder = make_folder(&arena);
	size_t compared = 0;
	for (size_t i = 0; i < COUNT(samples); i++)
		compared += compare(&arena, folder, bytes_of(samples[i]), samples[i]);
	rmdir(folder);
	print_message("# %zu settings alike\n", compared);
	assert_true(compared > 25);
}

static void test_libkmod_captures(void **state)
{
	(void)state;
	const char *data = test_data("GPUFERRY_DATA");
	char from[4096];
	snprintf(from, sizeof from, "%s/modprobe", data ? data : "/nonexistent");
	DIR *captures = opendir(from);
	if (!captures) {
		print_message("# no captures here\n");
		skip();
	}
	struct arena arena ARENA_SCOPED = {0};
	char *folder = make_folder(&arena);
	size_t files = 0, compared = 0;
	for (struct dirent *entry; (entry = readdir(captures));) {
		char *path = arena_printf(&arena, "%s/%s", from, entry->d_name);
		struct stat about;
		if (stat(path, &about) != 0 || !S_ISREG(about.st_mode))
			continue;
		compared += compare(&arena, folder, test_read(&arena, path), entry->d_name);
		files++;
	}
	closedir(captures);
	rmdir(folder);
	print_message("# %zu files, %zu settings alike\n", files, compared);
	assert_true(files > 0 && compared >= files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_zero_bytes),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_cmdline),
		cmocka_unit_test(test_loads),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_gather),
		cmocka_unit_test(test_gather_unknown),
		cmocka_unit_test(test_libkmod_samples),
		cmocka_unit_test(test_libkmod_captures),
	};
	setenv("KMOD_LOG", "0", 1); /* it complains of each line it ignores */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
