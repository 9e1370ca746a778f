/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Proxmox's Perl modules, as far as a program of ours calls them: one text (facts/pve.h), read from what its calls do
 * in PVE (AbstractConfig.pm lock_config, load_config, check_lock, write_config; Tools.pm assert_if_modified). Any other
 * Perl is not modelled. tests/test_raw.c has a real perl run the text, and compares.
 */
#include <string.h>

#include "rehearse/pve.h"

int pve_perl(struct model_call *call)
{
	struct arena *arena = call->rehearse->arena;
	struct pve_file file;
	if (call->n < 5 || strcmp(call->argv[1], "-e") != 0 || strcmp(call->argv[2], pve_raw_program) != 0)
		return MODEL_AS_RECORDED;
	const char *digest = call->argv[4];
	if (!pve_load(call, GUEST_CT, pve_id(call->argv[3]), &file))
		return PVE_NO_FILE;
	if (pve_locked(call, &file))
		return PVE_DIED;
	if (*digest && strcmp(digest, file.digest) != 0)
		return pve_die(call, "detected modified configuration - file changed by other user? Try again.");
	file.active.lxc = (struct words){ 0 };
	for (size_t i = 5; i < call->n; i++)
		*arena_push(arena, file.active.lxc.word, file.active.lxc.n) = call->argv[i];
	return pve_store(call, &file) ? 0 : PVE_DIED;
}
