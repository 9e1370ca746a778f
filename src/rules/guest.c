/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is asked of VMs and CTs alike.
 */
#include <string.h>

#include "rules/check.h"

long long check_id(const struct guest *guest)
{
	return (long long)guest->id;
}

bool check_running(const struct guest *guest)
{
	return guest->status && !strcmp(guest->status, "running");
}

/* A stop and a start, the gentle way. */
void step_restart(struct answer *answer, const struct guest *guest)
{
	const char *tool = guest->kind == GUEST_CT ? "pct" : "qm";
	answer_step(answer,
	        "when nobody uses it: %s shutdown %lld --timeout 300, wait until it is off, then %s start %lld", tool,
	        check_id(guest), tool, check_id(guest));
}

enum verdict check_guest_known(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	if (guest->known != YES) {
		answer_step(answer, "run gpuferry as root on the node");
		return answer_unknown(answer, "%s could not be read", guest->file ? guest->file : "its configuration");
	}
	return answer_ok(answer, "%s", guest->name && *guest->name ? guest->name : check_guest(guest, answer->arena));
}

enum verdict check_guest_lock(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	const char *tool = guest->kind == GUEST_CT ? "pct" : "qm";
	if (!guest->lock)
		return answer_unknown(answer, "whether it is locked could not be read");
	if (!*guest->lock)
		return answer_ok(answer, "it is not locked");
	if (!strcmp(guest->lock, "suspended")) {
		answer_step(answer,
		        "start it, which resumes it, and shut it down: %s start %lld, then %s shutdown %lld", tool,
		        check_id(guest), tool, check_id(guest));
		return answer_warn(answer,
		        "it is hibernated: its state was saved without the card, and such a VM may not resume "
		        "with one");
	}
	answer_step(answer, "wait until the task is done (Proxmox's task list shows it)");
	answer_step(answer, "if no such task runs any more: %s unlock %lld", tool, check_id(guest));
	if (check_running(guest) || !strcmp(guest->lock, "backup"))
		return answer_warn(
		        answer, "it is locked (%s): it cannot be changed until the lock is gone", guest->lock);
	return answer_broken(answer, "it is locked (%s) and not running: Proxmox will not start it", guest->lock);
}

static const struct pve_section *pending_of(const struct guest *guest)
{
	for (size_t i = 0; i < guest->n_sections; i++)
		if (guest->sections[i].kind == SECTION_PENDING)
			return &guest->sections[i];
	return NULL;
}

enum verdict check_guest_pending(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	const struct pve_section *pending = pending_of(guest);
	struct words keys = { 0 };
	for (size_t i = 0; pending && i < pending->n && keys.n < 20; i++)
		if (pending->lines[i].key && *pending->lines[i].key && pending->lines[i].key[0] != '#')
			*arena_push(answer->arena, keys.word, keys.n) = pending->lines[i].key;
	if (!keys.n)
		return answer_ok(answer, "nothing waits for the next start");
	step_restart(answer, guest);
	return answer_warn(answer, "changes wait for a stop and a start: %s", text_join(&keys, ", ", answer->arena));
}

enum verdict check_guest_onboot(const struct scene *scene, struct answer *answer)
{
	const struct guest *guest = scene->guest;
	if (guest->onboot == YES || guest->ha == YES)
		return answer_ok(answer, "%s", guest->ha == YES ? "HA starts it" : "it starts with the node");
	if (guest->onboot == UNKNOWN)
		return answer_unknown(answer, "whether it starts with the node could not be read");
	answer_step(answer, "%s set %lld --onboot 1", guest->kind == GUEST_CT ? "pct" : "qm", check_id(guest));
	return answer_warn(answer, "it does not start with the node: after a reboot it stays off");
}
