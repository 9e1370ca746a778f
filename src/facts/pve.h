/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Proxmox VE as its own files say: /etc/pve. Sources: pve-guest-common, qemu-server QemuServer.pm (parse_vm_config),
 * pve-container LXC/Config.pm, PVE/Mapping/PCI.pm; transcripts of the real tools in the tests.
 */
#pragma once
#include "base/text.h"
#include "facts/pci.h"
#include "sys/world.h"

enum guest_kind { GUEST_UNKNOWN, GUEST_VM, GUEST_CT };

struct pve_line {           /* every line of a guest file is kept, known or not */
	const char *key;    /* NULL: blank, a section's header, or nothing that PVE can read; "#": description */
	const char *value;  /* the rest, blanks at both ends removed ("#": verbatim, still url-encoded) */
	const char *raw;    /* the line without its end, cut at a zero byte */
	struct bytes whole; /* the line with its end; points into the text that was parsed; all in a row are the file */
	unsigned line;
	const char *lost; /* why PVE drops it at its next write of the file; NULL: it stays */
};

enum pve_section_kind { SECTION_ACTIVE, SECTION_PENDING, SECTION_SNAPSHOT, SECTION_SPECIAL };

struct pve_section {
	/* "": active; "PENDING" (VM), "pve:pending" (CT), a snapshot's, or what else stands in the brackets: the lines
	 * of a section that PVE does not know are all `lost` */
	const char *name;
	enum pve_section_kind kind;
	struct pve_line *lines;
	size_t n;
	int64_t snaptime; /* seconds since 1970; UNKNOWN_NUMBER: not stated */
};

/* A property string: "0000:01:00,pcie=1,x-vga=1". The default key's value is under its name (host, path, file, ...). */
struct pve_property {
	const char *key, *value;
};
struct pve_properties {
	struct pve_property *property;
	size_t n;
	bool invalid; /* a key twice, a second value without key, an empty value: PVE refuses such a string */
};

struct hostpci { /* hostpciN */
	unsigned index;
	struct words addresses; /* full, with domain; of each listed ID; without a function it ends without ".F" and
	                           counts for the slot */
	const char *mapping;    /* NONE: not by mapping */
	const char *raw;
	enum tri pcie, x_vga, rombar, legacy_igd, mdev; /* as set; UNKNOWN: not set (PVE's default holds) */
	const char *romfile, *driver, *vendor_id, *device_id;
	bool pending; /* only in the pending section */
	/* PVE would not start the VM with it: not the format of qemu-server PCI.pm, an index above 15, host and mapping
	 * together or neither of them. What it names stays readable in addresses and mapping. */
	bool invalid;
};

struct ct_device { /* devN */
	unsigned index;
	const char *path, *mode; /* mode NULL: 0660 */
	int64_t uid, gid;        /* UNKNOWN_NUMBER: not set, root inside */
	enum tri deny_write;     /* NO where it is not set, PVE's default */
	const char *raw;
	const char *wrong; /* what PVE finds wrong with it: the CT does not start; NULL: nothing */
	bool pending;
};

struct guest {
	enum guest_kind kind;
	int64_t id;
	const char *node;             /* of the cluster; other nodes' guests are not listed */
	const char *name;             /* name: or hostname: */
	const char *status;           /* "running", "stopped"; NULL unknown */
	const char *file;             /* "/etc/pve/qemu-server/100.conf" */
	struct pve_section *sections; /* [0] is the active one */
	size_t n_sections;
	enum tri known;          /* the file could be read */
	const char *lock;        /* NONE: not locked */
	const char *parent;      /* snapshot the state hangs on; NONE */
	enum tri ha;             /* in /etc/pve/ha/resources.cfg */
	struct hostpci *hostpci; /* VM */
	size_t n_hostpci;
	struct ct_device *devices; /* CT */
	size_t n_devices;
	enum tri onboot;
	int64_t pid; /* of the running VM's QEMU or the CT's init; UNKNOWN_NUMBER */
};

struct mapping_entry {              /* one map= line of a PCI mapping */
	const char *node, *path;    /* path: "0000:01:00.0" or without a function; several with ; between */
	const char *id, *subsystem; /* "10de:2803"; subsystem NONE: not set */
	const char *iommu_group;    /* NONE: not set */
};
struct mapping {
	const char *id;
	const char *description;
	struct mapping_entry *entries;
	size_t n;
};

/* content, path: NONE where the file does not state them. snapshots: can it snapshot a VM's raw disk (pve-storage, the
 * plugins' volume_has_feature; a directory and, with a volume chain, LVM can only do so for qcow2); UNKNOWN: type not
 * known. */
struct storage {
	const char *id, *type, *content, *path;
	enum tri snapshots;
};

struct pve {
	enum tri here;         /* Proxmox VE is installed */
	enum tri readable;     /* /etc/pve could be listed and its guest files read */
	const char *version;   /* of pve-manager, "8.4.21" */
	struct words packages; /* "qemu-server 8.4.10" ... as dpkg status says; only those that rules ask for */
	const char *node;      /* this node's name in the cluster */
	enum tri quorate;
	struct guest *guests;
	size_t n_guests;
	enum tri guests_known;
	struct mapping *mappings;
	size_t n_mappings;
	enum tri mappings_known;
	struct storage *storages;
	size_t n_storages;
	enum tri storages_known;
};

/* Running: a VM by its pid file and that process's own arguments, a CT by the command socket in /proc/net/unix (PVE's
 * own tests), else as `qm list` and `pct list` say. */
void pve_gather(struct world *world, struct arena *arena, struct pve *ret, blind_fn *blind, void *data);

/* Pure parts. */
/* Of a key that stands twice the last one counts, of a section that stands twice likewise (parse_vm_config). */
void pve_parse_guest(struct bytes text, enum guest_kind kind, struct arena *arena, struct guest *ret);
void pve_parse_mappings(struct bytes text, struct arena *arena, struct pve *ret); /* /etc/pve/mapping/pci.cfg */
void pve_parse_storages(struct bytes text, struct arena *arena, struct pve *ret); /* /etc/pve/storage.cfg */
/* Cut at commas, blanks kept, as PVE's JSONSchema.pm does. default_key NULL: a value without key is invalid. */
struct pve_properties pve_parse_properties(const char *value, const char *default_key, struct arena *arena);
const char *pve_property(const struct pve_properties *properties, const char *key); /* NULL: not set */
/* The addresses of a list with ; between, in full. False: one of them is none; the others are in *ret all the same. */
bool pve_addresses(const char *list, struct arena *arena, struct words *ret);
/* PVE's booleans: 1, on, yes, true; 0, off, no, false. */
enum tri pve_boolean(const char *value);
/* "lxc.mount.entry: VALUE" of a raw lxc line, as PVE writes it; NULL: it is none, or lost. */
const char *pve_raw_line(const struct pve_line *line, struct arena *arena);
/* All of the active section, in their order, with \n between them; NONE: there is none. */
const char *pve_raw_lines(const struct guest *guest, struct arena *arena);
struct pve_allow {
	int64_t major, minor; /* -1: any */
};
/* "c 226:128 rwm", "a": the value of lxc.cgroup2.devices.allow (lxc.container.conf(5)). False: no character devices. */
bool pve_raw_allow(const char *value, struct arena *arena, struct pve_allow *ret);
/* perl -e TEXT ID DIGEST LINE...: the CT has these raw lines and no others. DIGEST: SHA-1 of the file as it was read;
 * "": whatever it is. By Proxmox's own modules, under their lock. */
extern const char pve_raw_program[];
/* A key's value in the active section, or pending-merged as the next start would have it; NULL: not set. */
const char *pve_value(const struct guest *guest, const char *key);
const char *pve_value_next(const struct guest *guest, const char *key);
/* The slots (or devices) a hostpci names, mappings resolved for this node (all their alternatives: PVE takes the first
 * that is free); where the node's name is unknown, for every node. */
struct words pve_hostpci_addresses(const struct pve *pve, const struct hostpci *hostpci, struct arena *arena);
/* Does "-device vfio-pci,host=01:00.0" or its JSON form in args name that device? */
bool pve_args_have(const char *args, const char *device, struct arena *arena);
/* Does this guest use that PCI device, in its active or pending configuration? A hostpci that PVE would not start with
 * counts too, and so does vfio-pci in args. */
bool pve_guest_has(
        const struct pve *pve, const struct guest *guest, const struct pci_device *device, struct arena *arena);
