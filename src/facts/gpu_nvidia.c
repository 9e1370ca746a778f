/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * NVIDIA. Ids and chips: pci.ids of 2026-08-22 (pci-ids.ucw.cz). Codecs by chip generation: NVIDIA Video Codec SDK,
 * NVENC application note; chips with and without NVENC and their engines: Wikipedia's table after NVIDIA's support
 * matrix (developer.nvidia.com/video-encode-decode-support-matrix), and NV_ENC_CAPS_NUM_ENCODER_ENGINES as measured by
 * rigaya/NVEnc (GPUFeatures) where a model is named. Cards without NVENC on a chip or in a generation that has it: the
 * OBS wiki, "NVENC support in OBS". Hopper and GB100 have decoders only; that is general knowledge, not measured.
 * Kernel modules: open-gpu-kernel-modules README (Turing and later), NVIDIA's driver notes (Blackwell and Grace
 * Hopper need the open ones). Last branches: NVIDIA's list of legacy GPUs.
 */
#include "facts/gpu_tables.h"

#include <stddef.h>

#define SDK "NVIDIA Video Codec SDK 13.0, NVENC application note"
#define MATRIX "Wikipedia, Nvidia NVENC (after NVIDIA's support matrix)"
#define COMPUTE "compute chip with decoders only; general knowledge, not measured"
#define OBS "OBS wiki, NVENC support in OBS"
#define LEGACY "NVIDIA list of legacy GPUs"

#define H264 CODEC_H264
#define UP_TO_HEVC (CODEC_H264 | CODEC_HEVC)
#define UP_TO_HEVC10 (CODEC_H264 | CODEC_HEVC | CODEC_HEVC10)
#define UP_TO_AV1 (UP_TO_HEVC10 | CODEC_AV1 | CODEC_AV1_10)

/* n: engines; 0 where the chip's cards differ */
#define NVENC(name, n, enc, dec, module, branch, where)                                                                \
	{                                                                                                              \
		.vendor = "nvidia", .generation = name, .engine = "nvenc", .engines = (n) ? (n) : UNKNOWN_NUMBER,      \
		.encode = enc, .decode = dec, .encode_known = YES, .flavour = module, .last_branch = branch,           \
		.driver = "nvidia nouveau", .integrated = NO, .needs_rebar = NO, .source = where                       \
	}
#define NO_NVENC(name, dec, module, branch, where)                                                                     \
	{                                                                                                              \
		.vendor = "nvidia", .generation = name, .engine = NONE, .engines = 0, .decode = dec,                   \
		.encode_known = YES, .flavour = module, .last_branch = branch, .driver = "nvidia nouveau",             \
		.integrated = NO, .needs_rebar = NO, .source = where                                                   \
	}
/* the generation is certain, its encoder is not */
#define UNSURE(name, module, branch, where)                                                                            \
	{                                                                                                              \
		.vendor = "nvidia", .generation = name, .engines = UNKNOWN_NUMBER, .flavour = module,                  \
		.last_branch = branch, .driver = "nvidia nouveau", .source = where                                     \
	}

#define MODEL static const struct gpu_model
#define CURRENT UNKNOWN_NUMBER

MODEL tesla = NO_NVENC("Tesla", 0, FLAVOUR_CLOSED_ONLY, 340, LEGACY);
MODEL fermi = NO_NVENC("Fermi", 0, FLAVOUR_CLOSED_ONLY, 390, LEGACY);
MODEL kepler = NVENC("Kepler", 1, H264, H264, FLAVOUR_CLOSED_ONLY, 470, MATRIX);
MODEL gk208 = NO_NVENC("Kepler", H264, FLAVOUR_CLOSED_ONLY, 470, OBS);
MODEL gm107 = NVENC("Maxwell", 1, H264, H264, FLAVOUR_CLOSED_ONLY, 580, SDK);
MODEL gm108 = NO_NVENC("Maxwell", 0, FLAVOUR_CLOSED_ONLY, 580, OBS);
MODEL gm20x = NVENC("Maxwell", 0, UP_TO_HEVC, H264, FLAVOUR_CLOSED_ONLY, 580, SDK);
MODEL gm206 = NVENC("Maxwell", 1, UP_TO_HEVC, UP_TO_HEVC10, FLAVOUR_CLOSED_ONLY, 580, SDK);
MODEL maxwell_unsure = UNSURE("Maxwell", FLAVOUR_CLOSED_ONLY, 580, "pci.ids");
/* whether GP100 encodes 10 bit is not in the sources */
MODEL gp100 = {
	.vendor = "nvidia", .generation = "Pascal", .engine = "nvenc", .engines = UNKNOWN_NUMBER, .encode = UP_TO_HEVC,
	.decode = UP_TO_HEVC, .flavour = FLAVOUR_CLOSED_ONLY, .last_branch = 580, .driver = "nvidia nouveau",
	.integrated = NO, .needs_rebar = NO, .source = MATRIX,
};
MODEL pascal = NVENC("Pascal", 0, UP_TO_HEVC10, UP_TO_HEVC10, FLAVOUR_CLOSED_ONLY, 580, SDK);
MODEL pascal_one = NVENC("Pascal", 1, UP_TO_HEVC10, UP_TO_HEVC10, FLAVOUR_CLOSED_ONLY, 580, SDK);
MODEL pascal_two = NVENC("Pascal", 2, UP_TO_HEVC10, UP_TO_HEVC10, FLAVOUR_CLOSED_ONLY, 580, "rigaya/NVEnc, measured");
MODEL gp108 = NO_NVENC("Pascal", UP_TO_HEVC10, FLAVOUR_CLOSED_ONLY, 580, OBS);
MODEL mx350 = NO_NVENC("Pascal", 0, FLAVOUR_CLOSED_ONLY, 580, "HandBrake issue 2943, obs-studio pull request 3662");
MODEL pascal_unsure = UNSURE("Pascal", FLAVOUR_CLOSED_ONLY, 580, "pci.ids");
MODEL volta = NVENC("Volta", 0, UP_TO_HEVC10, UP_TO_HEVC10, FLAVOUR_CLOSED_ONLY, 580, SDK);
MODEL volta_unsure = UNSURE("Volta", FLAVOUR_CLOSED_ONLY, 580, "pci.ids");
MODEL turing = NVENC("Turing", 1, UP_TO_HEVC10, UP_TO_HEVC10, FLAVOUR_EITHER, CURRENT, SDK);
MODEL turing_none = NO_NVENC("Turing", 0, FLAVOUR_EITHER, CURRENT, OBS);
MODEL turing_unsure = UNSURE("Turing", FLAVOUR_EITHER, CURRENT, "pci.ids");
MODEL ga100 = NO_NVENC("Ampere", UP_TO_HEVC10, FLAVOUR_EITHER, CURRENT, MATRIX);
MODEL ampere = NVENC("Ampere", 1, UP_TO_HEVC10, UP_TO_AV1, FLAVOUR_EITHER, CURRENT, SDK);
MODEL ampere_unsure = UNSURE("Ampere", FLAVOUR_EITHER, CURRENT, "pci.ids");
MODEL gh100 = NO_NVENC("Hopper", UP_TO_HEVC10, FLAVOUR_EITHER, CURRENT, COMPUTE);
MODEL gh200 = NO_NVENC("Hopper", UP_TO_HEVC10, FLAVOUR_OPEN_ONLY, CURRENT, COMPUTE);
MODEL ada = NVENC("Ada Lovelace", 0, UP_TO_AV1, UP_TO_AV1, FLAVOUR_EITHER, CURRENT, SDK);
MODEL ada_one = NVENC("Ada Lovelace", 1, UP_TO_AV1, UP_TO_AV1, FLAVOUR_EITHER, CURRENT, MATRIX);
MODEL ada_two = NVENC("Ada Lovelace", 2, UP_TO_AV1, UP_TO_AV1, FLAVOUR_EITHER, CURRENT, "rigaya/NVEnc, measured");
MODEL gb100 = NO_NVENC("Blackwell", UP_TO_HEVC10, FLAVOUR_OPEN_ONLY, CURRENT, COMPUTE);
MODEL blackwell = NVENC("Blackwell", 0, UP_TO_AV1, UP_TO_AV1, FLAVOUR_OPEN_ONLY, CURRENT, SDK);
MODEL blackwell_one = NVENC("Blackwell", 1, UP_TO_AV1, UP_TO_AV1, FLAVOUR_OPEN_ONLY, CURRENT, "rigaya/NVEnc, measured");
MODEL blackwell_two = NVENC("Blackwell", 2, UP_TO_AV1, UP_TO_AV1, FLAVOUR_OPEN_ONLY, CURRENT, "rigaya/NVEnc, measured");
MODEL blackwell_three = NVENC("Blackwell", 3, UP_TO_AV1, UP_TO_AV1, FLAVOUR_OPEN_ONLY, CURRENT, "rigaya/NVEnc, measured");
MODEL blackwell_unsure = UNSURE("Blackwell", FLAVOUR_OPEN_ONLY, CURRENT, "pci.ids");

const struct gpu_range gpu_nvidia[] = {
	/* cards that differ from their chip; mining cards (CMP, P10x) are unsure */
	{ 0x13ad, 0x13ae, &maxwell_unsure }, /* the list names two chips at once */
	{ 0x13be, 0x13bf, &maxwell_unsure },
	{ 0x15c2, 0x15c2, &pascal_unsure },
	{ 0x1b07, 0x1b07, &pascal_unsure },
	{ 0x1b80, 0x1b80, &pascal_two }, /* GTX 1080 */
	{ 0x1b87, 0x1b87, &pascal_unsure },
	{ 0x1bc7, 0x1bc7, &pascal_unsure },
	{ 0x1c07, 0x1c09, &pascal_unsure },
	{ 0x1c90, 0x1c90, &pascal_unsure }, /* an MX150 on GP107 */
	{ 0x1c94, 0x1c94, &mx350 },
	{ 0x1c96, 0x1c96, &mx350 },
	{ 0x1d83, 0x1d84, &volta_unsure },
	{ 0x1dc1, 0x1dc1, &volta_unsure },
	{ 0x1df4, 0x1df4, &volta_unsure },
	{ 0x1e09, 0x1e09, &turing_unsure },
	{ 0x1f0b, 0x1f0b, &turing_unsure },
	{ 0x1f97, 0x1f98, &turing_none }, /* MX450 */
	{ 0x1f9c, 0x1f9c, &turing_none },
	{ 0x1f9f, 0x1fa0, &turing_unsure }, /* MX550 */
	{ 0x1fb7, 0x1fb7, &turing_unsure }, /* T550 */
	{ 0x1fbb, 0x1fbb, &turing_none },   /* T500 */
	{ 0x2189, 0x2189, &turing_unsure },
	{ 0x220d, 0x220d, &ampere_unsure },
	{ 0x2342, 0x2348, &gh200 }, /* Grace Hopper */
	{ 0x248a, 0x248a, &ampere_unsure },
	{ 0x25a6, 0x25a7, &ampere_unsure }, /* MX570 */
	{ 0x25aa, 0x25aa, &ampere_unsure },
	{ 0x2704, 0x2704, &ada_two },         /* RTX 4080 */
	{ 0x2b85, 0x2b85, &blackwell_three }, /* RTX 5090 */
	{ 0x2c05, 0x2c05, &blackwell_two },   /* RTX 5070 Ti */
	/* chips */
	{ 0x0190, 0x019e, &tesla }, /* G80 */
	{ 0x0400, 0x042f, &tesla }, /* G84, G86 */
	{ 0x05e0, 0x065f, &tesla }, /* GT200, G92 to G96 */
	{ 0x06c0, 0x06df, &fermi }, /* GF100 */
	{ 0x06e0, 0x06ff, &tesla }, /* G98 */
	{ 0x0a20, 0x0a7c, &tesla }, /* GT216, GT218 */
	{ 0x0ca0, 0x0cbc, &tesla }, /* GT215 */
	{ 0x0dc0, 0x0dfc, &fermi }, /* GF106, GF108 */
	{ 0x0e22, 0x0e3b, &fermi }, /* GF104 */
	{ 0x0f00, 0x0f06, &fermi }, /* GF108 */
	{ 0x0fc0, 0x0fff, &kepler }, /* GK107 */
	{ 0x1001, 0x103f, &kepler }, /* GK110, GK180, GK210 */
	{ 0x1040, 0x109b, &fermi }, /* GF119, GF110 */
	{ 0x10c0, 0x10d8, &tesla }, /* GT218 */
	{ 0x1140, 0x1140, &fermi }, /* GF117 */
	{ 0x1180, 0x11ff, &kepler }, /* GK104, GK106 */
	{ 0x1200, 0x1251, &fermi }, /* GF114, GF116 */
	{ 0x1280, 0x12ba, &gk208 },
	{ 0x1340, 0x137d, &gm108 },
	{ 0x1380, 0x13bd, &gm107 },
	{ 0x13c0, 0x13fb, &gm20x }, /* GM204 */
	{ 0x1401, 0x1436, &gm206 },
	{ 0x15f0, 0x15ff, &gp100 },
	{ 0x1613, 0x1676, &gm20x }, /* GM204 */
	{ 0x1725, 0x172f, &gp100 },
	{ 0x174d, 0x174e, &gm108 },
	{ 0x1789, 0x179c, &gm107 },
	{ 0x17c2, 0x17fd, &gm20x }, /* GM200 */
	{ 0x1b00, 0x1b78, &pascal },     /* GP102 */
	{ 0x1b80, 0x1be1, &pascal },     /* GP104 */
	{ 0x1c00, 0x1c70, &pascal_one }, /* GP106 */
	{ 0x1c81, 0x1cfb, &pascal_one }, /* GP107 */
	{ 0x1d01, 0x1d56, &gp108 },
	{ 0x1d81, 0x1df6, &volta },  /* GV100 */
	{ 0x1e02, 0x1e78, &turing }, /* TU102 */
	{ 0x1e81, 0x1ef5, &turing }, /* TU104 */
	{ 0x1f02, 0x1f76, &turing }, /* TU106 */
	{ 0x1f81, 0x1ff9, &turing }, /* TU117 */
	{ 0x2080, 0x20ff, &ga100 },
	{ 0x2182, 0x21d1, &turing }, /* TU116 */
	{ 0x2200, 0x223f, &ampere }, /* GA102 */
	{ 0x2302, 0x23f0, &gh100 },
	{ 0x2414, 0x2460, &ampere }, /* GA103 */
	{ 0x2480, 0x24fa, &ampere }, /* GA104 */
	{ 0x2501, 0x2571, &ampere }, /* GA106 */
	{ 0x2582, 0x25fb, &ampere }, /* GA107 */
	{ 0x2681, 0x26f5, &ada },    /* AD102 */
	{ 0x2702, 0x2770, &ada },    /* AD103 */
	{ 0x2782, 0x27fb, &ada },    /* AD104 */
	{ 0x2803, 0x2878, &ada_one }, /* AD106 */
	{ 0x2882, 0x28f8, &ada_one }, /* AD107 */
	{ 0x2900, 0x29f1, &gb100 },   /* GB100, GB102 */
	{ 0x2b00, 0x2b00, &blackwell_unsure }, /* Thor */
	{ 0x2b85, 0x2bbc, &blackwell },        /* GB202 */
	{ 0x2c02, 0x2c79, &blackwell },        /* GB203 */
	{ 0x2d04, 0x2d79, &blackwell_one },    /* GB206 */
	{ 0x2d83, 0x2df9, &blackwell },        /* GB207 */
	{ 0x2e03, 0x2e2a, &blackwell_unsure }, /* GB20B */
	{ 0x2f04, 0x2f58, &blackwell },        /* GB205 */
	{ 0x3180, 0x323e, &blackwell_unsure }, /* GB110, GB112 */
	{ 0, 0, NULL },
};

/* Which cards the driver limits: GeForce and some entry-level Quadro (Jellyfin documentation, known issues; NVIDIA
 * forum 36192: professional boards above the entry class are exempt). Which id is which: its name in pci.ids. */

/* Cards sold as GeForce. */
const struct gpu_ids gpu_nvidia_limited[] = {
	{ 0x0fc0, 0x0fc2 }, { 0x0fc5, 0x0fc9 }, { 0x0fcc, 0x0fce }, { 0x0fd1, 0x0fd5 }, { 0x0fd8, 0x0fd9 },
	{ 0x0fdf, 0x0fe5 }, { 0x0fe9, 0x0fee }, { 0x1001, 0x100c }, { 0x1180, 0x1189 }, { 0x118e, 0x118e },
	{ 0x1191, 0x1193 }, { 0x1195, 0x11a3 }, { 0x11a7, 0x11a7 }, { 0x11a9, 0x11a9 }, { 0x11c0, 0x11c0 },
	{ 0x11c2, 0x11cb }, { 0x11e0, 0x11e3 }, { 0x1280, 0x1282 }, { 0x1284, 0x1284 }, { 0x1286, 0x1289 },
	{ 0x128b, 0x128b }, { 0x1290, 0x129a }, { 0x1340, 0x134f }, { 0x137d, 0x1382 }, { 0x1390, 0x139d },
	{ 0x13c0, 0x13c0 }, { 0x13c2, 0x13c2 }, { 0x13d7, 0x13da }, { 0x13e7, 0x13e7 }, { 0x1401, 0x1427 },
	{ 0x1617, 0x1667 }, { 0x174d, 0x174e }, { 0x179c, 0x17c8 }, { 0x1b01, 0x1b01 }, { 0x1b06, 0x1b06 },
	{ 0x1b80, 0x1b84 }, { 0x1ba0, 0x1ba2 }, { 0x1bad, 0x1bad }, { 0x1be0, 0x1be1 }, { 0x1c02, 0x1c06 },
	{ 0x1c20, 0x1c23 }, { 0x1c60, 0x1c62 }, { 0x1c81, 0x1c8d }, { 0x1c8f, 0x1c96 }, { 0x1ccc, 0x1ccd },
	{ 0x1d01, 0x1d16 }, { 0x1d52, 0x1d56 }, { 0x1e03, 0x1e07 }, { 0x1e2d, 0x1e2e }, { 0x1e81, 0x1e93 },
	{ 0x1eae, 0x1eae }, { 0x1ec2, 0x1ed3 }, { 0x1f02, 0x1f03 }, { 0x1f06, 0x1f0a }, { 0x1f10, 0x1f15 },
	{ 0x1f42, 0x1f55 }, { 0x1f82, 0x1fa0 }, { 0x1fd9, 0x1fdd }, { 0x2182, 0x2182 }, { 0x2184, 0x2184 },
	{ 0x2187, 0x2188 }, { 0x2191, 0x2192 }, { 0x21c4, 0x21d1 }, { 0x2203, 0x220a }, { 0x2216, 0x222f },
	{ 0x2414, 0x2420 }, { 0x2460, 0x2460 }, { 0x2482, 0x2482 }, { 0x2484, 0x2489 }, { 0x248c, 0x249d },
	{ 0x24a0, 0x24a0 }, { 0x24ac, 0x24af }, { 0x24bf, 0x24bf }, { 0x24c7, 0x24dd }, { 0x24e0, 0x24e0 },
	{ 0x2501, 0x2504 }, { 0x2507, 0x252f }, { 0x2544, 0x2563 }, { 0x2582, 0x25a2 }, { 0x25a5, 0x25af },
	{ 0x25e0, 0x25ed }, { 0x2684, 0x2689 }, { 0x2702, 0x2717 }, { 0x2757, 0x2757 }, { 0x2782, 0x2783 },
	{ 0x2786, 0x27a0 }, { 0x27e0, 0x27e0 }, { 0x2803, 0x2822 }, { 0x2860, 0x2860 }, { 0x2882, 0x28a3 },
	{ 0x28e0, 0x28e3 }, { 0x2b85, 0x2b8c }, { 0x2c02, 0x2c19 }, { 0x2c58, 0x2c59 }, { 0x2d04, 0x2d19 },
	{ 0x2d58, 0x2d59 }, { 0x2d83, 0x2d98 }, { 0x2dd8, 0x2dd8 }, { 0x2f04, 0x2f18 }, { 0x2f58, 0x2f58 },
	{ 0, 0 },
};

/* Tesla, GRID and data centre boards, Quadro from M2000, P2000 and K4000 up, RTX from A2000 and 3000 up. Boards in
 * neither list (entry Quadro, T, CMP, TITAN) are not certain. */
const struct gpu_ids gpu_nvidia_unlimited[] = {
	{ 0x0fe6, 0x0fe7 }, { 0x0fef, 0x0fef }, { 0x0ff2, 0x0ff2 }, { 0x0ff5, 0x0ff5 }, { 0x0ff7, 0x0ff7 },
	{ 0x101e, 0x103f }, { 0x118a, 0x118d }, { 0x118f, 0x118f }, { 0x1194, 0x1194 }, { 0x11a8, 0x11a8 },
	{ 0x11af, 0x11b4 }, { 0x11b7, 0x11b8 }, { 0x11ba, 0x11ba }, { 0x11bc, 0x11bd }, { 0x11bf, 0x11bf },
	{ 0x11fa, 0x11fa }, { 0x1389, 0x1389 }, { 0x13b0, 0x13b0 }, { 0x13bd, 0x13bd }, { 0x13f0, 0x13f9 },
	{ 0x13fb, 0x13fb }, { 0x1430, 0x1436 }, { 0x15f0, 0x15f0 }, { 0x15f7, 0x15f9 }, { 0x15fc, 0x15fc },
	{ 0x1613, 0x1613 }, { 0x1676, 0x1676 }, { 0x1789, 0x1789 }, { 0x17f0, 0x17fd }, { 0x1b30, 0x1b39 },
	{ 0x1bb0, 0x1bb7 }, { 0x1bb9, 0x1bb9 }, { 0x1c30, 0x1c35 }, { 0x1cba, 0x1cba }, { 0x1cfa, 0x1cfa },
	{ 0x1db0, 0x1dbd }, { 0x1df0, 0x1df2 }, { 0x1df5, 0x1df6 }, { 0x1e30, 0x1e38 }, { 0x1e78, 0x1e78 },
	{ 0x1eb0, 0x1eb8 }, { 0x1ef5, 0x1ef5 }, { 0x1f36, 0x1f36 }, { 0x1f76, 0x1f76 }, { 0x1ff2, 0x1ff2 },
	{ 0x20be, 0x20bf }, { 0x2230, 0x2238 }, { 0x2438, 0x2438 }, { 0x24b0, 0x24b0 }, { 0x24b6, 0x24bb },
	{ 0x24fa, 0x24fa }, { 0x2531, 0x2531 }, { 0x2571, 0x2571 }, { 0x25b6, 0x25b8 }, { 0x25ba, 0x25ba },
	{ 0x25fa, 0x25fa }, { 0x26b1, 0x26b2 }, { 0x26b5, 0x26ba }, { 0x26f5, 0x26f5 }, { 0x2730, 0x2730 },
	{ 0x2770, 0x2770 }, { 0x27b0, 0x27b6 }, { 0x27b8, 0x27bb }, { 0x27fa, 0x27fb }, { 0x2838, 0x2838 },
	{ 0x2878, 0x2878 }, { 0x2bb1, 0x2bbc }, { 0x2c31, 0x2c3a }, { 0x2c77, 0x2c79 }, { 0x2d30, 0x2d39 },
	{ 0x2d79, 0x2d79 }, { 0x2db8, 0x2db9 }, { 0x2df9, 0x2df9 }, { 0x2f38, 0x2f38 },
	{ 0, 0 },
};
