/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every option of qm, pct and pvesh that gpuferry uses or that someone would type: what its value must look like, and
 * where PVE says so. Formats and messages: pve-common JSONSchema.pm; recorded sessions s1, s2, s3.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "facts/pve.h"
#include "facts/pve_options.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- patterns ---- */

static bool is_host(const char *text)
{
	struct arena scratch ARENA_SCOPED = { 0 };
	struct words addresses = { 0 };
	return pve_addresses(text, &scratch, &addresses);
}

static bool is_config_id(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	return strlen(text) > 1 && !strchr("0123456789_-", *text) && !text[strspn(text, letters)];
}

static bool is_romfile(const char *text)
{
	return *text && !strchr(text, ';');
}

static bool is_mdev(const char *text)
{
	return *text && !strpbrk(text, "/.:");
}

static bool is_id(const char *text)
{
	return strlen(text) == 6 && text_starts(text, "0x") && strspn(text + 2, "0123456789abcdefABCDEF") == 4;
}

static bool is_device(const char *text)
{
	return text_starts(text, "/dev/") && !strstr(text, "..") && text[5];
}

static bool is_mode(const char *text)
{
	return strlen(text) == 4 && *text == '0' && strspn(text + 1, "01234567") == 3;
}

static bool is_number(const char *text)
{
	uint64_t number;
	return text_number(text, 10, UINT32_MAX, &number);
}

static bool is_size(const char *text)
{
	size_t digits = strspn(text, "0123456789.");
	return digits && (!text[digits] || (strchr("KMGT", text[digits]) && !text[digits + 1]));
}

/* ---- fields of property strings ---- */

static const struct pve_field hostpci[] = {
	{ "host", PVE_TEXT, NULL, is_host, true, 0, NULL },
	{ "mapping", PVE_TEXT, NULL, is_config_id, false, 0, NULL },
	{ "driver", PVE_ENUM, "vfio, keep", NULL, false, 9, NULL },
	{ "rombar", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "romfile", PVE_TEXT, NULL, is_romfile, false, 0, NULL },
	{ "pcie", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "x-vga", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "legacy-igd", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "mdev", PVE_TEXT, NULL, is_mdev, false, 0, NULL },
	{ "vendor-id", PVE_TEXT, NULL, is_id, false, 0, NULL },
	{ "device-id", PVE_TEXT, NULL, is_id, false, 0, NULL },
	{ "sub-vendor-id", PVE_TEXT, NULL, is_id, false, 0, NULL },
	{ "sub-device-id", PVE_TEXT, NULL, is_id, false, 0, NULL },
	{ 0 },
};

static const struct pve_field ct_device[] = {
	{ "path", PVE_TEXT, NULL, is_device, true, 0, "is not a valid device path" },
	{ "mode", PVE_TEXT, NULL, is_mode, false, 0, NULL },
	{ "uid", PVE_INTEGER, NULL, is_number, false, 0, NULL },
	{ "gid", PVE_INTEGER, NULL, is_number, false, 0, NULL },
	{ "deny-write", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ 0 },
};

static const struct pve_field vga[] = {
	{ "type", PVE_ENUM,
	        "cirrus, qxl, qxl2, qxl3, qxl4, none, serial0, serial1, serial2, serial3, std, virtio, virtio-gl, "
	        "vmware",
	        NULL, true, 0, NULL },
	{ "memory", PVE_INTEGER, NULL, NULL, false, 0, NULL },
	{ "clipboard", PVE_ENUM, "vnc", NULL, false, 0, NULL },
	{ 0 },
};

static bool is_machine(const char *text)
{
	static const char *const stems[] = { "pc", "q35", "virt" };
	if (text_starts(text, "pc-") || text_starts(text, "virt-"))
		return true;
	for (size_t i = 0; i < COUNT(stems); i++)
		if (strcmp(stems[i], text) == 0)
			return true;
	return false;
}

static const struct pve_field machine[] = {
	{ "type", PVE_TEXT, NULL, is_machine, true, 0, NULL },
	{ "viommu", PVE_ENUM, "intel, virtio", NULL, false, 0, NULL },
	{ "enable-s3", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "enable-s4", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "aw-bits", PVE_INTEGER, NULL, NULL, false, 9, NULL },
	{ 0 },
};

static const struct pve_field agent[] = {
	{ "enabled", PVE_BOOLEAN, NULL, NULL, true, 0, NULL },
	{ "fstrim_cloned_disks", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "freeze-fs-on-backup", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "freeze-fs", PVE_BOOLEAN, NULL, NULL, false, 9, NULL },
	{ "type", PVE_ENUM, "virtio, isa", NULL, false, 0, NULL },
	{ 0 },
};

static const struct pve_field memory[] = {
	{ "current", PVE_INTEGER, NULL, NULL, true, 0, NULL },
	{ 0 },
};

static const struct pve_field features[] = {
	{ "mount", PVE_TEXT, NULL, NULL, false, 0, NULL },
	{ "nesting", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "keyctl", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "fuse", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "mknod", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "force_rw_sys", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ 0 },
};

static const struct pve_field efidisk[] = {
	{ "file", PVE_TEXT, NULL, NULL, true, 0, NULL },
	{ "size", PVE_TEXT, NULL, is_size, false, 0, NULL },
	{ "format", PVE_ENUM, "raw, qcow, qed, qcow2, vmdk, cloop", NULL, false, 0, NULL },
	{ "efitype", PVE_ENUM, "2m, 4m", NULL, false, 0, NULL },
	{ "pre-enrolled-keys", PVE_BOOLEAN, NULL, NULL, false, 0, NULL },
	{ "import-from", PVE_TEXT, NULL, NULL, false, 0, NULL },
	{ "ms-cert", PVE_ENUM, "2011, 2023, 2023k, 2023w", NULL, false, 9, NULL },
	{ 0 },
};

/* ---- the table ---- */

#define SERVER "qemu-server PVE/QemuServer.pm"
#define PCI "qemu-server PVE/QemuServer/PCI.pm"
#define DRIVE "qemu-server PVE/QemuServer/Drive.pm"
#define CLOUD "qemu-server PVE/QemuServer.pm (confdesc_cloudinit)"
#define API "qemu-server PVE/API2/Qemu.pm"
#define QM "qemu-server PVE/CLI/qm.pm"
#define LXC "pve-container PVE/LXC/Config.pm"
#define CTAPI "pve-container PVE/API2/LXC.pm"
#define CTCONF "pve-container PVE/API2/LXC/Config.pm"
#define PCT "pve-container PVE/CLI/pct.pm"
#define MAP "pve-manager PVE/API2/Cluster/Mapping/PCI.pm"
#define PVESH "pve-manager PVE/CLI/pvesh.pm"

#define KEY(name, numbers, use, format, words, least, most, fields, live, source, since)                               \
	{                                                                                                              \
		NULL, name, numbers, use, format, words, least, most, fields, live, source, since                      \
	}
#define VM(name, format, live) KEY(name, 0, PVE_VM_KEY, format, NULL, 0, 0, NULL, live, SERVER, "8")
#define CT(name, format, live) KEY(name, 0, PVE_CT_KEY, format, NULL, 0, 0, NULL, live, LXC, "8")
#define ONLY(command, name, format, source)                                                                            \
	{                                                                                                              \
		command, name, 0, PVE_ONLY, format, NULL, 0, 0, NULL, false, source, "8"                               \
	}

const struct pve_option pve_options[] = {
	/* what a GPU asks of a VM */
	KEY("hostpci", 16, PVE_VM_KEY, PVE_PROPERTIES, NULL, 0, 0, hostpci, false, PCI, "8; driver: 9"),
	KEY("balloon", 0, PVE_VM_KEY, PVE_INTEGER, NULL, 0, INT64_MAX, NULL, false, SERVER, "8"),
	KEY("memory", 0, PVE_VM_KEY, PVE_PROPERTIES, NULL, 0, 0, memory, false, "qemu-server PVE/QemuServer/Memory.pm",
	        "8"),
	KEY("machine", 0, PVE_VM_KEY, PVE_PROPERTIES, NULL, 0, 0, machine, false,
	        "qemu-server PVE/QemuServer/Machine.pm", "8"),
	KEY("bios", 0, PVE_VM_KEY, PVE_ENUM, "seabios, ovmf", 0, 0, NULL, false, SERVER, "8"),
	KEY("efidisk", 1, PVE_VM_KEY, PVE_PROPERTIES, NULL, 0, 0, efidisk, false, DRIVE, "8"),
	KEY("cpu", 0, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, false, "qemu-server PVE/QemuServer/CPUConfig.pm", "8"),
	KEY("cores", 0, PVE_VM_KEY | PVE_CT_KEY, PVE_INTEGER, NULL, 1, 8192, NULL, false, SERVER "; " LXC, "8"),
	KEY("sockets", 0, PVE_VM_KEY, PVE_INTEGER, NULL, 1, INT64_MAX, NULL, false, SERVER, "8"),
	VM("affinity", PVE_TEXT, false),
	VM("numa", PVE_BOOLEAN, false),
	KEY("numa", 8, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, false, "qemu-server PVE/QemuServer/Memory.pm", "8"),
	KEY("hugepages", 0, PVE_VM_KEY, PVE_ENUM, "any, 2, 1024", 0, 0, NULL, false, SERVER, "8"),
	VM("keephugepages", PVE_BOOLEAN, false),
	KEY("vga", 0, PVE_VM_KEY, PVE_PROPERTIES, NULL, 0, 0, vga, false, SERVER, "8"),
	VM("args", PVE_TEXT, false),
	KEY("agent", 0, PVE_VM_KEY, PVE_PROPERTIES, NULL, 0, 0, agent, false, "qemu-server PVE/QemuServer/Agent.pm",
	        "8"),
	KEY("net", 32, PVE_VM_KEY | PVE_CT_KEY, PVE_TEXT, NULL, 0, 0, NULL, true, SERVER "; " LXC, "8"),
	KEY("scsi", 31, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, true, DRIVE, "8"),
	KEY("virtio", 16, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, true, DRIVE, "8"),
	KEY("sata", 6, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, false, DRIVE, "8"),
	KEY("ide", 4, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, false, DRIVE, "8"),
	KEY("unused", 256, PVE_VM_KEY | PVE_CT_KEY, PVE_TEXT, NULL, 0, 0, NULL, true, DRIVE "; " LXC, "8"),
	KEY("tpmstate", 1, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, false, DRIVE, "8"),
	KEY("scsihw", 0, PVE_VM_KEY, PVE_ENUM, "lsi, lsi53c810, virtio-scsi-pci, virtio-scsi-single, megasas, pvscsi",
	        0, 0, NULL, false, SERVER, "8"),
	KEY("serial", 4, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, false, SERVER, "8"),
	KEY("parallel", 3, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, false, SERVER, "8"),
	KEY("usb", 14, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, true, "qemu-server PVE/QemuServer/USB.pm", "8"),
	KEY("virtiofs", 10, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, false, "qemu-server PVE/QemuServer/Virtiofs.pm",
	        "8.4"),
	KEY("ipconfig", 32, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, true, CLOUD, "8"),
	KEY("ciuser", 0, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, true, CLOUD, "8"),
	KEY("cipassword", 0, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, true, CLOUD, "8"),
	KEY("sshkeys", 0, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, true, CLOUD, "8"),
	KEY("citype", 0, PVE_VM_KEY, PVE_ENUM, "configdrive2, nocloud, opennebula", 0, 0, NULL, true, CLOUD, "8"),
	KEY("cicustom", 0, PVE_VM_KEY, PVE_TEXT, NULL, 0, 0, NULL, true, CLOUD, "8"),
	KEY("ciupgrade", 0, PVE_VM_KEY, PVE_BOOLEAN, NULL, 0, 0, NULL, true, CLOUD, "8"),
	KEY("ostype", 0, PVE_VM_KEY, PVE_ENUM,
	        "other, wxp, w2k, w2k3, w2k8, wvista, win7, win8, win10, win11, l24, l26, solaris", 0, 0, NULL, false,
	        SERVER, "8"),
	VM("boot", PVE_TEXT, true),
	VM("name", PVE_TEXT, true),
	VM("description", PVE_TEXT, true),
	VM("onboot", PVE_BOOLEAN, true),
	VM("startup", PVE_TEXT, true),
	VM("tags", PVE_TEXT, true),
	VM("protection", PVE_BOOLEAN, true),
	VM("hookscript", PVE_TEXT, true),
	VM("lock", PVE_TEXT, true),
	VM("shares", PVE_INTEGER, true),
	VM("cpulimit", PVE_NUMBER, true),
	VM("cpuunits", PVE_INTEGER, true),
	VM("vcpus", PVE_INTEGER, false),
	VM("acpi", PVE_BOOLEAN, false),
	VM("kvm", PVE_BOOLEAN, false),
	VM("tablet", PVE_BOOLEAN, false),
	VM("localtime", PVE_BOOLEAN, false),
	VM("freeze", PVE_BOOLEAN, false),
	VM("autostart", PVE_BOOLEAN, true),
	VM("template", PVE_BOOLEAN, true),
	VM("reboot", PVE_BOOLEAN, false),
	VM("tdf", PVE_BOOLEAN, false),
	VM("hotplug", PVE_TEXT, false),
	VM("arch", PVE_TEXT, false),
	VM("audio0", PVE_TEXT, false),
	VM("rng0", PVE_TEXT, false),
	VM("ivshmem", PVE_TEXT, false),
	VM("smbios1", PVE_TEXT, false),
	VM("vmgenid", PVE_TEXT, false),
	VM("watchdog", PVE_TEXT, false),
	VM("bootdisk", PVE_TEXT, false),
	VM("cdrom", PVE_TEXT, false),
	VM("keyboard", PVE_TEXT, false),
	VM("nameserver", PVE_TEXT, true),
	VM("searchdomain", PVE_TEXT, true),
	VM("startdate", PVE_TEXT, false),
	VM("smp", PVE_INTEGER, false),
	VM("spice_enhancements", PVE_TEXT, false),
	VM("vmstatestorage", PVE_TEXT, true),
	VM("migrate_downtime", PVE_NUMBER, true),
	VM("migrate_speed", PVE_INTEGER, true),
	VM("amd-sev", PVE_TEXT, false),
	VM("intel-tdx", PVE_TEXT, false),
	VM("allow-ksm", PVE_BOOLEAN, false),
	KEY("meta", 0, PVE_VM_KEY | PVE_KEPT, PVE_TEXT, NULL, 0, 0, NULL, true, SERVER, "8"),
	KEY("parent", 0, PVE_VM_KEY | PVE_CT_KEY | PVE_KEPT, PVE_TEXT, NULL, 0, 0, NULL, true, SERVER "; " LXC, "8"),
	KEY("snaptime", 0, PVE_VM_KEY | PVE_CT_KEY | PVE_KEPT, PVE_INTEGER, NULL, 0, 0, NULL, true, SERVER "; " LXC,
	        "8"),
	KEY("vmstate", 0, PVE_VM_KEY | PVE_KEPT, PVE_TEXT, NULL, 0, 0, NULL, true, SERVER, "8"),
	KEY("runningmachine", 0, PVE_VM_KEY | PVE_KEPT, PVE_TEXT, NULL, 0, 0, NULL, true, SERVER, "8"),
	KEY("runningcpu", 0, PVE_VM_KEY | PVE_KEPT, PVE_TEXT, NULL, 0, 0, NULL, true, SERVER, "8"),
	KEY("running-nets-host-mtu", 0, PVE_VM_KEY | PVE_KEPT, PVE_TEXT, NULL, 0, 0, NULL, true, SERVER, "9"),

	/* of a CT */
	KEY("dev", 256, PVE_CT_KEY, PVE_PROPERTIES, NULL, 0, 0, ct_device, false, LXC, "8.1; deny-write: 8.2"),
	KEY("features", 0, PVE_CT_KEY, PVE_PROPERTIES, NULL, 0, 0, features, false, LXC, "8"),
	KEY("unprivileged", 0, PVE_CT_KEY, PVE_BOOLEAN, NULL, 0, 0, NULL, false, LXC, "8"),
	KEY("mp", 256, PVE_CT_KEY, PVE_TEXT, NULL, 0, 0, NULL, true, LXC, "8"),
	KEY("memory", 0, PVE_CT_KEY, PVE_INTEGER, NULL, 16, INT64_MAX, NULL, true, LXC, "8"),
	KEY("swap", 0, PVE_CT_KEY, PVE_INTEGER, NULL, 0, INT64_MAX, NULL, true, LXC, "8"),
	KEY("cmode", 0, PVE_CT_KEY, PVE_ENUM, "shell, console, tty", 0, 0, NULL, false, LXC, "8"),
	CT("rootfs", PVE_TEXT, false),
	CT("hostname", PVE_TEXT, true),
	CT("description", PVE_TEXT, true),
	CT("onboot", PVE_BOOLEAN, true),
	CT("startup", PVE_TEXT, true),
	CT("tags", PVE_TEXT, true),
	CT("protection", PVE_BOOLEAN, true),
	CT("hookscript", PVE_TEXT, true),
	CT("lock", PVE_TEXT, true),
	CT("template", PVE_BOOLEAN, true),
	CT("arch", PVE_TEXT, false),
	CT("ostype", PVE_TEXT, false),
	CT("cpulimit", PVE_NUMBER, true),
	CT("cpuunits", PVE_INTEGER, true),
	CT("console", PVE_BOOLEAN, false),
	CT("tty", PVE_INTEGER, false),
	CT("nameserver", PVE_TEXT, true),
	CT("searchdomain", PVE_TEXT, true),
	CT("timezone", PVE_TEXT, false),
	CT("debug", PVE_BOOLEAN, false),
	CT("env", PVE_TEXT, false),
	CT("entrypoint", PVE_TEXT, false),

	/* of one command */
	ONLY("qm set", "delete", PVE_KEYS, API),
	ONLY("qm set", "revert", PVE_KEYS, API),
	ONLY("qm set", "digest", PVE_TEXT, API),
	ONLY("qm set", "force", PVE_BOOLEAN, API),
	ONLY("qm set", "skiplock", PVE_BOOLEAN, API),
	ONLY("qm create", "start", PVE_BOOLEAN, API),
	ONLY("qm create", "storage", PVE_TEXT, API),
	ONLY("qm create", "pool", PVE_TEXT, API),
	ONLY("qm config", "current", PVE_BOOLEAN, API),
	ONLY("qm config", "snapshot", PVE_NAME, API),
	ONLY("qm list", "full", PVE_BOOLEAN, QM),
	ONLY("qm status", "verbose", PVE_BOOLEAN, QM),
	ONLY("qm start", "timeout", PVE_INTEGER, API),
	ONLY("qm start", "skiplock", PVE_BOOLEAN, API),
	ONLY("qm shutdown", "timeout", PVE_INTEGER, API),
	ONLY("qm shutdown", "forceStop", PVE_BOOLEAN, API),
	ONLY("qm shutdown", "keepActive", PVE_BOOLEAN, API),
	ONLY("qm shutdown", "skiplock", PVE_BOOLEAN, API),
	ONLY("qm stop", "timeout", PVE_INTEGER, API),
	ONLY("qm stop", "skiplock", PVE_BOOLEAN, API),
	ONLY("qm stop", "overrule-shutdown", PVE_BOOLEAN, API),
	ONLY("qm showcmd", "pretty", PVE_BOOLEAN, QM),
	ONLY("qm showcmd", "snapshot", PVE_NAME, QM),
	ONLY("qm snapshot", "description", PVE_TEXT, API),
	ONLY("qm snapshot", "vmstate", PVE_BOOLEAN, API),
	ONLY("qm delsnapshot", "force", PVE_BOOLEAN, API),
	ONLY("qm rollback", "start", PVE_BOOLEAN, API),
	ONLY("qm guest exec", "timeout", PVE_INTEGER, QM),
	ONLY("qm guest exec", "synchronous", PVE_BOOLEAN, QM),
	ONLY("qm guest exec", "pass-stdin", PVE_BOOLEAN, QM),
	ONLY("qm importdisk", "format", PVE_TEXT, QM),
	ONLY("qm importdisk", "target-disk", PVE_TEXT, QM),
	ONLY("qm disk import", "format", PVE_TEXT, QM),
	ONLY("qm disk import", "target-disk", PVE_TEXT, QM),
	ONLY("qm disk resize", "digest", PVE_TEXT, API),
	ONLY("qm disk resize", "skiplock", PVE_BOOLEAN, API),
	ONLY("qm template", "disk", PVE_TEXT, API),
	ONLY("qm destroy", "purge", PVE_BOOLEAN, API),
	ONLY("qm destroy", "destroy-unreferenced-disks", PVE_BOOLEAN, API),
	ONLY("qm destroy", "skiplock", PVE_BOOLEAN, API),
	ONLY("qm suspend", "todisk", PVE_BOOLEAN, API),
	ONLY("pct set", "delete", PVE_KEYS, CTCONF),
	ONLY("pct set", "revert", PVE_KEYS, CTCONF),
	ONLY("pct set", "digest", PVE_TEXT, CTCONF),
	ONLY("pct create", "storage", PVE_TEXT, CTAPI),
	ONLY("pct create", "password", PVE_TEXT, CTAPI),
	ONLY("pct create", "start", PVE_BOOLEAN, CTAPI),
	ONLY("pct create", "ssh-public-keys", PVE_TEXT, CTAPI),
	ONLY("pct config", "current", PVE_BOOLEAN, CTCONF),
	ONLY("pct config", "snapshot", PVE_NAME, CTCONF),
	ONLY("pct status", "verbose", PVE_BOOLEAN, PCT),
	ONLY("pct start", "debug", PVE_BOOLEAN, "pve-container PVE/API2/LXC/Status.pm"),
	ONLY("pct start", "skiplock", PVE_BOOLEAN, "pve-container PVE/API2/LXC/Status.pm"),
	ONLY("pct shutdown", "timeout", PVE_INTEGER, "pve-container PVE/API2/LXC/Status.pm"),
	ONLY("pct shutdown", "forceStop", PVE_BOOLEAN, "pve-container PVE/API2/LXC/Status.pm"),
	ONLY("pct snapshot", "description", PVE_TEXT, "pve-container PVE/API2/LXC/Snapshot.pm"),
	ONLY("pct delsnapshot", "force", PVE_BOOLEAN, "pve-container PVE/API2/LXC/Snapshot.pm"),
	ONLY("pct rollback", "start", PVE_BOOLEAN, "pve-container PVE/API2/LXC/Snapshot.pm"),
	ONLY("pct destroy", "purge", PVE_BOOLEAN, CTAPI),
	ONLY("pvesh", "output-format", PVE_TEXT, PVESH),
	ONLY("pvesh", "noborder", PVE_BOOLEAN, PVESH),
	ONLY("pvesh", "pci-class-blacklist", PVE_TEXT, "pve-manager PVE/API2/Hardware/PCI.pm"),
	ONLY("pvesh", "verbose", PVE_BOOLEAN, "pve-manager PVE/API2/Hardware/PCI.pm"),
	ONLY("pvesh", "check-node", PVE_TEXT, MAP),
	ONLY("pvesh", "id", PVE_TEXT, MAP),
	ONLY("pvesh", "map", PVE_TEXT, MAP),
	ONLY("pvesh", "description", PVE_TEXT, MAP),
	ONLY("pvesh", "mdev", PVE_BOOLEAN, MAP),
	ONLY("pvesh", "delete", PVE_TEXT, MAP),
	ONLY("pvesh", "digest", PVE_TEXT, MAP),
	ONLY("pvesh", "current", PVE_BOOLEAN, API),
	ONLY("pvesh", "type", PVE_TEXT, "pve-manager PVE/API2/Cluster.pm"),
	ONLY("pvesh", "vmid", PVE_INTEGER, "pve-manager PVE/API2/Cluster.pm"),
	{ 0 },
};

/* ---- finding ---- */

static bool named(const struct pve_option *option, const char *name)
{
	size_t size = strlen(option->name);
	uint64_t number;
	if (!option->numbers)
		return strcmp(option->name, name) == 0;
	return strncmp(option->name, name, size) == 0 && text_number(name + size, 10, option->numbers - 1, &number) &&
	       (name[size] != '0' || !name[size + 1]);
}

const struct pve_option *pve_option_key(const char *name, unsigned use)
{
	for (const struct pve_option *option = pve_options; option->name; option++)
		if (!option->command && (option->use & use) && named(option, name))
			return option;
	return NULL;
}

const struct pve_option *pve_option_of(const char *command, const char *name)
{
	static const struct {
		const char *command;
		unsigned use;
	} keys[] = { { "qm set", PVE_VM_KEY }, { "qm create", PVE_VM_KEY }, { "pct set", PVE_CT_KEY },
		{ "pct create", PVE_CT_KEY } };
	for (const struct pve_option *option = pve_options; option->name; option++)
		if (option->command && strcmp(option->command, command) == 0 && strcmp(option->name, name) == 0)
			return option;
	for (size_t i = 0; i < COUNT(keys); i++)
		if (strcmp(keys[i].command, command) == 0) {
			const struct pve_option *option = pve_option_key(name, keys[i].use);
			return option && !(option->use & PVE_KEPT) ? option : NULL;
		}
	return NULL;
}

/* ---- checking ---- */

static const char *check_word(const char *words, const char *value, struct arena *arena)
{
	struct words all = text_split(arena, words, ", ");
	for (size_t i = 0; i < all.n; i++)
		if (strcmp(all.word[i], value) == 0)
			return NULL;
	return arena_printf(arena, "value '%s' does not have a value in the enumeration '%s'", value, words);
}

static bool whole_number(const char *value, int64_t *ret)
{
	char *end;
	long long number = strtoll(value, &end, 10);
	if (!*value || *end || strchr(" \t\n+", *value))
		return false;
	*ret = number;
	return true;
}

static const char *check_plain(enum pve_format format, const char *words, const char *value, struct arena *arena)
{
	int64_t number;
	char *end;
	switch (format) {
	case PVE_BOOLEAN:
		return pve_boolean(value) == UNKNOWN
		               ? arena_printf(arena, "type check ('boolean') failed - got '%s'", value)
		               : NULL;
	case PVE_INTEGER:
		return whole_number(value, &number)
		               ? NULL
		               : arena_printf(arena, "type check ('integer') failed - got '%s'", value);
	case PVE_NUMBER:
		return (void)strtod(value, &end),
		       !*value || *end ? arena_printf(arena, "type check ('number') failed - got '%s'", value) : NULL;
	case PVE_ENUM:
		return check_word(words, value, arena);
	case PVE_NAME:
		return is_config_id(value)
		               ? NULL
		               : arena_printf(arena, "invalid format - invalid configuration ID '%s'\n", value);
	default:
		return NULL;
	}
}

static const struct pve_field *field_of(const struct pve_field *fields, const char *name, int version)
{
	for (; fields->name; fields++)
		if (strcmp(fields->name, name) == 0 && (!fields->since || version >= fields->since))
			return fields;
	return NULL;
}

static const char *check_field(
        const struct pve_field *fields, const struct pve_property *property, int version, struct arena *arena)
{
	const struct pve_field *field = field_of(fields, property->key, version);
	if (!field)
		return "property is not defined in schema and the schema does not allow additional properties";
	const char *wrong = check_plain(field->format, field->words, property->value, arena);
	if (wrong || !field->valid || field->valid(property->value))
		return wrong;
	/* a format's own message brings an end of line of its own */
	return field->wrong ? arena_printf(arena, "invalid format - %s %s\n", property->value, field->wrong)
	                    : "value does not match the regex pattern";
}

static const char *check_properties(
        const struct pve_option *option, const char *name, const char *value, int version, struct arena *arena)
{
	const char *first = NULL, *all = "";
	for (const struct pve_field *field = option->fields; field->name; field++)
		first = field->first ? field->name : first;
	struct pve_properties properties = pve_parse_properties(value, first, arena);
	for (size_t i = 0; i < properties.n; i++) {
		const char *wrong = check_field(option->fields, &properties.property[i], version, arena);
		if (wrong)
			all = arena_printf(arena, "%s%s.%s: %s\n", all, name, properties.property[i].key, wrong);
	}
	if (*all)
		return arena_printf(arena, "invalid format - format error\n%s", all);
	if (properties.invalid)
		return "invalid format - duplicate or missing key in comma-separated list property\n";
	return NULL;
}

const char *pve_option_check(
        const struct pve_option *option, const char *name, const char *value, int version, struct arena *arena)
{
	int64_t number = 0;
	assert(option);
	if (option->format == PVE_PROPERTIES)
		return check_properties(option, name, value, version, arena);
	const char *wrong = check_plain(option->format, option->words, value, arena);
	if (wrong || option->format != PVE_INTEGER || !option->most)
		return wrong;
	whole_number(value, &number);
	if (number < option->least)
		return arena_printf(arena, "value must have a minimum value of %lld", (long long)option->least);
	if (number > option->most)
		return arena_printf(arena, "value must have a maximum value of %lld", (long long)option->most);
	return NULL;
}

const char *pve_option_parse(
        const struct pve_option *option, const char *name, const char *value, int version, struct arena *arena)
{
	if (!option)
		return arena_printf(arena, "unknown setting '%s'", name);
	if (option->format == PVE_PROPERTIES)
		return check_properties(option, name, value, version, arena);
	if (option->format == PVE_INTEGER && value[strspn(value, "0123456789")])
		return arena_printf(arena, "type check ('integer') failed - got '%s'", value);
	return option->format == PVE_ENUM ? NULL : check_plain(option->format, NULL, value, arena);
}

/* ---- for docs/proxmox.md ---- */

static const char *where_typed(const struct pve_option *option)
{
	if (option->command)
		return option->command;
	if (option->use & PVE_KEPT)
		return "(kept in the file)";
	if ((option->use & PVE_VM_KEY) && (option->use & PVE_CT_KEY))
		return "qm set, qm create, pct set, pct create";
	return option->use & PVE_VM_KEY ? "qm set, qm create" : "pct set, pct create";
}

const char *pve_options_table(struct arena *arena)
{
	const char *text = "| Command | Option | Takes | Source | Since PVE |\n|---|---|---|---|---|\n";
	static const char *const takes[] = { "text", "0 or 1", "whole number", "number", "", "name", "", "keys" };
	for (const struct pve_option *option = pve_options; option->name; option++) {
		const char *form = takes[option->format];
		if (option->format == PVE_ENUM)
			form = option->words;
		for (const struct pve_field *field = option->fields; field && field->name; field++)
			form = arena_printf(arena, "%s%s%s", form, *form ? ", " : "", field->name);
		text = arena_printf(arena, "%s| %s | `--%s%s` | %s | %s | %s |\n", text, where_typed(option),
		        option->name, option->numbers ? "N" : "", form, option->source, option->since);
	}
	return text;
}
