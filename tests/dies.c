/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Put before a program (LD_PRELOAD), it makes it fail at a byte of what it writes into files: DIES_AT bytes are written,
 * then DIES_HOW: kill, segv, hang, exit (with the text DIES_SAYS), leave (as if all were well). With DIES_LINE=N it is
 * the end of the N-th line about a segment that counts instead.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef ssize_t write_fn(int, const void *, size_t);

static void die(write_fn *real)
{
	const char *how = getenv("DIES_HOW"), *says = getenv("DIES_SAYS");
	if (strcmp(how, "segv") == 0)
		raise(SIGSEGV);
	if (strcmp(how, "hang") == 0)
		for (;;)
			pause();
	if (says && real(2, says, strlen(says)) > 0)
		_exit(1);
	if (strcmp(how, "leave") == 0)
		_exit(0);
	raise(SIGKILL);
}

ssize_t write(int fd, const void *data, size_t size)
{
	static write_fn *real;
	static long long left = -1, lines = -1;
	struct stat file;
	if (!real) {
		const char *at = getenv("DIES_AT"), *line = getenv("DIES_LINE");
		left = at ? atoll(at) : -1;
		lines = line ? atoll(line) : -1;
		*(void **)&real = dlsym(RTLD_NEXT, "write");
	}
	if (left >= 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode)) {
		if ((long long)size >= left) {
			if (left)
				real(fd, data, (size_t)left);
			die(real);
		}
		left -= (long long)size;
	}
	ssize_t wrote = real(fd, data, size);
	if (lines > 0 && fstat(fd, &file) == 0 && S_ISFIFO(file.st_mode) && (memmem(data, size, ".nut,", 5) || memmem(data, size, ".ts,", 4)) && --lines == 0)
		die(real);
	return wrote;
}
