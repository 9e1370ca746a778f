/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inside the guest, and inside docker containers there: from the device to what the media server finds.
 */
#include <string.h>

#include "rules/check.h"

static bool nvidia(const struct scene *scene)
{
	return check_vendor(scene->gpu, "nvidia");
}

static const char *model_name(const struct gpu *gpu)
{
	return gpu->model.generation ? gpu->model.generation : "this GPU";
}

static enum verdict inside_reached(const struct scene *scene, struct answer *answer)
{
	const struct inside *inside = scene->inside;
	const struct guest *guest = scene->guest;
	if (inside && inside->reached == YES)
		return answer_ok(answer, "%s", inside->os_name && *inside->os_name ? inside->os_name : inside->label);
	if (guest->status && strcmp(guest->status, "running") != 0) {
		answer_step(answer, "start it (%s start %lld) and ask again", guest->kind == GUEST_CT ? "pct" : "qm",
		        check_id(guest));
		return answer_unknown(answer, "it is %s: nobody can look inside", guest->status);
	}
	if (guest->kind == GUEST_VM)
		answer_step(answer,
		        "install qemu-guest-agent in the guest and set: qm set %lld --agent 1; or say reach: "
		        "ssh://user@host in the goal",
		        check_id(guest));
	else
		answer_step(answer, "run gpuferry as root on the node");
	return answer_unknown(answer, "it could not be looked into%s%s",
	        inside && inside->why && *inside->why ? ": " : "", inside && inside->why ? inside->why : "");
}

/* ---- the device and its driver ---- */

/* The card as the guest sees it: by ids, because addresses differ inside. */
static const struct pci_device *device_inside(const struct scene *scene)
{
	const struct pci *pci = &scene->inside->pci;
	for (size_t i = 0; i < pci->n; i++)
		if (pci->devices[i].vendor == scene->gpu->pci->vendor &&
		        pci->devices[i].device == scene->gpu->pci->device)
			return &pci->devices[i];
	return NULL;
}

static enum verdict inside_device(const struct scene *scene, struct answer *answer)
{
	if (!scene->gpu || scene->docker)
		return answer_none();
	const struct pci_device *device = device_inside(scene);
	if (device)
		return answer_ok(answer, "it is %s inside", device->address);
	if (scene->inside->pci.known != YES)
		return answer_unknown(answer, "the PCI devices inside could not be read");
	step_restart(answer, scene->guest);
	answer_step(answer,
	        "if it is still missing, the node's log at the VM's start says why: journalctl -b | grep -i vfio");
	return answer_broken(answer, "the guest does not see the card (%04x:%04x)", (unsigned)scene->gpu->pci->vendor,
	        (unsigned)scene->gpu->pci->device);
}

static enum verdict inside_cloud_kernel(const struct scene *scene, struct answer *answer)
{
	const struct inside *inside = scene->inside;
	if (!scene->gpu || scene->docker)
		return answer_none();
	if (inside->cloud_kernel == UNKNOWN)
		return answer_unknown(answer, "the guest's kernel flavour is not known");
	if (inside->cloud_kernel == NO)
		return answer_ok(answer, "kernel %s has graphics drivers", inside->kernel ? inside->kernel : "");
	bool ubuntu = inside->os_id && !strcmp(inside->os_id, "ubuntu");
	answer_step(answer, "in the guest: apt install %s, then reboot it and boot that kernel",
	        ubuntu ? "linux-generic" : "linux-image-amd64");
	if (nvidia(scene))
		return answer_warn(answer,
		        "kernel %s is a cloud flavour without graphics drivers; NVIDIA's module may still load",
		        inside->kernel ? inside->kernel : "");
	return answer_broken(answer, "kernel %s is a cloud flavour without graphics drivers: no render node can appear",
	        inside->kernel ? inside->kernel : "");
}

static enum verdict inside_secure_boot(const struct scene *scene, struct answer *answer)
{
	const struct inside *inside = scene->inside;
	if (scene->docker)
		return answer_none();
	if (inside->nvidia_module && *inside->nvidia_module)
		return answer_ok(answer, "NVIDIA's module is loaded");
	bool rejected = check_cause(inside, "key-rejected") != NULL;
	if (!rejected && inside->secure_boot == NO)
		return answer_ok(answer, "Secure Boot is off inside");
	answer_step(answer,
	        "in the guest install a signed driver (Ubuntu: linux-modules-nvidia-...-generic), or enrol DKMS's key: "
	        "mokutil --import /var/lib/dkms/mok.pub, reboot, confirm at the VM's console");
	answer_step(answer, "or switch Secure Boot off in the VM's firmware menu (press Esc at its start)");
	if (rejected)
		return answer_broken(answer, "the guest's kernel refused a module: \"Key was rejected by service\"");
	if (inside->secure_boot == UNKNOWN || !inside->nvidia_module)
		return answer_unknown(answer, "Secure Boot's state inside could not be read");
	return answer_warn(answer,
	        "Secure Boot is on inside and NVIDIA's module is not loaded: modules built by DKMS are refused "
	        "until their key is enrolled");
}

static enum verdict inside_kernel_floor(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	const char *kernel = scene->inside->kernel;
	if (!gpu || scene->docker || !gpu->model.kernel_floor)
		return answer_none();
	const struct pci_device *device = device_inside(scene);
	struct words drivers = check_drivers(gpu, answer->arena);
	if (device && device->driver && check_has(&drivers, device->driver))
		return answer_ok(answer, "%s has taken the card", device->driver);
	enum tri older = check_older(kernel, gpu->model.kernel_floor);
	if (older == UNKNOWN)
		return answer_unknown(answer, "the guest's kernel is not known");
	if (older == NO)
		return answer_ok(answer, "kernel %s is not older than %s", kernel, gpu->model.kernel_floor);
	answer_step(answer, "in the guest install a newer kernel (Debian: from backports; Ubuntu: linux-generic-hwe)");
	return answer_broken(answer, "the guest's kernel %s is too old for %s, which needs %s", kernel, model_name(gpu),
	        gpu->model.kernel_floor);
}

static enum verdict inside_kernel_bug(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	if (!gpu || scene->docker || nvidia(scene))
		return answer_none();
	if (!gpu->model.generation || !scene->inside->kernel)
		return answer_unknown(answer, "%s is not known",
		        scene->inside->kernel ? "the card's generation" : "the guest's kernel");
	const struct gpu_kernel_bug *bug = gpu_kernel_bug(gpu->model.generation, scene->inside->kernel);
	if (!bug)
		return answer_ok(answer, "no trouble of %s with kernel %s is known", gpu->model.generation,
		        scene->inside->kernel);
	answer_step(answer, "in the guest install a kernel outside %s to %s", bug->first, bug->last);
	return answer_warn(answer, "kernel %s with %s: %s (known from %s to %s)", scene->inside->kernel,
	        gpu->model.generation, bug->what, bug->first, bug->last);
}

struct cause {
	const char *word;
	enum verdict verdict;
	const char *why, *cure;
};

/* What the guest's kernel said, for NVIDIA's module. */
static const struct cause nvidia_causes[] = {
	{ "nvrm-needs-open", VERDICT_BROKEN,
	        "the closed module was refused: this card needs NVIDIA's open kernel module",
	        "install the open kernel module (Debian: nvidia-open-kernel-dkms; Ubuntu: the driver package with "
	        "-open)" },
	{ "nvrm-gsp", VERDICT_BROKEN, "the open module does not support this card: it has no GSP",
	        "install the closed kernel module (Ubuntu: the driver package without -open)" },
	{ "nvrm-legacy", VERDICT_BROKEN, "the driver ignores this card: only an older (legacy) branch supports it",
	        "install the last branch that knows this card and hold it" },
	{ "nvrm-wpr2", VERDICT_BROKEN, "the card was not reset between two starts (WPR2 already up)",
	        "shut the VM down and reboot the node when its guests may stop: only that resets the card" },
	{ "nvrm-off-bus", VERDICT_BROKEN, "the card has fallen off the bus",
	        "shut the VM down, switch the node off and on; check power cables, and ASPM in the BIOS" },
	{ "nvrm-bar", VERDICT_BROKEN, "the card's memory has no valid address in the VM",
	        "in the VM use OVMF with enough address space, or limit the CPU's phys-bits to the IOMMU's" },
	{ "d3cold", VERDICT_BROKEN, "the card sleeps without power and does not wake up (D3cold)",
	        "shut the VM down, switch the node off and on, and set options vfio-pci disable_idle_d3=1 on the "
	        "node" },
	{ "nvrm-mismatch", VERDICT_BROKEN, "module and libraries are of different versions (API mismatch)",
	        "reboot the guest, so that the module of the installed version is loaded" },
	{ "nvrm-init-failed", VERDICT_WARN, "NVIDIA's module could not initialise the card at some time since the boot",
	        "look at the last lines: dmesg | grep NVRM" },
};

static enum verdict say_cause(struct answer *answer, const struct cause *cause)
{
	answer_step(answer, "%s", cause->cure);
	return cause->verdict == VERDICT_BROKEN ? answer_broken(answer, "%s", cause->why)
	                                        : answer_warn(answer, "%s", cause->why);
}

static enum verdict ask_causes(const struct scene *scene, struct answer *answer, const struct cause *causes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (check_cause(scene->inside, causes[i].word))
			return say_cause(answer, &causes[i]);
	if (scene->inside->dmesg_known != YES)
		return answer_unknown(answer, "the kernel's messages inside could not be read whole");
	return answer_ok(answer, "the kernel reported no trouble with the card");
}

static enum verdict inside_nvidia_messages(const struct scene *scene, struct answer *answer)
{
	if (scene->docker)
		return answer_none();
	return ask_causes(scene, answer, nvidia_causes, sizeof nvidia_causes / sizeof *nvidia_causes);
}

static const struct cause other_causes[] = {
	{ "guc-missing", VERDICT_BROKEN, "the GuC firmware is missing",
	        "apt install firmware-misc-nonfree (Debian 12) or "
	        "firmware-intel-graphics (Debian 13) from non-free-firmware, or linux-firmware (Ubuntu), then reboot" },
	{ "guc-failed", VERDICT_BROKEN, "the GuC firmware failed to load",
	        "update the firmware package and the kernel, then reboot" },
	{ "amdgpu-firmware-missing", VERDICT_BROKEN, "amdgpu's firmware is missing",
	        "apt install firmware-amd-graphics (Debian, non-free-firmware) or linux-firmware (Ubuntu), then "
	        "reboot" },
	{ "wedged", VERDICT_BROKEN, "the GPU is wedged: the driver gave it up",
	        "reboot the guest; if it comes back, update its kernel" },
	{ "huc-missing", VERDICT_WARN, "the HuC firmware is missing: low-power encoding has constant quality only",
	        "apt install firmware-misc-nonfree (Debian 12) or firmware-intel-graphics (Debian 13) from "
	        "non-free-firmware, then reboot" },
	{ "huc-failed", VERDICT_WARN, "the HuC firmware failed to load: low-power encoding has constant quality only",
	        "update the firmware package and the kernel, then reboot" },
	{ "gpu-hang", VERDICT_WARN, "the GPU hung since the boot (GPU HANG)",
	        "update kernel and media driver; see gpu.kernel-bug" },
	{ "ring-timeout", VERDICT_WARN, "the GPU did not answer in time since the boot",
	        "update the kernel and the firmware" },
};

static enum verdict inside_firmware(const struct scene *scene, struct answer *answer)
{
	if (!scene->gpu || nvidia(scene) || scene->docker)
		return answer_none();
	const struct inside *inside = scene->inside;
	if (scene->ct && inside->dmesg_known != YES && !inside->firmware.n)
		return answer_none(); /* an unprivileged CT may not read the node's messages: not a question to it */
	if (scene->gpu->model.low_power_only == YES &&
	        (check_cause(inside, "huc-missing") || check_cause(inside, "huc-failed"))) {
		answer_step(answer,
		        "apt install firmware-misc-nonfree (Debian 12) or firmware-intel-graphics (Debian 13) from "
		        "non-free-firmware, or pve-firmware on the node, then reboot");
		return answer_broken(answer,
		        "the HuC firmware did not load, and %s encodes in low-power mode only, which needs it",
		        model_name(scene->gpu));
	}
	return ask_causes(scene, answer, other_causes, sizeof other_causes / sizeof *other_causes);
}

static enum verdict inside_driver(const struct scene *scene, struct answer *answer)
{
	if (!scene->gpu || scene->docker)
		return answer_none();
	const struct pci_device *device = device_inside(scene);
	struct words drivers = check_drivers(scene->gpu, answer->arena);
	if (!device || !device->driver)
		return answer_unknown(answer, "which driver has the card inside could not be read");
	if (strcmp(device->driver, "nouveau") != 0 && check_has(&drivers, device->driver))
		return answer_ok(answer, "%s has the card inside", device->driver);
	if (!drivers.n)
		return answer_unknown(
		        answer, "which driver %s needs is not in the table", check_device(device, answer->arena));
	if (nvidia(scene)) {
		answer_step(answer, "in the guest install NVIDIA's driver: Ubuntu: ubuntu-drivers install --gpgpu; "
		                    "Debian: non-free in "
		                    "the sources, then apt install linux-headers-amd64 nvidia-driver");
		answer_step(answer, "reboot the guest (not the node), then: nvidia-smi");
		return answer_broken(answer, "%s has the card inside: \"NVIDIA-SMI has failed\", there is no NVENC",
		        *device->driver ? device->driver : "no driver");
	}
	answer_step(answer,
	        "in the guest: modprobe %s; if it fails, dmesg says why (firmware, kernel flavour, blacklist)",
	        drivers.word[0]);
	return answer_broken(answer, "%s has the card inside instead of %s",
	        *device->driver ? device->driver : "no driver", text_join(&drivers, " or ", answer->arena));
}

static enum verdict inside_flavour(const struct scene *scene, struct answer *answer)
{
	const struct inside *inside = scene->inside;
	if (scene->docker || (inside->nvidia_module && !*inside->nvidia_module))
		return answer_none();
	return check_flavour(answer, scene->gpu, inside->nvidia_open);
}

static enum verdict inside_branch(const struct scene *scene, struct answer *answer)
{
	const struct inside *inside = scene->inside;
	if (scene->docker || (inside->nvidia_module && !*inside->nvidia_module))
		return answer_none();
	if (!inside->nvidia_module)
		return answer_unknown(answer, "the version of NVIDIA's module inside could not be read");
	return check_branch(answer, scene->gpu, inside->nvidia_module, inside->nvidia_open);
}

/* ---- nodes and libraries ---- */

static const struct drm_node *render_inside(const struct scene *scene)
{
	const struct drm *drm = &scene->inside->drm;
	const struct pci_device *device = scene->ct ? scene->gpu->pci : device_inside(scene);
	const struct drm_node *any = NULL;
	for (size_t i = 0; i < drm->n; i++) {
		const struct drm_node *node = &drm->nodes[i];
		if (!node->name || !text_starts(node->name, "renderD") || node->exists != YES)
			continue;
		if (device && node->pci && !strcmp(node->pci, device->address))
			return node;
		any = node;
	}
	return scene->docker || scene->ct ? any : NULL; /* its sysfs may not show which card it is */
}

static enum verdict nvidia_nodes(const struct scene *scene, struct answer *answer)
{
	static const char *const wanted[] = { "/dev/nvidiactl", "/dev/nvidia-uvm", NULL };
	const struct drm *drm = &scene->inside->drm;
	for (const char *const *path = wanted; *path; path++) {
		const struct drm_node *node = drm_node_at(drm, *path);
		if (node && node->exists == YES)
			continue;
		if (drm->known != YES || (node && node->exists == UNKNOWN))
			return answer_unknown(answer, "whether %s exists inside could not be read", *path);
		answer_step(answer, scene->docker ? "give the docker container the GPU with the capabilities gpu and "
		                                    "video, and make it anew"
		                    : scene->ct   ? "give the CT the node with pct set --devN, and start it anew"
		                                  : "in the guest: nvidia-modprobe -u -c0");
		return answer_broken(answer, "%s is missing inside", *path);
	}
	return answer_ok(answer, "NVIDIA's nodes are there");
}

static enum verdict inside_render(const struct scene *scene, struct answer *answer)
{
	if (!scene->gpu)
		return answer_none();
	if (nvidia(scene))
		return nvidia_nodes(scene, answer);
	const struct drm_node *node = render_inside(scene);
	if (node)
		return answer_ok(answer, "%s is the card's", node->path ? node->path : node->name);
	if (scene->inside->drm.known != YES)
		return answer_unknown(answer, "the nodes in /dev/dri inside could not be read");
	answer_step(answer,
	        scene->docker ? "give the docker container the node: devices: [/dev/dri/renderD128:/dev/dri/renderD128]"
	        : scene->ct   ? "give the CT the node with pct set --devN, and start it anew"
	                      : "in the guest: dmesg | grep -i drm says why the driver made none");
	return answer_broken(answer, "no render node of the card is inside; a lone card0 is the emulated screen");
}

static enum verdict inside_render_group(const struct scene *scene, struct answer *answer)
{
	if (!scene->gpu || nvidia(scene) || scene->docker)
		return answer_none();
	const struct drm_node *node = render_inside(scene);
	if (!node)
		return answer_none();
	if (node->mode & 06)
		return answer_ok(answer, "everyone inside may use %s", node->path);
	if (!node->group || scene->inside->groups_known != YES)
		return answer_unknown(answer, "the group of %s inside could not be read", node->path);
	if (!strcmp(node->group, "render") || !strcmp(node->group, "video"))
		return answer_ok(answer, "%s belongs to %s (%u)", node->path, node->group, node->gid);
	bool nobody = node->gid == 65534 || !strcmp(node->group, "nogroup");
	answer_step(answer, scene->ct ? "set the CT's own render gid: pct set ID --devN /dev/dri/renderD128,gid=GID, "
	                                "and start it anew"
	                              : "in the guest: udevadm trigger; the node should belong to render");
	if (nobody)
		return answer_broken(answer,
		        "%s belongs to nobody inside: an unprivileged CT may not use a node mounted by hand",
		        node->path);
	return answer_warn(answer,
	        "%s belongs to %s (%u) inside, not to render: the media server's user is not in that group", node->path,
	        *node->group ? node->group : "no group", node->gid);
}

static enum verdict inside_nvidia_userspace(const struct scene *scene, struct answer *answer)
{
	const struct inside *inside = scene->inside;
	const char *module = scene->ct ? scene->facts->drm.nvidia_module_version : inside->nvidia_module;
	if (scene->ct && !scene->docker)
		return answer_none(); /* a CT's own is asked about by ct.nvidia-userspace */
	if (!module || !inside->nvidia_userspace)
		return answer_unknown(
		        answer, "the version of NVIDIA's %s could not be read", module ? "libraries" : "module");
	if (*module && !strcmp(module, inside->nvidia_userspace))
		return answer_ok(answer, "module and libraries are both %s", module);
	if (!*inside->nvidia_userspace) {
		answer_step(answer,
		        scene->docker
		                ? "give the docker container the GPU with the capabilities gpu and video: the toolkit "
		                  "then brings the libraries"
		                : "in the guest install the libraries of the driver: libnvidia-encode1 and nvidia-smi");
		return answer_broken(answer, "NVIDIA's libraries are not there");
	}
	answer_step(answer, scene->docker ? "make the docker container anew: docker compose up -d --force-recreate"
	                                  : "reboot the guest: the new module is then loaded");
	answer_step(answer, "keep unattended upgrades away from it: apt-mark hold the driver's packages");
	return answer_broken(answer, "the module is %s, the libraries are %s: \"Driver/library version mismatch\"",
	        *module ? module : "not loaded", inside->nvidia_userspace);
}

static enum verdict inside_nvidia_smi(const struct scene *scene, struct answer *answer)
{
	const char *error = scene->inside->nvidia_smi;
	if (!error)
		return answer_unknown(answer, "nvidia-smi was not run");
	if (!*error)
		return answer_ok(answer, "nvidia-smi answers%s%s", scene->inside->nvidia_smi_driver ? ": driver " : "",
		        scene->inside->nvidia_smi_driver ? scene->inside->nvidia_smi_driver : "");
	if (strstr(error, "Unknown Error"))
		answer_step(
		        answer, "restart the docker container; to keep it from coming back see inside.docker-cgroup");
	else if (strstr(error, "mismatch"))
		answer_step(answer, "bring module and libraries to the same version: reboot after an upgrade");
	else
		answer_step(answer, "dmesg | grep NVRM says why");
	return answer_broken(answer, "nvidia-smi says: %s", error);
}

static enum verdict inside_nvidia_libraries(const struct scene *scene, struct answer *answer)
{
	static const char *const wanted[] = { "libcuda.so.1", "libnvidia-encode.so.1", "libnvcuvid.so.1", NULL };
	const struct inside *inside = scene->inside;
	if (inside->nvidia_libraries_known != YES)
		return answer_unknown(answer, "which of NVIDIA's libraries are there could not be read");
	for (const char *const *library = wanted; *library; library++) {
		if (check_has(&inside->nvidia_libraries, *library))
			continue;
		if (scene->docker)
			answer_step(answer,
			        "give the docker container the capability video: capabilities: [gpu, video], or "
			        "NVIDIA_DRIVER_CAPABILITIES=compute,video,utility; then make it anew");
		else
			answer_step(answer,
			        "install it in the version of the module: Debian and Ubuntu: libnvidia-encode1 and "
			        "libnvcuvid1 (Ubuntu: libnvidia-encode-BRANCH, libnvidia-decode-BRANCH), libcuda1");
		return answer_broken(
		        answer, "%s is missing: \"Cannot load %s\", although nvidia-smi works", *library, *library);
	}
	return answer_ok(answer, "CUDA, NVENC and NVDEC libraries are there");
}

static enum verdict inside_sessions(const struct scene *scene, struct answer *answer)
{
	if (scene->docker)
		return answer_none();
	const char *driver = scene->ct ? scene->facts->drm.nvidia_module_version : scene->inside->nvidia_module;
	if (scene->gpu->model.session_limit == NO)
		return answer_ok(answer, "this card's NVENC sessions are not limited");
	if (!driver || !*driver || scene->gpu->model.session_limit == UNKNOWN)
		return answer_unknown(answer, "how many NVENC sessions are allowed is not known");
	int64_t limit = gpu_session_limit(driver);
	if (limit == UNKNOWN_NUMBER)
		return answer_unknown(answer, "how many NVENC sessions driver %s allows is not known", driver);
	if (limit >= 8)
		return answer_ok(answer, "driver %s allows %lld NVENC sessions per machine", driver, (long long)limit);
	answer_step(answer, "a driver of branch 550 or newer allows 8, 590 or newer 12");
	return answer_warn(answer,
	        "driver %s allows only %lld NVENC sessions per machine; the next says \"OpenEncodeSessionEx failed: "
	        "out of memory (10)\", which is a limit and no defect",
	        driver, (long long)limit);
}

/* ---- VA-API and QuickSync ---- */

/* A media server that brings its own driver and runtime, or runs in docker with them. */
static bool brings_its_own(const struct scene *scene)
{
	return check_package_like(&scene->inside->packages, "jellyfin-ffmpeg") ||
	       check_package_like(&scene->inside->packages, "emby-server") ||
	       (!scene->docker && scene->inside->docker == YES);
}

static enum verdict inside_media_driver(const struct scene *scene, struct answer *answer)
{
	const struct inside *inside = scene->inside;
	static const char *const free_lacks[] = { "*Skylake*", "*Kaby*", "*Coffee*", "*Comet*", "*Whiskey*", "*Amber*",
		"*Gemini*", "*Apollo*", "*Broadwell*", NULL };
	const char *full = check_package(&inside->packages, "intel-media-va-driver-non-free");
	const char *reduced = check_package(&inside->packages, "intel-media-va-driver");
	if (full)
		return answer_ok(answer, "intel-media-va-driver-non-free %s", full);
	if (brings_its_own(scene))
		return answer_ok(answer, "the media server brings its own VA-API driver");
	if (!scene->gpu->model.generation)
		return answer_unknown(answer, "the card's generation is not in the table");
	if (!reduced && !inside->packages.n)
		return answer_unknown(answer, "the packages inside could not be read");
	answer_step(answer, "apt install intel-media-va-driver-non-free   (Debian: add non-free to the sources first)");
	if (!reduced)
		return answer_warn(answer, "no Intel media driver is installed inside");
	for (const char *const *name = free_lacks; *name; name++)
		if (text_matches(*name, scene->gpu->model.generation))
			return answer_warn(answer,
			        "intel-media-va-driver is the reduced build: on %s it cannot encode HEVC",
			        scene->gpu->model.generation);
	answer->cure = NULL;
	return answer_ok(answer, "intel-media-va-driver %s; the full build also maps tones in hardware", reduced);
}

static bool encodes(const char *pair)
{
	return text_ends(pair, "/VAEntrypointEncSlice") || text_ends(pair, "/VAEntrypointEncSliceLP");
}

static enum verdict inside_vainfo(const struct scene *scene, struct answer *answer)
{
	const struct vainfo *vainfo = &scene->inside->vainfo;
	if (!scene->gpu || nvidia(scene))
		return answer_none();
	for (size_t i = 0; i < vainfo->pairs.n; i++)
		if (encodes(vainfo->pairs.word[i]))
			return answer_ok(answer, "%s lists %s", vainfo->driver ? vainfo->driver : "the VA-API driver",
			        vainfo->pairs.word[i]);
	if (!vainfo->error && !vainfo->pairs.n) {
		answer_step(answer,
		        "to see it: apt install vainfo, then vainfo --display drm --device /dev/dri/renderD128");
		return answer_unknown(answer, "what the VA-API driver offers is not known: vainfo was not run");
	}
	answer_step(answer,
	        "install the full media driver: intel-media-va-driver-non-free (Intel), mesa-va-drivers (AMD; some "
	        "distributions build it without H.264 and HEVC)");
	answer_step(answer, "look whether the right node is asked and may be opened: vainfo --display drm --device "
	                    "/dev/dri/renderD128");
	if (vainfo->error && *vainfo->error)
		return brings_its_own(scene)
		               ? answer_warn(answer, "vainfo fails (%s); the media server brings a driver of its own",
		                         vainfo->error)
		               : answer_broken(answer, "VA-API does not start: %s", vainfo->error);
	return answer_warn(answer, "%s lists no way to encode (neither EncSlice nor EncSliceLP)",
	        vainfo->driver ? vainfo->driver : "the VA-API driver");
}

static enum verdict inside_qsv_runtime(const struct scene *scene, struct answer *answer)
{
	const struct inside *inside = scene->inside;
	static const char *const newer[] = { "*Tiger*", "*Rocket*", "*Alder*", "*Raptor*", "*Meteor*", "*Arrow*",
		"*Lunar*", "*Panther*", "DG1", "*Alchemist*", "*Battlemage*", "*Flex*", NULL };
	if (brings_its_own(scene))
		return answer_ok(answer, "the media server brings its own QuickSync runtime");
	if (!scene->gpu->model.generation)
		return answer_unknown(answer, "the card's generation is not in the table");
	if (!inside->packages.n)
		return answer_unknown(answer, "the packages inside could not be read");
	bool new = false;
	for (const char *const *name = newer; *name; name++)
		new |= text_matches(*name, scene->gpu->model.generation);
	const char *found =
	        new ? check_package_like(&inside->packages, "libmfx-gen") : check_package(&inside->packages, "libmfx1");
	if (!found && new)
		found = check_package_like(&inside->packages, "libmfxgen");
	if (found)
		return answer_ok(
		        answer, "the QuickSync runtime for %s is there: %s", scene->gpu->model.generation, found);
	answer_step(answer, "apt install %s", new ? "libmfx-gen1.2 (Ubuntu: libmfxgen1)" : "libmfx1");
	if (scene->goal->service.kind == SERVICE_FFMPEG)
		return answer_broken(answer,
		        "the QuickSync runtime for %s is missing: \"Error creating a MFX session: -9\"",
		        scene->gpu->model.generation);
	return answer_warn(answer,
	        "the QuickSync runtime for %s is missing: QSV fails with \"Error creating a MFX session: -9\", VA-API "
	        "works without it",
	        scene->gpu->model.generation);
}

/* ---- docker ---- */

static bool asks_docker(const struct scene *scene)
{
	return scene->gpu && !scene->docker && scene->inside->docker == YES;
}

static enum verdict inside_docker_snap(const struct scene *scene, struct answer *answer)
{
	if (!asks_docker(scene))
		return answer_none();
	const char *snap = scene->inside->docker_snap;
	if (!snap)
		return answer_unknown(answer, "whether docker is the snap could not be read");
	if (strcmp(snap, "yes") != 0)
		return answer_ok(answer, "docker is not the snap");
	answer_step(answer, "install docker from docker.com or the distribution (docker.io), move the volumes, then: "
	                    "snap remove docker");
	return answer_broken(answer, "docker is the snap, which cannot use NVIDIA's toolkit from outside");
}

static enum verdict inside_toolkit(const struct scene *scene, struct answer *answer)
{
	if (!asks_docker(scene))
		return answer_none();
	if (scene->inside->toolkit == UNKNOWN)
		return answer_unknown(answer, "whether NVIDIA's container toolkit is installed could not be read");
	if (scene->inside->toolkit == YES)
		return answer_ok(answer, "nvidia-container-toolkit %s",
		        scene->inside->toolkit_version ? scene->inside->toolkit_version : "");
	answer_step(answer, "add NVIDIA's repository with a signed-by key (not apt-key): the list is "
	                    "libnvidia-container/stable/deb/nvidia-container-toolkit.list for every Debian and Ubuntu; "
	                    "an old list file "
	                    "that says \"Unsupported distribution\" must go");
	answer_step(answer, "apt install nvidia-container-toolkit && nvidia-ctk runtime configure --runtime=docker && "
	                    "systemctl restart "
	                    "docker   (restarts its containers)");
	return answer_broken(answer,
	        "nvidia-container-toolkit is not installed: \"could not select device driver with capabilities: "
	        "[[gpu]]\"");
}

static enum verdict inside_docker_runtime(const struct scene *scene, struct answer *answer)
{
	const struct inside *inside = scene->inside;
	if (!asks_docker(scene))
		return answer_none();
	if (inside->cdi == YES)
		return answer_ok(answer, "a CDI specification for the GPU is there");
	if (inside->docker_known != YES || !inside->docker_runtimes)
		return answer_unknown(answer, "docker's runtimes could not be read");
	if (text_has_word(inside->docker_runtimes, "nvidia", " "))
		return answer_ok(answer, "docker knows the runtime nvidia");
	answer_step(answer, "nvidia-ctk runtime configure --runtime=docker");
	answer_step(answer, "systemctl restart docker   (restarts its containers)");
	return answer_broken(answer,
	        "docker knows the runtimes %s, but not nvidia: it was not configured or not restarted",
	        *inside->docker_runtimes ? inside->docker_runtimes : "none");
}

/* The docker container of the service: by the goal's name, else by what it runs. */
static const struct docker_container *service_container(const struct scene *scene)
{
	const struct inside *inside = scene->inside;
	const char *name = scene->goal->service.name;
	for (size_t i = 0; i < inside->n_containers; i++) {
		const struct docker_container *container = &inside->containers[i];
		if (name && container->name && !strcmp(container->name, name))
			return container;
	}
	for (size_t i = 0; i < inside->n_containers && !name; i++) {
		const char *image = inside->containers[i].image;
		if (image && (strstr(image, "emby") || strstr(image, "jellyfin")))
			return &inside->containers[i];
	}
	return NULL;
}

static bool has_device(const struct docker_container *container, const char *prefix)
{
	for (size_t i = 0; i < container->devices.n; i++)
		if (text_starts(container->devices.word[i], prefix))
			return true;
	return false;
}

static const char *container_name(const struct docker_container *container)
{
	return container->name ? container->name : container->id ? container->id : "?";
}

static bool wants_nvidia(const struct docker_container *container)
{
	return (container->gpu_request && *container->gpu_request) ||
	       (container->runtime && !strcmp(container->runtime, "nvidia") && container->visible_devices &&
	               *container->visible_devices && strcmp(container->visible_devices, "void") != 0);
}

static void step_docker_node(const struct scene *scene, struct answer *answer)
{
	const struct drm_node *node = render_inside(scene);
	if (node)
		answer_step(answer,
		        "in its compose file: devices: [%s:%s], and group_add: [\"%u\"]   (the number of its group)",
		        node->path, node->path, node->gid);
	else
		answer_step(answer, "in its compose file: devices: [/dev/dri/renderD128:/dev/dri/renderD128], and "
		                    "group_add with the number of the group render");
}

static enum verdict inside_docker_request(const struct scene *scene, struct answer *answer)
{
	if (!asks_docker(scene))
		return answer_none();
	const struct docker_container *container = service_container(scene);
	if (!container) {
		if (scene->inside->docker_known != YES)
			return answer_unknown(answer, "docker's containers could not be listed");
		if (!scene->goal->service.name)
			return answer_none(); /* nobody said that a docker container is to have it */
		answer_step(answer, "start it: docker compose up -d, in the folder of its compose file");
		return answer_broken(answer, "there is no docker container %s", scene->goal->service.name);
	}
	const char *name = container_name(container);
	if (nvidia(scene) ? wants_nvidia(container) : has_device(container, "/dev/dri") || container->privileged == YES)
		return answer_ok(answer, "docker container %s is given the GPU", name);
	if (nvidia(scene)) {
		if (!container->gpu_request || !container->runtime)
			return answer_unknown(answer, "what docker container %s is given could not be read", name);
		answer_step(answer,
		        "in its compose file: deploy: resources: reservations: devices: [{driver: nvidia, count: 1, "
		        "capabilities: [gpu, video]}]");
	} else
		step_docker_node(scene, answer);
	answer_step(answer, "docker compose up -d   (makes it anew: whoever is watching is interrupted)");
	return answer_broken(answer, "docker container %s is not given the GPU", name);
}

static enum verdict inside_docker_video(const struct scene *scene, struct answer *answer)
{
	const struct docker_container *container = asks_docker(scene) ? service_container(scene) : NULL;
	if (!container || !wants_nvidia(container))
		return answer_none();
	const char *name = container_name(container), *variable = container->driver_capabilities;
	if (container->gpu_request &&
	        (text_has_word(container->gpu_request, "video", " ,") || text_starts(container->gpu_request, "cdi")))
		return answer_ok(answer, "docker container %s asks for video", name);
	if (variable && (text_has_word(variable, "video", ", ") || text_has_word(variable, "all", ", ")))
		return answer_ok(answer, "docker container %s asks for %s", name, variable);
	if (!variable)
		return answer_unknown(
		        answer, "which driver capabilities docker container %s asks for could not be read", name);
	answer_step(answer,
	        "in its compose file: capabilities: [gpu, video], or environment: NVIDIA_DRIVER_CAPABILITIES="
	        "compute,video,utility");
	answer_step(answer, "docker compose up -d   (makes it anew: whoever is watching is interrupted)");
	return answer_broken(answer,
	        "docker container %s is given the GPU without the capability video: \"Cannot load "
	        "libnvidia-encode.so.1\", although nvidia-smi works in it",
	        name);
}

static enum verdict inside_docker_group(const struct scene *scene, struct answer *answer)
{
	const struct docker_container *container =
	        asks_docker(scene) && !nvidia(scene) ? service_container(scene) : NULL;
	const struct drm_node *node = container ? render_inside(scene) : NULL;
	if (!node || !has_device(container, "/dev/dri"))
		return answer_none();
	const char *gid = arena_printf(answer->arena, "%u", node->gid);
	if (container->privileged == YES || (node->mode & 06) || check_has(&container->group_add, gid) ||
	        (node->group && check_has(&container->group_add, node->group)))
		return answer_ok(answer, "docker container %s may use %s", container_name(container), node->path);
	answer_step(
	        answer, "in its compose file: group_add: [\"%s\"]   (the number of the group of %s)", gid, node->path);
	answer_step(answer, "docker compose up -d   (makes it anew: whoever is watching is interrupted)");
	return answer_warn(answer,
	        "docker container %s is not in the group of %s (%s): unless it runs as root it may not use it",
	        container_name(container), node->path, gid);
}

static enum verdict inside_docker_cgroup(const struct scene *scene, struct answer *answer)
{
	const struct inside *inside = scene->inside;
	if (!asks_docker(scene))
		return answer_none();
	if (!inside->docker_cgroup_driver)
		return answer_unknown(answer, "docker's cgroup driver could not be read");
	if (strcmp(inside->docker_cgroup_driver, "systemd") != 0)
		return answer_ok(answer, "docker's cgroup driver is %s", inside->docker_cgroup_driver);
	if (inside->cdi == YES || inside->dev_char == YES || inside->no_cgroups == YES)
		return answer_ok(answer, "%s keeps the GPU in its docker containers",
		        inside->cdi == YES        ? "CDI"
		        : inside->dev_char == YES ? "the links in /dev/char"
		                                  : "no-cgroups");
	if (inside->cdi == UNKNOWN || inside->dev_char == UNKNOWN)
		return answer_unknown(answer, "whether CDI or the links in /dev/char are there could not be read");
	answer_step(answer, "nvidia-ctk system create-dev-char-symlinks --create-all   (and a udev rule, so that it "
	                    "happens at every boot)");
	answer_step(answer,
	        "or use CDI: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml, and devices: [nvidia.com/gpu=all]");
	return answer_warn(answer,
	        "docker's cgroup driver is systemd: after a systemctl daemon-reload its running containers lose the "
	        "GPU (\"Failed to initialize NVML: Unknown Error\")");
}

static enum verdict inside_no_cgroups(const struct scene *scene, struct answer *answer)
{
	const struct inside *inside = scene->inside;
	if (!asks_docker(scene) || inside->toolkit == NO)
		return answer_none();
	const char *value = pve_value(scene->guest, "unprivileged");
	bool needed = scene->ct && value && pve_boolean(value) == YES;
	if (inside->no_cgroups == UNKNOWN)
		return answer_unknown(answer, "/etc/nvidia-container-runtime/config.toml could not be read");
	if (needed == (inside->no_cgroups == YES))
		return answer_ok(answer, "no-cgroups is %s, as it must be here", needed ? "on" : "off");
	answer_step(answer,
	        "in /etc/nvidia-container-runtime/config.toml: no-cgroups = %s; then make the docker container anew",
	        needed ? "true" : "false");
	if (needed)
		return answer_broken(answer,
		        "docker in an unprivileged CT may not set device rules: \"bpf_prog_query(BPF_CGROUP_DEVICE) "
		        "failed: operation not permitted\"");
	return answer_warn(answer,
	        "no-cgroups is on, which only an unprivileged CT needs: docker containers may be denied the GPU");
}

static enum verdict inside_containerd(const struct scene *scene, struct answer *answer)
{
	if (!scene->ct || scene->docker || scene->inside->docker != YES)
		return answer_none();
	const char *version = check_package(&scene->inside->packages, "containerd.io");
	if (!version)
		return answer_none(); /* the distribution's own containerd was not affected in the same way */
	if (!text_starts(version, "1.7.28-2"))
		return answer_ok(answer, "containerd.io %s", version);
	answer_step(answer, "inside the CT: apt update && apt install containerd.io   (1.7.29-1 and newer are mended)");
	return answer_broken(answer,
	        "containerd.io %s cannot start docker containers in a CT: \"open sysctl "
	        "net.ipv4.ip_unprivileged_port_start: permission denied\"",
	        version);
}

#define INSIDE(name, where) .about = ABOUT_INSIDE, .route = where, .check = name

const struct rule rules_inside[] = {
	{ .id = "inside.reached",
	        INSIDE(inside_reached, ROUTE_ANY),
	        .asks = "Can gpuferry look inside?",
	        .explains = "What the media server finds can only be seen where it runs. Nothing is installed or "
	                    "written there.",
	        .source = "qm guest exec; pct exec; ssh" },
	{ .id = "inside.device",
	        INSIDE(inside_device, ROUTE_VM),
	        .needs = { "inside.reached", "vm.hostpci" },
	        .pains = { 29 },
	        .asks = "Does the guest see the card?",
	        .explains = "A card given by hostpci appears in the guest after a stop and a start.",
	        .source = "sysfs in the guest" },
	{ .id = "inside.cloud-kernel",
	        INSIDE(inside_cloud_kernel, ROUTE_VM),
	        .needs = { "inside.reached" },
	        .waivable = true,
	        .pains = { 50 },
	        .asks = "Does the guest's kernel have graphics drivers?",
	        .explains = "Cloud images bring a kernel flavour without DRM drivers.",
	        .source = "Debian linux-image-cloud-amd64" },
	{ .id = "inside.secure-boot",
	        .vendor = "nvidia",
	        INSIDE(inside_secure_boot, ROUTE_VM),
	        .needs = { "inside.reached" },
	        .pains = { 23, 29 },
	        .asks = "Does Secure Boot inside let NVIDIA's module in?",
	        .explains = "With Secure Boot the guest's kernel refuses modules signed with an unknown key.",
	        .source = "Linux Documentation/admin-guide/module-signing.rst" },
	{ .id = "inside.kernel-floor",
	        INSIDE(inside_kernel_floor, ROUTE_VM),
	        .needs = { "inside.reached" },
	        .pains = { 49 },
	        .asks = "Is the guest's kernel new enough for this GPU?",
	        .explains = "In a VM it is the guest's kernel that drives the card.",
	        .source = "jellyfin.org known issues" },
	{ .id = "inside.kernel-bug",
	        INSIDE(inside_kernel_bug, ROUTE_VM),
	        .needs = { "inside.reached" },
	        .pains = { 49 },
	        .asks = "Is the guest's kernel free of known trouble with this GPU?",
	        .explains = "The ranges are those of the kernel's own releases; distributions carry repairs back.",
	        .source = "jellyfin.org known issues" },
	{ .id = "inside.flavour",
	        .vendor = "nvidia",
	        INSIDE(inside_flavour, ROUTE_VM),
	        .needs = { "inside.reached" },
	        .pains = { 30 },
	        .asks = "Is NVIDIA's module of the flavour this card needs?",
	        .explains = "Up to Volta only the closed module works, Blackwell needs the open one, those between "
	                    "take either.",
	        .source = "NVIDIA open-gpu-kernel-modules README" },
	{ .id = "inside.branch",
	        .vendor = "nvidia",
	        INSIDE(inside_branch, ROUTE_VM),
	        .needs = { "inside.reached" },
	        .pains = { 31 },
	        .asks = "Does NVIDIA's driver branch know this card?",
	        .explains = "590 and newer ignore Maxwell, Pascal and Volta; 580 is their last branch.",
	        .source = "NVIDIA driver release notes" },
	{ .id = "inside.nvidia-messages",
	        .vendor = "nvidia",
	        INSIDE(inside_nvidia_messages, ROUTE_VM),
	        .needs = { "inside.reached" },
	        .after = { "inside.flavour", "inside.branch" },
	        .pains = { 30, 31, 17, 16 },
	        .asks = "Did NVIDIA's module start the card without complaint?",
	        .explains = "\"RmInitAdapter failed\" and \"No devices were found\" have several causes; the lines "
	                    "around them tell which.",
	        .source = "NVIDIA open-gpu-kernel-modules, kernel messages" },
	{ .id = "inside.firmware",
	        INSIDE(inside_firmware, ROUTE_ANY),
	        .needs = { "inside.reached" },
	        .pains = { 47, 49 },
	        .asks = "Did the GPU's firmware load, and did the GPU not hang?",
	        .explains = "Without its firmware a GPU has no engine or no rate control; a hang stops every stream.",
	        .source = "kernel messages of i915, xe and amdgpu" },
	{ .id = "inside.driver",
	        INSIDE(inside_driver, ROUTE_VM),
	        .needs = { "inside.device", "inside.cloud-kernel" },
	        .after = { "inside.secure-boot", "inside.flavour", "inside.branch", "inside.nvidia-messages" },
	        .pains = { 29, 50 },
	        .asks = "Has the guest's driver taken the card?",
	        .explains =
	                "nvidia-smi's \"couldn't communicate with the NVIDIA driver\" means: the module is not loaded.",
	        .source = "sysfs driver link in the guest" },
	{ .id = "inside.render",
	        INSIDE(inside_render, ROUTE_ANY),
	        .needs = { "inside.reached", "inside.driver", "ct.node" },
	        .pains = { 50, 44 },
	        .asks = "Is the card's node there?",
	        .explains = "Encoding goes through a render node (or NVIDIA's own nodes). A lone card0 in a VM is the "
	                    "emulated screen.",
	        .source = "/dev/dri in the guest" },
	{ .id = "inside.render-group",
	        INSIDE(inside_render_group, ROUTE_ANY),
	        .needs = { "inside.render" },
	        .pains = { 42 },
	        .asks = "Does the node belong to the render group?",
	        .explains = "The media server's user must be in the node's group.",
	        .source = "/etc/group in the guest" },
	{ .id = "inside.nvidia-userspace",
	        .vendor = "nvidia",
	        INSIDE(inside_nvidia_userspace, ROUTE_ANY),
	        .needs = { "inside.reached", "inside.driver" },
	        .pains = { 33 },
	        .asks = "Are NVIDIA's module and libraries of the same version?",
	        .explains =
	                "After an upgrade the old module stays loaded until a reboot, and the new libraries refuse it.",
	        .source = "/proc/driver/nvidia/version; nvidia-docker#365" },
	{ .id = "inside.nvidia-libraries",
	        .vendor = "nvidia",
	        INSIDE(inside_nvidia_libraries, ROUTE_ANY),
	        .needs = { "inside.reached" },
	        .pains = { 37 },
	        .asks = "Are the libraries for encoding and decoding there?",
	        .explains = "nvidia-smi needs none of them: it works while NVENC does not.",
	        .source = "immich#3612; jellyfin#7570" },
	{ .id = "inside.nvidia-smi",
	        .vendor = "nvidia",
	        INSIDE(inside_nvidia_smi, ROUTE_ANY),
	        .needs = { "inside.nvidia-userspace" },
	        .pains = { 29, 34 },
	        .asks = "Does NVIDIA's management library answer?",
	        .explains = "A docker container can lose the GPU hours after its start; only asking inside shows it.",
	        .source = "nvidia-smi(1)" },
	{ .id = "inside.sessions",
	        .vendor = "nvidia",
	        INSIDE(inside_sessions, ROUTE_ANY),
	        .needs = { "inside.reached" },
	        .after = { "inside.driver" },
	        .pains = { 41 },
	        .asks = "How many streams does the driver allow at once?",
	        .explains = "GeForce drivers count NVENC sessions per machine. Reaching the limit is no defect.",
	        .source = "jellyfin.org known issues" },
	{ .id = "inside.media-driver",
	        .vendor = "intel",
	        INSIDE(inside_media_driver, ROUTE_ANY),
	        .needs = { "inside.reached" },
	        .pains = { 45, 46 },
	        .asks = "Is the right VA-API driver there?",
	        .explains = "iHD serves Broadwell and newer, i965 the older ones. The reduced build lacks encoders "
	                    "before Ice Lake; the "
	                    "full one is in Debian's non-free.",
	        .source = "intel/media-driver README" },
	{ .id = "inside.vainfo",
	        INSIDE(inside_vainfo, ROUTE_ANY),
	        .needs = { "inside.render" },
	        .pains = { 46 },
	        .asks = "Does the VA-API driver list a way to encode?",
	        .explains = "Either EncSlice or EncSliceLP will do; newer Intel has only the latter. A listing proves "
	                    "nothing, but its "
	                    "absence does.",
	        .source = "vainfo(1); jellyfin#11380" },
	{ .id = "inside.qsv-runtime",
	        .vendor = "intel",
	        INSIDE(inside_qsv_runtime, ROUTE_ANY),
	        .needs = { "inside.reached" },
	        .pains = { 45 },
	        .asks = "Is the QuickSync runtime of this generation there?",
	        .explains = "Tiger Lake and newer need oneVPL's runtime (libmfx-gen), older ones libmfx1.",
	        .source = "cartwheel-ffmpeg#233" },
	{ .id = "inside.docker-snap",
	        .vendor = "nvidia",
	        INSIDE(inside_docker_snap, ROUTE_ANY),
	        .needs = { "inside.reached" },
	        .pains = { 35 },
	        .asks = "Is docker one that can use NVIDIA's toolkit?",
	        .explains = "The snap keeps its own files and does not see the toolkit.",
	        .source = "nvidia-docker#1642" },
	{ .id = "inside.toolkit",
	        .vendor = "nvidia",
	        INSIDE(inside_toolkit, ROUTE_ANY),
	        .needs = { "inside.reached" },
	        .pains = { 35, 36 },
	        .asks = "Is NVIDIA's container toolkit installed?",
	        .explains = "It brings the driver's libraries into docker containers. The repository of older guides "
	                    "no longer works.",
	        .source = "docs.nvidia.com container toolkit" },
	{ .id = "inside.docker-runtime",
	        .vendor = "nvidia",
	        INSIDE(inside_docker_runtime, ROUTE_ANY),
	        .needs = { "inside.toolkit" },
	        .pains = { 35 },
	        .asks = "Does docker know how to give out the GPU?",
	        .explains = "The toolkit must be written into docker's configuration, and docker restarted.",
	        .source = "docs.nvidia.com container toolkit" },
	{ .id = "inside.docker-request",
	        INSIDE(inside_docker_request, ROUTE_ANY),
	        .needs = { "inside.reached" },
	        .pains = { 35, 37 },
	        .asks = "Is the media server's docker container given the GPU?",
	        .explains = "The compose file must name it.",
	        .source = "docker compose specification" },
	{ .id = "inside.docker-video",
	        .vendor = "nvidia",
	        INSIDE(inside_docker_video, ROUTE_ANY),
	        .needs = { "inside.docker-request" },
	        .pains = { 37 },
	        .asks = "With the libraries for video?",
	        .explains = "Without the capability video the toolkit leaves the codec libraries out.",
	        .source = "nvidia-docker#1530; immich#3612" },
	{ .id = "inside.docker-group",
	        INSIDE(inside_docker_group, ROUTE_ANY),
	        .needs = { "inside.docker-request" },
	        .pains = { 42 },
	        .asks = "May the docker container use the node?",
	        .explains = "group_add takes the number of the node's group; a usermod inside is lost when it is made "
	                    "anew.",
	        .source = "jellyfin.org docs" },
	{ .id = "inside.docker-cgroup",
	        .vendor = "nvidia",
	        INSIDE(inside_docker_cgroup, ROUTE_ANY),
	        .needs = { "inside.reached" },
	        .pains = { 34 },
	        .asks = "Will docker containers keep the GPU?",
	        .explains = "With the systemd cgroup driver a daemon-reload takes the devices away from running "
	                    "containers.",
	        .source = "nvidia-container-toolkit#48" },
	{ .id = "inside.no-cgroups",
	        .vendor = "nvidia",
	        INSIDE(inside_no_cgroups, ROUTE_ANY),
	        .needs = { "inside.reached" },
	        .pains = { 38 },
	        .asks = "Does the toolkit leave device rules to whom they belong?",
	        .explains = "In an unprivileged CT docker may not set device rules; the CT's own devices count.",
	        .source = "libnvidia-container#154" },
	{ .id = "inside.containerd",
	        INSIDE(inside_containerd, ROUTE_CT),
	        .needs = { "inside.reached" },
	        .waivable = true,
	        .pains = { 40 },
	        .asks = "Is docker's containerd one that works in a CT?",
	        .explains = "One release of November 2025 collides with AppArmor in CTs.",
	        .source = "opencontainers/runc#4968" },
	{ .id = NULL },
};
