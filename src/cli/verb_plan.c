/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What would change, where, why, what it interrupts, how each step is undone. Changes nothing.
 */
#include <stdio.h>

#include "cli/change.h"

static int plan(struct app *app, struct world *world, const char *label, void *data, struct arena *arena)
{
	struct err err = { 0 };
	struct survey survey;
	if (!change_survey(world, data, arena, &err, &survey))
		return out_error(app, &err);
	if (app->json)
		out_json(app, plan_json(&survey.plan), label);
	else
		show_plan(app, &survey.plan, arena);
	return change_code(&survey);
}

int verb_plan(struct app *app, int argc, char **argv)
{
	struct err err = { 0 };
	struct goal goal;
	if (!change_goal(app, argc, argv, &err, &goal))
		return out_error(app, &err);
	int code = place_each(app, plan, &goal);
	pci_names_release();
	return code;
}
