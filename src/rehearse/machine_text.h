/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Private to the files of src/rehearse that read a machine's text: a reader at a line, and tables of statements.
 */
#pragma once
#include "rehearse/machine_model.h"

/* Beyond this nobody means a machine: devices, modules, packages, guests, commands, ...: of each. */
enum { MACHINE_THINGS_MAX = 4000 };

struct machine_reader {
	struct machine *machine;
	struct machine_target *target;
	const char *name;
	machine_base_fn *base;
	void *data;
	struct arena *arena;
	struct err *err;
	struct map seen; /* what this very text has named: twice is a slip */
	const struct machine_reader *outer;
	unsigned depth;
	bool begun; /* a statement other than about was met */
};

struct machine_statement {
	const char *name;
	unsigned min, max; /* words behind it; max 0: any number */
	bool body;
	bool (*read)(struct machine_reader *reader, struct machine_line *line);
	bool (*act)(struct machine_growth *growth, const struct machine_line *line); /* later, on the tree */
};

/* The tables; a statement without a name ends each. */
extern const struct machine_statement machine_device_statements[];  /* machine_device.c */
extern const struct machine_statement machine_part_statements[];    /* machine_part.c */
extern const struct machine_statement machine_path_statements[];    /* machine_path.c */
extern const struct machine_statement machine_command_statements[]; /* machine_command.c */

/* ---- machine_words.c ---- */

#define FAIL(...) machine_fail(line, reader->err, __VA_ARGS__)
#define SHOWN(word) machine_shown(reader->arena, (word))
#define GROWN(...) machine_fail(line, growth->err, __VA_ARGS__)

/* A foreign word, printable and short enough for a message. */
const char *machine_shown(struct arena *arena, const char *word);
bool machine_blank(char sign);
/* The words of a line and whether they were quoted, up to its comment. */
bool machine_words(struct machine_reader *reader, struct machine_line *line, struct bytes text);

/* The value of an option NAME=VALUE from word `from` on; NULL: not given. */
const char *machine_option(const struct machine_line *line, size_t from, const char *name);
bool machine_has_word(const struct machine_line *line, size_t from, const char *word);
/* Every word from `from` on is one of `known` ("mode= uid= hex"). */
bool machine_only_options(
        const struct machine_line *line, size_t from, const char *known, struct arena *arena, struct err *err);
/* The number behind NAME=; not given: *ret stays as it is. */
bool machine_number_option(const struct machine_line *line, size_t from, const char *name, int base, uint64_t max,
        struct err *err, uint64_t *ret);

/* The number of "EACCES" and the like; "0" is 0. False: none that a machine may say. */
bool machine_errno(const char *text, int *ret);
/* `n` lower-case hex digits, at most eight. */
bool machine_hex(const char *text, size_t n, unsigned *ret);
/* "START-END" in hex; *ret_rest: what stands behind it. */
bool machine_range(const char *text, uint64_t *ret_start, uint64_t *ret_end, const char **ret_rest);
/* Forms of a value; the empty one fits all of them. */
bool machine_is_name(const char *text);
bool machine_is_names(const char *text); /* "card0,renderD128" */
bool machine_is_text(const char *text);
bool machine_is_plain(const char *text); /* may stand in JSON as it is */

/* Fails where this very text has said the same of the same thing before. */
bool machine_once(struct machine_reader *reader, const struct machine_line *line, const char *kind, const char *name);
/* Neither too long nor too deep. */
bool machine_path_fits(const char *path);
/* Fails unless it is absolute, fits, and has no empty part, "." or "..". */
bool machine_check_path(struct machine_reader *reader, const struct machine_line *line, const char *path);

/* ---- machine.c ---- */

/* The target with that label that was not removed, or NULL. */
struct machine_target *machine_find_target(const struct machine *machine, const char *label);
/* Keeps a statement that is done on the tree. */
void machine_keep(struct machine_reader *reader, struct machine_line *line);

/* ---- machine_path.c ---- */

/* The last that the text says about a file, before anything is made. */
struct bytes machine_said_file(const struct machine_target *target, const char *path);
/* The bytes of all images, when every other statement is done: `fresh` looks at them. */
bool machine_make_images(struct machine_growth *growth);

/* ---- machine_grow.c ---- */

/* One target into the tape. What a CT or a docker container shares with the machine it runs on comes from there. */
bool machine_grow(const struct machine *machine, struct machine_target *target, struct tape *tape, struct err *err);
