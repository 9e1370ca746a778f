// SPDX-License-Identifier: GPL-2.0
/*
 * A driver that takes the lab's stand-in cards, of NVIDIA's and Intel's display ids; with stuck=1 its remove() never
 * returns, as that of a driver does which waits for its users.
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

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(0x10de, PCI_ANY_ID), .class = 0x030000, .class_mask = 0xff0000 },
	{ PCI_DEVICE(0x8086, PCI_ANY_ID), .class = 0x030000, .class_mask = 0xff0000 },
	{}
};
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver lab_driver = {
	.name = "lab_gpu",
	.id_table = ids,
	.probe = lab_probe,
	.remove = lab_remove,
};
module_pci_driver(lab_driver);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("takes the stand-in cards of gpuferry's lab");
