/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A libnvidia-ml of one card, whose encoders do what a file says (its path is in FAKE_NVML): lines "session PID FPS",
 * "process PID PERCENT", "init" and "count" (they fail), "hang" (the driver never comes back, whatever is asked), "lost"
 * (the card fell off the bus), "temperature C", "power MW", "busy PERCENT", "encoder PERCENT"; what no line tells is not
 * supported. Each look leaves a file beside it, FAKE_NVML.asked, so that a test can wait for it. A made one, after the API
 * reference: no driver was asked.
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

struct pci_info {
	char legacy[16];
	unsigned domain, bus, device, ids, subsystem;
	char id[32];
};
int nvmlDeviceGetPciInfo_v3(void *device, struct pci_info *ret);
int nvmlDeviceGetUtilizationRates(void *device, unsigned ret[2]);
int nvmlDeviceGetEncoderUtilization(void *device, unsigned *ret, unsigned *ret_period);
int nvmlDeviceGetDecoderUtilization(void *device, unsigned *ret, unsigned *ret_period);
int nvmlDeviceGetEncoderStats(void *device, unsigned *ret, unsigned *ret_fps, unsigned *ret_latency);
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long ret[3]);
int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *ret);
int nvmlDeviceGetPowerUsage(void *device, unsigned *ret);
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *ret);

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

static void hang(void)
{
	was_asked();
	while (says("hang"))
		sleep(1);
}

int nvmlInit_v2(void)
{
	hang();
	return says("init") ? 9 : 0;
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
	hang();
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

/* The number of that line: NVML_ERROR_NOT_SUPPORTED without one, NVML_ERROR_GPU_IS_LOST where it is. */
static int told(const char *word, unsigned *ret)
{
	unsigned found[1][2];
	if (says("lost"))
		return 15;
	if (!lines(word, found, 1))
		return 3;
	*ret = found[0][0];
	return 0;
}

int nvmlDeviceGetPciInfo_v3(void *device, struct pci_info *ret)
{
	(void)device;
	*ret = (struct pci_info){ .bus = 1 };
	return 0;
}

int nvmlDeviceGetUtilizationRates(void *device, unsigned ret[2])
{
	(void)device;
	return told("busy", ret);
}

int nvmlDeviceGetEncoderUtilization(void *device, unsigned *ret, unsigned *ret_period)
{
	(void)device;
	*ret_period = 0;
	return told("encoder", ret);
}

int nvmlDeviceGetDecoderUtilization(void *device, unsigned *ret, unsigned *ret_period)
{
	(void)device;
	*ret_period = 0;
	return told("decoder", ret);
}

int nvmlDeviceGetEncoderStats(void *device, unsigned *ret, unsigned *ret_fps, unsigned *ret_latency)
{
	unsigned found[16][2];
	(void)device;
	*ret = lines("session", found, 16);
	*ret_fps = *ret_latency = 0;
	return says("lost") ? 15 : 0;
}

int nvmlDeviceGetMemoryInfo(void *device, unsigned long long ret[3])
{
	unsigned mib;
	(void)device;
	int error = told("memory", &mib);
	if (!error) {
		ret[0] = 16384ULL << 20;
		ret[2] = (unsigned long long)mib << 20;
	}
	return error;
}

int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *ret)
{
	(void)device;
	(void)sensor;
	return told("temperature", ret);
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *ret)
{
	(void)device;
	return told("power", ret);
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *ret)
{
	unsigned found = 0;
	(void)device;
	int error = told("energy", &found);
	*ret = found;
	return error;
}
