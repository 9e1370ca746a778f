/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A driver changed on a machine whose writes have effects: two like cards, nouveau and snd_hda_intel on both. What the
 * kernel does with a write (Documentation/ABI/testing/sysfs-bus-pci, drivers/pci/pci-driver.c) stands in kernel_write.
 */
#include <errno.h>

#include "exec/steps.h"
#include "rehearse/machine.h"
#include "test.h"
#include "sys/tape.h"

#define CARD "0000:01:00.0"
#define SOUND "0000:01:00.1"
#define TWIN "0000:0e:00.0"

struct device {
	const char *address, *ids, *driver, *override, *natural;
};

struct machine {
	struct world world;
	struct world *tape;
	struct arena arena;
	struct device device[4];
	bool vfio;            /* vfio-pci is loaded */
	const char *known[4]; /* vfio-pci's dynamic ids */
	const char *refuses;  /* a driver whose probe fails */
	const char *hangs;    /* a path in whose write the kernel hangs */
	const char *log, *blob;
	struct words saved; /* paths that were put */
};

static struct machine *kernel_of(struct world *world)
{
	return world->state;
}

static struct device *device_at(struct machine *kernel, const char *path)
{
	for (size_t i = 0; i < COUNT(kernel->device); i++)
		if (strstr(path, kernel->device[i].address))
			return &kernel->device[i];
	return NULL;
}

static bool is_driver(const char *path, const char *name, const char *end)
{
	char whole[128];
	snprintf(whole, sizeof whole, "/sys/bus/pci/drivers/%s%s", name, end);
	return strcmp(path, whole) == 0;
}

static int kernel_link(struct world *world, const char *path, struct arena *arena, const char **ret)
{
	if (strcmp(path, "/blob") == 0)
		return ENOENT; /* no link; what is written there replaces it */
	struct device *device = device_at(kernel_of(world), path);
	if (!device || !text_ends(path, "/driver") || !text_starts(path, "/sys/bus/pci/devices/"))
		return world_link(kernel_of(world)->tape, path, arena, ret);
	*ret = arena_printf(arena, "../../../bus/pci/drivers/%s", device->driver);
	return *device->driver ? 0 : ENOENT;
}

static int kernel_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	struct machine *kernel = kernel_of(world);
	struct device *device = device_at(kernel, path);
	if (kernel->blob && strcmp(path, "/blob") == 0) {
		*ret = arena_bytes(arena, kernel->blob, strlen(kernel->blob));
		return 0;
	}
	if (!device || !text_ends(path, "/driver_override"))
		return world_read(kernel->tape, path, max, arena, ret);
	const char *text = arena_printf(arena, "%s\n", *device->override ? device->override : "(null)");
	*ret = (struct bytes){ text, strlen(text) };
	return 0;
}

static int kernel_list(struct world *world, const char *path, struct arena *arena, struct words *ret)
{
	struct machine *kernel = kernel_of(world);
	struct words words = { 0 };
	if (is_driver(path, "vfio-pci", "")) {
		for (size_t i = 0; kernel->vfio && i < COUNT(kernel->device); i++)
			if (strcmp(kernel->device[i].driver, "vfio-pci") == 0)
				*arena_push(arena, words.word, words.n) = kernel->device[i].address;
		*ret = words;
		return kernel->vfio ? 0 : ENOENT;
	}
	if (strcmp(path, "/sys/module/vfio_pci/drivers") == 0) {
		*arena_push(arena, words.word, words.n) = "pci:vfio-pci";
		*ret = words;
		return kernel->vfio ? 0 : ENOENT;
	}
	return world_list(kernel->tape, path, arena, ret);
}

static int kernel_stat(struct world *world, const char *path, struct world_stat *ret)
{
	struct machine *kernel = kernel_of(world);
	if (is_driver(path, "vfio-pci", "") || is_driver(path, "vfio-pci", "/remove_id") ||
	        strcmp(path, "/sys/module/vfio_pci") == 0) {
		*ret = (struct world_stat){ .type = NODE_DIR };
		return kernel->vfio ? 0 : ENOENT;
	}
	return world_stat(kernel->tape, path, ret);
}

static int kernel_run(struct world *world, const struct command *command, struct arena *arena, struct outcome *ret)
{
	struct machine *kernel = kernel_of(world);
	if (strcmp(command->argv[0], "modprobe") != 0)
		return world_run(kernel->tape, command, arena, ret);
	*ret = (struct outcome){ .out = { "", 0 }, .err = { "", 0 } };
	kernel->log = arena_printf(&kernel->arena, "%s%s\n", kernel->log, text_sh_line(arena, command->argv));
	bool off = strcmp(command->argv[1], "-r") == 0;
	if (strcmp(modprobe_name(arena, command->argv[off ? 2 : 1]), "vfio_pci") == 0)
		kernel->vfio = !off;
	return 0;
}

static bool knows(struct machine *kernel, const struct device *device)
{
	for (size_t i = 0; i < COUNT(kernel->known); i++)
		if (kernel->known[i] && strcmp(kernel->known[i], device->ids) == 0)
			return true;
	return false;
}

static void probe(struct machine *kernel, struct device *device)
{
	const char *driver = *device->override                       ? device->override
	                     : kernel->vfio && knows(kernel, device) ? "vfio-pci"
	                                                             : device->natural;
	bool refused = kernel->refuses && strcmp(kernel->refuses, driver) == 0;
	if (!*device->driver && !refused && (strcmp(driver, "vfio-pci") != 0 || kernel->vfio))
		device->driver = driver;
}

static int kernel_write(struct world *world, const char *path, const char *value, unsigned deadline_ms)
{
	struct machine *kernel = kernel_of(world);
	struct device *device = device_at(kernel, path), *named = device_at(kernel, value);
	const char *shown = text_trimmed(&kernel->arena, bytes_of(value));
	assert_true(deadline_ms > 0);
	kernel->log = arena_printf(&kernel->arena, "%s%s < %s\n", kernel->log, path + strlen("/sys/bus/pci/"), shown);
	if (kernel->hangs && text_ends(path, kernel->hangs))
		return ETIMEDOUT;
	if (device && text_ends(path, "/driver_override")) {
		device->override = shown;
	} else if (named && text_ends(path, "/unbind")) {
		if (!is_driver(path, named->driver, "/unbind"))
			return ENODEV;
		named->driver = NONE;
	} else if (named && strcmp(path, "/sys/bus/pci/drivers_probe") == 0) {
		probe(kernel, named);
	} else if (is_driver(path, "vfio-pci", "/remove_id")) {
		for (size_t i = 0; i < COUNT(kernel->known); i++)
			if (kernel->known[i] && strcmp(kernel->known[i], value) == 0) {
				kernel->known[i] = NULL;
				return 0;
			}
		return ENODEV;
	} else {
		return EINVAL;
	}
	return 0;
}

static int kernel_put(struct world *world, const char *path, struct bytes content, const struct world_owner *owner)
{
	(void)path, (void)owner;
	kernel_of(world)->blob = arena_strndup(&kernel_of(world)->arena, content.data, content.size);
	return 0;
}

static int kernel_sync(struct world *world, const char *path)
{
	(void)world, (void)path;
	return 0;
}

static int kernel_rename(struct world *world, const char *from, const char *to)
{
	(void)world, (void)from, (void)to;
	return 0;
}

static int64_t kernel_now(struct world *world)
{
	return world_now(kernel_of(world)->tape);
}

static const struct world_ops kernel_ops = { .read = kernel_read,
	.list = kernel_list,
	.link = kernel_link,
	.stat = kernel_stat,
	.run = kernel_run,
	.now = kernel_now };
static const struct world_changes kernel_changes = {
	.put = kernel_put, .sync = kernel_sync, .rename = kernel_rename, .attribute = kernel_write
};

struct bench {
	struct machine kernel;
	struct exec exec;
	struct err err;
	struct step step;
	struct step_run run;
};

static void bench_open(struct bench *bench, const char *address, const char *to)
{
	struct machine *kernel = &bench->kernel;
	struct tape *tape = NULL;
	memset(bench, 0, sizeof *bench);
	const char *text = machine_builtin_text(NULL, "twins");
	if (!machine_parse(bytes_of(text), "twins", machine_builtin_text, NULL, &kernel->arena, &bench->err, &tape))
		fail_msg("%s", bench->err.text);
	kernel->tape = tape_world(tape, "node", &kernel->arena, &bench->err);
	kernel->world =
	        (struct world){ .ops = &kernel_ops, .changes = &kernel_changes, .label = "node", .state = kernel };
	kernel->log = "";
	const struct device devices[] = { { CARD, "10de 2504", "nouveau", NONE, "nouveau" },
		{ SOUND, "10de 228e", "snd_hda_intel", NONE, "snd_hda_intel" },
		{ TWIN, "10de 2504", "nouveau", NONE, "nouveau" },
		{ "0000:0e:00.1", "10de 228e", "snd_hda_intel", NONE, "snd_hda_intel" } };
	memcpy(kernel->device, devices, sizeof devices);
	bench->exec = (struct exec){ .node = &kernel->world, .arena = &kernel->arena };
	bench->step = (struct step){ .kind = "bind", .on = "node", .key = address, .to = to };
	bench->run = (struct step_run){ &bench->exec, &bench->step, "/run", &bench->err };
}

static void bench_close(struct bench *bench)
{
	arena_release(&bench->kernel.arena);
}

static void good(struct bench *bench, bool done)
{
	if (!done)
		fail_msg("%s (%s)\n%s", bench->err.text, bench->err.hint, bench->kernel.log);
}

static void has(struct bench *bench, size_t device, const char *driver, const char *override)
{
	const char *state = NULL;
	good(bench, step_bind.state(&bench->run, &bench->kernel.arena, &state));
	if (strcmp(bench->step.key, bench->kernel.device[device].address) == 0)
		assert_string_equal(state, driver);
	assert_string_equal(bench->kernel.device[device].driver, driver);
	assert_string_equal(bench->kernel.device[device].override, override);
}

/* ---- there and back ------------------------------------------------------------------------ */

static void test_there_and_back(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, CARD, "vfio-pci");
	has(&bench, 0, "nouveau", NONE);
	good(&bench, step_bind.save(&bench.run, "/blob"));
	assert_string_equal(bench.kernel.blob, "override \nids absent\n");
	good(&bench, step_bind.apply(&bench.run));
	assert_string_equal(bench.kernel.log, "modprobe vfio-pci\ndevices/" CARD "/driver_override < vfio-pci\n"
	                                      "drivers/nouveau/unbind < " CARD "\ndrivers_probe < " CARD "\n");
	has(&bench, 0, "vfio-pci", "vfio-pci");
	assert_string_equal(bench.kernel.device[2].driver, "nouveau"); /* the twin */
	bench.kernel.log = "";
	good(&bench, step_bind.apply(&bench.run));
	assert_string_equal(bench.kernel.log, ""); /* twice does nothing */
	good(&bench, step_bind.undo(&bench.run, "nouveau", "/blob"));
	assert_string_equal(bench.kernel.log,
	        "devices/" CARD "/driver_override < nouveau\ndrivers/vfio-pci/unbind < " CARD "\n"
	        "drivers_probe < " CARD "\ndrivers/vfio-pci/remove_id < 10de 2504\n"
	        "devices/" CARD "/driver_override < \n");
	has(&bench, 0, "nouveau", NONE);
	good(&bench, step_bind.undo(&bench.run, "nouveau", "/blob"));
	has(&bench, 0, "nouveau", NONE);
	bench_close(&bench);
}

/* Proxmox VE has written new_id in the meantime: it is taken out, for otherwise the next probe would take the card. */
static void test_what_proxmox_leaves(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, SOUND, "vfio-pci");
	good(&bench, step_bind.save(&bench.run, "/blob"));
	good(&bench, step_bind.apply(&bench.run));
	bench.kernel.known[1] = "10de 228e";
	good(&bench, step_bind.undo(&bench.run, "snd_hda_intel", "/blob"));
	has(&bench, 1, "snd_hda_intel", NONE);
	assert_null(bench.kernel.known[1]);
	bench_close(&bench);

	bench_open(&bench, CARD, "vfio-pci"); /* but not while its twin lives from it */
	good(&bench, step_bind.save(&bench.run, "/blob"));
	good(&bench, step_bind.apply(&bench.run));
	bench.kernel.known[0] = "10de 2504";
	bench.kernel.device[2].driver = "vfio-pci";
	good(&bench, step_bind.undo(&bench.run, "nouveau", "/blob"));
	has(&bench, 0, "nouveau", NONE);
	assert_non_null(bench.kernel.known[0]);
	bench_close(&bench);

	bench_open(&bench, CARD, "vfio-pci"); /* nor where it may have been there before */
	bench.kernel.vfio = true;
	bench.kernel.known[0] = "10de 2504";
	good(&bench, step_bind.save(&bench.run, "/blob"));
	assert_string_equal(bench.kernel.blob, "override \nids unknown\n");
	good(&bench, step_bind.apply(&bench.run));
	good(&bench, step_bind.undo(&bench.run, "nouveau", "/blob"));
	has(&bench, 0, "nouveau", NONE);
	assert_non_null(bench.kernel.known[0]);
	bench_close(&bench);
}

/* Someone had an override before, and the card had no driver. */
static void test_back_to_no_driver(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, CARD, "vfio-pci");
	bench.kernel.device[0].driver = NONE;
	bench.kernel.device[0].override = "pci-stub";
	good(&bench, step_bind.save(&bench.run, "/blob"));
	good(&bench, step_bind.apply(&bench.run));
	has(&bench, 0, "vfio-pci", "vfio-pci");
	good(&bench, step_bind.undo(&bench.run, NONE, "/blob"));
	has(&bench, 0, NONE, "pci-stub");
	bench_close(&bench);
}

/* ---- what goes wrong -------------------------------------------------------------------------- */

static void test_refused_driver(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, CARD, "vfio-pci");
	bench.kernel.refuses = "vfio-pci";
	assert_false(step_bind.apply(&bench.run));
	assert_int_equal(bench.err.kind, ERR_SYSTEM);
	assert_non_null(strstr(bench.err.text, "should have vfio-pci now, but has none"));
	has(&bench, 0, "nouveau", NONE); /* it has been given back */

	bench.err = (struct err){ 0 };
	bench.kernel.refuses = NULL;
	good(&bench, step_bind.save(&bench.run, "/blob"));
	good(&bench, step_bind.apply(&bench.run));
	bench.kernel.refuses = "nouveau"; /* and on the way back it stays where it worked */
	assert_false(step_bind.undo(&bench.run, "nouveau", "/blob"));
	has(&bench, 0, "vfio-pci", "vfio-pci");
	bench_close(&bench);
}

static void test_hanging_kernel(void **state)
{
	(void)state;
	static const char *const places[] = { "/unbind", "drivers_probe", "driver_override" };
	struct bench bench;
	for (size_t i = 0; i < COUNT(places); i++) {
		bench_open(&bench, CARD, "vfio-pci");
		bench.kernel.hangs = places[i];
		assert_false(step_bind.apply(&bench.run));
		assert_int_equal(bench.err.kind, ERR_TIMEOUT);
		assert_non_null(strstr(bench.err.text, "the kernel is stuck"));
		assert_non_null(strstr(bench.err.hint, "reboot"));
		/* the write that hangs is the last one */
		const char *last = strstr(bench.kernel.log, places[i]);
		assert_non_null(last);
		assert_string_equal(strchr(last, '\n'), "\n");
		bench_close(&bench);
	}
}

static void test_in_use(void **state)
{
	(void)state;
	struct bench bench;
	bench_open(&bench, "0000:0c:00.0", "vfio-pci"); /* the display that the node boots on */
	assert_false(step_bind.apply(&bench.run));
	assert_non_null(strstr(bench.err.text, "cannot change its driver now"));
	assert_string_equal(bench.kernel.log, "");
	bench_close(&bench);
	bench_open(&bench, "0000:02:00.0", "vfio-pci"); /* no GPU at all */
	assert_false(step_bind.apply(&bench.run));
	assert_string_equal(bench.kernel.log, "");
	bench_close(&bench);
	static const char *const wrong[] = { "0000:77:00.0", "../../x", "" };
	for (size_t i = 0; i < COUNT(wrong); i++) {
		bench_open(&bench, wrong[i], "vfio-pci");
		assert_false(step_bind.apply(&bench.run));
		assert_string_equal(bench.kernel.log, "");
		bench_close(&bench);
	}
}

/* ---- modules ------------------------------------------------------------------------------------ */

static void test_module(void **state)
{
	(void)state;
	struct bench bench;
	const char *now = NULL;
	bench_open(&bench, "vfio-pci", "loaded");
	good(&bench, step_module.state(&bench.run, &bench.kernel.arena, &now));
	assert_string_equal(now, NONE);
	good(&bench, step_module.apply(&bench.run));
	good(&bench, step_module.state(&bench.run, &bench.kernel.arena, &now));
	assert_string_equal(now, "loaded");
	good(&bench, step_module.apply(&bench.run));
	assert_string_equal(bench.kernel.log, "modprobe vfio-pci\n");
	bench.kernel.device[2].driver = "vfio-pci"; /* it drives a device: that would lose it */
	good(&bench, step_module.undo(&bench.run, NONE, "/blob"));
	assert_true(bench.kernel.vfio);
	bench.step.to = NONE;
	assert_false(step_module.apply(&bench.run));
	assert_non_null(strstr(bench.err.text, TWIN));
	bench.step.to = "loaded";
	bench.kernel.device[2].driver = "nouveau";
	good(&bench, step_module.undo(&bench.run, NONE, "/blob"));
	assert_false(bench.kernel.vfio);
	good(&bench, step_module.undo(&bench.run, NONE, "/blob"));
	assert_string_equal(bench.kernel.log, "modprobe vfio-pci\nmodprobe -r vfio-pci\n");
	bench_close(&bench);
	bench_open(&bench, "../x", "loaded");
	assert_false(step_module.apply(&bench.run));
	bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_what_proxmox_leaves),
		cmocka_unit_test(test_back_to_no_driver),
		cmocka_unit_test(test_refused_driver),
		cmocka_unit_test(test_hanging_kernel),
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_module),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
