/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cap_split, split_give, split_end, and mapping through what is split: what they do, each of their errors, and abuse: a
 * sibling that keeps what it gave up mapped, one that takes its right back before the other has gone, a writer on another
 * CPU, revoking in the middle.
 *
 * Runs first: yes
 * Run with: --smp 2 -m 64M
 */
#include "test/guest/agent.h"

#define R	EXO_MAP_READ
#define RW	(EXO_MAP_READ | EXO_MAP_WRITE)
#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define SIDE	(EXO_RIGHT_READ | EXO_RIGHT_EXEC | EXO_RIGHT_RESTORE)
#define THERE	(TINY_CAPS + 0x1000)	/* a page of the agent's */
#define MANY	300
#define TURNS	60

static exo_cap_t own, console;
static exo_vaddr_t va;

static int64_t one(uint64_t va_flags, exo_cap_t cap, uint32_t first)
{
	return write_one(own, va_flags, cap, first, 1);
}

/* The same, until it has done something. */
static int64_t split(exo_cap_t source, exo_cap_t env, uint64_t slot, exo_cap_t records, uint64_t first)
{
	int64_t result;

	do
		result = exo_cap_split(source, env, slot, records, first);
	while (result == -EXO_EAGAIN);
	return result;
}

static uint32_t holds(exo_cap_t cap, uint32_t i)
{
	return info_frame(pfn_of(cap) + i)->holds;
}

/* Frames of which a wanted number is under one capability, taken piece by piece. */
static exo_cap_t take_many(uint32_t count)
{
	uint32_t slot = caps_slot(), run = 0;
	exo_pfn_t at = 0;

	for (exo_pfn_t pfn = core_info->frames_total; pfn-- > 1 && run < count;) {
		run = info_frame(pfn)->state == EXO_FRAME_FREE ? run + 1 : 0;
		at = pfn;
	}
	int64_t cap = exo_frame_take(slot, at, EXO_TAKE_MAX);
	while (cap > 0 && cap_of((exo_cap_t)cap)->count < count)
		if (exo_frame_take((exo_cap_t)cap, EXO_PFN_ANY, count - cap_of((exo_cap_t)cap)->count < EXO_TAKE_MAX ?
		    count - cap_of((exo_cap_t)cap)->count : EXO_TAKE_MAX) <= 0)
			return EXO_CAP_NONE;
	return cap > 0 ? (exo_cap_t)cap : EXO_CAP_NONE;
}

static void split_errors(struct tiny *agent)
{
	exo_cap_t frames = take_frames(8), records = take_frames(8), other = take_frames(4), twice = take_frames(4);
	exo_cap_t weak = (exo_cap_t)caps_derive(other, R, 0, 0), blind = (exo_cap_t)caps_derive(other, EXO_RIGHT_WRITE, 0, 0);
	exo_cap_t env = (exo_cap_t)caps_derive(agent->env, EXO_RIGHT_READ, 0, 0);
	exo_cap_t left = (exo_cap_t)caps_derive(twice, RWX, 0, 3), right = (exo_cap_t)caps_derive(twice, RWX, 1, 3);
	uint32_t slot = caps_slot();

	is(exo_cap_split(NO_CAP, 0, slot, records, 0), -EXO_ECAP, "split CAP");
	is(exo_cap_split(console, 0, slot, records, 0), -EXO_ETYPE, "split TYPE");
	is(exo_cap_split(weak, 0, slot, records, 0), -EXO_ERIGHTS, "split RIGHTS: it cannot write");
	is(exo_cap_split(blind, 0, slot, records, 0), -EXO_ERIGHTS, "split RIGHTS: it cannot read");
	is(exo_cap_split(other, 0, slot, records, 0), -EXO_ESTATE, "split STATE: something is derived from it");
	is(exo_cap_split(left, 0, slot, records, 0), -EXO_EBUSY, "split BUSY: another one covers a frame of it");
	is(exo_cap_split(frames, NO_CAP, slot, records, 0), -EXO_ECAP, "split CAP: env");
	is(exo_cap_split(frames, records, slot, records, 0), -EXO_ETYPE, "split TYPE: env");
	is(exo_cap_split(frames, env, slot, records, 0), -EXO_ERIGHTS, "split RIGHTS: env without GRANT");
	is(exo_cap_split(frames, 0, slot, NO_CAP, 0), -EXO_ECAP, "split CAP: records");
	is(exo_cap_split(frames, 0, slot, console, 0), -EXO_ETYPE, "split TYPE: records");
	is(exo_cap_split(frames, 0, slot, weak, 0), -EXO_ERIGHTS, "split RIGHTS: records");
	is(exo_cap_split(frames, 0, slot, records, 7), -EXO_ERANGE, "split RANGE: one record is missing");
	is(exo_cap_split(frames, 0, slot, frames, 0), -EXO_EINVAL, "split INVAL: a record of its own frames");
	is(exo_cap_split(frames, 0, 0, records, 0), -EXO_ESLOT, "split SLOT: 0");
	is(exo_cap_split(frames, 0, exo_cap_slot(records), records, 0), -EXO_ESLOT, "split SLOT: in use");
	space_map(va, R, records, 1, 1);
	is(exo_cap_split(frames, 0, slot, records, 0), -EXO_EBUSY, "split BUSY: a record is mapped");
	space_map(va, 0, 0, 0, 1);
	is(exo_cap_split(agent->frames, 0, slot, records, 0), -EXO_EBUSY, "split BUSY: a dispatcher page");
	is(exo_cap_split(frames, 0, frames, records, 0), -EXO_ERIGHTS, "split RIGHTS: to go on with what is not split");
	is(exo_cap_split(frames, 0, exo_cap_make(1, 77), records, 0), -EXO_ECAP, "split CAP: to go on with");
	ok(cap_of(frames)->rights == RWX && holds(frames, 0) == 1, "nothing has changed");
	caps_delete(left), caps_delete(right), caps_delete(twice);
	caps_delete(weak), caps_delete(blind), caps_delete(env);
	caps_delete(other), caps_delete(frames), caps_delete(records);
}

static void mapping(void)
{
	exo_cap_t frames = take_frames(4), records = take_frames(4);
	uint32_t slot = caps_slot();
	volatile uint64_t *word = (volatile uint64_t *)va;

	is(one(va | RW, frames, 1), 1, "a page");
	*word = 77;
	exo_cap_t twin = made(slot, exo_cap_split(frames, 0, slot, records, 0));
	ok(twin && cap_of(twin)->rights == SIDE && cap_of(frames)->rights == SIDE, "split: both can read and remember");
	ok(pfn_of(twin) == pfn_of(frames) && cap_of(twin)->count == 4 && !cap_of(twin)->parent, "the same frames");
	ok(holds(frames, 0) == 2 && holds(frames, 3) == 2, "which two hold");
	is(info_frame(pfn_of(records))->state, EXO_FRAME_SPLIT, "a record");
	is(one(va | RW, 0, 0), -EXO_ERIGHTS, "what was mapped is not made writable again");
	is(one(va | R, 0, 0), 1, "it stays readable");
	uint64_t old = ((volatile struct exo_map *)core_arg(0))->old;
	ok(old & EXO_PTE_DIRTY && !(old & EXO_PTE_WRITE), "its dirty bit is still there");
	is((int64_t)*word, 77, "with its contents");
	is(one((va + EXO_PAGE_SIZE) | RW, frames, 1), -EXO_ERIGHTS, "nor is it mapped writable");
	is(one((va + EXO_PAGE_SIZE) | RW, twin, 1), -EXO_ERIGHTS, "by neither");
	is(one((va + EXO_PAGE_SIZE) | R, twin, 1), 1, "but readable");
	is(exo_cap_derive(twin, 0, caps_slot(), R, 0, 1), -EXO_ESTATE, "nothing is derived from it");
	is(exo_frame_give(twin, 1), -EXO_ERIGHTS, "frames are not given back");
	is(exo_cap_table(twin, 0), -EXO_ERIGHTS, "nor made to objects");
	is(exo_frame_take(twin, EXO_PFN_ANY, 1), -EXO_ERIGHTS, "nor added");

	is(exo_split_give(NO_CAP, 1, 1), -EXO_ECAP, "give CAP");
	is(exo_split_give(console, 1, 1), -EXO_ETYPE, "give TYPE");
	is(exo_split_give(records, 1, 1), -EXO_ERIGHTS, "give RIGHTS: not split");
	is(exo_split_give(twin, 1, 0), -EXO_EINVAL, "give INVAL: none");
	is(exo_split_give(twin, 1, EXO_RANGE_MAX + 1), -EXO_EINVAL, "give INVAL: too many");
	is(exo_split_give(twin, 4, 1), -EXO_ERANGE, "give RANGE: beyond its end");
	is(exo_split_give(twin, ~0ULL, 1), -EXO_ERANGE, "give RANGE: far beyond");
	is(one(va + EXO_PAGE_SIZE, 0, 0), 1, "the twin's page goes");
	is(exo_split_give(twin, 1, 1), 1, "and its frame");
	is(exo_split_give(twin, 1, 1), -EXO_ERANGE, "give RANGE: it has it no more");
	is(one((va + EXO_PAGE_SIZE) | R, twin, 1), -EXO_ERANGE, "nor is it mapped again");
	is(holds(frames, 1), 1, "one holds it");
	is(one(va | RW, frames, 1), 1, "which writes it in place");
	*word = 78;
	is(one((va + 2 * EXO_PAGE_SIZE) | RW, frames, 1), 1, "twice, if it likes");
	is(one((va + EXO_PAGE_SIZE) | RW, frames, 2), -EXO_ERIGHTS, "the others are shared still");

	is(exo_split_end(NO_CAP), -EXO_ECAP, "end CAP");
	is(exo_split_end(console), -EXO_ETYPE, "end TYPE");
	is(exo_split_end(records), -EXO_ERIGHTS, "end RIGHTS: not split");
	is(exo_split_end(frames), -EXO_EBUSY, "end BUSY: there is a sibling");
	is(exo_cap_delete(twin), 0, "the sibling goes");
	is(exo_split_end(frames), 0, "end");
	is(cap_of(frames)->rights, RWX, "all rights are back");
	ok(info_frame(pfn_of(records))->state == EXO_FRAME_OWNED && info_frame(pfn_of(records) + 1)->state == EXO_FRAME_OWNED,
	    "the records are memory");
	is(one((va + EXO_PAGE_SIZE) | RW, frames, 2), 1, "and frames are mapped as ever");
	is((int64_t)*word, 78, "contents are as they were");
	for (unsigned i = 0; i < 3; i++)
		one(va + i * EXO_PAGE_SIZE, 0, 0);
	is(exo_frame_give(frames, 4), 4, "given back");
	caps_delete(records);
}

/* A frame that the source covers and has given up is somebody's anew: it may become a record, also this source's. */
static void record_within(void)
{
	exo_cap_t frames = take_frames(4), records = take_frames(4), again;
	uint32_t slot = caps_slot();
	exo_pfn_t pfn = pfn_of(frames) + 1;

	exo_cap_t twin = made(slot, split(frames, 0, slot, records, 0));
	is(exo_split_give(frames, 1, 1), 1, "the source gives a frame up");
	is(exo_split_give(twin, 1, 1), 1, "the sibling too");
	slot = caps_slot();
	again = made(slot, exo_frame_take(slot, pfn, 1));
	if (!ok(again && pfn_of(again) == pfn, "it is taken anew, by number"))
		return;
	slot = caps_slot();
	exo_cap_t third = made(slot, split(frames, 0, slot, again, 0));
	ok(third, "and becomes the record of another sibling");
	is(info_frame(pfn)->state, EXO_FRAME_SPLIT, "the table says so");
	is(one(va | R, frames, 1), -EXO_ERANGE, "the source does not hold it");
	is(one(va | R, third, 1), -EXO_ERANGE, "nor does the sibling whose record it is");
	is(one(va | R, third, 2), 1, "which has the others");
	is(one(va, 0, 0), 1, "(out again)");
	is(exo_cap_split(frames, 0, caps_slot(), frames, 0), -EXO_ERIGHTS, "a frame that it holds cannot be one");
	caps_delete(third);
	is(info_frame(pfn)->state, EXO_FRAME_OWNED, "an ordinary frame when that has gone");
	caps_delete(again), caps_delete(twin), caps_delete(frames), caps_delete(records);
}

/* More frames than one call covers; what stops on the way. */
static void growing(void)
{
	exo_cap_t frames = take_many(MANY), records = take_frames(4), last, first;
	uint32_t slot = caps_slot();

	if (!ok(frames, "%u frames", MANY))
		return;
	first = made(slot, split(frames, 0, slot, records, 0));
	is(cap_of(first)->count, EXO_RANGE_MAX, "the first ones");
	is(one(va | RW, frames, MANY - 1), -EXO_ERIGHTS, "meanwhile nothing is writable");
	is(one(va | R, frames, MANY - 1), 1, "but readable");
	slot = caps_slot();
	last = made(slot, split(frames, 0, slot, records, 2));
	is(exo_cap_split(frames, 0, last, 0, 0), MANY - EXO_RANGE_MAX, "another sibling gets all");
	is(exo_cap_split(frames, 0, last, 0, 0), -EXO_EINVAL, "split INVAL: it has all");
	is(exo_cap_split(frames, 0, frames, 0, 0), -EXO_EINVAL, "split INVAL: it is the source");
	is(exo_cap_split(frames, 0, first, 0, 0), -EXO_ESTATE, "split STATE: the first one cannot grow any more");
	is(one(va | RW, frames, 0), -EXO_ERIGHTS, "three hold the first frame");
	is(holds(frames, 0), 3, "the table says so");
	caps_delete(last);
	is(one(va | RW, frames, MANY - 1), 1, "the last one is the source's alone");
	is(exo_split_end(frames), -EXO_EBUSY, "end BUSY");
	caps_delete(first);
	is(exo_split_end(frames), 0, "end");
	one(va, 0, 0);
	caps_delete(frames);
	caps_delete(records);
}

/* A sibling keeps what it gave up mapped, and tries what it should not. */
static void hostile(void)
{
	exo_cap_t frames = take_frames(4), records = take_frames(4);
	volatile uint64_t *word = (volatile uint64_t *)va;
	struct tiny agent;
	exo_pfn_t pfn = pfn_of(frames);

	if (!ok(agent_begin(&agent, 0), "another environment"))
		return;
	one(va | RW, frames, 0);
	*word = 1;
	exo_cap_t twin = (exo_cap_t)split(frames, agent.env, 20, records, 0);
	tiny_grant(&agent, agent.space, 21, EXO_RIGHT_WRITE);
	ok(twin > 0 && twin == exo_cap_make(20, 1), "a sibling in its table");
	volatile struct exo_map *map = (volatile struct exo_map *)agent.arg;
	*map = (struct exo_map){ THERE | R, twin, 0, 1, 0 };
	is(agent_do(&agent, EXO_CALL_space_write, exo_cap_make(21, 1), 0, 1, 0, 0, 0), 1, "it maps a frame");
	map->va = THERE | RW;
	is(agent_do(&agent, EXO_CALL_space_write, exo_cap_make(21, 1), 0, 1, 0, 0, 0), -EXO_ERIGHTS, "not to write");
	is(agent_do(&agent, EXO_CALL_split_end, twin, 0, 0, 0, 0, 0), -EXO_EBUSY, "it forges no right");
	is(agent_do(&agent, EXO_CALL_split_give, twin, 0, 1, 0, 0, 0), 1, "it gives it up, and keeps it mapped");
	is(holds(frames, 0), 1, "one holds it");
	is(one(va | RW, frames, 0), -EXO_ERIGHTS, "which still cannot write in place");
	is(exo_split_end(frames), -EXO_EBUSY, "nor end");
	map->va = THERE | R;
	is(agent_do(&agent, EXO_CALL_space_write, exo_cap_make(21, 1), 0, 1, 0, 0, 0), -EXO_ERANGE, "it maps it no more");
	map->va = THERE;
	map->cap = 0;
	is(agent_do(&agent, EXO_CALL_space_write, exo_cap_make(21, 1), 0, 1, 0, 0, 0), 1, "it unmaps it");
	is(one(va | RW, frames, 0), 1, "now it is written in place");
	*map = (struct exo_map){ THERE | R, twin, 1, 1, 0 };
	is(agent_do(&agent, EXO_CALL_space_write, exo_cap_make(21, 1), 0, 1, 0, 0, 0), 1, "it maps another one");
	is(agent_do(&agent, EXO_CALL_split_give, twin, 1, 1, 0, 0, 0), 1, "gives that up");
	one(va, 0, 0);
	is(exo_cap_delete(frames), 0, "and this side goes");
	ok(info_frame(pfn)->state == EXO_FRAME_FREE, "a frame that nobody holds is free");
	ok(info_frame(pfn + 1)->state == EXO_FRAME_OWNED && !info_frame(pfn + 1)->holds, "but not one that is mapped");
	is(info_frame(pfn + 2)->holds, 1, "nor those that it holds");
	tiny_drop(&agent);
	ok(info_frame(pfn + 1)->state == EXO_FRAME_FREE && info_frame(pfn + 2)->state == EXO_FRAME_FREE, "with it all go");
	is(info_frame(pfn_of(records))->state, EXO_FRAME_OWNED, "its record is memory");
	caps_delete(records);
}

/* From above, and by the owner of a record. */
static void taken(void)
{
	exo_cap_t top = take_frames(4), records = take_frames(4);
	exo_cap_t middle = (exo_cap_t)caps_derive(top, RWX, 0, 0);
	uint32_t slot = caps_slot();

	exo_cap_t twin = made(slot, exo_cap_split(middle, 0, slot, records, 0));
	ok(twin && cap_of(twin)->parent == cap_of(middle)->parent, "siblings below one");
	is(one(va | R, twin, 0), 1, "mapped");
	is(exo_cap_revoke(top), 0, "revoked");
	ok(cap_of(twin)->type == EXO_TYPE_NONE && cap_of(middle)->type == EXO_TYPE_NONE && holds(top, 0) == 1, "both are gone");
	is(info_frame(pfn_of(records))->state, EXO_FRAME_OWNED, "and their records");
	slot = caps_slot();
	twin = made(slot, exo_cap_split(top, 0, slot, records, 0));
	is(exo_frame_reclaim(records, 0, 1), 0, "a record is reclaimed");
	ok(cap_of(twin)->type == EXO_TYPE_NONE && cap_of(top)->type == EXO_TYPE_FRAME, "with its capability, and no other");
	is(exo_split_end(top), 0, "the other one is alone");
	is(exo_cap_delete(records), 0, "the records go");
	caps_delete(top);
}

/* --- two CPUs ------------------------------------------------------------------------------------------- */

enum { ROUNDS, WHERE, STOP };

TINY static void writer(uint64_t reasons)
{
	volatile uint64_t *page = (volatile uint64_t *)tiny_word(WHERE);

	(void)reasons;
	while (!tiny_word(STOP)) {
		*page = tiny_word(ROUNDS) + 1;
		tiny_word(ROUNDS)++;
	}
	for (;;)
		tiny_sleep(EXO_NEVER);
}

/* It writes on the other CPU while its frame is split: from the moment on that there is a sibling nothing changes. */
static void race(void)
{
	exo_cap_t frames = take_frames(2), records = take_frames(4);
	volatile uint64_t *word = (volatile uint64_t *)va;
	unsigned changed = 0, ended = 0;
	struct tiny other;

	for (unsigned i = 0; i < TURNS; i++) {
		tiny_cpu = 1;
		if (!tiny_make(&other, writer, 0))
			break;
		tiny_cpu = 0;
		other.word[WHERE] = THERE;
		write_one(other.space, THERE | RW, frames, 0, 1);
		one(va | R, frames, 0);
		if (!tiny_start(&other))
			break;
		while (other.word[ROUNDS] < 100 + i)
			;
		uint32_t slot = caps_slot();
		exo_cap_t twin = made(slot, split(frames, 0, slot, records, 0));
		uint64_t was = *word;
		ended += tiny_await(&other, EXO_ENV_ENDED, 5000);
		changed += !twin || *word != was;
		tiny_drop(&other);
		caps_delete(twin);
		ended += exo_split_end(frames) == 0;
	}
	tiny_cpu = 0;
	ok(!changed && ended == 2 * TURNS, "a writer on another CPU: nothing changes once it is split (%u times it did, %u)",
	    changed, ended);
	one(va, 0, 0);
	caps_delete(frames);
	caps_delete(records);
}

static void dead(void)
{
	exo_cap_t frames = take_frames(2), records = take_frames(2);
	struct tiny agent;

	ok(agent_begin(&agent, 0), "an environment");
	exo_cap_t env = (exo_cap_t)caps_derive(agent.env, EXO_RIGHT_GRANT, 0, 0);
	while (exo_env_destroy(agent.env) == -EXO_EAGAIN)
		;
	is(exo_cap_split(frames, env, 20, records, 0), -EXO_EDEAD, "split DEAD");
	caps_delete(env);
	tiny_drop(&agent);
	uint32_t slot = caps_slot();
	exo_cap_t twin = made(slot, exo_cap_split(frames, 0, slot, records, 0));
	is(exo_split_give(frames, 1, 1), 1, "a frame is given up");
	caps_delete(twin);
	is(exo_split_end(frames), -EXO_ERANGE, "end RANGE: it gave one up");
	caps_delete(frames);
	caps_delete(records);
}

int main(void)
{
	struct tiny agent;

	own = space_own();
	console = core_named(EXO_NAME_CONSOLE);
	va = vm_addresses(8 * EXO_PAGE_SIZE);
	exo_cap_t first = take_frames(1);
	space_map(va, R, first, 0, 1);
	space_map(va, 0, 0, 0, 1);
	caps_delete(first);
	tiny_prepare();
	while (core_info->cpus > 1 && info_cpu(1)->state != EXO_CPU_RUNS)
		core_sleep(core_now() + MS, core_disp->events);
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		ok(agent_begin(&agent, 0), "an environment");
		split_errors(&agent);
		tiny_drop(&agent);
		mapping();
		record_within();
		growing();
		hostile();
		taken();
		dead();
		if (core_info->cpus > 1)
			race();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
