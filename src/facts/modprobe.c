/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "facts/modprobe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "facts/boot.h"

/* modprobe.d splits at these two only: a carriage return stays part of the word, and the word then means nothing. */
#define BLANKS " \t"
#define SOFTDEP_BLANKS " \t\n\v\f\r"

static const char command_line[] = "command line";

/* ---- names ------------------------------------------------------------- */

/* - to _ outside of [ ]; false where a bracket has no partner: libkmod ignores such a line. */
static bool underscores(char *name)
{
	for (; *name; name++) {
		if (*name == '-')
			*name = '_';
		else if (*name == ']')
			return false;
		else if (*name == '[' && !(name = strchr(name, ']')))
			return false;
	}
	return true;
}

char *modprobe_name(struct arena *arena, const char *module)
{
	char *name = arena_strdup(arena, module);
	underscores(name);
	return name;
}

static bool same_name(const char *left, const char *right)
{
	for (; *left && *right; left++, right++)
		if (*left != *right && !(strchr("-_", *left) && strchr("-_", *right)))
			return false;
	return *left == *right;
}

/* ---- one file ---------------------------------------------------------- */

struct lines {
	struct bytes text;
	size_t at;
	unsigned line; /* of the next byte, 1 first */
	char *buffer;
};

static struct lines lines_open(struct bytes text, struct arena *arena)
{
	return (struct lines){ .text = text, .line = 1, .buffer = arena_alloc(arena, text.size + 1) };
}

/* The next logical line, as libkmod reads it: a backslash before a newline joins, before another sign it vanishes;
 * what follows a zero byte is not seen. The line number is that of its first physical line. */
static bool lines_next(struct lines *lines, unsigned *line)
{
	size_t size = 0;
	if (lines->at >= lines->text.size)
		return false;
	*line = lines->line;
	while (lines->at < lines->text.size) {
		char sign = lines->text.data[lines->at++];
		if (sign == '\n') {
			lines->line++;
			break;
		}
		if (sign == '\\') {
			if (lines->at >= lines->text.size)
				break;
			sign = lines->text.data[lines->at++];
			if (sign == '\n') {
				lines->line++;
				continue;
			}
		}
		lines->buffer[size++] = sign;
	}
	lines->buffer[size] = '\0';
	return true;
}

static char *take_word(char **rest)
{
	char *word = *rest + strspn(*rest, BLANKS);
	char *end = word + strcspn(word, BLANKS);
	*rest = *end ? end + 1 : end;
	*end = '\0';
	return *word ? word : NULL;
}

/* Runs of blanks outside double quotes become one; none at the ends. */
static char *folded(struct arena *arena, const char *text)
{
	char *copy = arena_alloc(arena, strlen(text) + 1), *out = copy;
	bool quoted = false;
	for (text += strspn(text, BLANKS); *text; text++) {
		if (*text == '"')
			quoted = !quoted;
		if (quoted || !strchr(BLANKS, *text))
			*out++ = *text;
		else if (!strchr(BLANKS, text[1]))
			*out++ = ' ';
	}
	while (out > copy && out[-1] == ' ')
		out--;
	*out = '\0';
	return copy;
}

static void push_line(struct modprobe *ret, struct arena *arena, struct modprobe_line line)
{
	line.words = boot_cmdline_words(line.rest, arena);
	*arena_push(arena, ret->lines, ret->n) = line;
}

static const struct keyword {
	const char *word;
	enum modprobe_kind kind;
	bool needs_rest;
} keywords[] = {
	{ "blacklist", MODPROBE_BLACKLIST, false },
	{ "options", MODPROBE_OPTIONS, true },
	{ "softdep", MODPROBE_SOFTDEP, true },
	{ "alias", MODPROBE_ALIAS, true },
	{ "install", MODPROBE_INSTALL, true },
	{ "remove", MODPROBE_REMOVE, true },
};

static const struct keyword *find_command(const char *word)
{
	for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
		if (strcmp(keywords[i].word, word) == 0)
			return keywords + i;
	return NULL;
}

/* libkmod 30 and 34 take one blank too many for a part of the first word: "softdep a  pre: b" does nothing, while three
 * blanks are well. That one blank is kept. */
static char *softdep_rest(struct arena *arena, const char *text)
{
	bool spoilt = text[0] && strchr(SOFTDEP_BLANKS, text[0]) && text[1] && !strchr(SOFTDEP_BLANKS, text[1]);
	return arena_printf(arena, "%s%s", spoilt ? " " : "", folded(arena, text));
}

/* libkmod takes any text behind one blank for the rest, so "options a  " counts, with nothing in it. */
static void parse_line(char *text, const char *file, unsigned number, struct arena *arena, struct modprobe *ret)
{
	char *rest = text, *word = take_word(&rest);
	if (!word)
		return;
	struct modprobe_line line = { .file = file, .line = number };
	const struct keyword *command = find_command(word);
	char *whole = folded(arena, rest);
	char *module = command ? take_word(&rest) : NULL;
	bool valid = module && (!command->needs_rest || *rest);
	if (valid) {
		line.kind = command->kind;
		char *name = arena_strdup(arena, module), *normal = arena_strdup(arena, module);
		valid = underscores(normal);
		line.module = line.kind == MODPROBE_ALIAS ? name : normal;
		char *other = line.kind == MODPROBE_ALIAS     ? take_word(&rest)
		              : line.kind == MODPROBE_SOFTDEP ? softdep_rest(arena, rest)
		                                              : folded(arena, rest);
		valid = valid && other && (line.kind != MODPROBE_ALIAS || underscores(other));
		line.rest = other ? arena_strdup(arena, other) : "";
	}
	if (!valid) {
		line.kind = MODPROBE_UNKNOWN;
		line.module = arena_strdup(arena, word);
		line.rest = whole;
	}
	push_line(ret, arena, line);
}

void modprobe_parse(struct bytes text, const char *file, struct arena *arena, struct modprobe *ret)
{
	struct lines lines = lines_open(text, arena);
	unsigned number = 0;
	file = arena_strdup(arena, file);
	while (lines_next(&lines, &number))
		if (lines.buffer[0] && lines.buffer[0] != '#')
			parse_line(lines.buffer, file, number, arena, ret);
}

static void push_load(struct modprobe *ret, struct arena *arena, const char *module, const char *rest, const char *file,
        unsigned line)
{
	*arena_push(arena, ret->loads, ret->n_loads) =
	        (struct load_line){ modprobe_name(arena, module), rest, file, line };
}

void modprobe_parse_loads(struct bytes text, const char *file, struct arena *arena, struct modprobe *ret)
{
	size_t cursor = 0;
	struct bytes raw;
	file = arena_strdup(arena, file);
	for (unsigned number = 1; text_line(text, &cursor, &raw); number++) {
		char *rest = text_trimmed(arena, raw);
		if (!*rest || *rest == '#' || *rest == ';')
			continue;
		char *module = take_word(&rest);
		push_load(ret, arena, module, folded(arena, rest), file, number);
	}
}

/* ---- command line ------------------------------------------------------ */

static void push_each(struct modprobe *ret, struct arena *arena, const char *name, const char *value, bool load)
{
	struct words words = text_split(arena, value, ",");
	for (size_t i = 0; i < words.n; i++) {
		if (load)
			push_load(ret, arena, words.word[i], "", command_line, 0);
		else
			push_line(ret, arena,
			        (struct modprobe_line){ .kind = MODPROBE_BLACKLIST,
			                .module = words.word[i],
			                .rest = name,
			                .file = command_line });
	}
}

/* vfio-pci.ids=10de:2803: modprobe hands "ids=..." to the module when it loads it, as `options` would. */
static void push_option(struct modprobe *ret, struct arena *arena, const char *name, const char *value)
{
	const char *dot = strchr(name, '.');
	if (!dot || dot == name || !dot[1] || strchr(dot + 1, '.') || strchr(name, '"'))
		return;
	char *module = arena_strndup(arena, name, (size_t)(dot - name));
	if (!underscores(module))
		return;
	bool blank = value && strpbrk(value, SOFTDEP_BLANKS);
	const char *quote = blank ? "\"" : "";
	push_line(ret, arena,
	        (struct modprobe_line){ .kind = MODPROBE_OPTIONS,
	                .module = module,
	                .rest = value ? arena_printf(arena, "%s=%s%s%s", dot + 1, quote, value, quote)
	                              : arena_strdup(arena, dot + 1),
	                .file = command_line });
}

void modprobe_parse_cmdline(const char *cmdline, struct arena *arena, struct modprobe *ret)
{
	struct words words = boot_cmdline_words(cmdline, arena);
	for (size_t i = 0; i < words.n; i++) {
		char *name = arena_strdup(arena, words.word[i]), *value = strchr(name, '=');
		if (value)
			*value++ = '\0';
		if (strcmp(name, "modprobe.blacklist") == 0 || same_name(name, "module_blacklist"))
			push_each(ret, arena, name, value, false);
		else if (same_name(name, "modules_load"))
			push_each(ret, arena, name, value, true);
		else if (text_starts(name, "rd.driver."))
			/* dracut's own words: kept to be seen, without effect here */
			push_line(ret, arena,
			        (struct modprobe_line){ .kind = MODPROBE_UNKNOWN,
			                .module = name,
			                .rest = value ? value : "",
			                .file = command_line });
		else
			push_option(ret, arena, name, value);
	}
}

/* ---- a machine --------------------------------------------------------- */

/* The order of libkmod 30 and 34 (/usr/lib is new in 34; with a merged /usr it is the same as /lib) and of
 * systemd's modules-load.d. An earlier folder's file hides a later one's of the same name. */
static const char *const folders[] = { "/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib" };

struct config_file {
	const char *name, *path;
	unsigned folder;
};

struct config_files {
	struct config_file *file;
	size_t n;
};

static int by_name(const void *left, const void *right)
{
	const struct config_file *l = left, *r = right;
	int order = strcmp(l->name, r->name);
	return order ? order : (int)l->folder - (int)r->folder;
}

struct gathering {
	struct world *world;
	struct arena *arena;
	struct modprobe *ret;
	blind_fn *blind;
	void *data;
	bool complete;
};

static void not_read(struct gathering *gathering, int error, const char *path)
{
	if (!error || error == ENOENT)
		return;
	gathering->complete = false;
	if (gathering->blind)
		gathering->blind(gathering->data, error, path);
}

/* All files of one kind in the order of effect: sorted by name over all folders. */
static struct config_files list_files(struct gathering *gathering, const char *kind, const char *const *suffixes)
{
	struct config_files files = { 0 };
	for (unsigned folder = 0; folder < sizeof folders / sizeof *folders; folder++) {
		const char *path = arena_printf(gathering->arena, "%s/%s", folders[folder], kind);
		struct words names = { 0 };
		not_read(gathering, world_list(gathering->world, path, gathering->arena, &names), path);
		for (size_t i = 0; i < names.n; i++) {
			const char *name = names.word[i];
			bool wanted = false;
			for (const char *const *suffix = suffixes; *suffix; suffix++)
				wanted = wanted || (text_ends(name, *suffix) && strlen(name) > strlen(*suffix));
			if (!wanted || name[0] == '.')
				continue;
			*arena_push(gathering->arena, files.file, files.n) = (struct config_file){ name,
				arena_printf(gathering->arena, "%s/%s", path, name), folder };
		}
	}
	if (files.n)
		qsort(files.file, files.n, sizeof *files.file, by_name);
	size_t kept = 0;
	for (size_t i = 0; i < files.n; i++)
		if (!kept || strcmp(files.file[kept - 1].name, files.file[i].name) != 0)
			files.file[kept++] = files.file[i];
	files.n = kept;
	return files;
}

static bool read_file(struct gathering *gathering, const char *path, struct bytes *ret)
{
	const char *target = NULL;
	int error = world_read(gathering->world, path, 0, gathering->arena, ret);
	/* a link to /dev/null is how a file is masked: empty, not unreadable */
	if (error && world_link(gathering->world, path, gathering->arena, &target) == 0 &&
	        strcmp(target, "/dev/null") == 0)
		return false;
	if (error != EISDIR) /* libkmod passes folders by */
		not_read(gathering, error, path);
	return error == 0;
}

static void gather_lines(struct gathering *gathering)
{
	static const char *const suffixes[] = { ".conf", ".alias", NULL };
	struct config_files files = list_files(gathering, "modprobe.d", suffixes);
	struct bytes text;
	for (size_t i = 0; i < files.n; i++)
		if (read_file(gathering, files.file[i].path, &text))
			modprobe_parse(text, files.file[i].path, gathering->arena, gathering->ret);
}

/* Debian lets systemd read /etc/modules through modules-load.d/modules.conf -> ../modules: named by its own name. */
static bool is_etc_modules(struct gathering *gathering, const char *path)
{
	const char *target = NULL;
	return world_link(gathering->world, path, gathering->arena, &target) == 0 &&
	       (strcmp(target, "../modules") == 0 || strcmp(target, "/etc/modules") == 0);
}

static void gather_loads(struct gathering *gathering)
{
	static const char *const suffixes[] = { ".conf", NULL };
	struct config_files files = list_files(gathering, "modules-load.d", suffixes);
	struct bytes text;
	for (size_t i = 0; i < files.n; i++)
		if (!is_etc_modules(gathering, files.file[i].path) && read_file(gathering, files.file[i].path, &text))
			modprobe_parse_loads(text, files.file[i].path, gathering->arena, gathering->ret);
	if (read_file(gathering, "/etc/modules", &text))
		modprobe_parse_loads(text, "/etc/modules", gathering->arena, gathering->ret);
}

void modprobe_gather(struct world *world, struct arena *arena, struct modprobe *ret, blind_fn *blind, void *data)
{
	struct gathering gathering = { world, arena, ret, blind, data, true };
	gather_lines(&gathering);
	gather_loads(&gathering);
	ret->known = gathering.complete ? YES : UNKNOWN;
}

/* ---- questions --------------------------------------------------------- */

static bool blacklists(const struct modprobe_line *line, const char *module)
{
	return line->kind == MODPROBE_BLACKLIST && !strchr(line->module, '-') && same_name(line->module, module);
}

bool modprobe_blacklisted(const struct modprobe *modprobe, const char *module)
{
	for (size_t i = 0; i < modprobe->n; i++)
		if (blacklists(&modprobe->lines[i], module))
			return true;
	return false;
}

bool modprobe_skips(const struct modprobe *modprobe, const char *module)
{
	for (size_t i = 0; i < modprobe->n; i++)
		if (blacklists(&modprobe->lines[i], module) && !same_name(modprobe->lines[i].rest, "module_blacklist"))
			return true;
	return false;
}

/* The next word of a text cut at blanks; *text moves on. */
static struct bytes next_word(const char **text, const char *blanks)
{
	*text += strspn(*text, blanks);
	struct bytes word = { *text, strcspn(*text, blanks) };
	*text += word.size;
	return word;
}

static bool word_is(struct bytes word, const char *text, bool names)
{
	if (strlen(text) != word.size)
		return false;
	for (size_t i = 0; i < word.size; i++)
		if (word.data[i] != text[i] && !(names && strchr("-_", word.data[i]) && strchr("-_", text[i])))
			return false;
	return true;
}

/* Only the words "pre:" and "post:" by themselves open a list: "pre:vfio-pci" is read as nothing by libkmod. */
static bool softdep_pre(const char *rest, const char *first)
{
	bool pre = false;
	if (*rest == ' ') /* see softdep_rest */
		next_word(&rest, SOFTDEP_BLANKS);
	for (struct bytes word; (word = next_word(&rest, SOFTDEP_BLANKS)).size;) {
		if (word_is(word, "pre:", false))
			pre = true;
		else if (word_is(word, "post:", false))
			pre = false;
		else if (pre && word_is(word, first, true))
			return true;
	}
	return false;
}

/* libkmod (kmod_module_get_softdeps) stops at a module's first line: a second one does nothing. */
bool modprobe_softdep(const struct modprobe *modprobe, const char *module, const char *first)
{
	for (size_t i = 0; i < modprobe->n; i++) {
		const struct modprobe_line *line = modprobe->lines + i;
		if (line->kind == MODPROBE_SOFTDEP && same_name(line->module, module))
			return softdep_pre(line->rest, first);
	}
	return false;
}

static const char *line_option(const struct modprobe_line *line, const char *option)
{
	const char *found = NULL;
	for (size_t i = 0; i < line->words.n; i++) {
		const char *word = line->words.word[i];
		size_t size = strcspn(word, "=");
		if (word_is((struct bytes){ word, size }, option, true))
			found = word[size] ? word + size + 1 : word + size;
	}
	return found;
}

const char *modprobe_option(const struct modprobe *modprobe, const char *module, const char *option)
{
	const char *found = NULL;
	for (size_t i = 0; i < modprobe->n; i++) {
		const struct modprobe_line *line = modprobe->lines + i;
		if (line->kind != MODPROBE_OPTIONS || !same_name(line->module, module))
			continue;
		const char *value = line_option(line, option);
		found = value ? value : found;
	}
	return found;
}
