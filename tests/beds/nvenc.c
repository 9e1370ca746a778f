/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An encoder library of NVIDIA's without a GPU: every call succeeds, and nothing is done. BED_NVENC is the number with
 * which no session opens; BED_NVENC_API, the version of its API ("11.0"); BED_NVENC_PLAIN, that the card encodes 8 bits
 * only. After the programming guide of NVIDIA's Video Codec SDK.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODECS = 2, CALLS = 41, NEWEST_MAJOR = 15 };

struct guid {
	uint32_t first;
	uint16_t second, third;
	uint8_t rest[8];
};

typedef void call(void); /* each has another type */
struct calls {
	uint32_t version, reserved;
	call *call[CALLS];
};
/* Places in it. */
enum { COUNT_CODECS = 1, LIST_CODECS = 4, TELL_CAPABILITY = 7, OPEN_SESSION = 29, LAST_ERROR = 37 };
enum { TEN_BITS = 39 }; /* of its capabilities */

static const struct guid codecs[CODECS] = {
	{ 0x6bc82762, 0x4e63, 0x4ca4, { 0xaa, 0x85, 0x1e, 0x50, 0xf3, 0x21, 0xf6, 0xbf } }, /* H.264 */
	{ 0x790cdc88, 0x4522, 0x4d7b, { 0x94, 0x25, 0xbd, 0xa9, 0x97, 0x5f, 0x76, 0x03 } }, /* HEVC */
};

static int nothing(void)
{
	return 0;
}

static int count_codecs(void *session, uint32_t *ret)
{
	(void)session;
	*ret = CODECS;
	return 0;
}

static int list_codecs(void *session, struct guid *ret, uint32_t room, uint32_t *ret_n)
{
	(void)session;
	*ret_n = room < CODECS ? room : CODECS;
	memcpy(ret, codecs, *ret_n * sizeof *codecs);
	return 0;
}

static int tell_capability(void *session, struct guid codec, const uint32_t *which, int *ret)
{
	(void)session;
	(void)codec;
	*ret = which[1] == TEN_BITS && getenv("BED_NVENC_PLAIN") ? 0 : 4096; /* the largest, or yes */
	return 0;
}

static int open_session(void *parameters, void **ret)
{
	static int session;
	const char *error = getenv("BED_NVENC");
	(void)parameters;
	*ret = &session;
	return error ? atoi(error) : 0;
}

static const char *last_error(void *session)
{
	(void)session;
	return "";
}

int NvEncodeAPIGetMaxSupportedVersion(uint32_t *ret);
int NvEncodeAPIGetMaxSupportedVersion(uint32_t *ret)
{
	const char *text = getenv("BED_NVENC_API");
	unsigned major = NEWEST_MAJOR, minor = 0;
	if (text)
		sscanf(text, "%u.%u", &major, &minor);
	*ret = major << 4 | minor;
	return 0;
}

int NvEncodeAPICreateInstance(struct calls *ret);
int NvEncodeAPICreateInstance(struct calls *ret)
{
	for (int i = 0; i < CALLS; i++)
		ret->call[i] = (call *)nothing;
	ret->call[COUNT_CODECS] = (call *)count_codecs;
	ret->call[LIST_CODECS] = (call *)list_codecs;
	ret->call[TELL_CAPABILITY] = (call *)tell_capability;
	ret->call[OPEN_SESSION] = (call *)open_session;
	ret->call[LAST_ERROR] = (call *)last_error;
	return 0;
}
