/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The files of /etc/pve: own samples in tables, the real tools' sessions, and real guest files.
 */
#include "test.h"

#include "facts/package.h"
#include "facts/pve.h"

#include "taped.h"

#include <dirent.h>

static struct arena arena;

static int release(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

static struct guest parse(const char *text, enum guest_kind kind)
{
	struct guest guest = {0};
	pve_parse_guest(bytes_of(text), kind, &arena, &guest);
	return guest;
}

static void assert_text(const char *got, const char *want)
{
	if (!got || !want)
		assert_true(got == want);
	else
		assert_string_equal(got, want);
}

/* Everything that was read, one line behind the other, is the file. */
static void assert_whole(const struct guest *guest, struct bytes text)
{
	size_t at = 0;
	unsigned number = 0;
	for (size_t i = 0; i < guest->n_sections; i++) {
		for (size_t j = 0; j < guest->sections[i].n; j++) {
			const struct pve_line *line = &guest->sections[i].lines[j];
			assert_true(at + line->whole.size <= text.size);
			assert_memory_equal(line->whole.data, text.data + at, line->whole.size);
			assert_int_equal(line->line, ++number);
			at += line->whole.size;
		}
	}
	assert_int_equal(at, text.size);
}

/* ---- lines -------------------------------------------------------------- */

static void lines_are_judged_as_pve_does(void **state)
{
	(void)state;
	static const struct {
		enum guest_kind kind;
		const char *line, *key, *value;
		bool lost;
	} cases[] = {
		{ GUEST_VM, "cores: 4", "cores", "4", false },
		{ GUEST_VM, "cores:4", "cores", "4", false },
		{ GUEST_VM, "name: emby  \t ", "name", "emby", false },
		{ GUEST_VM, "args: -cpu host,kvm=off -device a: b", "args", "-cpu host,kvm=off -device a: b", false },
		{ GUEST_VM, "allow-ksm: 1", "allow-ksm", "1", false },
		{ GUEST_VM, "bios: efi", "bios", "efi", false }, /* not held against the enumeration */
		{ GUEST_VM, "vm-generation: x", "vm-generation", "x", true },
		{ GUEST_VM, "suspended: 1", "suspended", "1", true },
		{ GUEST_VM, "onboot: maybe", "onboot", "maybe", true },
		{ GUEST_VM, "cores: four", "cores", "four", true },
		{ GUEST_VM, "cpulimit: 1.5", "cpulimit", "1.5", false },
		{ GUEST_VM, "hostpci0: 0000:01:00,foo=1", "hostpci0", "0000:01:00,foo=1", true },
		{ GUEST_VM, "hostpci16: 0000:01:00", "hostpci16", "0000:01:00", true },
		{ GUEST_VM, "snapstate: delete", "snapstate", "delete", false },
		{ GUEST_CT, "suspended: 1", "suspended", "1", false }, /* warned of, but kept */
		{ GUEST_CT, "unprivileged: maybe", "unprivileged", "maybe", false },
		{ GUEST_CT, "dev0: /dev/dri/renderD128,foo=1", "dev0", "/dev/dri/renderD128,foo=1", false },
		{ GUEST_VM, "#a note%3A here ", "#", "a note%3A here ", false },
		{ GUEST_VM, "#", "#", "", false },
		{ GUEST_VM, " # indented", NULL, NULL, true },
		{ GUEST_VM, " cores: 4", NULL, NULL, true },
		{ GUEST_VM, "Cores: 4", NULL, NULL, true },
		{ GUEST_VM, "cores 4", NULL, NULL, true },
		{ GUEST_VM, "cores:", NULL, NULL, true },
		{ GUEST_VM, "1cores: 4", NULL, NULL, true },
		{ GUEST_VM, "net0x: 4", NULL, NULL, true },
		{ GUEST_VM, "delete: cores", NULL, NULL, true },
		{ GUEST_VM, "lxc.cgroup2.devices.allow: a", NULL, NULL, true },
		{ GUEST_VM, "", NULL, NULL, false },
		{ GUEST_VM, " \t ", NULL, NULL, false },
		{ GUEST_CT, "hostname: jelly", "hostname", "jelly", false },
		{ GUEST_CT, "some-key: x", NULL, NULL, true },
		{ GUEST_CT, "lxc.cgroup2.devices.allow: c 226:* rwm", "lxc.cgroup2.devices.allow", "c 226:* rwm", false },
		{ GUEST_CT, "lxc.mount.entry = /dev/dri dev/dri none", "lxc.mount.entry", "/dev/dri dev/dri none", false },
		{ GUEST_CT, "lxc.idmap=u 0 100000 44", "lxc.idmap", "u 0 100000 44", false },
		{ GUEST_CT, "lxc.cgroup.devices.allow: c 1:1 rwm", "lxc.cgroup.devices.allow", "c 1:1 rwm", false },
		{ GUEST_CT, "lxc.include:", "lxc.include", "", false },
		{ GUEST_CT, "lxc.nosuch: 1", NULL, NULL, true },
		{ GUEST_CT, "lxc.rootfs.path: /x", NULL, NULL, true },
		{ GUEST_CT, "lxc.idmap : u 0 1 2", NULL, NULL, true },
		{ GUEST_CT, "lxc.: 1", NULL, NULL, true },
		{ GUEST_CT, "lxc.idmap", NULL, NULL, true },
		{ GUEST_CT, "bogus line", NULL, NULL, true },
		{ GUEST_CT, "[pve:unknown]", NULL, NULL, true },
		{ GUEST_CT, "[x]", NULL, NULL, true },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct guest guest = parse(arena_printf(&arena, "%s\n", cases[i].line), cases[i].kind);
		assert_int_equal(guest.n_sections, 1);
		assert_int_equal(guest.sections[0].n, 1);
		const struct pve_line *line = &guest.sections[0].lines[0];
		assert_string_equal(line->raw, cases[i].line);
		if ((line->lost != NULL) != cases[i].lost)
			fail_msg("\"%s\": lost because %s", cases[i].line, line->lost ? line->lost : "of nothing");
		assert_text(line->key, cases[i].key);
		assert_text(line->value, cases[i].value);
	}
}

/* Of a key or a section that stands twice only the last is written again. */
static void what_stands_twice_is_lost_but_for_the_last(void **state)
{
	(void)state;
	static const struct {
		enum guest_kind kind;
		const char *text, *lost; /* a letter for each line: x goes */
	} cases[] = {
		{ GUEST_VM, "cores: 4\nmemory: 1024\ncores: 8\ncores: 2\n", "x.x." },
		{ GUEST_VM, "cores: 4\ncores: many\n", ".x" }, /* the last that it can take */
		{ GUEST_CT, "cores: 4\ncores: many\n", "x." }, /* a CT's last, whatever it is */
		{ GUEST_VM, "ide2: none,media=cdrom\ncdrom: none\n", "x." },
		{ GUEST_VM, "#a\n#b\nnet0: virtio\nnet1: virtio\n", "...." },
		{ GUEST_CT, "lxc.idmap: u 0 1 2\nlxc.idmap: u 0 1 2\ndev0: /dev/a\ndev1: /dev/a\n", "...." },
		{ GUEST_CT, "cores: 4\n[snap]\ncores: 4\n[pve:pending]\ncores: 8\n", "....." },
		{ GUEST_VM, "cores: 4\n[snap]\ncores: 4\n#b\n[snap]\ncores: 2\n", "..xx.." },
		{ GUEST_VM, "[PENDING]\ncores: 4\n[pending]\ncores: 2\n", ".x.." },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct guest guest = parse(cases[i].text, cases[i].kind);
		const char *letter = cases[i].lost;
		for (size_t s = 0; s < guest.n_sections; s++)
			for (size_t l = 0; l < guest.sections[s].n; l++, letter++)
				if ((guest.sections[s].lines[l].lost != NULL) != (*letter == 'x'))
					fail_msg("%s: \"%s\"", cases[i].text, guest.sections[s].lines[l].raw);
		assert_int_equal(*letter, '\0');
	}
}

static void sections_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		enum guest_kind kind;
		const char *header;
		size_t sections;
		enum pve_section_kind section;
		const char *name;
		bool skipped; /* what stands in it is lost */
	} cases[] = {
		{ GUEST_VM, "[PENDING]", 2, SECTION_PENDING, "PENDING", false },
		{ GUEST_VM, "[pending] ", 2, SECTION_PENDING, "PENDING", false },
		{ GUEST_VM, "[before-gpu]", 2, SECTION_SNAPSHOT, "before-gpu", false },
		{ GUEST_VM, "[special:cloudinit]", 2, SECTION_SPECIAL, "special:cloudinit", false },
		{ GUEST_VM, "[special:fleecing]", 2, SECTION_SPECIAL, "special:fleecing", false },
		{ GUEST_VM, "[pve:pending]", 2, SECTION_SPECIAL, "pve:pending", true },
		{ GUEST_VM, "[a]", 2, SECTION_SPECIAL, "a", true },
		{ GUEST_VM, "[]", 2, SECTION_SPECIAL, "", true },
		{ GUEST_CT, "[pve:pending]", 2, SECTION_PENDING, "pve:pending", false },
		{ GUEST_CT, "[PENDING]", 2, SECTION_SNAPSHOT, "PENDING", false },
		{ GUEST_CT, "[snap1]", 2, SECTION_SNAPSHOT, "snap1", false },
		{ GUEST_CT, "[special:cloudinit]", 1, SECTION_ACTIVE, "", false },
		{ GUEST_VM, "[snap] x", 1, SECTION_ACTIVE, "", false },
		{ GUEST_VM, " [snap]", 1, SECTION_ACTIVE, "", false },
		{ GUEST_VM, "[snap", 1, SECTION_ACTIVE, "", false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct guest guest = parse(arena_printf(&arena, "cores: 1\n%s\ncores: 2\n", cases[i].header), cases[i].kind);
		if (guest.n_sections != cases[i].sections)
			fail_msg("\"%s\": %zu sections", cases[i].header, guest.n_sections);
		const struct pve_section *last = &guest.sections[guest.n_sections - 1];
		assert_int_equal(last->kind, cases[i].section);
		assert_string_equal(last->name, cases[i].name);
		assert_int_equal(last->lines[last->n - 1].lost != NULL, cases[i].skipped);
		/* a line that a CT's parser takes for a bad header leaves the section as it is */
		assert_string_equal(pve_value(&guest, "cores"), cases[i].sections == 1 ? "2" : "1");
	}
}

static const char vm_file[] =
	"#what it is%3A a test\n"
	"agent: 1\n"
	"hostpci0: 0000:01:00,pcie=1\n"
	"hostpci1: 0d:00.0,x-vga=0\n"
	"lock: backup\n"
	"# second note\n"
	"name: emby\n"
	"onboot: 1\n"
	"parent: two\n"
	"vga: none\n"
	"\n"
	"[PENDING]\n"
	"delete: hostpci1,!vga\n"
	"cores: 8\n"
	"hostpci0: mapping=gpu0,pcie=1\n"
	"\n"
	"[one]\n"
	"name: old\n"
	"snaptime: 1795242524\n"
	"\n"
	"[two]\n"
	"#second%20snapshot\n"
	"parent: one\n"
	"snaptime: 99999999999999999999\n";

static void a_whole_vm(void **state)
{
	(void)state;
	struct guest guest = parse(vm_file, GUEST_VM);
	assert_whole(&guest, bytes_of(vm_file));
	assert_int_equal(guest.known, YES);
	assert_int_equal(guest.n_sections, 4);
	assert_string_equal(guest.name, "emby");
	assert_string_equal(guest.lock, "backup");
	assert_string_equal(guest.parent, "two");
	assert_int_equal(guest.onboot, YES);
	assert_int_equal(guest.sections[2].snaptime, 1795242524);
	assert_int_equal(guest.sections[3].snaptime, UNKNOWN_NUMBER);
	assert_text(pve_value(&guest, "cores"), NULL);
	assert_text(pve_value_next(&guest, "cores"), "8");
	assert_text(pve_value(&guest, "hostpci1"), "0d:00.0,x-vga=0");
	assert_text(pve_value_next(&guest, "hostpci1"), NULL);
	assert_text(pve_value(&guest, "vga"), "none");
	assert_text(pve_value_next(&guest, "vga"), NULL);
	assert_text(pve_value_next(&guest, "agent"), "1");
	assert_text(pve_value_next(&guest, "delete"), NULL);
	assert_int_equal(guest.n_hostpci, 3);
	assert_int_equal(guest.hostpci[0].pcie, YES);
	assert_int_equal(guest.hostpci[0].x_vga, UNKNOWN);
	assert_false(guest.hostpci[0].pending);
	assert_string_equal(guest.hostpci[1].addresses.word[0], "0000:0d:00.0");
	assert_int_equal(guest.hostpci[1].x_vga, NO);
	assert_true(guest.hostpci[2].pending);
	assert_string_equal(guest.hostpci[2].mapping, "gpu0");
	assert_false(guest.hostpci[0].invalid || guest.hostpci[1].invalid || guest.hostpci[2].invalid);
}

static void what_stands_twice(void **state)
{
	(void)state;
	struct guest guest = parse("cores: 1\nhostpci0: 01:00\nhostpci0: 02:00\nhostpci0: 0D:00\ncores: 2\n"
				   "[PENDING]\nmemory: 1\n[PENDING]\nmemory: 2\n", GUEST_VM);
	assert_string_equal(pve_value(&guest, "cores"), "2");
	assert_string_equal(pve_value_next(&guest, "memory"), "2");
	assert_int_equal(guest.n_hostpci, 1);
	assert_string_equal(guest.hostpci[0].addresses.word[0], "0000:02:00");
	guest = parse("dev0: /dev/a\ndev0: /dev/b,gid=104\n", GUEST_CT);
	assert_int_equal(guest.n_devices, 1);
	assert_string_equal(guest.devices[0].path, "/dev/b");
	assert_int_equal(guest.devices[0].gid, 104);
}

static void nothing_is_dropped_of_odd_text(void **state)
{
	(void)state;
	static const struct { const char *data; size_t size; } files[] = {
#define FILE_OF(text) { text, sizeof text - 1 }
		FILE_OF(""), FILE_OF("\n"), FILE_OF("\n\n[x"), FILE_OF("cores: 1"), FILE_OF("cores: 1\r\nname: a\r\n[PENDING]\r\ncores: 2\r\n"),
		FILE_OF("name: a\0b\n[s\0n]\n#\0\n"), FILE_OF("\xff\xfe: \x80\n"), FILE_OF("a: \r"), FILE_OF("\r"),
	};
	for (size_t i = 0; i < COUNT(files); i++) {
		for (int kind = GUEST_VM; kind <= GUEST_CT; kind++) {
			struct guest guest = {0};
			struct bytes text = { files[i].data, files[i].size };
			pve_parse_guest(text, kind, &arena, &guest);
			assert_whole(&guest, text);
		}
	}
	struct guest guest = parse(files[4].data, GUEST_VM);
	assert_string_equal(pve_value(&guest, "name"), "a");
	assert_string_equal(pve_value_next(&guest, "cores"), "2");
	/* a mebibyte on one line */
	size_t size = 1 << 20;
	char *line = arena_alloc(&arena, size + 1);
	memset(line, ',', size);
	memcpy(line, "hostpci0: ", 10);
	guest = parse(line, GUEST_VM);
	assert_whole(&guest, bytes_of(line));
	assert_true(guest.hostpci[0].invalid);
	for (size_t i = 10; i + 3 < size; i += 3)
		memcpy(line + i, "a=b,", 4);
	guest = parse(line, GUEST_VM);
	assert_true(guest.hostpci[0].invalid);
	memset(line + 10, '[', size - 10);
	guest = parse(line + 10, GUEST_VM);
	assert_whole(&guest, bytes_of(line + 10));
}

/* ---- values ------------------------------------------------------------- */

static void property_strings(void **state)
{
	(void)state;
	static const struct { const char *text, *key, *value; size_t n; bool invalid; } cases[] = {
		{ "01:00,pcie=1", "host", "01:00", 2, false },
		{ "host=01:00,pcie=1", "host", "01:00", 2, false },
		{ "pcie=1,01:00", "host", "01:00", 2, false },
		{ "pcie=1, ,01:00,,", "host", "01:00", 2, false },
		{ "a=b=c", "a", "b=c", 1, false },
		{ "01:00, pcie=1", " pcie", "1", 2, false },
		{ "", "host", NULL, 0, false },
		{ "01:00,02:00", "host", "01:00", 1, true },
		{ "pcie=1,pcie=0", "pcie", "1", 1, true },
		{ "pcie=", "pcie", NULL, 0, true },
		{ "=1", "", NULL, 0, true },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct pve_properties got = pve_parse_properties(cases[i].text, "host", &arena);
		if (got.n != cases[i].n || got.invalid != cases[i].invalid)
			fail_msg("\"%s\": %zu, %d", cases[i].text, got.n, got.invalid);
		assert_text(pve_property(&got, cases[i].key), cases[i].value);
	}
	assert_true(pve_parse_properties("x", NULL, &arena).invalid);
	assert_int_equal(pve_parse_properties(NULL, "host", &arena).n, 0);
}

static void booleans(void **state)
{
	(void)state;
	assert_int_equal(pve_boolean("1"), YES);
	assert_int_equal(pve_boolean("On"), YES);
	assert_int_equal(pve_boolean("off"), NO);
	assert_int_equal(pve_boolean("2"), UNKNOWN);
	assert_int_equal(pve_boolean(""), UNKNOWN);
	assert_int_equal(pve_boolean(NULL), UNKNOWN);
}

/* What the real qm accepts and refuses is in the sessions; the first block is from there. */
static void hostpci_values(void **state)
{
	(void)state;
	static const struct { const char *line; bool invalid; const char *addresses; } cases[] = {
		{ "hostpci0: 01:00,pcie=1,x-vga=1", false, "0000:01:00" },
		{ "hostpci0: host=01:00.0,pci=1", true, "0000:01:00.0" },
		{ "hostpci0: 01:00.G", true, "" },
		{ "hostpci0: 0000:0D:00.0", true, "" },
		{ "hostpci0: 0000:0d:00.0,pcie=1,rombar=0,romfile=vbios.bin,device-id=0x1234", false, "0000:0d:00.0" },
		{ "hostpci0: host=0000:01:00,mapping=gpu0", true, "0000:01:00" },
		{ "hostpci0: pcie=1", true, "" },
		{ "hostpci0: 0000:01:00.0;0000:01:00.1,pcie=1", false, "0000:01:00.0 0000:01:00.1" },
		{ "hostpci16: 01:00", true, "0000:01:00" },
		{ "hostpci01: 01:00", true, "0000:01:00" },
		{ "hostpci15: 10000:e1:00.0", false, "10000:e1:00.0" },
		{ "hostpci0: 00000000:01:00.0", false, "0000:01:00.0" },
		{ "hostpci0: 000:01:00.0", true, "" },
		{ "hostpci0: 01:00.0;", true, "0000:01:00.0" },
		{ "hostpci0: 01:00.00", true, "" },
		{ "hostpci0: 0000:XX:00,pcie=1", true, "" },
		{ "hostpci0: mapping=gpu-0", false, "" },
		{ "hostpci0: mapping=0gpu", true, "" },
		{ "hostpci0: 01:00,pcie=maybe", true, "0000:01:00" },
		{ "hostpci0: 01:00,vendor-id=10de", true, "0000:01:00" },
		{ "hostpci0: 01:00,mdev=nvidia-63", false, "0000:01:00" },
		{ "hostpci0: 01:00,driver=keep", false, "0000:01:00" },
		{ "hostpci0: 01:00,driver=other", true, "0000:01:00" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct guest guest = parse(cases[i].line, GUEST_VM);
		assert_int_equal(guest.n_hostpci, 1);
		if (guest.hostpci[0].invalid != cases[i].invalid)
			fail_msg("%s: invalid %d", cases[i].line, guest.hostpci[0].invalid);
		struct words want = text_split(&arena, cases[i].addresses, " ");
		assert_int_equal(guest.hostpci[0].addresses.n, want.n);
		for (size_t j = 0; j < want.n; j++)
			assert_string_equal(guest.hostpci[0].addresses.word[j], want.word[j]);
	}
	struct guest guest = parse("hostpci: 01:00\nhostpcix: 01:00\n", GUEST_VM);
	assert_int_equal(guest.n_hostpci, 0);
}

static void devices_of_a_container(void **state)
{
	(void)state;
	struct guest guest = parse("dev0: /dev/dri/renderD128,gid=104,mode=0660\ndev1: path=/dev/dri/card0,gid=44,uid=0\n"
				   "dev2: /dev/nvidia0,deny-write=1\ndevx: /dev/x\n[pve:pending]\ndev3: /dev/kfd\n", GUEST_CT);
	assert_int_equal(guest.n_devices, 4);
	assert_string_equal(guest.devices[0].path, "/dev/dri/renderD128");
	assert_string_equal(guest.devices[0].mode, "0660");
	assert_int_equal(guest.devices[0].gid, 104);
	assert_int_equal(guest.devices[0].uid, UNKNOWN_NUMBER);
	assert_int_equal(guest.devices[0].deny_write, NO);
	assert_string_equal(guest.devices[1].path, "/dev/dri/card0");
	assert_int_equal(guest.devices[1].uid, 0);
	assert_null(guest.devices[1].mode);
	assert_int_equal(guest.devices[2].deny_write, YES);
	assert_int_equal(guest.devices[3].index, 3);
	assert_true(guest.devices[3].pending);
}

static void mappings_and_who_has_what(void **state)
{
	(void)state;
	static const char text[] =
		"# a comment\n"
		"gpu0\n"
		"\tdescription the big one\n"
		"\tmap id=10de:2803,iommugroup=12,node=pve,path=0000:01:00,subsystem-id=1043:88f5\n"
		"\tmap id=10de:2803,node=other,path=0000:41:00\n"
		"\tmap node=pve,path=0000:09:00.0\n"
		"\n"
		"0bad\n"
		"hidden\n" /* still of the section that PVE passes over */
		"\tmap id=10de:2803,node=pve,path=0000:07:00\n"
		"\n"
		"pair\n"
		"  map id=8086:56a5,node=pve,path=0000:03:00.0;0000:04:00.0\n";
	struct pve pve = { .node = "pve" };
	pve_parse_mappings(bytes_of(text), &arena, &pve);
	assert_int_equal(pve.mappings_known, YES);
	assert_int_equal(pve.n_mappings, 2);
	assert_string_equal(pve.mappings[0].id, "gpu0");
	assert_string_equal(pve.mappings[0].description, "the big one");
	assert_int_equal(pve.mappings[0].n, 2);
	assert_string_equal(pve.mappings[0].entries[0].iommu_group, "12");
	assert_string_equal(pve.mappings[0].entries[0].subsystem, "1043:88f5");
	assert_string_equal(pve.mappings[0].entries[1].iommu_group, "");

	static const struct { const char *line, *device; bool has, elsewhere; } cases[] = {
		{ "hostpci0: mapping=gpu0,pcie=1", "0000:01:00.1", true, true },
		{ "hostpci0: mapping=gpu0,pcie=1", "0000:41:00.0", false, true }, /* of the other node */
		{ "hostpci0: mapping=pair", "0000:04:00.0", true, true },
		{ "hostpci0: mapping=pair", "0000:04:00.1", false, false },
		{ "hostpci0: mapping=nosuch", "0000:01:00.0", false, false },
		{ "hostpci0: 01:00", "0000:01:00.0", true, true },
		{ "hostpci0: 01:00", "0001:01:00.0", false, false },
		{ "hostpci0: 01:00.0", "0000:01:00.0", true, true },
		{ "hostpci0: 01:00.0", "0000:01:00.1", false, false },
		{ "[PENDING]\nhostpci3: 01:00", "0000:01:00.1", true, true },
		{ "[snap]\nhostpci3: 01:00", "0000:01:00.1", false, false },
		{ "args: -device vfio-pci,host=01:00.0,x-vga=on", "0000:01:00.0", true, true },
		{ "args: -device '{\"driver\":\"vfio-pci\",\"host\":\"0000:01:00.0\"}'", "0000:01:00.0", true, true },
		{ "args: -device virtio-net,host=01:00.0", "0000:01:00.0", false, false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct guest guest = parse(cases[i].line, GUEST_VM);
		struct pci_device device = { .address = cases[i].device };
		pve.node = "pve";
		if (pve_guest_has(&pve, &guest, &device, &arena) != cases[i].has)
			fail_msg("%s: %s", cases[i].line, cases[i].device);
		pve.node = NULL;
		assert_int_equal(pve_guest_has(&pve, &guest, &device, &arena), cases[i].elsewhere);
	}
}

static void storages(void **state)
{
	(void)state;
	struct pve pve = {0};
	pve_parse_storages(bytes_of("dir: local\n\tpath /var/lib/vz\n\tcontent iso,vztmpl\n\n"
				    "lvmthin: local-lvm\n\tthinpool data\n\tvgname pve\n\tcontent images\n\n"
				    "strange: mine\n\tpath /x\nlvm: inside\n\n"
				    "zfspool: tank\n\tpool tank/vm\n"), &arena, &pve);
	static const struct { const char *id, *type, *content, *path; enum tri snapshots; } want[] = {
		{ "local", "dir", "iso,vztmpl", "/var/lib/vz", NO },
		{ "local-lvm", "lvmthin", "images", "", YES },
		{ "mine", "strange", "", "/x", UNKNOWN },
		{ "tank", "zfspool", "", "", YES },
	};
	assert_int_equal(pve.n_storages, COUNT(want));
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_string_equal(pve.storages[i].id, want[i].id);
		assert_string_equal(pve.storages[i].type, want[i].type);
		assert_string_equal(pve.storages[i].content, want[i].content);
		assert_string_equal(pve.storages[i].path, want[i].path);
		assert_int_equal(pve.storages[i].snapshots, want[i].snapshots);
	}
	pve = (struct pve){0};
	pve_parse_storages(bytes_of(""), &arena, &pve);
	assert_int_equal(pve.n_storages, 1);
	assert_string_equal(pve.storages[0].id, "local");
}

/* Of apt: what has no candidate, or is not known to it at all, is not there. */
static void test_policy(void **state)
{
	(void)state;
	struct arena own ARENA_SCOPED = { 0 };
	struct words got = package_parse_policy(
	        bytes_of("nvidia-kernel-dkms:\n  Installed: (none)\n  Candidate: 535.247.01-1~deb12u1\n  Version table:\n"
	                 "     535.247.01-1~deb12u1 500\n        500 http://deb.debian.org/debian bookworm/non-free amd64 "
	                 "Packages\nnvidia-open-kernel-dkms:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n"
	                 "dkms:\n  Installed: 3.0.10-8+deb12u1\n  Candidate: 3.0.10-8+deb12u1\n"),
	        "Candidate", &own);
	assert_int_equal(got.n, 2);
	assert_string_equal(package_version(&got, "nvidia-kernel-dkms"), "535.247.01-1~deb12u1");
	assert_string_equal(package_version(&got, "dkms"), "3.0.10-8+deb12u1");
	assert_null(package_version(&got, "nvidia-open-kernel-dkms"));
	assert_int_equal(package_parse_policy(bytes_of("  Candidate: 1\nx\n:\n\n"), "Candidate", &own).n, 0);
	got = package_parse_policy(bytes_of("nvidia-kernel-dkms:\n  Installed: (none)\n  Candidate: 535.247.01-1~deb12u1\n"
	                                    "nvidia-open-kernel-dkms:\n  Installed: 580.95.05-1\n  Candidate: 590.1-1\n"),
	        "Installed", &own);
	assert_int_equal(got.n, 1);
	assert_string_equal(package_version(&got, "nvidia-open-kernel-dkms"), "580.95.05-1");
}

static void packages(void **state)
{
	(void)state;
	static const char *const patterns[] = { "pve-manager", "nvidia-driver*", NULL };
	struct words got = package_parse(bytes_of(
		"Package: pve-manager\nStatus: install ok installed\nVersion: 8.4.21\nDescription: x\n Version: 9\n\n"
		"Package: nvidia-driver\nStatus: deinstall ok config-files\nVersion: 535.1\n\n"
		"Package: nvidia-driver-libs\nVersion: 550.163.01-1\nStatus: hold ok installed\n\n"
		"Package: bash\nStatus: install ok installed\nVersion: 5.2\n\n"
		"Package: nvidia-driver-bin\nStatus: install ok unpacked\nVersion: 1"), patterns, &arena);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.word[0], "pve-manager 8.4.21");
	assert_string_equal(got.word[1], "nvidia-driver-libs 550.163.01-1");
	assert_string_equal(package_version(&got, "pve-manager"), "8.4.21");
	assert_null(package_version(&got, "nvidia-driver"));
}

/* ---- the real tools' sessions ------------------------------------------- */

struct session { const char *command; struct bytes output; };
struct sessions { struct session *session; size_t n; };

/* "$ command", its output, "[rc=N]". */
static struct sessions session_parse(struct bytes text)
{
	struct sessions all = {0};
	struct bytes line;
	const char *start = NULL;
	for (size_t cursor = 0, before = 0; text_line(text, &cursor, &line); before = cursor) {
		const char *string = arena_strndup(&arena, line.data, line.size);
		if (text_starts(string, "$ ")) {
			arena_push(&arena, all.session, all.n)->command = string + 2;
			start = text.data + cursor;
		} else if (text_starts(string, "[rc=") && all.n && start) {
			all.session[all.n - 1].output = (struct bytes){ start, (size_t)(text.data + before - start) };
			start = NULL;
		}
	}
	return all;
}

static bool has_line(const struct guest *guest, const char *key, const char *value)
{
	for (size_t i = 0; i < guest->sections[0].n; i++) {
		const struct pve_line *line = &guest->sections[0].lines[i];
		if (line->key && strcmp(line->key, key) == 0 && strcmp(line->value, value) == 0)
			return true;
	}
	return false;
}

/* `qm config`, `--current`, `pct config`: "key: value" lines, with what the tools say of lines that they skip. */
static size_t compare_config(const struct guest *guest, struct bytes output, bool current)
{
	size_t cursor = 0, found = 0;
	struct bytes line;
	while (text_line(output, &cursor, &line)) {
		char *key = text_trimmed(&arena, line), *colon = strstr(key, ": ");
		if (text_starts(key, "vm ") || !colon)
			continue;
		*colon = '\0';
		const char *value = colon + 2;
		found++;
		if (text_starts(key, "lxc."))
			assert_true(has_line(guest, key, value));
		else if (strcmp(key, "cores") != 0) /* a session changes it between the two */
			assert_text(current ? pve_value(guest, key) : pve_value_next(guest, key), value);
	}
	size_t ours = 0;
	for (size_t i = 0; i < guest->sections[0].n; i++) {
		const char *key = guest->sections[0].lines[i].key;
		ours += key && strcmp(key, "parent") != 0 &&
			(current || text_starts(key, "lxc.") || pve_value_next(guest, key));
	}
	for (size_t i = 1; !current && i < guest->n_sections; i++)
		for (size_t j = 0; guest->sections[i].kind == SECTION_PENDING && j < guest->sections[i].n; j++) {
			const char *key = guest->sections[i].lines[j].key;
			ours += key && strcmp(key, "delete") != 0 && !pve_value(guest, key);
		}
	assert_int_equal(found, ours);
	return found;
}

/* `qm pending`: "cur|new|del key: value" */
static size_t compare_pending(const struct guest *guest, struct bytes output)
{
	size_t cursor = 0, found = 0;
	struct bytes line;
	while (text_line(output, &cursor, &line)) {
		char *text = text_trimmed(&arena, line), *colon = strstr(text, ": ");
		if (strlen(text) < 5 || !colon)
			continue;
		*colon = '\0';
		const char *key = text + 4, *value = colon + 2;
		found++;
		if (text_starts(text, "cur "))
			assert_text(pve_value(guest, key), value);
		else if (text_starts(text, "new "))
			assert_text(pve_value_next(guest, key), value);
		else
			assert_true(text_starts(text, "del ") && !pve_value_next(guest, key));
		if (text_starts(text, "del "))
			assert_text(pve_value(guest, key), value);
	}
	return found;
}

/* `qm listsnapshot`: the names in a tree, "current" last. */
static size_t compare_snapshots(const struct guest *guest, struct bytes output)
{
	size_t cursor = 0, found = 0, ours = 0;
	struct bytes line;
	while (text_line(output, &cursor, &line)) {
		char *text = text_trimmed(&arena, line), *name = strstr(text, "-> ");
		if (!name || text_starts(name + 3, "current"))
			continue;
		name[3 + strcspn(name + 3, " ")] = '\0';
		bool there = false;
		for (size_t i = 0; i < guest->n_sections; i++)
			there = there || (guest->sections[i].kind == SECTION_SNAPSHOT &&
					  strcmp(guest->sections[i].name, name + 3) == 0 &&
					  guest->sections[i].snaptime > 0);
		assert_true(there);
		found++;
	}
	for (size_t i = 0; i < guest->n_sections; i++)
		ours += guest->sections[i].kind == SECTION_SNAPSHOT;
	assert_int_equal(found, ours);
	return found;
}

static void compare_snapshot(const struct guest *guest, const char *name, struct bytes output)
{
	for (size_t i = 0; i < guest->n_sections; i++) {
		if (strcmp(guest->sections[i].name, name) != 0)
			continue;
		struct guest alone = { .kind = guest->kind, .sections = &guest->sections[i], .n_sections = 1 };
		struct bytes line;
		size_t found = 0;
		for (size_t cursor = 0; text_line(output, &cursor, &line); found++) {
			char *key = text_trimmed(&arena, line), *colon = strstr(key, ": ");
			assert_non_null(colon);
			*colon = '\0';
			assert_true(has_line(&alone, strcmp(key, "description") == 0 ? "#" : key, colon + 2));
		}
		size_t ours = 0;
		for (size_t j = 0; j < alone.sections->n; j++)
			ours += alone.sections->lines[j].key != NULL;
		assert_int_equal(found, ours);
		return;
	}
	fail_msg("no snapshot %s", name);
}

static bool changes(const char *command)
{
	static const char *const words[] = { " set ", " rollback ", " start ", " delsnapshot ", " create ", " destroy ",
					     " snapshot ", "qm unlock" };
	for (size_t i = 0; i < COUNT(words); i++)
		if (strstr(command, words[i]))
			return true;
	return false;
}

static size_t compare_one(const struct guest *guest, const struct session *session)
{
	const char *command = session->command;
	if (strstr(command, "--snapshot"))
		compare_snapshot(guest, strrchr(command, ' ') + 1, session->output);
	else if (strstr(command, " config "))
		return compare_config(guest, session->output, strstr(command, "--current") != NULL);
	else if (text_starts(command, "qm pending ") || text_starts(command, "pct pending "))
		return compare_pending(guest, session->output);
	else if (strstr(command, " listsnapshot "))
		return compare_snapshots(guest, session->output);
	return 0;
}

static size_t compare_sessions(const struct sessions *all)
{
	size_t compared = 0;
	for (size_t i = 0; i < all->n; i++) {
		const char *command = all->session[i].command;
		bool vm = strstr(command, "/qemu-server/") != NULL;
		if (!text_starts(command, "cat /etc/pve/") || !text_ends(command, ".conf"))
			continue;
		struct guest guest = {0};
		pve_parse_guest(all->session[i].output, vm ? GUEST_VM : GUEST_CT, &arena, &guest);
		assert_whole(&guest, all->session[i].output);
		for (size_t j = 0; j < guest.n_sections; j++)
			for (size_t k = 0; k < guest.sections[j].n; k++)
				if (guest.sections[j].lines[k].lost)
					fail_msg("%s, because %s", guest.sections[j].lines[k].raw,
					        guest.sections[j].lines[k].lost);
		/* what was asked just before and after, with no change between; a CT's session changes only cores */
		for (size_t j = i; j-- > 0 && (!changes(all->session[j].command) || strstr(all->session[j].command, "--cores 3"));)
			compared += compare_one(&guest, &all->session[j]);
		for (size_t j = i + 1; j < all->n && !changes(all->session[j].command); j++)
			compared += compare_one(&guest, &all->session[j]);
		for (size_t j = i + 1; j < all->n && !text_starts(all->session[j].command, "cat "); j++)
			if (strstr(all->session[j].command, "--snapshot"))
				compared += 1 + compare_one(&guest, &all->session[j]);
	}
	return compared;
}

static void the_tools_see_the_same(void **state)
{
	(void)state;
	const char *folder = test_data("GPUFERRY_TRANSCRIPTS");
	if (!folder) {
		print_message("# no transcripts here\n");
		skip();
	}
	static const char *const names[] = { "s1-vm-basic-pve8", "s1-vm-basic-pve9", "s3-ct-pve8", "s3-ct-pve9",
					     "s5-running-pve8", "s5-running-pve9" };
	for (size_t i = 0; i < COUNT(names); i++) {
		struct sessions all = session_parse(test_read(&arena, arena_printf(&arena, "%s/%s.txt", folder, names[i])));
		size_t compared = compare_sessions(&all);
		print_message("# %s: %zu values agree\n", names[i], compared);
		assert_true(compared >= 2);
	}
	for (int version = 8; version <= 9; version++) {
		struct sessions all = session_parse(
			test_read(&arena, arena_printf(&arena, "%s/s2-vm-args-mapping-pve%d.txt", folder, version)));
		size_t mappings = 0;
		for (size_t i = 0; i < all.n; i++) {
			if (strcmp(all.session[i].command, "cat /etc/pve/mapping/pci.cfg") != 0)
				continue;
			struct pve pve = { .node = "pve" };
			pve_parse_mappings(all.session[i].output, &arena, &pve);
			assert_int_equal(pve.n_mappings, 1);
			assert_string_equal(pve.mappings[0].entries[0].id, "10de:2803");
			mappings++;
		}
		assert_int_equal(mappings, 1);
	}
}

/* ---- real guest files --------------------------------------------------- */

/* Lines of the active section that begin with word and a number, counted without the parser. */
static size_t count_keys(struct bytes text, const char *stem)
{
	size_t count = 0, cursor = 0;
	struct bytes line;
	while (text_line(text, &cursor, &line) && !(line.size && line.data[0] == '[')) {
		const char *string = arena_strndup(&arena, line.data, line.size);
		size_t size = strlen(stem), digits;
		if (strncmp(string, stem, size) != 0)
			continue;
		digits = strspn(string + size, "0123456789");
		count += digits && string[size + digits] == ':';
	}
	return count;
}

static void real_guest_files(void **state)
{
	(void)state;
	const char *data = test_data("GPUFERRY_DATA");
	DIR *folder = data ? opendir(arena_printf(&arena, "%s/pve-conf", data)) : NULL;
	if (!folder) {
		print_message("# no captures here\n");
		skip();
	}
	size_t files = 0, hostpci = 0, raw = 0;
	for (struct dirent *entry; (entry = readdir(folder));) {
		if (!text_ends(entry->d_name, ".conf"))
			continue;
		struct bytes text = test_read(&arena, arena_printf(&arena, "%s/pve-conf/%s", data, entry->d_name));
		bool ct = strstr(entry->d_name, "_lxc_") || text_starts(entry->d_name, "thread-");
		struct guest guest = {0};
		pve_parse_guest(text, ct ? GUEST_CT : GUEST_VM, &arena, &guest);
		assert_whole(&guest, text);
		assert_int_equal(guest.n_hostpci, ct ? 0 : count_keys(text, "hostpci"));
		assert_int_equal(guest.n_devices, ct ? count_keys(text, "dev") : 0);
		for (size_t i = 0; i < guest.sections[0].n; i++)
			raw += guest.sections[0].lines[i].key && text_starts(guest.sections[0].lines[i].key, "lxc.");
		files++;
		hostpci += guest.n_hostpci;
	}
	closedir(folder);
	print_message("# %zu files, %zu hostpci, %zu raw lxc lines\n", files, hostpci, raw);
	assert_true(files >= 20 && hostpci >= 10 && raw >= 40);
}

/* ---- a node --------------------------------------------------------------- */

static const char dpkg[] =
	"Package: pve-manager\nStatus: install ok installed\nVersion: 8.4.21\n\n"
	"Package: qemu-server\nStatus: install ok installed\nVersion: 8.4.10\n\n"
	"Package: vim\nStatus: install ok installed\nVersion: 9\n\n";

static void a_node(struct taped *taped)
{
	taped_open(taped);
	taped_file(taped, "/var/lib/dpkg/status", dpkg);
	taped_link(taped, "/etc/pve/local", "nodes/pve");
	taped_link(taped, "/etc/pve/qemu-server", "nodes/pve/qemu-server");
	taped_link(taped, "/etc/pve/lxc", "nodes/pve/lxc");
	taped_file(taped, "/etc/pve/.members", "{\n\"nodename\": \"pve\",\n\"version\": 4,\n\"cluster\": "
		   "{ \"name\": \"home\", \"version\": 2, \"nodes\": 2, \"quorate\": 0 },\n\"nodelist\": {}\n}\n");
	taped_file(taped, "/etc/pve/nodes/pve/qemu-server/100.conf", "name: emby\nhostpci0: mapping=gpu0\n");
	taped_file(taped, "/etc/pve/nodes/pve/qemu-server/9.conf", "name: small\n");
	taped_file(taped, "/etc/pve/nodes/pve/qemu-server/101.conf.bak", "name: no\n");
	taped_file(taped, "/etc/pve/nodes/pve/qemu-server/102.conf", "name: two\n");
	taped_file(taped, "/etc/pve/nodes/pve/lxc/105.conf", "hostname: jelly\ndev0: /dev/dri/renderD128,gid=104\n");
	taped_file(taped, "/etc/pve/nodes/pve/lxc/106.conf", "hostname: other\n");
	taped_file(taped, "/etc/pve/nodes/other/lxc/107.conf", "hostname: far\n");
	taped_file(taped, "/etc/pve/mapping/pci.cfg", "gpu0\n\tmap id=10de:2803,node=pve,path=0000:01:00\n");
	taped_file(taped, "/etc/pve/storage.cfg", "zfspool: tank\n\tpool tank\n");
	taped_file(taped, "/etc/pve/ha/resources.cfg", "vm: 100\n\tstate started\n\nct: 9\n\n");
	taped_file(taped, "/run/qemu-server/100.pid", "1234\n");
	static const char emby[] = "/usr/bin/kvm\0-id\000100\0-name\0emby", other[] = "/usr/bin/kvm\0-id\000103\0-name\0x";
	taped_bytes(taped, "/proc/1234/cmdline", emby, sizeof emby);
	taped_file(taped, "/run/qemu-server/102.pid", "1235\n");
	taped_bytes(taped, "/proc/1235/cmdline", other, sizeof other);
	taped_file(taped, "/proc/net/unix",
		   "Num       RefCount Protocol Flags    Type St Inode Path\n"
		   "0000000000000000: 00000002 00000000 00010000 0001 01 20000 @/var/lib/lxc/105/command\n"
		   "0000000000000000: 00000002 00000000 00010000 0001 01 20001 @/var/lib/lxc/106/monitor\n");
}

static const struct guest *guest_by_id(const struct pve *pve, int64_t id)
{
	for (size_t i = 0; i < pve->n_guests; i++)
		if (pve->guests[i].id == id)
			return &pve->guests[i];
	fail_msg("no guest %d", (int)id);
	return NULL;
}

static void gathered_from_files(void **state)
{
	(void)state;
	struct taped taped;
	struct pve pve = {0};
	a_node(&taped);
	struct world *world = taped_world(&taped, true);
	pve_gather(world, &taped.arena, &pve, taped_blind, &taped);
	assert_int_equal(pve.here, YES);
	assert_int_equal(pve.readable, YES);
	assert_string_equal(pve.version, "8.4.21");
	assert_int_equal(pve.packages.n, 2);
	assert_string_equal(pve.node, "pve");
	assert_int_equal(pve.quorate, NO);
	assert_int_equal(pve.guests_known, YES);
	assert_int_equal(pve.n_guests, 5);
	assert_int_equal(pve.guests[0].id, 9);
	assert_string_equal(guest_by_id(&pve, 9)->status, "stopped");
	assert_string_equal(guest_by_id(&pve, 100)->status, "running");
	assert_int_equal(guest_by_id(&pve, 100)->pid, 1234);
	assert_string_equal(guest_by_id(&pve, 102)->status, "stopped"); /* its pid is another VM's now */
	assert_int_equal(guest_by_id(&pve, 102)->pid, UNKNOWN_NUMBER);
	assert_string_equal(guest_by_id(&pve, 105)->status, "running");
	assert_string_equal(guest_by_id(&pve, 106)->status, "stopped");
	assert_int_equal(guest_by_id(&pve, 100)->ha, YES);
	assert_int_equal(guest_by_id(&pve, 9)->ha, NO); /* only a CT of that number */
	assert_string_equal(guest_by_id(&pve, 105)->file, "/etc/pve/lxc/105.conf");
	assert_int_equal(guest_by_id(&pve, 105)->n_devices, 1);
	assert_int_equal(pve.n_mappings, 1);
	assert_int_equal(pve.n_storages, 2);
	assert_int_equal(taped.blind.n, 0);
	struct pci_device device = { .address = "0000:01:00.0" };
	assert_true(pve_guest_has(&pve, guest_by_id(&pve, 100), &device, &taped.arena));
	world_close(world);
	arena_release(&taped.arena);
}

static void gathered_from_commands(void **state)
{
	(void)state;
	struct taped taped;
	struct pve pve = {0};
	a_node(&taped);
	taped_error(&taped, "/run/qemu-server/100.pid", EACCES);
	taped_error(&taped, "/run/qemu-server/102.pid", EACCES);
	taped_error(&taped, "/proc/net/unix", EACCES);
	taped_error(&taped, "/var/lib/dpkg/status", EACCES);
	taped_file(&taped, "/usr/bin/pveversion", "");
	taped_file(&taped, "/etc/pve/.members", "{\"nodename\": \"pve\", \"version\": 0}");
	taped_run(&taped, "pveversion", 0, "pve-manager/8.4.21/2606ac850d46da29 (running kernel: 6.8.12-4-pve)\n", "");
	taped_run(&taped, "qm list", 0, "      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID       \n"
		  "       100 emby                 running    4096               1.00 180       \n"
		  "       102 VM 102               stopped    4096               1.00 0         \n", "");
	taped_run(&taped, "pct list", 0, "VMID       Status     Lock         Name                \n"
		  "105        running                 jelly               \n"
		  "106        stopped    backup       other               \n", "");
	struct world *world = taped_world(&taped, true);
	pve_gather(world, &taped.arena, &pve, taped_blind, &taped);
	assert_string_equal(pve.version, "8.4.21");
	assert_int_equal(pve.quorate, YES);
	assert_string_equal(guest_by_id(&pve, 9)->status, "stopped");
	assert_string_equal(guest_by_id(&pve, 100)->status, "running");
	assert_string_equal(guest_by_id(&pve, 102)->status, "stopped");
	assert_string_equal(guest_by_id(&pve, 105)->status, "running");
	assert_string_equal(guest_by_id(&pve, 106)->status, "stopped");
	assert_true(taped_is_blind(&taped, EACCES, "/var/lib/dpkg/status"));
	world_close(world);
	arena_release(&taped.arena);
}

static void what_may_not_be_read_is_told(void **state)
{
	(void)state;
	struct taped taped;
	struct pve pve = {0};
	a_node(&taped);
	static const char *const secret[] = { "qemu-server/9.conf", "qemu-server/100.conf", "qemu-server/102.conf", "lxc/105.conf",
					      "lxc/106.conf" };
	for (size_t i = 0; i < COUNT(secret); i++)
		taped_error(&taped, arena_printf(&taped.arena, "/etc/pve/nodes/pve/%s", secret[i]), EACCES);
	taped_folder(&taped, "/etc/pve/nodes/pve/lxc");
	taped_error(&taped, "/etc/pve/storage.cfg", EACCES);
	taped_error(&taped, "/run/qemu-server/100.pid", EACCES);
	taped_error(&taped, "/etc/pve/ha/resources.cfg", EACCES);
	taped_run(&taped, "qm list", 255, "", "please run as root\n");
	struct world *world = taped_world(&taped, true);
	pve_gather(world, &taped.arena, &pve, taped_blind, &taped);
	assert_int_equal(pve.readable, NO);
	assert_int_equal(pve.n_guests, 5);
	assert_int_equal(pve.guests[1].known, NO);
	assert_null(pve.guests[1].name);
	assert_null(pve.guests[1].lock);
	assert_int_equal(pve.guests[1].ha, UNKNOWN);
	assert_int_equal(pve.storages_known, UNKNOWN);
	assert_int_equal(pve.mappings_known, YES);
	assert_int_equal(taped.blind.n, 5);
	assert_true(taped_is_blind(&taped, EPERM, "qm list"));
	assert_null(guest_by_id(&pve, 100)->status);
	assert_string_equal(guest_by_id(&pve, 9)->status, "stopped");
	assert_true(taped_is_blind(&taped, EACCES, "/etc/pve/qemu-server/*.conf"));
	assert_true(taped_is_blind(&taped, EACCES, "/etc/pve/lxc/*.conf"));
	assert_true(taped_is_blind(&taped, EACCES, "/etc/pve/storage.cfg"));
	assert_true(taped_is_blind(&taped, EACCES, "/etc/pve/ha/resources.cfg"));
	world_close(world);
	arena_release(&taped.arena);
}

static void without_pve(void **state)
{
	(void)state;
	struct taped taped;
	struct pve pve = {0};
	taped_open(&taped);
	taped_file(&taped, "/var/lib/dpkg/status", "Package: vim\nStatus: install ok installed\nVersion: 9\n");
	struct world *world = taped_world(&taped, true);
	pve_gather(world, &taped.arena, &pve, taped_blind, &taped);
	assert_int_equal(pve.here, NO);
	assert_int_equal(pve.guests_known, YES);
	assert_int_equal(taped.blind.n, 0);
	world_close(world);
	arena_release(&taped.arena);
	/* installed, but pmxcfs is not running: its mount point is empty */
	taped_open(&taped);
	taped_file(&taped, "/var/lib/dpkg/status", dpkg);
	taped_folder(&taped, "/etc/pve");
	taped_file(&taped, "/etc/hostname", "pve.home.lan\n");
	world = taped_world(&taped, true);
	pve = (struct pve){0};
	pve_gather(world, &taped.arena, &pve, taped_blind, &taped);
	assert_int_equal(pve.here, YES);
	assert_int_equal(pve.readable, NO);
	assert_int_equal(pve.guests_known, NO);
	assert_string_equal(pve.node, "pve");
	assert_int_equal(taped.blind.n, 1);
	world_close(world);
	arena_release(&taped.arena);
	/* a recording of something else: nothing is known, nothing is claimed */
	taped_open(&taped);
	taped_file(&taped, "/sys/x", "");
	world = taped_world(&taped, false);
	pve = (struct pve){0};
	pve_gather(world, &taped.arena, &pve, taped_blind, &taped);
	assert_int_equal(pve.here, UNKNOWN);
	assert_int_equal(pve.readable, UNKNOWN);
	assert_int_not_equal(pve.guests_known, YES);
	assert_int_not_equal(pve.storages_known, YES);
	assert_null(pve.node);
	assert_true(taped_is_blind(&taped, ENODATA, "/etc/pve"));
	world_close(world);
	arena_release(&taped.arena);
}

/* Whatever this machine is: it is read without harm, and what is claimed hangs together. */
static void this_machine(void **state)
{
	(void)state;
	struct taped told;
	struct err err = {0};
	struct pve pve = {0};
	taped_open(&told);
	struct world *world = world_open_root(NULL, false, &told.arena, &err);
	if (!world) {
		arena_release(&told.arena);
		print_message("# %s\n", err.text);
		skip();
	}
	pve_gather(world, &told.arena, &pve, taped_blind, &told);
	assert_true(pve.here != YES || pve.version);
	assert_true(pve.here != NO || pve.n_guests == 0);
	world_close(world);
	arena_release(&told.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(lines_are_judged_as_pve_does, release),
		cmocka_unit_test_teardown(what_stands_twice_is_lost_but_for_the_last, release),
		cmocka_unit_test_teardown(sections_are_told_apart, release),
		cmocka_unit_test_teardown(a_whole_vm, release),
		cmocka_unit_test_teardown(what_stands_twice, release),
		cmocka_unit_test_teardown(nothing_is_dropped_of_odd_text, release),
		cmocka_unit_test_teardown(property_strings, release),
		cmocka_unit_test_teardown(booleans, release),
		cmocka_unit_test_teardown(hostpci_values, release),
		cmocka_unit_test_teardown(devices_of_a_container, release),
		cmocka_unit_test_teardown(mappings_and_who_has_what, release),
		cmocka_unit_test_teardown(storages, release),
		cmocka_unit_test_teardown(packages, release),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(gathered_from_files),
		cmocka_unit_test(gathered_from_commands),
		cmocka_unit_test(what_may_not_be_read_is_told),
		cmocka_unit_test(without_pve),
		cmocka_unit_test(this_machine),
		cmocka_unit_test_teardown(the_tools_see_the_same, release),
		cmocka_unit_test_teardown(real_guest_files, release),
	};
	return cmocka_run_group_tests_name("pve", tests, NULL, NULL);
}
