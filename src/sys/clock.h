/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How long something takes: a clock that never jumps.
 */
#pragma once
#include <stdint.h>
#include <time.h>

/* Milliseconds since some moment of the past, the same one for all on this machine. */
static inline int64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
