/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a node cannot live without: which PCI devices carry its root disk, its way in and its console.
 */
#include "taped.h"

#include "facts/facts.h"

static const char routes_head[] = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

/* The needs of a kind, as "ADDRESS ADDRESS" */
static const char *needed(struct taped *taped, struct facts *facts, enum need_kind kind)
{
	const char *list = "";
	for (size_t i = 0; i < facts->n_needs; i++)
		if (facts->needs[i].kind == kind)
			list = arena_printf(&taped->arena, "%s%s%s", list, *list ? " " : "", facts->needs[i].pci);
	return list;
}

static struct facts gathered(struct taped *taped)
{
	struct facts facts = { .host = { .console = "tty0", .serial_console = NO } };
	struct world *world = taped_world(taped, true);
	needs_gather(world, &taped->arena, &facts, taped_blind, taped);
	world_close(world);
	return facts;
}

static void mount(struct taped *taped, const char *number, const char *type, const char *source)
{
	taped_file(taped, "/proc/self/mountinfo", arena_printf(&taped->arena,
		"20 1 0:18 / /proc rw - proc proc rw\n25 1 %s / / rw,relatime shared:1 - %s %s rw\n"
		"30 25 8:2 / /boot/efi rw - vfat /dev/sda2 rw\n", number, type, source));
}

static void test_root_on_a_plain_disk(void **state)
{
	(void)state;
	struct taped taped;
	taped_open(&taped);
	mount(&taped, "259:3", "ext4", "/dev/root");
	taped_link(&taped, "/sys/dev/block/259:3", "../../devices/pci0000:00/0000:00:06.0/0000:04:00.0/nvme/nvme0/nvme0n1/nvme0n1p3");
	taped_link(&taped, "/sys/class/block/nvme0n1p3", "../../devices/pci0000:00/0000:00:06.0/0000:04:00.0/nvme/nvme0/nvme0n1/nvme0n1p3");
	struct facts facts = gathered(&taped);
	assert_string_equal(needed(&taped, &facts, NEED_ROOT_DISK), "0000:04:00.0");
	assert_int_equal(facts.root_disk_known, YES);
	arena_release(&taped.arena);
}

static void test_root_on_lvm_over_raid(void **state)
{
	(void)state;
	struct taped taped;
	taped_open(&taped);
	mount(&taped, "253:1", "ext4", "/dev/mapper/pve-root");
	taped_link(&taped, "/sys/dev/block/253:1", "../../devices/virtual/block/dm-1");
	taped_link(&taped, "/sys/class/block/dm-1", "../../devices/virtual/block/dm-1");
	taped_link(&taped, "/sys/class/block/dm-1/slaves/md0", "../../md0");
	taped_link(&taped, "/sys/class/block/md0", "../../devices/virtual/block/md0");
	taped_link(&taped, "/sys/class/block/md0/slaves/sda3", "../../../pci/sda3");
	taped_link(&taped, "/sys/class/block/md0/slaves/sdb3", "../../../pci/sdb3");
	taped_link(&taped, "/sys/class/block/sda3", "../../devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda3");
	taped_link(&taped, "/sys/class/block/sdb3", "../../devices/pci0000:00/0000:02:00.0/ata9/host8/target8:0:0/8:0:0:0/block/sdb/sdb3");
	struct facts facts = gathered(&taped);
	assert_string_equal(needed(&taped, &facts, NEED_ROOT_DISK), "0000:00:17.0 0000:02:00.0");
	assert_int_equal(facts.root_disk_known, YES);
	arena_release(&taped.arena);
}

static void test_root_on_zfs(void **state)
{
	(void)state;
	struct taped taped;
	taped_open(&taped);
	mount(&taped, "0:25", "zfs", "rpool/ROOT/pve-1");
	taped_run(&taped, "zpool list -vHP rpool", 0,
		"rpool\t472G\t20G\t452G\t-\t-\t1%\t4%\t1.00x\tONLINE\t-\n\tmirror-0\t472G\t20G\t452G\t-\t-\t1%\t4.24%\t-\tONLINE\n"
		"\t/dev/disk/by-id/nvme-A_1-part3\t475G\t-\t-\t-\t-\t-\t-\t-\tONLINE\n"
		"\t/dev/disk/by-id/nvme-A_2-part3\t475G\t-\t-\t-\t-\t-\t-\t-\tONLINE\n", "");
	for (unsigned i = 0; i < 2; i++) {
		const char *name = i ? "nvme1n1p3" : "nvme0n1p3";
		taped_link(&taped, arena_printf(&taped.arena, "/dev/disk/by-id/nvme-A_%u-part3", i + 1), arena_printf(&taped.arena, "../../%s", name));
		taped_link(&taped, arena_printf(&taped.arena, "/sys/class/block/%s", name),
			arena_printf(&taped.arena, "../../devices/pci0000:00/0000:0%u:00.0/nvme/nvme%u/nvme%un1/%s", i + 1, i, i, name));
	}
	struct facts facts = gathered(&taped);
	assert_string_equal(needed(&taped, &facts, NEED_ROOT_DISK), "0000:01:00.0 0000:02:00.0");
	assert_int_equal(facts.root_disk_known, YES);
	arena_release(&taped.arena);
}

static void test_a_root_that_cannot_be_followed_is_unknown(void **state)
{
	(void)state;
	struct taped taped;
	taped_open(&taped);
	mount(&taped, "0:25", "zfs", "rpool/ROOT/pve-1"); /* zpool was not recorded */
	struct facts facts = gathered(&taped);
	assert_string_equal(needed(&taped, &facts, NEED_ROOT_DISK), "");
	assert_int_not_equal(facts.root_disk_known, YES);
	assert_true(taped_is_blind(&taped, ENODATA, "zpool list -vHP rpool"));
	arena_release(&taped.arena);

	taped_open(&taped); /* one leg of a mirror leads nowhere */
	mount(&taped, "9:0", "ext4", "/dev/md0");
	taped_link(&taped, "/sys/dev/block/9:0", "../../devices/virtual/block/md0");
	taped_link(&taped, "/sys/class/block/md0", "../../devices/virtual/block/md0");
	taped_link(&taped, "/sys/class/block/md0/slaves/sda3", "x");
	taped_link(&taped, "/sys/class/block/md0/slaves/zz", "x");
	taped_link(&taped, "/sys/class/block/sda3", "../../devices/pci0000:00/0000:00:17.0/ata1/block/sda/sda3");
	facts = gathered(&taped);
	assert_string_equal(needed(&taped, &facts, NEED_ROOT_DISK), "0000:00:17.0");
	assert_int_not_equal(facts.root_disk_known, YES);
	arena_release(&taped.arena);
}

static void test_management_over_bridge_bond_and_vlan(void **state)
{
	(void)state;
	struct taped taped;
	taped_open(&taped);
	taped_file(&taped, "/proc/net/route", arena_printf(&taped.arena,
		"%svmbr0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\nvmbr0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", routes_head));
	const char *const virtuals[] = { "vmbr0", "bond0.10", "bond0", "tap100i0" };
	for (size_t i = 0; i < COUNT(virtuals); i++)
		taped_link(&taped, arena_printf(&taped.arena, "/sys/class/net/%s", virtuals[i]),
			arena_printf(&taped.arena, "../../devices/virtual/net/%s", virtuals[i]));
	for (size_t i = 0; i < COUNT(virtuals); i++) {
		taped_file(&taped, arena_printf(&taped.arena, "/sys/devices/virtual/net/%s/mtu", virtuals[i]), "1500\n");
	}
	taped_link(&taped, "/sys/devices/virtual/net/vmbr0/lower_bond0.10", "../bond0.10");
	taped_link(&taped, "/sys/devices/virtual/net/vmbr0/lower_tap100i0", "../tap100i0");
	taped_link(&taped, "/sys/devices/virtual/net/bond0.10/lower_bond0", "../bond0");
	taped_link(&taped, "/sys/devices/virtual/net/bond0/lower_enp5s0", "x");
	taped_link(&taped, "/sys/devices/virtual/net/bond0/lower_enp6s0", "x");
	taped_link(&taped, "/sys/class/net/enp5s0", "../../devices/pci0000:00/0000:00:01.2/0000:05:00.0/net/enp5s0");
	taped_link(&taped, "/sys/class/net/enp6s0", "../../devices/pci0000:00/0000:00:01.3/0000:06:00.0/net/enp6s0");
	struct facts facts = gathered(&taped);
	assert_string_equal(needed(&taped, &facts, NEED_MANAGEMENT_NIC), "0000:05:00.0 0000:06:00.0");
	assert_int_equal(facts.management_known, YES);
	arena_release(&taped.arena);
}

static void test_interfaces_in_a_ring_end(void **state)
{
	(void)state;
	struct taped taped;
	taped_open(&taped);
	taped_file(&taped, "/proc/net/route", arena_printf(&taped.arena, "%sa\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", routes_head));
	taped_link(&taped, "/sys/class/net/a", "../../devices/virtual/net/a");
	taped_link(&taped, "/sys/class/net/b", "../../devices/virtual/net/b");
	taped_link(&taped, "/sys/devices/virtual/net/a/lower_b", "../b");
	taped_link(&taped, "/sys/devices/virtual/net/b/lower_a", "../a");
	struct facts facts = gathered(&taped);
	assert_int_equal(facts.n_needs, 0);
	assert_int_not_equal(facts.management_known, YES);
	arena_release(&taped.arena);
}

static void test_no_route_is_unknown_and_not_unneeded(void **state)
{
	(void)state;
	struct taped taped;
	taped_open(&taped);
	taped_file(&taped, "/proc/net/route", routes_head);
	struct facts facts = gathered(&taped);
	assert_int_not_equal(facts.management_known, YES);
	arena_release(&taped.arena);
}

static void test_keyboard_and_its_usb_controller(void **state)
{
	(void)state;
	struct taped taped;
	taped_open(&taped);
	taped_file(&taped, "/proc/bus/input/devices",
		"I: Bus=0019 Vendor=0000 Product=0001 Version=0000\nN: Name=\"Power Button\"\nS: Sysfs=/devices/LNXSYSTM:00/LNXPWRBN:00/input/input0\n"
		"H: Handlers=kbd event0\n\n"
		"I: Bus=0003 Vendor=046d Product=c31c Version=0110\nN: Name=\"Logitech USB Keyboard\"\n"
		"S: Sysfs=/devices/pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0/0003:046D:C31C.0001/input/input3\n"
		"U: Uniq=\nH: Handlers=sysrq kbd event3 leds\n");
	struct facts facts = gathered(&taped);
	assert_string_equal(needed(&taped, &facts, NEED_USB), "0000:00:14.0");
	arena_release(&taped.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root_on_a_plain_disk),
		cmocka_unit_test(test_root_on_lvm_over_raid),
		cmocka_unit_test(test_root_on_zfs),
		cmocka_unit_test(test_a_root_that_cannot_be_followed_is_unknown),
		cmocka_unit_test(test_management_over_bridge_bond_and_vlan),
		cmocka_unit_test(test_interfaces_in_a_ring_end),
		cmocka_unit_test(test_no_route_is_unknown_and_not_unneeded),
		cmocka_unit_test(test_keyboard_and_its_usb_controller),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
