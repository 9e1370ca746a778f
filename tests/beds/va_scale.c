/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>

#include "va.h"

struct plane {
	unsigned char *data;
	unsigned bytes, pitch, step; /* of a sample; from line to line, from sample to sample */
	unsigned x, y, width, height;
};

static struct plane plane_of(const struct object *surface, const VARectangle *region, unsigned which)
{
	VARectangle all = { .width = (unsigned short)surface->asked_width, .height = (unsigned short)surface->asked_height };
	const VARectangle *of = region ? region : &all;
	unsigned half = which ? 2 : 1;
	return (struct plane){
		.data = surface->data + (which ? (size_t)surface->width * surface->height + which - 1 : 0) * surface->bytes,
		.bytes = surface->bytes,
		.pitch = surface->width * surface->bytes,
		.step = half * surface->bytes,
		.x = (unsigned)of->x / half,
		.y = (unsigned)of->y / half,
		.width = of->width / half,
		.height = of->height / half,
	};
}

static unsigned char *at(const struct plane *plane, unsigned x, unsigned y)
{
	return plane->data + (plane->y + y) * plane->pitch + (plane->x + x) * plane->step;
}

/* In 16 bits, be it of 8 or of 10. */
static unsigned mean(const struct plane *from, unsigned left, unsigned right, unsigned top, unsigned bottom)
{
	unsigned sum = 0, n = 0;
	for (unsigned y = top; y < bottom || y == top; y++)
		for (unsigned x = left; x < right || x == left; x++, n++)
			sum += from->bytes == 2 ? at(from, x, y)[0] | (unsigned)at(from, x, y)[1] << 8 : at(from, x, y)[0] * 256U;
	return (sum + n / 2) / n;
}

/* A light of 10 bits as one of 8: the darks are lifted, as every tone map does. */
static unsigned mapped(unsigned sample)
{
	double light = ((double)sample / 256 - 16) / 219;
	return (unsigned)((16 + 219 * sqrt(light < 0 ? 0 : light > 1 ? 1 : light)) * 256);
}

static void put_sample(unsigned char *to, unsigned bytes, unsigned sample)
{
	if (bytes == 2)
		*to++ = (unsigned char)(sample & 0xc0);
	*to = (unsigned char)(sample >> 8);
}

void va_scale(const struct object *from, const VARectangle *of, struct object *to, const VARectangle *into, bool maps)
{
	for (unsigned which = 0; which < 3; which++) {
		struct plane source = plane_of(from, of, which), target = plane_of(to, into, which);
		for (unsigned y = 0; y < target.height; y++)
			for (unsigned x = 0; x < target.width; x++) {
				unsigned sample = mean(&source, x * source.width / target.width,
				        (x + 1) * source.width / target.width, y * source.height / target.height,
				        (y + 1) * source.height / target.height);
				put_sample(at(&target, x, y), target.bytes, maps && !which ? mapped(sample) : sample);
			}
	}
}
