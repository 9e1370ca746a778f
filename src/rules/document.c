/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * docs/rules.md out of the tables, and the list of what goes wrong in the field.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rules.h"

const char *const rules_pains[] = { NULL, "the boot settings were put into a file that the boot loader does not read",
	"vfio_virqfd is loaded by name although the kernel no longer has it",
	"the IOMMU is off, or words are used that switch nothing",
	"a shared IOMMU group takes network or disk away from the node", "two like cards are both bound by their ids",
	"ACS override: groups that are split on paper only", "the firmware's screen keeps the card's memory",
	"no interrupt remapping, or memory the firmware reserved",
	"another driver is faster than vfio-pci, or the audio function was forgotten",
	"a kernel or Proxmox upgrade breaks what worked", "PCI addresses move when hardware is added",
	"only root may change a raw hostpci or devN line",
	"the card is already in use by another VM, or during a backup",
	"a failed reset is reported, which is often only noise", "AMD cards that do not survive a second start",
	"NVIDIA Blackwell cards that do not survive a second start",
	"the card sleeps without power and does not wake up", "resetting older Intel graphics hangs the node",
	"the VM uses addresses that the IOMMU cannot map", "ballooning and huge pages against pinned memory",
	"snapshots with RAM, hibernation and migration end", "an installed VM is switched to q35 or OVMF",
	"Secure Boot refuses NVIDIA's module", "messages about an invalid ROM",
	"legacy-igd in combinations that cannot start",
	"integrated Intel graphics of the 12th generation and newer in a VM",
	"tricks against Code 43 where there is none", "Resizable BAR: needed by some cards, harmful to others",
	"nvidia-smi cannot talk to the driver", "the wrong flavour of NVIDIA's module for the card",
	"a driver branch that dropped the card", "DKMS does not build the module for the new kernel",
	"NVIDIA's module and libraries differ in version", "docker containers lose the GPU while they run",
	"docker does not know how to give out a GPU", "the repository of older guides for NVIDIA's toolkit is dead",
	"the codec libraries are missing although nvidia-smi works",
	"docker in an unprivileged CT may not set device rules",
	"nvidia-uvm is missing after a reboot, or has another number",
	"a containerd release that cannot start containers in a CT", "the number of NVENC sessions is limited",
	"the render node belongs to the wrong group",
	"vfio-pci and /dev/dri exclude each other; devices for unprivileged CTs", "renderD128 and renderD129 swap",
	"QuickSync's runtime is missing although VA-API works",
	"the wrong VA-API driver, or a test that expects EncSlice only", "low-power encoding without the HuC firmware",
	"wrong ideas of which generation encodes what", "kernels that are too old or known to misbehave",
	"a guest without graphics drivers", "monitoring tools that may not read the GPU's counters",
	"media servers do not fall back to software by themselves", NULL };

const struct unshowable rules_unshowable[] = {
	{ 51, "it is about tools that watch the GPU, not about a link of the chain: whether a counter can be read "
	      "shows only "
	      "when it is read while something encodes, which the proofs and bench do by other ways (DRM fdinfo, "
	      "NVML)" },
	{ 52, "it is what a media server does when an encoder fails while it runs; only a running encode shows it (the "
	      "proofs, "
	      "transcode)" },
	{ 0, NULL },
};

static void put_list(FILE *out, const struct rule *rule)
{
	if (rule->needs[0]) {
		fprintf(out, "- needs: ");
		for (unsigned i = 0; i < RULE_NEEDS_MAX && rule->needs[i]; i++)
			fprintf(out, "%s`%s`", i ? ", " : "", rule->needs[i]);
		fprintf(out, "\n");
	}
	if (rule->after[0]) {
		fprintf(out, "- explained by: ");
		for (unsigned i = 0; i < RULE_NEEDS_MAX && rule->after[i]; i++)
			fprintf(out, "%s`%s`", i ? ", " : "", rule->after[i]);
		fprintf(out, "\n");
	}
	if (rule->pains[0]) {
		fprintf(out, "- answers: ");
		for (unsigned i = 0; i < RULE_PAINS_MAX && rule->pains[i]; i++)
			fprintf(out, "%s%u", i ? ", " : "", rule->pains[i]);
		fprintf(out, "\n");
	}
	fprintf(out, "- may be accepted: %s\n", rule->waivable ? "yes" : "no");
	fprintf(out, "- source: %s\n\n", rule->source);
}

static void put_rules(FILE *out)
{
	static const char *const titles[] = { "The goal", "The node", "The GPU on the node", "The VM", "The CT",
		"Inside" };
	for (unsigned t = 0; rules_tables[t]; t++) {
		fprintf(out, "## %s\n\n", titles[t]);
		for (const struct rule *rule = rules_tables[t]; rule->id; rule++) {
			const char *route = rule->route == ROUTE_VM   ? " (for a VM)"
			                    : rule->route == ROUTE_CT ? " (for a CT)"
			                                              : "";
			fprintf(out, "### %s\n\n%s%s\n\n%s\n\n", rule->id, rule->asks, route, rule->explains);
			if (rule->vendor)
				fprintf(out, "- asked of: %s GPUs\n", rule->vendor);
			put_list(out, rule);
		}
	}
}

static void put_answer(FILE *out, unsigned pain)
{
	unsigned n = 0;
	for (const struct rule *const *table = rules_tables; *table; table++)
		for (const struct rule *rule = *table; rule->id; rule++)
			if (memchr(rule->pains, (int)pain, sizeof rule->pains))
				fprintf(out, "%s`%s`", n++ ? ", " : "", rule->id);
	for (const struct unshowable *item = rules_unshowable; item->pain; item++)
		if (item->pain == pain)
			fprintf(out, "%sno rule: %s", n++ ? "; " : "", item->why);
}

static void put_pains(FILE *out)
{
	fprintf(out, "## What goes wrong, and which rule sees it\n\n| | what goes wrong | seen by |\n|---|---|---|\n");
	for (unsigned pain = 1; rules_pains[pain]; pain++) {
		fprintf(out, "| %u | %s | ", pain, rules_pains[pain]);
		put_answer(out, pain);
		fprintf(out, " |\n");
	}
}

const char *rules_document(struct arena *arena)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	fprintf(out, "# Rules\n\n"
	             "Made from the tables in src/rules; `GPUFERRY_UPDATE=1 ./do test` writes it anew.\n\n"
	             "Each rule asks one question about the machine and answers ok, warn (it works now but will break, "
	             "or is dead "
	             "weight), broken (it stops the goal) or unknown. A rule whose prerequisite does not hold is "
	             "skipped, and so is one whose answer is explained by another that is known not to hold. The "
	             "order is that of the chain from the firmware to the encoded frame, so the first broken rule is "
	             "the first "
	             "broken link. Without a goal and without a guest that has a GPU, nothing is broken: the rules "
	             "inform.\n\n");
	put_rules(out);
	put_pains(out);
	if (fclose(out) != 0)
		return NULL;
	const char *document = arena_strdup(arena, text);
	free(text);
	return document;
}
