/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "media/engine.h"
#include "media/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ARENA_SCOPED struct arena arena = { 0 };
	struct engine_meter meter = { 0 };
	struct bytes text = arena_bytes(&arena, data, size);
	engine_read(text, &meter);
	engine_use(&meter, "0000:00:02.0");
	proof_is_played(text);
	return 0;
}
