/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ahead.so, no part of gpuferry itself: put before a program (LD_PRELOAD), it waits in front of the program's main for
 * its arguments. Loading is most of what a short ffmpeg takes (62 of ffprobe's 80 ms with Debian's 200 libraries), and
 * needs none of them.
 */
#include "sys/ahead.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int main_fn(int argc, char **argv, char **envp);
typedef int start_fn(main_fn *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

static main_fn *program;

/* All of it, or the end: whoever loaded the program has no use for it any more. */
static void take(void *to, size_t size)
{
	for (char *at = to; size;) {
		ssize_t got = recv(AHEAD_FD, at, size, 0);
		if (got <= 0)
			_exit(0);
		at += got;
		size -= (size_t)got;
	}
}

/* The kernel shows what stands where the words stood that it was loaded with. */
static char *room_for(char *const *placeholder, size_t size)
{
	char *from = placeholder[0], *last = placeholder[AHEAD_WORDS - 1], *end = last + strlen(last) + 1;
	memset(from, 0, (size_t)(end - from));
	return size <= (size_t)(end - from) ? from : malloc(size);
}

static int wait_and_run(int argc, char **argv, char **envp)
{
	int own = argc - AHEAD_WORDS, n = 0;
	uint32_t size;
	if (own < 1 || strcmp(argv[own], AHEAD_WORD) != 0)
		return program(argc, argv, envp);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* should who loaded it be killed; one that is gone already leaves an end of file */
	unsetenv("LD_PRELOAD");
	if (send(AHEAD_FD, "", 1, MSG_NOSIGNAL) != 1)
		_exit(0);
	take(&size, sizeof size);
	char *words = room_for(argv + own, size), **told = calloc((size_t)own + size + 1, sizeof *told);
	if (!words || !told)
		_exit(1);
	take(words, size);
	close(AHEAD_FD);
	for (; n < own; n++)
		told[n] = argv[n];
	for (char *word = words; word < words + size; word += strlen(word) + 1)
		told[n++] = word;
	return program(n, told, environ);
}

int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
        void (*rtld_fini)(void), void *stack_end);

/* As glibc has it (csu/libc-start.c): the program's own start calls it, with everything loaded. */
int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
        void (*rtld_fini)(void), void *stack_end)
{
	start_fn *start;
	*(void **)&start = dlsym(RTLD_NEXT, "__libc_start_main");
	program = main;
	return start(wait_and_run, argc, argv, init, fini, rtld_fini, stack_end);
}
