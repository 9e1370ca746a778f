/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sources: ssh(1), ssh_config(5); qemu-server src/PVE/CLI/qm.pm (guest exec) and src/PVE/QemuServer/Agent.pm;
 * qemu qga/commands.c; pve-container src/PVE/CLI/pct.pm (exec), lxc-attach(1); docker exec.
 */
#include "sys/hop.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

enum { DEADLINE_MS = 10000, PORT_MAX = 65535, ACCOUNT_MAX = 64, HOST_MAX = 255 };

/* What the agent keeps of each stream of an answer (qga/commands.c: GUEST_EXEC_MAX_OUTPUT). Standard input: qm.pm
 * takes 1 MiB, see HOP_QM_INPUT_MAX. */
enum { AGENT_OUTPUT_MAX = 16 * 1024 * 1024 };

/* ---- addresses --------------------------------------------------------- */

struct address {
	const char *account; /* NULL: ssh's own choice */
	const char *host;    /* without brackets */
	uint64_t port;       /* 0: ssh's own choice */
};

static const char account_signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+@\\";
static const char host_signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
static const char ipv6_signs[] = "abcdefABCDEF0123456789:.";
static const char scope_signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

static bool only(const char *text, const char *signs, size_t max)
{
	size_t size = strlen(text);
	return size && size <= max && text[0] != '-' && text[strspn(text, signs)] == '\0';
}

static bool is_ipv6(const char *host)
{
	size_t size = strspn(host, ipv6_signs);
	return strchr(host, ':') &&
	       (host[size] == '\0' || (host[size] == '%' && only(host + size + 1, scope_signs, 64)));
}

/* "[::1]:22", "host:22", "host" of an ssh:// address. */
static bool split_port(char *place, struct address *ret)
{
	char *colon = NULL;
	ret->host = place;
	if (*place == '[') {
		char *end = strchr(place, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		*end = '\0';
		ret->host = place + 1;
		colon = end[1] ? end + 1 : NULL;
		if (!is_ipv6(ret->host))
			return false;
	} else {
		colon = strchr(place, ':');
	}
	if (!colon)
		return true;
	*colon = '\0';
	return text_number(colon + 1, 10, PORT_MAX, &ret->port) && ret->port;
}

static bool read_address(const char *text, struct arena *arena, struct address *ret, const char **ret_why)
{
	bool url = text_starts(text, "ssh://");
	char *place = arena_strdup(arena, url ? text + strlen("ssh://") : text);
	size_t size = strlen(place);
	if (url && size && place[size - 1] == '/')
		place[size - 1] = '\0';
	char *at = strrchr(place, '@');
	if (at) {
		*at = '\0';
		ret->account = place;
		place = at + 1;
		*ret_why =
		        strchr(ret->account, ':') ? "no password belongs into an address: use a key" : "bad user name";
		if (!only(ret->account, account_signs, ACCOUNT_MAX))
			return false;
	}
	*ret_why = "bad port";
	if (url && !split_port(place, ret))
		return false;
	if (!url)
		ret->host = place;
	*ret_why = !url && strchr(ret->host, ':') ? "a port is written as ssh://USER@HOST:PORT" : "bad host name";
	return (only(ret->host, host_signs, HOST_MAX)) || (strlen(ret->host) <= HOST_MAX && is_ipv6(ret->host));
}

bool hop_parse_ssh(const char *text, struct arena *arena, struct err *err, struct hop *ret)
{
	struct address address = { 0 };
	const char *why = "bad host name";
	if (!read_address(text, arena, &address, &why)) {
		/* what may hold a password is not repeated: messages end up in logs */
		bool hide = address.account && strchr(address.account, ':');
		err_set(err, ERR_USAGE, "'%s%.200s' is no ssh address: %s", hide ? "..." : "",
		        text_shown(arena, hide ? strrchr(text, '@') : text), why);
		return err_hint(err, "write it as ssh://USER@HOST or ssh://USER@HOST:PORT");
	}
	const char *account = address.account ? address.account : "", *at = address.account ? "@" : "";
	bool bracket = strchr(address.host, ':') != NULL;
	ret->kind = HOP_SSH;
	ret->where = address.port ? arena_printf(arena, bracket ? "ssh://%s%s[%s]:%u" : "ssh://%s%s%s:%u", account, at,
	                                    address.host, (unsigned)address.port)
	                          : arena_printf(arena, "%s%s%s", account, at, address.host);
	return true;
}

/* ---- wrapping ----------------------------------------------------------- */

struct line {
	const char **word;
	size_t n;
};

static void put(struct arena *arena, struct line *line, const char *word)
{
	*arena_push(arena, line->word, line->n) = word;
}

static void put_all(struct arena *arena, struct line *line, const char *const *words)
{
	for (; *words; words++)
		put(arena, line, *words);
}

static void wrap_ssh(const struct hop *hop, const struct command *command, struct arena *arena, struct line *line)
{
	/* A user's ssh_config counts (names, jumps, keys, a running master), but nothing is left behind or opened
	 * beside the one command: no new master, no forwarding, no host keys added, no terminal, no question. */
	static const char *const options[] = { "ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o",
		"ServerAliveInterval=15", "-o", "ControlMaster=no", "-o", "ClearAllForwardings=yes", "-o",
		"UpdateHostKeys=no", "-o", "RemoteCommand=none", "-a", "-x", "-T", NULL };
	put_all(arena, line, options);
	struct address address = { 0 };
	const char *why = NULL;
	if (!read_address(hop->where, arena, &address, &why)) {
		/* never reached through hop_parse_ssh; a name that nothing answers to is better than an option */
		address = (struct address){ .host = "invalid.invalid" };
	}
	if (address.port) {
		put(arena, line, "-p");
		put(arena, line, arena_printf(arena, "%u", (unsigned)address.port));
	}
	put(arena, line, "--");
	put(arena, line, address.account ? arena_printf(arena, "%s@%s", address.account, address.host) : address.host);
	put(arena, line, text_sh_line(arena, command->argv));
}

static void wrap_qm(const struct hop *hop, const struct command *command, struct arena *arena, struct line *line)
{
	unsigned deadline = command->deadline_ms ? command->deadline_ms : DEADLINE_MS;
	static const char *const start[] = { "qm", "guest", "exec", NULL };
	put_all(arena, line, start);
	put(arena, line, hop->where);
	put(arena, line, "--timeout");
	/* whole seconds; 0 would wait for ever */
	put(arena, line, arena_printf(arena, "%u", deadline / 1000 + (deadline % 1000 ? 1 : 0)));
	if (command->input.size) {
		put(arena, line, "--pass-stdin");
		put(arena, line, "1");
	}
	put(arena, line, "--");
	put_all(arena, line, command->argv);
}

static void wrap_pct(const struct hop *hop, const struct command *command, struct arena *arena, struct line *line)
{
	static const char *const start[] = { "pct", "exec", NULL };
	put_all(arena, line, start);
	put(arena, line, hop->where);
	put(arena, line, "--");
	put_all(arena, line, command->argv);
}

static void wrap_docker(const struct hop *hop, const struct command *command, struct arena *arena, struct line *line)
{
	static const char *const start[] = { "docker", "exec", NULL };
	put_all(arena, line, start);
	if (command->input.size)
		put(arena, line, "-i");
	put(arena, line, "--");
	put(arena, line, hop->where);
	put_all(arena, line, command->argv);
}

typedef void wrap_fn(const struct hop *, const struct command *, struct arena *, struct line *);

/* slack: what a transport itself may take beside the command: connecting, Perl starting, an agent that is slow. */
static const struct transport {
	wrap_fn *wrap;
	unsigned slack_ms;
} transports[] = {
	[HOP_SSH] = { wrap_ssh, 15000 },
	[HOP_QM] = { wrap_qm, 20000 },
	[HOP_PCT] = { wrap_pct, 10000 },
	[HOP_DOCKER] = { wrap_docker, 10000 },
};

struct command hop_wrap(const struct hop *hop, const struct command *command, struct arena *arena)
{
	struct command wrapped = *command;
	if (hop->kind == HOP_NONE)
		return wrapped;
	struct line line = { 0 };
	transports[hop->kind].wrap(hop, command, arena, &line);
	put(arena, &line, NULL);
	wrapped.argv = line.word;
	unsigned deadline = command->deadline_ms ? command->deadline_ms : DEADLINE_MS;
	unsigned slack = transports[hop->kind].slack_ms;
	wrapped.deadline_ms = deadline > UINT_MAX - slack ? UINT_MAX : deadline + slack;
	/* both streams come as strings of one JSON text, where one byte may take six */
	if (hop->kind == HOP_QM)
		wrapped.output_max = (size_t)AGENT_OUTPUT_MAX * 2 * 6;
	return wrapped;
}

/* ---- unwrapping --------------------------------------------------------- */

/* A transport's own failures by a line of its error output. */
struct failure {
	enum hop_kind kind;
	const char *start;  /* of that line: pct and docker pass the command's words on, so only theirs may count */
	const char *needle; /* somewhere behind it */
	enum err_kind error;
	const char *says; /* NULL: the transport's own last line */
	const char *hint;
};

#define AGENT_HINT                                                                                                     \
	"install qemu-guest-agent in the guest, set agent: 1 (qm set VMID --agent 1), stop and start the guest"

static const struct failure failures[] = {
	{ HOP_SSH, "", "Host key verification failed", ERR_SYSTEM, NULL,
	        "log in once by hand (ssh HOST) and accept its key, or mend known_hosts if the machine was "
	        "reinstalled" },
	{ HOP_SSH, "", "REMOTE HOST IDENTIFICATION HAS CHANGED", ERR_SYSTEM, "its host key has changed",
	        "if the machine was reinstalled: ssh-keygen -R HOST, then log in once by hand" },
	{ HOP_SSH, "", "Permission denied (", ERR_SYSTEM, NULL,
	        "passwords are never asked for here: put your key there with ssh-copy-id, or load it with ssh-add" },
	{ HOP_SSH, "", "Could not resolve hostname", ERR_SYSTEM, NULL, "check the name, or use its IP address" },
	{ HOP_SSH, "", "Connection refused", ERR_SYSTEM, NULL, "is sshd running there, and is the port right?" },
	{ HOP_SSH, "", "timed out", ERR_TIMEOUT, NULL, "is the machine up and in reach?" },
	{ HOP_SSH, "", "No route to host", ERR_SYSTEM, NULL, "is the machine up and in reach?" },
	{ HOP_SSH, "", "", ERR_SYSTEM, NULL, "try it by hand: ssh HOST true" },

	{ HOP_QM, "", "No QEMU guest agent configured", ERR_SYSTEM, "the guest agent is not enabled", AGENT_HINT },
	{ HOP_QM, "", "QEMU guest agent is not running", ERR_SYSTEM, "the guest agent does not answer", AGENT_HINT },
	{ HOP_QM, "", "got timeout", ERR_SYSTEM, "the guest agent does not answer", AGENT_HINT },
	{ HOP_QM, "", "unable to connect to", ERR_SYSTEM, "the guest agent does not answer", AGENT_HINT },
	{ HOP_QM, "", "has been disabled", ERR_SYSTEM, "the guest agent does not allow guest-exec",
	        "allow guest-exec in the guest (/etc/sysconfig/qemu-ga or /etc/qemu/qemu-ga.conf), restart "
	        "qemu-guest-agent" },
	{ HOP_QM, "", "command not allowed", ERR_SYSTEM, "the guest agent does not allow guest-exec",
	        "allow guest-exec in the guest (/etc/sysconfig/qemu-ga or /etc/qemu/qemu-ga.conf), restart "
	        "qemu-guest-agent" },
	{ HOP_QM, "", "is not running", ERR_SYSTEM, "the VM is not running", "start it first: qm start VMID" },
	{ HOP_QM, "", "does not exist", ERR_SYSTEM, "there is no such VM on this node",
	        "qm list shows those of this node" },
	{ HOP_QM, "", "limited to 1 MiB", ERR_SYSTEM, "more than 1 MiB of input does not pass the guest agent", "" },
	{ HOP_QM, "", "", ERR_SYSTEM, NULL, "try it by hand: qm guest exec VMID -- true" },

	{ HOP_PCT, "container '", "not running!", ERR_SYSTEM, "the container is not running",
	        "start it first: pct start CTID" },
	{ HOP_PCT, "Configuration file '", "does not exist", ERR_SYSTEM, "there is no such container on this node",
	        "pct list shows those of this node" },
	{ HOP_PCT, "lxc-attach:", "", ERR_SYSTEM, NULL, "try it by hand: pct exec CTID -- true" },

	{ HOP_DOCKER, "", "Cannot connect to the Docker daemon", ERR_SYSTEM, "the docker daemon does not answer",
	        "is it running? systemctl status docker" },
	{ HOP_DOCKER, "", "permission denied while trying to connect", ERR_SYSTEM, "this user may not use docker",
	        "read it as root, or with a user in the group docker" },
	{ HOP_DOCKER, "Error", "No such container", ERR_SYSTEM, "there is no such docker container",
	        "docker ps shows those that run" },
	{ HOP_DOCKER, "Error", "is not running", ERR_SYSTEM, "the docker container is not running",
	        "docker ps shows those that run" },
	{ HOP_DOCKER, "Error", "is paused", ERR_SYSTEM, "the docker container is paused", "docker unpause NAME" },
	{ HOP_DOCKER, "Error", "is restarting", ERR_SYSTEM, "the docker container keeps restarting",
	        "docker logs NAME says why" },
};

/* How a transport says that the program to run is not there: that is an answer of the target, as a shell's 127. */
static const struct {
	enum hop_kind kind;
	const char *needle, *also;
} no_program[] = {
	{ HOP_QM, "Failed to execute child process", "No such file or directory" },
	{ HOP_PCT, "lxc-attach:", "No such file or directory - Failed to exec" },
	{ HOP_DOCKER, "OCI runtime exec failed", "executable file not found" },
	{ HOP_DOCKER, "OCI runtime exec failed", "no such file or directory" },
};

static const char *const hop_names[] = {
	[HOP_NONE] = "here", [HOP_SSH] = "ssh", [HOP_QM] = "VM", [HOP_PCT] = "CT", [HOP_DOCKER] = "docker container"
};

static bool holds(struct bytes text, const char *needle)
{
	size_t size = strlen(needle);
	return size == 0 || (text.size && memmem(text.data, text.size, needle, size));
}

static bool has_ink(struct bytes line)
{
	for (size_t i = 0; i < line.size; i++)
		if ((unsigned char)line.data[i] > ' ')
			return true;
	return false;
}

/* The last line that says something; perl and ssh put the reason there. */
static const char *last_line(struct bytes text, struct arena *arena)
{
	struct bytes last = { 0 }, line;
	for (size_t cursor = 0; text_line(text, &cursor, &line);)
		if (has_ink(line))
			last = line;
	if (!last.size)
		return "no reason given";
	return text_printable(arena, (struct bytes){ last.data, last.size > 300 ? 300 : last.size });
}

static bool fail(
        const struct hop *hop, const struct failure *failure, struct bytes said, struct arena *arena, struct err *err)
{
	err_set(err, failure->error, "%s %s: %s", hop_names[hop->kind], text_shown(arena, hop->where),
	        failure->says ? failure->says : last_line(said, arena));
	return err_hint(err, "%s", failure->hint);
}

static bool line_shows(struct bytes text, const char *start, const char *needle)
{
	struct bytes line;
	size_t size = strlen(start);
	for (size_t cursor = 0; text_line(text, &cursor, &line);)
		if (line.size >= size && memcmp(line.data, start, size) == 0 && holds(line, needle))
			return true;
	return size == 0 && *needle == '\0';
}

/* The transport's own failure, if its error output shows one. */
static const struct failure *find_failure(enum hop_kind kind, struct bytes said)
{
	for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
		if (failures[i].kind == kind && line_shows(said, failures[i].start, failures[i].needle))
			return &failures[i];
	return NULL;
}

/* A shell on the way (ssh's, or a script's) does not find the transport itself: this is no node, or has no docker. */
static const struct failure *missing_tool(enum hop_kind kind, int status, struct bytes said)
{
	static const char *const names[] = {
		[HOP_NONE] = "", [HOP_SSH] = "ssh", [HOP_QM] = "qm", [HOP_PCT] = "pct", [HOP_DOCKER] = "docker"
	};
	static const struct failure missing[] = {
		[HOP_SSH] = { HOP_SSH, "", "", ERR_SYSTEM, "ssh is not installed there",
		        "install openssh-client there" },
		[HOP_QM] = { HOP_QM, "", "", ERR_SYSTEM, "the machine asked is no Proxmox VE host: qm is not there",
		        "a guest is reached from the host it runs on" },
		[HOP_PCT] = { HOP_PCT, "", "", ERR_SYSTEM, "the machine asked is no Proxmox VE host: pct is not there",
		        "a guest is reached from the host it runs on" },
		[HOP_DOCKER] = { HOP_DOCKER, "", "", ERR_SYSTEM, "docker is not installed there", "" },
	};
	static const char *const says[] = { ": not found", ": command not found" };
	for (size_t i = 0; status == 127 && i < sizeof says / sizeof *says; i++) {
		char needle[64];
		snprintf(needle, sizeof needle, " %s%s", names[kind], says[i]);
		if (holds(said, needle))
			return &missing[kind];
	}
	return NULL;
}

static bool program_missing(enum hop_kind kind, struct bytes said)
{
	for (size_t i = 0; i < sizeof no_program / sizeof *no_program; i++)
		if (no_program[i].kind == kind && holds(said, no_program[i].needle) && holds(said, no_program[i].also))
			return true;
	return false;
}

/* PVE decodes the agent's base64 into bytes and prints them as they are inside its JSON (to_json without utf8 on an
 * unencoded handle), so the text need not be UTF-8. Each byte becomes one character for the parser and a byte again
 * behind it: exact for any output. */
static struct bytes widen(struct bytes raw, struct arena *arena)
{
	char *wide = arena_alloc(arena, raw.size * 2 + 1), *out = wide;
	for (size_t i = 0; i < raw.size; i++) {
		unsigned char byte = (unsigned char)raw.data[i];
		if (byte < 0x80) {
			*out++ = (char)byte;
		} else {
			*out++ = (char)(0xc0 | byte >> 6);
			*out++ = (char)(0x80 | (byte & 0x3f));
		}
	}
	return (struct bytes){ wide, (size_t)(out - wide) };
}

static struct bytes narrow(const json_t *string, struct arena *arena)
{
	if (!json_is_string(string))
		return arena_bytes(arena, "", 0);
	const char *text = json_string_value(string);
	size_t size = json_string_length(string);
	char *bytes = arena_alloc(arena, size + 1), *out = bytes;
	for (size_t i = 0; i < size; i++) {
		unsigned char sign = (unsigned char)text[i];
		/* only an escape beyond U+00FF is not one of ours: it stays as it is */
		if ((sign == 0xc2 || sign == 0xc3) && i + 1 < size)
			*out++ = (char)((sign & 3) << 6 | ((unsigned char)text[++i] & 0x3f));
		else
			*out++ = (char)sign;
	}
	return (struct bytes){ bytes, (size_t)(out - bytes) };
}

/* JSON::true, 1 and "1" have all been printed by one PVE or another. */
static bool truth(const json_t *value)
{
	return json_is_true(value) || (json_is_integer(value) && json_integer_value(value) != 0) ||
	       (json_is_string(value) && strcmp(json_string_value(value), "1") == 0);
}

static int small_number(const json_t *value, int fallback)
{
	return json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= 255
	               ? (int)json_integer_value(value)
	               : fallback;
}

static bool unwrap_agent(
        const struct hop *hop, const struct outcome *outer, struct arena *arena, struct err *err, struct outcome *ret)
{
	struct bytes wide = widen(outer->out, arena);
	json_t *answer JSON_SCOPED = json_loadb(wide.data, wide.size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(answer)) {
		err_set(err, ERR_SYSTEM, "VM %s: the answer of qm guest exec cannot be read%s",
		        text_shown(arena, hop->where), outer->cut ? ": it is too long" : "");
		return err_hint(err, "try it by hand: qm guest exec VMID -- true");
	}
	/* past --timeout only the pid comes back: the command still runs there */
	if (!truth(json_object_get(answer, "exited"))) {
		err_set(err, ERR_TIMEOUT, "VM %s: the command did not end in time", text_shown(arena, hop->where));
		return err_hint(err, "is the guest busy or hanging?");
	}
	struct outcome inner = { 0 };
	const json_t *signal = json_object_get(answer, "signal");
	inner.status = json_is_integer(signal) ? 128 + small_number(signal, 127)
	                                       : small_number(json_object_get(answer, "exitcode"), 255);
	inner.out = narrow(json_object_get(answer, "out-data"), arena);
	inner.err = narrow(json_object_get(answer, "err-data"), arena);
	inner.cut = truth(json_object_get(answer, "out-truncated")) || truth(json_object_get(answer, "err-truncated"));
	*ret = inner;
	return true;
}

bool hop_unwrap(
        const struct hop *hop, const struct outcome *outer, struct arena *arena, struct err *err, struct outcome *ret)
{
	if (hop->kind == HOP_NONE) {
		*ret = *outer;
		return true;
	}
	if (outer->timed_out) {
		err_set(err, ERR_TIMEOUT, "%s %s: no answer in time", hop_names[hop->kind],
		        text_shown(arena, hop->where));
		return err_hint(err, "is the machine busy or hanging?");
	}
	const struct failure *failure = missing_tool(hop->kind, outer->status, outer->err);
	if (failure)
		return fail(hop, failure, outer->err, arena, err);
	if (outer->status && program_missing(hop->kind, outer->err)) {
		*ret = (struct outcome){ .status = 127, .out = outer->out, .err = outer->err };
		return true;
	}
	/* qm's code is about qm alone; ssh keeps 255 for itself; pct and docker pass the command's code on, so there
	 * the words decide */
	bool own = hop->kind == HOP_SSH ? outer->status == 255 : outer->status != 0;
	failure = own ? find_failure(hop->kind, outer->err) : NULL;
	if (failure)
		return fail(hop, failure, outer->err, arena, err);
	if (hop->kind == HOP_QM)
		return unwrap_agent(hop, outer, arena, err, ret);
	*ret = *outer;
	return true;
}
