/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A machine as text (machines/NAME.machine): devices, files, answers of commands, guests. One form for the built-in
 * machines, the tests, the rehearsal and the lab. It expands to a tape. Grammar: docs/machines.md.
 */
#pragma once
#include "sys/tape.h"

/* Looks up "base:": the text of another machine, or NULL. */
typedef const char *machine_base_fn(void *data, const char *name);

bool machine_parse(struct bytes text, const char *name, machine_base_fn *base, void *data, struct arena *arena,
        struct err *err, struct tape **ret);

struct machine_builtin {
	const char *name, *about, *text;
};
extern const struct machine_builtin machine_builtins[]; /* name NULL at the end; embedded at build */
extern const struct machine_builtin machine_bases[];    /* the same for those that are not shown: they say no "about" */
const char *machine_builtin_text(
        void *data, const char *name); /* a machine_base_fn; also finds bases that are not shown */
