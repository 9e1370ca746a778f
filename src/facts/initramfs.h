/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What an initramfs froze: its modprobe.d, the modules it holds and loads, its early scripts. Read with libarchive
 * from memory: concatenated cpio archives (early microcode first), each plain or gzip, zstd, xz, lz4, bzip2, lzma.
 */
#pragma once
#include "facts/modprobe.h"

struct initramfs_file {
	const char *path;  /* "etc/modprobe.d/vfio.conf", without a leading slash */
	struct bytes data; /* only of configuration and scripts */
};

struct initramfs {
	const char *path;   /* "/boot/initrd.img-6.8.12-4-pve", or below a mounted ESP */
	const char *place;  /* "/boot" or "ESP 1234-ABCD" */
	const char *kernel; /* version the name carries */
	enum tri known;     /* could be read whole */
	const char *why;    /* when not */
	int64_t mtime;
	struct modprobe modprobe;     /* its etc/modprobe.d, lib/modprobe.d and conf/modules */
	struct words modules;         /* module names it holds, with _ */
	struct words early_scripts;   /* scripts/init-top in the order of their ORDER file, as far as known */
	struct initramfs_file *files; /* configuration and scripts, by path */
	size_t n_files;
};

/* Parses an image; ret's path, place and kernel are the caller's to fill. False: not an initramfs, cut, or over the
 * limits (1 GiB unpacked, 200,000 entries, 1 MiB for one configuration file and 32 MiB for all); err says which. A
 * compressed part reaches to the image's end. Of two files with one path the later counts, as for the kernel. */
bool initramfs_parse(struct bytes image, struct arena *arena, struct err *err, struct initramfs *ret);
/* The same image with only what initramfs_parse keeps: a plain cpio (newc), for tapes. Parses to the same struct. */
bool initramfs_reduce(struct bytes image, struct arena *arena, struct err *err, struct bytes *ret);
bool initramfs_holds(const struct initramfs *initramfs, const char *module);
