/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rehearse/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *base(void *data, const char *name)
{
	(void)data;
	return strcmp(name, "b") ? NULL
				 : "device 0000:00:01.0 8086:460d class=060400 group=1 driver=pcieport\n"
				   "device 0000:01:00.0 10de:2803 class=030000 parent=0000:00:01.0 group=1 driver=nouveau "
				   "drm=card0 bar1=6000000000-600fffffff:pref rebar=1 net=e block=sda:1\niommu intel\n"
				   "file /etc/a\n\tx\nlink /etc/l /etc\nguest vm/100 running\ntarget vm/100\nfile /etc/b\n";
}

/* What is taken becomes a tape in which every entry is found, and every question has an answer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = {0};
	struct bytes text = arena_bytes(&arena, data, size);
	struct err err = {0};
	struct tape *tape = NULL;
	if (!machine_parse(text, "fuzz", base, NULL, &arena, &err, &tape)) {
		if (err.kind != ERR_INPUT || !*err.text || strchr(err.text, '\n'))
			abort();
		return 0;
	}
	for (size_t t = 0; t < tape->n; t++) {
		struct tape_target *target = tape->targets[t];
		struct world *world = tape_world(tape, target->label, &arena, &err);
		for (size_t i = 0; i < target->n; i++) {
			const struct tape_entry *entry = &target->entries[i];
			struct bytes content;
			struct words names;
			if (tape_find(target, entry->path) != entry)
				abort();
			world_read(world, entry->path, 0, &arena, &content);
			if (world_list(world, entry->path, &arena, &names) == 0 && entry->error)
				abort();
		}
		world_close(world);
	}
	return 0;
}
