/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "sys/ahead.h"
#include "sys/clock.h"

enum {
	DEADLINE_MS = 10000,
	OUTPUT_MAX = 4 * 1024 * 1024,
	AFTER_KILL_MS = 1000, /* a process that sleeps in the kernel does not die of SIGKILL: it is left alone then */
	CHUNK = 65536,
};

#define SAFE_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct stream {
	char *data;
	size_t size, room, max;
	bool cut;
};

struct child {
	pid_t pid;
	int pidfd, in, out[2]; /* -1: closed */
	struct bytes input;
	struct stream stream[2];
	int64_t began, end; /* end: when it must have ended */
};

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void child_release(struct child *child)
{
	close_end(&child->pidfd);
	close_end(&child->in);
	for (int i = 0; i < 2; i++) {
		close_end(&child->out[i]);
		free(child->stream[i].data);
	}
}

/* ---- starting --------------------------------------------------------- */

/* Where the program is on the safe path, else its name as it stands. */
static const char *program_path(const char *name, struct arena *arena)
{
	if (strchr(name, '/'))
		return name;
	struct words folders = text_split(arena, SAFE_PATH, ":");
	for (size_t i = 0; i < folders.n; i++) {
		const char *path = arena_printf(arena, "%s/%s", folders.word[i], name);
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

/* How a program is loaded ahead. */
struct ahead {
	const char *library, *program; /* NULL: it is not */
	int end;                       /* the child's; becomes AHEAD_FD */
};

static char **environment(const struct ahead *ahead, struct arena *arena)
{
	static const char *const passed[] = { "HOME", "SSH_AUTH_SOCK" };
	char **list = arena_alloc(arena, 7 * sizeof *list);
	size_t n = 0;
	list[n++] = arena_strdup(arena, "PATH=" SAFE_PATH);
	list[n++] = arena_strdup(arena, "LC_ALL=C");
	for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
		if (getenv(passed[i]))
			list[n++] = arena_printf(arena, "%s=%s", passed[i], getenv(passed[i]));
	if (ahead->library) {
		list[n++] = arena_printf(arena, "LD_PRELOAD=%s", ahead->library);
		list[n++] = arena_printf(arena, AHEAD_PROGRAM "=%s", ahead->program);
	}
	return list;
}

/* ends: the child's ends of stdin (-1: /dev/null), stdout and stderr */
static int start(const struct command *command, const int ends[3], const struct ahead *ahead, struct arena *arena, pid_t *ret)
{
	const char *path = program_path(command->argv[0], arena);
	if (!path)
		return ENOENT;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	if (ends[0] < 0)
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	for (int i = 0; i < 3; i++)
		if (ends[i] >= 0)
			posix_spawn_file_actions_adddup2(&actions, ends[i], i);
	if (ahead->library)
		posix_spawn_file_actions_adddup2(&actions, ahead->end, AHEAD_FD);
	posix_spawn_file_actions_addclosefrom_np(&actions, ahead->library ? AHEAD_FD + 1 : 3);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	char **argv = NULL;
	size_t n = 0;
	for (const char *const *word = command->argv; *word; word++)
		*arena_push(arena, argv, n) = arena_strdup(arena, *word);
	*arena_push(arena, argv, n) = NULL;
	int error = posix_spawn(ret, path, &actions, &attributes, argv, environment(ahead, arena));
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* Both ends above 2, so that moving them to 0, 1 and 2 in the child never hits one of them. */
static int above(const int raw[2], int ends[2])
{
	for (int i = 0; i < 2; i++) {
		ends[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, 3);
		close(raw[i]);
	}
	if (ends[0] >= 0 && ends[1] >= 0)
		return 0;
	close_end(&ends[0]);
	close_end(&ends[1]);
	return EMFILE;
}

static int pipe_above(int ends[2])
{
	int raw[2];
	return pipe2(raw, O_CLOEXEC) ? errno : above(raw, ends);
}

static int socket_above(int ends[2])
{
	int raw[2];
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, raw) ? errno : above(raw, ends);
}

static int open_and_start(const struct command *command, const struct ahead *ahead, struct arena *arena, struct child *child)
{
	int pipes[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int error = 0;
	for (int i = command->input.size ? 0 : 1; i < 3 && !error; i++)
		error = pipe_above(pipes[i]);
	if (!error)
		error = start(command, (int[]){ pipes[0][0], pipes[1][1], pipes[2][1] }, ahead, arena, &child->pid);
	close_end(&pipes[0][0]);
	close_end(&pipes[1][1]);
	close_end(&pipes[2][1]);
	child->in = pipes[0][1];
	child->out[0] = pipes[1][0];
	child->out[1] = pipes[2][0];
	if (error)
		return error;
	if (child->in >= 0)
		fcntl(child->in, F_SETFL, O_NONBLOCK);
	fcntl(child->out[0], F_SETFL, O_NONBLOCK);
	fcntl(child->out[1], F_SETFL, O_NONBLOCK);
	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	if (child->pidfd >= 0)
		return 0;
	error = errno;
	kill(-child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	return error;
}

/* ---- talking ---------------------------------------------------------- */

/* A child that does not read its input must not kill us: SIGPIPE is held back in this thread and taken away. */
static ssize_t write_quietly(int fd, const char *data, size_t size)
{
	sigset_t pipe, before, pending;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	ssize_t wrote = write(fd, data, size);
	int error = errno;
	if (wrote < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe, NULL, &(struct timespec){ 0 });
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return wrote;
}

static void feed(struct child *child)
{
	ssize_t wrote = write_quietly(child->in, child->input.data, child->input.size);
	if (wrote > 0) {
		child->input.data += wrote;
		child->input.size -= (size_t)wrote;
	}
	if (child->input.size == 0 || (wrote < 0 && errno != EAGAIN && errno != EINTR))
		close_end(&child->in);
}

/* One byte over max is room for: it tells that there was more. False: nothing there now. */
static bool drain(int *fd, struct stream *stream)
{
	if (stream->room - stream->size < CHUNK && stream->room <= stream->max) {
		size_t room = stream->room ? stream->room * 2 : CHUNK;
		if (room > stream->max + 1)
			room = stream->max + 1;
		char *grown = realloc(stream->data, room);
		if (!grown)
			abort();
		stream->data = grown;
		stream->room = room;
	}
	ssize_t got = read(*fd, stream->data + stream->size, stream->room - stream->size);
	if (got < 0)
		return errno == EINTR;
	if (got == 0) {
		close_end(fd);
		return false;
	}
	stream->size += (size_t)got;
	if (stream->size > stream->max) {
		stream->size = stream->max;
		stream->cut = true;
		close_end(fd);
		return false;
	}
	return true;
}

enum { POLLS = 4, WATCH_MS = 10 };

static void ask(const struct child *child, struct pollfd polls[POLLS])
{
	const struct pollfd asked[POLLS] = {
		{ child->pidfd, POLLIN, 0 },
		{ child->in, POLLOUT, 0 },
		{ child->out[0], POLLIN, 0 },
		{ child->out[1], POLLIN, 0 },
	};
	memcpy(polls, asked, sizeof asked);
}

enum turn { GOES_ON, ENDED, OVER_LIMIT };

/* A process it left behind that still holds the pipes is not waited for. */
static enum turn take_turn(struct child *child, const struct pollfd polls[POLLS])
{
	if (polls[1].revents)
		feed(child);
	for (int i = 0; i < 2; i++) {
		if (polls[2 + i].revents)
			drain(&child->out[i], &child->stream[i]);
		if (child->stream[i].cut)
			return OVER_LIMIT;
	}
	return polls[0].revents ? ENDED : GOES_ON;
}

/* What the pipes still hold. */
static void drain_rest(struct child *child)
{
	for (int i = 0; i < 2; i++)
		while (child->out[i] >= 0 && drain(&child->out[i], &child->stream[i]))
			;
}

/* Ends the group while its leader is still there (so that its number is nobody else's) and takes the exit status. */
static int reap(struct child *child)
{
	kill(-child->pid, SIGKILL);
	struct pollfd ended = { child->pidfd, POLLIN, 0 };
	siginfo_t info = { 0 };
	int64_t end = clock_ms() + AFTER_KILL_MS;
	for (int64_t left = AFTER_KILL_MS; left > 0 && poll(&ended, 1, (int)left) < 0;)
		left = end - clock_ms();
	if (!ended.revents || waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG) || info.si_pid == 0)
		return 128 + SIGKILL;
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

/* ---- one, or several beside each other ----------------------------------- */

/* By util-linux's setpriv, where it is: only the new process itself can ask for that. */
static const char *const *ends_with_us(const char *const *argv, struct arena *arena)
{
	struct words words = { 0 };
	if (!argv || !argv[0] || !program_path("setpriv", arena) || !program_path(argv[0], arena))
		return argv;
	static const char *const before[] = { "setpriv", "--pdeathsig", "KILL", "--" };
	for (size_t i = 0; i < sizeof before / sizeof *before; i++)
		*arena_push(arena, words.word, words.n) = before[i];
	*arena_push(arena, words.word, words.n) = program_path(argv[0], arena);
	for (argv++; *argv; argv++)
		*arena_push(arena, words.word, words.n) = *argv;
	*arena_push(arena, words.word, words.n) = NULL;
	return words.word;
}

static bool begin(struct run_job *job, const struct ahead *ahead, struct arena *arena, struct child *child)
{
	struct command started = job->command, *command = &started;
	size_t max = command->output_max ? command->output_max : OUTPUT_MAX;
	int64_t now = clock_ms();
	*child = (struct child){
		.pidfd = -1,
		.in = -1,
		.out = { -1, -1 },
		.input = command->input,
		.stream = { { .max = max }, { .max = max } },
		.began = now,
		.end = now + (command->deadline_ms ? command->deadline_ms : DEADLINE_MS),
	};
	if (command->ends_with_us)
		command->argv = ends_with_us(command->argv, arena);
	job->error =
	        command->argv && command->argv[0] && *command->argv[0] ? open_and_start(command, ahead, arena, child) : ENOENT;
	if (job->error)
		child_release(child);
	return !job->error;
}

static void finish(struct run_job *job, struct child *child, bool done, struct arena *arena)
{
	int status = reap(child);
	drain_rest(child);
	bool cut = child->stream[0].cut || child->stream[1].cut;
	job->ms = clock_ms() - child->began;
	job->outcome = (struct outcome){
		.status = status,
		.timed_out = !done && !cut,
		.cut = cut,
		.out = arena_bytes(arena, child->stream[0].data ? child->stream[0].data : "", child->stream[0].size),
		.err = arena_bytes(arena, child->stream[1].data ? child->stream[1].data : "", child->stream[1].size),
	};
	child_release(child);
}

struct running {
	struct run_job *job;
	struct child child;
};

/* Until one of them says something, its time is up, or its watcher is due. */
static void wait_for(const struct running *running, unsigned n, struct pollfd *polls)
{
	int64_t now = clock_ms(), left = INT32_MAX;
	for (unsigned i = 0; i < n; i++) {
		ask(&running[i].child, polls + (size_t)i * POLLS);
		int64_t mine = running[i].child.end - now;
		if (running[i].job->watch && mine > WATCH_MS)
			mine = WATCH_MS;
		left = mine < left ? mine : left;
	}
	if (poll(polls, n * POLLS, left > 0 ? (int)left : 0) > 0)
		return;
	for (unsigned i = 0; i < n * POLLS; i++)
		polls[i].revents = 0;
}

void spawn_run_each(struct run_job *jobs, size_t n, unsigned at_once, struct arena *arena)
{
	struct running running[SPAWN_AT_ONCE_MAX];
	struct pollfd polls[SPAWN_AT_ONCE_MAX * POLLS];
	unsigned now = 0;
	at_once = at_once < 1 ? 1 : at_once > SPAWN_AT_ONCE_MAX ? SPAWN_AT_ONCE_MAX : at_once;
	for (size_t next = 0; next < n || now;) {
		while (next < n && now < at_once) {
			struct run_job *job = &jobs[next++];
			running[now].job = job;
			now += begin(job, &(struct ahead){ 0 }, arena, &running[now].child);
		}
		if (now)
			wait_for(running, now, polls);
		for (unsigned i = now; i-- > 0;) { /* from the end: the last one takes an ended one's place */
			struct running *one = &running[i];
			enum turn turn = take_turn(&one->child, polls + (size_t)i * POLLS);
			if (turn == GOES_ON && one->job->watch)
				one->job->watch(one->job->data, one->child.pid);
			if (turn == GOES_ON && clock_ms() < one->child.end)
				continue;
			finish(one->job, &one->child, turn == ENDED, arena);
			running[i] = running[--now];
		}
	}
}

int spawn_run(const struct command *command, struct arena *arena, struct outcome *ret)
{
	struct run_job job = { .command = *command };
	spawn_run_each(&job, 1, 1, arena);
	if (!job.error)
		*ret = job.outcome;
	return job.error;
}

/* ---- a long one ----------------------------------------------------------- */

enum { LINE_MAX_BYTES = 65536, SAID_MAX = 192 * 1024, PIPE_BYTES = 65536 };

struct spawned {
	struct child child;
	size_t taken; /* of its output */
	bool ended;
	const char *loaded; /* the program, while it waits for its arguments; NULL: it has them */
	int ahead;          /* where it is told them */
};

static int begin_long(const char *const *argv, const struct ahead *ahead, struct arena *arena, struct spawned **ret)
{
	struct run_job job = { .command = { .argv = argv, .output_max = SIZE_MAX / 4, .ends_with_us = true } };
	struct child child;
	if (!begin(&job, ahead, arena, &child))
		return job.error;
	*ret = arena_new(arena, struct spawned);
	**ret = (struct spawned){ .child = child, .ahead = -1 };
	return 0;
}

int spawn_load(const char *program, const char *library, struct arena *arena, struct spawned **ret)
{
	const char *const argv[] = { program, AHEAD_WORD, NULL };
	int ends[2] = { -1, -1 };
	if (strpbrk(library, ": $")) /* which the loader takes for two, or for a variable */
		return EINVAL;
	int error = socket_above(ends);
	if (error)
		return error;
	const struct ahead ahead = { library, program_path(program, arena), ends[1] };
	error = ahead.program ? begin_long(argv, &ahead, arena, ret) : ENOENT;
	close(ends[1]);
	if (error) {
		close(ends[0]);
		return error;
	}
	(*ret)->loaded = program;
	(*ret)->ahead = ends[0];
	return 0;
}

/* It waits, or it cannot: it has ended, has closed the socket, or does something else. It had time to be loaded before. */
static bool waits(const struct spawned *loaded)
{
	enum { PATIENCE_MS = 2000 };
	struct pollfd polls[] = { { loaded->ahead, POLLIN, 0 }, { loaded->child.pidfd, POLLIN, 0 } };
	char byte;
	return poll(polls, 2, PATIENCE_MS) > 0 && !polls[1].revents && recv(loaded->ahead, &byte, 1, MSG_DONTWAIT) == 1;
}

static bool tell_words(struct spawned *loaded, const char *const *words, struct arena *arena)
{
	uint32_t size = 0;
	for (const char *const *word = words; *word; word++)
		size += (uint32_t)strlen(*word) + 1;
	char *told = arena_alloc(arena, sizeof size + size), *at = mempcpy(told, &size, sizeof size);
	for (const char *const *word = words; *word; word++)
		at = mempcpy(at, *word, strlen(*word) + 1);
	bool done = waits(loaded) && send(loaded->ahead, told, (size_t)(at - told), MSG_NOSIGNAL) == at - told;
	close_end(&loaded->ahead);
	loaded->loaded = NULL;
	return done;
}

int spawn_begin(const char *const *argv, struct spawned **loaded, struct arena *arena, struct spawned **ret)
{
	if (loaded && *loaded) {
		if (strcmp((*loaded)->loaded, argv[0]) == 0 && tell_words(*loaded, argv + 1, arena)) {
			*ret = *loaded;
			*loaded = NULL;
			return 0;
		}
		spawn_end(loaded, arena, NULL);
	}
	return begin_long(argv, &(struct ahead){ 0 }, arena, ret);
}

void spawn_yield(const struct spawned *spawned)
{
	enum { BEHIND = 10 };
	setpriority(PRIO_PROCESS, (id_t)spawned->child.pid, BEHIND);
}

void spawn_rest(const struct spawned *spawned, bool rests)
{
	kill(-spawned->child.pid, rests ? SIGSTOP : SIGCONT);
}

/* Lines that were taken make room; one that never ends is dropped. */
static void shrink_output(struct spawned *spawned)
{
	struct stream *out = &spawned->child.stream[0];
	if (spawned->taken) {
		memmove(out->data, out->data + spawned->taken, out->size - spawned->taken);
		out->size -= spawned->taken;
		spawned->taken = 0;
	}
	if (out->size > LINE_MAX_BYTES && !memchr(out->data, '\n', out->size))
		out->size = 0;
}

static void shrink_said(struct stream *said)
{
	enum { FIRST = SAID_MAX / 3, LAST = SAID_MAX - FIRST };
	_Static_assert(LAST >= 2 * PIPE_BYTES, "what comes in at once stays until somebody looks");
	if (said->size <= SAID_MAX)
		return;
	memmove(said->data + FIRST, said->data + said->size - LAST, LAST);
	said->size = SAID_MAX;
}

static void take_what_it_said(struct spawned *spawned, const struct pollfd polls[POLLS])
{
	struct child *child = &spawned->child;
	if (polls[2].revents)
		drain(&child->out[0], &child->stream[0]);
	/* after its output, and as much as a pipe holds: all that was said before that */
	for (size_t got = 0, was = child->stream[1].size; got < PIPE_BYTES && child->out[1] >= 0; was = child->stream[1].size) {
		if (!drain(&child->out[1], &child->stream[1]))
			break;
		got += child->stream[1].size - was;
		shrink_said(&child->stream[1]);
	}
	if (polls[0].revents) {
		drain_rest(child);
		spawned->ended = true;
	}
}

void spawn_wait(struct spawned *const *list, size_t n, int wake, unsigned ms)
{
	struct pollfd polls[SPAWN_AT_ONCE_MAX * POLLS + 1];
	size_t n_polls = 0;
	for (size_t i = 0; i < n && i < SPAWN_AT_ONCE_MAX; i++) {
		if (!list[i] || list[i]->ended)
			continue;
		shrink_output(list[i]);
		ask(&list[i]->child, polls + n_polls);
		n_polls += POLLS;
	}
	polls[n_polls] = (struct pollfd){ wake, POLLIN, 0 };
	if (poll(polls, n_polls + 1, (int)ms) <= 0)
		return;
	n_polls = 0;
	for (size_t i = 0; i < n && i < SPAWN_AT_ONCE_MAX; i++) {
		if (!list[i] || list[i]->ended)
			continue;
		take_what_it_said(list[i], polls + n_polls);
		n_polls += POLLS;
	}
}

bool spawn_line(struct spawned *spawned, struct bytes *ret)
{
	struct stream *out = &spawned->child.stream[0];
	if (out->size == spawned->taken)
		return false;
	const char *from = out->data + spawned->taken, *end = memchr(from, '\n', out->size - spawned->taken);
	if (!end)
		return false;
	*ret = (struct bytes){ from, (size_t)(end - from) };
	spawned->taken += ret->size + 1;
	return true;
}

struct bytes spawn_said(const struct spawned *spawned)
{
	const struct stream *said = &spawned->child.stream[1];
	return (struct bytes){ said->data, said->size };
}

bool spawn_ended(const struct spawned *spawned)
{
	const struct stream *out = &spawned->child.stream[0];
	return spawned->ended &&
	       (out->size == spawned->taken || !memchr(out->data + spawned->taken, '\n', out->size - spawned->taken));
}

void spawn_end(struct spawned **spawned, struct arena *arena, struct outcome *ret)
{
	struct run_job job = { 0 };
	if (!*spawned)
		return;
	close_end(&(*spawned)->ahead);
	finish(&job, &(*spawned)->child, true, arena);
	*spawned = NULL;
	if (ret)
		*ret = job.outcome;
}
