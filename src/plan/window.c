/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The window in which guests may stop or the node may reboot, and whether a plan fits into what is left of it. Pure.
 */
#include <string.h>

#include "plan/plan.h"

enum { MINUTE = 60, DAY = 24 * 60 * 60 };

void plan_window_at(const struct goal *goal, int64_t second_of_day, struct plan_window *ret)
{
	*ret = (struct plan_window){ .open = true, .left = UNKNOWN_NUMBER };
	if (goal->window_from == UNKNOWN_NUMBER || goal->window_to == UNKNOWN_NUMBER ||
	        goal->window_from == goal->window_to)
		return;
	int64_t length = (goal->window_to - goal->window_from) * MINUTE;
	int64_t since = second_of_day - goal->window_from * MINUTE;
	length += length < 0 ? DAY : 0; /* over midnight */
	since += since < 0 ? DAY : 0;
	ret->open = since < length;
	ret->opens_in = ret->open ? 0 : DAY - since;
	ret->left = ret->open ? length - since : 0;
}

/* Seconds that a step of a kind may take at the longest on the machines of a household: guests that shut down slowly,
 * an initramfs on a small board, a board with much memory that counts it at each boot. */
static const struct {
	const char *kind;
	int64_t seconds;
} longest[] = {
	{ "power", 180 },
	{ "initramfs", 90 },
	{ "boot", 60 },
	{ "reboot", 300 },
	{ "package", 600 },
	{ "create", 600 },
	{ "reach", 300 },
	{ "snapshot", 120 },
	{ NULL, 5 },
};

static int64_t longest_of(const char *kind)
{
	size_t i = 0;
	while (longest[i].kind && strcmp(longest[i].kind, kind) != 0)
		i++;
	return longest[i].seconds;
}

int64_t plan_window_needed(const struct plan *plan)
{
	int64_t apply = 0, back = 0;
	for (size_t i = 0; i < plan->n; i++)
		apply += longest_of(plan->steps[i].kind);
	for (size_t i = 0; plan->reboots && i < plan->n_guest_stops; i++)
		apply += longest_of("power");
	if (plan->reboots) /* nobody confirms: the time runs out, files and initramfs go back, and it boots again */
		back = (plan->confirm_seconds == UNKNOWN_NUMBER ? 0 : plan->confirm_seconds) + longest_of("initramfs") +
		       longest_of("boot") + longest_of("reboot");
	return apply + back;
}

const char *plan_window_text(const struct goal *goal, struct arena *arena)
{
	return arena_printf(arena, "%02d:%02d-%02d:%02d", (int)(goal->window_from / 60), (int)(goal->window_from % 60),
	        (int)(goal->window_to / 60), (int)(goal->window_to % 60));
}

const char *plan_window_span(int64_t seconds, struct arena *arena)
{
	int64_t minutes = (seconds + MINUTE - 1) / MINUTE;
	if (minutes < 120)
		return arena_printf(arena, "%lld min", (long long)minutes);
	return arena_printf(arena, "%lld h %lld min", (long long)(minutes / 60), (long long)(minutes % 60));
}
