/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What talks to gpuferry serve in its tests and its bench, on 127.0.0.1:
 *   serve_client raw PORT|PATH            sends standard input, prints what comes back until the end, or for
 *                                       15 seconds; and how long that took
 *   serve_client slow PORT N SECONDS      N connections that send one byte a second, made anew when they are cut
 *   serve_client load PORT PATH N SECONDS N connections that ask again and again; prints requests a second
 *   serve_client activate COMMAND...      hands a listening socket over as systemd does
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4000, ROOM = 1 << 20 };

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int dial(const char *where)
{
	struct sockaddr_un path = { .sun_family = AF_UNIX };
	struct sockaddr_in port = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(where)) };
	bool is_path = where[0] == '/';
	port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	snprintf(path.sun_path, sizeof path.sun_path, "%s", where);
	int fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, is_path ? (struct sockaddr *)&path : (struct sockaddr *)&port,
	                       is_path ? sizeof path : sizeof port) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int raw(const char *where)
{
	static char data[ROOM];
	double begin = now(), end = begin + 15;
	int fd = dial(where);
	if (fd < 0)
		return 1;
	size_t size = fread(data, 1, sizeof data, stdin);
	for (size_t sent = 0; sent < size;) {
		ssize_t wrote = send(fd, data + sent, size - sent, MSG_NOSIGNAL);
		if (wrote <= 0)
			break; /* what was answered meanwhile is still read */
		sent += (size_t)wrote;
	}
	while (now() < end) {
		struct pollfd poll_one = { fd, POLLIN, 0 };
		if (poll(&poll_one, 1, 200) == 0)
			continue;
		ssize_t got = recv(fd, data, sizeof data, 0);
		if (got <= 0) {
			fprintf(stderr, "ms %.0f\n", (now() - begin) * 1000);
			return 0;
		}
		fwrite(data, 1, (size_t)got, stdout);
	}
	return 2;
}

static int slow(const char *where, int n, double seconds)
{
	static int fds[CONNECTIONS_MAX];
	static const char begin[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
	int cut = 0, open_ones = 0;
	double end = now() + seconds;
	for (int i = 0; i < n; i++)
		fds[i] = -1;
	while (now() < end) {
		open_ones = 0;
		for (int i = 0; i < n; i++) {
			if (fds[i] >= 0 && send(fds[i], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) {
				close(fds[i]);
				fds[i] = -1;
				cut++;
			}
			if (fds[i] < 0 && (fds[i] = dial(where)) >= 0)
				send(fds[i], begin, sizeof begin - 1, MSG_NOSIGNAL);
			open_ones += fds[i] >= 0;
		}
		if (cut == 0)
			fprintf(stderr, "open: %d\n", open_ones);
		poll(NULL, 0, 1000);
	}
	printf("%d open, %d were cut\n", open_ones, cut);
	return 0;
}

struct asker {
	int fd;
	size_t head, body, got; /* of the answer; head 0: not yet known */
	char text[2048];
	size_t size;
};

/* True: the answer is whole. */
static bool take(struct asker *asker, const char *data, size_t size)
{
	asker->got += size;
	if (!asker->head) {
		size_t more = sizeof asker->text - 1 - asker->size;
		more = more < size ? more : size;
		memcpy(asker->text + asker->size, data, more);
		asker->text[asker->size += more] = '\0';
		const char *end = strstr(asker->text, "\r\n\r\n"), *length = strstr(asker->text, "Content-Length: ");
		if (!end || !length)
			return false;
		asker->head = (size_t)(end - asker->text) + 4;
		asker->body = (size_t)atol(length + 16);
	}
	return asker->got >= asker->head + asker->body;
}

static int load(const char *where, const char *path, int n, double seconds)
{
	static struct asker askers[CONNECTIONS_MAX];
	static struct pollfd polls[CONNECTIONS_MAX];
	static char data[ROOM];
	char request[256];
	int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	long done = 0;
	for (int i = 0; i < n; i++) {
		askers[i].fd = dial(where);
		if (askers[i].fd < 0 || send(askers[i].fd, request, (size_t)size, MSG_NOSIGNAL) != size)
			return 1;
		polls[i] = (struct pollfd){ askers[i].fd, POLLIN, 0 };
	}
	double begin = now();
	while (now() < begin + seconds) {
		if (poll(polls, (nfds_t)n, 1000) <= 0)
			return 1;
		for (int i = 0; i < n; i++) {
			if (!polls[i].revents)
				continue;
			ssize_t got = recv(polls[i].fd, data, sizeof data, 0);
			if (got <= 0)
				return 1;
			if (!take(&askers[i], data, (size_t)got))
				continue;
			if (strncmp(askers[i].text, "HTTP/1.1 200", 12) != 0)
				return 1;
			done++;
			askers[i].head = askers[i].got = askers[i].size = 0;
			if (send(polls[i].fd, request, (size_t)size, MSG_NOSIGNAL) != size)
				return 1;
		}
	}
	printf("%.0f\n", (double)done / (now() - begin));
	return 0;
}

static int activate(char **command)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	char pid[32];
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) || listen(fd, 16) || (fd != 3 && dup2(fd, 3) < 0))
		return 1;
	if (fd != 3)
		close(fd);
	snprintf(pid, sizeof pid, "%d", getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	execvp(command[0], command);
	return 1;
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max < CONNECTIONS_MAX + 64 ? limit.rlim_max : CONNECTIONS_MAX + 64;
		if (argc > 1 && strcmp(argv[1], "activate") != 0)
			setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (argc == 3 && strcmp(argv[1], "raw") == 0)
		return raw(argv[2]);
	if (argc == 5 && strcmp(argv[1], "slow") == 0 && atoi(argv[3]) <= CONNECTIONS_MAX)
		return slow(argv[2], atoi(argv[3]), atof(argv[4]));
	if (argc == 6 && strcmp(argv[1], "load") == 0 && atoi(argv[4]) <= CONNECTIONS_MAX)
		return load(argv[2], argv[3], atoi(argv[4]), atof(argv[5]));
	if (argc > 2 && strcmp(argv[1], "activate") == 0)
		return activate(argv + 2);
	fputs("usage: see the top of serve_client.c\n", stderr);
	return 2;
}
