/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The GPU on the node: what it can do, whom it would take along, and whether it can be handed over or shared.
 * The checks are named card_, because gpu_ belongs to facts/gpu.h.
 */
#include <string.h>

#include "facts/predict.h"
#include "rules/check.h"

static const struct {
	const char *name;
	unsigned bit;
} codec_names[] = { { "h264", CODEC_H264 }, { "hevc", CODEC_HEVC }, { "hevc10", CODEC_HEVC10 }, { "av1", CODEC_AV1 },
	{ "av1_10", CODEC_AV1_10 } };

static unsigned codec_bit(const char *name)
{
	for (size_t i = 0; i < sizeof codec_names / sizeof *codec_names; i++)
		if (!strcmp(codec_names[i].name, name))
			return codec_names[i].bit;
	return 0;
}

static const char *model_name(const struct gpu *gpu)
{
	return gpu->model.generation ? gpu->model.generation : "this GPU";
}

static enum verdict card_encoder(const struct scene *scene, struct answer *answer)
{
	const struct gpu_model *model = &scene->gpu->model;
	if (model->engine && !*model->engine) {
		answer_step(answer, "use another GPU for encoding; this one may still decode");
		return answer_broken(answer, "%s has no video encoder", model_name(scene->gpu));
	}
	if (!model->engine || model->encode_known != YES)
		return answer_unknown(answer, "which encoders %s has is not in the table",
		        check_device(scene->gpu->pci, answer->arena));
	const char *codecs = gpu_codecs_text(model->encode, answer->arena);
	const struct words *preferred = &scene->goal->prefer;
	struct words wanted = { 0 };
	bool fits = false;
	for (size_t i = 0; i < preferred->n; i++) {
		unsigned bit = codec_bit(preferred->word[i]);
		if (bit) /* else it is a way to encode, which a card's ids do not tell */
			*arena_push(answer->arena, wanted.word, wanted.n) = preferred->word[i];
		fits |= model->encode & bit;
	}
	if (fits || !wanted.n)
		return answer_ok(answer, "%s encodes %s (%s)", model_name(scene->gpu), codecs, model->engine);
	answer_step(answer, "in the goal prefer one of: %s", codecs);
	return answer_broken(answer, "%s cannot encode %s; it encodes %s", model_name(scene->gpu),
	        text_join(&wanted, " or ", answer->arena), codecs);
}

#define BAR_SMALL ((uint64_t)256 << 20) /* what a card shows without resizable BAR */

static enum verdict card_rebar(const struct scene *scene, struct answer *answer)
{
	const struct pci_device *pci = scene->gpu->pci;
	if (scene->gpu->model.needs_rebar != YES)
		return answer_none();
	if (pci->bars_known != YES)
		return answer_unknown(answer, "the card's BARs could not be read");
	uint64_t largest = 0;
	for (unsigned i = 0; i < PCI_BARS; i++)
		if (pci->bar[i].end > pci->bar[i].start && pci->bar[i].end - pci->bar[i].start + 1 > largest)
			largest = pci->bar[i].end - pci->bar[i].start + 1;
	if (largest > BAR_SMALL)
		return answer_ok(answer, "the card's largest BAR is %llu MiB", (unsigned long long)(largest >> 20));
	answer_step(answer,
	        "in the BIOS enable Above 4G Decoding and Resizable BAR, and switch CSM off (first be sure "
	        "that the node boots by UEFI: [ -d /sys/firmware/efi ]; without CSM a node that boots by BIOS "
	        "does not start)");
	return answer_broken(answer,
	        "the card's largest BAR is %llu MiB: %s needs Resizable BAR, without it the media driver "
	        "crashes",
	        (unsigned long long)(largest >> 20), model_name(scene->gpu));
}

static enum verdict card_acs(const struct scene *scene, struct answer *answer)
{
	const struct boot *boot = &scene->facts->boot;
	if (!boot->cmdline)
		return answer_unknown(
		        answer, "/proc/cmdline could not be read: groups may be split by an ACS override");
	const char *value = boot_cmdline_value(boot->cmdline, "pcie_acs_override", answer->arena);
	if (!value)
		return answer_ok(answer, "groups are as the hardware isolates: no ACS override");
	step_cmdline_remove(answer, boot, arena_printf(answer->arena, "pcie_acs_override=%s", value));
	answer_step(answer, "then look at the card's true group again: gpuferry inspect");
	answer_step(answer, "if you know the risk and take it, write accept: [gpu.acs] into the goal");
	return answer_broken(answer,
	        "pcie_acs_override=%s splits groups on paper only: the card in the VM could still reach "
	        "the memory of its neighbours",
	        value);
}

static const char *others_text(const struct gpu *gpu, struct arena *arena)
{
	struct words shown = { 0 };
	for (size_t i = 0; i < gpu->n_group_others && i < 12; i++) {
		const struct pci_device *other = gpu->group_others[i];
		*arena_push(arena, shown.word, shown.n) =
		        arena_printf(arena, "%s (driver %s)", check_device(other, arena),
		                !other->driver   ? "unknown"
		                : *other->driver ? other->driver
		                                 : "none");
	}
	size_t more = gpu->n_group_others - shown.n;
	if (more)
		*arena_push(arena, shown.word, shown.n) = arena_printf(arena, "%zu more", more);
	return text_join(&shown, ", ", arena);
}

/* A member of the card's group or slot that the node lives on; the console is asked about elsewhere. */
static const struct need *lost_need(const struct scene *scene)
{
	const struct gpu *gpu = scene->gpu;
	const struct need *need = NULL;
	for (size_t i = 0; i < gpu->n_group_others && !need; i++)
		need = check_need(scene->facts, gpu->group_others[i]->address);
	for (size_t i = 0; i < gpu->n_functions && !need; i++)
		if (gpu->functions[i] != gpu->pci)
			need = check_need(scene->facts, gpu->functions[i]->address);
	return need;
}

static enum verdict card_group_needs(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	const struct facts *facts = scene->facts;
	const struct need *need = lost_need(scene);
	if (need) {
		answer_step(answer,
		        "move the card to another slot, or the other device, so that they no longer share a group; a "
		        "BIOS setting ACS may split the group truly");
		answer_step(answer, "or share the GPU with a CT: that needs no group");
		return answer_broken(answer, "with the card the node would lose %s (%s), because they share a group",
		        need->what, need->pci);
	}
	if (gpu->group_state == GROUP_UNKNOWN)
		return answer_unknown(answer, "the card's group is not known");
	if (!gpu->n_group_others)
		return answer_ok(answer, "nothing that the node needs is in the card's group");
	if (facts->root_disk_known != YES || facts->management_known != YES)
		return answer_unknown(answer, "the group is shared, and what the node's %s hangs on is not known",
		        facts->root_disk_known != YES ? "root disk" : "network");
	return answer_ok(answer, "neither the root disk nor the management network is in the card's group");
}

static enum verdict card_group(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	const char *group = gpu->pci->iommu_group ? gpu->pci->iommu_group : "?";
	if (gpu->group_state == GROUP_UNKNOWN)
		return answer_unknown(answer, "the card's IOMMU group could not be read");
	if (gpu->group_state != GROUP_SHARED)
		return answer_ok(answer, "group %s holds only this card", group);
	answer_step(answer, "move the card to a slot that hangs on the CPU, or enable ACS in the BIOS, and look again");
	answer_step(answer, "or share the GPU with a CT: that needs no group");
	answer_step(answer, "if the node can do without all of them, write accept: [gpu.group] into the goal");
	return answer_broken(answer,
	        "group %s also holds %s: Proxmox takes all of them from the node when the VM starts", group,
	        others_text(gpu, answer->arena));
}

static bool held_by_vm(const struct facts *facts, const struct pci_device *device, struct arena *arena)
{
	for (size_t i = 0; i < facts->pve.n_guests; i++)
		if (facts->pve.guests[i].kind == GUEST_VM &&
		        pve_guest_has(&facts->pve, &facts->pve.guests[i], device, arena))
			return true;
	return false;
}

/* YES: another display device stays with the node; one that a VM has or gets does not count. */
static enum tri other_display(const struct scene *scene, struct arena *arena)
{
	const struct facts *facts = scene->facts;
	enum tri found = NO;
	for (size_t i = 0; i < facts->n_gpus; i++) {
		const struct pci_device *other = facts->gpus[i].pci;
		if (other == scene->gpu->pci || check_on_vfio(other) || held_by_vm(facts, other, arena) ||
		        check_vfio_ids(&facts->boot, other, arena))
			continue;
		if (!other->driver || (facts->pve.here != NO && facts->pve.guests_known != YES))
			found = UNKNOWN; /* vfio-pci, or a VM that could not be read, may have it */
		else
			return YES;
	}
	return found;
}

static bool managed_by_network(const struct facts *facts)
{
	for (size_t i = 0; i < facts->n_needs; i++)
		if (facts->needs[i].kind == NEED_MANAGEMENT_NIC)
			return true;
	return false;
}

static enum verdict card_only_console(const struct scene *scene, struct answer *answer)
{
	const struct facts *facts = scene->facts;
	if (facts->host.serial_console == YES)
		return answer_ok(answer, "a serial console is active");
	enum tri other = other_display(scene, answer->arena);
	if (other == YES)
		return answer_ok(answer, "another display device stays with the node");
	if (facts->gpus_known != YES || other == UNKNOWN)
		return answer_unknown(answer, "whether another display device stays with the node could not be read");
	answer_step(
	        answer, "make a second way in before the card leaves: a serial console, IPMI, or a second cheap GPU");
	answer_step(
	        answer, "keep a rescue stick at hand: its boot menu lets you add a kernel word when the node is mute");
	if (managed_by_network(facts))
		return answer_warn(answer,
		        "this is the node's only display device: once the VM has it, the node's screen is dark, and "
		        "the node is reached over the network or not at all");
	if (facts->management_known != YES || facts->host.serial_console == UNKNOWN)
		return answer_unknown(answer,
		        "this is the node's only display device, and whether it can be reached otherwise "
		        "is not known");
	return answer_broken(answer, "this is the node's only console, and it has no other way in");
}

static const struct pci_device *twin_of(const struct scene *scene, struct arena *arena)
{
	const struct facts *facts = scene->facts;
	for (size_t f = 0; f < scene->gpu->n_functions; f++) {
		const struct pci_device *function = scene->gpu->functions[f];
		if (function->vendor == UNKNOWN_NUMBER || !check_vfio_ids(&facts->boot, function, arena))
			continue;
		for (size_t i = 0; i < facts->pci.n; i++) {
			const struct pci_device *other = &facts->pci.devices[i];
			if (other->vendor == function->vendor && other->device == function->device &&
			        !pci_same_slot(other, function) && check_vfio_ids(&facts->boot, other, arena))
				return other;
		}
	}
	return NULL;
}

static enum verdict card_twins(const struct scene *scene, struct answer *answer)
{
	const struct facts *facts = scene->facts;
	if (facts->boot.modprobe.known != YES || facts->pci.known != YES)
		return answer_unknown(answer, "%s could not be read whole",
		        facts->pci.known != YES ? "the PCI devices" : "/etc/modprobe.d");
	const struct pci_device *twin = twin_of(scene, answer->arena);
	if (!twin)
		return answer_ok(answer, "no other device is bound along with this card by its ids");
	answer_step(answer, "take the ids %04x:%04x out of ids= in /etc/modprobe.d and off the command line",
	        (unsigned)twin->vendor, (unsigned)twin->device);
	answer_step(answer,
	        "leave the binding to Proxmox, which takes the card by its address when the VM starts; or bind by "
	        "address with driver_override (package driverctl)");
	step_initramfs(answer, &facts->boot);
	const struct need *need = check_need(facts, twin->address);
	if (need && need->kind != NEED_CONSOLE)
		return answer_broken(answer, "ids= also binds the like device %s, and the node needs it: %s",
		        twin->address, need->what);
	if (held_by_vm(facts, twin, answer->arena))
		return answer_ok(answer, "ids= also binds the like device %s, which a VM holds too", twin->address);
	return answer_warn(answer, "ids= also binds the like device %s: vfio-pci knows cards by their ids only",
	        check_device(twin, answer->arena));
}

static const struct kernel *next_kernel(const struct boot *boot)
{
	return boot->kernel_next && *boot->kernel_next ? boot_kernel(boot, boot->kernel_next) : NULL;
}

static enum verdict card_builtin_vfio(const struct scene *scene, struct answer *answer)
{
	const struct boot *boot = &scene->facts->boot;
	if (!modprobe_option(&boot->modprobe, "vfio_pci", "ids")) {
		if (boot->modprobe.known != YES)
			return answer_unknown(answer, "/etc/modprobe.d could not be read");
		return answer_ok(answer, "no option of vfio-pci hangs on it");
	}
	const struct kernel *kernel = next_kernel(boot);
	if (!kernel || kernel->builtin_known != YES)
		return answer_unknown(answer, "what is built into the kernel that boots next is not known");
	if (!check_has(&kernel->builtin, "vfio_pci"))
		return answer_ok(answer, "vfio-pci is a module of kernel %s, so its options count", kernel->version);
	const char *list = check_vfio_list(boot, answer->arena);
	if (boot->cmdline_next && boot_cmdline_value(boot->cmdline_next, "vfio-pci.ids", answer->arena))
		return answer_ok(answer, "vfio-pci is built in, and its ids stand on the command line");
	if (!boot->cmdline_next)
		return answer_unknown(answer,
		        "vfio-pci is built into kernel %s; whether the next command line names its "
		        "ids is not known",
		        kernel->version);
	step_cmdline_add(answer, boot, arena_printf(answer->arena, "vfio-pci.ids=%s", list ? list : "VENDOR:DEVICE"));
	return answer_warn(answer, "vfio-pci is built into kernel %s: the options in /etc/modprobe.d have no effect",
	        kernel->version);
}

/* The first driver that would take the card before vfio-pci does. */
static const char *wins_over_vfio(const struct scene *scene, struct arena *arena)
{
	const struct modprobe *modprobe = &scene->facts->boot.modprobe;
	struct words drivers = check_drivers(scene->gpu, arena);
	for (size_t i = 0; i < drivers.n; i++) {
		const char *driver = drivers.word[i];
		bool present = strcmp(driver, "nvidia") != 0 ||
		               (scene->facts->drm.nvidia_module_version && *scene->facts->drm.nvidia_module_version);
		if (present && !modprobe_blacklisted(modprobe, driver) &&
		        !modprobe_softdep(modprobe, driver, "vfio_pci") &&
		        !modprobe_softdep(modprobe, driver, "vfio-pci"))
			return driver;
	}
	return NULL;
}

static enum verdict card_early_bind(const struct scene *scene, struct answer *answer)
{
	const struct facts *facts = scene->facts;
	const char *driver = scene->gpu->pci->driver;
	if (facts->boot.modprobe.known != YES)
		return answer_unknown(answer, "/etc/modprobe.d could not be read");
	if (!check_vfio_ids(&facts->boot, scene->gpu->pci, answer->arena))
		return answer_ok(answer, "the card is not bound early; Proxmox binds it when the VM starts");
	const char *winner = wins_over_vfio(scene, answer->arena);
	if (!winner && driver && !strcmp(driver, "vfio-pci"))
		return answer_ok(answer, "ids= names the card and vfio-pci has it");
	if (winner)
		answer_step(answer, "echo 'softdep %s pre: vfio-pci' >> /etc/modprobe.d/vfio.conf", winner);
	step_initramfs(answer, &facts->boot);
	answer_step(answer, "reboot the node when its guests may stop");
	if (winner)
		return answer_warn(answer,
		        "ids= names the card, but nothing makes %s wait for vfio-pci: whichever loads first wins%s",
		        winner, driver && !strcmp(driver, "vfio-pci") ? " (this time it was vfio-pci)" : "");
	if (!driver)
		return answer_unknown(answer, "ids= names the card; which driver has it could not be read");
	return answer_warn(answer, "ids= names the card, yet %s has it: the settings are not in effect",
	        *driver ? driver : "no driver");
}

/* ---- handing over ---- */

/* Does vendor:device name a device of another slot too? Unknown counts as yes: ids= would take it. */
static bool ids_ambiguous(const struct facts *facts, const struct pci_device *device)
{
	for (size_t i = 0; i < facts->pci.n; i++) {
		const struct pci_device *other = &facts->pci.devices[i];
		if (!pci_same_slot(other, device) && other->vendor == device->vendor && other->device == device->device)
			return true;
	}
	return facts->pci.known != YES;
}

/* Binds the card early: by ids where they name this card alone, else by address. An integrated GPU's neighbours of the
 * same slot (USB, security processor) are not its functions. */
static void step_early_bind(struct answer *answer, const struct facts *facts, const struct gpu *gpu)
{
	struct words ids = { 0 };
	bool ambiguous = false;
	for (size_t i = 0; i < gpu->n_functions; i++) {
		const struct pci_device *function = gpu->functions[i];
		if (function != gpu->pci && gpu->model.integrated != NO && !check_vendor(gpu, "nvidia"))
			continue;
		ambiguous |= ids_ambiguous(facts, function);
		*arena_push(answer->arena, ids.word, ids.n) = arena_printf(
		        answer->arena, "%04x:%04x", (unsigned)function->vendor, (unsigned)function->device);
	}
	if (ambiguous) {
		answer_step(answer,
		        "bind it by its address, because a like device has the same ids: apt install driverctl, then "
		        "driverctl --noprobe set-override %s vfio-pci   (--noprobe: the driver keeps it until the "
		        "reboot)",
		        gpu->pci->address);
		answer_step(answer, "reboot the node when its guests may stop");
		return;
	}
	answer_step(answer,
	        "bind the card to vfio-pci from the next boot on, in /etc/modprobe.d/vfio.conf: options vfio-pci "
	        "ids=%s, "
	        "and one line for each driver it has now: softdep %s pre: vfio-pci",
	        text_join(&ids, ",", answer->arena),
	        gpu->pci->driver && *gpu->pci->driver ? gpu->pci->driver : "DRIVER");
	step_initramfs(answer, &facts->boot);
	answer_step(answer, "reboot the node when its guests may stop");
}

/* What is configured gives the card to vfio-pci at the next boot. */
static bool bound_early(const struct scene *scene, struct arena *arena)
{
	struct prediction prediction;
	predict_boot(scene->facts, false, arena, &prediction);
	const struct predicted *next = predict_device(&prediction, scene->gpu->pci->address);
	return next && next->driver && !strcmp(next->driver, "vfio-pci");
}

bool check_on_vfio(const struct pci_device *device)
{
	return device->driver && !strcmp(device->driver, "vfio-pci");
}

static enum verdict card_audio(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	const struct pci_device *audio = NULL;
	for (size_t i = 0; i < gpu->n_functions && !audio; i++)
		if (gpu->functions[i]->class_code != UNKNOWN_NUMBER && gpu->functions[i]->class_code >> 8 == 0x0403)
			audio = gpu->functions[i];
	if (!audio)
		return answer_none();
	if (!audio->driver || !gpu->pci->driver)
		return answer_unknown(
		        answer, "the drivers of %s and %s could not be read", gpu->pci->address, audio->address);
	if (check_on_vfio(audio) == check_on_vfio(gpu->pci) || !*audio->driver)
		return answer_ok(answer, "the card and its audio function %s go together", audio->address);
	if (ids_ambiguous(scene->facts, gpu->pci) || ids_ambiguous(scene->facts, audio))
		answer_step(answer,
		        "leave both to Proxmox, which binds them by their group when the VM starts: take their "
		        "ids out of /etc/modprobe.d, because like devices have the same ones");
	else
		answer_step(answer,
		        "name both in /etc/modprobe.d/vfio.conf, or neither and let Proxmox bind them: "
		        "options vfio-pci ids=%04x:%04x,%04x:%04x",
		        (unsigned)gpu->pci->vendor, (unsigned)gpu->pci->device, (unsigned)audio->vendor,
		        (unsigned)audio->device);
	answer_step(answer, "echo 'softdep snd_hda_intel pre: vfio-pci' >> /etc/modprobe.d/vfio.conf");
	step_initramfs(answer, &scene->facts->boot);
	return answer_warn(answer, "half bound: %s has %s, its audio function %s has %s", gpu->pci->address,
	        *gpu->pci->driver ? gpu->pci->driver : "no driver", audio->address, audio->driver);
}

static const char *framebuffer_on_bar(const struct gpu *gpu)
{
	static const char *const owners[] = { "BOOTFB", "simplefb", "simpledrm", "simple-framebuffer", "efifb",
		"vesafb", "VESA VGA", "EFI VGA", "efi-framebuffer", "vesa-framebuffer", NULL };
	for (size_t i = 0; i < gpu->bar_owners.n; i++)
		for (const char *const *owner = owners; *owner; owner++)
			if (text_starts(gpu->bar_owners.word[i], *owner))
				return *owner;
	return NULL;
}

static enum verdict card_boot_framebuffer(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	const struct boot *boot = &scene->facts->boot;
	const char *owner = framebuffer_on_bar(gpu);
	if (!owner && gpu->bar_owners_known != YES && gpu->boot_display != NO) {
		answer_step(answer, "run gpuferry as root: /proc/iomem shows addresses only to root");
		return answer_unknown(answer, "who sits in the card's memory could not be read from /proc/iomem");
	}
	if (!owner)
		return answer_ok(answer, "the firmware's screen does not sit in the card's memory");
	answer_step(answer,
	        "best: in the BIOS make another GPU the first display (the CPU's graphics, or the board's own)");
	step_cmdline_add(answer, boot, "initcall_blacklist=sysfb_init");
	answer_step(answer,
	        "mind: the node then shows nothing on this card's output after the boot menu; where simpledrm is "
	        "built in (seen with 6.18) even this word did not free the card");
	if (check_on_vfio(gpu->pci))
		return answer_broken(answer,
		        "vfio-pci has the card, but the firmware's screen (%s) still sits in its memory: "
		        "\"BAR 0: can't reserve\"",
		        owner);
	if (check_older(boot->kernel, "6.0") == YES)
		return answer_broken(answer,
		        "the firmware's screen (%s) sits in the card's memory, and kernel %s does not move it "
		        "away for vfio-pci",
		        owner, boot->kernel);
	return answer_warn(
	        answer, "the firmware's screen (%s) sits in the card's memory; vfio-pci may not get it free", owner);
}

static bool running_with(const struct scene *scene)
{
	return scene->guest && scene->guest->status && !strcmp(scene->guest->status, "running") &&
	       check_on_vfio(scene->gpu->pci);
}

static enum verdict card_release(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	if (!gpu->pci->driver)
		return answer_unknown(answer, "which driver has the card could not be read");
	if (check_on_vfio(gpu->pci) || !*gpu->pci->driver)
		return answer_ok(
		        answer, "%s", check_on_vfio(gpu->pci) ? "vfio-pci has the card" : "no driver has the card");
	if (gpu->hot_release == YES)
		return answer_ok(answer, "%s has the card and can let go of it", gpu->pci->driver);
	const char *why = gpu->hot_why && *gpu->hot_why ? gpu->hot_why : "the reason is not known";
	if (text_starts(why, "not known: "))
		why += strlen("not known: ");
	if (gpu->hot_release == UNKNOWN)
		return answer_unknown(
		        answer, "whether %s can let go of the card is not known: %s", gpu->pci->driver, why);
	if (bound_early(scene, answer->arena)) {
		answer_step(answer, "reboot the node when its guests may stop: vfio-pci then takes the card first");
		return answer_warn(answer,
		        "%s still has the card (%s); it is set up for vfio-pci, which gets it at the next "
		        "boot",
		        gpu->pci->driver, why);
	}
	answer_step(answer, "either end what uses the card (players, monitors, docker containers, CTs, "
	                    "nvidia-persistenced) before the VM starts; a boot display can be moved to another GPU in "
	                    "the BIOS");
	answer_step(answer, "or let the node boot without it, which takes one reboot:");
	step_early_bind(answer, scene->facts, gpu);
	if (strcmp(gpu->pci->driver, "nvidia") != 0)
		return answer_warn(
		        answer, "%s may fail when the VM's start takes the card from it: %s", gpu->pci->driver, why);
	answer_step(answer, "do not start a VM that has the card before that: nvidia waits for its users, cannot be "
	                    "killed, and only a reboot helps");
	if (!held_by_vm(scene->facts, gpu->pci, answer->arena)) /* nothing will take it: it takes one reboot, no more */
		return answer_warn(
		        answer, "nvidia cannot let go of the card now: %s; giving it to a VM takes a reboot", why);
	return answer_broken(answer,
	        "nvidia cannot let go of the card now: %s; a VM is configured for it, and its start would hang", why);
}

static enum verdict card_reset(const struct scene *scene, struct answer *answer)
{
	const char *methods = scene->gpu->pci->reset_methods;
	if (!methods)
		return answer_unknown(answer, "how the card can be reset could not be read");
	if (*methods)
		return answer_ok(answer, "the card can be reset: %s", methods);
	answer_step(
	        answer, "test it: start the VM, shut it down, start it again; both times the card must work inside");
	answer_step(answer,
	        "if the second start fails, only a reboot of the node brings the card back: shut the VM down rarely");
	return answer_warn(answer,
	        "the kernel knows no way to reset the card: \"failed to reset PCI device\" is then only a "
	        "warning, but a second start of the VM may fail");
}

/* What is known of whole families; the test that proves or disproves it is the same for all. */
static const struct reset_bug {
	const char *vendor;
	const char *generation;
	const char *what;
} reset_bugs[] = {
	{ "amd", "*Polaris*",
	        "the second start of a VM often fails; vendor-reset helps on kernels it builds for (not 6.12)" },
	{ "amd", "*Vega*",
	        "the second start of a VM often fails; vendor-reset helps on kernels it builds for (not 6.12)" },
	{ "amd", "Navi 1?",
	        "the second start of a VM often fails; vendor-reset helps on kernels it builds for (not 6.12)" },
	{ "nvidia", "*Blackwell*", "the first start works, the second may leave the card dead until the node reboots" },
	{ "intel", "*Skylake*", "resetting the integrated GPU can hang the node (\"not ready 1023ms after FLR\")" },
	{ "intel", "*Kaby Lake*", "resetting the integrated GPU can hang the node (\"not ready 1023ms after FLR\")" },
	{ "intel", "*Coffee Lake*", "resetting the integrated GPU can hang the node (\"not ready 1023ms after FLR\")" },
	{ "intel", "*Comet Lake*", "resetting the integrated GPU can hang the node (\"not ready 1023ms after FLR\")" },
	{ "intel", "*Rocket Lake*", "resetting the integrated GPU can hang the node on 500-series boards" },
};

static enum verdict card_reset_bug(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	if (check_vendor(gpu, "other"))
		return answer_none();
	if (!gpu->model.generation)
		return answer_unknown(answer, "the card's generation is not in the table");
	if (check_vendor(gpu, "amd") && gpu->model.integrated == YES) {
		answer_step(answer, "test it: start the VM, shut it down, start it again; or share it with a CT");
		return answer_warn(answer, "%s: integrated AMD graphics often fail at the second start of a VM",
		        gpu->model.generation);
	}
	for (size_t i = 0; i < sizeof reset_bugs / sizeof *reset_bugs; i++) {
		if (!check_vendor(gpu, reset_bugs[i].vendor) ||
		        !text_matches(reset_bugs[i].generation, gpu->model.generation))
			continue;
		answer_step(answer,
		        "test it when a reboot of the node would not hurt: start the VM, shut it down, start it again; "
		        "both times the card must work inside");
		return answer_warn(answer, "%s: %s", gpu->model.generation, reset_bugs[i].what);
	}
	return answer_ok(answer, "no reset trouble is known of %s", gpu->model.generation);
}

static enum verdict card_power(const struct scene *scene, struct answer *answer)
{
	const char *state = scene->gpu->pci->power_state;
	if (!state)
		return answer_unknown(answer, "the card's power state could not be read");
	if (strcmp(state, "D3cold") != 0 || running_with(scene))
		return answer_ok(answer, "the card is in %s", *state ? state : "an unnamed power state");
	answer_step(answer, "keep it awake: echo 'options vfio-pci disable_idle_d3=1' >> /etc/modprobe.d/vfio.conf");
	step_initramfs(answer, &scene->facts->boot);
	answer_step(answer, "if it does not wake up (\"Unable to change power state from D3cold to D0\"): power the "
	                    "node off and on, "
	                    "and switch ASPM off in the BIOS");
	return answer_warn(answer, "the card sleeps without power (D3cold); some cards do not wake up for a VM");
}

/* ---- the next boot ---- */

static const char *rivals_text(const struct predicted *next, struct arena *arena)
{
	return next->rivals.n ? text_join(&next->rivals, " or ", arena) : "another driver";
}

/* Can Proxmox's rebind at the VM's start take it from the driver that the next boot gives it to? What was seen of the
 * same driver counts; of another one only that it does not show the node's screen. */
static enum tri taken_later(const struct gpu *gpu, const char *driver)
{
	if (gpu->pci->driver && !strcmp(gpu->pci->driver, driver))
		return gpu->hot_release;
	if (!strcmp(driver, "nvidia"))
		return UNKNOWN;
	return gpu->boot_display == UNKNOWN ? UNKNOWN : tri_of(gpu->boot_display == NO);
}

/* The worst of those that may get it. */
static enum tri all_taken_later(const struct gpu *gpu, const struct predicted *next)
{
	enum tri ret = YES;
	for (size_t i = 0; i < next->rivals.n; i++) {
		const char *rival = next->rivals.word[i];
		enum tri one = !strcmp(rival, "vfio-pci") ? YES : taken_later(gpu, rival);
		ret = one == NO || ret == NO ? NO : one == UNKNOWN ? UNKNOWN : ret;
	}
	return ret;
}

static void step_next_boot(const struct scene *scene, struct answer *answer, const struct predicted *next)
{
	const struct boot *boot = &scene->facts->boot;
	const char *own = next->rivals.n ? next->rivals.word[0] : next->driver;
	const char *why = next->why ? next->why : "";
	if (strstr(why, "built into"))
		answer_step(answer, "see gpu.builtin-vfio: name the ids on the command line");
	else if (!strstr(why, "older than") && scene->vm && own && *own)
		answer_step(answer, "echo 'softdep %s pre: vfio-pci' >> /etc/modprobe.d/vfio.conf", own);
	else if (!strstr(why, "older than") && check_vendor(scene->gpu, "nvidia") && own && !strcmp(own, "nouveau"))
		answer_step(answer,
		        "look whether NVIDIA's module was built for kernel %s (dkms status; it needs that kernel's "
		        "headers), and keep nouveau away: blacklist nouveau in /etc/modprobe.d",
		        boot->kernel_next && *boot->kernel_next ? boot->kernel_next : "that boots next");
	else if (!strstr(why, "older than"))
		answer_step(answer,
		        "take the card's ids and the blacklist of its driver out of /etc/modprobe.d and off the "
		        "command line");
	step_initramfs(answer, boot);
	answer_step(answer, "look at it before the reboot: gpuferry verify");
}

static enum verdict next_boot_vm(
        const struct scene *scene, struct answer *answer, const struct predicted *next, bool blind)
{
	const struct gpu *gpu = scene->gpu;
	if (!blind && !next->meant && !next->driver && check_on_vfio(gpu->pci))
		return answer_ok(answer, "nothing is set for the next boot; Proxmox takes the card when the VM starts, "
		                         "as it did at this one");
	if (!next->driver && !next->rivals.n)
		return answer_unknown(answer, "which driver the next boot gives the card to is not known: %s",
		        next->why ? next->why : "reason unknown");
	if (next->driver && (!strcmp(next->driver, "vfio-pci") || !strcmp(next->driver, "pci-stub")))
		return answer_ok(answer, "the next boot gives the card to %s: %s", next->driver, next->why);
	if (next->driver && !*next->driver)
		return answer_ok(answer,
		        "the next boot gives the card to no driver (%s); Proxmox binds it when the VM "
		        "starts",
		        next->why);
	const char *drivers = next->driver ? next->driver : rivals_text(next, answer->arena);
	enum tri taken = next->driver ? taken_later(gpu, next->driver) : all_taken_later(gpu, next);
	if (taken == YES || (!next->meant && check_on_vfio(gpu->pci)))
		return answer_ok(answer,
		        "the next boot gives the card to %s, and Proxmox takes it from there when the VM starts",
		        drivers);
	if (!next->meant)
		return answer_none(); /* nothing is set for it, and whether it lets go is gpu.release's question */
	if (taken == UNKNOWN)
		return answer_unknown(answer,
		        "the next boot gives the card to %s (%s); whether that lets go of it for the VM is not known",
		        drivers, next->why);
	step_next_boot(scene, answer, next);
	return next->driver
	               ? answer_broken(answer, "the next boot will bind %s and not vfio-pci: %s", drivers, next->why)
	               : answer_broken(answer, "the next boot may bind %s: %s", drivers, next->why);
}

static bool driver_expected(const struct gpu *gpu, const char *driver, struct arena *arena);

static enum verdict next_boot_ct(const struct scene *scene, struct answer *answer, const struct predicted *next)
{
	const struct gpu *gpu = scene->gpu;
	const char *now = gpu->pci->driver;
	if (next->driver && driver_expected(gpu, next->driver, answer->arena))
		return answer_ok(answer, "the next boot gives the card to %s", next->driver);
	if (now && !driver_expected(gpu, now, answer->arena))
		return answer_none(); /* it is not with the right driver now: that is said elsewhere */
	if (!next->driver && !next->rivals.n)
		return answer_unknown(answer, "which driver the next boot gives the card to is not known: %s",
		        next->why ? next->why : "reason unknown");
	step_next_boot(scene, answer, next);
	if (!next->driver)
		return answer_broken(answer, "the next boot may give the card to %s: %s",
		        rivals_text(next, answer->arena), next->why);
	return answer_broken(answer, "the next boot takes the card from the CT, %s%s gets it: %s",
	        *next->driver ? "" : "no driver", next->driver, next->why);
}

static enum verdict card_next_boot(const struct scene *scene, struct answer *answer)
{
	if (!scene->vm && !scene->ct)
		return answer_none();
	struct prediction prediction;
	predict_boot(scene->facts, false, answer->arena, &prediction);
	const struct predicted *next = predict_device(&prediction, scene->gpu->pci->address);
	if (!next)
		return answer_unknown(answer, "what the next boot does is not known");
	if (scene->vm && prediction.iommu == NO)
		return answer_none(); /* vfio-pci takes nothing then: node.iommu and node.next-iommu say so */
	/* what is not read decides as much as what is: the copy that boots may hold other settings */
	bool unsure = prediction.blind && next->driver && next->meant;
	if (unsure && scene->vm)
		return answer_unknown(answer, "the next boot gives the card to %s, as far as can be told: %s",
		        *next->driver ? next->driver : "no driver", prediction.blind);
	return scene->vm ? next_boot_vm(scene, answer, next, prediction.blind != NULL)
	                 : next_boot_ct(scene, answer, next);
}

/* ---- sharing with a CT: the node's own driver ---- */

static const char *vm_holder(const struct scene *scene, struct arena *arena)
{
	for (size_t i = 0; i < scene->facts->pve.n_guests; i++) {
		const struct guest *guest = &scene->facts->pve.guests[i];
		if (guest->kind == GUEST_VM && pve_guest_has(&scene->facts->pve, guest, scene->gpu->pci, arena))
			return check_guest(guest, arena);
	}
	return NULL;
}

static enum verdict card_not_vfio(const struct scene *scene, struct answer *answer)
{
	const struct pci_device *pci = scene->gpu->pci;
	if (!pci->driver)
		return answer_unknown(answer, "which driver has the card could not be read");
	if (!check_on_vfio(pci))
		return answer_ok(answer, "the card is not bound to vfio-pci");
	const char *holder = vm_holder(scene, answer->arena);
	if (holder)
		answer_step(answer,
		        "decide: %s has the card now; take the hostpci line out of it, or let it keep the card",
		        holder);
	answer_step(answer,
	        "take ids %04x:%04x, and softdep and blacklist lines of the card's driver, out of /etc/modprobe.d",
	        (unsigned)pci->vendor, (unsigned)pci->device);
	step_initramfs(answer, &scene->facts->boot);
	answer_step(answer,
	        "reboot the node when its guests may stop: the driver then takes the card and /dev/dri comes back");
	return answer_broken(answer,
	        "vfio-pci has the card, for a VM%s%s: so there is no /dev/dri or /dev/nvidia node for a CT",
	        holder ? ": " : "", holder ? holder : "");
}

static enum verdict card_nomodeset(const struct scene *scene, struct answer *answer)
{
	const struct boot *boot = &scene->facts->boot;
	if (!boot->cmdline)
		return answer_unknown(answer, "/proc/cmdline could not be read");
	static const char *const words[] = { "nomodeset", "i915.modeset=0", "amdgpu.modeset=0", NULL };
	for (const char *const *word = words; *word; word++) {
		if (!boot_cmdline_has(boot->cmdline, *word))
			continue;
		step_cmdline_remove(answer, boot, *word);
		return answer_broken(answer, "%s on the command line keeps the graphics drivers from working", *word);
	}
	return answer_ok(answer, "nothing keeps the graphics drivers from loading");
}

static bool driver_expected(const struct gpu *gpu, const char *driver, struct arena *arena)
{
	struct words drivers = check_drivers(gpu, arena);
	return strcmp(driver, "nouveau") != 0 && check_has(&drivers, driver);
}

/* The others that know the card do not take it by themselves (xe wants force_probe), unless one has it now. */
static bool default_lost(const struct gpu *gpu, const struct words *drivers, const struct words *listed)
{
	size_t first = drivers->n && !strcmp(drivers->word[0], "nouveau") ? 1 : 0;
	const char *has = gpu->pci->driver;
	if (first >= drivers->n || !check_has(listed, drivers->word[first]))
		return false;
	bool another = has && *has && check_has(drivers, has) && !check_has(listed, has) && strcmp(has, "nouveau") != 0;
	return !another;
}

static enum verdict card_blacklist(const struct scene *scene, struct answer *answer)
{
	const struct boot *boot = &scene->facts->boot;
	if (boot->modprobe.known != YES)
		return answer_unknown(answer, "/etc/modprobe.d could not be read");
	struct words drivers = check_drivers(scene->gpu, answer->arena), listed = { 0 };
	for (size_t i = 0; i < drivers.n; i++)
		if (strcmp(drivers.word[i], "nouveau") != 0 && modprobe_blacklisted(&boot->modprobe, drivers.word[i]))
			*arena_push(answer->arena, listed.word, listed.n) = drivers.word[i];
	bool ids = check_vfio_ids(boot, scene->gpu->pci, answer->arena);
	bool all = listed.n && default_lost(scene->gpu, &drivers, &listed);
	if (!ids && !all)
		return answer_ok(answer, "no setting takes the card's driver away at the next boot");
	answer_step(answer, "take %s%s%s out of /etc/modprobe.d and off the command line",
	        all ? "the blacklist of " : "", all ? text_join(&listed, " and ", answer->arena) : "",
	        ids ? (all ? " and vfio-pci's ids=" : "vfio-pci's ids= of this card") : "");
	step_initramfs(answer, boot);
	answer_step(answer,
	        "or accept it in the goal: then gpuferry plan comments out what stands in /etc/modprobe.d, and puts it "
	        "back when asked");
	return answer_warn(answer,
	        "left from an older guide: %s; at the next boot the node's driver may not get the card",
	        all ? arena_printf(answer->arena, "%s is blacklisted", text_join(&listed, " and ", answer->arena))
	            : "ids= gives the card to vfio-pci");
}

static enum verdict card_headers(const struct scene *scene, struct answer *answer)
{
	const struct boot *boot = &scene->facts->boot;
	const char *module = scene->facts->drm.nvidia_module_version;
	if (!boot->kernel_next || !*boot->kernel_next)
		return answer_unknown(answer, "which kernel boots next is not known");
	const struct kernel *kernel = boot_kernel(boot, boot->kernel_next);
	if (!kernel || kernel->headers == UNKNOWN)
		return answer_unknown(
		        answer, "whether the headers of kernel %s are installed could not be read", boot->kernel_next);
	if (kernel->headers == YES)
		return answer_ok(answer, "the headers of kernel %s are installed", boot->kernel_next);
	answer_step(answer, "apt install proxmox-default-headers   (or proxmox-headers-%s)", boot->kernel_next);
	answer_step(answer, "look whether the driver was built: dkms status");
	return answer_warn(answer, "the headers of kernel %s are missing: DKMS cannot build NVIDIA's module%s",
	        boot->kernel_next, module && *module ? ", and after the next boot the CT has no GPU" : "");
}

static enum verdict card_secure_boot(const struct scene *scene, struct answer *answer)
{
	const struct facts *facts = scene->facts;
	if (facts->boot.secure_boot == NO)
		return answer_ok(answer, "Secure Boot is off");
	if (facts->drm.nvidia_module_version && *facts->drm.nvidia_module_version)
		return answer_ok(answer, "NVIDIA's module is loaded, so Secure Boot does not keep it out");
	if (facts->boot.secure_boot == UNKNOWN || !facts->drm.nvidia_module_version)
		return answer_unknown(answer, "%s could not be read",
		        facts->boot.secure_boot == UNKNOWN ? "Secure Boot's state"
		                                           : "whether NVIDIA's module is loaded");
	if (facts->boot.dkms_key == YES)
		return answer_ok(answer, "Secure Boot is on, and trusts the key that DKMS signs with");
	answer_step(answer,
	        "enrol DKMS's key: mokutil --import /var/lib/dkms/mok.pub, then confirm it at the console at the next "
	        "boot; or switch Secure Boot off in the BIOS");
	return answer_warn(answer,
	        "Secure Boot is on and NVIDIA's module is not loaded: modules built by DKMS are refused until "
	        "their key is enrolled");
}

static enum verdict card_kernel_floor(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	const char *kernel = scene->facts->boot.kernel;
	if (!gpu->model.kernel_floor)
		return answer_none();
	if (gpu->pci->driver && driver_expected(gpu, gpu->pci->driver, answer->arena))
		return answer_ok(answer, "%s has taken the card", gpu->pci->driver);
	enum tri older = check_older(kernel, gpu->model.kernel_floor);
	if (older == UNKNOWN)
		return answer_unknown(answer, "the running kernel is not known");
	if (older == NO)
		return answer_ok(answer, "kernel %s is not older than %s", kernel, gpu->model.kernel_floor);
	answer_step(answer,
	        "install a newer kernel: apt install proxmox-kernel-6.14 (Proxmox VE 8) or upgrade to Proxmox VE 9");
	return answer_broken(answer, "kernel %s is too old for %s, which needs %s", kernel, model_name(gpu),
	        gpu->model.kernel_floor);
}

static void step_nvidia_driver(struct answer *answer, const struct gpu *gpu)
{
	if (gpu->model.flavour == FLAVOUR_OPEN_ONLY) {
		answer_step(answer,
		        "install NVIDIA's driver from NVIDIA's own repository, with the open module: apt install "
		        "nvidia-open   (%s works with no other, and Debian's own packages are too old for it)",
		        model_name(gpu));
		return;
	}
	answer_step(answer, "install NVIDIA's driver: contrib and non-free in Debian's sources, then apt install "
	                    "--no-install-recommends nvidia-driver nvidia-smi   (it also keeps nouveau away)");
	if (gpu->model.last_branch != UNKNOWN_NUMBER && gpu->model.last_branch > 0)
		answer_step(answer, "%lld is the last branch that knows %s: take none that is newer",
		        (long long)gpu->model.last_branch, model_name(gpu));
}

static enum verdict card_driver(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	const char *driver = gpu->pci->driver;
	if (!driver)
		return answer_unknown(answer, "which driver has the card could not be read");
	if (driver_expected(gpu, driver, answer->arena))
		return answer_ok(answer, "%s has the card", driver);
	struct words drivers = check_drivers(gpu, answer->arena);
	if (!drivers.n && gpu->render)
		return answer_ok(answer, "%s has the card, and %s is its node", driver, gpu->render->path);
	if (!drivers.n)
		return answer_unknown(
		        answer, "which driver %s needs is not in the table", check_device(gpu->pci, answer->arena));
	if (check_vendor(gpu, "nvidia")) {
		answer_step(answer, "on the node: apt install proxmox-default-headers dkms");
		step_nvidia_driver(answer, gpu);
		answer_step(answer,
		        "dkms status must say \"installed\" for the kernel that boots next (%s) before the reboot: "
		        "Debian's 535 does not build for 6.14, its 550 not for 6.17; then take a newer branch",
		        scene->facts->boot.kernel_next && *scene->facts->boot.kernel_next
		                ? scene->facts->boot.kernel_next
		                : "uname -r shows the running one");
		answer_step(answer, "reboot the node when its guests may stop, then: nvidia-smi");
		return answer_broken(answer, "%s has the card; encoding in a CT needs NVIDIA's own driver on the node",
		        *driver ? driver : "no driver");
	}
	answer_step(answer, "load it: modprobe %s; if it fails, dmesg says why", drivers.word[0]);
	answer_step(answer, "look for a blacklist in /etc/modprobe.d");
	return answer_broken(answer, "%s has the card instead of %s, so there is no render node",
	        *driver ? driver : "no driver", text_join(&drivers, " or ", answer->arena));
}

enum verdict check_flavour(struct answer *answer, const struct gpu *gpu, enum tri open)
{
	if (gpu->model.flavour == FLAVOUR_UNKNOWN || open == UNKNOWN)
		return answer_unknown(answer, "%s is not known",
		        open == UNKNOWN ? "whether NVIDIA's module is the open one"
		                        : "which flavour of module the card needs");
	if (open == YES && gpu->model.flavour == FLAVOUR_CLOSED_ONLY) {
		answer_step(answer, "install the closed kernel module (Debian: nvidia-kernel-dkms instead of "
		                    "nvidia-open-kernel-dkms; Ubuntu: the driver package without -open)");
		return answer_broken(answer, "%s has no GSP: NVIDIA's open module cannot drive it", model_name(gpu));
	}
	if (open == NO && gpu->model.flavour == FLAVOUR_OPEN_ONLY) {
		answer_step(answer,
		        "install the open kernel module (Debian: nvidia-open-kernel-dkms; Ubuntu: the driver package "
		        "with -open)");
		return answer_broken(
		        answer, "%s works with NVIDIA's open module only, the closed one is loaded", model_name(gpu));
	}
	return answer_ok(answer, "the %s module fits %s", open == YES ? "open" : "closed", model_name(gpu));
}

enum verdict check_branch(struct answer *answer, const struct gpu *gpu, const char *version, enum tri open)
{
	enum nvidia_flavour flavour = gpu->model.flavour;
	if ((open == YES && flavour == FLAVOUR_CLOSED_ONLY) || (open == NO && flavour == FLAVOUR_OPEN_ONLY))
		return answer_none(); /* the flavour is wrong already: its own rule says so */
	enum tri serves = gpu_driver_serves(&gpu->model, version, open);
	if (serves == YES)
		return answer_ok(answer, "driver %s serves %s", version, model_name(gpu));
	if (serves == UNKNOWN)
		return answer_unknown(answer, "whether driver %s serves %s is not known", version, model_name(gpu));
	if (gpu->model.last_branch != UNKNOWN_NUMBER && gpu->model.last_branch > 0) {
		answer_step(answer,
		        "install the last branch that knows this card: %lld (Ubuntu: nvidia-driver-%lld; Debian: the "
		        "legacy package, or NVIDIA's own installer of that branch), and hold it: apt-mark hold",
		        (long long)gpu->model.last_branch, (long long)gpu->model.last_branch);
		return answer_broken(answer, "driver %s does not serve %s: %lld is the last branch that does", version,
		        model_name(gpu), (long long)gpu->model.last_branch);
	}
	answer_step(answer, "install a newer driver branch");
	return answer_broken(answer, "driver %s is too old for %s", version, model_name(gpu));
}

static enum verdict card_nvidia_flavour(const struct scene *scene, struct answer *answer)
{
	const struct drm *drm = &scene->facts->drm;
	if (drm->nvidia_module_version && !*drm->nvidia_module_version)
		return answer_none();
	return check_flavour(answer, scene->gpu, drm->nvidia_open);
}

static enum verdict card_nvidia_branch(const struct scene *scene, struct answer *answer)
{
	const struct drm *drm = &scene->facts->drm;
	if (drm->nvidia_module_version && !*drm->nvidia_module_version)
		return answer_none();
	if (!drm->nvidia_module_version)
		return answer_unknown(answer, "the version of NVIDIA's module could not be read");
	return check_branch(answer, scene->gpu, drm->nvidia_module_version, drm->nvidia_open);
}

static enum verdict card_kernel_bug(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	const struct boot *boot = &scene->facts->boot;
	if (!gpu->model.generation)
		return answer_unknown(answer, "the card's generation is not in the table");
	if (!boot->kernel)
		return answer_unknown(answer, "the running kernel is not known");
	const struct gpu_kernel_bug *bug = gpu_kernel_bug(gpu->model.generation, boot->kernel);
	const char *kernel = boot->kernel;
	if (!bug && boot->kernel_next && *boot->kernel_next) {
		kernel = boot->kernel_next;
		bug = gpu_kernel_bug(gpu->model.generation, kernel);
	}
	if (!bug)
		return answer_ok(
		        answer, "no trouble of %s with kernel %s is known", gpu->model.generation, boot->kernel);
	answer_step(answer, "install a kernel outside %s to %s, and pin it: proxmox-boot-tool kernel pin VERSION",
	        bug->first, bug->last);
	return answer_warn(answer, "kernel %s with %s: %s (known from %s to %s)", kernel, gpu->model.generation,
	        bug->what, bug->first, bug->last);
}

/* 2 and 3 have the bit that loads HuC (i915_params.c). */
static bool guc_loads_huc(const char *value)
{
	return value && (!strcmp(value, "2") || !strcmp(value, "3"));
}

static enum verdict card_huc(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu = scene->gpu;
	const struct boot *boot = &scene->facts->boot;
	if (gpu->pci->driver && !strcmp(gpu->pci->driver, "xe"))
		return answer_none();
	if (gpu->model.low_power_only == UNKNOWN && gpu->model.huc_by_default == UNKNOWN)
		return answer_unknown(answer, "whether the card needs i915.enable_guc is not in the table");
	if (gpu->model.huc_by_default == YES)
		return answer_ok(answer, "%s loads its HuC firmware by default", model_name(gpu));
	if (gpu->model.low_power_only != YES)
		return answer_ok(answer, "%s encodes without the HuC firmware", model_name(gpu));
	const char *now = scene->facts->drm.enable_guc;
	const char *word = boot->cmdline ? boot_cmdline_value(boot->cmdline, "i915.enable_guc", answer->arena) : NULL;
	const char *set = word ? word : modprobe_option(&boot->modprobe, "i915", "enable_guc");
	if (guc_loads_huc(now) || (!now && guc_loads_huc(word)))
		return answer_ok(answer, "i915.enable_guc=%s loads the HuC firmware", now ? now : word);
	if (guc_loads_huc(set)) {
		step_initramfs(answer, boot);
		answer_step(answer, "reboot the node when its guests may stop");
		if (!now)
			return answer_unknown(answer,
			        "enable_guc=%s is configured; whether it was when i915 was loaded could "
			        "not be read",
			        set);
		return answer_broken(
		        answer, "enable_guc=%s is configured, but i915 runs with %s: a reboot is due", set, now);
	}
	if (!now && (!boot->cmdline || boot->modprobe.known != YES))
		return answer_unknown(answer, "i915's options could not be read");
	answer_step(answer, "echo 'options i915 enable_guc=2' > /etc/modprobe.d/i915.conf");
	step_initramfs(answer, boot);
	answer_step(answer, "reboot the node when its guests may stop");
	return answer_broken(answer,
	        "%s encodes in low-power mode only, and without i915.enable_guc=2 that offers constant "
	        "quality only: media servers fail",
	        model_name(gpu));
}

const struct rule rules_gpu[] = {
	{ .id = "gpu.encoder",
	        .about = ABOUT_GPU,
	        .pains = { 48 },
	        .check = card_encoder,
	        .asks = "Can this GPU encode what is wanted?",
	        .explains = "Some cards have no encoder at all (GT 1030, RX 6400, A100), and few encode AV1: GeForce "
	                    "40 and newer, Intel "
	                    "Arc and Core Ultra, Radeon 7000 and newer. This is what to expect; only a real encode "
	                    "proves it.",
	        .source = "vendors' encode matrices; intel/media-driver README" },
	{ .id = "gpu.rebar",
	        .about = ABOUT_GPU,
	        .waivable = true,
	        .pains = { 28 },
	        .check = card_rebar,
	        .asks = "Is Resizable BAR at work, where the card needs it?",
	        .explains = "Intel Arc B cards need their whole memory mapped; with the small 256 MiB window the media "
	                    "driver crashes.",
	        .source = "jellyfin.org known issues 14; intel/media-driver#1917" },
	{ .id = "gpu.acs",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .waivable = true,
	        .pains = { 6 },
	        .check = card_acs,
	        .needs = { "node.iommu" },
	        .asks = "Are the IOMMU groups real, without an ACS override?",
	        .explains = "pcie_acs_override makes the kernel believe in an isolation that the hardware does not "
	                    "give. A device in a VM "
	                    "may then read and write its neighbours, past the IOMMU.",
	        .source = "Proxmox kernel's pcie_acs_override patch; PCIe ACS" },
	{ .id = "gpu.group-needs",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .pains = { 4 },
	        .check = card_group_needs,
	        .needs = { "node.iommu" },
	        .asks = "Does everything the node lives on stay with it?",
	        .explains = "Proxmox binds every device of the group to vfio-pci when the VM starts, without asking. "
	                    "If the root disk or "
	                    "the network card is among them, the node dies at that moment.",
	        .source = "pve-common PVE/SysFSTools.pm pci_dev_group_bind_to_vfio" },
	{ .id = "gpu.group",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .waivable = true,
	        .pains = { 4 },
	        .check = card_group,
	        .needs = { "node.iommu" },
	        .after = { "gpu.group-needs" },
	        .asks = "Is the card alone in its IOMMU group?",
	        .explains = "The group is the smallest thing that can be given away: what shares it leaves the node "
	                    "too. Functions of "
	                    "the same slot and bridges do not count.",
	        .source = "Linux Documentation/driver-api/vfio.rst; pve-common PVE/SysFSTools.pm" },
	{ .id = "gpu.only-console",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .pains = { 4 },
	        .check = card_only_console,
	        .asks = "Can the node still be reached when the card is gone?",
	        .explains =
	                "A node whose only screen is in a VM and whose network fails can only be rescued with a stick. "
	                "It is broken only where no network and no serial line leads to the node; else it is a warning "
	                "above the plan.",
	        .source = "/sys/class/tty/console/active; PCI class 03" },
	{ .id = "gpu.twins",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .pains = { 5 },
	        .check = card_twins,
	        .asks = "Is only this card bound, and not a like one?",
	        .explains = "vfio-pci's ids= knows vendor and device only: two like cards, or the like audio functions "
	                    "of two different "
	                    "ones, are both taken.",
	        .source = "Linux drivers/vfio/pci/vfio_pci.c; pve-common PVE/SysFSTools.pm" },
	{ .id = "gpu.next-boot",
	        .about = ABOUT_GPU,
	        .pains = { 2, 9 },
	        .check = card_next_boot,
	        .asks = "Will the next boot give the card to the right driver?",
	        .explains =
	                "What is configured, what the initramfs froze, what is built into the kernel and the order "
	                "in which all of it is loaded decide together which driver gets the card. The next boot is "
	                "computed from them. For a VM vfio-pci is right, or a driver that Proxmox can take the card "
	                "from when the VM starts; for a CT the node's own.",
	        .source = "initramfs-tools scripts; systemd udev; libkmod; Linux drivers/base/dd.c, "
	                  "drivers/vfio/pci/vfio_pci.c" },
	{ .id = "gpu.builtin-vfio",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .pains = { 9 },
	        .check = card_builtin_vfio,
	        .asks = "Do vfio-pci's options count?",
	        .explains = "Where vfio-pci is built into the kernel, options in modprobe.d come too late; only the "
	                    "command line counts.",
	        .source = "modprobe.d(5); modules.builtin" },
	{ .id = "gpu.early-bind",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .pains = { 9 },
	        .check = card_early_bind,
	        .after = { "gpu.next-boot" },
	        .asks = "If the card is meant to be bound early, does vfio-pci win?",
	        .explains = "ids= alone does not make vfio-pci load before the card's own driver; a softdep or a "
	                    "blacklist does. "
	                    "Proxmox rebinds the card at the VM's start, so an early bind is needed only where the "
	                    "driver cannot let "
	                    "go.",
	        .source = "pve-docs qm-pci-passthrough.adoc; modprobe.d(5) softdep" },
	{ .id = "gpu.audio",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .pains = { 9 },
	        .check = card_audio,
	        .asks = "Do the card and its audio function go together?",
	        .explains = "The HDMI audio function is a device of its own in the same group. Bound only by half, the "
	                    "card can be held "
	                    "back by the sound driver.",
	        .source = "pve-docs qm-pci-passthrough.adoc" },
	{ .id = "gpu.boot-framebuffer",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .pains = { 7 },
	        .check = card_boot_framebuffer,
	        .asks = "Is the card's memory free of the firmware's screen?",
	        .explains = "The screen that the firmware set up lies in the boot display's memory (BOOTFB, simplefb "
	                    "in /proc/iomem). "
	                    "While it sits there vfio-pci cannot reserve the BAR.",
	        .source = "/proc/iomem; Linux drivers/firmware/sysfb.c; siderolabs/talos#14356" },
	{ .id = "gpu.release",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .pains = { 9 },
	        .check = card_release,
	        .asks = "Can the node let go of the card?",
	        .explains =
	                "NVIDIA's module waits in unbind for its users, for ever and unkillable, and Proxmox's start "
	                "of "
	                "the VM hangs with it. Other drivers let go, but may fail while a console runs on the card.",
	        .source = "NVIDIA open-gpu-kernel-modules#1119, #1374; Linux drivers/base/dd.c" },
	{ .id = "gpu.reset",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .pains = { 14 },
	        .check = card_reset,
	        .asks = "Can the card be reset between two starts?",
	        .explains = "Between two users the card must be reset. Since qemu-server 8.2.6 a missing reset is only "
	                    "a warning.",
	        .source = "Linux Documentation/ABI/testing/sysfs-bus-pci reset_method; qemu-server changelog" },
	{ .id = "gpu.reset-bug",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .pains = { 15, 16, 18 },
	        .check = card_reset_bug,
	        .asks = "Does this family survive a second start of the VM?",
	        .explains = "Some families reset badly although the kernel offers a method. Two starts in a row are "
	                    "the only proof.",
	        .source = "gnif/vendor-reset; open-gpu-kernel-modules#853, #1353; intel/gvt-linux#189" },
	{ .id = "gpu.power",
	        .about = ABOUT_GPU,
	        .route = ROUTE_VM,
	        .pains = { 17 },
	        .check = card_power,
	        .asks = "Is the card awake?",
	        .explains = "An idle card may lose its power; some do not come back when a VM wants them.",
	        .source = "vfio-pci disable_idle_d3; Linux Documentation/power/pci.rst" },
	{ .id = "gpu.not-vfio",
	        .about = ABOUT_GPU,
	        .route = ROUTE_CT,
	        .pains = { 43 },
	        .check = card_not_vfio,
	        .asks = "Is the card with the node's driver and not with vfio-pci?",
	        .explains = "A CT uses the node's driver through device nodes; a card bound to vfio-pci has none. One "
	                    "card serves VMs or "
	                    "CTs, never both.",
	        .source = "jellyfin.org docs, LXC; TheHellSite/proxmox_collection#2" },
	{ .id = "gpu.nomodeset",
	        .about = ABOUT_GPU,
	        .route = ROUTE_CT,
	        .pains = { 29 },
	        .check = card_nomodeset,
	        .asks = "May the graphics drivers work?",
	        .explains = "nomodeset, often left from an installation, makes every DRM driver refuse the card.",
	        .source = "Linux Documentation/admin-guide/kernel-parameters.txt nomodeset" },
	{ .id = "gpu.blacklist",
	        .about = ABOUT_GPU,
	        .route = ROUTE_CT,
	        .pains = { 43, 9 },
	        .check = card_blacklist,
	        .after = { "gpu.next-boot" },
	        .waivable = true,
	        .asks = "Will the card's driver still get it at the next boot?",
	        .explains = "Guides for VMs blacklist the drivers that a CT needs.",
	        .source = "modprobe.d(5)" },
	{ .id = "gpu.headers",
	        .vendor = "nvidia",
	        .about = ABOUT_GPU,
	        .route = ROUTE_CT,
	        .pains = { 32 },
	        .check = card_headers,
	        .asks = "Can NVIDIA's module be built for the kernel that boots next?",
	        .explains = "DKMS needs the headers of the very kernel. Without them an upgrade silently takes the GPU "
	                    "away. Old driver "
	                    "branches do not build on new kernels even so.",
	        .source = "dkms(8); open-gpu-kernel-modules#1143" },
	{ .id = "gpu.secure-boot",
	        .vendor = "nvidia",
	        .about = ABOUT_GPU,
	        .route = ROUTE_CT,
	        .pains = { 23, 29 },
	        .check = card_secure_boot,
	        .asks = "Does Secure Boot let NVIDIA's module in?",
	        .explains = "With Secure Boot the kernel refuses modules signed with an unknown key: \"Key was "
	                    "rejected by service\".",
	        .source = "pve-docs Secure Boot; mokutil(1)" },
	{ .id = "gpu.kernel-floor",
	        .about = ABOUT_GPU,
	        .route = ROUTE_CT,
	        .pains = { 49 },
	        .check = card_kernel_floor,
	        .asks = "Is the node's kernel new enough for this GPU?",
	        .explains = "Every generation needs a kernel that knows it.",
	        .source = "jellyfin.org known issues; Linux i915 and xe device tables" },
	{ .id = "gpu.driver",
	        .about = ABOUT_GPU,
	        .route = ROUTE_CT,
	        .pains = { 29, 43 },
	        .check = card_driver,
	        .needs = { "gpu.not-vfio", "gpu.nomodeset", "gpu.kernel-floor" },
	        .asks = "Has the node's own driver taken the card?",
	        .explains = "In a CT everything runs on the node's kernel: no module can be loaded inside.",
	        .source = "sysfs driver link" },
	{ .id = "gpu.nvidia-flavour",
	        .vendor = "nvidia",
	        .about = ABOUT_GPU,
	        .route = ROUTE_CT,
	        .pains = { 30 },
	        .check = card_nvidia_flavour,
	        .needs = { "gpu.driver" },
	        .asks = "Is NVIDIA's module of the flavour this card needs?",
	        .explains = "Up to Volta only the closed module works, Blackwell needs the open one, those between "
	                    "take either.",
	        .source = "NVIDIA open-gpu-kernel-modules README" },
	{ .id = "gpu.nvidia-branch",
	        .vendor = "nvidia",
	        .about = ABOUT_GPU,
	        .route = ROUTE_CT,
	        .pains = { 31 },
	        .check = card_nvidia_branch,
	        .needs = { "gpu.driver" },
	        .asks = "Does NVIDIA's driver branch know this card?",
	        .explains = "590 and newer ignore Maxwell, Pascal and Volta; 580 is their last branch.",
	        .source = "NVIDIA driver release notes; nixos-hardware#1843" },
	{ .id = "gpu.kernel-bug",
	        .about = ABOUT_GPU,
	        .route = ROUTE_CT,
	        .pains = { 49, 10 },
	        .check = card_kernel_bug,
	        .asks = "Is the kernel free of known trouble with this GPU?",
	        .explains = "Some kernel ranges hang or fail with some generations. Distribution kernels carry repairs "
	                    "back, so the range "
	                    "is a hint.",
	        .source = "jellyfin.org known issues" },
	{ .id = "gpu.huc",
	        .vendor = "intel",
	        .about = ABOUT_GPU,
	        .route = ROUTE_CT,
	        .waivable = true,
	        .pains = { 47 },
	        .check = card_huc,
	        .needs = { "gpu.driver" },
	        .asks = "Is the HuC firmware loaded where encoding needs it?",
	        .explains = "Intel's low-power encoder controls its bit rate in the HuC firmware. Before Alder Lake "
	                    "the kernel loads it "
	                    "only when asked; Jasper Lake and Elkhart Lake have no other encoder.",
	        .source = "jellyfin.org docs, Intel; i915 enable_guc" },
	{ .id = NULL },
};
