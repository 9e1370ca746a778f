/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The ESPs that proxmox-boot-tool keeps (/etc/kernel/proxmox-boot-uuids). What boots lies there, and no status says
 * whether it does: zz-proxmox-boot passes by an ESP that it cannot mount, and ends with 0.
 */
#pragma once
#include "exec/exec.h"

/* Does this node boot from such ESPs? UNKNOWN: err says why. */
enum tri esp_configured(struct step_run *run);
/* What stands on one, mounted at folder. False ends the looking (err). */
typedef bool esp_fn(struct step_run *run, const char *folder, const char *uuid, void *data);
/* Every ESP; those that are not mounted are for that moment, read-only below /run. False: one cannot be seen (err). */
bool esp_look(struct step_run *run, esp_fn *look, void *data);
/* What writes onto the ESPs has failed, and err says how: where there are any, it gets the cure for what a power cut may
 * have left there. Always false. */
bool esp_failed(struct step_run *run);
/* proxmox-boot-tool refresh, and all of it on disk. */
bool esp_refresh(struct step_run *run);
