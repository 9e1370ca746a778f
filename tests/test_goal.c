/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "facts/goal.h"

#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"

static const char whole[] = "# everything there is\n"
			    "gpu: 01:00.0\n"
			    "into: vm/new\n"
			    "reach: ssh://admin@media.lan:2222\n"
			    "service:\n"
			    "  kind: jellyfin\n"
			    "  compose: /srv/stacks/emby/docker-compose.yml\n"
			    "  name: emby\n"
			    "  url: http://media.lan:8096\n"
			    "  token_file: /etc/gpuferry/emby.token\n"
			    "encoder: {prefer: [hevc, h264], veto: [av1]}\n"
			    "window: 23:00-06:30\n"
			    "confirm: 10m\n"
			    "affinity: 0-3,8\n"
			    "hugepages: 1024\n"
			    "remove_raw_lxc: false\n"
			    "new: {storage: local-lvm, disk: 32G, image: debian-12.qcow2, sha256: " SUM ",\n"
			    "      bridge: vmbr0, memory: 4096, cores: 4, ssh_key: ~/.ssh/id_ed25519.pub}\n"
			    "accept:\n"
			    "  - node.group-shared\n"
			    "  - vm.one-holder\n";

/* As the manual and the design show it: into an existing VM, with the block for a new one beside. */
static void takes_the_example(void **state)
{
	static const char example[] =
	        "gpu: nvidia                     # a PCI address, a vendor, or auto\n"
	        "into: vm/100                    # ct/105; or vm/new with the block below\n"
	        "reach: ssh://admin@media.lan    # how to get inside\n"
	        "service:\n  kind: emby\n  compose: /srv/stacks/emby/docker-compose.yml\n  name: emby\n"
	        "  url: http://media.lan:8096\n  token_file: /etc/gpuferry/emby.token\n"
	        "encoder: {prefer: [hevc, h264], veto: []}\nwindow: 03:00-06:00\nconfirm: 10m\naffinity: 0-3\n"
	        "remove_raw_lxc: false\n"
	        "new: {storage: local-lvm, disk: 32G, image: debian-12.qcow2, sha256: " SUM ", bridge: vmbr0, "
	        "memory: 4096, cores: 4, ssh_key: ~/.ssh/id_ed25519.pub}\n"
	        "accept: []\n";
	ARENA_SCOPED struct arena arena = { 0 };
	struct err err = { 0 };
	struct goal goal;
	(void)state;
	if (!goal_parse(bytes_of(example), "emby.goal.yaml", &arena, &err, &goal))
		fail_msg("%s", err.text);
	assert_int_equal(goal.into_id, 100);
	assert_false(goal.into_new);
	assert_true(goal.create.set);
	assert_int_equal(goal.accept.n, 0);
}

static void parses_everything(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	struct err err = { 0 };
	struct goal goal;
	(void)state;
	if (!goal_parse(bytes_of(whole), "emby.goal.yaml", &arena, &err, &goal))
		fail_msg("%s", err.text);
	assert_string_equal(goal.source, "emby.goal.yaml");
	assert_string_equal(goal.gpu, "0000:01:00.0");
	assert_int_equal(goal.into, GUEST_VM);
	assert_true(goal.into_new);
	assert_int_equal(goal.into_id, UNKNOWN_NUMBER);
	assert_string_equal(goal.reach, "ssh://admin@media.lan:2222");
	assert_int_equal(goal.service.kind, SERVICE_JELLYFIN);
	assert_string_equal(goal.service.compose, "/srv/stacks/emby/docker-compose.yml");
	assert_string_equal(goal.service.name, "emby");
	assert_string_equal(goal.service.url, "http://media.lan:8096");
	assert_string_equal(goal.service.token_file, "/etc/gpuferry/emby.token");
	assert_int_equal(goal.prefer.n, 2);
	assert_string_equal(goal.prefer.word[0], "hevc");
	assert_string_equal(goal.prefer.word[1], "h264");
	assert_int_equal(goal.veto.n, 1);
	assert_int_equal(goal.window_from, 23 * 60);
	assert_int_equal(goal.window_to, 6 * 60 + 30);
	assert_int_equal(goal.confirm_seconds, 600);
	assert_string_equal(goal.affinity, "0-3,8");
	assert_int_equal(goal.hugepages, 1024);
	assert_int_equal(goal.remove_raw_lxc, NO);
	assert_true(goal.create.set);
	assert_string_equal(goal.create.storage, "local-lvm");
	assert_int_equal(goal.create.disk_gib, 32);
	assert_string_equal(goal.create.image, "debian-12.qcow2");
	assert_string_equal(goal.create.sha256 + 48, "0123456789abcdef");
	assert_string_equal(goal.create.bridge, "vmbr0");
	assert_int_equal(goal.create.memory_mib, 4096);
	assert_int_equal(goal.create.cores, 4);
	assert_string_equal(goal.create.ssh_key, "~/.ssh/id_ed25519.pub");
	assert_int_equal(goal.accept.n, 2);
	assert_string_equal(goal.accept.word[1], "vm.one-holder");
	assert_false(goal_empty(&goal));
}

static void leaves_unstated_unknown(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	struct goal goal;
	(void)state;
	assert_true(goal_parse(bytes_of("\xef\xbb\xbf---\ninto: ct/105\n...\n"), "g", &arena, NULL, &goal));
	assert_int_equal(goal.into, GUEST_CT);
	assert_int_equal(goal.into_id, 105);
	assert_false(goal.into_new);
	assert_null(goal.gpu);
	assert_null(goal.reach);
	assert_null(goal.affinity);
	assert_int_equal(goal.service.kind, SERVICE_UNKNOWN);
	assert_int_equal(goal.window_from, UNKNOWN_NUMBER);
	assert_int_equal(goal.confirm_seconds, UNKNOWN_NUMBER);
	assert_int_equal(goal.hugepages, UNKNOWN_NUMBER);
	assert_int_equal(goal.remove_raw_lxc, UNKNOWN);
	assert_int_equal(goal.create.memory_mib, UNKNOWN_NUMBER);
	assert_false(goal.create.set);
	assert_int_equal(goal.accept.n, 0);
}

static void accepts(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	static const char *const good[] = {
		"gpu: auto", "gpu: nvidia", "gpu: 'intel'", "gpu: \"amd\"", "gpu: 0000:01:00", "gpu: 0000:01:00.0",
		"{gpu: auto}", "{\"gpu\": \"auto\", \"accept\": []}", "gpu: auto\r\ninto: vm/100\r\n", "into: vm/999999999",
		"reach: ssh://media.lan", "reach: ssh://root@[fe80::1]:22", "service: {kind: ffmpeg}", "service: {name: 123}",
		"service: {url: 'https://[::1]:8920/emby'}", "service: {compose: '/srv/a b/docker-compose.yml'}",
		"encoder: {prefer: [hevc10]}", "encoder: {prefer: [nvenc, hevc, software], veto: [vaapi]}", "encoder: {prefer: []}\ngpu: auto", "window: 00:00-23:59", "confirm: 90s",
		"confirm: 1h", "confirm: 24h", "affinity: 3", "affinity: 0,2,4-7", "hugepages: any", "hugepages: 2",
		"remove_raw_lxc: true", "remove_raw_lxc: True", "accept: [ct.gid]", "new: {disk: 1T}",
		"service: {token_file: ~/emby.token}", "service: {compose: /srv/\xc3\xa4/compose.yml}",
	};
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct err err = { 0 };
		struct goal goal;
		if (!goal_parse(bytes_of(good[i]), "g", &arena, &err, &goal))
			fail_msg("%s: %s", good[i], err.text);
	}
}

static void says_what_is_wrong_and_where(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "gpu: auto\n# c\ninto: vm/100\n\n\n\n  \nservcie: {kind: emby}\n",
		  "g:8:1: unknown key 'servcie': did you mean 'service'?" },
		{ "service:\n  kind: emby\n  compse: /a\n", "g:3:3: unknown key 'compse': did you mean 'compose'?" },
		{ "service: {kindle: emby}\n", "g:1:11: unknown key 'kindle': did you mean 'kind'?" },
		{ "zzzzzz: 1\n", "g:1:1: unknown key 'zzzzzz'" },
		{ "kind: emby\n", "g:1:1: unknown key 'kind'" }, /* known in service alone */
		{ "service: {gpu: auto}\n", "g:1:11: unknown key 'gpu'" },
		{ "\xef\xbb\xbfgqu: auto\n", "g:1:1: unknown key 'gqu': did you mean 'gpu'?" },
		{ "gpu: auto  # \xc3\xa4\xc3\xb6\n? x\n", "g:2:3: unknown key 'x'" },
		{ "{\"\xc3\xa4\": 1}", "g:1:2: unknown key '\xc3\xa4'" },
		{ "{ '\xc3\xa4 \xf0\x9f\x8e\xac': 1}", "g:1:3: unknown key '\xc3\xa4 \xf0\x9f\x8e\xac'" },
		{ "service: {url: '\xc3\xa4\xc3\xb6', gpu: 1}\n", "g:1:16: service.url: '\xc3\xa4\xc3\xb6' is not an address" },
		{ "service: {compose: '/\xc3\xa4\xc3\xb6', gpu: 1}\n", "g:1:27: unknown key 'gpu'" },
		{ "\"\\e[2J\": 1\n", "g:1:1: unknown key '\\x1b[2J'" },
		{ "gpu: auto\ngpu: intel\n", "g:2:1: 'gpu' stands here twice" },
		{ "service: {kind: emby}\nservice: {kind: emby}\n", "g:2:1: 'service' stands here twice" },
		{ "service: {kind: emby, kind: emby}\n", "g:1:23: 'kind' stands here twice" },
		{ "gpu: [auto]\n", "g:1:6: gpu: expects auto | nvidia | intel | amd | PCI address, not a list or a block" },
		{ "gpu: {a: b}\n", "g:1:6: gpu: expects" },
		{ "service: emby\n", "g:1:10: service: expects a block of keys" },
		{ "accept: vm.one-holder\n", "g:1:9: accept: expects a list such as [RULE, ...]" },
		{ "accept: [[vm.one-holder]]\n", "g:1:10: accept: expects" },
		{ "encoder: {prefer: hevc}\n", "g:1:19: encoder.prefer: expects a list" },
		{ "encoder: {prefer: [x264]}\n", "g:1:20: encoder.prefer: 'x264' is not a codec" },
		{ "encoder: {prefer: [hevc, hevc]}\n", "g:1:26: encoder.prefer: 'hevc' stands here twice" },
		{ "encoder: {prefer: [hevc], veto: [hevc]}\n", "g: encoder: 'hevc' is both preferred and vetoed" },
		{ "gpu:\n", "g:1:5: gpu: has no value" },
		{ "gpu: ~\n", "g:1:6: gpu: has no value" },
		{ "gpu: null\n", "g:1:6: gpu: has no value" },
		{ "gpu: ''\n", "g:1:6: gpu: has no value" },
		{ "gpu: Nvidia\n", "g:1:6: gpu: 'Nvidia' is not auto, nvidia, intel, amd or a PCI address" },
		{ "gpu: 1:0.0.0\n", "g:1:6: gpu: '1:0.0.0' is not" },
		{ "into: vm/99\n", "g:1:7: into: 'vm/99' is not vm/ID" }, { "into: vm/1000000000\n", "g:1:7: into: 'vm/10" },
		{ "into: ct/new\n", "g:1:7: into: 'ct/new' is not" }, { "into: vm/0100\n", "g:1:7: into: 'vm/0100'" },
		{ "into: vm/+100\n", "g:1:7: into: 'vm/+100'" }, { "into: 100\n", "g:1:7: into: '100' is not vm/ID" },
		{ "into: vm/99999999999999999999\n", "g:1:7: into:" }, { "into: VM/100\n", "g:1:7: into:" },
		{ "reach: admin@media\n", "g:1:8: reach: 'admin@media' is not ssh://" },
		{ "reach: ssh://-oProxyCommand=x\n", "g:1:8: reach: " },
		{ "service: {kind: plex}\n", "g:1:17: service.kind: 'plex' is not emby, jellyfin or ffmpeg" },
		{ "service: {compose: docker-compose.yml}\n", "g:1:20: service.compose: 'docker-compose.yml' is not" },
		{ "service: {compose: /srv/../etc/x}\n", "g:1:20: service.compose:" },
		{ "service: {compose: /srv/}\n", "g:1:20: service.compose:" },
		{ "service: {compose: ~/x.yml}\n", "g:1:20: service.compose:" },
		{ "service: {name: '-x'}\n", "g:1:17: service.name:" }, { "service: {name: 'a b'}\n", "g:1:17: service.name:" },
		{ "service: {url: 'ftp://x'}\n", "g:1:16: service.url:" }, { "service: {url: 'http://'}\n", "g:1:16: service.url:" },
		{ "service: {url: 'http://a b'}\n", "g:1:16: service.url:" },
		{ "window: 3:00-6:00\n", "g:1:9: window: '3:00-6:00' is not a window" },
		{ "window: 24:00-06:00\n", "g:1:9: window:" }, { "window: 03:60-06:00\n", "g:1:9: window:" },
		{ "window: 03:00-03:00\n", "g:1:9: window: the window '03:00-03:00' has no length" },
		{ "confirm: 10\n", "g:1:10: confirm: '10' is not a time" }, { "confirm: 10 m\n", "g:1:10: confirm:" },
		{ "confirm: 5s\n", "g:1:10: confirm:" }, { "confirm: 25h\n", "g:1:10: confirm:" },
		{ "confirm: 9999999h\n", "g:1:10: confirm:" }, { "confirm: -5m\n", "g:1:10: confirm:" },
		{ "affinity: 3-0\n", "g:1:11: affinity:" }, { "affinity: '0-3,'\n", "g:1:11: affinity:" },
		{ "affinity: all\n", "g:1:11: affinity:" }, { "affinity: 0-\n", "g:1:11: affinity:" },
		{ "affinity: 99999\n", "g:1:11: affinity:" }, { "affinity: '0,,1'\n", "g:1:11: affinity:" },
		{ "hugepages: 4\n", "g:1:12: hugepages: '4' is not 2, 1024 or any" },
		{ "hugepages: '2'\n", "g:1:12: hugepages: is text in quotes" },
		{ "hugepages: 2\ninto: ct/105\n", "g: hugepages: is only for a VM" },
		{ "affinity: 1\ninto: ct/105\n", "g: affinity: is only for a VM" },
		{ "remove_raw_lxc: yes\n", "g:1:17: remove_raw_lxc: 'yes' is not true or false" },
		{ "remove_raw_lxc: 'true'\n", "g:1:17: remove_raw_lxc: is text in quotes" },
		{ "remove_raw_lxc: 1\n", "g:1:17: remove_raw_lxc: '1' is not true or false" },
		{ "into: vm/new\n", "g: into: vm/new needs the block new" },
		{ "new: {disk: 32}\n", "g:1:13: new.disk: '32' is not a size" }, { "new: {disk: 65T}\n", "g:1:13: new.disk:" },
		{ "new: {disk: 0G}\n", "g:1:13: new.disk:" }, { "new: {disk: 32GB}\n", "g:1:13: new.disk:" },
		{ "new: {storage: a}\n", "g:1:16: new.storage:" }, { "new: {storage: 'local lvm'}\n", "g:1:16: new.storage:" },
		{ "new: {image: '../../etc/shadow'}\n", "g:1:14: new.image:" },
		{ "new: {sha256: abc}\n", "g:1:15: new.sha256:" }, { "new: {bridge: a23456789012345x}\n", "g:1:15: new.bridge:" },
		{ "new: {memory: 4G}\n", "g:1:15: new.memory: '4G' is not a number of MiB" },
		{ "new: {memory: 0x1000}\n", "g:1:15: new.memory:" }, { "new: {cores: 0}\n", "g:1:14: new.cores:" },
		{ "new: {ssh_key: ssh-ed25519 AAAA}\n", "g:1:16: new.ssh_key:" },
		{ "accept: [VM.x]\n", "g:1:10: accept: 'VM.x' is not a rule's id" }, { "accept: [vm]\n", "g:1:10: accept:" },
		{ "accept: [vm..x]\n", "g:1:10: accept:" }, { "accept: [vm.]\n", "g:1:10: accept:" },
		{ "accept: ['*']\n", "g:1:10: accept:" },
		{ "a: &x 1\n", "g:1:1: unknown key 'a'" }, { "gpu: &x auto\n", "g:1:6: anchors" },
		{ "gpu: *x\n", "g:1:6: aliases" }, { "gpu: !!str auto\n", "g:1:6: tags" }, { "gpu: ! auto\n", "g:1:6: tags" },
		{ "&x gpu: auto\n", "g:1:1: anchors" }, { "--- !goal\ngpu: auto\n", "g:1:5: tags" },
		{ "accept: &x [vm.a]\n", "g:1:9: anchors" }, { "service: !x {kind: emby}\n", "g:1:10: tags" },
		{ "<<: {gpu: auto}\n", "g:1:1: unknown key '<<'" },
		{ "gpu: auto\n---\ngpu: auto\n", "g:2:1: a second document" },
		{ "gpu: auto\n---\n", "g:2:1: a second document" },
		{ "", "g:1:1: nothing is stated here" }, { "# only\n", "g:2:1: nothing is stated here" },
		{ "---\n...\n", "nothing is stated here" }, { "{}\n", "g:1:1: nothing is stated here" },
		{ "accept: []\n", "g:1:1: nothing is stated here" },
		{ "auto\n", "g:1:1: expects keys and values" }, { "- gpu\n", "g:1:1: expects keys and values" },
		{ "[gpu, auto]: x\n", "g:1:1: a key must be a word" },
		{ "gpu: auto\n\tinto: vm/100\n", "g:2:1: " }, { "gpu: 'auto\n", "g:2:1: found unexpected end of stream" },
		{ "gpu: auto\n into: vm/100\n", "g:1:6: gpu: the value goes over more than one line" },
		{ "service: {kind: emby\n", "g:2:1: " },
		{ "gpu: \"a\\x00b\"\n", "g:1:6: a zero byte in a value" }, { "\"gpu\\0\": auto\n", "g:1:1: a zero byte" },
		{ "gpu: \"auto\\n\"\n", "g:1:6: gpu: the value 'auto\\n' has characters that do not show" },
		{ "service: {compose: \"/a\\u202eb\"}\n", "g:1:20: service.compose: the value '/a\\xe2\\x80\\xaeb' has" },
		{ "service: {compose: |\n  /a\n  /b\n}\n", "g:1:20: " },
		{ "gpu: auto\nreach: \x01\n", "g:2:8: a control character" }, { "a\rb\n", "g:1:2: a control character" },
		{ "gpu: auto\n\xc3\xa4 \x7f\n", "g:2:3: a control character" },
		{ "gpu: auto\n# \xc3\xa4\xff\n", "g:2:4: bytes that are no UTF-8" },
		{ "\xff\xfeg\n", "g:1:1: bytes that are no UTF-8" }, { "# \xed\xa0\x80\n", "g:1:3: bytes that are no UTF-8" },
		{ "# \xc3", "g:1:3: bytes that are no UTF-8" },
		{ "gpu: auto\n# \xc3\xa4 \xc2\x9b\n", "g:2:5: a character that a goal file cannot have" },
	};
	ARENA_SCOPED struct arena arena = { 0 };
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err err = { 0 };
		struct goal goal = { .source = "untouched" };
		if (goal_parse(bytes_of(rows[i].text), "g", &arena, &err, &goal))
			fail_msg("accepted: %s", rows[i].text);
		if (!strstr(err.text, rows[i].says) || (rows[i].says[0] == 'g' && strncmp(err.text, "g:", 2) != 0))
			fail_msg("%s\n says: %s\n not:  %s", rows[i].text, err.text, rows[i].says);
		assert_int_equal(err.kind, ERR_USAGE);
		assert_string_equal(goal.source, "untouched");
	}
}

static void hints(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	struct err err = { 0 };
	struct goal goal;
	(void)state;
	assert_false(goal_parse(bytes_of("remove_raw_lxc: off\n"), "g", &arena, &err, &goal));
	assert_string_equal(err.hint, "write false: no and off are plain words in YAML 1.2");
	assert_false(goal_parse(bytes_of("remove_raw_lxc: On\n"), "g", &arena, &err, &goal));
	assert_string_equal(err.hint, "write true: yes and on are plain words in YAML 1.2");
}

static void keeps_secrets(void **state)
{
	static const char *const texts[] = { "service: {url: 'http://me:hunter2@media.lan'}\n",
		"reach: ssh://me:hunter2@media.lan\n" };
	ARENA_SCOPED struct arena arena = { 0 };
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct err err = { 0 };
		struct goal goal;
		assert_false(goal_parse(bytes_of(texts[i]), "g", &arena, &err, &goal));
		assert_null(strstr(err.text, "hunter2"));
		assert_null(strstr(err.hint, "hunter2"));
		assert_non_null(strstr(err.text, "must not carry"));
	}
}

static struct bytes repeated(struct arena *arena, const char *head, const char *part, size_t n, const char *tail)
{
	size_t h = strlen(head), p = strlen(part), t = strlen(tail);
	char *text = arena_alloc(arena, h + p * n + t + 1), *out = mempcpy(text, head, h);
	for (size_t i = 0; i < n; i++)
		out = mempcpy(out, part, p);
	memcpy(out, tail, t);
	return (struct bytes){ text, h + p * n + t };
}

static void survives_size(void **state)
{
	static const struct {
		const char *head, *part;
		size_t n;
		const char *tail, *says;
	} rows[] = {
		{ "gpu: auto\n#", "x", 1 << 20, "\n", "g: larger than 1 MiB" },
		{ "", "[", 1000000, "", "g:1:" },
		{ "accept: ", "[", 1000000, "", "g:1:" },
		{ "service: ", "{a: ", 200000, "", "g:1:11: unknown key 'a'" },
		{ "", "? ", 500000, "", "g:1:" },
		{ "- ", "- ", 500000, "", "g:1:1: expects keys and values" },
		{ "", "x", 1000000, ": 1\n", "g:1:" },
		{ "gpu: ", "x", 1000000, "\n", "g:1:6: gpu: the value is longer than 4095 bytes" },
		{ "'", "\xc3\xa4", 500, "': 1\n", "g:1:1: unknown key '" },
		{ "gpu: \"", "\\e", 2000, "\"\n", "g:1:6: gpu: the value '" },
		{ "affinity: '0", ",1", 1000, "'\n", "g:1:11: affinity: '0,1,1" },
		{ "accept: [", "a.b, ", 65, "]\n", "g:1:15: accept: 'a.b' stands here twice" },
		{ "gpu: auto\n", "#\n", 500000, "into: x\n", "g:500002:7: into:" },
	};
	ARENA_SCOPED struct arena arena = { 0 };
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bytes text = repeated(&arena, rows[i].head, rows[i].part, rows[i].n, rows[i].tail);
		struct err err = { 0 };
		struct goal goal;
		assert_false(goal_parse(text, "g", &arena, &err, &goal));
		if (!text_starts(err.text, rows[i].says))
			fail_msg("%zu: says: %s\n not: %s", i, err.text, rows[i].says);
		assert_true(text_is_utf8(bytes_of(err.text)));
		assert_true(strlen(err.text) < 300);
	}
}

static void limits_lists(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	struct err err = { 0 };
	struct goal goal;
	const char *text = "accept:\n";
	(void)state;
	for (int i = 0; i < 64; i++)
		text = arena_printf(&arena, "%s- a.r%d\n", text, i);
	assert_true(goal_parse(bytes_of(text), "g", &arena, &err, &goal));
	assert_int_equal(goal.accept.n, 64);
	assert_false(goal_parse(bytes_of(arena_printf(&arena, "%s- a.b\n", text)), "g", &arena, &err, &goal));
	assert_string_equal(err.text, "g:66:3: accept: more than 64 entries");
}

static void shows_a_hostile_name(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	struct bytes name = repeated(&arena, "\x1b[2J", "\xc3\xa4", 500, ".yaml");
	struct err err = { 0 };
	struct goal goal;
	(void)state;
	assert_false(goal_parse(bytes_of("gqu: x\n"), name.data, &arena, &err, &goal));
	assert_true(text_starts(err.text, "\\x1b[2J"));
	assert_non_null(strstr(err.text, "...:1:1: unknown key 'gqu': did you mean 'gpu'?"));
	assert_true(text_is_utf8(bytes_of(err.text)));
}

static void sets_by_flags(void **state)
{
	ARENA_SCOPED struct arena arena = { 0 };
	struct err err = { 0 };
	struct goal goal;
	(void)state;
	goal_init(&goal);
	assert_true(goal_empty(&goal));
	assert_true(goal_check(&goal, &err));
	assert_true(goal_set(&goal, "gpu", "01:00", &arena, &err));
	assert_string_equal(goal.source, "command line");
	assert_false(goal_empty(&goal));
	assert_true(goal_set(&goal, "service", "emby", &arena, &err));
	assert_true(goal_set(&goal, "service.kind", "jellyfin", &arena, &err));
	assert_int_equal(goal.service.kind, SERVICE_JELLYFIN);
	assert_true(goal_set(&goal, "token-file", "~/t", &arena, &err));
	assert_true(goal_set(&goal, "prefer", "hevc,h264", &arena, &err));
	assert_true(goal_set(&goal, "encoder.prefer", "av1", &arena, &err));
	assert_int_equal(goal.prefer.n, 3);
	assert_string_equal(goal.prefer.word[2], "av1");
	assert_false(goal_set(&goal, "prefer", "hevc10,vp9", &arena, &err));
	assert_string_equal(err.text, "encoder.prefer: 'vp9' is not a codec (h264, hevc, hevc10, av1) or a way (nvenc, qsv, vaapi, "
	        "vulkan, software)");
	assert_int_equal(err.kind, ERR_USAGE);
	assert_int_equal(goal.prefer.n, 3);
	assert_true(goal_set(&goal, "accept", "vm.a", &arena, &err));
	assert_true(goal_set(&goal, "accept", "ct.b", &arena, &err));
	assert_int_equal(goal.accept.n, 2);
	assert_false(goal_set(&goal, "accept", "vm.a", &arena, &err));
	assert_string_equal(err.text, "accept: 'vm.a' stands here twice");
	assert_true(goal_set(&goal, "into", "vm/new", &arena, &err));
	assert_false(goal_check(&goal, &err));
	assert_true(goal_set(&goal, "new-cores", "2", &arena, &err));
	assert_true(goal_check(&goal, &err));
	assert_true(goal_set(&goal, "remove-raw-lxc", "true", &arena, &err));
	assert_int_equal(goal.remove_raw_lxc, YES);
	assert_false(goal_set(&goal, "into", "vm/5", &arena, &err));
	assert_true(goal.into_new);
	assert_false(goal_set(&goal, "intro", "vm/100", &arena, &err));
	assert_string_equal(err.text, "unknown key 'intro'");
	assert_false(goal_set(&goal, "reach", "", &arena, &err));
	assert_string_equal(err.text, "reach: has no value");
}

static void keys_are_whole(void **state)
{
	(void)state;
	for (const struct goal_key *key = goal_keys; key->name; key++) {
		assert_true(*key->flag && *key->form && *key->help && key->set);
		assert_true(key->field < sizeof(struct goal));
		assert_ptr_equal(goal_key(key->name), key);
		assert_ptr_equal(goal_key(key->flag), key);
	}
	assert_null(goal_key(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_example), cmocka_unit_test(parses_everything),
		cmocka_unit_test(leaves_unstated_unknown),
		cmocka_unit_test(accepts),
		cmocka_unit_test(says_what_is_wrong_and_where),
		cmocka_unit_test(hints),
		cmocka_unit_test(keeps_secrets),
		cmocka_unit_test(survives_size),
		cmocka_unit_test(limits_lists),
		cmocka_unit_test(shows_a_hostile_name),
		cmocka_unit_test(sets_by_flags),
		cmocka_unit_test(keys_are_whole),
	};
	return cmocka_run_group_tests_name("goal", tests, NULL, NULL);
}
