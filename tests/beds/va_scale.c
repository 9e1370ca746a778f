/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "va.h"

struct plane {
	unsigned char *data;
	unsigned pitch, step; /* from line to line, from sample to sample */
	unsigned x, y, width, height;
};

static struct plane plane_of(const struct object *surface, const VARectangle *region, unsigned which)
{
	VARectangle all = { .width = (unsigned short)surface->width, .height = (unsigned short)surface->height };
	const VARectangle *of = region ? region : &all;
	unsigned half = which ? 2 : 1;
	return (struct plane){
		.data = surface->data + (which ? (size_t)surface->width * surface->height + which - 1 : 0),
		.pitch = surface->width,
		.step = half,
		.x = (unsigned)of->x / half,
		.y = (unsigned)of->y / half,
		.width = of->width / half,
		.height = of->height / half,
	};
}

static unsigned mean(const struct plane *from, unsigned left, unsigned right, unsigned top, unsigned bottom)
{
	unsigned sum = 0, n = 0;
	for (unsigned y = top; y < bottom || y == top; y++)
		for (unsigned x = left; x < right || x == left; x++, n++)
			sum += from->data[(from->y + y) * from->pitch + (from->x + x) * from->step];
	return (sum + n / 2) / n;
}

void va_scale(const struct object *from, const VARectangle *of, struct object *to, const VARectangle *into)
{
	for (unsigned which = 0; which < 3; which++) {
		struct plane source = plane_of(from, of, which), target = plane_of(to, into, which);
		for (unsigned y = 0; y < target.height; y++)
			for (unsigned x = 0; x < target.width; x++)
				target.data[(target.y + y) * target.pitch + (target.x + x) * target.step] =
				        (unsigned char)mean(&source, x * source.width / target.width,
				                (x + 1) * source.width / target.width,
				                y * source.height / target.height,
				                (y + 1) * source.height / target.height);
	}
}
