/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Recorded sessions of the real qm, pct and pvesh (PVE 8 and 9), typed into the machine that behaves: the same output
 * and the same status, command by command. Then what the guides say to type, and every row of the table of options.
 */
#include <errno.h>
#include <jansson.h>
#include <regex.h>

#include "rehearse/pve.h"
#include "rehearsed.h"

/* The node that the sessions were recorded on. */
static const char session_machine[] =
        "time 1795242500\n"
        "device 0000:00:00.0 1022:14d8 class=060000 subsystem=1022:14d8 group=0 driver=\n"
        "device 0000:00:01.1 1022:14db class=060400 subsystem=1022:14db group=1 driver=pcieport\n"
        "device 0000:01:00.0 10de:2803 class=030000 subsystem=1043:88f5 parent=0000:00:01.1 group=12 driver=\n"
        "device 0000:01:00.1 10de:22bd class=040300 subsystem=1043:88f5 parent=0000:00:01.1 group=12 driver=\n"
        "device 0000:02:00.0 144d:a80a class=010802 subsystem=144d:a801 group=14 driver=\n"
        "device 0000:0d:00.0 1002:164e class=030000 subsystem=1043:8877 group=24 driver=\n"
        "iommu amd units=1\n"
        "interface lo\ninterface vmbr0\n"
        "file /etc/hostname\n\tpve\n"
        "dir /etc/pve/nodes/pve/qemu-server\ndir /etc/pve/nodes/pve/lxc\ndir /etc/pve/mapping\n"
        "link /etc/pve/local nodes/pve\nlink /etc/pve/qemu-server nodes/pve/qemu-server\nlink /etc/pve/lxc nodes/pve/lxc\n"
        "file /etc/pve/storage.cfg\n\tdir: local\n\t\tpath /var/lib/vz\n\t\tcontent images,rootdir,vztmpl,snippets\n"
        "dir /var/lib/vz/images\n"
        "absent /sys/kernel/mm/hugepages\n"
        "node /dev/nvidia0 c 195 0\nnode /dev/dri/card0 c 226 0\nnode /dev/dri/renderD128 c 226 128\n"
        "target vm/100\n"
        "run /bin/sh -c \"echo err >&2; exit 3\" status=3 error\n\terr\n"
        "run /bin/nosuch missing\n";

static int type_words(struct stage *stage, const struct words *words, const char **ret_said)
{
	const char **argv = arena_alloc(&stage->arena, (words->n + 1) * sizeof *argv);
	struct outcome outcome = { 0 };
	memcpy(argv, words->word, words->n * sizeof *argv);
	int error = world_run(stage->node, &(struct command){ .argv = argv }, &stage->arena, &outcome);
	/* warnings are not kept back, what is printed is: they come first */
	*ret_said = error ? strerror(error)
	                  : arena_printf(&stage->arena, "%.*s%.*s", (int)outcome.err.size, outcome.err.data,
	                            (int)outcome.out.size, outcome.out.data);
	return error ? -error : outcome.status;
}

/* Blank-separated. */
static int type_in(struct stage *stage, const char *line, const char **ret_said)
{
	const char *said;
	struct words words = text_split(&stage->arena, line, " ");
	return type_words(stage, &words, ret_said ? ret_said : &said);
}

/* ---- the sessions ---- */

/* A session has its words joined by blanks only: a value goes on up to the next option. */
static struct words words_of(struct arena *arena, const char *line)
{
	struct words plain = { 0 }, parts = { 0 };
	for (const char *at = line;; at++) { /* empty words count */
		size_t size = strcspn(at, " ");
		*arena_push(arena, parts.word, parts.n) = arena_strndup(arena, at, size);
		at += size;
		if (!*at)
			break;
	}
	bool behind = false;
	for (size_t i = 0; i < parts.n; i++) {
		const char *word = parts.word[i];
		bool option = text_starts(word, "--") && word[2];
		*arena_push(arena, plain.word, plain.n) = word;
		behind = behind || strcmp(word, "--") == 0;
		if ((!option && !(behind && strcmp(word, "-c") == 0)) || i + 1 >= parts.n)
			continue;
		const char *value = parts.word[++i];
		if (!behind && text_starts(value, "--")) {
			i--;
			continue;
		}
		while (i + 1 < parts.n && (behind || !text_starts(parts.word[i + 1], "--")))
			value = arena_printf(arena, "%s %s", value, parts.word[++i]);
		*arena_push(arena, plain.word, plain.n) = value;
	}
	return plain;
}

/* What is another every time, or the lab's own. */
static const struct {
	const char *pattern, *becomes;
} noise[] = {
	{ "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID" },
	{ "BC:24:11:[0-9A-F]{2}:[0-9A-F]{2}:[0-9A-F]{2}", "MAC" },
	{ "ctime=[0-9]+", "ctime=N" },
	{ "snaptime: [0-9]+", "snaptime: N" },
	{ "20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8}", "DATE" },
	{ "\"node-name\":\"[ef][0-9a-f]{30}\"", "\"node-name\":\"HASH\"" },
	{ "(^|\n)(unable to get memory stat|Use of uninitialized value)[^\n]*", "" },
};

static const char *plain(struct arena *arena, const char *text)
{
	for (size_t i = 0; i < COUNT(noise); i++) {
		regex_t regex;
		regmatch_t match;
		const char *done = "";
		assert_int_equal(regcomp(&regex, noise[i].pattern, REG_EXTENDED), 0);
		while (regexec(&regex, text, 1, &match, 0) == 0) {
			done = arena_printf(arena, "%s%.*s%s", done, (int)match.rm_so, text, noise[i].becomes);
			text += match.rm_eo;
		}
		text = arena_printf(arena, "%s%s", done, text);
		regfree(&regex);
	}
	return *text == '\n' ? text + 1 : text;
}

static bool is_noise(const char *key)
{
	return strcmp(key, "digest") == 0 || text_ends(key, "_name");
}

/* digests, and names out of the node's pci.ids; lists by key. */
static json_t *plain_json(json_t *value)
{
	void *next;
	const char *key;
	size_t index;
	json_t *one, *sorted = NULL;
	json_object_foreach_safe(value, next, key, one)
	{
		if (is_noise(key))
			json_object_del(value, key);
		else
			plain_json(one);
	}
	json_array_foreach(value, index, one)
	{
		const char *name = json_string_value(json_object_get(one, "key"));
		plain_json(one);
		if (!name)
			continue;
		sorted = sorted ? sorted : json_object();
		if (strcmp(name, "digest") != 0)
			json_object_set(sorted, name, one);
	}
	if (sorted) {
		json_array_clear(value);
		json_array_append_new(value, sorted);
	}
	return value;
}

static bool same_json(const char *left, const char *right)
{
	json_t *a = json_loads(left, JSON_DECODE_ANY, NULL), *b = json_loads(right, JSON_DECODE_ANY, NULL);
	bool same = a && b && json_equal(plain_json(a), plain_json(b));
	json_decref(a);
	json_decref(b);
	return same;
}

/* Warnings, then one line of JSON. */
static bool same_answer(struct arena *arena, const char *left, const char *right)
{
	left = plain(arena, left);
	right = plain(arena, right);
	size_t a = strcspn(left, "[{"), b = strcspn(right, "[{");
	return strcmp(left, right) == 0 || (a == b && strncmp(left, right, a) == 0 && same_json(left + a, right + b));
}

/* Why a command of the sessions is not compared; each is told once. */
static const struct {
	const char *session, *line, *why;
	bool typed; /* it has effects that what follows needs */
} beyond[] = {
	{ "s4-*", "*", "pmxcfs as a file system", false },
	{ "s1-*", "qm start *", "the lab had no vfio", false },
	{ "s5-*", "qm start *", "the lab had no D-Bus", true },
	{ "s3-*", "pct start *", "the lab had no systemd", false },
	{ "*", "pct create *", "unpacks a template", false },
	{ "*", "cat /var/lib/lxc/*", "what LXC is given", false },
	{ "*", "ls *", "the storage's own folders", false },
	{ "*", "fakevm *", "the lab's stand-in for a running VM", false },
	{ "*", "qm snapshot * --vmstate *", "QEMU's own answer", false },
	{ "s5-*", "qm rollback *", "qemu-img's own answer", false },
	{ "s5-*", "qm guest exec-status *", "the agent's own list", false },
	{ "*", "qm agent * get-osinfo", "the agent's own answer", false },
	{ "*", "pvesh get */status/current *", "figures of a moment", false },
	{ "*", "pvesh get /cluster/resources *", "figures of a moment", false },
	{ "*", "pvesh get /version *", "names a build", false },
	{ "*", "pveversion", "names a build", false },
};

static int beyond_of(const char *session, const char *line)
{
	for (size_t i = 0; i < COUNT(beyond); i++)
		if (text_matches(beyond[i].session, session) && text_matches(beyond[i].line, line))
			return (int)i;
	return -1;
}

struct block {
	const char *line, *said;
	int status;
};

struct session {
	const char *name;
	struct block *block;
	size_t n, compared, beyond, different;
	unsigned told[COUNT(beyond)];
	bool after_rollback;
};

static void read_session(struct arena *arena, struct bytes text, struct session *ret)
{
	struct bytes line;
	struct block *block = NULL;
	for (size_t cursor = 0; text_line(text, &cursor, &line);) {
		const char *one = arena_strndup(arena, line.data, line.size);
		if (text_starts(one, "$ ") && !block) {
			block = arena_push(arena, ret->block, ret->n);
			block->line = one + 2;
			block->said = "";
		} else if (block && text_starts(one, "[rc=")) {
			block->status = atoi(one + 4);
			block = NULL;
		} else if (block) {
			block->said = arena_printf(arena, "%s%s\n", block->said, one);
		}
	}
}

static const char *next_cat(const struct session *session, size_t from, const char *path)
{
	for (size_t i = from; i < session->n; i++)
		if (text_starts(session->block[i].line, "cat ") && strcmp(session->block[i].line + 4, path) == 0)
			return session->block[i].said;
	fail_msg("%s: nobody looked at %s", session->name, path);
	return NULL;
}

static void put_file(struct stage *stage, const char *path, const char *text)
{
	assert_true(rehearse_edit(stage->rehearse, path, bytes_of(arena_strdup(&stage->arena, text))));
}

static const char *replaced(struct arena *arena, const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);
	assert_non_null(at);
	return arena_printf(arena, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
}

/* What the lab did between two commands, by hand. */
static void between(struct stage *stage, const struct session *session, size_t at)
{
	static const char by_hand[] = "lxc.cgroup2.devices.allow: c 226:128 rwm\n"
	                              "lxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD128 none "
	                              "bind,optional,create=file\n"
	                              "lxc.nosuch: 1\nlxc.rootfs.path: /x\nlxc.cgroup.devices.allow: c 1:1 rwm\n"
	                              "bogus line\nlxc.idmap: u 0 100000 44\n";
	const char *line = session->block[at].line, *vm = "/etc/pve/qemu-server/100.conf", *ct = "/etc/pve/lxc/200.conf";
	if (text_starts(line, "pct create"))
		put_file(stage, ct, next_cat(session, at, ct));
	if (text_starts(line, "pct config") && strstr(session->block[at].said, "bogus"))
		put_file(stage, ct,
		        arena_printf(&stage->arena, "%s%s", model_text(stage->rehearse, ct), by_hand));
	if (text_starts(line, "fakevm")) {
		const char *text = next_cat(session, at, vm);
		text = arena_strndup(&stage->arena, text, (size_t)(strstr(text, "\n[PENDING]") - text));
		put_file(stage, vm, replaced(&stage->arena, text, "name: emby2", "name: emby"));
		model_set_text(stage->rehearse, "/run/qemu-server/100.pid", 0640, "180\n");
		model_set_text(stage->rehearse, "/proc/180/comm", 0444, "kvm\n");
	}
	if (text_starts(line, "qm guest exec") && strstr(session->block[at].said, "not running"))
		model_drop(stage->rehearse, "/proc/180");
}

static void compare_block(struct stage *stage, struct session *session, size_t at)
{
	const struct block *block = &session->block[at];
	const char *said = "";
	int status = 0, why = session->after_rollback ? beyond_of("s5-", "qm rollback ") : beyond_of(session->name, block->line);
	between(stage, session, at);
	if (why >= 0) {
		session->beyond++;
		session->told[why]++;
		session->after_rollback = session->after_rollback || strcmp(beyond[why].why, "qemu-img's own answer") == 0;
		if (beyond[why].typed)
			assert_int_equal(type_in(stage, block->line, &said), 0);
		return;
	}
	session->compared++;
	if (text_starts(block->line, "cat ")) {
		said = model_text(stage->rehearse, block->line + 4);
		said = said ? said : "(no such file)";
	} else {
		struct words words = words_of(&stage->arena, block->line);
		status = type_words(stage, &words, &said);
	}
	if (status == block->status && same_answer(&stage->arena, said, block->said))
		return;
	session->different++;
	struct words was = text_split(&stage->arena, plain(&stage->arena, block->said), "\n");
	struct words is = text_split(&stage->arena, plain(&stage->arena, said), "\n");
	size_t same = 0;
	while (same < was.n && same < is.n && strcmp(was.word[same], is.word[same]) == 0)
		same++;
	print_message("# %s: $ %s: %d, not %d, line %zu\n", session->name, block->line, status, block->status, same + 1);
	print_message("# was: %s\n", same < was.n ? was.word[same] : "");
	print_message("# is:  %s\n", same < is.n ? is.word[same] : "");
}

static void replay(const char *folder, const char *name, struct session *ret)
{
	struct stage stage;
	struct session session = { .name = name };
	bool nine = strstr(name, "pve9") != NULL;
	struct arena scratch = { 0 };
	stage_open(&stage, arena_printf(&scratch, "package pve-manager %s pve-qemu-kvm 10.1.2-7\n%s",
	                           nine ? "9.2.11" : "8.4.21", session_machine));
	read_session(&stage.arena, test_read(&stage.arena, arena_printf(&stage.arena, "%s/%s.txt", folder, name)), &session);
	for (size_t i = 0; i < session.n; i++)
		compare_block(&stage, &session, i);
	arena_release(&stage.arena);
	arena_release(&scratch);
	*ret = session;
}

static void transcripts(void **state)
{
	static const char *const names[] = { "s1-vm-basic", "s2-vm-args-mapping", "s3-ct", "s4-pmxcfs", "s5-running" };
	const char *folder = test_data("GPUFERRY_TRANSCRIPTS");
	size_t compared = 0, outside = 0, different = 0, files = 0;
	unsigned told[COUNT(beyond)] = { 0 };
	(void)state;
	if (!folder) {
		print_message("no recorded sessions here (GPUFERRY_TRANSCRIPTS)\n");
		skip();
	}
	for (size_t i = 0; i < 2 * COUNT(names); i++) {
		char name[64];
		struct session session;
		snprintf(name, sizeof name, "%s-pve%d", names[i / 2], i % 2 ? 9 : 8);
		replay(folder, name, &session);
		compared += session.compared;
		different += session.different;
		outside += strncmp(name, "s4", 2) == 0 ? 0 : session.beyond;
		files += strncmp(name, "s4", 2) == 0 ? session.beyond : 0;
		for (size_t j = 0; j < COUNT(beyond); j++)
			told[j] += session.told[j];
	}
	print_message("# %zu commands compared, %zu differ; %zu of the same sessions and %zu of pmxcfs are not compared:\n",
	        compared, different, outside, files);
	for (size_t i = 0; i < COUNT(beyond); i++)
		if (told[i])
			print_message("#   %3u  %s: %s\n", told[i], beyond[i].line, beyond[i].why);
	assert_int_equal(different, 0);
	assert_true(compared * 100 > 85 * (compared + outside));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transcripts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
