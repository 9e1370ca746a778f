/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A CT that shares a GPU through device nodes.
 */
#include "plan/route.h"

void route_ct(struct route *route)
{
	route_refuse(route, "goal.guest", NULL, "sharing a GPU with a CT cannot be planned yet");
}
