/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sys/remote.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "sys/clock.h"
#include "sys/spawn.h"
#include "sys/tape.h"
#include "sys/wants.h"

/* The script takes a second or two; a machine under load, a hanging disk or docker daemon may take each of its own
 * deadlines (10 s). */
enum { SCRIPT_DEADLINE_MS = 90000, FETCH_DEADLINE_MS = 60000, FETCH_SLACK = 65536 };
/* A machine that drips or lies could have each of hundreds of questions run to its deadline: what those after the
 * script may take together, and what asking for a long answer in parts may. */
enum { AFTERWARDS_MS = 180000, PARTS_MS = 180000, PARTS_MAX = 32 };
#define PARTS_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define SCRIPT_OUTPUT_MAX ((size_t)128 * 1024 * 1024)

struct remote {
	struct world *answers; /* the tape of what it said */
	struct target target;  /* all hops from this machine */
	int64_t spent_ms;      /* on questions after the script */
};

/* ---- running through hops ------------------------------------------------ */

/* The names that hops put into an argv: no option, nothing that a shell or a terminal would take apart. */
static bool usable_hop(const struct hop *hop)
{
	static const char signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	if (!hop->where || !*hop->where)
		return false;
	if (hop->kind == HOP_QM || hop->kind == HOP_PCT)
		return hop->where[strspn(hop->where, "0123456789")] == '\0';
	if (hop->kind == HOP_DOCKER)
		return *hop->where != '-' && hop->where[strspn(hop->where, signs)] == '\0';
	struct arena arena ARENA_SCOPED = {0};
	struct hop parsed;
	return hop->kind == HOP_SSH && hop_parse_ssh(hop->where, &arena, NULL, &parsed);
}

static bool usable(const struct target *target, struct arena *arena, struct err *err)
{
	if (!target->n || target->n > HOPS_MAX)
		return err_set(err, ERR_USAGE, "%s: no way leads there", text_shown(arena, target->label));
	for (unsigned i = 0; i < target->n; i++)
		if (!usable_hop(&target->hop[i]))
			return err_set(err, ERR_USAGE, "%s: '%.100s' is no name of a machine, guest or docker container",
				text_shown(arena, target->label),
				text_shown(arena, target->hop[i].where ? target->hop[i].where : ""));
	return true;
}

static bool run_through(const struct target *target, const struct command *command, struct arena *arena, struct err *err,
			struct outcome *ret)
{
	struct command wrapped = *command;
	for (unsigned i = target->n; i-- > 0;)
		wrapped = hop_wrap(&target->hop[i], &wrapped, arena);
	struct outcome outcome = {0};
	int error = spawn_run(&wrapped, arena, &outcome);
	if (error == ENOENT) {
		err_set(err, ERR_SYSTEM, "%s: %s is not installed here", text_shown(arena, target->label), wrapped.argv[0]);
		return err_hint(err, "%s", target->hop[0].kind == HOP_SSH ? "install openssh-client" :
				"guests are read from the Proxmox VE host they run on: run gpuferry there, or use --host");
	}
	if (error)
		return err_errno(err, error, "%s: running %s", text_shown(arena, target->label), wrapped.argv[0]);
	for (unsigned i = 0; i < target->n; i++)
		if (!hop_unwrap(&target->hop[i], &outcome, arena, err, &outcome))
			return err_wrap(err, "%s", text_shown(arena, target->label));
	*ret = outcome;
	return true;
}

/* ---- asking --------------------------------------------------------------- */

struct budget {
	int64_t end_ms;
	unsigned parts;
	size_t bytes;
};

/* Counts an answer; false: no more are asked for. */
static bool affordable(struct budget *budget, size_t size)
{
	budget->parts++;
	budget->bytes += size;
	return budget->parts < PARTS_MAX && budget->bytes < PARTS_BYTES_MAX && clock_ms() < budget->end_ms;
}

/* Asks n wants. An answer that was too long for the way is asked for again in two halves, as long as
 * the budget lasts; then what came of it is taken. */
static bool ask(const struct target *target, const struct want *wants, size_t n, struct budget *budget,
		struct tape_target *answers, struct arena *arena, struct err *err)
{
	static const char *const shell[] = { "sh", "-s", NULL };
	struct want *part = arena_alloc(arena, (n + 1) * sizeof *part); /* zeroed: WANT_END behind it */
	memcpy(part, wants, n * sizeof *part);
	struct command command = { .argv = shell, .input = wants_script(part, arena), .deadline_ms = SCRIPT_DEADLINE_MS,
		.output_max = SCRIPT_OUTPUT_MAX };
	struct outcome outcome = {0};
	if (!run_through(target, &command, arena, err, &outcome))
		return false;
	if (outcome.cut && n > 1 && affordable(budget, outcome.out.size)) {
		bool first = ask(target, wants, n / 2, budget, answers, arena, err);
		return ask(target, wants + n / 2, n - n / 2, budget, answers, arena, first ? NULL : err) || first;
	}
	/* sh itself: 127 is what a transport or a shell says for a program that is not there */
	if (outcome.status == 127 && !outcome.out.size) {
		err_set(err, ERR_SYSTEM, "%s: there is no shell (sh)", text_shown(arena, target->label));
		return err_hint(err, "an image without a shell cannot be looked into; read the guest around it");
	}
	struct err garbled = {0};
	if (wants_parse(outcome.out, NULL, answers, arena, &garbled) || answers->n)
		return true; /* what did not come is unknown to whoever asks for it */
	if (err)
		*err = garbled;
	return err_wrap(err, "%s", text_shown(arena, target->label));
}

/* A question after the script. Whoever let one run to its deadline is not asked again. */
static int run_afterwards(struct remote *remote, struct command command, struct arena *arena, struct outcome *ret)
{
	int64_t begin = clock_ms(), left = AFTERWARDS_MS - remote->spent_ms;
	struct err err = {0};
	if (left <= 0)
		return ETIMEDOUT;
	if (!command.deadline_ms || command.deadline_ms > left)
		command.deadline_ms = left < FETCH_DEADLINE_MS ? (unsigned)left : FETCH_DEADLINE_MS;
	bool good = run_through(&remote->target, &command, arena, &err, ret);
	remote->spent_ms = err.kind == ERR_TIMEOUT ? AFTERWARDS_MS : remote->spent_ms + clock_ms() - begin;
	return good ? 0 : err.kind == ERR_TIMEOUT ? ETIMEDOUT : EIO;
}

/* ---- as a world ------------------------------------------------------------ */

static struct remote *remote_of(struct world *world)
{
	return world->state;
}

/* What cat says of a file that it cannot read; LC_ALL=C there is not ours to set, so other words are EIO. */
static int cat_errno(const struct bytes said)
{
	static const struct { const char *words; int error; } causes[] = {
		{ "No such file", ENOENT }, { "Permission denied", EACCES }, { "Is a directory", EISDIR },
	};
	for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
		if (said.size && memmem(said.data, said.size, causes[i].words, strlen(causes[i].words)))
			return causes[i].error;
	return EIO;
}

/* A file that was not asked with the rest, because it is big and seldom wanted (an initramfs), is fetched now, as it is.
 * Only over ssh alone: the guest agent carries text, and nothing of that size. */
static int fetch(struct remote *remote, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	/* what a login prints comes first; the bytes begin behind the mark */
	static const char mark[] = "gpuferry-bytes:";
	const char *const argv[] = { "sh", "-c", "printf %s \"$1\"; exec cat -- \"$2\"", "sh", mark, path, NULL };
	size_t limit = max ? max : READ_MAX;
	struct command command = { .argv = argv, .deadline_ms = FETCH_DEADLINE_MS, .output_max = limit + FETCH_SLACK };
	struct outcome outcome = {0};
	int error = run_afterwards(remote, command, arena, &outcome);
	if (error)
		return error;
	const char *start = outcome.out.size ? memmem(outcome.out.data, outcome.out.size, mark, strlen(mark)) : NULL;
	if (outcome.status || !start)
		return cat_errno(outcome.err);
	start += strlen(mark);
	size_t size = outcome.out.size - (size_t)(start - outcome.out.data);
	if (outcome.cut || size > limit)
		return EFBIG;
	*ret = (struct bytes){ start, size };
	return 0;
}

static int remote_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	struct remote *remote = remote_of(world);
	int error = world_read(remote->answers, path, max, arena, ret);
	bool ssh_alone = remote->target.n == 1 && remote->target.hop[0].kind == HOP_SSH;
	return error == ENODATA && ssh_alone ? fetch(remote, path, max, arena, ret) : error;
}

static int remote_list(struct world *world, const char *path, struct arena *arena, struct words *ret)
{
	return world_list(remote_of(world)->answers, path, arena, ret);
}

static int remote_link(struct world *world, const char *path, struct arena *arena, const char **ret)
{
	return world_link(remote_of(world)->answers, path, arena, ret);
}

static int remote_stat(struct world *world, const char *path, struct world_stat *ret)
{
	return world_stat(remote_of(world)->answers, path, ret);
}

static int remote_probe_open(struct world *world, const char *path)
{
	return world_probe_open(remote_of(world)->answers, path);
}

/* A command that was not asked with the rest goes there now. */
static int remote_run(struct world *world, const struct command *command, struct arena *arena, struct outcome *ret)
{
	struct remote *remote = remote_of(world);
	int error = world_run(remote->answers, command, arena, ret);
	if (error != ENODATA)
		return error;
	struct outcome outcome = {0};
	error = run_afterwards(remote, *command, arena, &outcome);
	if (error)
		return error;
	/* what a login prints comes with every command, so an empty output proves nothing here */
	if (outcome.status == 127 && outcome.err.size && memmem(outcome.err.data, outcome.err.size, "not found", strlen("not found")))
		return ENOENT;
	*ret = outcome;
	return 0;
}

static struct world *open_target(const struct target *target, const struct want *wants, struct arena *arena, struct err *err);

static struct world *remote_further(struct world *world, const struct target *target, struct arena *arena, struct err *err)
{
	const struct target *from = &remote_of(world)->target;
	/* an ssh address is one as seen from this machine: its key is here, not there */
	if (!target->n || target->hop[0].kind == HOP_SSH)
		return open_target(target, wants_inside, arena, err);
	struct target whole = *from;
	whole.label = target->label;
	if (from->n + target->n > HOPS_MAX) {
		err_set(err, ERR_USAGE, "%s: more than %d steps away", text_shown(arena, target->label), HOPS_MAX);
		return NULL;
	}
	for (unsigned i = 0; i < target->n; i++)
		whole.hop[whole.n++] = target->hop[i];
	return open_target(&whole, wants_inside, arena, err);
}

static int64_t remote_now(struct world *world)
{
	return world_now(remote_of(world)->answers);
}

static void remote_close(struct world *world)
{
	world_close(remote_of(world)->answers);
}

static const struct world_ops remote_ops = {
	.read = remote_read,
	.list = remote_list,
	.link = remote_link,
	.stat = remote_stat,
	.probe_open = remote_probe_open,
	.run = remote_run,
	.inside = remote_further,
	.now = remote_now,
	.close = remote_close,
};

/* The world may outlive whoever named the target. */
static struct target kept_target(const struct target *target, struct arena *arena)
{
	struct target kept = *target;
	kept.label = arena_strdup(arena, target->label);
	for (unsigned i = 0; i < kept.n; i++)
		kept.hop[i].where = arena_strdup(arena, target->hop[i].where);
	return kept;
}

static struct world *open_target(const struct target *target, const struct want *wants, struct arena *arena, struct err *err)
{
	size_t n = 0;
	while (wants[n].kind != WANT_END)
		n++;
	if (!usable(target, arena, err))
		return NULL;
	struct tape *tape = tape_new(arena, (int64_t)time(NULL));
	struct budget budget = { .end_ms = clock_ms() + PARTS_MS };
	if (!ask(target, wants, n, &budget, tape_target(tape, arena, target->label), arena, err))
		return NULL;
	struct remote *remote = arena_new(arena, struct remote);
	*remote = (struct remote){ .target = kept_target(target, arena) };
	remote->answers = tape_world(tape, target->label, arena, err);
	if (!remote->answers)
		return NULL;
	struct world *world = arena_new(arena, struct world);
	*world = (struct world){ .ops = &remote_ops, .label = remote->answers->label, .state = remote, .live = true };
	return world;
}

struct world *remote_inside(const struct target *target, struct arena *arena, struct err *err)
{
	return open_target(target, wants_inside, arena, err);
}

struct world *world_open_ssh(const struct target *target, struct arena *arena, struct err *err)
{
	return open_target(target, wants_node, arena, err);
}

struct world *remote_open(const struct target *target, const struct want *wants, struct arena *arena, struct err *err)
{
	return open_target(target, wants, arena, err);
}
