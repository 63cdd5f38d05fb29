/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copy-on-write: a region of 1,000 pages cloned, its pages written by one who shares them and by one who is
 * alone. Both sides live in this program, in two regions: the figures are the same between two environments,
 * where the twin's part, mapping all pages, is done by the twin.
 */
#include "apps/bench/bench.h"
#include "libos/core/spawn.h"
#include "libos/vm/cow.h"

#define PAGES	1000
#define FAULTS	480	/* a multiple of what one call takes */

static struct cow heap, twin;
static union {
	struct cow_ticket ticket;
	uint8_t bytes[sizeof(struct cow_ticket) + PAGES * sizeof(uint32_t)];
} paper;

static volatile uint64_t *word(struct cow *cow, uint32_t page)
{
	return (volatile uint64_t *)area_page(&cow->area, page);
}

/* Instructions of a write to each of `count` pages, but for the write. */
static uint64_t writes(struct cow *cow, uint32_t first, uint32_t count)
{
	uint64_t began = bench_count();

	for (uint32_t i = first; i < first + count; i++)
		*word(cow, i) = i;
	return (bench_count() - began) / count;
}

void bench_cow(void)
{
	struct cow_twin records;
	uint32_t slot;

	bench_need(cow_make(&heap, PAGES) && cow_reserve(&heap, PAGES), "a region of 1,000 pages");
	(void)writes(&heap, 0, PAGES);
	slot = caps_slot();
	while (caps_at(slot)->type != EXO_TYPE_NONE)
		slot++;
	uint64_t began = bench_count();
	int64_t error = cow_clone(&heap, EXO_CAP_NONE, slot, &paper.ticket, &records);
	uint64_t cloned = bench_count();
	bool adopted = cow_adopt(&twin, &paper.ticket);
	uint64_t ended = bench_count();
	bench_need(!error && adopted && heap.runs == 1, "a clone");
	bench_report("cow_clone_1000", ended - began);
	bench_report("cow_split_1000", cloned - began);

	bench_need(cow_reserve(&heap, FAULTS), "frames for copies");
	bench_report("cow_fault", writes(&heap, 0, FAULTS));
	bench_need(heap.copied == FAULTS, "all were copied");
	bench_report("cow_fault_alone", writes(&twin, 0, FAULTS));
	bench_need(twin.again == FAULTS, "none was copied");
	cow_drop(&twin);
	cow_twin_gone(&records);
	cow_drop(&heap);
}
