/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The stages of a boot: which modules each loads, in which order, and which driver takes which device.
 *
 * udev handles devices side by side, so of two modules that one stage loads only a softdep, the list of one device's
 * own aliases, or one list of names says which comes first. Where nothing says it, the outcome is not known.
 * Sources: libkmod libkmod-module.c (probe list: softdeps, install; the blacklist holds for what is asked for, not for
 * softdeps), systemd src/udev/udev-builtin-kmod.c and src/shared/module-util.c (both apply the blacklist),
 * initramfs-tools scripts/functions load_modules (plain modprobe: no blacklist), Linux kernel/module/main.c
 * (module_blacklist), init/main.c (initcall_blacklist), drivers/Makefile (the order of what is built in).
 */
#include <string.h>

#include "facts/predict_run.h"

struct stage {
	struct boot_run *run;
	const struct modprobe *config;
	const char *name;
	size_t first; /* of run->loaded: those of this stage */
	const char *by;
	unsigned chain;
	unsigned depth;
};

static bool has(const struct words *words, const char *word)
{
	for (size_t i = 0; i < words->n; i++)
		if (strcmp(words->word[i], word) == 0)
			return true;
	return false;
}

static void push_once(struct words *words, const char *word, struct arena *arena)
{
	if (!has(words, word))
		*arena_push(arena, words->word, words->n) = word;
}

static bool builtin(const struct boot_run *run, const char *module)
{
	return has(&run->kernel->builtin, module);
}

/* ---- what the kernel itself refuses -------------------------------------------------------------------------- */

static bool kernel_refuses(const struct boot_run *run, const char *module)
{
	static const struct {
		const char *module, *init;
	} inits[] = { { "vfio_pci", "vfio_pci_init" }, { "pci_stub", "pci_stub_init" }, { "i915", "i915_init" },
		{ "xe", "xe_init" }, { "nouveau", "nouveau_drm_init" }, { "amdgpu", "amdgpu_init" },
		{ "radeon", "radeon_module_init" }, { "snd_hda_intel", "azx_driver_init" },
		{ "nvidia", "nvidia_init_module" } };
	const char *list = boot_cmdline_value(run->cmdline, "module_blacklist", run->arena);
	struct words refused = text_split(run->arena, list && !builtin(run, module) ? list : "", ",");
	if (has(&refused, module)) /* by its name with _ alone */
		return true;
	struct words words = boot_cmdline_words(run->cmdline, run->arena);
	for (size_t w = 0; w < words.n; w++) {
		if (!text_starts(words.word[w], "initcall_blacklist="))
			continue;
		struct words calls = text_split(run->arena, strchr(words.word[w], '=') + 1, ",");
		for (size_t i = 0; i < sizeof inits / sizeof *inits; i++)
			if (strcmp(inits[i].module, module) == 0 && has(&calls, inits[i].init))
				return true;
	}
	return false;
}

/* ---- loading -------------------------------------------------------------------------------------------------- */

static struct loaded *find_loaded(const struct boot_run *run, const char *module)
{
	for (size_t i = 0; i < run->n_loaded; i++)
		if (strcmp(run->loaded[i].module, module) == 0)
			return &run->loaded[i];
	return NULL;
}

static bool available(const struct stage *stage, const char *module)
{
	return strcmp(stage->name, "root") == 0 || (stage->run->image && initramfs_holds(stage->run->image, module));
}

static const struct modprobe_line *option_line(const struct modprobe *config, const char *module, const char *option)
{
	const struct modprobe_line *found = NULL;
	struct arena scratch ARENA_SCOPED = { 0 };
	const char *start = arena_printf(&scratch, "%s=", option);
	for (size_t i = 0; i < config->n; i++) {
		const struct modprobe_line *line = &config->lines[i];
		if (line->kind != MODPROBE_OPTIONS || strcmp(line->module, module) != 0)
			continue;
		for (size_t w = 0; w < line->words.n; w++)
			if (text_starts(line->words.word[w], start))
				found = line;
	}
	return found;
}

/* ids= as given with the name ("vfio-pci ids=10de:2803" in conf/modules), else of the options this stage sees. */
static void take_ids(const struct stage *stage, const char *rest, struct loaded *ret)
{
	struct boot_run *run = stage->run;
	if (strcmp(ret->module, "vfio_pci") != 0 && strcmp(ret->module, "pci_stub") != 0)
		return;
	struct words words = boot_cmdline_words(rest ? rest : "", run->arena);
	for (size_t i = 0; i < words.n; i++)
		if (text_starts(words.word[i], "ids=")) {
			ret->ids = words.word[i] + strlen("ids=");
			ret->ids_from = stage->by;
		}
	if (ret->ids)
		return;
	ret->ids = modprobe_option(stage->config, ret->module, "ids");
	const struct modprobe_line *line = option_line(stage->config, ret->module, "ids");
	ret->ids_from = line ? line->file : NULL;
}

static void insert(struct stage *stage, const char *module, const char *rest, struct words before)
{
	struct boot_run *run = stage->run;
	if (find_loaded(run, module) || builtin(run, module) || !available(stage, module) ||
	        kernel_refuses(run, module))
		return;
	struct loaded loaded = {
		.module = module, .before = before, .stage = stage->name, .by = stage->by, .chain = stage->chain
	};
	take_ids(stage, rest, &loaded);
	*arena_push(run->arena, run->loaded, run->n_loaded) = loaded;
}

static void load(struct stage *stage, const char *module, const char *rest, bool ignore_install, struct words *before);

/* The pre: or post: words of a module's softdep lines. A blank in front: libkmod does not see the first word. */
static struct words softdeps(const struct stage *stage, const char *module, bool post)
{
	struct words ret = { 0 };
	for (size_t i = 0; i < stage->config->n; i++) {
		const struct modprobe_line *line = &stage->config->lines[i];
		if (line->kind != MODPROBE_SOFTDEP || strcmp(line->module, module) != 0)
			continue;
		struct words words = text_split(stage->run->arena, line->rest, " \t\n\v\f\r");
		int in = 0;
		for (size_t w = *line->rest == ' '; w < words.n; w++) {
			if (strcmp(words.word[w], "pre:") == 0)
				in = 1;
			else if (strcmp(words.word[w], "post:") == 0)
				in = 2;
			else if (in == (post ? 2 : 1))
				push_once(&ret, modprobe_name(stage->run->arena, words.word[w]), stage->run->arena);
		}
	}
	return ret;
}

static const struct modprobe_line *install_line(const struct stage *stage, const char *module)
{
	for (size_t i = 0; i < stage->config->n; i++)
		if (stage->config->lines[i].kind == MODPROBE_INSTALL &&
		        strcmp(stage->config->lines[i].module, module) == 0)
			return &stage->config->lines[i]; /* the first one counts */
	return NULL;
}

static bool does_nothing(const char *word)
{
	return text_ends(word, "/false") || text_ends(word, "/true") || strcmp(word, "false") == 0 ||
	       strcmp(word, "true") == 0 || strcmp(word, ":") == 0;
}

/* One command of an install line. False: what it does is not known. */
static bool install_command(
        struct stage *stage, const char *module, const char *rest, struct words words, struct words *before)
{
	size_t i = 0;
	bool ignore = false, all = false, taken = false;
	if (!words.n || does_nothing(words.word[0]))
		return true;
	if (!text_ends(words.word[0], "modprobe"))
		return false;
	for (i = 1; i < words.n && words.word[i][0] == '-'; i++) {
		ignore |= strcmp(words.word[i], "--ignore-install") == 0 || strcmp(words.word[i], "-i") == 0;
		all |= strcmp(words.word[i], "-a") == 0 || strcmp(words.word[i], "--all") == 0;
		if (strcmp(words.word[i], "-r") == 0 || strcmp(words.word[i], "--remove") == 0)
			return false;
	}
	for (; i < words.n && (all || !taken); i++, taken = true) {
		const char *name = modprobe_name(stage->run->arena, words.word[i]);
		if (strcmp(name, module) == 0 && ignore)
			load(stage, module, rest, true, before);
		else if (strcmp(name, module) != 0)
			load(stage, name, NULL, ignore, before);
		else
			return false; /* calls itself for ever */
	}
	return true;
}

/* The commands of an install line, one after the other. "a || b" and "a && b" are taken as if all went well. */
static void install(struct stage *stage, const struct modprobe_line *line, const char *rest, struct words *before)
{
	struct arena *arena = stage->run->arena;
	struct words words = text_split(arena, line->rest, " \t"), command = { 0 };
	bool known = true, skip = false;
	for (size_t i = 0; i <= words.n; i++) {
		char *word = i < words.n ? arena_strdup(arena, words.word[i]) : NULL;
		bool ends = !word || strcmp(word, ";") == 0 || strcmp(word, "&&") == 0 || strcmp(word, "||") == 0;
		if (!ends && (strcmp(word, "{") == 0 || strcmp(word, "}") == 0 || strcmp(word, "$CMDLINE_OPTS") == 0))
			continue;
		size_t size = word ? strlen(word) : 0;
		if (!ends && size > 1 && word[size - 1] == ';') {
			word[size - 1] = '\0';
			*arena_push(arena, command.word, command.n) = word;
			ends = true;
		}
		if (!ends) {
			*arena_push(arena, command.word, command.n) = word;
			continue;
		}
		known = (skip || install_command(stage, line->module, rest, command, before)) && known;
		skip = word && strcmp(word, "||") == 0;
		command = (struct words){ 0 };
	}
	if (!known)
		stage->run->foreign =
		        arena_printf(arena, "\"install %s %s\" of %s", line->module, line->rest, line->file);
}

static void load(struct stage *stage, const char *module, const char *rest, bool ignore_install, struct words *before)
{
	struct arena *arena = stage->run->arena;
	if (stage->depth >= 16)
		return;
	stage->depth++;
	const struct modprobe_line *line = ignore_install ? NULL : install_line(stage, module);
	if (find_loaded(stage->run, module) || builtin(stage->run, module)) {
		push_once(before, module, arena);
	} else if (line) {
		install(stage, line, rest, before);
	} else {
		struct words pre = softdeps(stage, module, false), post = softdeps(stage, module, true), own = *before;
		for (size_t i = 0; i < pre.n; i++)
			load(stage, pre.word[i], NULL, false, &own);
		struct words surely = { 0 };
		for (size_t i = 0; i < own.n; i++)
			push_once(&surely, own.word[i], arena);
		insert(stage, module, rest, surely);
		push_once(before, module, arena);
		for (size_t i = 0; i < post.n; i++) {
			struct words nothing = { 0 };
			load(stage, post.word[i], NULL, false, &nothing);
		}
	}
	stage->depth--;
}

/* What a name or a modalias stands for in modprobe.d's alias lines: these come before modules.alias. */
static struct words aliased(const struct stage *stage, const char *name)
{
	struct words ret = { 0 };
	for (size_t i = 0; name && i < stage->config->n; i++)
		if (stage->config->lines[i].kind == MODPROBE_ALIAS &&
		        text_matches(stage->config->lines[i].module, name))
			push_once(&ret, modprobe_name(stage->run->arena, stage->config->lines[i].rest),
			        stage->run->arena);
	return ret;
}

static void load_name(struct stage *stage, const char *name, const char *rest, bool blacklist)
{
	struct words names = aliased(stage, name), before = { 0 };
	if (!names.n)
		*arena_push(stage->run->arena, names.word, names.n) = name;
	for (size_t i = 0; i < names.n; i++)
		if (!blacklist || !modprobe_blacklisted(stage->config, names.word[i]))
			load(stage, names.word[i], rest, false, &before);
}

static void coldplug(struct stage *stage)
{
	for (size_t d = 0; d < stage->run->n; d++) {
		const struct boot_device *device = &stage->run->devices[d];
		struct words names = aliased(stage, predict_modalias(device->pci, stage->run->arena));
		if (!names.n)
			names = device->modules;
		for (size_t i = 0; i < names.n; i++) {
			struct words before = { 0 };
			if (!modprobe_blacklisted(stage->config, names.word[i]))
				load(stage, names.word[i], NULL, false, &before);
		}
	}
}

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
	if (has(&right->before, left->module))
		return true;
	/* udev may be faster than the list of names that systemd goes through */
	bool udev_too = strcmp(right->stage, "root") == 0 && has(&device->modules, right->module);
	if (left->chain && left->chain == right->chain)
		return left < right && !udev_too;
	if (left->chain || right->chain)
		return false;
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
		if (has(&device->modules, all.candidate[i].loaded->module))
			push_once(&device->rivals, predict_driver_of(all.candidate[i].loaded->module), run->arena);
	for (size_t i = 0; i < all.n; i++)
		push_once(&device->rivals, predict_driver_of(all.candidate[i].loaded->module), run->arena);
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
	if (!builtin(run, module) || kernel_refuses(run, module))
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
			if (builtin(run, device->modules.word[i]) && !kernel_refuses(run, device->modules.word[i]))
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
		load_name(stage, script.modules.word[i], NULL, false);
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

static void early_scripts(struct stage *stage, struct modprobe *config)
{
	const struct initramfs *image = stage->run->image;
	for (size_t i = 0; i < image->early_scripts.n; i++) {
		const char *name = image->early_scripts.word[i];
		if (strcmp(name, "udev") == 0)
			break;
		if (strcmp(name, "blacklist") == 0)
			blacklist_script(stage, config);
		for (size_t f = 0; f < image->n_files; f++)
			if (strcmp(image->files[f].path,
			            arena_printf(stage->run->arena, "scripts/init-top/%s", name)) == 0)
				run_script(stage, name, image->files[f].data);
	}
}

void predict_initramfs(struct boot_run *run, const struct modprobe *config)
{
	struct modprobe own = *config;
	struct stage stage = { .run = run, .config = &own, .name = "initramfs", .first = run->n_loaded, .chain = 1 };
	if (!run->image || run->image->known != YES) {
		lose_all(run, "initramfs", run->blind ? run->blind : "what the initramfs holds is not known");
		return;
	}
	early_scripts(&stage, &own);
	lose_to_foreign(&stage);
	unsigned chain = stage.chain;
	stage.chain = 0;
	coldplug(&stage);
	settle_all(&stage);
	lose_to_foreign(&stage);
	stage.chain = chain + 1;
	for (size_t i = 0; i < own.n_loads; i++) {
		if (!text_ends(own.loads[i].file, "conf/modules"))
			continue;
		stage.by = own.loads[i].file;
		load_name(&stage, own.loads[i].module, own.loads[i].rest, false);
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
		load_name(&stage, config->loads[i].module, NULL, true);
	}
	stage.by = NULL;
	stage.chain = 0;
	coldplug(&stage);
	lose_to_foreign(&stage);
	settle_all(&stage);
}
