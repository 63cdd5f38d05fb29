/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copy-on-write regions. See cow.h.
 *
 * A write fault on a shared page is three calls: map a new frame at the window, map it in the page's place
 * once it is filled, give the old one up. The window's mapping stays for the next fault to replace. On a page
 * that nobody else holds it is one call: the exposed frame table says so beforehand, and if that was true a
 * moment ago only, the kernel refuses and the page is copied.
 */
#include <string.h>
#include "libos/core/spawn.h"
#include "libos/vm/cow.h"

#define TAKE		EXO_TAKE_MAX
#define INDEX_MASK	((1U << COW_INDEX_BITS) - 1)
#define RW		(EXO_MAP_READ | EXO_MAP_WRITE)

static uint32_t table_pages(uint32_t pages)
{
	return (uint32_t)(PAGE_UP((uint64_t)pages * sizeof(uint32_t)) / EXO_PAGE_SIZE);
}

/* Pages of the area. */
static uint32_t window_page(const struct cow *cow)
{
	return cow->pages;
}

static uint32_t table_page(const struct cow *cow)
{
	return cow->pages + 2;
}

static struct cow_run *run_of(struct cow *cow, uint32_t place)
{
	return &cow->run[(place >> COW_INDEX_BITS) - 1];
}

static int64_t map_place(struct cow *cow, uint32_t page, unsigned flags, uint32_t place)
{
	return area_write(&cow->area, page, flags, run_of(cow, place)->cap, place & INDEX_MASK);
}

/* --- frames --------------------------------------------------------------------------------------------- */

static bool run_new(struct cow *cow)
{
	struct cow_run *run = &cow->run[cow->runs];
	uint32_t slot = caps_slot();
	int64_t cap;

	if (cow->runs == COW_RUNS || !slot)
		return false;
	cap = exo_frame_take(slot, EXO_PFN_ANY, TAKE);
	if (cap < 0)
		return false;
	*run = (struct cow_run){ .cap = (exo_cap_t)cap, .first = (exo_pfn_t)caps_at(slot)->first,
		.count = caps_at(slot)->count };
	cow->runs++;
	return true;
}

/* More frames at the end of the last run, or in a new one. */
static bool run_grow(struct cow *cow)
{
	struct cow_run *run = &cow->run[cow->runs - 1];
	int64_t got;

	if (!cow->runs || run->shared || run->used < run->count)
		return run_new(cow);
	got = exo_frame_take(run->cap, EXO_PFN_ANY, TAKE);
	if (got <= 0)
		return run_new(cow);
	run->count += (uint32_t)got;
	return true;
}

/* A frame that is nobody's page yet; 0: there is none. */
static uint32_t place_take(struct cow *cow)
{
	struct cow_run *run;

	if (!cow->runs || cow->run[cow->runs - 1].shared ||
	    cow->run[cow->runs - 1].used == cow->run[cow->runs - 1].count)
		if (!run_grow(cow))
			return 0;
	run = &cow->run[cow->runs - 1];
	return cow->runs << COW_INDEX_BITS | run->used++;
}

bool cow_reserve(struct cow *cow, uint32_t count)
{
	struct cow_run *run;
	int64_t got;

	core_stack();
	if ((!cow->runs || cow->run[cow->runs - 1].shared) && !run_new(cow))
		return false;
	for (run = &cow->run[cow->runs - 1]; run->count - run->used < count; run->count += (uint32_t)got) {
		got = exo_frame_take(run->cap, EXO_PFN_ANY, TAKE);
		if (got <= 0)
			return false;
	}
	return true;
}

/* --- faults --------------------------------------------------------------------------------------------- */

/* The page is another one's too: a copy takes its place. */
static const char *copy_page(struct cow *cow, uint32_t page, uint32_t place)
{
	const void *from = (const void *)area_page(&cow->area, page);
	void *to = (void *)area_page(&cow->area, window_page(cow));
	uint64_t words = EXO_PAGE_SIZE / 8;
	uint32_t copy = place_take(cow);

	if (!copy)
		return "out of memory: no frame for a copy";
	if (!(cow->area.entry[page] & EXO_PTE_PRESENT) && map_place(cow, page, EXO_MAP_READ, place) < 0)
		return "its frame has gone";
	if (map_place(cow, window_page(cow), RW, copy) < 0)
		return "a copy cannot be mapped";
	__asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(words) : : "memory");
	if (map_place(cow, page, RW, copy) < 0)
		return "a copy cannot be mapped";
	cow->page[page] = copy;
	cow->copied++;
	(void)exo_split_give(run_of(cow, place)->cap, place & INDEX_MASK, 1);
	return NULL;
}

static const char *write_page(struct cow *cow, uint32_t page, uint32_t place)
{
	const struct cow_run *run = run_of(cow, place);
	const struct exo_frame_info *frame;

	if (run->shared) {
		frame = info_frame(run->first + (place & INDEX_MASK));
		if (!frame || frame->holds > 1)
			return copy_page(cow, page, place);
		cow->again++;
	}
	if (map_place(cow, page, RW, place) >= 0)
		return NULL;
	cow->again -= run->shared;
	return run->shared ? copy_page(cow, page, place) : "its frame has gone";
}

static const char *cow_fault(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	struct cow *cow = region->arg;
	uint32_t page = (uint32_t)((va - region->start) / EXO_PAGE_SIZE), place = cow->page[page];

	if (access == VM_WRITE && place)
		return write_page(cow, page, place);
	if (present || access == VM_EXEC)
		return "access against the page's rights";
	if (!place) {
		place = place_take(cow);
		if (!place)
			return "out of memory: no frame for a first touch";
		cow->page[page] = place;
		return map_place(cow, page, RW, place) < 0 ? "out of memory: no frame for a page table" : NULL;
	}
	return map_place(cow, page, EXO_MAP_READ, place) < 0 ? "its frame has gone" : NULL;
}

/* --- making --------------------------------------------------------------------------------------------- */

static bool furnish(struct cow *cow, uint32_t pages)
{
	*cow = (struct cow){ .pages = pages };
	if (!pages || pages > INDEX_MASK || !area_take(&cow->area, pages + 2 + table_pages(pages)))
		return false;
	if (!area_fill(&cow->area, table_page(cow), table_pages(pages))) {
		area_give(&cow->area);
		return false;
	}
	cow->page = (uint32_t *)area_page(&cow->area, table_page(cow));
	cow->region = (struct vm_region){ .start = cow->area.va, .end = area_page(&cow->area, pages),
		.pager = cow_fault, .arg = cow, .flags = RW };
	(void)info_frame(1);	/* mapped now, not at the first fault */
	if (vm_add(&cow->region))
		return true;
	area_empty(&cow->area, table_page(cow), table_pages(pages));
	area_give(&cow->area);
	return false;
}

bool cow_make(struct cow *cow, uint32_t pages)
{
	core_stack();
	return furnish(cow, pages);
}

/* --- cloning -------------------------------------------------------------------------------------------- */

/* A sibling of a run in slot `slot` of a table: its handle or an error. */
static int64_t run_split(struct cow_run *run, exo_cap_t env, uint32_t slot, exo_pfn_t *record)
{
	int64_t handle, got;
	struct frame frame;
	uint32_t done;

	if (!frame_alloc_run(run->shared ? 1 : 2, &frame))
		return -EXO_EQUOTA;
	do
		handle = exo_cap_split(run->cap, env, slot, frame.cap, frame.first);
	while (handle == -EXO_EAGAIN);
	if (handle < 0)
		return handle;
	*record = frame.pfn;
	if (!run->shared)
		run->record = frame.pfn + 1;
	run->shared = true;
	for (done = EXO_RANGE_MAX; done < run->count; done += (uint32_t)got) {
		got = exo_cap_split(run->cap, env, (uint64_t)handle, 0, 0);
		if (got < 0)
			return got;
	}
	return handle;
}

int64_t cow_clone(struct cow *cow, exo_cap_t env, uint32_t slot, struct cow_ticket *ticket,
		  struct cow_twin *twin)
{
	int64_t handle;

	core_stack();
	*twin = (struct cow_twin){ 0 };
	ticket->pages = cow->pages;
	ticket->runs = cow->runs;
	area_write(&cow->area, window_page(cow), 0, EXO_CAP_NONE, 0);
	for (uint32_t i = 0; i < cow->runs; i++) {
		handle = run_split(&cow->run[i], env, slot + i, &twin->record[i]);
		if (handle < 0)
			return handle;
		twin->runs++;
		ticket->run[i].cap = (exo_cap_t)handle;
		ticket->run[i].count = cow->run[i].count;
	}
	memcpy(ticket->page, cow->page, (size_t)cow->pages * sizeof(uint32_t));
	return 0;
}

static void record_free(exo_pfn_t *record)
{
	if (*record)
		frame_free(*record);
	*record = 0;
}

void cow_twin_gone(struct cow_twin *twin)
{
	core_stack();
	while (twin->runs)
		record_free(&twin->record[--twin->runs]);
}

/* Pages that follow each other in the region and in their run are mapped together. */
static bool map_all(struct cow *cow)
{
	uint32_t page, end, place;

	for (page = 0; page < cow->pages; page = end) {
		end = page + 1;
		place = cow->page[page];
		if (!place)
			continue;
		while (end < cow->pages && cow->page[end] == place + (end - page))
			end++;
		if (space_map(area_page(&cow->area, page), EXO_MAP_READ, run_of(cow, place)->cap, place & INDEX_MASK,
		    end - page))
			return false;
	}
	return true;
}

bool cow_adopt(struct cow *cow, const struct cow_ticket *ticket)
{
	uint32_t pages = ticket->pages, runs = ticket->runs;

	core_stack();
	if (runs > COW_RUNS || !furnish(cow, pages))
		return false;
	for (uint32_t i = 0; i < runs; i++) {
		const struct exo_cap *cap = caps_at(exo_cap_slot(ticket->run[i].cap));
		uint32_t count = (uint32_t)ticket->run[i].count;
		cow->run[i] = (struct cow_run){ ticket->run[i].cap, cap ? (exo_pfn_t)cap->first : 0, count, count, 0,
			true };
	}
	cow->runs = runs;
	memcpy(cow->page, ticket->page, (size_t)pages * sizeof(uint32_t));
	for (uint32_t i = 0; i < pages; i++)
		if (cow->page[i] >> COW_INDEX_BITS > runs)
			cow->page[i] = 0;
	if (map_all(cow))
		return true;
	cow_drop(cow);
	return false;
}

/* --- ends ----------------------------------------------------------------------------------------------- */

uint32_t cow_end(struct cow *cow)
{
	uint32_t shared = 0;
	int64_t error;

	core_stack();
	for (uint32_t i = 0; i < cow->runs; i++) {
		if (!cow->run[i].shared)
			continue;
		do
			error = exo_split_end(cow->run[i].cap);
		while (error == -EXO_EAGAIN);
		if (error) {
			shared++;
			continue;
		}
		cow->run[i].shared = false;
		record_free(&cow->run[i].record);
	}
	return shared;
}

void cow_drop(struct cow *cow)
{
	core_stack();
	for (uint32_t i = 0; i < cow->runs; i++) {
		caps_delete(cow->run[i].cap);
		record_free(&cow->run[i].record);
	}
	cow->runs = 0;
	vm_remove(&cow->region);
	area_empty(&cow->area, table_page(cow), table_pages(cow->pages));
	area_give(&cow->area);
}
