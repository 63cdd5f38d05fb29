/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pairs of environments, one pair on each CPU, that work independently of each other: a worker that makes
 * each hot operation of the kernel over and over, and its peer, which answers its transfers, yields back
 * and sleeps until woken. They share a page of words with the test, a page for each pair.
 */
#ifndef TEST_GUEST_WORKERS_H
#define TEST_GUEST_WORKERS_H

/* Pagers and transfer handlers run with the interrupted code's FPU registers live. */
#pragma GCC target("general-regs-only")

#include "test/guest/family.h"

#define WORK_PAIRS	2
#define WORK_RW		(EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define WORK_BADGE	7
#define WORK_SLEEPS	64	/* one timed sleep for so many operations */
#define WORK_NAP_NS	2000

/*
 * Words. GO: how many operations have been allowed, in all; DONE: how many were made; BEGAN, ENDED: when
 * the last ones were; PATIENCE: how long it sleeps until it looks again, in ns.
 */
enum { WORK_READY, WORK_GO, WORK_DONE, WORK_BEGAN, WORK_ENDED, WORK_PATIENCE, WORK_HOW, WORK_PEER_SLEEPS,
	WORK_TRAPS, WORK_BAD };
/* How. */
enum { WORK_HOT, WORK_MIXED };

struct work_pair {
	struct member worker, peer;
	exo_cap_t page, entry;
	volatile uint64_t *word;
};

/* --- the pair's side ------------------------------------------------------------------------------------ */

static volatile uint64_t *work_word;

static void work_answer(uint64_t badge, exo_env_id_t caller, uint64_t w0, uint64_t w1, uint64_t w2,
    uint64_t w3, bool reply)
{
	(void)caller, (void)reply;
	exo_reply(badge == WORK_BADGE ? 0 : 1, w0, w1, w2, w3 + 1);
}

static inline uint64_t work_events(void)
{
	return *(volatile uint64_t *)&core_disp->events;
}

static __attribute__((unused)) _Noreturn void work_peer(void)
{
	core_call_handler = work_answer;
	work_word[WORK_READY]++;
	for (;;) {
		uint64_t events = work_events();
		if (work_word[WORK_PEER_SLEEPS])
			core_sleep(EXO_NEVER, events);
		else
			core_yield(EXO_CAP_NONE);
	}
}

/* Step over the store that faulted: `movb $0, (%rax)` is 3 bytes. */
static const char *work_step_over(struct vm_region *region, exo_vaddr_t va, unsigned access, bool present)
{
	(void)region, (void)va, (void)access, (void)present;
	core_disp->on.rip += 3;
	work_word[WORK_TRAPS]++;
	return NULL;
}

struct work_own {
	exo_cap_t entry, peer;
	struct vm_region region;
	struct frame frame;
	exo_vaddr_t mapped;
};

static inline void work_store(exo_vaddr_t va)
{
	__asm__ volatile("movb $0, (%0)" ::"a"(va) : "memory");
}

static inline void work_transfer(const struct work_own *own, uint64_t i)
{
	uint64_t word[4];
	int64_t result;

	for (;;) {
		word[0] = i, word[1] = 1, word[2] = 2, word[3] = 3;
		result = exo_call(own->entry, EXO_NEVER, word);
		if (result != -EXO_EBUSY)
			break;
		core_yield(own->peer);	/* it was interrupted with upcalls off */
	}
	if (result || word[0] != i || word[3] != 4)
		work_word[WORK_BAD]++;
}

/* What needs no lock, once each. */
static void work_hot(const struct work_own *own, uint64_t i)
{
	exo_null();
	work_store(own->region.start);
	work_transfer(own, i);
	work_word[WORK_PEER_SLEEPS] = 0;
	core_yield(own->peer);
	work_word[WORK_PEER_SLEEPS] = 1;
	core_yield(own->peer);
	if (exo_wake(own->peer))
		work_word[WORK_BAD]++;
	core_yield(EXO_CAP_NONE);
	if (i % WORK_SLEEPS == 0)
		core_sleep(core_now() + WORK_NAP_NS, work_events());
}

/* As programs do: some computing for each, and pages mapped and unmapped, which takes the kernel's lock. */
static void work_mixed(const struct work_own *own, uint64_t i)
{
	volatile uint64_t sum = i;

	for (unsigned k = 0; k < 30000; k++)
		sum = sum * 6364136223846793005ULL + 1442695040888963407ULL;
	work_store(own->region.start);
	work_transfer(own, i);
	core_yield(core_named(EXO_NAME_ENV));
	if (space_map_frame(own->mapped, EXO_MAP_READ | EXO_MAP_WRITE, &own->frame))
		work_word[WORK_BAD]++;
	*(volatile uint64_t *)own->mapped = sum;
	if (space_map(own->mapped, 0, EXO_CAP_NONE, 0, 1))
		work_word[WORK_BAD]++;
}

static __attribute__((unused)) _Noreturn void work_worker(void)
{
	struct work_own own = { .entry = core_named("entry"), .peer = core_named("peer") };
	uint64_t done = 0;

	own.region = (struct vm_region){ .start = vm_addresses(EXO_PAGE_SIZE),
		.flags = EXO_MAP_READ | EXO_MAP_WRITE, .pager = work_step_over };
	own.region.end = own.region.start + EXO_PAGE_SIZE;
	own.mapped = vm_addresses(EXO_PAGE_SIZE);
	if (!frame_alloc(&own.frame) || !vm_add(&own.region) ||
	    space_map_frame(own.region.start, EXO_MAP_READ, &own.frame))
		work_word[WORK_BAD]++;
	work_word[WORK_READY]++;
	for (;;) {
		for (uint64_t events = work_events(); done == work_word[WORK_GO]; events = work_events())
			core_sleep(core_now() + work_word[WORK_PATIENCE], events);
		work_word[WORK_BEGAN] = core_now();
		while (done < work_word[WORK_GO]) {
			if (work_word[WORK_HOW] == WORK_HOT)
				work_hot(&own, done);
			else
				work_mixed(&own, done);
			done++;
		}
		work_word[WORK_ENDED] = core_now();
		work_word[WORK_DONE] = done;
	}
}

/* What main does first: does not return in an environment of a pair. */
static __attribute__((unused)) void work_begin(void)
{
	const char *role = core_argument(1);
	exo_cap_t page = core_named("page");

	info_env(0);
	if (!role || !page)
		return;
	exo_vaddr_t at = vm_addresses(EXO_PAGE_SIZE);
	space_map(at, EXO_MAP_READ | EXO_MAP_WRITE, page, 0, 1);
	work_word = (volatile uint64_t *)at;
	if (!strcmp(role, "worker"))
		work_worker();
	work_peer();
}

/* --- the test's side ------------------------------------------------------------------------------------ */

static bool work_member(struct work_pair *pair, struct member *member, const char *role, unsigned cpu)
{
	family_grant(member, "page", pair->page, WORK_RW, 1);
	return family_make(member, role, NULL) && exo_env_move(member->spawn.env, cpu) == 0;
}

static __attribute__((unused)) bool work_make(struct work_pair *pair, unsigned cpu)
{
	exo_vaddr_t at = vm_addresses(EXO_PAGE_SIZE);

	memset(pair, 0, sizeof(*pair));
	pair->page = take_frames(1);
	if (!pair->page || space_map(at, EXO_MAP_READ | EXO_MAP_WRITE, pair->page, 0, 1))
		return false;
	pair->word = (volatile uint64_t *)at;
	pair->word[WORK_PATIENCE] = MS / 8;
	if (!work_member(pair, &pair->peer, "peer", cpu))
		return false;
	pair->entry = family_entry(&pair->peer, WORK_BADGE);
	family_grant(&pair->worker, "entry", pair->entry, EXO_RIGHT_EXEC, 0);
	family_grant(&pair->worker, "peer", pair->peer.spawn.env, EXO_RIGHT_WAKE, 0);
	if (!work_member(pair, &pair->worker, "worker", cpu) || spawn_start(&pair->peer.spawn) ||
	    spawn_start(&pair->worker.spawn))
		return false;
	for (exo_time_t end = core_now() + 5 * CORE_SECOND; pair->word[WORK_READY] < 2;) {
		if (core_now() > end)
			return false;
		core_sleep(core_now() + MS / 4, work_events());
	}
	return true;
}

/* False: the other CPUs have not come up. */
static __attribute__((unused)) bool work_cpus(void)
{
	exo_time_t end = core_now() + 5 * CORE_SECOND;

	for (unsigned i = 0; i < WORK_PAIRS; i++)
		while (((const volatile struct exo_cpu_info *)info_cpu(i))->state != EXO_CPU_RUNS) {
			if (core_now() > end)
				return false;
			core_sleep(core_now() + MS / 4, work_events());
		}
	return true;
}

/* Wait until all that was allowed is done. */
static __attribute__((unused)) bool work_await(const struct work_pair *pair, uint64_t seconds)
{
	exo_time_t end = core_now() + seconds * CORE_SECOND;

	while (pair->word[WORK_DONE] != pair->word[WORK_GO]) {
		if (core_now() > end)
			return false;
		core_sleep(core_now() + MS / 4, work_events());
	}
	return true;
}

static __attribute__((unused)) void work_drop(struct work_pair *pair)
{
	family_drop(&pair->worker);
	family_drop(&pair->peer);
	if (pair->entry)
		caps_delete(pair->entry);
	if (pair->page)
		caps_delete(pair->page);
}

#endif
