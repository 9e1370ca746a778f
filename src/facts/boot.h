/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How the machine booted, how it will boot next, and what that boot will find.
 * Sources: pve-docs system-booting.adoc; proxmox-boot-tool; systemd boot loader interface (LoaderInfo); grub-mkconfig.
 */
#pragma once
#include "facts/initramfs.h"

enum loader { LOADER_UNKNOWN, LOADER_GRUB, LOADER_SYSTEMD_BOOT };

struct cmdline_word { /* of a file that feeds the next command line */
	const char *word;
	const char *file;
	unsigned line;
};

struct esp {
	const char *uuid;     /* "1234-ABCD" */
	const char *mode;     /* "uefi" (systemd-boot), "grub", "uefi+grub" (made for both); NULL unknown */
	struct words kernels; /* versions it holds, as proxmox-boot-tool status says */
	enum tri mounted;
	const char *mountpoint; /* NONE: not mounted, so what it holds cannot be seen */
	int64_t free_kib;       /* mounted or not: then fsck.fat counts its clusters, reading only */
};

struct kernel {
	const char *version;                /* "6.8.12-4-pve" */
	enum tri headers;                   /* /usr/src/linux-headers-VERSION (proxmox-headers) is there */
	const struct initramfs **initramfs; /* of this kernel: /boot's and each ESP's */
	size_t n_initramfs;
	struct words builtin; /* of /lib/modules/VERSION/modules.builtin, names with _ */
	enum tri builtin_known;
	struct bytes aliases; /* modules.alias lines that matter (display, audio, vfio); size 0: unknown */
};

/* A file that steers the boot, as it stands: what a plan may have to change, byte for byte. */
struct boot_file {
	const char *path;
	int error; /* of reading it; 0 */
	struct bytes data;
	unsigned mode, uid, gid;
};

struct boot_folder { /* where a plan may write */
	const char *path;
	enum tri there;
	struct words names; /* what stands in it */
};

struct file_system {    /* a line of `df -Pk` */
	const char *on; /* where it is mounted */
	int64_t size_kib, free_kib;
};

struct boot {
	const char *boot_id; /* of this boot */
	/* /etc/kernel/cmdline, /etc/default/grub and its grub.d, modprobe.d, modules, modules-load.d, initramfs-tools'
	 * modules, conf.d, hooks and scripts/init-top, udev's own rules; those that are there, by path */
	struct boot_file *files;
	size_t n_files;
	/* the folders of those, and systemd's own with its *.wants and *.requires */
	struct boot_folder *folders;
	size_t n_folders;
	struct file_system *file_systems;
	size_t n_file_systems;    /* 0: unknown */
	const char *kernel;       /* running */
	const char *cmdline;      /* in effect, /proc/cmdline */
	enum loader loader;       /* the one that really booted this machine and will again */
	const char *loader_why;   /* by what it was told */
	const char *loader_info;  /* efivar LoaderInfo: "systemd-boot 252.5-2"; NONE: not set */
	const char *boot_current; /* efivar BootCurrent's entry text, if readable */
	enum tri efi, secure_boot;
	enum tri dkms_key; /* Secure Boot trusts DKMS's own key; UNKNOWN too where Secure Boot is not on */
	enum tri proxmox_boot_tool; /* configured: /etc/kernel/proxmox-boot-uuids */
	struct esp *esps;
	size_t n_esps;
	/* what the next boot gets, as far as configuration tells */
	const char *cmdline_file; /* that counts: "/etc/default/grub", "/etc/kernel/cmdline" */
	const char *cmdline_next; /* computed from the files that count; GRUB: without the "root=... ro" that
	                           * grub-mkconfig puts in front; NULL where a file does more than set it plainly */
	const char
	        *cmdline_generated; /* what the entry that boots next really says: grub.cfg's default, or the entry on a
	                             * mounted ESP; differs until update-grub or proxmox-boot-tool refresh ran */
	struct cmdline_word *next_words;
	size_t n_next_words;
	/* configured in a file that this loader does not read: pains.md 1 */
	const char *other_file;
	const char
	        *other_cmdline;  /* its words about IOMMU, vfio, modules and GPUs; NONE: no such words, NULL: unknown */
	const char *kernel_next; /* boots next: pinned, GRUB_DEFAULT, else the newest */
	const char *kernel_pinned; /* proxmox-boot-tool kernel pin; NONE: none */
	struct kernel *kernels;    /* /boot's, newest first, 256 at most */
	size_t n_kernels;
	enum tri kernels_known;
	struct initramfs *initramfs; /* all that were found */
	size_t n_initramfs;
	struct modprobe modprobe;          /* as configured now: /etc, and the words of cmdline_next, else cmdline */
	struct modprobe initramfs_modules; /* /etc/initramfs-tools/modules */
	int64_t config_mtime; /* the newest of modprobe.d, initramfs-tools: an initramfs older than this is suspect */
	const char *config_newest; /* that file */
};

/* `proxmox-boot-tool status` is asked of recordings only: it mounts every ESP and makes folders for that, so it is no
 * reading command. initramfs images are read (to 512 MiB) for the kernel that boots next and the running one. */
/* every_kernel: read the initramfs of older kernels too (they are the way back); else of the next and the running one.
 */
void boot_gather(
        struct world *world, bool every_kernel, struct arena *arena, struct boot *ret, blind_fn *blind, void *data);
/* boot_files.c's part: files, folders, file_systems and boot_id. What is not there, or not known, is not listed. */
void boot_gather_files(struct world *world, struct arena *arena, struct boot *ret, blind_fn *blind, void *data);
/* How this machine was booted: kernel, command line in effect, firmware and loader. */
void boot_gather_loader(struct world *world, struct arena *arena, struct boot *ret, blind_fn *blind, void *data);
/* Only the kernel's version and command line in effect. */
void boot_gather_running(struct world *world, struct arena *arena, struct boot *ret, blind_fn *blind, void *data);

const struct kernel *boot_kernel(const struct boot *boot, const char *version);
/* NULL: not there, or not known. */
const struct boot_file *boot_file_at(const struct boot *boot, const char *path);
/* Is it there: one of these folders, or what stands in one? UNKNOWN elsewhere too. */
enum tri boot_there(const struct boot *boot, const char *path);
/* Free space of the file system that a path lies on; UNKNOWN_NUMBER. */
int64_t boot_free_kib(const struct boot *boot, const char *path);
/* What `fsck.fat -n -v` of dosfstools 4.2 says: "4096 bytes per cluster", "PATH: N files, USED/ALL clusters";
 * UNKNOWN_NUMBER: it says neither. */
int64_t boot_parse_fat(struct bytes text);

/* Pure parts. */
/* `df -Pk` (POSIX): adds to file_systems; lines of another form are left out. */
void boot_parse_df(struct bytes text, struct arena *arena, struct boot *ret);
/* The words of a command line; double quotes keep blanks together, as lib/cmdline.c does. */
struct words boot_cmdline_words(const char *cmdline, struct arena *arena);
/* The value of the last NAME=value; "" for a bare NAME; NULL: not there. - and _ are the same in module words. */
const char *boot_cmdline_value(const char *cmdline, const char *name, struct arena *arena);
bool boot_cmdline_has(const char *cmdline, const char *word);
/* /etc/default/grub and its grub.d drop-ins, called for one after the other, as sh would set the variables: quotes,
 * comments, $VAR, conditions. Every assignment is kept; the last one of a name counts. value NULL: not to be told
 * without running it (command substitution, a condition, another program's variable). Begin with certain = true; it
 * becomes false where any variable may be different (a file that is sourced, eval, a function, an open quote, VAR+=
 * that Debian's sh does not know and fails on). Limits: 16 KiB a value, 1024 assignments. */
struct grub_variable {
	const char *name, *value, *file;
	unsigned line;
};
struct grub_defaults {
	struct grub_variable *variable;
	size_t n;
	bool certain;
};
void boot_parse_grub(struct bytes text, const char *file, struct arena *arena, struct grub_defaults *ret);
const char *boot_grub_value(const struct grub_defaults *defaults, const char *name); /* NULL: not set, or unknown */
bool boot_grub_unknown(const struct grub_defaults *defaults, const char *name);      /* set, to something unknown */
/* Which kernel and words grub.cfg boots by default; environment is grubenv's text. False: cannot be told. */
struct grub_entry {
	const char *title, *id;
	const char *kernel;  /* "/boot/vmlinuz-6.8.12-4-pve" */
	const char *version; /* "6.8.12-4-pve" */
	const char *cmdline; /* behind the kernel */
};
bool boot_parse_grub_menu(struct bytes menu, struct bytes environment, struct arena *arena, struct grub_entry *ret);
/* proxmox-boot-tool status: adds to esps, or fills those with the same uuid; 8 at most. */
void boot_parse_pbt_status(struct bytes text, struct arena *arena, struct boot *ret);
/* An efivar's UTF-16 text behind its 4 attribute bytes. */
const char *boot_efivar_text(struct bytes raw, struct arena *arena);
/* An efivar Boot####: "proxmox \\EFI\\proxmox\\shimx64.efi"; NULL: damaged. UEFI 2.10, 3.1.3 EFI_LOAD_OPTION. */
const char *boot_efivar_entry(struct bytes raw, struct arena *arena);
