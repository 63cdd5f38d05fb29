/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What accounts count beside frames, slices and environments: shapes of filters, begun or had, frames in rings, traces; and
 * env_reclaim: each of its errors, and orphans that a whole family has left behind, ended by who holds their account.
 * Runs first: yes
 * Run with: --net user
 */
#include <exo/account.h>
#include <exo/flow.h>
#include <exo/trace.h>
#include "test/guest/agent.h"

#define NET_RIGHTS	(EXO_RIGHT_READ | EXO_RIGHT_CLAIM | EXO_RIGHT_BIND)
#define RWX		(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define ORPHANS		6

enum { A_FRAMES = 20, A_RING, A_NET, A_FLOW, A_ENV = A_FLOW + 8, A_SPACE, A_CHILD };

static exo_cap_t root, frames, account;
static struct tiny agent;

/* Limits, and guarantees, of one kind; all others without. */
static int64_t share(exo_cap_t parent, exo_cap_t of, unsigned kind, uint32_t guaranteed, uint32_t limit)
{
	struct exo_shares *want = core_arg(0);

	memset(want, 0, sizeof(*want));
	for (unsigned i = 0; i < EXO_SHARES; i++)
		want->share[i].limit = EXO_UNLIMITED;
	want->share[kind] = (struct exo_share){ guaranteed, limit };
	want->answer_ns = core_info->slice_ns;
	return exo_account_share(parent, of, 0);
}

/* An agent with an account of its own, which lies in frame 0. */
static bool begin(void)
{
	uint32_t slot = caps_slot();

	root = core_named(EXO_NAME_ACCOUNT);
	frames = take_frames(2);
	account = made(slot, exo_account_make(slot, root, frames, 0, EXO_UNLIMITED));
	tiny_account = account;
	bool good = account && agent_begin(&agent, 2);
	tiny_account = 0;
	if (!ok(good, "an environment in an account"))
		return false;
	(void)exo_cap_derive(agent.frames, agent.env, A_RING, RWX, agent.spare, 2);
	return agent_do(&agent, EXO_CALL_frame_take, A_FRAMES, EXO_PFN_ANY, 24, 0, 0, 0) > 0;
}

static void end(void)
{
	tiny_drop(&agent);
	is(exo_cap_delete(account), 0, "the account goes");
	is(info_frame(pfn_of(frames))->state, EXO_FRAME_OWNED, "nothing is charged to it any more");
	is(exo_cap_delete(frames), 0, "and its frame");
}

/* One call of flow_make by the agent: a field of its own for each shape. */
static int64_t ask(unsigned n, unsigned shape)
{
	struct exo_claim *claim = (struct exo_claim *)agent.arg;

	memset(claim, 0, sizeof(*claim));
	claim->terms = 2;
	claim->term[0] = (struct exo_term){ .offset = 12, .width = 2, .mask = 0xffff, .value = 0x4000 + shape };
	claim->term[1] = (struct exo_term){ .offset = (uint16_t)(20 + shape), .width = 1, .mask = 0xff, .value = n };
	return agent_do(&agent, EXO_CALL_flow_make, A_FLOW + n, exo_cap_make(A_NET, 1), exo_cap_make(A_FRAMES, 1), n, 0, 0);
}

static int64_t flow(unsigned n, unsigned shape)
{
	int64_t result;

	while ((result = ask(n, shape)) == -EXO_EAGAIN)
		;
	return result;
}

static void shapes(void)
{
	unsigned begun = 0;

	if (!begin())
		return;
	tiny_grant(&agent, core_named(EXO_NAME_NET), A_NET, NET_RIGHTS);
	is(share(root, account, EXO_SHARE_SHAPES, 0, 2), 0, "two shapes");
	is(flow(0, 1), (int64_t)exo_cap_make(A_FLOW, 1), "a flow");
	is(flow(1, 2), (int64_t)exo_cap_make(A_FLOW + 1, 1), "of another shape");
	is(flow(2, 3), -EXO_EQUOTA, "flow_make QUOTA: a third one");
	is(flow(2, 2), (int64_t)exo_cap_make(A_FLOW + 2, 1), "but a second flow of one it has");
	for (unsigned i = 0; i < 3; i++)
		is(agent_do(&agent, EXO_CALL_cap_delete, exo_cap_make(A_FLOW + i, 1), 0, 0, 0, 0, 0), 0, "they go");
	for (unsigned i = 0; i < 80; i++)
		begun += ask(3, 100 + i) == -EXO_EAGAIN;
	ok(begun > 0, "it begins 80, %u times it is to go on", begun);
	is(share(root, account, EXO_SHARE_SHAPES, 0, EXO_UNLIMITED), 0, "and then ends, in the middle of it");
	(void)ask(3, 181);
	end();
}

static void traces(void)
{
	if (!begin())
		return;
	is(share(root, account, EXO_SHARE_TRACES, 0, 0), 0, "no traces");
	is(agent_do(&agent, EXO_CALL_trace, 0, exo_cap_make(A_FRAMES, 1), 0, 1, EXO_TRACE_CALLS, 0), -EXO_EQUOTA, "trace QUOTA");
	is(share(root, account, EXO_SHARE_TRACES, 1, 1), 0, "one, and that guaranteed");
	is(agent_do(&agent, EXO_CALL_trace, 0, exo_cap_make(A_FRAMES, 1), 0, 1, EXO_TRACE_CALLS, 0), 0, "trace");
	is(agent_do(&agent, EXO_CALL_trace, 0, exo_cap_make(A_FRAMES, 1), 1, 1, EXO_TRACE_CALLS, 0), 0, "another in its place");
	is(share(root, account, EXO_SHARE_TRACES, EXO_TRACES_MAX, EXO_UNLIMITED), 0, "all that the machine has");
	exo_cap_t own = take_frames(1);
	is(exo_trace(0, own, 0, 1, EXO_TRACE_CALLS), -EXO_EFULL, "trace FULL: all are guaranteed to another");
	is(share(root, account, EXO_SHARE_TRACES, EXO_TRACES_MAX - 1, EXO_UNLIMITED), 0, "all but one");
	is(exo_trace(0, own, 0, 1, EXO_TRACE_CALLS), 0, "trace");
	is(exo_trace(0, 0, 0, 0, 0), 0, "and no more");
	is(exo_cap_delete(own), 0, "its frame");
	end();
}

/* A guarantee holds below each limit, not only in the machine. */
static void below_limits(void)
{
	uint32_t slot;
	exo_cap_t inner;

	if (!begin())
		return;
	slot = caps_slot();
	inner = made(slot, exo_account_make(slot, account, frames, 1, EXO_UNLIMITED));
	is(share(root, account, EXO_SHARE_RINGS, 4, 5), 0, "5 frames in rings, 4 of them guaranteed");
	is(share(account, inner, EXO_SHARE_RINGS, 4, EXO_UNLIMITED), 0, "which are handed down");
	tiny_grant(&agent, core_named(EXO_NAME_NET), A_NET, NET_RIGHTS);
	is(flow(0, 1), (int64_t)exo_cap_make(A_FLOW, 1), "a flow");
	volatile struct exo_ring *ring = (volatile struct exo_ring *)vm_addresses(EXO_PAGE_SIZE);
	space_map((exo_vaddr_t)ring, EXO_MAP_READ | EXO_MAP_WRITE, agent.frames, agent.spare, 1);
	ring->rx_frames = 1;
	space_map((exo_vaddr_t)ring, 0, 0, 0, 1);
	is(agent_do(&agent, EXO_CALL_flow_bind, exo_cap_make(A_FLOW, 1), exo_cap_make(A_RING, 1), 0, 0, 0, 0), -EXO_EQUOTA,
	    "flow_bind QUOTA: what is left is guaranteed to another");
	is(share(account, inner, EXO_SHARE_RINGS, 3, EXO_UNLIMITED), 0, "one less");
	is(agent_do(&agent, EXO_CALL_flow_bind, exo_cap_make(A_FLOW, 1), exo_cap_make(A_RING, 1), 0, 0, 0, 0), 0, "flow_bind");
	is(share(account, inner, EXO_SHARE_RINGS, 4, EXO_UNLIMITED), -EXO_EFULL, "share FULL: it is used now");
	is(exo_cap_delete(inner), 0, "the other goes");
	end();
}

static int64_t reclaim(exo_cap_t of, exo_env_id_t id)
{
	int64_t result;

	while ((result = exo_env_reclaim(of, id)) == -EXO_EAGAIN)
		;
	return result;
}

static void reclaims(void)
{
	exo_cap_t weak, inner;
	exo_env_id_t orphan[ORPHANS];
	uint32_t slot, before, ended = 0;

	if (!begin())
		return;
	weak = (exo_cap_t)caps_derive(root, EXO_RIGHT_READ | EXO_RIGHT_CONTROL, 0, 0);
	slot = caps_slot();
	inner = made(slot, exo_account_make(slot, account, frames, 1, EXO_UNLIMITED));
	is(exo_env_reclaim(NO_CAP, agent.id), -EXO_ECAP, "env_reclaim CAP");
	is(exo_env_reclaim(agent.env, agent.id), -EXO_ETYPE, "env_reclaim TYPE");
	is(exo_env_reclaim(weak, agent.id), -EXO_ERIGHTS, "env_reclaim RIGHTS");
	is(exo_env_reclaim(root, 0), -EXO_EDEAD, "env_reclaim DEAD: nobody");
	is(exo_env_reclaim(root, ~0ULL), -EXO_EDEAD, "env_reclaim DEAD: no number");
	is(exo_env_reclaim(inner, agent.id), -EXO_ERANGE, "env_reclaim RANGE: charged above it");
	is(exo_env_reclaim(account, core_disp->self), -EXO_ERANGE, "env_reclaim RANGE: charged elsewhere");
	is(exo_env_reclaim(root, core_disp->self), -EXO_EBUSY, "env_reclaim BUSY: oneself");
	before = core_info->frames_free;
	/* The agent makes environments with its own memory, and forgets them. */
	tiny_grant(&agent, agent.space, A_SPACE, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	for (unsigned i = 0; i < ORPHANS; i++) {
		memset((void *)agent.arg, 0, sizeof(struct exo_env_params));
		int64_t made = agent_do(&agent, EXO_CALL_env_create, A_CHILD, exo_cap_make(A_SPACE, 1), 0, exo_cap_make(A_FRAMES, 1),
		    4 * i, 0);
		orphan[i] = 0;
		for (uint32_t e = 1; made > 0 && e < core_info->envs.entries; e++)
			if (info_env(e)->state == EXO_ENV_MADE && !orphan[i])
				orphan[i] = info_env(e)->id;
		if (i % 2)
			agent_do(&agent, EXO_CALL_env_start, (uint64_t)made, 0, 0, 0, 0, 0);
		agent_do(&agent, EXO_CALL_cap_delete, (uint64_t)made, 0, 0, 0, 0, 0);
		if (i % 2 == 0)		/* it may be ended before it has begun */
			is(reclaim(i ? account : root, orphan[i]), 0, "an orphan ends");
	}
	for (unsigned i = 0; i < ORPHANS; i++)
		ended += info_env((uint32_t)orphan[i])->id != orphan[i] || info_env((uint32_t)orphan[i])->state == EXO_ENV_NONE;
	is(ended, ORPHANS / 2, "half of them");
	is(reclaim(root, agent.id), 0, "then whoever made them, before its time");
	is(exo_env_reclaim(root, agent.id), -EXO_EDEAD, "env_reclaim DEAD: it is no more");
	is(exo_env_destroy(agent.env), -EXO_EDEAD, "its capability reaches nothing");
	for (unsigned i = 1; i < ORPHANS; i += 2)
		is(reclaim(account, orphan[i]), 0, "and the rest, by their account");
	ok(core_info->frames_free >= before, "no frame is lost");
	is(exo_cap_delete(inner) | exo_cap_delete(weak), 0, "the accounts' capabilities");
	end();
}

int main(void)
{
	tiny_prepare();
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		shapes();
		traces();
		below_limits();
		reclaims();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
