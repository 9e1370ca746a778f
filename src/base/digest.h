/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once
#include "base/arena.h"

/* SHA-256 as 64 lower-case hex digits. */
const char *digest_sha256(struct bytes bytes, struct arena *arena);
