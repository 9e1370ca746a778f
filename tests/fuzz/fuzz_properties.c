/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "facts/pve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = {0};
	const char *text = arena_strndup(&arena, size ? (const char *)data : "", size);
	struct pve_properties properties = pve_parse_properties(text, "host", &arena);
	for (size_t i = 0; i < properties.n; i++)
		if (!properties.property[i].key[0] || !pve_property(&properties, properties.property[i].key))
			abort();
	pve_boolean(text);
	return 0;
}
