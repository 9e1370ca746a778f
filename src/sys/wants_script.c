/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A table of wants as a POSIX sh script, and what a table asks for. What the script prints: wants_frames.c.
 */
#include "sys/wants.h"

#include <fnmatch.h>
#include <string.h>

enum { FILE_MAX_DEFAULT = 256 * 1024 };

/* Characters that a name may have to stand in a frame as it is. */
#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.:,+@%=-"

/* ---- the script --------------------------------------------------------- */

/* Works in dash, bash --posix and busybox ash. No here-documents: bash keeps them in files. All of it is one function,
 * so that a script that was cut on its way does nothing at all, and what runs inside cannot eat the rest of it from
 * standard input.
 *   E    encodes             n NAME      says what comes next is about
 *   a    absent, or hidden behind a directory that may not be searched
 *   x    cannot be read      f           stat, link and content of paths
 *   g    a batch of them     h           contents of a batch of plain files
 *   o    one path, any name  d           listings       O  opening       R  a command */
static const char prelude[] =
        "gpuferry() {\n"
        "LC_ALL=C; QUOTING_STYLE=c; export LC_ALL QUOTING_STYLE; unset CDPATH ENV IFS\n"
        "PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH\n"
        "set +e +u +f; umask 077\n"
        "z='\n"
        "'\n"
        "if command -v base64; then E() { base64; }; c=base64\n"
        "else E() { od -An -v -tx1; }; c=hex; fi >/dev/null\n"
        /* busybox's timeout watches once a second and holds the pipe meanwhile: for commands only */
        "T= K=; [ \"$(timeout 5 echo 1)\" = 1 ] && K='timeout 10'; [ \"$(timeout --version)\" ] && T=$K\n"
        "Q=%n; [ \"$(stat -c %N /)\" = '\"/\"' ] && Q=%N\n"
        "printf '@gpuferry-frames 1 %s\\n' $c\n"
        "n() { case $1 in\n"
        "*[!A-Za-z0-9/_.:,+@%=-]*) printf '@~\\n'; printf %s \"$1\" | E;;\n"
        "*) printf '@n %s\\n' \"$1\";; esac; }\n"
        "e() { e=${1##*: }; case $e in *[!A-Za-z/\\ ]*) e=error;; esac; }\n"
        "x() { e \"$1\"; printf '@x %s\\n' \"$e\"; }\n"
        "a() { y=$1\n"
        "while y=${y%/*}; [ \"$y\" ]; do\n"
        "if [ -e \"$y\" ]; then\n"
        "[ ! -d \"$y\" ] || [ -x \"$y\" ] || { n \"$1\"; x 'Permission denied'; return; }\n"
        "break; fi; done\n"
        "case $1 in\n"
        "*[!A-Za-z0-9/_.:,+@%=-]*) n \"$1\"; printf '@A\\n';;\n"
        "*) printf '@a %s\\n' \"$1\";; esac; }\n"
        /* k kind, m limit, xs suffixes; the rest are what a pattern's head matched */
        "f() { k=$1 m=$2 xs=$3; shift 3; j=0\n"
        "for q in \"$@\"; do for s in $xs; do\n"
        "[ $j = 0 ] && set --\n"
        "p=$q; [ $s = . ] || p=$q$s\n"
        "if [ -h \"$p\" ] || [ -e \"$p\" ]; then\n"
        "case $p in *[!A-Za-z0-9/_.:,+@%=-]*) o \"$p\"; continue;; esac\n"
        "set -- \"$@\" \"$p\"; j=$((j+1))\n"
        "[ $j -lt 200 ] || { g \"$@\"; j=0; }\n"
        "else case $p in *[*?[]*) ;; *) a \"$p\";; esac\n"
        "fi; done; done\n"
        "[ $j = 0 ] || g \"$@\"; }\n"
        /* what fails: gone since the pattern matched, or a link that may not be read */
        "g() { $T stat -c \"@s %f %u %g %t %T %s %Y $Q\" \"$@\" || for r in \"$@\"; do\n"
        "if [ -h \"$r\" ]; then readlink \"$r\" >/dev/null || { n \"$r\"; x \"$(ls -ld \"$r\" 2>&1 >/dev/null)\"; }\n"
        "else [ -e \"$r\" ] || a \"$r\"; fi; done\n"
        "[ $Q = %N ] || for r in \"$@\"; do if [ -h \"$r\" ]; then n \"$r\"; v=$(readlink \"$r\" | E)\n"
        "[ \"$v\" ] && printf '@l\\n%s\\n' \"$v\" || x \"$(ls -ld \"$r\" 2>&1 >/dev/null)\"\n"
        "else [ -e \"$r\" ] || a \"$r\"; fi; done\n"
        "[ $k = l ] && return\n"
        "i=0\n"
        "for r in \"$@\"; do [ $i = 0 ] && set -- && i=1\n"
        "if [ -h \"$r\" ]; then F \"$r\"\n"
        "elif [ $k = f ] && [ -f \"$r\" ]; then set -- \"$@\" \"$r\"; fi; done\n"
        "[ $# = 0 ] || [ $k != f ] || h \"$@\"; }\n"
        "h() { printf '@f %s\\n' $m; printf '%s\\n' \"$@\"; printf '@b\\n'\n"
        "v=$({ { $T head -c $((m+1)) \"$@\" /dev/null; echo $? >&4; } | E >&3; } 4>&1)\n"
        "printf '@e %s\\n' \"$v\"\n"
        "case $v in 0|124|137|143) ;; *) for r in \"$@\"; do\n"
        "e=$({ $T cat \"$r\" >/dev/null; } 2>&1) || { n \"$r\"; x \"$e\"; }; done;; esac; }\n"
        "o() { n \"$1\"; $T stat -c '@S %f %u %g %t %T %s %Y' \"$1\"\n"
        "if [ -h \"$1\" ]; then printf '@l\\n'; readlink \"$1\" | E; [ $k = l ] || F \"$1\"; return; fi\n"
        "[ $k = f ] && [ -f \"$1\" ] || return\n"
        "printf '@F %s\\n' $m\n"
        "v=$({ { $T head -c $((m+1)) \"$1\"; echo $? >&4; } | E >&3; } 4>&1)\n"
        "printf '@e %s\\n' \"$v\"\n"
        "[ \"$v\" = 0 ] || { e=$({ $T cat \"$1\" >/dev/null; } 2>&1) || x \"$e\"; }; }\n"
        /* what a link leads to, hop by hop: each hop is a path of its own */
        "F() { u=$1 w=0; while [ -h \"$u\" ] && [ $w -lt 9 ]; do w=$((w+1))\n"
        "t=$(readlink \"$u\"; echo .); t=${t%?.}\n"
        "case $t in /*) u=$t;; *) u=${u%/*}/$t;; esac\n"
        "case $u in /proc/*/fd/*|*'(deleted)') return;; esac\n"
        "if [ -h \"$u\" ]; then n \"$u\"; $T stat -c '@S %f %u %g %t %T %s %Y' \"$u\"; printf '@l\\n'; readlink \"$u\" "
        "| E\n"
        "elif [ -e \"$u\" ]; then o \"$u\"; return\n"
        "else a \"$u\"; return; fi; done; }\n"
        "d() { xs=$1; shift; f l 0 \"$xs\" \"$@\"\n"
        "for q in \"$@\"; do for s in $xs; do\n"
        "p=$q; [ $s = . ] || p=$q$s\n"
        "[ -d \"$p\" ] || continue\n"
        "n \"$p\"\n"
        "[ -r \"$p\" ] || { x 'Permission denied'; continue; }\n"
        "printf '@d\\n'; O=\n"
        "for t in \"$p\"/* \"$p\"/.[!.]* \"$p\"/..?*; do\n"
        "case $t in *[!A-Za-z0-9/_.:,+@%=-]*) { [ -e \"$t\" ] || [ -h \"$t\" ]; } && O=1;;\n"
        "*) printf '/%s\\n' \"${t##*/}\";; esac; done\n"
        "[ \"$O\" ] && for t in \"$p\"/* \"$p\"/.[!.]* \"$p\"/..?*; do\n"
        "case $t in *[!A-Za-z0-9/_.:,+@%=-]*) { [ -e \"$t\" ] || [ -h \"$t\" ]; } && { n \"$t\"; printf '@C\\n'; };; "
        "esac; done\n"
        "done; done; }\n"
        /* only a device node that is there: <> would make a file */
        "O() { shift 2; xs=$1; shift; for q in \"$@\"; do for s in $xs; do\n"
        "p=$q; [ $s = . ] || p=$q$s\n"
        "[ -c \"$p\" ] || continue\n"
        "n \"$p\"; if e=$( ( : <>\"$p\" ) 2>&1); then printf '@o 0\\n'; else e \"$e\"; printf '@o %s\\n' \"$e\"; fi\n"
        "done; done; }\n"
        "R() { m=$1; shift; printf '@r %s\\n' $m; printf '%s\\n' \"$@\" | E\n"
        "command -v \"$1\" >/dev/null || { printf '@z\\n'; return; }\n"
        "printf '@c\\n'\n"
        "e=$({ { $K \"$@\" 2>&4 3>&-; printf '\\n%s' $? >&4; } | head -c $((m+1)) | E >&3; } 4>&1)\n"
        "printf '@q %s\\n' \"${e##*\"$z\"}\"; printf %s \"${e%\"$z\"*}\" | head -c 65536 | E; }\n";

static const char ending[] = "printf '@end\\n'\n}\ngpuferry 3>&1 </dev/null 2>/dev/null\n";

/* Patterns of one kind that a single call of the script takes: the same part with wildcards, several ends. */
struct call {
	enum want_kind kind;
	size_t max;
	const char *head; /* up to the last component with a wildcard; "" if there is none: then ends are whole paths */
	struct words ends; /* behind it, "." for nothing */
};

struct plan {
	struct call *calls;
	size_t n;
	struct arena *arena;
};

static bool wild(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (strchr("*?[", text[i]))
			return true;
	return false;
}

/* Where the part behind the last component with a wildcard begins; 0: no wildcard at all. */
static size_t head_size(const char *pattern)
{
	size_t head = 0;
	for (size_t i = 0; pattern[i];) {
		size_t end = i + 1 + strcspn(pattern + i + 1, "/");
		if (wild(pattern + i, end - i))
			head = end;
		i = end;
	}
	return head;
}

static void plan_add(struct plan *plan, enum want_kind kind, size_t max, const char *pattern)
{
	size_t size = head_size(pattern);
	const char *head = arena_strndup(plan->arena, pattern, size);
	const char *end = !pattern[size] ? "." : arena_strdup(plan->arena, pattern + size);
	struct call *call = NULL;
	for (size_t i = 0; i < plan->n && !call; i++)
		if (plan->calls[i].kind == kind && plan->calls[i].max == max && strcmp(plan->calls[i].head, head) == 0)
			call = &plan->calls[i];
	if (!call) {
		call = arena_push(plan->arena, plan->calls, plan->n);
		*call = (struct call){ .kind = kind, .max = max, .head = head };
	}
	for (size_t i = 0; i < call->ends.n; i++)
		if (strcmp(call->ends.word[i], end) == 0)
			return;
	*arena_push(plan->arena, call->ends.word, call->ends.n) = end;
}

/* Every directory above a path is looked at first, so that links on the way are known; and where a wildcard stands,
 * the whole directory is listed, so that what it did not match is known to be absent. */
static void plan_ways(struct plan *links, struct plan *lists, const char *pattern, size_t depth, bool *ret_more)
{
	size_t at = 0, level = 0;
	while (pattern[at]) {
		size_t end = at + 1 + strcspn(pattern + at + 1, "/");
		if (level == depth && at && wild(pattern + at, end - at))
			plan_add(lists, WANT_LIST, 0, arena_strndup(lists->arena, pattern, at));
		if (level++ == depth && pattern[end]) {
			plan_add(links, WANT_LINK, 0, arena_strndup(links->arena, pattern, end));
			*ret_more = true;
		}
		at = end;
	}
}

static void put(struct arena *arena, struct words *script, const char *text)
{
	*arena_push(arena, script->word, script->n) = text;
}

static void put_call(struct arena *arena, struct words *script, const struct call *call)
{
	static const char *const starts[] = {
		[WANT_FILE] = "f f", [WANT_LINK] = "f l", [WANT_LIST] = "d", [WANT_STAT] = "f s", [WANT_OPEN] = "O o"
	};
	put(arena, script, starts[call->kind]);
	if (call->kind != WANT_LIST)
		put(arena, script, arena_printf(arena, " %zu", call->max ? call->max : (size_t)FILE_MAX_DEFAULT));
	/* without wildcards the paths themselves are the arguments */
	put(arena, script, *call->head ? " '" : " .");
	for (size_t i = 0; i < call->ends.n; i++) {
		put(arena, script, i || !*call->head ? " " : "");
		put(arena, script, call->ends.word[i]);
	}
	put(arena, script, *call->head ? "' " : "");
	put(arena, script, call->head);
	put(arena, script, "\n");
	bool stats = call->kind == WANT_FILE || call->kind == WANT_LINK || call->kind == WANT_STAT;
	for (size_t i = 0; stats && *call->head && i < call->ends.n; i++)
		if (strcmp(call->ends.word[i], ".") == 0)
			put(arena, script, arena_printf(arena, "printf '@g %%s\\n' '%s'\n", call->head));
}

static void put_calls(struct arena *arena, struct words *script, const struct plan *plan, bool wildcards)
{
	for (size_t i = 0; i < plan->n; i++)
		if ((*plan->calls[i].head != '\0') == wildcards)
			put_call(arena, script, &plan->calls[i]);
}

static const char *quoted(struct arena *arena, const char *word)
{
	const char *hole = strstr(word, "{}");
	if (!hole)
		return text_sh_quoted(arena, word);
	return arena_printf(arena, "%s\"$b\"%s",
	        hole == word ? "" : text_sh_quoted(arena, arena_strndup(arena, word, (size_t)(hole - word))),
	        hole[2] ? text_sh_quoted(arena, hole + 2) : "");
}

static void put_command(struct arena *arena, struct words *script, const struct want *want)
{
	struct words words = text_split(arena, want->what, " ");
	put(arena, script, arena_printf(arena, "R %zu", want->max ? want->max : (size_t)FILE_MAX_DEFAULT));
	for (size_t i = 0; i < words.n; i++) {
		put(arena, script, " ");
		put(arena, script, strcmp(words.word[i], "{*}") == 0 ? "\"$@\"" : quoted(arena, words.word[i]));
	}
}

static void put_run(struct arena *arena, struct words *script, const struct want *want)
{
	if (want->kind == WANT_RUN) {
		put_command(arena, script, want);
		put(arena, script, "\n");
	} else if (want->each[0] == '!') {
		/* the words that another command prints, one by one or all at once */
		bool all = strstr(want->what, "{*}") != NULL;
		put(arena, script, arena_printf(arena, "set -f; set -- $($K %s); set +f\n", want->each + 1));
		put(arena, script, all ? "[ $# = 0 ] || " : "for b; do case $b in -*) ;; *) ");
		put_command(arena, script, want);
		put(arena, script, all ? "\n" : ";; esac; done\n");
	} else {
		size_t size = strcspn(want->each, "|");
		const char *suffix = want->each[size] ? want->each + size + 1 : "";
		put(arena, script,
		        arena_printf(arena, "for p in %.*s; do [ -e \"$p\" ] || continue; b=${p##*/}; b=${b%%%s}\n",
		                (int)size, want->each, *suffix ? text_sh_quoted(arena, suffix) : "''"));
		put(arena, script, "case $b in ''|-*|*[!A-Za-z0-9/_.:,+@%=-]*) continue;; esac\n");
		put_command(arena, script, want);
		put(arena, script, "; done\n");
	}
}

/* A pattern stands in the script unquoted. */
static bool safe_pattern(const char *pattern)
{
	return *pattern == '/' && pattern[strspn(pattern, PLAIN "*?[]!")] == '\0';
}

static bool is_command(const struct want *want)
{
	return want->kind == WANT_RUN || want->kind == WANT_EACH;
}

struct bytes wants_script(const struct want *wants, struct arena *arena)
{
	struct plan links = { .arena = arena }, lists = { .arena = arena }, rest = { .arena = arena };
	bool more = true;
	for (size_t depth = 0; more; depth++) {
		more = false;
		for (const struct want *want = wants; want->kind != WANT_END; want++)
			if (!is_command(want) && safe_pattern(want->what))
				plan_ways(&links, &lists, want->what, depth, &more);
	}
	for (const struct want *want = wants; want->kind != WANT_END; want++)
		if (!is_command(want) && safe_pattern(want->what))
			plan_add(want->kind == WANT_LIST ? &lists : &rest, want->kind, want->max, want->what);
	struct words script = { 0 };
	put(arena, &script, prelude);
	/* a directory is listed before what is in it is looked at: what goes meanwhile is known to be gone */
	put_calls(arena, &script, &links, false);
	put_calls(arena, &script, &lists, false);
	put_calls(arena, &script, &links, true);
	put_calls(arena, &script, &lists, true);
	put_calls(arena, &script, &rest, false);
	put_calls(arena, &script, &rest, true);
	for (const struct want *want = wants; want->kind != WANT_END; want++)
		if (is_command(want))
			put_run(arena, &script, want);
	put(arena, &script, ending);
	size_t size = 0;
	for (size_t i = 0; i < script.n; i++)
		size += strlen(script.word[i]);
	char *text = arena_alloc(arena, size + 1), *out = text;
	for (size_t i = 0; i < script.n; i++)
		out = stpcpy(out, script.word[i]);
	return (struct bytes){ text, size };
}

/* ---- what is covered ---------------------------------------------------- */

bool wants_cover(const struct want *wants, const char *path)
{
	for (; wants->kind != WANT_END; wants++) {
		if (is_command(wants))
			continue;
		if (fnmatch(wants->what, path, FNM_PATHNAME | FNM_PERIOD) == 0)
			return true;
		/* a directory on the way is looked at too */
		struct arena arena ARENA_SCOPED = { 0 };
		for (size_t i = 1; wants->what[i]; i++)
			if (wants->what[i] == '/' &&
			        fnmatch(arena_strndup(&arena, wants->what, i), path, FNM_PATHNAME | FNM_PERIOD) == 0)
				return true;
	}
	return false;
}

static bool word_fits(const char *template, const char *word)
{
	const char *hole = strstr(template, "{}");
	if (!hole)
		return strcmp(template, word) == 0;
	size_t head = (size_t)(hole - template);
	return strncmp(template, word, head) == 0 && strlen(word) > head + strlen(hole + 2) &&
	       text_ends(word, hole + 2);
}

bool wants_cover_command(const struct want *wants, const char *const *argv)
{
	struct arena arena ARENA_SCOPED = { 0 };
	for (; wants->kind != WANT_END; wants++) {
		if (!is_command(wants))
			continue;
		struct words words = text_split(&arena, wants->what, " ");
		size_t i = 0;
		while (i < words.n && argv[i] && word_fits(words.word[i], argv[i]))
			i++;
		if (i < words.n && argv[i] && strcmp(words.word[i], "{*}") == 0)
			return true;
		if (i == words.n && !argv[i])
			return true;
	}
	return false;
}
