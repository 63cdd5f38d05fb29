/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The merged program: random trees of many flows with fields as protocols have them, made and removed in random order;
 * packets that some flow wants, and such that miss one by a bit or by a byte. The naive matcher, the interpreter and the
 * machine code of the host's compiler must agree. Then what is bounded: flows in one bucket, steps, what lies behind a
 * packet's end.
 */
#include "test/unit/flow_fake.h"
#include "tools/bpf/host.h"

#define FLOWS		180
#define BYTES		100

static struct model {
	bool used;
	int parent;		/* -1: the root */
	struct exo_claim claim;
	struct flow *flow;
} model[FLOWS];

/* What stands in packets: few values, so that claims and packets meet. */
static uint8_t byte(void)
{
	return (uint8_t)(below(4) ? below(3) : below(256));
}

/* A field of the kind at this depth: below each other they differ. */
static void random_terms(struct exo_claim *claim, unsigned depth)
{
	static const struct exo_term kinds[][5] = {
		{ { .offset = 12, .width = 2 }, { .offset = 0, .width = 4 }, { .offset = 4, .width = 2 },
		  { .offset = 14, .width = 1 }, { .offset = 8, .width = 4 } },
		{ { .offset = 23, .width = 1 }, { .offset = 20, .width = 2 }, { .offset = 26, .width = 4 },
		  { .offset = 30, .width = 4 }, { .offset = 21, .width = 1 } },
		{ { .offset = 14, .width = 2, .rel_offset = 14, .rel_mask = 15, .rel_shift = 2 },
		  { .offset = 16, .width = 2, .rel_offset = 14, .rel_mask = 15, .rel_shift = 2 },
		  { .offset = 27, .width = 1, .rel_offset = 14, .rel_mask = 15, .rel_shift = 2 },
		  { .offset = 2, .width = 4, .rel_offset = 5, .rel_mask = 255, .rel_shift = 0 },
		  { .offset = 60, .width = 4 } },
	};
	unsigned want = 1 + below(4);

	for (unsigned i = 0; i < COUNT_OF(kinds[0]) && claim->terms < want; i++) {
		struct exo_term term = kinds[depth % COUNT_OF(kinds)][i];
		uint32_t all = term.width == 4 ? ~0u : (1u << 8 * term.width) - 1;

		if (i && below(2))
			continue;
		term.mask = below(3) ? all : all & 0xf00f0ff0;
		if (!term.mask)
			term.mask = all;
		for (unsigned b = 0; b < term.width; b++)
			term.value = term.value << 8 | byte();
		term.value &= term.mask;
		term.flags = i && !below(6) ? EXO_TERM_NOT : 0;
		claim->term[claim->terms++] = term;
	}
}

static unsigned depth_of(int at)
{
	return at < 0 ? 0 : 1 + depth_of(model[at].parent);
}

static int64_t last_error;

static bool make_one(unsigned at)
{
	int parent = (int)below(FLOWS * 2) - FLOWS;
	exo_cap_t result;

	if (parent < 0 || !model[parent].used || parent == (int)at || depth_of(parent) > 4 ||
	    (model[parent].claim.flags & EXO_FLOW_SHARED))
		parent = -1;
	model[at].claim = claim_of(0, NULL);
	random_terms(&model[at].claim, depth_of(parent));
	model[at].claim.flags = below(12) ? 0 : EXO_FLOW_SHARED;
	result = (exo_cap_t)make(0, SLOT_FIRST + at,
	    world_handle(0, parent < 0 ? SLOT_ROOT : SLOT_FIRST + (uint32_t)parent), at, &model[at].claim);
	last_error = (int64_t)result < 0 ? (int64_t)result : 0;
	if (last_error)
		return false;
	model[at].used = true;
	model[at].parent = parent;
	model[at].flow = flow_at(0, SLOT_FIRST + at);
	return true;
}

static bool drop_one(unsigned at)
{
	for (unsigned i = 0; i < FLOWS; i++)
		if (model[i].used && model[i].parent == (int)at)
			return false;
	CALL(0, cap_delete, world_handle(0, SLOT_FIRST + at));
	model[at].used = false;
	return true;
}

static struct flow *naive(int at, const uint8_t *packet, uint32_t bytes)
{
	for (int i = 0; i < FLOWS; i++)
		if (model[i].used && model[i].parent == at && claim_holds(&model[i].claim, packet, bytes))
			return naive(i, packet, bytes);
	return at < 0 ? fake.device.root : model[at].flow;
}

/* Shared flows: any of the peers is right. */
static bool same(const struct flow *found, const struct flow *wanted)
{
	while (found != wanted && found->peer != FLOW_NONE)
		found = flow_table[found->peer];
	return found == wanted;
}

/* What flow_find does, with the host's machine code. */
static const struct flow *find_native(bpf_native_fn *run_native, const uint8_t *packet, uint32_t bytes)
{
	static uint8_t stack[BPF_STACK_BYTES] __attribute__((aligned(16)));
	struct exo_packet context = { .data = (uint64_t)(uintptr_t)packet, .end = (uint64_t)(uintptr_t)packet + bytes,
		.bytes = bytes, .flow = fake.device.root->index };
	struct bpf_run run = { .window[0] = { (uint8_t *)flow_values, values_bytes },
		.window[EXO_WINDOW_CONTEXT] = { (uint8_t *)&context, sizeof(context) },
		.window[EXO_WINDOW_PACKET] = { (uint8_t *)(uintptr_t)packet, bytes } };
	uint64_t found;

	if (!fake.device.root->value->below)
		return fake.device.root;
	bpf_begin(&run, flow_finder(), stack);
	found = run_native((uint64_t)(uintptr_t)&context, fake.device.root->value->below, &run);
	return found < info->flows.entries ? flow_table[found] : NULL;
}

/* Put into a packet what a flow and those above it want, as far as it reaches. */
static void fill(int at, uint8_t *packet, uint32_t bytes)
{
	for (; at >= 0; at = model[at].parent) {
		for (uint32_t t = 0; t < model[at].claim.terms; t++) {
			const struct exo_term *term = &model[at].claim.term[t];
			uint32_t offset = term->offset;

			if (term->rel_mask)
				offset += (uint32_t)(packet[term->rel_offset] & term->rel_mask) << term->rel_shift;
			for (unsigned b = 0; b < term->width && offset + b < bytes && !(term->flags & EXO_TERM_NOT); b++) {
				unsigned shift = 8 * (term->width - 1 - b);

				packet[offset + b] = (uint8_t)((packet[offset + b] & ~(term->mask >> shift)) | term->value >> shift);
			}
		}
	}
}

/* The packet ends where its memory does, so that reading behind it is seen. */
static unsigned packets(unsigned count, bpf_native_fn *run_native, unsigned *deep)
{
	unsigned wrong = 0;

	while (count--) {
		uint32_t bytes = below(3) ? BYTES : 15 + below(BYTES - 15);
		uint8_t *packet = malloc(bytes);
		int at = (int)below(FLOWS);
		struct flow *wanted, *found;

		for (uint32_t i = 0; i < bytes; i++)
			packet[i] = byte();
		packet[14] = (uint8_t)(0x40 | below(16));
		if (model[at].used && below(8))
			fill(at, packet, bytes);
		if (!below(4))
			packet[below(bytes)] ^= (uint8_t)(1 << below(8));
		wanted = naive(-1, packet, bytes);
		found = flow_find(fake.device.root, packet, bytes);
		*deep += wanted != fake.device.root;
		wrong += !same(found, wanted) || (run_native && found != find_native(run_native, packet, bytes)) ||
		    (wanted != fake.device.root && found == fake.device.root);
		free(packet);
	}
	return wrong;
}

static void test_random(void)
{
	unsigned steps = world_steps(1500), wrong = 0, deep = 0, most = 0, now = 0, guarded = 0, full = 0;
	static struct exo_insn compiled[EXO_INSNS_MAX];	/* what `native` was made of */
	struct native native = { .run = NULL };
	const struct bpf_program *program;

	world.unchecked = true;
	for (unsigned step = 0; step < steps; step++) {
		unsigned at = below(FLOWS);

		if (!model[at].used) {
			now += make_one(at);
			full += last_error == ERR(FULL);
		} else if (!below(3)) {
			now -= drop_one(at);
		}
		most = now > most ? now : most;
		program = flow_finder();
		if (program && memcmp(compiled, program->insn, program->insns * sizeof(*compiled)) != 0) {
			native_free(&native);
			memcpy(compiled, program->insn, program->insns * sizeof(*compiled));
			guarded += program->guarded;
			native = native_make(program, 0);
		}
		wrong += packets(40, native.run, &deep);
	}
	native_free(&native);
	world.unchecked = false;
	is_int(wrong, 0, "naive matcher, interpreter and machine code agree");
	is_int(guarded, 0, "nothing is left to be tested at run time");
	ok(most > 60 && deep > steps, "%u flows at once, %u packets were somebody's, %u times there was no room", most, deep, full);
	for (unsigned round = 0; round < 8; round++)
		for (unsigned i = 0; i < FLOWS; i++)
			if (model[i].used)
				drop_one(i);
	ok(!world_check() && !fake.device.root->children, "all gone, all in order");
}

/* Values that share a bucket, as somebody would choose them who knew the secret factor. */
static void test_bucket(void)
{
	struct exo_term term = { .offset = 26, .width = 4, .mask = ~0u };
	struct exo_claim claim;
	uint32_t bucket = 0;
	unsigned made = 0;
	int64_t result = 1;
	uint8_t packet[BYTES] = { 0 };

	for (uint32_t v = 1; result > 0 && made < 40; v++) {
		uint32_t at = (uint32_t)flow_hash(fake.device.root->index, __builtin_bswap32(v)) &
		    (bucket_count - 1) * (uint32_t)sizeof(uint32_t);

		if (made && at != bucket)
			continue;
		bucket = at;
		term.value = v;
		claim = claim_of(1, &term);
		result = make(0, SLOT_FIRST + made, world_handle(0, SLOT_ROOT), made, &claim);
		if (result > 0)
			memcpy(packet + 26, &(uint32_t){ __builtin_bswap32(v) }, 4);
		made += result > 0;
	}
	ok(result == ERR(FULL) && made == FLOW_CHAIN_MAX, "%u flows in one bucket, then it is full", made);
	ok(flow_find(fake.device.root, packet, BYTES) == flow_at(0, SLOT_FIRST + made - 1), "the last is found");
	CALL(0, cap_delete, world_handle(0, SLOT_FIRST + made / 2));
	ok(flow_find(fake.device.root, packet, BYTES) == flow_at(0, SLOT_FIRST + made - 1), "also when one in the middle goes");
	while (made--)
		if (made != FLOW_CHAIN_MAX / 2)
			CALL(0, cap_delete, world_handle(0, SLOT_FIRST + made));
	ok(!world_check(), "all gone");
}

/* Two make flows of new shapes at once: both are served, and packets find their owner all the time. */
static void test_two(void)
{
	struct exo_term term[2] = { type_a, { .offset = 40, .width = 1, .mask = 1, .value = 1 } };
	struct exo_claim claim = claim_of(1, &type_a), other;
	uint8_t packet[BYTES] = { [12] = 0x11, [13] = 0x11 };
	struct flow *first;
	unsigned calls = 0, lost = 0;
	int64_t result[2] = { ERR(AGAIN), ERR(AGAIN) };

	(void)make(0, SLOT_FIRST, world_handle(0, SLOT_ROOT), 0, &claim);
	first = flow_at(0, SLOT_FIRST);
	for (; (result[0] == ERR(AGAIN) || result[1] == ERR(AGAIN)) && calls < 4000; calls++) {
		unsigned who = calls & 1;

		if (result[who] != ERR(AGAIN))
			continue;
		term[0].value = 0x3300 + who;
		term[1].offset = (uint16_t)(40 + who);
		other = claim_of(2, term);
		memcpy(world.env[0]->arg, &other, sizeof(other));
		result[who] = CALL(0, flow_make, SLOT_FIRST + 1 + who, world_handle(0, SLOT_ROOT), world_handle(0, SLOT_CLAIMS),
		    1 + who, 0);
		lost += flow_find(fake.device.root, packet, BYTES) != first;
	}
	ok(result[0] > 0 && result[1] > 0, "two flows of new shapes, made by turns in %u calls", calls);
	is_int(lost, 0, "meanwhile every packet finds its owner");
	for (unsigned i = 0; i < 3; i++)
		CALL(0, cap_delete, world_handle(0, SLOT_FIRST + i));
}

/* Whoever asks for new shapes and then goes its way keeps nobody from theirs, and its shapes do not stay. */
static void test_abandoned(void)
{
	struct exo_term term[2] = { type_a, { .offset = 40, .width = 1, .mask = 1 } };
	struct exo_claim claim;
	unsigned made = 0;
	int64_t result = 0;

	world.unchecked = true;
	for (unsigned i = 0; i < 150; i++) {
		term[1].offset = (uint16_t)(100 + i);
		claim = claim_of(2, term);
		memcpy(world.env[0]->arg, &claim, sizeof(claim));
		(void)CALL(0, flow_make, SLOT_FIRST, world_handle(0, SLOT_ROOT), world_handle(0, SLOT_CLAIMS), 0, 0);
		if (i % 3)
			continue;
		term[1].offset = (uint16_t)(300 + i);
		claim = claim_of(2, term);
		result = make(0, SLOT_FIRST, world_handle(0, SLOT_ROOT), 0, &claim);
		made += result > 0;
		if (result > 0)
			CALL(0, cap_delete, world_handle(0, SLOT_FIRST));
	}
	world.unchecked = false;
	is_int(made, 50, "others' shapes that are only begun are in nobody's way");
}

int main(void)
{
	flow_world(16384);
	CALL(0, cap_delete, world_handle(0, SLOT_CLAIMS));
	take_run(0, SLOT_CLAIMS, FLOWS + 4);
	for (unsigned i = 0; i < 3; i++)
		is_int(CALL(0, cap_table, world_handle(0, SLOT_CLAIMS), FLOWS + i), 64 * (i + 1), "more capabilities");
	test_random();
	test_bucket();
	test_two();
	test_abandoned();
	return done();
}
