/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Another machine, read in one round trip: the table of wants runs there as one script, its
 * answer becomes a tape in memory, and readers see that tape as a world.
 */
#pragma once
#include "sys/world.h"

/* A guest or docker container seen from this machine: its hops are run from here. All of wants_inside is asked at
 * once. NULL with err (and a hint) if it cannot be reached; an answer that is cut is a world all the same: what
 * did not come is unknown there. */
struct world *remote_inside(const struct target *target, struct arena *arena, struct err *err);
