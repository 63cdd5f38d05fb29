/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that ask the keeper all the time get their turns: none waits much longer than the others' slices, each has
 * its share, and together they get as much done as one alone.
 *
 * Run with: --icount
 */
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include "test/guest/posix_keeper.h"

#define MOST	3
#define SLICES	40		/* for which they work */
#define ROOM	8192

static struct count {
	unsigned long rounds;
	exo_time_t longest;	/* that one of them took */
} *counts;

static void work(volatile struct count *count, exo_time_t from, exo_time_t to)
{
	char bytes[64] = "";
	int ends[2];

	if (pipe(ends))
		_exit(1);
	while (core_now() < from)
		sched_yield();
	for (exo_time_t before = core_now(), now; before < to; before = now) {
		if (write(ends[1], bytes, sizeof(bytes)) != sizeof(bytes) ||
		    read(ends[0], bytes, sizeof(bytes)) != sizeof(bytes))
			_exit(2);
		now = core_now();
		count->rounds++;
		if (now - before > count->longest)
			count->longest = now - before;
	}
	_exit(0);
}

/* So many at once: how many rounds they make together. */
static unsigned long all_work(unsigned many)
{
	exo_time_t slice = core_info->slice_ns, from = core_now() + 4 * slice, longest = 0;
	unsigned long sum = 0, least = ~0ul;
	bool good = true;

	memset(counts, 0, MOST * sizeof(*counts));
	fflush(stdout);
	for (unsigned i = 0; i < many; i++)
		if (fork() == 0)
			work(&counts[i], from, from + SLICES * slice);
	for (int status; wait(&status) > 0;)
		good &= status == 0;
	for (unsigned i = 0; i < many; i++) {
		sum += counts[i].rounds;
		if (counts[i].rounds < least)
			least = counts[i].rounds;
		if (counts[i].longest > longest)
			longest = counts[i].longest;
	}
	ok(good && longest < (many + 2) * slice, "%u at once: none waits longer than %lu us", many, longest / 1000);
	ok(least * many * 10 > sum * 7, "... and each has its share: %lu rounds of %lu at least", least, sum);
	return sum;
}

int main(void)
{
	unsigned long alone;

	counts = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		return 1;
	alone = all_work(1);
	for (unsigned many = 2; many <= MOST; many++)
		ok(all_work(many) * 100 > alone * 98, "... all that one alone can do");
	ok(in_order(), "the keeper is in order at the end");
	return tap_done();
}
