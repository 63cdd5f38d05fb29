/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions, page faults and mappings: the primitives of Appel and Li ("Virtual memory primitives for user programs",
 * ASPLOS 1991), through the libOS's own fault path and the public call stubs.
 */
/* Pagers and transfer handlers run with the interrupted code's FPU registers live. */
#pragma GCC target("general-regs-only")

#include "apps/bench/bench.h"
#include "libos/vm/area.h"
#include "libos/vm/vm.h"

#define REPEAT		1000
#define FRESH_PAGES	10000
#define GROUPS		10	/* capabilities of map_100 */
#define GROUP_FRAMES	20	/* frames of each, of which every second is used */
#define BATCH		100
#define AMBIENT_CAPS	256
#define AMBIENT_PAGES	1000

static struct vm_region trap_region, fresh_region, pool_region;
static exo_cap_t fresh_cap;
static uint32_t fresh_count;
static struct frame trap_frame;

/* Frames [0, count) under one new capability. */
static exo_cap_t take(uint32_t count)
{
	int64_t cap = exo_frame_take(caps_slot(), EXO_PFN_ANY, count < EXO_TAKE_MAX ? count : EXO_TAKE_MAX);
	uint32_t have;

	bench_need(cap > 0, "frames");
	for (have = caps_at(exo_cap_slot((exo_cap_t)cap))->count; have < count;) {
		uint32_t more = count - have < EXO_TAKE_MAX ? count - have : EXO_TAKE_MAX;
		int64_t got = exo_frame_take((exo_cap_t)cap, EXO_PFN_ANY, more);
		bench_need(got > 0, "consecutive frames");
		have += (uint32_t)got;
	}
	return (exo_cap_t)cap;
}

/* The state that every figure is taken in: many capabilities and mappings alive. */
static void ambient(void)
{
	exo_cap_t cap = take(1);
	exo_vaddr_t va = vm_addresses(AMBIENT_PAGES * EXO_PAGE_SIZE);

	for (unsigned i = 0; i < AMBIENT_CAPS; i++)
		bench_need(caps_derive(cap, EXO_RIGHT_READ, 0, 1) > 0, "256 capabilities");
	for (unsigned i = 0; i < AMBIENT_PAGES; i++)
		bench_need(space_map(va + i * EXO_PAGE_SIZE, EXO_MAP_READ, cap, 0, 1) == 0, "1,000 mappings");
}

/* What reading the counter twice adds to a figure that is measured piece by piece. */
static uint64_t counter_cost(void)
{
	uint64_t began = bench_count();

	return bench_count() - began;
}

/* --- exceptions ---------------------------------------------------------------------------------------------------- */

/* Step over the store that faulted: `movb $0, (%rax)` is 3 bytes. */
static const char *step_over(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	(void)region, (void)va, (void)access, (void)present;
	core_disp->on.rip += 3;
	return NULL;
}

static const char *make_writable(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	(void)region, (void)access, (void)present;
	return space_map_frame(PAGE_DOWN(va), EXO_MAP_READ | EXO_MAP_WRITE, &trap_frame) ? "no mapping" : NULL;
}

static inline void store(exo_vaddr_t va)
{
	__asm__ volatile("movb $0, (%0)" :: "a"(va) : "memory");
}

static void add_region(struct vm_region *region, uint64_t pages, vm_pager pager)
{
	region->start = vm_addresses(pages * EXO_PAGE_SIZE);
	region->end = region->start + pages * EXO_PAGE_SIZE;
	region->flags = EXO_MAP_READ | EXO_MAP_WRITE;
	region->pager = pager;
	bench_need(region->start && vm_add(region), "a region");
}

static void exceptions(void)
{
	struct bench_run run;
	uint64_t total = 0;

	add_region(&trap_region, 1, step_over);
	bench_need(frame_alloc(&trap_frame), "a frame");
	bench_need(!space_map_frame(trap_region.start, EXO_MAP_READ, &trap_frame), "a mapping");
	store(trap_region.start);
	bench_begin(&run);
	for (unsigned i = 0; i < REPEAT; i++)
		store(trap_region.start);
	bench_end(&run, "trap", REPEAT, 0);

	trap_region.pager = make_writable;
	for (unsigned i = 0; i < REPEAT; i++) {
		bench_need(!space_protect(trap_region.start, EXO_MAP_READ, 1), "protection");
		uint64_t began = bench_count();
		store(trap_region.start);
		total += bench_count() - began;
	}
	bench_report("trap_fix_resume", total / REPEAT - counter_cost());
}

/* --- page faults --------------------------------------------------------------------------------------------------- */

static const char *fresh_pager(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	struct frame frame = { .cap = fresh_cap, .first = fresh_count };

	(void)region, (void)access, (void)present;
	if (exo_frame_take(fresh_cap, EXO_PFN_ANY, 1) != 1)
		return "no neighbouring frame is free";
	fresh_count++;
	return space_map_frame(PAGE_DOWN(va), EXO_MAP_READ | EXO_MAP_WRITE, &frame) ? "no mapping" : NULL;
}

static const char *pool_pager(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	struct frame frame = { .cap = fresh_cap, .first = (uint32_t)((va - region->start) / EXO_PAGE_SIZE) };

	(void)access, (void)present;
	return space_map_frame(PAGE_DOWN(va), EXO_MAP_READ | EXO_MAP_WRITE, &frame) ? "no mapping" : NULL;
}

/* Page tables are linked beforehand: one page of each 2 MiB is mapped and unmapped again. */
static void link_tables(const struct vm_region *region)
{
	exo_cap_t cap = take(1);

	for (exo_vaddr_t va = region->start; va < region->end; va += 512 * EXO_PAGE_SIZE)
		bench_need(!space_map(va, EXO_MAP_READ, cap, 0, 1) && !space_map(va, 0, 0, 0, 1), "page tables");
	bench_need(!space_map(region->end - EXO_PAGE_SIZE, EXO_MAP_READ, cap, 0, 1) &&
		   !space_map(region->end - EXO_PAGE_SIZE, 0, 0, 0, 1), "page tables");
}

static void touch(const char *name, const struct vm_region *region)
{
	struct bench_run run;

	bench_begin(&run);
	for (exo_vaddr_t va = region->start; va < region->end; va += EXO_PAGE_SIZE)
		store(va);
	bench_end(&run, name, (region->end - region->start) / EXO_PAGE_SIZE, 4);
}

static void page_faults(void)
{
	add_region(&fresh_region, FRESH_PAGES, fresh_pager);
	add_region(&pool_region, FRESH_PAGES, pool_pager);
	link_tables(&fresh_region);
	link_tables(&pool_region);
	fresh_cap = take(1);
	fresh_count = 1;
	touch("page_fault_fresh", &fresh_region);
	touch("page_fault_pool", &pool_region);
}

/* --- mappings ------------------------------------------------------------------------------------------------------ */

static void describe(struct exo_map *map, const exo_cap_t caps[GROUPS], exo_vaddr_t va, unsigned flags)
{
	for (unsigned i = 0; i < BATCH; i++)
		map[i] = (struct exo_map){ (va + 2 * i * EXO_PAGE_SIZE) | flags, flags ? caps[i / (BATCH / GROUPS)] : 0,
			2 * (i % (BATCH / GROUPS)), 1, 0 };
}

static void mappings(void)
{
	struct exo_map *map = core_arg(0);
	exo_vaddr_t va = (vm_addresses(1024 * EXO_PAGE_SIZE) + 0x1fffff) & ~0x1fffffULL;
	exo_cap_t caps[GROUPS], run_cap, space = space_own();
	struct bench_run run;

	for (unsigned i = 0; i < GROUPS; i++)
		caps[i] = take(GROUP_FRAMES);
	run_cap = take(BATCH);
	bench_need(!space_map(va, EXO_MAP_READ, run_cap, 0, 1) && !space_map(va, 0, 0, 0, 1), "page tables");

	uint64_t mapping = 0, unmapping = 0;
	for (unsigned i = 0; i < REPEAT; i++) {
		map[0] = (struct exo_map){ va | EXO_MAP_READ, run_cap, 0, 1, 0 };
		map[1] = (struct exo_map){ va, 0, 0, 1, 0 };
		uint64_t began = bench_count();
		int64_t first = exo_space_write(space, 0, 1);
		uint64_t middle = bench_count();
		int64_t second = exo_space_write(space, sizeof(*map), 1);
		mapping += middle - began;
		unmapping += bench_count() - middle;
		bench_need(first == 1 && second == 1, "map_1");
	}
	bench_report("map_1", mapping / REPEAT - counter_cost());
	bench_report("unmap_1", unmapping / REPEAT - counter_cost());

	describe(map, caps, va, EXO_MAP_READ | EXO_MAP_WRITE);
	bench_begin(&run);
	int64_t done = exo_space_write(space, 0, BATCH);
	bench_end(&run, "map_100", 1, 0);
	bench_need(done == BATCH, "map_100");
	describe(map, caps, va, 0);
	bench_begin(&run);
	done = exo_space_write(space, 0, BATCH);
	bench_end(&run, "unmap_100", 1, 0);
	bench_need(done == BATCH, "unmap_100");

	map[0] = (struct exo_map){ va | EXO_MAP_READ, run_cap, 0, BATCH, 0 };
	bench_begin(&run);
	done = exo_space_write(space, 0, 1);
	bench_end(&run, "map_100_run", 1, 0);
	bench_need(done == 1, "map_100_run");
}

/* --- rights --------------------------------------------------------------------------------------------------------- */

static struct vm_area guard_area;
static struct vm_region guard_region;
static uint32_t guard_other;	/* page that the handler of appel1 protects */

/* Of a hundred touched pages, all at once: descriptors without a capability change rights. */
static int64_t protect(exo_vaddr_t va, unsigned flags, uint32_t count)
{
	struct exo_map *map = core_arg(0);

	map[0] = (struct exo_map){ va | flags, 0, 0, count, 0 };
	return exo_space_write(space_own(), 0, 1);
}

static void touch_all(void)
{
	for (uint32_t i = 0; i < BATCH; i++)
		store(area_page(&guard_area, i));
}

static void measure_protect(const char *down, const char *up, uint32_t count)
{
	uint64_t lower = 0, raise = 0, dirty = 0;

	for (unsigned i = 0; i < REPEAT; i++) {
		touch_all();
		uint64_t began = bench_count();
		int64_t first = protect(guard_area.va, EXO_MAP_READ, count);
		uint64_t middle = bench_count();
		dirty += (((struct exo_map *)core_arg(0))->old & EXO_PTE_DIRTY) != 0;
		for (uint32_t j = 0; j < count; j++)
			(void)*(volatile char *)area_page(&guard_area, j);
		uint64_t again = bench_count();
		int64_t second = protect(guard_area.va, EXO_MAP_READ | EXO_MAP_WRITE, count);
		raise += bench_count() - again;
		lower += middle - began;
		dirty += (((struct exo_map *)core_arg(0))->old & EXO_PTE_DIRTY) != 0;
		bench_need(first == 1 && second == 1, down);
	}
	bench_need(dirty == 2 * REPEAT, "dirty bits");
	bench_report(down, lower / REPEAT - counter_cost());
	bench_report(up, raise / REPEAT - counter_cost());
}

/* Appel and Li's first: the handler protects another page and unprotects the one that faulted. */
static CORE_UPCALL const char *guard_two(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	struct exo_map *map = core_arg(CORE_ARG_FAULT);

	(void)region, (void)access, (void)present;
	map[0] = (struct exo_map){ area_page(&guard_area, guard_other) | EXO_MAP_READ, 0, 0, 1, 0 };
	map[1] = (struct exo_map){ PAGE_DOWN(va) | EXO_MAP_READ | EXO_MAP_WRITE, 0, 0, 1, 0 };
	return exo_space_write(space_own(), CORE_ARG_FAULT, 2) == 2 ? NULL : "no protection";
}

/* Their second: all pages are protected at once, the handler unprotects one at a time. */
static CORE_UPCALL const char *guard_one(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	(void)region, (void)access, (void)present;
	return space_protect_page(PAGE_DOWN(va), EXO_MAP_READ | EXO_MAP_WRITE) ? "no protection" : NULL;
}

static void rights(void)
{
	struct bench_run run;
	uint64_t total = 0;
	uint32_t dirty = 0;

	bench_need(area_take(&guard_area, BATCH) && area_fill(&guard_area, 0, BATCH), "an area");
	guard_region = (struct vm_region){ .start = guard_area.va, .end = area_page(&guard_area, BATCH),
		.flags = EXO_MAP_READ | EXO_MAP_WRITE, .pager = guard_two };
	bench_need(vm_add(&guard_region), "a region");
	measure_protect("prot1", "unprot1", 1);
	measure_protect("prot100", "unprot100", BATCH);

	touch_all();
	for (unsigned i = 0; i < REPEAT; i++) {
		const volatile uint64_t *entry = &guard_area.entry[i % BATCH];
		uint64_t began = bench_count();
		uint64_t found = *entry & EXO_PTE_DIRTY;
		total += bench_count() - began;
		dirty += found != 0;
	}
	bench_need(dirty == REPEAT, "dirty bits");
	bench_report("dirty_query", total / REPEAT - counter_cost());

	bench_need(protect(guard_area.va, EXO_MAP_READ, 1) == 1, "protection");
	bench_begin(&run);
	for (unsigned i = 0; i < REPEAT; i++) {
		guard_other = (i + 1) % BATCH;
		store(area_page(&guard_area, i % BATCH));
	}
	bench_end(&run, "appel1", REPEAT, 0);

	guard_region.pager = guard_one;
	total = 0;
	for (unsigned i = 0; i < REPEAT / BATCH; i++) {
		touch_all();
		uint64_t began = bench_count();
		bench_need(protect(guard_area.va, EXO_MAP_READ, BATCH) == 1, "protection");
		touch_all();
		total += bench_count() - began;
	}
	bench_report("appel2", total / REPEAT);
}

void bench_memory(void)
{
	struct bench_run run;

	ambient();
	bench_begin(&run);
	for (unsigned i = 0; i < REPEAT; i++)
		exo_null();
	bench_end(&run, "null_call", REPEAT, 2);
	exceptions();
	page_faults();
	mappings();
	rights();
}
