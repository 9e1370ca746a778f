/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "facts/gpu.h"
#include "facts/gpu_tables.h"

enum { NVIDIA = 0x10de, INTEL = 0x8086, AMD = 0x1002, VGA = 0x030000 };

/* ---- well-known cards --------------------------------------------------- */

struct card {
	int64_t vendor, device;
	const char *generation; /* NULL: not in the table */
	const char *engine;	/* "": none; NULL: unknown */
	const char *codecs;	/* what it encodes */
	const char *name;
};

#define PASCAL "h264 hevc hevc10"
#define ADA "h264 hevc hevc10 av1"

static const struct card cards[] = {
	{ NVIDIA, 0x0a65, "Tesla", "", "", "GeForce 210" },
	{ NVIDIA, 0x0fc6, "Kepler", "nvenc", "h264", "GTX 650" },
	{ NVIDIA, 0x0dc4, "Fermi", "", "", "GTS 450" },
	{ NVIDIA, 0x0f00, "Fermi", "", "", "GT 630 (GF108)" },
	{ NVIDIA, 0x104a, "Fermi", "", "", "GT 610" },
	{ NVIDIA, 0x1180, "Kepler", "nvenc", "h264", "GTX 680" },
	{ NVIDIA, 0x1004, "Kepler", "nvenc", "h264", "GTX 780" },
	{ NVIDIA, 0x1287, "Kepler", "", "", "GT 730 (GK208)" },
	{ NVIDIA, 0x128b, "Kepler", "", "", "GT 710" },
	{ NVIDIA, 0x1380, "Maxwell", "nvenc", "h264", "GTX 750 Ti" },
	{ NVIDIA, 0x1341, "Maxwell", "", "", "840M" },
	{ NVIDIA, 0x174d, "Maxwell", "", "", "MX130" },
	{ NVIDIA, 0x174e, "Maxwell", "", "", "MX110" },
	{ NVIDIA, 0x13c2, "Maxwell", "nvenc", "h264 hevc", "GTX 970" },
	{ NVIDIA, 0x17c8, "Maxwell", "nvenc", "h264 hevc", "GTX 980 Ti" },
	{ NVIDIA, 0x1401, "Maxwell", "nvenc", "h264 hevc", "GTX 960" },
	{ NVIDIA, 0x13bb, "Maxwell", "nvenc", "h264", "Quadro K620" },
	{ NVIDIA, 0x1d01, "Pascal", "", "", "GT 1030" },
	{ NVIDIA, 0x1d10, "Pascal", "", "", "MX150" },
	{ NVIDIA, 0x1d11, "Pascal", "", "", "MX230" },
	{ NVIDIA, 0x1d13, "Pascal", "", "", "MX250" },
	{ NVIDIA, 0x1d16, "Pascal", "", "", "MX330" },
	{ NVIDIA, 0x1c94, "Pascal", "", "", "MX350" },
	{ NVIDIA, 0x1d33, "Pascal", "", "", "Quadro P500" },
	{ NVIDIA, 0x1d34, "Pascal", "", "", "Quadro P520" },
	{ NVIDIA, 0x1c82, "Pascal", "nvenc", PASCAL, "GTX 1050 Ti" },
	{ NVIDIA, 0x1c03, "Pascal", "nvenc", PASCAL, "GTX 1060 6GB" },
	{ NVIDIA, 0x1b80, "Pascal", "nvenc", PASCAL, "GTX 1080" },
	{ NVIDIA, 0x1b06, "Pascal", "nvenc", PASCAL, "GTX 1080 Ti" },
	{ NVIDIA, 0x1c30, "Pascal", "nvenc", PASCAL, "Quadro P2000" },
	{ NVIDIA, 0x1cb3, "Pascal", "nvenc", PASCAL, "Quadro P400" },
	{ NVIDIA, 0x1cb6, "Pascal", "nvenc", PASCAL, "Quadro P620" },
	{ NVIDIA, 0x1bb3, "Pascal", "nvenc", PASCAL, "Tesla P4" },
	{ NVIDIA, 0x15f8, "Pascal", "nvenc", "h264 hevc", "Tesla P100" },
	{ NVIDIA, 0x1c07, "Pascal", NULL, "", "P106-100" },
	{ NVIDIA, 0x1db4, "Volta", "nvenc", PASCAL, "Tesla V100" },
	{ NVIDIA, 0x1eb8, "Turing", "nvenc", PASCAL, "T4" },
	{ NVIDIA, 0x1f82, "Turing", "nvenc", PASCAL, "GTX 1650" },
	{ NVIDIA, 0x2184, "Turing", "nvenc", PASCAL, "GTX 1660" },
	{ NVIDIA, 0x1f08, "Turing", "nvenc", PASCAL, "RTX 2060" },
	{ NVIDIA, 0x1f97, "Turing", "", "", "MX450" },
	{ NVIDIA, 0x1fbb, "Turing", "", "", "T500" },
	{ NVIDIA, 0x1f9f, "Turing", NULL, "", "MX550" },
	{ NVIDIA, 0x20b0, "Ampere", "", "", "A100" },
	{ NVIDIA, 0x20b7, "Ampere", "", "", "A30" },
	{ NVIDIA, 0x2206, "Ampere", "nvenc", PASCAL, "RTX 3080" },
	{ NVIDIA, 0x2504, "Ampere", "nvenc", PASCAL, "RTX 3060" },
	{ NVIDIA, 0x25b6, "Ampere", "nvenc", PASCAL, "A2" },
	{ NVIDIA, 0x2531, "Ampere", "nvenc", PASCAL, "RTX A2000" },
	{ NVIDIA, 0x2331, "Hopper", "", "", "H100" },
	{ NVIDIA, 0x2335, "Hopper", "", "", "H200" },
	{ NVIDIA, 0x2342, "Hopper", "", "", "GH200" },
	{ NVIDIA, 0x2684, "Ada Lovelace", "nvenc", ADA, "RTX 4090" },
	{ NVIDIA, 0x2704, "Ada Lovelace", "nvenc", ADA, "RTX 4080" },
	{ NVIDIA, 0x2786, "Ada Lovelace", "nvenc", ADA, "RTX 4070" },
	{ NVIDIA, 0x2803, "Ada Lovelace", "nvenc", ADA, "RTX 4060 Ti" },
	{ NVIDIA, 0x2882, "Ada Lovelace", "nvenc", ADA, "RTX 4060" },
	{ NVIDIA, 0x26b9, "Ada Lovelace", "nvenc", ADA, "L40S" },
	{ NVIDIA, 0x27b8, "Ada Lovelace", "nvenc", ADA, "L4" },
	{ NVIDIA, 0x2901, "Blackwell", "", "", "B200" },
	{ NVIDIA, 0x2941, "Blackwell", "", "", "GB200" },
	{ NVIDIA, 0x2b85, "Blackwell", "nvenc", ADA, "RTX 5090" },
	{ NVIDIA, 0x2d05, "Blackwell", "nvenc", ADA, "RTX 5060" },
	{ NVIDIA, 0x2e12, "Blackwell", NULL, "", "GB10" },
	{ NVIDIA, 0x0020, NULL, NULL, "", "Riva TNT" },
	{ NVIDIA, 0xfff0, NULL, NULL, "", "no such card" },
	{ INTEL, 0x0042, NULL, NULL, "", "Ironlake" },
	{ INTEL, 0x0102, "Sandy Bridge", NULL, "", "HD 2000" },
	{ INTEL, 0x0112, "Sandy Bridge", "quicksync", "h264", "HD 3000" },
	{ INTEL, 0x0162, "Ivy Bridge", "quicksync", "h264", "HD 4000" },
	{ INTEL, 0x0412, "Haswell", "quicksync", "h264", "HD 4600" },
	{ INTEL, 0x1616, "Broadwell", "quicksync", "h264", "HD 5500" },
	{ INTEL, 0x1912, "Skylake", "quicksync", "h264 hevc", "HD 530" },
	{ INTEL, 0x5a85, "Apollo Lake", "quicksync", "h264 hevc", "HD 500" },
	{ INTEL, 0x5912, "Kaby Lake", "quicksync", PASCAL, "HD 630" },
	{ INTEL, 0x3e92, "Coffee Lake", "quicksync", PASCAL, "UHD 630" },
	{ INTEL, 0x9bc5, "Comet Lake", "quicksync", PASCAL, "UHD 630" },
	{ INTEL, 0x8a52, "Ice Lake", "quicksync", PASCAL, "Iris Plus G7" },
	{ INTEL, 0x4e61, "Jasper Lake", "quicksync", PASCAL, "N5105" },
	{ INTEL, 0x9a49, "Tiger Lake", "quicksync", PASCAL, "Iris Xe" },
	{ INTEL, 0x4c8a, "Rocket Lake", "quicksync", PASCAL, "UHD 750" },
	{ INTEL, 0x4905, "DG1", "quicksync", PASCAL, "Iris Xe MAX" },
	{ INTEL, 0x4680, "Alder Lake-S", "quicksync", PASCAL, "UHD 770" },
	{ INTEL, 0x4690, "Alder Lake-S", "quicksync", PASCAL, "UHD 770" },
	{ INTEL, 0x46a6, "Alder Lake-P", "quicksync", PASCAL, "Iris Xe" },
	{ INTEL, 0x46d1, "Alder Lake-N", "quicksync", PASCAL, "N100" },
	{ INTEL, 0x46d4, "Alder Lake-N", "quicksync", PASCAL, "N150" },
	{ INTEL, 0xa780, "Raptor Lake-S", "quicksync", PASCAL, "UHD 770" },
	{ INTEL, 0xa7a0, "Raptor Lake-P", "quicksync", PASCAL, "Iris Xe" },
	{ INTEL, 0x56a5, "Alchemist", "quicksync", ADA, "Arc A380" },
	{ INTEL, 0x56a0, "Alchemist", "quicksync", ADA, "Arc A770" },
	{ INTEL, 0x56c1, "Data Center GPU Flex", "quicksync", ADA, "Flex 140" },
	{ INTEL, 0x7d55, "Meteor Lake", "quicksync", ADA, "Arc of Core Ultra" },
	{ INTEL, 0x7d67, "Arrow Lake", "quicksync", ADA, "Core Ultra 200S" },
	{ INTEL, 0x64a0, "Lunar Lake", "quicksync", ADA, "Arc 140V" },
	{ INTEL, 0xe20b, "Battlemage", "quicksync", ADA, "Arc B580" },
	{ INTEL, 0x0be1, NULL, NULL, "", "Atom D2700" },
	{ AMD, 0x6610, "Oland", NULL, "", "R7 250" },
	{ AMD, 0x6660, "Hainan", "", "", "HD 8600M" },
	{ AMD, 0x6798, "Tahiti", "vce", "", "HD 7970" },
	{ AMD, 0x67b0, "Hawaii", "vce", "h264", "R9 290X" },
	{ AMD, 0x6938, "Tonga", "vce", "h264", "R9 380X" },
	{ AMD, 0x67df, "Polaris 10", "vce", "h264 hevc", "RX 480" },
	{ AMD, 0x699f, "Polaris 12", "vce", "h264 hevc", "RX 550" },
	{ AMD, 0x687f, "Vega 10", "vce", "h264 hevc", "Vega 64" },
	{ AMD, 0x15dd, "Raven", "vcn", "h264 hevc", "Raven Ridge" },
	{ AMD, 0x1636, "Renoir", "vcn", PASCAL, "Renoir" },
	{ AMD, 0x1638, "Cezanne", "vcn", PASCAL, "Cezanne" },
	{ AMD, 0x731f, "Navi 10", "vcn", PASCAL, "RX 5700 XT" },
	{ AMD, 0x73bf, "Navi 21", "vcn", PASCAL, "RX 6800" },
	{ AMD, 0x743f, "Navi 24", "", "", "RX 6500 XT" },
	{ AMD, 0x164e, "Raphael", "vcn", PASCAL, "Ryzen 7000" },
	{ AMD, 0x744c, "Navi 31", "vcn", ADA, "RX 7900 XTX" },
	{ AMD, 0x73f0, "Navi 33", "vcn", ADA, "RX 7600M XT" },
	{ AMD, 0x15bf, "Phoenix", "vcn", ADA, "Ryzen 7040" },
	{ AMD, 0x150e, "Strix", "vcn", ADA, "Ryzen AI 300" },
	{ AMD, 0x7550, "Navi 48", "vcn", ADA, "RX 9070" },
	{ AMD, 0x740f, "Aldebaran", NULL, "", "MI210" },
	{ AMD, 0x9498, NULL, NULL, "", "HD 4650" },
};

static void same(const char *got, const char *want, const char *what, const char *name)
{
	if ((!got || !want) ? got != want : strcmp(got, want) != 0)
		fail_msg("%s: %s is %s, not %s", name, what, got ? got : "unknown", want ? want : "unknown");
}

static void knows_cards(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	(void)state;
	for (size_t i = 0; i < COUNT(cards); i++) {
		const struct card *card = &cards[i];
		struct gpu_model model = gpu_model(card->vendor, card->device, VGA);
		same(model.generation, card->generation, "the generation", card->name);
		same(model.engine, card->engine, "the engine", card->name);
		same(gpu_codecs_text(model.encode, &arena), card->codecs, "what it encodes", card->name);
		if (card->engine && !*card->engine && model.encode_known != YES)
			fail_msg("%s: known to have no encoder, but encode_known is not yes", card->name);
	}
}

static void knows_details(void **state)
{
	(void)state;
	struct gpu_model ti = gpu_model(NVIDIA, 0x2803, VGA);
	assert_int_equal(ti.engines, 1);
	assert_int_equal(ti.session_limit, YES);
	assert_int_equal(ti.flavour, FLAVOUR_EITHER);
	assert_int_equal(ti.last_branch, UNKNOWN_NUMBER);
	assert_int_equal(ti.encode_known, YES);
	assert_int_equal(gpu_model(NVIDIA, 0x2b85, VGA).engines, 3);
	assert_int_equal(gpu_model(NVIDIA, 0x2b85, VGA).flavour, FLAVOUR_OPEN_ONLY);
	assert_int_equal(gpu_model(NVIDIA, 0x2342, 0x030200).flavour, FLAVOUR_OPEN_ONLY);
	assert_int_equal(gpu_model(NVIDIA, 0x2335, 0x030200).flavour, FLAVOUR_EITHER);
	assert_int_equal(gpu_model(NVIDIA, 0x1b80, VGA).engines, 2);
	assert_int_equal(gpu_model(NVIDIA, 0x2684, VGA).engines, UNKNOWN_NUMBER);
	assert_int_equal(gpu_model(NVIDIA, 0x15f8, VGA).encode_known, UNKNOWN);
	assert_int_equal(gpu_model(NVIDIA, 0x1c30, VGA).session_limit, NO);	 /* P2000 */
	assert_int_equal(gpu_model(NVIDIA, 0x1cb3, VGA).session_limit, UNKNOWN); /* P400 */
	assert_int_equal(gpu_model(NVIDIA, 0x1eb8, VGA).session_limit, NO);	 /* T4 */
	assert_int_equal(gpu_model(NVIDIA, 0x26b9, VGA).session_limit, NO);	 /* L40S */
	assert_int_equal(gpu_model(NVIDIA, 0x1c03, VGA).session_limit, YES);	 /* GTX 1060 */
	assert_int_equal(gpu_model(NVIDIA, 0x1d01, VGA).session_limit, UNKNOWN); /* no encoder, no sessions */
	assert_int_equal(gpu_model(NVIDIA, 0x1287, VGA).last_branch, 470);
	assert_int_equal(gpu_model(NVIDIA, 0x104a, VGA).last_branch, 390);
	assert_int_equal(gpu_model(NVIDIA, 0x1db4, VGA).last_branch, 580);
	assert_true(gpu_model(NVIDIA, 0x2504, VGA).decode & CODEC_AV1);
	assert_false(gpu_model(NVIDIA, 0x1f08, VGA).decode & CODEC_AV1);

	struct gpu_model uhd = gpu_model(INTEL, 0x4680, VGA), arc = gpu_model(INTEL, 0x56a5, VGA);
	assert_int_equal(uhd.integrated, YES);
	assert_int_equal(uhd.huc_by_default, YES);
	assert_int_equal(uhd.low_power_only, NO);
	assert_string_equal(uhd.kernel_floor, "5.17");
	assert_true(uhd.decode & CODEC_AV1);
	assert_int_equal(arc.integrated, NO);
	assert_int_equal(arc.low_power_only, YES);
	assert_string_equal(arc.kernel_floor, "6.2");
	assert_string_equal(gpu_model(INTEL, 0x46d4, VGA).kernel_floor, "6.9");
	assert_int_equal(gpu_model(INTEL, 0x9a49, VGA).huc_by_default, NO);
	assert_int_equal(gpu_model(INTEL, 0x4e61, VGA).low_power_only, YES);
	assert_int_equal(gpu_model(INTEL, 0x7d55, VGA).low_power_only, NO);
	assert_int_equal(gpu_model(INTEL, 0xe20b, VGA).needs_rebar, YES);
	assert_string_equal(gpu_model(INTEL, 0x64a0, VGA).driver, "xe");
	assert_string_equal(gpu_model(INTEL, 0x5912, VGA).driver, "i915");

	assert_int_equal(gpu_model(AMD, 0x15bf, VGA).integrated, YES);
	assert_int_equal(gpu_model(AMD, 0x743f, VGA).decode, CODEC_H264 | CODEC_HEVC | CODEC_HEVC10);
	assert_string_equal(gpu_model(AMD, 0x67b0, VGA).driver, "radeon amdgpu");
}

static void claims_nothing_of_others(void **state)
{
	static const struct {
		int64_t vendor, device, class_code;
		const char *name;
	} rows[] = {
		{ NVIDIA, 0x2803, 0x040300, "nvidia" },			 /* its audio class */
		{ NVIDIA, 0x2803, UNKNOWN_NUMBER, "nvidia" },		 /* no class known */
		{ NVIDIA, UNKNOWN_NUMBER, VGA, "nvidia" },
		{ NVIDIA, 0x10000 + 0x2803, VGA, "nvidia" },
		{ INTEL, 0x0c04, 0x060000, "intel" },			 /* a host bridge between Haswell ids */
		{ AMD, 0xffff, VGA, "amd" },
		{ 0x1a03, 0x2000, VGA, "other" },			 /* ASPEED */
		{ UNKNOWN_NUMBER, UNKNOWN_NUMBER, UNKNOWN_NUMBER, "other" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct gpu_model model = gpu_model(rows[i].vendor, rows[i].device, rows[i].class_code);
		assert_string_equal(model.vendor, rows[i].name);
		assert_null(model.generation);
		assert_null(model.engine);
		assert_int_equal(model.engines, UNKNOWN_NUMBER);
		assert_int_equal(model.encode | model.decode, 0);
		assert_int_equal(model.encode_known, UNKNOWN);
		assert_int_equal(model.flavour, FLAVOUR_UNKNOWN);
		assert_int_equal(model.session_limit, UNKNOWN);
		assert_int_equal(model.last_branch, UNKNOWN_NUMBER);
		assert_null(model.kernel_floor);
		assert_null(model.source);
	}
}

/* ---- the tables themselves ----------------------------------------------- */

static void check_row(const struct gpu_range *range, const char *vendor)
{
	const struct gpu_model *model = range->model;
	if (range->first > range->last || !model->generation || !model->source || !model->driver ||
	    strcmp(model->vendor, vendor) != 0)
		fail_msg("%s %04x-%04x: the row is not whole", vendor, range->first, range->last);
	bool none = model->engine && !*model->engine;
	if (none && (model->encode || model->encode_known != YES))
		fail_msg("%s %04x: no engine, but something encodes", vendor, range->first);
	if (!model->engine && (model->encode || model->encode_known == YES))
		fail_msg("%s %04x: engine unknown, but codecs are claimed", vendor, range->first);
	if (model->encode_known == YES && !none && !(model->encode & CODEC_H264))
		fail_msg("%s %04x: an encoder without H.264", vendor, range->first);
	if (((model->encode | model->decode) & CODEC_HEVC10) && !(model->decode & CODEC_HEVC))
		fail_msg("%s %04x: codecs skip a step", vendor, range->first);
}

static void tables_are_whole(void **state)
{
	static const struct {
		const char *vendor;
		const struct gpu_range *ranges;
		int64_t id;
	} tables[] = { { "nvidia", gpu_nvidia, NVIDIA }, { "intel", gpu_intel, INTEL }, { "amd", gpu_amd, AMD } };
	(void)state;
	for (size_t t = 0; t < COUNT(tables); t++) {
		for (const struct gpu_range *range = tables[t].ranges; range->model; range++) {
			check_row(range, tables[t].vendor);
			/* an earlier range that cuts into this one must be a part of it, never half */
			for (const struct gpu_range *other = tables[t].ranges; other < range; other++)
				if (other->first <= range->last && other->last >= range->first &&
				    (other->first < range->first || other->last > range->last))
					fail_msg("%04x-%04x and %04x-%04x overlap", other->first, other->last, range->first,
						 range->last);
			const char *found = gpu_model(tables[t].id, range->last, VGA).generation;
			if (strcmp(found, range->model->generation) != 0)
				fail_msg("%04x is %s, its range says %s", range->last, found, range->model->generation);
		}
	}
}

static void limits_are_sorted_and_apart(void **state)
{
	(void)state;
	for (const struct gpu_ids *a = gpu_nvidia_limited; a->last; a++) {
		assert_true(a->first <= a->last);
		if (a[1].last)
			assert_true(a->last < a[1].first);
		for (const struct gpu_ids *b = gpu_nvidia_unlimited; b->last; b++)
			assert_true(a->last < b->first || b->last < a->first);
	}
}

/* ---- every id of pci.ids -------------------------------------------------- */

struct named {
	const char *prefix; /* of the name, blanks and - taken out */
	const char *generation;
};

static const struct named nvidia_names[] = {
	{ "GK", "Kepler" }, { "GM", "Maxwell" }, { "GP", "Pascal" }, { "GV", "Volta" }, { "TU", "Turing" },
	{ "GA", "Ampere" }, { "GH", "Hopper" }, { "AD", "Ada Lovelace" }, { "GB", "Blackwell" }, { "GF", "Fermi" },
	{ "GT2", "Tesla" }, { "G8", "Tesla" }, { "G9", "Tesla" },
};

static const struct named intel_names[] = {
	{ "2ndGenerationCore", "Sandy Bridge" }, { "XeonE31200/2ndGeneration", "Sandy Bridge" },
	{ "3rdGenCore", "Ivy Bridge" }, { "XeonE31200v2/3rdGen", "Ivy Bridge" }, { "4thGen", "Haswell" },
	{ "XeonE31200v3/4thGen", "Haswell" }, { "HaswellULT", "Haswell" }, { "CrystalWell", "Haswell" },
	{ "Broadwell", "Broadwell" }, { "Skylake", "Skylake" }, { "GeminiLake", "Gemini Lake" },
	{ "CoffeeLake", "Coffee Lake" }, { "WhiskeyLake", "Whiskey Lake" }, { "CometLake", "Comet Lake" },
	{ "AmberLake", "Amber Lake" }, { "KabyLake", "Kaby Lake" }, { "ElkhartLake", "Elkhart Lake" },
	{ "JasperLake", "Jasper Lake" }, { "TigerLake", "Tiger Lake" }, { "RocketLake", "Rocket Lake" },
	{ "IceLake", "Ice Lake" }, { "IrisPlusGraphicsG", "Ice Lake" }, { "DG1", "DG1" }, { "SG1", "DG1" },
	{ "AlderLakeN", "Alder Lake-N" }, { "TwinLake", "Twin Lake" }, { "AlderLakeS", "Alder Lake-S" },
	{ "AlderLakeHX", "Alder Lake-S" }, { "AlderLake", "Alder Lake-P" }, { "RaptorLakeS", "Raptor Lake-S" },
	{ "RaptorLakeP", "Raptor Lake-P" }, { "RaptorLakeU", "Raptor Lake-P" }, { "DG2", "Alchemist" },
	{ "ATSM", "Data Center GPU Flex" }, { "PonteVecchio", "Ponte Vecchio" }, { "MeteorLake", "Meteor Lake" },
	{ "ArrowLake", "Arrow Lake" }, { "LunarLake", "Lunar Lake" }, { "Battlemage", "Battlemage" },
	{ "PantherLake", "Panther Lake" }, { "WildcatLake", "Wildcat Lake" },
};

static const struct named amd_names[] = {
	{ "Kaveri", "Kaveri" }, { "Kabini", "Kabini" }, { "Temash", "Kabini" }, { "Mullins", "Mullins" },
	{ "Oland", "Oland" }, { "Bonaire", "Bonaire" }, { "Tahiti", "Tahiti" }, { "Hawaii", "Hawaii" },
	{ "Pitcairn", "Pitcairn" }, { "CapeVerde", "Cape Verde" }, { "Topaz", "Topaz" }, { "Tonga", "Tonga" },
	{ "Fiji", "Fiji" }, { "Ellesmere", "Polaris 10" }, { "Polaris20", "Polaris 10" }, { "Baffin", "Polaris 11" },
	{ "Lexa", "Polaris 12" }, { "Polaris12", "Polaris 12" }, { "Polaris22", "Polaris 22" }, { "Vega10", "Vega 10" },
	{ "Vega12", "Vega 12" }, { "Vega20", "Vega 20" }, { "RavenRidge", "Raven" }, { "Picasso", "Picasso" },
	{ "Stoney", "Stoney" }, { "Renoir", "Renoir" }, { "Lucienne", "Lucienne" }, { "Cezanne", "Cezanne" },
	{ "Barcelo", "Barcelo" }, { "Navi10", "Navi 10" }, { "Navi12", "Navi 12" }, { "Navi14", "Navi 14" },
	{ "Navi21", "Navi 21" }, { "Navi22", "Navi 22" }, { "Navi23", "Navi 23" }, { "Navi24", "Navi 24" },
	{ "Navi31", "Navi 31" }, { "Navi32", "Navi 32" }, { "Navi33", "Navi 33" }, { "Navi44", "Navi 44" },
	{ "Navi48", "Navi 48" }, { "VanGogh", "Van Gogh" }, { "Rembrandt", "Rembrandt" }, { "Raphael", "Raphael" },
	{ "Mendocino", "Mendocino" }, { "Phoenix3", "Hawk Point" },
	{ "Phoenix4", "Hawk Point" }, { "Phoenix", "Phoenix" }, { "HawkPoint", "Hawk Point" }, { "Strix[", "Strix" },
	{ "StrixHalo", "Strix Halo" }, { "Krackan", "Krackan" }, { "GraniteRidge", "Granite Ridge" },
	{ "Arcturus", "Arcturus" }, { "Aldebaran", "Aldebaran" }, { "AquaVanjaram", "Aqua Vanjaram" },
};

/* pci.ids does not tell the class of a device: its name must do. */
static bool is_display(int64_t vendor, const char *name)
{
	static const char *const others[] = { "Audio", "USB", "UCSI", "Bridge", "bridge", "Upstream", "Downstream", "NVSwitch",
		"HDMI", "PCIe", "Crypto", "Memory Controller" };
	for (size_t i = 0; i < COUNT(others); i++)
		if (strstr(name, others[i]))
			return false;
	return vendor != INTEL || strstr(name, "Graphics") || strstr(name, "Arc") || strstr(name, "GPU") || strstr(name, " GT");
}

static const char *named_generation(const struct named *names, size_t n, const char *name)
{
	char bare[256] = "";
	size_t size = 0;
	for (; *name && size < sizeof bare - 1; name++)
		if (*name != ' ' && *name != '-')
			bare[size++] = *name;
	for (size_t i = 0; i < n; i++)
		if (text_starts(bare, names[i].prefix))
			return names[i].generation;
	return NULL;
}

struct tally {
	size_t named, known;
};

static void check_id(int64_t vendor, int64_t device, const char *name, const char *expected, struct tally *tally)
{
	struct gpu_model model = gpu_model(vendor, device, VGA);
	tally->named++;
	if (!model.generation) {
		print_message("unknown: %04x:%04x %s\n", (unsigned)vendor, (unsigned)device, name);
		return;
	}
	tally->known++;
	if (vendor == INTEL && device == 0x9bf6) /* the kernel's list says Comet Lake, pci.ids Coffee Lake */
		expected = "Comet Lake";
	if (strcmp(model.generation, expected) != 0)
		fail_msg("%04x:%04x %s: %s, not %s", (unsigned)vendor, (unsigned)device, name, model.generation, expected);
	if (vendor == NVIDIA && strstr(name, "[GeForce") && model.session_limit == NO)
		fail_msg("%04x %s: a GeForce without a session limit", (unsigned)device, name);
	if (vendor == NVIDIA && strstr(name, "Tesla") && model.session_limit == YES)
		fail_msg("%04x %s: a Tesla with a session limit", (unsigned)device, name);
	if (vendor == NVIDIA && (text_starts(name, "GP108") || text_starts(name, "GM108") || text_starts(name, "GK208") ||
				 text_starts(name, "GA100") || text_starts(name, "GH100")))
		same(model.engine, "", "the engine", name);
}

static const struct {
	const char *id;
	int64_t vendor;
	const struct named *names;
	size_t n;
} lists[] = {
	{ "10de", NVIDIA, nvidia_names, COUNT(nvidia_names) },
	{ "8086", INTEL, intel_names, COUNT(intel_names) },
	{ "1002", AMD, amd_names, COUNT(amd_names) },
};

static void agrees_with_pci_ids(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	const char *path = getenv("PCI_IDS") ? getenv("PCI_IDS") : "/usr/share/misc/pci.ids";
	(void)state;
	FILE *there = fopen(path, "r");
	if (!there) {
		print_message("no %s here\n", path);
		skip();
	}
	fclose(there);
	struct bytes text = test_read(&arena, path), raw;
	struct tally tally[COUNT(lists)] = { 0 };
	size_t cursor = 0, list = COUNT(lists);
	while (text_line(text, &cursor, &raw)) {
		const char *line = arena_strndup(&arena, raw.data, raw.size);
		if (*line != '\t' && *line != '#' && *line)
			for (list = 0; list < COUNT(lists) && !text_starts(line, lists[list].id);)
				list++;
		if (list == COUNT(lists) || line[0] != '\t' || line[1] == '\t' || strlen(line) < 8)
			continue;
		const char *name = line + 7, *expected = named_generation(lists[list].names, lists[list].n, name);
		if (expected && is_display(lists[list].vendor, name))
			check_id(lists[list].vendor, strtol(line + 1, NULL, 16), name, expected, &tally[list]);
	}
	for (size_t i = 0; i < COUNT(lists); i++) {
		print_message("%s: %zu of %zu named chips are in the table\n", lists[i].id, tally[i].known, tally[i].named);
		assert_true(tally[i].named >= 100);
		assert_true(tally[i].known * 100 >= tally[i].named * 90);
	}
}

/* ---- real nvidia-smi answers ---------------------------------------------- */

static bool smi_device(struct bytes text, unsigned *ret)
{
	static const char *const marks[] = { "<pci_device_id>", "Device Id" };
	for (size_t i = 0; i < COUNT(marks); i++) {
		const char *at = strstr(text.data, marks[i]);
		for (at = at ? at + strlen(marks[i]) : NULL; at && (*at == ' ' || *at == ':');)
			at++;
		if (at && text_starts(at, "0x"))
			at += 2;
		unsigned long both = at ? strtoul(at, NULL, 16) : 0;
		if ((both & 0xffff) == NVIDIA && both >> 16) {
			*ret = (unsigned)(both >> 16);
			return true;
		}
	}
	return false;
}

static void agrees_with_nvidia_smi(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	const char *data = test_data("GPUFERRY_DATA");
	(void)state;
	if (!data) {
		print_message("no captures here\n");
		skip();
	}
	struct bytes manifest = test_read(&arena, arena_printf(&arena, "%s/MANIFEST.tsv", data)), raw;
	size_t cursor = 0, checked = 0;
	while (text_line(manifest, &cursor, &raw)) {
		const char *line = arena_strndup(&arena, raw.data, raw.size);
		unsigned device = 0;
		if (!text_starts(line, "nvidia-smi/") || !strstr(line, "NVENC"))
			continue;
		const char *file = text_split(&arena, line, "\t").word[0];
		if (!smi_device(test_read(&arena, arena_printf(&arena, "%s/%s", data, file)), &device))
			continue;
		struct gpu_model model = gpu_model(NVIDIA, device, VGA);
		same(model.engine, strstr(line, "NO NVENC") ? "" : "nvenc", "the engine", file);
		checked++;
	}
	print_message("%zu captures\n", checked);
	assert_true(checked >= 15);
}

/* ---- kernels, drivers, words ------------------------------------------------ */

static void knows_kernel_bugs(void **state)
{
	static const struct {
		const char *generation, *kernel;
		bool bug;
	} rows[] = {
		{ "Alchemist", "6.8.12-4-pve", true }, { "Alchemist", "6.8.4-2-pve", false },
		{ "Alchemist", "6.8.5-1-pve", true }, { "Alchemist", "6.9.3", true }, { "Alchemist", "6.9.4", false },
		{ "Alchemist", "6.6.26", true }, { "Alchemist", "6.6.33", false }, { "Alchemist", "6.6.32-lts", true },
		{ "Alchemist", "6.6.4", false }, { "Alchemist", "6.14.8-2-pve", false },
		{ "Alchemist", "6.8.0-37-generic", false }, { "Alchemist", "6.8.0-38-generic", true },
		{ "Alchemist", "6.8.0-41-generic", true }, { "Alchemist", "6.8.0-44-generic", false },
		{ "Alchemist", "6.8.0-110-generic", false }, { "Data Center GPU Flex", "6.8.12-1-pve", true },
		{ "Alder Lake-S", "6.8.12-4-pve", false }, { "Alder Lake-S", "6.1.3", true },
		{ "Alder Lake-S", "6.1.4", false }, { "Alder Lake-S", "6.0.18", false }, { "Alder Lake-S", "6.0.17", true },
		{ "Alder Lake-S", "5.18", true }, { "Alder Lake-S", "5.17.15", false },
		{ "Alder Lake-S", "5.19.17-2-pve", true }, { "Alder Lake-S", "6.1.10-1-pve", false },
		{ "Alder Lake-S", "6.1.0-1-pve", true }, /* PVE says its patch level, Debian hides it */
		{ "Alder Lake-S", "6.1.0-13-amd64", false }, { "Alder Lake-S", "5.19.0-45-generic", true },
		{ "Jasper Lake", "5.15.158-2-pve", true }, { "Jasper Lake", "5.15.0-91-generic", true },
		{ "Jasper Lake", "5.16.0", false }, { "Tiger Lake", "5.15.158-2-pve", false },
		{ "Polaris 10", "6.1.2", false }, { "Lake", "6.1.2", false }, { NULL, "6.1.2", false },
		{ "", "6.1.2", false }, { "Alchemist", NULL, false }, { "Alchemist", "", false },
		{ "Alchemist", "6", false }, { "Alchemist", "six.8", false },
		{ "Alchemist", "6.8.00000000000000000.0-1-amd64", false }, { "Alchemist", "6.8.0-", false },
		{ "Alchemist", "6.8.99999999999999999999999999999999999999999999999", false },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if ((gpu_kernel_bug(rows[i].generation, rows[i].kernel) != NULL) != rows[i].bug)
			fail_msg("%s on %s", rows[i].generation ? rows[i].generation : "unknown",
				 rows[i].kernel ? rows[i].kernel : "unknown");
	assert_non_null(strstr(gpu_kernel_bug("Alchemist", "6.8.0-40-generic")->what, "Ubuntu"));
}

static void test_too_new(void **state)
{
	(void)state;
	assert_string_equal(gpu_nvidia_too_new("535.247.01-1~deb12u1"), "6.14");
	assert_string_equal(gpu_nvidia_too_new("550.163.01"), "6.17");
	assert_null(gpu_nvidia_too_new("580.95.05"));
	assert_null(gpu_nvidia_too_new(""));
}

static void knows_session_limits(void **state)
{
	static const struct {
		const char *version;
		int64_t limit;
	} rows[] = {
		{ "470.256.02", 3 }, { "525.147.05", 3 }, { "530.41.03", 5 }, { "546.33", 5 }, { "550.163.01", 8 },
		{ "580.95.05", 8 }, { "590.48.01", 12 }, { "610.57.04", 12 }, { "390.157", UNKNOWN_NUMBER },
		{ NULL, UNKNOWN_NUMBER }, { "", UNKNOWN_NUMBER }, { "N/A", UNKNOWN_NUMBER }, { "5", UNKNOWN_NUMBER },
		{ "550x", UNKNOWN_NUMBER }, { "99999999999999", UNKNOWN_NUMBER },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (gpu_session_limit(rows[i].version) != rows[i].limit)
			fail_msg("%s", rows[i].version ? rows[i].version : "unknown");
}

static void knows_which_driver_serves(void **state)
{
	static const struct {
		int64_t device;
		const char *version;
		enum tri open, serves;
	} rows[] = {
		{ 0x2803, "550.163.01", NO, YES }, { 0x2803, "550.163.01", UNKNOWN, YES }, { 0x2803, "515.105.01", NO, NO },
		{ 0x2803, "520.56.06", NO, UNKNOWN }, { 0x2803, "610.57.04", YES, YES }, { 0x2803, NULL, NO, UNKNOWN },
		{ 0x1c03, "580.95.05", NO, YES }, { 0x1c03, "590.48.01", NO, NO }, { 0x1c03, "580.95.05", YES, NO },
		{ 0x1c03, "580.95.05", UNKNOWN, UNKNOWN }, { 0x1c03, "470.256.02", UNKNOWN, YES },
		{ 0x1c03, NULL, YES, NO }, { 0x1287, "470.256.02", NO, UNKNOWN }, { 0x1287, "535.183.01", NO, NO },
		{ 0x104a, "470.256.02", NO, NO }, { 0x2b85, "580.95.05", YES, YES }, { 0x2b85, "580.95.05", NO, NO },
		{ 0x2b85, "580.95.05", UNKNOWN, UNKNOWN }, { 0x2b85, "565.77", YES, NO },
		{ 0xfff0, "580.95.05", NO, UNKNOWN },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct gpu_model model = gpu_model(NVIDIA, rows[i].device, VGA);
		if (gpu_driver_serves(&model, rows[i].version, rows[i].open) != rows[i].serves)
			fail_msg("%04x with %s, open %d", (unsigned)rows[i].device,
				 rows[i].version ? rows[i].version : "unknown", rows[i].open);
	}
	struct gpu_model intel = gpu_model(INTEL, 0x4680, VGA);
	assert_int_equal(gpu_driver_serves(&intel, "580.95.05", NO), UNKNOWN);
}

static void names_codecs(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	(void)state;
	assert_string_equal(gpu_codecs_text(0, &arena), "");
	assert_string_equal(gpu_codecs_text(CODEC_HEVC, &arena), "hevc");
	assert_string_equal(gpu_codecs_text(31, &arena), "h264 hevc hevc10 av1");
}

/* docs/gpus.md is what the tables say; GPUFERRY_REWRITE=1 writes it anew. */
static void is_documented(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	const char *source = getenv("GPUFERRY_SOURCE");
	(void)state;
	if (!source) {
		print_message("the source is not here\n");
		skip();
	}
	const char *path = arena_printf(&arena, "%s/docs/gpus.md", source), *document = gpu_document(&arena);
	if (getenv("GPUFERRY_REWRITE")) {
		FILE *file = fopen(path, "w");
		assert_non_null(file);
		assert_true(fputs(document, file) >= 0 && fclose(file) == 0);
	}
	struct bytes written = test_read(&arena, path);
	if (strcmp(written.data, document) != 0)
		fail_msg("docs/gpus.md is not what the tables say: GPUFERRY_REWRITE=1 writes it anew");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_new),
		cmocka_unit_test(knows_cards),
		cmocka_unit_test(knows_details),
		cmocka_unit_test(claims_nothing_of_others),
		cmocka_unit_test(tables_are_whole),
		cmocka_unit_test(limits_are_sorted_and_apart),
		cmocka_unit_test(agrees_with_pci_ids),
		cmocka_unit_test(agrees_with_nvidia_smi),
		cmocka_unit_test(knows_kernel_bugs),
		cmocka_unit_test(knows_session_limits),
		cmocka_unit_test(knows_which_driver_serves),
		cmocka_unit_test(names_codecs),
		cmocka_unit_test(is_documented),
	};
	return cmocka_run_group_tests_name("gpu", tests, NULL, NULL);
}
