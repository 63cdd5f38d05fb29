/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cap_derive, cap_delete, cap_revoke, cap_table: what they do, each of their errors, and abuse.
 */
#include "test/guest/tiny.h"

#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)

TINY static void idle(uint64_t reasons)
{
	(void)reasons;
	for (;;)
		tiny_sleep(EXO_NEVER);
}

static int64_t derive(exo_cap_t source, uint64_t slot, uint64_t rights, uint64_t first, uint64_t count)
{
	return exo_cap_derive(source, 0, slot, rights, first, count);
}

static void part(exo_cap_t frames)
{
	uint32_t slot = caps_slot();
	int64_t child = derive(frames, slot, EXO_RIGHT_READ, 2, 3);

	ok(child == (int64_t)caps_handle(slot), "derive a part");
	const struct exo_cap *cap = cap_of((exo_cap_t)child);
	ok(cap->type == EXO_TYPE_FRAME && cap->first == pfn_of(frames) + 2u && cap->count == 3 &&
		cap->rights == EXO_RIGHT_READ,
	    "it covers these frames with this right");
	ok(info_frame(pfn_of(frames) + 3)->holds == 2 && info_frame(pfn_of(frames))->holds == 1,
	    "holds are counted");
	int64_t all = derive(frames, caps_slot(), RWX, 0, 0);
	ok(all > 0 && cap_of((exo_cap_t)all)->count == 8, "count 0 is all");
	is(exo_cap_delete((exo_cap_t)child), 0, "delete");
	is(exo_cap_delete((exo_cap_t)child), -EXO_ECAP, "delete CAP: it is gone");
	is(derive((exo_cap_t)child, caps_slot(), 0, 0, 1), -EXO_ECAP, "derive CAP: stale");
	int64_t again = derive(frames, slot, EXO_RIGHT_READ, 0, 1);
	ok(again != child && (uint32_t)again == slot, "the slot's next capability has another handle");
	is(exo_cap_delete((exo_cap_t)again), 0, "delete that");
	is(exo_cap_delete((exo_cap_t)all), 0, "and the other");
	ok(info_frame(pfn_of(frames) + 3)->holds == 1, "holds are back");
}

static void extend(void)
{
	exo_cap_t info = core_named(EXO_NAME_INFO);
	uint32_t count = cap_of(info)->count;
	exo_cap_t frames = take_frames(12);
	int64_t child = derive(frames, caps_slot(), EXO_RIGHT_READ, 0, 4);

	is(derive(frames, (uint64_t)child, EXO_RIGHT_READ, 4, 3), 3, "a child grows at its end");
	is(cap_of((exo_cap_t)child)->count, 7, "by as many");
	is(derive(frames, (uint64_t)child, EXO_RIGHT_READ, 8, 1), -EXO_ERANGE, "RANGE: not the next");
	is(derive(frames, (uint64_t)child, RWX, 7, 1), -EXO_EINVAL, "INVAL: other rights");
	is(derive(info, (uint64_t)child, EXO_RIGHT_READ, 0, 1), -EXO_EINVAL, "INVAL: another source");
	is(derive(frames, (uint64_t)child + (1ULL << 32), EXO_RIGHT_READ, 7, 1), -EXO_ECAP,
	    "CAP: no such child");
	is(derive(frames, core_named(EXO_NAME_CONSOLE), EXO_RIGHT_READ, 7, 1), -EXO_ETYPE,
	    "TYPE: of the child");
	is(derive(frames, frames, RWX, 0, 1), -EXO_EINVAL, "INVAL: it is not its own child");
	caps_delete((exo_cap_t)child);
	child = derive(info, caps_slot(), EXO_RIGHT_READ, 0, count > 300 ? 300 : count);
	ok(child > 0 && cap_of((exo_cap_t)child)->count <= EXO_RANGE_MAX,
	    "no more than the bound in one call (%u)", cap_of((exo_cap_t)child)->count);
	caps_delete((exo_cap_t)child);
	caps_delete(frames);
}

static void errors(exo_cap_t frames)
{
	exo_cap_t console = core_named(EXO_NAME_CONSOLE), env = core_named(EXO_NAME_ENV);
	uint32_t slot = caps_slot();
	exo_cap_t weak_env = (exo_cap_t)caps_derive(env, EXO_RIGHT_READ, 0, 0);
	exo_cap_t no_rights = (exo_cap_t)caps_derive(frames, 0, 0, 2);

	is(derive(NO_CAP, slot, 0, 0, 0), -EXO_ECAP, "CAP");
	is(derive(frames + (1ULL << 32), slot, 0, 0, 0), -EXO_ECAP, "CAP: generation");
	is(exo_cap_derive(frames, NO_CAP, slot, 0, 0, 0), -EXO_ECAP, "CAP: env");
	is(exo_cap_derive(frames, console, slot, 0, 0, 0), -EXO_ETYPE, "TYPE: env");
	is(exo_cap_derive(frames, weak_env, slot, 0, 0, 0), -EXO_ERIGHTS, "RIGHTS: env without GRANT");
	is(derive(no_rights, slot, EXO_RIGHT_READ, 0, 1), -EXO_ERIGHTS, "RIGHTS: more than the source's");
	is(derive(frames, slot, 0x8000, 0, 1), -EXO_ERIGHTS, "RIGHTS: a bit that is none");
	is(derive(frames, slot, RWX | 1ULL << 32, 0, 1), -EXO_ERIGHTS, "RIGHTS: beyond 32 bits");
	is(derive(frames, exo_cap_slot(frames), 0, 0, 1), -EXO_ESLOT, "SLOT: in use");
	is(derive(frames, 0, 0, 0, 1), -EXO_ESLOT, "SLOT: 0");
	is(derive(frames, NO_SLOT, 0, 0, 1), -EXO_ESLOT, "SLOT: beyond the table");
	is(derive(frames, 64ULL * 64, 0, 0, 1), -EXO_ESLOT, "SLOT: beyond the largest table");
	is(derive(frames, slot, 0, 8, 1), -EXO_ERANGE, "RANGE: first");
	is(derive(frames, slot, 0, 0, 9), -EXO_ERANGE, "RANGE: count");
	is(derive(frames, slot, 0, 7, ~0ULL), -EXO_ERANGE, "RANGE: a sum that wraps");
	is(derive(frames, slot, 0, 1ULL << 32, 1), -EXO_ERANGE, "RANGE: beyond 32 bits");
	is(derive(console, slot, 0, 1, 0), -EXO_EINVAL, "INVAL: first of a type without ranges");
	is(derive(console, slot, 0, 0, 1), -EXO_EINVAL, "INVAL: count of a type without ranges");
	is(exo_cap_delete(NO_CAP), -EXO_ECAP, "delete CAP");
	is(exo_cap_delete(0), -EXO_ECAP, "delete CAP: slot 0");
	is(exo_cap_revoke(NO_CAP), -EXO_ECAP, "revoke CAP");
	ok(caps_at(slot)->type == EXO_TYPE_NONE, "nothing has come into the slot");
	caps_delete(no_rights);
	caps_delete(weak_env);
}

static void depth(exo_cap_t frames)
{
	exo_cap_t chain[20];
	unsigned made_count = 0;
	int64_t result = 0;

	while (made_count < 20) {
		result = caps_derive(made_count ? chain[made_count - 1] : frames, RWX, 0, 1);
		if (result < 0)
			break;
		chain[made_count++] = (exo_cap_t)result;
	}
	is(result, -EXO_EDEPTH, "DEPTH");
	is(made_count, 15, "sixteen in a chain");
	is(exo_cap_delete(chain[3]), 0, "one of the middle goes");
	result = caps_derive(chain[14], RWX, 0, 1);
	ok(result > 0, "there is room for one more below then");
	while (exo_cap_revoke(frames) == -EXO_EAGAIN)
		;
	ok(cap_of(chain[14])->type == EXO_TYPE_NONE && cap_of((exo_cap_t)result)->type == EXO_TYPE_NONE,
	    "revoke reaches all of them");
	is(exo_cap_delete(chain[14]), -EXO_ECAP, "they name nothing");
}

/* A tree as broad as the budget of several calls, with mappings made through its leaves. */
static void revoke(exo_cap_t frames)
{
	exo_vaddr_t va = vm_addresses(8 * EXO_PAGE_SIZE);
	exo_cap_t child[150];
	bool good = true;
	unsigned calls = 1, state = 0;

	for (unsigned i = 0; i < 150; i++) {
		child[i] = (exo_cap_t)caps_derive(i < 10 ? frames : child[i / 10 - 1], RWX, 0, 8);
		good = good && (int64_t)child[i] > 0;
	}
	ok(good, "a tree of 150");
	for (unsigned i = 0; i < 8; i++)
		good = good &&
		       !space_map(va + i * EXO_PAGE_SIZE, EXO_MAP_READ | EXO_MAP_WRITE, child[140 + i], i, 1);
	*(volatile char *)va = 1;
	ok(good, "pages mapped through its leaves");
	int64_t result = exo_cap_revoke(frames);
	is(result, -EXO_EAGAIN, "AGAIN: not in one call");
	is(derive(frames, caps_slot(), RWX, 0, 1), -EXO_ESTATE, "STATE: nothing is derived meanwhile");
	for (unsigned i = 0; i < 150; i++)
		if (cap_of(child[i])->type != EXO_TYPE_NONE) {
			state = derive(child[i], caps_slot(), RWX, 0, 1) == -EXO_ESTATE;
			break;
		}
	ok(state, "STATE: nor further below");
	for (; result == -EXO_EAGAIN; calls++)
		result = exo_cap_revoke(frames);
	is(result, 0, "revoked");
	ok(calls >= 3 && calls < 30, "in %u calls", calls);
	for (unsigned i = 0; i < 150; i++)
		good = good && cap_of(child[i])->type == EXO_TYPE_NONE;
	ok(good && info_frame(pfn_of(frames))->holds == 1, "all are gone");
	volatile struct exo_map *map = descriptor(0, va, 0, 0, 8);
	bool unmapped = exo_space_write(core_named(EXO_NAME_SPACE), 0, 1) == 1 && map->old == 0;
	ok(unmapped, "nothing is mapped there any more");
	result = derive(frames, caps_slot(), RWX, 0, 1);
	ok(result > 0, "deriving works again");
	caps_delete((exo_cap_t)result);
}

static void deletion(void)
{
	exo_vaddr_t va = vm_addresses(200 * EXO_PAGE_SIZE);
	exo_cap_t frames = take_frames(1), parent = take_frames(4);
	unsigned calls = 1;
	int64_t result;

	for (unsigned i = 0; i < 200; i++)
		space_map(va + i * EXO_PAGE_SIZE, EXO_MAP_READ, frames, 0, 1);
	result = exo_cap_delete(frames);
	is(result, -EXO_EAGAIN, "delete AGAIN: 200 pages are mapped through it");
	is(derive(frames, caps_slot(), RWX, 0, 1), -EXO_ECAP, "it names nothing from then on");
	is(write_one(core_named(EXO_NAME_SPACE), va | EXO_MAP_READ, frames, 0, 1), -EXO_ECAP,
	    "nor can it be mapped");
	for (; result == -EXO_EAGAIN; calls++)
		result = exo_cap_delete(frames);
	is(result, 0, "deleted");
	ok(calls >= 4 && calls <= 6, "in %u calls", calls);
	exo_cap_t child = (exo_cap_t)caps_derive(parent, RWX, 0, 4),
		  below = (exo_cap_t)caps_derive(child, RWX, 1, 2);
	is(exo_cap_delete(child), 0, "one with a child goes");
	ok(cap_of(below)->type == EXO_TYPE_FRAME, "the child stays");
	is(exo_cap_delete(parent), 0, "the one above goes, too");
	is(info_frame((uint32_t)cap_of(below)->first)->holds, 1, "its frames are held by the child alone");
	is(exo_cap_delete(below), 0, "the last goes");
}

static void objects(void)
{
	exo_cap_t frames = take_frames(2);
	uint32_t slot = caps_slot();
	exo_cap_t space = made(slot, exo_space_create(slot, frames, 1));

	ok(space != 0, "a space in the second of two frames");
	is(exo_cap_delete(frames), -EXO_EBUSY, "delete BUSY: a kernel object lies in it");
	exo_cap_t child = (exo_cap_t)caps_derive(frames, RWX, 1, 1);
	is(exo_cap_delete(frames), 0, "it is not the last one now");
	is(exo_cap_delete(child), -EXO_EBUSY, "but this is");
	is(exo_cap_delete(space), 0, "the space goes");
	is(exo_cap_delete(child), 0, "then its frame can go");
}

static void others(void)
{
	struct tiny tiny;
	exo_cap_t frames = take_frames(2);

	if (!ok(tiny_make(&tiny, idle, 0), "another environment"))
		return;
	int64_t there = exo_cap_derive(frames, tiny.env, 50, EXO_RIGHT_READ, 0, 1);
	is(there, (int64_t)exo_cap_make(50, 1), "derive into its table");
	is(exo_cap_derive(frames, tiny.env, 50, EXO_RIGHT_READ, 0, 1), -EXO_ESLOT, "SLOT: in use there");
	is(exo_cap_derive(frames, tiny.env, 64, EXO_RIGHT_READ, 0, 1), -EXO_ESLOT, "SLOT: not there");
	ok(caps_at(50)->type == EXO_TYPE_NONE, "nothing comes into the own one");
	while (exo_cap_revoke(frames) == -EXO_EAGAIN)
		;
	is(info_frame(pfn_of(frames))->holds, 1, "revoke reaches into its table");
	is(exo_cap_derive(frames, tiny.env, 50, EXO_RIGHT_READ, 0, 1), (int64_t)exo_cap_make(50, 2), "again");
	tiny_start(&tiny);
	tiny_await(&tiny, EXO_ENV_ASLEEP, 5000);
	while (exo_env_destroy(tiny.env) == -EXO_EAGAIN)
		;
	is(exo_cap_derive(frames, tiny.env, 6, EXO_RIGHT_READ, 0, 1), -EXO_EDEAD, "DEAD");
	is(info_frame(pfn_of(frames))->holds, 1, "what it held is dropped");
	exo_cap_t dead = tiny.env;
	tiny.env = 0;
	caps_delete(dead);
	tiny_drop(&tiny);
	caps_delete(frames);
}

static void table(void)
{
	exo_cap_t frames = take_frames(4), space = core_named(EXO_NAME_SPACE);
	exo_cap_t read_only = (exo_cap_t)caps_derive(frames, EXO_RIGHT_READ, 0, 0);
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);

	is(exo_cap_table(NO_CAP, 0), -EXO_ECAP, "table CAP");
	is(exo_cap_table(space, 0), -EXO_ETYPE, "table TYPE");
	is(exo_cap_table(read_only, 0), -EXO_ERIGHTS, "table RIGHTS");
	is(exo_cap_table(frames, 4), -EXO_ERANGE, "table RANGE");
	is(exo_cap_table(frames, ~0ULL), -EXO_ERANGE, "table RANGE: wraps");
	space_map(va, EXO_MAP_READ, frames, 1, 1);
	is(exo_cap_table(frames, 1), -EXO_EBUSY, "table BUSY: mapped");
	space_map(va, 0, 0, 0, 1);
	uint32_t slot = caps_slot();
	exo_cap_t root = made(slot, exo_space_create(slot, frames, 2));
	is(exo_cap_table(frames, 2), -EXO_EBUSY, "table BUSY: a kernel object");
	caps_delete(root);
	caps_delete(read_only);
	caps_delete(frames);
}

/* In a tiny environment, because a table does not shrink. */
TINY static void grow(uint64_t reasons)
{
	(void)reasons;
	for (uint64_t i = 0; i < 64; i++)
		tiny_word(i) = (uint64_t)tiny_call(EXO_CALL_cap_table, tiny_word(100), i, 0, 0, 0, 0);
	tiny_word(64) = (uint64_t)tiny_call(EXO_CALL_cap_derive, tiny_word(100), 0, 4095, 1, 0, 1);
	tiny_word(65) = (uint64_t)tiny_call(EXO_CALL_cap_derive, tiny_word(100), 0, 64, 1, 0, 1);
	tiny_word(66) = (uint64_t)tiny_call(EXO_CALL_cap_delete, tiny_word(64), 0, 0, 0, 0, 0);
	tiny_exit(0);
}

static void full_table(void)
{
	struct books before = books_now();
	struct tiny tiny;
	bool good = true;
	exo_cap_t frames = take_frames(24);
	uint32_t taken = 24;

	while (taken < 64 && exo_frame_take(frames, EXO_PFN_ANY, 64 - taken < 24 ? 64 - taken : 24) > 0)
		taken = cap_of(frames)->count;
	if (!ok(taken == 64 && tiny_make(&tiny, grow, 0), "64 frames for a table"))
		return;
	tiny.word[100] = (uint64_t)tiny_grant(&tiny, frames, 1, RWX);
	tiny_start(&tiny);
	ok(tiny_await(&tiny, EXO_ENV_ENDED, 5000), "its table grows");
	for (unsigned i = 0; i < 63; i++)
		good = good && tiny.word[i] == (i + 1) * EXO_CAPS_PER_FRAME;
	ok(good, "by 64 slots at a time");
	is((int64_t)tiny.word[63], -EXO_EFULL, "table FULL");
	is((int64_t)tiny.word[64], (int64_t)exo_cap_make(4095, 1), "its last slot can be used");
	is((int64_t)tiny.word[65], (int64_t)exo_cap_make(64, 1), "and the first new one");
	is((int64_t)tiny.word[66], 0, "and be emptied");
	tiny_drop(&tiny);
	is(exo_cap_delete(frames), 0, "the frames come back");
	ok(books_same(before), "the books are even");
}

int main(void)
{
	exo_cap_t frames;

	tiny_prepare();
	for (int round = 0; round < 2; round++) { /* the own table has grown in the second */
		struct books before = books_now();
		frames = take_frames(8);
		part(frames);
		extend();
		errors(frames);
		depth(frames);
		revoke(frames);
		deletion();
		objects();
		others();
		table();
		is(exo_cap_delete(frames), 0, "the frames go");
		if (round)
			ok(books_same(before), "the books are even");
	}
	full_table();
	return call_done();
}
