/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <errno.h>

#include "sys/redact.h"
#include "sys/tape.h"

#define DEVICE "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0"

static struct tape_target *node_of(struct tape *tape, struct arena *arena)
{
	return tape_target(tape, arena, "node");
}

static void put_file(struct tape_target *target, struct arena *arena, const char *path, const char *content)
{
	struct tape_entry *entry = tape_entry(target, arena, path);
	entry->stat.type = NODE_FILE;
	entry->has_data = true;
	entry->data = arena_bytes(arena, content, strlen(content));
}

static void put_link(struct tape_target *target, struct arena *arena, const char *path, const char *link)
{
	struct tape_entry *entry = tape_entry(target, arena, path);
	entry->stat.type = NODE_LINK;
	entry->link = arena_strdup(arena, link);
}

static void put_directory(struct tape_target *target, struct arena *arena, const char *path, bool listed)
{
	struct tape_entry *entry = tape_entry(target, arena, path);
	entry->stat.type = NODE_DIR;
	entry->listed = listed;
}

static void put_error(struct tape_target *target, struct arena *arena, const char *path, int error)
{
	tape_entry(target, arena, path)->error = error;
}

static struct world *sample(struct arena *arena, bool partial)
{
	struct tape *tape = tape_new(arena, 1700000000);
	struct tape_target *node = node_of(tape, arena);
	put_file(node, arena, DEVICE "/vendor", "0x10de\n");
	put_link(node, arena, DEVICE "/driver", "../../../../bus/pci/drivers/nouveau");
	put_link(node, arena, "/sys/bus/pci/devices/0000:01:00.0",
	        "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0");
	put_directory(node, arena, "/sys/bus/pci/devices", true);
	put_directory(node, arena, "/sys/bus/pci/drivers/nouveau", true);
	put_file(node, arena, "/sys/bus/pci/drivers/nouveau/module-name", "nouveau");
	put_link(node, arena, "/loop/a", "b");
	put_link(node, arena, "/loop/b", "/loop/a");
	put_link(node, arena, "/up", "../../../../etc/hostname");
	put_file(node, arena, "/etc/hostname", "pve\n");
	put_link(node, arena, "/dangling", "/etc/none");
	put_directory(node, arena, "/etc", true);
	put_error(node, arena, "/etc/shadow", EACCES);
	put_error(node, arena, "/etc/pve", ENOENT);
	put_file(node, arena, "/etc-a", "dash sorts before slash");
	put_directory(node, arena, "/proc/driver", false);
	put_directory(node, arena, "/list", true);
	put_file(node, arena, "/list/a/deep/er", "x");
	put_file(node, arena, "/list/a-b", "x");
	put_file(node, arena, "/list/a.b", "x");
	put_error(node, arena, "/list/gone", ENOENT);
	tape_entry(node, arena, "/list/only-named")->named = true;
	tape_entry(node, arena, "/list/shut")->named = true;
	put_error(node, arena, "/list/shut", EACCES);
	put_error(node, arena, "/list/perhaps", EACCES);
	/* asked through a link, as a script with path patterns does */
	put_link(node, arena, "/class/card0", "../devices/x/card0");
	put_file(node, arena, "/class/card0/device/vendor", "0x8086");
	put_link(node, arena, "/class/card0/device/group", "../../g");
	put_file(node, arena, "/devices/g/type", "DMA");
	struct tape_entry *device = tape_entry(node, arena, "/dev/dri/renderD128");
	device->stat = (struct world_stat){ .type = NODE_CHAR, .mode = 0660, .gid = 104, .major = 226, .minor = 128 };
	device->open_error = EACCES;
	node->partial = partial;
	struct err err = { 0 };
	struct world *world = tape_world(tape, "node", arena, &err);
	assert_non_null(world);
	return world;
}

enum question { READ, LIST, LINK, STAT, OPEN };

static const struct ask {
	enum question question;
	const char *path;
	int error, partial; /* errno, and that in a partial tree */
	const char *answer; /* bytes, names with blanks, link, or NULL */
} asks[] = {
	{ READ, DEVICE "/vendor", 0, 0, "0x10de\n" },
	{ READ, "/sys/bus/pci/devices/0000:01:00.0/vendor", 0, 0, "0x10de\n" },
	{ READ, "//sys/bus/./pci//devices/0000:01:00.0/vendor", 0, 0, "0x10de\n" },
	{ READ, "/sys/bus/pci/devices/0000:01:00.0/../0000:01:00.0/vendor", 0, 0, "0x10de\n" },
	{ READ, "/sys/bus/pci/devices/0000:01:00.0/driver/module-name", 0, 0, "nouveau" },
	{ READ, "/sys/bus/pci/devices/0000:02:00.0/vendor", ENOENT, ENODATA, NULL },
	{ READ, "/sys/bus/pci/devices/0000:01:00.0/device", ENODATA, ENODATA, NULL },
	{ READ, "/sys/bus/pci/devices/0000:01:00.0/driver/new_id", ENOENT, ENODATA, NULL },
	{ READ, "/sys/bus/pci/devices", EISDIR, EISDIR, NULL },
	{ READ, "/loop/a", ELOOP, ELOOP, NULL },
	{ READ, "/loop/a/b", ELOOP, ELOOP, NULL },
	{ READ, "/up", 0, 0, "pve\n" },
	{ READ, "/dangling", ENOENT, ENODATA, NULL },
	{ READ, "/etc/shadow", EACCES, EACCES, NULL },
	{ READ, "/etc/pve/storage.cfg", ENOENT, ENODATA, NULL },
	{ READ, "/etc/hostname/below", ENOENT, ENODATA, NULL },
	{ READ, "/proc/driver/nvidia/version", ENODATA, ENODATA, NULL },
	{ READ, "/unasked", ENODATA, ENODATA, NULL },
	{ READ, "/dev/dri/renderD128", EINVAL, EINVAL, NULL },
	{ READ, "/class/card0/device/vendor", 0, 0, "0x8086" },
	{ READ, "/class/card0/device/group/type", ENODATA, ENODATA, NULL },
	{ LIST, "/list", 0, 0, "a a-b a.b only-named shut" },
	{ LIST, "/sys/bus/pci/devices", 0, 0, "0000:01:00.0" },
	{ LIST, "/sys/bus/pci/devices/0000:01:00.0/driver", 0, 0, "module-name" },
	{ LIST, "/sys/bus", ENODATA, ENODATA, NULL },
	{ LIST, "/etc/hostname", ENOTDIR, ENOTDIR, NULL },
	{ LIST, "/etc", 0, 0, "hostname" },
	{ LIST, "/etc/pve", ENOENT, ENOENT, NULL },
	{ LINK, "/sys/bus/pci/devices/0000:01:00.0/driver", 0, 0, "../../../../bus/pci/drivers/nouveau" },
	{ LINK, "/class/card0/device/group", 0, 0, "../../g" },
	{ LINK, "/class/card0/device", ENODATA, ENODATA, NULL },
	{ LINK, "/loop/a", 0, 0, "b" },
	{ LINK, "/etc/hostname", EINVAL, EINVAL, NULL },
	{ LINK, "/etc/none", ENOENT, ENODATA, NULL },
	{ LINK, "/list/only-named", ENODATA, ENODATA, NULL },
	{ STAT, "/list/only-named", 0, 0, NULL },
	{ STAT, "/sys/bus/pci/devices/0000:01:00.0", 0, 0, NULL },
	{ STAT, "/sys/bus/pci/devices/0000:09:00.0", ENOENT, ENODATA, NULL },
	{ STAT, "/etc/shadow", EACCES, EACCES, NULL },
	{ STAT, "/", 0, 0, NULL },
	{ OPEN, "/dev/dri/renderD128", EACCES, EACCES, NULL },
	{ OPEN, "/dev/dri/card0", ENODATA, ENODATA, NULL },
	{ OPEN, "/etc/hostname", EINVAL, EINVAL, NULL },
};

static const char *joined(struct arena *arena, struct words names)
{
	const char *line = "";
	for (size_t i = 0; i < names.n; i++)
		line = arena_printf(arena, "%s%s%s", line, i ? " " : "", names.word[i]);
	return line;
}

static int put_question(struct world *world, const struct ask *ask, struct arena *arena, const char **ret)
{
	struct bytes bytes = { 0 };
	struct words names = { 0 };
	struct world_stat stat;
	int error = 0;
	*ret = NULL;
	switch (ask->question) {
	case READ:
		error = world_read(world, ask->path, 0, arena, &bytes);
		*ret = bytes.data;
		break;
	case LIST:
		error = world_list(world, ask->path, arena, &names);
		*ret = error ? NULL : joined(arena, names);
		break;
	case LINK:
		error = world_link(world, ask->path, arena, ret);
		break;
	case STAT:
		error = world_stat(world, ask->path, &stat);
		break;
	case OPEN:
		error = world_probe_open(world, ask->path);
		break;
	}
	return error;
}

static void answers(bool partial)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct world *world = sample(&arena, partial);
	for (size_t i = 0; i < COUNT(asks); i++) {
		const char *answer;
		int error = put_question(world, &asks[i], &arena, &answer),
		    wish = partial ? asks[i].partial : asks[i].error;
		if (error != wish)
			fail_msg("%d %s: %s, not %s", asks[i].question, asks[i].path, strerror(error), strerror(wish));
		if (asks[i].answer) {
			assert_non_null(answer);
			assert_string_equal(answer, asks[i].answer);
		}
	}
}

static void whole_tape_answers(void **state)
{
	(void)state;
	answers(false);
}

static void partial_tree_knows_no_absence(void **state)
{
	(void)state;
	answers(true);
}

static void recorded_link_is_seen_from_where_it_lies(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct tape *tape = tape_new(&arena, 0);
	struct tape_target *node = node_of(tape, &arena);
	put_link(node, &arena, "/class/card0", "../devices/x/card0");
	put_link(node, &arena, "/class/card0/device", "../gpu");
	put_file(node, &arena, "/devices/x/gpu/vendor", "0x8086");
	struct world *world = tape_world(tape, "node", &arena, NULL);
	struct bytes bytes = { 0 };
	assert_int_equal(world_read(world, "/class/card0/device/vendor", 0, &arena, &bytes), 0);
	assert_string_equal(bytes.data, "0x8086");
	put_link(node, &arena, "/class/card0/twin", "twins/one");
	put_file(node, &arena, "/devices/x/card0/twins/one/vendor", "0x1002");
	assert_int_equal(world_read(world, "/class/card0/twin/vendor", 0, &arena, &bytes), 0);
	assert_string_equal(bytes.data, "0x1002");
	assert_int_equal(world_read(world, "/class/card0/device/vendor", 3, &arena, &bytes), EFBIG);
	assert_int_equal(world_now(world), 0);
}

static void long_chains_of_links_end(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct tape *tape = tape_new(&arena, 0);
	struct tape_target *node = node_of(tape, &arena);
	for (int i = 0; i < 60; i++)
		put_link(node, &arena, arena_printf(&arena, "/l%d", i), arena_printf(&arena, "l%d", i + 1));
	put_file(node, &arena, "/l60", "end");
	/* doubles with each step: 2^40 characters if nobody stopped it */
	for (int i = 0; i < 40; i++)
		put_link(node, &arena, arena_printf(&arena, "/d%d", i), arena_printf(&arena, "/d%d/d%d", i + 1, i + 1));
	struct world *world = tape_world(tape, "node", &arena, NULL);
	struct bytes bytes = { 0 };
	assert_int_equal(world_read(world, "/l30", 0, &arena, &bytes), 0);
	assert_int_equal(world_read(world, "/l19", 0, &arena, &bytes), ELOOP);
	int error = world_read(world, "/d0", 0, &arena, &bytes);
	assert_true(error == ELOOP || error == ENAMETOOLONG || error == ENODATA);
	char *path = arena_alloc(&arena, 9000);
	memset(path, 'a', 8999);
	path[0] = '/';
	assert_int_equal(world_read(world, path, 0, &arena, &bytes), ENAMETOOLONG);
	assert_int_equal(world_read(world, "", 0, &arena, &bytes), ENOENT);
}

static void runs_are_found_by_argv_and_input(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct tape *tape = tape_new(&arena, 0);
	struct tape_target *node = node_of(tape, &arena);
	const char *const list[] = { "qm", "list", NULL }, *const longer[] = { "qm", "list", "--full", NULL };
	struct command plain = { .argv = list }, other = { .argv = longer };
	struct command fed = { .argv = list, .input = bytes_of("x") };
	tape_run(node, &arena, &plain)->outcome = (struct outcome){ .status = 2, .out = bytes_of("VMID\n") };
	tape_run(node, &arena, &fed)->error = ENOENT;
	assert_int_equal(node->n_runs, 2);
	tape_run(node, &arena, &plain);
	assert_int_equal(node->n_runs, 2);
	struct world *world = tape_world(tape, "node", &arena, NULL);
	struct outcome outcome = { 0 };
	assert_int_equal(world_run(world, &plain, &arena, &outcome), 0);
	assert_int_equal(outcome.status, 2);
	assert_string_equal(outcome.out.data, "VMID\n");
	assert_int_equal(world_run(world, &fed, &arena, &outcome), ENOENT);
	assert_int_equal(world_run(world, &other, &arena, &outcome), ENODATA);
	struct err err = { 0 };
	assert_null(world_inside(world, &(struct target){ .label = "vm/100" }, &arena, &err));
	assert_int_equal(err.kind, ERR_UNKNOWN);
	tape_target(tape, &arena, "vm/100");
	struct world *inside = world_inside(world, &(struct target){ .label = "vm/100" }, &arena, &err);
	assert_non_null(inside);
	assert_string_equal(inside->label, "vm/100");
	world_close(inside);
	world_close(world);
}

static void many_entries_are_found(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct tape *tape = tape_new(&arena, 0);
	struct tape_target *node = node_of(tape, &arena);
	for (int i = 0; i < 100000; i++) {
		char path[64];
		snprintf(path, sizeof path, "/sys/d%d/f%d", (i * 7919) % 100000 / 100, (i * 7919) % 100000);
		tape_entry(node, &arena, path)->stat.type = NODE_FILE;
	}
	put_directory(node, &arena, "/sys", true);
	struct world *world = tape_world(tape, "node", &arena, NULL);
	assert_int_equal(node->n, 101002);
	struct words names = { 0 };
	assert_int_equal(world_list(world, "/sys", &arena, &names), 0);
	assert_int_equal(names.n, 1000);
	struct world_stat stat;
	for (int i = 0; i < 100000; i++) {
		char path[64];
		snprintf(path, sizeof path, "/sys/d%d/f%d", i / 100, i);
		if (world_stat(world, path, &stat))
			fail_msg("%s is lost", path);
	}
}

static bool shorten(void *data, const char *path, struct bytes raw, struct arena *arena, struct bytes *ret)
{
	(void)data;
	if (!text_ends(path, "/vendor"))
		return false;
	*ret = arena_bytes(arena, raw.data, 4);
	return true;
}

static void recorder_keeps_what_was_asked(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct world *inner = sample(&arena, false);
	struct tape *tape = tape_new(&arena, 5);
	struct world *recorder = tape_recorder(inner, tape, redact_new(&arena), NULL, NULL, &arena);
	const char *live[COUNT(asks)], *again;
	int error[COUNT(asks)];
	for (size_t i = 0; i < COUNT(asks); i++)
		error[i] = put_question(recorder, &asks[i], &arena, &live[i]);
	struct world *replay = tape_world(tape, "node", &arena, NULL);
	for (size_t i = 0; i < COUNT(asks); i++) {
		int now = put_question(replay, &asks[i], &arena, &again);
		if (now != error[i])
			fail_msg(
			        "%d %s: %s, not %s", asks[i].question, asks[i].path, strerror(now), strerror(error[i]));
		assert_int_equal(!again, !live[i]);
		if (again)
			assert_string_equal(again, live[i]);
	}
	/* each thing once, where it lies */
	assert_non_null(tape_find(node_of(tape, &arena), DEVICE "/vendor"));
	assert_null(tape_find(node_of(tape, &arena), "/sys/bus/pci/devices/0000:01:00.0/vendor"));
	struct world_stat stat;
	assert_int_equal(world_stat(replay, "/dev/dri/renderD128", &stat), 0);
	assert_int_equal(stat.major, 226);
	assert_int_equal(stat.gid, 104);
	assert_int_equal(world_stat(replay, "/never/asked", &stat), ENODATA);
}

static void recorder_reduces(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct tape *tape = tape_new(&arena, 5);
	struct world *recorder = tape_recorder(sample(&arena, false), tape, redact_new(&arena), shorten, NULL, &arena);
	struct bytes bytes = { 0 };
	assert_int_equal(world_read(recorder, DEVICE "/vendor", 0, &arena, &bytes), 0);
	assert_string_equal(bytes.data, "0x10de\n");
	struct world *replay = tape_world(tape, "node", &arena, NULL);
	assert_int_equal(world_read(replay, DEVICE "/vendor", 0, &arena, &bytes), 0);
	assert_string_equal(bytes.data, "0x10");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_tape_answers),
		cmocka_unit_test(partial_tree_knows_no_absence),
		cmocka_unit_test(recorded_link_is_seen_from_where_it_lies),
		cmocka_unit_test(long_chains_of_links_end),
		cmocka_unit_test(runs_are_found_by_argv_and_input),
		cmocka_unit_test(many_entries_are_found),
		cmocka_unit_test(recorder_keeps_what_was_asked),
		cmocka_unit_test(recorder_reduces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
