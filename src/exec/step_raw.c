/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The raw lxc lines of a CT's configuration, all of them at once: where one stands among the others matters, and what
 * somebody else does to them in between is seen. pct has no option for them, so Proxmox's own Perl modules change the
 * file, as they do for pct (facts/pve.h).
 */
#include <string.h>

#include "exec/command.h"
#include "exec/guest.h"
#include "exec/steps.h"

enum { RAW_MS = 120 * 1000 };

/* Each line "lxc.KEY: VALUE", without control characters. */
static bool are_sound(const char *lines, struct arena *arena)
{
	struct words each = text_split(arena, lines, "\n");
	for (size_t i = 0; i < each.n; i++) {
		if (!text_starts(each.word[i], "lxc.") || !strstr(each.word[i], ": "))
			return false;
		for (const char *at = each.word[i]; *at; at++)
			if ((unsigned char)*at < ' ' || *at == 0x7f)
				return false;
	}
	return true;
}

static bool guest_of(struct step_run *run, struct arena *arena, struct step_guest *ret)
{
	if (!exec_guest(run, arena, ret))
		return false;
	return ret->kind == GUEST_CT || err_set(run->err, ERR_INPUT, "%s has no raw lxc lines", run->step->on);
}

static bool raw_state(struct step_run *run, struct arena *arena, const char **ret)
{
	struct step_guest guest;
	if (!guest_of(run, arena, &guest))
		return false;
	*ret = guest.there ? pve_raw_lines(&guest.parsed, arena) : NONE;
	return true;
}

const char *const *exec_raw_argv(const struct step *step, const char *digest, const char *lines, struct arena *arena)
{
	const char *slash = strchr(step->on, '/'), **argv = NULL;
	const char *const begin[] = { "perl", "-e", pve_raw_program, slash ? slash + 1 : "", digest };
	struct words each = text_split(arena, lines, "\n");
	size_t n = 0;
	for (size_t i = 0; i < sizeof begin / sizeof *begin; i++)
		*arena_push(arena, argv, n) = begin[i];
	for (size_t i = 0; i < each.n; i++)
		*arena_push(arena, argv, n) = each.word[i];
	*arena_push(arena, argv, n) = NULL;
	return argv;
}

static bool raw_to(struct step_run *run, const char *lines)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct step_guest guest;
	const char *digest;
	if (!are_sound(lines, &scratch))
		return err_set(run->err, ERR_INPUT, "these are no raw lines of a CT: %s", text_shown(&scratch, lines));
	if (!guest_of(run, &scratch, &guest))
		return false;
	if (!guest.there)
		return err_set(run->err, ERR_SYSTEM, "there is no %s", guest.file);
	return strcmp(pve_raw_lines(&guest.parsed, &scratch), lines) == 0 ||
	       (exec_guest_digest(run, guest.file, &scratch, &digest) &&
	               exec_program(run, "PVE::LXC::Config", exec_raw_argv(run->step, digest, lines, &scratch), RAW_MS));
}

static bool raw_apply(struct step_run *run)
{
	return raw_to(run, run->step->to);
}

static bool raw_undo(struct step_run *run, const char *old, const char *blob)
{
	(void)blob;
	return raw_to(run, old);
}

const struct step_ops step_raw = {
	.kind = "raw", .atomic = true, .state = raw_state, .apply = raw_apply, .undo = raw_undo
};
