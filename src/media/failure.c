/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where a row's text comes from: measured on a machine without a GPU (Debian's 5.1), public reports, or the text of
 * libavcodec/nvenc.c, vaapi_encode.c, qsv.c and libavutil/hwcontext_*.c as of 7.0.
 */
#include "media/failure.h"

#include <signal.h>
#include <string.h>

#define NVIDIA_DOCKER                                                                                                  \
	"in a docker container: NVIDIA_DRIVER_CAPABILITIES must name video; elsewhere install the driver's own "       \
	"libraries, of the kernel module's version"
#define FREE_MEMORY "end what holds it (nvidia-smi), or encode less at once"
#define RAISE_DRIVER                                                                                                   \
	"a newer NVIDIA driver (branch 570 for an ffmpeg built with SDK 13, 520 for SDK 12), or an ffmpeg built with " \
	"older headers"
#define IHD_DRIVER                                                                                                     \
	"Intel since Broadwell: intel-media-va-driver (the non-free build encodes more); AMD: mesa-va-drivers; an "    \
	"NVIDIA node has no encoder there: use NVENC"
#define NO_SESSION                                                                                                     \
	"no session is free: the limit of consumer cards is reached, or the GPU's memory is full",                     \
	        "end another stream, or raise the driver: 12 sessions since 590, 8 since 550, 5 since 530"
#define DECODE_OTHERWISE                                                                                               \
	"let software decode it; or the whole driver: intel-media-va-driver-non-free; not a Mesa without H.264 and "   \
	"HEVC"
#define DECODE_ID "decode-failed"
#define DECODE_FAILED DECODE_ID, FAILURE_BROKEN, 3
#define DECODER_FAILED                                                                                                 \
	"the GPU's decoder failed on a picture",                                                                       \
	        "look for a GPU hang in dmesg; if it is this film alone, let software decode it"
#define NO_TONE_MAP                                                                                                    \
	"this GPU, or its VA driver, maps no tones",                                                                   \
	        "software maps them; Intel does since Ice Lake, with intel-media-va-driver-non-free"
#define INTEL_RUNTIME                                                                                                  \
	"an Intel GPU is needed, and its runtime: libmfx-gen1.2 since Tiger Lake, libmfx1 before; VA-API needs "       \
	"neither"

const struct failure_row failure_rows[] = {
	/* neither the GPU's fault nor its driver's */
	{ "disk-full", FAILURE_OUTPUT, 3, "No space left on device", NULL, "the disk of the output is full",
	        "make room, or name another place" },
	{ "input-cut", FAILURE_INPUT, 3, "moov atom not found", NULL, "the input is cut: its index is missing",
	        "copy it again, or repair it" },

	/* what this ffmpeg lacks */
	{ "encoder-not-built", FAILURE_BUILD, -1, "Unknown encoder '", NULL,
	        "this ffmpeg was built without the encoder",
	        "another ffmpeg: jellyfin-ffmpeg has NVENC, QSV and VA-API for all codecs" },
	{ "decoder-not-built", FAILURE_BUILD, -1, "Unknown decoder '", NULL,
	        "this ffmpeg was built without the decoder", "another ffmpeg: jellyfin-ffmpeg has them" },
	{ "filter-not-built", FAILURE_BUILD, -1, "No such filter: '", NULL, "this ffmpeg was built without the filter",
	        "another ffmpeg: jellyfin-ffmpeg has it, Debian's has not every one" },
	{ "device-not-built", FAILURE_BUILD, -1, "unknown device type", NULL,
	        "this ffmpeg was built without this kind of device", "another ffmpeg" },
	{ "hwaccel-not-built", FAILURE_BUILD, -1, "Unrecognized hwaccel:", NULL,
	        "this ffmpeg was built without this acceleration", "another ffmpeg" },

	/* NVIDIA, from libraries to the encoder */
	{ "nvenc-library-missing", FAILURE_ABSENT, 0, "Cannot load libnvidia-encode.so.1", NULL,
	        "NVIDIA's encoder library is missing", NVIDIA_DOCKER },
	{ "nvdec-library-missing", FAILURE_ABSENT, 0, "Cannot load libnvcuvid.so.1", NULL,
	        "NVIDIA's decoder library is missing", NVIDIA_DOCKER },
	{ "cuda-library-missing", FAILURE_ABSENT, 0, "Cannot load libcuda.so.1", NULL,
	        "no NVIDIA driver here: its CUDA library is missing",
	        "install the NVIDIA driver; in a docker container, give it the NVIDIA runtime" },
	{ "cuda-library-missing", FAILURE_ABSENT, 0, "Could not dynamically load CUDA", NULL,
	        "no NVIDIA driver here: its CUDA library cannot be loaded",
	        "install the NVIDIA driver; in a docker container, give it the NVIDIA runtime" },
	{ "nvidia-driver-old", FAILURE_BROKEN, 1, "Driver does not support the required nvenc API version", NULL,
	        "the NVIDIA driver is older than this ffmpeg wants", RAISE_DRIVER },
	{ "nvidia-driver-old", FAILURE_BROKEN, 1, "The minimum required Nvidia driver for nvenc is", NULL,
	        "the NVIDIA driver is older than this program wants", RAISE_DRIVER },
	{ "nvidia-driver-old", FAILURE_BROKEN, 2, "OpenEncodeSessionEx failed: invalid version (15)", NULL,
	        "NVIDIA's encoder library and this ffmpeg do not speak the same version", RAISE_DRIVER },
	{ "cuda-memory", FAILURE_LIMIT, 2, "CUDA_ERROR_OUT_OF_MEMORY", NULL, "the GPU's memory is full", FREE_MEMORY },
	{ "cuda-memory", FAILURE_LIMIT, 2, "Failed creating CUDA context for NVENC: 0x2", NULL,
	        "the GPU's memory is full", FREE_MEMORY },
	{ "cuda-no-device", FAILURE_ABSENT, 1, "CUDA_ERROR_NO_DEVICE", NULL, "the NVIDIA driver sees no GPU",
	        "the nodes /dev/nvidia0 and /dev/nvidiactl must be here, and open to this user" },
	{ "cuda-no-device", FAILURE_ABSENT, 1, "CUDA_ERROR_INVALID_DEVICE", NULL,
	        "the NVIDIA driver has no GPU of that number here",
	        "name another one; in a docker container, NVIDIA_VISIBLE_DEVICES says which it has" },
	{ "cuda-uvm", FAILURE_BROKEN, 1, "CUDA_ERROR_UNKNOWN", NULL,
	        "CUDA does not start: in a CT or docker container mostly because /dev/nvidia-uvm is missing",
	        "load nvidia-uvm on the node before the guest starts, and hand /dev/nvidia-uvm in" },
	{ "cuda-mismatch", FAILURE_BROKEN, 1, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", NULL,
	        "the NVIDIA libraries and the kernel module are of two versions",
	        "the same version on the node and in the guest" },
	{ "cuda-mismatch", FAILURE_BROKEN, 1, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", NULL,
	        "the NVIDIA libraries are not of the kernel module's version, and this GPU may not mix them",
	        "the same version on the node and in the guest; in a docker container, without the image's "
	        "cuda-compat" },
	{ "cuda-not-ready", FAILURE_BROKEN, 1, "CUDA_ERROR_SYSTEM_NOT_READY", NULL,
	        "the NVIDIA driver waits for one of its services",
	        "on a board with NVSwitch: start nvidia-fabricmanager, of the driver's version" },
	{ "cuda-stub", FAILURE_ABSENT, 0, "CUDA_ERROR_STUB_LIBRARY", NULL,
	        "the CUDA library that was loaded is the toolkit's stand-in, not the driver's",
	        "take the toolkit's stubs folder out of the library path" },
	{ "cuda-busy", FAILURE_LIMIT, 1, "CUDA_ERROR_DEVICE_UNAVAILABLE", NULL,
	        "the GPU lets no further program in: its compute mode is exclusive, or prohibits all",
	        "nvidia-smi -c DEFAULT on the machine whose kernel drives the GPU" },
	{ "cuda-unsupported", FAILURE_UNSUPPORTED, 1, "CUDA_ERROR_NOT_SUPPORTED", NULL,
	        "this GPU, or the share of it that was handed in (vGPU), has no CUDA",
	        "a vGPU profile with CUDA, and its licence" },
	{ "nvenc-limit", FAILURE_LIMIT, 3, "OpenEncodeSessionEx failed: out of memory (10)", NULL,
	        NO_SESSION },
	{ "nvenc-limit", FAILURE_LIMIT, 3, "nvEncOpenEncodeSessionEx: 10 ", NULL,
	        NO_SESSION },
	{ "nvenc-key", FAILURE_LIMIT, 3, "incompatible client key (21)", NULL,
	        "no session is free: the limit of consumer cards is reached (as older drivers say it)",
	        "end another stream, or raise the driver" },
	{ "nvenc-gone", FAILURE_BROKEN, 2, "OpenEncodeSessionEx failed: device does not exist (5)", NULL,
	        "the NVIDIA GPU is gone", "dmesg says more (Xid); a cold start may bring it back" },
	{ "nvenc-no-engine", FAILURE_UNSUPPORTED, 2, "unsupported device (2)", NULL, "this NVIDIA GPU has no encoder",
	        "it can still decode; encode on another GPU or in software" },
	{ "nvenc-no-engine", FAILURE_UNSUPPORTED, 2, "no encode device (1)", NULL, "this NVIDIA GPU has no encoder",
	        "it can still decode; encode on another GPU or in software" },
	{ "nvenc-no-engine", FAILURE_UNSUPPORTED, 2, "NVENC not available", NULL,
	        "this NVIDIA GPU is too old to have an encoder", "encode on another GPU or in software" },
	{ "nvenc-no-10bit", FAILURE_UNSUPPORTED, 3, "10 bit encode not supported", NULL,
	        "this GPU does not encode 10 bits", "encode 8 bits: H.264, or HEVC with tone mapping" },
	{ "nvenc-no-codec", FAILURE_UNSUPPORTED, 2, "Codec not supported", NULL, "this GPU does not encode this codec",
	        "another codec: every NVENC has H.264" },
	{ "nvenc-no-feature", FAILURE_UNSUPPORTED, 3, "Provided device doesn't support required NVENC features", NULL,
	        "this GPU's encoder lacks something that was asked for", "fewer options: no B-frames, 8 bits" },

	/* VA-API, from the node to the encoder; a driver's own line before libva's, libva's before ffmpeg's */
	{ "va-driver-version", FAILURE_BROKEN, 0, "has no function __vaDriverInit_", NULL,
	        "the VA driver was built for another libva than this ffmpeg has",
	        "the driver that belongs to this ffmpeg: jellyfin-ffmpeg brings its own, and must be left its own" },
	{ "va-driver-i965", FAILURE_BROKEN, 1, "i965_drv_video.so init failed", NULL,
	        "the old VA driver i965 was loaded, and does not know this GPU", IHD_DRIVER },
	{ "va-driver-other", FAILURE_BROKEN, 1, "_drv_video.so init failed", NULL,
	        "the VA driver that was loaded does not know this GPU", IHD_DRIVER },
	{ "va-driver-other", FAILURE_BROKEN, 1, "Failed to initialise VAAPI connection: 18", NULL,
	        "the VA driver that was loaded does not know this GPU", IHD_DRIVER },
	{ "va-driver-missing", FAILURE_ABSENT, 0, "va_openDriver() returns -1", NULL,
	        "the VA driver of this GPU is missing", IHD_DRIVER },
	{ "va-driver-missing", FAILURE_ABSENT, 0, "Failed to initialise VAAPI connection: -1", NULL,
	        "no VA driver could be loaded for this GPU", IHD_DRIVER },
	{ "va-driver-failed", FAILURE_BROKEN, 1, "Failed to initialise VAAPI connection:", NULL,
	        "the VA driver does not start", IHD_DRIVER },
	{ "va-node-not-drm", FAILURE_BROKEN, -1, "Cannot open a VA display from DRM device", NULL,
	        "the node named is not a GPU's", "name a render node: /dev/dri/renderD128" },
	{ "va-node", FAILURE_ABSENT, -1, "No VA display found for device", NULL,
	        "the render node is missing, or it may not be opened (both have this text)",
	        "hand the node in, and put the service's user into the group that owns it" },
	{ "va-node", FAILURE_ABSENT, -1, "as DRM device node.", NULL,
	        "the render node is missing, or it may not be opened",
	        "hand the node in, and put the service's user into the group that owns it" },
	{ "va-node", FAILURE_ABSENT, -1, "Failed to open the given device!", NULL,
	        "the render node is missing, or it may not be opened",
	        "hand the node in, and put the service's user into the group that owns it" },
	{ "va-node-not-drm", FAILURE_BROKEN, -1, "Failed to a DRM display for the given device", NULL,
	        "the node named is not a GPU's", "name a render node: /dev/dri/renderD128" },
	{ "va-huc", FAILURE_BROKEN, 3, "RC mode (supported modes: CQP)", NULL,
	        "the low-power encoder has no bit rate control: the HuC firmware is not loaded",
	        "i915.enable_guc=2 on the machine whose kernel drives the GPU, and its firmware package" },
	{ "va-huc", FAILURE_BROKEN, 3, "selected options (supported modes: CQP)", NULL,
	        "the low-power encoder has no bit rate control: the HuC firmware is not loaded",
	        "i915.enable_guc=2 on the machine whose kernel drives the GPU, and its firmware package" },
	{ "va-profile", FAILURE_UNSUPPORTED, 2, "No usable encoding profile found", NULL,
	        "this GPU, or its VA driver as it was built, does not encode this codec",
	        "the whole driver: intel-media-va-driver-non-free; not a Mesa without H.264 and HEVC" },
	{ "va-entrypoint", FAILURE_UNSUPPORTED, 2, "No usable encoding entrypoint found for profile", NULL,
	        "this GPU, or its VA driver as it was built, decodes this codec and does not encode it",
	        "the whole driver: intel-media-va-driver-non-free; not a Mesa without H.264 and HEVC" },
	{ "va-decode", FAILURE_UNSUPPORTED, 2, "Failed to create decode configuration:", NULL,
	        "this GPU, or its VA driver as it was built, does not decode this codec", DECODE_OTHERWISE },
	{ "va-decode", FAILURE_UNSUPPORTED, 2, "No support for codec ", NULL,
	        "this GPU, or its VA driver as it was built, does not decode this codec", DECODE_OTHERWISE },
	{ "va-size", FAILURE_UNSUPPORTED, 3, "Hardware does not support encoding at size", NULL,
	        "the picture is too small or too large for this GPU", "scale it" },
	{ "va-config", FAILURE_BROKEN, 3, "Failed to create encode pipeline configuration:", NULL,
	        "the VA driver lists the codec, and takes no configuration of it: what it lists is not so",
	        "another VA driver, or a newer one" },
	{ "va-context", FAILURE_BROKEN, 3, "Failed to create encode pipeline context:", NULL,
	        "the VA driver lists the codec, and does not begin to encode it: what it lists is not so",
	        "another VA driver, or a newer one; a newer kernel" },
	{ "va-scaler", FAILURE_UNSUPPORTED, 2, "Failed to create processing pipeline config:", NULL,
	        "this GPU's VA driver does not scale pictures", "another VA driver; or scale before the upload" },
	{ "va-surface", FAILURE_BROKEN, 3, "Failed to create surface:", NULL,
	        "the VA driver lists the codec, and has no surface for it: what it lists is not so",
	        "another VA driver, or a newer one" },
	{ "va-encode", FAILURE_BROKEN, 3, "Failed to end picture encode issue:", NULL,
	        "the GPU's encoder failed on a picture", "a newer kernel and VA driver; look for a GPU hang in dmesg" },

	/* QSV */
	{ "qsv-hang", FAILURE_BROKEN, 3, "GPU Hang (-21)", NULL, "the GPU hung", "a newer kernel; dmesg says more" },
	{ "qsv-device-failed", FAILURE_BROKEN, 3, "device failed (-17)", NULL, "the GPU failed while it encoded",
	        "a newer kernel, and HuC firmware where low power is used; dmesg says more" },
	{ "qsv-handle", FAILURE_BROKEN, 2, "invalid handle (-6)", NULL,
	        "Quick Sync was handed a device that it cannot use",
	        "make the QSV device from a VA-API device of the Intel render node" },
	{ "qsv-not-intel", FAILURE_UNSUPPORTED, 1, "Error initializing an MFX session: -3.", NULL,
	        "this VA-API device is not Intel's, or its Quick Sync runtime is missing", INTEL_RUNTIME },
	{ "qsv-not-intel", FAILURE_UNSUPPORTED, 1, "Failed to get device id from the driver", NULL,
	        "this VA-API device is not Intel's, or its driver is too old to say which GPU it has", INTEL_RUNTIME },
	{ "qsv-runtime", FAILURE_ABSENT, 1, "Error creating a MFX session: -9", NULL,
	        "the Quick Sync runtime for this generation is missing; VA-API itself works", INTEL_RUNTIME },
	{ "qsv-runtime", FAILURE_ABSENT, 1, "Error creating a MFX session:", NULL, "Quick Sync does not start",
	        INTEL_RUNTIME },
	{ "qsv-none", FAILURE_ABSENT, -1, "Error initializing an internal MFX session: unsupported (-3)", NULL,
	        "no Intel GPU that Quick Sync can use, or its runtime is missing", INTEL_RUNTIME },
	{ "qsv-none", FAILURE_ABSENT, -1, "Failed to set value 'qsv", "Generic error in an external library",
	        "no Intel GPU that Quick Sync can use, or its runtime is missing", INTEL_RUNTIME },
	{ "qsv-unsupported", FAILURE_UNSUPPORTED, 3, "unsupported (-3)", NULL,
	        "Quick Sync does not take this codec or these settings here",
	        "another codec; low_power where only that encoder exists" },

	/* OpenCL, Vulkan: filters */
	{ "opencl-none", FAILURE_ABSENT, 0, "Failed to get number of OpenCL platforms: -1001", NULL,
	        "no OpenCL driver here", "Intel: intel-opencl-icd; NVIDIA: its own; AMD: mesa-opencl-icd" },
	{ "vulkan-none", FAILURE_ABSENT, 0, "VK_ERROR_INCOMPATIBLE_DRIVER", NULL, "no Vulkan driver here",
	        "mesa-vulkan-drivers; NVIDIA: its own, with graphics among NVIDIA_DRIVER_CAPABILITIES" },

	/* filters and decoders on a card */
	{ "va-no-tone-map", FAILURE_UNSUPPORTED, 3, "Failed to query HDR caps context", NULL, NO_TONE_MAP },
	{ "va-no-tone-map", FAILURE_UNSUPPORTED, 3, "VAAPI driver doesn't support HDR", NULL, NO_TONE_MAP },
	{ "hdr-untold", FAILURE_UNSUPPORTED, 3, "No mastering display data from input", NULL,
	        "the film does not say on which display it was mastered, and the GPU's tone map wants to know",
	        "software maps the tones" },
	{ "filter-failed", FAILURE_BROKEN, 3, "Failed to start picture processing", NULL,
	        "the GPU failed to scale or to convert a picture", "look for a GPU hang in dmesg" },
	{ DECODE_FAILED, "Failed to end picture decode issue", NULL, DECODER_FAILED },
	{ DECODE_FAILED, "Failed to create parameter buffer", NULL, DECODER_FAILED },
	{ DECODE_FAILED, "No decoder surfaces left", NULL, DECODER_FAILED },
	{ DECODE_FAILED, "hardware accelerator failed to decode picture", NULL, DECODER_FAILED },
	/* what says nearly nothing stands last; a decoder that does not start is given data that it finds invalid */
	{ "decoder-refuses", FAILURE_UNSUPPORTED, 2, "hwaccel initialisation returned error", NULL,
	        "the GPU's decoder does not take this codec or profile", "let software decode it" },
	{ "input-invalid", FAILURE_INPUT, 3, "Invalid data found when processing input", NULL,
	        "the input is no video, or it is damaged", "look at it with ffprobe" },
	{ "nvenc-none", FAILURE_ABSENT, 1, "No NVENC capable devices found", NULL,
	        "no NVIDIA GPU that encodes was found", "look at the line before it (-v verbose)" },
	{ "nvenc-none", FAILURE_ABSENT, 1, "No capable devices found", NULL, "no NVIDIA GPU that encodes was found",
	        "look at the line before it (-v verbose)" },
	{ "nvenc-none", FAILURE_ABSENT, 1, "No GPU found suitable for NVEnc Encoding", NULL,
	        "no NVIDIA GPU that encodes was found", "look at the line before it" },
	{ "decoder-no-device", FAILURE_ABSENT, -1, "No device available for decoder: device type", NULL,
	        "the decoder was given no device", "initialise the device first" },
	{ "decoder-no-device", FAILURE_ABSENT, -1, "evice setup failed for decoder", NULL,
	        "the decoder's device does not start", "initialise the device first" },
	{ "no-device", FAILURE_ABSENT, -1, "A hardware device reference is required", NULL,
	        "frames are to be put on a GPU, and none was named", "name a device with -init_hw_device" },
	{ "no-device", FAILURE_ABSENT, -1, "A hardware frames reference is required", NULL,
	        "the encoder wants frames that are on the GPU, and none was named",
	        "name a device with -init_hw_device, and upload with hwupload" },
	{ "no-device", FAILURE_ABSENT, -1, "Impossible to convert between the formats supported by the filter", NULL,
	        "frames on the GPU meet a part that wants them in memory, or the other way round: no device was named, "
	        "or the decoder went on in software",
	        "name a device with -init_hw_device, and upload with hwupload" },
	{ 0 },
};

/* Lines that only follow from another line, and what ffmpeg says of its own. */
static const char *const echoes[] = { "Error initializing output stream", "Conversion failed!",
	"Device creation failed:", "Failed to set value", "Error parsing global options", "Error while opening",
	"Error opening output", "Error opening input file", "Task finished with error code",
	"Terminating thread with return code", "Could not open encoder before EOF",
	"Nothing was written into output file", "ffmpeg version ", "built with ", "configuration: ", "libav", "libsw",
	"libpostproc", "Input #", "Output #", "Duration:", "Stream #", "Stream mapping:", "Press [q]",
	"libva info:", "Error while filtering", "Failed to inject frame", "Error reinitializing filters",
	"Error sending frames to consumers", "Error submitting video frame", "Error encoding a frame",
	"Encode failed:" };

enum {
	MIB = 1024 * 1024,
	SESSION_MIB = 512,  /* a guess at what CUDA and an encoder of 4K take together */
	SESSIONS_LEAST = 2, /* no driver had a smaller limit */
};

enum { LOOKED_AT = 256 * 1024 }; /* at either end: what is megabytes long repeats one line */

static struct bytes both_ends(struct bytes said, struct arena *arena)
{
	if (said.size <= 2 * LOOKED_AT)
		return said;
	char *joined = arena_alloc(arena, 2 * LOOKED_AT + 2);
	memcpy(joined, said.data, LOOKED_AT);
	joined[LOOKED_AT] = '\n';
	memcpy(joined + LOOKED_AT + 1, said.data + said.size - LOOKED_AT, LOOKED_AT);
	return (struct bytes){ joined, 2 * LOOKED_AT + 1 };
}

static const char *find(struct bytes said, const char *text)
{
	return said.size ? memmem(said.data, said.size, text, strlen(text)) : NULL;
}

/* Without blanks and "[h264_nvenc @ 0x55f3f0ec81c0] " at the front: they differ from run to run. */
static struct bytes bare(struct bytes line)
{
	for (;;) {
		while (line.size && (*line.data == ' ' || *line.data == '\t' || *line.data == '\r')) {
			line.data++;
			line.size--;
		}
		const char *end = line.size && *line.data == '[' ? memchr(line.data, ']', line.size) : NULL;
		size_t size = end ? (size_t)(end + 1 - line.data) : 0;
		if (!end || !memmem(line.data, size, " @ ", 3))
			return line;
		line.data += size;
		line.size -= size;
	}
}

static const char *shown(struct bytes line, struct arena *arena)
{
	line = bare(line);
	while (line.size && strchr(" \t\r", line.data[line.size - 1]))
		line.size--;
	bool cut = line.size > FAILURE_ROOM / 4; /* a byte becomes at most four */
	char *text = text_printable(arena, (struct bytes){ line.data, cut ? FAILURE_ROOM / 4 : line.size });
	return cut && strlen(text) < FAILURE_ROOM - 3 ? arena_printf(arena, "%s...", text) : text;
}

static struct bytes line_around(struct bytes said, const char *at)
{
	const char *start = at, *end = said.data + said.size, *next = memchr(at, '\n', (size_t)(end - at));
	while (start > said.data && start[-1] != '\n')
		start--;
	/* a line that never ends is shown from the text on */
	if (at - start > FAILURE_ROOM / 8)
		start = at;
	return (struct bytes){ start, (size_t)((next ? next : end) - start) };
}

static bool is_echo(struct bytes line)
{
	for (size_t i = 0; i < sizeof echoes / sizeof *echoes; i++)
		if (line.size >= strlen(echoes[i]) && memcmp(line.data, echoes[i], strlen(echoes[i])) == 0)
			return true;
	return false;
}

/* The first line that does not only follow from another one, else the first. */
static const char *telling_line(struct bytes said, struct arena *arena)
{
	struct bytes line, first = { 0 };
	for (size_t cursor = 0; text_line(said, &cursor, &line);) {
		struct bytes rest = bare(line);
		if (rest.size && !is_echo(rest))
			return shown(line, arena);
		if (rest.size && !first.size)
			first = line;
	}
	return first.size ? shown(first, arena) : "";
}

struct failure failure_find(struct bytes said, struct arena *arena)
{
	said = both_ends(said, arena);
	for (const struct failure_row *row = failure_rows; row->id; row++) {
		const char *at = find(said, row->text);
		if (at && (!row->also || find(said, row->also)))
			return (struct failure){ row->id, row->kind, row->reached, row->cause, row->cure,
				shown(line_around(said, at), arena) };
	}
	return (struct failure){ .reached = -1, .text = telling_line(said, arena) };
}

struct failure failure_of(int status, bool timed_out, struct bytes said, struct arena *arena)
{
	struct failure failure = failure_find(said, arena);
	if (timed_out) {
		failure = (struct failure){ "timeout", FAILURE_BROKEN, failure.reached,
			"it gave no answer in time and was ended", "look for a GPU hang in dmesg", failure.text };
	} else if (!failure.id && status > 128 && status <= 128 + SIGRTMIN) {
		/* a code above 128 is also how newer ffmpeg ends on an ordinary error: only what tells no reason counts
		 */
		static const int deadly[] = { SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGKILL, SIGTRAP, SIGSYS };
		for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
			if (status == 128 + deadly[i])
				failure = (struct failure){ "signal", FAILURE_BROKEN, failure.reached,
					arena_printf(arena, "it was killed by signal %d (%s)", deadly[i],
					        strsignal(deadly[i])),
					deadly[i] == SIGKILL ? "somebody ended it, or memory ran out: dmesg says which"
					                     : "a driver's library crashes: another version of it",
					failure.text };
	}
	return failure;
}

/* What says that a picture is lost, at the beginning of a line or somewhere in it, beside the rows of DECODE_FAILED:
 * ffmpeg's own words for every decoder, up to 6.0 and since; the decoders' (h264_picture.c, hevcdec.c, av1dec.c); and what
 * is behind them, as H.264's calls whatever failed there "invalid data" and HEVC's says nothing of it (vaapi_decode.c,
 * nvdec.c, cuda_check.h, get_buffer.c). */
static const struct {
	const char *text;
	bool begins;
} lost[] = {
	{ "Error while decoding stream", true },
	{ "Error submitting packet to decoder", true }, /* others are of the encoder and the muxer */
	{ "Error submitting EOF to decoder", true },
	{ "Decoding error:", true },
	{ "HW accel ", true },
	{ "Failed to create slice", true },
	{ "Failed to attach picture to decode", true },
	{ "Failed to begin picture decode", true },
	{ "Failed to upload decode parameters", true },
	{ "Failed to upload slices", true },
	{ "Static surface pool size exceeded", true },
	{ "get_buffer() failed", false },
	{ " failed -> CUDA_ERROR_", false },
};

/* Of what stands around it (hwcontext_cuda.c, nvenc.c, filters), which fails with the same words. */
static bool is_of_decoder(struct bytes line)
{
	static const char *const others[] = { "[AVHW", "nvenc @ ", "[Parsed_", "[vost#" };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (find(line, others[i]))
			return false;
	return true;
}

static bool tells_of_loss(struct bytes line)
{
	for (const struct failure_row *row = failure_rows; row->id; row++)
		if (strcmp(row->id, DECODE_ID) == 0 && find(line, row->text) == line.data)
			return true;
	for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
		const char *at = find(line, lost[i].text);
		if (at && (!lost[i].begins || at == line.data))
			/* that would be damage in the film */
			return !find(line, "Invalid data found");
	}
	return false;
}

bool failure_lost_picture(struct bytes said, struct arena *arena, struct failure *ret)
{
	struct bytes line;
	for (size_t cursor = 0; text_line(said, &cursor, &line);) {
		if (!is_of_decoder(line) || !tells_of_loss(bare(line)))
			continue;
		*ret = failure_find(said, arena);
		if (!ret->id || ret->kind == FAILURE_INPUT)
			*ret = (struct failure){ DECODE_FAILED, DECODER_FAILED, shown(line, arena), 0 };
		return true;
	}
	return false;
}

static const struct nvml_card *card_at(const struct nvml_cards *cards, const char *pci)
{
	bool any = !pci || !*pci;
	for (unsigned i = 0; i < cards->n; i++)
		if (any ? cards->n == 1 : strcmp(cards->card[i].pci, pci) == 0)
			return &cards->card[i];
	return NULL;
}

struct failure failure_limit(
        const struct failure *failure, const struct nvml_cards *cards, const char *pci, struct arena *arena)
{
	struct failure limit = *failure;
	const struct nvml_card *card = card_at(cards, pci);
	int64_t sessions = nvml_sessions(cards);
	if (failure->id && strcmp(failure->id, "nvenc-key") == 0)
		limit.sessions = sessions; /* older drivers say it plainly */
	if (!failure->id || strcmp(failure->id, "nvenc-limit") != 0 || !card)
		return limit;
	int64_t left = card->memory < 0 || card->memory_used < 0 ? -1 : (card->memory - card->memory_used) / MIB;
	if (left >= 0 && left < SESSION_MIB) {
		limit.id = "nvenc-memory";
		limit.cure = FREE_MEMORY;
		limit.cause = arena_printf(arena, "the GPU's memory is full: %lld of %lld MiB are left",
		        (long long)left, (long long)(card->memory / MIB));
	} else if (sessions >= SESSIONS_LEAST && left >= 0) {
		limit.sessions = sessions;
		limit.cause = arena_printf(arena,
		        "no session is free: %lld are open, which is the limit of this card and driver",
		        (long long)sessions);
	}
	return limit;
}

const char *failure_kind_name(enum failure_kind kind)
{
	static const char *const names[] = { "unknown", "absent", "broken", "limit", "unsupported", "build", "input",
		"output" };
	return names[kind];
}

const char *failure_why(const struct failure *failure, struct arena *arena)
{
	if (!failure->cause)
		return *failure->text ? failure->text : "it failed and said nothing";
	return *failure->text ? arena_printf(arena, "%s (%s)", failure->cause, failure->text) : failure->cause;
}
