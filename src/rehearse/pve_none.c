/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A node whose guests do nothing: until pve.c is there.
 */
#include "rehearse/model.h"

const struct model_command model_pve_commands[] = { { NULL } };

bool pve_open(struct rehearse *rehearse, struct err *err)
{
	(void)rehearse, (void)err;
	return true;
}

void model_guests_boot(struct rehearse *rehearse)
{
	(void)rehearse;
}

void model_guests_stop(struct rehearse *rehearse)
{
	(void)rehearse;
}
