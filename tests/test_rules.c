/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every rule: a machine on which it holds, and one that breaks it; and what must be true of all of them together.
 */
#include "rules/rules.h"
#include "test.h"

/* ---- a node that works, as facts --------------------------------------- */

struct lab {
	struct arena arena;
	struct facts facts;
	struct goal goal;
	struct pci_device devices[8];
	struct gpu gpus[2];
	const struct pci_device *functions[2][2];
	const struct pci_device *others[2];
	struct guest guests[2];
	const char *config;
	struct inside insides[2];
	struct docker_container container;
	struct holder holders[1];
	struct drm_node nodes[8], inside_nodes[4];
	struct pci_device inside_device;
	struct need needs[2];
	struct storage storages[2];
	struct mapping mapping;
	struct mapping_entry entries[2];
	struct kernel kernel;
	struct initramfs image, esp_image;
	const struct initramfs *images[2];
	struct esp esp;
	struct boot_folder folders[3];
};

static struct words words_of(struct lab *lab, const char *text)
{
	return text_split(&lab->arena, text, " ");
}

static const char *text_with(struct lab *lab, const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);
	if (!at)
		fail_msg("\"%s\" is not in the configuration", old);
	return arena_printf(&lab->arena, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
}

static void guest_parse(struct lab *lab, struct guest *guest, const char *config)
{
	struct guest keep = *guest;
	memset(guest, 0, sizeof *guest);
	pve_parse_guest(bytes_of(config), keep.kind, &lab->arena, guest);
	guest->kind = keep.kind;
	guest->id = keep.id;
	guest->status = keep.status;
	guest->file = keep.file;
	guest->known = YES;
	guest->ha = keep.ha;
	guest->node = "pve";
}

/* The same configuration with one piece changed. */
static void config_with(struct lab *lab, const char *old, const char *new)
{
	lab->config = text_with(lab, lab->config, old, new);
	guest_parse(lab, &lab->guests[0], lab->config);
}

static void modprobe_with(struct lab *lab, const char *text)
{
	modprobe_parse(bytes_of(text), "/etc/modprobe.d/vfio.conf", &lab->arena, &lab->facts.boot.modprobe);
	modprobe_parse(bytes_of(text), "etc/modprobe.d/vfio.conf", &lab->arena, &lab->image.modprobe);
	modprobe_parse(bytes_of(text), "etc/modprobe.d/vfio.conf", &lab->arena, &lab->esp_image.modprobe);
}

static void cmdline_with(struct lab *lab, const char *words)
{
	lab->facts.boot.cmdline = lab->facts.boot.cmdline_next = lab->facts.boot.cmdline_generated = arena_printf(
	        &lab->arena, "BOOT_IMAGE=/boot/vmlinuz-6.8.12-4-pve root=/dev/mapper/pve-root ro quiet %s", words);
}

static void device_set(struct lab *lab, unsigned i, const char *address, int64_t vendor, int64_t device,
        int64_t class_code, const char *driver, const char *group)
{
	struct pci_device *pci = &lab->devices[i];
	pci->address = address;
	pci_parse_address(address, &pci->domain, &pci->bus, &pci->slot, &pci->function);
	pci->vendor = vendor;
	pci->device = device;
	pci->subsystem_vendor = 0x1043;
	pci->subsystem_device = 0x88f5;
	pci->class_code = class_code;
	pci->bridge = tri_of(class_code >> 16 == 6);
	pci->driver = driver;
	pci->iommu_group = group;
	pci->boot_vga = NO;
	pci->reset_methods = "flr bus";
	pci->power_state = "D0";
	pci->bars_known = YES;
	pci->bar[0].start = 0x4000000000;
	pci->bar[0].end = 0x41ffffffff;
}

static void gpu_set(struct lab *lab, unsigned i, unsigned device, unsigned n_functions, const char *vendor)
{
	struct gpu *gpu = &lab->gpus[i];
	gpu->pci = &lab->devices[device];
	gpu->vendor = vendor;
	for (unsigned f = 0; f < n_functions; f++)
		lab->functions[i][f] = &lab->devices[device + f];
	gpu->functions = lab->functions[i];
	gpu->n_functions = n_functions;
	gpu->group_state = GROUP_ISOLATED;
	gpu->render_known = YES;
	gpu->boot_display = NO;
	gpu->framebuffer_console = NO;
	gpu->bar_owners_known = YES;
	gpu->hot_release = YES;
	gpu->model = gpu_model(gpu->pci->vendor, gpu->pci->device, gpu->pci->class_code);
}

static void boot_set(struct lab *lab)
{
	struct boot *boot = &lab->facts.boot;
	boot->kernel = boot->kernel_next = "6.8.12-4-pve";
	boot->kernel_pinned = "";
	boot->loader = LOADER_GRUB;
	boot->loader_why = "";
	boot->efi = YES;
	boot->secure_boot = NO;
	boot->proxmox_boot_tool = YES;
	boot->cmdline_file = "/etc/default/grub";
	boot->other_file = boot->other_cmdline = "";
	boot->kernels_known = YES;
	boot->modprobe.known = boot->initramfs_modules.known = YES;
	cmdline_with(lab, "iommu=pt");
	lab->image = (struct initramfs){
		.path = "/boot/initrd.img-6.8.12-4-pve", .place = "/boot", .kernel = boot->kernel, .known = YES
	};
	lab->esp_image = (struct initramfs){ .path = "/boot/efi/initrd.img-6.8.12-4-pve",
		.place = "ESP 1234-ABCD",
		.kernel = boot->kernel,
		.known = YES };
	lab->images[0] = &lab->image;
	lab->images[1] = &lab->esp_image;
	lab->kernel = (struct kernel){ .version = boot->kernel,
		.headers = YES,
		.initramfs = lab->images,
		.n_initramfs = 2,
		.builtin_known = YES,
		.aliases = bytes_of("alias pci:v000010DEd*sv*sd*bc03sc*i* nouveau\n"
		                    "alias pci:v00008086d00004680sv*sd*bc03sc*i* i915\n"
		                    "alias pci:v*d*sv*sd*bc04sc03i00* snd_hda_intel\n") };
	boot->kernels = &lab->kernel;
	boot->n_kernels = 1;
	lab->esp = (struct esp){ .uuid = "1234-ABCD", .mode = "grub", .mounted = YES, .mountpoint = "/boot/efi" };
	boot->esps = &lab->esp;
	boot->n_esps = 1;
}

static void pve_set(struct lab *lab)
{
	struct pve *pve = &lab->facts.pve;
	*pve = (struct pve){ .here = YES,
		.readable = YES,
		.version = "8.4.1",
		.node = "pve",
		.quorate = YES,
		.guests = lab->guests,
		.n_guests = 1,
		.guests_known = YES,
		.mappings_known = YES,
		.storages = lab->storages,
		.n_storages = 2,
		.storages_known = YES,
		.packages = { 0 } };
	static const char *packages[] = { "pve-manager 8.4.1", "qemu-server 8.4.10", "pve-container 5.3.5" };
	pve->packages = (struct words){ packages, COUNT(packages) };
	lab->storages[0] = (struct storage){ .id = "local-lvm", .type = "lvmthin", .snapshots = YES };
	lab->storages[1] = (struct storage){ .id = "local", .type = "dir", .snapshots = NO };
	lab->entries[0] = (struct mapping_entry){
		.node = "pve", .path = "0000:01:00", .id = "10de:2803", .subsystem = "1043:88f5", .iommu_group = "12"
	};
	lab->entries[1] = (struct mapping_entry){
		.node = "other", .path = "0000:02:00", .id = "10de:2803", .subsystem = "", .iommu_group = ""
	};
	lab->mapping = (struct mapping){ .id = "gpu0", .entries = lab->entries, .n = 2 };
	pve->mappings = &lab->mapping;
	pve->n_mappings = 1;
}

static void node_set(struct lab *lab)
{
	memset(lab, 0, sizeof *lab);
	goal_init(&lab->goal);
	struct facts *facts = &lab->facts;
	facts->host = (struct host){ .name = "pve",
		.memory_kib = 65536 * 1024,
		.modules_known = YES,
		.console = "tty0",
		.serial_console = NO,
		.pve_version = "8.4.1" };
	facts->host.cpu = (struct cpu){ .vendor = "GenuineIntel",
		.model = "13th Gen Intel(R) Core(TM) i5-13500",
		.f_suffix = NO,
		.virtualisation = YES,
		.physical_bits = 46,
		.virtual_bits = 48,
		.hypervisor = NO };
	boot_set(lab);
	pve_set(lab);
	device_set(lab, 0, "0000:01:00.0", 0x10de, 0x2803, 0x030000, "vfio-pci", "12");
	device_set(lab, 1, "0000:01:00.1", 0x10de, 0x22bd, 0x040300, "vfio-pci", "12");
	device_set(lab, 2, "0000:00:02.0", 0x8086, 0x4680, 0x030000, "i915", "0");
	device_set(lab, 3, "0000:05:00.0", 0x8086, 0x15f3, 0x020000, "igc", "14");
	device_set(lab, 4, "0000:06:00.0", 0x144d, 0xa80a, 0x010802, "nvme", "15");
	facts->pci = (struct pci){ .devices = lab->devices,
		.n = 5,
		.known = YES,
		.iommu = YES,
		.groups_known = YES,
		.remapping = YES,
		.firmware_dmar = YES,
		.firmware_ivrs = NO,
		.iommu_address_bits = 46 };
	facts->pci.iommu_units = words_of(lab, "dmar0");
	gpu_set(lab, 0, 0, 2, "nvidia");
	gpu_set(lab, 1, 2, 1, "intel");
	facts->gpus = lab->gpus;
	facts->n_gpus = 2;
	facts->gpus_known = YES;
	lab->needs[0] = (struct need){ NEED_MANAGEMENT_NIC, "0000:05:00.0", "vmbr0 over enp5s0" };
	lab->needs[1] = (struct need){ NEED_ROOT_DISK, "0000:06:00.0", "the root file system on nvme0n1" };
	facts->needs = lab->needs;
	facts->n_needs = 2;
	facts->root_disk_known = facts->management_known = facts->console_known = YES;
	lab->nodes[0] = (struct drm_node){ "renderD128", "/dev/dri/renderD128", "0000:00:02.0", "i915", YES, 0660, 0,
		104, "render", 226, 128 };
	lab->holders[0] = (struct holder){ HOLDER_VM, 1810, "vm/100", "/dev/vfio/12", "0000:01:00.0" };
	facts->drm = (struct drm){ .nodes = lab->nodes,
		.n = 1,
		.known = YES,
		.holders = lab->holders,
		.n_holders = 1,
		.holders_known = YES,
		.framebuffers_known = YES,
		.fbcon = NO,
		.persistence_daemon = NO,
		.iomem_known = YES,
		.nvidia_module_version = "",
		.nvidia_open = UNKNOWN };
	lab->gpus[1].render = &lab->nodes[0];
}

static const char vm_config[] = "agent: 1\nballoon: 0\nbios: ovmf\nboot: order=scsi0\ncores: 4\ncpu: host\n"
                                "efidisk0: local-lvm:vm-100-disk-1,efitype=4m,pre-enrolled-keys=0,size=4M\n"
                                "hostpci0: mapping=gpu0\nmachine: q35\nmemory: 8192\nname: emby\nonboot: 1\n"
                                "scsi0: local-lvm:vm-100-disk-0,size=64G\n";

static void inside_set(struct lab *lab, const char *label)
{
	struct inside *inside = &lab->insides[0];
	*inside = (struct inside){ .label = label,
		.reached = YES,
		.os_id = "ubuntu",
		.os_name = "Ubuntu 22.04",
		.kernel = "6.8.0-90-generic",
		.cloud_kernel = NO,
		.secure_boot = NO,
		.modules_known = YES,
		.dmesg_known = YES,
		.groups_known = YES,
		.docker = YES,
		.docker_known = YES,
		.docker_version = "28.5.1",
		.docker_runtimes = "nvidia runc",
		.docker_cgroup_driver = "cgroupfs",
		.docker_snap = "",
		.toolkit = YES,
		.toolkit_version = "1.18.0",
		.cdi = NO,
		.no_cgroups = NO,
		.dev_char = NO };
	inside->groups = words_of(lab, "root:0 video:44 ssl-cert:104 render:110");
	inside->pci.known = inside->drm.known = YES;
	inside->drm.nodes = lab->inside_nodes;
	lab->container = (struct docker_container){ .name = "emby",
		.image = "emby/embyserver:latest",
		.id = "abc",
		.runtime = "runc",
		.status = "running",
		.gpu_request = "gpu video",
		.privileged = NO,
		.visible_devices = "",
		.driver_capabilities = "" };
	inside->containers = &lab->container;
	inside->n_containers = 1;
	lab->facts.insides = lab->insides;
	lab->facts.n_insides = 1;
}

static void nvidia_inside(struct lab *lab)
{
	struct inside *inside = &lab->insides[0];
	inside->nvidia_module = inside->nvidia_userspace = inside->nvidia_smi_driver = "580.95.05";
	inside->nvidia_open = YES;
	inside->nvidia_libraries_known = YES;
	inside->nvidia_libraries = words_of(lab, "libcuda.so.1 libnvidia-encode.so.1 libnvcuvid.so.1");
	inside->nvidia_smi = "";
	lab->inside_nodes[0] =
	        (struct drm_node){ "nvidiactl", "/dev/nvidiactl", "", "", YES, 0666, 0, 0, "root", 195, 255 };
	lab->inside_nodes[1] =
	        (struct drm_node){ "nvidia-uvm", "/dev/nvidia-uvm", "", "", YES, 0666, 0, 0, "root", 511, 0 };
	inside->drm.n = 2;
}

static void seen_inside(struct lab *lab, const struct pci_device *device, const char *driver)
{
	lab->inside_device = *device;
	lab->inside_device.address = "0000:06:10.0";
	lab->inside_device.driver = driver;
	lab->insides[0].pci.devices = &lab->inside_device;
	lab->insides[0].pci.n = 1;
}

/* An RTX 4060 Ti in VM 100, running. */
static void vm(struct lab *lab)
{
	node_set(lab);
	lab->guests[0] = (struct guest){
		.kind = GUEST_VM, .id = 100, .status = "running", .file = "/etc/pve/qemu-server/100.conf", .ha = NO
	};
	lab->config = vm_config;
	guest_parse(lab, &lab->guests[0], vm_config);
	inside_set(lab, "vm/100");
	nvidia_inside(lab);
	seen_inside(lab, &lab->devices[0], "nvidia");
}

static void vm_gpu_is(struct lab *lab, int64_t vendor_id, int64_t device, const char *vendor)
{
	lab->devices[0].vendor = vendor_id;
	lab->devices[0].device = device;
	gpu_set(lab, 0, 0, 2, vendor);
	lab->entries[0].id = arena_printf(&lab->arena, "%04x:%04x", (unsigned)vendor_id, (unsigned)device);
	seen_inside(lab, &lab->devices[0],
	        !strcmp(vendor, "nvidia")  ? "nvidia"
	        : !strcmp(vendor, "intel") ? "i915"
	                                   : "amdgpu");
}

static void render_inside_is(struct lab *lab, const char *pci)
{
	lab->inside_nodes[0] = (struct drm_node){ "renderD128", "/dev/dri/renderD128", pci, "i915", YES, 0660, 0, 110,
		"render", 226, 128 };
	lab->insides[0].drm.n = 1;
}

static void intel_inside(struct lab *lab)
{
	struct inside *inside = &lab->insides[0];
	inside->docker = NO;
	inside->nvidia_module = inside->nvidia_userspace = "";
	inside->vainfo.driver = "Intel iHD driver";
	inside->vainfo.error = "";
	inside->vainfo.pairs =
	        words_of(lab, "VAProfileH264High/VAEntrypointVLD VAProfileH264High/VAEntrypointEncSliceLP");
	static const char *packages[] = { "intel-media-va-driver-non-free 23.1.1", "libmfx-gen1.2 22.6.4" };
	inside->packages = (struct words){ packages, COUNT(packages) };
}

/* An Arc A380 in VM 100. */
static void vm_arc(struct lab *lab)
{
	vm(lab);
	vm_gpu_is(lab, 0x8086, 0x56a5, "intel");
	intel_inside(lab);
	render_inside_is(lab, "0000:06:10.0");
}

static const char ct_config[] =
        "arch: amd64\ncores: 4\ndev0: /dev/dri/renderD128,gid=110\nfeatures: nesting=1\nhostname: jellyfin\n"
        "memory: 4096\nonboot: 1\nostype: debian\nrootfs: local-lvm:vm-105-disk-0,size=16G\nunprivileged: 1\n";

/* UHD 770 shared with CT 105, running. */
static void ct(struct lab *lab)
{
	node_set(lab);
	lab->guests[0] = (struct guest){
		.kind = GUEST_CT, .id = 105, .status = "running", .file = "/etc/pve/lxc/105.conf", .ha = NO
	};
	lab->config = ct_config;
	guest_parse(lab, &lab->guests[0], ct_config);
	inside_set(lab, "ct/105");
	intel_inside(lab);
	render_inside_is(lab, "0000:00:02.0");
}

/* The NVIDIA card shared with CT 105. */
static void ct_nvidia(struct lab *lab)
{
	ct(lab);
	config_with(lab, "dev0: /dev/dri/renderD128,gid=110\n",
	        "dev0: /dev/nvidia0,gid=44\ndev1: /dev/nvidiactl,gid=44\ndev2: /dev/nvidia-uvm,gid=44\n");
	lab->devices[0].driver = "nvidia";
	lab->devices[1].driver = "snd_hda_intel";
	lab->nodes[1] = (struct drm_node){ "nvidia0", "/dev/nvidia0", "0000:01:00.0", "nvidia", YES, 0666, 0, 0, "root",
		195, 0 };
	lab->nodes[2] = (struct drm_node){ "nvidiactl", "/dev/nvidiactl", "", "", YES, 0666, 0, 0, "root", 195, 255 };
	lab->nodes[3] = (struct drm_node){ "nvidia-uvm", "/dev/nvidia-uvm", "", "", YES, 0666, 0, 0, "root", 511, 0 };
	lab->nodes[4] = (struct drm_node){ "renderD129", "/dev/dri/renderD129", "0000:01:00.0", "nvidia", YES, 0660, 0,
		104, "render", 226, 129 };
	lab->facts.drm.n = 5;
	lab->gpus[0].render = &lab->nodes[4];
	lab->facts.drm.nvidia_module_version = "580.95.05";
	lab->facts.drm.nvidia_open = YES;
	lab->facts.host.modules = words_of(lab, "nvidia nvidia_uvm");
	lab->folders[0] = (struct boot_folder){ "/etc/udev/rules.d", YES, words_of(lab, "70-nvidia.rules") };
	lab->folders[1] = (struct boot_folder){ "/etc/systemd/system", YES, { 0 } };
	lab->folders[2] = (struct boot_folder){ "/etc/systemd/system/multi-user.target.wants", YES, { 0 } };
	lab->facts.boot.folders = lab->folders;
	lab->facts.boot.n_folders = 3;
	modprobe_parse_loads(bytes_of("nvidia-uvm\n"), "/etc/modules", &lab->arena, &lab->facts.boot.modprobe);
	nvidia_inside(lab);
	lab->insides[0].docker = YES;
	lab->insides[0].no_cgroups = YES;
}

/* ---- what breaks it ----------------------------------------------------- */

#define CHANGE(name) static void name(struct lab *lab)
#define BOOT (lab->facts.boot)
#define PCI (lab->facts.pci)
#define INSIDE (lab->insides[0])

CHANGE(same)
{
	(void)lab;
}
CHANGE(goal_unknown_rule)
{
	lab->goal.accept = words_of(lab, "node.nonsense");
}
CHANGE(goal_not_waivable)
{
	lab->goal.accept = words_of(lab, "gpu.group-needs");
}
CHANGE(goal_waivable)
{
	lab->goal.accept = words_of(lab, "gpu.group");
}
CHANGE(goal_vm)
{
	lab->goal.into = GUEST_VM;
	lab->goal.into_id = 100;
}
CHANGE(goal_other_vm)
{
	lab->goal.into = GUEST_VM;
	lab->goal.into_id = 999;
}
CHANGE(goal_ct_is_vm)
{
	lab->goal.into = GUEST_CT;
	lab->goal.into_id = 100;
}
CHANGE(goal_gpu_nvidia)
{
	lab->goal.gpu = "nvidia";
}
CHANGE(goal_gpu_amd)
{
	lab->goal.gpu = "amd";
}
CHANGE(goal_gpu_nic)
{
	lab->goal.gpu = "0000:05:00.0";
}
CHANGE(goal_gpu_absent)
{
	lab->goal.gpu = "0000:09:00.0";
}
CHANGE(goal_f_cpu)
{
	lab->goal.gpu = "intel";
	lab->facts.n_gpus = 1;
	lab->facts.host.cpu.f_suffix = YES;
}
CHANGE(no_pve)
{
	lab->facts.pve.here = NO;
}
CHANGE(no_quorum)
{
	lab->facts.pve.quorate = NO;
}
CHANGE(no_vmx)
{
	lab->facts.host.cpu.virtualisation = NO;
}
CHANGE(no_tables)
{
	PCI.iommu = NO;
	PCI.firmware_dmar = NO;
}
CHANGE(tables_unknown)
{
	PCI.iommu = NO;
	PCI.firmware_dmar = PCI.firmware_ivrs = UNKNOWN;
}
CHANGE(iommu_off)
{
	PCI.iommu = NO;
}
CHANGE(iommu_off_word)
{
	PCI.iommu = NO;
	cmdline_with(lab, "intel_iommu=off");
}
CHANGE(iommu_unknown)
{
	PCI.iommu = UNKNOWN;
}
CHANGE(wrong_file)
{
	PCI.iommu = NO;
	BOOT.other_file = "/etc/kernel/cmdline";
	BOOT.other_cmdline = "root=/dev/x intel_iommu=on";
}
CHANGE(wrong_file_harmless)
{
	wrong_file(lab);
	PCI.iommu = YES;
}
CHANGE(loader_unknown)
{
	BOOT.loader = LOADER_UNKNOWN;
}
CHANGE(word_waits)
{
	PCI.iommu = NO;
	BOOT.cmdline_next = "quiet intel_iommu=on";
	BOOT.cmdline = "quiet";
}
CHANGE(word_goes)
{
	BOOT.cmdline_next = "quiet";
}
CHANGE(no_next)
{
	BOOT.cmdline_next = NULL;
}
CHANGE(no_remapping)
{
	PCI.remapping = NO;
}
CHANGE(unsafe)
{
	modprobe_with(lab, "options vfio_iommu_type1 allow_unsafe_interrupts=1\n");
}
CHANGE(no_remapping_unsafe)
{
	PCI.remapping = NO;
	unsafe(lab);
}
CHANGE(efifb_off)
{
	cmdline_with(lab, "video=efifb:off");
}
CHANGE(vesafb_and_efifb_off)
{
	cmdline_with(lab, "video=vesafb:off,efifb:off");
}
CHANGE(amd_iommu_on)
{
	cmdline_with(lab, "amd_iommu=on");
	lab->facts.host.cpu.vendor = "AuthenticAMD";
}
CHANGE(efifb_off_kernel_unknown)
{
	cmdline_with(lab, "video=efifb:off");
	BOOT.kernel = NULL;
}
CHANGE(virqfd)
{
	modprobe_parse_loads(bytes_of("vfio\nvfio_virqfd\n"), "/etc/modules", &lab->arena, &BOOT.modprobe);
}
CHANGE(virqfd_old)
{
	virqfd(lab);
	BOOT.kernel = BOOT.kernel_next = "5.15.158-2-pve";
}
CHANGE(kernel_waits)
{
	BOOT.kernel_next = "6.14.11-5-pve";
}
CHANGE(early)
{
	modprobe_with(lab, "options vfio-pci ids=10de:2803,10de:22bd\nsoftdep nouveau pre: vfio-pci\n");
}
CHANGE(initramfs_stale)
{
	modprobe_parse(
	        bytes_of("options vfio-pci ids=10de:2803\n"), "/etc/modprobe.d/vfio.conf", &lab->arena, &BOOT.modprobe);
}
CHANGE(initramfs_unread)
{
	lab->image.known = UNKNOWN;
	lab->image.why = "not in the recording";
}
CHANGE(initramfs_holds_old)
{
	modprobe_parse(bytes_of("blacklist i915\n"), "etc/modprobe.d/x.conf", &lab->arena, &lab->image.modprobe);
}
CHANGE(esp_unmounted)
{
	early(lab);
	lab->esp.mounted = NO;
	lab->kernel.n_initramfs = 1;
}
CHANGE(esp_stale)
{
	early(lab);
	memset(&lab->esp_image.modprobe, 0, sizeof lab->esp_image.modprobe);
}
CHANGE(no_encoder)
{
	vm_gpu_is(lab, 0x10de, 0x1d01, "nvidia");
}
CHANGE(model_unknown)
{
	vm_gpu_is(lab, 0x10de, 0xfffe, "nvidia");
}
CHANGE(wants_av1)
{
	vm_gpu_is(lab, 0x10de, 0x2504, "nvidia");
	lab->goal.prefer = words_of(lab, "av1");
}
CHANGE(wants_av1_or_nvenc)
{
	vm_gpu_is(lab, 0x10de, 0x2504, "nvidia");
	lab->goal.prefer = words_of(lab, "nvenc av1 software");
}
CHANGE(wants_nvenc)
{
	vm_gpu_is(lab, 0x10de, 0x2504, "nvidia");
	lab->goal.prefer = words_of(lab, "nvenc");
}
CHANGE(rebar_small)
{
	vm_gpu_is(lab, 0x8086, 0xe20b, "intel");
	lab->devices[0].bar[0].end = 0x400fffffff;
}
CHANGE(rebar_large)
{
	vm_gpu_is(lab, 0x8086, 0xe20b, "intel");
}
CHANGE(acs)
{
	cmdline_with(lab, "pcie_acs_override=downstream,multifunction");
	lab->gpus[0].group_state = GROUP_ACS;
}
CHANGE(acs_unknown)
{
	BOOT.cmdline = NULL;
}
CHANGE(shared)
{
	lab->others[0] = &lab->devices[5];
	device_set(lab, 5, "0000:07:00.0", 0x1b21, 0x2142, 0x0c0330, "xhci_hcd", "12");
	PCI.n = 6;
	lab->gpus[0].group_state = GROUP_SHARED;
	lab->gpus[0].group_others = lab->others;
	lab->gpus[0].n_group_others = 1;
}
CHANGE(shared_nic)
{
	shared(lab);
	lab->others[0] = &lab->devices[3];
}
CHANGE(shared_needs_unknown)
{
	shared(lab);
	lab->facts.root_disk_known = UNKNOWN;
}

CHANGE(only_gpu)
{
	lab->facts.n_gpus = 1;
}
CHANGE(only_gpu_no_net)
{
	only_gpu(lab);
	lab->facts.n_needs = 0;
}
CHANGE(other_gpu_on_vfio)
{
	lab->devices[2].driver = "vfio-pci";
}
CHANGE(other_gpu_driver_unknown)
{
	only_gpu_no_net(lab);
	lab->facts.n_gpus = 2;
	lab->devices[2].driver = NULL;
}
CHANGE(only_gpu_unknown)
{
	only_gpu_no_net(lab);
	lab->facts.management_known = UNKNOWN;
}
CHANGE(twins)
{
	early(lab);
	device_set(lab, 5, "0000:02:00.0", 0x10de, 0x2803, 0x030000, "vfio-pci", "13");
	PCI.n = 6;
}
CHANGE(twin_needed)
{
	twins(lab);
	lab->needs[0].pci = "0000:02:00.0";
}
CHANGE(vfio_builtin)
{
	early(lab);
	lab->kernel.builtin = words_of(lab, "vfio_pci");
}
CHANGE(ids_alone)
{
	modprobe_with(lab, "options vfio-pci ids=10de:2803,10de:22bd\n");
}
CHANGE(ids_lost)
{
	early(lab);
	lab->devices[0].driver = "nouveau";
}
CHANGE(half_bound)
{
	lab->devices[1].driver = "snd_hda_intel";
}
CHANGE(bootfb)
{
	lab->gpus[0].bar_owners = words_of(lab, "BOOTFB");
}
CHANGE(bootfb_driver)
{
	bootfb(lab);
	lab->devices[0].driver = "nouveau";
}
CHANGE(bootfb_unknown)
{
	lab->gpus[0].bar_owners_known = UNKNOWN;
	lab->gpus[0].boot_display = UNKNOWN;
}
CHANGE(held)
{
	lab->devices[0].driver = "nvidia";
	lab->gpus[0].hot_release = NO;
	lab->gpus[0].hot_why = "process ffmpeg (4242) has /dev/nvidia0 open";
}
CHANGE(held_by_nobody_yet)
{
	held(lab);
	lab->facts.pve.n_guests = 0;
	lab->facts.n_insides = 0;
	lab->goal.gpu = "nvidia";
	lab->goal.into = GUEST_VM;
	lab->goal.into_new = true;
}
CHANGE(fbcon_on_nouveau)
{
	held(lab);
	lab->devices[0].driver = "nouveau";
	lab->gpus[0].hot_why = "a framebuffer console runs on it";
}
CHANGE(held_unknown)
{
	held(lab);
	lab->gpus[0].hot_release = UNKNOWN;
}
CHANGE(no_reset)
{
	lab->devices[0].reset_methods = "";
}
CHANGE(reset_unknown)
{
	lab->devices[0].reset_methods = NULL;
}
CHANGE(polaris)
{
	vm_gpu_is(lab, 0x1002, 0x67df, "amd");
}
CHANGE(blackwell)
{
	vm_gpu_is(lab, 0x10de, 0x2b85, "nvidia");
}
CHANGE(navi10)
{
	vm_gpu_is(lab, 0x1002, 0x731f, "amd");
}
CHANGE(skylake)
{
	vm_gpu_is(lab, 0x8086, 0x1912, "intel");
}
CHANGE(d3cold)
{
	lab->devices[0].power_state = "D3cold";
	lab->guests[0].status = "stopped";
}
CHANGE(igpu_on_vfio)
{
	lab->devices[2].driver = "vfio-pci";
	lab->gpus[1].render = NULL;
	lab->facts.drm.n = 0;
}
CHANGE(igpu_driver_unknown)
{
	lab->devices[2].driver = NULL;
}
CHANGE(nomodeset)
{
	cmdline_with(lab, "nomodeset");
}
CHANGE(i915_blacklisted)
{
	modprobe_with(lab, "blacklist i915\nblacklist xe\n");
}
CHANGE(i915_blacklisted_blind)
{
	i915_blacklisted(lab);
	lab->kernel.n_initramfs = 0;
}
/* the image holds nouveau, and not what /etc says now */
CHANGE(next_boot_stale)
{
	early(lab);
	lab->kernel.n_initramfs = 1;
	memset(&lab->image.modprobe, 0, sizeof lab->image.modprobe);
	lab->image.modules = words_of(lab, "nouveau vfio_pci");
	lab->devices[0].driver = "nouveau";
	lab->gpus[0].hot_release = NO;
	lab->gpus[0].hot_why = "a console runs on it";
}
CHANGE(next_boot_stale_but_free)
{
	next_boot_stale(lab);
	lab->gpus[0].hot_release = YES;
}
CHANGE(next_boot_blind)
{
	early(lab);
	lab->kernel.n_initramfs = 0;
}
CHANGE(next_iommu_off)
{
	BOOT.cmdline_generated = BOOT.cmdline_next = "quiet intel_iommu=off";
}
CHANGE(no_headers)
{
	lab->kernel.headers = NO;
}
CHANGE(headers_unknown)
{
	lab->kernel.headers = UNKNOWN;
}
CHANGE(module_refused)
{
	BOOT.secure_boot = YES;
	lab->facts.drm.nvidia_module_version = "";
}
CHANGE(uvm_no_rule)
{
	lab->folders[0].names = words_of(lab, "60-other.rules");
}
CHANGE(uvm_not_loaded)
{
	BOOT.modprobe.n_loads = 0;
}
CHANGE(uvm_by_unit)
{
	uvm_no_rule(lab);
	uvm_not_loaded(lab);
	lab->folders[2].names = words_of(lab, "nvidia-nodes.service ssh.service");
}
CHANGE(uvm_other_units)
{
	uvm_no_rule(lab);
	lab->folders[2].names = words_of(lab, "nvidia-hibernate.service nvidia-resume.service nvidia-suspend.service");
}
CHANGE(uvm_unit_behind_another)
{
	uvm_no_rule(lab);
	lab->folders[2].names = words_of(lab, "nvidia-persistenced.service nvidia-uvm.service");
}
CHANGE(uvm_persistenced)
{
	uvm_no_rule(lab);
	lab->folders[2].names = words_of(lab, "nvidia-persistenced.service");
}
CHANGE(uvm_rules_unread)
{
	uvm_no_rule(lab);
	lab->folders[0].there = UNKNOWN;
}
CHANGE(igpu_old_kernel)
{
	BOOT.kernel = "5.15.158-2-pve";
	lab->devices[2].driver = "";
}
CHANGE(igpu_no_driver)
{
	lab->devices[2].driver = "";
}
CHANGE(nouveau)
{
	lab->devices[0].driver = "nouveau";
}
CHANGE(card_is_pascal)
{
	lab->devices[0].device = 0x1c03;
	gpu_set(lab, 0, 0, 2, "nvidia");
	lab->gpus[0].render = &lab->nodes[4];
}
CHANGE(card_is_blackwell_closed)
{
	lab->devices[0].device = 0x2b85;
	gpu_set(lab, 0, 0, 2, "nvidia");
	lab->gpus[0].render = &lab->nodes[4];
	lab->facts.drm.nvidia_open = NO;
}
CHANGE(pascal_590)
{
	card_is_pascal(lab);
	lab->facts.drm.nvidia_open = NO;
	lab->facts.drm.nvidia_module_version = "590.48.01";
}
CHANGE(igpu_bad_kernel)
{
	BOOT.kernel = BOOT.kernel_next = "5.19.17-2-pve";
}
CHANGE(igpu_is_jasper)
{
	lab->devices[2].device = 0x4e61;
	gpu_set(lab, 1, 2, 1, "intel");
	lab->gpus[1].render = &lab->nodes[0];
}
CHANGE(igpu_is_jasper_with_guc)
{
	igpu_is_jasper(lab);
	modprobe_with(lab, "options i915 enable_guc=2\n");
	lab->facts.drm.enable_guc = "2";
}
CHANGE(igpu_is_jasper_guc_waits)
{
	igpu_is_jasper_with_guc(lab);
	lab->facts.drm.enable_guc = "-1";
}
CHANGE(igpu_is_jasper_guc_unread)
{
	igpu_is_jasper_with_guc(lab);
	lab->facts.drm.enable_guc = NULL;
}
/* VM */
CHANGE(guest_unread)
{
	lab->guests[0].known = NO;
	lab->goal.into = lab->guests[0].kind;
	lab->goal.into_id = lab->guests[0].id;
}
CHANGE(locked)
{
	config_with(lab, "cores: 4", "cores: 4\nlock: rollback");
	lab->guests[0].status = "stopped";
}
CHANGE(locked_backup)
{
	config_with(lab, "cores: 4", "cores: 4\nlock: backup");
}
CHANGE(both_named)
{
	config_with(lab, "hostpci0: mapping=gpu0", "hostpci0: 0000:01:00,mapping=gpu0");
}
CHANGE(absent_address)
{
	config_with(lab, "hostpci0: mapping=gpu0", "hostpci0: 0000:0a:00,pcie=1");
}
CHANGE(drifted)
{
	config_with(lab, "hostpci0: mapping=gpu0", "hostpci0: 0000:01:00\nhostpci1: 0000:05:00.0,x-vga=1");
	lab->facts.n_needs = 0;
}
CHANGE(takes_nvme)
{
	config_with(lab, "hostpci0: mapping=gpu0", "hostpci0: 0000:01:00\nhostpci1: 0000:06:00");
}
CHANGE(by_address)
{
	config_with(lab, "hostpci0: mapping=gpu0", "hostpci0: 0000:01:00");
}
CHANGE(map_other_id)
{
	lab->entries[0].id = "10de:2504";
}
CHANGE(map_other_group)
{
	lab->entries[0].iommu_group = "13";
}

CHANGE(no_mapping)
{
	lab->facts.pve.n_mappings = 0;
	goal_vm(lab);
	lab->goal.gpu = "nvidia";
}
CHANGE(not_given)
{
	config_with(lab, "hostpci0: mapping=gpu0\n", "");
	goal_vm(lab);
	lab->goal.gpu = "nvidia";
}
CHANGE(second_vm)
{
	lab->guests[1] =
	        (struct guest){ .kind = GUEST_VM, .id = 101, .status = "stopped", .file = "101.conf", .ha = NO };
	guest_parse(lab, &lab->guests[1], vm_config);
	lab->facts.pve.n_guests = 2;
}
CHANGE(second_vm_runs)
{
	second_vm(lab);
	lab->guests[1].status = "running";
	lab->guests[0].status = "stopped";
	goal_vm(lab);
}
CHANGE(guests_unknown)
{
	lab->facts.pve.guests_known = UNKNOWN;
}
CHANGE(pcie_on_i440fx)
{
	config_with(lab, "hostpci0: mapping=gpu0\nmachine: q35", "hostpci0: mapping=gpu0,pcie=1");
}
CHANGE(legacy_on_q35)
{
	config_with(lab, "mapping=gpu0", "mapping=gpu0,legacy-igd=1");
}
CHANGE(legacy_alone)
{
	config_with(lab, "mapping=gpu0\nmachine: q35", "0000:00:02.0,legacy-igd=1\nvga: none");
	goal_vm(lab);
}
CHANGE(igpu_in_vm)
{
	config_with(lab, "mapping=gpu0", "0000:00:02.0");
	lab->devices[2].driver = "vfio-pci";
}
CHANGE(skylake_in_vm)
{
	lab->devices[2].device = 0x1912;
	gpu_set(lab, 1, 2, 1, "intel");
	igpu_in_vm(lab);
}
CHANGE(x_vga)
{
	config_with(lab, "mapping=gpu0", "mapping=gpu0,x-vga=1");
}
CHANGE(romfile)
{
	config_with(lab, "mapping=gpu0", "mapping=gpu0,romfile=vbios.rom");
}
CHANGE(no_screen)
{
	config_with(lab, "cores: 4", "cores: 4\nvga: none");
}
CHANGE(args_cpu)
{
	config_with(lab, "agent: 1\n", "agent: 1\nargs: -cpu 'host,kvm=off'\n");
}
CHANGE(args_vfio)
{
	config_with(lab, "agent: 1\n", "agent: 1\nargs: -device vfio-pci,host=01:00.0\n");
}
CHANGE(args_alone)
{
	args_vfio(lab);
	config_with(lab, "hostpci0: mapping=gpu0\n", "");
}
CHANGE(args_unbound)
{
	args_alone(lab);
	lab->devices[0].driver = "nouveau";
}
CHANGE(given_twice)
{
	config_with(lab, "hostpci0: mapping=gpu0\n", "hostpci0: mapping=gpu0\nhostpci1: 0000:01:00.0\n");
}
CHANGE(given_in_parts)
{
	config_with(lab, "hostpci0: mapping=gpu0\n", "hostpci0: 0000:01:00.0\nhostpci1: 0000:01:00.1\n");
}
CHANGE(given_twice_until_the_next_start)
{
	given_twice(lab);
	config_with(lab, "size=64G\n", "size=64G\n[PENDING]\ndelete: hostpci1\n");
}
CHANGE(not_sliced)
{
	config_with(lab, "hostpci0: mapping=gpu0", "hostpci0: 0000:01:00,mdev=nvidia-63");
	lab->devices[0].mdev = NO;
}
CHANGE(perhaps_sliced)
{
	not_sliced(lab);
	lab->devices[0].mdev = UNKNOWN;
}
CHANGE(sliced)
{
	not_sliced(lab);
	lab->devices[0].mdev = YES;
}
CHANGE(started_without)
{
	lab->facts.drm.n_holders = 0;
}
CHANGE(perhaps_started_without)
{
	lab->facts.drm.n_holders = 0;
	lab->facts.drm.holders_known = NO;
}
CHANGE(hidden)
{
	config_with(lab, "cpu: host", "cpu: host,hidden=1");
}
CHANGE(narrow)
{
	PCI.iommu_address_bits = 39;
}
CHANGE(narrow_limited)
{
	narrow(lab);
	config_with(lab, "cpu: host", "cpu: host,phys-bits=39");
}
CHANGE(width_unknown)
{
	PCI.iommu_address_bits = UNKNOWN_NUMBER;
}
CHANGE(much_memory)
{
	config_with(lab, "memory: 8192", "memory: 131072");
}
CHANGE(memory_unknown)
{
	lab->facts.host.memory_kib = UNKNOWN_NUMBER;
}
CHANGE(balloon)
{
	config_with(lab, "balloon: 0", "balloon: 2048");
}
CHANGE(balloon_default)
{
	config_with(lab, "balloon: 0\n", "");
}
CHANGE(hugepages)
{
	config_with(lab, "cores: 4", "cores: 4\nhugepages: 1024");
}
CHANGE(hugepages_numa)
{
	config_with(lab, "cores: 4", "cores: 4\nhugepages: 1024\nnuma: 1");
}
CHANGE(keys)
{
	config_with(lab, "pre-enrolled-keys=0", "pre-enrolled-keys=1");
	INSIDE.secure_boot = YES;
	INSIDE.nvidia_module = "";
}
CHANGE(switched)
{
	config_with(lab, "name: emby", "name: emby\nparent: before");
	lab->config = arena_printf(&lab->arena, "%s\n[before]\nmemory: 8192\nsnaptime: 1700000000\n", lab->config);
	guest_parse(lab, &lab->guests[0], lab->config);
}
CHANGE(will_switch)
{
	lab->config = arena_printf(&lab->arena, "%s\n[PENDING]\nmachine: pc\n", lab->config);
	guest_parse(lab, &lab->guests[0], lab->config);
}
CHANGE(raw_on_dir)
{
	config_with(lab, "scsi0: local-lvm:vm-100-disk-0", "scsi0: local:100/vm-100-disk-0.raw");
}
CHANGE(qcow2_on_dir)
{
	config_with(lab, "scsi0: local-lvm:vm-100-disk-0", "scsi0: local:100/vm-100-disk-0.qcow2");
}
CHANGE(storage_unknown)
{
	config_with(lab, "scsi0: local-lvm:", "scsi0: nas:");
}
CHANGE(vmstate)
{
	lab->config = arena_printf(&lab->arena,
	        "%s\n[ram]\nbios: ovmf\nmachine: q35\nsnaptime: 1700000000\nvmstate: local-lvm:vm-100-state-ram\n",
	        lab->config);
	guest_parse(lab, &lab->guests[0], lab->config);
}
CHANGE(pending)
{
	lab->config = arena_printf(&lab->arena, "%s\n[PENDING]\ncores: 8\n", lab->config);
	guest_parse(lab, &lab->guests[0], lab->config);
}
CHANGE(ha)
{
	lab->guests[0].ha = YES;
	lab->mapping.n = 1;
}
CHANGE(ha_mapped)
{
	lab->guests[0].ha = YES;
}
CHANGE(not_onboot)
{
	config_with(lab, "onboot: 1\n", "");
	lab->guests[0].onboot = NO;
}
CHANGE(no_agent)
{
	config_with(lab, "agent: 1\n", "");
}
CHANGE(no_agent_but_reach)
{
	no_agent(lab);
	lab->goal.reach = "ssh://admin@media.lan";
}
/* CT */
CHANGE(device_unknown_property)
{
	config_with(lab, "renderD128,gid=110", "renderD128,gid=110,foo=1");
}

CHANGE(device_without_path)
{
	config_with(lab, "dev0: /dev/dri/renderD128,gid=110", "dev0: /dev/dri/../sda,gid=110");
}

CHANGE(old_container)
{
	lab->facts.pve.packages = (struct words){ 0 };
	*arena_push(&lab->arena, lab->facts.pve.packages.word, lab->facts.pve.packages.n) = "pve-container 5.0.6";
}
CHANGE(packages_unknown)
{
	lab->facts.pve.packages = (struct words){ 0 };
}
CHANGE(ct_and_vm)
{
	lab->guests[1] =
	        (struct guest){ .kind = GUEST_VM, .id = 101, .status = "stopped", .file = "101.conf", .ha = NO };
	guest_parse(lab, &lab->guests[1], "hostpci0: 0000:00:02.0\n");
	lab->facts.pve.n_guests = 2;
}
CHANGE(cgroup1)
{
	config_with(lab, "dev0: /dev/dri/renderD128,gid=110\n",
	        "lxc.cgroup.devices.allow: c 226:128 rwm\n"
	        "lxc.mount.entry: /dev/dri/renderD128 dev/dri/renderD128 none bind,optional,create=file\n");
}
CHANGE(cgroup1_left)
{
	config_with(lab, "hostname", "lxc.cgroup.devices.allow: c 226:128 rwm\nhostname");
}
CHANGE(idmap_cut)
{
	config_with(lab, "hostname",
	        "lxc.idmap: u 0 100000 65536\nlxc.idmap: g 0 100000 104\nlxc.idmap: g 104 104 1\n"
	        "lxc.idmap: g 106 100106 65430\nhostname");
}
CHANGE(idmap_whole)
{
	config_with(lab, "hostname",
	        "lxc.idmap: u 0 100000 65536\nlxc.idmap: g 0 100000 104\nlxc.idmap: g 104 104 1\n"
	        "lxc.idmap: g 105 100105 65431\nhostname");
}
CHANGE(idmap_garbled)
{
	config_with(lab, "hostname", "lxc.idmap: u 0\nhostname");
}
CHANGE(node_absent)
{
	config_with(lab, "/dev/dri/renderD128", "/dev/dri/renderD130");
	goal_vm(lab);
	lab->goal.into = GUEST_CT;
	lab->goal.into_id = 105;
	lab->goal.gpu = "intel";
}
CHANGE(node_unread)
{
	node_absent(lab);
	lab->facts.drm.known = UNKNOWN;
}
CHANGE(node_of_other)
{
	lab->nodes[1] = (struct drm_node){ "renderD129", "/dev/dri/renderD129", "0000:01:00.0", "nouveau", YES, 0660, 0,
		104, "render", 226, 129 };
	lab->facts.drm.n = 2;
	config_with(lab, "/dev/dri/renderD128", "/dev/dri/renderD129");
	lab->goal.into = GUEST_CT;
	lab->goal.into_id = 105;
	lab->goal.gpu = "intel";
}
CHANGE(two_nodes)
{
	node_of_other(lab);
	config_with(lab, "/dev/dri/renderD129", "/dev/dri/renderD128");
}
CHANGE(uvm_missing)
{
	lab->facts.drm.n = 3;
}
CHANGE(uvm_not_given)
{
	config_with(lab, "dev2: /dev/nvidia-uvm,gid=44\n", "");
}
CHANGE(raw_major)
{
	config_with(lab, "dev2: /dev/nvidia-uvm,gid=44\n",
	        "lxc.cgroup2.devices.allow: c 195:* rwm\n"
	        "lxc.cgroup2.devices.allow: c 508:* rwm\n"
	        "lxc.mount.entry: /dev/nvidia-uvm dev/nvidia-uvm none bind,optional,create=file\n");
}
CHANGE(raw_fits)
{
	config_with(lab, "dev2: /dev/nvidia-uvm,gid=44\n",
	        "lxc.cgroup2.devices.allow: c 511:* rwm\n"
	        "lxc.mount.entry: /dev/nvidia-uvm dev/nvidia-uvm none bind,optional,create=file\n");
}
CHANGE(gid_of_ssl_cert)
{
	config_with(lab, "gid=110", "gid=104");
}
CHANGE(gid_none)
{
	config_with(lab, ",gid=110", "");
}
CHANGE(gid_none_native)
{
	gid_none(lab);
	static const char *packages[] = { "jellyfin-server 10.11.0" };
	INSIDE.packages = (struct words){ packages, 1 };
}
CHANGE(groups_unread)
{
	INSIDE.groups_known = UNKNOWN;
}
CHANGE(mode_narrow)
{
	config_with(lab, "gid=110", "gid=110,mode=0600");
}
CHANGE(mode_wide)
{
	config_with(lab, "gid=110", "gid=110,mode=0666");
}
CHANGE(privileged)
{
	config_with(lab, "unprivileged: 1\n", "");
}
CHANGE(userspace_other)
{
	INSIDE.nvidia_userspace = "580.95.04";
}
CHANGE(userspace_none)
{
	INSIDE.nvidia_userspace = "";
}
CHANGE(userspace_unknown)
{
	INSIDE.nvidia_userspace = NULL;
}
CHANGE(ct_pending)
{
	lab->config = arena_printf(&lab->arena, "%s\n[pve:pending]\ncores: 8\n", lab->config);
	guest_parse(lab, &lab->guests[0], lab->config);
}
/* inside */
CHANGE(not_reached)
{
	INSIDE.reached = NO;
	INSIDE.why = "the guest agent does not answer";
}
CHANGE(stopped)
{
	lab->guests[0].status = "stopped";
	lab->facts.n_insides = 0;
}
CHANGE(not_seen)
{
	INSIDE.pci.n = 0;
}
CHANGE(not_seen_unread)
{
	INSIDE.pci.n = 0;
	INSIDE.pci.known = UNKNOWN;
}
CHANGE(cloud)
{
	INSIDE.cloud_kernel = YES;
	INSIDE.kernel = "6.1.0-40-cloud-amd64";
}
CHANGE(key_rejected)
{
	INSIDE.nvidia_module = "";
	INSIDE.firmware = words_of(lab, "key-rejected");
}
CHANGE(guest_old_kernel)
{
	INSIDE.kernel = "5.15.0-100-generic";
	lab->inside_device.driver = "";
}
CHANGE(guest_bad_kernel)
{
	INSIDE.kernel = "6.6.30";
}
CHANGE(needs_open)
{
	INSIDE.firmware = words_of(lab, "nvrm-init-failed nvrm-needs-open");
}
CHANGE(dmesg_unread)
{
	INSIDE.dmesg_known = UNKNOWN;
}
CHANGE(guc_missing)
{
	INSIDE.firmware = words_of(lab, "guc-missing");
}
CHANGE(huc_missing_low_power)
{
	INSIDE.firmware = words_of(lab, "huc-missing");
}
CHANGE(nouveau_inside)
{
	lab->inside_device.driver = "nouveau";
	INSIDE.nvidia_module = "";
}
CHANGE(driver_unread)
{
	lab->inside_device.driver = NULL;
}
CHANGE(pascal_open_inside)
{
	vm_gpu_is(lab, 0x10de, 0x1c03, "nvidia");
}
CHANGE(pascal_590_inside)
{
	pascal_open_inside(lab);
	INSIDE.nvidia_open = NO;
	INSIDE.nvidia_module = "590.48.01";
}
CHANGE(branch_unknown)
{
	INSIDE.nvidia_module = NULL;
}
CHANGE(uvm_missing_inside)
{
	INSIDE.drm.n = 1;
}
CHANGE(only_card0)
{
	lab->inside_nodes[0].name = "card0";
}
CHANGE(render_unread)
{
	only_card0(lab);
	INSIDE.drm.known = UNKNOWN;
}
CHANGE(nobody)
{
	lab->inside_nodes[0].gid = 65534;
	lab->inside_nodes[0].group = "nogroup";
}
CHANGE(ssl_cert)
{
	lab->inside_nodes[0].gid = 104;
	lab->inside_nodes[0].group = "ssl-cert";
}
CHANGE(smi_fails)
{
	INSIDE.nvidia_smi = "Failed to initialize NVML: Unknown Error";
}
CHANGE(smi_not_run)
{
	INSIDE.nvidia_smi = NULL;
}
CHANGE(no_encode_library)
{
	INSIDE.nvidia_libraries = words_of(lab, "libcuda.so.1");
}
CHANGE(libraries_unread)
{
	INSIDE.nvidia_libraries_known = UNKNOWN;
}
CHANGE(old_driver)
{
	INSIDE.nvidia_module = INSIDE.nvidia_userspace = "535.183.01";
}
CHANGE(no_media_driver)
{
	static const char *packages[] = { "libmfx-gen1.2 22.6.4" };
	INSIDE.packages = (struct words){ packages, 1 };
}
CHANGE(packages_unread)
{
	INSIDE.packages = (struct words){ 0 };
}
CHANGE(vainfo_fails)
{
	INSIDE.vainfo.pairs = (struct words){ 0 };
	INSIDE.vainfo.error = "va_openDriver() returns -1";
}
CHANGE(vainfo_decodes_only)
{
	INSIDE.vainfo.pairs = words_of(lab, "VAProfileH264High/VAEntrypointVLD");
}
CHANGE(vainfo_not_run)
{
	memset(&INSIDE.vainfo, 0, sizeof INSIDE.vainfo);
}
CHANGE(no_qsv_runtime)
{
	static const char *packages[] = { "intel-media-va-driver-non-free 23.1.1" };
	INSIDE.packages = (struct words){ packages, 1 };
}
CHANGE(no_qsv_own_ffmpeg)
{
	no_qsv_runtime(lab);
	lab->goal.service.kind = SERVICE_FFMPEG;
}
CHANGE(snap)
{
	INSIDE.docker_snap = "yes";
}
CHANGE(no_toolkit)
{
	INSIDE.toolkit = NO;
}
CHANGE(toolkit_unread)
{
	INSIDE.toolkit = UNKNOWN;
}
CHANGE(no_runtime)
{
	INSIDE.docker_runtimes = "runc";
}
CHANGE(runtimes_unread)
{
	INSIDE.docker_runtimes = NULL;
}
CHANGE(no_request)
{
	lab->container.gpu_request = "";
}
CHANGE(service_missing)
{
	lab->goal.service.name = "embyserver";
}
CHANGE(no_video)
{
	lab->container.gpu_request = "gpu";
}
CHANGE(dri_container)
{
	INSIDE.docker = YES;
	lab->container.gpu_request = "";
	lab->container.devices = words_of(lab, "/dev/dri/renderD128");
	lab->container.group_add = words_of(lab, "110");
}
CHANGE(dri_container_no_group)
{
	dri_container(lab);
	lab->container.group_add = (struct words){ 0 };
}
CHANGE(systemd_cgroup)
{
	INSIDE.docker_cgroup_driver = "systemd";
}
CHANGE(systemd_cgroup_unread)
{
	systemd_cgroup(lab);
	INSIDE.cdi = UNKNOWN;
}
CHANGE(cgroups_in_ct)
{
	INSIDE.no_cgroups = NO;
}
CHANGE(no_cgroups_in_vm)
{
	INSIDE.no_cgroups = YES;
}
CHANGE(no_cgroups_unread)
{
	INSIDE.no_cgroups = UNKNOWN;
}
CHANGE(containerd_bad)
{
	static const char *packages[] = { "containerd.io 1.7.28-2~debian.13~trixie" };
	INSIDE.packages = (struct words){ packages, 1 };
}
CHANGE(containerd_good)
{
	static const char *packages[] = { "containerd.io 1.7.29-1~debian.13~trixie" };
	INSIDE.packages = (struct words){ packages, 1 };
}

/* ---- the table ---------------------------------------------------------- */

struct machine_case {
	const char *rule;
	void (*base)(struct lab *lab);
	void (*change)(struct lab *lab);
	enum verdict verdict;
	const char *says; /* in why or cure; NULL: anything */
};

#define OK VERDICT_OK
#define WARN VERDICT_WARN
#define BROKEN VERDICT_BROKEN
#define UNKNOWN_ VERDICT_UNKNOWN

static const struct machine_case cases[] = {
	{ "goal.accept", vm, goal_waivable, OK, NULL },
	{ "goal.accept", vm, goal_unknown_rule, BROKEN, "no rule node.nonsense" },
	{ "goal.accept", vm, goal_not_waivable, BROKEN, "cannot be accepted" },
	{ "goal.guest", vm, goal_vm, OK, "emby" },
	{ "goal.guest", vm, goal_other_vm, BROKEN, "no VM 999" },
	{ "goal.guest", vm, goal_ct_is_vm, BROKEN, "vm/100" },
	{ "goal.gpu", vm, goal_gpu_nvidia, OK, "0000:01:00.0" },
	{ "goal.gpu", vm, goal_gpu_amd, BROKEN, "no amd GPU" },
	{ "goal.gpu", vm, goal_gpu_nic, BROKEN, "is no GPU" },
	{ "goal.gpu", vm, goal_gpu_absent, BROKEN, "no device 0000:09:00.0" },
	{ "goal.gpu", vm, goal_f_cpu, BROKEN, "i5-13500" },
	{ "node.proxmox", vm, same, OK, "8.4.1" },
	{ "node.proxmox", vm, no_pve, BROKEN, "not installed" },
	{ "node.quorum", vm, same, OK, NULL },
	{ "node.quorum", vm, no_quorum, WARN, "read-only" },
	{ "node.virtualisation", vm, same, OK, NULL },
	{ "node.virtualisation", vm, no_vmx, BROKEN, "VT-x" },
	{ "node.firmware-iommu", vm, same, OK, "DMAR" },
	{ "node.firmware-iommu", vm, no_tables, BROKEN, "VT-d" },
	{ "node.firmware-iommu", vm, tables_unknown, UNKNOWN_, NULL },
	{ "node.boot-file", vm, same, OK, "GRUB" },
	{ "node.boot-file", vm, wrong_file, BROKEN, "intel_iommu=on stands in /etc/kernel/cmdline" },
	{ "node.boot-file", vm, wrong_file, BROKEN, "GRUB_CMDLINE_LINUX_DEFAULT: add intel_iommu=on" },
	{ "node.boot-file", vm, wrong_file_harmless, WARN, "take them out of /etc/kernel/cmdline" },
	{ "node.boot-file", vm, loader_unknown, UNKNOWN_, NULL },
	{ "node.boot-pending", vm, same, OK, NULL },
	{ "node.boot-pending", vm, word_waits, BROKEN, "intel_iommu=on is configured but not in effect" },
	{ "node.boot-pending", vm, word_goes, WARN, "no longer configured" },
	{ "node.boot-pending", vm, no_next, UNKNOWN_, NULL },
	{ "node.iommu", vm, same, OK, "dmar0" },
	{ "node.iommu", vm, iommu_off, BROKEN, "/sys/class/iommu is empty" },
	{ "node.iommu", vm, iommu_off_word, BROKEN, "take away intel_iommu=off" },
	{ "node.iommu", vm, iommu_unknown, UNKNOWN_, NULL },
	{ "node.interrupt-remapping", vm, same, OK, NULL },
	{ "node.interrupt-remapping", vm, no_remapping, BROKEN, "Failed to set iommu" },
	{ "node.interrupt-remapping", vm, unsafe, WARN, "needless" },
	{ "node.interrupt-remapping", vm, no_remapping_unsafe, WARN, "disturb" },
	{ "node.dead-words", vm, same, OK, NULL },
	{ "node.dead-words", vm, efifb_off, WARN, "video=efifb:off" },
	{ "node.dead-words", vm, vesafb_and_efifb_off, WARN, "sysfb_init" },
	{ "node.dead-words", vm, amd_iommu_on, WARN, "amd_iommu=on" },
	{ "node.dead-words", vm, efifb_off_kernel_unknown, UNKNOWN_, NULL },
	{ "node.virqfd", vm, same, OK, NULL },
	{ "node.virqfd", vm, virqfd, WARN, "/etc/modules line 2" },
	{ "node.virqfd", vm, virqfd_old, OK, NULL },
	{ "node.next-kernel", vm, same, OK, NULL },
	{ "node.next-kernel", vm, kernel_waits, WARN, "6.14.11-5-pve" },
	{ "node.initramfs", vm, early, OK, NULL },
	{ "node.initramfs", vm, initramfs_stale, WARN, "lacks \"options vfio_pci ids=10de:2803\"" },
	{ "node.initramfs", vm, initramfs_holds_old, WARN, "blacklist i915" },
	{ "node.initramfs", vm, initramfs_unread, UNKNOWN_, "not in the recording" },
	{ "node.esp-copy", vm, early, OK, NULL },
	{ "node.esp-copy", vm, esp_unmounted, UNKNOWN_, "it is not mounted" },
	{ "node.esp-copy", vm, esp_stale, WARN, "/boot/efi/initrd.img" },
	{ "gpu.encoder", vm, same, OK, "Ada Lovelace" },
	{ "gpu.encoder", vm, no_encoder, BROKEN, "no video encoder" },
	{ "gpu.encoder", vm, model_unknown, UNKNOWN_, NULL },
	{ "gpu.encoder", vm, wants_av1, BROKEN, "cannot encode av1" },
	{ "gpu.encoder", vm, wants_av1_or_nvenc, BROKEN, "cannot encode av1;" },
	{ "gpu.encoder", vm, wants_nvenc, OK, "encodes h264" },
	{ "gpu.rebar", vm, rebar_large, OK, NULL },
	{ "gpu.rebar", vm, rebar_small, BROKEN, "256 MiB" },
	{ "gpu.acs", vm, same, OK, NULL },
	{ "gpu.acs", vm, acs, BROKEN, "pcie_acs_override=downstream,multifunction" },
	{ "gpu.acs", vm, acs_unknown, UNKNOWN_, NULL },
	{ "gpu.group-needs", vm, same, OK, NULL },
	{ "gpu.group-needs", vm, shared_nic, BROKEN, "vmbr0 over enp5s0" },
	{ "gpu.group-needs", vm, shared_needs_unknown, UNKNOWN_, "root disk" },
	{ "gpu.group", vm, same, OK, "12" },
	{ "gpu.group", vm, shared, BROKEN, "0000:07:00.0" },
	{ "gpu.only-console", vm, same, OK, NULL },
	{ "gpu.only-console", vm, only_gpu, WARN, "over the network" },
	{ "gpu.only-console", vm, only_gpu_no_net, BROKEN, "only console" },
	{ "gpu.only-console", vm, only_gpu_unknown, UNKNOWN_, NULL },
	{ "gpu.only-console", vm, other_gpu_on_vfio, WARN, "over the network" },
	{ "gpu.only-console", vm, other_gpu_driver_unknown, UNKNOWN_, "another display device" },
	{ "gpu.twins", vm, early, OK, NULL },
	{ "gpu.twins", vm, twins, WARN, "0000:02:00.0" },
	{ "gpu.twins", vm, twin_needed, BROKEN, "the node needs it" },
	{ "gpu.builtin-vfio", vm, early, OK, NULL },
	{ "gpu.builtin-vfio", vm, vfio_builtin, WARN, "vfio-pci.ids=10de:2803,10de:22bd" },
	{ "gpu.early-bind", vm, early, OK, NULL },
	{ "gpu.early-bind", vm, ids_alone, WARN, "softdep nouveau pre: vfio-pci" },
	{ "gpu.early-bind", vm, ids_lost, WARN, "nouveau has it" },
	{ "gpu.audio", vm, same, OK, NULL },
	{ "gpu.audio", vm, half_bound, WARN, "snd_hda_intel" },
	{ "gpu.boot-framebuffer", vm, same, OK, NULL },
	{ "gpu.boot-framebuffer", vm, bootfb, BROKEN, "BOOTFB" },
	{ "gpu.boot-framebuffer", vm, bootfb_driver, WARN, "BOOTFB" },
	{ "gpu.boot-framebuffer", vm, bootfb_unknown, UNKNOWN_, NULL },
	{ "gpu.release", vm, same, OK, "vfio-pci" },
	{ "gpu.release", vm, held_by_nobody_yet, WARN, "giving it to a VM takes a reboot" },
	{ "gpu.release", vm, held, BROKEN, "ffmpeg (4242)" },
	{ "gpu.release", vm, fbcon_on_nouveau, WARN, "framebuffer console" },
	{ "gpu.release", vm, held_unknown, UNKNOWN_, NULL },
	{ "gpu.reset", vm, same, OK, "flr bus" },
	{ "gpu.reset", vm, no_reset, WARN, NULL },
	{ "gpu.reset", vm, reset_unknown, UNKNOWN_, NULL },
	{ "gpu.reset-bug", vm, same, OK, NULL },
	{ "gpu.reset-bug", vm, polaris, WARN, "vendor-reset" },
	{ "gpu.reset-bug", vm, navi10, WARN, "vendor-reset" },
	{ "gpu.reset-bug", vm, blackwell, WARN, "second" },
	{ "gpu.reset-bug", vm, skylake, WARN, "FLR" },
	{ "gpu.reset-bug", vm, model_unknown, UNKNOWN_, NULL },
	{ "gpu.power", vm, same, OK, "D0" },
	{ "gpu.power", vm, d3cold, WARN, "D3cold" },
	{ "gpu.not-vfio", ct, same, OK, NULL },
	{ "gpu.not-vfio", ct, igpu_on_vfio, BROKEN, "no /dev/dri" },
	{ "gpu.not-vfio", ct, igpu_driver_unknown, UNKNOWN_, NULL },
	{ "gpu.nomodeset", ct, same, OK, NULL },
	{ "gpu.nomodeset", ct, nomodeset, BROKEN, "nomodeset" },
	{ "gpu.blacklist", ct, same, OK, NULL },
	{ "gpu.blacklist", ct, i915_blacklisted_blind, WARN, "i915 and xe" },
	{ "gpu.next-boot", vm, same, OK, NULL },
	{ "gpu.next-boot", vm, early, OK, "vfio-pci" },
	{ "gpu.next-boot", vm, next_boot_stale, BROKEN, "older than /etc/modprobe.d" },
	{ "gpu.next-boot", vm, next_boot_stale_but_free, OK, "Proxmox takes it" },
	{ "gpu.next-boot", vm, next_boot_blind, UNKNOWN_, "initramfs" },
	{ "gpu.next-boot", ct, same, OK, "i915" },
	{ "gpu.next-boot", ct, i915_blacklisted, BROKEN, "i915 is blacklisted" },
	{ "node.next-iommu", vm, same, OK, NULL },
	{ "node.next-iommu", vm, next_iommu_off, BROKEN, "intel_iommu=off" },
	{ "node.next-iommu", vm, no_next, OK, NULL },
	{ "gpu.headers", ct_nvidia, same, OK, NULL },
	{ "gpu.headers", ct_nvidia, no_headers, WARN, "proxmox-headers-6.8.12-4-pve" },
	{ "gpu.headers", ct_nvidia, headers_unknown, UNKNOWN_, NULL },
	{ "gpu.secure-boot", ct_nvidia, same, OK, NULL },
	{ "gpu.secure-boot", ct_nvidia, module_refused, WARN, "mokutil" },
	{ "gpu.kernel-floor", ct, same, OK, "i915" },
	{ "gpu.kernel-floor", ct, igpu_old_kernel, BROKEN, "5.17" },
	{ "gpu.driver", ct, same, OK, "i915" },
	{ "gpu.driver", ct, igpu_no_driver, BROKEN, "modprobe i915" },
	{ "gpu.driver", ct_nvidia, nouveau, BROKEN, "nouveau" },
	{ "gpu.nvidia-flavour", ct_nvidia, same, OK, "open" },
	{ "gpu.nvidia-flavour", ct_nvidia, card_is_pascal, BROKEN, "GSP" },
	{ "gpu.nvidia-flavour", ct_nvidia, card_is_blackwell_closed, BROKEN, "open module only" },
	{ "gpu.nvidia-branch", ct_nvidia, same, OK, "580.95.05" },
	{ "gpu.nvidia-branch", ct_nvidia, pascal_590, BROKEN, "580 is the last branch" },
	{ "gpu.kernel-bug", ct, same, OK, NULL },
	{ "gpu.kernel-bug", ct, igpu_bad_kernel, WARN, "5.19.17-2-pve" },
	{ "gpu.huc", ct, same, OK, NULL },
	{ "gpu.huc", ct, igpu_is_jasper, BROKEN, "enable_guc=2" },
	{ "gpu.huc", ct, igpu_is_jasper_with_guc, OK, NULL },
	{ "gpu.huc", ct, igpu_is_jasper_guc_waits, BROKEN, "a reboot is due" },
	{ "gpu.huc", ct, igpu_is_jasper_guc_unread, UNKNOWN_, "when i915 was loaded" },
	{ "vm.known", vm, same, OK, "emby" },
	{ "vm.known", vm, guest_unread, UNKNOWN_, "/etc/pve/qemu-server/100.conf" },
	{ "vm.lock", vm, same, OK, NULL },
	{ "vm.lock", vm, locked, BROKEN, "rollback" },
	{ "vm.lock", vm, locked_backup, WARN, "backup" },
	{ "vm.hostpci-valid", vm, same, OK, NULL },
	{ "vm.hostpci-valid", vm, both_named, BROKEN, NULL },
	{ "vm.address", vm, same, OK, NULL },
	{ "vm.address", vm, absent_address, BROKEN, "no such device" },
	{ "vm.address", vm, drifted, BROKEN, "set up for a GPU" },
	{ "vm.address", vm, takes_nvme, BROKEN, "root file system" },
	{ "vm.mapping", vm, same, OK, NULL },
	{ "vm.mapping", vm, map_other_id, BROKEN, "10de:2504" },
	{ "vm.mapping", vm, map_other_group, BROKEN, "iommugroup 13" },
	{ "vm.mapping", vm, no_mapping, BROKEN, "no mapping gpu0" },
	{ "vm.hostpci", vm, same, OK, "hostpci0" },
	{ "vm.hostpci", vm, not_given, BROKEN, "qm set 100 --hostpci0 0000:01:00.0" },
	{ "vm.hostpci", vm, started_without, WARN, "started without" },
	{ "vm.hostpci", vm, perhaps_started_without, OK, NULL },
	{ "vm.by-address", vm, same, OK, "gpu0" },
	{ "vm.by-address", vm, by_address, WARN, "by its address" },
	{ "vm.one-holder", vm, same, OK, NULL },
	{ "vm.one-holder", vm, second_vm, WARN, "vm/101" },
	{ "vm.one-holder", vm, second_vm_runs, BROKEN, "already in use by VMID 101" },
	{ "vm.one-holder", vm, guests_unknown, UNKNOWN_, NULL },
	{ "vm.pcie", vm, same, OK, NULL },
	{ "vm.pcie", vm, pcie_on_i440fx, BROKEN, "q35" },
	{ "vm.legacy-igd", vm, legacy_on_q35, BROKEN, "not with machine q35" },
	{ "vm.legacy-igd", vm, legacy_alone, WARN, NULL },
	{ "vm.igpu", vm, skylake_in_vm, OK, NULL },
	{ "vm.igpu", vm, igpu_in_vm, WARN, "CT" },
	{ "vm.x-vga", vm, same, OK, NULL },
	{ "vm.x-vga", vm, x_vga, WARN, NULL },
	{ "vm.rom", vm, same, OK, NULL },
	{ "vm.rom", vm, romfile, WARN, "vbios.rom" },
	{ "vm.display", vm, same, OK, NULL },
	{ "vm.display", vm, no_screen, WARN, NULL },
	{ "vm.args", vm, same, OK, NULL },
	{ "vm.args", vm, args_cpu, WARN, "second -cpu" },
	{ "vm.args", vm, args_alone, WARN, "behind Proxmox's back" },
	{ "vm.args", vm, args_vfio, BROKEN, "cannot open it twice" },
	{ "vm.args", vm, args_unbound, BROKEN, "Proxmox binds nothing for args" },
	{ "vm.given-once", vm, same, OK, NULL },
	{ "vm.given-once", vm, given_twice, BROKEN, "qm set 100 --delete hostpci1" },
	{ "vm.given-once", vm, given_in_parts, OK, NULL },
	{ "vm.given-once", vm, given_twice_until_the_next_start, OK, NULL },
	{ "vm.mdev", vm, sliced, OK, NULL },
	{ "vm.mdev", vm, not_sliced, BROKEN, "offers none" },
	{ "vm.mdev", vm, perhaps_sliced, UNKNOWN_, "could not be read" },
	{ "vm.hidden", vm, same, OK, NULL },
	{ "vm.hidden", vm, hidden, WARN, "hidden=1" },
	{ "vm.hidden", vm, args_cpu, WARN, "kvm=off" },
	{ "vm.address-width", vm, same, OK, NULL },
	{ "vm.address-width", vm, narrow, WARN, "phys-bits=39" },
	{ "vm.address-width", vm, narrow_limited, OK, NULL },
	{ "vm.address-width", vm, width_unknown, UNKNOWN_, NULL },
	{ "vm.memory", vm, same, OK, NULL },
	{ "vm.memory", vm, much_memory, BROKEN, "131072 MiB" },
	{ "vm.memory", vm, memory_unknown, UNKNOWN_, NULL },
	{ "vm.balloon", vm, same, OK, NULL },
	{ "vm.balloon", vm, balloon, WARN, "--balloon 0" },
	{ "vm.balloon", vm, balloon_default, WARN, NULL },
	{ "vm.hugepages", vm, hugepages_numa, OK, NULL },
	{ "vm.hugepages", vm, hugepages, BROKEN, "--numa 1" },
	{ "vm.secure-boot", vm, same, OK, NULL },
	{ "vm.secure-boot", vm, keys, WARN, "pre-enrolled-keys=1" },
	{ "vm.machine-switched", vm, same, OK, NULL },
	{ "vm.machine-switched", vm, switched, WARN, "snapshot before" },
	{ "vm.machine-switched", vm, will_switch, WARN, "next start" },
	{ "vm.snapshot-storage", vm, same, OK, NULL },
	{ "vm.snapshot-storage", vm, raw_on_dir, WARN, "scsi0 lies on local" },
	{ "vm.snapshot-storage", vm, qcow2_on_dir, OK, NULL },
	{ "vm.snapshot-storage", vm, storage_unknown, UNKNOWN_, "nas" },
	{ "vm.vmstate", vm, same, OK, NULL },
	{ "vm.vmstate", vm, vmstate, WARN, "snapshot ram" },
	{ "vm.pending", vm, same, OK, NULL },
	{ "vm.pending", vm, pending, WARN, "cores" },
	{ "vm.ha", vm, ha_mapped, OK, NULL },
	{ "vm.ha", vm, ha, WARN, NULL },
	{ "vm.onboot", vm, same, OK, NULL },
	{ "vm.onboot", vm, not_onboot, WARN, NULL },
	{ "vm.agent", vm, same, OK, NULL },
	{ "vm.agent", vm, no_agent, WARN, "--agent 1" },
	{ "vm.agent", vm, no_agent_but_reach, OK, NULL },
	{ "ct.known", ct, same, OK, NULL },
	{ "ct.known", ct, guest_unread, UNKNOWN_, NULL },
	{ "ct.lock", ct, same, OK, NULL },
	{ "ct.lock", ct, locked, BROKEN, "pct unlock 105" },
	{ "ct.version", ct, same, OK, NULL },
	{ "ct.version", ct, old_container, BROKEN, "5.0.7" },
	{ "ct.dev-valid", ct, same, OK, NULL },
	{ "ct.dev-valid", ct, device_unknown_property, BROKEN, "dev0.foo" },
	{ "ct.dev-valid", ct, device_without_path, BROKEN, "does not start" },
	{ "ct.version", ct, packages_unknown, UNKNOWN_, NULL },
	{ "ct.one-route", ct, same, OK, NULL },
	{ "ct.one-route", ct, ct_and_vm, WARN, "VM 101" },
	{ "ct.cgroup-v1", ct, same, OK, NULL },
	{ "ct.cgroup-v1", ct, cgroup1, BROKEN, "cgroup version 2" },
	{ "ct.cgroup-v1", ct, cgroup1_left, WARN, "do nothing" },
	{ "ct.idmap", ct, same, OK, NULL },
	{ "ct.idmap", ct, idmap_whole, OK, NULL },
	{ "ct.idmap", ct, idmap_cut, BROKEN, "group 105" },
	{ "ct.idmap", ct, idmap_garbled, BROKEN, "malformed" },
	{ "ct.node-exists", ct, same, OK, NULL },
	{ "ct.node-exists", ct, node_absent, BROKEN, "/dev/dri/renderD130" },
	{ "ct.node-exists", ct, node_unread, UNKNOWN_, NULL },
	{ "ct.node", ct, same, OK, NULL },
	{ "ct.node", ct, node_of_other, BROKEN, "belongs to 0000:01:00.0" },
	{ "ct.node-name", ct, same, OK, NULL },
	{ "ct.node-name", ct, two_nodes, WARN, "2 render nodes" },
	{ "ct.nvidia-uvm", ct_nvidia, same, OK, NULL },
	{ "ct.nvidia-uvm", ct_nvidia, uvm_missing, BROKEN, "nvidia-modprobe -u" },
	{ "ct.nvidia-boot", ct_nvidia, same, OK, NULL },
	{ "ct.nvidia-boot", ct_nvidia, uvm_by_unit, OK, NULL },
	{ "ct.nvidia-boot", ct_nvidia, uvm_no_rule, WARN, "70-nvidia.rules" },
	{ "ct.nvidia-boot", ct_nvidia, uvm_not_loaded, WARN, "70-nvidia.rules" },
	{ "ct.nvidia-boot", ct_nvidia, uvm_other_units, WARN, "70-nvidia.rules" },
	{ "ct.nvidia-boot", ct_nvidia, uvm_unit_behind_another, OK, NULL },
	{ "ct.nvidia-boot", ct_nvidia, uvm_persistenced, UNKNOWN_, NULL },
	{ "ct.nvidia-boot", ct_nvidia, uvm_rules_unread, UNKNOWN_, NULL },
	{ "ct.nvidia-nodes", ct_nvidia, same, OK, NULL },
	{ "ct.nvidia-nodes", ct_nvidia, uvm_not_given, BROKEN, "--dev2 /dev/nvidia-uvm" },
	{ "ct.raw-allow", ct_nvidia, same, OK, NULL },
	{ "ct.raw-allow", ct_nvidia, raw_major, BROKEN, "511:0" },
	{ "ct.raw-allow", ct_nvidia, raw_fits, WARN, "1 node(s)" },
	{ "ct.gid", ct, same, OK, NULL },
	{ "ct.gid", ct, gid_of_ssl_cert, BROKEN, "ssl-cert" },
	{ "ct.gid", ct, gid_none, WARN, "gid=110" },
	{ "ct.gid", ct, gid_none_native, BROKEN, "root alone" },
	{ "ct.gid", ct, groups_unread, UNKNOWN_, NULL },
	{ "ct.mode", ct, same, OK, NULL },
	{ "ct.mode", ct, mode_narrow, BROKEN, "mode=0600" },
	{ "ct.mode", ct, mode_wide, WARN, "mode=0666" },
	{ "ct.privileged", ct, same, OK, NULL },
	{ "ct.privileged", ct, privileged, WARN, NULL },
	{ "ct.nvidia-userspace", ct_nvidia, same, OK, NULL },
	{ "ct.nvidia-userspace", ct_nvidia, userspace_other, BROKEN, "580.95.04" },
	{ "ct.nvidia-userspace", ct_nvidia, userspace_none, BROKEN, "not installed" },
	{ "ct.nvidia-userspace", ct_nvidia, userspace_unknown, UNKNOWN_, NULL },
	{ "ct.pending", ct, same, OK, NULL },
	{ "ct.pending", ct, ct_pending, WARN, "cores" },
	{ "ct.onboot", ct, same, OK, NULL },
	{ "ct.onboot", ct, not_onboot, WARN, "pct set 105" },
	{ "inside.reached", vm, same, OK, NULL },
	{ "inside.reached", vm, not_reached, UNKNOWN_, "the guest agent does not answer" },
	{ "inside.reached", vm, stopped, UNKNOWN_, "it is stopped" },
	{ "inside.device", vm, same, OK, NULL },
	{ "inside.device", vm, not_seen, BROKEN, "10de:2803" },
	{ "inside.device", vm, not_seen_unread, UNKNOWN_, NULL },
	{ "inside.cloud-kernel", vm, same, OK, NULL },
	{ "inside.cloud-kernel", vm, cloud, WARN, "cloud" },
	{ "inside.cloud-kernel", vm_arc, cloud, BROKEN, "linux-generic" },
	{ "inside.secure-boot", vm, same, OK, NULL },
	{ "inside.secure-boot", vm, key_rejected, BROKEN, "Key was rejected" },
	{ "inside.kernel-floor", vm_arc, same, OK, NULL },
	{ "inside.kernel-floor", vm_arc, guest_old_kernel, BROKEN, "6.2" },
	{ "inside.kernel-bug", vm_arc, same, OK, NULL },
	{ "inside.kernel-bug", vm_arc, guest_bad_kernel, WARN, "6.6.26" },
	{ "inside.nvidia-messages", vm, same, OK, NULL },
	{ "inside.nvidia-messages", vm, needs_open, BROKEN, "open kernel module" },
	{ "inside.nvidia-messages", vm, dmesg_unread, UNKNOWN_, NULL },
	{ "inside.firmware", vm_arc, same, OK, NULL },
	{ "inside.firmware", vm_arc, guc_missing, BROKEN, "firmware-misc-nonfree" },
	{ "inside.firmware", vm_arc, huc_missing_low_power, BROKEN, "low-power" },
	{ "inside.firmware", ct, huc_missing_low_power, WARN, "HuC" },
	{ "inside.driver", vm, same, OK, "nvidia" },
	{ "inside.driver", vm, nouveau_inside, BROKEN, "nouveau" },
	{ "inside.driver", vm, driver_unread, UNKNOWN_, NULL },
	{ "inside.flavour", vm, same, OK, NULL },
	{ "inside.flavour", vm, pascal_open_inside, BROKEN, "GSP" },
	{ "inside.branch", vm, same, OK, NULL },
	{ "inside.branch", vm, pascal_590_inside, BROKEN, "580" },
	{ "inside.branch", vm, branch_unknown, UNKNOWN_, NULL },
	{ "inside.render", vm, same, OK, NULL },
	{ "inside.render", vm, uvm_missing_inside, BROKEN, "/dev/nvidia-uvm" },
	{ "inside.render", vm_arc, same, OK, NULL },
	{ "inside.render", vm_arc, only_card0, BROKEN, "card0" },
	{ "inside.render", vm_arc, render_unread, UNKNOWN_, NULL },
	{ "inside.render-group", ct, same, OK, NULL },
	{ "inside.render-group", ct, nobody, BROKEN, "nobody" },
	{ "inside.render-group", ct, ssl_cert, WARN, "ssl-cert" },
	{ "inside.nvidia-userspace", vm, same, OK, NULL },
	{ "inside.nvidia-userspace", vm, userspace_other, BROKEN, "mismatch" },
	{ "inside.nvidia-libraries", vm, same, OK, NULL },
	{ "inside.nvidia-libraries", vm, no_encode_library, BROKEN, "libnvidia-encode.so.1" },
	{ "inside.nvidia-libraries", vm, libraries_unread, UNKNOWN_, NULL },
	{ "inside.nvidia-smi", vm, same, OK, NULL },
	{ "inside.nvidia-smi", vm, smi_fails, BROKEN, "Unknown Error" },
	{ "inside.nvidia-smi", vm, smi_not_run, UNKNOWN_, NULL },
	{ "inside.sessions", vm, same, OK, "8" },
	{ "inside.sessions", vm, old_driver, WARN, "only 5" },
	{ "inside.media-driver", ct, same, OK, NULL },
	{ "inside.media-driver", ct, no_media_driver, WARN, "intel-media-va-driver-non-free" },
	{ "inside.media-driver", ct, packages_unread, UNKNOWN_, NULL },
	{ "inside.vainfo", ct, same, OK, "EncSliceLP" },
	{ "inside.vainfo", ct, vainfo_fails, BROKEN, "va_openDriver" },
	{ "inside.vainfo", ct, vainfo_decodes_only, WARN, "neither" },
	{ "inside.vainfo", ct, vainfo_not_run, UNKNOWN_, NULL },
	{ "inside.qsv-runtime", ct, same, OK, NULL },
	{ "inside.qsv-runtime", ct, no_qsv_runtime, WARN, "libmfx-gen1.2" },
	{ "inside.qsv-runtime", ct, no_qsv_own_ffmpeg, BROKEN, "MFX session" },
	{ "inside.docker-snap", vm, same, OK, NULL },
	{ "inside.docker-snap", vm, snap, BROKEN, NULL },
	{ "inside.toolkit", vm, same, OK, NULL },
	{ "inside.toolkit", vm, no_toolkit, BROKEN, "signed-by" },
	{ "inside.toolkit", vm, toolkit_unread, UNKNOWN_, NULL },
	{ "inside.docker-runtime", vm, same, OK, NULL },
	{ "inside.docker-runtime", vm, no_runtime, BROKEN, "nvidia-ctk runtime configure" },
	{ "inside.docker-runtime", vm, runtimes_unread, UNKNOWN_, NULL },
	{ "inside.docker-request", vm, same, OK, "emby" },
	{ "inside.docker-request", vm, no_request, BROKEN, "capabilities: [gpu, video]" },
	{ "inside.docker-request", vm, service_missing, BROKEN, "embyserver" },
	{ "inside.docker-video", vm, same, OK, NULL },
	{ "inside.docker-video", vm, no_video, BROKEN, "libnvidia-encode" },
	{ "inside.docker-group", ct, dri_container, OK, NULL },
	{ "inside.docker-group", ct, dri_container_no_group, WARN, "group_add: [\"110\"]" },
	{ "inside.docker-cgroup", vm, same, OK, NULL },
	{ "inside.docker-cgroup", vm, systemd_cgroup, WARN, "daemon-reload" },
	{ "inside.docker-cgroup", vm, systemd_cgroup_unread, UNKNOWN_, NULL },
	{ "inside.no-cgroups", ct_nvidia, same, OK, NULL },
	{ "inside.no-cgroups", ct_nvidia, cgroups_in_ct, BROKEN, "bpf_prog_query" },
	{ "inside.no-cgroups", vm, no_cgroups_in_vm, WARN, NULL },
	{ "inside.no-cgroups", vm, no_cgroups_unread, UNKNOWN_, NULL },
	{ "inside.containerd", ct_nvidia, containerd_good, OK, NULL },
	{ "inside.containerd", ct_nvidia, containerd_bad, BROKEN, "1.7.29-1" },
};

static struct lab *lab_new(void (*base)(struct lab *), void (*change)(struct lab *))
{
	struct lab *lab = calloc(1, sizeof *lab);
	base(lab);
	change(lab);
	return lab;
}

static void lab_free(struct lab *lab)
{
	arena_release(&lab->arena);
	free(lab);
}

static const struct finding *finding_of(const struct report *report, const char *rule, enum verdict verdict)
{
	const struct finding *any = NULL;
	for (size_t i = 0; i < report->n; i++) {
		if (strcmp(report->findings[i].rule->id, rule) != 0)
			continue;
		any = &report->findings[i];
		if (any->verdict == verdict)
			return any;
	}
	return any;
}

static const char *const names[] = { "unknown", "ok", "warn", "broken", "skipped" };

static void test_cases(void **state)
{
	(void)state;
	unsigned failed = 0;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct lab *lab = lab_new(cases[i].base, cases[i].change);
		struct report report;
		rules_run(&lab->facts, &lab->goal, &lab->arena, &report);
		const struct finding *finding = finding_of(&report, cases[i].rule, cases[i].verdict);
		if (!finding || finding->verdict != cases[i].verdict) {
			print_error("case %zu: %s: %s instead of %s (%s)\n", i, cases[i].rule,
			        finding ? names[finding->verdict] : "not asked", names[cases[i].verdict],
			        finding ? finding->why : "");
			failed++;
		} else if (cases[i].says && !strstr(finding->why, cases[i].says) &&
		           !(finding->cure && strstr(finding->cure, cases[i].says))) {
			print_error("case %zu: %s does not say \"%s\": %s\n%s\n", i, cases[i].rule, cases[i].says,
			        finding->why, finding->cure ? finding->cure : "");
			failed++;
		}
		lab_free(lab);
	}
	assert_int_equal(failed, 0);
}

/* Rules that no machine can hold with a clean "ok", or cannot break: said here, so that none is forgotten. */
static bool needs_ok(const char *id)
{
	return strcmp(id, "vm.legacy-igd") != 0; /* without legacy-igd it is not asked, with it at best a warning */
}

static bool needs_bad(const char *id)
{
	return strcmp(id, "vm.known") != 0 && strcmp(id, "ct.known") != 0 && strcmp(id, "inside.reached") != 0;
}

static void test_every_rule_has_cases(void **state)
{
	(void)state;
	for (const struct rule *const *table = rules_tables; *table; table++)
		for (const struct rule *rule = *table; rule->id; rule++) {
			bool ok = false, bad = false;
			for (size_t i = 0; i < COUNT(cases); i++) {
				if (strcmp(cases[i].rule, rule->id) != 0)
					continue;
				ok |= cases[i].verdict == VERDICT_OK;
				bad |= cases[i].verdict == VERDICT_BROKEN || cases[i].verdict == VERDICT_WARN;
			}
			if (ok != needs_ok(rule->id) || bad != needs_bad(rule->id))
				fail_msg("%s has %s", rule->id,
				        ok ? "no machine that breaks it" : "no machine on which it holds");
		}
	for (size_t i = 0; i < COUNT(cases); i++)
		if (!rules_find(cases[i].rule))
			fail_msg("case %zu names no rule: %s", i, cases[i].rule);
}

/* The working machines work: nothing is broken or unknown. */
static void test_bases_hold(void **state)
{
	(void)state;
	void (*const bases[])(struct lab *) = { vm, vm_arc, ct, ct_nvidia };
	for (size_t b = 0; b < COUNT(bases); b++) {
		struct lab *lab = lab_new(bases[b], same);
		struct report report;
		rules_run(&lab->facts, &lab->goal, &lab->arena, &report);
		for (size_t i = 0; i < report.n; i++)
			if (report.findings[i].verdict != VERDICT_OK && report.findings[i].verdict != VERDICT_WARN)
				print_error("base %zu: %s: %s: %s\n", b, report.findings[i].rule->id,
				        names[report.findings[i].verdict], report.findings[i].why);
		assert_int_equal(report.verdict, VERDICT_OK);
		assert_null(report.first_broken);
		assert_true(report.asked);
		lab_free(lab);
	}
}

static void test_tables(void **state)
{
	(void)state;
	for (const struct rule *const *table = rules_tables; *table; table++)
		for (const struct rule *rule = *table; rule->id; rule++) {
			assert_ptr_equal(rules_find(rule->id), rule); /* the first of that id: ids are unique */
			assert_true(rule->about != ABOUT_UNKNOWN);
			assert_non_null(rule->check);
			assert_true(rule->asks[strlen(rule->asks) - 1] == '?');
			assert_non_null(rule->explains);
			assert_non_null(rule->source);
			for (unsigned i = 0; i < RULE_NEEDS_MAX && rule->needs[i]; i++) {
				const struct rule *need = rules_find(rule->needs[i]);
				if (!need)
					fail_msg("%s needs %s, which does not exist", rule->id, rule->needs[i]);
				bool earlier = false;
				for (const struct rule *const *t = rules_tables; *t && !earlier; t++)
					for (const struct rule *r = *t; r->id && r != rule; r++)
						earlier |= r == need;
				bool before = false; /* need comes before rule in the chain */
				for (const struct rule *const *t = rules_tables; *t; t++) {
					const struct rule *r = *t;
					for (; r->id && r != rule && r != need; r++)
						;
					if (r == need) {
						before = true;
						break;
					}
					if (r == rule)
						break;
				}
				if (!before || !earlier)
					fail_msg("%s needs %s, which comes later", rule->id, rule->needs[i]);
			}
		}
}

static void test_pains(void **state)
{
	(void)state;
	bool seen[53] = { 0 };
	for (const struct rule *const *table = rules_tables; *table; table++)
		for (const struct rule *rule = *table; rule->id; rule++)
			for (unsigned i = 0; i < RULE_PAINS_MAX && rule->pains[i]; i++) {
				assert_in_range(rule->pains[i], 1, 52);
				seen[rule->pains[i]] = true;
			}
	for (const struct unshowable *item = rules_unshowable; item->pain; item++) {
		assert_in_range(item->pain, 1, 52);
		assert_false(seen[item->pain]);
		assert_non_null(item->why);
		seen[item->pain] = true;
	}
	for (unsigned pain = 1; pain <= 52; pain++)
		if (!seen[pain])
			fail_msg("%u is answered by no rule", pain);
	unsigned n = 0;
	while (rules_pains[n + 1])
		n++;
	assert_int_equal(n, 52);
}

/* What is broken says what to do; no cure cuts anyone's power. */
static void test_cures(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct lab *lab = lab_new(cases[i].base, cases[i].change);
		struct report report;
		rules_run(&lab->facts, &lab->goal, &lab->arena, &report);
		for (size_t f = 0; f < report.n; f++) {
			const struct finding *finding = &report.findings[f];
			const char *cure = finding->cure ? finding->cure : "";
			if ((finding->verdict == VERDICT_BROKEN || finding->verdict == VERDICT_WARN) && !*cure)
				fail_msg("%s is %s without a cure: %s", finding->rule->id, names[finding->verdict],
				        finding->why);
			if (finding->verdict == VERDICT_OK && *cure)
				fail_msg("%s is ok with a cure", finding->rule->id);
			assert_null(strstr(cure, "qm stop"));
			assert_null(strstr(cure, "pct stop"));
			assert_null(strstr(cure, "--force "));
			assert_non_null(finding->why);
			assert_true(*finding->why != '\0');
		}
		lab_free(lab);
	}
}

/* Nothing is known: nothing is fine and nothing is broken. */
static void test_unknown(void **state)
{
	(void)state;
	struct lab *lab = lab_new(vm, same);
	struct facts nothing = { .host = { .memory_kib = UNKNOWN_NUMBER,
		                         .cpu = { .physical_bits = UNKNOWN_NUMBER, .virtual_bits = UNKNOWN_NUMBER } },
		.pci = { .iommu_address_bits = UNKNOWN_NUMBER },
		.boot = { .config_mtime = UNKNOWN_NUMBER } };
	struct pci_device device = { .address = "0000:01:00.0",
		.bus = 1,
		.vendor = UNKNOWN_NUMBER,
		.device = UNKNOWN_NUMBER,
		.subsystem_vendor = UNKNOWN_NUMBER,
		.subsystem_device = UNKNOWN_NUMBER,
		.class_code = 0x030000 };
	const struct pci_device *functions[] = { &device };
	for (unsigned v = 0; v < 4; v++) {
		static const char *const vendors[] = { "nvidia", "intel", "amd", "other" };
		static const int64_t ids[] = { 0x10de, 0x8086, 0x1002, 0x1a03 };
		device.vendor = ids[v];
		device.device = 0xfffe;
		struct gpu gpu = { .pci = &device,
			.vendor = vendors[v],
			.functions = functions,
			.n_functions = 1,
			.model = gpu_model(ids[v], 0xfffe, 0x030000) };
		struct facts facts = nothing;
		facts.pci.devices = &device;
		facts.pci.n = 1;
		facts.gpus = &gpu;
		facts.n_gpus = 1;
		struct guest guests[] = { { .kind = GUEST_VM, .id = 100, .pid = UNKNOWN_NUMBER },
			{ .kind = GUEST_CT, .id = 105, .pid = UNKNOWN_NUMBER } };
		facts.pve.guests = guests;
		facts.pve.n_guests = 2;
		for (unsigned g = 0; g < 3; g++) {
			struct goal goal;
			goal_init(&goal);
			if (g < 2) {
				goal.gpu = "0000:01:00.0";
				goal.into = guests[g].kind;
				goal.into_id = guests[g].id;
			}
			struct report report;
			rules_run(&facts, &goal, &lab->arena, &report);
			assert_true(report.n > 5);
			assert_int_equal(report.verdict, VERDICT_UNKNOWN);
			for (size_t i = 0; i < report.n; i++) {
				const struct finding *finding = &report.findings[i];
				if (finding->rule->about != ABOUT_GOAL && finding->verdict != VERDICT_UNKNOWN &&
				        finding->verdict != VERDICT_SKIPPED)
					fail_msg("%s: %s is %s although nothing is known: %s", vendors[v],
					        finding->rule->id, names[finding->verdict], finding->why);
			}
		}
	}
	lab_free(lab);
}

static void test_prerequisites(void **state)
{
	(void)state;
	struct lab *lab = lab_new(vm, iommu_off);
	struct report report;
	rules_run(&lab->facts, &lab->goal, &lab->arena, &report);
	assert_int_equal(report.verdict, VERDICT_BROKEN);
	assert_string_equal(report.first_broken->rule->id, "node.iommu");
	const struct finding *group = finding_of(&report, "gpu.group", VERDICT_SKIPPED);
	assert_non_null(group);
	assert_int_equal(group->verdict, VERDICT_SKIPPED);
	assert_non_null(strstr(group->why, "node.iommu does not hold"));
	assert_non_null(strstr(finding_of(&report, "gpu.acs", VERDICT_SKIPPED)->why, "node.iommu does not hold"));
	lab_free(lab);
	lab = lab_new(vm, wrong_file); /* the wrong file comes first: it is the cause */
	rules_run(&lab->facts, &lab->goal, &lab->arena, &report);
	assert_string_equal(report.first_broken->rule->id, "node.boot-file");
	lab_free(lab);
}

static void test_accept(void **state)
{
	(void)state;
	struct lab *lab = lab_new(vm, shared);
	struct report report;
	lab->goal.accept = words_of(lab, "gpu.group");
	rules_run(&lab->facts, &lab->goal, &lab->arena, &report);
	const struct finding *finding = finding_of(&report, "gpu.group", VERDICT_WARN);
	assert_int_equal(finding->verdict, VERDICT_WARN);
	assert_non_null(strstr(finding->why, "accepted in the goal"));
	assert_int_equal(report.verdict, VERDICT_OK);
	lab_free(lab);
	lab = lab_new(vm, shared_nic); /* what the node lives on cannot be accepted away */
	lab->goal.accept = words_of(lab, "gpu.group gpu.group-needs");
	rules_run(&lab->facts, &lab->goal, &lab->arena, &report);
	assert_int_equal(finding_of(&report, "gpu.group-needs", VERDICT_BROKEN)->verdict, VERDICT_BROKEN);
	assert_string_equal(report.first_broken->rule->id, "goal.accept");
	lab_free(lab);
}

/* Nobody asks for a GPU in a guest: nothing is broken. */
static void test_informs(void **state)
{
	(void)state;
	void (*const changes[])(struct lab *) = { iommu_off, shared_nic, acs, no_encoder, no_tables };
	for (size_t c = 0; c < COUNT(changes); c++) {
		struct lab *lab = lab_new(vm, changes[c]);
		lab->facts.pve.n_guests = 0;
		struct report report;
		rules_run(&lab->facts, &lab->goal, &lab->arena, &report);
		assert_false(report.asked);
		assert_null(report.first_broken);
		bool hinders = false;
		for (size_t i = 0; i < report.n; i++)
			hinders |= report.findings[i].verdict == VERDICT_WARN &&
			           strstr(report.findings[i].why, "would hinder");
		assert_true(hinders);
		lab_free(lab);
	}
	/* what is softened still hinders what needs it */
	struct lab *lab = lab_new(vm, iommu_off);
	lab->facts.pve.n_guests = 0;
	struct report report;
	rules_run(&lab->facts, &lab->goal, &lab->arena, &report);
	assert_int_equal(finding_of(&report, "node.iommu", VERDICT_WARN)->verdict, VERDICT_WARN);
	assert_int_equal(finding_of(&report, "gpu.group", VERDICT_SKIPPED)->verdict, VERDICT_SKIPPED);
	lab_free(lab);
}

static void test_goal_auto(void **state)
{
	(void)state;
	struct lab *lab = lab_new(vm, goal_vm);
	struct answer answer = { .arena = &lab->arena };
	const struct gpu *gpu = NULL;
	assert_int_equal(rules_goal_gpu(&lab->facts, &lab->goal, &lab->guests[0], &answer, &gpu), VERDICT_OK);
	assert_ptr_equal(gpu, &lab->gpus[0]); /* the guest has it already */
	not_given(lab);
	lab->goal.gpu = "auto";
	gpu = NULL;
	assert_int_equal(rules_goal_gpu(&lab->facts, &lab->goal, &lab->guests[0], &answer, &gpu), VERDICT_BROKEN);
	assert_null(gpu); /* two fit: nobody chooses for the user */
	assert_non_null(strstr(answer.why, "2 GPUs fit"));
	lab->gpus[1].boot_display = YES;
	assert_int_equal(rules_goal_gpu(&lab->facts, &lab->goal, &lab->guests[0], &answer, &gpu), VERDICT_OK);
	assert_ptr_equal(gpu, &lab->gpus[0]); /* the other is the node's screen */
	lab->facts.gpus_known = UNKNOWN;
	gpu = NULL;
	assert_int_equal(rules_goal_gpu(&lab->facts, &lab->goal, &lab->guests[0], &answer, &gpu), VERDICT_UNKNOWN);
	assert_null(gpu);
	lab_free(lab);
}

/* Foreign text stays harmless, and short. */
static void test_hostile(void **state)
{
	(void)state;
	struct lab *lab = lab_new(vm, same);
	char *nasty = arena_alloc(&lab->arena, 100001);
	memset(nasty, 'A', 100000);
	memcpy(nasty, "\033[2J\nrm -rf /\xff", 14);
	lab->gpus[0].hot_release = NO;
	lab->devices[0].driver = nasty;
	lab->gpus[0].hot_why = nasty;
	BOOT.kernel_next = nasty;
	INSIDE.nvidia_smi = nasty;
	lab->container.name = nasty;
	lab->container.gpu_request = "";
	struct report report;
	rules_run(&lab->facts, &lab->goal, &lab->arena, &report);
	for (size_t i = 0; i < report.n; i++) {
		const char *text[] = { report.findings[i].why, report.findings[i].cure ? report.findings[i].cure : "" };
		for (unsigned t = 0; t < 2; t++) {
			assert_null(strchr(text[t], '\033'));
			assert_true(text_is_utf8(bytes_of(text[t])));
			assert_true(strlen(text[t]) < 20000);
			assert_null(strstr(text[t], "\nrm -rf"));
		}
		assert_null(strchr(report.findings[i].why, '\n'));
	}
	json_t *document = rules_json(&report, &lab->facts);
	assert_string_equal(json_string_at(document, "verdict"), "broken");
	json_decref(document);
	lab_free(lab);
}

static void test_json(void **state)
{
	(void)state;
	struct lab *lab = lab_new(vm, iommu_off);
	struct report report;
	rules_run(&lab->facts, &lab->goal, &lab->arena, &report);
	json_t *document = rules_json(&report, &lab->facts);
	assert_string_equal(json_string_at(document, "schema"), "gpuferry.verify/1");
	assert_string_equal(json_string_at(document, "verdict"), "broken");
	assert_string_equal(json_string_at(document, "first_broken"), "node.iommu");
	const json_t *findings = json_object_get(document, "findings");
	assert_int_equal(json_array_size(findings), report.n);
	static const char *const keys[] = { "rule", "asks", "verdict", "why", "cure" };
	for (size_t i = 0; i < json_array_size(findings); i++)
		for (size_t k = 0; k < COUNT(keys); k++)
			assert_true(json_is_string(json_object_get(json_array_get(findings, i), keys[k])));
	json_decref(document);
	lab_free(lab);
}

/* docs/rules.md is the tables; GPUFERRY_UPDATE=1 writes it anew. */
static void test_document(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	const char *source = getenv("GPUFERRY_SOURCE"), *update = getenv("GPUFERRY_UPDATE");
	if (!source) {
		print_message("GPUFERRY_SOURCE is not set\n");
		skip();
	}
	const char *path = arena_printf(&arena, "%s/docs/rules.md", source), *document = rules_document(&arena);
	if (update && *update) {
		FILE *file = fopen(path, "w");
		assert_non_null(file);
		fputs(document, file);
		assert_int_equal(fclose(file), 0);
	}
	struct bytes have = test_read(&arena, path);
	assert_string_equal(have.data, document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_pains),
		cmocka_unit_test(test_every_rule_has_cases),
		cmocka_unit_test(test_bases_hold),
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_cures),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_prerequisites),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_informs),
		cmocka_unit_test(test_goal_auto),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_document),
	};
	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
