/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inside a guest or a docker container: what the media service finds there.
 */
#pragma once
#include "facts/drm.h"

struct docker_container {
	const char *name, *image, *id;
	const char *runtime;     /* "runc", "nvidia" */
	const char *status;      /* "running" */
	struct words devices;    /* paths inside */
	const char *gpu_request; /* DeviceRequests: the capabilities "gpu video", or "cdi nvidia.com/gpu=all"; NONE */
	struct words group_add;
	enum tri privileged;
	const char *visible_devices, *driver_capabilities; /* NVIDIA_*; NONE */
};

struct inside {
	const char *label; /* "vm/100" */
	enum tri reached;
	const char *why;                          /* when not */
	const char *os_id, *os_version, *os_name; /* os-release */
	const char *kernel;                       /* release */
	enum tri cloud_kernel; /* a flavour for clouds without DRM drivers: by its name, and by the modules it has */
	enum tri secure_boot;
	struct pci pci;
	struct drm drm;
	struct words modules;
	enum tri modules_known;
	const char *nvidia_module; /* full version of the loaded module; NONE: not loaded */
	enum tri nvidia_open;
	const char *nvidia_userspace;  /* full version of libnvidia-ml.so.X.Y.Z; NONE: not installed; NULL too where two
	                                  are */
	struct words nvidia_libraries; /* "libcuda.so.1", "libnvidia-encode.so.1", "libnvcuvid.so.1" that are there */
	enum tri nvidia_libraries_known;
	const char *nvidia_smi;        /* its error line, NONE when it answered well; NULL not run */
	const char *nvidia_smi_driver; /* driver version it reports */
	struct words firmware;         /* one cause each, from dmesg: the words of inside_parse_dmesg */
	enum tri dmesg_known;          /* YES: read whole; else a cause that is not there proves nothing */
	struct words groups;           /* "video:44", "render:104" */
	enum tri groups_known;
	enum tri docker;                              /* docker is installed */
	enum tri docker_known;                        /* its daemon answered */
	const char *docker_version, *docker_runtimes; /* "runc nvidia" */
	const char *docker_cgroup_driver;             /* "systemd", "cgroupfs" */
	const char *docker_snap;                      /* "yes" when it is the snap */
	enum tri toolkit;                             /* nvidia-container-toolkit */
	const char *toolkit_version;
	enum tri cdi;        /* a CDI specification for nvidia.com/gpu in /etc/cdi or /var/run/cdi */
	enum tri no_cgroups; /* no-cgroups = true in nvidia-container-runtime/config.toml */
	enum tri dev_char;   /* /dev/char links for NVIDIA nodes */
	struct docker_container *containers;
	size_t n_containers;
	/* of the first render node that initialises, else of the first that was asked; all NULL: not run. driver: what
	 * the driver calls itself. error: NONE when it initialised. pairs: "VAProfileH264High/VAEntrypointEncSlice"; of
	 * a listing that was cut those that are seen, so a pair that is missing proves nothing. */
	struct vainfo {
		const char *driver;
		const char *error;
		struct words pairs;
	} vainfo;
	struct words packages; /* "intel-media-va-driver 23.1.1", "jellyfin-ffmpeg7 ..." of those that rules ask for */
};

/* label is set from the world where it is NULL. The commands asked, all only reading: vainfo, nvidia-smi, nvidia-ctk,
 * dmesg, docker info, docker ps, docker inspect (formatted, so that a docker container's environment is not read). */
void inside_gather(struct world *world, struct arena *arena, struct inside *ret, blind_fn *blind, void *data);

/* Pure parts. */
void inside_parse_vainfo(struct bytes text, struct arena *arena, struct vainfo *ret);
struct nvidia_smi {
	const char *driver; /* kernel driver's version ("Driver Version", since 610 "KMD Version"); NULL unknown */
	const char *error;  /* one of its known error lines, verbatim; NONE: it answered well; NULL: nothing of its is
	                       there */
	struct words names; /* one per GPU; the table cuts them ("NVIDIA GeForce ...") */
	struct words pci;   /* full lower-case addresses, where the form shows them */
	struct words uuids;
};
/* table, -L, -q, --version or XML, also several in one text: then the form that says most counts. */
void inside_parse_nvidia_smi(struct bytes text, struct arena *arena, struct nvidia_smi *ret);
/* Causes named in a kernel log, each at most once, in the order of the tables in inside_parse.c:
 * nvrm-init-failed nvrm-needs-open nvrm-gsp nvrm-legacy nvrm-no-gpu nvrm-mismatch nvrm-bar nvrm-owned nvrm-wpr2
 * nvrm-off-bus huc-missing guc-missing dmc-missing amdgpu-firmware-missing huc-failed guc-failed wedged
 * gpu-hang ring-timeout d3cold reset-timeout key-rejected bar-reserve rmrr amd-iommu-on iommu-timeout rom-invalid
 * vbt-missing. */
struct words inside_parse_dmesg(struct bytes text, struct arena *arena);
struct words inside_parse_groups(struct bytes etc_group, struct arena *arena);
/* docker inspect: its array, or one object per line; adds to containers. What is no such JSON adds nothing. */
void inside_parse_docker(struct bytes inspect_json, struct arena *arena, struct inside *ret);
/* The value of KEY=value of an os-release file (os-release(5)), quotes and backslashes undone; NULL: not in it. */
const char *inside_os_value(struct bytes os_release, const char *key, struct arena *arena);
