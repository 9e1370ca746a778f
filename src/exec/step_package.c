/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Debian packages of the node, and holds on them. What is installed is read from dpkg's own list. Taken back is what
 * came with the step, dependencies included, and nothing else: dpkg --purge refuses where another package needs one,
 * where apt would remove that one too.
 */
#include <errno.h>
#include <string.h>

#include "exec/command.h"
#include "exec/steps.h"
#include "facts/package.h"

#define STATUS "/var/lib/dpkg/status"

enum { APT_MS = 30 * 60 * 1000, MARK_MS = 60 * 1000, STATUS_MAX = 64 * 1024 * 1024 };

static bool read_status(struct step_run *run, struct arena *arena, struct bytes *ret)
{
	int error = world_read(run->exec->node, STATUS, STATUS_MAX, arena, ret);
	return !error || err_set(run->err, ERR_SYSTEM, "reading %s: %s", STATUS, world_why(error));
}

/* deb-control(5): lower case letters, digits, + - . and begins with a letter or digit. */
static bool name_is_sound(struct step_run *run)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789+-.";
	const char *name = run->step->key;
	if (*name && !strchr("+-.", *name) && name[strspn(name, letters)] == '\0')
		return true;
	return err_set(run->err, ERR_INPUT, "this is no package's name: %s", name);
}

/* "NAME VERSION" of every package of which something is there: also what apt was cut off in. */
static bool present(struct step_run *run, struct arena *arena, struct words *ret)
{
	static const char *const all[] = { "*", NULL };
	struct bytes status;
	if (!read_status(run, arena, &status))
		return false;
	*ret = package_parse_present(status, all, arena);
	return true;
}

/* ---- package: key is its name, to is "installed" or a version ---------------------------------- */

static bool package_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	const char *const only[] = { run->step->key, NULL };
	struct bytes status;
	if (!name_is_sound(run) || !read_status(run, &scratch, &status))
		return false;
	struct words packages = package_parse(status, only, &scratch);
	const char *version = package_version(&packages, run->step->key);
	*ret = version ? arena_strdup(arena, version) : NONE;
	return true;
}

static bool put_names(struct step_run *run, const char *path, const struct words *packages, struct arena *arena)
{
	static const struct world_owner owner = { 0600, 0, 0 };
	size_t size = 0;
	for (size_t i = 0; i < packages->n; i++)
		size += strlen(packages->word[i]) + 1;
	char *text = arena_alloc(arena, size + 1), *out = text;
	for (size_t i = 0; i < packages->n; i++)
		out = stpcpy(stpcpy(out, packages->word[i]), "\n");
	int error = world_write(run->exec->node, path, (struct bytes){ text, size }, &owner);
	return !error || err_errno(run->err, error, "%s", path);
}

static bool package_save(struct step_run *run, const char *blob)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct words packages;
	return present(run, &scratch, &packages) && put_names(run, blob, &packages, &scratch);
}

/* Written when apt is through: what is installed later is not ours. */
static const char *after_path(struct step_run *run, struct arena *arena)
{
	return arena_printf(arena, "%s/old/after-%s", run->folder, run->step->key);
}

static bool package_apply(struct step_run *run)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	bool any = strcmp(run->step->to, "installed") == 0;
	const char *what = any ? run->step->key : arena_printf(&scratch, "%s=%s", run->step->key, run->step->to);
	/* apt removes nothing for it, asks nothing, and leaves changed configuration as it is */
	const char *const argv[] = { "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y",
		"--no-install-recommends", "--no-remove", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", what, NULL };
	struct words packages;
	/* a package may have an initramfs made */
	return name_is_sound(run) && exec_settle(run, "/boot") && exec_command(run, argv, APT_MS) && exec_settle(run, "/boot") && present(run, &scratch, &packages) &&
	       put_names(run, after_path(run, &scratch), &packages, &scratch);
}

static bool package_holds(const struct step *step, const char *state)
{
	return *state && (strcmp(step->to, "installed") == 0 || strcmp(step->to, state) == 0);
}

static bool load_names(struct step_run *run, const char *path, struct arena *arena, struct words *ret)
{
	struct bytes text;
	int error = world_read(run->exec->node, path, 0, arena, &text);
	if (error)
		return err_errno(run->err, error, "%s", path);
	*ret = text_split(arena, text.data, "\n");
	return true;
}

static const char *name_of(const char *line, struct arena *arena)
{
	return arena_strndup(arena, line, strcspn(line, " "));
}

/* Those that came with the step and are there still. A run that was cut in apt knows no list behind it: then all that
 * is new since counts. */
static bool came_with_it(struct step_run *run, const char *blob, struct arena *arena, struct words *ret)
{
	struct words before, now, after = { 0 };
	const char *path = after_path(run, arena);
	if (!load_names(run, blob, arena, &before) || !present(run, arena, &now))
		return false;
	enum tri listed = world_exists(run->exec->node, path);
	if (listed == UNKNOWN)
		return err_set(run->err, ERR_UNKNOWN, "whether there is %s cannot be told", path);
	if (listed == YES && !load_names(run, path, arena, &after))
		return false;
	for (size_t i = 0; i < now.n; i++) {
		const char *name = name_of(now.word[i], arena);
		if (!package_version(&before, name) && (listed == NO || package_version(&after, name)))
			*arena_push(arena, ret->word, ret->n) = name;
	}
	return true;
}

/* What apt was cut off in, dpkg takes for broken (reinstreq), and removes only when told so. */
static bool purge(struct step_run *run, const struct words *names, bool simulate)
{
	static const char *const begin[] = { "env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--purge",
		"--force-remove-reinstreq", "--simulate" };
	struct arena scratch ARENA_SCOPED = { 0 };
	size_t n = sizeof begin / sizeof *begin - !simulate;
	const char **argv = arena_alloc(&scratch, (n + names->n + 1) * sizeof *argv);
	memcpy(argv, begin, n * sizeof *argv);
	memcpy(argv + n, names->word, names->n * sizeof *argv);
	return exec_command(run, argv, APT_MS);
}

/* What another package has come to need stays: dpkg would refuse. A version that was there before is not brought back:
 * apt may no longer have it, and plan_kinds says "equivalent". */
static bool package_undo(struct step_run *run, const char *old, const char *blob)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct words names = { 0 };
	struct err ignored = { 0 };
	struct step_run quiet = { run->exec, run->step, run->folder, &ignored };
	(void)old;
	if (!name_is_sound(run) || !came_with_it(run, blob, &scratch, &names))
		return false;
	if (!names.n)
		return true;
	return !purge(&quiet, &names, true) || purge(run, &names, false);
}

static void package_script(
        struct step_run *run, const char *old, const char *blob, struct arena *arena, struct words *ret)
{
	const char *name = strrchr(blob, '/');
	(void)old;
	*arena_push(arena, ret->word, ret->n) = arena_printf(arena, "back_package %s %s",
	        text_sh_quoted(arena, run->step->key), text_sh_quoted(arena, name ? name + 1 : blob));
}

const struct step_ops step_package = { .kind = "package",
	.state = package_state,
	.save = package_save,
	.apply = package_apply,
	.holds = package_holds,
	.undo = package_undo,
	.script = package_script };

/* ---- hold: key is the package ---------------------------------------------------------------------- */

/* "Status: hold ok installed": the first word is what dpkg is asked to do with it. */
static bool hold_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct bytes status, line;
	bool here = false, held = false;
	(void)arena;
	if (!name_is_sound(run) || !read_status(run, &scratch, &status))
		return false;
	for (size_t cursor = 0; text_line(status, &cursor, &line);) {
		if (line.size > 512)
			continue;
		const char *plain = text_trimmed(&scratch, line);
		if (text_starts(plain, "Package:"))
			here = strcmp(plain + 8 + strspn(plain + 8, " \t"), run->step->key) == 0;
		else if (here && text_starts(plain, "Status:"))
			held = held || text_starts(plain + 7 + strspn(plain + 7, " \t"), "hold ");
	}
	*ret = held ? "held" : NONE;
	return true;
}

static bool hold_to(struct step_run *run, const char *wished)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	const char *const argv[] = { "apt-mark", *wished ? "hold" : "unhold", run->step->key, NULL }, *now = NULL;
	if (!hold_state(run, &scratch, &now))
		return false;
	return strcmp(now, wished) == 0 || exec_command(run, argv, MARK_MS);
}

static bool hold_apply(struct step_run *run)
{
	return hold_to(run, run->step->to ? run->step->to : NONE);
}

static bool hold_undo(struct step_run *run, const char *old, const char *blob)
{
	(void)blob;
	return hold_to(run, old);
}

static void hold_script(struct step_run *run, const char *old, const char *blob, struct arena *arena, struct words *ret)
{
	(void)blob;
	*arena_push(arena, ret->word, ret->n) =
	        arena_printf(arena, "back_hold %s %s", text_sh_quoted(arena, run->step->key), *old ? "held" : "none");
}

const struct step_ops step_hold = { .kind = "hold",
	.atomic = true,
	.state = hold_state,
	.apply = hold_apply,
	.undo = hold_undo,
	.script = hold_script };
