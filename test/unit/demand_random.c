/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations of six tenants on two levels of accounts (take, give, derive, demand, repossess, share) against a
 * naive model of usage, guarantees, credits and demands, which adds everything up anew each time.
 */
#include "test/unit/tenants.h"

#define SLOTS	  6
#define T_DERIVED (T_FREE + SLOTS)
#define ROOT	  TENANTS /* the model's root */

/* Tenants 0 and 1 lie below the root, 2 and 3 below 0, 4 and 5 below 1. */
static const unsigned parent_of[TENANTS] = { ROOT, ROOT, 0, 0, 1, 1 };
static struct {
	uint32_t has[SLOTS], base, guaranteed, credit;
	bool asked;
	exo_time_t due_at;
	unsigned by;
	uint32_t left;
} model[TENANTS + 1];

static bool model_under(unsigned a, unsigned above)
{
	for (; a != ROOT && a != above; a = parent_of[a])
		;
	return a == above;
}

static uint32_t model_used(unsigned a)
{
	uint32_t sum = 0;
	unsigned i, k;

	for (i = 0; i < TENANTS; i++)
		if (model_under(i, a)) {
			sum += model[i].base;
			for (k = 0; k < SLOTS; k++)
				sum += model[i].has[k];
		}
	return sum;
}

/* What those below have been given or have asked for. */
static uint32_t model_due(unsigned a)
{
	uint32_t sum = 0;
	unsigned i;

	for (i = 0; i < TENANTS; i++) {
		if (model_under(i, a))
			sum += model[i].credit;
		if (model[i].asked && model_under(model[i].by, a))
			sum += model[i].left;
	}
	return sum;
}

static unsigned model_top(unsigned a, unsigned b)
{
	while (a != ROOT && !model_under(b, a))
		a = parent_of[a];
	return a;
}

static bool model_demandable(unsigned by, unsigned on, uint32_t count)
{
	unsigned top = model_top(by, on), a;

	for (a = by; a != top; a = parent_of[a])
		if (model_used(a) + model_due(a) + count > model[a].guaranteed)
			return false;
	for (a = on; a != top; a = parent_of[a])
		if (model_used(a) < model[a].guaranteed + (model[a].asked ? model[a].left : 0) + count)
			return false;
	return true;
}

static void model_credit_trim(unsigned a)
{
	uint32_t is = model_used(a), most = model[a].guaranteed > is ? model[a].guaranteed - is : 0;

	if (model[a].credit > most)
		model[a].credit = most;
}

static void model_demand_trim(unsigned a)
{
	uint32_t is = model_used(a), most = is > model[a].guaranteed ? is - model[a].guaranteed : 0;

	if (model[a].left > most)
		model[a].left = most;
	model[a].asked = model[a].asked && model[a].left;
}

/* It has `count` less already. */
static void model_given(unsigned from, uint32_t count)
{
	unsigned a, by;
	uint32_t n;

	for (a = from; a != ROOT; a = parent_of[a]) {
		if (!model[a].asked)
			continue;
		by = model[a].by;
		n = count < model[a].left ? count : model[a].left;
		count -= n;
		model[a].left -= n;
		model[by].credit += n;
		model_credit_trim(by);
		model_demand_trim(a);
	}
}

static uint32_t model_promised(void)
{
	uint32_t sum = 0;
	unsigned i;

	for (i = 0; i < TENANTS; i++)
		sum += model[i].credit;
	return sum;
}

/* How many of `count` it gets. */
static uint32_t model_take(unsigned i, uint32_t count, uint32_t free_frames)
{
	uint32_t own = 0, room, n, left;
	unsigned a;

	for (a = i; a != ROOT; a = parent_of[a])
		own += model[a].credit;
	room = free_frames - (model_promised() - own);
	n = count < room ? count : room;
	left = n;
	for (a = i; a != ROOT; a = parent_of[a]) {
		own = left < model[a].credit ? left : model[a].credit;
		model[a].credit -= own;
		left -= own;
	}
	return n;
}

static void model_took(unsigned i, uint32_t slot, uint32_t n)
{
	unsigned a;

	model[i].has[slot] += n;
	for (a = i; a != ROOT; a = parent_of[a])
		model_credit_trim(a);
}

static bool step_take(unsigned i)
{
	uint32_t slot = below(SLOTS), count = 1 + below(EXO_TAKE_MAX), free_before = info->frames_free, n,
		 got;
	int64_t result;

	if (model[i].has[slot])
		return true;
	result = AS(i, frame_take, T_FREE + slot, EXO_PFN_ANY, count);
	got = result > 0 ? cap(i, T_FREE + slot)->count : 0;
	if (result == ERR(FULL))
		return !free_before || !model_take(i, count, free_before);
	if (result < 0)
		return false;
	/* The longest run may have been shorter than what it may have. */
	n = model_take(i, got, free_before);
	model_took(i, slot, n);
	return n == got;
}

static bool step_give(unsigned i)
{
	uint32_t slot = below(SLOTS), count;
	int64_t result;

	if (!model[i].has[slot])
		return true;
	count = 1 + below(model[i].has[slot]);
	result = AS(i, frame_give, handle(i, T_FREE + slot), count);
	if (result == ERR(BUSY))
		return cap(i, T_FREE + slot)->object || cap(i, T_FREE + slot)->child;
	if (result == ERR(RANGE))
		return cap(i, T_FREE + slot)->object;
	model[i].has[slot] -= count;
	model_given(i, count);
	return result == count;
}

/* A part of what one has for the next one, or for oneself; later that is dropped again. */
static bool step_derive(unsigned i)
{
	uint32_t slot = T_FREE + below(SLOTS), to = T_DERIVED + below(SLOTS), n = cap(i, slot)->count;
	bool other = below(2);
	unsigned whose = other ? (i + 1) % TENANTS : i;
	int64_t result;

	if (!n || cap(whose, to)->type)
		return true;
	result = AS(i, cap_derive, handle(i, slot), other ? handle(i, T_PEER(TENANTS)) : 0, to,
	    EXO_RIGHT_READ, below(n), 0);
	return result > 0 || result == ERR(BUSY);
}

static bool step_drop(unsigned i)
{
	uint32_t slot = T_DERIVED + below(SLOTS);
	exo_cap_t it = handle(i, slot);

	if (!cap(i, slot)->type)
		return true;
	while (AS(i, cap_delete, it) == ERR(AGAIN))
		;
	return !null.result;
}

static bool step_demand(unsigned i)
{
	unsigned on = below(TENANTS), tries;
	uint32_t count = 1 + below(below(4) ? 12 : 60);
	bool old;
	int64_t result, wanted = 0;

	for (tries = 0; below(4) && tries < 20; tries++) { /* look for one that can be made */
		i = below(TENANTS);
		on = below(TENANTS);
		if (!model_under(i, on) && !model_under(on, i) && !model[on].asked &&
		    model_demandable(i, on, count))
			break;
	}
	old = null.now >= model[on].due_at + ANSWER && null.now >= account_of(on)->force.until;
	result = AS(i, demand, handle(i, T_ACCOUNT + on), EXO_TYPE_FRAME, count);
	if (model_under(i, on) || model_under(on, i))
		wanted = ERR(INVAL);
	else if (model[on].asked && !old)
		wanted = ERR(BUSY);
	else if (model[on].asked)
		model[on].asked = false, model[on].left = 0;
	if (!wanted && !model_demandable(i, on, count))
		wanted = ERR(STATE);
	if (!wanted) {
		model[on].asked = true;
		model[on].by = i;
		model[on].left = count;
		model[on].due_at = null.now + ANSWER;
	}
	return result == wanted;
}

/* What may be taken, frame by frame from the highest slot of the lowest number that has more than is due to it. */
static bool step_repossess(unsigned by)
{
	unsigned on = below(TENANTS), i, k, a;
	uint32_t before[TENANTS], lost[TENANTS], sum = 0, others = 0;
	int64_t result;

	for (i = 0; i < TENANTS && below(4); i++)
		if (model[i].asked) {
			on = i;
			by = model[i].by;
		}
	if (!model[on].asked || model[on].by != by)
		return AS(by, repossess, handle(by, T_ACCOUNT + on)) == ERR(STATE);
	null.now += ANSWER;
	for (i = 0; i < TENANTS; i++)
		before[i] = model_used(i);
	result = AS(by, repossess, handle(by, T_ACCOUNT + on));
	if (result < 0 && result != ERR(AGAIN))
		return false;
	for (i = 0; i < TENANTS; i++) {
		lost[i] = 0;
		for (k = 0; k < SLOTS; k++) {
			uint32_t now = cap(i, T_FREE + k)->count + cap(i, T_FREE + k)->object;

			if (now > model[i].has[k] || (now < model[i].has[k] && !model_under(i, on)))
				return false;
			lost[i] += model[i].has[k] - now;
		}
		sum += lost[i];
	}
	for (i = 0; i < TENANTS; i++) /* demands on accounts below are met by the way */
		if (i != on && model[i].asked && model_under(i, on))
			others += model[i].left - account_of(i)->view.demand_left;
	result = result < 0 ? 0 : result;
	if (sum < (uint32_t)result || sum - (uint32_t)result > others)
		return false;
	for (i = 0; i < TENANTS; i++) { /* one after the other: what is beyond a guarantee counts at each */
		for (k = 0; k < SLOTS; k++)
			model[i].has[k] = cap(i, T_FREE + k)->count + cap(i, T_FREE + k)->object;
		if (lost[i])
			model_given(i, lost[i]);
	}
	for (a = 0; a < TENANTS; a++) /* no guarantee is touched, up to the account of both */
		if (!model_under(by, a) && model_used(a) < before[a] && model_used(a) < model[a].guaranteed)
			return false;
	if (model[on].asked && !account_of(on)->demander && (!sum || model[on].left)) {
		model[on].asked = false; /* a change of guarantees made it smaller */
		model[on].left = 0;
	} else if (model[on].asked) {
		model[on].left = account_of(on)->view.demand_left;
	}
	return true;
}

static bool step_share(unsigned i)
{
	uint32_t want = below(below(3) ? 60 : 250), others = 0, promised = 0;
	exo_cap_t parent = parent_of[i] == ROOT ? world_handle(0, SLOT_ACCOUNT)
						: world_handle(0, 20 + parent_of[i]);
	unsigned k;
	int64_t wanted = 0, result;

	for (k = 0; k < TENANTS; k++) {
		if (parent_of[k] == i)
			promised += model[k].guaranteed;
		if (parent_of[k] == parent_of[i] && k != i)
			others += model[k].guaranteed;
	}
	if (want < promised)
		wanted = ERR(STATE);
	else if (others + want > (parent_of[i] != ROOT ? model[parent_of[i]].guaranteed
						       : ((struct account *)pfn_to_virt(world.root_account))
							     ->view.share[EXO_SHARE_FRAMES]
							     .guaranteed))
		wanted = ERR(QUOTA);
	result = share(parent, world_handle(0, 20 + i), want, 0);
	if (!wanted) {
		model[i].guaranteed = want;
		model_credit_trim(i);
		model_demand_trim(i);
	}
	return result == wanted;
}

static bool model_agrees(void)
{
	unsigned i;

	for (i = 0; i < TENANTS; i++)
		if (used(i) != model_used(i) || account_of(i)->view.credit[0] != model[i].credit ||
		    (account_of(i)->demander != 0) != model[i].asked ||
		    (model[i].asked && account_of(i)->view.demand_left != model[i].left))
			return false;
	return info->frames_promised == model_promised();
}

static void test_random(uint32_t frames, unsigned steps)
{
	static bool (*const step[])(unsigned) = { step_take, step_take, step_take, step_take, step_give,
		step_give, step_demand, step_demand, step_repossess, step_repossess, step_repossess,
		step_share, step_derive, step_drop, step_drop };
	unsigned i, which = 0, who = 0;
	uint32_t taken = 0, demanded = 0;
	bool good = true;

	world_boot(frames);
	pool = (exo_cap_t)CALL(0, frame_take, SLOT_FREE, EXO_PFN_ANY, 24);
	CALL(0, frame_take, pool, EXO_PFN_ANY, 24);
	pooled = 0;
	memset(model, 0, sizeof(model));
	for (i = 0; i < TENANTS; i++)
		make_tenant(i,
		    parent_of[i] == ROOT ? world_handle(0, SLOT_ACCOUNT) : world_handle(0, 20 + parent_of[i]),
		    0, 0);
	introduce(TENANTS);
	for (i = 0; i < steps && good; i++) {
		which = below(COUNT_OF(step));
		who = below(TENANTS);
		good = step[which](who) && model_agrees();
		taken += which >= 8 && which < 11 && null.result > 0;
		demanded += (which == 6 || which == 7) && !null.result;
	}
	ok(good,
	    "%u random steps on %u frames agree with the model: %u demands, %u times something was taken",
	    steps, frames, demanded, taken);
	if (!good)
		printf("# step %u, kind %u by %u: result %lld\n", i, which, who, (long long)null.result);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_random(700, world_steps(4000));
	test_random(420, world_steps(4000));
	return done();
}
