/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/store.h"
#include "sys/tape.h"

static char folder[] = "/tmp/gpuferry-tape-XXXXXX";

static const char *at(const char *name)
{
	static char room[4][512];
	static unsigned turn;
	turn = (turn + 1) % 4;
	snprintf(room[turn], sizeof room[turn], "%s/%s", folder, name);
	return room[turn];
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)type;
	(void)walk;
	if (S_ISDIR(stat->st_mode))
		chmod(path, 0700);
	return remove(path);
}

static int remove_folder(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- round trips ------------------------------------------------------ */

static struct tape_entry *put(struct tape_target *target, struct arena *arena, const char *path, enum node_type type)
{
	struct tape_entry *entry = tape_entry(target, arena, path);
	entry->stat.type = type;
	return entry;
}

static void put_file(struct tape_target *target, struct arena *arena, const char *path, const char *data, size_t size)
{
	struct tape_entry *entry = put(target, arena, path, NODE_FILE);
	entry->has_data = true;
	entry->data = arena_bytes(arena, data, size);
	entry->stat.mode = 0444;
	entry->stat.mtime = 1234567;
}

static struct tape *sample(struct arena *arena)
{
	struct tape *tape = tape_new(arena, 1700000000);
	struct tape_target *node = tape_target(tape, arena, "node");
	put_file(node, arena, "/sys/a/vendor", "0x10de\n", 7);
	put_file(node, arena, "/proc/empty", "", 0);
	put_file(node, arena, "/bin\xff\xfe/odd\nname", "\0\1\2", 3);
	put_file(node, arena, "/both", "file", 4);
	put_file(node, arena, "/both/below", "and below", 9);
	put_file(node, arena, "/etc/gr\xc3\xbc\xc3\x9f", "utf8", 4);
	char *big = arena_alloc(arena, 16 * 1024 * 1024);
	for (size_t i = 0; i < 16 * 1024 * 1024; i += 4096)
		memcpy(big + i, &i, sizeof i);
	put_file(node, arena, "/sys/a/rom", big, 16 * 1024 * 1024);
	put_file(node, arena, "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0/0000:03:00.0/net/"
			      "a-very-long-name-of-an-interface/statistics/with/many/parts/beyond/one/hundred/signs",
		"x", 1);
	put(node, arena, "/sys/class/a", NODE_LINK)->link = "../a";
	put(node, arena, "/link", NODE_LINK)->link = "\xff";
	struct tape_entry *render = put(node, arena, "/dev/dri/renderD128", NODE_CHAR);
	render->stat = (struct world_stat){ NODE_CHAR, 0660, 0, 104, 226, 128, 0, -5 };
	render->open_error = EACCES;
	put(node, arena, "/dev/null", NODE_CHAR)->open_error = 0;
	tape_entry(node, arena, "/etc/none")->error = ENOENT;
	tape_entry(node, arena, "/etc/shadow")->error = EACCES;
	put(node, arena, "/etc", NODE_DIR)->listed = true;
	tape_entry(node, arena, "/etc/only-named")->named = true;
	put(node, arena, "/", NODE_DIR);
	put(node, arena, "/run/x", NODE_OTHER)->stat.size = INT64_MAX;
	static const char *const qm[] = { "qm", "config", "\xff", "", NULL }, *const no[] = { "none", NULL };
	tape_run(node, arena, &(struct command){ .argv = qm, .input = bytes_of("in") })->outcome =
		(struct outcome){ 137, true, true, bytes_of("out\n"), { "e\0r", 3 } };
	tape_run(node, arena, &(struct command){ .argv = no })->error = ENOENT;
	tape_target(tape, arena, "vm/100")->partial = true;
	tape_target(tape, arena, "vm_100");
	put_file(tape_target(tape, arena, "vm/100/docker/emby"), arena, "/etc/os-release", "ID=x\n", 5);
	return tape;
}

static void same_bytes(struct bytes left, struct bytes right)
{
	assert_int_equal(left.size, right.size);
	if (left.size)
		assert_memory_equal(left.data, right.data, left.size);
}

static void same_entry(const struct tape_entry *left, const struct tape_entry *right)
{
	assert_string_equal(left->path, right->path);
	assert_int_equal(left->error, right->error);
	assert_int_equal(left->has_data, right->has_data);
	assert_int_equal(left->listed, right->listed);
	assert_int_equal(left->named, right->named);
	assert_int_equal(left->implied, right->implied);
	assert_int_equal(left->open_error, right->open_error);
	assert_memory_equal(&left->stat, &right->stat, sizeof left->stat);
	assert_int_equal(!left->link, !right->link);
	if (left->link)
		assert_string_equal(left->link, right->link);
	same_bytes(left->data, right->data);
}

static void same_run(const struct tape_run *left, const struct tape_run *right)
{
	size_t i = 0;
	for (; left->argv[i] && right->argv[i]; i++)
		assert_string_equal(left->argv[i], right->argv[i]);
	assert_ptr_equal(left->argv[i], right->argv[i]);
	assert_string_equal(left->input_hash, right->input_hash);
	assert_int_equal(left->error, right->error);
	assert_int_equal(left->outcome.status, right->outcome.status);
	assert_int_equal(left->outcome.timed_out, right->outcome.timed_out);
	assert_int_equal(left->outcome.cut, right->outcome.cut);
	same_bytes(left->outcome.out, right->outcome.out);
	same_bytes(left->outcome.err, right->outcome.err);
}

static void same_tape(struct tape *left, struct tape *right, struct arena *arena)
{
	assert_int_equal(left->time, right->time);
	assert_string_equal(left->version, right->version);
	assert_int_equal(left->n, right->n);
	for (size_t i = 0; i < left->n; i++) {
		struct tape_target *l = left->targets[i], *r = right->targets[i];
		tape_sort(l, arena);
		tape_sort(r, arena);
		assert_string_equal(l->label, r->label);
		assert_int_equal(l->partial, r->partial);
		assert_int_equal(l->n, r->n);
		assert_int_equal(l->n_runs, r->n_runs);
		for (size_t j = 0; j < l->n; j++)
			same_entry(&l->entries[j], &r->entries[j]);
		for (size_t j = 0; j < l->n_runs; j++)
			same_run(&l->runs[j], &r->runs[j]);
	}
}

static struct tape *load(const char *path, struct arena *arena)
{
	struct err err = { 0 };
	struct tape *tape = NULL;
	if (!tape_load(path, arena, &err, &tape))
		fail_msg("%s", err.text);
	return tape;
}

static void saved_tape_loads_as_it_was(void **state)
{
	(void)state;
	static const char *const names[] = { "t.tar", "t.tar.gz", "t.tgz", "t.tar.zst", "t.tar.xz", "t.gputape" };
	for (size_t i = 0; i < COUNT(names); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct err err = { 0 };
		struct tape *tape = sample(&arena);
		if (!tape_save(tape, at(names[i]), &err))
			fail_msg("%s", err.text);
		same_tape(tape, load(at(names[i]), &arena), &arena);
	}
	unlink(at("t.gputape"));
}

static void saving_is_deterministic(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	assert_true(tape_save(sample(&arena), at("one.tar.gz"), NULL));
	assert_true(tape_save(load(at("one.tar.gz"), &arena), at("two.tar.gz"), NULL));
	same_bytes(test_read(&arena, at("one.tar.gz")), test_read(&arena, at("two.tar.gz")));
}

static void saving_fails_whole(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	assert_false(tape_save(sample(&arena), at("none/t.tar"), &err));
	assert_int_equal(err.kind, ERR_SYSTEM);
	assert_false(tape_save(sample(&arena), folder, &err));
	assert_non_null(strstr(err.text, "directory"));
	assert_true(tape_save(sample(&arena), "/dev/null", &err));
	struct stat null;
	assert_int_equal(stat("/dev/null", &null), 0);
	assert_true(S_ISCHR(null.st_mode));
}

static void unpacked_tape_is_the_same(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	assert_true(tape_save(sample(&arena), at("u.tar"), NULL));
	char command[2048];
	snprintf(command, sizeof command, "mkdir %s %s && tar -xf %s -C %s", at("u"), at("u/top"), at("u.tar"), at("u/top"));
	assert_int_equal(system(command), 0);
	same_tape(sample(&arena), load(at("u/top"), &arena), &arena);
	same_tape(sample(&arena), load(at("u"), &arena), &arena);
	snprintf(command, sizeof command, "tar -cf %s -C %s .", at("again.tar"), at("u"));
	assert_int_equal(system(command), 0);
	same_tape(sample(&arena), load(at("again.tar"), &arena), &arena);
}

/* ---- hostile ---------------------------------------------------------- */

struct piece {
	const char *path, *content; /* content NULL: a directory */
	const char *link, *hard;    /* else a link, a hard link */
	bool device;
};

static void write_tar(const char *name, const struct piece *pieces, size_t n)
{
	struct archive *archive = archive_write_new();
	archive_write_set_format_gnutar(archive);
	assert_int_equal(archive_write_open_filename(archive, at(name)), ARCHIVE_OK);
	struct archive_entry *entry = archive_entry_new();
	for (size_t i = 0; i < n; i++) {
		archive_entry_clear(entry);
		archive_entry_set_pathname(entry, pieces[i].path);
		archive_entry_set_perm(entry, 0644);
		archive_entry_set_filetype(entry, pieces[i].device ? AE_IFCHR : pieces[i].link ? AE_IFLNK :
				pieces[i].content || pieces[i].hard ? AE_IFREG : AE_IFDIR);
		if (pieces[i].device)
			archive_entry_set_rdev(entry, 0x103);
		if (pieces[i].link)
			archive_entry_set_symlink(entry, pieces[i].link);
		if (pieces[i].hard)
			archive_entry_set_hardlink(entry, pieces[i].hard);
		size_t size = pieces[i].content ? strlen(pieces[i].content) : 0;
		archive_entry_set_size(entry, (la_int64_t)size);
		archive_write_header(archive, entry);
		archive_write_data(archive, pieces[i].content, size);
	}
	archive_entry_free(entry);
	assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
	archive_write_free(archive);
}

#define MANIFEST(entries, runs) \
	{ "manifest.json", "{\"schema\":\"gpuferry.tape/1\",\"time\":1,\"targets\":[{\"label\":\"node\"," \
			   "\"folder\":\"node\",\"entries\":" #entries ",\"runs\":" #runs "}]}" }
#define ENTRIES "targets/node/entries.jsonl"
#define ROOT "targets/node/root"

static const struct hostile {
	const char *why; /* is in the message; NULL: it loads */
	struct piece pieces[6];
} hostile[] = {
	{ NULL, { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"type\":\"file\",\"data\":true}\n" }, { ROOT "/a", "x" } } },
	{ NULL, { { "./", NULL }, { "./x/", NULL }, { "./x/sys/", NULL }, { "./x/sys/a", "1" }, { "./x/sys/b", .hard = "./x/sys/a" } } },
	{ NULL, { { "sys/a", "1" }, { "proc/sys/b", "1" }, { "dev/null", .device = true }, { "etc/x", .link = "/../../../etc/passwd" } } },
	{ "absolute", { { "/etc/passwd", "x" } } },
	{ "upwards", { { "sys/../../etc/passwd", "x" } } },
	{ "upwards", { { "sys/a", "x" }, { "sys/b", .hard = "../../etc/passwd" } } },
	{ "hard link", { { "sys/b", .hard = "sys/none" } } },
	{ "twice", { { "sys/a", "1" }, { "sys/a", "2" } } },
	{ "twice", { { "sys/a", "1" }, { "sys/./a", .link = "x" } } },
	{ "neither a tape nor a tree", { { "some/file", "1" } } },
	{ "more than one machine", { { "a/sys/x", "1" }, { "b/sys/x", "1" } } },
	{ "not a plain file", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"data\":true}\n" }, { ROOT "/a", .link = "/etc/passwd" } } },
	{ "not a plain file", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"data\":true}\n" }, { ROOT "/a", .device = true } } },
	{ "not a plain file", { { "manifest.json", NULL } } },
	{ "not a plain file", { MANIFEST(0, 0), { ENTRIES, NULL } } },
	{ "not a plain file", { MANIFEST(0, 0), { ENTRIES, .link = "/etc/passwd" } } },
	{ "entries.jsonl is missing", { MANIFEST(0, 0) } },
	{ "cut", { MANIFEST(2, 0), { ENTRIES, "{\"path\":\"/a\"}\n" } } },
	{ "cut", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"data\":true}\n" } } },
	{ "cut", { MANIFEST(0, 1), { ENTRIES, "" } } },
	{ "no entry speaks of", { MANIFEST(0, 0), { ENTRIES, "" }, { ROOT "/a", "x" } } },
	{ "no entry speaks of", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\"}\n" }, { ROOT "/a", "x" } } },
	{ "twice", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"data\":true}\n" }, { ROOT "/a", "x" }, { ROOT "/a", "y" } } },
	{ "line 2: a path that is there twice", { MANIFEST(2, 0), { ENTRIES, "{\"path\":\"/a\"}\n{\"path\":\"/a\"}\n" } } },
	{ "line 1: a path that is not", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a/../b\"}\n" } } },
	{ "line 1: a path that is not", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"a\"}\n" } } },
	{ "line 1: a path that is not", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a//b\"}\n" } } },
	{ "line 1: a path that is not", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a/\"}\n" } } },
	{ "line 1: a path that is not", { MANIFEST(1, 0), { ENTRIES, "{\"path_base64\":\"L2EAYg==\"}\n" } } },
	{ "line 1: not JSON", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\xff\"}\n" } } },
	{ "line 1: not JSON", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"path\":\"/b\"}\n" } } },
	{ "line 1: no object", { MANIFEST(1, 0), { ENTRIES, "[1]\n" } } },
	{ NULL, { MANIFEST(2, 0), { ENTRIES, "{ \"path\" : \"/\\u0061\", \"later\": [1] }\n{\"path\":\"/b\",\"later\":1.5}\n" } } },
	{ "value it cannot have", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"uid\":-1}\n" } } },
	{ "value it cannot have", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\", \"uid\":\"0\"}\n" } } },
	{ "value it cannot have", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"uid\":4294967296}\n" } } },
	{ "value it cannot have", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"listed\":1}\n" } } },
	{ "line 1: not JSON", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"uid\":99999999999999999999}\n" } } },
	{ "line 1: not JSON", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\"}x\n" } } },
	{ "line 1: not JSON", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"uid\":007}\n" } } },
	{ "value it cannot have", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"errno\":\"ENONE\"}\n" } } },
	{ "value it cannot have", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"mode\":\"99\"}\n" } } },
	{ "value it cannot have", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"type\":\"door\"}\n" } } },
	{ "a link", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"type\":\"link\"}\n" } } },
	{ "value it cannot have", { MANIFEST(1, 0), { ENTRIES, "{\"path\":\"/a\",\"data_base64\":\"***\"}\n" } } },
	{ "not of a run", { MANIFEST(0, 1), { ENTRIES, "" }, { "targets/node/run/2.json", "{}" } } },
	{ "not of a run", { MANIFEST(0, 1), { ENTRIES, "" }, { "targets/node/run/0.json", "{}" } } },
	{ "not of a run", { MANIFEST(0, 1), { ENTRIES, "" }, { "targets/node/run/1", "{}" } } },
	{ "not of a run", { MANIFEST(0, 1), { ENTRIES, "" }, { "targets/node/run/1.txt", "{}" } } },
	{ "value it cannot have", { MANIFEST(0, 1), { ENTRIES, "" }, { "targets/node/run/1.json", "{\"argv\":[]}" } } },
	{ "value it cannot have", { MANIFEST(0, 1), { ENTRIES, "" }, { "targets/node/run/1.json", "{\"argv\":[1]}" } } },
	{ "not JSON", { MANIFEST(0, 1), { ENTRIES, "" }, { "targets/node/run/1.json", "{" } } },
	{ "not of a tape", { { "manifest.json", "{\"schema\":\"gpuferry.tape/2\"}" } } },
	{ "manifest.json", { { "manifest.json", "{" } } },
	{ "value it cannot have", { { "manifest.json", "{\"schema\":\"gpuferry.tape/1\"}" } } },
	{ "not described", { { "manifest.json", "{\"schema\":\"gpuferry.tape/1\",\"targets\":[{\"label\":\"node\",\"folder\":\"../x\",\"entries\":0,\"runs\":0}]}" } } },
	{ "not described", { { "manifest.json", "{\"schema\":\"gpuferry.tape/1\",\"targets\":[7]}" } } },
	{ "not described", { { "manifest.json", "{\"schema\":\"gpuferry.tape/1\",\"targets\":[{\"label\":\"n\",\"folder\":\"x\",\"entries\":0,\"runs\":99999999}]}" } } },
};

/* One line, with the path, printable. */
static void refused(const char *path, const char *why)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct tape *tape = NULL;
	assert_false(tape_load(path, &arena, &err, &tape));
	assert_null(tape);
	if (!strstr(err.text, why) || err.kind != ERR_INPUT || !strstr(err.text, path) || strchr(err.text, '\n'))
		fail_msg("\"%s\" lacks \"%s\"", err.text, why);
	assert_string_equal(text_shown(&arena, err.text), err.text);
}

static void hostile_tars_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(hostile); i++) {
		size_t n = 0;
		while (n < COUNT(hostile[i].pieces) && hostile[i].pieces[n].path)
			n++;
		write_tar("hostile.tar", hostile[i].pieces, n);
		struct arena arena ARENA_SCOPED = { 0 };
		if (hostile[i].why)
			refused(at("hostile.tar"), hostile[i].why);
		else
			load(at("hostile.tar"), &arena);
	}
}

static void put_raw(const char *name, const void *data, size_t size)
{
	FILE *file = fopen(at(name), "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	fclose(file);
}

static void cut_tapes_are_refused(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	static const char *const names[] = { "c.tar", "c.tar.gz", "c.tar.zst", "c.tar.xz" };
	struct tape *tape = tape_new(&arena, 1);
	struct tape_target *node = tape_target(tape, &arena, "node");
	for (int i = 0; i < 20; i++)
		put_file(node, &arena, arena_printf(&arena, "/sys/f%d", i), "content", 7);
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_true(tape_save(tape, at(names[i]), NULL));
		struct bytes whole = test_read(&arena, at(names[i]));
		/* a tar without its last kilobyte lacks only the mark of its end, a compressed one that and a checksum */
		size_t most = i == 0 ? whole.size - 1024 : whole.size * 3 / 4;
		for (size_t size = 0; size < most; size += i == 0 ? 512 : whole.size / 37 + 1) {
			put_raw("cut", whole.data, size);
			refused(at("cut"), "");
		}
	}
}

static void not_a_tape(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	put_raw("empty", "", 0);
	refused(at("empty"), "neither a tape nor a tree");
	put_raw("text", "hello\n", 6);
	refused(at("text"), "neither a tape nor a tree");
	refused(at("none"), "No such file");
	refused("/dev/null", "neither a file nor a folder");
	int zeros = open(at("zeros"), O_CREAT | O_WRONLY, 0600);
	assert_int_equal(ftruncate(zeros, 100 * 1024 * 1024), 0);
	close(zeros);
	refused(at("zeros"), "neither a tape nor a tree");
	mkdir(at("hollow"), 0700);
	refused(at("hollow"), "neither a tape nor a tree");
	struct err err = { 0 };
	struct tape *tape = NULL;
	char odd[600];
	snprintf(odd, sizeof odd, "%s/\x1b[31m\xff\n", folder);
	assert_false(tape_load(odd, &arena, &err, &tape));
	assert_null(strpbrk(err.text, "\x1b\n\xff"));
	put_raw("secret", "x", 1);
	chmod(at("secret"), 0);
	if (geteuid() != 0)
		refused(at("secret"), "Permission denied");
}

/* A gigabyte of zeros in a tar of a megabyte, and a header that claims what does not come. */
static void bombs_are_refused(void **state)
{
	(void)state;
	struct archive *archive = archive_write_new();
	archive_write_add_filter_gzip(archive);
	archive_write_set_format_gnutar(archive);
	assert_int_equal(archive_write_open_filename(archive, at("bomb.tar.gz")), ARCHIVE_OK);
	struct archive_entry *entry = archive_entry_new();
	static char zeros[1024 * 1024];
	archive_entry_set_pathname(entry, "sys/zeros");
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_size(entry, 300 * (la_int64_t)sizeof zeros);
	archive_write_header(archive, entry);
	for (int i = 0; i < 8; i++)
		archive_write_data(archive, zeros, sizeof zeros);
	archive_write_free(archive);
	archive_entry_free(entry);
	refused(at("bomb.tar.gz"), "larger than a tape may be");
	struct piece claim = { "sys/claim", "x" };
	write_tar("claim.tar", &claim, 1);
	struct arena arena ARENA_SCOPED = { 0 };
	struct bytes raw = test_read(&arena, at("claim.tar"));
	char *header = arena_strndup(&arena, raw.data, raw.size);
	memcpy(header + 124, "01700000000", 11); /* 240 MiB */
	unsigned sum = 0;
	memset(header + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)header[i];
	snprintf(header + 148, 8, "%06o", sum);
	put_raw("claim.tar", header, raw.size);
	refused(at("claim.tar"), "");
}

static void long_lines_are_refused(void **state)
{
	(void)state;
	static char line[2 * 1024 * 1024];
	memset(line, '[', 1024 * 1024);
	struct piece pieces[] = { MANIFEST(1, 0), { ENTRIES, line } };
	write_tar("long.tar", pieces, 2);
	refused(at("long.tar"), "line 1: not JSON");
	size_t size = (size_t)sprintf(line, "{\"path\":\"/");
	memset(line + size, 'a', 1024 * 1024);
	memcpy(line + size + 1024 * 1024, "\"}\n", 4);
	write_tar("long.tar", pieces, 2);
	refused(at("long.tar"), "line 1: a path that is not");
}

/* ---- folders ---------------------------------------------------------- */

static void write_file(const char *name, const char *content)
{
	put_raw(name, content, strlen(content));
}

static void folder_links_lead_nowhere(void **state)
{
	(void)state;
	mkdir(at("tree"), 0700);
	mkdir(at("tree/m"), 0700);
	mkdir(at("tree/m/sys"), 0700);
	mkdir(at("tree/m/etc"), 0700);
	write_file("tree/m/sys/a", "inside");
	write_file("tree/m/readme", "beside");
	write_file("outside", "secret");
	assert_int_equal(symlink(at("outside"), at("tree/m/etc/absolute")), 0);
	assert_int_equal(symlink("../../../outside", at("tree/m/etc/climbing")), 0);
	assert_int_equal(symlink(folder, at("tree/m/etc/folder")), 0);
	assert_int_equal(symlink("../sys/a", at("tree/m/etc/fine")), 0);
	assert_int_equal(mkfifo(at("tree/m/etc/fifo"), 0600), 0);
	for (int form = 0; form < 3; form++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct err err = { 0 };
		struct bytes bytes = { 0 };
		struct world *world = form == 0 ? tape_open(at("tree"), &arena, &err) :
			form == 1 ? tape_open(at("tree/m"), &arena, &err) :
				    tape_world(load(at("tree"), &arena), "node", &arena, &err);
		assert_non_null(world);
		assert_true(world->partial);
		assert_false(world->live);
		assert_int_equal(world_read(world, "/etc/fine", 0, &arena, &bytes), 0);
		assert_string_equal(bytes.data, "inside");
		assert_int_equal(world_read(world, "/etc/absolute", 0, &arena, &bytes), ENODATA);
		assert_int_equal(world_read(world, "/etc/climbing", 0, &arena, &bytes), ENODATA);
		assert_int_equal(world_read(world, "/etc/folder/outside", 0, &arena, &bytes), ENODATA);
		assert_int_equal(world_read(world, "/etc/fifo", 0, &arena, &bytes), EINVAL);
		assert_int_equal(world_read(world, "/etc/none", 0, &arena, &bytes), ENODATA);
		struct words names = { 0 };
		assert_int_equal(world_list(world, "/etc", &arena, &names), 0);
		assert_int_equal(names.n, 5);
		world_close(world);
	}
}

static void tape_folder_with_links_is_refused(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	mkdir(at("f"), 0700);
	mkdir(at("f/targets"), 0700);
	mkdir(at("f/targets/node"), 0700);
	mkdir(at("f/targets/node/root"), 0700);
	struct piece manifest = MANIFEST(1, 0);
	write_file("f/manifest.json", manifest.content);
	write_file("f/targets/node/entries.jsonl", "{\"path\":\"/a\",\"type\":\"file\",\"data\":true}\n");
	assert_int_equal(symlink("/etc/passwd", at("f/targets/node/root/a")), 0);
	refused(at("f"), "not a plain file");
	assert_null(tape_open(at("f"), &arena, &err));
	unlink(at("f/targets/node/root/a"));
	write_file("f/targets/node/root/a", "x");
	struct world *world = tape_open(at("f"), &arena, &err);
	assert_non_null(world);
	assert_int_equal(world_now(world), 1);
	unlink(at("f/manifest.json"));
	assert_int_equal(symlink("targets/node/entries.jsonl", at("f/manifest.json")), 0);
	refused(at("f"), "not a plain file");
}

/* ---- real captures ---------------------------------------------------- */

static int load_captures(const char *path)
{
	DIR *captures = opendir(path);
	int n = 0;
	for (struct dirent *entry; captures && (entry = readdir(captures));) {
		if (!text_ends(entry->d_name, ".tar.gz"))
			continue;
		struct arena arena ARENA_SCOPED = { 0 };
		struct err err = { 0 };
		struct world *world = tape_open(arena_printf(&arena, "%s/%s", path, entry->d_name), &arena, &err);
		if (!world)
			fail_msg("%s", err.text);
		assert_true(world->partial);
		struct words devices = { 0 };
		if (world_list(world, "/sys/bus/pci/devices", &arena, &devices) == 0)
			assert_true(devices.n > 0);
		for (size_t i = 0; i < devices.n; i++) {
			const char *link = NULL;
			char device[256];
			snprintf(device, sizeof device, "/sys/bus/pci/devices/%s", devices.word[i]);
			assert_int_equal(world_link(world, device, &arena, &link), 0);
			assert_int_equal(world_exists(world, device), YES);
		}
		n++;
	}
	if (captures)
		closedir(captures);
	return n;
}

static void real_captures_load(void **state)
{
	(void)state;
	const char *data = test_data("GPUFERRY_DATA");
	if (!data) {
		print_message("no real captures here\n");
		skip();
	}
	char path[1024];
	snprintf(path, sizeof path, "%s/iommu/tree", data);
	int n = load_captures(path);
	snprintf(path, sizeof path, "%s/sysfs-real", data);
	n += load_captures(path);
	print_message("%d captures\n", n);
	assert_true(n > 0);
}

/* ---- store ------------------------------------------------------------ */

static void store_writes_whole_or_not(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct err err = { 0 };
	struct bytes content = { 0 };
	mkdir(at("store"), 0700);
	assert_true(store_write(at("store/a"), bytes_of("one"), 0600, &err));
	assert_true(store_write(at("store/a"), bytes_of("two"), 0600, &err));
	assert_true(store_read(at("store/a"), 3, &arena, &err, &content));
	assert_string_equal(content.data, "two");
	assert_false(store_read(at("store/a"), 2, &arena, &err, &content));
	assert_int_equal(err.kind, ERR_INPUT);
	assert_int_equal(symlink("a", at("store/link")), 0);
	assert_true(store_write(at("store/link"), bytes_of("three"), 0600, &err));
	assert_string_equal(test_read(&arena, at("store/a")).data, "three");
	assert_false(store_write(at("store/none/a"), bytes_of("x"), 0600, &err));
	assert_false(store_write(at("store"), bytes_of("x"), 0600, &err));
	/* a disk that is full halfway: the old content stays */
	struct rlimit limit, small = { 0 };
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){ 2, limit.rlim_max };
	void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	bool wrote = store_write(at("store/a"), bytes_of("four"), 0600, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	signal(SIGXFSZ, before);
	assert_false(wrote);
	assert_string_equal(test_read(&arena, at("store/a")).data, "three");
	DIR *listing = opendir(at("store"));
	int n = 0;
	while (readdir(listing))
		n++;
	closedir(listing);
	assert_int_equal(n, 4); /* ., .., a, link: nothing left behind */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(saved_tape_loads_as_it_was),
		cmocka_unit_test(saving_is_deterministic),
		cmocka_unit_test(saving_fails_whole),
		cmocka_unit_test(unpacked_tape_is_the_same),
		cmocka_unit_test(hostile_tars_are_refused),
		cmocka_unit_test(cut_tapes_are_refused),
		cmocka_unit_test(not_a_tape),
		cmocka_unit_test(bombs_are_refused),
		cmocka_unit_test(long_lines_are_refused),
		cmocka_unit_test(folder_links_lead_nowhere),
		cmocka_unit_test(tape_folder_with_links_is_refused),
		cmocka_unit_test(real_captures_load),
		cmocka_unit_test(store_writes_whole_or_not),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
