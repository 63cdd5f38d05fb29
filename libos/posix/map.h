/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What mmap has mapped, for the rest of the libOS.
 */
#ifndef LIBOS_POSIX_MAP_H
#define LIBOS_POSIX_MAP_H

#include "libos/vm/vm.h"

enum posix_map_kind {
	POSIX_MAP_NONE,		/* the region is none of mmap's */
	POSIX_MAP_MEMORY,	/* own frames, zeros at first */
	POSIX_MAP_COPY,		/* own frames, at first with what the file has there */
	POSIX_MAP_SHARED	/* the keeper's frames */
};

/* [upcall] */
enum posix_map_kind posix_map_kind(const struct vm_region *region);

/*
 * Inside brackets. Attach a segment of XSI's shared memory: at *at, where nothing but maps may be, and only with `over`
 * one; *at 0: anywhere. 0 or -errno. / All that maps have in [va, end) goes: 0 or -ENOMEM.
 */
int64_t posix_map_segment(int id, bool read_only, bool over, exo_vaddr_t *at);
int posix_unmap(exo_vaddr_t va, exo_vaddr_t end);

/* Inside brackets. A page of a region that may be read is there from now on; 0 or -ENOMEM. */
int posix_map_touch(struct vm_region *region, exo_vaddr_t va);
/* mlock.c: has the process locked all that it had mapped? */
bool posix_locked(void) __attribute__((weak));
/* What is mapped, or the heap grows by, shall be there at once (mlock.c); NULL: nobody has asked for that. */
extern void (*posix_locks_new)(exo_vaddr_t va, exo_vaddr_t end);

/* The signal and its code for a fault that nobody has resolved. [upcall] */
int posix_fault_signal(uint64_t address, uint64_t error, int *code);

#endif
