/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a GPU of given PCI ids can do: one table per vendor, with sources, and an "unknown" row.
 * Listed is not proven: this is what to expect, the proofs (media) say what works.
 */
#pragma once
#include "base/text.h"

enum codec { CODEC_H264 = 1, CODEC_HEVC = 2, CODEC_HEVC10 = 4, CODEC_AV1 = 8, CODEC_AV1_10 = 16 };

enum nvidia_flavour { FLAVOUR_UNKNOWN, FLAVOUR_CLOSED_ONLY, FLAVOUR_EITHER, FLAVOUR_OPEN_ONLY };

struct gpu_model {
	const char *vendor;      /* "nvidia", "intel", "amd"; "other" */
	const char *generation;  /* "Ada Lovelace", "Alder Lake-S", "Navi 33"; NULL: ids not in the table */
	const char *engine;      /* "nvenc", "quicksync", "vcn", "vce"; NONE: known to have no encoder; NULL unknown */
	int64_t engines;         /* number of encoder engines; UNKNOWN_NUMBER */
	unsigned encode, decode; /* enum codec bits; 0 together with engine NULL: unknown */
	enum tri encode_known;   /* YES: encode is complete; UNKNOWN: what stands in it is certain, there may be more */
	/* NVIDIA */
	enum nvidia_flavour flavour; /* which kernel module drives it */
	int64_t last_branch;    /* 580 for Maxwell..Volta, 470 for Kepler, 390 for Fermi; UNKNOWN_NUMBER: none yet, or
	                           unknown */
	enum tri session_limit; /* consumer NVENC session cap applies; by id, UNKNOWN for entry Quadro, T and TITAN
	                           cards */
	/* Intel */
	enum tri low_power_only;  /* EncSliceLP is the only encode entrypoint */
	enum tri huc_by_default;  /* NO: i915.enable_guc=2 is needed for low-power rate control */
	const char *kernel_floor; /* "5.17"; NULL: no floor known */
	enum tri needs_rebar;
	const char
	        *driver; /* kernel drivers that know it, the default first: "i915", "i915 xe", "xe", "radeon amdgpu" */
	enum tri integrated; /* an iGPU or APU */
	const char *source;  /* where the row comes from */
};

/* A kernel range in which GPUs are known to misbehave. generation: names with | between; first and last are upstream
 * versions, both included, or (with a -) Ubuntu's releases. */
struct gpu_kernel_bug {
	const char *generation;
	const char *first, *last;
	const char *what;
	const char *source;
};

/* class_code has 24 bits (0x030000); what is no display controller (class 03) gets its vendor's unknown row. */
struct gpu_model gpu_model(int64_t vendor, int64_t device, int64_t class_code);
/* The bug that applies to this generation on this kernel release ("6.8.12-4-pve"), or NULL: none known. Kernels of
 * distributions carry fixes of their own, so a hit is a suspicion. Debian's and Ubuntu's releases hide their patch
 * level ("6.1.0-13-amd64"): they hit only where every patch level of that series is in the range. */
const struct gpu_kernel_bug *gpu_kernel_bug(const char *generation, const char *kernel);
/* NVENC sessions a GeForce driver of this branch allows per system: 3, 5, 8, 12 (Jellyfin documentation, known issues;
 * keylase/nvidia-patch 1027); UNKNOWN_NUMBER: no version, or older than 450. */
int64_t gpu_session_limit(const char *driver_version);
/* The first kernel for which Debian's package of this branch no longer builds; NULL: none is known. */
const char *gpu_nvidia_too_new(const char *driver_version);
/* Is this driver branch able to drive the model? NO: too new for an old card, too old, or the other kernel module is
 * needed. UNKNOWN also for the very first branch of a generation. */
enum tri gpu_driver_serves(const struct gpu_model *model, const char *driver_version, enum tri open_module);
/* "h264 hevc hevc10 av1"; av1 stands for 8 and 10 bit: each block that has it has both. */
const char *gpu_codecs_text(unsigned codecs, struct arena *arena);
/* docs/gpus.md, from the tables. */
const char *gpu_document(struct arena *arena);
