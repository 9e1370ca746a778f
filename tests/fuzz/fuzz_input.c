/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "media/job.h"
#include "media/playlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What ffprobe says of a film, and ffmpeg of a segment: it becomes command lines whose words are whole. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct bytes text = arena_bytes(&arena, data, size);
	struct input input;
	struct job job;
	int64_t number;
	playlist_segment_line(text, &number);
	playlist_frame_line(text, &number);
	const struct job_wish wish = { NULL, 0, 720, UNKNOWN_NUMBER, UNKNOWN_NUMBER, "aac", size % 2 ? 0 : UNKNOWN_NUMBER, false };
	if (!input_parse(text, "in", &arena, NULL, &input) || !job_make(&input, "out.mp4", &wish, &arena, NULL, &job))
		return 0;
	struct proof proof = { .name = "libx264", .codec = "h264", .bits = 8, .way = "software", .device = "" };
	struct job_engine engine = { .encoder = &media_encoders[0], .proof = &proof, .software = true };
	engine.device.way = WAY_SOFTWARE;
	const struct job_from from = { 3, 9000000 };
	const struct job_tools tools = { "/f", "5.1", NULL };
	const char *const *argv = job_video(&job, &engine, &tools, &from, "p", &arena);
	for (size_t i = 0; argv[i]; i++)
		if (!*argv[i])
			abort();
	if (!job.width || job.width % 2 || job.height > 16384)
		abort();
	return 0;
}
