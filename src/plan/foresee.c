/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The next boot as it will be with what is planned: the facts as they are, with our file put to its place, handed to
 * the computed boot. So a line of somebody else's that undoes ours is seen before anything is written.
 */
#include <stdlib.h>
#include <string.h>

#include "facts/predict.h"
#include "plan/route.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* modprobe.d is read in the order of the files' names, wherever they lie (modprobe.d(5)). */
static struct modprobe modprobe_with(
        const struct modprobe *modprobe, const char *path, struct bytes text, struct arena *arena)
{
	struct modprobe ours = { .known = YES }, ret = *modprobe;
	bool put = false;
	modprobe_parse(text, path, arena, &ours);
	ret.lines = NULL;
	ret.n = 0;
	for (size_t i = 0; i <= modprobe->n; i++) {
		const char *file = i < modprobe->n ? modprobe->lines[i].file : NULL;
		bool behind = !file || (*file == '/' && strcmp(base_name(file), base_name(path)) > 0);
		for (size_t o = 0; behind && !put && o < ours.n; o++)
			*arena_push(arena, ret.lines, ret.n) = ours.lines[o];
		put = put || behind;
		if (file && strcmp(file, path) != 0)
			*arena_push(arena, ret.lines, ret.n) = modprobe->lines[i];
	}
	return ret;
}

static int by_word(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* What our hook adds; sorted, as an image's modules are looked up. */
static struct words modules_with(const struct words *modules, struct arena *arena)
{
	static const char *const held[] = { "vfio_pci", "vfio_pci_core", "vfio" };
	struct words ret = { 0 };
	for (size_t i = 0; i < modules->n; i++)
		*arena_push(arena, ret.word, ret.n) = modules->word[i];
	for (size_t i = 0; i < sizeof held / sizeof *held; i++)
		*arena_push(arena, ret.word, ret.n) = held[i];
	qsort(ret.word, ret.n, sizeof *ret.word, by_word);
	return ret;
}

static struct initramfs *image_with(
        const struct initramfs *image, const char *path, struct bytes text, struct arena *arena)
{
	struct initramfs *ret = arena_new(arena, struct initramfs);
	*ret = *image;
	ret->files = NULL;
	ret->n_files = 0;
	for (size_t i = 0; i < image->n_files; i++)
		if (strcmp(image->files[i].path, path + 1) != 0)
			*arena_push(arena, ret->files, ret->n_files) = image->files[i];
	*arena_push(arena, ret->files, ret->n_files) = (struct initramfs_file){ path + 1, text };
	ret->modules = modules_with(&image->modules, arena);
	if (text_starts(path, "/etc/modprobe.d/")) {
		ret->modprobe = modprobe_with(&image->modprobe, path, text, arena);
		return ret;
	}
	ret->early_scripts = (struct words){ 0 };
	*arena_push(arena, ret->early_scripts.word, ret->early_scripts.n) = base_name(path);
	for (size_t i = 0; i < image->early_scripts.n; i++)
		if (strcmp(image->early_scripts.word[i], base_name(path)) != 0)
			*arena_push(arena, ret->early_scripts.word, ret->early_scripts.n) =
			        image->early_scripts.word[i];
	return ret;
}

/* Of the kernel that boots next, each copy of its image. */
static void put_into_images(struct boot *boot, const char *path, struct bytes text, struct arena *arena)
{
	struct kernel *kernels = arena_alloc(arena, (boot->n_kernels + 1) * sizeof *kernels);
	if (boot->n_kernels)
		memcpy(kernels, boot->kernels, boot->n_kernels * sizeof *kernels);
	for (size_t k = 0; k < boot->n_kernels; k++) {
		struct kernel *kernel = &kernels[k];
		const struct initramfs **images = NULL;
		size_t n = 0;
		if (!boot->kernel_next || strcmp(kernel->version, boot->kernel_next) != 0)
			continue;
		for (size_t i = 0; i < kernel->n_initramfs; i++)
			*arena_push(arena, images, n) = image_with(kernel->initramfs[i], path, text, arena);
		kernel->initramfs = images;
	}
	boot->kernels = kernels;
}

static const char *cmdline_with(const struct route *route, const char *cmdline)
{
	for (size_t i = 0; cmdline && i < route->words.n; i++)
		cmdline = arena_printf(route->arena, "%s %s", cmdline, route->words.word[i]);
	return cmdline;
}

static void put(struct boot *boot, const struct edit *edit, struct arena *arena)
{
	static const char tools[] = "/etc/initramfs-tools";
	struct bytes text = { edit->content, strlen(edit->content) };
	const char *in = text_starts(edit->path, "/etc/initramfs-tools/") ? edit->path + strlen(tools) : edit->path;
	put_into_images(boot, in, text, arena);
	if (in == edit->path)
		boot->modprobe = modprobe_with(&boot->modprobe, edit->path, text, arena);
}

const char *route_foresees(struct route *route, const struct edits *edits, const struct pci_device *device)
{
	struct facts facts = *route->facts;
	struct boot *boot = &facts.boot;
	struct prediction prediction = { 0 };
	for (size_t i = 0; edits && i < edits->n; i++)
		put(boot, &edits->edit[i], route->arena);
	boot->cmdline_next = cmdline_with(route, boot->cmdline_next);
	/* a menu that is made anew has what the files say, words that nobody has brought into it yet among them */
	if (route->words.n || route->menu_because)
		boot->cmdline_generated = boot->cmdline_next;
	predict_boot(&facts, false, route->arena, &prediction);
	const struct predicted *one = predict_device(&prediction, device->address);
	return one && (edits || !prediction.blind) ? one->driver : NULL;
}

enum tri route_foresees_vfio(struct route *route, const struct edits *edits, const struct pci_device *device)
{
	const char *driver = route_foresees(route, edits, device);
	return driver ? tri_of(strcmp(driver, "vfio-pci") == 0) : UNKNOWN;
}
