# SPDX-License-Identifier: GPL-3.0-or-later
# Stands in for Proxmox's module of this name in tests/test_raw.c and in the lab.
package PVE::Tools;
use strict;
use warnings;

sub assert_if_modified {
	my ($left, $right) = @_;
	die "detected modified configuration - file changed by other user? Try again.\n"
		if $left && $right && $left ne $right;
}

1;
