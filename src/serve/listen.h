/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The socket that is served: an address with its port, a path, or one that systemd hands over (sd_listen_fds(3)).
 */
#pragma once
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"

#define LISTEN_DEFAULT "127.0.0.1:9786"

struct listener {
	int fd;            /* -1: closed, or another has it */
	const char *shown; /* "http://127.0.0.1:9786", "unix:/run/gpuferry.sock" */
	const char *path;  /* removed by listen_close, while it is still ours; NULL: none */
	dev_t device;      /* of the path, with its inode: another one may have its name since */
	ino_t inode;
	bool loopback;     /* only this machine reaches it, by TCP */
};

/* where: "127.0.0.1:9786", "[::1]:9786", "localhost:0" (any free port), "/run/x.sock"; NULL: systemd's, else
 * LISTEN_DEFAULT. Refused with err: a wrong word (ERR_USAGE), and where another listens or the system says no. */
bool listen_open(const char *where, struct arena *arena, struct err *err, struct listener *ret);
/* Without the descriptor where another has it. */
void listen_close(struct listener *listener);
