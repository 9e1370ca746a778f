/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The script is run here by each shell that is installed and its answer held against direct reading.
 */
#include "sys/wants.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sys/redact.h"
#include "sys/spawn.h"

/* ---- a tree with everything that can be awkward ---------------------------- */

static char place[64];

static const struct {
	const char *name;
	const char *content;
	size_t size;
} files[] = {
#define CONTENT(text) text, sizeof text - 1
	{ "plain", CONTENT("0x10de\n") },
	{ "no-newline", CONTENT("abc") },
	{ "empty", CONTENT("") },
	{ "newlines", CONTENT("\n\n\n") },
	{ "nul", CONTENT("a\0b\n\0") },
	{ "binary", CONTENT("\x00\x01\x7f\x80\xfe\xff\r\n\x1b[31m") },
	{ "header", CONTENT("==> /nowhere <==\nx\n\n==> /else <==\n") },
	{ "frames", CONTENT("@end\n@x Permission denied\n@gpuferry-frames 1 base64\n") },
	{ "a b", CONTENT("blank\n") },
	{ "new\nline", CONTENT("newline\n") },
	{ "-dash", CONTENT("dash\n") },
	{ "*", CONTENT("star\n") },
	{ "[x]?", CONTENT("glob\n") },
	{ "gr\xc3\xbc\xc3\x9f", CONTENT("UTF-8\n") },
	{ "\xff\xfe", CONTENT("no UTF-8\n") },
	{ "it's \"quoted\"", CONTENT("quotes\n") },
	{ "back\\slash", CONTENT("backslash\n") },
	{ "$(reboot)`x`;&", CONTENT("shell\n") },
	{ "~", CONTENT("tilde\n") },
	{ "@x Input", CONTENT("at\n") },
	{ "a -> b", CONTENT("arrow\n") },
	{ "one.conf", CONTENT("1\n") },
	{ "two.conf", CONTENT("2\n") },
	{ ".hidden", CONTENT("hidden\n") },
	{ "..dots", CONTENT("dots\n") },
	{ "limit", CONTENT("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef") },
	{ "over", CONTENT("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef!") },
	{ "devices/gpu/vendor", CONTENT("0x10de\n") },
	{ "devices/gpu/class", CONTENT("0x030000\n") },
	{ "devices/nic/vendor", CONTENT("0x8086\n") },
	{ "real/deep/file", CONTENT("deep\n") },
#undef CONTENT
};

static const char *at(struct arena *arena, const char *name)
{
	return arena_printf(arena, "%s/%s", place, name);
}

static void make_file(const char *path, const char *content, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, size), size);
	close(fd);
}

static int make_tree(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	strcpy(place, "/tmp/gpuferry-wants-XXXXXX");
	assert_non_null(mkdtemp(place));
	chmod(place, 0755);
	static const char *const folders[] = { "devices", "devices/gpu", "devices/nic", "real", "real/deep", "hollow", "closed" };
	for (size_t i = 0; i < COUNT(folders); i++)
		assert_int_equal(mkdir(at(&arena, folders[i]), 0755), 0);
	for (size_t i = 0; i < COUNT(files); i++)
		make_file(at(&arena, files[i].name), files[i].content, files[i].size);
	make_file(at(&arena, "closed/inside"), "x\n", 2);
	make_file(at(&arena, "secret"), "s\n", 2);
	static const char *const links[][2] = { { "plain", "to-plain" }, { "to-plain", "to-link" }, { "nowhere", "dangling" },
		{ "loop-b", "loop-a" }, { "loop-a", "loop-b" }, { "real", "to-real" }, { "a b", "to-odd" }, { "../real/deep", "real/up" },
		{ "line\nbreak", "to-line" }, { "../devices/gpu", "hollow/first" } };
	for (size_t i = 0; i < COUNT(links); i++)
		assert_int_equal(symlink(links[i][0], at(&arena, links[i][1])), 0);
	assert_int_equal(symlink(at(&arena, "no-newline"), at(&arena, "absolute")), 0);
	assert_int_equal(mkfifo(at(&arena, "fifo"), 0600), 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", place);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	close(listener);
	mknod(at(&arena, "node"), S_IFCHR | 0660, makedev(226, 128)); /* only root can; then it is compared too */
	chmod(at(&arena, "secret"), 0);
	chmod(at(&arena, "closed"), 0700);
	return 0;
}

static int remove_tree(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	const char *argv[] = { "rm", "-rf", "--", place, NULL };
	struct command command = { .argv = argv };
	struct outcome outcome;
	return spawn_run(&command, &arena, &outcome);
}

/* ---- asking ----------------------------------------------------------------- */

enum { WANTS = 24, LIMIT = 64 };

static const struct want *tree_wants(struct arena *arena)
{
	struct want *wants = arena_alloc(arena, WANTS * sizeof *wants), *want = wants;
	*want++ = (struct want){ WANT_FILE, at(arena, "*"), NULL, LIMIT };
	*want++ = (struct want){ WANT_FILE, at(arena, ".hidden"), NULL, LIMIT };
	*want++ = (struct want){ WANT_FILE, at(arena, "..dots"), NULL, LIMIT };
	*want++ = (struct want){ WANT_FILE, at(arena, "devices/*/vendor"), NULL, LIMIT };
	*want++ = (struct want){ WANT_FILE, at(arena, "devices/*/class"), NULL, LIMIT };
	*want++ = (struct want){ WANT_FILE, at(arena, "to-real/deep/file"), NULL, LIMIT };
	*want++ = (struct want){ WANT_FILE, at(arena, "hollow/first/vendor"), NULL, LIMIT };
	*want++ = (struct want){ WANT_FILE, at(arena, "hollow/none") };
	*want++ = (struct want){ WANT_FILE, at(arena, "missing/way/file") };
	*want++ = (struct want){ WANT_FILE, at(arena, "plain/below") };
	*want++ = (struct want){ WANT_FILE, at(arena, "closed/inside") };
	*want++ = (struct want){ WANT_LIST, at(arena, "closed") };
	*want++ = (struct want){ WANT_LIST, at(arena, "to-real") };
	*want++ = (struct want){ WANT_LINK, at(arena, "real/*") };
	*want++ = (struct want){ WANT_FILE, "/proc/version" };
	*want++ = (struct want){ WANT_FILE, "/proc/sys/kernel/osrelease" };
	*want++ = (struct want){ WANT_FILE, "/sys/class/tty/console/active" };
	*want++ = (struct want){ WANT_STAT, "/dev/null" };
	*want++ = (struct want){ WANT_OPEN, "/dev/null" };
	*want++ = (struct want){ WANT_RUN, "sh -c echo\tout;\techo\terr\t>&2;\texit\t3" };
	*want++ = (struct want){ WANT_RUN, "no-such-program --version" };
	*want++ = (struct want){ WANT_EACH, "echo --name={}.x b", at(arena, "*.conf|.conf") };
	*want++ = (struct want){ WANT_EACH, "echo all {*}", "!echo p q" };
	assert_true(want < wants + WANTS);
	return wants;
}

static const struct want *few_wants(struct arena *arena)
{
	struct want *wants = arena_alloc(arena, 5 * sizeof *wants);
	wants[0] = (struct want){ WANT_FILE, at(arena, "*.conf"), NULL, LIMIT };
	wants[1] = (struct want){ WANT_FILE, at(arena, "plain"), NULL, LIMIT };
	wants[2] = (struct want){ WANT_FILE, at(arena, "hollow/none/at/all"), NULL, LIMIT };
	wants[3] = (struct want){ WANT_RUN, "echo done" };
	return wants;
}

static struct bytes answer_of(struct arena *arena, const char *const *shell, struct bytes script)
{
	struct command command = { .argv = shell, .input = script, .deadline_ms = 50000, .output_max = 64 << 20 };
	struct outcome outcome = {0};
	assert_int_equal(spawn_run(&command, arena, &outcome), 0);
	if (outcome.status || outcome.timed_out)
		fail_msg("%s: status %d %s", shell[0], outcome.status, outcome.err.data);
	assert_string_equal(outcome.err.size ? outcome.err.data : "", "");
	return outcome.out;
}

static struct tape_target *parsed(struct arena *arena, struct bytes stream, bool good)
{
	struct tape *tape = tape_new(arena, 0);
	struct tape_target *target = tape_target(tape, arena, "there");
	struct err err = {0};
	bool whole = wants_parse(stream, NULL, target, arena, &err);
	if (whole != good)
		fail_msg("parsed: %s", err.text);
	tape_sort(target, arena);
	return target;
}

static struct world *replayed(struct arena *arena, struct bytes stream)
{
	struct tape *tape = tape_new(arena, 0);
	struct err err = {0};
	if (!wants_parse(stream, NULL, tape_target(tape, arena, "there"), arena, &err))
		fail_msg("%s", err.text);
	struct world *world = tape_world(tape, "there", arena, &err);
	assert_non_null(world);
	return world;
}

/* ---- the shells ---------------------------------------------------------------- */

static const char *const dash[] = { "/usr/bin/dash", "-s", NULL };
static const char *const bash[] = { "/usr/bin/bash", "--posix", "-s", NULL };
static const char applets[] = "/busybox";

/* busybox sh with a PATH that leads to busybox's programs first. */
static const char *const *busybox(struct arena *arena)
{
	static const char *const names[] = { "sh", "stat", "head", "base64", "od", "readlink", "cat", "timeout", "echo" };
	if (access("/usr/bin/busybox", X_OK) != 0)
		return NULL;
	const char *folder = arena_printf(arena, "%s.%s", place, applets + 1);
	mkdir(folder, 0755);
	for (size_t i = 0; i < COUNT(names); i++)
		(void)!symlink("/usr/bin/busybox", arena_printf(arena, "%s/%s", folder, names[i]));
	const char **argv = arena_alloc(arena, 6 * sizeof *argv);
	argv[0] = "/usr/bin/env";
	argv[1] = "-i";
	argv[2] = arena_printf(arena, "PATH=%s", folder);
	argv[3] = arena_printf(arena, "%s/sh", folder);
	argv[4] = "-s";
	return argv;
}

static void remove_applets(struct arena *arena)
{
	const char *argv[] = { "rm", "-rf", "--", arena_printf(arena, "%s.%s", place, applets + 1), NULL };
	struct command command = { .argv = argv };
	struct outcome outcome;
	spawn_run(&command, arena, &outcome);
}

/* ---- equal to direct reading ------------------------------------------------------ */

static void same_read(struct arena *arena, struct world *here, struct world *there, const char *path)
{
	struct bytes left = {0}, right = {0};
	int error = world_read(here, path, LIMIT, arena, &left), other = world_read(there, path, LIMIT, arena, &right);
	if (error != other)
		fail_msg("reading %s: %s here, %s there", text_shown(arena, path), world_why(error), world_why(other));
	if (error)
		return;
	assert_int_equal(left.size, right.size);
	assert_memory_equal(left.data, right.data, left.size);
}

static void same_link(struct arena *arena, struct world *here, struct world *there, const char *path)
{
	const char *left = NULL, *right = NULL;
	int error = world_link(here, path, arena, &left), other = world_link(there, path, arena, &right);
	if (error != other)
		fail_msg("link %s: %s here, %s there", text_shown(arena, path), world_why(error), world_why(other));
	if (!error)
		assert_string_equal(left, right);
}

static void same_stat(struct arena *arena, struct world *here, struct world *there, const char *path)
{
	struct world_stat left = {0}, right = {0};
	int error = world_stat(here, path, &left), other = world_stat(there, path, &right);
	if (error != other)
		fail_msg("stat %s: %s here, %s there", text_shown(arena, path), world_why(error), world_why(other));
	if (!error && memcmp(&left, &right, sizeof left) != 0)
		fail_msg("stat %s: %d %o %u %u, %d %o %u %u", text_shown(arena, path), left.type, left.mode, left.major, left.minor,
			right.type, right.mode, right.major, right.minor);
}

static void same_list(struct arena *arena, struct world *here, struct world *there, const char *path)
{
	struct words left = {0}, right = {0};
	int error = world_list(here, path, arena, &left), other = world_list(there, path, arena, &right);
	if (error != other)
		fail_msg("list %s: %s here, %s there", text_shown(arena, path), world_why(error), world_why(other));
	assert_int_equal(left.n, right.n);
	for (size_t i = 0; i < left.n; i++)
		assert_string_equal(left.word[i], right.word[i]);
}

static void same_tree(struct arena *arena, struct world *there)
{
	struct err err = {0};
	struct world *here = world_open_root(NULL, false, arena, &err);
	assert_non_null(here);
	static const char *const others[] = { "to-plain", "to-link", "dangling", "loop-a", "to-odd", "absolute", "to-line", "fifo", "socket",
		"node", "hollow/none", "missing/way/file", "plain/below", "devices/nic/class", "to-real/deep/file",
		"real/deep/../deep/file", "hollow/first/vendor", "to-real/up/file", "secret", "absent", "devices/none/vendor" };
	for (size_t i = 0; i < COUNT(files) + COUNT(others); i++) {
		const char *path = at(arena, i < COUNT(files) ? files[i].name : others[i - COUNT(files)]);
		same_read(arena, here, there, path);
		same_link(arena, here, there, path);
		same_stat(arena, here, there, path);
	}
	static const char *const folders[] = { "", "devices", "to-real", "real", "missing", "plain", "closed" };
	for (size_t i = 0; i < COUNT(folders); i++)
		same_list(arena, here, there, at(arena, folders[i]));
	static const char *const pseudo[] = { "/proc/version", "/proc/sys/kernel/osrelease", "/sys/class/tty/console/active" };
	for (size_t i = 0; i < COUNT(pseudo); i++) {
		struct bytes left = {0}, right = {0};
		int error = world_read(here, pseudo[i], 0, arena, &left);
		assert_int_equal(world_read(there, pseudo[i], 0, arena, &right), error);
		assert_int_equal(left.size, right.size);
		assert_memory_equal(left.data, right.data, left.size);
	}
	same_stat(arena, here, there, "/dev/null");
	assert_int_equal(world_probe_open(there, "/dev/null"), 0);
	assert_int_equal(world_probe_open(there, "/dev/zero"), ENODATA);
	world_close(here);
}

static void runs(struct arena *arena, struct world *there, const char *const *argv, int error, int status, const char *out,
		 const char *said)
{
	struct command command = { .argv = argv };
	struct outcome outcome = {0};
	assert_int_equal(world_run(there, &command, arena, &outcome), error);
	if (error)
		return;
	assert_int_equal(outcome.status, status);
	assert_string_equal(outcome.out.size ? outcome.out.data : "", out);
	assert_string_equal(outcome.err.size ? outcome.err.data : "", said);
	assert_false(outcome.cut);
}

static void same_commands(struct arena *arena, struct world *there)
{
	static const char *const three[] = { "sh", "-c", "echo\tout;\techo\terr\t>&2;\texit\t3", NULL };
	static const char *const missing[] = { "no-such-program", "--version", NULL };
	static const char *const one[] = { "echo", "--name=one.x", "b", NULL };
	static const char *const all[] = { "echo", "all", "p", "q", NULL };
	static const char *const other[] = { "echo", "other", NULL };
	runs(arena, there, three, 0, 3, "out\n", "err\n");
	runs(arena, there, missing, ENOENT, 0, "", "");
	runs(arena, there, one, 0, 0, "--name=one.x b\n", "");
	runs(arena, there, all, 0, 0, "all p q\n", "");
	runs(arena, there, other, ENODATA, 0, "", "");
}

static void reads_with(const char *const *shell)
{
	struct arena arena ARENA_SCOPED = {0};
	if (!shell || access(shell[0], X_OK) != 0) {
		print_message("this shell is not installed\n");
		skip();
	}
	struct world *there = replayed(&arena, answer_of(&arena, shell, wants_script(tree_wants(&arena), &arena)));
	same_tree(&arena, there);
	same_commands(&arena, there);
	world_close(there);
}

static void reads_with_dash(void **state)
{
	(void)state;
	reads_with(dash);
}

static void reads_with_bash(void **state)
{
	(void)state;
	reads_with(bash);
}

static void reads_with_busybox(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	reads_with(busybox(&arena));
	remove_applets(&arena);
}

static void reads_without_base64(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct bytes script = wants_script(tree_wants(&arena), &arena);
	char *text = arena_strndup(&arena, script.data, script.size), *name = strstr(text, "command -v base64");
	assert_non_null(name);
	memcpy(name, "command -v bas-64", 17);
	struct bytes answer = answer_of(&arena, dash, (struct bytes){ text, script.size });
	assert_non_null(memmem(answer.data, answer.size, "@gpuferry-frames 1 hex\n", 23));
	struct world *there = replayed(&arena, answer);
	same_tree(&arena, there);
	same_commands(&arena, there);
}

static void tells_denied_from_absent(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	if (getuid() != 0 || access("/usr/bin/setpriv", X_OK) != 0) {
		print_message("needs root and setpriv, to read as somebody else\n");
		skip();
	}
	static const char *const nobody[] = { "/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/dash",
		"-s", NULL };
	struct world *there = replayed(&arena, answer_of(&arena, nobody, wants_script(tree_wants(&arena), &arena)));
	struct bytes content;
	struct words names;
	assert_int_equal(world_read(there, at(&arena, "secret"), 0, &arena, &content), EACCES);
	assert_int_equal(world_read(there, at(&arena, "closed/inside"), 0, &arena, &content), EACCES);
	assert_int_equal(world_list(there, at(&arena, "closed"), &arena, &names), EACCES);
	assert_int_equal(world_read(there, at(&arena, "hollow/none"), 0, &arena, &content), ENOENT);
	assert_int_equal(world_read(there, at(&arena, "plain"), 0, &arena, &content), 0);
}

/* ---- writes nothing ------------------------------------------------------------------ */

static bool harmless_call(const char *line)
{
	static const char *const written[] = { "\"/dev/null\"", "\"/dev/tty\"", NULL };
	if (strstr(line, "execve(") || strstr(line, "+++") || strstr(line, "---") || strstr(line, "resumed>"))
		return true;
	if (!strstr(line, "open"))
		return false;
	if (!strstr(line, "O_WRONLY") && !strstr(line, "O_RDWR") && !strstr(line, "O_CREAT") && !strstr(line, "O_TRUNC"))
		return true;
	for (size_t i = 0; written[i]; i++)
		if (strstr(line, written[i]))
			return true;
	return false;
}

static void writes_nothing_with(const char *const *shell, const char *only)
{
	struct arena arena ARENA_SCOPED = {0};
	if (access("/usr/bin/strace", X_OK) != 0 || !shell || access(shell[0], X_OK) != 0) {
		print_message("needs strace and this shell\n");
		return;
	}
	const char *log = arena_printf(&arena, "%s.strace", place);
	const char *argv[16] = { "/usr/bin/strace", "-f", "--seccomp-bpf", "-qq", "-s", "256", "-o", log, "-e",
		"trace=execve,open,openat,openat2,creat,mkdir,mkdirat,unlink,unlinkat,rmdir,rename,renameat,renameat2,link,linkat,symlink,"
		"symlinkat,mknod,mknodat,chmod,fchmod,fchmodat,chown,fchown,fchownat,lchown,truncate,ftruncate,utimensat,mount,setxattr" };
	for (size_t i = 0, n = 10; shell[i]; i++)
		argv[n++] = shell[i];
	struct command command = { .argv = argv, .input = wants_script(tree_wants(&arena), &arena), .deadline_ms = 50000 };
	struct outcome outcome = {0};
	assert_int_equal(spawn_run(&command, &arena, &outcome), 0);
	if (outcome.status) {
		unlink(log);
		print_message("strace cannot trace here: %s\n", outcome.err.data);
		return;
	}
	struct bytes trace = test_read(&arena, log), line;
	unlink(log);
	size_t opened = 0;
	for (size_t cursor = 0; text_line(trace, &cursor, &line);) {
		const char *call = arena_strndup(&arena, line.data, line.size);
		if (!harmless_call(call))
			fail_msg("%s: %s", shell[0], call);
		opened += strstr(call, "/plain\"") != NULL;
		/* which program the script really ran */
		const char *run = strstr(call, "execve(\"");
		if (only && run && strstr(call, ") = 0") && !strstr(run, only) && !strstr(run, "/usr/bin/env"))
			fail_msg("not of busybox: %s", call);
	}
	assert_true(opened > 0); /* the trace did see it */
}

static void writes_nothing(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	writes_nothing_with(dash, NULL);
	writes_nothing_with(bash, NULL);
	if (busybox(&arena))
		writes_nothing_with(busybox(&arena), applets + 1);
	remove_applets(&arena);
}

static void a_cut_script_does_nothing(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct bytes script = wants_script(few_wants(&arena), &arena);
	for (size_t size = script.size / 2; size + 40 < script.size; size += 97) {
		struct command command = { .argv = dash, .input = { script.data, size } };
		struct outcome outcome = {0};
		assert_int_equal(spawn_run(&command, &arena, &outcome), 0);
		assert_int_equal(outcome.out.size, 0);
	}
}

/* ---- the parser ------------------------------------------------------------------------ */

static void same_but_less(const struct tape_target *whole, struct tape_target *part)
{
	for (size_t i = 0; i < part->n; i++) {
		const struct tape_entry *less = &part->entries[i];
		if (less->implied)
			continue;
		const struct tape_entry *full = NULL;
		for (size_t j = 0; j < whole->n && !full; j++)
			if (strcmp(whole->entries[j].path, less->path) == 0)
				full = &whole->entries[j];
		if (!full)
			fail_msg("%s is not there", less->path);
		assert_true(full->listed || !less->listed);
		if (!less->has_data && !less->error)
			continue;
		if (less->error == EIO || less->error == EBADMSG)
			continue;
		assert_int_equal(less->error, full->error);
		assert_int_equal(less->has_data, full->has_data);
		assert_int_equal(less->data.size, full->data.size);
		assert_memory_equal(less->data.data, full->data.data, full->data.size);
	}
}

static void keeps_what_came_whole(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct bytes answer = answer_of(&arena, dash, wants_script(few_wants(&arena), &arena));
	struct tape_target *whole = parsed(&arena, answer, true);
	size_t most = 0;
	for (size_t size = 0; size + 1 < answer.size; size += size + 40 < answer.size ? 1 + answer.size / 500 : 1) {
		struct tape_target *part = parsed(&arena, arena_bytes(&arena, answer.data, size), false);
		same_but_less(whole, part);
		most = part->n_runs > most ? part->n_runs : most;
	}
	assert_int_equal(most, 1);
}

static void tolerates_a_greeting_and_line_ends(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct bytes answer = answer_of(&arena, dash, wants_script(few_wants(&arena), &arena));
	static const char greeting[] = "\r\nWelcome to pve!\n@home is where\n\xff\n@gpuferry-frames 2 x\n\n";
	char *text = arena_alloc(&arena, answer.size * 2 + sizeof greeting), *out = stpcpy(text, greeting);
	for (size_t i = 0; i < answer.size; i++) {
		if (answer.data[i] == '\n')
			*out++ = '\r';
		*out++ = answer.data[i];
	}
	struct tape_target *whole = parsed(&arena, answer, true);
	struct tape_target *other = parsed(&arena, (struct bytes){ text, (size_t)(out - text) }, true);
	same_but_less(whole, other);
	assert_int_equal(whole->n, other->n);
}

static void refuses_what_is_garbled(void **state)
{
	(void)state;
#define START "@gpuferry-frames 1 base64\n"
	static const char *const streams[] = {
		"",
		"Welcome\n",
		"@gpuferry-frames 1 rot13\n@end\n",
		START,
		START "@end of all\n",
		START "@n relative\n@end\n",
		START "@n \n@end\n",
		START "@s 81a4 0 0 0 0 6 99999999999999999999 /a\n@end\n",
		START "@s zz 0 0 0 0 6 1 /a\n@end\n",
		START "@s 81a4 0 0\n@end\n",
		START "@s 81a4 0 0 0 0 6 1 \"/a\n@end\n",
		START "@s a1ff 0 0 0 0 6 1 \"/a\" -> \"\\9\"\n@end\n",
		START "@s a1ff 0 0 0 0 6 1 \"/a\" -> \"b\" c\n@end\n",
		START "@s a1ff 0 0 0 0 6 1 \"/a\" > \"b\"\n@end\n",
		START "@n /a\n@d\nname\n@end\n",
		START "@n /a\n@d\n/a/b\n@end\n",
		START "@n /a\n@F 10\n!!!!\n@e 0\n@end\n",
		START "@n /a\n@F ten\nYQ==\n@e 0\n@end\n",
		START "@q 0\n@end\n",
		START "noise\n@end\n",
		START "@f 5\n/a\n@b\nYWJj\n@e 0\n@end\n",
	};
	for (size_t i = 0; i < COUNT(streams); i++) {
		struct arena arena ARENA_SCOPED = {0};
		struct tape_target *target = parsed(&arena, bytes_of(streams[i]), false);
		for (size_t j = 0; j < target->n; j++)
			assert_false(target->entries[j].has_data);
	}
	/* what is beside the damage stays */
	struct arena arena ARENA_SCOPED = {0};
	struct tape_target *target = parsed(&arena, bytes_of(START "@x\nnoise\n@n /a\n@F 3\nYWJj\n@e 0\n@n /b\n@F 2\nYWJj\n@e 0\n@end\n"), false);
	const struct tape_entry *entry = tape_find(target, "/a");
	assert_non_null(entry);
	assert_string_equal(entry->data.data, "abc");
	assert_int_equal(tape_find(target, "/b")->error, EFBIG);
}

static struct bytes batch(struct arena *arena, const char *text)
{
	return bytes_of(arena_printf(arena, START "@f 100\n/a\n/b\n/c\n@b\n%s\n@e 0\n@end\n", text_base64(arena, bytes_of(text))));
}

static void believes_no_forged_file(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	/* a file that holds the header of the next one, which then comes itself */
	static const char *const forged[] = {
		"==> /a <==\nx\n\n==> /b <==\nforged\n\n==> /b <==\nreal\n\n==> /c <==\n\n==> /dev/null <==\n",
		"==> /a <==\nx\n\n==> /c <==\nforged\n\n==> /b <==\nreal\n\n==> /c <==\n\n==> /dev/null <==\n",
		"==> /a <==\nx\n\n==> /dev/null <==\n\n==> /b <==\nreal\n\n==> /dev/null <==\n",
		"==> /a <==\nx\n\n==> /dev/null <==\nmore\n",
		"==> /a <==\n==> /b <==\nforged\n",
		"junk\n==> /a <==\nx\n\n==> /dev/null <==\n",
	};
	for (size_t i = 0; i < COUNT(forged); i++) {
		struct tape_target *target = parsed(&arena, batch(&arena, forged[i]), false);
		assert_int_equal(tape_find(target, "/a")->error, EBADMSG);
		assert_int_equal(tape_find(target, "/b")->error, EBADMSG);
		assert_false(tape_find(target, "/b")->has_data);
	}
	struct tape_target *target = parsed(&arena, batch(&arena, "==> /a <==\n==> /x <==\n\n==> /c <==\nc\n==> /dev/null <==\n"), true);
	assert_string_equal(tape_find(target, "/a")->data.data, "==> /x <==\n");
	assert_null(tape_find(target, "/b")); /* head could not open it, and nobody said why */
	assert_string_equal(tape_find(target, "/c")->data.data, "c");
}

static void hides_secrets(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct redactor *redactor = redact_new(&arena);
	redact_secret(redactor, "sesame-opens-it");
	struct tape_target *target = tape_target(tape_new(&arena, 0), &arena, "there");
	struct err err = {0};
	struct bytes stream = bytes_of(arena_printf(&arena, START "@n /a\n@F 99\n%s\n@e 0\n@r 99\nZWNobwo=\n@c\n%s\n@q 0\n%s\n@end\n",
		text_base64(&arena, bytes_of("key sesame-opens-it\n")), text_base64(&arena, bytes_of("out sesame-opens-it\n")),
		text_base64(&arena, bytes_of("err sesame-opens-it\n"))));
	assert_true(wants_parse(stream, redactor, target, &arena, &err));
	assert_int_equal(target->n, 1);
	assert_int_equal(target->n_runs, 1);
	assert_null(strstr(target->entries[0].data.data, "sesame"));
	assert_null(strstr(target->runs[0].outcome.out.data, "sesame"));
	assert_null(strstr(target->runs[0].outcome.err.data, "sesame"));
}

static void knows_what_is_gone(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct tape_target *target = parsed(&arena, bytes_of(START "@n /p/1\n@d\n/0\n/1\n/.x\n@n /p/2\n@d\n/0\n"
		"@s a1ff 0 0 0 0 1 1 \"/p/1/0\" -> \"x\"\n@g /p/[0-9]/*\n@n /q\n@d\n/0\n@end\n"), true);
	assert_int_equal(tape_find(target, "/p/1/0")->error, 0);
	assert_int_equal(tape_find(target, "/p/1/1")->error, ENOENT);
	assert_int_equal(tape_find(target, "/p/2/0")->error, ENOENT);
	assert_int_equal(tape_find(target, "/p/1/.x")->error, 0);
	assert_int_equal(tape_find(target, "/q/0")->error, 0);
}

static void follows_no_loop(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct bytes stream = bytes_of(START "@s a1ff 0 0 0 0 1 1 \"/a\" -> \"b\"\n@s a1ff 0 0 0 0 1 1 \"/b\" -> \"a\"\n@n /a/x\n@F 9\nYQ==\n@e 0\n"
				       "@s a1ff 0 0 0 0 1 1 \"/l\" -> \"../../../\\145tc\"\n@n /l/x\n@F 9\nYQ==\n@e 0\n@end\n");
	struct tape_target *target = parsed(&arena, stream, true);
	assert_null(tape_find(target, "/a/x"));
	assert_non_null(tape_find(target, "/etc/x"));
}

/* ---- the tables -------------------------------------------------------------------------- */

static void tables_are_sound(void **state)
{
	(void)state;
	const struct want *const tables[] = { wants_node, wants_inside };
	for (size_t i = 0; i < COUNT(tables); i++) {
		struct arena arena ARENA_SCOPED = {0};
		for (const struct want *want = tables[i]; want->kind != WANT_END; want++) {
			if (want->kind == WANT_RUN || want->kind == WANT_EACH) {
				assert_int_equal(want->kind == WANT_EACH, want->each != NULL);
				assert_int_equal(want->kind == WANT_EACH, strstr(want->what, "{}") || strstr(want->what, "{*}"));
				continue;
			}
			const char *good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.:,+@%=-*?[]!";
			if (want->what[0] != '/' || want->what[strspn(want->what, good)] || strstr(want->what, "/../"))
				fail_msg("%s", want->what);
			/* opening any other device may do something */
			if (want->kind == WANT_OPEN)
				assert_true(text_starts(want->what, "/dev/dri/renderD"));
			for (const struct want *other = tables[i]; other < want; other++)
				if (other->kind == want->kind && strcmp(other->what, want->what) == 0)
					fail_msg("%s stands there twice", want->what);
		}
		struct bytes script = wants_script(tables[i], &arena), again = wants_script(tables[i], &arena);
		assert_int_equal(script.size, again.size);
		assert_memory_equal(script.data, again.data, script.size);
		assert_true(script.size < HOP_QM_INPUT_MAX / 8);
		assert_null(strstr(script.data, "<<")); /* bash keeps here-documents in files */
	}
}

static void says_what_is_covered(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		bool covered;
	} paths[] = {
		{ "/sys/bus/pci/devices", true },
		{ "/sys/bus/pci/devices/0000:01:00.0", true },
		{ "/sys/bus/pci/devices/0000:01:00.0/vendor", true },
		{ "/sys/bus/pci/devices/0000:01:00.0/serial", false },
		{ "/sys/bus/pci/devices/a/b/vendor", false },
		{ "/etc/modprobe.d/vfio.conf", true },
		{ "/etc/modprobe.d/.hidden", false },
		{ "/etc/shadow", false },
		{ "/proc/1/comm", true },
		{ "/proc/self/comm", false },
		{ "/", false },
	};
	for (size_t i = 0; i < COUNT(paths); i++)
		if (wants_cover(wants_node, paths[i].path) != paths[i].covered)
			fail_msg("%s", paths[i].path);
	static const struct {
		const char *argv[6];
		bool covered;
	} commands[] = {
		{ { "qm", "list" }, true },
		{ { "qm" }, false },
		{ { "qm", "list", "--full" }, false },
		{ { "zpool", "list", "-vHP", "rpool" }, true },
		{ { "zpool", "list", "-vHP" }, false },
	};
	for (size_t i = 0; i < COUNT(commands); i++)
		assert_int_equal(wants_cover_command(wants_node, commands[i].argv), commands[i].covered);
	static const char *const info[] = { "docker", "info", "--format", WANTS_DOCKER_INFO, NULL };
	static const char *const both[] = { "docker", "inspect", "--format", WANTS_DOCKER_INSPECT, "aa", "bb", NULL };
	static const char *const none[] = { "docker", "inspect", "--format", WANTS_DOCKER_INSPECT, NULL };
	assert_true(wants_cover_command(wants_inside, info));
	assert_true(wants_cover_command(wants_inside, both));
	assert_false(wants_cover_command(wants_inside, none));
}

/* The whole table on this machine: it ends, it is complete, and this is how long it takes. */
static void reads_this_machine(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct timespec before, after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	struct bytes answer = answer_of(&arena, dash, wants_script(wants_node, &arena));
	clock_gettime(CLOCK_MONOTONIC, &after);
	struct tape_target *target = parsed(&arena, answer, true);
	print_message("%zu entries, %zu bytes, %.2f s\n", target->n, answer.size,
		(double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9);
	const struct tape_entry *version = tape_find(target, "/proc/version");
	assert_non_null(version);
	struct bytes direct = test_read(&arena, "/proc/version");
	assert_int_equal(version->data.size, direct.size);
	assert_memory_equal(version->data.data, direct.data, direct.size);
	answer = answer_of(&arena, dash, wants_script(wants_inside, &arena));
	assert_true(parsed(&arena, answer, true)->n > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_with_dash),
		cmocka_unit_test(reads_with_bash),
		cmocka_unit_test(reads_with_busybox),
		cmocka_unit_test(reads_without_base64),
		cmocka_unit_test(tells_denied_from_absent),
		cmocka_unit_test(writes_nothing),
		cmocka_unit_test(a_cut_script_does_nothing),
		cmocka_unit_test(keeps_what_came_whole),
		cmocka_unit_test(tolerates_a_greeting_and_line_ends),
		cmocka_unit_test(refuses_what_is_garbled),
		cmocka_unit_test(believes_no_forged_file),
		cmocka_unit_test(hides_secrets),
		cmocka_unit_test(knows_what_is_gone),
		cmocka_unit_test(follows_no_loop),
		cmocka_unit_test(tables_are_sound),
		cmocka_unit_test(says_what_is_covered),
		cmocka_unit_test(reads_this_machine),
	};
	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
