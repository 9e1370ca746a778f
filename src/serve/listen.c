/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

enum { INHERITED = 3, PATH_MODE = 0660 }; /* the first descriptor that systemd hands over */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un path;
	struct sockaddr_storage room;
};

static bool wrong(struct err *err, const char *where)
{
	struct arena arena ARENA_SCOPED = { 0 };
	err_set(err, ERR_USAGE, "--listen %s: no address with a port, and no path", text_shown(&arena, where));
	return err_hint(err, "use 127.0.0.1:9786, [::1]:9786 or /run/gpuferry.sock");
}

/* "ADDRESS:PORT", numbers only: what a name means may change. */
static bool parse(const char *where, struct arena *arena, struct err *err, union address *ret, socklen_t *ret_size)
{
	const char *colon = strrchr(where, ':');
	uint64_t port;
	if (!colon || !text_number(colon + 1, 10, 65535, &port))
		return wrong(err, where);
	bool bracketed = where[0] == '[' && colon > where && colon[-1] == ']';
	const char *host = bracketed ? arena_strndup(arena, where + 1, (size_t)(colon - where) - 2)
	                             : arena_strndup(arena, where, (size_t)(colon - where));
	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	*ret = (union address){ 0 };
	if (!bracketed && inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons((uint16_t)port);
		*ret_size = sizeof ret->v4;
		return true;
	}
	if (bracketed && inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1) {
		ret->v6.sin6_family = AF_INET6;
		ret->v6.sin6_port = htons((uint16_t)port);
		*ret_size = sizeof ret->v6;
		return true;
	}
	return wrong(err, where);
}

static bool is_loopback(const union address *address)
{
	if (address->any.sa_family == AF_INET)
		return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
	return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

/* As it really is: a port of 0 has become one. */
static void describe(struct listener *listener, struct arena *arena)
{
	union address address = { 0 };
	socklen_t size = sizeof address;
	char text[INET6_ADDRSTRLEN] = "";
	listener->shown = "a socket that was handed over";
	if (getsockname(listener->fd, &address.any, &size))
		return;
	listener->loopback = is_loopback(&address);
	if (address.any.sa_family == AF_INET && inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof text))
		listener->shown = arena_printf(arena, "http://%s:%u", text, ntohs(address.v4.sin_port));
	else if (address.any.sa_family == AF_INET6 && inet_ntop(AF_INET6, &address.v6.sin6_addr, text, sizeof text))
		listener->shown = arena_printf(arena, "http://[%s]:%u", text, ntohs(address.v6.sin6_port));
	else if (address.any.sa_family == AF_UNIX)
		listener->shown = arena_printf(arena, "unix:%s", address.path.sun_path);
}

static bool failed(struct err *err, const char *where, int error)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct stat there;
	if (error == EADDRINUSE && where[0] == '/' && lstat(where, &there) == 0 && !S_ISSOCK(there.st_mode))
		return err_set(err, ERR_SYSTEM, "%s: is there, and is no socket", text_shown(&arena, where));
	if (error == EADDRINUSE) {
		err_set(err, ERR_SYSTEM, "%s: another program listens there", text_shown(&arena, where));
		return err_hint(err, "end that one, or give --listen another place");
	}
	return err_errno(err, error, "listening on %s", text_shown(&arena, where));
}

/* A path that nobody listens on any more is left over from one that was killed. */
static bool is_left_over(const union address *address)
{
	struct stat stat;
	if (lstat(address->path.sun_path, &stat) || !S_ISSOCK(stat.st_mode))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool nobody = fd >= 0 && connect(fd, &address->any, sizeof address->path) && errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return nobody;
}

static bool bind_path(int fd, const union address *address)
{
	mode_t before = umask(0777 & ~PATH_MODE);
	bool bound = bind(fd, &address->any, sizeof address->path) == 0 ||
	             (errno == EADDRINUSE && is_left_over(address) && unlink(address->path.sun_path) == 0 &&
	                     bind(fd, &address->any, sizeof address->path) == 0);
	int error = errno;
	umask(before);
	errno = bound ? 0 : error;
	return bound;
}

static bool open_path(const char *where, struct arena *arena, struct err *err, struct listener *ret)
{
	union address address = { .path = { .sun_family = AF_UNIX } };
	if (strlen(where) >= sizeof address.path.sun_path)
		return failed(err, where, ENAMETOOLONG);
	memcpy(address.path.sun_path, where, strlen(where) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || !bind_path(fd, &address) || listen(fd, SOMAXCONN)) {
		int error = errno;
		if (fd >= 0)
			close(fd);
		return failed(err, where, error);
	}
	struct stat stat = { 0 };
	bool ours = lstat(where, &stat) == 0;
	*ret = (struct listener){
		.fd = fd, .path = ours ? arena_strdup(arena, where) : NULL, .device = stat.st_dev, .inode = stat.st_ino
	};
	describe(ret, arena);
	return true;
}

static bool open_address(const char *where, struct arena *arena, struct err *err, struct listener *ret)
{
	union address address;
	socklen_t size;
	int on = 1;
	if (!parse(where, arena, err, &address, &size))
		return false;
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(fd, &address.any, size) ||
	        listen(fd, SOMAXCONN)) {
		int error = errno;
		if (fd >= 0)
			close(fd);
		return failed(err, where, error);
	}
	*ret = (struct listener){ .fd = fd };
	describe(ret, arena);
	return true;
}

/* How many descriptors systemd hands over to this very process. */
static uint64_t handed_over(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	uint64_t of = 0, count = 0;
	if (!pid || !n || !text_number(pid, 10, INT32_MAX, &of) || of != (uint64_t)getpid() ||
	        !text_number(n, 10, INT32_MAX, &count))
		return 0;
	return count;
}

static bool inherit(uint64_t n, struct arena *arena, struct err *err, struct listener *ret)
{
	int listens = 0;
	socklen_t size = sizeof listens;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (n != 1)
		return err_set(
		        err, ERR_INPUT, "%llu sockets were handed over: one can be served", (unsigned long long)n);
	if (getsockopt(INHERITED, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) || !listens)
		return err_set(err, ERR_INPUT, "what was handed over is no socket that listens");
	fcntl(INHERITED, F_SETFD, FD_CLOEXEC);
	fcntl(INHERITED, F_SETFL, fcntl(INHERITED, F_GETFL) | O_NONBLOCK);
	*ret = (struct listener){ .fd = INHERITED };
	describe(ret, arena);
	return true;
}

bool listen_open(const char *where, struct arena *arena, struct err *err, struct listener *ret)
{
	uint64_t n = where ? 0 : handed_over();
	if (n)
		return inherit(n, arena, err, ret);
	if (!where)
		where = LISTEN_DEFAULT;
	return where[0] == '/' ? open_path(where, arena, err, ret) : open_address(where, arena, err, ret);
}

void listen_close(struct listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
	struct stat there;
	if (listener->path && lstat(listener->path, &there) == 0 && there.st_dev == listener->device &&
	        there.st_ino == listener->inode)
		unlink(listener->path);
	listener->path = NULL;
}
