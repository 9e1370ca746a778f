// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for nouveau on the lab's full machine, where the real one finds no chip that it knows: a module of that name
 * and those ids, a driver of that name that stays with the stand-in card, and the nodes in /dev/dri that a DRM driver makes,
 * which can be held open. The machine has no other DRM driver, so the class and the major are free.
 */
#include <linux/cdev.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/version.h>

enum { MAJOR_DRM = 226, RENDER = 128 };

static struct class *drm;
static unsigned int cards;

static int node_open(struct inode *inode, struct file *file)
{
	return 0;
}

static const struct file_operations operations = { .owner = THIS_MODULE, .open = node_open };

static int gpu_probe(struct pci_dev *device, const struct pci_device_id *id)
{
	unsigned int card = cards++;
	int error = pci_enable_device(device);

	if (error)
		return error;
	pci_info(device, "probed\n");
	pci_set_drvdata(device, (void *)(unsigned long)card);
	device_create(drm, &device->dev, MKDEV(MAJOR_DRM, card), NULL, "card%u", card);
	device_create(drm, &device->dev, MKDEV(MAJOR_DRM, RENDER + card), NULL, "renderD%u", RENDER + card);
	return 0;
}

static void gpu_remove(struct pci_dev *device)
{
	unsigned int card = (unsigned long)pci_get_drvdata(device);

	device_destroy(drm, MKDEV(MAJOR_DRM, RENDER + card));
	device_destroy(drm, MKDEV(MAJOR_DRM, card));
	pci_disable_device(device);
}

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(0x10de, PCI_ANY_ID), .class = 0x030000, .class_mask = 0xff0000 },
	{}
};
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver driver = { .name = "nouveau", .id_table = ids, .probe = gpu_probe, .remove = gpu_remove };

static char *node_name(
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
		const
#endif
		struct device *device, umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "dri/%s", dev_name(device));
}

static int __init gpu_init(void)
{
	int error = register_chrdev(MAJOR_DRM, "drm", &operations);

	if (error)
		return error;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	drm = class_create("drm");
#else
	drm = class_create(THIS_MODULE, "drm");
#endif
	drm->devnode = node_name;
	error = pci_register_driver(&driver);
	if (error) {
		class_destroy(drm);
		unregister_chrdev(MAJOR_DRM, "drm");
	}
	return error;
}

static void __exit gpu_exit(void)
{
	pci_unregister_driver(&driver);
	class_destroy(drm);
	unregister_chrdev(MAJOR_DRM, "drm");
}

module_init(gpu_init);
module_exit(gpu_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("stands in for nouveau in gpuferry's lab");
