/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A VM that takes a GPU: its configuration as PVE keeps it.
 */
#include <ctype.h>
#include <string.h>

#include "rules/check.h"

static const char *set(const struct guest *guest, const char *key)
{
	const char *value = pve_value(guest, key);
	return value ? value : "";
}

/* ---- which device ---- */

static const char *hostpci_key(const struct hostpci *hostpci, struct arena *arena)
{
	return arena_printf(arena, "hostpci%u", hostpci->index);
}

static enum verdict vm_hostpci_valid(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	for (size_t i = 0; i < guest->n_hostpci; i++) {
		const struct hostpci *hostpci = &guest->hostpci[i];
		bool mapped = hostpci->mapping && *hostpci->mapping;
		const char *what = hostpci->invalid                   ? "is nothing Proxmox accepts"
		                   : mapped && hostpci->addresses.n   ? "names both an address and a mapping"
		                   : !mapped && !hostpci->addresses.n ? "names neither an address nor a mapping"
		                                                      : NULL;
		if (!what)
			continue;
		answer_step(answer, "qm set %lld --delete %s", check_id(guest), hostpci_key(hostpci, answer->arena));
		if (scene->gpu)
			answer_step(answer, "qm set %lld --%s %s", check_id(guest), hostpci_key(hostpci, answer->arena),
			        scene->gpu->pci->address);
		return answer_broken(answer, "%s (%s) %s", hostpci_key(hostpci, answer->arena),
		        hostpci->raw ? hostpci->raw : "", what);
	}
	return answer_ok(answer, "every hostpci line is well formed");
}

static unsigned free_index(const struct guest *guest)
{
	for (unsigned index = 0; index < 16; index++) {
		bool taken = false;
		for (size_t i = 0; i < guest->n_hostpci; i++)
			taken |= guest->hostpci[i].index == index;
		if (!taken)
			return index;
	}
	return 0;
}

static bool hostpci_names(
        const struct scene *scene, const struct hostpci *hostpci, const struct pci_device *device, struct arena *arena)
{
	struct words addresses = pve_hostpci_addresses(&scene->facts->pve, hostpci, arena);
	for (size_t i = 0; i < addresses.n; i++)
		if (text_starts(device->address, addresses.word[i]))
			return true;
	return false;
}

static const struct hostpci *hostpci_of(const struct scene *scene, struct arena *arena)
{
	for (size_t i = 0; scene->gpu && i < scene->guest->n_hostpci; i++)
		if (hostpci_names(scene, &scene->guest->hostpci[i], scene->gpu->pci, arena))
			return &scene->guest->hostpci[i];
	return NULL;
}

static bool is_windows(const struct guest *guest)
{
	return text_starts(set(guest, "ostype"), "w"); /* wxp, w2k, wvista, win7, ... (qm.conf) */
}

/* The first line of it that names no GPU at all: where the card's address moved, it may have meant the card. */
static const struct hostpci *stray_line(const struct scene *scene, struct arena *arena)
{
	for (size_t i = 0; i < scene->guest->n_hostpci; i++) {
		struct words addresses = pve_hostpci_addresses(&scene->facts->pve, &scene->guest->hostpci[i], arena);
		bool gpu = false;
		for (size_t a = 0; a < addresses.n; a++)
			for (size_t g = 0; g < scene->facts->n_gpus; g++)
				gpu |= text_starts(scene->facts->gpus[g].pci->address, addresses.word[a]);
		if (!gpu)
			return &scene->guest->hostpci[i];
	}
	return NULL;
}

/* How to hand the card over, no faster than the node can let go of it. */
static void step_give(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	const struct gpu *gpu = scene->gpu;
	const struct hostpci *stray = stray_line(scene, answer->arena);
	if (gpu->group_state == GROUP_UNKNOWN)
		answer_step(answer,
		        "first be sure what shares the card's IOMMU group, because Proxmox takes all of it from the "
		        "node: gpuferry verify as root on the node, until gpu.group-needs is ok");
	if (stray)
		answer_step(answer,
		        "%s (%s) names no GPU: if it meant this card at its old address, give that line the new "
		        "address, and add none",
		        hostpci_key(stray, answer->arena), stray->raw ? stray->raw : "");
	answer_step(answer, "qm set %lld --hostpci%u %s", check_id(guest), free_index(guest), gpu->pci->address);
	if (check_on_vfio(gpu->pci) || gpu->hot_release == YES)
		step_restart(answer, guest);
	else
		answer_step(answer,
		        "do not start the VM with it before gpu.release is ok: %s has the card now, and it is not "
		        "sure that it can let go of it",
		        gpu->pci->driver && *gpu->pci->driver ? gpu->pci->driver : "an unknown driver");
}

/* Does the VM that runs now have the card? Its QEMU holds the IOMMU group of what it was started with; what came into
 * its file since is not among it. UNKNOWN: it does not run, or that could not be seen. */
static enum tri in_effect(const struct scene *scene, const struct hostpci *hostpci, struct arena *arena)
{
	const struct drm *drm = &scene->facts->drm;
	const struct pci_device *card = scene->gpu->pci;
	if (!check_running(scene->guest) || hostpci->mdev == YES)
		return UNKNOWN;
	for (size_t i = 0; i < drm->n_holders; i++)
		if (drm->holders[i].kind == HOLDER_VM && drm->holders[i].pci &&
		        strcmp(drm->holders[i].pci, card->address) == 0 &&
		        strcmp(drm->holders[i].name, check_guest(scene->guest, arena)) == 0)
			return YES;
	if (drm->holders_known == YES || (card->driver && !check_on_vfio(card)))
		return NO;
	return UNKNOWN;
}

static enum verdict vm_hostpci(const struct scene *scene, struct answer *answer)
{
	if (!scene->gpu)
		return answer_none();
	const struct guest *guest = scene->guest;
	const struct hostpci *hostpci = hostpci_of(scene, answer->arena);
	if (!hostpci && !pve_guest_has(&scene->facts->pve, guest, scene->gpu->pci, answer->arena)) {
		for (size_t i = 0; i < guest->n_hostpci; i++)
			if (guest->hostpci[i].mapping && *guest->hostpci[i].mapping &&
			        scene->facts->pve.mappings_known != YES)
				return answer_unknown(
				        answer, "its mapping %s could not be looked up", guest->hostpci[i].mapping);
		step_give(scene, answer);
		return answer_broken(
		        answer, "no hostpci line of VM %lld names %s", check_id(guest), scene->gpu->pci->address);
	}
	bool waits = hostpci && hostpci->pending;
	if (waits || (hostpci && in_effect(scene, hostpci, answer->arena) == NO)) {
		step_restart(answer, guest);
		return answer_warn(answer, "%s gives it the card, %s", hostpci_key(hostpci, answer->arena),
		        waits ? "from its next start on" : "but it was started without: from its next start on");
	}
	return answer_ok(
	        answer, "%s gives it the card", hostpci ? hostpci_key(hostpci, answer->arena) : "its configuration");
}

/* A GPU, or what belongs to one: its audio function is often given by a line of its own, with a ROM. */
static bool of_gpu(const struct facts *facts, const struct pci_device *device)
{
	for (size_t i = 0; i < facts->n_gpus; i++)
		if (pci_same_slot(facts->gpus[i].pci, device))
			return true;
	return false;
}

static const struct pci_device *device_named(const struct facts *facts, const char *address, bool *ret_gpu)
{
	const struct pci_device *first = NULL;
	for (size_t i = 0; i < facts->pci.n; i++) {
		const struct pci_device *device = &facts->pci.devices[i];
		if (!text_starts(device->address, address))
			continue;
		if (!first)
			first = device;
		*ret_gpu |= of_gpu(facts, device);
	}
	return first;
}

static const struct need *need_named(const struct facts *facts, const char *address)
{
	for (size_t i = 0; i < facts->n_needs; i++)
		if (facts->needs[i].pci && text_starts(facts->needs[i].pci, address) &&
		        facts->needs[i].kind != NEED_CONSOLE)
			return &facts->needs[i];
	return NULL;
}

/* One address of a hostpci line: VERDICT_OK, or what is wrong with it. */
static enum verdict address_verdict(
        const struct scene *scene, const struct hostpci *hostpci, const char *address, struct answer *answer)
{
	const struct facts *facts = scene->facts;
	const char *key = hostpci_key(hostpci, answer->arena);
	bool gpu = false;
	const struct pci_device *device = device_named(facts, address, &gpu);
	const struct need *need = need_named(facts, address);
	if (need) {
		answer_step(answer, "qm set %lld --delete %s   before the VM is started again", check_id(scene->guest),
		        key);
		return answer_broken(answer, "%s names %s, which the node lives on: %s", key, address, need->what);
	}
	if (!device && facts->pci.known != YES)
		return answer_unknown(answer, "whether %s of %s exists could not be read", address, key);
	if (!device) {
		answer_step(answer,
		        "find the card's address now: gpuferry inspect (addresses move when cards or NVMe are added)");
		answer_step(answer, "qm set %lld --%s ADDRESS", check_id(scene->guest), key);
		return answer_broken(
		        answer, "%s names %s, and there is no such device: the VM does not start", key, address);
	}
	if (!gpu && (hostpci->x_vga == YES || hostpci->legacy_igd == YES || (hostpci->romfile && *hostpci->romfile))) {
		answer_step(answer, "find the card's address now: gpuferry inspect");
		answer_step(answer, "qm set %lld --%s ADDRESS", check_id(scene->guest), key);
		return answer_broken(answer, "%s is set up for a GPU, but %s is now %s", key, address,
		        check_device(device, answer->arena));
	}
	if (!gpu && (facts->root_disk_known != YES || facts->management_known != YES))
		return answer_unknown(answer, "%s names %s, and what the node's %s hangs on is not known", key,
		        check_device(device, answer->arena),
		        facts->root_disk_known != YES ? "root disk" : "management network");
	return VERDICT_OK;
}

static enum verdict vm_address(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	for (size_t i = 0; i < guest->n_hostpci; i++) {
		struct words addresses = pve_hostpci_addresses(&scene->facts->pve, &guest->hostpci[i], answer->arena);
		for (size_t a = 0; a < addresses.n; a++) {
			enum verdict verdict = address_verdict(scene, &guest->hostpci[i], addresses.word[a], answer);
			if (verdict != VERDICT_OK)
				return verdict;
		}
	}
	if (!guest->n_hostpci)
		return answer_none();
	return answer_ok(answer, "every address is a device that the node can spare");
}

static const struct mapping *mapping_named(const struct pve *pve, const char *id)
{
	for (size_t i = 0; i < pve->n_mappings; i++)
		if (!strcmp(pve->mappings[i].id, id))
			return &pve->mappings[i];
	return NULL;
}

static const char *ids_text(int64_t vendor, int64_t device, struct arena *arena)
{
	if (vendor == UNKNOWN_NUMBER || device == UNKNOWN_NUMBER)
		return NULL;
	return arena_printf(arena, "%04x:%04x", (unsigned)vendor, (unsigned)device);
}

/* What PVE compares at the VM's start; a setting that is absent is not compared. */
static bool field_differs(const char *mapped, const char *seen)
{
	return mapped && *mapped && seen && strcasecmp(mapped, seen) != 0;
}

static enum verdict mapping_entry_verdict(const struct scene *scene, const struct mapping *mapping,
        const struct mapping_entry *entry, struct answer *answer)
{
	bool gpu = false;
	struct words paths = text_split(answer->arena, entry->path ? entry->path : "", ";");
	const struct pci_device *device = paths.n ? device_named(scene->facts, paths.word[0], &gpu) : NULL;
	answer_step(answer,
	        "look at the device (gpuferry inspect) and put the mapping %s right: Datacenter, Resource Mappings",
	        mapping->id);
	if (!device && scene->facts->pci.known != YES)
		return answer_unknown(answer, "whether %s of mapping %s exists could not be read",
		        entry->path ? entry->path : "the device", mapping->id);
	if (!device)
		return answer_broken(answer, "mapping %s names %s, and there is no such device", mapping->id,
		        entry->path ? entry->path : "nothing");
	const char *ids = ids_text(device->vendor, device->device, answer->arena);
	const char *subsystem = ids_text(device->subsystem_vendor, device->subsystem_device, answer->arena);
	const struct {
		const char *what, *mapped, *seen;
	} fields[] = { { "id", entry->id, ids }, { "subsystem-id", entry->subsystem, subsystem },
		{ "iommugroup", entry->iommu_group, device->iommu_group } };
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (field_differs(fields[i].mapped, fields[i].seen))
			return answer_broken(answer,
			        "mapping %s says %s %s for %s, the device says %s: \"PCI device mapping invalid "
			        "(hardware probably changed)\"",
			        mapping->id, fields[i].what, fields[i].mapped, entry->path,
			        *fields[i].seen ? fields[i].seen : "none");
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (fields[i].mapped && *fields[i].mapped && !fields[i].seen)
			return answer_unknown(
			        answer, "the %s of %s could not be read", fields[i].what, device->address);
	answer->cure = NULL;
	return VERDICT_OK;
}

static enum verdict mapping_verdict(const struct scene *scene, const struct mapping *mapping, struct answer *answer)
{
	const struct pve *pve = &scene->facts->pve;
	size_t here = 0;
	if (!pve->node || !*pve->node)
		return answer_unknown(answer, "this node's name in the cluster is not known");
	for (size_t i = 0; i < mapping->n; i++) {
		if (!mapping->entries[i].node || strcmp(mapping->entries[i].node, pve->node) != 0)
			continue;
		here++;
		enum verdict verdict = mapping_entry_verdict(scene, mapping, &mapping->entries[i], answer);
		if (verdict != VERDICT_OK)
			return verdict;
	}
	if (here)
		return VERDICT_OK;
	answer_step(answer, "add this node's device to the mapping %s: Datacenter, Resource Mappings", mapping->id);
	return answer_broken(answer, "mapping %s has no device on this node (%s)", mapping->id, pve->node);
}

static enum verdict vm_mapping(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	const struct pve *pve = &scene->facts->pve;
	bool any = false;
	for (size_t i = 0; i < guest->n_hostpci; i++) {
		const char *id = guest->hostpci[i].mapping;
		if (!id || !*id)
			continue;
		any = true;
		const struct mapping *mapping = mapping_named(pve, id);
		if (!mapping && pve->mappings_known != YES)
			return answer_unknown(answer, "the mappings could not be read");
		if (!mapping) {
			answer_step(answer,
			        "make the mapping %s (Datacenter, Resource Mappings), or name the card by its address",
			        id);
			return answer_broken(answer, "there is no mapping %s: the VM does not start", id);
		}
		enum verdict verdict = mapping_verdict(scene, mapping, answer);
		if (verdict != VERDICT_OK)
			return verdict;
	}
	return any ? answer_ok(answer, "the mapping fits the device") : answer_none();
}

static enum verdict vm_by_address(const struct scene *scene, struct answer *answer)
{
	const struct hostpci *hostpci = hostpci_of(scene, answer->arena);
	if (!hostpci)
		return answer_none();
	if (hostpci->mapping && *hostpci->mapping)
		return answer_ok(answer, "mapping %s names the card, and Proxmox checks its ids at every start",
		        hostpci->mapping);
	if (check_older(scene->facts->pve.version, "8.0") == YES)
		return answer_ok(answer, "this Proxmox VE has no mappings");
	answer_step(answer, "make a mapping of the card: Datacenter, Resource Mappings, Add PCI");
	answer_step(answer, "qm set %lld --%s mapping=NAME, with the options it has now", check_id(scene->guest),
	        hostpci_key(hostpci, answer->arena));
	return answer_warn(answer,
	        "%s names the card by its address: after new hardware the address may be another device's, "
	        "which a mapping would notice; and only root may change it",
	        hostpci_key(hostpci, answer->arena));
}

/* ---- what Proxmox takes, and then does not start ---- */

/* Is it the line that the next start has? */
static bool counts_next(const struct guest *guest, const struct hostpci *hostpci, struct arena *arena)
{
	const char *next = pve_value_next(guest, hostpci_key(hostpci, arena));
	return next && hostpci->raw && strcmp(next, hostpci->raw) == 0;
}

/* The device that both lines name whatever PVE chooses; NULL: none. A mapping of several devices has a choice. */
static const char *named_by_both(
        const struct scene *scene, const struct hostpci *left, const struct hostpci *right, struct arena *arena)
{
	const struct pve *pve = &scene->facts->pve;
	struct words one = pve_hostpci_addresses(pve, left, arena), other = pve_hostpci_addresses(pve, right, arena);
	if ((*left->mapping && one.n > 1) || (*right->mapping && other.n > 1))
		return NULL;
	for (size_t i = 0; i < one.n; i++)
		for (size_t j = 0; j < other.n; j++)
			if (text_starts(one.word[i], other.word[j]) || text_starts(other.word[j], one.word[i]))
				return strlen(one.word[i]) > strlen(other.word[j]) ? one.word[i] : other.word[j];
	return NULL;
}

const struct hostpci *check_doubled(const struct scene *scene, struct arena *arena, const char **ret_device)
{
	const struct guest *guest = scene->guest;
	for (size_t i = 0; i < guest->n_hostpci; i++)
		for (size_t j = 0; j < i; j++) {
			const struct hostpci *first = &guest->hostpci[j], *second = &guest->hostpci[i];
			const char *device = named_by_both(scene, first, second, arena);
			if (!device || first->index == second->index || first->mdev == YES || second->mdev == YES ||
			        !counts_next(guest, first, arena) || !counts_next(guest, second, arena))
				continue;
			*ret_device = device;
			return second;
		}
	return NULL;
}

static enum verdict vm_given_once(const struct scene *scene, struct answer *answer)
{
	const char *device;
	const struct hostpci *doubled = check_doubled(scene, answer->arena, &device);
	if (!scene->guest->n_hostpci)
		return answer_none();
	if (!doubled)
		return answer_ok(answer, "no device is given twice");
	answer_step(answer, "qm set %lld --delete %s", check_id(scene->guest), hostpci_key(doubled, answer->arena));
	return answer_broken(answer, "%s (%s) gives %s once more: \"assigned more than once\", the VM does not start",
	        hostpci_key(doubled, answer->arena), doubled->raw, device);
}

static enum verdict vm_mdev(const struct scene *scene, struct answer *answer)
{
	const struct hostpci *hostpci = hostpci_of(scene, answer->arena);
	if (!hostpci || hostpci->mdev != YES)
		return answer_none();
	const char *key = hostpci_key(hostpci, answer->arena), *card = scene->gpu->pci->address;
	if (scene->gpu->pci->mdev == UNKNOWN)
		return answer_unknown(
		        answer, "%s asks for a slice of %s, and whether it offers any could not be read", key, card);
	if (scene->gpu->pci->mdev == YES)
		return answer_ok(answer, "%s asks for a slice of %s, which offers some", key, card);
	answer_step(answer, "qm set %lld --%s with the same value without mdev", check_id(scene->guest), key);
	return answer_broken(answer,
	        "%s (%s) asks for a slice of %s, which offers none: consumer cards and what vfio-pci drives cannot be "
	        "sliced, and the VM does not start",
	        key, hostpci->raw, card);
}

/* ---- machine, firmware, display ---- */

static bool is_q35(const char *machine)
{
	return strstr(machine, "q35") != NULL;
}

static enum verdict vm_pcie(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	const char *machine = set(guest, "machine");
	for (size_t i = 0; i < guest->n_hostpci; i++) {
		const struct hostpci *hostpci = &guest->hostpci[i];
		if (hostpci->pcie != YES || is_q35(machine))
			continue;
		answer_step(answer, "qm set %lld --%s with the same value without pcie=1", check_id(guest),
		        hostpci_key(hostpci, answer->arena));
		answer_step(answer,
		        "do not switch an installed VM to q35 for this: its network card would get another name");
		return answer_broken(answer,
		        "%s has pcie=1, which needs the machine type q35 (this VM is %s): it does not start",
		        hostpci_key(hostpci, answer->arena), *machine ? machine : "i440fx, the default");
	}
	return answer_ok(answer, "no hostpci line asks for what the machine type lacks");
}

static const char *legacy_conflict(const struct guest *guest, const struct hostpci *hostpci)
{
	const char *vga = set(guest, "vga");
	if (is_q35(set(guest, "machine")))
		return "not with machine q35";
	if (!text_starts(vga, "none"))
		return "only with vga: none";
	if (hostpci->x_vga == YES)
		return "not with x-vga";
	if (hostpci->rombar == NO)
		return "only with rombar on";
	if (hostpci->mdev == YES)
		return "not with mdev";
	if (hostpci->addresses.n > 1)
		return "only with one device";
	if (hostpci->addresses.n == 1 && !text_starts(hostpci->addresses.word[0], "0000:00:02"))
		return "only for 00:02.0";
	return NULL;
}

static enum verdict vm_legacy_igd(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	for (size_t i = 0; i < guest->n_hostpci; i++) {
		const struct hostpci *hostpci = &guest->hostpci[i];
		if (hostpci->legacy_igd != YES)
			continue;
		const char *conflict = legacy_conflict(guest, hostpci);
		answer_step(answer,
		        "qm set %lld --%s with the same value without legacy-igd=1: a Linux guest that encodes does "
		        "not "
		        "need it",
		        check_id(guest), hostpci_key(hostpci, answer->arena));
		if (conflict)
			return answer_broken(answer,
			        "%s has legacy-igd=1, which Proxmox takes %s: the VM does not start",
			        hostpci_key(hostpci, answer->arena), conflict);
		return answer_warn(answer,
		        "%s has legacy-igd=1; encoding does not need it, and newer QEMU takes it for few "
		        "generations only",
		        hostpci_key(hostpci, answer->arena));
	}
	return answer_none();
}

static enum verdict vm_x_vga(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	for (size_t i = 0; i < guest->n_hostpci; i++) {
		if (guest->hostpci[i].x_vga != YES)
			continue;
		answer_step(answer, "qm set %lld --%s with the same value without x-vga", check_id(guest),
		        hostpci_key(&guest->hostpci[i], answer->arena));
		return answer_warn(answer,
		        "%s has x-vga=1: it makes the card the VM's screen and takes Proxmox's console away; for "
		        "encoding it does nothing",
		        hostpci_key(&guest->hostpci[i], answer->arena));
	}
	return answer_ok(answer, "the card is not the VM's screen");
}

static enum verdict vm_rom(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	for (size_t i = 0; i < guest->n_hostpci; i++) {
		const struct hostpci *hostpci = &guest->hostpci[i];
		const char *key = hostpci_key(hostpci, answer->arena);
		if (!hostpci->romfile || !*hostpci->romfile || (is_windows(guest) && hostpci->rombar != NO))
			continue;
		answer_step(answer, "qm set %lld --%s with the same value without romfile", check_id(guest), key);
		if (hostpci->rombar == NO)
			return answer_warn(answer, "%s has romfile=%s and rombar=0, which hides that very file", key,
			        hostpci->romfile);
		return answer_warn(answer,
		        "%s has romfile=%s: encoding in a Linux guest needs no ROM, and if the file is missing in "
		        "/usr/share/kvm the VM does not start",
		        key, hostpci->romfile);
	}
	return answer_ok(
	        answer, "no ROM file is given; \"Invalid PCI ROM header signature\" is only noise for encoding");
}

static enum verdict vm_args(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	const char *args = set(guest, "args");
	struct words words = text_split(answer->arena, args, " \t");
	bool cpu = check_has(&words, "-cpu");
	bool device = strstr(args, "vfio-pci") != NULL;
	if (!cpu && !device)
		return answer_ok(answer, "no arguments that replace what Proxmox sets");
	answer_step(answer, "note the line args: %s", args);
	answer_step(answer, "qm set %lld --delete args", check_id(guest));
	if (device)
		answer_step(answer, "give the card with --hostpci instead");
	if (cpu)
		answer_step(answer, "qm set %lld --cpu host   (further flags belong into the same option)",
		        check_id(guest));
	const struct pci_device *card = scene->gpu ? scene->gpu->pci : NULL;
	bool ours = card && pve_args_have(args, card->address, answer->arena);
	if (ours && hostpci_of(scene, answer->arena))
		return answer_broken(answer,
		        "args: and %s both hand %s over: QEMU cannot open it twice, and the VM does not start",
		        hostpci_key(hostpci_of(scene, answer->arena), answer->arena), card->address);
	if (ours && card->driver && !check_on_vfio(card))
		return answer_broken(answer,
		        "args: hands %s over, which %s has: Proxmox binds nothing for args, and the VM does not start",
		        card->address, *card->driver ? card->driver : "no driver");
	if (device)
		return answer_warn(answer,
		        "args: hands a device over behind Proxmox's back: it is neither bound nor reset nor kept "
		        "from other VMs");
	return answer_warn(answer, "args: holds a second -cpu, which throws away the CPU flags that Proxmox sets");
}

static enum verdict vm_hidden(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	struct pve_properties cpu = pve_parse_properties(set(guest, "cpu"), "cputype", answer->arena);
	const char *hidden = pve_property(&cpu, "hidden");
	bool off = strstr(set(guest, "args"), "kvm=off") != NULL;
	if (is_windows(guest))
		return answer_none(); /* Code 43 is a matter of Windows, where some drivers still ask for it */
	if (!off && !(hidden && pve_boolean(hidden) == YES))
		return answer_ok(answer, "the VM does not hide that it is one");
	const char *type = pve_property(&cpu, "cputype");
	if (off)
		answer_step(answer, "qm set %lld --delete args", check_id(guest));
	answer_step(answer, "qm set %lld --cpu %s", check_id(guest),
	        type && *type ? text_sh_quoted(answer->arena, type) : "host");
	return answer_warn(answer,
	        "%s hides the hypervisor: NVIDIA's drivers need that no more since R465 (2021), and Linux has no "
	        "Code 43",
	        off ? "kvm=off in args:" : "hidden=1");
}

static enum verdict vm_display(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	const char *vga = set(guest, "vga");
	if (!text_starts(vga, "none"))
		return answer_ok(answer, "Proxmox's console shows the VM");
	if (*set(guest, "serial0"))
		return answer_ok(answer, "there is no emulated screen, but a serial console");
	answer_step(answer, "qm set %lld --vga std   (or: --serial0 socket --vga serial0)", check_id(guest));
	return answer_warn(answer, "vga: none: if the network fails inside, no console is left");
}

static enum verdict vm_address_width(const struct scene *scene, struct answer *answer)
{
	const struct facts *facts = scene->facts;
	const struct guest *guest = scene->guest;
	int64_t iommu = facts->pci.iommu_address_bits, cpu = facts->host.cpu.physical_bits;
	if (facts->host.cpu.vendor && !strcmp(facts->host.cpu.vendor, "AuthenticAMD"))
		return answer_none(); /* AMD's IOMMU is as wide as its page tables need */
	struct pve_properties option = pve_parse_properties(set(guest, "cpu"), "cputype", answer->arena);
	const char *limit = pve_property(&option, "phys-bits");
	uint64_t bits = 0;
	if (iommu == UNKNOWN_NUMBER || cpu == UNKNOWN_NUMBER)
		return answer_unknown(answer, "the address width of the %s could not be read",
		        iommu == UNKNOWN_NUMBER ? "IOMMU" : "CPU");
	if (iommu >= cpu)
		return answer_ok(
		        answer, "the IOMMU's %lld bits cover the CPU's %lld", (long long)iommu, (long long)cpu);
	const char *type = pve_property(&option, "cputype");
	bool host = (type && (!strcmp(type, "host") || !strcmp(type, "max"))) || (limit && !strcmp(limit, "host"));
	if (limit && text_number(limit, 10, 64, &bits) && (int64_t)bits <= iommu)
		return answer_ok(
		        answer, "phys-bits=%s keeps the VM within the IOMMU's %lld bits", limit, (long long)iommu);
	if (!host && !limit)
		return answer_ok(answer, "this CPU type does not use the CPU's full %lld bits", (long long)cpu);
	answer_step(answer, "qm set %lld --cpu %s,phys-bits=%lld", check_id(guest),
	        type && *type ? text_sh_quoted(answer->arena, type) : "host", (long long)iommu);
	return answer_warn(answer,
	        "the VM sees %lld address bits, the IOMMU has %lld: a large BAR may land where the IOMMU cannot "
	        "map it (\"VFIO_MAP_DMA failed: Invalid argument\")",
	        (long long)cpu, (long long)iommu);
}

static enum verdict vm_igpu(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	static const char *const newer[] = { "*Alder*", "*Raptor*", "*Meteor*", "*Arrow*", "*Lunar*", "*Panther*",
		NULL };
	if (gpu->model.integrated == UNKNOWN)
		return answer_unknown(answer, "whether this is integrated graphics is not in the table");
	if (gpu->model.integrated == NO)
		return answer_none();
	if (gpu->pci->function) {
		answer_step(answer, "share the GPU with a CT instead, or keep the SR-IOV module, its version and the "
		                    "kernels of node and "
		                    "guest together, and pin the kernel");
		return answer_warn(answer,
		        "%s is a virtual function (SR-IOV): it needs a module from outside the kernel on the node "
		        "and in the guest, for exact kernel versions",
		        gpu->pci->address);
	}
	for (const char *const *name = newer; *name; name++) {
		if (!gpu->model.generation || !text_matches(*name, gpu->model.generation))
			continue;
		answer_step(
		        answer, "the way with less risk: share the GPU with a CT, which needs neither IOMMU nor ROM");
		return answer_warn(answer,
		        "integrated graphics from the 12th generation on (%s) fail in many VMs; in a CT they work",
		        gpu->model.generation);
	}
	return answer_ok(answer, "this generation of integrated graphics is known to work in Linux guests");
}

static enum verdict vm_secure_boot(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	struct pve_properties disk = pve_parse_properties(set(guest, "efidisk0"), "file", answer->arena);
	const char *keys = pve_property(&disk, "pre-enrolled-keys");
	if (is_windows(guest))
		return answer_none(); /* its drivers are signed by Microsoft */
	if (strcmp(set(guest, "bios"), "ovmf") != 0 || !keys || pve_boolean(keys) != YES)
		return answer_ok(answer, "the VM's firmware starts without Secure Boot keys");
	const struct inside *inside = scene->inside;
	if (inside && inside->secure_boot == NO)
		return answer_ok(answer, "the EFI disk has Secure Boot keys, but Secure Boot is off inside");
	if (inside && inside->nvidia_module && *inside->nvidia_module)
		return answer_ok(answer, "Secure Boot is set up, and NVIDIA's module is loaded all the same");
	answer_step(answer,
	        "in the guest install a signed driver (Ubuntu: linux-modules-nvidia-...-generic), or enrol DKMS's key: "
	        "mokutil --import /var/lib/dkms/mok.pub, reboot, confirm at the VM's console");
	answer_step(answer, "or switch Secure Boot off in the VM's firmware menu (press Esc at its start)");
	return answer_warn(answer,
	        "the EFI disk has pre-enrolled-keys=1: Secure Boot refuses NVIDIA modules built by DKMS (\"Key was "
	        "rejected by service\")");
}

/* The newest snapshot of which the VM was a different machine. */
static const char *section_value(const struct pve_section *section, const char *key)
{
	for (size_t i = 0; i < section->n; i++)
		if (section->lines[i].key && !strcmp(section->lines[i].key, key))
			return section->lines[i].value ? section->lines[i].value : "";
	return "";
}

static bool bios_differs(const char *left, const char *right)
{
	return !strcmp(left, "ovmf") != !strcmp(right, "ovmf");
}

static enum verdict vm_machine_switched(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	const char *machine = set(guest, "machine"), *bios = set(guest, "bios");
	const char *next_machine = pve_value_next(guest, "machine"), *next_bios = pve_value_next(guest, "bios");
	if (is_q35(next_machine ? next_machine : "") != is_q35(machine) ||
	        bios_differs(next_bios ? next_bios : "", bios)) {
		answer_step(answer, "undo it: qm set %lld --revert machine, and: qm set %lld --revert bios",
		        check_id(guest), check_id(guest));
		return answer_warn(answer,
		        "the next start changes the machine type or the firmware: the network card gets another name, "
		        "and a disk installed with SeaBIOS does not boot with OVMF");
	}
	for (size_t i = guest->n_sections; i-- > 0;) {
		const struct pve_section *section = &guest->sections[i];
		if (section->kind != SECTION_SNAPSHOT)
			continue;
		if (is_q35(section_value(section, "machine")) == is_q35(machine) &&
		        !bios_differs(section_value(section, "bios"), bios))
			continue;
		answer_step(answer,
		        "if the guest has no network: look at its console (ip link) and put the new name into its "
		        "network configuration");
		answer_step(answer, "if it does not boot: put machine and bios back as they are in the snapshot");
		return answer_warn(answer,
		        "since snapshot %s the machine type or the firmware was switched: network names change, and "
		        "a disk installed with SeaBIOS does not boot with OVMF",
		        section->name);
	}
	return answer_ok(answer, "machine type and firmware are as they were");
}

/* ---- memory ---- */

static enum verdict vm_balloon(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	if (!strcmp(set(guest, "balloon"), "0"))
		return answer_ok(answer, "ballooning is off");
	answer_step(answer, "qm set %lld --balloon 0", check_id(guest));
	step_restart(answer, guest);
	return answer_warn(answer,
	        "ballooning is on, but a VM with a passed-through card keeps all its memory: the balloon frees "
	        "nothing");
}

enum { NODE_MEMORY = 2048 }; /* MiB; Proxmox VE's own requirements ask for 2 GiB beside the guests */

static enum verdict vm_memory(const struct scene *scene, struct answer *answer)
{
	int64_t memory = check_memory(scene->guest, answer->arena), node = scene->facts->host.memory_kib;
	if (memory == UNKNOWN_NUMBER || node == UNKNOWN_NUMBER || node <= 0)
		return answer_unknown(
		        answer, "the memory of the %s could not be read", memory == UNKNOWN_NUMBER ? "VM" : "node");
	int64_t has = node / 1024, rest = has - memory;
	if (rest >= NODE_MEMORY)
		return answer_ok(answer, "%lld MiB of the node's %lld MiB are pinned while it runs", (long long)memory,
		        (long long)has);
	int64_t enough = has * 3 / 4 / 512 * 512;
	if (enough >= 512 && enough < memory)
		answer_step(answer, "qm set %lld --memory %lld", check_id(scene->guest), (long long)enough);
	else
		answer_step(answer, "give the node more memory, or the VM less");
	if (rest > 0)
		return answer_warn(answer,
		        "the VM pins %lld MiB of the node's %lld MiB from its start on: the %lld MiB that are "
		        "left are little for the node itself (and for ZFS, if it has any)",
		        (long long)memory, (long long)has, (long long)rest);
	return answer_broken(answer,
	        "the VM has %lld MiB, the node %lld MiB: with a passed-through card all of it must be there at "
	        "once",
	        (long long)memory, (long long)has);
}

static enum verdict vm_hugepages(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	const char *pages = set(guest, "hugepages");
	if (!*pages)
		return answer_none();
	if (pve_boolean(set(guest, "numa")) == YES)
		return answer_ok(answer, "hugepages: %s with numa: 1", pages);
	answer_step(answer, "qm set %lld --numa 1", check_id(guest));
	return answer_broken(answer, "hugepages: %s needs numa: 1: the VM does not start", pages);
}

/* ---- disks and snapshots ---- */

static bool is_disk_key(const char *key)
{
	static const char *const prefixes[] = { "scsi", "virtio", "sata", "ide", "efidisk", "tpmstate", NULL };
	for (const char *const *prefix = prefixes; *prefix; prefix++) {
		size_t size = strlen(*prefix);
		if (!strncmp(key, *prefix, size) && isdigit((unsigned char)key[size]))
			return true;
	}
	return false;
}

static const struct storage *storage_named(const struct pve *pve, const char *id)
{
	for (size_t i = 0; i < pve->n_storages; i++)
		if (!strcmp(pve->storages[i].id, id))
			return &pve->storages[i];
	return NULL;
}

/* Can this disk be snapshotted? YES too for what is no disk image. */
static enum tri disk_snapshots(const struct pve *pve, const char *value, struct arena *arena, const char **ret_storage)
{
	struct pve_properties disk = pve_parse_properties(value, "file", arena);
	const char *file = pve_property(&disk, "file"), *media = pve_property(&disk, "media");
	if (!file || (media && !strcmp(media, "cdrom")) || !strcmp(file, "none") || text_ends(file, ".qcow2"))
		return YES;
	const char *colon = strchr(file, ':');
	if (!colon)
		return NO; /* a device or a file by its path */
	*ret_storage = arena_strndup(arena, file, (size_t)(colon - file));
	const struct storage *storage = storage_named(pve, *ret_storage);
	return storage ? storage->snapshots : UNKNOWN;
}

static enum verdict vm_snapshot_storage(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	const char *unknown = NULL;
	for (size_t i = 0; guest->n_sections && i < guest->sections[0].n; i++) {
		const struct pve_line *line = &guest->sections[0].lines[i];
		const char *storage = "a path";
		if (!line->key || !line->value || !is_disk_key(line->key))
			continue;
		enum tri can = disk_snapshots(&scene->facts->pve, line->value, answer->arena, &storage);
		if (can == UNKNOWN && !unknown)
			unknown = arena_printf(answer->arena, "%s on %s", line->key, storage);
		if (can != NO)
			continue;
		answer_step(answer,
		        "make a backup before changing the VM: vzdump %lld --mode snapshot --storage BACKUP",
		        check_id(guest));
		answer_step(answer, "or move the disk to a storage with snapshots (ZFS, LVM-thin, Ceph) or to qcow2");
		return answer_warn(answer,
		        "%s lies on %s, where Proxmox cannot make snapshots: \"snapshot feature is not available\"",
		        line->key, storage);
	}
	if (unknown)
		return answer_unknown(answer, "whether %s can be snapshotted is not known", unknown);
	return answer_ok(answer, "every disk can be snapshotted");
}

static enum verdict vm_vmstate(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	for (size_t i = 0; i < guest->n_sections; i++) {
		if (guest->sections[i].kind != SECTION_SNAPSHOT || !*section_value(&guest->sections[i], "vmstate"))
			continue;
		answer_step(
		        answer, "make new snapshots without RAM: qm snapshot %lld NAME --vmstate 0", check_id(guest));
		return answer_warn(answer,
		        "snapshot %s holds the VM's RAM: with a passed-through card such a snapshot can neither be "
		        "made "
		        "nor resumed",
		        guest->sections[i].name);
	}
	return answer_ok(answer, "no snapshot holds RAM");
}

/* ---- others ---- */

static const struct guest *other_holder(
        const struct scene *scene, enum guest_kind kind, bool running, struct arena *arena)
{
	const struct pve *pve = &scene->facts->pve;
	for (size_t i = 0; i < pve->n_guests; i++) {
		const struct guest *other = &pve->guests[i];
		if (other == scene->guest || other->kind != kind || (running && !check_running(other)))
			continue;
		if (facts_guest_has_gpu(scene->facts, other, scene->gpu, arena))
			return other;
	}
	return NULL;
}

static enum verdict vm_one_holder(const struct scene *scene, struct answer *answer)
{
	if (!scene->gpu)
		return answer_none();
	const struct guest *guest = scene->guest;
	const struct guest *running = other_holder(scene, GUEST_VM, true, answer->arena);
	if (running && check_on_vfio(scene->gpu->pci) && !check_running(guest)) {
		answer_step(answer, "shut VM %lld down first: qm shutdown %lld --timeout 300", check_id(running),
		        check_id(running));
		answer_step(answer, "or take the card out of one of them: qm set %lld --delete hostpciN",
		        check_id(running));
		return answer_broken(answer, "VM %lld runs with this card: \"already in use by VMID %lld\"",
		        check_id(running), check_id(running));
	}
	const struct guest *other = running ? running : other_holder(scene, GUEST_VM, false, answer->arena);
	if (!other)
		other = other_holder(scene, GUEST_CT, false, answer->arena);
	if (other) {
		answer_step(answer, "decide which of them keeps the card; never start both, and mind backups, which "
		                    "start a stopped VM");
		return answer_warn(answer, "%s is configured for this card too: only one of them can run",
		        check_guest(other, answer->arena));
	}
	if (scene->facts->pve.guests_known != YES)
		return answer_unknown(answer, "not every guest could be read");
	return answer_ok(answer, "no other guest is configured for this card");
}

static enum verdict vm_ha(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	if (guest->ha == UNKNOWN)
		return answer_unknown(answer, "whether HA manages the VM could not be read");
	if (guest->ha == NO)
		return answer_ok(answer, "HA does not move it");
	const struct hostpci *hostpci = hostpci_of(scene, answer->arena);
	const struct mapping *mapping = hostpci && hostpci->mapping && *hostpci->mapping
	                                        ? mapping_named(&scene->facts->pve, hostpci->mapping)
	                                        : NULL;
	if (mapping && mapping->n > 1)
		return answer_ok(answer, "HA moves it, and mapping %s knows %zu devices", mapping->id, mapping->n);
	answer_step(answer, "make a mapping with the like card of each node the VM may run on, and use it in the VM");
	answer_step(answer, "or take the VM out of HA: ha-manager remove vm:%lld", check_id(guest));
	return answer_warn(answer, "HA may move it to a node that has no such card: it would not start there");
}

static enum verdict vm_agent(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	struct pve_properties agent = pve_parse_properties(set(guest, "agent"), "enabled", answer->arena);
	const char *enabled = pve_property(&agent, "enabled");
	if (enabled && pve_boolean(enabled) == YES)
		return answer_ok(answer, "the guest agent is enabled");
	if (scene->goal->reach && *scene->goal->reach)
		return answer_ok(answer, "the goal says how to look inside: %s", scene->goal->reach);
	answer_step(answer, "in the guest: apt install qemu-guest-agent");
	answer_step(answer, "qm set %lld --agent 1", check_id(guest));
	step_restart(answer, guest);
	answer_step(answer, "or say in the goal how to get inside: reach: ssh://user@host");
	return answer_warn(answer,
	        "the guest agent is not enabled: gpuferry cannot look inside, and Proxmox cannot shut it down cleanly");
}

#define GUEST_RULE(name, where) .about = ABOUT_GUEST, .route = where, .check = name

const struct rule rules_vm[] = {
	{ .id = "vm.known",
	        GUEST_RULE(check_guest_known, ROUTE_VM),
	        .asks = "Can the VM's configuration be read?",
	        .explains = "Everything else about the VM follows from its file.",
	        .source = "/etc/pve/qemu-server" },
	{ .id = "vm.lock",
	        GUEST_RULE(check_guest_lock, ROUTE_VM),
	        .pains = { 13 },
	        .needs = { "vm.known" },
	        .asks = "Is the VM free of locks?",
	        .explains = "A task (backup, rollback, migration) locks the VM. A task that died leaves its lock "
	                    "behind. A stop-mode "
	                    "backup restarts a VM and can collide with another that has the card.",
	        .source = "pve-guest-common AbstractConfig.pm check_lock" },
	{ .id = "vm.hostpci-valid",
	        GUEST_RULE(vm_hostpci_valid, ROUTE_VM),
	        .pains = { 11 },
	        .needs = { "vm.known" },
	        .asks = "Are the hostpci lines well formed?",
	        .explains = "qm accepts lines that cannot start: an address and a mapping together, or neither.",
	        .source = "qemu-server PVE/QemuServer/PCI.pm" },
	{ .id = "vm.given-once",
	        GUEST_RULE(vm_given_once, ROUTE_VM),
	        .pains = { 11 },
	        .needs = { "vm.known", "vm.hostpci-valid" },
	        .asks = "Is no device given twice to the VM?",
	        .explains = "Proxmox takes two hostpci lines that name one device, and refuses the VM's start.",
	        .source = "qemu-server PVE/QemuServer/PCI.pm choose_hostpci_devices" },
	{ .id = "vm.mdev",
	        GUEST_RULE(vm_mdev, ROUTE_VM),
	        .pains = { 27 },
	        .needs = { "vm.known", "vm.hostpci-valid" },
	        .asks = "Can the card be sliced where hostpci asks for a slice?",
	        .explains =
	                "mdev= takes a mediated device of the card, which only some drivers and cards offer (NVIDIA's "
	                "vGPU driver, older Intel graphics). For the whole card it does not belong there.",
	        .source = "qemu-server PVE/QemuServer/PCI/Mdev.pm; pve-common PVE/SysFSTools.pm" },
	{ .id = "vm.address",
	        GUEST_RULE(vm_address, ROUTE_VM),
	        .pains = { 11, 4 },
	        .needs = { "vm.known", "vm.hostpci-valid" },
	        .asks = "Are the devices it names still the ones that were meant?",
	        .explains = "PCI addresses change when hardware is added or the BIOS is updated. A VM that names the "
	                    "old address does not "
	                    "start, or takes another device from the node.",
	        .source = "qemu-server PVE/QemuServer/PCI.pm; jeff141/pve-pci-fixer" },
	{ .id = "vm.mapping",
	        GUEST_RULE(vm_mapping, ROUTE_VM),
	        .pains = { 11 },
	        .needs = { "vm.known", "vm.hostpci-valid" },
	        .asks = "Does the mapping still fit the device?",
	        .explains = "Proxmox compares ids, subsystem and group of a mapping with the device at every start and "
	                    "refuses when they "
	                    "differ.",
	        .source = "pve-guest-common PVE/Mapping/PCI.pm assert_valid" },
	{ .id = "vm.hostpci",
	        GUEST_RULE(vm_hostpci, ROUTE_VM),
	        .needs = { "vm.known", "vm.hostpci-valid" },
	        .after = { "node.iommu", "gpu.group-needs", "gpu.group", "vm.address", "vm.mapping" },
	        .pains = { 13 },
	        .asks = "Is the card given to the VM?",
	        .explains = "A hostpci line, by address or by mapping, hands the card over at the VM's start.",
	        .source = "pve-docs qm-pci-passthrough.adoc" },
	{ .id = "vm.by-address",
	        GUEST_RULE(vm_by_address, ROUTE_VM),
	        .pains = { 11, 12 },
	        .needs = { "vm.hostpci" },
	        .asks = "Would Proxmox notice another device at the card's address?",
	        .explains = "A line with a bare address is not checked at start and can be changed by root@pam alone: "
	                    "no API token, not "
	                    "even root's, may. A mapping is checked and can be granted.",
	        .source = "qemu-server PVE/API2/Qemu.pm; pve-guest-common PVE/Mapping/PCI.pm" },
	{ .id = "vm.one-holder",
	        GUEST_RULE(vm_one_holder, ROUTE_VM),
	        .pains = { 13 },
	        .needs = { "vm.known" },
	        .asks = "Is the VM the only one that has the card?",
	        .explains = "One card serves one running VM. Proxmox refuses the second start; a backup of a stopped "
	                    "VM starts it.",
	        .source = "qemu-server PVE/QemuServer/PCI.pm reserve_pci_usage" },
	{ .id = "vm.pcie",
	        GUEST_RULE(vm_pcie, ROUTE_VM),
	        .pains = { 22 },
	        .needs = { "vm.hostpci-valid" },
	        .asks = "Does the machine type offer what hostpci asks for?",
	        .explains = "pcie=1 works with q35 only. Encoding does not need it, and an installed VM should keep "
	                    "its machine type.",
	        .source = "qemu-server PVE/QemuServer/PCI.pm" },
	{ .id = "vm.legacy-igd",
	        GUEST_RULE(vm_legacy_igd, ROUTE_VM),
	        .pains = { 25 },
	        .needs = { "vm.hostpci-valid" },
	        .asks = "Is legacy-igd used only where Proxmox takes it?",
	        .explains = "Legacy mode makes the iGPU the VM's screen. It excludes q35, x-vga, mdev and a second "
	                    "display, and newer QEMU "
	                    "supports it for old generations only. A Linux guest that encodes works without.",
	        .source = "qemu-server PVE/QemuServer/PCI.pm; QEMU docs/igd-assign.txt" },
	{ .id = "vm.igpu",
	        .vendor = "intel",
	        GUEST_RULE(vm_igpu, ROUTE_VM),
	        .pains = { 26 },
	        .needs = { "vm.known" },
	        .asks = "Is this integrated GPU known to work in a VM?",
	        .explains = "Newer integrated graphics have no ROM of their own and other classes; SR-IOV needs "
	                    "modules from outside the "
	                    "kernel. Sharing with a CT avoids all of it.",
	        .source = "QubesOS#9613; strongtz/i915-sriov-dkms" },
	{ .id = "vm.x-vga",
	        GUEST_RULE(vm_x_vga, ROUTE_VM),
	        .pains = { 27 },
	        .needs = { "vm.hostpci-valid" },
	        .asks = "Does the VM keep its own screen?",
	        .explains = "x-vga only makes the card the primary display; drivers find it without.",
	        .source = "pve-docs qm-pci-passthrough.adoc" },
	{ .id = "vm.rom",
	        GUEST_RULE(vm_rom, ROUTE_VM),
	        .pains = { 24 },
	        .needs = { "vm.hostpci-valid" },
	        .asks = "Is the card used without a ROM file?",
	        .explains = "A ROM is needed to show the firmware's screen on the card, not to encode. The kernel's "
	                    "message about its "
	                    "header is noise.",
	        .source = "Proxmox forum 169296; qm.conf(5) romfile" },
	{ .id = "vm.display",
	        GUEST_RULE(vm_display, ROUTE_VM),
	        .needs = { "vm.known" },
	        .pains = { 22 },
	        .asks = "Does the VM keep a console?",
	        .explains = "When a change inside goes wrong, Proxmox's console is the way back in.",
	        .source = "qm.conf(5) vga" },
	{ .id = "vm.args",
	        GUEST_RULE(vm_args, ROUTE_VM),
	        .pains = { 27 },
	        .needs = { "vm.known" },
	        .asks = "Is the VM free of raw QEMU arguments that replace Proxmox's own?",
	        .explains = "args: is appended last: a second -cpu drops the flags Proxmox chose.",
	        .source = "qm.conf(5) args" },
	{ .id = "vm.hidden",
	        GUEST_RULE(vm_hidden, ROUTE_VM),
	        .pains = { 27 },
	        .needs = { "vm.known" },
	        .asks = "Is it free of tricks against Code 43?",
	        .explains = "Code 43 exists in Windows only, and NVIDIA allows its cards in VMs since driver R465.",
	        .source = "NVIDIA, April 2021; qm.conf(5) cpu" },
	{ .id = "vm.address-width",
	        GUEST_RULE(vm_address_width, ROUTE_VM),
	        .pains = { 19 },
	        .needs = { "vm.known", "node.iommu" },
	        .asks = "Does the VM stay within the addresses that the IOMMU can map?",
	        .explains = "Some Intel IOMMUs are narrower than the CPU. The guest's firmware may put a large BAR "
	                    "above their limit.",
	        .source = "QEMU docs/igd-assign.txt; /sys/class/iommu/*/intel-iommu/cap" },
	{ .id = "vm.memory",
	        GUEST_RULE(vm_memory, ROUTE_VM),
	        .pains = { 20 },
	        .needs = { "vm.known" },
	        .asks = "Does the node have the memory that the VM pins?",
	        .explains = "With a passed-through device all memory of the VM is pinned from the start.",
	        .source = "Linux Documentation/driver-api/vfio.rst" },
	{ .id = "vm.balloon",
	        GUEST_RULE(vm_balloon, ROUTE_VM),
	        .pains = { 20 },
	        .needs = { "vm.known" },
	        .asks = "Is ballooning off?",
	        .explains = "Pinned memory cannot be given back; Proxmox counts on memory that it will never get.",
	        .source = "QEMU hw/vfio; claytono/infra#996" },
	{ .id = "vm.hugepages",
	        GUEST_RULE(vm_hugepages, ROUTE_VM),
	        .pains = { 20 },
	        .needs = { "vm.known" },
	        .asks = "Do the huge pages have what they need?",
	        .explains = "Proxmox takes hugepages only together with numa: 1.",
	        .source = "qemu-server PVE/QemuServer/Memory.pm" },
	{ .id = "vm.secure-boot",
	        .vendor = "nvidia",
	        GUEST_RULE(vm_secure_boot, ROUTE_VM),
	        .pains = { 23 },
	        .needs = { "vm.known" },
	        .asks = "Does the VM's firmware let NVIDIA's module in?",
	        .explains = "pre-enrolled-keys=1 on the EFI disk switches Secure Boot on; modules that DKMS built are "
	                    "then refused.",
	        .source = "qm.conf(5) efidisk0" },
	{ .id = "vm.machine-switched",
	        GUEST_RULE(vm_machine_switched, ROUTE_VM),
	        .pains = { 22 },
	        .needs = { "vm.known" },
	        .asks = "Does the installed VM keep its machine type and firmware?",
	        .explains = "From i440fx to q35 the network card changes its name (ens18 becomes enp6s18) and the "
	                    "guest loses its network; "
	                    "from SeaBIOS to OVMF an installed disk does not boot.",
	        .source = "openmediavault#1888; proxcenter-ui#554" },
	{ .id = "vm.snapshot-storage",
	        GUEST_RULE(vm_snapshot_storage, ROUTE_VM),
	        .pains = { 21 },
	        .needs = { "vm.known" },
	        .asks = "Can the VM be snapshotted before it is changed?",
	        .explains = "A snapshot is the quick way back inside the VM. Raw disks on directories, NFS and plain "
	                    "LVM have none.",
	        .source = "pve-docs pvesm.adoc" },
	{ .id = "vm.vmstate",
	        GUEST_RULE(vm_vmstate, ROUTE_VM),
	        .pains = { 21 },
	        .needs = { "vm.known" },
	        .asks = "Are its snapshots without RAM?",
	        .explains = "The state of a passed-through card cannot be saved: snapshots with RAM, hibernation and "
	                    "live migration end.",
	        .source = "Linux drivers/vfio migration; qemu-server changelog 7.2-5" },
	{ .id = "vm.pending",
	        GUEST_RULE(check_guest_pending, ROUTE_VM),
	        .pains = { 13 },
	        .needs = { "vm.known" },
	        .asks = "Is every change in effect?",
	        .explains = "A running VM takes a changed hostpci line only after a full stop and start, not after a "
	                    "reboot inside.",
	        .source = "qm(1) pending" },
	{ .id = "vm.ha",
	        GUEST_RULE(vm_ha, ROUTE_VM),
	        .pains = { 11 },
	        .needs = { "vm.known" },
	        .asks = "Can it start wherever HA may put it?",
	        .explains = "HA moves a VM to any node of its group; the card does not move along. A mapping names a "
	                    "like card per node.",
	        .source = "pve-docs ha-manager.adoc; qm-pci-passthrough.adoc" },
	{ .id = "vm.onboot",
	        GUEST_RULE(check_guest_onboot, ROUTE_VM),
	        .needs = { "vm.known" },
	        .asks = "Does the VM start with the node?",
	        .explains = "A media server should come back after a power cut by itself.",
	        .source = "qm.conf(5) onboot" },
	{ .id = "vm.agent",
	        GUEST_RULE(vm_agent, ROUTE_VM),
	        .needs = { "vm.known" },
	        .asks = "Is there a way to look inside?",
	        .explains =
	                "The guest agent, or ssh named in the goal, shows driver, libraries and docker in the guest.",
	        .source = "qm.conf(5) agent" },
	{ .id = NULL },
};
