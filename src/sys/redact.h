/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What must not leave a machine, as one table of patterns. The same secret gives the same
 * placeholder all over a tape, so structure survives (two NICs stay two NICs).
 * Covered: tokens, passwords, private and API keys, serial numbers and GPU UUIDs, MAC addresses,
 * public IP addresses; and the run's own known secrets. Kept: private and loopback addresses,
 * PCI addresses, UUIDs of file systems, host names.
 */
#pragma once
#include "base/arena.h"

struct redactor;

struct redactor *redact_new(struct arena *arena);
/* A secret of this run (the content of a token file): replaced wherever it stands. */
void redact_secret(struct redactor *redactor, const char *secret);
/* The content without its secrets; path (or the command line) picks rules for whole files
 * (/etc/shadow and keys are never kept). Returns raw itself where nothing was found. */
struct bytes redact_bytes(struct redactor *redactor, const char *path, struct bytes raw, struct arena *arena);
/* The same for a path, an argv word or a link. */
const char *redact_text(struct redactor *redactor, const char *text, struct arena *arena);
