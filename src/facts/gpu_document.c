/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * docs/gpus.md: what the tables claim, row by row, with the source of each.
 */
#include <stddef.h>

#include "facts/gpu.h"
#include "facts/gpu_tables.h"

static const char *truth(enum tri value)
{
	static const char *const words[] = { [UNKNOWN] = "?", [NO] = "no", [YES] = "yes" };
	return words[value];
}

static const char *or_unknown(const char *text)
{
	return !text ? "?" : *text ? text : "none";
}

static const char *number(int64_t value, const char *unknown, struct arena *arena)
{
	return value == UNKNOWN_NUMBER ? unknown : arena_printf(arena, "%d", (int)value);
}

/* All ids of a row. */
static const char *ids(const struct gpu_range *ranges, const struct gpu_model *model, struct arena *arena)
{
	const char *text = "";
	for (; ranges->model; ranges++) {
		if (ranges->model != model)
			continue;
		text = arena_printf(arena, ranges->first == ranges->last ? "%s%s%04x" : "%s%s%04x-%04x", text,
		        *text ? " " : "", ranges->first, ranges->last);
	}
	return text;
}

static bool shown_before(const struct gpu_range *ranges, const struct gpu_range *row)
{
	for (; ranges < row; ranges++)
		if (ranges->model == row->model)
			return true;
	return false;
}

static const char *encodes(const struct gpu_model *model, struct arena *arena)
{
	const char *codecs = gpu_codecs_text(model->encode, arena);
	if (model->encode_known == YES)
		return *codecs ? codecs : "none";
	return *codecs ? arena_printf(arena, "%s, perhaps more", codecs) : "?";
}

/* What only this vendor's rows have. */
static const char *particulars(const struct gpu_model *model, struct arena *arena)
{
	static const char *const flavours[] = { [FLAVOUR_UNKNOWN] = "?",
		[FLAVOUR_CLOSED_ONLY] = "closed only",
		[FLAVOUR_EITHER] = "open or closed",
		[FLAVOUR_OPEN_ONLY] = "open only" };
	if (*model->vendor == 'n')
		return arena_printf(arena, "%s; last branch %s", flavours[model->flavour],
		        number(model->last_branch, "none yet", arena));
	if (*model->vendor == 'i')
		return arena_printf(arena, "%s; from Linux %s; low power only %s; HuC by default %s; needs ReBAR %s",
		        model->driver, or_unknown(model->kernel_floor), truth(model->low_power_only),
		        truth(model->huc_by_default), truth(model->needs_rebar));
	return arena_printf(arena, "%s; APU %s", model->driver, truth(model->integrated));
}

static const char *vendor(const char *title, const struct gpu_range *ranges, struct arena *arena)
{
	const char *text = arena_printf(arena,
	        "\n## %s\n\n| generation | device ids | encoder | engines | encodes | decodes"
	        " | driver | source |\n|---|---|---|---|---|---|---|---|\n",
	        title);
	for (const struct gpu_range *row = ranges; row->model; row++) {
		const struct gpu_model *model = row->model;
		if (shown_before(ranges, row))
			continue;
		const char *decodes = gpu_codecs_text(model->decode, arena);
		text = arena_printf(arena, "%s| %s | %s | %s | %s | %s | %s | %s | %s |\n", text, model->generation,
		        ids(ranges, model, arena), or_unknown(model->engine), number(model->engines, "?", arena),
		        encodes(model, arena), *decodes ? decodes : "?", particulars(model, arena), model->source);
	}
	return text;
}

static const char *bugs(struct arena *arena)
{
	const char *text =
	        "\n## Kernels to avoid\n\n| generations | from | to | what | source |\n|---|---|---|---|---|\n";
	for (const struct gpu_kernel_bug *bug = gpu_kernel_bugs; bug->generation; bug++) {
		const char *names = "";
		struct words words = text_split(arena, bug->generation, "|");
		for (size_t i = 0; i < words.n; i++)
			names = arena_printf(arena, "%s%s%s", names, *names ? ", " : "", words.word[i]);
		text = arena_printf(arena, "%s| %s | %s | %s | %s | %s |\n", text, names, bug->first, bug->last,
		        bug->what, bug->source);
	}
	return text;
}

const char *gpu_document(struct arena *arena)
{
	return arena_printf(arena,
	        "# What gpuferry knows of GPUs\n\n"
	        "Written by the tests from the tables in `src/facts/gpu_*.c`; do not edit. A row says what to expect "
	        "of a\n"
	        "card with these PCI device ids, not what works here: that is for a proof. `?` is unknown, and nothing "
	        "is\n"
	        "claimed of an id that stands in no row. `av1` is 8 and 10 bit. The first row that holds an id "
	        "counts.\n"
	        "%s%s%s%s",
	        vendor("NVIDIA (10de)", gpu_nvidia, arena), vendor("Intel (8086)", gpu_intel, arena),
	        vendor("AMD (1002)", gpu_amd, arena), bugs(arena));
}
