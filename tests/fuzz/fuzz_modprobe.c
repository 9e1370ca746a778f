/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stddef.h>
#include <stdint.h>

#include "facts/modprobe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = {0};
	struct bytes text = arena_bytes(&arena, data, size);
	struct modprobe modprobe = {0};
	modprobe_parse(text, "x", &arena, &modprobe);
	modprobe_parse_loads(text, "x", &arena, &modprobe);
	modprobe_parse_cmdline(text.data, &arena, &modprobe);
	modprobe_softdep(&modprobe, "nvidia", "vfio-pci");
	modprobe_option(&modprobe, "vfio-pci", "ids");
	return modprobe_blacklisted(&modprobe, "nouveau");
}
