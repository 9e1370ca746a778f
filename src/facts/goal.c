/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/goal.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <yaml.h>

enum {
	GOAL_SIZE_MAX = 1024 * 1024,
	LIST_MAX = 64,
	VALUE_MAX = 4096,
	SHOWN_MAX = 60, /* bytes of foreign text in a message */
	NAME_MAX_SHOWN = 100,
	DAY = 24 * 60,
};

/* Foreign text for a message: escaped, and no longer than max bytes. */
static const char *brief(struct arena *arena, const char *text, size_t max)
{
	char *shown = text_shown(arena, arena_strndup(arena, text, strnlen(text, max + 1)));
	if (strlen(shown) <= max)
		return shown;
	while (max && ((unsigned char)shown[max] & 0xc0) == 0x80)
		max--;
	shown[max] = '\0';
	return arena_printf(arena, "%s...", shown);
}

static bool refuse(struct err *err, struct arena *arena, const char *value, const char *wanted)
{
	return err_set(err, ERR_USAGE, "'%s' is not %s", brief(arena, value, SHOWN_MAX), wanted);
}

static bool only(const char *text, const char *allowed)
{
	return *text && text[strspn(text, allowed)] == '\0';
}

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Digits alone, no sign, no leading zero. */
static bool whole_number(const char *text, uint64_t min, uint64_t max, int64_t *ret)
{
	uint64_t number = 0;
	if (!only(text, DIGITS) || (text[0] == '0' && text[1]) || !text_number(text, 10, max, &number) || number < min)
		return false;
	*ret = (int64_t)number;
	return true;
}

/* ---- values ---------------------------------------------------------------- */

static bool set_gpu(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	static const char *const words[] = { "auto", "nvidia", "intel", "amd" };
	(void)goal;
	bool all = false;
	const char *address = NULL;
	for (size_t i = 0; i < sizeof words / sizeof *words && !address; i++)
		if (strcmp(value, words[i]) == 0)
			address = words[i];
	if (!address)
		address = pci_full_address(value, arena, &all);
	if (!address)
		return refuse(err, arena, value, "auto, nvidia, intel, amd or a PCI address such as 0000:01:00.0");
	*(const char **)field = address;
	return true;
}

static bool set_into(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	enum guest_kind kind = text_starts(value, "vm/")   ? GUEST_VM
	                       : text_starts(value, "ct/") ? GUEST_CT
	                                                   : GUEST_UNKNOWN;
	bool made = kind == GUEST_VM && strcmp(value, "vm/new") == 0;
	int64_t id = UNKNOWN_NUMBER;
	(void)field;
	/* the range is PVE's (pve-vmid in PVE/JSONSchema.pm) */
	if (kind == GUEST_UNKNOWN || (!made && !whole_number(value + 3, 100, 999999999, &id)))
		return refuse(err, arena, value, "vm/ID, ct/ID (100 to 999999999) or vm/new");
	goal->into = kind;
	goal->into_id = id;
	goal->into_new = made;
	return true;
}

static bool set_reach(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	struct hop hop;
	(void)goal;
	if (!text_starts(value, "ssh://"))
		return refuse(err, arena, value, "ssh://user@host or ssh://user@host:port");
	const char *host = strrchr(value, '@');
	if (host && memchr(value + 6, ':', (size_t)(host - value - 6))) /* not shown: it is a secret */
		return err_set(err, ERR_USAGE, "the address must not carry a password: ssh uses a key");
	if (!hop_parse_ssh(value, arena, err, &hop))
		return false;
	*(const char **)field = arena_strdup(arena, value);
	return true;
}

static bool set_service(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	static const char *const names[] = {
		[SERVICE_EMBY] = "emby", [SERVICE_JELLYFIN] = "jellyfin", [SERVICE_FFMPEG] = "ffmpeg"
	};
	(void)field;
	for (unsigned i = SERVICE_EMBY; i <= SERVICE_FFMPEG; i++)
		if (strcmp(value, names[i]) == 0) {
			goal->service.kind = i;
			return true;
		}
	return refuse(err, arena, value, "emby, jellyfin or ffmpeg");
}

static bool is_path(const char *value, bool home)
{
	if (value[0] != '/' && !(home && value[0] == '~' && value[1] == '/'))
		return false;
	for (const char *part = strchr(value, '/'); part; part = strchr(part + 1, '/'))
		if (strncmp(part, "/..", 3) == 0 && (part[3] == '/' || part[3] == '\0'))
			return false;
	return !text_ends(value, "/");
}

/* On the guest, where there is no home to speak of. */
static bool set_path(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal;
	if (!is_path(value, false))
		return refuse(err, arena, value, "the whole path of a file, from / and without ..");
	*(const char **)field = arena_strdup(arena, value);
	return true;
}

static bool set_home_path(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal;
	if (!is_path(value, true))
		return refuse(err, arena, value, "the path of a file, from / or ~/ and without ..");
	*(const char **)field = arena_strdup(arena, value);
	return true;
}

/* A text of these characters that begins with one of the first and has min to max bytes. */
static bool set_word(void *field, struct arena *arena, const char *value, const char *first, const char *allowed,
        size_t min, size_t max)
{
	size_t size = strlen(value);
	if (size < min || size > max || !strchr(first, value[0]) || !only(value, allowed))
		return false;
	*(const char **)field = arena_strdup(arena, value);
	return true;
}

static bool set_compose_name(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal; /* compose-spec: ^[a-zA-Z0-9._-]+$; one that begins with - would be an option */
	return set_word(field, arena, value, LETTERS DIGITS "._", LETTERS DIGITS "._-", 1, 128) ||
	       refuse(err, arena, value, "a service's name (letters, digits, dots, - and _)");
}

static bool set_storage(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal; /* pve-storage-id: a letter first, a letter or digit last */
	bool good = isalnum((unsigned char)value[strlen(value) - 1]);
	return (good && set_word(field, arena, value, LETTERS, LETTERS DIGITS "._-", 2, 100)) ||
	       refuse(err, arena, value, "a storage's name");
}

static bool set_bridge(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal; /* an interface's name has at most 15 bytes */
	return set_word(field, arena, value, LETTERS, LETTERS DIGITS "._-", 1, 15) ||
	       refuse(err, arena, value, "a bridge's name such as vmbr0");
}

static bool set_image(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal;
	if (strchr("-~", *value) || strstr(value, "..") || text_ends(value, "/"))
		return refuse(err, arena, value, "the name or path of an image such as debian-12.qcow2");
	*(const char **)field = arena_strdup(arena, value);
	return true;
}

static bool set_sha256(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal;
	if (strlen(value) != 64 || !only(value, DIGITS "abcdefABCDEF"))
		return refuse(err, arena, value, "a SHA-256 of 64 hexadecimal digits");
	char *sum = arena_strdup(arena, value);
	for (char *sign = sum; *sign; sign++)
		*sign = (char)tolower((unsigned char)*sign);
	*(const char **)field = sum;
	return true;
}

static bool set_url(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	const char *host = text_starts(value, "http://")    ? value + 7
	                   : text_starts(value, "https://") ? value + 8
	                                                    : NULL;
	size_t size = host ? strcspn(host, "/?#") : 0;
	(void)goal;
	if (!size || strpbrk(value, " <>\"\\^`{|}") || strchr("-:", *host))
		return refuse(err, arena, value, "an address such as http://media.lan:8096");
	if (memchr(host, '@', size)) {
		err_set(err, ERR_USAGE, "the address must not carry a name or password");
		return err_hint(err, "put the token into a file and name it in service.token_file");
	}
	*(const char **)field = arena_strdup(arena, value);
	return true;
}

/* "03:05" at the start of the text -> 185. */
static bool minute_of_day(const char *text, int64_t *ret)
{
	for (size_t i = 0; i < 5; i++)
		if (i == 2 ? text[i] != ':' : !isdigit((unsigned char)text[i]))
			return false;
	int64_t hour = (text[0] - '0') * 10 + text[1] - '0', minute = (text[3] - '0') * 10 + text[4] - '0';
	*ret = hour * 60 + minute;
	return minute < 60 && *ret < DAY;
}

static bool set_window(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	int64_t from = 0, to = 0;
	(void)field;
	if (strlen(value) != 11 || value[5] != '-' || !minute_of_day(value, &from) || !minute_of_day(value + 6, &to))
		return refuse(err, arena, value, "a window such as 03:00-06:00");
	if (from == to)
		return err_set(err, ERR_USAGE, "the window '%s' has no length", value);
	goal->window_from = from;
	goal->window_to = to;
	return true;
}

/* A number and one sign of the units, each so many times the first. */
static bool with_unit(const char *value, const char *units, const int64_t *times, uint64_t max, int64_t *ret)
{
	char digits[8] = "";
	int64_t number = 0;
	size_t size = strspn(value, DIGITS);
	const char *unit = size && value[size] ? strchr(units, value[size]) : NULL;
	if (!unit || size >= sizeof digits || value[size + 1])
		return false;
	memcpy(digits, value, size);
	if (!whole_number(digits, 1, 9999999, &number) || (uint64_t)(number * times[unit - units]) > max)
		return false;
	*ret = number * times[unit - units];
	return true;
}

static bool set_confirm(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	static const int64_t times[] = { 1, 60, 3600 };
	int64_t seconds = 0;
	(void)goal;
	if (!with_unit(value, "smh", times, 24 * 3600, &seconds) || seconds < 10)
		return refuse(err, arena, value, "a time such as 90s, 10m or 1h (10s to 24h)");
	*(int64_t *)field = seconds;
	return true;
}

static bool set_disk(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	static const int64_t times[] = { 1, 1024 };
	(void)goal;
	return with_unit(value, "GT", times, 64 * 1024, field) ||
	       refuse(err, arena, value, "a size such as 32G or 1T (up to 64T)");
}

static bool cpu_range(const char *part)
{
	char first[8] = "";
	int64_t from = 0, to = 0;
	size_t size = strspn(part, DIGITS);
	if (!size || size >= sizeof first)
		return false;
	memcpy(first, part, size);
	if (!whole_number(first, 0, 8191, &from))
		return false;
	return part[size] == '\0' || (part[size] == '-' && whole_number(part + size + 1, 0, 8191, &to) && from <= to);
}

/* PVE's pve-cpuset, as taskset has it. */
static bool set_affinity(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal;
	bool good = value[0] != ',' && !text_ends(value, ",") && !strstr(value, ",,") && strlen(value) < 1024;
	struct words parts = { 0 };
	if (good)
		parts = text_split(arena, value, ",");
	for (size_t i = 0; i < parts.n; i++)
		good = good && cpu_range(parts.word[i]);
	if (!good)
		return refuse(err, arena, value, "a list of CPUs such as 0-3,8");
	*(const char **)field = arena_strdup(arena, value);
	return true;
}

static bool set_hugepages(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal;
	if (strcmp(value, "2") != 0 && strcmp(value, "1024") != 0 && strcmp(value, "any") != 0)
		return refuse(err, arena, value, "2, 1024 or any");
	*(int64_t *)field = value[0] == '2' ? 2 : value[0] == '1' ? 1024 : HUGEPAGES_ANY;
	return true;
}

static bool set_memory(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal;
	return whole_number(value, 256, 4 * 1024 * 1024, field) ||
	       refuse(err, arena, value, "a number of MiB (256 to 4194304)");
}

static bool set_cores(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal;
	return whole_number(value, 1, 1024, field) || refuse(err, arena, value, "a number of cores (1 to 1024)");
}

static bool among(const char *value, const char *words)
{
	return text_has_word(words, value, " ");
}

static bool set_truth(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal;
	if (!among(value, "true True TRUE false False FALSE")) {
		refuse(err, arena, value, "true or false");
		if (among(value, "yes Yes YES y Y on On ON"))
			err_hint(err, "write true: yes and on are plain words in YAML 1.2");
		else if (among(value, "no No NO n N off Off OFF"))
			err_hint(err, "write false: no and off are plain words in YAML 1.2");
		return false;
	}
	*(enum tri *)field = tri_of(tolower((unsigned char)*value) == 't');
	return true;
}

static bool add_once(struct words *words, const char *value, struct arena *arena, struct err *err)
{
	for (size_t i = 0; i < words->n; i++)
		if (strcmp(words->word[i], value) == 0)
			return err_set(err, ERR_USAGE, "'%s' stands here twice", value);
	if (words->n >= LIST_MAX)
		return err_set(err, ERR_USAGE, "more than %d entries", LIST_MAX);
	*arena_push(arena, words->word, words->n) = arena_strdup(arena, value);
	return true;
}

static bool add_encoder(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal;
	if (!among(value, "h264 hevc hevc10 av1 nvenc qsv vaapi vulkan software"))
		return refuse(err, arena, value,
		        "a codec (h264, hevc, hevc10, av1) or a way (nvenc, qsv, vaapi, vulkan, software)");
	return add_once(field, value, arena, err);
}

/* "vm.one-holder": words of small letters, digits and - with dots between. That there is such a rule, the rules know.
 */
static bool add_rule(void *field, struct goal *goal, const char *value, struct arena *arena, struct err *err)
{
	(void)goal;
	bool good = strlen(value) <= 64 && only(value, "abcdefghijklmnopqrstuvwxyz" DIGITS "-.") &&
	            strchr(value, '.') && islower((unsigned char)*value) && !strstr(value, "..") &&
	            !text_ends(value, ".") && !text_ends(value, "-");
	return good ? add_once(field, value, arena, err)
	            : refuse(err, arena, value, "a rule's id such as vm.one-holder");
}

/* ---- the keys --------------------------------------------------------------- */

#define AT(member) offsetof(struct goal, member)
#define ENCODERS "h264, hevc, hevc10, av1, nvenc, qsv, vaapi, vulkan, software"

const struct goal_key goal_keys[] = {
	{ "gpu", "gpu", "auto | nvidia | intel | amd | PCI address", "the GPU to ferry", AT(gpu), .set = set_gpu },
	{ "into", "into", "vm/ID | ct/ID | vm/new", "the guest that gets it", AT(into), .set = set_into },
	{ "reach", "reach", "ssh://user@host[:port]",
	        "how to get inside the guest; default: guest agent, or pct for a CT", AT(reach), .set = set_reach },
	{ "service.kind", "service", "emby | jellyfin | ffmpeg", "the service that transcodes", AT(service.kind),
	        .set = set_service },
	{ "service.compose", "compose", "PATH", "its docker compose file in the guest", AT(service.compose),
	        .set = set_path },
	{ "service.name", "service-name", "NAME", "its name in the compose file", AT(service.name),
	        .set = set_compose_name },
	{ "service.url", "url", "http://HOST[:PORT]", "where it answers", AT(service.url), .set = set_url },
	{ "service.token_file", "token-file", "PATH", "a file that holds its API token", AT(service.token_file),
	        .set = set_home_path },
	{ "encoder.prefer", "prefer", ENCODERS, "codecs and ways to encode, best first", AT(prefer), .list = true,
	        .set = add_encoder },
	{ "encoder.veto", "veto", ENCODERS, "codecs and ways never to choose", AT(veto), .list = true,
	        .set = add_encoder },
	{ "window", "window", "HH:MM-HH:MM", "when guests may stop or the node reboot, in the node's time zone",
	        AT(window_from), .set = set_window },
	{ "confirm", "confirm-within", "90s | 10m | 1h", "after a reboot: revert unless confirmed in time",
	        AT(confirm_seconds), .set = set_confirm },
	{ "affinity", "affinity", "0-3,8", "the node's CPUs for the VM", AT(affinity), .set = set_affinity },
	{ "hugepages", "hugepages", "2 | 1024 | any", "size of the VM's huge pages in MiB", AT(hugepages), .bare = true,
	        .set = set_hugepages },
	{ "remove_raw_lxc", "remove-raw-lxc", "true | false", "CT: replace older lxc.* device lines",
	        AT(remove_raw_lxc), .bare = true, .set = set_truth },
	{ "new.storage", "new-storage", "NAME", "storage of the new VM's disk", AT(create.storage),
	        .set = set_storage },
	{ "new.disk", "new-disk", "32G | 1T", "size of its disk", AT(create.disk_gib), .set = set_disk },
	{ "new.image", "new-image", "NAME | PATH", "image it starts from", AT(create.image), .set = set_image },
	{ "new.sha256", "new-sha256", "64 HEX DIGITS", "checksum of that image", AT(create.sha256), .set = set_sha256 },
	{ "new.bridge", "new-bridge", "vmbr0", "bridge of its network card", AT(create.bridge), .set = set_bridge },
	{ "new.memory", "new-memory", "MIB", "its memory", AT(create.memory_mib), .bare = true, .set = set_memory },
	{ "new.cores", "new-cores", "NUMBER", "its CPU cores", AT(create.cores), .bare = true, .set = set_cores },
	{ "new.ssh_key", "new-ssh-key", "PATH", "public key that may log in", AT(create.ssh_key),
	        .set = set_home_path },
	{ "accept", "accept", "RULE, ...", "ids of waivable risks knowingly taken", AT(accept), .list = true,
	        .set = add_rule },
	{ 0 },
};

enum { KEYS = sizeof goal_keys / sizeof *goal_keys - 1 };

const struct goal_key *goal_key(const char *name)
{
	for (const struct goal_key *key = goal_keys; key->name; key++)
		if (strcmp(key->name, name) == 0 || strcmp(key->flag, name) == 0)
			return key;
	return NULL;
}

static void *field_of(struct goal *goal, const struct goal_key *key)
{
	return (char *)goal + key->field;
}

/* One value of a key; says nothing about where it stands. */
static bool set_value(
        struct goal *goal, const struct goal_key *key, const char *value, struct arena *arena, struct err *err)
{
	if (!*value)
		return err_set(err, ERR_USAGE, "has no value");
	if (strlen(value) >= VALUE_MAX)
		return err_set(err, ERR_USAGE, "the value is longer than %d bytes", VALUE_MAX - 1);
	if (strcmp(text_shown(arena, value), value) != 0)
		return err_set(err, ERR_USAGE, "the value '%s' has characters that do not show",
		        brief(arena, value, SHOWN_MAX));
	if (!key->set(field_of(goal, key), goal, value, arena, err))
		return false;
	goal->create.set |= text_starts(key->name, "new.");
	return true;
}

void goal_init(struct goal *goal)
{
	memset(goal, 0, sizeof *goal);
	goal->into_id = goal->window_from = goal->window_to = UNKNOWN_NUMBER;
	goal->confirm_seconds = goal->hugepages = UNKNOWN_NUMBER;
	goal->create.disk_gib = goal->create.memory_mib = goal->create.cores = UNKNOWN_NUMBER;
}

bool goal_empty(const struct goal *goal)
{
	return !goal->gpu && goal->into == GUEST_UNKNOWN && !goal->reach && goal->service.kind == SERVICE_UNKNOWN &&
	       !goal->service.compose && !goal->service.name && !goal->service.url && !goal->service.token_file &&
	       !goal->prefer.n && !goal->veto.n && goal->window_from == UNKNOWN_NUMBER &&
	       goal->confirm_seconds == UNKNOWN_NUMBER && !goal->affinity && goal->hugepages == UNKNOWN_NUMBER &&
	       goal->remove_raw_lxc == UNKNOWN && !goal->create.set && !goal->accept.n;
}

bool goal_set(struct goal *goal, const char *name, const char *value, struct arena *arena, struct err *err)
{
	const struct goal_key *key = goal_key(name);
	if (!key)
		return err_set(err, ERR_USAGE, "unknown key '%s'", brief(arena, name, SHOWN_MAX));
	struct goal changed = *goal;
	struct words values = { .word = &value, .n = 1 };
	if (key->list) {
		if (strlen(value) >= VALUE_MAX)
			return err_set(
			        err, ERR_USAGE, "%s: the value is longer than %d bytes", key->name, VALUE_MAX - 1);
		values = text_split(arena, value, ", ");
	}
	for (size_t i = 0; i < values.n; i++)
		if (!set_value(&changed, key, values.word[i], arena, err))
			return err_wrap(err, "%s", key->name);
	if (!changed.source)
		changed.source = "command line";
	*goal = changed;
	return true;
}

bool goal_check(const struct goal *goal, struct err *err)
{
	if (goal->into_new && !goal->create.set)
		return err_set(err, ERR_USAGE, "into: vm/new needs the block new: that says what the VM is made of");
	if (goal->into == GUEST_CT && (goal->affinity || goal->hugepages != UNKNOWN_NUMBER))
		return err_set(err, ERR_USAGE, "%s: is only for a VM", goal->affinity ? "affinity" : "hugepages");
	for (size_t i = 0; i < goal->prefer.n; i++)
		for (size_t j = 0; j < goal->veto.n; j++)
			if (strcmp(goal->prefer.word[i], goal->veto.word[j]) == 0)
				return err_set(err, ERR_USAGE, "encoder: '%s' is both preferred and vetoed",
				        goal->prefer.word[i]);
	return true;
}

/* ---- the file ----------------------------------------------------------------- */

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the one that is looked at */
	struct bytes text;
	const char *name;
	struct arena *arena;
	struct err *err;
	struct goal goal;
	bool seen[KEYS];       /* keys */
	bool seen_block[KEYS]; /* blocks, at the index of their first key */
};

static void reader_release(struct reader *reader)
{
	yaml_event_delete(&reader->event);
	yaml_parser_delete(&reader->parser);
}

/* Puts file, line and column before an error. */
static bool at(struct reader *reader, yaml_mark_t mark)
{
	return err_wrap(reader->err, "%s:%zu:%zu", brief(reader->arena, reader->name, NAME_MAX_SHOWN), mark.line + 1,
	        mark.column + 1);
}

static bool complain(struct reader *reader, yaml_mark_t mark, const char *what)
{
	err_set(reader->err, ERR_USAGE, "%s", what);
	return at(reader, mark);
}

static size_t character_size(const char *at, size_t left)
{
	unsigned char lead = (unsigned char)*at;
	size_t size = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	return size < left ? size : left;
}

/* Where a byte of the text stands. */
static yaml_mark_t mark_of(struct bytes text, size_t offset)
{
	yaml_mark_t mark = { 0 };
	size_t i = text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	for (; i < offset && i < text.size; i += character_size(text.data + i, text.size - i)) {
		mark.column++;
		if (text.data[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

static bool yaml_failed(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	if (parser->error == YAML_READER_ERROR) /* the only one without a mark */
		return complain(reader, mark_of(reader->text, parser->problem_offset),
		        "a character that a goal file cannot have");
	err_set(reader->err, ERR_USAGE, "%s%s%s", parser->problem ? parser->problem : "not YAML",
	        parser->context ? " " : "", parser->context ? parser->context : "");
	return at(reader, parser->problem_mark);
}

/* Anchors, aliases and tags would let a file say something else than what stands in it. */
static const char *refused_feature(const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;
	if (event->type == YAML_ALIAS_EVENT)
		return "aliases (*name) are not used in goal files";
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	return anchor ? "anchors (&name) are not used in goal files"
	       : tag  ? "tags (!name) are not used in goal files"
	              : NULL;
}

static bool next(struct reader *reader)
{
	yaml_event_delete(&reader->event);
	if (!yaml_parser_parse(&reader->parser, &reader->event)) {
		memset(&reader->event, 0, sizeof reader->event);
		return yaml_failed(reader);
	}
	const char *refused = refused_feature(&reader->event);
	return refused ? complain(reader, reader->event.start_mark, refused) : true;
}

/* The scalar that is looked at, as a string; control characters written as escapes come out here. */
static const char *scalar(struct reader *reader)
{
	const yaml_event_t *event = &reader->event;
	const char *text = (const char *)event->data.scalar.value;
	if (strlen(text) == event->data.scalar.length)
		return text;
	complain(reader, event->start_mark, "a zero byte in a value");
	return NULL;
}

static bool is_null(const yaml_event_t *event)
{
	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!event->data.scalar.length || among((const char *)event->data.scalar.value, "~ null Null NULL"));
}

/* The scalar that is looked at becomes a value of the key. */
static bool take_scalar(struct reader *reader, const struct goal_key *key)
{
	const yaml_event_t *event = &reader->event;
	bool good = false;
	if (event->type != YAML_SCALAR_EVENT)
		err_set(reader->err, ERR_USAGE, "expects %s, not a list or a block", key->form);
	else if (is_null(event))
		err_set(reader->err, ERR_USAGE, "has no value");
	else if (event->start_mark.line != event->end_mark.line) /* most often a key that is indented too far */
		err_set(reader->err, ERR_USAGE, "the value goes over more than one line");
	else if (key->bare && event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		err_set(reader->err, ERR_USAGE, "is text in quotes; write %s without quotes", key->form);
	else {
		const char *text = scalar(reader);
		if (!text)
			return false;
		good = set_value(&reader->goal, key, text, reader->arena, reader->err);
	}
	if (good)
		return true;
	err_wrap(reader->err, "%s", key->name);
	return at(reader, event->start_mark);
}

static bool take_value(struct reader *reader, const struct goal_key *key)
{
	if (!next(reader))
		return false;
	if (!key->list)
		return take_scalar(reader, key);
	if (reader->event.type != YAML_SEQUENCE_START_EVENT) {
		err_set(reader->err, ERR_USAGE, "%s: expects a list such as [%s]", key->name, key->form);
		return at(reader, reader->event.start_mark);
	}
	for (;;) {
		if (!next(reader))
			return false;
		if (reader->event.type == YAML_SEQUENCE_END_EVENT)
			return true;
		if (!take_scalar(reader, key))
			return false;
	}
}

/* How many letters must change; words here are short. */
static size_t distance(const char *left, const char *right)
{
	enum { MAX = 24 };
	size_t row[MAX + 1], l = strlen(left), r = strlen(right);
	if (l > MAX || r > MAX)
		return MAX;
	for (size_t j = 0; j <= r; j++)
		row[j] = j;
	for (size_t i = 1; i <= l; i++) {
		size_t corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= r; j++) {
			size_t best = corner + (left[i - 1] != right[j - 1]);
			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[r];
}

/* The word of a key's name at the level of a block ("": the top): "service" or, in "service", "kind". NULL: elsewhere.
 */
static const char *word_at(const struct goal_key *key, const char *block, struct arena *arena)
{
	size_t size = strlen(block);
	if (size && (strncmp(key->name, block, size) != 0 || key->name[size] != '.'))
		return NULL;
	const char *word = key->name + (size ? size + 1 : 0);
	return arena_strndup(arena, word, strcspn(word, "."));
}

static bool unknown_key(struct reader *reader, const char *block, const char *word)
{
	const char *nearest = NULL;
	size_t least = 3; /* two letters off is a slip, more is another word */
	for (const struct goal_key *key = goal_keys; key->name; key++) {
		const char *known = word_at(key, block, reader->arena);
		size_t off = known ? distance(word, known) : least;
		if (off < least && off < strlen(known)) {
			least = off;
			nearest = known;
		}
	}
	err_set(reader->err, ERR_USAGE, "unknown key '%s'%s%s%s", brief(reader->arena, word, SHOWN_MAX),
	        nearest ? ": did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
	return at(reader, reader->event.start_mark);
}

static bool twice(struct reader *reader, bool *seen, const char *word)
{
	if (*seen) {
		err_set(reader->err, ERR_USAGE, "'%s' stands here twice", word);
		return at(reader, reader->event.start_mark);
	}
	*seen = true;
	return true;
}

static bool take_mapping(struct reader *reader, const char *block);

static bool take_block(struct reader *reader, const char *word)
{
	if (!next(reader))
		return false;
	if (reader->event.type == YAML_MAPPING_START_EVENT)
		return take_mapping(reader, word);
	err_set(reader->err, ERR_USAGE, "%s: expects a block of keys", word);
	return at(reader, reader->event.start_mark);
}

/* The key that is looked at, and its value. */
static bool take_pair(struct reader *reader, const char *block)
{
	if (reader->event.type != YAML_SCALAR_EVENT)
		return complain(reader, reader->event.start_mark, "a key must be a word");
	const char *text = scalar(reader), *word = text ? arena_strdup(reader->arena, text) : NULL;
	if (!word)
		return false;
	for (size_t i = 0; i < KEYS; i++) {
		const struct goal_key *key = &goal_keys[i];
		const char *known = word_at(key, block, reader->arena);
		if (!known || strcmp(known, word) != 0)
			continue;
		if (!*block && strchr(key->name, '.'))
			return twice(reader, &reader->seen_block[i], known) && take_block(reader, known);
		return twice(reader, &reader->seen[i], known) && take_value(reader, key);
	}
	return unknown_key(reader, block, word);
}

/* What stands in a block ("": the top), up to its end. No deeper than that: every other nesting is refused on sight. */
static bool take_mapping(struct reader *reader, const char *block)
{
	for (;;) {
		if (!next(reader))
			return false;
		if (reader->event.type == YAML_MAPPING_END_EVENT)
			return true;
		if (!take_pair(reader, block))
			return false;
	}
}

static bool take_document(struct reader *reader)
{
	if (!next(reader)) /* the stream's start */
		return false;
	if (!next(reader))
		return false;
	if (reader->event.type == YAML_STREAM_END_EVENT)
		return complain(reader, reader->event.start_mark, "nothing is stated here");
	if (!next(reader))
		return false;
	if (reader->event.type == YAML_SCALAR_EVENT && is_null(&reader->event))
		return complain(reader, reader->event.start_mark, "nothing is stated here");
	if (reader->event.type != YAML_MAPPING_START_EVENT)
		return complain(reader, reader->event.start_mark, "expects keys and values such as 'gpu: auto'");
	if (!take_mapping(reader, "") || !next(reader)) /* the document's end */
		return false;
	if (!next(reader))
		return false;
	if (reader->event.type != YAML_STREAM_END_EVENT)
		return complain(reader, reader->event.start_mark, "a second document: a goal file has one");
	if (goal_empty(&reader->goal))
		return complain(reader, (yaml_mark_t){ 0 }, "nothing is stated here");
	return goal_check(&reader->goal, reader->err) ||
	       err_wrap(reader->err, "%s", brief(reader->arena, reader->name, NAME_MAX_SHOWN));
}

/* Before the YAML parser sees it: only UTF-8 without control characters, so that lines and columns are what an editor
 * shows. */
static bool check_bytes(struct reader *reader)
{
	struct bytes text = reader->text;
	if (text.size > GOAL_SIZE_MAX)
		return err_set(reader->err, ERR_USAGE, "%s: larger than 1 MiB",
		        brief(reader->arena, reader->name, NAME_MAX_SHOWN));
	for (size_t i = 0, size; i < text.size; i += size) {
		unsigned char byte = (unsigned char)text.data[i];
		size = character_size(text.data + i, text.size - i);
		bool line_end = byte == '\n' || (byte == '\r' && i + 1 < text.size && text.data[i + 1] == '\n');
		if ((byte < 0x20 && byte != '\t' && !line_end) || byte == 0x7f)
			return complain(reader, mark_of(text, i), "a control character");
		if (!text_is_utf8((struct bytes){ text.data + i, size }))
			return complain(reader, mark_of(text, i), "bytes that are no UTF-8");
	}
	return true;
}

bool goal_parse(struct bytes text, const char *name, struct arena *arena, struct err *err, struct goal *ret)
{
	__attribute__((cleanup(
	        reader_release))) struct reader reader = { .text = text, .name = name, .arena = arena, .err = err };
	if (!yaml_parser_initialize(&reader.parser))
		return err_set(err, ERR_SYSTEM, "out of memory");
	goal_init(&reader.goal);
	if (!check_bytes(&reader))
		return false;
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text.data, text.size);
	if (!take_document(&reader))
		return false;
	reader.goal.source = arena_strdup(arena, name);
	*ret = reader.goal;
	return true;
}
