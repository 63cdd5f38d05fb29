/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing x86-64 instructions, for the templates of bpf.c: prefixes, operands, distances. (AMD64 Architecture
 * Programmer's Manual, volume 3, chapter 1.)
 */
#ifndef ARCH_X86_64_BPF_CODE_H
#define ARCH_X86_64_BPF_CODE_H

#include "exo/bpf.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
#define RUN	R12
#define NONE	RSP	/* as index: there is none */

/* Opcodes: one byte, or two with 0x0f; and how they are to be encoded. */
#define WIDE	0x10000		/* 64 bits */
#define SHORT	0x20000		/* 16 bits */
#define LOCK	0x40000
#define BYTE	0x80000		/* its register is one of 8 bits */

/* Conditions. */
#define CC_B	0x2
#define CC_AE	0x3
#define CC_E	0x4
#define CC_NE	0x5
#define CC_BE	0x6
#define CC_A	0x7
#define CC_S	0x8
#define CC_L	0xc
#define CC_GE	0xd
#define CC_LE	0xe
#define CC_G	0xf

/* What a template writes: to where it belongs, or in the first pass to memory that nobody reads. */
struct code {
	uint8_t *next;
	uint8_t *begin;
	uint32_t offset;	/* of `begin` in the program's code */
	uint64_t key;
	const struct bpf_compile *compile;
};

/* An operand in memory. */
struct place {
	uint16_t base, index;
	int32_t offset;
};

static inline bool is_small(int64_t number)
{
	return number == (int8_t)number;
}

/* May the number stand in the code as it is? */
static inline bool is_open(const struct code *c, int64_t number)
{
	return is_small(number) || c->key == 0;
}

static __attribute__((noinline)) void put(struct code *c, unsigned byte)
{
	*c->next++ = (uint8_t)byte;
}

static inline void put_32(struct code *c, uint32_t number)
{
	for (int i = 0; i < 4; i++, number >>= 8)
		put(c, number & 0xff);
}

static inline void put_64(struct code *c, uint64_t number)
{
	put_32(c, (uint32_t)number);
	put_32(c, (uint32_t)(number >> 32));
}

static inline void put_all(struct code *c, const uint8_t *bytes, size_t count)
{
	while (count--)
		put(c, *bytes++);
}

static inline void put_op(struct code *c, uint32_t op, unsigned reg, unsigned index, unsigned base)
{
	unsigned rex = (op & WIDE ? 8 : 0) | (reg & 8) >> 1 | (index & 8) >> 2 | (base & 8) >> 3;

	if (op & SHORT)
		put(c, 0x66);
	if (op & LOCK)
		put(c, 0xf0);
	if (rex || op & BYTE)
		put(c, 0x40 | rex);
	if (op & 0xff00)
		put(c, op >> 8 & 0xff);
	put(c, op & 0xff);
}

/* An instruction with two registers, of which the opcode's `reg` field may be part of the opcode. */
static inline void put_rr(struct code *c, uint32_t op, unsigned reg, unsigned rm)
{
	put_op(c, op, reg, 0, rm);
	put(c, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

/* The same with a place in memory. */
static inline void put_rm(struct code *c, uint32_t op, unsigned reg, struct place at)
{
	unsigned mod = at.offset == 0 && (at.base & 7) != RBP ? 0 : is_small(at.offset) ? 0x40 : 0x80;

	put_op(c, op, reg, at.index, at.base);
	if (at.index == NONE && (at.base & 7) != RSP) {
		put(c, mod | (reg & 7) << 3 | (at.base & 7));
	} else {
		put(c, mod | (reg & 7) << 3 | 4);
		put(c, (at.index & 7) << 3 | (at.base & 7));
	}
	if (mod == 0x40)
		put(c, (uint8_t)at.offset);
	else if (mod == 0x80)
		put_32(c, (uint32_t)at.offset);
}

/* Arithmetic (0x81, 0x83 /n) with an immediate. */
static inline void put_ri(struct code *c, uint32_t wide, unsigned n, unsigned rm, int32_t imm)
{
	put_rr(c, wide | (is_small(imm) ? 0x83 : 0x81), n, rm);
	if (is_small(imm))
		put(c, (uint8_t)imm);
	else
		put_32(c, (uint32_t)imm);
}

static inline void move(struct code *c, uint32_t wide, unsigned to, unsigned from)
{
	if (to != from || !wide)
		put_rr(c, wide | 0x89, from, to);
}

/* A place in struct bpf_run. */
static inline struct place in_run(unsigned offset)
{
	return (struct place){ RUN, NONE, (int32_t)offset };
}

/* A short jump ahead, to where `land` is called. */
static inline uint8_t *skip(struct code *c, unsigned condition)
{
	put(c, 0x70 | condition);
	put(c, 0);
	return c->next - 1;
}

static inline uint8_t *skip_always(struct code *c)
{
	put(c, 0xeb);
	put(c, 0);
	return c->next - 1;
}

static inline void land(struct code *c, uint8_t *from)
{
	if (from)
		*from = (uint8_t)(c->next - from - 1);
}

/* The distance to an offset of the program's code, ending an instruction. */
static void put_distance(struct code *c, uint32_t to)
{
	put_32(c, to - (c->offset + (uint32_t)(c->next - c->begin) + 4));
}

static inline void jump_if(struct code *c, unsigned condition, uint32_t to)
{
	put(c, 0x0f);
	put(c, 0x80 | condition);
	put_distance(c, to);
}

#endif
