/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For unit tests of downloaded code: running a program by the interpreter and as machine code, with the same memory
 * before each.
 */
#ifndef TEST_UNIT_BPF_ISA_H
#define TEST_UNIT_BPF_ISA_H

#include <stdint.h>
#include <string.h>
#include "tools/bpf/host.h"
#include "tools/bpf/insn.h"

#define MEMORY_BYTES	4096

/* What a run leaves. */
struct left {
	uint64_t r0, seen;
	int64_t fuel;
	uint32_t stop;
	uint8_t memory[MEMORY_BYTES];
	uint8_t stack[BPF_STACK_BYTES];
};

/* A program and what it finds: `memory` and `stack` are copied to the same addresses before each of the two runs. */
struct both {
	struct exo_insn insn[EXO_INSNS_MAX];
	struct bpf_note note[EXO_INSNS_MAX];
	struct bpf_program program;
	struct bpf_run run;		/* its windows are set by the test; STACK is not */
	uint8_t memory[MEMORY_BYTES];	/* at run time at both_memory */
	uint8_t stack[BPF_STACK_BYTES];
	uint64_t r1, r2, key;
	struct left interpreted, compiled;
};

static uint8_t both_memory[MEMORY_BYTES + 64] __attribute__((aligned(64)));
static uint8_t both_stack[BPF_STACK_BYTES] __attribute__((aligned(64)));

static inline void both_leave(struct both *both, struct left *left, uint64_t r0)
{
	left->r0 = r0;
	left->seen = both->run.seen;
	left->fuel = both->run.fuel;
	left->stop = both->run.stop;
	memcpy(left->memory, both_memory, sizeof(left->memory));
	memcpy(left->stack, both_stack, sizeof(left->stack));
}

static inline void both_begin(struct both *both)
{
	memcpy(both_memory, both->memory, sizeof(both->memory));
	memcpy(both_stack, both->stack, sizeof(both->stack));
	bpf_begin(&both->run, &both->program, both_stack);
}

/* The program's instructions, with notes cleared. */
static inline void both_program(struct both *both, const struct exo_insn *insn, uint32_t insns)
{
	memmove(both->insn, insn, insns * sizeof(*insn));
	memset(both->note, 0, insns * sizeof(*both->note));
	both->program.insn = both->insn;
	both->program.insns = insns;
	both->program.note = both->note;
}

/* Run both ways; false: something differs (or there was no memory for the code). */
static inline bool both_run(struct both *both)
{
	struct native native = native_make(&both->program, both->key);
	struct left *a = &both->interpreted, *b = &both->compiled;

	if (!native.run)
		return false;
	both_begin(both);
	both_leave(both, a, bpf_interpret(&both->run, both->r1, both->r2));
	both_begin(both);
	both_leave(both, b, native.run(both->r1, both->r2, &both->run));
	native_free(&native);
	return a->r0 == b->r0 && a->seen == b->seen && a->fuel == b->fuel && a->stop == b->stop &&
	    memcmp(a->memory, b->memory, sizeof(a->memory)) == 0 && memcmp(a->stack, b->stack, sizeof(a->stack)) == 0;
}

/* The same for a program in instruction-set mode; false also if it is none. */
static inline bool both_plain(struct both *both, const struct exo_insn *insn, uint32_t insns)
{
	uint32_t where;

	both_program(both, insn, insns);
	return !plain_prepare(&both->program, &where) && both_run(both);
}

#endif
