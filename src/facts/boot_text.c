/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/boot.h"

#include <string.h>

/* ---- command line ------------------------------------------------------ */

#define SPACES " \t\n\v\f\r"

/* One argument as the kernel's next_arg (lib/cmdline.c) cuts it: blanks inside double quotes belong to it; a quote
 * before the word or before the value is taken off, and so is its partner at the end. */
struct argument {
	struct bytes name, value;
	bool has_value;
};

static bool next_argument(const char **cmdline, struct argument *ret)
{
	const char *text = *cmdline + strspn(*cmdline, SPACES);
	if (!*text)
		return false;
	bool word_quoted = *text == '"', quoted = word_quoted;
	text += word_quoted;
	const char *end = text, *equals = NULL;
	for (; *end && (quoted || !strchr(SPACES, *end)); end++) {
		if (*end == '=' && !equals && end > text)
			equals = end;
		if (*end == '"')
			quoted = !quoted;
	}
	*cmdline = end;
	const char *value = equals ? equals + 1 : end;
	bool value_quoted = equals && *value == '"';
	value += value_quoted;
	if ((word_quoted || value_quoted) && end > value && end[-1] == '"')
		end--;
	else if (word_quoted && !equals && end > text && end[-1] == '"')
		end--;
	*ret = (struct argument){
		.name = { text, equals ? (size_t)(equals - text) : (size_t)(end - text) },
		.value = { value, equals ? (size_t)(end - value) : 0 },
		.has_value = equals != NULL,
	};
	return true;
}

/* The kernel and modprobe both take - for _ in a parameter's name. */
static bool same_parameter(struct bytes name, const char *wanted, size_t size)
{
	if (name.size != size)
		return false;
	for (size_t i = 0; i < size; i++)
		if (name.data[i] != wanted[i] && !(strchr("-_", name.data[i]) && strchr("-_", wanted[i])))
			return false;
	return true;
}

struct words boot_cmdline_words(const char *cmdline, struct arena *arena)
{
	struct words words = { 0 };
	struct argument argument;
	while (cmdline && next_argument(&cmdline, &argument)) {
		size_t size = argument.name.size;
		char *word = arena_alloc(arena, size + argument.value.size + 2);
		memcpy(word, argument.name.data, size);
		if (argument.has_value) {
			word[size] = '=';
			memcpy(word + size + 1, argument.value.data, argument.value.size);
		}
		*arena_push(arena, words.word, words.n) = word;
	}
	return words;
}

const char *boot_cmdline_value(const char *cmdline, const char *name, struct arena *arena)
{
	const char *found = NULL;
	struct argument argument;
	while (cmdline && next_argument(&cmdline, &argument))
		if (same_parameter(argument.name, name, strlen(name)))
			found = arena_strndup(arena, argument.value.data, argument.value.size);
	return found;
}

bool boot_cmdline_has(const char *cmdline, const char *word)
{
	size_t size = strcspn(word, "=");
	const char *value = word[size] ? word + size + 1 : NULL;
	struct argument argument;
	while (cmdline && next_argument(&cmdline, &argument))
		if (same_parameter(argument.name, word, size) && argument.has_value == (value != NULL) &&
		        (!value || (strlen(value) == argument.value.size &&
		                           memcmp(value, argument.value.data, argument.value.size) == 0)))
			return true;
	return false;
}

/* ---- EFI variables ------------------------------------------------------ */

enum { EFIVAR_ATTRIBUTES = 4 };

static unsigned little(const char *at, unsigned bytes)
{
	unsigned value = 0;
	while (bytes--)
		value = value << 8 | (unsigned char)at[bytes];
	return value;
}

/* UTF-16LE up to its zero or the end; what is no character becomes U+FFFD. */
static char *utf16_text(struct bytes raw, struct arena *arena)
{
	char *text = arena_alloc(arena, raw.size / 2 * 3 + 4), *out = text;
	for (size_t i = 0; i + 2 <= raw.size; i += 2) {
		unsigned sign = little(raw.data + i, 2);
		if (!sign)
			break;
		if (sign >= 0xd800 && sign < 0xe000)
			sign = 0xfffd;
		if (sign < 0x80) {
			*out++ = (char)sign;
		} else if (sign < 0x800) {
			*out++ = (char)(0xc0 | sign >> 6);
			*out++ = (char)(0x80 | (sign & 0x3f));
		} else {
			*out++ = (char)(0xe0 | sign >> 12);
			*out++ = (char)(0x80 | (sign >> 6 & 0x3f));
			*out++ = (char)(0x80 | (sign & 0x3f));
		}
	}
	*out = '\0';
	return text;
}

const char *boot_efivar_text(struct bytes raw, struct arena *arena)
{
	if (raw.size < EFIVAR_ATTRIBUTES + 2)
		return NULL;
	return utf16_text((struct bytes){ raw.data + EFIVAR_ATTRIBUTES, raw.size - EFIVAR_ATTRIBUTES }, arena);
}

/* The file path node of a device path: type 4, sub-type 4. "" where there is none (a boot from a disk or the net). */
static const char *device_path_file(struct bytes path, struct arena *arena)
{
	while (path.size >= 4) {
		unsigned type = (unsigned char)path.data[0], kind = (unsigned char)path.data[1];
		size_t size = little(path.data + 2, 2);
		if (size < 4 || size > path.size)
			return NULL;
		if (type == 4 && kind == 4)
			return utf16_text((struct bytes){ path.data + 4, size - 4 }, arena);
		if (type == 0x7f)
			break;
		path = (struct bytes){ path.data + size, path.size - size };
	}
	return "";
}

const char *boot_efivar_entry(struct bytes raw, struct arena *arena)
{
	enum { FIXED = EFIVAR_ATTRIBUTES + 4 + 2 };
	if (raw.size < FIXED)
		return NULL;
	size_t path_size = little(raw.data + EFIVAR_ATTRIBUTES + 4, 2), end = FIXED;
	while (end + 2 <= raw.size && little(raw.data + end, 2))
		end += 2;
	if (end + 2 > raw.size || path_size > raw.size - end - 2)
		return NULL;
	const char *title = utf16_text((struct bytes){ raw.data + FIXED, end - FIXED }, arena);
	const char *file = device_path_file((struct bytes){ raw.data + end + 2, path_size }, arena);
	return file ? arena_printf(arena, "%s%s%s", title, *title && *file ? " " : "", file) : NULL;
}

/* ---- proxmox-boot-tool status -------------------------------------------- */

enum { ESPS_MAX = 8 };

static struct esp *esp_of(struct boot *boot, const char *uuid, struct arena *arena)
{
	for (size_t i = 0; i < boot->n_esps; i++)
		if (strcmp(boot->esps[i].uuid, uuid) == 0)
			return boot->esps + i;
	if (boot->n_esps == ESPS_MAX)
		return NULL;
	struct esp *esp = arena_push(arena, boot->esps, boot->n_esps);
	esp->uuid = uuid;
	return esp;
}

/* "uefi (versions: 6.8.12-4-pve, 6.8.4-2-pve), grub (versions: )": versions of one kind; false: not made for it. */
static bool status_versions(const char *text, const char *kind, struct arena *arena, struct words *ret)
{
	const char *start = strstr(text, arena_printf(arena, "%s (versions:", kind));
	if (!start)
		return false;
	start = strchr(start, ':') + 1;
	struct words words = text_split(arena, arena_strndup(arena, start, strcspn(start, ")")), ", ");
	for (size_t i = 0; i < words.n; i++)
		/* the folder's listing also names what is no kernel: grubx64.efi */
		if (words.word[i][0] >= '0' && words.word[i][0] <= '9')
			*arena_push(arena, ret->word, ret->n) = words.word[i];
	return true;
}

void boot_parse_pbt_status(struct bytes text, struct arena *arena, struct boot *ret)
{
	static const char configured[] = " is configured with:";
	size_t cursor = 0;
	struct bytes raw;
	while (text_line(text, &cursor, &raw)) {
		char *line = text_trimmed(arena, raw), *at = strstr(line, configured);
		if (strcmp(line, "System currently booted with uefi") == 0 && ret->efi == UNKNOWN)
			ret->efi = YES;
		else if (strcmp(line, "System currently booted with legacy bios") == 0 && ret->efi == UNKNOWN)
			ret->efi = NO;
		if (!at || at == line)
			continue;
		struct esp *esp = esp_of(ret, arena_strndup(arena, line, (size_t)(at - line)), arena);
		if (!esp)
			break;
		struct words kernels = { 0 };
		bool uefi = status_versions(at + strlen(configured), "uefi", arena, &kernels);
		bool grub = status_versions(at + strlen(configured), "grub", arena, &kernels);
		esp->mode = uefi && grub ? "uefi+grub" : uefi ? "uefi" : grub ? "grub" : NULL;
		esp->kernels = kernels;
	}
}
