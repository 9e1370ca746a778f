/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The computed boot against boots whose outcome is known (the order of initramfs-tools, udev and systemd; what guides do
 * wrong), one machine each, written as small changes of the guides' one: an RTX 4060 Ti at 01:00, the CPU's graphics at
 * 0c:00.
 */
#include "facts/predict.h"
#include "rehearse/machine.h"
#include "test.h"

#define BASE "base amd-4060ti\n"
#define IMAGE "initramfs /boot/initrd.img-6.8.12-10-pve fresh\n"
#define OLD_IMAGE "initramfs /boot/initrd.img-6.8.12-10-pve mtime=1600000000\n"
#define UDEV "\tscript init-top/udev\n"
#define CONF "file /etc/modprobe.d/vfio.conf\n"
#define IDS "\toptions vfio-pci ids=10de:2803,10de:22bd\n"
#define SOFTDEP "\tsoftdep nouveau pre: vfio-pci\n"
#define BOTH SOFTDEP "\tsoftdep snd_hda_intel pre: vfio-pci\n"
#define OURS "\tinstall vfio_pci " PREDICT_INSTALL "\n"
#define CARD "0000:01:00.0"
#define SOUND "0000:01:00.1"
#define GRUB(words) "replace /boot/grub/grub.cfg \"ro  quiet\" \"ro  quiet " words "\" all\n"
#define BUILTIN(module) "append /usr/lib/modules/6.8.12-10-pve/modules.builtin\n\tkernel/drivers/" module ".ko\n"
#define HOLDS "\tmodule nouveau snd_hda_intel vfio_pci vfio_pci_core vfio\n"
#define SCRIPT(name, body) "\tfile scripts/init-top/" name "\n" body "\tscript init-top/" name "\n" UDEV
#define BIND "\t\t#gpuferry bind 0000:01:00.0 10de:2803 1043:88f5 030000 vfio-pci\n"
#define BIND_SOUND "\t\t#gpuferry bind 0000:01:00.1 10de:22bd 1043:88f5 040300 vfio-pci\n"

/* Drivers that cannot be told: more than one may win, or something is not known. */
#define RACE "?"
#define UNTOLD "!"

static const struct boot_case {
	const char *what, *address, *driver, *why, *machine;
} cases[] = {
	{ "nothing is set", CARD, "nouveau", "root file system", BASE },
	{ "nothing is set: its sound", SOUND, "snd_hda_intel", NULL, BASE },
	{ "another function, as it is now", "0000:0c:00.2", "ccp", NULL, BASE },
	{ "a bridge has no setting", "0000:00:01.1", "pcieport", "as it is now", BASE },
	{ "ids and softdep", CARD, "vfio-pci", "/etc/modprobe.d/vfio.conf", BASE CONF IDS BOTH },
	{ "ids and softdep: its sound", SOUND, "vfio-pci", NULL, BASE CONF IDS BOTH },
	{ "ids without softdep, nothing loads vfio-pci", CARD, "nouveau", "softdep", BASE CONF IDS },
	{ "ids, a softdep for the card only: its sound is a race", SOUND, RACE, "wait", BASE CONF IDS SOFTDEP },
	{ "ids of the card only", SOUND, "snd_hda_intel", NULL,
	        BASE CONF "\toptions vfio-pci ids=10de:2803\n" BOTH },
	{ "vfio-pci in /etc/modules without softdep", CARD, RACE, "wait",
	        BASE CONF IDS "file /etc/modules\n\tvfio-pci\n" },
	{ "vfio-pci in /etc/modules, nouveau blacklisted", CARD, "vfio-pci", NULL,
	        BASE CONF IDS "\tblacklist nouveau\nfile /etc/modules\n\tvfio-pci\n" },
	{ "vfio-pci with its parameters in /etc/modules is no name", CARD, "nouveau", "nothing loads",
	        BASE CONF IDS "file /etc/modules\n\tvfio-pci ids=10de:2803\n" },
	{ "vfio-pci blacklisted: systemd leaves it out of /etc/modules", CARD, "nouveau", NULL,
	        BASE CONF IDS "\tblacklist vfio-pci\nfile /etc/modules\n\tvfio-pci\n" },
	{ "vfio-pci blacklisted: a softdep loads it all the same", CARD, "vfio-pci", NULL,
	        BASE CONF IDS BOTH "\tblacklist vfio_pci\n" },
	{ "nouveau blacklisted, nothing else", CARD, "", "blacklisted", BASE CONF "\tblacklist nouveau\n" },
	{ "nouveau installed as /bin/false", CARD, "", NULL, BASE CONF "\tinstall nouveau /bin/false\n" },
	{ "an install line that loads vfio-pci before", CARD, "vfio-pci", NULL,
	        BASE CONF IDS "\tinstall nouveau /sbin/modprobe vfio-pci; /sbin/modprobe --ignore-install nouveau\n" },
	{ "an install line that gives the ids", CARD, "vfio-pci", NULL,
	        BASE CONF BOTH "\tinstall vfio-pci /sbin/modprobe --ignore-install vfio-pci ids=10de:2803,10de:22bd\n" },
	{ "an install line that runs a script", CARD, UNTOLD, "override.sh",
	        BASE CONF "\tinstall nouveau /usr/local/sbin/override.sh\n" },
	{ "an install line is not run where a softdep stands", CARD, "nouveau", NULL,
	        BASE CONF SOFTDEP "\tinstall nouveau /bin/false\n" },
	{ "our own install line", CARD, "vfio-pci", "vfio.conf", BASE CONF IDS BOTH OURS },
	{ "our own install line, gpuferry=off", CARD, "nouveau", NULL, BASE CONF IDS BOTH OURS GRUB("gpuferry=off") },
	{ "our own install line, gpuferry=off: its sound", SOUND, "snd_hda_intel", NULL,
	        BASE CONF IDS BOTH OURS GRUB("gpuferry=off") },
	{ "our own install line, another word that begins so", CARD, "vfio-pci", NULL,
	        BASE CONF IDS BOTH OURS GRUB("gpuferry=offer") },
	{ "our own install line is not run where vfio-pci has a softdep", CARD, "vfio-pci", NULL,
	        BASE CONF IDS BOTH "\tsoftdep vfio_pci pre: irqbypass\n" OURS GRUB("gpuferry=off") },
	{ "a softdep of drm, which every graphics driver needs", CARD, "vfio-pci", NULL,
	        BASE CONF IDS "\tsoftdep drm pre: vfio-pci\n" },
	{ "a softdep of drm says nothing of sound", SOUND, RACE, NULL, BASE CONF IDS "\tsoftdep drm pre: vfio-pci\n" },
	{ "a softdep of drm where drm is built in", CARD, "nouveau", NULL,
	        BASE CONF IDS "\tsoftdep drm pre: vfio-pci\n" BUILTIN("gpu/drm/drm") },
	{ "of two softdep lines only the first counts", CARD, "nouveau", "a.conf",
	        BASE "file /etc/modprobe.d/a.conf\n\tsoftdep nouveau pre: drm\n" CONF IDS SOFTDEP },
	{ "vfio-pci is in the initramfs, the drivers whose softdeps name it are not", CARD, RACE, "wait",
	        BASE "file /etc/modprobe.d/a.conf\n\tsoftdep nouveau pre: drm\n" CONF IDS BOTH IMAGE UDEV
	             "\tmodule vfio_pci vfio_pci_core vfio\n" },
	{ "install with a pattern", CARD, "", NULL, BASE CONF "\tinstall nouv* /bin/true\n" },
	{ "alias nouveau off: udev does not ask by that name", CARD, "nouveau", NULL,
	        BASE CONF "\talias nouveau off\n" },
	{ "an alias of the device goes before modules.alias", CARD, "vfio-pci", NULL,
	        BASE CONF "\talias pci:v000010DEd00002803sv*sd*bc*sc*i* vfio-pci\n" IDS },
	{ "two blanks before pre: libkmod does not see the line", CARD, "nouveau", NULL,
	        BASE CONF IDS "\tsoftdep nouveau  pre: vfio-pci\n" },
	{ "pre:vfio-pci in one word is nothing", CARD, "nouveau", NULL,
	        BASE CONF IDS "\tsoftdep nouveau pre:vfio-pci\n" },
	/* the initramfs holds the drivers: its own settings decide */
	{ "fresh initramfs", CARD, "vfio-pci", NULL, BASE CONF IDS BOTH IMAGE UDEV HOLDS },
	{ "stale initramfs", CARD, "nouveau", "older than /etc/modprobe.d/vfio.conf",
	        BASE CONF IDS BOTH OLD_IMAGE UDEV HOLDS },
	{ "stale initramfs: its sound", SOUND, "snd_hda_intel", "older than", BASE CONF IDS BOTH OLD_IMAGE UDEV HOLDS },
	{ "stale initramfs that holds no driver does no harm", CARD, "vfio-pci", NULL,
	        BASE CONF IDS BOTH OLD_IMAGE UDEV "\tmodule nvme\n" },
	{ "settings taken away, but still in the initramfs", CARD, "vfio-pci", "older than",
	        BASE OLD_IMAGE UDEV HOLDS "\tfile etc/modprobe.d/vfio.conf\n\t" IDS "\t\tsoftdep nouveau pre: vfio-pci\n" },
	{ "stale blacklist: the initramfs loads it", CARD, "nouveau", "older than",
	        BASE CONF "\tblacklist nouveau\n" OLD_IMAGE UDEV HOLDS },
	{ "softdep, but the initramfs lacks vfio-pci", CARD, "nouveau", NULL,
	        BASE CONF IDS BOTH IMAGE UDEV "\tmodule nouveau\n" },
	{ "vfio-pci in conf/modules only: too late", CARD, "nouveau", "too late",
	        BASE CONF IDS "file /etc/initramfs-tools/modules\n\tvfio-pci\n" IMAGE UDEV HOLDS },
	{ "vfio-pci in conf/modules, nouveau only behind it: in time", CARD, "vfio-pci", NULL,
	        BASE CONF IDS "file /etc/initramfs-tools/modules\n\tvfio-pci\n" IMAGE UDEV "\tmodule vfio_pci\n" },
	{ "ids given in conf/modules", CARD, "vfio-pci", "conf/modules",
	        BASE "file /etc/initramfs-tools/modules\n\tvfio-pci ids=10de:2803\n" IMAGE UDEV "\tmodule vfio_pci\n" },
	{ "nouveau in conf/modules: the initramfs's modprobe obeys the blacklist for names too", CARD, "", "blacklisted",
	        BASE CONF "\tblacklist nouveau\nfile /etc/initramfs-tools/modules\n\tnouveau\n" IMAGE UDEV HOLDS },
	{ "vfio-pci in conf/modules, and blacklisted", CARD, "nouveau", NULL,
	        BASE CONF IDS "\tblacklist vfio-pci\nfile /etc/initramfs-tools/modules\n\tvfio-pci\n" IMAGE UDEV
	             "\tmodule vfio_pci\n" },
	{ "our script where vfio-pci is blacklisted", CARD, "vfio-pci", NULL,
	        BASE CONF "\tblacklist vfio-pci\n" IMAGE SCRIPT("gpuferry", BIND) HOLDS },
	{ "a script behind udev finds the card free, where the image holds no driver of it", CARD, "vfio-pci", "zz-vfio",
	        BASE IMAGE UDEV "\tfile scripts/init-top/zz-vfio\n"
	        "\t\techo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override\n\t\tmodprobe -i vfio-pci\n"
	        "\tscript init-top/zz-vfio\n\tmodule vfio_pci\n" },
	{ "a script behind udev is too late, where it holds one", CARD, "nouveau", NULL,
	        BASE IMAGE UDEV "\tfile scripts/init-top/zz-vfio\n"
	        "\t\techo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override\n\t\tmodprobe -i vfio-pci\n"
	        "\tscript init-top/zz-vfio\n" HOLDS },
	{ "ids as the kernel's sscanf reads them: 0x, blanks before, anything behind", CARD, "vfio-pci", NULL,
	        BASE CONF "\toptions vfio-pci ids=\"8086:1, 0x10DE:0x2803;10de:22bd\"\n" BOTH },
	{ "ids as the kernel's sscanf reads them: what is behind a semicolon is lost", SOUND, "snd_hda_intel", NULL,
	        BASE CONF "\toptions vfio-pci ids=10de:2803;10de:22bd\n" BOTH },
	{ "a later file's ids win", CARD, "nouveau", NULL,
	        BASE CONF IDS BOTH "file /etc/modprobe.d/zz.conf\n\toptions vfio-pci ids=1002:ab28\n" },
	{ "ids with another subsystem", CARD, "nouveau", NULL,
	        BASE CONF "\toptions vfio-pci ids=10de:2803:1043:0001\n" BOTH },
	{ "ids with any subsystem and a class", CARD, "vfio-pci", NULL,
	        BASE CONF "\toptions vfio-pci ids=10de:ffffffff:ffffffff:ffffffff:030000:ff0000\n" BOTH },
	{ "ids of another class", CARD, "nouveau", NULL,
	        BASE CONF "\toptions vfio-pci ids=10de:ffffffff:ffffffff:ffffffff:040300:ff0000\n" BOTH },
	{ "vfio-pci before nouveau in /etc/modules: udev may be faster", CARD, RACE, "wait",
	        BASE CONF IDS "file /etc/modules\n\tvfio-pci\n\tnouveau\n" },
	/* command line */
	{ "ids on the command line, softdep", CARD, "vfio-pci", "command line",
	        BASE CONF BOTH GRUB("vfio-pci.ids=10de:2803") },
	{ "modprobe.blacklist on the command line", CARD, "", NULL, BASE GRUB("modprobe.blacklist=nouveau") },
	{ "module_blacklist is the kernel's: libkmod heeds the softdeps of what it will refuse", CARD, "vfio-pci", NULL,
	        BASE CONF IDS BOTH GRUB("module_blacklist=nouveau") },
	{ "modprobe.blacklist knows no name with -", SOUND, "snd_hda_intel", NULL,
	        BASE GRUB("modprobe.blacklist=snd-hda-intel") },
	{ "module_blacklist stops loading by name too", CARD, "", NULL,
	        BASE GRUB("module_blacklist=nouveau") "file /etc/modules\n\tnouveau\n" },
	{ "module_blacklist stops conf/modules too", CARD, "", NULL,
	        BASE GRUB("module_blacklist=nouveau") "file /etc/initramfs-tools/modules\n\tnouveau\n" IMAGE UDEV HOLDS },
	{ "blacklist=, which initramfs-tools knows, in the initramfs", CARD, "nouveau", "root",
	        BASE GRUB("blacklist=nouveau") IMAGE "\tscript init-top/blacklist\n" UDEV HOLDS },
	{ "nomodeset", CARD, "", NULL, BASE GRUB("nomodeset") },
	{ "nomodeset, but nouveau.modeset=1", CARD, "nouveau", NULL, BASE GRUB("nomodeset nouveau.modeset=1") },
	{ "initcall_blacklist of a module", CARD, "", NULL, BASE GRUB("initcall_blacklist=nouveau_drm_init") },
	{ "dracut's words do nothing", CARD, "nouveau", NULL, BASE GRUB("rd.driver.pre=vfio-pci rd.driver.blacklist=nouveau") },
	{ "an unknown word", CARD, "nouveau", NULL, BASE GRUB("nouvau.blacklist=1 vfio_pci") },
	{ "configured, but the menu was not written: it does not count", CARD, "nouveau", NULL,
	        BASE CONF BOTH "replace /etc/default/grub quiet \"quiet vfio-pci.ids=10de:2803\"\n" },
	{ "pci-stub by ids", CARD, "pci-stub", NULL,
	        BASE BUILTIN("pci/pci-stub") GRUB("pci-stub.ids=10de:2803") },
	/* built in */
	{ "vfio-pci built in reads no modprobe.d", CARD, "nouveau", "built into",
	        BASE CONF IDS BOTH BUILTIN("vfio/pci/vfio-pci") },
	{ "vfio-pci built in, ids on the command line", CARD, "vfio-pci", NULL,
	        BASE BUILTIN("vfio/pci/vfio-pci") GRUB("vfio-pci.ids=10de:2803") },
	{ "vfio-pci and the driver built in: gpu comes first", CARD, "nouveau", "built into",
	        BASE BUILTIN("vfio/pci/vfio-pci") BUILTIN("gpu/drm/nouveau/nouveau") GRUB("vfio-pci.ids=10de:2803") },
	/* IOMMU */
	{ "IOMMU switched off: vfio-pci takes nothing", CARD, "nouveau", "IOMMU",
	        BASE CONF IDS BOTH GRUB("amd_iommu=off") },
	{ "no IOMMU in the firmware", CARD, "nouveau", "IOMMU", BASE CONF IDS BOTH "iommu off tables=none\n" },
	/* our script */
	{ "our script", CARD, "vfio-pci", "gpuferry", BASE IMAGE SCRIPT("gpuferry", BIND BIND_SOUND) HOLDS },
	{ "our script: its sound", SOUND, "vfio-pci", NULL, BASE IMAGE SCRIPT("gpuferry", BIND BIND_SOUND) HOLDS },
	{ "our script with gpuferry=off", CARD, "nouveau", NULL,
	        BASE GRUB("gpuferry=off") IMAGE SCRIPT("gpuferry", BIND BIND_SOUND) HOLDS },
	{ "our script at a card that moved", CARD, "nouveau", NULL,
	        BASE "device 0000:01:00.0 10de:2504\n" IMAGE SCRIPT("gpuferry", BIND) HOLDS },
	{ "our script without vfio-pci in the initramfs", CARD, "", "nothing loads",
	        BASE IMAGE SCRIPT("gpuferry", BIND) "\tmodule nouveau\n" },
	{ "our script behind udev is too late", CARD, "nouveau", NULL,
	        BASE IMAGE UDEV "\tfile scripts/init-top/gpuferry\n" BIND "\tscript init-top/gpuferry\n" HOLDS },
	{ "twins: by address only the one", CARD, "vfio-pci", NULL,
	        "base twins\n" IMAGE SCRIPT("gpuferry", "\t\t#gpuferry bind 0000:01:00.0 10de:2504 1462:397d 030000 vfio-pci\n") HOLDS },
	{ "twins: the other stays", "0000:0e:00.0", "nouveau", NULL,
	        "base twins\n" IMAGE SCRIPT("gpuferry", "\t\t#gpuferry bind 0000:01:00.0 10de:2504 1462:397d 030000 vfio-pci\n") HOLDS },
	{ "twins: ids take both", "0000:0e:00.0", "vfio-pci", NULL,
	        "base twins\n" CONF "\toptions vfio-pci ids=10de:2504\n" SOFTDEP },
	{ "a foreign script of the common form", CARD, "vfio-pci", "vfio-override",
	        BASE IMAGE SCRIPT("vfio-override", "\t\tDEVS=\"0000:01:00.0 0000:01:00.1\"\n\t\tfor DEV in $DEVS; do\n"
	        "\t\techo \"vfio-pci\" > /sys/bus/pci/devices/$DEV/driver_override\n\t\tdone\n\t\tmodprobe -i vfio-pci\n") HOLDS },
	{ "a foreign script that decides by itself", CARD, UNTOLD, "vfio-override",
	        BASE IMAGE SCRIPT("vfio-override", "\t\tfor i in $(find /sys/devices -name boot_vga); do\n"
	        "\t\techo vfio-pci > $i/driver_override\n\t\tdone\n\t\tmodprobe -i vfio-pci\n") HOLDS },
	/* udev's rules */
	{ "a rule that overrides the driver of its device", CARD, UNTOLD, "10-vfio.rules",
	        BASE "file /etc/udev/rules.d/10-vfio.rules\n\tKERNEL==\"0000:01:00.0\", ATTR{driver_override}=\"vfio-pci\"\n" },
	{ "a rule about another device", SOUND, "snd_hda_intel", NULL,
	        BASE "file /etc/udev/rules.d/10-vfio.rules\n\tKERNEL==\"0000:01:00.0\", ATTR{driver_override}=\"vfio-pci\"\n" },
	{ "a rule by ids", CARD, UNTOLD, "10-vfio.rules",
	        BASE "file /etc/udev/rules.d/10-vfio.rules\n\tATTR{vendor}==\"0x10de\", ATTR{driver_override}=\"vfio-pci\"\n" },
	{ "a rule that loads vfio-pci, and ids", SOUND, UNTOLD, "10-vfio.rules",
	        BASE CONF IDS "file /etc/udev/rules.d/10-vfio.rules\n"
	        "\tATTR{vendor}==\"0x10de\", ATTR{device}==\"0x2803\", RUN+=\"/sbin/modprobe vfio-pci\"\n" },
	{ "a rule that gives nothing away", CARD, "nouveau", NULL,
	        BASE "file /etc/udev/rules.d/10-vfio.rules\n\t#ATTR{driver_override}=\"vfio-pci\"\n\tSUBSYSTEM==\"drm\", GROUP=\"render\"\n" },
	/* two drivers that know a card */
	{ "i915 and xe: i915 by default", "0000:00:02.0", "i915", NULL,
	        "base pve8-base\nappend /usr/lib/modules/6.8.12-10-pve/modules.alias\n"
	        "\talias pci:v00008086d00004690sv*sd*bc03sc*i* xe\n" },
	{ "xe by force_probe", "0000:00:02.0", "xe", NULL,
	        "base pve8-base\nappend /usr/lib/modules/6.8.12-10-pve/modules.alias\n"
	        "\talias pci:v00008086d00004690sv*sd*bc03sc*i* xe\n" GRUB("i915.force_probe=!4690 xe.force_probe=4690") },
	{ "nouveau and nvidia: the kernel's own comes first", CARD, "nouveau", NULL,
	        BASE "append /usr/lib/modules/6.8.12-10-pve/modules.alias\n\talias pci:v000010DEd*sv*sd*bc03sc00i00* nvidia\n" },
	{ "nvidia with nouveau blacklisted", CARD, "nvidia", NULL,
	        BASE CONF "\tblacklist nouveau\nappend /usr/lib/modules/6.8.12-10-pve/modules.alias\n"
	        "\talias pci:v000010DEd*sv*sd*bc03sc00i00* nvidia\n" },
	{ "nouveau and nvidia, and the softdep of the first", CARD, "vfio-pci", NULL,
	        BASE CONF IDS BOTH "append /usr/lib/modules/6.8.12-10-pve/modules.alias\n\talias pci:v000010DEd*sv*sd*bc03sc00i00* nvidia\n" },
	{ "the softdep of the second is too late", CARD, "nouveau", NULL,
	        BASE CONF IDS "\tsoftdep nvidia pre: vfio-pci\n"
	        "append /usr/lib/modules/6.8.12-10-pve/modules.alias\n\talias pci:v000010DEd*sv*sd*bc03sc00i00* nvidia\n" },
	{ "nvidia as Debian packages it", CARD, "nvidia", NULL,
	        BASE "file /etc/modprobe.d/nvidia.conf\n\tblacklist nouveau\n"
	        "\tinstall nvidia modprobe -i nvidia-current $CMDLINE_OPTS\n"
	        "\talias pci:v000010DEd*sv*sd*bc03sc00i00* nvidia\n"
	        "append /usr/lib/modules/6.8.12-10-pve/modules.alias\n\talias pci:v000010DEd*sv*sd*bc03sc00i00* nvidia_current\n" },
	{ "a second driver that names the sound: what has it now", SOUND, "snd_hda_intel", NULL,
	        BASE "replace /usr/lib/modules/6.8.12-10-pve/modules.alias \"alias pci:v*d*sv*sd*bc04sc03i00* snd_hda_intel\" "
	        "\"alias pci:v*d*sv*sd*bc04sc03i00* snd_sof_pci_intel_tgl\\nalias pci:v*d*sv*sd*bc04sc03i00* snd_hda_intel\"\n" },
	{ "a foreign script, and vfio-pci in conf/modules", CARD, "vfio-pci", "bind_vfio",
	        BASE "file /etc/initramfs-tools/modules\n\tvfio-pci\n" IMAGE
	        SCRIPT("bind_vfio", "\t\tprereqs() { echo; }\n\t\tcase $1 in\n\t\tprereqs)\n\t\tprereqs\n\t\texit 0\n\t\t;;\n\t\tesac\n"
	        "\t\tfor dev in 0000:01:00.0 0000:01:00.1; do\n"
	        "\t\techo vfio-pci > /sys/bus/pci/devices/$dev/driver_override\n\t\tdone\n") HOLDS },
	/* what is not known */
	{ "no initramfs", CARD, UNTOLD, "initrd.img", BASE "unknown /boot/initrd.img-6.8.12-10-pve\n" },
	{ "no modprobe.d", CARD, UNTOLD, "modprobe.d", BASE "unknown /etc/modprobe.d\n" },
	{ "no command line", CARD, UNTOLD, NULL,
	        BASE "unknown /boot/grub/grub.cfg\nunknown /etc/default/grub\n" },
	{ "no modules.alias: the table of cards tells", CARD, "nouveau", NULL,
	        BASE "unknown /usr/lib/modules/6.8.12-10-pve/modules.alias\n" },
	{ "the file of the other loader is not read", "0000:03:00.0", "i915", NULL,
	        "base intel-zfs-a380\nfile /etc/default/grub\n\tGRUB_CMDLINE_LINUX_DEFAULT=\"vfio-pci.ids=8086:56a5\"\n"
	        CONF "\tsoftdep i915 pre: vfio-pci\n" },
	{ "the file of the right loader is", "0000:03:00.0", "vfio-pci", "command line",
	        "base intel-zfs-a380\nreplace /etc/kernel/cmdline boot=zfs \"boot=zfs vfio-pci.ids=8086:56a5\"\n"
	        CONF "\tsoftdep i915 pre: vfio-pci\n" },
	{ "vfio_virqfd is gone, and does nothing", CARD, "vfio-pci", NULL,
	        BASE CONF IDS BOTH "file /etc/modules\n\tvfio\n\tvfio_iommu_type1\n\tvfio_virqfd\n" },
	{ "driver_override of now is gone after the boot", CARD, "nouveau", NULL,
	        BASE "device 0000:01:00.0 driver=vfio-pci driver_override=vfio-pci\n" },
	{ "driverctl writes it again: not read", CARD, UNTOLD, "driverctl",
	        BASE "device 0000:01:00.0 driver=vfio-pci driver_override=vfio-pci\npackage driverctl 0.115-1\n" },
	{ "a record of ours that is cut off", CARD, UNTOLD, "gpuferry",
	        BASE IMAGE SCRIPT("gpuferry", "\t\t#gpuferry bind 0000:01:00.0 10de:2803 1043\n") HOLDS },
	{ "guides followed wrongly: stale, but its initramfs holds no i915", "0000:00:02.0", "vfio-pci", NULL,
	        "base guide-wrong\n" },
};

struct boot_run {
	struct arena arena;
	struct world *world;
	struct facts *facts;
	struct prediction prediction;
};

static void boot_open(struct boot_run *boot, const char *machine)
{
	struct err err = { 0 };
	struct tape *tape = NULL;
	memset(boot, 0, sizeof *boot);
	if (!machine_parse(bytes_of(machine), "case", machine_builtin_text, NULL, &boot->arena, &err, &tape))
		fail_msg("%s\n%s", err.text, machine);
	boot->world = tape_world(tape, "node", &boot->arena, &err);
	if (!boot->world)
		fail_msg("%s", err.text);
	const struct facts_want want = { .depth = FACTS_DEVICES | FACTS_LOADER | FACTS_BOOT | FACTS_GUESTS };
	boot->facts = facts_gather(boot->world, &want, &boot->arena);
	predict_boot(boot->facts, true, &boot->arena, &boot->prediction);
}

static void boot_close(struct boot_run *boot)
{
	world_close(boot->world);
	arena_release(&boot->arena);
}

static const char *said(const struct predicted *device)
{
	if (!device)
		return "not in it";
	return device->driver ? device->driver : device->rivals.n ? RACE : UNTOLD;
}

static void test_boots(void **state)
{
	(void)state;
	unsigned failed = 0;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct boot_run boot;
		boot_open(&boot, cases[i].machine);
		const struct predicted *device = predict_device(&boot.prediction, cases[i].address);
		const char *why = device && device->why ? device->why : "";
		if (strcmp(said(device), cases[i].driver) != 0 || (cases[i].why && !strstr(why, cases[i].why))) {
			print_error("%s: \"%s\" instead of \"%s\" (%s): %s; blind: %s\n", cases[i].what, said(device),
				cases[i].driver, cases[i].why ? cases[i].why : "", why,
				boot.prediction.blind ? boot.prediction.blind : "no");
			failed++;
		}
		boot_close(&boot);
	}
	assert_int_equal(failed, 0);
	assert_true(COUNT(cases) >= 40);
}

/* ---- the machines that are built in: nobody changed them since they booted -------------------------------------- */

/* Their next boot is another one: what was set up since decides, as the texts say. */
static const struct {
	const char *machine, *address, *driver;
} changed[] = {
	{ "guide-wrong", "0000:00:02.0", "vfio-pci" },
	{ "guide-wrong", "0000:00:1f.3", RACE },
};

static const char *expected(const char *machine, const struct pci_device *device)
{
	for (size_t i = 0; i < COUNT(changed); i++)
		if (strcmp(changed[i].machine, machine) == 0 && strcmp(changed[i].address, device->address) == 0)
			return changed[i].driver;
	return device->driver;
}

static void test_unchanged_machines(void **state)
{
	(void)state;
	unsigned failed = 0, seen = 0;
	for (const struct machine_builtin *machine = machine_builtins; machine->name; machine++) {
		struct boot_run boot;
		boot_open(&boot, machine->text);
		for (size_t i = 0; i < boot.prediction.n; i++) {
			const struct predicted *next = &boot.prediction.devices[i];
			const char *wanted = expected(machine->name, next->device);
			seen++;
			if (strcmp(wanted, "vfio-pci") == 0 && !next->meant)
				continue; /* Proxmox took it when a VM started */
			if (strcmp(said(next), wanted) != 0) {
				print_error("%s: %s: \"%s\" instead of \"%s\": %s\n", machine->name, next->device->address,
					said(next), wanted, next->why);
				failed++;
			}
		}
		boot_close(&boot);
	}
	assert_int_equal(failed, 0);
	assert_true(seen > 200);
}

/* ---- IOMMU ------------------------------------------------------------------------------------------------------ */

#define INTEL "base pve8-base\n"
#define RUNS(words) "replace /proc/cmdline quiet \"quiet " words "\"\n"
#define KERNEL_61 "replace /boot/grub/grub.cfg 6.8.12-10-pve 6.1.0-28-amd64 all\nfile /boot/vmlinuz-6.1.0-28-amd64 size=1 stat\n" \
	"initramfs /boot/initrd.img-6.1.0-28-amd64\n\tmodule nvme\n"

static const struct iommu_case {
	const char *what;
	enum tri on;
	const char *machine;
} iommus[] = {
	{ "AMD: on by default", YES, BASE },
	{ "AMD: off", NO, BASE GRUB("amd_iommu=off") },
	{ "AMD: off for all", NO, BASE GRUB("iommu=off") },
	{ "AMD: in a list", NO, BASE GRUB("iommu=pt,off") },
	{ "AMD: pt", YES, BASE GRUB("iommu=pt") },
	{ "AMD: Intel's word is nothing to it", YES, BASE GRUB("intel_iommu=off") },
	{ "AMD: it was off by a word that is gone", YES, BASE "iommu off tables=IVRS\n" RUNS("amd_iommu=off") },
	{ "AMD: off although no word says so", NO, BASE "iommu off tables=IVRS\n" },
	{ "no table at all", NO, BASE "iommu off tables=none\n" },
	{ "tables not read, another word than now", UNKNOWN,
	        BASE "iommu off\nunknown /sys/firmware/acpi/tables\n" RUNS("amd_iommu=off") },
	{ "Intel: on by default from 6.8", YES, INTEL },
	{ "Intel: off", NO, INTEL GRUB("intel_iommu=off") },
	{ "Intel: the last one counts", YES, INTEL GRUB("intel_iommu=off intel_iommu=on,sm_on") },
	{ "Intel: the last one counts, off", NO, INTEL GRUB("intel_iommu=on intel_iommu=off") },
	{ "Intel: iommu=off is stronger", NO, INTEL GRUB("intel_iommu=on iommu=off") },
	{ "Intel: AMD's word is nothing to it", YES, INTEL GRUB("amd_iommu=off") },
	{ "Intel: switched on, was off by its word", YES, INTEL "iommu off tables=DMAR\n" RUNS("intel_iommu=off") GRUB("intel_iommu=on") },
	{ "Intel: another kernel without a word", UNKNOWN, INTEL KERNEL_61 },
	{ "Intel: another kernel with the word", YES, INTEL KERNEL_61 GRUB("intel_iommu=on") },
	{ "command line not known", UNKNOWN, INTEL "unknown /boot/grub/grub.cfg\nunknown /etc/default/grub\n" },
};

static void test_iommu(void **state)
{
	(void)state;
	static const char *const names[] = { [UNKNOWN] = "unknown", [NO] = "no", [YES] = "yes" };
	unsigned failed = 0;
	for (size_t i = 0; i < COUNT(iommus); i++) {
		struct boot_run boot;
		boot_open(&boot, iommus[i].machine);
		if (boot.prediction.iommu != iommus[i].on) {
			print_error("%s: %s instead of %s; kernel %s, words %s\n", iommus[i].what, names[boot.prediction.iommu],
				names[iommus[i].on], boot.prediction.kernel ? boot.prediction.kernel : "?",
				boot.prediction.cmdline ? boot.prediction.cmdline : "?");
			failed++;
		}
		boot_close(&boot);
	}
	assert_int_equal(failed, 0);
}

/* ---- a real node: what was configured, and what its kernel then said ------------------------------------------- */

#define CAPTURE "gammaman88-proxmox-amd-5700u-gpu-passthrough-"

/* A capture's file as a file of the machine. */
static const char *captured(struct arena *arena, const char *data, const char *name, const char *path)
{
	struct bytes text = test_read(arena, arena_printf(arena, "%s/%s", data, name)), line;
	const char *ret = arena_printf(arena, "file %s\n", path);
	for (size_t cursor = 0; text_line(text, &cursor, &line);)
		ret = arena_printf(arena, "%s\t%.*s\n", ret, (int)line.size, line.data);
	return ret;
}

/* The words of its own command line, behind "quiet". */
static const char *captured_words(struct arena *arena, struct bytes log)
{
	struct bytes line;
	for (size_t cursor = 0; text_line(log, &cursor, &line);) {
		const char *text = text_trimmed(arena, line), *found = strstr(text, "Kernel command line: ");
		if (found && strstr(found, " quiet "))
			return strstr(found, " quiet ") + strlen(" quiet ");
	}
	fail_msg("the capture has no command line");
	return NULL;
}

/* The driver that the kernel's log names for a device: "vfio-pci 0000:05:00.0: ...". */
static const char *observed(struct arena *arena, struct bytes log, const char *address)
{
	static const char *const drivers[] = { "vfio-pci", "snd_hda_intel", "amdgpu" };
	struct bytes line;
	for (size_t cursor = 0; text_line(log, &cursor, &line);)
		for (size_t i = 0; i < COUNT(drivers); i++)
			if (strstr(text_trimmed(arena, line), arena_printf(arena, "] %s %s: ", drivers[i], address)))
				return drivers[i];
	fail_msg("the capture names no driver for %s", address);
	return NULL;
}

/* Proxmox VE on a Ryzen 5700U: ids= without a softdep, vfio-pci in /etc/modules, amdgpu kept away by nomodeset alone. */
static void test_real_node(void **state)
{
	(void)state;
	static const char *const addresses[] = { "0000:05:00.0", "0000:05:00.1", "0000:05:00.6" };
	struct arena arena ARENA_SCOPED = { 0 };
	const char *data = test_data("GPUFERRY_DATA");
	if (!data) {
		print_message("# no captures here\n");
		skip();
	}
	struct bytes log = test_read(&arena, arena_printf(&arena, "%s/dmesg/" CAPTURE "dmesg.txt", data));
	const char *machine = arena_printf(&arena,
		"base pve8-amd\n%s%s%s"
		"device 0000:05:00.0 1002:164c class=030000 subsystem=1002:164c parent=0000:00:08.1 group=30 driver=amdgpu\n"
		"device 0000:05:00.1 1002:1637 class=040300 subsystem=1002:1637 parent=0000:00:08.1 group=31 driver=snd_hda_intel\n"
		"device 0000:05:00.6 1022:15e3 class=040300 subsystem=1022:15e3 parent=0000:00:08.1 group=32 driver=snd_hda_intel\n"
		"replace /boot/grub/grub.cfg \"ro  quiet\" \"ro  quiet %s\" all\n",
		captured(&arena, data, "modprobe/" CAPTURE "vfio.conf", "/etc/modprobe.d/vfio.conf"),
		captured(&arena, data, "modprobe/" CAPTURE "blacklist.conf", "/etc/modprobe.d/blacklist.conf"),
		captured(&arena, data, "boot/" CAPTURE "modules.txt", "/etc/modules"), captured_words(&arena, log));
	struct boot_run boot;
	boot_open(&boot, machine);
	for (size_t i = 0; i < COUNT(addresses); i++) {
		const struct predicted *device = predict_device(&boot.prediction, addresses[i]);
		assert_non_null(device);
		assert_string_equal(said(device), observed(&arena, log, addresses[i]));
		assert_string_equal(device->stage, "root"); /* in the log after systemd's first line */
	}
	boot_close(&boot);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_boots), cmocka_unit_test(test_unchanged_machines),
		cmocka_unit_test(test_iommu), cmocka_unit_test(test_real_node) };
	return cmocka_run_group_tests_name("predict", tests, NULL, NULL);
}
