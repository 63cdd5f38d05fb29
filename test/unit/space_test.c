/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spaces: tables, mapping, unmapping, changing rights, large pages, the seal, every documented error,
 * deletion and taking apart. Random batches against a model: space_random.c.
 */
#include <stdlib.h>
#include "exo/spaces.h"
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define R	EXO_MAP_READ
#define W	EXO_MAP_WRITE
#define X	EXO_MAP_EXEC
#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
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
	is_int(CALL(0, space_table, space, 0, 5, a, 1), ERR(INVAL), "table: no such level");
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
	is_int(write_pages(0, WORLD_VA | 16 | R, a, 0, 1), ERR(INVAL), "write: unknown flag");
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

/* Rights go up and down within what the capability had; the dirty bit is never lost. */
static void test_rights(void)
{
	exo_cap_t a = (exo_cap_t)CALL(0, frame_take, 10, EXO_PFN_ANY, 8);
	exo_cap_t reader = (exo_cap_t)CALL(0, cap_derive, a, 0, 11, EXO_RIGHT_READ | EXO_RIGHT_EXEC, 0, 0);
	uint64_t *entry = entry_of(0, WORLD_VA);

	is_int(write_pages(0, WORLD_VA | R, a, 0, 2), 1, "two pages, readable, of a capability for all");
	is_int(write_pages(0, (WORLD_VA + 0x2000) | R, reader, 0, 2), 1, "two of one without WRITE");
	is_int(write_pages(0, (WORLD_VA + 0x4000) | R, world_handle(0, SLOT_SELF), 3, 2), 1, "two tables");
	entry[0] |= EXO_PTE_ACCESSED | EXO_PTE_DIRTY;
	is_int(write_pages(0, WORLD_VA | R | W, 0, 0, 1), 1, "the first becomes writable");
	ok(*entry & EXO_PTE_WRITE && *entry & EXO_PTE_DIRTY && descriptors(0)->old & EXO_PTE_DIRTY,
	    "and stays dirty");
	is_int(write_pages(0, WORLD_VA | R, 0, 0, 2), 1, "and not, with its neighbour");
	ok(!(*entry & EXO_PTE_WRITE) && *entry & EXO_PTE_DIRTY && descriptors(0)->old & EXO_PTE_DIRTY,
	    "and stays dirty");
	is_int(write_pages(0, WORLD_VA | R | X, 0, 0, 2), 1, "both become executable");
	ok(!(*entry & EXO_PTE_NX) && !(entry[1] & EXO_PTE_NX), "they are");
	is_int(write_pages(0, WORLD_VA | R | W, 0, 0, 2), 1, "and writable in place of it");
	ok(*entry & EXO_PTE_NX && entry[1] & EXO_PTE_NX && entry[1] & EXO_PTE_WRITE, "they are");
	is_int(write_pages(0, WORLD_VA | R | W, 0, 0, 4), ERR(RIGHTS), "the other two do not");
	is_int(write_pages(0, (WORLD_VA + 0x2000) | R | W, 0, 0, 1), ERR(RIGHTS), "not alone either");
	is_int(write_pages(0, (WORLD_VA + 0x2000) | R | X, 0, 0, 2), 1, "but executable");
	is_int(write_pages(0, (WORLD_VA + 0x4000) | R | W, 0, 0, 1), ERR(RIGHTS), "tables never: writable");
	is_int(write_pages(0, (WORLD_VA + 0x4000) | R | X, 0, 0, 1), ERR(RIGHTS), "or executable");
	is_int(write_pages(0, WORLD_VA | W, 0, 0, 1), ERR(INVAL), "writable only is nothing");
	is_int(write_pages(0, WORLD_VA | R | W, 0, 0, 0), ERR(INVAL), "no page is nothing");
	is_int(write_pages(0, WORLD_VA, 0, 0, 6), 1, "unmap all");
	ok(descriptors(0)->old & EXO_PTE_DIRTY, "the dirty bit comes out");
	is_int(world_finish(0, EXO_CALL_cap_delete, reader, 0), 0, "delete");
	is_int(world_finish(0, EXO_CALL_cap_delete, a, 0), 0, "delete");
}

#define LARGE_VA	0x80000000ULL
#define BIG		1024	/* first frame of large pages */

/* A capability for `count` frames from BIG on in slot 20. */
static exo_cap_t take_big(uint32_t count)
{
	exo_cap_t big = (exo_cap_t)CALL(0, frame_take, 20, BIG, 24);
	uint32_t left;

	while ((left = count - slot(0, 20)->count) > 0)
		CALL(0, frame_take, big, EXO_PFN_ANY, left < 24 ? left : 24);
	return big;
}

static void test_large(void)
{
	exo_cap_t big, a, reader;
	uint64_t *entry, pte;
	exo_pfn_t pfn;

	world_boot(BIG + 1100);
	world.unchecked = true;
	big = take_big(1030);
	world.unchecked = false;
	a = (exo_cap_t)CALL(0, frame_take, 10, EXO_PFN_ANY, 12);
	reader = (exo_cap_t)CALL(0, cap_derive, big, 0, 21, EXO_RIGHT_READ, 0, EXO_RANGE_MAX);
	while (slot(0, 21)->count < 1030)
		CALL(0, cap_derive, big, 0, reader, EXO_RIGHT_READ, slot(0, 21)->count,
		    1030 - slot(0, 21)->count);
#define LARGE(va_flags, cap, first, count) write_pages(0, (va_flags) | EXO_MAP_LARGE, cap, first, count)
	is_int(LARGE(LARGE_VA | R, big, 0, 1), ERR(NOTABLE), "NOTABLE: no table");
	is_int(LARGE(WORLD_VA | R, big, 0, 1), ERR(NOTABLE), "NOTABLE: the table is of another kind");
	is_int(CALL(0, space_table, SPACE, LARGE_VA + 12345, EXO_LEVEL_LARGE, a, 10), ERR(RANGE),
	    "a table takes three frames");
	is_int(CALL(0, space_table, SPACE, LARGE_VA + 12345, EXO_LEVEL_LARGE, a, 0), 0, "a table");
	is_int(CALL(0, space_table, SPACE, LARGE_VA, EXO_LEVEL_1G, a, 3), ERR(BUSY), "it is there");
	is_int(LARGE((LARGE_VA + 4096) | R, big, 0, 1), ERR(INVAL), "INVAL: address");
	is_int(LARGE(LARGE_VA | R | 0x10, big, 0, 1), ERR(INVAL), "INVAL: an unknown flag");
	is_int(LARGE(LARGE_VA | W, big, 0, 1), ERR(INVAL), "INVAL: writable only");
	is_int(LARGE(LARGE_VA | R | W | X, big, 0, 1), ERR(INVAL), "INVAL: writable and executable");
	is_int(LARGE(LARGE_VA | R, big, 0, 0), ERR(INVAL), "INVAL: no page");
	is_int(LARGE(LARGE_VA | R, big, 0, EXO_LARGE_BATCH_MAX + 1), ERR(INVAL), "INVAL: too many");
	is_int(LARGE(0ULL | R, big, 0, 1), ERR(INVAL), "INVAL: the first of all");
	is_int(LARGE(0x7fffffe00000 | R, big, 0, 1), ERR(INVAL), "INVAL: the last of all");
	is_int(LARGE(LARGE_VA | R, big, 1, 1), ERR(INVAL), "INVAL: frame");
	is_int(LARGE(LARGE_VA | R, big, 0, 3), ERR(RANGE), "RANGE");
	is_int(LARGE(LARGE_VA | R, big, 0xffffffff, 4), ERR(RANGE), "RANGE: a sum that wraps");
	is_int(LARGE(LARGE_VA | R | W, reader, 0, 1), ERR(RIGHTS), "RIGHTS");
	is_int(LARGE(LARGE_VA | R, SPACE, 0, 1), ERR(TYPE), "TYPE");
	is_int(LARGE(LARGE_VA | R, 99, 0, 1), ERR(CAP), "CAP");
	is_int(CALL(0, space_table, SPACE, LARGE_VA + 5 * LARGE_BYTES, EXO_LEVEL_PAGES, a, 4), 0,
	    "a leaf table in it");
	is_int(LARGE((LARGE_VA + 5 * LARGE_BYTES) | R, big, 0, 1), ERR(BUSY), "BUSY: it is there");
	is_int(LARGE(LARGE_VA + 5 * LARGE_BYTES, 0, 0, 1), ERR(BUSY), "BUSY: also to unmap");
	is_int(write_pages(0, (LARGE_VA + 5 * LARGE_BYTES) | R | W, big, 1029, 1), 1, "a page in that");
	is_int(LARGE(LARGE_VA | R | W, big, 0, 2), 1, "two large pages");
	entry = space_walk(world.env[0]->root, LARGE_VA, 2);
	ok(*entry & EXO_PTE_LARGE && frame_table[BIG + 1023].maps == 1 && frame_table[BIG + 1029].maps == 1,
	    "each frame is mapped");
	is_int(CALL(0, space_table, SPACE, LARGE_VA, EXO_LEVEL_PAGES, a, 7), ERR(BUSY),
	    "BUSY: no table over one");
	is_int(write_pages(0, LARGE_VA | R, a, 8, 1), ERR(NOTABLE), "NOTABLE: nor a page in one");
	ok(space_lookup(world.env[0]->root, LARGE_VA + 0x3456, &pfn, &pte) && pfn == BIG + 3 &&
	    pte & EXO_PTE_LARGE,
	    "lookup finds its frames");
	is_int(CALL(0, space_create, 30, big, 700), ERR(BUSY), "which are in use");
	is_int(LARGE(LARGE_VA | R, 0, 0, 2), 1, "lower their rights");
	is_int(LARGE(LARGE_VA | R | W, reader, 512, 1), ERR(RIGHTS), "RIGHTS: replace one");
	is_int(LARGE(LARGE_VA | R, reader, 512, 1), 1, "replace one through another capability");
	is_int(LARGE(LARGE_VA | R | W, 0, 0, 2), ERR(RIGHTS), "which may not be written");
	is_int(LARGE((LARGE_VA + LARGE_BYTES) | R | W, 0, 0, 1), 1, "the other may");
	*entry |= EXO_PTE_ACCESSED | EXO_PTE_DIRTY;
	null.tlb_pages = 0;
	is_int(LARGE(LARGE_VA, 0, 0, 3), 1, "unmap them");
	ok(descriptors(0)->old & EXO_PTE_DIRTY && null.tlb_pages == 1, "one was touched");
	is_int(CALL(0, space_table, SPACE, 1ULL << 39, EXO_LEVEL_512G, big, 600), 0,
	    "a table in one's frames");
	is_int(LARGE(LARGE_VA | R | W, big, 512, 1), ERR(STATE), "STATE: it cannot be written");
	is_int(LARGE(LARGE_VA | R, big, 512, 1), 1, "but read");
	is_int(LARGE(LARGE_VA | R | W, 0, 0, 1), ERR(RIGHTS), "and no more");
	is_int(LARGE((LARGE_VA + 4 * LARGE_BYTES) | R | X, big, 0, 1), 1, "executable");
	is_int(CALL(0, space_seal, SPACE), 0, "seal");
	is_int(LARGE(LARGE_VA + 4 * LARGE_BYTES, 0, 0, 1), ERR(SEALED), "SEALED: unmap it");
	is_int(LARGE((LARGE_VA + 4 * LARGE_BYTES) | R, 0, 0, 1), ERR(SEALED), "SEALED: protect it");
	is_int(LARGE((LARGE_VA + 4 * LARGE_BYTES) | R, big, 512, 1), ERR(SEALED), "SEALED: replace it");
	is_int(LARGE((LARGE_VA + 6 * LARGE_BYTES) | R | X, big, 0, 1), ERR(SEALED), "SEALED: another");
	is_int(LARGE((LARGE_VA + 6 * LARGE_BYTES) | R, big, 0, 1), 1, "one that is not executable");
	is_int(LARGE((LARGE_VA + 6 * LARGE_BYTES) | R | X, 0, 0, 1), ERR(SEALED), "which does not become so");
	is_int(LARGE(LARGE_VA + 6 * LARGE_BYTES, 0, 0, 1), 1, "and can be unmapped");
	is_int(world_finish(0, EXO_CALL_cap_revoke, big, 0), 0, "revoke");
	ok(entry[4] && !slot(0, 21)->type, "cuts what was made through the derived one only");
}

/* A space with large pages in it is taken apart in steps. */
static void test_large_destroy(void)
{
	exo_cap_t big, a, space;
	unsigned i, calls = 0;
	int64_t result;

	world_boot(BIG + 600);
	world.unchecked = true;
	big = take_big(512);
	world.unchecked = false;
	a = (exo_cap_t)CALL(0, frame_take, 10, EXO_PFN_ANY, 24);
	space = (exo_cap_t)CALL(0, space_create, 11, a, 0);
	CALL(0, space_table, space, LARGE_VA, EXO_LEVEL_512G, a, 1);
	CALL(0, space_table, space, LARGE_VA, EXO_LEVEL_LARGE, a, 2);
	CALL(0, space_table, space, LARGE_VA + 7 * LARGE_BYTES, EXO_LEVEL_PAGES, a, 5);
	for (i = 0; i < 12; i++) {
		*descriptors(0) = (struct exo_map){ (LARGE_VA + (i + i / 7) * LARGE_BYTES) | R | EXO_MAP_LARGE,
			big, 0, 1, 0 };
		is_int(CALL(0, space_write, space, 0, 1), 1, "a large page");
	}
	*descriptors(0) = (struct exo_map){ (LARGE_VA + 7 * LARGE_BYTES) | R | W, big, 3, 5, 0 };
	is_int(CALL(0, space_write, space, 0, 1), 1, "and small ones");
	is_int(frame_table[BIG + 3].maps, 13, "all count");
	do {
		result = CALL(0, cap_delete, space);
		calls++;
	} while (result == ERR(AGAIN));
	ok(!result && calls >= 3, "taken apart in %u calls", calls);
	is_int(frame_table[BIG + 3].maps, 0, "nothing counts");
	is_int(CALL(0, frame_give, a, 24), 24, "the tables are ordinary");
}

static void test_seal(void)
{
	exo_cap_t a, reader, weak;

	world_boot(1000);
	a = (exo_cap_t)CALL(0, frame_take, 10, EXO_PFN_ANY, 8);
	reader = (exo_cap_t)CALL(0, cap_derive, a, 0, 11, EXO_RIGHT_READ | EXO_RIGHT_EXEC, 0, 0);
	weak = (exo_cap_t)CALL(0, cap_derive, SPACE, 0, 12, EXO_RIGHT_READ, 0, 0);
	is_int(write_pages(0, WORLD_VA | R | X, reader, 0, 2), 1, "two executable pages");
	is_int(write_pages(0, (WORLD_VA + 0x2000) | R, a, 2, 2), 1, "and two others");
	is_int(CALL(0, space_seal, 99), ERR(CAP), "seal: CAP");
	is_int(CALL(0, space_seal, a), ERR(TYPE), "seal: TYPE");
	is_int(CALL(0, space_seal, weak), ERR(RIGHTS), "seal: RIGHTS");
	is_int(write_pages(0, WORLD_VA | R, 0, 0, 1), 1, "not sealed yet");
	is_int(write_pages(0, WORLD_VA | R | X, 0, 0, 1), 1, "as it was");
	is_int(CALL(0, space_seal, SPACE), 0, "seal");
	is_int(CALL(0, space_seal, SPACE), 0, "again");
	is_int(write_pages(0, WORLD_VA, 0, 0, 1), ERR(SEALED), "SEALED: unmap");
	is_int(write_pages(0, WORLD_VA, 0, 0, 8), ERR(SEALED), "SEALED: in a run");
	is_int(write_pages(0, WORLD_VA | R, 0, 0, 1), ERR(SEALED), "SEALED: protect");
	is_int(write_pages(0, WORLD_VA | R | X, 0, 0, 1), ERR(SEALED), "SEALED: as it is");
	is_int(write_pages(0, WORLD_VA | R | W, a, 4, 1), ERR(SEALED), "SEALED: replace");
	is_int(write_pages(0, (WORLD_VA + 0x1000) | R, a, 4, 1), ERR(SEALED), "SEALED: the other");
	is_int(write_pages(0, (WORLD_VA + 0x5000) | R | X, reader, 0, 1), ERR(SEALED), "SEALED: one more");
	is_int(write_pages(0, (WORLD_VA + 0x2000) | R | X, 0, 0, 1), ERR(SEALED), "SEALED: by protection");
	is_int(write_pages(0, (WORLD_VA + 0x2000) | R | W, 0, 0, 2), 1, "others change");
	is_int(write_pages(0, WORLD_VA + 0x2000, 0, 0, 2), 1, "and go");
	is_int(write_pages(0, (WORLD_VA + 0x2000) | R | W, a, 0, 1), 1,
	    "the code's frame is written elsewhere: who forbids it keeps no WRITE");
	is_int(CALL(0, cap_delete, reader), 0, "its capability goes");
	ok(!*entry_of(0, WORLD_VA), "and the code with it");
	is_int(write_pages(0, WORLD_VA | R | W, a, 0, 1), 1, "what comes there");
	is_int(write_pages(0, WORLD_VA | R | X, 0, 0, 1), ERR(SEALED), "is never executable");
	is_int(CALL(0, cap_delete, weak), 0, "delete");
}

/* A search for mappings of some frames goes on where it was, whatever happens meanwhile. */
static void test_unbind_frames(void)
{
	exo_cap_t a;
	unsigned budget, calls = 0, i;
	exo_pfn_t first;

	world_boot(1000);
	a = (exo_cap_t)CALL(0, frame_take, 10, EXO_PFN_ANY, 24);
	first = (exo_pfn_t)slot(0, 10)->first;
	for (i = 0; i < 400; i += 24)
		write_pages(0, (WORLD_VA + i * 4096ULL) | R, a, 0, 24);
	do {
		budget = 1;
		is_int(write_pages(0, (WORLD_VA + 450 * 4096ULL) | R, a, 0, 1), 1, "a page comes");
		is_int(write_pages(0, WORLD_VA + (calls * 7 + 2) % 400 * 4096ULL, 0, 0, 1), 1, "one goes");
		calls++;
	} while (!space_unbind_frames(slot(0, 10), first + 22, 2, &budget) && calls < 1000);
	ok(calls > 20 && calls < 60, "done in %u calls", calls);
	ok(!world_check(), "the world is whole");
	ok(!frame_table[first + 22].maps && !frame_table[first + 23].maps &&
	    frame_table[first + 21].maps > 10,
	    "those frames are not mapped, others are");
	for (i = 0; i < 10; i++)
		write_pages(0, (WORLD_VA + i * 0x18000) | R, a, 0, 24);
	budget = 1;
	ok(!space_unbind_frames(slot(0, 10), first + 2, 1, &budget), "another search begins");
	for (budget = EXO_UNWIND_MAX; !space_unbind_frames(slot(0, 10), first + 20, 1, &budget); )
		;
	is_int(frame_table[first + 20].maps, 0, "one for another frame begins from the front");
	budget = 1;
	ok(!space_unbind_frames(slot(0, 10), first + 2, 1, &budget), "and so does the first, again");
	is_int(world_finish(0, EXO_CALL_cap_delete, a, 0), 0, "and the capability goes, with the marker");
	ok(!world_check() && frame_is_free(first), "all is free");
}

/* Pages of two spaces, each loaded on a CPU of its own, cut in turns: each CPU forgets what is its own. */
static uint64_t forgotten[2][40];
static unsigned forgotten_count[2];

static void on_tlb(uint64_t va, bool all)
{
	unsigned c = (unsigned)(null.cpu - null.cpus);

	ok(!all && forgotten_count[c] < 40, "one page on CPU %u", c);
	forgotten[c][forgotten_count[c]++ % 40] = va;
}

static void test_two_spaces(void)
{
	exo_cap_t a, b, space, handle[2];
	uint64_t *entry[2], va;
	unsigned i;

	world_boot_cpus(1000, 2);
	a = (exo_cap_t)CALL(0, frame_take, 10, EXO_PFN_ANY, 24);
	b = (exo_cap_t)CALL(0, frame_take, 12, EXO_PFN_ANY, 24);
	space = (exo_cap_t)CALL(0, space_create, 11, b, 0);
	is_int(CALL(0, space_table, space, WORLD_VA, 3, b, 1), 0, "level 3");
	is_int(CALL(0, space_table, space, WORLD_VA, 2, b, 2), 0, "level 2");
	is_int(CALL(0, space_table, space, WORLD_VA, 1, b, 3), 0, "level 1");
	handle[0] = SPACE;
	handle[1] = space;
	entry[0] = entry_of(0, WORLD_VA);
	entry[1] = space_walk(slot(0, 11)->object, WORLD_VA, 1);
	for (i = 0; i < 20; i++) {
		va = WORLD_VA + (i + 50 * (i % 2)) * 4096;
		*descriptors(0) = (struct exo_map){ va | R | W, a, i, 1, 0 };
		is_int(CALL(0, space_write, handle[i % 2], 0, 1), 1, "a page");
		entry[i % 2][i + 50 * (i % 2)] |= EXO_PTE_ACCESSED;
	}
	null.cpus[1].space = slot(0, 11)->object;
	null.on_tlb = on_tlb;
	is_int(world_finish(0, EXO_CALL_cap_delete, a, 0), 0, "the capability goes");
	is_int(forgotten_count[0], 10, "this CPU has forgotten its pages");
	is_int(forgotten_count[1], 10, "and the other one its own");
	for (i = 0; i < 10; i++)
		ok(forgotten[0][i] < WORLD_VA + 20 * 4096 && forgotten[1][i] > WORLD_VA + 50 * 4096,
		    "the right ones");
	is_int(world_finish(0, EXO_CALL_cap_delete, space, 0), 0, "the other space goes");
	is_int(null.cpus[1].space, 0, "and that CPU has nothing loaded");
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
	test_rights();
	test_checker();
	test_large();
	test_large_destroy();
	test_seal();
	test_unbind_frames();
	test_two_spaces();
	return done();
}
