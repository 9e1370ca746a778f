/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What makes a run survive a power cut at any moment. The states, each the value of the last "state" line:
 *
 *   begin --armed--> open ----------------> reboot --boot_id is new, gates hold--> open ---> confirm --confirmed-->
 * done | |  reboot barrier     |                                    |  |          | | |                     | a gate is
 * broken          a step fails  \        | rolled back kernel hangs  | | a step fails        v v     \       v stuck
 * <------+ +-----------------> reverting <----------------------------+      +-> done --rolled back--+ | ^  | v
 *          +---------boot_id is new-----------+  +--> reverted (by itself) | rolled-back (asked for) | left (not all)
 *
 * The invariants, which apply.c and rollback.c keep and the crash tests ask for:
 *
 *  1. Nothing on the machine is changed before "armed" is synced. Before that are synced, in this order: plan.json, the
 *     old bytes (old/N), rollback.sh, the old states.
 *  2. A step's old state is synced before its first change, and the first one noted is never overwritten.
 *  3. "begun N" is synced before the first effect of step N. What was not begun is not ours to take back.
 *  4. "done N" is noted only when the state, read again, is the wished one. Whatever is neither old nor wished behind
 *     that was someone else.
 *  5. Begun and not done is "in the middle": it is done again or taken back, never believed.
 *  6. "undoing N" is synced before the first effect of its undo; "undone N" only follows the old state read again.
 *  7. Lines are only appended. A torn last line was never written: before another one follows, the file is written
 *     anew without it. After a failed write or sync nobody knows what the file holds: the same.
 *  8. Who writes syncs before it reads: a line that can be read may still be lost with the power.
 *  9. A damaged line that is not the last is an error: what it said is not guessed. So is a journal without any line,
 *     or one without "armed" beside a mark of a run that has ended: "nothing was changed" is said where that is known.
 * 10. The mark `confirmed` is synced before the first temporary step is taken away; from then on nothing reverts by
 *     itself.
 * 11. A state that ends the run is noted behind the last step's note, the mark `ended` behind that state.
 */
#include "exec/journal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/json.h"

static const struct {
	const char *name;
	bool of_step;
} notes[] = {
	[JOURNAL_OLD] = { "old", true },
	[JOURNAL_BEGUN] = { "begun", true },
	[JOURNAL_DONE] = { "done", true },
	[JOURNAL_UNDOING] = { "undoing", true },
	[JOURNAL_UNDONE] = { "undone", true },
	[JOURNAL_LEFT] = { "left", true },
	[JOURNAL_BOOT] = { "boot", false },
	[JOURNAL_ARMED] = { "armed", false },
	[JOURNAL_CONFIRMED] = { "confirmed", false },
	[JOURNAL_STATE] = { "state", false },
	[JOURNAL_WHY] = { "why", false },
};
enum { NOTES = sizeof notes / sizeof *notes };

static const char *const ended[] = { "done", "reverted", "rolled-back", "left" };

bool journal_ended(const struct journal *journal)
{
	for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
		if (strcmp(journal->state, ended[i]) == 0)
			return true;
	return false;
}

static const char *file_of(const struct journal *journal, const char *name, struct arena *arena)
{
	return arena_printf(arena, "%s/%s", journal->folder, name);
}

const char *journal_blob(const struct journal *journal, size_t step, struct arena *arena)
{
	return arena_printf(arena, "%s/old/%zu", journal->folder, step);
}

/* ---- what a line means ---- */

static void take_step(struct journal_step *step, enum journal_note note, const char *value)
{
	switch (note) {
	case JOURNAL_OLD:
		if (!step->old)
			step->old = value;
		break;
	case JOURNAL_BEGUN:
		step->begun = true;
		break;
	case JOURNAL_DONE:
		step->begun = step->done = true;
		break;
	case JOURNAL_UNDOING:
		step->undoing = true;
		break;
	case JOURNAL_UNDONE:
		step->undone = true;
		step->left = false;
		break;
	case JOURNAL_LEFT:
		step->left = true;
		break;
	default:
		break;
	}
}

static void take(struct journal *journal, enum journal_note note, size_t step, const char *value)
{
	switch (note) {
	case JOURNAL_BOOT:
		journal->boot_id = value;
		break;
	case JOURNAL_ARMED:
		journal->armed = true;
		break;
	case JOURNAL_CONFIRMED:
		journal->confirmed = true;
		break;
	case JOURNAL_STATE:
		journal->state = value;
		break;
	case JOURNAL_WHY:
		journal->why = value;
		break;
	default:
		take_step(&journal->steps[step], note, value);
	}
}

static enum journal_note note_named(const char *name)
{
	for (int i = 1; name && i < NOTES; i++)
		if (strcmp(notes[i].name, name) == 0)
			return (enum journal_note)i;
	return JOURNAL_UNKNOWN;
}

struct line {
	enum journal_note note;
	size_t step;
	const char *value;
	int64_t time;
};

static bool line_parse(struct bytes text, const struct journal *journal, struct arena *arena, struct line *ret)
{
	json_t *object JSON_SCOPED = NULL;
	if (!json_parse(text, "journal", NULL, &object))
		return false;
	enum journal_note note = note_named(json_string_at(object, "note"));
	const json_t *step = json_object_get(object, "step");
	json_int_t index = json_integer_value(step);
	if (note == JOURNAL_UNKNOWN)
		return false;
	if (notes[note].of_step && (!json_is_integer(step) || index < 0 || (size_t)index >= journal->plan.n))
		return false;
	const char *value = json_string_at(object, "value");
	if (!value && (note == JOURNAL_OLD || note == JOURNAL_STATE || note == JOURNAL_BOOT))
		return false;
	*ret = (struct line){ note, (size_t)index, arena_strdup(arena, value),
		json_integer_value(json_object_get(object, "time")) };
	return true;
}

static const char *line_print(enum journal_note note, size_t step, const char *value, int64_t now, struct arena *arena)
{
	json_t *object JSON_SCOPED = json_object();
	json_put(object, "note", json_raw_text(notes[note].name));
	if (notes[note].of_step)
		json_put(object, "step", json_integer((json_int_t)step));
	if (value)
		json_put(object, "value", json_raw_text(value));
	json_put(object, "time", json_number(now));
	return json_print(arena, object, false);
}

/* ---- writing ---- */

static struct bytes joined(struct bytes left, const char *right, struct arena *arena)
{
	size_t size = strlen(right);
	char *text = arena_alloc(arena, left.size + size + 1);
	if (left.size)
		memcpy(text, left.data, left.size);
	memcpy(text + left.size, right, size);
	return (struct bytes){ text, left.size + size };
}

static const struct world_owner only_root = { 0600, 0, 0 };

/* Everything that is not in the file yet; the file anew where it is not known what it holds. */
static int flush(struct world *node, const struct journal *journal, struct bytes lines, struct arena *arena)
{
	const char *path = file_of(journal, "journal", arena);
	if (journal->torn)
		return world_write(node, path, lines, &only_root);
	size_t written = journal->written;
	return world_append(node, path, (struct bytes){ lines.data + written, lines.size - written });
}

bool journal_note(struct world *node, struct journal *journal, enum journal_note note, size_t step, const char *value,
        struct arena *arena, struct err *err)
{
	if (value && !text_is_utf8((struct bytes){ value, strlen(value) }))
		return err_set(err, ERR_INPUT, "%s: not text, so it cannot be noted", text_shown(arena, value));
	struct bytes lines = joined(journal->lines, line_print(note, step, value, world_now(node), arena), arena);
	bool later = note == JOURNAL_OLD && !journal->armed;
	int error = later ? 0 : flush(node, journal, lines, arena);
	if (error) {
		journal->torn = true;
		return err_errno(err, error, "writing %s", file_of(journal, "journal", arena));
	}
	journal->lines = lines;
	if (!later) {
		journal->written = lines.size;
		journal->torn = false;
	}
	take(journal, note, step, arena_strdup(arena, value));
	return true;
}

bool journal_settle(struct world *node, struct arena *arena, struct err *err)
{
	struct words ids = { 0 };
	int error = world_list(node, JOURNAL_RUNS, arena, &ids);
	if (error && error != ENOENT)
		return err_errno(err, error, "listing %s", JOURNAL_RUNS);
	for (size_t i = 0; i < ids.n; i++) {
		const char *folder = arena_printf(arena, "%s/%s", JOURNAL_RUNS, ids.word[i]);
		const char *path = arena_printf(arena, "%s/journal", folder);
		if (!journal_is_id(ids.word[i]) || world_exists(node, path) == NO)
			continue;
		error = node->changes->sync(node, path);
		if (!error)
			error = node->changes->sync(node, folder);
		if (error)
			return err_errno(err, error, "syncing %s", path);
	}
	return true;
}

bool journal_mark(
        struct world *node, const struct journal *journal, const char *mark, struct arena *arena, struct err *err)
{
	const char *path = file_of(journal, mark, arena);
	int error = world_write(node, path, (struct bytes){ "", 0 }, &only_root);
	return !error || err_errno(err, error, "writing %s", path);
}

bool journal_unmark(
        struct world *node, const struct journal *journal, const char *mark, struct arena *arena, struct err *err)
{
	const char *path = file_of(journal, mark, arena);
	int error = world_remove(node, path);
	return !error || err_errno(err, error, "removing %s", path);
}

/* ---- the beginning ---- */

/* A run is later than another if its id is: also where the clock was set back, or stands still. */
static bool next_id(struct world *node, int64_t now, struct arena *arena, struct err *err, const char **ret)
{
	struct words there = { 0 };
	int error = world_list(node, JOURNAL_RUNS, arena, &there);
	if (error)
		return err_errno(err, error, "listing %s", JOURNAL_RUNS);
	struct tm tm = { 0 };
	time_t seconds = now == UNKNOWN_NUMBER ? 0 : (time_t)now;
	char id[32];
	gmtime_r(&seconds, &tm);
	strftime(id, sizeof id, "%Y%m%d-%H%M%S", &tm);
	const char *last = NONE;
	for (size_t i = 0; i < there.n; i++)
		if (journal_is_id(there.word[i]) && text_version_compare(there.word[i], last) > 0)
			last = there.word[i];
	if (text_version_compare(id, last) > 0) {
		*ret = arena_strdup(arena, id);
		return true;
	}
	size_t stamp = strlen(id);
	uint64_t number = 1;
	if (strlen(last) > stamp)
		text_number(last + stamp + 1, 10, UINT32_MAX, &number);
	*ret = arena_printf(arena, "%.*s-%llu", (int)stamp, last, (unsigned long long)number + 1);
	return true;
}

bool journal_is_id(const char *id)
{
	size_t size = strlen(id);
	return size >= 15 && size <= 26 && strspn(id, "0123456789-") == size && id[8] == '-' &&
	       (size == 15 || id[15] == '-');
}

static bool make_folder(struct world *node, const char *path, struct err *err)
{
	int error = world_mkdir(node, path, 0700);
	return !error || err_errno(err, error, "making %s", path);
}

static bool write_plan(struct world *node, const struct journal *journal, struct arena *arena, struct err *err)
{
	json_t *document JSON_SCOPED = plan_json(&journal->plan);
	const char *text = json_print(arena, document, true), *path = file_of(journal, "plan.json", arena);
	int error = world_write(node, path, (struct bytes){ text, strlen(text) }, &only_root);
	return !error || err_errno(err, error, "writing %s", path);
}

bool journal_begin(
        struct world *node, const struct plan *plan, struct arena *arena, struct err *err, struct journal *ret)
{
	int64_t now = world_now(node);
	struct journal journal = { .plan = *plan, .state = "open", .began = now, .torn = true };
	if (!make_folder(node, JOURNAL_RUNS, err) || !next_id(node, now, arena, err, &journal.id))
		return false;
	journal.folder = arena_printf(arena, "%s/%s", JOURNAL_RUNS, journal.id);
	journal.steps = arena_alloc(arena, plan->n * sizeof *journal.steps);
	if (!make_folder(node, file_of(&journal, "old", arena), err) || !write_plan(node, &journal, arena, err))
		return false;
	/* the first note writes the file: torn is true */
	const char *boot_id = NULL;
	if (world_attribute(node, arena, &boot_id, "%s", JOURNAL_BOOT_ID) == 0 &&
	        !journal_note(node, &journal, JOURNAL_BOOT, 0, boot_id, arena, err))
		return false;
	if (!journal_note(node, &journal, JOURNAL_STATE, 0, "open", arena, err))
		return false;
	*ret = journal;
	return true;
}

/* ---- reading it again ---- */

/* Takes the lines that are whole. ret_bad: the number of the line that is damaged and matters; 0: none. A power cut
 * tears what was appended last; the first note is written in one piece (world_write). */
static void read_lines(struct bytes text, struct journal *journal, struct arena *arena, unsigned *ret_bad)
{
	size_t good = 0, start = 0;
	unsigned number = 0, bad = 0;
	bool bad_is_last = false;
	const char *end;
	for (; (end = memchr(text.data + start, '\n', text.size - start)); start = (size_t)(end - text.data) + 1) {
		struct bytes piece = { text.data + start, (size_t)(end - text.data) - start };
		struct line line = { 0 };
		number++;
		bool parsed = line_parse(piece, journal, arena, &line);
		bad_is_last = !parsed && !bad;
		if (!parsed && !bad)
			bad = number;
		if (bad)
			continue;
		if (number == 1)
			journal->began = line.time;
		take(journal, line.note, line.step, line.value);
		good = (size_t)(end - text.data) + 1;
	}
	journal->torn = good < text.size;
	journal->lines = (struct bytes){ text.data, good };
	journal->written = good;
	bool is_tail = bad_is_last && start == text.size;
	*ret_bad = !good ? 1 : is_tail ? 0 : bad;
}

/* The mark `ended` tells of more than the journal holds. */
static bool is_cut_short(struct world *node, const struct journal *journal, struct arena *arena)
{
	return !journal->armed && !journal_ended(journal) && world_exists(node, file_of(journal, "ended", arena)) != NO;
}

static bool read_marks(struct world *node, struct journal *journal, struct arena *arena, struct err *err)
{
	const char *confirmed = file_of(journal, "confirmed", arena), *reverted = file_of(journal, "taken-back", arena);
	enum tri there = world_exists(node, confirmed);
	if (there == UNKNOWN)
		return err_set(err, ERR_SYSTEM, "%s cannot be looked for", confirmed);
	journal->confirmed |= there == YES;
	int error = world_attribute(node, arena, &journal->reverted, "%s", reverted);
	if (error && error != ENOENT)
		return err_errno(err, error, "reading %s", reverted);
	return true;
}

static bool read_plan(struct world *node, struct journal *journal, struct arena *arena, struct err *err)
{
	const char *path = file_of(journal, "plan.json", arena);
	struct bytes text;
	int error = world_read(node, path, 0, arena, &text);
	if (error)
		return err_errno(err, error, "reading %s", path);
	if (!plan_parse(text, path, arena, err, &journal->plan))
		return false;
	journal->steps = arena_alloc(arena, journal->plan.n * sizeof *journal->steps);
	return true;
}

bool journal_open(struct world *node, const char *id, struct arena *arena, struct err *err, struct journal *ret)
{
	struct journal journal = { .id = arena_strdup(arena, id), .state = "open", .began = UNKNOWN_NUMBER };
	if (!journal_is_id(id))
		return err_set(err, ERR_INPUT, "%s is no run's id", text_shown(arena, id));
	journal.folder = arena_printf(arena, "%s/%s", JOURNAL_RUNS, id);
	const char *path = file_of(&journal, "journal", arena);
	struct bytes text;
	unsigned bad = 0;
	int error = world_read(node, path, 0, arena, &text);
	if (error == ENOENT)
		return err_set(err, ERR_INPUT, "there is no run %s", id);
	if (error)
		return err_errno(err, error, "reading %s", path);
	if (!read_plan(node, &journal, arena, err) || !read_marks(node, &journal, arena, err))
		return false;
	read_lines(text, &journal, arena, &bad);
	bool short_of = is_cut_short(node, &journal, arena);
	if (bad || short_of) {
		if (bad)
			err_set(err, ERR_INPUT, "%s: line %u is damaged", path, bad);
		else
			err_set(err, ERR_INPUT, "%s: its end is missing", path);
		return err_hint(err, "%s/rollback.sh takes the node back without it", journal.folder);
	}
	if (!journal.armed && !journal_ended(&journal)) {
		journal.state = "reverted";
		journal.why = "it was cut off before its first change";
	} else if (journal.reverted && !journal_ended(&journal)) {
		journal.state = "reverting";
		journal.why = "it was not confirmed in time and has taken itself back";
	}
	*ret = journal;
	return true;
}
