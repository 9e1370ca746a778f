/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Another machine, read in one round trip: the table of wants runs there as one script, its
 * answer becomes a tape in memory, and readers see that tape as a world.
 *
 * Such a world is live: a command that was not in the table is run there when it is asked for, and
 * over ssh alone a file that was not in the table is fetched (an initramfs: big, and seldom wanted);
 * through other hops such a file is unknown (ENODATA). Targets inside it are reached through the
 * same hops, except those that begin with ssh: their addresses and keys are this machine's.
 */
#pragma once
#include "sys/world.h"

struct want;

/* A guest or docker container seen from this machine: its hops are run from here. All of wants_inside is asked at
 * once. NULL with err (and a hint) if it cannot be reached; an answer that is cut is a world all the same: what
 * did not come is unknown there. */
struct world *remote_inside(const struct target *target, struct arena *arena, struct err *err);

/* The same with another table. */
struct world *remote_open(const struct target *target, const struct want *wants, struct arena *arena, struct err *err);
