/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is true inside a guest or a docker container, read through its own world.
 */
#include "facts/inside.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "facts/package.h"
#include "sys/wants.h"

struct gather {
	struct world *world;
	struct arena *arena;
	struct inside *inside;
	blind_fn *blind;
	void *data;
};

enum { CONTAINERS_MAX = 256 };

/* ---- asking ---------------------------------------------------------------- */

static int ask_read(struct gather *gather, const char *path, struct bytes *ret)
{
	int error = world_read(gather->world, path, 0, gather->arena, ret);
	if (error && error != ENOENT)
		gather->blind(gather->data, error, path);
	return error;
}

/* 0: it ran and ended in time. Known not to be installed (ENOENT) is no blind spot; quiet: nor is anything else. */
static int ask_run(struct gather *gather, const char *const *argv, bool quiet, struct outcome *ret)
{
	struct command command = { .argv = argv, .deadline_ms = 20000 };
	int error = world_run(gather->world, &command, gather->arena, ret);
	if (!error && ret->timed_out)
		error = ETIMEDOUT;
	if (error && error != ENOENT && !quiet)
		gather->blind(gather->data, error, text_sh_line(gather->arena, argv));
	return error;
}

static void words_add(struct words *words, struct arena *arena, const char *word)
{
	*arena_push(arena, words->word, words->n) = word;
}

static bool words_have(const struct words *words, const char *word)
{
	for (size_t i = 0; i < words->n; i++)
		if (strcmp(words->word[i], word) == 0)
			return true;
	return false;
}

/* The first line that says anything, of the one or the other stream. */
static const char *first_line(struct arena *arena, struct bytes one, struct bytes other)
{
	struct bytes line;
	for (size_t cursor = 0; text_line(one, &cursor, &line);) {
		const char *text = text_trimmed(arena, line);
		if (*text)
			return text;
	}
	return other.size ? first_line(arena, other, (struct bytes){ 0 }) : NONE;
}

/* ---- system ------------------------------------------------------------------ */

static void gather_os(struct gather *gather)
{
	struct inside *inside = gather->inside;
	struct bytes text;
	if (world_read(gather->world, "/etc/os-release", 0, gather->arena, &text) &&
	        ask_read(gather, "/usr/lib/os-release", &text))
		return;
	inside->os_id = inside_os_value(text, "ID", gather->arena);
	inside->os_version = inside_os_value(text, "VERSION_ID", gather->arena);
	inside->os_name = inside_os_value(text, "PRETTY_NAME", gather->arena);
	inside->os_id = inside->os_id ? inside->os_id : "linux";             /* os-release(5)'s default */
	inside->os_version = inside->os_version ? inside->os_version : NONE; /* Debian testing has none */
	inside->os_name = inside->os_name ? inside->os_name : NONE;
}

/* Flavours for clouds. Debian's cloud kernel and Ubuntu's kvm kernel are built without DRM drivers for real cards;
 * of the others the modules tell, as distributions package them apart (Ubuntu's linux-modules-extra). */
static const struct {
	const char *pattern;
	bool lacks;
} cloud_flavours[] = {
	{ "*-cloud-*", true },
	{ "*-kvm", true },
	{ "*-virt", false },
	{ "*-aws", false },
	{ "*-azure", false },
	{ "*-gcp", false },
	{ "*-gke", false },
	{ "*-oracle", false },
	{ "*-ibm", false },
};

static enum tri has_gpu_modules(struct gather *gather, const char *kernel)
{
	static const char *const drivers[] = { "i915", "amd", "nouveau", "xe", "radeon" };
	struct words names;
	const char *folder = arena_printf(gather->arena, "/lib/modules/%s/kernel/drivers/gpu/drm", kernel);
	int error = strchr(kernel, '/') ? EINVAL : world_list(gather->world, folder, gather->arena, &names);
	if (error)
		return error == ENOENT ? NO : UNKNOWN;
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
		if (words_have(&names, drivers[i]))
			return YES;
	return NO;
}

static enum tri cloud_kernel(struct gather *gather, const char *kernel)
{
	for (size_t i = 0; i < sizeof cloud_flavours / sizeof *cloud_flavours; i++) {
		if (!text_matches(cloud_flavours[i].pattern, kernel))
			continue;
		enum tri modules = has_gpu_modules(gather, kernel);
		if (modules != UNKNOWN)
			return modules == YES ? NO : YES;
		return cloud_flavours[i].lacks ? YES : UNKNOWN;
	}
	return NO;
}

static void gather_kernel(struct gather *gather)
{
	const char *kernel;
	int error = world_attribute(gather->world, gather->arena, &kernel, "/proc/sys/kernel/osrelease");
	if (error)
		gather->blind(gather->data, error, "/proc/sys/kernel/osrelease");
	if (error || !*kernel)
		return;
	gather->inside->kernel = kernel;
	gather->inside->cloud_kernel = cloud_kernel(gather, kernel);
}

/* The folder is there, has something in it, and has no such name. A docker container sees an empty one instead of
 * /sys/firmware, and a CT no variables: that is not the same as a machine without them. */
static bool lacks(struct gather *gather, const char *folder, const char *name)
{
	struct words names;
	return world_list(gather->world, folder, gather->arena, &names) == 0 && names.n && !words_have(&names, name);
}

/* The variable is four bytes of attributes and one of value (UEFI specification, "Globally Defined Variables"). */
static void gather_secure_boot(struct gather *gather)
{
	static const char name[] = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
	                  folder[] = "/sys/firmware/efi/efivars";
	const char *path = arena_printf(gather->arena, "%s/%s", folder, name);
	struct bytes value;
	int error = world_read(gather->world, path, 0, gather->arena, &value);
	if (!error && value.size >= 5)
		gather->inside->secure_boot = tri_of(value.data[4] == 1);
	else if (error == ENOENT && (lacks(gather, "/sys/firmware", "efi") || lacks(gather, folder, name)))
		gather->inside->secure_boot = NO; /* booted by BIOS, or by firmware without it */
	else
		gather->blind(gather->data, error ? error : EINVAL, path);
}

static void gather_modules(struct gather *gather)
{
	struct bytes text, line;
	int error = ask_read(gather, "/proc/modules", &text);
	/* a kernel without modules has no such file */
	gather->inside->modules_known = !error || error == ENOENT ? YES : NO;
	for (size_t cursor = 0; !error && text_line(text, &cursor, &line);) {
		const char *name = text_trimmed(gather->arena, line);
		if (*name)
			words_add(&gather->inside->modules, gather->arena,
			        arena_strndup(gather->arena, name, strcspn(name, " ")));
	}
}

static void gather_groups(struct gather *gather)
{
	struct bytes text;
	if (ask_read(gather, "/etc/group", &text))
		return;
	gather->inside->groups = inside_parse_groups(text, gather->arena);
	gather->inside->groups_known = YES;
}

/* What the rules ask the version of. */
static const char *const packages_asked[] = {
	"qemu-guest-agent",
	"nvidia-*",
	"libnvidia-*",
	"xserver-xorg-video-nvidia*",
	"linux-modules-nvidia-*",
	"cuda-drivers*",
	"intel-media-va-driver*",
	"i965-va-driver*",
	"mesa-va-drivers",
	"libva2",
	"libva-drm2",
	"vainfo",
	"libmfx*",
	"libvpl*",
	"intel-opencl-icd",
	"firmware-*",
	"linux-firmware",
	"linux-image-*",
	"linux-headers-*",
	"linux-modules-extra-*",
	"dkms",
	"docker-ce",
	"docker.io",
	"containerd.io",
	"containerd",
	"runc",
	"jellyfin*",
	"emby-server",
	"plexmediaserver",
	"ffmpeg",
	NULL,
};

static void gather_packages(struct gather *gather)
{
	struct bytes status;
	if (!ask_read(gather, "/var/lib/dpkg/status", &status))
		gather->inside->packages = package_parse(status, packages_asked, gather->arena);
}

static void gather_dmesg(struct gather *gather)
{
	static const char *const argv[] = { "dmesg", NULL };
	struct outcome outcome;
	if (ask_run(gather, argv, false, &outcome))
		return;
	if (outcome.status) {
		/* kernel.dmesg_restrict, or a CT */
		gather->blind(gather->data, EPERM, "dmesg");
		gather->inside->dmesg_known = NO;
		return;
	}
	gather->inside->firmware = inside_parse_dmesg(outcome.out, gather->arena);
	gather->inside->dmesg_known = outcome.cut ? UNKNOWN : YES;
	if (outcome.cut)
		gather->blind(gather->data, EFBIG, "dmesg");
}

/* ---- NVIDIA ------------------------------------------------------------------- */

/* Where distributions, NVIDIA's installer and its container toolkit put the libraries. */
static const char *const library_folders[] = {
	"/usr/lib/x86_64-linux-gnu",
	"/usr/lib/x86_64-linux-gnu/nvidia/current",
	"/usr/lib/aarch64-linux-gnu",
	"/usr/lib64",
	"/usr/lib64/nvidia",
	"/usr/lib",
	"/usr/lib/nvidia",
	"/usr/lib/nvidia/current",
	"/usr/local/nvidia/lib64",
};

static const char *const libraries_asked[] = {
	"libcuda.so.1",
	"libnvidia-encode.so.1",
	"libnvcuvid.so.1",
	"libnvidia-ml.so.1",
};

/* "550.163.01" of "libnvidia-ml.so.550.163.01"; NULL: another name, or the .1 that is a link. */
static const char *library_version(const char *name)
{
	static const char stem[] = "libnvidia-ml.so.";
	const char *version = name + sizeof stem - 1;
	return text_starts(name, stem) && strchr(version, '.') && !version[strspn(version, "0123456789.")] ? version
	                                                                                                   : NULL;
}

/* The versions whose files lie in that folder; and what its libnvidia-ml.so.1 points to, which is what gets loaded. */
static void library_folder(
        struct gather *gather, const char *folder, struct words names, struct words *versions, const char **linked)
{
	struct inside *inside = gather->inside;
	const char *target;
	for (size_t i = 0; i < names.n; i++) {
		const char *version = library_version(names.word[i]);
		if (version && !words_have(versions, version))
			words_add(versions, gather->arena, version);
	}
	for (size_t i = 0; i < sizeof libraries_asked / sizeof *libraries_asked; i++)
		if (words_have(&names, libraries_asked[i]) &&
		        !words_have(&inside->nvidia_libraries, libraries_asked[i]))
			words_add(&inside->nvidia_libraries, gather->arena, libraries_asked[i]);
	if (*linked || !words_have(&names, "libnvidia-ml.so.1"))
		return;
	if (world_link_name(gather->world, gather->arena, &target, "%s/libnvidia-ml.so.1", folder) == 0)
		*linked = library_version(target);
}

static void gather_libraries(struct gather *gather)
{
	struct inside *inside = gather->inside;
	struct words versions = { 0 }, names;
	const char *linked = NULL;
	enum tri known = YES;
	for (size_t i = 0; i < sizeof library_folders / sizeof *library_folders; i++) {
		int error = world_list(gather->world, library_folders[i], gather->arena, &names);
		if (!error)
			library_folder(gather, library_folders[i], names, &versions, &linked);
		if (!error || error == ENOENT || error == ENOTDIR)
			continue;
		gather->blind(gather->data, error, library_folders[i]);
		known = UNKNOWN;
	}
	inside->nvidia_libraries_known = known;
	if (linked)
		inside->nvidia_userspace = linked;
	else if (versions.n == 1)
		inside->nvidia_userspace = versions.word[0];
	else if (!versions.n && known == YES && !words_have(&inside->nvidia_libraries, "libnvidia-ml.so.1"))
		inside->nvidia_userspace = NONE;
}

static void gather_smi(struct gather *gather)
{
	static const char *const argv[] = { "nvidia-smi", NULL };
	struct nvidia_smi said, warned;
	struct outcome outcome;
	if (ask_run(gather, argv, false, &outcome))
		return;
	inside_parse_nvidia_smi(outcome.out, gather->arena, &said);
	inside_parse_nvidia_smi(outcome.err, gather->arena, &warned);
	const char *error = said.error && *said.error       ? said.error
	                    : warned.error && *warned.error ? warned.error
	                                                    : NULL;
	if (error)
		gather->inside->nvidia_smi = error;
	else if (outcome.status)
		gather->inside->nvidia_smi = first_line(gather->arena, outcome.out, outcome.err);
	else
		gather->inside->nvidia_smi = said.error; /* NONE where it answered, NULL where that was no answer */
	if (gather->inside->nvidia_smi && !*gather->inside->nvidia_smi && outcome.status)
		gather->inside->nvidia_smi =
		        arena_printf(gather->arena, "nvidia-smi ended with code %d", outcome.status);
	gather->inside->nvidia_smi_driver = said.driver;
}

/* ---- NVIDIA's container toolkit ------------------------------------------------ */

/* "NVIDIA Container Toolkit CLI version 1.17.4" */
static void gather_toolkit(struct gather *gather)
{
	static const char *const argv[] = { "nvidia-ctk", "--version", NULL };
	static const char word[] = "version ";
	struct inside *inside = gather->inside;
	struct outcome outcome;
	inside->toolkit_version = package_version(&inside->packages, "nvidia-container-toolkit");
	if (inside->toolkit_version) {
		inside->toolkit = YES;
		return;
	}
	int error = ask_run(gather, argv, false, &outcome);
	if (error == ENOENT) {
		inside->toolkit = NO;
		inside->toolkit_version = NONE;
	} else if (!error && outcome.status == 0) {
		const char *line = first_line(gather->arena, outcome.out, outcome.err), *at = strstr(line, word);
		inside->toolkit = YES;
		inside->toolkit_version =
		        at ? arena_strndup(gather->arena, at + sizeof word - 1, strcspn(at + sizeof word - 1, " ,"))
		           : NULL;
	}
}

/* A CDI specification for NVIDIA in the folders that docker and the toolkit read (CDI specification, "Location"). */
static void gather_cdi(struct gather *gather)
{
	static const char *const folders[] = { "/etc/cdi", "/var/run/cdi" };
	enum tri cdi = NO;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		struct words names = { 0 };
		int error = world_list(gather->world, folders[i], gather->arena, &names);
		if (error && error != ENOENT) {
			gather->blind(gather->data, error, folders[i]);
			cdi = cdi == YES ? YES : UNKNOWN;
		}
		for (size_t j = 0; cdi != YES && j < names.n; j++) {
			struct bytes text;
			if (!text_ends(names.word[j], ".yaml") && !text_ends(names.word[j], ".json"))
				continue;
			error = ask_read(
			        gather, arena_printf(gather->arena, "%s/%s", folders[i], names.word[j]), &text);
			if (!error && memmem(text.data, text.size, "nvidia.com/gpu", strlen("nvidia.com/gpu")))
				cdi = YES;
			else if (error && error != ENOENT)
				cdi = UNKNOWN;
		}
	}
	gather->inside->cdi = cdi;
}

/* no-cgroups = true; the file has it commented out as it comes. */
static void gather_no_cgroups(struct gather *gather)
{
	struct bytes text, line;
	int error = ask_read(gather, "/etc/nvidia-container-runtime/config.toml", &text);
	if (error && error != ENOENT)
		return;
	gather->inside->no_cgroups = NO;
	for (size_t cursor = 0; !error && text_line(text, &cursor, &line);) {
		struct words words = text_split(gather->arena, text_trimmed(gather->arena, line), " \t=");
		if (words.n >= 2 && strcmp(words.word[0], "no-cgroups") == 0)
			gather->inside->no_cgroups = tri_of(strcmp(words.word[1], "true") == 0);
	}
}

/* Links for NVIDIA's nodes (major 195), which runc looks for after a daemon-reload (nvidia-container-toolkit#48). */
static void gather_dev_char(struct gather *gather)
{
	struct words names;
	int error = world_list(gather->world, "/dev/char", gather->arena, &names);
	if (error) {
		if (error == ENOENT)
			gather->inside->dev_char = NO;
		else
			gather->blind(gather->data, error, "/dev/char");
		return;
	}
	gather->inside->dev_char = NO;
	for (size_t i = 0; i < names.n; i++)
		if (text_starts(names.word[i], "195:"))
			gather->inside->dev_char = YES;
}

/* ---- docker --------------------------------------------------------------------- */

static void docker_info(struct gather *gather, struct bytes out)
{
	struct inside *inside = gather->inside;
	json_t *info JSON_SCOPED = NULL;
	const char *name;
	json_t *value;
	if (!json_parse(out, "docker info", NULL, &info))
		return;
	const char *version = json_string_at(info, "ServerVersion"), *root = json_string_at(info, "DockerRootDir");
	if (!version || !*version)
		return; /* the client alone answered */
	inside->docker_known = YES;
	inside->docker_version = arena_strdup(gather->arena, version);
	inside->docker_cgroup_driver = arena_strdup(gather->arena, json_string_at(info, "CgroupDriver"));
	if (root)
		inside->docker_snap = text_starts(root, "/var/snap/") ? "yes" : NONE;
	const char *runtimes = NONE;
	size_t n = 0;
	json_object_foreach(json_object_get(info, "Runtimes"), name, value) if (n++ < 64) runtimes =
	        arena_printf(gather->arena, "%s%s%s", runtimes, *runtimes ? " " : "", name);
	inside->docker_runtimes = runtimes;
}

/* All at once; a recording that was made without knowing the ids has one answer each. */
static void docker_inspect(struct gather *gather, struct words ids)
{
	const char **argv = arena_alloc(gather->arena, (ids.n + 5) * sizeof *argv);
	struct outcome outcome;
	argv[0] = "docker";
	argv[1] = "inspect";
	argv[2] = "--format";
	argv[3] = WANTS_DOCKER_INSPECT;
	memcpy(argv + 4, ids.word, ids.n * sizeof *argv);
	if (ask_run(gather, argv, true, &outcome) == 0 && outcome.status == 0) {
		inside_parse_docker(outcome.out, gather->arena, gather->inside);
		return;
	}
	for (size_t i = 0; i < ids.n; i++) {
		argv[4] = ids.word[i];
		argv[5] = NULL;
		int error = ask_run(gather, argv, true, &outcome);
		if (!error)
			inside_parse_docker(outcome.out, gather->arena, gather->inside);
		else
			gather->blind(
			        gather->data, error, arena_printf(gather->arena, "docker inspect %s", ids.word[i]));
	}
}

static void gather_docker(struct gather *gather)
{
	static const char format[] = WANTS_DOCKER_INFO;
	static const char *const info[] = { "docker", "info", "--format", format, NULL };
	static const char *const list[] = { "docker", "ps", "--all", "--quiet", "--no-trunc", NULL };
	struct inside *inside = gather->inside;
	struct outcome outcome;
	int error = ask_run(gather, info, false, &outcome);
	inside->docker = error == ENOENT ? NO : error ? UNKNOWN : YES;
	if (error)
		return;
	docker_info(gather, outcome.out);
	if (inside->docker_known != YES) {
		bool denied =
		        memmem(outcome.err.data, outcome.err.size, "permission denied", strlen("permission denied"));
		inside->docker_known = NO;
		gather->blind(gather->data, denied ? EACCES : ECONNREFUSED, "docker info");
		return;
	}
	if (ask_run(gather, list, false, &outcome))
		return;
	if (outcome.status)
		gather->blind(gather->data, EACCES, "docker ps");
	struct words ids = { 0 };
	struct bytes line;
	for (size_t cursor = 0; text_line(outcome.out, &cursor, &line) && ids.n < CONTAINERS_MAX;) {
		const char *id = text_trimmed(gather->arena, line);
		if (*id && !id[strspn(id, "0123456789abcdef")])
			words_add(&ids, gather->arena, id);
	}
	if (ids.n)
		docker_inspect(gather, ids);
}

/* ---- VA-API ----------------------------------------------------------------------- */

/* Asks one node; false: there is no vainfo. */
static bool vainfo_node(struct gather *gather, const char *path, struct vainfo *ret)
{
	static const char *const programs[] = { "vainfo", "/usr/lib/jellyfin-ffmpeg/vainfo" };
	struct outcome outcome;
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		const char *argv[] = { programs[i], "--display", "drm", "--device", path, NULL };
		/* the second one is only there beside Jellyfin; that a recording lacks it says nothing */
		int error = ask_run(gather, argv, i > 0, &outcome);
		if (error)
			continue;
		struct vainfo warned;
		inside_parse_vainfo(outcome.out, gather->arena, ret);
		inside_parse_vainfo(outcome.err, gather->arena, &warned);
		if (!ret->error || (*ret->error && warned.error && *warned.error))
			ret->error = warned.error;
		if (outcome.status && (!ret->error || !*ret->error) && !ret->pairs.n)
			ret->error = first_line(gather->arena, outcome.err, outcome.out);
		return true;
	}
	return false;
}

static void gather_vainfo(struct gather *gather)
{
	struct inside *inside = gather->inside;
	bool asked = false;
	for (size_t i = 0; i < inside->drm.n; i++) {
		const struct drm_node *node = &inside->drm.nodes[i];
		struct vainfo vainfo = { 0 };
		if (!text_starts(node->name, "renderD") || node->exists == NO)
			continue;
		if (!vainfo_node(gather, node->path, &vainfo))
			return;
		if (!asked || (vainfo.error && !*vainfo.error))
			inside->vainfo = vainfo;
		asked = true;
		if (inside->vainfo.error && !*inside->vainfo.error)
			return;
	}
}

/* ---- */

void inside_gather(struct world *world, struct arena *arena, struct inside *ret, blind_fn *blind, void *data)
{
	struct gather gather = { world, arena, ret, blind, data };
	ret->reached = YES;
	if (!ret->label)
		ret->label = arena_strdup(arena, world->label);
	gather_os(&gather);
	gather_kernel(&gather);
	gather_secure_boot(&gather);
	gather_modules(&gather);
	pci_gather(world, arena, &ret->pci, blind, data);
	drm_gather(world, false, arena, &ret->drm, blind, data);
	ret->nvidia_module = ret->drm.nvidia_module_version;
	ret->nvidia_open = ret->drm.nvidia_open;
	gather_packages(&gather);
	gather_libraries(&gather);
	gather_smi(&gather);
	gather_dmesg(&gather);
	gather_groups(&gather);
	gather_toolkit(&gather);
	gather_cdi(&gather);
	gather_no_cgroups(&gather);
	gather_dev_char(&gather);
	gather_docker(&gather);
	gather_vainfo(&gather);
}
