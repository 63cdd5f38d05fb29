/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frame_take, frame_give, account_make: what they do, each of their errors, and abuse.
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

static void account(void)
{
	exo_cap_t root = core_named(EXO_NAME_ACCOUNT), frames = take_frames(12),
		  console = core_named(EXO_NAME_CONSOLE);
	exo_cap_t read_only = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 0);
	exo_cap_t weak = (exo_cap_t)caps_derive(root, EXO_RIGHT_READ, 0, 0);
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);
	uint32_t slot = caps_slot();
	int64_t handle = exo_account_make(slot, root, frames, 0, 10);

	is(handle, (int64_t)caps_handle(slot), "account_make");
	ok(caps_at(slot)->type == EXO_TYPE_ACCOUNT && caps_at(slot)->rights == cap_of(root)->rights,
	    "a child's capability");
	is(info_frame(pfn_of(frames))->state, EXO_FRAME_ACCOUNT, "in this frame");
	is(exo_account_make(slot, root, frames, 1, 10), -EXO_ESLOT, "account SLOT: in use");
	slot = caps_slot();
	is(exo_account_make(NO_SLOT, root, frames, 1, 10), -EXO_ESLOT, "account SLOT: none");
	is(exo_account_make(slot, NO_CAP, frames, 1, 10), -EXO_ECAP, "account CAP: parent");
	is(exo_account_make(slot, console, frames, 1, 10), -EXO_ETYPE, "account TYPE: parent");
	is(exo_account_make(slot, weak, frames, 1, 10), -EXO_ERIGHTS, "account RIGHTS: parent");
	is(exo_account_make(slot, root, NO_CAP, 1, 10), -EXO_ECAP, "account CAP: frames");
	is(exo_account_make(slot, root, console, 1, 10), -EXO_ETYPE, "account TYPE: frames");
	is(exo_account_make(slot, root, read_only, 1, 10), -EXO_ERIGHTS, "account RIGHTS: frames");
	is(exo_account_make(slot, root, frames, 12, 10), -EXO_ERANGE, "account RANGE");
	is(exo_account_make(slot, root, frames, 1, 1ULL << 32), -EXO_EINVAL, "account INVAL: limit");
	is(exo_account_make(slot, root, frames, 0, 10), -EXO_EBUSY, "account BUSY: a kernel object");
	space_map(va, EXO_MAP_READ, frames, 1, 1);
	is(exo_account_make(slot, root, frames, 1, 10), -EXO_EBUSY, "account BUSY: mapped");
	space_map(va, 0, 0, 0, 1);
	exo_cap_t last = (exo_cap_t)handle;
	uint32_t depth = 0;
	for (int64_t result = handle; result > 0 && depth < 10;) {
		last = (exo_cap_t)result;
		slot = caps_slot();
		result = exo_account_make(slot, last, frames, ++depth, 10);
		if (result < 0)
			is(result, -EXO_EDEPTH, "account DEPTH");
	}
	ok(depth > 4 && depth <= 8, "after %u", depth);
	caps_delete(read_only);
	is(exo_cap_delete(frames), -EXO_EBUSY, "the frames of accounts cannot go");
	int64_t more;
	while ((more = exo_cap_revoke((exo_cap_t)handle)) == -EXO_EAGAIN)
		;
	is(more, 0, "revoke them");
	is(exo_cap_delete((exo_cap_t)handle), 0, "delete the first");
	is(info_frame(pfn_of(frames))->state, EXO_FRAME_OWNED, "its frame is ordinary again");
	caps_delete(weak);
	is(exo_cap_delete(frames), 0, "the frames go");
}

static void quota(void)
{
	exo_cap_t root = core_named(EXO_NAME_ACCOUNT), frames = take_frames(2);
	uint32_t slot = caps_slot();
	struct tiny agent;

	exo_cap_t outer = made(slot, exo_account_make(slot, root, frames, 0, 5));
	slot = caps_slot();
	exo_cap_t inner = made(slot, exo_account_make(slot, outer, frames, 1, 1000));
	tiny_account = inner;
	if (!ok(outer && inner && agent_begin(&agent, 0), "an environment with a limit above its own"))
		return;
	tiny_account = 0;
	is(agent_do(&agent, EXO_CALL_frame_take, 40, EXO_PFN_ANY, 6, 0, 0, 0), -EXO_EQUOTA, "QUOTA: at once");
	is(agent_do(&agent, EXO_CALL_frame_take, 40, EXO_PFN_ANY, 4, 0, 0, 0), (int64_t)exo_cap_make(40, 1),
	    "4 of 5");
	is(agent_do(&agent, EXO_CALL_frame_take, 41, EXO_PFN_ANY, 2, 0, 0, 0), -EXO_EQUOTA, "QUOTA: beyond");
	is(agent_do(&agent, EXO_CALL_frame_take, exo_cap_make(40, 1), EXO_PFN_ANY, 2, 0, 0, 0), -EXO_EQUOTA,
	    "QUOTA: at the end of one");
	is(agent_do(&agent, EXO_CALL_frame_take, exo_cap_make(40, 1), EXO_PFN_ANY, 1, 0, 0, 0), 1,
	    "the fifth");
	is(agent_do(&agent, EXO_CALL_frame_give, exo_cap_make(40, 1), 3, 0, 0, 0, 0), 3, "giving makes room");
	is(agent_do(&agent, EXO_CALL_frame_take, 41, EXO_PFN_ANY, 3, 0, 0, 0), (int64_t)exo_cap_make(41, 1),
	    "again");
	is(tiny_info(&agent)->frames, 5, "all are counted");
	is(exo_cap_delete(outer), 0, "an account's capability goes");
	is(exo_cap_delete(inner), 0, "and the other");
	is(info_frame(pfn_of(frames))->state, EXO_FRAME_ACCOUNT,
	    "the account stays while somebody is charged");
	tiny_drop(&agent);
	is(info_frame(pfn_of(frames) + 1)->state, EXO_FRAME_OWNED, "and goes with the last");
	is(exo_cap_delete(frames), 0, "the frames go");
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
		account();
		quota();
		if (round)
			exhaustion();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
