/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Runs a job to its end, whatever happens to the hardware on the way. What is there at any moment is an output that can
 * be used (HLS) or none at all (a file, until it is whole).
 */
#pragma once
#include "media/job.h"

struct transcode_attempt {
	const struct job_engine *engine;
	unsigned first, segments; /* the number of its first segment, and how many it completed */
	int64_t frames, ms;       /* that it told of, and how long it ran */
	bool failed;
	bool lost;              /* a picture that it was to decode */
	bool early;             /* it ended before the input does, and well: its fault, or the film is cut */
	struct failure failure; /* why; only where it failed */
	int64_t silent_ms; /* from its last sign to the first frame after it; UNKNOWN_NUMBER: none came, or an earlier one's silence went on */
};

enum transcode_end {
	TRANSCODE_WHOLE,
	TRANSCODE_SHORT,   /* all that could be decoded, and less than the input claims to have */
	TRANSCODE_STOPPED, /* a signal came */
};

enum { TRANSCODE_ATTEMPTS = 3 };

struct transcode_result {
	enum transcode_end end;
	struct transcode_attempt attempt[TRANSCODE_ATTEMPTS];
	unsigned n_attempts, segments;
	int64_t video_us, ms; /* how much video there is, and how long it took */
	int64_t first_ms;     /* until the first segment could be had; UNKNOWN_NUMBER: there is none */
	bool output;          /* there is one */
};

enum transcode_what { TRANSCODE_BEGINS, TRANSCODE_PROGRESS, TRANSCODE_FALLS_BACK, TRANSCODE_JOINS };

struct transcode_event {
	enum transcode_what what;
	const struct transcode_attempt *attempt; /* that runs, or that failed */
	const struct job_engine *next;           /* goes on for it; only where it falls back */
	int64_t at_us, of_us;                    /* of the video; of_us UNKNOWN_NUMBER */
	int64_t speed, left_s; /* thousandths of the time it plays; seconds that it will still take; UNKNOWN_NUMBER */
};

struct transcode_options {
	struct job_tools tools;
	struct spawned **loaded; /* ffmpeg, loaded ahead (sys/spawn.h), which the first video program may take; NULL */
	/* The one that begins, and who may go on, at most TRANSCODE_ATTEMPTS and NULL: where a picture was lost, the next that
	 * does not decode; else software. */
	const struct job_engine *const *engines;
	const char *work;                           /* a folder for what is in the making; NULL: beside the output */
	bool replace;                               /* an output that is there already */
	const char *nvml;            /* NVIDIA's library that tells of sessions and memory; NULL: it is not asked */
	unsigned start_ms, stall_ms; /* how long hardware may give no frame, first and later; 0: 15000, 2000 */
	void (*tell)(void *data, const struct transcode_event *event);
	void *data;
};

/* False with err: it failed, and the hint says what may help; result is filled all the same, and what HLS already had
 * is closed and can be played. Signals: see sys/stop.h. */
bool transcode_run(struct world *world, const struct job *job, const struct transcode_options *options,
        struct arena *arena, struct err *err, struct transcode_result *ret);
/* May it be written there? The same refusals as at the start of a run. */
bool transcode_may(const struct job *job, bool replace, struct arena *arena, struct err *err);
