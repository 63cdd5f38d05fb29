/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spaces: random batches of descriptors against a naive model, with ordinary and large pages, rights
 * changed up and down, capabilities derived, revoked and deleted meanwhile, a seal half-way, on one CPU and
 * on two.
 *
 * The model keeps for each page what it maps, with which rights, and through which capability; and for each
 * CPU what its TLB holds: pages that were touched there since. When a call returns, no TLB may hold
 * anything that the tables no longer say, and every dirty bit that was set has come back or is still there.
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

/* Two leaf tables; far above them a table for large pages, with one leaf table among them. */
#define PAGES		1024
#define LARGE_VA	(0xc0000000ULL - LARGES * LARGE_BYTES)	/* the last ones of their table */
#define LARGES		6
#define LEAF_AT		4		/* the large page in whose place there is a leaf table */
#define UNITS		(PAGES + LARGES + 512)
#define FIRST_LARGE	PAGES
#define FIRST_UNDER	(PAGES + LARGES)

/* Capabilities: a few small ones that come and go; one for three large pages, and two below it. */
#define SMALL		12
#define BIG		40
#define BIG_READ	41
#define BIG_CODE	42
#define BIG_FIRST	1024
#define BIG_COUNT	1536
#define TABLE_IN_BIG	(BIG_FIRST + 512 + 5)	/* a page table in the second, with links in the third */
#define LINKS_IN_BIG	(BIG_FIRST + 1024 + 9)

struct unit {
	exo_pfn_t pfn;		/* 0: not mapped */
	unsigned flags, may;
	uint32_t slot;		/* of the capability */
	uint64_t seen;		/* accessed and dirty */
};
static struct unit units[UNITS];
static uint64_t tlb[2][UNITS];
static bool there[64];		/* model: the capability is in this slot */
static bool sealed;
static unsigned cpu_count;

static uint64_t va_of(unsigned unit)
{
	if (unit < FIRST_LARGE)
		return WORLD_VA + unit * 4096ULL;
	if (unit < FIRST_UNDER)
		return LARGE_VA + (unit - FIRST_LARGE) * LARGE_BYTES;
	return LARGE_VA + LEAF_AT * LARGE_BYTES + (unit - FIRST_UNDER) * 4096ULL;
}

static bool is_large(unsigned unit)
{
	return unit >= FIRST_LARGE && unit < FIRST_UNDER;
}

static uint64_t *entry_of(unsigned unit)
{
	return space_walk(world.env[0]->root, va_of(unit), is_large(unit) ? 2 : 1);
}

static uint64_t bits_of_unit(const struct unit *unit, bool large)
{
	if (!unit->pfn)
		return 0;
	return arch_pte_page(unit->pfn, unit->flags) | (uint64_t)(unit->may & (W | X)) << 8 | unit->seen |
	    (large ? EXO_PTE_LARGE : 0);
}

static bool agrees(void)
{
	unsigned i;

	for (i = 0; i < UNITS; i++)
		if (i != FIRST_LARGE + LEAF_AT && *entry_of(i) != bits_of_unit(&units[i], is_large(i)))
			return false;
	return true;
}

/* --- the CPUs ------------------------------------------------------------------------------------------- */

static void on_tlb(uint64_t va, bool all)
{
	uint64_t *mine = tlb[null.cpu - null.cpus];
	unsigned i;

	if (all)
		memset(mine, 0, sizeof(tlb[0]));
	for (i = 0; i < UNITS && !all; i++)
		if (va >= va_of(i) && va < va_of(i) + (is_large(i) ? LARGE_BYTES : 4096))
			mine[i] = 0;
}

static unsigned this_cpu(void)
{
	return (unsigned)(null.cpu - null.cpus);
}

/* A CPU that has the space loaded uses some pages. */
static void touch(void)
{
	unsigned i = below(3) ? below(UNITS) : FIRST_LARGE, n = below(40);
	bool write;

	if (here.space != world.env[0]->root)
		return;
	for (; n && i < UNITS; n--, i += 1 + below(3)) {
		if (!units[i].pfn)
			continue;
		write = units[i].flags & W && below(2);
		units[i].seen |= EXO_PTE_ACCESSED | (write ? EXO_PTE_DIRTY : 0);
		*entry_of(i) |= units[i].seen;
		tlb[this_cpu()][i] = *entry_of(i);
	}
}

/* Another CPU executes; it may have loaded another space meanwhile, and then remembers nothing. */
static void change_cpu(void)
{
	unsigned who = below(4) ? 0 : 1;

	null_on(below(cpu_count));
	if (here.space != world.env[who]->root)
		memset(tlb[this_cpu()], 0, sizeof(tlb[0]));
	here.current = world.env[who];
	here.space = world.env[who]->root;
	touch();
	if (who) {
		null_on(1 - this_cpu());
		if (here.space != world.env[0]->root)
			memset(tlb[this_cpu()], 0, sizeof(tlb[0]));
	}
}

static bool tlbs_safe(void)
{
	unsigned c, i;

	for (c = 0; c < cpu_count; c++)
		for (i = 0; i < UNITS; i++)
			if (tlb[c][i] && null.cpus[c].space == world.env[0]->root &&
			    (!units[i].pfn || (tlb[c][i] ^ *entry_of(i)) & (EXO_PTE_FRAME | PTE_RIGHTS)))
				return false;
	return true;
}

/* --- descriptors ---------------------------------------------------------------------------------------- */

static bool legal(unsigned flags)
{
	return flags == 0 || flags == R || flags == (R | W) || flags == (R | X);
}

static const struct exo_cap *capability(uint32_t slot)
{
	return there[slot] ? cap_slot(world.env[0], slot) : NULL;
}

/* Through which states may a frame be mapped: 2 all, 1 to read, 0 not at all. */
static unsigned openness(exo_pfn_t pfn)
{
	if (info_frame[pfn].state == EXO_FRAME_OWNED)
		return 2;
	return info_frame[pfn].state == EXO_FRAME_TABLE;
}

static unsigned openness_of(exo_pfn_t pfn, bool large)
{
	unsigned least = 2, i;

	for (i = 0; i < (large ? 512 : 1); i++)
		if (openness(pfn + i) < least)
			least = openness(pfn + i);
	return least;
}

/* The unit of an address among pages, or among large pages: UNITS if it has no table of the kind. */
static unsigned unit_of(uint64_t va, bool large)
{
	if (large)
		return va >= LARGE_VA && va < LARGE_VA + LARGES * LARGE_BYTES ?
		    FIRST_LARGE + (unsigned)((va - LARGE_VA) / LARGE_BYTES) : UNITS;
	if (va >= WORLD_VA && va < WORLD_VA + PAGES * 4096ULL)
		return (unsigned)((va - WORLD_VA) / 4096);
	if (va >= va_of(FIRST_UNDER) && va < va_of(FIRST_UNDER) + 512 * 4096ULL)
		return FIRST_UNDER + (unsigned)((va - va_of(FIRST_UNDER)) / 4096);
	return UNITS;
}

static bool is_code(unsigned unit)
{
	return units[unit].pfn && units[unit].flags & X;
}

static int64_t model_place(const struct exo_map *map, bool large, unsigned *first)
{
	uint64_t va = map->va & ~(large ? 0xfULL : 0xfffULL), size = large ? LARGE_BYTES : 4096;
	unsigned i;

	if (!legal(map->va & (large ? 7 : 0xfff)) || va % size || !map->count ||
	    map->count > (large ? EXO_LARGE_BATCH_MAX : EXO_MAP_BATCH_MAX))
		return ERR(INVAL);
	*first = unit_of(va, large);
	for (i = 0; i < map->count; i++) {
		if (unit_of(va + i * size, large) == UNITS)
			return ERR(NOTABLE);
		if (large && *first + i == FIRST_LARGE + LEAF_AT)
			return ERR(BUSY);
	}
	for (i = 0; i < map->count && sealed; i++)
		if (map->va & X || is_code(*first + i))
			return ERR(SEALED);
	return 0;
}

/* What one descriptor should do: 0 and *old, or an error. */
static int64_t model_write(const struct exo_map *map, uint32_t slot, uint64_t *old)
{
	bool large = map->va & EXO_MAP_LARGE;
	unsigned flags = map->va & 7, first = 0, i, size = large ? 512 : 1;
	const struct exo_cap *cap = NULL;
	int64_t error = model_place(map, large, &first);
	exo_pfn_t pfn = 0;

	*old = 0;
	for (i = 0; i < map->count && flags && !map->cap && !error; i++)
		if (units[first + i].pfn && flags & ~(units[first + i].may | R))
			return ERR(RIGHTS);
	if (flags && map->cap && !error) {
		cap = capability(slot);
		if (!cap)
			return ERR(CAP);
		if (flags & ~cap->rights)
			return ERR(RIGHTS);
		if (map->first + (uint64_t)map->count * size > cap->count)
			return ERR(RANGE);
		pfn = (exo_pfn_t)cap->first + map->first;
		if (large && pfn % 512)
			return ERR(INVAL);
		for (i = 0; i < map->count; i++)
			if (openness_of(pfn + i * size, large) < (flags == R ? 1 : 2))
				return ERR(STATE);
	}
	for (i = 0; i < map->count && !error; i++) {
		*old |= bits_of_unit(&units[first + i], large);
		if (cap)
			units[first + i] = (struct unit){ pfn + i * size, flags,
				openness_of(pfn + i * size, large) == 2 ? cap->rights : R, slot, 0 };
		else if (!flags)
			units[first + i] = (struct unit){ 0 };
		else if (units[first + i].pfn)
			units[first + i].flags = flags;
	}
	return error;
}

static uint32_t random_slot(void)
{
	return below(3) ? SLOT_FREE + below(SMALL) : BIG + below(3);
}

static void random_descriptor(struct exo_map *map, uint32_t *slot)
{
	static const unsigned flags[] = { 0, R, R | W, R | W, R | X, R, W, R | W | X };
	unsigned flag = flags[below(40) ? below(6) : below(8)];

	*slot = random_slot();
	map->cap = below(3) ? world_handle(0, *slot) : 0;
	map->old = 7;
	if (below(5) == 0) {
		*slot = below(20) ? BIG + below(3) : *slot;
		map->cap = below(3) ? world_handle(0, *slot) : 0;
		map->va = (LARGE_VA + below(LARGES + !below(20)) * LARGE_BYTES) | EXO_MAP_LARGE | flag;
		map->va += below(60) ? 0 : 0x10;
		map->first = below(3) * 512 + !below(20);
		map->count = below(4) ? 1 : below(6);
		return;
	}
	map->va = (below(4) ? va_of(below(PAGES)) : va_of(FIRST_UNDER + below(512))) | flag;
	if (!below(50))
		map->va = LARGE_VA + below(LARGES) * LARGE_BYTES + flag;
	map->first = *slot < BIG ? below(16) : below(3) * 512 + below(20);
	map->count = below(2) ? 1 : below(60) ? 1 + below(24) : below(140);
}

/* The call may end early at the bound of pages; what it says it did it must have done, and an error must
 * be one. */
static bool step_write(void)
{
	uint64_t wanted_old, offset = below(100) * 8, all = 0;
	struct exo_map *map = (struct exo_map *)(world.env[0]->arg + offset);
	unsigned count = 1 + below(below(2) ? 8 : 1), i;
	uint32_t slot[8];
	int64_t result, error;

	for (i = 0; i < count; i++)
		random_descriptor(&map[i], &slot[i]);
	result = CALL(0, space_write, SPACE, offset, count);
	for (i = 0; i < count; i++) {
		all += (uint64_t)map[i].count * (map[i].va & EXO_MAP_LARGE ? LARGE_PAGES : 1) + 3;
		if (i && all > EXO_MAP_BATCH_MAX && result == i)
			return true;
		error = model_write(&map[i], slot[i], &wanted_old);
		if (error && result == (i ? (int64_t)i : error))
			return true;
		if (error || map[i].old != wanted_old) {
			printf("# descriptor %u of %u: va %llx cap %llx (slot %u) first %u count %u: "
			    "%lld, old %llx; got %lld, %llx\n", i, count,
			    (unsigned long long)map[i].va, (unsigned long long)map[i].cap, slot[i],
			    map[i].first, map[i].count, (long long)error, (unsigned long long)wanted_old,
			    (long long)result, (unsigned long long)map[i].old);
			return false;
		}
	}
	return result == (int64_t)count;
}

/* --- capabilities --------------------------------------------------------------------------------------- */

static void forget(uint32_t slot)
{
	unsigned i;

	there[slot] = false;
	for (i = 0; i < UNITS; i++)
		if (units[i].pfn && units[i].slot == slot)
			units[i] = (struct unit){ 0 };
}

static void forget_gone(void)
{
	uint32_t i;

	for (i = SLOT_FREE; i <= BIG_CODE; i++)
		if (there[i] && cap_slot(world.env[0], i)->type == EXO_TYPE_NONE)
			forget(i);
}

/* All of the large one with fewer rights. */
static void derive_big(uint32_t slot, unsigned rights)
{
	int64_t child = CALL(0, cap_derive, world_handle(0, BIG), 0, slot, rights, 0, EXO_RANGE_MAX);
	unsigned done;

	for (done = EXO_RANGE_MAX; done < BIG_COUNT; done += EXO_RANGE_MAX)
		CALL(0, cap_derive, world_handle(0, BIG), 0, child, rights, done, BIG_COUNT - done);
	there[slot] = child > 0;
}

/* As repossession does: mappings of some frames go, whoever made them. */
static bool step_unbind(void)
{
	uint32_t slot = random_slot(), calls = 0;
	exo_pfn_t first, count, i;
	unsigned budget;

	if (!there[slot])
		return true;
	first = (exo_pfn_t)cap_slot(world.env[0], slot)->first + below(16);
	count = 1 + below(4);
	do {
		budget = 1 + below(4);
		calls++;
	} while (!space_unbind_frames(cap_slot(world.env[0], slot), first, count, &budget) && below(20));
	do
		budget = calls & 1 ? EXO_UNWIND_MAX : 3;
	while (!space_unbind_frames(cap_slot(world.env[0], slot), first, count, &budget));
	for (i = 0; i < UNITS; i++)
		if (units[i].pfn && units[i].slot == slot && units[i].pfn < first + count &&
		    first < units[i].pfn + (is_large(i) ? 512 : 1))
			units[i] = (struct unit){ 0 };
	return !world_check();
}

static bool step_cap(void)
{
	uint32_t slot = SLOT_FREE + below(SMALL), other = SLOT_FREE + below(SMALL);
	unsigned kind = below(6);
	int64_t result;

	if (kind == 5) {
		if (!there[BIG_READ])
			derive_big(BIG_READ, EXO_RIGHT_READ);
		else if (!there[BIG_CODE])
			derive_big(BIG_CODE, EXO_RIGHT_READ | EXO_RIGHT_EXEC);
		else if (!below(8)) {
			result = world_finish(0, EXO_CALL_cap_revoke, world_handle(0, BIG), 0);
			forget_gone();
			return !result;
		}
		return true;
	}
	if (kind == 4)
		return step_unbind();
	if (kind == 0 || !there[slot]) {
		result = CALL(0, frame_take, slot, EXO_PFN_ANY, 24);
		if (there[slot])
			return result == ERR(SLOT);
		there[slot] = result > 0;
		return result > 0 || !info->frames_free;
	}
	if (kind == 1) {
		result = CALL(0, cap_derive, world_handle(0, slot), 0, other, below(2) ? RWX : below(8), 0,
		    0);
		there[other] = there[other] || result > 0;
		return true;
	}
	result = world_finish(0, kind == 2 ? EXO_CALL_cap_revoke : EXO_CALL_cap_delete, world_handle(0, slot),
	    0);
	forget_gone();
	return result == 0;
}

/* --- running -------------------------------------------------------------------------------------------- */

static void prepare(unsigned how_many)
{
	exo_cap_t big;

	cpu_count = how_many;
	world_boot_cpus(BIG_FIRST + BIG_COUNT + 200, cpu_count);
	world.unchecked = true;
	memset(units, 0, sizeof(units));
	memset(there, 0, sizeof(there));
	memset(tlb, 0, sizeof(tlb));
	sealed = false;
	big = (exo_cap_t)CALL(0, frame_take, BIG, BIG_FIRST, 24);
	while (cap_slot(world.env[0], BIG)->count < BIG_COUNT)
		CALL(0, frame_take, big, EXO_PFN_ANY, 24);
	there[BIG] = true;
	is_int(CALL(0, space_table, SPACE, WORLD_VA + (2 << 20), EXO_LEVEL_PAGES, big,
	    LINKS_IN_BIG - BIG_FIRST), 0, "a second leaf table");
	is_int(CALL(0, space_table, SPACE, 1ULL << 39, EXO_LEVEL_512G, big, TABLE_IN_BIG - BIG_FIRST), 0,
	    "a table far away");
	is_int(CALL(0, space_table, SPACE, LARGE_VA, EXO_LEVEL_LARGE, big, LINKS_IN_BIG - BIG_FIRST + 3), 0,
	    "a table for large pages");
	is_int(CALL(0, space_table, SPACE, va_of(FIRST_UNDER), EXO_LEVEL_PAGES, big,
	    LINKS_IN_BIG - BIG_FIRST + 6), 0, "a leaf table in it");
	derive_big(BIG_READ, EXO_RIGHT_READ);
	derive_big(BIG_CODE, EXO_RIGHT_READ | EXO_RIGHT_EXEC);
	world.unchecked = false;
	null.on_tlb = on_tlb;
}

static void test_random(unsigned steps, unsigned how_many)
{
	bool good = true;
	unsigned i, which = 0, done[2] = { 0 };

	prepare(how_many);
	for (i = 0; i < steps && good; i++) {
		if (i == steps / 2) {
			sealed = true;
			good = CALL(0, space_seal, SPACE) == 0;
		}
		if (cpu_count > 1)
			change_cpu();
		else
			touch();
		which = below(5) != 0;
		good = good && (which ? step_write() : step_cap());
		done[which] += null.result >= 0;
		if (good && !agrees())
			good = false, which |= 0x100;
		if (good && !tlbs_safe())
			good = false, which |= 0x200;
	}
	ok(good, "%u random steps agree with the model and leave nothing in a TLB, on %u CPUs", steps,
	    cpu_count);
	if (!good)
		printf("# step %u, kind %x: result %lld\n", i, which, (long long)null.result);
	printf("# %u and %u calls did something; %llu single invalidations, %llu of all\n", done[0], done[1],
	    (unsigned long long)null.tlb_pages, (unsigned long long)null.tlb_alls);
	null.on_tlb = NULL;
	null_on(0);
}

/* The model sees a stale entry on the other CPU: a page is touched there and changed without telling it. */
static void test_model(void)
{
	prepare(2);
	null_on(1);
	here.space = world.env[0]->root;
	*(struct exo_map *)world.env[0]->arg = (struct exo_map){ WORLD_VA | R | W, world_handle(0, BIG), 0, 1,
		0 };
	is_int(CALL(0, space_write, SPACE, 0, 1), 1, "a page");
	units[0] = (struct unit){ BIG_FIRST, R | W, RWX, BIG, EXO_PTE_ACCESSED };
	*entry_of(0) |= EXO_PTE_ACCESSED;
	tlb[0][0] = tlb[1][0] = *entry_of(0);
	ok(agrees() && tlbs_safe(), "it agrees with the model");
	*entry_of(0) &= ~(uint64_t)EXO_PTE_WRITE;
	ok(!agrees() && !tlbs_safe(), "which sees it when rights go behind a TLB's back");
	*entry_of(0) |= EXO_PTE_WRITE;
	null_on(0);
}

int main(void)
{
	test_model();
	test_random(world_steps(3000), 1);
	test_random(world_steps(3000), 2);
	return done();
}
