/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * For tests of what works: a machine whose device nodes and engine times are told, and on which programs really run;
 * and a program like ffmpeg, as tests/fake_ffmpeg.sh has it.
 */
#pragma once
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/proof.h"
#include "test.h"

struct stage_node {
	const char *path;
	int error; /* of opening it */
};

struct stage {
	struct world world, *real;
	struct arena arena;
	char folder[64];
	const char *path; /* of the program */
	const struct stage_node *nodes;
	const char *fdinfo;  /* of every process that is looked at; NULL: none */
	const char *foreign; /* of a process that is not ours */
	const char *nvml;    /* the library that is asked; NULL: none */
};

static inline int stage_probe_open(struct world *world, const char *path)
{
	struct stage *stage = world->state;
	for (const struct stage_node *node = stage->nodes; node && node->path; node++)
		if (strcmp(node->path, path) == 0)
			return node->error;
	return ENOENT;
}

static inline bool stage_is_fdinfo(const char *path)
{
	return text_starts(path, "/proc/") && strstr(path, "/fdinfo");
}

static inline int stage_read(struct world *world, const char *path, size_t max, struct arena *arena, struct bytes *ret)
{
	struct stage *stage = world->state;
	if (!stage_is_fdinfo(path))
		return world_read(stage->real, path, max, arena, ret);
	const char *text = text_starts(path, "/proc/1/") ? stage->foreign : stage->fdinfo;
	if (!text)
		return ENOENT;
	*ret = bytes_of(text);
	return 0;
}

static inline int stage_list(struct world *world, const char *path, struct arena *arena, struct words *ret)
{
	struct stage *stage = world->state;
	static const char *names[] = { "4" };
	if (!stage_is_fdinfo(path))
		return world_list(stage->real, path, arena, ret);
	*ret = (struct words){ names, stage->fdinfo ? 1 : 0 };
	return 0;
}

static inline int stage_stat(struct world *world, const char *path, struct world_stat *ret)
{
	return world_stat(((struct stage *)world->state)->real, path, ret);
}

static inline int stage_link(struct world *world, const char *path, struct arena *arena, const char **ret)
{
	return world_link(((struct stage *)world->state)->real, path, arena, ret);
}

static inline int stage_run(
        struct world *world, const struct command *command, struct arena *arena, struct outcome *ret)
{
	return world_run(((struct stage *)world->state)->real, command, arena, ret);
}

static inline void stage_run_each(
        struct world *world, struct run_job *jobs, size_t n, unsigned at_once, struct arena *arena)
{
	world_run_each(((struct stage *)world->state)->real, jobs, n, at_once, arena);
}

static inline int64_t stage_now(struct world *world)
{
	(void)world;
	return 1700000000;
}

static const struct world_ops stage_ops = {
	.read = stage_read,
	.list = stage_list,
	.link = stage_link,
	.stat = stage_stat,
	.probe_open = stage_probe_open,
	.run = stage_run,
	.run_each = stage_run_each,
	.now = stage_now,
};

/* script: what stands before tests/fake_ffmpeg.sh. */
static inline void stage_script(struct stage *stage, const char *script)
{
	const char *source = getenv("GPUFERRY_SOURCE");
	FILE *file = fopen(stage->path, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n. %s/tests/fake_ffmpeg.sh\n", script, source ? source : ".");
	fclose(file);
	assert_int_equal(chmod(stage->path, 0755), 0);
}

static inline struct stage *stage_open(struct stage *stage, const char *script)
{
	*stage = (struct stage){ .folder = "/tmp/gpuferry-stage-XXXXXX" };
	assert_non_null(mkdtemp(stage->folder));
	stage->real = world_open_root(NULL, false, &stage->arena, NULL);
	stage->world = (struct world){ .ops = &stage_ops, .label = "node", .state = stage, .live = true };
	stage->path = arena_printf(&stage->arena, "%s/ffmpeg", stage->folder);
	stage_script(stage, script);
	return stage;
}

/* NVML as tests/fake_nvml.c is it, which says that. */
static inline void stage_nvml(struct stage *stage, const char *said)
{
	const char *path = arena_printf(&stage->arena, "%s.said", stage->path);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(said, file);
	fclose(file);
	setenv("FAKE_NVML", path, 1);
	stage->nvml = getenv("GPUFERRY_FAKE_NVML");
	assert_non_null(stage->nvml);
}

/* What was noted by the program. */
static inline const char *stage_log(struct stage *stage)
{
	const char *path = arena_printf(&stage->arena, "%s.log", stage->path);
	return access(path, R_OK) ? "" : test_read(&stage->arena, path).data;
}

static inline void stage_close(struct stage *stage)
{
	static const char *const left[] = { "", ".log", ".once", ".pid", ".said", ".said.asked" };
	for (size_t i = 0; i < COUNT(left); i++)
		unlink(arena_printf(&stage->arena, "%s%s", stage->path, left[i]));
	rmdir(stage->folder);
	unsetenv("FAKE_NVML");
	world_close(stage->real);
	arena_release(&stage->arena);
}

/* way NULL: the first */
static inline const struct proof *stage_proof(
        const struct proofs *proofs, enum proof_kind kind, const char *way, const char *name, unsigned bits)
{
	for (size_t i = 0; i < proofs->n; i++) {
		const struct proof *proof = &proofs->list[i];
		if (proof->kind == kind && proof->bits == bits && strcmp(proof->name, name) == 0 &&
		        (!way || strcmp(proof->way, way) == 0))
			return proof;
	}
	fail_msg("%s of %u bits is not in the list", name, bits);
	return NULL;
}

/* ---- for the ladder of proof ------------------------------------------------------------------------- */

#define STAGE_I915(video)                                                                                              \
	"drm-driver:\ti915\ndrm-client-id:\t7\ndrm-pdev:\t0000:00:02.0\ndrm-engine-render:\t5 ns\n"                    \
	"drm-engine-video:\t" video " ns\n"

static inline bool stage_lacks_ffmpeg(void)
{
	return access("/usr/bin/ffmpeg", X_OK) != 0;
}

static inline const struct drm *stage_intel(void)
{
	static struct drm_node node = { .name = "renderD128",
		.path = "/dev/dri/renderD128",
		.pci = "0000:00:02.0",
		.driver = "i915",
		.exists = YES };
	static const struct drm drm = { .nodes = &node, .n = 1, .known = YES };
	return &drm;
}

static inline const struct drm *stage_nvidia(void)
{
	static struct drm_node node = {
		.name = "nvidia0", .path = "/dev/nvidia0", .pci = "0000:01:00.0", .driver = "nvidia", .exists = YES
	};
	static const struct drm drm = { .nodes = &node, .n = 1, .known = YES };
	return &drm;
}

/* Where the stage has no nodes of its own, all of them open. */
static inline const struct proofs *stage_prove(struct stage *stage, const struct drm *drm, unsigned deadline_ms)
{
	static const struct stage_node opens[] = { { "/dev/dri/renderD128", 0 }, { "/dev/nvidia0", 0 },
		{ "/dev/nvidiactl", 0 }, { "/dev/nvidia-uvm", 0 }, { NULL, 0 } };
	struct err err = { 0 };
	struct ffmpeg *ffmpeg = arena_new(&stage->arena, struct ffmpeg);
	struct proof_options options = { .deadline_ms = deadline_ms ? deadline_ms : 60000, .nvml = stage->nvml };
	if (!stage->nodes)
		stage->nodes = opens;
	if (!ffmpeg_open(&stage->world, stage->path, &stage->arena, &err, ffmpeg))
		fail_msg("%s", err.text);
	return proofs_run(&stage->world, drm, ffmpeg, &options, &stage->arena);
}

static inline void stage_is(const struct proof *proof, enum tri works, int rung, const char *reason, const char *why)
{
	if (proof->works != works || proof->rung != rung || strcmp(proof->reason, reason) != 0 ||
	        !strstr(proof->why, why))
		fail_msg("%s %u: works %d rung %d reason '%s' why '%s'", proof->name, proof->bits, proof->works,
		        proof->rung, proof->reason, proof->why);
}
