/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How a module comes in: softdeps, install lines, what the kernel refuses, and what surely was there before it.
 * Sources: libkmod libkmod-module.c (probe list: of a module's softdep and install lines the first counts, and with a
 * softdep the install line is not run; the blacklist holds for what is asked for, not for softdeps), Linux
 * kernel/module/main.c (module_blacklist), init/main.c (initcall_blacklist, of modules too).
 */
#include <string.h>

#include "facts/predict_run.h"

bool predict_is_builtin(const struct boot_run *run, const char *module)
{
	return predict_has(&run->kernel->builtin, module);
}

/* ---- what the kernel itself refuses -------------------------------------------------------------------------- */

bool predict_refused(const struct boot_run *run, const char *module)
{
	static const struct {
		const char *module, *init;
	} inits[] = { { "vfio_pci", "vfio_pci_init" }, { "pci_stub", "pci_stub_init" }, { "i915", "i915_init" },
		{ "xe", "xe_init" }, { "nouveau", "nouveau_drm_init" }, { "amdgpu", "amdgpu_init" },
		{ "radeon", "radeon_module_init" }, { "snd_hda_intel", "azx_driver_init" },
		{ "nvidia", "nvidia_init_module" } };
	const char *list = boot_cmdline_value(run->cmdline, "module_blacklist", run->arena);
	struct words refused = text_split(run->arena, list && !predict_is_builtin(run, module) ? list : "", ",");
	if (predict_has(&refused, module)) /* by its name with _ alone */
		return true;
	struct words words = boot_cmdline_words(run->cmdline, run->arena);
	for (size_t w = 0; w < words.n; w++) {
		if (!text_starts(words.word[w], "initcall_blacklist="))
			continue;
		struct words calls = text_split(run->arena, strchr(words.word[w], '=') + 1, ",");
		for (size_t i = 0; i < sizeof inits / sizeof *inits; i++)
			if (strcmp(inits[i].module, module) == 0 && predict_has(&calls, inits[i].init))
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

static struct words common(const struct words *left, const struct words *right, struct arena *arena)
{
	struct words ret = { 0 };
	for (size_t i = 0; i < left->n; i++)
		if (predict_has(right, left->word[i]))
			*arena_push(arena, ret.word, ret.n) = left->word[i];
	return ret;
}

static void insert(struct stage *stage, const char *module, const char *rest, struct words before)
{
	struct boot_run *run = stage->run;
	if (find_loaded(run, module) || predict_is_builtin(run, module) || !available(stage, module) ||
	        predict_refused(run, module))
		return;
	struct loaded loaded = {
		.module = module, .before = before, .ahead = stage->ahead, .stage = stage->name, .by = stage->by, .chain = stage->chain
	};
	take_ids(stage, rest, &loaded);
	*arena_push(run->arena, run->loaded, run->n_loaded) = loaded;
}

static void load(struct stage *stage, const char *module, const char *rest, bool ignore_install, struct words *before);

/* Can libkmod find it in this stage? What it does not find is no softdep. */
static bool found(const struct stage *stage, const char *module)
{
	return predict_is_builtin(stage->run, module) || available(stage, module);
}

/* modules.dep is not read: these are the dependencies whose softdeps guides write. libkmod heeds a dependency's softdep
 * as the module's own; what is built in is no dependency. */
static const struct {
	const char *module, *needs;
} dependencies[] = {
	{ "nouveau", "drm drm_kms_helper ttm drm_ttm_helper video mxm_wmi i2c_algo_bit" },
	{ "i915", "drm drm_kms_helper ttm drm_buddy drm_display_helper cec video i2c_algo_bit" },
	{ "xe", "drm drm_kms_helper ttm drm_buddy drm_display_helper cec video i2c_algo_bit" },
	{ "amdgpu", "drm drm_kms_helper ttm drm_ttm_helper gpu_sched drm_buddy drm_display_helper video i2c_algo_bit" },
	{ "radeon", "drm drm_kms_helper ttm drm_ttm_helper drm_display_helper video i2c_algo_bit" },
	{ "nvidia_drm", "drm drm_kms_helper nvidia_modeset nvidia" },
	{ "snd_hda_intel", "snd snd_pcm snd_hda_core snd_hda_codec snd_intel_dspcfg soundcore" },
};

static const struct modprobe_line *first_line(const struct stage *stage, enum modprobe_kind kind, const char *module)
{
	for (size_t i = 0; i < stage->config->n; i++)
		if (stage->config->lines[i].kind == kind && text_matches(stage->config->lines[i].module, module))
			return &stage->config->lines[i];
	return NULL;
}

/* The lists of a module's first softdep line. A blank in front: libkmod does not see the first word. */
static void softdeps(const struct stage *stage, const char *module, struct words *ret_pre, struct words *ret_post)
{
	const struct modprobe_line *line = first_line(stage, MODPROBE_SOFTDEP, module);
	struct words words = text_split(stage->run->arena, line ? line->rest : "", " \t\n\v\f\r"), *list = NULL;
	for (size_t w = line && *line->rest == ' '; w < words.n; w++) {
		const char *name = modprobe_name(stage->run->arena, words.word[w]);
		if (strcmp(words.word[w], "pre:") == 0)
			list = ret_pre;
		else if (strcmp(words.word[w], "post:") == 0)
			list = ret_post;
		else if (list && found(stage, name))
			predict_push_once(list, name, stage->run->arena);
	}
}

/* What the softdeps of its dependencies load before it. */
static struct words needs_softdeps(const struct stage *stage, const char *module)
{
	struct words pre = { 0 }, post = { 0 };
	for (size_t i = 0; i < sizeof dependencies / sizeof *dependencies; i++) {
		if (strcmp(dependencies[i].module, module) != 0)
			continue;
		struct words needs = text_split(stage->run->arena, dependencies[i].needs, " ");
		for (size_t n = 0; n < needs.n; n++)
			if (!predict_is_builtin(stage->run, needs.word[n]))
				softdeps(stage, needs.word[n], &pre, &post);
	}
	return pre;
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
		const char *name = modprobe_name(stage->run->arena, words.word[i]), *own = "";
		for (size_t w = i + 1; w < words.n && !all; w++) /* its parameters, before those that were asked for */
			own = arena_printf(stage->run->arena, "%s%s ", own, words.word[w]);
		if (strcmp(name, module) == 0 && ignore)
			load(stage, module, arena_printf(stage->run->arena, "%s%s", own, rest ? rest : ""), true, before);
		else if (strcmp(name, module) != 0)
			load(stage, name, own, ignore, before);
		else
			return false; /* calls itself for ever */
	}
	return true;
}

/* The commands of an install line, one after the other. "a || b" and "a && b" are taken as if all went well. */
static void install(struct stage *stage, const struct modprobe_line *line, const char *module, const char *rest,
        struct words *before)
{
	struct arena *arena = stage->run->arena;
	if (strcmp(line->rest, PREDICT_INSTALL) == 0) {
		load(stage, module, boot_cmdline_has(stage->run->cmdline, "gpuferry=off") ? "ids=" : rest, true, before);
		return;
	}
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
		known = (skip || install_command(stage, module, rest, command, before)) && known;
		skip = word && strcmp(word, "||") == 0;
		command = (struct words){ 0 };
	}
	if (!known)
		stage->run->foreign =
		        arena_printf(arena, "\"install %s %s\" of %s", line->module, line->rest, line->file);
}

static void load_with(struct stage *stage, const char *module, const char *rest, const struct words *pre,
        const struct words *post, struct words *before)
{
	struct arena *arena = stage->run->arena;
	struct words own = { 0 };
	for (size_t i = 0; i < before->n; i++)
		predict_push_once(&own, before->word[i], arena);
	struct words needs = needs_softdeps(stage, module);
	for (size_t i = 0; i < needs.n; i++)
		load(stage, needs.word[i], NULL, false, &own);
	for (size_t i = 0; i < pre->n; i++)
		load(stage, pre->word[i], NULL, false, &own);
	insert(stage, module, rest, own);
	predict_push_once(before, module, arena);
	for (size_t i = 0; i < post->n; i++) {
		struct words nothing = { 0 };
		load(stage, post->word[i], NULL, false, &nothing);
	}
}

static void load(struct stage *stage, const char *module, const char *rest, bool ignore_install, struct words *before)
{
	struct loaded *loaded = find_loaded(stage->run, module);
	if (loaded)
		loaded->ahead = common(&loaded->ahead, &stage->ahead, stage->run->arena);
	if (loaded || predict_is_builtin(stage->run, module)) {
		predict_push_once(before, module, stage->run->arena);
		return;
	}
	if (!ignore_install && predict_has(&stage->visited, module))
		return;
	predict_push_once(&stage->visited, module, stage->run->arena);
	struct words pre = { 0 }, post = { 0 };
	softdeps(stage, module, &pre, &post);
	const struct modprobe_line *line = first_line(stage, MODPROBE_INSTALL, module);
	if (line && !ignore_install && !pre.n && !post.n)
		install(stage, line, module, rest, before);
	else
		load_with(stage, module, rest, &pre, &post, before);
}

/* What a name or a modalias stands for in modprobe.d's alias lines: these come before modules.alias. */
static struct words aliased(const struct stage *stage, const char *name)
{
	struct words ret = { 0 };
	for (size_t i = 0; name && i < stage->config->n; i++)
		if (stage->config->lines[i].kind == MODPROBE_ALIAS &&
		        text_matches(stage->config->lines[i].module, name))
			predict_push_once(&ret, modprobe_name(stage->run->arena, stage->config->lines[i].rest),
			        stage->run->arena);
	return ret;
}

void predict_load_name(struct stage *stage, const char *name, const char *rest, bool blacklist)
{
	struct words names = aliased(stage, name), before = { 0 };
	stage->visited = (struct words){ 0 };
	if (!names.n)
		*arena_push(stage->run->arena, names.word, names.n) = name;
	for (size_t i = 0; i < names.n; i++)
		if (!blacklist || !modprobe_skips(stage->config, names.word[i]))
			load(stage, names.word[i], rest, false, &before);
}

/* One device's list: udev asks for one after the other, and another device may ask for the same in another order. */
static void load_list(struct stage *stage, struct words names)
{
	struct arena *arena = stage->run->arena;
	stage->ahead = (struct words){ 0 };
	for (size_t i = 0; i < names.n; i++) {
		struct words before = { 0 };
		stage->visited = (struct words){ 0 };
		/* the image's own index knows no module that is not in it, and so heeds no softdep of it */
		if (!available(stage, names.word[i]) || modprobe_skips(stage->config, names.word[i]))
			continue;
		load(stage, names.word[i], NULL, false, &before);
		for (size_t b = 0; b < before.n; b++) {
			const struct loaded *loaded = find_loaded(stage->run, before.word[b]);
			predict_push_once(&stage->ahead, before.word[b], arena);
			for (size_t w = 0; loaded && w < loaded->before.n; w++)
				predict_push_once(&stage->ahead, loaded->before.word[w], arena);
		}
	}
	stage->ahead = (struct words){ 0 };
}

void predict_coldplug(struct stage *stage)
{
	for (size_t d = 0; d < stage->run->n; d++) {
		const struct boot_device *device = &stage->run->devices[d];
		struct words names = aliased(stage, predict_modalias(device->pci, stage->run->arena));
		load_list(stage, names.n ? names : device->modules);
	}
}
