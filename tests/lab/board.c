/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A machine of the project's own text form, as a board in QEMU with a real IOMMU:
 *   board MACHINE RESULT LOG SECONDS kernel KERNEL INITRD [WORDS...]   which ends when it would boot again
 *   board MACHINE RESULT LOG SECONDS root DISK JOB KERNEL INITRD [WORDS...]   the same with a qcow2 that stays as it was
 *   board MACHINE RESULT LOG SECONDS disk DISK JOB [RECORD]            which boots from a qcow2, as often as it likes
 * Root ports and bridges, an NVMe for each disk controller, an e1000 for each network card and the displays 1013:00b8 (Cirrus)
 * and 1af4:1050 (virtio) are QEMU's own; every other device that is not the chipset's is a stand-in. What the guest writes to its second serial port
 * is RESULT, the console and QEMU's own words are LOG. RECORD has all that is written to the disk (lab_replay), and
 * RECORD.sizes, a line for each change: how many bytes RECORD, RESULT and LOG had at one time. QEMU and the stand-ins are ended by their ids after SECONDS, or when
 * board itself is asked to end: a power cut. Ends with 0: the guest has ended itself; 1: it has not; 2: wrong usage;
 * 77: QEMU cannot run.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "facts/pci.h"
#include "read.h"
#include "stand_in.h"

enum { BOARD_FAILED = 1, BOARD_USAGE = 2, BOARD_NONE = 77, VARIABLES_MAX = 1024 * 1024 };

struct board {
	struct arena *arena;
	struct pci pci;
	const char *iommu; /* QEMU's device; NULL: none */
	bool uefi;
	struct words argv;
	struct stand_in *functions;
	int *ends; /* the stand-ins' ends of their sockets */
	size_t n;
	pid_t *children;
	size_t n_children;
	const char *record; /* NULL: what is written to the disk is not recorded */
	FILE *sizes;
};

#define ADD(...) add(board, arena_printf(board->arena, __VA_ARGS__))

static void add(struct board *board, const char *word)
{
	*arena_push(board->arena, board->argv.word, board->argv.n) = word;
}

/* ---- the machine ------------------------------------------------------------------------------------------------ */

static void nobody(void *data, int error, const char *what)
{
	(void)data, (void)error, (void)what;
}

static bool gather(struct board *board, const char *path, struct err *err)
{
	struct tape *tape;
	if (!read_machine(path, "", board->arena, err, &tape))
		return false;
	struct world *world = tape_world(tape, "node", board->arena, err);
	if (!world)
		return false;
	board->uefi = world_exists(world, "/sys/firmware/efi") == YES;
	pci_gather(world, board->arena, &board->pci, nobody, NULL);
	bool amd = board->pci.iommu_units.n && text_starts(board->pci.iommu_units.word[0], "ivhd");
	if (board->pci.iommu == YES)
		board->iommu = amd ? "amd-iommu,intremap=on"
		                   : board->pci.remapping == NO ? "intel-iommu,intremap=off,caching-mode=on"
		                                                : "intel-iommu,intremap=on,caching-mode=on";
	return true;
}

static const struct pci_device *device_at(const struct board *board, const char *address)
{
	return address ? pci_find(&board->pci, address) : NULL;
}

static const char *bus_of(struct board *board, const struct pci_device *device)
{
	const struct pci_device *parent = device->parent && *device->parent ? device_at(board, device->parent) : NULL;
	return parent ? arena_printf(board->arena, "bus%02x%02x", parent->bus, parent->slot) : "pcie.0";
}

static bool is_multifunction(const struct board *board, const struct pci_device *device)
{
	for (size_t i = 0; i < board->pci.n; i++)
		if (&board->pci.devices[i] != device && pci_same_slot(&board->pci.devices[i], device))
			return true;
	return false;
}

/* ---- as QEMU's words -------------------------------------------------------------------------------------------- */

static void add_bridge(struct board *board, const struct pci_device *device)
{
	bool root = strcmp(bus_of(board, device), "pcie.0") == 0;
	add(board, "-device");
	if (root)
		ADD("pcie-root-port,id=bus%02x%02x,slot=%u,chassis=%u,addr=%x.%x%s", device->bus, device->slot, device->slot,
		        device->slot, device->slot, device->function,
		        is_multifunction(board, device) ? ",multifunction=on" : "");
	else
		ADD("pcie-pci-bridge,id=bus%02x%02x,bus=%s,addr=%x.0", device->bus, device->slot, bus_of(board, device),
		        device->slot);
}

static void add_disk(struct board *board, const struct pci_device *device)
{
	add(board, "-drive");
	ADD("if=none,id=disk%02x,driver=null-co,size=64M", device->bus);
	add(board, "-device");
	ADD("nvme,drive=disk%02x,serial=%02x,bus=%s,addr=%x.%x", device->bus, device->bus, bus_of(board, device),
	        device->slot, device->function);
}

static void add_network(struct board *board, const struct pci_device *device)
{
	add(board, "-device");
	ADD("e1000,romfile=,bus=%s,addr=%x.%x", bus_of(board, device), device->slot, device->function);
}

/* QEMU's own displays: one that the firmware boots on, and one with a render node. False: it is neither. */
static bool add_display(struct board *board, const struct pci_device *device)
{
	static const struct display {
		int64_t vendor, device;
		const char *name;
	} displays[] = { { 0x1013, 0x00b8, "cirrus-vga" }, { 0x1af4, 0x1050, "virtio-gpu-pci" } };
	for (size_t i = 0; i < sizeof displays / sizeof *displays; i++)
		if (device->vendor == displays[i].vendor && device->device == displays[i].device) {
			add(board, "-device");
			ADD("%s,bus=%s,addr=%x.%x", displays[i].name, bus_of(board, device), device->slot, device->function);
			return true;
		}
	return false;
}

static bool add_stand_in(struct board *board, const struct pci_device *device)
{
	int pair[2];
	bool many = is_multifunction(board, device);
	struct stand_in what = { .vendor = (unsigned)device->vendor,
		.device = (unsigned)device->device,
		.class_code = (unsigned)device->class_code,
		.subsystem = (uint32_t)device->subsystem_device << 16 | (uint32_t)device->subsystem_vendor,
		.multifunction = many,
		.express = strcmp(bus_of(board, device), "pcie.0") != 0,
		.flr = device->flr == YES };
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return false;
	fcntl(pair[1], F_SETFD, FD_CLOEXEC);
	size_t n = board->n;
	*arena_push(board->arena, board->functions, board->n) = what;
	*arena_push(board->arena, board->ends, n) = pair[1];
	add(board, "-device");
	ADD("x-pci-proxy-dev,fd=%d,id=function%zu,bus=%s,addr=%x.%x%s", pair[0], n, bus_of(board, device), device->slot,
	        device->function, many && device->function == 0 ? ",multifunction=on" : "");
	return true;
}

/* The chipset's own: q35 has them, and puts them where it wants. */
static bool is_chipset(const struct pci_device *device)
{
	return device->bus == 0 && (device->slot == 0 || device->slot == 0x1f);
}

static bool add_device(struct board *board, const struct pci_device *device)
{
	int64_t class_code = device->class_code >> 8;
	if (is_chipset(device))
		return true;
	if (class_code == 0x0604)
		add_bridge(board, device);
	else if (class_code == 0x0108)
		add_disk(board, device);
	else if (class_code == 0x0200)
		add_network(board, device);
	else
		return add_display(board, device) || add_stand_in(board, device);
	return true;
}

static void add_iommu(struct board *board)
{
	add(board, "-device");
	add(board, board->iommu);
}

static bool add_machine(struct board *board)
{
	static const char *const fixed[] = { "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi",
		"-object", "memory-backend-memfd,id=memory,size=1G,share=on", "-m", "1G", "-numa", "node,memdev=memory",
		"-display", "none", "-vga", "none", "-nodefaults", "-monitor", "none", "-cpu" };
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		add(board, fixed[i]);
	/* who made the processor, as its IOMMU has it: without one, the first to ask is Intel's; a plain one is
	 * emulated twice as fast as one with all that QEMU can */
	add(board, board->iommu && text_starts(board->iommu, "amd") ? "qemu64,vendor=AuthenticAMD" : "qemu64,vendor=GenuineIntel");
	/* Intel's must come first; AMD's takes a place on the root bus, the first that is free when it comes */
	bool last = board->iommu && text_starts(board->iommu, "amd");
	if (board->iommu && !last)
		add_iommu(board);
	for (size_t i = 0; i < board->pci.n; i++)
		if (!add_device(board, &board->pci.devices[i]))
			return false;
	if (last)
		add_iommu(board);
	return true;
}

/* ---- one run ---------------------------------------------------------------------------------------------------- */

static pid_t start(struct board *board, pid_t pid)
{
	if (pid > 0)
		*arena_push(board->arena, board->children, board->n_children) = pid;
	return pid;
}

static void serve_all(struct board *board)
{
	for (size_t i = 0; i < board->n; i++)
		if (start(board, fork()) == 0)
			_exit(stand_in_serve(board->ends[i], &board->functions[i]));
}

static void end_all(const struct board *board)
{
	for (size_t i = 0; i < board->n_children; i++)
		kill(board->children[i], SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static volatile sig_atomic_t cut;

static void on_signal(int number)
{
	(void)number;
	cut = 1;
}

static void note_sizes(const struct board *board, const char *result, const char *log, off_t *last)
{
	const char *const paths[] = { board->record, result, log };
	off_t sizes[3] = { 0 };
	struct stat about;
	for (size_t i = 0; i < 3; i++)
		if (stat(paths[i], &about) == 0)
			sizes[i] = about.st_size;
	if (memcmp(sizes, last, sizeof sizes) != 0)
		fprintf(board->sizes, "%lld %lld %lld\n", (long long)sizes[0], (long long)sizes[1], (long long)sizes[2]);
	memcpy(last, sizes, sizeof sizes);
}

/* The status of QEMU; 128 and its signal's number; -1: it was still running. */
static int wait_for(const struct board *board, pid_t pid, const char *result, const char *log, unsigned seconds)
{
	struct timespec tick = { 0, 20 * 1000 * 1000 };
	off_t sizes[3] = { 0 };
	int status;
	for (unsigned i = 0; i < seconds * 50 && !cut; i++) {
		if (board->sizes)
			note_sizes(board, result, log, sizes);
		pid_t gone = waitpid(pid, &status, WNOHANG);
		if (gone == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		nanosleep(&tick, NULL);
	}
	return -1;
}

/* The path of a file that was built beside this program. */
static const char *beside(struct board *board, const char *name)
{
	char path[4096] = "";
	ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
	char *slash = size > 0 ? strrchr(path, '/') : NULL;
	return arena_printf(board->arena, "%.*s/%s", slash ? (int)(slash - path) : 0, path, name);
}

static int run(struct board *board, const char *result, const char *log, unsigned seconds)
{
	int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0) {
		fprintf(stderr, "board: %s: %s\n", log, strerror(errno));
		return BOARD_FAILED;
	}
	add(board, NULL);
	serve_all(board);
	pid_t pid = start(board, fork());
	if (pid == 0) {
		dup2(out, 1);
		dup2(out, 2);
		setenv("LD_PRELOAD", beside(board, "lab_quarantine.so"), 1);
		execvp(board->argv.word[0], (char **)(uintptr_t)board->argv.word);
		_exit(BOARD_NONE);
	}
	int status = pid < 0 ? BOARD_FAILED : wait_for(board, pid, result, log, seconds);
	end_all(board);
	if (status)
		fprintf(stderr, status < 0 ? "board: QEMU did not end\n" : "board: QEMU ended with %d\n", status);
	return status == 0 ? 0 : status == BOARD_NONE ? BOARD_NONE : BOARD_FAILED;
}

static void add_pair(struct board *board, const char *name, const char *value)
{
	add(board, name);
	add(board, value);
}

/* KERNEL INITRD WORDS... */
static void add_kernel(struct board *board, const char *words, char **argv, int argc)
{
	for (int i = 2; i < argc; i++)
		words = arena_printf(board->arena, "%s %s", words, argv[i]);
	const char *const more[] = { "-no-reboot", "-kernel", argv[0], "-initrd", argv[1], "-append", words };
	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		add(board, more[i]);
}

/* What the machine flushed outlives QEMU, and what it did not may not. */
static void add_disks(struct board *board, const char *disk, const char *job, bool stays)
{
	add(board, "-drive");
	if (board->record)
		ADD("if=none,id=root,driver=blklogwrites,file.driver=qcow2,file.file.driver=file,file.file.filename=%s,"
		    "log.driver=file,log.filename=%s", disk, board->record);
	else
		ADD("if=none,id=root,file=%s,format=qcow2,%s", disk, stays ? "snapshot=on" : "cache=writeback");
	/* zeroes come as data: by QEMU below 9.0 the record is wrong where something else is written beside a write of zeroes */
	add_pair(board, "-device", "virtio-blk-pci,drive=root,addr=18.0,bootindex=1,discard=off,write-zeroes=off");
	add(board, "-drive");
	ADD("if=none,id=job,file=%s,format=raw,readonly=on", job);
	add_pair(board, "-device", "virtio-blk-pci,drive=job,addr=19.0,serial=lab");
}

/* OVMF, whose variables are kept beside the disk and begin empty. */
static bool add_firmware(struct board *board, const char *disk)
{
	static const char *const code = "/usr/share/OVMF/OVMF_CODE_4M.fd", *const empty = "/usr/share/OVMF/OVMF_VARS_4M.fd";
	const char *variables = arena_printf(board->arena, "%s.variables", disk);
	struct bytes bytes;
	int from FD_SCOPED = open(empty, O_RDONLY | O_CLOEXEC);
	int to FD_SCOPED = open(variables, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (from < 0 || to < 0 || file_read_fd(from, 0, VARIABLES_MAX, board->arena, &bytes) != 0 ||
	        write(to, bytes.data, bytes.size) != (ssize_t)bytes.size)
		return false;
	add(board, "-drive");
	ADD("if=pflash,format=raw,readonly=on,file=%s", code);
	add(board, "-drive");
	ADD("if=pflash,format=raw,file=%s", variables);
	return true;
}

/* The log must be there before QEMU writes to it. */
static bool begin_record(struct board *board, const char *path)
{
	FILE *empty = fopen(path, "w");
	board->record = path;
	board->sizes = fopen(arena_printf(board->arena, "%s.sizes", path), "w");
	return empty && fclose(empty) == 0 && board->sizes;
}

static bool add_boot(struct board *board, int argc, char **argv)
{
	static const struct boot_kind {
		const char *name;
		int words; /* that it needs */
		bool disk, kernel;
	} kinds[] = { { "kernel", 2, false, true }, { "root", 4, true, true }, { "disk", 2, true, false } };
	const char *const plain = "console=ttyS0 no_timer_check panic=-1 mitigations=off norandmaps";
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const struct boot_kind *kind = &kinds[i];
		if (strcmp(argv[0], kind->name) != 0 || argc - 1 < kind->words)
			continue;
		if (!kind->kernel && argc > 3 && !begin_record(board, argv[3]))
			return false;
		if (!kind->kernel && board->uefi && !add_firmware(board, argv[1]))
			return false;
		if (kind->disk)
			add_disks(board, argv[1], argv[2], kind->kernel);
		if (kind->kernel)
			add_kernel(board, kind->disk ? arena_printf(board->arena, "%s root=/dev/vda ro", plain) : plain,
			        argv + 1 + (kind->disk ? 2 : 0), argc - 1 - (kind->disk ? 2 : 0));
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct board board = { .arena = &arena };
	struct err err = { 0 };
	uint64_t seconds = 0;
	if (argc < 8 || !text_number(argv[4], 10, 36000, &seconds)) {
		fputs("usage: board MACHINE RESULT LOG SECONDS kernel KERNEL INITRD [WORDS...] | root DISK JOB KERNEL INITRD [WORDS...] | "
		      "disk DISK JOB [RECORD]\n", stderr);
		return BOARD_USAGE;
	}
	if (!gather(&board, argv[1], &err)) {
		fprintf(stderr, "board: %s\n", err.text);
		return BOARD_USAGE;
	}
	if (!add_machine(&board) || !add_boot(&board, argc - 5, argv + 5)) {
		fprintf(stderr, "board: %s\n", errno ? strerror(errno) : "no such boot");
		return BOARD_FAILED;
	}
	const char *const more[] = { "-serial", "stdio", "-serial", arena_printf(&arena, "file:%s", argv[2]) };
	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		add(&board, more[i]);
	signal(SIGTERM, on_signal);
	int status = run(&board, argv[2], argv[3], (unsigned)seconds);
	if (board.sizes)
		fclose(board.sizes);
	return status;
}
