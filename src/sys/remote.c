/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sys/remote.h"

struct world *remote_inside(const struct target *target, struct arena *arena, struct err *err)
{
	(void)arena;
	err_set(err, ERR_SYSTEM, "%s: cannot be read from here", target->label);
	return NULL;
}

struct world *world_open_ssh(const struct target *target, struct arena *arena, struct err *err)
{
	(void)arena;
	err_set(err, ERR_SYSTEM, "%s: cannot be read from here", target->label);
	return NULL;
}
