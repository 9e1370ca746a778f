/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/plan.h"

#include <string.h>

const struct plan_kind plan_kinds[] = {
	{ "file", UNDO_EXACT, "file", false },
	{ "link", UNDO_EXACT, "link", false },
	{ "directory", UNDO_EXACT, "directory", false },
	{ "module", UNDO_EXACT, "kernel module", false },
	{ "package", UNDO_EQUIVALENT, "package", false },
	{ "hold", UNDO_EXACT, "package hold", false },
	{ "initramfs", UNDO_EQUIVALENT, "initramfs", true },
	{ "boot", UNDO_EQUIVALENT, "boot loader", true },
	{ "reboot", UNDO_AFTER_REBOOT, "reboot", false },
	{ "confirm", UNDO_NONE, "confirmation", false },
	{ "bind", UNDO_EXACT, "driver", false },
	{ "mapping", UNDO_EQUIVALENT, "resource mapping", false },
	{ "power", UNDO_EXACT, "guest", false },
	{ "config", UNDO_EQUIVALENT, "guest configuration", false },
	{ "create", UNDO_EQUIVALENT, "new guest", false },
	{ "reach", UNDO_NONE, "inside", false },
	{ "snapshot", UNDO_EQUIVALENT, "snapshot", false },
	{ 0 },
};

const struct plan_kind *plan_kind(const char *kind)
{
	for (const struct plan_kind *row = plan_kinds; row->kind; row++)
		if (strcmp(row->kind, kind) == 0)
			return row;
	return NULL;
}
