/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making, starting, looking into and destroying other environments.
 *
 * The creator's side of what start.c does in the child: space, image, dispatcher page, capabilities and start
 * record as include/exo/start.h says. All frames that the creator gives a child come from one bag, so that
 * what it took can be dropped together.
 */
#ifndef LIBOS_CORE_SPAWN_H
#define LIBOS_CORE_SPAWN_H

#include "libos/core/elf.h"
#include "libos/core/frame.h"

/* A capability for the child, under a name in its start record. */
struct spawn_grant {
	const char *name;
	exo_cap_t source;
	uint64_t rights, first, count;
};

struct spawn {
	/* Filled by the caller; what is zero is not wanted. */
	const char *name;		/* label in the exposed table and argument 0 of reports */
	const void *image;		/* an ELF executable in memory ... */
	size_t image_bytes;
	exo_cap_t image_cap;		/* ... and the frames in which it lies: congruent pages never */
	uint64_t image_at;		/* written are mapped from there (byte offset in them), not copied */
	unsigned argc, envc;
	const char *const *argv, *const *envv;
	exo_cap_t archive_cap;		/* mapped read-only: archive_bytes from frame archive_first on */
	uint32_t archive_first;
	uint64_t archive_bytes;
	exo_cap_t account;		/* parent of the child's account ... */
	uint64_t limit_frames;		/* ... of so many frames, those that the creator gives it included */
	unsigned slices;		/* of CPU 0 */
	const struct spawn_grant *grant;
	unsigned grants;
	/* Filled by spawn_make. */
	exo_cap_t env, space, child_account, slice_cap;
	uint64_t account_frames;	/* limit of its account; 0: none of its own */
	exo_env_id_t id;
	struct frame_bag bag;
	char error[160];
};

/* Make everything but do not let it run. 0, or -1 with a sentence in `error` and nothing left behind. */
int spawn_make(struct spawn *spawn);
int64_t spawn_start(struct spawn *spawn);
/* End it if it runs, and free all that it and the creator held for it. */
void spawn_destroy(struct spawn *spawn);

/*
 * Copy another environment's memory (needs its capability with READ). Returns how many bytes could be read
 * from the beginning on.
 */
size_t spawn_read(exo_cap_t env, exo_vaddr_t address, void *to, size_t bytes);

/*
 * Print what ended an environment by an exception: name, cause, address, registers, and a backtrace by frame
 * pointers, with names from `image`'s symbols (may be NULL). `info` is its entry in the exposed table.
 */
void report_fault(const char *name, exo_cap_t env, const struct exo_env_info *info, const void *image,
		  size_t bytes);

/* --- info.c: the exposed tables, mapped at first use; NULL: no capability or no memory ------------------ */

const struct exo_env_info *info_env(uint32_t index);
const struct exo_slice_info *info_slice(uint32_t index);
const struct exo_flow_info *info_flow(uint32_t index);
const struct exo_frame_info *info_frame(uint32_t pfn);

#endif
