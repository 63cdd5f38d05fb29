/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who runs: the slice vector, the ring, yield, sleep, deadlines, events, the timer that is only set when it
 * matters.
 */
#include "test/unit/running.h"

static enum null_way yield_to(exo_cap_t env)
{
	return null_call(EXO_CALL_yield, env, 0, 0, 0, 0, 0);
}

static enum null_way sleep_until(exo_time_t until)
{
	return null_call(EXO_CALL_sleep, until, here.current->disp->events, 0, 0, 0, 0);
}

/* Time passes until the timer fires. */
static enum null_way until_timer(void)
{
	null.now = null.timer;
	return interrupt_at(0x400000);
}

static void test_ring(void)
{
	struct env *first = here.current;
	struct child a, b;

	ok(yield_to(0) == NULL_UPCALL && here.current == first && null.message.rdi == EXO_RUN_SLICE,
	    "alone, it yields to itself");
	ok(null.timer == EXO_NEVER, "and no timer is set");
	null.now = 5 * SLICE + 1234;
	a = child_start();
	ok(null.timer == 6 * SLICE, "with a second one ready the timer is at the slice's end");
	b = child_start();
	ok(until_timer() == NULL_UPCALL && here.current == a.env, "the first child's turn");
	ok(a.env->disp->slice_end == 7 * SLICE && null.timer == 7 * SLICE, "for one slice");
	ok(until_timer() == NULL_UPCALL && here.current == b.env, "the second child's turn");
	ok(until_timer() == NULL_REGS && here.current == first,
	    "and round, where it was interrupted with upcalls off");
	null.now += 10;
	ok(interrupt_at(0x400000) == NULL_FRAME && here.current == first, "another interrupt changes nothing");
	(void)yield_to(0);
	ok(here.current == a.env, "yield gives the turn to the next");
	(void)yield_to(0);
	(void)yield_to(0);
	ok(here.current == first && null.left == NULL_UPCALL, "and round");
	ok(null.message.rdi == EXO_RUN_SLICE && first->disp->off == EXO_OFF_YES, "by a RUN upcall");
	sound("ring");
}

static void test_accounting(void)
{
	struct env *first = here.current;
	struct child a = child_start();
	uint64_t ns = first->info->ns, entries = 0;

	null.now += 300;
	(void)yield_to(a.cap);
	is_int((long long)(first->info->ns - ns), 300, "its time is counted");
	null.now += 200;
	entries = a.env->info->switches;
	(void)yield_to(0);
	is_int((long long)a.env->info->ns, 200, "and the other's");
	ok(entries == 1 && a.env->info->upcalls == 1 && a.env->info->entries == 1,
	    "switches, upcalls, entries");
	null.now += 50;
	(void)sleep_until(EXO_NEVER);
	(void)sleep_until(EXO_NEVER);
	ok(null.left == NULL_IDLE && !here.current, "nobody is left");
	null.now += 1000;
	is_int((long long)(first->info->ns - ns), 350, "idle time is nobody's");
	sound("accounting");
}

static void test_slices(void)
{
	struct env *first = here.current;
	struct child a = child_start(), b = child_start();
	unsigned slot = free_slot();
	exo_cap_t slices, one, self;

	is_int(CALL(slice_take, slot, 1, 0, 1), ERR(INVAL), "slice_take: INVAL, no such CPU");
	is_int(CALL(slice_take, slot, 0, 64, 1), ERR(INVAL), "INVAL first");
	is_int(CALL(slice_take, slot, 0, 60, 5), ERR(INVAL), "INVAL count");
	is_int(CALL(slice_take, slot, 0, 0, 0), ERR(INVAL), "INVAL no slice");
	is_int(CALL(slice_take, slot, 0, 1, UINT64_MAX), ERR(INVAL), "INVAL overflow");
	is_int(CALL(slice_take, 1, 0, 2, 2), ERR(SLOT), "SLOT");
	slices = (exo_cap_t)CALL(slice_take, slot, 0, 2, 2);
	ok((int64_t)slices > 0 && info_slice[2].taken && info_slice[3].taken && !info_slice[4].taken,
	    "slices 2 and 3");
	slot = free_slot();
	is_int(CALL(slice_take, slot, 0, 3, 2), ERR(BUSY), "BUSY");
	self = named(EXO_NAME_ENV);
	is_int(CALL(slice_bind, slices, slices), ERR(TYPE), "slice_bind: TYPE");
	is_int(CALL(slice_bind, self, a.cap), ERR(TYPE), "TYPE");
	is_int(CALL(slice_bind, slices, b.cap), 2, "bound");
	ok(info_slice[2].env == b.env->index && info_slice[3].env == b.env->index, "as all can see");
	one = (exo_cap_t)CALL(cap_derive, slices, 0, slot, EXO_RIGHT_BIND, 1, 1);
	is_int(CALL(slice_bind, one, a.cap), 1, "a part is bound to another");
	ok(until_timer() != NULL_IDLE && here.current == a.env, "slice 1: the ring");
	ok(until_timer() != NULL_IDLE && here.current == b.env && here.slice == 2, "slice 2: its owner");
	ok(until_timer() != NULL_IDLE && here.current == a.env && here.slice == 3, "slice 3: its owner");
	ok(info_slice[2].used_ns == SLICE, "used_ns");
	null.now = 64 * SLICE + 2 * SLICE + 10;
	ok(interrupt_at(0x400000) != NULL_FRAME && here.current == b.env, "the next round");
	(void)yield_to(0);
	ok(here.current != b.env, "an owner that yields gives its slice away");
	ok(interrupt_at(0x400000) == NULL_FRAME, "until its end");
	while (here.current != first)
		(void)until_timer();
	is_int(CALL(cap_delete, one), 0, "the part's capability goes");
	ok(info_slice[3].env == 0 && info_slice[3].taken && info_slice[2].env == b.env->index,
	    "and its binding only");
	is_int(CALL(cap_delete, slices), 0, "the other goes");
	ok(!info_slice[2].taken && !info_slice[2].env && !info_slice[3].taken, "the slices are free");
	slices = (exo_cap_t)CALL(slice_take, free_slot(), 0, 0, 64);
	is_int(CALL(slice_bind, slices, a.cap), 64, "all slices");
	is_int(CALL(slice_bind, slices, 0), 64, "bound to nobody again");
	is_int(CALL(slice_bind, slices, a.cap), 64, "bound");
	while (CALL(env_destroy, a.cap) == ERR(AGAIN))
		;
	ok(!info_slice[7].env && info_slice[7].taken, "an environment's end unbinds its slices");
	is_int(CALL(slice_bind, slices, a.cap), ERR(DEAD), "DEAD");
	sound("slices");
}

/* Of those who wake, only the slice's owner comes at once. */
static void test_wake(void)
{
	struct env *first = here.current;
	struct child a = child_start();
	exo_cap_t slices = (exo_cap_t)CALL(slice_take, free_slot(), 0, 0, 64);

	(void)yield_to(a.cap);
	(void)sleep_until(EXO_NEVER);
	ok(here.current == first && a.env->info->state == EXO_ENV_ASLEEP, "a sleeper");
	ok(until_timer() == NULL_FRAME && null.timer == EXO_NEVER,
	    "alone again: one more interrupt, then no timer");
	null.now = 20 * SLICE + 500;
	env_event(a.env, EXO_EVENT_RECEIVE);
	ok(interrupt_at(0x400000) == NULL_FRAME && here.current == first && null.timer == 21 * SLICE,
	    "the woken takes its turn at the slice's end");
	ok(until_timer() == NULL_UPCALL && here.current == a.env && (null.message.rdi & EXO_RUN_EVENT),
	    "RUN, EVENT");
	ok(a.env->disp->pending & EXO_EVENT_RECEIVE, "pending");
	(void)sleep_until(EXO_NEVER);
	is_int(CALL(slice_bind, slices, a.cap), 64, "a slice's owner");
	env_event(a.env, EXO_EVENT_RECEIVE);
	ok(interrupt_at(0x400000) == NULL_UPCALL && here.current == a.env, "comes at once");
	env_event(a.env, EXO_EVENT_SENT);
	ok(interrupt_at(0x400000) == NULL_FRAME && (a.env->disp->pending & EXO_EVENT_SENT),
	    "who runs is not interrupted by an event");
	(void)yield_to(0);
	ok(here.current == first, "it yields");
	ok(CALL(sleep, EXO_NEVER, first->disp->events + 1) == 0,
	    "sleep with another number of events returns at once");
	(void)sleep_until(EXO_NEVER);
	(void)sleep_until(EXO_NEVER);
	ok(null.left == NULL_IDLE, "idle");
	ok(until_timer() == NULL_IDLE && null.timer == EXO_NEVER,
	    "without a timer, after the last early one");
	null.now += 3 * SLICE;
	ok(interrupt_at(0) == NULL_IDLE && !here.current, "it goes on so when an interrupt wakes nobody");
	env_event(first, EXO_EVENT_CHILD);
	ok(interrupt_at(0) == NULL_UPCALL && here.current == first, "an event ends the idling");
	sound("wake");
}

static void test_sleep(void)
{
	struct env *first = here.current;
	struct child a = child_start(), b = child_start();

	null.now = 100 * SLICE;
	is_int(CALL(sleep, null.now, first->disp->events), 0, "sleep until now returns at once");
	is_int(CALL(sleep, 0, first->disp->events), 0, "and until the past");
	(void)sleep_until(110 * SLICE);
	ok(here.current == a.env, "one sleeps");
	(void)sleep_until(105 * SLICE + 7);
	ok(here.current == b.env && null.timer <= 105 * SLICE + 7, "another, shorter");
	(void)sleep_until(EXO_NEVER);
	ok(null.left == NULL_IDLE, "all sleep");
	while (null.left == NULL_IDLE && null.timer != EXO_NEVER)
		(void)until_timer();
	ok(here.current == a.env && null.now == 105 * SLICE + 7 && null.message.rdi == EXO_RUN_TIME,
	    "the shorter ends: TIME");
	(void)sleep_until(EXO_NEVER);
	while (null.left == NULL_IDLE && null.timer != EXO_NEVER)
		(void)until_timer();
	ok(here.current == first && null.now == 110 * SLICE, "the longer ends");
	(void)yield_to(b.cap);
	ok(here.current == b.env && (null.message.rdi & EXO_RUN_SLICE),
	    "a sleeper without a deadline is yielded to");
	(void)sleep_until(120 * SLICE);
	(void)yield_to(a.cap);
	ok(here.current == a.env, "one with a deadline as well");
	(void)sleep_until(115 * SLICE);
	ok(here.current == first, "first again");
	null.now = 130 * SLICE;
	(void)interrupt_at(0x400000);
	ok(env_state(a.env) == EXO_ENV_READY && env_state(b.env) == EXO_ENV_READY,
	    "two deadlines in one look");
	ok(!here.timed_count && here.due == EXO_NEVER, "no deadline is left");
	sound("sleep");
}

/* A directed yield may not take more than the slice, even if it is made when the slice has just passed. */
static void test_pass_in_yield(void)
{
	struct env *first = here.current;
	struct child a = child_start(), b = child_start();
	unsigned turns = 0, i;

	for (i = 0; i < 300; i++) {
		null.now += SLICE / 3 + 1;
		if (null.now > null.timer && i % 2)
			(void)interrupt_at(0x400000);
		else if (here.current == first)
			(void)yield_to(a.cap);
		else
			(void)yield_to(0);
		turns += here.current == b.env;
		if (null.now >= null.timer)
			(void)interrupt_at(0x400000);
		turns += here.current == b.env;
	}
	ok(turns > 50, "two that hand the CPU to each other do not starve a third (%u)", turns);
	sound("yield at the slice's end");
}

/* Who runs while a slice's owner sleeps cannot give that slice away: the owner has the rest when it wakes. */
static void test_keep_slice(void)
{
	struct env *first = here.current;
	struct child a = child_start(), b = child_start();
	exo_cap_t slices = (exo_cap_t)CALL(slice_take, free_slot(), 0, 0, EXO_SLICES);

	is_int(CALL(slice_bind, slices, b.cap), EXO_SLICES, "all slices are one's");
	(void)yield_to(b.cap);
	ok(here.current == b.env, "it runs");
	(void)sleep_until(null.now + SLICE / 4);
	ok(here.current != b.env, "it sleeps");
	(void)yield_to(0);
	(void)yield_to(0);
	ok(here.current != b.env && here.slice_owner == b.env, "the others yield; the slice is still its own");
	null.now += SLICE / 4;
	(void)interrupt_at(0x400000);
	ok(here.current == b.env, "it has the rest as soon as it wakes");
	(void)yield_to(0);
	ok(here.current != b.env && !here.slice_owner, "itself, it can give it away");
	(void)first, (void)a;
	sound("keep slice");
}

static enum null_way lend_to(exo_cap_t env, exo_time_t until)
{
	return null_call(EXO_CALL_yield, env, until, 0, 0, 0, 0);
}

/* A slice that is lent comes back at its time, when it is not wanted, with the owner's next; never to others. */
static void test_lend(void)
{
	struct env *first = here.current;
	struct child a = child_start(), b = child_start();
	exo_cap_t slices = (exo_cap_t)CALL(slice_take, free_slot(), 0, 0, EXO_SLICES);

	is_int(CALL(slice_bind, slices, named(EXO_NAME_ENV)), EXO_SLICES, "all slices are the first's");
	(void)until_timer();
	(void)lend_to(a.cap, null.now + SLICE / 4);
	ok(here.current == a.env && null.timer == null.now + SLICE / 4, "it lends one until a time");
	ok(until_timer() == NULL_UPCALL && here.current == first && (null.message.rdi & EXO_RUN_TIME),
	    "and has it back then");
	(void)lend_to(a.cap, null.now + SLICE / 4);
	(void)sleep_until(EXO_NEVER);
	ok(here.current == first && env_state(b.env) == EXO_ENV_READY, "and before the others, when the other sleeps");
	(void)lend_to(b.cap, EXO_NEVER);
	(void)yield_to(0);
	ok(here.current == first, "or yields to nobody");
	(void)yield_to(0);
	ok(here.current == b.env, "what is given away, not lent, goes round");
	(void)until_timer();
	ok(here.current == b.env, "whatever time was set before");
	(void)until_timer();
	ok(here.current == first, "until the owner's next slice");
	(void)lend_to(0, EXO_NEVER);
	ok(here.current == b.env, "lent to whoever is next");
	(void)null_call(EXO_CALL_env_exit, EXO_CAUSE_EXIT, 0, 0, 0, 0, 0);
	ok(env_state(b.env) == EXO_ENV_ENDED && here.current == first, "and back when that ends");
	(void)lend_to(a.cap, EXO_NEVER);
	null.now = null.timer;
	(void)interrupt_at(0x400000);
	ok(here.current == first && !here.slice_lender, "a loan ends with the slice");
	(void)lend_to(a.cap, null.now + SLICE / 4);
	(void)sleep_until(EXO_NEVER);
	(void)sleep_until(EXO_NEVER);
	ok(here.current == NULL && first->sleep_until == EXO_NEVER, "a sleep forgets the loan's time");
	sound("lend");
}

#define SLEEPERS	60

/* Many deadlines at once: one interrupt deals with a bounded number, the next ones with the rest. */
static void test_many_deadlines(void)
{
	exo_cap_t frames = (exo_cap_t)CALL(frame_take, free_slot(), EXO_PFN_ANY, 4), cap;
	exo_time_t until = null.now + 100 * SLICE;
	unsigned i, woken = 0, before, rounds = 0;
	struct env *env[SLEEPERS];

	for (i = 0; i < SLEEPERS; i++) {
		memset(here.current->arg, 0, sizeof(struct exo_env_params));
		cap = (exo_cap_t)CALL(env_create, free_slot(), named(EXO_NAME_SPACE), 0, frames, 4 * i, 0);
		env[i] = env_behind(cap_lookup(here.current, cap));
		(void)CALL(env_start, cap);
		(void)yield_to(cap);
		(void)sleep_until(until);
		(void)CALL(cap_delete, cap);
		(void)CALL(frame_take, frames, EXO_PFN_ANY, 4);
	}
	null.now = until;
	do {
		before = woken;
		(void)interrupt_at(0x400000);
		null.now += 5000;
		for (woken = i = 0; i < SLEEPERS; i++)
			woken += env_state(env[i]) != EXO_ENV_ASLEEP;
		rounds++;
	} while (woken < SLEEPERS && woken > before && woken - before <= 24);
	ok(woken == SLEEPERS && woken - before <= 24, "%u of %u wake in %u interrupts", woken, SLEEPERS, rounds);
	sound("many deadlines");
}

/* A hostile dispatcher page harms its owner only. */
static void test_scribbled(void)
{
	struct env *first = here.current;
	struct child a = child_start();

	(void)yield_to(a.cap);
	memset(a.env->disp, 0xff, EXO_PAGE_SIZE);
	null.now = null.timer;
	(void)interrupt_at(UINT64_MAX);
	ok(here.current == first, "it is preempted");
	env_event(a.env, EXO_EVENT_RECEIVE);
	ok(yield_to(a.cap) == NULL_REGS || null.left == NULL_UPCALL, "it goes on somehow");
	(void)exception_at(UINT64_MAX, 14, UINT64_MAX);
	ok(env_state(a.env) == EXO_ENV_ENDED && here.current == first, "its first fault ends it");
	sound("scribbled");
}

static void fresh(void (*test)(void))
{
	machine_prepare();
	if (machine_start() != NULL_UPCALL)
		abort();
	test();
}

int main(void)
{
	fresh(test_ring);
	fresh(test_accounting);
	fresh(test_slices);
	fresh(test_wake);
	fresh(test_sleep);
	fresh(test_pass_in_yield);
	fresh(test_keep_slice);
	fresh(test_lend);
	fresh(test_many_deadlines);
	fresh(test_scribbled);
	return done();
}
