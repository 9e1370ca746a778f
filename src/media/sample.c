/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Finding turns tables of patterns into probes, each one file, one metric and a factor; a look reads the probes.
 */
#include "media/sample.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "facts/drm.h"
#include "media/engine.h"

enum {
	NODES_MAX = 64,
	TOTALS_MAX = 64,
	ZONES_MAX = 32,
	LOOKS = 3, /* at a process, until it counts as one that opens no card */
	STAT_MAX = 1024 * 1024,
	FDINFO_MAX = 16384,
	TICKS = 100, /* a second, as Linux tells user space on every machine */
};

/* Below a card's folder in /sys/bus/pci/devices; * is a name, and the last one names the part. */
static const struct {
	const char *pattern;
	enum metric metric;
	double factor;
	const char *part; /* NULL: what the name's own _label says, else the name; NONE: the metric has none */
} card_files[] = {
	{ "gpu_busy_percent", METRIC_GPU_BUSY, 1e-2, NONE },                      /* amdgpu */
	{ "mem_info_vram_used", METRIC_GPU_MEMORY_USED, 1, NONE },                /* amdgpu */
	{ "mem_info_vram_total", METRIC_GPU_MEMORY, 1, NONE },                    /* amdgpu */
	{ "drm/card*/gt/gt*/rc6_residency_ms", METRIC_GPU_IDLE, 1e-3, NULL },     /* i915 */
	{ "tile*/gt*/gtidle/idle_residency_ms", METRIC_GPU_IDLE, 1e-3, NULL },    /* xe */
	{ "drm/card*/gt/gt*/rps_act_freq_mhz", METRIC_GPU_FREQUENCY, 1e6, NULL }, /* i915 */
	{ "tile*/gt*/freq0/act_freq", METRIC_GPU_FREQUENCY, 1e6, "gt" },          /* xe */
	{ "hwmon/hwmon*/freq*_input", METRIC_GPU_FREQUENCY, 1, NULL },            /* amdgpu */
	{ "hwmon/hwmon*/temp*_input", METRIC_GPU_TEMPERATURE, 1e-3, NULL },
	{ "hwmon/hwmon*/power1_average", METRIC_GPU_POWER, 1e-6, NONE },
	{ "hwmon/hwmon*/power1_input", METRIC_GPU_POWER, 1e-6, NONE },
	{ "hwmon/hwmon*/energy*_input", METRIC_GPU_ENERGY, 1e-6, NULL },
};

struct probe_file {
	const char *path;
	enum metric metric;
	double factor;
	const char *pci, *part;
};

struct card {
	const char *pci, *driver, *ids, *status; /* status: path of its power state */
	struct probe_file *files;
	size_t n;
};

struct zone { /* of /sys/class/powercap */
	char folder[READING_LABEL_ROOM], name[READING_LABEL_ROOM];
	double range, last, total; /* microjoules; last < 0: not read yet */
};

struct node {
	char path[READING_LABEL_ROOM], pci[READING_LABEL_ROOM];
	bool opens;
};

struct process {
	int64_t pid;
	unsigned looks; /* LOOKS: done */
	bool opener;
};

struct total {
	char pci[32], engine[32];
	double ns;
};

struct sampler {
	struct world *world;
	struct arena found; /* of the last sampler_find */
	struct card *cards;
	size_t n_cards;
	bool has_fdinfo; /* a driver that tells of engines there */
	struct zone zones[ZONES_MAX];
	unsigned n_zones;
	struct node nodes[NODES_MAX];
	unsigned n_nodes;
	struct arena lists[2]; /* of processes and clients: the last look's and this one's */
	unsigned turn;
	struct process *processes;
	size_t n_processes;
	struct engine_seen *clients;
	size_t n_clients;
	struct total totals[TOTALS_MAX];
	unsigned n_totals;
	int64_t looked_ms; /* UNKNOWN_NUMBER: never */
};

static void copy(char *to, size_t room, const char *text)
{
	snprintf(to, room, "%s", text ? text : "");
}

struct reading *reading_add(struct readings *readings, enum metric metric, double value, const char *first,
        const char *second, const char *third)
{
	struct reading *reading = arena_push(readings->arena, readings->list, readings->n);
	*reading = (struct reading){ .metric = metric, .value = value };
	copy(reading->label[0], READING_LABEL_ROOM, first);
	copy(reading->label[1], READING_LABEL_ROOM, second);
	copy(reading->label[2], READING_LABEL_ROOM, third);
	return reading;
}

static bool number_of(struct world *world, const char *path, struct arena *arena, double *ret)
{
	const char *text;
	uint64_t number;
	bool minus;
	if (world_attribute(world, arena, &text, "%s", path) != 0)
		return false;
	minus = text[0] == '-';
	if (!text_number(text + minus, 10, UINT64_MAX, &number))
		return false;
	*ret = minus ? -(double)number : (double)number;
	return true;
}

/* ---- the processor ------------------------------------------------------------------ */

void sample_parse_cpu(struct bytes stat, struct readings *ret)
{
	static const char *const modes[] = { "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal" };
	struct arena arena ARENA_SCOPED = { 0 };
	struct bytes line;
	for (size_t cursor = 0; text_line(stat, &cursor, &line);) {
		struct words words = text_split(&arena, text_trimmed(&arena, line), " ");
		if (!words.n || strcmp(words.word[0], "cpu") != 0)
			continue;
		for (size_t i = 0; i < sizeof modes / sizeof *modes && i + 1 < words.n; i++) {
			uint64_t ticks;
			if (text_number(words.word[i + 1], 10, UINT64_MAX, &ticks))
				reading_add(ret, METRIC_CPU, (double)ticks / TICKS, modes[i], NULL, NULL);
		}
		return;
	}
}

/* A zone's counter begins again at its range. */
static void take_zones(struct sampler *sampler, struct arena *arena, struct readings *ret)
{
	for (unsigned i = 0; i < sampler->n_zones; i++) {
		struct zone *zone = &sampler->zones[i];
		double now;
		const char *path = arena_printf(arena, "/sys/class/powercap/%s/energy_uj", zone->folder);
		if (!number_of(sampler->world, path, arena, &now))
			continue;
		double before = zone->last < 0 ? 0 : zone->last;
		zone->total += now - before + (now < before ? zone->range : 0);
		zone->last = now;
		reading_add(ret, METRIC_CPU_ENERGY, zone->total * 1e-6, zone->folder, zone->name, NULL);
	}
}

static void find_zones(struct sampler *sampler)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct words names;
	if (sampler->n_zones || world_list(sampler->world, "/sys/class/powercap", &arena, &names) != 0)
		return;
	for (size_t i = 0; i < names.n && sampler->n_zones < ZONES_MAX; i++) {
		const char *folder = names.word[i], *name;
		struct zone *zone = &sampler->zones[sampler->n_zones];
		/* the same counters stand once more under another way of reading them */
		if (!text_starts(folder, "intel-rapl:") ||
		        world_attribute(sampler->world, &arena, &name, "/sys/class/powercap/%s/name", folder) != 0)
			continue;
		*zone = (struct zone){ .last = -1 };
		copy(zone->folder, sizeof zone->folder, folder);
		copy(zone->name, sizeof zone->name, name);
		if (number_of(sampler->world,
		            arena_printf(&arena, "/sys/class/powercap/%s/max_energy_range_uj", folder), &arena,
		            &zone->range))
			sampler->n_zones++;
	}
}

/* ---- cards ------------------------------------------------------------------------------ */

/* What a file is called by who made it ("edge" of temp1_input); else what its name begins with. */
static const char *label_of(struct world *world, const char *path, const char *name, struct arena *arena)
{
	size_t stem = strcspn(name, "_"), all = strlen(path) - strlen(name);
	const char *label;
	if (text_ends(name, "_input") &&
	        world_attribute(world, arena, &label, "%.*s%.*s_label", (int)all, path, (int)stem, name) == 0 && *label)
		return label;
	return arena_strndup(arena, name, stem);
}

struct expansion {
	struct sampler *sampler;
	struct card *card;
	size_t row;
};

static void expand(const struct expansion *to, const char *path, const char *pattern, const char *part)
{
	struct arena *arena = &to->sampler->found;
	struct world *world = to->sampler->world;
	size_t size = strcspn(pattern, "/");
	const char *first = arena_strndup(arena, pattern, size), *rest = pattern[size] ? pattern + size + 1 : NULL;
	struct words names = { (const char *[]){ first }, 1 };
	bool several = strchr(first, '*');
	if (several && world_list(world, path, arena, &names) != 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.word[i], *below = arena_printf(arena, "%s/%s", path, name);
		if (!text_matches(first, name))
			continue;
		const char *named = several ? name : part;
		if (rest) {
			expand(to, below, rest, named);
			continue;
		}
		if (world_exists(world, below) != YES)
			continue;
		const char *own = card_files[to->row].part;
		if (!own)
			own = several ? label_of(world, below, name, arena) : part;
		else if (*own && part)
			own = part;
		*arena_push(arena, to->card->files, to->card->n) = (struct probe_file){ below,
			card_files[to->row].metric, card_files[to->row].factor, to->card->pci, own };
	}
}

static void find_card(struct sampler *sampler, const char *pci)
{
	struct arena *arena = &sampler->found;
	const char *class, *driver = NONE, *vendor = "", *device = "";
	const char *folder = arena_printf(arena, "/sys/bus/pci/devices/%s", pci);
	if (world_attribute(sampler->world, arena, &class, "%s/class", folder) != 0 || !text_starts(class, "0x03"))
		return;
	world_attribute(sampler->world, arena, &vendor, "%s/vendor", folder);
	world_attribute(sampler->world, arena, &device, "%s/device", folder);
	world_link_name(sampler->world, arena, &driver, "%s/driver", folder);
	struct card *card = arena_push(arena, sampler->cards, sampler->n_cards);
	*card = (struct card){ .pci = pci,
		.driver = driver,
		.ids = arena_printf(arena, "%s:%s", text_starts(vendor, "0x") ? vendor + 2 : vendor,
		        text_starts(device, "0x") ? device + 2 : device),
		.status = arena_printf(arena, "%s/power/runtime_status", folder) };
	sampler->has_fdinfo |=
	        strcmp(driver, "i915") == 0 || strcmp(driver, "xe") == 0 || strcmp(driver, "amdgpu") == 0;
	for (size_t row = 0; row < sizeof card_files / sizeof *card_files; row++)
		expand(&(struct expansion){ sampler, card, row }, folder, card_files[row].pattern, NULL);
}

static bool is_asleep(struct sampler *sampler, const struct card *card, struct arena *arena)
{
	const char *status;
	return world_attribute(sampler->world, arena, &status, "%s", card->status) == 0 &&
	       strcmp(status, "suspended") == 0;
}

static void take_cards(struct sampler *sampler, struct arena *arena, struct readings *ret)
{
	for (size_t i = 0; i < sampler->n_cards; i++) {
		const struct card *card = &sampler->cards[i];
		/* a look must not wake it */
		bool asleep = is_asleep(sampler, card, arena);
		reading_add(ret, METRIC_GPU_INFO, 1, card->pci, card->driver, card->ids);
		reading_add(ret, METRIC_GPU_ASLEEP, asleep, card->pci, NULL, NULL);
		for (size_t j = 0; j < card->n && !asleep; j++) {
			const struct probe_file *file = &card->files[j];
			double value;
			if (number_of(sampler->world, file->path, arena, &value))
				reading_add(ret, file->metric, value * file->factor, file->pci, file->part, NULL);
		}
	}
}

/* ---- nodes ------------------------------------------------------------------------------- */

static bool card_sleeps(struct sampler *sampler, const char *pci)
{
	struct arena arena ARENA_SCOPED = { 0 };
	for (size_t i = 0; pci && i < sampler->n_cards; i++)
		if (strcmp(sampler->cards[i].pci, pci) == 0)
			return is_asleep(sampler, &sampler->cards[i], &arena);
	return false;
}

static struct node *node_of(struct sampler *sampler, const struct drm_node *like)
{
	for (unsigned i = 0; i < sampler->n_nodes; i++)
		if (strcmp(sampler->nodes[i].path, like->path) == 0)
			return &sampler->nodes[i];
	if (sampler->n_nodes == NODES_MAX || like->exists != YES)
		return NULL;
	struct node *node = &sampler->nodes[sampler->n_nodes++];
	*node = (struct node){ .opens = true };
	copy(node->path, sizeof node->path, like->path);
	copy(node->pci, sizeof node->pci, like->pci);
	return node;
}

static void nobody(void *data, int error, const char *what)
{
	(void)data;
	(void)error;
	(void)what;
}

/* The way a media server goes. NVIDIA's nvidiaN is left closed, and what sleeps too: opening would wake it. */
static void find_nodes(struct sampler *sampler)
{
	struct drm drm;
	drm_gather(sampler->world, false, &sampler->found, &drm, nobody, NULL);
	for (size_t i = 0; i < drm.n; i++) {
		bool opened = text_starts(drm.nodes[i].name, "renderD") ||
		              strcmp(drm.nodes[i].name, "nvidiactl") == 0 ||
		              strcmp(drm.nodes[i].name, "nvidia-uvm") == 0;
		struct node *node = opened ? node_of(sampler, &drm.nodes[i]) : NULL;
		if (node && !card_sleeps(sampler, node->pci))
			node->opens = world_probe_open(sampler->world, node->path) == 0;
	}
}

static void take_nodes(struct sampler *sampler, struct readings *ret)
{
	for (unsigned i = 0; i < sampler->n_nodes; i++) {
		struct node *node = &sampler->nodes[i];
		bool gone = world_exists(sampler->world, node->path) == NO;
		reading_add(ret, METRIC_NODE_UP, node->opens && !gone, node->pci, node->path, NULL);
	}
}

/* ---- engines, by fdinfo -------------------------------------------------------------------- */

static bool opens_a_card(struct world *world, int64_t pid, struct arena *arena)
{
	struct words names;
	const char *folder = arena_printf(arena, "/proc/%" PRId64 "/fd", pid), *link;
	if (world_list(world, folder, arena, &names) != 0)
		return false;
	for (size_t i = 0; i < names.n; i++)
		if (world_link(world, arena_printf(arena, "%s/%s", folder, names.word[i]), arena, &link) == 0 &&
		        text_starts(link, "/dev/dri/"))
			return true;
	return false;
}

/* All processes, each with what is known of it from before. A new one is looked at a few times: it opens its card a
 * moment after it began. Who opens one much later is found after the next sampler_find. */
static void list_processes(struct sampler *sampler, struct arena *keep, struct arena *arena)
{
	struct words names;
	struct process *old = sampler->processes;
	size_t n_old = sampler->n_processes, next = 0;
	sampler->processes = NULL;
	sampler->n_processes = 0;
	if (world_list(sampler->world, "/proc", arena, &names) != 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		uint64_t pid;
		if (!text_number(names.word[i], 10, INT32_MAX, &pid))
			continue;
		struct process process = { .pid = (int64_t)pid };
		/* both lists have one order: what is sought mostly stands where the search begins */
		for (size_t j = 0; j < n_old; j++)
			if (old[(next + j) % n_old].pid == process.pid) {
				next = (next + j) % n_old + 1;
				process = old[next - 1];
				break;
			}
		if (process.looks < LOOKS) {
			process.opener = opens_a_card(sampler->world, process.pid, arena);
			process.looks = process.opener ? LOOKS : process.looks + 1;
		}
		*arena_push(keep, sampler->processes, sampler->n_processes) = process;
	}
}

static struct total *total_of(struct sampler *sampler, const struct engine_seen *seen)
{
	for (unsigned i = 0; i < sampler->n_totals; i++)
		if (strcmp(sampler->totals[i].pci, seen->pci) == 0 &&
		        strcmp(sampler->totals[i].engine, seen->name) == 0)
			return &sampler->totals[i];
	if (sampler->n_totals == TOTALS_MAX)
		return NULL;
	struct total *total = &sampler->totals[sampler->n_totals++];
	copy(total->pci, sizeof total->pci, seen->pci);
	copy(total->engine, sizeof total->engine, seen->name);
	return total;
}

static const struct engine_seen *same_client(const struct engine_seen *list, size_t n, const struct engine_seen *like)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].client == like->client && strcmp(list[i].pci, like->pci) == 0 &&
		        strcmp(list[i].name, like->name) == 0)
			return &list[i];
	return NULL;
}

/* elapsed: nanoseconds since the last look. A client that was not there then cannot have worked for longer. */
static void count_client(struct sampler *sampler, const struct engine_seen *seen, double elapsed,
        const struct engine_seen *old, size_t n_old, struct arena *keep)
{
	if (seen->cycles || same_client(sampler->clients, sampler->n_clients, seen))
		return;
	const struct engine_seen *before = same_client(old, n_old, seen);
	struct total *total = total_of(sampler, seen);
	double more = (double)seen->busy - (before ? (double)before->busy : 0);
	if (!before && more > elapsed)
		more = elapsed;
	if (total && more > 0)
		total->ns += more;
	*arena_push(keep, sampler->clients, sampler->n_clients) = *seen;
}

static void take_engines(struct sampler *sampler, int64_t now_ms, struct arena *arena, struct readings *ret)
{
	struct arena *keep = &sampler->lists[sampler->turn ^= 1];
	const struct engine_seen *old = sampler->clients;
	size_t n_old = sampler->n_clients;
	double elapsed = sampler->looked_ms == UNKNOWN_NUMBER ? 0 : (double)(now_ms - sampler->looked_ms) * 1e6;
	arena_release(keep);
	list_processes(sampler, keep, arena);
	sampler->clients = NULL;
	sampler->n_clients = 0;
	for (size_t i = 0; i < sampler->n_processes; i++) {
		struct words names;
		const char *folder = arena_printf(arena, "/proc/%" PRId64 "/fdinfo", sampler->processes[i].pid);
		if (!sampler->processes[i].opener || world_list(sampler->world, folder, arena, &names) != 0)
			continue;
		for (size_t j = 0; j < names.n; j++) {
			struct bytes text;
			struct engine_meter meter = { 0 };
			if (world_read(sampler->world, arena_printf(arena, "%s/%s", folder, names.word[j]), FDINFO_MAX,
			            arena, &text) != 0 ||
			        !engine_read(text, &meter))
				continue;
			for (unsigned k = 0; k < meter.n; k++)
				count_client(sampler, &meter.seen[k], elapsed, old, n_old, keep);
		}
	}
	for (unsigned i = 0; i < sampler->n_totals; i++)
		reading_add(ret, METRIC_ENGINE_BUSY, sampler->totals[i].ns * 1e-9, sampler->totals[i].pci,
		        sampler->totals[i].engine, NULL);
}

/* ---- the whole ------------------------------------------------------------------------------ */

struct sampler *sampler_open(struct world *world, struct arena *arena)
{
	struct sampler *sampler = arena_new(arena, struct sampler);
	*sampler = (struct sampler){ .world = world, .looked_ms = UNKNOWN_NUMBER };
	return sampler;
}

void sampler_close(struct sampler *sampler)
{
	arena_release(&sampler->found);
	arena_release(&sampler->lists[0]);
	arena_release(&sampler->lists[1]);
}

void sampler_find(struct sampler *sampler)
{
	struct words names;
	arena_release(&sampler->found);
	sampler->cards = NULL;
	sampler->n_cards = 0;
	sampler->has_fdinfo = false;
	for (size_t i = 0; i < sampler->n_processes; i++)
		sampler->processes[i].looks = LOOKS - 1;
	if (world_list(sampler->world, "/sys/bus/pci/devices", &sampler->found, &names) == 0)
		for (size_t i = 0; i < names.n; i++)
			find_card(sampler, names.word[i]);
	find_zones(sampler);
	find_nodes(sampler);
}

void sampler_take(struct sampler *sampler, int64_t now_ms, struct readings *ret)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct bytes stat;
	if (world_read(sampler->world, "/proc/stat", STAT_MAX, &arena, &stat) == 0)
		sample_parse_cpu(stat, ret);
	take_zones(sampler, &arena, ret);
	take_cards(sampler, &arena, ret);
	take_nodes(sampler, ret);
	if (sampler->has_fdinfo)
		take_engines(sampler, now_ms, &arena, ret);
	sampler->looked_ms = now_ms;
}

void sample_nvml(const struct nvml_cards *cards, struct readings *ret)
{
	static const struct {
		enum metric metric;
		size_t member;
		double factor;
		const char *part;
	} rows[] = {
		{ METRIC_GPU_BUSY, offsetof(struct nvml_card, busy), 1e-2, NULL },
		{ METRIC_ENCODER_BUSY, offsetof(struct nvml_card, encoder), 1e-2, NULL },
		{ METRIC_DECODER_BUSY, offsetof(struct nvml_card, decoder), 1e-2, NULL },
		{ METRIC_ENCODER_SESSIONS, offsetof(struct nvml_card, sessions), 1, NULL },
		{ METRIC_GPU_MEMORY_USED, offsetof(struct nvml_card, memory_used), 1, NULL },
		{ METRIC_GPU_MEMORY, offsetof(struct nvml_card, memory), 1, NULL },
		{ METRIC_GPU_TEMPERATURE, offsetof(struct nvml_card, temperature), 1, "gpu" },
		{ METRIC_GPU_POWER, offsetof(struct nvml_card, milliwatts), 1e-3, NULL },
		{ METRIC_GPU_ENERGY, offsetof(struct nvml_card, millijoules), 1e-3, "gpu" },
	};
	for (unsigned i = 0; i < cards->n; i++) {
		const struct nvml_card *card = &cards->card[i];
		for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
			int64_t value = *(const int64_t *)(const void *)((const char *)card + rows[row].member);
			if (value != UNKNOWN_NUMBER)
				reading_add(ret, rows[row].metric, (double)value * rows[row].factor, card->pci,
				        rows[row].part, NULL);
		}
	}
}
