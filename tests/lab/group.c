/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inside the lab's machine: group NUMBER ADDRESS... asks the kernel for an IOMMU group and its devices as a VM's QEMU
 * does (linux/vfio.h), and says what it answers to each step, up to the first that it refuses.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int say(const char *step, int failed)
{
	printf("%s %s%s\n", step, failed ? "failed: " : "ok", failed ? strerror(errno) : "");
	return failed;
}

static uint64_t region_size(int device, unsigned index, uint64_t *ret_offset)
{
	struct vfio_region_info region = { .argsz = sizeof region, .index = index };
	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region))
		return 0;
	*ret_offset = region.offset;
	return region.size;
}

static unsigned interrupts(int device, unsigned index)
{
	struct vfio_irq_info info = { .argsz = sizeof info, .index = index };
	return ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &info) ? 0 : info.count;
}

/* Little endian, as configuration space is and as the lab's machine. */
static uint32_t config(int device, uint64_t offset, unsigned at)
{
	uint32_t value = 0;
	return pread(device, &value, sizeof value, (off_t)(offset + at)) == sizeof value ? value : 0;
}

static int show_device(int group, const char *address)
{
	struct vfio_device_info info = { .argsz = sizeof info };
	uint64_t offset = 0, ignored = 0;
	int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	if (device < 0 || ioctl(device, VFIO_DEVICE_GET_INFO, &info)) {
		printf("device %s failed: %s\n", address, strerror(errno));
		return 1;
	}
	uint64_t bar = region_size(device, VFIO_PCI_BAR0_REGION_INDEX, &ignored);
	region_size(device, VFIO_PCI_CONFIG_REGION_INDEX, &offset);
	uint32_t ids = config(device, offset, PCI_VENDOR_ID), class = config(device, offset, PCI_CLASS_REVISION) >> 8;
	printf("device %s ok %04x:%04x %06x regions=%u bar=%llu interrupts=%u intx=%u msi=%u reset=%s\n", address,
	        ids & 0xffff, ids >> 16, class, info.num_regions, (unsigned long long)bar, info.num_irqs,
	        interrupts(device, VFIO_PCI_INTX_IRQ_INDEX), interrupts(device, VFIO_PCI_MSI_IRQ_INDEX),
	        info.flags & VFIO_DEVICE_FLAGS_RESET ? "yes" : "no");
	return 0;
}

int main(int argc, char **argv)
{
	char path[32];
	struct vfio_group_status status = { .argsz = sizeof status };
	if (argc < 2)
		return 2;
	snprintf(path, sizeof path, "/dev/vfio/%s", argv[1]);
	int group = open(path, O_RDWR), container = open("/dev/vfio/vfio", O_RDWR), failed = 0;
	if (say("open", group < 0 || container < 0) || say("status", ioctl(group, VFIO_GROUP_GET_STATUS, &status)))
		return 1;
	printf("viable %s\n", status.flags & VFIO_GROUP_FLAGS_VIABLE ? "yes" : "no");
	if (say("container", ioctl(group, VFIO_GROUP_SET_CONTAINER, &container)) ||
	        say("iommu", ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)))
		return 1;
	for (int i = 2; i < argc; i++)
		failed |= show_device(group, argv[i]);
	return failed;
}
