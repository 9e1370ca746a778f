/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Private to src/rehearse: a machine as its text says it (statements by target), and the tree of paths it grows into.
 * machine.c reads the text with the tables of machine_device.c, machine_part.c, machine_path.c and machine_command.c,
 * machine_grow.c makes a tape of it, machine_pci.c makes sysfs, machine_system.c the rest of a system, machine_image.c
 * an initramfs; machine_tree.c holds paths.
 */
#pragma once
#include "rehearse/machine.h"

/* ---- names to anything ---- */

struct map {
	struct map_slot {
		const char *key;
		void *value;
	} * slot;
	size_t n, room;
};
void *map_find(const struct map *map, const char *key);
void map_put(struct map *map, struct arena *arena, const char *key, void *value);

/* ---- paths ---- */

struct tree_node {
	struct tape_entry entry;
	struct tree_node *parent, *first, *next;
	bool there;                       /* false: only a name that was once asked for or taken away */
	const struct machine_line *image; /* an initramfs whose bytes are made last */
};

struct tree {
	struct arena *arena;
	struct map nodes;
	struct tree_node **all; /* in the order they were made */
	size_t n;
	int64_t time;  /* mtime of what says none */
	uint64_t work; /* bytes looked at by following links and changing files: a hostile text is refused, not suffered
	                */
};

enum {
	MACHINE_PATH_MAX = 1024,
	MACHINE_DEPTH_MAX = 48,
	MACHINE_NODES_MAX = 200000,
	MACHINE_LINKS_MAX = 40,
	MACHINE_WORK_MAX = 512 * 1024 * 1024
};

/* The node that stands at exactly this path, or NULL. */
struct tree_node *tree_find(const struct tree *tree, const char *path);
/* Puts a node of that type there, in place of what was there; makes the directories above. NULL: there are too many. */
struct tree_node *tree_put(struct tree *tree, const char *path, enum node_type type, unsigned mode);
struct tree_node *tree_data(struct tree *tree, const char *path, unsigned mode, struct bytes data);
struct tree_node *tree_text(struct tree *tree, const char *path, unsigned mode, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
struct tree_node *tree_link(struct tree *tree, const char *path, const char *target);
struct tree_node *tree_device(struct tree *tree, const char *path, enum node_type type, unsigned major, unsigned minor,
        unsigned mode, unsigned gid);
/* A link from one absolute path to another, written relative as the kernel writes them in sysfs. */
struct tree_node *tree_relative_link(struct tree *tree, const char *path, const char *target);
/* Known to be absent from here on, with all below. */
bool tree_remove(struct tree *tree, const char *path);
/* The path with the links on its way followed; `last`: that of the last part too. NULL: a loop, or too much work. */
const char *tree_resolve(struct tree *tree, const char *path, bool last);
/* FOLDER/NAME with one line, mode 0444. */
struct tree_node *tree_attribute(struct tree *tree, const char *folder, const char *name, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* ---- a machine as its text says it ---- */

enum device_key {
	KEY_CLASS,
	KEY_SUBSYSTEM,
	KEY_REVISION,
	KEY_DRIVER,
	KEY_DRIVER_OVERRIDE,
	KEY_GROUP,
	KEY_GROUP_TYPE,
	KEY_PARENT,
	KEY_BOOT_VGA,
	KEY_RESET,
	KEY_POWER,
	KEY_RUNTIME,
	KEY_D3COLD,
	KEY_NUMA,
	KEY_IRQ,
	KEY_BAR0,
	KEY_BAR1,
	KEY_BAR2,
	KEY_BAR3,
	KEY_BAR4,
	KEY_BAR5,
	KEY_ROM,
	KEY_REBAR,
	KEY_FLR,
	KEY_CONFIG,
	KEY_MODALIAS,
	KEY_DRM,
	KEY_FB,
	KEY_NET,
	KEY_BLOCK,
	DEVICE_KEYS
};

struct machine_bar {
	uint64_t start, end, flags; /* end inclusive; flags as the kernel's IORESOURCE_* */
};

struct machine_device {
	const char *address;
	unsigned domain, bus, slot, function;
	unsigned vendor, device;
	const char *value[DEVICE_KEYS]; /* NULL: not said */
	struct machine_bar bar[7];      /* six and the ROM */
	bool removed;
	unsigned line;    /* where it was first named */
	const char *path; /* in sysfs, once the tree is made */
};

/* One statement of the text. Those that name paths and commands are done after all that is implied has been made. */
struct machine_line {
	const struct machine_statement *statement;
	const char *text; /* the machine's name, for messages */
	unsigned line;
	const char **word; /* without the statement's own */
	bool *quoted;      /* by word: it is no option */
	size_t n;
	bool has_body;
	struct bytes body;
};

struct machine_iommu {
	const char *kind, *tables, *cap;
	bool remapping;
	unsigned units;
};

struct machine_container { /* of docker; lists with commas */
	const char *name, *image, *state, *runtime, *gpus, *devices, *groups, *visible, *capabilities;
	bool privileged, gone;
};

enum module_state { MODULE_GONE, MODULE_LOADED, MODULE_BUILTIN };
struct machine_module {
	const char *name;
	enum module_state state;
};

struct machine_package {
	const char *name, *version; /* version NULL: not installed */
};

/* A network interface or a block device that is no PCI device's: bridges, lo, dm-N. */
struct machine_virtual {
	const char *name, *mapper, *on; /* on: ports of a bridge, disks below */
	bool gone;
};

struct machine_guest {
	const char *label; /* "vm/100" */
	bool vm, running, gone;
	unsigned id, pid;
	const char *open; /* paths its process has open */
};

struct machine_process {
	unsigned pid;
	const char *command, *cgroup, *open;
	struct bytes arguments; /* one a line */
};

struct machine_framebuffer {
	const char *name, *driver, *owner;
	uint64_t start, end;
	bool gone;
};

struct machine_target {
	const char *label;
	bool removed;
	struct machine_device **devices; /* by address, once the tree is made */
	size_t n_devices;
	struct map device; /* by address */
	struct machine_line **actions;
	size_t n_actions;
	struct machine_module **modules;
	size_t n_modules;
	struct map names; /* modules, packages, guests, ... by kind and name */
	struct machine_iommu iommu;
	struct machine_guest **guests;
	size_t n_guests;
	struct machine_process **processes;
	size_t n_processes;
	struct machine_framebuffer **framebuffers;
	size_t n_framebuffers;
	struct machine_package **packages;
	size_t n_packages;
	struct machine_virtual **interfaces, **disks;
	const char *docker; /* version; "none", "down", "denied"; NULL: nobody asked */
	const char *docker_cgroup, *docker_runtimes, *docker_root;
	struct machine_container **containers;
	size_t n_containers;
	size_t n_interfaces, n_disks;
	const char *nvidia;      /* version of the module; NULL: not loaded */
	const char *nvidia_user; /* of the libraries; NULL: none */
	bool nvidia_open, nvidia_uvm;
};

struct machine {
	struct arena *arena;
	int64_t time;
	struct machine_target **targets;
	size_t n;
};

/* One target growing into a tape. */
struct machine_growth {
	const struct machine *machine;
	struct machine_target *target;
	struct tree tree;
	struct map answers; /* of commands, by their words: the struct tape_run */
	struct tape_run **answer;
	size_t n_answers;
	struct err *err;
};

/* Fails with "NAME:LINE: ...". */
bool machine_fail(const struct machine_line *line, struct err *err, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* What a command answered, unless the text said otherwise: words without blanks in them. */
void machine_answer(struct machine_growth *growth, const char *command, int status, const char *out);
/* The same with a message; error NULL: there is no such program. */
void machine_answer_error(struct machine_growth *growth, const char *command, int status, const char *error);

/* machine_pci.c: /sys/bus/pci, /sys/devices, groups, IOMMU, class folders, /dev/dri, /proc/iomem, /proc/interrupts. */
bool machine_make_pci(struct machine_growth *growth);
/* machine_system.c, before the statements are done: modules, network, disks, processes, packages, NVIDIA's files. */
void machine_make_system(struct machine_growth *growth);
/* machine_system.c, after them: what qm, pct, nvidia-smi and docker say, unless the text did. */
void machine_make_answers(struct machine_growth *growth);
/* machine_image.c: an image from its description; `fresh`: with the modprobe.d and modules of the tree. */
bool machine_make_image(const struct machine_line *line, const char *path, struct machine_growth *growth);

/* An image packed anew from what it shall hold. */
struct machine_frozen {
	const char *kernel;   /* version */
	struct words modules; /* names with _ */
	struct machine_frozen_file {
		const char *path; /* without a leading slash */
		struct bytes data;
	} * files;
	size_t n_files;
};
struct bytes machine_pack_image(const struct machine_frozen *frozen, struct arena *arena);

/* machine_grow.c: gid of a group in what the target will have as /etc/group. */
unsigned machine_gid(const struct machine_target *target, const char *group, unsigned otherwise);
/* The kernel's name of the module of a driver ("xhci_hcd" -> "xhci_pci"); "" for one that is never a module. */
const char *machine_module(const char *driver, struct arena *arena);
/* Has this device a driver that makes DRM nodes? */
bool machine_draws(const struct machine_device *device);
/* "name: value" lines, as in a guest's file, above its first section. NULL: not there. */
const char *machine_value(struct bytes text, const char *key, struct arena *arena);
