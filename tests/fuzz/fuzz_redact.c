/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Redaction of anything, as a text and as some of the files with rules of their own. Bytes with zeros
 * keep their length.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sys/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = { "/x", "/etc/shadow", "/sys/a/serial", "/etc/machine-id", "/sys/a/product_uuid",
		"/sys/a/config", "/sys/a/vpd", "dmidecode", "/proc/net/route", "/proc/net/ipv6_route",
		"/sys/firmware/efi/efivars/Boot0001-x" };
	struct arena arena ARENA_SCOPED = { 0 };
	struct redactor *redactor = redact_new(&arena);
	/* without the zero byte behind, so that reading past the end is seen */
	char *exact = malloc(size ? size : 1);
	if (!exact)
		return 0;
	memcpy(exact, data, size);
	struct bytes raw = { exact, size };
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		struct bytes once = redact_bytes(redactor, paths[i], raw, &arena);
		bool zeros = size && memchr(exact, 0, size);
		if (zeros && once.size != size && strcmp(paths[i], "/sys/a/vpd") != 0)
			abort();
	}
	free(exact);
	return 0;
}
