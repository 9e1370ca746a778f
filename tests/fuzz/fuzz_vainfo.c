/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>

#include "facts/inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = {0};
	struct bytes text = arena_bytes(&arena, data, size);
	struct vainfo vainfo;
	inside_parse_vainfo(text, &arena, &vainfo);
	return 0;
}
