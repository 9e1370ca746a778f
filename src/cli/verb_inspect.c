/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is here.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "media/kept.h"
#include "sys/nvml.h"

static const char *or_unknown(const char *text)
{
	return !text ? "unknown" : *text ? text : "none";
}

/* ---- node --------------------------------------------------------------------- */

static void show_node(const struct app *app, const struct facts *facts, struct arena *arena)
{
	const struct host *host = &facts->host;
	const char *loaders[] = { "boot loader unknown", "GRUB", "systemd-boot" };
	const char *iommu[] = { "IOMMU unknown", "IOMMU off", "IOMMU on" };
	const char *secure[] = { "", "", ", Secure Boot" };
	const char *product = !host->pve_version   ? "Proxmox VE unknown"
	                      : *host->pve_version ? arena_printf(arena, "Proxmox VE %s", host->pve_version)
	                                           : "no Proxmox VE";
	printf("%s%s%s\n", out_colour(app, BOLD), text_shown(arena, host->name ? host->name : "(no name)"),
	        out_plain(app));
	printf("  %s, kernel %s, %s%s, %s%s%s\n", text_shown(arena, product),
	        text_shown(arena, or_unknown(facts->boot.kernel)), loaders[facts->boot.loader],
	        secure[facts->boot.secure_boot], out_colour(app, facts->pci.iommu == YES ? GREEN : YELLOW),
	        iommu[facts->pci.iommu], out_plain(app));
	if (host->cpu.model)
		printf("  %s\n", text_shown(arena, host->cpu.model));
}

/* ---- GPUs ------------------------------------------------------------------------ */

static const char *ids(const struct pci_device *device, struct arena *arena)
{
	if (device->vendor < 0 || device->device < 0)
		return "ids unknown";
	return arena_printf(arena, "%04x:%04x", (unsigned)device->vendor, (unsigned)device->device);
}

static const char *device_text(const struct pci_device *device, struct arena *arena)
{
	const char *name = pci_device_name(device, arena);
	if (!name)
		name = pci_class_name(device->class_code, arena);
	return name ? arena_printf(arena, "%s [%s]", name, ids(device, arena)) : ids(device, arena);
}

/* What a household admin would ask of a card, in the order in which it matters. */
static const char *encode_text(const struct gpu_model *model, struct arena *arena)
{
	if (model->encode_known != YES)
		return "not known for this device id";
	if (model->engine && !*model->engine)
		return arena_printf(arena, "no video encoder (%s)", or_unknown(model->generation));
	return arena_printf(arena, "%s: %s (%s; listed, not proven)", or_unknown(model->engine),
	        gpu_codecs_text(model->encode, arena), or_unknown(model->generation));
}

static const char *group_text(const struct gpu *gpu, struct arena *arena, enum colour *ret)
{
	const char *group = gpu->pci->iommu_group;
	*ret = gpu->group_state == GROUP_ISOLATED ? GREEN : YELLOW;
	if (!group || !*group)
		return group ? "none: the IOMMU is off" : "unknown";
	switch (gpu->group_state) {
	case GROUP_ISOLATED:
		return arena_printf(arena, "%s, isolated", group);
	case GROUP_ACS:
		return arena_printf(arena, "%s, isolated only in appearance: pcie_acs_override is in effect", group);
	case GROUP_SHARED:
		*ret = RED;
		return arena_printf(arena, "%s, shared with %zu other device%s", group, gpu->n_group_others,
		        gpu->n_group_others == 1 ? "" : "s");
	case GROUP_UNKNOWN:
		break;
	}
	return arena_printf(arena, "%s, whether shared is unknown", group);
}

static void tell(const struct app *app, struct libscols_table *table, struct libscols_line *parent, const char *name,
        const char *text, enum colour colour)
{
	struct libscols_line *line = out_row(table, parent);
	out_cell(line, 0, name, app, PLAIN);
	out_cell(line, 1, text, app, colour);
}

static void show_gpu(const struct app *app, const struct facts *facts, const struct gpu *gpu,
        struct libscols_table *table, struct arena *arena)
{
	static const char *const release[] = { "unknown", "no", "yes" };
	enum colour colour;
	struct libscols_line *line = out_row(table, NULL);
	out_cell(line, 0, gpu->pci->address, app, BOLD);
	out_cell(line, 1, device_text(gpu->pci, arena), app, BOLD);

	tell(app, table, line, "driver", or_unknown(gpu->pci->driver), PLAIN);
	tell(app, table, line, "encoder", encode_text(&gpu->model, arena), PLAIN);
	const char *group = group_text(gpu, arena, &colour);
	struct libscols_line *group_line = out_row(table, line);
	out_cell(group_line, 0, "group", app, PLAIN);
	out_cell(group_line, 1, group, app, colour);
	for (size_t i = 0; i < gpu->n_group_others; i++)
		tell(app, table, group_line, gpu->group_others[i]->address, device_text(gpu->group_others[i], arena),
		        RED);
	for (size_t i = 0; i < gpu->n_functions; i++)
		if (gpu->functions[i] != gpu->pci)
			tell(app, table, line, gpu->functions[i]->address,
			        arena_printf(arena, "%s, driver %s", device_text(gpu->functions[i], arena),
			                or_unknown(gpu->functions[i]->driver)),
			        PLAIN);
	if (gpu->render)
		tell(app, table, line, "node",
		        arena_printf(arena, "%s%s%s%s", gpu->render->path, gpu->render->group ? ", group " : "",
		                gpu->render->group ? gpu->render->group : "",
		                gpu->render->exists == NO ? " (missing in /dev)" : ""),
		        PLAIN);
	else
		tell(app, table, line, "node", gpu->render_known == YES ? "none: no /dev/dri for this card" : "unknown",
		        PLAIN);
	tell(app, table, line, "release now",
	        gpu->hot_why && gpu->hot_release != YES
	                ? arena_printf(arena, "%s: %s", release[gpu->hot_release], gpu->hot_why)
	                : release[gpu->hot_release],
	        PLAIN);
	for (size_t i = 0; i < facts->pve.n_guests; i++) {
		const struct guest *guest = &facts->pve.guests[i];
		if (facts_guest_has_gpu(facts, guest, gpu, arena))
			tell(app, table, line, "guest",
			        arena_printf(arena, "%s/%lld %s, %s", guest->kind == GUEST_VM ? "vm" : "ct",
			                (long long)guest->id, or_unknown(guest->name), or_unknown(guest->status)),
			        PLAIN);
	}
}

static void show_gpus(const struct app *app, const struct facts *facts, struct arena *arena)
{
	static const char *const columns[] = { "GPU/", "DEVICE_", NULL };
	if (facts->gpus_known != YES) {
		puts("\n  GPUs: unknown (the PCI devices could not be listed)");
		return;
	}
	if (!facts->n_gpus) {
		puts("\n  no GPU");
		return;
	}
	putchar('\n');
	struct libscols_table *table = out_table(app, columns);
	for (size_t i = 0; i < facts->n_gpus; i++)
		show_gpu(app, facts, &facts->gpus[i], table, arena);
	out_table_end(table);
}

/* ---- guests and blind spots --------------------------------------------------------- */

static const char *guest_gpus(const struct facts *facts, const struct guest *guest, struct arena *arena)
{
	const char *list = "";
	for (size_t i = 0; i < facts->n_gpus; i++)
		if (facts_guest_has_gpu(facts, guest, &facts->gpus[i], arena))
			list = arena_printf(arena, "%s%s%s", list, *list ? " " : "", facts->gpus[i].pci->address);
	return *list || (guest->known == YES && facts->gpus_known == YES) ? list : "unknown";
}

static void show_guests(const struct app *app, const struct facts *facts, struct arena *arena)
{
	static const char *const columns[] = { "GUEST", "NAME", "STATUS", "GPU", NULL };
	if (!facts->pve.n_guests)
		return;
	putchar('\n');
	struct libscols_table *table = out_table(app, columns);
	for (size_t i = 0; i < facts->pve.n_guests; i++) {
		const struct guest *guest = &facts->pve.guests[i];
		struct libscols_line *line = out_row(table, NULL);
		out_cell(line, 0,
		        arena_printf(arena, "%s/%lld", guest->kind == GUEST_VM ? "vm" : "ct", (long long)guest->id),
		        app, PLAIN);
		out_cell(line, 1, or_unknown(guest->name), app, PLAIN);
		out_cell(line, 2, or_unknown(guest->status), app, PLAIN);
		out_cell(line, 3, guest_gpus(facts, guest, arena), app, PLAIN);
	}
	out_table_end(table);
}

/* What was not seen for the same reason stands together: a recording that lacks much is told in a few lines. */
static void show_blind(const struct app *app, const struct facts *facts, struct arena *arena)
{
	enum { SHOWN = 6 };
	bool *shown = arena_alloc(arena, facts->n_blind * sizeof *shown);
	for (size_t first = 0; first < facts->n_blind; first++) {
		if (shown[first])
			continue;
		const struct blind *head = &facts->blind[first];
		printf("\n%snot seen%s on %s: %s\n", out_colour(app, YELLOW), out_plain(app),
		        text_shown(arena, head->target), text_shown(arena, head->why));
		size_t n = 0;
		for (size_t i = first; i < facts->n_blind; i++) {
			const struct blind *blind = &facts->blind[i];
			if (shown[i] || strcmp(blind->target, head->target) != 0 || strcmp(blind->why, head->why) != 0)
				continue;
			shown[i] = true;
			if (n++ < SHOWN || app->all)
				out_folded(app, text_shown(arena, blind->what), 2);
		}
		if (n > SHOWN && !app->all)
			printf("  and %zu more (--all names them)\n", n - SHOWN);
	}
}

/* ---- encoders ------------------------------------------------------------------------- */

/* Programs run on the machine that gpuferry is on; of another one nothing is proven, and that is said. */
static bool prove(struct app *app, struct world *world, const char *label, struct facts *facts, struct arena *arena,
        struct err *err, const struct proofs **ret)
{
	*ret = NULL;
	if (!app->encoders)
		return true;
	if (label) {
		*arena_push(arena, facts->blind, facts->n_blind) = (struct blind){ "node", "encoders",
			"they are proven only by the gpuferry of that very machine" };
		return true;
	}
	struct kept_options options = { .ffmpeg = app->ffmpeg, .folder = place_kept(arena), .fresh = app->fresh, .proof.nvml = NVML_LIBRARY };
	*ret = kept_proofs(world, &facts->drm, &options, arena, err);
	return *ret;
}

static int inspect(struct app *app, struct world *world, const char *label, void *data, struct arena *arena)
{
	(void)data;
	struct err err = { 0 };
	const struct proofs *proofs;
	const struct facts_want want = { .depth = FACTS_DEVICES | FACTS_LOADER | FACTS_GUESTS | FACTS_HOLDERS };
	struct facts *facts = facts_gather(world, &want, arena);
	if (!prove(app, world, label, facts, arena, &err, &proofs))
		return out_error(app, &err);
	if (app->json) {
		json_t *document = facts_json(facts);
		if (proofs)
			show_proofs_json(app, proofs, document, arena);
		out_json(app, document, label);
		return EXIT_AS_WISHED;
	}
	show_node(app, facts, arena);
	show_gpus(app, facts, arena);
	show_guests(app, facts, arena);
	if (proofs)
		show_proofs(app, proofs, arena);
	if (!app->quiet)
		show_blind(app, facts, arena);
	return EXIT_AS_WISHED;
}

int verb_inspect(struct app *app, int argc, char **argv)
{
	if (argc) {
		struct err err = { 0 };
		err_set(&err, ERR_USAGE, "inspect: %s: takes no words", text_shown(app->arena, argv[0]));
		err_hint(&err, "to read a tape: gpuferry inspect --machine FILE");
		return out_error(app, &err);
	}
	if (!app->encoders && (app->ffmpeg || app->fresh || app->goal.prefer.n || app->goal.veto.n)) {
		struct err err = { 0 };
		err_set(&err, ERR_USAGE, "inspect: --%s has a meaning only with --encoders",
		        app->ffmpeg ? "ffmpeg" : app->fresh ? "fresh" : app->goal.prefer.n ? "prefer" : "veto");
		return out_error(app, &err);
	}
	int code = place_each(app, inspect, NULL);
	pci_names_release();
	return code;
}
