/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "facts/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every word of a command line must be found in it again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = {0};
	const char *cmdline = arena_bytes(&arena, data, size < 4096 ? size : 4096).data;
	struct words words = boot_cmdline_words(cmdline, &arena);
	for (size_t i = 0; i < words.n; i++) {
		char *name = arena_strdup(&arena, words.word[i]);
		name[1 + strcspn(name + 1, "=")] = '\0';
		if (*name != '=' && !boot_cmdline_value(cmdline, name, &arena))
			abort();
		if (*name != '=' && !boot_cmdline_has(cmdline, words.word[i]))
			abort();
	}
	return 0;
}
