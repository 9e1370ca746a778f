/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * "Did you mean": how many letters one word is from another.
 */
#include <string.h>

#include "cli/cli.h"

enum { LETTERS_MAX = 40 };

/* Letters put in, left out, changed, or swapped with their neighbour. */
static unsigned distance(const char *left, const char *right)
{
	size_t n = strlen(right);
	unsigned row[3][LETTERS_MAX + 1];
	unsigned *before = row[0], *above = row[1], *now = row[2];
	for (size_t j = 0; j <= n; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; left[i - 1]; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= n; j++) {
			unsigned best = above[j - 1] + (left[i - 1] != right[j - 1]);
			best = above[j] + 1 < best ? above[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			bool swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
			now[j] = swapped && before[j - 2] + 1 < best ? before[j - 2] + 1 : best;
		}
		unsigned *last = before;
		before = above;
		above = now;
		now = last;
	}
	return above[n];
}

void near_try(struct near *near, const char *candidate)
{
	if (strlen(near->word) > LETTERS_MAX || strlen(candidate) > LETTERS_MAX)
		return;
	unsigned now = distance(near->word, candidate);
	if (!near->best || now < near->distance) {
		near->best = candidate;
		near->distance = now;
	}
}

const char *near_found(const struct near *near)
{
	return near->best && near->distance <= 2 && 2 * near->distance < strlen(near->word) ? near->best : NULL;
}
