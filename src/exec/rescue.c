/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rollback.sh: a head with this run's own words, one function for each part of the way back, and the text of
 * src/exec/rollback.sh behind it, which runs them. Foreign words stand in single quotes and nowhere else.
 */
#include "exec/rescue.h"

#include <errno.h>
#include <string.h>

#include "exec/guest.h"
#include "exec/steps.h"

enum part { PART_NODE, PART_DERIVED, PART_TEMPORARY, PART_RESUME, PARTS };

/* Behind the confirmation nothing was done unless it was confirmed; the older kernels are the way back until then. */
static bool behind_confirmation(const struct plan *plan, size_t step)
{
	for (size_t i = 0; i < step; i++)
		if (strcmp(plan->steps[i].kind, "confirm") == 0)
			return true;
	return false;
}

/* The unit that goes on, and what of the plan starts it, stand behind those of the self-revert (src/plan/finish.c). */
static bool is_resume(const struct plan *plan, size_t step)
{
	for (size_t i = 0; i <= step; i++)
		if (strcmp(plan->steps[i].kind, "file") == 0 && text_ends(plan->steps[i].key, "/" PLAN_RESUME ".service"))
			return true;
	return false;
}

static enum part part_of(const struct plan *plan, size_t i)
{
	const struct step *step = &plan->steps[i];
	const struct plan_kind *kind = plan_kind(step->kind);
	if (step->temporary)
		return is_resume(plan, i) ? PART_RESUME : PART_TEMPORARY;
	return kind && kind->derived ? PART_DERIVED : PART_NODE;
}

static const char *old_of(const struct journal *journal, size_t step)
{
	const char *noted = journal->steps ? journal->steps[step].old : NULL, *from = journal->plan.steps[step].from;
	return noted ? noted : from ? from : NONE;
}

static void push(struct arena *arena, struct words *lines, const char *line)
{
	*arena_push(arena, lines->word, lines->n) = line;
}

static void push_step(const struct journal *journal, size_t i, struct arena *arena, struct words *lines)
{
	const struct step *step = &journal->plan.steps[i];
	const struct step_ops *ops = exec_kind(step->kind);
	struct step_run run = { NULL, step, journal->folder, NULL };
	struct words own = { 0 };
	if (!ops || !ops->script)
		return;
	ops->script(&run, old_of(journal, i), journal_blob(journal, i, arena), arena, &own);
	bool late = own.n && behind_confirmation(&journal->plan, i);
	if (late)
		push(arena, lines, "if [ -e \"$RUN/confirmed\" ]; then");
	for (size_t line = 0; line < own.n; line++)
		push(arena, lines, own.word[line]);
	if (late)
		push(arena, lines, "fi");
}

/* Plain kinds in reverse, what is made from files in the plan's order. */
static void push_part(const struct journal *journal, enum part part, struct arena *arena, struct words *lines)
{
	static const char *const names[] = { "node_steps", "derived_steps", "temporary_steps",
		"resume_steps" };
	push(arena, lines, arena_printf(arena, "%s() {", names[part]));
	push(arena, lines, ":");
	for (size_t i = 0; i < journal->plan.n; i++) {
		size_t at = part == PART_DERIVED ? i : journal->plan.n - 1 - i;
		if (part_of(&journal->plan, at) == part)
			push_step(journal, at, arena, lines);
	}
	push(arena, lines, "}");
}

/* ---- guests: commands to run later, by a person, where Proxmox VE runs ------------------------- */

struct guest_line {
	struct arena *arena;
	const struct step *step;
	const char *tool, *id, *old; /* "qm", "100" */
};

static const char *config_line(const struct guest_line *guest)
{
	const char *option = arena_printf(guest->arena, "--%s", guest->step->key);
	const char *const set[] = { guest->tool, "set", guest->id, option, guest->old, NULL };
	const char *const drop[] = { guest->tool, "set", guest->id, "--delete", guest->step->key, NULL };
	return text_sh_line(guest->arena, *guest->old ? set : drop);
}

static const char *raw_line(const struct guest_line *guest)
{
	return arena_printf(guest->arena, "%s   # only if nobody has changed its lxc lines since",
	        text_sh_line(guest->arena, exec_raw_argv(guest->step, "", guest->old, guest->arena)));
}

static const char *power_line(const struct guest_line *guest)
{
	const char *const start[] = { guest->tool, "start", guest->id, NULL };
	const char *const stop[] = { guest->tool, "shutdown", guest->id, NULL };
	return text_sh_line(guest->arena, strcmp(guest->old, "running") == 0 ? start : stop);
}

static const char *mapping_line(const struct guest_line *guest)
{
	const char *path = arena_printf(guest->arena, "/cluster/mapping/pci/%s", guest->step->key);
	const char *const drop[] = { "pvesh", "delete", path, NULL };
	const char *const set[] = { "pvesh", "set", path, "--map", guest->old, NULL };
	return arena_printf(guest->arena, "%s   # only if no other node has an entry in it",
	        text_sh_line(guest->arena, *guest->old ? set : drop));
}

static const char *create_line(const struct guest_line *guest)
{
	return arena_printf(guest->arena, "# %s was made new; it is never removed for you", guest->step->on);
}

static const char *snapshot_line(const struct guest_line *guest)
{
	const char *const argv[] = { guest->tool, "delsnapshot", guest->id, guest->step->key, NULL };
	return *guest->old ? NULL : text_sh_line(guest->arena, argv);
}

static const struct {
	const char *kind;
	const char *(*line)(const struct guest_line *);
} guest_lines[] = {
	{ "config", config_line },
	{ "raw", raw_line },
	{ "power", power_line },
	{ "mapping", mapping_line },
	{ "create", create_line },
	{ "snapshot", snapshot_line },
};

static struct guest_line guest_of(const struct step *step, const char *old, struct arena *arena)
{
	const char *slash = step->on ? strchr(step->on, '/') : NULL;
	return (struct guest_line){ arena, step, step->on && text_starts(step->on, "ct/") ? "pct" : "qm",
		slash ? slash + 1 : "", old };
}

static const char *stop_line(const struct step *step, struct arena *arena)
{
	struct guest_line guest = guest_of(step, "stopped", arena);
	return power_line(&guest);
}

static const char *guest_line(const struct journal *journal, size_t i, struct arena *arena)
{
	const struct step *step = &journal->plan.steps[i];
	struct guest_line guest = guest_of(step, old_of(journal, i), arena);
	for (size_t row = 0; row < sizeof guest_lines / sizeof *guest_lines; row++)
		if (strcmp(guest_lines[row].kind, step->kind) == 0)
			return guest_lines[row].line(&guest); // cppcheck-suppress returnDanglingLifetime
	return NULL;
}

/* Its way back is a start; it was running. */
static bool is_start(const struct journal *journal, size_t i)
{
	return strcmp(journal->plan.steps[i].kind, "power") == 0 && strcmp(old_of(journal, i), "running") == 0;
}

static void push_guest(const char *line, struct arena *arena, struct words *lines)
{
	push(arena, lines, arena_printf(arena, "say %s", text_sh_quoted(arena, arena_printf(arena, "  %s", line))));
}

/* As rollback.c does it: a guest that a start put under way with what is taken back goes down first, and one that ran
 * starts last, with its old configuration. */
static void push_guests(const struct journal *journal, struct arena *arena, struct words *lines)
{
	struct words rest = { 0 }, back = { 0 }, starts = { 0 };
	for (size_t i = journal->plan.n; i--;) {
		const struct step *step = &journal->plan.steps[i];
		const char *line = guest_line(journal, i, arena);
		bool start = is_start(journal, i);
		if (line)
			push_guest(line, arena, start ? &starts : &back);
		if (start && strcmp(step->to, "running") == 0)
			push_guest(stop_line(step, arena), arena, &rest);
	}
	const struct words *const parts[] = { &rest, &back, &starts };
	push(arena, lines, arena_printf(arena, "guests=%s", back.n || starts.n ? "yes" : "no"));
	push(arena, lines, "guest_steps() {");
	push(arena, lines, back.n || starts.n ? "say 'The guests, to be done where Proxmox VE runs:'" : ":");
	for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
		for (size_t i = 0; i < parts[p]->n; i++)
			push(arena, lines, parts[p]->word[i]);
	push(arena, lines, "}");
}

/* ---- the text ------------------------------------------------------------------------------------ */

static void push_head(const struct journal *journal, struct arena *arena, struct words *lines)
{
	const struct plan *plan = &journal->plan;
	push(arena, lines, "#!/bin/sh");
	push(arena, lines, "# Takes back what one run of gpuferry has changed on this machine, without gpuferry.");
	push(arena, lines, "#   sh rollback.sh            here and now; may be run again, also where it was cut off");
	push(arena, lines, "#   ROOT=/mnt sh rollback.sh  for a system mounted below /mnt, from a rescue system");
	push(arena, lines,
	        "# Ends with 0: all is back; 1: something was left, because others have changed it, or failed.");
	push(arena, lines, "set -u");
	push(arena, lines, arena_printf(arena, "id=%s", text_sh_quoted(arena, journal->id)));
	push(arena, lines,
	        arena_printf(arena, "began=%s", text_sh_quoted(arena, journal->boot_id ? journal->boot_id : "")));
	push(arena, lines,
	        arena_printf(
	                arena, "confirm=%lld", (long long)(plan->confirm_seconds > 0 ? plan->confirm_seconds : 0)));
	push(arena, lines, arena_printf(arena, "reboots=%u", plan->reboots));
}

const char *rescue_script(const struct journal *journal, struct arena *arena)
{
	struct words lines = { 0 };
	size_t size = strlen(rescue_text) + 1;
	push_head(journal, arena, &lines);
	for (enum part part = PART_NODE; part < PARTS; part++)
		push_part(journal, part, arena, &lines);
	push_guests(journal, arena, &lines);
	for (size_t i = 0; i < lines.n; i++)
		size += strlen(lines.word[i]) + 1;
	char *text = arena_alloc(arena, size), *out = text;
	for (size_t i = 0; i < lines.n; i++)
		out = stpcpy(stpcpy(out, lines.word[i]), "\n");
	stpcpy(out, rescue_text);
	return text;
}

bool rescue_write(struct world *node, const struct journal *journal, struct arena *arena, struct err *err)
{
	static const struct world_owner owner = { 0700, 0, 0 };
	const char *path = arena_printf(arena, "%s/rollback.sh", journal->folder);
	const char *text = rescue_script(journal, arena);
	int error = world_write(node, path, (struct bytes){ text, strlen(text) }, &owner);
	return !error || err_errno(err, error, "%s", path);
}
