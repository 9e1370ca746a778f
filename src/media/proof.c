/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * In stages, each one many programs beside each other: the devices open and the software encodes; the devices scale and
 * encode a frame; every stream is decoded in software and held against the picture; what failed has a second try,
 * alone; the devices decode; what works encodes a clip, and its engines are looked at meanwhile.
 */
#include "media/proof.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/engine.h"
#include "sys/clock.h"
#include "sys/nvml.h"

enum {
	DEADLINE_MS = 15000, /* CUDA takes seconds where nothing keeps the card awake */
	NVML_MS = 2000,      /* it may have to wake a card too */
	AT_ONCE = 4,
	CLIPS_AT_ONCE = 2,
	STREAM_MAX = 1024 * 1024,
	/* Tenths of a decibel. Measured: another scaler 32 to 52 dB, the worst quality of H.264 30, JPEG's range 28;
	 * the same picture a second later 22, another one 7 to 12. */
	PSNR_LEAST = 250,
	/* Measured in thousandths, of luma: seven tone maps against what they were given 713 to 950, a hard clip 627; other
	 * pictures 263 at most; another range, which is a straight line, 999. Of chroma: the same maps 559 to 979. */
	LIKENESS_LEAST = 500,
	LIKENESS_MOST = 990,
	CHROMA_LEAST = 300,
};

/* ---- devices --------------------------------------------------------------------- */

static bool serves(enum media_node needs, const struct drm_node *node)
{
	bool render = text_starts(node->name, "renderD"),
	     intel = node->driver && (!strcmp(node->driver, "i915") || !strcmp(node->driver, "xe"));
	switch (needs) {
	case NODE_NEEDS_NVIDIA:
		return text_starts(node->name, "nvidia") && strlen(node->name) > 6 &&
		       strspn(node->name + 6, "0123456789") == strlen(node->name + 6);
	case NODE_NEEDS_RENDER:
		return render;
	case NODE_NEEDS_INTEL:
		return render && (intel || !node->driver);
	case NODE_NEEDS_NONE:
		break;
	}
	return false;
}

static int by_address(const void *left, const void *right)
{
	const struct drm_node *l = *(const struct drm_node *const *)left, *r = *(const struct drm_node *const *)right;
	const char *lp = l->pci ? l->pci : "", *rp = r->pci ? r->pci : "";
	int order = strcmp(lp, rp);
	return order ? order : strcmp(l->path, r->path);
}

struct media_device *proof_devices(const struct drm *drm, struct arena *arena, size_t *ret_n)
{
	struct media_device *devices = NULL;
	size_t n = 0;
	for (int way = 0; way < WAY_SOFTWARE; way++) {
		const struct drm_node **nodes = NULL;
		size_t n_nodes = 0, present = 0, first = n;
		for (size_t i = 0; i < drm->n; i++) {
			const struct drm_node *node = &drm->nodes[i];
			/* NVIDIA's VA-API driver decodes, if at all */
			bool nvidia = node->driver && strcmp(node->driver, "nvidia") == 0 && way == WAY_VAAPI;
			if (serves(media_ways[way].node, node) && !nvidia)
				*arena_push(arena, nodes, n_nodes) = node;
		}
		if (n_nodes)
			qsort(nodes, n_nodes, sizeof(struct drm_node *), by_address);
		for (size_t i = 0; i < n_nodes; i++) {
			/* CUDA counts those that it can open */
			unsigned index = (unsigned)present;
			present += nodes[i]->exists != NO;
			*arena_push(arena, devices, n) = (struct media_device){ (enum media_way)way, nodes[i]->path,
				nodes[i]->pci, index, false };
		}
		for (size_t i = first; i < n; i++)
			devices[i].several = way == WAY_NVENC && present > 1;
		if (n == first)
			*arena_push(arena, devices, n) = (struct media_device){ .way = (enum media_way)way };
	}
	*ret_n = n;
	return devices;
}

struct failure proof_node_failure(const char *node, int error, struct arena *arena)
{
	static const struct {
		int error;
		enum failure_kind kind;
		const char *id, *cause, *cure;
	} rows[] = {
		{ ENOENT, FAILURE_ABSENT, "node-missing", "is not here",
		        "hand it in; on the node itself the card's driver makes it" },
		{ EACCES, FAILURE_BROKEN, "node-denied", "may not be opened by this user",
		        "put the user into the group that owns it" },
		{ EPERM, FAILURE_BROKEN, "node-refused", "is refused by the device rules of this container",
		        "hand it in as a device: pct set --dev0, or devices in the compose file" },
		{ ENXIO, FAILURE_BROKEN, "node-dead", "is here, and no driver behind it",
		        "load the card's driver, on the machine whose kernel this is" },
		{ ENODEV, FAILURE_BROKEN, "node-dead", "is here, and no driver behind it",
		        "load the card's driver, on the machine whose kernel this is" },
		{ EIO, FAILURE_BROKEN, "node-io", "does not answer: the card has failed or fell off the bus",
		        "dmesg says more; a cold start may bring it back" },
		{ 0, FAILURE_BROKEN, "node-closed", "cannot be opened", "dmesg may say more" },
	};
	size_t i = 0;
	while (rows[i].error && rows[i].error != error)
		i++;
	return (struct failure){ rows[i].id, rows[i].kind, RUNG_NONE,
		arena_printf(arena, "%s %s", text_shown(arena, node), rows[i].cause), rows[i].cure, strerror(error) };
}

/* ---- pictures ---------------------------------------------------------------------- */

int64_t proof_psnr(struct bytes reference, struct bytes picture, unsigned bits)
{
	size_t bytes = bits > 8 ? 2 : 1;
	if (reference.size != PICTURE_SAMPLES || picture.size != PICTURE_SAMPLES * bytes)
		return UNKNOWN_NUMBER;
	const unsigned char *left = (const unsigned char *)reference.data, *right = (const unsigned char *)picture.data;
	uint64_t sum = 0;
	for (size_t i = 0; i < PICTURE_SAMPLES; i++) {
		int sample = bytes == 1 ? right[i] : (right[2 * i] | right[2 * i + 1] << 8) >> 2;
		int apart = left[i] - sample;
		sum += (uint64_t)((int64_t)apart * apart);
	}
	if (!sum)
		return 999;
	double psnr = 100 * log10(255.0 * 255.0 * PICTURE_SAMPLES / (double)sum);
	return psnr < 0 ? 0 : (int64_t)psnr;
}

int64_t proof_likeness(struct bytes reference, struct bytes picture, unsigned plane)
{
	enum { LUMA = PICTURE_WIDTH * PICTURE_HEIGHT };
	if (reference.size != PICTURE_SAMPLES || picture.size != PICTURE_SAMPLES)
		return UNKNOWN_NUMBER;
	int64_t n = plane ? LUMA / 4 : LUMA, l = 0, r = 0, ll = 0, rr = 0, lr = 0;
	size_t from = plane ? LUMA + (plane - 1) * LUMA / 4 : 0;
	const unsigned char *left = (const unsigned char *)reference.data + from,
	                    *right = (const unsigned char *)picture.data + from;
	for (int64_t i = 0; i < n; i++) {
		l += left[i];
		r += right[i];
		ll += left[i] * left[i];
		rr += right[i] * right[i];
		lr += left[i] * right[i];
	}
	double spread = sqrt((double)(n * ll - l * l)) * sqrt((double)(n * rr - r * r));
	return spread > 0 ? (int64_t)(1000 * (double)(n * lr - l * r) / spread) : UNKNOWN_NUMBER;
}

bool proof_is_played(struct bytes said)
{
	struct bytes line;
	for (size_t cursor = 0; text_line(said, &cursor, &line);) {
		if (!line.size || !memmem(line.data, line.size, " selected: ", 11))
			continue;
		static const char *const signs[] = { "(software)", "llvmpipe", "SwiftShader" };
		for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
			if (memmem(line.data, line.size, signs[i], strlen(signs[i])))
				return true;
	}
	return false;
}

/* ---- what is proven, and where ------------------------------------------------------- */

struct state { /* of one device; software has one too */
	struct media_device device;
	struct failure failure; /* why it does not start; cause NULL: it does */
	int rung;               /* shown so far */
	bool scales[2];         /* its scaler, of 8 and of 10 bits */
	bool opens, shut;       /* its own node; and is nothing tried on it therefore? */
	bool hung;
};

struct item {
	struct proof *proof;
	struct state *state;
	const struct media_encoder *encoder; /* ENCODE */
	const struct media_codec *codec;     /* ENCODE, DECODE */
	enum media_use use;                  /* FILTER */
	struct bytes stream;                 /* of it, until it was looked at; then only a good one */
	struct failure failed;               /* the first try's; cause and text NULL: it did not fail */
	bool again, plain;
};

struct runner {
	struct world *world;
	const struct ffmpeg *ffmpeg;
	struct proof_options options;
	struct arena *arena;
	struct bytes reference, hdr; /* the picture, and the film of one in HDR10 */
	struct state *states;
	size_t n_states;
	struct item *items;
	size_t n_items;
	bool earlier_stands;     /* of software */
	struct nvml_cards cards; /* as they were when the first limit was reached; n 0: not known */
	bool asked;
};

/* One program to be run for an item or a device. */
struct trial {
	enum probe probe;
	struct item *item; /* NULL: for the device, or for the reference */
	struct state *state;
	struct probe_for what;
	struct bytes input;
	struct world *world; /* CLIP: to look at it */
	struct engine_meter *meter;
	struct nvml *nvml; /* NULL: nobody looks there */
	int64_t pid;
	struct run_job job;
};

struct trials {
	struct trial *list;
	size_t n;
};

static struct trial *add(struct runner *runner, struct trials *trials, enum probe probe, struct item *item)
{
	struct trial *trial = arena_push(runner->arena, trials->list, trials->n);
	*trial = (struct trial){ .probe = probe, .item = item, .state = item ? item->state : NULL };
	trial->what.ffmpeg = runner->ffmpeg->path;
	if (item) {
		bool software = item->state->device.way == WAY_SOFTWARE;
		trial->what.device = software || probe == PROBE_CHECK ? NULL : &item->state->device;
		trial->what.encoder = probe == PROBE_CHECK ? NULL : item->encoder;
		trial->what.codec = item->codec;
		trial->what.bits = item->proof->bits;
		trial->what.again = item->again;
		trial->what.plain = item->plain;
		trial->what.use = item->use;
	}
	return trial;
}

static void look(void *data, int64_t pid)
{
	struct trial *trial = data;
	trial->pid = pid;
	engine_watch(trial->world, pid, trial->meter);
	if (trial->nvml)
		nvml_look(trial->nvml);
}

static void run(struct runner *runner, struct trials *trials, unsigned at_once)
{
	struct run_job *jobs = arena_alloc(runner->arena, trials->n * sizeof *jobs);
	for (size_t i = 0; i < trials->n; i++) {
		struct trial *trial = &trials->list[i];
		jobs[i].command = (struct command){
			.argv = probe_argv(trial->probe, &trial->what, runner->arena),
			.input = trial->input,
			.deadline_ms = runner->options.deadline_ms,
			.ends_with_us = true,
			.output_max = STREAM_MAX,
		};
		if (trial->meter) {
			jobs[i].watch = look;
			jobs[i].data = trial;
		}
	}
	if (trials->n)
		world_run_each(runner->world, jobs, trials->n, at_once, runner->arena);
	for (size_t i = 0; i < trials->n; i++) {
		struct trial *trial = &trials->list[i];
		trial->job = jobs[i];
		if (trial->state && !jobs[i].error && jobs[i].outcome.timed_out)
			trial->state->hung = true;
	}
}

/* ---- what came of it ------------------------------------------------------------------- */

static struct failure own_failure(
        const char *id, enum failure_kind kind, int reached, const char *cause, const char *cure)
{
	return (struct failure){ id, kind, reached, cause, cure, "" };
}

/* A limit of NVENC's has two causes, and its driver may tell which. */
static struct failure limit_of(struct runner *runner, const struct trial *trial, const struct failure *failure)
{
	const char *library = runner->options.nvml;
	if (failure->kind != FAILURE_LIMIT || !library)
		return *failure;
	if (!runner->asked && !nvml_ask(library, NVML_MS, &runner->cards))
		runner->cards.n = 0;
	runner->asked = true;
	return failure_limit(failure, &runner->cards, trial->state ? trial->state->device.pci : NULL, runner->arena);
}

/* Did the program itself end well? */
static bool ended_well(struct runner *runner, const struct trial *trial, struct failure *ret)
{
	struct arena *arena = runner->arena;
	const struct outcome *outcome = &trial->job.outcome;
	if (trial->job.error) {
		*ret = own_failure("not-run", FAILURE_UNKNOWN, RUNG_NONE,
		        arena_printf(arena, "ffmpeg was not run: %s", world_why(trial->job.error)), NULL);
		return false;
	}
	if (outcome->cut) {
		*ret = own_failure("flood", FAILURE_BROKEN, RUNG_LISTED, "it wrote far more than one frame has", NULL);
		return false;
	}
	if (outcome->status == 0)
		return true;
	struct failure failure = failure_of(outcome->status, outcome->timed_out, outcome->err, arena);
	*ret = limit_of(runner, trial, &failure);
	return false;
}

/* Held against the reference. */
static bool is_picture(struct runner *runner, struct bytes picture, struct proof *proof, struct failure *ret)
{
	struct arena *arena = runner->arena;
	proof->psnr = proof_psnr(runner->reference, picture, proof->bits);
	if (proof->psnr >= PSNR_LEAST)
		return true;
	const char *cause = "nothing is there to hold it against: the reference could not be made";
	enum failure_kind kind = FAILURE_BROKEN;
	if (runner->reference.size != PICTURE_SAMPLES)
		kind = FAILURE_UNKNOWN;
	else if (!picture.size)
		cause = "it claimed success and gave no picture";
	else if (proof->psnr != UNKNOWN_NUMBER)
		cause = arena_printf(arena, "what came back is not the picture it was given (PSNR %.1f dB)",
		        (double)proof->psnr / 10);
	else if (picture.size == PICTURE_SAMPLES * (proof->bits > 8 ? (size_t)1 : 2))
		cause = arena_printf(arena, "it made %u bits a sample where %u were asked for",
		        proof->bits > 8 ? 8 : 10, proof->bits);
	else
		cause = arena_printf(
		        arena, "what came back is no picture of the size asked for (%zu bytes)", picture.size);
	*ret = own_failure(
	        "picture", kind, RUNG_LISTED, cause, kind == FAILURE_UNKNOWN ? NULL : "another driver, or a newer one");
	return false;
}

/* A tone map's: other lights and darks, and the same picture all the same. Its PSNR would say nothing. */
static bool is_mapped(struct runner *runner, struct bytes picture, struct failure *ret)
{
	int64_t likeness = proof_likeness(runner->reference, picture, 0);
	bool alike = likeness >= LIKENESS_LEAST && proof_likeness(runner->reference, picture, 1) >= CHROMA_LEAST &&
	             proof_likeness(runner->reference, picture, 2) >= CHROMA_LEAST;
	if (alike && likeness <= LIKENESS_MOST)
		return true;
	*ret = own_failure("picture", runner->reference.size ? FAILURE_BROKEN : FAILURE_UNKNOWN, RUNG_LISTED,
	        !runner->reference.size ? "nothing is there to hold it against: the reference could not be made"
	        : !picture.size         ? "it claimed success and gave no picture"
	        : picture.size != PICTURE_SAMPLES
	                ? arena_printf(runner->arena, "what came back is no picture of the size asked for (%zu bytes)",
	                          picture.size)
	        : alike ? "it left the lights and darks of the picture as they were"
	                : "what came back is not the picture it was given",
	        "software maps the tones instead; another driver, or a newer one");
	return false;
}

static void fail(struct runner *runner, struct item *item, const struct failure *failure, int rung)
{
	struct proof *proof = item->proof;
	/* a row without a kind is the runner's own: it could not measure */
	bool open = failure->id && failure->kind == FAILURE_UNKNOWN;
	proof->works = failure->kind == FAILURE_LIMIT || open ? UNKNOWN : NO;
	proof->rung = rung;
	proof->reason = failure_kind_name(failure->kind);
	proof->why = failure_why(failure, runner->arena);
	proof->cure = failure->cure ? failure->cure : NONE;
	proof->passing = proof->works == UNKNOWN || (failure->id && strcmp(failure->id, "timeout") == 0);
	item->failed = *failure;
}

static void pass(struct item *item, int rung)
{
	struct proof *proof = item->proof;
	proof->works = YES;
	proof->rung = rung;
	proof->reason = proof->why = proof->cure = NONE;
	proof->passing = false;
	proof->options = item->again ? item->encoder->again : NONE;
}

/* How far up a device's own encoder, decoder or filter got when it failed: what its text says may still stand, and no
 * higher than where it was tried; where it says nothing, what the device itself showed. */
static int rung_of(const struct state *state, const struct failure *failure)
{
	if (state->device.way == WAY_SOFTWARE)
		return RUNG_NONE;
	if (failure->reached < RUNG_OPENS)
		return state->rung;
	return failure->reached < RUNG_LISTED ? failure->reached : RUNG_LISTED;
}

static bool is_ready(const struct state *state)
{
	return !state->failure.cause && !state->failure.text && !state->hung;
}

/* ---- stages ------------------------------------------------------------------------------ */

/* Opens the nodes: ffmpeg says the same of one that is missing and of one that is denied. */
static void open_nodes(struct runner *runner)
{
	for (size_t i = 0; i < runner->n_states; i++) {
		struct state *state = &runner->states[i];
		const struct media_device *device = &state->device;
		if (device->way == WAY_SOFTWARE)
			continue;
		if (!device->node) {
			if (!media_ways[device->way].bare)
				state->failure = own_failure("node-none", FAILURE_ABSENT, RUNG_NONE,
				        device->way == WAY_QSV ? "no render node of an Intel GPU is here"
				                               : "no render node of an Intel or AMD GPU is here",
				        "hand /dev/dri/renderD128 in; on the node itself the card's driver makes it");
			continue;
		}
		const char *const nodes[] = { device->node, device->way == WAY_NVENC ? "/dev/nvidiactl" : NULL,
			device->way == WAY_NVENC ? "/dev/nvidia-uvm" : NULL };
		int error = 0;
		for (size_t j = 0; j < 3 && nodes[j] && !error; j++) {
			error = world_probe_open(runner->world, nodes[j]);
			if (error)
				state->failure = proof_node_failure(nodes[j], error, runner->arena);
			state->opens |= !j && !error;
		}
		if (!error)
			state->rung = RUNG_OPENS;
	}
}

/* CUDA counts the cards whose nodes open: a card whose node does not has no number, and what would be tried on it would
 * run on another one. Where none opens they are left as they are: a helper of NVIDIA's driver may make the nodes when
 * CUDA starts. */
static void shut_or_count(struct runner *runner)
{
	unsigned cards = 0, next = 0;
	for (size_t i = 0; i < runner->n_states; i++)
		cards += runner->states[i].device.way == WAY_NVENC && runner->states[i].opens;
	for (size_t i = 0; i < runner->n_states; i++) {
		struct state *state = &runner->states[i];
		if (state->device.way != WAY_NVENC) {
			state->shut = state->failure.cause;
		} else if (cards) {
			state->shut = !state->opens;
			state->device.index = next;
			state->device.several = cards > 1;
			next += state->opens;
		}
	}
}

/* Is anything of this device's to be tried? */
static bool is_wanted(const struct runner *runner, const struct state *state)
{
	for (size_t i = 0; i < runner->n_items; i++)
		if (runner->items[i].state == state && runner->items[i].proof->listed == YES)
			return true;
	return false;
}

static void device_started(struct runner *runner, struct state *state, const struct trial *trial)
{
	struct failure failure, closed = state->failure;
	state->failure = (struct failure){ 0 };
	if (!ended_well(runner, trial, &failure)) {
		/* a node that does not open explains more */
		state->failure = closed.cause ? closed : failure;
		if (state->rung >= RUNG_OPENS && failure.reached > state->rung)
			state->rung = failure.reached < RUNG_LOADS ? failure.reached : RUNG_LOADS;
	} else if (state->device.way == WAY_VULKAN && proof_is_played(trial->job.outcome.err)) {
		state->failure = own_failure("vulkan-played", FAILURE_ABSENT, RUNG_NONE,
		        "the only Vulkan device is played by the processor: it is no GPU",
		        "the card's own Vulkan driver: mesa-vulkan-drivers, or NVIDIA's with graphics among its "
		        "capabilities");
	} else {
		state->rung = RUNG_STARTS;
	}
}

static bool is_encode(const struct item *item, bool software)
{
	return item->proof->kind == PROOF_ENCODE && item->proof->listed == YES &&
	       (item->state->device.way == WAY_SOFTWARE) == software;
}

/* An encoder's stream, or a filter's picture. */
static void take(struct runner *runner, const struct trial *trial)
{
	struct item *item = trial->item;
	struct failure failure;
	item->proof->ms = trial->job.ms;
	item->stream = (struct bytes){ 0 };
	if (!ended_well(runner, trial, &failure)) {
		fail(runner, item, &failure, rung_of(item->state, &failure));
	} else if (item->proof->kind == PROOF_ENCODE) {
		item->stream = trial->job.outcome.out;
		failure = own_failure("empty", FAILURE_BROKEN, RUNG_LISTED, "it claimed success and gave no stream",
		        "another driver, or another ffmpeg");
		if (!item->stream.size)
			fail(runner, item, &failure, rung_of(item->state, &failure));
	} else if (item->use == USE_TONE_MAP ? is_mapped(runner, trial->job.outcome.out, &failure)
	                                     : is_picture(runner, trial->job.outcome.out, item->proof, &failure)) {
		pass(item, RUNG_FRAME);
		if (item->proof->kind == PROOF_FILTER && item->use == USE_SCALE)
			item->state->scales[item->proof->bits > 8] = true;
	} else {
		fail(runner, item, &failure, rung_of(item->state, &failure));
	}
}

/* What an earlier proof says of it; NULL: nothing good. */
static const struct proof *shown_before(const struct runner *runner, const struct item *item)
{
	const struct proofs *earlier = runner->options.earlier;
	for (size_t i = 0; earlier && is_encode(item, true) && i < earlier->n; i++)
		if (earlier->list[i].kind == PROOF_ENCODE && earlier->list[i].works == YES &&
		        strcmp(earlier->list[i].name, item->proof->name) == 0 && earlier->list[i].bits == item->proof->bits)
			return &earlier->list[i];
	return NULL;
}

/* Is there a device that is to decode what an encoder made? */
static bool some_decode(const struct runner *runner)
{
	for (size_t i = 0; i < runner->n_items; i++)
		if (runner->items[i].proof->kind == PROOF_DECODE && runner->items[i].proof->listed == YES &&
		        runner->items[i].state->rung >= RUNG_STARTS && is_ready(runner->items[i].state))
			return true;
	return false;
}

static void take_earlier(struct runner *runner)
{
	struct trials trials = { 0 };
	bool again = some_decode(runner);
	for (size_t i = 0; i < runner->n_items; i++) {
		struct item *item = &runner->items[i];
		const struct proof *before = shown_before(runner, item);
		if (before && again) {
			add(runner, &trials, PROBE_ENCODE, item);
		} else if (before) {
			*item->proof = *before;
			runner->earlier_stands = true;
		}
	}
	run(runner, &trials, runner->options.at_once);
	for (size_t i = 0; i < trials.n; i++)
		take(runner, &trials.list[i]);
}

/* Does a tone map of one of the devices want it? */
static bool wants_hdr(const struct runner *runner)
{
	bool wanted = false;
	for (size_t i = 0; i < runner->n_items; i++) {
		const struct item *item = &runner->items[i];
		wanted |= item->use == USE_TONE_MAP && item->proof->listed == YES && !item->state->shut &&
		          media_ways[item->state->device.way].mastered;
	}
	return wanted && ffmpeg_lists(&runner->ffmpeg->encoders, "libx265");
}

static void start(struct runner *runner)
{
	struct trials trials = { 0 };
	add(runner, &trials, PROBE_REFERENCE, NULL);
	if (wants_hdr(runner))
		add(runner, &trials, PROBE_HDR, NULL);
	for (size_t i = 0; i < runner->n_states; i++) {
		struct state *state = &runner->states[i];
		if (state->device.way == WAY_SOFTWARE || state->shut || !is_wanted(runner, state))
			continue;
		struct trial *trial = add(runner, &trials, PROBE_INIT, NULL);
		trial->state = state;
		trial->what.device = &state->device;
	}
	for (size_t i = 0; i < runner->n_items; i++)
		if (is_encode(&runner->items[i], true) && !shown_before(runner, &runner->items[i]))
			add(runner, &trials, PROBE_ENCODE, &runner->items[i]);
	run(runner, &trials, runner->options.at_once);
	for (size_t i = 0; i < trials.n; i++) {
		const struct trial *trial = &trials.list[i];
		if (trial->item)
			take(runner, trial);
		else if (trial->state)
			device_started(runner, trial->state, trial);
		else if (!trial->job.error && trial->job.outcome.status == 0)
			*(trial->probe == PROBE_HDR ? &runner->hdr : &runner->reference) = trial->job.outcome.out;
	}
}

static void try_filter(struct runner *runner, struct trials *trials, struct item *item)
{
	bool mastered = item->use == USE_TONE_MAP && media_ways[item->state->device.way].mastered;
	if (!mastered) {
		add(runner, trials, PROBE_FILTER, item);
	} else if (runner->hdr.size) {
		add(runner, trials, PROBE_MASTERED, item)->input = runner->hdr;
	} else {
		item->proof->rung = item->state->rung;
		item->proof->reason = failure_kind_name(FAILURE_BUILD);
		item->proof->why = "no HDR10 film to map: this ffmpeg makes none here";
		item->proof->cure = "an ffmpeg with libx265 can show whether it works";
	}
}

static void work(struct runner *runner)
{
	struct trials trials = { 0 };
	for (size_t i = 0; i < runner->n_items; i++) {
		struct item *item = &runner->items[i];
		if (!is_ready(item->state) || item->proof->listed != YES)
			continue;
		if (item->proof->kind == PROOF_FILTER)
			try_filter(runner, &trials, item);
		else if (is_encode(item, false))
			add(runner, &trials, PROBE_ENCODE, item);
	}
	run(runner, &trials, runner->options.at_once);
	for (size_t i = 0; i < trials.n; i++)
		take(runner, &trials.list[i]);
}

/* The decoder that looks at a stream; *ret NULL: the program's own choice. False: it has none. */
static bool choose_decoder(
        const struct ffmpeg *ffmpeg, const struct media_codec *codec, struct arena *arena, const char **ret)
{
	struct words names = text_split(arena, codec->software, " ");
	for (size_t i = 0; i < names.n; i++)
		if (ffmpeg_lists(&ffmpeg->decoders, names.word[i])) {
			*ret = names.word[i];
			return true;
		}
	return false;
}

/* Every stream that nobody looked at yet. */
static void check(struct runner *runner)
{
	struct trials trials = { 0 };
	for (size_t i = 0; i < runner->n_items; i++) {
		struct item *item = &runner->items[i];
		const char *decoder;
		if (item->proof->kind != PROOF_ENCODE || !item->stream.size || item->proof->works != UNKNOWN ||
		        item->proof->rung != RUNG_UNKNOWN)
			continue;
		if (choose_decoder(runner->ffmpeg, item->codec, runner->arena, &decoder)) {
			struct trial *trial = add(runner, &trials, PROBE_CHECK, item);
			trial->what.decoder = decoder;
			trial->input = item->stream;
			trial->state = NULL; /* it is not the device that hangs here */
			continue;
		}
		item->proof->rung = rung_of(item->state, &(struct failure){ "unseen", .reached = RUNG_LISTED });
		item->proof->reason = failure_kind_name(FAILURE_BUILD);
		item->proof->why = "it gave a stream, and this ffmpeg has no decoder to look at it";
		item->proof->cure = NONE;
	}
	run(runner, &trials, runner->options.at_once);
	for (size_t i = 0; i < trials.n; i++) {
		struct item *item = trials.list[i].item;
		struct failure failure;
		if (!ended_well(runner, &trials.list[i], &failure))
			failure = own_failure("stream", FAILURE_BROKEN, RUNG_LISTED,
			        arena_printf(runner->arena, "its stream cannot be decoded: %s",
			                failure_why(&failure, runner->arena)),
			        "another driver, or a newer one");
		else if (is_picture(runner, trials.list[i].job.outcome.out, item->proof, &failure)) {
			pass(item, RUNG_FRAME);
			continue;
		}
		item->stream = (struct bytes){ 0 };
		fail(runner, item, &failure, rung_of(item->state, &failure));
	}
}

/* What failed on a device, once more and alone: without the scaler where that does not work, or only because another
 * one had the last session; then `again`, with the options that some hardware wants. The first failure stands unless
 * this one passes, or gets further. */
static void try_again(struct runner *runner, bool again)
{
	struct trials trials = { 0 };
	struct proof *before = arena_alloc(runner->arena, runner->n_items * sizeof *before);
	for (size_t i = 0; i < runner->n_items; i++) {
		struct item *item = &runner->items[i];
		bool failed = is_encode(item, false) && is_ready(item->state) && item->proof->works != YES;
		bool scales = item->state->scales[item->proof->bits > 8], limit = item->failed.kind == FAILURE_LIMIT;
		if (!failed || !item->failed.text || (again ? !item->encoder->again || limit : scales && !limit))
			continue;
		before[i] = *item->proof;
		item->plain = !scales;
		item->again = again;
		item->proof->works = UNKNOWN;
		item->proof->rung = RUNG_UNKNOWN;
		add(runner, &trials, PROBE_ENCODE, item);
	}
	run(runner, &trials, 1);
	for (size_t i = 0; i < trials.n; i++)
		take(runner, &trials.list[i]);
	check(runner);
	for (size_t i = 0; i < runner->n_items; i++)
		/* without the scaler it was the encoder itself that failed */
		if (before[i].name && runner->items[i].proof->works != YES &&
		        runner->items[i].proof->rung < before[i].rung + again)
			*runner->items[i].proof = before[i];
}

static struct bytes material(const struct runner *runner, const struct item *wanted)
{
	for (int software = 1; software >= 0; software--)
		for (size_t i = 0; i < runner->n_items; i++) {
			const struct item *item = &runner->items[i];
			if (is_encode(item, software) && item->proof->works == YES && item->stream.size &&
			        item->codec == wanted->codec && item->proof->bits == wanted->proof->bits)
				return item->stream;
		}
	return (struct bytes){ 0 };
}

static void decode(struct runner *runner)
{
	struct trials trials = { 0 };
	for (size_t i = 0; i < runner->n_items; i++) {
		struct item *item = &runner->items[i];
		if (item->proof->kind != PROOF_DECODE || item->proof->listed != YES || !is_ready(item->state))
			continue;
		struct bytes stream = material(runner, item);
		if (stream.size) {
			add(runner, &trials, PROBE_DECODE, item)->input = stream;
			continue;
		}
		item->proof->rung = item->state->rung;
		item->proof->reason = failure_kind_name(FAILURE_BUILD);
		item->proof->why = "no stream to decode: no encoder of this ffmpeg makes one here";
		item->proof->cure = NONE;
	}
	run(runner, &trials, runner->options.at_once);
	for (size_t i = 0; i < trials.n; i++)
		take(runner, &trials.list[i]);
}

static void clip_ended(struct runner *runner, const struct trial *trial)
{
	struct item *item = trial->item;
	struct proof *proof = item->proof;
	struct failure failure;
	struct engine_use use = engine_use(trial->meter, item->state->device.pci);
	if (!ended_well(runner, trial, &failure)) {
		enum tri works = failure.kind == FAILURE_LIMIT ? YES : NO; /* the frame was encoded a moment ago */
		fail(runner, item, &failure, RUNG_FRAME);
		proof->works = works;
		return;
	}
	if (use.busy == UNKNOWN && trial->nvml) {
		use.busy = nvml_busy(trial->nvml, trial->pid);
		use.name = use.busy == YES ? "nvenc" : NULL;
	}
	if (use.busy == UNKNOWN) {
		const char *why = trial->nvml ? nvml_why(trial->nvml) : NULL;
		proof->reason = failure_kind_name(FAILURE_UNKNOWN);
		proof->why = arena_printf(runner->arena,
		        "the frame is right; what the card's engines did for it cannot be seen here%s%s",
		        why ? ": " : "", why ? why : "");
		return;
	}
	proof->engine = use.name;
	proof->engine_ms = use.ms;
	if (use.busy == YES) {
		proof->rung = RUNG_ENGINE;
		return;
	}
	failure = own_failure("idle", FAILURE_BROKEN, RUNG_FRAME,
	        "no encoder engine of the card worked while it encoded: the processor did it",
	        "the card's own driver: what is loaded plays one");
	fail(runner, item, &failure, RUNG_FRAME);
}

static void clips(struct runner *runner)
{
	struct trials trials = { 0 };
	struct nvml *nvml = NULL;
	for (size_t i = 0; i < runner->n_items; i++) {
		struct item *item = &runner->items[i];
		if (!is_encode(item, false) || item->proof->works != YES || !is_ready(item->state))
			continue;
		bool nvidia = item->state->device.way == WAY_NVENC && runner->options.nvml;
		if (nvidia && !nvml)
			nvml = nvml_open(runner->options.nvml, runner->arena);
		struct trial *trial = add(runner, &trials, PROBE_CLIP, item);
		trial->world = runner->world;
		trial->meter = arena_new(runner->arena, struct engine_meter);
		trial->nvml = nvidia ? nvml : NULL;
	}
	run(runner, &trials, CLIPS_AT_ONCE);
	if (nvml)
		nvml_look(nvml);
	for (size_t i = 0; i < trials.n; i++)
		clip_ended(runner, &trials.list[i]);
	if (nvml)
		nvml_close(nvml);
}

/* ---- the list ------------------------------------------------------------------------------ */

static struct item *add_item(struct runner *runner, struct state *state, enum proof_kind kind, const char *name,
        const struct media_codec *codec, unsigned bits, bool listed, const struct media_encoder *encoder)
{
	const struct media_device *device = &state->device;
	struct item *item = arena_push(runner->arena, runner->items, runner->n_items);
	item->state = state;
	item->codec = codec;
	item->encoder = encoder;
	item->proof = arena_new(runner->arena, struct proof);
	*item->proof = (struct proof){
		.kind = kind,
		.name = name,
		.codec = codec ? codec->name : NONE,
		.bits = bits,
		.way = media_ways[device->way].name,
		.device = device->node ? device->node : NONE,
		.pci = device->pci ? device->pci : NONE,
		.listed = tri_of(listed),
		.rung = RUNG_UNKNOWN,
		.options = NONE,
		.reason = NONE,
		.why = NONE,
		.cure = NONE,
		.ms = UNKNOWN_NUMBER,
		.psnr = UNKNOWN_NUMBER,
		.engine_ms = UNKNOWN_NUMBER,
		.use = NONE,
	};
	return item;
}

static void list_encoders(struct runner *runner)
{
	for (int way = 0; way < WAYS; way++)
		for (size_t i = 0; i < runner->n_states; i++)
			for (const struct media_encoder *row = media_encoders; row->name; row++)
				if ((int)runner->states[i].device.way == way && (int)row->way == way)
					add_item(runner, &runner->states[i], PROOF_ENCODE, row->name,
					        media_codec(row->codec), row->bits,
					        ffmpeg_lists(&runner->ffmpeg->encoders, row->name), row);
}

/* Of the codecs that software encodes too, so that there is something to decode. */
static void list_decoders(struct runner *runner, struct state *state)
{
	const struct media_way_row *way = &media_ways[state->device.way];
	const struct ffmpeg *ffmpeg = runner->ffmpeg;
	for (const struct media_encoder *row = media_encoders; row->name; row++) {
		if (row->way != WAY_SOFTWARE)
			continue;
		const struct media_codec *codec = media_codec(row->codec);
		const char *name = media_decoder(way, codec, runner->arena);
		bool listed = ffmpeg_lists(&ffmpeg->decoders, name) && ffmpeg_lists(&ffmpeg->hwaccels, way->hwaccel);
		add_item(runner, state, PROOF_DECODE, name, codec, row->bits, listed, NULL);
	}
}

static void list_filters(struct runner *runner, struct state *state)
{
	static const struct {
		enum media_use use;
		unsigned bits; /* of what it is given */
	} rows[] = { { USE_SCALE, 8 }, { USE_SCALE, 10 }, { USE_TONE_MAP, 10 }, { USE_DEINTERLACE, 8 }, { USE_DEINTERLACE, 10 } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *filter = media_filter(&media_ways[state->device.way], rows[i].use);
		if (!filter)
			continue;
		const char *name = arena_strndup(runner->arena, filter, strcspn(filter, "="));
		struct item *item = add_item(runner, state, PROOF_FILTER, name, NULL, rows[i].bits,
		        ffmpeg_lists(&runner->ffmpeg->filters, name), NULL);
		item->use = rows[i].use;
		item->proof->use = media_uses[rows[i].use];
	}
}

static void list_items(struct runner *runner)
{
	list_encoders(runner);
	for (size_t i = 0; i < runner->n_states; i++)
		if (runner->states[i].device.way != WAY_SOFTWARE)
			list_decoders(runner, &runner->states[i]);
	for (size_t i = 0; i < runner->n_states; i++)
		if (runner->states[i].device.way != WAY_SOFTWARE)
			list_filters(runner, &runner->states[i]);
	for (size_t i = 0; i < runner->n_items; i++) { /* the scaler of a device that has none is not used */
		struct item *item = &runner->items[i];
		const char *scale = media_ways[item->state->device.way].scale;
		item->plain = scale && !ffmpeg_lists(&runner->ffmpeg->filters, scale);
	}
}

/* Of what no program was run for, the reason. */
static void explain(struct runner *runner, struct item *item)
{
	static const char *const what[] = { "encoder", "decoder", "filter" };
	struct proof *proof = item->proof;
	const struct state *state = item->state;
	if (proof->rung != RUNG_UNKNOWN)
		return;
	if (proof->listed == NO) {
		proof->works = NO;
		proof->rung = RUNG_NONE;
		proof->reason = failure_kind_name(FAILURE_BUILD);
		proof->why = arena_printf(runner->arena, "this ffmpeg was built without the %s", what[proof->kind]);
		proof->cure = "another ffmpeg: jellyfin-ffmpeg has NVENC, QSV and VA-API for all codecs";
	} else if (state->failure.cause || state->failure.text) {
		fail(runner, item, &state->failure, state->rung);
	} else {
		proof->reason = failure_kind_name(FAILURE_UNKNOWN);
		proof->passing = true;
		proof->why = state->hung ? "not tried: the device gave no answer before" : "not tried";
		proof->cure = NONE;
	}
}

struct proofs *proofs_run(struct world *world, const struct drm *drm, const struct ffmpeg *ffmpeg,
        const struct proof_options *options, struct arena *arena)
{
	int64_t began = clock_ms();
	struct runner runner = { .world = world, .ffmpeg = ffmpeg, .options = *options, .arena = arena };
	if (!runner.options.deadline_ms)
		runner.options.deadline_ms = DEADLINE_MS;
	if (!runner.options.at_once)
		runner.options.at_once = AT_ONCE;
	size_t n;
	struct media_device *devices = proof_devices(drm, arena, &n);
	runner.states = arena_alloc(arena, (n + 1) * sizeof *runner.states);
	runner.n_states = n + 1;
	for (size_t i = 0; i <= n; i++)
		runner.states[i] = (struct state){
			.device = i < n ? devices[i] : (struct media_device){ .way = WAY_SOFTWARE },
			.rung = RUNG_NONE,
		};
	list_items(&runner);
	open_nodes(&runner);
	shut_or_count(&runner);
	start(&runner);
	take_earlier(&runner);
	work(&runner);
	check(&runner);
	try_again(&runner, false);
	try_again(&runner, true);
	decode(&runner);
	clips(&runner);
	struct proofs *proofs = arena_new(arena, struct proofs);
	*proofs = (struct proofs){
		.ffmpeg = ffmpeg->path,
		.version = ffmpeg->version,
		.origin = ffmpeg->origin,
		.identity = ffmpeg->identity,
		.filters = ffmpeg->filters,
		.list = arena_alloc(arena, runner.n_items * sizeof *proofs->list),
		.n = runner.n_items,
		.made = world_now(world),
	};
	proofs->software_made = runner.earlier_stands ? options->earlier->software_made : proofs->made;
	for (size_t i = 0; i < runner.n_items; i++) {
		explain(&runner, &runner.items[i]);
		proofs->list[i] = *runner.items[i].proof;
	}
	proofs->ms = clock_ms() - began;
	return proofs;
}
