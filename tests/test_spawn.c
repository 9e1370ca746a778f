/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <time.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

static void deadline_ends_the_whole_group(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct outcome outcome = shell("trap '' TERM; sleep 1000 & echo $!; sleep 1000", (struct bytes){ 0 }, 200, 0, &arena);
	assert_true(outcome.timed_out);
	assert_int_equal(outcome.status, 128 + SIGKILL);
	pid_t pid = (pid_t)atoi(outcome.out.data);
	assert_true(pid > 1);
	assert_true(test_gone(pid));
}

static void child_left_behind_is_not_waited_for(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct outcome outcome = shell("sleep 1000 & echo $!", (struct bytes){ 0 }, 600000, 0, &arena);
	assert_false(outcome.timed_out);
	assert_int_equal(outcome.status, 0);
	assert_true(test_gone((pid_t)atoi(outcome.out.data)));
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

/* Beside each other: as long as the slowest, each with its own end; the watcher sees the process that runs. */
static void watch_pid(void *data, int64_t pid)
{
	int64_t *seen = data;
	seen[0] = pid;
	seen[1]++;
}

static void test_each(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	int64_t seen[2] = { 0 };
	enum { N = 20 };
	struct run_job jobs[N] = { 0 };
	static const char *const words[N][4] = {
		[0] = { "sh", "-c", "echo $$; exec sleep 1" },
		[1] = { "sleep", "30" },
		[2] = { "no-such-program" },
		[3] = { NULL },
		[4] = { "sh", "-c", "exit 7" },
		[5] = { "sh", "-c", "yes | head -c 100000" },
		[6] = { "cat" },
	};
	static const char *const sleeping[] = { "sleep", "0.3", NULL };
	for (size_t i = 0; i < N; i++)
		jobs[i].command = (struct command){
			.argv = i > 6 ? sleeping : words[i],
			.deadline_ms = i == 1 ? 300 : 0,
			.output_max = i == 5 ? 1000 : 0,
			.input = i == 6 ? bytes_of("through") : (struct bytes){ 0 },
		};
	jobs[0].watch = watch_pid;
	jobs[0].data = seen;
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	spawn_run_each(jobs, N, 16, &arena);
	clock_gettime(CLOCK_MONOTONIC, &end);
	/* 1 + 0.3 + 13 x 0.3 one after the other */
	assert_true((double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9 < 4);
	assert_int_equal(atoi(jobs[0].outcome.out.data), seen[0]);
	assert_true(seen[1] > 2);
	assert_true(jobs[0].ms >= 1000 && jobs[1].ms >= 300 && jobs[1].ms < 3000 && jobs[2].ms == 0);
	assert_true(jobs[1].outcome.timed_out && jobs[1].outcome.status == 137);
	assert_int_equal(jobs[2].error, ENOENT);
	assert_int_equal(jobs[3].error, ENOENT);
	assert_int_equal(jobs[4].outcome.status, 7);
	assert_true(jobs[5].outcome.cut && jobs[5].outcome.out.size == 1000);
	assert_string_equal(jobs[6].outcome.out.data, "through");
	for (size_t i = 7; i < N; i++)
		assert_true(!jobs[i].error && jobs[i].outcome.status == 0 && !jobs[i].outcome.timed_out);
	spawn_run_each(NULL, 0, 4, &arena);
	(void)state;
}

/* Two long ones are read beside each other, line by line, while they run. */
static void long_ones_are_read_while_they_run(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct spawned *list[3] = { 0 };
	struct bytes line;
	struct outcome outcome = { 0 };
	static const char *const counts[] = { "sh", "-c", "for i in 1 2 3; do echo a$i; sleep 0.1; done; echo b; printf c; exit 3", NULL };
	static const char *const says[] = { "sh", "-c",
		"echo first >&2; yes | head -c 1000000 >&2; echo last >&2; head -c 300000 /dev/zero; echo; echo end; exec sleep 60", NULL };
	static const char *const none[] = { "no-such-program", NULL };
	assert_int_equal(spawn_begin(none, NULL, &arena, &list[0]), ENOENT);
	assert_int_equal(spawn_begin(counts, NULL, &arena, &list[0]), 0);
	assert_int_equal(spawn_begin(says, NULL, &arena, &list[2]), 0);
	char seen[64] = "";
	bool end = false;
	for (int i = 0; i < 1000 && !(spawn_ended(list[0]) && end); i++) {
		spawn_wait(list, 3, -1, 100);
		while (spawn_line(list[0], &line))
			snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%.*s ", (int)line.size, line.data);
		while (spawn_line(list[2], &line))
			end |= line.size == 3 && memcmp(line.data, "end", 3) == 0;
	}
	assert_string_equal(seen, "a1 a2 a3 b ");
	spawn_end(&list[0], &arena, &outcome);
	assert_int_equal(outcome.status, 3);
	assert_null(list[0]);
	spawn_end(&list[2], &arena, &outcome); /* still asleep */
	assert_int_equal(outcome.status, 137);
	assert_true(text_starts(outcome.err.data, "first\n") && outcome.err.size <= 192 * 1024);
	assert_true(text_ends(outcome.err.data, "\nlast\n"));
	spawn_end(&list[1], &arena, &outcome);
}

/* What was said before a line is there with the line. */
static void what_was_said_before_is_there(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct spawned *spawned = NULL;
	struct bytes line;
	struct outcome outcome;
	unsigned taken = 0;
	/* each error is longer than one read, and the whole of them than what is kept */
	static const char *const argv[] = { "perl", "-e",
		"$| = 1; for (0 .. 99) { syswrite STDERR, \"error $_.\" . ('x' x 9000) . \"\\n\"; syswrite STDOUT, \"line $_\\n\" }", NULL };
	assert_int_equal(spawn_begin(argv, NULL, &arena, &spawned), 0);
	unsigned seen = 0; /* errors, in their order */
	while (!spawn_ended(spawned)) {
		spawn_wait(&spawned, 1, -1, 1000);
		struct bytes said = spawn_said(spawned);
		for (const char *error; error = arena_printf(&arena, "error %u.", seen), memmem(said.data, said.size, error, strlen(error));)
			seen++;
		for (; spawn_line(spawned, &line); taken++) {
			const char *wanted = arena_printf(&arena, "line %u", taken);
			assert_true(line.size == strlen(wanted) && memcmp(line.data, wanted, line.size) == 0);
			if (taken >= seen)
				fail_msg("%s is there, and not error %u", wanted, seen);
		}
		usleep(1000 * (taken % 7)); /* so that more and less comes in at once */
	}
	assert_true(taken == 100 && seen == 100);
	assert_non_null(memmem(spawn_said(spawned).data, spawn_said(spawned).size, "error 0.", 8));
	assert_non_null(memmem(spawn_said(spawned).data, spawn_said(spawned).size, "error 99.", 9));
	spawn_end(&spawned, &arena, &outcome);
	/* and one that never ends to say something does not keep us */
	static const char *const endless[] = { "sh", "-c", "echo line; exec yes >&2", NULL };
	assert_int_equal(spawn_begin(endless, NULL, &arena, &spawned), 0);
	while (!spawn_line(spawned, &line))
		spawn_wait(&spawned, 1, -1, 1000);
	for (int i = 0; i < 10; i++)
		spawn_wait(&spawned, 1, -1, 1000);
	spawn_end(&spawned, &arena, &outcome);
	assert_int_equal(outcome.status, 137);
}

/* ---- loaded ahead */

/* All that a program says, as a line each. */
static const char *said_by(const char *const *argv, struct spawned **loaded, struct arena *arena)
{
	struct spawned *spawned = NULL;
	struct bytes line;
	struct outcome outcome;
	const char *said = "";
	assert_int_equal(spawn_begin(argv, loaded, arena, &spawned), 0);
	assert_true(!loaded || !*loaded);
	while (!spawn_ended(spawned)) {
		spawn_wait(&spawned, 1, -1, 1000);
		while (spawn_line(spawned, &line))
			said = arena_printf(arena, "%s%.*s\n", said, (int)line.size, line.data);
	}
	spawn_end(&spawned, arena, &outcome);
	if (outcome.status)
		fail_msg("%s: %d %s", argv[0], outcome.status, outcome.err.data);
	return said;
}

static struct spawned *load(const char *program, const char *library, struct arena *arena)
{
	struct spawned *loaded = NULL;
	assert_int_equal(spawn_load(program, library, arena, &loaded), 0);
	assert_non_null(loaded);
	return loaded;
}

/* The one child of a process; waits until it has one that runs `name`. */
static pid_t child_of(pid_t parent, const char *name)
{
	for (int i = 0; i < 1000; i++, usleep(10000)) {
		struct arena arena ARENA_SCOPED = { 0 };
		const char *list = arena_printf(&arena, "/proc/%d/task/%d/children", parent, parent);
		char text[4096] = "", comm[64] = "";
		FILE *file = fopen(list, "r");
		if (file) {
			text[fread(text, 1, sizeof text - 1, file)] = '\0';
			fclose(file);
		}
		file = fopen(arena_printf(&arena, "/proc/%d/comm", atoi(text)), "r");
		if (file) {
			comm[fread(comm, 1, sizeof comm - 1, file)] = '\0';
			fclose(file);
		}
		if (atoi(text) && text_starts(comm, name))
			return atoi(text);
	}
	fail_msg("it has no child %s", name);
	return 0;
}

/* Of a program that tells its number first: the rest of what it says. It is the very process that was loaded. */
static const char *said_by_loaded(const char *const *argv, const char *name, struct arena *arena)
{
	struct spawned *loaded = load(argv[0], getenv("GPUFERRY_AHEAD"), arena);
	pid_t pid = child_of(getpid(), name);
	const char *said = said_by(argv, &loaded, arena), *end = strchr(said, '\n');
	assert_int_equal(atoi(said), pid);
	return end + 1;
}

static const char *said_by_other(const char *const *argv, struct arena *arena)
{
	return strchr(said_by(argv, NULL, arena), '\n') + 1;
}

#define TELLS                                                                                                           \
	"$/ = undef; print qq($$\n); open my $f, '<', '/proc/self/cmdline'; my $c = <$f>; close $f; $c =~ s/\\0/|/g;"                     \
	"print \"$c\\n\", join('|', @ARGV), \"\\n\", map { \"$_=$ENV{$_}\\n\" } sort keys %ENV;"                  \
	"print map { \"$_ \" . (readlink \"/proc/self/fd/$_\") =~ s/:.*//r . \"\\n\" } grep { -e \"/proc/self/fd/$_\" } 0 .. 9"

/* Its arguments, what others see of them, its environment and descriptors are those of one that was begun with them. */
static void loaded_ahead_it_is_as_any_other(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	const char *perl = "/usr/bin/perl";
	const char *const argv[] = { perl, "-e", TELLS, "a b", "", "-version", "\xff\"'\n", "", NULL };
	const char *plain = said_by_other(argv, &arena);
	assert_non_null(strstr(plain, "a b||-version|"));
	assert_non_null(strstr(plain, "\n0 /dev/null\n1 pipe\n2 pipe\n"));
	assert_string_equal(said_by_loaded(argv, "perl", &arena), plain);

	/* and many */
	size_t size = 100000;
	char *huge = arena_alloc(&arena, size + 1);
	memset(huge, 'x', size);
	huge[size] = '\0';
	const char *const much[] = { perl, "-e", "$/ = undef; print qq($$\n), length $ARGV[0], $ARGV[1]; open my $f, '<', '/proc/self/cmdline'; print length(<$f>), qq(\\n)", huge, " end\n", NULL };
	plain = said_by_other(much, &arena);
	if (!text_starts(plain, "100000 end\n100"))
		fail_msg("%s", plain);
	assert_string_equal(said_by_loaded(much, "perl", &arena), plain);

	/* a script: its shell waits */
	const char *script = arena_printf(&arena, "%s/test_spawn.%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", getpid());
	FILE *file = fopen(script, "w");
	assert_non_null(file);
	fputs("#!/bin/sh\necho $$; printf '%s|' \"$0\" \"$@\" \"$LD_PRELOAD\"; echo; exec /usr/bin/perl -e 'print \"perl\\n\"'\n", file);
	fchmod(fileno(file), 0755);
	fclose(file);
	const char *const scripted[] = { script, "-a", "b c", "", NULL };
	plain = said_by_other(scripted, &arena);
	assert_string_equal(said_by_loaded(scripted, "test_spawn", &arena), plain);
	assert_string_equal(plain, arena_printf(&arena, "%s|-a|b c|||\nperl\n", script));
	unlink(script);
}

/* What cannot wait, or waits no more, or is another one, is begun as if nothing had been loaded; and is gone. */
static void what_cannot_wait_is_begun_anew(void **state)
{
	(void)state;
	const char *library = getenv("GPUFERRY_AHEAD"), *perl = "/usr/bin/perl", *fixed = getenv("GPUFERRY_STATIC");
	struct arena arena ARENA_SCOPED = { 0 };
	const char *hangs = arena_printf(&arena, "%s/test_spawn.%d.hangs", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", getpid());
	if (fixed)
		assert_int_equal(symlink(fixed, hangs), 0);
	const struct {
		const char *what, *program, *library;
		enum { ENDS, STAYS, KILLED } then;
		const char *argv[5], *says;
	} table[] = {
		{ "linked statically", fixed, library, ENDS, { fixed, "a", "b" }, "2 a b\n" },
		{ "and does not end", fixed ? hangs : NULL, library, STAYS, { hangs, "a", "b" }, "2 a b\n" },
		{ "no library", perl, "/none/ahead.so", ENDS, { perl, "-e", "print qq(said\n)" }, "said\n" },
		{ "no library of that kind", perl, "/etc/passwd", ENDS, { perl, "-e", "print qq(said\n)" }, "said\n" },
		{ "killed", perl, library, KILLED, { perl, "-e", "print qq(said\n)" }, "said\n" },
		{ "another one", perl, library, STAYS, { "/bin/sh", "-c", "echo said" }, "said\n" },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		if (!table[i].program) {
			print_message("# %s: no such program could be built here\n", table[i].what);
			continue;
		}
		struct spawned *loaded = load(table[i].program, table[i].library, &arena);
		pid_t pid = table[i].then != ENDS ? child_of(getpid(), table[i].program == perl ? "perl" : "test_spawn") : 0;
		if (table[i].then == KILLED) {
			kill(pid, SIGKILL);
			waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
		}
		const char *said = said_by(table[i].argv, &loaded, &arena);
		if (strcmp(said, table[i].says) != 0)
			fail_msg("%s: %s", table[i].what, said);
		assert_true(!pid || test_gone(pid));
	}
	unlink(hangs);
	struct spawned *loaded = NULL;
	assert_int_equal(spawn_load(perl, "/with blank/ahead.so", &arena, &loaded), EINVAL);
	assert_int_equal(spawn_load("no-such-program", library, &arena, &loaded), ENOENT);
	assert_null(loaded);
	/* not needed after all */
	loaded = load(perl, library, &arena);
	pid_t pid = child_of(getpid(), "perl");
	spawn_end(&loaded, &arena, NULL);
	assert_null(loaded);
	assert_true(test_gone(pid));
}

/* Who began a long one is killed: nobody goes on encoding, and nothing that was loaded waits for ever. */
static void a_long_one_ends_with_us(void **state)
{
	(void)state;
	static const char endless[] = "$SIG{$_} = 'IGNORE' for qw(PIPE TERM HUP); $| = 1; print qq(runs\n); sleep 1 while 1";
	static const char *const argv[] = { "/usr/bin/perl", "-e", endless, NULL };
	enum { BEGUN, LOADED, TOLD, WAYS };
	for (int way = 0; way < WAYS; way++) {
		int done[2];
		char byte;
		assert_int_equal(pipe(done), 0);
		pid_t child = fork();
		if (!child) {
			struct arena arena = { 0 };
			struct spawned *spawned = NULL, *loaded = NULL;
			struct bytes line;
			if (way != BEGUN && spawn_load(argv[0], getenv("GPUFERRY_AHEAD"), &arena, &loaded))
				_exit(1);
			if (way != LOADED && spawn_begin(argv, &loaded, &arena, &spawned))
				_exit(1);
			while (way != LOADED && !spawn_line(spawned, &line))
				spawn_wait(&spawned, 1, -1, 1000);
			if (write(done[1], "", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		assert_int_equal(read(done[0], &byte, 1), 1);
		pid_t pid = child_of(child, "perl");
		if (way == LOADED)
			usleep(100000); /* it waits */
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		assert_true(test_gone(pid));
		close(done[0]);
		close(done[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each),
		cmocka_unit_test(status_and_streams),
		cmocka_unit_test(what_cannot_start_is_an_errno),
		cmocka_unit_test(input_is_fed_while_output_is_read),
		cmocka_unit_test(child_that_does_not_read_its_input),
		cmocka_unit_test(deadline_ends_the_whole_group),
		cmocka_unit_test(child_left_behind_is_not_waited_for),
		cmocka_unit_test(output_has_a_limit),
		cmocka_unit_test(long_ones_are_read_while_they_run),
		cmocka_unit_test(what_was_said_before_is_there),
		cmocka_unit_test(a_long_one_ends_with_us),
		cmocka_unit_test(loaded_ahead_it_is_as_any_other),
		cmocka_unit_test(what_cannot_wait_is_begun_anew),
		cmocka_unit_test(no_descriptor_leaks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
