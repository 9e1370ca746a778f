/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A VA-API driver without a GPU. It lists encoders for H.264 and HEVC, and BED_VA says what comes of it:
 *
 *   init, config, surface, context, picture    that call fails, as a driver's does
 *   size, rate                                 it encodes no picture that small; it knows no bit rate
 *   nothing                                    every call succeeds, and no byte comes out
 *   plays                                      the processor plays the card: H.264 that is right, nothing compressed
 */
#include <stdlib.h>
#include <string.h>

#include <va/va_backend.h>
#include <va/va_enc_h264.h>

enum { OBJECTS_MAX = 4096, MACROBLOCK = 16, CONFIG = 1, CONTEXT = 1 };

static VAStatus when(const char *call, VAStatus failure)
{
	const char *wanted = getenv("BED_VA");
	return wanted && strcmp(wanted, call) == 0 ? failure : VA_STATUS_SUCCESS;
}

/* ---- surfaces and buffers: one table, an id is a place in it ------------------------------------- */

struct object {
	unsigned width, height; /* surface */
	VABufferType type;      /* buffer */
	size_t size;
	unsigned char *data;
	VACodedBufferSegment segment;
};

static struct object *objects[OBJECTS_MAX];

static struct object *at(VAGenericID id)
{
	static struct object none;
	return id < OBJECTS_MAX && objects[id] ? objects[id] : &none;
}

static VAGenericID put(struct object object, const void *data)
{
	VAGenericID id = 1;
	while (id < OBJECTS_MAX - 1 && objects[id])
		id++;
	object.data = calloc(1, object.size ? object.size : 1);
	objects[id] = malloc(sizeof object);
	if (!object.data || !objects[id])
		abort();
	if (data)
		memcpy(object.data, data, object.size);
	*objects[id] = object;
	return id;
}

static VAStatus drop(VAGenericID id)
{
	if (id < OBJECTS_MAX && objects[id]) {
		free(objects[id]->data);
		free(objects[id]);
		objects[id] = NULL;
	}
	return VA_STATUS_SUCCESS;
}

/* ---- H.264 without compression ----------------------------------------------------------------- */

struct stream {
	unsigned char *data;
	size_t size, room;
	unsigned byte, bits, zeros;
};

static void put_byte(struct stream *stream, unsigned byte, int escaped)
{
	if (escaped && stream->zeros >= 2 && byte <= 3) {
		stream->zeros = 0;
		put_byte(stream, 3, 0);
	}
	stream->zeros = byte ? 0 : stream->zeros + 1;
	if (stream->size < stream->room)
		stream->data[stream->size++] = (unsigned char)byte;
}

static void put_bits(struct stream *stream, unsigned n, unsigned value)
{
	while (n--) {
		stream->byte = stream->byte << 1 | (value >> n & 1);
		if (++stream->bits < 8)
			continue;
		put_byte(stream, stream->byte, 1);
		stream->byte = stream->bits = 0;
	}
}

static void put_golomb(struct stream *stream, unsigned value)
{
	unsigned n = 0;
	while ((value + 1) >> (n + 1))
		n++;
	put_bits(stream, n, 0);
	put_bits(stream, n + 1, value + 1);
}

static void start_unit(struct stream *stream, unsigned kind)
{
	static const unsigned char code[] = { 0, 0, 0, 1 };
	for (size_t i = 0; i < sizeof code; i++)
		put_byte(stream, code[i], 0);
	stream->zeros = 0;
	put_byte(stream, kind, 1);
}

static void end_unit(struct stream *stream)
{
	put_bits(stream, 1, 1);
	while (stream->bits)
		put_bits(stream, 1, 0);
}

static void put_headers(struct stream *stream, unsigned columns, unsigned rows)
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
	put_bits(stream, 4, 0xc); /* frames only, 8x8 inference, no cropping, nothing about display */
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
			put_byte(stream, luma[y * pitch + x], 1);
	for (unsigned plane = 0; plane < 2; plane++)
		for (unsigned y = 0; y < MACROBLOCK / 2; y++)
			for (unsigned x = 0; x < MACROBLOCK / 2; x++)
				put_byte(stream, chroma[y * pitch + 2 * x + plane], 1);
}

static void encode(struct object *coded, const struct object *surface)
{
	static unsigned count;
	struct stream stream = { .data = coded->data, .room = coded->size };
	unsigned columns = surface->width / MACROBLOCK, rows = surface->height / MACROBLOCK;
	put_headers(&stream, columns, rows);
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

/* ---- what it lists -------------------------------------------------------------------------------- */

static VAStatus list_profiles(VADriverContextP driver, VAProfile *ret, int *ret_n)
{
	static const VAProfile profiles[] = { VAProfileH264ConstrainedBaseline, VAProfileH264Main, VAProfileH264High,
		VAProfileHEVCMain };
	(void)driver;
	memcpy(ret, profiles, sizeof profiles);
	*ret_n = sizeof profiles / sizeof *profiles;
	return VA_STATUS_SUCCESS;
}

static VAStatus list_entrypoints(VADriverContextP driver, VAProfile profile, VAEntrypoint *ret, int *ret_n)
{
	(void)driver;
	(void)profile;
	*ret = VAEntrypointEncSlice;
	*ret_n = 1;
	return VA_STATUS_SUCCESS;
}

static VAStatus tell_attributes(
        VADriverContextP driver, VAProfile profile, VAEntrypoint entrypoint, VAConfigAttrib *ret, int n)
{
	(void)driver;
	(void)profile;
	(void)entrypoint;
	for (int i = 0; i < n; i++) {
		unsigned *value = &ret[i].value;
		switch (ret[i].type) {
		case VAConfigAttribRTFormat:
			*value = VA_RT_FORMAT_YUV420;
			break;
		case VAConfigAttribRateControl:
			*value = when("rate", 1) ? VA_RC_CQP : VA_RC_CQP | VA_RC_CBR | VA_RC_VBR;
			break;
		case VAConfigAttribEncMaxRefFrames:
		case VAConfigAttribEncMaxSlices:
			*value = 1;
			break;
		default:
			*value = VA_ATTRIB_NOT_SUPPORTED;
		}
	}
	return VA_STATUS_SUCCESS;
}

static VAStatus make_config(VADriverContextP driver, VAProfile profile, VAEntrypoint entrypoint,
        VAConfigAttrib *attributes, int n, VAConfigID *ret)
{
	(void)driver;
	(void)attributes;
	(void)n;
	*ret = CONFIG;
	/* it has no scaler */
	return entrypoint == VAEntrypointEncSlice && profile != VAProfileNone
	               ? when("config", VA_STATUS_ERROR_UNSUPPORTED_PROFILE)
	               : VA_STATUS_ERROR_UNSUPPORTED_ENTRYPOINT;
}

static VAStatus drop_config(VADriverContextP driver, VAConfigID id)
{
	(void)driver;
	(void)id;
	return VA_STATUS_SUCCESS;
}

static VAStatus tell_surface_attributes(
        VADriverContextP driver, VAConfigID config, VASurfaceAttrib *ret, unsigned *ret_n)
{
	static const struct {
		VASurfaceAttribType type;
		int value;
	} rows[] = { { VASurfaceAttribPixelFormat, VA_FOURCC_NV12 }, { VASurfaceAttribMinWidth, 16 },
		{ VASurfaceAttribMinHeight, 16 }, { VASurfaceAttribMaxWidth, 4096 },
		{ VASurfaceAttribMaxHeight, 4096 } };
	(void)driver;
	(void)config;
	*ret_n = sizeof rows / sizeof *rows;
	for (unsigned i = 0; ret && i < *ret_n; i++) {
		ret[i].type = rows[i].type;
		ret[i].flags = VA_SURFACE_ATTRIB_GETTABLE;
		ret[i].value.type = VAGenericValueTypeInteger;
		ret[i].value.value.i = when("size", 1) && rows[i].value == 16 ? 4096 : rows[i].value;
	}
	return VA_STATUS_SUCCESS;
}

/* ---- surfaces, images of them, and buffers ----------------------------------------------------------- */

static VAStatus make_surfaces(VADriverContextP driver, unsigned format, unsigned width, unsigned height,
        VASurfaceID *ret, unsigned n, VASurfaceAttrib *attributes, unsigned n_attributes)
{
	struct object surface = { .width = (width + 15) & ~15U, .height = (height + 15) & ~15U };
	VAStatus status = when("surface", VA_STATUS_ERROR_ALLOCATION_FAILED);
	(void)driver;
	(void)format;
	(void)attributes;
	(void)n_attributes;
	surface.size = (size_t)surface.width * surface.height * 3 / 2;
	for (unsigned i = 0; i < n && !status; i++)
		ret[i] = put(surface, NULL);
	return status;
}

static VAStatus make_plain_surfaces(VADriverContextP driver, int width, int height, int format, int n, VASurfaceID *ret)
{
	return make_surfaces(driver, (unsigned)format, (unsigned)width, (unsigned)height, ret, (unsigned)n, NULL, 0);
}

static VAStatus drop_surfaces(VADriverContextP driver, VASurfaceID *list, int n)
{
	(void)driver;
	for (int i = 0; i < n; i++)
		drop(list[i]);
	return VA_STATUS_SUCCESS;
}

static VAStatus list_formats(VADriverContextP driver, VAImageFormat *ret, int *ret_n)
{
	(void)driver;
	*ret = (VAImageFormat){ .fourcc = VA_FOURCC_NV12, .byte_order = VA_LSB_FIRST, .bits_per_pixel = 12 };
	*ret_n = 1;
	return VA_STATUS_SUCCESS;
}

/* An image is its surface: the buffer has the surface's number. */
static VAStatus derive_image(VADriverContextP driver, VASurfaceID id, VAImage *ret)
{
	const struct object *surface = at(id);
	int n;
	*ret = (VAImage){ .image_id = id,
		.buf = id,
		.width = (unsigned short)surface->width,
		.height = (unsigned short)surface->height,
		.data_size = (unsigned)surface->size,
		.num_planes = 2,
		.pitches = { surface->width, surface->width },
		.offsets = { 0, surface->width * surface->height } };
	return list_formats(driver, &ret->format, &n);
}

static VAStatus make_buffer(VADriverContextP driver, VAContextID context, VABufferType type, unsigned size, unsigned n,
        void *data, VABufferID *ret)
{
	(void)driver;
	(void)context;
	*ret = put((struct object){ .type = type, .size = (size_t)size * n }, data);
	return VA_STATUS_SUCCESS;
}

static VAStatus map_buffer(VADriverContextP driver, VABufferID id, void **ret)
{
	struct object *object = at(id);
	(void)driver;
	*ret = object->type == VAEncCodedBufferType ? (void *)&object->segment : object->data;
	return VA_STATUS_SUCCESS;
}

static VAStatus leave(VADriverContextP driver, VAGenericID id)
{
	(void)driver;
	(void)id;
	return VA_STATUS_SUCCESS;
}

static VAStatus drop_buffer(VADriverContextP driver, VABufferID id)
{
	(void)driver;
	return drop(id);
}

/* ---- encoding ------------------------------------------------------------------------------------ */

static struct object *source, *target; /* of the picture that is begun */

static VAStatus make_context(VADriverContextP driver, VAConfigID config, int width, int height, int flag,
        VASurfaceID *surfaces, int n, VAContextID *ret)
{
	(void)driver;
	(void)config;
	(void)width;
	(void)height;
	(void)flag;
	(void)surfaces;
	(void)n;
	*ret = CONTEXT;
	return when("context", VA_STATUS_ERROR_ALLOCATION_FAILED);
}

static VAStatus begin_picture(VADriverContextP driver, VAContextID context, VASurfaceID surface)
{
	(void)driver;
	(void)context;
	source = at(surface);
	target = NULL;
	return VA_STATUS_SUCCESS;
}

static VAStatus render_picture(VADriverContextP driver, VAContextID context, VABufferID *buffers, int n)
{
	(void)driver;
	(void)context;
	for (int i = 0; i < n; i++) {
		const struct object *buffer = at(buffers[i]);
		if (buffer->type == VAEncPictureParameterBufferType &&
		        buffer->size == sizeof(VAEncPictureParameterBufferH264))
			target = at(((const VAEncPictureParameterBufferH264 *)(const void *)buffer->data)->coded_buf);
	}
	return VA_STATUS_SUCCESS;
}

static VAStatus end_picture(VADriverContextP driver, VAContextID context)
{
	(void)driver;
	(void)context;
	if (when("nothing", 1))
		return VA_STATUS_SUCCESS;
	if (!target) /* HEVC is only listed */
		return VA_STATUS_ERROR_ENCODING_ERROR;
	encode(target, source);
	return when("picture", VA_STATUS_ERROR_ENCODING_ERROR);
}

/* ---- the door ----------------------------------------------------------------------------------------- */

static VAStatus end(VADriverContextP driver)
{
	(void)driver;
	for (VAGenericID id = 0; id < OBJECTS_MAX; id++)
		drop(id);
	return VA_STATUS_SUCCESS;
}

static VAStatus not_here(void)
{
	return VA_STATUS_ERROR_UNIMPLEMENTED;
}

VAStatus __vaDriverInit_1_0(VADriverContextP driver);
VAStatus __vaDriverInit_1_0(VADriverContextP driver)
{
	struct VADriverVTable *calls = driver->vtable;
	VAStatus (**all)(void) = (VAStatus(**)(void))(void *)calls;
	driver->version_major = VA_MAJOR_VERSION;
	driver->version_minor = VA_MINOR_VERSION;
	driver->max_profiles = driver->max_entrypoints = driver->max_attributes = driver->max_image_formats = 16;
	driver->max_subpic_formats = driver->max_display_attributes = 1;
	driver->str_vendor = "gpuferry's tests: a card that is not there";
	/* libva takes none that lacks one of these */
	for (size_t i = 0; i <= offsetof(struct VADriverVTable, vaSetDisplayAttributes) / sizeof *all; i++)
		all[i] = not_here;
	calls->vaTerminate = end;
	calls->vaQueryConfigProfiles = list_profiles;
	calls->vaQueryConfigEntrypoints = list_entrypoints;
	calls->vaGetConfigAttributes = tell_attributes;
	calls->vaCreateConfig = make_config;
	calls->vaDestroyConfig = drop_config;
	calls->vaQuerySurfaceAttributes = tell_surface_attributes;
	calls->vaCreateSurfaces = make_plain_surfaces;
	calls->vaCreateSurfaces2 = make_surfaces;
	calls->vaDestroySurfaces = drop_surfaces;
	calls->vaQueryImageFormats = list_formats;
	calls->vaDeriveImage = derive_image;
	calls->vaDestroyImage = leave;
	calls->vaCreateContext = make_context;
	calls->vaDestroyContext = leave;
	calls->vaCreateBuffer = make_buffer;
	calls->vaMapBuffer = map_buffer;
	calls->vaUnmapBuffer = leave;
	calls->vaDestroyBuffer = drop_buffer;
	calls->vaBeginPicture = begin_picture;
	calls->vaRenderPicture = render_picture;
	calls->vaEndPicture = end_picture;
	calls->vaSyncSurface = leave;
	return when("init", VA_STATUS_ERROR_INVALID_PARAMETER);
}
