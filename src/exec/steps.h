/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inside exec: the kinds of step, each in the file of its subject, and the words their script() lines may use.
 *
 * What rollback.sh has defined before the first such line:
 *   $ROOT   stands before every path of the machine: "" or "/mnt"
 *   $RUN    the run's folder, where this rollback.sh lies
 *   back_file PATH OLD NEW N     OLD, NEW: none or the sha256 in hex; bytes in $RUN/old/N, and in $RUN/old/N.owner
 *                                "MODE UID GID" (octal, decimal, decimal)
 *   back_link PATH OLD NEW       OLD, NEW: none or where it points
 *   back_folder PATH             a directory that was made: removed if it is empty
 * PATH is without $ROOT. Each leaves, and says so, what is neither OLD nor NEW.
 */
#pragma once
#include "exec/exec.h"

extern const struct step_ops step_file, step_link, step_directory, step_module, step_package, step_hold, step_initrd,
        step_boot, step_reboot, step_confirm, step_bind, step_mapping, step_power, step_config, step_raw, step_create, step_reach,
        step_snapshot;

/* Is this state the wished one, by the kind's own measure? */
bool exec_holds(const struct step *step, const char *state);
