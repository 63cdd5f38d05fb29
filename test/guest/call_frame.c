/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frame_take, frame_give, frame_reclaim: what they do, each of their errors, and abuse.
 */
#include "test/guest/agent.h"

#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)

static uint32_t first_free(uint32_t run)
{
	uint32_t found = 0;

	for (uint32_t pfn = core_info->frames_total - 1; pfn > 0; pfn--) {
		found = info_frame(pfn)->state == EXO_FRAME_FREE ? found + 1 : 0;
		if (found == run)
			return pfn;
	}
	return 0;
}

static void take(void)
{
	uint32_t slot = caps_slot(), pfn = first_free(40);
	int64_t handle = exo_frame_take(slot, pfn, 3);
	const struct exo_cap *cap = caps_at(slot);

	is(handle, (int64_t)caps_handle(slot), "take by number");
	ok(cap->first == pfn && cap->count == 3 && cap->rights == RWX && !cap->parent,
	    "these frames, all rights");
	ok(info_frame(pfn)->state == EXO_FRAME_OWNED && info_frame(pfn)->owner == (uint32_t)core_disp->self &&
		info_frame(pfn)->holds == 1,
	    "the table says whose they are");
	is(exo_frame_take((uint64_t)handle, pfn + 3, 2), 2, "two more behind them");
	is(exo_frame_take((uint64_t)handle, EXO_PFN_ANY, 1), 1, "one more");
	is(cap->count, 6, "the capability has grown");
	is(exo_frame_take((uint64_t)handle, pfn + 5, 1), -EXO_EINVAL, "INVAL: not behind its end");
	uint32_t other = caps_slot();
	ok(exo_frame_take(other, pfn + 6, 1) > 0, "somebody else takes the next");
	is(exo_frame_take((uint64_t)handle, EXO_PFN_ANY, 1), -EXO_EBUSY, "BUSY: the one behind the end");
	is(exo_frame_take(caps_slot(), pfn + 4, 4), -EXO_EBUSY, "BUSY: one of those by number");
	caps_delete(caps_handle(other));
	exo_cap_t child = (exo_cap_t)caps_derive((exo_cap_t)handle, RWX, 2, 4);
	is(exo_frame_take(child, EXO_PFN_ANY, 1), -EXO_ESTATE, "STATE: derived");
	caps_delete(child);
	caps_delete((exo_cap_t)handle);
	ok(info_frame(pfn)->state == EXO_FRAME_FREE && !info_frame(pfn)->owner, "free again");
}

static void take_errors(void)
{
	exo_cap_t console = core_named(EXO_NAME_CONSOLE), frames = take_frames(2);
	exo_cap_t read_only = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 0);
	uint32_t slot = caps_slot(), absent = 0;

	is(exo_frame_take(slot, EXO_PFN_ANY, 0), -EXO_EINVAL, "INVAL: no frames");
	is(exo_frame_take(slot, EXO_PFN_ANY, EXO_TAKE_MAX + 1), -EXO_EINVAL, "INVAL: too many");
	is(exo_frame_take(slot, EXO_PFN_ANY, 1ULL << 32 | 1), -EXO_EINVAL, "INVAL: beyond 32 bits");
	is(exo_frame_take(exo_cap_slot(frames), EXO_PFN_ANY, 1), -EXO_ESLOT, "SLOT: in use");
	is(exo_frame_take(0, EXO_PFN_ANY, 1), -EXO_ESLOT, "SLOT: 0");
	is(exo_frame_take(NO_SLOT, EXO_PFN_ANY, 1), -EXO_ESLOT, "SLOT: none");
	is(exo_frame_take(1ULL << 32 | NO_SLOT, EXO_PFN_ANY, 1), -EXO_ECAP, "CAP");
	is(exo_frame_take(frames + (1ULL << 32), EXO_PFN_ANY, 1), -EXO_ECAP, "CAP: generation");
	is(exo_frame_take(console, EXO_PFN_ANY, 1), -EXO_ETYPE, "TYPE");
	is(exo_frame_take(read_only, EXO_PFN_ANY, 1), -EXO_ERIGHTS, "RIGHTS");
	is(exo_frame_take(slot, core_info->frames_total, 1), -EXO_ERANGE, "RANGE: behind memory");
	is(exo_frame_take(slot, core_info->frames_total - 1, 2), -EXO_ERANGE, "RANGE: across its end");
	is(exo_frame_take(slot, EXO_PFN_ANY - 1, 24), -EXO_ERANGE, "RANGE: the largest number");
	is(exo_frame_take(slot, 1ULL << 32 | pfn_of(frames), 1), -EXO_ERANGE, "RANGE: beyond 32 bits");
	is(exo_frame_take(slot, ~0ULL, 1), -EXO_ERANGE, "RANGE: beyond 32 bits");
	is(exo_frame_take(slot, 0, 1), -EXO_ERANGE, "RANGE: frame 0 is never there");
	for (uint32_t pfn = 1; pfn < core_info->frames_total && !absent; pfn++)
		if (info_frame(pfn)->state == EXO_FRAME_ABSENT)
			absent = pfn;
	if (absent)
		is(exo_frame_take(slot, absent, 1), -EXO_ERANGE, "RANGE: no memory there");
	is(exo_frame_take(slot, pfn_of(core_named(EXO_NAME_INFO)), 1), -EXO_EBUSY, "BUSY: the kernel's");
	is(exo_frame_take(slot, pfn_of(frames), 1), -EXO_EBUSY, "BUSY: owned");
	ok(caps_at(slot)->type == EXO_TYPE_NONE, "nothing has come into the slot");
	caps_delete(read_only);
	caps_delete(frames);
}

/* What one has left behind the next never sees. */
static void zeroed(void)
{
	exo_vaddr_t va = vm_addresses(24 * EXO_PAGE_SIZE);
	exo_cap_t frames = take_frames(24);
	exo_pfn_t pfn = pfn_of(frames);
	uint32_t slot;
	bool clear = true;

	space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, 24);
	memset((void *)va, 0x5a, 24 * EXO_PAGE_SIZE);
	caps_delete(frames);
	slot = caps_slot();
	ok(exo_frame_take(slot, pfn, 24) > 0, "take the same frames again");
	space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, caps_handle(slot), 0, 24);
	for (unsigned i = 0; i < 24 * EXO_PAGE_SIZE / 8; i++)
		clear = clear && ((uint64_t *)va)[i] == 0;
	ok(clear, "they are cleared");
	caps_delete(caps_handle(slot));
}

static void give(void)
{
	exo_cap_t frames = take_frames(8), console = core_named(EXO_NAME_CONSOLE);
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);
	exo_pfn_t pfn = pfn_of(frames);
	exo_cap_t read_only = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 4);

	is(exo_frame_give(frames, 2), 2, "give two back");
	ok(cap_of(frames)->count == 6 && info_frame(pfn + 6)->state == EXO_FRAME_FREE, "they are free");
	is(exo_frame_give(frames, 3), -EXO_EBUSY, "BUSY: one is covered by a capability derived from this");
	is(exo_frame_give(NO_CAP, 1), -EXO_ECAP, "give CAP");
	is(exo_frame_give(console, 1), -EXO_ETYPE, "give TYPE");
	is(exo_frame_give(read_only, 1), -EXO_ERIGHTS, "give RIGHTS");
	is(exo_frame_give(frames, 0), -EXO_EINVAL, "give INVAL: none");
	is(exo_frame_give(frames, EXO_RANGE_MAX + 1), -EXO_EINVAL, "give INVAL: too many");
	is(exo_frame_give(frames, 1ULL << 32), -EXO_EINVAL, "give INVAL: beyond 32 bits");
	is(exo_frame_give(frames, 7), -EXO_ERANGE, "give RANGE");
	space_map(va, EXO_MAP_READ, frames, 5, 1);
	is(exo_frame_give(frames, 1), -EXO_EBUSY, "give BUSY: mapped");
	space_map(va, 0, 0, 0, 1);
	uint32_t slot = caps_slot();
	exo_cap_t space = made(slot, exo_space_create(slot, frames, 5));
	is(exo_frame_give(frames, 1), -EXO_EBUSY, "give BUSY: a kernel object");
	caps_delete(space);
	is(exo_frame_give(frames, 2), 2, "now they can be given");
	caps_delete(read_only);
	is(exo_frame_give(frames, 4), 4, "give all");
	is(exo_frame_give(frames, 1), -EXO_ECAP, "the empty capability is gone");
	ok(info_frame(pfn)->state == EXO_FRAME_FREE, "and all are free");
}

/* What was lent, and what the borrower has made of it. */
static void reclaim(void)
{
	exo_cap_t frames = take_frames(24), console = core_named(EXO_NAME_CONSOLE), space;
	exo_pfn_t pfn = pfn_of(frames);
	struct tiny agent;
	exo_cap_t there;
	int64_t result;

	if (!ok(agent_begin(&agent, 0), "a borrower"))
		return;
	there = (exo_cap_t)tiny_grant(&agent, frames, 20, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	is(agent_do(&agent, EXO_CALL_space_create, 21, there, 0, 0, 0, 0), (int64_t)exo_cap_make(21, 1),
	    "it makes a space of what it was lent");
	space = exo_cap_make(21, 1);
	is(agent_do(&agent, EXO_CALL_space_table, space, 0x40000000, EXO_LEVEL_512G, there, 1, 0), 0, "with tables");
	is(agent_do(&agent, EXO_CALL_space_table, space, 0x40000000, EXO_LEVEL_1G, there, 2, 0), 0, "of all levels");
	is(agent_do(&agent, EXO_CALL_space_table, space, 0x40000000, EXO_LEVEL_PAGES, there, 3, 0), 0, "down to pages");
	is(agent_do(&agent, EXO_CALL_cap_table, there, 10, 0, 0, 0, 0), 64, "and slots for itself");
	is(exo_frame_reclaim(NO_CAP, 0, 24), -EXO_ECAP, "reclaim CAP");
	is(exo_frame_reclaim(console, 0, 24), -EXO_ETYPE, "reclaim TYPE");
	is(exo_frame_reclaim(frames, 0, 0), -EXO_EINVAL, "reclaim INVAL: none");
	is(exo_frame_reclaim(frames, 0, EXO_RANGE_MAX + 1), -EXO_EINVAL, "reclaim INVAL: too many");
	is(exo_frame_reclaim(frames, 1, 24), -EXO_ERANGE, "reclaim RANGE");
	is(exo_frame_reclaim(frames, ~0ULL, 2), -EXO_ERANGE, "reclaim RANGE: wraps");
	is(exo_frame_reclaim(frames, 0, 24), -EXO_EBUSY, "reclaim BUSY: another holds them");
	is(agent_do(&agent, EXO_CALL_frame_reclaim, there, 0, 24, 0, 0, 0), -EXO_ESTATE, "reclaim STATE: derived");
	exo_cap_t weak = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 0);
	is(exo_frame_reclaim(weak, 0, 24), -EXO_ERIGHTS, "reclaim RIGHTS");
	while ((result = exo_cap_revoke(frames)) == -EXO_EAGAIN)
		;
	is(result, 0, "revoke");
	is(info_frame(pfn + 3)->state, EXO_FRAME_TABLE, "the tables are still there");
	while ((result = exo_frame_reclaim(frames, 0, 10)) == -EXO_EAGAIN)
		;
	is(result, -EXO_EBUSY, "reclaim BUSY: the root has a name");
	is(info_frame(pfn + 3)->state, EXO_FRAME_OWNED, "but the tables are gone");
	is(exo_frame_reclaim(frames, 1, 9), 0, "reclaim what can be had");
	uint32_t state = tiny_state(&agent);	/* once: it may be about to go to sleep */
	ok(state == EXO_ENV_ASLEEP || state == EXO_ENV_READY, "nobody has ended");
	while ((result = exo_frame_reclaim(frames, 0, 24)) == -EXO_EAGAIN)
		;
	is(result, 0, "reclaim all, its slots too");
	is(tiny_state(&agent), EXO_ENV_NONE, "it cannot live without them");
	result = exo_frame_reclaim(core_named(EXO_NAME_SELF), 0, 4);
	ok(result < 0, "nobody takes apart what it lives in");
	is(exo_cap_delete(frames), 0, "the frames go");
	tiny_drop(&agent);
}

/* All memory there is, then none. */
static void exhaustion(void)
{
	static exo_cap_t held[600];
	unsigned count = 0;
	uint32_t slot = 0;
	int64_t result = 0;

	while (count < 600) {
		while (count && exo_frame_take(held[count - 1], EXO_PFN_ANY, EXO_TAKE_MAX) > 0)
			;
		slot = caps_slot();
		result = slot ? exo_frame_take(slot, EXO_PFN_ANY, EXO_TAKE_MAX) : 0;
		if (result <= 0)
			break;
		held[count++] = caps_handle(slot);
	}
	is(result, -EXO_EFULL, "FULL: nothing is free (%u runs)", count);
	is(core_info->frames_free, 0, "nothing indeed");
	is(exo_frame_take(slot, EXO_PFN_ANY, 1), -EXO_EFULL, "FULL: not even one");
	bool gone = true;
	while (count)
		gone = gone && caps_delete(held[--count]) == 0;
	ok(gone && core_info->frames_free > 100, "all come back");
}

int main(void)
{
	tiny_prepare();
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		take();
		take_errors();
		zeroed();
		give();
		reclaim();
		if (round)
			exhaustion();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
