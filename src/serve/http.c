/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * libmicrohttpd's own time limit begins anew with every byte, so a client may drip for ever: here every connection
 * stands in a list, the one that has waited longest first, and is cut when its time is over or its place is needed.
 */
#include "serve/http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
	REQUEST_MAX = 8 * 1024,
	REQUEST_MS = 10000,
	IDLE_S = 10,
	KEPT_MAX = 512, /* connections */
	SPARE = 128,    /* those that are cut, until that is done */
	FILES = 4096,
	FRESH_MS = 1000, /* so long a page is not made anew */
};

/* What is answered where no page is; also the codes that are counted. */
static const struct {
	unsigned code;
	const char *text;
} refusals[] = {
	{ 200, NULL },
	{ 503, NULL },
	{ 400, "400: the Host header is none, or there are two\n" },
	{ 404, "404: /health and /metrics are what there is\n" },
	{ 405, "405: GET and HEAD are what can be asked\n" },
	{ 421, "421: this answers to localhost and to addresses, and to no other name\n" },
};
enum { REFUSALS = sizeof refusals / sizeof *refusals };

struct connection {
	struct connection *before, *after;
	int fd;
	int64_t began_ms;
};

struct page {
	struct MHD_Response *response; /* NULL: make it */
	unsigned code;
	int64_t made_ms;
};

struct http {
	struct MHD_Daemon *daemon;
	const struct http_page *pages;
	void *data;
	struct page page[HTTP_PAGES_MAX];
	struct MHD_Response *refusal[REFUSALS];
	bool loopback;
	struct connection list; /* its ends */
	unsigned n, kept;
	int64_t now_ms;
	uint64_t answered[REFUSALS], evicted;
};

/* ---- connections ------------------------------------------------------------------------ */

static void unlink_connection(struct http *http, struct connection *connection)
{
	if (!connection->before)
		return;
	connection->before->after = connection->after;
	connection->after->before = connection->before;
	connection->before = connection->after = NULL;
	http->n--;
}

static void put_last(struct http *http, struct connection *connection)
{
	connection->before = http->list.before;
	connection->after = &http->list;
	connection->before->after = connection->after->before = connection;
	connection->began_ms = http->now_ms;
	http->n++;
}

static void notice(void *data, struct MHD_Connection *of, void **mine, enum MHD_ConnectionNotificationCode code)
{
	struct http *http = data;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*mine)
			unlink_connection(http, *mine);
		free(*mine);
		*mine = NULL;
		return;
	}
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(of, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct connection *connection = calloc(1, sizeof *connection);
	*mine = connection;
	if (!connection || !info)
		return;
	connection->fd = info->connect_fd;
	put_last(http, connection);
}

static void cut_slow_ones(struct http *http)
{
	struct connection *first;
	while ((first = http->list.after) != &http->list &&
	        (http->n > http->kept || http->now_ms - first->began_ms >= REQUEST_MS)) {
		shutdown(first->fd, SHUT_RDWR);
		unlink_connection(http, first);
		http->evicted++;
	}
}

/* ---- answers -------------------------------------------------------------------------------- */

static void put_headers(struct MHD_Response *response, const char *type)
{
	static const char *const headers[][2] = {
		{ "Cache-Control", "no-store" },
		{ "X-Content-Type-Options", "nosniff" },
		{ "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'" },
		{ "Referrer-Policy", "no-referrer" },
	};
	MHD_add_response_header(response, "Content-Type", type);
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
}

static struct MHD_Response *refusal_of(size_t i)
{
	const char *text = refusals[i].text;
	if (!text)
		return NULL;
	union {
		const char *text;
		void *data;
	} body = { text };
	struct MHD_Response *response =
	        MHD_create_response_from_buffer(strlen(text), body.data, MHD_RESPMEM_PERSISTENT);
	put_headers(response, "text/plain; charset=utf-8");
	if (refusals[i].code == 405)
		MHD_add_response_header(response, "Allow", "GET, HEAD");
	return response;
}

static struct page *page_of(struct http *http, size_t i)
{
	struct page *page = &http->page[i];
	if (page->response && http->now_ms - page->made_ms < FRESH_MS)
		return page;
	struct arena arena ARENA_SCOPED = { 0 };
	struct http_answer answer = { .code = 503, .type = "text/plain; charset=utf-8" };
	http->pages[i].make(http->data, &arena, &answer);
	union {
		const char *text;
		void *data;
	} body = { answer.body.data };
	struct MHD_Response *response =
	        MHD_create_response_from_buffer(answer.body.size, body.data, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return page; /* without memory the one before is better than none */
	put_headers(response, answer.type);
	if (page->response)
		MHD_destroy_response(page->response);
	*page = (struct page){ response, answer.code, http->now_ms };
	return page;
}

/* The name in a Host header, without the port. */
static bool host_name(const char *host, char *ret, size_t room)
{
	size_t size = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	const char *behind = host + (size <= strlen(host) ? size : 0);
	uint64_t port;
	if (!size || size > strlen(host) || size >= room || (*behind && !text_number(behind + 1, 10, 65535, &port)) ||
	        (*behind && *behind != ':'))
		return false;
	if (host[0] == '[')
		snprintf(ret, room, "%.*s", (int)size - 2, host + 1);
	else
		snprintf(ret, room, "%.*s", (int)size, host);
	struct in6_addr address;
	return host[0] == '[' ? inet_pton(AF_INET6, ret, &address) == 1 : strspn(ret, good) == size;
}

static enum MHD_Result count_hosts(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void)kind, (void)value;
	*(unsigned *)data += strcasecmp(name, "Host") == 0;
	return MHD_YES;
}

/* A page of another site may have its own name point at this machine, and read along: by name only localhost is
 * answered where nobody but this machine is meant. 0: it is fine. */
static unsigned host_refused(const struct http *http, struct MHD_Connection *connection)
{
	char name[256];
	struct in_addr v4;
	const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
	unsigned hosts = 0;
	MHD_get_connection_values(connection, MHD_HEADER_KIND, count_hosts, &hosts);
	if (hosts > 1)
		return 400; /* whoever stands before it may have looked at the other one: RFC 9112, 3.2 */
	if (!host)
		return 0; /* HTTP/1.0 has none; of a later one the library asks for it */
	if (!host_name(host, name, sizeof name))
		return 400;
	bool local = strcasecmp(name, "localhost") == 0 || host[0] == '[' || inet_pton(AF_INET, name, &v4) == 1;
	return http->loopback && !local ? 421 : 0;
}

static enum MHD_Result answer(
        struct http *http, struct MHD_Connection *connection, unsigned code, struct MHD_Response *response)
{
	for (size_t i = 0; i < REFUSALS; i++) {
		if (refusals[i].code != code)
			continue;
		http->answered[i]++;
		return MHD_queue_response(connection, code, response ? response : http->refusal[i]);
	}
	return MHD_NO;
}

static bool has_body(struct MHD_Connection *connection)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length") ||
	       MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding");
}

static enum MHD_Result handle(void *data, struct MHD_Connection *connection, const char *url, const char *method,
        const char *version, const char *upload, size_t *upload_size, void **request)
{
	struct http *http = data;
	static int begun;
	(void)version;
	(void)upload;
	(void)upload_size;
	/* What is answered at the first call is the connection's last: right for what comes with a body, which is then
	 * never read. */
	if (!*request && !has_body(connection)) {
		*request = &begun;
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return answer(http, connection, 405, NULL);
	unsigned refused = host_refused(http, connection);
	if (refused)
		return answer(http, connection, refused, NULL);
	for (size_t i = 0; http->pages[i].path; i++) {
		if (strcmp(http->pages[i].path, url) != 0)
			continue;
		const struct page *page = page_of(http, i);
		return page->response ? answer(http, connection, page->code, page->response) : MHD_NO;
	}
	return answer(http, connection, 404, NULL);
}

/* An answered connection has its time anew. */
static void completed(void *data, struct MHD_Connection *of, void **request, enum MHD_RequestTerminationCode code)
{
	struct http *http = data;
	(void)request;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(of, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct connection *connection = info ? info->socket_context : NULL;
	if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK || !connection || !connection->before)
		return;
	unlink_connection(http, connection);
	put_last(http, connection);
}

/* As it stands: "%00" is no end, and "%2f" no slash. */
static size_t unescape_nothing(void *data, struct MHD_Connection *connection, char *text)
{
	(void)data;
	(void)connection;
	return strlen(text);
}

/* What clients do wrong is no news. */
static void __attribute__((format(printf, 2, 0))) log_nothing(void *data, const char *format, va_list args)
{
	(void)data;
	(void)format;
	(void)args;
}

/* ---- the whole ---------------------------------------------------------------------------------- */

/* How many connections fit into what this process may open. */
static unsigned room_for_connections(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 64;
	if (limit.rlim_cur < FILES) {
		limit.rlim_cur = limit.rlim_max < FILES ? limit.rlim_max : FILES;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < 2 * SPARE)
		return 16;
	rlim_t free_ones = limit.rlim_cur - SPARE - 64;
	return free_ones > KEPT_MAX ? KEPT_MAX : (unsigned)free_ones;
}

struct http *http_open(
        struct listener *listener, const struct http_page *pages, void *data, struct arena *arena, struct err *err)
{
	struct http *http = arena_new(arena, struct http);
	*http = (struct http){ .pages = pages, .data = data, .loopback = listener->loopback };
	http->list.before = http->list.after = &http->list;
	http->kept = room_for_connections();
	for (size_t i = 0; i < REFUSALS; i++)
		http->refusal[i] = refusal_of(i);
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, http,
	        MHD_OPTION_EXTERNAL_LOGGER, log_nothing, NULL, MHD_OPTION_LISTEN_SOCKET, listener->fd,
	        MHD_OPTION_CONNECTION_LIMIT, http->kept + SPARE, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	        (size_t)REQUEST_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
	        MHD_OPTION_UNESCAPE_CALLBACK, unescape_nothing, NULL, MHD_OPTION_NOTIFY_CONNECTION, notice, http,
	        MHD_OPTION_NOTIFY_COMPLETED, completed, http, MHD_OPTION_END);
	if (!http->daemon) {
		err_set(err, ERR_SYSTEM, "%s: the server does not start", listener->shown);
		return NULL;
	}
	listener->fd = -1;
	return http;
}

int http_fd(const struct http *http)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	return info ? info->epoll_fd : -1;
}

int http_timeout(const struct http *http)
{
	MHD_UNSIGNED_LONG_LONG ms;
	int64_t least = -1;
	if (MHD_get_timeout(http->daemon, &ms) == MHD_YES)
		least = ms > INT32_MAX ? INT32_MAX : (int64_t)ms;
	if (http->n) {
		int64_t left = http->list.after->began_ms + REQUEST_MS - http->now_ms;
		least = least < 0 || left < least ? left : least;
	}
	return least < -1 ? 0 : (int)least;
}

void http_run(struct http *http, int64_t now_ms)
{
	http->now_ms = now_ms;
	MHD_run(http->daemon);
	cut_slow_ones(http);
}

void http_changed(struct http *http)
{
	for (size_t i = 0; i < HTTP_PAGES_MAX; i++)
		http->page[i].made_ms -= FRESH_MS;
}

void http_readings(const struct http *http, struct readings *ret)
{
	struct arena arena ARENA_SCOPED = { 0 };
	for (size_t i = 0; i < REFUSALS; i++)
		reading_add(ret, METRIC_REQUESTS, (double)http->answered[i],
		        arena_printf(&arena, "%u", refusals[i].code), NULL, NULL);
	reading_add(ret, METRIC_CONNECTIONS, http->n, NULL, NULL, NULL);
	reading_add(ret, METRIC_EVICTED, (double)http->evicted, NULL, NULL, NULL);
}

void http_close(struct http *http)
{
	MHD_stop_daemon(http->daemon);
	for (size_t i = 0; i < HTTP_PAGES_MAX; i++)
		if (http->page[i].response)
			MHD_destroy_response(http->page[i].response);
	for (size_t i = 0; i < REFUSALS; i++)
		if (http->refusal[i])
			MHD_destroy_response(http->refusal[i]);
}
