/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A VM that is made new for the card: q35, OVMF with an EFI disk without enrolled keys (a driver built in the guest is
 * not signed), virtio-scsi-single, the guest agent, no ballooning; from an image whose checksum is known, reached
 * before it counts as made. One step makes all of that; it is undone only as long as nobody started the VM.
 */
#include <string.h>

#include "plan/route.h"
#include "rules/check.h"

static const struct storage *storage_named(const struct pve *pve, const char *id)
{
	for (size_t i = 0; i < pve->n_storages; i++)
		if (strcmp(pve->storages[i].id, id) == 0)
			return &pve->storages[i];
	return NULL;
}

static void check_storage(struct route *route)
{
	const struct pve *pve = &route->facts->pve;
	const char *id = route->goal->create.storage;
	const struct storage *storage = storage_named(pve, id);
	if (!storage)
		route_refuse(route, "goal.guest", "pvesm status shows the storages of this node",
		        pve->storages_known == YES ? "there is no storage %s"
		                                   : "whether there is a storage %s is not known",
		        id);
	else if (storage->content && *storage->content && !text_has_word(storage->content, "images", ","))
		route_refuse(route, "goal.guest", "name a storage with the content images",
		        "storage %s takes no disks (it has %s)", id, storage->content);
}

static void check_details(struct route *route)
{
	const struct goal *goal = route->goal;
	const struct {
		const char *key, *value;
	} needed[] = { { "storage", goal->create.storage }, { "image", goal->create.image },
		{ "sha256", goal->create.sha256 }, { "bridge", goal->create.bridge },
		{ "ssh_key", goal->create.ssh_key } };
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!needed[i].value)
			route_refuse(route, "goal.guest",
			        arena_printf(route->arena, "write %s: into the block new: of the goal", needed[i].key),
			        "a VM is to be made, and the goal does not say its %s", needed[i].key);
	if (goal->create.storage)
		check_storage(route);
	if (goal->create.memory_mib != UNKNOWN_NUMBER && route->facts->host.memory_kib > 0 &&
	        goal->create.memory_mib > route->facts->host.memory_kib / 1024)
		route_refuse(route, "goal.guest", "give it less memory",
		        "the VM would pin %lld MiB, and the node has %lld MiB", (long long)goal->create.memory_mib,
		        (long long)(route->facts->host.memory_kib / 1024));
}

void create_vm(struct route *route)
{
	const char *because = "goal.guest", *on = route->on;
	check_details(route);
	if (route->facts->pve.guests_known != YES)
		route_refuse(route, because, "run gpuferry as root on the node",
		        "not every guest could be read, so which id is free is not known");
	route_step(route, PHASE_CREATE, "create", on, "vm", NONE, "created", because,
	        "make %s: q35, OVMF without enrolled keys, virtio-scsi-single, guest agent, no ballooning", on);
	const struct finding fresh = {
		.rule = rules_find("vm.hostpci"), .verdict = VERDICT_BROKEN, .why = "it is new"
	};
	vm_hostpci(route, &fresh);
	route_step(route, PHASE_START, "power", on, "state", "stopped", "running", because, "start %s", on);
	route_step(route, PHASE_REACH, "reach", on, "inside", "no", "yes", because,
	        "wait until %s can be reached inside: only then it counts as made", on);
}
