/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rules/check.h"

#include <string.h>

enum { SENTENCE_MAX = 1200 };

/* Harmless for a terminal and short enough to be read; cut between characters. */
__attribute__((format(printf, 2, 0))) static const char *sentence(struct arena *arena, const char *format, va_list args)
{
	char *text = text_shown(arena, arena_vprintf(arena, format, args));
	size_t size = strlen(text);
	if (size <= SENTENCE_MAX)
		return text;
	size = SENTENCE_MAX;
	while (size && ((unsigned char)text[size] & 0xc0) == 0x80)
		size--;
	return arena_printf(arena, "%.*s...", (int)size, text);
}

#define ANSWER(name, said)                                                                                             \
	enum verdict name(struct answer *answer, const char *format, ...)                                              \
	{                                                                                                              \
		va_list args;                                                                                          \
		va_start(args, format);                                                                                \
		answer->why = sentence(answer->arena, format, args);                                                   \
		va_end(args);                                                                                          \
		return said;                                                                                           \
	}

ANSWER(answer_ok, VERDICT_OK)
ANSWER(answer_warn, VERDICT_WARN)
ANSWER(answer_broken, VERDICT_BROKEN)
ANSWER(answer_unknown, VERDICT_UNKNOWN)

enum verdict answer_none(void)
{
	return VERDICT_SKIPPED;
}

void answer_step(struct answer *answer, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const char *step = sentence(answer->arena, format, args);
	va_end(args);
	answer->cure = answer->cure ? arena_printf(answer->arena, "%s\n%s", answer->cure, step) : step;
}

static void step_cmdline(struct answer *answer, const struct boot *boot, const char *grub, const char *systemd)
{
	bool known = boot->loader != LOADER_UNKNOWN;
	if (!known)
		answer_step(answer, "find out which loader boots this node: efibootmgr -v names it; "
		                    "proxmox-boot-tool status says \"uefi\" for systemd-boot and \"grub\" for GRUB");
	if (boot->loader != LOADER_SYSTEMD_BOOT) {
		const char *file = boot->loader == LOADER_GRUB && boot->cmdline_file && *boot->cmdline_file
		                           ? boot->cmdline_file
		                           : "/etc/default/grub";
		answer_step(answer, "%s%s, in the quotes of GRUB_CMDLINE_LINUX_DEFAULT: %s; then run: update-grub",
		        known ? "in " : "with GRUB: in ", file, grub);
	}
	if (boot->loader != LOADER_GRUB)
		answer_step(answer,
		        "%s/etc/kernel/cmdline, which stays one line: %s; then run: proxmox-boot-tool refresh",
		        known ? "in " : "with systemd-boot: in ", systemd);
	answer_step(answer,
	        "reboot the node when its guests may stop, then look at /proc/cmdline: only what stands there counts");
}

void step_cmdline_add(struct answer *answer, const struct boot *boot, const char *words)
{
	const char *text = arena_printf(answer->arena, "add %s", words);
	step_cmdline(answer, boot, text, text);
}

void step_cmdline_remove(struct answer *answer, const struct boot *boot, const char *words)
{
	const char *text = arena_printf(answer->arena, "take away %s", words);
	step_cmdline(answer, boot, text, text);
}

void step_initramfs(struct answer *answer, const struct boot *boot)
{
	if (boot->kernel_next && *boot->kernel_next)
		answer_step(answer,
		        "run: update-initramfs -u -k %s   (the kernel that boots next; the older ones stay as "
		        "they are, as a way back)",
		        text_sh_quoted(answer->arena, boot->kernel_next));
	else
		answer_step(answer, "run: update-initramfs -u -k VERSION   with the kernel that boots next");
	if (boot->proxmox_boot_tool != NO)
		answer_step(answer,
		        "where proxmox-boot-tool is in use: run proxmox-boot-tool refresh, which copies it to "
		        "every ESP");
}

enum tri check_older(const char *kernel, const char *version)
{
	if (!kernel || !*kernel)
		return UNKNOWN;
	return tri_of(text_version_compare(kernel, version) < 0);
}

bool check_has(const struct words *words, const char *word)
{
	for (size_t i = 0; i < words->n; i++)
		if (!strcmp(words->word[i], word))
			return true;
	return false;
}

const char *check_device(const struct pci_device *device, struct arena *arena)
{
	const char *name = pci_device_name(device, arena);
	if (name && *name)
		return arena_printf(arena, "%s %s", device->address, name);
	if (device->vendor == UNKNOWN_NUMBER || device->device == UNKNOWN_NUMBER)
		return device->address;
	return arena_printf(
	        arena, "%s [%04x:%04x]", device->address, (unsigned)device->vendor, (unsigned)device->device);
}

const char *check_guest(const struct guest *guest, struct arena *arena)
{
	return arena_printf(arena, "%s/%lld", guest->kind == GUEST_CT ? "ct" : "vm", (long long)guest->id);
}

const struct need *check_need(const struct facts *facts, const char *address)
{
	for (size_t i = 0; i < facts->n_needs; i++)
		if (facts->needs[i].pci && !strcmp(facts->needs[i].pci, address))
			return &facts->needs[i];
	return NULL;
}

bool check_vendor(const struct gpu *gpu, const char *vendor)
{
	return gpu && gpu->vendor && !strcmp(gpu->vendor, vendor);
}

struct words check_drivers(const struct gpu *gpu, struct arena *arena)
{
	if (gpu->model.driver && *gpu->model.driver && !check_vendor(gpu, "nvidia"))
		return text_split(arena, gpu->model.driver, " ");
	if (check_vendor(gpu, "nvidia"))
		return text_split(arena, "nouveau nvidia", " ");
	if (check_vendor(gpu, "intel"))
		return text_split(arena, "i915 xe", " ");
	if (check_vendor(gpu, "amd"))
		return text_split(arena, "amdgpu radeon", " ");
	return (struct words){ 0 };
}

enum { VFIO_IDS_MAX = 1024 }; /* drivers/vfio/pci/vfio_pci.c; the kernel refuses a longer list */

const char *check_vfio_list(const struct boot *boot, struct arena *arena)
{
	const char *list = NULL;
	if (boot->cmdline_next)
		list = boot_cmdline_value(boot->cmdline_next, "vfio-pci.ids", arena);
	if (!list && boot->cmdline)
		list = boot_cmdline_value(boot->cmdline, "vfio-pci.ids", arena);
	if (!list)
		list = modprobe_option(&boot->modprobe, "vfio_pci", "ids");
	return list && strlen(list) < VFIO_IDS_MAX ? list : NULL;
}

bool check_vfio_id(const char *id, const struct pci_device *device, struct arena *arena)
{
	struct words part = text_split(arena, id, ":");
	const int64_t has[] = { device->vendor, device->device, device->subsystem_vendor, device->subsystem_device };
	if (part.n < 2)
		return false;
	for (size_t i = 0; i < part.n && i < 4; i++) {
		uint64_t want;
		if (!text_number(part.word[i], 16, UINT32_MAX, &want))
			return false;
		if (want != UINT32_MAX && (int64_t)want != has[i])
			return false;
	}
	return true;
}

bool check_vfio_ids(const struct boot *boot, const struct pci_device *device, struct arena *arena)
{
	const char *list = check_vfio_list(boot, arena);
	if (!list)
		return false;
	struct words ids = text_split(arena, list, ",");
	for (size_t i = 0; i < ids.n; i++)
		if (check_vfio_id(ids.word[i], device, arena))
			return true;
	return false;
}

const char *check_package(const struct words *packages, const char *name)
{
	size_t size = strlen(name);
	for (size_t i = 0; i < packages->n; i++)
		if (!strncmp(packages->word[i], name, size) && packages->word[i][size] == ' ')
			return packages->word[i] + size + 1;
	return NULL;
}

const char *check_package_like(const struct words *packages, const char *prefix)
{
	for (size_t i = 0; i < packages->n; i++)
		if (text_starts(packages->word[i], prefix))
			return packages->word[i];
	return NULL;
}

enum tri check_pve_older(const struct pve *pve, const char *package, const char *version)
{
	return check_older(check_package(&pve->packages, package), version);
}

int64_t check_memory(const struct guest *guest, struct arena *arena)
{
	const char *value = pve_value(guest, "memory");
	uint64_t mebibytes;
	if (guest->known != YES)
		return UNKNOWN_NUMBER;
	if (!value)
		return 512; /* PVE's default */
	struct pve_properties properties = pve_parse_properties(value, "current", arena);
	const char *current = pve_property(&properties, "current");
	if (!current || !text_number(current, 10, UINT32_MAX, &mebibytes))
		return UNKNOWN_NUMBER;
	return (int64_t)mebibytes;
}

const struct drm_node *check_node(const struct drm *drm, const char *pci, const char *prefix)
{
	for (size_t i = 0; i < drm->n; i++)
		if (drm->nodes[i].pci && !strcmp(drm->nodes[i].pci, pci) && text_starts(drm->nodes[i].name, prefix))
			return &drm->nodes[i];
	return NULL;
}

const char *check_cause(const struct inside *inside, const char *prefix)
{
	for (size_t i = 0; i < inside->firmware.n; i++)
		if (text_starts(inside->firmware.word[i], prefix))
			return inside->firmware.word[i];
	return NULL;
}
