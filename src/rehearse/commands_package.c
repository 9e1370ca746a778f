/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * apt and dpkg, as far as a package appears and goes: /var/lib/dpkg/status in the form of deb-status. Of what packages
 * put on the disk only a kernel's headers are modelled, and NVIDIA's modules, which DKMS builds for each kernel that has
 * headers (they are in its modules.alias then).
 */
#include <string.h>

#include "facts/package.h"
#include "rehearse/model.h"

#define PRINT(...) MODEL_PRINT(call->rehearse, __VA_ARGS__)
#define STATUS "/var/lib/dpkg/status"

static const char *status_of(struct model_call *call)
{
	const char *text = model_text(call->rehearse, STATUS);
	return text ? text : "";
}

/* The paragraph of a package in the status file; NULL: none. */
static const char *paragraph(struct model_call *call, const char *status, const char *name, size_t *ret_size)
{
	const char *start = PRINT("Package: %s\n", name);
	for (const char *at = status; (at = strstr(at, start)); at++) {
		if (at != status && at[-1] != '\n')
			continue;
		const char *end = strstr(at, "\n\n");
		*ret_size = end ? (size_t)(end - at) + 2 : strlen(at);
		return at;
	}
	return NULL;
}

static int put_status(struct model_call *call, const char *text)
{
	struct rehearse *rehearse = call->rehearse;
	struct world_owner owner = { .mode = 0644 };
	int error = model_put(rehearse, STATUS "-new", (struct bytes){ text, strlen(text) }, &owner);
	error = error ? error : model_sync(rehearse, STATUS "-new");
	error = error ? error : model_rename(rehearse, STATUS "-new", STATUS);
	error = error ? error : model_sync(rehearse, "/var/lib/dpkg");
	return model_failed(call, error, "dpkg: error: writing to " STATUS) ? 2 : 0;
}

/* The version that apt would take: what a recorded `apt-cache policy` names. NULL: apt does not know the package. */
static const char *candidate_of_all(struct model_call *call, const char *name)
{
	struct command command = { .argv = package_policy };
	struct outcome outcome = { 0 };
	struct rehearse *rehearse = call->rehearse;
	if (rehearse->replay->ops->run(rehearse->replay, &command, rehearse->arena, &outcome))
		return NULL;
	struct words packages = package_parse_policy(outcome.out, "Candidate", rehearse->arena);
	return package_version(&packages, name);
}

static const char *candidate(struct model_call *call, const char *name)
{
	const char *argv[] = { "apt-cache", "policy", name, NULL };
	struct command command = { .argv = argv };
	struct outcome outcome = { 0 };
	struct rehearse *rehearse = call->rehearse;
	const char *at = NULL;
	if (rehearse->replay->ops->run(rehearse->replay, &command, rehearse->arena, &outcome) == 0 && outcome.out.data)
		at = strstr(outcome.out.data, "Candidate: ");
	if (!at || text_starts(at, "Candidate: (none)"))
		return candidate_of_all(call, name);
	at += strlen("Candidate: ");
	return arena_strndup(rehearse->arena, at, strcspn(at, "\n"));
}

/* What DKMS looks for: the headers of a kernel. */
static const char *headers_folder(struct model_call *call, const char *name)
{
	static const char *const packages[] = { "proxmox-headers-", "pve-headers-" };
	for (size_t i = 0; i < sizeof packages / sizeof *packages; i++)
		if (text_starts(name, packages[i]) && text_ends(name, "-pve"))
			return PRINT("/usr/src/linux-headers-%s", name + strlen(packages[i]));
	return NULL;
}

/* The status file with that package in that state ("install ok installed"), or without it (NULL). */
static int put_state(struct model_call *call, const char *name, const char *version, const char *state)
{
	const char *status = status_of(call);
	size_t size = 0;
	const char *at = paragraph(call, status, name, &size);
	const char *own = state ? PRINT("Package: %s\nStatus: %s\nArchitecture: amd64\nVersion: %s\n\n", name, state, version)
	                        : "";
	at = at ? at : status + strlen(status);
	return put_status(call, PRINT("%.*s%s%s", (int)(at - status), status, own, at + size));
}

static const char *state_of(struct model_call *call, const char *name)
{
	size_t size;
	const char *at = paragraph(call, status_of(call), name, &size);
	const char *line = at ? strstr(arena_strndup(call->rehearse->arena, at, size), "\nStatus: ") : NULL;
	line = line ? line + strlen("\nStatus: ") : NONE;
	return arena_strndup(call->rehearse->arena, line, strcspn(line, "\n"));
}

/* One line, which says no more than that the module is there for NVIDIA's cards. */
#define BUILT "alias pci:v000010DEd*sv*sd*bc03sc00i* nvidia\n"

/* DKMS: built where there are headers, and away where there is no source any more. */
static void build(struct model_call *call, bool source)
{
	static const char folder[] = "/lib/modules";
	struct rehearse *rehearse = call->rehearse;
	struct model_inode *kernels = model_find(rehearse, folder);
	for (size_t i = 0; kernels && i < kernels->names.n; i++) {
		const char *kernel = kernels->names.name[i].name, *path = PRINT("%s/%s/modules.alias", folder, kernel);
		const char *text = model_text(rehearse, path), *at = text ? strstr(text, BUILT) : NULL;
		bool headers = model_find(rehearse, PRINT("/usr/src/linux-headers-%s", kernel)) != NULL;
		if (text && source && headers && !at)
			model_set_text(rehearse, path, 0644, "%s" BUILT, text);
		if (text && !source && at)
			model_set_text(rehearse, path, 0644, "%.*s%s", (int)(at - text), text, at + strlen(BUILT));
	}
}

static bool is_nvidia(const char *name)
{
	return strcmp(name, "nvidia-kernel-dkms") == 0 || strcmp(name, "nvidia-open-kernel-dkms") == 0;
}

static void unpack(struct model_call *call, const char *name, bool there)
{
	const char *folder = headers_folder(call, name);
	if (folder && there)
		model_set(call->rehearse, folder, NODE_DIR, 0755, (struct bytes){ 0 });
	else if (folder)
		model_drop(call->rehearse, folder);
	bool source = text_ends(state_of(call, "nvidia-kernel-dkms"), " installed") ||
	              text_ends(state_of(call, "nvidia-open-kernel-dkms"), " installed");
	if (is_nvidia(name) || (folder && there && source))
		build(call, there);
}

/* What nvidia-graphics-drivers' packages depend on (its debian/control), as far as it is named by others. */
static const char *const come_along[] = { "dkms", "nvidia-kernel-support", "nvidia-modprobe" };

/* dpkg notes what it is about to do, unpacks, and notes that it is done. */
static int install_one(struct model_call *call, const char *word)
{
	const char *equals = strchr(word, '=');
	const char *name = equals ? arena_strndup(call->rehearse->arena, word, (size_t)(equals - word)) : word;
	const char *version = equals ? equals + 1 : candidate(call, name);
	if (text_ends(state_of(call, name), " installed")) {
		model_out(call, "%s is already the newest version.\n", name);
		return 0;
	}
	if (!version) {
		model_err(call, "E: Unable to locate package %s\n", name);
		return 100;
	}
	int failed = 0;
	for (size_t i = 0; is_nvidia(name) && i < sizeof come_along / sizeof *come_along && !failed; i++)
		if (!*state_of(call, come_along[i]))
			failed = put_state(call, come_along[i], version, "install ok installed");
	failed = failed ? failed : put_state(call, name, version, "install reinstreq half-installed");
	if (failed)
		return failed;
	unpack(call, name, true);
	model_out(call, "Setting up %s (%s) ...\n", name, version);
	return put_state(call, name, version, "install ok installed");
}

static int remove_one(struct model_call *call, const char *name)
{
	const char *state = state_of(call, name);
	bool force = false;
	for (size_t i = 1; i < call->n; i++)
		force |= strcmp(call->argv[i], "--force-remove-reinstreq") == 0;
	if (!*state) {
		model_err(call, "dpkg: warning: ignoring request to remove %s which isn't installed\n", name);
		return 0;
	}
	if (strstr(state, " reinstreq ") && !force) {
		model_err(call,
		        "dpkg: error processing package %s (--purge):\n package is in a very bad inconsistent state; you "
		        "should\n reinstall it before attempting a removal\n",
		        name);
		return 1;
	}
	model_out(call, "Removing %s ...\n", name);
	int failed = put_state(call, name, "0", "deinstall ok half-installed");
	if (failed)
		return failed;
	unpack(call, name, false);
	return put_state(call, name, NULL, NULL);
}

/* The words that are neither options nor their values. */
static struct words names_from(struct model_call *call, size_t from)
{
	struct words names = { 0 };
	for (size_t i = from; i < call->n; i++) {
		if (strcmp(call->argv[i], "-o") == 0 || strcmp(call->argv[i], "-t") == 0)
			i++;
		else if (*call->argv[i] != '-')
			*arena_push(call->rehearse->arena, names.word, names.n) = call->argv[i];
	}
	return names;
}

int model_apt_get(struct model_call *call)
{
	struct words names = names_from(call, 1);
	if (!names.n)
		return MODEL_AS_RECORDED;
	bool install = strcmp(names.word[0], "install") == 0;
	if (strcmp(names.word[0], "update") == 0)
		return model_failed(call, model_effect(call->rehearse, "apt-get update"), "apt-get") ? 100 : 0;
	if (!install && !text_has_word("purge remove autoremove", names.word[0], " "))
		return MODEL_AS_RECORDED;
	int status = 0;
	for (size_t i = 1; i < names.n && !status; i++)
		status = install ? install_one(call, names.word[i]) : remove_one(call, names.word[i]);
	return status == 2 ? 100 : status;
}

int model_dpkg(struct model_call *call)
{
	bool purge = call->n > 2 && text_has_word("--purge -P --remove -r", call->argv[1], " ");
	for (size_t i = 2; i < call->n; i++)
		if (text_has_word("--simulate --no-act --dry-run", call->argv[i], " "))
			return purge ? 0 : MODEL_AS_RECORDED;
	struct words names = names_from(call, 2);
	int status = 0;
	for (size_t i = 0; purge && i < names.n && !status; i++)
		status = remove_one(call, names.word[i]);
	return purge ? status : MODEL_AS_RECORDED;
}

int model_apt_mark(struct model_call *call)
{
	const char *verb = call->n > 2 ? call->argv[1] : "";
	bool hold = strcmp(verb, "hold") == 0;
	if (!hold && strcmp(verb, "unhold") != 0)
		return MODEL_AS_RECORDED;
	for (size_t i = 2; i < call->n; i++) {
		const char *status = status_of(call), *name = call->argv[i];
		size_t size;
		const char *at = paragraph(call, status, name, &size);
		const char *line = at ? strstr(at, "\nStatus: ") : NULL;
		if (!line || line > at + size) {
			model_err(call, "E: Unable to locate package %s\n", name);
			return 100;
		}
		const char *word = line + strlen("\nStatus: "), *rest = word + strcspn(word, " ");
		int error = put_status(
		        call, PRINT("%.*s%s%s", (int)(word - status), status, hold ? "hold" : "install", rest));
		if (error)
			return 100;
		model_out(call, "%s %s.\n", name, hold ? "set on hold" : "was already not on hold");
	}
	return 0;
}
