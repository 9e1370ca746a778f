/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What readers ask, the wants tables must ask too: otherwise another node, read over ssh, would be unknown where this
 * one is known. Every built-in machine is read through a recorder, and each question is held against the tables.
 */
#include "test.h"

#include "facts/facts.h"
#include "rehearse/machine.h"
#include "sys/wants.h"

/* Left out on purpose: too big to send for what they tell; and a command that mounts file systems to answer, which is
 * asked of recordings only. */
static const char *const left_out[] = { "/boot/initrd.img-*", "*/EFI/*/initrd.img*", "/lib/modules/*/modules.alias",
	"proxmox-boot-tool status" };

static bool deliberate(const char *path)
{
	for (size_t i = 0; i < COUNT(left_out); i++)
		if (text_matches(left_out[i], path))
			return true;
	return false;
}

/* ---- a world that notes each question that its table does not have -------------------------------------------- */

struct spy {
	struct world world; /* first: what readers get */
	struct world *inner;
	struct arena *arena;
	const struct want *wants;
	size_t *missing;
};

static struct world *spied(struct world *inner, const struct want *wants, size_t *missing, struct arena *arena);

static struct world *inner_of(struct world *world)
{
	return ((struct spy *)world)->inner;
}

static void note(struct world *world, const char *path)
{
	struct spy *spy = (struct spy *)world;
	if (deliberate(path) || wants_cover(spy->wants, path))
		return;
	print_message("# %s: %s is asked and not wanted\n", world->label, path);
	++*spy->missing;
}

static int spy_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	note(world, path);
	return world_read(inner_of(world), path, max, arena, ret);
}

static int spy_list(struct world *world, const char *path, struct arena *arena, struct words *ret)
{
	note(world, path);
	return world_list(inner_of(world), path, arena, ret);
}

static int spy_link(struct world *world, const char *path, struct arena *arena, const char **ret)
{
	note(world, path);
	return world_link(inner_of(world), path, arena, ret);
}

static int spy_stat(struct world *world, const char *path, struct world_stat *ret)
{
	note(world, path);
	return world_stat(inner_of(world), path, ret);
}

static int spy_probe_open(struct world *world, const char *path)
{
	note(world, path);
	return world_probe_open(inner_of(world), path);
}

static int spy_run(struct world *world, const struct command *command, struct arena *arena, struct outcome *ret)
{
	struct spy *spy = (struct spy *)world;
	const char *line = text_sh_line(arena, command->argv);
	if (!deliberate(line) && !wants_cover_command(spy->wants, command->argv)) {
		print_message("# %s: command %s is run and not wanted\n", world->label, line);
		++*spy->missing;
	}
	return world_run(spy->inner, command, arena, ret);
}

static struct world *spy_inside(struct world *world, const struct target *target, struct arena *arena, struct err *err)
{
	struct world *inside = world_inside(inner_of(world), target, arena, err);
	return inside ? spied(inside, wants_inside, ((struct spy *)world)->missing, arena) : NULL;
}

static int64_t spy_now(struct world *world)
{
	return world_now(inner_of(world));
}

static void spy_close(struct world *world)
{
	world_close(inner_of(world));
}

static struct world *spied(struct world *inner, const struct want *wants, size_t *missing, struct arena *arena)
{
	static const struct world_ops ops = { .read = spy_read, .list = spy_list, .link = spy_link, .stat = spy_stat, .probe_open = spy_probe_open,
		.run = spy_run, .inside = spy_inside, .now = spy_now, .close = spy_close };
	struct spy *spy = arena_new(arena, struct spy);
	*spy = (struct spy){ .world = *inner, .inner = inner, .arena = arena, .wants = wants, .missing = missing };
	spy->world.ops = &ops;
	return &spy->world;
}

static void test_the_tables_cover_what_readers_ask(void **state)
{
	(void)state;
	size_t missing = 0, machines = 0;
	for (const struct machine_builtin *machine = machine_builtins; machine->name; machine++, machines++) {
		struct arena arena ARENA_SCOPED = {0};
		struct err err = {0};
		struct tape *tape;
		if (!machine_parse(bytes_of(machine->text), machine->name, machine_builtin_text, NULL, &arena, &err, &tape))
			fail_msg("%s", err.text);
		struct world *world = spied(tape_world(tape, "node", &arena, &err), wants_node, &missing, &arena);
		facts_gather(world, &(struct facts_want){ .depth = FACTS_ALL }, &arena);
		world_close(world);
	}
	assert_true(machines >= 8);
	assert_int_equal(missing, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_the_tables_cover_what_readers_ask) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
