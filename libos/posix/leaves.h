/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between memory.c and memory_fork.c: where the places of pages stand (M1 in memory.h). All of it is [upcall].
 */
#ifndef LIBOS_POSIX_LEAVES_H
#define LIBOS_POSIX_LEAVES_H

#include "libos/core/spawn.h"
#include "libos/posix/runs.h"

#define LEAF_PAGES	512
#define LEAF_BYTES	(LEAF_PAGES * sizeof(uint32_t))
#define LEAVES		((META_REGIONS - META_LEAVES) / LEAF_BYTES)
#define RW		(EXO_MAP_READ | EXO_MAP_WRITE)
#define BATCH		64		/* descriptors of one call */

/* Sorted by key: which 2 MiB a leaf is for. */
struct memory_leaf {
	uint32_t key;
	uint32_t leaf : 8;
	bool lazy : 1;			/* of a forked child: none of its pages is mapped but hot ones */
	bool mapped : 1;		/* all pages with a place have been mapped, and none was unmapped since */
	uint32_t low : 10, high : 10;	/* pages with a place lie in [low, high) */
};
_Static_assert(sizeof(struct memory_leaf) == 8, "each fork copies the table");
extern struct memory_leaf leaves[LEAVES];
extern uint32_t leaf_count, leaf_hint;		/* leaf_hint: the one that place_at found last */

static inline uint32_t *leaf_places(uint32_t i)
{
	return (uint32_t *)(META_LEAVES + leaves[i].leaf * LEAF_BYTES);
}

/* Where the place of a page stands; NULL: it has none, and none can be made. */
uint32_t *place_at(exo_vaddr_t va, bool make);

static inline int64_t map_place(exo_vaddr_t va, unsigned flags, uint32_t place)
{
	const struct frame frame = { .cap = run_of(place)->cap, .first = place & INDEX_MASK };

	return space_map_frame(va, flags, &frame);
}

/* Copies take the places of pages, in frames from `copy` on, of `most` pages at most; how many, or 0: *why. */
uint32_t move_pages(exo_vaddr_t va, unsigned flags, uint32_t *at, bool present, uint32_t copy, uint32_t most,
		    const char **why);
/* The page is another one's too; so may be those behind it. They get copies; NULL, or what is wrong. */
const char *copy_page(exo_vaddr_t va, unsigned flags, uint32_t *at, bool present, uint32_t most);

#endif
