/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page replacement policies against naive models that keep their pages in plain arrays and move them about;
 * Belady's optimum against all ways there are, on small traces; and what each policy costs on the traces of
 * the guest test.
 */
#include <stdlib.h>
#include "test/lib/pages.h"
#include "test/unit/tap.h"

#define MODEL_MAX	64

/* --- models: a queue is an array, oldest first ---------------------------------------------------------- */

struct queue {
	uint32_t count;
	uint16_t page[MODEL_MAX];
};

static int queue_find(const struct queue *queue, uint32_t page)
{
	for (uint32_t i = 0; i < queue->count; i++)
		if (queue->page[i] == page)
			return (int)i;
	return -1;
}

static uint32_t queue_cut(struct queue *queue, uint32_t at)
{
	uint32_t page = queue->page[at];

	for (uint32_t i = at + 1; i < queue->count; i++)
		queue->page[i - 1] = queue->page[i];
	queue->count--;
	return page;
}

static void queue_add(struct queue *queue, uint32_t page)
{
	queue->page[queue->count++] = (uint16_t)page;
}

static bool model_used[TRACE_PAGES];

static uint32_t queue_chance(struct queue *queue)
{
	for (uint32_t left = queue->count; left && model_used[queue->page[0]]; left--) {
		model_used[queue->page[0]] = false;
		queue_add(queue, queue_cut(queue, 0));
	}
	return queue_cut(queue, 0);
}

enum model { FIFO, MRU, CLOCK, TWOQ, LRU };

/* The page that goes, which is out of all queues but, for 2Q, that of those gone. */
static uint32_t model_victim(enum model model, struct queue q[3], uint32_t frames, uint32_t wanted)
{
	uint32_t page;
	int at;

	if (model == FIFO)
		return queue_cut(&q[0], 0);
	if (model == MRU)
		return queue_cut(&q[0], q[0].count - 1);
	if (model == CLOCK)
		return queue_chance(&q[0]);
	if (model == LRU) {
		struct queue old = q[0];
		for (uint32_t i = 0; i < old.count; i++)
			if (model_used[old.page[i]])
				queue_add(&q[0], queue_cut(&q[0], (uint32_t)queue_find(&q[0], old.page[i])));
		for (uint32_t i = 0; i < old.count; i++)
			model_used[old.page[i]] = false;
		return queue_cut(&q[0], 0);
	}
	at = queue_find(&q[1], wanted);
	if (at >= 0)
		queue_add(&q[1], queue_cut(&q[1], (uint32_t)at));
	if (q[0].count <= frames / 4 && q[2].count)
		return queue_chance(&q[2]);
	page = queue_cut(&q[0], 0);
	queue_add(&q[1], page);
	if (q[1].count > frames / 2)
		queue_cut(&q[1], 0);
	return page;
}

/* Faults of a model, and the pages that went. */
static uint32_t model_faults(enum model model, const struct trace *trace, uint16_t *went)
{
	struct queue q[3] = { 0 };
	uint32_t faults = 0;

	for (uint32_t i = 0; i < trace->count; i++) {
		uint32_t wanted = trace->page[i], list = 0;
		if (queue_find(&q[0], wanted) < 0 && queue_find(&q[2], wanted) < 0) {
			faults++;
			if (q[0].count + q[2].count == trace->frames)
				*went++ = (uint16_t)model_victim(model, q, trace->frames, wanted);
			int again = queue_find(&q[1], wanted);
			if (again >= 0) {
				queue_cut(&q[1], (uint32_t)again);
				list = 2;
			}
			queue_add(&q[list], wanted);
		}
		model_used[wanted] = true;
	}
	return faults;
}

static struct trace trace;

static void random_trace(uint32_t pages, uint32_t frames, uint32_t count)
{
	trace = (struct trace){ .name = "random", .pages = pages, .frames = frames };
	for (uint32_t at = 0, i = 0; i < count; i++) {
		/* Runs, repetitions and jumps. */
		at = trace_below(3) ? (at + 1) % pages : trace_below(2) ? at : trace_below(pages);
		trace_add(&trace, at);
	}
}

static bool agrees(const struct policy *policy, enum model model)
{
	static uint16_t went[TRACE_COUNT], model_went[TRACE_COUNT];
	uint32_t faults, model_count;

	memset(trace_accessed, 0, sizeof(trace_accessed));
	memset(model_used, 0, sizeof(model_used));
	memset(went, 0xff, sizeof(went));
	memset(model_went, 0xff, sizeof(model_went));
	faults = trace_faults(&trace, policy, went);
	model_count = model_faults(model, &trace, model_went);
	return faults == model_count && !memcmp(went, model_went, sizeof(went));
}

static void models(void)
{
	static const struct policy *const policy[] = { &policy_fifo, &policy_mru, &policy_clock, &policy_2q, &policy_lru };
	bool same[5] = { true, true, true, true, true }, told_apart = true;

	trace_seed = 42;
	for (int round = 0; round < 400; round++) {
		uint32_t pages = 2 + trace_below(40), frames = 1 + trace_below(24);
		random_trace(pages, frames, 1500);
		for (int i = 0; i < 5; i++)
			same[i] = same[i] && agrees(policy[i], (enum model)i);
		if (round > 100 && pages > frames + 4 && frames > 4)
			told_apart = told_apart && !agrees(&policy_clock, FIFO);
	}
	for (int i = 0; i < 5; i++)
		ok(same[i], "%s drops the pages that its model drops, in 400 traces", policy[i]->name);
	ok(told_apart, "and a model of another policy is told apart");
}

/* --- the optimum ---------------------------------------------------------------------------------------- */

/* The fewest faults from step `i` on with these resident (a set of bits): every choice is tried. */
static uint32_t fewest(uint32_t i, uint32_t resident)
{
	uint32_t bit, best = ~0u;

	while (i < trace.count && resident >> trace.page[i] & 1)
		i++;
	if (i == trace.count)
		return 0;
	bit = 1u << trace.page[i];
	if ((uint32_t)__builtin_popcount(resident) < trace.frames)
		return 1 + fewest(i + 1, resident | bit);
	for (uint32_t left = resident; left; left &= left - 1) {
		uint32_t faults = fewest(i + 1, (resident & ~(left & -left)) | bit);
		if (faults < best)
			best = faults;
	}
	return 1 + best;
}

static void optimum(void)
{
	bool best = true, bound = true;

	trace_seed = 7;
	for (int round = 0; round < 300; round++) {
		uint32_t frames = 1 + trace_below(3);
		random_trace(frames + 1 + trace_below(4), frames, 18);
		uint32_t belady = trace_belady(&trace);
		best = best && belady == fewest(0, 0);
		bound = bound && belady <= trace_faults(&trace, &policy_2q, NULL) &&
			belady <= trace_faults(&trace, &policy_clock, NULL);
	}
	ok(best, "Belady's rule has the fewest faults of all ways, in 300 small traces");
	ok(bound, "no policy has fewer");
}

/* --- the traces ----------------------------------------------------------------------------------------- */

static uint32_t cost(const struct policy *policy)
{
	memset(trace_accessed, 0, sizeof(trace_accessed));
	return trace_faults(&trace, policy, NULL);
}

static void traces(void)
{
	void (*const make[])(struct trace *) = { trace_scan, trace_phases, trace_mixed };

	printf("# faults      best    lru   fifo    mru     2q\n");
	for (int i = 0; i < 3; i++) {
		make[i](&trace);
		uint32_t best = trace_belady(&trace), lru = cost(&policy_lru), fifo = cost(&policy_fifo),
			 mru = cost(&policy_mru), twoq = cost(&policy_2q);
		printf("# %-8s %7u%7u%7u%7u%7u\n", trace.name, best, lru, fifo, mru, twoq);
		if (i == 0)
			ok(mru * 100 <= best * 105 && lru > 2 * best,
			    "on a repeated scan MRU is within 5 %% of the best, LRU not within twice");
		if (i == 1)
			ok(lru < fifo && lru < mru && mru > 2 * best,
			    "where use changes, LRU is better than MRU");
		if (i == 2)
			ok(twoq < lru && twoq < mru, "with scans between, 2Q is better than both");
	}
}

int main(void)
{
	models();
	optimum();
	traces();
	return done();
}
