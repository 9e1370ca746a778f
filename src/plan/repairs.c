/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a plan does about each rule that does not hold. A rule that protects the node or the guest refuses; what only a
 * change leans on refuses the change; what is inside a guest is left to those who mend insides.
 */
#include <string.h>

#include "plan/route.h"

#define REFUSE REPAIR_REFUSE
#define NOTE REPAIR_NOTE
#define WARN REPAIR_WARN
#define LEFT REPAIR_LEFT
#define STEP REPAIR_STEP

/* clang-format off */
const struct repair repairs[] = {
	/* rule                     broken  warn    unknown skipped, by which function for a VM, for a CT */
	{ "goal.accept",            REFUSE, LEFT,   REFUSE, LEFT, NULL, NULL },
	{ "goal.guest",             REFUSE, LEFT,   REFUSE, LEFT, NULL, NULL },
	{ "goal.gpu",               REFUSE, LEFT,   REFUSE, LEFT, NULL, NULL },

	{ "node.proxmox",           REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "node.quorum",            REFUSE, REFUSE, REFUSE, LEFT, NULL, NULL },
	{ "node.virtualisation",    REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "node.firmware-iommu",    REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "node.boot-file",         STEP,   LEFT,   LEFT,   LEFT, loader_iommu, NULL },
	{ "node.boot-pending",      STEP,   NOTE,   LEFT,   LEFT, loader_iommu, NULL },
	{ "node.iommu",             STEP,   NOTE,   REFUSE, LEFT, loader_iommu, NULL },
	{ "node.next-iommu",        REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "node.interrupt-remapping", REFUSE, NOTE, REFUSE, LEFT, NULL, NULL },
	{ "node.dead-words",        LEFT,   LEFT,   LEFT,   LEFT, NULL, NULL },
	{ "node.virqfd",            LEFT,   LEFT,   LEFT,   LEFT, NULL, NULL },
	{ "node.next-kernel",       LEFT,   NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "node.initramfs",         NOTE,   LEFT,   LEFT,   LEFT, NULL, NULL },
	{ "node.esp-copy",          NOTE,   LEFT,   LEFT,   LEFT, NULL, NULL },

	{ "gpu.encoder",            REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "gpu.rebar",              REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "gpu.acs",                REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "gpu.group-needs",        REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "gpu.group",              REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "gpu.only-console",       REFUSE, WARN,   REFUSE, LEFT, NULL, NULL },
	{ "gpu.next-boot",          STEP,   NOTE,   NOTE,   LEFT, early_release, node_driver_keep },
	{ "gpu.twins",              REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "gpu.builtin-vfio",       LEFT,   NOTE,   LEFT,   LEFT, NULL, NULL },
	{ "gpu.early-bind",         LEFT,   NOTE,   LEFT,   LEFT, NULL, NULL },
	{ "gpu.audio",              LEFT,   NOTE,   LEFT,   LEFT, NULL, NULL },
	{ "gpu.boot-framebuffer",   REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "gpu.release",            STEP,   STEP,   STEP,   LEFT, early_release, NULL },
	{ "gpu.reset",              REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "gpu.reset-bug",          REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "gpu.power",              REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "gpu.not-vfio",           STEP,   NOTE,   REFUSE, LEFT, NULL, node_driver_release },
	{ "gpu.nomodeset",          REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "gpu.blacklist",          REFUSE, STEP,   REFUSE, LEFT, NULL, foreign_blacklist },
	{ "gpu.headers",            REFUSE, STEP,   NOTE,   LEFT, NULL, node_nvidia_headers },
	{ "gpu.secure-boot",        REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "gpu.kernel-floor",       REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "gpu.driver",             STEP,   NOTE,   REFUSE, LEFT, NULL, node_nvidia_driver },
	{ "gpu.nvidia-flavour",     REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "gpu.nvidia-branch",      REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "gpu.kernel-bug",         REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "gpu.huc",                STEP,   NOTE,   NOTE,   LEFT, NULL, node_driver_huc },

	{ "vm.known",               REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "vm.lock",                REFUSE, REFUSE, REFUSE, LEFT, NULL, NULL },
	{ "vm.hostpci-valid",       STEP,   NOTE,   REFUSE, LEFT, vm_hostpci, NULL },
	{ "vm.given-once",          STEP,   NOTE,   REFUSE, LEFT, vm_given_once, NULL },
	{ "vm.mdev",                STEP,   NOTE,   REFUSE, LEFT, vm_hostpci, NULL },
	{ "vm.address",             REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "vm.mapping",             STEP,   NOTE,   REFUSE, LEFT, vm_mapping, NULL },
	{ "vm.hostpci",             STEP,   STEP,   REFUSE, STEP, vm_hostpci, NULL },
	{ "vm.by-address",          LEFT,   LEFT,   LEFT,   LEFT, NULL, NULL },
	{ "vm.one-holder",          REFUSE, STEP,   REFUSE, LEFT, vm_one_holder, NULL },
	{ "vm.pcie",                STEP,   NOTE,   NOTE,   LEFT, vm_hostpci, NULL },
	{ "vm.legacy-igd",          STEP,   NOTE,   NOTE,   LEFT, vm_hostpci, NULL },
	{ "vm.igpu",                REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "vm.x-vga",               LEFT,   NOTE,   LEFT,   LEFT, NULL, NULL },
	{ "vm.rom",                 LEFT,   NOTE,   LEFT,   LEFT, NULL, NULL },
	{ "vm.display",             LEFT,   LEFT,   LEFT,   LEFT, NULL, NULL },
	{ "vm.args",                REFUSE, NOTE,   LEFT,   LEFT, NULL, NULL },
	{ "vm.hidden",              LEFT,   LEFT,   LEFT,   LEFT, NULL, NULL },
	{ "vm.address-width",       REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "vm.memory",              REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "vm.balloon",             STEP,   STEP,   NOTE,   LEFT, vm_balloon, NULL },
	{ "vm.hugepages",           STEP,   NOTE,   NOTE,   LEFT, vm_numa, NULL },
	{ "vm.secure-boot",         NOTE,   NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "vm.machine-switched",    REFUSE, NOTE,   LEFT,   LEFT, NULL, NULL },
	{ "vm.snapshot-storage",    LEFT,   LEFT,   LEFT,   LEFT, NULL, NULL },
	{ "vm.vmstate",             LEFT,   LEFT,   LEFT,   LEFT, NULL, NULL },
	{ "vm.pending",             STEP,   STEP,   REFUSE, LEFT, vm_pending, NULL },
	{ "vm.ha",                  REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "vm.onboot",              LEFT,   LEFT,   LEFT,   LEFT, NULL, NULL },
	{ "vm.agent",               LEFT,   NOTE,   LEFT,   LEFT, NULL, NULL },

	{ "ct.known",               REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "ct.lock",                REFUSE, REFUSE, REFUSE, LEFT, NULL, NULL },
	{ "ct.version",             REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "ct.dev-valid",           REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "ct.one-route",           REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "ct.cgroup-v1",           STEP,   STEP,   NOTE,   LEFT, NULL, ct_raw },
	{ "ct.idmap",               REFUSE, NOTE,   REFUSE, LEFT, NULL, NULL },
	{ "ct.nvidia-uvm",          STEP,   NOTE,   REFUSE, LEFT, NULL, node_nvidia_uvm },
	{ "ct.nvidia-boot",         STEP,   STEP,   NOTE,   LEFT, NULL, node_nvidia_boot },
	{ "ct.node-exists",         STEP,   NOTE,   REFUSE, LEFT, NULL, ct_node_exists },
	{ "ct.node",                STEP,   NOTE,   REFUSE, LEFT, NULL, ct_node },
	{ "ct.node-name",           REFUSE, NOTE,   NOTE,   LEFT, NULL, NULL },
	{ "ct.nvidia-nodes",        STEP,   NOTE,   REFUSE, LEFT, NULL, ct_node },
	{ "ct.raw-allow",           STEP,   STEP,   NOTE,   LEFT, NULL, ct_raw },
	{ "ct.gid",                 STEP,   NOTE,   REFUSE, LEFT, NULL, ct_access },
	{ "ct.mode",                STEP,   NOTE,   NOTE,   LEFT, NULL, ct_access },
	{ "ct.privileged",          LEFT,   NOTE,   LEFT,   LEFT, NULL, NULL },
	{ "ct.nvidia-userspace",    LEFT,   NOTE,   LEFT,   LEFT, NULL, NULL },
	{ "ct.pending",             STEP,   STEP,   REFUSE, LEFT, NULL, ct_pending },
	{ "ct.onboot",              LEFT,   LEFT,   LEFT,   LEFT, NULL, NULL },
	{ 0 },
};
/* clang-format on */

/* What is inside a guest no route of a node mends: one row for all such rules. */
static const struct repair inside = { "inside.*", LEFT, LEFT, LEFT, LEFT, NULL, NULL };

const struct repair *repair_of(const char *rule)
{
	for (const struct repair *row = repairs; row->rule; row++)
		if (strcmp(row->rule, rule) == 0)
			return row;
	return text_starts(rule, "inside.") ? &inside : NULL;
}
