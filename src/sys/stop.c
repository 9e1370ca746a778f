/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sys/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t asked;
static int ends[2] = { -1, -1 };

static void note(int number)
{
	int error = errno;
	asked = number;
	if (write(ends[1], "", 1) < 0) /* full: it was told before */
		errno = error;
	errno = error;
}

void stop_watch(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = note, .sa_flags = SA_RESTART };
	if (ends[0] < 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return;
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		struct sigaction before;
		/* as nohup(1) wants it */
		if (numbers[i] == SIGHUP && sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler == SIG_IGN)
			continue;
		sigaction(numbers[i], &action, NULL);
	}
}

int stop_asked(void)
{
	return asked;
}

int stop_fd(void)
{
	return ends[0];
}
