/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * QEMU's command line, as far as a GPU and the shape of a common VM decide it. Source: qemu-server PVE/QemuServer.pm
 * (config_to_command), PVE/QemuServer/PCI.pm, CPUConfig.pm, OVMF.pm, Blockdev.pm; sessions s1, s2.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rehearse/pve.h"

struct show {
	struct model_call *call;
	const struct pve_file *file;
	const struct pve_part *part;
	struct words line;
	struct pve_pcis pcis;
	bool q35, ovmf, hidden; /* hidden: kvm=off */
	int version;
	const char *vga;
};

#define SHOW(show, ...) MODEL_PRINT((show)->call->rehearse, __VA_ARGS__)

static void put(struct show *show, const char *option, const char *value)
{
	struct arena *arena = show->call->rehearse->arena;
	*arena_push(arena, show->line.word, show->line.n) = option;
	if (value)
		*arena_push(arena, show->line.word, show->line.n) = value;
}

static const char *get(const struct show *show, const char *name, const char *otherwise)
{
	const char *value = pve_get(show->part, name);
	return value ? value : otherwise;
}

/* ---- drives ---- */

/* "local:100/vm-100-disk-0.qcow2,..." as a path and a format. */
static const char *drive_path(struct show *show, const char *value, const char **ret_format)
{
	struct rehearse *rehearse = show->call->rehearse;
	const char *volume = SHOW(show, "%.*s", (int)strcspn(value, ","), value), *colon = strchr(volume, ':');
	const char *text = model_text(rehearse, "/etc/pve/storage.cfg");
	struct pve pve = { 0 };
	*ret_format = text_ends(volume, ".qcow2") ? "qcow2" : "raw";
	if (text)
		pve_parse_storages((struct bytes){ text, strlen(text) }, rehearse->arena, &pve);
	for (size_t i = 0; colon && i < pve.n_storages; i++)
		if (text_starts(volume, SHOW(show, "%s:", pve.storages[i].id)))
			return *pve.storages[i].path ? SHOW(show, "%s/images/%s", pve.storages[i].path, colon + 1)
			                             : SHOW(show, "/dev/pve/%s", colon + 1);
	return volume;
}

/* "e" and 31 digits of a hash of what it is for; a name of its own, not PVE's hash. */
static const char *node_name(struct show *show, const char *what, char first)
{
	return SHOW(show, "%c%.30s", first, pve_sha1(what, show->call->rehearse->arena));
}

static const char *blockdev(struct show *show, const char *key, const char *path, const char *format, bool direct)
{
	const char *cache = SHOW(show, "{\"direct\":%s,\"no-flush\":false}", direct ? "true" : "false");
	return SHOW(show,
	        "{\"detect-zeroes\":\"on\",\"discard\":\"ignore\",\"driver\":\"throttle\",\"file\":{\"cache\":%s,"
	        "\"detect-zeroes\":\"on\",\"discard\":\"ignore\",\"driver\":\"%s\",\"file\":{\"aio\":\"io_uring\","
	        "\"cache\":%s,\"detect-zeroes\":\"on\",\"discard\":\"ignore\",\"driver\":\"file\",\"filename\":\"%s\","
	        "\"node-name\":\"%s\",\"read-only\":false},\"node-name\":\"%s\",\"read-only\":false},\"node-name\":"
	        "\"drive-%s\",\"read-only\":false,\"throttle-group\":\"throttle-drive-%s\"}",
	        cache, format, cache, path, node_name(show, key, 'e'), node_name(show, key, 'f'), key, key);
}

static void put_throttle(struct show *show, const char *key)
{
	put(show, "-object",
	        SHOW(show, "{\"id\":\"throttle-drive-%s\",\"limits\":{},\"qom-type\":\"throttle-group\"}", key));
}

static void put_firmware(struct show *show)
{
	static const char code[] = "/usr/share/pve-edk2-firmware//OVMF_CODE_4M.secboot.fd";
	const char *efi = get(show, "efidisk0", NULL), *format = "raw";
	if (!show->ovmf)
		return;
	const char *path = efi ? drive_path(show, efi, &format) : SHOW(show, "/tmp/%u-ovmf.fd", show->file->id);
	if (show->version < 9) {
		put(show, "-drive", SHOW(show, "if=pflash,unit=0,format=raw,readonly=on,file=%s", code));
		put(show, "-drive", SHOW(show, "if=pflash,unit=1,id=drive-efidisk0,format=%s,file=%s", format, path));
		return;
	}
	put_throttle(show, "efidisk0");
	put(show, "-blockdev",
	        SHOW(show,
	                "{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"%s\"},\"node-name\":"
	                "\"pflash0\",\"read-only\":true}",
	                code));
	put(show, "-blockdev", blockdev(show, "efidisk0", path, format, false));
}

static void put_disks(struct show *show)
{
	unsigned boot = 100;
	const char *order = get(show, "boot", "");
	for (unsigned i = 0; i < 31; i++) {
		const char *key = SHOW(show, "scsi%u", i), *value = get(show, key, NULL), *format;
		if (!value)
			continue;
		const char *path = drive_path(show, value, &format), *index = "";
		if (strstr(order, key))
			index = SHOW(show, ",bootindex=%u", boot++);
		put(show, "-device", SHOW(show, "virtio-scsi-pci,id=virtioscsi%u,bus=pci.3,addr=0x%x", i, i + 1));
		const char *place = SHOW(show,
		        "scsi-hd,bus=virtioscsi%u.0,channel=0,scsi-id=0,lun=%u,drive=drive-%s,id=%s", i, i, key, key);
		if (show->version >= 9) {
			put(show, "-blockdev", blockdev(show, key, path, format, true));
			put(show, "-device", SHOW(show, "%s,device_id=drive-%s%s,write-cache=on", place, key, index));
			continue;
		}
		put(show, "-drive",
		        SHOW(show, "file=%s,if=none,id=drive-%s,format=%s,cache=none,aio=io_uring,detect-zeroes=on",
		                path, key, format));
		put(show, "-device", SHOW(show, "%s%s", place, index));
	}
}

/* ---- cpu, devices ---- */

static void put_cpu(struct show *show)
{
	const char *cpu = get(show, "cpu", "kvm64");
	struct pve_properties set = pve_parse_properties(cpu, "cputype", show->call->rehearse->arena);
	const char *type = pve_property(&set, "cputype"), *flags = pve_property(&set, "flags");
	type = type ? type : "kvm64";
	bool hidden = show->hidden || pve_boolean(pve_property(&set, "hidden")) == YES;
	bool host = strcmp(type, "host") == 0;
	const char *text = host ? "host" : SHOW(show, "%s,enforce", type);
	if (hidden)
		text = SHOW(show, "%s,kvm=off", text);
	text = SHOW(show, "%s,+kvm_pv_eoi,+kvm_pv_unhalt", text);
	if (!host)
		text = SHOW(show, "%s,+lahf_lm", text);
	struct words more = text_split(show->call->rehearse->arena, flags ? flags : "", ";");
	for (size_t i = 0; i < more.n; i++)
		text = SHOW(show, "%s,%s", text, more.word[i]);
	put(show, "-cpu", host ? text : SHOW(show, "%s,+sep", text));
}

static void put_pci(struct show *show)
{
	static const char *const options[] = { "vendor-id", "device-id", "sub-vendor-id", "sub-device-id" };
	for (size_t i = 0; i < show->pcis.n; i++) {
		const struct pve_pci *pci = &show->pcis.pci[i];
		bool several = pci->addresses.n > 1, pcie = pve_boolean(pve_property(&pci->set, "pcie")) == YES;
		bool igd = pve_boolean(pve_property(&pci->set, "legacy-igd")) == YES;
		for (size_t j = 0; j < pci->addresses.n; j++) {
			const char *function = several ? SHOW(show, ".%zu", j) : "";
			const char *at = pcie  ? SHOW(show, "bus=ich9-pcie-port-%u,addr=0x0", pci->index + 1)
			                 : igd ? "bus=pci.0,addr=0x2"
			                       : SHOW(show, "bus=pci.0,addr=0x%x", pci->index + 16);
			const char *text = SHOW(show, "vfio-pci,host=%s,id=hostpci%u%s,%s%s", pci->addresses.word[j],
			        pci->index, function, at, function);
			if (j == 0 && pve_boolean(pve_property(&pci->set, "rombar")) == NO)
				text = SHOW(show, "%s,rombar=0", text);
			if (j == 0 && pve_boolean(pve_property(&pci->set, "x-vga")) == YES && !show->ovmf)
				text = SHOW(show, "%s,x-vga=on", text);
			if (j == 0 && several)
				text = SHOW(show, "%s,multifunction=on", text);
			const char *rom = pve_property(&pci->set, "romfile");
			if (j == 0 && rom)
				text = SHOW(show, "%s,romfile=/usr/share/kvm/%s", text, rom);
			for (size_t k = 0; j == 0 && k < 4; k++) {
				const char *value = pve_property(&pci->set, options[k]);
				text = value ? SHOW(show, "%s,x-pci-%s=%s", text, options[k], value) : text;
			}
			put(show, "-device", text);
		}
	}
}

static void put_agent(struct show *show)
{
	const char *agent = get(show, "agent", "0");
	struct pve_properties set = pve_parse_properties(agent, "enabled", show->call->rehearse->arena);
	if (pve_boolean(pve_property(&set, "enabled")) != YES)
		return;
	put(show, "-chardev",
	        SHOW(show, "socket,path=/var/run/qemu-server/%u.qga,server=on,wait=off,id=qga0", show->file->id));
	put(show, "-device", "virtio-serial,id=qga0,bus=pci.0,addr=0x8");
	put(show, "-device", "virtserialport,chardev=qga0,name=org.qemu.guest_agent.0");
}

static void put_net(struct show *show)
{
	const char *net = get(show, "net0", NULL), *equals = net ? strchr(net, '=') : NULL;
	unsigned id = show->file->id;
	if (!equals)
		return;
	const char *mac = SHOW(show, "%.*s", (int)strcspn(equals + 1, ","), equals + 1);
	bool first = strstr(get(show, "boot", ""), "net0") != NULL;
	put(show, "-netdev",
	        SHOW(show,
	                "type=tap,id=net0,ifname=tap%ui0,script=/usr/libexec/qemu-server/pve-bridge,"
	                "downscript=/usr/libexec/qemu-server/pve-bridgedown",
	                id));
	put(show, "-device",
	        SHOW(show,
	                "virtio-net-pci,mac=%s,netdev=net0,bus=pci.0,addr=0x12,id=net0,rx_queue_size=1024,"
	                "tx_queue_size=256%s%s",
	                mac, first ? ",bootindex=101" : "", show->version >= 9 ? ",host_mtu=1500" : ""));
}

static void put_begin(struct show *show)
{
	unsigned id = show->file->id;
	const char *smbios = get(show, "smbios1", NULL);
	put(show, "/usr/bin/kvm", NULL);
	put(show, "-id", SHOW(show, "%u", id));
	put(show, "-name", SHOW(show, "%s,debug-threads=on", get(show, "name", SHOW(show, "vm%u", id))));
	put(show, "-no-shutdown", NULL);
	put(show, "-chardev", SHOW(show, "socket,id=qmp,path=/var/run/qemu-server/%u.qmp,server=on,wait=off", id));
	put(show, "-mon", "chardev=qmp,mode=control");
	put(show, "-chardev", "socket,id=qmp-event,path=/var/run/qmeventd.sock,reconnect-ms=5000");
	put(show, "-mon", "chardev=qmp-event,mode=control");
	put(show, "-pidfile", SHOW(show, "/var/run/qemu-server/%u.pid", id));
	put(show, "-daemonize", NULL);
	if (smbios)
		put(show, "-smbios", SHOW(show, "type=1,%s", smbios));
	put_firmware(show);
	const char *cores = get(show, "cores", "1"), *sockets = get(show, "sockets", "1");
	unsigned all = model_number(cores) * model_number(sockets);
	put(show, "-smp", SHOW(show, "%u,sockets=%s,cores=%s,maxcpus=%u", all, sockets, cores, all));
	put(show, "-nodefaults", NULL);
	put(show, "-boot", "menu=on,strict=on,reboot-timeout=1000,splash=/usr/share/qemu-server/bootsplash.jpg");
	if (strcmp(show->vga, "none") == 0) {
		put(show, "-vga", "none");
		put(show, "-nographic", NULL);
	} else {
		put(show, "-vnc", SHOW(show, "unix:/var/run/qemu-server/%u.vnc,password=on", id));
	}
}

static void put_devices(struct show *show)
{
	const char *vmgenid = get(show, "vmgenid", NULL), *balloon = get(show, "balloon", NULL);
	if (show->q35) {
		put(show, "-global", "ICH9-LPC.disable_s3=1");
		put(show, "-global", "ICH9-LPC.disable_s4=1");
	} else {
		put(show, "-global", "PIIX4_PM.disable_s3=1");
		put(show, "-global", "PIIX4_PM.disable_s4=1");
	}
	if (show->q35)
		put(show, "-readconfig", "/usr/share/qemu-server/pve-q35-4.0.cfg");
	if (vmgenid)
		put(show, "-device", SHOW(show, "vmgenid,guid=%s", vmgenid));
	put(show, "-device",
	        show->q35 ? "usb-tablet,id=tablet,bus=ehci.0,port=1" : "usb-tablet,id=tablet,bus=uhci.0,port=1");
	put_pci(show);
	if (strcmp(show->vga, "none") != 0)
		put(show, "-device", show->q35 ? "VGA,id=vga,bus=pcie.0,addr=0x1" : "VGA,id=vga,bus=pci.0,addr=0x2");
	put_agent(show);
	if (!balloon || strcmp(balloon, "0") != 0)
		put(show, "-device", "virtio-balloon-pci,id=balloon0,bus=pci.0,addr=0x3,free-page-reporting=on");
	put_disks(show);
	put_net(show);
	const char *machine = show->q35 ? "type=q35+pve0" : "type=pc+pve0";
	put(show, "-machine",
	        show->version >= 9 && show->ovmf ? SHOW(show, "pflash0=pflash0,pflash1=drive-efidisk0,%s", machine)
	                                         : machine);
}

/* Huge pages that the node cannot give. PVE looks for what /sys/kernel/mm/hugepages has. */
static int check_hugepages(struct show *show)
{
	const char *wanted = get(show, "hugepages", NULL);
	if (!wanted)
		return 0;
	struct model_inode *inode;
	if (model_look(show->call->rehearse, "/sys/kernel/mm/hugepages", true, &inode) == ENOENT) {
		pve_die(show->call, "your system doesn't support hugepages");
		return 2;
	}
	if (pve_boolean(get(show, "numa", "0")) != YES)
		return pve_die(show->call, "numa needs to be enabled to use hugepages");
	return 0;
}

int pve_show(struct model_call *call, const struct pve_file *file, struct words *ret)
{
	struct show show = {
		.call = call,
		.file = file,
		.part = &file->active,
		.q35 = pve_q35(&file->active),
		.version = pve_version(call->rehearse),
	};
	const char *bios = get(&show, "bios", "seabios"), *args = get(&show, "args", NULL);
	show.ovmf = strcmp(bios, "ovmf") == 0;
	show.vga = get(&show, "vga", "std");
	int status = pve_pci_parse(call, show.part, &show.pcis);
	status = status ? status : check_hugepages(&show);
	if (status)
		return status;
	for (size_t i = 0; i < show.pcis.n; i++)
		if (pve_boolean(pve_property(&show.pcis.pci[i].set, "x-vga")) == YES) {
			show.hidden = true;
			show.vga = pve_get(show.part, "vga") ? show.vga : "none";
		}
	put_begin(&show);
	put_cpu(&show);
	put(&show, "-m", get(&show, "memory", "512"));
	if (show.version >= 9 && get(&show, "scsi0", NULL))
		put_throttle(&show, "scsi0");
	put_devices(&show);
	struct words more = text_split(call->rehearse->arena, args ? args : "", " ");
	for (size_t i = 0; i < more.n; i++)
		put(&show, more.word[i], NULL);
	*ret = show.line;
	return 0;
}
