/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * modprobe.d (modprobe.d(5)), modules-load.d, /etc/modules and module words of a command line, with the
 * place each line came from. Own parser: libkmod mixes the running machine's /proc/cmdline into the answer
 * of any root it is given, so it cannot speak for another machine; the tests hold this parser against it.
 */
#pragma once
#include "base/text.h"
#include "sys/world.h"

enum modprobe_kind {
	MODPROBE_BLACKLIST,
	MODPROBE_OPTIONS,
	MODPROBE_SOFTDEP,
	MODPROBE_ALIAS,
	MODPROBE_INSTALL,
	MODPROBE_REMOVE,
	MODPROBE_UNKNOWN
};

struct modprobe_line {
	enum modprobe_kind kind;
	const char *module; /* first word, with _ for - (as written: an alias's pattern, and what a command line blacklists,
	                     * which neither libkmod nor the kernel finds by a name with -) */
	const char *rest;   /* what stands behind it, blanks folded; softdep: "pre: vfio-pci post: x", with a
	                     * blank in front if libkmod will not see its first word (two blanks before "pre:");
	                     * a blacklist word of a command line: which one it was */
	const char *file;   /* "/etc/modprobe.d/vfio.conf", "command line" */
	unsigned line;      /* of the file, 1 first; 0: of a command line */
	struct words words; /* rest's words as the kernel cuts them; set by the parsers */
};

struct load_line {          /* a module that boot loads by name */
	const char *module; /* with _ */
	const char *rest;   /* parameters (/etc/initramfs-tools/modules) */
	const char *file;
	unsigned line;
};

struct modprobe {
	struct modprobe_line *lines; /* in the order of effect */
	size_t n;
	struct load_line *loads;
	size_t n_loads;
	enum tri known;
};

/* One file's content, added to what ret holds already. As libkmod 30 and 34 read it: # is a comment only as a line's
 * first sign; a backslash before a newline joins lines; only blank and tab separate, so a carriage return spoils the
 * word it stands at. Lines that libkmod ignores (unknown commands, weakdep, missing words, "[" without "]") are kept as
 * MODPROBE_UNKNOWN with the command in `module`. */
void modprobe_parse(struct bytes text, const char *file, struct arena *arena, struct modprobe *ret);
/* modules-load.d, /etc/modules, /etc/initramfs-tools/modules, an initramfs's conf/modules: one module a line, # and ;
 * begin comments, parameters may follow (systemd-modules-load does not know them: it takes the line for the name). */
void modprobe_parse_loads(struct bytes text, const char *file, struct arena *arena, struct modprobe *ret);
/* module.option=, modprobe.blacklist=, module_blacklist= of a kernel command line; modules-load= as loads; dracut's
 * rd.driver.* as MODPROBE_UNKNOWN. */
void modprobe_parse_cmdline(const char *cmdline, struct arena *arena, struct modprobe *ret);
/* The directories as libkmod orders them: /etc, /run, /usr/local/lib, /usr/lib, /lib modprobe.d; a name hides the same
 * name in later ones; *.conf and *.alias, in the order of their names. Loads: modules-load.d likewise, then
 * /etc/modules. The command line is not in it. known: YES only if nothing was unreadable. */
void modprobe_gather(struct world *world, struct arena *arena, struct modprobe *ret, blind_fn *blind, void *data);

bool modprobe_blacklisted(const struct modprobe *modprobe, const char *module);
/* Blacklisted for libkmod too, which does not know the kernel's own module_blacklist= and so heeds the softdeps of what
 * that will refuse. */
bool modprobe_skips(const struct modprobe *modprobe, const char *module);
/* Does the softdep that counts, the module's first line, load `first` before it? */
bool modprobe_softdep(const struct modprobe *modprobe, const char *module, const char *first);
/* The value of the last `options module option=value` (modprobe passes all, the kernel keeps the last); NULL: none. */
const char *modprobe_option(const struct modprobe *modprobe, const char *module, const char *option);
char *modprobe_name(struct arena *arena, const char *module); /* - to _ */
