/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page-table entries: what exo_space_write reads from the argument frame, and the bits an application sees when it
 * reads its own tables (x86-64: AMD64 Architecture Programmer's Manual, volume 2, 5.3).
 *
 * One descriptor maps `count` consecutive frames, from frame `first` of the capability on, at consecutive pages from
 * `va` on. Flags are in the low bits of `va`. Flags 0 unmaps. cap 0 with flags keeps the frames and changes the rights,
 * up to those that the capability had through which each was mapped (bits MAY_WRITE and MAY_EXEC of the entry remember
 * them): so who maps into another's space does it through a capability without the rights that the other must not have.
 * The old entry comes back in `old`: for count 1 the entry itself, for a run all old entries OR-ed (so that a
 * dirty bit is never lost; who must know which page was dirty writes single pages). An entry that was not present is 0.
 * Write and execute at once is refused. EXO_MAP_LARGE: the same with pages of 2 MiB under a table of EXO_LEVEL_LARGE:
 * va and the frame number of `first` are multiples of 2 MiB, `count` counts large pages, EXO_LARGE_BATCH_MAX at most.
 */
#ifndef EXO_SPACE_H
#define EXO_SPACE_H

#include <exo/types.h>

#define EXO_MAP_READ	0x1
#define EXO_MAP_WRITE	0x2
#define EXO_MAP_EXEC	0x4
#define EXO_MAP_LARGE	0x8	/* pages of 2 MiB */
#define EXO_MAP_FLAGS	0xfff
#define EXO_LARGE_FRAMES	512
#define EXO_LARGE_BATCH_MAX	4

/* Bits of a page-table entry, for reading. */
#define EXO_PTE_PRESENT		0x001
#define EXO_PTE_WRITE		0x002
#define EXO_PTE_USER		0x004
#define EXO_PTE_UNCACHED	0x018	/* a device's memory */
#define EXO_PTE_ACCESSED	0x020
#define EXO_PTE_DIRTY		0x040
#define EXO_PTE_LARGE		0x080	/* in a table of EXO_LEVEL_LARGE: maps 2 MiB itself */
#define EXO_PTE_MAY_WRITE	0x200	/* mapped through a capability with WRITE, of a frame that may be written */
#define EXO_PTE_MAY_EXEC	0x400	/* the same with EXEC */
#define EXO_PTE_NX		0x8000000000000000
#define EXO_PTE_FRAME		0x000ffffffffff000

/* Levels of exo_space_table: what the new table's entries map. */
#define EXO_LEVEL_PAGES		1	/* 2 MiB of pages; takes 3 frames: the table and two frames of links */
#define EXO_LEVEL_1G		2
#define EXO_LEVEL_512G		3
#define EXO_LEVEL_LARGE		4	/* 1 GiB of large pages or tables of pages; takes 3 frames as EXO_LEVEL_PAGES does */

struct exo_map {
	uint64_t va;		/* page address | EXO_MAP_* */
	exo_cap_t cap;		/* frame capability; 0 to unmap or to change rights */
	uint32_t first;		/* frame within the capability */
	uint32_t count;		/* pages, >= 1 */
	uint64_t old;		/* out */
};

#ifndef __ASSEMBLER__
_Static_assert(sizeof(struct exo_map) == 32, "a descriptor is 32 bytes");
#endif

#endif
