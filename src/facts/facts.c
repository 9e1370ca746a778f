/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/facts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- blind spots ----------------------------------------------------------- */

void facts_blind(struct facts *facts, struct arena *arena, const char *target, int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const char *what = arena_vprintf(arena, format, args);
	va_end(args);
	for (size_t i = 0; i < facts->n_blind; i++)
		if (strcmp(facts->blind[i].what, what) == 0 && strcmp(facts->blind[i].target, target) == 0)
			return;
	*arena_push(arena, facts->blind, facts->n_blind) = (struct blind){ target, what, world_why(error) };
}

struct blindness {
	struct facts *facts;
	struct arena *arena;
	const char *target;
};

static void note_blind(void *data, int error, const char *what)
{
	struct blindness *blindness = data;
	facts_blind(blindness->facts, blindness->arena, blindness->target, error, "%s", what);
}

/* ---- inside ---------------------------------------------------------------- */

/* How to get into a guest when the goal does not say: the guest agent, or pct. */
static struct target guest_target(const struct guest *guest, struct arena *arena)
{
	bool vm = guest->kind == GUEST_VM;
	return (struct target){
		.label = arena_printf(arena, "%s/%lld", vm ? "vm" : "ct", (long long)guest->id),
		.hop = { { vm ? HOP_QM : HOP_PCT, arena_printf(arena, "%lld", (long long)guest->id) } },
		.n = 1,
	};
}

static void look_inside(struct facts *facts, struct world *node, const struct target *target, struct arena *arena);

/* Is a docker container one that shall encode: does it run with a GPU, by runtime, request or node? */
static bool encodes(const struct docker_container *container)
{
	static const char signs[] =
	        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"; /* docker's own rule */
	if (!container->name || !*container->name || *container->name == '-' ||
	        container->name[strspn(container->name, signs)])
		return false;
	if (!container->status || strcmp(container->status, "running") != 0)
		return false;
	bool nodes = false;
	for (size_t i = 0; i < container->devices.n; i++)
		nodes |= text_starts(container->devices.word[i], "/dev/dri") ||
		         text_starts(container->devices.word[i], "/dev/nvidia");
	return nodes || (container->runtime && strcmp(container->runtime, "nvidia") == 0) ||
	       (container->gpu_request && *container->gpu_request);
}

/* The docker containers with a GPU inside what was just looked into: the media server sees what they see. */
static void look_into_containers(struct facts *facts, struct world *node, const struct target *target,
        const struct inside *inside, struct arena *arena)
{
	enum { CONTAINERS_MAX = 8 };
	size_t looked = 0;
	for (size_t i = 0; i < inside->n_containers && target->n < HOPS_MAX; i++) {
		const struct docker_container *container = &inside->containers[i];
		if (!encodes(container))
			continue;
		if (looked++ == CONTAINERS_MAX) {
			*arena_push(arena, facts->blind, facts->n_blind) = (struct blind){ target->label,
				"further docker containers",
				arena_printf(arena, "only the first %d with a GPU are looked into", CONTAINERS_MAX) };
			return;
		}
		struct target further = *target;
		further.label = arena_printf(arena, "%s/docker/%s", target->label, container->name);
		further.hop[further.n++] = (struct hop){ HOP_DOCKER, container->name };
		look_inside(facts, node, &further, arena);
	}
}

static void look_inside(struct facts *facts, struct world *node, const struct target *target, struct arena *arena)
{
	if (facts_inside(facts, target->label))
		return;
	struct inside inside = { .label = target->label, .reached = NO };
	struct blindness blindness = { facts, arena, target->label };
	struct err err = { 0 };
	struct world *world = world_inside(node, target, arena, &err);
	if (world) {
		inside_gather(world, arena, &inside, note_blind, &blindness);
		inside.label = target->label;
		inside.reached = YES;
		world_close(world);
	} else {
		inside.why = arena_strdup(arena, err.text);
		*arena_push(arena, facts->blind, facts->n_blind) =
		        (struct blind){ target->label, "the inside", inside.why };
	}
	*arena_push(arena, facts->insides, facts->n_insides) = inside;
	look_into_containers(facts, node, target, &inside, arena);
}

static bool has_gpu(const struct facts *facts, const struct guest *guest, struct arena *arena)
{
	for (size_t i = 0; i < facts->n_gpus; i++)
		if (facts_guest_has_gpu(facts, guest, &facts->gpus[i], arena))
			return true;
	return false;
}

static void look_into_guests(struct facts *facts, struct world *node, const struct target *also, struct arena *arena)
{
	if (also)
		look_inside(facts, node, also, arena);
	for (size_t i = 0; i < facts->pve.n_guests; i++) {
		const struct guest *guest = &facts->pve.guests[i];
		if (!guest->status || strcmp(guest->status, "running") != 0 || !has_gpu(facts, guest, arena))
			continue;
		struct target target = guest_target(guest, arena);
		look_inside(facts, node, &target, arena);
	}
}

static void gather_boot(
        struct world *world, unsigned depth, struct arena *arena, struct boot *ret, blind_fn *blind, void *data)
{
	if (depth & FACTS_BOOT)
		boot_gather(world, depth & FACTS_OLD_KERNELS, arena, ret, blind, data);
	else if (depth & FACTS_LOADER)
		boot_gather_loader(world, arena, ret, blind, data);
	else
		boot_gather_running(world, arena, ret, blind, data);
}

/* It takes apt a second, so only he is asked who may need it: a CT's card, or whoever records. */
static bool lacks_nvidia(const struct facts *facts, const struct facts_want *want)
{
	bool asked = (want->also && text_starts(want->also->label, "ct/")) || want->depth & FACTS_OLD_KERNELS;
	for (size_t i = 0; i < facts->n_gpus && asked; i++)
		if (strcmp(facts->gpus[i].vendor, "nvidia") == 0 && facts->drm.nvidia_module_version &&
		        !*facts->drm.nvidia_module_version)
			return true;
	return false;
}

static void gather_installable(struct world *world, struct arena *arena, struct installable *ret, struct blindness *node)
{
	struct command command = { .argv = package_policy, .deadline_ms = 30000 };
	struct outcome outcome = { 0 };
	int error = world_run(world, &command, arena, &outcome);
	if (error || outcome.timed_out || outcome.status) {
		note_blind(node, error ? error : EIO, text_sh_line(arena, package_policy));
		return;
	}
	*ret = (struct installable){ YES, package_parse_policy(outcome.out, "Candidate", arena),
		package_parse_policy(outcome.out, "Installed", arena) };
}

/* ---- gathering ---------------------------------------------------------------- */

struct facts *facts_gather(struct world *world, const struct facts_want *want, struct arena *arena)
{
	struct facts *facts = arena_new(arena, struct facts);
	struct blindness node = { facts, arena, "node" };

	host_gather(world, arena, &facts->host, note_blind, &node);
	pci_gather(world, arena, &facts->pci, note_blind, &node);
	drm_gather(world, want->depth & FACTS_HOLDERS, arena, &facts->drm, note_blind, &node);
	gather_boot(world, want->depth, arena, &facts->boot, note_blind, &node);
	if (!facts->boot.cmdline)
		facts_blind(
		        facts, arena, "node", ENODATA, "pcie_acs_override (no command line: whether groups are real)");
	if (want->depth & FACTS_GUESTS) {
		pve_gather(world, arena, &facts->pve, note_blind, &node);
		facts->host.pve_version = facts->pve.here == NO ? NONE : facts->pve.version;
	}
	needs_gather(world, arena, facts, note_blind, &node);
	gpus_assemble(facts, arena);
	if (lacks_nvidia(facts, want))
		gather_installable(world, arena, &facts->installable, &node);
	if (want->depth & FACTS_INSIDE)
		look_into_guests(facts, world, want->also, arena);
	return facts;
}

/* ---- finders ------------------------------------------------------------------- */

const struct pci_device *facts_device(const struct facts *facts, const char *address)
{
	return pci_find(&facts->pci, address);
}

const struct gpu *facts_gpu(const struct facts *facts, const char *address)
{
	for (size_t i = 0; i < facts->n_gpus; i++)
		if (strcmp(facts->gpus[i].pci->address, address) == 0)
			return &facts->gpus[i];
	return NULL;
}

const struct guest *facts_guest(const struct facts *facts, enum guest_kind kind, int64_t id)
{
	for (size_t i = 0; i < facts->pve.n_guests; i++)
		if (facts->pve.guests[i].id == id && (kind == GUEST_UNKNOWN || facts->pve.guests[i].kind == kind))
			return &facts->pve.guests[i];
	return NULL;
}

const struct inside *facts_inside(const struct facts *facts, const char *label)
{
	for (size_t i = 0; i < facts->n_insides; i++)
		if (strcmp(facts->insides[i].label, label) == 0)
			return &facts->insides[i];
	return NULL;
}
