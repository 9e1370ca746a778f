/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The verbs and options as tables; help, completion and the manual's lists are printed from them.
 * Only this folder prints, and only it picks exit codes.
 */
#pragma once
#include "facts/facts.h"
#include "facts/goal.h"

/* Exit codes, everywhere (product.md). */
enum exit_code {
	EXIT_AS_WISHED = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_AS_WISHED = 3,
	EXIT_REBOOT = 4,
	EXIT_LOCKED = 5,
	EXIT_UNMEASURED = 6,
};

struct machines_asked {
	const char **path;
	size_t n;
};

struct app {
	struct arena *arena; /* of the whole run */
	struct goal goal;    /* from flags; a goal file is read by the verb */
	struct machines_asked machines;
	const char *host;
	const char *color; /* "auto", "always", "never" */
	bool json, quiet, all;
	bool yes, dry_run, wait, reboot, confirm, resume, later, list, encoders, fresh;
	const char *run, *fail, *cut, *keep, *ffmpeg, *listen, *every;
	bool print, overwrite, keep_hdr;
	const char *codec, *size, *bitrate, *quality, *audio, *burn, *work, *stall; /* as they were typed */
	struct words typed; /* the options as they were typed, --host left out */
	bool input_used;    /* standard input was the goal */
	bool colored;       /* standard output takes colours */
	bool terminal;      /* standard output is a terminal */
	const struct verb *verb;
};

enum option_kind { OPTION_FLAG, OPTION_VALUE, OPTION_MANY };

struct option_row {
	const char *name;
	char letter;          /* 0: none */
	const char *argument; /* "PATH"; NULL: takes none */
	const char *help;
	const char *values; /* for completion: words, "file" (or a machine), "folder", "program" */
	enum option_kind kind;
	size_t offset;     /* in struct app */
	const char *verbs; /* that take it, with blanks between; NULL: all */
};

struct verb {
	const char *name, *args, *help;
	bool changes;         /* writes on a machine */
	bool goal;            /* takes a goal: a file or flags */
	const char *wishes;   /* of the goal's flags those that it takes alone, with blanks between */
	const char *examples; /* for its help: command lines without "gpuferry ", one a line */
	int (*run)(struct app *app, int argc, char **argv); /* argv: what stands behind the verb, without options */
};

extern const struct verb verbs[];             /* name NULL at the end */
extern const struct option_row option_rows[]; /* name NULL at the end */

int verb_inspect(struct app *app, int argc, char **argv);
int verb_verify(struct app *app, int argc, char **argv);
int verb_plan(struct app *app, int argc, char **argv);
int verb_apply(struct app *app, int argc, char **argv);
int verb_rollback(struct app *app, int argc, char **argv);
int verb_rehearse(struct app *app, int argc, char **argv);
int verb_serve(struct app *app, int argc, char **argv);
int verb_record(struct app *app, int argc, char **argv);
int verb_transcode(struct app *app, int argc, char **argv);

/* Reads the command line into app; words that are no options are left in argv[0..ret). -1: wrong usage, err says why.
 */
int options_parse(struct app *app, int argc, char **argv, struct err *err);
/* Is the word an option whose value is the next word? */
bool options_want_value(const char *word);
/* Does this verb take this option? (Those with a goal take goal_keys' flags too.) */
bool options_fit(const struct verb *verb, const struct option_row *row);
/* And this one of the goal's? */
bool options_fit_goal(const struct verb *verb, const struct goal_key *key);

/* The nearest of the words tried, for "did you mean"; begin with the word as typed and nothing else. */
struct near {
	const char *word, *best;
	unsigned distance; /* of best */
};
void near_try(struct near *near, const char *candidate);
/* The one that was likely meant: at most two letters differ, and fewer than half. NULL: none is near. */
const char *near_found(const struct near *near);

/* A machine to read: a path (tape, folder, bare tree, .machine), the name of a built-in one, or NULL for what --host
 * or nothing says. */
struct world *place_open(struct app *app, const char *machine, struct arena *arena, struct err *err);
/* The same machines, loaded. */
struct tape;
bool place_tape(const char *name, struct arena *arena, struct err *err, struct tape **ret);
/* Calls `one` for each machine asked for (or this one), each with its own arena; the worst exit code. */
typedef int place_verb(struct app *app, struct world *world, const char *label, void *data, struct arena *arena);
int place_each(struct app *app, place_verb *one, void *data);
/* The goal from the file named, the flags, or /etc/gpuferry/goal.yaml; an empty one where there is none. */
bool place_goal(struct app *app, const char *file, struct err *err, struct goal *ret);
/* The goal from a file alone, with its bytes. */
bool place_goal_text(struct app *app, const char *name, struct err *err, struct bytes *ret_text, struct goal *ret);
/* The goal's guest, to be looked into besides; *ret NULL: the goal names none. False: its reach makes no sense. */
bool place_goal_also(const struct goal *goal, struct arena *arena, struct err *err, const struct target **ret);
/* All facts that the rules ask, with the inside of the goal's guest. */
bool place_facts(
        struct world *world, const struct goal *goal, struct arena *arena, struct err *err, const struct facts **ret);

/* Where what was proven and read is kept: where systemd says (CACHE_DIRECTORY), PLACE_KEPT for root, else below the user's
 * cache folder; NULL: nowhere. */
#define PLACE_KEPT "/var/cache/gpuferry"
const char *place_kept(struct arena *arena);
/* ahead.so (sys/ahead.h), where only this user and root can have put it: beside this program, as it was built, or installed
 * (PLACE_AHEAD, which meson.build says); NULL: nowhere. */
const char *place_ahead(struct arena *arena);

/* ---- printing ---- */

enum colour { PLAIN, BOLD, DIM, GREEN, YELLOW, RED, CYAN };
/* Begins and ends a colour on standard output; "" where there are none. */
const char *out_colour(const struct app *app, enum colour colour);
const char *out_plain(const struct app *app);
/* "gpuferry: text" and the hint, on standard error. Returns the exit code of its kind. */
int out_error(const struct app *app, const struct err *err);
/* One document: indented for one machine on a terminal or in a file; one line each where there are many. */
void out_json(struct app *app, json_t *document, const char *label);
/* Folds text at `width` columns behind a prefix of `indent` blanks. */
void out_folded(const struct app *app, const char *text, unsigned indent);
void out_help(const struct app *app);
void out_verb_help(const struct app *app, const struct verb *verb);

/* What was proven, and what would be chosen for each codec. */
struct proofs;
void show_proofs(const struct app *app, const struct proofs *proofs, struct arena *arena);
void show_proofs_json(const struct app *app, const struct proofs *proofs, json_t *document, struct arena *arena);
struct encode_choice;
/* The others with the reason why each was not taken: [{encoder, way, device, why}]. */
json_t *show_passed_json(const struct encode_choice *choice);

struct libscols_table;
struct libscols_line;
/* A table for people, as wide as the terminal (80 where there is none); columns are "NAME", "NAME>" (right),
 * "NAME/" (tree), "NAME_" (wrapped). */
struct libscols_table *out_table(const struct app *app, const char *const *columns);
struct libscols_line *out_row(struct libscols_table *table, struct libscols_line *parent);
/* Puts a cell; what is foreign is made printable. */
void out_cell(struct libscols_line *line, unsigned column, const char *text, const struct app *app, enum colour colour);
void out_table_end(struct libscols_table *table);

/* Completion and manual lists: "bash", "zsh", "verbs", "options", "rules", "metrics". */
bool complete_print(const char *what);
