/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What lspci says of a captured tree, we say too: address, ids, class, subsystem, IOMMU group, driver and names, read
 * from the unpacked folder and from the tar itself. lspci -v needs `config` and `resource`; a tree without them is
 * asked without -v, and its groups are read from the links by hand.
 */
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "facts/pci.h"
#include "sys/redact.h"
#include "sys/tape.h"

struct listed {
	char address[24], class_text[128], name[512], driver[64], group[64];
	unsigned vendor, device, class_code, subsystem_vendor, subsystem_device;
	bool subsystem;
};

static char folder[] = "/tmp/gpuferry-lspci-XXXXXX";

static char *shell(struct arena *arena, const char *command)
{
	FILE *pipe = popen(command, "r");
	char *text = arena_strdup(arena, "");
	size_t used = 0, room = 1 << 20, got;
	if (!pipe)
		fail_msg("%s", command);
	text = arena_alloc(arena, room);
	while (used + 1 < room && (got = fread(text + used, 1, room - used - 1, pipe)))
		used += got;
	pclose(pipe);
	return text;
}

/* The last "[hhhh:hhhh]" of a line: names have brackets of their own. */
static char *last_ids(char *line, unsigned *left, unsigned *right)
{
	char *found = NULL;
	for (char *at = line; (at = strchr(at, '[')); at++) {
		unsigned l, r;
		int size = 0;
		if (sscanf(at, "[%4x:%4x]%n", &l, &r, &size) == 2 && size == 11) {
			found = at;
			*left = l;
			*right = r;
		}
	}
	return found;
}

/* "0000:01:00.0 VGA compatible controller [0300]: NVIDIA Corporation AD106 [...] [10de:2803] (rev a1)" */
static bool parse_head(char *line, struct listed *ret)
{
	char *space = strchr(line, ' '), *colon = strstr(line, "]: ");
	if (!space || !colon || line[0] == '\t')
		return false;
	snprintf(ret->address, sizeof ret->address, "%.*s", (int)(space - line), line);
	snprintf(ret->class_text, sizeof ret->class_text, "%.*s", (int)(colon + 1 - space - 1), space + 1);
	assert_int_equal(sscanf(colon - 4, "%4x", &ret->class_code), 1);
	char *ids = last_ids(colon + 3, &ret->vendor, &ret->device);
	assert_non_null(ids);
	snprintf(ret->name, sizeof ret->name, "%.*s", (int)(ids - 1 - (colon + 3)), colon + 3);
	return true;
}

static struct listed *parse_lspci(char *text, struct arena *arena, size_t *ret_n)
{
	struct listed *all = NULL;
	size_t n = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		struct listed one = { 0 };
		char *group;
		if (parse_head(line, &one))
			*arena_push(arena, all, n) = one;
		else if (n && text_starts(line, "\tSubsystem: "))
			all[n - 1].subsystem =
			        last_ids(line, &all[n - 1].subsystem_vendor, &all[n - 1].subsystem_device) != NULL;
		else if (n && (group = strstr(line, "IOMMU group ")) && text_starts(line, "\tFlags: "))
			snprintf(
			        all[n - 1].group, sizeof all->group, "%.*s", (int)strcspn(group + 12, ","), group + 12);
		else if (n && text_starts(line, "\tKernel driver in use: "))
			snprintf(
			        all[n - 1].driver, sizeof all->driver, "%s", line + strlen("\tKernel driver in use: "));
	}
	*ret_n = n;
	return all;
}

/* As the link says, for the trees of which lspci shows no groups. */
static void read_group_link(const char *root, struct listed *listed)
{
	char path[512], link[256];
	snprintf(path, sizeof path, "%s/sys/bus/pci/devices/%s/iommu_group", root, listed->address);
	ssize_t size = readlink(path, link, sizeof link - 1);
	if (size < 0)
		return;
	link[size] = '\0';
	snprintf(listed->group, sizeof listed->group, "%s", strrchr(link, '/') + 1);
}

static void compare_names(const struct pci_device *ours, const struct listed *theirs, struct arena *arena)
{
	const char *name = pci_device_name(ours, arena), *class = pci_class_name(ours->class_code, arena);
	const char *number = arena_printf(arena, "[%04x]", theirs->class_code);
	if (class)
		assert_string_equal(text_ends(class, number) ? class : arena_printf(arena, "%s %s", class, number),
		        theirs->class_text);
	else
		assert_true(text_starts(theirs->class_text, "Class "));
	if (name)
		assert_string_equal(name, theirs->name);
	else
		assert_true(text_ends(theirs->name, "Device"));
}

static void compare(const struct pci_device *ours, const struct listed *theirs, struct arena *arena)
{
	assert_string_equal(ours->address, theirs->address);
	assert_int_equal(ours->vendor, theirs->vendor);
	assert_int_equal(ours->device, theirs->device);
	assert_int_equal(ours->class_code >> 8, theirs->class_code);
	assert_int_equal(ours->bridge, theirs->class_code >> 8 == 6 ? YES : NO);
	if (theirs->subsystem) {
		assert_int_equal(ours->subsystem_vendor, theirs->subsystem_vendor);
		assert_int_equal(ours->subsystem_device, theirs->subsystem_device);
	} else {
		/* lspci leaves out what stands for none */
		assert_true(ours->subsystem_vendor <= 0 || ours->subsystem_vendor == 0xffff);
	}
	if (*theirs->group)
		assert_string_equal(ours->iommu_group, theirs->group);
	else
		assert_true(!ours->iommu_group || !*ours->iommu_group);
	if (*theirs->driver)
		assert_string_equal(ours->driver, theirs->driver);
	else
		assert_true(!ours->driver || !*ours->driver);
	compare_names(ours, theirs, arena);
}

static void ignore_blind(void *data, int error, const char *what)
{
	(void)data;
	(void)error;
	(void)what;
}

static void compare_world(struct world *world, const struct listed *listed, size_t n, struct arena *arena)
{
	struct pci pci;
	pci_gather(world, arena, &pci, ignore_blind, NULL);
	assert_int_equal(pci.known, YES);
	assert_int_equal(pci.n, n);
	for (size_t i = 0; i < n; i++)
		compare(&pci.devices[i], &listed[i], arena);
}

/* The tree has one folder on top, named as the archive. Returns the number of devices. */
static size_t compare_tree(const char *archive, const char *name, struct arena *arena)
{
	struct err err = { 0 };
	struct tape *tape = NULL;
	size_t n;
	const char *root = arena_printf(arena, "%s/%s", folder, name), *quoted = text_sh_quoted(arena, root);
	const char *tar = arena_printf(arena, "tar -xzf %s -C %s", text_sh_quoted(arena, archive), folder);
	assert_int_equal(system(tar), 0);
	bool whole = access(arena_printf(arena, "%s/sys/bus/pci/devices", root), R_OK) == 0 &&
	             !*shell(arena, arena_printf(arena,
	                                    "cd %s/sys/bus/pci/devices && for d in *; do "
	                                    "[ -e $d/config ] && [ -e $d/resource ] || echo $d; done",
	                                    quoted));
	char *text = shell(
	        arena, arena_printf(arena,
	                       "lspci -Dnn%s -A linux-sysfs -O hwdb.disable=1 -O sysfs.path=%s/sys/bus/pci 2>/dev/null",
	                       whole ? "vk" : "k", quoted));
	struct listed *listed = parse_lspci(text, arena, &n);
	for (size_t i = 0; !whole && i < n; i++)
		read_group_link(root, &listed[i]);
	struct world *world = world_open_root(root, true, arena, &err);
	if (!world)
		fail_msg("%s: %s", root, err.text);
	compare_world(world, listed, n, arena);
	world_close(world);
	if (!tape_load(archive, arena, &err, &tape))
		fail_msg("%s: %s", archive, err.text);
	world = tape_world(tape, tape->targets[0]->label, arena, &err);
	if (!world)
		fail_msg("%s: %s", archive, err.text);
	compare_world(world, listed, n, arena);
	world_close(world);
	return n;
}

static void test_trees(void **state)
{
	static const char *const parts[] = { "iommu/tree", "sysfs-real" };
	struct arena arena ARENA_SCOPED = { 0 };
	const char *data = test_data("GPUFERRY_DATA");
	size_t trees = 0, devices = 0;
	if (!data || system("lspci --version >/dev/null 2>&1") != 0) {
		print_message("%s\n", data ? "no lspci on this machine" : "no captures beside the checkout");
		skip();
	}
	for (size_t i = 0; i < COUNT(parts); i++) {
		const char *path = arena_printf(&arena, "%s/%s", data, parts[i]);
		char *names = shell(&arena, arena_printf(&arena, "ls %s", text_sh_quoted(&arena, path)));
		struct words all = text_split(&arena, names, "\n");
		for (size_t j = 0; j < all.n; j++) {
			const char *name = all.word[j];
			if (!text_ends(name, ".tar.gz"))
				continue;
			struct arena own ARENA_SCOPED = { 0 };
			size_t n = compare_tree(arena_printf(&own, "%s/%s", path, name),
			        arena_strndup(&own, name, strlen(name) - strlen(".tar.gz")), &own);
			assert_true(n > 0);
			devices += n;
			trees++;
		}
	}
	print_message("%zu devices in %zu trees as lspci says\n", devices, trees);
	assert_true(trees > 0);
	(void)state;
}

/* This machine, where it has a PCI bus: uevent, which the captures lack, against lspci's single attributes. */
static void test_here(void **state)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	size_t n;
	if (system("lspci -Dnn >/dev/null 2>&1") != 0) {
		print_message("no lspci, or no PCI bus\n");
		skip();
	}
	struct listed *listed = parse_lspci(shell(&arena, "lspci -Dnnvk -O hwdb.disable=1 2>/dev/null"), &arena, &n);
	struct world *world = world_open_root(NULL, false, &arena, &err);
	assert_non_null(world);
	compare_world(world, listed, n, &arena);
	/* and the same from a recording of it */
	struct tape *tape = tape_new(&arena, 0);
	struct world *recorder = tape_recorder(world, tape, redact_new(&arena), NULL, NULL, &arena);
	compare_world(recorder, listed, n, &arena);
	world_close(recorder);
	world = tape_world(tape, tape->targets[0]->label, &arena, &err);
	assert_non_null(world);
	compare_world(world, listed, n, &arena);
	world_close(world);
	print_message("%zu devices of this machine\n", n);
	(void)state;
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[64];
	(void)state;
	pci_names_release();
	snprintf(command, sizeof command, "rm -rf -- %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_trees), cmocka_unit_test(test_here) };
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
