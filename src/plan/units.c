/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The two services of a change that needs a reboot. Both do nothing with the kernel word gpuferry=off.
 *
 * The revert is no timer unit: emergency mode never reaches timers.target. It is of type simple, so that the boot does
 * not wait for it, and it has no default dependencies, so that it starts where little works (systemd.unit(5),
 * bootup(7)). The resume is a oneshot in front of pve-guests.service: guests that start with the node wait until their
 * configuration is set. It names gpuferry without a folder, as systemd looks in /usr/local/bin and /usr/bin
 * (systemd.service(5)): it may come from the package or from `./do install`.
 */
#include "plan/plan.h"

const char *plan_revert_unit(int64_t confirm_seconds, struct arena *arena)
{
	return arena_printf(arena,
	        "# Made by gpuferry for one change; goes away when that is confirmed (gpuferry apply --confirm).\n"
	        "[Unit]\n"
	        "Description=gpuferry: take a change back unless it is confirmed within %lld seconds\n"
	        "DefaultDependencies=no\n"
	        "After=systemd-remount-fs.service local-fs.target\n"
	        "Before=shutdown.target pve-guests.service\n"
	        "Conflicts=shutdown.target\n"
	        "IgnoreOnIsolate=yes\n"
	        "ConditionKernelCommandLine=!gpuferry=off\n"
	        "ConditionPathExists=" PLAN_REVERT "\n"
	        "\n"
	        "[Service]\n"
	        "Type=simple\n"
	        "ExecStart=/bin/sh " PLAN_REVERT " --boot\n"
	        "StandardOutput=journal+console\n"
	        "StandardError=journal+console\n",
	        (long long)confirm_seconds);
}

const char *plan_resume_unit(struct arena *arena)
{
	return arena_strdup(arena,
	        "# Made by gpuferry for one change; goes away when that is confirmed (gpuferry apply --confirm).\n"
	        "[Unit]\n"
	        "Description=gpuferry: go on with a change after the reboot\n"
	        "After=network.target pve-cluster.service pvedaemon.service pve-firewall.service pve-storage.target\n"
	        "Before=pve-guests.service\n"
	        "ConditionKernelCommandLine=!gpuferry=off\n"
	        "ConditionPathExists=" PLAN_REVERT "\n"
	        "\n"
	        "[Service]\n"
	        "Type=oneshot\n"
	        "ExecStart=gpuferry apply --continue\n"
	        "TimeoutStartSec=30min\n"
	        "StandardOutput=journal+console\n"
	        "StandardError=journal+console\n");
}
