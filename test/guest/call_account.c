/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * account_make, account_share, demand, repossess: what they do, each of their errors, and abuse.
 * Runs first: yes
 */
#include <exo/account.h>
#include "test/guest/agent.h"

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

/* The first of so many free frames in a row, far from where frames are taken otherwise. */
static exo_pfn_t free_run(uint32_t count)
{
	uint32_t run = 0;

	for (exo_pfn_t pfn = core_info->frames_total; pfn-- > 1;) {
		run = info_frame(pfn)->state == EXO_FRAME_FREE ? run + 1 : 0;
		if (run == count)
			return pfn;
	}
	return EXO_PFN_ANY;
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
	is(agent_do(&agent, EXO_CALL_frame_take, 40, free_run(8), 4, 0, 0, 0), (int64_t)exo_cap_make(40, 1),
	    "4 of 5");	/* with room behind them: only the limit is in the way */
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

/* Guarantees of frames and slices; no limits. For use at once: printing uses the argument frame, too. */
static struct exo_shares *shares(uint32_t frames, uint32_t slices)
{
	struct exo_shares *want = core_arg(0);

	memset(want, 0, sizeof(*want));
	for (unsigned kind = 0; kind < EXO_SHARES; kind++)
		want->share[kind].limit = EXO_UNLIMITED;
	want->share[EXO_SHARE_FRAMES].guaranteed = frames;
	want->share[EXO_SHARE_SLICES].guaranteed = slices;
	want->answer_ns = core_info->slice_ns;
	return want;
}

static void share(void)
{
	exo_cap_t root = core_named(EXO_NAME_ACCOUNT), frames = take_frames(3),
		  console = core_named(EXO_NAME_CONSOLE);
	exo_cap_t weak = (exo_cap_t)caps_derive(root, EXO_RIGHT_READ, 0, 0);
	uint32_t slot = caps_slot();
	exo_cap_t outer = made(slot, exo_account_make(slot, root, frames, 0, EXO_UNLIMITED)), inner, other;
	exo_vaddr_t va = vm_addresses(EXO_PAGE_SIZE);
	const volatile struct exo_account *view = (void *)va;

	slot = caps_slot();
	inner = made(slot, exo_account_make(slot, outer, frames, 1, EXO_UNLIMITED));
	slot = caps_slot();
	other = made(slot, exo_account_make(slot, root, frames, 2, EXO_UNLIMITED));
	is(space_map(va, EXO_MAP_READ, frames, 0, 1), 0, "an account can be mapped");
	is(space_map(va, EXO_MAP_READ | EXO_MAP_WRITE, frames, 0, 1), -EXO_ESTATE, "but not written");
	is(view->version, EXO_ACCOUNT_VERSION, "it says what it is");
	is(exo_account_share(root, outer, (shares(100, 3), 0)), 0, "account_share");
	ok(view->share[0].guaranteed == 100 && view->share[1].guaranteed == 3 &&
		view->share[2].limit == EXO_UNLIMITED && view->answer_ns == core_info->slice_ns,
	    "as can be read");
	is(exo_account_share(outer, inner, (shares(100, 0), 0)), 0, "handed down");
	is(view->share[0].promised, 100, "as can be read, too");
	is(exo_account_share(NO_CAP, outer, (shares(1, 0), 0)), -EXO_ECAP, "share CAP: parent");
	is(exo_account_share(console, outer, 0), -EXO_ETYPE, "share TYPE: parent");
	is(exo_account_share(weak, outer, 0), -EXO_ERIGHTS, "share RIGHTS: parent");
	is(exo_account_share(root, NO_CAP, 0), -EXO_ECAP, "share CAP: account");
	is(exo_account_share(root, console, 0), -EXO_ETYPE, "share TYPE: account");
	is(exo_account_share(root, outer, 4), -EXO_ERANGE, "share RANGE: not aligned");
	is(exo_account_share(root, outer, EXO_PAGE_SIZE - 40), -EXO_ERANGE, "share RANGE: behind the frame");
	is(exo_account_share(root, outer, ~0ULL - 7), -EXO_ERANGE, "share RANGE: wraps");
	is(exo_account_share(root, inner, (shares(1, 0), 0)), -EXO_EINVAL, "share INVAL: not right below");
	is(exo_account_share(root, root, (shares(1, 0), 0)), -EXO_EINVAL, "share INVAL: the root itself");
	is(exo_account_share(root, outer, (shares(99, 0), 0)), -EXO_ESTATE,
	    "share STATE: less than it has promised");
	shares(100, 0)->share[4] = (struct exo_share){ 2, 1 };
	is(exo_account_share(root, outer, 0), -EXO_EINVAL, "share INVAL: a guarantee above its limit");
	shares(100, 0)->answer_ns--;
	is(exo_account_share(root, outer, 0), -EXO_EINVAL, "share INVAL: less than a slice to answer in");
	is(exo_account_share(outer, inner, (shares(101, 0), 0)), -EXO_EQUOTA,
	    "share QUOTA: more than its parent's");
	is(exo_account_share(root, other, (shares(core_info->frames_memory - 100, 0), 0)), -EXO_EQUOTA,
	    "share QUOTA: more than is left");
	is(exo_account_share(root, other, (shares(0, EXO_SLICES * core_info->cpus - 3), 0)), 0,
	    "all slices that are left");
	is(exo_account_share(root, outer, (shares(100, 4), 0)), -EXO_EQUOTA, "share QUOTA: slices");
	is(view->share[0].guaranteed, 100, "nothing has changed");
	space_map(va, 0, 0, 0, 1);
	is(exo_cap_delete(inner) | exo_cap_delete(other) | exo_cap_delete(outer) | exo_cap_delete(weak), 0,
	    "they go");
	is(exo_cap_delete(frames), 0, "and their frames");
}

/* Limits of each kind, one by one. */
static void kinds(void)
{
	exo_cap_t root = core_named(EXO_NAME_ACCOUNT), frames = take_frames(16);
	struct exo_shares *want;
	struct tiny agent;
	uint32_t slot = caps_slot();
	exo_cap_t account = made(slot, exo_account_make(slot, root, frames, 0, EXO_UNLIMITED));

	tiny_account = account;
	if (!ok(account && agent_begin(&agent, 0), "an environment in an account"))
		return;
	tiny_account = 0;
	want = shares(0, 0);
	want->share[EXO_SHARE_SLICES].limit = 2;
	want->share[EXO_SHARE_ENVS].limit = 1;
	is(exo_account_share(root, account, 0), 0, "two slices, one environment");
	is(agent_do(&agent, EXO_CALL_slice_take, 20, 0, 10, 3, 0, 0), -EXO_EQUOTA, "slice_take QUOTA");
	is(agent_do(&agent, EXO_CALL_slice_take, 20, 0, 10, 2, 0, 0), (int64_t)exo_cap_make(20, 1),
	    "two are there");
	is(agent_do(&agent, EXO_CALL_slice_take, 21, 0, 20, 1, 0, 0), -EXO_EQUOTA,
	    "slice_take QUOTA: all are used");
	is(agent_do(&agent, EXO_CALL_cap_delete, exo_cap_make(20, 1), 0, 0, 0, 0, 0), 0, "given back");
	is(agent_do(&agent, EXO_CALL_slice_take, 20, 0, 20, 2, 0, 0), (int64_t)exo_cap_make(20, 2),
	    "taken again");
	*(struct exo_env_params *)core_arg(0) = (struct exo_env_params){ .label = "one more" };
	slot = caps_slot();
	uint32_t space_slot = caps_slot();
	exo_cap_t space = made(space_slot, exo_space_create(space_slot, frames, 5));
	is(exo_env_create(slot, space, account, frames, 1, 0), -EXO_EQUOTA, "env_create QUOTA");
	shares(0, 0)->share[EXO_SHARE_ENVS].limit = 2;
	is(exo_account_share(root, account, 0), 0, "one more");
	*(struct exo_env_params *)core_arg(0) = (struct exo_env_params){ .label = "one more" };
	exo_cap_t env = made(slot, exo_env_create(slot, space, account, frames, 1, 0));
	ok(env != 0, "now it can be made");
	while (exo_env_destroy(env) == -EXO_EAGAIN)
		;
	caps_delete(env);
	caps_delete(space);
	tiny_drop(&agent);
	is(exo_cap_delete(account), 0, "the account goes");
	is(exo_cap_delete(frames), 0, "and the frames");
}

/* What is guaranteed of a table nobody else gets. */
static void kept(void)
{
	exo_cap_t root = core_named(EXO_NAME_ACCOUNT), frames = take_frames(24), env[4];
	uint32_t slot = caps_slot(), space_slot, most, made_for;
	exo_cap_t account = made(slot, exo_account_make(slot, root, frames, 0, EXO_UNLIMITED)), space;

	space_slot = caps_slot();
	space = made(space_slot, exo_space_create(space_slot, frames, 1));
	for (most = core_info->envs.entries; most; most--) {
		shares(0, 0)->share[EXO_SHARE_ENVS].guaranteed = most;
		if (exo_account_share(root, account, 0) == 0)
			break;
	}
	ok(most > 8, "%u of %u environments are guaranteed to one: all that are left", most, core_info->envs.entries);
	shares(0, 0)->share[EXO_SHARE_ENVS].guaranteed = most + 1;
	is(exo_account_share(root, account, 0), -EXO_EFULL, "share FULL: one more is in use");
	made_for = 0;
	for (unsigned i = 0; i < 2; i++) {
		slot = caps_slot();
		*(struct exo_env_params *)core_arg(0) = (struct exo_env_params){ .label = "kept" };
		is(exo_env_create(slot, space, 0, frames, 2 + 4 * i, 0), -EXO_EFULL, "env_create FULL: nobody else gets one");
		*(struct exo_env_params *)core_arg(0) = (struct exo_env_params){ .label = "kept" };
		env[made_for] = made(slot, exo_env_create(slot, space, account, frames, 2 + 4 * i, 0));
		ok(env[made_for++] != 0, "but it does");
	}
	shares(0, 0)->share[EXO_SHARE_ENVS].guaranteed = most - 1;
	is(exo_account_share(root, account, 0), 0, "it is guaranteed one less");
	slot = caps_slot();
	*(struct exo_env_params *)core_arg(0) = (struct exo_env_params){ .label = "kept" };
	env[made_for] = made(slot, exo_env_create(slot, space, 0, frames, 10, 0));
	ok(env[made_for++] != 0, "which another gets");
	while (made_for--) {
		while (exo_env_destroy(env[made_for]) == -EXO_EAGAIN)
			;
		caps_delete(env[made_for]);
	}
	caps_delete(space);
	is(exo_cap_delete(account), 0, "the account goes, and with it its guarantee");
	is(exo_cap_delete(frames), 0, "and the frames");
}

/* Two tenants: one is guaranteed 30 frames and has none, the other is guaranteed 10 and takes 50. */
static void demands(void)
{
	exo_cap_t root = core_named(EXO_NAME_ACCOUNT), frames = take_frames(2), due, owes;
	uint32_t slot = caps_slot();
	struct tiny one, two;

	due = made(slot, exo_account_make(slot, root, frames, 0, EXO_UNLIMITED));
	slot = caps_slot();
	owes = made(slot, exo_account_make(slot, root, frames, 1, EXO_UNLIMITED));
	is(exo_account_share(root, due, (shares(30, 0), 0)), 0, "30 frames for one");
	is(exo_account_share(root, owes, (shares(10, 0), 0)), 0, "10 for another");
	tiny_account = due;
	if (!ok(agent_begin(&one, 0), "the first"))
		return;
	tiny_account = owes;
	if (!ok(agent_begin(&two, 0), "the second"))
		return;
	tiny_account = 0;
	for (uint32_t i = 0; i < 5; i++)
		is(agent_do(&two, EXO_CALL_frame_take, 20 + i, EXO_PFN_ANY, 10, 0, 0, 0),
		    (int64_t)exo_cap_make(20 + i, 1), "it takes 10");
	exo_cap_t from = (exo_cap_t)tiny_grant(&one, owes, 20, EXO_RIGHT_READ),
		  weak = (exo_cap_t)tiny_grant(&one, owes, 21, 0),
		  own = (exo_cap_t)tiny_grant(&one, due, 22, EXO_RIGHT_READ),
		  above = (exo_cap_t)tiny_grant(&one, root, 23, EXO_RIGHT_READ);
#define DEMAND(cap, what, count) agent_do(&one, EXO_CALL_demand, cap, what, count, 0, 0, 0)
#define FORCE(cap)		 agent_do(&one, EXO_CALL_repossess, cap, 0, 0, 0, 0, 0)
	is(DEMAND(NO_CAP, EXO_TYPE_FRAME, 1), -EXO_ECAP, "demand CAP");
	is(DEMAND(one.env, EXO_TYPE_FRAME, 1), -EXO_ECAP, "demand CAP: not one's own name");
	is(DEMAND(weak, EXO_TYPE_FRAME, 1), -EXO_ERIGHTS, "demand RIGHTS");
	is(DEMAND(from, EXO_TYPE_FRAME, 0), -EXO_EINVAL, "demand INVAL: nothing");
	is(DEMAND(from, EXO_TYPE_FRAME, 1ULL << 32 | 1), -EXO_EINVAL, "demand INVAL: beyond 32 bits");
	is(DEMAND(from, EXO_TYPE_CONSOLE, 1), -EXO_EINVAL, "demand INVAL: of what");
	is(DEMAND(own, EXO_TYPE_FRAME, 1), -EXO_EINVAL, "demand INVAL: from oneself");
	is(DEMAND(above, EXO_TYPE_FRAME, 1), -EXO_EINVAL, "demand INVAL: from above");
	is(DEMAND(from, EXO_TYPE_FRAME, 31), -EXO_ESTATE, "demand STATE: more than is due");
	is(DEMAND(from, EXO_TYPE_FRAME, 0x7fffffff), -EXO_ESTATE, "demand STATE: very much more");
	is(DEMAND(from, EXO_TYPE_SLICE, 1), -EXO_ESTATE, "demand STATE: slices are not");
	is(exo_demand(owes, EXO_TYPE_FRAME, 1), -EXO_EINVAL, "demand INVAL: from below");
	is(exo_demand(core_named(EXO_NAME_CONSOLE), EXO_TYPE_FRAME, 1), -EXO_ETYPE, "demand TYPE");
	is(FORCE(NO_CAP), -EXO_ECAP, "repossess CAP");
	is(FORCE(weak), -EXO_ERIGHTS, "repossess RIGHTS");
	is(exo_repossess(core_named(EXO_NAME_CONSOLE)), -EXO_ETYPE, "repossess TYPE");
	is(FORCE(from), -EXO_ESTATE, "repossess STATE: nothing was demanded");
	/*
	 * Time to answer is counted in clock time, here so much that it does not pass, and in the CPU time of who is asked. It
	 * is stopped meanwhile: what a busy host takes would be counted, too, where the guest's clock is the host's.
	 */
	shares(10, 0)->answer_ns = 10000000 * MS;
	is(exo_account_share(root, owes, 0), 0, "very much time to answer");
	is(exo_env_move(two.env, EXO_CPU_NONE), 0, "it is stopped");
	is(DEMAND(from, EXO_TYPE_FRAME, 25), 0, "demand");
	is(DEMAND(from, EXO_TYPE_FRAME, 1), -EXO_EBUSY, "demand BUSY: one is pending");
	is(FORCE(from), -EXO_ESTATE, "repossess STATE: its time is not over");
	is(exo_repossess(owes), -EXO_ESTATE, "repossess STATE: nor is it somebody else's");
	is(two.disp->abort.demand_count, 25, "the other can read what is wanted");
	uint64_t asked = tiny_info(&two)->ns;
	is(exo_env_move(two.env, 0), 0, "it goes on");
	is(agent_do(&two, EXO_CALL_frame_give, exo_cap_make(24, 1), 5, 0, 0, 0, 0), 5, "and gives 5");
	is(core_info->frames_promised, 5, "which are kept");
	exo_time_t end = core_now() + 5000 * MS;
	while (tiny_info(&two)->ns - asked < core_info->slice_ns && core_now() < end)
		agent_do(&two, EXO_CALL_null, 0, 0, 0, 0, 0, 0);
	ok(tiny_info(&two)->ns - asked >= core_info->slice_ns, "then it runs for a whole slice");
	int64_t taken;
	while ((taken = FORCE(from)) == -EXO_EAGAIN)
		;
	is(taken, 20, "repossess: what is left");
	is(FORCE(from), -EXO_ESTATE, "repossess STATE: it has ended");
	ok(two.disp->abort.lost == 3 && two.disp->abort.loss[0].slot == 24 &&
		two.disp->abort.loss[0].count == 5 && two.disp->abort.loss[2].slot == 22 &&
		two.disp->abort.loss[2].count == 5,
	    "the loss is recorded");
	is(tiny_info(&two)->frames, 25, "25 are left");
	is(core_info->frames_promised, 25, "25 are kept for the one who asked");
	is(agent_do(&one, EXO_CALL_frame_take, 30, EXO_PFN_ANY, 24, 0, 0, 0), (int64_t)exo_cap_make(30, 1),
	    "who takes 24");
	is(core_info->frames_promised, 1, "one is left");
	tiny_drop(&one);
	is(core_info->frames_promised, 0, "none when it ends");
	tiny_drop(&two);
	is(exo_cap_delete(due) | exo_cap_delete(owes), 0, "the accounts go");
	is(exo_cap_delete(frames), 0, "and their frames");
}

int main(void)
{
	tiny_prepare();
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();
		account();
		quota();
		share();
		kinds();
	kept();
		demands();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
