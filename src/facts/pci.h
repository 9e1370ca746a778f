/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The PCI devices of a machine, from sysfs (Documentation/ABI/testing/sysfs-bus-pci).
 * libpci looks up names; sysfs is read through the world, so a recording reads the same.
 */
#pragma once
#include "base/text.h"
#include "sys/world.h"

enum { PCI_BARS = 6 };

struct pci_bar {
	uint64_t start, end; /* end inclusive; both 0: not there */
	uint64_t flags;      /* IORESOURCE_*: 0x200 memory, 0x2000 prefetchable, 0x100000 64-bit */
};

/* Read of every device: address to parent. Read only of the functions of a slot that holds a display controller
 * (class 03xx) and of what vfio-pci drives, because nobody asks it of others: boot_vga to flr; unknown elsewhere. */
struct pci_device {
	const char *address; /* "0000:01:00.0", always with the domain */
	unsigned domain, bus, slot, function;
	int64_t vendor, device, subsystem_vendor, subsystem_device;
	int64_t class_code;           /* 24 bits: 0x030000 */
	enum tri bridge;              /* class 06xx: never handed to a guest, not bound by PVE */
	const char *driver;           /* NONE: known to have none */
	const char *iommu_group;      /* "12"; NONE: in no group (this machine has none, or none for this device) */
	const char *iommu_group_type; /* "DMA", "DMA-FQ", "identity" */
	/* Address of the bridge above, or of the device whose own root bus it is on (Intel VMD);
	 * NONE: on the root bus; NULL: the tree does not show it. */
	const char *parent;

	enum tri boot_vga; /* NO too where the attribute is known to be missing: it is no VGA device */
	const char *driver_override;
	const char *reset_methods; /* "flr bus"; NONE: cannot be reset */
	const char *power_state;   /* "D0", "D3cold" (power_state), or runtime status "suspended" is not a state */
	enum tri d3cold_allowed;
	enum tri mdev; /* its driver offers slices of it to VMs (mediated devices, NVIDIA vGPU); PVE's own test */
	const char *modalias;
	int64_t revision;
	int64_t numa_node;
	struct pci_bar bar[PCI_BARS];
	enum tri bars_known;    /* UNKNOWN too for a display controller whose BARs are all zero: it has some */
	enum tri resizable_bar; /* extended capability 0x15; UNKNOWN without 4096 bytes of config */
	enum tri flr;           /* PCIe or AF capability says FLR; UNKNOWN without 256 bytes of config */
};

struct pci {
	struct pci_device *devices; /* by address, as numbers */
	size_t n;
	enum tri known; /* /sys/bus/pci/devices could be listed */
	/* IOMMU, by PVE's own test: /sys/class/iommu is not empty (pve-common SysFSTools.pm). Where a capture lacks
	 * that folder, a bridge with a group proves it: vfio's no-IOMMU mode makes groups too, but never for a bridge.
	 */
	enum tri iommu;
	struct words iommu_units;              /* "dmar0", "ivhd0" */
	enum tri groups_known;                 /* /sys/kernel/iommu_groups or the devices' links could be read */
	enum tri remapping;                    /* interrupt remapping, see pci.c for the sources */
	enum tri firmware_dmar, firmware_ivrs; /* the ACPI tables */
	int64_t iommu_address_bits;            /* Intel: from the cap register; the smallest of all units */
};

/* Fills pci; what cannot be read goes to `blind`, each kind of attribute once. */
void pci_gather(struct world *world, struct arena *arena, struct pci *ret, blind_fn *blind, void *data);

/* The device at a full address; NULL: none. Binary search. */
const struct pci_device *pci_find(const struct pci *pci, const char *address);

/* One device from its attributes; pure where the attributes are given as text. */
/* "0000:01:00.0" whole: domain (4 to 8 hex digits), bus, slot to 1f, function to 7. */
bool pci_parse_address(const char *text, unsigned *domain, unsigned *bus, unsigned *slot, unsigned *function);
/* "0000:01:00.0" from any form PVE accepts ("01:00", "01:00.0", "0000:01:00"); without a function ret_all (may be NULL)
 * is true. NULL: no address. */
const char *pci_full_address(const char *text, struct arena *arena, bool *ret_all);
void pci_parse_uevent(struct bytes uevent, struct pci_device *device);     /* ids and class; leaves what it lacks */
void pci_parse_config(struct bytes config, struct pci_device *device);     /* FLR, resizable BAR */
void pci_parse_resource(struct bytes resource, struct pci_device *device); /* BARs */
/* The device above by the path behind /sys/devices: NONE for a root bus, NULL where the path does not say. */
const char *pci_parse_parent(const char *link, struct arena *arena);
/* /proc/interrupts: are the interrupts of devices remapped? UNKNOWN: no chip in it that would tell. */
enum tri pci_parse_interrupts(struct bytes interrupts);
/* Address bits of an Intel unit: MGAW, bits 21:16 of its capability register, plus 1 (VT-d specification, 11.4.2). */
int64_t pci_parse_intel_cap(const char *cap);
bool pci_same_slot(const struct pci_device *left, const struct pci_device *right);

/* Names from pci.ids of the machine that gpuferry runs on, loaded at the first call (kept until pci_names_release; one
 * thread at a time); NULL where the list or the entry is missing. Nothing else is touched: no bus, network or cache. */
/* "NVIDIA Corporation AD106 [GeForce RTX 4060 Ti]" */
const char *pci_device_name(const struct pci_device *device, struct arena *arena);
const char *pci_class_name(int64_t class_code, struct arena *arena); /* "VGA compatible controller" */
void pci_names_release(void);
