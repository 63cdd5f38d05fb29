/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attacks on objects and names: forged handles, forged badges, others' frames, one's own pages taken away, memory that
 * goes while it is in use, spaces that are shared and die by halves, counts that are driven to their end, and
 * environments killed at any moment of their work.
 */
#include "test/guest/agent.h"

#define RW	(EXO_MAP_READ | EXO_MAP_WRITE)
#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define CANARY	0xc0ffee11c0ffee11ULL

static volatile uint64_t *canary;
static exo_pfn_t canary_frame;

/* --- forging ---------------------------------------------------------------------------------------------------- */

/* Each slot that there could be, with many generations, as each kind of capability: none may do anything. */
TINY static void forger(uint64_t reasons)
{
	uint64_t slot, generation, bad = 0;

	(void)reasons;
	for (slot = 0; slot < 4200; slot++)
		for (generation = 0; generation < 4; generation++) {
			uint64_t handle = (generation == 3 ? 0xffffffff : generation) << 32 | slot;
			bad += tiny_call(EXO_CALL_cap_delete, handle, 0, 0, 0, 0, 0) != -EXO_ECAP;
			bad += tiny_call(EXO_CALL_space_write, handle, 0, 1, 0, 0, 0) != -EXO_ECAP;
			if (slot % 64 < 2) {
				bad += tiny_call(EXO_CALL_env_destroy, handle, 0, 0, 0, 0, 0) != -EXO_ECAP;
				bad += tiny_call(EXO_CALL_machine_halt, handle, 1, 0, 0, 0, 0) != -EXO_ECAP;
				bad += tiny_call(EXO_CALL_call, handle, EXO_NEVER, 0, 0, 0, 0) != -EXO_ECAP;
			}
		}
	for (slot = 0; slot < 64; slot++) {
		bad += tiny_call(EXO_CALL_console_write, 1ULL << slot, 0, 0, 0, 0, 0) != -EXO_ECAP;
		bad += tiny_call(EXO_CALL_cap_revoke, ~(1ULL << slot), 0, 0, 0, 0, 0) != -EXO_ECAP;
	}
	tiny_word(0) = bad;
	tiny_exit(bad != 0);
}

static void forging(void)
{
	struct tiny one;

	if (!ok(tiny_make(&one, forger, 0), "one that holds nothing"))
		return;
	tiny_start(&one);
	ok(tiny_await(&one, EXO_ENV_ENDED, 5000), "it tries every name");
	is((int64_t)one.word[0], 0, "none of them names anything");
	tiny_drop(&one);
}

static void badges(void)
{
	uint32_t slot = caps_slot();
	exo_cap_t entry = made(slot, exo_entry_make(slot, 0, 5));

	is(exo_cap_derive(entry, 0, caps_slot(), EXO_RIGHT_EXEC, 6, 0), -EXO_EINVAL,
	    "a badge cannot be changed by deriving");
	is(exo_cap_derive(entry, 0, caps_slot(), EXO_RIGHT_EXEC, 0, 1), -EXO_EINVAL,
	    "nor the number behind it");
	is(exo_cap_derive(core_named(EXO_NAME_ENV), 0, caps_slot(), 0, 1, 1), -EXO_EINVAL,
	    "nor that of an environment");
	is(exo_entry_make(caps_slot(), entry, 7), -EXO_ETYPE, "an entry makes no entries");
	caps_delete(entry);
}

/* --- others' frames ------------------------------------------------------------------------------------------------ */

/* Take every frame of the machine by number, write to what can be had, give it back. */
TINY static void taker(uint64_t reasons)
{
	uint64_t pfn, got = 0, bad = 0;

	(void)reasons;
	for (pfn = 0; pfn < tiny_word(1); pfn++) {
		int64_t handle = tiny_call(EXO_CALL_frame_take, 40, pfn, 1, 0, 0, 0);
		if (handle < 0) {
			bad += handle != -EXO_EBUSY && handle != -EXO_ERANGE;
			continue;
		}
		got++;
		bad += pfn == tiny_word(2);
		bad += tiny_call(EXO_CALL_cap_delete, (uint64_t)handle, 0, 0, 0, 0, 0) != 0;
	}
	tiny_word(0) = bad;
	tiny_word(3) = got;
	tiny_exit(0);
}

static void others(void)
{
	struct tiny one;

	if (!ok(tiny_make(&one, taker, 0), "one that wants every frame"))
		return;
	one.word[1] = core_info->frames_total + 100;
	one.word[2] = canary_frame;
	tiny_start(&one);
	ok(tiny_await(&one, EXO_ENV_ENDED, 5000), "it asks for all by number");
	is((int64_t)one.word[0], 0, "those in use are BUSY");
	ok(one.word[3] > 100, "it had %lu that were free", (long)one.word[3]);
	ok(canary[0] == CANARY && canary[511] == CANARY, "the test's page is as it was");
	tiny_drop(&one);
}

/* --- its own pages ----------------------------------------------------------------------------------------------------- */

TINY static void unmapper(uint64_t reasons)
{
	volatile struct exo_map *map = (volatile struct exo_map *)TINY_ARG;
	uint64_t done = tiny_word(4);

	(void)reasons;
	map->va = tiny_word(0);
	map->cap = 0;
	map->first = 0;
	map->count = (uint32_t)tiny_word(1);
	tiny_word(2) = (uint64_t)tiny_call(EXO_CALL_space_write, tiny_word(3), 0, 1, 0, 0, 0);
	tiny_word(4) = done + 1;
	if (tiny_word(5) == 1)
		tiny_disp->off = EXO_OFF_NO;
	if (tiny_word(5) == 2)
		__asm__ volatile("ud2");
	for (;;)
		tiny_sleep(EXO_NEVER);
}

static void own_pages(void)
{
	const uint64_t code = PAGE_DOWN((uint64_t)__start_tiny);
	const struct {
		uint64_t va;
		uint32_t count;
	} page[] = { { TINY_DISP, 1 }, { TINY_ARG, 1 }, { TINY_DATA, 1 }, { TINY_STACK, 1 }, { TINY_CAPS, 1 },
		{ code, 4 }, { TINY_DISP, 6 }, { 0x580000, 128 } };
	struct tiny one;
	unsigned made_count = 0, alive = 0;

	for (unsigned p = 0; p < sizeof(page) / sizeof(page[0]); p++)
		for (unsigned how = 0; how < 3; how++) {
			if (!tiny_make(&one, unmapper, 0))
				break;
			made_count++;
			one.word[0] = page[p].va;
			one.word[1] = page[p].count;
			one.word[3] = (uint64_t)tiny_grant(&one, one.space, 5, EXO_RIGHT_WRITE);
			one.word[5] = how;
			tiny_start(&one);
			core_yield(one.env);
			core_yield(one.env);
			thread_sleep(core_now() + MS / 10);
			alive += tiny_state(&one) != EXO_ENV_ENDED;
			tiny_drop(&one);
		}
	is(made_count, 24, "each of its own pages unmapped by one itself; %u live on", alive);
}

/* Its memory is taken away while it runs in it: only it suffers. */
static void cut_off(void)
{
	const unsigned parts[] = { TINY_DISP_FRAME, TINY_ARG_FRAME, TINY_DATA_FRAME, TINY_STACK_FRAME,
		TINY_CODE_FRAMES };
	struct tiny one;

	for (unsigned i = 0; i < 5; i++) {
		if (!ok(agent_begin(&one, 0), "an environment"))
			return;
		uint64_t va[] = { TINY_DISP, TINY_ARG, TINY_DATA, TINY_STACK,
			PAGE_DOWN((uint64_t)__start_tiny) };
		exo_cap_t part =
		    (exo_cap_t)caps_derive(one.frames, RWX, parts[i], i == 4 ? TINY_CODE_MAX : 1);
		unsigned pages = i == 4 ? (unsigned)(one.spare - TINY_CODE_FRAMES) : 1;
		is(write_one(one.space, va[i] | (i == 4 ? EXO_MAP_READ | EXO_MAP_EXEC : RW), part, 0, pages),
		    1, "its page through another capability");
		is(caps_delete(part), 0, "which goes");
		core_yield(one.env);
		core_yield(one.env);
		thread_sleep(core_now() + MS / 10);
		if (i == 4)
			ok(tiny_await(&one, EXO_ENV_ENDED, 5000), "without code it ends");
		is(exo_env_read(one.env, va[i], 0, 8), -EXO_ERANGE, "the page is gone");
		tiny_drop(&one);
	}
}

/* --- spaces shared by environments ----------------------------------------------------------------------------------------- */

static void shared_space(void)
{
	struct tiny one;
	exo_cap_t frames = take_frames(4);
	uint32_t slot = caps_slot();

	if (!ok(agent_begin(&one, 0), "an environment"))
		return;
	memset(core_arg(0), 0, sizeof(struct exo_env_params));
	exo_cap_t second = made(slot, exo_env_create(slot, one.space, 0, frames, 0, 0));
	ok(second != 0, "another in the same space");
	uint64_t id = 0;
	for (uint32_t i = 1; i < core_info->envs.entries; i++)
		if (info_env(i)->state == EXO_ENV_MADE)
			id = i;
	is(exo_env_start(second), 0, "it starts, without a stack or an entry");
	exo_time_t end = core_now() + 2000 * MS;
	while (info_env((uint32_t)id)->state != EXO_ENV_ENDED && core_now() < end)
		core_yield(second);
	is(info_env((uint32_t)id)->state, EXO_ENV_ENDED, "and ends at once");
	ok(info_env((uint32_t)id)->cause == 14, "by its own fault");
	is(exo_env_destroy(second), 0, "it is destroyed");
	is(agent_do(&one, EXO_CALL_null, 0, 0, 0, 0, 0, 0), 0, "the first lives on in the space");
	is(exo_cap_delete(one.space), 0, "the capability of the space goes");
	one.space = 0;
	is(agent_do(&one, EXO_CALL_null, 0, 0, 0, 0, 0, 0), 0, "it lives on");
	is(exo_cap_delete(one.frames), -EXO_EBUSY, "its frames cannot go");
	tiny_drop(&one);
	caps_delete(second);
	caps_delete(frames);
}

/* Who is destroyed by whom it serves, or serves whom it destroys. */
static void entangled(void)
{
	struct tiny a, b;
	uint32_t slot = caps_slot(), slot_b;

	if (!ok(agent_begin(&a, 0) && agent_begin(&b, 0), "two that know each other"))
		return;
	exo_cap_t to_a = made(slot, exo_entry_make(slot, a.env, 1));
	slot_b = caps_slot();
	exo_cap_t to_b = made(slot_b, exo_entry_make(slot_b, b.env, 2));
	uint64_t env_b_at_a =
	    (uint64_t)tiny_grant(&a, b.env, 5, EXO_RIGHT_CONTROL | EXO_RIGHT_READ | EXO_RIGHT_GRANT);
	uint64_t call_b_at_a = (uint64_t)tiny_grant(&a, to_b, 6, EXO_RIGHT_EXEC);
	uint64_t env_a_at_b =
	    (uint64_t)tiny_grant(&b, a.env, 5, EXO_RIGHT_CONTROL | EXO_RIGHT_READ | EXO_RIGHT_GRANT);
	b.word[SERVE] = SERVE_SLEEP;
	agent_do(&a, EXO_CALL_call, call_b_at_a, EXO_NEVER, 1, 2, 3, 4);
	is(tiny_state(&a), EXO_ENV_CALLING, "one waits for the other");
	int64_t result;
	do
		result = agent_do(&b, EXO_CALL_env_destroy, env_a_at_b, 0, 0, 0, 0, 0);
	while (result == -EXO_EAGAIN);
	is(result, 0, "which destroys it instead of replying");
	is(agent_do(&b, EXO_CALL_reply, 1, 2, 3, 4, 5, 0), -EXO_ESTATE, "and has nobody to reply to");
	tiny_drop(&a);
	ok(agent_begin(&a, 0), "a third");
	env_b_at_a = (uint64_t)tiny_grant(&a, b.env, 7, EXO_RIGHT_CONTROL | EXO_RIGHT_READ | EXO_RIGHT_GRANT);
	b.word[SERVE] = SERVE_SLEEP;
	uint64_t word[4] = { 0 };
	is(exo_call(to_b, core_now() + 5 * MS, word), -EXO_ETIME, "the test gives up on it");
	do
		result = agent_do(&a, EXO_CALL_env_destroy, env_b_at_a, 0, 0, 0, 0, 0);
	while (result == -EXO_EAGAIN);
	is(result, 0, "the third destroys it");
	is(exo_env_destroy(b.env), -EXO_EDEAD, "twice is once too often");
	is(agent_do(&a, EXO_CALL_env_destroy, env_b_at_a, 0, 0, 0, 0, 0), -EXO_EDEAD, "for everybody");
	caps_delete(to_a), caps_delete(to_b);
	tiny_drop(&b);
	tiny_drop(&a);
}

/* --- counts at their end -------------------------------------------------------------------------------------------------- */

#define HOLDERS 17

/* 65535 capabilities over one frame, and of one space, in the tables of seventeen environments. */
static void counts(void)
{
	static struct tiny holder[HOLDERS];
	exo_cap_t frames = take_frames(2), table[HOLDERS], space;
	int64_t result = 0, of_space = 0;
	uint32_t total = 1, slot = caps_slot(), spaces = 1;

	space = made(slot, exo_space_create(slot, frames, 1));
	for (unsigned i = 0; i < HOLDERS; i++) {
		table[i] = take_frames(24);
		while (table[i] && cap_of(table[i])->count < 63)
			if (exo_frame_take(table[i], EXO_PFN_ANY,
				63 - cap_of(table[i])->count < 24 ? 63 - cap_of(table[i])->count : 24) <= 0)
				break;
		if (!agent_begin(&holder[i], 0))
			break;
		uint64_t there = (uint64_t)tiny_grant(&holder[i], table[i], 1, RWX);
		for (unsigned f = 0; f < 63; f++)
			agent_do(&holder[i], EXO_CALL_cap_table, there, f, 0, 0, 0, 0);
	}
	for (unsigned i = 0; i < HOLDERS && result >= 0; i++)
		for (uint32_t at = 2; at < 4096; at++) {
			result = exo_cap_derive(frames, holder[i].env, at, EXO_RIGHT_READ, 0, 1);
			if (result < 0)
				break;
			total++;
		}
	is(result, -EXO_EFULL, "derive FULL");
	is(total, 65535, "as many capabilities cover the frame as can");
	is(exo_cap_derive(frames, 0, caps_slot(), EXO_RIGHT_READ, 0, 2), -EXO_EFULL, "FULL: of two frames");
	unsigned calls = 1;
	while ((result = exo_cap_revoke(frames)) == -EXO_EAGAIN)
		calls++;
	is(result, 0, "revoked, in %u calls", calls);
	is(info_frame(pfn_of(frames))->holds, 1, "one is left");
	for (unsigned i = 0; i < HOLDERS && of_space >= 0; i++)
		for (uint32_t at = 2; at < 4096; at++) {
			of_space = exo_cap_derive(space, holder[i].env, at, EXO_RIGHT_READ, 0, 0);
			if (of_space < 0)
				break;
			spaces++;
		}
	is(of_space, -EXO_EFULL, "derive FULL: of a space");
	is(spaces, 65535, "as many name the space as can");
	exo_cap_t four = take_frames(4);
	memset(core_arg(0), 0, sizeof(struct exo_env_params));
	is(exo_env_create(caps_slot(), space, 0, four, 0, 0), -EXO_EFULL,
	    "env_create FULL: no more in this space");
	for (unsigned i = 0; i < HOLDERS; i++) {
		tiny_drop(&holder[i]);
		if (table[i])
			caps_delete(table[i]);
	}
	is(caps_delete(space), 0, "the space goes");
	caps_delete(four);
	is(caps_delete(frames), 0, "and the frames");
}

/* --- killed at any moment ----------------------------------------------------------------------------------------------------- */

/* Works with everything that it may have, for ever. */
TINY static void worker(uint64_t reasons)
{
	volatile struct exo_map *map = (volatile struct exo_map *)TINY_ARG;
	uint64_t slot, i;

	(void)reasons;
	for (;;) {
		for (slot = 10; slot < 20; slot++) {
			int64_t frames = tiny_call(EXO_CALL_frame_take, slot, EXO_PFN_ANY, 5, 0, 0, 0);
			if (frames < 0)
				continue;
			map->va = (TINY_CAPS + 0x1000 + (slot - 10) * 0x1000) | RW;
			map->cap = (uint64_t)frames;
			map->first = 0;
			map->count = 1;
			tiny_call(EXO_CALL_space_write, tiny_word(0), 0, 1, 0, 0, 0);
			*(volatile uint64_t *)(TINY_CAPS + 0x1000 + (slot - 10) * 0x1000) = slot;
			int64_t space =
			    tiny_call(EXO_CALL_space_create, slot + 10, (uint64_t)frames, 1, 0, 0, 0);
			tiny_call(EXO_CALL_space_table, (uint64_t)space, 0, 3, (uint64_t)frames, 2, 0);
			tiny_call(EXO_CALL_cap_derive, (uint64_t)frames, 0, slot + 20, EXO_RIGHT_READ, 0, 1);
			tiny_call(EXO_CALL_cap_derive, (uint64_t)space, tiny_word(2), slot + 20,
			    EXO_RIGHT_READ, 0, 0);
		}
		tiny_call(EXO_CALL_call, tiny_word(1), EXO_NEVER, 1, 2, 3, 4);
		for (slot = 10; slot < 40; slot++)
			for (i = 1; i < 4000; i++) {
				uint64_t handle =
				    (uint64_t)((volatile struct exo_cap *)TINY_CAPS)[slot].generation << 32 |
				    slot;
				if (tiny_call(EXO_CALL_cap_delete, handle, 0, 0, 0, 0, 0) != -EXO_EAGAIN)
					break;
			}
		tiny_word(3)++;
	}
}

static void killed(unsigned rounds, uint64_t seed)
{
	struct tiny server, one;
	uint32_t slot = caps_slot();
	uint64_t done = 0, state = seed | 1;
	unsigned bad = 0, made_count = 0, was[8] = { 0 };

	if (!ok(agent_begin(&server, 0), "a server"))
		return;
	exo_cap_t entry = made(slot, exo_entry_make(slot, server.env, 3));
	struct books before = books_now();
	for (unsigned i = 0; i < rounds && !bad; i++) {
		state ^= state << 13, state ^= state >> 7, state ^= state << 17;
		if (!tiny_make(&one, worker, 0))
			break;
		made_count++;
		one.word[0] = (uint64_t)tiny_grant(&one, one.space, 1, RWX & 3);
		one.word[1] = (uint64_t)tiny_grant(&one, entry, 2, EXO_RIGHT_EXEC);
		one.word[2] = (uint64_t)tiny_grant(&one, server.env, 3, EXO_RIGHT_GRANT);
		server.word[SERVE] = state >> 20 & 3 ? SERVE_REPLY : SERVE_SLEEP;
		tiny_start(&one);
		core_yield(one.env);
		thread_sleep(core_now() + (state >> 30) % 400000);
		was[tiny_state(&one) & 7]++;
		done += one.word[3];
		while (exo_env_destroy(one.env) == -EXO_EAGAIN)
			;
		/* What it has given to the server lives on: it goes by the server's hand. */
		for (uint32_t at = 30; at < 40; at++)
			agent_do(&server, EXO_CALL_cap_delete, exo_cap_make(at, i + 1), 0, 0, 0, 0, 0);
		tiny_drop(&one);
		struct exo_cap there;
		for (uint32_t at = 30; at < 40; at++)
			if (exo_env_read(server.env, TINY_CAPS + at * 64, 0, 64) == 64) {
				memcpy(&there, core_arg(0), 64);
				/* Generations differ when it had not come so far. */
				if (there.type) {
					while (agent_do(&server, EXO_CALL_cap_delete,
						   exo_cap_make(at, there.generation), 0, 0, 0, 0,
						   0) == -EXO_EAGAIN)
						;
				}
			}
		struct books after = books_now();
		if (after.free != before.free || after.own != before.own ||
		    (i % 50 == 0 && !frames_consistent())) {
			bad++;
			printf("# round %u: %u free, %u before; %u own, %u before\n", i, after.free,
			    before.free, after.own, before.own);
		}
	}
	ok(made_count == rounds && !bad, "%u killed at any moment: nothing of them is left", made_count);
	ok(done > rounds / 4, "they had done some work (%lu rounds; %u ready, %u asleep, %u in a transfer)",
	    (long)done, was[EXO_ENV_READY], was[EXO_ENV_ASLEEP], was[EXO_ENV_CALLING]);
	is(agent_do(&server, EXO_CALL_null, 0, 0, 0, 0, 0, 0), 0, "their server lives");
	caps_delete(entry);
	tiny_drop(&server);
}

int main(void)
{
	uint64_t seed = call_option("seed", 1);
	struct books before;
	exo_cap_t page;

	tiny_prepare();
	printf("# seed %lu\n", (long)seed);
	canary = (volatile uint64_t *)vm_addresses(EXO_PAGE_SIZE);
	page = take_frames(1);
	space_map((exo_vaddr_t)canary, RW, page, 0, 1);
	canary_frame = pfn_of(page);
	for (unsigned i = 0; i < 512; i++)
		canary[i] = CANARY;
	before = books_now();
	forging();
	badges();
	others();
	own_pages();
	cut_off();
	shared_space();
	entangled();
	counts();
	killed(call_option("long", 0) ? 100000 : 300, seed * 0x9e3779b97f4a7c15);
	ok(books_same(before), "the books are even");
	bool same = true;
	for (unsigned i = 0; i < 512; i++)
		same = same && canary[i] == CANARY;
	ok(same, "a page of the test's is as it was");
	caps_delete(page);
	return call_done();
}
