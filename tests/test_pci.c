/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * PCI facts: the pure parts as tables, the gathering over a machine that is written here.
 */
#include "fake.h"

#include "facts/pci.h"

/* ---- pure parts ------------------------------------------------------- */

static void test_address(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		unsigned domain, bus, slot, function;
	} row[] = {
		{ "0000:01:00.0", true, 0, 1, 0, 0 },
		{ "10000:e1:1f.7", true, 0x10000, 0xe1, 0x1f, 7 },
		{ "00000000:0A:00.1", true, 0, 10, 0, 1 },
		{ "ffffffff:ff:1f.7", true, 0xffffffff, 0xff, 0x1f, 7 },
		{ "01:00.0", false },
		{ "000:01:00.0", false },
		{ "000000000:01:00.0", false },
		{ "0000:01:20.0", false },
		{ "0000:01:00.8", false },
		{ "0000:01:00.0 ", false },
		{ "0000:01:00", false },
		{ "0000:1:00.0", false },
		{ "0000:01:0x.0", false },
		{ " 000:01:00.0", false },
		{ "", false },
		{ NULL, false },
	};
	for (size_t i = 0; i < COUNT(row); i++) {
		unsigned domain = 77, bus = 77, slot = 77, function = 77;
		assert_int_equal(pci_parse_address(row[i].text, &domain, &bus, &slot, &function), row[i].ok);
		assert_int_equal(domain, row[i].ok ? row[i].domain : 77);
		assert_int_equal(bus, row[i].ok ? row[i].bus : 77);
		assert_int_equal(slot, row[i].ok ? row[i].slot : 77);
		assert_int_equal(function, row[i].ok ? row[i].function : 77);
	}
	(void)state;
}

static void test_full_address(void **state)
{
	static const struct {
		const char *text, *full;
		bool all;
	} row[] = {
		{ "01:00", "0000:01:00.0", true },
		{ "01:00.1", "0000:01:00.1", false },
		{ "0000:01:00", "0000:01:00.0", true },
		{ "0000:0A:00.1", "0000:0a:00.1", false },
		{ "00000000:01:00.0", "0000:01:00.0", false },
		{ "10000:e1:00.0", "10000:e1:00.0", false },
		{ "1:00.0", NULL },
		{ "01:00.", NULL },
		{ "01:00.9", NULL },
		{ "01:00.0,pcie=1", NULL },
		{ "0000:01:00.0:", NULL },
		{ ":01:00.0", NULL },
		{ "host", NULL },
		{ "", NULL },
		{ NULL, NULL },
	};
	struct arena arena ARENA_SCOPED = { 0 };
	for (size_t i = 0; i < COUNT(row); i++) {
		bool all = !row[i].all;
		const char *full = pci_full_address(row[i].text, &arena, &all);
		if (!row[i].full) {
			assert_null(full);
			continue;
		}
		assert_string_equal(full, row[i].full);
		assert_int_equal(all, row[i].all);
	}
	(void)state;
}

static void test_parent(void **state)
{
	static const struct {
		const char *link, *parent;
	} row[] = {
		{ "../../../devices/pci0000:00/0000:00:01.1/0000:01:00.0", "0000:00:01.1" },
		{ "../../../devices/pci0000:00/0000:00:02.0", "" },
		{ "../../../devices/pci0000:80/0000:80:02.0/", "" },
		{ "../../../devices/platform/40000000.pcie/pci0000:00/0000:00:00.0", "" },
		{ "../../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0", "0000:00:0e.0" },
		{ "../../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0", "10000:e0:06.0" },
		{ "0000:01:00.0", NULL },
		{ "../../../devices/0000:01:00.0", NULL },
		{ "../../../devices/pci0000:00/virtio0", NULL },
		{ "///", NULL },
		{ "", NULL },
	};
	struct arena arena ARENA_SCOPED = { 0 };
	for (size_t i = 0; i < COUNT(row); i++) {
		const char *parent = pci_parse_parent(row[i].link, &arena);
		if (row[i].parent)
			assert_string_equal(parent, row[i].parent);
		else
			assert_null(parent);
	}
	(void)state;
}

static struct pci_device unknown_device(void)
{
	return (struct pci_device){ .vendor = UNKNOWN_NUMBER,
		.device = UNKNOWN_NUMBER,
		.subsystem_vendor = UNKNOWN_NUMBER,
		.subsystem_device = UNKNOWN_NUMBER,
		.class_code = UNKNOWN_NUMBER };
}

static void test_uevent(void **state)
{
	static const struct {
		const char *text;
		int64_t vendor, device, subsystem_vendor, subsystem_device, class_code;
	} row[] = {
		{ "DRIVER=nvidia\nPCI_CLASS=30000\nPCI_ID=10DE:2803\nPCI_SUBSYS_ID=1458:4112\nPCI_SLOT_NAME=0000:01:00."
		  "0\n",
		        0x10de, 0x2803, 0x1458, 0x4112, 0x30000 },
		{ "PCI_ID=10DE:2803", 0x10de, 0x2803, -1, -1, -1 },
		{ "PCI_ID=10DE\nPCI_CLASS=\nPCI_SUBSYS_ID=:\n", -1, -1, -1, -1, -1 },
		{ "PCI_ID=110DE:2803\nPCI_CLASS=1000000\n", -1, 0x2803, -1, -1, -1 },
		{ "PCI_ID=10DE:2803 \nPCI_CLASS=3000g\n", 0x10de, -1, -1, -1, -1 },
		{ "", -1, -1, -1, -1, -1 },
	};
	for (size_t i = 0; i < COUNT(row); i++) {
		struct pci_device device = unknown_device();
		pci_parse_uevent(bytes_of(row[i].text), &device);
		assert_int_equal(device.vendor, row[i].vendor);
		assert_int_equal(device.device, row[i].device);
		assert_int_equal(device.subsystem_vendor, row[i].subsystem_vendor);
		assert_int_equal(device.subsystem_device, row[i].subsystem_device);
		assert_int_equal(device.class_code, row[i].class_code);
	}
	(void)state;
}

#define ZERO_BAR "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"

static void test_resource(void **state)
{
	struct pci_device device = { 0 };
	pci_parse_resource(bytes_of("0x00000000f6000000 0x00000000f6ffffff 0x0000000000040200\n"
	                            "0x0000006000000000 0x00000063ffffffff 0x000000000014220c\n" ZERO_BAR
	                            "0x0000006400000000 0x0000006401ffffff 0x000000000014220c\n" ZERO_BAR
	                            "0x000000000000e000 0x000000000000e07f 0x0000000000040101\n" ZERO_BAR),
	        &device);
	assert_int_equal(device.bars_known, YES);
	assert_true(device.bar[1].start == 0x6000000000 && device.bar[1].end == 0x63ffffffff &&
	            device.bar[1].flags == 0x14220c);
	assert_true(device.bar[5].start == 0xe000 && device.bar[2].end == 0);
	static const char *const bad[] = { "", ZERO_BAR ZERO_BAR,
		ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR "0x0 0x0\n",
		ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR "0x2 0x1 0x0\n",
		ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR "0x00000000000000001 0x1 0x0\n",
		ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR "0x0 0x0 0x0 0x0\n" };
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct pci_device other = { 0 };
		pci_parse_resource(bytes_of(bad[i]), &other);
		assert_int_equal(other.bars_known, UNKNOWN);
	}
	(void)state;
}

/* A config space with PCIe capability at 0x78 behind power management at 0x60, and a list of extended ones. */
static void test_config(void **state)
{
	enum { PCIE = 0x78, POWER = 0x60, EXTENDED = 0x100, REBAR = 0x258 };
	char config[4096] = { 0 };
	struct pci_device device = { 0 };
	struct bytes whole = { config, sizeof config };
	config[0] = '\xde', config[1] = '\x10', config[0x06] = 0x10, config[0x34] = POWER;
	config[POWER] = 1, config[POWER + 1] = PCIE, config[PCIE] = 0x10;
	config[EXTENDED] = 2, config[EXTENDED + 2] = 1, config[EXTENDED + 3] = (char)(REBAR >> 4 & 0xff);
	config[EXTENDED + 2] = (char)(1 | (REBAR & 0xf) << 4);
	config[REBAR] = 0x15, config[REBAR + 2] = 1;
	pci_parse_config(whole, &device);
	assert_int_equal(device.flr, NO);
	assert_int_equal(device.resizable_bar, YES);
	config[PCIE + 7] = 0x10;
	config[REBAR] = 0x10;
	pci_parse_config(whole, &device);
	assert_int_equal(device.flr, YES);
	assert_int_equal(device.resizable_bar, NO);
	config[PCIE] = 0x13, config[PCIE + 7] = 0, config[PCIE + 3] = 2;
	pci_parse_config(whole, &device);
	assert_int_equal(device.flr, YES);
	/* what was not read is not known */
	pci_parse_config((struct bytes){ config, 64 }, &device);
	assert_int_equal(device.flr, UNKNOWN);
	assert_int_equal(device.resizable_bar, UNKNOWN);
	pci_parse_config((struct bytes){ config, 256 }, &device);
	assert_int_equal(device.flr, YES);
	assert_int_equal(device.resizable_bar, UNKNOWN);
	/* lists tied into a loop */
	config[PCIE] = 0x09, config[PCIE + 1] = POWER;
	config[REBAR] = 0x02, config[REBAR + 2] = 1, config[REBAR + 3] = 0x10;
	pci_parse_config(whole, &device);
	assert_int_equal(device.flr, NO);
	assert_int_equal(device.resizable_bar, NO);
	/* a device that is switched off answers with ones */
	memset(config, 0xff, sizeof config);
	pci_parse_config(whole, &device);
	assert_int_equal(device.flr, UNKNOWN);
	assert_int_equal(device.resizable_bar, UNKNOWN);
	(void)state;
}

static void test_interrupts(void **state)
{
	static const struct {
		const char *text;
		enum tri remapped;
	} row[] = {
		{ "   CPU0 CPU1\n  8:  0  0  IR-IO-APIC    8-edge      rtc0\n", YES },
		{ " 24:  1  0  PCI-MSI 4096-edge      AMD-Vi\n 27:  12  0  IR-PCI-MSI 1048576-edge      nvme0q0\n",
		        YES },
		{ "130:  1  0  IR-PCI-MSIX-0000:01:00.0    0-edge      nvme0q0\n", YES },
		{ "  9:  0  0  IR-IO-APIC-fasteoi   acpi\n", YES },
		{ "  8:  0  0  IO-APIC    8-edge      rtc0\n 24: 5 5 PCI-MSIX-0000:00:01.0 0-edge virtio0\n", NO },
		{ " 16:  0  0  DMAR-MSI    0-edge      dmar0\n", UNKNOWN },
		{ " 11:  5  GICv3  30 Level     arch_timer\n 44: 1  ITS-PCI-MSI 0 Edge nvme0q0\n", UNKNOWN },
		{ "NMI:  0  0  IR-PCI-MSI\nLOC:  1  2  IO-APIC\n", UNKNOWN },
		{ " 24:  1  0  xen-pirq    -msi       IR-receiver\n", UNKNOWN },
		{ " 24\n 25:\n :\n", UNKNOWN },
		{ "", UNKNOWN },
	};
	for (size_t i = 0; i < COUNT(row); i++)
		assert_int_equal(pci_parse_interrupts(bytes_of(row[i].text)), row[i].remapped);
	(void)state;
}

static void test_intel_cap(void **state)
{
	assert_int_equal(pci_parse_intel_cap("d2008c40660462"), 39);  /* bits 21:16 = 0x26 */
	assert_int_equal(pci_parse_intel_cap("8d2078c106f0466"), 48); /* bits 21:16 = 0x2f */
	assert_int_equal(pci_parse_intel_cap("0"), UNKNOWN_NUMBER);
	assert_int_equal(pci_parse_intel_cap("wrong"), UNKNOWN_NUMBER);
	assert_int_equal(pci_parse_intel_cap(NULL), UNKNOWN_NUMBER);
	(void)state;
}

/* ---- a whole machine -------------------------------------------------- */

#define DEV "/sys/bus/pci/devices/"
#define LINKED(address, path)                                                                                          \
	{                                                                                                              \
		DEV address, "-> ../../../devices/" path                                                               \
	}

/* A desktop with the IOMMU on: root port, NVIDIA card with audio function bound to vfio-pci, iGPU, NVMe behind VMD. */
static const struct fake_line desktop[] = {
	{ "/sys/bus/pci/drivers", "" },
	LINKED("0000:00:00.0", "pci0000:00/0000:00:00.0"),
	{ DEV "0000:00:00.0/uevent", "PCI_CLASS=60000\nPCI_ID=8086:A740\nPCI_SUBSYS_ID=0000:0000\n" },
	{ DEV "0000:00:00.0/iommu_group", "-> ../../../kernel/iommu_groups/1" },
	LINKED("0000:00:01.0", "pci0000:00/0000:00:01.0"),
	{ DEV "0000:00:01.0/uevent", "DRIVER=pcieport\nPCI_CLASS=60400\nPCI_ID=8086:A70D\nPCI_SUBSYS_ID=0000:0000\n" },
	{ DEV "0000:00:01.0/driver", "-> ../../../bus/pci/drivers/pcieport" },
	{ DEV "0000:00:01.0/iommu_group", "-> ../../../kernel/iommu_groups/2" },
	LINKED("0000:00:02.0", "pci0000:00/0000:00:02.0"),
	{ DEV "0000:00:02.0/uevent", "DRIVER=i915\nPCI_CLASS=30000\nPCI_ID=8086:A780\nPCI_SUBSYS_ID=1043:8694\n" },
	{ DEV "0000:00:02.0/driver", "-> ../../../bus/pci/drivers/i915" },
	{ DEV "0000:00:02.0/iommu_group", "-> ../../../kernel/iommu_groups/0" },
	{ DEV "0000:00:02.0/boot_vga", "1\n" },
	{ DEV "0000:00:02.0/driver_override", "(null)\n" },
	{ DEV "0000:00:02.0/reset", "!13" },
	{ DEV "0000:00:02.0/revision", "0x04\n" },
	{ DEV "0000:00:02.0/numa_node", "-1\n" },
	{ DEV "0000:00:02.0/resource", ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR },
	{ DEV "0000:00:02.0/config", "0123456789012345678901234567890123456789012345678901234567890123" },
	LINKED("0000:00:0e.0", "pci0000:00/0000:00:0e.0"),
	{ DEV "0000:00:0e.0/vendor", "0x8086\n" },
	{ DEV "0000:00:0e.0/device", "0xa77f\n" },
	{ DEV "0000:00:0e.0/class", "0x010400\n" },
	{ DEV "0000:00:0e.0/driver", "-> ../../../bus/pci/drivers/vmd" },
	LINKED("0000:01:00.0", "pci0000:00/0000:00:01.0/0000:01:00.0"),
	{ DEV "0000:01:00.0/uevent", "DRIVER=vfio-pci\nPCI_CLASS=30000\nPCI_ID=10DE:2803\nPCI_SUBSYS_ID=1458:4112\n" },
	{ DEV "0000:01:00.0/driver", "-> ../../../bus/pci/drivers/vfio-pci" },
	{ DEV "0000:01:00.0/iommu_group", "-> ../../../kernel/iommu_groups/12" },
	{ DEV "0000:01:00.0/boot_vga", "0\n" },
	{ DEV "0000:01:00.0/driver_override", "vfio-pci\n" },
	{ DEV "0000:01:00.0/reset_method", "flr bus\n" },
	{ DEV "0000:01:00.0/power_state", "D3hot\n" },
	{ DEV "0000:01:00.0/d3cold_allowed", "1\n" },
	{ DEV "0000:01:00.0/modalias", "pci:v000010DEd00002803sv00001458sd00004112bc03sc00i00\n" },
	{ DEV "0000:01:00.0/resource", "0xf6000000 0xf6ffffff 0x40200\n" ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR ZERO_BAR },
	LINKED("0000:01:00.1", "pci0000:00/0000:00:01.0/0000:01:00.1"),
	{ DEV "0000:01:00.1/uevent",
	        "DRIVER=snd_hda_intel\nPCI_CLASS=40300\nPCI_ID=10DE:22BD\nPCI_SUBSYS_ID=1458:4112\n" },
	{ DEV "0000:01:00.1/driver", "-> ../../../bus/pci/drivers/snd_hda_intel" },
	{ DEV "0000:01:00.1/iommu_group", "-> ../../../kernel/iommu_groups/12" },
	{ DEV "0000:01:00.1/reset_method", "\n" },
	LINKED("10000:e1:00.0", "pci0000:00/0000:00:0e.0/pci10000:e0/10000:e1:00.0"),
	{ DEV "10000:e1:00.0/uevent", "PCI_CLASS=10802\nPCI_ID=144D:A80A\nPCI_SUBSYS_ID=144D:A801\n" },
	{ "/sys/kernel/iommu_groups/0/type", "DMA\n" },
	{ "/sys/kernel/iommu_groups/12/type", "identity\n" },
	{ "/sys/class/iommu/dmar0/intel-iommu/cap", "1c0000c40660462\n" },
	{ "/sys/class/iommu/dmar1/intel-iommu/cap", "8d2078c106f0466\n" },
	{ "/proc/interrupts", "  CPU0\n  8:  0  IR-IO-APIC 8-edge rtc0\n" },
	{ "/sys/firmware/acpi/tables/DMAR", "!13" },
	{ "/sys/firmware/acpi/tables/FACP", "!13" },
};

static void gather(struct fake *fake, struct pci *ret)
{
	pci_gather(&fake->world, &fake->arena, ret, fake_blind, fake);
}

static const struct pci_device *found(const struct pci *pci, const char *address)
{
	const struct pci_device *device = pci_find(pci, address);
	if (!device)
		fail_msg("no %s", address);
	return device;
}

static void test_desktop(void **state)
{
	struct fake fake;
	struct pci pci;
	fake_open(&fake, desktop, COUNT(desktop), false, true);
	gather(&fake, &pci);
	assert_int_equal(pci.known, YES);
	assert_int_equal(pci.n, 7);
	assert_string_equal(pci.devices[6].address, "10000:e1:00.0");
	assert_int_equal(pci.iommu, YES);
	assert_int_equal(pci.iommu_units.n, 2);
	assert_int_equal(pci.groups_known, YES);
	assert_int_equal(pci.remapping, YES);
	assert_int_equal(pci.iommu_address_bits, 39);
	assert_int_equal(pci.firmware_dmar, YES);
	assert_int_equal(pci.firmware_ivrs, NO);
	assert_null(pci_find(&pci, "0000:03:00.0"));
	assert_null(pci_find(&pci, "nonsense"));

	const struct pci_device *card = found(&pci, "0000:01:00.0");
	assert_int_equal(card->vendor, 0x10de);
	assert_int_equal(card->device, 0x2803);
	assert_int_equal(card->subsystem_vendor, 0x1458);
	assert_int_equal(card->class_code, 0x030000);
	assert_int_equal(card->bridge, NO);
	assert_string_equal(card->driver, "vfio-pci");
	assert_string_equal(card->driver_override, "vfio-pci");
	assert_string_equal(card->iommu_group, "12");
	assert_string_equal(card->iommu_group_type, "identity");
	assert_string_equal(card->parent, "0000:00:01.0");
	assert_int_equal(card->boot_vga, NO);
	assert_string_equal(card->reset_methods, "flr bus");
	assert_string_equal(card->power_state, "D3hot");
	assert_int_equal(card->d3cold_allowed, YES);
	assert_int_equal(card->bars_known, YES);
	assert_true(text_starts(card->modalias, "pci:v000010DE"));
	arena_release(&fake.arena);
	(void)state;
}

static void test_absent_and_unknown(void **state)
{
	struct fake fake;
	struct pci pci;
	fake_open(&fake, desktop, COUNT(desktop), false, true);
	gather(&fake, &pci);
	const struct pci_device *igpu = found(&pci, "0000:00:02.0"), *audio = found(&pci, "0000:01:00.1");
	const struct pci_device *nvme = found(&pci, "10000:e1:00.0"), *vmd = found(&pci, "0000:00:0e.0");
	assert_int_equal(igpu->boot_vga, YES);
	assert_string_equal(igpu->driver_override, "");
	assert_int_equal(igpu->revision, 4);
	assert_int_equal(igpu->numa_node, UNKNOWN_NUMBER);
	/* reset_method is hidden but reset is there: it can be reset, by an old kernel's choice */
	assert_null(igpu->reset_methods);
	assert_string_equal(igpu->parent, "");
	/* a display controller without any BAR, and a config space cut for a user who is not root */
	assert_int_equal(igpu->bars_known, UNKNOWN);
	assert_int_equal(igpu->flr, UNKNOWN);
	assert_true(fake_is_blind(&fake, ENODATA, DEV "*/resource"));
	assert_true(fake_is_blind(&fake, EACCES, DEV "*/config"));
	/* the audio function follows its card; no VGA device, no reset */
	assert_int_equal(audio->boot_vga, NO);
	assert_string_equal(audio->reset_methods, "");
	assert_string_equal(audio->driver, "snd_hda_intel");
	/* no group and no driver on a machine that was read whole */
	assert_string_equal(nvme->iommu_group, "");
	assert_string_equal(nvme->driver, "");
	assert_string_equal(nvme->parent, "0000:00:0e.0");
	/* single attributes where there is no uevent; subsystem ids are none of those that must be there */
	assert_int_equal(vmd->device, 0xa77f);
	assert_int_equal(vmd->subsystem_vendor, UNKNOWN_NUMBER);
	assert_int_equal(found(&pci, "0000:00:00.0")->bridge, YES);
	/* nobody asks these of a disk */
	assert_int_equal(vmd->boot_vga, UNKNOWN);
	assert_null(vmd->reset_methods);
	arena_release(&fake.arena);
	(void)state;
}

/* The same table as a bare tree: what it does not show is unknown, what it shows still counts. */
static void test_partial(void **state)
{
	static const struct fake_line tree[] = {
		LINKED("0000:00:00.0", "pci0000:00/0000:00:00.0"),
		{ DEV "0000:00:00.0/vendor", "0x8086\n" },
		{ DEV "0000:00:00.0/device", "0x4621\n" },
		{ DEV "0000:00:00.0/class", "0x060000\n" },
		{ DEV "0000:00:00.0/iommu_group", "-> ../../../kernel/iommu_groups/5" },
		LINKED("0000:00:02.0", "pci0000:00/0000:00:02.0"),
		{ DEV "0000:00:02.0/vendor", "0x8086\n" },
		{ DEV "0000:00:02.0/class", "0x30000x\n" },
		{ DEV "0000:00:02.0/uevent", "DRIVER=i915\nPCI_CLASS=30000\n" },
		LINKED("10000:00:00.0", "pci10000:00/10000:00:00.0"),
		{ DEV "10000:00:00.0/subsystem_vendor", "0x1458\n" },
		{ DEV "10000:00:00.0/subsystem_device", "0x4112\n" },
		{ DEV "10000:00:00.0/driver", "-> ../../../bus/pci/drivers/vfio-pci" },
		{ DEV "10000:00:00.0/driver_override", "vfio-pci\n" },
		{ DEV "10000:00:00.0/reset_method", "" },
		LINKED("2000:00:00.0", "pci2000:00/2000:00:00.0"),
		{ DEV "pci0000:01", "-> x" },
	};
	struct fake fake;
	struct pci pci;
	fake_open(&fake, tree, COUNT(tree), true, false);
	gather(&fake, &pci);
	assert_int_equal(pci.n, 4);
	const struct pci_device *bridge = &pci.devices[0], *igpu = &pci.devices[1], *given = &pci.devices[3];
	assert_string_equal(given->address, "10000:00:00.0"); /* by number, not by letter */
	assert_int_equal(given->subsystem_vendor, 0x1458);
	assert_int_equal(given->subsystem_device, 0x4112);
	assert_null(given->reset_methods);                       /* an empty file of a capture */
	assert_string_equal(given->driver_override, "vfio-pci"); /* whatever a guest may hold gets all questions */
	assert_null(bridge->driver);
	assert_string_equal(bridge->iommu_group, "5");
	assert_string_equal(bridge->parent, "");
	assert_int_equal(igpu->device, UNKNOWN_NUMBER);
	assert_int_equal(igpu->class_code, 0x030000);
	assert_string_equal(igpu->driver, "i915");
	assert_null(igpu->iommu_group);
	assert_null(igpu->reset_methods);
	assert_int_equal(igpu->boot_vga, UNKNOWN);
	assert_int_equal(pci.iommu, YES); /* a host bridge has a group */
	assert_int_equal(pci.groups_known, YES);
	assert_int_equal(pci.remapping, UNKNOWN);
	assert_int_equal(pci.firmware_dmar, UNKNOWN);
	assert_int_equal(pci.iommu_address_bits, UNKNOWN_NUMBER);
	assert_true(fake_is_blind(&fake, EINVAL, DEV "pci0000:01"));
	assert_true(fake_is_blind(&fake, ENODATA, DEV "0000:00:02.0/device"));
	assert_true(fake_is_blind(&fake, ENODATA, "/proc/interrupts"));
	assert_true(fake_is_blind(&fake, ENODATA, DEV "*/iommu_group"));
	assert_true(fake_is_blind(&fake, ENODATA, DEV "*/driver"));
	assert_true(fake_is_blind(&fake, ENODATA, DEV "*/reset_method"));
	arena_release(&fake.arena);
	(void)state;
}

static void test_iommu_off(void **state)
{
	static const struct fake_line off[] = {
		{ "/sys/bus/pci/drivers", "" },
		LINKED("0000:01:00.0", "pci0000:00/0000:00:01.0/0000:01:00.0"),
		{ DEV "0000:01:00.0/uevent", "PCI_CLASS=30000\nPCI_ID=10DE:2803\n" },
		{ "/sys/class/iommu", "" },
		{ "/sys/kernel/iommu_groups", "" },
		{ "/sys/firmware/acpi/tables", "!13" },
	};
	struct fake fake;
	struct pci pci;
	fake_open(&fake, off, COUNT(off), false, true);
	gather(&fake, &pci);
	assert_int_equal(pci.iommu, NO);
	assert_int_equal(pci.groups_known, YES);
	assert_string_equal(pci.devices[0].iommu_group, "");
	assert_int_equal(pci.firmware_dmar, UNKNOWN);
	assert_true(fake_is_blind(&fake, EACCES, "/sys/firmware/acpi/tables"));
	arena_release(&fake.arena);
	(void)state;
}

static void test_not_listed(void **state)
{
	static const struct {
		struct fake_line line[2];
		size_t n;
		bool partial;
		enum tri known;
		int blind;
	} row[] = {
		{ { { "/sys/bus/usb/x", "" } }, 1, false, YES, 0 },  /* a machine without PCI */
		{ { { "/etc/x", "" } }, 1, false, NO, ENOENT },      /* no sysfs */
		{ { { "/etc/x", "" } }, 1, true, UNKNOWN, ENODATA }, /* a folder without it */
		{ { { "/sys/bus/pci/devices", "!13" } }, 1, false, NO, EACCES },
	};
	for (size_t i = 0; i < COUNT(row); i++) {
		struct fake fake;
		struct pci pci;
		fake_open(&fake, row[i].line, row[i].n, row[i].partial, false);
		gather(&fake, &pci);
		assert_int_equal(pci.known, row[i].known);
		assert_int_equal(pci.n, 0);
		assert_int_equal(fake_is_blind(&fake, row[i].blind, "/sys/bus/pci/devices"), row[i].blind != 0);
		arena_release(&fake.arena);
	}
	(void)state;
}

static void test_flat_parents(void **state)
{
	static const struct fake_line flat[] = {
		LINKED("0000:00:01.0", "pci0000:00/0000:00:01.0"),
		{ DEV "0000:00:01.0/class", "0x060400\n" },
		LINKED("0000:01:00.0", "pci0000:01/0000:01:00.0"),
		{ DEV "0000:01:00.0/class", "0x010802\n" },
		LINKED("0000:02:00.0", "pci0000:00/0000:00:01.0/0000:02:00.0"),
	};
	struct fake fake;
	struct pci pci;
	fake_open(&fake, flat, COUNT(flat) - 1, true, false);
	gather(&fake, &pci);
	assert_string_equal(pci.devices[0].parent, "");
	assert_null(pci.devices[1].parent); /* bridges, and nothing below one: flattened */
	arena_release(&fake.arena);
	fake_open(&fake, flat, COUNT(flat), true, false);
	gather(&fake, &pci);
	assert_string_equal(pci.devices[1].parent, ""); /* the tree does nest: a second root bus */
	assert_string_equal(pci.devices[2].parent, "0000:00:01.0");
	arena_release(&fake.arena);
	fake_open(&fake, flat + 2, 2, true, false);
	gather(&fake, &pci);
	assert_string_equal(pci.devices[0].parent, ""); /* no bridge that it could be below */
	arena_release(&fake.arena);
	fake_open(&fake, flat, COUNT(flat) - 1, false, true);
	gather(&fake, &pci);
	assert_string_equal(pci.devices[1].parent, ""); /* a running kernel does not flatten */
	arena_release(&fake.arena);
	(void)state;
}

/* Disks and bridges cost few questions: a node has hundreds of them. */
static void test_questions(void **state)
{
	static const struct fake_line disk[] = {
		LINKED("0000:01:00.0", "pci0000:00/0000:00:01.0/0000:01:00.0"),
		{ DEV "0000:01:00.0/uevent",
		        "DRIVER=nvme\nPCI_CLASS=10802\nPCI_ID=144D:A80A\nPCI_SUBSYS_ID=144D:A801\n" },
		{ DEV "0000:01:00.0/driver", "-> ../../../bus/pci/drivers/nvme" },
		{ DEV "0000:01:00.0/iommu_group", "-> ../../../kernel/iommu_groups/12" },
	};
	struct fake one, none;
	struct pci pci;
	fake_open(&one, disk, COUNT(disk), false, true);
	gather(&one, &pci);
	fake_open(&none, (const struct fake_line[]){ { "/sys/bus/pci/devices", "" } }, 1, false, true);
	gather(&none, &pci);
	assert_int_equal(one.asked - none.asked, 4);
	arena_release(&one.arena);
	arena_release(&none.arena);
	(void)state;
}

static void test_names(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct pci_device device = unknown_device();
	assert_null(pci_device_name(&device, &arena));
	assert_null(pci_class_name(UNKNOWN_NUMBER, &arena));
	const char *class = pci_class_name(0x030000, &arena);
	if (!class) {
		print_message("no pci.ids on this machine\n");
		skip();
	}
	assert_string_equal(class, "VGA compatible controller");
	device.vendor = 0x8086;
	device.device = 0x3e9b;
	assert_non_null(strstr(pci_device_name(&device, &arena), "UHD Graphics 630"));
	assert_true(text_starts(pci_device_name(&device, &arena), "Intel Corporation "));
	device.device = 0xfff0;
	assert_null(pci_device_name(&device, &arena));
	pci_names_release();
	device.device = 0x3e9b;
	assert_non_null(pci_device_name(&device, &arena));
	pci_names_release();
	pci_names_release();
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_full_address),
		cmocka_unit_test(test_parent),
		cmocka_unit_test(test_uevent),
		cmocka_unit_test(test_resource),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_intel_cap),
		cmocka_unit_test(test_desktop),
		cmocka_unit_test(test_absent_and_unknown),
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_iommu_off),
		cmocka_unit_test(test_not_listed),
		cmocka_unit_test(test_flat_parents),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
