/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Files, links and directories of the node. Each changes in one effect (a rename), so what is neither the old nor the
 * wished state is someone else's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "exec/steps.h"

static const struct world_owner only_root = { 0600, 0, 0 };

/* States that no plan wishes or expects. */
static const char *const other = "(something else)";

static bool said(struct step_run *run, int error, const char *doing)
{
	return !error || err_errno(run->err, error, "%s %s", doing, run->step->key);
}

static bool is_path(struct step_run *run)
{
	const char *path = run->step->key;
	if (path[0] == '/' && path[1] && !strstr(path, "/../") && !text_ends(path, "/..") && !text_ends(path, "/") &&
	        !strchr(path, '\n'))
		return true;
	return err_set(run->err, ERR_INPUT, "%s is no path that may be changed", path);
}

/* ---- a file ---------------------------------------------------------------------------------- */

static const char *sum(struct bytes content, struct arena *arena)
{
	return arena_printf(arena, "sha256:%s", digest_sha256(content, arena));
}

static const char *wished_sum(const struct step *step, struct arena *arena)
{
	const char *to = step->to ? step->to : NONE;
	return *to ? sum((struct bytes){ to, strlen(to) }, arena) : NONE;
}

static bool file_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct world *node = run->exec->node;
	struct bytes content = { 0 };
	const char *target;
	if (!is_path(run))
		return false;
	int error = world_link(node, run->step->key, arena, &target);
	bool is_link = !error;
	if (error == EINVAL)
		error = world_read(node, run->step->key, 0, arena, &content);
	if (error == ENOENT)
		*ret = NONE;
	else if (is_link || error == EISDIR)
		*ret = other;
	else if (!error)
		*ret = sum(content, arena);
	return error == ENOENT || error == EISDIR || said(run, error, "reading");
}

static bool file_holds(const struct step *step, const char *state)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	return strcmp(wished_sum(step, &scratch), state) == 0;
}

static bool keep(struct step_run *run, const char *path, struct bytes content)
{
	int error = world_write(run->exec->node, path, content, &only_root);
	return !error || err_errno(run->err, error, "writing %s", path);
}

static const char *owner_of(const char *blob, struct arena *arena)
{
	return arena_printf(arena, "%s.owner", blob);
}

static bool file_save(struct step_run *run, const char *blob)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct world *node = run->exec->node;
	struct world_stat stat;
	struct bytes content;
	int error = world_stat(node, run->step->key, &stat);
	if (!error)
		error = world_read(node, run->step->key, 0, &scratch, &content);
	if (error)
		return error == ENOENT || said(run, error, "saving");
	const char *owner = arena_printf(&scratch, "%o %u %u\n", stat.mode & 07777, stat.uid, stat.gid);
	return keep(run, blob, content) && keep(run, owner_of(blob, &scratch), (struct bytes){ owner, strlen(owner) });
}

/* Bytes are proved by the state that is read again; the rest here. */
static bool owner_holds(struct step_run *run, const struct world_owner *owner)
{
	struct world_stat stat;
	int error = world_stat(run->exec->node, run->step->key, &stat);
	if (error)
		return said(run, error, "reading");
	if ((stat.mode & 07777) == owner->mode && stat.uid == owner->uid && stat.gid == owner->gid)
		return true;
	return err_set(run->err, ERR_SYSTEM, "%s was written for %u:%u with mode %o, but reads back as %u:%u, %o",
	        run->step->key, owner->uid, owner->gid, owner->mode, stat.uid, stat.gid, stat.mode & 07777);
}

static bool file_put(struct step_run *run, struct bytes content, const struct world_owner *owner)
{
	int error = world_write(run->exec->node, run->step->key, content, owner);
	return said(run, error, "writing") && owner_holds(run, owner);
}

/* With what a write that was cut has left beside it. */
static bool path_remove(struct step_run *run)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct world *node = run->exec->node;
	const char *beside = arena_printf(&scratch, "%s" WORLD_BESIDE, run->step->key), *target;
	int error = world_link(node, beside, &scratch, &target);
	if (error != ENOENT)
		error = world_remove(node, beside);
	return (error == ENOENT || said(run, error, "tidying up beside")) &&
	       said(run, world_remove(node, run->step->key), "removing");
}

static bool file_apply(struct step_run *run)
{
	const char *to = run->step->to ? run->step->to : NONE;
	const struct world_owner owner = { run->step->mode ? run->step->mode & 07777 : 0644, 0, 0 };
	if (!is_path(run))
		return false;
	return *to ? file_put(run, (struct bytes){ to, strlen(to) }, &owner) : path_remove(run);
}

static bool read_owner(struct step_run *run, const char *blob, struct world_owner *ret)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	const char *path = owner_of(blob, &scratch), *text;
	int error = world_attribute(run->exec->node, &scratch, &text, "%s", path);
	if (error)
		return err_errno(run->err, error, "reading %s", path);
	struct words words = text_split(&scratch, text, " ");
	uint64_t mode, uid, gid;
	if (words.n != 3 || !text_number(words.word[0], 8, 07777, &mode) ||
	        !text_number(words.word[1], 10, UINT32_MAX, &uid) || !text_number(words.word[2], 10, UINT32_MAX, &gid))
		return err_set(run->err, ERR_INPUT, "%s is damaged", path);
	*ret = (struct world_owner){ (unsigned)mode, (unsigned)uid, (unsigned)gid };
	return true;
}

static bool file_undo(struct step_run *run, const char *old, const char *blob)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct world_owner owner;
	struct bytes content;
	if (!*old)
		return path_remove(run);
	int error = world_read(run->exec->node, blob, 0, &scratch, &content);
	if (error)
		return err_errno(run->err, error, "reading %s", blob);
	if (strcmp(sum(content, &scratch), old) != 0)
		return err_set(run->err, ERR_INPUT, "%s is not what %s was", blob, run->step->key);
	return read_owner(run, blob, &owner) && file_put(run, content, &owner);
}

/* As steps.h has them: none, or without "sha256:". */
static const char *bare(const char *state)
{
	return !*state ? "none" : text_starts(state, "sha256:") ? state + strlen("sha256:") : state;
}

static void add_line(struct words *lines, struct arena *arena, const char *line)
{
	*arena_push(arena, lines->word, lines->n) = line;
}

static void file_script(struct step_run *run, const char *old, const char *blob, struct arena *arena, struct words *ret)
{
	const char *number = strrchr(blob, '/');
	const char *const words[] = { "back_file", run->step->key, bare(old), bare(wished_sum(run->step, arena)),
		number ? number + 1 : blob, NULL };
	add_line(ret, arena, text_sh_line(arena, words));
}

const struct step_ops step_file = { .kind = "file",
	.atomic = true,
	.state = file_state,
	.save = file_save,
	.apply = file_apply,
	.holds = file_holds,
	.undo = file_undo,
	.script = file_script };

/* ---- a link ---------------------------------------------------------------------------------- */

static bool link_state(struct step_run *run, struct arena *arena, const char **ret)
{
	if (!is_path(run))
		return false;
	int error = world_link(run->exec->node, run->step->key, arena, ret);
	if (error == ENOENT)
		*ret = NONE;
	else if (error == EINVAL)
		*ret = other;
	return error == ENOENT || error == EINVAL || said(run, error, "reading");
}

static bool link_put(struct step_run *run, const char *target)
{
	if (!is_path(run))
		return false;
	if (!*target)
		return path_remove(run);
	return said(run, world_symlink(run->exec->node, target, run->step->key), "linking");
}

static bool link_apply(struct step_run *run)
{
	return link_put(run, run->step->to ? run->step->to : NONE);
}

static bool link_undo(struct step_run *run, const char *old, const char *blob)
{
	(void)blob;
	return link_put(run, old);
}

static void link_script(struct step_run *run, const char *old, const char *blob, struct arena *arena, struct words *ret)
{
	(void)blob;
	const char *const words[] = { "back_link", run->step->key, bare(old),
		bare(run->step->to ? run->step->to : NONE), NULL };
	add_line(ret, arena, text_sh_line(arena, words));
}

const struct step_ops step_link = { .kind = "link",
	.atomic = true,
	.state = link_state,
	.apply = link_apply,
	.undo = link_undo,
	.script = link_script };

/* ---- a directory ----------------------------------------------------------------------------- */

static bool directory_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct world_stat stat;
	(void)arena;
	if (!is_path(run))
		return false;
	int error = world_stat(run->exec->node, run->step->key, &stat);
	if (error == ENOENT)
		*ret = NONE;
	else if (!error)
		*ret = stat.type == NODE_DIR ? "there" : other;
	return error == ENOENT || said(run, error, "reading");
}

/* One at a time: what is made above it by the way nobody would take back. */
static bool directory_apply(struct step_run *run)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct world *node = run->exec->node;
	const char *path = run->step->key;
	if (!is_path(run))
		return false;
	if (!run->step->to || strcmp(run->step->to, "there") != 0)
		return err_set(run->err, ERR_INPUT, "%s: a directory is made, not removed", path);
	size_t size = (size_t)(strrchr(path, '/') - path);
	const char *above = size ? arena_strndup(&scratch, path, size) : "/";
	if (world_exists(node, above) != YES)
		return err_set(run->err, ERR_INPUT, "making %s: %s is not there", path, above);
	return said(run, world_mkdir(node, path, run->step->mode ? run->step->mode : 0755), "making");
}

/* What others put into it stays, and so does it. */
static bool directory_undo(struct step_run *run, const char *old, const char *blob)
{
	(void)blob;
	if (*old)
		return true;
	int error = world_remove(run->exec->node, run->step->key);
	return error == ENOTEMPTY || said(run, error, "removing");
}

static void directory_script(
        struct step_run *run, const char *old, const char *blob, struct arena *arena, struct words *ret)
{
	(void)blob;
	const char *const words[] = { "back_folder", run->step->key, NULL };
	if (!*old)
		add_line(ret, arena, text_sh_line(arena, words));
}

const struct step_ops step_directory = { .kind = "directory",
	.atomic = true,
	.state = directory_state,
	.apply = directory_apply,
	.undo = directory_undo,
	.script = directory_script };
