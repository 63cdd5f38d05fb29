/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The filter: all claims as one program, which finds the owner of a packet.
 *
 * The program is emitted from the tree of shapes (flow_table.c), then checked and compiled like any other
 * (BPF_USE_FILTER; window 0 is the table of values). At a flow it tries the shapes that flows below it have: loads their
 * chunks, hashes them, looks the values up, and goes on at the flow that it finds. Shapes that begin with the same chunks
 * load and hash these once: what follows is a trie, walked in the order of T3, in which a test that fails leads to the
 * next shape that does not share what failed. Siblings exclude each other, so the order does not matter.
 *
 * What a flood's packets mostly differ in comes last, ports: so before a shape is hashed that shares nothing with what
 * follows, its last chunk is held against what all its flows want there.
 *
 * Registers: r1 index of the flow reached; r2 its `below`; r3 the factor; r6 data, r7 end, r8 the hash, r9 the table.
 * On the stack: chunk d at -8 (d + 1), the hash of what comes before it at -64 - 8 d.
 *
 * A new shape needs a new program. It is made in steps by those who want to make flows of new shapes, on their time,
 * while the one before runs; packets see the one or the other. Whoever comes meanwhile helps to finish what was begun,
 * then begins anew. Numbers that an application chose stand in the table, but for offsets and the relative ones' masks.
 */
#include "exo/flows.h"
#include "exo/bpf.h"

#define PROLOGUE_INSNS	16
#define SHAPE_INSNS	64	/* on the average */
#define STEP_SHAPES	1	/* emitted in one step */
#define STEP_BUDGET	3000	/* instructions of a step of the check or the compiler */
#define NATIVE_PER_INSN	8	/* bytes of machine code */

/* Lists of jumps whose target is not known yet: each has the one before in its offset. */
#define JUMPS_NONE	(-1)
#define HASH_AT(d)	(-64 - 8 * (int)(d))
#define CHUNK_AT(d)	(-8 - 8 * (int)(d))

enum { R_FLOW = 1, R_BELOW, R_FACTOR, R_AT, R_KEY, R_DATA, R_END, R_HASH, R_TABLE };

enum phase { IDLE, EMIT, CHECK, COMPILE };

struct filter {
	struct bpf_program program;
	bool open;			/* it can be run */
	exo_pfn_t code;			/* frames of its machine code */
};

/* [k] The program that runs is filter[running], once there is one. */
static struct filter filter[2];
static unsigned running;

/* [k] What is being built, into the other one. */
static struct {
	enum phase phase;
	uint16_t node, last;		/* shapes in the queue: now, at its end */
	uint16_t next, before;		/* below the node: next to be emitted, the one before; FLOW_NONE */
	uint16_t known[EXO_TERMS_MAX + 1];	/* bytes that the packet has when d chunks were loaded */
	int32_t fail[EXO_TERMS_MAX + 2];	/* jumps: chunk d cannot be loaded / the last: it is not this shape's */
	struct bpf_check *check;
	struct bpf_compile compile;
} build;
#define FAIL	(EXO_TERMS_MAX + 1)

static uint32_t insns_max, native_frames;
static void *work;
static size_t work_bytes;
static uint32_t *compile_at;

uint32_t flow_filter_insns(void)
{
	return insns_max - PROLOGUE_INSNS;
}

__attribute__((cold)) void flow_filter_init(void)
{
	uint32_t insns = shapes_max * SHAPE_INSNS, each;
	char *memory;

	insns_max = insns < EXO_INSNS_MAX ? insns : EXO_INSNS_MAX;
	each = insns_max * (uint32_t)(sizeof(struct exo_insn) + sizeof(struct bpf_note));
	native_frames = frames_for(insns_max * NATIVE_PER_INSN);
	work_bytes = bpf_check_bytes(insns_max);
	if (work_bytes < (insns_max + 1) * sizeof(*compile_at))
		work_bytes = (insns_max + 1) * sizeof(*compile_at);
	work_bytes = (work_bytes + 63) / 64 * 64;
	memory = frame_boot_memory(work_bytes + 2 * each);
	work = compile_at = (void *)memory;
	for (unsigned i = 0; i < 2; i++) {
		char *at = memory + work_bytes + i * each;

		filter[i] = (struct filter){ .program = { .insn = (void *)at, .use = BPF_USE_FILTER,
			.note = (void *)(at + insns_max * sizeof(struct exo_insn)), .window_bytes = { values_bytes } } };
		filter[i].code = frame_boot_take(native_frames, EXO_FRAME_KERNEL);
	}
	running = 0;
	build.phase = IDLE;
}

bool flow_filter_building(void)
{
	return build.phase != IDLE;
}

/* --- instructions ----------------------------------------------------------------------------------------------- */

static struct bpf_program *made(void)
{
	return &filter[!running].program;
}

static void put(unsigned code, unsigned dst, unsigned src, int offset, uint32_t imm)
{
	struct bpf_program *program = made();

	kassert(program->insns < insns_max);
	((struct exo_insn *)program->insn)[program->insns++] = (struct exo_insn){ .code = (uint8_t)code,
		.regs = (uint8_t)(dst | src << 4), .offset = (int16_t)offset, .imm = (int32_t)imm };
}

static void load(unsigned size, unsigned dst, unsigned src, int offset)
{
	put(BPF_LDX | BPF_MEM | size, dst, src, offset, 0);
}

static void store(int offset, unsigned src)
{
	put(BPF_STX | BPF_MEM | BPF_DW, BPF_FRAME, src, offset, 0);
}

static void op_reg(unsigned op, unsigned dst, unsigned src)
{
	put(BPF_ALU64 | op | BPF_SRC_REG, dst, src, 0, 0);
}

static void op_imm(unsigned op, unsigned dst, uint32_t imm)
{
	put(BPF_ALU64 | op, dst, 0, 0, imm);
}

/* A jump to where nobody knows yet. */
static void jump(int32_t *list, unsigned code, unsigned dst, unsigned src, uint32_t imm)
{
	int32_t at = (int32_t)made()->insns;

	put(code, dst, src, *list, imm);
	*list = at;
}

/* They lead here. */
static void jumps_land(int32_t *list)
{
	struct exo_insn *insn = (struct exo_insn *)made()->insn;
	int32_t next;

	for (; *list != JUMPS_NONE; *list = next) {
		next = insn[*list].offset;
		insn[*list].offset = (int16_t)((int32_t)made()->insns - *list - 1);
	}
}

static unsigned size_of(unsigned width)
{
	return width == 1 ? BPF_B : width == 2 ? BPF_H : width == 4 ? BPF_W : BPF_DW;
}

/* --- shapes ----------------------------------------------------------------------------------------------------- */

/* The next one that is part of the program, from s on. */
static uint16_t included(uint16_t s)
{
	while (s != FLOW_NONE && !shape_table[s].next_live)
		s = shape_table[s].next;
	return s;
}

static int number_at(const struct shape *shape, unsigned number)
{
	return (int)(numbers_at + ((uint32_t)(shape - shape_table) * FLOW_NUMBERS + number) * sizeof(uint64_t));
}

static uint64_t number(const struct shape *shape, unsigned number)
{
	return *(uint64_t *)((char *)flow_values + number_at(shape, number));
}

/* How many chunks two shapes begin with in common. */
static unsigned common(uint16_t a, uint16_t b)
{
	const struct shape *s = &shape_table[a], *t = &shape_table[b];
	unsigned d = 0;

	if (a == FLOW_NONE || b == FLOW_NONE)
		return 0;
	while (d < s->chunks && d < t->chunks && number(s, d) == number(t, d) &&
	    !__builtin_memcmp(&s->chunk[d], &t->chunk[d], sizeof(s->chunk[d])))
		d++;
	return d;
}

/* How many bytes of a packet must be there to load a chunk, or for a relative one to know where it is. */
static unsigned chunk_needs(const struct chunk *chunk)
{
	return chunk->rel_mask ? chunk->rel_offset + 1u : chunk->offset + (unsigned)chunk->width;
}

static void need(unsigned bytes, uint16_t *known, int32_t *fail)
{
	if (bytes <= *known)
		return;
	*known = (uint16_t)bytes;
	op_reg(BPF_MOV, R_AT, R_DATA);
	op_imm(BPF_ADD, R_AT, bytes);
	jump(fail, BPF_JMP | BPF_JGT | BPF_SRC_REG, R_AT, R_END, 0);
}

/* Into r0, masked. */
static void chunk_load(const struct shape *shape, unsigned d, int32_t *fail)
{
	const struct chunk *chunk = &shape->chunk[d];

	if (chunk->rel_mask) {
		load(BPF_B, 0, R_DATA, chunk->rel_offset);
		if (chunk->rel_mask != 0xff)
			op_imm(BPF_AND, 0, chunk->rel_mask);
		if (chunk->rel_shift)
			op_imm(BPF_LSH, 0, chunk->rel_shift);
		op_reg(BPF_ADD, 0, R_DATA);
		op_reg(BPF_MOV, R_AT, 0);
		op_imm(BPF_ADD, R_AT, chunk->offset + (uint32_t)chunk->width);
		jump(fail, BPF_JMP | BPF_JGT | BPF_SRC_REG, R_AT, R_END, 0);
		load(size_of(chunk->width), 0, 0, chunk->offset);
	} else {
		load(size_of(chunk->width), 0, R_DATA, chunk->offset);
	}
	if (chunk->masked) {
		load(BPF_DW, R_AT, R_TABLE, number_at(shape, d));
		op_reg(BPF_AND, 0, R_AT);
	}
}

/* The chunks that the shape before has not loaded. */
static void emit_chunks(const struct shape *shape, unsigned from, unsigned shared)
{
	uint16_t known = build.known[from];
	unsigned needs, last = shape->chunks - 1u;
	bool early = shared <= from && from + 1 < shape->chunks;	/* the last chunk is in R_KEY */

	if (early) {
		for (unsigned i = needs = 0; i < shape->chunks + (unsigned)shape->nots; i++)
			if (chunk_needs(&shape->chunk[i]) > needs)
				needs = chunk_needs(&shape->chunk[i]);
		need(needs, &known, &build.fail[FAIL]);
		chunk_load(shape, last, &build.fail[FAIL]);
		load(BPF_DW, R_AT, R_TABLE, number_at(shape, FLOW_AGREED));
		op_reg(BPF_XOR, R_AT, 0);
		load(BPF_DW, R_KEY, R_TABLE, number_at(shape, FLOW_AGREE));
		jump(&build.fail[FAIL], BPF_JMP | BPF_JSET | BPF_SRC_REG, R_AT, R_KEY, 0);
		op_reg(BPF_MOV, R_KEY, 0);
		store(CHUNK_AT(last), 0);
	}
	load(BPF_DW, R_FACTOR, R_TABLE, offsetof(struct flow_values, factor));
	if (from)
		load(BPF_DW, R_HASH, BPF_FRAME, HASH_AT(from));
	else
		op_reg(BPF_MOV, R_HASH, R_FLOW);
	for (unsigned d = from; d < shape->chunks; d++) {
		needs = chunk_needs(&shape->chunk[d]);
		/* If nobody else goes on from here, test for all that follows at once. */
		for (unsigned i = d + 1; d >= shared && i < shape->chunks + (unsigned)shape->nots; i++)
			if (chunk_needs(&shape->chunk[i]) > needs)
				needs = chunk_needs(&shape->chunk[i]);
		if (early && d == last) {
			op_reg(BPF_XOR, R_HASH, R_KEY);
		} else {
			need(needs, &known, &build.fail[d]);
			chunk_load(shape, d, &build.fail[d]);
			store(CHUNK_AT(d), 0);
			op_reg(BPF_XOR, R_HASH, 0);
		}
		op_reg(BPF_MUL, R_HASH, R_FACTOR);
		put(BPF_ALU64 | BPF_END, R_HASH, 0, 0, 64);
		build.known[d + 1] = known;
		if (d < shared)
			store(HASH_AT(d + 1), R_HASH);
	}
}

/* Fields that must not be as said. */
static void emit_nots(const struct shape *shape, uint16_t *known)
{
	for (unsigned i = shape->chunks; i < shape->chunks + (unsigned)shape->nots; i++) {
		need(chunk_needs(&shape->chunk[i]), known, &build.fail[FAIL]);
		chunk_load(shape, i, &build.fail[FAIL]);
		load(BPF_DW, R_AT, R_TABLE, number_at(shape, EXO_TERMS_MAX + i));
		jump(&build.fail[FAIL], BPF_JMP | BPF_JEQ | BPF_SRC_REG, 0, R_AT, 0);
	}
}

/* Which flow of this shape below this one wants what has been loaded. */
static void emit_lookup(struct shape *shape)
{
	int32_t next = JUMPS_NONE, loop;

	op_imm(BPF_AND, R_HASH, (bucket_count - 1) * (uint32_t)sizeof(uint32_t));
	op_reg(BPF_ADD, R_HASH, R_TABLE);
	load(BPF_W, R_AT, R_HASH, (int)buckets_at);
	jump(&build.fail[FAIL], BPF_JMP | BPF_JEQ, R_AT, 0, 0);
	op_reg(BPF_MOV, R_KEY, R_FLOW);
	op_imm(BPF_OR, R_KEY, (uint32_t)(shape - shape_table) << 16);
	loop = (int32_t)made()->insns;
	jump(&build.fail[FAIL], BPF_JMP | BPF_JGT, R_AT, 0, values_bytes - (uint32_t)sizeof(struct flow_value));
	op_reg(BPF_ADD, R_AT, R_TABLE);
	load(BPF_W, 0, R_AT, offsetof(struct flow_value, key));
	jump(&next, BPF_JMP | BPF_JNE | BPF_SRC_REG, 0, R_KEY, 0);
	for (unsigned d = 0; d < shape->chunks; d++) {
		load(BPF_DW, 0, R_AT, (int)(offsetof(struct flow_value, value) + 8 * d));
		load(BPF_DW, R_HASH, BPF_FRAME, CHUNK_AT(d));
		jump(&next, BPF_JMP | BPF_JNE | BPF_SRC_REG, 0, R_HASH, 0);
	}
	load(BPF_W, R_FLOW, R_AT, offsetof(struct flow_value, flow));
	if (included(shape->below) != FLOW_NONE) {
		load(BPF_W, R_BELOW, R_AT, offsetof(struct flow_value, below));
		jump(&shape->jumps, BPF_JMP | BPF_JA, 0, 0, 0);
	} else {
		op_reg(BPF_MOV, 0, R_FLOW);
		put(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	}
	jumps_land(&next);
	load(BPF_W, R_AT, R_AT, offsetof(struct flow_value, next));
	put(BPF_JMP | BPF_JNE, R_AT, 0, loop - (int32_t)made()->insns - 1, 0);
	jump(&build.fail[FAIL], BPF_JMP | BPF_JA, 0, 0, 0);
}

/* Have flows with one of these bits been made below this flow? */
static void emit_bits(uint32_t bits, int32_t *fail)
{
	put(BPF_JMP32 | BPF_JSET, R_BELOW, 0, 1, bits);
	jump(fail, BPF_JMP | BPF_JA, 0, 0, 0);
}

/* One shape below the node. */
static void emit_shape(uint16_t s)
{
	struct shape *shape = &shape_table[s];
	unsigned from = common(build.before, s), shared = common(s, included(shape->next));
	uint32_t bits = 1u << shape->bit;
	bool run_of = false;

	for (unsigned d = from; d < COUNT_OF(build.fail); d++)
		jumps_land(&build.fail[d]);
	/* Those that share what is loaded here stand behind it. */
	for (uint16_t t = included(shape->next); from < shape->chunks && common(s, t) > from; t = included(shape_table[t].next)) {
		bits |= 1u << shape_table[t].bit;
		run_of = true;
	}
	emit_bits(bits, &build.fail[from < shape->chunks ? from : FAIL]);
	emit_chunks(shape, from, shared);
	if (run_of)
		emit_bits(1u << shape->bit, &build.fail[FAIL]);
	shape->known = build.known[shape->chunks];
	emit_nots(shape, &shape->known);
	shape->jumps = JUMPS_NONE;
	emit_lookup(shape);
	if (shape->jumps != JUMPS_NONE) {
		shape->queue = FLOW_NONE;
		shape_table[build.last].queue = s;
		build.last = s;
	}
}

/* What is below a shape begins here / ends here: nothing below wants it. */
static void emit_node(uint16_t node)
{
	build.node = node;
	build.before = FLOW_NONE;
	build.next = included(shape_table[node].below);
	build.known[0] = shape_table[node].known;
	jumps_land(&shape_table[node].jumps);
}

static void emit_end(void)
{
	for (unsigned d = 0; d < COUNT_OF(build.fail); d++)
		jumps_land(&build.fail[d]);
	op_reg(BPF_MOV, 0, R_FLOW);
	put(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* --- building --------------------------------------------------------------------------------------------------- */

/* Those with flows, and those asked for, below one that is included. Shapes above come first. False: there are none. */
static bool choose(void)
{
	uint16_t last = 0, s;

	shape_table[0].next_live = true;
	shape_table[0].queue = FLOW_NONE;
	for (uint16_t node = 0; node != FLOW_NONE; node = shape_table[node].queue) {
		for (s = shape_table[node].below; s != FLOW_NONE; s = shape_table[s].next) {
			struct shape *shape = &shape_table[s];

			shape->next_live = shape->flows || (shape->asked && (!node || shape_table[node].flows));
			shape->queue = FLOW_NONE;
			if (!shape->next_live)
				continue;
			shape_table[last].queue = s;
			last = s;
		}
	}
	return last != 0;
}

static void emit_begin(void)
{
	made()->insns = 0;
	load(BPF_DW, R_DATA, R_FLOW, offsetof(struct exo_packet, data));
	load(BPF_DW, R_END, R_FLOW, offsetof(struct exo_packet, end));
	load(BPF_W, R_FLOW, R_FLOW, offsetof(struct exo_packet, flow));
	put(BPF_LDDW, R_TABLE, BPF_LDDW_WINDOW, 0, 0);
	put(0, 0, 0, 0, 0);
	for (unsigned d = 0; d < COUNT_OF(build.fail); d++)
		build.fail[d] = JUMPS_NONE;
	for (uint32_t s = 0; s < shapes_max; s++)
		shape_table[s].queue = FLOW_NONE;
	shape_table[0].known = 0;
	shape_table[0].jumps = JUMPS_NONE;
	build.last = 0;
	emit_node(0);
	build.phase = EMIT;
}

/* What has been chosen did not become a program: what was asked for cannot be had. */
static int64_t build_fail(void)
{
	for (uint32_t s = 1; s < shapes_max; s++) {
		shape_table[s].next_live = false;
		if (!shape_table[s].live)
			shape_table[s].asked = 0;
	}
	build.phase = IDLE;
	flow_shapes_settle();
	return ERR(FULL);
}

static void check_begin(void)
{
	struct bpf_program *program = made();

	program->fuel = 16 * EXO_INSNS_MAX;
	build.check = bpf_check_begin(program, work, work_bytes);
	build.phase = CHECK;
}

static void compile_begin(void)
{
	build.compile = (struct bpf_compile){ .program = made(), .at = compile_at,
		.out = pfn_to_virt(filter[!running].code), .room = (size_t)native_frames * EXO_PAGE_SIZE };
	arch_bpf_compile_begin(&build.compile);
	build.phase = COMPILE;
}

/* The shapes of the program that runs are those chosen; the others are no more. */
static void build_switch(void)
{
	for (uint32_t s = 1; s < shapes_max; s++) {
		struct shape *shape = &shape_table[s];

		shape->live = shape->next_live;
		shape->next_live = false;
		if (!shape->flows && shape->asked)
			shape->asked--;
	}
	build.phase = IDLE;
	flow_shapes_settle();
}

static void build_end(void)
{
	bpf_native_fn *native = arch_code_open(filter[!running].code, build.compile.bytes);

	smp_forget();
	flow_find_by(made(), native);
	if (filter[running].open) {
		arch_code_close(filter[running].code, native_frames);
		smp_forget();
	}
	filter[running].open = false;
	running = !running;
	filter[running].open = true;
	build_switch();
}

int64_t flow_filter_build(void)
{
	struct exo_code_report report;
	unsigned shapes = 0;
	int more = 0;

	switch (build.phase) {
	case IDLE:
		if (choose()) {
			emit_begin();
			break;
		}
		build_switch();		/* no flow is left: the program that runs is not asked */
		return 0;
	case EMIT:
		for (; shapes < STEP_SHAPES && build.next != FLOW_NONE; shapes++) {
			uint16_t s = build.next;

			emit_shape(s);
			build.before = s;
			build.next = included(shape_table[s].next);
		}
		if (build.next != FLOW_NONE)
			break;
		emit_end();
		if (shape_table[build.node].queue != FLOW_NONE)
			emit_node(shape_table[build.node].queue);
		else
			check_begin();
		break;
	case CHECK:
		more = build.check ? bpf_check_step(build.check, STEP_BUDGET, &report) : -1;
		if (more == 0 && made()->guarded)	/* flow_find() says no window */
			more = -1;
		if (more == 0)
			compile_begin();
		break;
	case COMPILE:
		more = arch_bpf_compile_step(&build.compile, STEP_BUDGET);
		if (more == 0) {
			build_end();
			return 0;
		}
		break;
	}
	return more < 0 ? build_fail() : ERR(AGAIN);
}
