/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What flows cost whom: shapes are charged to accounts, with and without flows of them, whoever shares, goes or dies; and
 * budgets, beyond which packets are dropped. Random makes and drops by two accounts against a naive model of who is charged.
 */
#include "test/unit/flow_fake.h"
#include "exo/codes.h"

#define PACKET(bytes)	(150 + 60 + (bytes) / 8)	/* what one costs that goes to a ring: exo/flow.h */

static struct account *account_of(unsigned who)
{
	return pfn_to_virt(world.env[who]->account);
}

static uint32_t charged(unsigned who)
{
	return account_of(who)->view.share[EXO_SHARE_SHAPES].used;
}

static uint32_t charged_above(void)
{
	return ((struct account *)pfn_to_virt(world.root_account))->view.share[EXO_SHARE_SHAPES].used;
}

/* Each field makes a shape of its own. */
static struct exo_claim of_shape(unsigned shape, uint32_t value)
{
	struct exo_term terms[2] = { type_a, { .offset = (uint16_t)(40 + shape), .width = 1, .mask = 0xff, .value = value } };

	terms[0].value = 0x4000 + shape;
	return claim_of(2, terms);
}

static int64_t make_of(unsigned who, unsigned n, unsigned shape, uint32_t value)
{
	struct exo_claim claim = of_shape(shape, value);

	return make(who, SLOT_FIRST + n, world_handle(who, SLOT_ROOT), n, &claim);
}

/* Only begins it. */
static int64_t begin(unsigned who, unsigned n, unsigned shape)
{
	struct exo_claim claim = of_shape(shape, 1);

	memcpy(world.env[who]->arg, &claim, sizeof(claim));
	return CALL(who, flow_make, SLOT_FIRST + n, world_handle(who, SLOT_ROOT), world_handle(who, SLOT_CLAIMS), n, 0);
}

static void drop(unsigned who, unsigned n)
{
	is_int(world_finish(who, EXO_CALL_cap_delete, world_handle(who, SLOT_FIRST + n), 0), 0, "a flow goes");
}

static void limits(unsigned who, uint32_t limit)
{
	account_of(who)->view.share[EXO_SHARE_SHAPES].limit = limit;
}

/* A second tenant that may claim below the device. */
static void two(void)
{
	cap_fill(cap_free_slot(world.env[1], SLOT_ROOT), EXO_TYPE_FLOW, EXO_RIGHT_CLAIM | EXO_RIGHT_BIND, 0, 0, flow_root(0),
	    cap_slot(world.env[0], SLOT_ROOT), SLOT_ROOT);
	take_run(1, SLOT_CLAIMS, 24);
}

static void test_charged(void)
{
	limits(0, 1);
	ok(make_of(0, 0, 0, 1) > 0 && charged(0) == 1, "a flow of a new shape: charged");
	is_int(make_of(0, 1, 1, 1), ERR(QUOTA), "a second shape: QUOTA");
	ok(make_of(0, 1, 0, 2) > 0 && charged(0) == 1, "a second flow of the first costs no more");
	ok(make_of(1, 0, 0, 3) > 0 && !charged(0) && !charged(1) && charged_above() == 1,
	    "one of another account: it is charged to the account above both");
	drop(0, 0);
	drop(0, 1);
	is_int(charged_above(), 1, "and stays so, while anybody has it");
	drop(1, 0);
	is_int(charged_above(), 0, "the last one goes, and the charge");
	is_int(make_of(0, 0, 1, 1) > 0, 1, "now the other shape can be had");
	drop(0, 0);
	limits(0, EXO_UNLIMITED);
}

static void test_begun(void)
{
	unsigned begun = 0;

	limits(0, 3);
	for (unsigned i = 0; i < 40; i++)
		begun += begin(0, 0, 10 + i) == ERR(AGAIN) && charged(0) <= 3;
	ok(begun && charged(0) == 3, "who only begins is charged, too: no more than 3 at a time");
	ok(make_of(1, 0, 60, 1) > 0, "another is not kept from its own");
	ok(make_of(0, 0, 61, 1) > 0 && charged(0) <= 3, "nor is itself: what it has only begun goes first");
	drop(0, 0);
	drop(1, 0);
	while (charged(0) && begin(1, 0, 62) == ERR(AGAIN))
		;
	(void)make_of(1, 0, 63, 1);
	drop(1, 0);
	limits(0, EXO_UNLIMITED);
	ok(!world_check(), "all in order");
}

/* What is guaranteed is there, whatever the other has or has begun. */
static void test_guaranteed(void)
{
	struct exo_shares *shares = (struct exo_shares *)world.env[0]->arg;
	unsigned made = 0, kept = 5;
	struct exo_cap *below;
	int64_t result;

	below = cap_free_slot(world.env[0], 14);
	cap_fill(below, EXO_TYPE_ACCOUNT, EXO_RIGHT_READ, 0, 0, world.env[1]->account, NULL, 14);
	cap_fill(cap_free_slot(world.env[0], 15), EXO_TYPE_ACCOUNT, EXO_RIGHT_CONTROL, 0, 0, world.root_account, NULL,
	    15);
	memset(shares, 0, sizeof(*shares));
	for (unsigned kind = 0; kind < EXO_SHARES; kind++)
		shares->share[kind].limit = EXO_UNLIMITED;
	shares->share[EXO_SHARE_SHAPES].guaranteed = kept;
	shares->answer_ns = info->slice_ns;
	is_int(CALL(0, account_share, world_handle(0, 15), world_handle(0, 14), 0), 0, "5 are guaranteed");
	world.unchecked = true;
	while (made < 44 && (result = make_of(0, made, made, 1)) > 0)
		made++;
	world.unchecked = false;
	ok(made == shapes_max - 1 - kept || made == 44, "the other has %u of %u", made, shapes_max - 1);
	for (unsigned i = 0; i < 80; i++)
		(void)begin(0, 47, 100 + i);
	for (unsigned i = 0; i < kept; i++)
		ok(make_of(1, i, 200 + i, 1) > 0, "what is guaranteed can be had");
	for (unsigned i = 0; i < kept; i++)
		drop(1, i);
	world.unchecked = true;
	while (made--)
		drop(0, made);
	world.unchecked = false;
	CALL(0, cap_delete, world_handle(0, 14));
	CALL(0, cap_delete, world_handle(0, 15));
}

/* --- the model: who has how many flows of which shape ------------------------------------------------------------- */

#define SHAPES	4
#define FLOWS	12

static struct {
	bool there;
	unsigned shape;
} model[2][FLOWS];

static bool as_model(void)
{
	uint32_t each[2] = { 0 }, both = 0;
	static unsigned charge[SHAPES];	/* bit i: account i; it stays with both until all are gone */

	for (unsigned s = 0; s < SHAPES; s++) {
		unsigned has = 0;
		for (unsigned who = 0; who < 2; who++)
			for (unsigned n = 0; n < FLOWS; n++)
				has |= (unsigned)(model[who][n].there && model[who][n].shape == s) << who;
		charge[s] = has ? charge[s] | has : 0;
		each[0] += charge[s] == 1;
		each[1] += charge[s] == 2;
		both += charge[s] == 3;
	}
	return charged(0) == each[0] && charged(1) == each[1] && charged_above() == each[0] + each[1] + both;
}

static void test_random(unsigned steps)
{
	bool good = true;
	unsigned i;

	for (i = 0; i < steps && good; i++) {
		unsigned who = below(2), n = below(FLOWS), shape = below(SHAPES);

		if (model[who][n].there)
			(void)world_finish(who, EXO_CALL_cap_delete, world_handle(who, SLOT_FIRST + n), 0);
		else
			good = make_of(who, n, shape, who * FLOWS + n) > 0;
		model[who][n].there = !model[who][n].there;
		model[who][n].shape = shape;
		good = good && as_model() && !world_check();
	}
	ok(good, "%u random flows made and dropped: shapes are charged as the model says", i);
	for (unsigned who = 0; who < 2; who++)
		for (unsigned n = 0; n < FLOWS; n++)
			if (model[who][n].there)
				(void)world_finish(who, EXO_CALL_cap_delete, world_handle(who, SLOT_FIRST + n), 0);
	is_int(charged_above(), 0, "nothing is charged in the end");
}

/* --- budgets ---------------------------------------------------------------------------------------------------- */

static exo_time_t clock = 5 * EXO_BUDGET_NS;

static void packet(uint16_t type, uint8_t second, unsigned bytes)
{
	uint8_t frame[1536] = { 0 };

	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
	frame[20] = second;
	flow_receive(fake.device.root, frame, bytes, clock);
	flow_received();
}

static struct exo_ring *bound(unsigned n, unsigned ring)
{
	struct exo_ring *at;

	take_run(0, SLOT_FIRST + ring, 1 + EXO_RX_FRAMES_MAX);
	at = pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_FIRST + ring)->first);
	at->rx_frames = EXO_RX_FRAMES_MAX;
	at->rx_posted = EXO_RX_SLOTS_MAX;
	is_int(CALL(0, flow_bind, world_handle(0, SLOT_FIRST + n), world_handle(0, SLOT_FIRST + ring), 0, 0, 0, 0), 0, "a ring");
	return at;
}

static void test_budget(void)
{
	struct exo_term second = { .offset = 20, .width = 1, .mask = 0xff, .value = 7 };
	struct exo_claim with = claim_of(1, &type_a), without = claim_of(1, &type_b), below = claim_of(1, &second);
	struct exo_ring *a, *b, *c;
	struct flow *flow;

	with.budget = 5 * PACKET(60);
	without.terms = 0;
	without.flags = EXO_FLOW_OWN;
	without.budget = 1;
	is_int(make(0, SLOT_FIRST, world_handle(0, SLOT_ROOT), 0, &without), ERR(INVAL), "none for who has the device itself");
	without = claim_of(1, &type_b);
	(void)make(0, SLOT_FIRST, world_handle(0, SLOT_ROOT), 0, &with);
	(void)make(0, SLOT_FIRST + 1, world_handle(0, SLOT_ROOT), 1, &without);
	(void)make(0, SLOT_FIRST + 2, world_handle(0, SLOT_FIRST), 2, &below);
	flow = flow_at(0, SLOT_FIRST);
	a = bound(0, 10), b = bound(1, 11), c = bound(2, 12);
	for (unsigned i = 0; i < 100; i++) {
		packet(0x1111, 0, 60);
		packet(0x2222, 0, 60);
	}
	ok(a->rx_head == 5 && flow->info->rx_over == 95 && flow->info->rx_dropped == 95 && a->rx_dropped == 95,
	    "5 packets of 100, the others are dropped and counted");
	ok(b->rx_head == 100 && !flow_at(0, SLOT_FIRST + 1)->info->rx_over, "another flow gets all of its own");
	clock += EXO_BUDGET_NS - 1;
	packet(0x1111, 0, 60);
	is_int(a->rx_head, 5, "it is not over yet");
	clock++;
	packet(0x1111, 7, 60);
	packet(0x1111, 7, 60);
	for (unsigned i = 0; i < 10; i++)
		packet(0x1111, 0, 60);
	ok(c->rx_head == 2 && a->rx_head == 8, "then it is whole again; a flow below it takes from the same");
	packet(0x1111, 7, 60);
	ok(c->rx_head == 2 && flow_at(0, SLOT_FIRST + 2)->info->rx_over == 1, "and may have no more either");
	clock += 10 * EXO_BUDGET_NS;
	packet(0x1111, 0, 1500);
	packet(0x1111, 0, 1500);
	packet(0x1111, 0, 1500);
	packet(0x1111, 0, 1500);
	is_int(a->rx_head, 11, "long ones cost more");
	for (unsigned n = 0; n < 3; n++)
		drop(0, n), drop(0, 10 + n);
}

/* A budget of its own below another: the smaller one binds, and what a flow below spends the one above has spent. */
static void test_nested(void)
{
	struct exo_term second = { .offset = 20, .width = 1, .mask = 0xff, .value = 7 };
	struct exo_claim outer = claim_of(1, &type_a), inner = claim_of(1, &second);
	struct exo_ring *a, *c;

	outer.budget = 6 * PACKET(60);
	inner.budget = 2 * PACKET(60);
	(void)make(0, SLOT_FIRST, world_handle(0, SLOT_ROOT), 0, &outer);
	(void)make(0, SLOT_FIRST + 1, world_handle(0, SLOT_FIRST), 1, &inner);
	a = bound(0, 10), c = bound(1, 11);
	clock += EXO_BUDGET_NS;
	for (unsigned i = 0; i < 10; i++)
		packet(0x1111, 7, 60);
	for (unsigned i = 0; i < 10; i++)
		packet(0x1111, 0, 60);
	ok(c->rx_head == 2 && a->rx_head == 4, "2 below, and the other 4 of 6 above");
	for (unsigned n = 0; n < 2; n++)
		drop(0, n), drop(0, 10 + n);
	ok(!world_check(), "all in order");
}

static uint64_t costly(uint64_t r1, uint64_t r2, struct bpf_run *run)
{
	(void)r1, (void)r2;
	run->fuel -= 10 * PACKET(60);
	return EXO_PACKET_DONE;
}

/* What a program below takes, whose flow's own budget is as good as none, is paid by the budget above, too. */
static void test_program_below(void)
{
	static struct code code = { .native = costly, .fuel = 60000, .weight = 1, .program.fuel = 60000 };
	struct exo_term second = { .offset = 20, .width = 1, .mask = 0xff, .value = 7 };
	struct exo_claim outer = claim_of(1, &type_a), inner = claim_of(1, &second);
	struct exo_ring *a;
	struct flow *flow;

	outer.budget = 6 * PACKET(60);
	inner.budget = UINT32_MAX;
	(void)make(0, SLOT_FIRST, world_handle(0, SLOT_ROOT), 0, &outer);
	(void)make(0, SLOT_FIRST + 1, world_handle(0, SLOT_FIRST), 1, &inner);
	a = bound(0, 10), (void)bound(1, 11);
	flow = flow_at(0, SLOT_FIRST + 1);
	clock += EXO_BUDGET_NS;
	flow->code = &code;
	for (unsigned i = 0; i < 10; i++)
		packet(0x1111, 7, 60);
	flow->code = NULL;
	packet(0x1111, 0, 60);
	ok(flow->info->runs == 1 && flow->info->rx_over == 9, "one run of the program spends the budget above");
	is_int(a->rx_head, 0, "so nothing is left for others there");
	for (unsigned n = 0; n < 2; n++)
		drop(0, n), drop(0, 10 + n);
	ok(!world_check(), "all in order");
}

/* Its maker ends: what it has begun keeps neither a place nor the account. */
static void test_dead(void)
{
	exo_pfn_t account = world.env[1]->account;

	is_int(begin(1, 0, 77), ERR(AGAIN), "one begins a flow");
	is_int(charged(1), 1, "and is charged");
	here.current = world.env[0];
	env_end(world.env[1], EXO_CAUSE_DESTROYED, 0, 0);
	world.unchecked = true;
	while (!env_destroy_some(world.env[1], &(unsigned){ EXO_UNWIND_MAX }))
		;
	world.unchecked = false;
	ok(info_frame[account].state != EXO_FRAME_ACCOUNT, "it is destroyed, and its account goes with it");
	is_int(charged_above(), 0, "nothing is charged for what it began");
	ok(!world_check(), "all in order");
}

static void test_checker(void)
{
	uint32_t s = 1;

	(void)make_of(0, 0, 0, 1);
	while (!shape_table[s].account)
		s++;
	shape_table[s].account = 0;
	ok(world_check(), "the checker sees a shape that nobody pays");
	shape_table[s].account = world.env[1]->account;
	ok(world_check(), "and one that another pays");
	shape_table[s].account = world.env[0]->account;
	ok(!world_check(), "and that all is well");
	drop(0, 0);
}

int main(void)
{
	flow_world(2400);
	world_tenant(0, 8);
	world_tenant(1, 8);
	two();
	test_checker();
	test_charged();
	test_begun();
	test_guaranteed();
	test_random(world_steps(400));
	test_budget();
	test_nested();
	test_program_below();
	test_dead();
	return done();
}
