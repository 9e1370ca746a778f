/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the rule tables share: saying a verdict, steps of a cure, and small questions to the facts.
 */
#pragma once
#include "rules/rules.h"

#define SAYS __attribute__((format(printf, 2, 3)))
enum verdict answer_ok(struct answer *answer, const char *format, ...) SAYS;
enum verdict answer_warn(struct answer *answer, const char *format, ...) SAYS;
enum verdict answer_broken(struct answer *answer, const char *format, ...) SAYS;
enum verdict answer_unknown(struct answer *answer, const char *format, ...) SAYS;
/* The question does not arise here. */
enum verdict answer_none(void);
/* One more step of the cure. */
void answer_step(struct answer *answer, const char *format, ...) SAYS;

/* Steps that put words on the kernel command line, or take them away, in the file that this machine's boot loader
 * reads, up to the reboot. */
void step_cmdline_add(struct answer *answer, const struct boot *boot, const char *words);
void step_cmdline_remove(struct answer *answer, const struct boot *boot, const char *words);
/* Steps that carry changed /etc/modprobe.d into what the next boot loads: for the next kernel only, so that the
 * others stay a way back. */
void step_initramfs(struct answer *answer, const struct boot *boot);

/* Is this kernel older than a version ("6.2")? UNKNOWN without a kernel. */
enum tri check_older(const char *kernel, const char *version);
bool check_has(const struct words *words, const char *word);
/* "0000:01:00.0 NVIDIA Corporation AD106 [GeForce RTX 4060 Ti]", or the ids where the name is not known. */
const char *check_device(const struct pci_device *device, struct arena *arena);
/* "vm/100", "ct/105" */
const char *check_guest(const struct guest *guest, struct arena *arena);
/* What the node needs of this device; NULL: nothing that is known. */
const struct need *check_need(const struct facts *facts, const char *address);
bool check_vendor(const struct gpu *gpu, const char *vendor);
/* The drivers that would claim this GPU on a node that nobody changed: "i915 xe", "nouveau nvidia". */
struct words check_drivers(const struct gpu *gpu, struct arena *arena);
/* Does it, "10de:2803:1043:88f5:030000:ff0000", name the device? What is not given is any (vfio_pci_core.c). */
bool check_vfio_id(const char *id, const struct pci_device *device, struct arena *arena);
/* Do vfio-pci's ids= (options and command line, as configured now) name this device? */
bool check_vfio_ids(const struct boot *boot, const struct pci_device *device, struct arena *arena);
/* The value of the ids= that counts; NULL: none. */
const char *check_vfio_list(const struct boot *boot, struct arena *arena);
/* A package's version out of "name version" words; NULL: not there. */
const char *check_package(const struct words *packages, const char *name);
/* Is there one whose name begins so? The whole word, or NULL. */
const char *check_package_like(const struct words *packages, const char *prefix);
/* A package of PVE itself is older than that version? */
enum tri check_pve_older(const struct pve *pve, const char *package, const char *version);
/* The guest's memory in MiB; UNKNOWN_NUMBER. */
int64_t check_memory(const struct guest *guest, struct arena *arena);
/* The node of a GPU by its name's beginning ("renderD", "nvidia"); NULL: none. */
const struct drm_node *check_node(const struct drm *drm, const char *pci, const char *prefix);
/* A word of a "huc-missing ..." list that begins so. */
const char *check_cause(const struct inside *inside, const char *prefix);

/* Does NVIDIA's loaded module serve this card? Asked of the node (CT) and of the guest (VM). */
enum verdict check_flavour(struct answer *answer, const struct gpu *gpu, enum tri open);
enum verdict check_branch(struct answer *answer, const struct gpu *gpu, const char *version, enum tri open);
/* A later hostpci line that names a device which an earlier one names too; NULL: none. */
const struct hostpci *check_doubled(const struct scene *scene, struct arena *arena, const char **ret_device); /* vm.c */
bool check_on_vfio(const struct pci_device *device);

/* guest.c: what is asked of VMs and CTs alike. */
long long check_id(const struct guest *guest);
bool check_running(const struct guest *guest);
/* A stop and a start, the gentle way. */
void step_restart(struct answer *answer, const struct guest *guest);
enum verdict check_guest_known(const struct scene *scene, struct answer *answer);
enum verdict check_guest_lock(const struct scene *scene, struct answer *answer);
enum verdict check_guest_pending(const struct scene *scene, struct answer *answer);
enum verdict check_guest_onboot(const struct scene *scene, struct answer *answer);
