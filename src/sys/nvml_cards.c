/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What NVML tells of a card. Declared after NVIDIA's API reference; see nvml.c.
 */
#include <stdio.h>
#include <string.h>

#include "sys/nvml.h"

enum { NVML_IS_LOST = 15, NVML_UNKNOWN_ERROR = 999 };

struct pci_info { /* nvmlPciInfo_t */
	char legacy[16];
	unsigned domain, bus, device, ids, subsystem;
	char id[32];
};
struct memory { /* nvmlMemory_t */
	unsigned long long total, free, used;
};
struct utilization { /* nvmlUtilization_t */
	unsigned gpu, memory;
};

struct nvml_api {
	int (*init)(void);
	int (*count)(unsigned *);
	int (*device)(unsigned, void **);
	int (*pci)(void *, struct pci_info *);
	int (*busy)(void *, struct utilization *);
	int (*encoder)(void *, unsigned *, unsigned *);
	int (*decoder)(void *, unsigned *, unsigned *);
	int (*sessions)(void *, unsigned *, unsigned *, unsigned *);
	int (*memory)(void *, struct memory *);
	int (*temperature)(void *, unsigned, unsigned *);
	int (*power)(void *, unsigned *);
	int (*energy)(void *, unsigned long long *);
};

static const char *const names[] = { "nvmlInit_v2", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2",
	"nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetEncoderUtilization",
	"nvmlDeviceGetDecoderUtilization", "nvmlDeviceGetEncoderStats", "nvmlDeviceGetMemoryInfo",
	"nvmlDeviceGetTemperature", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetTotalEnergyConsumption" };
enum { NAMES = sizeof names / sizeof *names };

static const char no_library[] = "NVIDIA's library (libnvidia-ml) is not here",
                  no_answer[] = "NVIDIA's driver does not answer", lost[] = "a card of NVIDIA's is lost";

struct nvml_api *nvml_load(const char *library, struct arena *arena, const char **ret_why, bool *ret_absent)
{
	struct nvml_api *api = arena_new(arena, struct nvml_api);
	_Static_assert(sizeof *api == NAMES * sizeof(void *), "one member for each name, in their order");
	*ret_absent = !nvml_symbols(library, names, NAMES, api);
	*ret_why = no_library;
	if (*ret_absent)
		return NULL;
	*ret_why = no_answer;
	return api->init() == 0 ? api : NULL;
}

static int64_t told(int error, unsigned long long value, bool *lost_too)
{
	*lost_too |= error == NVML_IS_LOST || error == NVML_UNKNOWN_ERROR;
	return error ? UNKNOWN_NUMBER : (int64_t)value;
}

/* False: it is lost. */
static bool read_card(struct nvml_api *api, void *device, struct nvml_card *ret)
{
	bool gone = false;
	unsigned value = 0, other = 0, more = 0;
	unsigned long long energy = 0;
	struct pci_info pci = { 0 };
	struct memory memory = { 0 };
	struct utilization use = { 0 };
	int error = api->pci(device, &pci);
	told(error, 0, &gone);
	*ret = (struct nvml_card){ 0 };
	if (!error)
		snprintf(ret->pci, sizeof ret->pci, "%04x:%02x:%02x.0", pci.domain, pci.bus, pci.device);
	error = api->busy(device, &use);
	ret->busy = told(error, use.gpu, &gone);
	error = api->encoder(device, &value, &other);
	ret->encoder = told(error, value, &gone);
	error = api->decoder(device, &value, &other);
	ret->decoder = told(error, value, &gone);
	error = api->sessions(device, &value, &other, &more);
	ret->sessions = told(error, value, &gone);
	error = api->memory(device, &memory);
	ret->memory = told(error, memory.total, &gone);
	ret->memory_used = told(error, memory.used, &gone);
	error = api->temperature(device, 0, &value);
	ret->temperature = told(error, value, &gone);
	error = api->power(device, &value);
	ret->milliwatts = told(error, value, &gone);
	error = api->energy(device, &energy);
	ret->millijoules = told(error, energy, &gone);
	return !gone;
}

bool nvml_read(struct nvml_api *api, struct nvml_cards *ret, const char **ret_why)
{
	unsigned n = 0;
	struct nvml_cards cards = { 0 };
	*ret_why = no_answer;
	if (api->count(&n) != 0)
		return false;
	*ret_why = lost;
	for (unsigned i = 0; i < n && i < NVML_CARDS_MAX; i++) {
		void *device;
		/* one that this process may not use is not counted among those that answer */
		int error = api->device(i, &device);
		if (error == NVML_IS_LOST || error == NVML_UNKNOWN_ERROR)
			return false;
		if (error)
			continue;
		if (!read_card(api, device, &cards.card[cards.n]))
			return false;
		cards.n++;
	}
	*ret = cards;
	return true;
}
