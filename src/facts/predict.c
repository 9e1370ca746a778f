/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/predict.h"

#include <string.h>

void predict_boot(const struct facts *facts, bool all, struct arena *arena, struct prediction *ret)
{
	(void)facts, (void)all, (void)arena;
	*ret = (struct prediction){ .blind = "nothing is computed" };
}

const struct predicted *predict_device(const struct prediction *prediction, const char *address)
{
	for (size_t i = 0; i < prediction->n; i++)
		if (strcmp(prediction->devices[i].device->address, address) == 0)
			return &prediction->devices[i];
	return NULL;
}
