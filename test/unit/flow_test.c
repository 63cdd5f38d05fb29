/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows: random claims and packets against a naive matcher that tries every flow; every documented error; rings driven
 * as a hostile application would; transmit guards, order of completion, pins; all ends of a binding.
 *
 * The device is a table in this file: what the kernel sends is kept there until the test gives it back.
 */
#include <stdlib.h>
#include "exo/dev/dev.h"
#include "test/unit/tap.h"
#include "test/unit/world.h"

#define SENT_MAX	256

enum { SLOT_ROOT = 10, SLOT_CLAIMS, SLOT_RING, SLOT_TX, SLOT_FIRST = 16 };

struct sent {
	struct device_send frame;
	uint8_t head[EXO_GUARD_BYTES];
	bool orphan;
};

static struct fake {
	struct device device;	/* first */
	uint8_t head[EXO_GUARD_BYTES];
	struct sent sent[SENT_MAX];
	unsigned count;
	bool full, watched;
	unsigned notified;
} fake;

/* --- the device ------------------------------------------------------------------------------------------------- */

static void fake_reclaim(struct device *device)
{
	(void)device;
}

static uint8_t *fake_head(struct device *device, uint32_t parts)
{
	(void)device, (void)parts;
	return fake.full || fake.count == SENT_MAX ? NULL : fake.head;
}

static void fake_send(struct device *device, const struct device_send *frame)
{
	(void)device;
	fake.sent[fake.count].frame = *frame;
	fake.sent[fake.count].orphan = false;
	memcpy(fake.sent[fake.count++].head, fake.head, sizeof(fake.head));
}

static void fake_notify(struct device *device)
{
	(void)device;
	fake.notified++;
}

static void fake_watch(struct device *device)
{
	(void)device;
	fake.watched = true;
}

static void part_frames(const struct device_part *part, void (*change)(exo_pfn_t))
{
	for (paddr_t pa = part->address & ~4095ULL; pa < part->address + part->bytes; pa += EXO_PAGE_SIZE)
		change((exo_pfn_t)(pa >> EXO_PAGE_SHIFT));
}

static void fake_orphan(struct device *device, struct flow *flow)
{
	(void)device;
	for (unsigned i = 0; i < fake.count; i++) {
		struct sent *sent = &fake.sent[i];

		if (sent->orphan || sent->frame.flow != flow || !sent->frame.parts)
			continue;
		for (unsigned j = 0; j < sent->frame.parts; j++)
			part_frames(&sent->frame.part[j], frame_pin);
		sent->orphan = true;
	}
}

/* Give back what was sent as number i. */
static void fake_return(unsigned i)
{
	struct sent sent = fake.sent[i];

	memmove(&fake.sent[i], &fake.sent[i + 1], (--fake.count - i) * sizeof(sent));
	if (sent.orphan) {
		for (unsigned j = 0; j < sent.frame.parts; j++)
			part_frames(&sent.frame.part[j], frame_unpin);
	} else if (sent.frame.parts) {
		flow_sent(sent.frame.flow, sent.frame.start, sent.frame.count);
	}
}

/* --- making things ---------------------------------------------------------------------------------------------- */

static exo_cap_t take_run(unsigned who, uint32_t slot, uint32_t count)
{
	exo_cap_t cap = (exo_cap_t)CALL(who, frame_take, slot, EXO_PFN_ANY, count < 24 ? count : 24);
	const struct exo_cap *entry = cap_slot(world.env[who], slot);

	while (entry->count < count) {
		uint32_t more = count - entry->count < 24 ? count - entry->count : 24;

		if (CALL(who, frame_take, cap, entry->first + entry->count, more) < 0)
			abort();
	}
	return cap;
}

static int64_t make(unsigned who, uint32_t slot, exo_cap_t parent, uint32_t frame, const struct exo_claim *claim)
{
	memcpy(world.env[who]->arg, claim, sizeof(*claim));
	return CALL(who, flow_make, slot, parent, world_handle(who, SLOT_CLAIMS), frame, 0);
}

static struct flow *flow_at(unsigned who, uint32_t slot)
{
	return pfn_to_virt(cap_slot(world.env[who], slot)->object);
}

static struct exo_claim claim_of(unsigned count, const struct exo_term *terms)
{
	struct exo_claim claim;

	memset(&claim, 0, sizeof(claim));
	claim.terms = count;
	if (count)
		memcpy(claim.term, terms, count * sizeof(*terms));
	memcpy(claim.label, "test", 4);
	return claim;
}

/* --- the naive matcher ------------------------------------------------------------------------------------------ */

#define MODEL_MAX	40

static struct model {
	bool used;
	int parent;		/* -1: the root */
	struct exo_claim claim;
	uint32_t slot;
} model[MODEL_MAX];

static bool term_holds(const struct exo_term *term, const uint8_t *packet, uint32_t bytes)
{
	uint32_t at = term->offset, value = 0;

	if (term->rel_mask) {
		if (term->rel_offset >= bytes)
			return false;
		at += (uint32_t)(packet[term->rel_offset] & term->rel_mask) << term->rel_shift;
	}
	if (at + term->width > bytes)
		return false;
	for (unsigned i = 0; i < term->width; i++)
		value = value << 8 | packet[at + i];
	return ((value & term->mask) == term->value) != (term->flags & EXO_TERM_NOT);
}

static bool claim_holds(const struct exo_claim *claim, const uint8_t *packet, uint32_t bytes)
{
	for (unsigned i = 0; i < claim->terms; i++) {
		if (!term_holds(&claim->term[i], packet, bytes))
			return false;
	}
	return true;
}

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
	unsigned tried = 0;
	struct flow *flow = flow_find(fake.device.root, packet, bytes, &tried);

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

static const struct exo_term type_a = { .offset = 12, .width = 2, .mask = 0xffff, .value = 0x1111 };
static const struct exo_term type_b = { .offset = 12, .width = 2, .mask = 0xffff, .value = 0x2222 };
static const struct exo_term from = { .offset = 6, .width = 4, .mask = 0xffffffff, .value = 0x02020202 };

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
	claim.flags = 2;
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

/* --- rings ------------------------------------------------------------------------------------------------------ */

static struct exo_ring *ring_of(unsigned who, uint32_t slot)
{
	return pfn_to_virt((exo_pfn_t)cap_slot(world.env[who], slot)->first);
}

static int64_t bind(unsigned who, uint32_t flow, uint32_t ring, uint32_t tx, uint32_t tx_frames)
{
	return CALL(who, flow_bind, world_handle(who, flow), world_handle(who, ring), 0, world_handle(who, tx), 0, tx_frames);
}

static void ring_ready(unsigned who, uint32_t slot, uint32_t rx_frames)
{
	struct exo_ring *ring = ring_of(who, slot);

	memset(ring, 0, sizeof(*ring));
	ring->rx_frames = rx_frames;
	ring->rx_posted = 2 * rx_frames;
	for (unsigned i = 0; i < 2 * rx_frames; i++)
		ring->rx_free[i] = (uint16_t)(2 * rx_frames - 1 - i);
}

static void receive(uint16_t type, unsigned bytes, uint8_t fill)
{
	uint8_t packet[1536];

	memset(packet, fill, sizeof(packet));
	packet[12] = (uint8_t)(type >> 8);
	packet[13] = (uint8_t)type;
	flow_receive(fake.device.root, packet, bytes, 77);
	flow_received();
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

/* One step of a revocation ends one binding at most: a binding may have over a thousand frames. */
static void test_unbind_steps(void)
{
	struct exo_term term = { .offset = 40, .width = 1, .mask = 0xff };
	exo_cap_t rings = take_run(0, SLOT_RING, 6);
	struct exo_claim claim;
	struct flow *flow[3];
	unsigned i, bound = 3, before, most = 0;
	int64_t result;

	for (i = 0; i < 3; i++) {
		term.value = i;
		claim = claim_of(1, &term);
		(void)make(0, SLOT_FIRST + i, world_handle(0, SLOT_ROOT), i, &claim);
		flow[i] = flow_at(0, SLOT_FIRST + i);
		(void)CALL(0, cap_derive, rings, 0, SLOT_FIRST + 10 + i, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 2 * i, 2);
		ring_of(0, SLOT_FIRST + 10 + i)->rx_frames = 1;
		is_int(bind(0, SLOT_FIRST + i, SLOT_FIRST + 10 + i, 0, 0), 0, "a ring");
	}
	do {
		before = bound;
		result = CALL(0, cap_revoke, rings);
		for (bound = i = 0; i < 3; i++)
			bound += flow[i]->ring != NULL;
		if (before - bound > most)
			most = before - bound;
	} while (result == ERR(AGAIN));
	ok(result == 0 && bound == 0 && most == 1, "they are unbound one in a step");
	is_int(CALL(0, cap_delete, rings), 0, "their frames go");
	for (i = 0; i < 3; i++)
		is_int(CALL(0, cap_delete, world_handle(0, SLOT_FIRST + i)), 0, "and the flows");
}

/* What is behind a short packet in the device's buffer reaches nobody. */
static void test_tail(void)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);
	uint32_t head = ring->rx_head;
	const uint8_t *slot;

	ring->rx_posted = head + 1;
	receive(0x1111, 61, 0xee);
	is_int(ring->rx_head, head + 1, "a packet of 61 bytes");
	slot = (uint8_t *)ring + EXO_PAGE_SIZE + ring->rx[head % (2 * ring->rx_frames)].slot * EXO_RX_SLOT_BYTES;
	ok(slot[60] == 0xee && !slot[61] && !slot[62] && !slot[63], "what lay behind it is not copied");
}

static void test_bind_errors(void)
{
	exo_cap_t flow = world_handle(0, SLOT_FIRST), ring = world_handle(0, SLOT_RING);

	ring_of(0, SLOT_RING)->rx_frames = 3;
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, 4), ERR(INVAL), "bind: three frames");
	ring_of(0, SLOT_RING)->rx_frames = 256;
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, 4), ERR(INVAL), "bind: too many frames");
	ring_of(0, SLOT_RING)->rx_frames = 8;
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, 4), ERR(RANGE), "bind: more frames than there are");
	ring_of(0, SLOT_RING)->rx_frames = 4;
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, EXO_TX_FRAMES_MAX + 1), ERR(INVAL), "bind: too many transmit frames");
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, 100), ERR(RANGE), "bind: transmit frames outside");
	is_int(bind(0, SLOT_FIRST, SLOT_FIRST, SLOT_TX, 4), ERR(TYPE), "bind: ring is no frame");
	is_int(bind(0, SLOT_RING, SLOT_RING, SLOT_TX, 4), ERR(TYPE), "bind: no flow");
	is_int(CALL(0, flow_bind, flow, ring, ~0ULL, 0, 0, 0), ERR(RANGE), "bind: first wraps");
	is_int(CALL(0, flow_bind, flow, world_handle(0, SLOT_SELF), 0, 0, 0, 0), ERR(BUSY), "bind: a kernel object as ring");
	is_int(CALL(0, flow_kick, flow), ERR(STATE), "kick: not bound");
	is_int(CALL(0, flow_kick, ring), ERR(TYPE), "kick: no flow");
}

static void test_receive(void)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);
	struct flow *flow = flow_at(0, SLOT_FIRST);
	uint64_t unclaimed = fake.device.info->rx_unclaimed;
	const uint8_t *slot;

	ring_ready(0, SLOT_RING, 4);
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, 4), 0, "bind");
	is_int(bind(0, SLOT_FIRST, SLOT_RING, SLOT_TX, 4), ERR(BUSY), "bind: again");
	is_int(info_frame[flow->ring_pfn + 4].state, EXO_FRAME_RING, "the ring's frames are a ring's");
	is_int(CALL(0, frame_give, world_handle(0, SLOT_RING), 1), ERR(BUSY), "and cannot be given back");
	receive(0x1111, 60, 5);
	is_int(ring->rx_head, 1, "a packet arrives");
	slot = (uint8_t *)ring + EXO_PAGE_SIZE + 7 * EXO_RX_SLOT_BYTES;
	ok(ring->rx[0].slot == 7 && ring->rx[0].bytes == 60 && ring->rx[0].time == 77, "in the slot posted first");
	ok(slot[0] == 5 && slot[59] == 5 && slot[12] == 0x11, "as it was sent");
	ok(world.env[0]->disp->pending & EXO_EVENT_RECEIVE, "with an event");
	receive(0x2222, 60, 5);
	is_int((long long)(fake.device.info->rx_unclaimed - unclaimed), 1, "another type is nobody's");
	for (unsigned i = 0; i < 9; i++)
		receive(0x1111, 1514, (uint8_t)i);
	is_int(ring->rx_head, 8, "the ring is full");
	is_int((long long)flow->info->rx_dropped, 2, "two are dropped and counted");
	ring->rx_free[0] = 200;
	ring->rx_posted++;
	receive(0x1111, 60, 9);
	is_int(ring->rx[0].slot, 200 % 8, "a slot number beyond the ring is taken modulo");
	ring->rx_posted = ring->rx_head - 5;
	receive(0x1111, 60, 9);
	ring->rx_posted = ring->rx_head + 9;
	receive(0x1111, 60, 9);
	is_int(ring->rx_head, 9, "impossible numbers of posted slots count as none");
	ring->rx_head = 12345;
	ring->rx_posted = 10;
	receive(0x1111, 60, 9);
	is_int(ring->rx_head, 10, "the kernel does not read its index back");
}

/* --- sending ---------------------------------------------------------------------------------------------------- */

static void post(struct exo_ring *ring, uint32_t offset, uint32_t bytes, unsigned flags)
{
	ring->tx[ring->tx_head % EXO_TX_SLOTS] = (struct exo_tx){ .offset = offset, .bytes = (uint16_t)bytes,
		.flags = (uint16_t)flags };
	ring->tx_head++;
}

static void test_send(void)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);
	struct flow *flow = flow_at(0, SLOT_FIRST);
	exo_cap_t cap = world_handle(0, SLOT_FIRST);
	uint8_t *data = pfn_to_virt(flow->tx_pfn);

	memset(data, 0x02, 4 * EXO_PAGE_SIZE);
	post(ring, 0, 60, 0);
	is_int(CALL(0, flow_kick, cap), 1, "kick sends one");
	ok(ring->tx_taken == 1 && ring->tx_done == 1, "short frames are done at once");
	ok(fake.count == 1 && fake.sent[0].frame.parts == 0 && fake.sent[0].frame.head_bytes == 60, "copied as a whole");
	fake_return(0);

	data[6] = 9;
	post(ring, 0, 60, 0);
	is_int(CALL(0, flow_kick, cap), 1, "a frame that the guard does not let pass is taken");
	ok(fake.count == 0 && flow->info->tx_refused == 1 && ring->tx_refused == 1 && ring->tx_done == 2, "and refused");
	data[6] = 2;

	post(ring, 0, 20, EXO_TX_MORE);
	post(ring, 4096, 10, EXO_TX_MORE);
	post(ring, 4000, 500, 0);
	is_int(CALL(0, flow_kick, cap), 1, "three parts");
	ok(fake.count == 1 && fake.sent[0].frame.head_bytes == 64 && fake.sent[0].frame.parts == 1 &&
	    fake.sent[0].frame.part[0].bytes == 466 &&
	    fake.sent[0].frame.part[0].address == ((uint64_t)flow->tx_pfn << 12) + 4034, "gathered, the rest by reference");
	ok(ring->tx_taken == 5 && ring->tx_done == 2, "not done before the device is");
	post(ring, 100, 200, 0);
	CALL(0, flow_kick, cap);
	fake_return(1);
	is_int(ring->tx_done, 2, "what comes back early waits");
	fake_return(0);
	is_int(ring->tx_done, 6, "for what was before it");
}

static void bad_post_is(uint32_t offset, uint32_t bytes, unsigned flags, const char *name)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);
	uint64_t refused = flow_at(0, SLOT_FIRST)->info->tx_refused;

	post(ring, offset, bytes, flags);
	is_int(CALL(0, flow_kick, world_handle(0, SLOT_FIRST)), 1, name);
	ok(fake.count == 0 && flow_at(0, SLOT_FIRST)->info->tx_refused == refused + 1 && ring->tx_done == ring->tx_head,
	    "... is refused");
}

static void test_send_errors(void)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);
	exo_cap_t cap = world_handle(0, SLOT_FIRST);
	uint32_t head;

	bad_post_is(0, 13, 0, "a frame too short");
	bad_post_is(0, 1515, 0, "a frame too long");
	bad_post_is(0, 0, 0, "no bytes");
	bad_post_is(4 * EXO_PAGE_SIZE - 59, 60, 0, "beyond the transmit frames");
	bad_post_is(0xffffffff, 60, 0, "far beyond them");
	bad_post_is(0, 60, 2, "an unknown flag");
	for (unsigned i = 0; i < 9; i++)
		post(ring, 0, 60, i < 8 ? EXO_TX_MORE : 0);
	is_int(CALL(0, flow_kick, cap), 1, "too many parts");
	ok(fake.count == 0 && ring->tx_done == ring->tx_head, "... is refused");
	post(ring, 0, 60, EXO_TX_MORE);
	is_int(CALL(0, flow_kick, cap), 0, "half a frame waits");
	post(ring, 0, 60, 0);
	is_int(CALL(0, flow_kick, cap), 1, "for its other half");
	fake_return(0);
	head = ring->tx_head;
	ring->tx_head = head + EXO_TX_SLOTS + 1;
	is_int(CALL(0, flow_kick, cap), ERR(INVAL), "more descriptors than there are");
	ring->tx_head = head - 1;
	is_int(CALL(0, flow_kick, cap), ERR(INVAL), "fewer than before");
	ring->tx_head = head;
	for (unsigned i = 0; i < EXO_TX_SLOTS; i++)
		post(ring, 0, 60, EXO_TX_MORE);
	is_int(CALL(0, flow_kick, cap), 1, "a frame that never ends");
	ok(ring->tx_done == ring->tx_head, "... is refused as a whole");
	fake.full = true;
	post(ring, 0, 60, 0);
	is_int(CALL(0, flow_kick, cap), 0, "a full device takes nothing");
	ok(fake.watched && flow_at(0, SLOT_FIRST)->tx_wait, "and is watched");
	fake.full = false;
	is_int(CALL(0, flow_kick, cap), 1, "later it does");
	fake_return(0);
	for (unsigned i = 0; i < 40; i++)
		post(ring, 0, 60, 0);
	is_int(CALL(0, flow_kick, cap), EXO_KICK_MAX, "a kick takes a bounded number");
	while (CALL(0, flow_kick, cap) > 0)
		;
	while (fake.count)
		fake_return(0);
	is_int(ring->tx_done, ring->tx_head, "and the rest later");
}

/* --- ends ------------------------------------------------------------------------------------------------------- */

/* The binding ends while a frame is on its way. */
static void test_unbind(void)
{
	struct exo_ring *ring = ring_of(0, SLOT_RING);
	struct flow *flow = flow_at(0, SLOT_FIRST);
	exo_pfn_t tx = flow->tx_pfn, rx = flow->ring_pfn;

	post(ring, 4000, 500, 0);
	CALL(0, flow_kick, world_handle(0, SLOT_FIRST));
	is_int(fake.count, 1, "a frame is on its way");
	is_int(frame_table[tx].pins, 1, "pinned by the binding");
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_RING), 0), 0, "the ring's capability goes");
	ok(!flow->ring && info_frame[rx].state == EXO_FRAME_FREE, "the binding with it, its frames are free");
	ok(frame_table[tx].pins == 1 && frame_table[tx + 1].pins == 1 && frame_table[tx + 2].pins == 0,
	    "pinned by the device now, and only what it reads");
	is_int(world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_TX), 0), 0, "the transmit frames' goes");
	ok(info_frame[tx].state != EXO_FRAME_FREE && info_frame[tx + 3].state == EXO_FRAME_FREE, "what the device reads stays");
	fake_return(0);
	ok(info_frame[tx].state == EXO_FRAME_FREE && info_frame[tx + 1].state == EXO_FRAME_FREE, "until it gives it back");
	ok(!world_check(), "all in order");
}

static void test_shared(void)
{
	struct exo_claim claim = claim_of(1, &type_b);
	uint64_t dropped;

	claim.flags = EXO_FLOW_SHARED;
	for (unsigned i = 0; i < 3; i++) {
		is_int(make(0, SLOT_FIRST + 1 + i, world_handle(0, SLOT_ROOT), 1 + i, &claim) > 0, 1, "shared flows");
		take_run(0, SLOT_FIRST + 10 + i, 3);
		ring_ready(0, SLOT_FIRST + 10 + i, 2);
		if (i < 2)
			is_int(bind(0, SLOT_FIRST + 1 + i, SLOT_FIRST + 10 + i, 0, 0), 0, "bound without transmit frames");
	}
	receive(0x2222, 100, 1);
	ok(ring_of(0, SLOT_FIRST + 10)->rx_head == 1 && ring_of(0, SLOT_FIRST + 11)->rx_head == 1, "each gets a copy");
	dropped = flow_at(0, SLOT_FIRST + 3)->info->rx_dropped;
	is_int((long long)dropped, 1, "the one without a ring drops");
	is_int(make(0, SLOT_FIRST + 5, world_handle(0, SLOT_FIRST + 1), 5, &claim), ERR(STATE), "nothing below shared flows");
	post(ring_of(0, SLOT_FIRST + 10), 0, 60, 0);
	is_int(CALL(0, flow_kick, world_handle(0, SLOT_FIRST + 1)), 1, "without transmit frames all is refused");
	CALL(0, cap_delete, world_handle(0, SLOT_FIRST + 1));
	receive(0x2222, 100, 1);
	is_int(ring_of(0, SLOT_FIRST + 11)->rx_head, 2, "one goes, the others stay");
	for (unsigned i = 0; i < 3; i++) {
		CALL(0, cap_delete, world_handle(0, SLOT_FIRST + 1 + i));
		CALL(0, cap_delete, world_handle(0, SLOT_FIRST + 10 + i));
	}
}

/*
 * Four flows with all their descriptors on their way: 256 frames that the device reads. `end` takes them all from
 * their owner; what the device has not given back is nobody's until it does, in whatever order.
 */
static void flight(unsigned who, void (*end)(unsigned who), const char *how)
{
	struct exo_term term = { .offset = 12, .width = 2, .mask = 0xffff };
	exo_cap_t tx = take_run(who, SLOT_TX, 16);
	exo_pfn_t first = (exo_pfn_t)cap_slot(world.env[who], SLOT_TX)->first, pfn;
	struct exo_claim claim;
	unsigned i, j, early = 0, limbo = 0;

	for (i = 0; i < 4; i++) {
		term.value = 0x7000 + i;
		claim = claim_of(1, &term);
		claim.guards = 1;
		(void)make(0, SLOT_FIRST + 20 + i, world_handle(0, SLOT_ROOT), 20 + i, &claim);
		if (who)
			cap_fill(cap_free_slot(world.env[who], SLOT_FIRST + 20 + i), EXO_TYPE_FLOW, EXO_RIGHT_BIND,
			    0, 0, flow_at(0, SLOT_FIRST + 20 + i)->self,
			    cap_slot(world.env[0], SLOT_FIRST + 20 + i), SLOT_FIRST + 20 + i);
		(void)take_run(who, SLOT_FIRST + 24 + i, 3);
		(void)CALL(who, cap_derive, tx, 0, SLOT_FIRST + 28 + i, EXO_RIGHT_READ, 4 * i, 4);
		ring_ready(who, SLOT_FIRST + 24 + i, 2);
		(void)bind(who, SLOT_FIRST + 20 + i, SLOT_FIRST + 24 + i, SLOT_FIRST + 28 + i, 4);
		for (j = 0; j < EXO_TX_SLOTS; j++)
			post(ring_of(who, SLOT_FIRST + 24 + i), j * 250, 250, 0);
		while (CALL(who, flow_kick, world_handle(who, SLOT_FIRST + 20 + i)) > 0)
			;
	}
	is_int(fake.count, 4 * EXO_TX_SLOTS, how);
	end(who);
	for (pfn = first; pfn < first + 16; pfn++)
		limbo += info_frame[pfn].state != EXO_FRAME_FREE && !info_frame[pfn].holds && frame_table[pfn].pins;
	is_int(limbo, 16, "nobody's, and not free");
	while (fake.count) {
		fake_return(below(fake.count));
		for (i = 0; i < fake.count; i++)
			for (j = 0; j < fake.sent[i].frame.parts; j++)
				early += info_frame[fake.sent[i].frame.part[j].address >> EXO_PAGE_SHIFT].state ==
				    EXO_FRAME_FREE;
	}
	is_int(early, 0, "none is free while the device has it");
	for (limbo = 0, pfn = first; pfn < first + 16; pfn++)
		limbo += info_frame[pfn].state != EXO_FRAME_FREE;
	is_int(limbo, 0, "all are when it has none");
	ok(!world_check(), "all in order");
	for (i = 0; i < 4; i++)
		(void)world_finish(0, EXO_CALL_cap_delete, world_handle(0, SLOT_FIRST + 20 + i), 0);
}

static void flight_revoked(unsigned who)
{
	unsigned i;

	(void)world_finish(who, EXO_CALL_cap_revoke, world_handle(who, SLOT_TX), 0);
	for (i = 0; i < 4; i++)
		ok(!flow_at(0, SLOT_FIRST + 20 + i)->ring, "a binding is cut");
	(void)world_finish(who, EXO_CALL_cap_delete, world_handle(who, SLOT_TX), 0);
	for (i = 0; i < 4; i++)
		(void)world_finish(who, EXO_CALL_cap_delete, world_handle(who, SLOT_FIRST + 24 + i), 0);
}

static void flight_dead(unsigned who)
{
	unsigned budget;

	here.current = world.env[0];
	kernel_lock();
	env_end(world.env[who], EXO_CAUSE_DESTROYED, 0, 0);
	do
		budget = EXO_UNWIND_MAX;
	while (!env_destroy_some(world.env[who], &budget));
	kernel_unlock();
}

static void test_flight(void)
{
	flight(0, flight_revoked, "256 frames on their way, to be revoked");
	flight(2, flight_dead, "256 frames on their way, whose owner dies");
}

/* Another environment is given a flow, binds it, and ends. */
static void test_env_end(void)
{
	struct flow *flow = flow_at(0, SLOT_FIRST);
	struct exo_cap *cap = cap_free_slot(world.env[1], SLOT_FIRST);
	int64_t result;

	cap_fill(cap, EXO_TYPE_FLOW, EXO_RIGHT_BIND, 0, 0, flow->self, cap_slot(world.env[0], SLOT_FIRST), SLOT_FIRST);
	take_run(1, SLOT_RING, 5);
	take_run(1, SLOT_TX, 4);
	ring_ready(1, SLOT_RING, 4);
	is_int(bind(1, SLOT_FIRST, SLOT_RING, SLOT_TX, 4), 0, "another environment binds it");
	is_int(CALL(0, flow_kick, world_handle(0, SLOT_FIRST)), ERR(STATE), "only that one may kick");
	receive(0x1111, 60, 1);
	is_int(ring_of(1, SLOT_RING)->rx_head, 1, "and it receives");
	here.current = world.env[0];
	env_end(world.env[1], EXO_CAUSE_DESTROYED, 0, 0);
	receive(0x1111, 60, 1);
	ok(!flow->env && flow->ring && ring_of(1, SLOT_RING)->rx_head == 1, "it ends: nothing arrives any more");
	is_int(flow->info->state, 1, "the flow shows as not bound");
	world.unchecked = true;
	do
		result = CALL(0, env_destroy, world_handle(0, SLOT_PEER));
	while (result == ERR(AGAIN));
	world.unchecked = false;
	ok(result == ERR(RIGHTS) || (result == 0 && !flow->ring), "destroyed, and the flow is free for another");
}

int main(void)
{
	struct exo_cap *root;

	world_boot(1024);
	fake.device.reclaim = fake_reclaim;
	fake.device.head = fake_head;
	fake.device.send = fake_send;
	fake.device.notify = fake_notify;
	fake.device.watch = fake_watch;
	fake.device.orphan = fake_orphan;
	ok(device_add(&fake.device, "net", (const uint8_t[6]){ 2, 2, 2, 2, 2, 2 }), "a device");
	is_int(flow_root(0), fake.device.root->self, "has a root flow");
	is_int(flow_root(1), 0, "another has none");
	root = cap_free_slot(world.env[0], SLOT_ROOT);
	cap_fill(root, EXO_TYPE_FLOW, EXO_RIGHT_CLAIM | EXO_RIGHT_BIND | EXO_RIGHT_READ, 0, 0, flow_root(0), NULL, SLOT_ROOT);
	take_run(0, SLOT_CLAIMS, 48);

	test_random();
	test_make_errors();
	test_full();
	test_guards();
	test_depth();
	test_unbind_steps();

	struct exo_claim claim = claim_of(1, &type_a);
	claim.guards = 1;
	claim.guard_terms[0] = 1;
	claim.guard[0][0] = from;
	is_int(make(0, SLOT_FIRST, world_handle(0, SLOT_ROOT), 0, &claim) > 0, 1, "a flow to bind");
	take_run(0, SLOT_RING, 5);
	take_run(0, SLOT_TX, 4);
	test_bind_errors();
	test_receive();
	test_tail();
	test_send();
	test_send_errors();
	test_unbind();
	test_shared();
	test_flight();
	test_env_end();
	return done();
}
