/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What tools inside a guest say: vainfo, nvidia-smi, the kernel log, docker. Pure.
 */
#include <ctype.h>
#include <string.h>

#include "base/json.h"
#include "facts/inside.h"

/* ---- pieces --------------------------------------------------------------- */

static bool has(struct bytes line, const char *text)
{
	return memmem(line.data, line.size, text, strlen(text)) != NULL;
}

static bool digits_and_dots(const char *text, size_t size)
{
	bool dot = false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] != '.' && !isdigit((unsigned char)text[i]))
			return false;
		dot = dot || text[i] == '.';
	}
	return dot && size < 32 && isdigit((unsigned char)text[0]) && isdigit((unsigned char)text[size - 1]);
}

static bool word_in(const struct words *words, const char *word)
{
	for (size_t i = 0; i < words->n; i++)
		if (strcmp(words->word[i], word) == 0)
			return true;
	return false;
}

static void words_add(struct words *words, struct arena *arena, const char *word)
{
	*arena_push(arena, words->word, words->n) = word;
}

/* ---- vainfo --------------------------------------------------------------- */

/* "VAProfileH264High : VAEntrypointVLD" and, with -a, "VAProfileH264High/VAEntrypointVLD"; NULL: no such line. */
static const char *vainfo_pair(struct arena *arena, const char *line)
{
	static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
	if (!text_starts(line, "VAProfile"))
		return NULL;
	size_t profile = strspn(line, name);
	const char *entrypoint = line + profile + strspn(line + profile, " \t:/");
	size_t size = strspn(entrypoint, name);
	if (!text_starts(entrypoint, "VAEntrypoint") || entrypoint[size] || entrypoint == line + profile)
		return NULL;
	return arena_printf(arena, "%.*s/%s", (int)profile, line, entrypoint);
}

/* Lines that say why there is no driver, the one that says most first (libva va.c, libva-utils vainfo.c). */
static const char *const vainfo_errors[] = {
	"init failed",
	"Failed to open the given device",
	"Failed to a DRM display",
	"failed to initialize display",
	"vaInitialize failed",
	"libva error",
	"va_openDriver() returns ",
	"error:",
};

static void vainfo_error(const char *line, size_t *rank, const char **ret)
{
	for (size_t i = 0; i < *rank; i++) {
		const char *at = strstr(line, vainfo_errors[i]);
		if (!at || strcmp(at, "va_openDriver() returns 0") == 0)
			continue;
		*rank = i;
		*ret = line;
		return;
	}
}

void inside_parse_vainfo(struct bytes text, struct arena *arena, struct vainfo *ret)
{
	static const char driver[] = "Driver version: ";
	struct bytes line;
	size_t rank = sizeof vainfo_errors / sizeof *vainfo_errors;
	*ret = (struct vainfo){ 0 };
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		const char *word = text_trimmed(arena, line), *pair = vainfo_pair(arena, word);
		const char *named = pair || ret->driver ? NULL : strstr(word, driver);
		if (pair)
			words_add(&ret->pairs, arena, pair);
		else if (named)
			ret->driver = named + sizeof driver - 1;
		else
			vainfo_error(word, &rank, &ret->error);
	}
	if (ret->driver || ret->pairs.n)
		ret->error = NONE; /* another display was tried first, or a driver, but one initialised */
}

/* ---- nvidia-smi ----------------------------------------------------------- */

enum smi_form { SMI_TABLE, SMI_LIST, SMI_QUERY, SMI_XML, SMI_FORMS };
enum { SMI_GPUS_MAX = 256 }; /* more than any machine has; keeps the search for doubles small */

struct smi {
	struct arena *arena;
	const char *driver;
	const char *error;
	bool answered;
	struct {
		struct words names, pci, uuids;
	} form[SMI_FORMS];
};

/* "00000000:8D:00.0" as sysfs writes it: "0000:8d:00.0"; NULL: no address. */
static const char *smi_address(struct arena *arena, const char *text)
{
	static const char digits[] = "0123456789abcdefABCDEF", shape[] = ":hh:hh.h";
	size_t domain = strspn(text, digits), i = 0;
	const char *rest = text + domain;
	while (shape[i] && rest[i] && (shape[i] == 'h' ? strchr(digits, rest[i]) != NULL : rest[i] == shape[i]))
		i++;
	if (domain < 4 || domain > 8 || shape[i] || rest[i])
		return NULL;
	for (; domain > 4 && *text == '0'; domain--)
		text++;
	char *address = arena_strdup(arena, text);
	for (char *sign = address; *sign; sign++)
		*sign = (char)tolower((unsigned char)*sign);
	return address;
}

/* A GPU of that form, once. */
static void smi_gpu(struct smi *smi, enum smi_form form, const char *address)
{
	struct words *pci = &smi->form[form].pci;
	if (address && pci->n < SMI_GPUS_MAX && !word_in(pci, address))
		words_add(pci, smi->arena, address);
}

/* A name or a UUID belongs to the GPU just begun: there are never more of them than GPUs. */
static void smi_add(struct smi *smi, struct words *words, size_t gpus, const char *word)
{
	if (words->n < gpus && words->n < SMI_GPUS_MAX && *word)
		words_add(words, smi->arena, arena_strdup(smi->arena, word));
}

static void smi_driver(struct smi *smi, const char *value)
{
	size_t size = strcspn(value, " \t|");
	if (digits_and_dots(value, size) && !smi->driver)
		smi->driver = arena_strndup(smi->arena, value, size);
	smi->answered = true;
}

/* Words at the end of the table's first column that are no part of the name: persistence mode, on Windows the model. */
static char *smi_table_name(char *cell)
{
	static const char *const modes[] = { "On", "Off", "N/A", "WDDM", "TCC", "MCDM" };
	cell += strspn(cell, " ");
	cell += strspn(cell, "0123456789");
	cell += strspn(cell, " ");
	for (size_t size = strlen(cell); size && cell[size - 1] == ' ';)
		cell[--size] = '\0';
	char *last = strrchr(cell, ' ');
	for (size_t i = 0; last && i < sizeof modes / sizeof *modes; i++) {
		if (strcmp(last + 1, modes[i]) != 0)
			continue;
		while (last > cell && last[-1] == ' ')
			last--;
		*last = '\0';
		break;
	}
	return cell;
}

/* "|   0  NVIDIA L40S                    On  |   00000000:8D:00.0 Off |                    0 |" */
static void smi_table_row(struct smi *smi, const char *line)
{
	struct words cells = text_split(smi->arena, line, "|");
	if (cells.n < 2)
		return;
	struct words second = text_split(smi->arena, cells.word[1], " ");
	const char *address = second.n ? smi_address(smi->arena, second.word[0]) : NULL;
	const char *first = cells.word[0] + strspn(cells.word[0], " ");
	size_t before = smi->form[SMI_TABLE].pci.n;
	if (!address || !isdigit((unsigned char)*first))
		return;
	smi_gpu(smi, SMI_TABLE, address);
	if (smi->form[SMI_TABLE].pci.n > before)
		smi_add(smi, &smi->form[SMI_TABLE].names, before + 1,
		        smi_table_name(arena_strdup(smi->arena, cells.word[0])));
}

static void smi_table(struct smi *smi, const char *line)
{
	static const char *const versions[] = { "Driver Version: ", "KMD Version: " };
	const char *head = strstr(line, "NVIDIA-SMI ");
	for (size_t i = 0; head && i < sizeof versions / sizeof *versions; i++) {
		const char *at = strstr(head, versions[i]);
		if (at)
			smi_driver(smi, at + strlen(versions[i]));
	}
	if (!head)
		smi_table_row(smi, line);
}

/* "GPU 0: NVIDIA GeForce RTX 4060 Ti (UUID: GPU-...)" of -L; "GPU 00000000:01:00.0" of -q */
static void smi_gpu_line(struct smi *smi, const char *line)
{
	const char *rest = line + strlen("GPU ");
	const char *address = smi_address(smi->arena, rest), *uuid = strstr(rest, " (UUID: GPU-");
	size_t index = strspn(rest, "0123456789");
	struct words *names = &smi->form[SMI_LIST].names;
	if (address)
		smi_gpu(smi, SMI_QUERY, address);
	uint64_t number;
	if (!uuid || !index || strncmp(rest + index, ": ", 2) != 0 || uuid < rest + index + 2 ||
	        !text_number(arena_strndup(smi->arena, rest, index), 10, SMI_GPUS_MAX, &number) || number != names->n)
		return;
	const char *value = uuid + strlen(" (UUID: ");
	smi_add(smi, names, names->n + 1,
	        arena_strndup(smi->arena, rest + index + 2, (size_t)(uuid - rest) - index - 2));
	smi_add(smi, &smi->form[SMI_LIST].uuids, names->n, arena_strndup(smi->arena, value, strcspn(value, ")")));
	smi->answered = true;
}

/* "Key     : value" of -q and --version */
static void smi_query(struct smi *smi, const char *line)
{
	static const char *const drivers[] = { "Driver Version", "DRIVER version", "KMD Version", "KMD version" };
	const char *colon = strchr(line, ':');
	if (!colon)
		return;
	size_t size = (size_t)(colon - line);
	while (size && (line[size - 1] == ' ' || line[size - 1] == '\t'))
		size--;
	const char *value = colon + 1 + strspn(colon + 1, " \t");
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
		if (strlen(drivers[i]) == size && memcmp(drivers[i], line, size) == 0)
			smi_driver(smi, value);
	size_t gpus = smi->form[SMI_QUERY].pci.n;
	if (size == strlen("Product Name") && memcmp(line, "Product Name", size) == 0)
		smi_add(smi, &smi->form[SMI_QUERY].names, gpus, value);
	else if (size == strlen("GPU UUID") && memcmp(line, "GPU UUID", size) == 0)
		smi_add(smi, &smi->form[SMI_QUERY].uuids, gpus, value);
}

/* How its own error lines begin; what is behind may name the cause or the card. */
static const char *const smi_errors[] = {
	"NVIDIA-SMI has failed because",
	"Failed to initialize NVML",
	"No devices were found",
	"Unable to determine the device handle",
	"NVIDIA-SMI couldn't find",
	"Failed to properly shut down NVML",
	"nvidia-smi: command not found",
	"GPU is lost",
	"Reboot the system to recover this GPU",
};

static void smi_error(struct smi *smi, const char *line)
{
	for (size_t i = 0; !smi->error && i < sizeof smi_errors / sizeof *smi_errors; i++)
		if (text_starts(line, smi_errors[i]))
			smi->error = line;
}

/* ---- nvidia-smi -x: a scanner for the few tags that count, by their depth ---------------- */

struct xml {
	struct smi *smi;
	struct bytes text;
	size_t at;
	unsigned depth;   /* open tags */
	char path[3][32]; /* the names of the first three */
};

/* The text of the tag that just closed, one line, the five entities of XML undone. */
static const char *xml_text(struct xml *xml, struct bytes raw)
{
	static const struct {
		const char *entity;
		char sign;
	} entities[] = {
		{ "&amp;", '&' },
		{ "&lt;", '<' },
		{ "&gt;", '>' },
		{ "&quot;", '"' },
		{ "&apos;", '\'' },
	};
	char *text = text_trimmed(xml->smi->arena, raw), *out = text;
	for (const char *in = text; *in;) {
		size_t i = 0;
		while (i < 5 && !text_starts(in, entities[i].entity))
			i++;
		*out++ = i < 5 ? entities[i].sign : *in;
		in += i < 5 ? strlen(entities[i].entity) : 1;
	}
	*out = '\0';
	return text;
}

static void xml_value(struct xml *xml, struct bytes raw)
{
	struct smi *smi = xml->smi;
	size_t gpus = smi->form[SMI_XML].pci.n;
	bool root = strcmp(xml->path[0], "nvidia_smi_log") == 0;
	if (!root || raw.size > 4096)
		return;
	if (xml->depth == 2 && strcmp(xml->path[1], "driver_version") == 0)
		smi_driver(smi, xml_text(xml, raw));
	if (xml->depth != 3 || strcmp(xml->path[1], "gpu") != 0)
		return;
	if (strcmp(xml->path[2], "product_name") == 0)
		smi_add(smi, &smi->form[SMI_XML].names, gpus, xml_text(xml, raw));
	else if (strcmp(xml->path[2], "uuid") == 0)
		smi_add(smi, &smi->form[SMI_XML].uuids, gpus, xml_text(xml, raw));
}

/* <gpu id="00000000:01:00.0"> */
static void xml_gpu(struct xml *xml, struct bytes tag)
{
	static const char id[] = "id=\"";
	const char *at = memmem(tag.data, tag.size, id, sizeof id - 1);
	if (!at)
		return;
	at += sizeof id - 1;
	size_t left = tag.size - (size_t)(at - tag.data);
	const char *end = memchr(at, '"', left);
	if (end && end - at < 32)
		smi_gpu(xml->smi, SMI_XML,
		        smi_address(xml->smi->arena, arena_strndup(xml->smi->arena, at, (size_t)(end - at))));
}

static void xml_open(struct xml *xml, struct bytes tag)
{
	size_t size = 0;
	while (size < tag.size && (isalnum((unsigned char)tag.data[size]) || tag.data[size] == '_'))
		size++;
	if (xml->depth < 3) {
		char *name = xml->path[xml->depth];
		size = size < sizeof xml->path[0] ? size : 0; /* none of ours is as long */
		memcpy(name, tag.data, size);
		name[size] = '\0';
	}
	xml->depth++;
	if (xml->depth == 2 && strcmp(xml->path[0], "nvidia_smi_log") == 0 && strcmp(xml->path[1], "gpu") == 0)
		xml_gpu(xml, tag);
}

/* From "<nvidia_smi_log" to its end; returns how much of the text it took. */
static size_t xml_scan(struct smi *smi, struct bytes text)
{
	struct xml xml = { .smi = smi, .text = text };
	size_t content = 0;
	while (xml.at < text.size) {
		const char *open = memchr(text.data + xml.at, '<', text.size - xml.at);
		const char *close = open ? memchr(open, '>', text.size - (size_t)(open - text.data)) : NULL;
		if (!close)
			return text.size;
		struct bytes tag = { open + 1, (size_t)(close - open) - 1 };
		size_t before = (size_t)(open - text.data);
		xml.at = (size_t)(close - text.data) + 1;
		if (!tag.size || tag.data[0] == '!' || tag.data[0] == '?')
			continue; /* a comment of nvidia-smi holds no > */
		if (tag.data[0] == '/') {
			xml_value(&xml, (struct bytes){ text.data + content, before - content });
			if (xml.depth <= 1)
				return xml.at;
			xml.depth--;
		} else if (tag.data[tag.size - 1] != '/') {
			xml_open(&xml, tag);
		}
		content = xml.at;
	}
	return text.size;
}

static void smi_result(const struct smi *smi, struct nvidia_smi *ret)
{
	static const enum smi_form richest[] = { SMI_XML, SMI_QUERY, SMI_TABLE, SMI_LIST };
	bool seen = smi->answered;
	*ret = (struct nvidia_smi){ .driver = smi->driver };
	for (size_t i = 0; i < SMI_FORMS; i++) {
		enum smi_form form = richest[i];
		seen = seen || smi->form[form].pci.n || smi->form[form].names.n;
		if (!ret->names.n)
			ret->names = smi->form[form].names;
		if (!ret->pci.n)
			ret->pci = smi->form[form].pci;
		if (!ret->uuids.n)
			ret->uuids = smi->form[form].uuids;
	}
	ret->error = smi->error ? smi->error : seen ? NONE : NULL;
}

void inside_parse_nvidia_smi(struct bytes text, struct arena *arena, struct nvidia_smi *ret)
{
	struct smi smi = { .arena = arena };
	struct bytes line;
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		const char *word = text_trimmed(arena, line);
		if (text_starts(word, "<nvidia_smi_log")) {
			const char *root = memchr(line.data, '<', line.size);
			size_t start = (size_t)(root - text.data);
			cursor = start + xml_scan(&smi, (struct bytes){ root, text.size - start });
		} else if (*word == '|') {
			smi_table(&smi, word);
		} else {
			smi_error(&smi, word);
			if (text_starts(word, "GPU "))
				smi_gpu_line(&smi, word);
			smi_query(&smi, word);
		}
	}
	smi_result(&smi, ret);
}

/* ---- the kernel log -------------------------------------------------------- */

/* All texts of a row must stand in one line. Sources: pains.md's entries of the same matter; i915, xe and amdgpu of
 * the kernel for the firmware. What is normal is not here: "HuC is not supported" on Meteor Lake's GT0 (its HuC is on
 * the media GT), "module verification failed" of an unsigned module that is loaded, "DMAR: IOMMU enabled", which only
 * repeats the command line, and "not ready ... waiting", which may still end well. */
struct dmesg_row {
	const char *cause, *text[3];
};

static const struct dmesg_row dmesg_rows[] = {
	{ "nvrm-off-bus", { "GPU has fallen off the bus" } },
	{ "huc-missing", { "HuC firmware", "fetch failed" } },
	{ "huc-missing", { "Direct firmware load for ", "_huc", "failed" } },
	{ "guc-missing", { "GuC firmware", "fetch failed" } },
	{ "guc-missing", { "Direct firmware load for ", "_guc", "failed" } },
	{ "dmc-missing", { "Failed to load DMC firmware" } },
	{ "dmc-missing", { "Direct firmware load for ", "_dmc", "failed" } },
	{ "amdgpu-firmware-missing", { "Direct firmware load for amdgpu/", "failed" } },
	{ "huc-failed", { "HuC", "authentication failed" } },
	{ "huc-failed", { "HUC", "authentication failed" } },
	{ "huc-failed", { "HuC", "load failed" } },
	{ "huc-failed", { "HuC", "timed out waiting for MEI" } },
	{ "guc-failed", { "GuC", "load failed" } },
	{ "guc-failed", { "GUC: load failed" } },
	{ "guc-failed", { "GuC initialization failed" } },
	{ "guc-failed", { "Failed to initialize uC" } },
	{ "guc-failed", { "Enabling uc failed" } },
	{ "wedged", { "declaring it wedged" } },
	{ "gpu-hang", { "GPU HANG" } },
	{ "ring-timeout", { "*ERROR* ring ", " timeout" } },
	{ "d3cold", { "Unable to change power state from D3cold to D0" } },
	{ "reset-timeout", { "not ready ", "; giving up" } },
	{ "key-rejected", { "Key was rejected by service" } },
	{ "key-rejected", { "Loading of unsigned module is rejected" } },
	{ "key-rejected", { "Lockdown:", "unsigned module loading is restricted" } },
	{ "bar-reserve", { "BAR ", "can't reserve [mem" } },
	{ "rmrr", { "ineligible for IOMMU domain attach due to platform RMRR" } },
	{ "amd-iommu-on", { "AMD-Vi: Unknown option - 'on'" } },
	{ "iommu-timeout", { "IOTLB_INV_TIMEOUT" } },
	{ "rom-invalid", { "Invalid PCI ROM header signature" } },
	{ "vbt-missing", { "Failed to find VBIOS tables (VBT)" } },
};

/* NVIDIA's driver breaks its messages into lines of its own, each behind "NVRM:" (nv-pci.c, nv.c of the open modules):
 * these are looked for in the running text. */
static const struct dmesg_row nvrm_rows[] = {
	{ "nvrm-init-failed", { "RmInitAdapter failed" } },
	{ "nvrm-needs-open", { "requires use of the NVIDIA open kernel modules" } },
	{ "nvrm-gsp", { "does not include the required GPU System Processor" } },
	{ "nvrm-legacy", { "Legacy drivers. Please visit" } },
	{ "nvrm-no-gpu", { "No NVIDIA GPU found" } },
	{ "nvrm-no-gpu", { "No NVIDIA graphics adapter found" } },
	{ "nvrm-mismatch", { "API mismatch" } },
	{ "nvrm-bar", { "This PCI I/O region assigned to your NVIDIA device is invalid" } },
	{ "nvrm-owned", { "The NVIDIA probe routine was not called" } },
	{ "nvrm-wpr2", { "unexpected WPR2 already up" } },
};

static bool dmesg_row_in(struct bytes line, const struct dmesg_row *row)
{
	for (size_t i = 0; i < 3 && row->text[i]; i++)
		if (!has(line, row->text[i]))
			return false;
	return true;
}

/* What stands behind "NVRM:" in every line, one blank between. */
static struct bytes nvrm_text(struct arena *arena, struct bytes log)
{
	char *text = arena_alloc(arena, log.size + 2), *out = text;
	struct bytes line;
	for (size_t cursor = 0; text_line(log, &cursor, &line);) {
		const char *at = memmem(line.data, line.size, "NVRM:", 5);
		if (!at)
			continue;
		at += 5;
		size_t left = line.size - (size_t)(at - line.data);
		for (; left && (*at == ' ' || *at == '\t'); left--)
			at++;
		while (left && (at[left - 1] == ' ' || at[left - 1] == '\t'))
			left--;
		out = mempcpy(out, at, left);
		*out++ = ' ';
	}
	return (struct bytes){ text, (size_t)(out - text) };
}

struct words inside_parse_dmesg(struct bytes text, struct arena *arena)
{
	enum { ROWS = sizeof dmesg_rows / sizeof *dmesg_rows, NVRM_ROWS = sizeof nvrm_rows / sizeof *nvrm_rows };
	bool found[ROWS] = { 0 };
	struct words causes = { 0 };
	struct bytes line, nvrm = nvrm_text(arena, text);
	for (size_t i = 0; i < NVRM_ROWS; i++)
		if (dmesg_row_in(nvrm, &nvrm_rows[i]) && !word_in(&causes, nvrm_rows[i].cause))
			words_add(&causes, arena, nvrm_rows[i].cause);
	for (size_t cursor = 0; text_line(text, &cursor, &line);)
		for (size_t i = 0; i < ROWS; i++)
			found[i] = found[i] || dmesg_row_in(line, &dmesg_rows[i]);
	for (size_t i = 0; i < ROWS; i++)
		if (found[i] && !word_in(&causes, dmesg_rows[i].cause))
			words_add(&causes, arena, dmesg_rows[i].cause);
	return causes;
}

/* ---- small files ----------------------------------------------------------- */

struct words inside_parse_groups(struct bytes etc_group, struct arena *arena)
{
	struct words groups = { 0 };
	struct bytes line;
	for (size_t cursor = 0; text_line(etc_group, &cursor, &line);) {
		const char *text = text_trimmed(arena, line), *second = strchr(text, ':');
		const char *third = second ? strchr(second + 1, ':') : NULL;
		uint64_t gid;
		if (!third || second == text || *text == '#')
			continue;
		const char *number = arena_strndup(arena, third + 1, strcspn(third + 1, ":"));
		if (text_number(number, 10, UINT32_MAX, &gid))
			words_add(&groups, arena,
			        arena_printf(arena, "%.*s:%u", (int)(second - text), text, (unsigned)gid));
	}
	return groups;
}

/* A shell word: quotes taken off, a backslash takes the next sign as it is. */
static const char *shell_word(struct arena *arena, const char *text)
{
	char *word = arena_strdup(arena, text), *out = word;
	char quote = 0;
	for (const char *in = word; *in; in++) {
		if (*in == quote)
			quote = 0;
		else if (!quote && (*in == '"' || *in == '\''))
			quote = *in;
		else if (*in == '\\' && quote != '\'' && in[1])
			*out++ = *++in;
		else
			*out++ = *in;
	}
	*out = '\0';
	return word;
}

const char *inside_os_value(struct bytes os_release, const char *key, struct arena *arena)
{
	size_t size = strlen(key);
	struct bytes line;
	for (size_t cursor = 0; text_line(os_release, &cursor, &line);)
		if (line.size > size && memcmp(line.data, key, size) == 0 && line.data[size] == '=')
			return shell_word(arena,
			        text_trimmed(arena, (struct bytes){ line.data + size + 1, line.size - size - 1 }));
	return NULL;
}

/* ---- docker inspect --------------------------------------------------------- */

static const char *text_at(struct arena *arena, const json_t *object, const char *key)
{
	return arena_strdup(arena, json_string_at(object, key));
}

/* "NAME=value" of Config.Env; NONE: known not to be set. */
static const char *environment(struct arena *arena, const json_t *env, const char *name)
{
	size_t i, size = strlen(name);
	json_t *word;
	json_array_foreach(env, i, word)
	{
		const char *text = json_string_value(word);
		if (text_starts(text, name) && text[size] == '=')
			return arena_strdup(arena, text + size + 1);
	}
	return env ? NONE : NULL;
}

static void words_of(struct arena *arena, const json_t *array, struct words *ret)
{
	size_t i;
	json_t *word;
	json_array_foreach(array, i, word) if (json_is_string(word))
	        words_add(ret, arena, arena_strdup(arena, json_string_value(word)));
}

/* --gpus: [{"Capabilities": [["gpu", "video"]]}]; CDI: [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}] */
static const char *gpu_request(struct arena *arena, const json_t *requests)
{
	struct words words = { 0 };
	size_t i, j;
	json_t *request, *set;
	if (!requests)
		return NULL;
	json_array_foreach(requests, i, request)
	{
		const char *driver = json_string_at(request, "Driver");
		bool cdi = driver && strcmp(driver, "cdi") == 0;
		if (cdi)
			words_add(&words, arena, "cdi");
		if (cdi)
			words_of(arena, json_object_get(request, "DeviceIDs"), &words);
		json_array_foreach(json_object_get(request, "Capabilities"), j, set) words_of(arena, set, &words);
	}
	const char *text = NONE;
	for (i = 0; i < words.n && i < 64; i++)
		text = arena_printf(arena, "%s%s%s", text, i ? " " : "", words.word[i]);
	return text;
}

static void docker_one(struct arena *arena, const json_t *object, struct docker_container *ret)
{
	const json_t *config = json_object_get(object, "Config"), *host = json_object_get(object, "HostConfig");
	const json_t *privileged = json_object_get(host, "Privileged"), *env = json_object_get(config, "Env");
	const char *name = json_string_at(object, "Name");
	size_t i;
	json_t *device;
	ret->name = arena_strdup(arena, name && *name == '/' ? name + 1 : name);
	ret->id = text_at(arena, object, "Id");
	ret->image = text_at(arena, config, "Image");
	ret->status = text_at(arena, json_object_get(object, "State"), "Status");
	ret->runtime = text_at(arena, host, "Runtime");
	ret->privileged = json_is_boolean(privileged) ? tri_of(json_is_true(privileged)) : UNKNOWN;
	ret->gpu_request = gpu_request(arena, json_object_get(host, "DeviceRequests"));
	ret->visible_devices = environment(arena, env, "NVIDIA_VISIBLE_DEVICES");
	ret->driver_capabilities = environment(arena, env, "NVIDIA_DRIVER_CAPABILITIES");
	words_of(arena, json_object_get(host, "GroupAdd"), &ret->group_add);
	json_array_foreach(json_object_get(host, "Devices"), i, device)
	{
		const char *path = json_string_at(device, "PathInContainer");
		if (path)
			words_add(&ret->devices, arena, arena_strdup(arena, path));
	}
}

static void docker_add(struct arena *arena, const json_t *object, struct inside *ret)
{
	if (json_string_at(object, "Id"))
		docker_one(arena, object, arena_push(arena, ret->containers, ret->n_containers));
}

void inside_parse_docker(struct bytes inspect_json, struct arena *arena, struct inside *ret)
{
	json_t *all JSON_SCOPED = NULL;
	if (json_parse(inspect_json, "docker inspect", NULL, &all)) {
		size_t i;
		json_t *object;
		if (json_is_object(all))
			docker_add(arena, all, ret);
		json_array_foreach(all, i, object) docker_add(arena, object, ret);
		return;
	}
	struct bytes line;
	for (size_t cursor = 0; text_line(inspect_json, &cursor, &line);) {
		json_t *object JSON_SCOPED = NULL;
		if (json_parse(line, "docker inspect", NULL, &object))
			docker_add(arena, object, ret);
	}
}
