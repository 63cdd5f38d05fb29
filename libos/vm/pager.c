/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paged regions. See pager.h.
 *
 * A fault without a free frame is two calls: one unmaps the page that goes, which returns its dirty bit as of
 * its last use, one maps the page that came; between them the store is asked through the window. Clearing
 * accessed bits for a policy that wants them is one call for up to eight pages: each is mapped again as it
 * was, and the bits of the old entry are kept (pager_page).
 */
#include "libos/vm/pager.h"

/* Where a page is that was taken by force, on its way to the store. */
static unsigned char bounce[EXO_PAGE_SIZE] __attribute__((aligned(EXO_PAGE_SIZE)));

#define CLEAR_MAX	8	/* descriptors between CORE_ARG_FAULT and the end of the argument frame */
#define NO_SLOT		0xffffffff
#define GUARD		1	/* pages between region and window that are never mapped */

_Static_assert(CORE_ARG_FAULT + CLEAR_MAX * sizeof(struct exo_map) <= EXO_PAGE_SIZE, "room for a batch");

static struct pager *pager_of(const struct policy_set *set)
{
	return (struct pager *)((char *)set - offsetof(struct pager, set));
}

static uint32_t window_page(const struct pager *pager, uint32_t slot)
{
	return pager->pages + GUARD + slot;
}

static void *window(const struct pager *pager, uint32_t slot)
{
	return (void *)area_page(&pager->area, window_page(pager, slot));
}

/* --- frames that were taken by force -------------------------------------------------------------------- */

static bool slot_there(const struct pager *pager, uint32_t slot)
{
	return pager->area.entry[window_page(pager, slot)] & EXO_PTE_PRESENT;
}

static void slot_lost(struct pager *pager, uint32_t slot)
{
	pager->frame[slot] = (struct pager_frame){ .page = pager->empty };
	pager->empty = slot;
	pager->set.frames--;
}

/* The first free slot whose frame is still there. */
static uint32_t slot_free(struct pager *pager)
{
	uint32_t slot;

	while ((slot = pager->free) != NO_SLOT && !slot_there(pager, slot)) {
		pager->free = pager->frame[slot].page;
		slot_lost(pager, slot);
	}
	return slot;
}

/*
 * A page has gone with its frame, and nobody knows if it was written: what the kernel kept goes to the store.
 */
static const char *page_lost(struct pager *pager, uint32_t page)
{
	uint32_t slot = pager->page[page].slot;
	const char *why;

	if (pager->region.flags & EXO_MAP_WRITE) {
		if (!revoke_restore(pager->frame[slot].pfn, bounce))
			return "its frame was taken by force, and there was no room in the spill";
		why = pager->store->write(pager->store, page, bounce);
		if (why)
			return why;
		pager->writes++;
	}
	policy_dropped(&pager->set, page);
	slot_lost(pager, slot);
	return NULL;
}

/* --- what the processor has noted ----------------------------------------------------------------------- */

/* Map the pages of the list again, as they are: their accessed and dirty bits begin anew. */
static void clear_bits(struct pager *pager)
{
	struct exo_map *map = core_arg(CORE_ARG_FAULT);
	uint32_t count = pager->clearing, done = 0;
	int64_t part;

	for (uint32_t i = 0; i < count; i++) {
		const struct pager_frame *frame = &pager->frame[pager->page[pager->clear[i]].slot];
		map[i] = (struct exo_map){ area_page(&pager->area, frame->page) | pager->region.flags,
			frame->cap, frame->first, 1, 0 };
	}
	for (; done < count; done += (uint32_t)part) {
		part = exo_space_write(space_own(), CORE_ARG_FAULT + done * sizeof(*map), count - done);
		if (part <= 0)
			break;
	}
	for (uint32_t i = 0; i < done; i++)
		if (map[i].old & EXO_PTE_DIRTY)
			pager->page[pager->clear[i]].written = 1;
	pager->clearing = 0;
}

static void clear_later(struct pager *pager, uint32_t page)
{
	pager->clear[pager->clearing++] = page;
	if (pager->clearing == CLEAR_MAX)
		clear_bits(pager);
}

static bool page_used(struct policy_set *set, uint32_t page)
{
	struct pager *pager = pager_of(set);
	bool now = pager->area.entry[page] & EXO_PTE_ACCESSED, used = now || pager->page[page].used;

	pager->page[page].used = 0;
	if (now)
		clear_later(pager, page);
	return used;
}

static bool page_written(const struct policy_set *set, uint32_t page)
{
	const struct pager *pager = pager_of(set);

	return pager->page[page].written || pager->area.entry[page] & EXO_PTE_DIRTY;
}

/* --- frames come and go --------------------------------------------------------------------------------- */

/* A free frame goes back to where it came from. */
static void slot_empty(struct pager *pager)
{
	uint32_t slot = pager->free;
	struct pager_frame *from = &pager->frame[slot];
	struct frame frame = { from->cap, from->first, from->pfn, true };

	area_write(&pager->area, window_page(pager, slot), 0, EXO_CAP_NONE, 0);
	pager->free = from->page;
	*from = (struct pager_frame){ .page = pager->empty };
	pager->empty = slot;
	if (pager->give)
		pager->give(pager->frame_arg, &frame);
	else
		frame_free(frame.pfn);
}

/* A frame for a slot that has none. */
static bool slot_fill(struct pager *pager)
{
	uint32_t slot = pager->empty;
	struct pager_frame *to = &pager->frame[slot];
	struct frame frame;

	if (!(pager->take ? pager->take(pager->frame_arg, &frame) : frame_alloc(&frame)))
		return false;
	pager->empty = to->page;
	*to = (struct pager_frame){ frame.cap, frame.first, frame.pfn, pager->free };
	pager->free = slot;
	if (area_write(&pager->area, window_page(pager, slot), EXO_MAP_READ | EXO_MAP_WRITE, to->cap,
	    to->first) >= 0)
		return true;
	slot_empty(pager);
	return false;
}

/* --- pages go and come ---------------------------------------------------------------------------------- */

static int64_t map_page(const struct pager *pager, uint32_t page, const struct pager_frame *frame)
{
	return area_write(&pager->area, page, pager->region.flags, frame->cap, frame->first);
}

/* The page goes, to the store if it was written; its frame is free. NULL, or why it stays. */
static const char *evict(struct pager *pager, uint32_t page)
{
	struct pager_frame *frame;
	const char *why;
	uint32_t slot;
	int64_t old;

	if (page >= pager->pages || !pager->set.page[page].resident)
		return "its policy names a page that is not there";
	slot = pager->page[page].slot;
	if (!slot_there(pager, slot))
		return page_lost(pager, page);
	frame = &pager->frame[slot];
	old = area_write(&pager->area, page, 0, EXO_CAP_NONE, 0);
	if (old < 0)
		return "a page cannot be unmapped";
	if (pager->page[page].written || old & EXO_PTE_DIRTY) {
		why = pager->store->write(pager->store, page, window(pager, slot));
		if (why) {
			pager->page[page].written = 1;
			map_page(pager, page, frame);
			return why;
		}
		pager->writes++;
	}
	policy_dropped(&pager->set, page);
	frame->page = pager->free;
	pager->free = slot;
	return NULL;
}

static const char *evict_one(struct pager *pager, uint32_t wanted)
{
	uint32_t page = pager->set.policy->victim(&pager->set, wanted);

	if (pager->clearing)
		clear_bits(pager);
	return evict(pager, page);
}

static const char *bring(struct pager *pager, uint32_t page)
{
	struct pager_frame *frame;
	struct policy_set *set = &pager->set;
	const char *why = NULL;
	uint32_t slot;

	if (set->page[page].resident)
		why = page_lost(pager, page);
	while (!why && (slot = slot_free(pager)) == NO_SLOT) {
		if (set->resident)
			why = evict_one(pager, page);
		else if (slot_fill(pager))
			set->frames++;
		else
			why = "no frame is left to it";
	}
	if (why)
		return why;
	frame = &pager->frame[slot];
	pager->free = frame->page;
	why = pager->store->read(pager->store, page, window(pager, slot));
	if (!why && map_page(pager, page, frame) < 0)
		why = "a page cannot be mapped";
	if (why) {
		frame->page = pager->free;
		pager->free = slot;
		return why;
	}
	frame->page = page;
	pager->page[page] = (struct pager_page){ .slot = slot };
	pager->reads++;
	policy_loaded(&pager->set, page);
	return NULL;
}

/* --- faults --------------------------------------------------------------------------------------------- */

/* As the thread that faulted: the store may block, and others may come meanwhile. */
static void bring_blocking(void *arg, struct exo_regs *regs)
{
	struct pager *pager = arg;
	uint32_t page = (uint32_t)((regs->address - pager->region.start) / EXO_PAGE_SIZE);
	const char *why = NULL;

	core_stack();
	thread_lock(&pager->mutex, EXO_NEVER);
	if (!pager->set.page[page].resident || !slot_there(pager, pager->page[page].slot))
		why = bring(pager, page);
	thread_unlock(&pager->mutex);
	if (why)
		core_die(regs, why);
}

static const char *pager_fault(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	struct pager *pager = region->arg;
	uint32_t page = (uint32_t)((va - region->start) / EXO_PAGE_SIZE);

	if (present || (access & ~region->flags))
		return "access against the page's rights";
	if (!pager->store->blocks)
		return bring(pager, page);
	if (core_disp->on.address != va)
		return "its store blocks: it cannot be touched here";
	return core_fault_defer(&core_disp->on, bring_blocking, pager) ? NULL : "no stack to ask its store";
}

/* --- the program's side --------------------------------------------------------------------------------- */

static void enter(struct pager *pager)
{
	core_stack();
	if (pager->store->blocks)
		thread_lock(&pager->mutex, EXO_NEVER);
}

static const char *leave(struct pager *pager, const char *why)
{
	if (pager->store->blocks)
		thread_unlock(&pager->mutex);
	return why;
}

static const char *evict_all(struct pager *pager)
{
	const char *why = NULL;

	for (uint32_t page = 0; page < pager->pages && pager->set.resident && !why; page++)
		if (pager->set.page[page].resident)
			why = evict(pager, page);
	return why;
}

const char *pager_sync(struct pager *pager)
{
	const char *why = NULL;

	enter(pager);
	for (uint32_t page = 0; page < pager->pages && !why; page++) {
		if (!pager->set.page[page].resident)
			continue;
		if (!slot_there(pager, pager->page[page].slot)) {
			why = page_lost(pager, page);
			continue;
		}
		if (!page_written(&pager->set, page))
			continue;
		pager->page[page].used |= (pager->area.entry[page] & EXO_PTE_ACCESSED) != 0;
		clear_later(pager, page);
		clear_bits(pager);	/* what is written from now on is for the next time */
		why = pager->store->write(pager->store, page, window(pager, pager->page[page].slot));
		pager->page[page].written = why != NULL;
		pager->writes += !why;
	}
	return leave(pager, why);
}

const char *pager_policy(struct pager *pager, const struct policy *policy)
{
	const char *why;

	enter(pager);
	why = evict_all(pager);
	if (!why)
		policy_start(&pager->set, policy ? policy : policy_default);
	return leave(pager, why);
}

/* --- frames --------------------------------------------------------------------------------------------- */

const char *pager_limit(struct pager *pager, uint32_t frames)
{
	struct policy_set *set = &pager->set;
	const char *why = NULL;

	enter(pager);
	if (frames > pager->slots)
		frames = pager->slots;
	for (; set->frames < frames && slot_fill(pager); set->frames++)
		;
	while (set->frames > frames && set->frames > 1 && !why) {
		if (slot_free(pager) != NO_SLOT) {
			slot_empty(pager);
			set->frames--;
		} else {
			why = evict_one(pager, POLICY_NONE);
		}
	}
	if (!why && set->frames < frames)
		why = "there are no more frames";
	return leave(pager, why);
}

/* Frames are wanted back. */
static uint32_t give_frames(struct revoke_giver *giver, uint32_t what, uint32_t count, exo_time_t by)
{
	struct pager *pager = (struct pager *)((char *)giver - offsetof(struct pager, giver));
	uint32_t frames = pager->set.frames, most = frames > pager->least ? frames - pager->least : 0;

	(void)by;
	if (what != EXO_TYPE_FRAME || !most)
		return 0;
	(void)pager_limit(pager, frames - (count < most ? count : most));
	return frames - pager->set.frames;
}

bool pager_offer(struct pager *pager, int order, uint32_t least)
{
	if (pager->store->blocks || !least || pager->least)
		return false;
	pager->least = least;
	pager->giver = (struct revoke_giver){ .give = give_frames, .order = order };
	revoke_add_giver(&pager->giver);
	return true;
}

/* --- making --------------------------------------------------------------------------------------------- */

/* The tables of a pager, behind region and window. */
static uint32_t table_pages(const struct pager *pager)
{
	uint64_t bytes = (uint64_t)pager->pages * (sizeof(struct policy_page) + sizeof(struct pager_page)) +
		(uint64_t)pager->slots * sizeof(struct pager_frame);

	return (uint32_t)(PAGE_UP(bytes) / EXO_PAGE_SIZE);
}

static void release(struct pager *pager)
{
	while (slot_free(pager) != NO_SLOT)
		slot_empty(pager);
	area_empty(&pager->area, window_page(pager, pager->slots), table_pages(pager));
	area_give(&pager->area);
}

/* All its memory; the area has been taken. */
static bool furnish(struct pager *pager)
{
	struct policy_set *set = &pager->set;
	uint32_t at = window_page(pager, pager->slots);

	if (!area_fill(&pager->area, at, table_pages(pager))) {
		area_give(&pager->area);
		return false;
	}
	set->page = (struct policy_page *)area_page(&pager->area, at);
	pager->page = (struct pager_page *)(set->page + pager->pages);
	pager->frame = (struct pager_frame *)(pager->page + pager->pages);
	pager->free = NO_SLOT;
	pager->empty = 0;
	for (uint32_t i = 0; i < pager->slots; i++)
		pager->frame[i].page = i + 1;
	while (set->frames < pager->slots && slot_fill(pager))
		set->frames++;
	if (set->frames == pager->slots)
		return true;
	release(pager);
	return false;
}

bool pager_make(struct pager *pager)
{
	struct policy_set *set = &pager->set;

	core_stack();
	pager->slots = pager->frames < pager->pages ? pager->frames : pager->pages;
	pager->clearing = pager->least = 0;
	pager->reads = pager->writes = 0;
	pager->mutex = (struct thread_mutex){ 0 };
	if (!pager->slots || pager->pages >= POLICY_NONE / 2 || !pager->store ||
	    !area_take(&pager->area, window_page(pager, pager->slots) + table_pages(pager)))
		return false;
	*set = (struct policy_set){ .pages = pager->pages, .arg = pager->arg, .used = page_used,
		.written = page_written };
	if (!furnish(pager))
		return false;
	policy_start(set, pager->policy ? pager->policy : policy_default);
	pager->region = (struct vm_region){ .start = pager->area.va,
		.end = area_page(&pager->area, pager->pages), .pager = pager_fault, .arg = pager,
		.flags = pager->flags ? pager->flags : EXO_MAP_READ | EXO_MAP_WRITE };
	if (vm_add(&pager->region))
		return true;
	release(pager);
	return false;
}

const char *pager_drop(struct pager *pager)
{
	const char *why;

	enter(pager);
	why = evict_all(pager);
	if (!why) {
		if (pager->least)
			revoke_remove_giver(&pager->giver);
		vm_remove(&pager->region);
		release(pager);
	}
	return leave(pager, why);
}
