/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a VM does with the node's PCI devices when it starts. Sources: qemu-server PVE/QemuServer/PCI.pm
 * (parse_hostpci_devices, choose_hostpci_devices, prepare_pci_device, reserve_pci_usage), pve-common
 * PVE/SysFSTools.pm (pci_dev_group_bind_to_vfio), pve-guest-common PVE/Mapping/PCI.pm (assert_valid).
 */
#include <errno.h>
#include <string.h>

#include "rehearse/pve.h"

#define SYS "/sys/bus/pci/devices/"
#define RESERVED "/run/qemu-server/pci-id-reservations"

bool pve_q35(const struct pve_part *part)
{
	const char *machine = pve_get(part, "machine");
	return machine && (text_starts(machine, "q35") || text_starts(machine, "pc-q35") ||
	                          text_starts(machine, "type=q35") || text_starts(machine, "type=pc-q35"));
}

/* ---- finding devices ---- */

/* As lspci(): whatever begins with these words, the domain left out or not. */
static struct words devices_of(struct rehearse *rehearse, const char *id)
{
	struct words found = { 0 };
	struct model_inode *folder = model_find(rehearse, "/sys/bus/pci/devices");
	for (size_t i = 0; folder && i < folder->names.n; i++) {
		const char *name = folder->names.name[i].name;
		if (folder->names.name[i].inode &&
		        (text_starts(name, id) || (text_starts(name, "0000:") && text_starts(name + 5, id))))
			*arena_push(rehearse->arena, found.word, found.n) = name;
	}
	return found;
}

static const char *attribute(struct rehearse *rehearse, const char *address, const char *name)
{
	const char *text = model_text(rehearse, MODEL_PRINT(rehearse, SYS "%s/%s", address, name));
	if (!text)
		return NULL;
	text = text_trimmed(rehearse->arena, (struct bytes){ text, strcspn(text, "\n") });
	return text_starts(text, "0x") ? text + 2 : text;
}

static const char *group_of(struct rehearse *rehearse, const char *address)
{
	struct model_inode *inode;
	if (model_look(rehearse, MODEL_PRINT(rehearse, SYS "%s/iommu_group", address), false, &inode) != 0 ||
	        !inode->link)
		return NULL;
	const char *slash = strrchr(inode->link, '/');
	return slash ? slash + 1 : inode->link;
}

/* ---- mappings ---- */

/* One property of a mapping against the device: false: said why. */
static bool same(struct model_call *call, const char *property, const char *mapping, const char *address,
        const char *is, const char *says)
{
	static const char invalid[] = "PCI device mapping invalid (hardware probably changed)";
	is = is ? is : NONE;
	if (strcmp(is, says) == 0)
		return true;
	if (!*says)
		pve_die(call, "%s: missing expected property '%s' for device '%s'\n", invalid, property, address);
	else if (!*is)
		pve_die(call, "%s: unexpected property '%s' configured for device '%s'\n", invalid, property, address);
	else
		pve_die(call, "%s: '%s' does not match for '%s' (%s != %s)\n", invalid, property, mapping, is, says);
	return false;
}

static bool mapping_valid(struct model_call *call, const char *mapping, const struct mapping_entry *entry)
{
	struct rehearse *rehearse = call->rehearse;
	struct words paths = text_split(rehearse->arena, entry->path, ";");
	for (size_t i = 0; i < paths.n; i++) {
		const char *address =
		        strchr(paths.word[i], '.') ? paths.word[i] : MODEL_PRINT(rehearse, "%s.0", paths.word[i]);
		const char *vendor = attribute(rehearse, address, "vendor");
		const char *sub = attribute(rehearse, address, "subsystem_vendor");
		if (!vendor) {
			pve_die(call,
			        "PCI device mapping invalid (hardware probably changed): pci device '%s' not found\n",
			        address);
			return false;
		}
		if (!same(call, "id", mapping, address,
		            MODEL_PRINT(rehearse, "%s:%s", vendor, attribute(rehearse, address, "device")), entry->id))
			return false;
		if (i == 0 &&
		        !same(call, "iommugroup", mapping, address, group_of(rehearse, address), entry->iommu_group))
			return false;
		if (!same(call, "subsystem-id", mapping, address,
		            sub ? MODEL_PRINT(rehearse, "%s:%s", sub, attribute(rehearse, address, "subsystem_device"))
		                : NULL,
		            entry->subsystem))
			return false;
	}
	return true;
}

/* The lists of ids of this node's entries, each an alternative. */
static bool mapping_paths(struct model_call *call, const char *name, struct words *ret)
{
	struct rehearse *rehearse = call->rehearse;
	const char *text = model_text(rehearse, "/etc/pve/mapping/pci.cfg"), *node = pve_node(rehearse);
	struct pve pve = { 0 };
	if (text)
		pve_parse_mappings((struct bytes){ text, strlen(text) }, rehearse->arena, &pve);
	for (size_t i = 0; i < pve.n_mappings; i++) {
		if (strcmp(pve.mappings[i].id, name) != 0)
			continue;
		for (size_t j = 0; j < pve.mappings[i].n; j++) {
			const struct mapping_entry *entry = &pve.mappings[i].entries[j];
			if (!entry->node || strcmp(entry->node, node) != 0 || !entry->path)
				continue;
			if (!mapping_valid(call, name, entry))
				return false;
			*arena_push(rehearse->arena, ret->word, ret->n) = entry->path;
		}
	}
	if (!ret->n)
		pve_die(call, "PCI device mapping not found for '%s'", name);
	return ret->n != 0;
}

/* ---- reading hostpci ---- */

static int list_devices(struct model_call *call, const char *list, struct words *ret)
{
	struct rehearse *rehearse = call->rehearse;
	struct words ids = text_split(rehearse->arena, list, ";");
	for (size_t i = 0; i < ids.n; i++) {
		struct words found = devices_of(rehearse, ids.word[i]);
		if (!found.n) {
			pve_die(call, "no PCI device found for '%s'", ids.word[i]);
			return 2;
		}
		for (size_t j = 0; j < found.n; j++)
			*arena_push(rehearse->arena, ret->word, ret->n) = found.word[j];
	}
	return 0;
}

static int legacy_igd(struct model_call *call, const struct pve_part *part, const struct pve_pci *pci, bool again)
{
	const char *vga = pve_get(part, "vga");
	const struct {
		bool wrong;
		const char *why;
	} rules[] = {
		{ again, "only one device can be assigned in legacy-igd mode" },
		{ !vga || strcmp(vga, "none") != 0, "legacy IGD assignment requires VGA mode to be 'none'" },
		{ pve_boolean(pve_property(&pci->set, "rombar")) == NO,
		        "legacy IGD assignment requires rombar to be enabled" },
		{ pve_boolean(pve_property(&pci->set, "x-vga")) == YES,
		        "legacy IGD assignment is not compatible with x-vga" },
		{ pve_property(&pci->set, "mdev") != NULL, "legacy IGD assignment is not compatible with mdev" },
		{ pve_q35(part), "legacy IGD assignment is not compatible with q35" },
		{ pci->addresses.n > 1, "legacy IGD assignment is not compatible with multifunction devices" },
		{ pci->addresses.n && !text_ends(pci->addresses.word[0], "02.0"),
		        "legacy IGD assignment only works for devices on host bus 00:02.0" },
	};
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (rules[i].wrong) {
			pve_die(call, "%s", rules[i].why);
			return 2;
		}
	return 0;
}

/* One key, alternatives left to the first that nobody else of this VM has. */
static int parse_one(struct model_call *call, const struct pve_pcis *others, const char *value, struct pve_pci *pci)
{
	struct arena *arena = call->rehearse->arena;
	pci->set = pve_parse_properties(value, "host", arena);
	const char *host = pve_property(&pci->set, "host"), *mapping = pve_property(&pci->set, "mapping");
	const char *driver = pve_property(&pci->set, "driver");
	struct words paths = { 0 };
	pci->keep = driver && strcmp(driver, "keep") == 0;
	if (host && mapping)
		return pve_die(call, "Cannot set both 'host' and 'mapping'.");
	if (!host && !mapping)
		return pve_die(call, "Either 'host' or 'mapping' must be set.");
	if (mapping && !mapping_paths(call, mapping, &paths))
		return PVE_DIED;
	if (host)
		*arena_push(arena, paths.word, paths.n) = host;
	for (size_t i = 0; i < paths.n; i++) {
		bool used = false;
		pci->addresses = (struct words){ 0 };
		int status = list_devices(call, paths.word[i], &pci->addresses);
		if (status)
			return status;
		for (size_t j = 0; j < others->n; j++)
			for (size_t k = 0; k < others->pci[j].addresses.n && pci->addresses.n; k++)
				used = used || strcmp(others->pci[j].addresses.word[k], pci->addresses.word[0]) == 0;
		if (!used)
			return 0;
	}
	if (paths.n != 1 || !pci->addresses.n)
		return pve_die(call, "could not find a free device for 'hostpci%u'", pci->index);
	return pve_die(call, "device '%s' assigned more than once", pci->addresses.word[0]);
}

int pve_pci_parse(struct model_call *call, const struct pve_part *part, struct pve_pcis *ret)
{
	struct rehearse *rehearse = call->rehearse;
	bool igd = false;
	for (unsigned i = 0; i < 16; i++) {
		const char *value = pve_get(part, MODEL_PRINT(rehearse, "hostpci%u", i));
		struct pve_pci pci = { .index = i };
		if (!value)
			continue;
		int status = parse_one(call, ret, value, &pci);
		if (status)
			return status;
		if (pve_boolean(pve_property(&pci.set, "pcie")) == YES && !pve_q35(part)) {
			pve_die(call,
			        "q35 machine model is not enabled at /usr/share/perl5/PVE/QemuServer/PCI.pm line %d.",
			        pve_version(rehearse) >= 9 ? 510 : 501);
			return 2;
		}
		if (pve_boolean(pve_property(&pci.set, "legacy-igd")) == YES) {
			status = legacy_igd(call, part, &pci, igd);
			if (status)
				return status;
			igd = true;
		}
		*arena_push(rehearse->arena, ret->pci, ret->n) = pci;
	}
	return 0;
}

/* ---- who has which ---- */

/* The file's lines: "0000:01:00.0 100 pid:1810". */
static bool taken(struct model_call *call, unsigned id, const char *address)
{
	struct rehearse *rehearse = call->rehearse;
	const char *text = model_text(rehearse, RESERVED);
	struct words lines = text_split(rehearse->arena, text ? text : "", "\n");
	for (size_t i = 0; i < lines.n; i++) {
		struct words parts = text_split(rehearse->arena, lines.word[i], " ");
		unsigned owner = parts.n > 1 ? pve_id(parts.word[1]) : 0;
		if (!owner || owner == id || strcmp(parts.word[0], address) != 0 || !pve_pid(rehearse, GUEST_VM, owner))
			continue;
		pve_die(call, "PCI device '%s' already in use by VMID '%u'", address, owner);
		return true;
	}
	return false;
}

void pve_pci_reserve(struct model_call *call, unsigned id, const struct pve_pcis *pcis, unsigned pid)
{
	struct rehearse *rehearse = call->rehearse;
	const char *text = model_text(rehearse, RESERVED), *kept = "";
	struct words lines = text_split(rehearse->arena, text ? text : "", "\n");
	const char *mine = MODEL_PRINT(rehearse, " %u ", id);
	for (size_t i = 0; i < lines.n; i++)
		if (!strstr(lines.word[i], mine))
			kept = MODEL_PRINT(rehearse, "%s%s\n", kept, lines.word[i]);
	for (size_t i = 0; i < pcis->n; i++)
		for (size_t j = 0; j < pcis->pci[i].addresses.n; j++)
			kept = MODEL_PRINT(rehearse, "%s%s %u pid:%u\n", kept, pcis->pci[i].addresses.word[j], id, pid);
	if (text || *kept)
		model_set_text(rehearse, RESERVED, 0644, "%s", kept);
}

/* ---- binding ---- */

static bool there(struct rehearse *rehearse, const char *path)
{
	return model_find(rehearse, path) != NULL;
}

/* file_write(): warns and says no. */
static bool write_file(struct model_call *call, const char *path, const char *value, bool existing)
{
	int error = model_attribute(call->rehearse, path, value);
	if (!error || (existing && error == EEXIST))
		return true;
	if (model_dead(call->rehearse) || error == ETIMEDOUT)
		call->error = error;
	else if (error != ENOENT)
		model_err(call, "error writing '%s' to '%s': %s\n", value, path, strerror(error));
	return false;
}

static bool bind_one(struct model_call *call, const char *address)
{
	struct rehearse *rehearse = call->rehearse;
	const char *bound = MODEL_PRINT(rehearse, "/sys/bus/pci/drivers/vfio-pci/%s", address);
	const char *unbind = MODEL_PRINT(rehearse, SYS "%s/driver/unbind", address);
	const char *ids = MODEL_PRINT(
	        rehearse, "%s %s", attribute(rehearse, address, "vendor"), attribute(rehearse, address, "device"));
	if (there(rehearse, bound))
		return true;
	if (!write_file(call, "/sys/bus/pci/drivers/vfio-pci/new_id", ids, true))
		return false;
	if (there(rehearse, SYS) && *kernel_driver(rehearse, address) &&
	        strcmp(kernel_driver(rehearse, address), "vfio-pci") != 0 && !write_file(call, unbind, address, false))
		return false;
	return there(rehearse, bound) ||
	       (write_file(call, "/sys/bus/pci/drivers/vfio-pci/bind", address, false) && there(rehearse, bound));
}

static int bind_group(struct model_call *call, const char *address)
{
	static const char *const modprobe[] = { "modprobe", "vfio-pci", NULL };
	struct rehearse *rehearse = call->rehearse;
	if (!there(rehearse, "/sys/bus/pci/drivers/vfio-pci"))
		model_call_program(rehearse, call, modprobe);
	if (call->error)
		return PVE_DIED;
	if (!there(rehearse, "/sys/bus/pci/drivers/vfio-pci"))
		return pve_die(call, "Cannot find vfio-pci module!");
	if (!group_of(rehearse, address))
		return pve_die(call, "Cannot open iommu_group: No such file or directory");
	struct words devices = kernel_group_devices(rehearse, address);
	for (size_t i = 0; i < devices.n; i++)
		if (!bind_one(call, devices.word[i]))
			return call->error ? PVE_DIED : pve_die(call, "Cannot bind %s to vfio", devices.word[i]);
	return 0;
}

static bool iommu_present(struct rehearse *rehearse)
{
	struct model_inode *folder = model_find(rehearse, "/sys/class/iommu");
	for (size_t i = 0; folder && i < folder->names.n; i++)
		if (folder->names.name[i].inode)
			return true;
	return false;
}

int pve_pci_prepare(struct model_call *call, unsigned id, const struct pve_pcis *pcis)
{
	struct rehearse *rehearse = call->rehearse;
	for (size_t i = 0; i < pcis->n; i++)
		for (size_t j = 0; j < pcis->pci[i].addresses.n; j++)
			if (taken(call, id, pcis->pci[i].addresses.word[j]))
				return PVE_DIED;
	for (size_t i = 0; i < pcis->n; i++)
		for (size_t j = 0; j < pcis->pci[i].addresses.n; j++) {
			const char *address = pcis->pci[i].addresses.word[j];
			if (!iommu_present(rehearse))
				return pve_die(call, "cannot prepare PCI pass-through, IOMMU not present");
			if (pcis->pci[i].keep)
				continue;
			int status = bind_group(call, address);
			if (status)
				return status;
			/* a reset that fails is only warned about */
			if (there(rehearse, MODEL_PRINT(rehearse, SYS "%s/reset", address)) &&
			        !write_file(call, MODEL_PRINT(rehearse, SYS "%s/reset", address), "1", false) &&
			        call->error)
				return PVE_DIED;
		}
	return 0;
}
