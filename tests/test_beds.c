/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The ladder of proof against the real ffmpeg, libva, vainfo and Vulkan, where below them is no hardware but a stand-in
 * (tests/beds) that fails as drivers do, or claims what is not so.
 */
#include "media.h"

/* The real ffmpeg in that environment, with those encoders alone; $beds is the folder of the stand-ins. */
static void bed_open(struct stage *stage, const char *environment, const char *encoders)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *beds = getenv("GPUFERRY_BEDS");
	stage_open(stage, arena_printf(&arena,
	                          "beds='%s'\n"
	                          "[ \"$1\" != -encoders ] || { /usr/bin/ffmpeg \"$@\" | grep -E ' (%s) '; exit 0; }\n"
	                          "exec env %s /usr/bin/ffmpeg \"$@\"\n",
	                          beds ? beds : "", encoders, environment));
}

/* An absolute path, or one of the stand-ins. */
static bool lacks(const char *file, const char *package)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *beds = getenv("GPUFERRY_BEDS");
	const char *path = *file == '/' ? file : arena_printf(&arena, "%s/%s", beds ? beds : "", file);
	if (access(path, R_OK) == 0)
		return false;
	print_message("skipped: there is no %s\n", package);
	return true;
}

static bool lacks_ffmpeg(void)
{
	return lacks("/usr/bin/ffmpeg", "ffmpeg");
}

/* ---- VA-API --------------------------------------------------------------------------------------- */

#define VA(variant) "BED_VA=" variant " LD_PRELOAD=$beds/node.so LIBVA_DRIVERS_PATH=$beds"

static void test_vainfo(void **state)
{
	(void)state;
	if (lacks("iHD_drv_video.so", "libva-dev") || lacks("/usr/bin/vainfo", "vainfo"))
		skip();
	FILE *pipe = popen("beds=$GPUFERRY_BEDS; env " VA("context") " vainfo --display drm --device "
	                                                             "/dev/dri/renderD128 2>/dev/null",
	        "r");
	assert_non_null(pipe);
	char line[256];
	unsigned listed = 0;
	while (fgets(line, sizeof line, pipe))
		listed += strstr(line, "VAEntrypointEncSlice") != NULL;
	assert_int_equal(pclose(pipe), 0);
	assert_int_equal(listed, 4);
}

/* What vainfo lists is not what encodes. */
static void test_va(void **state)
{
	static const struct {
		const char *environment;
		enum tri works;
		int rung;
		const char *reason, *why;
	} row[] = {
		{ VA("init"), NO, RUNG_LOADS, "broken", "does not know this GPU" },
		{ VA("config"), NO, RUNG_LISTED, "broken", "takes no configuration of it" },
		{ VA("surface"), NO, RUNG_LISTED, "broken", "has no surface for it" },
		{ VA("context"), NO, RUNG_LISTED, "broken", "does not begin to encode it" },
		{ VA("picture"), NO, RUNG_LISTED, "broken", "failed on a picture" },
		{ VA("size"), NO, RUNG_LISTED, "unsupported", "too small or too large" },
		{ VA("nothing"), NO, RUNG_LISTED, "broken", "claimed success and gave no stream" },
		{ VA("rate"), NO, RUNG_FRAME, "broken", "has no bit rate control" },
	};
	(void)state;
	if (lacks_ffmpeg() || lacks("iHD_drv_video.so", "libva-dev"))
		skip();
	for (size_t i = 0; i < COUNT(row); i++) {
		struct stage stage;
		bed_open(&stage, row[i].environment, "h264_vaapi");
		const struct proof *proof =
		        stage_proof(stage_prove(&stage, stage_intel(), 0), PROOF_ENCODE, NULL, "h264_vaapi", 8);
		stage_is(proof, row[i].works, row[i].rung, row[i].reason, row[i].why);
		assert_true(*proof->cure);
		stage_close(&stage);
	}
}

/* The processor plays the card, and what comes out is right to the last sample: only the engines tell. */
static void test_va_played(void **state)
{
	static const struct {
		const char *fdinfo, *foreign;
		enum tri works;
		int rung;
		const char *reason, *why;
	} row[] = {
		{ STAGE_I915("0"), NULL, NO, RUNG_FRAME, "broken", "no encoder engine of the card worked" },
		{ STAGE_I915("0"), STAGE_I915("9000000000"), NO, RUNG_FRAME, "broken", "no encoder engine" },
		{ NULL, STAGE_I915("9000000000"), YES, RUNG_FRAME, "unknown", "cannot be seen" },
		{ STAGE_I915("5000000"), NULL, YES, RUNG_ENGINE, "", "" }, /* so it would look if it were true */
	};
	(void)state;
	if (lacks_ffmpeg() || lacks("iHD_drv_video.so", "libva-dev"))
		skip();
	for (size_t i = 0; i < COUNT(row); i++) {
		struct stage stage;
		bed_open(&stage, VA("plays"), "h264_vaapi|hevc_vaapi|h264_qsv|libx264|libsvtav1");
		stage.fdinfo = row[i].fdinfo;
		stage.foreign = row[i].foreign;
		const struct proofs *proofs = stage_prove(&stage, stage_intel(), 0);
		const struct proof *proof = stage_proof(proofs, PROOF_ENCODE, NULL, "h264_vaapi", 8);
		stage_is(proof, row[i].works, row[i].rung, row[i].reason, row[i].why);
		assert_true(proof->psnr > 400);
		/* what it has not is not taken for it */
		stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "hevc_vaapi", 8), NO, RUNG_LISTED, "broken",
		        "failed on a picture");
		stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "hevc_vaapi", 10), NO, RUNG_STARTS, "unsupported",
		        "does not encode this codec");
		stage_is(stage_proof(proofs, PROOF_FILTER, NULL, "scale_vaapi", 8), NO, RUNG_STARTS, "unsupported",
		        "does not scale");
		stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "h264_qsv", 8), NO, RUNG_LOADS, "unsupported",
		        "not Intel's");
		for (size_t j = 0; j < 2; j++)
			stage_is(stage_proof(proofs, PROOF_DECODE, "vaapi", j ? "av1" : "h264", 8), NO, RUNG_STARTS,
			        "unsupported", "does not decode this codec");
		for (size_t j = 0; j < proofs->n; j++) /* nor anything else that hardware would do */
			if (proofs->list[j].works == YES && proofs->list[j].kind != PROOF_ENCODE)
				fail_msg("%s works", proofs->list[j].name);
		stage_close(&stage);
	}
}

/* A card that does all of it: what its driver lists is true, and nothing else is. */
static void test_va_card(void **state)
{
	(void)state;
	if (lacks_ffmpeg() || lacks("iHD_drv_video.so", "libva-dev"))
		skip();
	struct stage stage;
	bed_open(&stage, VA("card"), "h264_vaapi|hevc_vaapi|libx264|libx265");
	stage.fdinfo = STAGE_I915("5000000");
	const struct proofs *proofs = stage_prove(&stage, stage_intel(), 0);
	stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "h264_vaapi", 8), YES, RUNG_ENGINE, "", "");
	stage_is(stage_proof(proofs, PROOF_FILTER, NULL, "scale_vaapi", 8), YES, RUNG_FRAME, "", "");
	stage_is(stage_proof(proofs, PROOF_DECODE, "vaapi", "h264", 8), YES, RUNG_FRAME, "", "");
	stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "hevc_vaapi", 8), NO, RUNG_LISTED, "broken", "failed on a picture");
	const struct proof *mapper = stage_proof(proofs, PROOF_FILTER, NULL, "tonemap_vaapi", 10);
	assert_string_equal(mapper->use, "tonemap");
	stage_is(mapper, NO, RUNG_LISTED, "unsupported", "maps no tones");
	for (size_t i = 0; i < proofs->n; i++)
		if (proofs->list[i].works == YES && *proofs->list[i].device && strcmp(proofs->list[i].codec, "h264") != 0 &&
		        proofs->list[i].kind != PROOF_FILTER)
			fail_msg("%s works", proofs->list[i].name);
	stage_close(&stage);
	/* AMD's drivers map no tones; Intel's do, of a film that says on which display it was mastered */
	bed_open(&stage, VA("mapper"), "h264_vaapi|libx264|libx265");
	proofs = stage_prove(&stage, stage_intel(), 0);
	stage_is(stage_proof(proofs, PROOF_FILTER, NULL, "tonemap_vaapi", 10), YES, RUNG_FRAME, "", "");
	stage_is(stage_proof(proofs, PROOF_FILTER, NULL, "scale_vaapi", 10), YES, RUNG_FRAME, "", "");
	stage_close(&stage);
	bed_open(&stage, VA("sleeper"), "h264_vaapi|libx264|libx265");
	stage_is(stage_proof(stage_prove(&stage, stage_intel(), 0), PROOF_FILTER, NULL, "tonemap_vaapi", 10), NO, RUNG_LISTED,
	        "broken", "left the lights and darks");
	stage_close(&stage);
	bed_open(&stage, VA("mapper"), "h264_vaapi|libx264");
	stage_is(stage_proof(stage_prove(&stage, stage_intel(), 0), PROOF_FILTER, NULL, "tonemap_vaapi", 10), UNKNOWN,
	        RUNG_STARTS, "build", "no HDR10 film");
	stage_close(&stage);
	/* it decodes no picture, and ffmpeg gives one all the same */
	bed_open(&stage, VA("card") " BED_VA_ENDS=decode:0", "h264_vaapi|libx264");
	stage_is(stage_proof(stage_prove(&stage, stage_intel(), 0), PROOF_DECODE, "vaapi", "h264", 8), NO, RUNG_LISTED, "broken",
	        "not the picture");
	stage_close(&stage);
}

/* ---- NVENC ------------------------------------------------------------------------------------------ */

#define CUDA(variant) "LD_LIBRARY_PATH=$beds " variant

static void test_nvenc(void **state)
{
	static const struct {
		const char *environment, *name;
		unsigned bits;
		enum tri works;
		int rung;
		const char *reason, *why;
	} row[] = {
		{ "", "h264_nvenc", 8, NO, RUNG_OPENS, "absent", "CUDA library" },
		{ CUDA("BED_CUDA=999"), "h264_nvenc", 8, NO, RUNG_LOADS, "broken", "nvidia-uvm" },
		{ CUDA("BED_CUDA=100"), "h264_nvenc", 8, NO, RUNG_LOADS, "absent", "sees no GPU" },
		{ CUDA("BED_CUDA=101"), "h264_nvenc", 8, NO, RUNG_LOADS, "absent", "of that number" },
		{ CUDA("BED_CUDA=803"), "h264_nvenc", 8, NO, RUNG_LOADS, "broken", "of two versions" },
		{ CUDA("BED_CUDA=804"), "h264_nvenc", 8, NO, RUNG_LOADS, "broken",
		        "not of the kernel module's version" },
		{ CUDA("BED_CUDA=802"), "h264_nvenc", 8, NO, RUNG_LOADS, "broken", "waits for one of its services" },
		{ CUDA("BED_CUDA=801"), "h264_nvenc", 8, NO, RUNG_LOADS, "unsupported", "has no CUDA" },
		{ CUDA("BED_CUDA=46"), "h264_nvenc", 8, UNKNOWN, RUNG_LOADS, "limit", "compute mode" },
		{ CUDA("BED_CUDA=34"), "h264_nvenc", 8, NO, RUNG_OPENS, "absent", "stand-in" },
		{ CUDA("BED_CUDA_MEMORY=1"), "h264_nvenc", 8, UNKNOWN, RUNG_LOADS, "limit", "memory is full" },
		{ CUDA("BED_NVENC_API=8.1"), "h264_nvenc", 8, NO, RUNG_LOADS, "broken",
		        "older than this ffmpeg wants" },
		{ CUDA("BED_NVENC=1"), "h264_nvenc", 8, NO, RUNG_STARTS, "unsupported", "has no encoder" },
		{ CUDA("BED_NVENC=2"), "h264_nvenc", 8, NO, RUNG_STARTS, "unsupported", "has no encoder" },
		{ CUDA("BED_NVENC=5"), "h264_nvenc", 8, NO, RUNG_STARTS, "broken", "is gone" },
		{ CUDA("BED_NVENC=10"), "h264_nvenc", 8, UNKNOWN, RUNG_LISTED, "limit", "no session is free" },
		{ CUDA("BED_NVENC=15"), "h264_nvenc", 8, NO, RUNG_STARTS, "broken", "the same version" },
		{ CUDA("BED_NVENC=20"), "h264_nvenc", 8, NO, RUNG_STARTS, "unknown", "generic error (20)" },
		{ CUDA("BED_NVENC=21"), "h264_nvenc", 8, UNKNOWN, RUNG_LISTED, "limit", "as older drivers say it" },
		{ CUDA("BED_NVENC_PLAIN=1"), "hevc_nvenc", 10, NO, RUNG_LISTED, "unsupported", "not encode 10 bits" },
		{ CUDA(""), "av1_nvenc", 8, NO, RUNG_STARTS, "unsupported", "does not encode this codec" },
		{ CUDA(""), "h264_nvenc", 8, NO, RUNG_LISTED, "broken", "claimed success and gave no stream" },
	};
	(void)state;
	if (lacks_ffmpeg() || lacks("libcuda.so.1", "stand-in"))
		skip();
	for (size_t i = 0; i < COUNT(row); i++) {
		struct stage stage;
		bed_open(&stage, row[i].environment, row[i].name);
		const struct proofs *proofs = stage_prove(&stage, stage_nvidia(), 0);
		const struct proof *proof = stage_proof(proofs, PROOF_ENCODE, NULL, row[i].name, row[i].bits);
		if (proof->listed == YES) /* 5.1 has no AV1 there */
			stage_is(proof, row[i].works, row[i].rung, row[i].reason, row[i].why);
		else
			stage_is(proof, NO, RUNG_NONE, "build", "built without");
		/* a card that does nothing scales nothing */
		const struct proof *scaler = stage_proof(proofs, PROOF_FILTER, NULL, "scale_cuda", 8);
		if (scaler->listed == YES && proof->rung > RUNG_LOADS)
			stage_is(scaler, NO, RUNG_LISTED, "broken", "not the picture");
		stage_close(&stage);
	}
}

/* In a docker container whose NVIDIA runtime was not asked for video. */
static void test_nvenc_missing(void **state)
{
	struct stage stage;
	(void)state;
	if (lacks_ffmpeg() || lacks("libcuda.so.1", "stand-in"))
		skip();
	bed_open(&stage, "LD_LIBRARY_PATH=$0.once", "h264_nvenc");
	const char *folder = arena_printf(&stage.arena, "%s.once", stage.path),
	           *library = arena_printf(&stage.arena, "%s/libcuda.so.1", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(symlink(arena_printf(&stage.arena, "%s/libcuda.so.1", getenv("GPUFERRY_BEDS")), library), 0);
	stage_is(stage_proof(stage_prove(&stage, stage_nvidia(), 0), PROOF_ENCODE, NULL, "h264_nvenc", 8), NO,
	        RUNG_OPENS, "absent", "encoder library is missing");
	unlink(library);
	rmdir(folder);
	stage_close(&stage);
}

/* ---- Vulkan ------------------------------------------------------------------------------------------- */

/* lavapipe is a Vulkan device that is the processor: it opens, scales and downloads, and is no hardware. */
static void test_lavapipe(void **state)
{
	/* 13 and 12 call it differently */
	static const char *const drivers[] = { "/usr/share/vulkan/icd.d/lvp_icd.json",
		"/usr/share/vulkan/icd.d/lvp_icd.x86_64.json" };
	struct arena arena ARENA_SCOPED = { 0 };
	struct stage stage;
	const char *driver = drivers[access(drivers[0], R_OK) != 0];
	(void)state;
	if (lacks_ffmpeg() || lacks(driver, "lavapipe (mesa-vulkan-drivers)"))
		skip();
	bed_open(&stage, arena_printf(&arena, "VK_ICD_FILENAMES=%s", driver), "[a-z0-9]*_vulkan");
	const struct proofs *proofs = stage_prove(&stage, &(struct drm){ .known = YES }, 0);
	for (size_t i = 0; i < proofs->n; i++) {
		const struct proof *proof = &proofs->list[i];
		if (strcmp(proof->way, "vulkan") == 0 && proof->listed == YES)
			stage_is(proof, NO, RUNG_NONE, "absent", "played by the processor");
	}
	assert_int_equal(stage_proof(proofs, PROOF_FILTER, "vulkan", "scale_vulkan", 8)->listed, YES);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vainfo),
		cmocka_unit_test(test_va),
		cmocka_unit_test(test_va_played),
		cmocka_unit_test(test_va_card),
		cmocka_unit_test(test_nvenc),
		cmocka_unit_test(test_nvenc_missing),
		cmocka_unit_test(test_lavapipe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
