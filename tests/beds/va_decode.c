/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A card's decoder, played by the decoder of the very program that loads this: what VA-API hands a driver becomes a
 * stream again, and libavcodec decodes it on the processor. It is found where it is loaded already, in any version from
 * 4.4 on; of its structures only the members are used that stand at the same place in all of them. One reference picture,
 * and none that is shown in another order.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#include "va.h"

/* avcodec.h, packet.h, frame.h: the beginnings */
struct packet {
	void *buffer;
	int64_t pts, dts;
	uint8_t *data;
	int size;
};
struct frame {
	uint8_t *data[8];
	int pitch[8];
};

static struct {
	void *(*find)(const char *name);
	void *(*make)(const void *codec);
	int (*open)(void *context, const void *codec, void *options);
	int (*set)(void *object, const char *name, const char *value, int flags);
	int (*send)(void *context, const struct packet *packet);
	int (*receive)(void *context, struct frame *frame);
	struct packet *(*make_packet)(void);
	int (*size_packet)(struct packet *packet, int size);
	void (*empty_packet)(struct packet *packet);
	struct frame *(*make_frame)(void);
} lib;

static bool load(void)
{
	static const struct {
		const char *name;
		void **to;
	} calls[] = {
		{ "avcodec_find_decoder_by_name", (void **)&lib.find },
		{ "avcodec_alloc_context3", (void **)&lib.make },
		{ "avcodec_open2", (void **)&lib.open },
		{ "av_opt_set", (void **)&lib.set },
		{ "avcodec_send_packet", (void **)&lib.send },
		{ "avcodec_receive_frame", (void **)&lib.receive },
		{ "av_packet_alloc", (void **)&lib.make_packet },
		{ "av_new_packet", (void **)&lib.size_packet },
		{ "av_packet_unref", (void **)&lib.empty_packet },
		{ "av_frame_alloc", (void **)&lib.make_frame },
	};
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (!*calls[i].to && !(*calls[i].to = dlsym(RTLD_DEFAULT, calls[i].name)))
			return false;
	return true;
}

/* Of the sequence, as far as a driver is told of it. */
static void put_sequence(struct stream *stream, const VAPictureParameterBufferH264 *picture)
{
	bool frames_only = picture->seq_fields.bits.frame_mbs_only_flag;
	start_unit(stream, 0x67);
	put_bits(stream, 24, 100 << 16 | 51); /* high, level 5.1 */
	put_golomb(stream, 0);                /* id */
	put_golomb(stream, 1);                /* 4:2:0 */
	put_golomb(stream, 0);                /* 8 bits */
	put_golomb(stream, 0);
	put_bits(stream, 2, 0);
	put_golomb(stream, picture->seq_fields.bits.log2_max_frame_num_minus4);
	put_golomb(stream, picture->seq_fields.bits.pic_order_cnt_type);
	if (!picture->seq_fields.bits.pic_order_cnt_type)
		put_golomb(stream, picture->seq_fields.bits.log2_max_pic_order_cnt_lsb_minus4);
	put_golomb(stream, picture->num_ref_frames);
	put_bits(stream, 1, picture->seq_fields.bits.gaps_in_frame_num_value_allowed_flag);
	put_golomb(stream, picture->picture_width_in_mbs_minus1);
	put_golomb(stream, frames_only ? picture->picture_height_in_mbs_minus1
	                               : (picture->picture_height_in_mbs_minus1 + 1U) / 2 - 1);
	put_bits(stream, 1, frames_only);
	if (!frames_only)
		put_bits(stream, 1, picture->seq_fields.bits.mb_adaptive_frame_field_flag);
	put_bits(stream, 1, picture->seq_fields.bits.direct_8x8_inference_flag);
	put_bits(stream, 2, 1);  /* no cropping, but a word on display */
	put_bits(stream, 10, 3); /* which is: motion over the edges, */
	put_golomb(stream, 0);
	put_golomb(stream, 0);
	put_golomb(stream, 16);
	put_golomb(stream, 16);
	put_golomb(stream, 0); /* and every picture is shown when it is decoded */
	put_golomb(stream, picture->num_ref_frames);
	end_unit(stream);
}

static void put_picture(struct stream *stream, const VAPictureParameterBufferH264 *picture)
{
	start_unit(stream, 0x68);
	put_golomb(stream, 0); /* id, of the sequence 0 */
	put_golomb(stream, 0);
	put_bits(stream, 1, picture->pic_fields.bits.entropy_coding_mode_flag);
	put_bits(stream, 1, picture->pic_fields.bits.pic_order_present_flag);
	put_golomb(stream, 0); /* one slice group */
	put_golomb(stream, 0); /* one reference either way */
	put_golomb(stream, 0);
	put_bits(stream, 1, picture->pic_fields.bits.weighted_pred_flag);
	put_bits(stream, 2, picture->pic_fields.bits.weighted_bipred_idc);
	put_signed(stream, picture->pic_init_qp_minus26);
	put_signed(stream, picture->pic_init_qs_minus26);
	put_signed(stream, picture->chroma_qp_index_offset);
	put_bits(stream, 1, picture->pic_fields.bits.deblocking_filter_control_present_flag);
	put_bits(stream, 1, picture->pic_fields.bits.constrained_intra_pred_flag);
	put_bits(stream, 1, picture->pic_fields.bits.redundant_pic_cnt_present_flag);
	put_bits(stream, 1, picture->pic_fields.bits.transform_8x8_mode_flag);
	put_bits(stream, 1, 0); /* flat */
	put_signed(stream, picture->second_chroma_qp_index_offset);
	end_unit(stream);
}

static void take(const struct frame *frame, unsigned width, unsigned height, struct object *surface)
{
	unsigned char *chroma = surface->data + (size_t)surface->width * surface->height;
	for (unsigned y = 0; y < height; y++)
		memcpy(surface->data + (size_t)y * surface->width, frame->data[0] + (ptrdiff_t)y * frame->pitch[0], width);
	for (unsigned y = 0; y < height / 2; y++)
		for (unsigned x = 0; x < width; x++)
			chroma[(size_t)y * surface->width + x] = frame->data[1 + x % 2][(ptrdiff_t)y * frame->pitch[1] + x / 2];
}

bool va_decode(const struct object *picture, const struct object *const *slices, unsigned n, struct object *surface)
{
	static void *context;
	static struct packet *packet;
	static struct frame *frame;
	const VAPictureParameterBufferH264 *parameters = (const void *)picture->data;
	if (picture->size != sizeof *parameters || parameters->seq_fields.bits.pic_order_cnt_type == 1 || !load())
		return false;
	if (!context) {
		const void *codec = lib.find("h264");
		context = codec ? lib.make(codec) : NULL;
		if (!context || lib.set(context, "flags", "+low_delay", 0) || lib.open(context, codec, NULL))
			return false;
		packet = lib.make_packet();
		frame = lib.make_frame();
	}
	static const unsigned char code[] = { 0, 0, 0, 1 };
	unsigned char headers[512];
	struct stream stream = { .data = headers, .room = sizeof headers };
	put_sequence(&stream, parameters);
	put_picture(&stream, parameters);
	size_t size = stream.size;
	for (unsigned i = 0; i < n; i++)
		size += sizeof code + slices[i]->size;
	if (lib.size_packet(packet, (int)size))
		return false;
	unsigned char *end = packet->data;
	memcpy(end, headers, stream.size);
	end += stream.size;
	for (unsigned i = 0; i < n; i++) {
		memcpy(end, code, sizeof code);
		memcpy(end + sizeof code, slices[i]->data, slices[i]->size);
		end += sizeof code + slices[i]->size;
	}
	bool done = !lib.send(context, packet) && !lib.receive(context, frame);
	lib.empty_packet(packet);
	if (done)
		take(frame, (parameters->picture_width_in_mbs_minus1 + 1U) * MACROBLOCK,
		        (parameters->picture_height_in_mbs_minus1 + 1U) * MACROBLOCK, surface);
	return done;
}
