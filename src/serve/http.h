/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The one place that knows libmicrohttpd. Reads only: GET and HEAD of the paths of a table. Nothing of a request is
 * ever sent back. Never blocks: it runs when its descriptor has something, or its time has come.
 *
 * Limits: 8 KiB a request; 10 seconds for one, from the connection's begin or the answer before; a few hundred
 * connections, of which the one that has waited longest makes room for a new one.
 */
#pragma once
#include "media/sample.h"
#include "serve/listen.h"

struct http_answer {
	unsigned code;
	const char *type;
	struct bytes body;
};

struct http_page {
	const char *path; /* NULL ends */
	/* What it shows now; it is asked once a second at most. */
	void (*make)(void *data, struct arena *arena, struct http_answer *ret);
};

enum { HTTP_PAGES_MAX = 8 };

struct http;
/* Takes the listener's descriptor over. NULL with err. */
struct http *http_open(
        struct listener *listener, const struct http_page *pages, void *data, struct arena *arena, struct err *err);
int http_fd(const struct http *http);
/* Milliseconds until http_run must be called; -1: only when the descriptor has something. */
int http_timeout(const struct http *http);
void http_run(struct http *http, int64_t now_ms);
/* What the pages show has changed: they are made anew. */
void http_changed(struct http *http);
void http_readings(const struct http *http, struct readings *ret);
void http_close(struct http *http);
