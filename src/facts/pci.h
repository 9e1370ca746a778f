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

struct pci_device {
	const char *address; /* "0000:01:00.0", always with the domain */
	unsigned domain, bus, slot, function;
	int64_t vendor, device, subsystem_vendor, subsystem_device, revision;
	int64_t class_code;           /* 24 bits: 0x030000 */
	enum tri bridge;              /* class 06xx: never handed to a guest, not bound by PVE */
	const char *driver;           /* NONE: known to have none */
	const char *driver_override;
	const char *iommu_group;      /* "12"; NONE: this machine has no groups */
	const char *iommu_group_type; /* "DMA", "DMA-FQ", "identity" */
	const char *parent;           /* address of the bridge above; NONE: on the root bus; NULL: the tree does not show it */
	enum tri boot_vga;
	const char *reset_methods;    /* "flr bus"; NONE: cannot be reset */
	const char *power_state;      /* "D0", "D3cold" (power_state), or runtime status "suspended" is not a state */
	enum tri d3cold_allowed;
	const char *modalias;
	int64_t numa_node;
	struct pci_bar bar[PCI_BARS];
	enum tri bars_known;
	enum tri resizable_bar;       /* extended capability 0x15; UNKNOWN without 4096 bytes of config */
	enum tri flr;                 /* PCIe or AF capability says FLR */
	int64_t serial;               /* not kept: 0; reserved */
};

struct pci {
	struct pci_device *devices; /* by address */
	size_t n;
	enum tri known;             /* /sys/bus/pci/devices could be listed */
	/* IOMMU, by PVE's own test: /sys/class/iommu is not empty (pve-common SysFSTools.pm) */
	enum tri iommu;
	struct words iommu_units;   /* "dmar0", "ivhd0" */
	enum tri groups_known;      /* /sys/kernel/iommu_groups or the devices' links could be read */
	enum tri remapping;         /* interrupt remapping, see pci.c for the sources */
	enum tri firmware_dmar, firmware_ivrs; /* the ACPI tables */
	int64_t iommu_address_bits; /* Intel: from the cap register; the smallest of all units */
};

/* Fills pci; what cannot be read goes to `blind`. */
void pci_gather(struct world *world, struct arena *arena, struct pci *ret, blind_fn *blind, void *data);

/* One device from its attributes; pure where the attributes are given as text. */
bool pci_parse_address(const char *text, unsigned *domain, unsigned *bus, unsigned *slot, unsigned *function);
/* "0000:01:00.0" from any form PVE accepts ("01:00", "01:00.0", "0000:01:00"); without a function ret_all is true. NULL: no address. */
const char *pci_full_address(const char *text, struct arena *arena, bool *ret_all);
void pci_parse_config(struct bytes config, struct pci_device *device);     /* FLR, resizable BAR */
void pci_parse_resource(struct bytes resource, struct pci_device *device); /* BARs */
bool pci_same_slot(const struct pci_device *left, const struct pci_device *right);

/* Names from pci.ids, loaded at the first call; NULL where the list or the entry is missing. */
const char *pci_device_name(const struct pci_device *device, struct arena *arena); /* "NVIDIA Corporation AD106 [GeForce RTX 4060 Ti]" */
const char *pci_class_name(int64_t class_code, struct arena *arena);               /* "VGA compatible controller" */
void pci_names_release(void);
