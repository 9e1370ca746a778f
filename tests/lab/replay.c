/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A disk as it was when the power went, from a log of all that was written to it (QEMU's blklogwrites, the kernel's
 * Documentation/admin-guide/device-mapper/log-writes.rst):
 *   replay count LOG BYTES              how many whole entries the first BYTES of the log hold
 *   replay behind LOG SECTOR FROM TO    the first of those entries that writes at that sector or behind it, and the one after the last
 *   replay onto DISK LOG ENTRIES [SEED] writes the first ENTRIES to DISK, a raw image of the start
 * With SEED the disk had a cache: of each 4 KiB page that was written since the last flush, SEED says whether it arrived.
 * Ends with 0; 1: something cannot be read or written, or is no such log; 2: wrong usage.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

enum { PAGE = 4096, REPLAY_FAILED = 1, REPLAY_USAGE = 2 };

static const uint64_t magic = 0x6a736677736872;

enum { FLUSH = 1 << 0, FORCED = 1 << 1, DISCARD = 1 << 2 };

struct head {
	uint64_t magic, version, entries;
	uint32_t sector_size;
};

struct entry {
	uint64_t sector, sectors, flags, data_size;
};

struct log {
	int fd;
	uint64_t size, sector_size;
	uint64_t at; /* the next entry */
};

static bool read_at(int fd, void *data, size_t size, uint64_t at)
{
	return pread(fd, data, size, (off_t)at) == (ssize_t)size;
}

static bool log_open(struct log *log, const char *path)
{
	struct head head;
	struct stat about;
	log->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (log->fd < 0 || fstat(log->fd, &about) || !read_at(log->fd, &head, sizeof head, 0) || le64toh(head.magic) != magic)
		return false;
	log->size = (uint64_t)about.st_size;
	log->sector_size = le32toh(head.sector_size);
	log->at = log->sector_size; /* the number of entries in the head is behind what was written */
	return log->sector_size >= sizeof(struct entry);
}

/* The next entry and where its data are. False: the log has no further whole one before its byte END. */
static bool log_next(struct log *log, uint64_t end, struct entry *ret, uint64_t *ret_data)
{
	struct entry raw;
	if (log->at + log->sector_size > end || !read_at(log->fd, &raw, sizeof raw, log->at))
		return false;
	*ret = (struct entry){ le64toh(raw.sector), le64toh(raw.sectors), le64toh(raw.flags), le64toh(raw.data_size) };
	*ret_data = log->at + log->sector_size;
	uint64_t next = *ret_data + (ret->flags & DISCARD ? 0 : ret->sectors * log->sector_size);
	if (next > end || next < log->at)
		return false;
	log->at = next;
	return true;
}

static uint64_t count(struct log *log, uint64_t bytes)
{
	struct entry entry;
	uint64_t n = 0, data;
	while (log_next(log, bytes < log->size ? bytes : log->size, &entry, &data))
		n++;
	return n;
}

/* False: none of them does. */
static bool behind(struct log *log, uint64_t sector, uint64_t from, uint64_t to, uint64_t *ret_first, uint64_t *ret_end)
{
	struct entry entry;
	uint64_t data, n = 0;
	*ret_end = 0;
	for (uint64_t i = 0; i < to && log_next(log, log->size, &entry, &data); i++) {
		if (i < from || !entry.sectors || entry.sector * log->sector_size / 512 < sector)
			continue;
		*ret_first = n++ ? *ret_first : i;
		*ret_end = i + 1;
	}
	return n > 0;
}

/* The number of the first entry that no flush stands behind, of the first N. */
static uint64_t first_unflushed(struct log log, uint64_t n)
{
	struct entry entry;
	uint64_t first = 0, data;
	for (uint64_t i = 0; i < n && log_next(&log, log.size, &entry, &data); i++)
		if (entry.flags & FLUSH)
			first = i + 1;
	return first;
}

static bool write_entry(const struct log *log, int disk, const struct entry *entry, uint64_t data, bool cached)
{
	char page[PAGE];
	uint64_t size = entry->flags & DISCARD ? 0 : entry->sectors * log->sector_size, at = entry->sector * log->sector_size;
	for (uint64_t done = 0; done < size;) {
		size_t part = size - done < PAGE ? (size_t)(size - done) : PAGE;
		bool arrives = !cached || entry->flags & FORCED || random() % 2;
		if (arrives && (!read_at(log->fd, page, part, data + done) ||
		                       pwrite(disk, page, part, (off_t)(at + done)) != (ssize_t)part))
			return false;
		done += part;
	}
	return true;
}

static bool onto(struct log *log, int disk, uint64_t n, bool cached)
{
	struct entry entry;
	uint64_t data, unflushed = cached ? first_unflushed(*log, n) : n;
	for (uint64_t i = 0; i < n; i++)
		if (!log_next(log, log->size, &entry, &data) || !write_entry(log, disk, &entry, data, i >= unflushed))
			return false;
	printf("%llu of %llu entries were flushed\n", (unsigned long long)unflushed, (unsigned long long)n);
	return true;
}

static int do_count(char **argv)
{
	struct log log;
	uint64_t bytes;
	if (!text_number(argv[1], 10, INT64_MAX, &bytes))
		return REPLAY_USAGE;
	if (!log_open(&log, argv[0]))
		return REPLAY_FAILED;
	printf("%llu\n", (unsigned long long)count(&log, bytes));
	return 0;
}

static int do_behind(char **argv)
{
	struct log log;
	uint64_t sector, from, to, first, end;
	if (!text_number(argv[1], 10, INT64_MAX, &sector) || !text_number(argv[2], 10, INT64_MAX, &from) ||
	        !text_number(argv[3], 10, INT64_MAX, &to))
		return REPLAY_USAGE;
	if (!log_open(&log, argv[0]) || !behind(&log, sector, from, to, &first, &end))
		return REPLAY_FAILED;
	printf("%llu %llu\n", (unsigned long long)first, (unsigned long long)end);
	return 0;
}

static int do_onto(char **argv)
{
	struct log log;
	uint64_t n, seed = 0;
	if (!text_number(argv[2], 10, INT64_MAX, &n) || (argv[3] && !text_number(argv[3], 10, UINT32_MAX, &seed)))
		return REPLAY_USAGE;
	if (!log_open(&log, argv[1]))
		return REPLAY_FAILED;
	srandom((unsigned)seed);
	int disk = open(argv[0], O_WRONLY | O_CLOEXEC);
	return disk >= 0 && onto(&log, disk, n, argv[3]) ? 0 : REPLAY_FAILED;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int least, most; /* words behind it */
		int (*run)(char **argv);
	} verbs[] = { { "count", 2, 2, do_count }, { "behind", 4, 4, do_behind }, { "onto", 3, 4, do_onto } };
	int status = REPLAY_USAGE;
	for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(argv[1], verbs[i].name) == 0 && argc - 2 >= verbs[i].least && argc - 2 <= verbs[i].most)
			status = verbs[i].run(argv + 2);
	if (status == REPLAY_USAGE)
		fputs("usage: replay count LOG BYTES | behind LOG SECTOR FROM TO | onto DISK LOG ENTRIES [SEED]\n", stderr);
	if (status == REPLAY_FAILED)
		fprintf(stderr, "replay: %s: %s\n", argv[1], errno ? strerror(errno) : "no such log, or it has no such entry");
	return status;
}
