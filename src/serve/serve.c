/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The loop itself never reads a file of the machine, opens a node or asks a driver: whatever could hang is asked by a
 * child (worker.h), and its last answer is what is served, with its age.
 *
 *   machine  looks every few seconds, searches every minute (media/sample.h)
 *   nvml     the same of NVIDIA's cards, while there is such a library
 *   proof    runs when one is due, and soon after a node or NVML went or came (media/kept.h)
 */
#include "serve/serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "serve/http.h"
#include "serve/metrics.h"
#include "serve/worker.h"
#include "sys/clock.h"

enum {
	LOOK_MS = 5000,
	LOOKS_A_SEARCH = 12,
	SILENCE_MS = 20000, /* of who looks */
	STALE_S = 20,       /* of what was seen */
	PROOF_MS = 300000,  /* a proof that takes longer hangs */
	RESTART_MS = 5000,
	NVML_AGAIN_MS = 30000,
	ABSENT_AGAIN_MS = 600000,
	SOON_MS = 30000, /* between two proofs, whatever happens */
	WHY_ROOM = 512,
};

enum { MACHINE, NVML, PROOF, TASKS };

/* How a message begins. */
struct head {
	bool answers, absent;
	char why[WHY_ROOM];   /* where it does not answer */
	int64_t failed;       /* MACHINE: when hardware failed in a transcode; 0: it did not */
	char what[WHY_ROOM];
};

struct task {
	struct worker worker;
	int64_t next_ms; /* when it is started, while it does not run */
	/* the last message */
	struct head head;
	bool heard;
	int64_t seen;       /* seconds since 1970; UNKNOWN_NUMBER */
	struct arena arena; /* of what it said */
};

struct serve {
	const struct serve_options *options;
	struct task task[TASKS];
	struct readings readings[2]; /* of MACHINE and NVML */
	bool proven;
	struct proofs proofs;
	struct health_hardware hardware;
	int64_t since, proof_began_ms, proof_ms;
	uint64_t made, failed;
	struct http *http;
};

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

/* ---- in the children --------------------------------------------------------------------- */

static void tell(struct worker_end *end, const struct head *head, struct bytes rest)
{
	struct arena arena ARENA_SCOPED = { 0 };
	char *data = arena_alloc(&arena, sizeof *head + rest.size);
	memcpy(data, head, sizeof *head);
	if (rest.size)
		memcpy(data + sizeof *head, rest.data, rest.size);
	worker_tell(end, (struct bytes){ data, sizeof *head + rest.size });
}

static void tell_readings(struct worker_end *end, struct head head, const struct readings *readings)
{
	head.answers = true;
	tell(end, &head,
	        (struct bytes){ (const char *)readings->list, readings->n * sizeof *readings->list });
}

static void tell_why(struct worker_end *end, bool absent, const char *why)
{
	struct head head = { .absent = absent };
	snprintf(head.why, sizeof head.why, "%s", why);
	tell(end, &head, (struct bytes){ NULL, 0 });
}

/* The last one that is kept: by this user, or by who changes the node. */
static struct head last_failure(const struct serve_options *options, struct arena *arena)
{
	const char *const folders[] = { options->folder, options->told };
	struct head head = { 0 };
	struct kept_failure failure;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		/* one of the future is of a clock that was put back */
		if (!folders[i] || !kept_last_failure(folders[i], arena, &failure) || failure.when <= head.failed ||
		        failure.when > now_s())
			continue;
		head.failed = failure.when;
		snprintf(head.what, sizeof head.what, "%s", failure.what);
	}
	return head;
}

static void look_at_machine(struct worker_end *end, void *data)
{
	const struct serve *serve = data;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct world *world = world_open_root(NULL, false, &arena, &err);
	if (!world) {
		tell_why(end, false, err.text);
		return;
	}
	struct sampler *sampler = sampler_open(world, &arena);
	for (unsigned look = 0;; look++) {
		struct arena once ARENA_SCOPED = { 0 };
		struct readings readings = { .arena = &once };
		if (look % LOOKS_A_SEARCH == 0)
			sampler_find(sampler);
		sampler_take(sampler, clock_ms(), &readings);
		tell_readings(end, last_failure(serve->options, &once), &readings);
		worker_sleep(end, LOOK_MS);
	}
}

static void look_at_nvml(struct worker_end *end, void *data)
{
	const struct serve *serve = data;
	struct arena arena ARENA_SCOPED = { 0 };
	const char *why;
	bool absent;
	struct nvml_api *api = nvml_load(serve->options->nvml, &arena, &why, &absent);
	if (!api) {
		tell_why(end, absent, why);
		return;
	}
	for (;;) {
		struct arena once ARENA_SCOPED = { 0 };
		struct readings readings = { .arena = &once };
		struct nvml_cards cards;
		if (!nvml_read(api, &cards, &why)) {
			tell_why(end, false, why);
			return;
		}
		sample_nvml(&cards, &readings);
		tell_readings(end, (struct head){ 0 }, &readings);
		worker_sleep(end, LOOK_MS);
	}
}

static void no_blind(void *data, int error, const char *what)
{
	(void)data;
	(void)error;
	(void)what;
}

static const char *driver_of(const struct drm *drm, const char *pci)
{
	for (size_t i = 0; i < drm->n; i++)
		if (drm->nodes[i].pci && drm->nodes[i].driver && *pci && strcmp(drm->nodes[i].pci, pci) == 0)
			return drm->nodes[i].driver;
	return "";
}

bool serve_is_of(const struct proof *proof, const char *gpu, const struct drm *drm)
{
	static const struct {
		const char *driver, *gpu;
	} drivers[] = { { "i915", "intel" }, { "xe", "intel" }, { "amdgpu", "amd" }, { "radeon", "amd" },
		{ "nvidia", "nvidia" }, { "nouveau", "nvidia" } };
	const char *driver = driver_of(drm, proof->pci), *of = "";
	if (!gpu || strcmp(gpu, "auto") == 0 || strcmp(proof->way, media_ways[WAY_SOFTWARE].name) == 0)
		return true;
	if (strcmp(proof->pci, gpu) == 0)
		return true;
	if (strcmp(proof->way, media_ways[WAY_NVENC].name) == 0)
		of = "nvidia";
	else if (strcmp(proof->way, media_ways[WAY_QSV].name) == 0)
		of = "intel";
	for (size_t i = 0; !*of && i < sizeof drivers / sizeof *drivers; i++)
		if (strcmp(driver, drivers[i].driver) == 0)
			of = drivers[i].gpu;
	/* where no card is known, a failure may be this one's; a success is not to be counted as it */
	return strcmp(of, gpu) == 0 || (!*of && !*proof->pci && proof->works != YES);
}

/* A proof of before counts if it is not older than the next one would be. */
static void prove(struct worker_end *end, void *data)
{
	const struct serve *serve = data;
	const struct serve_options *options = serve->options;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct drm drm;
	struct kept_options how = { .ffmpeg = options->ffmpeg,
		.folder = options->folder,
		.renew = serve->made + serve->failed > 0,
		.proof.nvml = options->nvml };
	struct world *world = world_open_root(NULL, false, &arena, &err);
	const struct proofs *proofs = NULL;
	if (world) {
		drm_gather(world, false, &arena, &drm, no_blind, NULL);
		proofs = kept_proofs(world, &drm, &how, &arena, &err);
		how.renew = true;
		if (proofs && proofs->kept && now_s() - proofs->made > options->every_s)
			proofs = kept_proofs(world, &drm, &how, &arena, &err);
	}
	if (!proofs) {
		err_wrap(&err, "no proof can be made");
		tell_why(end, false, err.text);
		return;
	}
	struct proofs of = *proofs;
	of.n = 0;
	of.list = NULL;
	for (size_t i = 0; i < proofs->n; i++)
		if (serve_is_of(&proofs->list[i], options->gpu, &drm))
			*arena_push(&arena, of.list, of.n) = proofs->list[i];
	JSON_SCOPED json_t *document = json_document("proofs");
	proofs_put(document, &of);
	const char *text = json_print(&arena, document, false);
	tell(end, &(struct head){ .answers = true }, (struct bytes){ text, strlen(text) });
}

/* ---- what they said ----------------------------------------------------------------------- */

static void prove_by(struct serve *serve, int64_t ms)
{
	struct task *task = &serve->task[PROOF];
	int64_t least = serve->proof_began_ms + SOON_MS;
	ms = ms > least || !serve->proof_began_ms ? ms : least;
	if (ms < task->next_ms)
		task->next_ms = ms;
}

static const struct reading *like(const struct readings *readings, const struct reading *reading)
{
	for (size_t i = 0; i < readings->n; i++)
		if (readings->list[i].metric == reading->metric &&
		        memcmp(readings->list[i].label, reading->label, sizeof reading->label) == 0)
			return &readings->list[i];
	return NULL;
}

/* Did a node come or go? */
static bool nodes_differ(const struct readings *before, const struct readings *now)
{
	for (size_t i = 0; i < now->n; i++) {
		const struct reading *reading = &now->list[i];
		if (reading->metric != METRIC_NODE_UP)
			continue;
		const struct reading *other = like(before, reading);
		if (!other || (other->value > 0) != (reading->value > 0))
			return true;
	}
	return false;
}

static void take_readings(struct serve *serve, int which, struct bytes rest)
{
	struct task *task = &serve->task[which];
	struct arena arena = { 0 };
	struct readings readings = { .arena = &arena, .n = rest.size / sizeof(struct reading) };
	readings.list = arena_alloc(&arena, readings.n * sizeof *readings.list);
	if (readings.n)
		memcpy(readings.list, rest.data, readings.n * sizeof *readings.list);
	if (which == MACHINE && task->seen != UNKNOWN_NUMBER && nodes_differ(&serve->readings[which], &readings))
		prove_by(serve, clock_ms());
	arena_release(&task->arena);
	task->arena = arena;
	readings.arena = &task->arena;
	serve->readings[which] = readings;
}

static bool may_pass(const struct proofs *proofs)
{
	for (size_t i = 0; i < proofs->n; i++)
		if (proofs->list[i].kind == PROOF_ENCODE && proofs->list[i].passing)
			return true;
	return false;
}

static void take_proofs(struct serve *serve, struct bytes text)
{
	struct task *task = &serve->task[PROOF];
	struct arena arena = { 0 };
	struct proofs proofs;
	JSON_SCOPED json_t *document = NULL;
	if (!json_parse(text, "proof", NULL, &document) || !proofs_take(document, &arena, &proofs)) {
		arena_release(&arena);
		serve->failed++;
		return;
	}
	struct health_hardware hardware = health_of(&proofs, &serve->options->wish, &arena);
	if (!serve->proven || hardware.active != serve->hardware.active ||
	        strcmp(hardware.engine, serve->hardware.engine) != 0)
		serve->since = proofs.made;
	arena_release(&task->arena);
	task->arena = arena;
	serve->proofs = proofs;
	serve->hardware = hardware;
	serve->proven = true;
	serve->made++;
	serve->proof_ms = proofs.ms;
	if (hardware.active != YES && may_pass(&proofs))
		prove_by(serve, clock_ms() + 2 * SOON_MS);
}

static void take(struct serve *serve, int which, struct bytes message)
{
	struct task *task = &serve->task[which];
	bool answered = task->head.answers, heard = task->heard;
	int64_t failed = task->head.failed;
	if (message.size < sizeof task->head)
		return;
	memcpy(&task->head, message.data, sizeof task->head);
	task->head.why[WHY_ROOM - 1] = task->head.what[WHY_ROOM - 1] = '\0';
	task->heard = true;
	struct bytes rest = { message.data + sizeof task->head, message.size - sizeof task->head };
	if ((which == NVML && heard && answered != task->head.answers) || (heard && task->head.failed > failed))
		prove_by(serve, clock_ms());
	if (!task->head.answers) {
		serve->failed += which == PROOF;
		if (which == NVML)
			serve->readings[NVML].n = 0;
		return;
	}
	if (which == PROOF)
		take_proofs(serve, rest);
	else
		take_readings(serve, which, rest);
	task->seen = now_s();
}

/* When it is started again. */
static int64_t again_ms(const struct serve *serve, int which, int64_t now_ms)
{
	const struct task *task = &serve->task[which];
	switch (which) {
	case PROOF:
		return serve->proof_began_ms + 1000 * (int64_t)serve->options->every_s;
	case NVML:
		return now_ms + (task->head.absent ? ABSENT_AGAIN_MS : NVML_AGAIN_MS);
	default:
		return now_ms + RESTART_MS;
	}
}

static void ended(struct serve *serve, int which, enum worker_news news, int64_t now_ms)
{
	static const char *const hung[TASKS] = { [MACHINE] = "a file of a GPU or of the kernel hangs: it is asked anew",
		[NVML] = "NVIDIA's driver hangs",
		[PROOF] = "the proof hangs: it was ended" };
	struct task *task = &serve->task[which];
	int64_t next = again_ms(serve, which, now_ms);
	/* a proof that was asked for meanwhile stays asked for */
	task->next_ms = which == PROOF && task->next_ms < next ? task->next_ms : next;
	/* a proof ends when it is made; who looks ends when it said why it cannot */
	if (news == WORKER_ENDED && task->heard && (which == PROOF || !task->head.answers))
		return;
	if (which == NVML && task->head.answers)
		prove_by(serve, now_ms);
	if (which == NVML)
		serve->readings[NVML].n = 0;
	serve->failed += which == PROOF;
	task->head = (struct head){ 0 };
	snprintf(task->head.why, sizeof task->head.why, "%s",
	        news == WORKER_HUNG ? hung[which] : "what asks it ended unexpectedly");
	task->heard = true;
}

static void hear(struct serve *serve, int which)
{
	struct task *task = &serve->task[which];
	for (;;) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct bytes message;
		int64_t now_ms = clock_ms();
		enum worker_news news = worker_hear(&task->worker, now_ms, &arena, &message);
		if (news == WORKER_NOTHING)
			return;
		if (news == WORKER_MESSAGE)
			take(serve, which, message);
		else
			ended(serve, which, news, now_ms);
		http_changed(serve->http);
	}
}

static void start_due(struct serve *serve)
{
	for (int i = 0; i < TASKS; i++) {
		struct task *task = &serve->task[i];
		int64_t now_ms = clock_ms();
		if (task->worker.pid || task->next_ms > now_ms)
			continue;
		if (i == PROOF) {
			serve->proof_began_ms = now_ms;
			task->heard = false;
			task->next_ms = INT64_MAX;
		}
		if (!worker_start(&task->worker, now_ms))
			task->next_ms = now_ms + RESTART_MS;
	}
}

/* ---- what is told ---------------------------------------------------------------------------- */

struct sources {
	struct health_source list[2];
	struct kept_failure failure;
};

static struct health_state state_of(const struct serve *serve, struct sources *sources)
{
	static const char *const names[] = { [MACHINE] = "machine", [NVML] = "nvml" };
	const struct task *proof = &serve->task[PROOF];
	for (int i = MACHINE; i <= NVML; i++) {
		const struct task *task = &serve->task[i];
		sources->list[i] = (struct health_source){ .name = names[i],
			.seen = task->seen,
			.stale_after = STALE_S,
			.needed = i == MACHINE,
			.why = task->heard && !task->head.answers ? task->head.why : NULL,
			.absent = i == NVML && task->seen == UNKNOWN_NUMBER && (!task->heard || task->head.absent) };
	}
	const struct head *machine = &serve->task[MACHINE].head;
	sources->failure = (struct kept_failure){ machine->failed, machine->what };
	return (struct health_state){ .now = now_s(),
		.wanted = serve->options->wanted,
		.wanted_why = serve->options->wanted_why,
		.hardware = serve->hardware,
		.since = serve->since,
		.proven = serve->proven ? serve->proofs.made : UNKNOWN_NUMBER,
		.stale_after = 2 * (int64_t)serve->options->every_s + PROOF_MS / 1000,
		.proof_failed = proof->heard && !proof->head.answers ? proof->head.why : NULL,
		.fell_back = machine->failed ? &sources->failure : NULL,
		.sources = sources->list,
		.n_sources = 2,
		.readings = &serve->readings[MACHINE] };
}

static void make_health(void *data, struct arena *arena, struct http_answer *ret)
{
	struct sources sources;
	const struct health_state state = state_of(data, &sources);
	enum health_status status;
	JSON_SCOPED json_t *document = health_document(&state, arena, &status);
	const char *text = json_print(arena, document, true);
	*ret = (struct http_answer){ status == HEALTH_FAIL ? 503 : 200, "application/health+json",
		{ text, strlen(text) } };
}

static void own_readings(const struct serve *serve, struct arena *arena, struct readings *ret)
{
	struct sources sources;
	const struct health_state state = state_of(serve, &sources);
	enum health_status status;
	json_decref(health_document(&state, arena, &status));
	reading_add(ret, METRIC_BUILD, 1, GPUFERRY_VERSION, NULL, NULL);
	for (int i = HEALTH_PASS; i >= HEALTH_FAIL; i--)
		reading_add(
		        ret, METRIC_HEALTH, i == (int)status, health_status_name((enum health_status)i), NULL, NULL);
	if (state.wanted != UNKNOWN)
		reading_add(ret, METRIC_WANTED, state.wanted == YES, NULL, NULL, NULL);
	if (serve->proven) {
		if (serve->hardware.active != UNKNOWN)
			reading_add(ret, METRIC_ACTIVE, serve->hardware.active == YES, NULL, NULL, NULL);
		reading_add(ret, METRIC_PROOF_TIME, (double)serve->proofs.made, NULL, NULL, NULL);
		reading_add(ret, METRIC_PROOF_SECONDS, (double)serve->proof_ms / 1000, NULL, NULL, NULL);
	}
	reading_add(ret, METRIC_PROOFS, (double)serve->made, "made", NULL, NULL);
	reading_add(ret, METRIC_PROOFS, (double)serve->failed, "failed", NULL, NULL);
	for (size_t i = 0; serve->proven && i < serve->proofs.n; i++) {
		const struct proof *proof = &serve->proofs.list[i];
		const char *bits = proof->bits == 8 ? "8" : "10";
		if (proof->kind != PROOF_ENCODE || proof->listed != YES)
			continue;
		if (proof->works != UNKNOWN)
			reading_add(ret, METRIC_PROOF_WORKS, proof->works == YES, proof->name, bits, proof->device);
		if (proof->rung != RUNG_UNKNOWN)
			reading_add(ret, METRIC_PROOF_RUNG, proof->rung, proof->name, bits, proof->device);
	}
	for (size_t i = 0; i < 2; i++) {
		if (sources.list[i].absent)
			continue;
		bool up =
		        sources.list[i].seen != UNKNOWN_NUMBER && state.now - sources.list[i].seen <= STALE_S && !sources.list[i].why;
		reading_add(ret, METRIC_SOURCE_UP, up, sources.list[i].name, NULL, NULL);
		if (sources.list[i].seen != UNKNOWN_NUMBER)
			reading_add(ret, METRIC_SOURCE_TIME, (double)sources.list[i].seen, sources.list[i].name, NULL, NULL);
		reading_add(
		        ret, METRIC_SOURCE_STARTS, (double)serve->task[i].worker.starts, sources.list[i].name, NULL, NULL);
	}
	http_readings(serve->http, ret);
}

/* What is too old to be true of now is not told. */
static void make_metrics(void *data, struct arena *arena, struct http_answer *ret)
{
	const struct serve *serve = data;
	struct readings all = { .arena = arena };
	own_readings(serve, arena, &all);
	for (int i = MACHINE; i <= NVML; i++)
		for (size_t j = 0; j < serve->readings[i].n && now_s() - serve->task[i].seen <= STALE_S; j++)
			*arena_push(arena, all.list, all.n) = serve->readings[i].list[j];
	*ret = (struct http_answer){ 200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(&all, arena) };
}

static const struct http_page pages[] = {
	{ "/health", make_health },
	{ "/metrics", make_metrics },
	{ 0 },
};

/* ---- the loop ------------------------------------------------------------------------------- */

static int ms_left(const struct serve *serve)
{
	int64_t now_ms = clock_ms(), next = INT64_MAX;
	int http = http_timeout(serve->http);
	for (int i = 0; i < TASKS; i++) {
		const struct task *task = &serve->task[i];
		int64_t due = task->worker.pid ? worker_due(&task->worker) : task->next_ms;
		next = due < next ? due : next;
	}
	int64_t left = next <= now_ms ? 0 : next - now_ms;
	if (http >= 0 && http < left)
		left = http;
	return left > 60000 ? 60000 : (int)left;
}

static void loop(struct serve *serve, int signals)
{
	const struct worker *workers[TASKS];
	for (int i = 0; i < TASKS; i++)
		workers[i] = &serve->task[i].worker;
	for (;;) {
		start_due(serve);
		struct pollfd polls[2 + TASKS] = { { signals, POLLIN, 0 }, { http_fd(serve->http), POLLIN, 0 } };
		for (int i = 0; i < TASKS; i++)
			polls[2 + i] = (struct pollfd){ workers[i]->pid ? workers[i]->pipe : -1, POLLIN, 0 };
		if (poll(polls, 2 + TASKS, ms_left(serve)) < 0 && errno != EINTR)
			return;
		struct signalfd_siginfo info;
		while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
			if (info.ssi_signo != SIGCHLD)
				return;
			worker_sweep(workers, TASKS);
		}
		for (int i = 0; i < TASKS; i++)
			hear(serve, i);
		http_run(serve->http, clock_ms());
	}
}

static int catch_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void close_all(struct serve *serve)
{
	static const struct worker none = { .pipe = -1 };
	const struct worker *const nobody = &none;
	for (int i = 0; i < TASKS; i++) {
		worker_stop(&serve->task[i].worker);
		arena_release(&serve->task[i].arena);
	}
	worker_sweep(&nobody, 1);
	http_close(serve->http);
}

bool serve_run(const struct serve_options *options, void (*ready)(void *data, const char *where), void *data,
        struct arena *arena, struct err *err)
{
	static const struct worker workers[TASKS] = {
		[MACHINE] = { .name = "machine", .run = look_at_machine, .silence_ms = SILENCE_MS, .pipe = -1 },
		[NVML] = { .name = "nvml", .run = look_at_nvml, .silence_ms = SILENCE_MS, .pipe = -1 },
		[PROOF] = { .name = "proof", .run = prove, .silence_ms = PROOF_MS, .pipe = -1 },
	};
	struct listener listener;
	if (!listen_open(options->listen, arena, err, &listener))
		return false;
	struct serve *serve = arena_new(arena, struct serve);
	*serve = (struct serve){ .options = options, .since = UNKNOWN_NUMBER };
	for (int i = 0; i < TASKS; i++) {
		serve->task[i] = (struct task){ .worker = workers[i], .seen = UNKNOWN_NUMBER };
		serve->task[i].worker.data = serve;
	}
	serve->http = http_open(&listener, pages, serve, arena, err);
	if (!serve->http) {
		listen_close(&listener);
		return false;
	}
	int signals = catch_signals();
	worker_init();
	ready(data, listener.shown);
	loop(serve, signals);
	close(signals);
	close_all(serve);
	listen_close(&listener);
	return true;
}
