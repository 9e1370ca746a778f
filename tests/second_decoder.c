/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * second_decoder ROW: H.264 in Annex B, with access unit delimiters, on standard input; of each picture that OpenH264 shows
 * that row of its luma, on standard output. What it cannot decode it says, and it ends with 1. Where the parameters change all
 * is shown before it goes on: the decoder itself would drop what it has not shown, as H.264 C.4.4 allows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wels/codec_api.h>

enum { UNIT_MAX = 1 << 22, PARAMETERS = 7, DELIMITER = 9 };

static int row;
static unsigned pictures;

static void put(unsigned char *const *planes, const SBufferInfo *info)
{
	const SSysMEMBuffer *picture = &info->UsrData.sSystemBuffer;
	if (info->iBufferStatus != 1 || row >= picture->iHeight)
		return;
	fwrite(planes[0] + (size_t)row * (size_t)picture->iStride[0], 1, (size_t)picture->iWidth, stdout);
	pictures++;
}

static int decode(ISVCDecoder *decoder, const unsigned char *unit, size_t size)
{
	unsigned char *planes[3] = { 0 };
	SBufferInfo info;
	memset(&info, 0, sizeof info);
	int state = size ? (int)(*decoder)->DecodeFrameNoDelay(decoder, unit, (int)size, planes, &info) : 0;
	if (state)
		fprintf(stderr, "OpenH264: state %#x behind picture %u\n", (unsigned)state, pictures);
	put(planes, &info);
	return state;
}

/* Where the next NAL unit of that type (0: any) begins, with its start code; size: there is none. */
static size_t next_unit(const unsigned char *data, size_t from, size_t size, int type)
{
	for (size_t i = from; i + 3 < size; i++)
		if (!data[i] && !data[i + 1] && data[i + 2] == 1 && (!type || (data[i + 3] & 31) == type))
			return i;
	return size;
}

static ISVCDecoder *begin(void)
{
	ISVCDecoder *decoder = NULL;
	SDecodingParam parameters;
	memset(&parameters, 0, sizeof parameters);
	parameters.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC;
	parameters.eEcActiveIdc = ERROR_CON_DISABLE;
	if (WelsCreateDecoder(&decoder) || (*decoder)->Initialize(decoder, &parameters))
		exit(1);
	return decoder;
}

static void end(ISVCDecoder *decoder)
{
	unsigned char *planes[3] = { 0 };
	int left = 0, yes = 1;
	(*decoder)->SetOption(decoder, DECODER_OPTION_END_OF_STREAM, &yes);
	(*decoder)->GetOption(decoder, DECODER_OPTION_NUM_OF_FRAMES_REMAINING_IN_BUFFER, &left);
	while (left-- > 0) {
		SBufferInfo info;
		memset(&info, 0, sizeof info);
		(*decoder)->FlushFrame(decoder, planes, &info);
		put(planes, &info);
	}
	(*decoder)->Uninitialize(decoder);
	WelsDestroyDecoder(decoder);
}

/* Has this picture other parameters than those before it? */
static int differ(const unsigned char *data, size_t from, size_t to)
{
	static const unsigned char *last;
	static size_t last_size;
	size_t at = next_unit(data, from, to, PARAMETERS), size = next_unit(data, at + 3, to, 0) - at;
	if (at == to)
		return 0;
	int differs = last && (size != last_size || memcmp(data + at, last, size) != 0);
	last = data + at;
	last_size = size;
	return differs;
}

int main(int argc, char **argv)
{
	unsigned char *data = NULL;
	size_t size = 0, got = 0, room = 0;
	int failed = 0;
	do {
		size += got;
		if (room - size < UNIT_MAX && !(data = realloc(data, room += 4 * (size_t)UNIT_MAX)))
			return 1;
		got = fread(data + size, 1, UNIT_MAX, stdin);
	} while (got);
	row = argc > 1 ? atoi(argv[1]) : 0;
	ISVCDecoder *decoder = begin();
	for (size_t at = next_unit(data, 0, size, DELIMITER), next; at < size; at = next) {
		next = next_unit(data, at + 3, size, DELIMITER);
		if (differ(data, at, next)) {
			end(decoder);
			decoder = begin();
		}
		failed |= decode(decoder, data + at, next - at);
	}
	end(decoder);
	free(data);
	return failed ? 1 : 0;
}
