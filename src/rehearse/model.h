/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Private to src/rehearse: the machine that behaves. model.c holds its files and what of them is on disk, model_world.c
 * the doors (world_ops, world_changes) and the commands' way in, kernel.c sysfs and modules, boot.c power, commands.c
 * the node's programs, pve.c qm, pct, pvesh and the guests. rehearse.c is what the header of all this promises.
 */
#pragma once
#include "facts/facts.h"
#include "rehearse/machine_model.h"
#include "rehearse/rehearse.h"

/* ---- files ---- */

enum model_keep {
	KEEP_DISK,    /* a file system: what was synced survives a power cut */
	KEEP_AT_ONCE, /* pmxcfs: every change is on disk when it returns */
	KEEP_NOT,     /* /proc, /sys, /dev, /run, /tmp: begin anew with each boot */
};

struct model_disk;
struct model_names {
	struct model_name {
		const char *name;
		struct model_inode *inode; /* NULL: known to be absent */
	} * name;                          /* sorted by bytes */
	size_t n, room;
};

struct model_inode {
	struct world_stat stat;
	enum model_keep keep;
	int error;     /* of reading it, as recorded: there but unreadable */
	bool has_data; /* a file whose bytes are known */
	bool listed;   /* a directory: what has no name in it is absent, else unknown */
	struct bytes data;
	const char *link;
	int open_error; /* of a device node; -1: nobody knows */
	struct model_names names;
	struct model_inode *parent;
	struct model_disk *disk;     /* whose root it is; NULL: none's */
	struct model_inode *mounted; /* on this directory: the root of another tree */
	/* what is on disk; on_disk false: never synced, after a cut an empty file or directory */
	bool on_disk;
	bool disk_has_data;
	struct bytes disk_data;
	struct world_stat disk_stat;
	struct model_names disk_names;
};

/* A file system that is not part of the tree until it is mounted: an ESP. */
struct model_disk {
	const char *uuid, *node; /* "1A2B-3C4D", "/dev/nvme0n1p2" */
	struct model_inode *root;
	struct model_inode *at; /* the directory it is mounted on, or NULL */
	const char *where;      /* its path */
	const char *mode;       /* "uefi", "grub"; NULL: no loader's */
};

struct model_fault {
	enum rehearse_fault fault;
	const char *pattern;
	int error;
	unsigned first, matched; /* it begins with this match; how many there were */
	unsigned times;
	bool for_ever, came;
	rehearse_other *other;
	void *data;
};

struct model_program {
	const char *name;
	rehearse_program *run;
	void *data;
};

struct rehearse {
	struct arena *arena;
	struct tape *tape; /* as it was recorded; other targets and unknown commands are answered from it */
	struct tape_target *recorded;
	struct world *replay; /* the recorded node: its commands' answers */
	struct model_inode *root;
	struct world world;
	int64_t clock, booted; /* seconds since 1970; the clock goes on by one with each effect */
	unsigned long boots;
	enum rehearse_power power;
	unsigned long effects, cut; /* cut 0: never */
	const char *effect;         /* the last one's name */
	struct model_fault *faults;
	size_t n_faults;
	struct model_program *programs;
	size_t n_programs;
	struct words locks; /* paths that are locked */
	bool loading;       /* directories made on the way are not known to hold nothing else */
	struct model_disk *disks;
	size_t n_disks;
	struct kernel_state *kernel; /* kernel.c's */
	struct pve_state *pve;       /* pve.c's */
	struct model_move {
		const char *from, *to;
	} * moves;
	size_t n_moves;
	unsigned next_pid;
};

#define MODEL_PRINT(rehearse, ...) arena_printf((rehearse)->arena, __VA_ARGS__)

/* Counts and names one effect before it is done. 0: do it; EIO: the power is gone; a fault's errno (ETIMEDOUT for one
 * that hangs): do nothing and pass it on. Call it before every change that a program, not the kernel, makes. */
int model_effect(struct rehearse *rehearse, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Does this fault come now? Asked of those of the right kind alone: each match counts. */
bool model_comes(struct model_fault *fault, const char *name);
/* What others were to do just now, they do. */
void model_meanwhile(struct rehearse *rehearse, const char *name);
/* No power, or none any more after the effect where it is cut. */
bool model_dead(struct rehearse *rehearse);

/* Looking; no effect. Links are followed; `last`: that of the last part too. 0; ENOENT; ENODATA: nobody knows; ELOOP.
 */
int model_look(struct rehearse *rehearse, const char *path, bool last, struct model_inode **ret);
/* The same with one answer less: NULL where it is not there or not known. */
struct model_inode *model_find(struct rehearse *rehearse, const char *path);
/* The bytes as a string; NULL: no such file, or unknown. */
const char *model_text(struct rehearse *rehearse, const char *path);
struct model_inode *model_child(const struct model_inode *folder, const char *name);

/* Without an effect: what the kernel does, and what lies in /run and /proc. Folders above are made, what was there is
 * replaced; the bytes are kept as they are. On disk at once where it lies on one. NULL: the path leads nowhere. */
struct model_inode *model_set(
        struct rehearse *rehearse, const char *path, enum node_type type, unsigned mode, struct bytes data);
struct model_inode *model_set_text(struct rehearse *rehearse, const char *path, unsigned mode, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
struct model_inode *model_set_link(struct rehearse *rehearse, const char *path, const char *target);
/* A link from one absolute path to another, relative as in sysfs. */
struct model_inode *model_set_relative(struct rehearse *rehearse, const char *path, const char *target);
void model_drop(struct rehearse *rehearse, const char *path); /* with all below; not there: nothing */

/* Takes it out of the tree, to be given back elsewhere or later; NULL: not there. */
struct model_inode *model_take(struct rehearse *rehearse, const char *path);
bool model_give(struct rehearse *rehearse, const char *path, struct model_inode *inode);

/* With an effect each, as the changes of a world (sys/world.h): what programs do. 0 or errno. */
int model_put(struct rehearse *rehearse, const char *path, struct bytes content, const struct world_owner *owner);
int model_append(struct rehearse *rehearse, const char *path, struct bytes content);
int model_sync(struct rehearse *rehearse, const char *path);
int model_rename(struct rehearse *rehearse, const char *from, const char *to);
int model_remove(struct rehearse *rehearse, const char *path);
int model_mkdir(struct rehearse *rehearse, const char *path, unsigned mode);
int model_symlink(struct rehearse *rehearse, const char *target, const char *path);
int model_sync_all(struct rehearse *rehearse);
/* One effect of that name: the file's new content, at once on disk: how pmxcfs changes (content.data NULL: removes it).
 */
int model_commit(struct rehearse *rehearse, const char *path, struct bytes content, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* A write to sysfs, with its effect: kernel.c. What a program in the rehearsal does with a device goes through here. */
int model_attribute(struct rehearse *rehearse, const char *path, const char *value);

/* ---- what is on disk ---- */

/* All that lies below is on disk now. */
void model_settle(struct rehearse *rehearse, struct model_inode *inode);
/* Back to what is on disk: what a power cut leaves of what was not synced. */
void model_lose(struct rehearse *rehearse, struct model_inode *inode);
/* Fills the tree with the recorded node. */
bool model_load(struct rehearse *rehearse, struct err *err);
/* A directory that is taken to be on every node, or one above it. */
bool model_is_usual(const char *path);
/* Mounts a disk there; EBUSY, ENOENT. Only the tree: /proc/mounts is the caller's. */
int model_mount(struct rehearse *rehearse, struct model_disk *disk, const char *path);
void model_unmount(struct model_disk *disk);

/* A number at the beginning of a text, as C's atoi reads it; 0 where there is none. For what the machine itself wrote.
 */
unsigned model_number(const char *text);
/* Hex numbers with separators between: how many were read, at most n, up to the first that is none. */
size_t model_hex(struct arena *arena, const char *text, const char *separators, unsigned *const *ret, size_t n);

/* ---- commands ---- */

struct model_call {
	struct rehearse *rehearse;
	const char *const *argv; /* argv[0] without a folder */
	size_t n;                /* words, argv[0] included */
	struct bytes input;
	const char *line; /* all words as one, for names of effects */
	const char *out, *err;
	int error; /* set (EIO, ETIMEDOUT): the command never ended, whatever it returned */
};

void model_out(struct model_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
void model_err(struct model_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Returns the exit status, or MODEL_AS_RECORDED: this form of it is answered by the tape, if that knows it. An errno
 * of a model_ function that is EIO or ETIMEDOUT goes to call->error by model_failed. */
typedef int model_command_fn(struct model_call *call);
enum { MODEL_AS_RECORDED = -1 };
struct model_command {
	const char *name; /* argv[0], with a second word where that decides: "systemctl reboot" */
	model_command_fn *run;
};
/* True where error is not 0; a program ends then. Says "what: strerror" to stderr; EIO and ETIMEDOUT end it without a
 * word (the power is gone, or it hangs). */
bool model_failed(struct model_call *call, int error, const char *what);

/* What a command, or a unit's ExecStart, does: as world_run. */
int model_run(struct rehearse *rehearse, const struct command *command, struct arena *arena, struct outcome *ret);
extern const struct world_ops model_ops;
extern const struct world_changes model_changes;

extern const struct model_command model_node_commands[]; /* commands.c; name NULL at the end */
extern const struct model_command model_pve_commands[];  /* pve_qm.c: qm, pct, pvesh, and what else PVE brings */

/* Runs another program of this machine from inside one ("modprobe vfio-pci"): its status; 127: unknown. */
int model_call_program(struct rehearse *rehearse, struct model_call *caller, const char *const *argv);

/* ---- kernel.c, kernel_module.c ---- */

struct kernel_device {
	const char *address;
	const char *path;     /* "/sys/devices/pci0000:00/..." */
	const char *recorded; /* its driver in the recording; NONE: none */
	const char *modalias; /* NULL: not recorded */
	unsigned vendor, device, subvendor, subdevice, class_code;
	bool bridge;
	const char *group; /* NONE: it was in none; kept while the IOMMU is off */
	struct kernel_stash {
		const char *driver;
		struct kernel_kept {
			const char *path;
			struct model_inode *inode;
		} * kept;
		size_t n;
	} * stashes; /* what its drivers made of it, for when they get it back */
	size_t n_stashes;
};

struct kernel_id { /* of new_id and of ids= */
	const char *driver;
	unsigned vendor, device, subvendor, subdevice, class_code, mask; /* UINT_MAX: any */
};

struct kernel_state {
	struct kernel_device *devices;
	size_t n;
	struct kernel_id *ids;
	size_t n_ids;
	struct words modules_before; /* loaded in the recording */
	struct bytes iomem, interrupts;
	bool nvidia_recorded; /* NVIDIA's own driver is loaded in the recording */
	bool iommu;           /* groups are there */
	const char *stuck;    /* a driver whose unbind never ended; NULL: none */
};

bool kernel_open(struct rehearse *rehearse, struct err *err);
struct kernel_device *kernel_device(struct rehearse *rehearse, const char *address); /* NULL: none */
/* The driver of a device; NONE: none; NULL: no such device. */
const char *kernel_driver(struct rehearse *rehearse, const char *address);
/* "0000:01:00.0" and what shares its group, bridges left out; empty without an IOMMU. */
struct words kernel_group_devices(struct rehearse *rehearse, const char *address);
/* Moves a device to a driver (NONE: to none) with all that goes with it, as the kernel would: no question asked. */
void kernel_bind(struct rehearse *rehearse, const char *address, const char *driver);
/* At another place, as after a card was added: same parent, no driver. */
void kernel_move(struct rehearse *rehearse, const char *from, const char *to);
void kernel_override(struct rehearse *rehearse, const char *address, const char *driver); /* NONE: cleared */
/* Would this driver take this device: override, dynamic ids, the module's aliases? */
bool kernel_takes(struct rehearse *rehearse, const char *driver, const struct kernel_device *device);
/* kernel_nvidia.c: /proc/driver/nvidia as the module and its cards are now; the nodes that a rule of udev asks for when
 * nvidia_uvm comes; and none of them as a boot begins. Only what a recording cannot tell is made or taken away. */
void kernel_nvidia_settle(struct rehearse *rehearse);
void kernel_nvidia_nodes(struct rehearse *rehearse);
void kernel_nvidia_boot(struct rehearse *rehearse);
/* A registered driver takes what it can of the devices that have none. */
void kernel_attach(struct rehearse *rehearse, const char *driver);
void kernel_add_ids(struct rehearse *rehearse, const char *driver, const char *ids); /* "10de:2803,10de:22bd" */
/* Writes /proc/iomem and /proc/interrupts again. */
void kernel_refresh(struct rehearse *rehearse);
/* Takes the groups away, or puts them back. */
void kernel_set_iommu(struct rehearse *rehearse, bool on);
/* A process that has a path open that begins so; NULL: none. */
const char *kernel_holder(struct rehearse *rehearse, const char *path);

/* Loads a module with what its driver claims then; 0, ENOENT: this kernel has none. */
int kernel_load(struct rehearse *rehearse, const char *module);
int kernel_unload(struct rehearse *rehearse, const char *module); /* EBUSY, ENOENT: not loaded */
bool kernel_loaded(struct rehearse *rehearse, const char *module);
bool kernel_has_module(struct rehearse *rehearse, const char *module);
/* Exactly these are loaded from now on: a boot. */
void kernel_set_modules(struct rehearse *rehearse, const struct words *modules);
/* A module has come: its parameters are what the command line and these files say. */
void kernel_set_parameters(
        struct rehearse *rehearse, const char *module, const char *cmdline, const struct modprobe *modprobe);
/* A process with these files open (blank-separated), in this cgroup; ended by model_drop("/proc/PID"). */
unsigned model_process(struct rehearse *rehearse, const char *name, const char *cgroup, const char *open);

/* ---- boot.c ---- */

/* The ESPs that proxmox-boot-tool keeps. */
bool boot_open(struct rehearse *rehearse, struct err *err);

/* ---- commands_boot.c, commands_package.c ---- */

model_command_fn model_update_initramfs, model_update_grub, model_boot_tool;
model_command_fn model_apt_get, model_apt_mark, model_dpkg;

/* ---- image.c ---- */

/* What update-initramfs would make now for that kernel. */
struct bytes model_fresh_image(struct rehearse *rehearse, const char *version);

/* ---- pve.c ---- */

/* Reads what the tape says of guests (running, pid). */
bool pve_open(struct rehearse *rehearse, struct err *err);
/* After a boot: nothing runs; then guests with onboot start, in order, as pve-guests.service does. */
void model_guests_boot(struct rehearse *rehearse);
/* Before a clean reboot: they are shut down. */
void model_guests_stop(struct rehearse *rehearse);
