/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Will the IOMMU be on at the next boot?
 * Sources: Linux arch/x86/kernel/pci-dma.c iommu_setup (iommu=off stops both vendors'),
 * drivers/iommu/intel/{iommu,dmar}.c (intel_iommu=, the last on or off counts), drivers/iommu/amd/init.c (on unless
 * amd_iommu=off); pve-docs qm-pci-passthrough.adoc (Intel's is on by default from Proxmox's 6.8 kernels).
 */
#include <string.h>

#include "facts/predict_run.h"

/* What the words of a command line say; UNKNOWN: nothing. */
static enum tri by_words(const char *cmdline, bool intel, struct arena *arena)
{
	enum tri ret = UNKNOWN;
	struct words words = boot_cmdline_words(cmdline, arena);
	const char *own = intel ? "intel_iommu=" : "amd_iommu=";
	bool off = false;
	for (size_t i = 0; i < words.n; i++) {
		const char *word = words.word[i];
		bool common = text_starts(word, "iommu=");
		if (!common && !text_starts(word, own))
			continue;
		struct words values = text_split(arena, strchr(word, '=') + 1, ",");
		for (size_t v = 0; v < values.n; v++) {
			if (common)
				off = off || strcmp(values.word[v], "off") == 0;
			else if (strcmp(values.word[v], "off") == 0)
				ret = NO;
			else if (intel && strcmp(values.word[v], "on") == 0)
				ret = YES;
		}
	}
	return off ? NO : ret;
}

static bool proxmox_default_on(const char *kernel)
{
	return kernel && text_ends(kernel, "-pve") && text_version_compare(kernel, "6.8") >= 0;
}

/* Was it decided by the same things as it will be? Then what runs is the proof. */
static bool same_ground(const struct facts *facts, const char *kernel, enum tri now, enum tri next)
{
	if (now != next)
		return false;
	const char *running = facts->boot.kernel;
	return now != UNKNOWN ||
	       (running && kernel &&
	               (strcmp(running, kernel) == 0 || proxmox_default_on(running) == proxmox_default_on(kernel)));
}

enum tri predict_iommu(const struct facts *facts, const char *kernel, const char *cmdline, struct arena *arena)
{
	const struct pci *pci = &facts->pci;
	const char *vendor = facts->host.cpu.vendor;
	bool intel = pci->firmware_dmar == YES || (vendor && strcmp(vendor, "GenuineIntel") == 0);
	bool amd = pci->firmware_ivrs == YES || (vendor && strcmp(vendor, "AuthenticAMD") == 0);
	if (pci->firmware_dmar == NO && pci->firmware_ivrs == NO)
		return NO;
	if (!cmdline || intel == amd)
		return UNKNOWN;
	enum tri next = by_words(cmdline, intel, arena);
	if (next == NO)
		return NO;
	enum tri now = facts->boot.cmdline ? by_words(facts->boot.cmdline, intel, arena) : UNKNOWN;
	if (pci->iommu != UNKNOWN && facts->boot.cmdline && same_ground(facts, kernel, now, next))
		return pci->iommu;
	if (pci->iommu == YES && next == YES)
		return YES;
	bool table = intel ? pci->firmware_dmar == YES : pci->firmware_ivrs == YES;
	if (!table)
		return UNKNOWN;
	if (next == YES || !intel || proxmox_default_on(kernel))
		return YES;
	/* an older or another's kernel: off by default, but firmware can ask for it (dmar_platform_optin) */
	return UNKNOWN;
}
