/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The failure table: each row by the text it stands for, real captures where they are beside the checkout, and bytes
 * that nobody would write.
 */
#include "test.h"

#include "media/failure.h"

/* What a program says in full, and what it must be taken for. */
static const struct {
	const char *said, *id;
	enum failure_kind kind;
	int reached;
} cases[] = {
	/* measured on a machine without a GPU */
	{ "[h264_nvenc @ 0x559965046480] Cannot load libcuda.so.1\nError initializing output stream 0:0 -- Error\n",
	        "cuda-library-missing", FAILURE_ABSENT, 0 },
	{ "[AVHWDeviceContext @ 0x1] Could not dynamically load CUDA\nDevice creation failed: -1.\n",
	        "cuda-library-missing", FAILURE_ABSENT, 0 },
	{ "Unknown encoder 'av1_nvenc'\n", "encoder-not-built", FAILURE_BUILD, -1 },
	{ "[h264_qsv @ 0x55db30e58480] Error initializing an internal MFX session: unsupported (-3)\n", "qsv-none",
	        FAILURE_ABSENT, -1 },
	{ "Impossible to convert between the formats supported by the filter 'Parsed_null_0' and the filter "
	  "'auto_scale_0'\nError reinitializing filters!\n",
	        "no-device", FAILURE_ABSENT, -1 },
	{ "[AVHWDeviceContext @ 0x1] No VA display found for device /dev/dri/renderD128.\nDevice creation failed: "
	  "-22.\n",
	        "va-node", FAILURE_ABSENT, -1 },
	{ "[AVHWDeviceContext @ 0x1] Failed to open /dev/dri/renderD128 as DRM device node.\n", "va-node",
	        FAILURE_ABSENT, -1 },
	{ "[AVHWDeviceContext @ 0x1] Cannot open a VA display from DRM device /dev/null.\n"
	  "Device creation failed: -542398533.\n",
	        "va-node-not-drm", FAILURE_BROKEN, -1 },
	{ "[AVHWDeviceContext @ 0x1] Failed to initialise VAAPI connection: -1 (unknown libva error).\n"
	  "Device creation failed: -5.\n",
	        "va-driver-missing", FAILURE_ABSENT, 0 },
	{ "[AVHWDeviceContext @ 0x1] libva: va_openDriver() returns -1\n"
	  "[AVHWDeviceContext @ 0x1] Failed to initialise VAAPI connection: -1 (unknown libva error).\n",
	        "va-driver-missing", FAILURE_ABSENT, 0 },
	{ "libva error: /usr/lib/x86_64-linux-gnu/dri/iHD_drv_video.so init failed\nlibva info: va_openDriver() "
	  "returns "
	  "18\n[AVHWDeviceContext @ 0x1] Failed to initialise VAAPI connection: 18 (invalid parameter).\n",
	        "va-driver-other", FAILURE_BROKEN, 1 },
	{ "[AVHWDeviceContext @ 0x1] Failed to initialise VAAPI connection: 18 (invalid parameter).\n",
	        "va-driver-other", FAILURE_BROKEN, 1 },
	{ "[AVHWDeviceContext @ 0x1] Failed to initialise VAAPI connection: 5 (a new one).\n", "va-driver-failed",
	        FAILURE_BROKEN, 1 },
	{ "libva: /usr/lib/x86_64-linux-gnu/dri/i965_drv_video.so init failed\nFailed to initialise VAAPI connection: "
	  "-1 "
	  "(unknown libva error).\n",
	        "va-driver-i965", FAILURE_BROKEN, 1 },
	{ "libva: /usr/lib/dri/iHD_drv_video.so has no function __vaDriverInit_1_0\nlibva: /usr/lib/i965_drv_video.so "
	  "init failed\n",
	        "va-driver-version", FAILURE_BROKEN, 0 },
	{ "[AVHWFramesContext @ 0x1] Failed to create surface: 2 (resource allocation failed).\n", "va-surface",
	        FAILURE_BROKEN, 3 },
	{ "[AVHWDeviceContext @ 0x1] Error initializing an MFX session: -3.\n", "qsv-not-intel", FAILURE_UNSUPPORTED,
	        1 },
	{ "Error creating a MFX session: -9.\nDevice creation failed: -1313558101.\n", "qsv-runtime", FAILURE_ABSENT,
	        1 },
	{ "Error creating a MFX session: -3.\n", "qsv-runtime", FAILURE_ABSENT, 1 },
	{ "Device creation failed: -542398533.\nFailed to set value 'qsv=hw' for option 'init_hw_device': Generic "
	  "error "
	  "in an external library\n",
	        "qsv-none", FAILURE_ABSENT, -1 },
	{ "[AVHWDeviceContext @ 0x1] Failed to get number of OpenCL platforms: -1001.\nDevice creation failed: -19.\n",
	        "opencl-none", FAILURE_ABSENT, 0 },
	{ "[AVHWDeviceContext @ 0x1] Instance creation failure: VK_ERROR_INCOMPATIBLE_DRIVER\n", "vulkan-none",
	        FAILURE_ABSENT, 0 },
	{ "Failed to open the given device!\n", "va-node", FAILURE_ABSENT, -1 },
	{ "Failed to a DRM display for the given device\n", "va-node-not-drm", FAILURE_BROKEN, -1 },
	{ "[h264 @ 0x1] No device available for decoder: device type cuda needed for codec h264.\n"
	  "Device setup failed for decoder on input stream #0:0 : Operation not permitted\n",
	        "decoder-no-device", FAILURE_ABSENT, -1 },
	{ "[vist#0:0/hevc @ 0x1] Hardware device setup failed for decoder: Unknown error occurred\n",
	        "decoder-no-device", FAILURE_ABSENT, -1 },
	{ "[h264 @ 0x1] Failed to create decode configuration: 13 (the requested VAEntryPoint is not supported).\n"
	  "[h264 @ 0x1] Failed setup for format vaapi: hwaccel initialisation returned error.\nImpossible to convert "
	  "between the formats supported by the filter 'graph 0 input from stream 0:0' and the filter 'auto_scale_0'\n",
	        "va-decode", FAILURE_UNSUPPORTED, 2 },
	{ "[av1 @ 0x1] No support for codec av1 profile 0.\n[av1 @ 0x1] Failed setup for format vaapi: hwaccel "
	  "initialisation returned error.\nError while decoding stream #0:0: Invalid data found when processing "
	  "input\n",
	        "va-decode", FAILURE_UNSUPPORTED, 2 },
	{ "[h264 @ 0x1] Cannot load libnvcuvid.so.1\n[h264 @ 0x1] Failed loading nvcuvid.\n[h264 @ 0x1] Failed setup "
	  "for format cuda: hwaccel initialisation returned error.\n",
	        "nvdec-library-missing", FAILURE_ABSENT, 0 },
	{ "[av1 @ 0x1] Failed setup for format cuda: hwaccel initialisation returned error.\nError while decoding "
	  "stream #0:0: Invalid data found when processing input\n",
	        "decoder-refuses", FAILURE_UNSUPPORTED, 2 },
	{ "[h264_vaapi @ 0x1] Failed to create encode pipeline configuration: 12 (the requested VAProfile is not "
	  "supported).\n",
	        "va-config", FAILURE_BROKEN, 3 },
	{ "[h264_vaapi @ 0x1] Failed to create encode pipeline context: 2 (resource allocation failed).\n",
	        "va-context", FAILURE_BROKEN, 3 },
	{ "[Parsed_scale_vaapi_2 @ 0x1] Failed to create processing pipeline config: 13 (the requested VAEntryPoint is "
	  "not supported).\n",
	        "va-scaler", FAILURE_UNSUPPORTED, 2 },
	{ "[AVHWDeviceContext @ 0x1] libva: Failed to get device id from the driver. Please consider to upgrade the "
	  "driver to support VA-API 1.15.0\nDevice creation failed: -1313558101.\n",
	        "qsv-not-intel", FAILURE_UNSUPPORTED, 1 },
	/* what CUDA starts with, by the numbers of its reference (tests/beds/cuda.c) */
	{ "[AVHWDeviceContext @ 0x1] cu->cuInit(0) failed -> CUDA_ERROR_STUB_LIBRARY: CUDA driver is a stub library\n",
	        "cuda-stub", FAILURE_ABSENT, 0 },
	{ "cu->cuInit(0) failed -> CUDA_ERROR_DEVICE_UNAVAILABLE: CUDA-capable device(s) is/are busy or unavailable\n",
	        "cuda-busy", FAILURE_LIMIT, 1 },
	{ "cu->cuDeviceGet(&device, 3) failed -> CUDA_ERROR_INVALID_DEVICE: invalid device ordinal\n", "cuda-no-device",
	        FAILURE_ABSENT, 1 },
	{ "cu->cuInit(0) failed -> CUDA_ERROR_NOT_SUPPORTED: operation not supported\n", "cuda-unsupported",
	        FAILURE_UNSUPPORTED, 1 },
	{ "cu->cuInit(0) failed -> CUDA_ERROR_SYSTEM_NOT_READY: system not yet initialized\n", "cuda-not-ready",
	        FAILURE_BROKEN, 1 },
	{ "dl_fn->cuda_dl->cuInit(0) failed -> CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE: forward compatibility was "
	  "attempted on non supported HW\n",
	        "cuda-mismatch", FAILURE_BROKEN, 1 },
	/* NVENC, from its source and from reports */
	{ "[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: invalid version (15): (no details)\n", "nvidia-driver-old",
	        FAILURE_BROKEN, 2 },
	{ "[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: device does not exist (5): (no details)\n", "nvenc-gone",
	        FAILURE_BROKEN, 2 },
	{ "[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: out of memory (10): (no details)\n[h264_nvenc @ 0x1] No "
	  "capable "
	  "devices found\n",
	        "nvenc-limit", FAILURE_LIMIT, 3 },
	{ "[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: incompatible client key (21)\n", "nvenc-key", FAILURE_LIMIT,
	        3 },
	{ "nvenc : Error on nvEncOpenEncodeSessionEx: 10 (NVENC indicates that)\n", "nvenc-limit", FAILURE_LIMIT, 3 },
	{ "[h264_nvenc @ 0x1] No capable devices found\n", "nvenc-none", FAILURE_ABSENT, 1 },
	{ "[h264_nvenc @ 0x1] No NVENC capable devices found\n", "nvenc-none", FAILURE_ABSENT, 1 },
	{ "No GPU found suitable for NVEnc Encoding.\n", "nvenc-none", FAILURE_ABSENT, 1 },
	{ "[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: unsupported device (2): (no details)\n[h264_nvenc @ 0x1] No "
	  "capable devices found\n",
	        "nvenc-no-engine", FAILURE_UNSUPPORTED, 2 },
	{ "[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: no encode device (1)\n", "nvenc-no-engine",
	        FAILURE_UNSUPPORTED, 2 },
	{ "[h264_nvenc @ 0x1] [ GPU #0 - < GeForce GT 540M > has Compute SM 2.1, NVENC not available ]\n",
	        "nvenc-no-engine", FAILURE_UNSUPPORTED, 2 },
	{ "[h264_nvenc @ 0x1] Driver does not support the required nvenc API version. Required: 13.0 Found: 12.2\n"
	  "[h264_nvenc @ 0x1] The minimum required Nvidia driver for nvenc is 570.0 or newer\n",
	        "nvidia-driver-old", FAILURE_BROKEN, 1 },
	{ "The minimum required Nvidia driver for nvenc is 471.41 or newer\n", "nvidia-driver-old", FAILURE_BROKEN, 1 },
	{ "[hevc_nvenc @ 0x1] 10 bit encode not supported\n[hevc_nvenc @ 0x1] Provided device doesn't support required "
	  "NVENC features\n",
	        "nvenc-no-10bit", FAILURE_UNSUPPORTED, 3 },
	{ "[av1_nvenc @ 0x1] Codec not supported\n[av1_nvenc @ 0x1] Provided device doesn't support required NVENC "
	  "features\n",
	        "nvenc-no-codec", FAILURE_UNSUPPORTED, 2 },
	{ "[hevc_nvenc @ 0x1] Provided device doesn't support required NVENC features\n", "nvenc-no-feature",
	        FAILURE_UNSUPPORTED, 3 },
	{ "cu->cuInit(0) failed -> CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected\n", "cuda-no-device",
	        FAILURE_ABSENT, 1 },
	{ "cu->cuCtxCreate(&ctx) failed -> CUDA_ERROR_OUT_OF_MEMORY: out of memory\n", "cuda-memory", FAILURE_LIMIT,
	        2 },
	{ "[h264_nvenc @ 0x1] Failed creating CUDA context for NVENC: 0x2\n[h264_nvenc @ 0x1] No NVENC capable devices "
	  "found\n",
	        "cuda-memory", FAILURE_LIMIT, 2 },
	{ "cu->cuInit(0) failed -> CUDA_ERROR_UNKNOWN: unknown error\n", "cuda-uvm", FAILURE_BROKEN, 1 },
	{ "cu->cuInit(0) failed -> CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported display driver\n",
	        "cuda-mismatch", FAILURE_BROKEN, 1 },
	{ "[h264_nvenc @ 0x1] Cannot load libnvidia-encode.so.1\n[h264_nvenc @ 0x1] The minimum required Nvidia driver "
	  "for nvenc is 418.30 or newer\n",
	        "nvenc-library-missing", FAILURE_ABSENT, 0 },
	{ "[h264_cuvid @ 0x1] Cannot load libnvcuvid.so.1\n", "nvdec-library-missing", FAILURE_ABSENT, 0 },
	/* VA-API */
	{ "[hevc_vaapi @ 0x1] No usable encoding profile found.\n", "va-profile", FAILURE_UNSUPPORTED, 2 },
	{ "[h264_vaapi @ 0x1] No usable encoding entrypoint found for profile VAProfileH264High (7).\n",
	        "va-entrypoint", FAILURE_UNSUPPORTED, 2 },
	{ "[h264_vaapi @ 0x1] Driver does not support VBR RC mode (supported modes: CQP).\n", "va-huc", FAILURE_BROKEN,
	        3 },
	{ "[h264_vaapi @ 0x1] Driver does not support any RC mode compatible with selected options (supported modes: "
	  "CQP).\n",
	        "va-huc", FAILURE_BROKEN, 3 },
	{ "[h264_vaapi @ 0x1] Hardware does not support encoding at size 64x32 (constraints: width 128-4096)\n",
	        "va-size", FAILURE_UNSUPPORTED, 3 },
	{ "[h264_vaapi @ 0x1] Failed to end picture encode issue: 24 (internal encoding error).\n", "va-encode",
	        FAILURE_BROKEN, 3 },
	{ "[h264_vaapi @ 0x1] Failed to end picture encode issue: 1 (operation failed).\n", "va-encode", FAILURE_BROKEN,
	        3 },
	/* QSV */
	{ "[h264_qsv @ 0x1] Error during encoding: device failed (-17)\n", "qsv-device-failed", FAILURE_BROKEN, 3 },
	{ "[h264_qsv @ 0x1] Error during encoding: GPU Hang (-21)\n", "qsv-hang", FAILURE_BROKEN, 3 },
	{ "[av1_qsv @ 0x1] Error initializing the encoder: unsupported (-3)\n", "qsv-unsupported", FAILURE_UNSUPPORTED,
	        3 },
	{ "[h264_qsv @ 0x1] Error setting a display handle: invalid handle (-6)\n", "qsv-handle", FAILURE_BROKEN, 2 },
	/* what this ffmpeg lacks, and what no GPU can help with */
	{ "Unknown decoder 'hevc_qsv'\n", "decoder-not-built", FAILURE_BUILD, -1 },
	{ "[AVFilterGraph @ 0x1] No such filter: 'tonemap_cuda'\n", "filter-not-built", FAILURE_BUILD, -1 },
	{ "Invalid device specification \"cuda=cu:0\": unknown device type\n", "device-not-built", FAILURE_BUILD, -1 },
	{ "Unrecognized hwaccel: vulkan.\n", "hwaccel-not-built", FAILURE_BUILD, -1 },
	{ "hwupload: A hardware device reference is required to upload frames to.\n", "no-device", FAILURE_ABSENT, -1 },
	{ "[h264_vaapi @ 0x1] A hardware frames reference is required to associate the encoding device.\n", "no-device",
	        FAILURE_ABSENT, -1 },
	{ "av_interleaved_write_frame(): No space left on device\n", "disk-full", FAILURE_OUTPUT, 3 },
	{ "[Parsed_tonemap_vaapi_0 @ 0x1] Failed to query HDR caps context: 20 (the requested function is not implemented).\n",
	        "va-no-tone-map", FAILURE_UNSUPPORTED, 3 },
	{ "[Parsed_tonemap_vaapi_0 @ 0x1] VAAPI driver doesn't support HDR to SDR\n", "va-no-tone-map", FAILURE_UNSUPPORTED, 3 },
	{ "[Parsed_tonemap_vaapi_1 @ 0x1] No mastering display data from input\n", "hdr-untold", FAILURE_UNSUPPORTED, 3 },
	{ "[Parsed_scale_vaapi_0 @ 0x1] Failed to start picture processing: 34 (HW busy now).\n", "filter-failed",
	        FAILURE_BROKEN, 3 },
	{ "[h264 @ 0x1] Failed to end picture decode issue: 34 (HW busy now).\n", "decode-failed", FAILURE_BROKEN, 3 },
	{ "[h264 @ 0x1] Failed to create parameter buffer (type 0): 2 (resource allocation failed).\n", "decode-failed",
	        FAILURE_BROKEN, 3 },
	{ "[hevc @ 0x1] No decoder surfaces left\n", "decode-failed", FAILURE_BROKEN, 3 },
	{ "[hevc @ 0x1] hardware accelerator failed to decode picture\n", "decode-failed", FAILURE_BROKEN, 3 },
	{ "in.mkv: Invalid data found when processing input\n", "input-invalid", FAILURE_INPUT, 3 },
	{ "[mov,mp4 @ 0x1] moov atom not found\nin.mp4: Invalid data found when processing input\n", "input-cut",
	        FAILURE_INPUT, 3 },
	{ "[mov,mp4 @ 0x1] moov atom not found\n", "input-cut", FAILURE_INPUT, 3 },
};

static void test_cases(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct failure failure = failure_find(bytes_of(cases[i].said), &arena);
		if (!failure.id || strcmp(failure.id, cases[i].id) != 0 || failure.kind != cases[i].kind ||
		        failure.reached != cases[i].reached)
			fail_msg("%s: taken for %s, kind %s, rung %d", cases[i].said,
			        failure.id ? failure.id : "nothing", failure_kind_name(failure.kind), failure.reached);
		assert_true(strlen(failure.cause) > 10 && strlen(failure.cure) > 7 && *failure.text);
		assert_null(strchr(failure.text, '\n'));
		assert_null(strstr(failure.text, "@ 0x"));
	}
	(void)state;
}

/* Each row is met by some text, or it is dead: another row stands before it. */
static void test_every_row(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	for (const struct failure_row *row = failure_rows; row->id; row++) {
		const char *said = row->also ? arena_printf(&arena, "%s\n%s", row->text, row->also) : row->text;
		struct failure failure = failure_find(bytes_of(said), &arena);
		if (!failure.id || strcmp(failure.id, row->id) != 0 || failure.cause != row->cause)
			fail_msg("%s: its text is taken for %s", row->text, failure.id ? failure.id : "nothing");
		bool met = false;
		for (size_t i = 0; i < COUNT(cases); i++)
			met |= strstr(cases[i].said, row->text) && strcmp(cases[i].id, row->id) == 0;
		if (!met)
			fail_msg("%s: no case of this test has it", row->text);
	}
	(void)state;
}

static void test_text(void **state)
{
	static const struct {
		const char *said, *text;
	} row[] = {
		{ "Stream mapping:\n[h264_nvenc @ 0x559965046480] Cannot load libcuda.so.1\nConversion failed!\n",
		        "Cannot load libcuda.so.1" },
		{ "[vist#0:0/hevc @ 0x1] [dec:hevc_qsv @ 0x2] No device available for decoder: device type qsv "
		  "needed.\n",
		        "No device available for decoder: device type qsv needed." },
		/* unknown: the first line that does not only follow */
		{ "ffmpeg version 8.0 Copyright\n  built with gcc\n[h264_future @ 0x1] The flux is low\nConversion "
		  "failed!\n",
		        "The flux is low" },
		/* as 7.1 says it */
		{ "[vf#0:0 @ 0x1] Error sending frames to consumers: Unknown error occurred\n[vf#0:0 @ 0x1] Task "
		  "finished with error code: -5 (Input/output error)\n[vost#0:0/h264_future @ 0x1] The flux is low\n",
		        "The flux is low" },
		{ "Conversion failed!\n", "Conversion failed!" },
		{ "", "" },
		{ "\n\n \r\n", "" },
		{ "[h264_nvenc @ 0x1] [ GPU #0 - < RTX 4060 Ti > has Compute SM 8.9 ]\n",
		        "[ GPU #0 - < RTX 4060 Ti > has Compute SM 8.9 ]" },
	};
	struct arena arena ARENA_SCOPED = { 0 };
	for (size_t i = 0; i < COUNT(row); i++)
		assert_string_equal(failure_find(bytes_of(row[i].said), &arena).text, row[i].text);
	struct failure unknown = failure_find(bytes_of("The flux is low"), &arena);
	assert_null(unknown.id);
	assert_int_equal(unknown.kind, FAILURE_UNKNOWN);
	assert_string_equal(failure_why(&unknown, &arena), "The flux is low");
	struct failure silent = failure_find((struct bytes){ 0 }, &arena);
	assert_string_equal(failure_why(&silent, &arena), "it failed and said nothing");
	(void)state;
}

static void test_ended(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	assert_string_equal(failure_of(139, false, bytes_of(""), &arena).id, "signal");
	assert_non_null(strstr(failure_of(139, false, bytes_of(""), &arena).cure, "library crashes"));
	assert_non_null(strstr(failure_of(137, false, bytes_of(""), &arena).cure, "memory ran out"));
	assert_string_equal(failure_of(137, true, bytes_of("Unknown encoder 'x'"), &arena).id, "timeout");
	/* newer ffmpeg: 218 is ENOSYS, 187 a conversion that failed, 255 an interrupt: none is a signal */
	static const int codes[] = { 1, 187, 218, 234, 244, 251, 255 };
	for (size_t i = 0; i < COUNT(codes); i++)
		assert_null(failure_of(codes[i], false, bytes_of(""), &arena).id);
	/* what was said explains more than the signal it ended by */
	assert_string_equal(
	        failure_of(139, false, bytes_of("Cannot load libcuda.so.1"), &arena).id, "cuda-library-missing");
	(void)state;
}

/* What ffmpeg goes on after: 5.1, 7.1 and hwaccels of others, as they print it. */
static void test_lost(void **state)
{
	static const struct {
		const char *said, *id, *text;
	} row[] = {
		{ "[h264 @ 0x55] Failed to end picture decode issue: 34 (HW busy now).\n"
		  "[h264 @ 0x55] hardware accelerator failed to decode picture\n",
		        "decode-failed", "HW busy" },
		{ "[hevc @ 0x1] hardware accelerator failed to decode picture\n", "decode-failed", "hardware accelerator" },
		{ "[av1 @ 0x1] HW accel end frame fail.\n", "decode-failed", "HW accel" },
		{ "Error while decoding stream #0:0: Input/output error\n", "decode-failed", "Input/output" },
		{ "[vist#0:0/h264 @ 0x5] [dec:h264 @ 0x6] Error submitting packet to decoder: Input/output error\n",
		        "decode-failed", "Error submitting" },
		{ "[dec:h264_qsv @ 0x6] Decoding error: Generic error in an external library\n", "decode-failed", "Decoding error" },
		{ "[vist#0:0/h264 @ 0x5] [dec:h264 @ 0x6] Error submitting EOF to decoder: Input/output error\n", "decode-failed",
		        "Error submitting" },
		/* H.264's decoder calls it damage, HEVC's says nothing */
		{ "[h264 @ 0x1] Failed to create parameter buffer (type 0): 2 (resource allocation failed).\n"
		  "Error while decoding stream #0:0: Invalid data found when processing input\n",
		        "decode-failed", "parameter buffer" },
		{ "[hevc @ 0x1] No decoder surfaces left\n", "decode-failed", "surfaces" },
		{ "[h264 @ 0x1] get_buffer() failed\n", "decode-failed", "get_buffer" },
		{ "[hevc @ 0x1] decoder->cvdl->cuvidDecodePicture(decoder->decoder, &ctx->pic_params) failed -> "
		  "CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure\n",
		        "decode-failed", "cuvidDecodePicture" },
		/* what says more is told */
		{ "[h264 @ 0x1] CUDA_ERROR_OUT_OF_MEMORY: out of memory\n[h264 @ 0x1] hardware accelerator failed to decode picture\n",
		        "cuda-memory", "CUDA_ERROR" },
		/* nor is what comes behind the decoder */
		{ "[h264_vaapi @ 0x55] Failed to end picture encode issue: 34 (HW busy now).\n"
		  "Error submitting video frame to the encoder\n",
		        NULL, NULL },
		{ "[vost#0:0/h264_vaapi @ 0x5] Error submitting a packet to the muxer: Input/output error\n", NULL, NULL },
		{ "[AVHWDeviceContext @ 0x1] cu->cuInit(0) failed -> CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported "
		  "display driver / cuda driver combination\n",
		        NULL, NULL },
		{ "[h264_nvenc @ 0x1] dl_fn->cuda_dl->cuCtxPushCurrent(ctx->cu_context) failed -> CUDA_ERROR_UNKNOWN: unknown error\n",
		        NULL, NULL },
		{ "[Parsed_scale_cuda_0 @ 0x1] cu->cuLaunchKernel(func, 1, 1, 1) failed -> CUDA_ERROR_LAUNCH_FAILED: unspecified\n",
		        NULL, NULL },
		{ "[h264_cuvid @ 0x1] ctx->cvdl->cuvidMapVideoFrame(ctx->cudecoder) failed -> CUDA_ERROR_LAUNCH_FAILED: unspecified\n",
		        "decode-failed", "cuvidMapVideoFrame" },
		/* damage in the film is none, and does not hide one */
		{ "Error while decoding stream #0:0: Invalid data found when processing input\n", NULL, NULL },
		{ "[dec:h264 @ 0x6] Error submitting packet to decoder: Invalid data found when processing input\n", NULL, NULL },
		{ "[h264 @ 0x55] non-existing PPS 0 referenced\n[h264 @ 0x55] decode_slice_header error\n[h264 @ 0x55] no frame!\n",
		        NULL, NULL },
		{ "Error while decoding stream #0:0: Invalid data found when processing input\n"
		  "Error while decoding stream #0:0: Input/output error\n",
		        "decode-failed", "Input/output" },
		{ "", NULL, NULL },
		{ "[mpegts @ 0x1] the words hardware accelerator failed to decode picture in a title\n", NULL, NULL },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct failure failure;
		bool is = failure_lost_picture(bytes_of(row[i].said), &arena, &failure);
		if (is != !!row[i].id || (is && (strcmp(failure.id, row[i].id) != 0 || !strstr(failure.text, row[i].text))))
			fail_msg("row %zu: %s %s", i, is ? failure.id : "none", is ? failure.text : "");
		if (is)
			assert_true(failure.kind != FAILURE_INPUT && failure.cure && *failure.cure);
	}
}

/* What NVENC's "out of memory" was, by what the driver tells of the card; what it does not tell is not guessed. */
static void test_limit(void **state)
{
	enum { NONE_TOLD = -1 };
	static const struct {
		const char *said, *pci;
		int64_t sessions, used_mib;
		const char *id, *cause;
	} row[] = {
		{ "out of memory (10)", "0000:01:00.0", 3, 900, "nvenc-limit", "no session is free: 3 are open" },
		{ "out of memory (10)", "0000:01:00.0", 1, 900, "nvenc-limit", "or the GPU's memory is full" },
		{ "out of memory (10)", "", 3, 900, "nvenc-limit", "no session is free: 3 are open" },
		{ "out of memory (10)", NULL, NONE_TOLD, 8100, "nvenc-memory",
		        "memory is full: 92 of 8192 MiB are left" },
		{ "out of memory (10)", "0000:01:00.0", 3, 8100, "nvenc-memory", "memory is full" },
		{ "out of memory (10)", "0000:01:00.0", 0, 900, "nvenc-limit", "or the GPU's memory is full" },
		{ "out of memory (10)", "0000:01:00.0", NONE_TOLD, 900, "nvenc-limit", "or the GPU's memory is full" },
		{ "out of memory (10)", "0000:01:00.0", 3, NONE_TOLD, "nvenc-limit", "or the GPU's memory is full" },
		{ "out of memory (10)", "0000:02:00.0", 3, 8100, "nvenc-limit", "or the GPU's memory is full" },
		{ "incompatible client key (21)", "0000:01:00.0", 3, 8100, "nvenc-key", "as older drivers say it" },
		{ "unsupported device (2)", "0000:01:00.0", 3, 8100, "nvenc-no-engine", "has no encoder" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		const char *said = arena_printf(&arena, "OpenEncodeSessionEx failed: %s: (no details)\n", row[i].said);
		const struct nvml_cards cards = { .n = 1,
			.card[0] = { .pci = "0000:01:00.0",
			        .sessions = row[i].sessions,
			        .memory = 8192LL << 20,
			        .memory_used = row[i].used_mib < 0 ? UNKNOWN_NUMBER : row[i].used_mib << 20 } };
		struct failure failure = failure_find(bytes_of(said), &arena);
		failure = failure_limit(&failure, &cards, row[i].pci, &arena);
		if (strcmp(failure.id, row[i].id) != 0 || !strstr(failure.cause, row[i].cause) || !failure.cure)
			fail_msg("row %zu: %s: %s", i, failure.id, failure.cause);
	}
}

static void test_hostile(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	static const char zeros[] = "\0\0[h264_nvenc @ 0x1] \033[31mCannot load libcuda.so.1\033]0;title\a\0rest\xff";
	struct failure failure = failure_find((struct bytes){ zeros, sizeof zeros - 1 }, &arena);
	assert_string_equal(failure.id, "cuda-library-missing");
	assert_null(strchr(failure.text, '\033'));
	assert_null(strchr(failure.text, '\a'));
	assert_true(text_is_utf8(bytes_of(failure.text)));

	enum { MANY = 8 * 1024 * 1024 };
	char *big = arena_alloc(&arena, MANY);
	memset(big, 'x', MANY);
	failure = failure_find((struct bytes){ big, MANY }, &arena);
	assert_null(failure.id);
	assert_true(strlen(failure.text) <= FAILURE_ROOM);
	memset(big, '\0', MANY);
	assert_true(strlen(failure_find((struct bytes){ big, MANY }, &arena).text) <= FAILURE_ROOM);
	memset(big, '\033', MANY);
	assert_true(strlen(failure_find((struct bytes){ big, MANY }, &arena).text) <= FAILURE_ROOM);
	/* at either end it is found, and shown from the text on, not from megabytes before it */
	static const char text[] = "Cannot load libcuda.so.1";
	memset(big, 'x', MANY);
	memcpy(big + MANY - sizeof text + 1, text, sizeof text - 1);
	failure = failure_find((struct bytes){ big, MANY }, &arena);
	assert_string_equal(failure.id, "cuda-library-missing");
	assert_string_equal(failure.text, text);
	memset(big, '\n', MANY);
	memcpy(big, text, sizeof text - 1);
	assert_string_equal(failure_find((struct bytes){ big, MANY }, &arena).text, text);
	(void)state;
}

/* Real captures: what each was, by the report it comes from. */
static void test_captures(void **state)
{
	static const struct {
		const char *file, *id;
		enum failure_kind kind;
	} row[] = {
		{ "local-noencoder-amf", "encoder-not-built", FAILURE_BUILD },
		{ "local-nogpu-cuda-init", "cuda-library-missing", FAILURE_ABSENT },
		{ "local-nogpu-nvenc", "cuda-library-missing", FAILURE_ABSENT },
		{ "local-nogpu-qsv", "qsv-none", FAILURE_ABSENT },
		{ "local-nogpu-qsv-init", "qsv-none", FAILURE_ABSENT },
		{ "local-nogpu-vaapi", "va-node", FAILURE_ABSENT },
		{ "nvenc-api-12.1-vs-12.0-win", "nvidia-driver-old", FAILURE_BROKEN },
		{ "nvenc-api-13-vs-12.2", "nvidia-driver-old", FAILURE_BROKEN },
		{ "nvenc-api-9.1-vs-9.0", "nvidia-driver-old", FAILURE_BROKEN },
		{ "nvenc-bilibili-concurrent", "nvenc-limit", FAILURE_LIMIT },
		{ "nvenc-cuda-ctx-2", "cuda-memory", FAILURE_LIMIT },
		{ "nvenc-no-cuvid-docker", "nvdec-library-missing", FAILURE_ABSENT },
		{ "nvenc-no-lib-docker", "nvenc-library-missing", FAILURE_ABSENT },
		{ "nvenc-no-libcuda", "cuda-library-missing", FAILURE_ABSENT },
		{ "nvenc-obs-function", "nvidia-driver-old", FAILURE_BROKEN },
		{ "nvenc-viseron-2080ti", "nvenc-limit", FAILURE_LIMIT },
		{ "nvencc-open-kmod", "nvenc-limit", FAILURE_LIMIT },
		{ "qsv-mfx-9-photoprism", "qsv-runtime", FAILURE_ABSENT },
		{ "vaapi-datarhei-lxc-i965", "va-driver-i965", FAILURE_BROKEN },
		{ "vaapi-lsio-ffmpeg-wsl", "va-driver-missing", FAILURE_ABSENT },
		{ "vaapi-n100-i965", "va-driver-i965", FAILURE_BROKEN },
		{ "vaapi-no-display-jf-2467", "va-node", FAILURE_ABSENT },
		{ "vaapi-no-display-nextcloud", "va-node", FAILURE_ABSENT },
		{ "vaapi-serviio", "va-driver-missing", FAILURE_ABSENT },
		{ "vaapi-version-mismatch-jf", "va-driver-version", FAILURE_BROKEN },
	};
	struct arena arena ARENA_SCOPED = { 0 };
	const char *data = test_data("GPUFERRY_DATA");
	if (!data)
		skip();
	DIR *folder = opendir(arena_printf(&arena, "%s/ffmpeg-error", data));
	if (!folder)
		skip();
	size_t seen = 0;
	for (const struct dirent *entry; (entry = readdir(folder));) {
		if (!text_ends(entry->d_name, ".txt"))
			continue;
		const char *name = arena_strndup(&arena, entry->d_name, strlen(entry->d_name) - 4);
		size_t i = 0;
		while (i < COUNT(row) && strcmp(row[i].file, name) != 0)
			i++;
		if (i == COUNT(row))
			fail_msg("%s: no row of this test knows it", name);
		struct bytes said = test_read(&arena, arena_printf(&arena, "%s/ffmpeg-error/%s.txt", data, name));
		struct failure failure = failure_find(said, &arena);
		if (!failure.id || strcmp(failure.id, row[i].id) != 0 || failure.kind != row[i].kind)
			fail_msg("%s: taken for %s", name, failure.id ? failure.id : "nothing");
		seen++;
	}
	closedir(folder);
	assert_int_equal(seen, COUNT(row));
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_every_row),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_captures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
