/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * SIGINT, SIGTERM and SIGHUP as a wish to be told of, for work that must not be left half done.
 */
#pragma once

/* From now on they are noted and end nothing. */
void stop_watch(void);
/* The signal that came; 0: none did. */
int stop_asked(void);
/* Can be read once one came, and is never to be read; -1: nobody watches. */
int stop_fd(void);
