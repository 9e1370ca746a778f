/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Proxmox VE's qm, pct and pvesh on the lab's full machine, played by the rehearsal's own simulators: the real /etc/pve and
 * the real devices go in, the command is run on the copy, and what it changed is written back: files of /etc/pve, which
 * guests run, and the drivers that a start gives to a guest's cards. A guest that runs is a process that has the cards'
 * groups open. Called as any of the three names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "facts/pci.h"
#include "rehearse/machine.h"
#include "rehearse/rehearse.h"

#define PVE "/etc/pve"
#define DEVICES "/sys/bus/pci/devices"

struct text {
	char *data;
	size_t size;
	FILE *out;
};

static const char *read_all(struct arena *arena, const char *path)
{
	char buffer[65536];
	FILE *file = fopen(path, "r");
	size_t size = file ? fread(buffer, 1, sizeof buffer, file) : 0;
	if (!file)
		return NULL;
	fclose(file);
	return arena_strndup(arena, buffer, size);
}

static const char *word_of(struct arena *arena, const char *path)
{
	const char *text = read_all(arena, path);
	return text ? text_trimmed(arena, (struct bytes){ text, strlen(text) }) : "";
}

static const char *link_name(struct arena *arena, const char *path)
{
	char target[PATH_MAX];
	ssize_t size = readlink(path, target, sizeof target - 1);
	const char *whole = size > 0 ? arena_strndup(arena, target, (size_t)size) : "";
	const char *slash = strrchr(whole, '/');
	return slash ? slash + 1 : whole;
}

/* ---- the machine as it is, as a machine's text ------------------------------------------------------------------- */

static void put_file(struct text *text, const char *path, const char *content)
{
	bool ends = text_ends(content, "\n");
	fprintf(text->out, "file %s%s\n", path, ends || !*content ? "" : " nonewline");
	for (const char *line = content; *line; line += strcspn(line, "\n") + (line[strcspn(line, "\n")] != '\0'))
		fprintf(text->out, "\t%.*s\n", (int)strcspn(line, "\n"), line);
}

static void put_tree(struct text *text, const char *folder, struct arena *arena)
{
	DIR *dir = opendir(folder);
	fprintf(text->out, "dir %s\n", folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		const char *path = arena_printf(arena, "%s/%s", folder, entry->d_name);
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (entry->d_type == DT_DIR)
			put_tree(text, path, arena);
		else if (entry->d_type == DT_REG)
			put_file(text, path, read_all(arena, path));
	}
	if (dir)
		closedir(dir);
}

static const char *parent_of(struct arena *arena, const char *address)
{
	char *real = realpath(arena_printf(arena, DEVICES "/%s", address), NULL);
	char *slash = real ? strrchr(real, '/') : NULL;
	if (slash)
		*slash = '\0';
	const char *name = real && strrchr(real, '/') ? strrchr(real, '/') + 1 : "";
	const char *ret = strlen(name) == strlen(address) && strchr(name, '.') ? arena_strdup(arena, name) : "";
	free(real);
	return ret;
}

static void put_device(struct text *text, const char *address, struct arena *arena)
{
	const char *folder = arena_printf(arena, DEVICES "/%s", address);
	const char *vendor = word_of(arena, arena_printf(arena, "%s/vendor", folder));
	const char *device = word_of(arena, arena_printf(arena, "%s/device", folder));
	const char *class_code = word_of(arena, arena_printf(arena, "%s/class", folder));
	const char *parent = parent_of(arena, address);
	if (strlen(vendor) != 6 || strlen(device) != 6 || strlen(class_code) != 8)
		return;
	fprintf(text->out, "device %s %s:%s class=%s%s%s group=%s driver=%s reset=flr\n", address, vendor + 2, device + 2,
	        class_code + 2, *parent ? " parent=" : "", parent,
	        link_name(arena, arena_printf(arena, "%s/iommu_group", folder)),
	        link_name(arena, arena_printf(arena, "%s/driver", folder)));
}

static void put_devices(struct text *text, struct arena *arena)
{
	struct dirent **names;
	int n = scandir(DEVICES, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (*names[i]->d_name != '.')
			put_device(text, names[i]->d_name, arena);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

/* A CT is not started where a node that it names is not there. */
static void put_nodes(struct text *text, const char *folder, struct arena *arena)
{
	DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		const char *path = arena_printf(arena, "%s/%s", folder, entry->d_name);
		struct stat stat;
		if (entry->d_type == DT_CHR && lstat(path, &stat) == 0)
			fprintf(text->out, "node %s c %u %u\n", path, major(stat.st_rdev), minor(stat.st_rdev));
	}
	if (dir)
		closedir(dir);
}

/* Proxmox's own test is that this folder is not empty. */
static void put_iommu(struct text *text)
{
	struct dirent **names;
	int n = scandir("/sys/class/iommu", &names, NULL, alphasort);
	unsigned units = 0;
	bool amd = false;
	for (int i = 0; i < n; i++) {
		units += *names[i]->d_name != '.';
		amd = amd || text_starts(names[i]->d_name, "ivhd");
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (units)
		fprintf(text->out, "iommu %s units=%u\n", amd ? "amd" : "intel", units);
	else
		fprintf(text->out, "iommu off\n");
}

static const char *pid_path(struct arena *arena, const char *folder, const char *id)
{
	return arena_printf(arena, "/run/%s/%s.pid", folder, id);
}

/* Every guest with a file, running where its process is there. */
static void put_guests(struct text *text, const char *folder, const char *kind, struct arena *arena)
{
	DIR *dir = opendir(arena_printf(arena, PVE "/%s", folder));
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (!text_ends(entry->d_name, ".conf"))
			continue;
		const char *id = arena_strndup(arena, entry->d_name, strlen(entry->d_name) - strlen(".conf"));
		const char *pid = word_of(arena, pid_path(arena, folder, id));
		if (*pid && kill(atoi(pid), 0) == 0)
			fprintf(text->out, "guest %s/%s running pid=%s\n", kind, id, pid);
		else
			fprintf(text->out, "guest %s/%s stopped\n", kind, id);
	}
	if (dir)
		closedir(dir);
}

static const char *machine_text(struct arena *arena)
{
	struct text text = { 0 };
	text.out = open_memstream(&text.data, &text.size);
	fprintf(text.out, "file /etc/hostname\n\tpve\nlink " PVE "/local nodes/pve\nlink " PVE "/lxc nodes/pve/lxc\nlink " PVE
	                  "/qemu-server nodes/pve/qemu-server\nloaded vfio_pci vfio_pci_core vfio vfio_iommu_type1 kvm\n"
	                  "node /dev/kvm c 10 232\n");
	put_iommu(&text);
	put_devices(&text, arena);
	put_nodes(&text, "/dev/dri", arena);
	put_tree(&text, PVE, arena);
	put_guests(&text, "qemu-server", "vm", arena);
	put_guests(&text, "lxc", "ct", arena);
	fclose(text.out);
	const char *ret = arena_strndup(arena, text.data, text.size);
	free(text.data);
	return ret;
}

/* ---- back onto the machine ---------------------------------------------------------------------------------------- */

static const struct tape_entry *entry_at(const struct tape_target *target, const char *path)
{
	for (size_t i = 0; i < target->n; i++)
		if (strcmp(target->entries[i].path, path) == 0)
			return &target->entries[i];
	return NULL;
}

static bool is_there(const struct tape_entry *entry)
{
	return entry && !entry->error && entry->stat.type == NODE_FILE && entry->has_data;
}

/* As pmxcfs does: whole or not at all. */
static int write_back(const struct tape_entry *entry, struct arena *arena)
{
	const char *beside = arena_printf(arena, "%s.new", entry->path);
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return errno;
	ssize_t size = write(fd, entry->data.data, entry->data.size);
	int error = size != (ssize_t)entry->data.size || fsync(fd) ? errno : 0;
	close(fd);
	return error ? error : rename(beside, entry->path) ? errno : 0;
}

static void bind_now(struct arena *arena, const char *address, const char *driver)
{
	const char *folder = arena_printf(arena, DEVICES "/%s", address);
	const struct {
		const char *path, *value;
	} writes[] = { { arena_printf(arena, "%s/driver_override", folder), driver },
		{ arena_printf(arena, "%s/driver/unbind", folder), address }, { "/sys/bus/pci/drivers_probe", address } };
	for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
		FILE *file = fopen(writes[i].path, "w");
		if (file) {
			fputs(writes[i].value, file);
			fclose(file);
		}
	}
}

/* A guest that runs, called as Proxmox calls it (kvm -id 100 ...), with the groups it has open behind that. */
static _Noreturn void be_guest(int argc, char **argv)
{
	for (int i = 3; i < argc; i++)
		(void)!open(argv[i], O_RDWR);
	for (;;)
		pause();
}

static int start_guest(struct arena *arena, const struct tape_target *now, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	struct words argv = { 0 };
	const char *const begin[] = { "/usr/bin/kvm", "-id", arena_strndup(arena, name, strcspn(name, ".")) };
	for (size_t i = 0; i < sizeof begin / sizeof *begin; i++)
		*arena_push(arena, argv.word, argv.n) = begin[i];
	for (size_t i = 0; i < now->n; i++) {
		const struct tape_entry *entry = &now->entries[i];
		if (!text_starts(entry->path, DEVICES "/") || !text_ends(entry->path, "/driver") || !entry->link ||
		        !text_ends(entry->link, "/vfio-pci"))
			continue;
		const char *address = arena_strndup(arena, entry->path + sizeof DEVICES,
		        strlen(entry->path) - sizeof DEVICES - strlen("/driver"));
		const char *group = link_name(arena, arena_printf(arena, DEVICES "/%s/iommu_group", address));
		if (*group)
			*arena_push(arena, argv.word, argv.n) = arena_printf(arena, "/dev/vfio/%s", group);
	}
	*arena_push(arena, argv.word, argv.n) = NULL;
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		for (int fd = 0; fd < 3; fd++)
			close(fd);
		execv("/proc/self/exe", (char **)(uintptr_t)argv.word);
		_exit(127);
	}
	FILE *file = pid > 0 ? fopen(path, "w") : NULL;
	if (!file)
		return errno;
	fprintf(file, "%d\n", (int)pid);
	return fclose(file) ? errno : 0;
}

static int back(struct arena *arena, const struct tape_target *before, const struct tape_target *now)
{
	int error = 0;
	for (size_t i = 0; i < now->n && !error; i++) {
		const struct tape_entry *entry = &now->entries[i], *old = entry_at(before, entry->path);
		bool driver = text_starts(entry->path, DEVICES "/") && text_ends(entry->path, "/driver") && entry->link;
		bool same = old && is_there(old) && is_there(entry) && old->data.size == entry->data.size &&
		            memcmp(old->data.data, entry->data.data, entry->data.size) == 0;
		if (text_starts(entry->path, PVE "/") && is_there(entry) && !same)
			error = write_back(entry, arena);
		else if (driver && text_ends(entry->link, "/vfio-pci") && (!old || !old->link || strcmp(old->link, entry->link) != 0))
			bind_now(arena, arena_strndup(arena, entry->path + sizeof DEVICES,
			                        strlen(entry->path) - sizeof DEVICES - strlen("/driver")),
			        "vfio-pci");
	}
	for (size_t i = 0; i < now->n && !error; i++)
		if (text_starts(now->entries[i].path, "/run/qemu-server/") && text_ends(now->entries[i].path, ".pid") &&
		        is_there(&now->entries[i]) && !is_there(entry_at(before, now->entries[i].path)))
			error = start_guest(arena, now, now->entries[i].path);
	for (size_t i = 0; i < before->n && !error; i++) {
		const struct tape_entry *entry = &before->entries[i];
		if (!is_there(entry) || is_there(entry_at(now, entry->path)))
			continue;
		if (text_starts(entry->path, PVE "/"))
			error = unlink(entry->path) ? errno : 0;
		else if (text_starts(entry->path, "/run/qemu-server/") && text_ends(entry->path, ".pid")) {
			kill(atoi(word_of(arena, entry->path)), SIGKILL);
			unlink(entry->path);
		}
	}
	return error;
}

static const struct tape_target *node_of(const struct tape *tape)
{
	for (size_t i = 0; i < tape->n; i++)
		if (strcmp(tape->targets[i]->label, "node") == 0)
			return tape->targets[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct tape *tape = NULL;
	struct outcome outcome = { 0 };
	const char **words = arena_alloc(&arena, ((size_t)argc + 1) * sizeof *words);
	for (int i = 0; i < argc; i++)
		words[i] = argv[i];
	if (strcmp(argv[0], "/usr/bin/kvm") == 0)
		be_guest(argc, argv);
	words[0] = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	words[argc] = NULL;
	mkdir("/run/qemu-server", 0755);
	const char *text = machine_text(&arena);
	if (getenv("LAB_PVE_TEXT"))
		fputs(text, stderr);
	struct rehearse *rehearse = NULL;
	if (machine_parse((struct bytes){ text, strlen(text) }, "this machine", machine_builtin_text, NULL, &arena, &err, &tape))
		rehearse = rehearse_open(tape, &arena, &err);
	if (!rehearse) {
		fprintf(stderr, "%s: %s\n", words[0], err.text);
		return 255;
	}
	const struct tape *before = rehearse_tape(rehearse, &arena);
	int error = world_run(rehearse_world(rehearse), &(struct command){ .argv = words }, &arena, &outcome);
	fwrite(outcome.out.data, 1, outcome.out.size, stdout);
	fwrite(outcome.err.data, 1, outcome.err.size, stderr);
	if (!error)
		error = back(&arena, node_of(before), node_of(rehearse_tape(rehearse, &arena)));
	if (error)
		fprintf(stderr, "%s: %s\n", words[0], strerror(error));
	return error ? 255 : outcome.status;
}
