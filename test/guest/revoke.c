/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Revocation as a promise: a tenant that answers loses nothing that it needs, one that ignores everything
 * loses exactly what was demanded, from where it is said to, and still runs; what was spilled reads back;
 * whatever it has disguised its frames as, they come back. And games with capabilities: deep, broad, stale,
 * retyped, in flight. Runs first: yes
 * Run with: --icount
 */
#define TINIES_MAX 40
#include <exo/account.h>
#include "test/guest/agent.h"

#define RW     (EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define RWX    (RW | EXO_RIGHT_EXEC)
#define ANSWER (50 * MS)
#define MAPPED 0x580000ULL /* where a tiny environment has nothing */

/* Two accounts, the first of which is due frames, with an agent that asks for them. */
static struct tenants {
	exo_cap_t frames, due, owes;
	struct tiny asks;
	exo_cap_t from; /* owes, in its table */
} t;

static int64_t share(exo_cap_t account, uint32_t frames)
{
	struct exo_shares *want = core_arg(0);

	memset(want, 0, sizeof(*want));
	for (unsigned kind = 0; kind < EXO_SHARES; kind++)
		want->share[kind].limit = EXO_UNLIMITED;
	want->share[EXO_SHARE_FRAMES].guaranteed = frames;
	want->answer_ns = ANSWER;
	return exo_account_share(core_named(EXO_NAME_ACCOUNT), account, 0);
}

static bool begin(uint32_t due, uint32_t own)
{
	uint32_t slot = caps_slot();

	t.frames = take_frames(2);
	t.due = made(slot, exo_account_make(slot, core_named(EXO_NAME_ACCOUNT), t.frames, 0, EXO_UNLIMITED));
	slot = caps_slot();
	t.owes = made(slot, exo_account_make(slot, core_named(EXO_NAME_ACCOUNT), t.frames, 1, EXO_UNLIMITED));
	tiny_account = t.due;
	bool good = !share(t.due, due) && !share(t.owes, own) && agent_begin(&t.asks, 0);
	t.from = (exo_cap_t)tiny_grant(&t.asks, t.owes, 20, EXO_RIGHT_READ);
	tiny_account = t.owes;
	return ok(good && (int64_t)t.from > 0, "%u frames are due to one, %u to the other", due, own);
}

static void end(void)
{
	tiny_account = 0;
	tiny_drop(&t.asks);
	is(exo_cap_delete(t.due) | exo_cap_delete(t.owes) | exo_cap_delete(t.frames), 0, "the accounts go");
}

static int64_t demand(uint32_t count)
{
	return agent_do(&t.asks, EXO_CALL_demand, t.from, EXO_TYPE_FRAME, count, 0, 0, 0);
}

/* Take by force, once it is time, until there is nothing to take; how much that was. */
static uint32_t force(void)
{
	exo_time_t until = core_now() + ANSWER;
	uint32_t sum = 0;
	int64_t result;

	while (core_now() < until)
		;
	while ((result = agent_do(&t.asks, EXO_CALL_repossess, t.from, 0, 0, 0, 0, 0)) >= 0 ||
	       result == -EXO_EAGAIN)
		sum += result > 0 ? (uint32_t)result : 0;
	return sum;
}

/* `count` frames in a row in one slot of an agent's table. */
static exo_cap_t agent_take(const struct tiny *agent, uint32_t slot, uint32_t count)
{
	uint32_t pfn = core_info->frames_total, run = 0, have, n;
	int64_t handle, more = 1;

	while (run < count && --pfn)
		run = info_frame(pfn)->state == EXO_FRAME_FREE ? run + 1 : 0;
	handle = agent_do(agent, EXO_CALL_frame_take, slot, pfn, count < 24 ? count : 24, 0, 0, 0);
	for (have = 24; handle > 0 && have < count && more > 0; have += (uint32_t)more) {
		n = count - have < 24 ? count - have : 24;
		more = agent_do(agent, EXO_CALL_frame_take, (uint64_t)handle, EXO_PFN_ANY, n, 0, 0, 0);
	}
	return handle > 0 && more > 0 ? (exo_cap_t)handle : 0;
}

/* --- those who are asked -------------------------------------------------------------------------------- */

enum { KEEPS = 60, GAVE, EVENTS };

/* Gives frames back from the end of the capability in word KEEPS when it is asked, and counts. */
TINY static void cooperates(uint64_t reasons)
{
	volatile struct exo_abort *abort = &tiny_disp->abort;

	(void)reasons;
	for (;;) {
		uint64_t pending = __atomic_exchange_n(&tiny_disp->pending, 0, __ATOMIC_SEQ_CST);

		if (pending & EXO_EVENT_DEMAND) {
			tiny_word(EVENTS)++;
			tiny_word(GAVE) = (uint64_t)tiny_call(
			    EXO_CALL_frame_give, tiny_word(KEEPS), abort->demand_count, 0, 0, 0, 0);
		}
		if (!tiny_word(KEEPS))
			tiny_word(KEEPS) = (uint64_t)tiny_call(
			    EXO_CALL_frame_take, 30, EXO_PFN_ANY, 24, 0, 0, 0);
		tiny_sleep(EXO_NEVER);
	}
}

static void cooperative(void)
{
	struct tiny tenant;

	if (!begin(40, 10) || !ok(tiny_make(&tenant, cooperates, 0), "a tenant that answers"))
		return;
	tiny_start(&tenant);
	ok(tiny_await(&tenant, EXO_ENV_ASLEEP, 5000) && (int64_t)tenant.word[KEEPS] > 0, "has 24 frames");
	is(demand(14), 0, "14 are demanded");
	ok(tiny_await(&tenant, EXO_ENV_ASLEEP, 5000), "it runs");
	is(tenant.word[EVENTS], 1, "it is told");
	is(tenant.word[GAVE], 14, "and gives 14");
	ok(t.asks.disp->pending & EXO_EVENT_ANSWERED, "the one who asked is told");
	is(agent_do(&t.asks, EXO_CALL_repossess, t.from, 0, 0, 0, 0, 0), -EXO_ESTATE,
	    "there is nothing to be forced");
	is(tenant.disp->abort.lost, 0, "it has lost nothing else");
	is(core_info->frames_promised, 14, "14 are kept");
	is(agent_do(&t.asks, EXO_CALL_frame_take, 30, EXO_PFN_ANY, 14, 0, 0, 0), (int64_t)exo_cap_make(30, 1),
	    "and taken");
	is(demand(1), -EXO_ESTATE, "nobody asks for what is within its guarantee");
	tiny_drop(&tenant);
	end();
}

/* Ignores demands, but sees what it has lost. */
TINY static void hoards(uint64_t reasons)
{
	if (tiny_disp->pending & EXO_EVENT_LOST)
		tiny_word(EVENTS)++;
	tiny_disp->pending = 0;
	agent_run(reasons);
}

static bool hoarder_begin(struct tiny *hoarder)
{
	if (!ok(tiny_make(hoarder, hoards, 0) && tiny_start(hoarder) &&
		    tiny_await(hoarder, EXO_ENV_ASLEEP, 5000),
		"a hoarder"))
		return false;
	return ok((int64_t)tiny_grant(hoarder, hoarder->space, 3, EXO_RIGHT_WRITE) > 0, "with its space");
}

/* It has two runs, the lower of which is its guarantee, maps all, and loses exactly what was asked. */
static void ignores(void)
{
	struct tiny hoarder;
	exo_cap_t low, high, space = exo_cap_make(3, 1);
	unsigned bad = 0;

	if (!begin(200, 24) || !hoarder_begin(&hoarder))
		return;
	low = agent_take(&hoarder, 10, 24);
	high = agent_take(&hoarder, 40, 100);
	ok(low && high, "which takes 24 and 100 frames");
	volatile struct exo_map *map = (volatile struct exo_map *)hoarder.arg;
	*map = (struct exo_map){ MAPPED | EXO_MAP_READ | EXO_MAP_WRITE, high, 0, 100, 0 };
	is(agent_do(&hoarder, EXO_CALL_space_write, space, 0, 1, 0, 0, 0), 1, "maps them");
	is(demand(70), 0, "70 are demanded");
	const uint32_t before = tiny_info(&hoarder)->frames, free_before = core_info->frames_free;
	hoarder.disp->abort.spill = low;
	hoarder.disp->abort.spill_next = 14;
	is(force(), 70, "70 are taken");
	is(tiny_info(&hoarder)->frames, before - 70, "it has 70 less");
	is(core_info->frames_free, free_before + 70, "they are free");
	is(core_info->frames_promised, 70, "for the one who asked");
	tiny_await(&hoarder, EXO_ENV_ASLEEP, 5000);
	ok(hoarder.word[EVENTS] > 0, "it still runs and is told");
	ok(hoarder.disp->abort.lost > 0 && hoarder.disp->abort.loss[0].slot == 40, "what it has lost");
	is(hoarder.disp->abort.spill_next, 24, "as much is spilled as there was room");
	*map = (struct exo_map){ MAPPED | EXO_MAP_READ, 0, 0, 100, 0 };
	is(agent_do(&hoarder, EXO_CALL_space_write, space, 0, 1, 0, 0, 0), 1, "its page tables say");
	for (unsigned i = 0; i < 30; i++)
		bad += exo_env_read(hoarder.env, MAPPED + i * EXO_PAGE_SIZE, 0, 8) != 8;
	for (unsigned i = 30; i < 100; i++)
		bad += exo_env_read(hoarder.env, MAPPED + i * EXO_PAGE_SIZE, 0, 8) != -EXO_ERANGE;
	is(bad, 0, "what has gone and what has not");
	is(demand(30), 0, "the rest beyond its guarantee is demanded");
	is(force(), 30, "and taken");
	is(tiny_info(&hoarder)->frames, 24, "its guarantee is all that it has left");
	is(demand(1), -EXO_ESTATE, "that stays");
	is(agent_do(&hoarder, EXO_CALL_null, 0, 0, 0, 0, 0, 0), 0, "it still runs");
	tiny_drop(&hoarder);
	end();
}

/* What it writes before comes back from where it is spilled, byte for byte. */
static void spilled(void)
{
	struct tiny hoarder;
	exo_cap_t low, high, space = exo_cap_make(3, 1);
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);
	unsigned bad = 0, seen = 0;

	if (!begin(100, 24) || !hoarder_begin(&hoarder))
		return;
	low = agent_take(&hoarder, 10, 24);
	high = agent_take(&hoarder, 40, 20);
	exo_cap_t mine = 0;
	int64_t there = exo_cap_derive(core_named(EXO_NAME_ENV), hoarder.env, 50, EXO_RIGHT_GRANT, 0, 0);
	uint32_t slot = caps_slot(), slot2 = caps_slot();
	is(agent_do(&hoarder, EXO_CALL_cap_derive, high, (uint64_t)there, slot, RW, 0, 20),
	    (int64_t)caps_handle(slot), "its frames, seen from here");
	mine = caps_handle(slot);
	for (unsigned i = 0; i < 20; i++) {
		bad += space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, mine, i, 1) != 0;
		for (unsigned k = 0; k < 512; k++)
			((volatile uint64_t *)va)[k] = i << 20 | k;
	}
	is(bad, 0, "are filled");
	is(agent_do(&hoarder, EXO_CALL_cap_derive, low, (uint64_t)there, slot2, EXO_RIGHT_READ, 0, 24),
	    (int64_t)caps_handle(slot2), "and where they will go");
	hoarder.disp->abort.spill = low;
	hoarder.disp->abort.spill_next = 0;
	is(demand(20), 0, "20 are demanded");
	is(force(), 20, "and taken");
	is(cap_of(mine)->type, EXO_TYPE_NONE, "what was derived has gone with them");
	for (uint64_t n = 0; n < hoarder.disp->abort.lost; n++) {
		struct exo_loss loss = hoarder.disp->abort.loss[n];

		for (uint32_t i = 0; i < loss.count; i++, seen++) {
			bad += space_map(va, EXO_MAP_READ, caps_handle(slot2), loss.spilled + i, 1) != 0;
			uint64_t which = ((volatile uint64_t *)va)[0] >> 20;
			for (unsigned k = 0; k < 512; k++)
				bad += ((volatile uint64_t *)va)[k] != (which << 20 | k);
			if (n && !i)
				continue;
		}
	}
	ok(!bad && seen == 20, "every byte is found again (%u frames, %u words are not)", seen, bad);
	space_map(va, 0, 0, 0, 1);
	caps_delete(caps_handle(slot2));
	(void)space;
	tiny_drop(&hoarder);
	end();
}

/* It makes page tables of all that it has; it gives all to a friend; it moves all while the time runs. */
static void disguised(void)
{
	struct tiny hoarder, friend;
	exo_cap_t run, peer;
	uint32_t own;
	int64_t space;
	unsigned tables = 0;

	if (!begin(300, 20) || !hoarder_begin(&hoarder))
		return;
	run = agent_take(&hoarder, 40, 96);
	own = core_info->frames_free;
	space = agent_do(&hoarder, EXO_CALL_space_create, 41, run, 0, 0, 0, 0);
	for (unsigned i = 1; i < 96 && !agent_do(&hoarder, EXO_CALL_space_table, (uint64_t)space,
					   (uint64_t)i << 39, EXO_LEVEL_512G, run, i, 0);
	     i++)
		tables++;
	is(tables, 95, "95 page tables and a root");
	is(demand(76), 0, "76 are demanded");
	is(force(), 76, "and come back");
	ok(tiny_state(&hoarder) == EXO_ENV_NONE || tiny_state(&hoarder) == EXO_ENV_ENDED,
	    "which has cost its life");
	ok(core_info->frames_free >= own + 76, "they are free");
	tiny_drop(&hoarder);

	tiny_account = 0;
	if (!ok(agent_begin(&friend, 0), "a friend"))
		return;
	tiny_account = t.owes;
	if (!hoarder_begin(&hoarder))
		return;
	run = agent_take(&hoarder, 40, 72);
	peer = (exo_cap_t)exo_cap_derive(friend.env, hoarder.env, 50, EXO_RIGHT_GRANT, 0, 0);
	is(agent_do(&hoarder, EXO_CALL_cap_derive, run, peer, 30, RWX, 0, 72), (int64_t)exo_cap_make(30, 1),
	    "gets all there is");
	is(agent_do(&hoarder, EXO_CALL_cap_delete, run, 0, 0, 0, 0, 0), 0, "and alone has it");
	is(demand(50), 0, "50 are demanded");
	is(agent_do(&friend, EXO_CALL_cap_derive, exo_cap_make(30, 1), 0, 31, RW, 20, 52),
	    (int64_t)exo_cap_make(31, 1), "it moves some");
	is(force(), 50, "50 come back all the same");
	ok(friend.disp->abort.lost > 0, "and it is told");
	is(agent_do(&friend, EXO_CALL_cap_revoke, exo_cap_make(30, 1), 0, 0, 0, 0, 0), 0,
	    "what it had moved goes");
	is(agent_do(&friend, EXO_CALL_frame_give, exo_cap_make(30, 1), 22, 0, 0, 0, 0), 22,
	    "the rest is still there");
	tiny_drop(&hoarder);
	tiny_drop(&friend);
	end();
}

enum { FROM = 70, COUNT, UNTIL, LONGEST, TAKEN, CALLS, OVER };

/* Demands, waits until the time in word UNTIL, then takes by force and counts the kernel's instructions. */
TINY static void forces(uint64_t reasons)
{
	uint32_t low, high;
	uint64_t since, took;
	int64_t result;

	if (tiny_word(FROM) && tiny_word(COUNT)) {
		tiny_word(OVER) = (uint64_t)tiny_call(
		    EXO_CALL_demand, tiny_word(FROM), EXO_TYPE_FRAME, tiny_word(COUNT), 0, 0, 0);
		tiny_word(COUNT) = 0;
		for (;;)
			tiny_sleep(tiny_word(UNTIL));
	}
	while (tiny_word(FROM) && (reasons & EXO_RUN_TIME)) {
		__asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
		since = (uint64_t)high << 32 | low;
		result = tiny_call(EXO_CALL_repossess, tiny_word(FROM), 0, 0, 0, 0, 0);
		__asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
		took = ((uint64_t)high << 32 | low) - since;
		tiny_word(CALLS)++;
		if (result < 0 && result != -EXO_EAGAIN) {
			tiny_word(FROM) = 0;
			tiny_word(OVER) = (uint64_t)result;
			break;
		}
		if (took > tiny_word(LONGEST))
			tiny_word(LONGEST) = took;
		if (result > 0)
			tiny_word(TAKEN) += (uint64_t)result;
	}
	for (;;)
		tiny_sleep(tiny_word(FROM) ? tiny_word(UNTIL) : EXO_NEVER);
}

static inline uint64_t count(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

/* Does the kernel look through everything after each call? Then it takes as long. */
static bool checked(void)
{
	uint64_t since = count();

	exo_cap_delete(NO_CAP);
	return count() - since > 100000;
}

/* However much there is to be searched, a call is short: 1,500 frames, mapped, and 600 derived. */
static void bounded(void)
{
	struct tiny hoarder, taker;
	exo_cap_t run, table, space = exo_cap_make(3, 1);
	unsigned good = 0;

	if (!begin(3000, 0) || !hoarder_begin(&hoarder))
		return;
	run = agent_take(&hoarder, 20, 1500);
	table = agent_take(&hoarder, 21, 16);
	volatile struct exo_map *map = (volatile struct exo_map *)hoarder.arg;
	for (unsigned i = 0; i < 15; i++) {
		*map = (struct exo_map){ (0x450000 + i % 4 * 0x64000) | EXO_MAP_READ, run, 100 * i, 100, 0 };
		good += agent_do(&hoarder, EXO_CALL_space_write, space, 0, 1, 0, 0, 0) == 1;
	}
	is(good, 15, "1,500 frames, mapped");
	for (unsigned i = 0; i < 14; i++)
		good += agent_do(&hoarder, EXO_CALL_cap_table, table, i, 0, 0, 0, 0) > 0;
	for (unsigned i = 0; i < 600; i++)
		good += agent_do(&hoarder, EXO_CALL_cap_derive, run, 0, 100 + i, RW, 1499 - i,
			    i % 2 ? 1 + i / 10 : 1) > 0;
	is(good, 629, "900 slots, 600 derived");
	tiny_account = t.due;
	if (!ok(tiny_make(&taker, forces, 0), "a taker"))
		return;
	taker.word[FROM] = (uint64_t)tiny_grant(&taker, t.owes, 20, EXO_RIGHT_READ);
	taker.word[COUNT] = 1400;
	taker.word[UNTIL] = core_now() + 2 * ANSWER;
	tiny_start(&taker);
	for (exo_time_t limit = core_now() + 5000 * MS; taker.word[FROM] && core_now() < limit;)
		core_sleep(core_now() + 500 * MS, core_disp->events); /* so that nobody runs in between */
	is((int64_t)taker.word[OVER], -EXO_ESTATE, "it takes by force until the demand has ended");
	is(taker.word[TAKEN], 1400, "1,400");
	ok(taker.word[LONGEST] < 20000 || checked(),
	    "in %u calls, the longest of which takes %u instructions", (unsigned)taker.word[CALLS],
	    (unsigned)taker.word[LONGEST]);
	tiny_drop(&taker);
	tiny_drop(&hoarder);
	end();
}

/* --- games with capabilities ---------------------------------------------------------------------------- */

/* A tree as deep as can be, each level of which has many, in two tables; 1,000 right below one. */
static void trees(void)
{
	exo_cap_t frames = take_frames(4), chain = frames;
	unsigned made_here = 0, calls = 0, deep = 1;
	struct tiny other;
	int64_t result = 0;

	if (!ok(agent_begin(&other, 0), "another table"))
		return;
	for (deep = 1; deep < 20; deep++) {
		for (unsigned i = 0; i < 3; i++)
			made_here += exo_cap_derive(
					 chain, other.env, 20 + 3 * (deep - 1) % 40 + i, RW, 0, 1) > 0;
		result = caps_derive(chain, RWX, 0, 0);
		if (result < 0)
			break;
		chain = (exo_cap_t)result;
	}
	ok(result == -EXO_EDEPTH && deep == 16, "16 derivations deep");
	ok(made_here > 30, "with %u more in another's table", made_here);
	uint64_t lost = other.disp->abort.lost;
	while ((result = exo_cap_revoke(frames)) == -EXO_EAGAIN)
		calls++;
	is(result, 0, "revoked");
	is(info_frame(pfn_of(frames))->holds, 1, "one hold is left");
	is(other.disp->abort.lost - lost, made_here, "the other reads each loss");
	const volatile struct exo_loss *loss =
	    &other.disp->abort.loss[(other.disp->abort.lost - 1) % EXO_LOSSES];
	ok(loss->why == EXO_LOSS_REVOKED && loss->what == EXO_TYPE_FRAME && loss->first == pfn_of(frames),
	    "and what it was");
	made_here = 0;
	uint64_t longest = 0, took;
	for (unsigned i = 0; i < 40; i++)
		made_here += exo_cap_derive(frames, other.env, 20 + i, RW, 0, 4) > 0;
	do {
		took = count();
		result = exo_cap_revoke(frames);
		took = count() - took;
		longest = took > longest ? took : longest;
	} while (result == -EXO_EAGAIN);
	ok(made_here == 40 && (longest < 20000 || checked()), "40 losses of another's: %u instructions at most",
	    (unsigned)longest);
	made_here = 0;
	for (unsigned i = 0; i < 1000; i++)
		made_here += caps_derive(frames, EXO_RIGHT_READ, i % 4, 1) > 0;
	is(made_here, 1000, "1,000 right below");
	for (calls = 1; (result = exo_cap_revoke(frames)) == -EXO_EAGAIN; calls++)
		;
	ok(result == 0 && calls >= 1000 / EXO_UNWIND_MAX, "revoked in %u calls", calls);
	is(info_frame(pfn_of(frames))->holds, 1, "one hold is left");
	tiny_drop(&other);
	is(exo_cap_delete(frames), 0, "the frames go");
}

/* Slices that were bound through a derived capability are nobody's when that is revoked. */
static void slices(void)
{
	uint32_t slot = caps_slot();
	exo_cap_t all = made(slot, exo_slice_take(slot, 0, 40, 6)),
		  part = (exo_cap_t)caps_derive(all, EXO_RIGHT_BIND, 2, 3);
	struct tiny one;

	if (!ok(all && (int64_t)part > 0 && agent_begin(&one, 0), "slices and whom to bind them to"))
		return;
	is(exo_slice_bind(part, one.env), 3, "three are bound");
	is(info_slice(42)->env, (uint32_t)one.id, "as can be read");
	while (exo_cap_revoke(all) == -EXO_EAGAIN)
		;
	ok(!info_slice(42)->env && info_slice(42)->taken, "revoke unbinds them");
	is(exo_slice_bind(part, one.env), -EXO_ECAP, "for good");
	tiny_drop(&one);
	is(exo_cap_delete(all), 0, "the slices go");
	ok(!info_slice(42)->taken, "and are free");
}

/* Entries of an environment go with what they were made through; stale names; what is mapped. */
static void names(void)
{
	exo_cap_t frames = take_frames(8);
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);
	struct tiny server;
	uint32_t slot = caps_slot(), entry_slot = caps_slot();

	if (!ok(agent_begin(&server, 0), "a server"))
		return;
	exo_cap_t through = (exo_cap_t)caps_derive(server.env, EXO_RIGHT_READ | EXO_RIGHT_CONTROL, 0, 0);
	exo_cap_t entry = made(entry_slot, exo_entry_make(entry_slot, through, 7));
	ok(entry != 0, "an entry made through a derived capability");
	int64_t copy = tiny_grant(&server, entry, 40, EXO_RIGHT_EXEC);
	ok(copy > 0, "and given on");
	while (exo_cap_revoke(server.env) == -EXO_EAGAIN)
		;
	is(cap_of(entry)->type, EXO_TYPE_NONE, "it goes when that is revoked");
	is(exo_send(entry, 1, 2, 3, 4), -EXO_ECAP, "and reaches nobody");
	is(agent_do(&server, EXO_CALL_send, (uint64_t)copy, 1, 2, 3, 4, 0), -EXO_ECAP, "nor does the copy");

	exo_cap_t stale[40];
	unsigned bad = 0;
	for (unsigned i = 0; i < 40; i++) {
		stale[i] = (exo_cap_t)exo_cap_derive(frames, 0, slot, EXO_RIGHT_READ, i % 8, 1);
		bad += exo_cap_delete(stale[i]) != 0;
	}
	exo_cap_t now = (exo_cap_t)exo_cap_derive(frames, 0, slot, EXO_RIGHT_READ, 0, 1);
	for (unsigned i = 0; i < 40; i++)
		bad += exo_cap_delete(stale[i]) != -EXO_ECAP || exo_cap_revoke(stale[i]) != -EXO_ECAP ||
		       exo_cap_derive(stale[i], 0, slot, 0, 0, 1) != -EXO_ECAP;
	ok(!bad && cap_of(now)->type == EXO_TYPE_FRAME,
	    "none of 40 stale names reaches what is in the slot now");
	is(exo_cap_derive(now, 0, caps_slot(), EXO_RIGHT_READ, 0, 2), -EXO_ERANGE,
	    "nothing beyond the parent's range");
	is(exo_cap_derive(now, 0, caps_slot(), RW, 0, 1), -EXO_ERIGHTS, "nor its rights");
	caps_delete(now);

	space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, frames, 3, 1);
	is(exo_space_create(slot, frames, 3), -EXO_EBUSY, "what is mapped is not retyped: space");
	is(exo_cap_table(frames, 3), -EXO_EBUSY, "table");
	is(exo_account_make(slot, core_named(EXO_NAME_ACCOUNT), frames, 3, 0), -EXO_EBUSY, "account");
	space_map(va, 0, 0, 0, 1);
	exo_cap_t space = made(slot, exo_space_create(slot, frames, 3));
	is(space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, frames, 3, 1), -EXO_ESTATE,
	    "nor is what was retyped mapped to write");
	caps_delete(space);
	tiny_drop(&server);
	is(exo_cap_delete(frames), 0, "the frames go");
}

/* The entry, the caller's and the server's capabilities go while a transfer is in flight. */
static void in_flight(void)
{
	struct tiny server, caller;
	uint32_t slot = caps_slot();

	if (!ok(agent_begin(&server, 0) && agent_begin(&caller, 0), "a server and a caller"))
		return;
	server.word[SERVE] = SERVE_SLEEP;
	exo_cap_t through = (exo_cap_t)caps_derive(server.env, EXO_RIGHT_READ | EXO_RIGHT_CONTROL, 0, 0);
	exo_cap_t entry = made(slot, exo_entry_make(slot, through, 9));
	int64_t there = tiny_grant(&caller, entry, 40, EXO_RIGHT_EXEC);
	caller.word[CALL] = EXO_CALL_call;
	caller.word[ARGS] = (uint64_t)there;
	caller.word[ARGS + 1] = core_now() + 300 * MS;
	caller.word[ASKED]++;
	core_yield(caller.env);
	ok(tiny_await(&caller, EXO_ENV_CALLING, 5000), "a transfer that waits for its reply");
	while (exo_cap_revoke(server.env) == -EXO_EAGAIN)
		;
	is(cap_of(entry)->type, EXO_TYPE_NONE, "its entry is revoked");
	is(tiny_state(&caller), EXO_ENV_CALLING, "the transfer goes on");
	ok(tiny_await(&caller, EXO_ENV_ASLEEP, 5000), "until its time is over");
	is((int64_t)caller.word[RESULT], -EXO_ETIME, "which the caller is told");
	is(agent_do(&caller, EXO_CALL_call, (uint64_t)there, core_now() + 10 * MS, 0, 0, 0, 0), -EXO_ECAP,
	    "it cannot call again");
	tiny_drop(&caller);
	tiny_drop(&server);
}

int main(void)
{
	tiny_prepare();
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		cooperative();
		ignores();
		spilled();
		disguised();
		bounded();
		trees();
		slices();
		names();
		in_flight();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
