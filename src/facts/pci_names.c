/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Names through libpci, as lspci writes them. Only pci_alloc: pci_init would choose and open an access method, names
 * need none. udev's hwdb, DNS and the name cache are ruled out by flags, so the list file is all that is read.
 */
#include "facts/pci.h"

#include <pci/pci.h>
#include <setjmp.h>

enum { NAME_FLAGS = PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB, NAME_BYTES = 2048 };

static struct pci_access *names;
static bool broken; /* the list cannot be parsed: asked once, not at every name */
static jmp_buf failed;

/* libpci's own hook prints and exits, and must not return: out of memory, or a list file with an error in it. */
__attribute__((noreturn)) static void name_error(char *message, ...) /* NOLINT(readability-non-const-parameter) */
{
	(void)message;
	longjmp(failed, 1);
}

static void name_message(char *message, ...) /* NOLINT(readability-non-const-parameter) */
{
	(void)message;
}

static bool names_open(void)
{
	if (names || broken)
		return !broken;
	names = pci_alloc();
	names->error = name_error;
	names->warning = name_message;
	names->debug = name_message;
	names->id_lookup_mode = 0;
	return true;
}

/* first, second: the ids that the kind of question wants. A name that is not in the list is NULL. */
static const char *name_lookup(int kind, int first, int second, struct arena *arena)
{
	char text[NAME_BYTES];
	if (!names_open())
		return NULL;
	if (setjmp(failed)) {
		broken = true;
		return NULL;
	}
	const char *name = pci_lookup_name(names, text, sizeof text, kind | NAME_FLAGS, first, second);
	return name && *name ? arena_strdup(arena, name) : NULL;
}

const char *pci_device_name(const struct pci_device *device, struct arena *arena)
{
	if (device->vendor == UNKNOWN_NUMBER || device->device == UNKNOWN_NUMBER)
		return NULL;
	return name_lookup(PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, (int)device->vendor, (int)device->device, arena);
}

const char *pci_class_name(int64_t class_code, struct arena *arena)
{
	return class_code == UNKNOWN_NUMBER ? NULL : name_lookup(PCI_LOOKUP_CLASS, (int)(class_code >> 8), 0, arena);
}

void pci_names_release(void)
{
	if (names)
		pci_cleanup(names);
	names = NULL;
	broken = false;
}
