/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces of page numbers, made the same way everywhere, and what they cost: under a policy of libos/vm with
 * the accessed bits of an imagined processor, and at best, whoever chooses (Belady's optimum, which knows the
 * future).
 *
 * Traces are like those of programs that do worse under another policy than under their own:
 *   scan    a table larger than memory, scanned over and over; for each of its pages two keys are looked up
 *           in an index (its root, and a leaf by chance) that is small and always in use
 *   phases  nine of ten accesses go to a tenth of the pages, and which tenth that is changes now and then
 *   mixed   the same, changing less often, with a scan of many pages between
 */
#ifndef TEST_LIB_PAGES_H
#define TEST_LIB_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "libos/vm/policy.h"
#include "test/lib/random.h"

#define TRACE_PAGES	640
#define TRACE_COUNT	24000

struct trace {
	const char *name;
	uint32_t pages, frames, count;
	uint16_t page[TRACE_COUNT];
};

static uint64_t trace_seed;

static inline uint32_t trace_below(uint32_t n)
{
	return (uint32_t)((random_next(&trace_seed) >> 32) % n);
}

static inline void trace_add(struct trace *trace, uint32_t page)
{
	if (trace->count < TRACE_COUNT)
		trace->page[trace->count++] = (uint16_t)page;
}

/* Pages 0 to 23: the index, 0 its root; 24 to 343: the table. */
static __attribute__((unused)) void trace_scan(struct trace *trace)
{
	*trace = (struct trace){ .name = "scan", .pages = 344, .frames = 256 };
	trace_seed = 1;
	for (uint32_t round = 0; round < 15; round++)
		for (uint32_t page = 24; page < 344; page++) {
			trace_add(trace, page);
			for (int key = 0; key < 2; key++) {
				trace_add(trace, 0);
				trace_add(trace, 1 + trace_below(23));
			}
		}
}

static inline uint32_t trace_hot(uint32_t pages, uint32_t hot)
{
	return trace_below(10) ? hot + trace_below(pages / 10) : trace_below(pages);
}

static __attribute__((unused)) void trace_phases(struct trace *trace)
{
	*trace = (struct trace){ .name = "phases", .pages = 640, .frames = 100 };
	trace_seed = 2;
	for (uint32_t i = 0; i < TRACE_COUNT; i++)
		trace_add(trace, trace_hot(640, i / (TRACE_COUNT / 8) * 64));
}

static __attribute__((unused)) void trace_mixed(struct trace *trace)
{
	*trace = (struct trace){ .name = "mixed", .pages = 640, .frames = 100 };
	trace_seed = 3;
	for (uint32_t round = 0; round < 20; round++) {
		uint32_t hot = round / 5 * 128;
		for (uint32_t i = 0; i < 600; i++)
			trace_add(trace, trace_hot(640, hot));
		for (uint32_t i = 0; i < 300; i++) {
			trace_add(trace, (round * 300 + i) % 640);
			trace_add(trace, hot + trace_below(64));
		}
	}
}

/* --- at best -------------------------------------------------------------------------------------------- */

/*
 * The faults of the policy that drops the page which is not wanted for the longest time; none has fewer
 * (Belady 1966). Straight from that sentence: at each fault without a free frame, look at all resident pages
 * for the one whose next use is the furthest.
 */
static __attribute__((unused)) uint32_t trace_belady(const struct trace *trace)
{
	static uint32_t next_use[TRACE_COUNT], next_of[TRACE_PAGES];
	static bool resident[TRACE_PAGES];
	uint32_t faults = 0, used = 0;

	for (uint32_t p = 0; p < trace->pages; p++)
		next_of[p] = TRACE_COUNT, resident[p] = false;
	for (uint32_t i = trace->count; i-- > 0;) {
		next_use[i] = next_of[trace->page[i]];
		next_of[trace->page[i]] = i;
	}
	/* From here on next_of[p] is the next use of p after the step that is looked at. */
	for (uint32_t i = 0; i < trace->count; i++) {
		uint32_t page = trace->page[i], victim = POLICY_NONE;
		next_of[page] = next_use[i];
		if (resident[page])
			continue;
		faults++;
		for (uint32_t p = 0; used == trace->frames && p < trace->pages; p++)
			if (resident[p] && (victim == POLICY_NONE || next_of[p] > next_of[victim]))
				victim = p;
		if (victim != POLICY_NONE)
			resident[victim] = false;
		else
			used++;
		resident[page] = true;
	}
	return faults;
}

/* --- under a policy ------------------------------------------------------------------------------------- */

static bool trace_accessed[TRACE_PAGES];
static void *trace_arg;	/* for a policy of the test's own */

static bool trace_used(struct policy_set *set, uint32_t page)
{
	bool was = trace_accessed[page];

	(void)set;
	trace_accessed[page] = false;
	return was;
}

static bool trace_written(const struct policy_set *set, uint32_t page)
{
	(void)set, (void)page;
	return false;
}

/* `went`, if there is one, gets the pages that went, in order. */
static __attribute__((unused)) uint32_t trace_faults(
    const struct trace *trace, const struct policy *policy, uint16_t *went)
{
	static struct policy_page page[TRACE_PAGES];
	struct policy_set set = { .pages = trace->pages, .frames = trace->frames, .page = page, .used =
	    trace_used,
		.written = trace_written, .arg = trace_arg };
	uint32_t faults = 0, victim;

	policy_start(&set, policy);
	for (uint32_t i = 0; i < trace->count; i++) {
		uint32_t wanted = trace->page[i];
		if (!page[wanted].resident) {
			faults++;
			if (set.resident == set.frames) {
				victim = policy->victim(&set, wanted);
				if (victim >= set.pages || !page[victim].resident)
					return 0;
				policy_dropped(&set, victim);
				if (went)
					*went++ = (uint16_t)victim;
			}
			policy_loaded(&set, wanted);
		}
		trace_accessed[wanted] = true;
	}
	return faults;
}

#endif
