/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/digest.h"

#include <sha2.h>

const char *digest_sha256(struct bytes bytes, struct arena *arena)
{
	char *text = arena_alloc(arena, SHA256_DIGEST_STRING_LENGTH);
	SHA256Data((const uint8_t *)bytes.data, bytes.size, text);
	return text;
}
