/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capabilities and what else is made and bound by a call under the kernel's lock: derive, revoke with all
 * that was bound through what goes, entries, slices, accounts; and waking another environment of the same
 * CPU.
 *
 * A revoke of many is restartable: its figure is the whole loop, until nothing is left.
 */
#include "apps/bench/bench.h"
#include "libos/core/spawn.h"
#include "libos/vm/vm.h"

#define REPEAT		1000
#define FAMILY		1000	/* children of cap_revoke_1000 */
#define BADGE		0x0123456789abcdef

static struct spawn sleeper;
static exo_cap_t frame_cap;
static exo_vaddr_t window;	/* FAMILY pages, with their tables */

/* A figure that is the sum of pieces, the reading of the counter taken off. */
static uint64_t piece(uint64_t began)
{
	return bench_count() - began - bench_count_cost();
}

static exo_cap_t child_of(exo_cap_t parent)
{
	int64_t child = exo_cap_derive(parent, 0, caps_slot(), EXO_RIGHT_READ, 0, 1);

	bench_need(child > 0, "a derived capability");
	return (exo_cap_t)child;
}

static void derive(void)
{
	uint64_t deriving = 0, deleting = 0;

	for (unsigned i = 0; i < REPEAT; i++) {
		uint32_t slot = caps_slot();
		uint64_t began = bench_count();
		int64_t child = exo_cap_derive(frame_cap, 0, slot, EXO_RIGHT_READ, 0, 1);
		deriving += piece(began);
		bench_need(child > 0, "a derived capability");
		began = bench_count();
		int64_t result = exo_cap_delete((exo_cap_t)child);
		deleting += piece(began);
		bench_need(result == 0, "deletion");
	}
	bench_report("cap_derive", deriving / REPEAT);
	bench_report("cap_delete", deleting / REPEAT);
}

/* Was a page mapped? It is not any more. */
static bool mapped(exo_vaddr_t va)
{
	struct exo_map *map = core_arg(0);

	*map = (struct exo_map){ va, EXO_CAP_NONE, 0, 1, 0 };
	bench_need(exo_space_write(space_own(), 0, 1) == 1, "unmapping");
	return map->old != 0;
}

/* Revoke all below frame_cap; returns what it took, and how often it was called. */
static uint64_t revoke_all(unsigned *calls)
{
	uint64_t began = bench_count();
	int64_t result;

	do {
		result = exo_cap_revoke(frame_cap);
		++*calls;
	} while (result == -EXO_EAGAIN);
	began = piece(began);
	bench_need(result == 0, "revocation");
	return began;
}

static void revoke(void)
{
	uint64_t total = 0;
	unsigned calls = 0;

	for (unsigned i = 0; i < REPEAT; i++) {
		exo_cap_t child = child_of(frame_cap);
		bench_need(!space_map(window, EXO_MAP_READ, child, 0, 1), "a mapping");
		total += revoke_all(&calls);
		bench_need(!mapped(window), "mapping left");
	}
	bench_report("cap_revoke_1", total / REPEAT);

	for (unsigned bound = 0; bound < 2; bound++) {
		for (unsigned i = 0; i < FAMILY; i++) {
			exo_cap_t child = child_of(frame_cap);
			bench_need(!bound || !space_map(window + i * EXO_PAGE_SIZE, EXO_MAP_READ, child, 0, 1),
				   "a mapping");
		}
		calls = 0;
		total = revoke_all(&calls);
		bench_report(bound ? "cap_revoke_1000" : "cap_revoke_1000_bare", total);
		core_print("events %s calls %u operations 1\n", bound ? "cap_revoke_1000" : "cap_revoke_1000_bare",
			   calls);
	}
}

static void entry_and_account(void)
{
	exo_cap_t account = core_named(EXO_NAME_ACCOUNT);
	uint64_t entries = 0, accounts = 0;

	for (unsigned i = 0; i < REPEAT; i++) {
		uint32_t slot = caps_slot();
		uint64_t began = bench_count();
		int64_t cap = exo_entry_make(slot, 0, BADGE);
		entries += piece(began);
		bench_need(cap > 0 && exo_cap_delete((exo_cap_t)cap) == 0, "an entry");

		slot = caps_slot();
		began = bench_count();
		cap = exo_account_make(slot, account, frame_cap, 0, 100);
		accounts += piece(began);
		bench_need(cap > 0 && exo_cap_delete((exo_cap_t)cap) == 0, "an account");
	}
	bench_report("entry_make", entries / REPEAT);
	bench_report("account_make", accounts / REPEAT);
}

static void slices(void)
{
	exo_cap_t self = core_named(EXO_NAME_ENV);
	uint64_t binding = 0;
	int64_t cap;

	for (unsigned i = 0; i < REPEAT; i++) {
		cap = exo_slice_take(caps_slot(), 0, i % EXO_SLICES, 1);
		bench_need(cap > 0, "a slice");
		uint64_t began = bench_count();
		int64_t bound = exo_slice_bind((exo_cap_t)cap, self);
		binding += piece(began);
		bench_need(bound == 1 && exo_cap_delete((exo_cap_t)cap) == 0, "a bound slice");
	}
	bench_report("slice_bind", binding / REPEAT);
}

void bench_sleeper(void)
{
	for (;;)
		core_sleep(EXO_NEVER, core_disp->events);
}

static void wakes(void)
{
	uint64_t sleeping = 0, awake = 0;

	bench_again(&sleeper, "sleeper");
	const volatile struct exo_env_info *info = info_env((uint32_t)sleeper.id);
	for (unsigned i = 0; i < REPEAT; i++) {
		do
			core_yield(sleeper.env);
		while (info->state != EXO_ENV_ASLEEP);
		uint64_t began = bench_count();
		int64_t first = exo_wake(sleeper.env);
		uint64_t middle = bench_count();
		int64_t second = exo_wake(sleeper.env);
		awake += piece(middle);
		sleeping += middle - began - bench_count_cost();
		bench_need(first == 0 && second == 0, "a wakeup");
	}
	bench_report("wake", sleeping / REPEAT);
	bench_report("wake_awake", awake / REPEAT);
	spawn_destroy(&sleeper);
}

void bench_caps(void)
{
	int64_t cap = exo_frame_take(caps_slot(), EXO_PFN_ANY, 1);

	bench_need(cap > 0, "a frame");
	frame_cap = (exo_cap_t)cap;
	window = vm_addresses(FAMILY * EXO_PAGE_SIZE);
	bench_need(window != 0, "addresses");
	for (unsigned i = 0; i < FAMILY; i++)
		bench_need(!space_map(window + i * EXO_PAGE_SIZE, EXO_MAP_READ, frame_cap, 0, 1), "page tables");
	bench_need(!space_map(window, 0, EXO_CAP_NONE, 0, FAMILY), "page tables");
	derive();
	revoke();
	entry_and_account();
	slices();
	wakes();
}
