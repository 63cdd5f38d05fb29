/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libOS event without a network: protothreads and timers in its real loop, over time that is faked, and its heap against a
 * list of what was handed out.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "libos/event/private.h"
#include "test/unit/tap.h"

#define TIMERS	60
#define BLOCKS	300
#define ARENA	(64 << 10)

const struct event_sizes event_sizes = { 1, 1, 16 };
static uint64_t now_ms = 1000, sleeps;

exo_time_t core_now(void)
{
	return now_ms * 1000000;
}

uint32_t net_address = 1;

void dhcp_turn(void)
{
}

unsigned event_net_poll(void)
{
	return 0;
}

void event_net_flush(void)
{
}

void conn_turn(void)
{
}

uint32_t bare_frames(uint32_t least, uint32_t most, exo_vaddr_t va, exo_cap_t *cap)
{
	(void)least, (void)most, (void)va, (void)cap;
	return 0;
}

/* Nobody else does anything: the time comes. */
void event_sleep(exo_time_t until, uint64_t events)
{
	(void)events;
	sleeps++;
	if (until == EXO_NEVER)
		conn_stop(9);
	else if (until > core_now())
		now_ms = until / 1000000;
}

/* --- protothreads --- */

static char trail[64];
static bool open_gate;

static void mark(char c)
{
	size_t length = strlen(trail);

	if (length < sizeof(trail) - 1)
		trail[length] = c;
}

static enum pt_state child(struct pt *pt)
{
	PT_BEGIN(pt);
	mark('c');
	PT_SLEEP(pt, 30);
	mark('d');
	PT_END(pt);
}

static enum pt_state parent(struct pt *pt)
{
	static struct pt inner;

	PT_BEGIN(pt);
	mark('a');
	PT_SPAWN(pt, &inner, child);
	mark('e');
	PT_WAIT_UNTIL_OR(pt, open_gate, 50);
	mark(open_gate ? 'G' : 't');
	PT_WAIT_UNTIL_OR(pt, open_gate, 1000);
	mark(open_gate ? 'g' : 'T');
	PT_YIELD(pt);
	mark('z');
	PT_END(pt);
}

static enum pt_state gate(struct pt *pt)
{
	PT_BEGIN(pt);
	PT_SLEEP(pt, 200);
	open_gate = true;
	mark('o');
	PT_EXIT(pt);
	mark('!');
	PT_END(pt);
}

static int ran, ticks;

static enum pt_state twice(struct pt *pt)
{
	PT_BEGIN(pt);
	ran++;
	PT_END(pt);
}

static enum pt_state ticking(struct pt *pt)
{
	PT_BEGIN(pt);
	while (ticks < 3) {
		PT_SLEEP(pt, 10);
		ticks++;
	}
	PT_END(pt);
}

static void stop(struct conn_timer *timer)
{
	(void)timer;
	conn_stop(7);
}

static void protothreads(void)
{
	static struct pt one, two, never, again, last;
	static struct conn_timer end = { .call = stop };
	uint64_t begin = now_ms;

	pt_start(&one, parent);
	pt_start(&two, gate);
	pt_start(&never, gate);
	pt_stop(&never);
	pt_start(&again, twice);	/* behind one that goes, and before one that comes */
	pt_start(&last, ticking);
	pt_stop(&again);
	pt_start(&again, twice);
	conn_timer_set(&end, 5000);
	is_int(conn_run(), 7, "conn_run returns what conn_stop said");
	is_int(ran, 1, "one that is stopped and started again runs once");
	is_int(ticks, 3, "and those behind it are still there");
	is_string(trail, "acdetogz", "waits, sleeps, a child, one of two causes");
	is_int((long long)(now_ms - begin), 5000, "and took its time");
	ok(sleeps < 12, "with %lu sleeps", (unsigned long)sleeps);
	is_int(conn_run(), 9, "without a timer it sleeps for ever");
}

/* --- timers --- */

static struct model {
	struct conn_timer timer;
	bool set;
	uint64_t due;
} timers[TIMERS];
static unsigned calls, wrong;
static uint64_t last_due;

static void set(struct model *one)
{
	uint64_t after = (uint64_t)rand() % (rand() % 4 ? 50 : 5000);

	conn_timer_set(&one->timer, after);
	one->set = true;
	one->due = conn_now() + after;
}

static void called(struct conn_timer *timer)
{
	struct model *one = (struct model *)timer, *other = &timers[rand() % TIMERS];

	calls++;
	wrong += !one->set || conn_now() < one->due || one->due < last_due;
	last_due = one->due;
	one->set = false;
	for (unsigned i = 0; i < TIMERS; i++)
		wrong += timers[i].set && timers[i].due < one->due && timers[i].due < conn_now();
	if (calls < 20000)
		set(one);
	if (rand() % 3 == 0) {
		conn_timer_clear(&other->timer);
		other->set = false;
	} else if (calls < 20000) {
		set(other);
	}
	last_due = 0;
}

static void timers_test(void)
{
	for (unsigned i = 0; i < TIMERS; i++) {
		timers[i].timer.call = called;
		set(&timers[i]);
	}
	is_int(conn_run(), 9, "all timers have come");
	ok(calls >= 20000 && !wrong, "%u of them, each in its turn (%u not)", calls, wrong);
}

/* --- the heap --- */

static void heap(void)
{
	static char arena[ARENA] __attribute__((aligned(4096)));
	static struct {
		uint8_t *at;
		uint32_t bytes;
		uint8_t fill;
	} blocks[BLOCKS];
	unsigned bad = 0, full = 0;
	uint32_t whole;

	event_heap_make(arena, ARENA);
	whole = event_heap.free;
	ok(whole > ARENA - 64, "%u of %u bytes are to be had", whole, ARENA);
	for (int turn = 0; turn < 300000; turn++) {
		unsigned i = (unsigned)rand() % BLOCKS;

		if (blocks[i].at) {
			for (uint32_t n = 0; n < blocks[i].bytes; n++)
				bad += blocks[i].at[n] != blocks[i].fill;
			event_free(blocks[i].at);
			blocks[i].at = NULL;
			continue;
		}
		blocks[i].bytes = (uint32_t)rand() % (rand() % 10 ? 200 : 4000);
		blocks[i].at = event_alloc(blocks[i].bytes);
		if (!blocks[i].at) {
			full++;
			continue;
		}
		bad += (uint64_t)blocks[i].at % 16 != 0 || event_size(blocks[i].at) < blocks[i].bytes ||
		    (char *)blocks[i].at < arena || (char *)blocks[i].at + blocks[i].bytes > arena + ARENA;
		blocks[i].fill = (uint8_t)rand();
		memset(blocks[i].at, blocks[i].fill, blocks[i].bytes);
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		event_free(blocks[i].at);
	is_int(bad, 0, "blocks keep what is written to them, and do not overlap");
	ok(full > 100 && event_heap.failures == full, "%u times it was full", full);
	is_int(event_heap.free, whole, "all of it comes back");
	uint8_t *all = event_alloc(whole - 16);
	ok(all != NULL, "in one piece");
	event_free(all);
	ok(!event_alloc(whole + 1) && !event_alloc(SIZE_MAX) && !event_calloc(SIZE_MAX / 2, 3), "too much is refused");
}

int main(void)
{
	srand(3);
	if (mmap((void *)EXO_VA_DISP, EXO_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		 -1, 0) == MAP_FAILED)
		return 1;
	protothreads();
	timers_test();
	heap();
	return done();
}
