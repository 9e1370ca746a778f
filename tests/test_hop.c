/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sys/hop.h"

#include "test.h"

static const char *const hello[] = { "echo", "a b", "it's", NULL };
static const char *const script[] = { "sh", "-s", NULL };

static const char *wrapped_line(struct arena *arena, enum hop_kind kind, const char *where, struct command command)
{
	struct hop hop = { kind, where };
	return text_sh_line(arena, hop_wrap(&hop, &command, arena).argv);
}

static void wraps_each_transport(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct command plain = { .argv = hello }, fed = { .argv = script, .input = bytes_of("true"), .deadline_ms = 2500 };
	const char *ssh = wrapped_line(&arena, HOP_SSH, "ssh://root@[fe80::1]:2222", plain);
	assert_true(text_starts(ssh, "ssh -o BatchMode=yes -o ConnectTimeout=10 "));
	assert_non_null(strstr(ssh, " -T -p 2222 -- root@fe80::1 "));
	/* the far shell gets one string that it takes apart into the same words */
	assert_true(text_ends(ssh, " 'echo '\\''a b'\\'' '\\''it'\\''\\'\\'''\\''s'\\'''"));
	assert_string_equal(wrapped_line(&arena, HOP_QM, "100", plain), "qm guest exec 100 --timeout 10 -- echo 'a b' 'it'\\''s'");
	assert_string_equal(wrapped_line(&arena, HOP_QM, "100", fed), "qm guest exec 100 --timeout 3 --pass-stdin 1 -- sh -s");
	assert_string_equal(wrapped_line(&arena, HOP_PCT, "105", fed), "pct exec 105 -- sh -s");
	assert_string_equal(wrapped_line(&arena, HOP_DOCKER, "emby", fed), "docker exec -i -- emby sh -s");
	assert_string_equal(wrapped_line(&arena, HOP_DOCKER, "emby", plain), "docker exec -- emby echo 'a b' 'it'\\''s'");
	assert_string_equal(wrapped_line(&arena, HOP_NONE, "", fed), "sh -s");
}

static void keeps_the_words_through_a_chain(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct hop hops[] = { { HOP_SSH, "root@pve" }, { HOP_QM, "100" }, { HOP_DOCKER, "emby" } };
	struct command command = { .argv = hello, .input = bytes_of("x"), .deadline_ms = 1000 };
	for (size_t i = COUNT(hops); i-- > 0;)
		command = hop_wrap(&hops[i], &command, &arena);
	size_t n = 0;
	while (command.argv[n])
		n++;
	assert_string_equal(command.argv[n - 2], "root@pve");
	assert_string_equal(command.argv[n - 1], "qm guest exec 100 --timeout 11 --pass-stdin 1 -- docker exec -i -- emby "
						 "echo 'a b' 'it'\\''s'");
	/* each hop adds its own time, or the outer one would end the inner one too early */
	assert_true(command.deadline_ms > 11000 + 15000);
	struct command endless = { .argv = hello, .deadline_ms = 0xfffffff0 };
	assert_int_equal(hop_wrap(&hops[0], &endless, &arena).deadline_ms, 0xffffffff);
}

static void reads_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *text, *where;
	} table[] = {
		{ "root@pve", "root@pve" },
		{ "pve", "pve" },
		{ "ssh://root@pve", "root@pve" },
		{ "ssh://root@pve/", "root@pve" },
		{ "ssh://root@pve:2222", "ssh://root@pve:2222" },
		{ "ssh://pve.home.lan:22", "ssh://pve.home.lan:22" },
		{ "ssh://u@[::1]:22", "ssh://u@[::1]:22" },
		{ "ssh://[fe80::1%vmbr0]", "fe80::1%vmbr0" },
		{ "u@fe80::1", "u@fe80::1" },
		{ "DOM\\me@host", "DOM\\me@host" },
		{ "me@example.org@host", "me@example.org@host" },
		{ "", NULL },
		{ "ssh://", NULL },
		{ "@", NULL },
		{ "@host", NULL },
		{ "root@", NULL },
		{ "-oProxyCommand=reboot", NULL },
		{ "ssh://-oProxyCommand=reboot", NULL },
		{ "root@-oProxyCommand=reboot", NULL },
		{ "-l@host", NULL },
		{ "ssh://-l@host", NULL },
		{ "root@a b", NULL },
		{ "root@host\n", NULL },
		{ "ro\tot@host", NULL },
		{ "root@h\x1b[31m", NULL },
		{ "root@host;reboot", NULL },
		{ "root@$(reboot)", NULL },
		{ "root@host:2222", NULL },
		{ "ssh://root@host:0", NULL },
		{ "ssh://root@host:65536", NULL },
		{ "ssh://root@host:22x", NULL },
		{ "ssh://root@host:", NULL },
		{ "ssh://root@[::1", NULL },
		{ "ssh://root@[::1]x", NULL },
		{ "ssh://root@[host]", NULL },
		{ "ssh://root@[::1%-x]", NULL },
		{ "ssh://root:secret@host", NULL },
		{ "ssh://root@host/path", NULL },
		{ "ssh://root@h\xc3\xb6st", NULL },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct arena arena ARENA_SCOPED = {0};
		struct hop hop = { HOP_NONE, "untouched" };
		struct err err = {0};
		bool good = hop_parse_ssh(table[i].text, &arena, &err, &hop);
		if (good != (table[i].where != NULL))
			fail_msg("%s: %s", table[i].text, good ? hop.where : err.text);
		if (good) {
			assert_int_equal(hop.kind, HOP_SSH);
			assert_string_equal(hop.where, table[i].where);
		} else {
			assert_int_equal(err.kind, ERR_USAGE);
			assert_null(strstr(err.text, "secret"));
			assert_true(*err.text && *err.hint && !strpbrk(err.text, "\n\x1b"));
			assert_string_equal(hop.where, "untouched");
		}
	}
}

static void never_hands_ssh_an_option(void **state)
{
	(void)state;
	/* a hop that was not read by hop_parse_ssh */
	struct arena arena ARENA_SCOPED = {0};
	struct command plain = { .argv = hello };
	const char *line = wrapped_line(&arena, HOP_SSH, "-oProxyCommand=reboot", plain);
	assert_null(strstr(line, "reboot"));
	assert_non_null(strstr(line, " -- invalid.invalid "));
}

static bool unwrap(enum hop_kind kind, struct outcome outer, struct arena *arena, struct err *err, struct outcome *ret)
{
	struct hop hop = { kind, "100" };
	return hop_unwrap(&hop, &outer, arena, err, ret);
}

static void reads_the_agents_answer(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	struct err err = {0};
	struct outcome got = {0};
	struct outcome said = { .out = bytes_of("{\"exited\":1,\"exitcode\":3,\"out-data\":\"a\\u0000b\\n\xc3\xa9\xff\","
						"\"err-data\":\"e\",\"out-truncated\":1}") };
	assert_true(unwrap(HOP_QM, said, &arena, &err, &got));
	assert_int_equal(got.status, 3);
	assert_true(got.cut);
	assert_int_equal(got.out.size, 7);
	assert_memory_equal(got.out.data, "a\0b\n\xc3\xa9\xff", 7);
	assert_string_equal(got.err.data, "e");

	said.out = bytes_of("{\"exited\":true,\"signal\":9}");
	assert_true(unwrap(HOP_QM, said, &arena, &err, &got));
	assert_int_equal(got.status, 137);
	assert_false(got.cut);
	assert_int_equal(got.out.size, 0);

	struct outcome untouched = got;
	said.out = bytes_of("{\n   \"pid\" : 642\n}\n");
	said.err = bytes_of("timeout reached, returning pid\n");
	assert_false(unwrap(HOP_QM, said, &arena, &err, &got));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_memory_equal(&untouched, &got, sizeof got);

	static const char *const bad[] = { "", "[]", "{", "{\"exited\":1}{", "{\"exited\":1,\"exited\":0}", "null", "\xff" };
	for (size_t i = 0; i < COUNT(bad); i++) {
		said = (struct outcome){ .out = bytes_of(bad[i]) };
		assert_false(unwrap(HOP_QM, said, &arena, &err, &got));
		assert_int_equal(err.kind, ERR_SYSTEM);
		assert_memory_equal(&untouched, &got, sizeof got);
	}
	/* numbers that are none of ours */
	said.out = bytes_of("{\"exited\":1,\"exitcode\":4294967296,\"out-data\":7}");
	assert_true(unwrap(HOP_QM, said, &arena, &err, &got));
	assert_int_equal(got.status, 255);
}

static void every_byte_comes_through_the_agent(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = {0};
	for (unsigned byte = 0; byte < 256; byte++) {
		char text[] = "{\"exited\":1,\"exitcode\":0,\"out-data\":\"????????\"}";
		char *at = strstr(text, "????????");
		if (byte < 0x20 || byte == '"' || byte == '\\') {
			char escape[16];
			snprintf(escape, sizeof escape, "\\u%04x", byte);
			memcpy(at, escape, 6);
			memmove(at + 6, at + 8, strlen(at + 8) + 1);
		} else {
			*at = (char)byte;
			memmove(at + 1, at + 8, strlen(at + 8) + 1);
		}
		struct outcome got = {0};
		struct err err = {0};
		assert_true(unwrap(HOP_QM, (struct outcome){ .out = bytes_of(text) }, &arena, &err, &got));
		assert_int_equal(got.out.size, 1);
		assert_int_equal((unsigned char)got.out.data[0], byte);
	}
}

static void tells_transport_from_answer(void **state)
{
	(void)state;
	static const struct {
		enum hop_kind kind;
		int status;
		const char *err;
		int answer; /* -1: an error */
		const char *says, *hint;
	} table[] = {
		{ HOP_SSH, 0, "motd", 0 },
		{ HOP_SSH, 1, "Permission denied (x)", 1 },
		{ HOP_SSH, 255, "me@pve: Permission denied (publickey,password).\r\n", -1, "Permission denied", "ssh-copy-id" },
		{ HOP_SSH, 255, "No ED25519 host key is known\nHost key verification failed.\n", -1, "Host key", "accept its key" },
		{ HOP_SSH, 255, "ssh: Could not resolve hostname pve: Name or service not known\n", -1, "resolve", "IP address" },
		{ HOP_SSH, 255, "ssh: connect to host pve port 22: Connection refused\n", -1, "refused", "sshd" },
		{ HOP_SSH, 255, "", -1, "no reason given", "by hand" },
		{ HOP_SSH, 255, "\x1b]0;evil\x07 bad\n\n", -1, "\\x1b", "by hand" },
		{ HOP_QM, 255, "No QEMU guest agent configured\n", -1, "not enabled", "agent: 1" },
		{ HOP_QM, 255, "QEMU guest agent is not running\n", -1, "does not answer", "qemu-guest-agent" },
		{ HOP_QM, 2, "VM 100 is not running\n", -1, "VM is not running", "qm start" },
		{ HOP_QM, 255, "VM 100 qga command 'guest-exec' failed - got timeout\n", -1, "does not answer", "agent" },
		{ HOP_QM, 255, "Agent error: Command guest-exec has been disabled\n", -1, "does not allow", "guest-exec" },
		{ HOP_QM, 2, "Configuration file 'nodes/pve/qemu-server/100.conf' does not exist\n", -1, "no such VM", "qm list" },
		{ HOP_QM, 29, "Agent error: Failed to execute child process \xe2\x80\x9c/x\xe2\x80\x9d (No such file or directory)\n", 127 },
		{ HOP_QM, 29, "unheard of\n", -1, "unheard of", "by hand" },
		{ HOP_PCT, 255, "container '200' not running!\n", -1, "not running", "pct start" },
		{ HOP_PCT, 255, "perl: warning: x\ncontainer '200' not running!\n", -1, "not running", "pct start" },
		{ HOP_PCT, 2, "Configuration file 'nodes/pve/lxc/999.conf' does not exist\n", -1, "no such container", "pct list" },
		{ HOP_PCT, 1, "cat: /x does not exist\n", 1 },
		{ HOP_PCT, 255, "", 255 },
		{ HOP_PCT, 127, "lxc-attach: 200: ../src/lxc/attach.c: lxc_attach_run_command: 1841 No such file or directory - "
				"Failed to exec \"sh\"\n", 127 },
		{ HOP_PCT, 1, "lxc-attach: 200: Failed to attach\n", -1, "Failed to attach", "by hand" },
		{ HOP_DOCKER, 1, "Error response from daemon: No such container: 100\n", -1, "no such docker", "docker ps" },
		{ HOP_DOCKER, 1, "Error: No such container: 100\n", -1, "no such docker", "docker ps" },
		{ HOP_DOCKER, 1, "Error response from daemon: Container 1f is not running\n", -1, "not running", "docker ps" },
		{ HOP_DOCKER, 1, "postgres is not running\n", 1 },
		{ HOP_DOCKER, 1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n", -1, "does not answer", "systemctl" },
		{ HOP_DOCKER, 126, "OCI runtime exec failed: exec failed: unable to start container process: exec: \"sh\": "
				   "executable file not found in $PATH: unknown\n", 127 },
		{ HOP_DOCKER, 5, "", 5 },
		{ HOP_DOCKER, 127, "bash: line 1: docker: command not found\n", -1, "not installed", "" },
		{ HOP_QM, 127, "sh: 1: qm: not found\n", -1, "no Proxmox VE host", "host it runs on" },
		{ HOP_PCT, 127, "bash: line 1: pct: command not found\n", -1, "no Proxmox VE host", "host it runs on" },
		{ HOP_PCT, 127, "sh: 1: vainfo: not found\n", 127 },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct arena arena ARENA_SCOPED = {0};
		struct err err = {0};
		struct outcome got = { .status = -7 };
		struct outcome outer = { .status = table[i].status, .err = bytes_of(table[i].err) };
		bool answered = unwrap(table[i].kind, outer, &arena, &err, &got);
		if (answered != (table[i].answer >= 0))
			fail_msg("%s: %s", table[i].err, answered ? "an answer" : err.text);
		if (answered) {
			assert_int_equal(got.status, table[i].answer);
			continue;
		}
		assert_int_equal(got.status, -7);
		if (!strstr(err.text, table[i].says) || !strstr(err.hint, table[i].hint))
			fail_msg("%s: %s (%s)", table[i].err, err.text, err.hint);
	}
	struct arena arena ARENA_SCOPED = {0};
	struct err err = {0};
	struct outcome got = {0};
	for (enum hop_kind kind = HOP_SSH; kind <= HOP_DOCKER; kind++) {
		assert_false(unwrap(kind, (struct outcome){ .timed_out = true }, &arena, &err, &got));
		assert_int_equal(err.kind, ERR_TIMEOUT);
	}
}

/* One command of a transcript: "$ qm guest exec ...", what it printed, "[rc=N]". */
struct session {
	const char *command;
	struct bytes printed;
	int status;
};

static bool next_session(struct bytes text, size_t *cursor, struct arena *arena, struct session *ret)
{
	struct bytes line;
	bool open = false;
	size_t start = 0;
	for (size_t before = *cursor; text_line(text, cursor, &line); before = *cursor) {
		const char *words = text_trimmed(arena, line);
		if (text_starts(words, "$ ")) {
			ret->command = words + 2;
			start = *cursor;
			open = true;
		} else if (open && text_starts(words, "[rc=")) {
			ret->status = atoi(words + 4);
			ret->printed = (struct bytes){ text.data + start, before - start };
			return true;
		}
	}
	return false;
}

static void reads_what_real_tools_print(void **state)
{
	(void)state;
	const char *folder = test_data("GPUFERRY_TRANSCRIPTS");
	if (!folder) {
		print_message("no transcripts beside the checkout\n");
		skip();
	}
	static const char *const files[] = { "s1-vm-basic-pve8.txt", "s1-vm-basic-pve9.txt", "s3-ct-pve8.txt", "s3-ct-pve9.txt",
		"s5-running-pve8.txt", "s5-running-pve9.txt" };
	static const struct {
		const char *command;
		int status; /* -1: an error that holds `says` */
		const char *says;
	} expected[] = {
		{ "qm guest exec 100 -- /bin/echo hello", 0, "hello\n" },
		{ "qm guest exec 100 -- /bin/sh -c echo err >&2; exit 3", 3, "" },
		{ "qm guest exec 100 -- /bin/nosuch", 127, "" },
		{ "qm guest exec 100 --timeout 0 -- /bin/true", 0, "" },
		{ "qm guest exec 100 -- true", -1, "not enabled" },
		{ "qm guest exec 100 -- /bin/true", -1, "not running" },
		{ "pct exec 200 -- true", -1, "not running" },
	};
	struct arena arena ARENA_SCOPED = {0};
	unsigned seen = 0;
	for (size_t i = 0; i < COUNT(files); i++) {
		struct bytes text = test_read(&arena, arena_printf(&arena, "%s/%s", folder, files[i]));
		struct session session;
		for (size_t cursor = 0; next_session(text, &cursor, &arena, &session);) {
			for (size_t j = 0; j < COUNT(expected); j++) {
				if (strcmp(session.command, expected[j].command) != 0)
					continue;
				struct outcome outer = { .status = session.status, .out = session.printed };
				if (session.status)
					outer = (struct outcome){ .status = session.status, .err = session.printed };
				struct outcome got = {0};
				struct err err = {0};
				enum hop_kind kind = text_starts(session.command, "pct") ? HOP_PCT : HOP_QM;
				bool answered = unwrap(kind, outer, &arena, &err, &got);
				assert_int_equal(answered, expected[j].status >= 0);
				if (answered) {
					assert_int_equal(got.status, expected[j].status);
					if (*expected[j].says)
						assert_string_equal(got.out.data, expected[j].says);
				} else {
					assert_non_null(strstr(err.text, expected[j].says));
				}
				seen++;
			}
		}
	}
	assert_int_equal(seen, 2 * COUNT(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wraps_each_transport),
		cmocka_unit_test(keeps_the_words_through_a_chain),
		cmocka_unit_test(reads_addresses),
		cmocka_unit_test(never_hands_ssh_an_option),
		cmocka_unit_test(reads_the_agents_answer),
		cmocka_unit_test(every_byte_comes_through_the_agent),
		cmocka_unit_test(tells_transport_from_answer),
		cmocka_unit_test(reads_what_real_tools_print),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
