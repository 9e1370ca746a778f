/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The grammar of docs/machines.md: lines into statements, statements into a machine, and the order in which a machine
 * becomes a tape: first all that its devices and guests imply, then the statements that name paths and commands, so
 * that what the text says always wins.
 */
#include "rehearse/machine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rehearse/machine_model.h"

/* Beyond these nobody means a machine. THINGS_MAX: devices, modules, packages, guests, ...: of each. */
enum { TEXT_MAX = 4 * 1024 * 1024, BASES_MAX = 16, TARGETS_MAX = 64, THINGS_MAX = 4000 };

struct reader {
	struct machine *machine;
	struct machine_target *target;
	const char *name;
	machine_base_fn *base;
	void *data;
	struct arena *arena;
	struct err *err;
	struct map seen; /* what this very text has named: twice is a slip */
	const struct reader *outer;
	unsigned depth;
	bool begun; /* a statement other than about was met */
};

struct statement {
	const char *name;
	unsigned min, max; /* words behind it; max 0: any number */
	bool body;
	bool (*read)(struct reader *reader, struct machine_line *line);
	bool (*act)(struct machine_growth *growth, const struct machine_line *line); /* later, on the tree */
};

static bool machine_read(struct reader *reader, struct bytes text);

/* ---- messages ---- */

bool machine_fail(const struct machine_line *line, struct err *err, const char *format, ...)
{
	char text[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return err_set(err, ERR_INPUT, "%s:%u: %s", line->text, line->line, text);
}

/* A foreign word, printable and short enough for a message. */
static const char *shown(struct arena *arena, const char *word)
{
	size_t size = strnlen(word, 80);
	return text_printable(arena, (struct bytes){ word, size });
}

#define FAIL(...) machine_fail(line, reader->err, __VA_ARGS__)
#define SHOWN(word) shown(reader->arena, (word))

/* ---- words of a line ---- */

static bool blank(char sign)
{
	return sign == ' ' || sign == '\t';
}

static const char escapes[][2] = { { '"', '"' }, { '\\', '\\' }, { 'n', '\n' }, { 't', '\t' } };

static bool unescape(char sign, char *ret)
{
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
		if (escapes[i][0] == sign) {
			*ret = escapes[i][1];
			return true;
		}
	return false;
}

/* One word from *at; double quotes may stand anywhere in it. Returns what is wrong, or NULL. */
static const char *read_word(struct bytes text, size_t *at, char *out, size_t *ret_size, bool *ret_quoted)
{
	size_t size = 0;
	bool inside = false;
	for (; *at < text.size && (inside || !blank(text.data[*at])); (*at)++) {
		char sign = text.data[*at];
		if ((unsigned char)sign < ' ' && sign != '\t')
			return "a control character in a statement";
		if (sign == '"') {
			inside = !inside;
			*ret_quoted = true;
		} else if (sign == '\\' && inside) {
			if (++*at >= text.size || !unescape(text.data[*at], &out[size++]))
				return "a backslash stands before \", \\, n or t";
		} else {
			out[size++] = sign;
		}
	}
	*ret_size = size;
	return inside ? "a quote is not closed" : NULL;
}

static bool read_words(struct reader *reader, struct machine_line *line, struct bytes text)
{
	char *room = arena_alloc(reader->arena, text.size + 1);
	size_t at = 0, n_quoted = 0;
	for (;;) {
		while (at < text.size && blank(text.data[at]))
			at++;
		if (at >= text.size || text.data[at] == '#')
			return true;
		size_t size = 0;
		bool quoted = false;
		const char *wrong = read_word(text, &at, room, &size, &quoted);
		if (wrong)
			return FAIL("%s", wrong);
		*arena_push(reader->arena, line->word, line->n) = arena_strndup(reader->arena, room, size);
		*arena_push(reader->arena, line->quoted, n_quoted) = quoted;
	}
}

/* The value of an option NAME=VALUE from word `from` on; NULL: not given. */
static const char *option(const struct machine_line *line, size_t from, const char *name)
{
	size_t size = strlen(name);
	for (size_t i = from; i < line->n; i++)
		if (strncmp(line->word[i], name, size) == 0 && line->word[i][size] == '=')
			return line->word[i] + size + 1;
	return NULL;
}

static bool has_word(const struct machine_line *line, size_t from, const char *word)
{
	for (size_t i = from; i < line->n; i++)
		if (strcmp(line->word[i], word) == 0)
			return true;
	return false;
}

/* Every word from `from` on is one of `known` ("mode= uid= hex"). */
static bool only_options(
        const struct machine_line *line, size_t from, const char *known, struct arena *arena, struct err *err)
{
	for (size_t i = from; i < line->n; i++) {
		size_t size = strcspn(line->word[i], "=");
		bool value = line->word[i][size] == '=';
		const char *name =
		        arena_printf(arena, "%.*s%s", (int)(size < 40 ? size : 40), line->word[i], value ? "=" : "");
		if (!text_has_word(known, name, " "))
			return machine_fail(line, err, "\"%s\" is none of: %s", shown(arena, line->word[i]), known);
	}
	return true;
}

/* A number behind NAME=, otherwise a default. */
static bool number_option(const struct machine_line *line, size_t from, const char *name, int base, uint64_t max,
        struct err *err, uint64_t *ret)
{
	const char *text = option(line, from, name);
	if (text && !text_number(text, base, max, ret))
		return machine_fail(line, err, "%s= takes a number%s", name, base == 8 ? " in octal" : "");
	return true;
}

static const struct {
	const char *name;
	int number;
} errnos[] = {
	{ "EACCES", EACCES },
	{ "EPERM", EPERM },
	{ "EIO", EIO },
	{ "ELOOP", ELOOP },
	{ "EISDIR", EISDIR },
	{ "EINVAL", EINVAL },
	{ "EFBIG", EFBIG },
	{ "ENXIO", ENXIO },
	{ "ENODEV", ENODEV },
	{ "EBUSY", EBUSY },
	{ "ENOTDIR", ENOTDIR },
	{ "ENOENT", ENOENT },
	{ "ETIMEDOUT", ETIMEDOUT },
	{ "0", 0 },
};

static bool read_errno(const char *text, int *ret)
{
	for (size_t i = 0; i < sizeof errnos / sizeof *errnos; i++)
		if (strcmp(errnos[i].name, text) == 0) {
			*ret = errnos[i].number;
			return true;
		}
	return false;
}

/* ---- duplicates, paths ---- */

static bool once(struct reader *reader, const struct machine_line *line, const char *kind, const char *name)
{
	const char *key = arena_printf(reader->arena, "%s %s", kind, name);
	const struct machine_line *before = map_find(&reader->seen, key);
	if (before)
		return FAIL("%s %s was already said in line %u", kind, SHOWN(name), before->line);
	map_put(&reader->seen, reader->arena, key, arena_new(reader->arena, struct machine_line));
	*(struct machine_line *)map_find(&reader->seen, key) = *line;
	return true;
}

static bool path_fits(const char *path)
{
	size_t depth = 0;
	for (const char *at = path; *at; at++)
		depth += *at == '/' && at[1] != '/' && at[1];
	return depth && depth <= MACHINE_DEPTH_MAX && strlen(path) <= MACHINE_PATH_MAX;
}

static bool check_path(struct reader *reader, const struct machine_line *line, const char *path)
{
	if (path[0] != '/')
		return FAIL("a path begins with /, not as \"%s\" does", SHOWN(path));
	if (!path_fits(path))
		return FAIL("the path is empty, longer than %d or deeper than %d: %s", MACHINE_PATH_MAX,
		        MACHINE_DEPTH_MAX, SHOWN(path));
	for (const char *at = path; (at = strchr(at, '/')); at++) {
		size_t size = strcspn(at + 1, "/");
		if (size == 0 || (size <= 2 && strspn(at + 1, ".") == size))
			return FAIL("the path has an empty part, . or ..: %s", SHOWN(path));
	}
	return true;
}

/* ---- statements about the machine ---- */

static bool read_about(struct reader *reader, struct machine_line *line)
{
	return once(reader, line, "about", "");
}

static bool read_base(struct reader *reader, struct machine_line *line)
{
	if (reader->begun)
		return FAIL("base must be the first statement");
	for (const struct reader *outer = reader; outer; outer = outer->outer)
		if (strcmp(outer->name, line->word[0]) == 0)
			return FAIL("%s is its own base", SHOWN(line->word[0]));
	if (reader->depth >= BASES_MAX)
		return FAIL("more than %d bases on top of each other", BASES_MAX);
	const char *text = reader->base ? reader->base(reader->data, line->word[0]) : NULL;
	if (!text)
		return FAIL("there is no machine %s", SHOWN(line->word[0]));
	struct reader inner = *reader;
	inner.name = line->word[0];
	inner.outer = reader;
	inner.depth = reader->depth + 1;
	inner.seen = (struct map){ 0 };
	return machine_read(&inner, (struct bytes){ text, strlen(text) });
}

static bool read_time(struct reader *reader, struct machine_line *line)
{
	uint64_t seconds;
	if (!text_number(line->word[0], 10, INT64_MAX / 2, &seconds))
		return FAIL("time takes seconds since 1970");
	reader->machine->time = (int64_t)seconds;
	return once(reader, line, "time", "");
}

static struct machine_target *find_target(const struct machine *machine, const char *label)
{
	for (size_t i = 0; i < machine->n; i++)
		if (strcmp(machine->targets[i]->label, label) == 0 && !machine->targets[i]->removed)
			return machine->targets[i];
	return NULL;
}

static struct machine_target *make_target(struct machine *machine, const char *label)
{
	struct machine_target *target = arena_new(machine->arena, struct machine_target);
	target->label = label;
	target->iommu = (struct machine_iommu){ .kind = "off", .tables = "", .units = 1 };
	*arena_push(machine->arena, machine->targets, machine->n) = target;
	return target;
}

static bool label_fits(const char *label)
{
	static const char signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
	return *label && strlen(label) <= 80 && label[strspn(label, signs)] == '\0' && label[0] != '/' &&
	       !strstr(label, "..");
}

static bool read_target(struct reader *reader, struct machine_line *line)
{
	const char *label = line->word[0];
	if (!label_fits(label))
		return FAIL("\"%s\" names no target: node, vm/100, ct/105, vm/100/docker/emby", SHOWN(label));
	struct machine_target *target = find_target(reader->machine, label);
	if (!target && reader->machine->n >= TARGETS_MAX)
		return FAIL("more than %d targets", TARGETS_MAX);
	reader->target = target ? target : make_target(reader->machine, label);
	return true;
}

/* ---- devices ---- */

static bool hex_digits(const char *text, size_t n, unsigned *ret)
{
	char digits[9] = { 0 };
	uint64_t number;
	if (n >= sizeof digits || strnlen(text, n) < n)
		return false;
	memcpy(digits, text, n);
	if (strspn(digits, "0123456789abcdef") != n || !text_number(digits, 16, UINT32_MAX, &number))
		return false;
	*ret = (unsigned)number;
	return true;
}

/* "0000:01:00.0" */
static bool read_address(const char *text, struct machine_device *ret)
{
	unsigned domain, bus, slot, function;
	if (strnlen(text, 13) != 12 || text[4] != ':' || text[7] != ':' || text[10] != '.' ||
	        !hex_digits(text, 4, &domain) || !hex_digits(text + 5, 2, &bus) || !hex_digits(text + 8, 2, &slot) ||
	        !hex_digits(text + 11, 1, &function) || slot > 31 || function > 7)
		return false;
	ret->domain = domain;
	ret->bus = bus;
	ret->slot = slot;
	ret->function = function;
	return true;
}

static bool is_hex6(const char *text)
{
	unsigned number;
	return strlen(text) == 6 && hex_digits(text, 6, &number);
}

static bool is_hex2(const char *text)
{
	unsigned number;
	return strlen(text) == 2 && hex_digits(text, 2, &number);
}

static bool is_pair(const char *text)
{
	unsigned number;
	return strlen(text) == 9 && text[4] == ':' && hex_digits(text, 4, &number) && hex_digits(text + 5, 4, &number);
}

static bool is_name(const char *text)
{
	static const char signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	return strlen(text) <= 64 && text[strspn(text, signs)] == '\0' && text[0] != '.';
}

static bool is_names(const char *text) /* "card0,renderD128" */
{
	static const char signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_,:";
	return strlen(text) <= 200 && text[strspn(text, signs)] == '\0';
}

static bool is_address(const char *text)
{
	struct machine_device device;
	return !*text || read_address(text, &device);
}

static bool is_number(const char *text)
{
	uint64_t number;
	return text_number(*text == '-' ? text + 1 : text, 10, 1000000, &number);
}

static bool is_bool(const char *text)
{
	return strcmp(text, "0") == 0 || strcmp(text, "1") == 0;
}

static bool is_text(const char *text)
{
	return strlen(text) <= 300 && !strpbrk(text, "\n");
}

static bool is_plain(const char *text) /* may stand in JSON as it is */
{
	return is_text(text) && !strpbrk(text, "\"\\\t") && text_is_utf8((struct bytes){ text, strlen(text) });
}

static bool is_config(const char *text)
{
	return text_has_word("64 256 4096", text, " ");
}

/* "START-END" and ":" words of `kinds` */
static bool read_range(const char *text, uint64_t *ret_start, uint64_t *ret_end, const char **ret_rest)
{
	char number[2][20] = { { 0 } };
	size_t size[2];
	for (int i = 0; i < 2; i++) {
		size[i] = strspn(text, "0123456789abcdef");
		if (size[i] == 0 || size[i] > 16)
			return false;
		memcpy(number[i], text, size[i]);
		text += size[i];
		if (i == 0 && *text++ != '-')
			return false;
	}
	uint64_t start, end;
	if (!text_number(number[0], 16, UINT64_MAX, &start) || !text_number(number[1], 16, UINT64_MAX, &end) ||
	        end < start)
		return false;
	*ret_start = start;
	*ret_end = end;
	*ret_rest = text;
	return true;
}

/* Kinds of a BAR and the flags that /sys/.../resource shows for them (include/linux/ioport.h, and the BAR's own bits).
 */
static const struct {
	const char *kind;
	uint64_t flags;
} bar_kinds[] = {
	{ "", 0x40200 },
	{ ":pref", 0x14220c },
	{ ":64", 0x140204 },
	{ ":pref32", 0x42208 },
	{ ":io", 0x40101 },
	{ ":rom", 0x46200 },
};

static bool read_bar(const char *text, struct machine_bar *ret)
{
	const char *rest;
	struct machine_bar bar = { 0 };
	if (!*text) {
		*ret = bar;
		return true;
	}
	if (!read_range(text, &bar.start, &bar.end, &rest))
		return false;
	for (size_t i = 0; i < sizeof bar_kinds / sizeof *bar_kinds; i++)
		if (strcmp(bar_kinds[i].kind, rest) == 0) {
			bar.flags = bar_kinds[i].flags;
			*ret = bar;
			return true;
		}
	return false;
}

static bool is_bar(const char *text)
{
	struct machine_bar bar;
	return read_bar(text, &bar);
}

static const struct device_option {
	const char *name;
	bool (*fits)(const char *value);
	const char *takes;
} device_options[DEVICE_KEYS] = {
	[KEY_CLASS] = { "class", is_hex6, "six hex digits" },
	[KEY_SUBSYSTEM] = { "subsystem", is_pair, "vendor:device in lower-case hex" },
	[KEY_REVISION] = { "revision", is_hex2, "two hex digits" },
	[KEY_DRIVER] = { "driver", is_name, "a driver's name" },
	[KEY_DRIVER_OVERRIDE] = { "driver_override", is_name, "a driver's name" },
	[KEY_GROUP] = { "group", is_name, "a group's number" },
	[KEY_GROUP_TYPE] = { "group_type", is_name, "DMA, DMA-FQ, identity" },
	[KEY_PARENT] = { "parent", is_address, "an address as 0000:00:01.1" },
	[KEY_BOOT_VGA] = { "boot_vga", is_bool, "0 or 1" },
	[KEY_RESET] = { "reset", is_names, "words as flr,bus" },
	[KEY_POWER] = { "power", is_name, "D0, D3hot, D3cold" },
	[KEY_RUNTIME] = { "runtime", is_name, "active, suspended" },
	[KEY_D3COLD] = { "d3cold", is_bool, "0 or 1" },
	[KEY_NUMA] = { "numa", is_number, "a number" },
	[KEY_IRQ] = { "irq", is_number, "a number" },
	[KEY_BAR0] = { "bar0", is_bar, "START-END in hex, :pref, :64, :pref32 or :io behind it" },
	[KEY_BAR1] = { "bar1", is_bar, "START-END in hex, :pref, :64, :pref32 or :io behind it" },
	[KEY_BAR2] = { "bar2", is_bar, "START-END in hex, :pref, :64, :pref32 or :io behind it" },
	[KEY_BAR3] = { "bar3", is_bar, "START-END in hex, :pref, :64, :pref32 or :io behind it" },
	[KEY_BAR4] = { "bar4", is_bar, "START-END in hex, :pref, :64, :pref32 or :io behind it" },
	[KEY_BAR5] = { "bar5", is_bar, "START-END in hex, :pref, :64, :pref32 or :io behind it" },
	[KEY_ROM] = { "rom", is_bar, "START-END in hex" },
	[KEY_REBAR] = { "rebar", is_bool, "0 or 1" },
	[KEY_FLR] = { "flr", is_bool, "0 or 1" },
	[KEY_CONFIG] = { "config", is_config, "64, 256 or 4096" },
	[KEY_MODALIAS] = { "modalias", is_text, "one line" },
	[KEY_DRM] = { "drm", is_names, "nodes as card0,renderD128" },
	[KEY_FB] = { "fb", is_names, "a framebuffer as fb0:nouveaudrmfb" },
	[KEY_NET] = { "net", is_names, "interfaces as enp5s0,enp5s0d1" },
	[KEY_BLOCK] = { "block", is_names, "disks with their number of partitions as nvme0n1:3" },
};

static bool device_set(
        struct reader *reader, struct machine_line *line, struct machine_device *device, const char *word)
{
	size_t size = strcspn(word, "=");
	if (!word[size])
		return FAIL("\"%s\" is no key=value", SHOWN(word));
	for (size_t key = 0; key < DEVICE_KEYS; key++) {
		if (strlen(device_options[key].name) != size || strncmp(device_options[key].name, word, size) != 0)
			continue;
		const char *value = word + size + 1;
		/* empty takes a value away, for all keys */
		if (*value && !device_options[key].fits(value))
			return FAIL("%s= takes %s", device_options[key].name, device_options[key].takes);
		device->value[key] = value;
		if (key >= KEY_BAR0 && key <= KEY_ROM)
			read_bar(value, &device->bar[key - KEY_BAR0]);
		return true;
	}
	return FAIL("a device has no %s=", SHOWN(arena_strndup(reader->arena, word, size)));
}

static bool read_device(struct reader *reader, struct machine_line *line)
{
	struct machine_device named = { 0 };
	const char *address = line->word[0];
	if (!read_address(address, &named))
		return FAIL("\"%s\" is no address as 0000:01:00.0", SHOWN(address));
	if (!once(reader, line, "device", arena_printf(reader->arena, "%s %s", reader->target->label, address)))
		return false;
	struct machine_device *device = map_find(&reader->target->device, address);
	bool ids = line->n > 1 && is_pair(line->word[1]);
	if ((!device || device->removed) && (!ids || !option(line, 2, "class")))
		return FAIL("%s is new: it needs VENDOR:DEVICE and class=", address);
	if (!device || device->removed) {
		if (reader->target->n_devices >= THINGS_MAX)
			return FAIL("more than %d devices", THINGS_MAX);
		device = arena_new(reader->arena, struct machine_device);
		*device = named;
		device->address = address;
		device->line = line->line;
		map_put(&reader->target->device, reader->arena, address, device);
		*arena_push(reader->arena, reader->target->devices, reader->target->n_devices) = device;
	}
	if (ids) {
		hex_digits(line->word[1], 4, &device->vendor);
		hex_digits(line->word[1] + 5, 4, &device->device);
	}
	for (size_t i = ids ? 2 : 1; i < line->n; i++)
		if (!device_set(reader, line, device, line->word[i]))
			return false;
	return true;
}

/* ---- modules, IOMMU and the like ---- */

/* The thing of that kind and name that an earlier text spoke of, or NULL. */
static void *known(const struct reader *reader, const char *kind, const char *name)
{
	return map_find(&reader->target->names, arena_printf(reader->arena, "%s %s", kind, name));
}

static void remember(const struct reader *reader, const char *kind, const char *name, void *thing)
{
	map_put(&reader->target->names, reader->arena, arena_printf(reader->arena, "%s %s", kind, name), thing);
}

/* As the kernel spells it. */
static const char *module_name(struct reader *reader, const char *word)
{
	char *name = arena_strdup(reader->arena, word);
	for (char *at = name; *at; at++)
		if (*at == '-')
			*at = '_';
	return name;
}

static bool read_modules(struct reader *reader, struct machine_line *line, enum module_state state)
{
	struct machine_target *target = reader->target;
	for (size_t i = 0; i < line->n; i++) {
		if (!*line->word[i] || !is_name(line->word[i]))
			return FAIL("\"%s\" is no module's name", SHOWN(line->word[i]));
		const char *name = module_name(reader, line->word[i]);
		struct machine_module *module = known(reader, "module", name);
		if (!module) {
			if (target->n_modules >= THINGS_MAX)
				return FAIL("more than %d modules", THINGS_MAX);
			module = arena_new(reader->arena, struct machine_module);
			module->name = name;
			*arena_push(reader->arena, target->modules, target->n_modules) = module;
			remember(reader, "module", name, module);
		}
		module->state = state;
	}
	return true;
}

static bool read_loaded(struct reader *reader, struct machine_line *line)
{
	return read_modules(reader, line, MODULE_LOADED);
}

static bool read_builtin(struct reader *reader, struct machine_line *line)
{
	return read_modules(reader, line, MODULE_BUILTIN);
}

static bool read_unload(struct reader *reader, struct machine_line *line)
{
	return read_modules(reader, line, MODULE_GONE);
}

static bool read_iommu(struct reader *reader, struct machine_line *line)
{
	struct machine_iommu *iommu = &reader->target->iommu;
	if (!text_has_word("intel amd off", line->word[0], " "))
		return FAIL("iommu takes intel, amd or off");
	if (!only_options(line, 1, "tables= remapping= cap= units=", reader->arena, reader->err))
		return false;
	uint64_t units = iommu->units;
	if (!number_option(line, 1, "units", 10, 16, reader->err, &units))
		return false;
	iommu->units = (unsigned)units;
	iommu->kind = line->word[0];
	if (strcmp(iommu->kind, "off") != 0)
		iommu->tables = strcmp(iommu->kind, "amd") == 0 ? "IVRS" : "DMAR";
	const char *tables = option(line, 1, "tables"), *cap = option(line, 1, "cap");
	if (tables && *tables && !text_has_word("DMAR IVRS none", tables, " "))
		return FAIL("tables= takes DMAR, IVRS or none");
	if (tables)
		iommu->tables = strcmp(tables, "none") == 0 ? "" : tables;
	if (cap && (strlen(cap) > 16 || cap[strspn(cap, "0123456789abcdef")]))
		return FAIL("cap= takes a register in hex");
	iommu->cap = cap ? cap : iommu->cap;
	const char *remapping = option(line, 1, "remapping");
	iommu->remapping = remapping ? strcmp(remapping, "1") == 0 : strcmp(iommu->kind, "off") != 0;
	return once(reader, line, "iommu", reader->target->label);
}

static bool read_framebuffer(struct reader *reader, struct machine_line *line)
{
	static const char takes[] = "a framebuffer takes: fbN DRIVER START-END OWNER, or fbN gone";
	struct machine_target *target = reader->target;
	struct machine_framebuffer one = { .name = line->word[0] };
	one.gone = line->n == 2 && strcmp(line->word[1], "gone") == 0;
	const char *rest = "";
	if (!is_name(one.name) || !*one.name || (!one.gone && line->n != 4))
		return FAIL("%s", takes);
	if (!one.gone) {
		one.driver = line->word[1];
		one.owner = line->word[3];
		if (!read_range(line->word[2], &one.start, &one.end, &rest) || *rest || !is_text(one.driver) ||
		        !is_text(one.owner))
			return FAIL("%s", takes);
	}
	struct machine_framebuffer *kept = known(reader, "framebuffer", one.name);
	if (!kept) {
		if (target->n_framebuffers >= 32)
			return FAIL("more than 32 framebuffers");
		kept = arena_new(reader->arena, struct machine_framebuffer);
		*arena_push(reader->arena, target->framebuffers, target->n_framebuffers) = kept;
		remember(reader, "framebuffer", one.name, kept);
	}
	*kept = one;
	return once(reader, line, "framebuffer", arena_printf(reader->arena, "%s %s", target->label, one.name));
}

static bool read_nvidia(struct reader *reader, struct machine_line *line)
{
	const char *user = option(line, 1, "user");
	if (!only_options(line, 1, "open nouvm user=", reader->arena, reader->err))
		return false;
	if (!is_name(line->word[0]) || (user && !is_name(user)))
		return FAIL("nvidia takes the module's version, or none, and user= the libraries'");
	bool none = strcmp(line->word[0], "none") == 0;
	reader->target->nvidia = none ? NULL : line->word[0];
	reader->target->nvidia_user = user ? user : reader->target->nvidia_user;
	reader->target->nvidia_open = has_word(line, 1, "open");
	reader->target->nvidia_uvm = !has_word(line, 1, "nouvm");
	return once(reader, line, "nvidia", reader->target->label);
}

static bool read_package(struct reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	if (line->n % 2 != 0)
		return FAIL("package takes pairs: NAME VERSION (- : not installed)");
	for (size_t i = 0; i < line->n; i += 2) {
		if (!is_text(line->word[i]) || !is_text(line->word[i + 1]) || !*line->word[i])
			return FAIL("\"%s\" is no package's name", SHOWN(line->word[i]));
		struct machine_package *package = known(reader, "package", line->word[i]);
		if (!package) {
			if (target->n_packages >= THINGS_MAX)
				return FAIL("more than %d packages", THINGS_MAX);
			package = arena_new(reader->arena, struct machine_package);
			package->name = line->word[i];
			*arena_push(reader->arena, target->packages, target->n_packages) = package;
			remember(reader, "package", package->name, package);
		}
		package->version = strcmp(line->word[i + 1], "-") ? line->word[i + 1] : NULL;
	}
	return true;
}

static bool read_process(struct reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	uint64_t pid;
	if (!text_number(line->word[0], 10, 4194304, &pid) || !is_text(line->word[1]))
		return FAIL("process takes: PID NAME [cgroup=PATH] [open=PATH,PATH]");
	if (!only_options(line, 2, "cgroup= open=", reader->arena, reader->err) ||
	        !once(reader, line, "process", arena_printf(reader->arena, "%s %s", target->label, line->word[0])))
		return false;
	if (target->n_processes >= THINGS_MAX)
		return FAIL("more than %d processes", THINGS_MAX);
	struct machine_process *process = arena_new(reader->arena, struct machine_process);
	*process = (struct machine_process){ .pid = (unsigned)pid,
		.command = line->word[1],
		.cgroup = option(line, 2, "cgroup"),
		.open = option(line, 2, "open"),
		.arguments = line->body };
	*arena_push(reader->arena, target->processes, target->n_processes) = process;
	return true;
}

static bool read_guest(struct reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	struct machine_guest guest = { .label = line->word[0], .vm = text_starts(line->word[0], "vm/") };
	uint64_t id, pid = 0;
	if ((!guest.vm && !text_starts(guest.label, "ct/")) || !text_number(guest.label + 3, 10, 999999999, &id) ||
	        !text_has_word("running stopped gone", line->word[1], " "))
		return FAIL("guest takes: vm/ID or ct/ID, and running, stopped or gone");
	if (!only_options(line, 2, "pid= open=", reader->arena, reader->err) ||
	        !number_option(line, 2, "pid", 10, 4194304, reader->err, &pid) ||
	        !once(reader, line, "guest", guest.label))
		return false;
	guest.id = (unsigned)id;
	guest.running = strcmp(line->word[1], "running") == 0;
	guest.gone = strcmp(line->word[1], "gone") == 0;
	guest.pid = pid ? (unsigned)pid : 100000 + guest.id % 100000;
	guest.open = option(line, 2, "open");
	struct machine_guest *kept = known(reader, "guest", guest.label);
	if (!kept) {
		if (target->n_guests >= THINGS_MAX)
			return FAIL("more than %d guests", THINGS_MAX);
		kept = arena_new(reader->arena, struct machine_guest);
		*arena_push(reader->arena, target->guests, target->n_guests) = kept;
		remember(reader, "guest", guest.label, kept);
	}
	*kept = guest;
	return true;
}

static bool read_interface(struct reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	const char *name = line->word[0], *ports = option(line, 1, "ports");
	if (!only_options(line, 1, "ports= gone", reader->arena, reader->err) ||
	        !once(reader, line, "interface", arena_printf(reader->arena, "%s %s", target->label, name)))
		return false;
	if (!is_name(name) || !*name || (ports && !is_names(ports)))
		return FAIL("interface takes: NAME [ports=NAME,NAME], or NAME gone");
	struct machine_virtual *one = known(reader, "interface", name);
	if (!one) {
		if (target->n_interfaces >= THINGS_MAX)
			return FAIL("more than %d interfaces", THINGS_MAX);
		one = arena_new(reader->arena, struct machine_virtual);
		*arena_push(reader->arena, target->interfaces, target->n_interfaces) = one;
		remember(reader, "interface", name, one);
	}
	*one = (struct machine_virtual){ .name = name, .on = ports, .gone = has_word(line, 1, "gone") };
	return true;
}

static bool read_disk(struct reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	const char *disk = line->word[0], *name = option(line, 1, "name"), *on = option(line, 1, "on");
	if (!only_options(line, 1, "name= on= gone", reader->arena, reader->err) ||
	        !once(reader, line, "disk", arena_printf(reader->arena, "%s %s", target->label, disk)))
		return false;
	if (!is_name(disk) || !*disk || (name && !is_name(name)) || (on && !is_names(on)))
		return FAIL("disk takes: NAME [name=MAPPER-NAME] [on=DISK,DISK], or NAME gone");
	struct machine_virtual *one = known(reader, "disk", disk);
	if (!one) {
		if (target->n_disks >= THINGS_MAX)
			return FAIL("more than %d disks", THINGS_MAX);
		one = arena_new(reader->arena, struct machine_virtual);
		*arena_push(reader->arena, target->disks, target->n_disks) = one;
		remember(reader, "disk", disk, one);
	}
	*one = (struct machine_virtual){ .name = disk, .mapper = name, .on = on, .gone = has_word(line, 1, "gone") };
	return true;
}

static bool read_docker(struct reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	static const char *const names[] = { "cgroup", "runtimes", "root" };
	const char **const into[] = { &target->docker_cgroup, &target->docker_runtimes, &target->docker_root };
	if (!only_options(line, 1, "cgroup= runtimes= root=", reader->arena, reader->err) ||
	        !once(reader, line, "docker", target->label))
		return false;
	target->docker = line->word[0];
	for (size_t i = 0; i < 3; i++)
		if (option(line, 1, names[i]))
			*into[i] = option(line, 1, names[i]);
	for (size_t i = 0; i < line->n; i++)
		if (!is_plain(line->word[i]))
			return FAIL("docker takes: VERSION, none, down or denied, and words without quotes");
	return true;
}

static bool read_container(struct reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	const char *name = line->word[0];
	if (!only_options(line, 2, "state= runtime= gpus= devices= groups= visible= capabilities= privileged",
	            reader->arena, reader->err) ||
	        !once(reader, line, "container", arena_printf(reader->arena, "%s %s", target->label, name)))
		return false;
	for (size_t i = 0; i < line->n; i++)
		if (!is_plain(line->word[i]))
			return FAIL("a docker container's words have no quotes");
	struct machine_container *one = known(reader, "container", name);
	if (!one) {
		if (target->n_containers >= THINGS_MAX / 10)
			return FAIL("more than %d docker containers", THINGS_MAX / 10);
		one = arena_new(reader->arena, struct machine_container);
		*arena_push(reader->arena, target->containers, target->n_containers) = one;
		remember(reader, "container", name, one);
	}
	*one = (struct machine_container){ .name = name,
		.image = line->word[1],
		.state = option(line, 2, "state"),
		.runtime = option(line, 2, "runtime"),
		.gpus = option(line, 2, "gpus"),
		.devices = option(line, 2, "devices"),
		.groups = option(line, 2, "groups"),
		.visible = option(line, 2, "visible"),
		.capabilities = option(line, 2, "capabilities"),
		.privileged = has_word(line, 2, "privileged"),
		.gone = strcmp(line->word[1], "gone") == 0 };
	return true;
}

/* ---- statements about paths and commands: kept, and done on the tree ---- */

static void keep(struct reader *reader, struct machine_line *line)
{
	*arena_push(reader->arena, reader->target->actions, reader->target->n_actions) = line;
}

static bool read_change(struct reader *reader, struct machine_line *line) /* append, replace, drop, unreadable */
{
	if (!check_path(reader, line, line->word[0]))
		return false;
	keep(reader, line);
	return true;
}

static bool read_path(struct reader *reader, struct machine_line *line)
{
	const char *name = arena_printf(reader->arena, "%s %s", reader->target->label, line->word[0]);
	return check_path(reader, line, line->word[0]) && once(reader, line, "path", name) && read_change(reader, line);
}

static bool read_remove(struct reader *reader, struct machine_line *line)
{
	const char *what = line->word[0];
	if (what[0] == '/')
		return read_change(reader, line);
	struct machine_device *device = map_find(&reader->target->device, what);
	struct machine_target *target = find_target(reader->machine, what);
	if (device && !device->removed) {
		device->removed = true;
	} else if (target && strcmp(what, "node") != 0) {
		target->removed = true;
		if (reader->target == target)
			reader->target = find_target(reader->machine, "node");
	} else {
		return FAIL("there is no device, target or path %s to remove", SHOWN(what));
	}
	return true;
}

/* The words of a command, without the options at the end. */
static size_t run_words(const struct machine_line *line)
{
	size_t n = line->n;
	while (n > 1 && !line->quoted[n - 1] &&
	        (text_has_word("error missing late cut", line->word[n - 1], " ") ||
	                text_starts(line->word[n - 1], "status=")))
		n--;
	return n;
}

static const char *run_key(const struct machine_line *line, size_t n, struct arena *arena)
{
	size_t size = 1;
	for (size_t i = 0; i < n; i++)
		size += strlen(line->word[i]) + 1;
	char *key = arena_alloc(arena, size), *out = key;
	for (size_t i = 0; i < n; i++) {
		out = stpcpy(out, line->word[i]);
		*out++ = '\n'; /* no two commands give the same key: words with newlines are refused */
	}
	return key;
}

static bool read_run(struct reader *reader, struct machine_line *line)
{
	for (size_t i = 0; i < line->n; i++)
		if (strchr(line->word[i], '\n'))
			return FAIL("a command's word has a newline");
	const char *name = arena_printf(
	        reader->arena, "%s %s", reader->target->label, run_key(line, run_words(line), reader->arena));
	if (!once(reader, line, "run", name))
		return false;
	keep(reader, line);
	return true;
}

#define GROWN(...) machine_fail(line, growth->err, __VA_ARGS__)

/* Where a statement's path really lies, links followed. NULL with err. */
static const char *place(struct machine_growth *growth, const struct machine_line *line, bool last)
{
	const char *path = tree_resolve(&growth->tree, line->word[0], last);
	if (path && path_fits(path))
		return path;
	GROWN("links lead nowhere: %s", shown(growth->tree.arena, line->word[0]));
	return NULL;
}

/* A node in the tree where only folders are above; NULL with err. */
static struct tree_node *put(struct machine_growth *growth, const struct machine_line *line, const char *path,
        enum node_type type, unsigned mode)
{
	for (const char *cut = strchr(path + 1, '/'); cut; cut = strchr(cut + 1, '/')) {
		const char *above = arena_strndup(growth->tree.arena, path, (size_t)(cut - path));
		struct tree_node *node = tree_find(&growth->tree, above);
		if (node && node->entry.stat.type != NODE_DIR) {
			GROWN("%s is no folder", shown(growth->tree.arena, above));
			return NULL;
		}
	}
	struct tree_node *node = tree_put(&growth->tree, path, type, mode);
	if (!node)
		GROWN("the machine has more than %d paths", MACHINE_NODES_MAX);
	return node;
}

static bool set_stat(
        struct machine_growth *growth, const struct machine_line *line, size_t from, struct world_stat *stat)
{
	uint64_t mode = stat->mode, uid = stat->uid, gid = stat->gid, size = stat->size, mtime = (uint64_t)stat->mtime;
	if (!number_option(line, from, "mode", 8, 07777, growth->err, &mode) ||
	        !number_option(line, from, "uid", 10, UINT32_MAX, growth->err, &uid) ||
	        !number_option(line, from, "gid", 10, UINT32_MAX, growth->err, &gid) ||
	        !number_option(line, from, "size", 10, INT64_MAX, growth->err, &size) ||
	        !number_option(line, from, "mtime", 10, INT64_MAX / 2, growth->err, &mtime))
		return false;
	stat->mode = (unsigned)mode;
	stat->uid = (unsigned)uid;
	stat->gid = (unsigned)gid;
	stat->size = size;
	stat->mtime = (int64_t)mtime;
	return true;
}

static bool unhex(struct bytes text, struct arena *arena, struct bytes *ret)
{
	char *raw = arena_alloc(arena, text.size / 2 + 1);
	size_t digits = 0;
	for (size_t i = 0; i < text.size; i++) {
		char sign = text.data[i];
		if (blank(sign) || sign == '\n')
			continue;
		const char *at = sign ? strchr("0123456789abcdef", sign) : NULL;
		if (!at)
			return false;
		unsigned digit = (unsigned)(at - "0123456789abcdef");
		raw[digits / 2] = (char)(digits % 2 ? (unsigned char)raw[digits / 2] | digit : digit << 4);
		digits++;
	}
	*ret = (struct bytes){ raw, digits / 2 };
	return digits % 2 == 0;
}

/* A body as the statement wants it. */
static bool body_bytes(struct machine_growth *growth, const struct machine_line *line, size_t from, struct bytes *ret)
{
	struct bytes body = line->body;
	if (has_word(line, from, "hex"))
		return unhex(body, growth->tree.arena, ret) ||
		       GROWN("the body holds something else than lower-case hex digits");
	if (has_word(line, from, "nonewline") && body.size)
		body.size--;
	*ret = arena_bytes(growth->tree.arena, body.data ? body.data : "", body.size);
	return true;
}

static unsigned usual_mode(const char *path, struct world_stat *stat)
{
	if (text_starts(path, "/etc/pve/")) { /* pmxcfs: 0640 root:www-data, 0600 below priv */
		stat->gid = 33;
		return text_starts(path, "/etc/pve/priv/") ? 0600 : 0640;
	}
	return text_starts(path, "/sys/") || text_starts(path, "/proc/") ? 0444 : 0644;
}

static bool act_file(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false);
	if (!path || !only_options(line, 1, "mode= uid= gid= mtime= size= nonewline hex stat", growth->tree.arena,
	                     growth->err))
		return false;
	struct bytes data = { 0 };
	struct tree_node *node = put(growth, line, path, NODE_FILE, 0644);
	if (!node || !body_bytes(growth, line, 1, &data))
		return false;
	if (has_word(line, 1, "stat") && line->has_body)
		return GROWN("a file of which only stat is known has no body");
	tree_data(&growth->tree, path, 0644, data);
	node->entry.stat.mode = usual_mode(path, &node->entry.stat);
	node->entry.has_data = !has_word(line, 1, "stat");
	return set_stat(growth, line, 1, &node->entry.stat);
}

static bool act_dir(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, true);
	if (!path || !only_options(line, 1, "mode= uid= gid= mtime=", growth->tree.arena, growth->err))
		return false;
	struct tree_node *node = put(growth, line, path, NODE_DIR, 0755);
	if (!node)
		return false;
	node->entry.listed = true;
	return set_stat(growth, line, 1, &node->entry.stat);
}

static bool act_link(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false), *to = line->word[1];
	if (!path)
		return false;
	if (!*to || strlen(to) > MACHINE_PATH_MAX)
		return GROWN("a link points somewhere, in at most %d signs", MACHINE_PATH_MAX);
	struct tree_node *node = put(growth, line, path, NODE_LINK, 0777);
	if (node)
		node->entry.link = to;
	return node != NULL;
}

static bool act_node(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false), *opens = option(line, 4, "open");
	uint64_t major, minor;
	if (!path || !only_options(line, 4, "mode= uid= gid= open= mtime=", growth->tree.arena, growth->err))
		return false;
	if (!text_has_word("c b", line->word[1], " ") || !text_number(line->word[2], 10, 4095, &major) ||
	        !text_number(line->word[3], 10, 1048575, &minor))
		return GROWN("node takes: PATH c or b MAJOR MINOR");
	int error = 0;
	if (opens && !read_errno(opens, &error))
		return GROWN("open= takes 0 or a name as EACCES");
	struct tree_node *node = put(growth, line, path, line->word[1][0] == 'c' ? NODE_CHAR : NODE_BLOCK, 0660);
	if (!node)
		return false;
	node->entry.stat.major = (unsigned)major;
	node->entry.stat.minor = (unsigned)minor;
	node->entry.open_error = error;
	return set_stat(growth, line, 4, &node->entry.stat);
}

static bool act_remove(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false);
	if (!path)
		return false;
	if (!tree_find(&growth->tree, path))
		return GROWN("there is no %s to remove (absent says that without asking)",
		        shown(growth->tree.arena, line->word[0]));
	return tree_remove(&growth->tree, path);
}

static bool act_absent(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false);
	if (!path)
		return false;
	return tree_remove(&growth->tree, path) || GROWN("the machine has more than %d paths", MACHINE_NODES_MAX);
}

static bool act_unknown(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false);
	struct tree_node *node = path ? put(growth, line, path, NODE_FILE, 0) : NULL;
	if (!node)
		return false;
	node->entry.error = ENODATA;
	node->entry.stat = (struct world_stat){ .mtime = UNKNOWN_NUMBER };
	return true;
}

static bool act_unreadable(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, true);
	int error;
	if (!path)
		return false;
	if (!read_errno(line->word[1], &error) || error == 0 || error == ENOENT)
		return GROWN("unreadable takes a name as EACCES or EIO");
	struct tree_node *node = tree_find(&growth->tree, path);
	struct world_stat stat = node ? node->entry.stat : (struct world_stat){ .type = NODE_FILE, .mode = 0600 };
	node = put(growth, line, path, stat.type == NODE_DIR ? NODE_FILE : stat.type, stat.mode);
	if (!node)
		return false;
	node->entry.stat = stat;
	node->entry.has_data = node->entry.listed = false;
	node->entry.error = error;
	return true;
}

/* ---- changing a file that is there ---- */

static struct tree_node *existing_file(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, true);
	struct tree_node *node = path ? tree_find(&growth->tree, path) : NULL;
	if (path && (!node || !node->entry.has_data)) {
		GROWN("there is no file %s to change", shown(growth->tree.arena, line->word[0]));
		return NULL;
	}
	return node;
}

static void new_data(struct machine_growth *growth, struct tree_node *node, struct bytes data)
{
	struct world_stat stat = node->entry.stat;
	tree_data(&growth->tree, node->entry.path, stat.mode, data);
	stat.size = node->entry.stat.size;
	node->entry.stat = stat;
}

enum { CHANGED_MAX = 1024 * 1024, PATTERN_MAX = 200 };

/* A file that append and the like may change. */
static bool changeable(struct machine_growth *growth, const struct machine_line *line, size_t size)
{
	if (size > CHANGED_MAX || (growth->tree.work += size * 4) > MACHINE_WORK_MAX)
		return GROWN("the file is too large, or is changed too often");
	return true;
}

static bool act_append(struct machine_growth *growth, const struct machine_line *line)
{
	struct tree_node *node = existing_file(growth, line);
	if (!node)
		return false;
	struct bytes old = node->entry.data;
	if (!changeable(growth, line, old.size + line->body.size))
		return false;
	char *all = arena_alloc(growth->tree.arena, old.size + line->body.size + 1);
	memcpy(all, old.data, old.size);
	if (line->body.size)
		memcpy(all + old.size, line->body.data, line->body.size);
	new_data(growth, node, (struct bytes){ all, old.size + line->body.size });
	return true;
}

static bool act_drop(struct machine_growth *growth, const struct machine_line *line)
{
	struct tree_node *node = existing_file(growth, line);
	if (!node)
		return false;
	struct bytes old = node->entry.data, one;
	if (!changeable(growth, line, old.size))
		return false;
	if (strlen(line->word[1]) > PATTERN_MAX)
		return GROWN("a pattern has at most %d signs", PATTERN_MAX);
	growth->tree.work += old.size * strlen(line->word[1]);
	char *all = arena_alloc(growth->tree.arena, old.size + 2), *out = all;
	bool any = false;
	for (size_t cursor = 0; text_line(old, &cursor, &one);) {
		if (text_matches(line->word[1], arena_strndup(growth->tree.arena, one.data, one.size))) {
			any = true;
			continue;
		}
		out = mempcpy(out, one.data, one.size);
		*out++ = '\n';
	}
	if (!any)
		return GROWN("%s has no line like %s", shown(growth->tree.arena, line->word[0]),
		        shown(growth->tree.arena, line->word[1]));
	new_data(growth, node, (struct bytes){ all, (size_t)(out - all) });
	return true;
}

/* Every place where OLD stands, or the first one; `n` of them were counted before. */
static struct bytes replaced(struct arena *arena, struct bytes text, const char *old, const char *new, size_t n)
{
	char *all = arena_alloc(arena, text.size + n * strlen(new) + 1), *out = all;
	const char *at = text.data, *end = text.data + text.size;
	for (; n; n--) {
		const char *next = memmem(at, (size_t)(end - at), old, strlen(old));
		out = mempcpy(out, at, (size_t)(next - at));
		out = mempcpy(out, new, strlen(new));
		at = next + strlen(old);
	}
	out = mempcpy(out, at, (size_t)(end - at));
	return (struct bytes){ all, (size_t)(out - all) };
}

static bool act_replace(struct machine_growth *growth, const struct machine_line *line)
{
	struct tree_node *node = existing_file(growth, line);
	const char *old = line->word[1], *new = line->word[2];
	bool all = line->n == 4 && strcmp(line->word[3], "all") == 0;
	if (!node)
		return false;
	if (line->n == 4 && !all)
		return GROWN("replace takes: PATH OLD NEW [all]");
	struct bytes text = node->entry.data;
	size_t n = 0;
	const char *at = text.data, *end = text.data + text.size;
	while (*old && (n == 0 || all) && (at = memmem(at, (size_t)(end - at), old, strlen(old)))) {
		at += strlen(old);
		n++;
	}
	if (!n)
		return GROWN("%s does not hold \"%s\"", shown(growth->tree.arena, line->word[0]),
		        shown(growth->tree.arena, old));
	if (!changeable(growth, line, text.size + n * strlen(new)))
		return false;
	new_data(growth, node, replaced(growth->tree.arena, text, old, new, n));
	return true;
}

/* ---- commands and images ---- */

static struct tape_run *answer_for(struct machine_growth *growth, const char *key, const char **argv)
{
	struct tape_run *run = map_find(&growth->answers, key);
	if (!run) {
		run = arena_new(growth->tree.arena, struct tape_run);
		map_put(&growth->answers, growth->tree.arena, key, run);
		*arena_push(growth->tree.arena, growth->answer, growth->n_answers) = run;
	}
	*run = (struct tape_run){ .argv = argv, .input_hash = "" };
	return run;
}

static struct tape_run *implied_answer(struct machine_growth *growth, const char *command)
{
	struct words words = text_split(growth->tree.arena, command, " ");
	struct machine_line line = { .word = words.word, .n = words.n };
	const char *key = run_key(&line, words.n, growth->tree.arena);
	if (map_find(&growth->answers, key))
		return NULL;
	*arena_push(growth->tree.arena, words.word, words.n) = NULL;
	struct tape_run *run = answer_for(growth, key, words.word);
	run->outcome.out = run->outcome.err = (struct bytes){ "", 0 };
	return run;
}

void machine_answer(struct machine_growth *growth, const char *command, int status, const char *out)
{
	struct tape_run *run = implied_answer(growth, command);
	if (!run)
		return;
	run->outcome.status = status;
	run->outcome.out = (struct bytes){ out, strlen(out) };
}

void machine_answer_error(struct machine_growth *growth, const char *command, int status, const char *error)
{
	struct tape_run *run = implied_answer(growth, command);
	if (!run)
		return;
	run->error = error ? 0 : ENOENT;
	run->outcome.status = status;
	if (error)
		run->outcome.err = (struct bytes){ error, strlen(error) };
}

static bool act_run(struct machine_growth *growth, const struct machine_line *line)
{
	size_t n = run_words(line);
	uint64_t status = 0;
	if (!number_option(line, n, "status", 10, 255, growth->err, &status))
		return false;
	const char **argv = arena_alloc(growth->tree.arena, (n + 1) * sizeof *argv);
	memcpy(argv, line->word, n * sizeof *argv);
	if (growth->n_answers >= THINGS_MAX)
		return GROWN("more than %d commands", THINGS_MAX);
	struct tape_run *run = answer_for(growth, run_key(line, n, growth->tree.arena), argv);
	run->error = has_word(line, n, "missing") ? ENOENT : 0;
	run->outcome.status = (int)status;
	run->outcome.timed_out = has_word(line, n, "late");
	run->outcome.cut = has_word(line, n, "cut");
	bool error = has_word(line, n, "error");
	struct bytes body = arena_bytes(growth->tree.arena, line->body.data ? line->body.data : "", line->body.size);
	run->outcome.err = error ? body : (struct bytes){ "", 0 };
	run->outcome.out = error ? (struct bytes){ "", 0 } : body;
	return true;
}

static bool act_norun(struct machine_growth *growth, const struct machine_line *line)
{
	struct tape_run *run = map_find(&growth->answers, run_key(line, line->n, growth->tree.arena));
	if (growth->n_answers >= THINGS_MAX)
		return GROWN("more than %d commands", THINGS_MAX);
	if (run)
		run->argv = NULL; /* left out of the tape; one that is implied does not come back */
	else
		answer_for(growth, run_key(line, line->n, growth->tree.arena), NULL);
	return true;
}

static bool act_initramfs(struct machine_growth *growth, const struct machine_line *line)
{
	const char *path = place(growth, line, false);
	if (!path || !only_options(line, 1, "mtime= fresh", growth->tree.arena, growth->err))
		return false;
	struct tree_node *node = put(growth, line, path, NODE_FILE, 0644);
	if (!node)
		return false;
	/* its bytes are made when every other statement is done: `fresh` looks at them */
	node->image = line;
	return true;
}

static bool make_images(struct machine_growth *growth)
{
	for (size_t i = 0; i < growth->tree.n; i++) {
		struct tree_node *node = growth->tree.all[i];
		const struct machine_line *line = node->image;
		if (!node->there || !line)
			continue;
		if (!machine_make_image(line, node->entry.path, growth))
			return false;
		uint64_t mtime = (uint64_t)node->entry.stat.mtime;
		if (!number_option(line, 1, "mtime", 10, INT64_MAX / 2, growth->err, &mtime))
			return false;
		node->entry.stat.mtime = (int64_t)mtime;
	}
	return true;
}

static const struct statement statements[] = {
	{ "about", 0, 0, false, read_about, NULL },
	{ "base", 1, 1, false, read_base, NULL },
	{ "time", 1, 1, false, read_time, NULL },
	{ "target", 1, 1, false, read_target, NULL },
	{ "device", 1, 0, false, read_device, NULL },
	{ "loaded", 1, 0, false, read_loaded, NULL },
	{ "builtin", 1, 0, false, read_builtin, NULL },
	{ "unload", 1, 0, false, read_unload, NULL },
	{ "iommu", 1, 0, false, read_iommu, NULL },
	{ "framebuffer", 2, 4, false, read_framebuffer, NULL },
	{ "nvidia", 1, 4, false, read_nvidia, NULL },
	{ "package", 2, 0, false, read_package, NULL },
	{ "process", 2, 4, true, read_process, NULL },
	{ "guest", 2, 4, false, read_guest, NULL },
	{ "interface", 1, 2, false, read_interface, NULL },
	{ "disk", 1, 3, false, read_disk, NULL },
	{ "docker", 1, 4, false, read_docker, NULL },
	{ "container", 2, 0, false, read_container, NULL },
	{ "remove", 1, 1, false, read_remove, act_remove },
	{ "file", 1, 0, true, read_path, act_file },
	{ "dir", 1, 0, false, read_path, act_dir },
	{ "link", 2, 2, false, read_path, act_link },
	{ "node", 4, 0, false, read_path, act_node },
	{ "absent", 1, 1, false, read_change, act_absent },
	{ "unknown", 1, 1, false, read_change, act_unknown },
	{ "unreadable", 2, 2, false, read_change, act_unreadable },
	{ "append", 1, 1, true, read_change, act_append },
	{ "drop", 2, 2, false, read_change, act_drop },
	{ "replace", 3, 4, false, read_change, act_replace },
	{ "run", 1, 0, true, read_run, act_run },
	{ "norun", 1, 0, false, read_run, act_norun },
	{ "initramfs", 1, 0, true, read_path, act_initramfs },
};

/* ---- the text ---- */

static const struct statement *find_statement(const char *name)
{
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
		if (strcmp(statements[i].name, name) == 0)
			return &statements[i];
	return NULL;
}

static bool read_statement(struct reader *reader, struct machine_line *line)
{
	const char *name = line->word[0];
	line->statement = find_statement(name);
	line->word++;
	line->quoted++;
	line->n--;
	if (!line->statement)
		return FAIL("there is no statement \"%s\"", SHOWN(name));
	if (line->n < line->statement->min || (line->statement->max && line->n > line->statement->max))
		return FAIL("%s has too %s words", name, line->n < line->statement->min ? "few" : "many");
	if (line->has_body && !line->statement->body)
		return FAIL("%s has no indented lines below it", name);
	if (!line->statement->read(reader, line))
		return false;
	reader->begun |= line->statement->read != read_about;
	return true;
}

/* Indented lines from *cursor on; blank ones between them belong to them. */
static void read_body(
        struct reader *reader, struct bytes text, size_t *cursor, unsigned *number, struct machine_line *line)
{
	size_t begin = *cursor, end = *cursor, at = *cursor;
	unsigned passed = 0;
	struct bytes one;
	while (text_line(text, &at, &one) && (one.size == 0 || one.data[0] == '\t')) {
		passed++;
		if (one.size == 0)
			continue;
		end = *cursor = at;
		*number += passed;
		passed = 0;
	}
	if (end == begin)
		return;
	char *body = arena_alloc(reader->arena, end - begin + 2), *out = body;
	for (at = begin; at < end && text_line(text, &at, &one);) {
		if (one.size)
			out = mempcpy(out, one.data + 1, one.size - 1);
		*out++ = '\n';
	}
	line->has_body = true;
	line->body = (struct bytes){ body, (size_t)(out - body) };
}

static bool machine_read(struct reader *reader, struct bytes text)
{
	struct bytes one;
	unsigned number = 0;
	for (size_t cursor = 0; text_line(text, &cursor, &one);) {
		struct machine_line *line = arena_new(reader->arena, struct machine_line);
		line->text = reader->name;
		line->line = ++number;
		if (one.size && one.data[0] == '\t' && text_trimmed(reader->arena, one)[0])
			return FAIL("an indented line without a statement above it");
		if (!read_words(reader, line, one))
			return false;
		if (!line->n)
			continue;
		read_body(reader, text, &cursor, &number, line);
		if (!read_statement(reader, line))
			return false;
	}
	return true;
}

/* ---- from a machine to a tape ---- */

/* The last that the text says about a file, before anything is made. */
static struct bytes said_file(const struct machine_target *target, const char *path)
{
	for (size_t i = target->n_actions; i-- > 0;) {
		const struct machine_line *line = target->actions[i];
		if (line->statement->act == act_file && strcmp(line->word[0], path) == 0)
			return line->body;
	}
	return (struct bytes){ "", 0 };
}

unsigned machine_gid(const struct machine_target *target, const char *group, unsigned otherwise)
{
	struct bytes text = said_file(target, "/etc/group"), one;
	size_t size = strlen(group);
	for (size_t cursor = 0; text_line(text, &cursor, &one);) {
		if (one.size < size + 4 || memcmp(one.data, group, size) != 0 || one.data[size] != ':')
			continue;
		const char *id = memchr(one.data + size + 1, ':', one.size - size - 1);
		unsigned gid = 0;
		for (const char *at = id ? id + 1 : "";
		        id && at < one.data + one.size && *at >= '0' && *at <= '9' && gid < 1000000; at++)
			gid = gid * 10 + (unsigned)(*at - '0');
		return id ? gid : otherwise;
	}
	return otherwise;
}

const char *machine_value(struct bytes text, const char *key, struct arena *arena)
{
	struct bytes one;
	size_t size = strlen(key);
	for (size_t cursor = 0; text_line(text, &cursor, &one);) {
		if (one.size && one.data[0] == '[')
			return NULL;
		if (one.size > size && memcmp(one.data, key, size) == 0 && one.data[size] == ':')
			return text_trimmed(arena, (struct bytes){ one.data + size + 1, one.size - size - 1 });
	}
	return NULL;
}

/* Below these, what a machine does not say is known to be absent. */
static const char *const complete[] = { "/sys", "/proc", "/etc", "/dev", "/boot", "/run", "/lib/modules",
	"/usr/lib/modules" };

static bool is_complete(const char *path)
{
	for (size_t i = 0; i < sizeof complete / sizeof *complete; i++) {
		size_t size = strlen(complete[i]);
		if (strncmp(path, complete[i], size) == 0 && (path[size] == '/' || path[size] == '\0'))
			return true;
	}
	return false;
}

/* A CT sees the node's kernel, a docker container that of the machine it runs on: where they name no devices of their
 * own, those of the outer one are theirs. Device nodes are not: what they have in /dev they must say. */
static const struct machine_target *outer_kernel(const struct machine *machine, const struct machine_target *target)
{
	const char *docker = strstr(target->label, "/docker/");
	if (target->n_devices)
		return NULL;
	if (docker)
		return find_target(
		        machine, arena_strndup(machine->arena, target->label, (size_t)(docker - target->label)));
	return text_starts(target->label, "ct/") ? find_target(machine, "node") : NULL;
}

static void share_kernel(struct machine_target *target, const struct machine_target *outer)
{
	target->devices = outer->devices;
	target->n_devices = outer->n_devices;
	target->device = outer->device;
	target->iommu = outer->iommu;
	target->framebuffers = outer->framebuffers;
	target->n_framebuffers = outer->n_framebuffers;
	if (!target->n_modules) {
		target->modules = outer->modules;
		target->n_modules = outer->n_modules;
	}
	if (!target->nvidia) {
		target->nvidia = outer->nvidia;
		target->nvidia_open = outer->nvidia_open;
	}
}

static void share_files(struct machine_growth *growth, const struct machine_target *outer)
{
	static const char *const shared[] = { "/proc/sys/kernel/osrelease", "/proc/version", "/proc/cmdline",
		"/proc/cpuinfo", "/proc/sys/kernel/random/boot_id" };
	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
		struct bytes said = said_file(outer, shared[i]);
		if (said.size)
			tree_data(&growth->tree, shared[i], 0444, said);
	}
	tree_remove(&growth->tree, "/dev");
	tree_put(&growth->tree, "/dev", NODE_DIR, 0755);
}

static void emit(struct machine_growth *growth, struct tape_target *tape)
{
	struct arena *arena = growth->tree.arena;
	for (size_t i = 0; i < growth->tree.n; i++) {
		struct tree_node *node = growth->tree.all[i];
		if (!node->there && !node->entry.error)
			continue;
		struct tape_entry *entry = tape_entry(tape, arena, node->entry.path);
		const char *path = entry->path;
		*entry = node->entry;
		entry->path = path;
		if (entry->stat.type == NODE_DIR && !entry->error)
			entry->listed |= is_complete(path);
	}
	for (size_t i = 0; i < growth->n_answers; i++) {
		struct tape_run *run = growth->answer[i];
		if (!run->argv)
			continue;
		struct command command = { .argv = run->argv };
		struct tape_run *kept = tape_run(tape, arena, &command);
		kept->error = run->error;
		kept->outcome = run->outcome;
	}
	tape_sort(tape, arena);
}

static bool grow_target(
        const struct machine *machine, struct machine_target *target, struct tape *tape, struct err *err)
{
	struct machine_growth growth = {
		.machine = machine,
		.target = target,
		.err = err,
		.tree = { .arena = machine->arena, .time = machine->time },
	};
	const struct machine_target *outer = outer_kernel(machine, target);
	if (outer)
		share_kernel(target, outer);
	for (size_t i = 0; i < 6; i++)
		tree_put(&growth.tree, complete[i], NODE_DIR, 0755);
	if (!machine_make_pci(&growth))
		return false;
	machine_make_system(&growth);
	if (outer)
		share_files(&growth, outer);
	for (size_t i = 0; i < target->n_actions; i++)
		if (!target->actions[i]->statement->act(&growth, target->actions[i]))
			return false;
	machine_make_answers(&growth);
	if (!make_images(&growth))
		return false;
	emit(&growth, tape_target(tape, machine->arena, target->label));
	return true;
}

bool machine_parse(struct bytes text, const char *name, machine_base_fn *base, void *data, struct arena *arena,
        struct err *err, struct tape **ret)
{
	if (text.size > TEXT_MAX)
		return err_set(
		        err, ERR_INPUT, "%s: a machine's text has at most %d bytes", shown(arena, name), TEXT_MAX);
	struct machine machine = { .arena = arena, .time = 1763683200 };
	struct reader reader = {
		.machine = &machine, .name = shown(arena, name), .base = base, .data = data, .arena = arena, .err = err
	};
	reader.target = make_target(&machine, "node");
	if (!machine_read(&reader, text))
		return false;
	struct tape *tape = tape_new(arena, machine.time);
	tape->version = GPUFERRY_VERSION;
	for (size_t i = 0; i < machine.n; i++)
		if (!machine.targets[i]->removed && !grow_target(&machine, machine.targets[i], tape, err))
			return false;
	*ret = tape;
	return true;
}

/* ---- the built-in ones ---- */

const char *machine_builtin_text(void *data, const char *name)
{
	(void)data;
	const struct machine_builtin *const lists[] = { machine_builtins, machine_bases };
	for (size_t i = 0; i < 2; i++)
		for (const struct machine_builtin *one = lists[i]; one->name; one++)
			if (strcmp(one->name, name) == 0)
				return one->text;
	return NULL;
}
