/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows as claims: random claims and packets against a naive matcher that tries every flow; every documented error of
 * flow_make; guards below guards; how deep flows lie. Their rings are in flow_ring_test.c.
 */
#include "test/unit/flow_fake.h"

/* --- the naive matcher ------------------------------------------------------------------------------------------ */

#define MODEL_MAX	40

static struct model {
	bool used;
	int parent;		/* -1: the root */
	struct exo_claim claim;
	uint32_t slot;
} model[MODEL_MAX];

/* Which flow has it, or for shared ones one of them; -1: the root. */
static int model_find(int at, const uint8_t *packet, uint32_t bytes)
{
	for (int i = 0; i < MODEL_MAX; i++) {
		if (model[i].used && model[i].parent == at && claim_holds(&model[i].claim, packet, bytes))
			return model_find(i, packet, bytes);
	}
	return at;
}

/* Fields from a small alphabet, so that claims meet. */
static struct exo_term random_term(void)
{
	static const struct exo_term places[] = {
		{ .offset = 12, .width = 2 }, { .offset = 23, .width = 1 }, { .offset = 30, .width = 4 },
		{ .offset = 16, .width = 2, .rel_offset = 14, .rel_mask = 15, .rel_shift = 2 },
		{ .offset = 20, .width = 2 }, { .offset = 0, .width = 4 },
	};
	struct exo_term term = places[below(COUNT_OF(places))];
	uint32_t all = term.width == 4 ? 0xffffffff : (1u << 8 * term.width) - 1;

	term.mask = below(3) ? all : all & 0x0303;
	if (!term.mask)
		term.mask = all;
	term.value = (below(4) * 0x01010101) & term.mask;
	term.flags = below(8) ? 0 : EXO_TERM_NOT;
	return term;
}

static struct exo_claim random_claim(void)
{
	struct exo_claim claim = claim_of(0, NULL);

	for (unsigned tries = 1 + below(4); tries > 0; tries--) {
		struct exo_term term = random_term();
		bool twice = false;

		for (unsigned i = 0; i < claim.terms; i++)
			twice |= claim.term[i].offset == term.offset;
		if (!twice)
			claim.term[claim.terms++] = term;
	}
	claim.flags = below(4) ? 0 : EXO_FLOW_SHARED;
	return claim;
}

static uint32_t random_packet(uint8_t *packet)
{
	uint32_t bytes = 14 + below(50);

	for (unsigned i = 0; i < bytes; i++)
		packet[i] = (uint8_t)below(4);
	return bytes;
}

/* No packet of many satisfies both, unless they are shared and the same. */
static bool model_meet(const struct exo_claim *a, const struct exo_claim *b)
{
	uint8_t packet[64];

	for (unsigned i = 0; i < 400; i++) {
		uint32_t bytes = random_packet(packet);

		if (claim_holds(a, packet, bytes) && claim_holds(b, packet, bytes))
			return true;
	}
	return false;
}

static unsigned overlaps_seen, overlaps_missed;

static void model_make(unsigned at)
{
	int parent = (int)below(MODEL_MAX * 2) - MODEL_MAX;
	struct exo_claim claim = random_claim();
	exo_cap_t parent_cap;
	int64_t result;
	bool meet = false;

	if (parent < 0 || !model[parent].used || (int)at == parent)
		parent = -1;
	parent_cap = world_handle(0, parent < 0 ? SLOT_ROOT : model[parent].slot);
	result = make(0, SLOT_FIRST + at, parent_cap, at, &claim);
	if (parent >= 0 && (model[parent].claim.flags & EXO_FLOW_SHARED)) {
		if (result != ERR(STATE))
			overlaps_missed++;
		return;
	}
	for (int i = 0; i < MODEL_MAX; i++) {
		if (model[i].used && model[i].parent == parent && model_meet(&model[i].claim, &claim))
			meet |= !(claim.flags & model[i].claim.flags & EXO_FLOW_SHARED);
	}
	if (result > 0) {
		overlaps_missed += meet;
		model[at] = (struct model){ .used = true, .parent = parent, .claim = claim, .slot = SLOT_FIRST + at };
	} else {
		overlaps_seen += result == ERR(OVERLAP);
		overlaps_missed += result != ERR(OVERLAP);
	}
}

/* Leaves only: what has flows below stays as long as they do. */
static void model_drop(unsigned at)
{
	for (int i = 0; i < MODEL_MAX; i++) {
		if (model[i].used && model[i].parent == (int)at)
			return;
	}
	CALL(0, cap_delete, world_handle(0, model[at].slot));
	model[at].used = false;
}

static bool model_agrees(void)
{
	uint8_t packet[64];
	uint32_t bytes = random_packet(packet);
	int expected = model_find(-1, packet, bytes), found = -1;
	struct flow *flow = flow_find(fake.device.root, packet, bytes);

	for (int i = 0; i < MODEL_MAX; i++) {
		if (model[i].used && flow_at(0, model[i].slot) == flow)
			found = i;
	}
	if (found == expected)
		return true;
	/* Of shared flows any may be the first; the others are its peers. */
	for (; flow->peer != FLOW_NONE; flow = flow_table[flow->peer]) {
		if (expected >= 0 && flow_at(0, model[expected].slot) == flow_table[flow->peer])
			return true;
	}
	return false;
}

static void test_random(void)
{
	unsigned steps = world_steps(4000), wrong = 0, made = 0;

	world.unchecked = true;
	for (unsigned step = 0; step < steps; step++) {
		unsigned at = below(MODEL_MAX);

		if (!model[at].used)
			model_make(at);
		else if (below(4) == 0)
			model_drop(at);
		made += model[at].used;
		for (unsigned i = 0; i < 20; i++)
			wrong += !model_agrees();
	}
	world.unchecked = false;
	is_int(wrong, 0, "every packet goes where the naive matcher sends it");
	is_int(overlaps_missed, 0, "overlap is refused, and only that");
	ok(made > steps / 4 && overlaps_seen > steps / 100, "enough flows and overlaps to mean something");
	for (unsigned round = 0; round < MODEL_MAX; round++) {
		for (unsigned i = 0; i < MODEL_MAX; i++) {
			if (model[i].used)
				model_drop(i);
		}
	}
	ok(!world_check(), "all gone, all in order");
	is_int(fake.device.root->children, 0, "no flow is left below the root");
}

/* --- errors of flow_make ---------------------------------------------------------------------------------------- */

static void make_is(const struct exo_claim *claim, int64_t wanted, const char *name)
{
	is_int(make(0, SLOT_FIRST, world_handle(0, SLOT_ROOT), 0, claim), wanted, name);
}

static void bad_term_is(struct exo_term term, const char *name)
{
	struct exo_claim claim = claim_of(1, &term);

	make_is(&claim, ERR(INVAL), name);
}

static void test_make_errors(void)
{
	struct exo_claim good = claim_of(1, &type_a), claim = good;
	exo_cap_t root = world_handle(0, SLOT_ROOT), claims = world_handle(0, SLOT_CLAIMS), narrow;

	claim.terms = 9;
	make_is(&claim, ERR(INVAL), "too many terms");
	claim = good;
	claim.guards = 5;
	make_is(&claim, ERR(INVAL), "too many guards");
	claim = good;
	claim.guards = 1;
	claim.guard_terms[0] = 9;
	make_is(&claim, ERR(INVAL), "too many terms in a guard");
	claim = good;
	claim.flags = 4;
	make_is(&claim, ERR(INVAL), "unknown flag");
	claim = good;
	claim.terms = 2;
	claim.term[1] = type_b;
	make_is(&claim, ERR(INVAL), "one place twice");
	bad_term_is((struct exo_term){ .offset = 12, .width = 3, .mask = 1 }, "width 3");
	bad_term_is((struct exo_term){ .offset = 12, .width = 2, .mask = 0x10000 }, "mask wider than the field");
	bad_term_is((struct exo_term){ .offset = 12, .width = 2, .mask = 1, .value = 2 }, "value outside the mask");
	bad_term_is((struct exo_term){ .offset = 12, .width = 2, .mask = 0 }, "no mask");
	bad_term_is((struct exo_term){ .offset = 1513, .width = 2, .mask = 1 }, "beyond any frame");
	bad_term_is((struct exo_term){ .offset = 65535, .width = 4, .mask = 1 }, "offset near its end");
	bad_term_is((struct exo_term){ .offset = 1, .width = 1, .mask = 1, .rel_shift = 1 }, "shift without mask");
	bad_term_is((struct exo_term){ .offset = 1, .width = 1, .mask = 1, .rel_mask = 1, .rel_shift = 8 }, "shift too far");
	bad_term_is((struct exo_term){ .offset = 1, .width = 1, .mask = 1, .flags = 2 }, "unknown term flag");

	memcpy(world.env[0]->arg, &good, sizeof(good));
	is_int(CALL(0, flow_make, SLOT_ROOT, root, claims, 0, 0), ERR(SLOT), "slot in use");
	is_int(CALL(0, flow_make, SLOT_FIRST, claims, claims, 0, 0), ERR(TYPE), "parent is no flow");
	is_int(CALL(0, flow_make, SLOT_FIRST, root, root, 0, 0), ERR(TYPE), "frames are none");
	is_int(CALL(0, flow_make, SLOT_FIRST, root, claims, 1000, 0), ERR(RANGE), "no such frame");
	is_int(CALL(0, flow_make, SLOT_FIRST, root, claims, 0, 4000), ERR(INVAL), "claim beyond the argument frame");
	is_int(CALL(0, flow_make, SLOT_FIRST, root, claims, 0, ~0ULL - 3), ERR(INVAL), "claim at the end of everything");
	is_int(CALL(0, flow_make, SLOT_FIRST, root, world_handle(0, SLOT_SELF), 0, 0), ERR(BUSY), "a frame that is no memory");
	is_int(CALL(0, cap_derive, root, 0, SLOT_FIRST + 1, EXO_RIGHT_BIND, 0, 0) > 0, 1, "derive without CLAIM");
	is_int(CALL(0, flow_make, SLOT_FIRST, world_handle(0, SLOT_FIRST + 1), claims, 0, 0), ERR(RIGHTS), "parent without CLAIM");
	CALL(0, cap_delete, world_handle(0, SLOT_FIRST + 1));

	narrow = (exo_cap_t)make(0, SLOT_FIRST, root, 0, &good);
	ok((int64_t)narrow > 0, "a good one");
	is_int(make(0, SLOT_FIRST + 1, root, 0, &good), ERR(BUSY), "its frame is in use");
	is_int(make(0, SLOT_FIRST + 1, root, 1, &good), ERR(OVERLAP), "the same again overlaps");
	claim = claim_of(0, NULL);
	is_int(make(0, SLOT_FIRST + 1, root, 1, &claim), ERR(OVERLAP), "everything overlaps");
	is_int(make(0, SLOT_FIRST + 1, narrow, 1, &claim) > 0, 1, "but not below it");
	is_int(CALL(0, cap_delete, narrow), 0, "the middle one goes");
	is_int(info_frame[flow_at(0, SLOT_FIRST + 1)->self - 1].state, EXO_FRAME_FLOW, "but stands for the one below");
	is_int(make(0, SLOT_FIRST, root, 2, &good), ERR(OVERLAP), "and keeps its place");
	is_int(CALL(0, cap_delete, world_handle(0, SLOT_FIRST + 1)), 0, "the one below goes");
	is_int(fake.device.root->children, 0, "and both are gone");
}

static void test_full(void)
{
	struct exo_claim claim;
	struct exo_term term = type_a;
	unsigned made = 0;
	int64_t result = 1;

	for (unsigned i = 0; result > 0 && i < 48; i++) {
		term.value = i;
		claim = claim_of(1, &term);
		result = make(0, SLOT_FIRST + i, world_handle(0, SLOT_ROOT), i, &claim);
		made += result > 0;
	}
	ok(made == 48, "many flows of one shape");
	for (unsigned i = 0; i < 48; i++)
		CALL(0, cap_delete, world_handle(0, SLOT_FIRST + i));
	is_int(fake.device.root->children, 0, "all gone");
}

/* Shapes until there is no room for more; those that no flow has any more make room for others. */
static void test_shapes(void)
{
	struct exo_term terms[2] = { type_a, { .offset = 20, .width = 1, .mask = 0xff, .value = 1 } };
	unsigned made[3] = { 0 };
	struct exo_claim claim;
	int64_t result = 0;

	world.unchecked = true;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 48; i++) {
			terms[0].value = i;
			terms[1].offset = (uint16_t)(20 + i + round);
			claim = claim_of(2, terms);
			result = make(0, SLOT_FIRST + i, world_handle(0, SLOT_ROOT), i, &claim);
			if (result < 0)
				break;
			made[round]++;
		}
		for (unsigned i = 0; i < made[round]; i++)
			CALL(0, cap_delete, world_handle(0, SLOT_FIRST + i));
	}
	world.unchecked = false;
	ok(result > 0 || result == ERR(FULL), "shapes until there is no room");
	ok(made[0] >= 32 && made[1] == made[0] && made[2] == made[0], "so many each time: %u, %u, %u", made[0], made[1],
	    made[2]);
}

static void test_guards(void)
{
	struct exo_claim wide = claim_of(1, &type_a), claim;
	struct exo_term bit = { .offset = 6, .width = 4, .mask = 0xffff0000, .value = 0x02020000 };
	exo_cap_t parent;

	wide.guards = 1;
	wide.guard_terms[0] = 1;
	wide.guard[0][0] = bit;
	parent = (exo_cap_t)make(0, SLOT_FIRST, world_handle(0, SLOT_ROOT), 0, &wide);
	claim = claim_of(1, &from);
	claim.guards = 1;
	is_int(make(0, SLOT_FIRST + 1, parent, 1, &claim), ERR(RIGHTS), "a guard that allows more");
	claim.guard_terms[0] = 1;
	claim.guard[0][0] = from;
	claim.guard[0][0].offset = 8;
	is_int(make(0, SLOT_FIRST + 1, parent, 1, &claim), ERR(RIGHTS), "a guard that says something else");
	claim.guard[0][0] = bit;
	claim.guard[0][0].flags = EXO_TERM_NOT;
	is_int(make(0, SLOT_FIRST + 1, parent, 1, &claim), ERR(RIGHTS), "a guard that says the contrary");
	claim.guard[0][0] = from;
	is_int(make(0, SLOT_FIRST + 1, parent, 1, &claim) > 0, 1, "a guard that says more");
	CALL(0, cap_delete, world_handle(0, SLOT_FIRST + 1));
	CALL(0, cap_delete, parent);
}

/* Flows whose capabilities are gone but the last one's: no deeper than capabilities, so that one step collects all. */
static void test_depth(void)
{
	exo_cap_t parent = world_handle(0, SLOT_ROOT), made;
	struct exo_term term = { .offset = 20, .width = 1, .mask = 0xff };
	struct exo_claim claim;
	const uint64_t *words;
	unsigned i, left, deep = 0;

	for (i = 0; i < 40; i++, term.offset++) {
		claim = claim_of(1, &term);
		made = (exo_cap_t)make(0, SLOT_FIRST + i % 40, parent, i, &claim);
		if ((int64_t)made < 0)
			break;
		if (i)
			is_int(CALL(0, cap_delete, parent), 0, "the one above is dropped");
		parent = made;
		deep++;
	}
	ok(deep == CAP_DEPTH_MAX && (int64_t)made == ERR(DEPTH), "%u flows deep", deep);
	is_int(CALL(0, cap_delete, parent), 0, "the last one goes");
	ok(!fake.device.root->children, "and with it those above");
	words = pfn_to_virt((exo_pfn_t)cap_slot(world.env[0], SLOT_CLAIMS)->first);
	for (i = left = 0; i < deep * EXO_PAGE_SIZE / 8; i++)
		left += words[i] != 0;
	is_int(left, 0, "in their frames is nothing of the kernel's");
}

int main(void)
{
	flow_world(16384);
	test_random();
	test_make_errors();
	test_full();
	test_shapes();
	test_guards();
	test_depth();
	return done();
}
