/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the unit tests share. Each test is a cmocka program that prints TAP.
 */
#pragma once
/* cmocka wants these four first */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static inline struct bytes bytes_of(const char *text) { return (struct bytes){ text, strlen(text) }; }

/* A folder of real captures beside the checkout, or NULL: the test says so and skips. */
static inline const char *test_data(const char *variable)
{
	const char *path = getenv(variable);
	DIR *folder = path ? opendir(path) : NULL;
	if (!folder)
		return NULL;
	closedir(folder);
	return path;
}

/* A file of this machine, whole. Fails the test if it cannot be read. */
static inline struct bytes test_read(struct arena *arena, const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		fail_msg("%s cannot be read", path);
	struct bytes content = {0};
	char *data = NULL;
	size_t room = 0;
	for (;;) {
		if (content.size == room) {
			char *grown = arena_alloc(arena, room = room ? room * 2 : 65536);
			if (content.size)
				memcpy(grown, data, content.size);
			data = grown;
		}
		size_t got = fread(data + content.size, 1, room - content.size, file);
		if (!got)
			break;
		content.size += got;
	}
	fclose(file);
	content.data = arena_strndup(arena, data, content.size);
	return content;
}

/* Has the process ended, within five seconds? */
static inline bool test_gone(pid_t pid)
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
