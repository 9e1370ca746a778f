/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is wanted of another target, as a table; the table becomes one POSIX sh script (dash and
 * busybox are enough) that writes nothing anywhere and streams frames to its standard output;
 * the frames become a tape target. One round trip.
 */
#pragma once
#include "sys/tape.h"

enum want_kind {
	WANT_END,
	WANT_FILE,  /* glob: bytes and stat */
	WANT_LINK,  /* glob: readlink */
	WANT_LIST,  /* glob of directories: names */
	WANT_STAT,  /* glob: type, mode, owner only */
	WANT_OPEN,  /* glob of device nodes: can it be opened for reading and writing? */
	WANT_RUN,   /* a command; words are blank-separated, no quoting (a tab stays inside a word) */
	WANT_EACH,  /* a command template: {} is each basename that the pattern `each` matches */
};

struct want {
	enum want_kind kind;
	const char *what; /* an absolute path pattern (*, ?, [..]) or a command */
	const char *each; /* WANT_EACH: the path pattern whose basenames are put in; a suffix behind | is cut off.
			   * "!command": the words that it prints, one by one for {}, all at once for {*} */
	size_t max;       /* bytes of a file or output; 0: 256 KiB */
};

/* Of a docker container's environment only NVIDIA's words are asked: the rest holds secrets. A Go template takes a tab
 * for a blank, so that each is one word. */
#define WANTS_DOCKER_INFO                                                                                        \
	"{\"ServerVersion\":{{json\t.ServerVersion}},\"CgroupDriver\":{{json\t.CgroupDriver}},"                  \
	"\"DockerRootDir\":{{json\t.DockerRootDir}},\"Runtimes\":{{json\t.Runtimes}}}"
#define WANTS_DOCKER_INSPECT                                                                                     \
	"{\"Id\":{{json\t.Id}},\"Name\":{{json\t.Name}},\"State\":{\"Status\":{{json\t.State.Status}}},"         \
	"\"Config\":{\"Image\":{{json\t.Config.Image}},\"Env\":[{{range\t.Config.Env}}{{$w:=split\t.\t\"=\"}}"   \
	"{{if\teq\t(index\t$w\t0)\t\"NVIDIA_VISIBLE_DEVICES\"\t\"NVIDIA_DRIVER_CAPABILITIES\"}}"                 \
	"{{json\t.}},{{end}}{{end}}\"\"]},"                                                                      \
	"\"HostConfig\":{\"Runtime\":{{json\t.HostConfig.Runtime}},\"Privileged\":{{json\t.HostConfig.Privileged}}," \
	"\"Devices\":{{json\t.HostConfig.Devices}},\"DeviceRequests\":{{json\t.HostConfig.DeviceRequests}},"     \
	"\"GroupAdd\":{{json\t.HostConfig.GroupAdd}}}}"

extern const struct want wants_node[];   /* of a Proxmox host */
extern const struct want wants_inside[]; /* of a guest or docker container */

/* The script. Deterministic. Links among the directories above a path are looked at, and where a wildcard stands the
 * directory is listed, so that what is not there is known to be absent. */
struct bytes wants_script(const struct want *wants, struct arena *arena);

/* Does the table ask for this path, or for a directory on the way to one? For this command? */
bool wants_cover(const struct want *wants, const char *path);
bool wants_cover_command(const struct want *wants, const char *const *argv);

/* Its answer into a tape target (redacted; redactor NULL: as it came). Cut or garbled frames: what came whole is kept,
 * err says where it ended, false. The stream is not changed. */
bool wants_parse(struct bytes stream, struct redactor *redactor, struct tape_target *target, struct arena *arena,
		 struct err *err);
