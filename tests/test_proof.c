/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The ladder of proof: an ffmpeg that has hardware, one that only says so, and every way to fail between.
 */
#include <math.h>

#include "media.h"

#include <time.h>

static const struct drm no_gpu = { .known = YES };

/* ---- hardware that works --------------------------------------------------------------- */

static void test_works(void **state)
{
	(void)state;
	if (stage_lacks_ffmpeg())
		skip();
	struct stage stage;
	stage_open(&stage, "encoders='libx264 libx265 h264_vaapi hevc_vaapi h264_qsv'\n"
	                   "act() { case \"$*\" in *cuda=cu*) say 'Cannot load libcuda.so.1' ;; esac; }");
	stage.fdinfo = STAGE_I915("5000000");
	const struct proofs *proofs = stage_prove(&stage, stage_intel(), 0);
	const struct proof *proof = stage_proof(proofs, PROOF_ENCODE, NULL, "h264_vaapi", 8);
	stage_is(proof, YES, RUNG_ENGINE, "", "");
	assert_string_equal(proof->engine, "video");
	assert_int_equal(proof->engine_ms, 5);
	assert_string_equal(proof->device, "/dev/dri/renderD128");
	assert_string_equal(proof->pci, "0000:00:02.0");
	assert_true(proof->psnr > 300 && proof->ms > 0);
	stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "hevc_vaapi", 10), YES, RUNG_ENGINE, "", "");
	stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "h264_qsv", 8), YES, RUNG_ENGINE, "", "");
	stage_is(stage_proof(proofs, PROOF_DECODE, "nvenc", "hevc", 10), NO, RUNG_NONE, "absent", "CUDA library");
	stage_is(stage_proof(proofs, PROOF_DECODE, "vaapi", "hevc", 10), YES, RUNG_FRAME, "", "");
	stage_is(stage_proof(proofs, PROOF_DECODE, "vaapi", "h264", 8), YES, RUNG_FRAME, "", "");
	stage_is(stage_proof(proofs, PROOF_DECODE, "vaapi", "av1", 8), UNKNOWN, RUNG_STARTS, "build",
	        "no stream to decode");
	stage_is(
	        stage_proof(proofs, PROOF_DECODE, "qsv", "h264_qsv", 8), NO, RUNG_NONE, "build", "without the decoder");
	stage_is(stage_proof(proofs, PROOF_FILTER, NULL, "scale_vaapi", 10), YES, RUNG_FRAME, "", "");
	stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "av1_vaapi", 8), NO, RUNG_NONE, "build", "built without");
	stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "libx264", 8), YES, RUNG_FRAME, "", "");
	stage_close(&stage);
}

/* An engine that was not seen is no proof, one that stood still is a proof of the contrary. */
static void test_engine(void **state)
{
	static const struct {
		const char *fdinfo, *foreign;
		enum tri works;
		int rung;
		const char *reason, *why;
	} row[] = {
		{ STAGE_I915("0"), STAGE_I915("9000000000"), NO, RUNG_FRAME, "broken", "no encoder engine" },
		{ NULL, STAGE_I915("9000000000"), YES, RUNG_FRAME, "unknown", "cannot be seen" },
		{ "drm-driver:\ti915\ndrm-client-id:\t7\ndrm-pdev:\t0000:05:00.0\ndrm-engine-video:\t7 ns\n", NULL, YES,
		        RUNG_FRAME, "unknown", "cannot be seen" },
		{ STAGE_I915("1"), NULL, YES, RUNG_ENGINE, "", "" },
	};
	(void)state;
	if (stage_lacks_ffmpeg())
		skip();
	for (size_t i = 0; i < COUNT(row); i++) {
		struct stage stage;
		stage_open(&stage, "encoders=h264_vaapi hwaccels=none\nact() { :; }");
		stage.fdinfo = row[i].fdinfo;
		stage.foreign = row[i].foreign;
		stage_is(stage_proof(stage_prove(&stage, stage_intel(), 0), PROOF_ENCODE, NULL, "h264_vaapi", 8),
		        row[i].works, row[i].rung, row[i].reason, row[i].why);
		stage_close(&stage);
	}
}

/* NVIDIA's driver tells by process too, through its own library; here it is one of the tests'. */
static void test_nvml(void **state)
{
	static const struct {
		const char *said; /* of the process itself, where it says $$ */
		int rung;
		const char *why;
	} row[] = {
		{ "session $$ 60", RUNG_ENGINE, "" },
		{ "process $$ 40", RUNG_ENGINE, "" },
		{ "session 1 60\\nprocess 1 99", RUNG_FRAME, "cannot be seen" }, /* another one's */
		{ "session $$ 0\\nprocess $$ 0", RUNG_FRAME, "cannot be seen" },
		{ "count", RUNG_FRAME, "does not answer" },
		{ "init", RUNG_FRAME, "does not answer" },
		{ "hang", RUNG_FRAME, "cannot be seen" },
		{ NULL, RUNG_FRAME, "is not here" },
	};
	(void)state;
	const char *library = getenv("GPUFERRY_FAKE_NVML");
	if (stage_lacks_ffmpeg() || !library)
		skip();
	for (size_t i = 0; i < COUNT(row); i++) {
		struct stage stage;
		struct arena arena ARENA_SCOPED = { 0 };
		/* looked at twice while it encodes: what was seen at the first is told by then */
		stage_open(&stage, arena_printf(&arena,
		                           "encoders=h264_nvenc filters=none hwaccels=none\n"
		                           "asked() { i=0; rm -f \"$0.said.asked\"; while [ ! -e \"$0.said.asked\" ] "
		                           "&& [ $i -lt %d ]; "
		                           "do i=$((i + 1)); sleep 0.05; done; }\n"
		                           "act() { case \"$*\" in *' -frames:v 300 '*) printf \"%s\\n\" >\"$0.said\"; "
		                           "asked; asked ;; esac; }",
		                           row[i].rung == RUNG_ENGINE ? 200 : 10, row[i].said ? row[i].said : "none"));
		stage.nvml = row[i].said ? library : "libgpuferry-none.so.1";
		setenv("FAKE_NVML", arena_printf(&arena, "%s.said", stage.path), 1);
		if (row[i].said && !strstr(row[i].said, "$$")) { /* it is asked as soon as it is loaded */
			FILE *file = fopen(arena_printf(&arena, "%s.said", stage.path), "w");
			assert_non_null(file);
			fprintf(file, "%s\n", row[i].said);
			fclose(file);
		}
		const struct proof *proof =
		        stage_proof(stage_prove(&stage, stage_nvidia(), 0), PROOF_ENCODE, NULL, "h264_nvenc", 8);
		stage_is(proof, YES, row[i].rung, row[i].rung == RUNG_ENGINE ? "" : "unknown", row[i].why);
		if (row[i].rung == RUNG_ENGINE)
			assert_string_equal(proof->engine, "nvenc");
		stage_close(&stage);
	}
}

/* NVENC's "out of memory" is a limit either way; which one, its driver tells. */
static void test_limit(void **state)
{
	static const struct {
		const char *said, *why;
	} row[] = {
		{ "session 1 60\nsession 2 60\nmemory 900\n", "2 are open" },
		{ "session 1 60\nmemory 16200\n", "184 of 16384 MiB are left" },
		{ "memory 900\n", "or the GPU's memory is full" },
		{ "init\n", "or the GPU's memory is full" },
		{ "hang\n", "or the GPU's memory is full" },
	};
	(void)state;
	if (stage_lacks_ffmpeg() || !getenv("GPUFERRY_FAKE_NVML"))
		skip();
	for (size_t i = 0; i < COUNT(row); i++) {
		struct stage stage;
		stage_open(&stage,
		        "encoders=h264_nvenc filters=none hwaccels=none\n"
		        "act() { case \"$*\" in *h264_nvenc*) say '[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: "
		        "out of memory (10): (no details)' ;; esac; }");
		stage_nvml(&stage, row[i].said);
		stage_is(stage_proof(stage_prove(&stage, stage_nvidia(), 0), PROOF_ENCODE, NULL, "h264_nvenc", 8),
		        UNKNOWN, RUNG_LISTED, "limit", row[i].why);
		stage_close(&stage);
	}
}

/* ---- programs that lie or fail ------------------------------------------------------------ */

#define ON_ENCODE(act) "case \" $* \" in *' -f null '*) ;; *h264_nvenc*) " act " ;; esac"

static void test_lies(void **state)
{
	static const struct {
		const char *act, *reason, *why;
		enum tri works;
		int rung;
	} row[] = {
		{ "case $1 in -hide_banner) exit 0 ;; esac", "broken", "gave no stream", NO, RUNG_LISTED },
		{ "case \"$*\" in *' -c:v '*) ;; *rawvideo*) exit 0 ;; esac", "unknown",
		        "the reference could not be made", UNKNOWN, RUNG_LISTED },
		{ ON_ENCODE("exit 0"), "broken", "gave no stream", NO, RUNG_LISTED },
		{ ON_ENCODE("echo hello; exit 0"), "broken", "cannot be decoded", NO, RUNG_LISTED },
		{ ON_ENCODE("exec $real -v error -f lavfi -i color=black:s=320x192 -frames:v 1 -c:v libx264 -f h264 "
		            "pipe:1"),
		        "broken", "not the picture", NO, RUNG_LISTED },
		{ ON_ENCODE(
		          "exec $real -v error -f lavfi -i testsrc2=s=160x96 -frames:v 1 -c:v libx264 -f h264 pipe:1"),
		        "broken", "no picture of the size", NO, RUNG_LISTED },
		{ ON_ENCODE("exec $real -v error -f lavfi -i testsrc2=s=320x192 -pix_fmt yuv420p10le -frames:v 1 "
		            "-c:v libx264 -f h264 pipe:1"),
		        "broken", "10 bits a sample where 8", NO, RUNG_LISTED },
		{ ON_ENCODE("exec cat /dev/zero"), "broken", "far more than one frame", NO, RUNG_LISTED },
		{ ON_ENCODE("die"), "broken", "signal 11", NO, RUNG_STARTS },
		{ ON_ENCODE("say 'Something nobody ever saw' 234"), "unknown", "Something nobody ever saw", NO,
		        RUNG_STARTS },
		{ ON_ENCODE("exit 1"), "unknown", "said nothing", NO, RUNG_STARTS },
		{ ON_ENCODE("say '[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: out of memory (10): (no details)'"),
		        "limit", "no session is free", UNKNOWN, RUNG_LISTED },
		{ ON_ENCODE("say '[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: unsupported device (2): '"),
		        "unsupported", "has no encoder", NO, RUNG_STARTS },
		{ ON_ENCODE("say '[h264_nvenc @ 0x1] Cannot load libnvidia-encode.so.1'"), "absent",
		        "encoder library is missing", NO, RUNG_OPENS },
		{ "case \"$*\" in *cuda=cu*) say 'cuInit(0) failed -> CUDA_ERROR_UNKNOWN: unknown error' ;; esac",
		        "broken", "nvidia-uvm", NO, RUNG_LOADS },
		{ "case \"$*\" in *cuda=cu*) say 'Cannot load libcuda.so.1' ;; esac", "absent", "CUDA library", NO,
		        RUNG_OPENS },
		/* the frame is right, and what a media server asks for is not */
		{ "case \"$*\" in *-b:v*) say 'Driver does not support some RC mode (supported modes: CQP)' ;; esac",
		        "broken", "HuC", NO, RUNG_FRAME },
		{ "case \"$*\" in *-b:v*) say 'OpenEncodeSessionEx failed: out of memory (10)' ;; esac", "limit",
		        "no session is free", YES, RUNG_FRAME },
	};
	(void)state;
	if (stage_lacks_ffmpeg())
		skip();
	for (size_t i = 0; i < COUNT(row); i++) {
		struct stage stage;
		struct arena arena ARENA_SCOPED = { 0 };
		stage_open(
		        &stage, arena_printf(&arena, "encoders=h264_nvenc\nfilters=none hwaccels=none\nact() {\n%s\n}",
		                        row[i].act));
		stage_is(stage_proof(stage_prove(&stage, stage_nvidia(), 0), PROOF_ENCODE, NULL, "h264_nvenc", 8),
		        row[i].works, row[i].rung, row[i].reason, row[i].why);
		stage_close(&stage);
	}
}

/* One that hangs is ended by its deadline, nothing of it is left, and the device is not tried further. */
static void test_hangs(void **state)
{
	(void)state;
	if (stage_lacks_ffmpeg())
		skip();
	struct stage stage;
	struct timespec begin, end;
	stage_open(&stage,
	        "encoders='libx264 h264_nvenc hevc_nvenc'\nact() { case \"$*\" in *_nvenc*) echo $$ >>\"$0.pid\"; "
	        "sleep 1000 & echo $! >>\"$0.pid\"; hang ;; *-hwaccel_device*) note decoded ;; esac; }");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	const struct proofs *proofs = stage_prove(&stage, stage_nvidia(), 3000);
	clock_gettime(CLOCK_MONOTONIC, &end);
	stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "h264_nvenc", 8), NO, RUNG_STARTS, "broken",
	        "no answer in time");
	stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "hevc_nvenc", 10), NO, RUNG_STARTS, "broken",
	        "no answer in time");
	stage_is(stage_proof(proofs, PROOF_DECODE, "nvenc", "h264", 8), UNKNOWN, RUNG_UNKNOWN, "unknown", "not tried");
	stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "libx264", 8), YES, RUNG_FRAME, "", "");
	assert_string_equal(stage_log(&stage), "");
	assert_true(end.tv_sec - begin.tv_sec < 20);
	struct words pids = text_split(
	        &stage.arena, test_read(&stage.arena, arena_printf(&stage.arena, "%s.pid", stage.path)).data, "\n");
	assert_int_equal(pids.n, 6);
	for (size_t i = 0; i < pids.n; i++)
		assert_true(test_gone(atoi(pids.word[i]))); /* the whole group */
	stage_close(&stage);
}

/* ---- second tries ---------------------------------------------------------------------------- */

static void test_again(void **state)
{
	static const struct {
		const char *act, *options;
		enum tri works;
	} row[] = {
		/* without low power there is no entrypoint */
		{ "case \"$*\" in *' -c:v h264_vaapi '*-low_power*) ;; *' -c:v h264_vaapi '*) "
		  "say 'No usable encoding entrypoint found for profile VAProfileH264High (7).' ;; esac",
		        "-low_power 1", YES },
		/* the last session was another one's */
		{ "case \"$*\" in *' -c:v h264_vaapi '*) [ -e \"$0.once\" ] || { : >\"$0.once\"; "
		  "say 'OpenEncodeSessionEx failed: out of memory (10)'; } ;; esac",
		        "", YES },
		/* the scaler does not work, the encoder does */
		{ "case \"$*\" in *scale_vaapi*) say 'Failed to begin picture parameters' ;; esac", "", YES },
		{ "case \"$*\" in *' -c:v h264_vaapi '*) say 'No usable encoding profile found.' ;; esac", "", NO },
	};
	(void)state;
	if (stage_lacks_ffmpeg())
		skip();
	for (size_t i = 0; i < COUNT(row); i++) {
		struct stage stage;
		struct arena arena ARENA_SCOPED = { 0 };
		stage_open(
		        &stage, arena_printf(&arena, "encoders=h264_vaapi hwaccels=none\nact() {\n%s\n}", row[i].act));
		stage.fdinfo = STAGE_I915("1000");
		const struct proofs *proofs = stage_prove(&stage, stage_intel(), 0);
		const struct proof *proof = stage_proof(proofs, PROOF_ENCODE, NULL, "h264_vaapi", 8);
		if (proof->works != row[i].works || (row[i].works == YES && proof->rung != RUNG_ENGINE))
			fail_msg("row %zu: %d %d %s", i, proof->works, proof->rung, proof->why);
		assert_string_equal(proof->options, row[i].options);
		stage_is(stage_proof(proofs, PROOF_FILTER, NULL, "scale_vaapi", 8), i == 2 ? NO : YES,
		        i == 2 ? RUNG_STARTS : RUNG_FRAME, i == 2 ? "unknown" : "", i == 2 ? "begin picture" : "");
		stage_close(&stage);
	}
}

/* ---- nodes ---------------------------------------------------------------------------------------- */

static void test_nodes(void **state)
{
	static const struct {
		int error;
		const char *reason, *why;
	} row[] = {
		{ EACCES, "broken", "may not be opened by this user" },
		{ EPERM, "broken", "device rules" },
		{ ENOENT, "absent", "/dev/dri/renderD128 is not here" },
		{ ENXIO, "broken", "no driver behind it" },
		{ EIO, "broken", "fell off the bus" },
		{ EBUSY, "broken", "cannot be opened" },
	};
	(void)state;
	if (stage_lacks_ffmpeg())
		skip();
	for (size_t i = 0; i < COUNT(row); i++) {
		struct stage stage;
		const struct stage_node nodes[] = { { "/dev/dri/renderD128", row[i].error }, { NULL, 0 } };
		stage_open(&stage, "encoders=h264_vaapi hwaccels=none\nact() { note \"$*\"; }");
		stage.nodes = nodes;
		const struct proofs *proofs = stage_prove(&stage, stage_intel(), 0);
		stage_is(stage_proof(proofs, PROOF_ENCODE, NULL, "h264_vaapi", 8), NO, RUNG_NONE, row[i].reason,
		        row[i].why);
		assert_null(strstr(stage_log(&stage), "vaapi=va")); /* nothing was started for it */
		stage_close(&stage);
	}
	/* NVIDIA's: its helper makes nodes; only where CUDA does not start either they are the reason */
	struct stage stage;
	const struct stage_node nodes[] = { { "/dev/nvidia0", 0 }, { "/dev/nvidiactl", 0 }, { NULL, 0 } };
	stage_open(&stage, "encoders=h264_nvenc hwaccels=none\nact() { case \"$*\" in *cuda=cu*) say 'cuInit(0) "
	                   "failed' ;; esac; }");
	stage.nodes = nodes;
	stage_is(stage_proof(stage_prove(&stage, stage_nvidia(), 0), PROOF_ENCODE, NULL, "h264_nvenc", 8), NO,
	        RUNG_NONE, "absent", "/dev/nvidia-uvm is not here");
	stage_close(&stage);
	stage_open(&stage, "encoders=h264_nvenc hwaccels=none\nact() { :; }");
	stage.nodes = nodes;
	stage_is(stage_proof(stage_prove(&stage, stage_nvidia(), 0), PROOF_ENCODE, NULL, "h264_nvenc", 8), YES,
	        RUNG_FRAME, "unknown", "");
	stage_close(&stage);
}

/* Of two cards one is denied: CUDA's first is the other, and nothing that runs there is taken for the denied one's. */
static void test_two_cards(void **state)
{
	static struct drm_node cards[] = {
		{ .name = "nvidia0", .path = "/dev/nvidia0", .pci = "0000:01:00.0", .driver = "nvidia", .exists = YES },
		{ .name = "nvidia1", .path = "/dev/nvidia1", .pci = "0000:02:00.0", .driver = "nvidia", .exists = YES },
	};
	static const struct stage_node nodes[] = { { "/dev/nvidia0", EPERM }, { "/dev/nvidia1", 0 },
		{ "/dev/nvidiactl", 0 }, { "/dev/nvidia-uvm", 0 }, { NULL, 0 } };
	static const struct drm two = { .nodes = cards, .n = 2, .known = YES };
	(void)state;
	if (stage_lacks_ffmpeg())
		skip();
	struct stage stage;
	stage_open(&stage, "encoders=h264_nvenc filters=none hwaccels=none\n"
	                   "act() { case \"$*\" in *cuda=cu:1*) say 'CUDA_ERROR_INVALID_DEVICE' ;; *cuda=cu:*) note "
	                   "\"$*\" ;; esac; }");
	stage.nodes = nodes;
	const struct proofs *proofs = stage_prove(&stage, &two, 0);
	for (size_t i = 0; i < proofs->n; i++) {
		const struct proof *proof = &proofs->list[i];
		if (strcmp(proof->name, "h264_nvenc") != 0)
			continue;
		if (strcmp(proof->device, "/dev/nvidia0") == 0)
			stage_is(proof, NO, RUNG_NONE, "broken", "device rules");
		else
			stage_is(proof, YES, RUNG_FRAME, "unknown", "");
	}
	assert_non_null(strstr(stage_log(&stage), "cuda=cu:0"));
	stage_close(&stage);
}

static void test_devices(void **state)
{
	struct drm_node nodes[] = {
		{ .name = "card0", .path = "/dev/dri/card0", .pci = "0000:00:02.0", .driver = "i915", .exists = YES },
		{ .name = "nvidia1", .path = "/dev/nvidia1", .pci = "0000:01:00.0", .driver = "nvidia", .exists = YES },
		{ .name = "nvidia0", .path = "/dev/nvidia0", .pci = "0000:02:00.0", .driver = "nvidia", .exists = YES },
		{ .name = "nvidiactl", .path = "/dev/nvidiactl", .pci = "", .driver = "", .exists = YES },
		{ .name = "renderD128",
		        .path = "/dev/dri/renderD128",
		        .pci = "0000:00:02.0",
		        .driver = "i915",
		        .exists = YES },
		{ .name = "renderD129",
		        .path = "/dev/dri/renderD129",
		        .pci = "0000:01:00.0",
		        .driver = "nvidia",
		        .exists = YES },
		{ .name = "renderD130",
		        .path = "/dev/dri/renderD130",
		        .pci = "0000:0a:00.0",
		        .driver = "amdgpu",
		        .exists = YES },
	};
	static const struct {
		enum media_way way;
		const char *node;
		unsigned index;
		bool several;
	} want[] = {
		{ WAY_NVENC, "/dev/nvidia1", 0, true }, /* CUDA counts by address */
		{ WAY_NVENC, "/dev/nvidia0", 1, true },
		{ WAY_QSV, "/dev/dri/renderD128", 0, false },
		{ WAY_VAAPI, "/dev/dri/renderD128", 0, false },
		{ WAY_VAAPI, "/dev/dri/renderD130", 1, false },
		{ WAY_VULKAN, "/dev/dri/renderD128", 0, false },
		{ WAY_VULKAN, "/dev/dri/renderD129", 1, false },
		{ WAY_VULKAN, "/dev/dri/renderD130", 2, false },
	};
	struct arena arena ARENA_SCOPED = { 0 };
	const struct drm drm = { .nodes = nodes, .n = COUNT(nodes), .known = YES };
	size_t n;
	struct media_device *devices = proof_devices(&drm, &arena, &n);
	assert_int_equal(n, COUNT(want));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(devices[i].way, want[i].way);
		assert_string_equal(devices[i].node, want[i].node);
		assert_int_equal(devices[i].index, want[i].index);
		assert_int_equal(devices[i].several, want[i].several);
	}
	/* a card whose node is missing is not counted by CUDA */
	nodes[1].exists = NO;
	devices = proof_devices(&drm, &arena, &n);
	assert_int_equal(devices[1].index, 0);
	assert_false(devices[1].several);
	devices = proof_devices(&no_gpu, &arena, &n);
	assert_int_equal(n, WAY_SOFTWARE);
	for (size_t i = 0; i < n; i++)
		assert_null(devices[i].node);
	(void)state;
}

static void test_pictures(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	char *left = arena_alloc(&arena, PICTURE_SAMPLES), *right = arena_alloc(&arena, 2 * PICTURE_SAMPLES);
	struct bytes reference = { left, PICTURE_SAMPLES }, eight = { right, PICTURE_SAMPLES },
	             ten = { right, 2 * PICTURE_SAMPLES };
	for (size_t i = 0; i < PICTURE_SAMPLES; i++)
		left[i] = right[i] = (char)(i % 251);
	assert_int_equal(proof_psnr(reference, eight, 8), 999);
	for (size_t i = 0; i < PICTURE_SAMPLES; i++)
		right[i] = (char)(i % 251 + 1);
	assert_int_equal(proof_psnr(reference, eight, 8), 481); /* one apart everywhere */
	assert_int_equal(proof_psnr(reference, eight, 10), UNKNOWN_NUMBER);
	assert_int_equal(proof_psnr(reference, ten, 8), UNKNOWN_NUMBER);
	assert_int_equal(proof_psnr((struct bytes){ 0 }, eight, 8), UNKNOWN_NUMBER);
	for (size_t i = 0; i < PICTURE_SAMPLES; i++) {
		unsigned sample = (unsigned)(i % 251) << 2 | 3;
		right[2 * i] = (char)(sample & 255);
		right[2 * i + 1] = (char)(sample >> 8);
	}
	assert_int_equal(proof_psnr(reference, ten, 10), 999);
	assert_true(
	        proof_is_played(bytes_of("GPU listing:\n 0: A\n"
	                                 "Device 0 selected: llvmpipe (LLVM 15.0.6, 256 bits) (software) (0x0)\n")));
	assert_false(proof_is_played(bytes_of("    0: llvmpipe (software) (0x0)\nDevice 1 selected: Intel(R) UHD "
	                                      "Graphics 770 (ADL-S GT1) (integrated) (0x4680)\n")));
	assert_false(proof_is_played((struct bytes){ 0 }));
	(void)state;
}

/* Upload, a scaler of its own and download, for real: the processor plays the GPU. So the line is one that ffmpeg
 * takes, what comes back is near enough, and yet no GPU is seen in it. */
static void test_played(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	const struct media_device device = { .way = WAY_VULKAN };
	const struct probe_for what = { .ffmpeg = "/usr/bin/ffmpeg", .device = &device, .bits = 8 };
	static const enum probe probes[] = { PROBE_INIT, PROBE_REFERENCE, PROBE_FILTER };
	struct run_job jobs[COUNT(probes)] = { 0 };
	struct world *world = world_open_root(NULL, false, &arena, NULL);
	for (size_t i = 0; i < COUNT(probes); i++)
		jobs[i].command =
		        (struct command){ .argv = probe_argv(probes[i], &what, &arena), .deadline_ms = 60000 };
	if (!stage_lacks_ffmpeg())
		world_run_each(world, jobs, COUNT(jobs), 2, &arena);
	world_close(world);
	if (stage_lacks_ffmpeg() || jobs[0].error || jobs[0].outcome.status || !proof_is_played(jobs[0].outcome.err)) {
		print_message("no Vulkan device here that the processor plays (mesa-vulkan-drivers)\n");
		arena_release(&arena);
		skip();
	}
	int64_t psnr = proof_psnr(jobs[1].outcome.out, jobs[2].outcome.out, 8);
	if (psnr < 300 || psnr == 999)
		fail_msg("%lld: %s", (long long)psnr, jobs[2].outcome.err.data);
}

/* Debian's ffmpeg, and no GPU: all that it lists is tried or has a reason, and nothing of the hardware works. */
static void test_real(void **state)
{
	(void)state;
	if (stage_lacks_ffmpeg())
		skip();
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct world *world = world_open_root(NULL, false, &arena, &err);
	struct ffmpeg ffmpeg;
	assert_true(ffmpeg_open(world, "/usr/bin/ffmpeg", &arena, &err, &ffmpeg));
	struct proof_options options = { .deadline_ms = 60000 };
	const struct proofs *proofs = proofs_run(world, &no_gpu, &ffmpeg, &options, &arena);
	for (size_t i = 0; i < proofs->n; i++) {
		const struct proof *proof = &proofs->list[i];
		bool software = strcmp(proof->way, "software") == 0;
		if (software && proof->listed == YES)
			stage_is(proof, YES, RUNG_FRAME, "", "");
		else if (proof->works != NO || proof->rung != RUNG_NONE || !*proof->why || !*proof->reason)
			fail_msg("%s: %d %d %s", proof->name, proof->works, proof->rung, proof->why);
	}
	assert_string_equal(proofs->version, ffmpeg.version);
	world_close(world);
}

/* What a tone map does to a picture leaves it alike, and other pictures are not. */
static void test_likeness(void **state)
{
	static char picture[PICTURE_SAMPLES], other[PICTURE_SAMPLES], noise[PICTURE_SAMPLES];
	uint32_t seed = 1;
	(void)state;
	for (size_t i = 0; i < PICTURE_SAMPLES; i++) {
		unsigned x = i % PICTURE_WIDTH, y = (unsigned)(i / PICTURE_WIDTH);
		picture[i] = (char)(16 + (x * 3 + y * y / 50) % 200);
		seed = seed * 1664525 + 1013904223;
		noise[i] = (char)(seed >> 24);
	}
	const struct bytes bytes = { picture, sizeof picture }, second = { other, sizeof other };
	assert_int_equal(proof_likeness(bytes, bytes, 0), 1000);
	assert_int_equal(proof_likeness(bytes, bytes, 1), 1000);
	memcpy(other, picture, sizeof other); /* green */
	memset(other + PICTURE_WIDTH * PICTURE_HEIGHT, 0, sizeof other - PICTURE_WIDTH * PICTURE_HEIGHT);
	assert_int_equal(proof_likeness(bytes, second, 0), 1000);
	assert_int_equal(proof_likeness(bytes, second, 1), UNKNOWN_NUMBER);
	assert_int_equal(proof_likeness(bytes, second, 2), UNKNOWN_NUMBER);
	for (size_t i = 0; i < PICTURE_SAMPLES; i++) /* its darks lifted */
		other[i] = (char)(16 + sqrt((unsigned char)picture[i] - 16) * 15);
	assert_in_range(proof_likeness(bytes, second, 0), 800, 999);
	for (size_t i = 0; i < PICTURE_SAMPLES; i++) /* a negative */
		other[i] = (char)(235 - (unsigned char)picture[i]);
	assert_int_equal(proof_likeness(bytes, second, 0), -1000);
	memcpy(other, picture + 37, sizeof other - 37); /* beside itself */
	assert_true(proof_likeness(bytes, second, 0) < 500);
	assert_true(proof_likeness(bytes, (struct bytes){ noise, sizeof noise }, 0) < 100);
	memset(other, 16, sizeof other); /* black */
	assert_int_equal(proof_likeness(bytes, second, 0), UNKNOWN_NUMBER);
	assert_int_equal(proof_likeness(bytes, (struct bytes){ picture, sizeof picture - 1 }, 0), UNKNOWN_NUMBER);
	assert_int_equal(proof_likeness((struct bytes){ "", 0 }, bytes, 0), UNKNOWN_NUMBER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_likeness),
		cmocka_unit_test(test_pictures),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_played),
		cmocka_unit_test(test_works),
		cmocka_unit_test(test_engine),
		cmocka_unit_test(test_nvml),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_hangs),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_two_cards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
