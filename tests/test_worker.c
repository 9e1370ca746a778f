/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Processes that tell, hang, die, and leave others behind.
 */
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "serve/worker.h"
#include "sys/clock.h"
#include "sys/spawn.h"

static char big[300000];

static void tells(struct worker_end *end, void *data)
{
	(void)data;
	worker_tell(end, bytes_of("one"));
	worker_tell(end, bytes_of(""));
	worker_tell(end, (struct bytes){ big, sizeof big });
	worker_tell(end, bytes_of("last"));
}

static void hangs(struct worker_end *end, void *data)
{
	signal(SIGTERM, SIG_IGN);
	worker_tell(end, bytes_of("begins"));
	(void)data;
	for (;;)
		sleep(1000);
}

/* Leaves a process in a group of its own. */
static void leaves(struct worker_end *end, void *data)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct outcome outcome;
	const char *const argv[] = { "sh", "-c", arena_printf(&arena, "echo $$ >%s; exec sleep 1000", (char *)data),
		NULL };
	(void)end;
	spawn_run(&(struct command){ .argv = argv, .deadline_ms = 100000 }, &arena, &outcome);
}

static void dies(struct worker_end *end, void *data)
{
	uint32_t half = 100;
	(void)data;
	(void)end;
	if (write(3, &half, sizeof half) > 0)
		raise(SIGKILL);
}

/* The next news, waiting a while for it. */
static enum worker_news next(struct worker *worker, struct arena *arena, struct bytes *ret)
{
	for (int i = 0; i < 500; i++) {
		enum worker_news news = worker_hear(worker, clock_ms(), arena, ret);
		if (news != WORKER_NOTHING)
			return news;
		poll(&(struct pollfd){ worker->pipe, POLLIN, 0 }, 1, 20);
	}
	return WORKER_NOTHING;
}

static void test_tells(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct worker worker = { .run = tells, .silence_ms = 60000, .pipe = -1 };
	struct bytes said;
	memset(big, 'x', sizeof big);
	assert_int_equal(worker_hear(&worker, 0, &arena, &said), WORKER_NOTHING);
	assert_true(worker_start(&worker, clock_ms()));
	assert_int_equal(next(&worker, &arena, &said), WORKER_MESSAGE);
	assert_string_equal(said.data, "one");
	assert_int_equal(next(&worker, &arena, &said), WORKER_MESSAGE);
	assert_int_equal(said.size, 0);
	assert_int_equal(next(&worker, &arena, &said), WORKER_MESSAGE);
	assert_int_equal(said.size, sizeof big);
	assert_int_equal(next(&worker, &arena, &said), WORKER_MESSAGE);
	assert_string_equal(said.data, "last");
	assert_int_equal(next(&worker, &arena, &said), WORKER_ENDED);
	assert_int_equal(worker.pid, 0);
	assert_int_equal(worker.starts, 1);
	(void)state;
}

static void test_hangs(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct worker worker = { .run = hangs, .silence_ms = 300, .pipe = -1 };
	struct bytes said;
	assert_true(worker_start(&worker, clock_ms()));
	int pid = worker.pid;
	assert_int_equal(next(&worker, &arena, &said), WORKER_MESSAGE);
	int64_t began = clock_ms();
	assert_int_equal(next(&worker, &arena, &said), WORKER_HUNG);
	assert_true(clock_ms() - began >= 250);
	assert_int_equal(worker_due(&worker), INT64_MAX);
	/* the next one begins when this one is dead, and not before */
	assert_int_equal(worker.ended, pid);
	for (int i = 0; i < 500 && !worker_start(&worker, clock_ms()); i++)
		poll(NULL, 0, 10);
	assert_true(worker.pid > 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	worker_stop(&worker);
	assert_int_equal(waitpid(worker.ended, NULL, 0), worker.ended);
	(void)state;
}

static void test_dies(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct worker worker = { .run = dies, .silence_ms = 60000, .pipe = -1 };
	struct bytes said;
	assert_true(worker_start(&worker, clock_ms()));
	assert_int_equal(next(&worker, &arena, &said), WORKER_ENDED); /* half a message is none */
	worker_sweep(NULL, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	(void)state;
}

/* What a worker had started ends with it. */
static void test_leaves(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	char path[] = "/tmp/gpuferry-worker-XXXXXX";
	int fd = mkstemp(path), pid = 0;
	close(fd);
	struct worker other = { .run = hangs, .silence_ms = 60000, .pipe = -1 },
	              worker = { .run = leaves, .data = path, .silence_ms = 60000, .pipe = -1 };
	const struct worker *const all[] = { &other, &worker };
	worker_init();
	assert_true(worker_start(&other, clock_ms()) && worker_start(&worker, clock_ms()));
	for (int i = 0; i < 500 && !pid; i++) {
		pid = atoi(test_read(&arena, path).data);
		poll(NULL, 0, 20);
	}
	assert_true(pid > 0 && kill(pid, 0) == 0);
	worker_sweep(all, 2); /* harms no one who works */
	assert_true(kill(pid, 0) == 0);
	worker_stop(&worker);
	for (int i = 0; i < 100 && kill(pid, 0) == 0; i++)
		worker_sweep(all, 2);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_true(kill(other.pid, 0) == 0);
	int last = other.pid;
	worker_stop(&other);
	for (int i = 0; i < 100 && kill(last, 0) == 0; i++)
		worker_sweep(all, 2);
	assert_int_equal(kill(last, 0), -1);
	unlink(path);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tells),
		cmocka_unit_test(test_hangs),
		cmocka_unit_test(test_dies),
		cmocka_unit_test(test_leaves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
