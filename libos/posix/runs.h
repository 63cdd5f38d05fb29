/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the frames of private pages come from, and the addresses that memory.c and runs.c share out. All of
 * it is [upcall].
 */
#ifndef LIBOS_POSIX_RUNS_H
#define LIBOS_POSIX_RUNS_H

#include "libos/posix/memory.h"
#include "libos/posix/wire.h"

/* In the low 2 MiB, whose page tables every process has. */
#define META_WINDOW	0x14000ULL			/* the copy that is being made */
#define META_START	0x180000ULL			/* a bit for each frame of a run: is it spare? */
#define META_FIRST	(META_START + 8 * EXO_PAGE_SIZE)	/* the first struct vm_region's, in one page with the first leaf */
#define META_LEAVES	(META_FIRST + EXO_PAGE_SIZE / 2)	/* places */
#define META_REGIONS	0x1d0000ULL			/* further regions */
#define META_END	0x1e0000ULL
/* Up to 2 MiB: frames for copies of pages; in fork, of wired pages. */
#define META_COPY	META_END
#define META_STAGED	24U				/* so many frames at most */
#define RUN_FRAMES_MAX	8192U				/* 1 KiB of bits */
#define ARGS_START	((exo_vaddr_t)WIRE_VA_ARGS)
#define ARGS_END	((exo_vaddr_t)WIRE_VA_ARGS + WIRE_ARGS)

_Static_assert(MEMORY_RUNS * RUN_FRAMES_MAX / 8 <= META_FIRST - META_START, "room for the bits");
_Static_assert(WIRE_VA_ARGS + WIRE_ARGS <= META_START, "arguments end before");

#define INDEX_MASK	((1U << MEMORY_INDEX_BITS) - 1)

static inline struct memory_run *run_of(uint32_t place)
{
	return &memory_run[(place >> MEMORY_INDEX_BITS) - 1];
}

/* The page of the tables that va lies in is there from now on; false: no memory. memory.c */
bool meta_need(exo_vaddr_t va);

/* So many pages in a row have been asked for: more frames are taken at a time. */
extern uint32_t runs_ahead;
/* A frame for a page; 0: none. *dirty: it has old contents. */
uint32_t run_take(bool *dirty);
/* Is there a run of hot pages, if need be from now on? */
bool run_hot(void);
/* One that no page uses: keep it. / The page was the program's alone or is shared: keep the frame or let it go. */
void run_put(uint32_t place);
void run_release(uint32_t place);
/* Shared pages whose frames follow each other have been copied: give up the holds. */
void run_give(uint32_t place, uint32_t pages);
/* Must a page be copied before it is written? */
bool run_shared(uint32_t place);
/* The place of a frame; 0: it is in no run. */
uint32_t run_find(exo_pfn_t pfn);

/*
 * Which runs to empty when there are many: a bit each, of those with the fewest pages. Nothing is taken from
 * them any more. 0: there are few.
 */
uint64_t runs_to_empty(void);
/* Those of them in which no page is left go. */
void runs_emptied(uint64_t chosen);

bool runs_started(void);
void runs_start(void);
void runs_forked(void);

#endif
