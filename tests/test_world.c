/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/redact.h"
#include "sys/tape.h"

/* ---- a folder of our own ---------------------------------------------- */

static char folder[] = "/tmp/gpuferry-world-XXXXXX";

static const char *at(const char *path)
{
	static char room[2][512];
	static int turn;
	turn = !turn;
	snprintf(room[turn], sizeof room[turn], "%s/%s", folder, path);
	return room[turn];
}

static void put(const char *path, const char *content)
{
	FILE *file = fopen(at(path), "wb");
	assert_non_null(file);
	fputs(content, file);
	fclose(file);
}

static void put_link(const char *path, const char *link)
{
	assert_int_equal(symlink(link, at(path)), 0);
}

static int make_folder(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	static const char *const folders[] = { "etc", "sys", "sys/devices", "sys/devices/a", "sys/bus", "outside" };
	for (size_t i = 0; i < COUNT(folders); i++)
		assert_int_equal(mkdir(at(folders[i]), 0755), 0);
	put("etc/hostname", "inside\n");
	put("etc/empty", "");
	put("sys/devices/a/vendor", "0x10de\n");
	put_link("sys/bus/a", "../devices/a");
	put_link("absolute", "/etc/hostname");
	put_link("climbing", "../../../../../../../../etc/hostname");
	put_link("escaping", "/../../../etc/passwd");
	put_link("out-proc", "/proc/self/environ");
	put_link("loop", "loop");
	put_link("dangling", "nowhere");
	assert_int_equal(mkfifo(at("fifo"), 0600), 0);
	FILE *big = fopen(at("big"), "wb");
	assert_non_null(big);
	for (int i = 0; i < 100000; i++)
		fprintf(big, "%07d\n", i);
	fclose(big);
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
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct world *open_folder(struct arena *arena, bool partial)
{
	struct err err = { 0 };
	struct world *world = world_open_root(folder, partial, arena, &err);
	if (!world)
		fail_msg("%s", err.text);
	return world;
}

/* ---- tests ------------------------------------------------------------ */

static const struct {
	const char *path;
	int error;
	const char *content;
} reads[] = {
	{ "/etc/hostname", 0, "inside\n" },
	{ "etc/hostname", 0, "inside\n" },
	{ "/etc/empty", 0, "" },
	{ "/absolute", 0, "inside\n" },
	{ "/climbing", 0, "inside\n" },
	{ "/escaping", ENOENT, NULL },
	{ "/out-proc", ENOENT, NULL },
	{ "/../../etc/hostname", 0, "inside\n" },
	{ "/sys/bus/a/vendor", 0, "0x10de\n" },
	{ "/loop", ELOOP, NULL },
	{ "/dangling", ENOENT, NULL },
	{ "/nothing", ENOENT, NULL },
	{ "/etc/hostname/below", ENOENT, NULL },
	{ "/etc", EISDIR, NULL },
	{ "/fifo", EINVAL, NULL },
};

static void folder_reads_stay_inside(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	for (int partial = 0; partial < 2; partial++) {
		struct world *world = open_folder(&arena, partial);
		for (size_t i = 0; i < COUNT(reads); i++) {
			struct bytes bytes = { 0 };
			int error = world_read(world, reads[i].path, 0, &arena, &bytes);
			int wish = partial && reads[i].error == ENOENT ? ENODATA : reads[i].error;
			if (error != wish)
				fail_msg("%s: %s, not %s", reads[i].path, strerror(error), strerror(wish));
			if (reads[i].content)
				assert_string_equal(bytes.data, reads[i].content);
		}
		world_close(world);
	}
}

static void folder_answers(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct world *world = open_folder(&arena, false);
	struct words names = { 0 };
	assert_int_equal(world_list(world, "/sys/bus/a", &arena, &names), 0);
	assert_int_equal(names.n, 1);
	assert_string_equal(names.word[0], "vendor");
	assert_int_equal(world_list(world, "/etc", &arena, &names), 0);
	assert_int_equal(names.n, 2);
	assert_string_equal(names.word[0], "empty");
	assert_int_equal(world_list(world, "/etc/hostname", &arena, &names), ENOTDIR);
	assert_int_equal(world_list(world, "/none", &arena, &names), ENOENT);
	const char *link = NULL;
	assert_int_equal(world_link(world, "/escaping", &arena, &link), 0);
	assert_string_equal(link, "/../../../etc/passwd");
	assert_int_equal(world_link(world, "/etc", &arena, &link), EINVAL);
	assert_int_equal(world_link_name(world, &arena, &link, "/sys/bus/%s", "a"), 0);
	assert_string_equal(link, "a");
	const char *vendor = NULL;
	assert_int_equal(world_attribute(world, &arena, &vendor, "/sys/%s/a/vendor", "bus"), 0);
	assert_string_equal(vendor, "0x10de");
	struct world_stat stat;
	assert_int_equal(world_stat(world, "/fifo", &stat), 0);
	assert_int_equal(stat.type, NODE_OTHER);
	assert_int_equal(world_stat(world, "/absolute", &stat), 0);
	assert_int_equal(stat.type, NODE_FILE);
	assert_int_equal(stat.size, 7);
	assert_int_equal(world_exists(world, "/etc"), YES);
	assert_int_equal(world_exists(world, "/none"), NO);
	assert_int_equal(world_exists(world, "/loop"), UNKNOWN);
	assert_int_equal(world_now(world), UNKNOWN_NUMBER);
	const char *const argv[] = { "true", NULL };
	struct outcome outcome;
	assert_int_equal(world_run(world, &(struct command){ .argv = argv }, &arena, &outcome), ENODATA);
	assert_int_equal(world_probe_open(world, "/fifo"), ENODATA);
	struct err err = { 0 };
	assert_null(world_inside(world, &(struct target){ .label = "vm/100" }, &arena, &err));
	assert_int_equal(err.kind, ERR_UNKNOWN);
	assert_null(world_open_root(at("none"), true, &arena, &err));
	assert_int_equal(err.kind, ERR_INPUT);
	assert_null(world_open_root(at("etc/hostname"), true, &arena, &err));
	world_close(world);
}

static void sizes_have_limits(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct world *world = open_folder(&arena, false);
	struct bytes bytes = { 0 };
	assert_int_equal(world_read(world, "/big", 0, &arena, &bytes), 0);
	assert_int_equal(bytes.size, 800000);
	assert_memory_equal(bytes.data + 799992, "0099999\n", 8);
	assert_int_equal(world_read(world, "/big", 800000, &arena, &bytes), 0);
	assert_int_equal(world_read(world, "/big", 799999, &arena, &bytes), EFBIG);
	assert_int_equal(world_read(world, "/big", 10, &arena, &bytes), EFBIG);
	assert_int_equal(world_read(world, "/etc/hostname", 7, &arena, &bytes), 0);
	assert_int_equal(world_read(world, "/etc/hostname", 6, &arena, &bytes), EFBIG);
	char path[5000];
	memset(path, 'a', sizeof path);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	assert_int_equal(world_read(world, path, 0, &arena, &bytes), ENAMETOOLONG);
	const char *text = NULL;
	assert_int_equal(world_attribute(world, &arena, &text, "%s", path), ENAMETOOLONG);
	world_close(world);
}

static void this_machine_answers(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct world *world = world_open_root(NULL, false, &arena, &err);
	assert_non_null(world);
	assert_true(world->live);
	struct bytes bytes = { 0 };
	assert_int_equal(world_read(world, "/proc/self/status", 0, &arena, &bytes), 0);
	assert_non_null(strstr(bytes.data, "Name:"));
	assert_int_equal(world_read(world, "/proc/cmdline", 0, &arena, &bytes), 0);
	assert_int_equal(world_read(world, "/dev/null", 0, &arena, &bytes), EINVAL);
	assert_int_equal(world_probe_open(world, "/dev/null"), 0);
	assert_int_equal(world_probe_open(world, "/proc/cmdline"), EINVAL);
	assert_int_equal(world_probe_open(world, "/dev/none"), ENOENT);
	const char *link = NULL;
	char own[64], fd[64];
	snprintf(own, sizeof own, "/proc/%d/exe", (int)getpid());
	assert_int_equal(world_link(world, own, &arena, &link), 0);
	assert_non_null(strstr(link, "test_world"));
	int open_end[2];
	assert_int_equal(pipe(open_end), 0);
	snprintf(fd, sizeof fd, "/proc/%d/fd/%d", (int)getpid(), open_end[0]);
	assert_int_equal(world_link(world, fd, &arena, &link), 0);
	assert_true(text_starts(link, "pipe:["));
	assert_int_equal(world_read(world, fd, 0, &arena, &bytes), ELOOP);
	close(open_end[0]);
	close(open_end[1]);
	struct world_stat stat;
	assert_int_equal(world_stat(world, "/dev/null", &stat), 0);
	assert_int_equal(stat.type, NODE_CHAR);
	assert_int_equal(stat.major, 1);
	assert_int_equal(stat.minor, 3);
	const char *const argv[] = { "sh", "-c", "echo $PATH", NULL };
	struct outcome outcome = { 0 };
	assert_int_equal(world_run(world, &(struct command){ .argv = argv }, &arena, &outcome), 0);
	assert_true(text_starts(outcome.out.data, "/usr/local/sbin:"));
	assert_true(world_now(world) > 1700000000);
	world_close(world);
}

static void recorded_folder_replays(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct world *inner = open_folder(&arena, false);
	inner->live = true; /* as on a real machine: links on the way are kept where they lie */
	struct tape *tape = tape_new(&arena, 9);
	struct world *recorder = tape_recorder(inner, tape, redact_new(&arena), NULL, NULL, &arena);
	struct bytes live = { 0 }, again = { 0 };
	struct words names = { 0 };
	int error[COUNT(reads)];
	for (size_t i = 0; i < COUNT(reads); i++)
		error[i] = world_read(recorder, reads[i].path, 0, &arena, &live);
	assert_int_equal(world_list(recorder, "/sys/bus/a", &arena, &names), 0);
	assert_int_equal(world_list(recorder, "/", &arena, &names), 0);
	size_t n = names.n;
	world_close(recorder);
	struct world *replay = tape_world(tape, "node", &arena, NULL);
	for (size_t i = 0; i < COUNT(reads); i++) {
		int now = world_read(replay, reads[i].path, 0, &arena, &again);
		if (now != error[i])
			fail_msg("%s: %s, not %s", reads[i].path, strerror(now), strerror(error[i]));
		if (!now)
			assert_string_equal(again.data, reads[i].content);
	}
	assert_int_equal(world_list(replay, "/", &arena, &names), 0);
	assert_int_equal(names.n, n);
	assert_int_equal(world_read(replay, "/sys/devices/a/vendor", 0, &arena, &again), 0);
	assert_int_equal(world_read(replay, "/sys/devices/a/device", 0, &arena, &again), ENOENT);
	struct tape_target *node = tape_target(tape, &arena, "node");
	assert_non_null(tape_find(node, "/sys/devices/a/vendor"));
	assert_null(tape_find(node, "/sys/bus/a/vendor"));
	assert_string_equal(tape_find(node, "/sys/bus/a")->link, "../devices/a");
}

static void errnos_are_said_in_words(void **state)
{
	(void)state;
	assert_string_equal(world_why(EACCES), "permission denied");
	assert_string_equal(world_why(ENODATA), "not in the recording");
	assert_string_equal(world_why(EIO), strerror(EIO));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folder_reads_stay_inside),
		cmocka_unit_test(folder_answers),
		cmocka_unit_test(sizes_have_limits),
		cmocka_unit_test(this_machine_answers),
		cmocka_unit_test(recorded_folder_replays),
		cmocka_unit_test(errnos_are_said_in_words),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
