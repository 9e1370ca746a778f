/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An error is a value on the caller's stack. Whoever fails fills it and returns
 * false; whoever passes it on may put context in front ("reading X: denied").
 * Only cli prints it, and only cli turns its kind into an exit code.
 */
#pragma once
#include <stdbool.h>

enum err_kind {
	ERR_NONE,    /* nothing failed */
	ERR_USAGE,   /* the command line or the goal file is wrong: exit 2 */
	ERR_INPUT,   /* something handed to us cannot be used: a tape, a machine, a file: exit 1 */
	ERR_SYSTEM,  /* the machine said no (errno is in the text): exit 1 */
	ERR_TIMEOUT, /* a deadline passed: exit 1 */
	ERR_LOCKED,  /* another run holds the lock: exit 5 */
	ERR_UNKNOWN, /* could not be measured: exit 6 */
};

struct err {
	enum err_kind kind;
	char text[512]; /* one line: what, where */
	char hint[160]; /* what to do; may be empty */
};

/* Fills err and returns false, so that `return err_set(...)` is one line. err may be NULL. */
bool err_set(struct err *err, enum err_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with ": strerror(number)" behind the text; kind is ERR_SYSTEM. A disk that is full has its hint. */
bool err_errno(struct err *err, int number, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text of an error that is set. Returns false. */
bool err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says what to do about it. Returns false. */
bool err_hint(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* All of them only ever return false. Said here as well, where a compiler and an analyzer can see it, so that they know
 * that a caller which goes on has its out-parameters. */
static inline bool err_false(bool always)
{
	(void)always;
	return false;
}
#define err_set(...) err_false((err_set)(__VA_ARGS__))
#define err_errno(...) err_false((err_errno)(__VA_ARGS__))
#define err_wrap(...) err_false((err_wrap)(__VA_ARGS__))
#define err_hint(...) err_false((err_hint)(__VA_ARGS__))
