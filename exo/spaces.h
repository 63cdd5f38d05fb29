/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the two files of the space resource share: entries, their links, and the invalidations that a call
 * gathers.
 *
 * A leaf table T is followed by two LINKS frames, T + 1 and T + 2, which hold for each entry the next and the
 * previous entry of the ring made through one capability. An entry's place is its physical address, so its
 * links lie 1 and 2 frames behind it and map and unmap cost O(1); what was bound through a capability is
 * found without a search. prev of a ring's first entry is the capability's physical address with
 * SPACE_PREV_CAP set, its head is cap->bound.
 *
 * S1 a present leaf entry is in exactly one capability's ring; links of an absent one mean nothing
 * S2 frame.maps of a frame == present leaf entries that map it, in all spaces
 * S3 each table is linked from one entry; frame_table: TABLE: object = root, level; T + 1: object = T; T + 2:
 *    object = address >> LEAF_SHIFT; the root: pins = environments and capabilities that hold the space
 * S4 an entry without the accessed bit is in no TLB, so changing it needs no invalidation
 * S5 space_recent names leaf tables that are linked: they go only with their space, which forgets them
 */
#ifndef EXO_SPACES_H
#define EXO_SPACES_H

#include "exo/kernel.h"

#define LEAF_SHIFT	21
#define NEXT		PT_ENTRIES		/* from an entry to its links */
#define PREV		(2 * PT_ENTRIES)
#define SPACE_PREV_CAP	(1ULL << 63)
#define STALE_MAX	32			/* invalidations page by page; beyond that, of everything */
#define MAP_RIGHTS	(EXO_MAP_READ | EXO_MAP_WRITE | EXO_MAP_EXEC)

/* Entry for frame 0 with given flags; 0: not a legal combination. And the states a frame may have then. */
extern uint64_t space_bits[MAP_RIGHTS + 1];
extern const uint32_t space_states[MAP_RIGHTS + 1];

/* Leaf tables that were looked up lately, by the low bits of their number [c]. */
#define RECENT	8
struct space_recent {
	exo_pfn_t root;
	uint64_t number;		/* address >> LEAF_SHIFT */
	uint64_t *table;
	uint64_t spare;			/* a power of two is found faster */
};
extern struct space_recent space_recent[RECENT];

/* Pages that the CPU must forget before the call ends. */
struct stale {
	unsigned count;
	bool loaded;			/* the space is the one loaded */
	uint64_t va[STALE_MAX];
};

void space_settle(const struct stale *stale);
/* The entry for an address in its table of a level; NULL if a table above is missing. */
uint64_t *space_walk(exo_pfn_t root, uint64_t va, unsigned level);
/* The leaf table of an address, unless it is one of the two with pages that are never mapped, or there is
 * none. */
uint64_t *space_leaf(exo_pfn_t root, uint64_t va);

/* The same if it was looked up lately; NULL: perhaps it is there all the same. */
static inline uint64_t *leaf_known(exo_pfn_t root, uint64_t va)
{
	const struct space_recent *recent = &space_recent[va >> LEAF_SHIFT & (RECENT - 1)];

	return likely(recent->number == va >> LEAF_SHIFT && recent->root == root) ? recent->table : NULL;
}

static inline uint64_t *leaf_of(exo_pfn_t root, uint64_t va)
{
	uint64_t *leaf = leaf_known(root, va);

	return likely(leaf) ? leaf : space_leaf(root, va);
}

static inline uint64_t place_of(const void *va)
{
	return (uint64_t)((const char *)va - arch_phys_base);
}

static inline exo_pfn_t entry_frame(uint64_t entry)
{
	return (exo_pfn_t)((entry & EXO_PTE_FRAME) >> EXO_PAGE_SHIFT);
}

static inline unsigned table_index(uint64_t va, unsigned level)
{
	return va >> (3 + 9 * level) & (PT_ENTRIES - 1);
}

static inline uint64_t through_cap(const struct exo_cap *cap)
{
	return place_of(cap) | SPACE_PREV_CAP;
}

static inline void ring_insert(struct exo_cap *cap, uint64_t through, uint64_t *entry)
{
	uint64_t place = place_of(entry), head = cap->bound;

	entry[NEXT] = head;
	entry[PREV] = through;
	cap->bound = place;
	if (head)
		((uint64_t *)phys_to_virt(head))[PREV] = place;
}

static inline void ring_remove(const uint64_t *entry)
{
	uint64_t next = entry[NEXT], prev = entry[PREV];

	if (prev & SPACE_PREV_CAP)
		((struct exo_cap *)phys_to_virt(prev & ~SPACE_PREV_CAP))->bound = next;
	else
		((uint64_t *)phys_to_virt(prev))[NEXT] = next;
	if (next)
		((uint64_t *)phys_to_virt(next))[PREV] = prev;
}

static inline void entry_remove(uint64_t *entry)
{
	frame_table[entry_frame(*entry)].maps--;
	ring_remove(entry);
	*entry = 0;
}

static inline void stale_note(struct stale *stale, uint64_t old, uint64_t va)
{
	if (!stale->loaded || !(old & EXO_PTE_ACCESSED))
		return;
	if (stale->count < STALE_MAX)
		stale->va[stale->count] = va;
	stale->count++;
}

#endif
