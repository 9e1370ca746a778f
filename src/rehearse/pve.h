/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Private to pve*.c: Proxmox VE on the machine that behaves. pve_arguments.c a command's words, pve_config.c
 * guest files, pve_qm.c the two programs, pve_change.c set and create, pve_snapshot.c what both do with snapshots,
 * pve_disk.c volumes, pve_run.c starting and stopping, pve_pci.c what a VM does with the node's devices, pve_show.c
 * QEMU's command line, pve_pvesh.c the API's own client. Sources: qemu-server, pve-container, pve-guest-common,
 * pve-common (JSONSchema.pm, SysFSTools.pm, RESTHandler.pm, CLIFormatter.pm), pve-manager; what they print is held
 * against recorded sessions by tests/test_transcripts.c.
 */
#pragma once
#include "base/json.h"
#include "facts/pve.h"
#include "facts/pve_options.h"
#include "rehearse/model.h"

/* What PVE's programs end with; they are not stable in PVE itself (errno of whatever failed last): only zero counts. */
enum { PVE_DIED = 255, PVE_NO_FILE = 2, PVE_USAGE = 2 };

struct pve_state {
	unsigned made; /* for what PVE makes at random: uuids, hardware addresses */
	int version;   /* of PVE; 0: not looked up yet */
};

/* ---- a command's words (pve_arguments.c) ---- */

struct pve_argument {
	const struct pve_option *option;
	const char *name, *value;
};
struct pve_arguments { /* sorted by name */
	struct pve_argument *argument;
	size_t n;
	const char *const *rest; /* behind -- */
	struct words plain;      /* without a name: the vmid first */
};
/* Reads the words behind the command ("qm set": 2 words). False: said why, and *status is what it ends with. */
bool pve_arguments(struct model_call *call, const char *command, size_t plain, struct pve_arguments *ret, int *status);
const char *pve_argument(const struct pve_arguments *arguments, const char *name); /* NULL: not given */
unsigned pve_id(const char *text);                                                 /* 0: none */

/* ---- guest files (pve_config.c) ---- */

struct pve_key {
	const char *name, *value;
};
struct pve_part {
	const char *name; /* of a snapshot */
	const char *text; /* description, url-encoded; NULL: none */
	struct pve_key *key;
	size_t n;
	struct words lxc; /* "lxc.idmap: u 0 100000 44", in their order */
};
struct pve_file {
	enum guest_kind kind;
	unsigned id;
	const char *path, *digest;
	struct pve_part active, pending;
	struct pve_part *snapshot;
	size_t n_snapshots;
	const char *kept; /* other sections, as they stand */
};

/* False: said why (there is no such guest, or it cannot be read). Lines that PVE cannot parse are warned about, and
 * gone at the next store. */
bool pve_load(struct model_call *call, enum guest_kind kind, unsigned id, struct pve_file *ret);
/* One effect. False: call->error is set, or it said why. */
bool pve_store(struct model_call *call, const struct pve_file *file);
const char *pve_text(const struct pve_file *file, struct arena *arena); /* as it is written */
const char *pve_get(const struct pve_part *part, const char *name);
void pve_put(struct arena *arena, struct pve_part *part, const char *name, const char *value); /* NULL: removes it */
struct pve_part pve_copy(struct arena *arena, const struct pve_part *part);
/* The active part as the next start will have it. */
struct pve_part pve_merged(struct arena *arena, const struct pve_file *file);
struct words pve_deleted(const struct pve_file *file, struct arena *arena); /* keys below "delete" in pending */
void pve_delete_later(struct arena *arena, struct pve_file *file, const char *name, bool really);
struct pve_part *pve_snapshot(struct pve_file *file, const char *name);
/* "key: value" lines as qm config prints them. */
void pve_print(struct model_call *call, const struct pve_part *part);
void pve_print_pending(struct model_call *call, const struct pve_file *file);
/* 40 hex digits. */
const char *pve_sha1(const char *text, struct arena *arena);
const char *pve_node(struct rehearse *rehearse); /* this node's name */
int pve_version(struct rehearse *rehearse);      /* 8, 9 */
const char *pve_package(struct rehearse *rehearse, const char *name);
/* All guests' ids of that kind on this node, ascending; GUEST_UNKNOWN: of both kinds. */
size_t pve_ids(struct rehearse *rehearse, enum guest_kind kind, unsigned **ret);
const char *pve_uuid(struct rehearse *rehearse);
const char *pve_mac(struct rehearse *rehearse);
/* "VM is locked (backup)", said; true if it is. */
bool pve_locked(struct model_call *call, const struct pve_file *file);
int pve_die(struct model_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* qm set and pct set, after the arguments. */
int pve_update(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id);
int pve_create(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id);
/* What waits is in effect now; not stored. */
void pve_apply_pending(struct arena *arena, struct pve_file *file);

/* ---- volumes (pve_disk.c) ---- */

/* "local:1,format=qcow2" becomes a volume: said and counted. NULL: it failed (said). Anything else stays. */
const char *pve_disk(struct model_call *call, struct pve_file *file, const char *key, const char *value);
void pve_disk_free(struct model_call *call, const struct pve_file *file);
double pve_disk_gib(const struct pve_part *part); /* of the one that boots */

/* ---- running (pve_run.c) ---- */

unsigned pve_pid(struct rehearse *rehearse, enum guest_kind kind, unsigned id); /* 0: it does not run */
int pve_start(struct model_call *call, enum guest_kind kind, unsigned id);
/* asked: the guest is asked to, and may not. */
int pve_stop(struct model_call *call, enum guest_kind kind, unsigned id, bool asked);
/* Gives a running CT a node, or takes it away. */
void pve_ct_device(struct rehearse *rehearse, unsigned id, const char *value, bool there);

/* ---- devices (pve_pci.c) ---- */

struct pve_pci {
	unsigned index;
	struct pve_properties set;
	struct words addresses; /* of all functions */
	bool keep;              /* driver=keep */
};
struct pve_pcis {
	struct pve_pci *pci;
	size_t n;
};
/* What the hostpci keys name. Not 0: said why, the status. */
int pve_pci_parse(struct model_call *call, const struct pve_part *part, struct pve_pcis *ret);
/* Binds every group that is needed to vfio-pci. Not 0: said why. */
int pve_pci_prepare(struct model_call *call, unsigned id, const struct pve_pcis *pcis);
void pve_pci_reserve(struct model_call *call, unsigned id, const struct pve_pcis *pcis, unsigned pid);
bool pve_q35(const struct pve_part *part);

/* ---- the rest ---- */

/* The words of QEMU's command line. Not 0: said why. */
int pve_show(struct model_call *call, const struct pve_file *file, struct words *ret);
/* Verbs of both programs. */
typedef int pve_verb(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id);
pve_verb pve_take_snapshot, pve_list_snapshots, pve_drop_snapshot, pve_back_to_snapshot;
int pve_pvesh(struct model_call *call);
int pve_perl(struct model_call *call); /* pve_raw.c */
