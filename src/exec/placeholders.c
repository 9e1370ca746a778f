/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Kinds that are not there yet: each fails before it changes anything. A line goes when its kind comes.
 */
#include "exec/steps.h"

static bool absent_state(struct step_run *run, struct arena *arena, const char **ret)
{
	(void)arena, (void)ret;
	return err_set(run->err, ERR_INPUT, "steps of kind %s: not there yet", run->step->kind);
}

static bool absent_apply(struct step_run *run)
{
	return err_set(run->err, ERR_INPUT, "steps of kind %s: not there yet", run->step->kind);
}

#define ABSENT(name) const struct step_ops step_##name = { .kind = #name, .state = absent_state, .apply = absent_apply }

ABSENT(create);
ABSENT(reach);
ABSENT(snapshot);
