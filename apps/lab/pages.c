/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page replacement: programs with fewer frames than pages, and what each policy makes of it.
 *
 * The programs (work.h) run in a region of memory that this program pages itself (libos/vm/pager.h). When
 * one touches a page that has no frame, the processor's page fault comes straight here, and the policy
 * names the page that makes room. Nothing of that is in the kernel: policies are functions of this program.
 *
 * Each program runs once for each policy and number of frames: faults are real ones. It has run before with
 * two frames, which leaves out nothing but what follows itself, to record the pages that it wants. With
 * that trace, and the future in it, Belady's choice (the page that is wanted last) is computed: no policy
 * has fewer faults.
 *
 * Arguments: names of programs (all), numbers of frames (8 to 48).
 */
#pragma GCC target("general-regs-only")	/* policies run in page faults, where the FPU is the faulter's */
#include <inttypes.h>
#include "libos/vm/pager.h"
#include "work.h"

#define LAB_TYPE struct policy
#include "lab.h"

#define TRACE_MAX	400000

static struct pager_memory memory;
static struct pager pager;
static uint8_t trace[TRACE_MAX];
static uint32_t trace_count;

/* --- what a policy says, believed only if it can be ----------------------------------------------------- */

static const struct policy *asked;
static uint32_t wrong, wrong_page;

static uint32_t checked_victim(struct policy_set *set, uint32_t wanted)
{
	uint32_t page = asked->victim(set, wanted);

	if (page < set->pages && set->page[page].resident)
		return page;
	if (!wrong++)
		wrong_page = page;
	for (page = 0; !set->page[page].resident; page++)
		;
	return page;
}

static void checked_loaded(struct policy_set *set, uint32_t page)
{
	if (trace_count < TRACE_MAX)
		trace[trace_count++] = (uint8_t)page;
	if (asked->loaded)
		asked->loaded(set, page);
	else
		policy_append(set, 0, page);
}

static void checked_dropped(struct policy_set *set, uint32_t page)
{
	if (asked->dropped)
		asked->dropped(set, page);
	else
		policy_remove(set, page);
}

static const struct policy checked = { "checked", checked_victim, checked_loaded, checked_dropped };

/* --- running -------------------------------------------------------------------------------------------- */

/* Run a program in so many frames; pager and trace say how it went. Its sum; 0: there is no memory. */
static uint64_t run(const struct work *work, uint32_t frames, const struct policy *policy, uint64_t *ns)
{
	uint64_t sum = 0;

	asked = policy;
	trace_count = 0;
	work_seed = 88172645463325252;
	pager = (struct pager){ .pages = WORK_PAGES, .frames = frames, .store = &memory.store,
		.policy = &checked };
	if (!pager_memory_make(&memory, WORK_PAGES) || !pager_make(&pager))
		return 0;
	*ns = core_now();
	sum = work->run((void *)pager.region.start);
	*ns = core_now() - *ns;
	if (pager_drop(&pager))
		return 0;
	pager_memory_drop(&memory);
	return sum;
}

/* The fewest faults with which the trace can be served. */
static uint32_t belady(uint32_t frames)
{
	static uint32_t next_use[TRACE_MAX];
	uint32_t next[WORK_PAGES], faults = 0, used = 0;
	bool resident[WORK_PAGES] = { false };

	for (uint32_t p = 0; p < WORK_PAGES; p++)
		next[p] = UINT32_MAX;
	for (uint32_t i = trace_count; i-- > 0; next[trace[i]] = i)
		next_use[i] = next[trace[i]];
	for (uint32_t i = 0; i < trace_count; i++) {
		uint32_t page = trace[i], last = WORK_PAGES;
		next[page] = next_use[i];
		if (resident[page])
			continue;
		faults++;
		for (uint32_t p = 0; used == frames && p < WORK_PAGES; p++)
			if (resident[p] && (last == WORK_PAGES || next[p] > next[last]))
				last = p;
		if (last < WORK_PAGES)
			resident[last] = false;
		else
			used++;
		resident[page] = true;
	}
	return faults;
}

static bool measure(const struct work *work, const uint32_t *frames)
{
	uint64_t ns, right = run(work, 2, &policy_fifo, &ns);

	for (const uint32_t *f = frames; *f; f++)
		lab_row("%s,optimal,%u,%u,,", work->name, *f, belady(*f));
	for (unsigned c = 0; c < LAB_CHOICES; c++) {
		wrong = 0;
		for (const uint32_t *f = frames; *f; f++) {
			if (run(work, *f, lab_choice[c].policy, &ns) != right || !right) {
				printf("%s: a page does not hold what was written to it\n", work->name);
				return false;
			}
			lab_row("%s,%s,%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64, work->name, lab_choice[c].name,
			    *f, pager.region.faults, pager.writes, ns);
		}
		if (wrong)
			lab_wrong(lab_choice[c].name, "%s: victim() named pages that are not resident, %u times, "
			    "the first time %" PRId32 "; another page was taken", work->name, wrong,
			    (int32_t)wrong_page);
	}
	return true;
}

int main(int argc, char **argv)
{
	uint32_t frames[32] = { 8, 16, 24, 32, 40, 48 }, given = 0;
	bool chosen[WORKS] = { false }, all = true, good = true;

	for (int i = 1; i < argc; i++) {
		char *end;
		uint32_t number = (uint32_t)strtoul(argv[i], &end, 10);
		bool known = number >= 4 && number <= WORK_PAGES && given < 31 && !*end;
		for (unsigned w = 0; w < WORKS; w++)
			if (!strcmp(argv[i], work_all[w].name))
				known = chosen[w] = true, all = false;
		if (!known) {
			printf("pages: '%s' is neither sort, join, nested, lists nor a number of frames from 4 "
			    "to %d\n", argv[i], WORK_PAGES);
			return 2;
		}
		if (number)
			frames[given++] = number, frames[given] = 0;
	}
	lab_columns("program,policy,frames,faults,written,instructions");
	for (unsigned w = 0; w < WORKS && good; w++)
		if (all || chosen[w])
			good = measure(&work_all[w], frames);
	return !good;
}
