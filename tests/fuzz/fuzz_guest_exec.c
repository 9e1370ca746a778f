/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a guest made qm, ssh, pct or docker print: the first byte picks the hop and its exit code.
 */
#include <stdint.h>

#include "sys/hop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	struct arena arena ARENA_SCOPED = {0};
	struct err err = {0};
	struct hop hop = { HOP_SSH + data[0] % 4, "100" };
	struct bytes said = arena_bytes(&arena, data + 1, size - 1);
	struct outcome outer = { .status = data[0] / 4 % 2 ? 255 : 0, .out = said, .err = said }, ret = {0};
	hop_unwrap(&hop, &outer, &arena, &err, &ret);
	hop_parse_ssh(said.data, &arena, &err, &hop);
	return 0;
}
