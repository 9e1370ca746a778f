/* SPDX-License-Identifier: GPL-2.0
 *
 * A driver that stands in for another: its name (DRIVER), its table of ids (IDS, made from the real module's aliases), one of the
 * modules that it needs (NEEDS, a symbol of it), its softdeps (SOFTDEP). It takes whatever it is offered and does nothing.
 */
#include <linux/module.h>
#include <linux/pci.h>

#ifdef NEEDS
extern int NEEDS(void);
static void *needs[] __used = { NEEDS };
#endif

static int claim_probe(struct pci_dev *device, const struct pci_device_id *id)
{
	return 0;
}

static const struct pci_device_id ids[] = { IDS {} };
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver claimer = { .name = DRIVER, .id_table = ids, .probe = claim_probe };
module_pci_driver(claimer);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("stands in for another driver in gpuferry's lab");
