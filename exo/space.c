/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces: page tables in frames that applications gave up, and the record of each binding.
 *
 * A leaf table T is followed by two LINKS frames, T + 1 and T + 2, which hold for each entry the next and the previous
 * entry of the ring made through one capability. An entry's place is its physical address, so its links lie 1 and 2
 * frames behind it and map and unmap cost O(1); what was bound through a capability is found without a search. prev of
 * a ring's first entry is the capability's physical address with SPACE_PREV_CAP set, its head is cap->bound.
 *
 * S1 a present leaf entry is in exactly one capability's ring; links of an absent one mean nothing
 * S2 frame.maps of a frame == present leaf entries that map it, in all spaces
 * S3 each table is linked from one entry; frame_table: TABLE: object = root, level; T + 1: object = T; T + 2: object =
 *    address >> LEAF_SHIFT; the root: pins = environments and capabilities that hold the space, no maps by itself
 * S4 an entry without the accessed bit is in no TLB, so changing it needs no invalidation
 *
 * One CPU has a space loaded, cpu.space; with more, taking rights away must also reach the others. Invalidations are
 * gathered over a call and done at its end: page by page, or all at once beyond STALE_MAX.
 */
#include "exo/kernel.h"

#define LEAF_SHIFT	21
#define NEXT		PT_ENTRIES		/* from an entry to its links */
#define PREV		(2 * PT_ENTRIES)
#define SPACE_PREV_CAP	(1ULL << 63)
#define STALE_MAX	32
#define LONG_WAY	3			/* pages that a descriptor costs more that is not done in a group */
#define SCAN_SHIFT	5			/* entries looked through for one unit of budget, log2 */
#define noinline	__attribute__((noinline))	/* ways that would spoil the registers of faster ones */
#define MAP_RIGHTS	(EXO_MAP_READ | EXO_MAP_WRITE | EXO_MAP_EXEC)

/* Entry for frame 0 with given flags; 0: not a legal combination. And the states a frame may have then. */
static uint64_t page_bits[MAP_RIGHTS + 1];
static const uint32_t page_states[MAP_RIGHTS + 1] = {
	[EXO_MAP_READ] = FRAME_READABLE,
	[EXO_MAP_READ | EXO_MAP_WRITE] = FRAME_WRITABLE,
	[EXO_MAP_READ | EXO_MAP_EXEC] = FRAME_WRITABLE,
};
static struct exo_cap no_cap;

struct stale {
	unsigned count;
	bool loaded;
	uint64_t va[STALE_MAX];
};

/* The last leaf table that was looked up [c]: leaf tables go only with their space, which clears this. */
static struct {
	exo_pfn_t root;
	uint64_t number;		/* address >> LEAF_SHIFT */
	uint64_t *table;
} recent;

/* --- entries and rings ----------------------------------------------------------------------------------------- */

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

static void stale_settle(const struct stale *stale)
{
	unsigned i;

	if (stale->count > STALE_MAX) {
		arch_tlb_all();
		return;
	}
	for (i = 0; i < stale->count; i++)
		arch_tlb_page(stale->va[i]);
}

/* The entry for an address in its table of a level; NULL if a table above is missing. */
static uint64_t *walk(exo_pfn_t root, uint64_t va, unsigned level)
{
	uint64_t *table = pfn_to_virt(root), entry;
	unsigned at;

	for (at = PT_LEVELS; at > level; at--) {
		entry = table[table_index(va, at)];
		if (!(entry & EXO_PTE_PRESENT))
			return NULL;
		table = phys_to_virt(entry & EXO_PTE_FRAME);
	}
	return table + table_index(va, level);
}

/* The leaf table of an address, unless it is one of the two with pages that are never mapped, or there is none. */
static inline uint64_t *leaf_of(exo_pfn_t root, uint64_t va)
{
	uint64_t number = va >> LEAF_SHIFT, *entry;

	if (likely(root == recent.root && number == recent.number))
		return recent.table;
	if (number == 0 || number >= EXO_USER_MAX >> LEAF_SHIFT)
		return NULL;
	entry = walk(root, va, 2);
	if (!entry || !*entry)
		return NULL;
	recent.root = root;
	recent.number = number;
	recent.table = phys_to_virt(*entry & EXO_PTE_FRAME);
	return recent.table;
}

/* --- spaces ---------------------------------------------------------------------------------------------------- */

void space_make(exo_pfn_t root)
{
	unsigned flags;

	for (flags = 0; flags <= MAP_RIGHTS; flags++)
		if (page_states[flags])
			page_bits[flags] = arch_pte_page(0, flags);
	arch_zero_frame(root);
	arch_root_init(pfn_to_virt(root));
	frame_retype(root, EXO_FRAME_TABLE, root);
	frame_table[root].level = PT_LEVELS;
}

bool space_holdable(exo_pfn_t root)
{
	return frame_table[root].pins < UINT16_MAX;
}

void space_hold(exo_pfn_t root)
{
	kassert(space_holdable(root));
	frame_table[root].pins++;
}

static void spend(unsigned *budget, unsigned units)
{
	*budget = *budget > units ? *budget - units : 0;
}

/* The first present entry of a table, NULL if it has none; looking costs budget. */
static uint64_t *first_entry(exo_pfn_t pfn, unsigned entries, unsigned *budget)
{
	uint64_t *table = pfn_to_virt(pfn);
	unsigned i;

	for (i = 0; i < entries && !table[i]; i++)
		;
	spend(budget, i >> SCAN_SHIFT);
	return i < entries ? table + i : NULL;
}

/* Cut entries of a leaf table; false: budget used up. At least one is cut. */
static bool leaf_clear(exo_pfn_t leaf, unsigned *budget)
{
	uint64_t *entry = first_entry(leaf, PT_ENTRIES, budget);
	uint64_t *end = (uint64_t *)pfn_to_virt(leaf) + PT_ENTRIES;

	for (; entry && entry < end; entry++) {
		if (!*entry)
			continue;
		entry_remove(entry);
		spend(budget, 1);
		if (!*budget)
			return false;
	}
	spend(budget, PT_ENTRIES >> SCAN_SHIFT);
	return true;
}

/* Take a space apart that nothing uses: entries unlinked, tables and links back to OWNED, the root last. */
static bool space_destroy(exo_pfn_t root, unsigned *budget)
{
	uint64_t *entry, *above;
	exo_pfn_t table;
	unsigned level;

	if (cpu.space == root) {
		arch_space_load(0);
		cpu.space = 0;
	}
	recent.root = 0;
	while ((above = first_entry(root, PT_ENTRIES / 2, budget))) {
		table = entry_frame(*above);
		for (level = PT_LEVELS - 1; level > 1 && (entry = first_entry(table, PT_ENTRIES, budget)); level--) {
			above = entry;
			table = entry_frame(*above);
		}
		if (level == 1) {
			if (!leaf_clear(table, budget))
				return false;
			frame_retype(table + 1, EXO_FRAME_OWNED, 0);
			frame_retype(table + 2, EXO_FRAME_OWNED, 0);
		}
		*above = 0;
		frame_retype(table, EXO_FRAME_OWNED, 0);
		spend(budget, 1);
		if (!*budget)
			return false;
	}
	frame_table[root].pins = 0;
	frame_retype(root, EXO_FRAME_OWNED, 0);
	return true;
}

bool space_unhold(exo_pfn_t root, unsigned *budget)
{
	if (frame_table[root].pins == 1)
		return space_destroy(root, budget);
	frame_table[root].pins--;
	return true;
}

bool space_unbind(struct exo_cap *cap, unsigned *budget)
{
	struct stale stale = { .loaded = false };
	uint64_t place, *entry;
	exo_pfn_t leaf;

	while (cap->bound && *budget) {
		--*budget;
		place = cap->bound;
		entry = phys_to_virt(place);
		leaf = (exo_pfn_t)(place >> EXO_PAGE_SHIFT);
		stale.loaded = frame_table[leaf].object == cpu.space;
		stale_note(&stale, *entry, (uint64_t)frame_table[leaf + 2].object << LEAF_SHIFT |
		    (place & (EXO_PAGE_SIZE - 1)) >> 3 << EXO_PAGE_SHIFT);
		entry_remove(entry);
	}
	stale_settle(&stale);
	return !cap->bound;
}

int64_t space_link_table(exo_pfn_t root, uint64_t va, unsigned level, exo_pfn_t first)
{
	unsigned frames = level == EXO_LEVEL_PAGES ? 3 : 1, i;
	uint64_t *entry;

	if (level < EXO_LEVEL_PAGES || level >= PT_LEVELS || va >= EXO_USER_MAX)
		return ERR(INVAL);
	entry = walk(root, va, level + 1);
	if (!entry)
		return ERR(NOTABLE);
	if (*entry)
		return ERR(BUSY);
	for (i = 0; i < frames; i++)
		if (!frame_retypable(first + i))
			return ERR(BUSY);

	arch_zero_frame(first);
	frame_retype(first, EXO_FRAME_TABLE, root);
	frame_table[first].level = (uint16_t)level;
	if (level == EXO_LEVEL_PAGES) {
		frame_retype(first + 1, EXO_FRAME_LINKS, first);
		frame_retype(first + 2, EXO_FRAME_LINKS, (uint32_t)(va >> LEAF_SHIFT));
	}
	*entry = arch_pte_table(first);
	return 0;
}

bool space_lookup(exo_pfn_t root, uint64_t va, exo_pfn_t *pfn, uint64_t *pte)
{
	uint64_t *entry = va < EXO_USER_MAX ? walk(root, va, 1) : NULL;

	if (!entry || !*entry)
		return false;
	*pfn = entry_frame(*entry);
	*pte = *entry;
	return true;
}

/* --- writing entries ------------------------------------------------------------------------------------------- */

/* Pages [va, va + count), which may lie under two leaf tables: their entries there. */
struct stretch {
	uint64_t va;
	uint32_t count;
	struct part {
		uint64_t *entry;
		uint32_t count;
	} part[2];
};

static inline uint64_t *stretch_entry(const struct stretch *s, uint32_t i)
{
	return i < s->part[0].count ? s->part[0].entry + i : s->part[1].entry + (i - s->part[0].count);
}

/* Bounds and tables; 0 or an error. */
static int64_t stretch_find(struct stretch *s, exo_pfn_t root, uint64_t va, uint32_t count)
{
	uint32_t under = PT_ENTRIES - table_index(va, 1);

	if (count == 0 || count > EXO_MAP_BATCH_MAX)
		return ERR(INVAL);
	if (va < EXO_USER_MIN || va >= EXO_USER_MAX || count > (EXO_USER_MAX - va) >> EXO_PAGE_SHIFT)
		return ERR(INVAL);
	if (under > count)
		under = count;
	s->va = va;
	s->count = count;
	s->part[0].entry = walk(root, va, 1);
	s->part[0].count = under;
	s->part[1].entry = NULL;
	s->part[1].count = count - under;
	if (under < count)
		s->part[1].entry = walk(root, va + ((uint64_t)under << EXO_PAGE_SHIFT), 1);
	return s->part[0].entry && (s->part[1].entry || under == count) ? 0 : ERR(NOTABLE);
}

static void unmap_part(const struct part *part, uint64_t va, struct stale *stale, uint64_t *old)
{
	uint64_t *entry = part->entry, *end = entry + part->count;

	for (; entry != end; entry++, va += EXO_PAGE_SIZE) {
		if (!*entry)
			continue;
		*old |= *entry;
		stale_note(stale, *entry, va);
		entry_remove(entry);
	}
}

#define PTE_RIGHTS	(EXO_PTE_WRITE | EXO_PTE_NX)

/* Would an entry with other rights allow more? Rights to read are the same in all. */
static inline bool entry_gains(uint64_t entry, uint64_t bits)
{
	return ((entry ^ EXO_PTE_WRITE) & bits & EXO_PTE_WRITE) || (entry & ~bits & EXO_PTE_NX);
}

static inline void entry_protect(uint64_t *entry, uint64_t bits, struct stale *stale, uint64_t va)
{
	uint64_t old = *entry;

	if ((old ^ bits) & PTE_RIGHTS) {
		*entry = (old & ~PTE_RIGHTS) | (bits & PTE_RIGHTS);
		stale_note(stale, old, va);
	}
}

static bool part_gains(const struct part *part, uint64_t bits)
{
	const uint64_t *entry = part->entry, *end = entry + part->count;

	for (; entry != end; entry++)
		if (*entry && entry_gains(*entry, bits))
			return true;
	return false;
}

static void protect_part(const struct part *part, uint64_t va, uint64_t bits, struct stale *stale, uint64_t *old)
{
	uint64_t *entry = part->entry, *end = entry + part->count;

	for (; entry != end; entry++, va += EXO_PAGE_SIZE) {
		if (!*entry)
			continue;
		*old |= *entry;
		entry_protect(entry, bits, stale, va);
	}
}

/* Keep the frames, lower the rights; all entries' or none. */
static int64_t protect_stretch(const struct stretch *s, unsigned flags, struct stale *stale, uint64_t *old)
{
	uint64_t bits = page_bits[flags];

	if (part_gains(&s->part[0], bits) || part_gains(&s->part[1], bits))
		return ERR(RIGHTS);
	protect_part(&s->part[0], s->va, bits, stale, old);
	protect_part(&s->part[1], s->va + ((uint64_t)s->part[0].count << EXO_PAGE_SHIFT), bits, stale, old);
	return 0;
}

/*
 * Absent entries from `entry` on map frames from pfn on, in one new stretch at the head of the capability's ring. Stops
 * at a present entry or a frame in another state; returns how many.
 */
static uint32_t map_fresh(uint64_t *entry, uint32_t count, exo_pfn_t pfn, unsigned flags, struct exo_cap *cap)
{
	uint64_t bits = page_bits[flags] | (uint64_t)pfn << EXO_PAGE_SHIFT;
	uint64_t head = cap->bound, place = place_of(entry), *at = entry, *end = entry + count;
	const struct exo_frame_info *state = &info_frame[pfn];
	struct frame *frame = &frame_table[pfn];
	uint32_t states = page_states[flags];

	for (; at != end && !*at && states >> state->state & 1; at++, state++, frame++) {
		frame->maps++;
		*at = bits;
		at[PREV] = place - sizeof(*at);
		place += sizeof(*at);
		at[NEXT] = place;
		bits += EXO_PAGE_SIZE;
	}
	if (at == entry)
		return 0;
	at[NEXT - 1] = head;
	if (head)
		((uint64_t *)phys_to_virt(head))[PREV] = place - sizeof(*at);
	entry[PREV] = through_cap(cap);
	cap->bound = place_of(entry);
	return (uint32_t)(at - entry);
}

/* All pages of a stretch map frames from pfn on; none does after an error. */
static int64_t map_stretch(const struct stretch *s, exo_pfn_t pfn, unsigned flags, struct exo_cap *cap,
    struct stale *stale, uint64_t *old)
{
	uint32_t states = page_states[flags], done, i;
	uint64_t *entry;

	done = map_fresh(s->part[0].entry, s->part[0].count, pfn, flags, cap);
	if (done == s->part[0].count && done < s->count)
		done += map_fresh(s->part[1].entry, s->part[1].count, pfn + done, flags, cap);
	if (likely(done == s->count))
		return 0;
	for (i = done; i < s->count; i++)
		if (!(states >> info_frame[pfn + i].state & 1)) {
			while (done)
				entry_remove(stretch_entry(s, --done));
			return ERR(STATE);
		}
	for (i = done; i < s->count; i++) {
		entry = stretch_entry(s, i);
		if (*entry) {
			*old |= *entry;
			stale_note(stale, *entry, s->va + ((uint64_t)i << EXO_PAGE_SHIFT));
			entry_remove(entry);
		}
		frame_table[pfn + i].maps++;
		*entry = page_bits[flags] | (uint64_t)(pfn + i) << EXO_PAGE_SHIFT;
		ring_insert(cap, through_cap(cap), entry);
	}
	return 0;
}

/* One descriptor, whatever it asks for: 0 or an error. */
static noinline int64_t write_descriptor(const struct env *env, exo_pfn_t root, const struct exo_map *map,
    struct stale *stale, uint64_t *old)
{
	unsigned flags = map->va & EXO_MAP_FLAGS;
	struct stretch s;
	struct exo_cap *cap;
	exo_pfn_t pfn;
	int64_t error;

	if (flags > MAP_RIGHTS || (flags && !page_bits[flags]))
		return ERR(INVAL);
	error = stretch_find(&s, root, map->va - flags, map->count);
	if (error)
		return error;
	*old = 0;
	if (!flags) {
		unmap_part(&s.part[0], s.va, stale, old);
		unmap_part(&s.part[1], s.va + ((uint64_t)s.part[0].count << EXO_PAGE_SHIFT), stale, old);
		return 0;
	}
	if (!map->cap)
		return protect_stretch(&s, flags, stale, old);
	cap = cap_need_frames(env, map->cap, flags, map->first, map->count, &pfn, &error);
	if (!cap)
		return error;
	return map_stretch(&s, pfn, flags, cap, stale, old);
}

/* first and count of a descriptor as one word, read once. */
static inline uint64_t read_range(const struct exo_map *map)
{
	typedef uint64_t __attribute__((may_alias)) word;

	return *(const volatile word *)&map->first;
}
#define ONE_PAGE	(1ULL << 32)	/* first = 0 and count = 1, as one word */

/* The commonest of all: one page is mapped where nothing was. False: nothing is done, look closer. */
static inline bool write_one(const struct env *env, exo_pfn_t root, struct exo_map *map)
{
	uint64_t va = read_once(map->va), index = read_range(map) - ONE_PAGE, *leaf, *entry, bits;
	struct exo_cap *cap;
	exo_pfn_t pfn;

	if (unlikely(root != recent.root || va >> LEAF_SHIFT != recent.number || (va & EXO_MAP_FLAGS) > MAP_RIGHTS))
		return false;
	leaf = recent.table;
	bits = page_bits[va & MAP_RIGHTS];
	cap = cap_typed(env, read_once(map->cap), EXO_TYPE_FRAME);
	if (unlikely(!bits || !cap || (va & MAP_RIGHTS & ~cap->rights) || index >= cap->count))
		return false;
	pfn = (exo_pfn_t)(cap->first + index);
	entry = leaf + table_index(va, 1);
	if (unlikely(*entry || info_frame[pfn].state != EXO_FRAME_OWNED))
		return false;
	frame_table[pfn].maps++;
	*entry = bits | (uint64_t)pfn << EXO_PAGE_SHIFT;
	ring_insert(cap, through_cap(cap), entry);
	write_once(map->old, 0);
	return true;
}

/*
 * In a batch, descriptors of single pages are done in groups: under one leaf table, with the same flags. The group's
 * first says where and which; what does not belong to it, or is wrong, ends the group and is left to write_descriptor.
 * Entries made one after the other through one capability are chained as they come, and enter its ring together.
 */
#define GROUP_KEY	(~(uint64_t)((PT_ENTRIES - 1) << EXO_PAGE_SHIFT))	/* of an address: leaf table and flags */

/* A chain of entries, from the place of the first to that of the last, becomes the head of a ring. */
static inline void ring_insert_chain(struct exo_cap *cap, uint64_t first, uint64_t last)
{
	uint64_t head = cap->bound;

	((uint64_t *)phys_to_virt(first))[PREV] = through_cap(cap);
	((uint64_t *)phys_to_virt(last))[NEXT] = head;
	if (head)
		((uint64_t *)phys_to_virt(head))[PREV] = last;
	cap->bound = first;
}

/* One page of a group where something was, or of a frame that is no ordinary memory. False: not allowed. */
static noinline bool map_over(uint64_t *entry, uint64_t va, struct exo_cap *cap, exo_pfn_t pfn, struct exo_map *map,
    struct stale *stale)
{
	uint64_t old = *entry;

	if (!(page_states[va & MAP_RIGHTS] >> info_frame[pfn].state & 1))
		return false;
	if (old) {
		stale_note(stale, old, va & ~(uint64_t)EXO_MAP_FLAGS);
		entry_remove(entry);
	}
	frame_table[pfn].maps++;
	*entry = page_bits[va & MAP_RIGHTS] | (uint64_t)pfn << EXO_PAGE_SHIFT;
	ring_insert(cap, through_cap(cap), entry);
	write_once(map->old, old);
	return true;
}

/*
 * Map what belongs to a group that begins at `map` under a leaf table, through capabilities; returns the first that
 * does not.
 */
static noinline struct exo_map *group_map(const struct env *env, const uint64_t *table, struct exo_map *map,
    struct exo_map *end, struct stale *stale)
{
	uint64_t key = read_once(map->va) & GROUP_KEY, bits = page_bits[key & MAP_RIGHTS], leaf = place_of(table);
	uint64_t va, index, place, first = 0, last = 0, *entry;
	exo_cap_t handle = 0, next;
	struct exo_cap *cap = &no_cap;
	exo_pfn_t pfn;

	if (unlikely(!bits))
		return map;
	for (; map < end; map++) {
		va = read_once(map->va);
		if (unlikely((va & GROUP_KEY) != key))
			break;
		next = read_once(map->cap);
		if (unlikely(next != handle)) {
			if (last)
				ring_insert_chain(cap, first, last);
			last = 0;
			handle = next;
			cap = cap_typed(env, handle, EXO_TYPE_FRAME);
			if (!cap || (key & MAP_RIGHTS & ~cap->rights))
				break;
		}
		index = read_range(map) - ONE_PAGE;
		if (unlikely(index >= cap->count))
			break;
		pfn = (exo_pfn_t)(cap->first + index);
		place = leaf + (va >> 9 & (PT_ENTRIES - 1) << 3);
		entry = phys_to_virt(place);
		if (unlikely(*entry || info_frame[pfn].state != EXO_FRAME_OWNED)) {
			if (last)
				ring_insert_chain(cap, first, last);
			last = 0;
			if (!map_over(entry, va, cap, pfn, map, stale))
				break;
			continue;
		}
		frame_table[pfn].maps++;
		*entry = bits | (uint64_t)pfn << EXO_PAGE_SHIFT;
		if (likely(last))
			((uint64_t *)phys_to_virt(last))[NEXT] = place;
		else
			first = place;
		entry[PREV] = last;
		last = place;
		write_once(map->old, 0);
	}
	if (last)
		ring_insert_chain(cap, first, last);
	return map;
}

/* The same for descriptors without a capability, which lower rights. */
static noinline struct exo_map *group_protect(const uint64_t *table, struct exo_map *map, struct exo_map *end,
    struct stale *stale)
{
	uint64_t key = read_once(map->va) & GROUP_KEY, bits = page_bits[key & MAP_RIGHTS], leaf = place_of(table);
	uint64_t va, *entry, old;

	for (; bits && map < end; map++) {
		va = read_once(map->va);
		if ((va & GROUP_KEY) != key || read_once(map->cap) || read_once(map->count) != 1)
			break;
		entry = phys_to_virt(leaf + (va >> 9 & (PT_ENTRIES - 1) << 3));
		old = *entry;
		if (old) {
			if (entry_gains(old, bits))
				break;
			entry_protect(entry, bits, stale, va & ~(uint64_t)EXO_MAP_FLAGS);
		}
		write_once(map->old, old);
	}
	return map;
}

/* The same for descriptors that unmap. */
static noinline struct exo_map *group_unmap(const uint64_t *table, struct exo_map *map, struct exo_map *end,
    struct stale *stale)
{
	uint64_t key = read_once(map->va) & GROUP_KEY, leaf = place_of(table), va, *entry, old;

	for (; map < end; map++) {
		va = read_once(map->va);
		if ((va & GROUP_KEY) != key || read_once(map->count) != 1)
			break;
		entry = phys_to_virt(leaf + (va >> 9 & (PT_ENTRIES - 1) << 3));
		old = *entry;
		if (old) {
			stale_note(stale, old, va);
			entry_remove(entry);
		}
		write_once(map->old, old);
	}
	return map;
}

/* Do the group that begins at `map`; returns the first descriptor that is not done, which may be `map` itself. */
static inline struct exo_map *group_write(const struct env *env, exo_pfn_t root, struct exo_map *map, struct exo_map *end,
    struct stale *stale)
{
	uint64_t va = read_once(map->va), *leaf = leaf_of(root, va);

	if (unlikely(!leaf || (va & EXO_MAP_FLAGS) > MAP_RIGHTS))
		return map;
	if (!(va & EXO_MAP_FLAGS))
		return group_unmap(leaf, map, end, stale);
	return read_once(map->cap) ? group_map(env, leaf, map, end, stale) : group_protect(leaf, map, end, stale);
}

/* All descriptors from `start` to `end`: how many are done, or the error of the first. */
static noinline int64_t write_batch(const struct env *env, exo_pfn_t root, struct exo_map *start, struct exo_map *end)
{
	struct stale stale;
	struct exo_map *map, *next, copy;
	uint64_t pages = 0, old;
	int64_t error = 0;

	stale.count = 0;
	stale.loaded = cpu.space == root;
	for (map = start; map < end; ) {
		next = group_write(env, root, map, end, &stale);
		if (likely(next != map)) {
			pages += (uint64_t)(next - map);
			map = next;
			continue;
		}
		copy.va = read_once(map->va);
		copy.cap = read_once(map->cap);
		copy.first = read_once(map->first);
		copy.count = read_once(map->count);
		pages += copy.count + LONG_WAY;
		if (map != start && pages > EXO_MAP_BATCH_MAX)
			break;
		error = write_descriptor(env, root, &copy, &stale, &old);
		if (error)
			break;
		write_once(map->old, old);
		map++;
	}
	if (stale.count)
		stale_settle(&stale);
	return map == start ? error : map - start;
}

int64_t space_map(exo_pfn_t root, uint64_t va, struct exo_cap *cap, exo_pfn_t pfn, unsigned flags, uint64_t *old)
{
	struct stale stale = { .loaded = root == cpu.space };
	struct stretch s;
	uint64_t before = 0;
	int64_t error;

	if (flags > MAP_RIGHTS || !page_bits[flags])
		return ERR(INVAL);
	error = stretch_find(&s, root, va, 1);
	if (error)
		return error;
	error = map_stretch(&s, pfn, flags, cap, &stale, &before);
	stale_settle(&stale);
	if (old)
		*old = before;
	return error;
}

/* --- calls ----------------------------------------------------------------------------------------------------- */

/*
 * exo_space_create(slot, frames, first): frame `first` of the capability `frames` (with WRITE), which must be neither
 * mapped nor pinned, becomes the root table of a new, empty space. Its capability, with READ and WRITE, is in `slot`.
 * Returns the handle. The space lasts until no capability and no environment names it; its frames are ordinary then.
 * Errors: SLOT; CAP, TYPE, RIGHTS; RANGE; BUSY. Nothing has changed then.
 */
int64_t sys_space_create(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *env = current_env();
	struct exo_cap *slot;
	exo_pfn_t pfn;
	int64_t error;

	(void)a3, (void)a4, (void)a5;
	slot = cap_free_slot(env, a0);
	if (!slot)
		return ERR(SLOT);
	if (!cap_need_frames(env, a1, EXO_RIGHT_WRITE, a2, 1, &pfn, &error))
		return error;
	if (!frame_retypable(pfn))
		return ERR(BUSY);

	space_make(pfn);
	return (int64_t)cap_fill(slot, EXO_TYPE_SPACE, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0, pfn, NULL, (uint32_t)a0);
}

/*
 * exo_space_table(space, address, level, frames, first): link an empty table for an address into a space (a SPACE
 * capability with WRITE). It is made of frame `first` of `frames` (with WRITE), at EXO_LEVEL_PAGES of three from there
 * on, which must be neither mapped nor pinned. Tables can be mapped to read, never to write. Returns 0.
 * Errors: CAP, TYPE, RIGHTS; RANGE; INVAL level or address; NOTABLE the table above is missing; BUSY a table is there
 * already, or a frame is in use. Nothing has changed then.
 */
int64_t sys_space_table(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	struct env *env = current_env();
	struct exo_cap *space;
	exo_pfn_t pfn;
	int64_t error;

	(void)a5;
	space = cap_need(env, a0, EXO_TYPE_SPACE, EXO_RIGHT_WRITE, &error);
	if (!space)
		return error;
	if (a2 < EXO_LEVEL_PAGES || a2 >= PT_LEVELS)
		return ERR(INVAL);
	if (!cap_need_frames(env, a3, EXO_RIGHT_WRITE, a4, a2 == EXO_LEVEL_PAGES ? 3 : 1, &pfn, &error))
		return error;
	return space_link_table(space->object, a1, (unsigned)a2, pfn);
}

/*
 * exo_space_write(space, offset, count): do what `count` descriptors at `offset` (a multiple of 8) of the argument frame
 * say, one after another (exo/space.h); `space` needs WRITE. Returns how many are done; each is done wholly or not at
 * all, and the first that cannot be done ends the call, as does the one that would pass EXO_MAP_BATCH_MAX pages in all,
 * where a descriptor of several pages counts 3 more.
 * Nothing is done if an error is returned.
 * A page may be mapped readable, writable if the capability has WRITE, executable if it has EXEC, not both; writable and
 * executable only while its frame is ordinary memory, a dispatcher page, argument frame or ring; readable also if it is
 * a page table, capability table or exposed page. An entry that is present is replaced.
 * Errors: CAP, TYPE; RIGHTS a capability lacks a right, or without one an entry would gain it; INVAL offset, count, flags,
 * address, or pages of a descriptor; NOTABLE no leaf table for an address; RANGE outside the capability; STATE a frame
 * may not be mapped so. Cost: about 45 a descriptor, 20 a page of a run.
 */
int64_t sys_space_write(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	const struct env *env = current_env();
	struct exo_cap *space;
	struct exo_map *map;
	int64_t error = 0;

	(void)a3, (void)a4, (void)a5;
	space = cap_typed(env, a0, EXO_TYPE_SPACE);
	if (unlikely(!space || !(space->rights & EXO_RIGHT_WRITE))) {
		(void)cap_need(env, a0, EXO_TYPE_SPACE, EXO_RIGHT_WRITE, &error);
		return error;
	}
	if (unlikely(a2 > EXO_MAP_BATCH_MAX || a1 % 8 || a1 > EXO_PAGE_SIZE - a2 * sizeof(*map)))
		return ERR(INVAL);
	map = (struct exo_map *)(env->arg + a1);
	if (a2 == 1 && likely(write_one(env, space->object, map)))
		return 1;
	return write_batch(env, space->object, map, map + a2);
}
