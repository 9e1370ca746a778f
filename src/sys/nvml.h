/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What NVIDIA's encoders do, by process: NVML, which is loaded at run time, and in a child, because a driver that hangs
 * must hang nobody else. The child only looks.
 */
#pragma once
#include "base/arena.h"
#include "base/text.h"

#define NVML_LIBRARY "libnvidia-ml.so.1"

struct nvml;

/* Starts looking, some fifty times a second, until nvml_close or two minutes are over. NULL: no child can be made. */
struct nvml *nvml_open(const char *library, struct arena *arena);
/* Takes what was seen since the last call; never waits. */
void nvml_look(struct nvml *nvml);
/* YES: an encoder worked for that process. UNKNOWN: that was not seen. A short look cannot say no; in a container the
 * driver names processes by the numbers that the host gives them. */
enum tri nvml_busy(const struct nvml *nvml, int64_t pid);
/* Why nothing can be seen, as a sentence; NULL: it answers, or has not yet. */
const char *nvml_why(const struct nvml *nvml);
/* Ends the child, and waits no longer than a second for it. */
void nvml_close(struct nvml *nvml);
