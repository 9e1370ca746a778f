/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The parts of the computed boot, shared by predict*.c alone.
 */
#pragma once
#include "facts/predict.h"

/* A device on its way through one boot. */
struct boot_device {
	const struct pci_device *pci;
	struct gpu_model model;     /* of display controllers */
	struct words modules;       /* that match it, in modules.alias' order; names with _ */
	const char *override;       /* driver_override of this boot; NULL: none */
	const char *override_by;    /* the script that writes it */
	bool claimed;               /* a driver has it */
	bool lost;                  /* cannot be told from here on */
	const char *driver, *stage; /* as struct predicted */
	const char *why;
	struct words rivals;
};

struct loaded {
	const char *module;   /* with _ */
	const char *ids;      /* of vfio_pci and pci_stub, as they were when it was loaded; NULL: none */
	const char *ids_from; /* where that stands: "etc/modprobe.d/vfio.conf", "command line" */
	struct words before;  /* what was surely loaded before it, by softdep */
	struct words ahead;   /* what everyone who asks for it has asked for before it, and their softdeps */
	const char *stage;
	const char *by; /* "conf/modules", "/etc/modules"; NULL: a device's alias, or a softdep */
	unsigned chain; /* of those that one process loads one after the other; 0: in no such chain */
};

struct boot_run {
	const struct facts *facts;
	struct arena *arena;
	const struct kernel *kernel;
	const char *cmdline;
	const struct initramfs *image;
	enum tri iommu;
	struct boot_device *devices; /* all, by address */
	size_t n;
	struct loaded *loaded;
	size_t n_loaded;
	const char *foreign; /* a script or install line whose effect is not known; NULL: none */
	const char *blind;
};

/* ---- predict_match.c ---- */
/* "pci:v000010DEd...": the device's own, else made of its ids; NULL: ids unknown. */
const char *predict_modalias(const struct pci_device *device, struct arena *arena);
/* The modules of this kernel that match each device; devices' `modules`. */
void predict_modules(struct boot_run *run);
/* Does a vendor:device[:subvendor[:subdevice[:class[:mask]]]] list, as vfio-pci and pci-stub read it, name it? */
bool predict_ids_name(const char *ids, const struct pci_device *device, struct arena *arena);
/* Will this module's probe take this device? config: what the loading stage sees. */
enum tri predict_takes(const struct boot_run *run, const struct loaded *loaded, const struct modprobe *config,
        const struct boot_device *device);
bool predict_display(const struct pci_device *device);
bool predict_audio(const struct pci_device *device);

bool predict_has(const struct words *words, const char *word);
void predict_push_once(struct words *words, const char *word, struct arena *arena);

/* ---- predict_load.c ---- */
struct stage {
	struct boot_run *run;
	const struct modprobe *config;
	const char *name; /* "initramfs", "root" */
	size_t first;     /* of run->loaded: those of this stage that have not looked for devices yet */
	const char *by;   /* who loads by name; NULL: udev, by aliases */
	unsigned chain;
	struct words visited; /* in one request: libkmod looks at each module once */
	struct words ahead;   /* what the device whose turn it is has asked for already */
};
bool predict_is_builtin(const struct boot_run *run, const char *module);
bool predict_refused(const struct boot_run *run, const char *module); /* by the kernel, whoever asks */
/* Loads by name, with what goes before it; rest: its parameters, or NULL; blacklist: it holds for this name too. */
void predict_load_name(struct stage *stage, const char *name, const char *rest, bool blacklist);
/* What udev loads for all devices there are. */
void predict_coldplug(struct stage *stage);

/* ---- predict_stage.c ---- */
void predict_builtin(struct boot_run *run, const struct modprobe *config);
void predict_initramfs(struct boot_run *run, const struct modprobe *config, const struct modprobe *root);
void predict_root(struct boot_run *run, const struct modprobe *config);

/* ---- predict_script.c ---- */
struct script_bind {
	const char *address, *driver;
	int64_t vendor, device, subsystem_vendor, subsystem_device, class_code; /* UNKNOWN_NUMBER: not asked */
};
struct script {
	struct script_bind *binds;
	size_t n;
	struct words modules; /* that it loads by name */
	bool ours;            /* obeys gpuferry=off, probes what it has bound */
	bool foreign;         /* does something to drivers that is not understood */
};
void predict_script(const char *name, struct bytes text, struct arena *arena, struct script *ret);
/* Does a line of udev's rules give this device away, or load vfio-pci, whose ids= name it? */
bool predict_rule_concerns(const char *line, const struct pci_device *pci, const char *ids, struct arena *arena);

/* ---- predict_iommu.c ---- */
enum tri predict_iommu(const struct facts *facts, const char *kernel, const char *cmdline, struct arena *arena);
