/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making, starting, looking into and destroying other environments.
 *
 * The creator's side of what start.c does in the child: space, image, dispatcher page, capabilities and
 * start record as include/exo/start.h says. All frames that the creator gives a child come from one
 * bag, so that what it took can be dropped together.
 *
 * A position-independent image is relocated before the child runs, in the creator's window on its data;
 * its text and constants are never written, so they may be mapped from the file itself. Randomised,
 * image and archive lie in the lower half of one of 127 rooms of 512 GiB, the heap (with all stacks and
 * thread-local blocks) in the upper half, at random places that the creator's generator chooses: 24 to
 * 33 bits for the image (24 and where it may begin within a table of pages; fewer with hundreds of MiB
 * of archive, as no boundary of 1 GiB is crossed that need not be), 17 more for the heap. It
 * costs the child three tables, however it falls, so that what is needed never depends on chance. A program
 * with a limit of 256 KiB or less lies in the table of the fixed pages, if it and the archive fit there, at
 * one of about 200 places.
 */
#ifndef LIBOS_CORE_SPAWN_H
#define LIBOS_CORE_SPAWN_H

#include <exo/account.h>
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
	/*
	 * ... and the frames in which it lies: congruent pages never written are mapped from there (byte
	 * offset in them), not copied. The child may have for them whatever rights the capability has: so
	 * it, and that of the archive, must not have WRITE if others use the same frames.
	 */
	exo_cap_t image_cap;
	uint64_t image_at;
	unsigned argc, envc;
	const char *const *argv, *const *envv;
	exo_cap_t archive_cap;		/* mapped read-only: archive_bytes from frame archive_first on */
	uint32_t archive_first;
	uint64_t archive_bytes;
	exo_cap_t account;		/* parent of the child's account ... */
	uint64_t limit_frames;		/* ... of so many frames, those that the creator gives it included */
	unsigned cpu;			/* that it runs on */
	unsigned slices;		/* of that CPU, taken by the creator and charged to it */
	struct exo_share share[EXO_SHARES];	/* of its account; a limit of 0 is none. Frames: their limit
					 * stands above, what is guaranteed counts what the creator gives it */
	uint64_t answer_ns;		/* that its account has to answer a demand; 0: the kernel's own */
	bool randomize;			/* where it lies: image, archive, heap with stacks */
	bool seal;			/* no page but those of its text can ever be executed */
	const struct spawn_grant *grant;
	unsigned grants;
	/* Filled by spawn_make. */
	exo_cap_t env, space, child_account, slice_cap;
	uint64_t account_frames;	/* limit of its account; 0: none of its own */
	exo_vaddr_t base;		/* what is added to the addresses in its file; 0 for a fixed one */
	exo_vaddr_t start, archive, heap;	/* where its image, the archive and its heap begin */
	exo_env_id_t id;
	struct frame_bag bag;
	struct frame record;		/* its start record */
	char error[160];
};

/* Make everything but do not let it run. 0, or -1 with a sentence in `error` and nothing left behind. */
int spawn_make(struct spawn *spawn);
/* Give it another capability before it runs. 0, or -1 with a sentence in `error`. */
int spawn_grant(struct spawn *spawn, const struct spawn_grant *one);
int64_t spawn_start(struct spawn *spawn);
/* End it if it runs, and free all that it and the creator held for it. */
void spawn_destroy(struct spawn *spawn);

/*
 * Copy another environment's memory (needs its capability with READ). Returns how many bytes could be read
 * from the beginning on.
 */
size_t spawn_read(exo_cap_t env, exo_vaddr_t address, void *to, size_t bytes);

/*
 * Print what ended an environment by an exception: name, cause, address, registers, and a backtrace by
 * frame pointers, with names from `image`'s symbols (may be NULL), which lie `base` lower than its
 * addresses. `info` is its entry in the exposed table.
 */
void report_fault(const char *name, exo_cap_t env, const struct exo_env_info *info, const void *image,
		  size_t bytes, exo_vaddr_t base);

/* --- info.c: the exposed tables, mapped at first use; NULL: no capability or no memory ------------------ */

/* Nanoseconds of CPU time of this environment until now, if it may know; else since boot. Never runs back. */
uint64_t info_cpu_ns(void);
const struct exo_env_info *info_env(uint32_t index);
const struct exo_cpu_info *info_cpu(uint32_t index);
const struct exo_slice_info *info_slice(uint32_t index);
const struct exo_flow_info *info_flow(uint32_t index);
const struct exo_frame_info *info_frame(uint32_t pfn);
/* In a copy of a program, whose space has none of them: they are mapped again when they are asked for. */
void info_forked(void);

#endif
