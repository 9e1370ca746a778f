/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a plan does about each rule that does not hold. A rule that protects the node or the guest refuses; what only a
 * change leans on refuses the change; what is inside a guest is left to those who mend insides.
 */
#include <string.h>

#include "plan/route.h"

#define REFUSE REPAIR_REFUSE
#define NOTE REPAIR_NOTE
#define LEFT REPAIR_LEFT
#define STEP REPAIR_STEP

/* clang-format off */
const struct repair repairs[] = {
	/* rule                     broken  warn    unknown skipped */
	{ "goal.accept",            REFUSE, LEFT,   REFUSE, LEFT, NULL },
	{ "goal.guest",             REFUSE, LEFT,   REFUSE, LEFT, NULL },
	{ "goal.gpu",               REFUSE, LEFT,   REFUSE, LEFT, NULL },

	{ "node.proxmox",           REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "node.quorum",            REFUSE, REFUSE, REFUSE, LEFT, NULL },
	{ "node.virtualisation",    REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "node.firmware-iommu",    REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "node.boot-file",         STEP,   LEFT,   LEFT,   LEFT, loader_iommu },
	{ "node.boot-pending",      STEP,   NOTE,   LEFT,   LEFT, loader_iommu },
	{ "node.iommu",             STEP,   NOTE,   REFUSE, LEFT, loader_iommu },
	{ "node.interrupt-remapping", REFUSE, NOTE, REFUSE, LEFT, NULL },
	{ "node.dead-words",        LEFT,   LEFT,   LEFT,   LEFT, NULL },
	{ "node.virqfd",            LEFT,   LEFT,   LEFT,   LEFT, NULL },
	{ "node.next-kernel",       LEFT,   NOTE,   NOTE,   LEFT, NULL },
	{ "node.initramfs",         NOTE,   LEFT,   LEFT,   LEFT, NULL },
	{ "node.esp-copy",          NOTE,   LEFT,   LEFT,   LEFT, NULL },

	{ "gpu.encoder",            REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "gpu.rebar",              REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "gpu.acs",                REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "gpu.group-needs",        REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "gpu.group",              REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "gpu.only-console",       REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "gpu.twins",              REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "gpu.builtin-vfio",       LEFT,   NOTE,   LEFT,   LEFT, NULL },
	{ "gpu.early-bind",         LEFT,   NOTE,   LEFT,   LEFT, NULL },
	{ "gpu.audio",              LEFT,   NOTE,   LEFT,   LEFT, NULL },
	{ "gpu.boot-framebuffer",   REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "gpu.release",            STEP,   STEP,   STEP,   LEFT, early_release },
	{ "gpu.reset",              REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "gpu.reset-bug",          REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "gpu.power",              REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "gpu.not-vfio",           REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "gpu.nomodeset",          REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "gpu.blacklist",          REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "gpu.headers",            REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "gpu.secure-boot",        REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "gpu.kernel-floor",       REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "gpu.driver",             REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "gpu.nvidia-flavour",     REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "gpu.nvidia-branch",      REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "gpu.kernel-bug",         REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "gpu.huc",                REFUSE, NOTE,   NOTE,   LEFT, NULL },

	{ "vm.known",               REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "vm.lock",                REFUSE, REFUSE, REFUSE, LEFT, NULL },
	{ "vm.hostpci-valid",       STEP,   NOTE,   REFUSE, LEFT, vm_hostpci },
	{ "vm.address",             REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "vm.mapping",             STEP,   NOTE,   REFUSE, LEFT, vm_mapping },
	{ "vm.hostpci",             STEP,   STEP,   REFUSE, STEP, vm_hostpci },
	{ "vm.by-address",          LEFT,   LEFT,   LEFT,   LEFT, NULL },
	{ "vm.one-holder",          REFUSE, STEP,   REFUSE, LEFT, vm_one_holder },
	{ "vm.pcie",                STEP,   NOTE,   NOTE,   LEFT, vm_hostpci },
	{ "vm.legacy-igd",          STEP,   NOTE,   NOTE,   LEFT, vm_hostpci },
	{ "vm.igpu",                REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "vm.x-vga",               LEFT,   NOTE,   LEFT,   LEFT, NULL },
	{ "vm.rom",                 LEFT,   NOTE,   LEFT,   LEFT, NULL },
	{ "vm.display",             LEFT,   LEFT,   LEFT,   LEFT, NULL },
	{ "vm.args",                REFUSE, NOTE,   LEFT,   LEFT, NULL },
	{ "vm.hidden",              LEFT,   LEFT,   LEFT,   LEFT, NULL },
	{ "vm.address-width",       REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "vm.memory",              REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "vm.balloon",             STEP,   STEP,   NOTE,   LEFT, vm_balloon },
	{ "vm.hugepages",           STEP,   NOTE,   NOTE,   LEFT, vm_numa },
	{ "vm.secure-boot",         NOTE,   NOTE,   NOTE,   LEFT, NULL },
	{ "vm.machine-switched",    REFUSE, NOTE,   LEFT,   LEFT, NULL },
	{ "vm.snapshot-storage",    LEFT,   LEFT,   LEFT,   LEFT, NULL },
	{ "vm.vmstate",             LEFT,   LEFT,   LEFT,   LEFT, NULL },
	{ "vm.pending",             STEP,   STEP,   REFUSE, LEFT, vm_pending },
	{ "vm.ha",                  REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "vm.onboot",              LEFT,   LEFT,   LEFT,   LEFT, NULL },
	{ "vm.agent",               LEFT,   NOTE,   LEFT,   LEFT, NULL },

	{ "ct.known",               REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "ct.lock",                REFUSE, REFUSE, REFUSE, LEFT, NULL },
	{ "ct.version",             REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "ct.one-route",           REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "ct.cgroup-v1",           REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "ct.idmap",               REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "ct.nvidia-uvm",          REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "ct.node-exists",         REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "ct.node",                REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "ct.node-name",           REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "ct.nvidia-nodes",        REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "ct.raw-allow",           REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "ct.gid",                 REFUSE, NOTE,   REFUSE, LEFT, NULL },
	{ "ct.mode",                REFUSE, NOTE,   NOTE,   LEFT, NULL },
	{ "ct.privileged",          LEFT,   NOTE,   LEFT,   LEFT, NULL },
	{ "ct.nvidia-userspace",    LEFT,   NOTE,   LEFT,   LEFT, NULL },
	{ "ct.pending",             REFUSE, REFUSE, REFUSE, LEFT, NULL },
	{ "ct.onboot",              LEFT,   LEFT,   LEFT,   LEFT, NULL },
	{ 0 },
};
/* clang-format on */

/* What is inside a guest no route of a node mends: one row for all such rules. */
static const struct repair inside = { "inside.*", LEFT, LEFT, LEFT, LEFT, NULL };

const struct repair *repair_of(const char *rule)
{
	for (const struct repair *row = repairs; row->rule; row++)
		if (strcmp(row->rule, rule) == 0)
			return row;
	return text_starts(rule, "inside.") ? &inside : NULL;
}
