/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The hop into a VM against a real qemu-guest-agent: one of this test's own, on a socket in a folder of its own, asked by
 * agent/qm in the place of Proxmox's. What passes: every byte, exit codes, signals, much output and too much; what does not
 * come to an end; an agent that is not there, hangs, or does not allow it. Ended by its pid.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sys/spawn.h"
#include "sys/tape.h"
#include "sys/wants.h"
#include "test.h"

static char folder[] = "/tmp/gpuferry-agent.XXXXXX";
static const char *why_not;

static const char *in_place(struct arena *arena, const char *name)
{
	return arena_printf(arena, "%s/%s", folder, name);
}

/* An agent on VMID.qga; block: commands that it does not allow. */
static pid_t start_agent(const char *vmid, const char *block)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *socket = in_place(&arena, arena_printf(&arena, "%s.qga", vmid)), *state = in_place(&arena, vmid);
	mkdir(state, 0700);
	const char *argv[] = { "qemu-ga", "-m", "unix-listen", "-p", socket, "-t", state, "-f",
		arena_printf(&arena, "%s/pid", state), block ? "-b" : NULL, block, NULL };
	pid_t pid = fork();
	if (pid == 0) {
		int nowhere = open("/dev/null", O_RDWR);
		dup2(nowhere, 1);
		dup2(nowhere, 2);
		execv("/usr/sbin/qemu-ga", (char **)(uintptr_t)argv);
		_exit(127);
	}
	for (unsigned i = 0; i < 500 && access(socket, F_OK) != 0; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

/* A socket that takes every connection and never says a word: an agent whose guest hangs. */
static int listen_in_silence(const char *vmid)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/%s.qga", folder, vmid);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static bool ask(const char *vmid, const struct command *command, struct arena *arena, struct err *err, struct outcome *ret)
{
	const struct hop hop = { HOP_QM, vmid };
	struct command wrapped = hop_wrap(&hop, command, arena);
	const char *argv[32] = { 0 };
	for (size_t i = 0; wrapped.argv[i]; i++)
		argv[i] = i ? wrapped.argv[i] : in_place(arena, "qm");
	wrapped.argv = argv;
	struct outcome outer = { 0 };
	assert_int_equal(spawn_run(&wrapped, arena, &outer), 0);
	return hop_unwrap(&hop, &outer, arena, err, ret);
}

static bool shell(const char *vmid, const char *line, unsigned deadline_ms, struct arena *arena, struct err *err,
        struct outcome *ret)
{
	static const char *const argv[] = { "sh", "-s", NULL };
	struct command command = {
		.argv = argv, .input = bytes_of(line), .deadline_ms = deadline_ms, .output_max = (size_t)64 * 1024 * 1024
	};
	return ask(vmid, &command, arena, err, ret);
}

static pid_t agent;

static int start(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	static const char *const perl[] = { "perl", "-MJSON::XS", "-e", "1", NULL };
	const char *source = getenv("GPUFERRY_SOURCE");
	struct outcome outcome = { 0 };
	if (!mkdtemp(folder))
		return 1;
	if (access("/usr/sbin/qemu-ga", X_OK) != 0)
		why_not = "qemu-guest-agent is not installed";
	else if (spawn_run(&(struct command){ .argv = perl }, &arena, &outcome) != 0 || outcome.status != 0)
		why_not = "perl with JSON::XS is not installed";
	else if (!source || symlink(arena_printf(&arena, "%s/tests/agent/qm", source), in_place(&arena, "qm")) != 0)
		why_not = "agent/qm is not here";
	else
		agent = start_agent("100", NULL);
	return 0;
}

static int end(void **state)
{
	(void)state;
	const char *argv[] = { "rm", "-rf", folder, NULL };
	struct arena arena ARENA_SCOPED = { 0 };
	struct outcome outcome;
	if (agent)
		stop(agent);
	return spawn_run(&(struct command){ .argv = argv }, &arena, &outcome);
}

#define NEEDS_AGENT                                             \
	do {                                                    \
		if (why_not) {                                  \
			print_message("no agent: %s\n", why_not); \
			skip();                                 \
		}                                               \
	} while (0)

static void answers(void **state)
{
	(void)state;
	NEEDS_AGENT;
	static const struct {
		const char *line;
		int status;
		const char *out, *err;
	} cases[] = {
		{ "echo hello", 0, "hello\n", "" },
		{ "echo wrong >&2; exit 3", 3, "", "wrong\n" },
		{ "exit 255", 255, "", "" },
		{ "kill -KILL $$", 128 + SIGKILL, "", "" },
		{ "printf 'a\\tb\\n\"c\"\\\\'", 0, "a\tb\n\"c\"\\", "" },
		{ "cat", 0, "", "" },
		{ "no-such-program", 127, "", NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct err err = { 0 };
		struct outcome got = { 0 };
		if (!shell("100", cases[i].line, 0, &arena, &err, &got))
			fail_msg("%s: %s", cases[i].line, err.text);
		assert_int_equal(got.status, cases[i].status);
		assert_string_equal(got.out.data, cases[i].out);
		if (cases[i].err)
			assert_string_equal(got.err.data, cases[i].err);
		assert_false(got.cut);
	}
}

static void every_byte(void **state)
{
	(void)state;
	NEEDS_AGENT;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct outcome got = { 0 };
	static const char *const argv[] = { "cat", NULL };
	char bytes[4096];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 7 + i / 256);
	struct command command = { .argv = argv, .input = { bytes, sizeof bytes } };
	assert_true(ask("100", &command, &arena, &err, &got));
	assert_int_equal(got.out.size, sizeof bytes);
	assert_memory_equal(got.out.data, bytes, sizeof bytes);
}

static void much_and_too_much(void **state)
{
	(void)state;
	NEEDS_AGENT;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct outcome got = { 0 };
	assert_true(shell("100", "head -c 3000000 /dev/zero | tr '\\0' x", 20000, &arena, &err, &got));
	assert_int_equal(got.out.size, 3000000);
	assert_false(got.cut);
	/* the agent keeps 16 MiB of a stream and says that there was more */
	assert_true(shell("100", "head -c 17000000 /dev/zero | tr '\\0' x", 60000, &arena, &err, &got));
	assert_true(got.cut);
	assert_true(got.out.size >= 16000000 && got.out.size < 17000000);
}

static void much_input(void **state)
{
	(void)state;
	NEEDS_AGENT;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct outcome got = { 0 };
	static const char *const argv[] = { "wc", "-c", NULL };
	char *data = arena_alloc(&arena, HOP_QM_INPUT_MAX + 1);
	memset(data, '\n', HOP_QM_INPUT_MAX + 1);
	struct command command = { .argv = argv, .input = { data, 300000 } };
	assert_true(ask("100", &command, &arena, &err, &got));
	assert_string_equal(got.out.data, "300000\n");
	command.input.size = HOP_QM_INPUT_MAX + 1;
	assert_false(ask("100", &command, &arena, &err, &got));
	assert_non_null(strstr(err.text, "1 MiB"));
}

static void a_program_that_is_not_there(void **state)
{
	(void)state;
	NEEDS_AGENT;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct outcome got = { 0 };
	static const char *const argv[] = { "/no/such/program", NULL };
	assert_true(ask("100", &(struct command){ .argv = argv }, &arena, &err, &got));
	assert_int_equal(got.status, 127);
}

static void does_not_end(void **state)
{
	(void)state;
	NEEDS_AGENT;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct outcome got = { 0 };
	assert_false(shell("100", "sleep 6", 1000, &arena, &err, &got));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	/* and the agent goes on answering */
	assert_true(shell("100", "echo there", 0, &arena, &err, &got));
	assert_string_equal(got.out.data, "there\n");
}

static void no_agent(void **state)
{
	(void)state;
	NEEDS_AGENT;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct outcome got = { 0 };
	assert_false(shell("101", "true", 0, &arena, &err, &got));
	assert_non_null(strstr(err.text, "does not answer"));
	assert_non_null(strstr(err.hint, "qemu-guest-agent"));
	int silent = listen_in_silence("102");
	assert_false(shell("102", "true", 0, &arena, &err, &got));
	assert_non_null(strstr(err.text, "does not answer"));
	close(silent);
	pid_t strict = start_agent("103", "guest-exec");
	assert_false(shell("103", "true", 0, &arena, &err, &got));
	assert_non_null(strstr(err.text, "does not allow"));
	stop(strict);
}

/* What a reader asks of a guest, in one script: files, links, folders, what is not there, and a command. */
static void a_whole_question(void **state)
{
	(void)state;
	NEEDS_AGENT;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct outcome got = { 0 };
	const char *binary = in_place(&arena, "binary");
	FILE *file = fopen(binary, "wb");
	for (int i = 0; i < 256; i++)
		fputc(i, file);
	fclose(file);
	const struct want wants[] = { { .kind = WANT_FILE, .what = binary }, { .kind = WANT_FILE, .what = "/proc/version" },
		{ .kind = WANT_FILE, .what = "/no/such/file" }, { 0 } };
	struct bytes script = wants_script(wants, &arena);
	static const char *const argv[] = { "sh", "-s", NULL };
	struct command command = { .argv = argv, .input = script, .deadline_ms = 20000 };
	if (!ask("100", &command, &arena, &err, &got))
		fail_msg("%s", err.text);
	struct tape *tape = tape_new(&arena, 0);
	struct tape_target *target = tape_target(tape, &arena, "vm/100");
	assert_true(wants_parse(got.out, NULL, target, &arena, &err));
	tape_sort(target, &arena);
	struct world *world = tape_world(tape, "vm/100", &arena, &err);
	struct bytes data;
	assert_int_equal(world_read(world, binary, 0, &arena, &data), 0);
	assert_int_equal(data.size, 256);
	for (int i = 0; i < 256; i++)
		assert_int_equal((unsigned char)data.data[i], i);
	assert_int_equal(world_read(world, "/proc/version", 0, &arena, &data), 0);
	assert_true(text_starts(data.data, "Linux version "));
	assert_int_equal(world_read(world, "/no/such/file", 0, &arena, &data), ENOENT);
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(every_byte),
		cmocka_unit_test(much_and_too_much),
		cmocka_unit_test(much_input),
		cmocka_unit_test(a_program_that_is_not_there),
		cmocka_unit_test(does_not_end),
		cmocka_unit_test(no_agent),
		cmocka_unit_test(a_whole_question),
	};
	return cmocka_run_group_tests(tests, start, end);
}
