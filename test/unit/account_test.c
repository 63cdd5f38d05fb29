/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accounts: limits, nesting, death in chains; environments made in them; random takes and gives against a
 * naive model, which adds up what each environment holds along the accounts above it.
 */
#include <stdlib.h>
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define RWX	(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define ACCOUNT	world_handle(0, SLOT_ACCOUNT)
#define NEST	4

static struct exo_cap *slot(unsigned who, uint32_t number)
{
	return cap_slot(world.env[who], number);
}

static void test_errors(void)
{
	exo_cap_t a = (exo_cap_t)CALL(0, frame_take, 8, EXO_PFN_ANY, 12), account = ACCOUNT, reader;
	uint32_t before = info->frames_free;
	unsigned i;

	reader = (exo_cap_t)CALL(0, cap_derive, account, 0, 9, EXO_RIGHT_READ, 0, 0);
	is_int(CALL(0, account_make, 8, account, a, 0, 5), ERR(SLOT), "slot in use");
	is_int(CALL(0, account_make, 10, a, a, 0, 5), ERR(TYPE), "not an account");
	is_int(CALL(0, account_make, 10, reader, a, 0, 5), ERR(RIGHTS), "without CONTROL");
	is_int(CALL(0, account_make, 10, account, account, 0, 5), ERR(TYPE), "not frames");
	is_int(CALL(0, account_make, 10, account, a, 12, 5), ERR(RANGE), "outside");
	is_int(CALL(0, account_make, 10, account, a, 0, 1ULL << 32), ERR(INVAL), "limit too large");
	is_int(CALL(0, account_make, 10, account, world_handle(0, SLOT_SELF), 0, 5), ERR(BUSY),
	    "a kernel object");
	for (i = 0; i < 9; i++) {
		int64_t result = CALL(0, account_make, 10 + i, account, a, i, 100 - i);

		if (i < ACCOUNT_DEPTH_MAX - 1)
			ok(result > 0, "account %u deep", i + 2);
		else if (ok(result == ERR(DEPTH), "no deeper"))
			break;
		account = (exo_cap_t)result;
	}
	is_int(world_finish(0, EXO_CALL_cap_revoke, ACCOUNT, 0), 0, "revoke all below");
	is_int(CALL(0, frame_give, a, 12), 12, "their frames are ordinary again");
	is_int(info->frames_free, before + 12, "all are free");
}

/* An environment of 4 frames at `frames`[first] in an account, in the own space. */
static int64_t make_env(unsigned who, uint32_t number, exo_cap_t account, exo_cap_t frames, uint32_t first)
{
	struct exo_env_params *params = (struct exo_env_params *)world.env[who]->arg;

	memset(params, 0, sizeof(*params));
	memcpy(params->label, "child", 6);
	return CALL(who, env_create, number, world_handle(who, SLOT_SPACE), account, frames, first, 0);
}

/* Accounts whose frames are charged to the one before, with environments in them. */
static void test_chain(void)
{
	uint32_t before = info->frames_free, i;
	struct env *maker = world.env[0], *made[10];
	exo_cap_t a, account;

	a = (exo_cap_t)CALL(0, frame_take, 8, EXO_PFN_ANY, 24);
	is_int(CALL(0, frame_take, a, EXO_PFN_ANY, 24), 24, "frames for ten environments");
	for (i = 0; i < 10; i++) {
		exo_pfn_t frame = frame_find(1);
		struct exo_cap *cap = cap_free_slot(maker, 30 + i);

		here.current = world.env[0];
		frame_claim(frame, i ? made[i - 1] : world.env[0]);
		cap_fill(cap, EXO_TYPE_FRAME, RWX, frame, 1, 0, NULL, 30 + i);
		account = (exo_cap_t)CALL(0, account_make, 10, ACCOUNT, world_handle(0, 30 + i), 0, 50);
		if (make_env(0, 40 + i, account, a, 4 * i) < 0)
			break;
		made[i] = pfn_to_virt(slot(0, 40 + i)->object);
		if (CALL(0, cap_delete, account))
			break;
	}
	is_int(i, 10, "ten accounts, each charged for the next one's frame");
	for (i = 0; i < 10; i++)
		is_int(CALL(0, cap_delete, world_handle(0, 30 + i)), ERR(BUSY), "an account lies in it");
	world.unchecked = true;
	for (i = 0; i < 10; i++) {
		is_int(world_finish(0, EXO_CALL_env_destroy, world_handle(0, 40 + i), 0), 0, "destroy one");
		is_int(CALL(0, cap_delete, world_handle(0, 40 + i)), 0, "drop its capability");
	}
	is_int(CALL(0, cap_delete, world_handle(0, 30)), ERR(BUSY),
	    "the first account is still charged for the second");
	for (i = 10; i-- > 0; )
		is_int(CALL(0, cap_delete, world_handle(0, 30 + i)), 0,
		    "drop an account's frame, the last one first");
	world.unchecked = false;
	is_int(world_finish(0, EXO_CALL_cap_delete, a, 0), 0, "drop their frames");
	is_int(info->frames_free, before, "all are free");
}

/* The same chain, but the capabilities of the frames go first: nothing but the charges keeps the accounts. */
static void test_reap(void)
{
	uint32_t before = info->frames_free, i;
	struct account *account[10], *root = pfn_to_virt(world.root_account);
	exo_pfn_t pfn[10];

	for (i = 0; i < 10; i++) {
		pfn[i] = frame_find(1);
		frame_claim(pfn[i], NULL);
		account[i] = pfn_to_virt(pfn[i]);
		*account[i] = (struct account){ .self = pfn[i], .parent = world.root_account, .holds = 1 };
		account[i]->view.share[0].limit = 10;
		frame_retype(pfn[i], EXO_FRAME_ACCOUNT, 0);
		root->users++;
		if (i) {
			frame_table[pfn[i]].account = pfn[i - 1];
			info_frame[pfn[i]].owner = world.env[0]->index;
			world.env[0]->info->frames++;
			account_charge(account[i - 1], 0, 1);
		}
	}
	for (i = 0; i < 9; i++)
		account_unhold(pfn[i]);
	is_int(info->frames_free, before - 10, "the charges keep them");
	account_unhold(pfn[9]);
	ok(info->frames_free > before - 10 && info->frames_free < before && !world_check(),
	    "the last one goes and pulls some along");
	i = info->frames_free;
	account_hold(world.root_account);
	account_unhold(world.root_account);
	ok(info->frames_free > i, "more go when somebody lets go of any account");
	for (i = 0; i < 10 && info->frames_free < before; i++) {
		account_hold(world.root_account);
		account_unhold(world.root_account);
	}
	ok(i && i < 10, "the others go with the next ones");
	is_int(info->frames_free, before, "all are free");
	ok(!world_check(), "the world is whole");
}

/* --- the naive model: environment i is charged to account i, which lies below account i - 1 ------------- */

static struct env *child[NEST];
static uint32_t limit[NEST], base[NEST];
static uint32_t has[NEST][8];

static uint32_t model_used(unsigned i)
{
	uint32_t sum = 0;
	unsigned at, k;

	for (at = i; at < NEST; at++) {
		sum += base[at];
		for (k = 0; k < 8; k++)
			sum += has[at][k];
	}
	return sum;
}

static bool model_room(unsigned i, uint32_t count)
{
	for (;; i--) {
		if (model_used(i) + count > limit[i])
			return false;
		if (!i)
			return true;
	}
}

static bool step(unsigned who)
{
	uint32_t k = below(8), number = 1 + k, count = 1 + below(12);
	struct env *was = world.env[0];
	int64_t result;
	bool good;

	world.env[0] = child[who];
	if (!has[who][k]) {
		result = CALL(0, frame_take, number, EXO_PFN_ANY, count);
		good = result == (model_room(who, count) ? (int64_t)world_handle(0, number) : ERR(QUOTA));
		has[who][k] = result > 0 ? count : 0;
	} else if (below(2)) {
		result = world_finish(0, EXO_CALL_cap_delete, world_handle(0, number), 0);
		good = result == 0;
		has[who][k] = 0;
	} else {
		count = 1 + below(has[who][k]);
		result = CALL(0, frame_give, world_handle(0, number), count);
		good = result == count;
		has[who][k] -= count;
	}
	world.env[0] = was;
	return good;
}

static void test_random(unsigned steps)
{
	exo_cap_t frames, account;
	bool good = true;
	unsigned i, who = 0;

	world_boot(800);
	frames = (exo_cap_t)CALL(0, frame_take, 8, EXO_PFN_ANY, 5 * NEST);
	account = ACCOUNT;
	for (i = 0; i < NEST; i++) {
		limit[i] = 90 - 20 * i;
		base[i] = 0;
		account = (exo_cap_t)CALL(0, account_make, 20 + i, account, frames, i, limit[i]);
		ok(make_env(0, 30 + i, account, frames, NEST + 4 * i) > 0,
		    "an environment with a limit of %u",
		    limit[i]);
		child[i] = pfn_to_virt(slot(0, 30 + i)->object);
	}
	for (i = 0; i < steps && good; i++) {
		who = below(NEST);
		good = step(who);
		for (unsigned at = 0; at < NEST; at++)
			good = good &&
			    ((struct account *)pfn_to_virt(child[at]->account))->view.share[0].used == model_used(at);
	}
	ok(good, "%u random steps agree with the model", steps);
	if (!good)
		printf("# step %u by %u: result %lld\n", i, who, (long long)null.result);
	for (i = 0; i < NEST; i++)
		is_int(world_finish(0, EXO_CALL_env_destroy, world_handle(0, 30 + i), 0), 0,
		    "destroy one in the middle of it");
	for (i = 0; i < NEST; i++)
		is_int(CALL(0, cap_delete, world_handle(0, 20 + i)), 0, "drop its account");
	is_int(CALL(0, frame_give, frames, 5 * NEST), 5 * NEST, "give all back");
}

static void test_checker(void)
{
	struct account *account = pfn_to_virt(world.root_account);

	account->view.share[0].used++;
	ok(world_check(), "the checker sees a wrong charge");
	account->view.share[0].used--;
	account->users--;
	ok(world_check(), "the checker sees a wrong count of users");
	account->users++;
	ok(!world_check(), "the world is whole again");
}

int main(void)
{
	world_boot(600);
	test_errors();
	test_checker();
	test_chain();
	test_reap();
	test_random(world_steps(3000));
	return done();
}
