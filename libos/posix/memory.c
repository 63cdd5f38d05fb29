/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private pages: places, frames, faults. See memory.h; the runs of frames are in runs.c, what fork needs in memory_fork.c.
 *
 * In place of libos/vm/zero.c: core's stacks, and whatever else uses vm_zero_pager, are private memory here.
 * All of it is upcall code. A write fault on a shared page is two calls: map a new frame in the page's place
 * once it is filled, give the old one up. It is filled where it is *staged*: frames that were never used are
 * mapped at META_COPY, many at a time, when the first of them is needed for a copy (a single one at
 * META_WINDOW). On a page that nobody else holds it is one call: the exposed frame table says so beforehand,
 * and if that was true a moment ago only, the kernel refuses and the page is copied. Who writes pages in a row
 * has the next ones copied along, with the same calls: at most as many ahead as were written in that row before.
 *
 * While threads are on other CPUs (cpus.h) they see each page at once that is mapped here: what is mapped in a page's place
 * is whole, and what is read to be copied cannot be written (clear, row).
 */
#include <string.h>
#include "libos/core/spawn.h"
#include "libos/posix/cpus.h"
#include "libos/posix/leaves.h"
#include "libos/posix/runs.h"

#pragma GCC target("general-regs-only")

#define FIRST		((META_LEAVES - META_FIRST) / sizeof(struct vm_region))
#define REGIONS		(FIRST + (META_END - META_REGIONS) / sizeof(struct vm_region))
#define FAULT_BATCH	8		/* descriptors behind CORE_ARG_FAULT */
#define AHEAD		24U		/* pages that one fault copies, at most */
#define SPARE		64		/* frames that memory_left leaves for tables and the like */
#define ADDRESSES	(64ULL << 30)	/* above the heap: those below are left to vm_addresses, and to sbrk, while others are free */
#define NO_FRAME	"out of memory"
#define NO_TABLE	"out of memory: no frame for a page table"
#define RIGHTS		"access against the page's rights"

extern char __wired_start[], __wired_stacks[], __wired_end[];

struct memory_leaf leaves[LEAVES];
uint32_t leaf_count, leaf_hint;
static uint32_t regions_used;
static struct vm_region *regions_free;
static exo_vaddr_t last_fault;		/* runs_ahead counts the pages in a row that end here */
static uint64_t meta_there[(META_END - META_START) / EXO_PAGE_SIZE / 64 + 1];	/* whose bits behind the end are 0 */

/* --- the pages of the tables ---------------------------------------------------------------------------- */

static uint32_t meta_page(exo_vaddr_t va)
{
	return (uint32_t)((va - META_START) / EXO_PAGE_SIZE);
}

static bool meta_has(uint32_t page)
{
	return meta_there[page / 64] >> page % 64 & 1;
}

bool meta_need(exo_vaddr_t va)
{
	uint32_t page = meta_page(va);
	struct frame frame;

	if (meta_has(page))
		return true;
	va = PAGE_DOWN(va);
	if (!frame_alloc(&frame) || space_map_frame(va, RW, &frame) < 0)
		return false;
	if (frame.dirty)
		memset((void *)va, 0, EXO_PAGE_SIZE);
	meta_there[page / 64] |= 1ULL << page % 64;
	return true;
}

static uint32_t meta_next(uint32_t page, bool there)
{
	const uint32_t end = meta_page(META_END);

	while (page < end) {
		uint64_t word = meta_there[page / 64] ^ (there ? 0 : ~0ULL);

		word >>= page % 64;
		if (word)
			return page + (uint32_t)__builtin_ctzll(word);
		page = (page | 63) + 1;
	}
	return end;
}

uint32_t memory_wired(struct memory_stretch *list, uint32_t most)
{
	uint32_t count = 2, page, end = 0;

	list[0] = (struct memory_stretch){ (exo_vaddr_t)__wired_start,
		(uint32_t)((__wired_stacks - __wired_start) / EXO_PAGE_SIZE), true };
	list[1] = (struct memory_stretch){ (exo_vaddr_t)__wired_stacks,
		(uint32_t)((__wired_end - __wired_stacks) / EXO_PAGE_SIZE), false };
	while (count < most && (page = meta_next(end, true)) < meta_page(META_END)) {
		end = meta_next(page, false);
		list[count++] = (struct memory_stretch){ META_START + (exo_vaddr_t)page * EXO_PAGE_SIZE,
							end - page, true };
	}
	return count;
}

/* --- places --------------------------------------------------------------------------------------------- */

/* The first leaf whose key is not less. */
static uint32_t leaf_search(uint32_t key)
{
	uint32_t low = 0, high = leaf_count, middle;

	if (leaf_hint < leaf_count && leaves[leaf_hint].key == key)
		return leaf_hint;
	while (low < high) {
		middle = (low + high) / 2;
		if (leaves[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return leaf_hint = low;
}

uint32_t *place_at(exo_vaddr_t va, bool make)
{
	uint32_t key = (uint32_t)(va >> 21), i = leaf_search(key), page;

	if (i == leaf_count || leaves[i].key != key) {
		if (!make || leaf_count == LEAVES || !meta_need(META_LEAVES + leaf_count * LEAF_BYTES))
			return NULL;
		for (uint32_t k = leaf_count; k > i; k--)
			leaves[k] = leaves[k - 1];
		leaves[i].key = key;
		leaves[i].leaf = leaf_count++;
		leaves[i].lazy = leaves[i].mapped = false;
		leaves[i].low = LEAF_PAGES;
		leaves[i].high = 0;
	}
	page = va >> EXO_PAGE_SHIFT & (LEAF_PAGES - 1);
	if (make && page < leaves[i].low)
		leaves[i].low = (uint16_t)page;
	if (make && page >= leaves[i].high)
		leaves[i].high = (uint16_t)(page + 1);
	return &leaf_places(i)[page];
}

bool memory_there(exo_vaddr_t va)
{
	const uint32_t *place = place_at(va, false);

	return place && *place;
}

bool memory_table(unsigned i, exo_vaddr_t *va)
{
	if (i >= leaf_count)
		return false;
	*va = leaves[i].low < leaves[i].high ? (exo_vaddr_t)leaves[i].key << 21 : 0;
	return true;
}

/* --- faults --------------------------------------------------------------------------------------------- */

/* Frames of these places, which follow each other in a run, are mapped at META_COPY. */
static struct {
	uint32_t place, count;
	bool window;			/* one is mapped at META_WINDOW */
} staged;

static int64_t write_run(exo_vaddr_t va, exo_cap_t cap, uint32_t first, uint32_t count)
{
	struct exo_map *map = core_arg(CORE_ARG_FAULT);

	*map = (struct exo_map){ va, cap, first, count, 0 };
	return exo_space_write(space_own(), CORE_ARG_FAULT, 1);
}

void memory_window_empty(void)
{
	if (staged.window)
		space_protect_page(META_WINDOW, 0);
	staged.window = false;
	if (staged.count)
		(void)write_run(META_COPY, EXO_CAP_NONE, 0, staged.count);
	staged.count = 0;
}

/* Where a frame can be written that is to be a page's copy; 0: it cannot be mapped. */
static exo_vaddr_t stage(uint32_t place)
{
	const struct memory_run *run = run_of(place);
	uint32_t index = place & INDEX_MASK, count = run->count - index;

	if (place - staged.place < staged.count)
		return META_COPY + (place - staged.place) * EXO_PAGE_SIZE;
	if (count > META_STAGED)
		count = META_STAGED;
	if (count < 2 || run->split || index + 1 != run->used) {
		staged.window = true;
		return map_place(META_WINDOW, RW, place) < 0 ? 0 : META_WINDOW;
	}
	memory_window_empty();
	if (write_run(META_COPY | RW, run->cap, index, count) != 1)
		return 0;
	staged.place = place;
	staged.count = count;
	return META_COPY;
}

/*
 * How many pages from va on are copied at once: not more than `most`, their frames and those of the copies follow each
 * other, and the others are mapped, too: to be read only, if another CPU's thread could write to one. What is taken for
 * them is used.
 */
static uint32_t row(exo_vaddr_t va, const uint32_t *at, uint32_t copy, uint32_t most)
{
	struct memory_run *run = run_of(copy);
	const struct memory_run *from = run_of(*at);
	uint32_t room = staged.count - (copy - staged.place), pages = 1;

	if (copy - staged.place >= staged.count || (copy & INDEX_MASK) + 1 != run->used)
		return 1;
	if (most > room)
		most = room;
	while (pages < most && at[pages] == *at + pages)
		pages++;
	if (pages > 1 && (!leaves[leaf_hint].mapped || posix_cpus_busy) &&
	    write_run((va + EXO_PAGE_SIZE) | EXO_MAP_READ, from->cap, (*at & INDEX_MASK) + 1, pages - 1) != 1)
		return 1;
	run->used += pages - 1;
	return pages;
}

static void release_row(uint32_t place, uint32_t pages)
{
	while (pages--)
		run_release(place + pages);
}

uint32_t move_pages(exo_vaddr_t va, unsigned flags, uint32_t *at, bool present, uint32_t copy, uint32_t most,
		    const char **why)
{
	const void *from = (const void *)va;
	void *to = (void *)stage(copy);
	uint32_t pages;
	uint64_t words;

	if (!to || (!present && map_place(va, EXO_MAP_READ, *at) < 0)) {
		run_release(copy);
		*why = "its frame has gone";
		return 0;
	}
	pages = most > 1 ? row(va, at, copy, most) : 1;
	words = pages * EXO_PAGE_SIZE / 8;
	__asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(words) : : "memory");
	if (pages == 1 ? map_place(va, flags, copy) < 0 :
	    write_run(va | flags, run_of(copy)->cap, copy & INDEX_MASK, pages) != 1) {
		(void)write_run(va, EXO_CAP_NONE, 0, pages);	/* those that are mapped come back by faults */
		release_row(copy, pages);
		*why = "a copy cannot be mapped";
		return 0;
	}
	for (uint32_t i = 0; i < pages; i++)
		at[i] = copy + i;
	return pages;
}

__attribute__((noinline)) const char *copy_page(exo_vaddr_t va, unsigned flags, uint32_t *at, bool present, uint32_t most)
{
	const char *why = NO_FRAME;
	bool dirty;
	uint32_t place = *at, copy = run_take(&dirty), pages;

	pages = copy ? move_pages(va, flags, at, present, copy, most, &why) : 0;
	if (!pages)
		return why;
	run_give(place, pages);
	last_fault += (pages - 1) * EXO_PAGE_SIZE;
	runs_ahead += pages - 1;
	return NULL;
}

/* How many pages may be copied at once for a fault at va: no more ahead of it than lie behind it in a row. */
static uint32_t ahead(const struct vm_region *region, exo_vaddr_t va)
{
	uint64_t most = (region->end - va) / EXO_PAGE_SIZE, leaf = LEAF_PAGES - (va >> EXO_PAGE_SHIFT & (LEAF_PAGES - 1));

	if (most > runs_ahead + 1)
		most = runs_ahead + 1;
	if (most > leaf)
		most = leaf;
	return most < AHEAD ? (uint32_t)most : AHEAD;
}

static const char *write_page(const struct vm_region *region, exo_vaddr_t va, uint32_t *at, bool present)
{
	unsigned flags = region->flags;

	if (run_shared(*at))
		return copy_page(va, flags, at, present, ahead(region, va));
	if (map_place(va, flags, *at) >= 0)
		return NULL;
	return run_of(*at)->split ? copy_page(va, flags, at, present, 1) : "its frame has gone";
}

/* A frame with old contents becomes zeros: in its page's place, unless another CPU's threads would see it there. */
static bool clear(exo_vaddr_t va, uint32_t place)
{
	void *to = (void *)(posix_cpus_busy ? stage(place) : map_place(va, RW, place) < 0 ? 0 : va);
	uint64_t words = EXO_PAGE_SIZE / 8;

	if (to)
		__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0ULL) : "memory");
	return to != NULL;
}

/* A frame that is zeros. */
static const char *first_touch(exo_vaddr_t va, unsigned flags, uint32_t *at)
{
	bool dirty;
	uint32_t place = run_take(&dirty);

	if (!place)
		return NO_FRAME;
	if ((dirty && !clear(va, place)) ||
	    ((!dirty || flags != RW || posix_cpus_busy) && map_place(va, flags, place) < 0)) {
		run_put(place);
		return NO_TABLE;
	}
	*at = place;
	return NULL;
}

/* --- many pages ----------------------------------------------------------------------------------------- */

/* Do what descriptors there are from `at` on, one call or several; false: some could not be done. */
static bool flush(uint64_t at, uint32_t count)
{
	bool all = true;

	for (uint32_t from = 0; from < count;) {
		int64_t done = exo_space_write(space_own(), at + from * sizeof(struct exo_map), count - from);

		all = all && done > 0;
		from += done > 0 ? (uint32_t)done : 1;
	}
	return all;
}

/* How many pages from `page` of a leaf on follow each other in their run, too. */
static uint32_t same_run(const uint32_t *place, uint32_t page)
{
	uint32_t end = page + 1;

	while (end < LEAF_PAGES && place[end] == place[page] + (end - page))
		end++;
	return end - page;
}

/* Map the pages of a leaf as they may be without a copy; false: not all, the others come by faults. */
static __attribute__((noinline)) bool leaf_map(uint32_t i)
{
	struct exo_map *map = core_arg(CORE_ARG_FAULT);
	const uint32_t *place = leaf_places(i);
	exo_vaddr_t base = (exo_vaddr_t)leaves[i].key << 21;
	uint32_t count = 0;
	bool all = true;

	leaves[i].lazy = false;
	for (uint32_t page = leaves[i].low, run; page < leaves[i].high; page += run) {
		exo_vaddr_t va = base + page * EXO_PAGE_SIZE;
		const struct vm_region *region;
		unsigned flags;

		run = 1;
		if (!place[page])
			continue;
		region = vm_find(va);
		run = same_run(place, page);
		if (region && region->end - va < run * EXO_PAGE_SIZE)
			run = (uint32_t)((region->end - va) / EXO_PAGE_SIZE);
		if (!region || !(region->flags & EXO_MAP_READ))
			continue;
		flags = region->flags & ~(run_of(place[page])->split ? EXO_MAP_WRITE : 0U);
		map[count++] = (struct exo_map){ va | flags, run_of(place[page])->cap, place[page] & INDEX_MASK, run, 0 };
		if (count == FAULT_BATCH) {
			all = flush(CORE_ARG_FAULT, count) && all;
			count = 0;
		}
	}
	return leaves[i].mapped = flush(CORE_ARG_FAULT, count) && all;
}

const char *memory_zero(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	unsigned flags = region->flags;
	uint32_t *at;

	if (access & ~flags)
		return RIGHTS;
	va = PAGE_DOWN(va);
	at = place_at(va, true);
	if (!at)
		return NO_FRAME;
	runs_ahead = va == last_fault + EXO_PAGE_SIZE ? runs_ahead + 1 : 0;
	last_fault = va;
	if (!*at)
		return present ? RIGHTS : first_touch(va, flags, at);
	if (__builtin_expect(leaves[leaf_hint].lazy, false) && !present && leaf_map(leaf_hint)) {
		if (access != VM_WRITE || !run_of(*at)->split)
			return NULL;
		present = true;
	}
	if (access == VM_WRITE)
		return write_page(region, va, at, present);
	if (present)
		return RIGHTS;
	if (run_of(*at)->split)
		flags &= ~EXO_MAP_WRITE;
	return map_place(va, flags, *at) < 0 ? "its frame has gone" : NULL;
}

const char *vm_zero_pager(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	return memory_zero(region, va, access, present);
}

const char *vm_stack_pager(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	if ((va - region->start) % region->slot_bytes < EXO_PAGE_SIZE)
		return "stack overflow";
	return memory_zero(region, va, access, present);
}

/* What is mapped so already, a lowering that changes nothing tells. */
static bool touched(exo_vaddr_t va, unsigned flags)
{
	struct exo_map *map = core_arg(CORE_ARG_FAULT);

	*map = (struct exo_map){ va | flags, EXO_CAP_NONE, 0, 1, 0 };
	return exo_space_write(space_own(), CORE_ARG_FAULT, 1) == 1 && map->old & EXO_PTE_PRESENT;
}

bool vm_touch(exo_vaddr_t va, uint64_t bytes)
{
	for (exo_vaddr_t at = PAGE_DOWN(va); at < va + bytes; at += EXO_PAGE_SIZE) {
		struct exo_regs regs = { .address = at };
		struct vm_region *region = vm_find(at);

		if (!region || ((memory_there(at) || region->pager != vm_stack_pager) && touched(at, region->flags)))
			continue;
		regs.error = region->flags & EXO_MAP_WRITE ? VM_ERROR_WRITE : 0;
		if (vm_fault(&regs))
			return false;
	}
	return true;
}

/* Nothing is in [from, to) of a leaf any more; `to` may be where the next one begins. */
static void leaf_empty(uint32_t i, exo_vaddr_t from, exo_vaddr_t to)
{
	uint32_t first = from >> EXO_PAGE_SHIFT & (LEAF_PAGES - 1), end = to >> EXO_PAGE_SHIFT & (LEAF_PAGES - 1);

	if (!end)
		end = LEAF_PAGES;
	if (first <= leaves[i].low && end > leaves[i].low)
		leaves[i].low = (uint16_t)end;
	if (end >= leaves[i].high && first < leaves[i].high)
		leaves[i].high = (uint16_t)first;
	if (leaves[i].low >= leaves[i].high) {
		leaves[i].low = LEAF_PAGES;
		leaves[i].high = 0;
	}
}

void memory_discard(exo_vaddr_t va, uint64_t bytes)
{
	exo_vaddr_t end = va + bytes, at = va, next;
	struct exo_map *map = core_arg(0);

	core_stack();
	for (; at < end; at = next) {
		uint32_t key = (uint32_t)(at >> 21), i = leaf_search(key), count = 0;

		if (i == leaf_count)
			return;
		if (leaves[i].key != key) {
			next = (exo_vaddr_t)leaves[i].key << 21;
			continue;
		}
		for (next = at; next < end && next >> 21 == key && count < BATCH; next += EXO_PAGE_SIZE)
			if (*place_at(next, false))
				map[count++] = (struct exo_map){ next, EXO_CAP_NONE, 0, 1, 0 };
		leaf_empty(i, at, next);
		if (!count)
			continue;
		(void)flush(0, count);
		for (; at < next; at += EXO_PAGE_SIZE) {
			uint32_t *place = place_at(at, false), released = *place;

			*place = 0;
			if (released)
				run_release(released);
		}
	}
}

void vm_release(exo_vaddr_t va, uint64_t bytes)
{
	memory_discard(va, bytes);
}

void memory_protect(exo_vaddr_t va, uint64_t bytes, unsigned flags)
{
	core_stack();
	for (exo_vaddr_t at = va; at < va + bytes; at += EXO_PAGE_SIZE) {
		const uint32_t *place = place_at(at, false);

		if (!place || !*place)
			continue;
		leaves[leaf_hint].mapped = false;
		if (flags & EXO_MAP_WRITE && run_of(*place)->split)
			space_protect_page(at, flags & ~EXO_MAP_WRITE);
		else if (!flags || space_protect_page(at, flags) < 0)
			space_protect_page(at, 0);	/* it comes back by a fault, with all its rights */
	}
}

/* --- regions -------------------------------------------------------------------------------------------- */

struct vm_region *memory_region_make(void)
{
	struct vm_region *region = regions_free;

	if (region) {
		regions_free = region->next;
	} else {
		region = regions_used < FIRST ? (struct vm_region *)META_FIRST + regions_used :
			(struct vm_region *)META_REGIONS + (regions_used - FIRST);
		if (regions_used == REGIONS || !meta_need((exo_vaddr_t)region) ||
		    !meta_need((exo_vaddr_t)(region + 1) - 1))
			return NULL;
		regions_used++;
	}
	*region = (struct vm_region){ .pager = vm_zero_pager };
	return region;
}

void memory_region_free(struct vm_region *region)
{
	region->next = regions_free;
	regions_free = region;
}

/* So many bytes and a page before the next region. */
static exo_vaddr_t gap(exo_vaddr_t at, exo_vaddr_t most, uint64_t bytes)
{
	const struct vm_region *region = vm_first();

	for (; region && region->start < most; region = region->next) {
		if (region->end <= at)
			continue;
		if (region->start > at && region->start - at > bytes)
			break;
		at = region->end + EXO_PAGE_SIZE;
	}
	return at > most || bytes > most - at ? 0 : at;
}

exo_vaddr_t memory_addresses(uint64_t bytes)
{
	const exo_vaddr_t middle = PAGE_UP(core_begin->heap) + ADDRESSES;
	exo_vaddr_t at, rest, rest_end;

	bytes = PAGE_UP(bytes);
	if (!bytes)
		return 0;
	at = gap(middle, core_begin->heap_end, bytes);
	if (!at)
		at = gap(vm_addresses_left(), middle, bytes);
	if (!at && memory_heap_rest(&rest, &rest_end))
		at = gap(rest, rest_end, bytes);
	return at;
}

bool memory_left(uint64_t pages)
{
	return pages + SPARE + ((struct wire_page *)WIRE_VA_PAGE)->reserve < core_info->frames_free &&
		pages / LEAF_PAGES + leaf_count + 2 < LEAVES;
}
