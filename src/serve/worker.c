/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A message is its size, then its bytes. A worker's own children are in process groups of their own (spawn.h), so we
 * are made the one who gets them when it ends, and end them.
 */
#include "serve/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sys/clock.h"
#include "sys/file.h"

enum { MESSAGE_MAX = 4 * 1024 * 1024, CHILDREN_MAX = 4096, SWEEPS = 8 };

struct worker_end {
	int fd;
};

/* ---- in the child -------------------------------------------------------------------------- */

static void send_all(int fd, const void *data, size_t size)
{
	for (const char *at = data; size;) {
		ssize_t wrote = write(fd, at, size);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			_exit(0);
		at += wrote;
		size -= (size_t)wrote;
	}
}

void worker_tell(struct worker_end *end, struct bytes message)
{
	uint32_t size = (uint32_t)message.size;
	send_all(end->fd, &size, sizeof size);
	send_all(end->fd, message.data, message.size);
}

void worker_sleep(struct worker_end *end, unsigned ms)
{
	struct pollfd listener = { end->fd, 0, 0 };
	if (poll(&listener, 1, (int)ms) > 0)
		_exit(0);
}

static void become(const struct worker *worker, int fd, int parent)
{
	sigset_t none;
	sigemptyset(&none);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	int null = open("/dev/null", O_RDWR);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	struct worker_end end = { 3 };
	if (fd != end.fd && dup2(fd, end.fd) < 0)
		_exit(1);
	syscall(SYS_close_range, 4U, ~0U, 0U);
	fcntl(end.fd, F_SETFD, FD_CLOEXEC);
	worker->run(&end, worker->data);
	_exit(0);
}

/* ---- and here -------------------------------------------------------------------------------- */

void worker_init(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

bool worker_start(struct worker *worker, int64_t now_ms)
{
	int ends[2], parent = getpid();
	if (worker->ended && waitpid(worker->ended, NULL, WNOHANG) == 0)
		return false;
	worker->ended = 0;
	if (pipe2(ends, O_CLOEXEC))
		return false;
	int pid = fork();
	if (pid == 0)
		become(worker, ends[1], parent);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return false;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	worker->pid = pid;
	worker->pipe = ends[0];
	worker->heard_ms = now_ms;
	worker->starts++;
	worker->size = 0;
	return true;
}

void worker_stop(struct worker *worker)
{
	if (worker->pid)
		kill(worker->pid, SIGKILL);
	if (worker->pid && worker->pipe >= 0)
		close(worker->pipe);
	free(worker->data_in);
	worker->data_in = NULL;
	worker->size = worker->room = 0;
	worker->ended = worker->pid ? worker->pid : worker->ended;
	worker->pid = 0;
	worker->pipe = -1;
}

/* Is one whole? */
static bool is_whole(const struct worker *worker, uint32_t *ret)
{
	if (worker->size < sizeof *ret)
		return false;
	memcpy(ret, worker->data_in, sizeof *ret);
	return worker->size - sizeof *ret >= *ret;
}

/* False: the end, or more than anybody says. */
static bool fill(struct worker *worker)
{
	for (;;) {
		if (worker->room - worker->size < 4096) {
			size_t room = worker->room ? 2 * worker->room : 16384;
			char *grown = room > 2 * MESSAGE_MAX ? NULL : realloc(worker->data_in, room);
			if (!grown)
				return false;
			worker->data_in = grown;
			worker->room = room;
		}
		ssize_t got = read(worker->pipe, worker->data_in + worker->size, worker->room - worker->size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN;
		if (got == 0)
			return false;
		worker->size += (size_t)got;
		uint32_t size;
		if (is_whole(worker, &size))
			return true;
	}
}

enum worker_news worker_hear(struct worker *worker, int64_t now_ms, struct arena *arena, struct bytes *ret)
{
	uint32_t size;
	if (!worker->pid)
		return WORKER_NOTHING;
	bool goes_on = is_whole(worker, &size) || fill(worker);
	if (is_whole(worker, &size)) {
		*ret = arena_bytes(arena, worker->data_in + sizeof size, size);
		worker->size -= sizeof size + size;
		memmove(worker->data_in, worker->data_in + sizeof size + size, worker->size);
		worker->heard_ms = now_ms;
		return WORKER_MESSAGE;
	}
	bool hung = goes_on && now_ms >= worker_due(worker);
	if (goes_on && !hung)
		return WORKER_NOTHING;
	worker_stop(worker);
	return hung ? WORKER_HUNG : WORKER_ENDED;
}

int64_t worker_due(const struct worker *worker)
{
	return worker->pid ? worker->heard_ms + worker->silence_ms : INT64_MAX;
}

static bool is_worker(const struct worker *const *workers, size_t n, int pid)
{
	for (size_t i = 0; i < n; i++)
		if (workers[i]->pid == pid)
			return true;
	return false;
}

/* One that sleeps in the kernel stays; it is asked again at the next time. */
void worker_sweep(const struct worker *const *workers, size_t n)
{
	for (int round = 0; round < SWEEPS; round++) {
		char path[64], text[CHILDREN_MAX];
		bool more = false;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
		int fd FD_SCOPED = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
		text[size > 0 ? size : 0] = '\0';
		for (char *at = text, *end; *at; at = end + (*end == ' ')) {
			int pid = (int)strtol(at, &end, 10);
			if (end == at)
				break;
			if (is_worker(workers, n, pid))
				continue;
			kill(pid, SIGKILL);
			more = true;
		}
		if (!more)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
}
