/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A libnvidia-ml of one card, whose encoders do what a file says (its path is in FAKE_NVML): lines "session PID FPS",
 * "process PID PERCENT", "init" and "count" (they fail), "hang" (the driver never comes back). Each look leaves a file
 * beside it, FAKE_NVML.asked, so that a test can wait for it. A made one, after the
 * API reference: no driver was asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct session {
	unsigned id, pid, vgpu, codec, width, height, fps, latency;
};
struct sample {
	unsigned pid;
	unsigned long long time;
	unsigned sm, memory, encoder, decoder;
};

int nvmlInit_v2(void);
int nvmlDeviceGetCount_v2(unsigned *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **ret);
int nvmlDeviceGetEncoderSessions(void *device, unsigned *count, struct session *ret);
int nvmlDeviceGetProcessUtilization(void *device, struct sample *ret, unsigned *count, unsigned long long since);

/* The lines of that word; how many, with their two numbers. */
static unsigned lines(const char *word, unsigned (*ret)[2], unsigned max)
{
	const char *path = getenv("FAKE_NVML");
	FILE *file = path ? fopen(path, "r") : NULL;
	char line[256], first[32];
	unsigned n = 0;
	while (file && n < max && fgets(line, sizeof line, file)) {
		unsigned numbers[2] = { 0, 0 };
		if (sscanf(line, "%31s %u %u", first, &numbers[0], &numbers[1]) < 1 || strcmp(first, word) != 0)
			continue;
		memcpy(ret[n++], numbers, sizeof numbers);
	}
	if (file)
		fclose(file);
	return n;
}

static int says(const char *word)
{
	unsigned one[1][2];
	return lines(word, one, 1) > 0;
}

static void was_asked(void)
{
	char path[4096];
	const char *said = getenv("FAKE_NVML");
	if (!said || snprintf(path, sizeof path, "%s.asked", said) >= (int)sizeof path)
		return;
	FILE *file = fopen(path, "w");
	if (file)
		fclose(file);
}

int nvmlInit_v2(void)
{
	was_asked();
	while (says("hang"))
		sleep(1);
	return says("init") ? 9 : 0;
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
	*count = 1;
	return says("count") ? 999 : 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **ret)
{
	static int card;
	*ret = &card;
	return index ? 2 : 0;
}

int nvmlDeviceGetEncoderSessions(void *device, unsigned *count, struct session *ret)
{
	unsigned found[16][2];
	(void)device;
	*count = lines("session", found, 16);
	for (unsigned i = 0; i < *count; i++)
		ret[i] = (struct session){ .pid = found[i][0], .fps = found[i][1] };
	return 0;
}

int nvmlDeviceGetProcessUtilization(void *device, struct sample *ret, unsigned *count, unsigned long long since)
{
	unsigned found[16][2];
	(void)device;
	(void)since;
	was_asked();
	*count = lines("process", found, 16);
	for (unsigned i = 0; i < *count; i++)
		ret[i] = (struct sample){ .pid = found[i][0], .encoder = found[i][1] };
	return *count ? 0 : 6; /* NVML_ERROR_NOT_FOUND */
}
