/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What ffmpeg, vainfo and the drivers below them say when they fail, as one table from text to cause to cure. The exit
 * code is never asked: up to 5.1 it is always 1, later it is a byte of an error number that says nothing. Pure.
 */
#pragma once
#include "base/arena.h"
#include "base/text.h"
#include "sys/nvml.h"

enum failure_kind {
	FAILURE_UNKNOWN,     /* the text is in no row: it is shown as it is */
	FAILURE_ABSENT,      /* no such device, library or driver here */
	FAILURE_BROKEN,      /* it is here and does not work */
	FAILURE_LIMIT,       /* it works, and has no room for one more: not a defect */
	FAILURE_UNSUPPORTED, /* it works, and this codec, depth or size is beyond it */
	FAILURE_BUILD,       /* this ffmpeg was built without it */
	FAILURE_INPUT,       /* the input is no video, or damaged: other hardware would not help */
	FAILURE_OUTPUT,      /* the output cannot be written */
};

enum { FAILURE_ROOM = 400 }; /* of `text`, in bytes */

struct failure {
	const char *id; /* "nvenc-limit"; NULL: in no row */
	enum failure_kind kind;
	int reached;              /* the rung of proof that may still stand below it; -1: none does */
	const char *cause, *cure; /* a sentence each; NULL where unknown */
	const char *text; /* the line that says it, printable, without "[name @ 0x...]"; "" if nothing was said */
	int64_t sessions; /* of NVENC that ran where no more was free; 0: not that, or not known */
};

struct failure_row {
	const char *id;
	enum failure_kind kind;
	int reached;
	const char *text, *also; /* both stand somewhere in what was said; also NULL: text is enough */
	const char *cause, *cure;
};

/* More telling rows first: one failure prints a chain of lines, and the last ones say nearly nothing. id NULL ends. */
extern const struct failure_row failure_rows[];

/* What was said, of any size and with any bytes. Never NULL members but where said so above. */
struct failure failure_find(struct bytes said, struct arena *arena);
/* The same for a command that ended: a deadline or a signal says more than what was written until then. */
struct failure failure_of(int status, bool timed_out, struct bytes said, struct arena *arena);
/* NVENC says "out of memory" where no session is free, and where the GPU's memory is full. Which of the two it was, by
 * what the driver tells of the card a moment later; other failures, and what it does not tell, stay as they are. pci:
 * the card's address; NULL or "": the only one. */
struct failure failure_limit(
        const struct failure *failure, const struct nvml_cards *cards, const char *pci, struct arena *arena);
/* Did hardware lose a picture that it was to decode? ffmpeg tells of it, goes on, and ends well. Not where ffmpeg itself
 * finds the input damaged: software could not show that either. A driver may stumble over damage all the same. */
bool failure_lost_picture(struct bytes said, struct arena *arena, struct failure *ret);
const char *failure_kind_name(enum failure_kind kind); /* "limit" */
/* "the cause (the text)", or the text alone where the cause is unknown. */
const char *failure_why(const struct failure *failure, struct arena *arena);
