/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is true of a machine now. facts_gather reads it through worlds and decides nothing;
 * everything behind it (rules, plan, rehearsal) sees only this.
 *
 * A string: NULL unknown, "" (NONE) known to be absent. A number: UNKNOWN_NUMBER. A yes-no: enum tri.
 * A counted array whose `_known` member is not YES may be incomplete: finding nothing in it proves nothing.
 */
#pragma once
#include "base/json.h"
#include "base/text.h"
#include "facts/boot.h"
#include "facts/drm.h"
#include "facts/gpu.h"
#include "facts/inside.h"
#include "facts/package.h"
#include "facts/pci.h"
#include "facts/pve.h"
#include "sys/world.h"

/* Something that could not be read. */
struct blind {
	const char *target; /* "node", "vm/100" */
	const char *what;   /* a path, a command, or a thing ("IOMMU groups") */
	const char *why;    /* "permission denied", "not in the recording" */
};

struct cpu {
	const char *vendor;      /* "GenuineIntel", "AuthenticAMD"; "" none stated (ARM) */
	const char *model;       /* "13th Gen Intel(R) Core(TM) i5-13500" */
	enum tri f_suffix;       /* Intel: sold without a working iGPU (KF, F); UNKNOWN when the name does not say */
	enum tri virtualisation; /* vmx or svm flag */
	int64_t physical_bits, virtual_bits; /* address sizes */
	enum tri hypervisor;                 /* the flag: this machine is itself a guest */
};

struct host {
	const char *name;
	struct cpu cpu;
	const char *pve_version; /* "8.4.1"; NONE: no Proxmox VE here */
	int64_t memory_kib;
	struct words modules; /* loaded, kernel names (with _) */
	enum tri modules_known;
	const char *console;       /* /sys/class/tty/console/active: "tty0", "ttyS0 tty0" */
	enum tri serial_console;   /* reachable without a GPU: a serial console is active */
};

/* What the node cannot live without, by PCI ancestry. */
enum need_kind { NEED_ROOT_DISK, NEED_MANAGEMENT_NIC, NEED_CONSOLE, NEED_USB };
struct need {
	enum need_kind kind;
	const char *pci;  /* address of the device it hangs on */
	const char *what; /* "root file system on rpool (nvme0n1)", "vmbr0 over enp5s0, default route" */
};

/* One GPU: a display controller (class 03) with what belongs to it. */
enum group_state { GROUP_UNKNOWN, GROUP_ISOLATED, GROUP_SHARED, GROUP_ACS };
struct gpu {
	const struct pci_device *pci;
	const char *vendor;                  /* "nvidia", "intel", "amd", "other" */
	const struct pci_device **functions; /* of the same slot, itself included, by address */
	size_t n_functions;
	enum group_state group_state;           /* as product.md defines it */
	const struct pci_device **group_others; /* in the group, outside the slot, bridges left out */
	size_t n_group_others;
	const struct drm_node *card, *render; /* NULL: none or unknown, see render_known */
	enum tri render_known;                /* the DRM nodes could be read */
	enum tri boot_display;
	enum tri framebuffer_console; /* fbcon is bound to a framebuffer of this card */
	struct words bar_owners;      /* who in /proc/iomem sits in its BARs: "BOOTFB", "simplefb", a driver */
	enum tri bar_owners_known;
	enum tri hot_release;   /* can be unbound now: product.md */
	const char *hot_why;    /* when not yes: who or what holds it, or what is not known */
	struct words held;      /* who has its nodes open: "ffmpeg (pid 4000) has /dev/dri/renderD129 open" */
	struct gpu_model model; /* what a card of these ids can do */
};

/* Of the node's NVIDIA driver, where a CT is to get a card that has none; else it is not asked, and not known. */
struct installable {
	enum tri known;
	struct words packages;  /* "NAME VERSION", as apt would install them */
	struct words installed; /* "NAME VERSION", as they are */
};

struct facts {
	struct host host;
	struct pci pci;
	struct boot boot;
	struct drm drm;
	struct pve pve;
	struct installable installable;
	struct need *needs;
	size_t n_needs;
	enum tri root_disk_known, management_known, console_known;
	struct gpu *gpus;
	size_t n_gpus;
	enum tri gpus_known;    /* the PCI devices could be listed */
	struct inside *insides; /* guests and docker containers that were looked into */
	size_t n_insides;
	struct blind *blind;
	size_t n_blind;
};

/* How much is asked: a verb asks for no more than it shows. */
enum facts_depth {
	FACTS_DEVICES = 1 << 0, /* PCI, DRM, CPU, command line */
	FACTS_LOADER = 1 << 1,  /* which boot loader booted this machine */
	FACTS_BOOT = 1 << 2,    /* all of the boot: next command line, modules' settings, initramfs */
	FACTS_GUESTS = 1 << 3,  /* PVE */
	FACTS_HOLDERS = 1 << 4, /* who holds the nodes open: walks /proc */
	FACTS_INSIDE = 1 << 5,  /* look into running guests that have a GPU, and into `also` */
	FACTS_OLD_KERNELS =
	        1 << 6, /* what the older kernels' initramfs froze: they are the way back, no rule asks them */
	FACTS_ALL = 63, /* all that the rules ask */
};

struct facts_want {
	unsigned depth;
	const struct target *also; /* one more target to look into (the goal's), or NULL */
};

/* Reads the node through `world`, and what is in it. Never fails: what cannot be read is in blind. */
struct facts *facts_gather(struct world *world, const struct facts_want *want, struct arena *arena);

/* The inspect document of product.md. Names (pci.ids) are looked up here, only for what is shown. */
json_t *facts_json(const struct facts *facts);
const char *facts_group_state(enum group_state state); /* "isolated", "shared", "acs"; NULL unknown */
/* The guests that use a GPU, and the GPUs that a guest uses, in its active or pending configuration. */
/* The node's paths that a CT is given, by devN (pending ones too) and by older lxc.mount.entry lines. */
struct words facts_ct_paths(const struct guest *guest, struct arena *arena);
/* The PCI address that a node's path belongs to, by the nodes seen or by its by-path name; NULL: not known. */
const char *facts_path_pci(const struct facts *facts, const char *path, struct arena *arena);
bool facts_guest_has_gpu(
        const struct facts *facts, const struct guest *guest, const struct gpu *gpu, struct arena *arena);
/* What a tape keeps of a big file (a tape_reduce_fn): an initramfs as its configuration and module names, modules.alias
 * as the lines that matter. False: the file is kept as it is. */
bool facts_reduce(void *data, const char *path, struct bytes raw, struct arena *arena, struct bytes *ret);

/* The parts that facts_gather puts together. */
void host_gather(struct world *world, struct arena *arena, struct host *ret, blind_fn *blind, void *data);
void host_parse_cpu(struct bytes cpuinfo, struct arena *arena, struct cpu *ret);
/* What the node cannot live without; needs the PCI devices, for a device's ancestors. */
void needs_gather(struct world *world, struct arena *arena, struct facts *facts, blind_fn *blind, void *data);
/* The GPUs among the PCI devices, with everything that was gathered before put to its card. Pure. */
void gpus_assemble(struct facts *facts, struct arena *arena);
/* Notes a blind spot once; format gives `what`. */
void facts_blind(struct facts *facts, struct arena *arena, const char *target, int error, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

/* Finders: NULL if there is none. */
const struct pci_device *facts_device(const struct facts *facts, const char *address);
const struct gpu *facts_gpu(const struct facts *facts, const char *address);
const struct guest *facts_guest(const struct facts *facts, enum guest_kind kind, int64_t id);
const struct inside *facts_inside(const struct facts *facts, const char *label);
