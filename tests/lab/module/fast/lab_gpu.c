// SPDX-License-Identifier: GPL-2.0
/*
 * Drivers that take the lab's stand-in cards, of NVIDIA's and Intel's display ids and NVIDIA's sound; with stuck=1 their
 * remove() never returns, as that of a driver does which waits for its users.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>

static bool stuck;
module_param(stuck, bool, 0444);

static int lab_probe(struct pci_dev *device, const struct pci_device_id *id)
{
	return pci_enable_device(device);
}

static void lab_remove(struct pci_dev *device)
{
	while (stuck)
		msleep(1000);
	pci_disable_device(device);
}

static const struct pci_device_id displays[] = {
	{ PCI_DEVICE(0x10de, PCI_ANY_ID), .class = 0x030000, .class_mask = 0xff0000 },
	{ PCI_DEVICE(0x8086, PCI_ANY_ID), .class = 0x030000, .class_mask = 0xff0000 },
	{}
};
static const struct pci_device_id sounds[] = {
	{ PCI_DEVICE(0x10de, PCI_ANY_ID), .class = 0x040300, .class_mask = 0xffff00 },
	{}
};
MODULE_DEVICE_TABLE(pci, displays);

static struct pci_driver drivers[] = {
	{ .name = "lab_gpu", .id_table = displays, .probe = lab_probe, .remove = lab_remove },
	{ .name = "lab_sound", .id_table = sounds, .probe = lab_probe, .remove = lab_remove },
};

static int __init lab_init(void)
{
	int error = pci_register_driver(&drivers[0]);
	return error ? error : pci_register_driver(&drivers[1]);
}
module_init(lab_init); /* and no way out: what has the cards stays */

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("takes the stand-in cards of gpuferry's lab");
