/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which driver has a PCI device now, and which modules are loaded.
 *
 * A driver is changed by driver_override, never by new_id: an override names one device, an id names its twins as well.
 * The order is override, unbind, drivers_probe (Documentation/ABI/testing/sysfs-bus-pci). A kernel that hangs in one of
 * these writes cannot be helped: ERR_TIMEOUT, and nothing more is written.
 *
 * Proxmox VE writes "VENDOR DEVICE" to vfio-pci/new_id at a guest's start and leaves it (pve-common SysFSTools.pm), so
 * on the way back that is taken out, if it was surely not there before: the file tells nobody what is in it, but where
 * vfio-pci was not loaded there was nothing.
 */
#include <errno.h>
#include <string.h>

#include "exec/command.h"
#include "exec/steps.h"

#define DEVICES "/sys/bus/pci/devices"
#define DRIVERS "/sys/bus/pci/drivers"

/* nouveau and amdgpu take seconds to start a card; nvidia waits for its users in unbind, which nobody can end. */
enum { WRITE_MS = 60 * 1000, MODPROBE_MS = 120 * 1000 };

/* 0, or errno; a device that is there but has no driver is NONE. */
static int driver_of(struct world *node, const char *address, struct arena *arena, const char **ret)
{
	int error = world_link_name(node, arena, ret, DEVICES "/%s/driver", address);
	if (error != ENOENT)
		return error;
	if (world_exists(node, arena_printf(arena, DEVICES "/%s", address)) != YES)
		return ENODEV;
	*ret = NONE;
	return 0;
}

static bool bind_state(struct step_run *run, struct arena *arena, const char **ret)
{
	unsigned domain, bus, slot, function;
	if (!pci_parse_address(run->step->key, &domain, &bus, &slot, &function))
		return err_set(run->err, ERR_INPUT, "%s is no PCI address", run->step->key);
	int error = driver_of(run->exec->node, run->step->key, arena, ret);
	return !error || err_errno(run->err, error, "which driver has %s", run->step->key);
}

/* ---- what was there before ----------------------------------------------------------------- */

struct before {               /* the blob's lines */
	const char *override; /* NONE: none */
	bool ids_absent;      /* vfio-pci surely knew nothing of this device's ids */
};

static const char *override_of(struct world *node, const char *address, struct arena *arena)
{
	const char *override = NULL;
	int error = world_attribute(node, arena, &override, DEVICES "/%s/driver_override", address);
	return error ? NULL : strcmp(override, "(null)") == 0 ? NONE : override;
}

static bool bind_save(struct step_run *run, const char *blob)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	static const struct world_owner owner = { 0600, 0, 0 };
	struct world *node = run->exec->node;
	const char *override = override_of(node, run->step->key, &scratch);
	bool absent = world_exists(node, DRIVERS "/vfio-pci") == NO;
	if (!override)
		return err_set(run->err, ERR_SYSTEM, "driver_override of %s cannot be read", run->step->key);
	const char *text = arena_printf(&scratch, "override %s\nids %s\n", override, absent ? "absent" : "unknown");
	int error = world_write(node, blob, (struct bytes){ text, strlen(text) }, &owner);
	return !error || err_errno(run->err, error, "%s", blob);
}

static bool load_before(struct step_run *run, const char *blob, struct arena *arena, struct before *ret)
{
	struct bytes text, line;
	int error = world_read(run->exec->node, blob, 0, arena, &text);
	if (error)
		return err_errno(run->err, error, "%s", blob);
	*ret = (struct before){ .override = NONE };
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		const char *plain = text_trimmed(arena, line);
		if (text_starts(plain, "override "))
			ret->override = plain + strlen("override ");
		ret->ids_absent = ret->ids_absent || strcmp(plain, "ids absent") == 0;
	}
	return true;
}

/* ---- may it be taken now? -------------------------------------------------------------------- */

static const struct gpu *gpu_of_slot(const struct facts *facts, const char *address)
{
	const struct pci_device *device = facts_device(facts, address);
	for (size_t i = 0; device && i < facts->n_gpus; i++)
		if (pci_same_slot(facts->gpus[i].pci, device))
			return facts->gpus + i;
	return NULL;
}

/* Asked again right before the write: an answer of minutes ago is none. A device without driver has no users. */
static bool may_unbind(struct step_run *run)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	static const struct facts_want want = { .depth = FACTS_DEVICES | FACTS_GUESTS | FACTS_HOLDERS };
	const char *address = run->step->key;
	const struct facts *facts = facts_gather(run->exec->node, &want, &scratch);
	const struct gpu *gpu = gpu_of_slot(facts, address);
	if (gpu && gpu->hot_release == YES)
		return true;
	return err_set(run->err, ERR_INPUT, "%s cannot change its driver now: %s", address,
	        !gpu           ? "it belongs to no GPU"
	        : gpu->hot_why ? gpu->hot_why
	                       : "who uses it is not known");
}

/* ---- writes ------------------------------------------------------------------------------------ */

static bool set(struct step_run *run, const char *value, const char *path)
{
	int error = world_set(run->exec->node, path, value, WRITE_MS);
	if (error == ETIMEDOUT) {
		err_set(run->err, ERR_TIMEOUT, "the kernel is stuck in writing %s to %s", value, path);
		return err_hint(run->err, "a reboot is needed; until then nothing more is written");
	}
	return !error || err_errno(run->err, error, "writing %s to %s", *value == '\n' ? "an empty line" : value, path);
}

static bool set_override(struct step_run *run, const char *driver, struct arena *arena)
{
	/* an empty line takes the override away */
	return set(run, *driver ? driver : "\n", arena_printf(arena, DEVICES "/%s/driver_override", run->step->key));
}

static bool has_driver(struct step_run *run, const char *driver, struct arena *arena)
{
	const char *now = NULL;
	int error = driver_of(run->exec->node, run->step->key, arena, &now);
	if (error)
		return err_errno(run->err, error, "which driver has %s", run->step->key);
	if (strcmp(now, driver) == 0)
		return true;
	return err_set(run->err, ERR_SYSTEM, "%s should have %s now, but has %s", run->step->key,
	        *driver ? driver : "no driver", *now ? now : "none");
}

static bool unbind(struct step_run *run, const char *driver, struct arena *arena)
{
	return !*driver || set(run, run->step->key, arena_printf(arena, DRIVERS "/%s/unbind", driver));
}

/* From one driver to another (NONE: to none); the override is left as it was needed. */
static bool move_to(struct step_run *run, const char *from, const char *to, struct arena *arena)
{
	const char *const load[] = { "modprobe", to, NULL };
	const char *folder = arena_printf(arena, DRIVERS "/%s", to);
	if (strcmp(from, to) == 0)
		return true;
	if (*to && world_exists(run->exec->node, folder) == NO && !exec_command(run, load, MODPROBE_MS))
		return false;
	if (*to && !set_override(run, to, arena))
		return false;
	if (!unbind(run, from, arena) || !has_driver(run, NONE, arena))
		return false;
	return !*to || (set(run, run->step->key, "/sys/bus/pci/drivers_probe") && has_driver(run, to, arena));
}

/* Half-way there is nowhere to stay. What went wrong first is what is told. */
static bool put_back(struct step_run *run, const char *driver, const char *override, struct arena *arena)
{
	struct err ignored = { 0 };
	struct step_run quiet = { run->exec, run->step, run->folder, &ignored };
	const char *now = NULL;
	if (run->err->kind == ERR_TIMEOUT)
		return false;
	bool back = driver_of(run->exec->node, run->step->key, arena, &now) == 0 &&
	            move_to(&quiet, now, driver, arena) && set_override(&quiet, override, arena);
	if (!back && ignored.kind == ERR_TIMEOUT)
		*run->err = ignored;
	else if (!back)
		err_hint(run->err, "it could not be given back to %s: %.80s", *driver ? driver : "no driver",
		        ignored.text);
	return false;
}

static bool bind_apply(struct step_run *run)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	const char *now = NULL, *to = run->step->to ? run->step->to : NONE;
	if (!bind_state(run, &scratch, &now))
		return false;
	if (strcmp(now, to) == 0)
		return true;
	const char *override = override_of(run->exec->node, run->step->key, &scratch);
	if (!override)
		return err_set(run->err, ERR_SYSTEM, "driver_override of %s cannot be read", run->step->key);
	if (*now && !may_unbind(run))
		return false;
	return move_to(run, now, to, &scratch) || put_back(run, now, override, &scratch);
}

/* ---- the way back -------------------------------------------------------------------------------- */

/* Does another device with these ids live from the same line in vfio-pci's list? */
static bool twin_uses_vfio(struct step_run *run, const char *vendor, const char *device, struct arena *arena)
{
	struct words names = { 0 };
	if (world_list(run->exec->node, DRIVERS "/vfio-pci", arena, &names) != 0)
		return true; /* not known: then it stays */
	for (size_t i = 0; i < names.n; i++) {
		unsigned domain, bus, slot, function;
		const char *other_vendor = "", *other_device = "", *name = names.word[i];
		if (!pci_parse_address(name, &domain, &bus, &slot, &function) || strcmp(name, run->step->key) == 0)
			continue;
		if (world_attribute(run->exec->node, arena, &other_vendor, DEVICES "/%s/vendor", name) ||
		        world_attribute(run->exec->node, arena, &other_device, DEVICES "/%s/device", name))
			return true;
		if (strcmp(vendor, other_vendor) == 0 && strcmp(device, other_device) == 0)
			return true;
	}
	return false;
}

/* remove_id of what is not in the list is ENODEV: then there is nothing to do. */
static bool forget_ids(struct step_run *run, struct arena *arena)
{
	const char *vendor = NULL, *device = NULL, *key = run->step->key;
	struct world *node = run->exec->node;
	if (world_exists(node, DRIVERS "/vfio-pci/remove_id") != YES ||
	        world_attribute(node, arena, &vendor, DEVICES "/%s/vendor", key) ||
	        world_attribute(node, arena, &device, DEVICES "/%s/device", key) ||
	        twin_uses_vfio(run, vendor, device, arena))
		return true;
	const char *ids = arena_printf(arena, "%s %s", vendor + (text_starts(vendor, "0x") ? 2 : 0),
	        device + (text_starts(device, "0x") ? 2 : 0));
	int error = world_set(node, DRIVERS "/vfio-pci/remove_id", ids, WRITE_MS);
	return !error || error == ENODEV || set(run, ids, DRIVERS "/vfio-pci/remove_id");
}

static bool bind_undo(struct step_run *run, const char *old, const char *blob)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct before before;
	const char *now = NULL;
	if (!load_before(run, blob, &scratch, &before) || !bind_state(run, &scratch, &now))
		return false;
	if (strcmp(now, old) != 0) {
		if (*now && !may_unbind(run))
			return false;
		if (!move_to(run, now, old, &scratch))
			return put_back(run, now, *now ? now : before.override, &scratch);
	}
	return (!before.ids_absent || forget_ids(run, &scratch)) && set_override(run, before.override, &scratch);
}

static void bind_script(struct step_run *run, const char *old, const char *blob, struct arena *arena, struct words *ret)
{
	const char *name = strrchr(blob, '/');
	*arena_push(arena, ret->word, ret->n) = arena_printf(arena, "back_driver %s %s %s %s",
	        text_sh_quoted(arena, run->step->key), text_sh_quoted(arena, *old ? old : "none"),
	        text_sh_quoted(arena, run->step->to && *run->step->to ? run->step->to : "none"),
	        text_sh_quoted(arena, name ? name + 1 : blob));
}

const struct step_ops step_bind = { .kind = "bind",
	.hangs = true,
	.state = bind_state,
	.save = bind_save,
	.apply = bind_apply,
	.undo = bind_undo,
	.script = bind_script };

/* ---- module: key is its name ----------------------------------------------------------------------- */

static enum tri listed(struct world *node, const char *name, struct arena *arena)
{
	struct bytes text, line;
	if (world_read(node, "/proc/modules", 0, arena, &text))
		return UNKNOWN;
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		struct words words = text_split(arena, text_trimmed(arena, line), " ");
		if (words.n && strcmp(words.word[0], name) == 0)
			return YES;
	}
	return NO;
}

static bool module_state(struct step_run *run, struct arena *arena, const char **ret)
{
	const char *name = modprobe_name(arena, run->step->key);
	if (!*name || strpbrk(name, "/ \t\n") || *name == '.' || *run->step->key == '-')
		return err_set(run->err, ERR_INPUT, "this is no module's name: %s", run->step->key);
	enum tri there = world_exists(run->exec->node, arena_printf(arena, "/sys/module/%s", name));
	if (there == UNKNOWN) /* a recording may have the list alone, which lacks what is built in */
		there = listed(run->exec->node, name, arena);
	if (there == UNKNOWN)
		return err_set(run->err, ERR_UNKNOWN, "whether module %s is loaded cannot be told", name);
	*ret = there == YES ? "loaded" : NONE;
	return true;
}

/* Its reference count does not tell of devices it drives: those would lose it without being asked. */
static const char *module_users(struct step_run *run, struct arena *arena)
{
	const char *name = modprobe_name(arena, run->step->key), *count = "0";
	struct world *node = run->exec->node;
	struct words names = { 0 };
	world_attribute(node, arena, &count, "/sys/module/%s/refcnt", name);
	if (strcmp(count, "0") != 0)
		return arena_printf(arena, "%s users", count);
	const char *drivers = arena_printf(arena, "/sys/module/%s/drivers", name);
	if (world_list(node, drivers, arena, &names) != 0)
		return NULL;
	for (size_t i = 0; i < names.n; i++) {
		struct words devices = { 0 };
		if (!text_starts(names.word[i], "pci:") ||
		        world_list(node, arena_printf(arena, DRIVERS "/%s", names.word[i] + 4), arena, &devices) != 0)
			continue;
		for (size_t j = 0; j < devices.n; j++)
			if (strchr(devices.word[j], ':'))
				return devices.word[j];
	}
	return NULL;
}

static bool module_remove(struct step_run *run)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	const char *const argv[] = { "modprobe", "-r", run->step->key, NULL };
	const char *users = module_users(run, &scratch);
	if (users)
		return err_set(run->err, ERR_INPUT, "module %s stays loaded: it is used by %s", run->step->key, users);
	return exec_command(run, argv, MODPROBE_MS);
}

static bool module_to(struct step_run *run, const char *wished)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	const char *const argv[] = { "modprobe", run->step->key, NULL }, *now = NULL;
	if (!module_state(run, &scratch, &now))
		return false;
	if (strcmp(now, wished) == 0)
		return true;
	return *wished ? exec_command(run, argv, MODPROBE_MS) : module_remove(run);
}

static bool module_apply(struct step_run *run)
{
	return module_to(run, run->step->to ? run->step->to : NONE);
}

/* One that others have come to use stays loaded: that is theirs. */
static bool module_undo(struct step_run *run, const char *old, const char *blob)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	(void)blob;
	return (!*old && module_users(run, &scratch)) || module_to(run, old);
}

static void module_script(
        struct step_run *run, const char *old, const char *blob, struct arena *arena, struct words *ret)
{
	(void)blob;
	*arena_push(arena, ret->word, ret->n) = arena_printf(
	        arena, "back_module %s %s", text_sh_quoted(arena, run->step->key), *old ? "loaded" : "none");
}

const struct step_ops step_module = { .kind = "module",
	.atomic = true,
	.state = module_state,
	.apply = module_apply,
	.undo = module_undo,
	.script = module_script };
