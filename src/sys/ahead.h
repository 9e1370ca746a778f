/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How a program that is loaded before anyone knows what it shall do is told its arguments: sys/spawn.c tells, ahead.so
 * waits inside the program.
 */
#pragma once

/* A socket: the program says a byte as soon as it waits, and takes a uint32_t and so many bytes of words, each with its NUL.
 * An end of file before that ends it. */
enum { AHEAD_FD = 3 };

/* Its only argument until then. One that cannot wait does no more than this. */
#define AHEAD_WORD "-version"
/* In its environment: the path that is waited in, as it was executed. A program in front of it (setpriv, a wrapper) passes
 * that on. */
#define AHEAD_PROGRAM "GPUFERRY_WAITS_IN"
