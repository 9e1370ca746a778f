/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The doors of the machine that behaves: what a world answers, and the way into its commands.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rehearse/model.h"
#include "sys/wants.h"

static struct rehearse *rehearse_of(struct world *world)
{
	return world->state;
}

/* ---- reading ---- */

/* Files that the kernel writes when they are read. */
static bool computed(struct rehearse *rehearse, const char *path, struct arena *arena, struct bytes *ret)
{
	if (strcmp(path, "/proc/uptime") != 0)
		return false;
	long long up = (long long)(rehearse->clock - rehearse->booted);
	const char *text = arena_printf(arena, "%lld.00 %lld.00\n", up, up * 8);
	*ret = (struct bytes){ text, strlen(text) };
	return true;
}

static int look(struct rehearse *rehearse, const char *path, bool last, struct model_inode **ret)
{
	return model_dead(rehearse) ? EIO : model_look(rehearse, path, last, ret);
}

static int node_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	struct rehearse *rehearse = rehearse_of(world);
	struct model_inode *inode;
	int error = look(rehearse, path, true, &inode);
	if (error)
		return error;
	if (inode->stat.type == NODE_DIR)
		return EISDIR;
	if (inode->error || !inode->has_data)
		return inode->error                                                        ? inode->error
		       : inode->stat.type == NODE_FILE || inode->stat.type == NODE_UNKNOWN ? ENODATA
		                                                                           : EINVAL;
	if (computed(rehearse, path, arena, ret))
		return 0;
	if (inode->data.size > max)
		return EFBIG;
	*ret = inode->data;
	return 0;
}

static int node_list(struct world *world, const char *path, struct arena *arena, struct words *ret)
{
	struct rehearse *rehearse = rehearse_of(world);
	struct model_inode *inode;
	int error = look(rehearse, path, true, &inode);
	if (error)
		return error;
	if (inode->stat.type != NODE_DIR)
		return inode->stat.type == NODE_UNKNOWN ? inode->error ? inode->error : ENODATA : ENOTDIR;
	if (!inode->listed)
		return inode->error ? inode->error : ENODATA;
	struct words names = { 0 };
	for (size_t i = 0; i < inode->names.n; i++)
		if (inode->names.name[i].inode)
			*arena_push(arena, names.word, names.n) = inode->names.name[i].name;
	*ret = names;
	return 0;
}

static int node_link(struct world *world, const char *path, struct arena *arena, const char **ret)
{
	struct model_inode *inode;
	(void)arena;
	if (model_dead(rehearse_of(world)))
		return EIO;
	int error = model_look(rehearse_of(world), path, false, &inode);
	if (error)
		return error;
	if (inode->stat.type != NODE_LINK || !inode->link)
		return inode->stat.type != NODE_UNKNOWN ? EINVAL : inode->error ? inode->error : ENODATA;
	*ret = inode->link;
	return 0;
}

static int node_stat(struct world *world, const char *path, struct world_stat *ret)
{
	struct model_inode *inode;
	if (model_dead(rehearse_of(world)))
		return EIO;
	int error = model_look(rehearse_of(world), path, true, &inode);
	if (error)
		return error;
	if (inode->error && inode->stat.type == NODE_UNKNOWN)
		return inode->error;
	*ret = inode->stat;
	return 0;
}

static int node_probe_open(struct world *world, const char *path)
{
	struct model_inode *inode;
	if (model_dead(rehearse_of(world)))
		return EIO;
	int error = model_look(rehearse_of(world), path, true, &inode);
	if (error)
		return error;
	if (inode->open_error >= 0)
		return inode->open_error;
	return inode->stat.type == NODE_FILE || inode->stat.type == NODE_DIR ? EINVAL : ENODATA;
}

static struct world *node_inside(struct world *world, const struct target *target, struct arena *arena, struct err *err)
{
	struct rehearse *rehearse = rehearse_of(world);
	if (model_dead(rehearse)) {
		err_errno(err, EIO, "%s", target->label);
		return NULL;
	}
	return tape_world(rehearse->tape, target->label, arena, err);
}

static int64_t node_now(struct world *world)
{
	return rehearse_of(world)->clock;
}

/* The one who used it is gone: its locks with it. */
static void node_close(struct world *world)
{
	rehearse_of(world)->locks.n = 0;
}

/* ---- changes ---- */

static int node_put(struct world *world, const char *path, struct bytes content, const struct world_owner *owner)
{
	return model_put(rehearse_of(world), path, content, owner);
}

static int node_append(struct world *world, const char *path, struct bytes content)
{
	return model_append(rehearse_of(world), path, content);
}

static int node_sync(struct world *world, const char *path)
{
	return model_sync(rehearse_of(world), path);
}

/* The model's disk has no journal of its own. */
static int node_settle(struct world *world, const char *path)
{
	(void)world, (void)path;
	return 0;
}

static int node_rename(struct world *world, const char *from, const char *to)
{
	return model_rename(rehearse_of(world), from, to);
}

static int node_remove(struct world *world, const char *path)
{
	return model_remove(rehearse_of(world), path);
}

static int node_mkdir(struct world *world, const char *path, unsigned mode)
{
	return model_mkdir(rehearse_of(world), path, mode);
}

static int node_symlink(struct world *world, const char *target, const char *path)
{
	return model_symlink(rehearse_of(world), target, path);
}

static int node_attribute(struct world *world, const char *path, const char *value, unsigned deadline_ms)
{
	(void)deadline_ms;
	return model_attribute(rehearse_of(world), path, value);
}

static int node_lock(struct world *world, const char *path)
{
	struct rehearse *rehearse = rehearse_of(world);
	struct model_inode *inode;
	if (model_dead(rehearse))
		return EIO;
	for (size_t i = 0; i < rehearse->locks.n; i++)
		if (strcmp(rehearse->locks.word[i], path) == 0)
			return 0; /* it is this world that holds it; another's is a fault */
	int error = model_effect(rehearse, "lock %s", path);
	if (error)
		return error;
	if (model_look(rehearse, path, true, &inode) != 0) {
		const char *above = arena_strndup(rehearse->arena, path, (size_t)(strrchr(path, '/') - path));
		struct model_inode *folder = *above ? model_find(rehearse, above) : rehearse->root;
		if (!folder || folder->stat.type != NODE_DIR)
			return ENOENT;
		model_set(rehearse, path, NODE_FILE, 0600, (struct bytes){ "", 0 });
	}
	*arena_push(rehearse->arena, rehearse->locks.word, rehearse->locks.n) = arena_strdup(rehearse->arena, path);
	return 0;
}

const struct world_changes model_changes = {
	.put = node_put,
	.append = node_append,
	.sync = node_sync,
	.settle = node_settle,
	.rename = node_rename,
	.remove = node_remove,
	.mkdir = node_mkdir,
	.symlink = node_symlink,
	.attribute = node_attribute,
	.lock = node_lock,
};

/* ---- commands ---- */

void model_out(struct model_call *call, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	call->out = MODEL_PRINT(call->rehearse, "%s%s", call->out, arena_vprintf(call->rehearse->arena, format, args));
	va_end(args);
}

void model_err(struct model_call *call, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	call->err = MODEL_PRINT(call->rehearse, "%s%s", call->err, arena_vprintf(call->rehearse->arena, format, args));
	va_end(args);
}

bool model_failed(struct model_call *call, int error, const char *what)
{
	if (error == EIO && model_dead(call->rehearse))
		call->error = EIO;
	else if (error == ETIMEDOUT)
		call->error = ETIMEDOUT;
	else if (error)
		model_err(call, "%s: %s\n", what, strerror(error));
	return error != 0;
}

static const char *plain_line(struct rehearse *rehearse, const char *const *argv)
{
	size_t room = 1;
	for (size_t i = 0; argv[i]; i++)
		room += strlen(argv[i]) + 1;
	char *line = arena_alloc(rehearse->arena, room), *out = line;
	for (size_t i = 0; argv[i]; i++)
		out = stpcpy(stpcpy(out, i ? " " : ""), argv[i]);
	return line;
}

/* A row for both words goes before one for the first alone. */
static model_command_fn *find_command(const struct model_command *table, const struct model_call *call)
{
	model_command_fn *found = NULL;
	assert(call->argv[0]);
	for (; table->name; table++) {
		size_t size = strlen(call->argv[0]);
		if (strcmp(table->name, call->argv[0]) == 0)
			found = found ? found : table->run;
		else if (call->n > 1 && strncmp(table->name, call->argv[0], size) == 0 && table->name[size] == ' ' &&
		         strcmp(table->name + size + 1, call->argv[1]) == 0)
			return table->run;
	}
	return found;
}

static enum rehearse_fault command_fault(struct rehearse *rehearse, const char *line)
{
	for (size_t i = 0; i < rehearse->n_faults; i++) {
		struct model_fault *fault = &rehearse->faults[i];
		bool ours = fault->fault == FAULT_COMMAND || fault->fault == FAULT_HANG;
		if (ours && model_comes(fault, line))
			return fault->fault;
	}
	return FAULT_NONE;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* Status, MODEL_AS_RECORDED if nobody here knows it. */
static int run_known(struct model_call *call, const struct command *command)
{
	struct rehearse *rehearse = call->rehearse;
	assert(call->argv[0]);
	for (size_t i = 0; i < rehearse->n_programs; i++)
		if (strcmp(rehearse->programs[i].name, call->argv[0]) == 0)
			return rehearse->programs[i].run(rehearse->programs[i].data, &rehearse->world, command);
	model_command_fn *run = find_command(model_node_commands, call);
	run = run ? run : find_command(model_pve_commands, call);
	return run ? run(call) : MODEL_AS_RECORDED;
}

static int run_recorded(struct rehearse *rehearse, const struct command *command, const char *line, struct arena *arena,
        struct outcome *ret)
{
	int error = rehearse->replay->ops->run(rehearse->replay, command, arena, ret);
	/* what a reader asks and nobody asked then is unknown; what is typed and nobody knows is not there */
	if (error != ENODATA || wants_cover_command(wants_node, command->argv))
		return error;
	const char *text = arena_printf(arena, "sh: 1: %s: not found\n", base_name(command->argv[0]));
	*ret = (struct outcome){ .status = 127, .out = { "", 0 }, .err = { text, strlen(text) } };
	(void)line;
	return 0;
}

int model_run(struct rehearse *rehearse, const struct command *command, struct arena *arena, struct outcome *ret)
{
	if (model_dead(rehearse))
		return EIO;
	const char *line = plain_line(rehearse, command->argv), **argv = NULL;
	size_t n = 0;
	for (size_t i = 0; command->argv[i]; i++)
		*arena_push(rehearse->arena, argv, n) = i ? command->argv[i] : base_name(command->argv[i]);
	*arena_push(rehearse->arena, argv, n) = NULL;
	struct model_call call = {
		.rehearse = rehearse,
		.argv = argv,
		.n = n - 1,
		.input = command->input,
		.line = line,
		.out = "",
		.err = "",
	};
	model_meanwhile(rehearse, line);
	enum rehearse_fault fault = command_fault(rehearse, line);
	int status = fault == FAULT_COMMAND ? 255 : fault == FAULT_HANG ? 137 : run_known(&call, command);
	/* the power may go while it runs; a reboot that it asked for lets it end */
	if (call.error == EIO || rehearse->power == POWER_CUT)
		return EIO;
	if (status == MODEL_AS_RECORDED && !call.error)
		return run_recorded(rehearse, command, line, arena, ret);
	*ret = (struct outcome){
		.status = call.error == ETIMEDOUT ? 137 : status,
		.timed_out = fault == FAULT_HANG || call.error == ETIMEDOUT,
		.out = { call.out, strlen(call.out) },
		.err = { call.err, strlen(call.err) },
	};
	return 0;
}

int model_call_program(struct rehearse *rehearse, struct model_call *caller, const char *const *argv)
{
	struct command command = { .argv = argv };
	struct outcome outcome = { 0 };
	int error = model_run(rehearse, &command, rehearse->arena, &outcome);
	if (caller && error == EIO)
		caller->error = EIO;
	if (caller && !error && outcome.timed_out)
		caller->error = ETIMEDOUT;
	if (caller && !error) {
		model_out(caller, "%s", outcome.out.data ? outcome.out.data : "");
		model_err(caller, "%s", outcome.err.data ? outcome.err.data : "");
	}
	return error ? 127 : outcome.status;
}

static int node_run(struct world *world, const struct command *command, struct arena *arena, struct outcome *ret)
{
	return model_run(rehearse_of(world), command, arena, ret);
}

const struct world_ops model_ops = {
	.read = node_read,
	.list = node_list,
	.link = node_link,
	.stat = node_stat,
	.probe_open = node_probe_open,
	.run = node_run,
	.inside = node_inside,
	.now = node_now,
	.close = node_close,
};
