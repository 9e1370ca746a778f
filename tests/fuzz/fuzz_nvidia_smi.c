/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>

#include "facts/inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = {0};
	struct bytes text = arena_bytes(&arena, data, size);
	struct nvidia_smi smi;
	inside_parse_nvidia_smi(text, &arena, &smi);
	if (smi.uuids.n > 256 || smi.names.n > 256 || smi.pci.n > 256)
		abort();
	return 0;
}
