/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.h"

static char folder[] = "/tmp/gpuferry-file-XXXXXX";
static int root = -1;

static int make_folder(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	root = file_open_root(folder);
	assert_true(root >= 0);
	int plain = open(folder, O_RDONLY | O_DIRECTORY);
	assert_int_equal(mkdirat(plain, "d", 0700), 0);
	assert_int_equal(mkdirat(plain, "shut", 0700), 0);
	assert_int_equal(symlinkat("/d/../d", plain, "around"), 0);
	assert_int_equal(symlinkat("", plain, "nothing") == 0 || errno == ENOENT, 1);
	for (int i = 0; i < 45; i++) {
		char name[16], next[16];
		snprintf(name, sizeof name, "l%d", i);
		snprintf(next, sizeof next, "l%d", i + 1);
		assert_int_equal(symlinkat(next, plain, name), 0);
	}
	close(openat(plain, "l45", O_CREAT | O_WRONLY, 0600));
	close(openat(plain, "d/z\xff", O_CREAT | O_WRONLY, 0600));
	close(openat(plain, "d/A", O_CREAT | O_WRONLY, 0600));
	close(openat(plain, "d/a\nb", O_CREAT | O_WRONLY, 0600));
	close(openat(plain, "d/.hidden", O_CREAT | O_WRONLY, 0600));
	close(openat(plain, "denied", O_CREAT | O_WRONLY, 0));
	close(plain);
	return 0;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

static int remove_folder(void **state)
{
	(void)state;
	close(root);
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void root_must_be_a_folder(void **state)
{
	(void)state;
	assert_int_equal(file_open_root("/none/such"), -ENOENT);
	assert_int_equal(file_open_root("/etc/passwd"), -ENOTDIR);
}

static void names_are_sorted_by_bytes(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	static const char *const wish[] = { ".hidden", "A", "a\nb", "z\xff" };
	static const char *const paths[] = { "/d", "d", "/around", "/../d/", "/around/../around/." };
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct words names = { 0 };
		assert_int_equal(file_list(root, paths[i], &arena, &names), 0);
		assert_int_equal(names.n, COUNT(wish));
		for (size_t j = 0; j < names.n; j++)
			assert_string_equal(names.word[j], wish[j]);
	}
}

static void links_have_a_limit(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct bytes bytes = { 0 };
	assert_int_equal(file_read(root, "/l6", 100, &arena, &bytes), 0);
	assert_int_equal(bytes.size, 0);
	assert_int_equal(file_read(root, "/l0", 100, &arena, &bytes), ELOOP);
	const char *link = NULL;
	assert_int_equal(file_link(root, "/l0", &arena, &link), 0);
	assert_string_equal(link, "l1");
}

static void answers_are_left_alone_on_failure(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct bytes bytes = { "x", 1 };
	struct words names = { NULL, 7 };
	const char *link = "y";
	struct world_stat stat = { .uid = 77 };
	assert_int_equal(file_read(root, "/none", 100, &arena, &bytes), ENOENT);
	assert_int_equal(file_list(root, "/none", &arena, &names), ENOENT);
	assert_int_equal(file_link(root, "/none", &arena, &link), ENOENT);
	assert_int_equal(file_stat(root, "/none", &stat), ENOENT);
	assert_int_equal(file_read(root, "", 100, &arena, &bytes), ENOENT);
	assert_string_equal(bytes.data, "x");
	assert_int_equal(names.n, 7);
	assert_string_equal(link, "y");
	assert_int_equal(stat.uid, 77);
}

static void denied_is_denied(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct bytes bytes = { 0 };
	bool is_root = geteuid() == 0;
	assert_int_equal(chmod(folder, 0755), 0);
	if (is_root) /* may read everything, nobody may not */
		assert_int_equal(seteuid(65534), 0);
	int error = file_read(root, "/denied", 100, &arena, &bytes), seen = file_read(root, "/l45", 100, &arena, &bytes);
	if (is_root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(error, EACCES);
	assert_int_equal(seen, is_root ? EACCES : 0);
}

/* proc and sysfs: sizes there say nothing, whole files come all the same, and nothing is waited for */
static void pseudo_files_are_read_to_their_end(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	int machine = file_open_root("/");
	struct bytes bytes = { 0 }, again = { 0 };
	struct world_stat stat;
	static const char *const paths[] = { "/proc/cpuinfo", "/proc/modules", "/proc/version", "/sys/kernel/notes" };
	for (size_t i = 0; i < COUNT(paths); i++) {
		if (file_stat(machine, paths[i], &stat))
			continue;
		int error = file_read(machine, paths[i], READ_MAX, &arena, &bytes);
		if (error)
			fail_msg("%s: %s", paths[i], strerror(error));
		again = test_read(&arena, paths[i]);
		assert_int_equal(bytes.size > 0, again.size > 0);
	}
	assert_int_equal(file_read(machine, "/proc/version", 3, &arena, &bytes), EFBIG);
	assert_int_equal(file_read(machine, "/proc/self/root/etc/passwd", 1 << 20, &arena, &bytes), ELOOP);
	assert_int_equal(file_read(machine, "/dev/zero", 100, &arena, &bytes), EINVAL);
	close(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_must_be_a_folder),
		cmocka_unit_test(names_are_sorted_by_bytes),
		cmocka_unit_test(links_have_a_limit),
		cmocka_unit_test(answers_are_left_alone_on_failure),
		cmocka_unit_test(denied_is_denied),
		cmocka_unit_test(pseudo_files_are_read_to_their_end),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
