/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The few declarations that are used, after NVIDIA's NVML API reference: there is no header in Debian's main.
 */
#include "sys/nvml.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sys/clock.h"

enum {
	EVERY_MS = 20,
	LIFE_S = 120,
	AFTER_KILL_MS = 1000,
	BUSY_MAX = 64,
	DEVICES_MAX = 32,
	ROWS_MAX = 256, /* processes or sessions of one card */
};

/* What the child writes: whole, because it is far smaller than PIPE_BUF. */
enum note_kind { NOTE_READY, NOTE_NO_LIBRARY, NOTE_NO_ANSWER, NOTE_BUSY };
struct note {
	enum note_kind kind;
	unsigned pid;
};

struct nvml {
	pid_t child;
	int pidfd, notes; /* -1: closed */
	enum note_kind state;
	unsigned busy[BUSY_MAX];
	size_t n_busy;
};

/* ---- in the child --------------------------------------------------------------- */

typedef struct nvmlDevice_st *nvml_device;

struct session { /* nvmlEncoderSessionInfo_t */
	unsigned id, pid, vgpu, codec, width, height, fps, latency;
};

struct sample { /* nvmlProcessUtilizationSample_t */
	unsigned pid;
	unsigned long long time;
	unsigned sm, memory, encoder, decoder;
};

struct calls {
	int (*init)(void);
	int (*count)(unsigned *);
	int (*device)(unsigned, nvml_device *);
	int (*sessions)(nvml_device, unsigned *, struct session *);
	int (*processes)(nvml_device, struct sample *, unsigned *, unsigned long long);
};

bool nvml_symbols(const char *library, const char *const *names, size_t n, void *ret)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; i < n; i++) {
		void *found = handle ? dlsym(handle, names[i]) : NULL;
		if (!found)
			return false;
		memcpy((char *)ret + i * sizeof found, &found, sizeof found);
	}
	return true;
}

static bool load(const char *library, struct calls *ret)
{
	static const char *const names[] = { "nvmlInit_v2", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2",
		"nvmlDeviceGetEncoderSessions", "nvmlDeviceGetProcessUtilization" };
	enum { NAMES = sizeof names / sizeof *names };
	_Static_assert(sizeof *ret == NAMES * sizeof(void *), "one member for each name, in their order");
	return nvml_symbols(library, names, NAMES, ret);
}

static void tell(int fd, enum note_kind kind, unsigned pid)
{
	const struct note note = { kind, pid };
	if (write(fd, &note, sizeof note) != (ssize_t)sizeof note)
		_exit(0); /* nobody listens any more */
}

static void look_at(const struct calls *calls, nvml_device device, int fd)
{
	struct session sessions[ROWS_MAX];
	struct sample samples[ROWS_MAX];
	unsigned n = ROWS_MAX;
	if (calls->sessions(device, &n, sessions) == 0)
		for (unsigned i = 0; i < n && i < ROWS_MAX; i++)
			if (sessions[i].fps)
				tell(fd, NOTE_BUSY, sessions[i].pid);
	n = ROWS_MAX;
	/* of the last second, as long as the driver has it: what encodes for a moment is seen too */
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	unsigned long long since = ((unsigned long long)now.tv_sec - 1) * 1000000;
	if (calls->processes(device, samples, &n, since) == 0)
		for (unsigned i = 0; i < n && i < ROWS_MAX; i++)
			if (samples[i].encoder)
				tell(fd, NOTE_BUSY, samples[i].pid);
}

static void look_on(const char *library, int fd)
{
	struct calls calls;
	nvml_device devices[DEVICES_MAX];
	unsigned n = 0;
	if (!load(library, &calls)) {
		tell(fd, NOTE_NO_LIBRARY, 0);
		return;
	}
	if (calls.init() != 0 || calls.count(&n) != 0) {
		tell(fd, NOTE_NO_ANSWER, 0);
		return;
	}
	n = n < DEVICES_MAX ? n : DEVICES_MAX;
	for (unsigned i = 0; i < n; i++)
		if (calls.device(i, &devices[i]) != 0)
			devices[i] = NULL;
	tell(fd, NOTE_READY, 0);
	for (;;) {
		for (unsigned i = 0; i < n; i++)
			if (devices[i])
				look_at(&calls, devices[i], fd);
		struct pollfd listener = { fd, 0, 0 };
		if (poll(&listener, 1, EVERY_MS) > 0) /* closed at the other end */
			return;
	}
}

static void read_once(const char *library, int fd)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct nvml_cards cards;
	const char *why;
	bool absent;
	struct nvml_api *api = nvml_load(library, &arena, &why, &absent);
	if (api && nvml_read(api, &cards, &why) && write(fd, &cards, sizeof cards) != (ssize_t)sizeof cards)
		_exit(0); /* nobody listens any more */
}

/* ---- and here --------------------------------------------------------------------- */

/* A child that does nothing but this. False: none can be made. */
static bool begin(struct nvml *ret, void (*run)(const char *library, int fd), const char *library)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return false;
	pid_t parent = getpid(), pid = fork();
	if (pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		alarm(LIFE_S);
		/* nothing of ours stays open: whoever reads a pipe to its end must not wait for us */
		int null = open("/dev/null", O_RDWR);
		for (int i = 0; i < 3; i++)
			dup2(null, i);
		dup2(ends[1], 3);
		syscall(SYS_close_range, 4U, ~0U, 0U);
		run(library, 3);
		_exit(0);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return false;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*ret = (struct nvml){ .child = pid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0), .notes = ends[0] };
	return true;
}

struct nvml *nvml_open(const char *library, struct arena *arena)
{
	struct nvml *nvml = arena_new(arena, struct nvml);
	return begin(nvml, look_on, library) ? nvml : NULL;
}

bool nvml_ask(const char *library, unsigned ms, struct nvml_cards *ret)
{
	struct nvml nvml;
	_Static_assert(sizeof *ret <= PIPE_BUF, "written whole, or not");
	if (!begin(&nvml, read_once, library))
		return false;
	struct pollfd answer = { nvml.notes, POLLIN, 0 };
	int64_t end = clock_ms() + ms;
	for (int64_t left = ms; left > 0 && poll(&answer, 1, (int)left) < 0;)
		left = end - clock_ms();
	bool answered = read(nvml.notes, ret, sizeof *ret) == (ssize_t)sizeof *ret;
	nvml_close(&nvml);
	return answered;
}

int64_t nvml_sessions(const struct nvml_cards *cards)
{
	int64_t sessions = 0;
	for (unsigned i = 0; i < cards->n; i++)
		sessions += cards->card[i].sessions > 0 ? cards->card[i].sessions : 0;
	return sessions;
}

void nvml_look(struct nvml *nvml)
{
	struct note note;
	while (nvml->notes >= 0 && read(nvml->notes, &note, sizeof note) == (ssize_t)sizeof note) {
		if (note.kind != NOTE_BUSY)
			nvml->state = note.kind;
		else if (nvml_busy(nvml, note.pid) != YES && nvml->n_busy < BUSY_MAX)
			nvml->busy[nvml->n_busy++] = note.pid;
	}
}

enum tri nvml_busy(const struct nvml *nvml, int64_t pid)
{
	for (size_t i = 0; i < nvml->n_busy; i++)
		if (nvml->busy[i] == pid)
			return YES;
	return UNKNOWN;
}

const char *nvml_why(const struct nvml *nvml)
{
	return nvml->state == NOTE_NO_LIBRARY  ? "NVIDIA's library for it (libnvidia-ml) is not here"
	       : nvml->state == NOTE_NO_ANSWER ? "NVIDIA's driver does not answer it"
	                                       : NULL;
}

void nvml_close(struct nvml *nvml)
{
	if (nvml->notes >= 0)
		close(nvml->notes);
	nvml->notes = -1;
	kill(nvml->child, SIGKILL);
	/* one that sleeps in the kernel does not die of it: it is left alone then */
	struct pollfd ended = { nvml->pidfd, POLLIN, 0 };
	int64_t end = clock_ms() + AFTER_KILL_MS;
	for (int64_t left = AFTER_KILL_MS; nvml->pidfd >= 0 && left > 0 && poll(&ended, 1, (int)left) < 0;)
		left = end - clock_ms();
	waitpid(nvml->child, NULL, WNOHANG);
	if (nvml->pidfd >= 0)
		close(nvml->pidfd);
	nvml->pidfd = -1;
}
