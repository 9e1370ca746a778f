/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stddef.h>
#include <stdint.h>

#include "facts/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = {0};
	struct bytes raw = arena_bytes(&arena, data, size);
	struct boot boot = {0};
	boot_efivar_text(raw, &arena);
	boot_efivar_entry(raw, &arena);
	boot_parse_pbt_status(raw, &arena, &boot);
	return 0;
}
