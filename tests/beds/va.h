/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the parts of the VA-API stand-in share: surfaces and buffers, and a writer of H.264's bits.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include <va/va_backend.h>

enum { MACROBLOCK = 16 };

/* A surface (NV12, or with two bytes a sample P010) or a buffer. */
struct object {
	unsigned width, height, bytes;      /* surface: its sides are multiples of 16 */
	unsigned asked_width, asked_height; /* as they were asked for */
	VABufferType type;      /* buffer */
	size_t size;
	unsigned char *data;
	VACodedBufferSegment segment;
};

struct stream {
	unsigned char *data;
	size_t size, room;
	unsigned byte, bits, zeros;
};

void put_byte(struct stream *stream, unsigned byte, bool escaped);
void put_bits(struct stream *stream, unsigned n, unsigned value);
void put_golomb(struct stream *stream, unsigned value);
void put_signed(struct stream *stream, int value);
void start_unit(struct stream *stream, unsigned kind);
void end_unit(struct stream *stream);

/* As H.264 that any decoder takes, nothing compressed. right, below: half of the columns and lines that are not shown. */
void va_encode(struct object *coded, const struct object *surface, unsigned right, unsigned below);
/* The picture that these parts make, into the surface. n: of slices, each a whole unit without a start code. */
bool va_decode(const struct object *picture, const struct object *const *slices, unsigned n, struct object *surface);
/* Each sample the mean of those that it covers; a region NULL: all of it. maps: the tones, besides. */
void va_scale(const struct object *from, const VARectangle *of, struct object *to, const VARectangle *into, bool maps);
