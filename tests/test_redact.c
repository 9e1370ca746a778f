/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "sys/redact.h"

static const struct {
	const char *path, *before, *after; /* after NULL: kept */
} samples[] = {
	/* addresses */
	{ NULL, "8.8.8.8", "198.51.100.1" },
	{ NULL, "dns 8.8.8.8, 1.1.1.1 and 8.8.8.8.", "dns 198.51.100.1, 198.51.100.2 and 198.51.100.1." },
	{ NULL, "inet 81.2.69.142/24 brd 81.2.69.255", "inet 198.51.100.1/24 brd 198.51.100.2" },
	{ NULL, "ip=203.0.114.7:8006", "ip=198.51.100.1:8006" },
	{ NULL, "10.1.2.3 172.16.0.1 172.31.9.9 192.168.178.20 169.254.1.1 127.0.0.1 100.64.1.2 0.0.0.0 255.255.255.0", NULL },
	{ NULL, "172.32.0.1", "198.51.100.1" },
	{ NULL, "550.163.01 6.8.12-4-pve 1.2.3 1.2.3.4.5 v1.2.3.4 1.2.3.4a 300.1.1.1 94.02.71.40.47", NULL },
	{ NULL, "2a02:8109:1234::7", "2001:db8::1" },
	{ NULL, "2A02:8109:1234:0:0:0:0:7 [2a02:8109:1234::7]:8006", "2001:db8::1 [2001:db8::1]:8006" },
	{ NULL, "inet6 2a02::1/64 scope global", "inet6 2001:db8::1/64 scope global" },
	{ NULL, "fe80::1 ::1 :: fc00::7 fd12:3456::1 2001:db8::9 ff02::1", NULL },
	{ NULL, "::ffff:8.8.8.8", "2001:db8::1" },
	{ NULL, "fe80::be24:11ff:fe12:3456", "fe80::ff:fe00:1" },
	/* what only looks like one */
	{ NULL, "0000:01:00.0 01:00.1 12:34:56 2024-01-02T03:04:05 pci0000:00 0:0:0:0 10de:2805 0003:046D:C52B.0001", NULL },
	{ NULL, "std::string a::b 5d:24 [  0.123456] 00:1f.3", NULL },
	{ NULL, "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/drm/card0", NULL },
	/* MAC addresses */
	{ NULL, "bc:24:11:0a:0b:0c", "02:00:00:00:00:01" },
	{ NULL, "net0: virtio=BC:24:11:0A:0B:0C,bridge=vmbr0", "net0: virtio=02:00:00:00:00:01,bridge=vmbr0" },
	{ NULL, "bc-24-11-0a-0b-0c BC:24:11:0A:0B:0C bc:24:11:0a:0b:0d",
		"02-00-00-00-00-01 02:00:00:00:00:01 02:00:00:00:00:02" },
	{ NULL, "00:00:00:00:00:00 ff:ff:ff:ff:ff:ff FF:FF:FF:FF:FF:FF 02:00:00:00:00:07", NULL },
	{ NULL, "enxbc24110a0b0c: bc:24:11:0a:0b:0c", "enx020000000001: 02:00:00:00:00:01" },
	{ NULL, "00:11:22:33:44", NULL },
	{ NULL, "hwaddr=BC:24:11:0A:0B:0C,ip=dhcp", "hwaddr=02:00:00:00:00:01,ip=dhcp" },
	/* keys */
	{ NULL, "password=hunter2", "password=REDACTED-1" },
	{ NULL, "cipassword: hunter2 with blanks\nciuser: admin", "cipassword: REDACTED-1\nciuser: admin" },
	{ NULL, "{\"api_key\":\"abc\\\"def\",\"id\":7}", "{\"api_key\":\"REDACTED-1\",\"id\":7}" },
	{ NULL, "{\"AccessToken\": \"abc\", \"x\": 1}", "{\"AccessToken\": \"REDACTED-1\", \"x\": 1}" },
	{ NULL, "{\\\"token\\\":\\\"abc\\\"}", "{\\\"token\\\":\\\"REDACTED-1\\\"}" },
	{ NULL, "--password hunter2 --verbose", "--password REDACTED-1 --verbose" },
	{ NULL, "http://h/emby?api_key=0123456789abcdef&x=1", "http://h/emby?api_key=REDACTED-1&x=1" },
	{ NULL, "Authorization: Bearer abcdefgh12345", "Authorization: REDACTED-1" },
	{ NULL, "curl -H 'Bearer abcdefgh12345'", "curl -H 'Bearer REDACTED-1'" },
	{ NULL, "Authorization: PVEAPIToken=root@pam!t=0b1c", "Authorization: REDACTED-1" },
	{ NULL, "PVEAPIToken=root@pam!t=0b1c x", "PVEAPIToken=REDACTED-1 x" },
	{ NULL, "X-Emby-Token: 0123", "X-Emby-Token: REDACTED-1" },
	{ NULL, "PresharedKey = AAAA=\nPrivateKey=BBBB=", "PresharedKey = REDACTED-1\nPrivateKey=REDACTED-2" },
	{ NULL, "psk=\"my wifi\"", "psk=\"REDACTED-1\"" },
	{ NULL, "  - MYSQL_PASSWORD=one\n  - MYSQL_ROOT_PASSWORD=two\n  - OTHER_PASSWORD=one",
		"  - MYSQL_PASSWORD=REDACTED-1\n  - MYSQL_ROOT_PASSWORD=REDACTED-2\n  - OTHER_PASSWORD=REDACTED-1" },
	{ NULL, "https://user:geheim@example.org/x", "https://user:REDACTED-1@example.org/x" },
	{ NULL, "https://example.org:8006/a@b", NULL },
	{ NULL, "password: \npassword=\"\"\ntoken: null", NULL },
	{ NULL, "token_file: /etc/gpuferry/emby.token\nsecretmem.enable=y passthrough=1 compass=n", NULL },
	{ NULL, "serial0: socket\nkeyboard: de\ncmdline: iommu=pt", NULL },
	{ NULL, "sshkeys: ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIabc%2B%20me%40home",
		"sshkeys: ssh-ed25519%20REDACTED-1%20me%40home" },
	{ NULL, "ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB me", "ssh-rsa REDACTED-1 me" },
	{ NULL, "a\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\naC1rZXk=\n-----END OPENSSH PRIVATE KEY-----\nb\n",
		"a\n-----BEGIN OPENSSH PRIVATE KEY-----\nREDACTED\nREDACTED\n-----END OPENSSH PRIVATE KEY-----\nb\n" },
	{ NULL, "\"-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\\n\", x",
		"\"-----BEGIN PRIVATE KEY-----REDACTED-----END PRIVATE KEY-----\\n\", x" },
	{ NULL, "-----BEGIN PRIVATE KEY-----\nMIIE\nMIIF", "-----BEGIN PRIVATE KEY-----\nREDACTED\nREDACTED" },
	{ NULL, "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----", NULL },
	{ NULL, "{\"token\":{\"a\":1},\"pin_key\":12,\"token\":null}", "{\"token\":{\"a\":1},\"pin_key\":\"REDACTED-1\",\"token\":null}" },
	/* a line that is a key and its value */
	{ NULL, "cifs: nas\n\tusername bob\n\tpassword geheim 1\n\tserver 10.0.0.1", "cifs: nas\n\tusername bob\n\tpassword REDACTED-1\n\tserver 10.0.0.1" },
	{ NULL, "\twpa-psk geheim\n\twep-key0 123\n#password geheim", "\twpa-psk REDACTED-1\n\twep-key0 REDACTED-2\n#password REDACTED-1" },
	{ NULL, "password_pbkdf2 root grub.pbkdf2.sha512.1.AA", "password_pbkdf2 REDACTED-1" },
	{ NULL, "systemd: Forward password requests\npass through these", NULL },
	/* notes as PVE keeps them */
	{ NULL, "#password%3A two words\n#Passwort%3Aabc", "#password%3A REDACTED-1\n#Passwort%3AREDACTED-2" },
	{ NULL, "x%3A token%3Dabc%0Apassword%3Ddef y", "x%3A token%3DREDACTED-1%0Apassword%3DREDACTED-2 y" },
	{ NULL, "#bc%3A24%3A11%3A0a%3A0b%3A0c BC%3A24%3A11%3A0A%3A0B%3A0C", "#02%3A00%3A00%3A00%3A00%3A01 02%3A00%3A00%3A00%3A00%3A01" },
	{ NULL, "#2a02%3A8109%3A%3A7, 2a02:8109::7%3A", "#2001%3Adb8%3A%3A1, 2001:db8::1%3A" },
	{ NULL, "https%3A//admin%3Ageheim@nas.lan/", "https%3A//admin%3AREDACTED-1@nas.lan/" },
	/* in arguments and environments */
	{ NULL, "DB_PASS=a SMTP_PWD=b APP_KEY=c PLEX_CLAIM=claim-d hotkey=f compass=1", "DB_PASS=REDACTED-1 SMTP_PWD=REDACTED-2 APP_KEY=REDACTED-3 PLEX_CLAIM=REDACTED-4 hotkey=f compass=1" },
	{ NULL, "-object secret,id=sec0,data=abc,format=raw", "-object secret,id=sec0,data=REDACTED-1,format=raw" },
	{ NULL, "-smbios type=1,uuid=01234567-89ab-cdef-0123-456789abcdef", "-smbios type=1,uuid=00000000-0000-0000-0000-000000000001" },
	{ NULL, "rbd:p/i:id=admin:key=abc==:conf=x", "rbd:p/i:id=admin:key=REDACTED-1" },
	{ NULL, "wg <(echo yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=)", "wg <(echo REDACTED-1)" },
	{ NULL, "id yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk SHA256:yAnz5TF", NULL },
	{ NULL, "netroot=iscsi:u:geheim@10.0.0.1::::iqn me:geheim@nas:/x", "netroot=iscsi:u:REDACTED-1@10.0.0.1::::iqn me:REDACTED-1@nas:/x" },
	{ NULL, "curl -u admin:geheim -u 1000:1000 --user=a:b", "curl -u admin:REDACTED-1 -u 1000:1000 --user=a:REDACTED-2" },
	{ NULL, "image nvidia/cuda:12.4.1@sha256:0123 a:b c:d@ root@pam!x", NULL },
	/* serial numbers */
	{ NULL, "\tSerial Number: PF3ABC12\n\tVersion: 1", "\tSerial Number: SERIAL-1\n\tVersion: 1" },
	{ NULL, "    Serial Number                         : 0321821012345\n", "    Serial Number                         : SERIAL-1\n" },
	{ NULL, "Serial Number : N/A\nSerial Number: Not Specified\nSerial Number: Default string\nSerial Number: To be filled by O.E.M.", NULL },
	{ NULL, "Capabilities: [140 v1] Device Serial Number 48-b0-2d-ff-ff-12-34-56", "Capabilities: [140 v1] Device Serial Number SERIAL-1" },
	{ NULL, "GPU 0: NVIDIA (UUID: GPU-01234567-89ab-cdef-0123-456789abcdef)",
		"GPU 0: NVIDIA (UUID: GPU-00000000-0000-0000-0000-000000000001)" },
	{ NULL, "UUID=\"01234567-89ab-cdef-0123-456789abcdef\" /boot", NULL },
	{ NULL, "smbios1: uuid=01234567-89ab-cdef-0123-456789abcdef,serial=QUJD\nvmgenid: 11234567-89ab-cdef-0123-456789abcdef",
		"smbios1: uuid=00000000-0000-0000-0000-000000000001,serial=SERIAL-1\nvmgenid: 00000000-0000-0000-0000-000000000002" },
	{ "dmidecode -t system", "\tUUID: 01234567-89ab-cdef-0123-456789abcdef", "\tUUID: 00000000-0000-0000-0000-000000000001" },
	{ NULL, "scsi0: local:vm-100-disk-0,serial=ABC123,size=32G", "scsi0: local:vm-100-disk-0,serial=SERIAL-1,size=32G" },
	{ NULL, "/dev/disk/by-id/ata-WDC_WD40EFRX-68N32N0_WD-WCC7K0ABCDEF-part1", "/dev/disk/by-id/ata-WDC_WD40EFRX-68N32N0_SERIAL-1-part1" },
	{ NULL, "/dev/disk/by-id/nvme-Samsung_SSD_990_PRO_S6Z1NJ0W123456_1", "/dev/disk/by-id/nvme-Samsung_SSD_990_PRO_SERIAL-1_1" },
	{ NULL, "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4 nvme-eui.0025385b71b0a1c2-part3", "/dev/disk/by-id/wwn-SERIAL-1 nvme-SERIAL-2-part3" },
	{ NULL, "by-id/nvme-nvme.144d-53364e-53616d-00000001-part2", "by-id/nvme-nvme.144d-SERIAL-1-53616d-00000001-part2" },
	{ NULL, "by-id/usb-Kingston_DT_001A92_-part1", "by-id/usb-Kingston_DT_SERIAL-1_-part1" },
	{ NULL, "usb-storage nvme-pci scsi-hd ata-piix virtio-gpu", NULL },
	{ NULL, "ID_SERIAL_SHORT=S6Z1\nID_WWN=0x5000", "ID_SERIAL_SHORT=SERIAL-1\nID_WWN=SERIAL-2" },
	/* whole files */
	{ "/sys/devices/x/nvme/nvme0/serial", "S6Z1NJ0W123456      \n", "SERIAL-1      \n" },
	{ "/sys/devices/x/serial", "\n", NULL },
	{ "/sys/class/dmi/id/product_uuid", "01234567-89ab-cdef-0123-456789abcdef\n", "00000000-0000-0000-0000-000000000001\n" },
	{ "/etc/machine-id", "0123456789abcdef0123456789abcdef\n", "00000000000000000000000000000001\n" },
	{ "/proc/1234/net/route",
		"I\tDest\tGateway\nvmbr0\t00000000\t01450251\t0003\t0\t0\t0\t00000080\nvmbr0\t0000A8C0\t01450251\t1\t0\t0\t0\t00FFFFFF\n",
		"I\tDest\tGateway\nvmbr0\t00000000\t016433C6\t0003\t0\t0\t0\t00000080\nvmbr0\t0000A8C0\t016433C6\t1\t0\t0\t0\t00FFFFFF\n" },
	{ "/proc/net/ipv6_route",
		"2a02810912340000be2411fffe0a0b0c 40 00000000000000000000000000000000 00 fe80000000000000be2411fffe0a0b0c 00000100 1 vmbr0\n",
		"20010db8000000000000000000000001 40 00000000000000000000000000000000 00 fe80000000000000000000fffe000001 00000100 1 vmbr0\n" },
	{ "/etc/shadow", "root:$6$x:1::\nu:!:1\n", "REDACTED\nREDACTED\n" },
	{ "/etc/pve/priv/token.cfg", "root@pam!x 0b1c\n", "REDACTED\n" },
	{ "/sys/devices/x/vpd", "\x82\x10_binary_SN1234", "REDACTED" },
	{ "/proc/cmdline", "quiet iommu=pt root=UUID=01234567-89ab-cdef-0123-456789abcdef", NULL },
};

static void samples_are_redacted(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct redactor *redactor = redact_new(&arena);
		struct bytes before = bytes_of(samples[i].before);
		struct bytes after = redact_bytes(redactor, samples[i].path, before, &arena);
		const char *wish = samples[i].after ? samples[i].after : samples[i].before;
		if (strcmp(after.data, wish) != 0)
			fail_msg("\"%s\"\n became \"%s\"\n not    \"%s\"", samples[i].before, after.data, wish);
		assert_int_equal(after.size, strlen(wish));
		if (!samples[i].after)
			assert_ptr_equal(after.data, before.data);
		/* what is redacted stays as it is, with the same redactor and with another */
		struct bytes again = redact_bytes(redactor, samples[i].path, after, &arena);
		if (strcmp(again.data, wish) != 0)
			fail_msg("\"%s\"\n again became \"%s\"", wish, again.data);
		again = redact_bytes(redact_new(&arena), samples[i].path, after, &arena);
		assert_string_equal(again.data, wish);
	}
}

/* Each sample cut at each length, in memory of exactly that size: nothing behind the end is looked at. */
static void nothing_is_read_behind_the_end(void **state)
{
	(void)state;
	static const char *const ends[] = { "usb-__", "usb-_1_", "nvme-a_b__", "ata-_", "wwn-0x" };
	for (size_t i = 0; i < COUNT(samples) + COUNT(ends); i++) {
		const char *text = i < COUNT(samples) ? samples[i].before : ends[i - COUNT(samples)];
		for (size_t size = 1; size <= strlen(text); size++) {
			struct arena arena ARENA_SCOPED = { 0 };
			char *exact = malloc(size);
			memcpy(exact, text, size);
			redact_bytes(redact_new(&arena), NULL, (struct bytes){ exact, size }, &arena);
			free(exact);
		}
	}
}

/* What tells whose machine it is, in arguments with zeros between them, and in a boot entry of the firmware. */
static void zeros_are_no_hiding_place(void **state)
{
	(void)state;
	static const struct {
		const char *path, *before, *after;
		size_t size;
	} zeros[] = {
#define ZEROS(path, before, after) { path, before, after, sizeof before - 1 }
		ZEROS("/proc/7/cmdline", "x\0--password\0geheim-geheim\0--token\0abcdefghijkl\0-x",
			"x\0--password\0REDACTED-1xxx\0--token\0REDACTED-2xx\0-x"),
		ZEROS("/proc/7/cmdline", "-object\0secret,id=a,data=abcdefghijkl\0data=x", "-object\0secret,id=a,data=REDACTED-1xx\0data=x"),
		ZEROS("/sys/firmware/efi/efivars/Boot0001-8be4df61-93ca-11d2-aa0d-00e098032b8c",
			"\7\0\0\0\1\0\0\0\0\0U\0E\0F\0I\0 \0S\0""4\0E\0W\0N\0F\0""0\0M\0""1\0""2\0 \0001\0\0\0\3\13\13\0\xbc\x24\x11\1\2\3\0\4\4\6\0ab\177\377\4\0",
			"\7\0\0\0\1\0\0\0\0\0U\0E\0F\0I\0 \0x\0x\0x\0x\0x\0x\0x\0x\0x\0x\0 \0001\0\0\0\3\13\13\0\0\0\0\0\0\0\0\4\4\6\0ab\177\377\4\0"),
		ZEROS("/sys/firmware/efi/efivars/Boot0001-x", "\7\0\0\0\1\0\0\0\0\0U\0\0\0\3\13\377\377\1", "\7\0\0\0\1\0\0\0\0\0U\0\0\0\3\13\377\377\1"),
	};
	for (size_t i = 0; i < COUNT(zeros); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		struct bytes before = { zeros[i].before, zeros[i].size };
		struct bytes after = redact_bytes(redact_new(&arena), zeros[i].path, before, &arena);
		assert_int_equal(after.size, zeros[i].size);
		assert_memory_equal(after.data, zeros[i].after, zeros[i].size);
		for (size_t cut = 0; cut < before.size; cut++)
			redact_bytes(redact_new(&arena), zeros[i].path, arena_bytes(&arena, before.data, cut), &arena);
	}
}

static void the_same_secret_is_the_same_everywhere(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct redactor *redactor = redact_new(&arena);
	redact_bytes(redactor, "/a", bytes_of("bc:24:11:00:00:01 8.8.8.8 password=x"), &arena);
	struct bytes other = redact_bytes(redactor, "/b",
		bytes_of("token=y bc:24:11:00:00:02 BC-24-11-00-00-01 9.9.9.9 8.8.8.8 passwd: x"), &arena);
	assert_string_equal(other.data, "token=REDACTED-2 02:00:00:00:00:02 02-00-00-00-00-01 198.51.100.2 198.51.100.1 "
					"passwd: REDACTED-1");
	assert_string_equal(redact_text(redactor, "/net/enxbc2411000002", &arena), "/net/enx020000000002");
	assert_null(redact_text(redactor, NULL, &arena));
	for (int i = 0; i < 2000; i++)
		redact_text(redactor, arena_printf(&arena, "45.%d.%d.1", i / 256, i % 256), &arena);
	assert_string_equal(redact_text(redactor, "45.7.207.1", &arena), redact_text(redactor, "45.7.207.1", &arena));
	assert_string_not_equal(redact_text(redactor, "45.7.206.1", &arena), redact_text(redactor, "45.7.207.1", &arena));
}

static void known_secrets_go_wherever_they_stand(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	struct redactor *redactor = redact_new(&arena);
	redact_secret(redactor, "0123456789abcdef\n");
	redact_secret(redactor, "");
	redact_secret(redactor, "x");
	redact_secret(redactor, NULL);
	struct bytes after = redact_bytes(redactor, "/x", bytes_of("key0123456789abcdefkey, 0123456789abcdef"), &arena);
	assert_string_equal(after.data, "keyREDACTED-1key, REDACTED-1");
	assert_string_equal(redact_text(redactor, "--x=0123456789abcdef", &arena), "--x=REDACTED-1");
}

/* A planted secret of each kind in a text of many lines: none is left, and the lines and names are. */
static void structure_stays(void **state)
{
	(void)state;
	static const char *const secrets[] = { "81.2.69.142", "2a02:8109:aaaa::5", "bc:24:11:0a:0b:0c", "hunter2", "S6Z1NJ0W",
		"abcdefgh12345678", "GPU-01234567" };
	struct arena arena ARENA_SCOPED = { 0 };
	const char *text = "";
	for (size_t i = 0; i < 50; i++)
		text = arena_printf(&arena,
			"%sline%zu: gw 81.2.69.142 via 2a02:8109:aaaa::5\nnet%zu: virtio=bc:24:11:0a:0b:0c\n"
			"  password: hunter2\n  Serial Number: S6Z1NJ0W\nAuthorization: Bearer abcdefgh12345678\r\n"
			"gpu%zu GPU-01234567-89ab-cdef-0123-456789abcdef\n\n",
			text, i, i, i);
	struct bytes after = redact_bytes(redact_new(&arena), "/x", bytes_of(text), &arena);
	for (size_t i = 0; i < COUNT(secrets); i++)
		assert_null(strstr(after.data, secrets[i]));
	size_t lines[2] = { 0 }, colons[2] = { 0 };
	for (const char *sign = text; *sign; sign++)
		lines[0] += *sign == '\n';
	for (const char *sign = after.data; *sign; sign++)
		lines[1] += *sign == '\n';
	assert_int_equal(lines[0], lines[1]);
	for (const char *at = text; (at = strstr(at, ": ")); at++)
		colons[0]++;
	for (const char *at = after.data; (at = strstr(at, ": ")); at++)
		colons[1]++;
	assert_int_equal(colons[0], colons[1]);
	assert_non_null(strstr(after.data, "net49: virtio=02:00:00:00:00:01\n"));
	assert_non_null(strstr(after.data, "REDACTED-2\r\n"));
}

static void bytes_with_zeros_keep_their_length(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	static const char raw[] = "a\0password=hunter2hunter2\0gw=8.8.8.8\0token=x\0";
	struct bytes before = { raw, sizeof raw - 1 };
	struct bytes after = redact_bytes(redact_new(&arena), "/proc/1/environ", before, &arena);
	assert_int_equal(after.size, before.size);
	assert_null(memmem(after.data, after.size, "hunter2", 7));
	assert_null(memmem(after.data, after.size, "8.8.8.8", 7));
	assert_memory_equal(after.data, "a\0password=", 11);
}

static void device_serial_numbers_leave_the_configuration_space(void **state)
{
	(void)state;
	struct arena arena ARENA_SCOPED = { 0 };
	char config[4096] = { 0 };
	memcpy(config + 0x100, "\x01\x00\x01\x14", 4); /* AER, next at 0x140 */
	memcpy(config + 0x140, "\x03\x00\x01\x10\x56\x34\x12\xff\xff\x2d\xb0\x48", 12); /* DSN, next at 0x100: a loop */
	struct bytes after = redact_bytes(redact_new(&arena), "/sys/devices/pci0000:00/0000:00:1f.6/config",
		(struct bytes){ config, sizeof config }, &arena);
	assert_int_equal(after.size, sizeof config);
	assert_memory_equal(after.data + 0x140, "\x03\x00\x01\x10\0\0\0\0\0\0\0\0", 12);
	assert_memory_equal(after.data, config, 0x144);
}

/* Lines that would take hours if a byte were looked at for each byte before it. */
static void long_lines_take_no_time(void **state)
{
	(void)state;
	static const char *const units[] = { "a:", "a-", "1.", "::", "password ", "uuid: ", "-----BEGIN PRIVATE ",
		"a://", "bc:24:", "\"", "Serial Number ", "token=\"", "AAAAB3NzaC1", "enx", "ata-a_", "smbios1: uuid:", "ff-",
		"Bearer ", "password\\\"", "password:", "secret,", "a:b", "u:p@", "AAAA+", "%3A", "password%3A", "\tpassword\n",
		"ab%3A", "-u a:" };
	for (size_t i = 0; i < COUNT(units); i++) {
		struct arena arena ARENA_SCOPED = { 0 };
		size_t size = strlen(units[i]), n = 1024 * 1024 / size;
		char *line = arena_alloc(&arena, n * size + 1);
		for (size_t j = 0; j < n; j++)
			memcpy(line + j * size, units[i], size);
		redact_bytes(redact_new(&arena), "/x", (struct bytes){ line, n * size }, &arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_are_redacted),
		cmocka_unit_test(nothing_is_read_behind_the_end),
		cmocka_unit_test(zeros_are_no_hiding_place),
		cmocka_unit_test(the_same_secret_is_the_same_everywhere),
		cmocka_unit_test(known_secrets_go_wherever_they_stand),
		cmocka_unit_test(structure_stays),
		cmocka_unit_test(bytes_with_zeros_keep_their_length),
		cmocka_unit_test(device_serial_numbers_leave_the_configuration_space),
		cmocka_unit_test(long_lines_take_no_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
