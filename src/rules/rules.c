/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rules/rules.h"

#include <string.h>

#include "rules/check.h"

const struct rule *const rules_tables[] = { rules_goal, rules_node, rules_gpu, rules_vm, rules_ct, rules_inside, NULL };

const struct rule *rules_find(const char *id)
{
	for (const struct rule *const *table = rules_tables; *table; table++)
		for (const struct rule *rule = *table; rule->id; rule++)
			if (!strcmp(rule->id, id))
				return rule;
	return NULL;
}

/* ---- what the goal means ---- */

enum verdict rules_goal_guest(
        const struct facts *facts, const struct goal *goal, struct answer *answer, const struct guest **ret)
{
	if (goal->into == GUEST_UNKNOWN || goal->into_new) {
		*ret = NULL;
		return answer_ok(answer, goal->into_new ? "a new VM is to be made" : "the goal names no guest");
	}
	const char *kind = goal->into == GUEST_CT ? "CT" : "VM";
	long long id = goal->into_id;
	const struct guest *guest = facts_guest(facts, goal->into, goal->into_id);
	if (guest) {
		*ret = guest;
		return answer_ok(answer, "%s %lld is %s%s", kind, id,
		        guest->name && *guest->name ? guest->name : "here",
		        goal->create.set ? " (new: is not used: it is for into: vm/new)" : "");
	}
	const struct guest *other = facts_guest(facts, goal->into == GUEST_CT ? GUEST_VM : GUEST_CT, goal->into_id);
	if (other) {
		answer_step(answer, "name it %s in the goal", check_guest(other, answer->arena));
		return answer_broken(answer, "%lld is no %s, it is %s", id, kind, check_guest(other, answer->arena));
	}
	if (facts->pve.here == NO) {
		answer_step(answer, "run gpuferry on the Proxmox VE node, or name it with --host");
		return answer_broken(answer, "this is no Proxmox VE node, so there is no %s %lld", kind, id);
	}
	if (facts->pve.guests_known != YES)
		return answer_unknown(
		        answer, "the guests of this node could not be read, so %s %lld was not found", kind, id);
	answer_step(answer, "name a guest of this node (%s list shows them), or run gpuferry on the node that has it",
	        goal->into == GUEST_CT ? "pct" : "qm");
	return answer_broken(answer, "there is no %s %lld on this node", kind, id);
}

enum { CANDIDATES_MAX = 64 };
struct candidates {
	const struct gpu *gpu[CANDIDATES_MAX];
	size_t n;
};

typedef bool keeps(const struct facts *facts, const struct guest *guest, const struct gpu *gpu, struct arena *arena);

/* Narrows, unless nothing would be left. */
static void prefer(
        struct candidates *from, keeps *keep, const struct facts *facts, const struct guest *guest, struct arena *arena)
{
	struct candidates left = { 0 };
	for (size_t i = 0; i < from->n; i++)
		if (keep(facts, guest, from->gpu[i], arena))
			left.gpu[left.n++] = from->gpu[i];
	if (left.n)
		*from = left;
}

static bool keeps_held(const struct facts *facts, const struct guest *guest, const struct gpu *gpu, struct arena *arena)
{
	return guest && facts_guest_has_gpu(facts, guest, gpu, arena);
}

static bool keeps_encoder(
        const struct facts *facts, const struct guest *guest, const struct gpu *gpu, struct arena *arena)
{
	(void)facts, (void)guest, (void)arena;
	return !gpu->model.engine || *gpu->model.engine;
}

static bool keeps_spare(
        const struct facts *facts, const struct guest *guest, const struct gpu *gpu, struct arena *arena)
{
	(void)facts, (void)arena;
	return !guest || guest->kind != GUEST_VM || gpu->boot_display == NO;
}

static const char *candidates_text(const struct candidates *candidates, struct arena *arena)
{
	struct words shown = { 0 };
	for (size_t i = 0; i < candidates->n; i++)
		*arena_push(arena, shown.word, shown.n) = check_device(candidates->gpu[i]->pci, arena);
	return text_join(&shown, ", ", arena);
}

static enum verdict no_candidate(const struct facts *facts, const char *wish, struct answer *answer)
{
	const struct cpu *cpu = &facts->host.cpu;
	if (facts->gpus_known != YES)
		return answer_unknown(answer, "the PCI devices could not be read");
	if (!strcmp(wish, "intel") && cpu->f_suffix == YES) {
		answer_step(answer, "use another GPU: an F in the name of an Intel CPU means sold without graphics");
		return answer_broken(answer, "no Intel GPU: %s has none", cpu->model ? cpu->model : "this CPU");
	}
	if (!strcmp(wish, "intel") && cpu->vendor && !strcmp(cpu->vendor, "GenuineIntel"))
		answer_step(answer, "if the CPU has graphics: enable them in the BIOS (\"Internal Graphics\", \"iGPU "
		                    "Multi-Monitor\"), which many boards switch off once another card is in");
	answer_step(answer, "see which GPUs are here: gpuferry inspect");
	return answer_broken(answer, "no %s GPU is in this machine", !strcmp(wish, "auto") ? "encoding" : wish);
}

static enum verdict by_address(
        const struct facts *facts, const struct goal *goal, struct answer *answer, const struct gpu **ret)
{
	const struct gpu *gpu = facts_gpu(facts, goal->gpu);
	if (gpu) {
		*ret = gpu;
		return answer_ok(answer, "%s", check_device(gpu->pci, answer->arena));
	}
	const struct pci_device *device = facts_device(facts, goal->gpu);
	if (!device && facts->pci.known != YES)
		return answer_unknown(answer, "the PCI devices could not be read, so %s was not found", goal->gpu);
	answer_step(answer, "see which GPUs are here and name one of them: gpuferry inspect");
	if (device)
		return answer_broken(answer, "%s is no GPU", check_device(device, answer->arena));
	return answer_broken(answer, "there is no device %s", goal->gpu);
}

enum verdict rules_goal_gpu(const struct facts *facts, const struct goal *goal, const struct guest *guest,
        struct answer *answer, const struct gpu **ret)
{
	const char *wish = goal->gpu ? goal->gpu : "auto";
	if (strchr(wish, ':'))
		return by_address(facts, goal, answer, ret);
	struct candidates candidates = { 0 };
	bool any = !strcmp(wish, "auto");
	for (size_t i = 0; i < facts->n_gpus && candidates.n < CANDIDATES_MAX; i++) {
		const struct gpu *gpu = &facts->gpus[i];
		if (any ? gpu->vendor && strcmp(gpu->vendor, "other") != 0 : check_vendor(gpu, wish))
			candidates.gpu[candidates.n++] = gpu;
	}
	if (!candidates.n)
		return no_candidate(facts, wish, answer);
	keeps *const order[] = { keeps_held, keeps_encoder, keeps_spare };
	for (size_t i = 0; i < sizeof order / sizeof *order && candidates.n > 1; i++)
		prefer(&candidates, order[i], facts, guest, answer->arena);
	if (candidates.n > 1) {
		answer_step(answer, "name the one you mean by its address, for example: gpu: %s",
		        candidates.gpu[0]->pci->address);
		return answer_broken(answer, "%zu GPUs fit \"%s\": %s", candidates.n, wish,
		        candidates_text(&candidates, answer->arena));
	}
	if (facts->gpus_known != YES)
		return answer_unknown(answer, "not every PCI device could be read, so %s may not be the only one",
		        candidates.gpu[0]->pci->address);
	*ret = candidates.gpu[0];
	return answer_ok(answer, "%s", check_device(candidates.gpu[0]->pci, answer->arena));
}

static enum verdict goal_guest(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest;
	if (scene->goal->into == GUEST_UNKNOWN)
		return answer_none();
	return rules_goal_guest(scene->facts, scene->goal, answer, &guest);
}

static enum verdict goal_gpu(const struct scene *scene, struct answer *answer)
{
	const struct gpu *gpu;
	return rules_goal_gpu(scene->facts, scene->goal, scene->guest, answer, &gpu);
}

static enum verdict goal_accept(const struct scene *scene, struct answer *answer)
{
	const struct words *accept = &scene->goal->accept;
	if (!accept->n)
		return answer_none();
	for (size_t i = 0; i < accept->n; i++) {
		const struct rule *rule = rules_find(accept->word[i]);
		if (rule && rule->waivable)
			continue;
		answer_step(answer, "take %s out of accept: in the goal", accept->word[i]);
		return answer_broken(answer,
		        rule ? "%s protects the node or cannot work otherwise: it cannot be accepted"
		             : "there is no rule %s",
		        accept->word[i]);
	}
	return answer_ok(answer, "every accepted rule may be accepted");
}

const struct rule rules_goal[] = {
	{ .id = "goal.accept",
	        .about = ABOUT_GOAL,
	        .check = goal_accept,
	        .asks = "May what the goal accepts be accepted?",
	        .explains =
	                "Risks are taken knowingly, one by one, by naming the rule. Rules that protect what the node "
	                "itself lives on cannot be switched off.",
	        .source = "gpuferry's own promise: there is no --force" },
	{ .id = "goal.guest",
	        .about = ABOUT_GOAL,
	        .check = goal_guest,
	        .asks = "Is the guest that the goal names on this node?",
	        .explains = "VMs and CTs share one range of ids, and a cluster shows the guests of other nodes too.",
	        .source = "/etc/pve/qemu-server, /etc/pve/lxc" },
	{ .id = "goal.gpu",
	        .about = ABOUT_GOAL,
	        .check = goal_gpu,
	        .asks = "Which GPU does the goal mean?",
	        .explains = "A vendor or auto is enough where only one card fits; between several, gpuferry does not "
	                    "choose. "
	                    "Intel CPUs with an F in their name have no graphics.",
	        .source = "PCI class 03; Intel ark: suffix F" },
	{ .id = NULL },
};

/* ---- the runner ---- */

struct run {
	const struct facts *facts;
	const struct goal *goal;
	struct arena *arena;
	struct report *report;
	struct scene *scenes;
	size_t n;
	size_t node_end;    /* findings before it are the goal's and the node's */
	size_t guest_start; /* findings from here on are about the present guest */
};

static const char *about_of(const struct rule *rule, const struct scene *scene, struct arena *arena)
{
	switch (rule->about) {
	case ABOUT_GPU:
		return scene->gpu ? scene->gpu->pci->address : NULL;
	case ABOUT_GUEST:
		return scene->guest ? check_guest(scene->guest, arena) : NULL;
	case ABOUT_INSIDE:
		return scene->docker ? scene->inside->label : scene->guest ? check_guest(scene->guest, arena) : NULL;
	default:
		return NULL;
	}
}

static bool about_same(const char *left, const char *right)
{
	return left == right || (left && right && !strcmp(left, right));
}

static const struct finding *finding_between(
        const struct run *run, size_t from, size_t to, const char *id, const struct scene *scene)
{
	for (size_t i = to; i-- > from;) {
		const struct finding *finding = &run->report->findings[i];
		if (!strcmp(finding->rule->id, id) &&
		        about_same(finding->about, about_of(finding->rule, scene, run->arena)))
			return finding;
	}
	return NULL;
}

/* Only the node's findings and those of the present guest are looked through: many guests stay linear. */
static const struct finding *finding_of(const struct run *run, const char *id, const struct scene *scene)
{
	const struct finding *finding = finding_between(run, run->guest_start, run->report->n, id, scene);
	return finding ? finding : finding_between(run, 0, run->node_end, id, scene);
}

/* The prerequisite that does not hold in this scene, or NULL. */
static const struct finding *hindered(const struct run *run, const struct rule *rule, const struct scene *scene)
{
	for (unsigned i = 0; i < RULE_NEEDS_MAX && rule->needs[i]; i++) {
		const struct finding *finding = finding_of(run, rule->needs[i], scene);
		if (finding && !finding->holds)
			return finding;
	}
	for (unsigned i = 0; i < RULE_NEEDS_MAX && rule->after[i]; i++) {
		const struct finding *finding = finding_of(run, rule->after[i], scene);
		if (finding && finding->fails)
			return finding;
	}
	return NULL;
}

static bool accepted(const struct goal *goal, const struct rule *rule)
{
	return rule->waivable && check_has(&goal->accept, rule->id);
}

static bool already(const struct run *run, const struct finding *finding)
{
	for (size_t i = run->guest_start; i < run->report->n; i++) {
		const struct finding *have = &run->report->findings[i];
		if (have->rule == finding->rule && have->verdict == finding->verdict &&
		        about_same(have->about, finding->about) && about_same(have->why, finding->why))
			return true;
	}
	return false;
}

/* The route a rule belongs to is nobody's wish here: it informs. */
static bool informs(const struct rule *rule, const struct scene *scene)
{
	return rule->about != ABOUT_GOAL && !scene->vm && !scene->ct;
}

static void ask(struct run *run, const struct rule *rule, const struct scene *scene)
{
	struct arena *arena = run->arena;
	struct answer answer = { .arena = arena };
	struct finding finding = { .rule = rule, .about = about_of(rule, scene, arena) };
	const struct finding *hindrance = hindered(run, rule, scene);
	if (hindrance) {
		finding.verdict = VERDICT_SKIPPED;
		finding.fails = hindrance->fails;
		finding.why = hindrance->verdict == VERDICT_SKIPPED
		                      ? hindrance->why /* the link at the root of it */
		                      : arena_printf(arena, "not asked: %s %s", hindrance->rule->id,
		                                hindrance->verdict == VERDICT_UNKNOWN ? "is unknown" : "does not hold");
	} else {
		finding.verdict = rule->check(scene, &answer);
		if (finding.verdict == VERDICT_SKIPPED)
			return;
		finding.why = answer.why ? answer.why : "";
		finding.cure = finding.verdict == VERDICT_OK ? NULL : answer.cure;
	}
	finding.holds = finding.verdict == VERDICT_OK || finding.verdict == VERDICT_WARN;
	finding.fails |= finding.verdict == VERDICT_BROKEN;
	if (finding.verdict == VERDICT_BROKEN && accepted(run->goal, rule)) {
		finding.verdict = VERDICT_WARN;
		finding.holds = true;
		finding.fails = false;
		finding.why = arena_printf(arena, "accepted in the goal: %s", finding.why);
	}
	if (finding.verdict == VERDICT_BROKEN && informs(rule, scene)) {
		finding.verdict = VERDICT_WARN;
		finding.why = arena_printf(arena, "would hinder %s: %s",
		        rule->route == ROUTE_VM   ? "passing a GPU to a VM"
		        : rule->route == ROUTE_CT ? "sharing a GPU with a CT"
		                                  : "encoding in a guest",
		        finding.why);
	}
	if (!already(run, &finding))
		*arena_push(arena, run->report->findings, run->report->n) = finding;
}

static bool applies(const struct rule *rule, const struct scene *scene)
{
	if (rule->about == ABOUT_GPU && !scene->gpu)
		return false;
	if ((rule->about == ABOUT_GUEST || rule->about == ABOUT_INSIDE) && !scene->guest)
		return false;
	if (scene->docker && rule->about != ABOUT_INSIDE)
		return false;
	if (rule->vendor && !check_vendor(scene->gpu, rule->vendor))
		return false;
	if (!scene->vm && !scene->ct) /* nothing is wished: what concerns the way to a VM is worth knowing */
		return rule->about == ABOUT_NODE || (rule->about == ABOUT_GPU && rule->route != ROUTE_CT);
	return rule->route == ROUTE_ANY || (rule->route == ROUTE_VM && scene->vm) ||
	       (rule->route == ROUTE_CT && scene->ct);
}

static void ask_table(struct run *run, const struct rule *table, const struct scene *scene)
{
	for (const struct rule *rule = table; rule->id; rule++)
		if (applies(rule, scene))
			ask(run, rule, scene);
}

/* Several guests may have one GPU: it is asked about once per route. */
static bool asked_before(const struct run *run, size_t scene)
{
	const struct scene *this = &run->scenes[scene];
	for (size_t i = 0; i < scene; i++)
		if (run->scenes[i].gpu == this->gpu && run->scenes[i].vm == this->vm && run->scenes[i].ct == this->ct)
			return true;
	return false;
}

/* The node's own questions, once for all scenes, and those about each GPU; in the order of the chain. */
static void ask_node(struct run *run)
{
	struct scene node = { .facts = run->facts, .goal = run->goal };
	const struct scene **distinct = NULL;
	size_t n = 0;
	for (size_t i = 0; i < run->n; i++) {
		node.vm |= run->scenes[i].vm;
		node.ct |= run->scenes[i].ct;
		if (run->scenes[i].gpu && !asked_before(run, i))
			*arena_push(run->arena, distinct, n) = &run->scenes[i];
	}
	ask_table(run, rules_node, &node);
	for (size_t i = 0; i < n; i++)
		ask_table(run, rules_gpu, distinct[i]);
	run->node_end = run->report->n;
}

static void push_scene(struct run *run, const struct gpu *gpu, const struct guest *guest, enum guest_kind route)
{
	struct scene *scene = arena_push(run->arena, run->scenes, run->n);
	*scene = (struct scene){ .facts = run->facts,
		.goal = run->goal,
		.gpu = gpu,
		.guest = guest,
		.vm = route == GUEST_VM,
		.ct = route == GUEST_CT };
	if (guest)
		scene->inside = facts_inside(run->facts, check_guest(guest, run->arena));
}

static bool is_template(const struct guest *guest)
{
	const char *value = pve_value(guest, "template");
	return value && pve_boolean(value) == YES;
}

/* Does any hostpci line name something that is not there? It may have been a GPU. */
static bool names_absent(const struct facts *facts, const struct guest *guest, struct arena *arena)
{
	for (size_t i = 0; i < guest->n_hostpci; i++) {
		struct words addresses = pve_hostpci_addresses(&facts->pve, &guest->hostpci[i], arena);
		bool found = false;
		for (size_t a = 0; a < addresses.n && !found; a++)
			for (size_t d = 0; d < facts->pci.n && !found; d++)
				found = text_starts(facts->pci.devices[d].address, addresses.word[a]);
		if (!found)
			return true;
	}
	return false;
}

/* A CT wants nodes that are not there now: if one GPU without nodes could have them, it is that one. */
static const struct gpu *lost_gpu(const struct facts *facts, bool nvidia)
{
	const struct gpu *found = NULL;
	for (size_t i = 0; i < facts->n_gpus; i++) {
		const struct gpu *gpu = &facts->gpus[i];
		if (gpu->render || gpu->render_known != YES || check_vendor(gpu, "nvidia") != nvidia ||
		        check_vendor(gpu, "other"))
			continue;
		if (found)
			return NULL;
		found = gpu;
	}
	return found;
}

static bool wants_nodes(const struct guest *guest, struct arena *arena, bool *ret_nvidia)
{
	struct words paths = facts_ct_paths(guest, arena);
	bool dri = false, nvidia = false;
	for (size_t i = 0; i < paths.n; i++) {
		dri |= text_starts(paths.word[i], "/dev/dri");
		nvidia |= text_starts(paths.word[i], "/dev/nvidia");
	}
	*ret_nvidia = nvidia;
	return dri || nvidia;
}

static void scenes_of_guest(struct run *run, const struct guest *guest)
{
	size_t before = run->n;
	if (guest->known == NO || is_template(guest))
		return;
	for (size_t i = 0; i < run->facts->n_gpus; i++)
		if (facts_guest_has_gpu(run->facts, guest, &run->facts->gpus[i], run->arena))
			push_scene(run, &run->facts->gpus[i], guest, guest->kind);
	bool nvidia;
	if (run->n > before)
		return;
	if (guest->kind == GUEST_VM && names_absent(run->facts, guest, run->arena))
		push_scene(run, NULL, guest, guest->kind);
	if (guest->kind == GUEST_CT && wants_nodes(guest, run->arena, &nvidia))
		push_scene(run, lost_gpu(run->facts, nvidia), guest, guest->kind);
}

/* Each docker container in the guest that was looked into is one more place to ask in. */
static void ask_inside(struct run *run, const struct scene *scene)
{
	ask_table(run, rules_inside, scene);
	if (!scene->guest)
		return;
	const char *prefix = arena_printf(run->arena, "%s/docker/", check_guest(scene->guest, run->arena));
	for (size_t i = 0; i < run->facts->n_insides; i++) {
		struct scene docker = *scene;
		docker.inside = &run->facts->insides[i];
		docker.docker = true;
		if (docker.inside->label && text_starts(docker.inside->label, prefix))
			ask_table(run, rules_inside, &docker);
	}
}

static void goal_scene(struct run *run)
{
	struct answer answer = { .arena = run->arena };
	struct scene scene = { .facts = run->facts, .goal = run->goal };
	const struct gpu *gpu = NULL;
	const struct guest *guest = NULL;
	rules_goal_guest(run->facts, run->goal, &answer, &guest);
	rules_goal_gpu(run->facts, run->goal, guest, &answer, &gpu);
	scene.guest = guest;
	for (const struct rule *rule = rules_goal; rule->id; rule++)
		ask(run, rule, &scene);
	push_scene(run, gpu, guest, run->goal->into);
}

static void conclude(struct report *report)
{
	report->verdict = VERDICT_OK;
	report->first_broken = NULL;
	for (size_t i = 0; i < report->n; i++) {
		const struct finding *finding = &report->findings[i];
		if (finding->verdict == VERDICT_BROKEN && !report->first_broken)
			report->first_broken = finding;
		if (finding->verdict == VERDICT_UNKNOWN)
			report->verdict = VERDICT_UNKNOWN;
	}
	if (report->first_broken)
		report->verdict = VERDICT_BROKEN;
}

void rules_run(const struct facts *facts, const struct goal *goal, struct arena *arena, struct report *ret)
{
	struct run run = { .facts = facts, .goal = goal, .arena = arena, .report = ret };
	*ret = (struct report){ 0 };
	if (goal->gpu || goal->into != GUEST_UNKNOWN) {
		goal_scene(&run);
	} else {
		if (goal->accept.n) {
			struct scene scene = { .facts = facts, .goal = goal };
			ask(&run, rules_find("goal.accept"), &scene);
		}
		for (size_t i = 0; i < facts->pve.n_guests; i++)
			scenes_of_guest(&run, &facts->pve.guests[i]);
	}
	for (size_t i = 0; i < run.n; i++)
		ret->asked |= run.scenes[i].vm || run.scenes[i].ct;
	if (!run.n)
		for (size_t i = 0; i < facts->n_gpus; i++)
			push_scene(&run, &facts->gpus[i], NULL, GUEST_UNKNOWN);
	ask_node(&run);
	for (size_t i = 0; i < run.n; i++) {
		if (!i || run.scenes[i].guest != run.scenes[i - 1].guest)
			run.guest_start = ret->n;
		ask_table(&run, rules_vm, &run.scenes[i]);
		ask_table(&run, rules_ct, &run.scenes[i]);
		ask_inside(&run, &run.scenes[i]);
	}
	conclude(ret);
}

static const char *const verdict_names[] = { [VERDICT_UNKNOWN] = "unknown",
	[VERDICT_OK] = "ok",
	[VERDICT_WARN] = "warn",
	[VERDICT_BROKEN] = "broken",
	[VERDICT_SKIPPED] = "skipped" };

json_t *rules_json(const struct report *report, const struct facts *facts)
{
	json_t *document = json_document("verify"), *findings = json_array();
	(void)facts;
	json_put(document, "verdict", json_raw_text(verdict_names[report->verdict]));
	json_put(document, "first_broken",
	        json_raw_text(report->first_broken ? report->first_broken->rule->id : "none"));
	for (size_t i = 0; i < report->n; i++) {
		const struct finding *finding = &report->findings[i];
		json_t *object = json_object();
		json_put(object, "rule", json_raw_text(finding->rule->id));
		json_put(object, "asks", json_raw_text(finding->rule->asks));
		json_put(object, "about", json_raw_text(finding->about));
		json_put(object, "verdict", json_raw_text(verdict_names[finding->verdict]));
		json_put(object, "why", json_raw_text(finding->why));
		json_put(object, "cure", json_text(finding->cure ? finding->cure : ""));
		json_add(findings, object);
	}
	json_put(document, "findings", findings);
	return document;
}
