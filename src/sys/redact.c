/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * One pass from left to right. At the beginning of each word a short table of matchers is asked; each looks at a
 * bounded number of bytes before it says no, and what it takes is not looked at again: linear, however long a line is.
 * Bytes with a zero among them (archives, environments) keep their length.
 */
#include "sys/redact.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum {
	KEY_MAX = 64,    /* of a key's name, and of the blanks behind it */
	NAME_MAX_ = 255, /* of a file's name */
	TABLE_FIRST = 64,
};

enum kind { KIND_IPV4, KIND_IPV6, KIND_MAC, KIND_SECRET, KIND_SERIAL, KIND_UUID, KINDS };

struct known {
	enum kind kind;
	const char *value;
	size_t size, number;
};

struct redactor {
	struct arena *arena;
	struct known *known; /* open hash of what was replaced */
	size_t n, room;
	size_t count[KINDS];
	struct bytes *secrets;
	size_t n_secrets;
};

struct redactor *redact_new(struct arena *arena)
{
	struct redactor *redactor = arena_new(arena, struct redactor);
	redactor->arena = arena;
	return redactor;
}

void redact_secret(struct redactor *redactor, const char *secret)
{
	size_t size = secret ? strlen(secret) : 0;
	while (size && strchr(" \t\r\n", secret[size - 1]))
		size--;
	/* shorter ones would be found in everything */
	if (size >= 4)
		*arena_push(redactor->arena, redactor->secrets, redactor->n_secrets) =
		        arena_bytes(redactor->arena, secret, size);
}

/* ---- the same value, the same number ---------------------------------- */

static struct known *slot_of(struct redactor *redactor, enum kind kind, const char *value, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325 ^ (uintptr_t)redactor ^ (uint64_t)kind << 56;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)value[i]) * 0x100000001b3;
	for (size_t i = (hash ^ hash >> 32) & (redactor->room - 1);; i = (i + 1) & (redactor->room - 1)) {
		struct known *known = &redactor->known[i];
		if (!known->value ||
		        (known->kind == kind && known->size == size && memcmp(known->value, value, size) == 0))
			return known;
	}
}

static void make_room(struct redactor *redactor)
{
	if (redactor->n * 2 < redactor->room)
		return;
	struct known *before = redactor->known;
	size_t room = redactor->room;
	redactor->room = room ? room * 2 : TABLE_FIRST;
	redactor->known = arena_alloc(redactor->arena, redactor->room * sizeof *redactor->known);
	for (size_t i = 0; i < room; i++)
		if (before[i].value)
			*slot_of(redactor, before[i].kind, before[i].value, before[i].size) = before[i];
}

/* 1, 2, 3, ... in the order in which the values of a kind are met */
static size_t number_of(struct redactor *redactor, enum kind kind, const char *value, size_t size)
{
	make_room(redactor);
	struct known *known = slot_of(redactor, kind, value, size);
	if (!known->value) {
		*known = (struct known){ kind, arena_strndup(redactor->arena, value, size), size,
			++redactor->count[kind] };
		redactor->n++;
	}
	return known->number;
}

/* ---- output ----------------------------------------------------------- */

struct scan {
	struct redactor *redactor;
	const char *in;
	size_t size, at;
	bool keep_size;
	bool uuid_secret; /* a line or file in which "uuid" is the identity of a machine, not of a file system */
	char *out;        /* NULL until the first replacement */
	size_t used, room, copied;
};

static void emit(struct scan *scan, const char *data, size_t size)
{
	if (size == 0)
		return;
	if (scan->room - scan->used < size) {
		scan->room = (scan->room + size) * 2;
		if (!(scan->out = realloc(scan->out, scan->room)))
			abort();
	}
	memcpy(scan->out + scan->used, data, size);
	scan->used += size;
}

/* Puts the text in place of in[from..to) and goes on behind it. */
static void replace(struct scan *scan, size_t from, size_t to, const char *text)
{
	size_t size = strlen(text), old = to - from;
	emit(scan, scan->in + scan->copied, from - scan->copied);
	if (scan->keep_size && size > old)
		size = old;
	emit(scan, text, size);
	while (scan->keep_size && size++ < old)
		emit(scan, "x", 1);
	scan->copied = scan->at = to;
}

/* ---- signs ------------------------------------------------------------ */

static bool digit(char sign)
{
	return sign >= '0' && sign <= '9';
}

static bool hex(char sign)
{
	return digit(sign) || (sign >= 'a' && sign <= 'f') || (sign >= 'A' && sign <= 'F');
}

static bool word(char sign)
{
	return digit(sign) || (sign >= 'a' && sign <= 'z') || (sign >= 'A' && sign <= 'Z') || sign == '_';
}

static char lower(char sign)
{
	return sign >= 'A' && sign <= 'Z' ? (char)(sign - 'A' + 'a') : sign;
}

/* The byte at that place; zero behind the end. */
static char sign_at(const struct scan *scan, size_t at)
{
	return at < scan->size ? scan->in[at] : '\0';
}

static bool starts(const struct scan *scan, size_t at, const char *text)
{
	size_t size = strlen(text);
	return scan->size - at >= size && memcmp(scan->in + at, text, size) == 0;
}

/* PVE keeps notes in comments and there writes ":" as %3A (qm.conf(5)); "=" and the end of a line alike. */
static bool coded(const struct scan *scan, size_t at, char low)
{
	return sign_at(scan, at) == '%' && sign_at(scan, at + 1) == (low == '\n' ? '0' : '3') &&
	       lower(sign_at(scan, at + 2)) == (low == '\n' || low == ':' ? 'a' : 'd');
}

/* How many bytes the sign takes, plain or coded; 0: something else stands there. */
static size_t sign_size(const struct scan *scan, size_t at, char sign)
{
	return sign_at(scan, at) == sign ? 1 : (sign == ':' || sign == '=') && coded(scan, at, sign) ? 3 : 0;
}

static size_t line_end(const struct scan *scan, size_t at)
{
	const char *end = memchr(scan->in + at, '\n', scan->size - at);
	size_t size = end ? (size_t)(end - scan->in) : scan->size;
	return size > at && scan->in[size - 1] == '\r' ? size - 1 : size;
}

/* ---- addresses -------------------------------------------------------- */

/* Placeholders are of the documentation ranges (RFC 5737, RFC 2544, RFC 3849), which are kept when met again. */
static bool ipv4_is_public(const unsigned char *part)
{
	static const struct {
		unsigned char first, low, high; /* first part, range of the second */
	} kept[] = {
		{ 0, 0, 255 },
		{ 10, 0, 255 },
		{ 100, 64, 127 },
		{ 127, 0, 255 },
		{ 169, 254, 254 },
		{ 172, 16, 31 },
		{ 192, 168, 168 },
		{ 198, 18, 19 },
	};
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (part[0] == kept[i].first && part[1] >= kept[i].low && part[1] <= kept[i].high)
			return false;
	bool documentation = (part[0] == 198 && part[1] == 51 && part[2] == 100) ||
	                     (part[0] == 203 && part[1] == 0 && part[2] == 113) ||
	                     (part[0] == 192 && part[1] == 0 && part[2] == 2);
	return part[0] < 224 && !documentation;
}

static void ipv4_placeholder(size_t number, unsigned char part[4])
{
	unsigned char low = (unsigned char)(number < 508 ? number % 254 + 1 : number & 255);
	if (number < 508)
		memcpy(part,
		        number < 254 ? (unsigned char[]){ 198, 51, 100, low } : (unsigned char[]){ 203, 0, 113, low },
		        4);
	else
		memcpy(part, (unsigned char[]){ 198, 18, (unsigned char)(number >> 8), low }, 4);
}

static bool match_ipv4(struct scan *scan)
{
	unsigned char part[4];
	size_t at = scan->at;
	if (!digit(scan->in[at]) || (at && scan->in[at - 1] == '.'))
		return false;
	for (int i = 0; i < 4; i++) {
		unsigned number = 0, digits = 0;
		if (i && sign_at(scan, at++) != '.')
			return false;
		for (; digits < 4 && digit(sign_at(scan, at)); digits++)
			number = number * 10 + (unsigned)(scan->in[at++] - '0');
		if (digits == 0 || number > 255)
			return false;
		part[i] = (unsigned char)number;
	}
	if (word(sign_at(scan, at)) || (sign_at(scan, at) == '.' && word(sign_at(scan, at + 1))))
		return false;
	if (!ipv4_is_public(part)) {
		scan->at = at;
		return true;
	}
	char text[32];
	ipv4_placeholder(number_of(scan->redactor, KIND_IPV4, (const char *)part, sizeof part) - 1, part);
	snprintf(text, sizeof text, "%u.%u.%u.%u", part[0], part[1], part[2], part[3]);
	replace(scan, scan->at, at, text);
	return true;
}

/* The placeholder of a MAC, itself one: the locally administered 02:00:00:00:xx:xx. False: to be kept. */
static bool mac_placeholder(struct redactor *redactor, const unsigned char *mac, size_t size, unsigned char *ret)
{
	bool all_zero = true, all_ones = true;
	for (size_t i = 0; i < size; i++) {
		all_zero = all_zero && mac[i] == 0;
		all_ones = all_ones && mac[i] == 0xff;
	}
	if (all_zero || all_ones || memcmp(mac, "\2\0\0\0", 4) == 0)
		return false;
	size_t number = number_of(redactor, KIND_MAC, (const char *)mac, size);
	memset(ret, 0, size);
	ret[0] = 2;
	ret[size - 2] = (unsigned char)(number >> 8);
	ret[size - 1] = (unsigned char)number;
	return true;
}

static unsigned hex_value(char sign)
{
	return digit(sign) ? (unsigned)(sign - '0') : (unsigned)(lower(sign) - 'a') + 10;
}

/* xx:xx:xx:xx:xx:xx or with "-"; longer ones (InfiniBand, EUI-64, fingerprints) alike. */
static bool match_mac(struct scan *scan)
{
	unsigned char mac[64], placeholder[64];
	size_t at = scan->at, n = 0;
	char between = coded(scan, at + 2, ':') ? ':' : sign_at(scan, at + 2);
	size_t gap = between == ':' || between == '-' ? sign_size(scan, at + 2, between) : 0;
	if (!gap)
		return false;
	for (; n < sizeof mac && hex(sign_at(scan, at)) && hex(sign_at(scan, at + 1)); at += 2 + gap) {
		mac[n++] = (unsigned char)(hex_value(scan->in[at]) << 4 | hex_value(scan->in[at + 1]));
		if (sign_size(scan, at + 2, between) != gap)
			break;
	}
	at += 2;
	/* a separator behind the last pair: fine if nothing of a longer number follows */
	if (n < 6 || at > scan->size || word(sign_at(scan, at)) || sign_size(scan, at, between))
		return false;
	if (!mac_placeholder(scan->redactor, mac, n, placeholder)) {
		scan->at = at;
		return true;
	}
	bool upper = false;
	for (size_t i = scan->at; i < at; i += 2 + gap)
		for (size_t j = i; j < i + 2; j++)
			upper = upper || (scan->in[j] >= 'A' && scan->in[j] <= 'F');
	char text[5 * sizeof mac + 1], sign[] = { between, '\0' };
	size_t used = 0;
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, upper ? "%s%02X" : "%s%02x",
		        i == 0     ? ""
		        : gap == 3 ? "%3A"
		                   : sign,
		        placeholder[i]);
	replace(scan, scan->at, at, text);
	return true;
}

/* An interface named after its MAC (systemd.net-naming-scheme(7)): enx, wlx and twelve hex digits. */
static bool match_mac_name(struct scan *scan)
{
	unsigned char mac[6], placeholder[6];
	size_t at = scan->at + 3;
	if (!starts(scan, scan->at, "enx") && !starts(scan, scan->at, "wlx") && !starts(scan, scan->at, "wwx"))
		return false;
	for (size_t i = 0; i < 6; i++, at += 2) {
		if (!hex(sign_at(scan, at)) || !hex(sign_at(scan, at + 1)))
			return false;
		mac[i] = (unsigned char)(hex_value(scan->in[at]) << 4 | hex_value(scan->in[at + 1]));
	}
	if (word(sign_at(scan, at)) || !mac_placeholder(scan->redactor, mac, 6, placeholder))
		return false;
	char text[13];
	for (size_t i = 0; i < 6; i++)
		snprintf(text + i * 2, 3, "%02x", placeholder[i]);
	replace(scan, scan->at + 3, at, text);
	return true;
}

static bool ipv6_is_public(const unsigned char *address)
{
	static const unsigned char documentation[4] = { 0x20, 0x01, 0x0d, 0xb8 };
	/* global unicast is 2000::/3; what maps or embeds IPv4 (64:ff9b::, ::ffff:) may hold a public address too */
	bool embeds = (address[0] == 0 && (address[1] == 0x64 || address[11] == 0xff || address[12] || address[13]));
	return ((address[0] & 0xe0) == 0x20 && memcmp(address, documentation, 4) != 0) || embeds;
}

/* A kept address may be made of a MAC (EUI-64, ff:fe in the middle, RFC 4291 appendix A). */
static bool ipv6_hide_mac(struct scan *scan, unsigned char *address)
{
	unsigned char mac[6], placeholder[6];
	if (address[11] != 0xff || address[12] != 0xfe)
		return false;
	memcpy(mac, address + 8, 3);
	memcpy(mac + 3, address + 13, 3);
	mac[0] ^= 2;
	if (!mac_placeholder(scan->redactor, mac, 6, placeholder))
		return false;
	memcpy(address + 8, placeholder, 3);
	memcpy(address + 13, placeholder + 3, 3);
	address[8] ^= 2;
	return true;
}

static void code_colons(char *text, size_t room)
{
	for (char *at = text; (at = strchr(at, ':')) && strlen(text) + 3 <= room; at += 3) {
		memmove(at + 3, at + 1, strlen(at + 1) + 1);
		memcpy(at, "%3A", 3);
	}
}

static bool match_ipv6(struct scan *scan)
{
	char text[INET6_ADDRSTRLEN * 3 + 1];
	size_t size = 0, colons = 0, end = scan->at, step = 1;
	if (scan->at && (scan->in[scan->at - 1] == ':' || scan->in[scan->at - 1] == '.'))
		return false;
	for (char sign;; end += step) {
		size_t colon = sign_size(scan, end, ':');
		sign = colon ? ':' : sign_at(scan, end);
		if (!hex(sign) && !colon && sign != '.')
			break;
		if (size == INET6_ADDRSTRLEN)
			return false;
		step = colon ? colon : 1;
		colons += colon > 0;
		text[size++] = sign;
	}
	while (size > 2 && (text[size - 1] == '.' || (text[size - 1] == ':' && text[size - 2] != ':')))
		end -= scan->in[end - 1] == text[--size] ? 1 : 3; /* the end of a sentence, or of a key */
	text[size] = '\0';
	unsigned char address[16];
	if (colons < 2 || word(sign_at(scan, end)) || inet_pton(AF_INET6, text, address) != 1)
		return false;
	bool is_coded = memchr(scan->in + scan->at, '%', end - scan->at);
	bool hidden = false;
	if (ipv6_is_public(address)) {
		size_t number = number_of(scan->redactor, KIND_IPV6, (const char *)address, sizeof address);
		snprintf(text, sizeof text, "2001:db8::%zx", number);
		hidden = true;
	} else if (ipv6_hide_mac(scan, address)) {
		inet_ntop(AF_INET6, address, text, sizeof text);
		hidden = true;
	}
	if (hidden && is_coded)
		code_colons(text, sizeof text);
	if (hidden)
		replace(scan, scan->at, end, text);
	else
		scan->at = end;
	return true;
}

/* ---- identities ------------------------------------------------------- */

static bool uuid_at(const struct scan *scan, size_t at)
{
	for (size_t i = 0; i < 36; i++) {
		char sign = sign_at(scan, at + i);
		if (i == 8 || i == 13 || i == 18 || i == 23 ? sign != '-' : !hex(sign))
			return false;
	}
	return !word(sign_at(scan, at + 36));
}

static void replace_uuid(struct scan *scan, size_t at)
{
	char value[36], text[64];
	for (size_t i = 0; i < 36; i++)
		value[i] = lower(scan->in[at + i]);
	if (memcmp(value, "00000000-0000-0000-0000-", 24) == 0) {
		scan->at = at + 36;
		return;
	}
	size_t number = number_of(scan->redactor, KIND_UUID, value, 36);
	snprintf(text, sizeof text, "00000000-0000-0000-0000-%012zx", number & 0xffffffffffff);
	replace(scan, at, at + 36, text);
}

/* NVML's names of GPUs and their slices */
static bool match_gpu_uuid(struct scan *scan)
{
	if ((!starts(scan, scan->at, "GPU-") && !starts(scan, scan->at, "MIG-")) || !uuid_at(scan, scan->at + 4))
		return false;
	replace_uuid(scan, scan->at + 4);
	return true;
}

/* Not a secret: our own placeholders, and words that say there is none. Those of the second table only begin so. */
static bool is_kept_value(const char *value, size_t size)
{
	static const char *const whole[] = { "true", "false", "null", "none", "None", "N/A", "[N/A]", "0", "1", "yes",
		"no", "Unknown", "Default string", "00-00-00-00-00-00-00-00" };
	static const char *const beginning[] = { "REDACTED-", "SERIAL-", "Not ", "[Not ", "To be filled",
		"To Be Filled" };
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
		if (size == strlen(whole[i]) && memcmp(value, whole[i], size) == 0)
			return true;
	for (size_t i = 0; i < sizeof beginning / sizeof *beginning; i++)
		if (size >= strlen(beginning[i]) && memcmp(value, beginning[i], strlen(beginning[i])) == 0)
			return true;
	return size == 0;
}

static void replace_value(struct scan *scan, enum kind kind, size_t from, size_t to)
{
	char text[48];
	scan->at = to;
	if (is_kept_value(scan->in + from, to - from))
		return;
	size_t number = number_of(scan->redactor, kind, scan->in + from, to - from);
	snprintf(text, sizeof text, kind == KIND_SERIAL ? "SERIAL-%zu" : "REDACTED-%zu", number);
	replace(scan, from, to, text);
}

/* The name of a disk or USB device by id: BUS-MODEL_SERIAL, wwn-0xNUMBER, nvme-eui.NUMBER, with -partN, -0:0, _N. */
static bool match_by_id(struct scan *scan)
{
	static const char *const buses[] = { "ata-", "nvme-", "scsi-", "usb-", "wwn-", "mmc-", "sas-", "virtio-" };
	size_t bus = 0, size = 0, from = 0, before = 0;
	while (bus < sizeof buses / sizeof *buses && !starts(scan, scan->at, buses[bus]))
		bus++;
	if (bus == sizeof buses / sizeof *buses)
		return false;
	const char *name = scan->in + scan->at;
	while (size < NAME_MAX_ && scan->at + size < scan->size &&
	        (word(name[size]) || strchr("-.+:", name[size] ? name[size] : ' '))) {
		if (name[size] == '_') {
			before = from;
			from = size + 1;
		}
		size++;
	}
	size_t end = size;
	for (size_t i = from; i + 5 < size; i++)
		if (memcmp(name + i, "-part", 5) == 0)
			end = i;
	if (end == size && size > 4 && name[size - 4] == '-' && name[size - 2] == ':')
		end = size - 4;
	/* the last part is the namespace of an NVMe disk, or there is none: the serial is the one before */
	if (before && end >= from && (end == from || (end - from <= 2 && digit(name[from])))) {
		end = from - 1;
		from = before;
	}
	size_t prefix = strlen(buses[bus]);
	/* nvme.VENDOR-SERIAL-MODEL-NAMESPACE, serial and model as hex digits of their letters (the kernel's wwid) */
	const char *serial =
	        size > prefix + 10 && memcmp(name + prefix, "nvme.", 5) == 0 ? memchr(name + prefix, '-', 10) : NULL;
	const char *model = serial ? memchr(serial + 1, '-', (size_t)(name + size - serial - 1)) : NULL;
	for (const char *sign = serial ? serial + 1 : NULL; model && sign < model; sign++)
		if (!hex(*sign))
			model = NULL;
	if (model) {
		size_t begin = scan->at;
		replace_value(scan, KIND_SERIAL, begin + (size_t)(serial + 1 - name), begin + (size_t)(model - name));
		return true;
	}
	if (!from &&
	        (text_starts("wwn-0x", buses[bus]) || (size > prefix + 4 && memcmp(name + prefix, "eui.", 4) == 0) ||
	                (size > prefix + 15 && digit(name[prefix]))))
		from = prefix;
	if (!from || from >= end)
		return false;
	size_t start = scan->at;
	replace_value(scan, KIND_SERIAL, start + from, start + end);
	return true;
}

/* ---- keys and their values -------------------------------------------- */

/* How a key ends, without "_" and "-", in small letters. */
static const struct {
	const char *end;
	enum kind kind;
	bool whole; /* the whole key, or all behind its last "_" or "-" */
} keys[] = {
	{ "password", KIND_SECRET, false },
	{ "passwd", KIND_SECRET, false },
	{ "passphrase", KIND_SECRET, false },
	{ "passwort", KIND_SECRET, false },
	{ "kennwort", KIND_SECRET, false },
	{ "passwordpbkdf2", KIND_SECRET, false }, /* grub.cfg */
	{ "pass", KIND_SECRET, true },
	{ "pwd", KIND_SECRET, true },
	{ "pw", KIND_SECRET, true },
	{ "key", KIND_SECRET, true },
	{ "keyring", KIND_SECRET, true },
	{ "claim", KIND_SECRET, true },
	{ "wepkey0", KIND_SECRET, false },
	{ "wepkey1", KIND_SECRET, false },
	{ "wepkey2", KIND_SECRET, false },
	{ "wepkey3", KIND_SECRET, false },
	{ "secret", KIND_SECRET, false },
	{ "secretkey", KIND_SECRET, false },
	{ "token", KIND_SECRET, false },
	{ "apikey", KIND_SECRET, false },
	{ "accesskey", KIND_SECRET, false },
	{ "authkey", KIND_SECRET, false },
	{ "privatekey", KIND_SECRET, false },
	{ "presharedkey", KIND_SECRET, false },
	{ "encryptionkey", KIND_SECRET, false },
	{ "psk", KIND_SECRET, false },
	{ "authorization", KIND_SECRET, false },
	{ "credential", KIND_SECRET, false },
	{ "credentials", KIND_SECRET, false },
	{ "authcookie", KIND_SECRET, false },
	{ "cookie", KIND_SECRET, true },
	{ "setcookie", KIND_SECRET, true },
	{ "ticket", KIND_SECRET, true },
	{ "serial", KIND_SERIAL, false },
	{ "serialnumber", KIND_SERIAL, false },
	{ "serialno", KIND_SERIAL, false },
	{ "serialshort", KIND_SERIAL, false },
	{ "assettag", KIND_SERIAL, true },
	{ "wwn", KIND_SERIAL, false },
	{ "wwid", KIND_SERIAL, false },
	{ "uniq", KIND_SERIAL, false },
	{ "machineid", KIND_SERIAL, false },
	{ "vmgenid", KIND_UUID, true },
};

/* KINDS: not a secret's name. `last`: the length of what stands behind the last "_" or "-". */
static enum kind kind_of_key(const struct scan *scan, const char *name, size_t size, size_t last)
{
	if (scan->uuid_secret && size == 4 && memcmp(name, "uuid", 4) == 0)
		return KIND_UUID;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		size_t end = strlen(keys[i].end);
		if (size < end || (keys[i].whole && size != end && last != end))
			continue;
		if (memcmp(name + size - end, keys[i].end, end) == 0)
			return keys[i].kind;
	}
	return KINDS;
}

static size_t skip_blanks(const struct scan *scan, size_t at)
{
	size_t most = at + KEY_MAX;
	while (at < most && (sign_at(scan, at) == ' ' || sign_at(scan, at) == '\t'))
		at++;
	return at;
}

/* Where an unquoted value ends: behind "key: " it is the line, else the next blank or list sign. */
static size_t value_end(const struct scan *scan, size_t at, bool line)
{
	size_t end = line ? line_end(scan, at) : scan->size;
	while (at < end && !coded(scan, at, '\n') &&
	        (line || !strchr(" \t\r\n,;&\"'<>)}]", scan->in[at] ? scan->in[at] : ' ')))
		at++;
	return at;
}

static size_t quote_end(const struct scan *scan, size_t at, char quote)
{
	for (; at < scan->size && scan->in[at] != quote && scan->in[at] != '\n'; at++)
		if (scan->in[at] == '\\' && sign_at(scan, at + 1) != '\n')
			at++;
	return at < scan->size ? at : scan->size;
}

/* The value that begins at `from`. */
static void take_value(struct scan *scan, enum kind kind, size_t from, bool line)
{
	/* \" : JSON that stands inside a JSON string */
	bool escaped = sign_at(scan, from) == '\\' && sign_at(scan, from + 1) == '"';
	char quote = sign_at(scan, from + escaped);
	bool quoted = quote == '"' || quote == '\'';
	from += (size_t)escaped + quoted;
	/* asked first, because a uuid ends before the value does: nothing is looked at twice */
	if (kind == KIND_UUID && uuid_at(scan, from)) {
		replace_uuid(scan, from);
		return;
	}
	size_t to = from;
	if (escaped)
		while (to < scan->size && !strchr("\\\"\n", scan->in[to] ? scan->in[to] : '\n'))
			to++;
	else
		to = quoted ? quote_end(scan, from, quote) : value_end(scan, from, line);
	while (!quoted && to > from && (scan->in[to - 1] == ' ' || scan->in[to - 1] == '\t'))
		to--;
	replace_value(scan, kind, from, to);
}

/* The key at this place: its name in small letters without "_" and "-"; returns where it ends, 0 if it is too long. */
static size_t read_key(const struct scan *scan, char name[KEY_MAX], size_t *ret_size, size_t *ret_last)
{
	size_t at = scan->at, size = 0, last = 0;
	for (; at < scan->size && (word(scan->in[at]) || scan->in[at] == '-'); at++) {
		if (at - scan->at >= KEY_MAX)
			return 0;
		if (scan->in[at] != '_' && scan->in[at] != '-')
			name[size++] = lower(scan->in[at]);
		else
			last = size;
	}
	*ret_size = size;
	*ret_last = size - last;
	return at;
}

/* "Serial Number", "Machine ID", "Asset Tag", "API key": two words of which the second belongs to the first. */
static size_t read_second_word(const struct scan *scan, size_t at, char name[KEY_MAX], size_t *size)
{
	static const char *const pairs[][2] = { { "serial", "number" }, { "serial", "no" }, { "machine", "id" },
		{ "asset", "tag" }, { "api", "key" }, { "private", "key" }, { "access", "token" },
		{ "access", "key" } };
	if (sign_at(scan, at) != ' ')
		return at;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		size_t first = strlen(pairs[i][0]), second = strlen(pairs[i][1]), j = 0;
		if (*size != first || memcmp(name, pairs[i][0], first) != 0)
			continue;
		while (j < second && lower(sign_at(scan, at + 1 + j)) == pairs[i][1][j])
			j++;
		if (j < second || word(sign_at(scan, at + 1 + j)))
			continue;
		memcpy(name + first, pairs[i][1], second);
		*size += second;
		return at + 1 + second;
	}
	return at;
}

/* Nothing but blanks and the sign of a comment before it. */
static bool begins_line(const struct scan *scan)
{
	size_t at = scan->at;
	while (at && strchr(" \t#", scan->in[at - 1] ? scan->in[at - 1] : 'x'))
		at--;
	return at == 0 || scan->in[at - 1] == '\n';
}

/* Behind a key without "=" or ":" a value may stand too: "--password word", in an argument list with a zero between;
 * lspci's "Device Serial Number 00-11-..."; and where a line is a key and its value (storage.cfg, interfaces(5), GRUB's
 * "password root word"). */
static bool match_key_alone(struct scan *scan, enum kind kind, size_t key_end, bool serial_number, size_t name)
{
	size_t start = scan->at, from = skip_blanks(scan, key_end);
	bool option = start > 1 && scan->in[start - 1] == '-' && scan->in[start - 2] == '-';
	if (option && from == key_end && from + 1 < scan->size && scan->in[from] == '\0')
		from++;
	bool line =
	        kind == KIND_SECRET && name >= 5 && from > key_end && scan->in[key_end] != '\0' && begins_line(scan);
	if (from == key_end || from >= scan->size || !(option || serial_number || line))
		return false;
	take_value(scan, kind, from, line);
	return true;
}

/* A JSON value that is no string: a number gets quotes, so that it stays JSON; a structure is looked into. */
static bool take_json_value(struct scan *scan, enum kind kind, size_t from, bool escaped)
{
	char text[48];
	size_t to = value_end(scan, from, false);
	if (!digit(scan->in[from]) && scan->in[from] != '-')
		return false;
	size_t number = number_of(scan->redactor, kind, scan->in + from, to - from);
	snprintf(text, sizeof text, escaped ? "\\\"%s-%zu\\\"" : "\"%s-%zu\"",
	        kind == KIND_SERIAL ? "SERIAL" : "REDACTED", number);
	replace(scan, from, to, text);
	return true;
}

static bool match_key(struct scan *scan)
{
	char name[KEY_MAX * 2];
	size_t size, last, key_end = read_key(scan, name, &size, &last);
	if (!key_end || key_end == scan->at)
		return false;
	size_t at = read_second_word(scan, key_end, name, &size);
	bool serial_number = at != key_end && size == 12 && memcmp(name, "serialnumber", 12) == 0;
	enum kind kind = kind_of_key(scan, name, size, last);
	if (kind == KINDS)
		return false;
	size_t quoted = sign_at(scan, at) == '\\' ? at + 1 : at;
	if (sign_at(scan, quoted) == '"' || sign_at(scan, quoted) == '\'')
		at = quoted + 1;
	size_t delimiter = skip_blanks(scan, at), colon = sign_size(scan, delimiter, ':');
	size_t behind = delimiter + (colon ? colon : sign_size(scan, delimiter, '='));
	if (behind == delimiter)
		return match_key_alone(scan, kind, at, serial_number, size);
	size_t from = skip_blanks(scan, behind);
	bool json = colon && at > quoted && scan->in[quoted] == '"';
	if (json && from < scan->size && !strchr("\"\\", scan->in[from] ? scan->in[from] : ' '))
		return take_json_value(scan, kind, from, quoted > 0 && scan->in[quoted - 1] == '\\');
	/* "password: with blanks" is the whole line; so is a header, whose scheme is a word of its own */
	take_value(scan, kind, from, colon && from > behind);
	return true;
}

/* What QEMU calls a secret ("-object secret,id=NAME,data=WORD"): the word is that of its data. */
static bool match_secret_object(struct scan *scan)
{
	if (!starts(scan, scan->at, "secret,"))
		return false;
	size_t end, part = scan->at + strlen("secret,");
	for (int i = 0; i < 8 && part < scan->size; i++, part = end + 1) {
		end = value_end(scan, part, false);
		if (starts(scan, part, "data=")) {
			replace_value(scan, KIND_SECRET, part + 5, end);
			return true;
		}
		if (sign_at(scan, end) != ',')
			break;
	}
	return false;
}

static bool base64_sign(char sign)
{
	return (word(sign) && sign != '_') || sign == '+' || sign == '/';
}

/* Keys that are known by their form: WireGuard's are 32 bytes in base64, Ceph's 28 of which the first is 1. */
static bool match_bare_key(struct scan *scan)
{
	size_t at = scan->at;
	while (at - scan->at < 44 && base64_sign(sign_at(scan, at)))
		at++;
	size_t size = at - scan->at;
	bool wireguard = size == 43 && sign_at(scan, at) == '=' && sign_at(scan, at + 1) != '=';
	bool ceph = size == 38 && starts(scan, scan->at, "AQ") && starts(scan, at, "==");
	if (!wireguard && !ceph)
		return false;
	replace_value(scan, KIND_SECRET, scan->at, at + (wireguard ? 1 : 2));
	return true;
}

/* "Bearer eyJ..." without its header's name */
static bool match_bearer(struct scan *scan)
{
	if (!starts(scan, scan->at, "Bearer ") && !starts(scan, scan->at, "bearer "))
		return false;
	size_t from = scan->at + 7, to = value_end(scan, from, false);
	if (to - from < 8)
		return false;
	replace_value(scan, KIND_SECRET, from, to);
	return true;
}

/* scheme://user:password@host */
static bool match_userinfo(struct scan *scan)
{
	size_t at = scan->at, from = 0, to;
	for (size_t most = at + 16; at < most && word(sign_at(scan, at)); at++)
		;
	size_t colon = sign_size(scan, at, ':');
	if (!colon || !starts(scan, at + colon < scan->size ? at + colon : scan->size, "//"))
		return false;
	for (to = at += colon + 2; to < at + NAME_MAX_ && to < scan->size; to++) {
		char sign = scan->in[to];
		if (!from && sign_size(scan, to, ':'))
			from = to + sign_size(scan, to, ':');
		if (sign == '@' && from) {
			replace_value(scan, KIND_SECRET, from, to);
			return true;
		}
		if (!word(sign) && !strchr("-._~%!$&()*+,;=:", sign ? sign : ' '))
			return false;
	}
	return false;
}

static bool only_digits(const struct scan *scan, size_t from, size_t to)
{
	while (from < to && digit(scan->in[from]))
		from++;
	return from == to;
}

/* user:password@host without a scheme (fstab, netroot=), "-u user:password", "--user=user:password". An image's
 * name:tag@sha256:... has the same form. */
static bool match_login(struct scan *scan)
{
	size_t at = scan->at, from, to, before = at;
	while (at - scan->at < 32 && (word(sign_at(scan, at)) || sign_at(scan, at) == '.' || sign_at(scan, at) == '-'))
		at++;
	if (sign_at(scan, at) != ':')
		return false;
	for (from = to = at + 1; to - from < KEY_MAX && to < scan->size; to++)
		if (!word(scan->in[to]) && !strchr("-._~%!$&()*+;=?#^", scan->in[to] ? scan->in[to] : ' '))
			break;
	while (before > 0 && before + 2 > scan->at && strchr(" =", scan->in[before - 1] ? scan->in[before - 1] : 'x'))
		before--;
	bool option = before < scan->at && ((before >= 2 && memcmp(scan->in + before - 2, "-u", 2) == 0) ||
	                                           (before >= 6 && memcmp(scan->in + before - 6, "--user", 6) == 0));
	bool host = sign_at(scan, to) == '@' && word(sign_at(scan, to + 1)) && !starts(scan, to + 1, "sha256:");
	if (to == from || (!host && (!option || only_digits(scan, from, to))))
		return false;
	replace_value(scan, KIND_SECRET, from, to);
	return true;
}

/* The body of an SSH key of some kind: "AAAA", the length and name of the algorithm, in base64. */
static bool match_ssh_key(struct scan *scan)
{
	static const char *const begin[] = { "AAAAB3NzaC1", "AAAAC3NzaC1", "AAAAE2VjZHNh", "AAAAInNr", "AAAAGnNr" };
	for (size_t i = 0; i < sizeof begin / sizeof *begin; i++) {
		size_t skip = starts(scan, scan->at, "20AAAA") ? 2 : 0; /* the blank before it as %20 */
		if (!starts(scan, scan->at + skip, begin[i]))
			continue;
		size_t from = scan->at + skip, to = from;
		while (to < scan->size && (word(scan->in[to]) || strchr("+/=%", scan->in[to] ? scan->in[to] : ' ')) &&
		        !starts(scan, to, "%20") && !starts(scan, to, "%0A"))
			to++;
		replace_value(scan, KIND_SECRET, from, to);
		return true;
	}
	return false;
}

/* Where the line "-----BEGIN ... PRIVATE KEY-----" ends that begins here; 0: none. */
static size_t pem_begin(const struct scan *scan)
{
	static const char *const names[] = { "PRIVATE KEY-----", "PRIVATE KEY BLOCK-----" };
	if (!starts(scan, scan->at, "BEGIN ") || scan->at < 5 || memcmp(scan->in + scan->at - 5, "-----", 5) != 0)
		return 0;
	size_t size = scan->size - scan->at < KEY_MAX ? scan->size - scan->at : KEY_MAX;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *found = memmem(scan->in + scan->at, size, names[i], strlen(names[i]));
		if (found && !memchr(scan->in + scan->at, '\n', (size_t)(found - scan->in) - scan->at))
			return (size_t)(found - scan->in) + strlen(names[i]);
	}
	return 0;
}

/* A private key to its end, or to the end of all: the lines stay, what is in them goes. In JSON and in environments
 * the whole block is one line. */
static bool match_pem(struct scan *scan)
{
	size_t begin = pem_begin(scan);
	if (!begin)
		return false;
	for (scan->at = begin; scan->at < scan->size; scan->at++) {
		size_t line = line_end(scan, scan->at);
		const char *end = memmem(scan->in + scan->at, line - scan->at, "-----END", 8);
		size_t to = end ? (size_t)(end - scan->in) : line;
		if (to - scan->at > 8 || (to > scan->at && !starts(scan, scan->at, "REDACTED")))
			replace(scan, scan->at, to, "REDACTED");
		scan->at = to;
		if (end)
			break;
		while (sign_at(scan, scan->at) == '\r')
			scan->at++;
	}
	if (scan->at > scan->size)
		scan->at = scan->size;
	return true;
}

/* A placeholder that stands already is passed over whole, whatever is glued to it. */
static bool match_own(struct scan *scan)
{
	static const char *const own[] = { "REDACTED", "SERIAL-" };
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		size_t at = scan->at + strlen(own[i]);
		if (!starts(scan, scan->at, own[i]))
			continue;
		at += sign_at(scan, at) == '-';
		while (digit(sign_at(scan, at)))
			at++;
		scan->at = at;
		return true;
	}
	return false;
}

/* ---- the pass --------------------------------------------------------- */

typedef bool match_fn(struct scan *scan);

/* In the order in which they are asked; the first that takes it has it. */
static match_fn *const by_word[] = { match_own, match_pem, match_secret_object, match_key, match_mac, match_ipv4,
	match_ipv6, match_gpu_uuid, match_mac_name, match_by_id, match_bearer, match_userinfo, match_ssh_key,
	match_bare_key, match_login };

static bool matched(struct scan *scan)
{
	for (size_t i = 0; i < sizeof by_word / sizeof *by_word; i++)
		if (by_word[i](scan))
			return true;
	return false;
}

/* PVE keeps a guest's identity in "smbios1: uuid=..." (qm.conf(5)). */
static bool identity_line(const struct scan *scan)
{
	return starts(scan, scan->at, "smbios1:") || starts(scan, scan->at, "smbios1=") ||
	       starts(scan, scan->at, "type=1,uuid="); /* the same for QEMU */
}

static void pass(struct scan *scan)
{
	bool always = scan->uuid_secret;
	while (scan->at < scan->size) {
		size_t at = scan->at;
		char sign = scan->in[at], before = at ? scan->in[at - 1] : '\n';
		if (before == '\n' || before == '\0')
			scan->uuid_secret = always;
		if (!word(before) && word(sign) && identity_line(scan))
			scan->uuid_secret = true;
		bool candidate = !word(before) && (word(sign) || (sign == ':' && before != ':'));
		if (!candidate || !(word(sign) ? matched(scan) : match_ipv6(scan)))
			scan->at = at + 1;
		else if (scan->at == at)
			scan->at++;
	}
}

static struct bytes finish(struct scan *scan, struct arena *arena)
{
	struct bytes done = { scan->in, scan->size };
	if (scan->out) {
		emit(scan, scan->in + scan->copied, scan->size - scan->copied);
		done = arena_bytes(arena, scan->out, scan->used);
		free(scan->out);
		scan->out = NULL;
	}
	return done;
}

static struct bytes hide_secrets(struct redactor *redactor, struct bytes raw, bool keep_size, struct arena *arena)
{
	for (size_t i = 0; i < redactor->n_secrets; i++) {
		struct bytes secret = redactor->secrets[i];
		struct scan scan = { .redactor = redactor, .in = raw.data, .size = raw.size, .keep_size = keep_size };
		const char *found;
		while (scan.at < scan.size &&
		        (found = memmem(scan.in + scan.at, scan.size - scan.at, secret.data, secret.size))) {
			size_t from = (size_t)(found - scan.in);
			replace_value(&scan, KIND_SECRET, from, from + secret.size);
		}
		raw = finish(&scan, arena);
	}
	return raw;
}

/* ---- whole files ------------------------------------------------------ */

enum whole {
	WHOLE_NOT,
	WHOLE_LINES,
	WHOLE_SERIAL,
	WHOLE_MACHINE_ID,
	WHOLE_UUID,
	WHOLE_BINARY,
	WHOLE_CONFIG,
	WHOLE_ROUTE4,
	WHOLE_ROUTE6,
	WHOLE_BOOT
};

static const struct {
	const char *pattern;
	enum whole whole;
} files[] = {
	{ "*/etc/shadow*", WHOLE_LINES },
	{ "*/etc/gshadow*", WHOLE_LINES },
	{ "*/etc/pve/priv/*", WHOLE_LINES },
	{ "*/ssh_host_*_key", WHOLE_LINES },
	{ "*/.ssh/id_*", WHOLE_LINES },
	{ "*.key", WHOLE_LINES },
	{ "/sys/*/serial", WHOLE_SERIAL },
	{ "/sys/*/wwid", WHOLE_SERIAL },
	{ "/sys/*/serial_number", WHOLE_SERIAL },
	{ "/sys/*/*_serial", WHOLE_SERIAL },
	{ "/sys/*/*_asset_tag", WHOLE_SERIAL },
	{ "/sys/*/unique_id", WHOLE_SERIAL },
	{ "/sys/*/product_uuid", WHOLE_UUID },
	{ "/sys/*/nguid", WHOLE_UUID },
	{ "/sys/*/eui", WHOLE_SERIAL },
	{ "/sys/*/vpd", WHOLE_BINARY },
	{ "/sys/*/vpd_pg8?", WHOLE_BINARY },
	{ "/sys/firmware/dmi/tables/DMI", WHOLE_BINARY },
	{ "/sys/firmware/dmi/entries/*/raw", WHOLE_BINARY },
	{ "/sys/*/config", WHOLE_CONFIG },
	{ "/proc/*net/route", WHOLE_ROUTE4 },
	{ "/proc/*net/ipv6_route", WHOLE_ROUTE6 },
	{ "/sys/firmware/efi/efivars/Boot????"
	  "-*",
	        WHOLE_BOOT },
	{ "*/etc/machine-id", WHOLE_MACHINE_ID },
	{ "*/var/lib/dbus/machine-id", WHOLE_MACHINE_ID },
};

static enum whole whole_of(const char *path)
{
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (text_matches(files[i].pattern, path))
			return files[i].whole;
	return WHOLE_NOT;
}

static void whole_lines(struct scan *scan)
{
	while (scan->at < scan->size) {
		size_t end = line_end(scan, scan->at);
		if (end > scan->at && !(end - scan->at == 8 && starts(scan, scan->at, "REDACTED")))
			replace(scan, scan->at, end, "REDACTED");
		scan->at = end + 1;
	}
}

static void whole_line(struct scan *scan)
{
	size_t from = 0, to = line_end(scan, 0);
	while (from < to && strchr(" \t", scan->in[from]))
		from++;
	while (to > from && strchr(" \t", scan->in[to - 1]))
		to--;
	if (memchr(scan->in + from, 0, to - from)) /* padded by tar */
		to = from + strnlen(scan->in + from, scan->size - from);
	replace_value(scan, KIND_SERIAL, from, to);
}

static void whole_machine_id(struct scan *scan)
{
	char text[64];
	size_t to = line_end(scan, 0);
	if (to < 32 || memcmp(scan->in, "0000000000000000", 16) == 0)
		return;
	snprintf(text, sizeof text, "%032zx", number_of(scan->redactor, KIND_UUID, scan->in, to));
	replace(scan, 0, to, text);
}

static void whole_uuid(struct scan *scan)
{
	if (uuid_at(scan, 0))
		replace_uuid(scan, 0);
	else
		whole_line(scan);
}

static unsigned long word_at(const char *data, size_t at)
{
	const unsigned char *byte = (const unsigned char *)data + at;
	return byte[0] | (unsigned long)byte[1] << 8 | (unsigned long)byte[2] << 16 | (unsigned long)byte[3] << 24;
}

/* The Device Serial Number capability of PCI Express (id 3) holds eight bytes, on a network card its MAC. Extended
 * capabilities begin at 0x100: id in 16 bits, version in 4, the next one's place in 12. */
static void whole_config(struct scan *scan)
{
	size_t at = 0x100;
	for (int steps = 0; at >= 0x100 && at + 12 <= scan->size && at <= 4084 && steps < 1000; steps++) {
		unsigned long header = word_at(scan->in, at);
		static const char zeros[8] = { 0 };
		if ((header & 0xffff) == 3 && memcmp(scan->in + at + 4, zeros, 8) != 0 && at + 4 >= scan->copied) {
			emit(scan, scan->in + scan->copied, at + 4 - scan->copied);
			emit(scan, zeros, 8);
			scan->copied = at + 12;
		}
		at = header >> 20 & 0xffc;
	}
	scan->at = scan->size;
}

static void whole_binary(struct scan *scan)
{
	if (scan->size > 8)
		replace(scan, 0, scan->size, "REDACTED");
	scan->at = scan->size;
}

/* The word of exactly that many hex digits at this place, as bytes. */
static bool hex_word(const struct scan *scan, size_t digits, unsigned char *ret)
{
	if ((scan->at && word(scan->in[scan->at - 1])) || word(sign_at(scan, scan->at + digits)))
		return false;
	for (size_t i = 0; i < digits; i++) {
		char sign = sign_at(scan, scan->at + i);
		if (!hex(sign))
			return false;
		ret[i / 2] = (unsigned char)((i % 2 ? ret[i / 2] << 4 : 0) | (int)hex_value(sign));
	}
	return true;
}

static void replace_hex(struct scan *scan, const unsigned char *bytes, size_t n, bool upper)
{
	char text[33];
	for (size_t i = 0; i < n; i++)
		snprintf(text + i * 2, 3, upper ? "%02X" : "%02x", bytes[i]);
	replace(scan, scan->at, scan->at + n * 2, text);
}

/* The kernel's IPv4 routes: addresses as hex numbers of this processor's order, lowest byte last; the mask, in the
 * eighth column, is none. */
static void whole_route4(struct scan *scan)
{
	for (unsigned column = 0; scan->at < scan->size;) {
		unsigned char raw[4], part[4], placeholder[4];
		char sign = scan->in[scan->at];
		column = sign == '\n' ? 0 : column + (sign == '\t');
		if (!hex_word(scan, 8, raw)) {
			scan->at++;
			continue;
		}
		for (int i = 0; i < 4; i++)
			part[i] = raw[3 - i];
		if (column == 7 || !ipv4_is_public(part)) {
			scan->at += 8;
			continue;
		}
		size_t number = number_of(scan->redactor, KIND_IPV4, (const char *)part, sizeof part) - 1;
		ipv4_placeholder(number, placeholder);
		for (int i = 0; i < 4; i++)
			raw[i] = placeholder[3 - i];
		replace_hex(scan, raw, 4, true);
	}
}

static void whole_route6(struct scan *scan)
{
	while (scan->at < scan->size) {
		unsigned char address[16];
		if (!hex_word(scan, 32, address)) {
			scan->at++;
			continue;
		}
		/* a mask is not told from an address here: ::/0 and the like are kept because they are not public */
		if (ipv6_is_public(address)) {
			size_t number = number_of(scan->redactor, KIND_IPV6, (const char *)address, sizeof address);
			memcpy(address, (unsigned char[16]){ 0x20, 0x01, 0x0d, 0xb8 }, 16);
			address[14] = (unsigned char)(number >> 8);
			address[15] = (unsigned char)number;
			replace_hex(scan, address, 16, false);
		} else if (ipv6_hide_mac(scan, address)) {
			replace_hex(scan, address, 16, false);
		} else {
			scan->at += 32;
		}
	}
}

/* Letters and digits, at least eight and three digits among them: what boards append to a disk's or card's name. */
static bool is_serial_word(const struct scan *scan, size_t from, size_t to)
{
	size_t digits = 0;
	for (size_t at = from; at < to; at += 2)
		digits += digit(scan->in[at]);
	return to - from >= 16 && digits >= 3;
}

static void hide_in_place(struct scan *scan, size_t from, size_t to, char sign, size_t step)
{
	emit(scan, scan->in + scan->copied, from - scan->copied);
	for (size_t at = from; at < to; at++)
		emit(scan, (at - from) % step ? "" : &sign, 1);
	scan->copied = to;
}

/* A boot entry (UEFI specification, EFI_LOAD_OPTION, behind the four bytes of efivarfs): attributes, length of the
 * paths, description in UTF-16, paths. Descriptions end in serial numbers and MACs on some boards; of the path's
 * messaging nodes those of MAC, IP, USB serial, NVMe and URI say who it is. Everything keeps its place. */
static void whole_boot(struct scan *scan)
{
	size_t at = 10, from = at;
	for (; at + 1 < scan->size; at += 2) {
		bool part = scan->in[at + 1] == 0 && word(scan->in[at]);
		if (!part && at > from && is_serial_word(scan, from, at))
			hide_in_place(scan, from, at, 'x', 2);
		if (!part)
			from = at + 2;
		if (scan->in[at] == 0 && scan->in[at + 1] == 0)
			break;
	}
	for (at += 2; at + 4 <= scan->size;) {
		static const char telling[] = { 0x0b, 0x0c, 0x0d, 0x10, 0x17, 0x18, 0 };
		size_t size = (unsigned char)scan->in[at + 2] | (size_t)(unsigned char)scan->in[at + 3] << 8;
		if (size < 4 || size > scan->size - at)
			break;
		if (scan->in[at] == 3 && scan->in[at + 1] && strchr(telling, scan->in[at + 1]))
			hide_in_place(scan, at + 4, at + size, 0, 1);
		at += size;
	}
	scan->at = scan->size;
}

struct bytes redact_bytes(struct redactor *redactor, const char *path, struct bytes raw, struct arena *arena)
{
	static void (*const whole_file[])(struct scan *) = { [WHOLE_LINES] = whole_lines,
		[WHOLE_SERIAL] = whole_line,
		[WHOLE_MACHINE_ID] = whole_machine_id,
		[WHOLE_UUID] = whole_uuid,
		[WHOLE_BINARY] = whole_binary,
		[WHOLE_CONFIG] = whole_config,
		[WHOLE_ROUTE4] = whole_route4,
		[WHOLE_ROUTE6] = whole_route6,
		[WHOLE_BOOT] = whole_boot };
	if (raw.size == 0)
		return raw;
	enum whole whole = path ? whole_of(path) : WHOLE_NOT;
	bool keep_size = whole != WHOLE_BINARY && memchr(raw.data, 0, raw.size);
	if (whole == WHOLE_NOT)
		raw = hide_secrets(redactor, raw, keep_size, arena);
	struct scan scan = { .redactor = redactor,
		.in = raw.data,
		.size = raw.size,
		.keep_size = keep_size,
		.uuid_secret = path && strstr(path, "dmidecode") };
	if (whole == WHOLE_NOT)
		pass(&scan);
	else
		whole_file[whole](&scan);
	return finish(&scan, arena);
}

const char *redact_text(struct redactor *redactor, const char *text, struct arena *arena)
{
	if (!text)
		return NULL;
	struct bytes raw = { text, strlen(text) }, done = redact_bytes(redactor, NULL, raw, arena);
	return done.data == raw.data ? arena_strdup(arena, text) : done.data;
}
