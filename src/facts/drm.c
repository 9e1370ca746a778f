/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Device nodes, framebuffers and who holds them. A card may leave its driver only when nobody has it open (an unbind
 * with users can hang in the kernel for good), so what could not be seen is never taken for nobody.
 */
#include "facts/drm.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* NODES_MAX, HOLDERS_MAX: far beyond any machine; what a hostile recording has beyond them is said, not counted. */
enum { PID_DIGITS_MAX = 10, NODES_MAX = 1024, HOLDERS_MAX = 4096 };

struct group {
	uint64_t gid;
	const char *name;
};

struct reader {
	struct world *world;
	struct arena *arena;
	blind_fn *blind;
	void *data;
	unsigned noted;
	struct group *groups;
	size_t n_groups;
	bool groups_known;
};

enum noted {
	NOTED_DRM = 1 << 0,
	NOTED_DEV = 1 << 1,
	NOTED_NODE = 1 << 2,
	NOTED_GROUP_FILE = 1 << 3,
	NOTED_NVIDIA = 1 << 4,
	NOTED_NVIDIA_CARD = 1 << 5,
	NOTED_PROC = 1 << 6,
	NOTED_FD = 1 << 7,
	NOTED_COMM = 1 << 8,
	NOTED_GRAPHICS = 1 << 9,
	NOTED_VTCONSOLE = 1 << 10,
	NOTED_IOMEM = 1 << 11,
	NOTED_LINK = 1 << 12,
	NOTED_VFIO = 1 << 13,
	NOTED_MANY = 1 << 14,
	NOTED_CARD = 1 << 15,
};

static void reader_note(struct reader *reader, enum noted kind, int error, const char *what)
{
	if (reader->noted & (unsigned)kind)
		return;
	reader->noted |= (unsigned)kind;
	if (reader->blind)
		reader->blind(reader->data, error, what);
}

/* "card12" with "card": the digits behind the prefix, at most nine; NULL: another name. */
static const char *digits_after(const char *name, const char *prefix)
{
	if (!text_starts(name, prefix))
		return NULL;
	const char *digits = name + strlen(prefix);
	size_t size = strspn(digits, "0123456789");
	return size && size <= 9 && !digits[size] ? digits : NULL;
}

/* ---- pure parts ------------------------------------------------------- */

/* Parts of a device path that stand between a PCI device and what hangs on it. */
struct between {
	const char *pattern;
	bool framebuffer_only;
};

static const struct between between_table[] = {
	{ "drm", false },
	{ "card*", false },
	{ "renderD*", false },
	{ "graphics", false },
	{ "fb*", false },
	{ "virtio*", false },
	{ "simple-framebuffer.*", true },
	{ "efi-framebuffer.*", true },
	{ "vesa-framebuffer.*", true },
};

static bool is_between(const char *part, bool framebuffer)
{
	for (size_t i = 0; i < sizeof between_table / sizeof *between_table; i++)
		if ((framebuffer || !between_table[i].framebuffer_only) && text_matches(between_table[i].pattern, part))
			return true;
	return false;
}

const char *drm_path_pci(const char *link, bool framebuffer, struct arena *arena)
{
	unsigned domain, bus, slot, function;
	struct words parts = text_split(arena, link, "/");
	for (size_t i = parts.n; i > 0; i--) {
		const char *part = parts.word[i - 1];
		if (pci_parse_address(part, &domain, &bus, &slot, &function))
			return part;
		if (!is_between(part, framebuffer))
			break;
	}
	return NONE;
}

bool drm_is_fbcon(const char *name)
{
	return name && strstr(name, "frame buffer") != NULL;
}

static bool hex_number(const char **text, const char *end, uint64_t *ret)
{
	uint64_t number = 0;
	const char *start = *text;
	for (; *text < end && isxdigit((unsigned char)**text); ++*text) {
		char sign = (char)(**text | 0x20);
		number = number << 4 | (uint64_t)(sign <= '9' ? sign - '0' : sign - 'a' + 10);
	}
	*ret = number;
	return *text > start && *text - start <= 16;
}

/* "    fd000000-fdffffff : 0000:01:00.0": two blanks per level (r_show in kernel/resource.c). */
static bool iomem_line(struct bytes line, struct arena *arena, struct iomem_range *ret)
{
	const char *at = line.data, *end = line.data + line.size;
	while (at < end && *at == ' ')
		at++;
	ret->depth = (unsigned)(at - line.data) / 2;
	if (!hex_number(&at, end, &ret->start) || at == end || *at++ != '-' || !hex_number(&at, end, &ret->end))
		return false;
	if (end - at < 3 || memcmp(at, " : ", 3) != 0 || ret->end < ret->start)
		return false;
	at += 3;
	ret->owner = text_trimmed(arena, (struct bytes){ at, (size_t)(end - at) });
	return true;
}

void drm_parse_iomem(struct bytes text, struct arena *arena, struct drm *ret)
{
	size_t cursor = 0;
	struct bytes line;
	bool some = false;
	while (text_line(text, &cursor, &line)) {
		struct iomem_range range;
		if (!iomem_line(line, arena, &range))
			continue;
		some |= range.end != 0;
		*arena_push(arena, ret->iomem, ret->n_iomem) = range;
	}
	/* who may not see addresses gets every one as zero (same function), and nothing can be told from that */
	if (!some)
		ret->n_iomem = 0;
	ret->iomem_known = tri_of(some);
}

static bool is_version(const char *word)
{
	size_t digits = strspn(word, "0123456789");
	return digits && word[digits] == '.' && isdigit((unsigned char)word[digits + 1]) &&
	       word[strspn(word, "0123456789.")] == '\0';
}

bool drm_parse_nvidia_version(struct bytes text, struct arena *arena, const char **ret_version, enum tri *ret_open)
{
	size_t cursor = 0;
	struct bytes line;
	while (text_line(text, &cursor, &line)) {
		const char *said = text_trimmed(arena, line);
		const char *module = strstr(said, "Kernel Module");
		if (!text_starts(said, "NVRM version:") || !module)
			continue;
		struct words words = text_split(arena, module, " \t");
		for (size_t i = 0; i < words.n; i++) {
			if (!is_version(words.word[i]))
				continue;
			*ret_version = words.word[i];
			*ret_open = tri_of(module - said >= 5 && memcmp(module - 5, "Open ", 5) == 0);
			return true;
		}
	}
	return false;
}

/* Forms of a cgroup path's part. Docker: cgroup drivers systemd and cgroupfs; CTs: PVE (lxc/105) and LXC's own
 * (lxc.payload.105); VMs: qemu-server's scope in qemu.slice. */
static const char *owner_docker(const char *part, const char *before, struct arena *arena)
{
	const char *id = text_starts(part, "docker-") ? part + strlen("docker-") : part;
	size_t size = strspn(id, "0123456789abcdef");
	if (size < 12 || size > 64)
		return NULL;
	bool scope = id != part && strcmp(id + size, ".scope") == 0;
	bool folder = id == part && !id[size] && before && strcmp(before, "docker") == 0;
	return scope || folder ? arena_strndup(arena, id, size) : NULL;
}

static const char *owner_ct(const char *part, const char *before, struct arena *arena)
{
	const char *name = text_starts(part, "lxc.payload.") ? part + strlen("lxc.payload.") : part;
	bool payload = name != part || (before && (strcmp(before, "lxc") == 0 || strcmp(before, "lxc.payload") == 0));
	return payload && *name ? arena_printf(arena, "ct/%s", name) : NULL;
}

static const char *owner_vm(const char *part, const char *before, struct arena *arena)
{
	size_t digits = strspn(part, "0123456789");
	if (!before || strcmp(before, "qemu.slice") != 0 || !digits || strcmp(part + digits, ".scope") != 0)
		return NULL;
	return arena_printf(arena, "vm/%.*s", (int)digits, part);
}

static const struct owner_form {
	enum holder_kind kind;
	const char *(*name)(const char *part, const char *before, struct arena *arena);
} owner_forms[] = { { HOLDER_CT, owner_ct }, { HOLDER_VM, owner_vm }, { HOLDER_DOCKER, owner_docker } };

static const char *path_owner(const char *path, struct arena *arena, enum holder_kind *ret)
{
	struct words parts = text_split(arena, path, "/");
	for (size_t i = 0; i < parts.n; i++) {
		for (size_t form = 0; form < sizeof owner_forms / sizeof *owner_forms; form++) {
			const char *name = owner_forms[form].name(parts.word[i], i ? parts.word[i - 1] : NULL, arena);
			if (name) {
				*ret = owner_forms[form].kind;
				return name;
			}
		}
	}
	return NULL;
}

/* "0::/lxc/105/ns" or "12:devices:/docker/0123...": the path stands behind the second colon (cgroups(7)). */
const char *drm_cgroup_owner(struct bytes cgroup, struct arena *arena, enum holder_kind *ret)
{
	size_t cursor = 0;
	struct bytes line;
	while (text_line(cgroup, &cursor, &line)) {
		const char *said = text_trimmed(arena, line);
		const char *path = strchr(said, ':');
		path = path ? strchr(path + 1, ':') : NULL;
		const char *owner = path ? path_owner(path + 1, arena, ret) : NULL;
		if (owner)
			return owner;
	}
	*ret = HOLDER_PROCESS;
	return NONE;
}

/* ---- groups ----------------------------------------------------------- */

/* "video:x:44:emby,jellyfin"; the password may be empty (group(5)). */
static bool group_line(struct bytes line, struct arena *arena, struct group *ret)
{
	const char *name = text_trimmed(arena, line), *password = strchr(name, ':');
	const char *gid = password ? strchr(password + 1, ':') : NULL;
	if (!gid || password == name)
		return false;
	size_t size = strcspn(gid + 1, ":");
	if (size > 10 || !text_number(arena_strndup(arena, gid + 1, size), 10, UINT32_MAX, &ret->gid))
		return false;
	ret->name = arena_strndup(arena, name, (size_t)(password - name));
	return true;
}

static void read_group_file(struct reader *reader)
{
	struct bytes content, line;
	struct group group;
	int error = world_read(reader->world, "/etc/group", 0, reader->arena, &content);
	if (error) {
		if (error != ENOENT)
			reader_note(reader, NOTED_GROUP_FILE, error, "/etc/group");
		return;
	}
	reader->groups_known = true;
	for (size_t cursor = 0; text_line(content, &cursor, &line);)
		if (group_line(line, reader->arena, &group))
			*arena_push(reader->arena, reader->groups, reader->n_groups) = group;
}

static const char *group_name(const struct reader *reader, unsigned gid)
{
	for (size_t i = 0; i < reader->n_groups; i++)
		if (reader->groups[i].gid == gid)
			return reader->groups[i].name;
	return reader->groups_known ? NONE : NULL;
}

/* ---- nodes ------------------------------------------------------------ */

static struct drm_node *find_node(const struct drm *drm, const char *path)
{
	for (size_t i = 0; i < drm->n; i++)
		if (strcmp(drm->nodes[i].path, path) == 0)
			return &drm->nodes[i];
	return NULL;
}

/* NULL: too many. */
static struct drm_node *add_node(struct reader *reader, struct drm *drm, const char *folder, const char *name)
{
	const char *path = arena_printf(reader->arena, "%s/%s", folder, name);
	struct drm_node *node = find_node(drm, path);
	if (node)
		return node;
	if (drm->n == NODES_MAX) {
		reader_note(reader, NOTED_MANY, EFBIG, folder);
		return NULL;
	}
	node = arena_push(reader->arena, drm->nodes, drm->n);
	node->name = name;
	node->path = path;
	node->major = node->minor = UNKNOWN_NUMBER;
	return node;
}

static void stat_node(struct reader *reader, struct drm_node *node)
{
	struct world_stat stat;
	int error = world_stat(reader->world, node->path, &stat);
	if (error) {
		node->exists = error == ENOENT ? NO : UNKNOWN;
		if (error != ENOENT)
			reader_note(reader, NOTED_NODE, error, node->path);
		return;
	}
	/* a plain file or folder left where a node should be is no node (docker makes such folders) */
	node->exists = tri_of(stat.type == NODE_CHAR);
	node->mode = stat.mode;
	node->uid = stat.uid;
	node->gid = stat.gid;
	node->group = group_name(reader, stat.gid);
	if (stat.type == NODE_CHAR) {
		node->major = stat.major;
		node->minor = stat.minor;
	}
}

static bool is_drm_node(const char *name)
{
	return digits_after(name, "card") || digits_after(name, "renderD");
}

static void read_drm_device(struct reader *reader, struct drm_node *node)
{
	const char *link;
	if (!node)
		return;
	int error = world_link(
	        reader->world, arena_printf(reader->arena, "/sys/class/drm/%s", node->name), reader->arena, &link);
	if (error) {
		reader_note(reader, NOTED_LINK, error, "/sys/class/drm/*");
		return;
	}
	node->pci = drm_path_pci(link, false, reader->arena);
	error = world_link_name(
	        reader->world, reader->arena, &node->driver, "/sys/class/drm/%s/device/driver", node->name);
	if (error == ENOENT)
		node->driver = NONE;
	else if (error)
		reader_note(reader, NOTED_LINK, error, "/sys/class/drm/*/device/driver");
}

/* A container may have nodes that its sysfs does not show, and a machine may lack nodes that sysfs has: both count. */
static void read_drm_nodes(struct reader *reader, struct drm *drm)
{
	struct words names = { 0 };
	int error = world_list(reader->world, "/sys/class/drm", reader->arena, &names);
	drm->known = !error || error == ENOENT ? YES : UNKNOWN;
	if (error && error != ENOENT)
		reader_note(reader, NOTED_DRM, error, "/sys/class/drm");
	for (size_t i = 0; i < names.n; i++)
		if (is_drm_node(names.word[i]))
			read_drm_device(reader, add_node(reader, drm, "/dev/dri", names.word[i]));
	names = (struct words){ 0 };
	error = world_list(reader->world, "/dev/dri", reader->arena, &names);
	if (error && error != ENOENT)
		reader_note(reader, NOTED_DEV, error, "/dev/dri");
	for (size_t i = 0; i < names.n; i++)
		if (is_drm_node(names.word[i]))
			add_node(reader, drm, "/dev/dri", names.word[i]);
}

static void read_nvidia_version(struct reader *reader, struct drm *drm)
{
	struct bytes content;
	int error = world_read(reader->world, "/proc/driver/nvidia/version", 0, reader->arena, &content);
	if (error == ENOENT)
		drm->nvidia_module_version = NONE;
	else if (error ||
	         !drm_parse_nvidia_version(content, reader->arena, &drm->nvidia_module_version, &drm->nvidia_open))
		reader_note(reader, NOTED_NVIDIA, error ? error : EINVAL, "/proc/driver/nvidia/version");
}

/* "Device Minor:  0" in /proc/driver/nvidia/gpus/0000:01:00.0/information */
static const char *device_minor(struct bytes information, struct arena *arena)
{
	size_t cursor = 0;
	struct bytes line;
	static const char key[] = "Device Minor:";
	while (text_line(information, &cursor, &line)) {
		const char *said = text_trimmed(arena, line);
		if (!text_starts(said, key))
			continue;
		const char *digits = said + sizeof key - 1;
		digits += strspn(digits, " \t");
		size_t size = strspn(digits, "0123456789");
		return size && size <= 9 && !digits[size] ? digits : NULL;
	}
	return NULL;
}

static void read_nvidia_cards(struct reader *reader, struct drm *drm)
{
	struct words cards = { 0 };
	int error = world_list(reader->world, "/proc/driver/nvidia/gpus", reader->arena, &cards);
	if (error && error != ENOENT)
		reader_note(reader, NOTED_NVIDIA_CARD, error, "/proc/driver/nvidia/gpus");
	for (size_t i = 0; i < cards.n; i++) {
		struct bytes content;
		const char *path =
		        arena_printf(reader->arena, "/proc/driver/nvidia/gpus/%s/information", cards.word[i]);
		const char *minor = NULL, *address = pci_full_address(cards.word[i], reader->arena, NULL);
		error = world_read(reader->world, path, 0, reader->arena, &content);
		if (!error)
			minor = device_minor(content, reader->arena);
		if (!minor || !address) {
			reader_note(reader, NOTED_NVIDIA_CARD, error ? error : EINVAL, path);
			continue;
		}
		struct drm_node *node = add_node(reader, drm, "/dev", arena_printf(reader->arena, "nvidia%s", minor));
		if (node)
			node->pci = address;
	}
}

/* Nodes of all cards together; `needed` where every use of the driver wants them. */
static const struct shared_node {
	const char *name;
	bool needed;
} shared_nodes[] = { { "nvidiactl", true }, { "nvidia-uvm", true }, { "nvidia-uvm-tools", true },
	{ "nvidia-modeset", false } };

static bool is_shared_node(const char *name)
{
	for (size_t i = 0; i < sizeof shared_nodes / sizeof *shared_nodes; i++)
		if (strcmp(shared_nodes[i].name, name) == 0)
			return true;
	return false;
}

static void read_nvidia_nodes(struct reader *reader, struct drm *drm)
{
	struct words names = { 0 };
	bool loaded = drm->nvidia_module_version && *drm->nvidia_module_version;
	if (loaded)
		read_nvidia_cards(reader, drm);
	for (size_t i = 0; loaded && i < sizeof shared_nodes / sizeof *shared_nodes; i++)
		if (shared_nodes[i].needed)
			add_node(reader, drm, "/dev", shared_nodes[i].name);
	int error = world_list(reader->world, "/dev", reader->arena, &names);
	if (error && error != ENOENT)
		reader_note(reader, NOTED_DEV, error, "/dev");
	for (size_t i = 0; i < names.n; i++)
		if (digits_after(names.word[i], "nvidia") || is_shared_node(names.word[i]))
			add_node(reader, drm, "/dev", names.word[i]);
	for (size_t i = 0; i < drm->n; i++) {
		struct drm_node *node = &drm->nodes[i];
		if (!text_starts(node->name, "nvidia"))
			continue;
		node->driver = "nvidia";
		if (is_shared_node(node->name))
			node->pci = NONE;
	}
}

static int compare_nodes(const void *left, const void *right)
{
	const struct drm_node *l = left, *r = right;
	return strcmp(l->path, r->path);
}

static void read_nodes(struct reader *reader, struct drm *drm)
{
	read_group_file(reader);
	read_drm_nodes(reader, drm);
	read_nvidia_version(reader, drm);
	read_nvidia_nodes(reader, drm);
	for (size_t i = 0; i < drm->n; i++)
		stat_node(reader, &drm->nodes[i]);
	if (drm->n)
		qsort(drm->nodes, drm->n, sizeof *drm->nodes, compare_nodes);
}

/* ---- holders ---------------------------------------------------------- */

struct process {
	int64_t pid;
	const char *digits;
	const char *comm;
	const char *owner; /* NULL: not asked yet */
	enum holder_kind kind;
};

static void process_owner(struct reader *reader, struct process *process)
{
	struct bytes cgroup;
	if (process->owner)
		return;
	const char *path = arena_printf(reader->arena, "/proc/%s/cgroup", process->digits);
	process->owner = NONE;
	process->kind = HOLDER_PROCESS;
	if (!world_read(reader->world, path, 0, reader->arena, &cgroup))
		process->owner = drm_cgroup_owner(cgroup, reader->arena, &process->kind);
	if (text_starts(process->comm, "nvidia-persiste"))
		process->kind = HOLDER_DAEMON;
}

static void add_holder(
        struct reader *reader, struct drm *drm, struct process *process, const char *node, const char *pci)
{
	process_owner(reader, process);
	for (size_t i = drm->n_holders; i > 0 && drm->holders[i - 1].pid == process->pid; i--) {
		const struct holder *other = &drm->holders[i - 1];
		bool same_card = other->pci == pci || (other->pci && pci && strcmp(other->pci, pci) == 0);
		if (same_card && strcmp(other->node, node) == 0)
			return;
	}
	if (drm->n_holders == HOLDERS_MAX) {
		reader_note(reader, NOTED_MANY, EFBIG, "holders of device nodes");
		return;
	}
	if (!pci) {
		drm->holders_known = NO;
		reader_note(reader, NOTED_CARD, ENODATA, arena_printf(reader->arena, "which card %s is", node));
	}
	bool lives = *process->owner && process->kind != HOLDER_DAEMON;
	*arena_push(reader->arena, drm->holders, drm->n_holders) = (struct holder){ .kind = process->kind,
		.pid = process->pid,
		.name = lives ? process->owner : process->comm,
		.node = node,
		.pci = pci };
}

/* A node can have another name inside a docker container; a DRM file says itself which card it is
 * (drm-pdev, Documentation/gpu/drm-usage-stats.rst). */
static const char *fd_card(
        struct reader *reader, const struct drm *drm, const struct process *process, const char *fd, const char *path)
{
	struct bytes content, line;
	const char *info = arena_printf(reader->arena, "/proc/%s/fdinfo/%s", process->digits, fd);
	if (text_starts(path, "/dev/dri/") && !world_read(reader->world, info, 0, reader->arena, &content)) {
		for (size_t cursor = 0; text_line(content, &cursor, &line);) {
			const char *said = text_trimmed(reader->arena, line);
			if (text_starts(said, "drm-pdev:"))
				return pci_full_address(said + 9 + strspn(said + 9, " \t"), reader->arena, NULL);
		}
	}
	const struct drm_node *node = find_node(drm, path);
	if (node)
		return node->pci;
	/* what is under /dev/nvidia-caps and the like belongs to the driver, not to one card */
	return text_starts(path, "/dev/nvidia-") ? NONE : NULL;
}

/* /dev/vfio/12: every device of group 12; /dev/vfio/devices/vfio3 (iommufd): the one that
 * /sys/class/vfio-dev/vfio3 -> .../0000:01:00.0/vfio-dev/vfio3 names. */
static int vfio_members(struct reader *reader, const char *name, struct words *ret)
{
	const char *link;
	if (isdigit((unsigned char)*name))
		return world_list(reader->world,
		        arena_printf(reader->arena, "/sys/kernel/iommu_groups/%s/devices", name), reader->arena, ret);
	int error = world_link(reader->world,
	        arena_printf(reader->arena, "/sys/class/vfio-dev/%s", name + strlen("devices/")), reader->arena, &link);
	if (error)
		return error;
	struct words parts = text_split(reader->arena, link, "/");
	if (parts.n < 3)
		return EINVAL;
	*arena_push(reader->arena, ret->word, ret->n) = parts.word[parts.n - 3];
	return 0;
}

static void add_vfio_holder(struct reader *reader, struct drm *drm, struct process *process, const char *path)
{
	struct words members = { 0 };
	const char *name = path + strlen("/dev/vfio/");
	if (!isdigit((unsigned char)*name) && !text_starts(name, "devices/"))
		return; /* /dev/vfio/vfio is the container of groups, not a device */
	process_owner(reader, process);
	if (process->kind == HOLDER_PROCESS)
		process->kind = HOLDER_VM;
	int error = vfio_members(reader, name, &members);
	if (error || !members.n) {
		reader_note(reader, NOTED_VFIO, error ? error : ENODATA, path);
		add_holder(reader, drm, process, path, NULL);
	}
	for (size_t i = 0; i < members.n; i++)
		add_holder(reader, drm, process, path, pci_full_address(members.word[i], reader->arena, NULL));
}

static const char *without_deleted(const char *path, struct arena *arena)
{
	static const char mark[] = " (deleted)";
	return text_ends(path, mark) ? arena_strndup(arena, path, strlen(path) - sizeof mark + 1) : path;
}

/* false: the open files could not be read. A process that has ended meanwhile holds nothing. */
static bool read_process_files(struct reader *reader, struct drm *drm, struct process *process)
{
	struct words fds = { 0 };
	const char *folder = arena_printf(reader->arena, "/proc/%s/fd", process->digits);
	int error = world_list(reader->world, folder, reader->arena, &fds);
	if (error == ENOENT || error == ESRCH)
		return true;
	int unread = error;
	for (size_t i = 0; i < fds.n; i++) {
		const char *link = NULL;
		error = world_link(
		        reader->world, arena_printf(reader->arena, "%s/%s", folder, fds.word[i]), reader->arena, &link);
		if (error && error != ENOENT && error != ESRCH)
			unread = error;
		if (error || !text_starts(link, "/dev/"))
			continue;
		const char *path = without_deleted(link, reader->arena);
		if (text_starts(path, "/dev/vfio/"))
			add_vfio_holder(reader, drm, process, path);
		else if (text_starts(path, "/dev/dri/") || text_starts(path, "/dev/nvidia"))
			add_holder(reader, drm, process, path, fd_card(reader, drm, process, fds.word[i], path));
	}
	if (unread)
		reader_note(reader, NOTED_FD, unread, "open files of other processes (/proc/*/fd)");
	return !unread;
}

static bool is_pid(const char *name)
{
	size_t size = strspn(name, "0123456789");
	return size && size <= PID_DIGITS_MAX && !name[size];
}

static void read_holders(struct reader *reader, struct drm *drm)
{
	struct words names = { 0 };
	int error = world_list(reader->world, "/proc", reader->arena, &names);
	bool complete = !error, comms = !error, daemon = false, first = false;
	for (size_t i = 0; i < names.n; i++) {
		struct process process = { .digits = names.word[i], .kind = HOLDER_PROCESS };
		if (!is_pid(names.word[i]))
			continue;
		process.pid = strtoll(names.word[i], NULL, 10);
		first |= process.pid == 1;
		int unread =
		        world_attribute(reader->world, reader->arena, &process.comm, "/proc/%s/comm", names.word[i]);
		if (unread && unread != ENOENT && unread != ESRCH)
			comms = false;
		/* the kernel keeps 15 characters of nvidia-persistenced */
		daemon |= text_starts(process.comm, "nvidia-persiste");
		if (!read_process_files(reader, drm, &process))
			complete = false;
	}
	/* a /proc mounted with hidepid leaves other users' processes out, the first one too; a captured one has none */
	if (!first && !error)
		error = reader->world->partial ? ENODATA : EACCES;
	if (!first)
		reader_note(reader, NOTED_PROC, error, "processes (/proc)");
	/* someone who has an unknown card open may have any */
	complete &= drm->n_holders < HOLDERS_MAX && drm->holders_known != NO;
	drm->holders_known = first ? tri_of(complete) : error == ENODATA ? UNKNOWN : NO;
	drm->persistence_daemon = daemon ? YES : comms && first ? NO : UNKNOWN;
}

/* ---- framebuffers, console, memory ------------------------------------ */

static void read_framebuffers(struct reader *reader, struct drm *drm)
{
	struct words names = { 0 };
	int error = world_list(reader->world, "/sys/class/graphics", reader->arena, &names);
	drm->framebuffers_known = !error || error == ENOENT ? YES : UNKNOWN;
	if (error && error != ENOENT)
		reader_note(reader, NOTED_GRAPHICS, error, "/sys/class/graphics");
	for (size_t i = 0; i < names.n; i++) {
		const char *link = NULL, *driver = NULL, *path;
		if (!digits_after(names.word[i], "fb"))
			continue;
		path = arena_printf(reader->arena, "/sys/class/graphics/%s", names.word[i]);
		error = world_link(reader->world, path, reader->arena, &link);
		int unnamed = world_attribute(reader->world, reader->arena, &driver, "%s/name", path);
		if (error || unnamed) {
			reader_note(reader, NOTED_GRAPHICS, error ? error : unnamed, path);
			drm->framebuffers_known = error ? UNKNOWN : drm->framebuffers_known;
		}
		*arena_push(reader->arena, drm->framebuffers, drm->n_framebuffers) =
		        (struct framebuffer){ .name = names.word[i],
			        .driver = driver,
			        .pci = link ? drm_path_pci(link, true, reader->arena) : NULL };
	}
}

static void read_fbcon(struct reader *reader, struct drm *drm)
{
	struct words names = { 0 };
	int error = world_list(reader->world, "/sys/class/vtconsole", reader->arena, &names);
	drm->fbcon = !error || error == ENOENT ? NO : UNKNOWN;
	for (size_t i = 0; i < names.n; i++) {
		const char *name, *bind;
		error = world_attribute(
		        reader->world, reader->arena, &name, "/sys/class/vtconsole/%s/name", names.word[i]);
		if (!error && !drm_is_fbcon(name))
			continue;
		if (!error)
			error = world_attribute(
			        reader->world, reader->arena, &bind, "/sys/class/vtconsole/%s/bind", names.word[i]);
		if (!error && strcmp(bind, "1") == 0) {
			drm->fbcon = YES;
			return;
		}
		if (error)
			drm->fbcon = UNKNOWN;
	}
	if (drm->fbcon == UNKNOWN)
		reader_note(reader, NOTED_VTCONSOLE, error ? error : EINVAL, "/sys/class/vtconsole");
}

/* i915 takes its options when it is loaded: what modprobe.d says since then is not in effect. */
static void read_enable_guc(struct reader *reader, struct drm *drm)
{
	bool i915 = false;
	for (size_t i = 0; i < drm->n; i++)
		i915 |= drm->nodes[i].driver && !strcmp(drm->nodes[i].driver, "i915");
	struct bytes content;
	const char *path = "/sys/module/i915/parameters/enable_guc";
	if (i915 && !world_read(reader->world, path, 0, reader->arena, &content))
		drm->enable_guc = text_trimmed(reader->arena, content);
}

static void read_iomem(struct reader *reader, struct drm *drm)
{
	struct bytes content;
	int error = world_read(reader->world, "/proc/iomem", 0, reader->arena, &content);
	if (!error)
		drm_parse_iomem(content, reader->arena, drm);
	if (drm->iomem_known != YES)
		reader_note(reader, NOTED_IOMEM, error ? error : EACCES, "/proc/iomem");
}

void drm_gather(struct world *world, bool holders, struct arena *arena, struct drm *ret, blind_fn *blind, void *data)
{
	struct reader reader = { .world = world, .arena = arena, .blind = blind, .data = data };
	*ret = (struct drm){ 0 };
	read_nodes(&reader, ret);
	if (holders)
		read_holders(&reader, ret);
	read_framebuffers(&reader, ret);
	read_fbcon(&reader, ret);
	read_enable_guc(&reader, ret);
	read_iomem(&reader, ret);
}

const struct drm_node *drm_node_at(const struct drm *drm, const char *path)
{
	for (size_t i = 0; i < drm->n; i++)
		if (drm->nodes[i].path && strcmp(drm->nodes[i].path, path) == 0)
			return &drm->nodes[i];
	return NULL;
}
