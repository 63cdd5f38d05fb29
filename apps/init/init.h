/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of init share: the boot archive, and a program with what was made for it.
 */
#ifndef APPS_INIT_INIT_H
#define APPS_INIT_INIT_H

#include "apps/init/conf.h"
#include "libos/core/spawn.h"
#include "libos/fs/tar.h"
#include "libos/net/grant.h"

#define INIT_STATUS	125	/* the machine's status when init itself cannot go on */

struct boot_archive {
	struct tar tar;
	const char *module;	/* the whole boot module, mapped read-only */
	exo_cap_t data_cap, text_cap;	/* its frames with READ, and with READ and EXEC: programs share them */
	uint64_t at, bytes;	/* of the archive in the module */
};

struct child {
	const struct conf_program *program;
	struct spawn spawn;
	struct spawn_grant grant[EXO_START_SLOTS_MAX];
	struct claim_set claims;	/* its flows ... */
	struct frame_bag claims_bag;	/* ... and the frames that they lie in */
	char image_name[CONF_NAME_MAX + 32];
	bool running;
	exo_cap_t entry[CONF_SERVES_MAX];	/* to it, published in the directory */
	bool held;	/* an observer starts it, or init when that has ended */
	bool waits;	/* held: for the network device that another owns */
};

/* One clear line, then the machine stops with INIT_STATUS. */
_Noreturn void init_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* module.c: map the boot module, find and index the archive behind init's own image. */
void archive_open(struct boot_archive *archive);
/* A regular file of the archive; NULL: there is none. */
const struct tar_node *archive_file(const struct boot_archive *archive, const char *path);

/*
 * net.c: make the flows of the configured programs; children[i] is for program i. Then, for each child, what
 * it is to be granted.
 */
void net_make(struct child *children, const struct conf *conf);
void net_grant(struct child *child);
/* The owner of a device has ended: is this one next, which waits for it? Then it is ready to be started. */
bool net_next(struct child *child);
/* It has ended: drop its flows; returns how many frames that frees. */
uint32_t net_drop(struct child *child);

/*
 * disk.c: find the extents that the programs want, by the disks' tables, and reckon their shares. Then, for each child,
 * number i for program i, what it is to be granted; and the environment variable with its mounts: false: no room.
 */
void disks_make(const struct conf *conf);
void disks_grant(struct child *child, unsigned number);
bool disks_mounts(const struct conf_program *program, char *text, size_t bytes);

/* program.c: make, start, and take away again. */
void program_grant(struct child *child, const char *name, exo_cap_t cap, uint64_t rights, uint64_t first,
		   uint64_t count);
void program_make(struct child *child, const struct conf_program *program, unsigned number,
		  const struct boot_archive *archive);
/* When all are made: the accounts from which it may demand, and the programs that it may observe. */
void program_others(struct child *child, struct child *children, unsigned count);
void program_start(struct child *child);
/* Publish its labels in the directory; the first time, make that. Before program_others. */
void program_publish(struct child *child);
/*
 * It has ended: say why, free all that it held, check that. Returns the status of the machine if it was the
 * main one.
 */
uint64_t program_end(struct child *child, const struct exo_env_info *info);

#endif
