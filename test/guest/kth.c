/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The k-th resource is not to be had, for every k: an account's limit rises by one until a call succeeds. Until then the
 * call must say QUOTA, and nothing may have changed: neither the account's use nor the books. Where a call takes frames
 * of the caller's, the capability is too short by one, two, ... instead, and the error is RANGE. Then the same for what
 * libOSes do: making an environment, and starting one that loads a program, clones a copy-on-write region, takes memory
 * and starts threads, with each limit on frames: an error comes back, or the child ends by its own fault, and nothing is lost.
 * Runs first: yes
 * Run with: --net user
 * Time limit: 120 s
 */
#include <exo/account.h>
#include <exo/flow.h>
#include "libos/core/code.h"
#include "libos/core/insn.h"
#include "libos/vm/cow.h"
#include "test/guest/agent.h"
#include "test/guest/family.h"

#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define EXTRA	8

static exo_cap_t account, account_frame;
static const volatile struct exo_account *view;
static struct tiny agent;

static int64_t limit(unsigned kind, uint32_t most)
{
	struct exo_shares *want = core_arg(0);

	memset(want, 0, sizeof(*want));
	for (unsigned i = 0; i < EXO_SHARES; i++)
		want->share[i].limit = i == kind ? most : EXO_UNLIMITED;
	want->answer_ns = core_info->slice_ns;
	return exo_account_share(core_named(EXO_NAME_ACCOUNT), account, 0);
}

static bool used_same(const uint32_t *used)
{
	bool same = true;

	for (unsigned i = 0; i < EXO_SHARES; i++)
		same = same && view->share[i].used == used[i];
	return same;
}

/* The agent's call `number` needs `need` of a kind. Its result, with its slot free again for `slot` > 0. */
static int64_t rising(const char *name, unsigned kind, uint32_t need, uint64_t number, const uint64_t *a)
{
	struct books before = books_now();
	uint32_t used[EXO_SHARES], bad = 0, k = 0;
	int64_t result = -EXO_EQUOTA;

	for (unsigned i = 0; i < EXO_SHARES; i++)
		used[i] = view->share[i].used;
	for (; k < 64; k++) {
		bad += limit(kind, used[kind] + k) != 0;
		unsigned tries = 0;
		do	/* a flow's program is made in several steps */
			result = agent_do(&agent, number, a[0], a[1], a[2], a[3], a[4], a[5]);
		while (result == -EXO_EAGAIN && tries++ < 1000);
		if (result >= 0)
			break;
		bad += result != -EXO_EQUOTA || !used_same(used);
		bad += books_now().free != before.free || books_now().own != before.own;
	}
	ok(!bad && result >= 0 && k == need, "%s: with %u of %u, QUOTA and nothing has changed", name, k, need);
	limit(kind, EXO_UNLIMITED);
	return result;
}

static void drop(int64_t cap)
{
	while (agent_do(&agent, EXO_CALL_cap_delete, (uint64_t)cap, 0, 0, 0, 0, 0) == -EXO_EAGAIN)
		;
}

static void calls(void)
{
	uint32_t spare = agent.spare;
	uint64_t own = (uint64_t)exo_cap_derive(agent.frames, agent.env, 5, RWX, spare, EXTRA), grown;
	uint64_t net = (uint64_t)tiny_grant(&agent, core_named(EXO_NAME_NET), 6,
	    EXO_RIGHT_READ | EXO_RIGHT_CLAIM | EXO_RIGHT_BIND);
	uint64_t space = (uint64_t)tiny_grant(&agent, agent.space, 7, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	volatile struct exo_claim *claim = (volatile struct exo_claim *)agent.arg;

	grown = (uint64_t)rising("frame_take", EXO_SHARE_FRAMES, 5, EXO_CALL_frame_take,
	    (const uint64_t[6]){ 20, EXO_PFN_ANY, 5 });
	drop((int64_t)grown);
	drop(rising("slice_take", EXO_SHARE_SLICES, 4, EXO_CALL_slice_take, (const uint64_t[6]){ 20, 0, 8, 4 }));
	memset((void *)agent.arg, 0, sizeof(struct exo_env_params));
	grown = (uint64_t)rising("env_create", EXO_SHARE_ENVS, 1, EXO_CALL_env_create,
	    (const uint64_t[6]){ 20, space, 0, own, 0, 0 });
	while (agent_do(&agent, EXO_CALL_env_destroy, grown, 0, 0, 0, 0, 0) == -EXO_EAGAIN)
		;
	drop((int64_t)grown);
	memset((void *)agent.arg, 0, sizeof(*claim));
	claim->terms = 1;
	claim->term[0] = (struct exo_term){ .offset = 12, .width = 2, .mask = 0xffff, .value = 0x1234 };
	grown = (uint64_t)rising("flow_make", EXO_SHARE_FLOWS, 1, EXO_CALL_flow_make,
	    (const uint64_t[6]){ 20, net, own, 0, 0 });
	space_map(tiny_window(&agent, 3), EXO_MAP_READ | EXO_MAP_WRITE, agent.frames, spare + 1, 1);
	((volatile struct exo_ring *)tiny_window(&agent, 3))->rx_frames = 2;
	rising("flow_bind", EXO_SHARE_RINGS, 3 + 7, EXO_CALL_flow_bind,
	    (const uint64_t[6]){ grown, own, 1, own, 1, 7 });
	drop((int64_t)grown);
	space_map(tiny_window(&agent, 3), 0, EXO_CAP_NONE, 0, 1);
	drop((int64_t)own);
}

/* Accounts below accounts, until there are too many. */
static void account_depth(void)
{
	exo_cap_t chain[20], frames = take_frames(20), above = account;
	unsigned depth = 0, bad = 0;
	int64_t result = 1;

	while (depth < 20 && result > 0) {
		uint32_t slot = caps_slot();
		result = exo_account_make(slot, above, frames, depth, 10);
		if (result > 0)
			above = chain[depth++] = (exo_cap_t)result;
		else
			bad += caps_at(slot)->type != EXO_TYPE_NONE ||
			    info_frame(pfn_of(frames) + depth)->state != EXO_FRAME_OWNED;
	}
	ok(result == -EXO_EDEPTH && !bad, "accounts: DEPTH after %u, and nothing has changed", depth);
	while (depth--)
		caps_delete(chain[depth]);
	is(caps_delete(frames), 0, "their frames go");
}

/* No slot of the table is free: whatever slot a call names, it says SLOT, before anything else has changed. */
static void table_full(void)
{
	uint64_t own = (uint64_t)exo_cap_derive(agent.frames, agent.env, 5, RWX, agent.spare, EXTRA);
	uint64_t above = (uint64_t)tiny_grant(&agent, account, 6, EXO_RIGHT_READ | EXO_RIGHT_CONTROL);
	uint64_t space = (uint64_t)tiny_grant(&agent, agent.space, 7, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	uint64_t net = (uint64_t)tiny_grant(&agent, core_named(EXO_NAME_NET), 8, EXO_RIGHT_READ | EXO_RIGHT_CLAIM);
	uint64_t self = (uint64_t)tiny_grant(&agent, agent.env, 9, EXO_RIGHT_READ | EXO_RIGHT_CONTROL);
	uint32_t used[EXO_SHARES], bad = 0, slot;
	struct books before;

	for (slot = 1; slot < EXO_CAPS_PER_FRAME; slot++)
		if (slot < 5 || slot > 9)
			tiny_grant(&agent, agent.space, slot, EXO_RIGHT_READ);
	before = books_now();
	for (unsigned i = 0; i < EXO_SHARES; i++)
		used[i] = view->share[i].used;
	for (slot = 0; slot <= EXO_CAPS_PER_FRAME; slot++) {
#define SLOT(call, ...) \
		bad += agent_do(&agent, EXO_CALL_##call, slot, __VA_ARGS__) != -EXO_ESLOT
		SLOT(frame_take, EXO_PFN_ANY, 1, 0, 0, 0);
		SLOT(space_create, own, 0, 0, 0, 0);
		SLOT(env_create, space, 0, own, 0, 0);
		SLOT(slice_take, 0, 8, 1, 0, 0);
		SLOT(entry_make, self, 1, 0, 0, 0);
		SLOT(flow_make, net, own, 0, 0, 0);
		SLOT(account_make, above, own, 0, 10, 0);
		bad += agent_do(&agent, EXO_CALL_cap_derive, own, 0, slot, EXO_RIGHT_READ, 0, 1) != -EXO_ESLOT;
		bad += exo_cap_derive(account_frame, agent.env, slot, EXO_RIGHT_READ, 0, 1) != -EXO_ESLOT;
		if (bad) {
			printf("# slot %u: %u are wrong\n", slot, bad);
			break;
		}
	}
	ok(!bad && used_same(used) && books_now().free == before.free && books_now().own == before.own,
	    "a table that is full: SLOT for each slot, and nothing has changed");
	is(agent_do(&agent, EXO_CALL_cap_table, own, 0, 0, 0, 0, 0), EXO_CAPS_PER_FRAME, "one frame more of it");
	ok(agent_do(&agent, EXO_CALL_frame_take, EXO_CAPS_PER_FRAME, EXO_PFN_ANY, 1, 0, 0, 0) > 0, "is room again");
}

/* The capability covers k frames; `need` would do. */
static void frames_short(void)
{
	const exo_vaddr_t far = 0x100000000000;
	exo_cap_t frames = take_frames(8), space, part;
	uint32_t slot = caps_slot(), bad = 0;

	space = made(slot, exo_space_create(slot, frames, 7));
	struct books before = books_now();
	for (uint32_t k = 1; k < 4; k++) {
		part = (exo_cap_t)caps_derive(frames, RWX, 0, k);
		slot = caps_slot();
		bad += exo_env_create(slot, space, 0, part, 0, 0) != -EXO_ERANGE;
		bad += exo_space_table(space, far, EXO_LEVEL_512G, part, k) != -EXO_ERANGE;
		bad += exo_space_create(slot, part, k) != -EXO_ERANGE;
		bad += exo_account_make(slot, core_named(EXO_NAME_ACCOUNT), part, k, 10) != -EXO_ERANGE;
		bad += exo_cap_table(part, k) != -EXO_ERANGE;
		bad += exo_code_load(slot, part, 0, k + 1) != -EXO_ERANGE;
		bad += exo_trace(agent.env, part, 0, k + 1, 1) != -EXO_ERANGE;
		bad += exo_cap_derive(part, 0, slot, RWX, 0, k + 1) != -EXO_ERANGE;
		bad += exo_frame_give(part, k + 1) != -EXO_ERANGE;
		bad += write_one(space, far | EXO_MAP_READ, part, 0, k + 1) >= 1;
		bad += caps_at(slot)->type != EXO_TYPE_NONE;
		caps_delete(part);
		for (uint32_t i = 0; i < 7; i++)
			bad += info_frame(pfn_of(frames) + i)->state != EXO_FRAME_OWNED;
		if (bad)
			printf("# with %u frames: %u are wrong\n", k, bad), k = 4;
	}
	ok(!bad && books_same(before), "frames that are missing: RANGE, and nothing has changed");
	caps_delete(space);
	caps_delete(frames);
}

/* --- libOSes -------------------------------------------------------------------------------------------- */

static void thread_of_child(void *arg)
{
	memset(arg, 1, 8192);
}

static int copies(void)
{
	struct cow region;
	struct cow_ticket *ticket;
	struct cow_twin twin;
	uint32_t first;

	if (!cow_make(&region, 40))
		return 4;
	for (uint32_t i = 0; i < 40; i++)
		*(volatile uint64_t *)area_page(&region.area, i) = i;
	ticket = malloc(cow_ticket_bytes(&region));
	if (!ticket)
		return 2;
	first = caps_slots(4);
	if (!first || cow_clone(&region, EXO_CAP_NONE, first, ticket, &twin))
		return 5;
	for (uint32_t i = 0; i < ticket->runs; i++)
		caps_delete(ticket->run[i].cap);
	cow_twin_gone(&twin);
	free(ticket);
	return 0;
}

static int program(void)
{
	static const struct exo_insn keep[] = { INSN_OPI(MOV, 0, EXO_PACKET_KEEP), INSN_EXIT };
	struct exo_code header = { .version = EXO_CODE_VERSION, .size = sizeof(header), .use = EXO_USE_PACKET,
		.insns = 2, .fuel = 16 };
	struct code_program loaded;

	header.window[0].frames = 4;
	if (code_load(&loaded, &header, keep, "", NULL))
		return 6;
	code_unload(&loaded);
	return 0;
}

/* With an error it ends, too: 2 no memory, 3 no thread, 4 no region, 5 no copy, 6 no program. */
static int child(void)
{
	int error = program();

	if (!error)
		error = copies();
	if (error)
		return error;
	for (unsigned i = 0; i < 4; i++) {
		void *memory = malloc(20000);
		if (!memory)
			return 2;
		struct thread *thread = thread_create("one", thread_of_child, memory);
		if (!thread)
			return 3;
		thread_join(thread);
	}
	return 0;
}

/* With each limit from nothing to what suffices. */
static void limits(void)
{
	struct member member;
	unsigned refused = 0, faults = 0, errors = 0, good = 0, bad = 0, stuck = 0, seen = 0;
	struct books before;

	for (uint32_t most = 1; most < 400 && good < 2; most++) {
		before = books_now();
		memset(&member, 0, sizeof(member));
		member.spawn.account = core_named(EXO_NAME_ACCOUNT);
		member.spawn.limit_frames = most;
		family_grant(&member, EXO_NAME_INFO, core_named(EXO_NAME_INFO), EXO_RIGHT_READ,
		    cap_of(core_named(EXO_NAME_INFO))->count);
		if (!family_make(&member, "child", NULL)) {
			refused++;
		} else {
			spawn_start(&member.spawn);
			stuck += !family_await(&member, EXO_ENV_ENDED, 5000);
			const struct exo_env_info *info = info_env((uint32_t)member.spawn.id);
			faults += info->cause != EXO_CAUSE_EXIT;
			if (info->cause == EXO_CAUSE_EXIT)
				seen |= 1u << (info->status & 31);
			errors += info->cause == EXO_CAUSE_EXIT && info->status;
			good += info->cause == EXO_CAUSE_EXIT && !info->status;
			family_drop(&member);
		}
		if (most > 1)	/* what stays for good is there then */
			bad += books_now().free != before.free || books_now().own != before.own;
	}
	ok(good == 2 && !stuck, "limits: %u times not made, %u errors, %u faults, %u never end", refused, errors, faults,
	    stuck);
	printf("# exit statuses seen: %x\n", seen);
	ok(!bad && refused + faults + errors > 0, "nothing is lost with any of them (%u)", bad);
}

int main(void)
{
	const char *role = family_begin();
	exo_vaddr_t va;
	uint32_t slot;

	if (role && !strcmp(role, "child"))
		return child();
	tiny_prepare();
	account_frame = take_frames(1);
	slot = caps_slot();
	account = made(slot, exo_account_make(slot, core_named(EXO_NAME_ACCOUNT), account_frame, 0, EXO_UNLIMITED));
	va = vm_addresses(EXO_PAGE_SIZE);
	space_map(va, EXO_MAP_READ, account_frame, 0, 1);
	view = (const volatile struct exo_account *)va;
	tiny_account = account;
	if (ok(account && agent_begin(&agent, EXTRA), "an agent in an account")) {
		tiny_account = 0;
		calls();
		frames_short();
		table_full();
		account_depth();
	}
	tiny_drop(&agent);
	ok(used_same((const uint32_t[EXO_SHARES]){ 0 }), "nothing is charged to the account when the agent has gone");
	space_map(va, 0, EXO_CAP_NONE, 0, 1);
	is(caps_delete(account), 0, "the account goes");
	is(caps_delete(account_frame), 0, "and its frame");
	limits();
	return call_done();
}
