/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames by colour, that is, by number: what is asked for is what comes, all of it can be had, a pager runs
 * on it, and nothing is left behind.
 */
#include <stdlib.h>
#include <string.h>
#include "libos/core/spawn.h"
#include "libos/vm/colour.h"
#include "libos/vm/pager.h"
#include "test/guest/tap.h"

#define RUNS	300

static struct colour_run run[2][RUNS];
static struct colour_set set[2] = {
	{ .colours = 16, .first = 3, .width = 2, .run = run[0], .runs = RUNS },
	{ .colours = 16, .first = 8, .width = 8, .run = run[1], .runs = RUNS },
};
static struct frame taken[2][RUNS];

static uint32_t count_free(uint32_t colours, uint32_t colour)
{
	uint32_t count = 0;

	for (uint32_t pfn = colour; pfn < core_info->frames_total; pfn += colours)
		count += info_frame(pfn)->state == EXO_FRAME_FREE;
	return count;
}

static void some(void)
{
	bool good = true, apart = true, back[100];

	for (int s = 0; s < 2; s++)
		for (int i = 0; i < 100; i++) {
			good = good && colour_take(&set[s], &taken[s][i]);
			uint32_t colour = taken[s][i].pfn % 16;
			good = good && colour >= set[s].first && colour < set[s].first + set[s].width &&
			       info_frame(taken[s][i].pfn)->state == EXO_FRAME_OWNED;
			for (int k = 0; k < i; k++)
				apart = apart && taken[s][k].pfn != taken[s][i].pfn;
		}
	ok(good, "a hundred frames each of two of 16 colours, and of eight others");
	ok(apart && set[0].frames == 100, "no frame twice");
	for (int i = 0; i < 100; i++)
		colour_give(&set[0], &taken[0][i]);
	for (int i = 0; i < 100; i++)
		good = good && info_frame(taken[0][i].pfn)->state == EXO_FRAME_FREE;
	ok(good && !set[0].frames, "given back, they are free");
	/* A run goes back when the last one of it does: each of these leaves its neighbour. */
	for (int i = 0; i < 100; i += 2)
		if ((back[i] = taken[1][i].cap == taken[1][i + 1].cap))
			colour_give(&set[1], &taken[1][i]);
	good = set[1].frames < 80;
	for (int i = 0; i < 100; i += 2)
		if (back[i])
			good = good && colour_take(&set[1], &taken[1][i]) && taken[1][i].dirty;
	ok(good && set[1].frames == 100, "what is given back singly is used again, and known to be used");
	for (int i = 0; i < 100; i++)
		colour_give(&set[1], &taken[1][i]);
}

static void all(void)
{
	struct colour_set one = { .colours = 256, .first = 77, .width = 1, .run = run[0], .runs = RUNS };
	uint32_t there = count_free(256, 77), count = 0;

	memset(run, 0, sizeof(run));
	/* The tables that this needs may themselves take a frame of the colour. */
	while (colour_take(&one, &taken[0][count]))
		count++;
	ok(count + 1 >= there && count_free(256, 77) == 0, "all %u frames of one of 256 colours (%u)", there,
	    count);
	while (count)
		colour_give(&one, &taken[0][--count]);
	ok(count_free(256, 77) + 1 >= there && !one.frames, "and back");
	one.width = 200;
	ok(!colour_take(&one, &taken[0][0]), "a width beyond the colours is refused");
}

static void pages(void)
{
	static struct pager_memory memory;
	static struct pager pager;
	bool good = true;

	memset(run, 0, sizeof(run));
	set[0].at = 0;
	ok(pager_memory_make(&memory, 200), "a store");
	pager = (struct pager){ .pages = 200, .frames = 60, .store = &memory.store, .policy = &policy_clock,
		.take = colour_take, .give = colour_give, .frame_arg = &set[0] };
	ok(pager_make(&pager) && set[0].frames == 60, "a paged region in 60 frames of two colours");
	volatile uint64_t *words = (volatile uint64_t *)pager.region.start;
	for (uint64_t round = 0; round < 2; round++)
		for (uint32_t page = 0; page < 200; page++) {
			good = good && words[page * 512] == (round ? page + 1 : 0);
			words[page * 512] = page + 1;
			uint32_t colour = (pager.area.entry[page] & EXO_PTE_FRAME) / EXO_PAGE_SIZE % 16;
			good = good && (colour == 3 || colour == 4);
		}
	ok(good && pager.region.faults >= 400,
	    "each page that is there is in one of them, and holds what it should");
	ok(pager_limit(&pager, 10) == NULL && set[0].frames == 10, "50 go back");
	ok(pager_drop(&pager) == NULL && set[0].frames == 0, "and all");
	pager_memory_drop(&memory);
}

int main(void)
{
	uint32_t free = 0;

	for (int round = 0; round < 3; round++) {
		if (round == 2)
			free = core_info->frames_free + frame_held();
		some();
		all();
		pages();
	}
	ok(core_info->frames_free + frame_held() == free, "nothing is left behind");
	return tap_done();
}
