/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * qm and pct: one table of their commands. Sources: qemu-server PVE/CLI/qm.pm, pve-container PVE/CLI/pct.pm,
 * pve-guest-common PVE/GuestHelpers.pm; sessions s1, s2, s3, s5.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "rehearse/pve.h"

struct verb {
	const char *command; /* "qm set": as many words as it has */
	size_t plain;        /* words without a name behind it */
	pve_verb *run;
};

/* ---- looking ---- */

static int show_config(
        struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct pve_file file;
	const char *current = pve_argument(arguments, "current"), *name = pve_argument(arguments, "snapshot");
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	struct pve_part part =
	        current && pve_boolean(current) == YES ? file.active : pve_merged(call->rehearse->arena, &file);
	if (name && !pve_snapshot(&file, name))
		return pve_die(call, "snapshot '%s' does not exist", name);
	if (name)
		part = *pve_snapshot(&file, name);
	if (!name && kind == GUEST_VM)
		pve_put(call->rehearse->arena, &part, "parent", pve_get(&file.active, "parent"));
	pve_print(call, &part);
	return 0;
}

static int show_pending(
        struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct pve_file file;
	(void)arguments;
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	pve_print_pending(call, &file);
	return 0;
}

static int show_status(
        struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct pve_file file;
	(void)arguments;
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	model_out(call, "status: %s\n", pve_pid(call->rehearse, kind, id) ? "running" : "stopped");
	return 0;
}

static void list_one(struct model_call *call, enum guest_kind kind, unsigned id)
{
	struct rehearse *rehearse = call->rehearse;
	struct model_call quiet = { .rehearse = rehearse, .out = "", .err = "" };
	struct pve_file file;
	unsigned pid = pve_pid(rehearse, kind, id);
	const char *state = pid ? "running" : "stopped";
	if (!pve_load(&quiet, kind, id, &file))
		return;
	const char *name = pve_get(&file.active, kind == GUEST_VM ? "name" : "hostname");
	const char *memory = pve_get(&file.active, "memory"), *lock = pve_get(&file.active, "lock");
	name = name ? name : MODEL_PRINT(rehearse, "%s%u", kind == GUEST_VM ? "VM " : "CT", id);
	if (kind == GUEST_VM)
		model_out(call, "%10u %-20s %-10s %-10s %12.2f %-10u\n", id, name, state, memory ? memory : "512",
		        pve_disk_gib(&file.active), pid);
	else
		model_out(call, "%-10u %-10s %-12s %-20s\n", id, state, lock ? lock : "", name);
}

static int list_guests(
        struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	unsigned *ids;
	size_t n = pve_ids(call->rehearse, kind, &ids);
	(void)arguments, (void)id;
	if (n && kind == GUEST_VM)
		model_out(call, "%10s %-20s %-10s %-10s %12s %-10s\n", "VMID", "NAME", "STATUS", "MEM(MB)",
		        "BOOTDISK(GB)", "PID");
	else if (n)
		model_out(call, "%-10s %-10s %-12s %-20s\n", "VMID", "Status", "Lock", "Name");
	for (size_t i = 0; i < n; i++)
		list_one(call, kind, ids[i]);
	return 0;
}

/* As Perl's String::ShellQuote: = asks for quotes. */
static const char *quoted(struct rehearse *rehearse, const char *word)
{
	static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!%+,-./:@^_";
	if (*word && !word[strspn(word, bare)])
		return word;
	return strchr(word, '\'') ? text_sh_quoted(rehearse->arena, word) : MODEL_PRINT(rehearse, "'%s'", word);
}

static int show_command(
        struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct pve_file file;
	struct words line = { 0 };
	bool pretty = pve_argument(arguments, "pretty") != NULL;
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	file.active = pve_merged(call->rehearse->arena, &file);
	int status = pve_show(call, &file, &line);
	for (size_t i = 0; !status && i < line.n; i++) {
		bool begins = *line.word[i] == '-';
		model_out(call, "%s%s",
		        !i                 ? ""
		        : pretty && begins ? " \\\n  "
		                           : " ",
		        quoted(call->rehearse, line.word[i]));
	}
	if (!status)
		model_out(call, "\n");
	return status;
}

/* ---- power ---- */

static int start(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	(void)arguments;
	return pve_start(call, kind, id);
}

static int shut_down(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	const char *force = pve_argument(arguments, "forceStop");
	return pve_stop(call, kind, id, !force || pve_boolean(force) != YES);
}

static int stop(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	(void)arguments;
	return pve_stop(call, kind, id, false);
}

static int reboot(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	(void)arguments;
	int status = pve_stop(call, kind, id, true);
	return status ? status : pve_start(call, kind, id);
}

static int suspend(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct pve_file file;
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	for (size_t i = 0; pve_argument(arguments, "todisk") && i < file.active.n; i++)
		if (text_starts(file.active.key[i].name, "hostpci"))
			return pve_die(call,
			        "cannot suspend VM to disk due to passed-through PCI device(s), which lack "
			        "the possibility to save/restore their internal state");
	return pve_die(call, "not part of this rehearsal");
}

/* ---- changing ---- */

static int unlock(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct pve_file file;
	(void)arguments;
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	pve_put(call->rehearse->arena, &file.active, "lock", NULL);
	return pve_store(call, &file) ? 0 : PVE_DIED;
}

static int destroy(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	const char *what = kind == GUEST_VM ? "VM" : "CT";
	struct pve_file file;
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	if (!pve_argument(arguments, "skiplock") && pve_locked(call, &file))
		return PVE_DIED;
	const char *protection = pve_get(&file.active, "protection");
	if (protection && pve_boolean(protection) == YES)
		return pve_die(call, "can't remove %s %u - protection mode enabled", what, id);
	if (pve_pid(call->rehearse, kind, id))
		return pve_die(call,
		        kind == GUEST_VM ? "VM %u is running - destroy failed"
		                         : "unable to destroy CT %u - container is running",
		        id);
	pve_disk_free(call, &file);
	int error = model_commit(call->rehearse, file.path, (struct bytes){ 0 }, "%s destroy %u", call->argv[0], id);
	return model_failed(call, error, file.path) ? PVE_DIED : 0;
}

static int template(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct pve_file file;
	(void)arguments;
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	if (pve_pid(call->rehearse, kind, id))
		return pve_die(call, "you can't convert a VM to template if VM is running");
	pve_put(call->rehearse->arena, &file.active, "template", "1");
	return pve_store(call, &file) ? 0 : PVE_DIED;
}

/* The volume comes as unused0 (PVE/QemuServer/ImportDisk.pm). */
static int import_disk(
        struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct rehearse *rehearse = call->rehearse;
	struct pve_file file;
	const char *source = arguments->plain.word[1], *storage = arguments->plain.word[2];
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	if (!model_find(rehearse, source))
		return pve_die(call, "source '%s' does not exist", source);
	unsigned number = 0;
	while (pve_get(&file.active, MODEL_PRINT(rehearse, "unused%u", number)))
		number++;
	const char *key = MODEL_PRINT(rehearse, "unused%u", number);
	model_out(call, "importing disk '%s' to VM %u ...\n", source, id);
	const char *value =
	        pve_disk(call, &file, "scsi0", MODEL_PRINT(rehearse, "%s:0,import-from=%s", storage, source));
	if (!value)
		return PVE_DIED;
	pve_put(rehearse->arena, &file.active, key, arena_strndup(rehearse->arena, value, strcspn(value, ",")));
	return pve_store(call, &file) ? 0 : PVE_DIED;
}

/* Only grows. */
static int resize(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct rehearse *rehearse = call->rehearse;
	struct pve_file file;
	const char *key = arguments->plain.word[1], *size = arguments->plain.word[2];
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	if (pve_locked(call, &file))
		return PVE_DIED;
	const char *value = pve_get(&file.active, key), *at = value ? strstr(value, "size=") : NULL;
	if (!at)
		return pve_die(call, "disk '%s' does not exist", key);
	if (*size == '+' || !text_ends(size, "G"))
		return MODEL_AS_RECORDED;
	struct pve_part only = { 0 };
	pve_put(rehearse->arena, &only, "scsi0", value);
	if (strtod(size, NULL) < pve_disk_gib(&only))
		return pve_die(call, "shrinking disks is not supported");
	pve_put(rehearse->arena, &file.active, key,
	        MODEL_PRINT(rehearse, "%.*ssize=%s%s", (int)(at - value), value, size, at + strcspn(at, ",")));
	return pve_store(call, &file) ? 0 : PVE_DIED;
}

/* ---- inside ---- */

static bool agent_enabled(const struct pve_file *file)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	const char *agent = pve_get(&file->active, "agent");
	struct pve_properties set = pve_parse_properties(agent ? agent : "", "enabled", &scratch);
	const char *enabled = pve_property(&set, "enabled");
	return enabled && pve_boolean(enabled) == YES;
}

/* 0: the agent answers. */
static int ask_agent(struct model_call *call, unsigned id)
{
	struct pve_file file;
	if (!pve_load(call, GUEST_VM, id, &file))
		return PVE_NO_FILE;
	if (!agent_enabled(&file))
		return pve_die(call, "No QEMU guest agent configured");
	if (!pve_pid(call->rehearse, GUEST_VM, id)) {
		pve_die(call, "VM %u is not running", id);
		return 2;
	}
	return 0;
}

static int ping(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	(void)kind;
	int status = ask_agent(call, id);
	if (!status && strcmp(arguments->plain.word[1], "ping") != 0)
		return MODEL_AS_RECORDED;
	return status;
}

/* What such a program does in any guest; else as its recording has it. 0, or errno. */
static int run_inside(struct rehearse *rehearse, const char *label, const char *const *argv, struct outcome *ret)
{
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	struct command command = { .argv = argv };
	struct err err = { 0 };
	*ret = (struct outcome){ .out = { "", 0 }, .err = { "", 0 } };
	if (strcmp(name, "true") == 0)
		return 0;
	if (strcmp(name, "echo") == 0) {
		const char *text = "";
		for (size_t i = 1; argv[i]; i++)
			text = MODEL_PRINT(rehearse, "%s%s%s", text, i > 1 ? " " : "", argv[i]);
		text = MODEL_PRINT(rehearse, "%s\n", text);
		ret->out = (struct bytes){ text, strlen(text) };
		return 0;
	}
	struct world *inside = tape_world(rehearse->tape, label, rehearse->arena, &err);
	int error = inside ? world_run(inside, &command, rehearse->arena, ret) : ENOENT;
	return error == ENODATA ? ENOENT : error;
}

/* A string as Perl's JSON writes it. */
static const char *json_quoted(struct arena *arena, struct bytes text)
{
	json_t *string = json_string(text_utf8(arena, text));
	char *quoted = json_dumps(string, JSON_ENCODE_ANY);
	const char *copy = arena_strdup(arena, quoted);
	free(quoted);
	json_decref(string);
	return copy;
}

static int guest_exec(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct arena *arena = call->rehearse->arena;
	struct outcome outcome;
	(void)kind;
	int status = ask_agent(call, id);
	if (status)
		return status;
	if (!arguments->rest || !arguments->rest[0])
		return pve_die(call, "No command or script given");
	if (run_inside(call->rehearse, MODEL_PRINT(call->rehearse, "vm/%u", id), arguments->rest, &outcome)) {
		model_err(call,
		        "Wide character in die at /usr/share/perl5/PVE/RESTHandler.pm line %d.\n"
		        "Agent error: Failed to execute child process \u201c%s\u201d (No such file or directory)\n",
		        pve_version(call->rehearse) >= 9 ? 1131 : 1008, arguments->rest[0]);
		return 29;
	}
	model_out(call, "{\n");
	if (outcome.err.size)
		model_out(call, "   \"err-data\" : %s,\n", json_quoted(arena, outcome.err));
	model_out(call, "   \"exitcode\" : %d,\n   \"exited\" : 1", outcome.status);
	if (outcome.out.size)
		model_out(call, ",\n   \"out-data\" : %s", json_quoted(arena, outcome.out));
	model_out(call, "\n}\n");
	return 0;
}

static int ct_exec(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct pve_file file;
	struct outcome outcome;
	if (!pve_load(call, kind, id, &file))
		return PVE_NO_FILE;
	if (!pve_pid(call->rehearse, kind, id))
		return pve_die(call, "container '%u' not running!", id);
	if (!arguments->rest || !arguments->rest[0])
		return PVE_USAGE;
	if (run_inside(call->rehearse, MODEL_PRINT(call->rehearse, "ct/%u", id), arguments->rest, &outcome)) {
		model_err(call,
		        "lxc-attach: %u: ../src/lxc/attach.c: lxc_attach_run_command: 1841 No such file or "
		        "directory - Failed to exec \"%s\"\n",
		        id, arguments->rest[0]);
		return 127;
	}
	model_out(call, "%s", outcome.out.data ? outcome.out.data : "");
	model_err(call, "%s", outcome.err.data ? outcome.err.data : "");
	return outcome.status;
}

static int cloud_init(struct model_call *call, const struct pve_arguments *arguments, enum guest_kind kind, unsigned id)
{
	struct pve_file file;
	(void)arguments;
	return pve_load(call, kind, id, &file) ? 0 : PVE_NO_FILE;
}

/* ---- the table ---- */

static const struct verb verbs[] = {
	{ "qm guest exec", 1, guest_exec },
	{ "qm guest cmd", 2, ping },
	{ "qm agent", 2, ping },
	{ "qm disk import", 3, import_disk },
	{ "qm disk resize", 3, resize },
	{ "qm resize", 3, resize },
	{ "qm importdisk", 3, import_disk },
	{ "qm cloudinit update", 1, cloud_init },
	{ "qm create", 1, pve_create },
	{ "qm set", 1, pve_update },
	{ "qm config", 1, show_config },
	{ "qm pending", 1, show_pending },
	{ "qm status", 1, show_status },
	{ "qm list", 0, list_guests },
	{ "qm start", 1, start },
	{ "qm shutdown", 1, shut_down },
	{ "qm stop", 1, stop },
	{ "qm reboot", 1, reboot },
	{ "qm suspend", 1, suspend },
	{ "qm showcmd", 1, show_command },
	{ "qm unlock", 1, unlock },
	{ "qm template", 1, template },
	{ "qm destroy", 1, destroy },
	{ "qm snapshot", 2, pve_take_snapshot },
	{ "qm listsnapshot", 1, pve_list_snapshots },
	{ "qm delsnapshot", 2, pve_drop_snapshot },
	{ "qm rollback", 2, pve_back_to_snapshot },
	{ "pct create", 2, pve_create },
	{ "pct set", 1, pve_update },
	{ "pct config", 1, show_config },
	{ "pct pending", 1, show_pending },
	{ "pct status", 1, show_status },
	{ "pct list", 0, list_guests },
	{ "pct start", 1, start },
	{ "pct shutdown", 1, shut_down },
	{ "pct stop", 1, stop },
	{ "pct reboot", 1, reboot },
	{ "pct exec", 1, ct_exec },
	{ "pct unlock", 1, unlock },
	{ "pct destroy", 1, destroy },
	{ "pct snapshot", 2, pve_take_snapshot },
	{ "pct listsnapshot", 1, pve_list_snapshots },
	{ "pct delsnapshot", 2, pve_drop_snapshot },
	{ "pct rollback", 2, pve_back_to_snapshot },
};

static bool is_called(const struct model_call *call, const char *command)
{
	struct words words = text_split(call->rehearse->arena, command, " ");
	if (call->n < words.n)
		return false;
	for (size_t i = 0; i < words.n; i++)
		if (strcmp(words.word[i], call->argv[i]) != 0)
			return false;
	return true;
}

static int run_verb(struct model_call *call)
{
	enum guest_kind kind = strcmp(call->argv[0], "pct") == 0 ? GUEST_CT : GUEST_VM;
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		struct pve_arguments arguments = { 0 };
		int status;
		if (!is_called(call, verbs[i].command))
			continue;
		if (!pve_arguments(call, verbs[i].command, verbs[i].plain, &arguments, &status))
			return status;
		unsigned id = verbs[i].plain ? pve_id(arguments.plain.word[0]) : 0;
		if (verbs[i].plain && !id) {
			model_err(call,
			        "400 Parameter verification failed.\nvmid: type check ('integer') failed - got '%s'\n"
			        "%s <vmid> [OPTIONS]\n",
			        arguments.plain.word[0], verbs[i].command);
			return PVE_USAGE;
		}
		return verbs[i].run(call, &arguments, kind, id);
	}
	return MODEL_AS_RECORDED;
}

/* A node without PVE has neither. */
static int run_program(struct model_call *call)
{
	return model_find(call->rehearse, "/etc/pve") ? run_verb(call) : MODEL_AS_RECORDED;
}

/* coreutils: what a new guest's image is held against, and what waits for it. */
static int sha256sum(struct model_call *call)
{
	const char *path = call->argv[call->n - 1], *digest = NULL;
	struct model_inode *inode = model_find(call->rehearse, path);
	if (inode && inode->has_data)
		digest = digest_sha256(inode->data, call->rehearse->arena);
	if (digest)
		model_out(call, "%s  %s\n", digest, path);
	else
		model_err(call, "sha256sum: %s: No such file or directory\n", path);
	return digest ? 0 : 1;
}

static int sleep_a_while(struct model_call *call)
{
	call->rehearse->clock += call->n > 1 ? model_number(call->argv[1]) : 0;
	return 0;
}

const struct model_command model_pve_commands[] = {
	{ "sha256sum", sha256sum },
	{ "sleep", sleep_a_while },
	{ "qm", run_program },
	{ "pct", run_program },
	{ "pvesh", pve_pvesh },
	{ "perl", pve_perl },
	{ 0 },
};
