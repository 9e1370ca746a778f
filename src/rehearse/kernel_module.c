/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Modules of the machine that behaves: which there are, which are loaded, and what a driver does when it comes or goes.
 * Sources: modprobe(8), modprobe.d(5), kernel/module/main.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rehearse/model.h"

#define PRINT(...) MODEL_PRINT(rehearse, __VA_ARGS__)

/* What a module needs loaded before it, and with it; most dependencies matter to nobody here. */
static const struct {
	const char *module, *needs;
} dependencies[] = {
	{ "vfio_pci", "vfio_pci_core vfio_iommu_type1 vfio irqbypass" },
	{ "vfio_pci_core", "vfio irqbypass" },
	{ "vfio_iommu_type1", "vfio" },
	{ "nvidia_modeset", "nvidia" },
	{ "nvidia_drm", "nvidia_modeset nvidia" },
	{ "nvidia_uvm", "nvidia" },
};

/* In every kernel of Proxmox VE, whether or not a recording names them. vfio_virqfd went into vfio with Linux 6.2. */
static const char *const usual[] = { "vfio", "vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "irqbypass", "nouveau",
	"i915", "xe", "amdgpu", "radeon", "snd_hda_intel", "kvm", "kvm_intel", "kvm_amd", "nvidiafb", "pci_stub",
	"i2c_nvidia_gpu", "ucsi_ccg", "ast", "mgag200" };

/* Modules that are PCI drivers, by the driver's name. */
static const char *driver_of_module(struct rehearse *rehearse, const char *module)
{
	static const char *const drivers[] = { "vfio-pci", "pci-stub", "nouveau", "nvidia", "i915", "xe", "amdgpu",
		"radeon", "snd_hda_intel", "ast", "mgag200" };
	const struct kernel_state *kernel = rehearse->kernel;
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
		if (strcmp(machine_module(drivers[i], rehearse->arena), module) == 0)
			return drivers[i];
	for (size_t i = 0; i < kernel->n; i++)
		if (*kernel->devices[i].recorded &&
		        strcmp(machine_module(kernel->devices[i].recorded, rehearse->arena), module) == 0)
			return kernel->devices[i].recorded;
	return NULL;
}

static const char *release(struct rehearse *rehearse)
{
	const char *text = model_text(rehearse, "/proc/sys/kernel/osrelease");
	return text ? text_attribute(rehearse->arena, (struct bytes){ text, strlen(text) }) : "";
}

static bool is_builtin(struct rehearse *rehearse, const char *module)
{
	const char *text = model_text(rehearse, PRINT("/lib/modules/%s/modules.builtin", release(rehearse)));
	struct words lines = text_split(rehearse->arena, text ? text : "", "\n");
	for (size_t i = 0; i < lines.n; i++) {
		const char *name = strrchr(lines.word[i], '/');
		char *plain = modprobe_name(rehearse->arena, name ? name + 1 : lines.word[i]);
		if (text_ends(plain, ".ko"))
			plain[strlen(plain) - 3] = '\0';
		if (strcmp(plain, module) == 0)
			return true;
	}
	return false;
}

static bool has_word(const struct words *words, const char *word)
{
	for (size_t i = 0; i < words->n; i++)
		if (strcmp(words->word[i], word) == 0)
			return true;
	return false;
}

/* NVIDIA's modules come with a package that builds them; the recording shows them loaded, or the package. */
static bool has_nvidia(struct rehearse *rehearse)
{
	const char *status = model_text(rehearse, "/var/lib/dpkg/status");
	struct words lines = text_split(rehearse->arena, status ? status : "", "\n");
	for (size_t i = 0; i < lines.n; i++)
		if (text_matches("Package: nvidia-*kernel*", lines.word[i]) ||
		        text_matches("Package: nvidia-*dkms*", lines.word[i]))
			return true;
	return false;
}

bool kernel_has_module(struct rehearse *rehearse, const char *module)
{
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
		if (strcmp(usual[i], module) == 0)
			return true;
	if (has_word(&rehearse->kernel->modules_before, module) || is_builtin(rehearse, module))
		return true;
	if (text_starts(module, "nvidia"))
		return has_nvidia(rehearse);
	const char *text = model_text(rehearse, PRINT("/lib/modules/%s/modules.alias", release(rehearse)));
	struct words lines = text_split(rehearse->arena, text ? text : "", "\n");
	for (size_t i = 0; i < lines.n; i++)
		if (text_ends(lines.word[i], PRINT(" %s", module)))
			return true;
	return false;
}

/* ---- loaded ---- */

static struct words loaded(struct rehearse *rehearse)
{
	const char *text = model_text(rehearse, "/proc/modules");
	struct words lines = text_split(rehearse->arena, text ? text : "", "\n");
	for (size_t i = 0; i < lines.n; i++)
		lines.word[i] = arena_strndup(rehearse->arena, lines.word[i], strcspn(lines.word[i], " "));
	return lines;
}

bool kernel_loaded(struct rehearse *rehearse, const char *module)
{
	struct words names = loaded(rehearse);
	return has_word(&names, modprobe_name(rehearse->arena, module));
}

static void register_driver(struct rehearse *rehearse, const char *module, const char *driver)
{
	const char *folder = PRINT("/sys/bus/pci/drivers/%s", driver);
	model_set(rehearse, folder, NODE_DIR, 0755, (struct bytes){ 0 });
	model_set_relative(rehearse, PRINT("%s/module", folder), PRINT("/sys/module/%s", module));
}

/* As the recording has it: a line of its own in /proc/modules, a folder in /sys/module. */
static void note_loaded(struct rehearse *rehearse, const char *module)
{
	const char *old = model_text(rehearse, "/proc/modules"), *driver = driver_of_module(rehearse, module);
	model_set_text(
	        rehearse, "/proc/modules", 0444, "%s 16384 0 - Live 0xffffffffc0800000\n%s", module, old ? old : "");
	model_set_text(rehearse, PRINT("/sys/module/%s/initstate", module), 0444, "live\n");
	model_set_text(rehearse, PRINT("/sys/module/%s/refcnt", module), 0444, "0\n");
	if (strcmp(module, "vfio") == 0 && !model_find(rehearse, "/dev/vfio/vfio")) {
		struct model_inode *node = model_set(rehearse, "/dev/vfio/vfio", NODE_CHAR, 0666, (struct bytes){ 0 });
		node->stat.major = 10;
		node->stat.minor = 196;
	}
	if (driver)
		register_driver(rehearse, module, driver);
	kernel_nvidia_settle(rehearse);
	if (strcmp(module, "nvidia_uvm") == 0)
		kernel_nvidia_nodes(rehearse);
}

static void note_gone(struct rehearse *rehearse, const char *module)
{
	const char *text = model_text(rehearse, "/proc/modules"), *driver = driver_of_module(rehearse, module);
	struct words lines = text_split(rehearse->arena, text ? text : "", "\n");
	const char *kept = "", *start = PRINT("%s ", module);
	for (size_t i = 0; i < lines.n; i++)
		if (!text_starts(lines.word[i], start))
			kept = PRINT("%s%s\n", kept, lines.word[i]);
	model_set_text(rehearse, "/proc/modules", 0444, "%s", kept);
	model_drop(rehearse, PRINT("/sys/module/%s", module));
	if (strcmp(module, "vfio") == 0)
		model_drop(rehearse, "/dev/vfio/vfio");
	if (driver)
		model_drop(rehearse, PRINT("/sys/bus/pci/drivers/%s", driver));
	kernel_nvidia_settle(rehearse);
}

static void nobody(void *data, int error, const char *what)
{
	(void)data, (void)error, (void)what;
}

/* What a recording knows of parameters, with their values where nobody sets them. A word of the command line outdoes
 * modprobe.d; i915 shows what it was given, not what it made of it (i915_params.c). */
static const struct {
	const char *module, *name, *unset;
} parameters[] = {
	{ "i915", "enable_guc", "-1" },
};

void kernel_set_parameters(
        struct rehearse *rehearse, const char *module, const char *cmdline, const struct modprobe *modprobe)
{
	for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
		const char *name = parameters[i].name, *value = NULL;
		if (strcmp(parameters[i].module, module) != 0)
			continue;
		if (cmdline)
			value = boot_cmdline_value(cmdline, PRINT("%s.%s", module, name), rehearse->arena);
		if (!value)
			value = modprobe_option(modprobe, module, name);
		model_set_text(rehearse, PRINT("/sys/module/%s/parameters/%s", module, name), 0400, "%s\n",
		        value ? value : parameters[i].unset);
	}
}

static int load_one(struct rehearse *rehearse, const char *module, const struct modprobe *modprobe)
{
	const char *driver = driver_of_module(rehearse, module);
	if (kernel_loaded(rehearse, module) || is_builtin(rehearse, module))
		return 0;
	if (!kernel_has_module(rehearse, module))
		return ENOENT;
	for (size_t i = 0; i < sizeof dependencies / sizeof *dependencies; i++) {
		if (strcmp(dependencies[i].module, module) != 0)
			continue;
		struct words needs = text_split(rehearse->arena, dependencies[i].needs, " ");
		for (size_t j = needs.n; j--;)
			if (!kernel_loaded(rehearse, needs.word[j]))
				note_loaded(rehearse, needs.word[j]);
	}
	note_loaded(rehearse, module);
	kernel_set_parameters(rehearse, module, model_text(rehearse, "/proc/cmdline"), modprobe);
	const char *ids = driver ? modprobe_option(modprobe, module, "ids") : NULL;
	if (ids && *ids)
		kernel_add_ids(rehearse, driver, ids);
	if (driver)
		kernel_attach(rehearse, driver);
	return 0;
}

int kernel_load(struct rehearse *rehearse, const char *name)
{
	const char *module = modprobe_name(rehearse->arena, name);
	struct modprobe modprobe = { 0 };
	const char *cmdline = model_text(rehearse, "/proc/cmdline");
	modprobe_gather(&rehearse->world, rehearse->arena, &modprobe, nobody, NULL);
	if (cmdline)
		modprobe_parse_cmdline(cmdline, rehearse->arena, &modprobe);
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
		if (modprobe_softdep(&modprobe, module, usual[i]) && strcmp(usual[i], module) != 0)
			load_one(rehearse, usual[i], &modprobe);
	return load_one(rehearse, module, &modprobe);
}

/* What needs it, or has one of its nodes open, keeps a module. */
static bool in_use(struct rehearse *rehearse, const char *module, const char *driver)
{
	const struct kernel_state *kernel = rehearse->kernel;
	for (size_t i = 0; i < sizeof dependencies / sizeof *dependencies; i++)
		if (text_has_word(dependencies[i].needs, module, " ") &&
		        kernel_loaded(rehearse, dependencies[i].module))
			return true;
	if (strcmp(module, "nvidia") == 0 && kernel_holder(rehearse, "/dev/nvidia"))
		return true;
	for (size_t i = 0; driver && i < kernel->n; i++) {
		const struct kernel_device *device = &kernel->devices[i];
		if (strcmp(kernel_driver(rehearse, device->address), driver) != 0)
			continue;
		if (strcmp(driver, "vfio-pci") == 0 && *device->group &&
		        kernel_holder(rehearse, PRINT("/dev/vfio/%s", device->group)))
			return true;
		struct model_inode *graphics = model_find(rehearse, PRINT("%s/graphics", device->path));
		struct model_inode *drm = model_find(rehearse, PRINT("%s/drm", device->path));
		if (graphics) /* the console draws on it */
			return true;
		for (size_t j = 0; drm && j < drm->names.n; j++)
			if (drm->names.name[j].inode &&
			        kernel_holder(rehearse, PRINT("/dev/dri/%s", drm->names.name[j].name)))
				return true;
	}
	return false;
}

int kernel_unload(struct rehearse *rehearse, const char *name)
{
	const char *module = modprobe_name(rehearse->arena, name), *driver = driver_of_module(rehearse, module);
	const struct kernel_state *kernel = rehearse->kernel;
	if (!kernel_loaded(rehearse, module))
		return ENOENT;
	if (in_use(rehearse, module, driver))
		return EBUSY;
	for (size_t i = 0; driver && i < kernel->n; i++)
		if (strcmp(kernel_driver(rehearse, kernel->devices[i].address), driver) == 0)
			kernel_bind(rehearse, kernel->devices[i].address, NONE);
	size_t kept = 0;
	for (size_t i = 0; driver && i < kernel->n_ids; i++)
		if (strcmp(kernel->ids[i].driver, driver) != 0)
			rehearse->kernel->ids[kept++] = kernel->ids[i];
	if (driver)
		rehearse->kernel->n_ids = kept;
	note_gone(rehearse, module);
	return 0;
}

void kernel_set_modules(struct rehearse *rehearse, const struct words *modules)
{
	struct words now = loaded(rehearse);
	kernel_nvidia_boot(rehearse);
	for (size_t i = 0; i < now.n; i++)
		if (!has_word(modules, now.word[i]))
			note_gone(rehearse, now.word[i]);
	for (size_t i = modules->n; i--;)
		if (!kernel_loaded(rehearse, modules->word[i]))
			note_loaded(rehearse, modules->word[i]);
		else if (strcmp(modules->word[i], "nvidia_uvm") == 0)
			kernel_nvidia_nodes(rehearse); /* loaded anew, as all are */
}
