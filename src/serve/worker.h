/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A process of our own for what may hang: it tells by messages, and is ended when it is silent for too long. Nothing
 * here ever waits for one.
 */
#pragma once
#include <stdint.h>

#include "base/arena.h"
#include "base/text.h"

/* The other end, in the child. */
struct worker_end;
/* Sends one message, whole. Ends the process where nobody listens any more. */
void worker_tell(struct worker_end *end, struct bytes message);
/* Sleeps, and ends the process where nobody listens any more. */
void worker_sleep(struct worker_end *end, unsigned ms);

/* Runs in the child, which has no open file of ours but standard error; its end is the child's. */
typedef void worker_fn(struct worker_end *end, void *data);

struct worker {
	const char *name;
	worker_fn *run;
	void *data;
	unsigned silence_ms; /* so long it may say nothing */
	/* kept here */
	int pid, pipe;    /* 0 and -1: it does not run */
	int ended;        /* the one before; 0: none */
	int64_t heard_ms; /* when it last spoke or began, of a clock that never jumps */
	uint64_t starts;
	char *data_in; /* a message that is not whole yet */
	size_t size, room;
};

enum worker_news { WORKER_NOTHING, WORKER_MESSAGE, WORKER_ENDED, WORKER_HUNG };

/* False: no process can be made, or the one before sleeps in the kernel and does not die: it shall not become many. */
bool worker_start(struct worker *worker, int64_t now_ms);
/* What came since, one message at a time; call again until it is nothing. A message lives in the arena. HUNG: it was
 * silent for too long and has been ended; whatever it had started too. */
enum worker_news worker_hear(struct worker *worker, int64_t now_ms, struct arena *arena, struct bytes *ret);
/* When it must have spoken; INT64_MAX: it does not run. */
int64_t worker_due(const struct worker *worker);
/* Ends it at once, and what it had started. */
void worker_stop(struct worker *worker);
/* Before the first one: what they start comes to us when they end. */
void worker_init(void);
/* Children that ended, and those that nobody has any more: of a worker that was ended. */
void worker_sweep(const struct worker *const *workers, size_t n);
