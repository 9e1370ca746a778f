# SPDX-License-Identifier: GPL-3.0-or-later
# Stands in for Proxmox's module of this name in tests/test_raw.c: the same calls, on the one file that CONF names; and in
# the lab, on Proxmox's own. What it keeps and how it writes is what pve-container's documentation and the recorded
# sessions show: keys by name, then the raw lines in their order.
package PVE::LXC::Config;
use strict;
use warnings;
use Digest::SHA;
use PVE::Tools;

my $locked;

sub file { return $ENV{CONF} // "/etc/pve/lxc/$_[0].conf"; }

sub lock_config {
	my ($class, $id, $code) = @_;
	$locked = 1;
	$code->();
	$locked = 0;
}

sub load_config {
	my ($class, $id) = @_;
	open(my $file, '<', file($id)) or die "Configuration file 'nodes/pve/lxc/$id.conf' does not exist\n";
	my $text = do { local $/; <$file> };
	my $conf = { digest => Digest::SHA::sha1_hex($text) };
	for my $line (split /\n/, $text) {
		if ($line =~ /^(lxc\.[a-z0-9_\-.]+)(?::|\s*=)\s*(.*?)\s*$/) {
			push @{ $conf->{lxc} }, [$1, $2];
		} elsif ($line =~ /^([a-z][a-z_]*\d*):\s*(.+?)\s*$/) {
			$conf->{$1} = $2;
		}
	}
	return $conf;
}

sub check_lock {
	my ($class, $conf) = @_;
	die "CT is locked ($conf->{lock})\n" if $conf->{lock};
}

sub write_config {
	my ($class, $id, $conf) = @_;
	die "not locked\n" if !$locked;
	open(my $file, '>', file($id)) or die file($id), ": $!\n";
	for my $key (sort keys %$conf) {
		print $file "$key: $conf->{$key}\n" if $key ne 'digest' && $key ne 'lxc';
	}
	print $file "$_->[0]: $_->[1]\n" for @{ $conf->{lxc} // [] };
	close($file) or die;
}

1;
