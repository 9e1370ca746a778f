/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * NVIDIA's own driver on the node, which a CT's encoder needs: its packages with the headers that DKMS builds from, held
 * at their version because the CT's libraries must be of the same, and nvidia-uvm before CTs start. Debian's packages
 * and no others: where its sources do not have them, that is for a person to add.
 *
 * Sources: debian/control of nvidia-graphics-drivers (nvidia-kernel-dkms depends on dkms, nvidia-kernel-support and, by
 * that, nvidia-modprobe); nvidia-modprobe(1); udev(7); modules-load.d(5) is done before guests start.
 */
#include <string.h>

#include "facts/predict.h"
#include "plan/route.h"
#include "rules/check.h"

#define LOAD_FILE "/etc/modules-load.d/gpuferry.conf"
#define UDEV_FILE "/etc/udev/rules.d/60-gpuferry.rules"
#define NOUVEAU_FILE "/etc/modprobe.d/gpuferry-nvidia.conf"

/* ---- headers ---- */

/* For the running kernel NVIDIA's module is built already; into another one the next boot would come without it. */
bool node_nvidia_lacks_headers(const struct route *route)
{
	const struct boot *boot = &route->facts->boot;
	const struct finding *headers = route_finding(route, "gpu.headers");
	const char *module = route->facts->drm.nvidia_module_version, *next = boot->kernel_next;
	if (!headers || headers->verdict != VERDICT_WARN || !module || !*module || !next || !boot->kernel)
		return false;
	return strcmp(next, boot->kernel) != 0 && text_ends(next, "-pve") &&
	       gpu_driver_serves(&route->gpu->model, module, route->facts->drm.nvidia_open) == YES;
}

static void install_headers(struct route *route, const char *because)
{
	const char *next = route->facts->boot.kernel_next;
	route_step(route, PHASE_PACKAGES, "package", "node", arena_printf(route->arena, "proxmox-headers-%s", next),
	        NULL, "installed", because,
	        "install the headers of kernel %s, for NVIDIA's module", next);
}

/* gpu.headers: the very kernel's package; proxmox-default-headers may bring those of a kernel that is not installed. */
void node_nvidia_headers(struct route *route, const struct finding *finding)
{
	const struct finding *driver = route_finding(route, "gpu.driver");
	if (node_nvidia_installs(route) || (driver && driver->verdict == VERDICT_BROKEN))
		return; /* they come with the driver */
	if (!node_nvidia_lacks_headers(route)) {
		route_note(route, "%s: %s.", finding->rule->id, finding->why);
		return;
	}
	install_headers(route, finding->rule->id);
}

/* ---- nvidia-uvm ---- */

bool node_nvidia_makes_uvm(const struct route *route)
{
	for (size_t i = 0; i < route->n_steps; i++)
		if (strcmp(route->steps[i]->step.kind, "module") == 0 &&
		        strcmp(route->steps[i]->step.key, "nvidia_uvm") == 0)
			return true;
	return false;
}

/* NVIDIA's modules make no nodes by themselves; udev asks NVIDIA's own tool for them when the last of them comes. */
static bool make_nodes(struct route *route, const char *because, const char *minor)
{
	if (!node_driver_own_text(route, because, LOAD_FILE))
		return false;
	const char *rule = arena_printf(route->arena,
	        "# gpuferry: NVIDIA's nodes, as soon as the module is there. gpuferry rollback takes this away.\n"
	        "ACTION==\"add\", SUBSYSTEM==\"module\", KERNEL==\"nvidia_uvm\", "
	        "RUN+=\"/usr/bin/nvidia-modprobe -c %s -u\"\n",
	        minor);
	route_file(route, because, UDEV_FILE, rule, 0644, "let udev make the nodes of nvidia-uvm");
	route_file(route, because, LOAD_FILE,
	        "# gpuferry: before CTs start that have a node of it. gpuferry rollback takes this away.\nnvidia_uvm\n",
	        0644, "load nvidia_uvm at every boot, before guests start");
	route_step(route, PHASE_DRIVERS, "module", "node", "nvidia_uvm",
	        check_has(&route->facts->host.modules, "nvidia_uvm") ? "loaded" : NONE, "loaded", because,
	        "load nvidia_uvm");
	return true;
}

/* ct.nvidia-uvm */
void node_nvidia_uvm(struct route *route, const struct finding *finding)
{
	const char *because = finding->rule->id;
	const struct host *host = &route->facts->host;
	if (host->modules_known != YES || check_has(&host->modules, "nvidia_uvm")) {
		route_refuse(route, because, finding->cure, "%s%s", finding->why,
		        host->modules_known == YES ? ", and its module is loaded already" : "");
		return;
	}
	const struct drm_node *card = check_node(&route->facts->drm, route->gpu->pci->address, "nvidia");
	if (card) /* without a node of its own ct.node refuses */
		make_nodes(route, because, card->name + strlen("nvidia"));
}

/* ct.nvidia-boot: it works until the next boot. */
void node_nvidia_boot(struct route *route, const struct finding *finding)
{
	const struct drm_node *card = check_node(&route->facts->drm, route->gpu->pci->address, "nvidia");
	if (card)
		make_nodes(route, finding->rule->id, card->name + strlen("nvidia"));
}

/* ---- the driver's packages ---- */

/* It is the only NVIDIA card, so its number will be 0; NULL: not foreseen. */
const char *node_nvidia_path(const struct route *route)
{
	size_t cards = 0;
	for (size_t i = 0; i < route->facts->n_gpus; i++)
		cards += check_vendor(&route->facts->gpus[i], "nvidia");
	return node_nvidia_installs(route) && cards == 1 ? "/dev/nvidia0" : NULL;
}

static const char *package_for(const struct gpu *gpu)
{
	return gpu->model.flavour == FLAVOUR_OPEN_ONLY ? "nvidia-open-kernel-dkms" : "nvidia-kernel-dkms";
}

/* Nothing else is held. */
bool node_nvidia_installs(const struct route *route)
{
	return route_has(route, "hold");
}

static bool builds_for(const char *version, const char *kernel)
{
	const char *first = gpu_nvidia_too_new(version);
	return !first || check_older(kernel, first) == YES;
}

/* Does its modules.alias name NVIDIA's own, by whatever name, for NVIDIA's cards? */
static bool is_built(const struct kernel *kernel, struct arena *arena)
{
	struct bytes line;
	for (size_t cursor = 0; kernel && text_line(kernel->aliases, &cursor, &line);) {
		const char *plain = text_trimmed(arena, line), *module = strrchr(plain, ' ');
		if (text_starts(plain, "alias pci:v000010DE") && module &&
		        strcmp(predict_driver_of(modprobe_name(arena, module + 1)), "nvidia") == 0)
			return true;
	}
	return false;
}

struct choice {
	const char *package, *version; /* version NULL: apt knows none */
	bool installed;
};

/* What is installed stays at its version. */
static struct choice choose(const struct route *route)
{
	const struct installable *apt = &route->facts->installable;
	struct choice choice = { .package = package_for(route->gpu) };
	choice.version = package_version(&apt->installed, choice.package);
	choice.installed = choice.version != NULL;
	if (!choice.installed)
		choice.version = package_version(&apt->packages, choice.package);
	return choice;
}

static const char *secure_boot_hinders(const struct boot *boot)
{
	if (boot->secure_boot == NO || (boot->secure_boot == YES && boot->dkms_key == YES))
		return NULL;
	return boot->secure_boot == YES ? "Secure Boot is on, and refuses a module that DKMS builds until its key is enrolled"
	                                : "whether Secure Boot is on is not known";
}

/* Why the package cannot serve; NULL: it can. */
static const char *hindrance(const struct route *route, const struct choice *choice)
{
	const struct facts *facts = route->facts;
	struct arena *arena = route->arena;
	bool open = route->gpu->model.flavour == FLAVOUR_OPEN_ONLY;
	const char *next = facts->boot.kernel_next, *package = choice->package, *version = choice->version;
	if (facts->installable.known != YES)
		return "which driver apt would install could not be asked";
	if (!version)
		return arena_printf(arena, "apt knows no package %s", package);
	if (gpu_driver_serves(&route->gpu->model, version, tri_of(open)) != YES)
		return arena_printf(arena, "%s %s %s, which does not, or not surely, serve this card",
		        choice->installed ? "the node has" : "apt has", package, version);
	if (!next || !*next)
		return "which kernel boots next is not known";
	if (!text_ends(next, "-pve"))
		return arena_printf(arena, "kernel %s, which boots next, is not Proxmox's", next);
	if (!builds_for(version, next))
		return arena_printf(arena, "%s %s does not build for kernel %s", package, version, next);
	const struct kernel *kernel = boot_kernel(&facts->boot, next);
	if (choice->installed && kernel && kernel->headers == YES && !is_built(kernel, arena))
		return arena_printf(arena, "%s %s is installed, but there is no module of it for kernel %s: dkms status says why",
		        package, version, next);
	return secure_boot_hinders(&facts->boot);
}

static void keep_nouveau_away(struct route *route, const char *because)
{
	static const char text[] = "# gpuferry: NVIDIA's own driver has the card. gpuferry rollback takes this away.\n"
	                           "blacklist nouveau\n";
	struct step *step = route_file(
	        route, because, NOUVEAU_FILE, text, 0644, "keep nouveau from the card at every boot");
	step->needs_reboot = true;
	route_image(route, because, NOUVEAU_FILE, text);
}

static void install(struct route *route, const char *because, const struct choice *choice)
{
	const char *next = route->facts->boot.kernel_next;
	const struct kernel *kernel = boot_kernel(&route->facts->boot, next);
	if (!(choice->installed && is_built(kernel, route->arena)) && (!kernel || kernel->headers != YES))
		install_headers(route, because);
	if (!choice->installed)
		route_step(route, PHASE_PACKAGES, "package", "node", choice->package, NONE, choice->version, because,
		        "install NVIDIA's driver, built for kernel %s", next);
	route_step(route, PHASE_PACKAGES, "hold", "node", choice->package, choice->installed ? NULL : NONE, "held",
	        because, "keep %s at the version of the libraries in %s", choice->package, route->on);
}

bool node_nvidia_takes(struct route *route, const struct finding *finding)
{
	const char *because = finding->rule->id;
	struct choice choice = choose(route);
	const char *why = hindrance(route, &choice);
	if (why) {
		route_refuse(route, because, finding->cure, "%s; %s", finding->why, why);
		return false;
	}
	keep_nouveau_away(route, because);
	if (!make_nodes(route, because, "0"))
		return false;
	route_note_losers(route);
	install(route, because, &choice);
	route_gate(route, "gpu.driver", "whether the module was built and takes the card shows only then");
	if (node_nvidia_path(route))
		ct_node(route, finding);
	else
		route_note(route,
		        "Which number the card gets is known only when its driver has it: plan again then, and %s gets it.",
		        route->on);
	route_note(route,
	        "Inside %s the libraries must be those of %s: gpuferry verify says how to get them there.",
	        route->on, choice.version);
	return true;
}

/* gpu.driver: nouveau, or none, has the card. One reboot: nouveau's place in the initramfs is taken as well. */
void node_nvidia_driver(struct route *route, const struct finding *finding)
{
	const char *driver = route->gpu->pci->driver;
	bool free_card = driver && (!*driver || strcmp(driver, "nouveau") == 0);
	if (check_vendor(route->gpu, "nvidia") && finding->verdict == VERDICT_BROKEN && free_card)
		node_nvidia_takes(route, finding);
	else
		route_refuse(route, finding->rule->id, finding->cure, "%s", finding->why);
}
