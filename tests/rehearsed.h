/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A machine's text, behaving.
 */
#pragma once
#include "rehearse/machine.h"
#include "rehearse/rehearse.h"
#include "test.h"

struct stage {
	struct arena arena;
	struct rehearse *rehearse;
	struct world *node;
};

static inline void stage_open(struct stage *host, const char *text)
{
	struct err err = {0};
	struct tape *tape = NULL;
	*host = (struct stage){0};
	if (!machine_parse(bytes_of(text), "test", machine_builtin_text, NULL, &host->arena, &err, &tape))
		fail_msg("%s", err.text);
	host->rehearse = rehearse_open(tape, &host->arena, &err);
	if (!host->rehearse)
		fail_msg("%s", err.text);
	host->node = rehearse_world(host->rehearse);
}

static inline void stage_close(struct stage *host) { arena_release(&host->arena); }
