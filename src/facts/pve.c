/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The files of /etc/pve as PVE's own parsers take them: qemu-server QemuServer.pm (parse_vm_config) and PCI.pm,
 * pve-container LXC/Config.pm (parse_pct_config), pve-guest-common AbstractConfig.pm and Mapping/PCI.pm, pve-common
 * JSONSchema.pm (parse_property_string) and SectionConfig.pm, pve-storage Plugin.pm.
 */
#include "facts/pve.h"
#include "facts/pve_options.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { HOSTPCI_MAX = 16, DEVICES_MAX = 256 };

/* ---- characters and pieces --------------------------------------------- */

/* \s of a Perl pattern. */
static bool blank(char sign)
{
	return sign == ' ' || (sign >= '\t' && sign <= '\r');
}

static bool lower(char sign)
{
	return sign >= 'a' && sign <= 'z';
}

static bool digit(char sign)
{
	return sign >= '0' && sign <= '9';
}

static bool hex_lower(char sign)
{
	return digit(sign) || (sign >= 'a' && sign <= 'f');
}

static struct bytes trimmed(struct bytes text)
{
	for (; text.size && blank(text.data[0]); text.data++)
		text.size--;
	while (text.size && blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

static struct bytes from(struct bytes text, size_t start)
{
	return (struct bytes){ text.data + start, text.size - start };
}

static const char *string_of(struct arena *arena, struct bytes text)
{
	return arena_strndup(arena, text.size ? text.data : "", text.size);
}

static bool same_word(struct bytes text, const char *word)
{
	return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

/* "pve-configid": a letter, then letters, digits, _ and -; at least two characters. */
static bool config_id(struct bytes name)
{
	if (name.size < 2 || !isalpha((unsigned char)name.data[0]))
		return false;
	for (size_t i = 1; i < name.size; i++)
		if (!isalnum((unsigned char)name.data[i]) && name.data[i] != '_' && name.data[i] != '-')
			return false;
	return true;
}

/* ---- sections ----------------------------------------------------------- */

/* "[name]" and nothing but blanks behind it. */
static bool bracketed(struct bytes line, struct bytes *ret)
{
	const char *end = line.size && line.data[0] == '[' ? memchr(line.data, ']', line.size) : NULL;
	if (!end)
		return false;
	size_t size = (size_t)(end - line.data);
	if (trimmed(from(line, size + 1)).size)
		return false;
	*ret = (struct bytes){ line.data + 1, size - 1 };
	return true;
}

static struct pve_section *section_add(
        struct guest *guest, struct arena *arena, const char *name, enum pve_section_kind kind)
{
	struct pve_section *section = arena_push(arena, guest->sections, guest->n_sections);
	section->name = name;
	section->kind = kind;
	section->snaptime = UNKNOWN_NUMBER;
	return section;
}

/* Begins a section if the line is a header; *skip: PVE passes over its lines. A CT's parser knows no other brackets,
 * takes them for a bad line and stays in the section it is in. */
static bool section_begin(struct guest *guest, struct arena *arena, struct bytes line, bool *skip)
{
	struct bytes name;
	if (!bracketed(line, &name))
		return false;
	bool vm = guest->kind != GUEST_CT;
	const char *pending = vm ? "PENDING" : "pve:pending";
	if (same_word(name, pending)) {
		section_add(guest, arena, pending, SECTION_PENDING);
	} else if (config_id(name)) {
		section_add(guest, arena, string_of(arena, name), SECTION_SNAPSHOT);
	} else if (vm) {
		section_add(guest, arena, string_of(arena, name), SECTION_SPECIAL);
		*skip = !same_word(name, "special:cloudinit") && !same_word(name, "special:fleecing");
		return true;
	} else {
		return false;
	}
	*skip = false;
	return true;
}

/* ---- lines -------------------------------------------------------------- */

/* The length of "[a-z][a-z_]*\d*" before a colon, 0 if the line does not begin so. VM keys may have - too. */
static size_t key_size(struct bytes line, bool dashes)
{
	size_t size = 0;
	if (!line.size || !lower(line.data[0]))
		return 0;
	while (size < line.size &&
	        (lower(line.data[size]) || line.data[size] == '_' || (dashes && line.data[size] == '-')))
		size++;
	while (size < line.size && digit(line.data[size]))
		size++;
	/* a colon with nothing at all behind it is not taken */
	return size + 1 < line.size && line.data[size] == ':' ? size : 0;
}

/* Keys below lxc. that pve-container passes on (LXC/Config.pm, is_valid_lxc_conf_key), old names included; what it
 * makes itself (lxc.rootfs.path, lxc.rootfs.options) is refused like an unknown key. */
static const char *const lxc_keys[] = {
	"apparmor.profile",
	"apparmor.allow_incomplete",
	"apparmor.allow_nesting",
	"apparmor.raw",
	"selinux.context",
	"include",
	"arch",
	"uts.name",
	"signal.halt",
	"signal.reboot",
	"signal.stop",
	"init.cmd",
	"init.cwd",
	"init.uid",
	"init.gid",
	"init.groups",
	"pty.max",
	"console.logfile",
	"console.path",
	"tty.max",
	"devtty.dir",
	"autodev",
	"kmsg",
	"mount.fstab",
	"mount.entry",
	"mount.auto",
	"rootfs.mount",
	"cap.drop",
	"cap.keep",
	"seccomp.profile",
	"seccomp.notify.proxy",
	"seccomp.notify.cookie",
	"idmap",
	"hook.autodev",
	"hook.pre-start",
	"hook.pre-mount",
	"hook.mount",
	"hook.start",
	"hook.stop",
	"hook.post-stop",
	"hook.clone",
	"hook.destroy",
	"hook.version",
	"log.level",
	"log.file",
	"start.auto",
	"start.delay",
	"start.order",
	"group",
	"environment",
	"environment.runtime",
	"environment.hooks",
	"sysctl.fs.mqueue",
	"sysctl.kernel.msgmax",
	"sysctl.kernel.msgmnb",
	"sysctl.kernel.msgmni",
	"sysctl.kernel.sem",
	"sysctl.kernel.shmall",
	"sysctl.kernel.shmmax",
	"sysctl.kernel.shmmni",
	"sysctl.kernel.shm_rmid_forced",
	/* of LXC before 3.0 */
	"aa_profile",
	"aa_allow_incomplete",
	"console",
	"devttydir",
	"haltsignal",
	"rebootsignal",
	"stopsignal",
	"id_map",
	"init_cmd",
	"loglevel",
	"logfile",
	"mount",
	"pts",
	"se_context",
	"seccomp",
	"tty",
	"utsname",
	"network.type",
	"network.flags",
	"network.link",
	"network.mtu",
	"network.name",
	"network.hwaddr",
	"network.ipv4",
	"network.ipv4.gateway",
	"network.ipv6",
	"network.ipv6.gateway",
	"network.script.up",
	"network.script.down",
	/* whole families */
	"cgroup.*",
	"cgroup2.*",
	"prlimit.*",
	"limit.*",
	"net.*",
};

static bool lxc_key_known(const char *key)
{
	for (size_t i = 0; i < sizeof lxc_keys / sizeof *lxc_keys; i++)
		if (text_matches(lxc_keys[i], key + strlen("lxc.")))
			return true;
	return false;
}

/* "lxc.a.b: value" and "lxc.a.b = value". */
static bool lxc_line(struct arena *arena, struct bytes text, struct pve_line *line)
{
	size_t size = strlen("lxc.");
	if (text.size <= size || memcmp(text.data, "lxc.", size) != 0)
		return false;
	while (size < text.size &&
	        (lower(text.data[size]) || digit(text.data[size]) || memchr("_-.", text.data[size], 3)))
		size++;
	struct bytes rest = from(text, size);
	if (size == strlen("lxc.") || !rest.size)
		return false;
	if (rest.data[0] != ':') {
		rest = trimmed(rest);
		if (!rest.size || rest.data[0] != '=')
			return false;
	}
	const char *key = arena_strndup(arena, text.data, size);
	if (!lxc_key_known(key))
		return false;
	line->key = key;
	line->value = string_of(arena, trimmed(from(rest, 1)));
	return true;
}

static bool key_line(
        struct arena *arena, const struct guest *guest, bool pending, struct bytes text, struct pve_line *line)
{
	if (guest->kind == GUEST_CT && lxc_line(arena, text, line))
		return true;
	size_t size = key_size(text, guest->kind != GUEST_CT);
	if (!size)
		return false;
	const char *key = arena_strndup(arena, text.data, size);
	if (strcmp(key, "delete") == 0 && !pending)
		return false;
	line->key = key;
	line->value = string_of(arena, trimmed(from(text, size + 1)));
	return true;
}

/* What PVE says to a value of that key; NULL: nothing. */
static const char *value_wrong(enum guest_kind kind, const char *key, const char *value, struct arena *arena)
{
	const struct pve_option *option = pve_option_key(key, kind == GUEST_CT ? PVE_CT_KEY : PVE_VM_KEY);
	const char *wrong = pve_option_parse(option, key, value, PVE_NEWEST, arena);
	struct words lines = text_split(arena, wrong ? wrong : "", "\n");
	return lines.n ? lines.word[lines.n - 1] : NULL; /* a property's own message stands behind a heading */
}

/* A VM's parser drops what it cannot take; a CT's warns of it and keeps it. */
static const char *line_dropped(struct arena *arena, const struct guest *guest, const struct pve_line *line)
{
	static const char *const marks[] = { "delete", "snapstate", "description" }; /* no settings, but known */
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
		if (strcmp(line->key, marks[i]) == 0)
			return NULL;
	return guest->kind == GUEST_CT ? NULL : value_wrong(guest->kind, line->key, line->value, arena);
}

static void line_parse(struct arena *arena, const struct guest *guest, enum pve_section_kind kind, struct bytes text,
        struct pve_line *line)
{
	if (!trimmed(text).size)
		return;
	if (text.data[0] == '#' && !memchr(text.data, '\0', text.size)) {
		line->key = "#";
		line->value = line->raw + 1;
		return;
	}
	if (memchr(text.data, '\0', text.size) || !key_line(arena, guest, kind == SECTION_PENDING, text, line))
		line->lost = "it is no setting";
	else if (kind != SECTION_SPECIAL)
		line->lost = line_dropped(arena, guest, line);
}

/* The next line with its end. */
static bool whole_line(struct bytes text, size_t *cursor, struct bytes *ret)
{
	if (*cursor >= text.size)
		return false;
	const char *start = text.data + *cursor, *end = memchr(start, '\n', text.size - *cursor);
	size_t size = end ? (size_t)(end - start) + 1 : text.size - *cursor;
	*cursor += size;
	*ret = (struct bytes){ start, size };
	return true;
}

static void guest_parse_lines(struct guest *guest, struct arena *arena, struct bytes text)
{
	struct bytes whole;
	unsigned number = 0;
	bool skip = false;
	section_add(guest, arena, "", SECTION_ACTIVE);
	for (size_t cursor = 0; whole_line(text, &cursor, &whole);) {
		struct bytes body = whole;
		if (body.data[body.size - 1] == '\n')
			body.size--;
		if (body.size && body.data[body.size - 1] == '\r')
			body.size--;
		bool header = section_begin(guest, arena, body, &skip);
		struct pve_section *section = &guest->sections[guest->n_sections - 1];
		struct pve_line *line = arena_push(arena, section->lines, section->n);
		line->whole = whole;
		line->raw = string_of(arena, body);
		line->line = ++number;
		if (skip && !header)
			line->lost = trimmed(body).size ? "its section is unknown" : NULL;
		else if (!header)
			line_parse(arena, guest, section->kind, body, line);
	}
}

/* ---- what stands twice --------------------------------------------------- */

struct settable { /* what a later one of the same name replaces */
	const char *name;
	size_t at;
};

static int by_name(const void *left, const void *right)
{
	const struct settable *a = left, *b = right;
	int order = strcmp(a->name, b->name);
	return order ? order : a->at < b->at ? -1 : a->at > b->at;
}

/* Sorted, so that those of one name stand together, the one that counts last. */
static bool is_replaced(const struct settable *sorted, size_t n, size_t at)
{
	return at + 1 < n && strcmp(sorted[at].name, sorted[at + 1].name) == 0;
}

/* NULL: each such line counts. */
static const char *settable_name(const struct pve_line *line)
{
	if (!line->key || line->lost || *line->key == '#' || text_starts(line->key, "lxc.") ||
	        strcmp(line->key, "description") == 0)
		return NULL;
	return strcmp(line->key, "cdrom") == 0 ? "ide2" : line->key;
}

static void mark_lines(struct pve_section *section, struct arena *arena)
{
	struct settable *lines = NULL;
	size_t n = 0;
	for (size_t i = 0; i < section->n; i++)
		if (settable_name(&section->lines[i]))
			*arena_push(arena, lines, n) = (struct settable){ settable_name(&section->lines[i]), i };
	if (n)
		qsort(lines, n, sizeof *lines, by_name);
	for (size_t i = 0; i < n; i++)
		if (is_replaced(lines, n, i))
			section->lines[lines[i].at].lost = "a later line sets it again";
}

static void mark_replaced(struct guest *guest, struct arena *arena)
{
	struct settable *sections = NULL;
	size_t n = 0;
	for (size_t i = 1; i < guest->n_sections; i++) /* the active one has no name and stands once */
		*arena_push(arena, sections, n) = (struct settable){ guest->sections[i].name, i };
	if (n)
		qsort(sections, n, sizeof *sections, by_name);
	for (size_t i = 0; i < n; i++)
		for (size_t l = 0; is_replaced(sections, n, i) && l < guest->sections[sections[i].at].n; l++) {
			struct pve_line *line = &guest->sections[sections[i].at].lines[l];
			line->lost = line->key ? "its section stands again below" : line->lost;
		}
	for (size_t i = 0; i < guest->n_sections; i++)
		mark_lines(&guest->sections[i], arena);
}

/* ---- values ------------------------------------------------------------- */

/* The section of that kind that counts: the last one, as a second one replaces the first. */
static const struct pve_section *section_find(const struct guest *guest, enum pve_section_kind kind)
{
	for (size_t i = guest->n_sections; i-- > 0;)
		if (guest->sections[i].kind == kind)
			return &guest->sections[i];
	return NULL;
}

static const char *section_value(const struct pve_section *section, const char *key)
{
	for (size_t i = section ? section->n : 0; i-- > 0;)
		if (section->lines[i].key && !section->lines[i].lost && strcmp(section->lines[i].key, key) == 0)
			return section->lines[i].value;
	return NULL;
}

const char *pve_value(const struct guest *guest, const char *key)
{
	return section_value(section_find(guest, SECTION_ACTIVE), key);
}

/* "hostpci1,!net0": a ! only says that the deletion is forced. */
static bool delete_names(const char *list, const char *key)
{
	static const char separators[] = " \t\r\n\f\v,;";
	size_t want = strlen(key);
	while (list && *(list += strspn(list, separators))) {
		size_t size = strcspn(list, separators), mark = *list == '!';
		if (size - mark == want && memcmp(list + mark, key, want) == 0)
			return true;
		list += size;
	}
	return false;
}

const char *pve_value_next(const struct guest *guest, const char *key)
{
	const struct pve_section *pending = section_find(guest, SECTION_PENDING);
	const char *value = strcmp(key, "delete") != 0 ? section_value(pending, key) : NULL;
	if (value)
		return value;
	return delete_names(section_value(pending, "delete"), key) ? NULL : pve_value(guest, key);
}

enum tri pve_boolean(const char *value)
{
	static const struct {
		const char *word;
		enum tri means;
	} words[] = {
		{ "1", YES },
		{ "on", YES },
		{ "yes", YES },
		{ "true", YES },
		{ "0", NO },
		{ "off", NO },
		{ "no", NO },
		{ "false", NO },
	};
	for (size_t i = 0; value && i < sizeof words / sizeof *words; i++)
		if (strcasecmp(value, words[i].word) == 0)
			return words[i].means;
	return UNKNOWN;
}

/* ---- property strings --------------------------------------------------- */

const char *pve_property(const struct pve_properties *properties, const char *key)
{
	for (size_t i = 0; i < properties->n; i++)
		if (strcmp(properties->property[i].key, key) == 0)
			return properties->property[i].value;
	return NULL;
}

enum { PROPERTIES_MAX = 256 }; /* no format of PVE has so many; keeps the search for doubles linear */

static void property_add(struct pve_properties *properties, struct arena *arena, const char *key, struct bytes value)
{
	if (properties->n >= PROPERTIES_MAX || pve_property(properties, key)) {
		properties->invalid = true;
		return;
	}
	struct pve_property *property = arena_push(arena, properties->property, properties->n);
	property->key = key;
	property->value = string_of(arena, value);
}

struct pve_properties pve_parse_properties(const char *value, const char *default_key, struct arena *arena)
{
	struct pve_properties properties = { 0 };
	for (const char *part = value; part && *part;) {
		size_t size = strcspn(part, ",");
		const char *equals = memchr(part, '=', size);
		size_t key = equals ? (size_t)(equals - part) : 0;
		if (!trimmed((struct bytes){ part, size }).size)
			;
		else if (!equals && default_key)
			property_add(&properties, arena, default_key, (struct bytes){ part, size });
		else if (equals && key && key + 1 < size && properties.n < PROPERTIES_MAX)
			property_add(&properties, arena, arena_strndup(arena, part, key),
			        (struct bytes){ equals + 1, size - key - 1 });
		else
			properties.invalid = true;
		part += size + (part[size] == ',');
	}
	return properties;
}

/* ---- hostpci ------------------------------------------------------------ */

/* "(DOMAIN:)BUS:DEVICE(.FUNCTION)" in lower-case hex, as PCI.pm's pattern: in full, or NULL. The domain is written as
 * sysfs does, with at least four digits and no more zeros than needed. */
static const char *address_full(struct arena *arena, const char *text, size_t size)
{
	static const char *const shapes[] = { "hh:hh", "hh:hh.h" };
	size_t domain = 0, skip = 0;
	while (domain < size && hex_lower(text[domain]))
		domain++;
	if (domain >= 4 && domain < size && text[domain] == ':') {
		while (domain - skip > 4 && text[skip] == '0')
			skip++;
	} else {
		domain = 0;
	}
	const char *rest = text + (domain ? domain + 1 : 0);
	size_t left = size - (size_t)(rest - text);
	for (size_t i = 0; i < 2; i++) {
		size_t at = 0;
		while (at < left && shapes[i][at] &&
		        (shapes[i][at] == 'h' ? hex_lower(rest[at]) : rest[at] == shapes[i][at]))
			at++;
		if (at == left && !shapes[i][at])
			return arena_printf(arena, "%.*s:%.*s", domain ? (int)(domain - skip) : 4,
			        domain ? text + skip : "0000", (int)left, rest);
	}
	return NULL;
}

/* A list with ; between. False if one of them is no address. */
bool pve_addresses(const char *list, struct arena *arena, struct words *ret)
{
	if (!list)
		return false;
	bool valid = *list;
	while (*list) {
		size_t size = strcspn(list, ";");
		const char *address = size < 64 ? address_full(arena, list, size) : NULL;
		if (address)
			*arena_push(arena, ret->word, ret->n) = address;
		valid = valid && address;
		list += size;
		if (*list == ';' && !*++list)
			valid = false;
	}
	return valid;
}

static void hostpci_parse(const char *value, struct arena *arena, struct hostpci *ret)
{
	struct pve_properties properties = pve_parse_properties(value, "host", arena);
	const char *host = pve_property(&properties, "host"), *mapping = pve_property(&properties, "mapping");
	ret->raw = value;
	ret->mapping = mapping ? mapping : NONE;
	ret->invalid = ret->invalid || !host == !mapping || value_wrong(GUEST_VM, "hostpci0", value, arena);
	if (host)
		pve_addresses(host, arena, &ret->addresses);
	ret->pcie = pve_boolean(pve_property(&properties, "pcie"));
	ret->x_vga = pve_boolean(pve_property(&properties, "x-vga"));
	ret->rombar = pve_boolean(pve_property(&properties, "rombar"));
	ret->legacy_igd = pve_boolean(pve_property(&properties, "legacy-igd"));
	ret->mdev = pve_property(&properties, "mdev") ? YES : UNKNOWN;
	ret->romfile = pve_property(&properties, "romfile");
	ret->driver = pve_property(&properties, "driver");
	ret->vendor_id = pve_property(&properties, "vendor-id");
	ret->device_id = pve_property(&properties, "device-id");
}

/* The number behind "hostpci" or "dev"; false if the key is another one. A number that is not written as PVE would
 * write it gives *canonical false. */
static bool key_index(const char *key, const char *stem, unsigned *ret, bool *canonical)
{
	size_t size = strlen(stem);
	uint64_t number;
	if (!text_starts(key, stem) || !key[size] || key[size + strspn(key + size, "0123456789")])
		return false;
	*canonical = text_number(key + size, 10, 999999, &number) && (key[size] != '0' || !key[size + 1]);
	*ret = *canonical ? (unsigned)number : UINT32_MAX;
	return true;
}

static void guest_hostpci(struct guest *guest, struct arena *arena, const struct pve_section *section, bool pending)
{
	size_t slot[HOSTPCI_MAX] = { 0 }; /* one more than where in the array */
	size_t strange = 0;
	for (size_t i = 0; section && i < section->n; i++) {
		struct hostpci found = { .pending = pending };
		bool canonical;
		if (!section->lines[i].key || !key_index(section->lines[i].key, "hostpci", &found.index, &canonical))
			continue;
		found.invalid = !canonical || found.index >= HOSTPCI_MAX;
		bool known = !found.invalid;
		if (!known && strange++ >= HOSTPCI_MAX)
			continue; /* enough of them to be told */
		hostpci_parse(section->lines[i].value, arena, &found);
		/* PVE drops what it cannot take and keeps the earlier line of that key */
		if (known && slot[found.index]) {
			struct hostpci *before = &guest->hostpci[slot[found.index] - 1];
			if (!found.invalid || before->invalid)
				*before = found;
			continue;
		}
		*arena_push(arena, guest->hostpci, guest->n_hostpci) = found;
		if (known)
			slot[found.index] = guest->n_hostpci;
	}
}

/* ---- devN of a CT ------------------------------------------------------- */

static int64_t number_of(const char *text)
{
	uint64_t number;
	return text_number(text, 10, INT64_MAX, &number) ? (int64_t)number : UNKNOWN_NUMBER;
}

static void device_parse(const char *value, struct arena *arena, struct ct_device *ret)
{
	struct pve_properties properties = pve_parse_properties(value, "path", arena);
	const char *deny = pve_property(&properties, "deny-write");
	ret->raw = value;
	ret->wrong = value_wrong(GUEST_CT, "dev0", value, arena);
	ret->path = pve_property(&properties, "path");
	ret->mode = pve_property(&properties, "mode");
	ret->uid = number_of(pve_property(&properties, "uid"));
	ret->gid = number_of(pve_property(&properties, "gid"));
	ret->deny_write = deny ? pve_boolean(deny) : NO;
}

static void guest_devices(struct guest *guest, struct arena *arena, const struct pve_section *section, bool pending)
{
	size_t slot[DEVICES_MAX] = { 0 };
	for (size_t i = 0; section && i < section->n; i++) {
		struct ct_device found = { .pending = pending };
		bool canonical;
		if (!section->lines[i].key || !key_index(section->lines[i].key, "dev", &found.index, &canonical))
			continue;
		device_parse(section->lines[i].value, arena, &found);
		bool known = canonical && found.index < DEVICES_MAX;
		if (known && slot[found.index]) {
			guest->devices[slot[found.index] - 1] = found;
			continue;
		}
		*arena_push(arena, guest->devices, guest->n_devices) = found;
		if (known)
			slot[found.index] = guest->n_devices;
	}
}

/* ---- a guest ------------------------------------------------------------ */

void pve_parse_guest(struct bytes text, enum guest_kind kind, struct arena *arena, struct guest *ret)
{
	const char *value;
	ret->kind = kind;
	ret->sections = NULL;
	ret->n_sections = ret->n_hostpci = ret->n_devices = 0;
	ret->hostpci = NULL;
	ret->devices = NULL;
	guest_parse_lines(ret, arena, text);
	mark_replaced(ret, arena);
	for (size_t i = 0; i < ret->n_sections; i++)
		ret->sections[i].snaptime = number_of(section_value(&ret->sections[i], "snaptime"));
	const struct pve_section *pending = section_find(ret, SECTION_PENDING);
	if (kind == GUEST_CT) {
		guest_devices(ret, arena, &ret->sections[0], false);
		guest_devices(ret, arena, pending, true);
	} else {
		guest_hostpci(ret, arena, &ret->sections[0], false);
		guest_hostpci(ret, arena, pending, true);
	}
	value = pve_value(ret, kind == GUEST_CT ? "hostname" : "name");
	ret->name = value ? value : NONE;
	value = pve_value(ret, "lock");
	ret->lock = value ? value : NONE;
	value = pve_value(ret, "parent");
	ret->parent = value ? value : NONE;
	value = pve_value(ret, "onboot");
	ret->onboot = value ? pve_boolean(value) : NO;
	ret->known = YES;
}

/* ---- section files: mapping/pci.cfg, storage.cfg ------------------------ */

/* Calls attribute for each "\tkey value" line of a section and header for its first line. A section ends at an empty
 * line and only there; lines whose first sign is # are left out. */
enum header { HEADER_NOT, HEADER_SKIP, HEADER_TAKE }; /* the line is none; its section is passed over; is taken */

struct section_reader {
	enum header (*header)(void *data, struct arena *arena, struct bytes line);
	void (*attribute)(void *data, struct arena *arena, struct bytes key, struct bytes value);
	void *data;
};

static size_t word_size(struct bytes text)
{
	size_t size = 0;
	while (size < text.size && !blank(text.data[size]))
		size++;
	return size;
}

static void attribute_line(const struct section_reader *reader, struct arena *arena, struct bytes line)
{
	if (!blank(line.data[0]))
		return;
	line = trimmed(line);
	size_t size = word_size(line);
	if (size)
		reader->attribute(reader->data, arena, (struct bytes){ line.data, size }, trimmed(from(line, size)));
}

static void section_file(struct bytes text, struct arena *arena, const struct section_reader *reader)
{
	struct bytes line;
	enum header state = HEADER_NOT;
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		struct bytes body = trimmed(line);
		if (!line.size)
			state = HEADER_NOT;
		else if ((body.size && body.data[0] == '#') || memchr(line.data, '\0', line.size))
			continue;
		else if (state == HEADER_NOT && !blank(line.data[0]))
			state = reader->header(reader->data, arena, body);
		else if (state == HEADER_TAKE)
			attribute_line(reader, arena, line);
	}
}

/* "gpu0" */
static enum header mapping_header(void *data, struct arena *arena, struct bytes line)
{
	struct pve *pve = data;
	if (word_size(line) != line.size)
		return HEADER_NOT;
	if (!config_id(line))
		return HEADER_SKIP;
	struct mapping *mapping = arena_push(arena, pve->mappings, pve->n_mappings);
	mapping->id = string_of(arena, line);
	mapping->description = NONE;
	return HEADER_TAKE;
}

static void mapping_attribute(void *data, struct arena *arena, struct bytes key, struct bytes value)
{
	struct pve *pve = data;
	struct mapping *mapping = &pve->mappings[pve->n_mappings - 1];
	if (same_word(key, "description"))
		mapping->description = string_of(arena, value);
	if (!same_word(key, "map"))
		return;
	struct pve_properties properties = pve_parse_properties(string_of(arena, value), NULL, arena);
	struct mapping_entry entry = {
		.node = pve_property(&properties, "node"),
		.path = pve_property(&properties, "path"),
		.id = pve_property(&properties, "id"),
		.subsystem = pve_property(&properties, "subsystem-id"),
		.iommu_group = pve_property(&properties, "iommugroup"),
	};
	/* PVE too passes over an entry that lacks one of these */
	if (properties.invalid || !entry.node || !entry.path || !entry.id)
		return;
	entry.subsystem = entry.subsystem ? entry.subsystem : NONE;
	entry.iommu_group = entry.iommu_group ? entry.iommu_group : NONE;
	*arena_push(arena, mapping->entries, mapping->n) = entry;
}

void pve_parse_mappings(struct bytes text, struct arena *arena, struct pve *ret)
{
	section_file(text, arena, &(struct section_reader){ mapping_header, mapping_attribute, ret });
	ret->mappings_known = YES;
}

/* Can the plugin snapshot a raw image? */
static const struct {
	const char *type;
	enum tri snapshots;
} storage_types[] = {
	{ "zfspool", YES },
	{ "zfs", YES },
	{ "lvmthin", YES },
	{ "rbd", YES },
	{ "btrfs", YES },
	{ "dir", NO },
	{ "nfs", NO },
	{ "cifs", NO },
	{ "cephfs", NO },
	{ "glusterfs", NO },
	{ "lvm", NO },
	{ "iscsi", NO },
	{ "iscsidirect", NO },
	{ "esxi", NO },
	{ "pbs", NO },
};

/* "lvmthin: local-lvm" */
static enum header storage_header(void *data, struct arena *arena, struct bytes line)
{
	struct pve *pve = data;
	const char *colon = memrchr(line.data, ':', line.size);
	size_t size = colon ? (size_t)(colon - line.data) : 0;
	struct bytes id = trimmed(from(line, colon ? size + 1 : 0));
	if (!size || word_size(line) < size || !id.size || word_size(id) != id.size)
		return HEADER_NOT;
	struct storage *storage = arena_push(arena, pve->storages, pve->n_storages);
	storage->id = string_of(arena, id);
	storage->type = string_of(arena, (struct bytes){ line.data, size });
	storage->content = storage->path = NONE;
	for (size_t i = 0; i < sizeof storage_types / sizeof *storage_types; i++)
		if (strcasecmp(storage_types[i].type, storage->type) == 0)
			storage->snapshots = storage_types[i].snapshots;
	return HEADER_TAKE;
}

static void storage_attribute(void *data, struct arena *arena, struct bytes key, struct bytes value)
{
	struct pve *pve = data;
	struct storage *storage = &pve->storages[pve->n_storages - 1];
	if (same_word(key, "content"))
		storage->content = string_of(arena, value);
	if (same_word(key, "path"))
		storage->path = string_of(arena, value);
}

void pve_parse_storages(struct bytes text, struct arena *arena, struct pve *ret)
{
	section_file(text, arena, &(struct section_reader){ storage_header, storage_attribute, ret });
	ret->storages_known = YES;
	for (size_t i = 0; i < ret->n_storages; i++)
		if (strcmp(ret->storages[i].id, "local") == 0)
			return;
	/* PVE always has it, stated or not */
	*arena_push(arena, ret->storages, ret->n_storages) = (struct storage){
		.id = "local", .type = "dir", .content = NONE, .path = "/var/lib/vz", .snapshots = NO
	};
}

/* ---- who has which device ----------------------------------------------- */

struct words pve_hostpci_addresses(const struct pve *pve, const struct hostpci *hostpci, struct arena *arena)
{
	struct words addresses = { 0 };
	for (size_t i = 0; i < hostpci->addresses.n; i++)
		*arena_push(arena, addresses.word, addresses.n) = hostpci->addresses.word[i];
	/* of an id that stands twice the last section counts */
	for (size_t i = hostpci->mapping && *hostpci->mapping ? pve->n_mappings : 0; i-- > 0;) {
		const struct mapping *mapping = &pve->mappings[i];
		if (strcmp(mapping->id, hostpci->mapping) != 0)
			continue;
		for (size_t j = 0; j < mapping->n; j++)
			if (!pve->node || strcmp(mapping->entries[j].node, pve->node) == 0)
				pve_addresses(mapping->entries[j].path, arena, &addresses);
		break;
	}
	return addresses;
}

static bool address_covers(const char *address, const char *device)
{
	size_t size = strlen(address);
	return strncmp(address, device, size) == 0 && (!device[size] || (device[size] == '.' && !strchr(address, '.')));
}

bool pve_args_have(const char *args, const char *device, struct arena *arena)
{
	if (!args || !strstr(args, "vfio-pci"))
		return false;
	struct words words = text_split(arena, args, " \t,'\"{}");
	for (size_t i = 0; i < words.n; i++) {
		const char *word = words.word[i];
		if (text_starts(word, "host="))
			word += strlen("host=");
		size_t size = strlen(word);
		const char *address = size < 64 ? address_full(arena, word, size) : NULL;
		if (address && address_covers(address, device))
			return true;
	}
	return false;
}

bool pve_guest_has(
        const struct pve *pve, const struct guest *guest, const struct pci_device *device, struct arena *arena)
{
	for (size_t i = 0; i < guest->n_hostpci; i++) {
		struct words addresses = pve_hostpci_addresses(pve, &guest->hostpci[i], arena);
		for (size_t j = 0; j < addresses.n; j++)
			if (address_covers(addresses.word[j], device->address))
				return true;
	}
	return pve_args_have(pve_value(guest, "args"), device->address, arena) ||
	       pve_args_have(pve_value_next(guest, "args"), device->address, arena);
}
