/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a program answers demands and survives losses (libos/core/revoke, libos/core/frame). The kernel's side
 * is played by the test, which writes the abort record and takes frames behind the allocator's back.
 *
 * Run with: --icount
 * Time limit: 60 s
 */
#include "libos/core/revoke.h"
#include "test/guest/call.h"

#define PAGES	60

static struct exo_abort *record;

/* What the kernel does: note it, and post the event. */
static void demand(uint32_t what, uint32_t count, exo_time_t by)
{
	record->demand_what = what;
	record->demand_count = count;
	record->demand_by = by;
	record->demands++;
	core_disp->events++;
	__atomic_fetch_or(&core_disp->pending, EXO_EVENT_DEMAND, __ATOMIC_SEQ_CST);
}

static exo_time_t soon(void)
{
	return core_now() + 2000 * MS;
}

/* --- a cache: pages that can be filled again ------------------------------------------------------------ */

struct cache {
	struct revoke_giver giver;
	struct vm_region region;
	uint32_t pages, asked;
	uint32_t what;
};

static uint32_t cache_give(struct revoke_giver *giver, uint32_t what, uint32_t count, exo_time_t by)
{
	struct cache *cache = giver->arg;

	(void)by;
	cache->asked++;
	cache->what = what;
	if (what != EXO_TYPE_FRAME)
		return 3;
	if (count > cache->pages)
		count = cache->pages;
	cache->pages -= count;
	space_unmap_free(cache->region.start + (uint64_t)cache->pages * EXO_PAGE_SIZE, count);
	return count;
}

static bool cache_make(struct cache *cache, int order)
{
	exo_vaddr_t at = vm_addresses(PAGES * EXO_PAGE_SIZE);

	*cache = (struct cache){ .giver = { .give = cache_give, .order = order, .arg = cache },
		.region = { .start = at, .end = at + PAGES * EXO_PAGE_SIZE, .pager = vm_zero_pager,
			.flags = EXO_MAP_READ | EXO_MAP_WRITE }, .pages = PAGES };
	if (!vm_add(&cache->region))
		return false;
	for (unsigned i = 0; i < PAGES; i++)
		((volatile char *)at)[i * EXO_PAGE_SIZE] = (char)(i + 1);
	revoke_add_giver(&cache->giver);
	return true;
}

static void cache_drop(struct cache *cache)
{
	revoke_remove_giver(&cache->giver);
	vm_remove(&cache->region);
}

/* --- answering ------------------------------------------------------------------------------------------ */

static void unused_frames(void)
{
	struct cache cache;

	ok(true, "what printing needs is there");
	cache_make(&cache, 0);
	cache_drop(&cache);
	uint32_t unused = frame_unused(), held = frame_held(), all = core_info->frames_free;
	ok(unused >= 30, "%u frames that nobody uses", unused);
	struct revoke_figures before = revoke_figures;
	demand(EXO_TYPE_FRAME, 10, soon());
	thread_yield();
	ok(frame_held() == held - 10 && core_info->frames_free == all + 10, "ten are wanted, ten are given");
	ok(revoke_figures.demands == before.demands + 1 && revoke_figures.given == before.given + 10 &&
	    revoke_figures.unmet == before.unmet, "and counted");
	thread_yield();
	ok(frame_held() == held - 10, "once");
	demand(EXO_TYPE_FRAME, 5, soon());
	core_yield(EXO_CAP_NONE);
	ok(revoke_figures.by_upcall == before.by_upcall + 5 && frame_held() == held - 15,
	    "by the upcall that brings it, before any thread runs");
	demand(EXO_TYPE_FRAME, 100000, soon());
	thread_yield();
	ok(revoke_figures.unmet == before.unmet + 1 && frame_unused() <= 16,
	    "more than there is: all that is unused goes (%u left), then it gives up", frame_unused());
	char *p = malloc(100000);
	memset(p, 7, 100000);
	ok(p[99999] == 7, "memory comes again when it is needed");
	free(p);
}

static void givers(void)
{
	struct cache first, second;
	uint64_t unmet = revoke_figures.unmet;

	cache_make(&second, 7);
	cache_make(&first, -2);
	frame_trim();
	uint32_t held = frame_held(), unused = frame_unused();
	demand(EXO_TYPE_FRAME, unused + 20, soon());
	thread_yield();
	ok(first.asked == 1 && !second.asked, "a cache that comes first in order is asked, the other is not");
	ok(frame_held() <= held - 20 && revoke_figures.unmet == unmet, "it gives what is wanted (%u)",
	   held - frame_held());
	ok(((volatile char *)second.region.start)[5 * EXO_PAGE_SIZE] == 6 &&
	    ((volatile char *)first.region.start)[0] == 1, "what was not wanted is still there");
	held = frame_held();
	demand(EXO_TYPE_FRAME, PAGES, soon());
	thread_yield();
	ok(!first.pages && second.asked, "when the first has no more, the second is asked");
	unmet = revoke_figures.unmet;
	demand(EXO_TYPE_FRAME, 1000, core_now() - 1);
	uint32_t asked = second.asked;
	thread_yield();
	ok(second.asked == asked && revoke_figures.unmet == unmet + 1, "after the deadline nobody is asked");
	demand(EXO_TYPE_SLICE, 3, soon());
	thread_yield();
	ok(first.what == EXO_TYPE_SLICE && revoke_figures.unmet == unmet + 1,
	   "slices are asked for by their name");
	((volatile char *)first.region.start)[0] = 9;
	ok(((volatile char *)first.region.start)[0] == 9,
	   "a page that was given is filled again at the next touch");
	cache_drop(&first), cache_drop(&second);
	frame_trim();
}

/* Pages in use behind those that nobody uses, the stack's among them: they move. */
static void packing(void)
{
	struct cache behind, before;
	volatile char deep[20000];

	cache_make(&before, 0);
	cache_make(&behind, 0);
	revoke_remove_giver(&behind.giver);
	for (unsigned i = 0; i < sizeof(deep); i += 1000)
		deep[i] = (char)(i / 1000);
	cache_drop(&before);
	uint32_t held = frame_held(), wanted = frame_unused() - 2;
	uint64_t unmet = revoke_figures.unmet;
	bool good = true;
	demand(EXO_TYPE_FRAME, wanted, soon());
	thread_yield();
	ok(wanted > 20 && frame_held() == held - wanted && revoke_figures.unmet == unmet,
	   "%u unused frames in the middle can be given, too (%u were)", wanted, held - frame_held());
	for (unsigned i = 0; i < PAGES; i++)
		good &= ((volatile char *)behind.region.start)[i * EXO_PAGE_SIZE] == (char)(i + 1);
	for (unsigned i = 0; i < sizeof(deep); i += 1000)
		good &= deep[i] == (char)(i / 1000);
	ok(good, "the pages that had to move hold what they held");
	vm_remove(&behind.region);
	frame_trim();
}

static void late_sleeper(void *arg)
{
	*(uint32_t *)arg = frame_held();
	demand(EXO_TYPE_FRAME, 4, soon());
}

/* A program that sleeps answers, too. */
static void asleep(void)
{
	struct cache cache;
	uint32_t held = 0;

	cache_make(&cache, 0);
	cache_drop(&cache);
	struct thread *thread = thread_create("later", late_sleeper, &held);
	thread_sleep(core_now() + 5 * MS);
	thread_join(thread);
	ok(frame_held() == held - 4, "a program that sleeps answers");
}

/* --- losses --------------------------------------------------------------------------------------------- */

static void lose(const struct frame *frame, uint32_t count, exo_vaddr_t mapped, uint32_t spilled)
{
	struct exo_loss *loss = &record->loss[record->lost % EXO_LOSSES];

	*loss = (struct exo_loss){ .what = EXO_TYPE_FRAME, .why = EXO_LOSS_DEMAND, .first = frame->pfn,
		.slot = exo_cap_slot(frame->cap), .count = count, .spilled = spilled };
	record->lost++;
	if (mapped)
		space_map(mapped, 0, EXO_CAP_NONE, 0, count);
	is(exo_frame_give(frame->cap, count), count, "%u frames are taken by force", count);
	core_disp->events++;
	__atomic_fetch_or(&core_disp->pending, EXO_EVENT_LOST, __ATOMIC_SEQ_CST);
}

static uint32_t unseen;

/* The last `count` frames of the run that the allocator grows now, all in use. */
static struct frame last_frames(uint32_t count)
{
	struct frame frame, next;

	frame_trim();
	do
		frame_alloc_run(count, &frame);
	while (cap_of(frame.cap)->count != frame.first + count && frame_alloc(&next) && ++unseen < 1000);
	return frame;
}

static exo_pfn_t kept[4];
static unsigned restored;

/*
 * Remembers which frame each page has; what was lost comes from the spill, else the program would have to
 * end.
 */
CORE_UPCALL static const char *keeper(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	unsigned page = (unsigned)((va - region->start) / EXO_PAGE_SIZE);
	struct frame frame;
	exo_pfn_t was = kept[page];

	(void)access;
	if (present || !frame_alloc(&frame) || space_map_frame(PAGE_DOWN(va), region->flags, &frame))
		return "no frame";
	kept[page] = frame.pfn;
	if (was && !revoke_restore(was, (void *)PAGE_DOWN(va)))
		return "what it held is lost";
	restored += was != 0;
	return NULL;
}

static void losses(void)
{
	exo_vaddr_t at = vm_addresses(4 * EXO_PAGE_SIZE), window = vm_addresses(4 * EXO_PAGE_SIZE);
	struct vm_region region = { .start = at, .end = at + 4 * EXO_PAGE_SIZE, .pager = keeper,
		.flags = EXO_MAP_READ | EXO_MAP_WRITE };

	ok(revoke_spill(8) && record->spill && cap_of(record->spill)->count == 8, "eight frames to spill to");
	ok(!revoke_spill(8), "once");
	struct frame frame = last_frames(4);
	vm_add(&region);
	for (uint32_t i = 0; i < 4; i++) {
		struct frame one = { frame.cap, frame.first + i, frame.pfn + i, false };
		space_map_frame(at + i * EXO_PAGE_SIZE, region.flags, &one);
		kept[i] = one.pfn;
		memset((void *)(at + i * EXO_PAGE_SIZE), (int)(0x51 + i), EXO_PAGE_SIZE);
	}
	/* Two go, with a copy; as the kernel has it, the copies are written without the program's doing. */
	space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, record->spill, 0, 4);
	memcpy((void *)window, (void *)(at + 2 * EXO_PAGE_SIZE), 2 * EXO_PAGE_SIZE);
	space_map(window, 0, EXO_CAP_NONE, 0, 4);
	uint32_t held = frame_held();
	uint64_t lost = revoke_figures.lost_frames;
	struct frame tail = { frame.cap, frame.first + 2, frame.pfn + 2, true };
	lose(&tail, 2, at + 2 * EXO_PAGE_SIZE, 0);
	ok(*(volatile char *)(at + 3 * EXO_PAGE_SIZE + 17) == 0x54,
	   "a lost page is filled from the spill at its next touch");
	ok(*(volatile char *)(at + 2 * EXO_PAGE_SIZE) == 0x53 && restored == 2, "so is the other");
	ok(*(volatile char *)at == 0x51 && *(volatile char *)(at + EXO_PAGE_SIZE) == 0x52,
	   "those that were not taken are as they were");
	thread_yield();
	ok(revoke_figures.lost_frames == lost + 2, "the loss is counted");
	ok(frame_held() >= held - 2 && frame_held() <= held + 22,
	   "the allocator has forgotten them (%u, were %u)", frame_held(), held);
	ok(!revoke_restore(frame.pfn + 2, (void *)window), "a loss is restored once");

	/* Frames that were free in the allocator, and those never handed out. */
	frame = last_frames(3);
	for (uint32_t i = 0; i < 3; i++)
		frame_free(frame.pfn + i);
	uint32_t unused = frame_unused();
	held = frame_held();
	lose(&frame, 3, 0, EXO_NOT_SPILLED);
	thread_yield();
	ok(frame_held() == held - 3 && frame_unused() == unused - 3, "unused frames that are lost");
	struct frame f;
	unsigned bad = 0;
	for (unsigned i = 0; i < 100; i++)
		bad += !frame_alloc(&f) || space_map_frame(window, EXO_MAP_READ | EXO_MAP_WRITE, &f);
	ok(!bad, "are not handed out again");
	frame_reserve(10);
	frame = last_frames(1);
	frame_reserve(5);
	const struct exo_cap *cap = cap_of(frame.cap);
	uint32_t behind = cap->count - frame.first - 1;
	struct frame fresh = { frame.cap, frame.first + 1, frame.pfn + 1, false };
	held = frame_held();
	if (behind)
		lose(&fresh, behind, 0, EXO_NOT_SPILLED);
	/* No switch of threads in between: the page fault finds out by itself. */
	volatile char *heap = malloc(400000);
	for (unsigned i = 0; i < 400000; i += EXO_PAGE_SIZE)
		heap[i] = 1;
	ok(revoke_figures.lost_frames >= lost && heap[4096] == 1,
	   "fresh frames that are lost (%u): the heap goes on", behind);
	thread_yield();
	struct exo_loss *last = &record->loss[0];
	for (unsigned i = 0; i < 30; i++)
		record->lost++, *last = (struct exo_loss){ .what = EXO_TYPE_SLICE, .count = 1 };
	core_disp->events++;
	thread_yield();
	is((int64_t)revoke_figures.unrecorded, 6, "more losses than records");
}

int main(void)
{
	record = &core_disp->abort;
	unused_frames();
	givers();
	packing();
	asleep();
	losses();
	return call_done();
}
