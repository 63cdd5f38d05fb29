/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces: page tables in frames that applications gave up. The structure and its invariants stand
 * in spaces.h; space_write.c writes the entries, space_large.c those of large pages.
 *
 * A space has no record of its own: the root table is the space, its frame's `pins` counts who holds it.
 * The last one takes it apart, entry by entry and table by table from the front, so that it can stop
 * anywhere and go on. Several CPUs may have a space loaded (`space` of each struct cpu): what is taken away
 * is forgotten by all of them before the call returns, this CPU by itself, the others asked (smp_flush).
 *
 * To find the entries that map some frames, a ring must be searched, which may take several calls; how far
 * it has come is kept in the ring itself, by a marker between the entries, so it does not matter what else
 * changes meanwhile.
 */
#include "exo/spaces.h"

#define LOWER_PASS	8	/* entries that are low already passed for one unit of budget */
#define SCAN_SHIFT	5	/* entries looked through for one unit of budget, log2 */

uint64_t space_bits[2 * (MAP_RIGHTS + 1) * (MAP_RIGHTS + 1)];
const uint32_t space_states[MAP_RIGHTS + 1] = {
	[EXO_MAP_READ] = FRAME_READABLE | FRAME_STATE(DEVICE),
	[EXO_MAP_READ | EXO_MAP_WRITE] = FRAME_WRITABLE | FRAME_STATE(DEVICE),
	[EXO_MAP_READ | EXO_MAP_EXEC] = FRAME_WRITABLE,
};
struct space_recent space_recent[RECENT];
exo_pfn_t space_marker;

/* --- forgetting ----------------------------------------------------------------------------------------- */

void space_forget(const struct stale *stale)
{
	unsigned i;

	if (!stale) {
		if (here.current && here.current->root == here.space) {
			arch_tlb_all();
			return;
		}
		arch_space_load(0);
		here.space = 0;
		return;
	}
	if (here.space != stale->root)
		return;
	if (stale->count > STALE_MAX) {
		arch_tlb_all();
		return;
	}
	for (i = 0; i < stale->count; i++)
		arch_tlb_page(stale->va[i]);
}

void space_settle(const struct stale *stale)
{
	if (!stale->count)
		return;
	space_forget(stale);
	smp_flush(stale->root, stale);
}

static out_of_line int64_t all_forget_page(exo_pfn_t root, uint64_t va)
{
	struct stale stale;

	stale.root = root;
	stale.count = 1;
	stale.va[0] = va;
	space_settle(&stale);
	return 1;
}

int64_t space_forget_page(exo_pfn_t root, uint64_t va)
{
	if (unlikely(info->cpus > 1))
		return all_forget_page(root, va);
	if (likely(here.space == root))
		arch_tlb_page(va);
	return 1;
}

static void forget_recent(exo_pfn_t root)
{
	unsigned i;

	for (i = 0; i < RECENT; i++)
		if (space_recent[i].root == root)
			space_recent[i].root = 0;
}

/* --- looking up ----------------------------------------------------------------------------------------- */

uint64_t *space_walk(exo_pfn_t root, uint64_t va, unsigned level)
{
	uint64_t *table = pfn_to_virt(root), entry;
	unsigned at;

	for (at = PT_LEVELS; at > level; at--) {
		entry = table[table_index(va, at)];
		if ((entry & (EXO_PTE_PRESENT | EXO_PTE_LARGE)) != EXO_PTE_PRESENT)
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
	entry = space_walk(root, va, 1);
	if (!entry || frame_table[root].flags & SPACE_EMPTYING ||
	    (frame_table[root].flags & SPACE_SEALED && entry_table(entry)->flags & TABLE_CODE))
		return NULL;
	recent->root = root;
	recent->number = number;
	recent->table = entry - table_index(va, 1);
	return recent->table;
}

/* The entry that maps a user address, of whatever size; NULL: none does. */
static uint64_t *entry_at(exo_pfn_t root, uint64_t va)
{
	uint64_t *entry = va < EXO_USER_MAX ? space_walk(root, va, 2) : NULL;

	if (entry && *entry && !(*entry & EXO_PTE_LARGE))
		entry = (uint64_t *)phys_to_virt(*entry & EXO_PTE_FRAME) + table_index(va, 1);
	return entry && *entry ? entry : NULL;
}

bool space_lookup(exo_pfn_t root, uint64_t va, exo_pfn_t *pfn, uint64_t *pte)
{
	const uint64_t *entry = entry_at(root, va);

	if (!entry)
		return false;
	*pte = read_once(*entry);
	*pfn = entry_frame(*pte) + (*pte & EXO_PTE_LARGE ? table_index(va, 1) : 0);
	return true;
}

int64_t space_writable(exo_pfn_t root, uint64_t va)
{
	const uint64_t *entry = entry_at(root, va);

	if (frame_table[root].flags & SPACE_SEALED && entry_is_code(*entry))
		return ERR(SEALED);
	return *entry & EXO_PTE_MAY_WRITE ? 0 : ERR(RIGHTS);
}

void space_written(exo_pfn_t root, uint64_t va)
{
	__atomic_fetch_or(entry_at(root, va), EXO_PTE_ACCESSED | EXO_PTE_DIRTY, __ATOMIC_SEQ_CST);
}

/* --- spaces --------------------------------------------------------------------------------------------- */

__attribute__((cold)) void space_init(void)
{
	unsigned rights, flags;

	for (rights = 0; rights <= MAP_RIGHTS; rights++)
		for (flags = 0; flags <= rights; flags++)
			if (space_states[flags] && !(flags & ~rights))
				space_bits[rights * (MAP_RIGHTS + 1) + flags] = arch_pte_page(0, flags) |
				    may_bits(rights);
	space_marker = frame_boot_take(3, EXO_FRAME_KERNEL);
}

/* A frame becomes a table. */
static void table_make(exo_pfn_t pfn, exo_pfn_t root, unsigned level)
{
	arch_zero_frame(pfn);
	frame_retype(pfn, EXO_FRAME_TABLE, root);
	frame_table[pfn].level = (uint8_t)level;
	frame_table[pfn].flags = 0;
}

void space_make(exo_pfn_t root)
{
	table_make(root, root, PT_LEVELS);
	arch_root_init(pfn_to_virt(root));
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

/* The next present entry of a table, or its end. */
static uint64_t *next_entry(uint64_t *at, const uint64_t *end)
{
	uint64_t *next;

	while (at < end && !*at) {
		next = (uintptr_t)at % 128 ? at : arch_skip_zeros(at, end);
		at = next == at ? at + 1 : next;
	}
	return at;
}

/* The first present entry of a table, NULL if it has none; looking costs budget. */
static uint64_t *first_entry(exo_pfn_t pfn, unsigned entries, unsigned *budget)
{
	uint64_t *table = pfn_to_virt(pfn), *at = next_entry(table, table + entries);

	spend(budget, (unsigned)(at - table) >> SCAN_SHIFT);
	return at < table + entries ? at : NULL;
}

/* Cut entries of a leaf table; false: budget used up. At least one is cut. */
static bool leaf_clear(exo_pfn_t leaf, unsigned *budget)
{
	uint64_t *table = pfn_to_virt(leaf), *end = table + PT_ENTRIES, *entry = table;

	while ((entry = next_entry(entry, end)) < end) {
		entry_remove(entry);
		spend(budget, 1);
		if (!*budget)
			return false;
	}
	spend(budget, PT_ENTRIES >> SCAN_SHIFT);
	return true;
}

/* An empty table and its links are ordinary memory. */
static void table_free(exo_pfn_t table)
{
	if (frame_table[table].level == 1 || frame_table[table].level == TABLE_LARGE) {
		frame_retype(table + 1, EXO_FRAME_OWNED, 0);
		frame_retype(table + 2, EXO_FRAME_OWNED, 0);
	}
	frame_retype(table, EXO_FRAME_OWNED, 0);
}

/* Take away what `above` points to, a large page or a table of this level, empty unless that is 1.
 * False: budget used up. */
static bool below_clear(uint64_t *above, unsigned level, unsigned *budget)
{
	exo_pfn_t table = entry_frame(*above);

	if (*above & EXO_PTE_LARGE) {
		(void)space_cut(above);
		spend(budget, LARGE_UNITS);
		return *budget;
	}
	if (level == 1 && !leaf_clear(table, budget))
		return false;
	*above = 0;
	table_free(table);
	spend(budget, 1);
	return *budget;
}

/* Take all tables but the root, from the front: entries unlinked, tables and links back to OWNED. */
static bool tables_clear(exo_pfn_t root, unsigned *budget)
{
	uint64_t *entry, *above;
	unsigned level;

	forget_recent(root);
	while ((above = first_entry(root, PT_ENTRIES / 2, budget))) {
		for (level = PT_LEVELS - 1; level > 1 && (entry = first_entry(entry_frame(*above), PT_ENTRIES,
		    budget)); level--)
			above = entry;
		if (!below_clear(above, level, budget))
			return false;
	}
	return true;
}

/* No CPU knows anything of the space any more; none keeps it loaded without running in it. */
static void forget_everywhere(exo_pfn_t root)
{
	if (here.space == root)
		space_forget(NULL);
	smp_flush(root, NULL);
}

/* What CPUs still know of it when its frames become others' is gone before they can be taken. */
bool space_empty(exo_pfn_t root, unsigned *budget)
{
	bool done;

	frame_table[root].flags |= SPACE_EMPTYING;
	done = tables_clear(root, budget);
	if (done)
		frame_table[root].flags &= (uint8_t)~SPACE_EMPTYING;
	forget_everywhere(root);
	return done;
}

/* Take a space apart that nothing uses. */
static bool space_destroy(exo_pfn_t root, unsigned *budget)
{
	forget_everywhere(root);
	if (!tables_clear(root, budget))
		return false;
	frame_table[root].pins = 0;
	frame_retype(root, EXO_FRAME_OWNED, 0);
	return true;
}

rarely bool space_unhold(exo_pfn_t root, unsigned *budget)
{
	if (frame_table[root].pins == 1)
		return space_destroy(root, budget);
	frame_table[root].pins--;
	return true;
}

/* --- what was bound through a capability --------------------------------------------------------------- */

uint64_t space_cut(uint64_t *entry)
{
	uint64_t old;

	if (likely(!(*entry & EXO_PTE_LARGE)))
		return entry_remove(entry);
	old = entry_exchange(entry, 0);
	space_large_unmaps(old);
	ring_remove(entry);
	return old;
}

/* An entry wherever it is changes: pages of one space are gathered, with those before. */
static void stale_turn(struct stale *stale, const uint64_t *entry)
{
	exo_pfn_t root = entry_table(entry)->object;

	if (stale->root == root)
		return;
	space_settle(stale);
	stale_begin(stale, root);
}

static void stale_entry(struct stale *stale, const uint64_t *entry, uint64_t old)
{
	uint64_t index = place_of(entry) % EXO_PAGE_SIZE / sizeof(*entry);

	stale_note(stale, old, ((uint64_t)entry_table(entry + PREV)->object << LEAF_SHIFT) +
	    (index << (old & EXO_PTE_LARGE ? LEAF_SHIFT : EXO_PAGE_SHIFT)));
}

/* Cut one wherever it is. */
static void cut(uint64_t *entry, struct stale *stale, unsigned *budget)
{
	uint64_t old;

	stale_turn(stale, entry);
	old = space_cut(entry);
	spend(budget, old & EXO_PTE_LARGE ? LARGE_UNITS : 1);
	stale_entry(stale, entry, old);
}

/* A marker is entry 2i of space_marker: the capability's place, 0: not in use; the word behind it says
 * what is sought. */
static bool is_marker(uint64_t place)
{
	return place >> EXO_PAGE_SHIFT == space_marker;
}

static void marker_remove(uint64_t *marker)
{
	if (*marker)
		ring_remove(marker);
	*marker = 0;
}

static void marker_insert(uint64_t *marker, struct exo_cap *cap, uint64_t range, uint64_t before)
{
	uint64_t *next = phys_to_virt(before), prev = next[PREV];

	marker[0] = cap_ref(cap);
	marker[1] = range;
	marker[NEXT] = before;
	marker[PREV] = prev;
	next[PREV] = place_of(marker);
	if (prev & SPACE_PREV_CAP)
		cap->bound = place_of(marker);
	else
		((uint64_t *)phys_to_virt(prev))[NEXT] = place_of(marker);
}

bool space_unbind(struct exo_cap *cap, unsigned *budget)
{
	struct stale stale;

	stale_begin(&stale, 0);
	while (cap->bound && *budget) {
		if (unlikely(is_marker(cap->bound)))
			marker_remove(phys_to_virt(cap->bound));
		else
			cut(phys_to_virt(cap->bound), &stale, budget);
	}
	space_settle(&stale);
	return !cap->bound;
}

/* Does an entry map one of the frames [first, end)? */
static bool maps_one_of(uint64_t entry, uint64_t first, uint64_t end)
{
	uint64_t pfn = entry_frame(entry);

	return pfn < end && first < pfn + (entry & EXO_PTE_LARGE ? EXO_LARGE_FRAMES : 1);
}

/* Entries that map frames of a range, through whatever capability. */
static uint32_t maps_of(exo_pfn_t first, uint32_t count)
{
	const struct frame *frame = &frame_table[first], *end = frame + count;
	uint32_t maps = 0;

	for (; frame < end; frame++)
		maps += frame->maps & ~FRAME_LEFT;
	return maps;
}

static uint64_t *marker_of(const struct exo_cap *cap)
{
	return (uint64_t *)pfn_to_virt(space_marker) + cap_ref(cap) % (PT_ENTRIES / 2) * 2;
}

rarely void space_search_anew(const struct exo_cap *cap)
{
	uint64_t *marker = marker_of(cap);

	if (marker[0] == cap_ref(cap))
		marker_remove(marker);
}

rarely bool space_unbind_frames(struct exo_cap *cap, exo_pfn_t first, uint32_t count, unsigned *budget)
{
	uint32_t left = maps_of(first, count);
	uint64_t *marker = marker_of(cap);
	uint64_t range = (uint64_t)first << 32 | count, place = cap->bound, *entry;
	unsigned looked = 0;
	struct stale stale;
	bool large;

	stale_begin(&stale, 0);
	if (marker[0] == cap_ref(cap) && marker[1] == range)
		place = marker[NEXT];
	marker_remove(marker);
	while (place && left && *budget) {
		entry = phys_to_virt(place);
		place = entry[NEXT];
		if (++looked % SPACE_SEARCH == 0)
			spend(budget, 1);
		if (!maps_one_of(*entry, first, (uint64_t)first + count))
			continue;
		large = *entry & EXO_PTE_LARGE;
		cut(entry, &stale, budget);
		left = large ? maps_of(first, count) : left - 1;
	}
	if (place && left)
		marker_insert(marker, cap, range, place);
	space_settle(&stale);
	return !place || !left;
}

/* It can be written no more; nor if a right of its own is given back. True: it could, till now. */
static inline bool lower(uint64_t *entry, struct stale *stale)
{
	uint64_t old = *entry, lost = old & (EXO_PTE_WRITE | EXO_PTE_MAY_WRITE);

	if (!lost)
		return false;
	stale_turn(stale, entry);
	old = entry_add(entry, -lost);
	if (old & EXO_PTE_WRITE && stale->count > STALE_MAX)
		stale->count++;
	else if (old & EXO_PTE_WRITE)
		stale_entry(stale, entry, old);
	return true;
}

bool space_lower(struct exo_cap *cap, unsigned *budget)
{
	uint64_t *marker = marker_of(cap), place = cap->bound, *entry;
	uint64_t *raised = &split_of(cap)->raised;
	unsigned passed = 0, left = *budget;
	struct stale stale;

	stale_begin(&stale, 0);
	if (marker[0] == cap_ref(cap))
		place = marker[NEXT];
	marker_remove(marker);
	while (place && left && *raised) {
		entry = phys_to_virt(place);
		place = entry[NEXT];
		if (lower(entry, &stale))
			--*raised, left--;
		else if (++passed % LOWER_PASS == 0)
			left--;
	}
	*budget = left;
	if (place && *raised)
		marker_insert(marker, cap, 0, place);
	else
		place = *raised = 0;
	space_settle(&stale);
	return !place;
}

/* --- tables --------------------------------------------------------------------------------------------- */

rarely int64_t space_link_table(exo_pfn_t root, uint64_t va, unsigned level, exo_pfn_t first)
{
	bool large = level == EXO_LEVEL_LARGE, linked = large || level == EXO_LEVEL_PAGES;
	unsigned frames = linked ? 3 : 1, at = large ? EXO_LEVEL_1G : level;
	uint32_t number = (uint32_t)(va >> LEAF_SHIFT) & ~(large ? PT_ENTRIES - 1U : 0);
	uint64_t *entry;

	if (level < EXO_LEVEL_PAGES || level > EXO_LEVEL_LARGE || va >= EXO_USER_MAX)
		return ERR(INVAL);
	entry = space_walk(root, va, at + 1);
	if (!entry)
		return ERR(NOTABLE);
	if (*entry)
		return ERR(BUSY);
	if (!frames_retypable(first, frames))
		return ERR(BUSY);

	table_make(first, root, large ? TABLE_LARGE : level);
	if (linked) {
		frame_retype(first + 1, EXO_FRAME_LINKS, first);
		frame_retype(first + 2, EXO_FRAME_LINKS, number);
	}
	*entry = arch_pte_table(first);
	return 0;
}

/* --- calls ---------------------------------------------------------------------------------------------- */

/*
 * exo_space_create(slot, frames, first): frame `first` of the capability `frames` (with WRITE), which must be
 * neither mapped nor pinned, becomes the root table of a new, empty space. Its capability, with READ and
 * WRITE, is in `slot`. Returns the handle. The space lasts until no capability and no environment names it;
 * its frames are ordinary then.
 * Errors: SLOT; CAP, TYPE, RIGHTS; RANGE; BUSY. Nothing has changed then.
 */
rarely int64_t sys_space_create(CALL_ARGS)
{
	struct env *env = current_env();
	struct exo_cap *slot;
	exo_pfn_t pfn;
	int64_t error;

	slot = cap_free_slot(env, a0);
	if (!slot)
		return ERR(SLOT);
	error = cap_need_retypable(env, a1, a2, 1, &pfn);
	if (error)
		return error;

	space_make(pfn);
	return (int64_t)cap_fill(slot, EXO_TYPE_SPACE, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0, 0, pfn, NULL,
	    (uint32_t)a0);
}

/*
 * exo_space_table(space, address, level, frames, first): link an empty table for an address into a space (a
 * SPACE capability with WRITE). It is made of frame `first` of `frames` (with WRITE), at EXO_LEVEL_PAGES
 * and EXO_LEVEL_LARGE of three from there on, which must be neither mapped nor pinned. Tables can be mapped
 * to read, never to write. EXO_LEVEL_LARGE stands where EXO_LEVEL_1G would, and can do what that can.
 * Returns 0.
 * Errors: CAP, TYPE, RIGHTS; RANGE; INVAL level or address; NOTABLE the table above is missing, or a large
 * page is there; BUSY a table or a large page is there already, or a frame is in use. Nothing has changed
 * then. AGAIN the space is being emptied (exo_frame_reclaim, exo_repossess), and this call has gone on with
 * that.
 */
rarely int64_t sys_space_table(CALL_ARGS)
{
	struct env *env = current_env();
	struct exo_cap *space;
	exo_pfn_t pfn;
	int64_t error;
	unsigned budget = EXO_UNWIND_MAX;

	space = cap_need(env, a0, EXO_TYPE_SPACE, EXO_RIGHT_WRITE, &error);
	if (!space)
		return error;
	if (a2 < EXO_LEVEL_PAGES || a2 > EXO_LEVEL_LARGE)
		return ERR(INVAL);
	if (!cap_need_frames(env, a3, EXO_RIGHT_WRITE, a4,
	    a2 == EXO_LEVEL_PAGES || a2 == EXO_LEVEL_LARGE ? 3 : 1, &pfn, &error))
		return error;
	if (unlikely(frame_table[space->object].flags & SPACE_EMPTYING)) {
		(void)space_empty(space->object, &budget);
		return ERR(AGAIN);
	}
	return space_link_table(space->object, a1, (unsigned)a2, pfn);
}

/*
 * exo_space_seal(space): the executable mappings of a space (a SPACE capability with WRITE) are final from
 * now on: none is made, and none is unmapped, replaced or changed by exo_space_write, which says SEALED.
 * Revoking still cuts them, and what is written to their frames through other mappings is not the space's
 * matter: who wants code that nobody can change keeps no capability with WRITE for it. It cannot be undone;
 * a second time it does nothing. Returns 0.
 * Errors: CAP, TYPE, RIGHTS.
 */
rarely int64_t sys_space_seal(CALL_ARGS)
{
	struct exo_cap *space;
	int64_t error;

	space = cap_need(current_env(), a0, EXO_TYPE_SPACE, EXO_RIGHT_WRITE, &error);
	if (!space)
		return error;
	frame_table[space->object].flags |= SPACE_SEALED;
	forget_recent(space->object);
	return 0;
}
