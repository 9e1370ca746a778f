/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ahead.so, no part of gpuferry itself: put before a program (LD_PRELOAD), it waits in front of the program's main for
 * its arguments. Loading is most of what a short ffmpeg takes (62 of ffprobe's 80 ms with Debian's 200 libraries), and
 * needs none of them.
 */
#include "sys/ahead.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/prctl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int main_fn(int argc, char **argv, char **envp);
typedef int start_fn(main_fn *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

static main_fn *program;

/* All of it, or the end. */
static void take(void *to, size_t size, int otherwise)
{
	for (char *at = to; size;) {
		ssize_t got = recv(AHEAD_FD, at, size, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			_exit(otherwise);
		at += got;
		size -= (size_t)got;
	}
}

/* What others see as its arguments (/proc/PID/cmdline, ps). All that stands beside them has to be said again, as proc(5)
 * numbers it in /proc/PID/stat. Where the kernel does not take it, they see the ones that it was loaded with. */
static void show_words(const char *words, size_t size)
{
	enum { START_CODE = 26, END_CODE, START_STACK, START_DATA = 45, END_DATA, START_BRK, ENV_START = 50, ENV_END, FIELDS };
	char text[2048] = "";
	uint64_t field[FIELDS] = { 0 };
	FILE *file = fopen("/proc/self/stat", "re");
	size_t got = file ? fread(text, 1, sizeof text - 1, file) : 0;
	if (file)
		fclose(file);
	char *at = memrchr(text, ')', got); /* behind the name, the state is the third */
	for (int i = 3; i < FIELDS && at && (at = strchr(at, ' ')); i++)
		field[i] = strtoull(++at, NULL, 10);
	const struct prctl_mm_map map = {
		.start_code = field[START_CODE],
		.end_code = field[END_CODE],
		.start_stack = field[START_STACK],
		.start_data = field[START_DATA],
		.end_data = field[END_DATA],
		.start_brk = field[START_BRK],
		.brk = (uintptr_t)sbrk(0),
		.env_start = field[ENV_START],
		.env_end = field[ENV_END],
		.arg_start = (uintptr_t)words,
		.arg_end = (uintptr_t)words + size,
		.exe_fd = UINT32_MAX, /* it stays */
	};
	if (field[ENV_END])
		prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0);
}

/* Its own words, up to AHEAD_WORD, and those that it is told. */
static int wait_and_run(int own, char **argv)
{
	uint32_t told;
	size_t size = 0;
	if (send(AHEAD_FD, "", 1, MSG_NOSIGNAL) != 1)
		_exit(0);
	take(&told, sizeof told, 0);
	for (int i = 0; i < own; i++)
		size += strlen(argv[i]) + 1;
	char *words = malloc(size + told), *at = words, **list = calloc((size_t)own + told + 1, sizeof *list);
	if (!words || !list)
		_exit(1);
	for (int i = 0; i < own; i++)
		at = mempcpy(at, argv[i], strlen(argv[i]) + 1);
	take(at, told, 1);
	close(AHEAD_FD);
	int n = 0;
	for (char *word = words; word < at + told; word += strlen(word) + 1)
		list[n++] = word;
	show_words(words, size + told);
	unsetenv("LD_PRELOAD");
	unsetenv(AHEAD_PROGRAM);
	return program(n, list, environ);
}

static int wait_or_run(int argc, char **argv, char **envp)
{
	const char *of = getenv(AHEAD_PROGRAM), *path = (const char *)getauxval(AT_EXECFN); /* of a script: its own */
	bool waits = of && path && strcmp(of, path) == 0 && argc > 1 && strcmp(argv[argc - 1], AHEAD_WORD) == 0;
	return waits ? wait_and_run(argc - 1, argv) : program(argc, argv, envp);
}

int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
        void (*rtld_fini)(void), void *stack_end);

/* As glibc has it on x86-64 and ARM (csu/libc-start.c): the program's own start calls it, with everything loaded. */
int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
        void (*rtld_fini)(void), void *stack_end)
{
	start_fn *start;
	*(void **)&start = dlsym(RTLD_NEXT, "__libc_start_main");
	program = main;
	return start(wait_or_run, argc, argv, init, fini, rtld_fini, stack_end);
}
