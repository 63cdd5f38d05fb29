/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paged regions with each policy, chosen at run time and at link time: real faults on real page tables, on
 * traces like a database's, beside the best that is possible. Dirty pages, stores that block or fail, limits
 * that change.
 *
 * Run with: --icount
 */
#pragma GCC target("general-regs-only")
#include <stdio.h>
#include <stdlib.h>
#include "libos/core/revoke.h"
#include "libos/vm/pager.h"
#include "test/guest/tap.h"
#include "test/lib/pages.h"

/* The choice at link time: regions that name no policy have this one, not the library's. */
const struct policy *const policy_default = &policy_2q;

/* A program's own policy: it knows that its first 24 pages are the index, and that it scans the others. */
static uint32_t scan_victim(struct policy_set *set, uint32_t wanted)
{
	uint32_t page = set->list[0].tail, first = *(const uint32_t *)set->arg;

	(void)wanted;
	while (page < first && set->page[page].prev != POLICY_NONE)
		page = set->page[page].prev;
	return page;
}
static const struct policy own_policy = { .name = "own", .victim = scan_victim };
static uint32_t index_pages = 24;

static struct trace trace;
static struct pager_memory memory;
static struct pager pager;
static uint64_t written[TRACE_PAGES];

static volatile uint64_t *word(uint32_t page)
{
	return (volatile uint64_t *)area_page(&pager.area, page) + 17 + page % 400;
}

static bool begin(uint32_t pages, uint32_t frames, const struct policy *policy)
{
	memset(written, 0, sizeof(written));
	pager = (struct pager){ .pages = pages, .frames = frames, .store = &memory.store, .policy = policy,
		.arg = &index_pages };
	return pager_memory_make(&memory, pages) && pager_make(&pager);
}

static bool end(void)
{
	const char *why = pager_drop(&pager);

	pager_memory_drop(&memory);
	return why == NULL;
}

/* Every fifth access writes. False: a page does not hold what was written to it. */
static bool follow(void)
{
	bool good = true;

	for (uint32_t i = 0; i < trace.count; i++) {
		uint32_t page = trace.page[i];
		good = good && *word(page) == written[page];
		if (i % 5 == 0)
			*word(page) = ++written[page];
	}
	return good;
}

static uint32_t follow_under(const struct policy *policy)
{
	uint64_t faults = pager.region.faults, reads = pager.reads;
	bool good;

	if (!ok(pager_policy(&pager, policy) == NULL, "%s: policy %s", trace.name, policy->name))
		return 0;
	good = follow();
	faults = pager.region.faults - faults;
	memset(trace_accessed, 0, sizeof(trace_accessed));
	trace_arg = &index_pages;
	ok(good && pager.reads - reads == faults && faults == trace_faults(&trace, policy, NULL),
	   "%lu faults, as many as in the model; all pages hold what was written", faults);
	return (uint32_t)faults;
}

static void policies(void)
{
	void (*const make[])(struct trace *) = { trace_scan, trace_phases, trace_mixed };
	static const struct policy *const policy[] = { &policy_clock, &policy_fifo, &policy_mru, &policy_2q, &policy_lru };
	uint32_t faults[3][6] = { 0 }, best[3];

	for (int t = 0; t < 3; t++) {
		make[t](&trace);
		best[t] = trace_belady(&trace);
		ok(begin(trace.pages, trace.frames, policy[0]), "%s: %u pages in %u frames", trace.name,
		    trace.pages,
		   trace.frames);
		for (int i = 0; i < 5; i++)
			faults[t][i] = follow_under(policy[i]);
		if (t == 0)
			faults[t][5] = follow_under(&own_policy);
		ok(end(), "gone");
	}
	printf("# faults      best  clock   fifo    mru     2q    lru    own\n");
	for (int t = 0; t < 3; t++) {
		static const char *const name[] = { "scan", "phases", "mixed" };
		printf("# %-8s %7u%7u%7u%7u%7u%7u", name[t], best[t], faults[t][0], faults[t][1], faults[t][2],
		       faults[t][3], faults[t][4]);
		if (t == 0)
			printf("%7u", faults[t][5]);
		printf("\n");
	}
	ok(faults[0][2] * 100 <= best[0] * 105, "repeated scan: MRU is within 5 %% of Belady's optimum");
	ok(faults[0][5] * 100 <= best[0] * 105, "and so is a policy of the program's own");
	ok(faults[0][0] > 3 * best[0] && faults[0][4] > 3 * best[0], "LRU and clock have more than three times as many");
	ok(faults[1][0] < faults[1][1] && 2 * faults[1][0] < faults[1][2],
	    "where use changes, the clock is the better one");
	ok(faults[1][4] <= faults[1][0] && faults[2][4] <= faults[2][0], "and LRU no worse than the clock");
	ok(faults[2][3] < faults[2][0] && faults[2][3] < faults[2][2], "with scans between, 2Q");
}

/* --- what is written, and what is not ------------------------------------------------------------------- */

static uint64_t stored(uint32_t page)
{
	return ((const uint64_t *)area_page(&memory.area, page))[17 + page % 400];
}

static void dirty(void)
{
	uint64_t sum = 0;

	ok(begin(60, 20, NULL) && pager.set.policy == &policy_2q,
	    "a region that names no policy has the program's");
	for (uint32_t round = 0; round < 3; round++)
		for (uint32_t page = 0; page < 60; page++)
			sum += *word(page);
	ok(sum == 0 && pager.writes == 0 && pager.reads >= 120, "what is only read is never written back");
	for (uint32_t page = 0; page < 60; page++)
		*word(page) = page + 1;
	for (uint32_t page = 0; page < 60; page++)
		sum += *word(page);
	ok(sum == 60 * 61 / 2 && pager.writes == 60, "what was written is, once (%lu)", pager.writes);
	*word(3) = 77;
	*word(4) = 78;
	ok(stored(3) == 4 && pager_sync(&pager) == NULL && stored(3) == 77 && stored(4) == 78 &&
	    pager.writes == 62,
	   "sync writes what is dirty");
	uint64_t faults = pager.region.faults;
	ok(*word(3) == 77 && pager.region.faults == faults && pager_sync(&pager) == NULL &&
	    pager.writes == 62,
	   "and nothing twice; pages stay");
	*word(4) = 79;
	ok(end() && pager.writes == 63, "what is dirty at the end is written, too");
}

static void touch(uint32_t page, bool write)
{
	if (write)
		++*word(page);
	else
		(void)*word(page);
}

/* What a fault costs that finds no free frame, in instructions: they are counted as time. */
static void costs(void)
{
	static const struct policy *const policy[] = { &policy_fifo, &policy_mru, &policy_clock, &policy_2q };
	bool good = true;

	for (int i = 0; i < 4; i++) {
		uint64_t ns[2];
		if (!ok(begin(200, 100, policy[i]), "%s", policy[i]->name))
			return;
		for (uint32_t page = 0; page < 200; page++)
			good = good && *word(page) == 0;
		for (int dirty = 0; dirty < 2; dirty++) {
			uint64_t faults = pager.region.faults, now = core_now();
			for (uint32_t round = 0; round < 4; round++)
				for (uint32_t page = 0; page < 200; page++)
					touch(page, dirty);
			ns[dirty] = (core_now() - now) / (pager.region.faults - faults);
		}
		printf("# instructions a fault, %s: %lu, and %lu with a page to be written\n", policy[i]->name,
		       ns[0], ns[1]);
		good = good && *word(5) == 4;
		ok(end(), "gone");
	}
	ok(good, "pages are as they should be");
}

static void limits(void)
{
	uint32_t used;
	bool good = true;

	ok(begin(200, 100, &policy_clock), "100 frames");
	for (uint32_t page = 0; page < 200; page++)
		*word(page) = page;
	used = frame_held() - frame_unused();
	ok(pager_limit(&pager, 30) == NULL && pager.set.resident == 30, "70 of them are given up");
	ok(frame_held() - frame_unused() == used - 70, "the program has them");
	for (uint32_t page = 0; page < 200; page++)
		good = good && *word(page) == page;
	ok(good && pager.set.resident == 30, "nothing is lost");
	ok(pager_limit(&pager, 1) == NULL && *word(7) == 7 && *word(8) == 8 && pager.set.resident == 1,
	    "one is enough");
	ok(pager_limit(&pager, 500) == NULL && pager.set.frames == 100, "and all come back");
	uint64_t faults = pager.region.faults;
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t page = 20; page < 120; page++)
			good = good && *word(page) == page;
	ok(good && pager.region.faults <= faults + 100, "and are used");
	ok(end(), "gone");
	pager = (struct pager){ .pages = 10, .frames = 0, .store = &memory.store };
	ok(!pager_make(&pager), "a region without frames is refused");
	pager = (struct pager){ .pages = 10, .frames = 1u << 30, .store = NULL };
	ok(!pager_make(&pager), "and one without a store");
}

/* --- other stores --------------------------------------------------------------------------------------- */

static const char *failing;
static uint32_t failures, inside, inside_most;

static const char *slow_read(struct pager_store *store, uint32_t page, void *to)
{
	(void)store;
	if (++inside > inside_most)
		inside_most = inside;
	thread_sleep(core_now() + CORE_SECOND / 2000);
	memcpy(to, (const void *)area_page(&memory.area, page), EXO_PAGE_SIZE);
	inside--;
	return NULL;
}

static const char *failing_write(struct pager_store *store, uint32_t page, const void *from)
{
	(void)store;
	if (failing) {
		failures++;
		return failing;
	}
	memcpy((void *)area_page(&memory.area, page), from, EXO_PAGE_SIZE);
	return NULL;
}

static bool threads_good;
static uint32_t threads_left, ticks;

static void toucher(void *arg)
{
	uint64_t number = (uint64_t)arg;

	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t page = 0; page < 12; page++) {
			volatile uint64_t *at = word(page) + number;
			threads_good = threads_good && *at == round;
			*at = round + 1;
		}
	threads_left--;
	thread_exit();
}

static void blocking(void)
{
	static struct pager_store slow = { slow_read, failing_write, true };
	struct thread *thread[3];

	ok(pager_memory_make(&memory, 12), "a store that blocks");
	pager = (struct pager){ .pages = 12, .frames = 5, .store = &slow, .policy = &policy_clock };
	ok(pager_make(&pager), "and its region");
	ok(*word(2) == 0, "the thread that faults asks it");
	threads_left = 3;
	threads_good = true;
	ticks = inside_most = failures = 0;
	for (uint64_t i = 0; i < 3; i++)
		thread[i] = thread_create("toucher", toucher, (void *)i);
	while (threads_left) {
		ticks++;
		thread_sleep(core_now() + CORE_SECOND / 10000);
	}
	for (int i = 0; i < 3; i++)
		thread_join(thread[i]);
	ok(threads_good, "three threads see what they wrote");
	ok(inside_most == 1 && ticks > 20, "one fault at a time, the others go on (%u)", ticks);
	failing = "the disk is full";
	const char *why = pager_sync(&pager);
	ok(why == failing && failures == 1, "a store that cannot write says so");
	ok(pager_drop(&pager) == failing && vm_find(pager.region.start) == &pager.region &&
	    *(word(11) + 1) == 2,
	   "the region stays, nothing is lost");
	failing = NULL;
	ok(end(), "and goes when it can");
	/* In sync and drop, the page whose write failed is written later. */
	ok(pager.writes >= 24, "all was written (%lu)", pager.writes);
}

/* --- asked for frames, and robbed of them --------------------------------------------------------------- */

/* What the kernel does: note it, and post the event (exo/disp.h). */
static void post(uint64_t event)
{
	core_disp->events++;
	__atomic_fetch_or(&core_disp->pending, event, __ATOMIC_SEQ_CST);
}

static void asked(void)
{
	struct exo_abort *record = &core_disp->abort;
	bool good = true;

	ok(begin(80, 60, &policy_clock) && pager_offer(&pager, 5, 20),
	    "a region that is offered, but for 20 frames");
	ok(!pager_offer(&pager, 5, 20), "once");
	for (uint32_t page = 0; page < 80; page++)
		*word(page) = page;
	frame_trim();
	for (int i = 0; i < 2; i++) {
		record->demand_what = EXO_TYPE_FRAME;
		record->demand_count = frame_unused() + 30;
		record->demand_by = core_now() + CORE_SECOND / 10;
		record->demands++;
		post(EXO_EVENT_DEMAND);
		thread_yield();
		ok(pager.set.frames >= 20 && pager.set.frames <= (i ? 20 : 30),
		    "it gives what is wanted, down to what it keeps (%u)", pager.set.frames);
	}
	for (uint32_t page = 0; page < 80; page++)
		good = good && *word(page) == page;
	ok(good && pager_limit(&pager, 60) == NULL, "nothing is lost, and all can come back");
	ok(end(), "gone");
}

static bool take_one(void *arg, struct frame *frame)
{
	uint32_t slot = caps_slot();

	(void)arg;
	if (!slot || exo_frame_take(slot, EXO_PFN_ANY, 1) < 0)
		return false;
	*frame = (struct frame){ caps_handle(slot), 0, (exo_pfn_t)caps_at(slot)->first, false };
	return true;
}

static void give_one(void *arg, const struct frame *frame)
{
	(void)arg;
	caps_delete(frame->cap);
}

/* The frame of a page is taken by force; what it held is in the spill, if there is still room. */
static void rob(uint32_t page, exo_vaddr_t window)
{
	struct exo_abort *record = &core_disp->abort;
	const struct pager_frame *frame = &pager.frame[pager.page[page].slot];
	uint32_t at = record->spill ? record->spill_next++ : EXO_NOT_SPILLED;

	if (record->spill) {
		space_map(window, EXO_MAP_READ | EXO_MAP_WRITE, record->spill, at, 1);
		memcpy((void *)window, (const void *)area_page(&pager.area, page), EXO_PAGE_SIZE);
		space_map(window, 0, EXO_CAP_NONE, 0, 1);
	}
	record->loss[record->lost++ % EXO_LOSSES] = (struct exo_loss){ .what = EXO_TYPE_FRAME, .why =
	    EXO_LOSS_DEMAND,
		.slot = exo_cap_slot(frame->cap), .first = frame->pfn, .count = 1, .spilled = at };
	caps_delete(frame->cap);
	post(EXO_EVENT_LOST);
}

static bool robbed_begin(unsigned flags)
{
	pager = (struct pager){ .pages = 8, .frames = 4, .flags = flags, .store = &memory.store, .policy =
	    &policy_fifo,
		.take = take_one, .give = give_one };
	return pager_make(&pager);
}

static void robbed(void)
{
	exo_vaddr_t window = vm_addresses(EXO_PAGE_SIZE);
	bool good = true;

	ok(core_disp->abort.spill || revoke_spill(12), "a spill");
	ok(pager_memory_make(&memory, 8) && robbed_begin(0), "a region whose frames may go singly");
	for (uint32_t page = 0; page < 4; page++)
		*word(page) = page + 100;
	rob(1, window);
	ok(*word(1) == 101 && pager.set.frames == 3,
	    "a page whose frame was taken is there at its next touch");
	rob(2, window);
	for (uint32_t page = 4; page < 8; page++)
		*word(page) = page + 100;
	ok(stored(2) == 102 && pager.set.frames == 2, "one that is to go, too, goes to the store");
	rob(7, window);
	ok(pager_sync(&pager) == NULL && stored(7) == 107 && pager.set.frames == 1, "sync, too");
	rob(6, window);
	for (uint32_t page = 0; page < 8; page++)
		good = good && *word(page) == page + 100;
	ok(good && pager.set.frames == 1, "without any frame left it takes one");
	ok(pager_limit(&pager, 4) == NULL && pager.set.frames == 4, "and more when it may");
	caps_delete(pager.frame[pager.free].cap);
	for (uint32_t page = 0; page < 8; page++)
		good = good && *word(page) == page + 100;
	ok(good && pager.set.frames == 3, "free frames are missed when they are needed");
	ok(pager_drop(&pager) == NULL && stored(5) == 105, "gone");
	ok(robbed_begin(EXO_MAP_READ), "one that can only be read");
	for (uint32_t page = 0; page < 8; page++)
		good = good && *word(page) == page + 100;
	for (uint32_t page = 4; page < 8; page++)
		caps_delete(pager.frame[pager.page[page].slot].cap);
	for (uint32_t page = 0; page < 8; page++)
		good = good && *word(page) == page + 100;
	ok(good, "needs no spill");
	ok(end(), "gone");
	thread_yield();
}

int main(void)
{
	uint32_t used = 0;

	for (int round = 0; round < 2; round++) {
		used = frame_held() - frame_unused();
		dirty();
		costs();
		limits();
		policies();
		blocking();
		asked();
		robbed();
	}
	ok(frame_held() - frame_unused() == used, "the second time, no frame is used up");
	return tap_done();
}
