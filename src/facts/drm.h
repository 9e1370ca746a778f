/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Device nodes of GPUs and who has them open.
 */
#pragma once
#include "facts/pci.h"

struct drm_node {
	const char *name;   /* "renderD128", "card0", "nvidia0", "nvidiactl", "nvidia-uvm" */
	const char *path;   /* "/dev/dri/renderD128" */
	const char *pci;    /* address of its device; NONE: not a PCI device (vgem, simpledrm, nvidiactl) */
	const char *driver; /* kernel driver of that device; NONE: none */
	enum tri exists;    /* the node in /dev */
	unsigned mode, uid, gid;
	const char *group;    /* name of gid on this target; NONE: /etc/group has no such gid; NULL unknown */
	int64_t major, minor; /* UNKNOWN_NUMBER where exists is not YES */
};

enum holder_kind { HOLDER_PROCESS, HOLDER_DOCKER, HOLDER_CT, HOLDER_VM, HOLDER_DAEMON };
struct holder {
	enum holder_kind kind; /* DAEMON: nvidia-persistenced */
	int64_t pid;
	const char *name; /* command name, docker container id, "ct/105", "vm/100" */
	const char *node; /* path of the node it has open */
	const char *pci;  /* which card; NONE: all NVIDIA cards (nvidiactl, uvm); NULL: it could not be told */
};

struct framebuffer {
	const char *name;   /* "fb0" */
	const char *driver; /* "simpledrmdrmfb", "EFI VGA", "nouveaudrmfb" */
	const char *pci;    /* the card it is on, also through a simple-framebuffer below it; NONE: a platform device */
};

struct iomem_range {
	uint64_t start, end;
	unsigned depth;
	const char *owner; /* "BOOTFB", "simplefb", "0000:01:00.0", "nvidia" */
};

struct drm {
	struct drm_node *nodes;
	size_t n;
	enum tri known; /* /sys/class/drm could be listed; missing as a whole is YES and no nodes */
	struct holder *holders;
	size_t n_holders;
	enum tri holders_known; /* every process's open files could be read and every card told; UNKNOWN: not asked for
	                         */
	struct framebuffer *framebuffers;
	size_t n_framebuffers;
	enum tri framebuffers_known;
	enum tri fbcon; /* a framebuffer console is bound (/sys/class/vtconsole/vtconN/{bind,name}) */
	enum tri persistence_daemon;
	struct iomem_range *iomem;
	size_t n_iomem;
	enum tri iomem_known;              /* NO too where addresses are masked to zero (not root) */
	const char *nvidia_module_version; /* /proc/driver/nvidia/version: "550.163.01"; NONE: not loaded */
	enum tri nvidia_open;              /* the open kernel module */
	const char *enable_guc; /* i915's option as it is in effect: "-1", "2"; NULL: not known, or no i915 */
};

/* Nodes by name: those of /sys/class/drm and /dev/dri, and NVIDIA's. With the NVIDIA module loaded, nvidiactl,
 * nvidia-uvm, nvidia-uvm-tools and one nvidiaN per card are always in the list, with exists NO where they are missing.
 * holders: walk /proc/PID/fd too (one link per open file); a holder is listed once per process, node and card. Who
 * has /dev/vfio/N open has every device of that group. What a process keeps mapped without an open file is not seen. */
void drm_gather(struct world *world, bool holders, struct arena *arena, struct drm *ret, blind_fn *blind, void *data);

/* The node of that path ("/dev/nvidia-uvm"); NULL: none. */
const struct drm_node *drm_node_at(const struct drm *drm, const char *path);

/* Pure parts. */
void drm_parse_iomem(struct bytes text, struct arena *arena, struct drm *ret);
/* "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05 ..." */
bool drm_parse_nvidia_version(struct bytes text, struct arena *arena, const char **ret_version, enum tri *ret_open);
/* Where a process lives, by /proc/PID/cgroup: docker container id, "ct/105", "vm/100", or NONE (ret: HOLDER_PROCESS).
 * Of nested ones the outermost: what the node sees is the CT, not the docker container in it. */
const char *drm_cgroup_owner(struct bytes cgroup, struct arena *arena, enum holder_kind *ret);
/* The PCI address in a link of /sys/class/drm or /sys/class/graphics; NONE where the device is none of PCI's (USB
 * displays below a PCI controller too). framebuffer: one on a simple-framebuffer counts as on the card above it. */
const char *drm_path_pci(const char *link, bool framebuffer, struct arena *arena);
/* Is this the name of a vtconsole that draws on a framebuffer? "(M) frame buffer device", Documentation/fb/fbcon.rst */
bool drm_is_fbcon(const char *name);
