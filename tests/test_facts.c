/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "facts/facts.h"

/* ---- GPUs put together from what was gathered ------------------------------------------------------------------ */

static struct pci_device device(const char *address, int64_t class_code, const char *group)
{
	struct pci_device made = { .address = address, .class_code = class_code, .iommu_group = group, .vendor = 0x10de,
		.device = 0x2803, .driver = "nouveau", .boot_vga = NO, .bridge = tri_of(class_code >> 16 == 0x06),
		.subsystem_vendor = UNKNOWN_NUMBER, .subsystem_device = UNKNOWN_NUMBER };
	if (class_code == UNKNOWN_NUMBER)
		made.bridge = UNKNOWN;
	assert_true(pci_parse_address(address, &made.domain, &made.bus, &made.slot, &made.function));
	return made;
}

static void test_group_state_is_as_defined(void **state)
{
	(void)state;
	static const struct {
		const char *what, *group, *other, *other_group, *cmdline;
		int64_t other_class;
		enum group_state expected;
		size_t others;
	} rows[] = {
		{ "alone", "12", "0000:02:00.0", "13", "quiet", 0x020000, GROUP_ISOLATED, 0 },
		{ "with its own audio", "12", "0000:01:00.1", "12", "quiet", 0x040300, GROUP_ISOLATED, 0 },
		{ "with the bridge above", "12", "0000:00:01.0", "12", "quiet", 0x060400, GROUP_ISOLATED, 0 },
		{ "with a NIC", "12", "0000:02:00.0", "12", "quiet", 0x020000, GROUP_SHARED, 1 },
		{ "with a NIC under ACS override", "12", "0000:02:00.0", "12", "pcie_acs_override=downstream", 0x020000, GROUP_SHARED, 1 },
		{ "alone under ACS override", "12", "0000:02:00.0", "13", "quiet pcie_acs_override=downstream,multifunction", 0x020000,
			GROUP_ACS, 0 },
		{ "a word that only looks like it", "12", "0000:02:00.0", "13", "xpcie_acs_override=downstream", 0x020000, GROUP_ISOLATED, 0 },
		{ "command line unknown: the topology stands", "12", "0000:02:00.0", "13", NULL, 0x020000, GROUP_ISOLATED, 0 },
		{ "no groups known", NULL, "0000:02:00.0", NULL, "quiet", 0x020000, GROUP_UNKNOWN, 0 },
		{ "no groups here", NONE, "0000:02:00.0", NONE, "quiet", 0x020000, GROUP_UNKNOWN, 0 },
		{ "with something of unknown class", "12", "0000:02:00.0", "12", "quiet", UNKNOWN_NUMBER, GROUP_UNKNOWN, 1 },
		{ "same bus and slot in another domain", "12", "0001:01:00.0", "12", "quiet", 0x020000, GROUP_SHARED, 1 },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena arena ARENA_SCOPED = {0};
		struct pci_device devices[] = { device("0000:01:00.0", 0x030000, rows[i].group),
			device(rows[i].other, rows[i].other_class, rows[i].other_group) };
		struct facts facts = { .pci = { .devices = devices, .n = 2, .known = YES }, .boot = { .cmdline = rows[i].cmdline } };
		gpus_assemble(&facts, &arena);
		if (facts.n_gpus != 1 || facts.gpus[0].group_state != rows[i].expected || facts.gpus[0].n_group_others != rows[i].others)
			fail_msg("%s: state %d, %zu others", rows[i].what, facts.gpus[0].group_state, facts.gpus[0].n_group_others);
	}
}

static void test_hot_release_needs_every_answer(void **state)
{
	(void)state;
	struct holder player = { HOLDER_PROCESS, 4711, "ffmpeg", "/dev/dri/renderD128", "0000:01:00.0" };
	struct holder other = { HOLDER_PROCESS, 4711, "ffmpeg", "/dev/dri/renderD129", "0000:09:00.0" };
	struct holder shared = { HOLDER_PROCESS, 4711, "ffmpeg", "/dev/nvidiactl", NONE };
	const struct {
		const char *what;
		const char *driver;
		enum tri boot_vga, fbcon, framebuffers, holders, daemon;
		const struct holder *holder;
		enum tri expected;
	} rows[] = {
		{ "all is known and free", "nouveau", NO, NO, YES, YES, NO, NULL, YES },
		{ "the boot display", "nouveau", YES, NO, YES, YES, NO, NULL, NO },
		{ "a daemon", "nvidia", NO, NO, YES, YES, YES, NULL, NO },
		{ "someone has it open", "nouveau", NO, NO, YES, YES, NO, &player, NO },
		{ "someone has another card open", "nouveau", NO, NO, YES, YES, NO, &other, YES },
		{ "the shared NVIDIA node is open", "nvidia", NO, NO, YES, YES, NO, &shared, NO },
		{ "the shared NVIDIA node is another driver's", "nouveau", NO, NO, YES, YES, NO, &shared, YES },
		{ "who holds it is unknown", "nouveau", NO, NO, YES, UNKNOWN, NO, NULL, UNKNOWN },
		{ "boot display unknown", "nouveau", UNKNOWN, NO, YES, YES, NO, NULL, UNKNOWN },
		{ "unknown holders, but the boot display", "nouveau", YES, NO, YES, UNKNOWN, NO, NULL, NO },
		{ "console unknown", "nouveau", NO, UNKNOWN, UNKNOWN, YES, NO, NULL, UNKNOWN },
		{ "driver unknown", NULL, NO, NO, YES, YES, NO, NULL, UNKNOWN },
		{ "no driver", NONE, NO, NO, YES, YES, NO, NULL, YES },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena arena ARENA_SCOPED = {0};
		struct pci_device card = device("0000:01:00.0", 0x030000, "12");
		card.driver = rows[i].driver;
		card.boot_vga = rows[i].boot_vga;
		struct holder holder = rows[i].holder ? *rows[i].holder : (struct holder){0};
		struct facts facts = { .pci = { .devices = &card, .n = 1, .known = YES }, .boot = { .cmdline = "quiet" },
			.drm = { .known = YES, .fbcon = rows[i].fbcon, .framebuffers_known = rows[i].framebuffers,
				.holders_known = rows[i].holders, .persistence_daemon = rows[i].daemon, .holders = &holder,
				.n_holders = rows[i].holder ? 1 : 0 } };
		gpus_assemble(&facts, &arena);
		if (facts.gpus[0].hot_release != rows[i].expected)
			fail_msg("%s: %d (%s)", rows[i].what, facts.gpus[0].hot_release, facts.gpus[0].hot_why);
		assert_true(facts.gpus[0].hot_release == YES || facts.gpus[0].hot_why != NULL);
	}
}

static void test_what_sits_in_a_bar(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct pci_device card = device("0000:01:00.0", 0x030000, "12");
	card.bars_known = YES;
	card.bar[1] = (struct pci_bar){ 0xd0000000, 0xdfffffff, 0x2200 };
	struct iomem_range ranges[] = {
		{ 0xc0000000, 0xdfffffff, 0, "PCI Bus 0000:00" }, { 0xd0000000, 0xdfffffff, 1, "PCI Bus 0000:01" },
		{ 0xd0000000, 0xdfffffff, 2, "0000:01:00.0" }, { 0xd0000000, 0xd02fffff, 3, "BOOTFB" }, { 0xe0000000, 0xe0001000, 1, "other" },
	};
	struct facts facts = { .pci = { .devices = &card, .n = 1, .known = YES },
		.drm = { .iomem = ranges, .n_iomem = COUNT(ranges), .iomem_known = YES } };
	gpus_assemble(&facts, &arena);
	assert_int_equal(facts.gpus[0].bar_owners_known, YES);
	assert_int_equal(facts.gpus[0].bar_owners.n, 1);
	assert_string_equal(facts.gpus[0].bar_owners.word[0], "BOOTFB");
}

/* ---- CPU -------------------------------------------------------------------------------------------------------- */

static void test_cpu_is_read(void **state)
{
	(void)state;
	static const struct { const char *text; const char *vendor; enum tri f, virt; int64_t bits; } rows[] = {
		{ "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: 13th Gen Intel(R) Core(TM) i5-13400F\nflags\t\t: fpu vmx\n"
		  "address sizes\t: 46 bits physical, 48 bits virtual\n\nprocessor\t: 1\nvendor_id\t: Other\n", "GenuineIntel", YES, YES, 46 },
		{ "vendor_id : GenuineIntel\nmodel name : Intel(R) Core(TM) i9-9900KF CPU @ 3.60GHz\nflags : fpu\n", "GenuineIntel", YES, NO, -1 },
		{ "vendor_id : GenuineIntel\nmodel name : Intel(R) Core(TM) i5-13500\nflags : vmx\n", "GenuineIntel", NO, YES, -1 },
		{ "vendor_id : GenuineIntel\nmodel name : Intel(R) N100\nflags : vmx\n", "GenuineIntel", UNKNOWN, YES, -1 },
		{ "vendor_id : AuthenticAMD\nmodel name : AMD Ryzen 5 5600F\nflags : svm\n", "AuthenticAMD", UNKNOWN, YES, -1 },
		{ "processor : 0\nBogoMIPS : 108.00\n", "", UNKNOWN, UNKNOWN, -1 },
		{ "", NULL, UNKNOWN, UNKNOWN, -1 },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena arena ARENA_SCOPED = {0};
		struct cpu cpu;
		host_parse_cpu(bytes_of(rows[i].text), &arena, &cpu);
		if (rows[i].vendor)
			assert_string_equal(cpu.vendor, rows[i].vendor);
		else
			assert_null(cpu.vendor);
		assert_int_equal(cpu.f_suffix, rows[i].f);
		assert_int_equal(cpu.virtualisation, rows[i].virt);
		assert_int_equal(cpu.physical_bits, rows[i].bits);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_group_state_is_as_defined),
		cmocka_unit_test(test_hot_release_needs_every_answer),
		cmocka_unit_test(test_what_sits_in_a_bar),
		cmocka_unit_test(test_cpu_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
