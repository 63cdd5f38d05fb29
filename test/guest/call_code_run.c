/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * code_run: an owner function that clang has compiled (test/bpf/inode.bpf.c) on good and bad blocks, each error of the
 * call, and abuse: hostile programs, a block that is written on another CPU meanwhile, a program that goes; and that the
 * answer depends on nothing but the bytes that were read.
 * Runs first: yes
 * Run with: --smp 2
 */
#include "libos/core/code.h"
#include "libos/core/insn.h"
#include "test/guest/call.h"

#define NODE_MAGIC	0x6578746e
#define PIECE		64

__asm__(".section .rodata\n.balign 8\nnode_program:\n.incbin \"test/bpf/inode.bpf.o\"\nnode_program_end:\n.previous");
extern const char node_program[], node_program_end[];

static struct node {		/* as test/bpf/inode.bpf.c has it */
	uint32_t magic, extents;
	uint64_t next;
	struct {
		uint64_t first;
		uint32_t count, type;
	} extent[64];
} *node;
static uint8_t *block;
static exo_cap_t memory;
static struct exo_owner_run answer, *const run = &answer;	/* a copy: the test's own output goes through the argument frame */

static const struct exo_insn endless[] = {
	INSN_LOAD(8, 6, 1, 0), INSN_LOAD(4, 2, 6, 0), INSN_IFI(JNE, 2, 0, -2), INSN_OPI(MOV, 0, 0), INSN_EXIT,
};
/* The byte at the offset in the block's first word. */
static const struct exo_insn outside[] = {
	INSN_LOAD(8, 6, 1, 0), INSN_LOAD(4, 2, 6, 0), INSN_OP(ADD, 6, 2), INSN_LOAD(1, 0, 6, 0), INSN_EXIT,
};
/* Emits the pairs of words in the block, all up to one that ends in -1, or until emit says no; returns block + type. */
static const struct exo_insn pairs[] = {
	INSN_OP(MOV, 8, 1), INSN_LOAD(8, 6, 1, 8), INSN_LOAD(8, 7, 1, 0), INSN_OPI(ADD, 7, 16),
	INSN_LOAD(8, 2, 7, -8), INSN_IFI(JEQ, 2, -1, 6), INSN_LOAD(8, 1, 7, -16), INSN_OPI(MOV, 3, 5), INSN_CALL(emit),
	INSN_IFI(JNE, 0, 0, 2), INSN_OPI(ADD, 7, 16), INSN_IF(JLE, 7, 6, -8),
	INSN_LOAD(8, 0, 8, 16), INSN_LOAD(8, 1, 8, 24), INSN_OP(ADD, 0, 1), INSN_EXIT,
};
#define SIZE(program)	(sizeof(program) / sizeof((program)[0]))

static bool load(struct code_program *out, uint32_t use, const struct exo_insn *insn, uint32_t insns)
{
	struct exo_code header = { .version = EXO_CODE_VERSION, .size = sizeof(header), .use = use, .insns = insns,
		.fuel = use == EXO_USE_WAKE ? EXO_FUEL_WAKE : EXO_FUEL_OWNER };

	int64_t error = code_load(out, &header, insn, NULL, NULL);

	if (error)
		printf("# %s; reject %u at %u, r%u\n", out->wrong, out->report.reject, out->report.insn, out->report.reg);
	return is(error, 0, "load");
}

static int64_t go(const struct code_program *program, uint64_t number, uint64_t type)
{
	struct exo_owner_run *arg = core_arg(0);
	int64_t error;

	memset(arg, 0xaa, sizeof(*arg));
	arg->block = number;
	arg->type = type;
	error = exo_code_run(program->cap, memory, 1, 0);
	memcpy(run, arg, sizeof(*run));
	return error;
}

static void good_node(void)
{
	memset(block, 0, EXO_PAGE_SIZE);
	*node = (struct node){ .magic = NODE_MAGIC, .extents = 3, .next = 500 };
	node->extent[0].first = 2000, node->extent[0].count = 8, node->extent[0].type = 1;
	node->extent[1].first = 100, node->extent[1].count = 1, node->extent[1].type = 2;
	node->extent[2].first = 101, node->extent[2].count = 399, node->extent[2].type = 3;
}

static void nodes(void)
{
	struct code_program program;
	struct code_object object;

	ok(code_load_object(&program, &object, node_program, (size_t)(node_program_end - node_program), NULL) == 0,
	    "an owner function that clang has compiled is loaded");
	good_node();
	is(go(&program, 7, 9), 0, "it runs");
	ok(run->stop == EXO_STOP_EXIT && run->result == 0 && run->emits == 4, "and says what the block owns");
	ok(run->emit[0].block == 100 && run->emit[1].block == 101 && run->emit[2].block == 500 && run->emit[3].block == 2000,
	    "in the order of blocks");
	ok(run->emit[1].count == 399 && run->emit[1].type == 3 && run->emit[2].count == 1 && run->emit[2].type == 9,
	    "how many of them, and of which types");
	is((int64_t)run->seen, 1, "it has read the first 64 bytes");
	ok(run->block == 7 && run->type == 9, "what it was given stays");
	node->magic++;
	is(go(&program, 7, 9), 0, "a bad block");
	ok(run->stop == EXO_STOP_EXIT && run->result == 1 && run->emits == 0, "is not well formed");
	good_node();
	node->extent[1].first = 102;
	is(go(&program, 7, 9), 0, "a block that owns one twice");
	ok(run->stop == EXO_STOP_EMITS && run->emits == 0 && run->result == EXO_CODE_STOPPED, "is told so");
	code_unload(&program);
}

static void stops(void)
{
	struct code_program program;
	uint64_t *word = (uint64_t *)block;

	memset(block, 1, EXO_PAGE_SIZE);
	if (load(&program, EXO_USE_OWNER, endless, SIZE(endless))) {
		is(go(&program, 0, 0), 0, "an endless program");
		ok(run->stop == EXO_STOP_FUEL && run->result == EXO_CODE_STOPPED && run->emits == 0, "ends with its fuel");
		code_unload(&program);
	}
	if (load(&program, EXO_USE_OWNER, outside, SIZE(outside))) {
		word[0] = EXO_PAGE_SIZE;
		is(go(&program, 0, 0), 0, "a read behind the block");
		ok(run->stop == EXO_STOP_GUARD && run->result == EXO_CODE_STOPPED, "is stopped");
		word[0] = EXO_PAGE_SIZE - 1;
		is(go(&program, 0, 0), 0, "its last byte");
		ok(run->stop == EXO_STOP_EXIT && run->result == 1 && run->seen == (1ULL << 63 | 1), "is read");
		code_unload(&program);
	}
}

static void ranges(void)
{
	struct code_program program;
	uint64_t (*pair)[2] = (uint64_t (*)[2])(void *)block;
	bool sorted = true;
	uint32_t i;

	if (!load(&program, EXO_USE_OWNER, pairs, SIZE(pairs)))
		return;
	memset(block, 0xff, EXO_PAGE_SIZE);
	is(go(&program, 1ULL << 40, 5), 0, "no range");
	ok(run->emits == 0 && run->result == (1ULL << 40) + 5 && run->stop == 0, "block and type are the program's");
	for (i = 0; i < EXO_EMITS_MAX; i++)
		pair[i][0] = 77 * i % EXO_EMITS_MAX * 10, pair[i][1] = 10;
	is(go(&program, 0, 0), 0, "as many ranges as there may be, in some order");
	for (i = 0; i < EXO_EMITS_MAX; i++)
		sorted &= run->emit[i].block == 10 * i && run->emit[i].count == 10 && run->emit[i].type == 5;
	ok(run->emits == EXO_EMITS_MAX && sorted, "are sorted");
	pair[EXO_EMITS_MAX][0] = 5, pair[EXO_EMITS_MAX][1] = 1;
	is(go(&program, 0, 0), 0, "one more");
	is(run->emits, EXO_EMITS_MAX, "is refused by emit");
	pair[64][1] = 11;
	is(go(&program, 0, 0), 0, "one block in two ranges");
	is(run->stop, EXO_STOP_EMITS, "is an error");
	pair[64][1] = 0;
	is(go(&program, 0, 0), 0, "an empty range");
	is(run->stop, EXO_STOP_EMITS, "is an error");
	memset(block, 0xff, EXO_PAGE_SIZE);
	pair[0][0] = ~0ULL, pair[0][1] = 1;
	is(go(&program, 0, 0), 0, "the last block of all");
	ok(run->stop == 0 && run->emits == 1, "is one");
	pair[0][1] = 2;
	is(go(&program, 0, 0), 0, "a range beyond it");
	is(run->stop, EXO_STOP_EMITS, "is an error");
	code_unload(&program);
}

/* What was not read does not matter, and what was does not change by itself. */
static void unread(void)
{
	struct code_program program;
	struct code_object object;
	struct exo_owner_run first;
	uint32_t seed = 1, bad = 0, i, at;

	if (code_load_object(&program, &object, node_program, (size_t)(node_program_end - node_program), NULL))
		return;
	for (i = 0; i < 2000; i++) {
		good_node();
		node->extents = i % 66;
		for (at = 0; at < 64; at++) {
			seed = seed * 1664525 + 1013904223;
			node->extent[at].first = i % 3 ? 1000 * at : seed % 5000;
			node->extent[at].count = seed >> 8 & 15, node->extent[at].type = seed >> 20;
		}
		bad += go(&program, i, seed) != 0;
		first = *run;
		for (at = 0; at < EXO_PAGE_SIZE; at++)
			if (!(run->seen >> at / PIECE & 1))
				block[at] = (uint8_t)(seed >> at % 23);
		bad += go(&program, i, seed) != 0;
		bad += memcmp(&first, run, sizeof(first)) != 0;
	}
	is(bad, 0, "2,000 blocks: bytes that were not read do not matter");
	code_unload(&program);
}

static void errors(void)
{
	struct code_program program, wake, loaded = { 0 };
	static const struct exo_insn sleep_on[] = { INSN_OPI(MOV, 0, 0), INSN_EXIT };
	exo_cap_t weak, console = core_named(EXO_NAME_CONSOLE);

	if (!load(&program, EXO_USE_OWNER, pairs, SIZE(pairs)) || !load(&wake, EXO_USE_WAKE, sleep_on, SIZE(sleep_on)))
		return;
	memset(block, 0xff, EXO_PAGE_SIZE);
	is(exo_code_run(NO_CAP, memory, 1, 0), -EXO_ECAP, "CAP: program");
	is(exo_code_run(memory, memory, 1, 0), -EXO_ETYPE, "TYPE: program");
	weak = (exo_cap_t)caps_derive(program.cap, EXO_RIGHT_BIND, 0, 0);
	is(exo_code_run(weak, memory, 1, 0), -EXO_ERIGHTS, "RIGHTS: program");
	caps_delete(weak);
	is(exo_code_run(program.cap, NO_CAP, 1, 0), -EXO_ECAP, "CAP: frames");
	is(exo_code_run(program.cap, console, 1, 0), -EXO_ETYPE, "TYPE: frames");
	weak = (exo_cap_t)caps_derive(memory, EXO_RIGHT_WRITE, 0, 0);
	is(exo_code_run(program.cap, weak, 1, 0), -EXO_ERIGHTS, "RIGHTS: frames");
	caps_delete(weak);
	is(exo_code_run(program.cap, memory, 2, 0), -EXO_ERANGE, "RANGE: frame");
	is(exo_code_run(program.cap, memory, ~0ULL, 0), -EXO_ERANGE, "RANGE: frame, wraps");
	is(exo_code_run(program.cap, memory, 1, EXO_PAGE_SIZE - 64), -EXO_ERANGE, "RANGE: offset");
	is(exo_code_run(program.cap, memory, 1, 4), -EXO_ERANGE, "RANGE: not aligned");
	is(exo_code_run(program.cap, memory, 1, ~7ULL), -EXO_ERANGE, "RANGE: wraps");
	is(exo_code_run(wake.cap, memory, 1, 0), -EXO_EINVAL, "INVAL: another use");
	is(exo_code_run(program.cap, program.frames, 0, 0), -EXO_EBUSY, "BUSY: a kernel object");
	weak = (exo_cap_t)caps_derive(memory, EXO_RIGHT_READ, 0, 0);
	is(exo_code_run(program.cap, weak, 1, EXO_PAGE_SIZE - sizeof(*run)), 0, "frames that can only be read");
	caps_delete(weak);
	while (exo_frame_reclaim(program.frames, 0, (uint32_t)cap_of(program.frames)->count) == -EXO_EAGAIN)
		continue;
	is(exo_code_run(program.cap, memory, 1, 0), -EXO_ESTATE, "STATE: taken apart");
	loaded.cap = program.cap;
	code_unload(&program), code_unload(&wake);
	is(exo_code_run(loaded.cap, memory, 1, 0), -EXO_ECAP, "CAP: it has gone");
}

/* The block is gone from the frames of the program when these are memory again. */
static void leftovers(void)
{
	struct code_program program;
	exo_vaddr_t at = vm_addresses(EXO_CODE_FRAMES_MAX * EXO_PAGE_SIZE);
	uint32_t count, found = 0;

	if (!load(&program, EXO_USE_OWNER, pairs, SIZE(pairs)))
		return;
	memset(block, 0x5c, EXO_PAGE_SIZE);
	is(go(&program, 0, 0), 0, "run");
	count = (uint32_t)cap_of(program.frames)->count;
	caps_delete(program.cap);
	program.cap = EXO_CAP_NONE;
	space_map(at, EXO_MAP_READ, program.frames, 0, count);
	for (uint32_t i = 0; i < count * (EXO_PAGE_SIZE / 8); i++)
		found += ((volatile uint64_t *)at)[i] == 0x5c5c5c5c5c5c5c5c;
	space_map(at, 0, EXO_CAP_NONE, 0, count);
	is(found, 0, "nothing of the block is left in the program's frames");
	code_unload(&program);
}

int main(void)
{
	exo_vaddr_t at = vm_addresses(EXO_PAGE_SIZE);

	memory = take_frames(2);
	space_map(at, EXO_MAP_READ | EXO_MAP_WRITE, memory, 1, 1);
	block = (uint8_t *)at;
	node = (struct node *)at;
	for (int round = 0; round < 2; round++) {
		struct books before = books_now();

		nodes();
		stops();
		ranges();
		unread();
		errors();
		leftovers();
		if (round)
			ok(books_same(before), "the books are even");
	}
	return call_done();
}
