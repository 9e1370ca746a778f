/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Prints the rollback.sh of a run, for tests/rescue.sh. Arguments: the run's id, then five words for each step: kind,
 * on, key, from, to; a kind with a + behind it is temporary.
 */
#include "exec/rescue.h"
#include "test.h"

int main(int argc, char **argv)
{
	struct arena arena ARENA_SCOPED = { 0 };
	struct journal journal = { .id = argv[1], .boot_id = "first" };
	if (argc < 2 || (argc - 2) % 5)
		return 2;
	journal.folder = arena_printf(&arena, JOURNAL_RUNS "/%s", journal.id);
	journal.plan.confirm_seconds = 60;
	journal.plan.reboots = 1;
	for (char **word = argv + 2; *word; word += 5) {
		char *plus = strchr(word[0], '+');
		if (plus)
			*plus = '\0';
		*arena_push(&arena, journal.plan.steps, journal.plan.n) = (struct step){ .kind = word[0],
			.on = word[1],
			.key = word[2],
			.from = word[3],
			.to = word[4],
			.temporary = plus };
	}
	journal.steps = arena_alloc(&arena, journal.plan.n * sizeof *journal.steps);
	fputs(rescue_script(&journal, &arena), stdout);
	return 0;
}
