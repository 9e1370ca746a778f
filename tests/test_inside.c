/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What tools inside a guest say, and a whole guest from a recording.
 */
#include "test.h"

#include "facts/inside.h"
#include "taped.h"

#include <dirent.h>

static struct arena arena;

static int release(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

static void assert_text(const char *got, const char *want)
{
	if (!got || !want)
		assert_true(got == want);
	else
		assert_string_equal(got, want);
}

static void assert_words(struct words got, const char *want)
{
	const char *all = "";
	for (size_t i = 0; i < got.n; i++)
		all = arena_printf(&arena, "%s%s%s", all, i ? "|" : "", got.word[i]);
	assert_string_equal(all, want);
}

static struct bytes capture(const char *folder, const char *name)
{
	return test_read(&arena, arena_printf(&arena, "%s/%s/%s", getenv("GPUFERRY_DATA"), folder, name));
}

static bool captures(void)
{
	bool here = test_data("GPUFERRY_DATA") != NULL;
	if (!here)
		print_message("# no captures here\n");
	return here;
}

/* ---- vainfo ---------------------------------------------------------------- */

static void vainfo_own_samples(void **state)
{
	(void)state;
	static const struct { const char *text, *driver, *error, *pairs; } cases[] = {
		{ "vainfo: Driver version: Some driver 1.2\nvainfo: Supported profile and entrypoints\n"
		  "      VAProfileH264High   :\tVAEntrypointEncSlice\n   VAProfileNone: VAEntrypointVideoProc\n",
		  "Some driver 1.2", "", "VAProfileH264High/VAEntrypointEncSlice|VAProfileNone/VAEntrypointVideoProc" },
		{ "VAProfileAV1Profile0/VAEntrypointVLD\n    VAConfigAttribRTFormat : VA_RT_FORMAT_YUV420\n", NULL, "",
		  "VAProfileAV1Profile0/VAEntrypointVLD" },
		{ "error: can't connect to X server!\nlibva info: va_openDriver() returns 0\nvainfo: Driver version: X\n", "X", "", "" },
		{ "libva error: /usr/lib/dri/nvidia_drv_video.so init failed\nvaInitialize failed with error code 1 (operation failed),exit\n",
		  NULL, "libva error: /usr/lib/dri/nvidia_drv_video.so init failed", "" },
		{ "libva info: va_openDriver() returns -1\nvaInitialize failed with error code -1 (unknown libva error),exit\n", NULL,
		  "vaInitialize failed with error code -1 (unknown libva error),exit", "" },
		{ "libva info: va_openDriver() returns 18\n", NULL, "libva info: va_openDriver() returns 18", "" },
		{ "libva info: va_openDriver() returns 0\n", NULL, NULL, "" },
		{ "Failed to open the given device!\n", NULL, "Failed to open the given device!", "" },
		{ "VAProfileH264High : VAEntrypoint!\nVAProfileH264HighVAEntrypointVLD\nVAProfileX :\n", NULL, NULL, "" },
		{ "", NULL, NULL, "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct vainfo got;
		inside_parse_vainfo(bytes_of(cases[i].text), &arena, &got);
		assert_text(got.driver, cases[i].driver);
		assert_text(got.error, cases[i].error);
		assert_words(got.pairs, cases[i].pairs);
	}
}

static bool has_pair(const struct vainfo *vainfo, const char *start, const char *part)
{
	for (size_t i = 0; i < vainfo->pairs.n; i++)
		if (text_starts(vainfo->pairs.word[i], start) && strstr(vainfo->pairs.word[i], part))
			return true;
	return false;
}

/* Number of pairs, H.264 and HEVC encode as a person reads them in the captures. */
static void vainfo_captures(void **state)
{
	(void)state;
	static const struct { const char *name; size_t pairs; const char *driver; bool h264, hevc; } cases[] = {
		{ "ErsatzTV-ErsatzTV-1.txt", 20, "Mesa Gallium driver 23.1.2", true, true },
		{ "ErsatzTV-ErsatzTV-2.txt", 20, "Mesa Gallium driver 23.1.2", true, true },
		{ "adl-iHD-21.4.1.txt", 17, "Intel iHD driver", true, false },
		{ "d3d12-msys-adl.txt", 10, "Mesa Gallium driver 23.1.1 for D3D12", true, false },
		{ "fluendo-fluster-0.txt", 55, "Intel iHD driver", true, true },
		{ "gen8-jf-hevc-missing.txt", 15, "Intel iHD driver", true, false },
		{ "i965-coffeelake.txt", 7, "Intel i965 driver", true, false },
		{ "i965-sandybridge.txt", 13, "Intel i965 driver", true, false },
		{ "intel-libva-utils-0.txt", 15, "Intel iHD driver", true, false },
		{ "nvdec-direct-535-init-failed.txt", 0, NULL, false, false },
		{ "nvdec-egl-535.txt", 15, "VA-API NVDEC driver [egl backend]", false, false },
		{ "r600-kabini-no-encode.txt", 9, "Mesa Gallium driver", false, false },
		{ "renoir-fedora-codecs-stripped.txt", 6, "Mesa Gallium driver 24.3.4", false, false },
		{ "renoir-hassio.txt", 9, "Mesa Gallium driver 22.3.6", true, false },
		{ "strumpystrudel-touchscreen-issue-popos-0.txt", 36, "Intel iHD driver", true, true },
	};
	if (!captures())
		skip();
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct vainfo got;
		inside_parse_vainfo(capture("vainfo", cases[i].name), &arena, &got);
		if (got.pairs.n != cases[i].pairs)
			fail_msg("%s: %zu pairs", cases[i].name, got.pairs.n);
		assert_true(cases[i].driver ? text_starts(got.driver, cases[i].driver) : !got.driver);
		assert_int_equal(has_pair(&got, "VAProfileH264", "EncSlice"), cases[i].h264);
		assert_int_equal(has_pair(&got, "VAProfileHEVC", "EncSlice"), cases[i].hevc);
		assert_true(cases[i].driver ? !*got.error : text_ends(got.error, "init failed"));
	}
}

/* ---- nvidia-smi -------------------------------------------------------------- */

static void smi_own_samples(void **state)
{
	(void)state;
	static const struct { const char *text, *driver, *error, *names, *pci, *uuids; } cases[] = {
		{ "| NVIDIA-SMI 550.163.01    Driver Version: 550.163.01   CUDA Version: 12.4 |\n"
		  "|   0  NVIDIA GeForce RTX 4060 Ti  Off  |   00000000:01:00.0 Off |  N/A |\n"
		  "|  0%   44C    P0    N/A /  75W |      0MiB /  1998MiB |      0%      Default |\n"
		  "|   1  NVIDIA GeForce RTX 4060 Ti  On   |   00000000:0A:00.0 Off |  N/A |\n"
		  "|    0   N/A  N/A            5997      C   python     794MiB |\n",
		  "550.163.01", "", "NVIDIA GeForce RTX 4060 Ti|NVIDIA GeForce RTX 4060 Ti", "0000:01:00.0|0000:0a:00.0", "" },
		{ "| NVIDIA-SMI 610.62                 KMD Version: 610.62        CUDA UMD Version: 13.3     |\n"
		  "|   0  NVIDIA GeForce RTX 2080 ...  WDDM  |   00000000:0C:00.0  On |                  N/A |\n",
		  "610.62", "", "NVIDIA GeForce RTX 2080 ...", "0000:0c:00.0", "" },
		{ "GPU 0: Tesla T4 (UUID: GPU-aa)\nGPU 1: Tesla T4 (UUID: GPU-bb)\n  MIG 1g.5gb Device 0: (UUID: MIG-cc)\n"
		  "GPU 0: Tesla T4 (UUID: GPU-aa)\n", NULL, "", "Tesla T4|Tesla T4", "", "GPU-aa|GPU-bb" },
		{ "Driver Version    : 595.80 [Deprecated]\nGPU 00000000:8D:00.0\n    Product Name   : NVIDIA L40S\n"
		  "    GPU UUID   : GPU-11\nProduct Name : stray\n", "595.80", "", "NVIDIA L40S", "0000:8d:00.0", "GPU-11" },
		{ "DRIVER version      : Deprecated, see \"KMD version\" instead\nKMD version         : 610.57.04\n", "610.57.04",
		  "", "", "", "" },
		{ "<?xml version=\"1.0\" ?>\n<nvidia_smi_log><driver_version>535.54.03</driver_version>\n"
		  "<gpu id=\"00000001:2D:00.0\"><product_name>A &amp; B &lt;C&gt;</product_name><uuid>GPU-7</uuid>\n"
		  "<processes><process_info><process_name>x</process_name><uuid>GPU-8</uuid></process_info></processes>\n"
		  "<x/><mig_devices>None</mig_devices></gpu><gpu id=\"bad\"><product_name>no</product_name></gpu></nvidia_smi_log>\n"
		  "<driver_version>1.2</driver_version>", "535.54.03", "", "A & B <C>", "0001:2d:00.0", "GPU-7" },
		{ "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure\n", NULL,
		  "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure", "", "", "" },
		{ "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.163\n", NULL,
		  "Failed to initialize NVML: Driver/library version mismatch", "", "", "" },
		{ "No devices were found\n", NULL, "No devices were found", "", "", "" },
		{ "<nvidia_smi_log></nvidia_smi_log>\nDriver Version : 1.2\n", "1.2", "", "", "", "" },
		{ "<nvidia_smi_log><gpu id=\"0000:01:00.0\"><product_name><b>deep</b></product_name></gpu></nvidia_smi_log>", NULL, "", "",
		  "0000:01:00.0", "" },
		{ "hello\n", NULL, NULL, "", "", "" },
		{ "<nvidia_smi_log><driver_version>1.2", NULL, NULL, "", "", "" },
		{ "<nvidia_smi_log></a></b><driver_version>1.2</driver_version>", NULL, NULL, "", "", "" },
		{ "|   0  X  Off | 0000:01:00.0.1 |\n|   0  X  Off | 0000:0x:00.0 |\n| a X | 0000:01:00.0 |\n", NULL, NULL, "", "", "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct nvidia_smi got;
		inside_parse_nvidia_smi(bytes_of(cases[i].text), &arena, &got);
		assert_text(got.driver, cases[i].driver);
		assert_text(got.error, cases[i].error);
		assert_words(got.names, cases[i].names);
		assert_words(got.pci, cases[i].pci);
		assert_words(got.uuids, cases[i].uuids);
	}
}

/* The driver's version is stated in MANIFEST.tsv as "driver X"; "?" where the capture lacks it. */
static void smi_captures(void **state)
{
	(void)state;
	if (!captures())
		skip();
	struct bytes manifest = test_read(&arena, arena_printf(&arena, "%s/MANIFEST.tsv", getenv("GPUFERRY_DATA"))), line;
	size_t seen = 0, versions = 0;
	for (size_t cursor = 0; text_line(manifest, &cursor, &line);) {
		struct words fields = text_split(&arena, text_trimmed(&arena, line), "\t");
		if (fields.n < 6 || !text_starts(fields.word[0], "nvidia-smi/"))
			continue;
		struct nvidia_smi got;
		const char *name = strchr(fields.word[0], '/') + 1, *at = strstr(fields.word[4], " driver ");
		inside_parse_nvidia_smi(capture("nvidia-smi", name), &arena, &got);
		struct words version = text_split(&arena, at ? at + strlen(" driver ") : "", " ");
		assert_text(got.error, "");
		if (got.pci.n < 1 || got.names.n != got.pci.n)
			fail_msg("%s: %zu addresses, %zu names", name, got.pci.n, got.names.n);
		if (version.n && strcmp(version.word[0], "?") != 0)
			assert_text(got.driver, version.word[0]);
		else if (version.n)
			assert_null(got.driver);
		versions += version.n != 0;
		seen++;
	}
	print_message("# %zu captures, %zu with a stated driver\n", seen, versions);
	assert_true(seen >= 25 && versions >= 20);
}

/* ---- the kernel log ------------------------------------------------------------ */

static void dmesg_own_samples(void **state)
{
	(void)state;
	static const struct { const char *log, *causes; } cases[] = {
		{ "", "" },
		{ "[ 1.0] i915 0000:00:02.0: [drm] GT0: Incompatible option enable_guc=3 - HuC is not supported!", "" },
		{ "[ 1.0] DMAR: IOMMU enabled\n[2.0] nvidia: module verification failed: signature and/or required key missing", "" },
		{ "[ 1.0] i915 0000:00:02.0: [drm] GT0: HuC firmware i915/tgl_huc_7.9.3.bin version 7.9.3", "" },
		{ "[ 1.0] platform regulatory.0: Direct firmware load for regulatory.db failed with error -2", "" },
		{ "[ 1.0] vfio-pci 0000:00:02.0: not ready 1023ms after FLR; waiting", "" },
		{ "[ 1.0] i915 0000:00:02.0: [drm] *ERROR* GT0: HuC firmware i915/a.bin: fetch failed -ENOENT\n"
		  "[ 2.0] i915 0000:00:02.0: Direct firmware load for i915/tgl_huc_7.9.3.bin failed with error -2", "huc-missing" },
		{ "i915 0000:00:02.0: [drm] GT0: GUC: load failed: status = 0x40000056", "guc-failed" },
		{ "i915 0000:00:02.0: [drm] GPU HANG: ecode 12:1:84dffffb, in ffmpeg [123]", "gpu-hang" },
		{ "amdgpu 0000:03:00.0: [drm] *ERROR* ring vcn_enc_0.0 timeout, signaled seq=1", "ring-timeout" },
		{ "amdgpu 0000:03:00.0: Direct firmware load for amdgpu/navi33_vcn.bin failed with error -2", "amdgpu-firmware-missing" },
		{ "[9] NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:1c03)\n               NVRM: installed in this system is not supported by open\n"
		  "               NVRM: nvidia.ko because it does not include the required GPU\n               NVRM: System Processor (GSP).\n", "nvrm-gsp" },
		{ "[9] NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:2d04)\r\n   NVRM: installed in this system requires use of the NVIDIA\r\n"
		  "   NVRM: open kernel modules.\r\n[10] NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:884)", "nvrm-init-failed|nvrm-needs-open" },
		{ "NVRM: The NVIDIA NVIDIA GeForce GTX 1050 GPU installed in this system is\n NVRM:  supported through the NVIDIA 580.xx Legacy drivers. Please\n"
		  " NVRM:  visit the site\nkernel: NVRM: No NVIDIA GPU found.", "nvrm-legacy|nvrm-no-gpu" },
		{ "NVRM: API mismatch: the client has the version 550.163.01, but", "nvrm-mismatch" },
		{ "installed in this system requires use of the NVIDIA open kernel modules", "" }, /* not the driver's own */
		{ "systemd-modules-load[1]: Failed to insert module 'nvidia': Key was rejected by service", "key-rejected" },
		{ "[0.06] AMD-Vi: Unknown option - 'on'", "amd-iommu-on" },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_words(inside_parse_dmesg(bytes_of(cases[i].log), &arena), cases[i].causes);
	/* a mebibyte without an end of line */
	char *line = arena_alloc(&arena, (1 << 20) + 1);
	for (size_t i = 0; i + 6 < 1 << 20; i += 6)
		memcpy(line + i, "NVRM: ", 6);
	assert_int_equal(inside_parse_dmesg(bytes_of(line), &arena).n, 0);
}

static void dmesg_captures(void **state)
{
	(void)state;
	static const struct { const char *name, *causes; } cases[] = {
		{ "amd-host-with-intel-param.txt", "" },
		{ "amdvi-6.17-groups.txt", "" },
		{ "amdvi-epyc.txt", "" },
		{ "bar0-cant-reserve-apu.txt", "bar-reserve" },
		{ "dmar-supermicro-drhd.txt", "" },
		{ "gammaman88-proxmox-amd-5700u-gpu-passthrough-dmesg.txt", "amd-iommu-on" },
		{ "i915-mtl-huc-unsupported.txt", "" },
		{ "i915-sriov-pve-6.5-huc-ok.txt", "" },
		{ "nvrm-rminit-d3cold.txt", "nvrm-init-failed|d3cold|reset-timeout" },
		{ "rmrr-ineligible.txt", "rmrr" },
		{ "strumpystrudel-touchscreen-issue-popos-dmesg.txt", "" },
		{ "xe-bmg-firmware-missing.txt", "guc-missing|dmc-missing|guc-failed" },
		{ "xe-pantherlake-guest-norom.txt", "rom-invalid|vbt-missing" },
		{ "xkevinx45-log-ovmf.txt", "" },
	};
	if (!captures())
		skip();
	for (size_t i = 0; i < COUNT(cases); i++) {
		print_message("# %s\n", cases[i].name);
		assert_words(inside_parse_dmesg(capture("dmesg", cases[i].name), &arena), cases[i].causes);
	}
}

/* ---- small files ---------------------------------------------------------------- */

static void groups_and_os_release(void **state)
{
	(void)state;
	assert_words(inside_parse_groups(bytes_of("root:x:0:\nvideo:x:44:emby,jelly\nrender:x:104\n:x:5:\nbad:x:-1:\nbad:x:99999999999:\n"
						  "#no:x:7:\nbroken\nhalf:x\n"), &arena), "root:0|video:44|render:104");
	struct bytes os = bytes_of("NAME='Debian GNU/Linux'\nID=debian\nID_LIKE=x\nVERSION_ID=\"12\"\nPRETTY_NAME=\"A \\\"B\\\" \\$C\"\nEMPTY=\n");
	assert_text(inside_os_value(os, "NAME", &arena), "Debian GNU/Linux");
	assert_text(inside_os_value(os, "ID", &arena), "debian");
	assert_text(inside_os_value(os, "VERSION_ID", &arena), "12");
	assert_text(inside_os_value(os, "PRETTY_NAME", &arena), "A \"B\" $C");
	assert_text(inside_os_value(os, "EMPTY", &arena), "");
	assert_text(inside_os_value(os, "VERSION", &arena), NULL);
}

/* ---- docker ----------------------------------------------------------------------- */

static const char emby[] =
	"{\"Id\": \"aa11\", \"Name\": \"/emby\", \"State\": {\"Status\": \"running\"}, \"Config\": {\"Image\": \"emby/embyserver\", "
	"\"Env\": [\"PATH=/bin\", \"NVIDIA_VISIBLE_DEVICES=all\", \"NVIDIA_DRIVER_CAPABILITIES=compute,video,utility\", \"\"]}, "
	"\"HostConfig\": {\"Runtime\": \"nvidia\", \"Privileged\": false, \"Devices\": [{\"PathOnHost\": \"/dev/dri\", "
	"\"PathInContainer\": \"/dev/dri/renderD128\"}], \"DeviceRequests\": [{\"Driver\": \"\", \"Count\": -1, "
	"\"Capabilities\": [[\"gpu\", \"video\"]]}], \"GroupAdd\": [\"104\", \"44\"]}}";
static const char plain[] =
	"{\"Id\":\"bb22\",\"Name\":\"/web\",\"State\":{\"Status\":\"exited\"},\"Config\":{\"Image\":\"nginx\",\"Env\":null},"
	"\"HostConfig\":{\"Runtime\":\"runc\",\"Privileged\":true,\"Devices\":null,\"DeviceRequests\":[{\"Driver\":\"cdi\","
	"\"DeviceIDs\":[\"nvidia.com/gpu=all\"],\"Capabilities\":null}],\"GroupAdd\":null}}";

static void assert_containers(const struct inside *inside)
{
	assert_int_equal(inside->n_containers, 2);
	const struct docker_container *one = &inside->containers[0], *two = &inside->containers[1];
	assert_string_equal(one->name, "emby");
	assert_string_equal(one->id, "aa11");
	assert_string_equal(one->image, "emby/embyserver");
	assert_string_equal(one->runtime, "nvidia");
	assert_string_equal(one->status, "running");
	assert_int_equal(one->privileged, NO);
	assert_words(one->devices, "/dev/dri/renderD128");
	assert_words(one->group_add, "104|44");
	assert_string_equal(one->gpu_request, "gpu video");
	assert_string_equal(one->visible_devices, "all");
	assert_string_equal(one->driver_capabilities, "compute,video,utility");
	assert_int_equal(two->privileged, YES);
	assert_string_equal(two->gpu_request, "cdi nvidia.com/gpu=all");
	assert_string_equal(two->visible_devices, "");
	assert_int_equal(two->devices.n, 0);
}

static void docker_inspect_forms(void **state)
{
	(void)state;
	struct inside inside = {0};
	inside_parse_docker(bytes_of(arena_printf(&arena, "[%s, %s]\n", emby, plain)), &arena, &inside);
	assert_containers(&inside);
	inside = (struct inside){0};
	inside_parse_docker(bytes_of(arena_printf(&arena, "%s\n%s\n", emby, plain)), &arena, &inside);
	assert_containers(&inside);
	inside = (struct inside){0};
	inside_parse_docker(bytes_of(emby), &arena, &inside);
	assert_int_equal(inside.n_containers, 1);
	static const char *const nothing[] = { "", "[]", "{}", "null", "[1, \"x\", []]", "{\"Id\": 5}", "not json\n{", "[{\"Id\":" };
	for (size_t i = 0; i < COUNT(nothing); i++) {
		inside = (struct inside){0};
		inside_parse_docker(bytes_of(nothing[i]), &arena, &inside);
		assert_int_equal(inside.n_containers, 0);
	}
	inside_parse_docker(bytes_of("{\"Id\": \"cc\"}"), &arena, &inside);
	assert_int_equal(inside.containers[0].privileged, UNKNOWN);
	assert_null(inside.containers[0].gpu_request);
	assert_null(inside.containers[0].visible_devices);
}

/* ---- a whole guest ------------------------------------------------------------------ */

/* The command with which docker is asked, as it stands in the recording: no word has a blank. */
static void taped_docker(struct taped *taped, const char *what, int status, const char *out, const char *err)
{
	static const char info[] =
		"docker info --format {\"ServerVersion\":{{json\t.ServerVersion}},\"CgroupDriver\":{{json\t.CgroupDriver}},"
		"\"DockerRootDir\":{{json\t.DockerRootDir}},\"Runtimes\":{{json\t.Runtimes}}}";
	static const char inspect[] =
		"docker inspect --format {\"Id\":{{json\t.Id}},\"Name\":{{json\t.Name}},\"State\":{\"Status\":{{json\t.State.Status}}},"
		"\"Config\":{\"Image\":{{json\t.Config.Image}},\"Env\":[{{range\t.Config.Env}}{{$w:=split\t.\t\"=\"}}"
		"{{if\teq\t(index\t$w\t0)\t\"NVIDIA_VISIBLE_DEVICES\"\t\"NVIDIA_DRIVER_CAPABILITIES\"}}{{json\t.}},{{end}}{{end}}\"\"]},"
		"\"HostConfig\":{\"Runtime\":{{json\t.HostConfig.Runtime}},\"Privileged\":{{json\t.HostConfig.Privileged}},"
		"\"Devices\":{{json\t.HostConfig.Devices}},\"DeviceRequests\":{{json\t.HostConfig.DeviceRequests}},"
		"\"GroupAdd\":{{json\t.HostConfig.GroupAdd}}}}";
	const char *command = strcmp(what, "info") == 0 ? info : arena_printf(&taped->arena, "%s %s", inspect, what);
	taped_run(taped, command, status, out, err);
}

static void a_guest(struct taped *taped)
{
	static const char secure[] = { 6, 0, 0, 0, 1 };
	taped_open(taped);
	taped_file(taped, "/etc/os-release", "ID=ubuntu\nVERSION_ID=\"22.04\"\nPRETTY_NAME=\"Ubuntu 22.04.5 LTS\"\n");
	taped_file(taped, "/proc/sys/kernel/osrelease", "5.15.0-130-generic\n");
	taped_file(taped, "/proc/modules", "nvidia_uvm 1 0 - Live 0x0\nnvidia 2 1 nvidia_uvm, Live 0x0\n");
	taped_bytes(taped, "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", secure, sizeof secure);
	taped_file(taped, "/proc/driver/nvidia/version",
		   "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.163.01  Release Build\nGCC version: 11\n");
	taped_file(taped, "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.550.163.01", "");
	taped_file(taped, "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.535.230.02", "");
	taped_link(taped, "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1", "libnvidia-ml.so.550.163.01");
	taped_link(taped, "/usr/lib/x86_64-linux-gnu/libcuda.so.1", "libcuda.so.550.163.01");
	taped_file(taped, "/var/lib/dpkg/status", "Package: nvidia-container-toolkit\nStatus: install ok installed\nVersion: 1.17.4-1\n\n"
		   "Package: bash\nStatus: install ok installed\nVersion: 5\n");
	taped_file(taped, "/etc/group", "video:x:44:\nrender:x:104:\n");
	taped_file(taped, "/etc/cdi/nvidia.yaml", "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n");
	taped_file(taped, "/etc/nvidia-container-runtime/config.toml", "#no-cgroups = false\n[x]\n  no-cgroups = true\n");
	taped_link(taped, "/dev/char/195:0", "../nvidia0");
	taped_folder(taped, "/sys/class/drm");
	taped_run(taped, "nvidia-smi", 0, "| NVIDIA-SMI 550.163.01   Driver Version: 550.163.01   CUDA Version: 12.4 |\n"
		  "|   0  NVIDIA GeForce RTX 4060 Ti  Off  |   00000000:01:00.0 Off |  N/A |\n", "");
	taped_run(taped, "dmesg", 0, "[1.0] NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:884)\n", "");
	taped_docker(taped, "info", 0, "{\"ServerVersion\":\"27.5.1\",\"CgroupDriver\":\"systemd\",\"DockerRootDir\":\"/var/lib/docker\","
		     "\"Runtimes\":{\"nvidia\":{\"path\":\"x\"},\"runc\":{}}}\n", "");
	taped_run(taped, "docker ps --all --quiet --no-trunc", 0, "aa11\nbb22\n", "");
	taped_file(taped, "/dev/dri/renderD128", "");
	tape_entry(taped->target, &taped->arena, "/dev/dri/renderD128")->stat.type = NODE_CHAR;
	taped_run(taped, "vainfo --display drm --device /dev/dri/renderD128", 3, "",
		  "libva error: nvidia_drv_video.so init failed\n");
}

static void gather(struct taped *taped, bool complete, struct inside *ret)
{
	struct world *world = taped_world(taped, complete);
	*ret = (struct inside){0};
	inside_gather(world, &taped->arena, ret, taped_blind, taped);
	world_close(world);
}

static void assert_guest(const struct inside *inside)
{
	assert_int_equal(inside->reached, YES);
	assert_string_equal(inside->label, "node");
	assert_string_equal(inside->os_id, "ubuntu");
	assert_string_equal(inside->os_version, "22.04");
	assert_string_equal(inside->os_name, "Ubuntu 22.04.5 LTS");
	assert_string_equal(inside->kernel, "5.15.0-130-generic");
	assert_int_equal(inside->cloud_kernel, NO);
	assert_int_equal(inside->secure_boot, YES);
	assert_words(inside->modules, "nvidia_uvm|nvidia");
	assert_int_equal(inside->modules_known, YES);
	assert_string_equal(inside->nvidia_module, "550.163.01");
	assert_int_equal(inside->nvidia_open, YES);
	assert_string_equal(inside->nvidia_userspace, "550.163.01");
	assert_words(inside->nvidia_libraries, "libcuda.so.1|libnvidia-ml.so.1");
	assert_int_equal(inside->nvidia_libraries_known, YES);
	assert_string_equal(inside->nvidia_smi, "");
	assert_string_equal(inside->nvidia_smi_driver, "550.163.01");
	assert_words(inside->firmware, "nvrm-init-failed");
	assert_int_equal(inside->dmesg_known, YES);
	assert_words(inside->groups, "video:44|render:104");
	assert_int_equal(inside->docker, YES);
	assert_int_equal(inside->docker_known, YES);
	assert_string_equal(inside->docker_version, "27.5.1");
	assert_string_equal(inside->docker_runtimes, "nvidia runc");
	assert_string_equal(inside->docker_cgroup_driver, "systemd");
	assert_string_equal(inside->docker_snap, "");
	assert_int_equal(inside->toolkit, YES);
	assert_string_equal(inside->toolkit_version, "1.17.4-1");
	assert_int_equal(inside->cdi, YES);
	assert_int_equal(inside->no_cgroups, YES);
	assert_int_equal(inside->dev_char, YES);
	assert_text(inside->vainfo.error, "libva error: nvidia_drv_video.so init failed");
	assert_containers(inside);
	assert_words(inside->packages, "nvidia-container-toolkit 1.17.4-1");
}

static void a_guest_in_one_answer(void **state)
{
	(void)state;
	struct taped taped;
	struct inside inside;
	a_guest(&taped);
	taped_docker(&taped, "aa11 bb22", 0, arena_printf(&taped.arena, "%s\n%s\n", emby, plain), "");
	gather(&taped, true, &inside);
	assert_guest(&inside);
	arena_release(&taped.arena);
}

static void a_guest_with_an_answer_per_container(void **state)
{
	(void)state;
	struct taped taped;
	struct inside inside;
	a_guest(&taped);
	taped_docker(&taped, "aa11", 0, emby, "");
	taped_docker(&taped, "bb22", 0, plain, "");
	gather(&taped, true, &inside);
	assert_guest(&inside);
	arena_release(&taped.arena);
}

static void a_bare_guest(void **state)
{
	(void)state;
	static const char *const commands[] = { "nvidia-smi", "nvidia-ctk --version" };
	struct taped taped;
	struct inside inside;
	taped_open(&taped);
	taped_file(&taped, "/usr/lib/os-release", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux trixie/sid\"\n");
	taped_file(&taped, "/proc/sys/kernel/osrelease", "6.1.0-30-cloud-amd64\n");
	taped_file(&taped, "/sys/firmware/acpi/x", "");
	taped_link(&taped, "/dev/char/1954:0", "../other");
	for (size_t i = 0; i < COUNT(commands); i++)
		taped_run(&taped, commands[i], 127, "", "");
	taped_docker(&taped, "info", 127, "", "");
	taped_run(&taped, "dmesg", 1, "", "dmesg: read kernel buffer failed: Operation not permitted\n");
	gather(&taped, true, &inside);
	assert_string_equal(inside.os_version, "");
	assert_int_equal(inside.cloud_kernel, YES);
	assert_int_equal(inside.secure_boot, NO);
	assert_string_equal(inside.nvidia_module, "");
	assert_string_equal(inside.nvidia_userspace, "");
	assert_int_equal(inside.nvidia_libraries_known, YES);
	assert_null(inside.nvidia_smi);
	assert_int_equal(inside.dmesg_known, NO);
	assert_true(taped_is_blind(&taped, EPERM, "dmesg"));
	assert_int_equal(inside.docker, NO);
	assert_int_equal(inside.toolkit, NO);
	assert_int_equal(inside.cdi, NO);
	assert_int_equal(inside.no_cgroups, NO);
	assert_int_equal(inside.dev_char, NO);
	assert_null(inside.vainfo.error);
	arena_release(&taped.arena);
}

/* What is not in the recording is unknown, never "no". */
static void a_recording_of_nothing(void **state)
{
	(void)state;
	struct taped taped;
	struct inside inside;
	taped_open(&taped);
	taped_file(&taped, "/x", "");
	gather(&taped, false, &inside);
	assert_null(inside.os_id);
	assert_null(inside.kernel);
	assert_int_equal(inside.cloud_kernel, UNKNOWN);
	assert_int_equal(inside.secure_boot, UNKNOWN);
	assert_int_not_equal(inside.modules_known, YES);
	assert_null(inside.nvidia_module);
	assert_null(inside.nvidia_userspace);
	assert_int_not_equal(inside.nvidia_libraries_known, YES);
	assert_null(inside.nvidia_smi);
	assert_int_not_equal(inside.dmesg_known, YES);
	assert_int_not_equal(inside.groups_known, YES);
	assert_int_equal(inside.docker, UNKNOWN);
	assert_int_not_equal(inside.docker_known, YES);
	assert_int_equal(inside.toolkit, UNKNOWN);
	assert_null(inside.toolkit_version);
	assert_int_equal(inside.cdi, UNKNOWN);
	assert_int_equal(inside.no_cgroups, UNKNOWN);
	assert_int_equal(inside.dev_char, UNKNOWN);
	assert_true(taped_is_blind(&taped, ENODATA, "dmesg"));
	assert_true(taped_is_blind(&taped, ENODATA, "/etc/group"));
	arena_release(&taped.arena);
}

static void odd_guests(void **state)
{
	(void)state;
	struct taped taped;
	struct inside inside;
	/* a container that sees an empty /sys/firmware, two versions and no link, a daemon that does not answer */
	a_guest(&taped);
	taped_error(&taped, "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", ENOENT);
	taped_error(&taped, "/sys/firmware/efi/efivars", ENOENT);
	taped_error(&taped, "/sys/firmware/efi", ENOENT);
	taped_folder(&taped, "/sys/firmware");
	taped_error(&taped, "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1", ENOENT);
	taped_docker(&taped, "info", 1, "{\"ServerVersion\":\"\",\"CgroupDriver\":\"\"}\n",
		     "permission denied while trying to connect to the docker API\n");
	taped_run(&taped, "nvidia-smi", 18, "Failed to initialize NVML: Driver/library version mismatch\n", "");
	gather(&taped, true, &inside);
	assert_int_equal(inside.secure_boot, UNKNOWN);
	assert_null(inside.nvidia_userspace);
	assert_int_equal(inside.docker, YES);
	assert_int_equal(inside.docker_known, NO);
	assert_int_equal(inside.n_containers, 0);
	assert_true(taped_is_blind(&taped, EACCES, "docker info"));
	assert_string_equal(inside.nvidia_smi, "Failed to initialize NVML: Driver/library version mismatch");
	arena_release(&taped.arena);
	/* an answer that is none of its known ones, and a render node that nobody asked */
	a_guest(&taped);
	taped_run(&taped, "nvidia-smi", 1, "\nsomething else\n", "");
	taped_file(&taped, "/dev/dri/renderD129", "");
	tape_entry(taped.target, &taped.arena, "/dev/dri/renderD129")->stat.type = NODE_CHAR;
	gather(&taped, true, &inside);
	assert_string_equal(inside.nvidia_smi, "something else");
	assert_true(taped_is_blind(&taped, ENODATA, "vainfo --display drm --device /dev/dri/renderD129"));
	arena_release(&taped.arena);
	static const struct { const char *kernel; enum tri cloud; } alone[] = {
		{ "6.8.0-1010-aws", UNKNOWN }, { "6.1.0-30-cloud-amd64", YES }, { "6.8.12-4-pve", NO },
	};
	for (size_t i = 0; i < COUNT(alone); i++) {
		taped_open(&taped);
		taped_file(&taped, "/proc/sys/kernel/osrelease", alone[i].kernel);
		gather(&taped, false, &inside);
		assert_int_equal(inside.cloud_kernel, alone[i].cloud);
		arena_release(&taped.arena);
	}
	static const struct { const char *kernel, *module; enum tri cloud; } kernels[] = {
		{ "6.8.0-1010-kvm", NULL, YES },
		{ "6.8.0-1010-aws", NULL, YES },
		{ "6.8.0-1010-aws", "amd/amdgpu.ko", NO },
		{ "6.1.0-30-cloud-amd64", "i915/i915.ko", NO },
		{ "6.1.0-30-amd64", NULL, NO },
	};
	for (size_t i = 0; i < COUNT(kernels); i++) {
		taped_open(&taped);
		taped_file(&taped, "/proc/sys/kernel/osrelease", kernels[i].kernel);
		if (kernels[i].module)
			taped_file(&taped, arena_printf(&taped.arena, "/lib/modules/%s/kernel/drivers/gpu/drm/%s", kernels[i].kernel,
							kernels[i].module), "");
		gather(&taped, true, &inside);
		assert_int_equal(inside.cloud_kernel, kernels[i].cloud);
		arena_release(&taped.arena);
	}
}

/* Whatever this machine is: it is read without harm. */
static void this_machine(void **state)
{
	(void)state;
	struct taped told;
	struct err err = {0};
	struct inside inside = {0};
	taped_open(&told);
	struct world *world = world_open_root(NULL, false, &told.arena, &err);
	if (!world) {
		arena_release(&told.arena);
		print_message("# %s\n", err.text);
		skip();
	}
	inside_gather(world, &told.arena, &inside, taped_blind, &told);
	assert_non_null(inside.kernel);
	assert_int_equal(inside.reached, YES);
	for (size_t i = 0; i < told.blind.n; i++)
		print_message("# unseen: %s\n", told.blind.word[i]);
	world_close(world);
	arena_release(&told.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(vainfo_own_samples, release),
		cmocka_unit_test_teardown(vainfo_captures, release),
		cmocka_unit_test_teardown(smi_own_samples, release),
		cmocka_unit_test_teardown(smi_captures, release),
		cmocka_unit_test_teardown(dmesg_own_samples, release),
		cmocka_unit_test_teardown(dmesg_captures, release),
		cmocka_unit_test_teardown(groups_and_os_release, release),
		cmocka_unit_test_teardown(docker_inspect_forms, release),
		cmocka_unit_test_teardown(a_guest_in_one_answer, release),
		cmocka_unit_test_teardown(a_guest_with_an_answer_per_container, release),
		cmocka_unit_test_teardown(a_bare_guest, release),
		cmocka_unit_test_teardown(a_recording_of_nothing, release),
		cmocka_unit_test_teardown(odd_guests, release),
		cmocka_unit_test(this_machine),
	};
	return cmocka_run_group_tests_name("inside", tests, NULL, NULL);
}
