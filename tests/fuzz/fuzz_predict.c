/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "facts/predict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The parts of the input end with zero bytes: command line, modprobe.d, what the initramfs froze, a script in it,
 * conf/modules, modules.alias. */
enum { CMDLINE, CONFIG, FROZEN, SCRIPT, MODULES, ALIASES, PARTS };

static struct pci_device device(const char *address, int64_t vendor, int64_t number, int64_t class_code, const char *driver)
{
	return (struct pci_device){ .address = address,
		.vendor = vendor,
		.device = number,
		.subsystem_vendor = 0x1043,
		.subsystem_device = 0x88f5,
		.class_code = class_code,
		.bridge = NO,
		.driver = driver };
}

/* Whatever the settings say, every device gets an answer with a reason, and a known answer is a known driver. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *text = arena_strndup(&arena, "", 0);
	struct bytes part[PARTS] = { 0 };
	struct bytes all = arena_bytes(&arena, data, size);
	if (size > 4096)
		return 0;
	size_t at = 0;
	for (unsigned i = 0; i < PARTS && at <= all.size; i++) {
		part[i] = (struct bytes){ all.data + at, strnlen(all.data + at, all.size - at) };
		at += part[i].size + 1;
	}
	struct pci_device devices[] = { device("0000:00:02.0", 0x8086, 0x4690, 0x030000, "i915"),
		device("0000:01:00.0", 0x10de, 0x2803, 0x030000, "nouveau"),
		device("0000:01:00.1", 0x10de, 0x22bd, 0x040300, "snd_hda_intel"),
		device("0000:01:00.2", 0x10de, 0x1ad8, 0x0c0330, "xhci_hcd") };
	const char *held[] = { "nouveau", "vfio_pci", "xhci_pci" }, *order[] = { "script", "gpuferry", "udev" };
	struct initramfs_file files[] = { { "scripts/init-top/script", part[SCRIPT] },
		{ "scripts/init-top/gpuferry", part[SCRIPT] } };
	struct initramfs image = { .path = "/boot/initrd.img-1",
		.place = "/boot",
		.kernel = "1",
		.known = YES,
		.modules = { held, 3 },
		.early_scripts = { order, 3 },
		.files = files,
		.n_files = 2 };
	modprobe_parse(part[FROZEN], "etc/modprobe.d/x.conf", &arena, &image.modprobe);
	modprobe_parse_loads(part[MODULES], "conf/modules", &arena, &image.modprobe);
	const struct initramfs *images[] = { &image };
	struct kernel kernel = { .version = "1",
		.initramfs = images,
		.n_initramfs = 1,
		.builtin_known = YES,
		.aliases = part[ALIASES] };
	struct facts facts = { .pci = { .devices = devices, .n = 4, .known = YES, .iommu = YES, .firmware_ivrs = YES } };
	facts.boot.kernel = facts.boot.kernel_next = "1";
	facts.boot.kernels = &kernel;
	facts.boot.n_kernels = 1;
	facts.boot.cmdline = "";
	facts.boot.cmdline_next = part[CMDLINE].size ? part[CMDLINE].data : text;
	facts.boot.modprobe.known = YES;
	modprobe_parse(part[CONFIG], "/etc/modprobe.d/x.conf", &arena, &facts.boot.modprobe);
	modprobe_parse_loads(part[MODULES], "/etc/modules", &arena, &facts.boot.modprobe);
	struct prediction prediction;
	predict_boot(&facts, true, &arena, &prediction);
	if (prediction.n != 4)
		abort();
	for (size_t i = 0; i < prediction.n; i++)
		if (!prediction.devices[i].why || (prediction.devices[i].rivals.n && prediction.devices[i].driver))
			abort();
	return 0;
}
