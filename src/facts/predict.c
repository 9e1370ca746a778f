/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/predict.h"

#include <string.h>

#include "facts/predict_run.h"

/* ---- what boots ------------------------------------------------------------------------------------------------ */

static const char *next_cmdline(const struct boot *boot)
{
	/* what the entry says counts, whatever the files say */
	return boot->cmdline_generated ? boot->cmdline_generated : boot->cmdline_next;
}

/* The image that the loader will take: with proxmox-boot-tool that of an ESP, else /boot's. */
static const struct initramfs *next_image(
        const struct boot *boot, const struct kernel *kernel, struct arena *arena, const char **ret_blind)
{
	const struct initramfs *plain = NULL, *copy = NULL, *unseen = NULL;
	for (size_t i = 0; i < kernel->n_initramfs; i++) {
		const struct initramfs *image = kernel->initramfs[i];
		if (strcmp(image->place, "/boot") == 0)
			plain = image;
		else if (image->known == YES && !copy)
			copy = image;
		else if (image->known != YES)
			unseen = image;
	}
	const struct initramfs *chosen = copy ? copy : plain;
	if (!chosen)
		*ret_blind = arena_printf(arena, "the initramfs of kernel %s was not found", kernel->version);
	else if (chosen->known != YES)
		*ret_blind = arena_printf(
		        arena, "%s could not be read (%s)", chosen->path, chosen->why ? chosen->why : "reason unknown");
	else if (boot->proxmox_boot_tool != NO && !copy && unseen)
		*ret_blind = arena_printf(
		        arena, "the copy on %s that boots could not be read; /boot's is taken for it", unseen->place);
	return chosen;
}

/* Lines of files and the words of the command line that boots, as modprobe mixes them. */
static struct modprobe config_with(const struct modprobe *files, const char *cmdline, struct arena *arena)
{
	struct modprobe ret = { .known = files->known };
	for (size_t i = 0; i < files->n; i++)
		if (strcmp(files->lines[i].file, "command line") != 0)
			*arena_push(arena, ret.lines, ret.n) = files->lines[i];
	for (size_t i = 0; i < files->n_loads; i++)
		if (strcmp(files->loads[i].file, "command line") != 0)
			*arena_push(arena, ret.loads, ret.n_loads) = files->loads[i];
	modprobe_parse_cmdline(cmdline, arena, &ret);
	return ret;
}

/* ---- one run ---------------------------------------------------------------------------------------------------- */

static void start(struct boot_run *run)
{
	const struct pci *pci = &run->facts->pci;
	run->n = pci->n;
	run->devices = arena_alloc(run->arena, (pci->n + 1) * sizeof *run->devices);
	for (size_t i = 0; i < pci->n; i++) {
		run->devices[i].pci = &pci->devices[i];
		if (predict_display(&pci->devices[i]))
			run->devices[i].model =
			        gpu_model(pci->devices[i].vendor, pci->devices[i].device, pci->devices[i].class_code);
	}
	predict_modules(run);
}

static const struct modprobe_line *blacklist_line(const struct modprobe *config, const char *module)
{
	for (size_t i = 0; i < config->n; i++)
		if (config->lines[i].kind == MODPROBE_BLACKLIST && strcmp(config->lines[i].module, module) == 0)
			return &config->lines[i];
	return NULL;
}

/* No driver claimed it: is that what was to be expected, or is only nothing known of it? */
static void leave(struct boot_run *run, struct boot_device *device, const struct modprobe *root)
{
	const char *now = device->pci->driver;
	struct arena *arena = run->arena;
	const char *first = device->modules.n ? device->modules.word[0] : NULL;
	const struct modprobe_line *listed = first ? blacklist_line(root, first) : NULL;
	device->stage = "root";
	device->driver = NONE;
	if (device->override) {
		device->why = arena_printf(
		        arena, "%s keeps it for %s, which nothing loads", device->override_by, device->override);
	} else if (first && listed) {
		device->why = arena_printf(arena, "%s is blacklisted in %s", first, listed->file);
	} else if (first) {
		device->why = arena_printf(arena, "%s is not loaded, or does not take it", first);
	} else if (!now || strcmp(now, "vfio-pci") == 0 || strcmp(now, "pci-stub") == 0) {
		device->driver = NULL;
		device->stage = NULL;
		device->why = now ? "its driver on this node is not known: it is with vfio now"
		                  : "which driver it has now is not known";
	} else {
		device->driver = now;
		device->stage = NULL;
		device->why = "as it is now";
	}
}

/* driverctl writes driver_override again at every boot; what it keeps was not read. */
static void lose_to_driverctl(struct boot_run *run)
{
	const struct words *packages = &run->facts->pve.packages;
	bool installed = false;
	for (size_t i = 0; i < packages->n; i++)
		installed |= text_starts(packages->word[i], "driverctl ");
	for (size_t i = 0; installed && i < run->n; i++) {
		struct boot_device *device = &run->devices[i];
		const char *override = device->pci->driver_override;
		if (!override || !*override || (device->driver && strcmp(device->driver, override) == 0))
			continue;
		run->blind = "driverctl is installed, and what it keeps in /etc/driverctl.d was not read";
		device->driver = NULL;
		device->why = run->blind;
	}
}

static void go(struct boot_run *run, const struct modprobe *frozen)
{
	struct modprobe root = config_with(&run->facts->boot.modprobe, run->cmdline, run->arena);
	start(run);
	predict_builtin(run, &root);
	predict_initramfs(run, frozen, &root);
	predict_root(run, &root);
	for (size_t i = 0; i < run->n; i++)
		if (!run->devices[i].claimed && !run->devices[i].lost)
			leave(run, &run->devices[i], &root);
	lose_to_driverctl(run);
}

/* ---- why it is not vfio-pci -------------------------------------------------------------------------------------- */

static bool same_line(const struct modprobe_line *left, const struct modprobe_line *right)
{
	return left->kind == right->kind && strcmp(left->module, right->module) == 0 &&
	       strcmp(left->rest, right->rest) == 0;
}

static bool about(const struct modprobe_line *line, const struct boot_device *device)
{
	if (line->kind == MODPROBE_ALIAS)
		return device->pci->modalias && text_matches(line->module, device->pci->modalias);
	if (strcmp(line->module, "vfio_pci") == 0 || strcmp(line->module, "pci_stub") == 0)
		return true;
	for (size_t i = 0; i < device->modules.n; i++)
		if (strcmp(line->module, device->modules.word[i]) == 0)
			return true;
	return false;
}

static bool holds_line(const struct modprobe *modprobe, const struct modprobe_line *line)
{
	for (size_t i = 0; i < modprobe->n; i++)
		if (same_line(&modprobe->lines[i], line))
			return true;
	return false;
}

/* A file whose lines about this device the initramfs does not have; or that it has and /etc no longer does. */
static const char *newer_file(
        const struct modprobe *config, const struct modprobe *frozen, const struct boot_device *device)
{
	for (size_t i = 0; i < config->n; i++)
		if (strcmp(config->lines[i].file, "command line") != 0 && about(&config->lines[i], device) &&
		        !holds_line(frozen, &config->lines[i]))
			return config->lines[i].file;
	for (size_t i = 0; i < frozen->n; i++)
		if (strcmp(frozen->lines[i].file, "command line") != 0 && about(&frozen->lines[i], device) &&
		        !holds_line(config, &frozen->lines[i]))
			return "/etc/modprobe.d";
	return NULL;
}

/* The image as update-initramfs would make it now: the modules it has, and those that the settings name. */
static struct initramfs fresh_image(const struct boot_run *run, struct modprobe *ret_config)
{
	struct arena *arena = run->arena;
	const struct boot *boot = &run->facts->boot;
	struct initramfs ret = *run->image;
	struct modprobe files = { .known = YES, .lines = boot->modprobe.lines, .n = boot->modprobe.n };
	*ret_config = config_with(&files, run->cmdline, arena);
	ret.modules = (struct words){ 0 };
	for (size_t i = 0; i < run->image->modules.n; i++)
		*arena_push(arena, ret.modules.word, ret.modules.n) = run->image->modules.word[i];
	for (size_t i = 0; i < run->image->modules.n; i++) /* softdeps bring it in */
		if (modprobe_softdep(ret_config, run->image->modules.word[i], "vfio_pci"))
			*arena_push(arena, ret.modules.word, ret.modules.n) = "vfio_pci";
	for (size_t i = 0; i < boot->initramfs_modules.n_loads; i++) {
		struct load_line line = boot->initramfs_modules.loads[i];
		*arena_push(arena, ret.modules.word, ret.modules.n) = line.module;
		line.file = "conf/modules";
		*arena_push(arena, ret_config->loads, ret_config->n_loads) = line;
	}
	return ret;
}

static const struct modprobe_line *softdep_line(const struct modprobe *config, const char *module)
{
	for (size_t i = 0; i < config->n; i++)
		if (config->lines[i].kind == MODPROBE_SOFTDEP && text_matches(config->lines[i].module, module))
			return &config->lines[i];
	return NULL;
}

static const char *reason(const struct boot_run *run, const struct boot_device *device, const struct modprobe *root)
{
	struct arena *arena = run->arena;
	const char *ids = modprobe_option(root, "vfio_pci", "ids"), *word = "";
	const struct loaded *vfio = NULL;
	for (size_t i = 0; i < run->n_loaded; i++)
		if (strcmp(run->loaded[i].module, "vfio_pci") == 0)
			vfio = &run->loaded[i];
	bool named =
	        predict_ids_name(ids, device->pci, arena) || (vfio && predict_ids_name(vfio->ids, device->pci, arena));
	if (!named && !device->override)
		return NULL;
	if (run->iommu == NO)
		return "vfio-pci takes nothing without an IOMMU, and it will be off";
	if (vfio && strcmp(vfio->stage, "builtin") == 0 && !vfio->ids)
		return arena_printf(arena,
		        "vfio-pci is built into kernel %s and reads no modprobe.d, only vfio-pci.ids= "
		        "of the command line",
		        run->kernel->version);
	if (vfio && strcmp(vfio->stage, "builtin") == 0)
		return "vfio-pci is built into the kernel, but the card's driver too, and that comes first";
	word = device->modules.n ? device->modules.word[0] : "the driver";
	const struct modprobe_line *softdep = softdep_line(root, word);
	if (!vfio && softdep && !modprobe_softdep(root, word, "vfio_pci"))
		return arena_printf(arena,
		        "ids= names it, but of %s's softdep lines only the first counts, and that of %s does not load "
		        "vfio-pci",
		        word, softdep->file);
	if (!vfio)
		return arena_printf(
		        arena, "ids= names it, but nothing loads vfio-pci before (no softdep %s pre: vfio-pci)", word);
	if (vfio->by)
		return arena_printf(arena, "vfio-pci is loaded by %s, which is too late", vfio->by);
	return "vfio-pci is loaded later";
}

/* Says why a device does not go where the settings mean it to go. */
static void explain(
        struct boot_run *run, const struct boot_run *fresh, const struct modprobe *frozen, const struct modprobe *root)
{
	for (size_t i = 0; i < run->n; i++) {
		struct boot_device *device = &run->devices[i];
		if (!device->driver || strcmp(device->driver, "vfio-pci") == 0)
			goto stale;
		const char *why = reason(run, device, root);
		if (why)
			device->why = why;
	stale:
		if (!fresh || !device->driver || !fresh->devices[i].driver ||
		        strcmp(device->driver, fresh->devices[i].driver) == 0)
			continue;
		const char *file = newer_file(&run->facts->boot.modprobe, frozen, device);
		if (file)
			device->why = arena_printf(run->arena,
			        "the initramfs is older than %s: made again, it would give it to %s", file,
			        *fresh->devices[i].driver ? fresh->devices[i].driver : "no driver");
	}
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static bool ids_mean(const struct modprobe *config, const struct boot_device *device, struct arena *arena)
{
	return predict_ids_name(modprobe_option(config, "vfio_pci", "ids"), device->pci, arena);
}

static bool meant(const struct boot_run *run, const struct modprobe *frozen, const struct modprobe *root,
        const struct boot_device *device)
{
	const struct loaded *loaded = run->loaded;
	bool given = false; /* with the name, in conf/modules */
	for (size_t i = 0; i < run->n_loaded; i++)
		given |= strcmp(loaded[i].module, "vfio_pci") == 0 &&
		         predict_ids_name(loaded[i].ids, device->pci, run->arena);
	return given || (device->override && strcmp(device->override, "vfio-pci") == 0) ||
	       ids_mean(frozen, device, run->arena) || ids_mean(root, device, run->arena);
}

/* GPUs, the functions of their slots, and what shares their group. */
static bool matters(const struct facts *facts, const struct pci_device *device)
{
	for (size_t g = 0; g < facts->n_gpus; g++) {
		const struct gpu *gpu = &facts->gpus[g];
		if (gpu->pci == device || pci_same_slot(gpu->pci, device))
			return true;
		for (size_t i = 0; i < gpu->n_group_others; i++)
			if (gpu->group_others[i] == device)
				return true;
	}
	return false;
}

static void answer(const struct boot_run *run, const struct modprobe *frozen, const struct modprobe *root, bool all,
        struct prediction *ret)
{
	for (size_t i = 0; i < run->n; i++) {
		const struct boot_device *device = &run->devices[i];
		if (all || matters(run->facts, device->pci))
			*arena_push(run->arena, ret->devices, ret->n) = (struct predicted){ .device = device->pci,
				.driver = device->driver,
				.why = device->why,
				.stage = device->stage,
				.override = device->override,
				.meant = meant(run, frozen, root, device),
				.rivals = device->rivals };
	}
	for (size_t i = 0; i < run->n_loaded; i++)
		*arena_push(run->arena, ret->modules.word, ret->modules.n) = run->loaded[i].module;
	for (size_t i = 0; i < run->n_loaded; i++)
		if (strcmp(run->loaded[i].module, "vfio_pci") == 0)
			ret->vfio_ids = run->loaded[i].ids;
	ret->blind = run->blind;
}

/* Nothing is known but what the machine has now. */
static void answer_blind(
        const struct facts *facts, bool all, const char *why, struct arena *arena, struct prediction *ret)
{
	ret->blind = why;
	for (size_t i = 0; i < facts->pci.n; i++)
		if (all || matters(facts, &facts->pci.devices[i]))
			*arena_push(arena, ret->devices, ret->n) =
			        (struct predicted){ .device = &facts->pci.devices[i], .why = why };
}

static const char *table_blind(const struct boot_run *run)
{
	if (!run->kernel->aliases.size)
		return arena_printf(
		        run->arena, "/lib/modules/%s/modules.alias could not be read", run->kernel->version);
	if (run->kernel->builtin_known != YES)
		return arena_printf(run->arena, "what is built into kernel %s is not known", run->kernel->version);
	return NULL;
}

void predict_boot(const struct facts *facts, bool all, struct arena *arena, struct prediction *ret)
{
	const struct boot *boot = &facts->boot;
	*ret = (struct prediction){ .kernel = boot->kernel_next && *boot->kernel_next ? boot->kernel_next : NULL,
		.cmdline = next_cmdline(boot) };
	const struct kernel *kernel = ret->kernel ? boot_kernel(boot, ret->kernel) : NULL;
	ret->iommu = predict_iommu(facts, ret->kernel, ret->cmdline, arena);
	if (!kernel || !ret->cmdline) {
		answer_blind(facts, all,
		        !ret->kernel ? "which kernel boots next is not known"
		        : !kernel    ? "the kernel that boots next was not found"
		                     : "the command line of the next boot is not known",
		        arena, ret);
		return;
	}
	struct boot_run run = {
		.facts = facts, .arena = arena, .kernel = kernel, .cmdline = ret->cmdline, .iommu = ret->iommu
	};
	run.image = next_image(boot, kernel, arena, &run.blind);
	if (!run.blind)
		run.blind = table_blind(&run);
	struct modprobe nothing = { 0 };
	struct modprobe frozen = config_with(run.image ? &run.image->modprobe : &nothing, run.cmdline, arena);
	struct modprobe root = config_with(&boot->modprobe, run.cmdline, arena);
	go(&run, &frozen);
	bool readable = run.image && run.image->known == YES && boot->modprobe.known == YES;
	struct boot_run fresh = {
		.facts = facts, .arena = arena, .kernel = kernel, .cmdline = ret->cmdline, .iommu = ret->iommu
	};
	if (readable) {
		struct modprobe config;
		struct initramfs image = fresh_image(&run, &config);
		fresh.image = &image;
		go(&fresh, &config);
	}
	explain(&run, readable ? &fresh : NULL, &frozen, &root);
	answer(&run, &frozen, &root, all, ret);
}

const struct predicted *predict_device(const struct prediction *prediction, const char *address)
{
	for (size_t i = 0; i < prediction->n; i++)
		if (strcmp(prediction->devices[i].device->address, address) == 0)
			return &prediction->devices[i];
	return NULL;
}
