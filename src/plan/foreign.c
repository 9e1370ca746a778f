/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What guides for VMs left in /etc/modprobe.d that keeps a card from its own driver: its ids for vfio-pci, and its
 * driver blacklisted. Commented out, line by line and marked as ours, only where the goal accepts gpu.blacklist; what
 * such a line says about other devices stays.
 *
 * Sources: modprobe.d(5); drivers/vfio/pci/vfio_pci.c (ids=).
 */
#include <string.h>

#include "plan/route.h"
#include "rules/check.h"

#define RULE "gpu.blacklist"
#define MARK "#gpuferry# "

static bool keeps_away(const struct modprobe_line *line, const struct words *drivers)
{
	static const char *const nothing[] = { "/bin/false", "/bin/true", "/usr/bin/false", "/usr/bin/true", "true",
		"false", ":", NULL };
	bool ours = check_has(drivers, line->module) && strcmp(line->module, "nouveau") != 0;
	if (!ours || line->kind != MODPROBE_INSTALL)
		return ours && line->kind == MODPROBE_BLACKLIST;
	for (size_t i = 0; nothing[i]; i++)
		if (strcmp(line->rest, nothing[i]) == 0)
			return true;
	return false;
}

/* Does the id name the card; and something else too? */
static bool names_card(struct route *route, const char *id, bool *ret_another)
{
	const struct pci *pci = &route->facts->pci;
	bool card = false;
	for (size_t i = 0; i < pci->n; i++) {
		bool own = pci_same_slot(&pci->devices[i], route->gpu->pci);
		if (!check_vfio_id(id, &pci->devices[i], route->arena))
			continue;
		card = card || own;
		*ret_another = *ret_another || !own;
	}
	return card;
}

/* The options line without the card's ids; NONE: nothing is left of it; the same: it does not name the card; NULL: an
 * id of the card's is another's too. */
static const char *options_without(struct route *route, const struct modprobe_line *line)
{
	struct arena *arena = route->arena;
	const char *rest = "";
	bool named = false;
	for (size_t w = 0; w < line->words.n; w++) {
		const char *word = line->words.word[w], *kept = "";
		if (!text_starts(word, "ids=")) {
			rest = arena_printf(arena, "%s %s", rest, word);
			continue;
		}
		struct words ids = text_split(arena, word + strlen("ids="), ",");
		for (size_t i = 0; i < ids.n; i++) {
			bool another = false, card = names_card(route, ids.word[i], &another);
			if (card && another)
				return NULL;
			named = named || card;
			if (!card)
				kept = arena_printf(arena, "%s%s%s", kept, *kept ? "," : "", ids.word[i]);
		}
		if (*kept)
			rest = arena_printf(arena, "%s ids=%s", rest, kept);
	}
	if (!named)
		return line->rest;
	return *rest ? arena_printf(arena, "options vfio-pci%s\n", rest) : NONE;
}

/* What shall stand in the line's place behind it; NULL: the line stays. *ret_able false: it cannot be told apart. */
static const char *in_place(
        struct route *route, const struct modprobe_line *line, const struct words *drivers, bool *ret_able)
{
	if (keeps_away(line, drivers))
		return NONE;
	if (line->kind != MODPROBE_OPTIONS || strcmp(line->module, "vfio_pci") != 0)
		return NULL;
	const char *rest = options_without(route, line);
	*ret_able = *ret_able && rest;
	return rest == line->rest ? NULL : rest;
}

/* False: nothing in it is to change, or it cannot be changed line by line. */
static bool edit_of(struct route *route, const struct boot_file *file, const struct words *drivers, struct edit *ret)
{
	struct bytes text = route_read(route, file->path), line;
	struct arena *arena = route->arena;
	struct modprobe modprobe = { .known = YES };
	struct words content = { 0 }, what = { 0 };
	bool able = true;
	unsigned number = 1;
	size_t at = 0;
	modprobe_parse(text, file->path, arena, &modprobe);
	for (size_t cursor = 0; text.data && text_line(text, &cursor, &line); number++) {
		while (at < modprobe.n && modprobe.lines[at].line < number)
			at++;
		bool parsed = at < modprobe.n && modprobe.lines[at].line == number;
		const char *plain = arena_strndup(arena, line.data, line.size);
		const char *instead = parsed ? in_place(route, &modprobe.lines[at], drivers, &able) : NULL;
		able = able && !text_ends(plain, "\\");
		*arena_push(arena, content.word, content.n) =
		        arena_printf(arena, "%s%s\n%s", instead ? MARK : "", plain, instead ? instead : "");
		if (instead)
			*arena_push(arena, what.word, what.n) =
			        arena_printf(arena, "line %u, %s", number, text_shown(arena, plain));
	}
	*ret = (struct edit){ file->path, text_join(&content, "", arena), text_join(&what, "; ", arena) };
	return able && what.n;
}

static bool is_own_name(const char *path)
{
	return text_starts(strrchr(path, '/') + 1, "gpuferry");
}

struct edits foreign_edits(struct route *route)
{
	const struct boot *boot = &route->facts->boot;
	struct words drivers = check_drivers(route->gpu, route->arena);
	struct edits ret = { 0 };
	for (size_t i = 0; i < boot->n_files; i++) {
		const struct boot_file *file = &boot->files[i];
		struct edit edit;
		if (text_starts(file->path, "/etc/modprobe.d/") && !is_own_name(file->path) &&
		        edit_of(route, file, &drivers, &edit))
			*arena_push(route->arena, ret.edit, ret.n) = edit;
	}
	return ret;
}

static void comment_out(struct route *route, const struct edit *edit)
{
	const struct boot_file *file = boot_file_at(&route->facts->boot, edit->path);
	struct step *step = route_step(route, PHASE_FILES, "file", "node", edit->path,
	        plan_sum(file->data, route->arena), edit->content, RULE, "comment out what others wrote: %s", edit->what);
	step->mode = file->mode;
	step->needs_reboot = true;
	route_image(route, RULE, edit->path, edit->content);
}

void foreign_comment_out(struct route *route, const struct edits *edits)
{
	struct words what = { 0 };
	bool accepted = route_accepts(route, RULE);
	for (size_t i = 0; i < edits->n; i++) {
		const struct edit *edit = &edits->edit[i];
		if (accepted)
			comment_out(route, edit);
		*arena_push(route->arena, what.word, what.n) =
		        arena_printf(route->arena, "%s, %s", edit->path, edit->what);
	}
	if (what.n && !accepted)
		route_refuse(route, RULE,
		        "take those lines out yourself; or accept it: then gpuferry comments them out, and rollback puts them "
		        "back",
		        "what others wrote keeps the card from its own driver: %s",
		        text_join(&what, "; ", route->arena));
}

/* gpu.blacklist */
void foreign_blacklist(struct route *route, const struct finding *finding)
{
	struct edits edits = foreign_edits(route);
	if (route_accepts(route, RULE) && edits.n)
		foreign_comment_out(route, &edits);
	else
		route_note(route, RULE ": %s.", finding->why);
}
