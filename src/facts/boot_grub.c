/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Two texts in nearly one language: /etc/default/grub, which grub-mkconfig lets sh read, and grub.cfg, which GRUB runs.
 * Both are cut into words and commands here; nothing is run.
 */
#include "facts/boot.h"

#include <string.h>

enum { VALUE_MAX = 16 * 1024, NESTING_MAX = 64, VARIABLES_MAX = 1024 };

/* ---- words ------------------------------------------------------------- */

struct buffer {
	char *data;
	size_t size, room;
};

static void put(struct buffer *buffer, struct arena *arena, const char *data, size_t size)
{
	if (buffer->size + size + 1 > buffer->room) {
		size_t room = (buffer->size + size + 1) * 2;
		char *grown = arena_alloc(arena, room);
		if (buffer->size)
			memcpy(grown, buffer->data, buffer->size);
		buffer->data = grown;
		buffer->room = room;
	}
	memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
	buffer->data[buffer->size] = '\0';
}

struct shell {
	struct bytes text;
	size_t at;
	unsigned line;
	struct arena *arena;
	const struct grub_defaults *defaults; /* whose variables $NAME means; NULL: $NAME stays as it stands */
	bool open;                            /* a quote or a bracket was not closed */
};

struct shell_word {
	const char *text;
	size_t literal; /* the first so many bytes stood there unquoted: NAME= and keywords must */
	bool unknown;   /* a part of it is known to nobody who does not run it */
	unsigned line;
};

static int peek(const struct shell *shell, size_t ahead)
{
	return shell->at + ahead < shell->text.size ? (unsigned char)shell->text.data[shell->at + ahead] : -1;
}

static int take(struct shell *shell)
{
	int sign = peek(shell, 0);
	if (sign == '\n')
		shell->line++;
	shell->at += sign >= 0;
	return sign;
}

static bool name_sign(int sign)
{
	return sign == '_' || (sign >= '0' && sign <= '9') || (sign >= 'a' && sign <= 'z') ||
	       (sign >= 'A' && sign <= 'Z');
}

/* Passes what stands between here and the closing sign that belongs to an opening one already taken; what is quoted
 * does not count. */
static void skip_nested(struct shell *shell, int opening, int closing)
{
	int quote = 0;
	for (int depth = 1, sign; depth && (sign = take(shell)) >= 0;) {
		if (sign == '\\' && quote != '\'')
			take(shell);
		else if (quote)
			quote = sign == quote ? 0 : quote;
		else if (sign == '"' || sign == '\'')
			quote = sign;
		else if (sign == closing)
			depth--;
		else if (sign == opening)
			depth++;
		if (!depth)
			return;
	}
	shell->open = true;
}

static void expand(struct shell *shell, const char *name, struct buffer *out, struct shell_word *word)
{
	const char *value = boot_grub_value(shell->defaults, name);
	if (boot_grub_unknown(shell->defaults, name) || (!value && !text_starts(name, "GRUB_")))
		word->unknown = true;
	else if (value)
		put(out, shell->arena, value, strlen(value));
	if (out->size > VALUE_MAX)
		word->unknown = true;
}

/* Behind a $ or `. */
static void take_dollar(struct shell *shell, int first, struct buffer *out, struct shell_word *word)
{
	size_t start = shell->at - 1;
	char name[256];
	size_t size = 0;
	bool brace = first == '$' && peek(shell, 0) == '{';
	if (first == '`' || (!brace && peek(shell, 0) == '(')) {
		if (first == '$')
			take(shell);
		skip_nested(shell, first == '`' ? -2 : '(', first == '`' ? '`' : ')');
		word->unknown = true;
		return;
	}
	shell->at += brace;
	while (name_sign(peek(shell, 0)) && size < sizeof name - 1)
		name[size++] = (char)take(shell);
	name[size] = '\0';
	bool plain = size && size < sizeof name - 1;
	if (brace && peek(shell, 0) == '}') {
		take(shell);
	} else if (brace) {
		skip_nested(shell, '{', '}');
		plain = false;
	}
	if (!shell->defaults || (!brace && !size))
		put(out, shell->arena, shell->text.data + start, shell->at - start);
	else if (plain && out->size <= VALUE_MAX)
		expand(shell, name, out, word);
	else
		word->unknown = true;
}

static void put_sign(struct shell *shell, struct buffer *out, int sign)
{
	char byte = (char)sign;
	if (sign > 0 && out->size <= VALUE_MAX)
		put(out, shell->arena, &byte, 1);
}

static void take_quoted(struct shell *shell, int quote, struct buffer *out, struct shell_word *word)
{
	for (int sign; (sign = take(shell)) != quote;) {
		if (sign < 0) {
			shell->open = true;
			return;
		}
		if (quote == '"' && sign == '\\' && peek(shell, 0) >= 0 && strchr("$`\"\\\n", peek(shell, 0))) {
			sign = take(shell);
			if (sign != '\n')
				put_sign(shell, out, sign);
		} else if (quote == '"' && (sign == '`' || sign == '$')) {
			take_dollar(shell, sign, out, word);
		} else {
			put_sign(shell, out, sign);
		}
	}
}

static bool ends_word(int sign)
{
	return sign < 0 || (sign && strchr(" \t\n;&|()<>", sign));
}

/* The word that begins here. */
static struct shell_word take_word(struct shell *shell)
{
	struct shell_word word = { .line = shell->line };
	struct buffer out = { 0 };
	bool literal = true;
	put(&out, shell->arena, "", 0);
	while (!ends_word(peek(shell, 0))) {
		int sign = take(shell);
		if (sign == '\\') {
			sign = take(shell);
			literal = false;
			if (sign >= 0 && sign != '\n')
				put_sign(shell, &out, sign);
		} else if (sign == '\'' || sign == '"') {
			literal = false;
			take_quoted(shell, sign, &out, &word);
		} else if (sign == '$' || sign == '`') {
			literal = false;
			take_dollar(shell, sign, &out, &word);
		} else {
			put_sign(shell, &out, sign);
		}
		word.literal = literal ? out.size : word.literal;
	}
	word.unknown = word.unknown || out.size > VALUE_MAX;
	word.text = out.data;
	return word;
}

/* ---- commands ---------------------------------------------------------- */

/* The next word or the sign that ends a command: 0 a word, -1 the end, else \n ; & | ( ) < > */
static int next_token(struct shell *shell, struct shell_word *ret)
{
	for (;;) {
		int sign = peek(shell, 0);
		if (sign == ' ' || sign == '\t') {
			take(shell);
		} else if (sign == '\\' && peek(shell, 1) == '\n') {
			take(shell);
			take(shell);
		} else if (sign == '#') {
			while (peek(shell, 0) >= 0 && peek(shell, 0) != '\n')
				take(shell);
		} else if (ends_word(sign)) {
			take(shell);
			return sign;
		} else {
			*ret = take_word(shell);
			return 0;
		}
	}
}

struct shell_command {
	struct shell_word *word;
	size_t n;
	int end;         /* the sign behind it */
	bool double_end; /* && or || */
};

static bool next_command(struct shell *shell, struct shell_command *ret)
{
	*ret = (struct shell_command){ 0 };
	struct shell_word word;
	for (;;) {
		int token = next_token(shell, &word);
		if (token == 0) {
			*arena_push(shell->arena, ret->word, ret->n) = word;
			continue;
		}
		if (token == '<' || token == '>')
			continue;
		ret->end = token;
		ret->double_end = (token == '&' || token == '|') && peek(shell, 0) == token;
		if (ret->double_end)
			take(shell);
		return ret->n > 0 || token >= 0;
	}
}

/* ---- /etc/default/grub --------------------------------------------------- */

struct grub_reader {
	struct shell shell;
	struct grub_defaults *ret;
	const char *file;
	int depth;        /* of if, for, while, case, { */
	bool conditional; /* behind && or || */
	bool lost;        /* depth can no longer be told */
};

/* How many bytes of "NAME=" or "NAME+=" stand before the value; 0: no assignment. */
static size_t assignment(const struct shell_word *word, bool *append)
{
	size_t size = 0;
	while (name_sign((unsigned char)word->text[size]))
		size++;
	*append = size && word->text[size] == '+' && word->text[size + 1] == '=';
	size_t end = size + *append;
	bool digit = word->text[0] >= '0' && word->text[0] <= '9';
	return size && !digit && word->text[end] == '=' && word->literal > end ? end + 1 : 0;
}

static void set_variable(struct grub_reader *reader, const char *name, const char *value, unsigned line)
{
	*arena_push(reader->shell.arena, reader->ret->variable, reader->ret->n) =
	        (struct grub_variable){ name, value, reader->file, line };
}

static void assign(struct grub_reader *reader, const struct shell_word *word, size_t at, bool append)
{
	struct arena *arena = reader->shell.arena;
	bool known = !word->unknown && !reader->depth && !reader->conditional && !reader->lost;
	const char *name = arena_strndup(arena, word->text, at - 1 - append), *value = word->text + at;
	if (append) {
		const char *before = boot_grub_value(reader->ret, name);
		known = known && !boot_grub_unknown(reader->ret, name) && (!before || strlen(before) < VALUE_MAX);
		reader->ret->certain = false;
		value = known ? arena_printf(arena, "%s%s", before ? before : "", value) : NULL;
	}
	set_variable(reader, name, known ? value : NULL, word->line);
}

static bool is_one_of(const struct shell_word *word, const char *list)
{
	return word->literal == strlen(word->text) && text_has_word(list, word->text, " ");
}

/* Words before which a command can begin; those that open a block change the depth. */
static bool take_keyword(struct grub_reader *reader, const struct shell_word *word)
{
	if (is_one_of(word, "if while until for case {"))
		reader->depth++;
	else if (is_one_of(word, "fi done esac }"))
		reader->depth -= reader->depth > 0;
	else if (!is_one_of(word, "then else elif do in !"))
		return false;
	return true;
}

static void run_command(struct grub_reader *reader, const struct shell_command *command)
{
	size_t first = 0;
	bool append = false;
	while (first < command->n && take_keyword(reader, command->word + first)) {
		if (is_one_of(command->word + first, "for") && first + 1 < command->n) {
			set_variable(reader, command->word[first + 1].text, NULL, command->word[first].line);
			return;
		}
		if (is_one_of(command->word + first, "case"))
			return;
		first++;
	}
	if (first < command->n && is_one_of(command->word + first, "export readonly"))
		first++;
	size_t all = first;
	while (all < command->n && assignment(command->word + all, &append))
		all++;
	if (all == command->n) {
		for (size_t at; first < command->n; first++) {
			at = assignment(command->word + first, &append);
			assign(reader, command->word + first, at, append);
		}
	} else if (is_one_of(command->word + all, "unset")) {
		while (++all < command->n)
			set_variable(
			        reader, command->word[all].text, reader->depth ? NULL : "", command->word[all].line);
	} else if (command->word[all].unknown ||
	           is_one_of(command->word + all, ". source eval exec exit return set read")) {
		reader->ret->certain = false;
	}
}

void boot_parse_grub(struct bytes text, const char *file, struct arena *arena, struct grub_defaults *ret)
{
	struct grub_reader reader = { .ret = ret,
		.file = arena_strdup(arena, file),
		.shell = { .text = text, .line = 1, .arena = arena, .defaults = ret } };
	struct shell_command command;
	while (ret->n < VARIABLES_MAX && next_command(&reader.shell, &command)) {
		/* brackets: a function, a case pattern or a subshell: nothing behind them is taken for sure */
		if (command.end == '(' || command.end == ')')
			reader.lost = true;
		run_command(&reader, &command);
		if (command.n || command.end != '\n')
			reader.conditional = command.double_end;
	}
	ret->certain = ret->certain && !reader.shell.open && !reader.lost && ret->n < VARIABLES_MAX;
}

static const struct grub_variable *last_variable(const struct grub_defaults *defaults, const char *name)
{
	for (size_t i = defaults->n; i--;)
		if (strcmp(defaults->variable[i].name, name) == 0)
			return defaults->variable + i;
	return NULL;
}

const char *boot_grub_value(const struct grub_defaults *defaults, const char *name)
{
	const struct grub_variable *variable = last_variable(defaults, name);
	return variable ? variable->value : NULL;
}

bool boot_grub_unknown(const struct grub_defaults *defaults, const char *name)
{
	const struct grub_variable *variable = last_variable(defaults, name);
	return variable && !variable->value;
}

/* ---- grub.cfg ------------------------------------------------------------ */

struct menu_item {
	struct grub_entry entry;
	size_t parent; /* index + 1 of the submenu it is in; 0: the top */
	bool submenu;
};

struct menu {
	struct menu_item *item;
	size_t n;
	const char *chosen;       /* `set default=`, apart from the one that next_entry asks for */
	size_t open[NESTING_MAX]; /* index + 1 of what each { began; 0: something else */
	size_t depth;
	bool deep;
};

/* menuentry 'Title' --class x $menuentry_id_option 'id' { */
static void open_item(struct menu *menu, const struct shell_command *command, struct arena *arena)
{
	struct menu_item item = { .submenu = strcmp(command->word[0].text, "submenu") == 0 };
	for (size_t i = 0; i < menu->depth; i++)
		if (menu->open[i])
			item.parent = menu->open[i];
	for (size_t i = 1; i < command->n; i++) {
		const char *word = command->word[i].text;
		bool option = strcmp(word, "$menuentry_id_option") == 0 || strcmp(word, "--id") == 0;
		if (option && i + 1 < command->n)
			item.entry.id = command->word[++i].text;
		else if (text_starts(word, "--class") || text_starts(word, "--users"))
			i++;
		else if (!item.entry.title && *word != '-' && *word != '{')
			item.entry.title = word;
	}
	*arena_push(arena, menu->item, menu->n) = item;
}

static bool needs_quotes(const char *word)
{
	return strpbrk(word, " \t\n") != NULL;
}

/* linux /boot/vmlinuz-6.8.12-4-pve root=/dev/mapper/pve-root ro quiet */
static void take_linux(struct menu *menu, const struct shell_command *command, struct arena *arena)
{
	size_t at = menu->depth ? menu->open[menu->depth - 1] : 0;
	if (!at || menu->item[at - 1].submenu || command->n < 2)
		return;
	struct grub_entry *entry = &menu->item[at - 1].entry;
	struct buffer cmdline = { 0 };
	put(&cmdline, arena, "", 0);
	for (size_t i = 2; i < command->n; i++) {
		const char *quote = needs_quotes(command->word[i].text) ? "\"" : "";
		const char *word =
		        arena_printf(arena, "%s%s%s%s", i > 2 ? " " : "", quote, command->word[i].text, quote);
		put(&cmdline, arena, word, strlen(word));
	}
	const char *name = strstr(command->word[1].text, "vmlinuz-");
	entry->kernel = command->word[1].text;
	entry->version = name ? name + strlen("vmlinuz-") : NULL;
	entry->cmdline = cmdline.data;
}

static void run_menu_command(struct menu *menu, const struct shell_command *command, struct arena *arena)
{
	const char *name = command->word[0].text, *last = command->word[command->n - 1].text;
	bool item = strcmp(name, "menuentry") == 0 || strcmp(name, "submenu") == 0;
	if (item)
		open_item(menu, command, arena);
	if (strcmp(last, "{") == 0) {
		if (menu->depth < NESTING_MAX)
			menu->open[menu->depth++] = item ? menu->n : 0;
		else
			menu->deep = true;
	} else if (strcmp(name, "}") == 0) {
		menu->depth -= menu->depth > 0;
	} else if (strcmp(name, "linux") == 0 || strcmp(name, "linuxefi") == 0) {
		take_linux(menu, command, arena);
	} else if (strcmp(name, "set") == 0 && command->n == 2 && text_starts(command->word[1].text, "default=")) {
		const char *chosen = command->word[1].text + strlen("default=");
		if (!strstr(chosen, "next_entry"))
			menu->chosen = chosen;
	}
}

/* grubenv: NAME=value lines, filled up with #. NULL: not set. */
static const char *environment_value(struct bytes environment, const char *name, struct arena *arena)
{
	size_t cursor = 0;
	struct bytes line;
	size_t size = strlen(name);
	const char *found = NULL;
	while (text_line(environment, &cursor, &line))
		if (line.size > size && memcmp(line.data, name, size) == 0 && line.data[size] == '=')
			found = text_trimmed(arena, (struct bytes){ line.data + size + 1, line.size - size - 1 });
	return found;
}

/* One level of "a>b": a number counts the items there, anything else is an id or a title. GRUB takes the first item for
 * what it does not find. Index + 1, 0: nothing there. */
static size_t find_item(const struct menu *menu, size_t parent, const char *wanted)
{
	uint64_t number = UINT64_MAX, count = 0;
	bool numbered = text_number(wanted, 10, UINT32_MAX, &number);
	size_t first = 0;
	for (size_t i = 0; i < menu->n; i++) {
		const struct menu_item *item = menu->item + i;
		if (item->parent != parent)
			continue;
		first = first ? first : i + 1;
		if (numbered ? count == number
		             : (item->entry.id && strcmp(item->entry.id, wanted) == 0) ||
		                        (item->entry.title && strcmp(item->entry.title, wanted) == 0))
			return i + 1;
		count++;
	}
	return first;
}

bool boot_parse_grub_menu(struct bytes text, struct bytes environment, struct arena *arena, struct grub_entry *ret)
{
	struct menu menu = { 0 };
	struct shell shell = { .text = text, .line = 1, .arena = arena };
	struct shell_command command;
	while (next_command(&shell, &command))
		if (command.n)
			run_menu_command(&menu, &command, arena);
	const char *chosen = environment_value(environment, "next_entry", arena);
	if (!chosen || !*chosen)
		chosen = menu.chosen ? menu.chosen : "0";
	if (strstr(chosen, "saved_entry"))
		chosen = environment.size ? environment_value(environment, "saved_entry", arena) : NULL;
	if (shell.open || menu.deep || !chosen || strchr(chosen, '$'))
		return false;
	struct words levels = text_split(arena, *chosen ? chosen : "0", ">");
	size_t at = 0;
	for (size_t i = 0; i < levels.n; i++) {
		if (i && !menu.item[at - 1].submenu)
			break;
		at = find_item(&menu, at, levels.word[i]);
		if (!at)
			return false;
	}
	if (!at || menu.item[at - 1].submenu || !menu.item[at - 1].entry.version)
		return false;
	*ret = menu.item[at - 1].entry;
	return true;
}
