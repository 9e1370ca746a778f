/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A real sshd on loopback, of this test alone: own keys, own configuration, stopped by its pid. ssh takes its home from
 * the password file, so the test lives in a mount namespace of its own where a temporary folder lies over that home.
 */
#include "sys/remote.h"

#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/spawn.h"
#include "sys/wants.h"

static char place[64];
static char where[128];
static pid_t server = -1;
static const char *why_not; /* why there is no server; NULL: there is one */
static struct arena kept;   /* of the group */

static void put_file(const char *path, const char *content, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
}

static const char *in_place(const char *name)
{
	return arena_printf(&kept, "%s/%s", place, name);
}

static bool make_key(const char *path)
{
	const char *argv[] = { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path, NULL };
	struct command command = { .argv = argv };
	struct outcome outcome;
	return spawn_run(&command, &kept, &outcome) == 0 && outcome.status == 0;
}

static const char *public_key(const char *path)
{
	return test_read(&kept, arena_printf(&kept, "%s.pub", path)).data;
}

static unsigned free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static bool answers(unsigned port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	for (int i = 0; i < 200; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int error = connect(fd, (struct sockaddr *)&address, sizeof address);
		close(fd);
		if (!error)
			return true;
		if (waitpid(server, NULL, WNOHANG) == server) {
			server = -1;
			return false;
		}
		usleep(50000);
	}
	return false;
}

/* Nothing of this is seen by any other process. */
static const char *own_namespace(const char *home)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "no mount namespace of its own";
	if (mount(in_place("home"), home, NULL, MS_BIND, NULL))
		return "the home cannot be covered";
	if (access("/run/sshd", F_OK) != 0 && (mount("none", "/run", "tmpfs", 0, "mode=755") || mkdir("/run/sshd", 0755)))
		return "sshd's folder cannot be made";
	return NULL;
}

static const char *start_server(const struct passwd *user)
{
	unsigned port = free_port();
	put_file(in_place("sshd_config"),
		arena_printf(&kept,
			"ListenAddress 127.0.0.1\nPort %u\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nUsePAM no\nStrictModes no\n"
			"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nPrintMotd no\n"
			"PrintLastLog no\n",
			port, in_place("host"), in_place("authorized")),
		0600);
	put_file(in_place("home/.ssh/known_hosts"), arena_printf(&kept, "[127.0.0.1]:%u %s", port, public_key(in_place("host"))), 0600);
	/* what a login likes to print before anything else */
	put_file(in_place("home/.bashrc"), "echo 'Welcome, it is '$(date)\necho @home is where\n", 0644);
	char *argv[] = { (char[]){ "/usr/sbin/sshd" }, (char[]){ "-D" }, (char[]){ "-e" }, (char[]){ "-f" },
		arena_strdup(&kept, in_place("sshd_config")), NULL };
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 2, in_place("log"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int error = posix_spawn(&server, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error || !answers(port))
		return "sshd does not start";
	snprintf(where, sizeof where, "ssh://%s@127.0.0.1:%u", user->pw_name, port);
	return NULL;
}

static int make_server(void **state)
{
	(void)state;
	strcpy(place, "/tmp/gpuferry-remote-XXXXXX");
	assert_non_null(mkdtemp(place));
	const struct passwd *user = getpwuid(getuid());
	if (access("/usr/sbin/sshd", X_OK) != 0 || access("/usr/bin/ssh", X_OK) != 0 || !user) {
		why_not = "openssh-server and openssh-client are not installed";
		return 0;
	}
	assert_int_equal(mkdir(in_place("home"), 0700), 0);
	assert_int_equal(mkdir(in_place("home/.ssh"), 0700), 0);
	if (!make_key(in_place("host")) || !make_key(in_place("home/.ssh/id_ed25519"))) {
		why_not = "ssh-keygen fails";
		return 0;
	}
	put_file(in_place("authorized"), public_key(in_place("home/.ssh/id_ed25519")), 0600);
	why_not = own_namespace(user->pw_dir);
	if (!why_not)
		why_not = start_server(user);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	if (server > 0) {
		kill(server, SIGTERM);
		waitpid(server, NULL, 0);
	}
	const char *argv[] = { "rm", "-rf", "--", place, NULL };
	struct command command = { .argv = argv };
	struct outcome outcome;
	int error = spawn_run(&command, &kept, &outcome);
	arena_release(&kept);
	return error;
}

static void need_server(void)
{
	if (why_not) {
		print_message("no sshd here: %s\n", why_not);
		skip();
	}
}

static struct target over_ssh(void)
{
	return (struct target){ .label = "node", .hop = { { HOP_SSH, where } }, .n = 1 };
}

static struct want file_want(const char *pattern)
{
	return (struct want){ WANT_FILE, pattern, NULL, 65536 };
}

/* A machine that answers the script at once and with nothing, sleeps over one question, and says at great length what
 * it has to say: it is asked once, respectively a few times. */
static void does_not_wait_for_a_liar(void **state)
{
	(void)state;
	need_server();
	static const struct {
		const char *script;
		bool opens;
		size_t most;
	} liars[] = {
		{ "case $SSH_ORIGINAL_COMMAND in 'sh -s') printf '@gpuferry-frames 1 base64\\n@end\\n';; *) sleep 30;; esac", true, 2 },
		{ "head -c 140000000 /dev/zero", false, 4 },
	};
	const char *authorized = in_place("authorized");
	for (size_t i = 0; i < COUNT(liars); i++) {
		struct arena arena ARENA_SCOPED = {0};
		struct bytes keys = test_read(&arena, authorized);
		put_file(in_place("liar"), arena_printf(&arena, "echo x >>%s\n%s\n", in_place("asked"), liars[i].script), 0644);
		put_file(in_place("asked"), "", 0600);
		put_file(authorized, arena_printf(&arena, "command=\"sh %s\" %s", in_place("liar"), keys.data), 0600);
		const struct want wants[] = { file_want("/proc/version"), file_want("/proc/cpuinfo"), file_want("/proc/modules"),
			file_want("/proc/meminfo"), file_want("/proc/mounts"), file_want("/proc/uptime"), { WANT_END } };
		struct target target = over_ssh();
		struct err err = {0};
		struct world *world = remote_open(&target, wants, &arena, &err);
		put_file(authorized, keys.data, 0600);
		assert_int_equal(world != NULL, liars[i].opens);
		if (world) {
			put_file(authorized, arena_printf(&arena, "command=\"sh %s\" %s", in_place("liar"), keys.data), 0600);
			const char *argv[] = { "true", NULL };
			struct command command = { .argv = argv, .deadline_ms = 500 };
			struct outcome outcome;
			struct bytes bytes;
			assert_int_equal(world_run(world, &command, &arena, &outcome), ETIMEDOUT);
			assert_int_equal(world_read(world, "/proc/loadavg", 0, &arena, &bytes), ETIMEDOUT);
			assert_int_equal(world_run(world, &command, &arena, &outcome), ETIMEDOUT);
			world_close(world);
			put_file(authorized, keys.data, 0600);
		}
		assert_in_range(test_read(&arena, in_place("asked")).size, 2, 2 * liars[i].most);
	}
}

/* ---- reading ---------------------------------------------------------------- */

static void reads_as_here(void **state)
{
	(void)state;
	need_server();
	struct arena arena ARENA_SCOPED = {0};
	static const struct {
		const char *name, *content;
	} files[] = { { "plain", "0x10de\n" }, { "a b", "blank\n" }, { "new\nline", "x" }, { "-rf", "dash" }, { "\xff*", "glob\n" },
		{ "it's", "" } };
	assert_int_equal(mkdir(in_place("tree"), 0755), 0);
	for (size_t i = 0; i < COUNT(files); i++)
		put_file(in_place(arena_printf(&arena, "tree/%s", files[i].name)), files[i].content, 0644);
	assert_int_equal(symlink("a b", in_place("tree/link")), 0);
	const struct want wants[] = { file_want(in_place("tree/*")), file_want("/proc/version"), file_want("/proc/cpuinfo"),
		{ WANT_LINK, "/sys/class/net/*" }, { WANT_RUN, "echo hello" }, { WANT_END } };
	struct target target = over_ssh();
	struct err err = {0};
	struct world *there = remote_open(&target, wants, &arena, &err);
	if (!there)
		fail_msg("%s (%s) %s", err.text, err.hint, test_read(&arena, in_place("log")).data);
	assert_string_equal(there->label, "node");
	assert_true(there->live);
	for (size_t i = 0; i < COUNT(files); i++) {
		struct bytes content = {0};
		assert_int_equal(world_read(there, in_place(arena_printf(&arena, "tree/%s", files[i].name)), 0, &arena, &content), 0);
		assert_string_equal(content.data, files[i].content);
	}
	struct world *here = world_open_root(NULL, false, &arena, &err);
	struct words left, right;
	assert_int_equal(world_list(here, in_place("tree"), &arena, &left), 0);
	assert_int_equal(world_list(there, in_place("tree"), &arena, &right), 0);
	assert_int_equal(left.n, right.n);
	for (size_t i = 0; i < left.n; i++)
		assert_string_equal(left.word[i], right.word[i]);
	struct bytes a, b;
	assert_int_equal(world_read(here, "/proc/version", 0, &arena, &a), 0);
	assert_int_equal(world_read(there, "/proc/version", 0, &arena, &b), 0);
	assert_string_equal(a.data, b.data);
	struct bytes content;
	assert_int_equal(world_read(there, in_place("tree/link"), 0, &arena, &content), 0);
	assert_string_equal(content.data, "blank\n");
	assert_int_equal(world_read(there, in_place("tree/none"), 0, &arena, &content), ENOENT);
	world_close(here);
	world_close(there);
}

/* Big files are no part of the one round trip; who needs one gets it, byte for byte. */
static void fetches_what_was_not_asked_before(void **state)
{
	(void)state;
	need_server();
	struct arena arena ARENA_SCOPED = {0};
	enum { SIZE = 300000 };
	char *raw = arena_alloc(&arena, SIZE + 1);
	for (size_t i = 0; i < SIZE; i++)
		raw[i] = (char)(i * 2654435761u >> 13);
	memcpy(raw + 1000, "gpuferry-bytes:", 15); /* the mark may stand in a file, too */
	FILE *file = fopen(in_place("big image"), "wb");
	assert_int_equal(fwrite(raw, 1, SIZE, file), SIZE);
	assert_int_equal(fclose(file), 0);

	const struct want wants[] = { { WANT_STAT, "/dev/null" }, { WANT_END } };
	struct target target = over_ssh();
	struct err err = {0};
	struct world *there = remote_open(&target, wants, &arena, &err);
	assert_non_null(there);
	struct bytes content = {0};
	assert_int_equal(world_read(there, in_place("big image"), 0, &arena, &content), 0);
	assert_int_equal(content.size, SIZE);
	assert_memory_equal(content.data, raw, SIZE);
	assert_int_equal(world_read(there, in_place("big image"), SIZE - 1, &arena, &content), EFBIG);
	assert_int_equal(world_read(there, in_place("big image"), SIZE, &arena, &content), 0);
	assert_int_equal(world_read(there, in_place("none"), 0, &arena, &content), ENOENT);
	assert_int_equal(world_read(there, place, 0, &arena, &content), EISDIR);
	world_close(there);
}

static void runs_what_was_not_asked_before(void **state)
{
	(void)state;
	need_server();
	struct arena arena ARENA_SCOPED = {0};
	const struct want wants[] = { { WANT_STAT, "/dev/null" }, { WANT_END } };
	struct target target = over_ssh();
	struct err err = {0};
	struct world *there = remote_open(&target, wants, &arena, &err);
	assert_non_null(there);
	const char *argv[] = { "sh", "-c", "printf '%s|' \"$@\"; cat; exit 4", "x", "a b", "it's", "*", NULL };
	struct command command = { .argv = argv, .input = bytes_of("in") };
	struct outcome outcome = {0};
	assert_int_equal(world_run(there, &command, &arena, &outcome), 0);
	assert_int_equal(outcome.status, 4);
	assert_non_null(strstr(outcome.out.data, "a b|it's|*|in"));
	const char *missing[] = { "no-such-program", NULL };
	command = (struct command){ .argv = missing };
	assert_int_equal(world_run(there, &command, &arena, &outcome), ENOENT);
	world_close(there);
}

static void reads_a_whole_node(void **state)
{
	(void)state;
	need_server();
	struct arena arena ARENA_SCOPED = {0};
	struct target target = over_ssh();
	struct err err = {0};
	struct world *there = world_open_ssh(&target, &arena, &err);
	if (!there)
		fail_msg("%s (%s)", err.text, err.hint);
	struct words left, right;
	struct world *here = world_open_root(NULL, false, &arena, &err);
	int error = world_list(here, "/sys/bus/pci/devices", &arena, &left);
	assert_int_equal(world_list(there, "/sys/bus/pci/devices", &arena, &right), error);
	for (size_t i = 0; !error && i < left.n; i++) {
		struct bytes a, b;
		const char *path = arena_printf(&arena, "/sys/bus/pci/devices/%s/vendor", left.word[i]), *driver[2] = { "", "" };
		assert_int_equal(world_read(here, path, 0, &arena, &a), 0);
		assert_int_equal(world_read(there, path, 0, &arena, &b), 0);
		assert_string_equal(a.data, b.data);
		int bound = world_link_name(here, &arena, &driver[0], "/sys/bus/pci/devices/%s/driver", left.word[i]);
		assert_int_equal(world_link_name(there, &arena, &driver[1], "/sys/bus/pci/devices/%s/driver", left.word[i]), bound);
		if (!bound)
			assert_string_equal(driver[0], driver[1]);
	}
	/* a guest of a machine that is no Proxmox VE host */
	struct target guest = { .label = "vm/100", .hop = { { HOP_QM, "100" } }, .n = 1 };
	if (access("/usr/sbin/qm", F_OK) != 0) {
		assert_null(world_inside(there, &guest, &arena, &err));
		assert_non_null(strstr(err.text, "no Proxmox VE host"));
	}
	world_close(here);
	world_close(there);
}

/* ---- failing ------------------------------------------------------------------ */

static void says_what_to_do(void **state)
{
	(void)state;
	need_server();
	struct arena arena ARENA_SCOPED = {0};
	struct err err = {0};
	struct target target = { .label = "node", .hop = { { HOP_SSH, arena_printf(&arena, "ssh://root@127.0.0.1:%u", free_port()) } }, .n = 1 };
	assert_null(world_open_ssh(&target, &arena, &err));
	if (!strstr(err.text, "refused") || !strstr(err.hint, "port"))
		fail_msg("%s (%s)", err.text, err.hint);
	/* the same server under a name whose key nobody has accepted: it is not accepted here either */
	const char *hosts = in_place("home/.ssh/known_hosts");
	struct bytes before = test_read(&arena, hosts);
	put_file(hosts, "", 0600);
	target = over_ssh();
	assert_null(world_open_ssh(&target, &arena, &err));
	if (!strstr(err.text, "Host key verification failed") || !strstr(err.hint, "accept its key"))
		fail_msg("%s (%s)", err.text, err.hint);
	assert_int_equal(test_read(&arena, hosts).size, 0);
	put_file(hosts, before.data, 0600);
	/* a key that the other side does not know */
	const char *authorized = in_place("authorized");
	struct bytes keys = test_read(&arena, authorized);
	put_file(authorized, "", 0600);
	assert_null(world_open_ssh(&target, &arena, &err));
	if (!strstr(err.text, "Permission denied") || !strstr(err.hint, "ssh-copy-id"))
		fail_msg("%s (%s)", err.text, err.hint);
	put_file(authorized, keys.data, 0600);
}

static void refuses_names_that_are_none(void **state)
{
	(void)state;
	static const struct hop hops[] = { { HOP_QM, "100; reboot" }, { HOP_QM, "" }, { HOP_QM, "-1" }, { HOP_PCT, "1 2" },
		{ HOP_DOCKER, "-it" }, { HOP_DOCKER, "a b" }, { HOP_DOCKER, "" }, { HOP_SSH, "-oProxyCommand=x" }, { HOP_SSH, NULL },
		{ HOP_NONE, "x" } };
	for (size_t i = 0; i < COUNT(hops); i++) {
		struct arena arena ARENA_SCOPED = {0};
		struct err err = {0};
		struct target target = { .label = "there", .hop = { hops[i] }, .n = 1 };
		assert_null(remote_inside(&target, &arena, &err));
		assert_int_equal(err.kind, ERR_USAGE);
	}
	struct arena arena ARENA_SCOPED = {0};
	struct err err = {0};
	struct target nowhere = { .label = "there" };
	assert_null(remote_inside(&nowhere, &arena, &err));
	if (access("/usr/sbin/pct", F_OK) != 0) {
		struct target guest = { .label = "ct/105", .hop = { { HOP_PCT, "105" } }, .n = 1 };
		assert_null(remote_inside(&guest, &arena, &err));
		assert_non_null(strstr(err.text, "pct is not installed here"));
		assert_non_null(strstr(err.hint, "Proxmox VE host"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_not_wait_for_a_liar),
		cmocka_unit_test(reads_as_here),
		cmocka_unit_test(fetches_what_was_not_asked_before),
		cmocka_unit_test(runs_what_was_not_asked_before),
		cmocka_unit_test(reads_a_whole_node),
		cmocka_unit_test(says_what_to_do),
		cmocka_unit_test(refuses_names_that_are_none),
	};
	return cmocka_run_group_tests(tests, make_server, stop_server);
}
