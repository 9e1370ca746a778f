/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Transports as pure functions: a hop wraps an argv, and unwraps what came back.
 * Nothing here runs anything.
 */
#pragma once
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum hop_kind {
	HOP_NONE,
	HOP_SSH,    /* where: user@host, ssh://user@host:port */
	HOP_QM,     /* where: vmid; the QEMU guest agent through `qm guest exec` */
	HOP_PCT,    /* where: ctid; `pct exec` */
	HOP_DOCKER, /* where: docker container name; `docker exec` */
};

struct hop {
	enum hop_kind kind;
	const char *where;
};

enum { HOPS_MAX = 3 };

/* What `qm guest exec --pass-stdin` takes (qemu-server src/PVE/CLI/qm.pm); more is refused there. */
enum { HOP_QM_INPUT_MAX = 1024 * 1024 };

/* Where something is read or run: ssh -> VM 100 -> docker emby. No hops: this machine. */
struct target {
	const char *label; /* "node", "vm/100", "ct/105", "vm/100/docker/emby" */
	struct hop hop[HOPS_MAX];
	unsigned n;
};

struct command {
	const char *const *argv; /* NULL at the end; argv[0] is looked up in a fixed, safe PATH */
	struct bytes input;      /* to its standard input */
	unsigned deadline_ms;    /* 0: 10 seconds */
	bool ends_with_us;       /* killed when this program is gone: what nobody else needs, and changes nothing */
	size_t output_max;       /* of each stream in bytes; 0: 4 MiB. What is beyond is dropped and `cut` is set */
};

struct outcome {
	int status;     /* exit code, or 128 + signal */
	bool timed_out; /* the deadline passed: the whole process group was ended */
	bool cut;       /* a stream was longer than output_max, or the transport dropped some of it */
	struct bytes out, err;
};

/* A command to be run beside others, and how it ended. */
struct run_job {
	struct command command;
	void (*watch)(void *data, int64_t pid); /* about every 10 ms while it runs here; NULL: nobody looks */
	void *data;
	int error; /* as of spawn_run; outcome is filled where it is 0 */
	int64_t ms; /* from its begin to its end; 0 where it did not run here */
	struct outcome outcome;
};

/* The command as it must be run one hop nearer to us. Applied from the last hop to the first. The deadline grows by
 * what the transport itself may take. */
struct command hop_wrap(const struct hop *hop, const struct command *command, struct arena *arena);

/* What the inner command really answered. `qm guest exec` wraps it in JSON and its own return code says nothing;
 * ssh's 255 and a transport's own failure are errors, not answers: err says what an admin can do (hint). A program
 * that the target lacks is an answer: status 127, as a shell has it. */
bool hop_unwrap(
        const struct hop *hop, const struct outcome *outer, struct arena *arena, struct err *err, struct outcome *ret);

/* "ssh://root@pve:2222" or "root@pve"; refuses what ssh would take for an option, blanks and control characters. */
bool hop_parse_ssh(const char *text, struct arena *arena, struct err *err, struct hop *ret);
