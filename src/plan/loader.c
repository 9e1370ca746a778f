/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Words of the kernel's command line, in the file that this machine's loader reads: a drop-in of our own for GRUB,
 * /etc/kernel/cmdline (which is one line, with its root=) for systemd-boot.
 *
 * Which words can be outdone by a later one: the kernel calls a handler for each word in order. intel_iommu= keeps what
 * the last one said (drivers/iommu/intel/iommu.c: "on" clears what "off" set); iommu=off and amd_iommu=off only ever
 * set their flag (arch/x86/kernel/pci-dma.c, drivers/iommu/amd/init.c), so such a word must go from where it stands.
 */
#include <string.h>

#include "plan/route.h"
#include "rules/check.h"

#define DROP_IN "/etc/default/grub.d/gpuferry.cfg"
#define KERNEL_FILE "/etc/kernel/cmdline"
#define DEFAULTS "GRUB_CMDLINE_LINUX_DEFAULT"

static const char mark[] =
        "# gpuferry: words that a GPU needs on its way into a guest. gpuferry rollback takes them away.\n";

/* ---- which words ---- */

static const char *sticky_off(const char *cmdline)
{
	static const char *const words[] = { "iommu=off", "amd_iommu=off", NULL };
	for (const char *const *word = words; cmdline && *word; word++)
		if (boot_cmdline_has(cmdline, *word))
			return *word;
	return NULL;
}

static void iommu_gates(struct route *route)
{
	static const char *const rules[] = { "node.iommu", "node.interrupt-remapping", "gpu.group-needs", "gpu.group",
		"gpu.acs", "vm.address-width", NULL };
	for (const char *const *rule = rules; *rule; rule++)
		route_gate(route, *rule, "it can only be asked when the IOMMU is on, after the reboot");
}

/* Is Intel's IOMMU on in that kernel without a word? Only of Proxmox's own kernels that is known (6.8 and newer). */
static bool on_by_itself(const char *kernel)
{
	return kernel && text_ends(kernel, "-pve") && check_older(kernel, "6.8") == NO;
}

static void refuse_as_found(struct route *route, const struct finding *finding)
{
	route_refuse(route, finding->rule->id, finding->cure, "%s", finding->why);
}

/* What stands in the files is right, and only has to come into effect. */
static void configured(struct route *route, const struct finding *finding)
{
	route->menu_because = finding->rule->id;
	route_reboot(route, finding->rule->id);
	iommu_gates(route);
}

static void intel(struct route *route, const struct finding *finding)
{
	const struct boot *boot = &route->facts->boot;
	const char *now = boot_cmdline_value(boot->cmdline, "intel_iommu", route->arena);
	const char *next = boot_cmdline_value(boot->cmdline_next, "intel_iommu", route->arena);
	bool on = next && text_starts(next, "on"), off = next && text_has_word(next, "off", ",");
	if (now && text_starts(now, "on")) {
		refuse_as_found(route, finding); /* the word is in effect, and did not help */
	} else if (on || (!off && now && on_by_itself(boot->kernel_next)) ||
	           (!off && !on_by_itself(boot->kernel) && on_by_itself(boot->kernel_next))) {
		configured(route, finding);
	} else if (!off && on_by_itself(boot->kernel) && on_by_itself(boot->kernel_next)) {
		refuse_as_found(route, finding); /* on by default, and yet off: no word is missing */
	} else {
		route_words(route, finding->rule->id, "intel_iommu=on");
		iommu_gates(route);
	}
}

void loader_iommu(struct route *route, const struct finding *finding)
{
	const struct facts *facts = route->facts;
	const struct boot *boot = &facts->boot;
	const char *vendor = facts->host.cpu.vendor;
	if (facts->pci.iommu != NO || (facts->pci.firmware_dmar == NO && facts->pci.firmware_ivrs == NO))
		return; /* it is on; or node.firmware-iommu says what to do */
	if (!boot->cmdline || !boot->cmdline_next || !vendor)
		route_refuse(route, finding->rule->id, NULL, "the IOMMU is off, and the %s is not known",
		        !vendor ? "CPU's vendor" : "kernel's command line");
	else if (sticky_off(boot->cmdline_next))
		route_refuse(route, finding->rule->id, finding->cure,
		        "%s stands on the command line, where no later word outdoes it",
		        sticky_off(boot->cmdline_next));
	else if (sticky_off(boot->cmdline)) /* somebody took it away: the next boot will be without */
		configured(route, finding);
	else if (strcmp(vendor, "GenuineIntel") == 0)
		intel(route, finding);
	else
		refuse_as_found(route, finding);
}

/* ---- GRUB ---- */

struct grub_sum { /* what update-grub will make of the files */
	const char *linux_words, *defaults;
	bool certain;
};

static struct grub_sum grub_sum(struct route *route, const char *drop_in)
{
	const struct boot *boot = &route->facts->boot;
	struct grub_defaults defaults = { .certain = true };
	struct bytes ours = { drop_in, strlen(drop_in) };
	bool parsed = false;
	for (size_t i = 0; i < boot->n_files; i++) {
		const struct boot_file *file = &boot->files[i];
		if (!text_starts(file->path, "/etc/default/grub"))
			continue;
		if (!parsed && strcmp(file->path, DROP_IN) >= 0 && strcmp(file->path, "/etc/default/grub") != 0) {
			boot_parse_grub(ours, DROP_IN, route->arena, &defaults);
			parsed = true;
		}
		if (strcmp(file->path, DROP_IN) != 0)
			boot_parse_grub(file->data, file->path, route->arena, &defaults);
		defaults.certain = defaults.certain && !file->error;
	}
	if (!parsed)
		boot_parse_grub(ours, DROP_IN, route->arena, &defaults);
	const char *lines = boot_grub_value(&defaults, "GRUB_CMDLINE_LINUX");
	return (struct grub_sum){ lines ? lines : "", boot_grub_value(&defaults, DEFAULTS),
		defaults.certain && !boot_grub_unknown(&defaults, "GRUB_CMDLINE_LINUX") };
}

static const char *join(struct route *route, const char *left, const char *right)
{
	return arena_printf(route->arena, "%s%s%s", left, *left && *right ? " " : "", right);
}

/* The drop-in with the words appended; NULL: refused. */
static const char *drop_in_with(struct route *route, const char *because, const char *words)
{
	const struct boot_file *file = boot_file_at(&route->facts->boot, DROP_IN);
	const char *old = file && !file->error ? arena_strndup(route->arena, file->data.data, file->data.size) : "";
	if (*old && !text_starts(old, mark)) {
		route_refuse(route, because, "move it away, then plan again",
		        "%s is there, and not as gpuferry writes it", DROP_IN);
		return NULL;
	}
	return arena_printf(route->arena, "%s" DEFAULTS "=\"$" DEFAULTS " %s\"\n", *old ? old : mark, words);
}

/* What the next boot will be told; NULL: refused. */
static const char *grub_file(struct route *route, const char *because, const char *words)
{
	const struct boot *boot = &route->facts->boot;
	const char *text = drop_in_with(route, because, words);
	if (!text)
		return NULL;
	const char *line = join(route, boot->cmdline_next, words);
	if (boot_file_at(boot, "/etc/default/grub")) {
		struct grub_sum sum = grub_sum(route, text);
		if (!sum.certain || !sum.defaults || !text_ends(sum.defaults, words)) {
			route_refuse(route, because, "set " DEFAULTS " plainly in /etc/default/grub, then plan again",
			        "a file of /etc/default/grub.d sets " DEFAULTS " anew behind " DROP_IN
			        ", or in a way that only running it would tell");
			return NULL;
		}
		line = join(route, sum.linux_words, sum.defaults);
	}
	struct step *step = route_file(
	        route, because, DROP_IN, text, 0644, "append %s to the kernel's command line, in an own file", words);
	step->needs_reboot = true;
	return line;
}

/* ---- systemd-boot ---- */

static const char *kernel_file(struct route *route, const char *because, const char *words)
{
	const struct boot *boot = &route->facts->boot;
	const char *line = join(route, boot->cmdline_next, words);
	if (!boot_cmdline_value(line, "root", route->arena)) {
		route_refuse(route, because, NULL, "%s holds no root=, without which proxmox-boot-tool does nothing",
		        KERNEL_FILE);
		return NULL;
	}
	struct bytes old = route_read(route, KERNEL_FILE);
	const char *rest = old.size ? memchr(old.data, '\n', old.size) : NULL;
	const char *content = arena_printf(route->arena, "%s%s", line,
	        rest ? arena_strndup(route->arena, rest, old.size - (size_t)(rest - old.data)) : "\n");
	struct step *step = route_file(route, because, KERNEL_FILE, content, 0644,
	        "append %s to the kernel's command line, which keeps its root=", words);
	step->needs_reboot = true;
	return line;
}

/* ---- together ---- */

/* Those that are not yet the last word of their name. */
static const char *missing_words(struct route *route)
{
	const char *missing = "", *next = route->facts->boot.cmdline_next;
	for (size_t i = 0; i < route->words.n; i++) {
		const char *word = route->words.word[i], *equals = strchr(word, '=');
		const char *name = equals ? arena_strndup(route->arena, word, (size_t)(equals - word)) : word;
		const char *now = boot_cmdline_value(next, name, route->arena);
		if (!now || strcmp(now, equals ? equals + 1 : "") != 0)
			missing = join(route, missing, word);
	}
	return missing;
}

static const char *folded(const char *cmdline, struct arena *arena)
{
	struct words words = text_split(arena, cmdline, " \t");
	return text_join(&words, " ", arena);
}

static const char *because_of(const struct route *route)
{
	return route->words.n        ? route->words_because.word[0]
	       : route->menu_because ? route->menu_because
	                             : route->image[0].because;
}

void loader_finish(struct route *route, bool copy)
{
	const struct boot *boot = &route->facts->boot;
	const char *because = because_of(route);
	if (boot->loader == LOADER_UNKNOWN || !boot->cmdline_next) {
		const struct finding *finding = route_finding(route, "node.boot-file");
		route_refuse(route, "node.boot-file", finding ? finding->cure : NULL, "%s",
		        boot->loader == LOADER_UNKNOWN ? "which boot loader starts this node is not known"
		                                       : "the command line of the next boot is not known");
		return;
	}
	bool grub = boot->loader == LOADER_GRUB;
	const char *words = missing_words(route), *line = boot->cmdline_next;
	if (*words)
		line = grub ? grub_file(route, because, words) : kernel_file(route, because, words);
	if (!line)
		return;
	const char *from = boot->cmdline_generated ? folded(boot->cmdline_generated, route->arena) : NULL;
	line = folded(line, route->arena);
	if (!copy && from && text_ends(from, line))
		return; /* the menu holds them already */
	struct step *step =
	        route_step(route, PHASE_BOOT, "boot", "node", grub ? "grub" : "systemd-boot", from, line, because, "%s",
	                *words ? "put the words into the boot menu"
	                : copy ? "copy the initramfs to every ESP"
	                       : "write the boot menu again");
	step->needs_reboot = true;
}
