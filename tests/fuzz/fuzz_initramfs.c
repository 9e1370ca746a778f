/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "facts/initramfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What can be parsed can be reduced, and holds as many things afterwards. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = {0};
	struct err err = {0};
	struct initramfs whole = {0}, reduced = {0};
	struct bytes image = arena_bytes(&arena, data, size), small = {0};
	if (!initramfs_parse(image, &arena, &err, &whole))
		return 0;
	if (!initramfs_reduce(image, &arena, &err, &small) || !initramfs_parse(small, &arena, &err, &reduced))
		abort();
	if (whole.n_files != reduced.n_files || whole.modules.n != reduced.modules.n ||
		whole.modprobe.n != reduced.modprobe.n || whole.early_scripts.n != reduced.early_scripts.n)
		abort();
	return initramfs_holds(&whole, "vfio-pci");
}
