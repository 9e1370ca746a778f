/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/package.h"
#include "facts/pve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The section files of /etc/pve, and dpkg's list. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const patterns[] = { "pve-*", "*a*", NULL };
	struct arena arena ARENA_SCOPED = {0};
	struct bytes text = arena_bytes(&arena, data, size);
	struct pve pve = {0};
	pve_parse_mappings(text, &arena, &pve);
	pve_parse_storages(text, &arena, &pve);
	for (size_t i = 0; i < pve.n_mappings && i < 16; i++) {
		struct hostpci hostpci = { .mapping = pve.mappings[i].id };
		pve_hostpci_addresses(&pve, &hostpci, &arena);
	}
	package_parse(text, patterns, &arena);
	return 0;
}
