/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sys/file.h"

/* A fresh folder for each test, used as a root that may be changed. */
static char folder[64];
static int plain = -1;
static struct world *node;
static struct arena arena;
static struct err err;
static struct world_owner ours;

static int open_node(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/gpuferry-change-XXXXXX");
	assert_non_null(mkdtemp(folder));
	plain = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(plain, "etc", 0755), 0);
	node = world_open_writable(folder, &arena, &err);
	assert_non_null(node);
	ours = (struct world_owner){ 0644, geteuid(), getegid() };
	return 0;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat, (void)type, (void)walk;
	return remove(path);
}

static int close_node(void **state)
{
	(void)state;
	world_close(node);
	arena_release(&arena);
	close(plain);
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *text_at(const char *path)
{
	struct bytes bytes = { 0 };
	return world_read(node, path, 0, &arena, &bytes) ? NULL : bytes.data;
}

static size_t names_in(const char *path)
{
	struct words names = { 0 };
	assert_int_equal(world_list(node, path, &arena, &names), 0);
	return names.n;
}

static void put_plain(const char *name, const char *text)
{
	int fd = openat(plain, name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* ---- what each change does ------------------------------------------------ */

static void what_is_written_is_there(void **state)
{
	(void)state;
	struct stat stat;
	mode_t mask = umask(0077);
	struct world_owner owner = { 04751, ours.uid, ours.gid };
	if (geteuid() == 0)
		owner.uid = 12, owner.gid = 34;
	assert_int_equal(world_write(node, "/etc/a", bytes_of("one\n"), &owner), 0);
	assert_string_equal(text_at("/etc/a"), "one\n");
	assert_int_equal(fstatat(plain, "etc/a", &stat, 0), 0);
	assert_int_equal(stat.st_mode & 07777, 04751);
	assert_int_equal(stat.st_uid, owner.uid);
	assert_int_equal(stat.st_gid, owner.gid);
	assert_int_equal(world_write(node, "/etc/a", (struct bytes){ "x\0y", 3 }, &ours), 0);
	struct bytes bytes = { 0 };
	assert_int_equal(world_read(node, "/etc/a", 0, &arena, &bytes), 0);
	assert_int_equal(bytes.size, 3);
	assert_memory_equal(bytes.data, "x\0y", 3);
	assert_int_equal(fstatat(plain, "etc/a", &stat, 0), 0);
	assert_int_equal(stat.st_mode & 07777, 0644);
	assert_int_equal(world_write(node, "/top", (struct bytes){ 0 }, &ours), 0);
	assert_string_equal(text_at("/top"), "");
	umask(mask);
	assert_int_equal(names_in("/etc"), 1);
}

static void what_is_appended_is_behind(void **state)
{
	(void)state;
	assert_int_equal(world_append(node, "/etc/log", bytes_of("a\n")), ENOENT);
	assert_int_equal(world_write(node, "/etc/log", bytes_of("a\n"), &ours), 0);
	assert_int_equal(world_append(node, "/etc/log", bytes_of("b\n")), 0);
	assert_string_equal(text_at("/etc/log"), "a\nb\n");
}

static void what_is_removed_is_gone(void **state)
{
	(void)state;
	put_plain("etc/a", "a");
	assert_int_equal(world_remove(node, "/etc/a"), 0);
	assert_int_equal(world_remove(node, "/etc/a"), 0);
	assert_int_equal(world_remove(node, "/none/such"), 0);
	put_plain("etc/b", "b");
	assert_int_equal(world_remove(node, "/etc"), ENOTEMPTY);
	assert_int_equal(world_remove(node, "/etc/b"), 0);
	assert_int_equal(world_remove(node, "/etc"), 0);
	assert_int_equal(names_in("/"), 0);
}

static void folders_are_made_with_those_above(void **state)
{
	(void)state;
	struct stat stat;
	mode_t mask = umask(0077);
	assert_int_equal(world_mkdir(node, "/var/lib/gpuferry/runs", 0750), 0);
	umask(mask);
	for (const char *const *path = (const char *const[]){ "var", "var/lib", "var/lib/gpuferry/runs", NULL }; *path;
	        path++) {
		assert_int_equal(fstatat(plain, *path, &stat, 0), 0);
		assert_true(S_ISDIR(stat.st_mode));
		assert_int_equal(stat.st_mode & 07777, 0750);
	}
	assert_int_equal(world_mkdir(node, "/var/lib", 0700), 0);
	assert_int_equal(fstatat(plain, "var/lib", &stat, 0), 0);
	assert_int_equal(stat.st_mode & 07777, 0750); /* that was there before */
	put_plain("etc/file", "");
	assert_int_equal(world_mkdir(node, "/etc/file", 0755), ENOTDIR);
	assert_int_equal(world_mkdir(node, "/etc/file/below", 0755), ENOTDIR);
}

static void links_are_made_and_replaced(void **state)
{
	(void)state;
	const char *target = NULL;
	assert_int_equal(world_symlink(node, "../a", "/etc/l"), 0);
	assert_int_equal(world_symlink(node, "/b", "/etc/l"), 0);
	assert_int_equal(world_link(node, "/etc/l", &arena, &target), 0);
	assert_string_equal(target, "/b");
	put_plain("etc/file", "text");
	assert_int_equal(world_symlink(node, "/b", "/etc/file"), 0);
	assert_int_equal(world_link(node, "/etc/file", &arena, &target), 0);
	assert_int_equal(world_symlink(node, "/b", "/etc"), EISDIR);
	assert_int_equal(names_in("/etc"), 2);
}

/* ---- links and other things in the way ------------------------------------ */

/* `outside` lies beside the root: what reaches it has left the root. */
static void links_do_not_lead_out(void **state)
{
	(void)state;
	char outside[] = "/tmp/gpuferry-outside-XXXXXX", path[128];
	assert_non_null(mkdtemp(outside));
	assert_int_equal(symlinkat(outside, plain, "out"), 0);
	assert_int_equal(symlinkat("../../../../../../../../tmp", plain, "up"), 0);
	assert_int_equal(symlinkat("/etc", plain, "inside"), 0);
	assert_int_equal(world_write(node, "/out/a", bytes_of("a"), &ours), ENOENT);
	assert_int_equal(world_write(node, "/up/a", bytes_of("a"), &ours), ENOENT);
	assert_int_equal(world_symlink(node, "x", "/out/a"), ENOENT);
	assert_int_equal(world_remove(node, "/out/a"), 0);
	snprintf(path, sizeof path, "%s/a", outside);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(world_write(node, "/inside/a", bytes_of("a"), &ours), 0);
	assert_string_equal(text_at("/etc/a"), "a");
	assert_int_equal(rmdir(outside), 0);
}

static void a_link_at_the_end_is_not_followed(void **state)
{
	(void)state;
	const char *target = NULL;
	put_plain("etc/aim", "old");
	assert_int_equal(symlinkat("aim", plain, "etc/l"), 0);
	assert_int_equal(world_append(node, "/etc/l", bytes_of("x")), ELOOP);
	assert_int_equal(node->changes->put(node, "/etc/l", bytes_of("x"), &ours), ELOOP);
	assert_int_equal(world_write(node, "/etc/l", bytes_of("new"), &ours), 0);
	assert_string_equal(text_at("/etc/aim"), "old");
	assert_string_equal(text_at("/etc/l"), "new");
	assert_int_equal(world_link(node, "/etc/l", &arena, &target), EINVAL);
	assert_int_equal(symlinkat("aim", plain, "etc/lock"), 0);
	assert_int_equal(world_lock(node, "/etc/lock"), ELOOP);
	assert_int_equal(world_remove(node, "/etc/lock"), 0);
	assert_string_equal(text_at("/etc/aim"), "old");
}

static void only_files_and_links_are_replaced(void **state)
{
	(void)state;
	struct stat stat;
	assert_int_equal(mkfifoat(plain, "etc/fifo", 0600), 0);
	static const char *const paths[] = { "/etc/fifo", "/etc/fifo" WORLD_BESIDE };
	assert_int_equal(mkfifoat(plain, "etc/fifo" WORLD_BESIDE, 0600), 0);
	assert_int_equal(world_write(node, "/etc/fifo", bytes_of("x"), &ours), EINVAL);
	for (size_t i = 0; i < COUNT(paths); i++) {
		assert_int_equal(node->changes->put(node, paths[i], bytes_of("x"), &ours), EINVAL);
		assert_int_equal(world_append(node, paths[i], bytes_of("x")), EINVAL);
		assert_int_equal(world_remove(node, paths[i]), EINVAL);
		assert_int_equal(fstatat(plain, paths[i] + 1, &stat, 0), 0);
		assert_true(S_ISFIFO(stat.st_mode));
	}
	if (geteuid() == 0 && mknodat(plain, "etc/null", S_IFCHR | 0600, makedev(1, 3)) == 0) {
		assert_int_equal(world_write(node, "/etc/null", bytes_of("x"), &ours), EINVAL);
		assert_int_equal(node->changes->put(node, "/etc/null", bytes_of("x"), &ours), EINVAL);
	}
	assert_int_equal(world_write(node, "/etc", bytes_of("x"), &ours), EISDIR);
	static const char *const bad[] = { "", "etc/a", "/", "/etc/", "/etc/.", "/etc/..", "/none/a" };
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_not_equal(world_write(node, bad[i], bytes_of("x"), &ours), 0);
}

static void what_was_cut_off_is_replaced(void **state)
{
	(void)state;
	put_plain("etc/a", "old");
	put_plain("etc/a" WORLD_BESIDE, "a longer half of it");
	assert_int_equal(world_write(node, "/etc/a", bytes_of("new"), &ours), 0);
	assert_string_equal(text_at("/etc/a"), "new");
	assert_int_equal(symlinkat("aim", plain, "etc/a" WORLD_BESIDE), 0);
	assert_int_equal(world_write(node, "/etc/a", bytes_of("newer"), &ours), 0);
	assert_string_equal(text_at("/etc/a"), "newer");
	put_plain("etc/a" WORLD_BESIDE, "half");
	assert_int_equal(world_symlink(node, "aim", "/etc/a"), 0);
	assert_int_equal(names_in("/etc"), 1);
}

/* ---- when it cannot be done ------------------------------------------------ */

static void who_only_reads_changes_nothing(void **state)
{
	(void)state;
	struct world *read_only = world_open_root(folder, false, &arena, &err);
	assert_int_equal(world_write(read_only, "/etc/a", bytes_of("x"), &ours), EROFS);
	assert_int_equal(world_append(read_only, "/etc/a", bytes_of("x")), EROFS);
	assert_int_equal(world_remove(read_only, "/etc"), EROFS);
	assert_int_equal(world_mkdir(read_only, "/d", 0755), EROFS);
	assert_int_equal(world_symlink(read_only, "x", "/l"), EROFS);
	assert_int_equal(world_set(read_only, "/etc/a", "x", 100), EROFS);
	assert_int_equal(world_lock(read_only, "/lock"), EROFS);
	world_close(read_only);
	assert_int_equal(names_in("/"), 1);
	assert_int_equal(names_in("/etc"), 0);
}

static void the_cluster_file_system_is_not_written(void **state)
{
	(void)state;
	assert_int_equal(mkdirat(plain, "etc/pve", 0755), 0);
	assert_int_equal(world_write(node, "/etc/pve/storage.cfg", bytes_of("x"), &ours), EPERM);
	assert_int_equal(world_append(node, "/etc/pve/storage.cfg", bytes_of("x")), EPERM);
	assert_int_equal(world_remove(node, "/etc/pve"), EPERM);
	assert_int_equal(world_mkdir(node, "/etc/pve/x", 0755), EPERM);
	assert_int_equal(world_symlink(node, "x", "/etc/pve/l"), EPERM);
	assert_int_equal(world_write(node, "/etc/pve.conf", bytes_of("x"), &ours), 0);
	assert_int_equal(names_in("/etc/pve"), 0);
}

static void a_folder_has_no_commands_and_no_kernel(void **state)
{
	(void)state;
	struct outcome outcome;
	struct command command = { .argv = (const char *const[]){ "true", NULL } };
	put_plain("etc/value", "old");
	assert_int_equal(world_run(node, &command, &arena, &outcome), ENODATA);
	assert_int_equal(world_set(node, "/etc/value", "new", 1000), ENODATA);
	assert_string_equal(text_at("/etc/value"), "old");
	assert_int_equal(world_probe_open(node, "/etc/value"), ENODATA);
}

/* In a child whose files may not be larger than `room`. The child's exit status. */
static int in_little_room(rlim_t room, int (*act)(void))
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){ room, room });
		_exit(act());
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int write_long(void) { return world_write(node, "/etc/a", bytes_of("longer than there is room"), &ours); }
static int append_long(void) { return world_append(node, "/etc/a", bytes_of("longer than there is room")); }

static void no_room_leaves_the_old(void **state)
{
	(void)state;
	put_plain("etc/a", "old\n");
	assert_int_equal(in_little_room(8, write_long), EFBIG);
	assert_string_equal(text_at("/etc/a"), "old\n");
	assert_int_equal(in_little_room(8, append_long), EFBIG);
	assert_string_equal(text_at("/etc/a"), "old\n");
	assert_int_equal(names_in("/etc"), 1);
	assert_int_equal(write_long(), 0);
}

/* In a mount namespace of its own, on a file system of one page. */
static int fill_the_disk(void)
{
	char page[8192];
	memset(page, 'x', sizeof page);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	        mount("none", folder, "tmpfs", 0, "size=4096"))
		return 77;
	struct world *small = world_open_writable(folder, &arena, &err);
	struct bytes bytes = { 0 };
	struct words names = { 0 };
	if (!small || world_write(small, "/a", bytes_of(""), &ours) ||
	        world_write(small, "/a", (struct bytes){ page, sizeof page }, &ours) != ENOSPC ||
	        world_append(small, "/a", (struct bytes){ page, sizeof page }) != ENOSPC ||
	        world_read(small, "/a", 0, &arena, &bytes) || bytes.size || world_list(small, "/", &arena, &names))
		return 1;
	if (mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL) ||
	        world_write(small, "/a", bytes_of("b"), &ours) != EROFS)
		return 2;
	return names.n == 1 ? 0 : 3;
}

static void a_full_disk_leaves_the_old(void **state)
{
	(void)state;
	int status = in_little_room(RLIM_INFINITY, fill_the_disk);
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

/* ---- who looks on ----------------------------------------------------------- */

enum { ROUNDS = 300, BLOCK = 20000 };

/* Reads until told to stop; 1: it saw what was neither. */
static int look_on(int stop)
{
	static char seen[BLOCK + 1];
	for (char byte; read(stop, &byte, 1) < 0;) {
		int fd = openat(plain, "etc/a", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return 2;
		ssize_t size = read(fd, seen, sizeof seen);
		close(fd);
		if (size != BLOCK)
			return 3;
		for (size_t i = 1; i < BLOCK; i++)
			if (seen[i] != seen[0])
				return 1;
	}
	return 0;
}

static void a_reader_sees_old_or_new(void **state)
{
	(void)state;
	static char block[BLOCK];
	int ends[2], status = -1;
	memset(block, 'a', sizeof block);
	assert_int_equal(world_write(node, "/etc/a", (struct bytes){ block, BLOCK }, &ours), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[1]);
		_exit(look_on(ends[0]));
	}
	for (int i = 0; i < ROUNDS; i++) {
		memset(block, 'a' + i % 26, sizeof block);
		assert_int_equal(world_write(node, "/etc/a", (struct bytes){ block, BLOCK }, &ours), 0);
	}
	close(ends[1]);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* What this program does when strace runs it: `test_change FOLDER`. */
static int be_traced(const char *where)
{
	struct world *world = world_open_writable(where, &arena, &err);
	struct world_owner owner = { 0600, geteuid(), getegid() };
	return !world || world_write(world, "/etc/a", bytes_of("a"), &owner) ||
	       world_append(world, "/etc/a", bytes_of("b")) || world_symlink(world, "a", "/etc/l") ||
	       world_mkdir(world, "/etc/d", 0755) || world_remove(world, "/etc/a");
}

/* The calls, in order, each with a word that must stand in its line. */
static const char *const wished[] = { "openat( a.gpuferry-new", "fchown(", "fchmod(", "write( \"a\"",
	"fsync( etc/a.gpuferry-new", "renameat( a.gpuferry-new", "fsync( etc>", /* world_write */
	"write( \"b\"", "fsync( etc/a>",                                         /* world_append */
	"symlinkat( l.gpuferry-new", "renameat( l.gpuferry-new", "fsync( etc>",  /* world_symlink */
	"mkdirat( \"d\"", "fsync( etc>",                                         /* world_mkdir */
	"unlinkat( \"a\"", "fsync( etc>" };                                      /* world_remove */

static bool is_call(const char *line, const char *wish)
{
	size_t size = strcspn(wish, " ");
	const char *call = strstr(line, arena_strndup(&arena, wish, size));
	return call && (!wish[size] || strstr(call, wish + size + 1));
}

static bool matters(const char *line)
{
	static const char *const calls[] = { "fsync(", "fdatasync(", "renameat", "write(", "symlinkat(", "mkdirat(",
		"unlinkat(", "fchmod(", "fchown(" };
	for (size_t i = 0; i < COUNT(calls); i++)
		if (strstr(line, calls[i]))
			return true;
	return strstr(line, "openat(") && strstr(line, "O_CREAT");
}

static void each_name_is_synced_behind_its_content(void **state)
{
	(void)state;
	char command[512], self[256] = "", trace[128];
	assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
	snprintf(trace, sizeof trace, "%s/trace", folder);
	snprintf(command, sizeof command, "strace -o /dev/null true 2>/dev/null");
	if (system(command) != 0)
		skip();
	snprintf(command, sizeof command, "ASAN_OPTIONS=detect_leaks=0 strace -f -qq -y -o %s %s %s", trace, self, folder);
	assert_int_equal(system(command), 0);
	struct bytes text = test_read(&arena, trace), line;
	size_t cursor = 0, at = 0;
	while (text_line(text, &cursor, &line)) {
		const char *call = arena_strndup(&arena, line.data, line.size);
		/* of the two folders one is the root's own: what the sanitizer opens is not of interest */
		if (!strstr(call, folder) || !matters(call) || strstr(call, "execve("))
			continue;
		if (at >= COUNT(wished) || !is_call(call, wished[at]))
			fail_msg("call %zu is %s, not %s", at, call, at < COUNT(wished) ? wished[at] : "the end");
		at++;
	}
	assert_int_equal(at, COUNT(wished));
}

/* ---- sysfs ------------------------------------------------------------------- */

static int64_t ms_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int root_fd(void) { return file_open_root(folder); }

static void an_attribute_is_written_at_once(void **state)
{
	(void)state;
	int root FD_SCOPED = root_fd();
	put_plain("etc/value", "old\n");
	assert_int_equal(file_attribute(root, "/etc/value", "new", 5000), 0);
	assert_string_equal(text_at("/etc/value"), "new\n"); /* not emptied before: a store is no file */
	assert_int_equal(file_attribute(root, "/etc/none", "new", 5000), ENOENT);
	assert_int_equal(file_attribute(root, "/etc", "new", 5000), EISDIR);
	assert_int_equal(symlinkat("value", plain, "etc/l"), 0);
	assert_int_equal(file_attribute(root, "/etc/l", "x", 5000), ELOOP);
	assert_int_equal(mkfifoat(plain, "etc/fifo", 0600), 0);
	int reader FD_SCOPED = openat(plain, "etc/fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	assert_int_equal(file_attribute(root, "/etc/fifo", "x", 5000), EINVAL);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
	assert_int_equal(errno, ECHILD);
}

static void what_the_kernel_refuses_is_said(void **state)
{
	(void)state;
	struct world *live = world_open_writable(NULL, &arena, &err);
	assert_non_null(live);
	assert_int_equal(world_set(live, "/proc/self/oom_score_adj", "99999", 5000), EINVAL);
	assert_int_equal(world_set(live, "/proc/self/none", "1", 5000), ENOENT);
	world_close(live);
}

static int set_long(void)
{
	int root = root_fd(), error = file_attribute(root, "/etc/value", "a long value", 5000);
	close(root);
	return error;
}

static void half_a_value_is_an_error(void **state)
{
	(void)state;
	put_plain("etc/value", "");
	assert_int_equal(in_little_room(4, set_long), EIO);
}

/* A lease holds back who opens the file for writing, as a driver's unbind may hold back a write. */
static void a_write_that_hangs_is_left(void **state)
{
	(void)state;
	int root FD_SCOPED = root_fd();
	put_plain("etc/value", "old");
	int lease FD_SCOPED = openat(plain, "etc/value", O_RDONLY | O_CLOEXEC);
	signal(SIGIO, SIG_IGN);
	if (fcntl(lease, F_SETLEASE, F_RDLCK))
		skip();
	int64_t before = ms_now();
	assert_int_equal(file_attribute(root, "/etc/value", "new", 300), ETIMEDOUT);
	int64_t took = ms_now() - before;
	assert_true(took >= 300 && took < 5000);
	assert_int_equal(fcntl(lease, F_SETLEASE, F_UNLCK), 0);
	assert_true(waitpid(-1, NULL, 0) > 0 || errno == ECHILD);
	assert_string_equal(text_at("/etc/value"), "old"); /* it does not come to it later */
}

/* ---- the lock ------------------------------------------------------------------ */

static int lock_it(void)
{
	struct world *other = world_open_writable(folder, &arena, &err);
	int error = world_lock(other, "/etc/lock");
	world_close(other);
	return error;
}

static void one_holds_the_lock(void **state)
{
	(void)state;
	assert_int_equal(world_lock(node, "/etc/lock"), 0);
	assert_int_equal(world_lock(node, "/etc/lock"), 0); /* its own */
	assert_int_equal(in_little_room(RLIM_INFINITY, lock_it), EWOULDBLOCK);
	assert_int_equal(lock_it(), EWOULDBLOCK);
	world_close(node);
	assert_int_equal(lock_it(), 0);
	node = world_open_writable(folder, &arena, &err);
	assert_int_equal(world_lock(node, "/etc/lock"), 0);
}

/* A stuck child outlives the run; it must not keep the lock with it. */
static void a_stuck_child_does_not_hold_the_lock(void **state)
{
	(void)state;
	int root FD_SCOPED = root_fd();
	put_plain("etc/value", "old");
	int lease FD_SCOPED = openat(plain, "etc/value", O_RDONLY | O_CLOEXEC);
	signal(SIGIO, SIG_IGN);
	if (fcntl(lease, F_SETLEASE, F_RDLCK))
		skip();
	assert_int_equal(world_lock(node, "/etc/lock"), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		/* stuck as long as the lease is not given back, in a child of this one; this one is waiting for it */
		_exit(file_attribute(root, "/etc/value", "new", 4000) == ETIMEDOUT ? 0 : 1);
	}
	usleep(300 * 1000);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	world_close(node);
	int error = lock_it();
	assert_int_equal(fcntl(lease, F_SETLEASE, F_UNLCK), 0);
	node = world_open_writable(folder, &arena, &err);
	assert_int_equal(error, 0);
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return be_traced(argv[1]);
#define ONE(test) cmocka_unit_test_setup_teardown(test, open_node, close_node)
	const struct CMUnitTest tests[] = {
		ONE(what_is_written_is_there),
		ONE(what_is_appended_is_behind),
		ONE(what_is_removed_is_gone),
		ONE(folders_are_made_with_those_above),
		ONE(links_are_made_and_replaced),
		ONE(links_do_not_lead_out),
		ONE(a_link_at_the_end_is_not_followed),
		ONE(only_files_and_links_are_replaced),
		ONE(what_was_cut_off_is_replaced),
		ONE(who_only_reads_changes_nothing),
		ONE(the_cluster_file_system_is_not_written),
		ONE(a_folder_has_no_commands_and_no_kernel),
		ONE(no_room_leaves_the_old),
		ONE(a_full_disk_leaves_the_old),
		ONE(a_reader_sees_old_or_new),
		ONE(each_name_is_synced_behind_its_content),
		ONE(an_attribute_is_written_at_once),
		ONE(what_the_kernel_refuses_is_said),
		ONE(half_a_value_is_an_error),
		ONE(a_write_that_hangs_is_left),
		ONE(one_holds_the_lock),
		ONE(a_stuck_child_does_not_hold_the_lock),
	};
	return cmocka_run_group_tests_name("change", tests, NULL, NULL);
}
