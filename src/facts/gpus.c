/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The GPUs among the PCI devices, and what was gathered elsewhere put to its card. Pure.
 */
#include <string.h>

#include "facts/facts.h"

enum { CLASS_DISPLAY = 0x03 };

static const char *vendor_word(int64_t vendor)
{
	static const struct {
		int64_t id;
		const char *word;
	} vendors[] = {
		{ 0x10de, "nvidia" },
		{ 0x8086, "intel" },
		{ 0x1002, "amd" },
		{ 0x1022, "amd" },
	};
	for (size_t i = 0; i < sizeof vendors / sizeof *vendors; i++)
		if (vendors[i].id == vendor)
			return vendors[i].word;
	return vendor == UNKNOWN_NUMBER ? NULL : "other";
}

/* ---- the group, as product.md defines its state ----------------------------- */

static bool same_group(const struct pci_device *left, const struct pci_device *right)
{
	return left->iommu_group && *left->iommu_group && right->iommu_group &&
	       strcmp(left->iommu_group, right->iommu_group) == 0;
}

static void assemble_group(const struct facts *facts, struct gpu *gpu, struct arena *arena)
{
	bool unsure = false;
	for (size_t i = 0; i < facts->pci.n; i++) {
		const struct pci_device *device = &facts->pci.devices[i];
		if (pci_same_slot(device, gpu->pci))
			*arena_push(arena, gpu->functions, gpu->n_functions) = device;
		else if (same_group(device, gpu->pci) && device->bridge != YES) {
			*arena_push(arena, gpu->group_others, gpu->n_group_others) = device;
			unsure |= device->bridge == UNKNOWN;
		}
	}
	if (!gpu->pci->iommu_group || !*gpu->pci->iommu_group)
		gpu->group_state = GROUP_UNKNOWN;
	else if (gpu->n_group_others)
		gpu->group_state = unsure ? GROUP_UNKNOWN : GROUP_SHARED;
	else if (boot_cmdline_value(facts->boot.cmdline, "pcie_acs_override", arena))
		gpu->group_state = GROUP_ACS;
	else
		gpu->group_state = GROUP_ISOLATED;
}

/* ---- nodes, framebuffers, BAR owners ------------------------------------------ */

static bool is_of(const char *pci, const struct gpu *gpu)
{
	return pci && strcmp(pci, gpu->pci->address) == 0;
}

static void assemble_nodes(const struct facts *facts, struct gpu *gpu)
{
	gpu->render_known = facts->drm.known;
	for (size_t i = 0; i < facts->drm.n; i++) {
		const struct drm_node *node = &facts->drm.nodes[i];
		if (!is_of(node->pci, gpu))
			continue;
		if (text_starts(node->name, "renderD"))
			gpu->render = node;
		else if (text_starts(node->name, "card"))
			gpu->card = node;
	}
}

static void assemble_console(const struct facts *facts, struct gpu *gpu)
{
	gpu->boot_display = gpu->pci->boot_vga;
	gpu->framebuffer_console = facts->drm.fbcon == NO ? NO : facts->drm.framebuffers_known == YES ? NO : UNKNOWN;
	if (facts->drm.fbcon == NO || facts->drm.framebuffers_known != YES)
		return;
	for (size_t i = 0; i < facts->drm.n_framebuffers; i++) {
		const char *pci = facts->drm.framebuffers[i].pci;
		/* a framebuffer whose device is not told may be this card's */
		if (is_of(pci, gpu))
			gpu->framebuffer_console = facts->drm.fbcon == YES ? YES : UNKNOWN;
		else if (!pci && gpu->framebuffer_console == NO)
			gpu->framebuffer_console = UNKNOWN;
	}
}

static void assemble_bar_owners(const struct facts *facts, struct gpu *gpu, struct arena *arena)
{
	gpu->bar_owners_known = facts->drm.iomem_known == YES && gpu->pci->bars_known == YES ? YES : UNKNOWN;
	for (size_t i = 0; gpu->bar_owners_known == YES && i < facts->drm.n_iomem; i++) {
		const struct iomem_range *range = &facts->drm.iomem[i];
		for (size_t b = 0; b < PCI_BARS; b++) {
			const struct pci_bar *bar = &gpu->pci->bar[b];
			/* a bridge's window may be exactly as large as the one BAR behind it, and sits in nothing */
			if (!bar->end || range->start < bar->start || range->end > bar->end ||
			        strcmp(range->owner, gpu->pci->address) == 0 || text_starts(range->owner, "PCI Bus "))
				continue;
			*arena_push(arena, gpu->bar_owners.word, gpu->bar_owners.n) = range->owner;
			break;
		}
	}
}

/* ---- can it be released now? ---------------------------------------------------- */

static bool holds(const struct holder *holder, const struct gpu *gpu)
{
	if (is_of(holder->pci, gpu))
		return true;
	/* nvidiactl and nvidia-uvm are shared by all cards of that driver */
	return holder->pci && !*holder->pci && gpu->pci->driver && strcmp(gpu->pci->driver, "nvidia") == 0 &&
	       strstr(holder->node, "nvidia");
}

static const char *holder_text(const struct holder *holder, struct arena *arena)
{
	const char *name = holder->name ? text_shown(arena, holder->name) : "a process";
	return arena_printf(arena, "%s%s (pid %lld) has %s open",
	        holder->kind == HOLDER_DOCKER ? "docker container " : "", name, (long long)holder->pid,
	        text_shown(arena, holder->node));
}

/* Each question is asked in the order in which it would be told; the first NO decides, then the first unknown. */
static void assemble_release(const struct facts *facts, struct gpu *gpu, struct arena *arena)
{
	const struct drm *drm = &facts->drm;
	for (size_t i = 0; i < drm->n_holders; i++)
		if (holds(&drm->holders[i], gpu))
			*arena_push(arena, gpu->held.word, gpu->held.n) = holder_text(&drm->holders[i], arena);
	if (gpu->held.n) {
		gpu->hot_release = NO;
		gpu->hot_why = gpu->held.word[0];
		return;
	}
	const struct {
		enum tri is;
		const char *yes, *unknown;
	} obstacles[] = {
		{ gpu->boot_display, "it is the display the node boots on", "whether it is the boot display" },
		{ gpu->framebuffer_console, "a framebuffer console runs on it",
		        "whether a framebuffer console runs on it" },
		{ drm->persistence_daemon, "nvidia-persistenced runs", "whether nvidia-persistenced runs" },
		{ drm->holders_known == YES ? NO : UNKNOWN, "", "who has its nodes open" },
		{ gpu->pci->driver ? NO : UNKNOWN, "", "which driver has it" },
	};
	bool nvidia = gpu->vendor && strcmp(gpu->vendor, "nvidia") == 0;
	gpu->hot_release = YES;
	for (size_t i = 0; i < sizeof obstacles / sizeof *obstacles; i++) {
		if (obstacles[i].is == NO || (i == 2 && !nvidia))
			continue;
		if (obstacles[i].is == YES) {
			gpu->hot_release = NO;
			gpu->hot_why = obstacles[i].yes;
			return;
		}
		if (gpu->hot_release == YES)
			gpu->hot_why = arena_printf(arena, "not known: %s", obstacles[i].unknown);
		gpu->hot_release = UNKNOWN;
	}
}

void gpus_assemble(struct facts *facts, struct arena *arena)
{
	facts->gpus_known = facts->pci.known;
	for (size_t i = 0; i < facts->pci.n; i++) {
		const struct pci_device *device = &facts->pci.devices[i];
		if (device->class_code == UNKNOWN_NUMBER || device->class_code >> 16 != CLASS_DISPLAY)
			continue;
		struct gpu *gpu = arena_push(arena, facts->gpus, facts->n_gpus);
		gpu->pci = device;
		gpu->vendor = vendor_word(device->vendor);
		gpu->model = gpu_model(device->vendor, device->device, device->class_code);
		assemble_group(facts, gpu, arena);
		assemble_nodes(facts, gpu);
		assemble_console(facts, gpu);
		assemble_bar_owners(facts, gpu, arena);
		assemble_release(facts, gpu, arena);
	}
}
