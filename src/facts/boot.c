/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EFIVARS "/sys/firmware/efi/efivars"
#define GUID_EFI "8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define GUID_SHIM "605dab50-e046-4300-abb6-3dd810dd8b23"
#define GUID_LOADER "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
#define UUID_LIST "/etc/kernel/proxmox-boot-uuids"

static const size_t image_max = (size_t)512 * 1024 * 1024;
enum { TEXT_MAX = 2 * 1024 * 1024, ESPS_MAX = 8, KERNELS_MAX = 256, WORDS_MAX = 256, HISTORY_MAX = 16 };
enum { KEYS_MAX = 1024 * 1024, KEY_MAX = 16 * 1024, KEY_MIN = 128 };

struct gathering {
	struct world *world;
	struct arena *arena;
	struct boot *boot;
	blind_fn *blind;
	void *data;
};

static void not_read(struct gathering *gathering, int error, const char *path)
{
	if (error && error != ENOENT && gathering->blind)
		gathering->blind(gathering->data, error, path);
}

/* A file that may well be absent: 0 or an errno; what is neither is a blind spot. */
static int read_text(struct gathering *gathering, const char *path, struct bytes *ret)
{
	int error = world_read(gathering->world, path, TEXT_MAX, gathering->arena, ret);
	not_read(gathering, error, path);
	return error;
}

/* The first line, NONE for a file that is absent or empty, NULL if that is not known. */
static const char *first_line(struct gathering *gathering, const char *path)
{
	struct bytes text = { 0 };
	int error = read_text(gathering, path, &text);
	return error == 0 ? text_attribute(gathering->arena, text) : error == ENOENT ? NONE : NULL;
}

/* ---- running ------------------------------------------------------------ */

static void gather_running(struct gathering *gathering)
{
	struct boot *boot = gathering->boot;
	struct arena *arena = gathering->arena;
	const char *version = NULL;
	int error = world_attribute(gathering->world, arena, &boot->kernel, "/proc/sys/kernel/osrelease");
	if (error && world_attribute(gathering->world, arena, &version, "/proc/version") == 0) {
		/* "Linux version 6.8.12-4-pve (build@proxmox) ..." */
		struct words words = text_split(arena, version, " ");
		if (words.n > 2 && strcmp(words.word[1], "version") == 0) {
			boot->kernel = words.word[2];
			error = 0;
		}
	}
	if (error && gathering->blind)
		gathering->blind(gathering->data, error, "/proc/sys/kernel/osrelease");
	error = world_attribute(gathering->world, arena, &boot->cmdline, "/proc/cmdline");
	if (error && gathering->blind)
		gathering->blind(gathering->data, error, "/proc/cmdline");
}

/* ---- firmware ------------------------------------------------------------ */

/* 0, ENOENT (known not to be set), or why it is unknown. An efivars folder that is empty is one that is not mounted. */
static int read_efivar(struct gathering *gathering, const char *name, const char *guid, struct bytes *ret)
{
	const char *path = arena_printf(gathering->arena, EFIVARS "/%s-%s", name, guid);
	if (gathering->boot->efi == NO)
		return ENOENT;
	int error = world_read(gathering->world, path, 64 * 1024, gathering->arena, ret);
	if (error != ENOENT)
		return error;
	struct words names = { 0 };
	error = world_list(gathering->world, EFIVARS, gathering->arena, &names);
	return error && error != ENOENT ? error : names.n ? ENOENT : ENODATA;
}

static void gather_boot_entry(struct gathering *gathering)
{
	struct boot *boot = gathering->boot;
	struct bytes raw = { 0 };
	int error = read_efivar(gathering, "BootCurrent", GUID_EFI, &raw);
	boot->boot_current = error == ENOENT ? NONE : NULL;
	if (error || raw.size < 6)
		return;
	unsigned number = (unsigned char)raw.data[4] | (unsigned)(unsigned char)raw.data[5] << 8;
	const char *name = arena_printf(gathering->arena, "Boot%04X", number);
	if (read_efivar(gathering, name, GUID_EFI, &raw) == 0)
		boot->boot_current = boot_efivar_entry(raw, gathering->arena);
}

/* shim leaves the keys that the owner enrolled whole in its table, and in an efivar too (Linux efi/mokvar-table.c). A
 * certificate stands in such a list as it is (UEFI 2.10, 32.4.1 EFI_SIGNATURE_DATA). */
static enum tri trusts_dkms(struct gathering *gathering)
{
	static const char table[] = "/sys/firmware/efi/mok-variables/MokListRT", own[] = "/var/lib/dkms/mok.pub";
	struct bytes keys = { 0 }, key = { 0 };
	int error = world_read(gathering->world, own, KEY_MAX, gathering->arena, &key);
	if (error) {
		not_read(gathering, error, own);
		return error == ENOENT ? NO : UNKNOWN; /* the one that its first build makes is new */
	}
	error = world_read(gathering->world, table, KEYS_MAX, gathering->arena, &keys);
	if (error && (error = read_efivar(gathering, "MokListRT", GUID_SHIM, &keys)))
		not_read(gathering, error, "efivar MokListRT");
	if (error || key.size < KEY_MIN)
		return error == ENOENT ? NO : UNKNOWN;
	return tri_of(memmem(keys.data, keys.size, key.data, key.size) != NULL);
}

static void gather_firmware(struct gathering *gathering)
{
	struct boot *boot = gathering->boot;
	struct bytes raw = { 0 };
	boot->efi = world_exists(gathering->world, "/sys/firmware/efi");
	int error = read_efivar(gathering, "SecureBoot", GUID_EFI, &raw);
	boot->secure_boot = error == ENOENT ? NO : error || raw.size < 5 ? UNKNOWN : tri_of(raw.data[4] == 1);
	not_read(gathering, error, "efivar SecureBoot");
	boot->dkms_key = boot->secure_boot == YES ? trusts_dkms(gathering) : UNKNOWN;
	error = read_efivar(gathering, "LoaderInfo", GUID_LOADER, &raw);
	boot->loader_info = error == ENOENT ? NONE : error ? NULL : boot_efivar_text(raw, gathering->arena);
	not_read(gathering, error, "efivar LoaderInfo");
	gather_boot_entry(gathering);
}

/* ---- ESPs ---------------------------------------------------------------- */

/* /proc/mounts writes blanks and such as \040. */
static char *unescaped(struct arena *arena, const char *text)
{
	char *plain = arena_strdup(arena, text), *out = plain;
	for (const char *at = plain; *at; at++) {
		bool octal = at[0] == '\\' && strspn(at + 1, "01234567") >= 3;
		*out++ = octal ? (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0')) : *at;
		at += octal ? 3 : 0;
	}
	*out = '\0';
	return plain;
}

/* Where a block device is mounted: NONE nowhere, NULL unknown. */
static const char *mountpoint_of(struct bytes mounts, const char *device, struct arena *arena)
{
	const char *start = arena_printf(arena, "/dev/%s ", device);
	size_t cursor = 0, size = strlen(start);
	struct bytes line;
	while (text_line(mounts, &cursor, &line))
		if (line.size > size && memcmp(line.data, start, size) == 0) {
			char *rest = text_trimmed(arena, (struct bytes){ line.data + size, line.size - size });
			rest[strcspn(rest, " ")] = '\0';
			return unescaped(arena, rest);
		}
	return NONE;
}

/* The link in /dev/disk/by-uuid tells the device, /proc/mounts whether that is mounted. */
static void find_mount(struct gathering *gathering, struct esp *esp)
{
	struct arena *arena = gathering->arena;
	struct bytes mounts = { 0 };
	const char *device = NULL, *path = arena_printf(arena, "/dev/disk/by-uuid/%s", esp->uuid);
	int error = world_link_name(gathering->world, arena, &device, "%s", path);
	not_read(gathering, error, path);
	if (error == ENOENT)
		esp->mountpoint = NONE;
	else if (!error && read_text(gathering, "/proc/mounts", &mounts) == 0)
		esp->mountpoint = mountpoint_of(mounts, device, arena);
	esp->mounted = !esp->mountpoint ? UNKNOWN : tri_of(*esp->mountpoint);
}

static void look_into_esp(struct gathering *gathering, struct esp *esp)
{
	struct arena *arena = gathering->arena;
	const char *mount = esp->mountpoint;
	bool grub = world_exists(gathering->world, arena_printf(arena, "%s/EFI/proxmox/grubx64.efi", mount)) == YES ||
	            world_exists(gathering->world, arena_printf(arena, "%s/grub", mount)) == YES;
	bool uefi = world_exists(gathering->world, arena_printf(arena, "%s/loader/loader.conf", mount)) == YES;
	if (grub || uefi)
		esp->mode = grub && uefi ? "uefi+grub" : grub ? "grub" : "uefi";
	struct words names = { 0 }, kernels = { 0 };
	int error = world_list(gathering->world, arena_printf(arena, "%s/EFI/proxmox", mount), arena, &names);
	for (size_t i = 0; i < names.n; i++)
		if (names.word[i][0] >= '0' && names.word[i][0] <= '9')
			*arena_push(arena, kernels.word, kernels.n) = names.word[i];
	if (grub && (error = world_list(gathering->world, mount, arena, &names)) == 0)
		for (size_t i = 0; i < names.n; i++)
			if (text_starts(names.word[i], "vmlinuz-"))
				*arena_push(arena, kernels.word, kernels.n) = names.word[i] + strlen("vmlinuz-");
	not_read(gathering, error, mount);
	if (kernels.n)
		esp->kernels = kernels;
}

static void gather_esps(struct gathering *gathering)
{
	struct boot *boot = gathering->boot;
	struct bytes list = { 0 }, line;
	int error = read_text(gathering, UUID_LIST, &list);
	boot->proxmox_boot_tool = error == 0 ? YES : error == ENOENT ? NO : UNKNOWN;
	size_t cursor = 0;
	while (!error && boot->n_esps < ESPS_MAX && text_line(list, &cursor, &line)) {
		const char *uuid = text_trimmed(gathering->arena, line);
		/* proxmox-boot-tool passes by what does not look like a FAT serial number */
		if (strlen(uuid) >= 9 && uuid[4] == '-' && !strpbrk(uuid, "/ \t"))
			arena_push(gathering->arena, boot->esps, boot->n_esps)->uuid = uuid;
	}
	const char *argv[] = { "proxmox-boot-tool", "status", NULL };
	struct command command = { .argv = argv };
	struct outcome outcome = { 0 };
	if (!gathering->world->live && world_run(gathering->world, &command, gathering->arena, &outcome) == 0)
		boot_parse_pbt_status(outcome.out, gathering->arena, boot);
	for (size_t i = 0; i < boot->n_esps; i++) {
		struct esp *esp = boot->esps + i;
		find_mount(gathering, esp);
		if (esp->mounted == YES)
			look_into_esp(gathering, esp);
	}
}

/* ---- which loader --------------------------------------------------------- */

struct evidence {
	struct arena *arena;
	const char *strong[3], *weak[3]; /* by enum loader; LOADER_UNKNOWN: another loader altogether */
};

static void speaks_for(struct evidence *evidence, bool strong, enum loader loader, const char *why)
{
	const char **text = (strong ? evidence->strong : evidence->weak) + loader;
	*text = *text ? arena_printf(evidence->arena, "%s; %s", *text, why) : why;
}

static void ask_loader_info(const struct boot *boot, struct evidence *evidence)
{
	if (!boot->loader_info || !*boot->loader_info)
		return;
	/* systemd-boot always sets it; GRUB only with its module bli, from 2.12 */
	enum loader loader = text_starts(boot->loader_info, "systemd-boot") ? LOADER_SYSTEMD_BOOT
	                     : text_starts(boot->loader_info, "GRUB")       ? LOADER_GRUB
	                                                                    : LOADER_UNKNOWN;
	speaks_for(evidence, true, loader,
	        arena_printf(evidence->arena, "efivar LoaderInfo is \"%s\"", boot->loader_info));
}

/* Each loader puts a word of its own first. It proves nothing if the configured line already holds it. */
static void ask_cmdline(struct gathering *gathering, struct evidence *evidence)
{
	struct words words = boot_cmdline_words(gathering->boot->cmdline, gathering->arena);
	struct bytes configured = { 0 };
	if (!words.n)
		return;
	if (text_starts(words.word[0], "initrd=\\"))
		speaks_for(evidence, true, LOADER_SYSTEMD_BOOT, "the command line begins with initrd=\\");
	else if (text_starts(words.word[0], "BOOT_IMAGE=") &&
	         world_read(gathering->world, "/etc/kernel/cmdline", TEXT_MAX, gathering->arena, &configured) == 0 &&
	         boot_cmdline_value(configured.data, "BOOT_IMAGE", gathering->arena))
		return;
	else if (text_starts(words.word[0], "BOOT_IMAGE="))
		speaks_for(evidence, true, LOADER_GRUB, "the command line begins with BOOT_IMAGE=");
}

static void ask_boot_entry(const struct boot *boot, struct evidence *evidence)
{
	const char *entry = boot->boot_current, *path = entry ? strchr(entry, '\\') : NULL;
	if (!path)
		return;
	char *lower = arena_strdup(evidence->arena, path);
	for (char *sign = lower; *sign; sign++)
		*sign = (char)(*sign >= 'A' && *sign <= 'Z' ? *sign + 32 : *sign);
	const char *why = arena_printf(evidence->arena, "the firmware booted %s", path);
	if (strstr(lower, "\\systemd-boot"))
		speaks_for(evidence, true, LOADER_SYSTEMD_BOOT, why);
	else if (strstr(lower, "\\grub") || strstr(lower, "\\shim"))
		speaks_for(evidence, true, LOADER_GRUB, why);
}

static void ask_setup(struct gathering *gathering, struct evidence *evidence)
{
	struct boot *boot = gathering->boot;
	bool proxmox = boot->proxmox_boot_tool == YES || world_exists(gathering->world, "/etc/pve") == YES;
	bool grub = world_exists(gathering->world, "/etc/default/grub") == YES;
	for (size_t i = 0; i < boot->n_esps; i++) {
		const char *mode = boot->esps[i].mode;
		if (!mode || strcmp(mode, "uefi+grub") == 0)
			continue;
		speaks_for(evidence, false, strcmp(mode, "grub") == 0 ? LOADER_GRUB : LOADER_SYSTEMD_BOOT,
		        arena_printf(gathering->arena, "ESP %s is made for %s", boot->esps[i].uuid,
		                strcmp(mode, "grub") == 0 ? "GRUB" : "systemd-boot"));
	}
	if (boot->efi == NO && grub)
		speaks_for(evidence, false, LOADER_GRUB, "it was booted by BIOS, which systemd-boot cannot be");
	if (boot->secure_boot == YES && proxmox)
		speaks_for(evidence, false, LOADER_GRUB, "Secure Boot is on, and Proxmox VE then uses GRUB");
	if (boot->efi == YES && boot->loader_info && !*boot->loader_info && grub)
		speaks_for(evidence, false, LOADER_GRUB, "efivar LoaderInfo is not set, which systemd-boot would do");
}

static void decide_loader(struct gathering *gathering)
{
	struct boot *boot = gathering->boot;
	struct evidence evidence = { .arena = gathering->arena };
	ask_loader_info(boot, &evidence);
	ask_cmdline(gathering, &evidence);
	ask_boot_entry(boot, &evidence);
	ask_setup(gathering, &evidence);
	const char **by =
	        evidence.strong[LOADER_UNKNOWN] || evidence.strong[LOADER_GRUB] || evidence.strong[LOADER_SYSTEMD_BOOT]
	                ? evidence.strong
	                : evidence.weak;
	const char *other = by[LOADER_UNKNOWN], *grub = by[LOADER_GRUB], *systemd = by[LOADER_SYSTEMD_BOOT];
	if (grub && systemd)
		boot->loader_why = arena_printf(gathering->arena, "contradictory: %s; but %s", grub, systemd);
	else if (other)
		boot->loader_why = other;
	else if (grub || systemd) {
		boot->loader = grub ? LOADER_GRUB : LOADER_SYSTEMD_BOOT;
		boot->loader_why = grub ? grub : systemd;
	} else
		boot->loader_why = "neither the firmware's variables nor the command line tell";
}

/* ---- next command line ----------------------------------------------------- */

/* Words that decide who gets a GPU: what the guides let people add. */
static const char *const passthrough_words[] = { "*iommu*", "pcie_acs_override*", "vfio*", "video=*",
	"initcall_blacklist=*", "modprobe.blacklist=*", "module_blacklist=*", "nomodeset", "nofb", "i915.*", "xe.*",
	"amdgpu.*", "radeon.*", "nouveau.*", "nvidia*", "kvm*", "*hugepage*", "isolcpus=*", "pci=*", "pcie_aspm*",
	"intremap=*", "rd.driver.*" };

static bool is_passthrough(const char *word)
{
	for (size_t i = 0; i < sizeof passthrough_words / sizeof *passthrough_words; i++)
		if (text_matches(passthrough_words[i], word))
			return true;
	return false;
}

static bool is_no_initrd(const char *word)
{
	return !text_starts(word, "initrd=");
}

/* The words of a line that are wanted, with one blank between. */
static const char *some_words(const char *cmdline, bool (*wanted)(const char *), struct arena *arena)
{
	struct words words = boot_cmdline_words(cmdline, arena);
	char *found = arena_alloc(arena, strlen(cmdline) + 3 * words.n + 1), *out = found;
	for (size_t i = 0; i < words.n; i++) {
		const char *quote = strpbrk(words.word[i], " \t") ? "\"" : "";
		if (wanted(words.word[i]))
			out = stpcpy(stpcpy(stpcpy(stpcpy(out, out > found ? " " : ""), quote), words.word[i]), quote);
	}
	return found;
}

static void push_word(struct gathering *gathering, const char *word, const char *file, unsigned line)
{
	*arena_push(gathering->arena, gathering->boot->next_words, gathering->boot->n_next_words) =
	        (struct cmdline_word){ word, file, line };
}

static const char grub_file[] = "/etc/default/grub", kernel_file[] = "/etc/kernel/cmdline";
static const char *const grub_names[] = { "GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT" };

/* 0 if /etc/default/grub could be read; Debian's grub-mkconfig reads the .cfg files of grub.d behind it. */
static int read_grub(struct gathering *gathering, struct grub_defaults *ret)
{
	struct bytes text = { 0 };
	struct words names = { 0 };
	int error = read_text(gathering, grub_file, &text);
	if (error)
		return error;
	boot_parse_grub(text, grub_file, gathering->arena, ret);
	int listed = world_list(gathering->world, "/etc/default/grub.d", gathering->arena, &names);
	not_read(gathering, listed, "/etc/default/grub.d");
	ret->certain = ret->certain && (!listed || listed == ENOENT);
	for (size_t i = 0; i < names.n; i++) {
		const char *path = arena_printf(gathering->arena, "/etc/default/grub.d/%s", names.word[i]);
		if (!text_ends(path, ".cfg") || names.word[i][0] == '.')
			continue;
		int status = read_text(gathering, path, &text);
		if (status == 0)
			boot_parse_grub(text, path, gathering->arena, ret);
		else if (status != ENOENT)
			ret->certain = false;
	}
	return 0;
}

/* A word stands where it was first written, as long as every later assignment kept it. */
static void grub_words(struct gathering *gathering, const struct grub_defaults *defaults, const char *name)
{
	struct words words = boot_cmdline_words(boot_grub_value(defaults, name), gathering->arena);
	for (size_t i = 0; i < words.n && i < WORDS_MAX; i++) {
		const struct grub_variable *origin = NULL;
		size_t seen = 0;
		for (size_t j = defaults->n; j-- && seen < HISTORY_MAX;) {
			const struct grub_variable *variable = defaults->variable + j;
			if (strcmp(variable->name, name) != 0)
				continue;
			seen++;
			if (!variable->value || !boot_cmdline_has(variable->value, words.word[i]))
				break;
			origin = variable;
		}
		if (origin)
			push_word(gathering, words.word[i], origin->file, origin->line);
	}
}

static void next_of_grub(struct gathering *gathering, const struct grub_defaults *defaults)
{
	struct boot *boot = gathering->boot;
	const char *line = "";
	bool certain = defaults->certain;
	boot->cmdline_file = grub_file;
	for (size_t i = 0; i < sizeof grub_names / sizeof *grub_names; i++) {
		const char *value = boot_grub_value(defaults, grub_names[i]);
		grub_words(gathering, defaults, grub_names[i]);
		certain = certain && !boot_grub_unknown(defaults, grub_names[i]);
		if (value && *value)
			line = arena_printf(gathering->arena, "%s%s%s", line, *line ? " " : "", value);
	}
	boot->cmdline_next = certain ? line : NULL;
	if (!certain && gathering->blind)
		gathering->blind(gathering->data, ENODATA, "/etc/default/grub: it does more than set its variables");
}

/* proxmox-boot-tool takes the first line of /etc/kernel/cmdline, else /proc/cmdline without the loader's own words. */
static void next_of_systemd(struct gathering *gathering)
{
	struct boot *boot = gathering->boot;
	const char *line = first_line(gathering, kernel_file), *file = kernel_file;
	if (line && !*line && boot->cmdline) {
		file = "/proc/cmdline";
		line = some_words(boot->cmdline, is_no_initrd, gathering->arena);
	}
	boot->cmdline_file = file;
	boot->cmdline_next = line;
	struct words words = boot_cmdline_words(line, gathering->arena);
	for (size_t i = 0; i < words.n && i < WORDS_MAX; i++)
		push_word(gathering, words.word[i], file, 1);
}

static void other_of(struct gathering *gathering, const struct grub_defaults *defaults, int grub_error)
{
	struct boot *boot = gathering->boot;
	if (boot->loader == LOADER_GRUB) {
		const char *line = first_line(gathering, kernel_file);
		boot->other_file = kernel_file;
		boot->other_cmdline = line ? some_words(line, is_passthrough, gathering->arena) : NULL;
	} else if (boot->loader == LOADER_SYSTEMD_BOOT) {
		const char *line = "";
		for (size_t i = 0; i < sizeof grub_names / sizeof *grub_names; i++) {
			const char *value = boot_grub_value(defaults, grub_names[i]);
			line = value ? arena_printf(gathering->arena, "%s %s", line, value) : line;
		}
		boot->other_file = grub_file;
		boot->other_cmdline =
		        !grub_error || grub_error == ENOENT ? some_words(line, is_passthrough, gathering->arena) : NULL;
	}
}

/* ---- which kernel ----------------------------------------------------------- */

static int newest_first(const void *left, const void *right)
{
	const struct kernel *l = left, *r = right;
	int order = text_version_compare(r->version, l->version);
	return order ? order : strcmp(l->version, r->version);
}

static void gather_kernels(struct gathering *gathering)
{
	struct boot *boot = gathering->boot;
	struct words names = { 0 };
	int error = world_list(gathering->world, "/boot", gathering->arena, &names);
	not_read(gathering, error, "/boot");
	boot->kernels_known = !error || error == ENOENT ? YES : UNKNOWN;
	for (size_t i = 0; i < names.n; i++)
		if (text_matches("vmlinuz-?*", names.word[i]) && !text_matches("*.dpkg-*", names.word[i]))
			arena_push(gathering->arena, boot->kernels, boot->n_kernels)->version =
			        names.word[i] + strlen("vmlinuz-");
	if (boot->n_kernels)
		qsort(boot->kernels, boot->n_kernels, sizeof *boot->kernels, newest_first);
	if (boot->n_kernels > KERNELS_MAX)
		boot->n_kernels = KERNELS_MAX;
}

const struct kernel *boot_kernel(const struct boot *boot, const char *version)
{
	for (size_t i = 0; version && i < boot->n_kernels; i++)
		if (strcmp(boot->kernels[i].version, version) == 0)
			return boot->kernels + i;
	return NULL;
}

/* "gnulinux-advanced-ID>gnulinux-6.8.12-4-pve-advanced-ID": as proxmox-boot-tool pins a kernel for GRUB. */
static const char *version_of_default(const char *value, struct arena *arena)
{
	static const char start[] = ">gnulinux-", end[] = "-advanced-";
	const char *at = strstr(value, start), *stop = at ? strstr(at + strlen(start), end) : NULL;
	return stop ? arena_strndup(arena, at + strlen(start), (size_t)(stop - at) - strlen(start)) : NULL;
}

static const char *newest_kernel(const struct boot *boot)
{
	return boot->kernels_known == YES && boot->n_kernels ? boot->kernels[0].version : NULL;
}

/* A mounted ESP that this machine's loader uses; NULL: none can be seen. */
static const struct esp *seen_esp(const struct boot *boot)
{
	for (size_t i = 0; i < boot->n_esps; i++)
		if (boot->esps[i].mounted == YES)
			return boot->esps + i;
	return NULL;
}

/* What grub.cfg says: /boot's, or with proxmox-boot-tool that on the ESP. False: it cannot be seen. */
static bool grub_menu(struct gathering *gathering, struct grub_entry *ret)
{
	struct boot *boot = gathering->boot;
	const struct esp *esp = seen_esp(boot);
	const char *folder = boot->proxmox_boot_tool == NO ? "/boot" : esp ? esp->mountpoint : NULL;
	struct bytes menu = { 0 }, environment = { 0 };
	if (!folder)
		return false;
	const char *path = arena_printf(gathering->arena, "%s/grub/grub.cfg", folder);
	int error = read_text(gathering, path, &menu);
	if (error)
		return false;
	path = arena_printf(gathering->arena, "%s/grub/grubenv", folder);
	error = read_text(gathering, path, &environment);
	return (!error || error == ENOENT) && boot_parse_grub_menu(menu, environment, gathering->arena, ret);
}

static void kernel_of_grub(struct gathering *gathering, const struct grub_defaults *defaults, const char *pinned)
{
	struct boot *boot = gathering->boot;
	struct grub_entry entry;
	if (grub_menu(gathering, &entry)) {
		boot->kernel_next = entry.version;
		boot->cmdline_generated = entry.cmdline;
		return;
	}
	const char *value = boot_grub_value(defaults, "GRUB_DEFAULT");
	bool known = defaults->certain && !boot_grub_unknown(defaults, "GRUB_DEFAULT");
	if (pinned && *pinned)
		boot->kernel_next = pinned;
	else if (known && (!value || !*value || strcmp(value, "0") == 0))
		boot->kernel_next = newest_kernel(boot);
	else if (known)
		boot->kernel_next = version_of_default(value, gathering->arena);
}

/* loader/entries/proxmox-VERSION.conf: the words behind "options". */
static const char *entry_options(struct gathering *gathering, const char *path)
{
	struct bytes text = { 0 }, line;
	size_t cursor = 0;
	if (read_text(gathering, path, &text) != 0)
		return NULL;
	while (text_line(text, &cursor, &line)) {
		const char *plain = text_trimmed(gathering->arena, line);
		if (text_starts(plain, "options") && strchr(" \t", plain[strlen("options")]))
			return plain + strlen("options") + strspn(plain + strlen("options"), " \t");
	}
	return NONE;
}

/* An efivar that names an entry goes before everything that is configured: "proxmox-6.8.12-4-pve.conf". */
static const char *entry_of_efivar(struct gathering *gathering)
{
	static const char *const names[] = { "LoaderEntryOneShot", "LoaderEntryDefault" };
	struct bytes raw = { 0 };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *entry = NULL;
		if (read_efivar(gathering, names[i], GUID_LOADER, &raw) == 0)
			entry = boot_efivar_text(raw, gathering->arena);
		if (entry && *entry)
			return entry;
	}
	return NONE;
}

static void kernel_of_systemd(struct gathering *gathering, const char *pinned)
{
	struct boot *boot = gathering->boot;
	const char *entry = entry_of_efivar(gathering), *version = NULL;
	if (*entry && text_matches("proxmox-*.conf", entry))
		version = arena_strndup(gathering->arena, entry + 8, strlen(entry) - 8 - 5);
	else if (!*entry)
		version = !pinned ? NULL : *pinned ? pinned : newest_kernel(boot);
	boot->kernel_next = version;
	const struct esp *esp = seen_esp(boot);
	if (esp && version)
		boot->cmdline_generated = entry_options(gathering,
		        arena_printf(gathering->arena, "%s/loader/entries/proxmox-%s.conf", esp->mountpoint, version));
}

static void gather_next(struct gathering *gathering)
{
	struct boot *boot = gathering->boot;
	struct grub_defaults defaults = { .certain = true };
	int error = read_grub(gathering, &defaults);
	boot->kernel_pinned = first_line(gathering, "/etc/kernel/proxmox-boot-pin");
	const char *once = first_line(gathering, "/etc/kernel/next-boot-pin");
	const char *pinned = !once ? NULL : *once ? once : boot->kernel_pinned;
	if (boot->loader == LOADER_GRUB) {
		if (!error)
			next_of_grub(gathering, &defaults);
		defaults.certain = defaults.certain && !error && pinned;
		kernel_of_grub(gathering, &defaults, pinned);
	} else if (boot->loader == LOADER_SYSTEMD_BOOT) {
		next_of_systemd(gathering);
		kernel_of_systemd(gathering, pinned);
	}
	other_of(gathering, &defaults, error);
	/* a kernel that is no longer there is not what boots */
	if (boot->kernel_next && boot->kernels_known == YES && !boot_kernel(boot, boot->kernel_next))
		boot->kernel_next = NULL;
}

/* ---- each kernel -------------------------------------------------------------- */

static int by_word(const void *left, const void *right)
{
	const char *const *l = left, *const *r = right;
	return strcmp(*l, *r);
}

/* "kernel/drivers/vfio/pci/vfio-pci.ko" -> "vfio_pci" */
static void gather_builtin(struct gathering *gathering, struct kernel *kernel)
{
	const char *path = arena_printf(gathering->arena, "/lib/modules/%s/modules.builtin", kernel->version);
	struct bytes text = { 0 }, line;
	size_t cursor = 0;
	int error = read_text(gathering, path, &text);
	kernel->builtin_known = error ? UNKNOWN : YES;
	while (!error && text_line(text, &cursor, &line)) {
		char *name = text_trimmed(gathering->arena, line), *slash = strrchr(name, '/');
		name = slash ? slash + 1 : name;
		if (text_ends(name, ".ko")) {
			name[strlen(name) - 3] = '\0';
			*arena_push(gathering->arena, kernel->builtin.word, kernel->builtin.n) =
			        modprobe_name(gathering->arena, name);
		}
	}
	if (kernel->builtin.n)
		qsort(kernel->builtin.word, kernel->builtin.n, sizeof *kernel->builtin.word, by_word);
}

/* Of modules.alias (1.5 MB) what can claim a display or audio device, and vfio's own. */
static void gather_aliases(struct gathering *gathering, struct kernel *kernel)
{
	static const char *const wanted[] = { "alias pci:*bc03*", "alias pci:*bc04*", "alias vfio*",
		"alias pci:* snd_*", "alias pci:* amdgpu", "alias pci:* radeon", "alias pci:* i915", "alias pci:* xe",
		"alias pci:* nouveau", "alias pci:* nvidia*" };
	struct arena scratch ARENA_SCOPED = { 0 };
	const char *path = arena_printf(gathering->arena, "/lib/modules/%s/modules.alias", kernel->version);
	struct bytes text = { 0 }, line;
	size_t cursor = 0, size = 0;
	int error = world_read(gathering->world, path, 0, &scratch, &text);
	if (error)
		return;
	char *kept = arena_alloc(&scratch, text.size + 2);
	while (text_line(text, &cursor, &line)) {
		char copy[512];
		if (line.size >= sizeof copy || line.size < 6 || memcmp(line.data, "alias ", 6) != 0)
			continue;
		memcpy(copy, line.data, line.size);
		copy[line.size] = '\0';
		for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
			if (text_matches(wanted[i], copy)) {
				size += (size_t)(stpcpy(stpcpy(kept + size, copy), "\n") - (kept + size));
				break;
			}
	}
	kernel->aliases = arena_bytes(gathering->arena, kept, size);
}

static void gather_headers(struct gathering *gathering, struct kernel *kernel)
{
	const char *target = NULL;
	struct arena *arena = gathering->arena;
	kernel->headers =
	        world_exists(gathering->world, arena_printf(arena, "/usr/src/linux-headers-%s", kernel->version));
	const char *build = arena_printf(arena, "/lib/modules/%s/build", kernel->version);
	if (kernel->headers != YES && world_link(gathering->world, build, arena, &target) == 0) {
		enum tri there = world_exists(gathering->world, build);
		kernel->headers = there != UNKNOWN ? there : kernel->headers;
	}
}

/* ---- initramfs ----------------------------------------------------------------- */

static void push_image(struct gathering *gathering, struct initramfs image)
{
	*arena_push(gathering->arena, gathering->boot->initramfs, gathering->boot->n_initramfs) = image;
}

/* Parsed again only if it differs from the image before: copies on ESPs are mostly byte for byte /boot's. */
static void read_image(struct gathering *gathering, struct initramfs *image, struct arena *scratch,
        struct bytes *before, const struct initramfs *parsed)
{
	struct bytes raw = { 0 };
	struct err err = { 0 };
	struct initramfs read = { 0 };
	int error = world_read(gathering->world, image->path, image_max, scratch, &raw);
	if (error) {
		image->known = error == ENODATA ? UNKNOWN : NO;
		image->why = world_why(error);
		not_read(gathering, error, image->path);
		return;
	}
	if (parsed && parsed->known == YES && before->size == raw.size && memcmp(before->data, raw.data, raw.size) == 0)
		read = *parsed;
	else if (!initramfs_parse(raw, gathering->arena, &err, &read)) {
		image->known = NO;
		image->why = arena_strdup(gathering->arena, err.text);
		return;
	}
	read.path = image->path;
	read.place = image->place;
	read.kernel = image->kernel;
	read.mtime = image->mtime;
	*image = read;
	if (!before->data)
		*before = raw;
}

/* Where an ESP keeps a kernel's image: zz-proxmox-boot copies it there for systemd-boot and for GRUB. */
static const char *image_on_esp(
        const struct boot *boot, const struct esp *esp, const char *version, struct arena *arena)
{
	bool both = esp->mode && strcmp(esp->mode, "uefi+grub") == 0;
	bool grub = esp->mode && (both ? boot->loader == LOADER_GRUB : strcmp(esp->mode, "grub") == 0);
	return grub ? arena_printf(arena, "%s/initrd.img-%s", esp->mountpoint, version)
	            : arena_printf(arena, "%s/EFI/proxmox/%s/initrd.img-%s", esp->mountpoint, version, version);
}

static void stat_image(struct gathering *gathering, struct initramfs *image, bool wanted, struct arena *scratch,
        struct bytes *before, const struct initramfs *parsed)
{
	struct world_stat stat = { 0 };
	int error = world_stat(gathering->world, image->path, &stat);
	image->mtime = error ? UNKNOWN_NUMBER : stat.mtime;
	if (wanted) {
		read_image(gathering, image, scratch, before, parsed);
	} else {
		image->known = UNKNOWN;
		image->why = "not read: this kernel is neither the running one nor the one that boots next";
	}
}

static void gather_images(struct gathering *gathering, const char *version, bool wanted)
{
	struct boot *boot = gathering->boot;
	struct arena scratch ARENA_SCOPED = { 0 };
	struct bytes before = { 0 };
	struct initramfs first = { .path = arena_printf(gathering->arena, "/boot/initrd.img-%s", version),
		.place = "/boot",
		.kernel = version };
	bool there = world_exists(gathering->world, first.path) != NO;
	if (there) {
		stat_image(gathering, &first, wanted, &scratch, &before, NULL);
		push_image(gathering, first);
	}
	for (size_t i = 0; i < boot->n_esps; i++) {
		const struct esp *esp = boot->esps + i;
		struct initramfs copy = { .place = arena_printf(gathering->arena, "ESP %s", esp->uuid),
			.kernel = version,
			.mtime = UNKNOWN_NUMBER };
		if (esp->mounted == YES) {
			copy.path = image_on_esp(boot, esp, version, gathering->arena);
			if (world_exists(gathering->world, copy.path) == NO)
				continue;
			stat_image(gathering, &copy, wanted, &scratch, &before, &first);
		} else if (wanted) {
			copy.path = copy.place;
			copy.known = esp->mounted == NO ? NO : UNKNOWN;
			copy.why = esp->mounted == NO ? "its ESP is not mounted"
			                              : "whether its ESP is mounted is not known";
		} else {
			continue;
		}
		push_image(gathering, copy);
	}
}

static bool same_text(const char *left, const char *right)
{
	return left && right && strcmp(left, right) == 0;
}

static void gather_each_kernel(struct gathering *gathering, bool every_kernel)
{
	struct boot *boot = gathering->boot;
	const char *next = boot->kernel_next ? boot->kernel_next : newest_kernel(boot);
	for (size_t i = 0; i < boot->n_kernels; i++) {
		struct kernel *kernel = boot->kernels + i;
		bool wanted =
		        every_kernel || same_text(kernel->version, next) || same_text(kernel->version, boot->kernel);
		gather_headers(gathering, kernel);
		gather_images(gathering, kernel->version, wanted);
		if (wanted) {
			gather_builtin(gathering, kernel);
			gather_aliases(gathering, kernel);
		}
	}
	for (size_t i = 0; i < boot->n_kernels; i++)
		for (size_t j = 0; j < boot->n_initramfs; j++)
			if (same_text(boot->initramfs[j].kernel, boot->kernels[i].version))
				*arena_push(gathering->arena, boot->kernels[i].initramfs,
				        boot->kernels[i].n_initramfs) = boot->initramfs + j;
}

/* ---- configuration that an initramfs freezes ------------------------------------ */

static void newer(struct gathering *gathering, const char *path)
{
	struct world_stat stat = { 0 };
	struct boot *boot = gathering->boot;
	if (world_stat(gathering->world, path, &stat) != 0 || stat.type != NODE_FILE || stat.mtime == UNKNOWN_NUMBER)
		return;
	if (stat.mtime > boot->config_mtime) {
		boot->config_mtime = stat.mtime;
		boot->config_newest = path;
	}
}

static void gather_config(struct gathering *gathering)
{
	static const char *const folders[] = { "/etc/modprobe.d", "/etc/initramfs-tools", "/etc/initramfs-tools/conf.d",
		"/etc/initramfs-tools/scripts/init-top" };
	static const char modules[] = "/etc/initramfs-tools/modules";
	struct boot *boot = gathering->boot;
	struct bytes text = { 0 };
	modprobe_gather(gathering->world, gathering->arena, &boot->modprobe, gathering->blind, gathering->data);
	/* modprobe heeds the command line as it does its files: the next boot's where it is known */
	const char *cmdline = boot->cmdline_next ? boot->cmdline_next : boot->cmdline;
	if (cmdline)
		modprobe_parse_cmdline(cmdline, gathering->arena, &boot->modprobe);
	int error = read_text(gathering, modules, &text);
	boot->initramfs_modules.known = error && error != ENOENT ? UNKNOWN : YES;
	if (!error)
		modprobe_parse_loads(text, modules, gathering->arena, &boot->initramfs_modules);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		struct words names = { 0 };
		if (world_list(gathering->world, folders[i], gathering->arena, &names) != 0)
			continue;
		for (size_t j = 0; j < names.n; j++)
			newer(gathering, arena_printf(gathering->arena, "%s/%s", folders[i], names.word[j]));
	}
}

static void gather_loader(struct gathering *gathering)
{
	gather_running(gathering);
	gather_firmware(gathering);
	gather_esps(gathering);
	decide_loader(gathering);
}

void boot_gather(
        struct world *world, bool every_kernel, struct arena *arena, struct boot *ret, blind_fn *blind, void *data)
{
	struct gathering gathering = { world, arena, ret, blind, data };
	ret->config_mtime = UNKNOWN_NUMBER;
	gather_loader(&gathering);
	gather_kernels(&gathering);
	gather_next(&gathering);
	gather_config(&gathering);
	gather_each_kernel(&gathering, every_kernel);
	boot_gather_files(world, arena, ret, blind, data);
}

void boot_gather_loader(struct world *world, struct arena *arena, struct boot *ret, blind_fn *blind, void *data)
{
	struct gathering gathering = { world, arena, ret, blind, data };
	ret->config_mtime = UNKNOWN_NUMBER;
	gather_loader(&gathering);
}

void boot_gather_running(struct world *world, struct arena *arena, struct boot *ret, blind_fn *blind, void *data)
{
	struct gathering gathering = { world, arena, ret, blind, data };
	ret->config_mtime = UNKNOWN_NUMBER;
	gather_running(&gathering);
}
