/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A VA-API driver without a GPU. It lists encoders for H.264 and HEVC, and BED_VA says what comes of it:
 *
 *   init, config, surface, context, picture    that call fails, as a driver's does
 *   size, rate                                 it encodes no picture that small; it knows no bit rate
 *   nothing                                    every call succeeds, and no byte comes out
 *   plays                                      the processor plays the card: H.264 that is right, nothing compressed
 *   card                                       and more of one: it decodes H.264 and scales besides
 *   mapper, sleeper                            and maps the tones of HDR10; says that it does
 *
 * BED_VA_ENDS=decode:40 (encode:, scale:): from the 40th picture on, counted from 0, that fails; decode:40-41: those two do.
 * buffer:40: it has no room for what the 40th picture is to be decoded by.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <va/va_backend.h>
#include <va/va_vpp.h>
#include <va/va_backend_vpp.h>
#include <va/va_enc_h264.h>

#include "va.h"

/* A configuration and the context that is made of it have the number of the work. */
enum work { NOTHING, ENCODE, DECODE, SCALE, WORKS };
enum { OBJECTS_MAX = 4096, SLICES_MAX = 64 };

static VAStatus when(const char *call, VAStatus failure)
{
	const char *wanted = getenv("BED_VA");
	return wanted && strcmp(wanted, call) == 0 ? failure : VA_STATUS_SUCCESS;
}

static bool is_card(void)
{
	return when("card", 1) || when("mapper", 1) || when("sleeper", 1);
}

/* Does this work fail at that picture? */
static bool fails_at(enum work work, unsigned pictures)
{
	static const char *const names[WORKS] = { [NOTHING] = "buffer:", [ENCODE] = "encode:", [DECODE] = "decode:", [SCALE] = "scale:" };
	const char *ends = getenv("BED_VA_ENDS"), *name = names[work];
	char *last;
	if (!ends || strncmp(ends, name, strlen(name)) != 0)
		return false;
	return pictures >= strtoul(ends + strlen(name), &last, 10) && (*last != '-' || pictures <= strtoul(last + 1, NULL, 10));
}

/* ---- surfaces and buffers: one table, an id is a place in it ------------------------------------- */

static struct object *objects[OBJECTS_MAX];
static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER; /* newer ffmpegs decode, scale and encode at once */

static struct object *at(VAGenericID id)
{
	static struct object none;
	return id < OBJECTS_MAX && objects[id] ? objects[id] : &none;
}

static VAGenericID put(struct object object, const void *data)
{
	VAGenericID id = 1;
	struct object *own = malloc(sizeof object);
	object.data = calloc(1, object.size ? object.size : 1);
	if (!object.data || !own)
		abort();
	if (data)
		memcpy(object.data, data, object.size);
	*own = object;
	pthread_mutex_lock(&objects_lock);
	while (id < OBJECTS_MAX - 1 && objects[id])
		id++;
	objects[id] = own;
	pthread_mutex_unlock(&objects_lock);
	return id;
}

static VAStatus drop(VAGenericID id)
{
	pthread_mutex_lock(&objects_lock);
	if (id < OBJECTS_MAX && objects[id]) {
		free(objects[id]->data);
		free(objects[id]);
		objects[id] = NULL;
	}
	pthread_mutex_unlock(&objects_lock);
	return VA_STATUS_SUCCESS;
}

/* ---- what it lists -------------------------------------------------------------------------------- */

static VAStatus list_profiles(VADriverContextP driver, VAProfile *ret, int *ret_n)
{
	static const VAProfile profiles[] = { VAProfileH264ConstrainedBaseline, VAProfileH264Main, VAProfileH264High,
		VAProfileHEVCMain, VAProfileNone };
	(void)driver;
	*ret_n = sizeof profiles / sizeof *profiles - !is_card();
	memcpy(ret, profiles, (size_t)*ret_n * sizeof *profiles);
	return VA_STATUS_SUCCESS;
}

static enum work work_of(VAProfile profile, VAEntrypoint entrypoint)
{
	bool h264 = profile == VAProfileH264ConstrainedBaseline || profile == VAProfileH264Main || profile == VAProfileH264High;
	return entrypoint == VAEntrypointEncSlice && profile != VAProfileNone      ? ENCODE
	       : entrypoint == VAEntrypointVLD && h264 && is_card()                ? DECODE
	       : entrypoint == VAEntrypointVideoProc && profile == VAProfileNone && is_card() ? SCALE
	                                                                           : NOTHING;
}

static VAStatus list_entrypoints(VADriverContextP driver, VAProfile profile, VAEntrypoint *ret, int *ret_n)
{
	static const VAEntrypoint all[] = { VAEntrypointEncSlice, VAEntrypointVLD, VAEntrypointVideoProc };
	(void)driver;
	*ret_n = 0;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (work_of(profile, all[i]))
			ret[(*ret_n)++] = all[i];
	return VA_STATUS_SUCCESS;
}

static VAStatus tell_attributes(
        VADriverContextP driver, VAProfile profile, VAEntrypoint entrypoint, VAConfigAttrib *ret, int n)
{
	(void)driver;
	for (int i = 0; i < n; i++) {
		unsigned *value = &ret[i].value;
		switch (ret[i].type) {
		case VAConfigAttribRTFormat:
			*value = VA_RT_FORMAT_YUV420 | (work_of(profile, entrypoint) == SCALE ? VA_RT_FORMAT_YUV420_10 : 0U);
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
	*ret = work_of(profile, entrypoint);
	return *ret ? when("config", VA_STATUS_ERROR_UNSUPPORTED_PROFILE) : VA_STATUS_ERROR_UNSUPPORTED_ENTRYPOINT;
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
		{ VASurfaceAttribMaxHeight, 4096 }, { VASurfaceAttribPixelFormat, VA_FOURCC_P010 } };
	(void)driver;
	*ret_n = sizeof rows / sizeof *rows - (config != SCALE);
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
	struct object surface = { .width = (width + 15) & ~15U,
		.height = (height + 15) & ~15U,
		.bytes = format == VA_RT_FORMAT_YUV420_10 ? 2 : 1,
		.asked_width = width,
		.asked_height = height };
	VAStatus status = when("surface", VA_STATUS_ERROR_ALLOCATION_FAILED);
	(void)driver;
	(void)attributes;
	(void)n_attributes;
	surface.size = (size_t)surface.width * surface.height * surface.bytes * 3 / 2;
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

static const VAImageFormat formats[] = {
	{ .fourcc = VA_FOURCC_NV12, .byte_order = VA_LSB_FIRST, .bits_per_pixel = 12 },
	{ .fourcc = VA_FOURCC_P010, .byte_order = VA_LSB_FIRST, .bits_per_pixel = 24 },
};

static VAStatus list_formats(VADriverContextP driver, VAImageFormat *ret, int *ret_n)
{
	(void)driver;
	*ret_n = is_card() ? 2 : 1;
	memcpy(ret, formats, (size_t)*ret_n * sizeof *ret);
	return VA_STATUS_SUCCESS;
}

/* An image is its surface: the buffer has the surface's number. */
static VAStatus derive_image(VADriverContextP driver, VASurfaceID id, VAImage *ret)
{
	const struct object *surface = at(id);
	unsigned pitch = surface->width * surface->bytes;
	(void)driver;
	*ret = (VAImage){ .image_id = id,
		.buf = id,
		.width = (unsigned short)surface->width,
		.height = (unsigned short)surface->height,
		.data_size = (unsigned)surface->size,
		.num_planes = 2,
		.pitches = { pitch, pitch },
		.offsets = { 0, pitch * surface->height },
		.format = formats[surface->bytes == 2] };
	return VA_STATUS_SUCCESS;
}

/* A copy: for reading. */
static VAStatus make_image(VADriverContextP driver, VAImageFormat *format, int width, int height, VAImage *ret)
{
	struct object image = { .type = VAImageBufferType,
		.width = (unsigned)width,
		.height = (unsigned)height,
		.bytes = format->fourcc == VA_FOURCC_P010 ? 2 : 1 };
	image.size = (size_t)image.width * image.height * image.bytes * 3 / 2;
	return derive_image(driver, put(image, NULL), ret);
}

static VAStatus drop_image(VADriverContextP driver, VAImageID id)
{
	(void)driver;
	return at(id)->type == VAImageBufferType ? drop(id) : VA_STATUS_SUCCESS;
}

static VAStatus get_image(VADriverContextP driver, VASurfaceID from, int x, int y, unsigned width, unsigned height, VAImageID id)
{
	const struct object *surface = at(from), *image = at(id);
	(void)driver;
	if (x || y || width > surface->width || height > surface->height || width > image->width || height > image->height ||
	        surface->bytes != image->bytes)
		return VA_STATUS_ERROR_INVALID_PARAMETER;
	size_t bytes = surface->bytes, from_pitch = surface->width * bytes, to_pitch = image->width * bytes;
	for (unsigned line = 0; line < height; line++)
		memcpy(image->data + line * to_pitch, surface->data + line * from_pitch, width * bytes);
	for (unsigned line = 0; line < height / 2; line++)
		memcpy(image->data + (image->height + line) * to_pitch, surface->data + (surface->height + line) * from_pitch,
		        width * bytes);
	return VA_STATUS_SUCCESS;
}

static VAStatus make_buffer(VADriverContextP driver, VAContextID context, VABufferType type, unsigned size, unsigned n,
        void *data, VABufferID *ret)
{
	static unsigned count;
	(void)driver;
	(void)context;
	if (type == VAPictureParameterBufferType && fails_at(NOTHING, count++))
		return VA_STATUS_ERROR_ALLOCATION_FAILED;
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

/* ---- the works: what is handed over between begin and end -------------------------------------------- */

static struct picture {
	unsigned right, below, count; /* what is cropped; pictures until now */
	struct object *surface, *coded;
	const struct object *parameters, *slices[SLICES_MAX];
	unsigned n_slices;
} pictures[WORKS];

static VAStatus make_context(VADriverContextP driver, VAConfigID config, int width, int height, int flag,
        VASurfaceID *surfaces, int n, VAContextID *ret)
{
	(void)driver;
	(void)flag;
	(void)surfaces;
	(void)n;
	(void)width;
	(void)height;
	*ret = config;
	return when("context", VA_STATUS_ERROR_ALLOCATION_FAILED);
}

static VAStatus begin_picture(VADriverContextP driver, VAContextID context, VASurfaceID surface)
{
	struct picture *picture = &pictures[context];
	(void)driver;
	picture->surface = at(surface);
	picture->parameters = picture->coded = NULL;
	picture->n_slices = 0;
	return VA_STATUS_SUCCESS;
}

static VAStatus render_picture(VADriverContextP driver, VAContextID context, VABufferID *buffers, int n)
{
	struct picture *picture = &pictures[context];
	(void)driver;
	for (int i = 0; i < n; i++) {
		struct object *buffer = at(buffers[i]);
		if (buffer->type == VAEncSequenceParameterBufferType &&
		        buffer->size == sizeof(VAEncSequenceParameterBufferH264)) {
			const VAEncSequenceParameterBufferH264 *sequence = (const void *)buffer->data;
			picture->right = sequence->frame_cropping_flag ? sequence->frame_crop_right_offset : 0;
			picture->below = sequence->frame_cropping_flag ? sequence->frame_crop_bottom_offset : 0;
		}
		if (buffer->type == VAEncPictureParameterBufferType &&
		        buffer->size == sizeof(VAEncPictureParameterBufferH264))
			picture->coded = at(((const VAEncPictureParameterBufferH264 *)(const void *)buffer->data)->coded_buf);
		if (buffer->type == VAPictureParameterBufferType || buffer->type == VAProcPipelineParameterBufferType)
			picture->parameters = buffer;
		if (buffer->type == VASliceDataBufferType && picture->n_slices < SLICES_MAX)
			picture->slices[picture->n_slices++] = buffer;
	}
	return VA_STATUS_SUCCESS;
}

static VAStatus end_encode(struct picture *picture)
{
	if (when("nothing", 1))
		return VA_STATUS_SUCCESS;
	if (!picture->coded) /* HEVC is only listed */
		return VA_STATUS_ERROR_ENCODING_ERROR;
	va_encode(picture->coded, picture->surface, picture->right, picture->below);
	return when("picture", VA_STATUS_ERROR_ENCODING_ERROR);
}

static VAStatus end_scale(struct picture *picture)
{
	const VAProcPipelineParameterBuffer *how = (const void *)picture->parameters->data;
	va_scale(at(how->surface), how->surface_region, picture->surface, how->output_region,
	        how->num_filters && when("mapper", 1));
	return VA_STATUS_SUCCESS;
}

static VAStatus end_picture(VADriverContextP driver, VAContextID context)
{
	struct picture *picture = &pictures[context];
	(void)driver;
	if (fails_at(context, picture->count++))
		return VA_STATUS_ERROR_HW_BUSY;
	if (context == ENCODE)
		return end_encode(picture);
	if (!picture->parameters)
		return VA_STATUS_ERROR_INVALID_PARAMETER;
	if (context == SCALE)
		return end_scale(picture);
	return va_decode(picture->parameters, picture->slices, picture->n_slices, picture->surface)
	               ? VA_STATUS_SUCCESS
	               : VA_STATUS_ERROR_DECODING_ERROR;
}

/* It scales, and filters nothing. */
static VAStatus list_filters(VADriverContextP driver, VAContextID context, VAProcFilterType *ret, unsigned *ret_n)
{
	(void)driver;
	(void)context;
	(void)ret;
	*ret_n = 0;
	return VA_STATUS_SUCCESS;
}

static VAStatus tell_filter(VADriverContextP driver, VAContextID context, VAProcFilterType type, void *ret, unsigned *ret_n)
{
	(void)driver;
	(void)context;
	if (!(when("mapper", 1) || when("sleeper", 1)) || type != VAProcFilterHighDynamicRangeToneMapping)
		return VA_STATUS_ERROR_UNSUPPORTED_FILTER;
	*(VAProcFilterCapHighDynamicRange *)ret = (VAProcFilterCapHighDynamicRange){
		.metadata_type = VAProcHighDynamicRangeMetadataHDR10, .caps_flag = VA_TONE_MAPPING_HDR_TO_SDR };
	*ret_n = 1;
	return VA_STATUS_SUCCESS;
}

static VAStatus tell_pipeline(VADriverContextP driver, VAContextID context, VABufferID *filters, unsigned n,
        VAProcPipelineCaps *ret)
{
	(void)driver;
	(void)context;
	(void)filters;
	(void)n;
	*ret = (VAProcPipelineCaps){ 0 };
	return VA_STATUS_SUCCESS;
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
	calls->vaCreateImage = make_image;
	calls->vaGetImage = get_image;
	calls->vaDeriveImage = derive_image;
	calls->vaDestroyImage = drop_image;
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
	if (driver->vtable_vpp) {
		driver->vtable_vpp->vaQueryVideoProcFilters = list_filters;
		driver->vtable_vpp->vaQueryVideoProcFilterCaps = tell_filter;
		driver->vtable_vpp->vaQueryVideoProcPipelineCaps = tell_pipeline;
	}
	return when("init", VA_STATUS_ERROR_INVALID_PARAMETER);
}
