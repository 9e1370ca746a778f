/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/gpu.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "facts/gpu_tables.h"

enum { PCI_NVIDIA = 0x10de, PCI_INTEL = 0x8086, PCI_AMD = 0x1002, CLASS_DISPLAY = 0x03 };

static const struct gpu_vendor {
	int64_t id;
	const struct gpu_range *ranges;
	struct gpu_model unknown; /* nothing claimed but the vendor */
} vendors[] = {
	{ PCI_NVIDIA, gpu_nvidia, { .vendor = "nvidia", .engines = UNKNOWN_NUMBER, .last_branch = UNKNOWN_NUMBER } },
	{ PCI_INTEL, gpu_intel, { .vendor = "intel", .engines = UNKNOWN_NUMBER, .last_branch = UNKNOWN_NUMBER } },
	{ PCI_AMD, gpu_amd, { .vendor = "amd", .engines = UNKNOWN_NUMBER, .last_branch = UNKNOWN_NUMBER } },
	{ UNKNOWN_NUMBER, NULL, { .vendor = "other", .engines = UNKNOWN_NUMBER, .last_branch = UNKNOWN_NUMBER } },
};

static const struct gpu_vendor *vendor_of(int64_t id)
{
	const struct gpu_vendor *vendor = vendors;
	while (vendor->ranges && vendor->id != id)
		vendor++;
	return vendor;
}

static bool among(const struct gpu_ids *ids, int64_t device)
{
	for (; ids->last; ids++)
		if (device >= ids->first && device <= ids->last)
			return true;
	return false;
}

static enum tri session_limit(int64_t device)
{
	return among(gpu_nvidia_limited, device) ? YES : among(gpu_nvidia_unlimited, device) ? NO : UNKNOWN;
}

struct gpu_model gpu_model(int64_t vendor_id, int64_t device, int64_t class_code)
{
	const struct gpu_vendor *vendor = vendor_of(vendor_id);
	if (!vendor->ranges || class_code < 0 || class_code >> 16 != CLASS_DISPLAY)
		return vendor->unknown;
	const struct gpu_range *range = vendor->ranges;
	while (range->model && (device < range->first || device > range->last))
		range++;
	if (!range->model)
		return vendor->unknown;
	struct gpu_model model = *range->model;
	if (vendor_id == PCI_NVIDIA && model.engine && *model.engine)
		model.session_limit = session_limit(device);
	return model;
}

/* ---- kernels ------------------------------------------------------------ */

#define GEN8_TO_12                                                                                                     \
	"Broadwell|Skylake|Apollo Lake|Gemini Lake|Kaby Lake|Amber Lake|Coffee Lake|Whiskey Lake|Comet Lake|Ice Lake|" \
	"Elkhart Lake|Jasper Lake|Tiger Lake|Rocket Lake|DG1|Alder Lake-S|Alder Lake-P|Alder Lake-N|Raptor Lake-S|"    \
	"Raptor Lake-P|Alchemist|Data Center GPU Flex"
#define DG2 "Alchemist|Data Center GPU Flex"
#define ISSUES "Jellyfin documentation, known issues"

const struct gpu_kernel_bug gpu_kernel_bugs[] = {
	{ "Ice Lake|Elkhart Lake|Jasper Lake", "5.15", "5.15.999",
	        "low-power encoding does not work on 11th generation graphics", ISSUES " (drm/intel issue 4067)" },
	{ GEN8_TO_12, "5.18", "6.0.17", "i915 hangs and resets under OpenCL tone mapping",
	        ISSUES " (drm/intel issue 7627)" },
	{ GEN8_TO_12, "6.1", "6.1.3", "i915 hangs and resets under OpenCL tone mapping",
	        ISSUES " (drm/intel issue 7627)" },
	{ DG2, "6.6.26", "6.6.32", "i915 misbehaves on Arc A cards; kernels of distributions may carry the fix",
	        ISSUES " (jellyfin issue 11380)" },
	{ DG2, "6.8.5", "6.9.3",
	        "i915 misbehaves on Arc A cards; kernels of distributions (PVE's 6.8.12) may carry the fix",
	        ISSUES " (jellyfin issue 11380)" },
	{ DG2, "6.8.0-38", "6.8.0-41", "i915 misbehaves on Arc A cards (Ubuntu kernel)",
	        ISSUES " (launchpad bug 2072755)" },
	{ 0 },
};

enum { VERSION_MAX = 24 };

/* "6.8.12-4-pve" -> "6.8.12"; with_build: "6.8.12-4". false: not a kernel release. */
static bool release_head(const char *release, bool with_build, char head[static VERSION_MAX])
{
	size_t size = strspn(release, "0123456789.");
	if (size == 0 || !memchr(release, '.', size))
		return false;
	if (with_build) {
		size_t build = release[size] == '-' ? strspn(release + size + 1, "0123456789") : 0;
		if (!build)
			return false;
		size += 1 + build;
	}
	if (size >= VERSION_MAX)
		return false;
	memcpy(head, release, size);
	head[size] = '\0';
	return true;
}

/* Debian's and Ubuntu's releases end their version in .0 whatever the patch level is ("6.1.0-13-amd64"); PVE's say it.
 */
static bool patch_hidden(const char *release, const char *head)
{
	return text_ends(head, ".0") && release[strlen(head)] == '-' && !text_ends(release, "-pve") &&
	       strchr(head, '.') != strrchr(head, '.');
}

static bool kernel_within(const struct gpu_kernel_bug *bug, const char *release)
{
	char head[VERSION_MAX], last[VERSION_MAX + sizeof ".999"];
	bool builds = strchr(bug->first, '-');
	if (!release_head(release, builds, head) || (builds && text_ends(release, "-pve")))
		return false;
	bool hidden = !builds && patch_hidden(release, head);
	if (hidden) /* only a range that covers every patch level is certain */
		head[strlen(head) - 2] = '\0';
	snprintf(last, sizeof last, "%s%s", head, hidden ? ".999" : "");
	return text_version_compare(head, bug->first) >= 0 && text_version_compare(last, bug->last) <= 0;
}

const struct gpu_kernel_bug *gpu_kernel_bug(const char *generation, const char *kernel)
{
	if (!generation || !*generation || !kernel)
		return NULL;
	for (const struct gpu_kernel_bug *bug = gpu_kernel_bugs; bug->generation; bug++)
		if (text_has_word(bug->generation, generation, "|") && kernel_within(bug, kernel))
			return bug;
	return NULL;
}

/* ---- NVIDIA drivers ------------------------------------------------------ */

/* "580.95.05" -> 580; UNKNOWN_NUMBER if it is no driver version. */
static int64_t branch_of(const char *version)
{
	char digits[8] = "";
	uint64_t branch = 0;
	size_t size = version ? strspn(version, "0123456789") : 0;
	if (size < 2 || size > 4 || (version[size] && version[size] != '.'))
		return UNKNOWN_NUMBER;
	memcpy(digits, version, size);
	return text_number(digits, 10, 9999, &branch) ? (int64_t)branch : UNKNOWN_NUMBER;
}

int64_t gpu_session_limit(const char *driver_version)
{
	/* first branch of each limit, newest first; before 450 the notes disagree */
	static const struct {
		int64_t branch, sessions;
	} limits[] = { { 590, 12 }, { 550, 8 }, { 530, 5 }, { 450, 3 } };
	int64_t branch = branch_of(driver_version);
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		if (branch >= limits[i].branch)
			return limits[i].sessions;
	return UNKNOWN_NUMBER;
}

/* Debian bookworm's 535 fails in DKMS from 6.14 on, trixie's 550 from 6.17 on (reports of Proxmox users). */
const char *gpu_nvidia_too_new(const char *driver_version)
{
	static const struct {
		int64_t branch;
		const char *kernel;
	} limits[] = { { 535, "6.14" }, { 550, "6.17" } };
	int64_t branch = branch_of(driver_version);
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		if (branch == limits[i].branch)
			return limits[i].kernel;
	return NULL;
}

/* The first public branch that drove any card of a generation; general knowledge, rather too low than too high.
 * Single cards came later, also within that branch, so the first branch itself proves nothing. */
static int64_t first_branch(const char *generation)
{
	static const struct {
		const char *generation;
		int64_t branch;
	} firsts[] = { { "Maxwell", 334 }, { "Pascal", 367 }, { "Volta", 384 }, { "Turing", 410 }, { "Ampere", 450 },
		{ "Hopper", 515 }, { "Ada Lovelace", 520 }, { "Blackwell", 570 } };
	for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
		if (strcmp(firsts[i].generation, generation) == 0)
			return firsts[i].branch;
	return UNKNOWN_NUMBER;
}

enum { OPEN_MODULE_SINCE = 515 };

static enum tri branch_serves(const struct gpu_model *model, int64_t branch)
{
	int64_t first = first_branch(model->generation);
	if (branch == UNKNOWN_NUMBER)
		return UNKNOWN;
	if ((model->last_branch != UNKNOWN_NUMBER && branch > model->last_branch) || branch < first)
		return NO;
	return first != UNKNOWN_NUMBER && branch > first ? YES : UNKNOWN;
}

static enum tri module_serves(enum nvidia_flavour flavour, int64_t branch, enum tri open_module)
{
	if (branch != UNKNOWN_NUMBER && branch < OPEN_MODULE_SINCE)
		open_module = NO;
	if (flavour == FLAVOUR_EITHER)
		return YES;
	if (flavour == FLAVOUR_UNKNOWN || open_module == UNKNOWN)
		return UNKNOWN;
	return tri_of((flavour == FLAVOUR_OPEN_ONLY) == (open_module == YES));
}

enum tri gpu_driver_serves(const struct gpu_model *model, const char *driver_version, enum tri open_module)
{
	if (!model->vendor || strcmp(model->vendor, "nvidia") != 0 || !model->generation)
		return UNKNOWN;
	int64_t branch = branch_of(driver_version);
	enum tri by_branch = branch_serves(model, branch);
	enum tri by_module = module_serves(model->flavour, branch, open_module);
	if (by_branch == NO || by_module == NO)
		return NO;
	return by_branch == YES && by_module == YES ? YES : UNKNOWN;
}

/* ---- words --------------------------------------------------------------- */

const char *gpu_codecs_text(unsigned codecs, struct arena *arena)
{
	static const struct {
		unsigned codec;
		const char *name;
	} names[] = { { CODEC_H264, "h264" }, { CODEC_HEVC, "hevc" }, { CODEC_HEVC10, "hevc10" },
		{ CODEC_AV1 | CODEC_AV1_10, "av1" } };
	const char *text = "";
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (codecs & names[i].codec)
			text = arena_printf(arena, "%s%s%s", text, *text ? " " : "", names[i].name);
	return arena_strdup(arena, text);
}
