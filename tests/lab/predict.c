/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * predict MACHINE ROOT KERNEL: the computed boot (facts/predict.h) of a machine of the project's own text form
 * whose disk is the folder ROOT, as it stands. /proc, /sys and /dev are the text's, in a boot of KERNEL without words; the rest
 * is ROOT's, whose /boot/grub/grub.cfg says which words come next. One line per device that has an outcome to tell:
 *   ADDRESS DRIVER|none|race:DRIVER,...|unknown WHY
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "facts/predict.h"
#include "read.h"

/* ---- a machine on a disk --------------------------------------------------------------------------------------- */

struct joined {
	struct world *machine, *disk;
};

static struct world *side(struct world *world, const char *path)
{
	struct joined *joined = world->state;
	static const char *const machines[] = { "/proc", "/sys", "/dev" };
	for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
		if (text_starts(path, machines[i]))
			return joined->machine;
	return joined->disk;
}

static int joined_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	return world_read(side(world, path), path, max, arena, ret);
}

static int joined_list(struct world *world, const char *path, struct arena *arena, struct words *ret)
{
	return world_list(side(world, path), path, arena, ret);
}

static int joined_link(struct world *world, const char *path, struct arena *arena, const char **ret)
{
	return world_link(side(world, path), path, arena, ret);
}

static int joined_stat(struct world *world, const char *path, struct world_stat *ret)
{
	return world_stat(side(world, path), path, ret);
}

static int joined_probe_open(struct world *world, const char *path)
{
	return world_probe_open(side(world, path), path);
}

static int joined_run(struct world *world, const struct command *command, struct arena *arena, struct outcome *ret)
{
	(void)world, (void)command, (void)arena, (void)ret;
	return ENODATA;
}

static struct world *joined_inside(
        struct world *world, const struct target *target, struct arena *arena, struct err *err)
{
	(void)world, (void)target, (void)arena;
	err_set(err, ERR_UNKNOWN, "nothing is inside");
	return NULL;
}

static int64_t joined_now(struct world *world)
{
	struct joined *joined = world->state;
	return world_now(joined->machine);
}

static void joined_close(struct world *world)
{
	struct joined *joined = world->state;
	world_close(joined->machine);
	world_close(joined->disk);
}

static const struct world_ops joined_ops = { .read = joined_read,
	.list = joined_list,
	.link = joined_link,
	.stat = joined_stat,
	.probe_open = joined_probe_open,
	.run = joined_run,
	.inside = joined_inside,
	.now = joined_now,
	.close = joined_close };

static bool open_joined(const char *machine, const char *root, const char *kernel, struct joined *joined,
        struct world *ret, struct arena *arena, struct err *err)
{
	struct tape *tape;
	const char *more = arena_printf(arena,
	        "\nfile /proc/cmdline\n\troot=/dev/vda ro\nfile /proc/sys/kernel/osrelease\n\t%s\n", kernel);
	if (!read_machine(machine, more, arena, err, &tape))
		return false;
	joined->machine = tape_world(tape, "node", arena, err);
	joined->disk = joined->machine ? world_open_root(root, false, arena, err) : NULL;
	*ret = (struct world){ .ops = &joined_ops, .label = "node", .state = joined };
	return joined->disk;
}

/* ---- what it says ----------------------------------------------------------------------------------------------- */

static void print_device(const struct predicted *device)
{
	printf("%s ", device->device->address);
	if (device->driver)
		printf("%s", *device->driver ? device->driver : "none");
	else if (!device->rivals.n)
		printf("unknown");
	for (size_t i = 0; i < device->rivals.n; i++)
		printf("%s%s", i ? "," : "race:", device->rivals.word[i]);
	printf(" %s\n", device->why ? device->why : "");
}

int main(int argc, char **argv)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct joined joined = { 0 };
	struct world world;
	struct prediction prediction;
	if (argc != 4) {
		fputs("usage: predict MACHINE ROOT KERNEL\n", stderr);
		return 2;
	}
	if (!open_joined(argv[1], argv[2], argv[3], &joined, &world, &arena, &err)) {
		fprintf(stderr, "predict: %s\n", err.text);
		return 1;
	}
	struct facts_want want = { .depth = FACTS_DEVICES | FACTS_LOADER | FACTS_BOOT };
	const struct facts *facts = facts_gather(&world, &want, &arena);
	predict_boot(facts, true, &arena, &prediction);
	if (prediction.blind)
		printf("blind %s\n", prediction.blind);
	printf("cmdline %s\n", prediction.cmdline ? prediction.cmdline : "unknown");
	for (size_t i = 0; i < prediction.n; i++)
		if (!text_starts(prediction.devices[i].device->address, "0000:00:"))
			print_device(&prediction.devices[i]);
	world_close(&world);
	return 0;
}
