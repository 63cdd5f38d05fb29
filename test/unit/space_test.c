/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spaces: tables, mapping, unmapping, lowering rights, every documented error, deletion and taking apart;
 * random batches against a naive model, which keeps for each page the frame, the rights and the capability it
 * was mapped through, and a model of the CPU's TLB, in which nothing may stay that the tables no longer
 * allow.
 */
#include <stdlib.h>
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define R	EXO_MAP_READ
#define W	EXO_MAP_WRITE
#define X	EXO_MAP_EXEC
#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define LEAVES	2
#define PAGES	(LEAVES * 512)
#define SLOTS	64
#define SPACE	world_handle(0, SLOT_SPACE)

static struct exo_cap *slot(unsigned who, uint32_t number)
{
	return cap_slot(world.env[who], number);
}

static struct exo_map *descriptors(unsigned who)
{
	return (struct exo_map *)world.env[who]->arg;
}

/* One descriptor, written by environment `who` into its own space. */
static int64_t write_pages(unsigned who, uint64_t va, exo_cap_t cap, uint32_t first, uint32_t count)
{
	*descriptors(who) = (struct exo_map){ va, cap, first, count, 0x1234 };
	return CALL(who, space_write, world_handle(who, SLOT_SPACE), 0, 1);
}

static uint64_t *entry_of(unsigned who, uint64_t va)
{
	uint64_t *table = pfn_to_virt(world.env[who]->root), entry;
	unsigned level;

	for (level = 4; level > 1; level--) {
		entry = table[va >> (3 + 9 * level) & 511];
		if (!entry)
			return NULL;
		table = phys_to_virt(entry & EXO_PTE_FRAME);
	}
	return &table[va >> 12 & 511];
}

static void test_tables(void)
{
	exo_cap_t a = (exo_cap_t)CALL(0, frame_take, 8, EXO_PFN_ANY, 12), space, reader;
	exo_cap_t frame_reader = (exo_cap_t)CALL(0, cap_derive, a, 0, 9, EXO_RIGHT_READ, 0, 0);
	uint32_t before = info->frames_free;
	exo_pfn_t pfn;
	uint64_t pte;

	is_int(CALL(0, space_create, 8, a, 0), ERR(SLOT), "create: slot in use");
	is_int(CALL(0, space_create, 10, a, 12), ERR(RANGE), "create: outside");
	is_int(CALL(0, space_create, 10, frame_reader, 0), ERR(RIGHTS), "create: without WRITE");
	is_int(CALL(0, space_create, 10, world_handle(0, SLOT_SELF), 0), ERR(BUSY),
	    "create: a kernel object");
	space = (exo_cap_t)CALL(0, space_create, 10, a, 0);
	ok(space == world_handle(0, 10), "create");
	is_int(CALL(0, space_table, space, 0, 1, a, 1), ERR(NOTABLE), "table: none above");
	is_int(CALL(0, space_table, space, 0, 3, a, 0), ERR(BUSY), "table: the root again");
	is_int(CALL(0, space_table, space, 0, 4, a, 1), ERR(INVAL), "table: no such level");
	is_int(CALL(0, space_table, space, 0, 0, a, 1), ERR(INVAL), "table: level 0");
	is_int(CALL(0, space_table, space, EXO_USER_MAX, 3, a, 1), ERR(INVAL),
	    "table: beyond user addresses");
	is_int(CALL(0, space_table, space, ~0ULL, 3, a, 1), ERR(INVAL), "table: the kernel's addresses");
	is_int(CALL(0, space_table, space, EXO_USER_MAX - 1, 3, a, 1), 0, "table: level 3");
	is_int(CALL(0, space_table, space, EXO_USER_MAX - 1, 3, a, 2), ERR(BUSY), "table: there is one");
	is_int(CALL(0, space_table, space, EXO_USER_MAX - 1, 2, a, 2), 0, "table: level 2");
	is_int(CALL(0, space_table, space, EXO_USER_MAX - 1, 1, a, 10), ERR(RANGE),
	    "table: level 1 needs three frames");
	is_int(CALL(0, space_table, space, EXO_USER_MAX - 1, 1, a, 3), 0, "table: level 1");
	reader = (exo_cap_t)CALL(0, cap_derive, space, 0, 11, EXO_RIGHT_READ, 0, 0);
	is_int(CALL(0, space_table, reader, 0, 3, a, 6), ERR(RIGHTS), "table: without WRITE");
	is_int(CALL(0, space_write, reader, 0, 0), ERR(RIGHTS), "write: without WRITE");
	*descriptors(0) = (struct exo_map){ (EXO_USER_MAX - 4096) | R | W, a, 7, 1, 0 };
	is_int(CALL(0, space_write, space, 0, 1), 1, "the last page there is");
	*descriptors(0) = (struct exo_map){ EXO_USER_MAX | R | W, a, 8, 1, 0 };
	is_int(CALL(0, space_write, space, 0, 1), ERR(INVAL), "the one behind it never");
	ok(space_lookup(slot(0, 10)->object, EXO_USER_MAX - 1, &pfn, &pte) && pfn == slot(0, 8)->first + 7,
	    "lookup finds it");
	ok(!space_lookup(slot(0, 10)->object, EXO_USER_MAX - 4097, &pfn, &pte), "lookup: not mapped");
	ok(!space_lookup(slot(0, 10)->object, ~0ULL, &pfn, &pte), "lookup: no user address");
	is_int(CALL(0, frame_give, a, 12), ERR(BUSY), "tables cannot be given back");
	is_int(CALL(0, cap_delete, space), 0, "delete a capability of the space");
	is_int(frame_table[slot(0, 8)->first].pins, 1, "the other one holds it");
	is_int(world_finish(0, EXO_CALL_cap_delete, reader, 0), 0, "delete the last one");
	is_int(info_frame[slot(0, 8)->first].state, EXO_FRAME_OWNED, "its frames are ordinary");
	is_int(CALL(0, cap_delete, frame_reader), 0, "delete");
	is_int(CALL(0, frame_give, a, 12), 12, "and can be given back");
	is_int(info->frames_free, before + 12, "all are free");
}

static void test_write_errors(void)
{
	exo_cap_t a = (exo_cap_t)CALL(0, frame_take, 8, EXO_PFN_ANY, 8);
	exo_cap_t reader = (exo_cap_t)CALL(0, cap_derive, a, 0, 9, EXO_RIGHT_READ, 0, 4);
	uint64_t *entry = entry_of(0, WORLD_VA);

	is_int(CALL(0, space_write, a, 0, 1), ERR(TYPE), "write: not a space");
	is_int(CALL(0, space_write, SPACE, 4, 1), ERR(INVAL), "write: offset not a multiple of 8");
	is_int(CALL(0, space_write, SPACE, 4096 - 24, 1), ERR(INVAL), "write: beyond the argument frame");
	is_int(CALL(0, space_write, SPACE, ~0ULL - 31, 1), ERR(INVAL), "write: offset wraps");
	is_int(CALL(0, space_write, SPACE, 0, EXO_MAP_BATCH_MAX + 1), ERR(INVAL), "write: too many");
	is_int(CALL(0, space_write, SPACE, 0, 1ULL << 59), ERR(INVAL), "write: far too many");
	is_int(CALL(0, space_write, SPACE, 0, 0), ERR(INVAL), "write: nothing");
	is_int(write_pages(0, WORLD_VA | W, a, 0, 1), ERR(INVAL), "write: writable but not readable");
	is_int(write_pages(0, WORLD_VA | R | W | X, a, 0, 1), ERR(INVAL), "write: writable and executable");
	is_int(write_pages(0, WORLD_VA | 8 | R, a, 0, 1), ERR(INVAL), "write: unknown flag");
	is_int(write_pages(0, R, a, 0, 1), ERR(INVAL), "write: page 0");
	is_int(write_pages(0, 0x8000000000000000 | R, a, 0, 1), ERR(INVAL), "write: not canonical");
	is_int(write_pages(0, 0xffffffff80000000 | R, a, 0, 1), ERR(INVAL), "write: the kernel's");
	is_int(write_pages(0, WORLD_VA | R, a, 0, 0), ERR(INVAL), "write: no page");
	is_int(write_pages(0, WORLD_VA | R, a, 0, EXO_MAP_BATCH_MAX + 1), ERR(INVAL),
	    "write: too many pages");
	is_int(write_pages(0, WORLD_VA - 4096 * 4, a, 0, 8), ERR(NOTABLE),
	    "write: no table for the first page");
	is_int(write_pages(0, (WORLD_VA + (2 << 20) - 4096 * 4) | R, a, 0, 8), ERR(NOTABLE),
	    "write: none for the last");
	is_int(write_pages(0, WORLD_VA | R, a, 8, 1), ERR(RANGE), "write: outside of the capability");
	is_int(write_pages(0, WORLD_VA | R, a, 1, 8), ERR(RANGE), "write: end outside");
	is_int(write_pages(0, WORLD_VA | R, a + (1ULL << 32), 1, 1), ERR(CAP), "write: stale capability");
	is_int(write_pages(0, WORLD_VA | R, SPACE, 0, 1), ERR(TYPE), "write: not frames");
	is_int(write_pages(0, WORLD_VA | R | W, reader, 0, 1), ERR(RIGHTS), "write: without WRITE");
	is_int(write_pages(0, WORLD_VA | R | X, reader, 0, 1), ERR(RIGHTS), "write: without EXEC");
	is_int(write_pages(0, WORLD_VA | R, world_handle(0, SLOT_SELF), 0, 1), ERR(STATE),
	    "write: an environment");
	is_int(write_pages(0, WORLD_VA | R, world_handle(0, SLOT_SELF), 8, 1), ERR(STATE), "write: links");
	is_int(write_pages(0, WORLD_VA | R | W, world_handle(0, SLOT_SELF), 4, 1), ERR(STATE),
	    "write: a table, writable");
	is_int(write_pages(0, WORLD_VA | R | W, world_handle(0, SLOT_SELF), 3, 1), ERR(STATE),
	    "write: capabilities, writable");
	is_int(write_pages(0, WORLD_VA | R | X, world_handle(0, SLOT_SELF), 3, 1), ERR(STATE),
	    "write: or executable");
	is_int(write_pages(0, WORLD_VA | R | W, world_handle(0, SLOT_SELF), 1, 3), ERR(STATE),
	    "write: a run up to one");
	ok(!*entry && !entry[1] && !entry[2], "nothing is mapped");
	is_int(write_pages(0, WORLD_VA | R, world_handle(0, SLOT_SELF), 3, 4), 1, "but read they may be");
	is_int(write_pages(0, WORLD_VA | R | W, world_handle(0, SLOT_SELF), 1, 2), 1,
	    "dispatcher and arguments also written");
	is_int(CALL(0, cap_table, a, 0), 64, "a new table of capabilities");
	is_int(write_pages(0, WORLD_VA + 0x10000, a, 0, 3), 1, "unmap what is not mapped");
	is_int(descriptors(0)->old, 0, "nothing was there");
	is_int(write_pages(0, (WORLD_VA + 0x1000) | R | W, 0, 0, 1), 1, "keep the rights of one");
	is_int(write_pages(0, WORLD_VA | R, 0, 0, 2), 1, "lower those of two");
	is_int(write_pages(0, WORLD_VA | R | W, 0, 0, 2), ERR(RIGHTS), "raise them: no");
	is_int(write_pages(0, WORLD_VA | R | X, 0, 0, 2), ERR(RIGHTS), "or to executable: no");
	is_int(write_pages(0, WORLD_VA, 0, 0, 10), 1, "unmap all");
	is_int(CALL(0, cap_delete, reader), 0, "delete");
	is_int(CALL(0, frame_give, a, 7), 7, "and give back");
}

/* A batch stops where it must. */
static void test_batch(void)
{
	exo_cap_t a = (exo_cap_t)CALL(0, frame_take, 10, EXO_PFN_ANY, 24);
	struct exo_map *map = descriptors(0);
	unsigned i;

	for (i = 0; i < 10; i++)
		map[i] = (struct exo_map){ (WORLD_VA + i * 0x3000) | R | W, a, i, i == 6 ? 30 : 1, 99 };
	is_int(CALL(0, space_write, SPACE, 0, 10), 6, "six are done, then comes an error");
	is_int(CALL(0, space_write, SPACE, 6 * 32, 4), ERR(RANGE), "which a call that begins there gets");
	ok(!map[5].old && map[6].old == 99, "old was written for those that are done");
	for (i = 0; i < 10; i++)
		map[i] = (struct exo_map){ WORLD_VA, 0, 0, 29, 99 };
	is_int(CALL(0, space_write, SPACE, 0, 10), 4, "the bound of pages ends it without an error");
	is_int(CALL(0, cap_delete, a), 0, "delete");
}

/* A large space, taken apart in steps. */
static void test_destroy(void)
{
	uint32_t before = info->frames_free, at = 0, calls = 0;
	exo_cap_t a = (exo_cap_t)CALL(0, frame_take, 10, EXO_PFN_ANY, 24), space;
	int64_t result;
	unsigned i;

	while (slot(0, 10)->count < 240 && CALL(0, frame_take, a, EXO_PFN_ANY, 24) > 0)
		;
	space = (exo_cap_t)CALL(0, space_create, 11, a, at++);
	for (i = 0; i < 8; i++) {
		uint64_t va = (uint64_t)i * 0x8123456000 + 0x200000;

		is_int(CALL(0, space_table, space, va, 3, a, at++), 0, "level 3");
		is_int(CALL(0, space_table, space, va, 2, a, at++), 0, "level 2");
		is_int(CALL(0, space_table, space, va, 1, a, at), 0, "level 1");
		at += 3;
		*descriptors(0) = (struct exo_map){ (va & ~0x1fffffULL) | R | W, a, 110, 128, 0 };
		is_int(CALL(0, space_write, space, 0, 1), 1, "128 pages");
		if (i == 3)
			is_int(CALL(0, space_table, space, va + (2 << 20), 1, a, at), 0, "another"), at += 3;
	}
	world.unchecked = true;
	do {
		result = CALL(0, cap_delete, space);
		calls++;
		ok(!world_check(), "whole after step %u", calls);
	} while (result == ERR(AGAIN));
	world.unchecked = false;
	ok(!result && calls > 8, "taken apart in %u calls", calls);
	is_int(world_finish(0, EXO_CALL_cap_delete, a, 0), 0, "delete its frames");
	is_int(info->frames_free, before, "all are free");
}

/* A space that is made anew from the same frames has nothing of the old one. */
static void test_anew(void)
{
	exo_cap_t a = (exo_cap_t)CALL(0, frame_take, 10, EXO_PFN_ANY, 8), space;
	unsigned round;

	for (round = 0; round < 2; round++) {
		space = (exo_cap_t)CALL(0, space_create, 11, a, 0);
		*descriptors(0) = (struct exo_map){ WORLD_VA | R | W, a, 7, 1, 0 };
		is_int(CALL(0, space_write, space, 0, 1), ERR(NOTABLE), "a new space has no tables");
		is_int(CALL(0, space_table, space, WORLD_VA, 3, a, 1), 0, "level 3");
		is_int(CALL(0, space_table, space, WORLD_VA, 2, a, 2), 0, "level 2");
		is_int(CALL(0, space_table, space, WORLD_VA, 1, a, 3), 0, "level 1");
		is_int(CALL(0, space_write, space, 0, 1), 1, "a page");
		is_int(world_finish(0, EXO_CALL_cap_delete, space, 0), 0, "it is deleted");
	}
	is_int(CALL(0, frame_give, a, 8), 8, "its frames are free");
}

/* Only what the CPU may remember is invalidated, and much of it all at once. */
static void test_invalidations(void)
{
	exo_cap_t a = (exo_cap_t)CALL(0, frame_take, 10, EXO_PFN_ANY, 24);
	uint64_t pages, alls;
	unsigned i;

	CALL(0, frame_take, a, EXO_PFN_ANY, 24);
	is_int(write_pages(0, WORLD_VA | R | W, a, 0, 48), 1, "48 pages");
	pages = null.tlb_pages;
	alls = null.tlb_alls;
	is_int(write_pages(0, WORLD_VA | R, 0, 0, 4), 1, "lower the rights of 4");
	is_int(write_pages(0, WORLD_VA, 0, 0, 2), 1, "unmap 2");
	ok(null.tlb_pages == pages && null.tlb_alls == alls, "none was touched: nothing to invalidate");
	for (i = 2; i < 48; i++)
		*entry_of(0, WORLD_VA + i * 4096ULL) |= EXO_PTE_ACCESSED;
	is_int(write_pages(0, WORLD_VA + 2 * 4096, 0, 0, 1), 1, "unmap one that was touched");
	is_int(write_pages(0, WORLD_VA + 3 * 4096, 0, 0, 3), 1, "and 3");
	ok(null.tlb_pages == pages + 4 && null.tlb_alls == alls, "4 invalidations");
	is_int(write_pages(0, (WORLD_VA + 6 * 4096) | R | W, a, 0, 1), 1, "map another frame");
	ok(null.tlb_pages == pages + 5 && null.tlb_alls == alls, "one more");
	is_int(write_pages(0, WORLD_VA, 0, 0, 48), 1, "unmap the rest");
	ok(null.tlb_pages == pages + 5 && null.tlb_alls == alls + 1, "one of everything");
	is_int(CALL(0, cap_delete, a), 0, "delete");
}

/* --- the naive model ------------------------------------------------------------------------------------ */

struct page {
	exo_pfn_t pfn;		/* 0: not mapped */
	unsigned flags;
	unsigned who;		/* whose capability ... */
	uint32_t slot;		/* ... in which slot */
	bool accessed;
};
static struct page pages[PAGES];	/* of environment 0, from WORLD_VA on */
static bool holds_slot[2][SLOTS];	/* model: the capability is there */
static uint64_t tlb[PAGES];		/* what the CPU remembers of environment 0's space */

static void on_tlb(uint64_t va, bool all)
{
	if (all)
		memset(tlb, 0, sizeof(tlb));
	else if (va >= WORLD_VA && (va - WORLD_VA) >> 12 < PAGES)
		tlb[(va - WORLD_VA) >> 12] = 0;
}

/* The CPU uses some pages. */
static void touch(void)
{
	unsigned i = below(PAGES), n = below(30);
	uint64_t *entry;

	for (; n && i < PAGES; n--, i += 1 + below(3)) {
		entry = entry_of(0, WORLD_VA + i * 4096ULL);
		if (!*entry)
			continue;
		*entry |= EXO_PTE_ACCESSED;
		pages[i].accessed = true;
		tlb[i] = *entry;
	}
}

static bool tlb_safe(void)
{
	uint64_t entry;
	unsigned i;

	for (i = 0; i < PAGES; i++) {
		entry = *entry_of(0, WORLD_VA + i * 4096ULL);
		if (!tlb[i])
			continue;
		if (!entry || (entry ^ tlb[i]) & (EXO_PTE_FRAME | EXO_PTE_WRITE | EXO_PTE_NX))
			return false;
	}
	return true;
}

static uint64_t model_entry(const struct page *page)
{
	if (!page->pfn)
		return 0;
	return arch_pte_page(page->pfn, page->flags) | (page->accessed ? EXO_PTE_ACCESSED : 0);
}

static bool model_agrees(void)
{
	unsigned i;

	for (i = 0; i < PAGES; i++)
		if (*entry_of(0, WORLD_VA + i * 4096ULL) != model_entry(&pages[i]))
			return false;
	return true;
}

static const struct exo_cap *model_cap(uint32_t number)
{
	return number < SLOTS && holds_slot[0][number] ? slot(0, number) : NULL;
}

/* What one descriptor should do: 0 and *old, or an error. */
static int64_t model_write(const struct exo_map *map, uint32_t number, uint64_t *old)
{
	unsigned flags = map->va & 0xfff, i, at = (unsigned)(((map->va & ~0xfffULL) - WORLD_VA) >> 12);
	const struct exo_cap *cap;
	struct page *page = pages + at;

	*old = 0;
	if (flags && flags != R && flags != (R | W) && flags != (R | X))
		return ERR(INVAL);
	if (!map->count || map->count > EXO_MAP_BATCH_MAX)
		return ERR(INVAL);
	if (at + map->count > PAGES)
		return ERR(NOTABLE);
	if (flags && !map->cap)
		for (i = 0; i < map->count; i++)
			if (page[i].pfn && flags & ~page[i].flags)
				return ERR(RIGHTS);
	cap = flags && map->cap ? model_cap(number) : NULL;
	if (flags && map->cap) {
		if (!cap)
			return ERR(CAP);
		if (flags & ~cap->rights)
			return ERR(RIGHTS);
		if (map->first + map->count > cap->count)
			return ERR(RANGE);
	}
	for (i = 0; i < map->count; i++) {
		*old |= model_entry(&page[i]);
		if (cap)
			page[i] = (struct page){ (exo_pfn_t)cap->first + map->first + i, flags, 0, number,
			    false };
		else if (!flags)
			page[i] = (struct page){ 0 };
		else if (page[i].pfn)
			page[i].flags = flags;
	}
	return 0;
}

static void random_descriptor(struct exo_map *map, uint32_t *number)
{
	static const unsigned flags[] = { 0, R, R | W, R | W, R | X, R, W, R | W | X };

	*number = SLOT_FREE + below(12);
	map->va = WORLD_VA + below(PAGES) * 4096ULL;
	map->va |= flags[below(40) ? below(6) : below(8)];
	map->cap = below(5) ? world_handle(0, *number) : 0;
	map->first = below(16);
	map->count = below(2) ? 1 : below(60) ? 1 + below(24) : below(140);
	map->old = 7;
}

/* The call may end early at the bound of pages; what it says it did it must have done, and an error must
 * be one. */
static bool step_write(void)
{
	uint64_t wanted_old, offset = below(100) * 8, all = 0;
	struct exo_map *map = (struct exo_map *)(world.env[0]->arg + offset);
	unsigned count = 1 + below(8), i;
	uint32_t number[8];
	int64_t result, error;

	if (below(4) == 0)
		touch();
	for (i = 0; i < count; i++)
		random_descriptor(&map[i], &number[i]);
	result = CALL(0, space_write, SPACE, offset, count);
	for (i = 0; i < count; i++) {
		all += map[i].count + 3;
		if (i && all > EXO_MAP_BATCH_MAX && result == i)
			return true;
		error = model_write(&map[i], number[i], &wanted_old);
		if (error)
			return result == (i ? (int64_t)i : error);
		if (map[i].old != wanted_old)
			return false;
	}
	return result == (int64_t)count;
}

static void forget(unsigned who, uint32_t number)
{
	unsigned i;

	holds_slot[who][number] = false;
	for (i = 0; i < PAGES; i++)
		if (pages[i].pfn && pages[i].who == who && pages[i].slot == number)
			pages[i] = (struct page){ 0 };
}

static bool step_cap(void)
{
	uint32_t number = SLOT_FREE + below(12), other = SLOT_FREE + below(12), i;
	unsigned kind = below(4);
	int64_t result;

	if (kind == 0 || !holds_slot[0][number]) {
		result = CALL(0, frame_take, number, EXO_PFN_ANY, 24);
		if (holds_slot[0][number])
			return result == ERR(SLOT);
		holds_slot[0][number] = result > 0;
		return result > 0 || !info->frames_free;
	}
	if (kind == 1) {
		result = CALL(0, cap_derive, world_handle(0, number), 0, other,
		    below(2) ? RWX : EXO_RIGHT_READ, 0,
		    0);
		if (result > 0)
			holds_slot[0][other] = true;
		return true;
	}
	if (kind == 2) {
		result = world_finish(0, EXO_CALL_cap_revoke, world_handle(0, number), 0);
		for (i = SLOT_FREE; i < SLOT_FREE + 12; i++)
			if (holds_slot[0][i] && slot(0, i)->type == EXO_TYPE_NONE)
				forget(0, i);
		return result == 0;
	}
	result = world_finish(0, EXO_CALL_cap_delete, world_handle(0, number), 0);
	forget(0, number);
	return result == 0;
}

static void test_random(unsigned steps)
{
	bool good = true;
	unsigned i, which = 0;

	world_boot(600);
	memset(pages, 0, sizeof(pages));
	memset(holds_slot, 0, sizeof(holds_slot));
	memset(tlb, 0, sizeof(tlb));
	null.on_tlb = on_tlb;
	CALL(0, frame_take, 50, EXO_PFN_ANY, 3);
	is_int(CALL(0, space_table, SPACE, WORLD_VA + (2 << 20), 1, world_handle(0, 50), 0), 0,
	    "a second leaf table");
	for (i = 0; i < steps && good; i++) {
		which = below(5);
		good = which ? step_write() : step_cap();
		if (good && !model_agrees())
			good = false, which |= 0x100;
		if (good && !tlb_safe())
			good = false, which |= 0x200;
	}
	ok(good, "%u random steps agree with the model and leave nothing in the TLB", steps);
	if (!good)
		printf("# step %u, kind %x: result %lld\n", i, which, (long long)null.result);
	printf("# %llu single invalidations, %llu of all\n", (unsigned long long)null.tlb_pages,
	    (unsigned long long)null.tlb_alls);
	null.on_tlb = NULL;
}

static void test_checker(void)
{
	uint64_t *entry = entry_of(0, WORLD_VA), was;
	exo_cap_t a = (exo_cap_t)CALL(0, frame_take, 12, EXO_PFN_ANY, 8);

	is_int(write_pages(0, WORLD_VA | R | W, a, 0, 8), 1, "eight pages");
	was = entry[2];
	entry[2] = 0;
	ok(world_check(), "the checker sees a lost entry");
	entry[2] = was;
	was = entry[512 + 2];
	entry[512 + 2] = 0;
	ok(world_check(), "the checker sees a broken ring");
	entry[512 + 2] = was;
	slot(0, 12)->rights = EXO_RIGHT_READ;
	ok(world_check(), "the checker sees an entry with more rights than its capability");
	slot(0, 12)->rights = RWX;
	ok(!world_check(), "the world is whole again");
}

int main(void)
{
	world_boot(1000);
	test_tables();
	test_write_errors();
	test_batch();
	test_invalidations();
	test_destroy();
	test_anew();
	test_checker();
	test_random(world_steps(4000));
	return done();
}
