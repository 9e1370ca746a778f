/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Initramfs images as initramfs-tools makes them: a cpio with microcode, then one with the rest (here both plain), in
 * the "newc" format of Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#include <stdio.h>
#include <string.h>

#include "rehearse/machine_model.h"

struct image {
	struct arena *arena;
	char *data;
	size_t size, room;
	unsigned inode;
	struct map folders;
};

static void image_put(struct image *image, const void *data, size_t size)
{
	if (image->size + size > image->room) {
		image->room = (image->size + size) * 2;
		char *wider = arena_alloc(image->arena, image->room + 1);
		if (image->size)
			memcpy(wider, image->data, image->size);
		image->data = wider;
	}
	if (size)
		memcpy(image->data + image->size, data, size);
	image->size += size;
}

static void image_pad(struct image *image, size_t to)
{
	static const char zeros[512] = { 0 };
	image_put(image, zeros, (to - image->size % to) % to);
}

static void image_entry(struct image *image, const char *name, unsigned mode, struct bytes data)
{
	char head[111];
	snprintf(head, sizeof head, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ++image->inode, mode,
	        0, 0, 1, 0, (unsigned)data.size, 0, 0, 0, 0, (unsigned)strlen(name) + 1, 0);
	image_put(image, head, 110);
	image_put(image, name, strlen(name) + 1);
	image_pad(image, 4);
	image_put(image, data.data, data.size);
	image_pad(image, 4);
}

static void image_end(struct image *image)
{
	image_entry(image, "TRAILER!!!", 0, (struct bytes){ "", 0 });
	image_pad(image, 512);
}

/* A file, with the folders above it once. */
static void image_file(struct image *image, const char *path, unsigned mode, struct bytes data)
{
	path += strspn(path, "/");
	for (const char *cut = strchr(path, '/'); cut; cut = strchr(cut + 1, '/')) {
		const char *folder = arena_strndup(image->arena, path, (size_t)(cut - path));
		if (map_find(&image->folders, folder))
			continue;
		map_put(&image->folders, image->arena, folder, image);
		image_entry(image, folder, 040755, (struct bytes){ "", 0 });
	}
	if (map_find(&image->folders, path))
		return;
	map_put(&image->folders, image->arena, arena_strdup(image->arena, path), image);
	image_entry(image, path, 0100000 | mode, data);
}

/* ---- the description ---- */

struct description {
	const struct machine_line *line;
	struct machine_growth *growth;
	struct image image;
	const char *kernel; /* the version in the image's path */
	const char *order;  /* of init-top */
};

/* Where a kernel keeps a module; what is not known here lies with the others of no matter. */
static const struct {
	const char *module, *folder;
} module_folders[] = {
	{ "vfio_pci", "vfio/pci" },
	{ "vfio_pci_core", "vfio/pci" },
	{ "vfio", "vfio" },
	{ "vfio_iommu_type1", "vfio" },
	{ "nouveau", "gpu/drm/nouveau" },
	{ "i915", "gpu/drm/i915" },
	{ "xe", "gpu/drm/xe" },
	{ "amdgpu", "gpu/drm/amd/amdgpu" },
	{ "nvidia", "../updates/dkms" },
	{ "snd_hda_intel", "../sound/pci/hda" },
	{ "nvme", "nvme/host" },
	{ "ahci", "ata" },
	{ "xhci_pci", "usb/host" },
	{ "r8169", "net/ethernet/realtek" },
	{ "igc", "net/ethernet/intel/igc" },
};

static void put_module(struct description *of, const char *name)
{
	const char *folder = "misc";
	for (size_t i = 0; i < sizeof module_folders / sizeof *module_folders; i++)
		if (strcmp(module_folders[i].module, name) == 0)
			folder = module_folders[i].folder;
	char *file = arena_strdup(of->image.arena, name);
	for (char *at = file; *at; at++) /* files have dashes where their authors wrote them */
		if (*at == '_' && (text_starts(name, "vfio_pci") || text_starts(name, "snd_")))
			*at = '-';
	bool up = text_starts(folder, "../");
	image_file(&of->image,
	        arena_printf(of->image.arena, "usr/lib/modules/%s/kernel/%s%s/%s.ko", of->kernel, up ? "" : "drivers/",
	                up ? folder + 3 : folder, file),
	        0644, (struct bytes){ "", 0 });
}

static void put_script(struct description *of, const char *name)
{
	const char *path = arena_printf(of->image.arena, "scripts/%s", name);
	image_file(&of->image, path, 0755, (struct bytes){ "#!/bin/sh\n", 10 });
	if (text_starts(name, "init-top/"))
		of->order = arena_printf(of->image.arena,
		        "%s/scripts/%s \"$@\"\n[ -e /conf/param.conf ] && . /conf/param.conf\n", of->order, name);
}

/* What the file statement of a description has below it: lines with one more tab. */
static struct bytes inner_body(const struct description *of, size_t *cursor)
{
	struct bytes body = of->line->body, one;
	char *text = arena_alloc(of->image.arena, body.size - *cursor + 2), *out = text;
	for (size_t at = *cursor; text_line(body, &at, &one) && (one.size == 0 || one.data[0] == '\t'); *cursor = at) {
		if (one.size)
			out = mempcpy(out, one.data + 1, one.size - 1);
		*out++ = '\n';
	}
	while (out - text > 1 && out[-1] == '\n' && out[-2] == '\n')
		out--;
	return (struct bytes){ text, (size_t)(out - text) };
}

static bool describe(struct description *of)
{
	struct bytes one;
	for (size_t cursor = 0; text_line(of->line->body, &cursor, &one);) {
		struct words words = text_split(of->image.arena, text_trimmed(of->image.arena, one), " \t");
		if (!words.n)
			continue;
		const char *kind = words.word[0];
		if (words.n == 2 && strcmp(kind, "file") == 0 && strlen(words.word[1]) <= MACHINE_PATH_MAX)
			image_file(&of->image, words.word[1], 0644, inner_body(of, &cursor));
		else if (words.n == 2 && strcmp(kind, "script") == 0 && strlen(words.word[1]) <= 80)
			put_script(of, words.word[1]);
		else if (words.n >= 2 && strcmp(kind, "module") == 0)
			for (size_t i = 1; i < words.n; i++)
				put_module(of, words.word[i]);
		else
			return machine_fail(of->line, of->growth->err,
			        "an initramfs is described by: module NAME..., script init-top/NAME, file PATH");
		if (of->image.size > 16 * 1024 * 1024)
			return machine_fail(of->line, of->growth->err, "the initramfs grows over 16 MiB");
	}
	return true;
}

/* What update-initramfs would freeze now: modprobe.d, and the modules of /etc/initramfs-tools/modules. */
static void freeze(struct description *of, int64_t *ret_mtime)
{
	static const char *const folders[] = { "/etc/modprobe.d/", "/usr/lib/modprobe.d/", "/lib/modprobe.d/" };
	const struct tree *tree = &of->growth->tree;
	for (size_t i = 0; i < tree->n; i++) {
		const struct tree_node *node = tree->all[i];
		if (!node->there || !node->entry.has_data)
			continue;
		bool ours = strcmp(node->entry.path, "/etc/initramfs-tools/modules") == 0;
		if (ours)
			image_file(&of->image, "conf/modules", 0644, node->entry.data);
		for (size_t f = 0; f < 3; f++)
			if (text_starts(node->entry.path, folders[f]) && text_ends(node->entry.path, ".conf")) {
				image_file(&of->image, node->entry.path, 0644, node->entry.data);
				ours = true;
			}
		if (ours && node->entry.stat.mtime >= *ret_mtime)
			*ret_mtime = node->entry.stat.mtime + 60;
	}
	struct tree_node *modules = tree_find(tree, "/etc/initramfs-tools/modules");
	struct bytes one;
	for (size_t cursor = 0; modules && text_line(modules->entry.data, &cursor, &one);) {
		struct words words = text_split(of->image.arena, text_trimmed(of->image.arena, one), " \t");
		if (words.n && words.word[0][0] != '#' && !strchr(words.word[0], '/'))
			put_module(of, words.word[0]);
	}
}

/* "/boot/initrd.img-6.8.12-10-pve", ".../EFI/proxmox/6.8.12-10-pve/initrd.img-6.8.12-10-pve" */
static const char *kernel_of(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	return text_starts(name, "initrd.img-") ? name + strlen("initrd.img-") : name;
}

bool machine_make_image(const struct machine_line *line, const char *path, struct machine_growth *growth)
{
	struct description of = { .line = line,
		.growth = growth,
		.kernel = kernel_of(path),
		.order = "",
		.image = { .arena = growth->tree.arena } };
	struct tree_node *node = tree_find(&growth->tree, path);
	int64_t mtime = node->entry.stat.mtime;
	bool fresh = false;
	for (size_t i = 1; i < line->n; i++)
		fresh |= strcmp(line->word[i], "fresh") == 0;
	image_file(&of.image, "kernel/x86/microcode/.enuineIntel.align.0123456789abc", 0644, (struct bytes){ "", 0 });
	image_end(&of.image);
	of.image.folders = (struct map){ 0 };
	image_file(&of.image, "init", 0755, (struct bytes){ "#!/bin/sh\n", 10 });
	image_file(&of.image, "conf/initramfs.conf", 0644, (struct bytes){ "MODULES=most\n", 13 });
	if (!describe(&of))
		return false;
	if (fresh)
		freeze(&of, &mtime);
	if (*of.order)
		image_file(&of.image, "scripts/init-top/ORDER", 0644, (struct bytes){ of.order, strlen(of.order) });
	image_end(&of.image);
	growth->tree.work += of.image.size + growth->tree.n * 16;
	if (growth->tree.work > MACHINE_WORK_MAX)
		return machine_fail(line, growth->err, "the machine's images are too many or too large");
	node = tree_data(&growth->tree, path, 0644, (struct bytes){ of.image.data, of.image.size });
	node->entry.stat.mtime = mtime;
	return true;
}

struct bytes machine_pack_image(const struct machine_frozen *frozen, struct arena *arena)
{
	struct description of = { .kernel = frozen->kernel, .order = "", .image = { .arena = arena } };
	image_file(&of.image, "kernel/x86/microcode/.enuineIntel.align.0123456789abc", 0644, (struct bytes){ "", 0 });
	image_end(&of.image);
	of.image.folders = (struct map){ 0 };
	image_file(&of.image, "init", 0755, (struct bytes){ "#!/bin/sh\n", 10 });
	for (size_t i = 0; i < frozen->n_files; i++)
		image_file(&of.image, frozen->files[i].path,
		        text_starts(frozen->files[i].path, "scripts/") ? 0755 : 0644, frozen->files[i].data);
	for (size_t i = 0; i < frozen->modules.n; i++)
		put_module(&of, frozen->modules.word[i]);
	image_end(&of.image);
	return (struct bytes){ of.image.data, of.image.size };
}
