/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs whose cost bpf_vm measures; r1 is memory of 4096 bytes, byte i of it i * 151 + i / 256 + 77. */
#ifndef TOOLS_BPF_VM_PROGRAMS_H
#define TOOLS_BPF_VM_PROGRAMS_H

#include "tools/bpf/insn.h"

/* The Internet checksum's sum of r2 bytes. */
static const struct exo_insn vm_sum[] = {
	K64(BPF_MOV, 0, 0), X64(BPF_ADD, 2, 1),
	LOAD(BPF_H, 3, 1, 0), X64(BPF_ADD, 0, 3), K64(BPF_ADD, 1, 2), JUMPX(BPF_JLT, 1, 2, -4),
	X64(BPF_MOV, 1, 0), K64(BPF_RSH, 1, 16), K64(BPF_AND, 0, 0xffff), X64(BPF_ADD, 0, 1),
	X64(BPF_MOV, 1, 0), K64(BPF_RSH, 1, 16), X64(BPF_ADD, 0, 1), K64(BPF_AND, 0, 0xffff), EXIT,
};

/* How many of r2 / 64 headers are not looked for: fields compared one by one, as filters do. */
static const struct exo_insn vm_filter[] = {
	K64(BPF_MOV, 0, 0), X64(BPF_ADD, 2, 1),
	LOAD(BPF_H, 3, 1, 12), I(BPF_ALU | BPF_END | BPF_SRC_REG, 3, 0, 0, 16), JUMP(BPF_JEQ, 3, 0x0800, 9),
	LOAD(BPF_B, 3, 1, 14), K64(BPF_AND, 3, 15), K64(BPF_LSH, 3, 2), X64(BPF_ADD, 3, 1), LOAD(BPF_B, 4, 1, 23),
	JUMP(BPF_JEQ, 4, 17, 2), LOAD(BPF_H, 5, 3, 2), JUMP(BPF_JEQ, 5, 0x5000, 1), K64(BPF_ADD, 0, 1),
	K64(BPF_ADD, 1, 64), JUMPX(BPF_JLT, 1, 2, -14), EXIT,
};

/* How many primes there are below r2. */
static const struct exo_insn vm_primes[] = {
	K64(BPF_MOV, 0, 0), K64(BPF_MOV, 3, 2),
	K64(BPF_MOV, 4, 2),
	X64(BPF_MOV, 5, 4), X64(BPF_MUL, 5, 4), JUMPX(BPF_JGT, 5, 3, 5),
	X64(BPF_MOV, 5, 3), X64(BPF_MOD, 5, 4), JUMP(BPF_JEQ, 5, 0, 3), K64(BPF_ADD, 4, 1), JUMP(BPF_JA, 0, 0, -8),
	K64(BPF_ADD, 0, 1),
	K64(BPF_ADD, 3, 1), JUMPX(BPF_JLT, 3, 2, -12), EXIT,
};

/* Sorts the first r2 bytes by insertion, with a function that compares; then a sum that depends on the order. */
static const struct exo_insn vm_sort[] = {
	X64(BPF_MOV, 6, 1), X64(BPF_MOV, 7, 2), K64(BPF_MOV, 8, 1),
	X64(BPF_MOV, 9, 8),
	JUMP(BPF_JEQ, 9, 0, 6), X64(BPF_MOV, 1, 6), X64(BPF_ADD, 1, 9), CALL(13), JUMP(BPF_JEQ, 0, 0, 2),
	K64(BPF_SUB, 9, 1), JUMP(BPF_JA, 0, 0, -7),
	K64(BPF_ADD, 8, 1), JUMPX(BPF_JLT, 8, 7, -10),
	K64(BPF_MOV, 0, 0),
	LOAD(BPF_B, 1, 6, 0), K64(BPF_MUL, 0, 31), X64(BPF_ADD, 0, 1), K64(BPF_ADD, 6, 1), K64(BPF_SUB, 7, 1),
	JUMP(BPF_JNE, 7, 0, -6), EXIT,
	/* the function: swaps the bytes at r1 - 1 and r1 if they are out of order, and says whether */
	K64(BPF_MOV, 0, 0), LOAD(BPF_B, 2, 1, -1), LOAD(BPF_B, 3, 1, 0), JUMPX(BPF_JLE, 2, 3, 3),
	STORE(BPF_B, 1, 3, -1), STORE(BPF_B, 1, 2, 0), K64(BPF_MOV, 0, 1), EXIT,
};

struct vm_program {
	const char *name;
	const struct exo_insn *insn;
	uint32_t insns;
	uint64_t r2, r0;
};
#define VM_PROGRAM(name, r2, r0)	{ #name, vm_##name, sizeof(vm_##name) / sizeof(struct exo_insn), r2, r0 }
static const struct vm_program vm_programs[] = {
	VM_PROGRAM(sum, 1500, 0x4eed),
	VM_PROGRAM(filter, 4096, 64),
	VM_PROGRAM(primes, 2000, 303),
	VM_PROGRAM(sort, 64, 0x63542ca8b4859570),
};
#define VM_PROGRAMS	(sizeof(vm_programs) / sizeof(vm_programs[0]))

#endif
