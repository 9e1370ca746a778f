/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Completion for bash and zsh, and the manual's lists, printed from the tables.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "rehearse/machine.h"
#include "rules/rules.h"
#include "serve/metrics.h"

static void print_words(bool (*each)(size_t i, const char **ret), const char *between)
{
	const char *word;
	for (size_t i = 0; each(i, &word); i++)
		printf("%s%s", i ? between : "", word);
}

static bool verb_name(size_t i, const char **ret)
{
	return (*ret = verbs[i].name) != NULL;
}

static bool machine_name(size_t i, const char **ret)
{
	return (*ret = machine_builtins[i].name) != NULL;
}

/* The words among what a value looks like: "auto | nvidia | PCI address" has two. */
static void print_values(const char *form)
{
	const char *between = "";
	while (*(form += strspn(form, " |,"))) {
		size_t size = strcspn(form, "|,"), word = strspn(form, "abcdefghijklmnopqrstuvwxyz0123456789");
		while (size && form[size - 1] == ' ')
			size--;
		if (word == size && strspn(form, "0123456789") < size) {
			printf("%s%.*s", between, (int)size, form);
			between = " ";
		}
		form += strcspn(form, "|,");
	}
}

static void print_bash(void)
{
	puts("# bash completion for gpuferry\n"
	     "_gpuferry() {\n"
	     "\tlocal current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb= word\n"
	     "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do");
	printf("\t\tcase $word in ");
	print_words(verb_name, "|");
	puts(") verb=$word; break ;; esac\n\tdone\n\tcase $before in");
	for (const struct option_row *row = option_rows; row->name; row++) {
		if (!row->argument)
			continue;
		printf("\t--%s%s%c) ", row->name, row->letter ? "|-" : "", row->letter ? row->letter : ' ');
		if (row->values && strcmp(row->values, "file") == 0) {
			printf("COMPREPLY=($(compgen -f -W '");
			print_words(machine_name, " ");
			puts("' -- \"$current\")); return ;;");
		} else if (row->values && strcmp(row->values, "program") == 0) {
			puts("COMPREPLY=($(compgen -f -- \"$current\")); return ;;");
		} else if (row->values && strcmp(row->values, "folder") == 0) {
			puts("COMPREPLY=($(compgen -d -- \"$current\")); return ;;");
		} else {
			printf("COMPREPLY=($(compgen -W '%s' -- \"$current\")); return ;;\n",
			        row->values ? row->values : "");
		}
	}
	for (const struct goal_key *key = goal_keys; key->name; key++) {
		if (!key->flag)
			continue;
		printf("\t--%s) COMPREPLY=($(compgen %s-W '", key->flag, strstr(key->form, "PATH") ? "-f " : "");
		print_values(key->form);
		puts("' -- \"$current\")); return ;;");
	}
	puts("\tesac\n\tcase $verb in");
	printf("\t'') COMPREPLY=($(compgen -W '");
	print_words(verb_name, " ");
	puts(" --help --version' -- \"$current\")) ;;");
	for (const struct verb *verb = verbs; verb->name; verb++) {
		printf("\t%s) COMPREPLY=($(compgen %s-W '", verb->name, *verb->args ? "-f " : "");
		for (const struct option_row *row = option_rows; row->name; row++)
			if (options_fit(verb, row))
				printf("--%s ", row->name);
		for (const struct goal_key *key = goal_keys; key->name; key++)
			if (options_fit_goal(verb, key))
				printf("--%s ", key->flag);
		if (strstr(verb->args, "MACHINE"))
			print_words(machine_name, " ");
		puts("' -- \"$current\")) ;;");
	}
	puts("\tesac\n}\ncomplete -o filenames -F _gpuferry gpuferry");
}

/* Inside '...', with a backslash before what has a meaning of its own there. */
static void print_zsh_text(const char *text, const char *special)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\'", stdout);
		else if (strchr(special, *text))
			putchar('\\');
		putchar(*text);
	}
}

static void print_zsh_option(const struct option_row *row)
{
	printf("\t\t\t'%s--%s[", row->kind == OPTION_MANY ? "*" : "", row->name);
	print_zsh_text(row->help, "[]\\");
	putchar(']');
	if (row->argument && row->values && strcmp(row->values, "file") == 0)
		printf(":%s:_gpuferry_machine", row->argument);
	else if (row->argument && row->values && strcmp(row->values, "program") == 0)
		printf(":%s:_files", row->argument);
	else if (row->argument && row->values && strcmp(row->values, "folder") == 0)
		printf(":%s:_files -/", row->argument);
	else if (row->argument)
		printf(":%s:(%s)", row->argument, row->values ? row->values : "");
	puts("' \\");
}

static void print_zsh(void)
{
	puts("#compdef gpuferry\n"
	     "_gpuferry_machine() {");
	printf("\t_alternative 'files:file:_files' 'machines:built-in machine:(");
	print_words(machine_name, " ");
	puts(")'\n}\n"
	     "_gpuferry() {\n"
	     "\tlocal -a verbs\n"
	     "\tverbs=(");
	for (const struct verb *verb = verbs; verb->name; verb++) {
		printf("\t\t'%s:", verb->name);
		print_zsh_text(verb->help, ":\\");
		puts("'");
	}
	puts("\t)\n"
	     "\tif (( CURRENT == 2 )); then\n"
	     "\t\t_describe verb verbs\n"
	     "\t\treturn\n"
	     "\tfi\n"
	     "\tcase $words[2] in");
	for (const struct verb *verb = verbs; verb->name; verb++) {
		printf("\t%s)\n\t\tshift words; (( CURRENT-- ))\n\t\t_arguments \\\n", verb->name);
		for (const struct option_row *row = option_rows; row->name; row++)
			if (options_fit(verb, row))
				print_zsh_option(row);
		for (const struct goal_key *key = goal_keys; key->name; key++)
			if (options_fit_goal(verb, key)) {
				printf("\t\t\t'--%s[", key->flag);
				print_zsh_text(key->help, "[]\\");
				printf("]:value:");
				if (strstr(key->form, "PATH")) {
					puts("_files' \\");
					continue;
				}
				putchar('(');
				print_values(key->form);
				puts(")' \\");
			}
		if (strstr(verb->args, "MACHINE"))
			puts("\t\t\t'*:machine:_gpuferry_machine' ;;");
		else
			puts(*verb->args ? "\t\t\t'*:file:_files' ;;" : "\t\t\t&& return ;;");
	}
	puts("\tesac\n}\n_gpuferry \"$@\"");
}

/* scdoc: \ before what has a meaning of its own there */
static void print_scdoc_text(const char *text)
{
	for (; *text; text++) {
		if (strchr("*_\\#<>", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void print_manual_verbs(void)
{
	for (const struct verb *verb = verbs; verb->name; verb++) {
		printf("*%s*%s", verb->name, *verb->args ? " " : "");
		print_scdoc_text(verb->args);
		printf("\n\t");
		print_scdoc_text(verb->help);
		puts(verb->changes ? ". Changes the machine.\n" : ". Changes nothing.\n");
	}
}

static void print_manual_option(char letter, const char *name, const char *argument, const char *help)
{
	if (letter)
		printf("*-%c*, ", letter);
	printf("*--%s*", name);
	if (argument) {
		printf(" _");
		print_scdoc_text(argument);
		putchar('_');
	}
	printf("\n\t");
	print_scdoc_text(help);
	puts(".\n");
}

static void print_manual_options(void)
{
	for (const struct option_row *row = option_rows; row->name; row++)
		print_manual_option(row->letter, row->name, row->argument, row->help);
}

static void print_manual_goal(void)
{
	for (const struct goal_key *key = goal_keys; key->name; key++)
		if (key->flag)
			print_manual_option(0, key->flag, key->form, key->help);
}

static void print_machines(void)
{
	for (const struct machine_builtin *machine = machine_builtins; machine->name; machine++)
		printf("%-20s %s\n", machine->name, machine->about);
}

static void print_rules(void)
{
	struct arena arena ARENA_SCOPED = { 0 };
	fputs(rules_document(&arena), stdout);
}

static void print_metrics(void)
{
	struct arena arena ARENA_SCOPED = { 0 };
	fputs(metrics_document(&arena), stdout);
}

bool complete_print(const char *what)
{
	static const struct {
		const char *what;
		void (*print)(void);
	} prints[] = {
		{ "bash", print_bash },
		{ "zsh", print_zsh },
		{ "verbs", print_manual_verbs },
		{ "options", print_manual_options },
		{ "goal", print_manual_goal },
		{ "rules", print_rules },
		{ "machines", print_machines },
		{ "metrics", print_metrics },
	};
	for (size_t i = 0; i < sizeof prints / sizeof *prints; i++)
		if (strcmp(what, prints[i].what) == 0) {
			prints[i].print();
			return true;
		}
	fputs("gpuferry: --print: one of bash zsh verbs options goal rules machines metrics\n", stderr);
	return false;
}
