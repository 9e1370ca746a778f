/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "facts/pve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A guest file as VM and as CT: every byte must be kept. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = {0};
	struct bytes text = arena_bytes(&arena, data, size);
	struct pve pve = {0};
	struct pci_device device = { .address = "0000:01:00.0" };
	for (int kind = GUEST_VM; kind <= GUEST_CT; kind++) {
		struct guest guest = {0};
		size_t kept = 0;
		pve_parse_guest(text, kind, &arena, &guest);
		for (size_t i = 0; i < guest.n_sections; i++)
			for (size_t j = 0; j < guest.sections[i].n; j++)
				kept += guest.sections[i].lines[j].whole.size;
		if (kept != size)
			abort();
		pve_guest_has(&pve, &guest, &device, &arena);
		pve_value_next(&guest, "hostpci0");
	}
	return 0;
}
