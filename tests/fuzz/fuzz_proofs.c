/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What may lie where proofs are kept: anything.
 */
#include "media/kept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ARENA_SCOPED struct arena arena = { 0 };
	struct proofs proofs;
	struct bytes text = arena_bytes(&arena, data, size);
	JSON_SCOPED json_t *document = NULL;
	kept_read(text, "key", 1, &arena, &proofs);
	if (json_parse(text, "fuzz", NULL, &document) && proofs_take(document, &arena, &proofs)) {
		JSON_SCOPED json_t *again = json_document("proofs");
		proofs_put(again, &proofs);
	}
	return 0;
}
