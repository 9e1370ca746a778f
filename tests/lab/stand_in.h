/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct stand_in {
	unsigned vendor, device, class_code;
	uint32_t subsystem; /* device in the upper half */
	bool multifunction, express, flr;
};

/* Serves that function on one end of a socket pair until the other end is closed: 0; 1: the protocol broke. */
int stand_in_serve(int fd, const struct stand_in *what);
