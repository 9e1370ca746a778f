/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The table of kinds, and the two that are no change but a place where a run waits.
 */
#include <string.h>

#include "exec/steps.h"

const struct step_ops *const exec_kinds[] = {
	&step_file,
	&step_link,
	&step_directory,
	&step_module,
	&step_package,
	&step_hold,
	&step_initrd,
	&step_boot,
	&step_reboot,
	&step_confirm,
	&step_bind,
	&step_mapping,
	&step_power,
	&step_config,
	&step_raw,
	&step_create,
	&step_reach,
	&step_snapshot,
	NULL,
};

const struct step_ops *exec_kind(const char *kind)
{
	for (const struct step_ops *const *row = exec_kinds; *row; row++)
		if (strcmp((*row)->kind, kind) == 0)
			return *row;
	return NULL;
}

bool exec_holds(const struct step *step, const char *state)
{
	const struct step_ops *ops = exec_kind(step->kind);
	return ops && ops->holds ? ops->holds(step, state) : strcmp(state, step->to ? step->to : NONE) == 0;
}

/* ---- barriers: the journal knows where they stand, and apply.c what they wait for ---- */

static bool barrier_state(struct step_run *run, struct arena *arena, const char **ret)
{
	(void)arena;
	*ret = run->step->from ? run->step->from : NONE;
	return true;
}

static bool barrier_apply(struct step_run *run)
{
	return err_set(run->err, ERR_INPUT, "%s is waited for, not made", run->step->kind);
}

const struct step_ops step_reboot = { .kind = "reboot", .state = barrier_state, .apply = barrier_apply };
const struct step_ops step_confirm = { .kind = "confirm", .state = barrier_state, .apply = barrier_apply };
