/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The layout is the kernel's (Documentation/driver-api/early-userspace/buffer-format.rst): any number of newc archives
 * one behind the other, each plain or compressed, with zero bytes between. libarchive only decompresses: the borders
 * between plain and compressed parts, and what a cut image is, have to be known exactly.
 */
#include "facts/initramfs.h"

#include <archive.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEADER_SIZE = 110,
	NAME_MAX_SIZE = 4096,
	ENTRIES_MAX = 200000,
	FILE_MAX = 1024 * 1024,
	FILES_MAX = 32 * FILE_MAX
};
static const uint64_t unpacked_max = (uint64_t)1024 * 1024 * 1024;

/* ---- a stream: plain bytes, or what libarchive unpacks of them ---------- */

struct stream {
	struct archive *archive; /* NULL: plain */
	const char *block;
	size_t left;
	uint64_t *unpacked;
	struct err *err;
	const char *what; /* of the part, for messages */
};

static void archive_release(struct archive **archive)
{
	if (*archive)
		archive_read_free(*archive);
}

/* Makes sure that there is something to take. False with err untouched: the end. */
static bool stream_fill(struct stream *stream, bool *failed)
{
	int64_t offset = 0;
	while (!stream->left && stream->archive) {
		const void *block = NULL;
		size_t size = 0;
		int status = archive_read_data_block(stream->archive, &block, &size, &offset);
		if (status == ARCHIVE_EOF)
			return false;
		if (status < ARCHIVE_WARN) {
			const char *why = archive_error_string(stream->archive);
			*failed = true;
			return err_set(stream->err, ERR_INPUT, "the %s part cannot be unpacked: %s", stream->what,
			        why ? why : "damaged");
		}
		stream->block = block;
		stream->left = size;
	}
	return stream->left > 0;
}

/* Takes exactly size bytes, into buffer or nowhere. False with err: less were there. */
static bool stream_take(struct stream *stream, void *buffer, uint64_t size)
{
	bool failed = false;
	char *out = buffer;
	if (size > unpacked_max - *stream->unpacked)
		return err_set(stream->err, ERR_INPUT, "more than 1 GiB unpacked");
	*stream->unpacked += size;
	while (size) {
		if (!stream_fill(stream, &failed))
			return failed ? false : err_set(stream->err, ERR_INPUT, "the %s part is cut", stream->what);
		size_t step = stream->left < size ? stream->left : (size_t)size;
		if (out)
			out = mempcpy(out, stream->block, step);
		stream->block += step;
		stream->left -= step;
		size -= step;
	}
	return true;
}

/* ---- what is kept ------------------------------------------------------ */

struct kept {
	const char *path;
	struct bytes data;
	uint32_t inode; /* of a file with several names whose bytes stand at another of them; else 0 */
	bool link;      /* data is where it points */
	size_t order;
};

struct contents {
	struct arena *arena;
	struct kept *file;
	size_t n, bytes;
	struct words modules; /* paths */
	unsigned entries;
	uint64_t unpacked;
};

/* initramfs-tools fills conf and scripts; the rest is also found in dracut's. */
static const char *const kept_patterns[] = { "etc/modprobe.d/*", "run/modprobe.d/*", "lib/modprobe.d/*",
	"usr/lib/modprobe.d/*", "usr/local/lib/modprobe.d/*", "etc/modules-load.d/*", "run/modules-load.d/*",
	"lib/modules-load.d/*", "usr/lib/modules-load.d/*", "usr/local/lib/modules-load.d/*", "etc/cmdline.d/*",
	"conf/modules", "conf/initramfs.conf", "conf/arch.conf", "scripts/init-top/*", "scripts/*/ORDER" };

static bool is_kept(const char *path)
{
	for (size_t i = 0; i < sizeof kept_patterns / sizeof *kept_patterns; i++)
		if (text_matches(kept_patterns[i], path))
			return true;
	return false;
}

static bool is_module(const char *path)
{
	static const char *const suffixes[] = { ".ko", ".ko.zst", ".ko.xz", ".ko.gz" };
	if (!text_starts(path, "lib/modules/") && !text_starts(path, "usr/lib/modules/"))
		return false;
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
		if (text_ends(path, suffixes[i]))
			return true;
	return false;
}

/* ---- newc -------------------------------------------------------------- */

/* Fields of a header, eight hexadecimal digits each behind the six of the magic. */
enum { INODE = 0, MODE = 1, LINKS = 4, FILE_SIZE = 6, NAME_SIZE = 11, FIELDS = 13 };
enum { TYPE_MASK = 0170000, TYPE_FILE = 0100000, TYPE_LINK = 0120000 };

static bool parse_header(const char *header, uint32_t fields[FIELDS])
{
	if (memcmp(header, "070701", 6) != 0 && memcmp(header, "070702", 6) != 0)
		return false;
	for (int i = 0; i < FIELDS; i++) {
		uint32_t value = 0;
		for (int j = 0; j < 8; j++) {
			char digit = header[6 + i * 8 + j];
			unsigned four = digit >= '0' && digit <= '9'   ? (unsigned)(digit - '0')
			                : digit >= 'a' && digit <= 'f' ? (unsigned)(digit - 'a') + 10
			                : digit >= 'A' && digit <= 'F' ? (unsigned)(digit - 'A') + 10
			                                               : 16;
			if (four > 15)
				return false;
			value = value << 4 | four;
		}
		fields[i] = value;
	}
	return true;
}

static uint64_t padding(uint64_t size)
{
	return (4 - size % 4) % 4;
}

static const char *without_root(const char *name)
{
	while (*name == '/' || (name[0] == '.' && name[1] == '/'))
		name++;
	return name;
}

static bool keep(struct contents *contents, struct stream *stream, const char *path, const uint32_t *fields)
{
	uint32_t size = fields[FILE_SIZE];
	if (size > FILE_MAX || contents->bytes + size > FILES_MAX)
		return err_set(stream->err, ERR_INPUT, "its configuration is too large: %s", path);
	char *data = arena_alloc(contents->arena, (size_t)size + 1);
	if (!stream_take(stream, data, size))
		return false;
	contents->bytes += size;
	struct kept *file = arena_push(contents->arena, contents->file, contents->n);
	*file = (struct kept){
		.path = arena_strdup(contents->arena, path),
		.data = { data, size },
		.inode = fields[LINKS] > 1 ? fields[INODE] : 0,
		.link = (fields[MODE] & TYPE_MASK) == TYPE_LINK,
		.order = contents->n,
	};
	return true;
}

/* Name and data of an entry whose header was read. */
static bool take_entry(struct contents *contents, struct stream *stream, const uint32_t *fields, bool *trailer)
{
	char name[NAME_MAX_SIZE + 1];
	uint32_t size = fields[NAME_SIZE];
	if (size < 1 || size > NAME_MAX_SIZE)
		return err_set(stream->err, ERR_INPUT, "a name of %u bytes in the %s part", size, stream->what);
	if (++contents->entries > ENTRIES_MAX)
		return err_set(stream->err, ERR_INPUT, "more than 200,000 entries");
	if (!stream_take(stream, name, size) || !stream_take(stream, NULL, padding(HEADER_SIZE + size)))
		return false;
	name[size] = '\0';
	*trailer = strcmp(name, "TRAILER!!!") == 0;
	const char *path = without_root(name);
	uint32_t type = fields[MODE] & TYPE_MASK;
	if ((type == TYPE_FILE || type == TYPE_LINK) && is_kept(path)) {
		if (!keep(contents, stream, path, fields))
			return false;
	} else {
		if (type == TYPE_FILE && is_module(path))
			*arena_push(contents->arena, contents->modules.word, contents->modules.n) =
			        arena_strdup(contents->arena, path);
		if (!stream_take(stream, NULL, fields[FILE_SIZE]))
			return false;
	}
	return *trailer || stream_take(stream, NULL, padding(fields[FILE_SIZE]));
}

/* One archive up to its trailer; its first byte was already taken. */
static bool take_archive(struct contents *contents, struct stream *stream, char first)
{
	char header[HEADER_SIZE] = { first };
	uint32_t fields[FIELDS];
	size_t have = 1;
	for (bool trailer = false; !trailer; have = 0) {
		if (!stream_take(stream, header + have, HEADER_SIZE - have))
			return false;
		if (!parse_header(header, fields))
			return err_set(stream->err, ERR_INPUT, "the %s part is no cpio archive", stream->what);
		if (!take_entry(contents, stream, fields, &trailer))
			return false;
	}
	return true;
}

/* Takes the zero bytes between archives and the first byte behind them; *first is 0 at the end. */
static bool take_first(struct stream *stream, char *first)
{
	bool failed = false;
	*first = '\0';
	while (!*first && stream_fill(stream, &failed)) {
		size_t zeros = 0;
		while (zeros < stream->left && stream->block[zeros] == '\0')
			zeros++;
		if (!stream_take(stream, NULL, zeros) || (stream->left && !stream_take(stream, first, 1)))
			return false;
	}
	return !failed;
}

/* The archives inside one compressed part. */
static bool take_archives(struct contents *contents, struct stream *stream)
{
	bool any = false;
	for (char first; take_first(stream, &first); any = true) {
		if (!first)
			return any || err_set(stream->err, ERR_INPUT, "the %s part is empty", stream->what);
		if (!take_archive(contents, stream, first))
			return false;
	}
	return false;
}

/* ---- the parts --------------------------------------------------------- */

static const struct compression {
	const char *name, *magic;
	size_t size;
	int filter;
} compressions[] = {
	{ "gzip", "\x1f\x8b", 2, ARCHIVE_FILTER_GZIP },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, ARCHIVE_FILTER_ZSTD },
	{ "xz",
	        "\xfd"
	        "7zXZ\0",
	        6, ARCHIVE_FILTER_XZ },
	{ "lz4", "\x04\x22\x4d\x18", 4, ARCHIVE_FILTER_LZ4 },
	{ "lz4", "\x02\x21\x4c\x18", 4, ARCHIVE_FILTER_LZ4 }, /* the older frame, which the kernel wants */
	{ "bzip2", "BZh", 3, ARCHIVE_FILTER_BZIP2 },
	{ "lzma", "\x5d\0\0", 3, ARCHIVE_FILTER_LZMA },
};

/* An lzma header asks for up to 4 GiB of dictionary, and liblzma would take them: 128 MiB is more than any level uses.
 */
static bool asks_too_much(const struct compression *compression, struct bytes rest)
{
	return compression->filter == ARCHIVE_FILTER_LZMA && rest.size > 4 && (unsigned char)rest.data[4] >= 0x08;
}

static const struct compression *find_compression(struct bytes rest)
{
	for (size_t i = 0; i < sizeof compressions / sizeof *compressions; i++)
		if (rest.size >= compressions[i].size &&
		        memcmp(rest.data, compressions[i].magic, compressions[i].size) == 0)
			return compressions + i;
	return NULL;
}

/* Exactly that filter and nothing else: libarchive's own choice could start programs for odd formats. */
static bool open_compressed(struct archive *archive, const struct compression *compression, struct bytes rest)
{
	struct archive_entry *entry = NULL;
	return archive && archive_read_append_filter(archive, compression->filter) == ARCHIVE_OK &&
	       archive_read_support_format_raw(archive) == ARCHIVE_OK &&
	       archive_read_open_memory(archive, rest.data, rest.size) == ARCHIVE_OK &&
	       archive_read_next_header(archive, &entry) == ARCHIVE_OK;
}

/* A compressed part reaches to the end of the image: nothing that builds images puts anything behind it. */
static bool take_compressed(
        struct contents *contents, struct stream *stream, struct bytes rest, const struct compression *compression)
{
	struct archive *archive __attribute__((cleanup(archive_release))) = archive_read_new();
	stream->what = compression->name;
	if (asks_too_much(compression, rest))
		return err_set(stream->err, ERR_INPUT, "the %s part asks for too much memory", compression->name);
	if (!open_compressed(archive, compression, rest)) {
		const char *why = archive ? archive_error_string(archive) : NULL;
		return err_set(stream->err, ERR_INPUT, "the %s part cannot be unpacked: %s", compression->name,
		        why ? why : "damaged");
	}
	stream->archive = archive;
	return take_archives(contents, stream);
}

static bool take_image(struct contents *contents, struct bytes image, struct err *err)
{
	struct bytes rest = image;
	bool any = false;
	for (;;) {
		while (rest.size && *rest.data == '\0')
			rest = (struct bytes){ rest.data + 1, rest.size - 1 };
		struct stream stream = { .block = rest.data,
			.left = rest.size,
			.unpacked = &contents->unpacked,
			.err = err,
			.what = "plain" };
		if (!rest.size)
			return any || err_set(err, ERR_INPUT, "empty: no archive in it");
		const struct compression *compression = find_compression(rest);
		if (compression) {
			stream.left = 0;
			return take_compressed(contents, &stream, rest, compression);
		}
		if (*rest.data != '0')
			return err_set(err, ERR_INPUT,
			        any ? "something unknown behind its first archive"
			            : "not an initramfs: no cpio archive, no compression known");
		if (!stream_take(&stream, NULL, 1) || !take_archive(contents, &stream, '0'))
			return false;
		rest = (struct bytes){ stream.block, stream.left };
		any = true;
	}
}

/* ---- contents to facts ------------------------------------------------- */

static int by_path(const void *left, const void *right)
{
	const struct kept *l = left, *r = right;
	int order = strcmp(l->path, r->path);
	return order ? order : l->order < r->order ? -1 : 1;
}

static int by_inode(const void *left, const void *right)
{
	const struct kept *l = left, *r = right;
	return l->inode < r->inode ? -1 : l->inode > r->inode;
}

/* A file with several names has its bytes at the last of them. */
static void join_hard_links(struct contents *contents)
{
	struct kept *full = NULL;
	size_t n = 0;
	for (size_t i = 0; i < contents->n; i++)
		if (contents->file[i].inode && contents->file[i].data.size)
			*arena_push(contents->arena, full, n) = contents->file[i];
	if (n)
		qsort(full, n, sizeof *full, by_inode);
	for (size_t i = 0; n && i < contents->n; i++) {
		struct kept *file = contents->file + i;
		const struct kept *found =
		        file->inode && !file->data.size ? bsearch(file, full, n, sizeof *full, by_inode) : NULL;
		if (found)
			file->data = found->data;
	}
}

static struct kept *find_kept(struct contents *contents, const char *path)
{
	struct kept key = { .path = path, .order = 0 };
	size_t low = 0, high = contents->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(contents->file[middle].path, key.path);
		if (order == 0)
			return contents->file + middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* What a link shows: the file it points to if that is kept too; else nothing, as for /dev/null, which masks. */
static struct bytes link_data(struct contents *contents, const struct kept *file)
{
	const char *target = file->data.data, *slash = strrchr(file->path, '/');
	char *path = *target == '/'
	                     ? arena_strdup(contents->arena, target)
	                     : arena_printf(contents->arena, "%.*s/%s", (int)(slash - file->path), file->path, target);
	struct words parts = text_split(contents->arena, path, "/"), plain = { 0 };
	for (size_t i = 0; i < parts.n; i++) {
		if (strcmp(parts.word[i], "..") == 0)
			plain.n -= plain.n > 0;
		else if (strcmp(parts.word[i], ".") != 0) {
			if (plain.n == 0 && !plain.word)
				plain.word = arena_alloc(contents->arena, parts.n * sizeof *plain.word);
			plain.word[plain.n++] = parts.word[i];
		}
	}
	size_t size = 0;
	for (size_t i = 0; i < plain.n; i++)
		size += strlen(plain.word[i]) + 1;
	char *joined = arena_alloc(contents->arena, size + 1), *out = joined;
	for (size_t i = 0; i < plain.n; i++)
		out += sprintf(out, "%s%s", i ? "/" : "", plain.word[i]);
	struct kept *found = find_kept(contents, joined);
	if (!found && text_starts(joined, "lib/"))
		found = find_kept(contents, arena_printf(contents->arena, "usr/%s", joined));
	return found && !found->link ? found->data : (struct bytes){ "", 0 };
}

static int by_word(const void *left, const void *right)
{
	const char *const *l = left, *const *r = right;
	return strcmp(*l, *r);
}

static void sort_unique(struct words *words)
{
	size_t kept = 0;
	if (words->n)
		qsort(words->word, words->n, sizeof *words->word, by_word);
	for (size_t i = 0; i < words->n; i++)
		if (!kept || strcmp(words->word[kept - 1], words->word[i]) != 0)
			words->word[kept++] = words->word[i];
	words->n = kept;
}

static bool take_contents(struct bytes image, struct arena *arena, struct err *err, struct contents *ret)
{
	struct contents contents = { .arena = arena };
	if (!take_image(&contents, image, err))
		return false;
	join_hard_links(&contents);
	if (contents.n)
		qsort(contents.file, contents.n, sizeof *contents.file, by_path);
	size_t kept = 0; /* of two with one path the later one is what the kernel leaves */
	for (size_t i = 0; i < contents.n; i++) {
		if (kept && strcmp(contents.file[kept - 1].path, contents.file[i].path) == 0)
			kept--;
		contents.file[kept++] = contents.file[i];
	}
	contents.n = kept;
	for (size_t i = 0; i < contents.n; i++)
		if (contents.file[i].link)
			contents.file[i].data = link_data(&contents, contents.file + i);
	sort_unique(&contents.modules);
	*ret = contents;
	return true;
}

/* "usr/lib/modules/6.8/kernel/x/snd-hda-intel.ko.zst" -> "snd_hda_intel" */
static const char *module_of(struct arena *arena, const char *path)
{
	const char *base = strrchr(path, '/') + 1, *end = strstr(base, ".ko"), *next;
	while ((next = strstr(end + 1, ".ko")))
		end = next;
	return modprobe_name(arena, arena_strndup(arena, base, (size_t)(end - base)));
}

static void parse_folder(struct initramfs *ret, struct arena *arena, const char *kind)
{
	static const char *const folders[] = { "etc", "run", "usr/local/lib", "usr/lib", "lib" };
	struct config {
		const char *name;
		const struct initramfs_file *file;
	} *config = NULL;
	struct words names = { 0 };
	size_t n = 0;
	/* an earlier folder's file hides a later one's of the same name; files of one folder lie together by name */
	for (size_t folder = 0; folder < sizeof folders / sizeof *folders; folder++) {
		const char *pattern = arena_printf(arena, "%s/%s/*.conf", folders[folder], kind);
		size_t known = names.n;
		for (size_t i = 0; i < ret->n_files; i++) {
			const char *path = ret->files[i].path;
			const char *name = path + strlen(pattern) - strlen("*.conf");
			if (!text_matches(pattern, path) || strchr(name, '/') ||
			        (known && bsearch(&name, names.word, known, sizeof *names.word, by_word)))
				continue;
			*arena_push(arena, names.word, names.n) = name;
			*arena_push(arena, config, n) = (struct config){ name, ret->files + i };
		}
		if (names.n)
			qsort(names.word, names.n, sizeof *names.word, by_word);
	}
	if (n)
		qsort(config, n, sizeof *config, by_word); /* a name comes first in it */
	for (size_t i = 0; i < n; i++) {
		const char *path = arena_printf(arena, "/%s", config[i].file->path);
		if (strcmp(kind, "modprobe.d") == 0)
			modprobe_parse(config[i].file->data, path, arena, &ret->modprobe);
		else
			modprobe_parse_loads(config[i].file->data, path, arena, &ret->modprobe);
	}
}

static const struct initramfs_file *find_file(const struct initramfs *initramfs, const char *path)
{
	for (size_t i = 0; i < initramfs->n_files; i++)
		if (strcmp(initramfs->files[i].path, path) == 0)
			return initramfs->files + i;
	return NULL;
}

/* The lines of an ORDER file that run a script: /scripts/init-top/udev "$@" */
static void order_scripts(struct initramfs *ret, struct arena *arena, struct bytes order)
{
	static const char folder[] = "/scripts/init-top/";
	size_t cursor = 0;
	struct bytes line;
	while (text_line(order, &cursor, &line)) {
		char *text = text_trimmed(arena, line);
		if (!text_starts(text, folder))
			continue;
		text += strlen(folder);
		*arena_push(arena, ret->early_scripts.word, ret->early_scripts.n) =
		        arena_strndup(arena, text, strcspn(text, " \t\"';&"));
	}
}

static void list_scripts(struct initramfs *ret, struct arena *arena)
{
	const struct initramfs_file *order = find_file(ret, "scripts/init-top/ORDER");
	if (order) {
		order_scripts(ret, arena, order->data);
		return;
	}
	for (size_t i = 0; i < ret->n_files; i++)
		if (text_matches("scripts/init-top/*", ret->files[i].path))
			*arena_push(arena, ret->early_scripts.word, ret->early_scripts.n) =
			        ret->files[i].path + strlen("scripts/init-top/");
}

bool initramfs_parse(struct bytes image, struct arena *arena, struct err *err, struct initramfs *ret)
{
	struct contents contents;
	struct initramfs parsed = { .known = YES, .mtime = UNKNOWN_NUMBER };
	if (!take_contents(image, arena, err, &contents))
		return false;
	for (size_t i = 0; i < contents.n; i++)
		*arena_push(arena, parsed.files, parsed.n_files) =
		        (struct initramfs_file){ contents.file[i].path, contents.file[i].data };
	for (size_t i = 0; i < contents.modules.n; i++)
		*arena_push(arena, parsed.modules.word, parsed.modules.n) = module_of(arena, contents.modules.word[i]);
	sort_unique(&parsed.modules);
	parse_folder(&parsed, arena, "modprobe.d");
	parse_folder(&parsed, arena, "modules-load.d");
	const struct initramfs_file *modules = find_file(&parsed, "conf/modules");
	if (modules)
		modprobe_parse_loads(modules->data, "/conf/modules", arena, &parsed.modprobe);
	list_scripts(&parsed, arena);
	parsed.modprobe.known = YES;
	*ret = parsed;
	return true;
}

bool initramfs_holds(const struct initramfs *initramfs, const char *module)
{
	struct arena arena ARENA_SCOPED = { 0 };
	const char *name = modprobe_name(&arena, module);
	return initramfs->modules.n &&
	       bsearch(&name, initramfs->modules.word, initramfs->modules.n, sizeof *initramfs->modules.word, by_word);
}

/* ---- the reduced image ------------------------------------------------- */

static size_t entry_size(const char *path, size_t size)
{
	size_t name = HEADER_SIZE + strlen(path) + 1;
	return name + padding(name) + size + padding(size);
}

static char *put_entry(char *out, unsigned inode, unsigned mode, const char *path, struct bytes data)
{
	char header[HEADER_SIZE + 1];
	size_t name = strlen(path) + 1;
	snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode, mode, 0u,
	        0u, 1u, 0u, (unsigned)data.size, 0u, 0u, 0u, 0u, (unsigned)name, 0u);
	out = mempcpy(out, header, HEADER_SIZE);
	out = mempcpy(out, path, name);
	out += padding(HEADER_SIZE + name); /* the buffer is zeroed */
	if (data.size)
		out = mempcpy(out, data.data, data.size);
	return out + padding(data.size);
}

bool initramfs_reduce(struct bytes image, struct arena *arena, struct err *err, struct bytes *ret)
{
	static const char trailer[] = "TRAILER!!!";
	const struct bytes nothing = { "", 0 };
	struct contents contents;
	if (!take_contents(image, arena, err, &contents))
		return false;
	size_t size = entry_size(trailer, 0);
	for (size_t i = 0; i < contents.n; i++)
		size += entry_size(contents.file[i].path, contents.file[i].data.size);
	for (size_t i = 0; i < contents.modules.n; i++)
		size += entry_size(contents.modules.word[i], 0);
	char *data = arena_alloc(arena, size + 1), *out = data;
	unsigned inode = 0;
	for (size_t i = 0; i < contents.n; i++)
		out = put_entry(out, ++inode, TYPE_FILE | 0644, contents.file[i].path, contents.file[i].data);
	for (size_t i = 0; i < contents.modules.n; i++)
		out = put_entry(out, ++inode, TYPE_FILE | 0644, contents.modules.word[i], nothing);
	out = put_entry(out, 0, 0, trailer, nothing);
	*ret = (struct bytes){ data, (size_t)(out - data) };
	return true;
}
