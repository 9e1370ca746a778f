/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which module matches which device, and whether its probe will take it.
 * Sources: Linux drivers/pci/pci-driver.c (pci_match_device, pci_add_dynid), drivers/vfio/pci/vfio_pci.c (ids),
 * scripts/mod/file2alias.c (the form of a modalias), i915_pci.c and xe_pci.c (force_probe),
 * drivers/gpu/drm/drm_nomodeset.c.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "facts/predict_run.h"

bool predict_has(const struct words *words, const char *word)
{
	for (size_t i = 0; i < words->n; i++)
		if (strcmp(words->word[i], word) == 0)
			return true;
	return false;
}

void predict_push_once(struct words *words, const char *word, struct arena *arena)
{
	if (!predict_has(words, word))
		*arena_push(arena, words->word, words->n) = word;
}

bool predict_display(const struct pci_device *device)
{
	return device->class_code != UNKNOWN_NUMBER && device->class_code >> 16 == 0x03;
}

bool predict_audio(const struct pci_device *device)
{
	return device->class_code != UNKNOWN_NUMBER && device->class_code >> 16 == 0x04;
}

const char *predict_modalias(const struct pci_device *device, struct arena *arena)
{
	if (device->modalias && *device->modalias)
		return device->modalias;
	if (device->vendor == UNKNOWN_NUMBER || device->device == UNKNOWN_NUMBER ||
	        device->class_code == UNKNOWN_NUMBER)
		return NULL;
	/* without a subsystem the kernel shows zeroes */
	unsigned subvendor = device->subsystem_vendor > 0 ? (unsigned)device->subsystem_vendor : 0;
	unsigned subdevice = device->subsystem_device > 0 ? (unsigned)device->subsystem_device : 0;
	unsigned class_code = (unsigned)device->class_code;
	return arena_printf(arena, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", (unsigned)device->vendor,
	        (unsigned)device->device, subvendor, subdevice, class_code >> 16 & 0xff, class_code >> 8 & 0xff,
	        class_code & 0xff);
}

/* ---- modules.alias ------------------------------------------------------------------------------------------ */

struct alias {
	const char *pattern, *module;
};
struct aliases {
	struct alias *alias;
	size_t n;
};

static struct aliases parse_aliases(struct bytes text, struct arena *arena)
{
	struct aliases ret = { 0 };
	struct bytes line;
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		if (line.size < 10 || memcmp(line.data, "alias pci:", 10) != 0)
			continue;
		struct words word = text_split(arena, text_trimmed(arena, line), " \t");
		if (word.n == 3)
			*arena_push(arena, ret.alias, ret.n) =
			        (struct alias){ word.word[1], modprobe_name(arena, word.word[2]) };
	}
	return ret;
}

/* What takes a device of a class where modules.alias does not tell, or was not kept for it. */
static const struct class_module {
	int64_t class_code, mask;
	const char *module;
} class_modules[] = {
	{ 0x040300, 0xffff00, "snd_hda_intel" },
	{ 0x0c0330, 0xffffff, "xhci_pci" },
	{ 0x010802, 0xffffff, "nvme" },
	{ 0x010601, 0xffffff, "ahci" },
};

/* Driver names that differ from their module's. */
static const struct driver_module {
	const char *driver, *module;
} driver_modules[] = {
	{ "xhci_hcd", "xhci_pci" },
	{ "i801_smbus", "i2c_i801" },
	{ "nvidia-gpu", "i2c_nvidia_gpu" },
	{ "bochs-drm", "bochs" },
	{ "vfio-pci", "vfio_pci" },
	{ "pci-stub", "pci_stub" },
};

/* NVIDIA's module under any of its names: Debian installs nvidia-current, nvidia-current-open, nvidia-tesla-470. Its
 * companions are no PCI drivers, and nvidiafb, which knows only cards before 2006, is none of it. */
static bool is_nvidia(const char *module)
{
	return (strcmp(module, "nvidia") == 0 || text_starts(module, "nvidia_")) && !text_ends(module, "_drm") &&
	       !text_ends(module, "_modeset") && !text_ends(module, "_uvm") && !text_ends(module, "_peermem");
}

const char *predict_driver_of(const char *module)
{
	if (is_nvidia(module))
		return "nvidia";
	for (size_t i = 0; i < sizeof driver_modules / sizeof *driver_modules; i++)
		if (strcmp(driver_modules[i].module, module) == 0)
			return driver_modules[i].driver;
	return module;
}

static const char *module_of(const char *driver, struct arena *arena)
{
	for (size_t i = 0; i < sizeof driver_modules / sizeof *driver_modules; i++)
		if (strcmp(driver_modules[i].driver, driver) == 0)
			return driver_modules[i].module;
	return modprobe_name(arena, driver);
}

static bool is_vfio(const char *driver)
{
	return driver && (strcmp(driver, "vfio-pci") == 0 || strcmp(driver, "pci-stub") == 0);
}

/* The table of GPUs names the drivers that know a card, the default first. nvidia comes only from a package. */
static void modules_by_table(const struct boot_run *run, struct boot_device *device)
{
	const char *nvidia = run->facts->drm.nvidia_module_version;
	struct words known = text_split(run->arena, device->model.driver ? device->model.driver : "", " ");
	for (size_t i = 0; i < known.n; i++)
		if (strcmp(known.word[i], "nvidia") != 0 || (nvidia && *nvidia))
			predict_push_once(&device->modules, known.word[i], run->arena);
}

static void modules_by_class(const struct boot_run *run, struct boot_device *device)
{
	const struct pci_device *pci = device->pci;
	for (size_t i = 0; i < sizeof class_modules / sizeof *class_modules; i++)
		if (pci->class_code != UNKNOWN_NUMBER &&
		        (pci->class_code & class_modules[i].mask) == class_modules[i].class_code)
			predict_push_once(&device->modules, class_modules[i].module, run->arena);
}

/* Of devices that are neither display nor audio, modules.alias was not kept: what has one today will have it. */
static void modules_as_now(const struct boot_run *run, struct boot_device *device)
{
	const char *driver = device->pci->driver;
	if (driver && *driver && !is_vfio(driver))
		predict_push_once(&device->modules, module_of(driver, run->arena), run->arena);
	else if (driver && *driver)
		modules_by_class(run, device);
}

/* What has it today on the very kernel that boots next, although modules.alias does not name it: another's module, or
 * a device that was not kept. It won before, so it goes first. */
static void modules_by_proof(const struct boot_run *run, struct boot_device *device)
{
	const char *driver = device->pci->driver, *running = run->facts->boot.kernel;
	if (!driver || !*driver || is_vfio(driver) || !running || strcmp(running, run->kernel->version) != 0)
		return;
	const char *module = module_of(driver, run->arena);
	struct words ret = { 0 };
	for (size_t i = 0; i < device->modules.n; i++)
		if (strcmp(predict_driver_of(device->modules.word[i]), driver) == 0 ||
		        strcmp(device->modules.word[i], module) == 0)
			return;
	*arena_push(run->arena, ret.word, ret.n) = module;
	for (size_t i = 0; i < device->modules.n; i++)
		*arena_push(run->arena, ret.word, ret.n) = device->modules.word[i];
	device->modules = ret;
}

void predict_modules(struct boot_run *run)
{
	struct aliases aliases = parse_aliases(run->kernel->aliases, run->arena);
	for (size_t d = 0; d < run->n; d++) {
		struct boot_device *device = &run->devices[d];
		const char *modalias = predict_modalias(device->pci, run->arena);
		if (!predict_display(device->pci) && !predict_audio(device->pci)) {
			modules_as_now(run, device);
			continue;
		}
		for (size_t i = 0; modalias && i < aliases.n; i++)
			if (text_matches(aliases.alias[i].pattern, modalias))
				predict_push_once(&device->modules, aliases.alias[i].module, run->arena);
		if (!aliases.n && predict_display(device->pci))
			modules_by_table(run, device);
		else if (!aliases.n)
			modules_by_class(run, device);
		modules_by_proof(run, device);
	}
}

/* ---- ids ---------------------------------------------------------------------------------------------------- */

enum { IDS_MAX = 1024 }; /* vfio_pci.c: `static char ids[1024]`; a longer list is refused */

/* The kernel's own sscanf("%x:%x:%x:%x:%x:%x"): blanks and 0x before a number are no part of it, and at the first sign that
 * does not fit the rest is left. The numbers that were read. */
static size_t scan_id(const char *text, uint64_t number[6])
{
	size_t n = 0;
	while (n < 6) {
		text += strspn(text, " \t\n\v\f\r");
		if (text[0] == '0' && (text[1] | 0x20) == 'x' && isxdigit((unsigned char)text[2]))
			text += 2;
		if (!isxdigit((unsigned char)*text))
			break;
		number[n++] = strtoull(text, (char **)(uintptr_t)&text, 16) & UINT32_MAX;
		if (*text++ != ':')
			break;
	}
	return n;
}

/* What is not given is any; a class without a mask asks nothing. */
static bool id_names(const char *id, const struct pci_device *device)
{
	uint64_t want[6] = { 0, 0, UINT32_MAX, UINT32_MAX, 0, 0 };
	const int64_t has[] = { device->vendor, device->device, device->subsystem_vendor, device->subsystem_device };
	if (scan_id(id, want) < 2)
		return false;
	for (size_t i = 0; i < 4; i++)
		if (want[i] != UINT32_MAX && (int64_t)want[i] != has[i])
			return false;
	return ((want[4] ^ (uint64_t)device->class_code) & want[5]) == 0;
}

bool predict_ids_name(const char *ids, const struct pci_device *device, struct arena *arena)
{
	if (!ids || strlen(ids) >= IDS_MAX || device->vendor == UNKNOWN_NUMBER)
		return false;
	struct words list = text_split(arena, ids, ",");
	for (size_t i = 0; i < list.n; i++)
		if (id_names(list.word[i], device))
			return true;
	return false;
}

/* ---- probe -------------------------------------------------------------------------------------------------- */

/* drm_nomodeset.c and each driver's init: the word stops them, unless their own modeset= says otherwise. */
static const struct modeset_driver {
	const char *module;
	bool own_word; /* has a modeset option, which wins over nomodeset unless it is -1 */
} modeset_drivers[] = { { "i915", true }, { "nouveau", true }, { "radeon", true }, { "amdgpu", false },
	{ "xe", false } };

static bool without_modeset(const struct boot_run *run, const struct modprobe *config, const char *module)
{
	for (size_t i = 0; i < sizeof modeset_drivers / sizeof *modeset_drivers; i++) {
		if (strcmp(modeset_drivers[i].module, module) != 0)
			continue;
		const char *own = modeset_drivers[i].own_word ? modprobe_option(config, module, "modeset") : NULL;
		if (own && strcmp(own, "-1") != 0)
			return strcmp(own, "0") == 0;
		return boot_cmdline_has(run->cmdline, "nomodeset");
	}
	return false;
}

/* The value of force_probe names it: UNKNOWN: it says nothing of it; NO: "!4690". The last word counts. */
static enum tri forced(const struct modprobe *config, const char *module, int64_t id, struct arena *arena)
{
	const char *value = modprobe_option(config, module, "force_probe");
	enum tri ret = UNKNOWN;
	struct words list = text_split(arena, value ? value : "", ",");
	for (size_t i = 0; i < list.n; i++) {
		const char *word = list.word[i];
		bool no = *word == '!';
		uint64_t number;
		word += no;
		if (strcmp(word, "*") == 0 || (text_number(word, 16, UINT32_MAX, &number) && (int64_t)number == id))
			ret = tri_of(!no);
	}
	return ret;
}

static enum tri intel_takes(
        const struct boot_run *run, const char *module, const struct modprobe *config, const struct boot_device *device)
{
	enum tri named = forced(config, module, device->pci->device, run->arena);
	if (named != UNKNOWN)
		return named;
	struct words known = text_split(run->arena, device->model.driver ? device->model.driver : "", " ");
	if (known.n && device->model.generation)
		return tri_of(strcmp(known.word[0], module) == 0);
	if (device->pci->driver && strcmp(device->pci->driver, module) == 0)
		return YES; /* it has it today */
	return device->modules.n > 1 ? UNKNOWN : YES;
}

/* radeon leaves Southern and Sea Islands to amdgpu when told so; both name them in their tables. */
static enum tri amd_takes(
        const struct boot_run *run, const char *module, const struct modprobe *config, const struct boot_device *device)
{
	if (!predict_has(&device->modules, "radeon") || !predict_has(&device->modules, "amdgpu"))
		return YES;
	const char *si = modprobe_option(config, "radeon", "si_support"),
	           *cik = modprobe_option(config, "radeon", "cik_support");
	bool amdgpu = (si && strcmp(si, "0") == 0) || (cik && strcmp(cik, "0") == 0);
	struct words known = text_split(run->arena, device->model.driver ? device->model.driver : "radeon", " ");
	const char *taker = amdgpu ? "amdgpu" : known.n ? known.word[0] : "radeon";
	return tri_of(strcmp(taker, module) == 0);
}

static enum tri nvidia_takes(const struct boot_run *run, const struct boot_device *device)
{
	const struct drm *drm = &run->facts->drm;
	if (!drm->nvidia_module_version || !*drm->nvidia_module_version)
		return YES;
	return gpu_driver_serves(&device->model, drm->nvidia_module_version, drm->nvidia_open) == NO ? NO : YES;
}

/* Of the many that name a codec's controller (SOF, AMD's ACP) the probe picks by what it finds inside: what it picked
 * last counts. */
static enum tri audio_takes(const struct boot_run *run, const char *module, const struct boot_device *device)
{
	const char *now = device->pci->driver;
	if (device->modules.n == 1)
		return YES;
	if (!now || !*now || is_vfio(now))
		return UNKNOWN;
	return tri_of(strcmp(module, module_of(now, run->arena)) == 0);
}

/* vfio_main.c: without a group there is nothing to hand out, and the probe fails; bridges are refused. */
static enum tri vfio_takes(const struct boot_run *run, const struct loaded *loaded, const struct boot_device *device)
{
	bool named = predict_ids_name(loaded->ids, device->pci, run->arena);
	if (!device->override && !named)
		return NO;
	return device->pci->bridge == YES ? NO : run->iommu;
}

enum tri predict_takes(const struct boot_run *run, const struct loaded *loaded, const struct modprobe *config,
        const struct boot_device *device)
{
	const char *module = loaded->module;
	if (device->override && strcmp(device->override, predict_driver_of(module)) != 0)
		return NO;
	if (strcmp(module, "vfio_pci") == 0)
		return vfio_takes(run, loaded, device);
	if (strcmp(module, "pci_stub") == 0)
		return tri_of(device->override || predict_ids_name(loaded->ids, device->pci, run->arena));
	if (!predict_has(&device->modules, module) || without_modeset(run, config, module))
		return NO;
	if (strcmp(module, "i915") == 0 || strcmp(module, "xe") == 0)
		return intel_takes(run, module, config, device);
	if (strcmp(module, "radeon") == 0 || strcmp(module, "amdgpu") == 0)
		return amd_takes(run, module, config, device);
	if (is_nvidia(module))
		return nvidia_takes(run, device);
	if (text_starts(module, "nvidia") && predict_display(device->pci))
		return NO;
	if (predict_audio(device->pci))
		return audio_takes(run, module, device);
	return YES;
}
