/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * H.264 without compression: every macroblock as its samples (I_PCM), behind headers of the baseline profile.
 */
#include "va.h"

void put_byte(struct stream *stream, unsigned byte, bool escaped)
{
	if (escaped && stream->zeros >= 2 && byte <= 3) {
		stream->zeros = 0;
		put_byte(stream, 3, false);
	}
	stream->zeros = byte ? 0 : stream->zeros + 1;
	if (stream->size < stream->room)
		stream->data[stream->size++] = (unsigned char)byte;
}

void put_bits(struct stream *stream, unsigned n, unsigned value)
{
	while (n--) {
		stream->byte = stream->byte << 1 | (value >> n & 1);
		if (++stream->bits < 8)
			continue;
		put_byte(stream, stream->byte, true);
		stream->byte = stream->bits = 0;
	}
}

void put_golomb(struct stream *stream, unsigned value)
{
	unsigned n = 0;
	while ((value + 1) >> (n + 1))
		n++;
	put_bits(stream, n, 0);
	put_bits(stream, n + 1, value + 1);
}

void put_signed(struct stream *stream, int value)
{
	put_golomb(stream, value > 0 ? 2 * (unsigned)value - 1 : 2 * (unsigned)-value);
}

void start_unit(struct stream *stream, unsigned kind)
{
	static const unsigned char code[] = { 0, 0, 0, 1 };
	for (size_t i = 0; i < sizeof code; i++)
		put_byte(stream, code[i], false);
	stream->zeros = 0;
	put_byte(stream, kind, true);
}

void end_unit(struct stream *stream)
{
	put_bits(stream, 1, 1);
	while (stream->bits)
		put_bits(stream, 1, 0);
}

static void put_headers(struct stream *stream, unsigned columns, unsigned rows, unsigned right, unsigned below)
{
	start_unit(stream, 0x67); /* sequence parameters: baseline, level 5.1 */
	put_bits(stream, 24, 66 << 16 | 51);
	put_golomb(stream, 0); /* id */
	put_golomb(stream, 0); /* frame numbers have 4 bits */
	put_golomb(stream, 2); /* output in the order of decoding */
	put_golomb(stream, 1); /* reference frames */
	put_bits(stream, 1, 0);
	put_golomb(stream, columns - 1);
	put_golomb(stream, rows - 1);
	put_bits(stream, 3, 7); /* frames only, 8x8 inference, cropping */
	put_golomb(stream, 0);
	put_golomb(stream, right);
	put_golomb(stream, 0);
	put_golomb(stream, below);
	put_bits(stream, 1, 0); /* nothing about display */
	end_unit(stream);
	start_unit(stream, 0x68); /* picture parameters */
	put_golomb(stream, 0);    /* id */
	put_golomb(stream, 0);    /* of which sequence */
	put_bits(stream, 2, 0);   /* no CABAC */
	for (int i = 0; i < 3; i++)
		put_golomb(stream, 0); /* one slice group, one reference either way */
	put_bits(stream, 3, 0);
	for (int i = 0; i < 3; i++)
		put_golomb(stream, 0); /* quantisers */
	put_bits(stream, 3, 4);        /* the slice says whether edges are smoothed */
	end_unit(stream);
}

/* One macroblock of NV12, as it is. */
static void put_samples(struct stream *stream, const struct object *surface, unsigned column, unsigned row)
{
	const unsigned pitch = surface->width;
	const unsigned char *luma = surface->data + row * MACROBLOCK * pitch + column * MACROBLOCK,
	                    *chroma = surface->data + pitch * surface->height + row * (MACROBLOCK / 2) * pitch +
	                              column * MACROBLOCK;
	for (unsigned y = 0; y < MACROBLOCK; y++)
		for (unsigned x = 0; x < MACROBLOCK; x++)
			put_byte(stream, luma[y * pitch + x], true);
	for (unsigned plane = 0; plane < 2; plane++)
		for (unsigned y = 0; y < MACROBLOCK / 2; y++)
			for (unsigned x = 0; x < MACROBLOCK / 2; x++)
				put_byte(stream, chroma[y * pitch + 2 * x + plane], true);
}

void va_encode(struct object *coded, const struct object *surface, unsigned right, unsigned below)
{
	static unsigned count;
	struct stream stream = { .data = coded->data, .room = coded->size };
	unsigned columns = surface->width / MACROBLOCK, rows = surface->height / MACROBLOCK;
	put_headers(&stream, columns, rows, right, below);
	start_unit(&stream, 0x65); /* a slice of a picture that needs no other */
	put_golomb(&stream, 0);    /* from the first macroblock on */
	put_golomb(&stream, 7);    /* intra, all of it */
	put_golomb(&stream, 0);    /* of which picture parameters */
	put_bits(&stream, 4, 0);   /* frame number */
	put_golomb(&stream, count++ & 1);
	put_bits(&stream, 2, 0);
	put_golomb(&stream, 0); /* quantiser */
	put_golomb(&stream, 1); /* edges stay */
	for (unsigned i = 0; i < columns * rows; i++) {
		put_golomb(&stream, 25); /* samples follow */
		while (stream.bits)
			put_bits(&stream, 1, 0);
		put_samples(&stream, surface, i % columns, i / columns);
	}
	end_unit(&stream);
	coded->segment = (VACodedBufferSegment){ .size = (unsigned)stream.size, .buf = coded->data };
}
