/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "facts/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = {0};
	struct bytes text = arena_bytes(&arena, data, size), environment = {0};
	struct grub_defaults defaults = { .certain = true };
	struct grub_entry entry = {0};
	boot_parse_grub(text, "x", &arena, &defaults);
	boot_grub_value(&defaults, "GRUB_CMDLINE_LINUX_DEFAULT");
	/* what follows a zero byte is the environment block */
	const char *zero = memchr(text.data, '\0', size);
	if (zero)
		environment = (struct bytes){ zero, size - (size_t)(zero - text.data) };
	return boot_parse_grub_menu(text, environment, &arena, &entry) && !entry.version;
}
