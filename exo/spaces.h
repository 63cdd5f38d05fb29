/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the space resource share: entries, their links, and the invalidations that a call
 * gathers.
 *
 * A table T whose entries may map pages (a leaf table, or one of EXO_LEVEL_LARGE) is followed by two LINKS
 * frames, T + 1 and T + 2, which hold for each entry the next and the previous entry of the ring made
 * through one capability. An entry's place is its physical address, so its links lie 1 and 2 frames behind
 * it and map and unmap cost O(1); what was bound through a capability is found without a search. prev of a
 * ring's first entry is the capability's physical address with SPACE_PREV_CAP set, its head is cap->bound.
 *
 * S1 a present entry that maps a page is in exactly one capability's ring; links of others mean nothing.
 *    One thing more may be in a ring: space_marker
 * S2 frame.maps of a frame == present entries that map it, in all spaces; a large page maps each of its 512
 * S3 each table is linked from one entry; frame_table: TABLE: object = root, level; T + 1: object = T; T +
 *    2: object = address >> LEAF_SHIFT; the root: pins = environments and capabilities that hold the space
 * S4 an entry without accessed bit when it was taken out or changed, by one atomic operation, is in no TLB
 * S5 space_recent names leaf tables that are linked: they go only with their space, which forgets them; and
 *    none of a sealed space with TABLE_CODE: so the fast ways, which use it, need not ask
 * S6 an entry has WRITE only with MAY_WRITE, is executable only with MAY_EXEC; these two never change
 * S7 a table with an executable entry has TABLE_CODE
 */
#ifndef EXO_SPACES_H
#define EXO_SPACES_H

#include "exo/splits.h"

#define LEAF_SHIFT	21
#define LARGE_BYTES	(1ULL << LEAF_SHIFT)
#define NEXT		PT_ENTRIES		/* from an entry to its links */
#define PREV		(2 * PT_ENTRIES)
#define SPACE_PREV_CAP	(1ULL << 63)
#define STALE_MAX	32			/* invalidations page by page; beyond that, of everything */
#define MAP_RIGHTS	(EXO_MAP_READ | EXO_MAP_WRITE | EXO_MAP_EXEC)
#define PTE_MAY		(EXO_PTE_MAY_WRITE | EXO_PTE_MAY_EXEC)
#define PTE_RIGHTS	(EXO_PTE_WRITE | EXO_PTE_NX)

#define TABLE_LARGE	5		/* frame.level of one of EXO_LEVEL_LARGE, which stands at level 2 */
#define SPACE_SEALED	0x01		/* frame.flags of a root */
#define SPACE_EMPTYING	0x04		/* ... its tables are being taken away: nothing is added before that is done */
#define TABLE_CODE	0x02		/* ... of a table with links: it has or had an executable entry */

#define LARGE_UNITS	16			/* of budget, to cut a large page */
#define LARGE_PAGES	(EXO_MAP_BATCH_MAX / EXO_LARGE_BATCH_MAX)	/* as which one counts in a batch */

/* Entry for frame 0 with given flags, mapped through a capability with given rights; 0: not a legal
 * combination, or a right is missing. And the states that a frame may have then. */
extern uint64_t space_bits[2 * (MAP_RIGHTS + 1) * (MAP_RIGHTS + 1)];	/* of one that is split: 0 */
extern const uint32_t space_states[MAP_RIGHTS + 1];

static inline uint64_t bits_of(unsigned flags, unsigned rights)
{
	return space_bits[rights * (MAP_RIGHTS + 1) + flags];
}

/* Leaf tables that were looked up lately, by the low bits of their number [k]. */
#define RECENT	8
struct space_recent {
	exo_pfn_t root;
	uint64_t number;		/* address >> LEAF_SHIFT */
	uint64_t *table;
	uint64_t spare;			/* a power of two is found faster */
};
extern struct space_recent space_recent[RECENT];

/* Pages of a space that the CPUs must forget before the call ends. */
struct stale {
	exo_pfn_t root;
	unsigned count;			/* more than STALE_MAX: everything */
	uint64_t va[STALE_MAX];
};

/* Three frames as those of a table, but for one entry only, whose links say how far a search of a ring
 * has come. */
extern exo_pfn_t space_marker;

static inline void stale_begin(struct stale *stale, exo_pfn_t root)
{
	stale->root = root;
	stale->count = 0;
}

/* All CPUs forget what was gathered. */
void space_settle(const struct stale *stale);
/* The same for one page; returns 1, as a call that has done one descriptor does. */
int64_t space_forget_page(exo_pfn_t root, uint64_t va);
/* The entry for an address in its table of a level; NULL if a table above is missing, or a large page is
 * there. */
uint64_t *space_walk(exo_pfn_t root, uint64_t va, unsigned level);
/* The leaf table of an address, if the fast ways may use it: not if it is one of the two with pages that
 * are never mapped, or has code of a sealed space, or there is none. */
uint64_t *space_leaf(exo_pfn_t root, uint64_t va);
/* Take an entry out, of whatever size, out of its ring too; returns what it was. */
uint64_t space_cut(uint64_t *entry);
/* A descriptor with EXO_MAP_LARGE: 0 or an error. */
int64_t space_write_large(const struct env *env, exo_pfn_t root, const struct exo_map *map,
    struct stale *stale, uint64_t *old);
/* The capability through which a descriptor maps pages of `frames` frames each, its first frame, and the bits of
 * an entry for frame 0; the first page's entry is `old` now. NULL: *error says why not. space_split.c */
struct exo_cap *space_through(const struct env *env, const struct exo_map *map, uint32_t frames, uint64_t old,
    exo_pfn_t *pfn, uint64_t *bits, int64_t *error);
/* All pages of it are mapped through a capability. */
static inline void space_mapped(const struct exo_cap *cap, exo_pfn_t pfn, uint32_t frames, uint64_t bits)
{
	if (unlikely(cap->rights & EXO_RIGHT_RESTORE && bits & EXO_PTE_MAY_WRITE))
		split_claim(cap, pfn, frames);
}
/* A large page, whose entry was this, maps its frames no more. */
void space_large_unmaps(uint64_t old);

/* The same if it was looked up lately; NULL: perhaps it is there all the same. */
static inline uint64_t *leaf_known(exo_pfn_t root, uint64_t va)
{
	const struct space_recent *recent = &space_recent[va >> LEAF_SHIFT & (RECENT - 1)];

	if (unlikely(recent->number != va >> LEAF_SHIFT || recent->root != root))
		return NULL;
	if (!recent->table)
		__builtin_unreachable();	/* spares asking again */
	return recent->table;
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

/* What is known of the table that an entry lies in. */
static inline struct frame *entry_table(const uint64_t *entry)
{
	return &frame_table[place_of(entry) >> EXO_PAGE_SHIFT];
}

static inline exo_pfn_t entry_frame(uint64_t entry)
{
	return (exo_pfn_t)((entry & EXO_PTE_FRAME) >> EXO_PAGE_SHIFT);
}

static inline bool entry_is_code(uint64_t entry)
{
	return (entry & (EXO_PTE_MAY_EXEC | EXO_PTE_NX)) == EXO_PTE_MAY_EXEC;
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

/*
 * The hardware of all CPUs that have a space loaded sets accessed and dirty bits of present entries at any
 * time; nothing else but the holder of the kernel lock changes entries. So a present entry is exchanged, or
 * its rights changed by adding the difference, which no such bit can disturb; an absent one is just
 * written.
 */
static inline uint64_t entry_exchange(uint64_t *entry, uint64_t to)
{
	return __atomic_exchange_n(entry, to, __ATOMIC_SEQ_CST);
}

/* Returns what the entry was. */
static inline uint64_t entry_add(uint64_t *entry, uint64_t by)
{
	return __atomic_fetch_add(entry, by, __ATOMIC_SEQ_CST);
}

static inline uint64_t entry_protect(uint64_t *entry, uint64_t old, uint64_t bits)
{
	return entry_add(entry, (bits & PTE_RIGHTS) - (old & PTE_RIGHTS));
}

/* Bits that an entry must have to get these rights. */
static inline uint64_t may_bits(unsigned flags)
{
	_Static_assert(EXO_MAP_WRITE << 8 == EXO_PTE_MAY_WRITE, "one shift for both");
	_Static_assert(EXO_MAP_EXEC << 8 == EXO_PTE_MAY_EXEC, "one shift for both");
	return (uint64_t)(flags & (EXO_MAP_WRITE | EXO_MAP_EXEC)) << 8;
}

/* Rights that an entry has not and may not get. */
static inline uint64_t entry_lacks(uint64_t entry, unsigned flags)
{
	return may_bits(flags) & ~entry;
}

/* Of an ordinary page. */
static inline uint64_t entry_remove(uint64_t *entry)
{
	uint64_t old = entry_exchange(entry, 0);

	ring_remove(entry);
	frame_unmap(entry_frame(old));
	return old;
}

static inline void stale_note(struct stale *stale, uint64_t old, uint64_t va)
{
	if (!(old & EXO_PTE_ACCESSED))
		return;
	if (stale->count < STALE_MAX)
		stale->va[stale->count] = va;
	stale->count++;
}

#endif
