/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * NVIDIA's own driver on the machine that behaves: what its module shows in /proc, and the nodes, which it does not make
 * itself. A machine whose recording has them keeps them as they are. Sources: nvidia-modprobe(1); the files as the
 * drivers 535 to 580 write them.
 */
#include <string.h>

#include "facts/package.h"
#include "rehearse/model.h"

#define PRINT(...) MODEL_PRINT(rehearse, __VA_ARGS__)
#define PROC "/proc/driver/nvidia"

/* What the package's module says of itself; NULL: there is no such package. */
static const char *version_text(struct rehearse *rehearse)
{
	static const char *const packages[] = { "nvidia-kernel-dkms", "nvidia-open-kernel-dkms", NULL };
	const char *status = model_text(rehearse, "/var/lib/dpkg/status");
	struct words found = package_parse((struct bytes){ status ? status : "", status ? strlen(status) : 0 }, packages,
	        rehearse->arena);
	if (!found.n)
		return NULL;
	bool open = text_starts(found.word[0], packages[1]);
	const char *version = strchr(found.word[0], ' ') + 1;
	return PRINT("NVRM version: NVIDIA UNIX %s  %.*s  Tue Apr  8 12:41:17 UTC 2025\n"
	             "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14+deb12u1)\n",
	        open ? "Open Kernel Module for x86_64" : "x86_64 Kernel Module", (int)strcspn(version, "-"), version);
}

static void put_card(struct rehearse *rehearse, const char *address, unsigned minor)
{
	model_set_text(rehearse, PRINT(PROC "/gpus/%s/information", address), 0444,
	        "Model: \t\t NVIDIA\nBus Type: \t PCIe\nBus Location: \t %s\nDevice Minor: \t %u\n", address, minor);
}

void kernel_nvidia_settle(struct rehearse *rehearse)
{
	struct kernel_state *kernel = rehearse->kernel;
	const char *version = kernel->nvidia_recorded ? NULL : version_text(rehearse);
	unsigned minor = 0;
	if (kernel->nvidia_recorded)
		return;
	model_drop(rehearse, PROC);
	if (!version || !kernel_loaded(rehearse, "nvidia"))
		return;
	model_set_text(rehearse, PROC "/version", 0444, "%s", version);
	for (size_t i = 0; i < kernel->n; i++)
		if (strcmp(kernel_driver(rehearse, kernel->devices[i].address), "nvidia") == 0)
			put_card(rehearse, kernel->devices[i].address, minor++);
}

/* ---- nodes ---- */

static const struct {
	const char *path, *option; /* of nvidia-modprobe */
	unsigned major, minor;
} nodes[] = {
	{ "/dev/nvidia0", "-c 0", 195, 0 },
	{ "/dev/nvidiactl", "-c ", 195, 255 },
	{ "/dev/nvidia-uvm", " -u", 508, 0 },
	{ "/dev/nvidia-uvm-tools", " -u", 508, 1 },
};

/* The rule of udev that asks NVIDIA's own tool for nodes; NULL: none does. */
static const char *rule(struct rehearse *rehearse)
{
	struct model_inode *rules = model_find(rehearse, "/etc/udev/rules.d");
	for (size_t i = 0; rules && i < rules->names.n; i++) {
		const char *text = model_text(rehearse, PRINT("/etc/udev/rules.d/%s", rules->names.name[i].name));
		struct words lines = text_split(rehearse->arena, text ? text : "", "\n");
		for (size_t j = 0; j < lines.n; j++)
			if (text_matches("ACTION==\"add\"*KERNEL==\"nvidia_uvm\"*nvidia-modprobe *", lines.word[j]))
				return lines.word[j];
	}
	return NULL;
}

void kernel_nvidia_nodes(struct rehearse *rehearse)
{
	const char *asks = rule(rehearse);
	for (size_t i = 0; asks && i < sizeof nodes / sizeof *nodes; i++) {
		if (!strstr(asks, nodes[i].option) || model_find(rehearse, nodes[i].path))
			continue;
		struct model_inode *node = model_set(rehearse, nodes[i].path, NODE_CHAR, 0666, (struct bytes){ 0 });
		node->stat.major = nodes[i].major;
		node->stat.minor = nodes[i].minor;
		node->open_error = 0;
	}
}

/* A unit that the recording has for it is taken at its name. */
static bool unit_makes_uvm(struct rehearse *rehearse)
{
	static const char wants[] = "/etc/systemd/system/multi-user.target.wants";
	struct model_inode *folder = model_find(rehearse, wants);
	for (size_t i = 0; folder && i < folder->names.n; i++)
		if (strstr(folder->names.name[i].name, "nvidia"))
			return true;
	return false;
}

void kernel_nvidia_boot(struct rehearse *rehearse)
{
	bool unit = unit_makes_uvm(rehearse);
	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
		if (nodes[i].major == 195 ? !rehearse->kernel->nvidia_recorded : !unit)
			model_drop(rehearse, nodes[i].path);
}
