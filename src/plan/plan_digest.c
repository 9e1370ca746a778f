/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The facts that a plan leans on, as one sum: devices and their drivers, command lines, configuration files, the guest,
 * the loader, the kernels. Not times, not process ids: a plan that was shown stays good as long as nothing of these
 * changes.
 */
#include <string.h>

#include "base/digest.h"
#include "plan/route.h"

static json_t *device_json(const struct pci_device *device)
{
	json_t *object = json_object();
	json_put(object, "address", json_raw_text(device->address));
	json_put(object, "vendor", json_hex4(device->vendor));
	json_put(object, "device", json_hex4(device->device));
	json_put(object, "subsystem_vendor", json_hex4(device->subsystem_vendor));
	json_put(object, "subsystem_device", json_hex4(device->subsystem_device));
	json_put(object, "class", json_number(device->class_code));
	json_put(object, "driver", json_text(device->driver));
	json_put(object, "override", json_text(device->driver_override));
	json_put(object, "group", json_text(device->iommu_group));
	return object;
}

static json_t *gpu_json(const struct gpu *gpu)
{
	json_t *object = json_object(), *devices = json_array();
	for (size_t i = 0; gpu && i < gpu->n_functions; i++)
		json_add(devices, device_json(gpu->functions[i]));
	for (size_t i = 0; gpu && i < gpu->n_group_others; i++)
		json_add(devices, device_json(gpu->group_others[i]));
	json_put(object, "devices", devices);
	json_put(object, "boot_display", json_tri(gpu ? gpu->boot_display : UNKNOWN));
	json_put(object, "hot_release", json_tri(gpu ? gpu->hot_release : UNKNOWN));
	return object;
}

static json_t *files_json(const struct boot *boot, struct arena *arena)
{
	json_t *files = json_object();
	for (size_t i = 0; i < boot->n_files; i++)
		json_put(files, boot->files[i].path,
		        boot->files[i].error ? json_null() : json_raw_text(plan_sum(boot->files[i].data, arena)));
	return files;
}

static json_t *images_json(const struct boot *boot, struct arena *arena)
{
	json_t *images = json_array();
	for (size_t i = 0; i < boot->n_initramfs; i++) {
		const struct initramfs *image = &boot->initramfs[i];
		if (!boot->kernel_next || !image->kernel || strcmp(image->kernel, boot->kernel_next) != 0)
			continue; /* older ones are read only by those who ask for them */
		json_t *files = json_object(), *object = json_object();
		for (size_t f = 0; f < image->n_files; f++)
			json_put(files, image->files[f].path, json_raw_text(plan_sum(image->files[f].data, arena)));
		json_put(object, "path", json_raw_text(image->path));
		json_put(object, "known", json_tri(image->known));
		json_put(object, "files", files);
		json_add(images, object);
	}
	return images;
}

static json_t *boot_json(const struct boot *boot, struct arena *arena)
{
	json_t *object = json_object(), *kernels = json_array();
	for (size_t i = 0; i < boot->n_kernels; i++)
		json_add(kernels, json_raw_text(boot->kernels[i].version));
	json_put(object, "kernels", kernels);
	json_put(object, "kernel", json_text(boot->kernel));
	json_put(object, "kernel_next", json_text(boot->kernel_next));
	json_put(object, "cmdline", json_text(boot->cmdline));
	json_put(object, "cmdline_next", json_text(boot->cmdline_next));
	json_put(object, "cmdline_generated", json_text(boot->cmdline_generated));
	json_put(object, "loader", json_integer(boot->loader));
	json_put(object, "files", files_json(boot, arena));
	json_put(object, "images", images_json(boot, arena));
	return object;
}

static json_t *guest_json(const struct guest *guest)
{
	json_t *object = json_object(), *sections = json_array();
	for (size_t s = 0; guest && s < guest->n_sections; s++) {
		json_t *lines = json_array();
		json_add(lines, json_raw_text(guest->sections[s].name));
		for (size_t i = 0; i < guest->sections[s].n; i++)
			json_add(lines, json_raw_text(guest->sections[s].lines[i].raw));
		json_add(sections, lines);
	}
	json_put(object, "status", json_text(guest ? guest->status : NULL));
	json_put(object, "sections", sections);
	return object;
}

static json_t *mappings_json(const struct pve *pve)
{
	json_t *mappings = json_array();
	for (size_t i = 0; i < pve->n_mappings; i++)
		for (size_t e = 0; e < pve->mappings[i].n; e++) {
			const struct mapping_entry *entry = &pve->mappings[i].entries[e];
			json_t *object = json_object();
			json_put(object, "id", json_raw_text(pve->mappings[i].id));
			json_put(object, "node", json_text(entry->node));
			json_put(object, "path", json_text(entry->path));
			json_put(object, "ids", json_text(entry->id));
			json_put(object, "subsystem", json_text(entry->subsystem));
			json_put(object, "group", json_text(entry->iommu_group));
			json_add(mappings, object);
		}
	return mappings;
}

const char *plan_facts_digest(
        const struct facts *facts, const struct gpu *gpu, const struct guest *guest, struct arena *arena)
{
	json_t *document JSON_SCOPED = json_object();
	json_put(document, "gpu", gpu_json(gpu));
	json_put(document, "iommu", json_tri(facts->pci.iommu));
	json_put(document, "boot", boot_json(&facts->boot, arena));
	json_put(document, "guest", guest_json(guest));
	json_put(document, "mappings", mappings_json(&facts->pve));
	return plan_document_digest(document, arena);
}
