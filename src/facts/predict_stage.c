/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The stages of a boot, and which driver takes which device in each.
 *
 * udev handles devices side by side, so of two modules that one stage loads only a softdep, the list of one device's
 * own aliases, or one list of names says which comes first. Where nothing says it, the outcome is not known.
 * Sources: systemd src/udev/udev-builtin-kmod.c, src/modules-load (both apply the blacklist), initramfs-tools init and
 * scripts/functions load_modules (init exports MODPROBE_OPTIONS=-qb, so names obey the blacklist too), Linux drivers/base/dd.c, drivers/Makefile (the order
 * of what is built in).
 */
#include <string.h>

#include "facts/predict_run.h"

/* ---- who takes it ------------------------------------------------------------------------------------------- */

static size_t position(const struct words *words, const char *word)
{
	size_t i = 0;
	while (i < words->n && strcmp(words->word[i], word) != 0)
		i++;
	return i;
}

static bool precedes(const struct boot_device *device, const struct loaded *left, const struct loaded *right)
{
	if (predict_has(&right->before, left->module))
		return true;
	/* udev may be faster than the list of names that systemd goes through */
	bool udev_too = strcmp(right->stage, "root") == 0 && predict_has(&device->modules, right->module);
	if (left->chain && left->chain == right->chain)
		return left < right && !udev_too;
	if (left->chain || right->chain)
		return false;
	if (predict_has(&right->ahead, left->module))
		return true;
	size_t l = position(&device->modules, left->module), r = position(&device->modules, right->module);
	return l < r && r < device->modules.n;
}

static void claim(struct boot_run *run, struct boot_device *device, const struct loaded *by)
{
	const char *driver = predict_driver_of(by->module);
	struct arena *arena = run->arena;
	device->claimed = true;
	device->driver = driver;
	device->stage = by->stage;
	if (device->override)
		device->why = arena_printf(arena, "%s gives it to %s by its address", device->override_by, driver);
	else if (by->ids)
		device->why = arena_printf(arena, "ids= in %s names it, and %s is loaded first", by->ids_from, driver);
	else if (!predict_display(device->pci) && !predict_audio(device->pci))
		device->why = "as it is now";
	else
		device->why = arena_printf(arena, "%s claims it%s", driver,
		        strcmp(by->stage, "builtin") == 0     ? ", being built into the kernel"
		        : strcmp(by->stage, "initramfs") == 0 ? " in the initramfs"
		                                              : " when the root file system is up");
}

static const char *names_text(const struct words *words, struct arena *arena)
{
	const char *text = words->n ? words->word[0] : "";
	for (size_t i = 1; i < words->n; i++)
		text = arena_printf(arena, "%s and %s", text, words->word[i]);
	return text;
}

static void lose(struct boot_run *run, struct boot_device *device, const char *stage, const char *why)
{
	(void)run;
	device->lost = true;
	device->driver = NULL;
	device->stage = stage;
	device->why = why;
}

struct candidate {
	const struct loaded *loaded;
	enum tri takes;
};
struct candidates {
	struct candidate *candidate;
	size_t n;
};

static const struct candidate *first_of(const struct boot_device *device, const struct candidates *all)
{
	for (size_t i = 0; i < all->n; i++) {
		size_t j = 0;
		while (j < all->n && (j == i || precedes(device, all->candidate[i].loaded, all->candidate[j].loaded)))
			j++;
		if (j == all->n)
			return &all->candidate[i];
	}
	return NULL;
}

static void settle(struct stage *stage, struct boot_device *device)
{
	struct boot_run *run = stage->run;
	struct candidates all = { 0 };
	for (size_t i = stage->first; i < run->n_loaded; i++) {
		enum tri takes = predict_takes(run, &run->loaded[i], stage->config, device);
		if (takes != NO)
			*arena_push(run->arena, all.candidate, all.n) = (struct candidate){ &run->loaded[i], takes };
	}
	if (!all.n)
		return;
	const struct candidate *winner = first_of(device, &all);
	if (winner && winner->takes == YES) {
		claim(run, device, winner->loaded);
		return;
	}
	for (size_t i = 0; i < all.n; i++) /* its own driver before vfio-pci */
		if (predict_has(&device->modules, all.candidate[i].loaded->module))
			predict_push_once(
			        &device->rivals, predict_driver_of(all.candidate[i].loaded->module), run->arena);
	for (size_t i = 0; i < all.n; i++)
		predict_push_once(&device->rivals, predict_driver_of(all.candidate[i].loaded->module), run->arena);
	const char *rivals = names_text(&device->rivals, run->arena);
	lose(run, device, stage->name,
	        !winner ? arena_printf(run->arena,
	                          "nothing makes one of %s wait for the other: whichever is loaded first wins", rivals)
	        : strcmp(winner->loaded->module, "vfio_pci") == 0
	                ? "vfio-pci claims it only with an IOMMU, and whether that will be on is not known"
	                : arena_printf(run->arena, "whether %s takes this card is not known", rivals));
}

/* All that was loaded since the stage began looks for devices without driver. */
static void settle_all(struct stage *stage)
{
	for (size_t d = 0; d < stage->run->n; d++)
		if (!stage->run->devices[d].claimed && !stage->run->devices[d].lost)
			settle(stage, &stage->run->devices[d]);
	stage->first = stage->run->n_loaded;
}

static void lose_all(struct boot_run *run, const char *stage, const char *why)
{
	for (size_t d = 0; d < run->n; d++) {
		struct boot_device *device = &run->devices[d];
		if (!device->claimed && !device->lost && !device->override &&
		        (predict_display(device->pci) || predict_audio(device->pci)))
			lose(run, device, stage, why);
	}
}

static void lose_to_foreign(struct stage *stage)
{
	if (stage->run->foreign)
		lose_all(stage->run, stage->name,
		        arena_printf(stage->run->arena, "%s does something that cannot be told beforehand",
		                stage->run->foreign));
}

/* ---- builtin ------------------------------------------------------------------------------------------------- */

/* drivers/Makefile: pci comes first, then gpu, storage and net, then vfio, then usb; sound after all of it. */
static bool vfio_before(const struct pci_device *device)
{
	int64_t class_code = device->class_code == UNKNOWN_NUMBER ? 0 : device->class_code >> 16;
	return class_code == 0x04 || class_code == 0x0c;
}

static void push_builtin(struct boot_run *run, const char *module, const char *parameter)
{
	if (!predict_is_builtin(run, module) || predict_refused(run, module))
		return;
	*arena_push(run->arena, run->loaded, run->n_loaded) = (struct loaded){ .module = module,
		.stage = "builtin",
		.chain = 1,
		.ids = parameter ? boot_cmdline_value(run->cmdline, parameter, run->arena) : NULL,
		.ids_from = "the command line" };
}

void predict_builtin(struct boot_run *run, const struct modprobe *config)
{
	push_builtin(run, "pci_stub", "pci-stub.ids");
	push_builtin(run, "vfio_pci", "vfio-pci.ids");
	for (size_t d = 0; d < run->n; d++) {
		struct boot_device *device = &run->devices[d];
		struct loaded first = { 0 };
		for (size_t i = 0; i < device->modules.n && !first.module; i++)
			if (predict_is_builtin(run, device->modules.word[i]) &&
			        !predict_refused(run, device->modules.word[i]))
				first = (struct loaded){ .module = device->modules.word[i], .stage = "builtin" };
		for (size_t i = 0; i < run->n_loaded && !device->claimed; i++) {
			bool stub = strcmp(run->loaded[i].module, "pci_stub") == 0;
			enum tri takes = predict_takes(run, &run->loaded[i], config, device);
			if (takes == NO || (first.module && !stub && !vfio_before(device->pci)))
				continue;
			if (takes == YES)
				claim(run, device, &run->loaded[i]);
			else
				lose(run, device, "builtin",
				        "vfio-pci claims it only with an IOMMU, and whether that will be on is not "
				        "known");
		}
		if (first.module && !device->claimed && !device->lost &&
		        predict_takes(run, &first, config, device) == YES)
			claim(run, device, &first);
	}
}

/* ---- initramfs ----------------------------------------------------------------------------------------------- */

static struct boot_device *device_at(const struct boot_run *run, const char *address)
{
	for (size_t d = 0; d < run->n; d++)
		if (strcmp(run->devices[d].pci->address, address) == 0)
			return &run->devices[d];
	return NULL;
}

static bool fits(int64_t wanted, int64_t has_it)
{
	return wanted == UNKNOWN_NUMBER || wanted == has_it;
}

static bool bind_fits(const struct script_bind *bind, const struct pci_device *pci)
{
	return fits(bind->vendor, pci->vendor) && fits(bind->device, pci->device) &&
	       fits(bind->subsystem_vendor, pci->subsystem_vendor) &&
	       fits(bind->subsystem_device, pci->subsystem_device) && fits(bind->class_code, pci->class_code);
}

static void run_script(struct stage *stage, const char *name, struct bytes text)
{
	struct boot_run *run = stage->run;
	struct script script;
	predict_script(name, text, run->arena, &script);
	if (script.ours && boot_cmdline_has(run->cmdline, "gpuferry=off"))
		return;
	if (script.foreign) {
		run->foreign = arena_printf(run->arena, "scripts/init-top/%s of the initramfs", name);
		return;
	}
	for (size_t i = 0; i < script.n; i++) {
		struct boot_device *device = device_at(run, script.binds[i].address);
		if (!device || !bind_fits(&script.binds[i], device->pci))
			continue;
		device->override = script.binds[i].driver;
		device->override_by = arena_printf(run->arena, "the initramfs script %s", name);
	}
	stage->by = arena_printf(run->arena, "scripts/init-top/%s", name);
	stage->chain++;
	for (size_t i = 0; i < script.modules.n; i++)
		predict_load_name(stage, script.modules.word[i], NULL, !script.ours);
	if (script.ours && script.n) /* it probes what it bound, so what was there before it may take it too */
		stage->first = 0;
	settle_all(stage);
	stage->by = NULL;
}

/* initramfs-tools' own script: the word blacklist= of the command line becomes lines of modprobe.d. */
static void blacklist_script(const struct stage *stage, struct modprobe *config)
{
	const char *value = boot_cmdline_value(stage->run->cmdline, "blacklist", stage->run->arena);
	struct words names = text_split(stage->run->arena, value ? value : "", ",");
	for (size_t i = 0; i < names.n; i++)
		*arena_push(stage->run->arena, config->lines, config->n) =
		        (struct modprobe_line){ .kind = MODPROBE_BLACKLIST,
			        .module = modprobe_name(stage->run->arena, names.word[i]),
			        .rest = "blacklist",
			        .file = "command line" };
}

/* The scripts of init-top in their order, from the i-th to `udev` or the last; behind udev's coldplug they find only those
 * devices free that it brought no driver for. */
static size_t run_scripts(struct stage *stage, struct modprobe *config, size_t i)
{
	const struct initramfs *image = stage->run->image;
	for (; i < image->early_scripts.n; i++) {
		const char *name = image->early_scripts.word[i];
		if (strcmp(name, "udev") == 0)
			return i + 1;
		if (strcmp(name, "blacklist") == 0)
			blacklist_script(stage, config);
		for (size_t f = 0; f < image->n_files; f++)
			if (strcmp(image->files[f].path,
			            arena_printf(stage->run->arena, "scripts/init-top/%s", name)) == 0)
				run_script(stage, name, image->files[f].data);
	}
	return i;
}

/* ---- udev's rules ---- */

/* A rule of udev's that gives devices away does so when its device is found: whether that is before another device has
 * brought the driver in, and whether the initramfs has the rule too, is not known. */
static void lose_to_rules(struct boot_run *run, const struct modprobe *config)
{
	const struct boot *boot = &run->facts->boot;
	const char *ids = modprobe_option(config, "vfio_pci", "ids");
	for (size_t f = 0; f < boot->n_files; f++) {
		struct bytes raw;
		if (!text_starts(boot->files[f].path, "/etc/udev/rules.d/") || !text_ends(boot->files[f].path, ".rules"))
			continue;
		for (size_t cursor = 0; boot->files[f].data.data && text_line(boot->files[f].data, &cursor, &raw);) {
			const char *line = text_trimmed(run->arena, raw);
			for (size_t d = 0; *line != '#' && d < run->n; d++)
				if (!run->devices[d].claimed && !run->devices[d].lost && !run->devices[d].override &&
				        predict_rule_concerns(line, run->devices[d].pci, ids, run->arena))
					lose(run, &run->devices[d], "root",
					        arena_printf(run->arena,
					                "a rule of udev's, %s, gives it away when it is found: whether in "
					                "time cannot be told beforehand",
					                boot->files[f].path));
		}
	}
}

void predict_initramfs(struct boot_run *run, const struct modprobe *config, const struct modprobe *root)
{
	struct modprobe own = *config;
	struct stage stage = { .run = run, .config = &own, .name = "initramfs", .first = run->n_loaded, .chain = 1 };
	if (!run->image || run->image->known != YES) {
		lose_all(run, "initramfs", run->blind ? run->blind : "what the initramfs holds is not known");
		return;
	}
	size_t next = run_scripts(&stage, &own, 0);
	lose_to_foreign(&stage);
	lose_to_rules(run, root);
	unsigned chain = stage.chain;
	stage.chain = 0;
	predict_coldplug(&stage);
	settle_all(&stage);
	stage.chain = chain + 1;
	run_scripts(&stage, &own, next);
	lose_to_foreign(&stage);
	stage.chain++;
	for (size_t i = 0; i < own.n_loads; i++) {
		if (!text_ends(own.loads[i].file, "conf/modules"))
			continue;
		stage.by = own.loads[i].file;
		predict_load_name(&stage, own.loads[i].module, own.loads[i].rest, true);
		settle_all(&stage);
	}
}

/* ---- root file system ------------------------------------------------------------------------------------------ */

/* systemd-modules-load and udev's coldplug run side by side. */
void predict_root(struct boot_run *run, const struct modprobe *config)
{
	struct stage stage = { .run = run, .config = config, .name = "root", .first = run->n_loaded, .chain = 1000 };
	if (config->known != YES) {
		lose_all(run, "root", "/etc/modprobe.d could not be read whole");
		return;
	}
	for (size_t i = 0; i < config->n_loads; i++) {
		/* systemd takes a line with parameters for a name, which no module has */
		if (*config->loads[i].rest || text_ends(config->loads[i].file, "conf/modules"))
			continue;
		stage.by = config->loads[i].file;
		predict_load_name(&stage, config->loads[i].module, NULL, true);
	}
	stage.by = "modprobe@drm.service"; /* systemd-logind wants it */
	stage.chain++;
	predict_load_name(&stage, "drm", NULL, true);
	stage.by = NULL;
	stage.chain = 0;
	predict_coldplug(&stage);
	lose_to_foreign(&stage);
	settle_all(&stage);
}
