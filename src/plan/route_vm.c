/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A VM that shall get a GPU: what its configuration needs, and no more. PVE rebinds the whole group to vfio-pci when
 * the VM starts (pve-common SysFSTools.pm), so where the node's driver can let go nothing is bound by us.
 *
 * Sources: qemu-server PCI.pm (hostpci), Memory.pm (hugepages need numa), pve-guest-common PVE/Mapping/PCI.pm.
 */
#include <string.h>

#include "plan/route.h"
#include "rules/check.h"

enum { HOSTPCI_MAX = 16 };

/* ---- which line ---- */

static bool names_card(const struct route *route, const struct words *addresses)
{
	for (size_t i = 0; i < addresses->n; i++)
		if (text_starts(route->gpu->pci->address, addresses->word[i]))
			return true;
	return false;
}

static const struct hostpci *line_of_card(const struct route *route)
{
	const struct guest *guest = route->guest;
	for (size_t i = 0; guest && i < guest->n_hostpci; i++) {
		struct words addresses = pve_hostpci_addresses(&route->facts->pve, &guest->hostpci[i], route->arena);
		if (names_card(route, &addresses))
			return &guest->hostpci[i];
	}
	return NULL;
}

/* By the lines themselves: what waits to be deleted is no free place yet either. */
static bool index_taken(const struct route *route, unsigned index)
{
	const struct guest *guest = route->guest;
	for (size_t i = 0; guest && i < guest->n_hostpci; i++)
		if (guest->hostpci[i].index == index)
			return true;
	return guest && pve_value(guest, arena_printf(route->arena, "hostpci%u", index));
}

static bool is_q35(const struct route *route)
{
	const char *machine = route->guest ? pve_value_next(route->guest, "machine") : "q35"; /* what we make is q35 */
	return machine && strstr(machine, "q35");
}

/* ---- what it says ---- */

/* The whole slot where the whole slot is the card; an integrated GPU's neighbours stay with the node. */
static const char *slot_or_function(struct route *route)
{
	const struct gpu *gpu = route->gpu;
	const char *address = gpu->pci->address;
	bool whole = gpu->n_functions > 1 && (gpu->model.integrated == NO || check_vendor(gpu, "nvidia"));
	return whole ? arena_strndup(route->arena, address, (size_t)(strrchr(address, '.') - address)) : address;
}

static bool mapping_names_card(const struct route *route, const struct mapping_entry *entry)
{
	const char *node = route->facts->pve.node;
	if (!entry->node || !entry->path || !node || strcmp(entry->node, node) != 0)
		return false;
	struct words paths = text_split(route->arena, entry->path, ";");
	return names_card(route, &paths);
}

static const struct mapping *mapping_of_card(const struct route *route)
{
	const struct pve *pve = &route->facts->pve;
	for (size_t i = 0; i < pve->n_mappings; i++)
		for (size_t e = 0; e < pve->mappings[i].n; e++)
			if (mapping_names_card(route, &pve->mappings[i].entries[e]))
				return &pve->mappings[i];
	return NULL;
}

static bool guest_uses_mappings(const struct route *route)
{
	for (size_t i = 0; route->guest && i < route->guest->n_hostpci; i++)
		if (route->guest->hostpci[i].mapping && *route->guest->hostpci[i].mapping)
			return true;
	return false;
}

/* The entry for this node, as PVE compares it at the VM's start; NULL: something of it is not known (yet). */
static const char *mapping_entry(struct route *route)
{
	const struct pci_device *card = route->gpu->pci;
	const char *node = route->facts->pve.node;
	if (!node || !*node || !card->iommu_group || !*card->iommu_group || card->vendor == UNKNOWN_NUMBER ||
	        card->device == UNKNOWN_NUMBER || card->subsystem_vendor == UNKNOWN_NUMBER ||
	        card->subsystem_device == UNKNOWN_NUMBER)
		return NULL;
	return arena_printf(route->arena, "node=%s,path=%s,id=%04x:%04x,subsystem-id=%04x:%04x,iommugroup=%s", node,
	        slot_or_function(route), (unsigned)card->vendor, (unsigned)card->device,
	        (unsigned)card->subsystem_vendor, (unsigned)card->subsystem_device, card->iommu_group);
}

static const struct mapping *mapping_called(const struct route *route, const char *id)
{
	const struct pve *pve = &route->facts->pve;
	for (size_t i = 0; i < pve->n_mappings; i++)
		if (strcmp(pve->mappings[i].id, id) == 0)
			return &pve->mappings[i];
	return NULL;
}

static bool has_this_node(const struct route *route, const struct mapping *mapping)
{
	for (size_t i = 0; mapping && i < mapping->n; i++)
		if (mapping->entries[i].node && strcmp(mapping->entries[i].node, route->facts->pve.node) == 0)
			return true;
	return false;
}

/* One name for like cards of the cluster's nodes; a second such card of this node has its place in the name. */
static const char *mapping_name(struct route *route)
{
	const struct pci_device *card = route->gpu->pci;
	const char *id = arena_printf(route->arena, "gpu-%04x-%04x", (unsigned)card->vendor, (unsigned)card->device);
	if (has_this_node(route, mapping_called(route, id)))
		id = arena_printf(route->arena, "%s-%04x-%02x-%02x", id, card->domain, card->bus, card->slot);
	return id;
}

/* NULL: the card is named by its address. */
static const char *mapping_for(struct route *route, const char *because)
{
	const struct pve *pve = &route->facts->pve;
	const struct mapping *mapping = mapping_of_card(route);
	if (mapping)
		return mapping->id;
	if (!pve->n_mappings && !guest_uses_mappings(route))
		return NULL;
	const char *entry = mapping_entry(route);
	if (!entry) {
		route_note(route,
		        "The card is named by its address: its IOMMU group, which a mapping holds, is not known "
		        "before the reboot.");
		return NULL;
	}
	const char *id = mapping_name(route);
	route_step(route, PHASE_MAPPING, "mapping", "node", id, NONE, entry, because, "make the mapping %s for %s", id,
	        route->gpu->pci->address);
	return id;
}

/* ---- the repairs ---- */

static const char *hostpci_key(struct route *route, const struct hostpci *line)
{
	if (line)
		return arena_printf(route->arena, "hostpci%u", line->index);
	for (unsigned index = 0; index < HOSTPCI_MAX; index++)
		if (!index_taken(route, index))
			return arena_printf(route->arena, "hostpci%u", index);
	return NULL;
}

static const char *device_of_line(struct route *route, const struct hostpci *line, const char *because)
{
	if (line && line->mapping && *line->mapping)
		return arena_printf(route->arena, "mapping=%s", line->mapping);
	if (line && line->addresses.n == 1)
		return line->addresses.word[0];
	const char *mapping = mapping_for(route, because);
	return mapping ? arena_printf(route->arena, "mapping=%s", mapping) : slot_or_function(route);
}

static void give(struct route *route, const struct hostpci *line, const char *because)
{
	const char *key = hostpci_key(route, line);
	if (!key) {
		route_refuse(route, because, NULL, "%s has no hostpci line free: PVE knows %d", route->on, HOSTPCI_MAX);
		return;
	}
	const char *value = arena_printf(
	        route->arena, "%s%s", device_of_line(route, line, because), is_q35(route) ? ",pcie=1" : "");
	route_config(route, because, key, value, "%s %s to %s", line ? "give anew" : "give", route->gpu->pci->address,
	        route->on);
	route_restart(route, because, "it gets the card only when it starts");
}

/* By args, say: not as we would do it, but it has the card. */
static bool has_otherwise(const struct route *route)
{
	return route->guest && pve_guest_has(&route->facts->pve, route->guest, route->gpu->pci, route->arena);
}

/* vm.hostpci, and the rules that find its line wrong. */
void vm_hostpci(struct route *route, const struct finding *finding)
{
	const char *because = finding->rule->id;
	const struct hostpci *line = line_of_card(route);
	bool given = strcmp(because, "vm.hostpci") == 0;
	if (given && finding->verdict == VERDICT_WARN)
		route_restart(route, because, "it gets the card only when it starts");
	else if (given && !line && !has_otherwise(route))
		give(route, NULL, because);
	else if (!given && line)
		give(route, line, because);
	else if (!given)
		route_refuse(route, because, finding->cure, "%s", finding->why);
}

/* Only a line that gives nothing but this card once more goes; what else is given twice is not ours to decide. */
void vm_given_once(struct route *route, const struct finding *finding)
{
	const struct scene scene = {
		.facts = route->facts, .goal = route->goal, .gpu = route->gpu, .guest = route->guest
	};
	const char *device;
	const struct hostpci *line = check_doubled(&scene, route->arena, &device);
	struct words addresses = { 0 };
	if (line)
		addresses = pve_hostpci_addresses(&route->facts->pve, line, route->arena);
	if (addresses.n != 1 || !names_card(route, &addresses)) {
		route_refuse(route, finding->rule->id, finding->cure, "%s", finding->why);
		return;
	}
	route_config(route, finding->rule->id, hostpci_key(route, line), NONE, "take %s from %s: another line gives %s",
	        hostpci_key(route, line), route->on, device);
	route_restart(route, finding->rule->id, "the line is out of effect when it starts");
}

/* The hardware changed since the mapping was made, but it still means this card. */
void vm_mapping(struct route *route, const struct finding *finding)
{
	const struct hostpci *line = line_of_card(route);
	const struct mapping *mapping = mapping_of_card(route);
	const char *entry = mapping_entry(route);
	bool only = mapping && entry && line && line->mapping && strcmp(line->mapping, mapping->id) == 0;
	size_t here = 0;
	for (size_t i = 0; only && i < mapping->n; i++)
		here += has_this_node(route, &(struct mapping){ .entries = &mapping->entries[i], .n = 1 });
	if (!only || here != 1) {
		route_refuse(route, finding->rule->id, finding->cure, "%s", finding->why);
		return;
	}
	route_step(route, PHASE_MAPPING, "mapping", "node", mapping->id, NULL, entry, finding->rule->id,
	        "put the mapping %s right", mapping->id);
}

/* Only along with the card, because it costs a stop and a start. */
void vm_balloon(struct route *route, const struct finding *finding)
{
	if (!route->restart_because) {
		route_note(route, "%s: %s.", finding->rule->id, finding->why);
		return;
	}
	route_config(route, finding->rule->id, "balloon", "0",
	        "switch ballooning of %s off: all its memory is pinned anyway", route->on);
}

void vm_numa(struct route *route, const struct finding *finding)
{
	route_config(route, finding->rule->id, "numa", "1", "let %s have NUMA, which huge pages need", route->on);
	route_restart(route, finding->rule->id, "the setting comes into effect when it starts");
}

static const struct guest *other_with_card(const struct route *route, enum guest_kind kind, bool running)
{
	const struct pve *pve = &route->facts->pve;
	for (size_t i = 0; i < pve->n_guests; i++) {
		const struct guest *other = &pve->guests[i];
		if (other != route->guest && other->kind == kind && (!running || plan_running(other)) &&
		        facts_guest_has_gpu(route->facts, other, route->gpu, route->arena))
			return other;
	}
	return NULL;
}

/* A stopped VM with the same card is harmless as long as it stays stopped; a CT would lose what it has. */
void vm_one_holder(struct route *route, const struct finding *finding)
{
	const struct guest *loses = other_with_card(route, GUEST_CT, false);
	if (!loses)
		loses = other_with_card(route, GUEST_VM, true);
	if (loses)
		route_lean(route, finding->rule->id, finding->cure, "%s would lose the card: %s",
		        check_guest(loses, route->arena), finding->why);
	else
		route_note(route, "%s: %s.", finding->rule->id, finding->why);
}

static bool planned(const struct route *route, const char *key)
{
	for (size_t i = 0; i < route->n_steps; i++)
		if (strcmp(route->steps[i]->step.kind, "config") == 0 && strcmp(route->steps[i]->step.key, key) == 0)
			return true;
	return false;
}

/* What others set would come into effect with our restart: only the card itself may wait there. */
void vm_pending(struct route *route, const struct finding *finding)
{
	const struct guest *guest = route->guest;
	const struct hostpci *line = line_of_card(route);
	for (size_t s = 0; s < guest->n_sections; s++) {
		const struct pve_section *section = &guest->sections[s];
		for (size_t i = 0; section->kind == SECTION_PENDING && i < section->n; i++) {
			const char *key = section->lines[i].key;
			if (!key || *key == '#' || planned(route, key) ||
			        (line && strcmp(key, hostpci_key(route, line)) == 0) ||
			        (strcmp(key, "balloon") == 0 && strcmp(section->lines[i].value, "0") == 0))
				continue;
			route_lean(route, finding->rule->id,
			        arena_printf(route->arena, "%s\nor take it back: qm set %lld --revert %s",
			                finding->cure, (long long)guest->id, text_sh_quoted(route->arena, key)),
			        "%s waits for the next start of %s, and others set it", key, route->on);
		}
	}
}

/* ---- what no rule asks ---- */

static void refuse_lost_lines(struct route *route, const char *rule)
{
	const struct guest *guest = route->guest;
	for (size_t s = 0; s < guest->n_sections; s++)
		for (size_t i = 0; i < guest->sections[s].n; i++) {
			const struct pve_line *line = &guest->sections[s].lines[i];
			if (line->lost)
				route_lean(route, rule,
				        arena_printf(route->arena, "put line %u of %s right, or take it out",
				                line->line, guest->file),
				        "Proxmox would drop line %u of %s at its next write, because %s: %s",
				        line->line, guest->file, line->lost, line->raw);
		}
}

static void wishes(struct route *route)
{
	const struct goal *goal = route->goal;
	if (goal->affinity)
		route_config(route, "goal.guest", "affinity", goal->affinity, "keep %s on the node's CPUs %s",
		        route->on, goal->affinity);
	if (goal->hugepages != UNKNOWN_NUMBER) {
		const char *size = goal->hugepages == HUGEPAGES_ANY
		                           ? "any"
		                           : arena_printf(route->arena, "%lld", (long long)goal->hugepages);
		route_config(route, "goal.guest", "hugepages", size, "give %s huge pages", route->on);
		route_config(route, "vm.hugepages", "numa", "1", "let %s have NUMA, which huge pages need", route->on);
	}
	if (planned(route, "affinity") || planned(route, "hugepages") || planned(route, "numa"))
		route_restart(route, "goal.guest", "the settings come into effect when it starts");
}

void route_guest_fits(struct route *route, const char *rule)
{
	const char *template = pve_value(route->guest, "template");
	if (template && pve_boolean(template) == YES)
		route_refuse(route, "goal.guest", "name a guest that was made from it", "%s is a template", route->on);
	if (!route->guest->status)
		route_lean(route, rule, "run gpuferry as root on the node", "whether %s runs is not known", route->on);
	refuse_lost_lines(route, rule);
}

/* PVE would take the card from its driver when the VM starts, and never give it back: so it is taken by us, while
 * nobody has it, and then it is ours to give back. */
static void take_now(struct route *route)
{
	struct functions functions = route_functions(route);
	if (route->reboot_because || !route->restart_because || !plan_running(route->guest) ||
	        route->gpu->hot_release != YES)
		return;
	for (size_t i = 0; i < functions.n; i++) {
		const struct pci_device *device = functions.device[i];
		if (device->driver && !check_on_vfio(device))
			route_bind(route, "vm.hostpci", device, "vfio-pci",
			        arena_printf(route->arena, "take %s from %s for the VM", device->address,
			                *device->driver ? device->driver : "no driver"));
	}
}

/* A second way into the node does not light the screen that stands in front of it. */
static void warn_of_dark_screen(struct route *route)
{
	const struct finding *console = route_finding(route, "gpu.only-console");
	if (route->gpu->boot_display == YES && !check_on_vfio(route->gpu->pci) && console &&
	        console->verdict == VERDICT_OK)
		route_warn(route, "gpu.only-console",
		        "the node boots on %s: a screen that is plugged in there is dark once the VM has it (%s)",
		        route->gpu->pci->address, console->why);
}

void route_vm(struct route *route)
{
	if (!route->guest) {
		create_vm(route);
		return;
	}
	route_guest_fits(route, "vm.known");
	wishes(route);
	take_now(route);
	warn_of_dark_screen(route);
	if (!plan_running(route->guest) && route->restart_because)
		route_note(
		        route, "%s is not running, and is not started: it gets the card at its next start.", route->on);
}
