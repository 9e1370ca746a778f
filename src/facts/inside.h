/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inside a guest or a docker container: what the media service finds there.
 */
#pragma once
#include "facts/drm.h"

struct docker_container {
	const char *name, *image, *id;
	const char *runtime;   /* "runc", "nvidia" */
	const char *status;    /* "running" */
	struct words devices;  /* paths inside */
	const char *gpu_request; /* DeviceRequests capabilities: "gpu video"; NONE */
	struct words group_add;
	enum tri privileged;
	const char *visible_devices, *driver_capabilities; /* NVIDIA_*; NONE */
};

struct inside {
	const char *label;      /* "vm/100" */
	enum tri reached;
	const char *why;        /* when not */
	const char *os_id, *os_version, *os_name; /* os-release */
	const char *kernel;     /* release */
	enum tri cloud_kernel;  /* Debian/Ubuntu cloud or kvm flavour: no DRM drivers */
	enum tri secure_boot;
	struct pci pci;
	struct drm drm;
	struct words modules;
	enum tri modules_known;
	const char *nvidia_module;      /* full version of the loaded module; NONE: not loaded */
	enum tri nvidia_open;
	const char *nvidia_userspace;   /* full version of libnvidia-ml.so.X.Y.Z; NONE: not installed */
	struct words nvidia_libraries;  /* "libcuda.so.1", "libnvidia-encode.so.1", "libnvcuvid.so.1" that are there */
	enum tri nvidia_libraries_known;
	const char *nvidia_smi;         /* its error line, NONE when it answered well; NULL not run */
	const char *nvidia_smi_driver;  /* driver version it reports */
	struct words firmware;          /* one cause each, from dmesg: "huc-missing", "guc-failed", "nvrm-gsp", ... see inside.c */
	enum tri dmesg_known;
	struct words groups;            /* "video:44", "render:104" */
	enum tri groups_known;
	enum tri docker;                /* docker is installed */
	enum tri docker_known;          /* its daemon answered */
	const char *docker_version, *docker_runtimes; /* "runc nvidia" */
	const char *docker_cgroup_driver; /* "systemd", "cgroupfs" */
	const char *docker_snap;        /* "yes" when it is the snap */
	enum tri toolkit;               /* nvidia-container-toolkit */
	const char *toolkit_version;
	enum tri cdi;                   /* a CDI specification for nvidia.com/gpu in /etc/cdi or /var/run/cdi */
	enum tri no_cgroups;            /* no-cgroups = true in nvidia-container-runtime/config.toml */
	enum tri dev_char;              /* /dev/char links for NVIDIA nodes */
	struct docker_container *containers;
	size_t n_containers;
	struct vainfo { const char *driver; const char *error; struct words pairs; /* "VAProfileH264High/VAEntrypointEncSlice" */ } vainfo;
	struct words packages;          /* "intel-media-va-driver 23.1.1", "jellyfin-ffmpeg7 ..." of those that rules ask for */
};

void inside_gather(struct world *world, struct arena *arena, struct inside *ret, blind_fn *blind, void *data);

/* Pure parts. */
void inside_parse_vainfo(struct bytes text, struct arena *arena, struct vainfo *ret);
struct nvidia_smi {
	const char *driver;  /* NULL unknown */
	const char *error;   /* one of its known error lines, verbatim; NONE */
	struct words names;  /* of GPUs; may be cut ("NVIDIA GeForce ...") */
	struct words pci;    /* full lower-case addresses, where the form shows them */
	struct words uuids;
};
void inside_parse_nvidia_smi(struct bytes text, struct arena *arena, struct nvidia_smi *ret); /* table, -L, -q or XML */
/* Causes named in a kernel log; each at most once. */
struct words inside_parse_dmesg(struct bytes text, struct arena *arena);
struct words inside_parse_groups(struct bytes etc_group, struct arena *arena);
void inside_parse_docker(struct bytes inspect_json, struct arena *arena, struct inside *ret); /* docker inspect of all containers */
