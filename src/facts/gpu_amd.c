/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * AMD. Ids and chips: Linux drivers/gpu/drm/amd/amdgpu/amdgpu_drv.c (pciidlist), newer ones by pci.ids of 2026-08-22.
 * Blocks (VCE, VCN) per chip: Linux amdgpu si.c, cik.c, vi.c, soc15.c, nv.c and amdgpu_discovery.c. Codecs:
 * Jellyfin documentation, hardware acceleration on AMD. Compute boards (Arcturus, Aldebaran, Aqua Vanjaram) are unsure.
 */
#include "facts/gpu_tables.h"

#include <stddef.h>

#define JELLYFIN "Jellyfin documentation, AMD GPU; Linux amdgpu_drv.c"
#define BLOCKS "Linux amdgpu_drv.c; the chip has no video block"
#define PCIIDS "Linux amdgpu_drv.c, pci.ids"

#define H264 CODEC_H264
#define UP_TO_HEVC (CODEC_H264 | CODEC_HEVC)
#define UP_TO_HEVC10 (CODEC_H264 | CODEC_HEVC | CODEC_HEVC10)
#define UP_TO_AV1 (UP_TO_HEVC10 | CODEC_AV1 | CODEC_AV1_10)

#define AMD(name, block, enc, dec, known, kernel_driver, inside, where)                                                \
	{                                                                                                              \
		.vendor = "amd", .generation = name, .engine = block, .engines = UNKNOWN_NUMBER, .encode = enc,        \
		.decode = dec, .encode_known = known, .last_branch = UNKNOWN_NUMBER, .needs_rebar = NO,                \
		.driver = kernel_driver, .integrated = inside, .source = where                                         \
	}
#define OLD "radeon amdgpu" /* radeon in most kernels, amdgpu with si_support or cik_support */
#define CARD(name, block, enc, dec) AMD(name, block, enc, dec, YES, "amdgpu", NO, JELLYFIN)
#define APU(name, block, enc, dec) AMD(name, block, enc, dec, YES, "amdgpu", YES, JELLYFIN)

#define MODEL static const struct gpu_model

/* GCN 1: only radeon drives VCE 1, amdgpu of most kernels does not */
MODEL tahiti = AMD("Tahiti", "vce", 0, H264, UNKNOWN, OLD, NO, PCIIDS);
MODEL pitcairn = AMD("Pitcairn", "vce", 0, H264, UNKNOWN, OLD, NO, PCIIDS);
MODEL cape_verde = AMD("Cape Verde", "vce", 0, H264, UNKNOWN, OLD, NO, PCIIDS);
MODEL oland = AMD("Oland", NULL, 0, 0, UNKNOWN, OLD, NO, PCIIDS);
MODEL hainan = AMD("Hainan", NONE, 0, 0, YES, OLD, NO, BLOCKS);
/* GCN 2 */
MODEL bonaire = AMD("Bonaire", "vce", H264, H264, YES, OLD, NO, JELLYFIN);
MODEL hawaii = AMD("Hawaii", "vce", H264, H264, YES, OLD, NO, JELLYFIN);
MODEL kaveri = AMD("Kaveri", "vce", H264, H264, YES, OLD, YES, JELLYFIN);
MODEL kabini = AMD("Kabini", "vce", H264, H264, YES, OLD, YES, JELLYFIN);
MODEL mullins = AMD("Mullins", "vce", H264, H264, YES, OLD, YES, JELLYFIN);
/* GCN 3 and 4 */
MODEL topaz = AMD("Topaz", NONE, 0, 0, YES, "amdgpu", NO, BLOCKS);
MODEL tonga = CARD("Tonga", "vce", H264, H264);
MODEL fiji = CARD("Fiji", "vce", H264, UP_TO_HEVC);
MODEL carrizo = APU("Carrizo", "vce", H264, UP_TO_HEVC);
MODEL stoney = APU("Stoney", "vce", H264, UP_TO_HEVC);
MODEL polaris10 = CARD("Polaris 10", "vce", UP_TO_HEVC, UP_TO_HEVC10);
MODEL polaris11 = CARD("Polaris 11", "vce", UP_TO_HEVC, UP_TO_HEVC10);
MODEL polaris12 = CARD("Polaris 12", "vce", UP_TO_HEVC, UP_TO_HEVC10);
MODEL vegam = CARD("Polaris 22", "vce", UP_TO_HEVC, UP_TO_HEVC10);
/* Vega */
MODEL vega10 = CARD("Vega 10", "vce", UP_TO_HEVC, UP_TO_HEVC10);
MODEL vega12 = CARD("Vega 12", "vce", UP_TO_HEVC, UP_TO_HEVC10);
MODEL vega20 = CARD("Vega 20", "vce", UP_TO_HEVC, UP_TO_HEVC10);
MODEL raven = APU("Raven", "vcn", UP_TO_HEVC, UP_TO_HEVC10);
MODEL picasso = APU("Picasso", "vcn", UP_TO_HEVC, UP_TO_HEVC10);
MODEL renoir = APU("Renoir", "vcn", UP_TO_HEVC10, UP_TO_HEVC10);
MODEL lucienne = APU("Lucienne", "vcn", UP_TO_HEVC10, UP_TO_HEVC10);
MODEL cezanne = APU("Cezanne", "vcn", UP_TO_HEVC10, UP_TO_HEVC10);
MODEL barcelo = APU("Barcelo", "vcn", UP_TO_HEVC10, UP_TO_HEVC10);
MODEL arcturus = AMD("Arcturus", NULL, 0, 0, UNKNOWN, "amdgpu", NO, PCIIDS);
MODEL aldebaran = AMD("Aldebaran", NULL, 0, 0, UNKNOWN, "amdgpu", NO, PCIIDS);
MODEL aqua_vanjaram = AMD("Aqua Vanjaram", NULL, 0, 0, UNKNOWN, "amdgpu", UNKNOWN, PCIIDS);
/* RDNA 1 and 2 */
MODEL navi10 = CARD("Navi 10", "vcn", UP_TO_HEVC10, UP_TO_HEVC10);
MODEL navi12 = CARD("Navi 12", "vcn", UP_TO_HEVC10, UP_TO_HEVC10);
MODEL navi14 = CARD("Navi 14", "vcn", UP_TO_HEVC10, UP_TO_HEVC10);
MODEL navi21 = CARD("Navi 21", "vcn", UP_TO_HEVC10, UP_TO_AV1);
MODEL navi22 = CARD("Navi 22", "vcn", UP_TO_HEVC10, UP_TO_AV1);
MODEL navi23 = CARD("Navi 23", "vcn", UP_TO_HEVC10, UP_TO_AV1);
MODEL navi24 = CARD("Navi 24", NONE, 0, UP_TO_HEVC10);
MODEL van_gogh = APU("Van Gogh", "vcn", UP_TO_HEVC10, UP_TO_AV1);
MODEL rembrandt = APU("Rembrandt", "vcn", UP_TO_HEVC10, UP_TO_AV1);
MODEL raphael = APU("Raphael", "vcn", UP_TO_HEVC10, UP_TO_AV1);
MODEL mendocino = APU("Mendocino", "vcn", UP_TO_HEVC10, UP_TO_AV1);
MODEL granite_ridge = APU("Granite Ridge", "vcn", UP_TO_HEVC10, UP_TO_AV1);
/* RDNA 3 and 4 */
MODEL navi31 = CARD("Navi 31", "vcn", UP_TO_AV1, UP_TO_AV1);
MODEL navi32 = CARD("Navi 32", "vcn", UP_TO_AV1, UP_TO_AV1);
MODEL navi33 = CARD("Navi 33", "vcn", UP_TO_AV1, UP_TO_AV1);
MODEL phoenix = APU("Phoenix", "vcn", UP_TO_AV1, UP_TO_AV1);
MODEL hawk_point = APU("Hawk Point", "vcn", UP_TO_AV1, UP_TO_AV1);
MODEL strix = APU("Strix", "vcn", UP_TO_AV1, UP_TO_AV1);
MODEL strix_halo = APU("Strix Halo", "vcn", UP_TO_AV1, UP_TO_AV1);
MODEL krackan = APU("Krackan", "vcn", UP_TO_AV1, UP_TO_AV1);
MODEL navi44 = CARD("Navi 44", "vcn", UP_TO_AV1, UP_TO_AV1);
MODEL navi48 = CARD("Navi 48", "vcn", UP_TO_AV1, UP_TO_AV1);

const struct gpu_range gpu_amd[] = {
	{ 0x1114, 0x1114, &krackan },	    { 0x1304, 0x131d, &kaveri },	{ 0x13c0, 0x13c0, &granite_ridge },
	{ 0x1506, 0x1506, &mendocino },	    { 0x150e, 0x150e, &strix },		{ 0x1586, 0x1586, &strix_halo },
	{ 0x15bf, 0x15bf, &phoenix },	    { 0x15c8, 0x15c8, &phoenix },	{ 0x15d8, 0x15d8, &picasso },
	{ 0x15dd, 0x15dd, &raven },	    { 0x15e7, 0x15e7, &barcelo },	{ 0x1636, 0x1636, &renoir },
	{ 0x1638, 0x1638, &cezanne },	    { 0x163f, 0x163f, &van_gogh },	{ 0x164c, 0x164c, &lucienne },
	{ 0x164d, 0x164d, &rembrandt },	    { 0x164e, 0x164e, &raphael },	{ 0x164f, 0x164f, &phoenix },
	{ 0x1681, 0x1681, &rembrandt },	    { 0x1900, 0x1901, &hawk_point },	{ 0x1902, 0x1902, &krackan },
	{ 0x6600, 0x6631, &oland },	    { 0x6640, 0x665f, &bonaire },	{ 0x6660, 0x666f, &hainan },
	{ 0x66a0, 0x66af, &vega20 },	    { 0x6780, 0x679f, &tahiti },	{ 0x67a0, 0x67be, &hawaii },
	{ 0x67c0, 0x67df, &polaris10 },	    { 0x67e0, 0x67ff, &polaris11 },	{ 0x6800, 0x6819, &pitcairn },
	{ 0x6820, 0x683f, &cape_verde },    { 0x6860, 0x687f, &vega10 },	{ 0x6900, 0x6907, &topaz },
	{ 0x6920, 0x693b, &tonga },	    { 0x694c, 0x694f, &vegam },		{ 0x6980, 0x699f, &polaris12 },
	{ 0x69a0, 0x69af, &vega12 },	    { 0x6fdf, 0x6fdf, &polaris10 },	{ 0x7300, 0x730f, &fiji },
	{ 0x7310, 0x731f, &navi10 },	    { 0x7340, 0x734f, &navi14 },	{ 0x7360, 0x7362, &navi12 },
	{ 0x7388, 0x7390, &arcturus },	    { 0x73a0, 0x73bf, &navi21 },	{ 0x73c0, 0x73df, &navi22 },
	{ 0x73f0, 0x73f0, &navi33 },	    { 0x73e0, 0x73ff, &navi23 },	{ 0x7408, 0x7410, &aldebaran },
	{ 0x7420, 0x743f, &navi24 },	    { 0x7448, 0x745e, &navi31 },	{ 0x7460, 0x747e, &navi32 },
	{ 0x7480, 0x749f, &navi33 },	    { 0x74a0, 0x74bd, &aqua_vanjaram }, { 0x7550, 0x7551, &navi48 },
	{ 0x7590, 0x7590, &navi44 },	    { 0x75a0, 0x75a8, &aqua_vanjaram }, { 0x9830, 0x983f, &kabini },
	{ 0x9850, 0x985f, &mullins },	    { 0x9870, 0x9877, &carrizo },	{ 0x98e4, 0x98e4, &stoney },
	{ 0, 0, NULL },
};
