/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Intel. Ids and generations: Linux include/drm/intel/pciids.h. Codecs and entrypoints: intel/media-driver README,
 * "Decoding/Encoding Features", full-feature build (the free build has less on Skylake to Alder Lake); before Broadwell
 * the i965 driver. HuC: Linux drivers/gpu/drm/i915/gt/uc/intel_uc.c (what is loaded when enable_guc is left alone) and
 * the media-driver README's known issues. First kernels: Jellyfin documentation, known issues.
 * Class codes keep the host bridges and audio devices that lie between these ids apart.
 */
#include "facts/gpu_tables.h"

#include <stddef.h>

#define README "intel/media-driver README"
#define JELLYFIN "intel/media-driver README; Jellyfin documentation, known issues"
#define I965 "intel-vaapi-driver README"
#define PCIIDS "Linux include/drm/intel/pciids.h"

#define H264 CODEC_H264
#define UP_TO_HEVC (CODEC_H264 | CODEC_HEVC)
#define UP_TO_HEVC10 (CODEC_H264 | CODEC_HEVC | CODEC_HEVC10)
#define UP_TO_AV1 (UP_TO_HEVC10 | CODEC_AV1 | CODEC_AV1_10)

#define QUICKSYNC(name, enc, dec, low, huc, floor, kernel_driver, inside, where)                                       \
	{                                                                                                              \
		.vendor = "intel", .generation = name, .engine = "quicksync", .engines = UNKNOWN_NUMBER, .encode = enc, \
		.decode = dec, .encode_known = YES, .last_branch = UNKNOWN_NUMBER, .low_power_only = low,              \
		.huc_by_default = huc, .kernel_floor = floor, .needs_rebar = NO, .driver = kernel_driver,              \
		.integrated = inside, .source = where                                                                  \
	}
#define UNSURE(name, kernel_driver, inside)                                                                            \
	{                                                                                                              \
		.vendor = "intel", .generation = name, .engines = UNKNOWN_NUMBER, .last_branch = UNKNOWN_NUMBER,       \
		.driver = kernel_driver, .integrated = inside, .source = PCIIDS                                        \
	}

#define MODEL static const struct gpu_model

/* Pentium and Celeron of these three have the encoder switched off, under the same ids as their bigger siblings. */
MODEL sandy_bridge_gt1 = UNSURE("Sandy Bridge", "i915", YES);
MODEL ivy_bridge_gt1 = UNSURE("Ivy Bridge", "i915", YES);
MODEL haswell_gt1 = UNSURE("Haswell", "i915", YES);
MODEL sandy_bridge = QUICKSYNC("Sandy Bridge", H264, H264, NO, UNKNOWN, NULL, "i915", YES, I965);
MODEL ivy_bridge = QUICKSYNC("Ivy Bridge", H264, H264, NO, UNKNOWN, NULL, "i915", YES, I965);
MODEL haswell = QUICKSYNC("Haswell", H264, H264, NO, UNKNOWN, NULL, "i915", YES, I965);
MODEL bay_trail = UNSURE("Bay Trail", "i915", YES);
MODEL broadwell = QUICKSYNC("Broadwell", H264, H264, NO, UNKNOWN, NULL, "i915", YES, README);
MODEL braswell = UNSURE("Braswell", "i915", YES);
MODEL skylake = QUICKSYNC("Skylake", UP_TO_HEVC, UP_TO_HEVC, NO, NO, NULL, "i915", YES, README);
MODEL apollo_lake = QUICKSYNC("Apollo Lake", UP_TO_HEVC, UP_TO_HEVC10, NO, NO, NULL, "i915", YES, README);
/* the README has no column of its own for it; encoding 10 bit is left open */
MODEL gemini_lake = {
	.vendor = "intel", .generation = "Gemini Lake", .engine = "quicksync", .engines = UNKNOWN_NUMBER,
	.encode = UP_TO_HEVC, .decode = UP_TO_HEVC10, .last_branch = UNKNOWN_NUMBER, .low_power_only = NO,
	.huc_by_default = NO, .needs_rebar = NO, .driver = "i915", .integrated = YES, .source = README,
};
MODEL kaby_lake = QUICKSYNC("Kaby Lake", UP_TO_HEVC10, UP_TO_HEVC10, NO, NO, NULL, "i915", YES, README);
MODEL amber_lake = QUICKSYNC("Amber Lake", UP_TO_HEVC10, UP_TO_HEVC10, NO, NO, NULL, "i915", YES, README);
MODEL coffee_lake = QUICKSYNC("Coffee Lake", UP_TO_HEVC10, UP_TO_HEVC10, NO, NO, NULL, "i915", YES, README);
MODEL whiskey_lake = QUICKSYNC("Whiskey Lake", UP_TO_HEVC10, UP_TO_HEVC10, NO, NO, NULL, "i915", YES, README);
MODEL comet_lake = QUICKSYNC("Comet Lake", UP_TO_HEVC10, UP_TO_HEVC10, NO, NO, NULL, "i915", YES, README);
MODEL cannon_lake = UNSURE("Cannon Lake", "i915", YES);
MODEL ice_lake = QUICKSYNC("Ice Lake", UP_TO_HEVC10, UP_TO_HEVC10, NO, NO, NULL, "i915", YES, README);
MODEL elkhart_lake = QUICKSYNC("Elkhart Lake", UP_TO_HEVC10, UP_TO_HEVC10, YES, NO, NULL, "i915", YES, README);
MODEL jasper_lake = QUICKSYNC("Jasper Lake", UP_TO_HEVC10, UP_TO_HEVC10, YES, NO, NULL, "i915", YES, README);
MODEL tiger_lake = QUICKSYNC("Tiger Lake", UP_TO_HEVC10, UP_TO_AV1, NO, NO, "5.9", "i915 xe", YES, JELLYFIN);
MODEL rocket_lake = QUICKSYNC("Rocket Lake", UP_TO_HEVC10, UP_TO_AV1, NO, NO, NULL, "i915 xe", YES, README);
MODEL dg1 = {
	.vendor = "intel", .generation = "DG1", .engine = "quicksync", .engines = UNKNOWN_NUMBER, .encode = UP_TO_HEVC10,
	.decode = UP_TO_AV1, .encode_known = YES, .last_branch = UNKNOWN_NUMBER, .low_power_only = NO,
	.huc_by_default = YES, .kernel_floor = "6.17", .driver = "i915 xe", .integrated = NO, .source = JELLYFIN,
};
MODEL alder_lake_s = QUICKSYNC("Alder Lake-S", UP_TO_HEVC10, UP_TO_AV1, NO, YES, "5.17", "i915 xe", YES, JELLYFIN);
MODEL alder_lake_p = QUICKSYNC("Alder Lake-P", UP_TO_HEVC10, UP_TO_AV1, NO, YES, "5.17", "i915 xe", YES, JELLYFIN);
MODEL alder_lake_n = QUICKSYNC("Alder Lake-N", UP_TO_HEVC10, UP_TO_AV1, NO, YES, "5.17", "i915 xe", YES, JELLYFIN);
/* N150, N250, N350 */
MODEL twin_lake = QUICKSYNC("Alder Lake-N", UP_TO_HEVC10, UP_TO_AV1, NO, YES, "6.9", "i915 xe", YES, JELLYFIN);
MODEL raptor_lake_s = QUICKSYNC("Raptor Lake-S", UP_TO_HEVC10, UP_TO_AV1, NO, YES, NULL, "i915 xe", YES, README);
MODEL raptor_lake_p = QUICKSYNC("Raptor Lake-P", UP_TO_HEVC10, UP_TO_AV1, NO, YES, NULL, "i915 xe", YES, README);
#define DG2(name)                                                                                                      \
	{                                                                                                              \
		.vendor = "intel", .generation = name, .engine = "quicksync", .engines = 2, .encode = UP_TO_AV1,       \
		.decode = UP_TO_AV1, .encode_known = YES, .last_branch = UNKNOWN_NUMBER, .low_power_only = YES,        \
		.huc_by_default = YES, .kernel_floor = "6.2", .needs_rebar = NO, .driver = "i915 xe",                  \
		.integrated = NO, .source = JELLYFIN                                                                   \
	}
MODEL alchemist = DG2("Alchemist");
MODEL flex = DG2("Data Center GPU Flex");
/* its list goes on at 0be0, which older Atoms have as well */
MODEL ponte_vecchio = UNSURE("Ponte Vecchio", "xe", NO);
/* from Meteor Lake on the driver lists the low-power encoder as EncSlice: there is no second one to miss */
MODEL meteor_lake = QUICKSYNC("Meteor Lake", UP_TO_AV1, UP_TO_AV1, NO, YES, "6.7", "i915 xe", YES, JELLYFIN);
MODEL arrow_lake = QUICKSYNC("Arrow Lake", UP_TO_AV1, UP_TO_AV1, NO, YES, "6.11", "i915 xe", YES, JELLYFIN);
MODEL lunar_lake = QUICKSYNC("Lunar Lake", UP_TO_AV1, UP_TO_AV1, NO, YES, "6.12", "xe", YES, JELLYFIN);
MODEL battlemage = {
	.vendor = "intel", .generation = "Battlemage", .engine = "quicksync", .engines = UNKNOWN_NUMBER,
	.encode = UP_TO_AV1, .decode = UP_TO_AV1, .encode_known = YES, .last_branch = UNKNOWN_NUMBER,
	.low_power_only = NO, .huc_by_default = YES, .kernel_floor = "6.12", .needs_rebar = YES, .driver = "xe",
	.integrated = NO, .source = JELLYFIN,
};
MODEL panther_lake = QUICKSYNC("Panther Lake", UP_TO_AV1, UP_TO_AV1, NO, YES, NULL, "xe", YES, README);
MODEL wildcat_lake = UNSURE("Wildcat Lake", "xe", YES);
MODEL nova_lake = UNSURE("Nova Lake", "xe", YES);

const struct gpu_range gpu_intel[] = {
	{ 0x0102, 0x0102, &sandy_bridge_gt1 }, { 0x0106, 0x0106, &sandy_bridge_gt1 },
	{ 0x010a, 0x010a, &sandy_bridge_gt1 }, { 0x0112, 0x0126, &sandy_bridge },
	{ 0x0152, 0x015a, &ivy_bridge_gt1 },   { 0x0162, 0x016a, &ivy_bridge },
	{ 0x0402, 0x040e, &haswell_gt1 },      { 0x0412, 0x042e, &haswell },
	{ 0x0a02, 0x0a0e, &haswell_gt1 },      { 0x0a12, 0x0a2e, &haswell },
	{ 0x0a84, 0x0a84, &apollo_lake },      { 0x0b69, 0x0b6e, &ponte_vecchio },
	{ 0x0bd4, 0x0bdb, &ponte_vecchio },    { 0x0c02, 0x0c0e, &haswell_gt1 },
	{ 0x0c12, 0x0c2e, &haswell },	       { 0x0d02, 0x0d0e, &haswell_gt1 },
	{ 0x0d12, 0x0d2e, &haswell },	       { 0x0f30, 0x0f33, &bay_trail },
	{ 0x1602, 0x163e, &broadwell },	       { 0x1902, 0x193d, &skylake },
	{ 0x1a84, 0x1a85, &apollo_lake },      { 0x22b0, 0x22b3, &braswell },
	{ 0x3184, 0x3185, &gemini_lake },      { 0x3e90, 0x3e9c, &coffee_lake },
	{ 0x3ea0, 0x3ea4, &whiskey_lake },     { 0x3ea5, 0x3ea9, &coffee_lake },
	{ 0x4541, 0x4571, &elkhart_lake },     { 0x4626, 0x462a, &alder_lake_p },
	{ 0x4680, 0x4693, &alder_lake_s },     { 0x46a0, 0x46c3, &alder_lake_p },
	{ 0x46d0, 0x46d2, &alder_lake_n },     { 0x46d3, 0x46d4, &twin_lake },
	{ 0x4905, 0x4909, &dg1 },	       { 0x4c80, 0x4c9a, &rocket_lake },
	{ 0x4e51, 0x4e71, &jasper_lake },      { 0x5690, 0x5697, &alchemist },
	{ 0x56a0, 0x56a6, &alchemist },	       { 0x56b0, 0x56b3, &alchemist },
	{ 0x56ba, 0x56bf, &alchemist },	       { 0x56c0, 0x56c2, &flex },
	{ 0x591c, 0x591c, &amber_lake },       { 0x5902, 0x593b, &kaby_lake },
	{ 0x5a40, 0x5a5c, &cannon_lake },      { 0x5a84, 0x5a85, &apollo_lake },
	{ 0x6420, 0x6420, &lunar_lake },       { 0x64a0, 0x64b0, &lunar_lake },
	{ 0x7d40, 0x7d40, &meteor_lake },      { 0x7d41, 0x7d41, &arrow_lake },
	{ 0x7d45, 0x7d45, &meteor_lake },      { 0x7d51, 0x7d51, &arrow_lake },
	{ 0x7d55, 0x7d60, &meteor_lake },      { 0x7d67, 0x7d67, &arrow_lake },
	{ 0x7dd1, 0x7dd1, &arrow_lake },       { 0x7dd5, 0x7dd5, &meteor_lake },
	{ 0x87c0, 0x87ca, &amber_lake },       { 0x8a50, 0x8a71, &ice_lake },
	{ 0x9a40, 0x9af8, &tiger_lake },       { 0x9b21, 0x9b41, &comet_lake },
	{ 0x9ba2, 0x9bf6, &comet_lake },       { 0xa720, 0xa721, &raptor_lake_p },
	{ 0xa780, 0xa78b, &raptor_lake_s },    { 0xa7a0, 0xa7ad, &raptor_lake_p },
	{ 0xb080, 0xb087, &panther_lake },     { 0xb08f, 0xb090, &panther_lake },
	{ 0xb0a0, 0xb0a0, &panther_lake },     { 0xb0b0, 0xb0b0, &panther_lake },
	{ 0xb640, 0xb640, &arrow_lake },       { 0xd740, 0xd75f, &nova_lake },
	{ 0xe202, 0xe216, &battlemage },       { 0xe220, 0xe223, &battlemage },
	{ 0xfd80, 0xfd81, &wildcat_lake },     { 0, 0, NULL },
};
