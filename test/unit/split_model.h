/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The naive model of test/unit/split_random.c, and what must hold between it and the kernel after each call.
 *
 * It keeps what each capability covers, as a set of frames, and what each page maps, through which. It has no records, rings or
 * counts: who holds a frame is found by asking all.
 */
#ifndef TEST_UNIT_SPLIT_MODEL_H
#define TEST_UNIT_SPLIT_MODEL_H

#include <string.h>
#include "exo/spaces.h"
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define R	EXO_MAP_READ
#define W	EXO_MAP_WRITE
#define X	EXO_MAP_EXEC
#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)

#define SLOTS		10	/* of each environment, from SLOT_FREE on */
#define CAPS		(WORLD_ENVS * SLOTS)
#define RECORDS		40	/* slot with frames for records */
#define PAGES		24	/* of each environment */
#define FRAMES		2048
#define NOBODY		(-1)

struct cap {
	bool there, split;
	exo_pfn_t first;
	uint32_t count;
	uint32_t held;		/* a bit a frame */
	unsigned rights;
	int parent;
};

struct page {
	exo_pfn_t pfn;		/* 0: not mapped */
	unsigned flags, may;
	int through;
	bool used;		/* accessed: a TLB may have it */
};

static struct cap caps[CAPS];
static struct page pages[WORLD_ENVS][PAGES];
static uint64_t tlb[2][WORLD_ENVS][PAGES];
static bool left[FRAMES], pinned[FRAMES];

/* --- the model ------------------------------------------------------------------------------------------ */

static unsigned env_of(int c)
{
	return (unsigned)c / SLOTS;
}

static uint32_t slot_of(int c)
{
	return SLOT_FREE + (uint32_t)c % SLOTS;
}

static exo_cap_t handle_of(int c)
{
	return world_handle(env_of(c), slot_of(c));
}

static bool covers(int c, exo_pfn_t pfn)
{
	return caps[c].there && pfn - caps[c].first < caps[c].count &&
	    (caps[c].held >> (pfn - caps[c].first) & 1);
}

static bool covers_all(int c, exo_pfn_t pfn, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (!covers(c, pfn + i))
			return false;
	return true;
}

static unsigned holds(exo_pfn_t pfn)
{
	unsigned n = 0;
	int c;

	for (c = 0; c < CAPS; c++)
		n += covers(c, pfn);
	return n;
}

static unsigned maps(exo_pfn_t pfn)
{
	unsigned n = 0, e, i;

	for (e = 0; e < WORLD_ENVS; e++)
		for (i = 0; i < PAGES; i++)
			n += pages[e][i].pfn == pfn;
	return n;
}

static bool is_above(int c, int above)
{
	for (; c != NOBODY; c = caps[c].parent)
		if (c == above)
			return true;
	return false;
}

static bool has_child(int c)
{
	int i;

	for (i = 0; i < CAPS; i++)
		if (caps[i].there && caps[i].parent == c)
			return true;
	return false;
}

/* Does nobody else hold it, and perhaps map it, but for one page? */
static bool alone(int c, exo_pfn_t pfn, const struct page *but)
{
	int i;

	for (i = 0; i < CAPS; i++)
		if (covers(i, pfn) && !is_above(c, i))
			return false;
	if (pinned[pfn])
		return false;
	return covers(c, pfn) && (!left[pfn] || maps(pfn) == (but && but->pfn == pfn));
}

/* Frames that nothing maps any more were not left by anybody. */
static void settle(void)
{
	exo_pfn_t pfn;

	for (pfn = 0; pfn < FRAMES; pfn++)
		left[pfn] = left[pfn] && maps(pfn);
}

static void forget(int c)
{
	unsigned e, i;
	int child;

	for (e = 0; e < WORLD_ENVS; e++)
		for (i = 0; i < PAGES; i++)
			if (pages[e][i].pfn && pages[e][i].through == c)
				pages[e][i] = (struct page){ 0 };
	for (child = 0; child < CAPS; child++)
		if (caps[child].there && caps[child].parent == c)
			caps[child].parent = caps[c].parent;
	caps[c] = (struct cap){ 0 };
}

/* --- what must hold ------------------------------------------------------------------------------------- */

static uint64_t *entry_of(unsigned e, unsigned page)
{
	return space_walk(world.env[e]->root, WORLD_VA + page * 4096ULL, 1);
}

static const char *check_cap_of(int c)
{
	const struct exo_cap *cap = cap_slot(world.env[env_of(c)], slot_of(c));
	uint32_t i;

	if (!caps[c].there)
		return cap->type ? "a capability that should be gone" : NULL;
	if (cap->type != EXO_TYPE_FRAME || cap->first != caps[c].first || cap->count != caps[c].count ||
	    cap->rights != caps[c].rights)
		return "a capability is another";
	if (cap_is_split(cap) != caps[c].split)
		return "split or not";
	for (i = 0; i < caps[c].count; i++)
		if (split_holds(cap, caps[c].first + i, 1) != (caps[c].held >> i & 1))
			return "it holds other frames";
	return NULL;
}

static const char *check_page(unsigned e, unsigned i)
{
	const struct page *page = &pages[e][i];
	uint64_t entry = *entry_of(e, i);

	if (!page->pfn)
		return entry ? "a page is mapped" : NULL;
	if (entry_frame(entry) != page->pfn)
		return "a page maps another frame, or none";
	if (!(entry & EXO_PTE_WRITE) != !(page->flags & W) || !(entry & EXO_PTE_NX) != !!(page->flags & X))
		return "a page has other rights";
	return !(entry & EXO_PTE_MAY_WRITE) != !(page->may & W) ? "a page may get other rights" : NULL;
}

/* The promise: what is written through one sibling, no other one holds or maps. */
static const char *check_promise(unsigned e, unsigned i)
{
	const struct page *page = &pages[e][i], *other;
	unsigned f, j;
	int c;

	if (!page->pfn || !(page->may & W) || !caps[page->through].split)
		return NULL;
	for (c = 0; c < CAPS; c++)
		if (covers(c, page->pfn) && caps[c].split && c != page->through)
			return "one writes what another one holds";
	for (f = 0; f < WORLD_ENVS; f++)
		for (j = 0; j < PAGES; j++) {
			other = &pages[f][j];
			if (other->pfn == page->pfn && other->through != page->through &&
			    !is_above(page->through, other->through))
				return "one writes what another one maps";
		}
	return NULL;
}

static const char *check_frame_of(exo_pfn_t pfn)
{
	const struct frame *frame = &frame_table[pfn];
	bool kept = holds(pfn) || maps(pfn) || pinned[pfn];

	if (info_frame[pfn].state != EXO_FRAME_OWNED && info_frame[pfn].state != EXO_FRAME_FREE)
		return NULL;
	if (info_frame[pfn].state == EXO_FRAME_FREE)
		return kept ? "a frame is free too early" : NULL;
	if (!kept && frame->account && !info_frame[pfn].holds)
		return "a frame is not free";
	if (kept && (info_frame[pfn].holds != holds(pfn) || (frame->maps & ~FRAME_LEFT) != maps(pfn)))
		return "a frame's counts";
	return kept && !(frame->maps & FRAME_LEFT) != !left[pfn] ? "whether a frame was left" : NULL;
}

static const char *check_tlbs(void)
{
	unsigned c, e, i;

	for (c = 0; c < 2; c++)
		for (e = 0; e < WORLD_ENVS; e++)
			for (i = 0; i < PAGES; i++)
				if (tlb[c][e][i] && null.cpus[c].space == world.env[e]->root &&
				    (tlb[c][e][i] ^ *entry_of(e, i)) & (EXO_PTE_FRAME | PTE_RIGHTS))
					return "a TLB has an old entry";
	return NULL;
}

static const char *check(void)
{
	const char *what = NULL;
	exo_pfn_t pfn;
	unsigned e, i;
	int c;

	for (c = 0; c < CAPS && !what; c++)
		what = check_cap_of(c);
	for (e = 0; e < WORLD_ENVS; e++)
		for (i = 0; i < PAGES && !what; i++) {
			what = check_page(e, i);
			if (!what)
				what = check_promise(e, i);
		}
	for (pfn = 1; pfn < info->frames_total && !what; pfn++)
		what = check_frame_of(pfn);
	return what ? what : check_tlbs();
}

#endif
