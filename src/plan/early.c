/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A card that its driver cannot let go of is taken before that driver gets it: at the next boot, early. By vendor and
 * device where no other card has the same; else by a script of the initramfs that sorts before udev and compares the
 * device at the address with what was recorded, so that neither a twin nor a device that moved there is taken. Both do
 * nothing with the kernel word gpuferry=off.
 *
 * Sources: initramfs-tools(7) (init-top, PREREQ, hooks); udev's coldplug runs in init-top; drivers/pci/pci-driver.c
 * (driver_override, drivers_probe); drivers/vfio/pci/vfio_pci.c (ids=); modprobe.d(5) (softdep).
 */
#include <string.h>

#include "facts/predict.h"
#include "plan/route.h"
#include "rules/check.h"

#define MODPROBE_FILE "/etc/modprobe.d/gpuferry.conf"
#define HOOK_FILE "/etc/initramfs-tools/hooks/gpuferry"
#define SCRIPT_FILE "/etc/initramfs-tools/scripts/init-top/gpuferry"

/* Neighbours of an integrated GPU: USB, security processor, the sound of the chipset. */
struct functions route_functions(struct route *route)
{
	const struct gpu *gpu = route->gpu;
	struct functions ret = { 0 };
	bool own = gpu->model.integrated == NO || check_vendor(gpu, "nvidia");
	for (size_t i = 0; i < gpu->n_functions; i++)
		if (own || gpu->functions[i] == gpu->pci)
			*arena_push(route->arena, ret.device, ret.n) = gpu->functions[i];
	return ret;
}

/* ---- by ids or by address ---- */

static bool ids_known(const struct pci_device *device)
{
	return device->vendor != UNKNOWN_NUMBER && device->device != UNKNOWN_NUMBER &&
	       device->subsystem_vendor != UNKNOWN_NUMBER && device->subsystem_device != UNKNOWN_NUMBER &&
	       device->class_code != UNKNOWN_NUMBER;
}

static bool has_like(const struct facts *facts, const struct pci_device *device)
{
	for (size_t i = 0; i < facts->pci.n; i++) {
		const struct pci_device *other = &facts->pci.devices[i];
		if (!pci_same_slot(other, device) && other->vendor == device->vendor && other->device == device->device)
			return true;
	}
	return facts->pci.known != YES;
}

static bool is_builtin(const struct boot *boot)
{
	const struct kernel *kernel = boot->kernel_next ? boot_kernel(boot, boot->kernel_next) : NULL;
	return kernel && check_has(&kernel->builtin, "vfio_pci");
}

/* Of a module's softdep and install lines only the first counts. */
static bool has_own_line(const struct modprobe *modprobe, const char *module)
{
	for (size_t i = 0; i < modprobe->n; i++) {
		const struct modprobe_line *line = &modprobe->lines[i];
		if ((line->kind == MODPROBE_SOFTDEP || line->kind == MODPROBE_INSTALL) &&
		        strcmp(line->module, module) == 0 && strcmp(line->file, MODPROBE_FILE) != 0)
			return true;
	}
	return false;
}

/* ids= is one list for all: a second one, of whoever, would be lost or lose (the kernel keeps the last). A builtin
 * vfio-pci takes it from the command line alone, and somebody else's install line would go before ours: neither would
 * obey gpuferry=off. */
static bool by_ids(struct route *route, const struct functions *functions)
{
	const struct boot *boot = &route->facts->boot;
	if (check_vfio_list(boot, route->arena) || boot->modprobe.known != YES || is_builtin(boot) ||
	        has_own_line(&boot->modprobe, "vfio_pci"))
		return false;
	for (size_t i = 0; i < functions->n; i++)
		if (has_like(route->facts, functions->device[i]))
			return false;
	return true;
}

static const char *ids_text(struct route *route, const struct functions *functions)
{
	const char *text = "";
	for (size_t i = 0; i < functions->n; i++)
		text = arena_printf(route->arena, "%s%s%04x:%04x", text, i ? "," : "",
		        (unsigned)functions->device[i]->vendor, (unsigned)functions->device[i]->device);
	return text;
}

/* ---- who would claim it ---- */

static const struct {
	int64_t class_code; /* its upper 16 of 24 bits */
	const char *vendor; /* NULL: any */
	const char *modules;
} claimers[] = {
	{ 0x0300, "nvidia", "nouveau nvidia nvidia_drm nvidiafb" },
	{ 0x0302, "nvidia", "nouveau nvidia nvidia_drm nvidiafb" },
	{ 0x0300, "intel", "i915 xe" },
	{ 0x0380, "intel", "i915 xe" },
	{ 0x0300, "amd", "amdgpu radeon" },
	{ 0x0380, "amd", "amdgpu radeon" },
	{ 0x0403, NULL, "snd_hda_intel" },
	{ 0x0c03, NULL, "xhci_pci" },
	{ 0x0c80, "nvidia", "i2c_nvidia_gpu" },
};

static void add_once(struct route *route, struct words *words, const char *word)
{
	if (!check_has(words, word))
		*arena_push(route->arena, words->word, words->n) = word;
}

/* Drivers whose module has another name than they. */
static const char *module_of(struct route *route, const char *driver)
{
	if (strcmp(driver, "xhci_hcd") == 0)
		return "xhci_pci";
	if (strcmp(driver, "nvidia-gpu") == 0)
		return "i2c_nvidia_gpu";
	return modprobe_name(route->arena, driver);
}

static struct words claimers_of(struct route *route, const struct functions *functions)
{
	struct words modules = { 0 };
	for (size_t i = 0; i < functions->n; i++) {
		const struct pci_device *device = functions->device[i];
		for (size_t c = 0; c < sizeof claimers / sizeof *claimers; c++) {
			if (device->class_code >> 8 != claimers[c].class_code ||
			        (claimers[c].vendor && !check_vendor(route->gpu, claimers[c].vendor)))
				continue;
			struct words each = text_split(route->arena, claimers[c].modules, " ");
			for (size_t w = 0; w < each.n; w++)
				add_once(route, &modules, each.word[w]);
		}
		if (device->driver && *device->driver && !check_on_vfio(device))
			add_once(route, &modules, module_of(route, device->driver));
	}
	return modules;
}

/* ---- the files ---- */

static bool is_ours(struct route *route, const char *path)
{
	const struct boot_file *file = boot_file_at(&route->facts->boot, path);
	struct bytes text = route_read(route, path);
	return !file || (text.size && strstr(arena_strndup(route->arena, text.data, text.size), "gpuferry"));
}

static struct step *own_file(struct route *route, const char *because, const char *path, const char *content,
        unsigned mode, const char *title)
{
	if (!is_ours(route, path))
		route_refuse(route, because, "move it away, then plan again",
		        "%s is there, and not as gpuferry writes it", path);
	struct step *step = route_file(route, because, path, content, mode, "%s", title);
	step->needs_reboot = true;
	return step;
}

static void hook(struct route *route, const char *because)
{
	own_file(route, because, HOOK_FILE,
	        "#!/bin/sh\n"
	        "# gpuferry: vfio-pci shall be there when the card is found. gpuferry rollback takes this away.\n"
	        "PREREQ=\"\"\n"
	        "if [ \"$1\" = prereqs ]; then\n"
	        "\techo \"$PREREQ\"\n"
	        "\texit 0\n"
	        "fi\n"
	        ". /usr/share/initramfs-tools/hook-functions\n"
	        "manual_add_modules vfio_pci\n",
	        0755, "put vfio-pci into the initramfs");
}

static const char *modprobe_text(struct route *route, const struct functions *functions)
{
	struct words modules = claimers_of(route, functions);
	const char *text = arena_printf(route->arena,
	        "# gpuferry: %s goes to vfio-pci before its own drivers come. gpuferry rollback takes this away.\n"
	        "# The kernel word gpuferry=off switches it off.\n"
	        "options vfio-pci ids=%s\n"
	        "install vfio_pci " PREDICT_INSTALL "\n",
	        route->gpu->pci->address, ids_text(route, functions));
	for (size_t i = 0; i < modules.n; i++)
		text = arena_printf(route->arena, "%ssoftdep %s pre: vfio-pci\n", text, modules.word[i]);
	return text;
}

static void modprobe_file(struct route *route, const char *because, const char *text)
{
	own_file(route, because, MODPROBE_FILE, text, 0644,
	        "let vfio-pci take the card by its ids, before its own drivers");
	route_image(route, because, MODPROBE_FILE, text);
}

static const char script_head[] =
        "#!/bin/sh\n"
        "# gpuferry: gives devices to a driver before udev looks for theirs, each only if all of it is as recorded.\n"
        "# The kernel word gpuferry=off switches this off; gpuferry rollback takes it away.\n"
        "PREREQ=\"\"\n"
        "if [ \"$1\" = prereqs ]; then\n"
        "\techo \"$PREREQ\"\n"
        "\texit 0\n"
        "fi\n";

static const char script_tail[] = "read -r words < /proc/cmdline\n"
                                  "case \" $words \" in\n"
                                  "*\" gpuferry=off \"*) exit 0 ;;\n"
                                  "esac\n"
                                  "is() {\n"
                                  "\t[ -r \"$1\" ] && read -r value < \"$1\" && [ \"$value\" = \"0x$2\" ]\n"
                                  "}\n"
                                  "taken=\n"
                                  "drivers=\n"
                                  "while read -r mark verb address ids subsystem class driver; do\n"
                                  "\t[ \"$mark $verb\" = \"#gpuferry bind\" ] || continue\n"
                                  "\tdevice=/sys/bus/pci/devices/$address\n"
                                  "\tis \"$device/vendor\" \"${ids%:*}\" || continue\n"
                                  "\tis \"$device/device\" \"${ids#*:}\" || continue\n"
                                  "\tis \"$device/subsystem_vendor\" \"${subsystem%:*}\" || continue\n"
                                  "\tis \"$device/subsystem_device\" \"${subsystem#*:}\" || continue\n"
                                  "\tis \"$device/class\" \"$class\" || continue\n"
                                  "\techo \"$driver\" > \"$device/driver_override\" || continue\n"
                                  "\ttaken=\"$taken $address\"\n"
                                  "\tcase \" $drivers \" in\n"
                                  "\t*\" $driver \"*) ;;\n"
                                  "\t*) drivers=\"$drivers $driver\" ;;\n"
                                  "\tesac\n"
                                  "done < \"$0\"\n"
                                  "for driver in $drivers; do\n"
                                  "\tMODPROBE_OPTIONS= modprobe -q \"$driver\"\n"
                                  "done\n"
                                  "for address in $taken; do\n"
                                  "\techo \"$address\" > /sys/bus/pci/drivers_probe\n"
                                  "done\n"
                                  "exit 0\n";

/* Records of other cards, of an earlier run, stay. */
static const char *old_records(struct route *route, const struct functions *functions)
{
	struct bytes text = route_read(route, SCRIPT_FILE), line;
	const char *records = "";
	for (size_t cursor = 0; text.data && text_line(text, &cursor, &line);) {
		const char *record = text_trimmed(route->arena, line);
		struct words words = text_split(route->arena, record, " ");
		bool again = words.n < 3 || !text_starts(record, "#gpuferry bind ");
		for (size_t i = 0; !again && i < functions->n; i++)
			again = strcmp(words.word[2], functions->device[i]->address) == 0;
		if (!again)
			records = arena_printf(route->arena, "%s%s\n", records, record);
	}
	return records;
}

static const char *script_text(struct route *route, const struct functions *functions)
{
	const char *records = old_records(route, functions);
	for (size_t i = 0; i < functions->n; i++) {
		const struct pci_device *device = functions->device[i];
		records = arena_printf(route->arena, "%s#gpuferry bind %s %04x:%04x %04x:%04x %06x vfio-pci\n", records,
		        device->address, (unsigned)device->vendor, (unsigned)device->device,
		        (unsigned)device->subsystem_vendor, (unsigned)device->subsystem_device,
		        (unsigned)device->class_code);
	}
	return arena_printf(route->arena, "%s%s%s", script_head, records, script_tail);
}

static void script_file(struct route *route, const char *because, const char *text)
{
	own_file(route, because, SCRIPT_FILE, text, 0755,
	        "let vfio-pci take the card by its address, before its own drivers, if it is still the same card "
	        "there");
	route_image(route, because, SCRIPT_FILE, text);
}

/* ---- the repair ---- */

/* The worst of its functions: one that stays with another driver is enough. */
static enum tri all_foreseen(struct route *route, const struct functions *functions, const char *path, const char *text)
{
	struct edits edits = { &(struct edit){ .path = path, .content = text }, 1 };
	enum tri ret = YES;
	for (size_t i = 0; i < functions->n; i++) {
		enum tri one = route_foresees_vfio(route, path ? &edits : NULL, functions->device[i]);
		ret = one == NO || ret == NO ? NO : one == UNKNOWN ? UNKNOWN : ret;
	}
	return ret;
}

static void after_reboot(struct route *route)
{
	static const char *const rules[] = { "node.iommu", "gpu.group-needs", "gpu.group", "gpu.release", NULL };
	for (const char *const *rule = rules; *rule; rule++)
		route_gate(route, *rule, "the reboot may change it: it is asked again before the guest gets the card");
}

static bool all_ids_known(struct route *route, const char *because, const struct functions *functions)
{
	for (size_t i = 0; i < functions->n; i++)
		if (!ids_known(functions->device[i])) {
			route_lean(
			        route, because, NULL, "the ids of %s could not be read", functions->device[i]->address);
			return false;
		}
	return true;
}

/* By ids where that surely wins, else by address where that does; where neither can be told, by ids: the gates ask
 * after the reboot which driver has it. */
static void bind_early(struct route *route, const char *because, const struct functions *functions)
{
	const char *ids = modprobe_text(route, functions), *script = script_text(route, functions);
	enum tri by_id = by_ids(route, functions) ? all_foreseen(route, functions, MODPROBE_FILE, ids) : NO;
	enum tri by_address = all_foreseen(route, functions, SCRIPT_FILE, script);
	if (by_id == YES || (by_id == UNKNOWN && by_address != YES)) {
		modprobe_file(route, because, ids);
	} else if (by_address != NO) {
		script_file(route, because, script);
	} else {
		route_refuse(route, because, NULL,
		        "%s cannot let go of the card, and whatever is set up, the next boot would give it to another "
		        "driver than vfio-pci",
		        route->gpu->pci->driver);
		return;
	}
	hook(route, because);
}

void early_release(struct route *route, const struct finding *finding)
{
	const char *because = finding->rule->id;
	struct functions functions = route_functions(route);
	if (!route->gpu->pci->driver) {
		route_lean(route, because, finding->cure, "%s", finding->why);
		return;
	}
	if (!all_ids_known(route, because, &functions))
		return;
	after_reboot(route);
	route_note_losers(route);
	if (all_foreseen(route, &functions, NULL, NULL) == YES)
		route_reboot(route, because);
	else
		bind_early(route, because, &functions);
}
