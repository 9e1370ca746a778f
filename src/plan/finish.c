/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The end of planning: what several repairs asked for becomes one initramfs, one boot loader, one reboot with all that
 * belongs to it, and the steps are put in the order of the run.
 */
#include <string.h>

#include "plan/route.h"
#include "rules/check.h"

enum { CONFIRM_SECONDS = 600, IMAGE_KIB = 64 * 1024 };

/* ---- initramfs ---- */

static const struct initramfs_file *file_in(const struct initramfs *image, const char *path)
{
	for (size_t i = 0; i < image->n_files; i++)
		if (strcmp(image->files[i].path, path + 1) == 0)
			return &image->files[i];
	return NULL;
}

static const struct initramfs *image_of(const struct boot *boot, const char *version)
{
	const struct kernel *kernel = boot_kernel(boot, version);
	for (size_t i = 0; kernel && i < kernel->n_initramfs; i++)
		if (strcmp(kernel->initramfs[i]->place, "/boot") == 0)
			return kernel->initramfs[i];
	return NULL;
}

/* In the words of plan.h; image NULL: as it is wished. */
static const char *image_words(struct route *route, const struct initramfs *image)
{
	const char *words = "";
	for (size_t i = 0; i < route->n_image; i++) {
		const struct image_file *want = &route->image[i];
		const struct initramfs_file *have = image ? file_in(image, want->path) : NULL;
		const char *sum = !image ? want->sha256 : have ? plan_sum(have->data, route->arena) : NONE;
		words = arena_printf(route->arena, "%s%s=%s ", words, want->path, *sum ? sum : "none");
	}
	return arena_printf(route->arena, "%ssound", words);
}

static void image_step(struct route *route, enum phase phase, const char *version)
{
	/* whether the older kernels' images were read is a matter of how much was asked, not of the machine */
	const struct initramfs *image = phase == PHASE_AFTER ? NULL : image_of(&route->facts->boot, version);
	const char *from = image && image->known == YES ? image_words(route, image) : NULL;
	struct step *step = route_step(route, phase, "initramfs", "node", version, from, image_words(route, NULL),
	        route->image[0].because, "make the initramfs of kernel %s again%s", version,
	        phase == PHASE_AFTER ? ": until the confirmation it is the way back" : "");
	step->needs_reboot = true;
}

/* What others wrote since it was made comes into effect with it, and no rollback brings the old one back. */
static void note_stale(struct route *route)
{
	const struct finding *fresh = route_finding(route, "node.initramfs");
	if (fresh && fresh->verdict == VERDICT_WARN)
		route_note(route,
		        "node.initramfs: %s. Made again, it holds what stands in /etc; rollback makes it from what stood in "
		        "/etc before, and does not bring the stale one back.",
		        fresh->why);
}

/* A second image stands beside the present one while it is written. */
static void check_space(struct route *route, const char *rule, const char *place, int64_t free)
{
	if (free == UNKNOWN_NUMBER)
		route_lean(route, rule, "run gpuferry as root on the node, then plan again",
		        "how much space is free on %s is not known, and an initramfs is written there", place);
	else if (free < 2 * IMAGE_KIB)
		route_lean(route, rule, "remove kernels that are not needed any more: apt autoremove --purge",
		        "%s has %lld MiB free; writing an initramfs there may take %d MiB", place,
		        (long long)(free / 1024), 2 * IMAGE_KIB / 1024);
}

static void finish_images(struct route *route)
{
	const struct boot *boot = &route->facts->boot;
	if (!boot->kernel_next || !*boot->kernel_next) {
		route_lean(route, "node.next-kernel", NULL,
		        "which kernel boots next is not known, so its initramfs "
		        "cannot be made again");
		return;
	}
	image_step(route, PHASE_INITRAMFS, boot->kernel_next);
	note_stale(route);
	check_space(route, "node.initramfs", "/boot", boot_free_kib(boot, "/boot"));
	for (size_t i = 0; i < boot->n_esps; i++)
		check_space(route, "node.esp-copy", arena_printf(route->arena, "ESP %s", boot->esps[i].uuid),
		        boot->esps[i].free_kib);
	for (size_t i = 0; i < boot->n_kernels; i++)
		if (strcmp(boot->kernels[i].version, boot->kernel_next) != 0)
			image_step(route, PHASE_AFTER, boot->kernels[i].version);
	if (boot->kernels_known != YES)
		route_note(
		        route, "Which other kernels are installed could not be read: their initramfs stays as it is.");
}

/* ---- the reboot ---- */

static struct step *unit(struct route *route, const char *name, const char *text, const char *title)
{
	const char *path = arena_printf(route->arena, PLAN_SYSTEMD "%s.service", name);
	struct step *step = route_step(route, PHASE_TEMPORARY, "file", "node", path, route_file_now(route, path), text,
	        route->reboot_because, "%s", title);
	step->mode = 0644;
	step->temporary = true;
	return step;
}

static void wanted_by(struct route *route, const char *name, const char *target)
{
	const char *folder = arena_printf(route->arena, PLAN_SYSTEMD "%s.target.wants", target);
	route_folder(route, PHASE_TEMPORARY, route->reboot_because, folder)->temporary = true;
	const char *path = arena_printf(route->arena, PLAN_SYSTEMD "%s.target.wants/%s.service", target, name);
	const char *to = arena_printf(route->arena, PLAN_SYSTEMD "%s.service", name);
	struct step *step = route_link(route, PHASE_TEMPORARY, route->reboot_because, path, to);
	step->title = arena_printf(route->arena, "start %s with %s.target", name, target);
	step->temporary = true;
}

static void units(struct route *route)
{
	static const char revert[] = "gpuferry-revert", resume[] = PLAN_RESUME;
	static const char *const targets[] = { "sysinit", "emergency", "rescue" };
	unit(route, revert, plan_revert_unit(route->plan->confirm_seconds, route->arena),
	        "take the change back by itself unless it is confirmed");
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
		wanted_by(route, revert, targets[i]);
	unit(route, resume, plan_resume_unit(route->arena), "go on after the reboot, before guests start");
	wanted_by(route, resume, "multi-user");
}

static void stop_all(struct route *route)
{
	const struct pve *pve = &route->facts->pve;
	for (size_t i = 0; i < pve->n_guests; i++) {
		const struct guest *guest = &pve->guests[i];
		if (plan_running(guest))
			route_stop(route, check_guest(guest, route->arena), "the node reboots");
		else if (!guest->status)
			route_note(route, "Whether %s runs is not known; the reboot would stop it.",
			        check_guest(guest, route->arena));
	}
	if (pve->guests_known != YES)
		route_lean(route, "node.quorum", "run gpuferry as root on the node",
		        "not every guest could be read, so which ones a reboot stops is not known");
}

static void say_ways_back(struct route *route)
{
	long long seconds = (long long)route->plan->confirm_seconds;
	route_note(route,
	        "The way back if the node does not come up as it should: at the boot menu press e, add gpuferry=off "
	        "to the kernel's line and boot; gpuferry's own early pieces then do nothing.");
	route_note(route,
	        "After the reboot the change takes itself back and reboots once more unless it is confirmed within "
	        "%lld seconds (gpuferry apply --confirm); a further boot before that takes it back at once. This "
	        "happens at any time of the day: it does not wait for the window.",
	        seconds);
	route_note(route, "The reboot stops every guest of this node; those that start with the node come back by "
	                  "themselves.");
}

static void finish_reboot(struct route *route)
{
	struct plan *plan = route->plan;
	plan->reboots = 1;
	plan->confirm_seconds =
	        route->goal->confirm_seconds == UNKNOWN_NUMBER ? CONFIRM_SECONDS : route->goal->confirm_seconds;
	units(route);
	struct step *step = route_step(
	        route, PHASE_REBOOT, "reboot", "node", "boot", "old", "new", route->reboot_because, "reboot the node");
	step->interrupts = "every guest of the node";
	step->stops_guest = true;
	route_step(route, PHASE_CONFIRM, "confirm", "node", "change", "open", "confirmed", route->reboot_because,
	        "wait for the confirmation: gpuferry apply --confirm");
	stop_all(route);
	say_ways_back(route);
}

/* ---- the guest's restart ---- */

static void finish_restart(struct route *route)
{
	const char *because = route->restart_because, *on = route->on;
	if (!plan_running(route->guest))
		return;
	if (!route->reboot_because) {
		struct step *stop = route_step(route, PHASE_STOP, "power", on, "state", "running", "stopped", because,
		        "shut %s down gently", on);
		stop->interrupts = arena_printf(route->arena, "%s, until it has started again", on);
		stop->stops_guest = true;
		route_stop(route, on, route->restart_why);
	}
	route_step(route, PHASE_START, "power", on, "state", "stopped", "running", because, "start %s", on);
}

/* ---- order ---- */

static void order(struct route *route)
{
	struct plan *plan = route->plan;
	for (enum phase phase = PHASE_STOP; phase < PHASES; phase++)
		for (size_t i = 0; i < route->n_steps; i++)
			if (route->steps[i]->phase == phase)
				*arena_push(route->arena, plan->steps, plan->n) = route->steps[i]->step;
}

/* What a change leans on hinders nothing where there is no change. */
static void settle(struct route *route)
{
	struct plan *plan = route->plan;
	for (size_t i = 0; i < route->n_leaning; i++) {
		const struct refusal *lean = &route->leaning[i];
		if (plan->n)
			*arena_push(route->arena, plan->refused, plan->n_refused) = *lean;
		else
			route_note(route, "%s: %s.", lean->rule, lean->why);
	}
	if (plan->n)
		return;
	plan->n_gates = plan->n_guest_stops = plan->n_warnings = 0;
}

void route_finish(struct route *route)
{
	const struct boot *boot = &route->facts->boot;
	if (route->n_image)
		finish_images(route);
	bool copy = route->n_image && boot->proxmox_boot_tool == YES;
	if (route->words.n || route->menu_because || copy)
		loader_finish(route, copy);
	if (route->reboot_because)
		finish_reboot(route);
	if (route->restart_because)
		finish_restart(route);
	order(route);
	settle(route);
}
