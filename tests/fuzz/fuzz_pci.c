/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Everything of a PCI device that is foreign text or bytes; the first byte chooses the parser.
 */
#include "facts/pci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct pci_device device = { 0 };
	unsigned part[4];
	bool all;
	if (!size)
		return 0;
	struct bytes bytes = arena_bytes(&arena, data + 1, size - 1);
	switch (data[0] % 6) {
	case 0:
		pci_parse_config(bytes, &device);
		break;
	case 1:
		pci_parse_resource(bytes, &device);
		break;
	case 2:
		pci_parse_uevent(bytes, &device);
		break;
	case 3:
		pci_parse_interrupts(bytes);
		break;
	case 4:
		pci_parse_parent(bytes.data, &arena);
		pci_parse_intel_cap(bytes.data);
		break;
	default:
		/* what is an address is one in its full form too */
		if (pci_parse_address(bytes.data, &part[0], &part[1], &part[2], &part[3]) &&
		        !pci_full_address(bytes.data, &arena, &all))
			__builtin_trap();
	}
	return 0;
}
