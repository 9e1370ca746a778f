/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The program by which Proxmox's own modules change a CT's raw lxc lines, run by a real perl over modules that stand in
 * for Proxmox's (tests/perl), and by the machine that behaves: both leave the same file, and both refuse the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sha1.h>

#include "facts/pve.h"
#include "rehearsed.h"

#define OLD                                                                                                            \
	"arch: amd64\nhostname: media\nunprivileged: 1\n"                                                              \
	"lxc.cgroup2.devices.allow: c 226:128 rwm\n"                                                                   \
	"lxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir\n"
#define SUM "SUM" /* of the file as it is */

static const struct {
	const char *name, *file, *digest;
	const char *lines[6];
	bool refused;
} cases[] = {
	{ "all go", OLD, SUM, { NULL }, false },
	{ "one stays", OLD, SUM, { "lxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir" }, false },
	{ "put back in their order", "arch: amd64\nhostname: media\n", SUM,
	        { "lxc.cgroup2.devices.allow: c 226:128 rwm", "lxc.idmap: u 0 100000 65536",
	                "lxc.cgroup2.devices.allow: c 226:128 rwm" },
	        false },
	{ "a value with colons, quotes and blanks", OLD, SUM,
	        { "lxc.environment: A=b: c", "lxc.hook.mount: sh -c 'mknod $x; \"y\"'" }, false },
	{ "written by hand, with equal signs", "arch: amd64\nlxc.idmap = u 0 100000 65536\n", SUM,
	        { "lxc.idmap: u 0 100000 65536", "lxc.mount.auto: sys:ro" }, false },
	{ "whatever the file is", OLD, "", { NULL }, false },
	{ "somebody else has changed it", OLD, "da39a3ee5e6b4b0d3255bfef95601890afd80709", { NULL }, true },
	{ "a backup holds it", "arch: amd64\nlock: backup\nlxc.mount.auto: sys\n", SUM, { NULL }, true },
};

static struct words argv_of(struct arena *arena, size_t i, const char *digest)
{
	struct words words = { 0 };
	const char *const begin[] = { "perl", "-e", pve_raw_program, "105", digest };
	for (size_t word = 0; word < sizeof begin / sizeof *begin; word++)
		*arena_push(arena, words.word, words.n) = begin[word];
	for (size_t line = 0; cases[i].lines[line]; line++)
		*arena_push(arena, words.word, words.n) = cases[i].lines[line];
	*arena_push(arena, words.word, words.n) = NULL;
	return words;
}

static const char *model_text_of(struct arena *arena, size_t i, const char *digest, int *ret_status)
{
	struct stage stage;
	struct outcome outcome = { 0 };
	struct bytes text;
	stage_open(&stage, "file /etc/hostname\n\tpve\ndir /etc/pve/nodes/pve/lxc\ndir /etc/pve/nodes/pve/qemu-server\n"
	                   "link /etc/pve/lxc nodes/pve/lxc\nlink /etc/pve/qemu-server nodes/pve/qemu-server\n"
	                   "file /etc/pve/nodes/pve/lxc/105.conf\n\tarch: amd64\n");
	assert_true(rehearse_edit(stage.rehearse, "/etc/pve/nodes/pve/lxc/105.conf", bytes_of(cases[i].file)));
	struct words argv = argv_of(arena, i, digest);
	assert_int_equal(world_run(stage.node, &(struct command){ .argv = argv.word }, arena, &outcome), 0);
	*ret_status = outcome.status;
	assert_int_equal(world_read(stage.node, "/etc/pve/lxc/105.conf", 0, arena, &text), 0);
	const char *kept = arena_strndup(arena, text.data, text.size);
	stage_close(&stage);
	return kept;
}

static const char *perl_text_of(struct arena *arena, size_t i, const char *digest, int *ret_status)
{
	char path[] = "/tmp/gpuferry-raw-XXXXXX", read[4096] = "";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, cases[i].file, strlen(cases[i].file)), (ssize_t)strlen(cases[i].file));
	close(fd);
	const char *modules = arena_printf(arena, "%s/tests/perl", getenv("GPUFERRY_SOURCE"));
	struct words argv = argv_of(arena, i, digest);
	setenv("CONF", path, 1);
	setenv("PERL5LIB", modules, 1);
	const char *line = arena_printf(arena, "%s 2>/dev/null", text_sh_line(arena, argv.word));
	int status = system(line); // NOLINT(cert-env33-c): each word is quoted
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t size = fread(read, 1, sizeof read - 1, file);
	fclose(file);
	unlink(path);
	return arena_strndup(arena, read, size);
}

static const char *sum_of(struct arena *arena, const char *text)
{
	char *digest = arena_alloc(arena, SHA1_DIGEST_STRING_LENGTH);
	return SHA1Data((const uint8_t *)text, strlen(text), digest);
}

static void test_both(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena arena = { 0 };
		int model, perl;
		bool sum = strcmp(cases[i].digest, SUM) == 0;
		const char *digest = sum ? sum_of(&arena, cases[i].file) : cases[i].digest;
		const char *modelled = model_text_of(&arena, i, digest, &model);
		const char *real = perl_text_of(&arena, i, digest, &perl);
		if (strcmp(modelled, real) != 0)
			fail_msg("%s:\n--- perl\n%s--- model\n%s", cases[i].name, real, modelled);
		if ((model != 0) != cases[i].refused || (perl != 0) != cases[i].refused)
			fail_msg("%s: perl ends with %d, the model with %d", cases[i].name, perl, model);
		if (cases[i].refused)
			assert_string_equal(real, cases[i].file);
		arena_release(&arena);
	}
}

/* Lines of the active section alone, in their order, as PVE would write them. */
static void test_lines(void **state)
{
	(void)state;
	struct arena arena = { 0 };
	struct guest guest = { 0 };
	pve_parse_guest(bytes_of("lxc.mount.auto = sys \narch: amd64\nlxc.cap.drop: x\nlxc.mount.auto: sys\n"
	                         "lxc.nonsense: 1\n\n[snap]\nlxc.cap.drop: y\n"), GUEST_CT, &arena,
	        &guest);
	assert_string_equal(pve_raw_lines(&guest, &arena), "lxc.mount.auto: sys\nlxc.cap.drop: x\nlxc.mount.auto: sys");
	pve_parse_guest(bytes_of("arch: amd64\n"), GUEST_CT, &arena, &guest);
	assert_string_equal(pve_raw_lines(&guest, &arena), NONE);
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_both), cmocka_unit_test(test_lines) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
