/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces: page tables in frames that applications gave up. The structure and its invariants stand in
 * spaces.h; space_write.c writes the entries.
 *
 * A space has no record of its own: the root table is the space, its frame's `pins` counts who holds it. The
 * last one takes it apart, entry by entry and table by table from the front, so that it can stop anywhere and
 * go on. One CPU has a space loaded, cpu.space; with more, taking rights away must also reach the others.
 */
#include "exo/spaces.h"

#define SCAN_SHIFT	5	/* entries looked through for one unit of budget, log2 */

uint64_t space_bits[MAP_RIGHTS + 1];
const uint32_t space_states[MAP_RIGHTS + 1] = {
	[EXO_MAP_READ] = FRAME_READABLE,
	[EXO_MAP_READ | EXO_MAP_WRITE] = FRAME_WRITABLE,
	[EXO_MAP_READ | EXO_MAP_EXEC] = FRAME_WRITABLE,
};
struct space_recent space_recent[RECENT];

/* --- looking up ----------------------------------------------------------------------------------------- */

void space_settle(const struct stale *stale)
{
	unsigned i;

	if (stale->count > STALE_MAX) {
		arch_tlb_all();
		return;
	}
	for (i = 0; i < stale->count; i++)
		arch_tlb_page(stale->va[i]);
}

uint64_t *space_walk(exo_pfn_t root, uint64_t va, unsigned level)
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

uint64_t *space_leaf(exo_pfn_t root, uint64_t va)
{
	uint64_t number = va >> LEAF_SHIFT, *entry;
	struct space_recent *recent = &space_recent[number & (RECENT - 1)];

	if (number == 0 || number >= EXO_USER_MAX >> LEAF_SHIFT)
		return NULL;
	entry = space_walk(root, va, 2);
	if (!entry || !*entry)
		return NULL;
	recent->root = root;
	recent->number = number;
	recent->table = phys_to_virt(*entry & EXO_PTE_FRAME);
	return recent->table;
}

/* --- spaces --------------------------------------------------------------------------------------------- */

void space_make(exo_pfn_t root)
{
	unsigned flags;

	for (flags = 0; flags <= MAP_RIGHTS; flags++)
		if (space_states[flags])
			space_bits[flags] = arch_pte_page(0, flags);
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
	uint64_t *table = pfn_to_virt(pfn), *at;
	unsigned i;

	for (at = table; at < table + entries && !(at[0] | at[1] | at[2] | at[3] | at[4] | at[5] | at[6] | at[7]); at += 8)
		;
	for (i = (unsigned)(at - table); i < entries && !table[i]; i++)
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
	for (level = 0; level < RECENT; level++)
		if (space_recent[level].root == root)
			space_recent[level].root = 0;
	while ((above = first_entry(root, PT_ENTRIES / 2, budget))) {
		table = entry_frame(*above);
		for (level = PT_LEVELS - 1; level > 1 && (entry = first_entry(table, PT_ENTRIES,
		    budget)); level--) {
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
	space_settle(&stale);
	return !cap->bound;
}

int64_t space_link_table(exo_pfn_t root, uint64_t va, unsigned level, exo_pfn_t first)
{
	unsigned frames = level == EXO_LEVEL_PAGES ? 3 : 1, i;
	uint64_t *entry;

	if (level < EXO_LEVEL_PAGES || level >= PT_LEVELS || va >= EXO_USER_MAX)
		return ERR(INVAL);
	entry = space_walk(root, va, level + 1);
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
	uint64_t *entry = va < EXO_USER_MAX ? space_walk(root, va, 1) : NULL;

	if (!entry || !*entry)
		return false;
	*pfn = entry_frame(*entry);
	*pte = *entry;
	return true;
}

/* --- calls ---------------------------------------------------------------------------------------------- */

/*
 * exo_space_create(slot, frames, first): frame `first` of the capability `frames` (with WRITE), which must be
 * neither mapped nor pinned, becomes the root table of a new, empty space. Its capability, with READ and
 * WRITE, is in `slot`. Returns the handle. The space lasts until no capability and no environment names it;
 * its frames are ordinary then.
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
	return (int64_t)cap_fill(slot, EXO_TYPE_SPACE, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0, pfn, NULL,
	    (uint32_t)a0);
}

/*
 * exo_space_table(space, address, level, frames, first): link an empty table for an address into a space (a
 * SPACE capability with WRITE). It is made of frame `first` of `frames` (with WRITE), at EXO_LEVEL_PAGES of
 * three from there on, which must be neither mapped nor pinned. Tables can be mapped to read, never to write.
 * Returns 0.
 * Errors: CAP, TYPE, RIGHTS; RANGE; INVAL level or address; NOTABLE the table above is missing; BUSY a table
 * is there already, or a frame is in use. Nothing has changed then.
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
