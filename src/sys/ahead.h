/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How a program that is loaded before anyone knows what it shall do is told its arguments: sys/spawn.c tells, ahead.so
 * waits inside the program.
 */
#pragma once

enum {
	AHEAD_FD = 3, /* a socket: it says a byte as soon as it waits, then takes a uint32_t and so many bytes of words, each with
	               * its NUL; nothing more: it ends */
	AHEAD_ROOM = 8192, /* of the second word below */
};

/* The words that it is loaded with, and that the told ones take the place of: this one, and one of blanks, which is the
 * room that others (ps) will read them from. A program that cannot wait does no more than this. */
#define AHEAD_WORD "-version"
enum { AHEAD_WORDS = 2 };
