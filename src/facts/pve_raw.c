/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Raw lxc lines of a CT: no option of pct sets or takes them (pve-container PVE/LXC/Config.pm keeps them apart, as a
 * list of pairs). Proxmox's own module reads, locks and writes the file here, as it does for pct.
 */
#include <string.h>

#include "facts/pve.h"

const char *pve_raw_line(const struct pve_line *line, struct arena *arena)
{
	if (!line->key || !line->value || !text_starts(line->key, "lxc."))
		return NULL;
	return arena_printf(arena, "%s: %s", line->key, line->value);
}

const char *pve_raw_lines(const struct guest *guest, struct arena *arena)
{
	const char *lines = NONE;
	for (size_t i = 0; guest->n_sections && i < guest->sections[0].n; i++) {
		const char *line = pve_raw_line(&guest->sections[0].lines[i], arena);
		if (line)
			lines = arena_printf(arena, "%s%s%s", lines, *lines ? "\n" : "", line);
	}
	return lines;
}

static bool allow_number(const char *text, int64_t *ret)
{
	uint64_t number;
	*ret = -1;
	if (strcmp(text, "*") == 0)
		return true;
	if (!text_number(text, 10, UINT32_MAX, &number))
		return false;
	*ret = (int64_t)number;
	return true;
}

bool pve_raw_allow(const char *value, struct arena *arena, struct pve_allow *ret)
{
	struct words words = text_split(arena, value, " \t");
	*ret = (struct pve_allow){ -1, -1 };
	if (words.n && strcmp(words.word[0], "a") == 0)
		return true;
	if (words.n < 2 || strcmp(words.word[0], "c") != 0)
		return false;
	struct words pair = text_split(arena, words.word[1], ":");
	return pair.n == 2 && allow_number(pair.word[0], &ret->major) && allow_number(pair.word[1], &ret->minor);
}

/* lock_config, load_config, check_lock, write_config: pve-guest-common PVE/AbstractConfig.pm; assert_if_modified:
 * pve-common PVE/Tools.pm. One line, so that it can be shown as a command. */
const char pve_raw_program[] =
        "use PVE::LXC::Config; my ($id, $digest, @lines) = @ARGV; "
        "PVE::LXC::Config->lock_config($id, sub { my $conf = PVE::LXC::Config->load_config($id); "
        "PVE::LXC::Config->check_lock($conf); PVE::Tools::assert_if_modified($digest, $conf->{digest}); "
        "$conf->{lxc} = [map { [split /: /, $_, 2] } @lines]; PVE::LXC::Config->write_config($id, $conf); });";
