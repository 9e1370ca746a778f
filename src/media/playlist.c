/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "media/playlist.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "media/input.h"

const char *playlist_uri(const char *name, struct arena *arena)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	char *out = arena_alloc(arena, 3 * strlen(name) + 1), *end = out;
	for (const unsigned char *sign = (const unsigned char *)name; *sign; sign++) {
		if (strchr(plain, *sign))
			*end++ = (char)*sign;
		else
			end += snprintf(end, 4, "%%%02X", *sign);
	}
	*end = '\0';
	return out;
}

const char *playlist_media(const struct segments *segments, size_t n, bool has_ended, struct arena *arena)
{
	enum { LINE_MAX_BYTES = 64 };
	static const char breaks[] = "#EXT-X-DISCONTINUITY\n";
	int64_t longest = 4; /* what a segment of three seconds can become; it must not grow later */
	size_t room = 256;
	for (size_t i = 0; i < n; i++) {
		int64_t rounded = (segments->list[i].end_us - segments->list[i].start_us + 500000) / 1000000;
		longest = rounded > longest ? rounded : longest;
		room += 3 * strlen(segments->list[i].name) + LINE_MAX_BYTES + segments->list[i].breaks * strlen(breaks);
	}
	char *text = arena_alloc(arena, room);
	size_t at = (size_t)snprintf(text, room,
	        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:%" PRId64
	        "\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-INDEPENDENT-SEGMENTS\n",
	        longest);
	for (size_t i = 0; i < n; i++) {
		const struct segment *segment = &segments->list[i];
		int64_t us = segment->end_us > segment->start_us ? segment->end_us - segment->start_us : 0;
		for (unsigned time = 0; time < segment->breaks; time++)
			at += (size_t)snprintf(text + at, room - at, "%s", breaks);
		at += (size_t)snprintf(text + at, room - at, "#EXTINF:%" PRId64 ".%06" PRId64 ",\n%s\n", us / 1000000,
		        us % 1000000, playlist_uri(segment->name, arena));
	}
	snprintf(text + at, room - at, "%s", has_ended ? "#EXT-X-ENDLIST\n" : "");
	return text;
}

const char *playlist_master(
        const char *video, const char *audio, int64_t rate, unsigned width, unsigned height, struct arena *arena)
{
	return arena_printf(arena,
	        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n"
	        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"audio\",DEFAULT=YES,AUTOSELECT=YES,URI=\"%s\"\n"
	        "#EXT-X-STREAM-INF:BANDWIDTH=%" PRId64 ",RESOLUTION=%ux%u,AUDIO=\"audio\"\n%s\n",
	        playlist_uri(audio, arena), rate, width, height, playlist_uri(video, arena));
}

bool playlist_segment_line(struct bytes line, int64_t *ret_end_us)
{
	char end[32], start[32];
	const char *last = memrchr(line.data, ',', line.size);
	const char *before = last ? memrchr(line.data, ',', (size_t)(last - line.data)) : NULL;
	int64_t us;
	if (!before)
		return false;
	snprintf(end, sizeof end, "%.*s", (int)(line.data + line.size - last - 1), last + 1);
	snprintf(start, sizeof start, "%.*s", (int)(last - before - 1), before + 1);
	return input_seconds(start, &us) && input_seconds(end, ret_end_us);
}

bool playlist_last_line(struct bytes line)
{
	static const char last[] = "progress=end";
	return line.size == sizeof last - 1 && memcmp(line.data, last, sizeof last - 1) == 0;
}

bool playlist_frame_line(struct bytes line, int64_t *ret_frame)
{
	char number[24];
	uint64_t frame;
	if (line.size < 7 || memcmp(line.data, "frame=", 6) != 0)
		return false;
	snprintf(number, sizeof number, "%.*s", (int)(line.size - 6), line.data + 6);
	if (!text_number(number + strspn(number, " "), 10, INT64_MAX, &frame))
		return false;
	*ret_frame = (int64_t)frame;
	return true;
}
