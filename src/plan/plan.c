/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/plan.h"

#include <string.h>

#include "plan/route.h"
#include "rules/check.h"

const struct plan_kind plan_kinds[] = {
	{ "file", UNDO_EXACT, "file", false },
	{ "link", UNDO_EXACT, "link", false },
	{ "directory", UNDO_EXACT, "directory", false },
	{ "module", UNDO_EXACT, "kernel module", false },
	{ "package", UNDO_EQUIVALENT, "package", false },
	{ "hold", UNDO_EXACT, "package hold", false },
	{ "initramfs", UNDO_EQUIVALENT, "initramfs", true },
	{ "boot", UNDO_EQUIVALENT, "boot loader", true },
	{ "reboot", UNDO_AFTER_REBOOT, "reboot", false },
	{ "confirm", UNDO_NONE, "confirmation", false },
	{ "bind", UNDO_EXACT, "driver", false },
	{ "mapping", UNDO_EQUIVALENT, "resource mapping", false },
	{ "power", UNDO_EXACT, "guest", false },
	{ "config", UNDO_EQUIVALENT, "guest configuration", false },
	{ "raw", UNDO_EQUIVALENT, "older lxc line", false },
	{ "create", UNDO_EQUIVALENT, "new guest", false },
	{ "reach", UNDO_NONE, "inside", false },
	{ "snapshot", UNDO_EQUIVALENT, "snapshot", false },
	{ 0 },
};

const struct plan_kind *plan_kind(const char *kind)
{
	for (const struct plan_kind *row = plan_kinds; row->kind; row++)
		if (strcmp(row->kind, kind) == 0)
			return row;
	return NULL;
}

/* ---- each finding, by its row ---- */

static enum repair_way way_of(const struct repair *repair, enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_BROKEN:
		return repair->broken;
	case VERDICT_WARN:
		return repair->warn;
	case VERDICT_UNKNOWN:
		return repair->unknown;
	case VERDICT_SKIPPED:
		return repair->skipped;
	default:
		return REPAIR_LEFT;
	}
}

/* A broken rule refuses whatever else there is to do; what is unknown or only warned of hinders a change alone. */
static void refuse(struct route *route, const struct finding *finding)
{
	bool accepted = finding->verdict == VERDICT_WARN && route_accepts(route, finding->rule->id);
	if (accepted)
		route_note(route, "%s: %s.", finding->rule->id, finding->why);
	else if (finding->verdict == VERDICT_BROKEN)
		route_refuse(route, finding->rule->id, finding->cure, "%s", finding->why);
	else if (finding->verdict != VERDICT_SKIPPED)
		route_lean(route, finding->rule->id, finding->cure, "%s", finding->why);
}

static void answer_finding(struct route *route, const struct finding *finding)
{
	const struct repair *repair = repair_of(finding->rule->id);
	enum repair_way way = repair ? way_of(repair, finding->verdict) : REPAIR_REFUSE;
	repair_fn *mend = !repair ? NULL : route->vm ? repair->vm : repair->ct;
	bool whole = route->gpu && (route->guest || route->goal->into_new);
	if (finding->verdict == VERDICT_OK)
		return;
	if (way == REPAIR_STEP && mend && whole)
		mend(route, finding);
	else if (way == REPAIR_REFUSE || way == REPAIR_STEP)
		refuse(route, finding);
	else if (way == REPAIR_WARN)
		route_warn(route, finding->rule->id, "%s", finding->why);
	else if (way == REPAIR_NOTE)
		route_note(route, "%s: %s.", finding->rule->id, finding->why);
}

/* A plan without steps says that all is as wished: then no rule that it sees may say otherwise. What is inside a guest
 * it does not see. */
static void hold_to_the_rules(struct route *route)
{
	const struct report *report = route->report;
	bool as_wished = !route->plan->n && !route->plan->n_refused;
	for (size_t i = 0; i < report->n && as_wished; i++) {
		const struct finding *finding = &report->findings[i];
		if (finding->verdict != VERDICT_BROKEN)
			continue;
		if (finding->rule->about == ABOUT_INSIDE)
			route_note(route, "Inside, %s does not hold: %s. gpuferry verify has the cure.",
			        finding->rule->id, finding->why);
		else
			route_refuse(route, finding->rule->id, finding->cure, "%s", finding->why);
	}
}

/* ---- what the goal means ---- */

/* Ids are one range for VMs and CTs (pve-cluster); 100 is the lowest that PVE gives. */
static int64_t free_id(const struct pve *pve)
{
	for (int64_t id = 100;; id++) {
		bool taken = false;
		for (size_t i = 0; i < pve->n_guests; i++)
			taken = taken || pve->guests[i].id == id;
		if (!taken)
			return id;
	}
}

static const char *guest_name(const struct facts *facts, const struct goal *goal, struct arena *arena)
{
	if (goal->into == GUEST_UNKNOWN)
		return NULL;
	int64_t id = goal->into_new ? free_id(&facts->pve) : goal->into_id;
	return arena_printf(arena, "%s/%lld", goal->into == GUEST_CT ? "ct" : "vm", (long long)id);
}

/* What does not resolve is a finding of the goal's own rules, and so a refusal. */
static void resolve(struct route *route)
{
	struct answer answer = { .arena = route->arena };
	rules_goal_guest(route->facts, route->goal, &answer, &route->guest);
	rules_goal_gpu(route->facts, route->goal, route->guest, &answer, &route->gpu);
	route->on = guest_name(route->facts, route->goal, route->arena);
	route->vm = route->goal->into == GUEST_VM;
	route->ct = route->goal->into == GUEST_CT;
	route->plan->gpu = route->gpu ? route->gpu->pci->address : NULL;
	route->plan->guest = route->on;
}

void plan_build(const struct facts *facts, const struct goal *goal, struct arena *arena, struct plan *ret)
{
	struct report report = { 0 };
	struct plan plan = { .confirm_seconds = UNKNOWN_NUMBER };
	struct route route = { .facts = facts, .goal = goal, .report = &report, .arena = arena, .plan = &plan };
	rules_run(facts, goal, arena, &report);
	resolve(&route);
	if (!route.vm && !route.ct)
		route_refuse(&route, "goal.guest", "say which guest shall get the GPU: into: vm/ID or ct/ID",
		        "the goal names no guest");
	for (size_t i = 0; i < report.n && (route.vm || route.ct); i++)
		answer_finding(&route, &report.findings[i]);
	if (route.gpu && (route.guest || goal->into_new))
		(route.ct ? route_ct : route_vm)(&route);
	route_finish(&route);
	hold_to_the_rules(&route);
	plan.goal = plan_goal_text(goal, arena);
	plan.facts_digest = plan_facts_digest(facts, route.gpu, route.guest, arena);
	plan.digest = plan_own_digest(&plan, arena);
	*ret = plan;
}
