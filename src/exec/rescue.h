/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The way back without gpuferry: rollback.sh beside the journal, and the service that runs it by itself when a change
 * is not confirmed. Plain sh (dash, busybox); its node part needs neither PVE nor gpuferry nor a network; the guest
 * part is printed as commands to run later.
 *
 *   rollback.sh                 takes the run's node part back now
 *   rollback.sh --boot          what the service runs: counts the boot; on the first waits for the confirmation, on a
 *                               second takes back at once; then reboots once
 *   ROOT=/mnt rollback.sh       on another root (a rescue system)
 */
#pragma once
#include "exec/journal.h"

/* Writes rollback.sh for the run: complete before the first change. */
bool rescue_write(struct world *node, const struct journal *journal, struct arena *arena, struct err *err);
/* The text alone. Pure. */
const char *rescue_script(const struct journal *journal, struct arena *arena);
/* What stands in every rollback.sh behind the run's own lines: src/exec/rollback.sh. */
extern const char rescue_text[];
