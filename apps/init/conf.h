/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration (etc/exo.conf): which programs to start, with what.
 *
 *	# comment			at the start of a line or after a blank, outside quotes
 *	[machine]			for the runner; checked here, not used
 *	memory = 64M			a bare number counts in MiB; also B, K, G
 *	[program web]			up to CONF_PROGRAMS_MAX, names of letters, digits, . _ + -
 *	image = httpd			default: the section's name; the archive has bin/BASENAME.LIBOS
 *	args = --port 8080 "/my files"
 *	port = tcp/8080			may be repeated, as most that names others
 *
 * Tables have fixed sizes and nothing is allocated: strings lie in a buffer of the caller. Needs only
 * string.h. The runner (tools/exo) reads the same language; both know the same words.
 */
#ifndef APPS_INIT_CONF_H
#define APPS_INIT_CONF_H

#include <stddef.h>
#include <stdint.h>

#define CONF_PROGRAMS_MAX	16
#define CONF_PORTS_MAX		16	/* of one program */
#define CONF_VOLUMES_MAX	8	/* of one program */
#define CONF_PUBLISH_MAX	32
#define CONF_DISKS_MAX		4
#define CONF_ARGS_MAX		64	/* of one program */
#define CONF_NAME_MAX		63	/* bytes of a program's name */
#define CONF_CPUS_MAX		16
#define CONF_SLICES_MAX		4096
#define CONF_CLAIMS_MAX		16	/* of one program */
#define CONF_PARTS_MAX		16	/* of a port's clients */
#define CONF_LIMIT_MAX		1000000	/* of things that are counted */
#define CONF_DEMANDS_MAX	8	/* programs from which one may demand */
#define CONF_DEVICES_MAX	8	/* of one program */
#define CONF_DEVICE_NAME_MAX	9	/* as the next lines */
#define CONF_EXTENTS_MAX	8	/* of one program */
#define CONF_EXTENT_NAME_MAX	15	/* bytes of a capability's name */
#define CONF_MOUNTS_MAX		8	/* of one program */
#define CONF_DISK_SHARES	64	/* of a disk's time: EXO_DISK_SHARES */
#define CONF_OBSERVES_MAX	8	/* programs that one may observe */
#define CONF_SERVES_MAX		4	/* labels under which one is called */
#define CONF_USES_MAX		8	/* labels that one calls */
#define CONF_LABEL_MAX		31	/* bytes of a label */
#define CONF_OBSERVE_NAME_MAX	11	/* as the next line */
#define CONF_DEMAND_NAME_MAX	7	/* bytes of such a program's name: it is part of a capability's name */

enum conf_net { CONF_NET_NONE, CONF_NET_OWN, CONF_NET_SHARE, CONF_NET_DEVICE };

struct conf_port {
	uint16_t number;
	uint8_t udp;		/* 0: TCP */
	uint8_t part, parts;	/* of the clients: claim_part; parts 0: all */
};

struct conf_volume {
	const char *host, *guest;	/* guest begins with a slash */
};

struct conf_device {
	const char *name;
	uint16_t port, ports;	/* the first, how many */
	int8_t line;		/* -1: none */
};

enum conf_disk { CONF_DISK_NONE, CONF_DISK_READ_ONLY, CONF_DISK_WHOLE };

struct conf_extent {
	const char *label, *name;	/* on the disk, or its UUID; and as the program knows it */
	uint8_t read_only, shared;
	uint8_t by_share;	/* only its disk's time: the blocks are another program's volume */
	unsigned line;
};

struct conf_mount {
	const char *path, *kind;
	const char *extent;	/* its name as the program knows it; NULL: none */
	const char *share;	/* of a volume on that extent: the label of who serves it; NULL: none */
	const char *options;	/* words parted by commas; "": none */
};

struct conf_publish {
	const char *address;	/* NULL: none was given */
	uint16_t host, guest;	/* host 0: any */
	uint8_t udp;
};

struct conf_machine {
	unsigned line;		/* of its section; 0: there is none */
	uint64_t memory;	/* bytes; 0: not given */
	unsigned cpus;		/* 0: not given */
	const char *machine, *cpu;	/* NULL: not given */
	uint64_t timeout_ms;	/* 0: not given */
	int fixed;		/* randomize = no: for the programs that do not say it themselves */
	unsigned publish_count;
	struct conf_publish publish[CONF_PUBLISH_MAX];
	unsigned disk_count;	/* what they are is the runner's */
};

struct conf_program {
	const char *name, *image, *libos;	/* never NULL */
	const char *args;	/* still quoted, well-formed: conf_split takes it apart; "" if not given */
	const char *files;	/* "/" if not given */
	uint64_t memory;	/* limit in bytes; 0: not given */
	uint64_t guarantee;	/* in bytes, at most memory; 0: not given */
	uint64_t answer_ms;	/* time to answer a demand; 0: not given */
	unsigned line;		/* of its section */
	unsigned cpu;		/* which; 0 if not given */
	unsigned slices, guarantee_slices;	/* 0: not given, as in the next line */
	unsigned limit_slices, limit_envs, limit_flows, limit_rings, limit_shapes, limit_traces;
	unsigned budget;	/* of each of its flows; 0: none */
	int randomize;		/* 1, or 0: it is put where everybody knows */
	int seal;		/* its executable pages are final */
	int end_children;	/* what is charged to its account ends with it */
	int show_addresses;	/* tell a debugger's user where it lies */
	int input;		/* it may read the console; not given: the main program may */
	const char *demand[CONF_DEMANDS_MAX];	/* names of other programs */
	unsigned demand_count;
	const char *observe[CONF_OBSERVES_MAX];	/* likewise */
	unsigned observe_count;
	const char *serve[CONF_SERVES_MAX];	/* labels in the directory; no two programs have the same */
	unsigned serve_count;
	const char *use[CONF_USES_MAX];		/* labels of any program */
	unsigned use_count;
	enum conf_net net;
	int main;
	unsigned device_count;
	struct conf_device device[CONF_DEVICES_MAX];
	enum conf_disk disk;
	unsigned disk_shares;	/* of each disk on which it has something; 0: not given */
	unsigned extent_count, mount_count;
	struct conf_extent extent[CONF_EXTENTS_MAX];
	struct conf_mount mount[CONF_MOUNTS_MAX];
	unsigned port_count, volume_count, claim_count;
	const char *claim[CONF_CLAIMS_MAX];	/* well-formed: conf_claim takes it apart */
	struct conf_port port[CONF_PORTS_MAX];
	struct conf_volume volume[CONF_VOLUMES_MAX];
};

struct conf {
	struct conf_machine machine;
	unsigned count;		/* at least 1 */
	unsigned main;		/* the program whose end ends the machine: the one marked, else the first */
	struct conf_program program[CONF_PROGRAMS_MAX];
};

struct conf_error {
	unsigned line, column;	/* from 1; column counts bytes */
	char text[160];		/* what is wrong and how to mend it */
};

/*
 * Read a configuration of len bytes. Its text is copied to buffer, which must hold len + 1 bytes and live as
 * long as *c is used. Returns 0; or -1 with *error filled, and *c must not be used. It stops at the first
 * mistake.
 */
int conf_read(struct conf *c, const char *text, size_t len, char *buffer, size_t buffer_bytes,
	      struct conf_error *error);

/*
 * Split shell-like words: blanks part them; '...' takes all literally; in "..." a backslash takes away the
 * meaning of " and \, outside quotes of any character. The words are written, NUL-terminated and one after
 * another, over `args` itself; argv[0..count-1] point to them. argv may be NULL: then nothing is written and
 * the words are only counted. Returns the count; -1 when a quote is not closed, -2 for more than max words;
 * *column (may be NULL) is then where, from 0.
 */
int conf_split(char *args, char **argv, unsigned max, unsigned *column);

/*
 * Terms of a claim, parted by blanks, or `all`: OFFSET:WIDTH[&MASK]=VALUE, or != for all other values; an offset may be
 * relative: @BYTE&MASK<<SHIFT+OFFSET:... They are put into claim->term (claim may be NULL: only looked at). Returns how
 * many; -1: it is none, and *column (may be NULL) is where, from 0.
 */
struct exo_claim;
int conf_claim(const char *text, struct exo_claim *claim, unsigned *column);

#endif
