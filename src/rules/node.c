/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The node: from the firmware tables to the driver on the card.
 */
#include <stdlib.h>
#include <string.h>

#include "facts/predict.h"
#include "rules/check.h"

/* ---- what the node is ---- */

static enum verdict node_proxmox(const struct scene *scene, struct answer *answer)
{
	const struct pve *pve = &scene->facts->pve;
	if (pve->here == UNKNOWN)
		return answer_unknown(answer, "whether Proxmox VE is installed could not be read");
	if (pve->here == YES)
		return answer_ok(
		        answer, "Proxmox VE %s", pve->version && *pve->version ? pve->version : "is installed");
	answer_step(answer, "run gpuferry on the Proxmox VE node, or name it: gpuferry verify --host ssh://root@NODE");
	return answer_broken(answer, "Proxmox VE is not installed here");
}

static enum verdict node_quorum(const struct scene *scene, struct answer *answer)
{
	const struct pve *pve = &scene->facts->pve;
	if (pve->here != YES)
		return answer_none();
	if (pve->readable == NO) {
		answer_step(answer, "run gpuferry as root");
		return answer_unknown(answer, "/etc/pve cannot be read");
	}
	if (pve->quorate == UNKNOWN)
		return answer_unknown(answer, "whether the cluster has a quorum could not be read");
	if (pve->quorate == YES)
		return answer_ok(answer, "/etc/pve is writable");
	answer_step(answer, "see which nodes are missing: pvecm status");
	answer_step(answer, "bring the missing nodes back; then guests can be started and changed again");
	return answer_warn(answer, "the cluster has no quorum: /etc/pve is read-only and guests cannot be started");
}

static enum verdict node_virtualisation(const struct scene *scene, struct answer *answer)
{
	const struct cpu *cpu = &scene->facts->host.cpu;
	if (cpu->virtualisation == UNKNOWN)
		return answer_unknown(answer, "the CPU's flags could not be read");
	if (cpu->virtualisation == YES)
		return answer_ok(answer, "the CPU offers virtualisation");
	answer_step(answer, "in the BIOS enable %s",
	        cpu->vendor && !strcmp(cpu->vendor, "AuthenticAMD") ? "SVM Mode"
	                                                            : "Intel Virtualization Technology (VT-x)");
	if (cpu->hypervisor == YES)
		answer_step(answer, "this node is itself a VM: give it the CPU type host and nested virtualisation");
	return answer_broken(answer, "the CPU shows neither vmx nor svm: virtualisation is off");
}

/* ---- IOMMU and the command line ---- */

static enum verdict node_firmware_iommu(const struct scene *scene, struct answer *answer)
{
	const struct facts *facts = scene->facts;
	const struct pci *pci = &facts->pci;
	if (pci->firmware_dmar == YES || pci->firmware_ivrs == YES)
		return answer_ok(answer, "the firmware has the %s table", pci->firmware_dmar == YES ? "DMAR" : "IVRS");
	if (pci->iommu == YES)
		return answer_ok(answer, "an IOMMU is at work");
	if (pci->firmware_dmar == UNKNOWN || pci->firmware_ivrs == UNKNOWN)
		return answer_unknown(answer, "the firmware's tables (DMAR, IVRS) could not be read");
	if (facts->host.cpu.vendor && !strcmp(facts->host.cpu.vendor, "AuthenticAMD"))
		answer_step(answer,
		        "in the BIOS enable IOMMU (often under AMD CBS, NBIO; \"Auto\" may mean off) and SVM Mode");
	else
		answer_step(answer, "in the BIOS enable VT-d (\"Intel Virtualization Technology for Directed I/O\")");
	answer_step(
	        answer, "if the BIOS has no such setting, this board cannot pass a GPU to a VM; a CT needs no IOMMU");
	return answer_broken(answer, "the firmware offers no IOMMU: it has neither a DMAR nor an IVRS table, "
	                             "and no kernel word can help");
}

/* Words that matter on the way to a GPU; others are nobody's business here. */
static const char *const matters[] = { "intel_iommu", "amd_iommu", "iommu", "intremap", "pcie_acs_override", "vfio",
	"initcall_blacklist", "video", "modprobe.blacklist", "module_blacklist", "i915", "xe", "amdgpu", "radeon",
	"nvidia", "nouveau", "nomodeset", "pcie_aspm", "hugepages", "default_hugepagesz", "rd.driver.pre", NULL };

/* Some take a kernel word to do something, others take an isolation or a protection away, or a device from the node:
 * such words are never to be copied because they stood somewhere. */
static const char *const risky[] = { "pcie_acs_override", "vfio_iommu_type1", "vfio", "initcall_blacklist", "video",
	"modprobe.blacklist", "module_blacklist", "nomodeset", "rd.driver.pre", NULL };

static bool word_begins(const char *const *prefixes, const char *word)
{
	for (const char *const *prefix = prefixes; *prefix; prefix++) {
		size_t size = strlen(*prefix);
		if (!strncmp(word, *prefix, size) && strchr("=._-", word[size]))
			return true; /* the closing zero byte counts as one of these signs */
	}
	return false;
}

static bool word_risky(const char *word)
{
	return word_begins(risky, word) || text_ends(word, "=off") || text_ends(word, "modeset=0");
}

static int by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The kernel takes - for _ in a parameter's name. */
static const char *same_spelling(const char *word, struct arena *arena)
{
	char *text = arena_strdup(arena, word);
	for (char *sign = text; *sign && *sign != '='; sign++)
		if (*sign == '-')
			*sign = '_';
	return text;
}

/* Sorted, so that long lines compare in time. */
static struct words words_sorted(const char *cmdline, struct arena *arena)
{
	struct words words = boot_cmdline_words(cmdline ? cmdline : "", arena);
	for (size_t i = 0; i < words.n; i++)
		words.word[i] = same_spelling(words.word[i], arena);
	if (words.n)
		qsort(words.word, words.n, sizeof *words.word, by_text);
	return words;
}

static bool words_hold(const struct words *sorted, const char *word)
{
	return sorted->n && bsearch(&word, sorted->word, sorted->n, sizeof *sorted->word, by_text);
}

/* Words of `from` that matter and stand in neither of the others. */
static struct words words_missing(const char *from, const char *in, const char *or_in, struct arena *arena)
{
	struct words all = boot_cmdline_words(from, arena), missing = { 0 };
	struct words have = words_sorted(in, arena), have_too = words_sorted(or_in, arena);
	for (size_t i = 0; i < all.n && missing.n < 40; i++) {
		const char *word = same_spelling(all.word[i], arena);
		if (word_begins(matters, all.word[i]) && !words_hold(&have, word) && !words_hold(&have_too, word))
			*arena_push(arena, missing.word, missing.n) = all.word[i];
	}
	return missing;
}

struct dead_word {
	const char *pattern;
	const char *since;      /* dead from this kernel on; NULL: always */
	const char *cpu_vendor; /* dead on this vendor's CPUs; NULL: on all */
	const char *why;
};
static const struct dead_word dead_words[] = {
	{ "video=*efifb:off*", "5.15", NULL, "frees no screen since kernel 5.15 (initcall_blacklist=sysfb_init does)" },
	{ "video=*vesafb:off*", "5.15", NULL,
	        "frees no screen since kernel 5.15 (initcall_blacklist=sysfb_init does)" },
	{ "video=*simplefb:off*", "5.15", NULL,
	        "frees no screen since kernel 5.15 (initcall_blacklist=sysfb_init does)" },
	{ "amd_iommu=on", NULL, NULL, "is no value the kernel knows: AMD's IOMMU is on without it" },
	{ "intel_iommu=*", NULL, "AuthenticAMD", "does nothing on an AMD CPU" },
	{ "amd_iommu=*", NULL, "GenuineIntel", "does nothing on an Intel CPU" },
	{ "iommu=1", NULL, NULL, "is no value the kernel knows" },
	{ "iommu=on", NULL, NULL, "is no value the kernel knows" },
};

/* YES: dead here; UNKNOWN: depends on something that is not known. */
static enum tri word_dead(const struct facts *facts, const struct dead_word *dead, const char *word)
{
	if (!text_matches(dead->pattern, word))
		return NO;
	if (dead->cpu_vendor)
		return facts->host.cpu.vendor ? tri_of(!strcmp(facts->host.cpu.vendor, dead->cpu_vendor)) : UNKNOWN;
	if (!dead->since)
		return YES;
	enum tri older = check_older(facts->boot.kernel, dead->since);
	return older == UNKNOWN ? UNKNOWN : tri_of(older == NO);
}

static bool word_dead_here(const struct facts *facts, const char *word)
{
	for (size_t d = 0; d < sizeof dead_words / sizeof *dead_words; d++)
		if (word_dead(facts, &dead_words[d], word) == YES)
			return true;
	return false;
}

/* The words worth having on this machine: no dead ones, none that takes something away, and of those that switch the
 * IOMMU on none that is on already. */
static struct words words_worth(const struct facts *facts, const struct words *words, struct arena *arena)
{
	struct words worth = { 0 };
	for (size_t i = 0; i < words->n; i++) {
		bool leave = word_risky(words->word[i]) ||
		             (text_starts(words->word[i], "intel_iommu=") && facts->pci.iommu == YES);
		if (!leave && !word_dead_here(facts, words->word[i]))
			*arena_push(arena, worth.word, worth.n) = words->word[i];
	}
	return worth;
}

/* Missing words stop the way to a VM only where they would switch on an IOMMU that is off: Intel's, by one word. */
static bool words_decide(const struct scene *scene, const struct words *words)
{
	const char *vendor = scene->facts->host.cpu.vendor;
	return scene->vm && scene->facts->pci.iommu == NO && vendor && !strcmp(vendor, "GenuineIntel") &&
	       check_has(words, "intel_iommu=on");
}

static const char *loader_name(enum loader loader)
{
	return loader == LOADER_GRUB ? "GRUB" : "systemd-boot";
}

static enum verdict node_boot_file(const struct scene *scene, struct answer *answer)
{
	const struct boot *boot = &scene->facts->boot;
	if (boot->loader == LOADER_UNKNOWN) {
		answer_step(answer, "look with: efibootmgr -v and proxmox-boot-tool status");
		return answer_unknown(answer, "which boot loader started this node is not known%s%s",
		        boot->loader_why && *boot->loader_why ? ": " : "", boot->loader_why ? boot->loader_why : "");
	}
	const char *name = loader_name(boot->loader);
	if (!boot->other_file || !boot->other_cmdline)
		return answer_unknown(
		        answer, "%s boots this node; the file of the other loader could not be read", name);
	if (!*boot->other_file)
		return answer_ok(answer, "%s boots this node, and no other loader's file is set up", name);
	struct words lost = words_missing(boot->other_cmdline, boot->cmdline, boot->cmdline_next, answer->arena);
	if (!lost.n)
		return answer_ok(answer, "%s boots this node and reads %s", name,
		        boot->cmdline_file ? boot->cmdline_file : "its own file");
	const char *text = text_join(&lost, " ", answer->arena);
	struct words worth = words_worth(scene->facts, &lost, answer->arena);
	if (worth.n)
		step_cmdline_add(answer, boot, text_join(&worth, " ", answer->arena));
	if (worth.n < lost.n)
		answer_step(answer, "copy no other word from there: the rest does nothing on this machine, or takes a "
		                    "protection or a device away and is to be set only where a rule asks for it");
	answer_step(answer, "take them out of %s again, so that nobody is misled", boot->other_file);
	if (words_decide(scene, &lost))
		return answer_broken(answer, "%s stands in %s, which %s does not read", text, boot->other_file, name);
	return answer_warn(
	        answer, "%s stands in %s, which %s does not read: it has no effect", text, boot->other_file, name);
}

static const char *iommu_off_word(const char *cmdline)
{
	static const char *const words[] = { "intel_iommu=off", "amd_iommu=off", "iommu=off", NULL };
	for (const char *const *word = words; cmdline && *word; word++)
		if (boot_cmdline_has(cmdline, *word))
			return *word;
	return NULL;
}

/* Was what is configured also handed to the loader? */
static enum tri words_handed_over(const struct boot *boot, const char *words, struct arena *arena)
{
	if (!boot->cmdline_generated)
		return UNKNOWN; /* systemd-boot's entries lie on an ESP that is usually not mounted */
	return tri_of(!words_missing(words, boot->cmdline_generated, NULL, arena).n);
}

static const char *step_hand_over(struct answer *answer, const struct boot *boot, enum tri handed)
{
	const char *command = boot->loader == LOADER_SYSTEMD_BOOT ? "proxmox-boot-tool refresh" : "update-grub";
	if (handed != YES)
		answer_step(answer, "run: %s%s", command, handed == UNKNOWN ? "   (once more does no harm)" : "");
	answer_step(answer, "reboot the node when its guests may stop, then look at /proc/cmdline");
	return handed == YES  ? "a reboot is due"
	       : handed == NO ? "the boot menu was not written since"
	                      : arena_printf(answer->arena, "a reboot is due, and before it %s", command);
}

static enum verdict pending_words(const struct scene *scene, struct answer *answer, const struct words *words)
{
	const struct boot *boot = &scene->facts->boot;
	const char *text = text_join(words, " ", answer->arena), *off = iommu_off_word(text);
	if (off) {
		step_cmdline_remove(answer, boot, off);
		return answer_warn(answer, "%s is configured: the next boot switches the IOMMU off", off);
	}
	const char *state = step_hand_over(answer, boot, words_handed_over(boot, text, answer->arena));
	if (words_decide(scene, words))
		return answer_broken(answer, "%s is configured but not in effect: %s", text, state);
	return answer_warn(answer, "%s is configured but not in effect: %s", text, state);
}

/* Words in effect that the next boot will not have. */
static enum verdict going_words(const struct scene *scene, struct answer *answer, const struct words *words)
{
	const struct boot *boot = &scene->facts->boot;
	const char *text = text_join(words, " ", answer->arena), *off = iommu_off_word(text);
	enum tri still =
	        !boot->cmdline_generated
	                ? UNKNOWN
	                : tri_of(words_missing(text, boot->cmdline_generated, NULL, answer->arena).n < words->n);
	if (off && scene->vm && scene->facts->pci.iommu == NO) {
		const char *state = step_hand_over(answer, boot, still == UNKNOWN ? UNKNOWN : tri_of(still == NO));
		return answer_broken(
		        answer, "%s is taken out of the configuration but still in effect: %s", off, state);
	}
	struct words worth = words_worth(scene->facts, words, answer->arena);
	if (worth.n) {
		const char *back = text_join(&worth, " ", answer->arena);
		answer_step(answer, "if %s is needed, put it back:", back);
		step_cmdline_add(answer, boot, back);
	} else {
		answer_step(answer,
		        "nothing is to be put back; after the next reboot run gpuferry verify again, because "
		        "IOMMU groups and drivers may be other ones then");
	}
	return answer_warn(
	        answer, "%s is in effect now but no longer configured: the next boot will not have it", text);
}

static enum verdict node_boot_pending(const struct scene *scene, struct answer *answer)
{
	const struct boot *boot = &scene->facts->boot;
	if (!boot->cmdline)
		return answer_unknown(answer, "/proc/cmdline could not be read");
	if (!boot->cmdline_next)
		return answer_unknown(answer, "the command line of the next boot is not known");
	struct words waiting = words_missing(boot->cmdline_next, boot->cmdline, NULL, answer->arena);
	if (waiting.n)
		return pending_words(scene, answer, &waiting);
	struct words going = words_missing(boot->cmdline, boot->cmdline_next, NULL, answer->arena);
	if (going.n)
		return going_words(scene, answer, &going);
	return answer_ok(answer, "the next boot gets the words that are in effect now");
}

static enum verdict node_iommu(const struct scene *scene, struct answer *answer)
{
	const struct facts *facts = scene->facts;
	if (facts->pci.iommu == UNKNOWN)
		return answer_unknown(answer, "/sys/class/iommu could not be read");
	if (facts->pci.iommu == YES)
		return facts->pci.iommu_units.n ? answer_ok(answer, "/sys/class/iommu shows %s",
		                                          text_join(&facts->pci.iommu_units, " ", answer->arena))
		                                : answer_ok(answer, "there are IOMMU groups, so an IOMMU is on");
	const char *off = iommu_off_word(facts->boot.cmdline);
	if (off) {
		step_cmdline_remove(answer, &facts->boot, off);
		return answer_broken(
		        answer, "/sys/class/iommu is empty: %s on the kernel command line switches it off", off);
	}
	const char *vendor = facts->host.cpu.vendor;
	bool intel = vendor && !strcmp(vendor, "GenuineIntel");
	bool has_word = facts->boot.cmdline && boot_cmdline_has(facts->boot.cmdline, "intel_iommu=on");
	if (intel && !has_word && check_older(facts->boot.kernel, "6.8") != NO) {
		step_cmdline_add(answer, &facts->boot, "intel_iommu=on");
		return answer_broken(answer,
		        "/sys/class/iommu is empty; Intel's IOMMU is on by default only from Proxmox's "
		        "6.8 kernels (this is %s)",
		        facts->boot.kernel ? facts->boot.kernel : "an unknown one");
	}
	answer_step(answer, "look why the kernel did not take it: dmesg | grep -i -e DMAR -e AMD-Vi");
	answer_step(answer, "in the BIOS enable %s, and update the BIOS; save, and switch the machine off and on",
	        intel ? "VT-d" : "IOMMU (AMD) or VT-d (Intel)");
	if (intel && !has_word)
		step_cmdline_add(answer, &facts->boot, "intel_iommu=on");
	else if (!intel)
		answer_step(answer, "AMD needs no word on the command line");
	if (has_word)
		return answer_broken(answer,
		        "/sys/class/iommu is empty although intel_iommu=on is in effect: VT-d is off in the BIOS, "
		        "or its tables are faulty");
	return answer_broken(answer, "/sys/class/iommu is empty: Proxmox would say \"IOMMU not present\"");
}

static enum verdict node_next_iommu(const struct scene *scene, struct answer *answer)
{
	const struct facts *facts = scene->facts;
	struct prediction next;
	if (facts->pci.firmware_dmar == NO && facts->pci.firmware_ivrs == NO)
		return answer_none(); /* node.firmware-iommu says it */
	predict_boot(facts, false, answer->arena, &next);
	/* what is configured may not have reached the entry on an ESP that is not mounted */
	if (next.iommu != UNKNOWN && next.iommu != facts->pci.iommu && !facts->boot.cmdline_generated)
		return answer_unknown(answer,
		        "as configured the next boot has its IOMMU %s, but whether the boot menu says so is not known",
		        next.iommu == YES ? "on" : "off");
	if (next.iommu == YES)
		return answer_ok(answer, "the next boot has its IOMMU on");
	const char *off = iommu_off_word(next.cmdline);
	if (next.iommu == UNKNOWN)
		return answer_unknown(answer, "whether the next boot has its IOMMU on is not known%s",
		        next.cmdline ? "" : ", because its command line is not");
	if (facts->pci.iommu != YES)
		return answer_none(); /* it is off now, and node.iommu says why */
	if (off)
		step_cmdline_remove(answer, &facts->boot, off);
	return answer_broken(answer, "the next boot has its IOMMU off%s%s", off ? ": the boot menu has the word " : "",
	        off ? off : "");
}

static enum verdict node_interrupt_remapping(const struct scene *scene, struct answer *answer)
{
	const struct facts *facts = scene->facts;
	const char *value = modprobe_option(&facts->boot.modprobe, "vfio_iommu_type1", "allow_unsafe_interrupts");
	bool unsafe = value && *value && strchr("1yY", *value);
	if (facts->pci.remapping == YES && !unsafe)
		return answer_ok(answer, "interrupts are remapped");
	if (facts->pci.remapping == YES) {
		answer_step(answer, "remove allow_unsafe_interrupts from /etc/modprobe.d (and from the command line)");
		step_initramfs(answer, &facts->boot);
		return answer_warn(answer,
		        "interrupts are remapped, so allow_unsafe_interrupts=%s is needless, and it lets a "
		        "guest raise interrupts of the node",
		        value);
	}
	if (facts->pci.remapping == UNKNOWN)
		return answer_unknown(answer, "whether interrupts are remapped could not be read");
	if (facts->boot.cmdline && boot_cmdline_has(facts->boot.cmdline, "intremap=off"))
		step_cmdline_remove(answer, &facts->boot, "intremap=off");
	else
		answer_step(answer,
		        "in the BIOS enable x2APIC and interrupt remapping where it has them, and update the BIOS");
	if (unsafe)
		return answer_warn(answer,
		        "interrupts are not remapped; allow_unsafe_interrupts=%s lets VMs start all the same, "
		        "but a guest can disturb the node",
		        value);
	answer_step(answer, "only if the board cannot: echo 'options vfio_iommu_type1 allow_unsafe_interrupts=1' > "
	                    "/etc/modprobe.d/vfio-unsafe.conf (Proxmox warns that this can make the system unstable)");
	return answer_broken(answer,
	        "interrupts are not remapped: a VM with this card fails with \"Failed to set iommu for "
	        "container: Operation not permitted\"");
}

static enum verdict node_dead_words(const struct scene *scene, struct answer *answer)
{
	const struct facts *facts = scene->facts;
	if (!facts->boot.cmdline)
		return answer_unknown(answer, "/proc/cmdline could not be read");
	struct words words = boot_cmdline_words(facts->boot.cmdline, answer->arena), dead = { 0 }, why = { 0 };
	for (size_t i = 0; i < words.n && dead.n < 20; i++)
		for (size_t d = 0; d < sizeof dead_words / sizeof *dead_words; d++) {
			enum tri is = word_dead(facts, &dead_words[d], words.word[i]);
			if (is == UNKNOWN)
				return answer_unknown(answer, "%s may do nothing here: the %s is not known",
				        words.word[i], dead_words[d].cpu_vendor ? "CPU's vendor" : "running kernel");
			if (is == NO)
				continue;
			*arena_push(answer->arena, dead.word, dead.n) = words.word[i];
			*arena_push(answer->arena, why.word, why.n) =
			        arena_printf(answer->arena, "%s %s", words.word[i], dead_words[d].why);
			break;
		}
	if (!dead.n)
		return answer_ok(answer, "no word that is known to do nothing");
	step_cmdline_remove(answer, &facts->boot, text_join(&dead, " ", answer->arena));
	return answer_warn(answer, "%s", text_join(&why, "; ", answer->arena));
}

static const struct load_line *load_of(const struct modprobe *modprobe, const char *module)
{
	for (size_t i = 0; i < modprobe->n_loads; i++)
		if (!strcmp(modprobe->loads[i].module, module))
			return &modprobe->loads[i];
	return NULL;
}

static enum verdict node_virqfd(const struct scene *scene, struct answer *answer)
{
	const struct boot *boot = &scene->facts->boot;
	const struct load_line *line = load_of(&boot->modprobe, "vfio_virqfd");
	if (!line)
		line = load_of(&boot->initramfs_modules, "vfio_virqfd");
	if (!line && boot->modprobe.known != YES)
		return answer_unknown(answer, "the lists of modules to load could not be read whole");
	if (!line)
		return answer_ok(answer, "vfio_virqfd is not listed");
	const char *kernel = boot->kernel_next && *boot->kernel_next ? boot->kernel_next : boot->kernel;
	enum tri older = check_older(kernel, "6.2");
	if (older == UNKNOWN)
		return answer_unknown(
		        answer, "vfio_virqfd is listed in %s, and which kernel boots is not known", line->file);
	if (older == YES)
		return answer_ok(answer, "vfio_virqfd is listed, and kernel %s has it", kernel);
	answer_step(answer, "in %s take away line %u: vfio_virqfd", line->file, line->line);
	step_initramfs(answer, boot);
	return answer_warn(answer,
	        "%s line %u lists vfio_virqfd, which kernel %s does not have (it became part of vfio in "
	        "6.2): systemd-modules-load fails at every boot",
	        line->file, line->line, kernel);
}

static enum verdict node_next_kernel(const struct scene *scene, struct answer *answer)
{
	const struct boot *boot = &scene->facts->boot;
	if (!boot->kernel || !boot->kernel_next)
		return answer_unknown(
		        answer, "which kernel %s is not known", boot->kernel ? "boots next" : "is running");
	if (!strcmp(boot->kernel, boot->kernel_next))
		return answer_ok(answer, "kernel %s runs and boots next", boot->kernel);
	answer_step(answer, "after the reboot run gpuferry verify again");
	answer_step(answer, "if the new kernel fails: proxmox-boot-tool kernel pin %s keeps the one that works",
	        text_sh_quoted(answer->arena, boot->kernel));
	return answer_warn(answer, "kernel %s runs, %s boots next: drivers and groups may differ", boot->kernel,
	        boot->kernel_next);
}

/* ---- what the boot froze ---- */

static const struct kernel *next_kernel(const struct boot *boot)
{
	return boot->kernel_next && *boot->kernel_next ? boot_kernel(boot, boot->kernel_next) : NULL;
}

static const char *const frozen_modules[] = { "vfio", "vfio_pci", "vfio_iommu_type1", "vfio_virqfd", "nouveau",
	"nvidia*", "i915", "xe", "amdgpu", "radeon", "snd_hda_intel", NULL };

static bool module_freezes(const char *module)
{
	for (const char *const *pattern = frozen_modules; *pattern; pattern++)
		if (text_matches(*pattern, module))
			return true;
	return false;
}

/* Settings about GPUs and vfio as sorted texts, so that two places can be compared. */
static struct words settings_of(const struct modprobe *modprobe, const struct modprobe *loads, struct arena *arena)
{
	static const char *const kinds[] = { [MODPROBE_BLACKLIST] = "blacklist",
		[MODPROBE_OPTIONS] = "options",
		[MODPROBE_SOFTDEP] = "softdep",
		[MODPROBE_INSTALL] = "install" };
	struct words found = { 0 };
	for (size_t i = 0; i < modprobe->n; i++) {
		const struct modprobe_line *line = &modprobe->lines[i];
		const char *kind = line->kind <= MODPROBE_INSTALL ? kinds[line->kind] : NULL;
		if (!kind || !module_freezes(line->module) || (line->file && !strcmp(line->file, "command line")))
			continue;
		bool rest = line->rest && *line->rest;
		*arena_push(arena, found.word, found.n) =
		        arena_printf(arena, "%s %s%s%s", kind, line->module, rest ? " " : "", rest ? line->rest : "");
	}
	for (size_t i = 0; loads && i < loads->n_loads; i++)
		if (module_freezes(loads->loads[i].module))
			*arena_push(arena, found.word, found.n) =
			        arena_printf(arena, "load %s", loads->loads[i].module);
	if (found.n)
		qsort(found.word, found.n, sizeof *found.word, by_text);
	return found;
}

/* The first setting that one place has and the other has not; NULL: they are the same. */
static const char *settings_differ(const struct words *now, const struct words *frozen, bool *ret_missing)
{
	size_t n = 0, f = 0;
	while (n < now->n || f < frozen->n) {
		int order = n == now->n ? 1 : f == frozen->n ? -1 : strcmp(now->word[n], frozen->word[f]);
		*ret_missing = order < 0;
		if (order)
			return order < 0 ? now->word[n] : frozen->word[f];
		const char *same = now->word[n];
		while (n < now->n && !strcmp(now->word[n], same))
			n++;
		while (f < frozen->n && !strcmp(frozen->word[f], same))
			f++;
	}
	return NULL;
}

static enum verdict compare_frozen(const struct scene *scene, struct answer *answer, const struct initramfs *image)
{
	const struct boot *boot = &scene->facts->boot;
	struct words now = settings_of(&boot->modprobe, &boot->initramfs_modules, answer->arena);
	struct words frozen = settings_of(&image->modprobe, &image->modprobe, answer->arena);
	bool missing = false;
	const char *differs = settings_differ(&now, &frozen, &missing);
	if (!differs)
		return answer_ok(answer, "%s holds what /etc says about vfio and GPU drivers", image->path);
	step_initramfs(answer, boot);
	return answer_warn(answer, "%s is stale: it %s \"%s\", which /etc %s", image->path, missing ? "lacks" : "holds",
	        differs, missing ? "has" : "no longer has");
}

static const struct initramfs *image_at(const struct kernel *kernel, const char *place)
{
	for (size_t i = 0; kernel && i < kernel->n_initramfs; i++)
		if (kernel->initramfs[i]->place && text_starts(kernel->initramfs[i]->place, place))
			return kernel->initramfs[i];
	return NULL;
}

static enum verdict node_initramfs(const struct scene *scene, struct answer *answer)
{
	const struct boot *boot = &scene->facts->boot;
	if (boot->modprobe.known != YES)
		return answer_unknown(answer, "/etc/modprobe.d could not be read");
	const struct kernel *kernel = next_kernel(boot);
	if (!kernel)
		return answer_unknown(answer, "which kernel boots next is not known");
	const struct initramfs *image = image_at(kernel, "/boot");
	if (!image)
		return answer_unknown(answer, "the initramfs of kernel %s was not found in /boot", kernel->version);
	if (image->known == YES)
		return compare_frozen(scene, answer, image);
	bool older = image->mtime != UNKNOWN_NUMBER && boot->config_mtime != UNKNOWN_NUMBER &&
	             image->mtime < boot->config_mtime;
	step_initramfs(answer, boot);
	return answer_unknown(answer, "%s could not be read (%s)%s%s", image->path,
	        image->why ? image->why : "reason unknown", older ? "; it is older than " : "",
	        older && boot->config_newest ? boot->config_newest : "");
}

static enum verdict esp_image(const struct scene *scene, struct answer *answer, const struct esp *esp)
{
	const struct kernel *kernel = next_kernel(&scene->facts->boot);
	const char *place = arena_printf(answer->arena, "ESP %s", esp->uuid ? esp->uuid : "");
	const struct initramfs *image = image_at(kernel, place);
	if (image && image->known == YES)
		return compare_frozen(scene, answer, image);
	answer_step(answer, "run: proxmox-boot-tool refresh   (it copies /boot's kernels and initramfs to every ESP)");
	answer_step(answer,
	        "to look yourself: mount -o ro /dev/disk/by-uuid/%s /mnt, then lsinitramfs on the initrd below it",
	        esp->uuid ? esp->uuid : "UUID");
	return answer_unknown(answer, "what %s boots is not known: %s", place,
	        image && image->why  ? image->why
	        : esp->mounted == NO ? "it is not mounted"
	                             : "its initramfs could not be read");
}

static enum verdict node_esp_copy(const struct scene *scene, struct answer *answer)
{
	const struct boot *boot = &scene->facts->boot;
	if (boot->proxmox_boot_tool == NO)
		return answer_none();
	if (boot->proxmox_boot_tool == UNKNOWN)
		return answer_unknown(answer, "whether proxmox-boot-tool keeps copies on an ESP could not be read");
	if (boot->modprobe.known != YES)
		return answer_unknown(answer, "/etc/modprobe.d could not be read");
	if (!settings_of(&boot->modprobe, &boot->initramfs_modules, answer->arena).n)
		return answer_ok(answer, "no setting about vfio or a GPU driver depends on the copy");
	if (!boot->n_esps)
		return answer_unknown(answer, "the ESPs of proxmox-boot-tool could not be listed");
	enum verdict worst = VERDICT_OK;
	struct answer said = *answer;
	for (size_t i = 0; i < boot->n_esps; i++) {
		struct answer one = { .arena = answer->arena };
		enum verdict verdict = esp_image(scene, &one, &boot->esps[i]);
		if (i == 0 || (verdict == VERDICT_UNKNOWN && worst != VERDICT_UNKNOWN) ||
		        (verdict == VERDICT_WARN && worst == VERDICT_OK)) {
			worst = verdict;
			said = one;
		}
	}
	*answer = said;
	return worst;
}

const struct rule rules_node[] = {
	{ .id = "node.proxmox",
	        .about = ABOUT_NODE,
	        .check = node_proxmox,
	        .asks = "Is this a Proxmox VE node?",
	        .explains = "Guests, their configuration and the tools that change it exist on the node only.",
	        .source = "dpkg status of pve-manager; /etc/pve" },
	{ .id = "node.quorum",
	        .about = ABOUT_NODE,
	        .check = node_quorum,
	        .asks = "Can the guests' configuration be read and written?",
	        .explains = "Without a quorum the cluster's file system is read-only: guests that run go on, none can "
	                    "be started or "
	                    "changed.",
	        .source = "pve-docs pvecm.adoc" },
	{ .id = "node.virtualisation",
	        .after = { "node.proxmox" },
	        .about = ABOUT_NODE,
	        .route = ROUTE_VM,
	        .check = node_virtualisation,
	        .asks = "Does the CPU offer virtualisation?",
	        .explains = "Without vmx or svm no VM runs at speed and none can be given a device.",
	        .source = "/proc/cpuinfo flags" },
	{ .id = "node.firmware-iommu",
	        .after = { "node.proxmox" },
	        .about = ABOUT_NODE,
	        .route = ROUTE_VM,
	        .pains = { 3 },
	        .check = node_firmware_iommu,
	        .asks = "Does the firmware offer an IOMMU?",
	        .explains = "The IOMMU is described to the kernel in the ACPI table DMAR (Intel) or IVRS (AMD). If the "
	                    "firmware has "
	                    "neither, it is switched off in the BIOS, and nothing on the kernel command line can "
	                    "replace it.",
	        .source = "ACPI DMAR and IVRS; Linux drivers/iommu" },
	{ .id = "node.boot-file",
	        .after = { "node.proxmox" },
	        .about = ABOUT_NODE,
	        .pains = { 1 },
	        .check = node_boot_file,
	        .asks = "Do the boot settings stand in the file that this node's loader reads?",
	        .explains = "Proxmox VE boots with GRUB or with systemd-boot, and each reads a file of its own: "
	                    "/etc/default/grub or "
	                    "/etc/kernel/cmdline. Words in the other file are never read.",
	        .source = "pve-docs system-booting.adoc; efivar LoaderInfo" },
	{ .id = "node.next-iommu",
	        .after = { "node.proxmox" },
	        .about = ABOUT_NODE,
	        .route = ROUTE_VM,
	        .pains = { 3 },
	        .check = node_next_iommu,
	        .asks = "Will the IOMMU be on at the next boot?",
	        .explains = "Words on the command line that boots next, the kernel's own default and the firmware's "
	                    "tables decide it. Without an IOMMU vfio-pci takes no device, and no VM with a GPU starts.",
	        .source = "Linux arch/x86/kernel/pci-dma.c, drivers/iommu; pve-docs qm-pci-passthrough.adoc" },
	{ .id = "node.boot-pending",
	        .after = { "node.proxmox", "node.next-iommu" },
	        .about = ABOUT_NODE,
	        .pains = { 1 },
	        .check = node_boot_pending,
	        .asks = "Is what is configured for the next boot what runs now?",
	        .explains = "Only /proc/cmdline counts. A word that was written down needs update-grub or "
	                    "proxmox-boot-tool refresh, "
	                    "and a reboot; and a word that was taken away is missing after the next one.",
	        .source = "pve-docs system-booting.adoc",
	        .needs = { "node.boot-file" } },
	{ .id = "node.iommu",
	        .about = ABOUT_NODE,
	        .route = ROUTE_VM,
	        .pains = { 3 },
	        .check = node_iommu,
	        .after = { "node.firmware-iommu", "node.boot-file", "node.boot-pending" },
	        .asks = "Is the IOMMU on?",
	        .explains = "Proxmox's own test: /sys/class/iommu is not empty. Kernel messages such as \"IOMMU "
	                    "enabled\" prove nothing.",
	        .source = "qemu-server PVE/QemuServer/PCI.pm; pve-common PVE/SysFSTools.pm" },
	{ .id = "node.interrupt-remapping",
	        .about = ABOUT_NODE,
	        .route = ROUTE_VM,
	        .pains = { 8 },
	        .check = node_interrupt_remapping,
	        .needs = { "node.iommu" },
	        .asks = "Are interrupts remapped, without unsafe exceptions?",
	        .explains = "vfio refuses a device whose interrupts the IOMMU cannot remap, unless "
	                    "allow_unsafe_interrupts is set; then "
	                    "a guest can send the node interrupts it should not.",
	        .source = "Linux drivers/vfio/vfio_iommu_type1.c; pve-docs qm-pci-passthrough.adoc" },
	{ .id = "node.dead-words",
	        .after = { "node.proxmox" },
	        .about = ABOUT_NODE,
	        .pains = { 3, 7 },
	        .check = node_dead_words,
	        .asks = "Does the command line hold words that do nothing?",
	        .explains = "Guides pass on words that a newer kernel does not know. They do no harm, but they hide "
	                    "that the thing they "
	                    "should do is not done.",
	        .source = "Linux Documentation/admin-guide/kernel-parameters.txt; arch/x86/kernel/pci-dma.c" },
	{ .id = "node.virqfd",
	        .after = { "node.proxmox" },
	        .about = ABOUT_NODE,
	        .pains = { 2 },
	        .check = node_virqfd,
	        .asks = "Is a module listed that this kernel no longer has?",
	        .explains = "vfio_virqfd became part of vfio in kernel 6.2. Listed since then, it makes "
	                    "systemd-modules-load fail and "
	                    "hides other failures.",
	        .source = "Linux 6.2 drivers/vfio; pve-docs qm-pci-passthrough.adoc" },
	{ .id = "node.next-kernel",
	        .after = { "node.proxmox" },
	        .about = ABOUT_NODE,
	        .pains = { 10 },
	        .check = node_next_kernel,
	        .asks = "Does the kernel that runs also boot next?",
	        .explains = "An upgrade installs a kernel that only the next boot shows. Drivers built by DKMS, "
	                    "firmware and groups can "
	                    "fail with it; pinning the working one is the way back.",
	        .source = "proxmox-boot-tool kernel pin; Proxmox forum 169296" },
	{ .id = "node.initramfs",
	        .after = { "node.proxmox" },
	        .about = ABOUT_NODE,
	        .pains = { 9 },
	        .check = node_initramfs,
	        .asks = "Does the initramfs that boots next hold the settings of /etc?",
	        .explains = "modprobe's settings are copied into the initramfs when it is made. Until update-initramfs "
	                    "runs, the next "
	                    "boot follows the old ones.",
	        .source = "initramfs-tools(7); update-initramfs(8)" },
	{ .id = "node.esp-copy",
	        .after = { "node.proxmox" },
	        .about = ABOUT_NODE,
	        .pains = { 9 },
	        .check = node_esp_copy,
	        .asks = "Do the copies on the ESPs hold them too?",
	        .explains = "With proxmox-boot-tool the initramfs that boots lies on an EFI system partition that is "
	                    "usually not "
	                    "mounted; what is in /boot is no proof.",
	        .source = "pve-docs system-booting.adoc" },
	{ .id = NULL },
};
