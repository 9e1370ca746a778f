/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "../../src/serve/http.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ARENA_SCOPED struct arena arena = { 0 };
	char name[64];
	if (host_name(arena_bytes(&arena, data, size).data, name, sizeof name) && !*name)
		abort();
	return 0;
}
