/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a machine has besides devices: modules, IOMMU, framebuffers, packages, processes, guests, docker. Kept by target
 * and name: a later text speaks of the same thing anew.
 */
#include <string.h>

#include "rehearse/machine_text.h"

/* The thing of that kind and name that an earlier text spoke of, or NULL. */
static void *known(const struct machine_reader *reader, const char *kind, const char *name)
{
	return map_find(&reader->target->names, arena_printf(reader->arena, "%s %s", kind, name));
}

static void remember(const struct machine_reader *reader, const char *kind, const char *name, void *thing)
{
	map_put(&reader->target->names, reader->arena, arena_printf(reader->arena, "%s %s", kind, name), thing);
}

/* As the kernel spells it. */
static const char *module_name(struct machine_reader *reader, const char *word)
{
	char *name = arena_strdup(reader->arena, word);
	for (char *at = name; *at; at++)
		if (*at == '-')
			*at = '_';
	return name;
}

static bool read_modules(struct machine_reader *reader, struct machine_line *line, enum module_state state)
{
	struct machine_target *target = reader->target;
	for (size_t i = 0; i < line->n; i++) {
		if (!*line->word[i] || !machine_is_name(line->word[i]))
			return FAIL("\"%s\" is no module's name", SHOWN(line->word[i]));
		const char *name = module_name(reader, line->word[i]);
		struct machine_module *module = known(reader, "module", name);
		if (!module) {
			if (target->n_modules >= MACHINE_THINGS_MAX)
				return FAIL("more than %d modules", MACHINE_THINGS_MAX);
			module = arena_new(reader->arena, struct machine_module);
			module->name = name;
			*arena_push(reader->arena, target->modules, target->n_modules) = module;
			remember(reader, "module", name, module);
		}
		module->state = state;
	}
	return true;
}

static bool read_loaded(struct machine_reader *reader, struct machine_line *line)
{
	return read_modules(reader, line, MODULE_LOADED);
}

static bool read_builtin(struct machine_reader *reader, struct machine_line *line)
{
	return read_modules(reader, line, MODULE_BUILTIN);
}

static bool read_unload(struct machine_reader *reader, struct machine_line *line)
{
	return read_modules(reader, line, MODULE_GONE);
}

static bool read_iommu(struct machine_reader *reader, struct machine_line *line)
{
	struct machine_iommu *iommu = &reader->target->iommu;
	if (!text_has_word("intel amd off", line->word[0], " "))
		return FAIL("iommu takes intel, amd or off");
	if (!machine_only_options(line, 1, "tables= remapping= cap= units=", reader->arena, reader->err))
		return false;
	uint64_t units = iommu->units;
	if (!machine_number_option(line, 1, "units", 10, 16, reader->err, &units))
		return false;
	iommu->units = (unsigned)units;
	iommu->kind = line->word[0];
	if (strcmp(iommu->kind, "off") != 0)
		iommu->tables = strcmp(iommu->kind, "amd") == 0 ? "IVRS" : "DMAR";
	const char *tables = machine_option(line, 1, "tables"), *cap = machine_option(line, 1, "cap");
	if (tables && *tables && !text_has_word("DMAR IVRS none", tables, " "))
		return FAIL("tables= takes DMAR, IVRS or none");
	if (tables)
		iommu->tables = strcmp(tables, "none") == 0 ? "" : tables;
	if (cap && (strlen(cap) > 16 || cap[strspn(cap, "0123456789abcdef")]))
		return FAIL("cap= takes a register in hex");
	iommu->cap = cap ? cap : iommu->cap;
	const char *remapping = machine_option(line, 1, "remapping");
	iommu->remapping = remapping ? strcmp(remapping, "1") == 0 : strcmp(iommu->kind, "off") != 0;
	return machine_once(reader, line, "iommu", reader->target->label);
}

static bool read_framebuffer(struct machine_reader *reader, struct machine_line *line)
{
	static const char takes[] = "a framebuffer takes: fbN DRIVER START-END OWNER, or fbN gone";
	struct machine_target *target = reader->target;
	struct machine_framebuffer one = { .name = line->word[0] };
	one.gone = line->n == 2 && strcmp(line->word[1], "gone") == 0;
	const char *rest = "";
	if (!machine_is_name(one.name) || !*one.name || (!one.gone && line->n != 4))
		return FAIL("%s", takes);
	if (!one.gone) {
		one.driver = line->word[1];
		one.owner = line->word[3];
		if (!machine_range(line->word[2], &one.start, &one.end, &rest) || *rest ||
		        !machine_is_text(one.driver) || !machine_is_text(one.owner))
			return FAIL("%s", takes);
	}
	struct machine_framebuffer *kept = known(reader, "framebuffer", one.name);
	if (!kept) {
		if (target->n_framebuffers >= 32)
			return FAIL("more than 32 framebuffers");
		kept = arena_new(reader->arena, struct machine_framebuffer);
		*arena_push(reader->arena, target->framebuffers, target->n_framebuffers) = kept;
		remember(reader, "framebuffer", one.name, kept);
	}
	*kept = one;
	return machine_once(reader, line, "framebuffer", arena_printf(reader->arena, "%s %s", target->label, one.name));
}

static bool read_nvidia(struct machine_reader *reader, struct machine_line *line)
{
	const char *user = machine_option(line, 1, "user");
	if (!machine_only_options(line, 1, "open nouvm user=", reader->arena, reader->err))
		return false;
	if (!machine_is_name(line->word[0]) || (user && !machine_is_name(user)))
		return FAIL("nvidia takes the module's version, or none, and user= the libraries'");
	bool none = strcmp(line->word[0], "none") == 0;
	reader->target->nvidia = none ? NULL : line->word[0];
	reader->target->nvidia_user = user ? user : reader->target->nvidia_user;
	reader->target->nvidia_open = machine_has_word(line, 1, "open");
	reader->target->nvidia_uvm = !machine_has_word(line, 1, "nouvm");
	return machine_once(reader, line, "nvidia", reader->target->label);
}

static bool read_package(struct machine_reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	if (line->n % 2 != 0)
		return FAIL("package takes pairs: NAME VERSION (- : not installed)");
	for (size_t i = 0; i < line->n; i += 2) {
		if (!machine_is_text(line->word[i]) || !machine_is_text(line->word[i + 1]) || !*line->word[i])
			return FAIL("\"%s\" is no package's name", SHOWN(line->word[i]));
		struct machine_package *package = known(reader, "package", line->word[i]);
		if (!package) {
			if (target->n_packages >= MACHINE_THINGS_MAX)
				return FAIL("more than %d packages", MACHINE_THINGS_MAX);
			package = arena_new(reader->arena, struct machine_package);
			package->name = line->word[i];
			*arena_push(reader->arena, target->packages, target->n_packages) = package;
			remember(reader, "package", package->name, package);
		}
		package->version = strcmp(line->word[i + 1], "-") ? line->word[i + 1] : NULL;
	}
	return true;
}

static bool read_process(struct machine_reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	uint64_t pid;
	if (!text_number(line->word[0], 10, 4194304, &pid) || !machine_is_text(line->word[1]))
		return FAIL("process takes: PID NAME [cgroup=PATH] [open=PATH,PATH]");
	if (!machine_only_options(line, 2, "cgroup= open=", reader->arena, reader->err) ||
	        !machine_once(
	                reader, line, "process", arena_printf(reader->arena, "%s %s", target->label, line->word[0])))
		return false;
	if (target->n_processes >= MACHINE_THINGS_MAX)
		return FAIL("more than %d processes", MACHINE_THINGS_MAX);
	struct machine_process *process = arena_new(reader->arena, struct machine_process);
	*process = (struct machine_process){ .pid = (unsigned)pid,
		.command = line->word[1],
		.cgroup = machine_option(line, 2, "cgroup"),
		.open = machine_option(line, 2, "open"),
		.arguments = line->body };
	*arena_push(reader->arena, target->processes, target->n_processes) = process;
	return true;
}

static bool read_guest(struct machine_reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	struct machine_guest guest = { .label = line->word[0], .vm = text_starts(line->word[0], "vm/") };
	uint64_t id, pid = 0;
	if ((!guest.vm && !text_starts(guest.label, "ct/")) || !text_number(guest.label + 3, 10, 999999999, &id) ||
	        !text_has_word("running stopped gone", line->word[1], " "))
		return FAIL("guest takes: vm/ID or ct/ID, and running, stopped or gone");
	if (!machine_only_options(line, 2, "pid= open=", reader->arena, reader->err) ||
	        !machine_number_option(line, 2, "pid", 10, 4194304, reader->err, &pid) ||
	        !machine_once(reader, line, "guest", guest.label))
		return false;
	guest.id = (unsigned)id;
	guest.running = strcmp(line->word[1], "running") == 0;
	guest.gone = strcmp(line->word[1], "gone") == 0;
	guest.pid = pid ? (unsigned)pid : 100000 + guest.id % 100000;
	guest.open = machine_option(line, 2, "open");
	struct machine_guest *kept = known(reader, "guest", guest.label);
	if (!kept) {
		if (target->n_guests >= MACHINE_THINGS_MAX)
			return FAIL("more than %d guests", MACHINE_THINGS_MAX);
		kept = arena_new(reader->arena, struct machine_guest);
		*arena_push(reader->arena, target->guests, target->n_guests) = kept;
		remember(reader, "guest", guest.label, kept);
	}
	*kept = guest;
	return true;
}

static bool read_interface(struct machine_reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	const char *name = line->word[0], *ports = machine_option(line, 1, "ports");
	if (!machine_only_options(line, 1, "ports= gone", reader->arena, reader->err) ||
	        !machine_once(reader, line, "interface", arena_printf(reader->arena, "%s %s", target->label, name)))
		return false;
	if (!machine_is_name(name) || !*name || (ports && !machine_is_names(ports)))
		return FAIL("interface takes: NAME [ports=NAME,NAME], or NAME gone");
	struct machine_virtual *one = known(reader, "interface", name);
	if (!one) {
		if (target->n_interfaces >= MACHINE_THINGS_MAX)
			return FAIL("more than %d interfaces", MACHINE_THINGS_MAX);
		one = arena_new(reader->arena, struct machine_virtual);
		*arena_push(reader->arena, target->interfaces, target->n_interfaces) = one;
		remember(reader, "interface", name, one);
	}
	*one = (struct machine_virtual){ .name = name, .on = ports, .gone = machine_has_word(line, 1, "gone") };
	return true;
}

static bool read_disk(struct machine_reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	const char *disk = line->word[0], *name = machine_option(line, 1, "name"), *on = machine_option(line, 1, "on");
	if (!machine_only_options(line, 1, "name= on= gone", reader->arena, reader->err) ||
	        !machine_once(reader, line, "disk", arena_printf(reader->arena, "%s %s", target->label, disk)))
		return false;
	if (!machine_is_name(disk) || !*disk || (name && !machine_is_name(name)) || (on && !machine_is_names(on)))
		return FAIL("disk takes: NAME [name=MAPPER-NAME] [on=DISK,DISK], or NAME gone");
	struct machine_virtual *one = known(reader, "disk", disk);
	if (!one) {
		if (target->n_disks >= MACHINE_THINGS_MAX)
			return FAIL("more than %d disks", MACHINE_THINGS_MAX);
		one = arena_new(reader->arena, struct machine_virtual);
		*arena_push(reader->arena, target->disks, target->n_disks) = one;
		remember(reader, "disk", disk, one);
	}
	*one = (struct machine_virtual){
		.name = disk, .mapper = name, .on = on, .gone = machine_has_word(line, 1, "gone")
	};
	return true;
}

static bool read_docker(struct machine_reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	static const char *const names[] = { "cgroup", "runtimes", "root" };
	const char **const into[] = { &target->docker_cgroup, &target->docker_runtimes, &target->docker_root };
	if (!machine_only_options(line, 1, "cgroup= runtimes= root=", reader->arena, reader->err) ||
	        !machine_once(reader, line, "docker", target->label))
		return false;
	target->docker = line->word[0];
	for (size_t i = 0; i < 3; i++)
		if (machine_option(line, 1, names[i]))
			*into[i] = machine_option(line, 1, names[i]);
	for (size_t i = 0; i < line->n; i++)
		if (!machine_is_plain(line->word[i]))
			return FAIL("docker takes: VERSION, none, down or denied, and words without quotes");
	return true;
}

static bool read_container(struct machine_reader *reader, struct machine_line *line)
{
	struct machine_target *target = reader->target;
	const char *name = line->word[0];
	if (!machine_only_options(line, 2, "state= runtime= gpus= devices= groups= visible= capabilities= privileged",
	            reader->arena, reader->err) ||
	        !machine_once(reader, line, "container", arena_printf(reader->arena, "%s %s", target->label, name)))
		return false;
	for (size_t i = 0; i < line->n; i++)
		if (!machine_is_plain(line->word[i]))
			return FAIL("a docker container's words have no quotes");
	struct machine_container *one = known(reader, "container", name);
	if (!one) {
		if (target->n_containers >= MACHINE_THINGS_MAX / 10)
			return FAIL("more than %d docker containers", MACHINE_THINGS_MAX / 10);
		one = arena_new(reader->arena, struct machine_container);
		*arena_push(reader->arena, target->containers, target->n_containers) = one;
		remember(reader, "container", name, one);
	}
	*one = (struct machine_container){ .name = name,
		.image = line->word[1],
		.state = machine_option(line, 2, "state"),
		.runtime = machine_option(line, 2, "runtime"),
		.gpus = machine_option(line, 2, "gpus"),
		.devices = machine_option(line, 2, "devices"),
		.groups = machine_option(line, 2, "groups"),
		.visible = machine_option(line, 2, "visible"),
		.capabilities = machine_option(line, 2, "capabilities"),
		.privileged = machine_has_word(line, 2, "privileged"),
		.gone = strcmp(line->word[1], "gone") == 0 };
	return true;
}

const struct machine_statement machine_part_statements[] = {
	{ "loaded", 1, 0, false, read_loaded, NULL },
	{ "builtin", 1, 0, false, read_builtin, NULL },
	{ "unload", 1, 0, false, read_unload, NULL },
	{ "iommu", 1, 0, false, read_iommu, NULL },
	{ "framebuffer", 2, 4, false, read_framebuffer, NULL },
	{ "nvidia", 1, 4, false, read_nvidia, NULL },
	{ "package", 2, 0, false, read_package, NULL },
	{ "process", 2, 4, true, read_process, NULL },
	{ "guest", 2, 4, false, read_guest, NULL },
	{ "interface", 1, 2, false, read_interface, NULL },
	{ "disk", 1, 3, false, read_disk, NULL },
	{ "docker", 1, 4, false, read_docker, NULL },
	{ "container", 2, 0, false, read_container, NULL },
	{ NULL },
};
