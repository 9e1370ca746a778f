/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Installed Debian packages, from dpkg's own list (deb822, dpkg(1)). Shared by what reads the node and what reads a
 * guest.
 */
#pragma once
#include "base/text.h"

/* "NAME VERSION" of every installed package whose name matches one of the patterns (* and ?), in the order of the
 * file. What was removed and left its configuration is not installed. patterns end in NULL. */
struct words package_parse(struct bytes status, const char *const *patterns, struct arena *arena);
/* Likewise all of which files may be there: dpkg was cut off while it unpacked, configured or removed them. */
struct words package_parse_present(struct bytes status, const char *const *patterns, struct arena *arena);
/* What apt would install of a node's NVIDIA driver. Its caches are not written: apt works without them then. */
extern const char *const package_policy[]; /* argv, NULL at the end */
/* "NAME VERSION" of each package for which `apt-cache policy` says one as its "Candidate", or as "Installed". */
struct words package_parse_policy(struct bytes output, const char *field, struct arena *arena);
/* The version of that package in such a list; NULL: not in it. */
const char *package_version(const struct words *packages, const char *name);
