/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A machine of the lab by the path of its text, with more statements behind it.
 */
#pragma once
#include <fcntl.h>

#include "rehearse/machine.h"
#include "sys/file.h"

enum { READ_MACHINE_MAX = 64 * 1024 };

static inline bool read_machine(const char *path, const char *more, struct arena *arena, struct err *err, struct tape **ret)
{
	struct bytes bytes;
	int fd FD_SCOPED = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || file_read_fd(fd, 0, READ_MACHINE_MAX, arena, &bytes) != 0)
		return err_set(err, ERR_INPUT, "%s cannot be read", path);
	const char *text = arena_printf(arena, "%.*s%s", (int)bytes.size, bytes.data, more);
	return machine_parse((struct bytes){ text, strlen(text) }, path, machine_builtin_text, NULL, arena, err, ret);
}
