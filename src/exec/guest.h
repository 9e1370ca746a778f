/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inside exec: a guest as steps see it.
 */
#pragma once
#include "exec/exec.h"

struct step_guest {
	enum guest_kind kind;
	const char *tool, *id; /* "qm", "100" */
	const char *file;      /* "/etc/pve/qemu-server/100.conf" */
	bool there;
	struct guest parsed; /* of the file, where it is there */
};

/* Of step->on ("vm/100"), read now. False: no guest's label, or the file cannot be read. */
bool exec_guest(struct step_run *run, struct arena *arena, struct step_guest *ret);
/* SHA-1 of the guest's file as it stands, as PVE takes it for --digest. False: it cannot be read. */
bool exec_guest_digest(struct step_run *run, const char *file, struct arena *arena, const char **ret);
/* The command that gives a CT these raw lines; digest "": whatever the file is. */
const char *const *exec_raw_argv(const struct step *step, const char *digest, const char *lines, struct arena *arena);
/* The goal that the run began with (plan.json). False: it cannot be read, before there is a run for one. */
bool exec_goal(struct step_run *run, struct arena *arena, struct err *err, struct goal *ret);
