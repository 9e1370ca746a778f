/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Knowledge about Proxmox VE as a table: the keys of a guest's file and the options of its commands, what their values
 * must look like, and where PVE says so.
 */
#pragma once
#include "base/text.h"

enum pve_format {
	PVE_TEXT,
	PVE_BOOLEAN,
	PVE_INTEGER,
	PVE_NUMBER,
	PVE_ENUM,
	PVE_NAME,       /* pve-configid */
	PVE_PROPERTIES, /* a property string */
	PVE_KEYS,       /* a list of configuration keys: delete, revert */
};

struct pve_field { /* of a property string */
	const char *name;
	enum pve_format format;
	const char *words;               /* of an enumeration */
	bool (*valid)(const char *text); /* further, by a pattern; NULL */
	bool first;                      /* stands without its name */
	int since;                       /* major version; 0: 8 and before */
	const char *wrong;               /* what PVE says where `valid` says no; NULL: the pattern's message */
};

/* Where an option belongs. */
enum pve_use {
	PVE_VM_KEY = 1, /* of a VM's configuration: qm set, qm create */
	PVE_CT_KEY = 2, /* of a CT's: pct set, pct create */
	PVE_KEPT = 4,   /* in the file, but never typed: meta, parent, snaptime */
	PVE_ONLY = 8,   /* of the one command in `command` */
};

struct pve_option {
	const char *command; /* PVE_ONLY: "qm shutdown"; else NULL */
	const char *name;
	unsigned numbers; /* hostpci: 16, as hostpci0..15; 0: none */
	unsigned use;
	enum pve_format format;
	const char *words;
	int64_t least, most; /* most 0: no bounds */
	const struct pve_field *fields;
	bool live;          /* a running guest has it at once */
	const char *source; /* PVE's file */
	const char *since;  /* of that package, or "8" */
};
extern const struct pve_option pve_options[]; /* name NULL at the end */

/* The key of a configuration, of that use; NULL: PVE knows none. */
const struct pve_option *pve_option_key(const char *name, unsigned use);
/* What `command` ("qm set") takes by that name. */
const struct pve_option *pve_option_of(const char *command, const char *name);
/* NULL: valid; else what PVE says behind "NAME: ". */
const char *pve_option_check(
        const struct pve_option *option, const char *name, const char *value, int version, struct arena *arena);
/* The same of a value that stands in a guest's file: PVE's parsers ask for its type and format, not for bounds or
 * enumerations (check_type in QemuServer.pm and LXC/Config.pm). option NULL: an unknown key. */
const char *pve_option_parse(
        const struct pve_option *option, const char *name, const char *value, int version, struct arena *arena);
enum { PVE_NEWEST = 9 }; /* the major version up to which the table knows */
/* docs/proxmox.md's table. */
const char *pve_options_table(struct arena *arena);
