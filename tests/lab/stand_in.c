/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A PCI function that is no real one, served to QEMU's x-pci-proxy-dev over a socket: any ids, class and subsystem, power
 * management and PCI Express capabilities, one BAR of memory, no interrupt. QEMU's protocol is its multi-process one
 * (docs/devel/multi-process.rst, hw/remote): a header of command and size, then a body, each request answered.
 */
#include "stand_in.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SYNC_MEMORY, REPLY, CONFIG_WRITE, CONFIG_READ, BAR_WRITE, BAR_READ, SET_IRQ, RESET };

struct header {
	int32_t command, pad;
	uint64_t size;
};
union body {
	struct {
		uint32_t address, value;
		int32_t size;
	} config;
	struct {
		uint64_t address, value;
		uint32_t size;
		uint8_t memory;
	} bar;
	uint8_t room[256];
};

enum { CONFIG = 4096, POWER = 0x60, EXPRESS = 0x78, BAR_BYTES = 1 << 20 };

struct function {
	uint8_t config[CONFIG], writable[CONFIG], at_reset[CONFIG];
	uint32_t registers[1024];
};

/* Little endian, as configuration space is. */
static void put(uint8_t *bytes, unsigned at, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		bytes[at + i] = (uint8_t)(value >> (8 * i));
}

static void fill(struct function *function, const struct stand_in *what)
{
	uint8_t *config = function->config, *writable = function->writable;
	put(config, 0x00, 2, what->vendor);
	put(config, 0x02, 2, what->device);
	put(config, 0x06, 2, 0x0010); /* a list of capabilities */
	put(config, 0x08, 4, what->class_code << 8 | 0xa1);
	put(config, 0x0e, 1, what->multifunction ? 0x80 : 0);
	put(config, 0x2c, 4, what->subsystem);
	put(config, 0x34, 1, POWER);
	put(writable, 0x04, 2, 0x0507);
	put(writable, 0x0c, 1, 0xff);
	put(writable, 0x10, 4, ~(uint64_t)(BAR_BYTES - 1));
	put(writable, 0x3c, 1, 0xff);
	put(config, POWER, 4, 0x00030001); /* power management, version 3 */
	put(config, POWER + 4, 2, 0x0008); /* what is set stays set over D3hot */
	put(writable, POWER + 4, 2, 0x0003);
	if (what->express) {
		config[POWER + 1] = EXPRESS;
		put(config, EXPRESS, 4, 0x00120010); /* a legacy endpoint, version 2 */
		put(config, EXPRESS + 4, 4, what->flr ? 0x10008001 : 0x00008001);
		put(config, EXPRESS + 12, 4, 0x0104);
		put(config, EXPRESS + 18, 2, 0x1041);
		put(writable, EXPRESS + 8, 2, 0x7fff);
	}
	memcpy(function->at_reset, config, CONFIG);
}

/* The whole of it; file descriptors that come along are not for us. */
static int receive(int fd, void *into, size_t size)
{
	for (char *at = into; size;) {
		char control[256];
		struct iovec vector = { at, size };
		struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
			.msg_controllen = sizeof control };
		ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		for (struct cmsghdr *one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one))
			for (size_t i = 0; i < (one->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
				int other;
				memcpy(&other, CMSG_DATA(one) + i * sizeof other, sizeof other);
				close(other);
			}
		at += got;
		size -= (size_t)got;
	}
	return 0;
}

static int answer(int fd, uint64_t size, uint64_t value)
{
	struct {
		struct header header;
		uint64_t value;
	} reply = { { REPLY, 0, size }, value };
	size_t whole = sizeof reply.header + size;
	return write(fd, &reply, whole) == (ssize_t)whole ? 0 : -1;
}

static uint32_t config_read(const struct function *function, const union body *body)
{
	uint32_t value = 0;
	if (body->config.address + 4 <= CONFIG)
		memcpy(&value, function->config + body->config.address, (size_t)body->config.size & 7);
	return value;
}

static void config_write(struct function *function, const union body *body)
{
	for (unsigned i = 0; i < (unsigned)body->config.size && body->config.address + i < CONFIG; i++) {
		unsigned at = body->config.address + i;
		uint8_t mask = function->writable[at], value = (uint8_t)(body->config.value >> (8 * i));
		function->config[at] = (uint8_t)((function->config[at] & ~mask) | (value & mask));
	}
	/* Initiate Function Level Reset */
	if (body->config.address == EXPRESS + 8 && body->config.value & 0x8000 && function->config[EXPRESS + 7] & 0x10)
		memcpy(function->config, function->at_reset, CONFIG);
}

int stand_in_serve(int fd, const struct stand_in *what)
{
	static struct function function;
	struct header header;
	union body body;
	fill(&function, what);
	while (receive(fd, &header, sizeof header) == 0) {
		int sent = 0;
		memset(&body, 0, sizeof body);
		if (header.size > sizeof body || (header.size && receive(fd, &body, header.size)))
			return 1;
		switch (header.command) {
		case CONFIG_READ:
			sent = answer(fd, 8, config_read(&function, &body));
			break;
		case CONFIG_WRITE:
			config_write(&function, &body);
			sent = answer(fd, 8, 0);
			break;
		case BAR_READ:
			sent = answer(fd, 8, function.registers[(body.bar.address & 0xfff) / 4]);
			break;
		case BAR_WRITE:
			function.registers[(body.bar.address & 0xfff) / 4] = (uint32_t)body.bar.value;
			sent = answer(fd, 8, 0);
			break;
		case RESET:
			memcpy(function.config, function.at_reset, CONFIG);
			sent = answer(fd, 0, 0);
			break;
		default: /* nothing that would be answered */
			break;
		}
		if (sent)
			return 1;
	}
	return 0;
}
