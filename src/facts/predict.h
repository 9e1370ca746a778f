/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The computed boot: which driver will claim which device. Pure: facts in, drivers out. The rules ask it about a real
 * node, the rehearsal boots its machine with it, the lab holds it against a real kernel.
 *
 * What is gone through, in the order of a boot with initramfs-tools and systemd:
 *   1. the kernel with the command line of the entry that boots next; builtin drivers claim what they match
 *   2. the initramfs as it was frozen: scripts/init-top before `udev` (ours writes driver_override), then udev's
 *      coldplug: modules.alias of the modules it holds, its own modprobe.d (blacklists, softdeps, options, install),
 *      then conf/modules
 *   3. the root file system: systemd-modules-load (modules-load.d, /etc/modules), udev's coldplug again for devices
 *      without driver, with /etc's modprobe.d
 * A driver claims a device that has none, at its own registration or when the device is probed; driver_override and
 * vfio-pci's ids= (only from options or command line that the loading stage sees) decide for vfio-pci.
 *
 * Our own script in the initramfs, scripts/init-top/gpuferry, sorts before udev and does nothing with gpuferry=off on
 * the command line. What it binds stands in it as lines, one per function, that both it and the prediction read:
 *   #gpuferry bind ADDRESS VENDOR:DEVICE SUBVENDOR:SUBDEVICE CLASS DRIVER
 *   #gpuferry bind 0000:01:00.0 10de:2803 1043:88f5 030000 vfio-pci
 * Four hex digits each, six for the class. Where all of them are the device's own it writes DRIVER to driver_override;
 * then it loads the drivers by name and writes each address to drivers_probe.
 *
 * Our own file of ids in modprobe.d obeys the same word by PREDICT_INSTALL, its install line of vfio_pci: an empty ids=
 * comes behind that of the options line, and the kernel keeps the last. Only words of sh: an initramfs may have no grep.
 */
#pragma once
#include "facts/facts.h"

#define PREDICT_INSTALL \
	"read -r words < /proc/cmdline; case \" $words \" in *\" gpuferry=off \"*) " \
	"exec /sbin/modprobe -i vfio_pci ids= ;; esac; exec /sbin/modprobe -i vfio_pci $CMDLINE_OPTS"

struct predicted {
	const struct pci_device *device;
	const char *driver; /* NONE: none will claim it; NULL: it cannot be told */
	const char *why;    /* the sentence: "the initramfs is older than /etc/modprobe.d/vfio.conf, so nouveau ..." */
	const char *stage;  /* "builtin", "initramfs", "root"; NULL: only known as it is now, or not at all */
	const char *override; /* driver_override as a script of this boot writes it; NULL: none */
	bool meant;           /* for vfio-pci: ids= of /etc or of the initramfs name it, or a script binds it */
	struct words rivals;  /* with driver NULL: those that race for it, its own driver first; else empty */
};

struct prediction {
	const char *kernel, *cmdline; /* that were reckoned with; NULL unknown */
	enum tri iommu;
	struct predicted *devices; /* those whose driver matters: GPUs, the functions of their slots, their group */
	size_t n;
	struct words modules; /* that will be loaded, as far as they matter; a name in /etc/modules counts as there */
	const char *vfio_ids; /* vfio-pci's ids= as it gets them; NULL: none, or it is not loaded */
	const char *blind;    /* what is missing to be sure; NULL: nothing */
};

/* The boot of kernel_next as the machine is configured now. all: every PCI device, for the rehearsal. */
void predict_boot(const struct facts *facts, bool all, struct arena *arena, struct prediction *ret);
/* The driver of a module, by its name with _: vfio_pci -> "vfio-pci", nvidia_current -> "nvidia". */
const char *predict_driver_of(const char *module);
const struct predicted *predict_device(const struct prediction *prediction, const char *address); /* NULL: not in it */
