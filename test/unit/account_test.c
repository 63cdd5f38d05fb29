/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accounts: limits, nesting, death in chains; environments made in them; random takes and gives against a
 * naive model, which adds up what each environment holds along the accounts above it. Limits and guarantees of what is
 * kept free, in a tree of accounts, against another, which works all of it out anew each time.
 */
#include <stdlib.h>
#include <exo/trace.h>
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

/* --- what is kept free: account i lies below `above`, which is itself an account of the tree or (-1) the root ---- */

#define KIND	EXO_SHARE_TRACES
#define TREE	7

static const int above[TREE] = { -1, 0, 0, 1, 1, -1, 5 };
static uint32_t kept_limit[TREE], guarantee[TREE], taken[TREE];

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* What account i uses, or keeps for those below it. */
static uint32_t kept_in(int i)
{
	uint32_t sum = i < 0 ? 0 : taken[i];

	for (int j = 0; j < TREE; j++)
		if (above[j] == i)
			sum += larger(kept_in(j), guarantee[j]);
	return sum;
}

/* Each account's limit has room for what is used and kept below it, and so has the machine; but for those that had less
 * room before: nothing is taken from them. */
static bool kept_fits(int from, const uint32_t was[TREE + 1])
{
	for (int i = from;; i = above[i]) {
		uint32_t now = i < 0 ? kept_in(i) : larger(kept_in(i), guarantee[i]);
		if (now > was[i + 1] && now > (i < 0 ? EXO_TRACES_MAX : kept_limit[i]))
			return false;
		if (i < 0)
			return true;
	}
}

static void kept_now(uint32_t was[TREE + 1])
{
	for (int i = -1; i < TREE; i++)
		was[i + 1] = i < 0 ? kept_in(i) : larger(kept_in(i), guarantee[i]);
}

static exo_cap_t tree_cap(int i)
{
	return i < 0 ? ACCOUNT : world_handle(0, 20 + (unsigned)i);
}

static struct account *tree_at(int i)
{
	return i < 0 ? pfn_to_virt(world.root_account) : pfn_to_virt(slot(0, 20 + (unsigned)i)->object);
}

/* New limit and guarantee of an account; what the call says is what the model says. */
static bool kept_share(int i)
{
	struct exo_shares *shares = (struct exo_shares *)world.env[0]->arg;
	uint32_t before = guarantee[i], want = below(12), was[TREE + 1], promised = 0, others = 0, has;
	int64_t result, expect = 0;

	memset(shares, 0, sizeof(*shares));
	for (unsigned kind = 0; kind < EXO_SHARES; kind++)
		shares->share[kind].limit = EXO_UNLIMITED;
	shares->share[KIND] = (struct exo_share){ want, below(3) ? 12 + below(30) : EXO_UNLIMITED };
	shares->answer_ns = info->slice_ns;
	for (int j = 0; j < TREE; j++) {
		promised += above[j] == i ? guarantee[j] : 0;
		others += above[j] == above[i] && j != i ? guarantee[j] : 0;
	}
	has = above[i] < 0 ? EXO_TRACES_MAX : guarantee[above[i]];
	kept_now(was);
	guarantee[i] = want;
	if (want < promised)
		expect = ERR(STATE);
	else if (want + others > has)
		expect = ERR(QUOTA);
	else if (!kept_fits(above[i], was))
		expect = ERR(FULL);
	result = CALL(0, account_share, tree_cap(above[i]), tree_cap(i), 0);
	if (expect)
		guarantee[i] = before;
	else
		kept_limit[i] = shares->share[KIND].limit;
	return result == expect;
}

static bool kept_take(int i)
{
	uint32_t was[TREE + 1], count = 1 + below(4);
	bool due = kept_in(i) + count <= guarantee[i];
	int64_t result;

	kept_now(was);
	taken[i] += count;
	bool fits = kept_fits(i, was);
	result = account_take_kept(tree_at(i), KIND, count);
	if (result)
		taken[i] -= count;
	return fits == !result && (!due || fits);	/* what is guaranteed can be had, always */
}

static void kept_give(int i)
{
	uint32_t count = taken[i] ? 1 + below(taken[i]) : 0;

	taken[i] -= count;
	account_charge(tree_at(i), KIND, -(int32_t)count);
}

static void test_kept(unsigned steps)
{
	exo_cap_t frames;
	bool good = true;
	unsigned step, refused = 0;

	world_boot(800);
	frames = (exo_cap_t)CALL(0, frame_take, 8, EXO_PFN_ANY, TREE);
	for (int i = 0; i < TREE; i++) {
		kept_limit[i] = EXO_UNLIMITED;
		good = good && CALL(0, account_make, 20 + (unsigned)i, tree_cap(above[i]), frames, (unsigned)i, EXO_UNLIMITED) > 0;
	}
	world.unchecked = true;
	for (step = 0; step < steps && good; step++) {
		int i = (int)below(TREE);
		switch (below(4)) {
		case 0:
			good = kept_share(i);
			refused += null.result == ERR(FULL);
			break;
		case 1:
			kept_give(i);
			break;
		default:
			good = kept_take(i);
		}
		for (i = -1; i < TREE; i++)
			good = good && tree_at(i)->kept[KIND - ACCOUNT_ASKED] == kept_in(i);
	}
	ok(good && (refused || steps < 1000), "%u random takes, gives, limits and guarantees of what is kept agree (%u times FULL)",
	    step, refused);
	for (int i = 0; i < TREE; i++)
		account_charge(tree_at(i), KIND, -(int32_t)taken[i]);
	world.unchecked = false;
	ok(!world_check(), "all in order");
	for (int i = TREE; i-- > 0; )
		is_int(CALL(0, cap_delete, tree_cap(i)), 0, "an account goes");
	is_int(CALL(0, frame_give, frames, TREE), TREE, "give all back");
	is_int(tree_at(-1)->kept[KIND - ACCOUNT_ASKED], 0, "nothing is kept for those that are gone");
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
	account->kept[EXO_SHARE_SHAPES - ACCOUNT_ASKED]++;
	ok(world_check(), "the checker sees more kept than is used");
	account->kept[EXO_SHARE_SHAPES - ACCOUNT_ASKED]--;
	account_charge(account, EXO_SHARE_TRACES, 1);
	ok(world_check(), "the checker sees a charge for no trace");
	account_charge(account, EXO_SHARE_TRACES, -1);
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
	test_kept(world_steps(20000));
	return done();
}
