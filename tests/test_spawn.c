/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/spawn.h"

static struct outcome shell(const char *script, struct bytes input, unsigned deadline_ms, size_t output_max,
	struct arena *arena)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct command command = { .argv = argv, .input = input, .deadline_ms = deadline_ms, .output_max = output_max };
	struct outcome outcome = { 0 };
	int error = spawn_run(&command, arena, &outcome);
	if (error)
		fail_msg("%s", strerror(error));
	return outcome;
}

static void status_and_streams(void **state)
{
	(void)state;
	static const struct {
		const char *script;
		int status;
		const char *out, *err;
	} table[] = {
		{ "true", 0, "", "" },
		{ "exit 3", 3, "", "" },
		{ "echo one; echo two >&2", 0, "one\n", "two\n" },
		{ "kill -TERM $$", 128 + SIGTERM, "", "" },
		{ "cat", 0, "", "" },
		{ "echo $LC_ALL $PATH", 0, "C /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n", "" },
		{ "echo $GPUFERRY_SECRET", 0, "\n", "" },
		{ "test -t 0 || echo no terminal", 0, "no terminal\n", "" },
	};
	setenv("GPUFERRY_SECRET", "leaks", 1);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct outcome outcome = shell(table[i].script, (struct bytes){ 0 }, 0, 0, &arena);
		assert_int_equal(outcome.status, table[i].status);
		assert_string_equal(outcome.out.data, table[i].out);
		assert_string_equal(outcome.err.data, table[i].err);
		assert_false(outcome.timed_out || outcome.cut);
	}
}

static void what_cannot_start_is_an_errno(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct outcome outcome;
	static const struct {
		const char *program;
		int error;
	} table[] = { { "gpuferry-no-such-program", ENOENT }, { "/none/such", ENOENT }, { "", ENOENT }, { "/etc/passwd", EACCES } };
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *const argv[] = { table[i].program, NULL };
		assert_int_equal(spawn_run(&(struct command){ .argv = argv }, &arena, &outcome), table[i].error);
	}
}

static void input_is_fed_while_output_is_read(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	size_t size = 3 * 1024 * 1024;
	char *data = arena_alloc(&arena, size);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 31 >> 3);
	struct outcome outcome = shell("tee /dev/stderr", (struct bytes){ data, size }, 60000, 0, &arena);
	assert_int_equal(outcome.status, 0);
	assert_int_equal(outcome.out.size, size);
	assert_int_equal(outcome.err.size, size);
	assert_memory_equal(outcome.out.data, data, size);
}

static void child_that_does_not_read_its_input(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	size_t size = 1024 * 1024;
	struct outcome outcome = shell("exec 0<&-; echo done", (struct bytes){ arena_alloc(&arena, size), size }, 0, 0, &arena);
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.out.data, "done\n");
}

static bool gone(pid_t pid)
{
	for (int i = 0; i < 1000; i++) {
		char path[64], line[256] = "";
		snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
		FILE *file = fopen(path, "r");
		if (file && !fgets(line, sizeof line, file))
			*line = '\0';
		if (file)
			fclose(file);
		/* a zombie waits for whoever adopts it */
		if (!*line || strstr(line, ") Z "))
			return true;
		usleep(5000);
	}
	return false;
}

static void deadline_ends_the_whole_group(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct outcome outcome = shell("trap '' TERM; sleep 1000 & echo $!; sleep 1000", (struct bytes){ 0 }, 200, 0, &arena);
	assert_true(outcome.timed_out);
	assert_int_equal(outcome.status, 128 + SIGKILL);
	pid_t pid = (pid_t)atoi(outcome.out.data);
	assert_true(pid > 1);
	assert_true(gone(pid));
}

static void child_left_behind_is_not_waited_for(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct outcome outcome = shell("sleep 1000 & echo $!", (struct bytes){ 0 }, 600000, 0, &arena);
	assert_false(outcome.timed_out);
	assert_int_equal(outcome.status, 0);
	assert_true(gone((pid_t)atoi(outcome.out.data)));
}

static void output_has_a_limit(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct outcome outcome = shell("yes", (struct bytes){ 0 }, 60000, 100000, &arena);
	assert_true(outcome.cut);
	assert_false(outcome.timed_out);
	assert_int_equal(outcome.out.size, 100000);
	outcome = shell("printf 1234567890", (struct bytes){ 0 }, 0, 10, &arena);
	assert_false(outcome.cut);
	assert_int_equal(outcome.out.size, 10);
	outcome = shell("printf 12345678901", (struct bytes){ 0 }, 0, 10, &arena);
	assert_true(outcome.cut);
	assert_string_equal(outcome.out.data, "1234567890");
}

static void no_descriptor_leaks(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	int leak = dup(2); /* without close-on-exec */
	struct outcome outcome = shell("ls /proc/self/fd", (struct bytes){ 0 }, 0, 0, &arena);
	close(leak);
	assert_string_equal(outcome.out.data, "0\n1\n2\n3\n"); /* 3 is the folder that ls reads */
	int before = dup(2);
	close(before);
	for (int i = 0; i < 50; i++)
		shell("true", bytes_of("x"), 0, 0, &arena);
	int after = dup(2);
	close(after);
	assert_int_equal(before, after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_and_streams),
		cmocka_unit_test(what_cannot_start_is_an_errno),
		cmocka_unit_test(input_is_fed_while_output_is_read),
		cmocka_unit_test(child_that_does_not_read_its_input),
		cmocka_unit_test(deadline_ends_the_whole_group),
		cmocka_unit_test(child_left_behind_is_not_waited_for),
		cmocka_unit_test(output_has_a_limit),
		cmocka_unit_test(no_descriptor_leaks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
