/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The inspect document; docs/json.md names its keys.
 */
#include <stdio.h>
#include <string.h>

#include "facts/facts.h"

const char *facts_group_state(enum group_state state)
{
	static const char *const words[] = { NULL, "isolated", "shared", "acs" };
	return words[state];
}

static const char *loader_word(enum loader loader)
{
	static const char *const words[] = { NULL, "grub", "systemd-boot" };
	return words[loader];
}

static const char *kind_word(enum guest_kind kind)
{
	static const char *const words[] = { NULL, "vm", "ct" };
	return words[kind];
}

static json_t *host_json(const struct facts *facts)
{
	json_t *host = json_object();
	json_put(host, "name", json_text(facts->host.name));
	json_put(host, "pve_version", json_text(facts->host.pve_version));
	json_put(host, "kernel", json_text(facts->boot.kernel));
	json_put(host, "cmdline", json_raw_text(facts->boot.cmdline));
	json_put(host, "bootloader", json_text(loader_word(facts->boot.loader)));
	json_put(host, "iommu", json_raw_text(facts->pci.iommu == YES ? "on" : facts->pci.iommu == NO ? "off" : NULL));
	json_put(host, "secure_boot", json_tri(facts->boot.secure_boot));
	json_put(host, "dkms_key", json_tri(facts->boot.dkms_key));
	return host;
}

static json_t *addresses_json(const struct pci_device *const *devices, size_t n)
{
	json_t *array = json_array();
	for (size_t i = 0; i < n; i++)
		json_add(array, json_raw_text(devices[i]->address));
	return array;
}

static json_t *encode_json(const struct gpu_model *model, struct arena *arena)
{
	json_t *encode = json_object();
	json_put(encode, "engine", json_text(model->engine));
	json_put(encode, "generation", json_text(model->generation));
	json_put(encode, "codecs",
	        model->encode_known == YES ? json_words(gpu_codecs_text(model->encode, arena)) : json_null());
	return encode;
}

static json_t *subsystem_json(const struct pci_device *device, struct arena *arena)
{
	if (device->subsystem_vendor < 0 || device->subsystem_device < 0)
		return json_null();
	return json_raw_text(arena_printf(
	        arena, "%04x:%04x", (unsigned)device->subsystem_vendor, (unsigned)device->subsystem_device));
}

static json_t *gpu_json(const struct gpu *gpu, struct arena *arena)
{
	const struct pci_device *pci = gpu->pci;
	json_t *object = json_object();
	json_put(object, "address", json_raw_text(pci->address));
	json_put(object, "vendor", json_hex4(pci->vendor));
	json_put(object, "device", json_hex4(pci->device));
	json_put(object, "subsystem", subsystem_json(pci, arena));
	json_put(object, "name", json_raw_text(pci_device_name(pci, arena)));
	json_put(object, "class",
	        pci->class_code < 0 ? json_null()
	                            : json_raw_text(arena_printf(arena, "%06x", (unsigned)pci->class_code)));
	json_put(object, "driver", json_text(pci->driver));
	json_put(object, "iommu_group", json_text(pci->iommu_group));
	json_put(object, "group_state", json_text(facts_group_state(gpu->group_state)));
	json_put(object, "group_others",
	        pci->iommu_group ? addresses_json(gpu->group_others, gpu->n_group_others) : json_null());
	json_put(object, "functions", addresses_json(gpu->functions, gpu->n_functions));
	json_put(object, "boot_display", json_tri(gpu->boot_display));
	json_put(object, "hot_release", json_tri(gpu->hot_release));
	json_put(object, "render_node",
	        json_text(gpu->render                ? gpu->render->path
	                  : gpu->render_known == YES ? NONE
	                                             : NULL));
	json_put(object, "reset_methods", json_words(pci->reset_methods));
	json_put(object, "encode", encode_json(&gpu->model, arena));
	return object;
}

/* An empty list is a claim; where the things could not be listed it is unknown. */
static json_t *known_array(json_t *array, enum tri known)
{
	if (known == YES || json_array_size(array))
		return array;
	json_decref(array);
	return json_null();
}

static json_t *guest_json(const struct facts *facts, const struct guest *guest, struct arena *arena)
{
	json_t *object = json_object(), *gpus = json_array();
	json_put(object, "id", json_number(guest->id));
	json_put(object, "kind", json_raw_text(kind_word(guest->kind)));
	json_put(object, "name", json_text(guest->name));
	json_put(object, "status", json_text(guest->status));
	for (size_t i = 0; i < facts->n_gpus; i++)
		if (facts_guest_has_gpu(facts, guest, &facts->gpus[i], arena))
			json_add(gpus, json_raw_text(facts->gpus[i].pci->address));
	json_put(object, "gpus", known_array(gpus, guest->known == YES ? facts->gpus_known : UNKNOWN));
	return object;
}

json_t *facts_json(const struct facts *facts)
{
	struct arena arena ARENA_SCOPED = { 0 };
	json_t *document = json_document("inspect"), *gpus = json_array(), *guests = json_array(),
	       *blind = json_array();
	json_put(document, "host", host_json(facts));
	for (size_t i = 0; i < facts->n_gpus; i++)
		json_add(gpus, gpu_json(&facts->gpus[i], &arena));
	json_put(document, "gpus", known_array(gpus, facts->gpus_known));
	for (size_t i = 0; i < facts->pve.n_guests; i++)
		json_add(guests, guest_json(facts, &facts->pve.guests[i], &arena));
	json_put(document, "guests", known_array(guests, facts->pve.guests_known));
	static const char *const proven[] = { "ffmpeg", "encoders", "decoders", "filters", "choice" };
	for (size_t i = 0; i < sizeof proven / sizeof *proven; i++)
		json_put(document, proven[i], json_null()); /* nothing was proven, so nothing is known */
	for (size_t i = 0; i < facts->n_blind; i++) {
		json_t *spot = json_object();
		json_put(spot, "target", json_raw_text(facts->blind[i].target));
		json_put(spot, "what", json_raw_text(facts->blind[i].what));
		json_put(spot, "why", json_raw_text(facts->blind[i].why));
		json_add(blind, spot);
	}
	json_put(document, "blind", blind);
	return document;
}
