/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What routes say, gathered: steps by phase, words and files that several repairs want, refusals, gates, notes.
 */
#include "plan/route.h"

#include <string.h>

#include "base/digest.h"
#include "rules/check.h"

/* ---- steps ---- */

bool plan_running(const struct guest *guest)
{
	return guest && guest->status && strcmp(guest->status, "running") == 0;
}

const char *plan_sum(struct bytes bytes, struct arena *arena)
{
	return arena_printf(arena, "sha256:%s", digest_sha256(bytes, arena));
}

static const char *sum_of(const char *text, struct arena *arena)
{
	return plan_sum((struct bytes){ text, strlen(text) }, arena);
}

static struct phased *find(
        const struct route *route, enum phase phase, const char *kind, const char *on, const char *key)
{
	for (size_t i = 0; i < route->n_steps; i++) {
		struct phased *have = route->steps[i];
		if (have->phase == phase && strcmp(have->step.kind, kind) == 0 && strcmp(have->step.on, on) == 0 &&
		        strcmp(have->step.key, key) == 0)
			return have;
	}
	return NULL;
}

bool route_has(const struct route *route, const char *kind)
{
	for (size_t i = 0; i < route->n_steps; i++)
		if (strcmp(route->steps[i]->step.kind, kind) == 0)
			return true;
	return false;
}

/* A file says its old state as a sum, its new one as the bytes. */
static bool is_so(struct route *route, const struct step *step)
{
	if (!step->from)
		return false;
	if (strcmp(step->kind, "file") == 0 && *step->to)
		return strcmp(step->from, sum_of(step->to, route->arena)) == 0;
	return strcmp(step->from, step->to) == 0;
}

static struct step *push(struct route *route, enum phase phase, const struct step *step)
{
	struct phased *have = find(route, phase, step->kind, step->on, step->key);
	const struct plan_kind *kind = plan_kind(step->kind);
	if (have) {
		if (strcmp(have->step.to, step->to) != 0)
			route_refuse(route, step->because, NULL, "two rules want different things of %s: %s and %s",
			        step->key, have->step.because, step->because);
		return &have->step;
	}
	struct phased *phased = arena_new(route->arena, struct phased);
	phased->phase = phase;
	phased->step = *step;
	phased->step.undo = kind ? kind->undo : UNDO_UNKNOWN;
	if ((kind && kind->derived) || !is_so(route, step))
		*arena_push(route->arena, route->steps, route->n_steps) = phased;
	return &phased->step;
}

static struct step *vpush(struct route *route, enum phase phase, struct step step, const char *title, va_list args)
        __attribute__((format(printf, 4, 0)));
static struct step *vpush(struct route *route, enum phase phase, struct step step, const char *title, va_list args)
{
	step.title = text_shown(route->arena, arena_vprintf(route->arena, title, args));
	step.interrupts = NONE;
	return push(route, phase, &step);
}

struct step *route_step(struct route *route, enum phase phase, const char *kind, const char *on, const char *key,
        const char *from, const char *to, const char *because, const char *title, ...)
{
	va_list args;
	va_start(args, title);
	struct step *step = vpush(route, phase,
	        (struct step){ .kind = kind, .on = on, .key = key, .from = from, .to = to, .because = because }, title,
	        args);
	va_end(args);
	return step;
}

struct step *route_link(struct route *route, enum phase phase, const char *because, const char *path, const char *to)
{
	return route_step(route, phase, "link", "node", path, boot_there(&route->facts->boot, path) == NO ? NONE : NULL,
	        to, because, "%s %s", *to ? "link" : "take away", strrchr(path, '/') + 1);
}

/* ---- files ---- */

const char *route_file_now(struct route *route, const char *path)
{
	const struct boot_file *file = boot_file_at(&route->facts->boot, path);
	if (file)
		return file->error ? NULL : plan_sum(file->data, route->arena);
	return boot_there(&route->facts->boot, path) == NO ? NONE : NULL;
}

struct step *route_folder(struct route *route, enum phase phase, const char *because, const char *path)
{
	enum tri there = boot_there(&route->facts->boot, path);
	struct step *step = route_step(route, phase, "directory", "node", path,
	        there == YES  ? "there"
	        : there == NO ? NONE
	                      : NULL,
	        "there", because, "have the folder %s",
	        text_starts(path, PLAN_SYSTEMD) ? path + strlen(PLAN_SYSTEMD) : path);
	step->mode = 0755;
	return step;
}

/* Programs that read a folder do not make it. */
static void have_folder(struct route *route, const char *because, const char *path)
{
	route_folder(
	        route, PHASE_FILES, because, arena_strndup(route->arena, path, (size_t)(strrchr(path, '/') - path)));
}

struct step *route_file(struct route *route, const char *because, const char *path, const char *content, unsigned mode,
        const char *title, ...)
{
	va_list args;
	if (*content)
		have_folder(route, because, path);
	va_start(args, title);
	struct step *step = vpush(route, PHASE_FILES,
	        (struct step){ .kind = "file",
	                .on = "node",
	                .key = path,
	                .from = route_file_now(route, path),
	                .to = content,
	                .because = because,
	                .mode = mode },
	        title, args);
	va_end(args);
	return step;
}

struct bytes route_read(const struct route *route, const char *path)
{
	const struct boot_file *file = boot_file_at(&route->facts->boot, path);
	if (!file || file->error || !text_is_utf8(file->data) || memchr(file->data.data, 0, file->data.size))
		return (struct bytes){ NULL, 0 };
	return file->data;
}

/* ---- the guest ---- */

struct step *route_config(
        struct route *route, const char *because, const char *key, const char *to, const char *title, ...)
{
	const struct guest *guest = route->guest;
	const char *now = guest ? pve_value_next(guest, key) : NULL;
	va_list args;
	va_start(args, title);
	struct step *step = vpush(route, PHASE_CONFIG,
	        (struct step){ .kind = "config",
	                .on = route->on,
	                .key = key,
	                .from = guest && guest->known != YES ? NULL
	                        : now                        ? now
	                                                     : NONE,
	                .to = to,
	                .because = because },
	        title, args);
	va_end(args);
	return step;
}

void route_restart(struct route *route, const char *because, const char *why)
{
	if (route->restart_because)
		return;
	route->restart_because = because;
	route->restart_why = why;
}

/* ---- what is merged ---- */

void route_reboot(struct route *route, const char *because)
{
	if (!route->reboot_because)
		route->reboot_because = because;
}

void route_words(struct route *route, const char *because, const char *words)
{
	struct words each = boot_cmdline_words(words, route->arena);
	for (size_t i = 0; i < each.n; i++) {
		if (check_has(&route->words, each.word[i]))
			continue;
		*arena_push(route->arena, route->words.word, route->words.n) = each.word[i];
		*arena_push(route->arena, route->words_because.word, route->words_because.n) = because;
	}
	route_reboot(route, because);
}

void route_image(struct route *route, const char *because, const char *path, const char *content)
{
	static const char tools[] = "/etc/initramfs-tools";
	const char *in = text_starts(path, tools) ? path + strlen(tools) : path;
	const char *sum = *content ? sum_of(content, route->arena) : NONE;
	route_reboot(route, because);
	for (size_t i = 0; i < route->n_image; i++)
		if (strcmp(route->image[i].path, in) == 0) {
			route->image[i].sha256 = sum;
			return;
		}
	*arena_push(route->arena, route->image, route->n_image) = (struct image_file){ in, sum, because };
}

/* ---- what is said ---- */

static bool waivable(const char *id)
{
	const struct rule *rule = rules_find(id);
	return rule && rule->waivable;
}

static void add_refusal(struct route *route, struct refusal **array, size_t *n, struct refusal refusal)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp((*array)[i].rule, refusal.rule) == 0 && strcmp((*array)[i].why, refusal.why) == 0)
			return;
	refusal.waivable = waivable(refusal.rule);
	*arena_push(route->arena, *array, *n) = refusal;
}

void route_refuse(struct route *route, const char *rule, const char *cure, const char *why, ...)
{
	va_list args;
	va_start(args, why);
	add_refusal(route, &route->plan->refused, &route->plan->n_refused,
	        (struct refusal){
	                rule, text_shown(route->arena, arena_vprintf(route->arena, why, args)), cure, false });
	va_end(args);
}

void route_lean(struct route *route, const char *rule, const char *cure, const char *why, ...)
{
	va_list args;
	va_start(args, why);
	add_refusal(route, &route->leaning, &route->n_leaning,
	        (struct refusal){
	                rule, text_shown(route->arena, arena_vprintf(route->arena, why, args)), cure, false });
	va_end(args);
}

void route_gate(struct route *route, const char *rule, const char *why)
{
	struct plan *plan = route->plan;
	const struct rule *asked = rules_find(rule);
	for (size_t i = 0; i < plan->n_gates; i++)
		if (strcmp(plan->gates[i].rule, rule) == 0)
			return;
	*arena_push(route->arena, plan->gates, plan->n_gates) = (struct gate){ rule, asked ? asked->asks : rule, why };
}

void route_stop(struct route *route, const char *guest, const char *why)
{
	struct plan *plan = route->plan;
	for (size_t i = 0; i < plan->n_guest_stops; i++)
		if (strcmp(plan->guest_stops[i].id, guest) == 0)
			return;
	*arena_push(route->arena, plan->guest_stops, plan->n_guest_stops) = (struct guest_stop){ guest, why };
}

void route_warn(struct route *route, const char *rule, const char *why, ...)
{
	struct plan *plan = route->plan;
	va_list args;
	va_start(args, why);
	*arena_push(route->arena, plan->warnings, plan->n_warnings) =
	        (struct warning){ rule, text_shown(route->arena, arena_vprintf(route->arena, why, args)) };
	va_end(args);
}

void route_note(struct route *route, const char *note, ...)
{
	struct words *notes = &route->plan->notes;
	va_list args;
	va_start(args, note);
	const char *text = text_shown(route->arena, arena_vprintf(route->arena, note, args));
	va_end(args);
	if (!check_has(notes, text))
		*arena_push(route->arena, notes->word, notes->n) = text;
}

void route_note_losers(struct route *route)
{
	const struct pve *pve = &route->facts->pve;
	for (size_t i = 0; i < route->gpu->held.n; i++)
		route_note(route, "%s: it loses the card.", route->gpu->held.word[i]);
	for (size_t i = 0; i < pve->n_guests; i++)
		if (&pve->guests[i] != route->guest && pve->guests[i].kind == GUEST_CT &&
		        facts_guest_has_gpu(route->facts, &pve->guests[i], route->gpu, route->arena))
			route_note(route, "%s is given the card too: it loses it.",
			        check_guest(&pve->guests[i], route->arena));
}

const struct finding *route_finding(const struct route *route, const char *rule)
{
	for (size_t i = 0; i < route->report->n; i++)
		if (strcmp(route->report->findings[i].rule->id, rule) == 0)
			return &route->report->findings[i];
	return NULL;
}

bool route_accepts(const struct route *route, const char *rule)
{
	return waivable(rule) && check_has(&route->goal->accept, rule);
}

/* ---- drivers, now ---- */

static bool module_is_there(const struct route *route, const char *name)
{
	const struct boot *boot = &route->facts->boot;
	const struct kernel *kernel = boot->kernel ? boot_kernel(boot, boot->kernel) : NULL;
	return check_has(&route->facts->host.modules, name) || (kernel && check_has(&kernel->builtin, name));
}

void route_bind(struct route *route, const char *because, const struct pci_device *device, const char *driver,
        const char *title)
{
	const char *module = modprobe_name(route->arena, driver);
	if (!module_is_there(route, module))
		route_step(route, PHASE_DRIVERS, "module", "node", module,
		        route->facts->host.modules_known == YES ? NONE : NULL, "loaded", because, "load %s", driver);
	route_step(route, PHASE_DRIVERS, "bind", "node", device->address, device->driver, driver, because, "%s", title);
}
